"""The judge of hidden tests, the student in this process, the source notebook, and the mutation runs."""

import json

import numpy as np
import pytest

from selfgated.checks.engine import AnswerError
from selfgated.grading import judge, mutation
from selfgated.grading.assignment import Assignment, AssignmentError, Cell, Part, slugs
from selfgated.grading.judge import close, expression, part, raises
from selfgated.grading.mutation import Variant
from selfgated.grading.student import LocalStudent, plain, returned

ANSWER = '''def half(z):
    """Half of z."""
    ### BEGIN SOLUTION
    # divided by two
    return z / 2
    ### END SOLUTION
'''
TEST = """assert half(3.0) == 1.5, "half of 3 is 1.5"
### BEGIN HIDDEN TESTS
import numpy as np

from selfgated.grading.judge import close, part

with part(2, "four values"):
    z = np.array([1.0, 5.0, -7.0, 1e300])
    kept = z.copy()
    close(half(z), [0.5, 2.5, -3.5, 5e299], rtol=1e-15, at=z)
    assert np.array_equal(z, kept), "half changed its input"
with part(1, "keeps float32"):
    close(half(np.float32(5.0)), 2.5, rtol=0, dtype=np.float32)
### END HIDDEN TESTS"""
QUARTER = '''def quarter(z):
    """A quarter of z."""
    ### BEGIN SOLUTION
    return half(half(z))
    ### END SOLUTION
'''
QUARTER_TEST = """### BEGIN HIDDEN TESTS
from selfgated.grading.judge import part

with part(1, "a quarter"):
    assert quarter(4.0) == 1.0
### END HIDDEN TESTS"""
SETUP = "import math\n\nimport matplotlib.pyplot as plt\nimport numpy as np\n\nside = 3"
FLAGS = {
    "text": ("markdown", False, False),
    "code": ("code", False, False),
    "answer": ("code", False, True),
    "test": ("code", True, False),
    "open": ("markdown", True, True),
}


def raw(name, kind, source, points=0):
    cell_type, grade, solution = FLAGS[kind]
    flags = {
        "grade": grade,
        "solution": solution,
        "grade_id": name,
        "locked": not solution,
        "schema_version": 3,
    }
    if grade:
        flags["points"] = points
    lines = source.splitlines(keepends=True)
    cell = {"cell_type": cell_type, "id": name, "metadata": {"nbgrader": flags}, "source": lines}
    return cell | ({"execution_count": 7, "outputs": [{"old": 1}]} if cell_type == "code" else {})


@pytest.fixture
def assignment(tmp_path):
    cells = [
        raw("intro", "text", "# Halves\n\n6 points."),
        raw(
            "setup", "code", "import math\n\nimport matplotlib.pyplot as plt\nimport numpy as np\n\nside = 3"
        ),
        raw("p1", "answer", ANSWER),
        raw("p1-test", "test", TEST, 3),
        raw("p2", "answer", QUARTER),
        raw("p2-test", "test", QUARTER_TEST, 1),
        raw("p3", "open", "Because.\n\n**Rubric (2 points).**\n- 1: says so\n- 1: says why", 2),
    ]
    metadata = {"selfgated": {"assignment": "00_halves", "minutes": 30, "imports": ["numpy"]}}
    path = tmp_path / "00_halves" / "00_halves.ipynb"
    path.parent.mkdir()
    path.write_text(json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}))
    return Assignment.load("00_halves", root=tmp_path)


def student(**namespace):
    return LocalStudent(namespace)


def proxy(answer, name="f"):
    return judge.Proxy(name, student(**{name: answer}))


@pytest.mark.parametrize(
    ("got", "right", "options", "words"),
    [
        (1.5, 2, {}, "it is 1.5, the right value is 2"),
        ([1, 2, 4], [1, 2, 3], {}, "at the index 2 it is 4, the right value is 3"),
        (np.eye(2), np.ones((2, 2)), {}, "at the index (0, 1) it is 0, the right value is 1"),
        (np.float32(1 / 3), 0.25, {"at": 1.5}, "at the input 1.5 it is 0.333333, the right value is 0.25"),
        ([1.0, np.nan], [1.0, 2.0], {"at": [5, 6]}, "at the input 6 it is nan, the right value is 2"),
        (
            [1.0, 0.0],
            [1.0, 2.0],
            {"at": {"z": np.array([5.0, 6.0]), "beta": 2}},
            "at z = 6, beta = 2 it",
        ),
        (None, 1, {}, "it returned nothing: is a `return` missing?"),
        ("1", 1, {}, "it returned '1', where numbers are expected"),
        ([1.0], 1.0, {}, "it returned an array of shape (1,), where a single number is expected"),
        (1.0, 1.0, {"dtype": np.float32}, "it returned the dtype float64, where float32 is expected"),
        (1 + 1e-9, 1.0, {}, "it is 1, the right value is 1, and they differ by 1e-09"),
        (
            [2.0, 5.0],
            [[2.0], [2.0]],
            {"shape": False},
            "shape (2,), where an array of shape (2, 1)",
        ),
    ],
)
def test_close_tells_what_is_wrong(got, right, options, words):
    with pytest.raises(AssertionError) as caught:
        close(got, right, rtol=1e-12, **options)
    assert words in str(caught.value)
    assert "np." not in str(caught.value)


def test_close_takes_what_is_right():
    close([1.0, np.inf, np.nan], [1.0, np.inf, np.nan], rtol=0)
    close(1e-20, 0.0, rtol=0, atol=1e-19)
    close(2.0, [2.0, 2.0], rtol=0, shape=False)
    close(np.float32(2), 2.0, rtol=0, dtype=np.float32)


def test_close_infinite_right_values_allow_nothing_else():
    for got in (1e308, -np.inf, np.nan):
        with pytest.raises(AssertionError, match="the right value is inf"):
            close(got, np.inf, rtol=1e-9, atol=1.0)


def test_part_outside_grading_lets_exceptions_pass():
    with pytest.raises(AssertionError, match="wrong"), part(1, "title"):
        raise AssertionError("wrong")


def test_raises_returns_the_text():
    def refuse(z):
        raise ValueError(f"not {z}")

    assert raises(ValueError, refuse, 3) == "not 3"
    assert raises(ValueError, proxy(refuse), 3) == "not 3"
    assert raises(Exception, proxy(refuse), 3) == "not 3"


@pytest.mark.parametrize("wrap", [lambda f: f, proxy], ids=["direct", "proxy"])
def test_raises_refuses_other_exceptions_and_results(wrap):
    def refuse(z):
        raise TypeError("no")

    with pytest.raises(AssertionError, match=r"TypeError.*, where ValueError is expected"):
        raises(ValueError, wrap(refuse), 3)
    with pytest.raises(AssertionError, match="it returned 2, where ValueError is expected"):
        raises(ValueError, wrap(lambda z: z), 2)


def test_raises_runtime_error_is_not_earned_by_an_unanswered_stub():
    def stub():
        raise NotImplementedError

    with pytest.raises(AssertionError, match="f is not answered yet"):
        raises(RuntimeError, proxy(stub))


def test_expression_decides_at_other_points_than_the_self_check():
    expression(lambda: "z*sigma(z)", "z/(1 + exp(-z))", symbols={"z": (-6, 6)})
    with pytest.raises(AssertionError, match="the formula differs at z = "):
        expression(lambda: "z*sigma(z) + 1e-20", "z*sigma(z)", symbols={"z": (-6, 6)})
    with pytest.raises(AssertionError, match="the formula cannot be read: a formula is text"):
        expression(proxy(lambda: None), "z", symbols={"z": (-6, 6)})


def test_run_in_a_notebook_sees_the_callers_names():
    namespace = {"judge": judge, "gate": lambda z: 2 * z}
    exec("got = judge.run('result = gate(z) + 1', z=3)", namespace)
    assert namespace["got"] == 7
    assert "result" not in namespace


def test_call_changes_in_place_reach_the_caller():
    def careless(z, rows, table):
        z += 1
        rows.append(4)
        table["new"] = 1

    z, rows, table = np.zeros(3), [1], {}
    proxy(careless)(z, rows, table=table)
    assert z.tolist() == [1, 1, 1]
    assert rows == [1, 4]
    assert table == {"new": 1}


def test_call_changes_through_a_view_reach_the_caller():
    z = np.zeros((2, 3))
    proxy(lambda column: column.fill(1))(z[:, 1])
    assert z.tolist() == [[0, 1, 0], [0, 1, 0]]


@pytest.mark.parametrize(
    ("before", "after"), [([1], {}), ({}, [1]), (np.zeros(2), [0, 0]), (np.zeros(2), None), ([1], 3)]
)
def test_returned_argument_of_another_kind_is_an_answer_error(before, after):
    kept = repr(before)
    with pytest.raises(AnswerError, match="f changed the kind of its input"):
        returned(before, after, "f")
    assert repr(before) == kept


def test_call_changed_shape_of_an_input_is_an_answer_error():
    def careless(z):
        z.shape = (2, 2)

    with pytest.raises(AnswerError, match="f changed the shape or the dtype of its input"):
        proxy(careless)(np.zeros(4))


def test_call_results_are_copies():
    kept = np.zeros(2)
    first = proxy(lambda: kept)()
    first += 1
    assert kept.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda: 1 / 0, "f raised ZeroDivisionError: division by zero"),
        (lambda: object(), "what f returned holds a object, which is no plain data"),
        (lambda: lambda: 0, "what f returned holds a function, which is no plain data"),
        (lambda: {1, 2}, "what f returned holds a set, which is no plain data"),
        (lambda: np.array([None]), "what f returned holds a ndarray, which is no plain data"),
        (3, "there is no function f"),
    ],
)
def test_call_failures_are_answer_errors(answer, words):
    with pytest.raises(AnswerError) as caught:
        proxy(answer)()
    assert str(caught.value) == words


def test_call_refuses_functions_as_arguments():
    with pytest.raises(TypeError, match="an argument of f holds a function"):
        proxy(lambda g: 0)(lambda: 0)


def test_plain_keeps_types_and_refuses_disguises():
    class Sly(float):
        def __eq__(self, other):
            return True

    data = [None, True, 1, 1.5, 1j, "a", (1, [2]), {"a": 1}, np.float32(2), np.arange(3, dtype=np.int8)]
    copies = plain(data, "data")
    assert [type(entry) for entry in copies] == [type(entry) for entry in data]
    assert copies[-1].dtype == np.int8
    assert copies[-1] is not data[-1]
    with pytest.raises(TypeError, match="data holds a Sly"):
        plain([Sly(1)], "data")
    assert type(plain(np.zeros(2).view(np.matrix), "m")) is np.ndarray


def test_run_has_a_copy_of_the_namespace():
    local = student(gate=lambda z: 2 * z)
    assert local.run("import numpy as np\ngate = gate\nresult = gate(z)", {"z": 3}) == 6
    assert local.run("gate = None\nresult = 1", {}) == 1
    assert local.run("result = gate(1)", {}) == 2
    with pytest.raises(AnswerError, match="your code raised KeyError: 1"):
        local.run("{}[1]", {})


def test_call_torch_tensors():
    torch = pytest.importorskip("torch")
    z = torch.ones(2, requires_grad=True)
    got = proxy(lambda z: z.mul_(3) * 2)(z.detach())
    assert got.tolist() == [6, 6]
    assert z.tolist() == [3, 3]
    assert not proxy(lambda: z * 2)().requires_grad


def test_assignment_facts(assignment):
    assert (assignment.points, assignment.minutes, assignment.imports) == (6, 30, ["numpy"])
    assert assignment.title == "Halves"
    assert assignment.names == ("half", "quarter")
    assert assignment.prelude == "import math\nimport numpy as np"
    assert [cell.kind for cell in assignment.cells] == ["text", "code", *["answer", "test"] * 2, "open"]
    assert assignment.by_id["p1-test"].parts == [Part(2, "four values"), Part(1, "keeps float32")]
    assert assignment.by_id["p1-test"].problem == "p1"
    assert assignment.by_id["p3"].rubric == [1, 1]
    assert len(assignment.sha256) == 64


def test_assignment_release_holds_no_answer(assignment):
    released = assignment.release()
    text = json.dumps(released)
    for secret in ("divided by two", "z / 2", "BEGIN", "four values", "1e300", "says so", "old"):
        assert secret not in text
    assert assignment.stubs["p1"] == (
        'def half(z):\n    """Half of z."""\n    # Your answer here.\n    raise NotImplementedError'
    )
    assert assignment.by_id["p1-test"].visible == 'assert half(3.0) == 1.5, "half of 3 is 1.5"'
    assert "z / 2" in json.dumps(assignment.notebook)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("### BEGIN SOLUTION\nx", "'### BEGIN SOLUTION' without '### END SOLUTION'"),
        ("x\n### END SOLUTION", "'### END SOLUTION' without"),
        ("### BEGIN SOLUTION\n### BEGIN SOLUTION\n### END SOLUTION", "within another"),
    ],
)
def test_cell_marks_must_match(source, words):
    with pytest.raises(AssignmentError, match=words):
        Cell("p1", "answer", source).release  # noqa: B018


def test_cell_part_takes_constants():
    cell = Cell(
        "p1-test", "test", "### BEGIN HIDDEN TESTS\nwith part(n, 'x'):\n    pass\n### END HIDDEN TESTS"
    )
    with pytest.raises(AssignmentError, match="p1-test: part takes its points and title as constants"):
        cell.parts  # noqa: B018


def test_assignment_unknown_name_lists_the_choices(assignment, tmp_path):
    with pytest.raises(AssignmentError, match=r"unknown assignment '9\.9'; choose from \['00_halves'\]"):
        Assignment.load("9.9", root=tmp_path)
    assert slugs(tmp_path) == ["00_halves"]


def variant(code, cell="p1"):
    return Variant(cell, "", {}, code)


def test_run_reference_and_stub(assignment):
    assert mutation.lost(mutation.run(assignment)) == {}
    scores = mutation.run(assignment, assignment.stubs)
    assert mutation.lost(scores) == {"p1-test": 3, "p2-test": 1}
    assert scores["p1-test"].check == "half is not answered yet"
    assert [entry.message for entry in scores["p1-test"].parts] == ["half is not answered yet"] * 2


@pytest.mark.parametrize(
    ("code", "lost", "words"),
    [
        ("def half(z):\n    return z * 0.5\n", {}, ""),
        (
            "def half(z):\n    return z * 2\n",
            {"p1-test": 3, "p2-test": 1},
            "at the input 1 it is 2, the right",
        ),
        ("def half(z):\n    return float(z) / 2 if z.ndim == 0 else z / 2\n", {"p1-test": 1}, ""),
        ("def half(z):\n    z /= 2\n    return z\n", {"p1-test": 2}, "half changed its input"),
        ("def half(z):\n    pass\n", {"p1-test": 3, "p2-test": 1}, "it returned nothing"),
        ("def half(:\n", {"p1-test": 3, "p2-test": 1}, "there is no function half"),
        ("half = 3", {"p1-test": 3, "p2-test": 1}, "there is no function half"),
        ("raise SystemError('oh')", {"p1-test": 3, "p2-test": 1}, "there is no function half"),
    ],
)
def test_run_wrong_answers_lose_their_parts(assignment, code, lost, words):
    if "z.ndim" in code:
        code = code.replace("z.ndim", "getattr(z, 'ndim', 0)")
    scores = mutation.run(assignment, {"p1": code})
    assert mutation.lost(scores) == lost
    assert words in scores["p1-test"].parts[0].message


def test_run_unknown_cell_lists_the_choices(assignment):
    with pytest.raises(ValueError, match=r"unknown answer cell 'p7'; choose from \['p1', 'p2'\]"):
        mutation.run(assignment, {"p7": ""})


def test_namespace_leaves_out_demonstrations_that_no_answer_uses(assignment):
    assert "np" not in mutation.namespace_of(assignment)
    namespace = mutation.namespace_of(assignment, {"p1": "def half(z):\n    return np.divide(z, side)\n"})
    assert namespace["half"](6) == 2


@pytest.mark.parametrize(
    ("source", "free", "bound"),
    [
        ("def f(z):\n    return g(z) + len(h)", {"g", "h"}, {"f"}),
        ("import a.b as c\nfrom d import e\nx = y", {"y"}, {"c", "e", "x"}),
        ("class A(B):\n    x = y\n\n    def f(self):\n        return x", {"B", "y", "x"}, {"A"}),
        ("t = [u * v for u in w]", {"v", "w"}, {"t"}),
        ("z = 1\nz = z + 1", set(), {"z"}),
        ("def f(:", set(), set()),
    ],
)
def test_free_and_bound_names(source, free, bound):
    assert mutation.free_names(source) == free
    assert mutation.bound_names(source) == bound


def test_affected_follows_the_names(assignment):
    assert mutation.affected(assignment, variant("def half(z):\n    return z\n")) == ["p1-test", "p2-test"]
    assert mutation.affected(assignment, variant("def quarter(z):\n    return z\n", "p2")) == ["p2-test"]
    both = "def quarter(z):\n    return z\n\n\ndef half(z):\n    return z\n"
    assert mutation.affected(assignment, variant(both, "p2")) == ["p1-test", "p2-test"]
    assert mutation.affected(assignment, variant("def half(:")) == ["p1-test", "p2-test"]


def test_outcome_runs_the_affected_tests_only(assignment):
    scores = mutation.outcome(assignment, variant("def quarter(z):\n    return z\n", "p2"))
    assert list(scores) == ["p2-test"]
    assert mutation.lost(scores) == {"p2-test": 1}


def test_variants_of_a_file_and_without_one(tmp_path):
    text = "from selfgated.grading.mutation import Variant\n\nVARIANTS = [Variant('p1', 't', {}, 'c')]\n"
    (tmp_path / "01_a.py").write_text(text)
    assert mutation.variants("01_a", folder=tmp_path) == [Variant("p1", "t", {}, "c")]
    assert mutation.variants("02_b", folder=tmp_path) == []


def hidden(body):
    return Cell("p1-test", "test", f"### BEGIN HIDDEN TESTS\n{body}\n### END HIDDEN TESTS", 2)


IMPORT = "from selfgated.grading.judge import part\n"


def test_examine_a_test_that_ends_early_gives_no_points_for_the_rest():
    body = f"{IMPORT}with part(1, 'a'):\n    pass\nassert f(1) == 2, 'between'\nwith part(1, 'b'):\n    pass"
    score = judge.examine(hidden(body), student(f=lambda z: z), ["f"])
    assert [(entry.title, entry.earned, entry.message) for entry in score.parts] == [
        ("a", 1, ""),
        ("b", 0, "between"),
    ]
    assert (score.earned, score.points) == (1, 2)


def test_examine_messages_hold_no_source_of_the_test():
    body = f"{IMPORT}with part(1, 'a'):\n    assert f(1) == 12345\nwith part(1, 'b'):\n    f(1)[54321]"
    score = judge.examine(hidden(body), student(f=lambda z: z), ["f"])
    assert [entry.message for entry in score.parts] == [
        "the result is not what it should be",
        "what the answer returned could not be used (TypeError)",
    ]


def test_examine_messages_are_cut():
    body = f"{IMPORT}with part(2, 'a'):\n    assert f(1) == 1, f(1)"
    score = judge.examine(hidden(body), student(f=lambda z: "long" * 1000), ["f"])
    assert len(score.parts[0].message) == 503


def test_examine_parts_out_of_order_are_the_authors_error():
    body = f"{IMPORT}for _ in range(2):\n    with part(1, 'a'):\n        pass\nwith part(1, 'b'):\n    pass"
    with pytest.raises(ValueError, match="p1-test: the parts of the hidden test did not run in the order"):
        judge.examine(hidden(body), student(f=abs), ["f"])


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_examine_lets_the_end_of_the_process_pass(error):
    def stop(z):
        raise error

    with pytest.raises(error):
        judge.examine(hidden(f"{IMPORT}with part(2, 'a'):\n    f(1)"), student(f=stop), ["f"])
    with pytest.raises(AssertionError), part(1, "recording has ended"):
        raise AssertionError


def test_examine_hidden_tests_see_the_answers_only():
    body = f"{IMPORT}with part(2, 'a'):\n    assert secret == 1"
    score = judge.examine(hidden(body), student(f=abs, secret=1), ["f"])
    assert score.earned == 0


def test_examine_run_goes_to_the_student():
    body = (
        "from selfgated.grading.judge import part, run\n"
        "with part(2, 'a'):\n    assert run('result = Gate(z).value', z=3) == 6"
    )

    class Gate:
        def __init__(self, z):
            self.value = 2 * z

    assert judge.examine(hidden(body), student(Gate=Gate), []).earned == 2


def test_examine_self_check_speaks_and_costs_nothing():
    cell = Cell("p1-test", "test", "assert np.abs(f(1)) == 2, 'f(1) is 2'\n" + hidden("").source, 0)
    score = judge.examine(cell, student(f=lambda z: z), ["f"], prelude="import numpy as np")
    assert score.check == "f(1) is 2"
    assert judge.examine(cell, student(f=lambda z: -2), ["f"], prelude="import numpy as np").check == ""
