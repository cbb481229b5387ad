"""What several commands need: assignments that exist, the late rule with its extensions."""

import nbformat

from selfgated.grading.assignment import Assignment, slugs
from selfgated.grading.course import ROOT, CourseError
from selfgated.grading.gradebook import enter_assignment, set_penalties
from selfgated.grading.late import load_rule, read_extensions

__all__ = ["choices", "chosen", "enter", "late", "option"]


def option(parser, *, student=False):
    """Add the options that choose an assignment and, if asked for, a student."""
    parser.add_argument("--assignment", metavar="NN_slug", help="this assignment only")
    if student:
        parser.add_argument("--student", metavar="NAME", help="this student only")


def choices(args):
    """Assignments that exist.

    Raises
    ------
    CourseError
        If there are none.
    """
    found = slugs(args.solutions)
    if not found:
        raise CourseError(f"no assignments in {args.solutions}")
    return found


def chosen(args, name):
    """An assignment that was named, or None; an unknown one is answered with the choices."""
    found = choices(args)
    if name is not None and name not in found:
        raise CourseError(f"unknown assignment {name!r}; choose from {found}")
    return name


def enter(book, assignment, *, due=None):
    """Enter an assignment as it is now; returns the copy of the gradebook, if one had to be made."""
    return enter_assignment(book, assignment.slug, nbformat.from_dict(assignment.release()), due=due)


def late(args, book):
    """Bring penalties up to date; returns the rule."""
    rule = load_rule(ROOT)
    set_penalties(book, rule, read_extensions(args.course.extensions, choices=choices(args)))
    return rule


def load(args, slug):
    """An assignment by name."""
    return Assignment.load(slug, root=args.solutions)
