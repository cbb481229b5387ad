"""Recurrent networks whose activation, recurrent matrix and retention are free to choose.

The cells are those of ``nn.RNN``, ``nn.LSTM`` and ``nn.GRU``, with the same weights under almost the same
names (``weight_ih`` for ``weight_ih_l0``), written out so that any activation may stand in tanh's place.
"""

import math

import torch
from torch import nn

from selfgated.modules import get_act_layer
from selfgated.stacked import StackedLinear, positive, stack_act

__all__ = ["RNN"]

RECURRENT_INITS = ("orthogonal", "gaussian", "default")


class RNN(nn.Module):
    """A recurrent layer and a linear map of its last state.

    With a the drive W_ih x_t + b_ih and u = W_hh h + b_hh, h the state before (0 at the start):

    - "rnn":  h' = f(a + u);
    - "lstm": c' = sigma(F) c + sigma(I) f(G),  h' = sigma(O) f(c'),  with (I, F, G, O) = a + u;
    - "gru":  h' = Z h + (1 - Z) f(a_n + R u_n),  with R, Z = sigma(a + u) in their blocks.

    Parameters
    ----------
    dim_in, dim_hidden, dim_out : int
        Widths D, H and C.
    cell : {"rnn", "lstm", "gru"}
    act_layer : str or callable
        f, in the place of tanh: a name that `get_act_layer` knows, or a factory of modules. The gates keep
        the sigmoid.
    recurrent_init : {"orthogonal", "gaussian", "default"}
        Each (H, H) block of W_hh is `rho` times an orthogonal matrix (all of its eigenvalues have modulus
        `rho`), or normal with variance rho^2 / H (its spectral radius tends to `rho` as H grows); W_ih and
        the head are normal with variance 1 / fan_in, biases 0. "default" is torch's: all of the layer
        uniform within 1 / sqrt(H), the head as ``nn.Linear``.
    rho : float
        See above; "default" takes none but 1.
    retention_bias : float
        Added to the bias of the gate that keeps the state: forget in "lstm", update in "gru".
    num_models : int
        K networks as one, by batched products.
    generator : torch.Generator or sequence of K of them, optional
        Draws the weights; with a sequence, network k's from the k-th alone. torch's global one by default.

    Attributes
    ----------
    weight_ih, weight_hh, bias_ih, bias_hh : nn.Parameter
        (G H, D), (G H, H), (G H), (G H), with G = 1, 4 or 3 blocks; a leading K if K > 1. Blocks are in
        torch's order: input, forget, cell, output; or reset, update, new.

    Raises
    ------
    ValueError
        For an unknown choice, a size that is not positive, a retention bias of "rnn" (it has no gate), and in
        the forward pass for an input of another shape.

    Notes
    -----
    Equal to torch's layers with the same weights, forward and backward, to 1e-6 in float32, and with
    "default" to torch's own weights from the same seed: ``tests/test_models_recurrent.py``.

    References
    ----------
    Hochreiter and Schmidhuber 1997; Gers, Schmidhuber and Cummins 2000 (forget gate); Cho et al. 2014.
    Chapter 12.

    Examples
    --------
    >>> model = RNN(8, 32, 10, cell="lstm", retention_bias=3.0)
    >>> model(torch.zeros(5, 33, 8)).shape, model.states(torch.zeros(5, 33, 8)).shape
    (torch.Size([5, 10]), torch.Size([5, 33, 32]))
    """

    def __init__(
        self,
        dim_in,
        dim_hidden,
        dim_out,
        *,
        cell="rnn",
        act_layer="tanh",
        recurrent_init="orthogonal",
        rho=1.0,
        retention_bias=0.0,
        num_models=1,
        generator=None,
    ):
        """One layer and a head."""
        super().__init__()
        sizes = {"dim_in": dim_in, "dim_hidden": dim_hidden, "dim_out": dim_out, "num_models": num_models}
        for name, value in sizes.items():
            positive(name, value)
        for name, value, choices in (
            ("cell", cell, list(CELLS)),
            ("recurrent_init", recurrent_init, list(RECURRENT_INITS)),
        ):
            if value not in choices:
                raise ValueError(f"unknown {name} {value!r}; choose from {choices}")
        if not (math.isfinite(rho) and rho >= 0):
            raise ValueError(f"rho must be finite and at least 0, not {rho!r}")
        if recurrent_init == "default" and rho != 1:
            raise ValueError(f"recurrent_init='default' takes no rho, not {rho!r}")
        if cell == "rnn" and retention_bias:
            raise ValueError(f"cell='rnn' has no gate for a retention_bias of {retention_bias!r}")
        self.dim_in, self.dim_hidden, self.num_models = dim_in, dim_hidden, num_models
        self.cell, self.recurrent_init, self.rho = cell, recurrent_init, rho
        self.retention_bias = retention_bias
        self.blocks, self.retention_block, self._run = CELLS[cell]
        lead = (num_models,) if num_models > 1 else ()
        gates = self.blocks * dim_hidden
        self.weight_ih = nn.Parameter(torch.empty(*lead, gates, dim_in))
        self.weight_hh = nn.Parameter(torch.empty(*lead, gates, dim_hidden))
        self.bias_ih = nn.Parameter(torch.empty(*lead, gates))
        self.bias_hh = nn.Parameter(torch.empty(*lead, gates))
        act_layer = act_layer if callable(act_layer) else get_act_layer(act_layer, native=True)
        self.act = stack_act(act_layer(), num_models)
        self.head = (
            nn.Linear(dim_hidden, dim_out)
            if num_models == 1
            else StackedLinear(num_models, dim_hidden, dim_out)
        )
        self.reset_parameters(generator)

    @torch.no_grad()
    def reset_parameters(self, generator=None):
        """Draw all weights again.

        Parameters
        ----------
        generator : torch.Generator or sequence of them, optional
            As in the class.
        """
        models = self.num_models
        several = isinstance(generator, (list, tuple))
        if several and len(generator) != models:
            raise ValueError(f"{len(generator)} generators for num_models = {models}")
        for k, own in enumerate(generator if several else [generator] * models):
            self._draw(*(p.view(models, *p.shape[-1 - matrix :])[k] for p, matrix in self._layout()), own)

    def _layout(self):
        """Parameters in torch's order, and whether each is a matrix."""
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        layer = [(getattr(self, name), name.startswith("weight")) for name in names]
        return [*layer, (self.head.weight, True), (self.head.bias, False)]

    def _draw(self, weight_ih, weight_hh, bias_ih, bias_hh, head, head_bias, generator):
        """Draw the weights of one network."""
        hidden = self.dim_hidden
        if self.recurrent_init == "default":
            for tensor in (weight_ih, weight_hh, bias_ih, bias_hh, head, head_bias):
                tensor.uniform_(-(hidden**-0.5), hidden**-0.5, generator=generator)
        else:
            weight_ih.normal_(std=self.dim_in**-0.5, generator=generator)
            for block in weight_hh.split(hidden):
                if self.recurrent_init == "orthogonal":
                    nn.init.orthogonal_(block, gain=self.rho, generator=generator)
                else:
                    block.normal_(std=self.rho * hidden**-0.5, generator=generator)
            head.normal_(std=hidden**-0.5, generator=generator)
            for bias in (bias_ih, bias_hh, head_bias):
                bias.zero_()
        if self.retention_bias:
            bias_ih.split(hidden)[self.retention_block].add_(self.retention_bias)

    def unroll(self, x):
        """The states h_1, ..., h_T as they stand in the graph: gradients with respect to each can be asked.

        Parameters
        ----------
        x : (N, T, D) tensor, or (K, N, T, D) with a batch for each network

        Returns
        -------
        list of T tensors (K, N, H)
            K = 1 for a single network.
        """
        models, hidden = self.num_models, self.dim_hidden
        x4 = x if x.dim() == 4 else x.unsqueeze(0)  # (K or 1, N, T, D)
        if x4.dim() != 4 or x4.shape[0] not in (1, models) or x4.shape[3] != self.dim_in or not x4.shape[2]:
            wanted = f"(N, T, {self.dim_in}) or ({models}, N, T, {self.dim_in})"
            raise ValueError(f"the input has shape {tuple(x.shape)}, not {wanted} with T >= 1")
        weight_ih = self.weight_ih.view(models, -1, self.dim_in)
        weight_hh = self.weight_hh.view(models, -1, hidden).transpose(1, 2)  # (K, H, G H)
        bias_ih, bias_hh = self.bias_ih.view(models, 1, -1), self.bias_hh.view(models, 1, -1)
        samples, steps = x4.shape[1:3]
        by_step = x4.transpose(1, 2).flatten(1, 2).expand(models, -1, -1)  # (K, T N, D)
        drive = torch.baddbmm(bias_ih, by_step, weight_ih.transpose(1, 2))  # (K, T N, G H)
        drive = drive.unflatten(1, (steps, samples)).unbind(1)  # T of (K, N, G H)
        h = drive[0].new_zeros(models, samples, hidden)
        return list(self._run(drive, h, weight_hh, bias_hh, self.act))

    def states(self, x):
        """All states: (N, T, D) to (N, T, H); with K networks, or a batch each, to (K, N, T, H)."""
        h = torch.stack(self.unroll(x), dim=2)  # (K, N, T, H)
        return h if self.num_models > 1 or x.dim() == 4 else h[0]

    def forward(self, x):
        """Output at the last step: (N, T, D) to (N, C); with K networks, or a batch each, to (K, N, C)."""
        h = self.unroll(x)[-1]  # (K, N, H)
        return self.head(h if self.num_models > 1 or x.dim() == 4 else h[0])

    def extra_repr(self):
        """The choices."""
        return (
            f"{self.dim_in}, {self.dim_hidden}, cell={self.cell!r}, recurrent_init={self.recurrent_init!r}, "
            f"rho={self.rho}, retention_bias={self.retention_bias}, num_models={self.num_models}"
        )


def _rnn(drive, h, weight, bias, act):
    """Yield h' = f(a + u) for each drive a (K, N, H), with u = h `weight` + `bias`."""
    for a in drive:
        h = act(torch.baddbmm(a + bias, h, weight))  # (K, N, H)
        yield h


def _lstm(drive, h, weight, bias, act):
    """Yield h' = sigma(O) f(c'), c' = sigma(F) c + sigma(I) f(G), for each drive (K, N, 4 H)."""
    hidden = h.shape[-1]
    c = torch.zeros_like(h)
    for a in drive:
        blocks = torch.baddbmm(a + bias, h, weight)  # (K, N, 4 H)
        write, keep = blocks[..., : 2 * hidden].sigmoid().chunk(2, dim=-1)
        new, read = blocks[..., 2 * hidden :].chunk(2, dim=-1)
        c = keep * c + write * act(new)  # (K, N, H)
        h = read.sigmoid() * act(c)
        yield h


def _gru(drive, h, weight, bias, act):
    """Yield h' = Z h + (1 - Z) f(a_n + R u_n) for each drive a (K, N, 3 H), with u = h `weight` + `bias`."""
    hidden = h.shape[-1]
    for a in drive:
        u = torch.baddbmm(bias, h, weight)  # (K, N, 3 H)
        reset, keep = (a + u)[..., : 2 * hidden].sigmoid().chunk(2, dim=-1)
        new = act(a[..., 2 * hidden :] + reset * u[..., 2 * hidden :])  # (K, N, H)
        h = new + keep * (h - new)
        yield h


# number of blocks, the block of the gate that keeps the state, the loop over the steps
CELLS = {"rnn": (1, None, _rnn), "lstm": (4, 1, _lstm), "gru": (3, 1, _gru)}
