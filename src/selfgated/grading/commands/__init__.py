"""The instructor's commands: release, collect, grade, marks, feedback, grades.

Each command has a file of its own here, with ``add(commands)``: it adds the command's parser and sets its
``run``, a function of the parsed arguments that returns the exit code.
"""

import argparse
import os
import sys
from importlib import import_module
from pathlib import Path

from selfgated.grading.assignment import SOLUTIONS, AssignmentError
from selfgated.grading.console import say
from selfgated.grading.course import Course, CourseError

__all__ = ["main"]

COMMANDS = ("release", "collect", "grade", "marks", "feedback", "grades")


class Parser(argparse.ArgumentParser):
    """A parser, and by inheritance those of the commands, whose errors are one line without the usage."""

    def error(self, message):
        """Exit with code 2."""
        say(f"grading: {message}; see `{self.prog} --help`", file=sys.stderr)
        self.exit(2)


def _parser():
    parser = Parser(prog="python -m selfgated.grading", description="The course: from release to grades.")
    parser.add_argument(
        "--course",
        type=lambda text: Course(Path(text)),
        default=Course(Path("course")),
        metavar="FOLDER",
        help="folder of the course (default: course)",
    )
    parser.add_argument(
        "--solutions",
        type=Path,
        default=SOLUTIONS,
        metavar="FOLDER",
        help="folder of the assignments' sources (default: solutions of this repository)",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        import_module(f"{__name__}.{name}").add(commands)
    return parser


def main(argv=None):
    """Run a command.

    Parameters
    ----------
    argv : list of str, optional
        Arguments without the program's name; by default those of the process.

    Returns
    -------
    int
        Exit code: 0; 1 if the grader failed somewhere; 2 for bad input, with a line on stderr that says what;
        130 after Ctrl-C.
    """
    args = _parser().parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        return args.run(args)
    except BrokenPipeError:  # the reader, head for instance, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        say("grading: interrupted", file=sys.stderr)
        return 130
    except (CourseError, AssignmentError, OSError) as error:
        say(f"grading: {error}", style="red", file=sys.stderr)
        return 2
