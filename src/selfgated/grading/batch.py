"""Grade many submissions in parallel; what is done is kept, and a second run goes on from there."""

import hashlib
import os
import re
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from selfgated.grading import pool, single, verdict
from selfgated.grading.assignment import Assignment
from selfgated.grading.collect import REFUSED
from selfgated.grading.course import Course, read_regular, write_json, write_whole
from selfgated.grading.names import SLUG, refusal, shown
from selfgated.grading.verdict import Verdict

__all__ = [
    "Job",
    "Result",
    "current",
    "discover",
    "fenced",
    "grade",
    "grader_version",
    "is_newer",
    "write_autograded",
]

HERE = Path(__file__).parent
# What cannot change a verdict; every other module of the package can, a new one as well.
AROUND = frozenset(
    {
        *(
            "__main__.py",
            "batch.py",
            "collect",
            "commands",
            "console.py",
            "course.py",
            "feedback",
            "gradebook",
        ),
        *("late.py", "marks.py", "mutation.py", "names.py", "pool.py", "refuse.py", "tables.py", "times.py"),
    }
)
LIMIT = 1800.0  # seconds for one submission, whatever its sandbox says: a last resort
LARGEST = 20_000_000


@dataclass(frozen=True)
class Job:
    """One submission to grade.

    Parameters
    ----------
    student, slug : str
    course : Path
        Folder of the course.
    solutions : Path
        Folder of the sources.
    sandbox : str
        ``bubblewrap`` or ``none``.
    grader : str
        Digest of the code that judges.
    """

    student: str
    slug: str
    course: Path
    solutions: Path
    sandbox: str
    grader: str


@dataclass(frozen=True)
class Result:
    """What became of a job: the verdict without its cells, and the traceback of a fault of the grader."""

    verdict: Verdict
    details: str = ""


@cache
def grader_version():
    """Digest of all code that decides about points.

    Returns
    -------
    str
        Hexadecimal.
    """
    digest = hashlib.sha256()
    for path in sorted(HERE.rglob("*.py")):
        place = path.relative_to(HERE)
        if place.parts[0] not in AROUND:
            digest.update(f"{place.as_posix()}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def discover(course, *, slugs, assignment=None, student=None):
    """Submissions in a course.

    Parameters
    ----------
    course : Course
    slugs : sequence of str
        Assignments that exist.
    assignment, student : str, optional
        These only.

    Returns
    -------
    found : list of (str, str)
        Student and assignment, sorted.
    refused : list of str
        Sentences about folders that cannot be graded; what they name is escaped.
    """
    found, refused = [], []
    folders = sorted(course.submitted.iterdir()) if course.submitted.is_dir() else []
    for folder in folders:
        if folder.name.startswith("."):
            continue
        reason = refusal(folder.name)
        if folder.is_symlink() or not folder.is_dir():
            reason = "is no folder" if not folder.is_symlink() else "is a symbolic link"
        if reason:
            refused.append(f"{shown(folder.name)} is not graded: {reason}")
            continue
        for below in sorted(folder.iterdir()):
            if below.name in slugs:
                found.append((folder.name, below.name))
            elif SLUG.fullmatch(below.name) or below.is_symlink():
                refused.append(f"{shown(folder.name)}: no assignment is called {shown(below.name)}")
    chosen = [(name, slug) for name, slug in found if assignment in (None, slug) and student in (None, name)]
    return chosen, refused


def current(job, *, source):
    """The verdict on a submission, if it is of the same file, source, grader and kind of sandbox.

    Parameters
    ----------
    job : Job
    source : str
        SHA-256 of the solutions notebook.

    Returns
    -------
    Verdict or None
        None also for an earlier fault of the grader, and for a verdict reached without a sandbox when there
        is one now.
    """
    course = Course(job.course)
    try:
        found = Verdict.load(course.verdict(job.student, job.slug))
    except (OSError, ValueError):
        return None
    known = found.status != "error" and found.source == source and found.grader == job.grader
    trusted = found.sandbox == "bubblewrap" or job.sandbox == "none"
    same = found.submission in _digests(course.submission(job.student, job.slug), job.slug)
    return found if known and trusted and same else None


def is_newer(course, student, slug):
    """Whether a submission has no verdict, or another file than the verdict is on."""
    try:
        found = Verdict.load(course.verdict(student, slug))
    except (OSError, ValueError):
        return True
    return bool(found.submission) and found.submission not in _digests(course.submission(student, slug), slug)


def _digests(folder, slug):
    """SHA-256 of what may be the submission: the notebook with its name, otherwise any, or a refusal."""
    named, note = folder / f"{slug}.ipynb", folder / REFUSED
    paths = [named] if os.path.lexists(named) else [*folder.glob("*.ipynb")] or [note]
    found = set()
    for path in paths:
        try:
            found.add(hashlib.sha256(read_regular(path, limit=LARGEST)).hexdigest())
        except (OSError, ValueError):
            continue
    return found


def grade(jobs, *, workers, work=None, limit=LIMIT):
    """Grade submissions in parallel.

    Parameters
    ----------
    jobs : list of Job
    workers : int
        Processes, each with a sandbox of its own.
    work : callable, optional
        Instead of `grade_one`, for tests.
    limit : float
        Seconds for one submission.

    Yields
    ------
    (Job, Result)
        As they are done. Verdict and autograded notebook are written already. A submission whose worker
        failed twice has a verdict of status ``error`` and no points: it is graded again next time.
    """
    for job, result in pool.run(jobs, work or grade_one, workers=workers, limit=limit):
        if isinstance(result, pool.Failure):
            reason = f"The grader failed: {result.reason}."
            fault = Verdict(job.slug, job.student, status="error", reason=reason, sandbox=job.sandbox)
            write_whole(Course(job.course).verdict(job.student, job.slug), fault.to_json())
            yield job, Result(fault, result.details)
        else:
            yield job, result


@cache
def _assignment(slug, solutions):
    return Assignment.load(slug, root=solutions)


class GraderError(RuntimeError):
    """The judge or the machine failed, not the submission."""


def grade_one(job, slot):
    """Grade one submission in this process, and write what it gave.

    Parameters
    ----------
    job : Job
    slot : int
        Number of the worker.

    Returns
    -------
    Result

    Raises
    ------
    GraderError
        If the verdict is that grading failed: the pool tries again.
    """
    course, assignment = Course(job.course), _assignment(job.slug, job.solutions)
    folder = course.submission(job.student, job.slug)
    found = _left_note(folder, job, assignment) or single.grade(
        folder, assignment, sandbox=job.sandbox, student=job.student, root=course.submitted, slot=slot
    )
    if found.status == "error":
        fault = GraderError(found.reason)
        fault.add_note("\n".join(found.notes))
        raise fault
    files = _digests(folder, job.slug)
    if not found.submission and len(files) == 1:  # it could not be read as a notebook; a second run knows it
        found = replace(found, submission=files.pop())
    found = replace(found, grader=job.grader)
    write_autograded(course, found)
    write_whole(course.verdict(job.student, job.slug), found.to_json())
    return Result(replace(found, cells=()))


def _left_note(folder, job, assignment):
    """The verdict on a submission that `collect` could not take, from the note that it left."""
    if folder.is_symlink() or any(folder.glob("*.ipynb")):
        return None
    try:
        reason = read_regular(folder / REFUSED, limit=2000).decode("utf-8").strip()
    except (OSError, ValueError):
        return None
    return Verdict(
        job.slug, job.student, source=assignment.sha256, sandbox=job.sandbox, status="rejected", reason=reason
    )


def fenced(text):
    """Text as a Markdown block that shows it as it is: between more backticks than it has in a row.

    Examples
    --------
    >>> print(fenced("<script>"))
    ```text
    <script>
    ```
    """
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}text\n{text}\n{fence}"


def write_autograded(course, found):
    """Write the notebook that nbgrader's formgrader shows, and its time.

    Parameters
    ----------
    course : Course
    found : Verdict

    Notes
    -----
    formgrader shows Markdown with all of its HTML, scripts included, in the browser of the instructor, who is
    logged in to Jupyter. So text of a student stands there as a block of code, see `fenced`.
    """
    folder = course.autograded(found.student, found.assignment)
    if found.status == "graded":
        notebook = verdict.notebook(found)
        strange = {cell.id for cell in found.cells if cell.kind in ("open", "extra")}
        for cell in notebook["cells"]:
            if cell["cell_type"] != "code" and cell["id"] in strange:
                cell["cell_type"] = "markdown"  # a raw cell would be HTML as it is
                cell["source"] = fenced(cell["source"])
    else:
        text = f"**This submission was rejected.**\n\n{fenced(found.reason)}"
        cell = {"cell_type": "markdown", "id": "rejected", "metadata": {}, "source": text}
        notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    write_json(folder / f"{found.assignment}.ipynb", notebook)
    try:
        moment = read_regular(course.submission(found.student, found.assignment) / "timestamp.txt", limit=200)
    except (OSError, ValueError):
        (folder / "timestamp.txt").unlink(missing_ok=True)
    else:
        write_whole(folder / "timestamp.txt", moment)
