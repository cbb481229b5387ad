"""The recorded table: the score of every function of one core unit, several times over.

A table answers in microseconds what a child network answers in hundredths of a second, so strategies can be
compared over many runs. It holds repeats, so it also tells how much of a score is noise.
"""

from functools import cached_property
from numbers import Integral

import numpy as np

from selfgated.search import noise
from selfgated.search.canonical import distinct, orbits
from selfgated.search.expression import Expression
from selfgated.search.membership import alone, groups, locate
from selfgated.search.noise import ABOVE_CHANCE
from selfgated.search.space import BINARY, UNARY, Space

__all__ = ["Table", "locate"]

SIZES = (len(UNARY), len(UNARY), len(BINARY))


class Table:
    """Scores of functions of one core unit, every function once, in several repeats.

    Parameters
    ----------
    index : sequence of int, shape (n,)
        Number in ``Space(1)`` of a member of each function.
    accuracy : array_like, shape (repeats, n)
    diverged : array_like of bool, shape (repeats, n), optional
        Where a child network diverged; by default nowhere.
    loss : array_like, shape (repeats, n), optional
        Cross-entropy in nats; by default nan.
    seeds : sequence of int, shape (repeats,), optional
        By default 0, 1, ...

    Attributes
    ----------
    index, accuracy, diverged, loss, seeds : ndarray
        As given, not writeable. The repeats are in the order of their seeds.
    expressions : tuple of Expression
        The function of each column, in its shortest spelling.
    members : tuple of tuple of int
        The numbers in ``Space(1)`` of all its spellings.
    mean : ndarray, shape (n,)
        Mean accuracy over all repeats.
    unary, twin : ndarray of bool, shape (n,)
        Whether one unary alone is the function, and whether it is the later one of two twins (see Notes).

    Raises
    ------
    ValueError
        For shapes that do not fit, an index out of range, two that are the same function, a seed that comes
        twice, or an accuracy outside [0, 1].

    Notes
    -----
    All children of one repeat start from the same random numbers and see the same pairs: scores of one repeat
    are paired.

    ``beta*f + (1 - beta)*g`` and ``beta*g + (1 - beta)*f`` are twins: with beta and 1 - beta exchanged they
    are one function, which `distinct` counts twice and which learns the same. Where functions are counted or
    ranked, the later one is left out.
    """

    def __init__(self, index, accuracy, *, diverged=None, loss=None, seeds=None):
        """Check, and sort the repeats by seed."""
        accuracy = np.array(accuracy, dtype=float)
        if accuracy.ndim != 2 or 0 in accuracy.shape:
            raise ValueError(f"accuracy must have shape (repeats, functions), got {accuracy.shape}")
        repeats, n = accuracy.shape
        self.index = _whole("index", index, (n,))
        self.seeds = _whole("seeds", np.arange(repeats) if seeds is None else seeds, (repeats,))
        self.accuracy = accuracy
        self.diverged = np.array(np.zeros(accuracy.shape) if diverged is None else diverged, dtype=bool)
        self.loss = np.array(np.full(accuracy.shape, np.nan) if loss is None else loss, dtype=float)
        for name in ("diverged", "loss"):
            if getattr(self, name).shape != accuracy.shape:
                raise ValueError(
                    f"{name} has shape {getattr(self, name).shape}, accuracy has {accuracy.shape}"
                )
        bad = ~((accuracy >= 0) & (accuracy <= 1))
        if bad.any():
            raise ValueError(f"an accuracy must be from 0 to 1, got {accuracy[bad][0].item()!r}")
        wrong = (self.index < 0) | (self.index >= Space(1).size)
        if wrong.any():
            raise ValueError(
                f"index must be from 0 to {Space(1).size - 1}, got {self.index[wrong][0].item()}"
            )
        self._check_distinct()
        order = np.argsort(self.seeds)
        if (np.diff(self.seeds[order]) == 0).any():
            raise ValueError(f"every seed must come once, got {self.seeds.tolist()}")
        for name in ("accuracy", "diverged", "loss", "seeds"):
            setattr(self, name, getattr(self, name)[order])
        for name in ("accuracy", "diverged", "loss", "seeds", "index"):
            getattr(self, name).flags.writeable = False

    def _check_distinct(self):
        number = groups()[self.index]
        values, first, count = np.unique(number, return_index=True, return_counts=True)
        if (count > 1).any():
            twice = values[count > 1][0]
            space = Space(1)
            names = [space.expression(space.choice(i)).text for i in self.index[number == twice][:2]]
            raise ValueError(f"the same function comes twice in a table: {names[0]} and {names[1]}")
        self._row = np.full(len(distinct()), -1)
        self._row[values] = first

    @classmethod
    def from_rows(cls, rows, *, gain="he", complete=True):
        """The table of recorded blocks.

        Parameters
        ----------
        rows : sequence of dict
            As `experiments.activation_search` records them, in any order: ``block``, ``seed``, and the lists
            ``index``, ``accuracy``, ``loss`` and ``diverged_at``.
        gain : {"he", "own"}
            How the weights started, see `score`: rows with another ``gain`` are left out. Rows without one
            are of "he".
        complete : bool
            Whether every function of one core unit must be there.

        Returns
        -------
        Table

        Raises
        ------
        ValueError
            If there are no such rows, a row is malformed, a block of a seed is missing or comes twice, or,
            where the table must be complete, functions are missing.
        """
        rows = tuple(rows)
        gains = sorted({row.get("gain", "he") for row in rows})
        if gain not in gains:
            raise ValueError(f"no rows have gain {gain!r}; recorded are {gains}")
        by_seed = {}
        for row in rows:
            if row.get("gain", "he") != gain:
                continue
            lengths = {name: len(_column(row, name)) for name in ("index", "accuracy", "loss", "diverged_at")}
            if len(set(lengths.values())) > 1:
                raise ValueError(f"block {row['block']} of seed {row['seed']} has lists of lengths {lengths}")
            blocks = by_seed.setdefault(row["seed"], {})
            if row["block"] in blocks:
                raise ValueError(f"block {row['block']} of seed {row['seed']} comes twice")
            blocks[row["block"]] = row
        expected = sorted(set().union(*by_seed.values()))
        missing = {s: sorted(set(expected) - set(b)) for s, b in by_seed.items() if set(b) != set(expected)}
        if missing:
            raise ValueError(f"blocks are missing, by seed: {missing}; every seed must have {expected}")
        seeds = sorted(by_seed)

        def joined(seed, name):
            return [value for block in expected for value in by_seed[seed][block][name]]

        index = joined(seeds[0], "index")
        for seed in seeds[1:]:
            if joined(seed, "index") != index:
                raise ValueError(f"seed {seed} has other functions than seed {seeds[0]}, or another order")
        table = cls(
            index,
            [joined(seed, "accuracy") for seed in seeds],
            diverged=np.array([joined(seed, "diverged_at") for seed in seeds]) >= 0,
            loss=np.array([joined(seed, "loss") for seed in seeds], dtype=float),
            seeds=seeds,
        )
        absent = int((table._row < 0).sum())
        if complete and absent:
            raise ValueError(
                f"{absent} of {len(distinct())} functions are missing; recorded are blocks {expected[0]} to "
                f"{expected[-1]}"
            )
        return table

    def __len__(self):
        """Number of functions."""
        return self.index.size

    def __repr__(self):
        """Size and seeds."""
        return f"Table({len(self)} functions, seeds {self.seeds.tolist()})"

    @property
    def repeats(self):
        """Number of repeats."""
        return self.seeds.size

    @cached_property
    def mean(self):
        """Mean accuracy over all repeats, shape (n,)."""
        return self.accuracy.mean(axis=0)

    @cached_property
    def members(self):
        """The numbers in ``Space(1)`` of all spellings of each function, a tuple of tuples."""
        return tuple(distinct()[number] for number in groups()[self.index])

    @cached_property
    def expressions(self):
        """The functions, each in its shortest spelling."""
        space = Space(1)
        shorter = alone()
        return tuple(
            shorter.get(number) or space.expression(space.choice(distinct()[number][0]))
            for number in groups()[self.index].tolist()
        )

    @cached_property
    def _original(self):
        """For every function the row of the first of its twins, or its own."""
        mixture, first = list(BINARY).index("beta*x1 + (1 - beta)*x2"), {}
        found = np.arange(len(self))
        for row, group in enumerate(self.members):
            pairs = [choice[:2] for choice in map(Space(1).choice, group) if choice[2] == mixture]
            found[row] = min((first.get(pair[::-1], row) for pair in pairs), default=row)
            first.update(dict.fromkeys(pairs, row))
        return found

    @property
    def twin(self):
        """Whether a function is the later one of two twins, shape (n,)."""
        return self._original != np.arange(len(self))

    @cached_property
    def unary(self):
        """Whether one unary alone is the function, shape (n,)."""
        return np.isin(groups()[self.index], list(alone()))

    def row(self, which):
        """The position of a function in the table.

        Parameters
        ----------
        which : int, tuple of int, Expression or str
            The number of any member of ``Space(1)``, its choice, or any expression that is such a function.

        Returns
        -------
        int

        Raises
        ------
        ValueError
            If it is no function of one core unit, or not in this table.
        """
        if isinstance(which, (str, Expression)):
            number = locate(which)
            if number is None:
                raise ValueError(f"{which} is no function of one core unit")
        elif isinstance(which, Integral) and not isinstance(which, bool):
            number = Space(1).index(Space(1).choice(which))
        else:
            number = Space(1).index(which)
        row = int(self._row[groups()[number]])
        if row < 0:
            raise ValueError(f"{which} is not among the {len(self)} functions of the table")
        return row

    def rows(self, choices):
        """Positions of many members of ``Space(1)``.

        Parameters
        ----------
        choices : array_like of int, shape (m, 3)
            Decisions u1, u2 and b.

        Returns
        -------
        ndarray, shape (m,), int

        Raises
        ------
        ValueError
            If one is no member, or not in this table.
        """
        given = choices
        choices = np.asarray(choices)
        if not choices.size:
            return np.zeros(0, dtype=int)
        if choices.ndim != 2 or choices.shape[1] != len(SIZES) or choices.dtype.kind not in "iu":
            raise ValueError(f"choices must be whole numbers of shape (m, {len(SIZES)}), got {_shown(given)}")
        outside = (choices < 0) | (choices >= SIZES)
        if outside.any():
            Space(1).check(choices[outside.any(axis=1)][0].tolist())  # its message names the decision
        rows = self._row[groups()[np.ravel_multi_index(choices.T, SIZES)]]
        if (rows < 0).any():
            raise ValueError(
                f"{tuple(choices[rows < 0][0].tolist())} is not among the {len(self)} functions of the table"
            )
        return rows

    def scores(self, choices, repeat=0):
        """What a search sees: the accuracies of one repeat.

        Parameters
        ----------
        choices : array_like of int, shape (m, 3)
        repeat : int

        Returns
        -------
        ndarray, shape (m,)

        Raises
        ------
        ValueError
            As `rows`; for an unknown repeat.
        """
        return self.accuracy[self.check_repeat(repeat), self.rows(choices)]

    def truth(self, choices, without=0):
        """How good the functions are by the repeats that a search has not seen.

        Parameters
        ----------
        choices : array_like of int, shape (m, 3)
        without : int or None
            The repeat left out; None takes all of them.

        Returns
        -------
        ndarray, shape (m,)
            Mean accuracy.

        Raises
        ------
        ValueError
            As `rows`; for an unknown repeat, or if no other one is there.
        """
        return self.others(without)[self.rows(choices)]

    def grid(self, *, without=None):
        """The mean accuracy of every spelling, shape (25, 25, 10); nan where a function is not in the table.

        Parameters
        ----------
        without : int or None
            A repeat to leave out.

        Returns
        -------
        ndarray
            By u1, u2 and b, in the order of `space.UNARY` and `space.BINARY`.
        """
        rows = self._row[groups()]
        return np.where(rows >= 0, self.others(without)[rows], np.nan).reshape(SIZES)

    def others(self, without=0):
        """Mean accuracy of every function over the repeats other than one, shape (n,); None takes all."""
        if without is None:
            return self.mean
        kept = np.arange(self.repeats) != self.check_repeat(without)
        if not kept.any():
            raise ValueError(f"the only repeat is {without}: no other is left to judge by")
        return self.accuracy[kept].mean(axis=0)

    def best(self, top=10, *, without=None):
        """Positions of the best functions by the mean over the repeats, or all but one, the best first."""
        kept = np.flatnonzero(~self.twin)
        return kept[noise.best(self.others(without)[kept], top)]

    def rank(self, which, *, confidence=0.95):
        """The rank of a function with an interval over the repeats, see `noise.rank`.

        Parameters
        ----------
        which : int, tuple of int, Expression or str
            See `row`.
        confidence : float

        Returns
        -------
        noise.Rank
        """
        kept = np.flatnonzero(~self.twin)
        own = int(np.searchsorted(kept, self._original[self.row(which)]))
        return noise.rank(self.accuracy[:, kept], own, confidence=confidence)

    def noise(self, **options):
        """Noise of one score among the functions above chance, or the best: see `noise.noise`.

        Parameters
        ----------
        **options
            ``top``, ``above``, ``resamples``, ``confidence``, ``seed``.

        Returns
        -------
        noise.Noise
        """
        return noise.noise(self.accuracy[:, ~self.twin], **options)

    @cached_property
    def mirrors(self):
        """Rows of mirror images of each other, f(x), -f(x), f(-x) and -f(-x), where the table has several."""
        found = []
        for orbit in orbits():
            rows = self._row[groups()[list(orbit)]]
            kept = rows[rows >= 0]
            kept = kept[~self.twin[kept]]
            if kept.size > 1:
                found.append(tuple(kept.tolist()))
        return tuple(found)

    def mirror_noise(self, *, above=ABOVE_CHANCE):
        """Noise of one score by a second route: how much the scores of mirror images differ.

        The weights are as likely as their negatives at the start, so mirror images are equally good: all
        differences within one repeat are noise. See `noise.within_groups`.

        Parameters
        ----------
        above : float
            Mean score above which functions count.

        Returns
        -------
        Interval
        """
        kept = [rows for rows in self.mirrors if self.mean[list(rows)].mean() > above]
        return noise.within_groups(self.accuracy, kept)

    def winners_curse(self, top=20, repeat=0):
        """How much the best by one repeat fall on the others, see `noise.curse`.

        Parameters
        ----------
        top : int
        repeat : int

        Returns
        -------
        noise.Curse
        """
        return noise.curse(self.accuracy[:, ~self.twin], top, self.check_repeat(repeat))

    def check_repeat(self, repeat):
        """`repeat`, if it is one; ValueError otherwise."""
        if isinstance(repeat, bool) or not isinstance(repeat, Integral) or not 0 <= repeat < self.repeats:
            raise ValueError(f"repeat must be from 0 to {self.repeats - 1}, not {repeat!r}")
        return int(repeat)


def _whole(name, values, shape):
    found = np.array(values)
    if found.shape != shape or (found.dtype.kind not in "iu"):
        raise ValueError(f"{name} must be whole numbers of shape {shape}, got {_shown(values)}")
    return found


def _shown(values):
    found = np.asarray(values)
    return f"{found.dtype} of shape {found.shape}"


def _column(row, name):
    try:
        return row[name]
    except (KeyError, TypeError):
        raise ValueError(f"a row of the table must have {name!r}, got {row!r:.200}") from None
