"""A small causal transformer, in which the feed-forward block of language models can be studied."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from selfgated import catalog
from selfgated.modules import GLU_VARIANTS, GatedFeedForward, get_act_layer
from selfgated.stacked import positive

__all__ = ["Transformer"]


class Transformer(nn.Module):
    """Causal, pre-norm transformer on tokens, with learned positions.

    h <- h + attention(norm(h)), h <- h + feed_forward(norm(h)), ``depth`` times; then norm and a linear map
    to the logits of the next token.

    Parameters
    ----------
    vocab : int
        Number of different tokens.
    dim : int
        Width of the residual stream, a multiple of `heads`.
    depth : int
        Number of blocks.
    heads : int
        Attention heads per block.
    max_length : int
        Longest sequence: there are so many learned positions.
    feed_forward : str
        The f of a plain block f(x W) U of width 4 `dim`, by any name that `get_act_layer` knows; or a gated
        block, "glu", "bilinear", "reglu", "geglu" or "swiglu", of width ``glu_hidden(4 * dim)``.
    generator : torch.Generator, optional
        Draws the weights; torch's global one by default.

    Attributes
    ----------
    num_models : int
        1.

    Raises
    ------
    ValueError
        If `dim` is no multiple of `heads`, a size is not positive, or `feed_forward` is unknown; in the
        forward pass for a sequence longer than `max_length`.

    Notes
    -----
    The maps of the blocks have no biases, so that plain and gated feed-forward blocks have the same number
    of weights, 8 dim^2, if `dim` is a multiple of 3; else the gated one has less than 3 dim more (its hidden
    width is rounded up). Chapter 14 compares them at this equal size.

    Weights are normal with variance 1 / fan_in; those that write to the residual stream are divided by
    sqrt(2 depth), as the stream sums 2 depth such terms. Token and position embeddings have variance 1/2
    each.

    References
    ----------
    Vaswani et al. 2017; Shazeer 2020, section 2 (equal parameters). Chapter 14.

    Examples
    --------
    >>> model = Transformer(27, max_length=32, feed_forward="swiglu")
    >>> model(torch.zeros(4, 32, dtype=torch.long)).shape
    torch.Size([4, 32, 27])
    """

    num_models = 1

    def __init__(self, vocab, *, dim=64, depth=2, heads=4, max_length, feed_forward="gelu", generator=None):
        """Embeddings, blocks, norm, head."""
        super().__init__()
        sizes = {"vocab": vocab, "dim": dim, "depth": depth, "heads": heads, "max_length": max_length}
        for name, value in sizes.items():
            positive(name, value)
        if dim % heads:
            raise ValueError(f"dim = {dim} is not a multiple of heads = {heads}")
        self.max_length = max_length
        self.tokens = nn.Embedding(vocab, dim)
        self.positions = nn.Embedding(max_length, dim)
        self.blocks = nn.ModuleList(Block(dim, heads=heads, feed_forward=feed_forward) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, vocab, bias=False)
        self.reset_parameters(generator)

    def reset_parameters(self, generator=None):
        """Draw all weights again: see the notes of the class."""
        for module in self.modules():
            if isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=math.sqrt(0.5), generator=generator)
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=1 / math.sqrt(module.in_features), generator=generator)
            elif isinstance(module, nn.LayerNorm):
                module.reset_parameters()
        with torch.no_grad():
            for block in self.blocks:
                for last in (block.attention.out, block.feed_forward.out):
                    last.weight /= math.sqrt(2 * len(self.blocks))

    def forward(self, tokens):
        """Logits of the token that follows each: (..., T) integers to (..., T, vocab)."""
        length = tokens.shape[-1]
        if length > self.max_length:
            raise ValueError(f"a sequence of {length} tokens is longer than max_length = {self.max_length}")
        h = self.tokens(tokens) + self.positions.weight[:length]  # (..., T, dim)
        for block in self.blocks:
            h = block(h)
        return self.head(self.norm(h))


class Block(nn.Module):
    """h + attention(norm(h)), then h + feed_forward(norm(h)).

    Parameters
    ----------
    dim, heads : int
    feed_forward : str
        As in `Transformer`.
    """

    def __init__(self, dim, *, heads, feed_forward):
        """Two norms, two parts."""
        super().__init__()
        self.attention_norm = nn.LayerNorm(dim)
        self.attention = CausalAttention(dim, heads=heads)
        self.feed_forward_norm = nn.LayerNorm(dim)
        self.feed_forward = _feed_forward(dim, feed_forward)

    def forward(self, h):
        """(..., T, dim) to (..., T, dim)."""
        h = h + self.attention(self.attention_norm(h))
        return h + self.feed_forward(self.feed_forward_norm(h))


class CausalAttention(nn.Module):
    """Attention of every position to itself and to those before it.

    Parameters
    ----------
    dim, heads : int
        `dim` is split evenly among the heads.
    """

    def __init__(self, dim, *, heads):
        """Query, key and value are one linear map."""
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim, bias=False)

    def forward(self, h):
        """(..., T, dim) to (..., T, dim)."""
        split = self.qkv(h).unflatten(-1, (3, self.heads, -1))  # (..., T, 3, heads, dim / heads)
        query, key, value = split.transpose(-4, -2).unbind(-3)  # each (..., heads, T, dim / heads)
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        return self.out(mixed.transpose(-3, -2).flatten(-2))  # (..., T, dim)


class FeedForward(nn.Module):
    """f(x W) U: the plain feed-forward block, without biases.

    Parameters
    ----------
    dim, dim_hidden : int
    act : str
        Any name that `get_act_layer` knows.
    """

    def __init__(self, dim, dim_hidden, *, act):
        """Two linear maps."""
        super().__init__()
        self.inner = nn.Linear(dim, dim_hidden, bias=False)
        self.act = get_act_layer(act, native=True)()
        self.out = nn.Linear(dim_hidden, dim, bias=False)

    def forward(self, x):
        """(..., dim) to (..., dim)."""
        return self.out(self.act(self.inner(x)))


def _feed_forward(dim, name):
    """The feed-forward block of this name, with about 8 dim^2 weights."""
    if name in GLU_VARIANTS:
        gated = GatedFeedForward(dim, variant=name)
        gated.glu.act = get_act_layer(GLU_VARIANTS[name], native=True)()
        return gated
    try:
        catalog.get(name)
    except ValueError:
        choices = [*GLU_VARIANTS, *catalog.names()]
        raise ValueError(f"unknown feed_forward {name!r}; choose from {choices}") from None
    return FeedForward(dim, 4 * dim, act=name)
