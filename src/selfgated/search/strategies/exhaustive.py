"""Every candidate once."""

from itertools import islice, product

from selfgated.search.strategies.base import Strategy

__all__ = ["Exhaustive"]


class Exhaustive(Strategy):
    """Every candidate once, in order, the last decision varying fastest; then none.

    The reference, where the space is small enough: nothing can have a better score than what it finds. The
    published search did this for one core unit. The seed changes nothing.

    Parameters
    ----------
    sizes, seed
        See `Strategy`.

    Examples
    --------
    >>> Exhaustive((2, 2)).propose(3)
    [(0, 0), (0, 1), (1, 0)]
    """

    def __init__(self, sizes, *, seed=0):
        """Check, and begin at the first."""
        super().__init__(sizes, seed=seed)
        self._members = product(*map(range, self.sizes))

    def _propose(self, count):
        return list(islice(self._members, count))
