"""An assignment as its source notebook says: cells, points, parts, hidden tests, and what students get."""

import ast
import copy
import hashlib
import json
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
SOLUTIONS = ROOT / "solutions"
CODE_STUB = "# Your answer here.\nraise NotImplementedError"
TEXT_STUB = "Your answer here."
MARKS = {
    "solution": ("### BEGIN SOLUTION", "### END SOLUTION"),
    "hidden": ("### BEGIN HIDDEN TESTS", "### END HIDDEN TESTS"),
}
RUBRIC = re.compile(r"^- (\d+): ", re.MULTILINE)


class AssignmentError(ValueError):
    """A source notebook that breaks the rules of an assignment."""


def slugs(root=SOLUTIONS):
    """Names of the assignments below `root`, sorted."""
    return sorted(path.parent.name for path in Path(root).glob("*/*.ipynb") if path.stem == path.parent.name)


@dataclass(frozen=True)
class Part:
    """One `with part(points, title)` of a hidden test."""

    points: float
    title: str


@dataclass(frozen=True)
class Cell:
    """One cell of the source notebook.

    Attributes
    ----------
    id : str
        Cell id and `grade_id`.
    kind : str
        `text`, `code`, `answer`, `test` or `open`.
    source : str
        Whole source, with solution and hidden tests.
    points : float
        Points of a test or open cell, otherwise 0.
    """

    id: str
    kind: str
    source: str
    points: float = 0

    @property
    def problem(self):
        """The problem's name, the part of the id before the first hyphen: `p2` of `p2-test`."""
        return self.id.partition("-")[0]

    @cached_property
    def release(self):
        """Source as students get it: stub in place of the solution, no hidden tests."""
        if self.kind == "open":
            return TEXT_STUB
        source = self.source
        if self.kind == "answer":
            source = _replaced(source, "solution", CODE_STUB, self.id)
        return _replaced(source, "hidden", None, self.id).rstrip()

    @cached_property
    def visible(self):
        """The part of a test cell that students see."""
        return self.release

    @cached_property
    def hidden(self):
        """Source between the marks of the hidden tests, dedented as it stands; empty without marks."""
        return _region(self.source, "hidden", self.id)

    @cached_property
    def solution(self):
        """Source between the marks of the solution."""
        return _region(self.source, "solution", self.id)

    @cached_property
    def parts(self):
        """The parts of the hidden test, in order, as a list of `Part`; each stands at top level."""
        return [
            part
            for node in ast.parse(self.hidden).body
            if isinstance(node, ast.With)
            for item in node.items
            if (part := self._part(item.context_expr)) is not None
        ]

    def _part(self, call):
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "part"):
            return None
        try:
            points, title = map(ast.literal_eval, call.args)
        except ValueError as error:
            raise AssignmentError(f"{self.id}: part takes its points and title as constants") from error
        return Part(points, title)

    @cached_property
    def rubric(self):
        """Points of each line of an open question's rubric."""
        return [int(points) for points in RUBRIC.findall(self.source)]


def _lines(source, kind, name):
    """(line, inside) for every line without the marks; inside is the indentation of its region or None."""
    begin, end = MARKS[kind]
    inside = None
    for line in source.split("\n"):
        if begin in line:
            if inside is not None:
                raise AssignmentError(f"{name}: '{begin}' within another")
            inside = re.match(r"\s*", line)[0]
            yield None, inside
        elif end in line:
            if inside is None:
                raise AssignmentError(f"{name}: '{end}' without '{begin}'")
            inside = None
        else:
            yield line, inside
    if inside is not None:
        raise AssignmentError(f"{name}: '{begin}' without '{end}'")


def _replaced(source, kind, stub, name):
    """`source` with every region replaced by `stub` at the region's indentation, or cut for None."""
    kept = []
    for line, inside in _lines(source, kind, name):
        if inside is None:
            kept.append(line)
        elif line is None and stub is not None:
            kept += [inside + entry for entry in stub.split("\n")]
    return "\n".join(kept)


def _region(source, kind, name):
    return "\n".join(
        line for line, inside in _lines(source, kind, name) if inside is not None and line is not None
    )


@dataclass(frozen=True)
class Assignment:
    """An assignment, read from its source notebook.

    Attributes
    ----------
    slug : str
        `02_swish`.
    notebook : dict
        The notebook's JSON, not to be changed.
    sha256 : str
        Hash of its bytes.
    """

    slug: str
    notebook: dict = field(repr=False)
    sha256: str

    @classmethod
    def load(cls, slug, *, root=SOLUTIONS):
        """Read `root/slug/slug.ipynb`.

        Raises
        ------
        AssignmentError
            For an unknown name, which is answered with the choices.
        """
        path = Path(root) / slug / f"{slug}.ipynb"
        if slug not in slugs(root):
            raise AssignmentError(f"unknown assignment {slug!r}; choose from {slugs(root)}")
        data = path.read_bytes()
        return cls(slug, json.loads(data), hashlib.sha256(data).hexdigest())

    @cached_property
    def metadata(self):
        """The dict `selfgated` of the notebook's metadata: assignment, minutes, imports."""
        return self.notebook["metadata"].get("selfgated", {})

    @property
    def minutes(self):
        """Time that a student needs, in minutes."""
        return self.metadata["minutes"]

    @property
    def imports(self):
        """Top-level packages that answers may import, beyond the standard library."""
        return list(self.metadata["imports"])

    @cached_property
    def cells(self):
        """Cells in order, as `Cell`."""
        return [_cell(cell) for cell in self.notebook["cells"]]

    @cached_property
    def by_id(self):
        """Cells by id."""
        return {cell.id: cell for cell in self.cells}

    def of_kind(self, kind):
        """Cells of one kind, in order."""
        return [cell for cell in self.cells if cell.kind == kind]

    @cached_property
    def answers(self):
        """Source of the reference answer by cell id."""
        return {cell.id: cell.source for cell in self.of_kind("answer")}

    @cached_property
    def stubs(self):
        """Source of the untouched answer by cell id."""
        return {cell.id: cell.release for cell in self.of_kind("answer")}

    @property
    def tests(self):
        """Test cells, in order."""
        return self.of_kind("test")

    @property
    def points(self):
        """Points of the whole assignment."""
        return sum(cell.points for cell in self.cells)

    @cached_property
    def names(self):
        """Functions that students are to write: what hidden tests may call, as a tuple of str."""
        return tuple(
            node.name
            for source in self.stubs.values()
            for node in ast.parse(source).body
            if isinstance(node, ast.FunctionDef)
        )

    @cached_property
    def prelude(self):
        """Import statements of the setup cells but for matplotlib: what self-checks need, as source."""
        return "\n".join(
            ast.unparse(node)
            for cell in self.of_kind("code")
            for node in ast.parse(cell.source).body
            if isinstance(node, (ast.Import, ast.ImportFrom)) and "matplotlib" not in ast.unparse(node)
        )

    @cached_property
    def title(self):
        """First heading of the notebook."""
        heading = re.search(
            r"^# (.+)$", "\n".join(cell.source for cell in self.of_kind("text")), re.MULTILINE
        )
        return heading[1] if heading else self.slug

    def release(self):
        """The notebook as students get it, as a new dict: stubs, no hidden tests, no outputs.

        nbgrader writes the same sources (a test compares them) and adds its checksums.
        """
        notebook = copy.deepcopy(self.notebook)
        for raw, cell in zip(notebook["cells"], self.cells, strict=True):
            raw["source"] = cell.release
            if raw["cell_type"] == "code":
                raw |= {"execution_count": None, "outputs": []}
        return notebook


def _cell(raw):
    source = raw["source"] if isinstance(raw["source"], str) else "".join(raw["source"])
    flags = raw["metadata"].get("nbgrader", {})
    name = raw.get("id") or flags.get("grade_id", "")
    points = flags.get("points", 0) if flags.get("grade") else 0
    if raw["cell_type"] == "markdown":
        return Cell(name, "open" if flags.get("grade") else "text", source, points)
    kind = "answer" if flags.get("solution") else "test" if flags.get("grade") else "code"
    return Cell(name, kind, source, points)
