"""Self-checks of the variance components and of the winner's curse."""

import numpy as np

from selfgated.checks import engine
from selfgated.checks.engine import CheckFailed


def _tables(seed):
    rng = np.random.default_rng(seed)
    sizes = ((3, 12, 0.04), (5, 30, 0.02), (2, 8, 0.05))
    return [
        rng.uniform(0.5, 0.95, n) + rng.normal(0, 0.03, (repeats, n)) + rng.normal(0, common, (repeats, 1))
        for repeats, n, common in sizes
    ]


def _anova(scores):
    """Mean square of the candidates, sum of squares of what is left."""
    number, n = np.shape(scores)
    centre = scores.mean()
    between = number * ((scores.mean(axis=0) - centre) ** 2).sum()
    common = n * ((scores.mean(axis=1) - centre) ** 2).sum()
    return between / (n - 1), ((scores - centre) ** 2).sum() - between - common


def _noise(scores):
    return _anova(scores)[1] / ((scores.shape[0] - 1) * (scores.shape[1] - 1))


def _true(scores):
    return max((_anova(scores)[0] - _noise(scores)) / len(scores), 0.0)


def _within(scores):
    """Variance over the repeats of each candidate: the common part of a repeat is in it."""
    return scores.var(axis=0, ddof=1).mean()


def _means(scores):
    return scores.mean(axis=0).var(ddof=1)


NOISE = [
    (
        _within,
        "what a repeat has in common for all candidates belongs to a_r: take out the repeats' means too",
    ),
    (lambda s: np.sqrt(_noise(s)), "W is a variance, not a standard deviation"),
    (
        lambda s: _anova(s)[1] / s.size,
        "divide by the degrees of freedom that are left, not by all entries: means were taken out",
    ),
    (
        lambda s: _anova(s)[1] / (s.size - 1),
        "degrees of freedom: R + n - 1 means were taken out, not one",
    ),
    (lambda s: _anova(s)[1] / ((len(s) - 1) * s.shape[1]), "degrees of freedom: (R - 1)(n - 1) are left"),
    (lambda s: _anova(s)[1] / (len(s) * (s.shape[1] - 1)), "degrees of freedom: (R - 1)(n - 1) are left"),
    (
        lambda s: (s - s.mean(axis=1, keepdims=True)).var(axis=1, ddof=1).mean(),
        "the candidates differ: take out their means too",
    ),
    (_true, "the order is V, W, reliability: this is V"),
]
TRUE = [
    (_means, "the candidates' means have noise in them: take away W/R"),
    (lambda s: _means(s) - _noise(s), "the mean of R repeats has the noise W/R, not W"),
    (lambda s: s.mean(axis=0).var() - _noise(s) / len(s), "the variance of the means: divide by n - 1"),
    (lambda s: np.sqrt(_true(s)), "V is a variance, not a standard deviation"),
    (_noise, "the order is V, W, reliability: this is W"),
    (lambda s: _means(s) - _within(s) / len(s), "take away W/R with a W that has no a_r in it"),
]
RELIABILITY = [
    (
        lambda s: _true(s) / (_true(s) + _noise(s) / len(s)),
        "this is the reliability of the mean of R repeats",
    ),
    (lambda s: _noise(s) / (_true(s) + _noise(s)), "this is the share of the noise"),
    (lambda s: _true(s) / _noise(s), "divide by V + W, not by W"),
    (lambda s: np.sqrt(_true(s) / (_true(s) + _noise(s))), "V/(V + W), without a root"),
]


def components(answer):
    """Check problem 5: variances of true scores and noise, and the reliability."""
    call = "components(scores)"

    def entry(place):
        def one(scores):
            got = answer(scores)
            if got is None:
                return None
            if not (isinstance(got, (tuple, list)) or getattr(got, "ndim", 0) == 1) or len(got) != 3:
                raise CheckFailed(f"return the tuple (V, W, reliability), not {engine.short(got)}")
            return got[place]

        return one

    tables = [(scores,) for scores in _tables(0)]

    def reliable(scores):
        return _true(scores) / (_true(scores) + _noise(scores))

    for place, right, mistakes, name in (
        (1, _noise, NOISE, "W"),
        (0, _true, TRUE, "V"),
        (2, reliable, RELIABILITY, "the reliability"),
    ):
        try:
            engine.values(entry(place), right, tables, mistakes=mistakes, rtol=1e-9, call=call)
        except CheckFailed as error:
            text = str(error).replace("components: ", f"components: {name}: ", 1)
            raise CheckFailed(text.replace("components differs", f"components: {name} differs", 1)) from None
    flat = np.array([[0.5, 0.6, 0.7], [0.7, 0.6, 0.5]])
    got = answer(flat.copy())
    if not (got[0] == 0 and got[2] == 0):
        raise CheckFailed(
            f"components: where V would be negative it is 0, and so is the reliability; they are "
            f"{engine.short(got[0])} and {engine.short(got[2])}"
        )
    return "components: fine"


def _fall(scores, top, *, seen_in=None, everything=False, last=False, spread=np.mean, ascending=False):
    """Mean fall of the best; the options are mistakes."""
    falls = []
    for r in range(len(scores)) if seen_in is None else [seen_in]:
        key = scores[r] if ascending else -scores[r]
        order = np.argsort(key, kind="stable")
        if last:
            order = np.lexsort((-np.arange(scores.shape[1]), key))
        chosen = order[:top]
        kept = [k for k in range(len(scores)) if everything or k != r]
        falls.append(scores[r, chosen].mean() - scores[kept][:, chosen].mean())
    return spread(falls)


CURSE = [
    (lambda s, t: _fall(s, t, seen_in=0), "let each repeat be the one that is seen, not the first only"),
    (
        lambda s, t: _fall(s, t, everything=True),
        "judge by the other repeats only: the seen one has the luck in it",
    ),
    (lambda s, t: -_fall(s, t), "the sign: seen minus others"),
    (lambda s, t: _fall(s, t, spread=np.sum), "the mean over the repeats, not the sum"),
    (lambda s, t: _fall(s, t, ascending=True), "these are the worst: high scores are good"),
    (lambda s, t: t * _fall(s, t), "mean scores, not sums over the chosen ones"),
    (
        lambda s, t: 0.0,
        "the falls cancel: choose by the seen repeat alone, and follow the same candidates into the others",
    ),
]


def winners_curse(answer):
    """Check problem 5: how far the best of one repeat fall."""
    call = "winners_curse(scores, top)"
    tables = [(scores, top) for scores, top in zip(_tables(1), (4, 6, 3), strict=True)]
    engine.values(answer, _fall, tables, mistakes=CURSE, rtol=1e-9, atol=1e-12, call=call)
    tied = [(np.round(scores, 1), top) for (scores, top) in tables]
    mistakes = [(lambda s, t: _fall(s, t, last=True), "of equal scores the lower index is picked")]
    try:
        engine.values(answer, _fall, tied, mistakes=mistakes, rtol=1e-9, atol=1e-12, call=call)
    except CheckFailed as error:
        if "differs" not in str(error):
            raise
        raise CheckFailed(
            "winners_curse: with ties exactly `top` are picked, of equal scores those with the lower index "
            "(a stable sort)"
        ) from None
    return "winners_curse: fine"
