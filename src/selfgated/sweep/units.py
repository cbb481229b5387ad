"""Units of a sweep: a configuration with its seeds, the key it is stored by, and its execution."""

import hashlib
import importlib
import itertools
import json
import time
import traceback
from dataclasses import dataclass, field

__all__ = ["Failure", "Unit", "execute", "grid", "normalise", "resolve"]


@dataclass(frozen=True)
class Unit:
    """One configuration and the seeds that are run with it, together, as a group of networks.

    Parameters
    ----------
    config : dict
        JSON values by name; tuples have become lists.
    seeds : tuple of int
        The seeds, each at most once.
    text, key : str
        Canonical JSON of the configuration, and its hash, by which rows are stored.
    """

    config: dict = field(compare=False)
    seeds: tuple
    text: str
    key: str

    def __str__(self):
        """Return the configuration and the seeds on one line."""
        seeds = ", ".join(map(str, self.seeds))
        return f"{self.text} seeds {seeds}" if len(self.seeds) > 1 else f"{self.text} seed {seeds}"


@dataclass(frozen=True)
class Failure:
    """A unit that gave no rows: the unit, the error on one line, the traceback (empty if a worker died)."""

    unit: Unit
    error: str
    traceback: str


def grid(**lists):
    """Every combination of the given values, the last name varying fastest.

    Parameters
    ----------
    **lists : list, tuple, range or a single value
        The values of each name; what is not a list, tuple or range is one value.

    Returns
    -------
    list of dict
        One configuration for each combination.

    Raises
    ------
    ValueError
        If a list is empty: no configuration would be left.

    Examples
    --------
    >>> grid(act=["relu", "silu"], depth=[8, 16], lr=0.1)[1]
    {'act': 'relu', 'depth': 16, 'lr': 0.1}
    """
    values = {
        name: list(given) if isinstance(given, (list, tuple, range)) else [given]
        for name, given in lists.items()
    }
    for name, given in values.items():
        if not given:
            raise ValueError(f"{name}=[] leaves no configuration; give it at least one value")
    return [dict(zip(values, chosen, strict=True)) for chosen in itertools.product(*values.values())]


def normalise(units):
    """Check the units of a sweep and give each its key.

    Parameters
    ----------
    units : iterable of (dict, iterable of int)
        Configurations of JSON values, each with its seeds.

    Returns
    -------
    list of Unit
        In the given order.

    Raises
    ------
    TypeError
        If a configuration is not made of JSON values, or a seed is not an integer.
    ValueError
        If there is no seed, a seed is out of range, a number is not finite, a configuration names `seed`,
        or a configuration comes twice with the same seed.
    """
    found, taken = [], set()
    for config, seeds in units:
        text = _canonical(config)
        seeds = tuple(map(_seed, seeds))
        if not seeds:
            raise ValueError(f"no seeds are given for {text}")
        unit = Unit(json.loads(text), seeds, text, hashlib.sha256(text.encode()).hexdigest()[:32])
        for seed in seeds:
            if (unit.key, seed) in taken:
                raise ValueError(f"the units name seed {seed} of {text} twice")
            taken.add((unit.key, seed))
        found.append(unit)
    return found


def _canonical(config):
    """Return the JSON text that is the same for equal configurations, whatever the order of their names."""
    if not isinstance(config, dict):
        raise TypeError(f"a configuration is a dict, not {config!r}")
    if "seed" in config:
        raise ValueError(f"a configuration cannot name 'seed'; pass seeds beside it: {config!r}")
    _check_names(config, config)
    try:
        return json.dumps(config, sort_keys=True, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    except TypeError as error:
        raise TypeError(f"a configuration is made of JSON values, and {config!r} is not: {error}") from None
    except ValueError:
        raise ValueError(f"numbers of a configuration are finite: {config!r}") from None


def _check_names(value, config):
    if isinstance(value, dict):
        for name, item in value.items():
            if not isinstance(name, str):
                raise TypeError(f"names in a configuration are text, not {name!r}: {config!r}")
            _check_names(item, config)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _check_names(item, config)


def _seed(seed):
    if isinstance(seed, bool) or not hasattr(seed, "__index__"):
        raise TypeError(f"seeds are integers, not {seed!r}")
    seed = seed.__index__()
    if not 0 <= seed < 2**63:
        raise ValueError(f"seeds lie between 0 and 2^63 - 1; this one is {seed}")
    return seed


def resolve(name):
    """Import the unit function that ``package.module:function`` names.

    Parameters
    ----------
    name : str
        Import path; a worker process imports it in the same way.

    Returns
    -------
    callable
        ``function(config, seeds, device)``.

    Raises
    ------
    ValueError
        If the text has another form, or there is no such module or function.

    Examples
    --------
    >>> resolve("json:dumps")({"act": "gelu"})
    '{"act": "gelu"}'
    """
    module_name, colon, attribute = str(name).partition(":")
    if not (colon and module_name and attribute):
        raise ValueError(f"a unit function is named 'package.module:function', not {name!r}")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise  # the module is there, and something that it imports is not
        raise ValueError(f"unit function {name!r}: there is no module {error.name!r}") from None
    function = getattr(module, attribute, None)
    if not callable(function):
        raise ValueError(f"unit function {name!r}: module {module_name} has no function {attribute!r}")
    return function


def execute(name, config, seeds, device):
    """Run one unit and return what happened as plain data, also when the unit function raises.

    Parameters
    ----------
    name : str
        Import path of the unit function.
    config : dict
        Its configuration.
    seeds : sequence of int
        Its seeds.
    device : str
        Passed on to the unit function.

    Returns
    -------
    dict
        ``rows`` (a JSON text for each seed) and ``cpu_seconds``; or ``error`` and ``traceback``.
    """
    try:
        function = resolve(name)
        began = time.process_time()
        rows = _texts(function(dict(config), tuple(seeds), device), config, seeds)
        return {"rows": rows, "cpu_seconds": time.process_time() - began}
    except (Exception, SystemExit) as error:
        line = "".join(traceback.format_exception_only(error)).strip()
        return {"error": line, "traceback": traceback.format_exc()}


def _texts(rows, config, seeds):
    """Check what a unit function returned; a JSON text for each seed."""
    if not isinstance(rows, (list, tuple)) or len(rows) != len(seeds):
        got = f"{len(rows)} rows" if isinstance(rows, (list, tuple)) else f"a {type(rows).__name__}"
        raise TypeError(
            f"a unit function returns a list of one dict for each of {len(seeds)} seeds, not {got}"
        )
    texts = []
    for row, seed in zip(rows, seeds, strict=True):
        if not isinstance(row, dict):
            raise TypeError(f"a unit function returns dicts, not {row!r}")
        text = json.dumps(row, default=_plain, ensure_ascii=False)
        known = {**config, "seed": seed}
        for name, value in json.loads(text).items():
            if name in known and value != known[name]:
                raise ValueError(f"the row says {name} = {value!r}, its unit {name} = {known[name]!r}")
        texts.append(text)
    return texts


def _plain(value):
    """Arrays and scalars of NumPy and torch as lists and numbers."""
    if not hasattr(value, "tolist"):
        raise TypeError(f"rows are made of JSON values, not of {type(value).__name__}: {value!r}")
    return value.tolist()
