"""The gradient in time of recurrent layers that are one module: no hook can see between their steps."""

import torch
from torch import nn

__all__ = ["lag_norms", "sequence"]


def sequence(module, args, kwargs):
    """(input, state) of a call, copied, for `lag_norms`; None where it does not apply."""
    x = args[0] if args else kwargs.get("input")
    if not isinstance(module, nn.RNNBase) or module.bidirectional or not isinstance(x, torch.Tensor):
        return None
    if x.dim() != 3 or x.shape[module.batch_first] < 3:
        return None
    state = args[1] if len(args) > 1 else kwargs.get("hx")
    if state is not None:
        state = (
            tuple(s.detach().clone() for s in state) if isinstance(state, tuple) else state.detach().clone()
        )
    return x.detach().clone(), state


def lag_norms(module, x, state):
    """Norms of d||y_T||^2 / dx_t at t = 1, ..., T, where y_T is the last output: (T,) ndarray.

    The module is one ``nn.RNN``, ``nn.LSTM`` or ``nn.GRU`` in one direction; x (N, T, C), or (T, N, C).
    """
    time = int(module.batch_first)
    with torch.enable_grad():
        leaf = x.requires_grad_()
        y = module.forward(leaf, state)[0].select(time, -1)
        grad = torch.autograd.grad(y.double().square().sum(), leaf)[0]
    return grad.double().square().sum([d for d in range(3) if d != time]).sqrt().cpu().numpy()
