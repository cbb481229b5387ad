"""Self-checks of assignment 7, autograd in torch: one function per answer.

Each takes an answer and returns ``"ramp: fine"``, or raises `CheckFailed` with a sentence that says what is
wrong; the NotImplementedError of an unfinished answer passes through. While an assignment is graded, answers
are called from another process. Their tensors arrive without a graph then, and what needs one is left to the
hidden tests.
"""

from selfgated.checks.torch_autograd.diagnosis import diagnose
from selfgated.checks.torch_autograd.formulas import softplus_slope, squareplus_curvature, squareplus_slope
from selfgated.checks.torch_autograd.hole import ramp
from selfgated.checks.torch_autograd.memory import kept_bytes
from selfgated.checks.torch_autograd.squareplus import squareplus

__all__ = [
    "diagnose",
    "kept_bytes",
    "ramp",
    "softplus_slope",
    "squareplus",
    "squareplus_curvature",
    "squareplus_slope",
]
