"""Intervals and corrected p-values for comparisons over few seeds."""

import math
from numbers import Integral
from typing import NamedTuple

import numpy as np
from scipy import special

__all__ = ["Interval", "Paired", "holm", "mean_interval", "paired", "wilson"]


class Interval(NamedTuple):
    """A mean and its confidence interval.

    Attributes
    ----------
    mean, low, high : float
        In the unit of the values.
    n : int
        Number of values.
    """

    mean: float
    low: float
    high: float
    n: int


class Paired(NamedTuple):
    """A mean difference of pairs, its confidence interval and its p-value.

    Attributes
    ----------
    mean, low, high : float
        Of a - b, in the unit of the values.
    p : float
        Two-sided, of Student's t test for a mean difference of 0.
    n : int
        Number of pairs.
    """

    mean: float
    low: float
    high: float
    p: float
    n: int


def _values(what, values, *, least=2):
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or values.size < least:
        raise ValueError(f"{what} must be a sequence of at least {least} numbers, got shape {values.shape}")
    if not np.isfinite(values).all():
        at = int((~np.isfinite(values)).argmax())
        raise ValueError(f"{what} must be finite, got {values[at].item()!r} at position {at}")
    return values


def _between(what, value):
    value = float(value)
    if not 0 < value < 1:
        raise ValueError(f"{what} must be between 0 and 1, got {value!r}")
    return value


def mean_interval(values, *, confidence=0.95):
    """Mean of independent values with Student's t interval: mean plus or minus t s / sqrt(n).

    Parameters
    ----------
    values : sequence of float, shape (n,)
        One per seed; at least 2, finite.
    confidence : float
        How often such an interval covers the true mean, for normal values.

    Returns
    -------
    Interval

    Raises
    ------
    ValueError
        For fewer than 2 values, a value that is not finite (a run that diverged has no place in a mean), or a
        bad `confidence`.

    Notes
    -----
    The coverage is exact for normal values only. Accuracies at chance for some seeds and near 1 for others
    have no use for it: print them all.

    Examples
    --------
    >>> [round(v, 4) for v in mean_interval([1.0, 2.0, 3.0])[:3]]
    [2.0, -0.4841, 4.4841]
    """
    values, confidence = _values("values", values), _between("confidence", confidence)
    n, mean = values.size, float(values.mean())
    half = float(special.stdtrit(n - 1, (1 + confidence) / 2)) * float(values.std(ddof=1)) / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, n)


def paired(a, b, *, confidence=0.95):
    """Mean difference of pairs, a - b, with its t interval and the p-value of the paired t test.

    Parameters
    ----------
    a, b : sequence of float, shape (n,)
        The same seeds in the same order.
    confidence : float
        Of the interval.

    Returns
    -------
    Paired
        If all differences are equal, p is 0, or 1 where they are all 0.

    Raises
    ------
    ValueError
        For sequences of different lengths, and as `mean_interval`.

    Notes
    -----
    Pairs must be independent of each other. Runs that share a data split are not: average them first.

    Examples
    --------
    >>> found = paired([3.0, 4.0, 6.0], [1.0, 3.0, 3.0])
    >>> round(found.mean, 4), round(found.p, 4)
    (2.0, 0.0742)
    """
    a, b = _values("a", a), _values("b", b)
    if a.size != b.size:
        raise ValueError(f"a and b must be pairs, got {a.size} and {b.size} values")
    difference = a - b
    mean, low, high, n = mean_interval(difference, confidence=confidence)
    spread = float(difference.std(ddof=1))
    # Differences of equal pairs, such as 0.3 - 0.1 and 0.5 - 0.3, differ by rounding alone.
    if spread <= 4 * np.finfo(float).eps * max(np.abs(a).max(), np.abs(b).max()):
        return Paired(mean, low, high, float(mean == 0), n)
    return Paired(mean, low, high, 2 * float(special.stdtr(n - 1, -abs(mean) * math.sqrt(n) / spread)), n)


def holm(p_values):
    """p-values adjusted for several tests by Holm's step-down rule.

    The k-th smallest of m, counted from 0, is multiplied by m - k, and none falls below a smaller one. To
    reject where the result is below 0.05 keeps the chance of any false rejection below 0.05, however the
    tests depend on each other.

    Parameters
    ----------
    p_values : sequence of float, shape (m,)
        Between 0 and 1.

    Returns
    -------
    ndarray, shape (m,)
        In the order of the input, at most 1.

    Raises
    ------
    ValueError
        For an empty sequence or a value that is not a probability.

    References
    ----------
    Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6, 1979.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).round(6).tolist()
    [0.03, 0.06, 0.06]
    """
    p = _values("p_values", p_values, least=1)
    if ((p < 0) | (p > 1)).any():
        raise ValueError(f"p_values must be between 0 and 1, got {p[(p < 0) | (p > 1)][0].item()!r}")
    order = np.argsort(p)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1)), 1)
    return adjusted


def wilson(k, n, *, confidence=0.95):
    """Wilson's score interval for a proportion: the p for which k of n is no surprise.

    It never leaves [0, 1], and it says something even for 0 of n: low 0, high about 4 / (n + 4).

    Parameters
    ----------
    k, n : int
        Successes and trials, 0 <= k <= n, n at least 1.
    confidence : float
        Nominal coverage.

    Returns
    -------
    low, high : float

    Raises
    ------
    ValueError
        For other counts, or a bad `confidence`.

    References
    ----------
    Wilson, Journal of the American Statistical Association 22, 1927.

    Examples
    --------
    >>> [round(v, 4) for v in wilson(0, 10)]
    [0.0, 0.2775]
    """
    if not (isinstance(k, Integral) and isinstance(n, Integral) and 0 <= k <= n and n >= 1):
        raise ValueError(f"k and n must be integers with 0 <= k <= n and n >= 1, got k={k!r}, n={n!r}")
    t = float(special.ndtri((1 + _between("confidence", confidence)) / 2))
    share, square = k / n, t * t / n
    centre = (share + square / 2) / (1 + square)
    half = t * math.sqrt(share * (1 - share) / n + square / (4 * n)) / (1 + square)
    # At the ends the interval touches 0 or 1 exactly, but for rounding.
    return (0.0 if k == 0 else centre - half), (1.0 if k == n else centre + half)
