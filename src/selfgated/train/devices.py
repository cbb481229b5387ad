"""Where a model is trained, and in which precision."""

import contextlib
import os

import torch
from torch import nn

__all__ = ["PRECISIONS", "autocast", "place", "resolve_device"]

PRECISIONS = ("float32", "bfloat16")


def resolve_device(device="auto"):
    """Turn a device's name into a torch.device that is there.

    Parameters
    ----------
    device : str or torch.device
        ``"auto"``: what the environment variable SELFGATED_DEVICE names, else ``"cuda"`` where there is one,
        else ``"cpu"``. Otherwise ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.

    Returns
    -------
    torch.device

    Raises
    ------
    ValueError
        If the name is none of these, or the device is not there.

    Examples
    --------
    >>> resolve_device("cpu")
    device(type='cpu')
    """
    name = str(device)
    asked = f"device {name!r}"
    if name == "auto":
        name = os.environ.get("SELFGATED_DEVICE") or "auto"
        asked = f"device {name!r} (from SELFGATED_DEVICE)"
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    choices = ["auto", "cpu", "cuda", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if name not in choices:
        raise ValueError(f"unknown {asked}; choose from {choices}")
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"{asked} is not there: torch sees no CUDA device; choose from ['auto', 'cpu']")
    return torch.device(name)


def autocast(device, precision):
    """Return the context in which the forward pass runs.

    Parameters
    ----------
    device : torch.device
    precision : {"float32", "bfloat16"}
        float32: whatever dtype the parameters have, nothing is cast. bfloat16: matrix products and
        convolutions in bfloat16 (8 significant bits), the loss in float32; the weights stay as they are.

    Returns
    -------
    context manager

    Raises
    ------
    ValueError
        For another precision.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"unknown precision {precision!r}; choose from {list(PRECISIONS)}")
    if precision == "float32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


def place(model, device):
    """Move a model to a device, in place.

    On CUDA the convolutions of a single network are laid out channels-last, the order that its tensor cores
    read; those of several networks in one (groups) are left as they are.

    Parameters
    ----------
    model : torch.nn.Module
    device : torch.device

    Returns
    -------
    torch.memory_format
        The layout that a batch of images (N, C, H, W) should have.
    """
    model.to(device)
    convolutions = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d)]
    if device.type == "cuda" and convolutions and all(layer.groups == 1 for layer in convolutions):
        model.to(memory_format=torch.channels_last)
        return torch.channels_last
    return torch.contiguous_format
