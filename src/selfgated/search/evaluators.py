"""Live evaluation: members of a space are trained when a strategy asks for them, through `selfgated.sweep`.

The store has one row for each member and seed, whichever batch it was trained in: sweep tells rows apart by
configuration and seed, and what it is given as the seed is here the number of the member. So a search that
was killed goes on where it stopped, and another strategy or size of batch uses the same rows.

This is right because a child does not see those that are trained with it. The score of a function of one core
unit is the same in every batch, bit for bit. Functions of several core units can round differently in another
batch, and training enlarges what rounding began: one in twenty then has another score, as with another seed.
A search that goes on has the batches that it had, and ends as if it had not been stopped.
"""

import hashlib
import inspect
import json

import numpy as np

from selfgated import sweep
from selfgated.search.canonical import TOLERANCE, bounded, fingerprint
from selfgated.search.score import GAINS, score
from selfgated.search.space import BINARY, UNARY, Space
from selfgated.search.task import PARTS

__all__ = ["BLOCK", "LiveEvaluator", "train_members"]

FUNCTION = "selfgated.search.evaluators:train_members"
# The rows of other lists of functions are of other members, though their numbers may be the same.
VERSION = hashlib.sha256(json.dumps([1, list(UNARY), list(BINARY)]).encode()).hexdigest()[:16]
BLOCK = 250  # children trained as one, at most
SETTINGS = {
    name: parameter.default
    for name, parameter in inspect.signature(score).parameters.items()
    if name not in ("expressions", "seed", "device")
}


def train_members(config, seeds, device):
    """Train one child for each of some members of a space: a unit function of `selfgated.sweep`.

    Parameters
    ----------
    config : dict
        ``cores`` of the space, ``child_seed`` and all settings of `search.score`.
    seeds : tuple of int
        The numbers of the members, see `Space.index`.
    device : str

    Returns
    -------
    list of dict
        For each member ``expression``, ``accuracy``, ``loss`` (None if it diverged) and ``diverged_at``.
    """
    space = Space(config["cores"])
    expressions = [space.expression(space.choice(index)) for index in seeds]
    settings = {name: config[name] for name in SETTINGS}
    # One network alone is multiplied by another routine than several are, and rounds differently.
    together = expressions if len(expressions) > 1 else expressions * 2
    found = score(together, seed=config["child_seed"], device=device, **settings)
    return [
        {
            "expression": expression.text,
            "accuracy": float(accuracy),
            "loss": float(loss) if np.isfinite(loss) else None,
            "diverged_at": int(step),
        }
        for expression, accuracy, loss, step in zip(expressions, *found, strict=False)
    ]


class LiveEvaluator:
    """Scores of members of a space, by training: the `evaluate` of a live `search`.

    Members that are the same function, by value with the betas free, are trained once: all have the score of
    the first that was asked for.

    Parameters
    ----------
    space : Space
    store : str or Path
        SQLite file that keeps every finished unit; see `sweep.run`.
    seeds : sequence of int
        Each member is trained once for each; see `score`.
    engine, address
        As in `sweep.run`: ``"local"`` or ``"ray"``, and of the latter the cluster's ``host:port``.
    workers : int
        Into how many units a batch is split for each seed, at least: so many processes on this machine, or
        tasks of a cluster. 0 trains in this process, which saves the start of the others (seconds for each
        batch).
    device : str
        See `train.resolve_device`.
    progress : bool
        Whether to show a bar over the units of each call.
    **settings
        Of `score`: part, gain, width, depth, steps, lr, batch_size.

    Attributes
    ----------
    trained : int
        Number of different functions that were asked for.

    Raises
    ------
    ValueError
        For an unknown setting, part, gain or engine, no seeds, or one that comes twice.

    Examples
    --------
    >>> import tempfile
    >>> from selfgated.search import Space
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     scores = LiveEvaluator(Space(), store=f"{folder}/search.sqlite", steps=20)
    ...     swish, product, zero = scores([(0, 20, 1), (20, 0, 1), (0, 0, 2)])
    >>> bool(swish == product), scores.trained
    (True, 2)
    """

    def __init__(
        self,
        space,
        *,
        store,
        seeds=(0,),
        engine="local",
        workers=0,
        address=None,
        device="auto",
        progress=False,
        **settings,
    ):
        """Check the settings; nothing is trained or written yet."""
        for name in settings:
            if name not in SETTINGS:
                raise ValueError(f"unknown setting {name!r}; choose from {list(SETTINGS)}")
        for name, choices in (("part", PARTS), ("gain", GAINS)):
            if name in settings and settings[name] not in choices:
                raise ValueError(f"unknown {name} {settings[name]!r}; choose from {list(choices)}")
        if engine not in sweep.ENGINES:
            raise ValueError(f"unknown engine {engine!r}; choose from {list(sweep.ENGINES)}")
        self.space, self.seeds = space, tuple(seeds)
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds must be at least one number, none twice, not {self.seeds}")
        self.settings = SETTINGS | settings
        self.options = {
            "store": store,
            "engine": engine,
            "workers": workers,
            "address": address,
            "device": device,
            "progress": progress,
        }
        self._first = {}  # number of a member -> number of the first equal one
        self._numbers, self._signatures = [], []
        self._known = {}  # number of a first member -> accuracy for each seed

    @property
    def trained(self):
        """Number of different functions that were asked for."""
        return len(self._known)

    def __call__(self, choices):
        """Mean accuracy over the seeds.

        Parameters
        ----------
        choices : sequence of tuple of int, length n
            Members of the space.

        Returns
        -------
        ndarray, shape (n,)
            A child that diverged counts as 0.5, as a coin has it.

        Raises
        ------
        SweepError, Interrupted, ValueError
            As `sweep.run`.
        """
        return self.accuracies(choices).mean(axis=0)

    def check(self):
        """Open the store and check the options, so that a wrong one shows before a search begins."""
        sweep.run(FUNCTION, [], version=VERSION, **self.options)

    def accuracies(self, choices):
        """Accuracy for each seed, ndarray of shape (seeds, n)."""
        numbers = [self._representing(self.space.index(choice)) for choice in choices]
        wanted = [number for number in dict.fromkeys(numbers) if number not in self._known]
        if wanted:
            rows = sweep.run(FUNCTION, self._units(wanted), version=VERSION, **self.options)
            found = {(row["child_seed"], row["seed"]): row["accuracy"] for row in rows}
            for number in wanted:
                self._known[number] = [found[seed, number] for seed in self.seeds]
        return (
            np.array([self._known[number] for number in numbers], dtype=float).reshape(-1, len(self.seeds)).T
        )

    def representative(self, choice):
        """The member with whose score this one is credited: the first equal one that was asked for.

        Parameters
        ----------
        choice : tuple of int

        Returns
        -------
        tuple of int
        """
        return self.space.choice(self._representing(self.space.index(choice)))

    def _units(self, numbers):
        parts = max(1, self.options["workers"], -(-len(numbers) // BLOCK))
        shares = [numbers[part::parts] for part in range(parts)]
        return [
            ({"cores": self.space.cores, "child_seed": seed, **self.settings}, share)
            for seed in self.seeds
            for share in shares
            if share
        ]

    def _representing(self, number):
        """The number of the first member that is the same function."""
        if number not in self._first:
            signature = bounded(fingerprint(self.space.expression(self.space.choice(number))))
            self._first[number] = number
            if self._numbers:
                near = np.abs(np.stack(self._signatures) - signature).max(axis=1) <= TOLERANCE
                if near.any():
                    self._first[number] = self._numbers[int(near.argmax())]
            if self._first[number] == number:
                self._numbers.append(number)
                self._signatures.append(signature)
        return self._first[number]
