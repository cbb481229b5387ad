"""Loss and accuracy of K networks, each its own."""

import contextlib
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional as nnf

from selfgated.train.batches import Resident
from selfgated.train.devices import autocast

__all__ = ["Evaluation", "accuracy", "cross_entropy", "evaluate", "mode"]

BATCH = 500


class Evaluation(NamedTuple):
    """What `evaluate` returns: `accuracy` and `loss`, each (K,) float64, a value a network."""

    accuracy: np.ndarray
    loss: np.ndarray


@contextlib.contextmanager
def mode(model, training):
    """Put every module of a model in training or evaluation mode; afterwards each is as it was."""
    before = {module: module.training for module in model.modules()}
    model.train(training)
    try:
        yield model
    finally:
        for module, flag in before.items():
            module.training = flag


def cross_entropy(output, target, num_models=1):
    """Cross-entropy over the last dimension, the mean of each network: log sum_c exp(o_c) - o_target.

    Parameters
    ----------
    output : torch.Tensor, (..., C), or (K, ..., C) for K > 1 networks
        Logits.
    target : torch.Tensor, int64, shape of `output` without C
    num_models : int
        K.

    Returns
    -------
    torch.Tensor
        (K,), in nats; a scalar if K = 1.
    """
    classes = output.shape[-1]
    if num_models == 1:
        return nnf.cross_entropy(output.reshape(-1, classes), target.reshape(-1))
    each = nnf.cross_entropy(output.reshape(-1, classes), target.reshape(-1), reduction="none")
    return each.view(num_models, -1).mean(1)


def _hits(output, target, num_models):
    """Share of right answers per network, (K,); an output that is not finite is wrong."""
    right = (output.argmax(-1) == target) & output.isfinite().all(-1)
    return right.reshape(num_models, -1).double().mean(1)


def evaluate_resident(model, resident, *, loss_fn=None, precision="float32", batch_size=BATCH):
    """`evaluate`, on data that is on the device already."""
    num_models = getattr(model, "num_models", 1)
    device = resident.x_test.device
    right = torch.zeros(num_models, dtype=torch.float64, device=device)
    loss = torch.zeros_like(right)
    labels = not resident.y_test.is_floating_point()
    with mode(model, False), torch.inference_mode():
        for x, y in resident.test_batches(batch_size):
            target = y.expand(num_models, *y.shape) if num_models > 1 else y
            with autocast(device, precision):
                output = model(x)
                each = (
                    cross_entropy(output, target, num_models) if loss_fn is None else loss_fn(output, target)
                )
            loss += each.reshape(-1).double() * len(y)
            right += _hits(output, target, num_models) * len(y) if labels else float("nan")
    samples = len(resident.y_test)
    return Evaluation((right / samples).cpu().numpy(), (loss / samples).cpu().numpy())


def evaluate(model, data, *, loss_fn=None, precision="float32", batch_size=BATCH):
    """Loss and accuracy on the test part of the data, in evaluation mode; the model is afterwards as before.

    Parameters
    ----------
    model : torch.nn.Module
        With an attribute `num_models` = K if it holds several networks.
    data : data.Dataset, or tuple of torch.Tensor
        The tuple is (x, y), or (x_train, y_train, x_test, y_test).
    loss_fn : callable, optional
        As in `fit`; by default `cross_entropy`.
    precision : {"float32", "bfloat16"}
    batch_size : int

    Returns
    -------
    Evaluation
        accuracy (K,), a share in [0, 1] (nan for targets that are not integers), and loss (K,).
    """
    if isinstance(data, (tuple, list)) and len(data) == 2:
        data = (*data, *data)
    first = next(model.parameters())
    resident = Resident(data, device=first.device, dtype=first.dtype)
    return evaluate_resident(model, resident, loss_fn=loss_fn, precision=precision, batch_size=batch_size)


def accuracy(model, data, *, batch_size=BATCH):
    """Share of the test part that each network classifies right, (K,); see `evaluate`.

    An output that is not finite counts as wrong: a diverged network has accuracy 0, not that of class 0.
    """
    return evaluate(model, data, batch_size=batch_size).accuracy
