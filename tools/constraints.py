"""Write constraints.txt: the version of every installed package that requirements.txt does not pin."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = "# What requirements.txt pulls in, pinned. Written by `make constraints`; do not edit.\n"
UNPINNED = {"pip", "selfgated"}


def canonical(name):
    """Name of a package in the spelling that compares equal: ``Jinja_2`` becomes ``jinja-2``."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned_names(text):
    """Canonical names of the packages that a requirements or constraints file pins."""
    lines = (line.split("#")[0].strip() for line in text.splitlines())
    return {canonical(re.split(r"[=<>!~\[; ]", line)[0]) for line in lines if line}


def constraints(freeze, requirements):
    """Text of the constraints file, from the output of ``pip freeze`` and the text of the requirements.

    Local version labels (``2.13.0+cpu``) are cut, so that any build of the same version fits.
    """
    skipped = pinned_names(requirements) | UNPINNED
    kept = []
    for line in freeze.splitlines():
        if not line or line.startswith(("#", "-e ")):
            continue
        name, separator, version = line.partition("==")
        if not separator:
            raise ValueError(f"{line!r} was not installed from a package index, so it cannot be pinned")
        if canonical(name) not in skipped:
            kept.append(f"{name}=={version.partition('+')[0]}\n")
    return HEADER + "".join(sorted(kept, key=str.lower))


def main():
    """Write the file and say how many packages it pins."""
    command = [sys.executable, "-m", "pip", "freeze", "--all", "--disable-pip-version-check"]
    freeze = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    text = constraints(freeze, (ROOT / "requirements.txt").read_text())
    (ROOT / "constraints.txt").write_text(text)
    print(f"constraints.txt pins {len(text.splitlines()) - 1} packages")


if __name__ == "__main__":
    main()
