"""What grading one submission gives: records that become JSON, and the autograded notebook."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

STATUSES = ("graded", "rejected", "error")
CELL_STATUSES = ("ok", "error", "timeout", "killed", "missing", "skipped")


@dataclass(frozen=True)
class Part:
    """One part of a hidden test: all of its points or none.

    Parameters
    ----------
    title : str
        What was judged, as the author of the test wrote it.
    points, earned : float
        What it is worth, and what the answer got.
    message : str
        Why the points were lost; empty if none were.
    """

    title: str
    points: float
    earned: float
    message: str = ""


@dataclass(frozen=True)
class Score:
    """The result of one test cell.

    Parameters
    ----------
    cell : str
        Id of the test cell.
    points, score : float
        What it is worth, and what the answer got.
    check : str
        What the visible self-check says of the answer; empty if it is content.
    parts : tuple of Part
        The hidden parts, in order. Their points sum to ``points``.
    """

    cell: str
    points: float
    score: float
    check: str = ""
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True)
class Open:
    """The answer to an open question, for a person to mark: cell id, points at stake, the text."""

    cell: str
    points: float
    text: str


@dataclass(frozen=True)
class Cell:
    """One cell of the autograded notebook.

    Parameters
    ----------
    id : str
        The ``grade_id`` of an assignment's cell; ``extra-1``, ``extra-2``, ... for cells that the student
        added.
    status : str
        ``ok``, ``error`` (raised), ``timeout``, ``killed`` (ended its process, or was ended for memory or
        processes), ``missing`` (the student's notebook lacks it) or ``skipped`` (text, or not run).
    message : str
        One sentence, if the status is not ``ok``.
    outputs : list of dict
        nbformat outputs, cleaned: text streams, ``text/plain``, checked ``image/png``, errors.
    kind : str
        ``text``, ``code``, ``answer``, ``test``, ``open`` or ``extra``.
    cell_type, source, metadata
        As in nbformat: the release version of locked cells, the student's text of the others.
    """

    id: str
    status: str
    message: str = ""
    outputs: list[dict[str, Any]] = field(default_factory=list)
    kind: str = "extra"
    cell_type: str = "code"
    source: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """All that grading one submission found.

    Parameters
    ----------
    assignment, student : str
        Slug of the assignment; name of the student's folder.
    source, submission : str
        SHA-256 of the solutions notebook and of the submitted file (empty if it could not be read).
    sandbox : str
        ``bubblewrap`` or ``none``.
    seconds : float
        Wall time.
    status : str
        ``graded``; ``rejected`` (no notebook that can be graded: ``reason`` says why); ``error`` (the judge
        or the machine failed: no mark, and not the student's fault).
    reason : str
        One sentence, if the status is not ``graded``.
    notes : tuple of str
        What student and instructor should know: a renamed file, a duplicated answer, a cell that was stopped.
    tests, open, cells
        See `Score`, `Open`, `Cell`.
    cpu : float
        CPU seconds that the sandbox used, all its processes together.
    grader : str
        Digest of the code that judged, set by the batch: a verdict of other code is graded anew.
    """

    assignment: str
    student: str
    source: str = ""
    submission: str = ""
    sandbox: str = "bubblewrap"
    seconds: float = 0.0
    status: str = "graded"
    reason: str = ""
    notes: tuple[str, ...] = ()
    tests: tuple[Score, ...] = ()
    open: tuple[Open, ...] = ()
    cells: tuple[Cell, ...] = ()
    cpu: float = 0.0
    grader: str = ""

    def __post_init__(self) -> None:
        """Refuse a status that does not exist."""
        if self.status not in STATUSES:
            raise ValueError(f"unknown status {self.status!r}; choose from {list(STATUSES)}")

    @property
    def score(self) -> float:
        """Points of the judged cells (open questions not included)."""
        return sum(test.score for test in self.tests)

    def to_json(self) -> str:
        """Return the verdict as JSON text, keys in a fixed order."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Verdict":
        """Return the verdict that `to_json` wrote.

        Raises
        ------
        ValueError
            If the text is not JSON, or lacks or adds a field.
        """
        data = json.loads(text)
        try:
            tests = tuple(
                Score(**{**test, "parts": tuple(Part(**part) for part in test["parts"])})
                for test in data.pop("tests", [])
            )
            opens = tuple(Open(**item) for item in data.pop("open", []))
            cells = tuple(Cell(**cell) for cell in data.pop("cells", []))
            notes = tuple(data.pop("notes", []))
            return cls(**data, notes=notes, tests=tests, open=opens, cells=cells)
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"not a verdict: {error}") from error

    @classmethod
    def load(cls, path: Path) -> "Verdict":
        """Return the verdict stored at `path`."""
        return cls.from_json(Path(path).read_text(encoding="utf-8"))


def plain_points(points: float) -> str:
    """Return points without a needless decimal: 3, 2.5."""
    return f"{points:g}"


def report(score: Score) -> str:
    """Return the result of a test cell as the text that stands below it in the autograded notebook.

    Examples
    --------
    >>> parts = (Part("values", 2, 2), Part("far out", 1, 0, "nan at z = 1000"))
    >>> print(report(Score("p1-test", 3, 2, "", parts)))
    2 of 3 points
    [2/2] values
    [0/1] far out: nan at z = 1000
    """
    lines = [f"{plain_points(score.score)} of {plain_points(score.points)} points"]
    for part in score.parts:
        tail = f": {part.message}" if part.message else ""
        lines.append(f"[{plain_points(part.earned)}/{plain_points(part.points)}] {part.title}{tail}")
    if score.check:
        lines.append(f"self-check: {score.check}")
    return "\n".join(lines)


def notebook(verdict: Verdict) -> dict[str, Any]:
    """Return the autograded notebook: release cells, the student's answers, cleaned outputs.

    Test cells carry their result as a text output, so that the notebook reads on its own.

    Parameters
    ----------
    verdict : Verdict
        Of a submission whose status is ``graded``.

    Returns
    -------
    dict
        nbformat 4.5 notebook. It holds no hidden test.
    """
    scores = {score.cell: score for score in verdict.tests}
    cells = []
    for number, cell in enumerate(verdict.cells, start=1):
        entry: dict[str, Any] = {
            "cell_type": cell.cell_type,
            "id": cell.id,
            "metadata": cell.metadata,
            "source": cell.source,
        }
        if cell.cell_type == "code":
            outputs = list(cell.outputs)
            if cell.id in scores:
                outputs = [
                    {"output_type": "stream", "name": "stdout", "text": report(scores[cell.id]) + "\n"}
                ]
            entry |= {"execution_count": number, "outputs": outputs}
        cells.append(entry)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {
        "cells": cells,
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
