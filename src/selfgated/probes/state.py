"""Leave a model as it was found: buffers, modes, plain attributes, gradients, random states."""

import contextlib
import random

import numpy as np
import torch

__all__ = ["untouched"]


def _device_modules():
    """Accelerators whose random state may move: only those that are already in use."""
    return [torch.cuda] if torch.cuda.is_available() and torch.cuda.is_initialized() else []


@contextlib.contextmanager
def random_states():
    """Put the random states of torch (CPU and CUDA), NumPy and Python back on leaving."""
    cpu, numpy_state, python_state = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    devices = [(module, module.get_rng_state_all()) for module in _device_modules()]
    try:
        yield
    finally:
        torch.set_rng_state(cpu)
        np.random.set_state(numpy_state)  # noqa: NPY002
        random.setstate(python_state)
        for module, states in devices:
            module.set_rng_state_all(states)


def _differs(current, saved):
    return list(current) != list(saved) or any(current[key] is not saved[key] for key in saved)


@contextlib.contextmanager
def untouched(model):
    """Run the model inside; on leaving, by an exception too, it is as it was.

    Restored are the values of all buffers (the running statistics of BatchNorm among them), every plain
    attribute of every module (``training`` among them) as the same object, the parameters' ``grad`` and
    ``requires_grad``, and the random states. What a forward pass changes inside a list or dictionary of its
    own is out of reach.
    """
    modules = list(model.modules())
    attributes = [(module.__dict__, dict(module.__dict__)) for module in modules]
    tables = [
        (table, dict(table))
        for module in modules
        for table in (module._buffers, module._parameters, module._modules)
    ]
    buffers = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
    parameters = [(p, p.requires_grad, p.grad) for p in model.parameters()]
    with random_states():
        try:
            for p, *_ in parameters:
                p.grad = None  # a loss that calls backward would add to it in place
            yield
        finally:
            for current, saved in attributes + tables:
                if _differs(current, saved):
                    current.clear()
                    current.update(saved)
            with torch.no_grad():
                for buffer, value in buffers:
                    buffer.copy_(value)  # the version counter would not tell: BatchNorm does not raise it
            for p, requires_grad, grad in parameters:
                p.requires_grad_(requires_grad)
                p.grad = grad
