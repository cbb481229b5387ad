"""Marks of open questions by a table: written for a person to fill in, read back whole or not at all."""

import math
import re

from selfgated.grading.course import CourseError
from selfgated.grading.names import shown
from selfgated.grading.tables import read_table, write_table

__all__ = ["COLUMNS", "MarksError", "read_marks", "unentered", "write_marks"]

COLUMNS = ("student", "cell", "points", "answer", "score", "comment", "before", "version")
LONGEST = 1500


class MarksError(CourseError):
    """Lines of a table that cannot be entered; `lines` has a sentence for each."""

    def __init__(self, lines):
        """Keep the sentences."""
        super().__init__("\n".join(lines))
        self.lines = lines


def version(answer):
    """Short name of an answer. It begins with a letter, so that no spreadsheet takes it for a number."""
    return f"v{answer.digest[:10]}"


def write_marks(path, answers, texts):
    """Write the table to fill in, answers that wait first.

    Parameters
    ----------
    path : Path
    answers : iterable of Answer
    texts : dict
        The student's text by (student, cell).
    """
    rows = []
    for answer in sorted(answers, key=lambda answer: (not answer.waits, answer.cell, answer.student)):
        words = " ".join(texts.get((answer.student, answer.cell), "").split())
        rows.append(
            {
                "student": answer.student,
                "cell": answer.cell,
                "points": answer.points,
                "answer": words if len(words) <= LONGEST else f"{words[:LONGEST]} [...]",
                "score": None if answer.waits else answer.score,
                "comment": answer.comment,
                "before": answer.before,
                "version": version(answer),
            }
        )
    write_table(path, COLUMNS, rows)


def read_marks(path, answers):
    """Read a filled-in table.

    Parameters
    ----------
    path : Path
    answers : dict
        `Answer` by (student, cell): what can be marked.

    Returns
    -------
    dict
        ``(score, comment)`` by (student, cell), of the lines that have a score.

    Raises
    ------
    MarksError
        If any line is wrong, with file, line, value and range of each.
    """
    marks, seen, wrong = {}, {}, []
    for line, row in read_table(path, ("student", "cell", "score", "comment", "version")):
        key = row["student"].strip(), row["cell"].strip()
        score, reason = None, ""
        if key not in answers:
            reason = _unknown(key, answers)
        elif key in seen:
            reason = f"{shown(key[0])}, {key[1]} stands in line {seen[key]} already"
        elif row["score"].strip():
            score, reason = _score(row["score"].strip(), answers[key])
            if not reason and row["version"].strip() != version(answers[key]):
                reason = f"{shown(key[0])} has another answer to {key[1]} by now; write the table anew"
        seen.setdefault(key, line)
        if reason:
            wrong.append(f"{path.name}, line {line}: {reason}")
        elif score is not None:
            marks[key] = score, row["comment"].strip()
    if wrong:
        raise MarksError(wrong)
    return marks


def _unknown(key, answers):
    student, cell = key
    cells = sorted({name for who, name in answers if who == student})
    if cells:
        return f"unknown cell {shown(cell)}; choose from {cells}"
    return f"unknown student {shown(student)}"


def _score(text, answer):
    """The score, and why it is none."""
    number = re.sub(r"^(\d+),(\d+)$", r"\1.\2", text)  # a decimal comma, as many spreadsheets write it
    try:
        score = float(number)
    except ValueError:
        score = math.nan
    if not 0 <= score <= answer.points:
        return None, f"score {text!r} of {shown(answer.student)}; give a number from 0 to {answer.points:g}"
    return score, ""


def unentered(path, answers):
    """How many scores of a table are not in the gradebook, so that nobody overwrites them.

    Parameters
    ----------
    path : Path
        It may be missing, or be no table.
    answers : dict
        `Answer` by (student, cell).
    """
    if not path.is_file():
        return 0
    found = 0
    for _, row in read_table(path, ("student", "cell", "score", "comment")):
        answer = answers.get((row["student"].strip(), row["cell"].strip()))
        known = None if answer is None or answer.waits else answer.score
        score = row["score"].strip()
        if score and (answer is None or known is None or _score(score, answer)[0] != known):
            found += 1
    return found
