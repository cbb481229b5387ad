"""Activations for torch autograd: one hand-written Function that keeps z alone and differentiates twice.

The formulas are those of `selfgated.kernels`, run by torch: float64 inside, one rounding at the end. A *term*
is upstream * f^(i, j)(z, beta), the i-th derivative in z and j-th in beta, times an upstream gradient. The
derivatives of a term are terms:

- in z: upstream * f^(i + 1, j), in beta: upstream * f^(i, j + 1), in upstream: f^(i, j).

So one Function, `Term`, is its own backward pass. It ends where the formulas end, at i + j = 2: a third
derivative raises NotImplementedError. Composed torch operations would instead keep every intermediate, and
their `torch.where` would multiply an infinite slope of the branch not taken by zero.
"""

from dataclasses import dataclass
from types import SimpleNamespace

import torch

from selfgated.kernels._exact import FAR, scaled_exp, scaled_product
from selfgated.kernels.basic import (
    _elu,
    _elu_grad,
    _elu_grad2,
    _identity,
    _identity_grad,
    _identity_grad2,
    _leaky_relu,
    _leaky_relu_grad,
    _leaky_relu_grad2,
    _relu,
    _relu6,
    _relu6_grad,
    _relu_grad,
    _sigmoid,
    _sigmoid_grad,
    _sigmoid_grad2,
    _softplus,
    _tanh,
    _tanh_grad,
    _tanh_grad2,
)
from selfgated.kernels.gelu import (
    _gelu,
    _gelu_grad,
    _gelu_grad2,
    _gelu_sigmoid,
    _gelu_sigmoid_grad,
    _gelu_sigmoid_grad2,
    _gelu_tanh,
    _gelu_tanh_grad,
    _gelu_tanh_grad2,
)
from selfgated.kernels.hard_swish import (
    _hard_sigmoid,
    _hard_sigmoid_grad,
    _hard_sigmoid_grad2,
    _hard_swish,
    _hard_swish_grad,
    _hard_swish_grad2,
)
from selfgated.kernels.mish import (
    _mish,
    _mish_grad,
    _mish_grad2,
)
from selfgated.kernels.swish import (
    _curvature,
    _silu,
    _silu_grad,
    _silu_grad2,
    _swish,
    _swish_beta_grad,
    _swish_grad,
    _swish_grad2,
)

__all__ = ["FLOATS", "FORMULAS", "OPS", "DualTerm", "Order", "Term", "checked", "compute", "term"]

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
BLOCK = 2**15  # elements a thread: float64 temporaries stay in the cache, and torch splits no finer


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
    erfc=torch.special.erfc,
    erfcx=torch.special.erfcx,
    exp=torch.exp,
    expm1=torch.expm1,
    log1p=torch.log1p,
    narrow=False,
    tanh=torch.tanh,
    where=_where,
)
NARROW_OPS = SimpleNamespace(**vars(OPS) | {"narrow": True})


def _swish_mixed(ops, z, beta):
    """d2f / dz dbeta = z sigma'(a) (2 - a tanh(a / 2)), a = beta z: the curvature with z for beta."""
    hi, lo = scaled_product(ops, z, beta)
    return ops.where(ops.abs(hi) == FAR, 0.0, _curvature(ops, hi, lo, z))


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
    "identity": _orders(_identity, _identity_grad, _identity_grad2),
    "sigmoid": _orders(_sigmoid, _sigmoid_grad, _sigmoid_grad2),
    "tanh": _orders(_tanh, _tanh_grad, _tanh_grad2),
    "softplus": _orders(_softplus, _sigmoid, _sigmoid_grad),
    "relu": _orders(_relu, _relu_grad, _identity_grad2),
    "relu6": _orders(_relu6, _relu6_grad, _identity_grad2),
    "leaky_relu": _orders(_leaky_relu, _leaky_relu_grad, _leaky_relu_grad2),
    "elu": _orders(_elu, _elu_grad, _elu_grad2),
    "silu": _orders(_silu, _silu_grad, _silu_grad2),
    "swish": _orders(_swish, _swish_grad, _swish_grad2)
    | {(0, 1): _swish_beta_grad, (1, 1): _swish_mixed, (0, 2): _swish_beta_grad2},
    "hard_sigmoid": _orders(_hard_sigmoid, _hard_sigmoid_grad, _hard_sigmoid_grad2),
    "hard_swish": _orders(_hard_swish, _hard_swish_grad, _hard_swish_grad2),
    "gelu": _orders(_gelu, _gelu_grad, _gelu_grad2),
    "gelu_tanh": _orders(_gelu_tanh, _gelu_tanh_grad, _gelu_tanh_grad2),
    "gelu_sigmoid": _orders(_gelu_sigmoid, _gelu_sigmoid_grad, _gelu_sigmoid_grad2),
    "mish": _orders(_mish, _mish_grad, _mish_grad2),
}


def compute(formula, z, *params, factor=None, dtype=None):
    """factor * formula(z, *params), elementwise in float64, rounded once.

    Parameters
    ----------
    formula : callable
        ``formula(ops, z, *params)`` of float64 values: see `selfgated.kernels`.
    z : Tensor of float16, bfloat16, float32 or float64, any shape
    *params : float or Tensor
        Tensors broadcast against `z`.
    factor : Tensor, optional
        Broadcasts against `z` too.
    dtype : torch.dtype, optional
        Of the result; by default that of `z`.

    Returns
    -------
    Tensor of the broadcast shape; float16 and bfloat16 are rounded from float64 directly.

    Raises
    ------
    TypeError
        If `z`, `factor` or a tensor among the parameters is not of the four types.

    Notes
    -----
    Not to be differentiated: `term` is. Large CPU tensors are computed in blocks, which keeps the float64
    temporaries out of main memory; tensors being traced are not.
    """
    operands = (z, factor, *params)
    tensors = [checked(x) for x in operands if isinstance(x, torch.Tensor)]
    checked(z)
    dtype = z.dtype if dtype is None else dtype
    block = _block_size(tensors)
    if block is None:
        return _rounded(formula, dtype, *operands)
    shape = torch.broadcast_shapes(*(x.shape for x in tensors))
    out = torch.empty_like(z.expand(shape), dtype=dtype)
    order = sorted(range(out.dim()), key=out.stride, reverse=True)

    def flat(x):
        if not isinstance(x, torch.Tensor) or x.dim() == 0:
            return x
        return x.expand(shape).permute(order).reshape(-1)

    operands = [flat(x) for x in operands]
    target = out.permute(order).view(-1)
    for start in range(0, target.numel(), block):
        part = slice(start, start + block)
        pieces = [x[part] if isinstance(x, torch.Tensor) and x.dim() else x for x in operands]
        target[part] = _rounded(formula, dtype, *pieces)
    return out


def checked(z, name="z"):
    """Return `z` if it is a tensor of a floating type that has kernels, or raise TypeError."""
    if not isinstance(z, torch.Tensor):
        raise TypeError(f"{name} must be a torch.Tensor, not {type(z).__name__}")
    if z.dtype not in FLOATS:
        raise TypeError(f"{name} has dtype {z.dtype}; choose from {[str(d) for d in FLOATS]}")
    return z


def _block_size(tensors):
    """Elements a block, or None where one pass is better: small, not on the CPU, or being traced."""
    plain = all(type(x) in (torch.Tensor, torch.nn.Parameter) and x.device.type == "cpu" for x in tensors)
    if torch.compiler.is_compiling() or not plain:
        return None
    block = BLOCK * torch.get_num_threads()
    return block if max(x.numel() for x in tensors) > block else None


def _rounded(formula, dtype, z, factor, *params):
    wide = z.double()
    ops = OPS if dtype == torch.float64 else NARROW_OPS
    value = formula(ops, wide, *(x.double() if isinstance(x, torch.Tensor) else x for x in params))
    if factor is not None:
        value = factor.double() * value
    if dtype.itemsize == 2:
        value = _round_to_odd(value)
    return value.to(dtype, copy=value is z or value is wide)


def _round_to_odd(wide):
    """float64 to float32 so that a further rounding to 16 bits equals a single one.

    torch rounds float64 to 16 bits by way of float32, that is twice. An inexact float32 is made odd: it can
    then be neither a 16-bit number nor half-way between two.
    """
    narrow = wide.float()
    size, exact = narrow.abs().double(), wide.abs()
    bits = narrow.view(torch.int32)
    step = (exact > size).int() - (exact < size).int()
    return (bits + step * (1 - (bits & 1))).view(torch.float32)


@dataclass(frozen=True)
class Order:
    """Which derivative a term takes, and how the result looks.

    Attributes
    ----------
    name : str
        A key of `FORMULAS`.
    i, j : int
        How often f is differentiated in z and in beta.
    param : float or None
        The parameter of the activation where it is a plain number.
    shape : torch.Size
        Of the result: the broadcast shape, or what that is summed to.
    dtype : torch.dtype
        Of the result.
    """

    name: str
    i: int
    j: int
    param: float | None
    shape: torch.Size
    dtype: torch.dtype

    def formula(self):
        """The formula, or NotImplementedError."""
        if (self.i, self.j) not in FORMULAS[self.name]:
            raise NotImplementedError(f"{self.name} can be differentiated twice, not {self.i + self.j} times")
        return FORMULAS[self.name][self.i, self.j]


class Term(torch.autograd.Function):
    """upstream * f^(i, j)(z, beta), summed to the shape of what it is the gradient of.

    It saves z, and beta and upstream where they are tensors, and nothing computed from them. Call it by
    `term`.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(z, beta, upstream, order):
        """Compute the term in float64, sum it there, round once."""
        params = [x for x in (beta, order.param) if x is not None]
        full = torch.broadcast_shapes(*(x.shape for x in (z, beta, upstream) if x is not None))
        if full == order.shape:
            return compute(order.formula(), z, *params, factor=upstream, dtype=order.dtype)
        total = compute(order.formula(), z, *params, factor=upstream, dtype=torch.float64)
        return total.sum_to_size(order.shape).to(order.dtype)

    @staticmethod
    def setup_context(ctx, inputs, output):
        """Keep z, beta and upstream."""
        *tensors, ctx.order = inputs
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors)

    @staticmethod
    def backward(ctx, grad_output):
        """Gradients for z, beta and upstream: terms again."""
        saved = ctx.saved_tensors  # once: hooks may unpack it only once
        return *(
            _derivative(ctx.order, saved, k, grad_output, x.shape, x.dtype)
            if ctx.needs_input_grad[k]
            else None
            for k, x in enumerate(saved)
        ), None


class DualTerm(Term):
    """`Term` with a forward-mode derivative too, which torch.compile does not accept."""

    @staticmethod
    def jvp(ctx, *tangents):
        """The sum of the same three terms, along the tangents of z, beta and upstream."""
        saved = ctx.saved_tensors
        return sum(
            _derivative(ctx.order, saved, k, tangent, ctx.order.shape, ctx.order.dtype)
            for k, tangent in enumerate(tangents[:3])
            if tangent is not None
        )


def term(name, z, beta=None, upstream=None, *, i=0, j=0, param=None, shape=None, dtype=None):
    """upstream * f^(i, j)(z, beta), differentiable while i + j < 2.

    Parameters
    ----------
    name : str
        A key of `FORMULAS`.
    z : Tensor, any shape
    beta, upstream : Tensor, optional
        They broadcast against `z`.
    i, j, param, shape, dtype
        See `Order`; by default f itself, the broadcast shape, and the dtype of `z`.

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError
        If `z`, `beta` or `upstream` is not a floating tensor.
    NotImplementedError
        If i + j > 2: also in a backward pass that needs a third derivative.
    """
    checked(z, "z")
    if beta is not None:
        checked(beta, "beta")
    if shape is None:
        shape = torch.broadcast_shapes(*(x.shape for x in (z, beta, upstream) if x is not None))
    function = Term if torch.compiler.is_compiling() else DualTerm
    return function.apply(z, beta, upstream, Order(name, i, j, param, shape, dtype or z.dtype))


def _derivative(order, saved, k, factor, shape, dtype):
    """factor times the derivative of a term in z (k = 0), beta (1) or upstream (2)."""
    z, beta, upstream = saved
    if k < 2 and upstream is not None:
        factor = factor * upstream
    i, j = order.i + (k == 0), order.j + (k == 1)
    return term(order.name, z, beta, factor, i=i, j=j, param=order.param, shape=shape, dtype=dtype)
