"""Open questions in the gradebook: which wait, the marks and comments of a person."""

from dataclasses import dataclass

from nbgrader.api import (
    Assignment,
    BaseCell,
    Comment,
    Grade,
    GradeCell,
    Notebook,
    SubmittedAssignment,
    SubmittedNotebook,
)
from sqlalchemy import select, text

__all__ = ["Answer", "answers", "enter_marks", "marks_of"]


@dataclass(frozen=True)
class Answer:
    """A student's answer to an open question, as the gradebook knows it.

    Parameters
    ----------
    student, cell : str
    points : float
        The most it can get.
    score : float or None
        Its mark; None while it waits, 0 if there is no answer.
    comment : str
        Comment of the person who marked it.
    waits : bool
        Whether a mark is missing.
    digest : str
        Digest of the answer that is entered.
    before : float or None
        Mark of another answer to the same question by the same student.
    """

    student: str
    cell: str
    points: float
    score: float | None
    comment: str
    waits: bool
    digest: str
    before: float | None = None


def _grades(slug):
    return (
        select(Grade, GradeCell, SubmittedAssignment.student_id)
        .join(GradeCell, GradeCell.id == Grade.cell_id)
        .join(SubmittedNotebook, SubmittedNotebook.id == Grade.notebook_id)
        .join(SubmittedAssignment, SubmittedAssignment.id == SubmittedNotebook.assignment_id)
        .join(Assignment, Assignment.id == SubmittedAssignment.assignment_id)
        .where(Assignment.name == slug)
    )


def _comments(slug):
    return (
        select(Comment, BaseCell.name, SubmittedAssignment.student_id)
        .join(BaseCell, BaseCell.id == Comment.cell_id)
        .join(Notebook, Notebook.id == BaseCell.notebook_id)
        .join(SubmittedNotebook, SubmittedNotebook.id == Comment.notebook_id)
        .join(SubmittedAssignment, SubmittedAssignment.id == SubmittedNotebook.assignment_id)
        .where(Notebook.name == slug)
    )


def answers(book, slug):
    """All answers to the open questions of an assignment, by student and cell.

    Parameters
    ----------
    book : Book
    slug : str

    Returns
    -------
    dict of (str, str) to Answer
    """
    known = {
        (row.student, row.cell): row
        for row in book.db.execute(
            text("SELECT student, cell, answer, score FROM selfgated_answer WHERE assignment = :slug"),
            {"slug": slug},
        )
    }
    remarks = {
        (student, cell): comment.manual_comment or ""
        for comment, cell, student in book.db.execute(_comments(slug)).all()
    }
    found = {}
    for grade, cell, student in book.db.execute(_grades(slug).where(GradeCell.cell_type == "markdown")).all():
        key = student, cell.name
        row = known.get(key)
        score = grade.manual_score if grade.manual_score is not None else grade.auto_score
        before = row.score if row is not None and grade.needs_manual_grade else None
        found[key] = Answer(
            student=student,
            cell=cell.name,
            points=cell.max_score,
            score=score,
            comment=remarks.get(key, ""),
            waits=grade.needs_manual_grade,
            digest=row.answer if row is not None else "",
            before=before,
        )
    return dict(sorted(found.items()))


def enter_marks(book, slug, marks):
    """Enter marks of open questions, all in one transaction.

    Parameters
    ----------
    book : Book
    slug : str
    marks : dict
        ``(score, comment)`` by (student, cell); checked by the caller.
    """
    with book.transaction() as db:
        for grade, cell, student in db.execute(_grades(slug)).all():
            if (student, cell.name) in marks:
                grade.manual_score = float(marks[student, cell.name][0])
                grade.needs_manual_grade = False
        for comment, cell, student in db.execute(_comments(slug)).all():
            if (student, cell) in marks:
                comment.manual_comment = marks[student, cell][1] or None


def marks_of(book, slug):
    """Marks and comments of a person, for the pages of feedback.

    Parameters
    ----------
    book : Book
    slug : str

    Returns
    -------
    dict of str to dict
        By student, then cell: ``{"score": float or None, "extra": float, "comment": str}``.
    """
    found = {}
    for grade, cell, student in book.db.execute(_grades(slug)).all():
        if grade.manual_score is not None or grade.extra_credit:
            mark = {"score": grade.manual_score, "extra": grade.extra_credit or 0.0, "comment": ""}
            found.setdefault(student, {})[cell.name] = mark
    for comment, cell, student in book.db.execute(_comments(slug)).all():
        if comment.manual_comment:
            mark = found.setdefault(student, {}).setdefault(
                cell, {"score": None, "extra": 0.0, "comment": ""}
            )
            mark["comment"] = comment.manual_comment
    return found
