"""Run every notebook and compare it with its stored outputs (nbval, strict); print the time of each.

The exercises have no outputs to compare: their cells must run, or raise where they are tagged so. That the
tags are right is tested in tests/test_exercises.py, since nbval accepts a tagged cell that does not raise.
"""

import argparse
import os
import sys
import tempfile
from collections import Counter

import pytest

from notebooks import CELL_TIMEOUT, ENVIRONMENT, ROOT, SOURCES, chosen_notebooks

FOLDERS = (*SOURCES, "exercises")
NBVAL = [
    "--nbval",
    "--nbval-current-env",
    f"--nbval-sanitize-with={ROOT / 'tests' / 'sanitize.cfg'}",
    f"--nbval-cell-timeout={CELL_TIMEOUT}",
    f"--rootdir={ROOT}",
    "-p",
    "kernel_start",
]
TWO_AT_A_TIME = ["-n", "2", "--dist", "loadfile"]


class Times:
    """Pytest plugin that adds up the seconds of each notebook: kernel start, cells, comparison."""

    def __init__(self):
        self.seconds = Counter()

    def pytest_runtest_logreport(self, report):
        """Add one phase of one cell."""
        self.seconds[report.nodeid.split("::")[0]] += report.duration


def table(seconds):
    """Lines of the table of times, slowest first."""
    return [f"{taken:7.1f} s  {name}" for name, taken in seconds.most_common()]


def find_faults(names, seconds, limit=None):
    """Notebooks that nbval did not run, or that took longer than ``limit`` seconds."""
    faults = [f"{name} was not run" for name in names if name not in seconds]
    if limit is not None:
        faults += [
            f"{name} took {seconds[name]:.1f} s, above {limit:g} s" for name in names if seconds[name] > limit
        ]
    return faults


def main():
    """Check the named notebooks, or all; exit 1 at a difference, or at one not run or too slow."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", metavar="NOTEBOOK", help="all when none is named")
    parser.add_argument("--limit", type=float, metavar="SECONDS", help="most that one notebook may take")
    options = parser.parse_args()
    paths = chosen_notebooks(options.notebooks, FOLDERS)
    names = [path.relative_to(ROOT).as_posix() for path in paths]
    if not names:
        print("no notebooks yet")
        return
    os.chdir(ROOT)
    times = Times()
    with tempfile.TemporaryDirectory() as profile:
        os.environ.update(ENVIRONMENT, IPYTHONDIR=profile)
        status = pytest.main([*NBVAL, *TWO_AT_A_TIME, *names], plugins=[times])
    faults = find_faults(names, times.seconds, options.limit)
    print("\n".join(["time of each notebook:", *table(times.seconds), *faults]))
    sys.exit(int(status) or bool(faults))


if __name__ == "__main__":
    main()
