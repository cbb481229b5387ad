"""K networks as one: the layers that hold them, and how to get one network back.

Small networks spend their time in calls, not in arithmetic. K of them with the same shape run as one: linear
layers as one batched matrix product, convolutions as ``nn.Conv2d(groups=K)``, batch normalisation as one
layer with K times the channels. Nothing is shared: network k sees its own weights and its own batch alone.

The convention: every parameter and every floating-point buffer has a first dimension divisible by K, and the
k-th of its K equal blocks belongs to network k. A tensor of 2 or 3 dimensions belongs to a `StackedLinear`,
and its first dimension is K itself.
"""

import math
from numbers import Integral

import torch
from torch import nn

from selfgated import modules

__all__ = ["StackedLinear", "StackedSwish", "extract", "per_network", "stack_act"]


class StackedLinear(nn.Module):
    """K linear layers as one: y_k = x_k W_k^T + b_k.

    Parameters
    ----------
    num_models : int
        K, at least 1.
    dim_in, dim_out : int
    bias : bool
    device, dtype : optional
        Of the weights.

    Attributes
    ----------
    weight : Parameter (K, dim_out, dim_in)
    bias : Parameter (K, dim_out) or None

    Raises
    ------
    ValueError
        For a size that is not a positive integer; in the forward pass for an input of another shape.

    Examples
    --------
    >>> layer = StackedLinear(5, 3, 2)
    >>> layer(torch.ones(5, 7, 3)).shape
    torch.Size([5, 7, 2])
    """

    def __init__(self, num_models, dim_in, dim_out, *, bias=True, device=None, dtype=None):
        """The distribution at the start is that of ``nn.Linear``, for each network."""
        super().__init__()
        self.num_models = positive("num_models", num_models)
        self.dim_in, self.dim_out = positive("dim_in", dim_in), positive("dim_out", dim_out)
        options = {"device": device, "dtype": dtype}
        self.weight = nn.Parameter(torch.empty(num_models, dim_out, dim_in, **options))
        if bias:
            self.bias = nn.Parameter(torch.empty(num_models, dim_out, **options))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self):
        """Draw weights and biases uniformly within 1 / sqrt(dim_in) of 0, as ``nn.Linear`` does."""
        bound = 1 / math.sqrt(self.dim_in)
        nn.init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, x):
        """(K, N, dim_in) to (K, N, dim_out)."""
        if x.dim() != 3 or (x.shape[0], x.shape[2]) != (self.num_models, self.dim_in):
            raise ValueError(
                f"expected an input of shape ({self.num_models}, N, {self.dim_in}), got {tuple(x.shape)}"
            )
        weight = self.weight.transpose(1, 2)
        if self.bias is None:
            return torch.bmm(x, weight)
        return torch.baddbmm(self.bias.unsqueeze(1), x, weight)

    def extra_repr(self):
        """The arguments."""
        return (
            f"num_models={self.num_models}, dim_in={self.dim_in}, dim_out={self.dim_out}, "
            f"bias={self.bias is not None}"
        )


class StackedSwish(nn.Module):
    """Swish with a beta, or one beta a channel, for each of K networks.

    Parameters
    ----------
    num_models : int
        K.
    act : selfgated.modules.Swish
        The activation of one network: its betas are where each network starts, and its forward pass is used.

    Attributes
    ----------
    beta : Parameter or buffer (K P,)
        P is ``act.num_parameters``.

    Raises
    ------
    ValueError
        In the forward pass, for a shape that does not hold K networks.
    """

    catalog_name = "swish"

    def __init__(self, num_models, act):
        """K times the betas of `act`."""
        super().__init__()
        self.num_models = positive("num_models", num_models)
        self.num_parameters = act.num_parameters
        self.act_fn = type(act).act_fn
        value = act.beta.detach().repeat(num_models)
        if act.learnable:
            self.beta = nn.Parameter(value)
        else:
            self.register_buffer("beta", value)

    def forward(self, z):
        """f(z), elementwise: (K, N, C), or (N, K C, H, W) as a grouped convolution gives it."""
        K, P = self.num_models, self.num_parameters
        channels = None
        if z.dim() == 3 and z.shape[0] == K:
            channels = z.shape[2]
        elif z.dim() == 4 and z.shape[1] % K == 0:
            channels = z.shape[1] // K
        if channels is None or P not in (1, channels):
            raise ValueError(f"{self} takes no z of shape {tuple(z.shape)}")
        beta = self.beta.reshape(K, 1, P)
        if z.dim() == 4:
            beta = beta.expand(K, channels // P, P).reshape(-1, 1, 1)  # (K C, 1, 1)
        return self.act_fn(z, beta)

    def extra_repr(self):
        """The arguments; the values of beta may live on another device."""
        learnable = isinstance(self.beta, nn.Parameter)
        return f"num_models={self.num_models}, num_parameters={self.num_parameters}, learnable={learnable}"


def stack_act(act, num_models):
    """The activation `act` of one network, for K networks as one.

    Parameters
    ----------
    act : nn.Module
        Elementwise. Without parameters and floating-point buffers it serves K networks as it is, and so does
        one that holds K networks itself, as its ``num_models`` says; a `selfgated.modules.Swish` becomes a
        `StackedSwish`.
    num_models : int
        K.

    Returns
    -------
    nn.Module

    Raises
    ------
    ValueError
        If `act` has other parameters and K > 1, or holds another number of networks than K.
    """
    holds = getattr(act, "num_models", None)
    if holds not in (None, num_models):
        raise ValueError(f"num_models={num_models} cannot use {type(act).__name__} of {holds} networks")
    names = [name for name, _ in act.named_parameters()]
    names += [name for name, buffer in act.named_buffers() if buffer.is_floating_point()]
    if num_models in (1, holds) or not names:
        return act
    if isinstance(act, modules.Swish):
        return StackedSwish(num_models, act)
    raise ValueError(
        f"num_models={num_models} needs an activation without parameters, or Swish; "
        f"{type(act).__name__} has {names}"
    )


def per_network(tensor, num_models):
    """The tensor of K networks as a matrix, a row a network, sharing memory.

    Parameters
    ----------
    tensor : Tensor, contiguous, first dimension divisible by K
    num_models : int
        K.

    Returns
    -------
    Tensor (K, -1)
        A view: what is written to it is written to `tensor`.

    Raises
    ------
    ValueError
        If there are no K equal blocks, or the tensor is not contiguous.

    Examples
    --------
    >>> per_network(torch.arange(6), 2)
    tensor([[0, 1, 2],
            [3, 4, 5]])
    """
    if tensor.dim() == 0 or tensor.shape[0] % num_models:
        raise ValueError(
            f"a tensor of shape {tuple(tensor.shape)} has no {num_models} equal blocks in its first dimension"
        )
    if not tensor.is_contiguous():
        raise ValueError(f"a tensor with strides {tensor.stride()} is not contiguous: no view of rows exists")
    return tensor.view(num_models, tensor.numel() // num_models)


def extract(state_dict, k, num_models):
    """The state of network k among K, for the same model built with ``num_models=1``.

    Parameters
    ----------
    state_dict : dict of str to Tensor
        Of a model that follows the convention at the top of this module.
    k : int
        0 <= k < K.
    num_models : int
        K.

    Returns
    -------
    dict of str to Tensor
        Copies, of the same keys.

    Raises
    ------
    IndexError
        If there is no network k.
    ValueError
        If a tensor does not follow the convention; the message names it.

    Examples
    --------
    >>> many, one = StackedLinear(5, 3, 2), nn.Linear(3, 2)
    >>> one.load_state_dict(extract(many.state_dict(), 4, 5))
    <All keys matched successfully>
    """
    if not 0 <= k < num_models:
        raise IndexError(f"no network {k} among {num_models}")
    return {key: _block(key, tensor, k, num_models).clone() for key, tensor in state_dict.items()}


def _block(key, tensor, k, num_models):
    if num_models == 1 or not tensor.is_floating_point():
        return tensor
    if tensor.dim() in (2, 3):
        if tensor.shape[0] != num_models:
            raise ValueError(
                f"{key!r} has shape {tuple(tensor.shape)}: its first dimension is not {num_models}"
            )
        return tensor[k]
    if tensor.dim() == 0 or tensor.shape[0] % num_models:
        raise ValueError(f"{key!r} has shape {tuple(tensor.shape)}: no {num_models} equal blocks")
    return tensor.unflatten(0, (num_models, -1))[k]


def positive(what, value):
    """`value` if it is a positive integer, else ValueError with the name `what`."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise ValueError(f"{what} must be a positive integer, not {value!r}")
    return value
