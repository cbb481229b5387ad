"""``grade``: all submissions that are not graded yet, in parallel, each in a sandbox."""

import difflib
import os
import sys
import time
from contextlib import closing
from pathlib import Path

from tqdm import tqdm

from selfgated.grading import batch
from selfgated.grading.collect import collect
from selfgated.grading.commands import collect as taking
from selfgated.grading.commands import common
from selfgated.grading.console import say, table
from selfgated.grading.course import CourseError
from selfgated.grading.gradebook import enter_verdict, note_error, open_book, stamp, stamps
from selfgated.grading.names import shown
from selfgated.grading.sandbox import find_sandbox
from selfgated.grading.verdict import Verdict

__all__ = ["add"]

NO_SANDBOX = """\
NO SANDBOX WAS FOUND: nothing is graded.
Student code would run as you: it could read the solutions, change marks and verdicts, delete your files or
send them away. Install bubblewrap (Debian, Ubuntu: apt install bubblewrap), or grade in a virtual machine
that holds nothing else, with ARGS="--sandbox none"."""
UNPROTECTED = """\
GRADING WITHOUT A SANDBOX, as you asked. Every submission runs as you: it can read the solutions and other
submissions, change marks and verdicts, delete your files and send them away. Trust none of the results."""
MOST_NOTES = 5


def add(commands):
    """Add the command."""
    parser = commands.add_parser("grade", help="grade submissions in the sandbox, in parallel")
    parser.add_argument(
        "--submitted", type=Path, metavar="FOLDER", help="take these in first; grade these only"
    )
    common.option(parser, student=True)
    parser.add_argument("--workers", type=_positive, metavar="N", help="processes (default: one per core)")
    parser.add_argument("--again", action="store_true", help="grade also what is graded already")
    parser.add_argument(
        "--sandbox",
        choices=("bubblewrap", "none"),
        help="none: run student code unprotected (read the warning)",
    )
    parser.set_defaults(run=run)


def _positive(text):
    if not text.isdecimal() or not int(text):
        raise ValueError
    return int(text)


def run(args):
    """Grade, enter, report."""
    assignment = common.chosen(args, args.assignment)
    sandbox = _sandbox(args.sandbox)
    with args.course.lock("grade"):
        allowed = _take_in(args, assignment)
        found, refused = batch.discover(
            args.course, slugs=common.choices(args), assignment=assignment, student=args.student
        )
        found = [pair for pair in found if allowed is None or pair in allowed]
        for sentence in refused:
            say(sentence, style="red")
        if not found:
            raise CourseError(_nothing(args, assignment))
        jobs = [
            batch.Job(student, slug, args.course.folder, args.solutions, sandbox, batch.grader_version())
            for student, slug in found
        ]
        return _grade(args, jobs)


def _sandbox(asked):
    if asked == "none":
        say(UNPROTECTED, style="red", file=sys.stderr)
        return "none"
    if find_sandbox() != "bubblewrap":
        raise CourseError(NO_SANDBOX)
    return "bubblewrap"


def _take_in(args, assignment):
    """Take the folder that was given into the course; the submissions in it, or None if none was given."""
    if args.submitted is None:
        return None
    if args.submitted.resolve() == args.course.submitted.resolve():
        return None
    if not args.submitted.is_dir():
        raise CourseError(f"no folder at {args.submitted}; for a zip use `make collect` first")
    outcomes = collect(
        args.submitted, args.course, slugs=common.choices(args), assignment=assignment, file_times=False
    )
    strange = [outcome for outcome in outcomes if outcome.action != "unchanged" and outcome.reason]
    if strange:
        taking.report(strange)
    return {(outcome.student, outcome.slug) for outcome in outcomes if outcome.slug}


def _nothing(args, assignment):
    everything, _ = batch.discover(args.course, slugs=common.choices(args))
    where = args.course.submitted
    if not everything:
        return f"no submissions in {where}; begin with `make collect`, or give SUBMITTED=folder"
    students = sorted({student for student, _ in everything})
    if args.student is not None and args.student not in students:
        close = difflib.get_close_matches(args.student, students, n=5) or students[:5]
        return (
            f"no submission of {shown(args.student)} in {where}; there are {len(students)}, such as {close}"
        )
    kinds = sorted({slug for _, slug in everything})
    return f"no such submission in {where}: {assignment or 'any assignment'}; there are some of {kinds}"


def _grade(args, jobs):
    """Grade what has to be, enter all of it; the exit code."""
    assignments = {slug: common.load(args, slug) for slug in sorted({job.slug for job in jobs})}
    done = {}
    if not args.again:
        for job in jobs:
            if verdict := batch.current(job, source=assignments[job.slug].sha256):
                done[job] = batch.Result(verdict)
    waiting = [job for job in jobs if job not in done]
    before, begin, interrupted = len(done), time.monotonic(), False
    with open_book(args.course, create=True) as book:
        for assignment in assignments.values():
            if copy := common.enter(book, assignment):
                say(f"{assignment.slug} has changed; the gradebook as it was: {copy}", style="red")
        _finish(args, book, done)
        workers = min(args.workers or len(os.sched_getaffinity(0)), max(1, len(waiting)))
        try:
            with (
                closing(batch.grade(waiting, workers=workers)) as results,
                tqdm(total=len(waiting), unit="notebook", disable=not waiting, mininterval=_pause()) as bar,
            ):
                for job, result in results:
                    done[job] = result
                    _enter(args, book, job, result.verdict)
                    bar.update()
        except KeyboardInterrupt:
            interrupted = True
        common.late(args, book)
    _report(args.course, done, before)
    if interrupted:
        left = len(jobs) - len(done)
        say(
            f"Interrupted: {left} of {len(jobs)} are not graded. The same command goes on from here.",
            style="red",
        )
        return 130
    if waiting:
        say(f"{len(waiting)} graded in {time.monotonic() - begin:.0f} s by {workers} processes.")
    else:
        say("All were graded already; ARGS=--again grades them anew.")
    return int(any(result.verdict.status == "error" for result in done.values()))


def _pause():
    """Seconds between two looks at the progress: few lines in a log of the night."""
    return 0.2 if sys.stderr.isatty() else 30


def _finish(args, book, done):
    """Enter verdicts that are on disk and not in the gradebook: a run was killed in between.

    An autograded notebook that has gone is written again as well: nbgrader removes some of its own accord.
    """
    known = {slug: stamps(book, slug) for slug in {job.slug for job in done}}
    for job, result in done.items():
        if not (args.course.autograded(job.student, job.slug) / f"{job.slug}.ipynb").is_file():
            batch.write_autograded(args.course, result.verdict)
        moment = _moment(args.course, job)
        if known[job.slug].get(job.student) != stamp(result.verdict, moment):
            enter_verdict(book, result.verdict, moment)


def _enter(args, book, job, verdict):
    if verdict.status == "error":
        note_error(book, verdict)
    else:
        whole = Verdict.load(args.course.verdict(job.student, job.slug))
        enter_verdict(book, whole, _moment(args.course, job))


def _moment(course, job):
    try:
        return course.timestamp(job.student, job.slug)
    except CourseError as error:
        say(f"{job.student}, {job.slug}: {error}; taken as without time", style="red")
        return None


def _report(course, done, before):
    """Say what came out: a table, then a line for every submission that was not clean."""
    by_slug = {}
    for job, result in done.items():
        by_slug.setdefault(job.slug, []).append(result.verdict)
    rows = []
    for slug, verdicts in sorted(by_slug.items()):
        graded = [verdict for verdict in verdicts if verdict.status == "graded"]
        points = sum(test.points for test in graded[0].tests) if graded else 0
        mean = (
            f"{sum(verdict.score for verdict in graded) / len(graded):.1f} of {points:g}" if graded else "-"
        )
        rows.append(
            (
                slug,
                len(graded),
                sum(verdict.status == "rejected" for verdict in verdicts),
                sum(verdict.status == "error" for verdict in verdicts),
                sum(bool(verdict.notes) for verdict in graded),
                mean,
            )
        )
    if rows:
        say(
            table(
                rows, head=("assignment", "graded", "rejected", "errors", "with notes", "mean without open")
            )
        )
    if before:
        say(f"{before} of them were graded before.")
    for job, result in sorted(done.items(), key=lambda pair: (pair[0].slug, pair[0].student)):
        verdict = result.verdict
        sentences = [f"{verdict.status}: {verdict.reason}"] if verdict.status != "graded" else []
        if verdict.status == "rejected" and (aside := course.earlier(job.student, job.slug)).is_dir():
            sentences.append(f"an earlier submission is kept in {aside}; copy it back to have it graded")
        sentences += verdict.notes[:MOST_NOTES]
        for sentence in sentences:
            say(f"{job.student}, {job.slug}: {sentence}", style="red" if verdict.status == "error" else None)
        if result.details:
            say(result.details, file=sys.stderr)
