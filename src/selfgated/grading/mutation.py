"""Does the grading tell right from wrong? Variants of answers, graded in this process without a kernel."""

import builtins
import contextlib
import importlib.util
import io
import os
import re
import symtable
import sys
import warnings
from dataclasses import dataclass
from unittest import mock

from selfgated.grading.assignment import ROOT, Assignment
from selfgated.grading.judge import examine
from selfgated.grading.student import LocalStudent

VARIANTS = ROOT / "tests" / "course"
WORD = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True)
class Variant:
    """A submission that differs from the reference in one answer cell.

    Attributes
    ----------
    cell : str
        Id of the answer cell.
    title : str
        What is wrong with it, or how it is right: stands in the table of the instructor page.
    lost : dict of str to int
        Points lost by test cell; empty for a right one.
    code : str
        Source of the whole answer cell.
    """

    cell: str
    title: str
    lost: dict
    code: str


def variants(slug, *, folder=VARIANTS):
    """The list `VARIANTS` of `folder/slug.py`; empty without such a file."""
    path = folder / f"{slug}.py"
    if not path.exists():
        return []
    spec = importlib.util.spec_from_file_location(f"variants_{slug}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return list(module.VARIANTS)


def namespace_of(assignment, replaced=None):
    """Names that the setup and answer cells leave, with some answer cells replaced.

    A cell that raises is left there, as in a notebook that runs on. A demonstration that binds nothing which
    an answer uses is left out: it takes most of the time.
    """
    sources = assignment.answers | (replaced or {})
    unknown = set(sources) - set(assignment.answers)
    if unknown:
        choices = list(assignment.answers)
        raise ValueError(f"unknown answer cell {sorted(unknown)[0]!r}; choose from {choices}")
    used = set().union(*map(free_names, sources.values()))
    namespace = {"__name__": "__main__"}
    quiet = mock.patch.dict(os.environ, {"MPLBACKEND": "agg", "SELFGATED_DEVICE": "cpu"})
    with quiet, contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an answer that warns is no failure of the run
        for cell in assignment.cells:
            if cell.id not in sources and not (cell.kind == "code" and bound_names(cell.source) & used):
                continue
            with contextlib.suppress(Exception):
                exec(compile(sources.get(cell.id, cell.source), f"<{cell.id}>", "exec"), namespace)
        if "matplotlib.pyplot" in sys.modules:
            sys.modules["matplotlib.pyplot"].close("all")
    return namespace


def run(assignment, replaced=None, *, cells=None):
    """Grade the reference with some answer cells replaced, in this process: for trusted code only.

    Parameters
    ----------
    assignment : Assignment or str
        The assignment, or its name.
    replaced : dict of str to str, optional
        Source by id of the answer cell.
    cells : collection of str, optional
        Ids of the test cells to judge; all by default.

    Returns
    -------
    dict of str to Score
        By id of the test cell.
    """
    if isinstance(assignment, str):
        assignment = Assignment.load(assignment)
    student = LocalStudent(namespace_of(assignment, replaced))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            cell.id: examine(cell, student, assignment.names, prelude=assignment.prelude)
            for cell in assignment.tests
            if cells is None or cell.id in cells
        }


def lost(scores):
    """Points lost by test cell, those with none left out."""
    return {
        name: score.points - score.earned for name, score in scores.items() if score.earned < score.points
    }


def affected(assignment, variant):
    """Ids of the test cells that a variant can matter to, by the names that sources mention.

    These mention a name that its cell defines, or a name of a cell that mentions one, and so on.
    """
    words = {entry.id: set(WORD.findall(entry.source)) for entry in assignment.cells}
    defined = {
        entry.id: defined_names(entry.source)
        for entry in assignment.cells
        if entry.kind in ("code", "answer")
    }
    reached = {variant.cell}
    names = defined[variant.cell] | defined_names(variant.code)
    while more := [name for name in defined if name not in reached and words[name] & names]:
        reached.update(more)
        names.update(*(defined[name] for name in more))
    return [test.id for test in assignment.tests if words[test.id] & names]


def _table(source):
    try:
        return symtable.symtable(source, "<cell>", "exec")
    except SyntaxError:
        return symtable.symtable("", "<cell>", "exec")


def defined_names(source):
    """Names of the functions, classes and variables that `source` binds at top level; none if broken."""
    return {symbol.get_name() for symbol in _table(source).get_symbols() if symbol.is_assigned()}


def bound_names(source):
    """Names that `source` defines or imports at top level."""
    imported = {symbol.get_name() for symbol in _table(source).get_symbols() if symbol.is_imported()}
    return imported | defined_names(source)


def free_names(source):
    """Names that `source` uses and does not bind at top level, but for the built-in ones."""
    used, tables = set(), [_table(source)]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        used |= {
            symbol.get_name()
            for symbol in table.get_symbols()
            if symbol.is_referenced() and (symbol.is_global() or table.get_type() == "module")
        }
    return used - bound_names(source) - set(dir(builtins))


def outcome(assignment, variant):
    """Scores of a variant, by id of the test cells that it can matter to."""
    return run(assignment, {variant.cell: variant.code}, cells=affected(assignment, variant))
