"""Cheap predictors: how well do the Gaussian moments of a function tell the score of its child network?

The moments of thousands of functions cost seconds, where their children cost minutes.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy import stats

from selfgated.statistics import Interval

__all__ = ["Prediction", "predict"]

TRAINS = 0.6  # a score that no network at chance has


class Prediction(NamedTuple):
    """How well features tell scores, on functions that a model has not seen. Intervals are of 95 %.

    Attributes
    ----------
    single : dict of str to Interval
        Spearman's rank correlation of each feature with the score, where the feature exists.
    r2 : dict of str to Interval
        Share of the scores' variance that each model ("linear", "trees") explains; 0 for the mean alone,
        and negative for worse.
    rank : dict of str to Interval
        Spearman's rank correlation of its predictions with the scores.
    trains : dict of str to Interval
        Of the scores above 0.6 against the others: the probability that one of the former has the higher
        prediction (the area under the ROC curve); nan if all are above, or none.
    top : dict of str to Interval
        Share of the best tenth that is in the tenth predicted to be the best.
    predicted : dict of str to ndarray
        The predictions, shape (n,).
    ceiling : float
        The largest R^2 that the noise of the scores leaves to any predictor, from the repeats; nan for one.
    """

    single: dict
    r2: dict
    rank: dict
    trains: dict
    top: dict
    predicted: dict
    ceiling: float


def predict(features, scores, *, groups, folds=10, resamples=200, seed=0):
    """Predict scores by features, by cross-validation over groups of equal functions.

    Parameters
    ----------
    features : GaussianFeatures, n functions
    scores : array_like, shape (n,) or (repeats, n)
        Accuracies; of repeats the mean is predicted.
    groups : array_like of int, shape (n,)
        Functions that stay in one fold, see `mirror_groups` and `lookalikes`.
    folds, resamples : int
        Parts of the cross-validation; resamples of the bootstrap.
    seed : int

    Returns
    -------
    Prediction

    Raises
    ------
    ValueError
        For shapes that do not fit, a score that is not finite, or fewer groups than folds.

    Notes
    -----
    "linear" is a ridge regression on the ranks of the features, their squares, and whether they exist;
    "trees" are boosted regression trees (scikit-learn). No parameter was tuned on the scores. The bootstrap
    draws whole groups, with the predictions as they are: it does not train the models anew.
    """
    scores = np.asarray(scores, dtype=float)
    groups, n = np.asarray(groups), len(features)
    if scores.shape[-1:] != (n,) or scores.ndim not in (1, 2) or groups.shape != (n,):
        raise ValueError(
            f"{n} functions need scores of shape (n,) or (repeats, n) and groups of shape (n,), "
            f"got {scores.shape} and {groups.shape}"
        )
    if not np.isfinite(scores).all():
        raise ValueError("scores must be finite; a child that diverged has 0.5")
    target = scores if scores.ndim == 1 else scores.mean(axis=0)
    fold = _folds(groups, folds, seed)
    matrix = features.matrix()
    predicted = {name: _out_of_fold(make, matrix, target, fold) for name, make in MODELS.items()}
    draws = list(_resamples(groups, resamples, seed))
    measures = {"r2": _r2, "rank": _spearman, "trains": _auc, "top": _top}
    found = {
        key: {name: _interval(measure, (p, target), draws) for name, p in predicted.items()}
        for key, measure in measures.items()
    }
    single = {
        name: _interval(_spearman, (column, target), draws)
        for name, column in zip(features.names(), matrix.T, strict=True)
    }
    return Prediction(single=single, **found, predicted=predicted, ceiling=_ceiling(scores))


def _folds(groups, folds, seed):
    """A fold for every function: whole groups at random, folds of nearly equal size."""
    numbers = np.unique(groups)
    if not 2 <= folds <= numbers.size:
        raise ValueError(f"folds must be from 2 to the {numbers.size} groups, not {folds}")
    shuffled = np.random.default_rng(seed).permutation(numbers.size)
    return (shuffled % folds)[np.searchsorted(numbers, groups)]


def _out_of_fold(make, matrix, target, fold):
    predicted = np.empty_like(target)
    for k in np.unique(fold):
        held = fold == k
        predicted[held] = make(matrix[~held], target[~held], matrix[held])
    return predicted


def _linear(x_train, y_train, x_test, ridge=1.0):
    """Ridge regression on the ranks that the training functions give, their squares, and what is missing."""
    columns = []
    for train, test in zip(x_train.T, x_test.T, strict=True):
        known = np.sort(train[np.isfinite(train)])
        for values, out in ((train, 0), (test, 1)):
            ranks = (np.searchsorted(known, values) + np.searchsorted(known, values, "right")) / 2
            level = np.where(np.isfinite(values), ranks / max(known.size, 1) - 0.5, 0.0)
            columns.append((out, [level, level**2, np.isnan(values).astype(float)]))
    design = [np.stack([c for out, made in columns if out == side for c in made], axis=1) for side in (0, 1)]
    centre, mean = design[0].mean(axis=0), y_train.mean()
    train, test = design[0] - centre, design[1] - centre
    weights = np.linalg.solve(train.T @ train + ridge * np.eye(train.shape[1]), train.T @ (y_train - mean))
    return mean + test @ weights


def _trees(x_train, y_train, x_test):
    from sklearn.ensemble import HistGradientBoostingRegressor

    model = HistGradientBoostingRegressor(
        max_iter=150, learning_rate=0.06, max_leaf_nodes=15, early_stopping=False, random_state=0
    )
    return model.fit(x_train, y_train).predict(x_test)


MODELS = {"linear": _linear, "trees": _trees}


def _resamples(groups, resamples, seed):
    """Places of the functions in resamples of whole groups."""
    _, number = np.unique(groups, return_inverse=True)
    places = np.split(np.argsort(number, kind="stable"), np.cumsum(np.bincount(number))[:-1])
    generator = np.random.default_rng([seed, 1])
    for _ in range(resamples):
        yield np.concatenate([places[k] for k in generator.integers(len(places), size=len(places))])


def _interval(measure, columns, draws):
    """The measure, with the middle 95 % of its resamples."""
    kept = np.isfinite(np.stack(columns)).all(axis=0)
    value = measure(*(column[kept] for column in columns))
    found = [measure(*(column[draw[kept[draw]]] for column in columns)) for draw in draws]
    low, high = np.quantile(found, [0.025, 0.975]) if draws else (math.nan, math.nan)
    return Interval(float(value), float(low), float(high), int(kept.sum()))


def _r2(predicted, target):
    spread = ((target - target.mean()) ** 2).sum()
    return 1 - ((target - predicted) ** 2).sum() / spread if spread else math.nan


def _spearman(a, b):
    if a.size < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return math.nan
    return np.corrcoef(stats.rankdata(a), stats.rankdata(b))[0, 1]


def _auc(predicted, target):
    good = target > TRAINS
    if good.all() or not good.any():
        return math.nan
    ranks = stats.rankdata(predicted)
    return (ranks[good].mean() - (good.sum() + 1) / 2) / (~good).sum()


def _top(predicted, target):
    count = max(1, target.size // 10)
    best, guessed = (np.argsort(-values, kind="stable")[:count] for values in (target, predicted))
    return np.intersect1d(best, guessed).size / count


def _ceiling(scores):
    """1 minus the variance that noise gives to the mean of the repeats, over its whole variance."""
    if scores.ndim == 1 or len(scores) < 2:
        return math.nan
    centred = scores - scores.mean(axis=1, keepdims=True)  # a seed may be easier for all
    noise = centred.var(axis=0, ddof=1).mean() / len(scores)
    return float(1 - noise / centred.mean(axis=0).var(ddof=1))
