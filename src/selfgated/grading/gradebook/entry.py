"""A verdict in the gradebook: scores, comments, and what becomes of marks given by hand."""

import hashlib
import json
from dataclasses import asdict
from datetime import UTC

from nbgrader.api import (
    Assignment,
    BaseCell,
    Comment,
    Grade,
    Notebook,
    SourceCell,
    Student,
    SubmittedAssignment,
    SubmittedNotebook,
)
from sqlalchemy import select, text
from sqlalchemy.orm import joinedload

from selfgated.grading.course import CourseError

__all__ = ["answer_digest", "enter_verdict", "stamp", "stamps"]

UNANSWERED = "No response."
REJECTED = "This submission was rejected; the page of feedback says why."


def stamp(verdict, when):
    """Digest of all of a verdict that the gradebook holds, and of the time it was handed in.

    Parameters
    ----------
    verdict : Verdict
    when : datetime or None

    Returns
    -------
    str
        SHA-256, hexadecimal.
    """
    held = {
        "cells": [(cell.id, cell.kind, cell.source) for cell in verdict.cells if cell.kind == "answer"],
        "open": [asdict(item) for item in verdict.open],
        "reason": verdict.reason,
        "status": verdict.status,
        "submission": verdict.submission,
        "tests": [(test.cell, test.score) for test in verdict.tests],
        "when": when and when.isoformat(),
    }
    return hashlib.sha256(json.dumps(held, sort_keys=True).encode()).hexdigest()


def stamps(book, slug):
    """Stamp of the verdict that is entered, by student."""
    rows = book.db.execute(
        text("SELECT student, stamp FROM selfgated_verdict WHERE assignment = :slug"), {"slug": slug}
    )
    return {row.student: row.stamp for row in rows}


def answer_digest(answer):
    """Digest of an answer to an open question; spaces at the end of lines and of the text do not count."""
    lines = [line.rstrip() for line in answer.strip().splitlines()]
    return hashlib.sha256("\n".join(lines).encode("utf-8", "backslashreplace")).hexdigest()


def enter_verdict(book, verdict, when):
    """Enter a verdict, in one transaction.

    Parameters
    ----------
    book : Book
        The assignment is entered already.
    verdict : Verdict
        Status ``graded`` or ``rejected``; the latter scores nothing.
    when : datetime or None
        When it was handed in, aware.

    Raises
    ------
    CourseError
        If the assignment is not entered.
    ValueError
        If the verdict's status is ``error``: a fault of ours is no zero.

    Notes
    -----
    A mark given by hand stands while the answer stays the same. When the answer changed, the question waits
    for a new mark and the old one is remembered; when the marked answer comes back, so does its mark. An open
    question without an answer is 0 and waits for nobody. Where a person overruled the judge in a test cell,
    that stands, and waits for a second look once the judge says something else.
    """
    if verdict.status == "error":
        raise ValueError(f"a verdict of status 'error' is not entered: {verdict.reason}")
    with book.transaction() as db:
        notebook = db.scalar(
            select(Notebook)
            .join(Assignment, Assignment.id == Notebook.assignment_id)
            .where(Notebook.name == verdict.assignment, Assignment.name == verdict.assignment)
        )
        if notebook is None:
            raise CourseError(
                f"assignment {verdict.assignment!r} is not in the gradebook; run `make release` first"
            )
        entry = _submission(db, notebook, verdict.student)
        entry.assignment.timestamp = when and when.astimezone(UTC).replace(tzinfo=None)
        released = dict(
            db.execute(
                select(SourceCell.name, SourceCell.source).where(SourceCell.notebook_id == notebook.id)
            ).all()
        )
        _score(db, entry, verdict, released)
        _comment(db, entry, verdict, released)
        _remember(db, verdict, stamp(verdict, when))


def note_error(book, verdict):
    """Remember that grading failed: marks that are there stay, and no zero is entered."""
    with book.transaction() as db:
        if db.get(Student, verdict.student) is None:
            db.add(Student(id=verdict.student))
            db.flush()
        _remember(db, verdict, "")


def _remember(db, verdict, digest):
    db.execute(
        text(
            "INSERT OR REPLACE INTO selfgated_verdict "
            "VALUES (:assignment, :student, :stamp, :status, :reason)"
        ),
        {
            "assignment": verdict.assignment,
            "student": verdict.student,
            "stamp": digest,
            "status": verdict.status,
            "reason": verdict.reason,
        },
    )


def _submission(db, notebook, student):
    """The student's entry for a notebook, made with empty grades and comments if it is new."""
    query = (
        select(SubmittedNotebook)
        .join(SubmittedAssignment, SubmittedAssignment.id == SubmittedNotebook.assignment_id)
        .where(SubmittedNotebook.notebook_id == notebook.id, SubmittedAssignment.student_id == student)
    )
    entry = db.scalar(query)
    if entry is not None:
        return entry
    if db.get(Student, student) is None:
        db.add(Student(id=student))
        db.flush()
    submission = SubmittedAssignment(assignment_id=notebook.assignment_id, student_id=student)
    db.add(submission)
    db.flush()
    entry = SubmittedNotebook(notebook_id=notebook.id, assignment_id=submission.id)
    db.add(entry)
    db.flush()
    kinds = db.execute(select(BaseCell.id, BaseCell.type).where(BaseCell.notebook_id == notebook.id)).all()
    db.add_all(
        (Grade if kind == "GradeCell" else Comment)(cell_id=number, notebook_id=entry.id)
        for number, kind in kinds
    )
    db.flush()
    db.refresh(entry)
    return entry


def _rows(db, table, entry):
    query = select(table).options(joinedload(table.cell)).where(table.notebook_id == entry.id)
    return {row.cell.name: row for row in db.scalars(query).all()}


def _score(db, entry, verdict, released):
    """Set the automatic scores, and see to the manual ones."""
    scores = {test.cell: test.score for test in verdict.tests}
    answers = {item.cell: item.text for item in verdict.open}
    comments = _rows(db, Comment, entry)
    grades = _rows(db, Grade, entry)
    for name, grade in grades.items():
        if name not in comments:  # a test cell: no answer stands in it
            score = float(scores.get(name, 0.0))
            if grade.manual_score is None:
                grade.needs_manual_grade = False
            elif grade.auto_score != score:
                grade.needs_manual_grade = True
            grade.auto_score = score
            continue
        answer = answers.get(name, "")
        blank = not answer.strip() or answer_digest(answer) == answer_digest(released.get(name, ""))
        _open_question(db, verdict, grade, comments[name], "" if blank else answer)


def _open_question(db, verdict, grade, comment, answer):
    """Keep, restore or question the mark of one open question, `answer` empty when there is none."""
    key = {"assignment": verdict.assignment, "student": verdict.student, "cell": comment.cell.name}
    digest = answer_digest(answer)
    known = db.execute(
        text(
            "SELECT answer, marked, score, comment FROM selfgated_answer "
            "WHERE assignment = :assignment AND student = :student AND cell = :cell"
        ),
        key,
    ).first()
    before, marked, score, remark = known or (None, None, None, None)
    if grade.manual_score is not None and before:
        marked, score, remark = before, grade.manual_score, comment.manual_comment
    stands = marked == digest
    grade.manual_score, comment.manual_comment = (score, remark) if stands else (None, None)
    grade.auto_score = None if answer else 0.0
    grade.needs_manual_grade = bool(answer) and not stands
    db.execute(
        text(
            "INSERT OR REPLACE INTO selfgated_answer "
            "VALUES (:assignment, :student, :cell, :answer, :marked, :score, :comment)"
        ),
        {**key, "answer": digest, "marked": marked, "score": score, "comment": remark},
    )


def _comment(db, entry, verdict, released):
    """Say below every answer that is missing, or why nothing was graded."""
    sources = {cell.id: cell.source for cell in verdict.cells if cell.kind == "answer"}
    sources |= {item.cell: item.text for item in verdict.open}
    for name, comment in _rows(db, Comment, entry).items():
        if verdict.status == "rejected":
            comment.auto_comment = REJECTED  # the reason may quote a stranger's text, which nbgrader renders
        else:
            answer = sources.get(name, "")
            same = answer_digest(answer) == answer_digest(released.get(name, ""))
            comment.auto_comment = UNANSWERED if same or not answer.strip() else None
