"""Totals: points, penalties for lateness, what is still missing."""

from dataclasses import dataclass
from datetime import UTC, datetime

from nbgrader.api import (
    Assignment,
    Grade,
    GradeCell,
    Notebook,
    Student,
    SubmittedAssignment,
    SubmittedNotebook,
)
from sqlalchemy import case, func, select, text

from selfgated.grading.late import days_late

__all__ = ["Total", "set_penalties", "totals"]


@dataclass(frozen=True)
class Total:
    """What the gradebook knows of one student and one assignment.

    Parameters
    ----------
    student, assignment : str
    auto, manual : float
        Points of the judged cells and of the open questions.
    penalty : float
        Points taken off for lateness.
    total : float
        Points that count: ``max(0, auto + manual - penalty)``.
    maximum : float
        What could be had.
    status : str
        ``final``, ``marks missing``, ``rejected``, ``error``, ``not graded`` or ``not handed in``.
    submitted, due : datetime or None
        Aware, in UTC; `due` is the student's own.
    late_days : int
        Started days after `due`, 0 within the grace.
    reason : str
        Why it was rejected.
    """

    student: str
    assignment: str
    auto: float
    manual: float
    penalty: float
    maximum: float
    status: str
    submitted: datetime | None = None
    due: datetime | None = None
    late_days: int = 0
    reason: str = ""

    @property
    def total(self):
        """Points that count."""
        return max(0.0, self.auto + self.manual - self.penalty)


def set_penalties(book, rule, extensions=None):
    """Bring the penalties of all submissions up to date, in one transaction.

    Parameters
    ----------
    book : Book
    rule : LateRule
    extensions : dict, optional
        The student's due date by (student, assignment).

    Notes
    -----
    A penalty is a share of the score, so it changes with every manual mark; nbgrader itself sets it only when
    it grades. An extension that is no longer listed ends.
    """
    extensions = extensions or {}
    with book.transaction() as db:
        query = (
            select(
                SubmittedNotebook,
                SubmittedAssignment,
                Assignment.name,
                Assignment.duedate,
                func.sum(Grade.score),
            )
            .join(SubmittedAssignment, SubmittedAssignment.id == SubmittedNotebook.assignment_id)
            .join(Assignment, Assignment.id == SubmittedAssignment.assignment_id)
            .outerjoin(Grade, Grade.notebook_id == SubmittedNotebook.id)
            .group_by(SubmittedNotebook.id)
        )
        for notebook, submission, slug, due, score in db.execute(query).all():
            until = extensions.get((submission.student_id, slug))
            if until is not None and due is not None:
                submission.extension = until.astimezone(UTC).replace(tzinfo=None) - due
            else:
                submission.extension = None
            late = _seconds_late(submission.timestamp, due, submission.extension)
            penalty = (
                rule.late_submission_penalty(submission.student_id, score or 0.0, late) if late > 0 else None
            )
            notebook.late_submission_penalty = penalty


def _seconds_late(timestamp, due, extension):
    if timestamp is None or due is None:
        return 0.0
    return (timestamp - due).total_seconds() - (extension.total_seconds() if extension else 0.0)


def totals(book, rule):
    """Every student's result in every assignment that is in the gradebook.

    Parameters
    ----------
    book : Book
        After `set_penalties`.
    rule : LateRule
        For the days late that are shown.

    Returns
    -------
    list of Total
        By student, then assignment. A student who handed nothing in has a row with 0 points, as in
        ``nbgrader export``.
    """
    db = book.db
    points = func.coalesce(func.sum(GradeCell.max_score), 0.0)
    assignments = db.execute(select(Assignment.name, Assignment.duedate).order_by(Assignment.name)).all()
    maxima = dict(db.execute(_cells(select(Assignment.name, points)).group_by(Assignment.name)).all())
    by_kind = [
        func.sum(case((GradeCell.cell_type == kind, Grade.score), else_=0.0)) for kind in ("code", "markdown")
    ]
    query = (
        select(
            SubmittedAssignment,
            Assignment.name,
            Assignment.duedate,
            *by_kind,
            func.max(Grade.needs_manual_grade),
        )
        .join(Assignment, Assignment.id == SubmittedAssignment.assignment_id)
        .join(SubmittedNotebook, SubmittedNotebook.assignment_id == SubmittedAssignment.id)
        .join(Grade, Grade.notebook_id == SubmittedNotebook.id)
        .join(GradeCell, GradeCell.id == Grade.cell_id)
        .group_by(SubmittedAssignment.id)
    )
    penalties = dict(
        db.execute(select(SubmittedNotebook.assignment_id, SubmittedNotebook.late_submission_penalty)).all()
    )
    verdicts = {
        (row.student, row.assignment): (row.status, row.reason)
        for row in db.execute(text("SELECT student, assignment, status, reason FROM selfgated_verdict"))
    }
    found = {}
    for submission, slug, due, auto, manual, waiting in db.execute(query).all():
        student = submission.student_id
        status, reason = verdicts.get((student, slug), ("graded", ""))
        late = _seconds_late(submission.timestamp, due, submission.extension)
        own = due and due + submission.extension if submission.extension else due
        found[student, slug] = Total(
            student=student,
            assignment=slug,
            auto=auto,
            manual=manual,
            penalty=penalties.get(submission.id) or 0.0,
            maximum=maxima.get(slug, 0.0),
            status=status if status != "graded" else "marks missing" if waiting else "final",
            submitted=_aware(submission.timestamp),
            due=_aware(own),
            late_days=days_late(late, rule.grace_minutes),
            reason=reason,
        )
    students = db.scalars(select(Student.id).order_by(Student.id)).all()
    for student in students:
        for slug, due in assignments:
            status, reason = verdicts.get((student, slug), ("not handed in", ""))
            points = maxima.get(slug, 0.0)
            nothing = Total(student, slug, 0.0, 0.0, 0.0, points, status, due=_aware(due), reason=reason)
            found.setdefault((student, slug), nothing)
    return [found[key] for key in sorted(found)]


def _aware(moment):
    return moment and moment.replace(tzinfo=UTC)


def _cells(query):
    return query.join(Notebook, Notebook.assignment_id == Assignment.id).join(
        GradeCell, GradeCell.notebook_id == Notebook.id
    )
