"""Which installed packages the student's process may see: what an assignment names, and what these need."""

import importlib.metadata as metadata
import re
import sys
from functools import cache
from pathlib import Path

from packaging.requirements import Requirement

ALWAYS = ("ipython", "matplotlib")
# Import names that differ from the name of the distribution.
DISTRIBUTIONS = {"sklearn": "scikit-learn", "PIL": "pillow", "mpl_toolkits": "matplotlib"}
# Answers lie ready in them. torch needs them for parts of autograd: they come with it, but not for answers.
IMPLIED = ("sympy", "mpmath", "networkx")
LEFT_OUT = ("_distutils_hack", "isympy.py", "setuptools", "pkg_resources")


def distributions(imports):
    """Return the distributions that `imports` and IPython need, by normalised name.

    Raises
    ------
    ValueError
        If an assignment allows a package that is not installed.
    """
    found, todo = {}, list(ALWAYS)
    for name in imports:
        todo.append(DISTRIBUTIONS.get(name, name))
        if _installed(todo[-1]) is None:
            raise ValueError(f"the assignment allows {name!r}, which is not installed")
    while todo:
        name = re.sub(r"[-_.]+", "-", todo.pop()).lower()
        if name in found or (distribution := _installed(name)) is None:
            continue
        found[name] = distribution
        requirements = map(Requirement, distribution.requires or ())
        todo += [
            need.name for need in requirements if need.marker is None or need.marker.evaluate({"extra": ""})
        ]
    return found


def _installed(name):
    try:
        return metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None


@cache
def visible(imports):
    """Return the files and folders that the student's process may import from.

    Parameters
    ----------
    imports : tuple of str
        Packages that the assignment names.

    Returns
    -------
    (dict of str to Path, tuple of str)
        Top-level entries of `site-packages` with their places; names among them that answers may not import.
    """
    entries = {}
    for distribution in distributions(imports).values():
        for top in _tops(distribution):
            place = Path(distribution.locate_file(top))
            if top not in ("..", "__pycache__", *LEFT_OUT) and not top.endswith(".pth") and place.exists():
                entries[top] = place.resolve()
    hidden = tuple(name for name in IMPLIED if name in entries and name not in imports)
    return entries, hidden


def _tops(distribution):
    """Return the names that a distribution puts into `site-packages`."""
    record = distribution.read_text("RECORD")
    if record is None:
        return {file.parts[0] for file in distribution.files or ()}
    return {line.strip('"').partition("/")[0].partition(",")[0] for line in record.splitlines()}


def interpreter():
    """Return the executable of the base interpreter, its standard library and its shared libraries."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    executable = Path(getattr(sys, "_base_executable", None) or sys.executable).resolve()
    library = Path(sys.base_prefix, sys.platlibdir, version)
    if not (library / "os.py").is_file():
        library = Path(sys.base_prefix, "lib", version)
    shared = sorted(Path(sys.base_prefix, "lib").glob("libpython*.so*")) if sys.base_prefix != "/usr" else []
    return executable, library, shared
