"""Search strategies behind one interface: `Strategy.propose` candidates, `Strategy.tell` their scores."""

from inspect import signature

from selfgated.search.strategies.base import Strategy
from selfgated.search.strategies.controller import Controller
from selfgated.search.strategies.evolution import Evolution
from selfgated.search.strategies.exhaustive import Exhaustive
from selfgated.search.strategies.softmaxes import Softmaxes
from selfgated.search.strategies.uniform import Random

__all__ = [
    "NAMES",
    "Controller",
    "Evolution",
    "Exhaustive",
    "Random",
    "Softmaxes",
    "Strategy",
    "make",
    "options",
]

STRATEGIES = {
    "exhaustive": Exhaustive,
    "random": Random,
    "evolution": Evolution,
    "ppo": Controller,
    "softmaxes": Softmaxes,
}
NAMES = tuple(STRATEGIES)


def make(name, sizes, *, seed=0, **options):
    """A strategy by its name.

    Parameters
    ----------
    name : str
        One of `NAMES`: "exhaustive", "random", "evolution" (regularised), "ppo" (an LSTM trained by PPO),
        "softmaxes" (independent softmaxes trained by PPO).
    sizes : sequence of int
        Number of choices of each decision, for instance ``Space(1).sizes``.
    seed : int
    **options
        Of that strategy, see its class.

    Returns
    -------
    Strategy

    Raises
    ------
    ValueError
        For an unknown name or option, or a bad value.

    Examples
    --------
    >>> make("evolution", (25, 25, 10), population=50).propose(2)
    [(21, 15, 5), (6, 7, 0)]
    """
    known = _options(name)
    for option in options:
        if option not in known:
            raise ValueError(f"unknown option {option!r} of {name!r}; choose from {sorted(known)}")
    return STRATEGIES[name](sizes, seed=seed, **options)


def options(name):
    """The options of a strategy and their defaults.

    Parameters
    ----------
    name : str
        One of `NAMES`.

    Returns
    -------
    dict

    Raises
    ------
    ValueError
        For an unknown name.

    Examples
    --------
    >>> options("evolution")
    {'population': 100, 'tournament': 25}
    """
    return _options(name)


def _options(name):
    if name not in STRATEGIES:
        raise ValueError(f"unknown strategy {name!r}; choose from {list(NAMES)}")
    parameters = signature(STRATEGIES[name]).parameters
    return {key: value.default for key, value in parameters.items() if key not in ("sizes", "seed")}
