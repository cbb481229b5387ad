"""A submitted notebook: untrusted bytes, read and checked."""

import hashlib
import json
import math
import os
import stat
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from selfgated.grading.names import shown

LARGEST = 5_000_000  # bytes
CELLS = 500
BRACKETS = 400_000  # objects and lists of a whole notebook
DIGITS = 1000  # of one number
ENTRIES = 1000  # files that are looked at to find a renamed notebook


class Refused(ValueError):
    """A submission that cannot be graded; the message is one sentence for the student."""


@dataclass(frozen=True)
class Submission:
    """A notebook that could be read.

    Parameters
    ----------
    notebook : dict
        nbformat 4.
    sha256 : str
        Hash of the bytes of the file.
    notes : tuple of str
        What was unusual about it.
    """

    notebook: dict
    sha256: str
    notes: tuple[str, ...] = ()


def read(path, name, *, root):
    """Read the notebook `name` of a submission.

    Parameters
    ----------
    path : Path
        The folder of the submission, or a file.
    name : str
        The file's name as it should be, ``02_swish.ipynb``. In a folder a single notebook of another name is
        taken instead.
    root : Path
        A trusted folder above `path`; below it no symbolic link is followed.

    Returns
    -------
    Submission

    Raises
    ------
    Refused
        With the reason as one sentence.
    ValueError
        If `path` is not below `root`: a mistake of the caller.
    """
    steps = Path(os.path.abspath(path)).relative_to(os.path.abspath(root)).parts
    data, notes = _bytes(os.path.abspath(root), steps, name)
    return Submission(checked(data), hashlib.sha256(data).hexdigest(), tuple(notes))


def _bytes(root, steps, name):
    """Return the content of the file, and notes; each step is opened by itself, so none can be swapped."""
    notes = []
    with ExitStack() as opened:
        place = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        opened.callback(os.close, place)
        for step in steps:
            place = _entered(place, step, opened)
        if stat.S_ISDIR(os.fstat(place).st_mode):
            found = _chosen(place, name)
            if found != name:
                notes.append(f"the notebook was named {shown(found)}; it was taken as {name}")
            place = _entered(place, found, opened)
        return _content(place, name), notes


def _entered(place, step, opened):
    """Open `step` in the folder `place` without following a link or waiting for a pipe."""
    try:
        inside = os.open(step, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=place)
    except FileNotFoundError:
        raise Refused(f"there is no {shown(step)}") from None
    except (OSError, ValueError) as error:
        try:
            mode = os.stat(step, dir_fd=place, follow_symlinks=False).st_mode
        except (OSError, ValueError):
            mode = 0
        if stat.S_ISLNK(mode):
            raise Refused(f"{shown(step)} is a symbolic link, which is not followed") from None
        raise Refused(f"{shown(step)} cannot be read: {getattr(error, 'strerror', error)}") from None
    opened.callback(os.close, inside)
    return inside


def _content(place, name):
    """Return the bytes of an open file."""
    about = os.fstat(place)
    if not stat.S_ISREG(about.st_mode):
        raise Refused(f"{name} is no file, but {_kind(about.st_mode)}")
    if about.st_size > LARGEST:
        size = f"{about.st_size:,} bytes; a notebook may have {LARGEST:,}"
        raise Refused(f"{name} has {size} (clear its outputs)")
    data = b""
    while len(data) <= LARGEST and (chunk := os.read(place, LARGEST + 1 - len(data))):
        data += chunk
    if len(data) > LARGEST:
        raise Refused(f"{name} grew while it was read")
    return data


def _chosen(place, name):
    """Return the name of the notebook in a folder."""
    names = []
    with os.scandir(place) as entries:
        for number, entry in enumerate(entries):
            if number >= ENTRIES:
                raise Refused(f"the folder holds more than {ENTRIES} files")
            names.append(entry.name)
    if name in names:
        return name
    notebooks = sorted(
        entry for entry in names if entry.lower().endswith(".ipynb") and not entry.startswith(".")
    )
    if len(notebooks) == 1:
        return notebooks[0]
    listed = ", ".join(shown(entry) for entry in (notebooks or sorted(names))[:5]) or "nothing"
    if notebooks:
        raise Refused(f"there is no {name}, and more than one other notebook: {listed}")
    raise Refused(f"there is no notebook {name}; the folder holds {listed}")


def _kind(mode):
    kinds = {
        stat.S_ISDIR: "a folder",
        stat.S_ISFIFO: "a pipe",
        stat.S_ISSOCK: "a socket",
        stat.S_ISBLK: "a device",
    }
    return next((text for test, text in kinds.items() if test(mode)), "a device")


def checked(data):
    """Return the notebook in `data`, as plain nbformat 4.

    Parameters
    ----------
    data : bytes
        Of any content.

    Raises
    ------
    Refused
        With the reason as one sentence.
    """
    if not data.strip():
        raise Refused("the file is empty")
    if data.count(b"[") + data.count(b"{") > BRACKETS:
        raise Refused(f"the file holds more than {BRACKETS:,} lists and objects, which no notebook does")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused(f"the file is not UTF-8: byte {error.start} cannot be read") from None
    try:
        notebook = json.loads(
            text,
            parse_int=_integer,
            parse_float=_number,
            parse_constant=lambda _name: None,  # NaN in the metadata of an output, which nobody reads
            object_pairs_hook=_unique,
        )
    except RecursionError:
        raise Refused("the file is nested too deep for a notebook") from None
    except Refused:
        raise
    except ValueError as error:
        raise Refused(f"the file is no JSON, so no notebook: {error}") from None
    if not isinstance(notebook, dict):
        raise Refused("the file is JSON, but no notebook")
    return _versioned(notebook)


def _integer(text):
    if len(text) > DIGITS:
        raise Refused(f"the file holds a number of {len(text):,} digits")
    return int(text)


def _number(text):
    value = float(text)
    return value if math.isfinite(value) else None


def _unique(pairs):
    keys = dict(pairs)
    if len(keys) != len(pairs):
        raise Refused(
            "the file names something twice in one object, so no program would read it as another does"
        )
    return keys


def _versioned(notebook):
    major, cells = notebook.get("nbformat"), notebook.get("cells")
    if major == 3 or "worksheets" in notebook:
        raise Refused(
            "the notebook has the old format 3; open it in JupyterLab, save it and hand it in again"
        )
    if major != 4:
        raise Refused("the file is JSON, but no notebook of format 4")
    if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
        raise Refused("the notebook has no list of cells")
    if len(cells) > CELLS:
        raise Refused(f"the notebook has {len(cells):,} cells; {CELLS} are allowed")
    metadata = notebook.get("metadata")
    info = metadata.get("language_info") if isinstance(metadata, dict) else None
    language = info.get("name", "python") if isinstance(info, dict) else "python"
    if language != "python":
        raise Refused(f"the notebook is written for {shown(str(language))}, not for Python")
    return {"nbformat": 4, "cells": [_plain_cell(cell, place) for place, cell in enumerate(cells, start=1)]}


def _plain_cell(cell, place):
    """Return type, source, grade_id, id of a cell, and whether it holds pictures."""
    kind, source = cell.get("cell_type"), cell.get("source")
    if kind not in ("code", "markdown", "raw", "heading"):
        raise Refused(f"cell {place} is of the unknown type {shown(str(kind))}")
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        source = "".join(source)
    if not isinstance(source, str):
        raise Refused(f"cell {place} has no text")
    metadata = cell.get("metadata") if isinstance(cell.get("metadata"), dict) else {}
    flags = metadata.get("nbgrader") if isinstance(metadata.get("nbgrader"), dict) else {}
    return {
        "cell_type": kind,
        "source": source.encode("utf-8", "replace").decode("utf-8"),
        "grade_id": flags.get("grade_id") if isinstance(flags.get("grade_id"), str) else None,
        "id": cell.get("id") if isinstance(cell.get("id"), str) else None,
        "pictures": bool(cell.get("attachments")),
    }
