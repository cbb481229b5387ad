"""Regularised evolution: the best of a few has a changed copy, and the oldest dies."""

from collections import deque

from selfgated.search.strategies.base import Strategy
from selfgated.train.settings import integer

__all__ = ["Evolution"]


class Evolution(Strategy):
    """Regularised ("aging") evolution.

    The first `population` candidates are drawn at random. After that each new one is the child of the best of
    `tournament` members of the population, drawn with replacement: a copy in which one decision, drawn at
    random, is changed to another value. A child that was scored joins the population, and its oldest member,
    not its worst, leaves it. So a lucky score does not breed for ever: to stay, a candidate must be found
    again through children that score well themselves.

    Parameters
    ----------
    sizes, seed
        See `Strategy`.
    population : int
        100, as published. Of 1000 evaluations the first tenth is then random search.
    tournament : int
        25, as published: the chance that a parent is among the best tenth of the population is
        ``1 - 0.9**25 = 0.93``. With 1, evolution drifts blindly.

    Notes
    -----
    A batch is bred from one population, that at the time of `propose`; the published one was asynchronous,
    with hundreds of workers. Decisions that have one value only do not mutate; if there are no others, a
    child is its parent. The published algorithm's rare mutation that changes nothing is left out. A candidate
    may be proposed again.

    References
    ----------
    Real, Aggarwal, Huang and Le, Regularized Evolution for Image Classifier Architecture Search, AAAI 2019,
    arXiv:1802.01548, Algorithm 1.
    """

    def __init__(self, sizes, *, seed=0, population=100, tournament=25):
        """Check, and begin with no population."""
        super().__init__(sizes, seed=seed)
        integer("population", population, low=1)
        integer("tournament", tournament, low=1)
        self.tournament = int(tournament)
        self._members = deque(maxlen=int(population))  # (choice, score), the oldest first
        self._left = int(population)
        self._free = [place for place, size in enumerate(self.sizes) if size > 1]

    def _propose(self, count):
        return [self._next() for _ in range(count)]

    def _next(self):
        if self._left > 0 or not self._members:
            self._left -= 1
            return self._draw()
        drawn = self._random.integers(len(self._members), size=self.tournament)
        return self._mutated(max((self._members[i] for i in drawn), key=lambda member: member[1])[0])

    def _mutated(self, choice):
        if not self._free:
            return choice
        place = self._free[self._random.integers(len(self._free))]
        # A step of 1 to size - 1 around the circle of values: each other value, and never the same.
        step = int(self._random.integers(1, self.sizes[place]))
        return (*choice[:place], (choice[place] + step) % self.sizes[place], *choice[place + 1 :])

    def _learn(self, choices, scores):
        self._members.extend(zip(choices, scores.tolist(), strict=True))
