"""GELU, z Phi(z), and its two published approximations.

Since Phi(z) + Phi(-z) = 1, f(z) - f(-z) = z and f'(z) + f'(-z) = 1, and f'' is even: everything is computed
at -t, t = abs(z), where nothing cancels, and mirrored. With the Mills ratio M(t) = (1 - Phi(t)) / phi(t) =
sqrt(pi/2) erfcx(t / sqrt 2):

- f(-t)   = -t phi(t) M(t);
- f'(-t)  = phi(t) (M(t) - t) = exp(-t^2 / 2) (erfcx(t / sqrt 2) - sqrt(2/pi) t) / 2, the bracket by its
  Taylor series near its zero;
- f''(-t) = phi(t) (sqrt 2 - t) (sqrt 2 + t).

t^2 is carried as hi + lo, since phi has the absolute error of t^2 / 2 as its relative error. gelu_tanh is
t sigma(v) with v = 2 sqrt(2/pi) (t + 0.044715 t^3), v carried as hi + lo; gelu_sigmoid is Swish with beta =
1.702.
"""

from selfgated.kernels import _constants as c
from selfgated.kernels._evaluate import evaluate
from selfgated.kernels._exact import FAR, horner, off_tie, quadratic_rest, scaled_exp, two_product, two_sum
from selfgated.kernels.swish import _swish, _swish_grad, _swish_grad2

T_MAX = 60.0  # exp(-T_MAX^2 / 2) is zero
WINDOW = 0.35
NEAR = 0.5


def _gelu(ops, z):
    t, e, k = _density(ops, z)
    x = t * c.SQRT_HALF
    # scipy's and torch's erfcx are short of digits near 0, where erfc is not.
    tail = (0.5 * t) * ops.where(t < NEAR, ops.erfc(x), 1.0)
    tail = ops.where(t < NEAR, tail, ((tail * k) * ops.erfcx(x) * e) * k)
    return off_tie(ops, ops.where(z < 0, -tail, z - tail), quadratic_rest(ops, z, z))


def _gelu_grad(ops, z):
    t, e, k = _density(ops, z)
    d = (t - c.GELU_ZERO_HI) - c.GELU_ZERO_LO
    x = t * c.SQRT_HALF
    bracket = ops.erfcx(x) - c.SQRT_2_OVER_PI * t
    bracket = ops.where(ops.abs(d) < WINDOW, horner(c.GELU_SLOPE_SERIES, d), bracket)
    left = ((0.5 * bracket * k) * e) * k
    left = ops.where(t < NEAR, 0.5 * ops.erfc(x) - c.INV_SQRT_2PI * t * e, left)
    return ops.where(z > 0, 1 - left, left)


def _gelu_grad2(ops, z):
    t, e, k = _density(ops, z)
    bracket = ((c.SQRT_2_HI - t) + c.SQRT_2_LO) * (c.SQRT_2_HI + t)
    return ((c.INV_SQRT_2PI * bracket * k) * e) * k


def _density(ops, z):
    """t = abs(z), at most T_MAX, and exp(-t^2 / 2) = k e k."""
    t = ops.clip(ops.abs(z), 0.0, T_MAX)
    hi, lo = two_product(t, t)
    return (t, *scaled_exp(ops, -0.5 * hi, -0.5 * lo))


def _gelu_tanh(ops, z):
    t, _, e, k = _tanh_gate(ops, z)
    tail = ((t * k) * e) * k
    y = ops.where(z < 0, -tail, z) / (1 + e * (k * k))
    return off_tie(ops, y, quadratic_rest(ops, z, z))


def _gelu_tanh_grad(ops, z):
    t, t2, e, k = _tanh_gate(ops, z)
    t0 = c.TANH_ZERO_HI
    d = (t0 - t) + c.TANH_ZERO_LO
    cube = t2 + t0 * t + t0 * t0
    grow = c.TANH_C_HI * d * (1 + c.TANH_A_HI * cube)
    bracket = c.TANH_C_HI * d * (1 + 3 * c.TANH_A_HI * cube) + c.TANH_EXP_ZERO * ops.expm1(grow)
    left = ((bracket * k) * e) * k / (1 + e * (k * k)) ** 2
    return ops.where(z > 0, 1 - left, left)


def _gelu_tanh_grad2(ops, z):
    t, t2, e, k = _tanh_gate(ops, z)
    whole = e * (k * k)
    v1 = c.TANH_C_HI * (1 + 3 * c.TANH_A_HI * t2)
    bracket = 2 * v1 + t * (6 * c.TANH_C_HI * c.TANH_A_HI * t - v1 * v1 * ((1 - whole) / (1 + whole)))
    d = (t - c.TANH_FLAT_HI) - c.TANH_FLAT_LO
    bracket = ops.where(ops.abs(d) < WINDOW, horner(c.TANH_CURVATURE_SERIES, d), bracket)
    return ((bracket * k) * e) * k / (1 + whole) ** 2


def _tanh_gate(ops, z):
    """t = abs(z), at most T_MAX, its square, and exp(-v(t)) = k e k."""
    t = ops.clip(ops.abs(z), 0.0, T_MAX)
    square, square_lo = two_product(t, t)
    p, p_lo = two_product(square, c.TANH_A_HI)
    w, w_lo = two_sum(p, 1.0)
    w_lo = w_lo + (p_lo + square_lo * c.TANH_A_HI + square * c.TANH_A_LO)
    y, y_lo = two_product(t, w)
    v, v_lo = two_product(y, c.TANH_C_HI)
    v_lo = v_lo + ((y_lo + t * w_lo) * c.TANH_C_HI + y * c.TANH_C_LO)
    e, k = scaled_exp(ops, ops.clip(-v, -FAR, 0.0), -v_lo)
    return t, square, e, k


def _gelu_sigmoid(ops, z):
    return _swish(ops, z, c.SIGMOID_BETA_HI, c.SIGMOID_BETA_LO)


def _gelu_sigmoid_grad(ops, z):
    return _swish_grad(ops, z, c.SIGMOID_BETA_HI, c.SIGMOID_BETA_LO)


def _gelu_sigmoid_grad2(ops, z):
    return _swish_grad2(ops, z, c.SIGMOID_BETA_HI, c.SIGMOID_BETA_LO)


def gelu(z, *, out=None):
    """Gaussian error linear unit: f(z) = z Phi(z), Phi the standard normal distribution function.

    The common z (1 + erf(z / sqrt 2)) / 2 cancels: it is 0 from z = -5.6 in float32 and from z = -8.4 in
    float64.

    References: Hendrycks and Gimpel 2016. Chapter 03.
    """
    return evaluate(_gelu, z, out)


def gelu_grad(z, *, out=None):
    """Slope of GELU: Phi(z) + z phi(z). Largest at sqrt 2."""
    return evaluate(_gelu_grad, z, out)


def gelu_grad2(z, *, out=None):
    """Second derivative of GELU: phi(z) (2 - z^2); even."""
    return evaluate(_gelu_grad2, z, out)


def gelu_tanh(z, *, out=None):
    """GELU by tanh: z (1 + tanh(sqrt(2/pi) (z + 0.044715 z^3))) / 2, the decimal 0.044715 taken exactly."""
    return evaluate(_gelu_tanh, z, out)


def gelu_tanh_grad(z, *, out=None):
    """Slope of gelu_tanh."""
    return evaluate(_gelu_tanh_grad, z, out)


def gelu_tanh_grad2(z, *, out=None):
    """Second derivative of gelu_tanh; even."""
    return evaluate(_gelu_tanh_grad2, z, out)


def gelu_sigmoid(z, *, out=None):
    """GELU by a sigmoid: z sigma(1.702 z), the decimal 1.702 taken exactly: a Swish."""
    return evaluate(_gelu_sigmoid, z, out)


def gelu_sigmoid_grad(z, *, out=None):
    """Slope of gelu_sigmoid."""
    return evaluate(_gelu_sigmoid_grad, z, out)


def gelu_sigmoid_grad2(z, *, out=None):
    """Second derivative of gelu_sigmoid; even."""
    return evaluate(_gelu_sigmoid_grad2, z, out)
