"""``release``: an assignment in the gradebook, with its due date, and its kit."""

import subprocess
import sys
from datetime import UTC, datetime

from selfgated.grading.assignment import SOLUTIONS
from selfgated.grading.commands import common
from selfgated.grading.console import say
from selfgated.grading.course import ROOT, CourseError
from selfgated.grading.gradebook import open_book
from selfgated.grading.late import load_rule
from selfgated.grading.times import describe, parse_moment

__all__ = ["add"]


def add(commands):
    """Add the command."""
    parser = commands.add_parser("release", help="enter an assignment and make its kit for students")
    parser.add_argument("assignment", nargs="?", metavar="NN_slug")
    parser.add_argument(
        "--due", metavar="TIME", help="2027-03-01 23:59, local unless a zone or offset follows"
    )
    parser.add_argument("--no-kit", action="store_true", help="make no kit")
    parser.set_defaults(run=run)


def run(args):
    """Enter the assignment, say when it is due, make the kit."""
    if args.assignment is None:
        raise CourseError(f"which assignment? choose from {common.choices(args)}")
    slug = common.chosen(args, args.assignment)
    try:
        due = parse_moment(args.due) if args.due else None
    except ValueError as error:
        raise CourseError(f"--due: {error}") from None
    assignment = common.load(args, slug)
    with args.course.lock("release"):
        if not args.no_kit:
            _make_kit(args, slug)
        with open_book(args.course, create=True) as book:
            copy = common.enter(book, assignment, due=due)
            common.late(args, book)
    say(f"{slug}: {assignment.title}, {assignment.points:g} points")
    if due is None:
        say("No due date was given: one that is set stays, without one nothing is late.")
    else:
        say(f"Due {describe(due)}.")
        if due < datetime.now(UTC):
            say("That is in the past.", style="red")
        say(load_rule(ROOT).words)
    if copy:
        say(f"Cells have gone that submissions have marks for. The gradebook as it was: {copy}", style="red")
    return 0


def _make_kit(args, slug):
    if args.solutions.resolve() != SOLUTIONS.resolve():
        raise CourseError("a kit is made from the solutions of this repository; give --no-kit")
    done = subprocess.run([sys.executable, str(ROOT / "tools" / "kit.py"), slug], cwd=ROOT, check=False)
    if done.returncode:
        raise CourseError(f"the kit of {slug} could not be made; nothing was entered")
