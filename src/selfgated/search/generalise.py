"""Does a ranking survive? Choosing the best functions of a table, and comparing them in other settings.

Scores of F functions from S paired seeds are a matrix (S, F): in one row all functions start from the same
random numbers. Nothing here trains: recorded numbers go in, intervals come out.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from selfgated import statistics
from selfgated.search.canonical import classes, fingerprint

__all__ = [
    "Contrast",
    "Correlation",
    "Difference",
    "Setting",
    "agreement",
    "best_rates",
    "ceiling",
    "contrasts",
    "difference",
    "ranks",
    "setting",
    "spearman",
    "top",
]

RESAMPLES = 4000
CELLS = 5_000_000  # numbers compared at once


class Correlation(NamedTuple):
    """A rank correlation `rho`, its interval from `low` to `high`, and the number `n` of functions."""

    rho: float
    low: float
    high: float
    n: int


class Difference(NamedTuple):
    """A difference of two group means, `mean`, with its interval from `low` to `high`."""

    mean: float
    low: float
    high: float


class Contrast(NamedTuple):
    """A function against a reference, over paired seeds.

    Attributes
    ----------
    name : str
    mean, low, high : float
        Of the differences function minus reference, with the 95 % interval of this one comparison.
    p : float
        Of the paired t test.
    adjusted : float
        p after Holm's correction for all comparisons with this reference.
    """

    name: str
    mean: float
    low: float
    high: float
    p: float
    adjusted: float


def top(expressions, scores, count):
    """The best expressions that differ by more than a factor or a mirror image.

    A network can turn and stretch what goes into an activation and what comes out of it, so c f(x) and
    c f(-x) are much the same to it; the best of them stands for all. The betas are compared at their starts:
    x*sigmoid(beta*x) is not counted beside x*sigmoid(x).

    Parameters
    ----------
    expressions : sequence of Expression, length n
    scores : array_like, shape (n,)
        NaN ranks last; of equal scores the earlier expression ranks higher.
    count : int
        At most n.

    Returns
    -------
    list of int
        Positions, best first.

    Raises
    ------
    ValueError
        If the lengths differ, or there are not `count` such functions.

    Examples
    --------
    >>> from selfgated.search import parse
    >>> top([parse("x*sigmoid(x)"), parse("-2*x*sigmoid(-x)"), parse("sin(x)")], [0.9, 0.95, 0.92], 2)
    [1, 2]
    """
    scores = np.asarray(scores, dtype=float)
    if scores.shape != (len(expressions),):
        raise ValueError(f"{len(expressions)} expressions need as many scores, got shape {scores.shape}")
    chosen, known = [], []
    for i in np.argsort(-scores, kind="stable"):
        if len(chosen) == count:
            break
        images = [_shape(fingerprint(expressions[i], at_start=True, mirror=m)) for m in ("f(x)", "f(-x)")]
        numbers = classes(np.stack([*known, *images]))
        if not set(numbers[: len(known)]) & set(numbers[len(known) :]):
            chosen.append(int(i))
            known.append(images[0])
    if len(chosen) < count:
        raise ValueError(
            f"{len(chosen)} functions differ by more than a factor or a mirror image, fewer than {count}"
        )
    return chosen


def _shape(values):
    """Values without their factor: the largest of those that are finite is 1."""
    finite = np.where(np.isfinite(values), values, 0)
    largest = finite[np.abs(finite).argmax()]
    return values / largest if largest else values


def best_rates(validation):
    """For each function the learning rate whose mean score on validation images is highest.

    Parameters
    ----------
    validation : array_like, shape (rates, S, F)

    Returns
    -------
    ndarray, shape (F,), int
        Positions among the rates; the first of equals.
    """
    return _scores("validation", validation, 3).mean(axis=1).argmax(axis=0)


def ranks(values):
    """Ranks along the last axis, from 1 for the highest value; equal values share the mean of theirs.

    Parameters
    ----------
    values : array_like, shape (..., n)

    Returns
    -------
    ndarray, shape (..., n)

    Examples
    --------
    >>> ranks([0.5, 0.9, 0.5]).tolist()
    [2.5, 1.0, 2.5]
    """
    values = np.asarray(values, dtype=float)
    above = (values[..., None, :] > values[..., :, None]).sum(axis=-1)
    equal = (values[..., None, :] == values[..., :, None]).sum(axis=-1)
    return above + (equal + 1) / 2


def spearman(a, b):
    """Spearman's rank correlation along the last axis: the correlation of the ranks.

    Parameters
    ----------
    a, b : array_like, shape (..., n)
        Finite.

    Returns
    -------
    float or ndarray
        nan where all values of one side are equal.

    Raises
    ------
    ValueError
        For different numbers of values.

    Examples
    --------
    >>> round(spearman([1, 2, 3, 4], [1, 2, 4, 3]), 3)
    0.8
    """
    a, b = ranks(a), ranks(b)
    if a.shape != b.shape:
        raise ValueError(f"a and b must be pairs, got shapes {a.shape} and {b.shape}")
    a, b = a - a.mean(axis=-1, keepdims=True), b - b.mean(axis=-1, keepdims=True)
    size = np.sqrt((a * a).sum(axis=-1) * (b * b).sum(axis=-1))
    found = np.divide((a * b).sum(axis=-1), size, out=np.full(size.shape, np.nan), where=size > 0)
    return found if found.ndim else float(found)


def agreement(a, b, *, seed=0, resamples=RESAMPLES, confidence=0.95):
    """Rank correlation of scores in two settings, with a bootstrap interval over functions.

    Parameters
    ----------
    a, b : array_like, shape (F,)
        Mean scores of the same functions.
    seed : int
        Of the resampling.
    resamples : int
    confidence : float

    Returns
    -------
    Correlation
        Its interval holds the middle of the correlations of functions drawn with replacement: it tells how
        another draw of such functions would have it. The noise of the scores is within it, and lowers `rho`
        itself: see `ceiling`.

    Raises
    ------
    ValueError
        For fewer than 4 functions, different numbers of them, or scores that are not finite.
    """
    a, b = _scores("a", a, 1), _scores("b", b, 1)
    n = a.size
    if b.size != n or n < 4:
        raise ValueError(f"a and b must score the same functions, at least 4, got {n} and {b.size}")
    generator = np.random.default_rng(seed)
    rows = max(1, CELLS // (n * n))
    found = []
    for first in range(0, resamples, rows):
        drawn = generator.integers(n, size=(min(rows, resamples - first), n))
        found.append(spearman(a[drawn], b[drawn]))
    low, high = np.nanquantile(np.concatenate(found), [(1 - confidence) / 2, (1 + confidence) / 2])
    return Correlation(spearman(a, b), float(low), float(high), n)


def ceiling(scores, *, seed=0, splits=200):
    """Rank correlation that a setting would have with a repetition of itself: what noise leaves of 1.

    Parameters
    ----------
    scores : array_like, shape (S, F)
        At least 2 seeds.
    seed : int
        Of the splits.
    splits : int

    Returns
    -------
    float
        Mean rank correlation r of the means of two random halves of the seeds, carried over from S/2 to S
        seeds by Spearman and Brown's 2 r / (1 + r).

    Raises
    ------
    ValueError
        For fewer than 2 seeds.
    """
    scores = _scores("scores", scores, 2)
    half = len(scores) // 2
    if not half:
        raise ValueError(f"a ceiling needs at least 2 seeds, got {len(scores)}")
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(splits):
        order = generator.permutation(len(scores))
        found.append(spearman(scores[order[:half]].mean(axis=0), scores[order[half : 2 * half]].mean(axis=0)))
    r = float(np.mean(found))
    return 2 * r / (1 + r)


def contrasts(scores, names, reference):
    """Every function against a reference: mean differences over paired seeds, with Holm's correction.

    Parameters
    ----------
    scores : array_like, shape (S, F)
    names : sequence of str, length F
    reference : str
        One of the names.

    Returns
    -------
    list of Contrast
        In the order of the names, without the reference.

    Raises
    ------
    ValueError
        For an unknown reference, or numbers that do not fit.

    Examples
    --------
    >>> found = contrasts([[0.9, 0.8], [0.8, 0.6], [0.9, 0.7]], ["swish", "relu"], "relu")
    >>> found[0].name, round(found[0].mean, 3), round(found[0].p, 3)
    ('swish', 0.167, 0.038)
    """
    scores, names = _scores("scores", scores, 2), list(names)
    if len(names) != scores.shape[1]:
        raise ValueError(f"{scores.shape[1]} functions need as many names, got {len(names)}")
    if reference not in names:
        raise ValueError(f"unknown reference {reference!r}; choose from {names}")
    base = scores[:, names.index(reference)]
    others = [k for k, name in enumerate(names) if name != reference]
    found = [statistics.paired(scores[:, k], base) for k in others]
    adjusted = statistics.holm([pair.p for pair in found]) if found else ()
    return [
        Contrast(names[k], pair.mean, pair.low, pair.high, pair.p, float(p))
        for k, pair, p in zip(others, found, adjusted, strict=True)
    ]


def difference(first, second, *, seed=0, resamples=RESAMPLES, confidence=0.95):
    """Difference of the means of two groups of functions, with a bootstrap interval over functions.

    Parameters
    ----------
    first, second : array_like, shape (F1,) and (F2,)
        A number for each function, such as its mean score.
    seed : int
        Of the resampling.
    resamples : int
    confidence : float

    Returns
    -------
    Difference
    """
    first, second = _scores("first", first, 1), _scores("second", second, 1)
    generator = np.random.default_rng(seed)
    drawn = [
        group[generator.integers(group.size, size=(resamples, group.size))].mean(axis=1)
        for group in (first, second)
    ]
    low, high = np.quantile(drawn[0] - drawn[1], [(1 - confidence) / 2, (1 + confidence) / 2])
    return Difference(float(first.mean() - second.mean()), float(low), float(high))


@dataclass(frozen=True, eq=False)
class Setting:
    """The scores of one setting, at each function's better learning rate.

    Attributes
    ----------
    name : str
    functions : tuple of str, length F
        Texts.
    groups : tuple of tuple of str, length F
        See `experiments.search_generalisation.candidates`.
    seeds : tuple of int, length S
    accuracy : ndarray, (S, F)
        On test images; that of chance for a network that diverged.
    diverged : ndarray of bool, (S, F)
    lr : ndarray, (F,)
        nan for the child network, which has one rate.
    """

    name: str
    functions: tuple
    groups: tuple
    seeds: tuple
    accuracy: np.ndarray
    diverged: np.ndarray
    lr: np.ndarray

    @property
    def mean(self):
        """Mean accuracy over the seeds, (F,)."""
        return self.accuracy.mean(axis=0)

    def members(self, group):
        """Positions of the functions of a group; ValueError if there are none."""
        found = np.array([k for k, groups in enumerate(self.groups) if group in groups], dtype=int)
        if not found.size:
            choices = sorted({g for groups in self.groups for g in groups})
            raise ValueError(f"no function is in group {group!r}; choose from {choices}")
        return found

    def scores(self, functions):
        """Accuracies (S, len(functions)) of functions, by their texts."""
        unknown = [text for text in functions if text not in self.functions]
        if unknown:
            raise ValueError(f"{unknown[0]!r} was not trained in setting {self.name!r}")
        return self.accuracy[:, [self.functions.index(text) for text in functions]]


def setting(found, name):
    """Gather one setting of a record of `experiments.search_generalisation`.

    For each function the learning rate counts whose mean accuracy on validation images is highest; the test
    images play no part in that.

    Parameters
    ----------
    found : record.Record
    name : str
        One of the settings of the profile.

    Returns
    -------
    Setting

    Raises
    ------
    ValueError
        For an unknown setting, or if rows are missing.
    """
    rows = found.select(setting=name)
    rates = sorted({row.get("lr", np.nan) for row in rows})
    seeds = tuple(sorted({row["seed"] for row in rows}))
    groups = {t: tuple(g) for row in rows for t, g in zip(row["functions"], row["groups"], strict=True)}
    functions = tuple(groups)
    shape = (len(rates), len(seeds), len(functions))
    accuracy, validation = np.full(shape, np.nan), np.full(shape, np.nan)
    diverged = np.zeros(shape, dtype=bool)
    for row in rows:
        at = rates.index(row["lr"]) if "lr" in row else 0
        cells = at, seeds.index(row["seed"]), [functions.index(text) for text in row["functions"]]
        accuracy[cells] = row["accuracy"]
        validation[cells] = row.get("validation", row["accuracy"])
        diverged[cells] = np.array(row["diverged_at"]) >= 0
    best = best_rates(validation)
    chosen = (best, slice(None), np.arange(len(functions)))
    return Setting(
        name,
        functions,
        tuple(groups.values()),
        seeds,
        accuracy[chosen].T,
        diverged[chosen].T,
        np.array(rates)[best],
    )


def _scores(what, values, dims):
    values = np.asarray(values, dtype=float)
    if values.ndim != dims or not values.size:
        raise ValueError(f"{what} must have {dims} dimension(s) and hold numbers, got shape {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError(f"{what} must be finite, got {values[~np.isfinite(values)][0].item()!r}")
    return values
