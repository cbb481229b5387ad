"""What a child network learns: whether two digits have parities that differ."""

from functools import lru_cache
from numbers import Integral
from typing import NamedTuple

import numpy as np
import torch

from selfgated import data

__all__ = ["PARTS", "Pairs", "parity_pairs"]

PARTS = ("validation", "test")
TRAIN_PAIRS, EVAL_PAIRS, VALIDATION_DIGITS = 8000, 4000, 360
TRAINING, VALIDATION, TEST = range(3)


class Pairs(NamedTuple):
    """Pairs of digits: x (N, 128) float32, standardised, and y (N,) int64, 1 where the parities differ."""

    x_train: torch.Tensor
    y_train: torch.Tensor
    x_test: torch.Tensor
    y_test: torch.Tensor


def parity_pairs(seed, part="validation"):
    """Pairs of scikit-learn's digits, labelled by the exclusive or of their parities.

    A linear network is at chance here: whichever digit stands in one place, the label depends on the other.
    Where the label is the digit itself, a linear network does well, and the task rewards an activation that
    lets signals through unchanged (chapter 15).

    Parameters
    ----------
    seed : int
        Decides which digits are held out for validation, and the pairs.
    part : {"validation", "test"}
        What x_test and y_test hold: pairs of the 360 digits held out by `seed`, or of the 360 digits of the
        test set, which is the same for every seed and which no search has seen.

    Returns
    -------
    Pairs
        8000 pairs to train on, from 1077 digits, and 4000 to test on.

    Raises
    ------
    ValueError
        For an unknown part, or a seed that is not a whole number from 0 on.

    Examples
    --------
    >>> parity_pairs(0).x_train.shape
    torch.Size([8000, 128])
    """
    if part not in PARTS:
        raise ValueError(f"unknown part {part!r}; choose from {list(PARTS)}")
    if isinstance(seed, bool) or not isinstance(seed, Integral) or seed < 0:
        raise ValueError(f"seed must be a whole number from 0 on, not {seed!r}")
    return Pairs(*(tensor.clone() for tensor in _drawn(int(seed), part)))


@lru_cache(maxsize=4)
def _drawn(seed, part):
    digits = _digits()
    x, y = digits.x_train, digits.y_train
    held = data.stratified(y, VALIDATION_DIGITS, seed=seed)
    rest = np.setdiff1d(np.arange(len(y)), held)
    training = _pairs(x[rest], y[rest], TRAIN_PAIRS, seed=(seed, TRAINING))
    if part == "test":
        return *training, *_pairs(digits.x_test, digits.y_test, EVAL_PAIRS, seed=(seed, TEST))
    return *training, *_pairs(x[held], y[held], EVAL_PAIRS, seed=(seed, VALIDATION))


@lru_cache(maxsize=1)
def _digits():
    return data.load("digits")


def _pairs(x, y, count, *, seed):
    """`count` pairs, both digits drawn with replacement."""
    digits = _digits()
    chosen = np.random.default_rng(seed).integers(len(y), size=(count, 2))
    scaled = (torch.from_numpy(x).float() - float(digits.mean[0])) / float(digits.std[0])
    labels = torch.from_numpy(y)[chosen] % 2
    return scaled.flatten(1)[chosen].flatten(1), labels[:, 0] ^ labels[:, 1]
