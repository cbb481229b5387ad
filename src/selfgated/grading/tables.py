"""CSV tables for spreadsheets: written so that no cell is run as a formula, read back with line numbers."""

import csv
import io
import unicodedata

from selfgated.grading.course import CourseError, write_whole

__all__ = ["harmless", "plain", "read_table", "write_table"]

# A spreadsheet takes a cell that begins so for a formula, the full-width forms as well.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%", "＝", "＋", "－", "＠")
LARGEST = 20_000_000


def harmless(value):
    """A value as a cell that a spreadsheet shows and never runs.

    Numbers stay; text that begins like a formula gets an apostrophe before it; control characters become
    spaces.

    Examples
    --------
    >>> harmless('=cmd|"/c calc"!A1')
    '\\'=cmd|"/c calc"!A1'
    >>> harmless(-2.5)
    '-2.5'
    """
    if value is None:
        return ""
    if isinstance(value, int | float):
        return f"{round(value, 6):g}"
    clean = "".join(" " if unicodedata.category(char)[0] == "C" else char for char in str(value))
    return f"'{clean}" if clean.lstrip(" '").startswith(FORMULA) else clean


def plain(text):
    """The text of a cell that `harmless` wrote."""
    return text[1:] if text.startswith("'") and text.lstrip(" '").startswith(FORMULA) else text


def write_table(path, columns, rows):
    """Write a CSV file, whole or not at all: UTF-8 with the mark that Excel asks for.

    Parameters
    ----------
    path : Path
    columns : sequence of str
    rows : iterable of dict
        A missing key is an empty cell.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows([harmless(row.get(column)) for column in columns] for row in rows)
    write_whole(path, "\ufeff" + text.getvalue())


def read_table(path, columns):
    """Read a CSV file that a person filled in.

    Parameters
    ----------
    path : Path
        UTF-8; comma, semicolon or tab between cells, as spreadsheets write them.
    columns : sequence of str
        Columns that it must have, in any order.

    Returns
    -------
    list of (int, dict)
        Line number in the file (the last one of a row with line breaks) and cells; empty rows are left out.

    Raises
    ------
    CourseError
        If it cannot be read or lacks a column.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise CourseError(f"{path} is larger than {LARGEST // 1_000_000} MB")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise CourseError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CourseError(f"{path} is not UTF-8; save it as 'CSV UTF-8'") from None
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, restkey="", restval="")
        found = [str(name).strip().lower() for name in reader.fieldnames or ()]
        if missing := [name for name in columns if name not in found]:
            raise CourseError(
                f"{path.name} has no column {missing[0]!r}; it needs {list(columns)}, it has {found}"
            )
        reader.fieldnames = found
        return [
            (reader.line_num, {name: plain(row[name]) for name in columns})
            for row in reader
            if any(value for name, value in row.items() if name)
        ]
    except csv.Error as error:
        raise CourseError(f"{path.name}, line {reader.line_num}: {error}") from None
