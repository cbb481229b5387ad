"""Self-checks of assignment 3, GELU: one function per problem.

Each takes the answers of its problem and returns ``"gelu: fine"``, or raises `CheckFailed` with a sentence
that says what is wrong; the NotImplementedError of an unfinished answer passes through. The right values come
from `selfgated.kernels`, `selfgated.moments` and `scipy.special`.
"""

from selfgated.checks.gelu.arrays import forward, tail
from selfgated.checks.gelu.distance import closest
from selfgated.checks.gelu.formulas import centre_and_width, tanh_slope

__all__ = ["centre_and_width", "closest", "forward", "tail", "tanh_slope"]
