"""What to differentiate: the loss that was given, or one made of the output of any model."""

import dataclasses
from collections.abc import Mapping

import torch

from selfgated.probes.graph import normalised
from selfgated.probes.trace import tensors_in

__all__ = ["loss_of"]


def _top_level(output):
    """[(label, tensor)] of the tensors at the top level of an output; of all, where there are none."""
    if isinstance(output, torch.Tensor):
        return [("the output", output)]
    if isinstance(output, Mapping):
        items = [(f"output[{key!r}]", value) for key, value in output.items()]
    elif dataclasses.is_dataclass(output):
        items = [(f"output.{f.name}", getattr(output, f.name)) for f in dataclasses.fields(output)]
    elif isinstance(output, (tuple, list)):
        items = [(f"output[{i}]", value) for i, value in enumerate(output)]
    else:
        items = []
    top = [(label, value) for label, value in items if isinstance(value, torch.Tensor)]
    return top or [(label, tensor) for label, value in items for tensor in tensors_in(value)]


def loss_of(loss_fn, output, inputs, trace):
    """(loss, what it is, output tensors that it may use); ValueError where nothing can be differentiated."""
    found = _top_level(output)
    used = [(label, t) for label, t in found if t.requires_grad and not any(t is x for x in inputs)]
    if loss_fn is not None:
        loss, text = loss_fn(output), f"what {getattr(loss_fn, '__name__', type(loss_fn).__name__)} returned"
        if not isinstance(loss, torch.Tensor) or loss.numel() != 1:
            got = (
                f"a tensor of shape {tuple(loss.shape)}"
                if isinstance(loss, torch.Tensor)
                else type(loss).__name__
            )
            raise ValueError(f"loss_fn must return one number as a tensor, not {got}")
        if not loss.requires_grad:
            raise ValueError("the loss does not depend on the model by any operation that has a gradient")
        return loss.reshape(()), text, [t for _, t in used]
    if not used:
        what = ", ".join(f"{label} is {t.dtype}" for label, t in found) or f"it is a {type(output).__name__}"
        raise ValueError(
            "the output holds no tensor with a gradient "
            f"({what}): a rounded, detached or integer output cannot be followed back"
        )
    own = [t for label, t in used if label in ("output['loss']", "output.loss") and t.numel() == 1]
    if own:
        return own[0].reshape(()), "output['loss'], which the model computes itself", own
    names, tensors = " and ".join(label for label, _ in used), [t for _, t in used]
    # Squares of half precision overflow at 256.
    wide = [t.to(torch.promote_types(t.dtype, torch.float32)) for t in tensors]
    flat = [label for label, t in used if normalised(trace, t)]
    if flat:
        text = (
            f"a fixed random projection of {names}, because the squared norm of {flat[0]} is normalised away"
        )
        return sum((t * _direction(t)).sum() for t in wide), text, tensors
    return sum(t.abs().square().sum() for t in wide), f"the squared norm of {names}", tensors


def _direction(tensor):
    """Normal numbers of the shape of a tensor, always the same."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(tensor.shape, generator=generator, dtype=torch.float64).to(tensor)
