"""Candidates at random: what a strategy has to beat."""

from selfgated.search.strategies.base import Strategy

__all__ = ["Random"]


class Random(Strategy):
    """Candidates at random, each at most once.

    All that are left are equally likely. It remembers what it proposed, because anyone who searches at random
    would: drawn with replacement, 1000 of the 6250 members of ``Space(1)`` would hold 76 repetitions, and the
    strategies that learn would be compared with something weaker than need be.

    Parameters
    ----------
    sizes, seed
        See `Strategy`.

    Notes
    -----
    One call for 40 candidates gives what two calls for 20 give.

    Examples
    --------
    >>> sorted(Random((2, 2)).propose(10))
    [(0, 0), (0, 1), (1, 0), (1, 1)]
    """

    def __init__(self, sizes, *, seed=0):
        """Check, and begin with none taken."""
        super().__init__(sizes, seed=seed)
        self._taken = set()

    def _propose(self, count):
        found = []
        while len(found) < count and len(self._taken) < self.size:
            choice = self._draw()
            if choice not in self._taken:
                self._taken.add(choice)
                found.append(choice)
        return found
