"""MLP and plain or residual CNN of any depth, one network or K as one."""

import torch
from torch import nn

from selfgated.modules import get_act_layer
from selfgated.stacked import StackedLinear, positive, stack_act

__all__ = ["CNN", "MLP"]

NORMS = (None, "batch")
HEADS = ("flatten", "pool")
PADDING_MODES = ("zeros", "circular", "reflect", "replicate")


class MLP(nn.Module):
    """Fully connected: `depth` hidden layers of `width` units and a linear head.

    h_l = f(W_l h_{l-1} + b_l), with ``residual`` h_l = h_{l-1} + f(W_l h_{l-1} + b_l) from the second on.

    Parameters
    ----------
    dim_in, dim_out : int
    width, depth : int
        Units of a hidden layer; number of hidden layers.
    act_layer : str or callable
        A name (torch's own kernels are used) or a zero-argument factory of modules.
    norm : {None, "batch"}
        Batch normalisation of the pre-activations.
    residual : bool
    num_models : int
        K networks as one: see `selfgated.stacked`.
    bias : bool
        Of all linear maps, but for those before a norm, which have none.

    Raises
    ------
    ValueError
        For an unknown choice or a size that is not a positive integer; in the forward pass for a wrong shape.

    Notes
    -----
    Pre-activations are the inputs of ``blocks[l].act``. Weights start as torch's do: see
    `selfgated.init.scheme_` for others.

    Examples
    --------
    >>> MLP(64, 10, depth=2, num_models=5)(torch.zeros(5, 32, 64)).shape
    torch.Size([5, 32, 10])
    """

    def __init__(
        self,
        dim_in,
        dim_out,
        *,
        width=64,
        depth=10,
        act_layer="relu",
        norm=None,
        residual=False,
        num_models=1,
        bias=True,
    ):
        """`depth` blocks and a head."""
        super().__init__()
        self.num_models, self.dim_in = positive("num_models", num_models), positive("dim_in", dim_in)
        act_layer, norm = _act_layer(act_layer), _choice("norm", norm, NORMS)
        dims = [dim_in] + [positive("width", width)] * positive("depth", depth)
        self.blocks = nn.ModuleList(
            Block(
                _linear(num_models, dims[i], width, bias=bias and not norm),
                (nn.BatchNorm1d if num_models == 1 else StackedBatchNorm1d)(num_models * width)
                if norm
                else None,
                stack_act(act_layer(), num_models),
                residual=residual and i > 0,
            )
            for i in range(depth)
        )
        self.head = _linear(num_models, width, dim_out, bias=bias)

    def forward(self, x):
        """Rows (N, dim_in) or images (N, C, H, W) to (N, dim_out); K networks: see `selfgated.models`."""
        if x.dim() in (4, 5):
            x = x.flatten(-3)
        x, extra = _stack(x, self.num_models, 2, f"{self.dim_in}")
        if self.num_models > 1 and x.dim() == 2:
            x = x.expand(self.num_models, -1, -1)
        for block in self.blocks:
            x = block(x)
        y = self.head(x)
        return y.unsqueeze(0) if extra else y


class CNN(nn.Module):
    """Convolutional: `depth` 3x3 convolutions of `width` channels, the first with stride 2, a linear head.

    h_l = f(conv_l(h_{l-1})), with ``residual`` h_l = h_{l-1} + f(conv_l(h_{l-1})) from the second on.

    Parameters
    ----------
    in_channels, num_classes : int
    image_size : int or (int, int)
        Height and width in pixels.
    width, depth : int
        Channels of a convolution; number of convolutions.
    act_layer : str or callable
        A name (torch's own kernels are used) or a zero-argument factory of modules.
    norm : {None, "batch"}
        Batch normalisation of the pre-activations.
    residual : bool
    num_models : int
        K networks as one: see `selfgated.stacked`.
    head : {"flatten", "pool"}
        What the linear layer sees: all features, or their mean over the map, one a channel.
    padding_mode : {"zeros", "circular", "reflect", "replicate"}
        As in ``nn.Conv2d``. With "circular" no unit is nearer to a border than another, as the theory of
        chapter 09 has it.

    Raises
    ------
    ValueError
        For an unknown choice or a size that is not a positive integer; in the forward pass for a wrong shape.

    Notes
    -----
    Convolutions before a norm have no bias. The norm would take it out again, and an optimiser that divides
    by the size of the gradient, as Adam does, would make steps of the rounding errors of that zero gradient.

    Pre-activations are the inputs of ``blocks[l].act``; those of K networks are (N, K width, H, W). Weights
    start as torch's do: see `selfgated.init.scheme_` for others.

    Examples
    --------
    >>> CNN(1, 10, image_size=8, depth=2, num_models=5)(torch.zeros(5, 32, 1, 8, 8)).shape
    torch.Size([5, 32, 10])
    """

    def __init__(
        self,
        in_channels,
        num_classes,
        *,
        image_size,
        width=16,
        depth=8,
        act_layer="relu",
        norm=None,
        residual=False,
        num_models=1,
        head="flatten",
        padding_mode="zeros",
    ):
        """`depth` blocks and a head."""
        super().__init__()
        sizes = image_size if isinstance(image_size, tuple | list) else (image_size, image_size)
        self.image_size = tuple(positive("image_size", size) for size in sizes)
        self.num_models = positive("num_models", num_models)
        self.in_channels = positive("in_channels", in_channels)
        self.pool = _choice("head", head, HEADS) == "pool"
        _choice("padding_mode", padding_mode, PADDING_MODES)
        act_layer, norm = _act_layer(act_layer), _choice("norm", norm, NORMS)
        channels = [in_channels] + [positive("width", width)] * positive("depth", depth)
        self.blocks = nn.ModuleList(
            Block(
                nn.Conv2d(
                    num_models * channels[i],
                    num_models * width,
                    3,
                    stride=1 if i else 2,
                    padding=1,
                    groups=num_models,
                    padding_mode=padding_mode,
                    bias=not norm,
                ),
                nn.BatchNorm2d(num_models * width) if norm else None,
                stack_act(act_layer(), num_models),
                residual=residual and i > 0,
            )
            for i in range(depth)
        )
        height, breadth = ((size + 1) // 2 for size in self.image_size)
        self.head = _linear(num_models, width if self.pool else width * height * breadth, num_classes)

    def forward(self, x):
        """(N, C, H, W) to (N, num_classes); K networks: see `selfgated.models`."""
        shape = (self.in_channels, *self.image_size)
        x, extra = _stack(x, self.num_models, 4, ", ".join(map(str, shape)))
        K = self.num_models
        if x.dim() == 5:
            x = x.transpose(0, 1).flatten(1, 2)  # (N, K C, H, W)
        elif K > 1:
            x = x.repeat(1, K, 1, 1)
        # oneDNN's grouped convolutions are faster in this layout, which later layers and gradients inherit.
        channels_last = K > 1 and x.device.type == "cpu"
        if channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        for block in self.blocks:
            x = block(x)
        if channels_last:
            x = ChannelsLastGradient.apply(x)
        x = x.mean((-2, -1)) if self.pool else x.flatten(1)  # (N, K features)
        if K > 1:
            x = x.unflatten(1, (K, -1)).transpose(0, 1)  # (K, N, features)
        y = self.head(x)
        return y.unsqueeze(0) if extra else y


class Block(nn.Module):
    """act(norm(layer(h))), plus h if `residual`.

    Parameters
    ----------
    layer : nn.Module
        Linear or convolution.
    norm : nn.Module or None
    act : nn.Module
    residual : bool
    """

    def __init__(self, layer, norm, act, *, residual=False):
        """Holds what it is given."""
        super().__init__()
        self.layer, self.norm, self.act, self.residual = layer, norm, act, residual

    def forward(self, h):
        """The shape that `layer` gives."""
        z = self.layer(h)
        if self.norm is not None:
            z = self.norm(z)
        a = self.act(z)
        return h + a if self.residual else a

    def extra_repr(self):
        """Whether the input is added."""
        return "residual=True" if self.residual else ""


class ChannelsLastGradient(torch.autograd.Function):
    """The identity on (N, C, H, W), with a gradient whose channels lie next to each other in memory.

    Elementwise work on two layouts at once takes several times as long.
    """

    @staticmethod
    def forward(x):
        """A view of x."""
        return x.view_as(x)

    @staticmethod
    def setup_context(ctx, inputs, output):
        """Nothing is kept."""

    @staticmethod
    def backward(ctx, grad_output):
        """The same numbers."""
        return grad_output.contiguous(memory_format=torch.channels_last)


class StackedBatchNorm1d(nn.BatchNorm1d):
    """Batch normalisation of the rows of K networks: (K, N, C), with K C features."""

    def forward(self, z):
        """Normalised over N."""
        y = super().forward(z.transpose(0, 1).flatten(1))  # (N, K C)
        return y.unflatten(1, (z.shape[0], -1)).transpose(0, 1)


def _linear(num_models, dim_in, dim_out, *, bias=True):
    """``nn.Linear``, or K of them as one."""
    positive("the number of outputs", dim_out)
    if num_models == 1:
        return nn.Linear(dim_in, dim_out, bias=bias)
    return StackedLinear(num_models, dim_in, dim_out, bias=bias)


def _act_layer(act_layer):
    if isinstance(act_layer, str):
        return get_act_layer(act_layer, native=True)
    if isinstance(act_layer, nn.Module) or not callable(act_layer):
        raise ValueError(
            f"act_layer must be a name or a factory of modules, such as nn.SiLU without (), not {act_layer!r}"
        )
    return act_layer


def _choice(what, value, choices):
    if value not in choices:
        raise ValueError(f"unknown {what} {value!r}; choose from {list(choices)}")
    return value


def _stack(x, num_models, dims, tail):
    """Check the shape; for one network drop a first dimension of 1, and say so."""
    shape = tuple(x.shape)
    fits = ", ".join(map(str, shape[1 - dims :])) == tail
    own = len(shape) == dims + 1 and shape[0] == num_models
    if not fits or not (own or len(shape) == dims):
        raise ValueError(f"expected a shape of (N, {tail}) or ({num_models}, N, {tail}), got {shape}")
    if own and num_models == 1:
        return x.squeeze(0), True
    return x, False
