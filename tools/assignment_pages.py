"""The pages of the assignments: book/assignments/NN_slug.ipynb, made from solutions/ when the book is built.

A reader sees the whole assignment with its outputs; each solution and each model answer stays folded until it
is asked for. Hidden tests are cut: they decide the points of a course and are on no page.
"""

import re

import nbformat
from assignments import ROOT, facts, read, sources, write

from notebooks import normalise, serialise

HIDDEN = re.compile(
    r"^[^\n]*### BEGIN HIDDEN TESTS.*?### END HIDDEN TESTS[^\n]*(?:\n|\Z)", re.DOTALL | re.MULTILINE
)
MARKER = re.compile(r"^[^\n]*### (?:BEGIN|END) SOLUTION[^\n]*(?:\n|\Z)", re.MULTILINE)
LEFT_OVER = re.compile(r"#\s*(?:BEGIN|END)\s+(?:HIDDEN|SOLUTION|MARK)", re.IGNORECASE)
HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)
PROMPTS = {"code_prompt_show": "Show the solution", "code_prompt_hide": "Hide the solution"}
NOTE = """\
:::{{admonition}} Your copy
:class: course
This is the assignment of {{ref}}`its chapter <{chapter}>`. Each solution stays hidden until you ask for it.
Work in your own copy: download [the notebook for students](path:../../exercises/{name}/{name}.ipynb).
:::"""
ANSWER = """\
::::::{{dropdown}} A model answer, with its rubric
:class-container: model-answer
{}
::::::"""


def folder(root=ROOT):
    """Where the pages are made; git ignores it."""
    return root / "book" / "assignments"


def cut(source):
    """Source of a cell without its hidden tests. Raises ValueError where a marker has no partner."""
    kept = HIDDEN.sub("", source)
    if "HIDDEN TESTS" in kept:
        raise ValueError(f"a marker of hidden tests has no partner in: {kept}")
    return kept.rstrip()


def shown(cell, name):
    """The cell as the page shows it, or None where nothing is left; ``name`` is that of its assignment."""
    mark = cell.metadata.pop("nbgrader", {})
    if cell.cell_type == "markdown":
        if mark.get("solution"):
            # A heading inside a folded box would break the outline of the page.
            cell.source = ANSWER.format(HEADING.sub(r"**\1**", cell.source))
        return cell
    source = cell.source
    cell.source = cut(MARKER.sub("", source))
    if LEFT_OVER.search(cell.source):
        raise ValueError(f"{name}: cell {cell.id!r} has a marker that nbgrader would not know: {cell.source}")
    if mark.get("grade") and cell.source != source:
        cell.outputs = []  # they come from the hidden tests as well
    if mark.get("solution"):
        tags = {"hide-cell" if cell.outputs else "hide-input", *cell.metadata.get("tags", [])}
        cell.metadata["tags"] = sorted(tags)
        cell.metadata["mystnb"] = {**cell.metadata.get("mystnb", {}), **PROMPTS}
    return cell if cell.source else None


def page(name, notebook):
    """The page of an assignment, a notebook, from its source."""
    about = facts(notebook)
    cells = [cell for cell in (shown(cell, name) for cell in notebook.cells) if cell is not None]
    note = NOTE.format(name=name, chapter=f"ch-{name[3:].replace('_', '-')}")
    cells.insert(1, nbformat.v4.new_markdown_cell(note, id="your-copy"))
    notebook.cells = cells
    normalise(notebook)
    notebook.metadata["selfgated"] = nbformat.from_dict({"assignment": name, **about})
    return notebook


def write_pages(root=ROOT):
    """Make the page of every assignment and remove those without a source; returns their paths."""
    paths = [folder(root) / f"{name}.ipynb" for name in sources(root)]
    for path, (name, source) in zip(paths, sources(root).items(), strict=True):
        write(path, serialise(page(name, read(source))))
    for stale in set(folder(root).glob("*")) - set(paths):
        stale.unlink()
    return paths
