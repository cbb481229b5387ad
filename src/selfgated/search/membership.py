"""Which member of the space of one core unit a function is."""

from functools import lru_cache

import numpy as np

from selfgated.search.canonical import _fingerprints, bounded, distinct, fingerprint
from selfgated.search.expression import Expression, beta, x
from selfgated.search.grammar import parse
from selfgated.search.space import BINARY, UNARY, Space

__all__ = ["alone", "groups", "locate"]


@lru_cache(maxsize=1)
def groups():
    """The number of the function that each member of ``Space(1)`` is, in the order of `distinct`.

    Returns
    -------
    ndarray, shape (6250,), int
    """
    found = np.empty(Space(1).size, dtype=int)
    for number, group in enumerate(distinct()):
        found[list(group)] = number
    found.flags.writeable = False
    return found


@lru_cache(maxsize=1)
def _values():
    """The fingerprints of the distinct functions, such that infinity and NaN can be compared."""
    space = Space(1)
    return bounded(_fingerprints([space.expression(space.choice(group[0])) for group in distinct()]))


def locate(expression):
    """The number in ``Space(1)`` of a member that is this function, by value, with the betas free.

    Parameters
    ----------
    expression : Expression or str

    Returns
    -------
    int or None
        The member with the shortest text; None if one core unit cannot make the function.

    Examples
    --------
    >>> Space(1).expression(Space(1).choice(locate("x*sigmoid(x)")))
    Expression('sigmoid(x)*x')
    >>> locate("atan(x)^2 - x") is None  # takes two core units
    True
    """
    expression = parse(expression) if isinstance(expression, str) else expression
    if len(expression.betas) > 3:
        return None  # one core unit has two unaries and a binary, so at most three betas
    equal = np.abs(_values() - bounded(fingerprint(expression))).max(axis=1) <= 1e-9
    return distinct()[int(equal.argmax())][0] if equal.any() else None


@lru_cache(maxsize=1)
def alone():
    """The functions that are one unary alone.

    Returns
    -------
    dict of int to Expression
        Number of the function, in the order of `distinct`, to the unary.

    Notes
    -----
    Every spelling of the space has two unaries, such as ``max(tanh(x), tanh(x))``.
    """
    unaries, binaries = list(UNARY), list(BINARY)
    # A beta on both sides is two parameters.
    with_beta = {
        "beta*x": ("x", "beta", "x1*x2"),
        "x + beta": ("x", "beta", "x1 + x2"),
        "beta": ("x + beta", "x", "x1 - x2"),
    }
    found = {}
    for name, unary in UNARY.items():
        u1, u2, b = with_beta.get(name, (name, name, "max(x1, x2)"))
        index = Space(1).index((unaries.index(u1), unaries.index(u2), binaries.index(b)))
        found[int(groups()[index])] = Expression(unary(x, beta()))
    return found
