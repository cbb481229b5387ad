"""The ``selfgated`` command: look up an activation, check an installation."""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from selfgated import __version__, catalog

__all__ = ["main"]

DIGITS = 12
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
DEVICES = ("auto", "cpu", "cuda")


def _finite_text(value):
    return "oo" if value == float("inf") else "-oo" if value == -float("inf") else f"{value:.{DIGITS}g}"


def _act(args):
    """Return what the library knows about one activation, as plain data."""
    record = catalog.get(args.name)
    given = {} if args.beta is None else {"beta": args.beta}
    params = record.parameters(given)

    # SymPy and SciPy load only once the name is known to be good.
    from mpmath import nstr
    from sympy import Rational

    from selfgated import moments, symbolic

    gains = moments.gains(record.name, **params)  # also checks the value of the parameter
    given = {
        key: Rational(repr(value)) for key, value in given.items()
    }  # 1.702 as the decimal that was typed
    limits = symbolic.limits(record.name, **params)
    gate = symbolic.gate(record.name, **given)
    return {
        "name": record.name,
        "title": record.title,
        "aliases": list(record.aliases),
        "parameters": params,
        "definition": str(symbolic.definition(record.name, **given)),
        "gate": None if gate is None else str(gate),
        "slope": str(symbolic.derivative(record.name, 1, **given)),
        "limits": {
            key: _finite_text(float(getattr(limits, key)))
            for key in ("f_left", "f_right", "grad_left", "grad_right")
        },
        "extrema": {
            symbol: [
                {
                    "kind": found.kind,
                    "where": nstr(found.where_digits, DIGITS),
                    "value": nstr(found.value_digits, DIGITS),
                    "where_exact": None if found.where is None else str(found.where),
                    "value_exact": None if found.value is None else str(found.value),
                }
                for found in symbolic.extrema(record.name, order, DIGITS + 3, **given)
            ]
            for order, symbol in enumerate(("f", "f'"))
        },
        "gains": {"forward": gains.forward, "backward": gains.backward},
        "smoothness": record.smoothness,
        "kinks": [kink._asdict() for kink in record.kinks],
        "source": None if record.source is None else record.source._asdict(),
    }


def _act_lines(info):
    limits = info["limits"]
    yield info["title"] + "".join(f", {key} = {value:g}" for key, value in info["parameters"].items())
    yield f"  f(z)       {info['definition']}"
    if info["gate"] is not None:
        yield f"  gate       {info['gate']}"
    yield f"  f'(z)      {info['slope']}"
    yield f"  z -> -oo   f -> {limits['f_left']}, f' -> {limits['grad_left']}"
    yield f"  z -> +oo   f -> {limits['f_right']}, f' -> {limits['grad_right']}"
    for symbol, extrema in info["extrema"].items():
        for found in extrema:
            exact = [
                f"{key} = {found[key + '_exact']}" for key in ("where", "value") if found[key + "_exact"]
            ]
            yield f"  {symbol + ' ' + found['kind']:<10} {found['value']} at z = {found['where']}" + (
                f"   ({', '.join(exact)})" if exact else ""
            )
        if not extrema:
            yield f"  {symbol:<10} no interior extremum"
    if any(re.search(r"\bu\b", found["where_exact"] or "") for found in info["extrema"]["f'"]):
        yield "             (u is the positive solution of u = coth u)"
    forward, backward = (f"{info['gains'][key]:.{DIGITS}g}" for key in ("forward", "backward"))
    yield f"  gains      forward {forward}, backward {backward}   (z ~ N(0, 1))"
    yield f"  smoothness {info['smoothness']}"
    for kink in info["kinks"]:
        yield f"  kink       at z = {kink['where']:g} the library returns f' = {kink['slope']:g}, f'' = 0"
    if info["aliases"]:
        yield f"  also       {', '.join(info['aliases'])}"
    if info["source"] is not None:
        yield f"  source     {info['source']['citation']} [{info['source']['key']}]"


def _run_act(args):
    info = _act(args)
    print(json.dumps(info, indent=2) if args.json else "\n".join(_act_lines(info)))
    return 0


def _requirements():
    """Return ({package: pin or None}, names of those that must be there).

    In a clone these are the lines of requirements.txt; elsewhere what the installed package declares.
    """
    declared = metadata.requires("selfgated") or []
    name = re.compile(r"[A-Za-z0-9._-]+")
    required = {name.match(line).group() for line in declared if "extra ==" not in line}
    listing = Path(__file__).resolve().parents[2] / "requirements.txt"
    if not listing.is_file():
        return {name.match(line).group(): None for line in declared}, required
    lines = (line.split("#")[0].strip() for line in listing.read_text(encoding="utf-8").splitlines())
    pins = {name.match(line).group(): line.partition("==")[2] or None for line in lines if name.match(line)}
    return pins, required


def _version(package):
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _device():
    """Return (text, whether the device that was asked for is there)."""
    wanted = os.environ.get("SELFGATED_DEVICE", "auto")
    try:
        import torch
    except ImportError:
        return "cpu (torch is not installed: kernels, moments and symbolic work without it)", wanted in (
            "auto",
            "cpu",
        )
    has_cuda = torch.cuda.is_available()
    name = f"cuda ({torch.cuda.get_device_name()})" if has_cuda else "cpu (no CUDA device)"
    text = "cpu (as SELFGATED_DEVICE asks)" if wanted == "cpu" else name
    return text, wanted in DEVICES and (has_cuda or wanted != "cuda")


def _cache():
    """Return (folder, state). Nothing is created."""
    folder = os.environ.get("SELFGATED_CACHE")
    try:
        folder = Path(folder).expanduser() if folder else Path.home() / ".cache" / "selfgated"
        nearest = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    except (OSError, RuntimeError) as error:
        return folder, f"not usable: {error}"
    writable = nearest.is_dir() and os.access(nearest, os.W_OK)
    state = "exists" if folder.exists() else "not there yet"
    return folder, f"{state}, {'writable' if writable else 'not writable'}"


def _chromium():
    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if path is None:
        return "not found; the browser tests need it: apt-get install chromium"
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{path} does not start: {error}"
    return f"{path} ({done.stdout.strip() or f'exit code {done.returncode}'})"


def _run_doctor(args):
    """Print the state of this installation; return 1 if something required is missing."""
    pins, required = _requirements()
    problems, rows = [], []
    for package in sorted(set(pins) | required, key=str.lower):
        found, pin = _version(package), pins.get(package)
        note = f" (requirements.txt pins {pin})" if found and pin and found.split("+")[0] != pin else ""
        if found is None and package in required:
            problems.append(f"{package} is required and missing")
        rows.append((package, f"{found}{note}" if found else "not installed"))
    device, device_there = _device()
    wanted = os.environ.get("SELFGATED_DEVICE")
    if not device_there:
        problems.append(f"SELFGATED_DEVICE={wanted!r} is not available; choose from {list(DEVICES)}")
    folder, state = _cache()
    facts = [
        ("python", sys.version.split()[0]),
        ("selfgated", __version__),
        *rows,
        ("device", device),
        ("SELFGATED_DEVICE", wanted or "not set (auto)"),
        ("cache", f"{folder} ({state})"),
        ("chromium", _chromium()),
        ("cpus", str(os.cpu_count())),
    ]
    width = max(len(key) for key, _ in facts)
    print("\n".join(f"{key:<{width}}  {value}" for key, value in facts))
    for problem in problems:
        print(f"selfgated: {problem}", file=sys.stderr)
    return int(bool(problems))


def _parser():
    parser = argparse.ArgumentParser(prog="selfgated", description="Smooth activation functions.")
    parser.add_argument("--version", action="version", version=f"selfgated {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    act = commands.add_parser("act", help="definition, slope, limits, extrema and gains of one activation")
    act.add_argument("name", metavar="NAME", help="a name or alias, such as gelu or swish-1")
    act.add_argument("--beta", type=float, help="parameter of swish, any finite number (default 1)")
    act.add_argument("--json", action="store_true", help="print JSON")
    act.set_defaults(run=_run_act)
    doctor = commands.add_parser("doctor", help="versions, device, cache and browser of this installation")
    doctor.set_defaults(run=_run_doctor)
    return parser


def main(argv=None):
    """Run the command.

    Parameters
    ----------
    argv : list of str, optional
        Arguments without the program's name; by default those of the process.

    Returns
    -------
    int
        Exit code: 0; 1 if `doctor` misses something; 2 for bad input, with one line on stderr.
    """
    args = _parser().parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a name such as Müller in an ASCII terminal
    try:
        code = args.run(args)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, head for instance, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, TypeError, ArithmeticError) as error:
        print(f"selfgated: {error}", file=sys.stderr)
        return 2
    return code
