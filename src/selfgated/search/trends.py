"""The published trends of good functions, each tested on the table.

Ramachandran, Zoph and Le, arXiv:1710.05941, section 3: simple functions are better than complex ones; the
best share the form b(x, g(x)); some use periodic functions, usually added to x; division does badly unless
the denominator is bounded away from 0.

The tests take every different function once and as independent of the others. Functions that share a unary
are not quite: `among_unaries` asks the harder question, whether other unaries would have done as well.
A mixture and its twin, ``beta*f + (1 - beta)*g`` and ``beta*g + (1 - beta)*f``, are one function here.
"""

import math
from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy import stats

from selfgated.search.effects import correlation, odds, shift
from selfgated.search.features import decisions, needs
from selfgated.search.noise import best
from selfgated.search.space import BINARY, UNARY
from selfgated.statistics import holm, mean_interval, wilson

__all__ = ["AWAY", "Cores", "Trend", "Unaries", "among_unaries", "between_cores", "by_binary", "trends"]

AWAY = 0.01  # what of the denominator is more than the eps of 0.001 alone
MAX_SETS = 20_000


class Trend(NamedTuple):
    """One test.

    Attributes
    ----------
    name : str
    measure : str
        What `value` is.
    value, low, high : float
        The effect and its interval.
    p, holm : float
        Two-sided p-value, alone and adjusted for all tests of `trends`.
    expected : int
        Sign of the effect that is claimed (of the logarithm of an odds ratio); 0 where nothing is.
    parts : tuple of float
        Of an odds ratio the shares among the top and in the rest; of a difference the two means.
    counts : tuple of int
        What `parts` are taken over.
    """

    name: str
    measure: str
    value: float
    low: float
    high: float
    p: float
    holm: float
    expected: int
    parts: tuple
    counts: tuple

    @property
    def verdict(self):
        """'holds', 'contradicted' or 'not shown': by the sign and the adjusted p-value at 0.05."""
        centre = 1.0 if self.measure == "odds ratio" else 0.0
        if self.holm >= 0.05 or self.value == centre:
            return "not shown"
        sign = 1 if self.value > centre else -1
        return "found" if not self.expected else "holds" if sign == self.expected else "contradicted"


def trends(features, scores, *, top=100, away=AWAY, resamples=1000, confidence=0.95, seed=0):
    """Test all published trends of one core unit, and two that are not published.

    Parameters
    ----------
    features : Features
        Of n functions.
    scores : array_like, shape (n,)
        One score of each function: the mean over the repeats, or one repeat.
    top : int
        How many of the best are compared with the rest.
    away : float
        A denominator is bounded away from 0 if it is never smaller on [-4, 4].
    resamples : int
        Of the bootstrap over functions.
    confidence : float
    seed : int
        Of the bootstrap.

    Returns
    -------
    dict of str to Trend
        "simple", "simple, same binary", "b(x, g(x))", "b(linear in x, g(x))", "periodic", "periodic added to
        x", "division", "denominator", and as extra "monotone" and "bounded".

    Raises
    ------
    ValueError
        If the scores do not fit the features, or `top` is out of range.

    Notes
    -----
    The features know nothing of the scores, and the shares have no winner's curse. A mean score of the best
    has one: take it from repeats that did not choose them.
    """
    scores = np.asarray(scores, dtype=float)
    if scores.shape != (len(features),):
        raise ValueError(f"scores have shape {scores.shape}, the features are of {len(features)} functions")
    features, scores = features[~features.twin], scores[~features.twin]
    chosen = np.zeros(scores.size, dtype=bool)
    chosen[best(scores, top)] = True
    found = {}

    def correlated(name, expected, strata=None):
        result = correlation(features.nodes, scores, strata, confidence=confidence)
        found[name] = ("rank correlation", *result, expected, (), (scores.size,))

    def enriched(name, expected, feature, among=None):
        inside = np.ones(scores.size, dtype=bool) if among is None else among
        has, is_chosen = feature[inside], chosen[inside]
        counts = int(is_chosen.sum()), int((~is_chosen).sum())
        shares = tuple(
            float(has[group].mean()) if group.any() else math.nan for group in (is_chosen, ~is_chosen)
        )
        found[name] = ("odds ratio", *odds(has, is_chosen, confidence=confidence), expected, shares, counts)

    def shifted(name, expected, group, among):
        one, other = scores[group & among], scores[~group & among]
        result = shift(one, other, resamples=resamples, confidence=confidence, seed=seed)
        means, counts = (float(one.mean()), float(other.mean())), (one.size, other.size)
        found[name] = ("difference of means", *result, expected, means, counts)

    correlated("simple", -1)
    correlated("simple, same binary", -1, features.binary)
    enriched("b(x, g(x))", 1, features.raw_x)
    enriched("b(linear in x, g(x))", 1, features.linear)
    enriched("periodic", 1, features.oscillating)
    enriched("periodic added to x", 1, features.added, features.oscillating)
    shifted("division", -1, features.division, np.ones(scores.size, dtype=bool))
    shifted("denominator", 1, features.denominator >= away, features.division)
    enriched("monotone", 0, features.monotone)
    enriched("bounded", 0, features.bounded)
    adjusted = holm([row[4] for row in found.values()])
    return {
        name: Trend(name, *row[:5], float(p), *row[5:])
        for (name, row), p in zip(found.items(), adjusted, strict=True)
    }


class Unaries(NamedTuple):
    """How a set of unaries compares with all other sets of its size.

    Attributes
    ----------
    share, base : float
        Of the functions that need one of them: among the top, and in the whole.
    better : int
        How many sets have a higher ratio of the two.
    p : float
        Share of the sets whose ratio is at least as high, itself among them.
    sets : int
    """

    share: float
    base: float
    better: int
    p: float
    sets: int


def among_unaries(table, unaries, *, scores=None, top=100):
    """Whether these unaries are more frequent among the best than other unaries are.

    An exact randomisation test: under the null hypothesis it does not matter which of the 25 unaries carry
    the label, so every set of this size is as likely to have the highest ratio.

    Parameters
    ----------
    table : Table
    unaries : sequence of str
        Names of `space.UNARY`.
    scores : array_like, shape (n,), optional
        By default the mean over the repeats.
    top : int

    Returns
    -------
    Unaries

    Raises
    ------
    ValueError
        For an unknown unary, none, or so many that there are more than 20000 sets.

    Notes
    -----
    With one unary p is at least 1/25.
    """
    unaries = tuple(dict.fromkeys(unaries))
    if not unaries or math.comb(len(UNARY), len(unaries)) > MAX_SETS:
        raise ValueError(f"cannot compare {len(unaries)} unaries with all other sets of that size")
    members, scores = _once(table, scores)
    given = needs(members, unaries)
    chosen = best(scores, top)
    choices, starts = decisions(members)
    u1, u2 = choices[:, 0], choices[:, 1]
    label, ratios = np.zeros(len(UNARY), dtype=bool), []
    for some in combinations(range(len(UNARY)), len(unaries)):
        label[:] = False
        label[list(some)] = True
        ratios.append(_ratio(np.logical_and.reduceat(label[u1] | label[u2], starts), chosen))
    own, ratios = _ratio(given, chosen), np.array(ratios)
    at_least = int((ratios >= own).sum())
    return Unaries(
        float(given[chosen].mean()),
        float(given.mean()),
        int((ratios > own).sum()),
        at_least / ratios.size,
        ratios.size,
    )


def _once(table, scores):
    """Members and scores of the functions of a table, without twins."""
    scores = table.mean if scores is None else np.asarray(scores, dtype=float)
    if scores.shape != (len(table),):
        raise ValueError(f"scores have shape {scores.shape}, the table has {len(table)} functions")
    kept = np.flatnonzero(~table.twin)
    return [table.members[row] for row in kept], scores[kept]


def _ratio(need, chosen):
    whole = np.count_nonzero(need)
    return np.count_nonzero(need[chosen]) / whole if whole else 0.0


def by_binary(table, *, scores=None, confidence=0.95):
    """Mean score of the functions that each binary can make.

    Parameters
    ----------
    table : Table
    scores : array_like, shape (n,), optional
        By default the mean over the repeats.
    confidence : float

    Returns
    -------
    dict of str to Interval
        Name of `space.BINARY` to mean and interval over functions, the best first. A function with several
        spellings counts for each of their binaries.
    """
    members, scores = _once(table, scores)
    choices, starts = decisions(members)
    found = {}
    for number, name in enumerate(BINARY):
        can = np.logical_or.reduceat(choices[:, 2] == number, starts)
        if can.sum() >= 2:
            found[name] = mean_interval(scores[can], confidence=confidence)
    return dict(sorted(found.items(), key=lambda item: -item[1].mean))


class Cores(NamedTuple):
    """Functions of one core unit against functions of two.

    Attributes
    ----------
    means : tuple of float
    difference, low, high : float
        Of the means, one core unit minus two.
    p : float
        Two-sided, Mann-Whitney.
    above : float
        Chance that a random function of one core unit scores higher than one of two, ties counting half.
    useful : tuple of (float, float, float)
        For one and two: share of functions that score above `threshold`, with Wilson's interval.
    """

    means: tuple
    difference: float
    low: float
    high: float
    p: float
    above: float
    useful: tuple


def between_cores(one, two, *, threshold=0.6, resamples=1000, confidence=0.95, seed=0):
    """Compare the scores of random functions of one core unit and of two.

    Parameters
    ----------
    one, two : array_like, shapes (n,) and (m,)
        Scores of the same seed, or means over the same seeds.
    threshold : float
        Above it a child network has learned something.
    resamples : int
    confidence : float
    seed : int

    Returns
    -------
    Cores
    """
    one, two = np.asarray(one, dtype=float), np.asarray(two, dtype=float)
    difference, low, high, p = shift(one, two, resamples=resamples, confidence=confidence, seed=seed)
    ranks = stats.rankdata(np.concatenate([one, two]))
    above = (ranks[: one.size].sum() - one.size * (one.size + 1) / 2) / (one.size * two.size)
    useful = tuple(
        (k / group.size, *wilson(k, group.size, confidence=confidence))
        for group in (one, two)
        for k in [int((group > threshold).sum())]
    )
    return Cores((float(one.mean()), float(two.mean())), difference, low, high, p, float(above), useful)
