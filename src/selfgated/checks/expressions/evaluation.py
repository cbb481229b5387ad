"""Values of a parsed formula, in real arithmetic at any precision, with bounds on size and time."""

import time
from functools import lru_cache

import mpmath

from selfgated.checks.expressions.errors import EvaluationError

ARGUMENT_BOUND = 10**6  # of every function that grows, decays or oscillates exponentially
BITS_BOUND = 10**7  # of the binary exponent of a power
CONSTANTS = ("pi", "e")


@lru_cache(maxsize=16)
def context(digits):
    """Arithmetic of mpmath with `digits` digits, apart from mpmath's global one."""
    arithmetic = mpmath.mp.clone()
    arithmetic.dps = digits
    return arithmetic


def _sigma(c, x):
    # exp of a negative argument on both sides: no value near 1 loses digits of a small one
    small = c.exp(-abs(x))
    return (1 if x >= 0 else small) / (1 + small)


def _softplus(c, x):
    return max(x, c.zero) + c.log1p(c.exp(-abs(x)))


def _log(c, x):
    if x <= 0:
        raise EvaluationError(f"log of {shown(x)}")
    return c.log(x)


def _sqrt(c, x):
    if x < 0:
        raise EvaluationError(f"sqrt of {shown(x)}")
    return c.sqrt(x)


# name: (number of arguments, None for two or more; is the argument bounded; value in an arithmetic)
_TABLE = {
    "exp": (1, True, lambda c, x: c.exp(x)),
    "log": (1, False, _log),
    "sqrt": (1, False, _sqrt),
    "sigma": (1, True, _sigma),
    "tanh": (1, True, lambda c, x: c.tanh(x)),
    "Phi": (1, True, lambda c, x: c.erfc(-x / c.sqrt(2)) / 2),
    "phi": (1, True, lambda c, x: c.exp(-x * x / 2) / c.sqrt(2 * c.pi)),
    "erf": (1, True, lambda c, x: c.erf(x)),
    "softplus": (1, True, _softplus),
    "sin": (1, True, lambda c, x: c.sin(x)),
    "cos": (1, True, lambda c, x: c.cos(x)),
    "sinh": (1, True, lambda c, x: c.sinh(x)),
    "cosh": (1, True, lambda c, x: c.cosh(x)),
    "abs": (1, False, lambda c, x: abs(x)),
    "min": (None, False, lambda c, *xs: min(xs)),
    "max": (None, False, lambda c, *xs: max(xs)),
}
FUNCTIONS = tuple(_TABLE)
ALIASES = {"sigmoid": "sigma"}


def arity(name):
    """Number of arguments of the function `name`; None stands for two or more."""
    return _TABLE[name][0]


def shown(value):
    """`value` as text with six digits, for messages."""
    if value == 0 or 1e-300 < abs(value) < 1e300:
        return f"{float(value):.6g}"
    return mpmath.nstr(value, 6)


class Evaluator:
    """Evaluates trees at one point and one precision.

    Parameters
    ----------
    point : dict of str to number
        Value of every symbol.
    digits : int
        Decimal digits that every step carries.
    deadline : float, optional
        Reading of `time.monotonic` after which evaluation stops.

    Attributes
    ----------
    largest : mpf
        Largest magnitude that a sum or difference had among its terms: what cancellation is measured against.
    """

    def __init__(self, point, digits, deadline=None):
        """Take over the point in an arithmetic of `digits` digits."""
        self.context = context(digits)
        self.point = {name: self.context.mpf(value) for name, value in point.items()}
        self.deadline = deadline
        self.largest = self.context.zero

    def value(self, node):
        """Value of the tree `node` as an mpf.

        Raises
        ------
        EvaluationError
            Where it is not real or not finite, too large to compute, or the deadline has passed.
        """
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise EvaluationError("it takes too long to evaluate")
        c = self.context
        if node.kind == "number":
            return c.mpf(node.name)
        if node.kind == "constant":
            return +getattr(c, node.name)
        if node.kind == "symbol":
            return self.point[node.name]
        arguments = [self.value(child) for child in node.children]
        if node.kind == "call":
            return self._call(node.name, arguments)
        return self._operation(node.name, *arguments)

    def _call(self, name, arguments):
        _, bounded, function = _TABLE[name]
        if bounded and abs(arguments[0]) > ARGUMENT_BOUND:
            raise EvaluationError(f"{name} of {shown(arguments[0])}, beyond {ARGUMENT_BOUND:,}")
        return function(self.context, *arguments)

    def _operation(self, name, x, y=None):
        if name == "negative":
            return -x
        if name in "+-":
            self.largest = max(self.largest, abs(x), abs(y))
            return x + y if name == "+" else x - y
        if name == "*":
            return x * y
        if name == "/":
            if y == 0:
                raise EvaluationError("a division by zero")
            return x / y
        return self._power(x, y)

    def _power(self, x, y):
        c = self.context
        if x == 0 and y < 0:
            raise EvaluationError("a division by zero")
        if x < 0 and not c.isint(y):
            raise EvaluationError(f"a power of {shown(x)} with the exponent {shown(y)}")
        if x == 0 or y == 0:
            return c.one if y == 0 else c.zero
        if abs(y) * (abs(c.mag(x)) + 1) > BITS_BOUND:
            raise EvaluationError(f"a power too large to compute, {shown(x)} ** {shown(y)}")
        if c.isint(y):
            return x ** int(y)
        return c.exp(y * c.log(x))
