"""Mish, z tanh(softplus(z)).

With u = exp(z) and v = exp(-z) one exponential is enough (chapter 04 derives it):

- f   = z u (u + 2) / D, D = u^2 + 2 u + 2, on the left; z (1 + 2 v) / R, R = 1 + 2 v + 2 v^2, on the right;
- f'  = u B / D^2 on the left, B = 4 (z + 1) + 4 u^2 + u^3 + u (4 z + 6), written in d = z - z0 and expm1(d)
  about its zero z0; all terms are positive on the right;
- f'' = 4 u N / D^3 and 4 v^2 N / R^3, each N by its Taylor series near its zero.
"""

from selfgated.kernels import _constants as c
from selfgated.kernels._evaluate import evaluate
from selfgated.kernels._exact import FAR, horner, scaled_exp

WINDOW = 0.4


def _mish(ops, z):
    e, k = scaled_exp(ops, -ops.abs(ops.clip(z, -FAR, FAR)))
    w = e * (k * k)  # exp(-abs(z)): u on the left, v on the right
    left = ((ops.clip(z, -FAR, FAR) * ((w + 2) / (2 + w * (2 + w))) * k) * e) * k
    return ops.where(z < 0, left, z * ((1 + 2 * w) / (1 + 2 * w * (1 + w))))


def _mish_grad(ops, z):
    z = ops.clip(z, -FAR, FAR)
    e, k = scaled_exp(ops, -ops.abs(z))
    w = e * (k * k)
    d = (z - c.MISH_ZERO_HI) - c.MISH_ZERO_LO
    g = ops.expm1(ops.clip(d, -FAR, 2.0))
    u0 = c.MISH_EXP_ZERO
    bracket = g * u0 * (u0 * u0 * (g * (g + 3) + 3) + 4 * u0 * (g + 2) + (6 + 4 * c.MISH_ZERO_HI))
    bracket = bracket + 4 * d * (1 + w)
    left = ((bracket * k) * e) * k / (2 + w * (2 + w)) ** 2
    right = (1 + 4 * w + w * w * ((6 + 4 * z) + 4 * (1 + z) * w)) / (1 + 2 * w * (1 + w)) ** 2
    return ops.where(z < 0, left, right)


def _mish_grad2(ops, z):
    z = ops.clip(z, -FAR, FAR)
    e, k = scaled_exp(ops, -ops.abs(z))
    w = e * (k * k)
    d = (z - c.MISH_FLAT_LEFT_HI) - c.MISH_FLAT_LEFT_LO
    bracket = 2 * (2 + w * (4 + w * (3 + w))) + z * (2 + w * (2 - w * (3 + 2 * w)))
    bracket = ops.where(ops.abs(d) < WINDOW, horner(c.MISH_LEFT_SERIES, d), bracket)
    left = ((4 * bracket * k) * e) * k / (2 + w * (2 + w)) ** 3
    d = (z - c.MISH_FLAT_RIGHT_HI) - c.MISH_FLAT_RIGHT_LO
    bracket = 2 * (1 + w * (3 + w * (4 + 2 * w))) + z * (w * (2 * w * (1 + w) - 3) - 2)
    bracket = ops.where(ops.abs(d) < WINDOW, horner(c.MISH_RIGHT_SERIES, d), bracket)
    right = (4 * bracket * w / (1 + 2 * w * (1 + w)) ** 3) * w
    return ops.where(z < 0, left, right)


def mish(z, *, out=None):
    """Mish: f(z) = z tanh(log(1 + exp(z))).

    References: Misra 2020. Chapter 04.
    """
    return evaluate(_mish, z, out)


def mish_grad(z, *, out=None):
    """Slope of Mish: tanh(s) + z sigma(z) (1 - tanh(s)^2) with s = softplus(z)."""
    return evaluate(_mish_grad, z, out)


def mish_grad2(z, *, out=None):
    """Second derivative of Mish."""
    return evaluate(_mish_grad2, z, out)
