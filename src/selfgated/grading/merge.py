"""A submitted notebook put together with the release version of its assignment."""

from dataclasses import dataclass

from selfgated.grading.submission import Refused

OPEN_TEXT = 50_000  # characters of an open answer


@dataclass(frozen=True)
class Merged:
    """One cell of the notebook that is run: the release version if locked, otherwise the student's.

    Parameters
    ----------
    id, kind, cell_type, source, metadata
        As in `verdict.Cell`.
    missing : bool
        Whether the student's notebook lacks the cell.
    """

    id: str
    kind: str
    cell_type: str
    source: str
    metadata: dict
    missing: bool = False


def merge(assignment, notebook):
    """Put the student's answers and added cells into the release version of the assignment.

    Parameters
    ----------
    assignment : Assignment
        From `Assignment.load`.
    notebook : dict
        From `checked`.

    Returns
    -------
    (list of Merged, list of str)
        The cells in order, and notes.

    Notes
    -----
    Locked cells are those of the release, in its order, whatever became of them in the submission. An
    answer is the first cell with its ``grade_id`` (or, where a tool dropped that, with its cell id). Every
    other cell was added by the student and stays behind the assignment's cell that it followed; so does the
    second half of an answer that was split in two.
    """
    known, notes = assignment.by_id, []
    given, added, anchor, count = {}, {None: []}, None, 0
    for cell in notebook["cells"]:
        name = next((name for name in (cell["grade_id"], cell["id"]) if name in known), None)
        if name is not None and name not in given:
            given[name], anchor = cell, name
            continue
        if name is not None and known[name].kind not in ("answer", "open"):
            continue
        if name is not None:
            notes.append(
                f"{name} is there more than once; every cell of it was run, in the order of the notebook"
            )
        count += 1
        kind = "code" if cell["cell_type"] == "code" else "markdown"
        added.setdefault(anchor, []).append(Merged(f"extra-{count}", "extra", kind, cell["source"], {}))
        notes += _pictures(f"extra-{count}", cell)
    if not any(known[name].kind in ("answer", "open") for name in given):
        raise Refused(
            f"the notebook has no answer cell of {assignment.slug}: is it that of another assignment?"
        )
    merged = list(added[None])
    for raw, cell in zip(assignment.release()["cells"], assignment.cells, strict=True):
        merged.append(_merged(raw, cell, given.get(cell.id), notes))
        merged += added.get(cell.id, [])
    return merged, list(dict.fromkeys(notes))


def _merged(raw, cell, answer, notes):
    metadata, kind = raw["metadata"], raw["cell_type"]
    if cell.kind not in ("answer", "open"):
        return Merged(cell.id, cell.kind, kind, cell.release, metadata)
    if answer is None:
        notes.append(f"{cell.id}: the cell for the answer is missing")
        return Merged(cell.id, cell.kind, kind, cell.release, metadata, missing=True)
    if answer["cell_type"] != kind:
        notes.append(f"{cell.id} was a {answer['cell_type']} cell; it was taken as a {kind} cell")
    notes += _pictures(cell.id, answer)
    return Merged(cell.id, cell.kind, kind, answer["source"], metadata)


def _pictures(name, cell):
    return (
        [f"{name} holds pictures, which are not kept: look at the submitted file"] if cell["pictures"] else []
    )


def open_text(cell):
    """Return the answer to an open question, cut at a length that a person can read; empty if untouched."""
    if cell.missing:
        return ""
    text = cell.source
    return text if len(text) <= OPEN_TEXT else text[:OPEN_TEXT] + "\n\n[the rest was cut]"
