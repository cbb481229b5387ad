"""``feedback``: a page for every graded submission."""

from pathlib import Path

from tqdm import tqdm

from selfgated.grading.commands import common
from selfgated.grading.console import say
from selfgated.grading.course import CourseError
from selfgated.grading.feedback import Page, write_batch
from selfgated.grading.gradebook import marks_of, open_book, totals
from selfgated.grading.names import shown
from selfgated.grading.verdict import Verdict

__all__ = ["add"]


def add(commands):
    """Add the command."""
    parser = commands.add_parser("feedback", help="write a page of feedback for every graded submission")
    common.option(parser, student=True)
    parser.add_argument(
        "--book", metavar="ADDRESS", help="address of the book's site, for links to its chapters"
    )
    parser.set_defaults(run=run)


def run(args):
    """Write the pages."""
    slug = common.chosen(args, args.assignment)
    with args.course.lock("feedback"), open_book(args.course) as book:
        rule = common.late(args, book)
        penalties = {(total.student, total.assignment): total.penalty for total in totals(book, rule)}
        chosen = [
            (student, name)
            for name in ([slug] if slug else common.choices(args))
            for student in args.course.graded(name)
            if args.student in (None, student)
        ]
        if not chosen:
            whom = f" of {shown(args.student)}" if args.student else ""
            raise CourseError(f"nothing{whom} is graded in {args.course.folder}; begin with `make grade`")
        marks = {name: marks_of(book, name) for name in {name for _, name in chosen}}
        releases = {name: common.load(args, name).release() for name in marks}
        failed = []
        with tqdm(total=len(chosen), unit="page") as bar:
            pages = _pages(args.course, chosen, releases, marks, penalties, failed)
            written = write_batch(pages, book=args.book, progress=lambda _: bar.update())
    say(f"{len(written)} pages in {args.course.folder / 'feedback'}")
    for student, name in failed:
        say(f"{student}, {name}: no page, since the grader failed; `make grade` tries again", style="red")
    return 0


def _pages(course, chosen, releases, marks, penalties, failed):
    """Yield pages one by one; verdicts that are errors go to `failed`."""
    for student, name in chosen:
        verdict = Verdict.load(Path(course.verdict(student, name)))
        if verdict.status == "error":
            failed.append((student, name))
            continue
        yield Page(
            verdict,
            course.feedback(student, name),
            releases[name],
            marks[name].get(student, {}),
            penalties.get((student, name), 0.0),
        )
