"""What the commands say: every character of a stranger's text escaped, tables aligned."""

import sys
import unicodedata

from selfgated.grading.names import escaped

__all__ = ["say", "table"]

STYLES = {"red": "\x1b[1;31m", "bold": "\x1b[1m"}


def say(text="", *, style=None, file=None):
    """Write lines to standard output.

    Parameters
    ----------
    text : str
        Control characters but for line ends are escaped: no file name can move the cursor.
    style : str, optional
        ``red`` or ``bold``, in a terminal only.
    file : file, optional
        Instead of standard output.
    """
    file = file or sys.stdout
    clean = "\n".join(escaped(line) for line in text.split("\n"))
    if style and file.isatty():
        clean = f"{STYLES[style]}{clean}\x1b[0m"
    file.write(f"{clean}\n")
    file.flush()


def table(rows, *, head=()):
    """Rows as lines of aligned columns.

    Parameters
    ----------
    rows : list of sequence of str
    head : sequence of str
        Titles of the columns.

    Returns
    -------
    str

    Examples
    --------
    >>> print(table([("ada", "9"), ("grace", "10")], head=("student", "points")))
    student  points
    ada      9
    grace    10
    """
    lines = [[escaped(str(cell)) for cell in row] for row in ([head] if head else []) + list(rows)]
    widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell + " " * (width - _width(cell)) for cell, width in zip(line, widths, strict=True)
        ).rstrip()
        for line in lines
    )


def _width(text):
    """Columns of a terminal that a text takes: two for a wide character, none for a mark on another one."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )
