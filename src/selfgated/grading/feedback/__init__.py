"""Feedback pages: one HTML file a submission, self-contained, that says what was wrong and where.

nbgrader's own ``GenerateFeedback`` is not used. Its template asks content delivery networks for scripts and
styles, so a page works neither offline nor without telling third parties who reads it. It shows the HTML, SVG
and JavaScript outputs of a student's notebook as they are, so a submission could run code in the browser of
whoever opens the page. And it knows nothing of the parts of a test and of why each was lost. What is kept of
nbgrader: marks and comments are those of its database, as entered there or with formgrader.

The page allows itself nothing: no script, no request (Content-Security-Policy ``default-src 'none'``), fonts
of the system, mathematics as MathML. A student's text is escaped, cleaned and cut to size on the way in.
"""

import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from selfgated.grading.feedback.page import Renderer
from selfgated.grading.verdict import Verdict

__all__ = ["Page", "Renderer", "write", "write_batch"]


@dataclass(frozen=True)
class Page:
    """What one feedback page is made from.

    Parameters
    ----------
    verdict : Verdict
        What grading found.
    path : Path
        The HTML file to write.
    notebook : dict, optional
        Release version of the assignment (nbformat): a rejected submission has no cells of its own, and takes
        the titles and points of its problems from here.
    marks : mapping, optional
        Marks and comments of a person, by cell id: ``{"p6": {"score": 3, "extra": 0, "comment": "..."}}``.
        A score replaces the judge's; None, or no entry, leaves it. A comment may be Markdown with formulas.
    late : float
        Points taken off for a late submission.
    """

    verdict: Verdict
    path: Path
    notebook: Mapping[str, Any] | None = None
    marks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    late: float = 0.0


def write(
    verdict: Verdict,
    notebook: Mapping[str, Any] | None,
    path: Path,
    *,
    marks: Mapping[str, Mapping[str, Any]] | None = None,
    late: float = 0.0,
    book: str | None = None,
) -> Path:
    """Write the feedback page of one submission.

    Parameters
    ----------
    verdict, notebook, path, marks, late
        See `Page`.
    book : str, optional
        Address of the book's site, absolute or relative to the page; links to chapters lead there.

    Returns
    -------
    Path
        The file written. Folders are made; a page is written whole or not at all.
    """
    return write_batch([Page(verdict, Path(path), notebook, marks or {}, late)], book=book)[0]


def write_batch(
    pages: Iterable[Page], *, book: str | None = None, progress: Callable[[Path], object] | None = None
) -> list[Path]:
    """Write many feedback pages with one node process.

    Parameters
    ----------
    pages : iterable of Page
        Taken one after another, so a generator that loads verdicts keeps one in memory.
    book : str, optional
        As in `write`.
    progress : callable, optional
        Called with the path of every page written.

    Returns
    -------
    list of Path
        The files written, in order.
    """
    written = []
    with Renderer(book=book) as renderer:
        for page in pages:
            html = renderer.page(page.verdict, page.notebook, marks=page.marks, late=page.late)
            _replace(page.path, html)
            written.append(page.path)
            if progress:
                progress(page.path)
    return written


def _replace(path, html):
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".feedback-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(html)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
