"""Every assignment keeps the rules, and its hidden tests tell right from wrong."""

import ast
import json
import re
import sys
from collections import Counter
from functools import cache, lru_cache
from pathlib import Path

import course_tables
import pytest

from selfgated.grading import mutation
from selfgated.grading.assignment import ROOT, Assignment, slugs

SLUGS = slugs()
CHECKS = ROOT / "src" / "selfgated" / "checks"
KINDS = {  # kind: nbgrader's flags grade, solution, locked
    "text": (False, False, True),
    "code": (False, False, True),
    "answer": (False, True, False),
    "test": (True, False, True),
    "open": (True, True, False),
}
IDS = re.compile(r"intro|setup|p\d+(-[a-z][a-z0-9-]*)?")

load = lru_cache(maxsize=None)(Assignment.load)


@cache
def reference(slug):
    return mutation.run(load(slug))


@cache
def outcome(slug, index):
    return mutation.outcome(load(slug), mutation.variants(slug)[index])


def variants_of(slug):
    return [(variant, outcome(slug, index)) for index, variant in enumerate(mutation.variants(slug))]


def each(values):
    """The values, or one skipped test that says there are none."""
    return values or [pytest.param(None, marks=pytest.mark.skip(reason="no assignment yet"))]


assignments = pytest.mark.parametrize("slug", each(SLUGS))
every_test_cell = pytest.mark.parametrize(
    ("slug", "cell"), [(slug, cell.id) for slug in SLUGS for cell in load(slug).tests] or [(None, None)]
)


def variant_params():
    for slug in SLUGS:
        for index, variant in enumerate(mutation.variants(slug)):
            yield pytest.param(slug, index, id=f"{slug}-{variant.cell}-{variant.title}")


def imported(source):
    """Names of the modules that `source` imports, anywhere in it, in full."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def checks_source(slug):
    """Source of the self-checks of an assignment: a module or a package named after it."""
    name = slug.partition("_")[2]
    files = [CHECKS / f"{name}.py", *sorted((CHECKS / name).rglob("*.py"))]
    return "\n".join(path.read_text(encoding="utf-8") for path in files if path.exists())


def constants(source):
    """Texts of at least 12 characters that stand in `source`, docstrings aside, without their spaces."""
    tree = ast.parse(source)
    documented = (ast.Module, ast.FunctionDef, ast.ClassDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    found = {
        "".join(node.value.split())
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
    }
    return {text for text in found if len(text) >= 12}


def long_lines(source):
    """Lines of at least 24 characters but for imports, without their spaces at the ends."""
    lines = {line.strip().rstrip(",") for line in source.split("\n")}
    return {line for line in lines if len(line) >= 24 and not line.startswith(("from ", "import "))}


@assignments
def test_assignment_metadata_is_complete(slug):
    assignment = load(slug)
    assert set(assignment.metadata) == {"assignment", "minutes", "imports"}
    assert assignment.metadata["assignment"] == slug
    assert isinstance(assignment.minutes, int)
    assert 20 <= assignment.minutes <= 180
    assert len(set(assignment.imports)) == len(assignment.imports)
    allowed = {"numpy", "torch", "scipy", "matplotlib"}
    assert set(assignment.imports) <= allowed, f"choose from {sorted(allowed)}"
    assert (ROOT / "notebooks" / f"{slug}.ipynb").exists(), "an assignment is named after its chapter"


@assignments
def test_assignment_intro_says_points_minutes_and_imports(slug):
    assignment = load(slug)
    text = assignment.cells[0].source.lower()
    assert assignment.cells[0].id == "intro"
    assert f"{assignment.points} points" in text
    assert f"{assignment.minutes} minutes" in text
    assert [name for name in assignment.imports if name not in text] == []


@assignments
def test_assignment_cells_have_flags_and_ids(slug):
    assignment = load(slug)
    for cell, raw in zip(assignment.cells, assignment.notebook["cells"], strict=True):
        flags = raw["metadata"]["nbgrader"]
        assert flags["grade_id"] == cell.id == raw["id"]
        assert IDS.fullmatch(cell.id)
        assert flags["schema_version"] == 3
        assert (flags["grade"], flags["solution"], flags["locked"]) == KINDS[cell.kind]
        assert flags.get("task", False) is False
        assert ("points" in flags) == flags["grade"]


@assignments
def test_assignment_has_four_to_seven_problems_and_the_open_question_last(slug):
    assignment = load(slug)
    problems = sorted(
        {cell.problem for cell in assignment.cells} - {"intro", "setup"}, key=lambda p: int(p[1:])
    )
    assert problems == [f"p{number + 1}" for number in range(len(problems))]
    assert 4 <= len(problems) <= 7
    assert {f"{problem}-text" for problem in problems} <= assignment.by_id.keys()
    assert assignment.cells[-1].kind == "open"
    assert assignment.cells[-1].id == problems[-1]
    for problem in problems:
        kinds = Counter(cell.kind for cell in assignment.cells if cell.problem == problem)
        assert kinds["open"] or (kinds["answer"] and kinds["test"]), f"{problem} has {dict(kinds)}"


@assignments
def test_assignment_points_are_fifteen_to_twenty_five(slug):
    assert 15 <= load(slug).points <= 25


@every_test_cell
def test_test_cell_points_are_the_sum_of_its_parts(slug, cell):
    if slug is None:
        pytest.skip("no assignment yet")
    test = load(slug).by_id[cell]
    assert test.parts, "no `with part(...)` at top level of the hidden tests"
    assert sum(part.points for part in test.parts) == test.points
    assert len({part.title for part in test.parts}) == len(test.parts)
    assert all(part.points > 0 for part in test.parts)
    assert all("BEGIN" not in part.title for part in test.parts)


@assignments
def test_open_question_rubric_sums_to_its_points(slug):
    for cell in load(slug).of_kind("open"):
        assert f"**Rubric ({cell.points} points).**" in cell.source
        assert sum(cell.rubric) == cell.points
        assert min(cell.rubric) > 0
        assert len(cell.source.partition("**Rubric")[0].split()) >= 15, "the model answer is missing"


@assignments
def test_answer_cells_define_documented_functions_whose_body_alone_is_cut(slug):
    assignment = load(slug)
    for cell in assignment.of_kind("answer"):
        assert cell.solution.strip(), f"{cell.id} has no solution"
        assert "raise NotImplementedError" in cell.release
        assert "SOLUTION" not in cell.release
        for node in ast.parse(cell.release).body:
            assert isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)), cell.id
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                assert ast.get_docstring(node), f"{node.name} has no docstring"


@assignments
def test_visible_cells_import_only_what_is_allowed(slug):
    assignment = load(slug)
    check = f"selfgated.checks.{slug.partition('_')[2]}"
    allowed = {*sys.stdlib_module_names, *assignment.imports, "matplotlib"}
    for cell in assignment.cells:
        if cell.kind in ("text", "open"):
            continue
        source = cell.release if cell.kind != "answer" else cell.source
        wrong = [name for name in imported(source) if name.partition(".")[0] not in allowed and name != check]
        assert wrong == [], f"{cell.id} imports them"
        if cell.kind == "answer":
            assert not any(name.startswith("matplotlib") for name in imported(source)) or (
                "matplotlib" in assignment.imports
            )


@every_test_cell
def test_hidden_tests_are_self_contained(slug, cell):
    if slug is None:
        pytest.skip("no assignment yet")
    assignment = load(slug)
    above = assignment.cells[: assignment.cells.index(assignment.by_id[cell])]
    stubs = [entry.release for entry in above if entry.kind == "answer"]
    answers = {node.name for source in stubs for node in ast.parse(source).body if hasattr(node, "name")}
    test = assignment.by_id[cell]
    assert mutation.free_names(test.hidden) <= answers
    assert "import *" not in test.hidden
    known = {*answers, *mutation.bound_names(assignment.prelude)}
    assert mutation.free_names(test.visible) <= known


@assignments
def test_self_checks_hold_no_text_of_solutions_or_hidden_tests(slug):
    assignment = load(slug)
    visible = [cell.visible for cell in assignment.tests]
    shown = checks_source(slug)
    assert shown, "the assignment has no module of self-checks"
    public = "\n".join([shown, *visible])
    for cell in assignment.of_kind("test"):
        assert long_lines(cell.hidden) & long_lines(public) == set(), cell.id
    for cell in assignment.of_kind("answer"):
        assert long_lines(cell.solution) & long_lines(public) == set(), cell.id
    hidden = set().union(*(constants(cell.source) for cell in assignment.of_kind("answer")))
    for cell in assignment.tests:
        hidden |= constants(cell.hidden) - constants(cell.visible)
    released = set().union(*(constants(cell.release) for cell in assignment.of_kind("answer")))
    assert (hidden - released) & constants(shown) == set()


@assignments
def test_reference_earns_every_point_and_its_self_checks_are_content(slug):
    scores = reference(slug)
    assert mutation.lost(scores) == {}, scores
    assert {cell: score.check for cell, score in scores.items() if score.check} == {}


@every_test_cell
def test_self_checks_of_unfinished_answers_let_them_say_so(slug, cell):
    if slug is None:
        pytest.skip("no assignment yet")
    assignment = load(slug)
    stubs = mutation.namespace_of(assignment, assignment.stubs)
    exec(assignment.prelude, stubs)
    checks = ast.parse(assignment.by_id[cell].visible).body
    assert checks
    for check in checks:  # in the notebook the first one ends the cell
        with pytest.raises(NotImplementedError):
            exec(ast.unparse(check), stubs)


@assignments
def test_untouched_stub_earns_nothing(slug):
    assignment = load(slug)
    scores = mutation.run(assignment, assignment.stubs)
    assert {cell: score.earned for cell, score in scores.items() if score.earned} == {}
    for score in scores.values():
        # a class without its solution stops its cell, so that what follows it is missing
        assert re.search("is not answered yet|there is no function|raised NameError", score.parts[0].message)


# Put behind the reference answers: each function then first writes over its arguments, or refuses arrays.
OVERWRITES = """
import functools as _functools


def _over(value):
    if isinstance(value, (list, tuple)):
        return any([_over(entry) for entry in value])
    if not hasattr(value, "dtype") or not getattr(value, "shape", ()):
        return False
    if {overwrite}:
        value[...] = 0.25
    return True


def _wrapped(answer):
    @_functools.wraps(answer)
    def call(*args, **kwargs):
        found = [_over(value) for value in (*args, *kwargs.values())]
        return answer(*args, **kwargs) if {overwrite} or not any(found) else None

    return call


for _name in {names}:
    globals()[_name] = _wrapped(globals()[_name])
"""


def earned_with_wrapped_answers(slug, *, overwrite):
    assignment = load(slug)
    last = list(assignment.answers)[-1]
    wrapper = OVERWRITES.format(overwrite=overwrite, names=assignment.names)
    scores = mutation.run(assignment, {last: f"{assignment.answers[last]}\n{wrapper}"})
    return {(cell, part.title): part.earned for cell, score in scores.items() for part in score.parts}


@assignments
def test_answer_that_writes_over_its_inputs_earns_no_more_than_none_at_all(slug):
    """A test that computes the right values from what the answer left of its inputs is told anything."""
    overwriting = earned_with_wrapped_answers(slug, overwrite=True)
    refusing = earned_with_wrapped_answers(slug, overwrite=False)
    assert overwriting == refusing


@assignments
@pytest.mark.parametrize(
    "body",
    [
        "return float('nan')",
        "return [0.0, 0.0]",
        "return args[0] if args else 'z'",
        "raise ValueError('no')",
    ],
)
def test_answer_that_does_not_look_at_its_problem_earns_nothing(slug, body):
    assignment = load(slug)
    last = list(assignment.answers)[-1]
    code = f"def _same(*args, **kwargs):\n    {body}\n\n\nfor _name in {assignment.names}:\n"
    scores = mutation.run(
        assignment, {last: f"{assignment.answers[last]}\n{code}    globals()[_name] = _same\n"}
    )
    earned = {part.title: part.earned for score in scores.values() for part in score.parts if part.earned}
    assert not earned


@assignments
def test_each_problem_has_four_wrong_variants_and_two_right_ones(slug):
    assignment = load(slug)
    found = mutation.variants(slug)
    for problem in sorted({cell.problem for cell in assignment.tests}):
        mine = [variant for variant in found if variant.cell.partition("-")[0] == problem]
        wrong = [variant for variant in mine if variant.lost]
        assert len(wrong) >= 4, f"{problem} has {len(wrong)} wrong variants"
        assert len(mine) - len(wrong) >= 2, f"{problem} has {len(mine) - len(wrong)} right variants"
        assert len({variant.title for variant in mine}) == len(mine), f"{problem} repeats a title"
    codes = [(variant.cell, ast.dump(ast.parse(variant.code))) for variant in found if compiles(variant.code)]
    codes += [(name, ast.dump(ast.parse(source))) for name, source in assignment.answers.items()]
    assert [code for code, times in Counter(codes).items() if times > 1] == []


def compiles(source):
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True


@pytest.mark.parametrize(("slug", "index"), list(variant_params()) or [(None, None)])
def test_variant_loses_exactly_its_points(slug, index):
    if slug is None:
        pytest.skip("no variants yet")
    variant, scores = mutation.variants(slug)[index], outcome(slug, index)
    assert mutation.lost(scores) == variant.lost, scores
    if not variant.lost:
        assert {cell: score.check for cell, score in scores.items() if score.check} == {}


@every_test_cell
def test_every_part_is_lost_by_some_variant(slug, cell):
    if slug is None:
        pytest.skip("no assignment yet")
    hit = {
        part.title
        for _, scores in variants_of(slug)
        if cell in scores
        for part in scores[cell].parts
        if not part.earned
    }
    assert [part.title for part in load(slug).by_id[cell].parts if part.title not in hit] == []


@assignments
def test_messages_show_no_line_of_a_hidden_test(slug):
    assignment = load(slug)
    secret = set().union(*(long_lines(cell.hidden) for cell in assignment.tests))
    for variant, scores in variants_of(slug):
        for score in scores.values():
            for message in [score.check, *(part.message for part in score.parts)]:
                assert not any(line in message for line in secret), variant.title
                assert "np.float" not in message
                assert len(message) < 600


@assignments
def test_release_is_what_nbgrader_releases(slug):
    path = ROOT / "exercises" / slug / f"{slug}.ipynb"
    assert path.exists(), "run `make exercises`"
    written = json.loads(path.read_text(encoding="utf-8"))
    sources = {cell["id"]: "".join(cell["source"]) for cell in written["cells"]}
    assert {cell["id"]: cell["source"] for cell in load(slug).release()["cells"]} == sources, (
        "run `make exercises`"
    )


@pytest.mark.parametrize("name", ["points.md", "variants.md", "times.md"])
def test_tables_of_the_instructor_page_are_up_to_date(name):
    if not SLUGS:
        pytest.skip("no assignment yet")
    found = {slug: variants_of(slug) for slug in SLUGS}
    written = Path(course_tables.FOLDER, name).read_text(encoding="utf-8")
    assert written == course_tables.tables(found)[name], "run `python tools/course_tables.py`"
