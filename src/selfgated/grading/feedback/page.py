"""One feedback page: what the template needs, from a verdict and the marks of a person."""

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from selfgated.grading.feedback.markdown import Markdown, chapter_address, highlighted
from selfgated.grading.feedback.mathml import Formulas
from selfgated.grading.feedback.outputs import Budget, rendered
from selfgated.grading.feedback.problems import (
    Problem,
    cells_of,
    is_statement,
    problem_of,
    problems,
    title_of,
)
from selfgated.grading.feedback.text import cut, plain, without_hidden_tests
from selfgated.grading.verdict import Cell, Verdict, plain_points

HERE = Path(__file__).parent
MOST_CELLS = 300
STATES = {"right": "all points", "partly": "some points", "lost": "no points", "waits": "not marked yet"}
LABELS = {
    "answer": "Your answer",
    "open": "Your answer",
    "extra": "A cell of yours",
    "code": "Given code",
    "test": "The visible part of the check",
}
STOPPED = {
    "error": "This cell stopped with an error.",
    "timeout": "This cell was stopped: it took too long.",
    "killed": "This cell ended its process.",
    "missing": "This cell was missing from your notebook.",
}


class Renderer:
    """Make pages, many with one node process; use it in a ``with`` statement.

    Parameters
    ----------
    book : str or None
        Address of the book's site, absolute or relative to the pages. Without it nothing links to the book.
    """

    def __init__(self, *, book: str | None = None) -> None:
        """Read the template and the style once."""
        self._book = book
        self._formulas = Formulas()
        self._markdown = Markdown(self._formulas, book=book)
        environment = Environment(
            autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        environment.filters |= {
            "points": plain_points,
            "shown": _shown,
            "inline": self._inline,
            "markdown": self._comment,
        }
        self._template = environment.from_string((HERE / "page.html").read_text(encoding="utf-8"))
        self._style = Markup((HERE / "style.css").read_text(encoding="utf-8"))
        self._known: dict[tuple[str, int], str] = {}

    def __enter__(self) -> "Renderer":
        """Return itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """End the node process."""
        self._formulas.close()

    def page(
        self,
        verdict: Verdict,
        notebook: Mapping[str, Any] | None = None,
        *,
        marks: Mapping[str, Mapping[str, Any]] | None = None,
        late: float = 0.0,
    ) -> str:
        """Return the HTML of one page. Parameters as in `selfgated.grading.feedback.write`."""
        self._formulas.new_page()
        cells = list(verdict.cells) or (cells_of(notebook) if notebook else [])
        found = problems(verdict, cells, marks or {})
        earned = sum(problem.score for problem in found.values())
        given = (cell for cell in cells if is_statement(cell) and not problem_of(cell.id))
        title = next(filter(None, (title_of(cell.source) for cell in given)), verdict.assignment)
        book = chapter_address(self._book, verdict.assignment) if self._book else None
        return self._template.render(
            verdict=verdict,
            style=self._style,
            title=title,
            chapter=book,
            problems=found.values(),
            links={key: self._section(problem) for key, problem in found.items()},
            states=STATES,
            summary=summary(verdict, list(found.values())),
            points=sum(problem.points for problem in found.values()),
            earned=earned,
            late=late,
            total=max(0.0, earned - late),
            waits=any(problem.waits for problem in found.values()),
            cells=self._cells(verdict, found) if verdict.cells else [],
            more_cells=max(0, len(verdict.cells) - MOST_CELLS),
        )

    def _section(self, problem):
        if problem.link and self._book:
            return chapter_address(self._book, *problem.link)
        return None

    def _cells(self, verdict, found):
        """Yield what the template shows of each cell."""
        budget, headed = Budget(), set()
        scores = {score.cell: score for score in verdict.tests}
        last = {problem_of(cell.id): cell.id for cell in verdict.cells[:MOST_CELLS]}
        for cell in verdict.cells[:MOST_CELLS]:
            key = problem_of(cell.id)
            first = bool(key) and key not in headed and key in found
            headed.add(key)
            yield {
                "cell": cell,
                "anchor": key if first else "",
                "last": key in found and last[key] == cell.id,
                "problem": found.get(key),
                "score": scores.get(cell.id),
                "label": LABELS.get(cell.kind, ""),
                "stopped": cell.message or STOPPED.get(cell.status, ""),
                "body": Markup(self._body(cell, budget, headed=bool(headed - {""}))),
                "outputs": Markup(self._outputs(cell, budget, found.get(key))),
            }

    def _body(self, cell, budget, *, headed):
        level = 4 if headed else 3
        if is_statement(cell):  # the same in three hundred submissions
            known = (cell.source, level)
            if known not in self._known:
                self._known[known] = self._markdown.render(without_title(cell.source), level=level)
            return self._known[known]
        source, rest = budget.text(without_hidden_tests(cell.source))
        after = f'<p class="cut">{rest}</p>' if rest else ""
        if cell.cell_type == "markdown":
            return self._markdown.render(source, level=level) + after
        return f'<pre class="code" tabindex="0"><code>{highlighted(source)}</code></pre>{after}'

    def _outputs(self, cell: Cell, budget: Budget, problem: Problem | None) -> str:
        if cell.kind == "test" or cell.cell_type != "code":
            return ""
        where = f"problem {problem.key.removeprefix('p')}" if problem else "the notebook"
        return rendered(cell.outputs, budget=budget, alt=f"Picture made by your code, {where}, number")

    def _comment(self, text):
        return Markup(self._markdown.render(text, level=4))

    def _inline(self, text):
        """Return a line of Markdown without the paragraph around it."""
        html = self._markdown.render(text).strip()
        return Markup(html.removeprefix("<p>").removesuffix("</p>"))


def without_title(source: str) -> str:
    """Return the Markdown of a statement without its first heading, which the page sets itself."""
    first, _, rest = source.lstrip().partition("\n")
    return rest if first.startswith("#") else source


def summary(verdict: Verdict, found: list[Problem]) -> str:
    """Return one sentence that says what happened to a submission.

    Examples
    --------
    >>> summary(Verdict("02_swish", "ada", status="rejected", reason="the file is not JSON"), [])
    'Your submission could not be graded: the file is not JSON.'
    """
    if verdict.status == "rejected":
        return f"Your submission could not be graded: {_sentence(verdict.reason)}"
    if verdict.status == "error":
        return f"Grading failed, and this is not your fault: {_sentence(verdict.reason)} No mark was given."
    judged = [problem for problem in found if problem.tests]
    right = sum(problem.state == "right" for problem in judged)
    waits = sum(problem.waits for problem in found)
    if judged and right == len(judged):
        text = f"All {right} judged problems are right." if right > 1 else "The judged problem is right."
    else:
        text = f"{right} of {len(judged)} judged problems are fully right."
    if waits:
        text += f" {waits} answer{' waits' if waits == 1 else 's wait'} for a mark by a person."
    return text


def _sentence(text):
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _shown(text):
    """Return a message of a stranger, escaped and cut."""
    kept, rest = cut(plain(text), limit=1500, lines=15)
    return Markup(escape(kept) + (f' <span class="cut">{rest}</span>' if rest else ""))
