"""``marks``: the table of open answers to fill in, or the marks in it entered."""

import re
from pathlib import Path

from selfgated.grading.commands import common
from selfgated.grading.console import say
from selfgated.grading.course import CourseError
from selfgated.grading.gradebook import answers, enter_marks, open_book
from selfgated.grading.marks import read_marks, unentered, write_marks
from selfgated.grading.verdict import Verdict

__all__ = ["add"]


def add(commands):
    """Add the command."""
    parser = commands.add_parser("marks", help="write the table of open answers, or enter the marks in it")
    parser.add_argument(
        "table", nargs="?", type=Path, metavar="MARKS", help="a filled-in table; without it, write"
    )
    common.option(parser)
    parser.add_argument("--force", action="store_true", help="overwrite scores that are not entered")
    parser.set_defaults(run=run)


def run(args):
    """Write or enter."""
    slug = common.chosen(args, args.assignment)
    with args.course.lock("marks"), open_book(args.course) as book:
        if args.table is None:
            return _write(args, book, [slug] if slug else common.choices(args))
        if slug is None:
            match = re.search(r"\d\d_[a-z0-9_]*[a-z0-9]", args.table.stem)
            if match is None:
                raise CourseError(f"of which assignment is {args.table}? give ASSIGNMENT=")
            slug = common.chosen(args, match[0])
        return _enter(args, book, slug)


def _write(args, book, slugs):
    written = 0
    for slug in slugs:
        found = answers(book, slug)
        if not found:
            continue
        path = args.course.folder / f"marks_{slug}.csv"
        count = 0 if args.force else unentered(path, found)
        if count:
            raise CourseError(
                f"{path} holds {count} scores that are not entered; enter them with "
                f"`make marks MARKS={path}`, or overwrite them with ARGS=--force"
            )
        write_marks(path, found.values(), _texts(args.course, slug))
        waiting = sum(answer.waits for answer in found.values())
        say(f"{path}: {waiting} of {len(found)} answers wait for a mark")
        written += 1
    if not written:
        raise CourseError("no open answers in the gradebook; begin with `make grade`")
    return 0


def _texts(course, slug):
    """Each student's text by (student, cell)."""
    return {
        (student, item.cell): item.text
        for student in course.graded(slug)
        for item in Verdict.load(course.verdict(student, slug)).open
    }


def _enter(args, book, slug):
    found = answers(book, slug)
    if not found:
        raise CourseError(f"no open answers to {slug} in the gradebook; begin with `make grade`")
    marks = read_marks(args.table, found)
    new = {
        key: mark
        for key, mark in marks.items()
        if found[key].waits or mark != (found[key].score, found[key].comment)
    }
    enter_marks(book, slug, new)
    common.late(args, book)
    left = sum(answer.waits for answer in answers(book, slug).values())
    say(f"{slug}: {len(new)} marks entered, {len(marks) - len(new)} were known, {left} answers still wait")
    return 0
