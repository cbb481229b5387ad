"""Swish, z sigma(beta z), with its slopes in z and in beta; SiLU is beta = 1.

Write a = beta z, E = exp(-abs(a)), W = W(1/e) (Lambert), u = coth(u). Then (chapter 02 derives it)

- f   = z {1 or E} / (1 + E), the 1 where a >= 0;
- f'  = (1 + E + a E) / (1 + E)^2 for a >= 0, and E (d + W expm1(d)) / (1 + E)^2 with d = a + 1 + W for a < 0;
- f'' = beta E M / (1 + E)^3 with M = (2 - t) + E (2 + t), t = abs(a); near its zero t = 2u with d = t - 2u,
  M = (2u - 2) expm1(-d) + d expm1(-t);
- df/dbeta = z^2 E / (1 + E)^2.

No term cancels another. a is carried as hi + lo, since E has the absolute error of a as its relative error.
"""

from selfgated.kernels import _constants as c
from selfgated.kernels._evaluate import evaluate, finite
from selfgated.kernels._exact import FAR, off_tie, quadratic_rest, scaled_exp, scaled_product, two_sum

SMALL = 2.0**-14  # below, the fourth power is lost beside 1


def _silu(ops, z):
    return _value(ops, z, ops.clip(z, -FAR, FAR))


def _silu_grad(ops, z):
    return _slope(ops, ops.clip(z, -FAR, FAR))


def _silu_grad2(ops, z):
    return _curvature(ops, ops.clip(z, -FAR, FAR))


def _swish(ops, z, beta, beta_lo=0.0):
    return _value(ops, z, *scaled_product(ops, z, beta, beta_lo))


def _swish_grad(ops, z, beta, beta_lo=0.0):
    return _slope(ops, *scaled_product(ops, z, beta, beta_lo))


def _swish_grad2(ops, z, beta, beta_lo=0.0):
    return _curvature(ops, *scaled_product(ops, z, beta, beta_lo), beta)


def _swish_beta_grad(ops, z, beta):
    hi, lo = scaled_product(ops, z, beta)
    e, k = scaled_exp(ops, -ops.abs(hi) / 2, -ops.copysign(lo, lo * hi) / 2)
    # The square of z sqrt(E) / (1 + E): z^2 alone overflows from 1e154.
    root = ops.where(ops.abs(hi) == FAR, 0.0, (z * k) * e * k / (1 + (e * k * k) ** 2))
    return _below(ops, root * root, (0.5 * z) ** 2, ops.clip(hi, -SMALL, SMALL) / 2)


def _below(ops, y, top, x):
    """top (1 - x^2) where abs(x) < SMALL / 2, else y: just below a number that may be a tie."""
    small = ops.abs(x) < SMALL / 2
    return ops.where(small, off_tie(ops, top * (1 - x * x), -ops.abs(x) * top), y)


def _value(ops, z, a, lo=0.0):
    e, k = scaled_exp(ops, -ops.abs(a), ops.copysign(1.0, -a) * lo)
    tail = ops.where(e == 0, ops.copysign(0.0, z), ((z * k) * e) * k)
    y = ops.where(a < 0, tail, z) / (1 + e * (k * k))
    return off_tie(ops, y, quadratic_rest(ops, z, a))


def _slope(ops, a, lo=0.0):
    e, k = scaled_exp(ops, -ops.abs(a), ops.copysign(1.0, -a) * lo)
    whole = e * (k * k)
    d_lo, rest = two_sum(lo, c.SWISH_ZERO_LO)
    d = ((a + c.SWISH_ZERO_HI) + d_lo) + (rest + c.SWISH_ZERO_REST)
    left = ((d + c.LAMBERT_W * ops.expm1(ops.clip(d, -FAR, 2.0))) * k * e) * k
    return ops.where(a < 0, left, 1 + whole + a * whole) / (1 + whole) ** 2


def _curvature(ops, a, lo=0.0, beta=1.0):
    t, t_lo = ops.abs(a), ops.copysign(1.0, a) * lo
    e, k = scaled_exp(ops, -t, -t_lo)
    whole = e * (k * k)
    d_lo, rest = two_sum(t_lo, -c.SWISH_FLAT_LO)
    d = ((t - c.SWISH_FLAT_HI) + d_lo) + (rest - c.SWISH_FLAT_REST)
    near = (c.SWISH_FLAT_HI - 2) * ops.expm1(-d) + d * ops.expm1(-t)
    bracket = ops.where(t < 1, (2 - t) + whole * (2 + t), near)
    y = ((beta * k) * (bracket / (1 + whole) ** 3 * e)) * k
    # Near 0, beta / 2 (1 - t^2 / 2).
    return _below(ops, y, 0.5 * beta + 0.0 * t, ops.clip(t, 0.0, SMALL) * c.SQRT_HALF)


def silu(z, *, out=None):
    """Sigmoid linear unit, Swish with beta = 1: f(z) = z sigma(z).

    Lowest at -(1 + W), where f = -W, W = W(1/e); steepest at 2u, with slope (1 + u) / 2, u = coth(u).

    References: Elfwing et al. 2018; Hendrycks and Gimpel 2016; Ramachandran et al. 2017. Chapter 02.
    """
    return evaluate(_silu, z, out)


def silu_grad(z, *, out=None):
    """Slope of SiLU: sigma(z) (1 + z sigma(-z))."""
    return evaluate(_silu_grad, z, out)


def silu_grad2(z, *, out=None):
    """Second derivative of SiLU: sigma'(z) (2 - z tanh(z / 2)); even."""
    return evaluate(_silu_grad2, z, out)


def swish(z, beta=1.0, *, out=None):
    """Swish: f(z) = z sigma(beta z).

    Parameters
    ----------
    z : array_like, any shape
    beta : float
        Any finite number, used as the float64 that it is; 0 gives z / 2, and f(z; -beta) = z - f(z; beta).
    out : ndarray, optional
        See `selfgated.kernels`.

    Raises
    ------
    ValueError
        If `beta` is NaN or infinite.

    References
    ----------
    Ramachandran, Zoph and Le 2017. Chapter 02.

    Examples
    --------
    >>> swish([-1.0, 0.0, 2.0], beta=0.0)
    array([-0.5,  0. ,  1. ])
    """
    return evaluate(_swish, z, out, finite("beta", beta))


def swish_grad(z, beta=1.0, *, out=None):
    """Slope of Swish in z: sigma(a) (1 + a sigma(-a)) with a = beta z."""
    return evaluate(_swish_grad, z, out, finite("beta", beta))


def swish_grad2(z, beta=1.0, *, out=None):
    """Second derivative of Swish in z: beta sigma'(a) (2 - a tanh(a / 2)) with a = beta z; even in z."""
    return evaluate(_swish_grad2, z, out, finite("beta", beta))


def swish_beta_grad(z, beta=1.0, *, out=None):
    """Derivative of Swish in beta: df/dbeta = z^2 sigma'(beta z), never negative."""
    return evaluate(_swish_beta_grad, z, out, finite("beta", beta))
