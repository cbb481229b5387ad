"""``selfgated doctor``: versions, device, cache and browser of this installation."""

import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from selfgated import __version__

__all__ = ["add"]

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
DEVICES = ("auto", "cpu", "cuda")


def _requirements():
    """Return ({package: pin or None}, names of those that must be there).

    In a clone these are the lines of requirements.txt; elsewhere what the installed package declares.
    """
    declared = metadata.requires("selfgated") or []
    name = re.compile(r"[A-Za-z0-9._-]+")
    required = {name.match(line).group() for line in declared if "extra ==" not in line}
    listing = Path(__file__).resolve().parents[3] / "requirements.txt"
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
        from selfgated.data import cache_folder

        folder = cache_folder()
        nearest = next(parent for parent in (folder, *folder.parents) if parent.exists())
    except (ImportError, OSError, RuntimeError) as error:
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


def add(commands):
    """Add ``doctor`` to the subparsers `commands`."""
    parser = commands.add_parser("doctor", help="versions, device, cache and browser of this installation")
    parser.set_defaults(run=_run_doctor)
