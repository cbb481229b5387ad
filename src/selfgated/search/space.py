"""The published search space: core units b(u1(x1), u2(x2)), 25 unary and 10 binary functions.

Ramachandran, Zoph and Le, "Searching for Activation Functions", arXiv:1710.05941, section 2.
"""

from dataclasses import dataclass
from math import prod
from numbers import Integral

from selfgated.search.expression import Expression, beta, call, number, x

__all__ = ["BINARY", "MAX_CORES", "UNARY", "Space"]

MAX_CORES = 3
EPS_NODE = call("eps")


def _minus(a):
    return call("neg", a)


def _power(a, k):
    return call("pow", a, value=k)


def _function(op):
    return lambda a, b: call(op, a)


# Each unary takes its argument and a fresh beta.
UNARY = {
    "x": lambda a, b: a,
    "-x": lambda a, b: _minus(a),
    "abs(x)": _function("abs"),
    "x^2": lambda a, b: _power(a, 2),
    "x^3": lambda a, b: _power(a, 3),
    "sqrt(x)": _function("sqrt"),
    "beta*x": lambda a, b: call("mul", b, a),
    "x + beta": lambda a, b: call("add", a, b),
    "log(abs(x) + eps)": lambda a, b: call("log", call("add", call("abs", a), EPS_NODE)),
    "exp(x)": _function("exp"),
    "sin(x)": _function("sin"),
    "cos(x)": _function("cos"),
    "sinh(x)": _function("sinh"),
    "cosh(x)": _function("cosh"),
    "tanh(x)": _function("tanh"),
    "asinh(x)": _function("asinh"),
    "atan(x)": _function("atan"),
    "sinc(x)": _function("sinc"),
    "max(x, 0)": lambda a, b: call("max", a, number(0)),
    "min(x, 0)": lambda a, b: call("min", a, number(0)),
    "sigmoid(x)": _function("sigmoid"),
    "log(1 + exp(x))": _function("softplus"),
    "exp(-x^2)": lambda a, b: call("exp", _minus(_power(a, 2))),
    "erf(x)": _function("erf"),
    "beta": lambda a, b: b,
}

# Each binary takes its arguments and a fresh beta.
BINARY = {
    "x1 + x2": lambda a, b, c: call("add", a, b),
    "x1*x2": lambda a, b, c: call("mul", a, b),
    "x1 - x2": lambda a, b, c: call("sub", a, b),
    "x1/(x2 + eps)": lambda a, b, c: call("div", a, call("add", b, EPS_NODE)),
    "max(x1, x2)": lambda a, b, c: call("max", a, b),
    "min(x1, x2)": lambda a, b, c: call("min", a, b),
    "sigmoid(x1)*x2": lambda a, b, c: call("mul", call("sigmoid", a), b),
    "exp(-beta*(x1 - x2)^2)": lambda a, b, c: call(
        "exp", call("mul", _minus(c), _power(call("sub", a, b), 2))
    ),
    "exp(-beta*abs(x1 - x2))": lambda a, b, c: call(
        "exp", call("mul", _minus(c), call("abs", call("sub", a, b)))
    ),
    "beta*x1 + (1 - beta)*x2": lambda a, b, c: call(
        "add", call("mul", c, a), call("mul", call("sub", number(1), c), b)
    ),
}


@dataclass(frozen=True)
class Space:
    """All functions of one, two or three core units.

    A member is a tuple of decisions. The first core unit takes three: u1, u2 and b, both inputs being x. Each
    later one takes five: the input of u1, u1, the input of u2, u2 and b, where an input is x or the output of
    an earlier core unit. The output of the last core unit is the function. Every beta of a core unit is a
    parameter of its own; where an output is used twice, so are its betas.

    Parameters
    ----------
    cores : int
        1, 2 or 3.

    Attributes
    ----------
    sizes : tuple of int
        Number of choices of each decision.
    size : int
        Number of members, equal functions counted each time.

    Raises
    ------
    ValueError
        For another number of core units.

    Examples
    --------
    >>> Space().sizes, Space().size, Space(2).sizes
    ((25, 25, 10), 6250, (25, 25, 10, 2, 25, 2, 25, 10))
    >>> Space().expression((0, 20, 1))
    Expression('x*sigmoid(x)')
    """

    cores: int = 1

    def __post_init__(self):
        """Check."""
        if not _whole(self.cores) or not 1 <= self.cores <= MAX_CORES:
            raise ValueError(f"cores must be 1, 2 or 3, not {self.cores!r}")

    @property
    def sizes(self):
        """Number of choices of each decision."""
        unary, binary = len(UNARY), len(BINARY)
        later = ((core, unary, core, unary, binary) for core in range(2, self.cores + 1))
        return (unary, unary, binary, *(size for sizes in later for size in sizes))

    @property
    def size(self):
        """Number of members."""
        return prod(self.sizes)

    def expression(self, choice):
        """The function of a tuple of decisions.

        Parameters
        ----------
        choice : sequence of int
            One for each of `sizes`, from 0.

        Returns
        -------
        Expression

        Raises
        ------
        ValueError
            If there are more or fewer decisions, or one is out of range.
        """
        choice = self.check(choice)
        unary, binary = tuple(UNARY.values()), tuple(BINARY.values())
        values = [x]
        for core in range(self.cores):
            if core == 0:
                (u1, u2, b), first, second = choice[:3], x, x
            else:
                i, u1, j, u2, b = choice[5 * core - 2 : 5 * core + 3]
                first, second = values[i], values[j]
            fresh = (beta(3 * core + k) for k in range(3))
            left, right = unary[u1](first, next(fresh)), unary[u2](second, next(fresh))
            values.append(binary[b](left, right, next(fresh)))
        return Expression(values[-1])

    def check(self, choice):
        """`choice` as a tuple of int; ValueError if it is no member."""
        if _whole(choice):
            raise TypeError(
                f"a choice is {len(self.sizes)} decisions, not {choice!r}; choice({choice!r}) gives them"
            )
        choice = tuple(choice)
        if len(choice) != len(self.sizes):
            raise ValueError(f"a choice has {len(self.sizes)} decisions, not {len(choice)}: {choice}")
        for place, (value, size) in enumerate(zip(choice, self.sizes, strict=True)):
            if not _whole(value) or not 0 <= value < size:
                raise ValueError(f"decision {place} of {choice} must be a whole number below {size}")
        return tuple(int(value) for value in choice)

    def choice(self, index):
        """The member with this number, the last decision varying fastest.

        Parameters
        ----------
        index : int
            From 0 to `size` - 1.

        Returns
        -------
        tuple of int

        Raises
        ------
        ValueError
            If it is out of range.

        Examples
        --------
        >>> Space().choice(201), Space().index((0, 20, 1))
        ((0, 20, 1), 201)
        """
        if not _whole(index) or not 0 <= index < self.size:
            raise ValueError(f"index must be a whole number from 0 to {self.size - 1}, not {index!r}")
        decisions = []
        for size in reversed(self.sizes):
            index, decision = divmod(index, size)
            decisions.append(int(decision))
        return tuple(reversed(decisions))

    def index(self, choice):
        """The number of a member: the inverse of `choice`."""
        index = 0
        for value, size in zip(self.check(choice), self.sizes, strict=True):
            index = index * size + value
        return index

    def __len__(self):
        """Number of members."""
        return self.size

    def __iter__(self):
        """Yield every member in order."""
        return (self.choice(index) for index in range(self.size))


def _whole(value):
    return isinstance(value, Integral) and not isinstance(value, bool)
