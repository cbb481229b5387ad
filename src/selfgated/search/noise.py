"""How much of a score is noise: variance components, ranks, and the winner's curse.

A score is y[r, i] = mean + repeat[r] + function[i] + noise[r, i]. Whether a function is good is the third
term. The second is common to all functions and does no harm; the last is what a search mistakes for it.
"""

import math
from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy import special, stats

from selfgated.statistics import Interval, mean_interval

__all__ = [
    "Curse",
    "Noise",
    "Rank",
    "components",
    "curse",
    "noise",
    "rank",
    "repeats_needed",
    "without_common",
]

LEAST = 20  # functions in a group, so that a bootstrap never runs out of them
ABOVE_CHANCE = 0.6  # a coin's accuracy on 2000 pairs has a standard deviation of 0.011


class Noise(NamedTuple):
    """How the scores of a group of functions vary.

    Attributes
    ----------
    within : Interval
        Standard deviation of one score around the function's own mean: the noise.
    typical : Interval
        The same from the median of the absolute deviations: what it is without rare failures.
    between : Interval
        Standard deviation of the functions' true means.
    reliability : Interval
        Share of the variance of one score that is between functions, from 0 to 1.
    spearman : Interval
        Mean rank correlation between two repeats.
    functions : float
        Size of the group, or its mean.
    """

    within: Interval
    typical: Interval
    between: Interval
    reliability: Interval
    spearman: Interval
    functions: float


class Rank(NamedTuple):
    """The rank of a function by its mean score, 1 being the best.

    Attributes
    ----------
    rank, low, high : int
        By the mean, and the interval.
    of : int
        Number of functions.
    repeats : tuple of int
        The rank in each repeat.
    """

    rank: int
    low: int
    high: int
    of: int
    repeats: tuple


class Curse(NamedTuple):
    """The winner's curse: how much the best by one repeat fall on the others.

    Attributes
    ----------
    chosen, others : float
        Mean score of the best by one repeat, there and on the others, see `without_common`.
    drop : Interval
        ``chosen - others``, the mean over the choices of the repeat.
    drops : ndarray, shape (repeats,)
        For each choice of the repeat.
    top : int
        How many are the best.
    """

    chosen: float
    others: float
    drop: Interval
    drops: np.ndarray
    top: int


def without_common(scores):
    """The scores without what a repeat adds to all functions above chance alike.

    A repeat has its own pairs, and some are easier. What is taken out is the mean of a repeat over the
    functions whose mean is above 0.6 (or over all, if there are none), less the mean of that over the
    repeats: means over all repeats stay as they are.

    Parameters
    ----------
    scores : array_like, shape (repeats, n)

    Returns
    -------
    ndarray, shape (repeats, n)
    """
    scores = np.asarray(scores, dtype=float)
    working = scores.mean(axis=0) > ABOVE_CHANCE
    common = scores[:, working].mean(axis=1) if working.any() else scores.mean(axis=1)
    return scores - (common - common.mean())[:, None]


def components(scores):
    """Variance components of a table without replication, by the analysis of variance.

    Parameters
    ----------
    scores : array_like, shape (repeats, n)
        At least two of each.

    Returns
    -------
    within, between : float
        Standard deviations of the noise and of the functions. `between` is 0 where the functions vary less
        than the noise alone would make them.
    """
    scores = np.asarray(scores, dtype=float)
    repeats, n = scores.shape
    if min(repeats, n) < 2:
        raise ValueError(f"variance components need 2 repeats of 2 functions, got shape {scores.shape}")
    residual = _residual(scores)
    noise_square = (residual**2).sum() / ((repeats - 1) * (n - 1))
    function_square = repeats * scores.mean(axis=0).var(ddof=1)
    return math.sqrt(noise_square), math.sqrt(max(0.0, (function_square - noise_square) / repeats))


def _residual(scores):
    return scores - scores.mean(axis=0) - scores.mean(axis=1, keepdims=True) + scores.mean()


def noise(scores, *, top=None, above=ABOVE_CHANCE, resamples=200, confidence=0.95, seed=0):
    """Noise and differences among the functions above chance, or among the best.

    Who belongs to the group is decided by one repeat, and what is measured comes from the others, each
    repeat deciding in turn: a group chosen by the scores that it is measured on would seem to be alike.

    Parameters
    ----------
    scores : array_like, shape (repeats, n)
        At least 3 repeats.
    top : int, optional
        Size of the group of the best, instead of `above`.
    above : float
        Functions that score more belong to the group; below 0 that is all of them.
    resamples : int
        Of the bootstrap over functions, whose standard errors make the intervals.
    confidence : float
    seed : int
        Of the bootstrap.

    Returns
    -------
    Noise

    Raises
    ------
    ValueError
        For fewer than 3 repeats, or a group of fewer than 20 functions.

    Notes
    -----
    The intervals say how far the numbers depend on which functions are in the group. All functions share the
    few repeats, and that uncertainty is not in them.
    """
    scores = np.asarray(scores, dtype=float)
    repeats, n = scores.shape
    if repeats < 3:
        raise ValueError(
            f"noise needs at least 3 repeats, one to choose by and two to compare, got {repeats}"
        )
    if top is not None and not LEAST <= top <= n:
        raise ValueError(f"top must be from {LEAST} to {n}, got {top!r}")
    chosen, groups = [], []
    for r in range(repeats):
        rows = best(scores[r], top) if top is not None else np.flatnonzero(scores[r] > above)
        if rows.size < LEAST:
            raise ValueError(
                f"repeat {r} has {rows.size} functions above {above}; at least {LEAST} are needed"
            )
        chosen.append(rows)
        groups.append(np.delete(scores, r, axis=0)[:, rows])
    ranks = [stats.rankdata(group, axis=1) for group in groups]
    found = _measures(groups, ranks)
    generator, drawn = np.random.default_rng(seed), []
    for _ in range(resamples):
        # One draw of functions for all groups, which have most of them in common.
        counts = np.bincount(generator.integers(n, size=n), minlength=n)
        again = [np.repeat(np.arange(rows.size), counts[rows]) for rows in chosen]
        drawn.append(
            _measures(*([a[:, i] for a, i in zip(part, again, strict=True)] for part in (groups, ranks)))
        )
    half = float(special.ndtri((1 + confidence) / 2)) * np.std(drawn, axis=0, ddof=1)
    size = float(np.mean([group.shape[1] for group in groups]))
    lowest = np.array([0, 0, 0, 0, -1])
    highest = np.array([np.inf, np.inf, np.inf, 1, 1])
    sides = zip(np.maximum(found - half, lowest), np.minimum(found + half, highest), strict=True)
    intervals = (
        Interval(*map(float, (value, *side)), round(size)) for value, side in zip(found, sides, strict=True)
    )
    return Noise(*intervals, size)


def _measures(groups, ranks):
    """(within, typical, between, reliability, Spearman), each the mean over the groups."""
    found = []
    for group, rank in zip(groups, ranks, strict=True):
        within, between = components(group)
        total = within**2 + between**2
        repeats = group.shape[0]
        # The residuals of normal noise are normal, with less variance than the noise by (R - 1) / R.
        typical = (
            np.median(np.abs(_residual(group))) / special.ndtri(0.75) * math.sqrt(repeats / (repeats - 1))
        )
        found.append(
            (within, typical, between, between**2 / total if total else math.nan, _correlation(rank))
        )
    return np.mean(found, axis=0)


def _correlation(ranks):
    """Mean correlation of the rows, over their pairs."""
    if (np.ptp(ranks, axis=1) == 0).any():
        return math.nan
    table = np.corrcoef(ranks)
    return float(np.mean([table[a, b] for a, b in combinations(range(len(table)), 2)]))


def within_groups(scores, groups):
    """Standard deviation of the noise from functions that are equally good, as mirror images are.

    Parameters
    ----------
    scores : array_like, shape (repeats, n)
    groups : sequence of sequence of int
        Positions of functions with the same true score, at least 2 in each.

    Returns
    -------
    Interval
        Of the standard deviation; its ends come from a jackknife over the groups.

    Notes
    -----
    The members of a group are compared within each repeat. `components` compares a function with itself
    between repeats, and so counts as noise that a function may do better on some pairs of digits than on
    others; here that cancels.
    """
    scores = np.asarray(scores, dtype=float)
    if len(groups) < 2 or min(map(len, groups)) < 2:
        raise ValueError(f"at least 2 groups of 2 functions are needed, got {[len(g) for g in groups][:5]}")
    squares, free = np.empty(len(groups)), np.empty(len(groups))
    for place, group in enumerate(groups):
        part = scores[:, list(group)]
        squares[place] = ((part - part.mean(axis=1, keepdims=True)) ** 2).sum()
        free[place] = part.shape[0] * (part.shape[1] - 1)
    value = math.sqrt(squares.sum() / free.sum())
    left_out = np.sqrt((squares.sum() - squares) / (free.sum() - free))
    half = special.ndtri(0.975) * math.sqrt((len(groups) - 1) * left_out.var())
    return Interval(value, float(max(0.0, value - half)), float(value + half), len(groups))


def best(scores, top):
    """Positions of the `top` highest scores, the best first; of equal scores the first in the table.

    Parameters
    ----------
    scores : array_like, shape (n,)
    top : int

    Returns
    -------
    ndarray, shape (top,), int
    """
    scores = np.asarray(scores)
    if isinstance(top, bool) or not 1 <= top <= scores.size:
        raise ValueError(f"top must be from 1 to {scores.size}, got {top!r}")
    return np.argsort(-scores, kind="stable")[:top]


def repeats_needed(difference, noise, *, confidence=0.95, power=0.8):
    """How many paired repeats tell two functions apart.

    n = 2 noise^2 (z + z')^2 / difference^2, where z and z' are the normal quantiles of a two-sided test at
    1 - `confidence` and of its `power`.

    Parameters
    ----------
    difference : float
        Of the true means.
    noise : float
        Standard deviation of one score.
    confidence, power : float
        Between 0 and 1.

    Returns
    -------
    float
        A whole number, at least 2; infinity for no difference.

    Notes
    -----
    The t distribution of few repeats asks for one or two more. The difference of two functions that were
    chosen for being the best is smaller than it seems, so the number is too small there.

    Examples
    --------
    >>> repeats_needed(0.01, 0.016)
    41.0
    """
    if noise < 0 or not math.isfinite(noise):
        raise ValueError(f"noise must be a standard deviation, got {noise!r}")
    for name, value in (("confidence", confidence), ("power", power)):
        if not 0 < value < 1:
            raise ValueError(f"{name} must be between 0 and 1, got {value!r}")
    if difference == 0:
        return math.inf
    quantiles = float(special.ndtri((1 + confidence) / 2) + special.ndtri(power))
    return float(max(2, math.ceil(2 * (noise * quantiles / difference) ** 2)))


def rank(scores, row, *, confidence=0.95):
    """The rank of a function by its mean over the repeats, with an interval.

    The function's mean has Student's t interval; the ranks at its two ends are the interval of the rank.

    Parameters
    ----------
    scores : array_like, shape (repeats, n)
        At least 2 repeats.
    row : int
        Position of the function.
    confidence : float

    Returns
    -------
    Rank

    Notes
    -----
    What is common to a repeat is taken out before, see `without_common`. To resample the few repeats
    and to rank each time is no way to an interval: in a simulated table of 4000 functions and 5 repeats with
    noise of 0.016 that interval held the true rank of the tenth best in 62 of 100 cases, and this one in 90.
    """
    scores = np.asarray(scores, dtype=float)
    mean = scores.mean(axis=0)
    own = mean_interval(without_common(scores)[:, row], confidence=confidence)
    others = np.delete(mean, row)
    place, low, high = (1 + int((others > value).sum()) for value in (mean[row], own.high, own.low))
    single = tuple((1 + (scores > scores[:, [row]]).sum(axis=1)).tolist())
    return Rank(place, low, high, mean.size, single)


def curse(scores, top=20, repeat=0):
    """How much the best by one repeat fall on the others.

    Parameters
    ----------
    scores : array_like, shape (repeats, n)
        At least 2 repeats.
    top : int
        How many are chosen.
    repeat : int
        By which repeat; the interval of the drop is over all of them.

    Returns
    -------
    Curse

    Notes
    -----
    The choices share their scores, so the interval is a little too narrow.
    """
    scores = np.asarray(scores, dtype=float)
    repeats = scores.shape[0]
    if repeats < 2:
        raise ValueError("the winner's curse needs at least 2 repeats, got 1")
    if isinstance(repeat, bool) or repeat not in range(repeats):
        raise ValueError(f"repeat must be from 0 to {repeats - 1}, not {repeat!r}")
    scores, pairs = without_common(scores), []
    for r in range(repeats):
        chosen = best(scores[r], top)
        pairs.append((scores[r, chosen].mean(), np.delete(scores, r, axis=0)[:, chosen].mean()))
    pairs = np.array(pairs)
    drops = pairs[:, 0] - pairs[:, 1]
    return Curse(*map(float, pairs[repeat]), mean_interval(drops), drops, top)
