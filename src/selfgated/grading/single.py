"""Grade one submission: its code runs in the sandbox, the judge outside gets data only."""

import contextlib
import io
import os
import time
import traceback
import warnings
from pathlib import Path

from selfgated.grading import judge, submission
from selfgated.grading.cleaning import cleaned
from selfgated.grading.feedback.text import plain
from selfgated.grading.merge import merge, open_text
from selfgated.grading.remote import RemoteStudent
from selfgated.grading.sandbox import Limits, SandboxFailure
from selfgated.grading.verdict import Cell, Open, Part, Score, Verdict

SENTENCE = 1000  # characters of a message
SHOWN = 200_000  # characters of all outputs
LOUD = ("timeout", "killed")


def grade(path, assignment, *, sandbox, limits=None, student="", root=None, slot=0):
    """Grade the submission at `path`.

    Parameters
    ----------
    path : Path
        Folder of the submission (``submitted/ada/02_swish``), or the notebook in it.
    assignment : Assignment
        From `Assignment.load`.
    sandbox : str
        What `find_sandbox()` returned: ``"bubblewrap"``; ``"none"`` must be asked for by the caller.
    limits : Limits, optional
        Default: those of the assignment's imports.
    student : str
        Name of the student's folder; default: the parent of a folder ``path``.
    root : Path, optional
        A trusted folder above `path` (``submitted``): no symbolic link is followed below it. Default: two
        above.
    slot : int
        Number of the worker, 0, 1, ...

    Returns
    -------
    Verdict
        Nothing that the student did raises. A failure of the judge or of the sandbox gives the status
        ``error``.

    Raises
    ------
    ValueError
        If `sandbox` is unknown, or `path` not below `root`.
    """
    if sandbox not in ("bubblewrap", "none"):
        raise ValueError(f"unknown sandbox {sandbox!r}; choose from ['bubblewrap', 'none']")
    begin, path = time.monotonic(), Path(path)
    limits = limits or Limits.of(assignment.imports)
    facts = {
        "assignment": assignment.slug,
        "student": student or path.parent.name,
        "source": assignment.sha256,
        "sandbox": sandbox,
    }
    try:
        read = submission.read(path, f"{assignment.slug}.ipynb", root=root or path.parent.parent)
        facts |= {"submission": read.sha256, "notes": read.notes}
        merged, notes = merge(assignment, read.notebook)
        facts["notes"] += tuple(notes)
    except submission.Refused as error:
        return Verdict(**facts, status="rejected", reason=_sentence(str(error)), seconds=_since(begin))
    try:
        found = _judged(assignment, merged, sandbox, limits, slot)
    except (Exception, SandboxFailure) as error:
        where = "".join(traceback.format_exception(error))[-4000:]
        reason = f"grading failed, which is not the student's fault: {type(error).__name__}: {error}"
        facts["notes"] += (where,)
        return Verdict(**facts, status="error", reason=reason, seconds=_since(begin))
    facts["notes"] += tuple(f"{cell.id}: {cell.message}" for cell in found["cells"] if cell.status in LOUD)
    return Verdict(**facts, **found, seconds=_since(begin))


def _since(begin):
    return round(time.monotonic() - begin, 3)


def _sentence(text):
    text = plain(text)
    return text if len(text) <= SENTENCE else text[:SENTENCE] + "..."


def _judged(assignment, merged, sandbox, limits, slot):
    """Run the cells, judge the tests, and return the fields of the verdict that come of it."""
    code = [
        (cell.id, cell.source, cell.kind == "extra")
        for cell in merged
        if cell.cell_type == "code" and cell.kind != "test"
    ]
    with RemoteStudent(code, sandbox, assignment.imports, limits, slot=slot) as student:
        ran = student.run_cells()
        with _quiet():
            scores = [_score(assignment, cell, student) for cell in assignment.tests]
        cpu = student.cpu
    room = [SHOWN]
    opens = [
        Open(cell.id, assignment.by_id[cell.id].points, open_text(cell))
        for cell in merged
        if cell.kind == "open"
    ]
    cells = tuple(_cell(cell, ran.get(cell.id), room) for cell in merged)
    return {"tests": tuple(scores), "open": tuple(opens), "cells": cells, "cpu": round(cpu, 2)}


def _cell(cell, state, room):
    """Return the cell of the verdict for a merged cell and what running it gave."""
    if cell.missing:
        status, message = "missing", "the notebook lacks this cell"
    elif state is not None:
        status, message = state.status, _sentence(state.message)
    else:
        status, message = ("ok" if cell.kind == "test" else "skipped"), ""
    outputs = cleaned(state.outputs, room) if state else []
    return Cell(cell.id, status, message, outputs, cell.kind, cell.cell_type, cell.source, cell.metadata)


@contextlib.contextmanager
def _quiet():
    """Let tests print and warn without a trace."""
    kept = os.environ.get("MPLBACKEND")
    os.environ["MPLBACKEND"] = "agg"
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if kept is None:
            del os.environ["MPLBACKEND"]
        else:
            os.environ["MPLBACKEND"] = kept


def _score(assignment, cell, student):
    found = judge.examine(cell, student, assignment.names, prelude=assignment.prelude)
    parts = tuple(Part(part.title, part.points, part.earned, _sentence(part.message)) for part in found.parts)
    return Score(cell.id, found.points, found.earned, _sentence(found.check), parts)
