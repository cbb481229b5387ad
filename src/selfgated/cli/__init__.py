"""The ``selfgated`` command: look up an activation, get data, train, sweep, search, audit, check the rest.

Each command has a file or a folder of its own here, with ``add(commands)``: it adds the command's parser and
sets its ``run``, a function of the parsed arguments that returns the exit code.
"""

import argparse
import os
import sys
from importlib import import_module

from selfgated import __version__

__all__ = ["main"]

COMMANDS = ("act", "audit", "data", "doctor", "search", "sweep", "train")


class Parser(argparse.ArgumentParser):
    """A parser, and by inheritance those of the commands, whose errors are one line without the usage."""

    def error(self, message):
        """Exit with code 2."""
        self.exit(2, f"selfgated: {message}; see `{self.prog} --help`\n")


def _parser():
    parser = Parser(prog="selfgated", description="Smooth activation functions.")
    parser.add_argument("--version", action="version", version=f"selfgated {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        import_module(f"{__name__}.{name}").add(commands)
    return parser


def main(argv=None):
    """Run the command.

    Parameters
    ----------
    argv : list of str, optional
        Arguments without the program's name; by default those of the process.

    Returns
    -------
    int
        Exit code: 0; 1 if `doctor` misses something or a package is missing; 2 for bad input, with one line
        on stderr; 130 after Ctrl-C.
    """
    args = _parser().parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a name such as Müller in an ASCII terminal
    try:
        code = args.run(args)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, head for instance, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("selfgated: interrupted", file=sys.stderr)
        return 130  # 128 + SIGINT, as a shell reports it
    except ImportError as error:
        print(f"selfgated: {error}; see `selfgated doctor`", file=sys.stderr)
        return 1
    except (ValueError, TypeError, ArithmeticError, OSError) as error:
        print(f"selfgated: {error}", file=sys.stderr)
        return 2
    return code
