"""nbgrader's database as this course keeps it: one writer, one transaction per submission.

The schema is nbgrader's own, so its formgrader and ``nbgrader export`` work on the file. Two tables are
added: ``selfgated_verdict`` says which verdict was entered for a submission, ``selfgated_answer`` which
answer to an open question a mark was given for. They are written in the transaction of what they describe.
"""

from selfgated.grading.gradebook.database import Book, open_book
from selfgated.grading.gradebook.entry import enter_verdict, note_error, stamp, stamps
from selfgated.grading.gradebook.opens import Answer, answers, enter_marks, marks_of
from selfgated.grading.gradebook.structure import enter_assignment
from selfgated.grading.gradebook.totals import Total, set_penalties, totals

__all__ = [
    "Answer",
    "Book",
    "Total",
    "answers",
    "enter_assignment",
    "enter_marks",
    "enter_verdict",
    "marks_of",
    "note_error",
    "open_book",
    "set_penalties",
    "stamp",
    "stamps",
    "totals",
]
