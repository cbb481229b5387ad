"""What every strategy does: propose candidates, and learn from their scores."""

import math
from numbers import Integral, Real

import numpy as np

from selfgated.train.settings import integer

__all__ = ["Strategy", "number", "refuse"]


class Strategy:
    """A rule that decides which candidates are scored next.

    A candidate is a tuple of decisions, and decision d is a whole number below ``sizes[d]``: a member of a
    `Space`, but a strategy does not know what the numbers stand for. It never sees a function, only which
    tuples scored how much.

    Subclasses write `_propose` and, if they learn, `_learn`; both get checked arguments.

    Parameters
    ----------
    sizes : sequence of int
        Number of choices of each decision, for instance ``Space(2).sizes``.
    seed : int
        With one seed a strategy that is told the same scores proposes the same candidates, so a search that
        was broken off is repeated, not restored: what was scored comes from a store (`search`).

    Attributes
    ----------
    sizes : tuple of int
    seed : int
    size : int
        Number of candidates, the product of the sizes.

    Raises
    ------
    ValueError
        For no sizes, a size below 1, or a bad option; the message names it.
    """

    def __init__(self, sizes, *, seed=0):
        """Check."""
        self.sizes = tuple(sizes)
        if not self.sizes:
            raise ValueError("sizes must name at least one decision, got none")
        for size in self.sizes:
            integer("a size", size, low=1)
        integer("seed", seed, low=0)
        self.seed = int(seed)
        self.size = math.prod(self.sizes)
        self._random = np.random.default_rng(self.seed)

    def propose(self, count):
        """The candidates to score next.

        Parameters
        ----------
        count : int
            How many, at least 1.

        Returns
        -------
        list of tuple of int
            `count` candidates; fewer, at last none, from a strategy that takes each candidate once and has no
            other left.

        Raises
        ------
        ValueError
            For a bad count.
        """
        integer("count", count, low=1)
        return self._propose(int(count))

    def tell(self, choices, scores):
        """Learn from the scores of candidates, usually those last proposed.

        Parameters
        ----------
        choices : sequence of n tuples of int
        scores : sequence of n floats
            The larger the better.

        Raises
        ------
        ValueError
            If a choice is no candidate, a score is not finite, or their numbers differ.
        """
        choices = [self._checked(choice) for choice in choices]
        scores = refuse(choices, scores)
        if choices:
            self._learn(choices, scores)

    def _propose(self, count):
        raise NotImplementedError

    def _learn(self, choices, scores):
        """Learn nothing."""

    def _draw(self):
        """A candidate, all being equally likely."""
        return tuple(int(value) for value in self._random.integers(self.sizes))

    def _checked(self, choice):
        choice = tuple(choice)
        fits = len(choice) == len(self.sizes) and all(
            isinstance(value, Integral) and not isinstance(value, bool) and 0 <= value < size
            for value, size in zip(choice, self.sizes, strict=True)
        )
        if not fits:
            raise ValueError(f"{choice} is no candidate: {len(self.sizes)} whole numbers below {self.sizes}")
        return tuple(int(value) for value in choice)


def refuse(choices, scores):
    """`scores` as an array, if there is a finite one for each choice; else ValueError.

    Parameters
    ----------
    choices : sequence of n tuples of int
    scores : sequence of n floats

    Returns
    -------
    ndarray, shape (n,), float64
    """
    scores = np.asarray(scores, dtype=np.float64)
    if scores.shape != (len(choices),):
        raise ValueError(
            f"{len(choices)} candidates need as many scores, got an array of shape {scores.shape}"
        )
    if not np.isfinite(scores).all():
        at = int((~np.isfinite(scores)).argmax())
        raise ValueError(f"the score of candidate {choices[at]} is {scores[at].item()!r}; it must be finite")
    return scores


def number(name, value, *, low=0.0, high=math.inf, above=False):
    """`value` as a float, if it is at least `low`, or `above` it, and below `high`; else ValueError."""
    fits = isinstance(value, Real) and not isinstance(value, bool) and low <= value < high
    if not fits or (above and value == low):
        bounds = f"{'above' if above else 'at least'} {low:g}" + (
            "" if high == math.inf else f" and below {high:g}"
        )
        raise ValueError(f"{name} must be a number {bounds}, not {value!r}")
    return float(value)
