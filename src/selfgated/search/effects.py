"""Effect sizes with intervals and p-values: odds ratios, differences of means, rank correlations."""

import math

import numpy as np
from scipy import special, stats

__all__ = ["correlation", "odds", "shift"]


def odds(feature, chosen, *, confidence=0.95):
    """How much more frequent a feature is among the chosen functions than among the rest.

    Parameters
    ----------
    feature, chosen : array_like of bool, shape (n,)
    confidence : float

    Returns
    -------
    value, low, high, p : float
        The odds ratio a d / (b c), with 0.5 added to each count, its interval from the standard error of its
        logarithm, sqrt(1/a + 1/b + 1/c + 1/d), and the two-sided p-value of Fisher's exact test.
    """
    feature, chosen = np.asarray(feature, bool), np.asarray(chosen, bool)
    if feature.shape != chosen.shape or feature.ndim != 1:
        raise ValueError(f"feature has shape {feature.shape}, chosen has {chosen.shape}")
    table = [[int((feature == f)[chosen == c].sum()) for f in (True, False)] for c in (True, False)]
    a, b, c, d = (count + 0.5 for line in table for count in line)
    middle = math.log(a * d / (b * c))
    half = float(special.ndtri((1 + confidence) / 2)) * math.sqrt(1 / a + 1 / b + 1 / c + 1 / d)
    p = float(stats.fisher_exact(table).pvalue)
    return math.exp(middle), math.exp(middle - half), math.exp(middle + half), min(p, 1.0)


def shift(one, other, *, resamples=1000, confidence=0.95, seed=0):
    """How much higher the scores of one group are than those of another.

    Parameters
    ----------
    one, other : array_like, shapes (n,) and (m,)
        At least 2 scores each.
    resamples : int
        Of the bootstrap over functions.
    confidence : float
    seed : int

    Returns
    -------
    value, low, high, p : float
        Difference of the means, its percentile interval, and the two-sided p-value of the Mann-Whitney test.
    """
    one, other = (np.asarray(group, dtype=float) for group in (one, other))
    if min(one.size, other.size) < 2:
        raise ValueError(f"each group needs at least 2 scores, got {one.size} and {other.size}")
    generator = np.random.default_rng(seed)
    first, second = (
        np.array([group[generator.integers(group.size, size=group.size)].mean() for _ in range(resamples)])
        for group in (one, other)
    )
    low, high = np.quantile(first - second, [(1 - confidence) / 2, (1 + confidence) / 2])
    p = float(stats.mannwhitneyu(one, other, alternative="two-sided").pvalue)
    return float(one.mean() - other.mean()), float(low), float(high), p


def correlation(feature, scores, strata=None, *, confidence=0.95):
    """Spearman's rank correlation, of all functions or within strata.

    Parameters
    ----------
    feature, scores : array_like, shape (n,)
    strata : array_like of int, shape (n,), optional
        Ranks are taken within each stratum, centred, and scaled by its size.
    confidence : float

    Returns
    -------
    value, low, high, p : float
        The interval is that of Fisher's z transform with the variance 1.06 / (n - 3) for ranks (Fieller,
        Hartley and Pearson 1957), the p-value that of Student's t with n - 2 degrees of freedom; each further
        stratum costs one of n.
    """
    feature, scores = np.asarray(feature, dtype=float), np.asarray(scores, dtype=float)
    strata = np.zeros(feature.size, dtype=int) if strata is None else np.asarray(strata)
    ranks = np.zeros((2, feature.size))
    labels = np.unique(strata)
    for label in labels:
        inside = strata == label
        for line, values in zip(ranks, (feature, scores), strict=True):
            own = stats.rankdata(values[inside])
            line[inside] = (own - own.mean()) / (inside.sum() + 1)
    free = feature.size - labels.size + 1
    norms = np.linalg.norm(ranks, axis=1)
    if free < 5 or not norms.all():
        raise ValueError("a rank correlation needs at least 5 functions and a feature that varies")
    value = float(np.clip(ranks[0] @ ranks[1] / norms.prod(), -1, 1))
    z, spread = math.atanh(min(max(value, -1 + 1e-15), 1 - 1e-15)), math.sqrt(1.06 / (free - 3))
    half = float(special.ndtri((1 + confidence) / 2)) * spread
    t = abs(value) * math.sqrt((free - 2) / max(1 - value**2, 1e-300))
    p = 2 * float(special.stdtr(free - 2, -t))
    return value, math.tanh(z - half), math.tanh(z + half), p
