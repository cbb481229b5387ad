"""Expressions as torch modules: one function for one network, or K functions for K networks as one."""

import torch
from torch import nn

from selfgated.search.expression import Expression
from selfgated.search.plan import Plan
from selfgated.stacked import positive

__all__ = ["Activations", "evaluate"]


class Activations(nn.Module):
    """K expressions, the k-th for the k-th of K networks (see `selfgated.stacked`).

    What several expressions compute in the same way is computed at once (see `selfgated.search.plan`).

    Parameters
    ----------
    expressions : sequence of Expression, length K
    num_channels : int
        C, channels of the layer, each with its own betas.
    trainable : bool
        Whether the betas are parameters.

    Attributes
    ----------
    beta : Parameter or buffer (K B C,), or None
        B is the largest number of betas of an expression; what an expression does not use stays 1.

    Raises
    ------
    ValueError
        For no expression, a number of channels that is not positive, or in the forward pass a shape that does
        not fit.
    TypeError
        If something else than an Expression is given.

    Notes
    -----
    The state of network k, as `selfgated.stacked.extract` cuts it out, fits the module of its expression.

    Examples
    --------
    >>> from selfgated.search import parse
    >>> acts = Activations([parse("x*sigmoid(x)"), parse("max(x, 0)")])
    >>> acts(torch.tensor([[[-1.0]], [[2.0]]])).flatten().tolist()
    [-0.2689414322376251, 2.0]
    """

    def __init__(self, expressions, *, num_channels=1, trainable=True):
        """Plan the calls; every beta starts at its value."""
        super().__init__()
        self.expressions = tuple(_expression(e) for e in expressions)
        if not self.expressions:
            raise ValueError("at least one expression is needed")
        self.num_models = len(self.expressions)
        self.num_channels = positive("num_channels", num_channels)
        count = max(len(expression.betas) for expression in self.expressions)
        self.plan = Plan(self.expressions, count)
        value = torch.ones(self.num_models, count, num_channels)
        for k, expression in enumerate(self.expressions):
            for index, start in enumerate(expression.betas):
                value[k, index] = start
        # Flat, because in a stack of networks two or three dimensions mean a linear layer.
        value = value.flatten()
        if not count:
            self.beta = None
        elif trainable:
            self.beta = nn.Parameter(value)
        else:
            self.register_buffer("beta", value)

    def forward(self, z):
        """f(z), elementwise: (K, N, C); (N, K C, H, W), as grouped convolutions give it; (N, C) for K = 1."""
        K, C = self.num_models, self.num_channels
        if z.dim() == 3 and z.shape[0] == K:
            stack, channels, shape = z, z.shape[2], (1, C)
        elif z.dim() == 4 and z.shape[1] % K == 0:
            stack, channels, shape = z.unflatten(1, (K, -1)).transpose(0, 1), z.shape[1] // K, (1, C, 1, 1)
        elif z.dim() == 2 and K == 1:
            stack, channels, shape = z.unsqueeze(0), z.shape[1], (1, C)
        else:
            stack, channels = z, None
        if channels is None or (self.beta is not None and C not in (1, channels)):
            raise ValueError(f"{K} activations of {C} channels take no z of shape {tuple(z.shape)}")
        betas = None if self.beta is None else self.beta.to(z.dtype).reshape(-1, *shape)
        outputs = self.plan(stack, betas, shape)
        if z.dim() == 4:
            return outputs.transpose(0, 1).flatten(1, 2)
        return outputs if z.dim() == 3 else outputs.squeeze(0)

    def _load_from_state_dict(self, state_dict, prefix, *args):
        """Leave out the betas that only other expressions of the stack had: they are still 1."""
        value, own = state_dict.get(f"{prefix}beta"), 0 if self.beta is None else self.beta.numel()
        if self.num_models == 1 and value is not None and value.dim() == 1 and (value[own:] == 1).all():
            if own:
                state_dict[f"{prefix}beta"] = value[:own]
            else:
                del state_dict[f"{prefix}beta"]
        super()._load_from_state_dict(state_dict, prefix, *args)

    def extra_repr(self):
        """The expressions, at most three of them."""
        shown = ", ".join(expression.text for expression in self.expressions[:3])
        more = f", and {self.num_models - 3} more" if self.num_models > 3 else ""
        return f"{shown}{more}; num_channels={self.num_channels}"


def evaluate(expression, z, *, betas=None):
    """Values of one expression.

    Parameters
    ----------
    expression : Expression
    z : Tensor, any shape, floating
    betas : sequence of float, optional
        Values of the betas, by default those at the start.

    Returns
    -------
    Tensor, shape of z

    Raises
    ------
    ValueError
        For another number of betas.
    TypeError
        If `expression` is no Expression, or z holds no floating-point numbers.

    Examples
    --------
    >>> from selfgated.search import parse
    >>> evaluate(parse("x/(x + eps)"), torch.tensor([-1.0, 0.0], dtype=torch.float64)).tolist()
    [1.001001001001001, 0.0]
    """
    betas = _expression(expression).betas if betas is None else tuple(betas)
    if not z.is_floating_point():
        raise TypeError(f"z must hold floating-point numbers, not {z.dtype}")
    if len(betas) != len(expression.betas):
        raise ValueError(f"{expression} has {len(expression.betas)} betas, got {len(betas)} values")
    ones = (1,) * z.dim()
    values = torch.tensor(betas, dtype=z.dtype, device=z.device).reshape(-1, *ones) if betas else None
    return Plan([expression], len(betas))(z.unsqueeze(0), values, ones).squeeze(0)


def _expression(value):
    """`value`, if it is an Expression."""
    if not isinstance(value, Expression):
        raise TypeError(f"expected an Expression, such as parse('x*sigmoid(x)'), not {value!r}")
    return value
