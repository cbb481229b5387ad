"""The settings of a training run, checked."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from numbers import Integral, Real

from selfgated.train.devices import PRECISIONS
from selfgated.train.optimisers import OPTIMIZERS, SCHEDULES

__all__ = ["Settings", "integer"]


@dataclass(frozen=True)
class Settings:
    """What decides the numbers of a run; its fields are those of `fit`.

    Raises
    ------
    ValueError
        For a value that is out of range; the message names it and the choices.
    """

    seeds: tuple
    steps: int
    lr: tuple
    batch_size: int = 64
    optimizer: str = "sgd"
    momentum: float = 0.9
    betas: tuple = (0.9, 0.999)
    weight_decay: float = 0.0
    no_decay: tuple = ("beta",)
    lr_factors: Mapping = field(default_factory=dict)
    schedule: str = "constant"
    warmup: int = 0
    clip: float | None = None
    precision: str = "float32"
    record_every: int | None = None

    def __post_init__(self):
        """Check every field."""
        for name, choices in (
            ("optimizer", OPTIMIZERS),
            ("schedule", SCHEDULES),
            ("precision", PRECISIONS),
        ):
            if getattr(self, name) not in choices:
                raise ValueError(f"unknown {name} {getattr(self, name)!r}; choose from {list(choices)}")
        for seed in self.seeds:
            integer("a seed", seed, low=0)
        integer("steps", self.steps, low=0)
        integer("batch_size", self.batch_size, low=1)
        integer("warmup", self.warmup, low=0)
        if self.record_every is not None:
            integer("record_every", self.record_every, low=1)
        for rate in self.lr:
            _number("lr", rate)
        _number("momentum", self.momentum, below=1)
        for beta in self.betas:
            _number("a beta", beta, below=1)
        _number("weight_decay", self.weight_decay)
        for name in (*self.no_decay, *self.lr_factors):
            if not isinstance(name, str) or not name or "." in name:
                raise ValueError(f"no_decay and lr_factors take the last part of a name, not {name!r}")
        for name, factor in self.lr_factors.items():
            _number(f"the factor of {name}", factor)
        if self.clip is not None:
            _number("clip", self.clip, above=0)

    @classmethod
    def of(cls, num_models, *, seeds, lr, **others):
        """Return the settings for K networks: one seed each, and one learning rate, or one each.

        Raises
        ------
        ValueError
            As the class; also if there are not K seeds or learning rates.
        """
        seeds = (int(seeds),) if isinstance(seeds, Integral) else _several("seeds", seeds)
        rates = (float(lr),) * num_models if isinstance(lr, Real) else _several("lr", lr)
        others["betas"] = _several("betas", others.get("betas", cls.betas))
        if len(others["betas"]) != 2:
            raise ValueError(f"betas must be two numbers, not {list(others['betas'])}")
        for name, values in (("seeds", seeds), ("learning rates", rates)):
            if len(values) != num_models:
                raise ValueError(
                    f"{len(values)} {name} for {num_models} networks: {list(values)}; one each, please"
                )
        return cls(seeds=seeds, lr=rates, **others)

    def plain(self):
        """Return the settings as a dict of numbers, strings and lists."""
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()
        }


def _several(name, values):
    """Return a tuple of the values, NumPy's and torch's as Python's."""
    try:
        if isinstance(values, str):
            raise TypeError
        return tuple(value.item() if hasattr(value, "item") else value for value in values)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"{name} must be a number or a sequence of numbers, not {values!r}") from None


def integer(name, value, *, low):
    """Refuse what is no integer of at least `low`."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < low:
        raise ValueError(f"{name} must be an integer of at least {low}, not {value!r}")


def _number(name, value, *, above=None, below=math.inf):
    if not isinstance(value, Real) or not (0 <= value < below) or (above is not None and value <= above):
        low = "at least 0" if above is None else f"more than {above}"
        high = "" if below == math.inf else f" and less than {below}"
        raise ValueError(f"{name} must be a number of {low}{high}, not {value!r}")
