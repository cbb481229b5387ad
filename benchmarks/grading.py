"""How long grading takes: made-up submissions, by assignment and number of processes.

Run it on a machine that does nothing else, then `python tools/course_tables.py`. The record goes to
results/grading.json.
"""

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tqdm import tqdm

from selfgated import __version__
from selfgated.grading.sandbox import find_sandbox

ROOT = Path(__file__).parents[1]
RECORD = ROOT / "results" / "grading.json"
RUNS = [(slug, count, n) for slug, count in (("02_swish", 300), ("07_torch_autograd", 40)) for n in (1, 2)]


def seconds(slug, count, workers):
    """Wall seconds of one command that grades `count` submissions, with the writing of the gradebook."""
    with tempfile.TemporaryDirectory() as folder:
        submitted, course = Path(folder, "submitted"), Path(folder, "course")
        made = [sys.executable, ROOT / "tools" / "fake_submissions.py", slug, str(count), "--to", submitted]
        subprocess.run(made, check=True, capture_output=True)
        grading = [sys.executable, "-m", "selfgated.grading", "--course", course, "grade"]
        grading += ["--submitted", submitted, "--assignment", slug, "--workers", str(workers)]
        begin = time.monotonic()
        subprocess.run(grading, check=True, capture_output=True)
        return time.monotonic() - begin


def main():
    """Time every run and store the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, metavar="N", help="submissions of each run, for a trial")
    options = parser.parse_args()
    rows = []
    for slug, count, workers in tqdm(RUNS, unit="run"):
        count = options.count or count
        wall = round(seconds(slug, count, workers), 1)
        rows.append({"assignment": slug, "submissions": count, "processes": workers, "seconds": wall})
    record = {
        "command": " ".join(["python", "benchmarks/grading.py", *sys.argv[1:]]),
        "date": datetime.date.today().isoformat(),
        "device": f"{os.cpu_count()} cores, {platform.machine()}",
        "sandbox": find_sandbox(),
        "versions": {"python": platform.python_version(), "selfgated": __version__},
        "rows": rows,
    }
    RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(f"{RECORD.relative_to(ROOT)}: {len(rows)} rows\n")


if __name__ == "__main__":
    main()
