"""Self-checks of the tools for a comparison: an interval, a sign-flip test, Holm's rule."""

import math

import numpy as np

from selfgated import statistics
from selfgated.checks import engine
from selfgated.checks.engine import CheckFailed

_GAPS = np.array([[5, 9, 1], [2, -3, 4], [7, 8, 12], [-1, 0, -5], [6, 2, 1]]) / 1000
_BASE = 0.9 + np.array([[0, 3, 1], [20, 22, 17], [-9, -4, -8], [4, 4, 9], [-15, -11, -13]]) / 1000


def _around(units, critical, *, ddof=1, root=True):
    units = np.ravel(units)
    error = math.sqrt(units.var(ddof=ddof) / (units.size if root else 1))
    return [units.mean() + side * critical * error for side in (0, -1, 1)]


def _unpaired(a, b, critical):
    sides = [x.mean(axis=1) for x in (a, b)]
    error = math.sqrt(sum(x.var(ddof=1) / x.size for x in sides))
    return [sides[0].mean() - sides[1].mean() + side * critical * error for side in (0, -1, 1)]


def _interval(a, b, critical):
    return _around((a - b).mean(axis=1), critical)


def interval(answer):
    """Check problem 5: the mean difference and its interval over splits."""
    mistakes = [
        (lambda a, b, t: _around((b - a).mean(axis=1), t), "the sign: a - b"),
        (
            lambda a, b, t: _around(a - b, t),
            "splits are the units: average over the seeds of a split first",
        ),
        (lambda a, b, t: _around((a - b).mean(axis=0), t), "rows are splits: average over axis 1"),
        (
            lambda a, b, t: _around((a - b).mean(axis=1), t, ddof=0),
            "a sample's spread has n - 1: ddof=1",
        ),
        (lambda a, b, t: _around((a - b).mean(axis=1), t, root=False), "the standard error is s / sqrt(n)"),
        (_unpaired, "the splits are paired: take differences before the spread"),
        (lambda a, b, t: _around((a - b).mean(axis=1), 2.0), "use `critical`, which depends on n"),
    ]
    inputs = [(_BASE + _GAPS, _BASE, 2.7764451), (_BASE[:3, :2] + _GAPS[:3, :2], _BASE[:3, :2], 4.3026527)]
    call = "interval(a, b, critical)"
    return engine.values(answer, _interval, inputs, mistakes=mistakes, rtol=1e-9, atol=1e-13, call=call)


def _flips(d, hit):
    """Share of the sign choices, as rows of +-1, whose mean `hit` accepts."""
    choices = 1 - 2 * ((np.arange(2**d.size)[:, None] >> np.arange(d.size)) & 1)
    return float(np.mean(hit(choices @ d / d.size)))


def _p(d):
    return _flips(d, lambda means: abs(means) >= abs(d.mean()) - 1e-12 * abs(d).mean())


def _sign_test(d):
    fewer = min((d > 0).sum(), (d < 0).sum())
    return min(1.0, 2 * sum(math.comb(d.size, i) for i in range(fewer + 1)) / 2**d.size)


def sign_flip_p(answer):
    """Check problem 5: the two-sided p-value by all choices of signs."""
    mistakes = [
        (lambda d: _flips(d, lambda m: m > d.mean() - 1e-12), "two-sided: compare absolute values"),
        (
            lambda d: _flips(d, lambda m: abs(m) > abs(d.mean()) + 1e-12),
            "the observed choice counts too: at least, not above",
        ),
        (lambda d: 1 - _p(d), "p is the share of choices that are at least as extreme, not of the others"),
        (lambda d: _p(d) * 2**d.size, "p is a share: divide by 2^n"),
        (lambda d: _p(d) / 2, "both signs count: the mirror image of a choice has the same size"),
        (lambda d: statistics.paired(d, 0 * d).p, "this is the t test: count choices of signs"),
        (_sign_test, "this is the sign test: the sizes of the differences count too"),
    ]
    rows = [3.0, 1.0, -2.0, 4.5, 2.2], [-1.0, -2.5], [0.4, 2.0, -1.1, 0.7, 3.0, 0.2, 0.1]
    inputs = [(np.array(row),) for row in rows]
    call = "sign_flip_p(d)"
    engine.values(answer, _p, inputs, mistakes=mistakes, rtol=1e-9, call=call)
    tied = [(np.array([0.1, 0.2, 0.3, -0.3, 0.1, 0.4]),), (np.zeros(3),)]
    try:
        return engine.values(answer, _p, tied, rtol=1e-9, call=call)
    except CheckFailed as error:
        raise CheckFailed(f"{error}. Sums that are equal but for rounding count as equal") from None


def holm(answer):
    """Check problem 5: Holm's correction."""
    mistakes = [
        (
            lambda p: np.minimum(1, p * p.size),
            "this is Bonferroni's rule: the next p gets m - 1",
        ),
        (lambda p: np.sort(statistics.holm(p)), "return the values in the order of p"),
        (_not_monotone, "none may fall below a smaller one's: take running maxima"),
        (_uncapped, "a probability is at most 1"),
        (_stepped_up, "running maxima from the smallest p on, not minima from the largest"),
        (_rising, "the smallest p is multiplied by m, the largest by 1"),
        (
            lambda p: np.minimum(1, p * np.arange(p.size, 0, -1)),
            "the rank counts, not the place in p",
        ),
    ]
    inputs = [
        (np.array([0.2, 0.011, 0.04, 0.012, 0.6]),),
        (np.array([0.03, 0.02]),),
        (np.array([0.5, 0.4, 0.9]),),
    ]
    return engine.values(answer, statistics.holm, inputs, mistakes=mistakes, rtol=1e-12, call="holm(p)")


def _ranked(p, factors):
    return p * factors[np.argsort(np.argsort(p))]


def _not_monotone(p):
    return np.minimum(_ranked(p, np.arange(p.size, 0, -1)), 1)


def _rising(p):
    return np.minimum(_ranked(p, np.arange(1, p.size + 1)), 1)


def _in_order(p, found):
    out = np.empty(p.size)
    out[np.argsort(p)] = found
    return out


def _uncapped(p):
    return _in_order(p, np.maximum.accumulate(np.sort(p) * np.arange(p.size, 0, -1)))


def _stepped_up(p):
    products = np.sort(p) * np.arange(p.size, 0, -1)
    return np.minimum(1, _in_order(p, np.minimum.accumulate(products[::-1])[::-1]))
