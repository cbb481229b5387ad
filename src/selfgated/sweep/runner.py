"""Run the units that are not stored yet, and return the whole table."""

import math
import time
from contextlib import closing

from tqdm import tqdm

from selfgated.sweep.cluster import import_ray, run_ray
from selfgated.sweep.errors import Interrupted, SweepError, Unfinished
from selfgated.sweep.local import run_here, run_local
from selfgated.sweep.store import Store
from selfgated.sweep.units import Failure, Unit, normalise, resolve

__all__ = ["ENGINES", "run"]

ENGINES = ("local", "ray")
SHOWN = 20


def run(
    function,
    units,
    *,
    store,
    workers=1,
    device="auto",
    engine="local",
    address=None,
    progress=True,
    version="",
    retries=2,
    max_seconds=None,
):
    """Run a unit function over a grid, once for each configuration and seed, and return the table.

    Every finished unit is stored at once, so a sweep that was stopped or killed at any moment goes on where
    it stopped: what is stored is not repeated. A larger grid runs the new units alone. A unit that raises, or
    whose worker keeps dying, does not stop the others; it is tried again at the next start.

    Parameters
    ----------
    function : str
        ``"package.module:function"``. It is called with a configuration (dict), a tuple of seeds and a
        device, and returns a list of dicts, one for each seed, of JSON values, arrays or scalars. A row
        depends on its configuration and its seed alone, not on the other seeds: after a change of the seeds
        only the missing ones are run.
    units : iterable of (dict, iterable of int)
        Configurations of JSON values, each with the seeds that are run together.
    store : str or Path
        SQLite file, made if it is not there. One sweep at a time can use it.
    workers : int, optional
        Worker processes, each with one thread (OMP_NUM_THREADS=1); 0 runs the units in this process. Not used
        by Ray.
    device : str, optional
        Passed on to the function.
    engine : str, optional
        ``"local"``: processes on this machine. ``"ray"``: tasks of a Ray cluster (extra ``selfgated[ray]``).
    address : str, optional
        Ray only: ``host:port`` of the cluster, by default that of RAY_ADDRESS or of this machine.
    progress : bool, optional
        Whether to show a bar over the units.
    version : str, optional
        Rows stored under another version are not used: name here what else they depend on, such as the code.
    retries : int, optional
        How often a unit is tried again when its worker process, or its node, died.
    max_seconds : float, optional
        No unit is begun after this time.

    Returns
    -------
    list of dict
        ``{**config, "seed": seed, **result}`` in the order of the units and their seeds, whatever the order
        in which they ended.

    Raises
    ------
    SweepError
        If units failed: `failures` has each with its error and traceback. Also if workers do not start, or
        Ray is missing or does not answer.
    StoreError
        If the store is damaged, of another version, in use, or cannot be written.
    Unfinished
        If `max_seconds` were over before all units were done.
    Interrupted
        After Ctrl-C; its message says how much is stored.
    ValueError, TypeError
        For a bad argument or unit (see `normalise`).
    """
    if not isinstance(function, str):
        raise TypeError(f"function is the text 'package.module:function', not {function!r}")
    units = normalise(units)
    _check(engine, address, workers, retries)
    with Store(store) as table:
        stored = [table.results(function, version, unit) for unit in units]
        todo = [_missing(unit, found) for unit, found in zip(units, stored, strict=True)]
        todo = [unit for unit in todo if unit.seeds]
        if todo:
            resolve(function)  # a wrong name is one error here, not one for each unit
            if engine == "ray":
                import_ray()
            deadline = math.inf if max_seconds is None else time.monotonic() + max_seconds
            options = {"function": function, "device": device, "deadline": deadline}
            if engine == "ray":
                outcomes = run_ray(todo, address=address, retries=retries, **options)
            elif workers == 0:
                outcomes = run_here(todo, **options)
            else:
                outcomes = run_local(todo, workers=workers, retries=retries, **options)
            _collect(table, outcomes, function, version, len(units), len(todo), progress)
            stored = [table.results(function, version, unit) for unit in units]
    return [
        {**unit.config, "seed": seed, **found[seed]}
        for unit, found in zip(units, stored, strict=True)
        for seed in unit.seeds
    ]


def _check(engine, address, workers, retries):
    if engine not in ENGINES:
        raise ValueError(f"unknown engine {engine!r}; choose from {list(ENGINES)}")
    if address is not None and engine != "ray":
        raise ValueError(f"address={address!r} is for engine='ray', not for engine={engine!r}")
    for name, value in (("workers", workers), ("retries", retries)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ValueError(f"{name} is a whole number, 0 or more, not {value!r}")


def _missing(unit, found):
    """Return the unit with those seeds that have no row yet."""
    return Unit(unit.config, tuple(seed for seed in unit.seeds if seed not in found), unit.text, unit.key)


def _collect(table, outcomes, function, version, total, left, progress):
    """Store each outcome as it comes; raise in the end if any unit has no rows."""
    start = table.begin(function, version)
    done, failures = total - left, []
    with (
        closing(outcomes),
        tqdm(total=total, initial=done, unit="unit", disable=not progress, smoothing=0) as bar,
    ):
        try:
            for unit, outcome in outcomes:
                if "rows" in outcome:
                    cpu = outcome["cpu_seconds"]
                    table.put(function, version, unit, outcome["rows"], cpu_seconds=cpu, start=start)
                    done += 1
                else:
                    failures.append(Failure(unit, outcome["error"], outcome["traceback"]))
                    table.fail(function, version, failures[-1], start=start)
                    bar.set_postfix_str(f"{len(failures)} failed")
                bar.update()
        except KeyboardInterrupt:
            message = f"stopped: {_progress(done, total, table)}; start it again to go on"
            raise Interrupted(message) from None
    if failures:
        raise SweepError(_report(failures, done, total, table), failures)
    if done < total:
        raise Unfinished(f"time is over: {_progress(done, total, table)}; run it again to go on")


def _progress(done, total, table):
    return f"{done} of {total} units are stored in {table.path}"


def _report(failures, done, total, table):
    many = f"{len(failures)} units" if len(failures) > 1 else "1 unit"
    lines = [f"{many} failed; {_progress(done, total, table)}. The next start tries what failed again."]
    lines += [f"  {failure.unit}: {failure.error}" for failure in failures[:SHOWN]]
    if len(failures) > SHOWN:
        lines.append(f"  and {len(failures) - SHOWN} more")
    if failures[0].traceback:
        lines += ["", f"Traceback of {failures[0].unit}:", failures[0].traceback.rstrip()]
    return "\n".join(lines)
