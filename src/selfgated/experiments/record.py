"""Record an experiment into ``results/``, and read a record again."""

import hashlib
import importlib.metadata
import json
import math
import os
import platform
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from selfgated import experiments, sweep

__all__ = ["DIGITS", "MAX_BYTES", "VERSION", "Record", "describe", "load", "record"]

VERSION = 1  # raise it when rows change for a reason that the experiment's own source does not show
DIGITS = 6
MAX_BYTES = 1_000_000
PREFERRED = ("full", "quick")
PACKAGES = ("selfgated", "torch", "numpy")
INFINITE = {math.inf: "\0infinity", -math.inf: "\0-infinity"}


@dataclass(frozen=True)
class Record:
    """A recorded experiment.

    Parameters
    ----------
    meta : dict
        command, experiment, profile, device, versions, date, units, cpu_seconds, wall_seconds; for those that
        use CIFAR-10, cifar.
    rows : tuple of dict
        One for each configuration and seed; what was not a number is None.
    """

    meta: Mapping
    rows: tuple

    def select(self, **conditions):
        """Rows with the given values, in the recorded order.

        Parameters
        ----------
        **conditions
            Name and value; a list or tuple, when the rows have a single value there, is a choice of values.

        Returns
        -------
        list of dict

        Raises
        ------
        ValueError
            If no row has them: a table must not be empty by a wrong word.
        """
        chosen = [row for row in self.rows if all(_matches(row, k, v) for k, v in conditions.items())]
        if not chosen:
            choices = {
                name: sorted({json.dumps(row[name]) for row in self.rows if name in row})
                for name in conditions
            }
            raise ValueError(f"no row of {self.meta['experiment']} has {conditions}; recorded are {choices}")
        return chosen

    def values(self, name, **conditions):
        """One column of the selected rows as an array of float64; None becomes nan.

        Parameters
        ----------
        name : str
            A number, or a list of equal length in each row.
        **conditions
            As for `select`.

        Returns
        -------
        numpy.ndarray, shape (rows, ...)

        Raises
        ------
        ValueError
            If no row matches, or a row lacks the column.
        """
        rows = self.select(**conditions)
        for row in rows:
            if name not in row:
                raise ValueError(f"a row has no column {name!r}; it has {sorted(row)}")
        return np.array([row[name] for row in rows], dtype=float)


def record(
    name,
    *,
    profile="quick",
    device="auto",
    workers=None,
    cifar=None,
    store=None,
    out=None,
    progress=True,
    max_seconds=None,
    say=None,
):
    """Run what an experiment has not run yet, and write ``results/NAME_PROFILE.json``.

    Finished units are kept in a store, so an interrupted record goes on where it stopped. The store tells
    apart rows of another source, device or data set: they are never mixed, and `say` is told how many are
    ignored.

    Parameters
    ----------
    name : str
        One of `experiments.NAMES`.
    profile : str, optional
        ``"tiny"``, ``"quick"`` or ``"full"``.
    device : str, optional
        ``"auto"``, ``"cpu"`` or ``"cuda"`` (see `train.resolve_device`).
    workers : int, optional
        Worker processes; by default one on CUDA, whose groups of networks fill the device, else two.
    cifar : str, optional
        ``"cifar10"`` or ``"folder:PATH"``; by default what SELFGATED_CIFAR names.
    store, out : str or Path, optional
        Store file, by default ``.cache/results/NAME_PROFILE.sqlite``; folder of the record, by default
        ``results/``, both in the clone that the package was installed from, or in the current folder.
    progress : bool, optional
        Whether to show a bar.
    max_seconds : float, optional
        Begin no unit after this time.
    say : callable, optional
        Takes a line of text.

    Returns
    -------
    Path
        The record.

    Raises
    ------
    ValueError
        If the name, profile or device is unknown.
    SweepError
        If units failed, time was over (`Unfinished`), or the store is not usable.
    """
    say = say or (lambda line: None)
    with _environment(experiments.CIFAR_VARIABLE, cifar):
        module = experiments.module(name)
        units = units_of(module, name, profile)
        kind, device_name = describe(device)
        uses_cifar = getattr(module, "CIFAR", False)
        source, label = experiments.cifar_source() if uses_cifar else (None, None)
        function = f"{module.__name__}:run"
        version = json.dumps([VERSION, _hash(module), device_name, source])
        path = Path(store) if store else root() / ".cache" / "results" / f"{name}_{profile}.sqlite"
        if store is None:
            path.parent.mkdir(parents=True, exist_ok=True)
        with sweep.Store(path) as table:
            ignored = table.ignored(function, version)
        if ignored:
            say(f"{name}: {ignored} stored rows are of another source, device or data set, and are not used")
        workers = workers if workers is not None else 1 if kind == "cuda" else min(2, os.cpu_count() or 1)
        rows = sweep.run(
            function,
            units,
            store=path,
            workers=workers,
            device=kind,
            progress=progress,
            version=version,
            max_seconds=max_seconds,
        )
        with sweep.Store(path) as table:
            spent = table.spent(function, version)
    command = f"python -m selfgated.experiments {name} --profile {profile} --device {kind}"
    if uses_cifar:  # a reader's own path says nothing
        command += " --cifar " + ("folder:PATH" if source.startswith("folder:") else source)
    meta = {
        "command": command,
        "experiment": name,
        "profile": profile,
        "device": device_name,
        "versions": {"python": platform.python_version()} | {p: _version(p) for p in PACKAGES},
        "date": date.today().isoformat(),
        "units": len(units),
        "cpu_seconds": spent.cpu_seconds,
        "wall_seconds": spent.wall_seconds,
    }
    if uses_cifar:
        meta["cifar"] = label
    folder = Path(out) if out else root() / "results"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{name}_{profile}.json"
    size = _write(target, meta, rows)
    if size > MAX_BYTES:
        say(f"{name}: the record has {size} bytes, above {MAX_BYTES}; record less in each row")
    return target


def load(name, profile=None, *, folder=None):
    """Read a record.

    Parameters
    ----------
    name : str
        One of `experiments.NAMES`.
    profile : str, optional
        By default the best that is there: full, else quick.
    folder : str or Path, optional
        By default ``results/`` in the current folder or the one above it (notebooks), or in the clone that
        the package was installed from.

    Returns
    -------
    Record

    Raises
    ------
    ValueError
        If the name or profile is unknown, or the file is damaged.
    FileNotFoundError
        If there is no such record; the message tells how to make it.
    """
    if name not in experiments.NAMES:
        raise ValueError(f"unknown experiment {name!r}; choose from {list(experiments.NAMES)}")
    if profile is not None:
        _check_profile(profile)
    profiles = PREFERRED if profile is None else (profile,)
    here = Path.cwd()
    folders = [Path(folder)] if folder else [p / "results" for p in (here, here.parent, root())]
    for candidate in profiles:
        for place in folders:
            path = place / f"{name}_{candidate}.json"
            if path.is_file():
                return _read(path)
    raise FileNotFoundError(
        f"no record of {name!r} ({' or '.join(profiles)}) in {', '.join(map(str, dict.fromkeys(folders)))}; "
        f"make it with: make results PROFILE={profiles[-1]} NAMES={name}"
    )


def units_of(module, name, profile):
    """Return the units of a profile, which must not be empty."""
    _check_profile(profile)
    units = list(module.units(profile))
    if not units:
        raise ValueError(f"experiment {name!r} has no units in profile {profile!r}")
    return units


def describe(device):
    """Kind and name of a device: ``("cpu", "CPU, <model>")`` or ``("cuda", "<model>")``.

    Parameters
    ----------
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda"``, with or without a number.

    Returns
    -------
    tuple of str

    Raises
    ------
    ValueError
        If the device is unknown or not there.
    """
    from selfgated.train import resolve_device

    resolved = resolve_device(device)
    if resolved.type == "cuda":
        import torch

        return "cuda", torch.cuda.get_device_name(resolved)
    return resolved.type, f"CPU, {_processor()}"


def root():
    """Return the clone that the package was installed from, else the current folder."""
    clone = Path(__file__).resolve().parents[3]
    return clone if (clone / "notebooks").is_dir() else Path.cwd()


def _check_profile(profile):
    if profile not in experiments.PROFILES:
        raise ValueError(f"unknown profile {profile!r}; choose from {list(experiments.PROFILES)}")


def _processor():
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next((name for name in names if name and name != "unknown"), platform.machine())


def _hash(module):
    """Hash of the experiment's source and of what experiments share: the files whose name begins with _."""
    path = Path(module.__file__)
    shared = sorted(file for file in Path(__file__).parent.glob("_*.py") if not file.name.startswith("__"))
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in (path, *shared))).hexdigest()[:16]


def _version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


@contextmanager
def _environment(name, value):
    """Set an environment variable, which workers inherit, for a while; None leaves it."""
    before = os.environ.get(name)
    if value is not None:
        os.environ[name] = value
    try:
        yield
    finally:
        if value is not None:
            os.environ.pop(name)
            if before is not None:
                os.environ[name] = before


def _matches(row, name, wanted):
    if name not in row:
        return False
    if isinstance(wanted, (list, tuple)) and not isinstance(row[name], list):
        return row[name] in wanted
    return row[name] == (list(wanted) if isinstance(wanted, tuple) else wanted)


def _rounded(value):
    """Copy with floats of `DIGITS` significant digits; nan becomes None."""
    if isinstance(value, float):
        if math.isfinite(value):
            return float(f"{value:.{DIGITS}g}")
        return INFINITE.get(value)
    if isinstance(value, dict):
        return {name: _rounded(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(item) for item in value]
    return value


def _dumps(value):
    text = json.dumps(_rounded(value), ensure_ascii=False)
    for number, mark in INFINITE.items():  # JSON has no infinity; its readers take 1e999 for it
        text = text.replace(json.dumps(mark), "1e999" if number > 0 else "-1e999")
    return text


def _write(path, meta, rows):
    """Write the record under another name first, so that a kill leaves the old one or the new one."""
    lines = ",\n".join(map(_dumps, rows))
    text = f'{{"meta": {json.dumps(_rounded(meta), indent=1, ensure_ascii=False)},\n"rows": [\n{lines}\n]}}\n'
    draft = path.with_name(f"{path.name}.{os.getpid()}.progress")
    try:
        with open(draft, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    return len(text.encode())


def _read(path):
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return Record(data["meta"], tuple(data["rows"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not a record, or is damaged: {error!r}") from None
