"""An assignment in the gradebook: its due date, its cells, their points."""

from datetime import UTC

from nbgrader.api import (
    Assignment,
    BaseCell,
    Comment,
    Grade,
    GradeCell,
    Notebook,
    SolutionCell,
    SourceCell,
    SubmittedNotebook,
)
from nbgrader.utils import compute_checksum, is_grade, is_locked, is_solution
from sqlalchemy import select

__all__ = ["enter_assignment"]


def enter_assignment(book, slug, notebook, *, due=None):
    """Enter an assignment, or what changed in it.

    Parameters
    ----------
    book : Book
    slug : str
    notebook : NotebookNode
        The release version: what students get, cells with nbgrader's metadata.
    due : datetime, optional
        Aware. Without it a due date that is there stays.

    Returns
    -------
    Path or None
        The copy of the gradebook that was made because submissions are entered and cells vanish.

    Notes
    -----
    Marks of cells that stay are kept. Submissions that are entered already get empty grades for new cells; an
    open question that is now worth less than the mark it got has to be marked again.
    """
    cells = [cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("grade_id")]
    graded = {name(cell): cell for cell in cells if is_grade(cell)}
    answered = {name(cell): cell for cell in cells if is_solution(cell)}
    sources = {name(cell): cell for cell in cells if is_grade(cell) or is_solution(cell) or is_locked(cell)}
    with book.transaction() as db:
        # One query per entry and no loading of it as a whole: an assignment may have 300 submissions.
        assignment = db.scalar(select(Assignment).where(Assignment.name == slug))
        if assignment is None:
            assignment = Assignment(name=slug)
            db.add(assignment)
        if due is not None:
            assignment.duedate = due.astimezone(UTC).replace(tzinfo=None)
        db.flush()
        entry = db.scalar(
            select(Notebook).where(Notebook.assignment_id == assignment.id, Notebook.name == slug)
        )
        if entry is None:
            entry = Notebook(name=slug, assignment=assignment, kernelspec='{"name": "python3"}')
            db.add(entry)
            db.flush()
        wanted = {(GradeCell.__name__, key) for key in graded} | {
            (SolutionCell.__name__, key) for key in answered
        }
        old = {(cell.type, cell.name): cell for cell in entry._base_cells}
        submissions = db.scalars(
            select(SubmittedNotebook).where(SubmittedNotebook.notebook_id == entry.id)
        ).all()
        gone = [cell for key, cell in old.items() if key not in wanted]
        copy = book.backup("cells") if gone and submissions else None
        _remove(db, gone)
        for kind, key in sorted(wanted - set(old)):
            cell = (
                GradeCell(name=key, notebook=entry, max_score=0, cell_type="code")
                if kind == "GradeCell"
                else None
            )
            cell = cell or SolutionCell(name=key, notebook=entry)
            db.add(cell)
            db.flush()
            for submission in submissions:
                db.add((Grade if kind == "GradeCell" else Comment)(cell_id=cell.id, notebook=submission))
        _update(db, entry, graded, sources)
    return copy


def name(cell):
    """The ``grade_id`` of a cell."""
    return cell.metadata.nbgrader["grade_id"]


def _remove(db, cells):
    for cell in cells:
        for table in (Grade, Comment):
            for row in db.scalars(select(table).where(table.cell_id == cell.id)).all():
                db.delete(row)
        db.flush()
        db.delete(cell)
    db.flush()


def _update(db, entry, graded, sources):
    """Set points and sources of all cells as they are now."""
    for cell in db.scalars(select(BaseCell).where(BaseCell.notebook_id == entry.id)).all():
        if isinstance(cell, GradeCell):
            cell.max_score = float(graded[cell.name].metadata.nbgrader["points"])
            cell.cell_type = graded[cell.name].cell_type
            above = select(Grade).where(Grade.cell_id == cell.id, Grade.manual_score > cell.max_score)
            for grade in db.scalars(above).all():
                grade.needs_manual_grade = True
    old = {row.name: row for row in entry.source_cells}
    for key, row in old.items():
        if key not in sources:
            db.delete(row)
    for key, cell in sources.items():
        row = old.get(key)
        if row is None:
            row = SourceCell(name=key, notebook=entry)
            db.add(row)
        row.cell_type, row.locked, row.source = cell.cell_type, bool(is_locked(cell)), cell.source
        row.checksum = compute_checksum(cell)
