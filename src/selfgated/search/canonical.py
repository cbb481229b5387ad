"""When two expressions are the same function: by algebra, and by value."""

from collections import defaultdict
from functools import lru_cache
from itertools import permutations

import numpy as np
import sympy
import torch

from selfgated.search.plan import Plan
from selfgated.search.space import Space

__all__ = ["MIRRORS", "algebraic", "bounded", "classes", "distinct", "fingerprint", "orbits"]

POINTS, TOLERANCE = 40, 1e-9
SORTED_BETAS = 6  # most betas of two core units
CHUNK = 720  # expressions times orders evaluated at once
MIRRORS = ("f(x)", "-f(x)", "f(-x)", "-f(-x)")


def algebraic(expression):
    """Text of the normal form that SymPy's automatic rules give, the same for any order of up to 6 betas.

    Sums and products are sorted and collected (x + x is 2 x), even and odd functions lose the sign of their
    argument, and what cancels is gone. Equal forms are equal functions; the converse does not hold.

    Parameters
    ----------
    expression : Expression

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If SymPy has no form of it, see `Expression.sympy`.

    Examples
    --------
    >>> from selfgated.search import parse
    >>> algebraic(parse("sigmoid(x)*x")) == algebraic(parse("-(sigmoid(x)*-x)"))
    True
    """
    form, symbols = expression.sympy, expression.symbols
    named = sympy.symbols(f"b:{len(symbols)}", real=True)
    return min(sympy.srepr(form.xreplace(dict(zip(symbols, order, strict=True)))) for order in _orders(named))


def _orders(betas):
    """Every order of the betas; of more than 6, which have too many, only that in which they appear."""
    betas = tuple(betas)
    return list(permutations(betas)) if len(betas) <= SORTED_BETAS else [betas]


@lru_cache(maxsize=1)
def _points():
    generator = np.random.default_rng(1710_05941)
    z = np.concatenate([generator.uniform(-3, 3, POINTS - 8), generator.uniform(-0.05, 0.05, 8)])
    ranges = ((0.3, 1.7), (2, 5), (-3, -0.3))
    draws = [generator.uniform(low, high, 9) for low, high in ranges]
    return torch.from_numpy(z), np.array([*draws, np.linspace(1.6, -0.4, 9)])


def fingerprint(expression, *, at_start=False, mirror="f(x)"):
    """Values at 40 points, for four draws of the betas; the smallest over the orders of the betas.

    The draws are around 1, above 2 and below 0: ``max(beta, cosh(x))`` is not cosh(x), though it is so for
    every beta up to 1. In the fourth each beta is smaller than the one before: ``min(beta1, beta2)`` is not
    beta, though it is so wherever the first is the smaller.

    Parameters
    ----------
    expression : Expression
    at_start : bool
        Whether every beta has the value at which training starts, instead.
    mirror : {"f(x)", "-f(x)", "f(-x)", "-f(-x)"}
        Which mirror image is taken.

    Returns
    -------
    ndarray, shape (160,), or (40,) at the start

    Raises
    ------
    ValueError
        For an unknown mirror image.

    Notes
    -----
    With more than 6 betas, as functions of three core units have, there are too many orders to try, and the
    betas keep the order in which they appear: equal rows still mean equal functions, but not the converse.
    """
    return _fingerprints([expression], at_start=at_start, mirror=mirror)[0]


def _fingerprints(expressions, *, at_start=False, mirror="f(x)"):
    """Those of many expressions, shape (n, 160) or (n, 40): evaluated together, which is much faster."""
    if mirror not in MIRRORS:
        raise ValueError(f"unknown mirror {mirror!r}; choose from {list(MIRRORS)}")
    expressions = list(expressions)
    by_count = defaultdict(list)
    for place, expression in enumerate(expressions):
        by_count[len(expression.betas)].append(place)
    rows = np.empty((len(expressions), POINTS if at_start else POINTS * len(_points()[1])))
    for count, places in by_count.items():
        size = max(1, CHUNK // len(_orders(range(count))))
        for chunk in (places[i : i + size] for i in range(0, len(places), size)):
            members = [expressions[place] for place in chunk]
            if at_start:
                rows[chunk] = _values(members, [[e.betas for e in members]], mirror)[:, 0]
            else:
                rows[chunk] = _smallest(members, count, mirror)
    return rows


def _smallest(expressions, count, mirror):
    """Of expressions with `count` betas, the smallest of the rows that the orders of the betas give."""
    draws = _points()[1]
    orders = _orders(range(count))
    betas = [np.broadcast_to(d[list(order)], (len(expressions), count)) for order in orders for d in draws]
    values = _values(expressions, betas, mirror).reshape(len(expressions), len(orders), -1)
    keys = np.round(bounded(values), 6)
    best = [min(range(len(orders)), key=lambda k: tuple(own[k])) for own in keys]
    return values[np.arange(len(expressions)), best]


def _values(expressions, betas, mirror):
    """Values, shape (n, rows, 40), for rows of betas, each of shape (n, number of betas)."""
    z = _points()[0]
    z = (-z if "(-x)" in mirror else z).expand(len(expressions), len(betas), -1)
    count = len(expressions[0].betas)
    table = torch.tensor(np.array(betas, dtype=float)).permute(1, 2, 0).reshape(-1, len(betas), 1)
    values = Plan(expressions, count)(z, table if count else None, (len(betas), 1)).numpy()
    return -values if mirror.startswith("-") else values


def bounded(rows):
    """Values that can be compared by their difference: the arctangent, and 2 for NaN.

    Parameters
    ----------
    rows : ndarray, any shape

    Returns
    -------
    ndarray, shape of rows
    """
    return np.where(np.isnan(rows), 2.0, np.arctan(rows))


def classes(rows):
    """Number the rows of a matrix such that equal rows, to a relative 1e-9, have the same number.

    Parameters
    ----------
    rows : ndarray, shape (n, m)
        NaN equals NaN, and each infinity itself.

    Returns
    -------
    ndarray, shape (n,), int
        Numbers from 0, in the order of first appearance.

    Notes
    -----
    Rows are sorted along a fixed direction and compared with their neighbours within rounding, so no pair is
    lost at the edge of a grid, as it can be where values are rounded and hashed.
    """
    rows = np.asarray(rows, dtype=float)
    values = bounded(rows)
    direction = np.random.default_rng(0).normal(size=rows.shape[1])
    position = values @ direction
    order = np.argsort(position, kind="stable")
    parent = np.arange(len(rows))

    def root(i):
        while parent[i] != i:
            i = parent[i]
        return i

    slack = TOLERANCE * np.abs(direction).sum()
    for place, i in enumerate(order):
        for j in order[place + 1 :]:
            if position[j] - position[i] > slack:
                break
            if root(i) != root(j) and np.allclose(values[i], values[j], rtol=0, atol=TOLERANCE):
                parent[max(root(i), root(j))] = min(root(i), root(j))
    numbers = {}
    return np.array([numbers.setdefault(root(i), len(numbers)) for i in range(len(rows))], dtype=int)


@lru_cache(maxsize=1)
def distinct():
    """The different functions of one core unit, by value, with the betas free.

    Returns
    -------
    tuple of tuple of int
        For each function the numbers of its members in ``Space(1)``, the one with the shortest text first.
        The functions are in the order of their first appearance, but those that equal an earlier one where
        the first beta is the smaller come last.
    """
    space = Space(1)
    expressions = [space.expression(choice) for choice in space]
    texts = [
        expression.text.replace("(-x)", "-x") for expression in expressions
    ]  # as if the sign stood alone
    rows = _fingerprints(expressions)
    members, first = defaultdict(list), {}
    for index, (rough, number) in enumerate(zip(classes(rows[:, :-POINTS]), classes(rows), strict=True)):
        members[number].append(index)
        first.setdefault(rough, number)
    early = set(first.values())
    return tuple(
        tuple(sorted(members[number], key=lambda i: (len(texts[i]), texts[i], i)))
        for number in sorted(members, key=lambda number: (number not in early, number))
    )


@lru_cache(maxsize=1)
def orbits():
    """The functions of one core unit that are mirror images of each other: f(x), -f(x), f(-x) and -f(-x).

    A layer whose weights, in and out, are as likely as their negatives starts as well with one as with
    another, and learns as well: a change of sign of the weights turns one network into the other.

    Returns
    -------
    tuple of tuple of int
        For each set of mirror images the numbers of its functions, as the first of each group of `distinct`,
        in that order.
    """
    space = Space(1)
    first = [group[0] for group in distinct()]
    expressions = [space.expression(space.choice(index)) for index in first]
    count = len(first)
    found = classes(np.concatenate([_fingerprints(expressions, mirror=mirror) for mirror in MIRRORS]))
    images = found.reshape(len(MIRRORS), count).T
    members = defaultdict(list)
    for index, own in zip(first, images, strict=True):
        members[own.min()].append(index)
    return tuple(map(tuple, members.values()))
