"""Who handed in what, read from the path of a file: layouts of nbgrader, Moodle, Canvas, or a pattern."""

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime

from selfgated.grading.course import CourseError
from selfgated.grading.names import SLUG, refusal
from selfgated.grading.times import parse_moment

__all__ = ["LAYOUTS", "Claim", "compile_pattern", "read_claim"]

LAYOUTS = {
    "nbgrader": re.compile(
        r"(?:[^/]+/)?(?P<student>[^/]+)/(?P<assignment>\d\d_[a-z0-9_]+)/(?P<file>[^/]+\.ipynb)", re.DOTALL
    ),
    "Moodle": re.compile(
        r"(?:[^/]+/)?(?P<name>[^/]+)_(?P<number>\d+)_assignsubmission_file_?/?(?:[^/]+/)*"
        r"(?P<file>[^/]+\.ipynb)",
        re.DOTALL,
    ),
    "Canvas": re.compile(
        r"(?:[^/]+/)?(?P<name>[^/_]+)(?:_LATE)?_(?P<number>\d+)_\d+_(?P<file>[^/]+\.ipynb)", re.DOTALL
    ),
    "flat": re.compile(r"(?:[^/]+/)?(?P<file>(?P<student>[^/]+)\.ipynb)", re.DOTALL),
}
GROUPS = ("student", "name", "number", "assignment", "file", "timestamp")


@dataclass(frozen=True)
class Claim:
    """What the path of a file says.

    Parameters
    ----------
    student : str
        Name of the student's folder here.
    slug : str
        The assignment.
    file : str
        Name of the file.
    number : str
        What tells two students of one name apart, if the layout has it.
    moment : datetime or None
        Time in the path.
    layout : str
        Which layout it fits.
    """

    student: str
    slug: str
    file: str
    number: str = ""
    moment: datetime | None = None
    layout: str = ""


def compile_pattern(text):
    """Compile the instructor's own pattern, a regular expression for the path of a file within the source.

    Raises
    ------
    CourseError
        If it is no regular expression, or has other named groups than ``student`` or ``name`` (one of them
        must be there), ``number``, ``assignment``, ``file`` and ``timestamp``.
    """
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise CourseError(f"--pattern {text!r} is no regular expression: {error}") from None
    unknown = set(pattern.groupindex) - set(GROUPS)
    if unknown or not {"student", "name"} & set(pattern.groupindex):
        raise CourseError(
            f"--pattern {text!r} needs the group (?P<student>...) or (?P<name>...); "
            f"it may have {', '.join(GROUPS[2:])}"
        )
    return pattern


def read_claim(place, *, slugs, assignment=None, pattern=None):
    """Read who handed in what from the path of a notebook.

    Parameters
    ----------
    place : str
        Path within the source.
    slugs : sequence of str
        Assignments that exist.
    assignment : str, optional
        The assignment that is collected: a file whose name says none belongs to it.
    pattern : re.Pattern, optional
        Instead of the known layouts.

    Returns
    -------
    Claim

    Raises
    ------
    ValueError
        With the reason, as the end of a sentence that begins with the file.
    """
    layouts = {"--pattern": pattern} if pattern else LAYOUTS
    found = ((layout, expression.fullmatch(place)) for layout, expression in layouts.items())
    layout, match = next((pair for pair in found if pair[1]), (None, None))
    if match is None:
        raise ValueError(f"fits {'--pattern' if pattern else 'no layout of ' + ', '.join(LAYOUTS)}")
    groups = {name: value for name, value in match.groupdict().items() if value is not None}
    file = groups.get("file", place.rsplit("/", 1)[-1])
    student = groups.get("student") or _student(groups["name"])
    if layout == "Canvas":
        student = f"{student}_{groups['number']}"  # the number is the student's, in every assignment
        groups["number"] = ""
    if reason := refusal(student):
        raise ValueError(f"names no student: {reason}")
    slug = _slug(groups.get("assignment"), file, slugs, assignment)
    if layout == "flat" and student.startswith(slug):
        raise ValueError("names an assignment and no student")
    return Claim(student, slug, file, groups.get("number", ""), _moment(groups.get("timestamp")), layout)


def _student(name):
    """A person's full name as the name of a folder."""
    return re.sub(r"\s+", "_", unicodedata.normalize("NFKC", name).strip())


def _slug(said, file, slugs, assignment):
    """The assignment that the path, the file's name or the command says."""
    stem = file.removesuffix(".ipynb")
    said = said or next((slug for slug in slugs if re.match(rf"{slug}(?![a-z0-9])", stem)), None)
    if said is None and (match := SLUG.match(stem)) and assignment is None:
        said = match[0]
    if said is not None and said not in slugs:
        raise ValueError(f"is for the unknown assignment {said!r}; choose from {list(slugs)}")
    if assignment is not None and said not in (None, assignment):
        raise ValueError(f"is for {said}, not {assignment}")
    if said is None and assignment is None:
        raise ValueError("names no assignment; say which with --assignment")
    return said or assignment


def _moment(text):
    if not text:
        return None
    digits = re.sub(r"\D", "", text)
    try:
        return parse_moment(text).astimezone(UTC)
    except ValueError:
        if len(digits) == 14:
            return datetime.strptime(digits, "%Y%m%d%H%M%S").astimezone(UTC)
        raise ValueError(f"has a time that cannot be read: {text!r}") from None
