"""The assignments below ``solutions/``, as the tools see them: where they are, their points, their facts."""

import os
import re
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parent.parent
NAME = re.compile(r"\d\d_[a-z0-9_]+")


def read(path):
    """Notebook at ``path``, in nbformat 4, as it is."""
    return nbformat.reads(Path(path).read_text(encoding="utf-8"), as_version=4)


def sources(root=ROOT):
    """Path of the notebook of each assignment, ``solutions/NN_slug/NN_slug.ipynb``, by NN_slug."""
    folders = sorted(path for path in (root / "solutions").glob("*") if NAME.fullmatch(path.name))
    found = {folder.name: folder / f"{folder.name}.ipynb" for folder in folders if any(folder.iterdir())}
    if missing := [path for path in found.values() if not path.is_file()]:
        raise SystemExit(f"no notebook at {', '.join(path.relative_to(root).as_posix() for path in missing)}")
    return found


def chosen(names, root=ROOT):
    """The named assignments, or all, as `sources` gives them; an unknown name raises SystemExit."""
    found = sources(root)
    for name in names:
        if name not in found:
            raise SystemExit(f"unknown assignment {name!r}; choose from {sorted(found)}")
    return {name: found[name] for name in found if not names or name in names}


def facts(notebook):
    """Title, points, minutes and allowed imports of an assignment: of its source or of its release.

    The title is the first heading, the points are those of all graded cells, the rest stands in the
    notebook's metadata.
    """
    title = next(
        match[1].strip()
        for cell in notebook.cells
        if cell.cell_type == "markdown" and (match := re.search(r"^# (.+)$", cell.source, re.MULTILINE))
    )
    marks = [cell.metadata.get("nbgrader", {}) for cell in notebook.cells]
    about = notebook.metadata.selfgated
    return {
        "title": title,
        "points": sum(mark["points"] for mark in marks if mark.get("grade")),
        "minutes": about["minutes"],
        "imports": list(about["imports"]),
    }


def write(path, text):
    """Write a file whole or not at all, unless it holds these bytes already; returns whether it wrote."""
    if path.is_file() and path.read_bytes() == text.encode():
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text, encoding="utf-8", newline="\n")
    os.replace(draft, path)
    return True
