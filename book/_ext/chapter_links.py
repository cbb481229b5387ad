"""A box at the end of each chapter: its assignment, the solutions, and its notebook to download.

The chapters' notebooks name none of it: the box links what ``book/assignments`` holds, made from solutions/.
"""

import json
import re
from pathlib import Path

from docutils import nodes
from sphinx import addnodes

CHAPTER = re.compile(r"notebooks/(\w+)")
ASSIGNMENT = re.compile(r"book/assignments/\w+")
SOURCE_BUTTONS = {"download-notebook-button", "download-source-button"}


def _page(docname, text):
    """A link to a page of the book."""
    link = addnodes.pending_xref(
        "", refdomain="std", reftype="doc", reftarget=f"/{docname}", refexplicit=True, refwarn=True
    )
    link += nodes.inline("", text, classes=["xref", "std", "std-doc"])
    return link


def _download(path, text, docname):
    """A link that downloads a file of the project."""
    link = addnodes.download_reference("", "", refdoc=docname, refdomain="", reftype="download")
    link["reftarget"] = f"/{path}"
    link += nodes.inline("", text)
    return link


def _item(*parts):
    """An entry of the list, from text and links."""
    inline = [nodes.Text(part) if isinstance(part, str) else part for part in parts]
    return nodes.list_item("", nodes.paragraph("", "", *inline))


def entries(docname, about):
    """The entries of the box of a chapter; ``about`` are the facts of its assignment, or None."""
    notebook = _item(_download(f"{docname}.ipynb", "The notebook of this chapter", docname), " to download")
    if about is None:
        return [notebook]
    name = about["assignment"]
    page = f"book/assignments/{name}"
    students = _download(f"exercises/{name}/{name}.ipynb", "the notebook for students", docname)
    return [
        _item(_page(page, about["title"]), f", {about['points']} points, about {about['minutes']} minutes"),
        _item("To work on it, download ", students),
        _item(_page(page, "Its solutions"), ", each hidden until you ask for it"),
        notebook,
    ]


def add_box(app, doctree):
    """Append the box to a chapter as it is read, before Sphinx collects its downloads."""
    docname = app.env.docname
    chapter = CHAPTER.fullmatch(docname)
    if not chapter:
        return
    page = Path(app.srcdir, "book", "assignments", f"{chapter[1]}.ipynb")
    about = None
    if page.is_file():
        app.env.note_dependency(str(page))
        about = json.loads(page.read_text(encoding="utf-8"))["metadata"]["selfgated"]
    title = "Your turn" if about else "Take it with you"
    box = nodes.admonition("", nodes.title("", title), classes=["course"])
    box += nodes.bullet_list("", *entries(docname, about))
    (doctree.next_node(nodes.section) or doctree).append(box)


def drop_source_buttons(app, pagename, templatename, context, doctree):
    """Drop the buttons that download the source of an assignment's page: it holds the solutions unfolded."""
    if ASSIGNMENT.fullmatch(pagename):
        for group in context.get("header_buttons", []):
            if group["label"] == "download-buttons":
                group["buttons"] = [item for item in group["buttons"] if item["label"] not in SOURCE_BUTTONS]


def setup(app):
    app.connect("doctree-read", add_box, priority=100)
    app.connect("html-page-context", drop_source_buttons, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
