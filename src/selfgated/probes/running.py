"""Run any model on any batch so that hooks see it all."""

import contextlib
from collections.abc import Mapping

import torch
from torch import nn

__all__ = ["call_model", "copied", "measurable", "unwrap"]

WRAPPERS = (nn.DataParallel, nn.parallel.DistributedDataParallel)


def unwrap(model):
    """(module to measure, [what was unwrapped]); TypeError or ValueError for what hooks cannot look into."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be an nn.Module, not {type(model).__name__}")
    notes = []
    while True:
        if isinstance(model, WRAPPERS):
            notes.append(f"measured the module inside {type(model).__name__}")
            model = model.module
        elif isinstance(getattr(model, "_orig_mod", None), nn.Module):
            notes.append("measured the model that torch.compile was given")
            model = model._orig_mod
        else:
            break
    for name, module in model.named_modules():
        where = f"module {name!r}" if name else "the model"
        if isinstance(module, torch.jit.ScriptModule):
            raise TypeError(
                f"{where} is a ScriptModule, which runs no hooks: pass the model it was made from"
            )
        tensors = [t for t in [*module._parameters.values(), *module._buffers.values()] if t is not None]
        if any(nn.parameter.is_lazy(t) for t in tensors):
            raise ValueError(f"{where} ({type(module).__name__}) has no weights yet: run the model once")
        if any(t.is_meta for t in tensors):
            raise ValueError(f"{where} ({type(module).__name__}) is on the meta device: it has no numbers")
    return model, notes


@contextlib.contextmanager
def measurable(model):
    """No path that skips modules, no compiled code, no cuDNN where it has no gradient (RNN in eval)."""
    recurrent = any(isinstance(m, nn.RNNBase) and not m.training for m in model.modules())
    compiled = any(hasattr(m, "_orig_mod") or m._compiled_call_impl is not None for m in model.modules())
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with contextlib.ExitStack() as stack:
            if recurrent:
                stack.enter_context(torch.backends.cudnn.flags(enabled=False))
            if compiled:
                stack.enter_context(torch.compiler.set_stance("force_eager"))
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)


def copied(value, dtype):
    """Copies of all tensors in a batch; floating ones in `dtype`."""
    if isinstance(value, torch.Tensor):
        new = value.detach().clone()
        new = new.to(dtype) if dtype is not None and new.is_floating_point() else new
        return new.requires_grad_(value.requires_grad)
    if isinstance(value, Mapping):
        return {key: copied(item, dtype) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(copied(item, dtype) for item in value))
    if isinstance(value, (tuple, list)):
        return type(value)(copied(item, dtype) for item in value)
    return value


def call_model(model, batch):
    """The output: a mapping gives keyword arguments, a tuple or list positional ones."""
    if isinstance(batch, Mapping):
        return model(**batch)
    return model(*batch) if isinstance(batch, (tuple, list)) else model(batch)
