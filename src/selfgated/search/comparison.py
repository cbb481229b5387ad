"""Strategies compared over their recorded runs."""

from itertools import pairwise
from statistics import fmean
from typing import NamedTuple

from selfgated import statistics

__all__ = ["Difference", "differences"]

PAIRS = ("seed", "repeat")


class Difference(NamedTuple):
    """How much more a strategy found than another, over pairs of runs.

    Attributes
    ----------
    name : str
        The strategy.
    mean, low, high : float
        Mean difference and its 95 % interval, in the unit of the column.
    p : float
        Of the paired t test.
    holm : float
        p, adjusted by Holm's rule for all strategies of the comparison.
    n : int
        Number of pairs.
    """

    name: str
    mean: float
    low: float
    high: float
    p: float
    holm: float
    n: int


def differences(rows, column, *, at=None, against="random", names=None, by="seed"):
    """Paired differences between strategies and one of them, run by run.

    Parameters
    ----------
    rows : sequence of dict
        Of `experiments.search_strategies`: ``variant``, ``seed``, ``repeat``, ``checkpoints``, the columns.
    column : str
        For instance ``"best_truth"`` or ``"last_reward"``.
    at : int, optional
        The number of evaluations, for a column that has a value for each of the checkpoints.
    against : str
        The variant that is subtracted.
    names : sequence of str, optional
        The others; by default every variant that has the same runs.
    by : {"seed", "repeat"}
        What makes a pair: two runs with one seed, where all rows are of one repeat of the table; or, over
        several repeats, the mean of the runs in each.

    Returns
    -------
    list of Difference
        In the order of `names`, or of the rows.

    Raises
    ------
    ValueError
        For an unknown variant, column or checkpoint, a value that is None, if the seeds of two variants
        differ, or if a seed comes twice where it makes a pair.

    Notes
    -----
    By seed, the runs are independent given the rewards of one repeat: the interval says how much other seeds
    would change the mean, not what other rewards would give. All runs see the same noise, and a strategy that
    converges picks the same lucky candidates again and again. By repeat each pair has noise of its own, and
    there are as many pairs as repeats. Neither says anything about another space or task.

    Examples
    --------
    >>> rows = [{"variant": "random", "seed": s, "reward": r} for s, r in enumerate([0.5, 0.6, 0.7])]
    >>> rows += [{"variant": "ppo", "seed": s, "reward": r} for s, r in enumerate([0.8, 0.9, 0.9])]
    >>> [round(v, 4) for v in differences(rows, "reward")[0][1:4]]
    [0.2667, 0.1232, 0.4101]
    """
    if by not in PAIRS:
        raise ValueError(f"unknown pairs {by!r}; choose from {list(PAIRS)}")
    runs = {}
    for row in rows:
        runs.setdefault(row["variant"], []).append(row)
    keys = {name: _keys(name, mine, by) for name, mine in runs.items()}
    if names is None:
        names = [name for name in runs if name != against and keys[name] == keys.get(against)]
    for name in (against, *names):
        if name not in runs:
            raise ValueError(f"no rows of variant {name!r}; choose from {list(runs)}")
        if keys[name] != keys[against]:
            raise ValueError(
                f"{name!r} has not the runs of {against!r}: ({by}, seed) {_shown(keys[name])} and "
                f"{_shown(keys[against])}"
            )
    if not names:
        raise ValueError(f"no variant has the runs of {against!r}; recorded are {list(runs)}")

    def means(name):
        values = {}
        for row in runs[name]:
            values.setdefault(row[by], []).append(_value(row, column, at))
        return [fmean(values[pair]) for pair in sorted(values)]

    base = means(against)
    found = [statistics.paired(means(name), base) for name in names]
    adjusted = statistics.holm([one.p for one in found])
    return [
        Difference(name, one.mean, one.low, one.high, one.p, float(p), one.n)
        for name, one, p in zip(names, found, adjusted, strict=True)
    ]


def _keys(name, rows, by):
    """Pair and seed of each run, sorted."""
    keys = sorted((row[by], row["seed"]) for row in rows)
    for one, other in pairwise(keys):
        if one == other:
            raise ValueError(
                f"{name!r} has seed {one[1]} twice; select the rows of one repeat, or pair by repeat"
            )
    return keys


def _shown(keys):
    return f"[{', '.join(map(str, keys[:3]))}{', ...' if len(keys) > 3 else ''}]"


def _value(row, column, at):
    if column not in row:
        raise ValueError(f"a row has no column {column!r}; it has {sorted(row)}")
    if at is None:
        return row[column]
    if at not in row["checkpoints"]:
        raise ValueError(f"no checkpoint at {at} evaluations; choose from {list(row['checkpoints'])}")
    value = row[column][list(row["checkpoints"]).index(at)]
    if value is None:
        raise ValueError(f"the run of {row['variant']!r} with seed {row['seed']} has no {column!r} at {at}")
    return value
