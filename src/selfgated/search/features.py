"""What a function of one core unit is made of, and what its curve is like.

A function has several spellings: sin(x) is also x*sinc(x), and cosh(x) is also max(x, cosh(x)). Two rules
decide for all of them. A function *has* a form if one of its spellings has it, unless it is a constant or one
unary alone. A function *needs* an operation if every one of its spellings uses it.
"""

from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np
import torch

from selfgated.search.activations import evaluate
from selfgated.search.expression import EPS, Expression, beta, walk, x
from selfgated.search.space import BINARY, UNARY, Space

__all__ = ["LIMIT", "OSCILLATING", "Features", "decisions", "features", "needs"]

OSCILLATING = ("sin(x)", "cos(x)", "sinc(x)")
LINEAR = [list(UNARY).index(name) for name in ("x", "-x", "beta*x", "x + beta")]
RANGE = 4.0  # where most pre-activations are
LIMIT = 5.0  # of a bounded function; the logarithm passes it before x is 300
FAR = 300.0  # beyond it exp(x)^2 overflows


@dataclass(frozen=True)
class Features:
    """Features of n functions, an array of shape (n,) each.

    Attributes
    ----------
    nodes : ndarray of int
        Nodes of the tree of the shortest spelling, x and numbers counting; 1 for a number.
    unary : ndarray of bool
        One unary alone, or a constant.
    raw_x : ndarray of bool
        Has the form b(x, g(x)) or b(g(x), x).
    linear : ndarray of bool
        Has the form b(l(x), g(x)) or b(g(x), l(x)), where l is x, -x, beta*x or x + beta.
    oscillating : ndarray of bool
        Needs sin, cos or sinc.
    added : ndarray of bool
        Oscillating, and has the form of such a unary added to x or -x, or subtracted.
    division : ndarray of bool
        Needs a division.
    denominator : ndarray of float
        Of a division: the smallest \\|denominator\\| on [-4, 4], 0 where it changes sign; nan of others.
    binary : ndarray of int
        The binary of the shortest spelling.
    monotone : ndarray of bool
        Never falls or never rises on [-4, 4], at the starting betas.
    bounded : ndarray of bool
        Is at most 5 in absolute value for \\|x\\| <= 300, at the starting betas.
    twin : ndarray of bool
        See `Table`.
    """

    nodes: np.ndarray
    unary: np.ndarray
    raw_x: np.ndarray
    linear: np.ndarray
    oscillating: np.ndarray
    added: np.ndarray
    division: np.ndarray
    denominator: np.ndarray
    binary: np.ndarray
    monotone: np.ndarray
    bounded: np.ndarray
    twin: np.ndarray

    def __getitem__(self, rows):
        """The features of some of the functions."""
        return Features(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    def __len__(self):
        """Number of functions."""
        return self.nodes.size


def decisions(members):
    """The decisions of all spellings, one after the other, and where those of each function begin.

    Parameters
    ----------
    members : sequence of sequence of int
        For each function the numbers of its members in ``Space(1)``, as `Table.members`.

    Returns
    -------
    choices : ndarray, shape (spellings, 3)
    starts : ndarray, shape (n,)
        For ``np.logical_and.reduceat``.
    """
    flat = np.concatenate([np.asarray(group) for group in members])
    starts = np.cumsum([0, *(len(group) for group in members)])[:-1]
    return np.stack(np.unravel_index(flat, Space(1).sizes), axis=1), starts


def needs(members, unaries):
    """Whether every spelling of a function uses one of these unaries.

    Parameters
    ----------
    members : sequence of sequence of int
        See `decisions`.
    unaries : sequence of str
        Names of `space.UNARY`.

    Returns
    -------
    ndarray of bool, shape (n,)

    Raises
    ------
    ValueError
        For an unknown unary.
    """
    choices, starts = decisions(members)
    wanted = [_number(UNARY, name, "unary") for name in unaries]
    return np.logical_and.reduceat(np.isin(choices[:, :2], wanted).any(axis=1), starts)


def features(table):
    """The features of the functions of a table.

    Parameters
    ----------
    table : Table

    Returns
    -------
    Features
    """
    choices, starts = decisions(table.members)
    u, b = choices[:, :2], choices[:, 2]
    x_, minus = _number(UNARY, "x", "unary"), _number(UNARY, "-x", "unary")
    sums = [_number(BINARY, name, "binary") for name in ("x1 + x2", "x1 - x2")]
    division = b == _number(BINARY, "x1/(x2 + eps)", "binary")
    waves = np.isin(u, [_number(UNARY, name, "unary") for name in OSCILLATING])
    to_x = np.isin(u, (x_, minus))
    added = np.isin(b, sums) & ((waves[:, 0] & to_x[:, 1]) | (waves[:, 1] & to_x[:, 0]))
    constant, number, monotone, bounded = np.array([_curve(e) for e in table.expressions]).T
    alone = constant | table.unary
    divides = np.logical_and.reduceat(division, starts)
    away = np.maximum.reduceat(np.where(division, _denominators()[u[:, 1]], 0.0), starts)
    oscillating = np.logical_and.reduceat(waves.any(axis=1), starts) & ~constant
    return Features(
        nodes=np.where(number, 1, _nodes(table)),
        unary=alone,
        raw_x=np.logical_or.reduceat((u == x_).any(axis=1), starts) & ~alone,
        linear=np.logical_or.reduceat(np.isin(u, LINEAR).any(axis=1), starts) & ~alone,
        oscillating=oscillating,
        added=np.logical_or.reduceat(added, starts) & oscillating & ~alone,
        division=divides,
        denominator=np.where(divides, away, np.nan),
        binary=b[starts],
        monotone=monotone,
        bounded=bounded,
        twin=table.twin,
    )


def _number(names, name, what):
    try:
        return list(names).index(name)
    except ValueError:
        raise ValueError(f"unknown {what} {name!r}; choose from {list(names)}") from None


def _nodes(table):
    """Nodes of the shortest spelling; where that is one unary alone, of the unary."""
    space = Space(1)
    return np.array(
        [
            min(_size(e), *(_size(space.expression(space.choice(i))) for i in group))
            for e, group in zip(table.expressions, table.members, strict=True)
        ]
    )


def _size(expression):
    return sum(1 for _ in walk(expression.root))


@lru_cache(maxsize=1)
def _grids():
    far = np.geomspace(RANGE, FAR, 200)
    return torch.linspace(-RANGE, RANGE, 801, dtype=torch.float64), torch.from_numpy(np.r_[-far[::-1], far])


def _curve(expression):
    """(the same everywhere for every beta, one number for all betas, monotone, bounded)"""
    near, far = _grids()
    f = evaluate(expression, near).numpy()
    slack = 1e-12 * np.abs(f).max()
    change = np.diff(f)
    monotone = bool((change >= -slack).all() or (change <= slack).all())
    largest = max(np.abs(f).max(), evaluate(expression, far).abs().max().item())
    return *_constant(expression, f), monotone, bool(largest <= LIMIT)


def _constant(expression, f):
    """Whether it is the same everywhere for every beta, unlike max(beta, tanh(x)), and for all betas."""
    if np.ptp(f) > 0:
        return False, False
    steps = 1.1 ** np.arange(len(expression.betas))
    others = [evaluate(expression, _grids()[0], betas=b * steps).numpy() for b in (2.6, -0.7)]
    constant = all(np.ptp(values) == 0 for values in others)
    return constant, constant and all(values[0] == f[0] for values in others)


@lru_cache(maxsize=1)
def _denominators():
    """The smallest absolute value of u(x) + eps on [-4, 4] for each unary u, 0 where it changes sign."""
    z = torch.linspace(-RANGE, RANGE, 80_001, dtype=torch.float64)
    values = [evaluate(Expression(u(x, beta())), z).numpy() + EPS for u in UNARY.values()]
    return np.array([0.0 if v.min() < 0 < v.max() else np.abs(v).min() for v in values])
