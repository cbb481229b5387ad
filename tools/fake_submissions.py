"""Make up submissions: ``python tools/fake_submissions.py 02_swish 50 --to DIR [--hostile]``.

Answers come from the reference, the variants in tests/course and untouched stubs, so the points that each
honest submission deserves are known: ``--expect`` writes them to a table. Hostile submissions are only
written here; run them in the sandbox of `make grade` alone.
"""

import argparse
import csv
import json
import random
import sys
import zipfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from selfgated.grading.assignment import Assignment, AssignmentError
from selfgated.grading.mutation import run, variants

FIRST = (
    *("ada", "alan", "amina", "barbara", "bao", "carl", "chen", "dana", "emmy", "fatima", "felix", "grace"),
    *("hana", "henri", "ida", "igor", "ines", "joan", "kofi", "lea", "li", "maria", "mina", "nadia", "noor"),
    *(
        "omar",
        "paula",
        "pierre",
        "quinn",
        "rosa",
        "sami",
        "sofia",
        "tariq",
        "uma",
        "vera",
        "wei",
        "xin",
        "zoe",
    ),
)
LAST = (
    *("abel", "bell", "curie", "darwin", "euler", "fermat", "gauss", "hopper", "ito", "jones", "kepler"),
    *("lovelace", "meitner", "noether", "okafor", "pascal", "quine", "riemann", "silva", "turing", "weber"),
)
THOUGHTS = (
    "The slope is bounded, so a gradient that passes many layers neither explodes at once nor dies at once.",
    "Below zero the function still lets a little through. A unit that is negative can therefore recover.",
    "Because beta scales the input, a large beta makes it a ReLU and a small one makes it a line.",
    "=SUM(A1:A9) I am not sure, but I think it has to do with saturation.",
)
HOSTILE = {
    "endless_loop": "while True:\n    pass\n",
    "ten_gigabytes": "data = bytearray(10 * 2**30)\n",
    "endless_print": "while True:\n    print('x' * 10_000)\n",
    "exits": "import os\nos._exit(0)\n",
    "sleeps": "import time\ntime.sleep(10**6)\n",
    "many_processes": "import subprocess\nfor _ in range(200):\n    subprocess.Popen(['sleep', '60'])\n",
    "patches_numpy": "import numpy as np\nnp.allclose = lambda *a: True\nnp.testing.assert_equal = print\n",
    "patches_builtins": "import builtins\nbuiltins.abs = lambda x: 0\nbuiltins.AssertionError = ValueError\n",
    "reads_files": "import pathlib\nfor f in pathlib.Path('/').rglob('*.ipynb'):\n    print(f.read_text())\n",
    "opens_socket": "import socket\nsocket.create_connection(('192.0.2.1', 80), timeout=5)\n",
    "escapes_terminal": "print('\\x1b[2J\\x1b[31mgraded: 24 of 24\\x1b[0m')\n",
}


@dataclass
class Submission:
    """One made-up submission.

    Attributes
    ----------
    student, slug : str
    moment : datetime
        When it was handed in.
    data : bytes
        The file.
    replaced : dict or None
        Source of every answer cell that is not the reference; None for a hostile submission.
    kind : str
        What it is, for the table.
    """

    student: str
    slug: str
    moment: datetime
    data: bytes
    replaced: dict | None = field(default_factory=dict)
    kind: str = "honest"


def students(count, rng):
    """Names, all different."""
    names = [f"{first}.{last}" for first in FIRST for last in LAST]
    if count > len(names):
        raise SystemExit(f"{count} submissions are too many; there are names for {len(names)}")
    return rng.sample(names, count)


def without_marks(source):
    """A reference answer as a student would write it: without the marks of the solution."""
    return "\n".join(line for line in source.split("\n") if "### BEGIN" not in line and "### END" not in line)


def notebook(assignment, answers, thoughts):
    """The released notebook with these answers, as a dict; an answer that is missing stays a stub."""
    filled = assignment.release()
    for raw, cell in zip(filled["cells"], assignment.cells, strict=True):
        if cell.id in answers:
            raw["source"] = answers[cell.id]
        elif cell.kind == "open" and thoughts is not None:
            raw["source"] = thoughts
    return filled


def honest(assignment, choices, rng):
    """A notebook, and what in it differs from the reference."""
    kind = rng.random()
    replaced = {}
    for name, stub in assignment.stubs.items():
        others = [variant for variant in choices if variant.cell == name]
        if kind < 0.04 or (kind < 0.3 and rng.random() < 0.3):
            replaced[name] = stub
        elif others and rng.random() < 0.35:
            replaced[name] = rng.choice(others).code
    answers = {name: without_marks(source) for name, source in assignment.answers.items()} | replaced
    thoughts = None if kind < 0.04 or rng.random() < 0.15 else rng.choice(THOUGHTS)
    return notebook(assignment, answers, thoughts), replaced


def hostile(assignment, kind):
    """A notebook whose first answer attacks, and whose others are the reference."""
    answers = {name: without_marks(source) for name, source in assignment.answers.items()}
    first = next(iter(answers))
    answers[first] = HOSTILE[kind] + answers[first]
    return notebook(assignment, answers, None)


def broken(assignment, kind, rng):
    """Bytes that are no notebook of this assignment."""
    whole, _ = honest(assignment, [], rng)
    if kind == "cut_off":
        return json.dumps(whole).encode()[:2000]
    if kind == "empty":
        return b""
    if kind == "not_json":
        return b"%PDF-1.7 swish.pdf"
    if kind == "no_answers":
        whole["cells"] = [cell for cell in whole["cells"] if cell["id"] not in assignment.answers]
    if kind == "edited_tests":
        for cell in whole["cells"]:
            if cell["metadata"].get("nbgrader", {}).get("grade"):
                cell["source"] = "print('all tests passed')"
    return json.dumps(whole).encode()


BROKEN = ("cut_off", "empty", "not_json", "no_answers", "edited_tests")


def make(slug, count, *, seed=0, due=None, with_hostile=False):
    """Make up submissions.

    Parameters
    ----------
    slug : str
    count : int
        Honest ones.
    seed : int
    due : datetime, optional
        Aware; nine in ten are handed in before. Default: a day of 2027.
    with_hostile : bool
        Whether to add one of each hostile and broken kind.

    Returns
    -------
    list of Submission
    """
    rng = random.Random(f"{slug} {seed}")
    assignment, choices = Assignment.load(slug), variants(slug)
    due = due or datetime(2027, 3, 1, 22, 59, tzinfo=UTC)
    extra = [*HOSTILE, *BROKEN] if with_hostile else []
    made = []
    for student in students(count, rng):
        filled, replaced = honest(assignment, choices, rng)
        hours = -abs(rng.gauss(0, 40)) if rng.random() < 0.9 else rng.expovariate(1 / 30)
        moment = (due + timedelta(hours=hours)).replace(microsecond=0)
        made.append(Submission(student, slug, moment, json.dumps(filled, indent=1).encode(), replaced))
    for kind in extra:
        data = (
            json.dumps(hostile(assignment, kind)).encode()
            if kind in HOSTILE
            else broken(assignment, kind, rng)
        )
        made.append(Submission(f"x.{kind}", slug, due - timedelta(hours=1), data, None, kind))
    return made


def write_folder(made, folder):
    """Write submissions in nbgrader's layout: STUDENT/NN_slug/NN_slug.ipynb and timestamp.txt."""
    for item in made:
        place = folder / item.student / item.slug
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{item.slug}.ipynb").write_bytes(item.data)
        (place / "timestamp.txt").write_text(f"{item.moment:%Y-%m-%d %H:%M:%S} UTC\n", encoding="ascii")


def write_moodle(made, path):
    """Write submissions as the zip that Moodle gives, times of this machine's zone in its entries."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, item in enumerate(made, start=41001):
            name = item.student.replace(".", " ").title()
            info = zipfile.ZipInfo(
                f"{name}_{number}_assignsubmission_file_/{item.slug}.ipynb",
                item.moment.astimezone().timetuple()[:6],
            )
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, item.data)


def write_expected(made, path):
    """Write the points that honest submissions deserve, found in this process without a sandbox."""
    known = {}
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["student", "assignment", "cell", "points"])
        for item in made:
            if item.replaced is None:
                continue
            key = json.dumps(item.replaced, sort_keys=True)
            if key not in known:
                known[key] = run(Assignment.load(item.slug), item.replaced)
            for cell, score in known[key].items():
                table.writerow([item.student, item.slug, cell, score.earned])


def main(arguments=None):
    """Write them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0].split(":")[0])
    parser.add_argument("assignment", metavar="NN_slug")
    parser.add_argument("count", type=int, help="honest submissions")
    parser.add_argument("--to", type=Path, required=True, help="a folder; with --zip the zip")
    parser.add_argument("--zip", action="store_true", help="write a zip as Moodle gives it")
    parser.add_argument("--hostile", action="store_true", help="add one of each hostile and broken kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--due", help="ISO time with offset; nine in ten are handed in before")
    parser.add_argument("--expect", type=Path, help="write the points that honest submissions deserve")
    options = parser.parse_args(arguments)
    due = datetime.fromisoformat(options.due).astimezone(UTC) if options.due else None
    try:
        made = make(
            options.assignment, options.count, seed=options.seed, due=due, with_hostile=options.hostile
        )
    except AssignmentError as error:
        sys.exit(str(error))
    (write_moodle if options.zip else write_folder)(made, options.to)
    if options.expect:
        write_expected(made, options.expect)
    print(f"{options.to}: {len(made)} submissions of {options.assignment}")


if __name__ == "__main__":
    main()
