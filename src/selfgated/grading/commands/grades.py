"""``grades``: grades.csv, a line per student and assignment, and grades_wide.csv, a line per student."""

from selfgated.grading import batch
from selfgated.grading.commands import common
from selfgated.grading.console import say, table
from selfgated.grading.gradebook import open_book, totals
from selfgated.grading.late import read_extensions
from selfgated.grading.names import shown
from selfgated.grading.tables import write_table

__all__ = ["add"]

COLUMNS = (
    *("student", "assignment", "auto", "manual", "penalty", "total", "maximum", "status"),
    *("submitted", "due", "late_days", "reason"),
)


def add(commands):
    """Add the command."""
    parser = commands.add_parser("grades", help="write grades.csv and grades_wide.csv")
    parser.set_defaults(run=run)


def run(args):
    """Write both tables; say what is not final."""
    with args.course.lock("grades"), open_book(args.course) as book:
        rule = common.late(args, book)
        rows = [_row(total) for total in totals(book, rule)]
    _mark_newer(args, rows)
    _say_unused_extensions(args, rows)
    path, wide = args.course.folder / "grades.csv", args.course.folder / "grades_wide.csv"
    write_table(path, COLUMNS, rows)
    _write_wide(wide, rows)
    summary = {}
    for row in rows:
        counts = summary.setdefault(row["assignment"], {})
        counts[row["status"]] = counts.get(row["status"], 0) + 1
    if summary:
        words = [
            (slug, ", ".join(f"{count} {status}" for status, count in sorted(counts.items())))
            for slug, counts in sorted(summary.items())
        ]
        say(table(words, head=("assignment", "results")))
    say(f"{path}: {len(rows)} rows; {wide}: a row per student")
    return 0


def _row(total):
    known = total.status != "error"  # our fault is no zero: the cells stay empty
    return {
        "student": total.student,
        "assignment": total.assignment,
        "auto": total.auto if known else None,
        "manual": total.manual if known else None,
        "penalty": total.penalty if known else None,
        "total": round(total.total, 2) if known else None,
        "maximum": total.maximum,
        "status": total.status,
        "submitted": total.submitted and total.submitted.astimezone().isoformat(sep=" ", timespec="seconds"),
        "due": total.due and total.due.astimezone().isoformat(sep=" ", timespec="minutes"),
        "late_days": total.late_days,
        "reason": total.reason,
    }


def _mark_newer(args, rows):
    """Set the status of submissions that were collected after the last grading."""
    found, _ = batch.discover(args.course, slugs=common.choices(args))
    by_key = {(row["student"], row["assignment"]): row for row in rows}
    for student, slug in found:
        row = by_key.get((student, slug))
        if row is None:
            row = dict.fromkeys(COLUMNS) | {"student": student, "assignment": slug}
            rows.append(row)
        if row["status"] != "error" and batch.is_newer(args.course, student, slug):
            row["status"] = "not graded"
    rows.sort(key=lambda row: (row["student"], row["assignment"]))


def _say_unused_extensions(args, rows):
    """Name the lines of the table of extensions that belong to no submission: a name may be misspelt."""
    known = {(row["student"], row["assignment"]) for row in rows if row["submitted"]}
    for student, slug in sorted(
        set(read_extensions(args.course.extensions, choices=common.choices(args))) - known
    ):
        say(f"{args.course.extensions.name}: {shown(student)} has not handed in {slug}, or is misspelt")


def _write_wide(path, rows):
    slugs = sorted({row["assignment"] for row in rows})
    students = {}
    for row in rows:
        students.setdefault(row["student"], {})[row["assignment"]] = row
    lines = []
    for student, found in sorted(students.items()):
        known = [row["total"] for row in found.values() if row["total"] is not None]
        lines.append(
            {
                "student": student,
                **{slug: found[slug]["total"] for slug in slugs if slug in found},
                "sum": sum(known),
                "maximum": sum(row["maximum"] or 0 for row in found.values()),
                "not final": sum(
                    row["status"] not in ("final", "not handed in", "rejected") for row in found.values()
                ),
            }
        )
    write_table(path, ("student", *slugs, "sum", "maximum", "not final"), lines)
