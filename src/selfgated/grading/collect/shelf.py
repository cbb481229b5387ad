"""Putting a submission into the course: whole, and what stood there is kept."""

import hashlib
import json
import shutil
import tempfile
from pathlib import Path

from selfgated.grading.collect.sources import LARGEST
from selfgated.grading.course import CourseError, format_timestamp, read_regular, write_whole
from selfgated.grading.names import shown, twin_key

__all__ = ["ORIGIN", "REFUSED", "keep", "leave_note", "stranger", "take"]

REFUSED = "refused.txt"
ORIGIN = "origin.json"


def stranger(claim, course):
    """Say why a submission cannot be this student's: the name belongs to somebody else; empty if it can."""
    key = twin_key(claim.student)
    if course.submitted.is_dir():
        for folder in course.submitted.iterdir():
            if twin_key(folder.name) == key and folder.name != claim.student and _same(folder, claim, course):
                return f"the course spells this name {shown(folder.name)}"
    origin = _origin(course.submission(claim.student, claim.slug))
    number = origin.get("number", "")
    if claim.number and number and number != claim.number:
        return f"{shown(claim.student)} has handed in as number {number}, not {claim.number}; use --pattern"
    return ""


def _same(folder, claim, course):
    """Whether a file system that ignores case takes the two names for one folder."""
    twin = course.submitted / claim.student
    return twin.exists() and twin.samefile(folder)


def _origin(folder):
    try:
        return json.loads(read_regular(folder / ORIGIN, limit=10_000))
    except (OSError, ValueError):
        return {}


def take(claim, data, moment, *, course, place):
    """Make a notebook the submission of its student.

    Parameters
    ----------
    claim : Claim
    data : bytes
    moment : datetime or None
        When it was handed in.
    course : Course
    place : str
        Where it came from.

    Returns
    -------
    (str, str)
        Action and reason, as in `Outcome`.
    """
    folder = course.submission(claim.student, claim.slug)
    try:
        old = read_regular(folder / f"{claim.slug}.ipynb", limit=LARGEST)
        before = course.timestamp(claim.student, claim.slug)
    except FileNotFoundError:
        old = before = None
    except (
        CourseError,
        ValueError,
    ):  # it was put there by hand, and is no submission: the new one replaces it
        old, before = b"", None
    if old == data:
        return "unchanged", "handed in already"
    if old is not None and moment and before and moment < before:
        keep(claim, data, moment, course=course)
        return "kept aside", f"older than the one of {before:%Y-%m-%d %H:%M} UTC"
    origin = {"place": place, "number": claim.number, "sha256": hashlib.sha256(data).hexdigest()}
    contents = {f"{claim.slug}.ipynb": data, ORIGIN: json.dumps(origin).encode("ascii")}
    _replace(course, claim, contents, moment)
    return "taken", "a second submission; the earlier one is kept" if old is not None else ""


def leave_note(claim, reason, moment, *, course, place):
    """Leave a note instead of a notebook, so that the student is not taken for one who handed nothing in.

    Parameters and result as in `take`; `reason` says why there is no notebook.
    """
    if course.submission(claim.student, claim.slug).exists():
        return "refused", f"{reason}; the earlier submission stands"
    note = f"The file {shown(place)} {reason}.\n".encode("utf-8", "backslashreplace")
    _replace(course, claim, {REFUSED: note}, moment)
    return "refused", reason


def _replace(course, claim, contents, moment):
    """Put a submission in its place whole; what stood there moves to ``earlier/`` with its verdict."""
    if moment:
        contents["timestamp.txt"] = format_timestamp(moment).encode()
    folder = course.submission(claim.student, claim.slug)
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=course.submitted))
    try:
        for name, data in contents.items():
            (draft / name).write_bytes(data)
        draft.chmod(0o755)
        if folder.exists() or folder.is_symlink():
            _move_aside(course, claim, folder)
        draft.rename(folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def _move_aside(course, claim, folder):
    try:
        moment = course.timestamp(claim.student, claim.slug)
    except CourseError:
        moment = None
    aside = _free(course.earlier(claim.student, claim.slug), moment)
    aside.parent.mkdir(parents=True, exist_ok=True)
    folder.rename(aside)
    verdict = course.verdict(claim.student, claim.slug)
    if verdict.is_file() and aside.is_dir() and not aside.is_symlink():
        shutil.copyfile(verdict, aside / "verdict.json")


def keep(claim, data, moment, *, course):
    """Keep a submission that is not the one to grade; parameters as in `take`."""
    name = f"{claim.slug}.ipynb"
    folder = course.earlier(claim.student, claim.slug)
    if any(old.read_bytes() == data for old in folder.glob(f"*/{name}")):
        return
    aside = _free(folder, moment)
    write_whole(aside / name, data)
    if moment:
        write_whole(aside / "timestamp.txt", format_timestamp(moment))


def _free(folder, moment):
    stem = moment.strftime("%Y%m%d-%H%M%S") if moment else "undated"
    names = [stem, *(f"{stem}-{number}" for number in range(2, 1000))]
    return next(folder / name for name in names if not (folder / name).exists())
