"""Every activation f for torch, with f' (``_grad``) and f'' (``_grad2``), elementwise and differentiable.

``gelu(z)`` and ``gelu_grad(z)`` can be differentiated as often as there are formulas: gelu twice, gelu_grad
once. ``gelu_grad2(z)`` cannot: a backward pass through it raises NotImplementedError.

Parameters
----------
z : Tensor of float16, bfloat16, float32 or float64, any shape and device
    Pre-activations, dimensionless.

Returns
-------
Tensor: the shape, dtype and device of `z`.

Raises
------
TypeError
    If `z` is not a tensor of one of the four types; a parameter is not a real number.
ValueError
    If a parameter is NaN or infinite.

Notes
-----
The formulas, the conventions at kinks and the accuracy are those of `selfgated.kernels`: float64 inside, one
rounding at the end, so that 16-bit results are correctly rounded and float32 ones within 0.51 ULP; so are
first gradients times an upstream gradient, which are rounded once too (``tests/test_functional.py``, chapter
07). The device must know float64.

Under autocast a function computes with what it receives and returns that type. For the backward pass z alone
is kept. `torch.func`, forward mode and torch.compile work; compiled code has no double backward (a limit of
torch.compile).

Examples
--------
>>> import torch
>>> z = torch.tensor([-20.0, 0.0, 20.0], requires_grad=True)
>>> (slope,) = torch.autograd.grad(silu(z).sum(), z)
>>> slope
tensor([-3.9162e-08,  5.0000e-01,  1.0000e+00])
"""

import torch

from selfgated.autograd import checked, term
from selfgated.kernels._evaluate import finite

__all__ = [
    "elu",
    "elu_grad",
    "elu_grad2",
    "gelu",
    "gelu_grad",
    "gelu_grad2",
    "gelu_sigmoid",
    "gelu_sigmoid_grad",
    "gelu_sigmoid_grad2",
    "gelu_tanh",
    "gelu_tanh_grad",
    "gelu_tanh_grad2",
    "hard_sigmoid",
    "hard_sigmoid_grad",
    "hard_sigmoid_grad2",
    "hard_swish",
    "hard_swish_grad",
    "hard_swish_grad2",
    "identity",
    "identity_grad",
    "identity_grad2",
    "leaky_relu",
    "leaky_relu_grad",
    "leaky_relu_grad2",
    "mish",
    "mish_grad",
    "mish_grad2",
    "relu",
    "relu6",
    "relu6_grad",
    "relu6_grad2",
    "relu_grad",
    "relu_grad2",
    "sigmoid",
    "sigmoid_grad",
    "sigmoid_grad2",
    "silu",
    "silu_grad",
    "silu_grad2",
    "softplus",
    "softplus_grad",
    "softplus_grad2",
    "swish",
    "swish_beta_grad",
    "swish_grad",
    "swish_grad2",
    "tanh",
    "tanh_grad",
    "tanh_grad2",
]


def identity(z):
    """Identity: f(z) = z."""
    return term("identity", z)


def identity_grad(z):
    """Slope of the identity: 1."""
    return term("identity", z, i=1)


def identity_grad2(z):
    """Second derivative of the identity: 0."""
    return term("identity", z, i=2)


def sigmoid(z):
    """Logistic sigmoid: 1 / (1 + exp(-z))."""
    return term("sigmoid", z)


def sigmoid_grad(z):
    """Slope of the sigmoid: sigma(z) sigma(-z)."""
    return term("sigmoid", z, i=1)


def sigmoid_grad2(z):
    """Second derivative of the sigmoid: sigma'(z) (1 - 2 sigma(z)); odd."""
    return term("sigmoid", z, i=2)


def tanh(z):
    """Hyperbolic tangent."""
    return term("tanh", z)


def tanh_grad(z):
    """Slope of tanh: sech(z)^2."""
    return term("tanh", z, i=1)


def tanh_grad2(z):
    """Second derivative of tanh: -2 tanh(z) sech(z)^2; odd."""
    return term("tanh", z, i=2)


def softplus(z):
    """Softplus: log(1 + exp(z)). Unlike torch's it has no threshold from which it is z."""
    return term("softplus", z)


def softplus_grad(z):
    """Slope of softplus: sigma(z)."""
    return term("softplus", z, i=1)


def softplus_grad2(z):
    """Second derivative of softplus: sigma'(z)."""
    return term("softplus", z, i=2)


def relu(z):
    """Rectified linear unit: max(z, 0)."""
    return term("relu", z)


def relu_grad(z):
    """Slope of ReLU: 1 for z > 0, 0 for z <= 0."""
    return term("relu", z, i=1)


def relu_grad2(z):
    """Second derivative of ReLU: 0, at the kink too."""
    return term("relu", z, i=2)


def relu6(z):
    """ReLU cut at 6: min(max(z, 0), 6)."""
    return term("relu6", z)


def relu6_grad(z):
    """Slope of ReLU6: 1 for 0 < z < 6, else 0."""
    return term("relu6", z, i=1)


def relu6_grad2(z):
    """Second derivative of ReLU6: 0, at the kinks too."""
    return term("relu6", z, i=2)


def leaky_relu(z, negative_slope=0.01):
    """Leaky ReLU: z for z > 0, negative_slope z for z <= 0."""
    return term("leaky_relu", z, param=finite("negative_slope", negative_slope))


def leaky_relu_grad(z, negative_slope=0.01):
    """Slope of Leaky ReLU: 1 for z > 0, negative_slope for z <= 0."""
    return term("leaky_relu", z, i=1, param=finite("negative_slope", negative_slope))


def leaky_relu_grad2(z, negative_slope=0.01):
    """Second derivative of Leaky ReLU: 0, at the kink too."""
    return term("leaky_relu", z, i=2, param=finite("negative_slope", negative_slope))


def elu(z, alpha=1.0):
    """Exponential linear unit: z for z > 0, alpha (exp(z) - 1) for z <= 0."""
    return term("elu", z, param=finite("alpha", alpha))


def elu_grad(z, alpha=1.0):
    """Slope of ELU: 1 for z > 0, alpha exp(z) for z <= 0."""
    return term("elu", z, i=1, param=finite("alpha", alpha))


def elu_grad2(z, alpha=1.0):
    """Second derivative of ELU: 0 for z >= 0, alpha exp(z) for z < 0."""
    return term("elu", z, i=2, param=finite("alpha", alpha))


def silu(z):
    """Sigmoid linear unit: z sigma(z), Swish with beta = 1. Chapter 02."""
    return term("silu", z)


def silu_grad(z):
    """Slope of SiLU: sigma(z) (1 + z sigma(-z))."""
    return term("silu", z, i=1)


def silu_grad2(z):
    """Second derivative of SiLU: sigma'(z) (2 - z tanh(z / 2)); even."""
    return term("silu", z, i=2)


def swish(z, beta=1.0):
    """Swish: f(z) = z sigma(beta z).

    Parameters
    ----------
    z : Tensor, any shape
    beta : float or Tensor
        A tensor broadcasts against `z`, gets a gradient, and is never read on the host; it may have another
        floating dtype. An infinite or NaN element gives NaN. A float must be finite.

    Returns
    -------
    Tensor of the broadcast shape and the dtype of `z`.

    References
    ----------
    Ramachandran, Zoph and Le 2017. Chapter 02.

    Examples
    --------
    >>> beta = torch.tensor(0.5, requires_grad=True)
    >>> (grad,) = torch.autograd.grad(swish(torch.tensor([1.0, 2.0]), beta).sum(), beta)
    >>> round(grad.item(), 4)
    1.0215
    """
    return _swish(z, beta, 0, 0)


def swish_grad(z, beta=1.0):
    """Slope of Swish in z: sigma(a) (1 + a sigma(-a)) with a = beta z. Arguments: see `swish`."""
    return _swish(z, beta, 1, 0)


def swish_grad2(z, beta=1.0):
    """Second derivative of Swish in z: beta sigma'(a) (2 - a tanh(a / 2)) with a = beta z."""
    return _swish(z, beta, 2, 0)


def swish_beta_grad(z, beta=1.0):
    """Derivative of Swish in beta: z^2 sigma'(beta z), never negative. Arguments: see `swish`."""
    return _swish(z, beta, 0, 1)


def hard_sigmoid(z):
    """Hard sigmoid: relu6(z + 3) / 6."""
    return term("hard_sigmoid", z)


def hard_sigmoid_grad(z):
    """Slope of the hard sigmoid: 1/6 for -3 < z < 3, else 0."""
    return term("hard_sigmoid", z, i=1)


def hard_sigmoid_grad2(z):
    """Second derivative of the hard sigmoid: 0, at the kinks too."""
    return term("hard_sigmoid", z, i=2)


def hard_swish(z):
    """h-swish: z relu6(z + 3) / 6. Chapter 05."""
    return term("hard_swish", z)


def hard_swish_grad(z):
    """Slope of h-swish: 0 for z <= -3, z / 3 + 1/2 between, 1 for z >= 3."""
    return term("hard_swish", z, i=1)


def hard_swish_grad2(z):
    """Second derivative of h-swish: 1/3 for -3 < z < 3, else 0."""
    return term("hard_swish", z, i=2)


def gelu(z):
    """Gaussian error linear unit: z Phi(z). Chapter 03."""
    return term("gelu", z)


def gelu_grad(z):
    """Slope of GELU: Phi(z) + z phi(z)."""
    return term("gelu", z, i=1)


def gelu_grad2(z):
    """Second derivative of GELU: phi(z) (2 - z^2); even."""
    return term("gelu", z, i=2)


def gelu_tanh(z):
    """GELU by tanh: z (1 + tanh(sqrt(2/pi) (z + 0.044715 z^3))) / 2."""
    return term("gelu_tanh", z)


def gelu_tanh_grad(z):
    """Slope of gelu_tanh."""
    return term("gelu_tanh", z, i=1)


def gelu_tanh_grad2(z):
    """Second derivative of gelu_tanh; even."""
    return term("gelu_tanh", z, i=2)


def gelu_sigmoid(z):
    """GELU by a sigmoid: z sigma(1.702 z)."""
    return term("gelu_sigmoid", z)


def gelu_sigmoid_grad(z):
    """Slope of gelu_sigmoid."""
    return term("gelu_sigmoid", z, i=1)


def gelu_sigmoid_grad2(z):
    """Second derivative of gelu_sigmoid; even."""
    return term("gelu_sigmoid", z, i=2)


def mish(z):
    """Mish: z tanh(log(1 + exp(z))). Chapter 04."""
    return term("mish", z)


def mish_grad(z):
    """Slope of Mish: tanh(s) + z sigma(z) (1 - tanh(s)^2) with s = softplus(z)."""
    return term("mish", z, i=1)


def mish_grad2(z):
    """Second derivative of Mish."""
    return term("mish", z, i=2)


def _swish(z, beta, i, j):
    if isinstance(beta, torch.Tensor):
        return term("swish", z, checked(beta, "beta"), i=i, j=j)
    return term("swish", z, i=i, j=j, param=finite("beta", beta))
