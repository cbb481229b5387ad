"""Activations for torch autograd: one hand-written Function that keeps z alone and differentiates twice.

The formulas are those of `selfgated.kernels`, run by torch: float64 inside, one rounding at the end. A *term*
is upstream * f^(i, j)(z, beta), the i-th derivative in z and j-th in beta, times an upstream gradient. The
derivatives of a term are terms:

- in z: upstream * f^(i + 1, j), in beta: upstream * f^(i, j + 1), in upstream: f^(i, j).

So one Function, `Term`, is its own backward pass. It ends where the formulas end, at i + j = 2: a third
derivative raises NotImplementedError. Composed torch operations would instead keep every intermediate, and
their `torch.where` would multiply an infinite slope of the branch not taken by zero.
"""

from types import SimpleNamespace

import torch

from selfgated.kernels import _constants as c
from selfgated.kernels import basic, gelu, hard_swish, mish, swish
from selfgated.kernels._exact import FAR, scaled_exp, scaled_product

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
BLOCK = 2**15  # elements a thread: float64 temporaries stay in the cache, and torch splits no finer
LOW_BITS = 2**29 - 1  # the bits of a float64 below those of a float32


def _abs(x):
    return x.abs() if isinstance(x, torch.Tensor) else abs(x)


def _copysign(x, y):
    return torch.copysign(x if isinstance(x, torch.Tensor) else torch.full_like(y, x), y)


def _where(condition, x, y):
    if not isinstance(condition, torch.Tensor):
        return x if condition else y
    if not isinstance(x, torch.Tensor) and not isinstance(y, torch.Tensor):
        # Of two Python numbers torch.where makes float32, in which 2e-174 is 0.
        x = torch.full((), x, dtype=torch.float64, device=condition.device)
    return torch.where(condition, x, y)


OPS = SimpleNamespace(
    abs=_abs,
    clip=torch.clamp,
    copysign=_copysign,
    erfcx=torch.special.erfcx,
    exp=torch.exp,
    expm1=torch.expm1,
    log1p=torch.log1p,
    tanh=torch.tanh,
    where=_where,
)


def _swish_mixed(ops, z, beta):
    """d2f / dz dbeta = z sigma'(a) (2 - a tanh(a / 2)), a = beta z: the curvature with z for beta."""
    hi, lo = scaled_product(ops, z, beta)
    return ops.where(ops.abs(hi) == FAR, 0.0, swish._curvature(ops, hi, lo, z))


def _swish_beta_grad2(ops, z, beta):
    """d2f / dbeta2 = z^3 sigma''(a) = -(z^2 sigma'(a)) (z tanh(a / 2)), a = beta z."""
    hi, lo = scaled_product(ops, z, beta)
    e, k = scaled_exp(ops, -ops.abs(hi) / 2, -ops.copysign(lo, lo * hi) / 2)
    root = (z * k) * e * k / (1 + (e * k * k) ** 2)
    # Not z^3, which overflows from 1e103.
    value = -(root * (z * ops.tanh(hi / 2))) * root
    return ops.where((ops.abs(hi) == FAR) | (hi == 0), 0.0, value)


def _orders(f, grad, grad2):
    return {(0, 0): f, (1, 0): grad, (2, 0): grad2}


FORMULAS = {
    "identity": _orders(basic._identity, basic._identity_grad, basic._identity_grad2),
    "sigmoid": _orders(basic._sigmoid, basic._sigmoid_grad, basic._sigmoid_grad2),
    "tanh": _orders(basic._tanh, basic._tanh_grad, basic._tanh_grad2),
    "softplus": _orders(basic._softplus, basic._sigmoid, basic._sigmoid_grad),
    "relu": _orders(basic._relu, basic._relu_grad, basic._identity_grad2),
    "relu6": _orders(basic._relu6, basic._relu6_grad, basic._identity_grad2),
    "leaky_relu": _orders(basic._leaky_relu, basic._leaky_relu_grad, basic._leaky_relu_grad2),
    "elu": _orders(basic._elu, basic._elu_grad, basic._elu_grad2),
    "silu": _orders(swish._silu, swish._silu_grad, swish._silu_grad2),
    "swish": _orders(swish._swish, swish._swish_grad, swish._swish_grad2)
    | {(0, 1): swish._swish_beta_grad, (1, 1): _swish_mixed, (0, 2): _swish_beta_grad2},
    "hard_sigmoid": _orders(
        hard_swish._hard_sigmoid, hard_swish._hard_sigmoid_grad, hard_swish._hard_sigmoid_grad2
    ),
    "hard_swish": _orders(hard_swish._hard_swish, hard_swish._hard_swish_grad, hard_swish._hard_swish_grad2),
    "gelu": _orders(gelu._gelu, gelu._gelu_grad, gelu._gelu_grad2),
    "gelu_tanh": _orders(gelu._gelu_tanh, gelu._gelu_tanh_grad, gelu._gelu_tanh_grad2),
    "gelu_sigmoid": _orders(gelu._gelu_sigmoid, gelu._gelu_sigmoid_grad, gelu._gelu_sigmoid_grad2),
    "mish": _orders(mish._mish, mish._mish_grad, mish._mish_grad2),
}
