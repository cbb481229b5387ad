"""Seeded training of one network, or of K with the same shape as one.

`fit` trains, `accuracy` and `evaluate` measure, `resolve_device` finds the device.
"""

from selfgated.train.checkpoint import load_checkpoint, save_checkpoint
from selfgated.train.devices import resolve_device
from selfgated.train.evaluation import Evaluation, accuracy, cross_entropy, evaluate
from selfgated.train.loop import fit
from selfgated.train.optimisers import schedule_factor
from selfgated.train.result import Result

__all__ = [
    "Evaluation",
    "Result",
    "accuracy",
    "cross_entropy",
    "evaluate",
    "fit",
    "load_checkpoint",
    "resolve_device",
    "save_checkpoint",
    "schedule_factor",
]
