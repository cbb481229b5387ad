"""Build the site into _build/html, from nothing, and fail on any warning.

Sphinx warns about a page only when it reads that page, so a second build over the same folder passes where
the first one failed. That is why the pages and the cached documents of an earlier build go first.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from assignment_pages import write_pages

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "_build"
OPTIONS = ["-W", "-n", "--keep-going"]
# Docutils and Sphinx write `place: WARNING: text`; a program that they call may write only the word.
COMPLAINT = re.compile(r"\b(WARNING|ERROR|SEVERE|CRITICAL):|[a-zA-Z]Warning:")


def build(root=ROOT, output=None):
    """Build the book in `root`. Return the status, 0 only without complaint, and all that was printed.

    The site is written to `_build/html` below `output`, or below `root`.
    """
    write_pages(root)
    output = output or root
    for leftover in ("html", ".doctrees"):
        shutil.rmtree(output / "_build" / leftover, ignore_errors=True)
    command = [
        Path(sys.executable).with_name("jupyter-book"),
        "build",
        root,
        "--path-output",
        output,
        *OPTIONS,
    ]
    # A warning must be one line, and plain, to be found below.
    environment = os.environ | {"NO_COLOR": "1", "PYTHONUTF8": "1"}
    finished = subprocess.run(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )
    if finished.returncode or complaints(finished.stdout):
        return finished.returncode or 1, finished.stdout
    return 0, finished.stdout


def complaints(output):
    """Return the lines of the build's output that complain."""
    return [line for line in output.splitlines() if COMPLAINT.search(line)]


def main():
    start = time.monotonic()
    status, output = build()
    seconds = time.monotonic() - start
    index = BUILD / "html" / "index.html"
    if status or not index.is_file():
        found = complaints(output)
        print(output)
        print(
            f"The book was NOT built: {len(found)} warnings, exit status {status}, {seconds:.1f} s",
            file=sys.stderr,
        )
        for line in found:
            print(f"  {line}", file=sys.stderr)
        return 1
    pages = sum(1 for _ in (BUILD / "html").rglob("*.html"))
    print(f"Built {pages} pages in {seconds:.1f} s without a warning: {index.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
