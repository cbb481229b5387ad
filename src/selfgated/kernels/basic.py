"""The functions that came before, and their slopes: sigmoid, tanh, softplus, the ReLU family, ELU.

Conventions at a kink are torch's: ``relu_grad(0) = 0``, ``relu6_grad(0) = relu6_grad(6) = 0``,
``leaky_relu_grad(0) = negative_slope``, ``elu_grad(0) = alpha``; every second derivative is 0 there.
A result of zero has the sign of the exact value that rounds to it, or of the limit from the side of its
input. Arguments, types, errors and accuracy are the same for all kernels: see `selfgated.kernels`.
"""

from selfgated.kernels._evaluate import evaluate, finite
from selfgated.kernels._exact import FAR, off_tie, scaled_exp, two_product


def _identity(ops, z):
    return z


def _identity_grad(ops, z):
    return ops.where(z == z, 1.0, z)


def _identity_grad2(ops, z):
    return ops.where(z == z, 0.0, z)


def _sigmoid(ops, z):
    e = ops.exp(-ops.abs(z))
    return ops.where(z < 0, e, 1.0) / (1 + e)


def _sigmoid_grad(ops, z):
    e = ops.exp(-ops.abs(z))
    return e / (1 + e) ** 2


def _sigmoid_grad2(ops, z):
    t = ops.abs(z)
    e = ops.exp(-t)
    # -z / 8 + z^3 / 48 near 0, where the cube is lost.
    y = ops.copysign(e * ops.expm1(-t) / (1 + e) ** 3, -z)
    return off_tie(ops, y, ops.where(t < 2.0**-28, z * z * z, 0.0))


def _tanh(ops, z):
    return ops.tanh(z)


def _sech(ops, z):
    e = ops.exp(-ops.abs(z))
    return 2 * e / (1 + e * e)


def _tanh_grad(ops, z):
    # A square of two normal numbers: exp(-2 |z|) itself would be subnormal, and short of digits, from |z| =
    # 354.
    return _sech(ops, z) ** 2


def _tanh_grad2(ops, z):
    sech = _sech(ops, z)
    return (-2 * ops.tanh(z) * sech) * sech


def _softplus(ops, z):
    return ops.where(z > 0, z, 0.0) + ops.log1p(ops.exp(-ops.abs(z)))


def _relu(ops, z):
    return ops.where(z <= 0, 0.0, z)


def _relu_grad(ops, z):
    return ops.where(z <= 0, 0.0, ops.where(z > 0, 1.0, z))


def _relu6(ops, z):
    return ops.where(z <= 0, 0.0, ops.where(z >= 6, 6.0, z))


def _relu6_grad(ops, z):
    return ops.where((z <= 0) | (z >= 6), 0.0, ops.where(z == z, 1.0, z))


def _leaky_relu(ops, z, negative_slope):
    if negative_slope == 0:  # 0 times minus infinity is not a number
        return ops.where(z <= 0, ops.copysign(0.0, z), z)
    return ops.where(z > 0, z, off_tie(ops, *two_product(z, negative_slope)))


def _leaky_relu_grad(ops, z, negative_slope):
    return ops.where(z <= 0, negative_slope, ops.where(z > 0, 1.0, z))


def _leaky_relu_grad2(ops, z, negative_slope):
    return _identity_grad2(ops, z)


def _elu(ops, z, alpha):
    return ops.where(z > 0, z, alpha * ops.expm1(ops.clip(z, -FAR, 0.0)))


def _elu_grad(ops, z, alpha):
    return ops.where(z > 0, 1.0, _elu_tail(ops, z, alpha))


def _elu_grad2(ops, z, alpha):
    return ops.where(z >= 0, 0.0, _elu_tail(ops, z, alpha))


def _elu_tail(ops, z, alpha):
    e, k = scaled_exp(ops, ops.clip(z, -FAR, 0.0))
    return alpha * k * e * k


def identity(z, *, out=None):
    """Identity: f(z) = z."""
    return evaluate(_identity, z, out)


def identity_grad(z, *, out=None):
    """Slope of the identity: 1."""
    return evaluate(_identity_grad, z, out)


def identity_grad2(z, *, out=None):
    """Second derivative of the identity: 0."""
    return evaluate(_identity_grad2, z, out)


def sigmoid(z, *, out=None):
    """Logistic sigmoid: sigma(z) = 1 / (1 + exp(-z)).

    Computed from exp(-abs(z)), which cannot overflow.
    """
    return evaluate(_sigmoid, z, out)


def sigmoid_grad(z, *, out=None):
    """Slope of the sigmoid: sigma'(z) = sigma(z) sigma(-z) = e / (1 + e)^2 with e = exp(-abs(z)).

    The common s (1 - s) loses every digit where s rounds to 1.
    """
    return evaluate(_sigmoid_grad, z, out)


def sigmoid_grad2(z, *, out=None):
    """Second derivative of the sigmoid: sigma''(z) = sigma'(z) (1 - 2 sigma(z)); odd."""
    return evaluate(_sigmoid_grad2, z, out)


def tanh(z, *, out=None):
    """Hyperbolic tangent: tanh(z) = 2 sigma(2 z) - 1."""
    return evaluate(_tanh, z, out)


def tanh_grad(z, *, out=None):
    """Slope of tanh: sech(z)^2. The common 1 - tanh(z)^2 loses every digit for large abs(z)."""
    return evaluate(_tanh_grad, z, out)


def tanh_grad2(z, *, out=None):
    """Second derivative of tanh: -2 tanh(z) sech(z)^2; odd."""
    return evaluate(_tanh_grad2, z, out)


def softplus(z, *, out=None):
    """Softplus: log(1 + exp(z)) = max(z, 0) + log(1 + exp(-abs(z))), the integral of the sigmoid."""
    return evaluate(_softplus, z, out)


def softplus_grad(z, *, out=None):
    """Slope of softplus: sigma(z)."""
    return evaluate(_sigmoid, z, out)


def softplus_grad2(z, *, out=None):
    """Second derivative of softplus: sigma'(z)."""
    return evaluate(_sigmoid_grad, z, out)


def relu(z, *, out=None):
    """Rectified linear unit: max(z, 0)."""
    return evaluate(_relu, z, out)


def relu_grad(z, *, out=None):
    """Slope of ReLU: 1 for z > 0, 0 for z <= 0 (at the kink torch's 0)."""
    return evaluate(_relu_grad, z, out)


def relu_grad2(z, *, out=None):
    """Second derivative of ReLU: 0, at the kink too."""
    return evaluate(_identity_grad2, z, out)


def relu6(z, *, out=None):
    """ReLU cut at 6: min(max(z, 0), 6)."""
    return evaluate(_relu6, z, out)


def relu6_grad(z, *, out=None):
    """Slope of ReLU6: 1 for 0 < z < 6, else 0 (at the kinks torch's 0)."""
    return evaluate(_relu6_grad, z, out)


def relu6_grad2(z, *, out=None):
    """Second derivative of ReLU6: 0, at the kinks too."""
    return evaluate(_identity_grad2, z, out)


def leaky_relu(z, negative_slope=0.01, *, out=None):
    """Leaky ReLU: z for z > 0, negative_slope z for z <= 0; negative_slope is any finite number."""
    return evaluate(_leaky_relu, z, out, finite("negative_slope", negative_slope))


def leaky_relu_grad(z, negative_slope=0.01, *, out=None):
    """Slope of Leaky ReLU: 1 for z > 0, negative_slope for z <= 0 (at the kink torch's)."""
    return evaluate(_leaky_relu_grad, z, out, finite("negative_slope", negative_slope))


def leaky_relu_grad2(z, negative_slope=0.01, *, out=None):
    """Second derivative of Leaky ReLU: 0, at the kink too."""
    return evaluate(_leaky_relu_grad2, z, out, finite("negative_slope", negative_slope))


def elu(z, alpha=1.0, *, out=None):
    """Exponential linear unit: z for z > 0, alpha (exp(z) - 1) for z <= 0; alpha is any finite number."""
    return evaluate(_elu, z, out, finite("alpha", alpha))


def elu_grad(z, alpha=1.0, *, out=None):
    """Slope of ELU: 1 for z > 0, alpha exp(z) for z <= 0 (at the kink torch's alpha)."""
    return evaluate(_elu_grad, z, out, finite("alpha", alpha))


def elu_grad2(z, alpha=1.0, *, out=None):
    """Second derivative of ELU: 0 for z >= 0 (so at the kink), alpha exp(z) for z < 0."""
    return evaluate(_elu_grad2, z, out, finite("alpha", alpha))
