"""The problems of a submission: points, parts, marks by hand, and the cells that belong to each."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from selfgated.grading.feedback.markdown import CHAPTER
from selfgated.grading.feedback.text import plain
from selfgated.grading.verdict import Cell, Score, Verdict

_PROBLEM = re.compile(r"(p\d+)(?:-.*)?")
_HEADING = re.compile(r"^ {0,3}#{1,6}[ \t]+(.+?)[ \t#]*$", re.MULTILINE)
_LINK = re.compile(r"\]\(([^()\s]+)\)")


@dataclass
class Problem:
    """One problem as the page shows it.

    Parameters
    ----------
    key : str
        ``p1``, ``p2``, ...
    title : str
        The heading of its statement, as Markdown.
    points : float
        What it is worth.
    score : float
        What was earned so far, marks by hand included.
    tests : list of Score
        Its judged cells.
    comments : list of str
        What a person wrote about it.
    by_hand : bool
        A person changed the score of a judged cell, or gave extra points.
    waits : bool
        An open answer has no mark yet.
    link : tuple of (str, str or None) or None
        Chapter and section that its statement points to.
    """

    key: str
    title: str
    points: float = 0.0
    score: float = 0.0
    tests: list[Score] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    by_hand: bool = False
    waits: bool = False
    link: tuple[str, str | None] | None = None

    @property
    def state(self) -> str:
        """``waits``, ``right`` (all points), ``partly`` or ``lost`` (none)."""
        if self.waits:
            return "waits"
        if self.score >= self.points:
            return "right"
        return "partly" if self.score > 0 else "lost"


def problem_of(cell_id: str) -> str:
    """Return the key of the problem that a cell belongs to, empty for ``intro``, ``setup`` and extra cells.

    Examples
    --------
    >>> problem_of("p2-test2"), problem_of("setup")
    ('p2', '')
    """
    match = _PROBLEM.fullmatch(cell_id)
    return match[1] if match else ""


def is_statement(cell: Cell) -> bool:
    """Return whether a cell is given text, not an answer in words or a cell that the student added."""
    return cell.cell_type == "markdown" and cell.kind not in ("open", "extra")


def title_of(source: str) -> str:
    """Return the text of the first heading of Markdown, empty if there is none."""
    match = _HEADING.search(plain(source)[:4000])
    return match[1] if match else ""


def cells_of(notebook: Mapping[str, Any]) -> list[Cell]:
    """Return the cells of an nbgrader notebook as those of a verdict, without outputs."""
    found = []
    for cell in notebook["cells"]:
        mark = cell.get("metadata", {}).get("nbgrader", {})
        source = "".join(cell["source"])
        solution, grade = mark.get("solution", False), mark.get("grade", False)
        if solution:
            kind = "open" if grade else "answer"
        elif grade:
            kind = "test"
        else:
            kind = "md" if cell["cell_type"] == "markdown" else "code"
        found.append(
            Cell(
                mark.get("grade_id", cell.get("id", "")),
                "skipped",
                kind=kind,
                cell_type=cell["cell_type"],
                source=source,
                metadata=dict(cell.get("metadata", {})),
            )
        )
    return found


def problems(
    verdict: Verdict, cells: Sequence[Cell], marks: Mapping[str, Mapping[str, Any]]
) -> dict[str, Problem]:
    """Return the problems of a submission by their key, in the order of the notebook.

    Parameters
    ----------
    verdict : Verdict
        Of the submission.
    cells : sequence of Cell
        Those of the verdict, or of the release version if the verdict has none.
    marks : mapping
        By id of a cell: ``score`` (a number that replaces the judge's, or None), ``extra`` (points on top)
        and ``comment`` (text); each may be missing.

    Returns
    -------
    dict of str to Problem
        Points that stand nowhere in the verdict come from the metadata of the release version.
    """
    found: dict[str, Problem] = {}

    def at(cell_id):
        key = problem_of(cell_id) or cell_id
        return found.setdefault(key, Problem(key, f"Problem {key.removeprefix('p')}"))

    graded = [score.cell for score in verdict.tests] + [item.cell for item in verdict.open]
    for cell in cells:
        if not problem_of(cell.id):
            continue
        problem = at(cell.id)
        if is_statement(cell):
            if title := title_of(cell.source):
                problem.title = title
            if link := next((m for m in map(CHAPTER.fullmatch, _LINK.findall(cell.source)) if m), None):
                problem.link = link.groups()
        if cell.kind in ("test", "open") and not graded:
            problem.points += float(cell.metadata.get("nbgrader", {}).get("points") or 0)
    for score in verdict.tests:
        problem = at(score.cell)
        problem.tests.append(score)
        problem.points += score.points
        _add(problem, marks.get(score.cell, {}), judged=score.score)
    for item in verdict.open:
        problem = at(item.cell)
        problem.points += item.points
        _add(problem, marks.get(item.cell, {}), judged=None)
    for cell_id, mark in marks.items():
        if cell_id not in graded and problem_of(cell_id) in found:
            _add(found[problem_of(cell_id)], {**mark, "score": None}, judged=0.0)
    return found


def _add(problem, mark, *, judged):
    score = mark.get("score")
    problem.by_hand |= (judged is not None and score is not None and score != judged) or bool(
        mark.get("extra")
    )
    problem.waits |= judged is None and score is None
    problem.score += (judged or 0.0) if score is None else float(score)
    problem.score += float(mark.get("extra") or 0)
    if comment := (mark.get("comment") or "").strip():
        problem.comments.append(comment)
