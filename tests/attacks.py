"""Hostile and broken submissions of a small assignment, what each tries, and what must come of it.

``python tests/attacks.py FOLDER`` writes them and a few honest ones below FOLDER, grades all of them at once,
and prints what happened as a table; the tests and the instructor page are made from the same run. The
attacks by code stand in ``attacks.txt``, those by files and formats here.
"""

import json
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

SLUG = "90_toy"
POINTS = 8
SMALL = {"cpu": 0.5, "idle": 0.5, "total": 30.0, "memory": 500 * 2**20, "address_space": 1200 * 2**20}
SECRET = "hidden-inputs-of-the-toy"

SILU = '''def silu(z):
    """z sigma(z), elementwise; z stays as it is."""
    return z / (1 + np.exp(-z))'''
SLOPE = '''def slope():
    """The slope of silu as text in z."""
    return "sigma(z)*(1 + z*(1 - sigma(z)))"'''
MEANS = '''def means(values):
    """The running means of a list of numbers, as a list; ValueError if it is empty."""
    if not values:
        raise ValueError("no values")
    return [sum(values[: k + 1]) / (k + 1) for k in range(len(values))]'''
WRONG = SILU.replace("z / (1 + np.exp(-z))", "z + 0.5")
ANSWERS = {"p1": SILU, "p2": SLOPE, "p3": MEANS}
STUB = "    # Your answer here.\n    raise NotImplementedError"
TESTS = {
    "p1-test": (
        3,
        "assert silu(np.zeros(3)).shape == (3,)",
        f"""# {SECRET}
import numpy as np
from selfgated.grading.judge import close, part

z = np.random.default_rng(7).normal(0, 3, 200)
kept = z.copy()
with part(2, "values at 200 points"):
    close(silu(z.copy()), z / (1 + np.exp(-z)), rtol=1e-9, at=z)
with part(1, "the input is unchanged"):
    silu(kept)
    assert np.array_equal(z, kept), "silu changed its input\"""",
    ),
    "p2-test": (
        2,
        "assert isinstance(slope(), str)",
        """from selfgated.grading.judge import expression, part

with part(2, "the slope"):
    expression(slope, "sigma(z) + z*sigma(z)*sigma(-z)", symbols={"z": (-5, 5)}, seconds=1)""",
    ),
    "p3-test": (
        3,
        "assert means([1.0]) == [1.0]",
        """from selfgated.grading.judge import close, part, raises

with part(2, "three values"):
    close(means([4.0, 8.0, 0.0]), [4.0, 6.0, 4.0], rtol=1e-12)
with part(1, "an empty list"):
    raises(ValueError, means, [])""",
    ),
}


def _cell(name, kind, source, **flags):
    plain = {"grade": False, "solution": False, "locked": False, "task": False, "schema_version": 3}
    entry = {"cell_type": kind, "id": name, "source": source}
    entry["metadata"] = {"nbgrader": {**plain, "grade_id": name, **flags}}
    return entry | ({"execution_count": None, "outputs": []} if kind == "code" else {})


def _notebook(cells, **metadata):
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def source():
    """The source notebook of the assignment."""
    cells = [_cell("intro", "markdown", "# A toy", locked=True)]
    cells.append(_cell("setup", "code", "import numpy as np", locked=True))
    for number, answer in ANSWERS.items():
        head, _, body = answer.partition('"""\n')
        marked = f'{head}"""\n    ### BEGIN SOLUTION\n{body}\n    ### END SOLUTION'
        points, visible, hidden = TESTS[f"{number}-test"]
        cells.append(_cell(f"{number}-text", "markdown", f"Problem {number}", locked=True))
        cells.append(_cell(number, "code", marked, solution=True))
        test = f"{visible}\n### BEGIN HIDDEN TESTS\n{hidden}\n### END HIDDEN TESTS"
        cells.append(_cell(f"{number}-test", "code", test, grade=True, locked=True, points=points))
    model = "Because.\n\n**Rubric (2 points).**\n\n- 2: says why"
    cells.append(_cell("p4", "markdown", model, grade=True, solution=True, points=2))
    return _notebook(cells, selfgated={"assignment": SLUG, "minutes": 10, "imports": ["numpy"]})


def write_source(root):
    """Write the assignment as ``root/90_toy/90_toy.ipynb``."""
    path = Path(root, SLUG, f"{SLUG}.ipynb")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(source()), encoding="utf-8")


def notebook(answers=None, *, extra=None, after="setup"):
    """A submission: the right answers but for those given, and a cell of the student's own after `after`."""
    given, cells = ANSWERS | (answers or {}), []
    for cell in source()["cells"]:
        name = cell["id"]
        if name in given:
            cell["source"] = given[name]
        elif name in TESTS:
            cell["source"] = TESTS[name][1]
        elif name == "p4":
            cell["source"] = "My answer."
        cells.append(cell)
        if name == after and extra is not None:
            cells.append({"cell_type": "code", "id": "mine", "metadata": {}, "source": extra, "outputs": []})
    return _notebook(cells)


@dataclass(frozen=True)
class Attack:
    """One submission, what it tries, and what must come of it.

    Parameters
    ----------
    name, tries : str
        For the table.
    build : callable
        Called with the submission's folder, which exists and is empty.
    score : float
        Points that it must get: those of its honest answers.
    says : str
        Pattern that the verdict must contain.
    status : str
        ``graded`` or ``rejected``.
    succeeds : str
        What the attack reaches nevertheless; empty for nothing.
    """

    name: str
    tries: str
    build: object
    score: float
    says: str
    status: str = "graded"
    succeeds: str = ""


def written(text, name=f"{SLUG}.ipynb"):
    """Build a submission of one file: text, bytes, or a notebook."""
    if isinstance(text, dict):
        text = json.dumps(text)
    data = text if isinstance(text, bytes) else text.encode()
    return lambda folder: Path(folder, name).write_bytes(data)


# What an attack needs before its own code, by the word after ``uses:``.
PRELUDES = {
    "pipe": """import os, sys, threading
def request():
    frame = sys._current_frames()[threading.main_thread().ident]
    while frame and frame.f_code.co_name != "serve":
        frame = frame.f_back
    return frame and frame.f_locals
def frame_of(reply):
    body = __import__("json").dumps(reply).encode()
    return len(body).to_bytes(4, "big") + body
""",
    "calls": """import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def tried(name, *args):
    ctypes.set_errno(0)
    return getattr(libc, name)(*args), ctypes.get_errno()
""",
}


def by_code():
    """The attacks of ``attacks.txt``: lines ``key: value``, then code under ``[cell]``, ``[p1]``, ``[p2]``.

    ``[cell]`` is a cell of the student's own before the answers; ``wrong: p1`` puts a wrong answer there;
    says is a pattern of the verdict.
    """
    text = Path(__file__).with_suffix(".txt").read_text(encoding="utf-8")
    for block in re.split(r"^%% ", text, flags=re.MULTILINE)[1:]:
        head, *rest = re.split(r"^\[(cell|p1|p2)\]\n", block, flags=re.MULTILINE)
        name, *lines = head.strip("\n").splitlines()
        facts = dict(line.split(": ", 1) for line in lines)
        cells = {place: source.strip("\n") for place, source in zip(rest[::2], rest[1::2], strict=True)}
        if "uses" in facts:
            first = next(iter(cells))
            cells[first] = PRELUDES[facts["uses"]] + cells[first]
        if facts.get("wrong") == "p1":
            cells["p1"] = WRONG
        extra, succeeds = cells.pop("cell", None), facts.get("succeeds", "")
        build = written(notebook(cells, extra=extra))
        yield Attack(name, facts["tries"], build, float(facts["points"]), facts["says"], succeeds=succeeds)


def _link(folder):
    Path(folder, f"{SLUG}.ipynb").symlink_to(Path(folder).parents[1] / "honest-1" / SLUG / f"{SLUG}.ipynb")


def _linked_folder(folder):
    Path(folder).rmdir()
    Path(folder).symlink_to(Path(folder).parents[1] / "honest-1" / SLUG)


def _pipe(folder):
    os.mkfifo(Path(folder, f"{SLUG}.ipynb"))


def _two(folder):
    for name in ("final.ipynb", "final-2.ipynb"):
        written(notebook(), name)(folder)


def _without(*names):
    kept = notebook()
    kept["cells"] = [cell for cell in kept["cells"] if cell["id"] not in names]
    return written(kept)


def _edited_tests():
    kept = notebook({"p1": WRONG})
    for cell in kept["cells"]:
        if cell["id"] == "p1-test":
            cell["source"] = "assert True"
            cell["metadata"]["nbgrader"] |= {"points": 100, "locked": False}
    kept["cells"].append(_cell("p1-test", "code", "score = 100", grade=True, points=100))
    return written(kept)


def _typed():
    kept = notebook({"p1": WRONG})
    for cell in kept["cells"]:
        if cell["id"] == "p1-test":
            cell["metadata"]["nbgrader"] = {"grade_id": "p1", "solution": True}
            cell["source"] = WRONG
        if cell["id"] == "p2":
            cell["cell_type"] = "raw"
    kept["cells"].append({"cell_type": "code", "id": "p3-test", "metadata": {"nbgrader": 7}, "source": "1"})
    return written(kept)


def _many_cells():
    kept = notebook()
    kept["cells"] += [{"cell_type": "code", "metadata": {}, "source": "1", "outputs": []}] * 5000
    return written(kept)


def _doubled():
    text = json.dumps(notebook())
    return written(text[:-1] + ', "cells": []}')


BY_FILE = [
    Attack("edited tests", "replaces a test, claims 100 points for it", _edited_tests(), 6, "it is"),
    Attack("cells under false names", "gives a test the name of an answer", _typed(), 6, "was a raw cell"),
    # Names, files, formats
    Attack(
        "deleted cells",
        "lacks tests and an answer",
        _without("p1-test", "p2-test", "p3", "setup"),
        5,
        "missing",
    ),
    Attack(
        "renamed file",
        "is called otherwise",
        written(notebook(), "My Homework (final).ipynb"),
        8,
        r"was named 'My Homework \(final\).ipynb'",
    ),
    Attack(
        "a name that draws",
        "has escape codes and a line break in its file name",
        written(notebook(), "\x1b[2J\n\u202e.ipynb"),
        8,
        r"was named '\\x1b\[2J\\n\\u202e.ipynb'",
    ),
    Attack(
        "two files", "has two notebooks, neither with the right name", _two, 0, "more than one", "rejected"
    ),
    Attack("no file", "has an empty folder", lambda folder: None, 0, "there is no notebook", "rejected"),
    Attack(
        "symbolic link", "links to the notebook of another student", _link, 0, "symbolic link", "rejected"
    ),
    Attack(
        "linked folder", "links to the folder of another student", _linked_folder, 0, "symbolic", "rejected"
    ),
    Attack("pipe", "is a pipe that nobody writes to", _pipe, 0, "but a pipe", "rejected"),
    Attack("not JSON", "is a text", written("import numpy as np"), 0, "no JSON", "rejected"),
    Attack("empty file", "has no byte", written(""), 0, "empty", "rejected"),
    Attack("not UTF-8", "has bytes of another encoding", written(b'{"\xff\xfe": 1}'), 0, "UTF-8", "rejected"),
    Attack("a list", "is JSON, but no notebook", written("[1, 2]"), 0, "no notebook", "rejected"),
    Attack(
        "old format",
        "is of format 3",
        written('{"nbformat": 3, "worksheets": []}'),
        0,
        "format 3",
        "rejected",
    ),
    Attack("deep JSON", "nests 100,000 lists", written("[" * 10**5 + "]" * 10**5), 0, "too deep", "rejected"),
    Attack(
        "many lists", "holds a million lists", written("[" + "[]," * 10**6 + "[]]"), 0, "lists", "rejected"
    ),
    Attack(
        "huge number", "holds a number of a million digits", written("9" * 10**6), 0, "digits", "rejected"
    ),
    Attack("named twice", "has two lists of cells", _doubled(), 0, "twice", "rejected"),
    Attack(
        "huge notebook",
        "has 6 MB",
        written(notebook(extra="#" * 6_000_000)),
        0,
        "bytes",
        "rejected",
    ),
    Attack("5000 cells", "has 5000 cells", _many_cells(), 0, "cells", "rejected"),
    Attack(
        "half characters",
        "has half of a surrogate pair and a zero byte in a cell",
        written(notebook(extra="x = '\ud800'\ny = '\x00'")),
        POINTS,
        "null bytes",
    ),
]
ATTACKS = [*by_code(), *BY_FILE]
HONEST = {
    "honest-1": (written(notebook()), 8),
    "honest-2": (
        written(notebook({"p2": SLOPE.replace("1 - sigma(z)", "sigma(-z)")}, extra="print(np.pi)")),
        8,
    ),
    "honest-3": (written(notebook({"p1": WRONG})), 6),
    "honest-4": (written(notebook({"p3": f"def means(values):\n{STUB}"})), 5),
}


def folder_name(attack):
    """The name of the student who hands an attack in."""
    return re.sub(r"[^a-z0-9]+", "-", attack.name.lower()).strip("-")


def write(root):
    """Write the assignment and all submissions below `root`; return the students."""
    root = Path(root)
    write_source(root / "solutions")
    students = list(HONEST)
    for name, (build, _score) in HONEST.items():
        folder = root / "submitted" / name / SLUG
        folder.mkdir(parents=True)
        build(folder)
    for attack in ATTACKS:
        folder = root / "submitted" / folder_name(attack) / SLUG
        folder.mkdir(parents=True)
        attack.build(folder)
        students.append(folder_name(attack))
    return students


def assignment_of(root):
    """The assignment that `write` stored below `root`."""
    from selfgated.grading.assignment import Assignment

    return Assignment.load(SLUG, root=Path(root, "solutions"))


def grade_one(task, slot):
    """Grade one submission, with small limits."""
    from selfgated.grading.sandbox import Limits
    from selfgated.grading.single import grade

    root, student = task
    path, limits = Path(root, "submitted", student, SLUG), Limits(**SMALL)
    return grade(
        path,
        assignment_of(root),
        sandbox="bubblewrap",
        limits=limits,
        root=Path(root, "submitted"),
        slot=slot,
    )


def run(root, students, workers=2):
    """Grade the submissions of `students` at once; return the verdicts, or failures, by student."""
    from selfgated.grading import pool

    tasks = [(str(root), student) for student in students]
    return {task[1]: result for task, result in pool.run(tasks, grade_one, workers=workers)}


def text_of(verdict):
    """All that a verdict says, as one text."""
    texts = [verdict.reason, *verdict.notes]
    for test in verdict.tests:
        texts += [test.check, *(part.message for part in test.parts)]
    for cell in verdict.cells:
        texts.append(cell.message)
        for output in cell.outputs:
            texts += [output.get("text", ""), output.get("data", {}).get("text/plain", "")]
    return "\n".join(filter(None, texts))


def happened(attack, verdict):
    """One sentence on what came of an attack."""
    if attack.succeeds:
        return attack.succeeds
    if verdict.status == "rejected":
        return verdict.reason
    lost = [part.message for test in verdict.tests for part in test.parts]
    texts = [*verdict.notes, *(cell.message for cell in verdict.cells), *lost]
    shown = [output.get("text", "") for cell in verdict.cells for output in cell.outputs]
    found = next(filter(None, [*texts, *shown]), "it has no effect")
    return "; ".join(found.strip().splitlines())[:120]


def table(verdicts):
    """Rows of the table of the instructor page: name, what it tries, points, what happened."""
    rows = []
    for attack in ATTACKS:
        verdict = verdicts[folder_name(attack)]
        points = f"{verdict.score:g} of {POINTS}" if verdict.status == "graded" else verdict.status
        rows.append((attack.name, attack.tries, points, happened(attack, verdict)))
    return rows


def main():
    """Write, grade, print the table, and store the verdicts as ``FOLDER/verdicts/STUDENT.json``."""
    root = Path(sys.argv[1])
    verdicts = run(root, write(root), workers=int((sys.argv[2:] or ["2"])[0]))
    (root / "verdicts").mkdir()
    for student, verdict in verdicts.items():
        if not hasattr(verdict, "to_json"):
            raise SystemExit(f"{student}: {verdict.reason}\n{verdict.details}")
        (root / "verdicts" / f"{student}.json").write_text(verdict.to_json(), encoding="utf-8")
    for row in table(verdicts):
        sys.stdout.write(" | ".join(row) + "\n")


if __name__ == "__main__":
    main()
