"""``collect``: notebooks from the zip or folder of an LMS."""

from pathlib import Path

from selfgated.grading.collect import collect, compile_pattern
from selfgated.grading.commands import common
from selfgated.grading.console import say, table
from selfgated.grading.course import CourseError
from selfgated.grading.names import shown

__all__ = ["add", "report"]


def add(commands):
    """Add the command."""
    parser = commands.add_parser("collect", help="take notebooks from an LMS's zip or folder")
    parser.add_argument("source", metavar="FROM", help="zip or folder, as downloaded from the LMS")
    common.option(parser)
    parser.add_argument(
        "--pattern",
        metavar="REGEX",
        help="for the path of a file in FROM, with the groups student or name, and assignment, file, number, "
        "timestamp where it has them; by default the layouts of nbgrader, Moodle and Canvas are tried",
    )
    parser.set_defaults(run=run)


def run(args):
    """Take what can be taken; say what was not, and why."""
    if not args.source:
        raise CourseError("collect from where? give the zip or folder of the LMS, FROM=submissions.zip")
    assignment = common.chosen(args, args.assignment)
    pattern = compile_pattern(args.pattern) if args.pattern else None
    with args.course.lock("collect"):
        outcomes = collect(
            Path(args.source), args.course, slugs=common.choices(args), assignment=assignment, pattern=pattern
        )
    report(outcomes)
    if not any(outcome.action != "refused" for outcome in outcomes):
        raise CourseError(f"nothing in {args.source} could be taken")
    return 0


def report(outcomes):
    """Say what became of each file, what was not taken last."""
    rows = [
        (
            outcome.action,
            outcome.student or "-",
            outcome.slug or "-",
            outcome.moment.astimezone().strftime("%Y-%m-%d %H:%M %Z") if outcome.moment else "no time",
            f"{shown(outcome.place, longest=90)}{': ' if outcome.reason else ''}{outcome.reason}",
        )
        for outcome in sorted(outcomes, key=lambda outcome: (outcome.action == "refused", outcome.place))
    ]
    if rows:
        say(table(rows, head=("", "student", "assignment", "handed in", "file")))
    counts = {}
    for outcome in outcomes:
        counts[outcome.action] = counts.get(outcome.action, 0) + 1
    say(", ".join(f"{counts[action]} {action}" for action in sorted(counts)) or "no files")
