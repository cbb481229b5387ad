"""The engine of the self-checks: what it says about typical mistakes."""

import numpy as np
import pytest

from selfgated.checks import engine
from selfgated.checks.differences import difference, short
from selfgated.checks.engine import AnswerError, CheckFailed
from selfgated.kernels import swish, swish_grad

Z = np.linspace(-5, 5, 11)
INPUTS = [(Z, 1.5), (Z.reshape(11, 1), np.array([0.5, 2.0])), (np.array([-1000.0, 1000.0]), 3.0)]
GATE_ALONE = (
    lambda z, beta: 1 / (1 + np.exp(-beta * z)),
    "you returned sigma(z); a term is missing",
)
CALL = "slope(z, beta)"


def slope(z, beta):
    gate = 1 / (1 + np.exp(-beta * z))
    return gate + beta * z * gate * (1 - gate)


def check(answer, **options):
    options = {"inputs": INPUTS, "mistakes": [GATE_ALONE], "call": CALL} | options
    with np.errstate(all="ignore"):
        return engine.values(answer, slope, options.pop("inputs"), **options)


def complaint(answer, **options):
    with pytest.raises(CheckFailed) as caught:
        check(answer, **options)
    return str(caught.value)


def test_values_right_answer_is_fine():
    assert check(slope) == "slope: fine"
    assert check(swish_grad, inputs=[INPUTS[0], INPUTS[2]]) == "slope: fine"


def test_values_recognised_mistake_gets_its_sentence():
    assert complaint(GATE_ALONE[0]) == f"slope: {GATE_ALONE[1]}"


def test_values_mistake_must_match_on_every_input():
    def half(z, beta):
        return GATE_ALONE[0](z, beta) if np.ndim(beta) == 0 else 0 * z * beta

    assert complaint(half).startswith("slope differs at z = ")


def test_values_names_the_worst_place_of_broadcast_arguments():
    def wrong(z, beta):
        result = slope(z, beta)
        if np.ndim(beta):
            result[3, 1] += 5
        return result

    right = float(swish_grad(-2.0, 2.0))
    expected = f"slope differs at z = -2, beta = 2: it is {right + 5:.6g}, the right value is {right:.6g}"
    assert complaint(wrong) == expected


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (None, "slope returned nothing: is a `return` missing?"),
        ("z", "slope returned 'z', where numbers are expected"),
        ([[1], [2, 3]], "slope returned [[1], [2, 3]], where numbers are expected"),
        (lambda: 0, "slope returned a value of type function, where numbers are expected"),
        ({"z": 1}, "slope returned a value of type dict, where numbers are expected"),
        (Z > 0, "slope returned True or False, where numbers are expected"),
        (Z + 0j, "slope returned complex numbers, where real ones are expected"),
        (Z[:-1], "slope returned an array of shape (10,), where an array of shape (11,) is expected"),
        (Z[:, None], "slope returned an array of shape (11, 1), where an array of shape (11,) is expected"),
        (1.0, "slope returned a single number, where an array of shape (11,) is expected"),
        (np.array(["a"] * 11), "slope returned an array of dtype <U1, where numbers are expected"),
        (np.array([None] * 11), "slope returned an array of dtype object, where numbers are expected"),
    ],
)
def test_values_wrong_kinds_of_result(result, words):
    assert complaint(lambda z, beta: result) == words


def test_values_dtype_is_that_of_the_first_array():
    inputs = [(Z.astype(np.float32), 1.5)]
    single = lambda z, beta: swish_grad(z, beta).astype(np.float32)  # noqa: E731
    double = lambda z, beta: swish_grad(z.astype(float), beta)  # noqa: E731
    assert check(single, inputs=inputs, rtol=1e-5, dtype=True) == "slope: fine"
    assert check(double, inputs=inputs, rtol=1e-5) == "slope: fine"
    words = "slope returned the dtype float64, where float32 is expected"
    assert complaint(double, inputs=inputs, rtol=1e-5, dtype=True) == words


def test_values_changed_input_is_named():
    def careless(z, beta):
        z *= beta
        return swish_grad(z / beta, beta)

    assert complaint(careless).startswith("slope changed its input z")


def test_values_changed_list_inside_a_list_is_named():
    def careless(rows):
        rows[0].append(1)
        return 0.0

    with pytest.raises(CheckFailed, match="f changed its input rows"):
        engine.values(careless, lambda rows: 0.0, [([[1], [2]],)], call="f(rows)")


def test_values_nan_input_kept_is_no_change():
    assert engine.values(np.abs, np.abs, [(np.array([np.nan, -1.0]),)], call="f(z)") == "f: fine"


def test_values_inputs_are_untouched_by_a_careless_answer():
    before = Z.copy()
    with pytest.raises(CheckFailed):
        check(lambda z, beta: np.multiply(z, 0, out=z))
    assert np.array_equal(Z, before)


def test_values_nan_where_the_right_one_is_finite():
    def overflowing(z, beta):
        e = np.exp(beta * z)
        return (e * e + e * (1 + beta * z)) / (1 + e) ** 2

    assert complaint(overflowing) == "slope differs at z = 1000, beta = 3: it is nan, the right value is 1"


def test_values_nan_and_inf_in_the_right_place_are_right():
    right = np.array([np.nan, np.inf, -np.inf, 1.0])
    assert engine.values(lambda: right.copy(), lambda: right, [()], call="f()") == "f: fine"
    for wrong in [[np.nan, np.inf, np.inf, 1], [0, np.inf, -np.inf, 1], [np.nan, 1e308, -np.inf, 1]]:
        with pytest.raises(CheckFailed, match="f differs"):
            engine.values(lambda wrong=wrong: np.array(wrong), lambda: right, [()], call="f()")


def test_values_buffer_reused_by_the_answer_is_judged_call_by_call():
    buffer = np.empty(11)

    def thrifty(z):
        return np.abs(z, out=buffer)

    assert engine.values(thrifty, np.abs, [(Z,), (-Z + 1,)], call="f(z)") == "f: fine"


def test_values_tolerances_are_relative_and_absolute():
    near = lambda z: np.abs(z) * (1 + 1e-8) + 1e-8  # noqa: E731
    assert engine.values(near, np.abs, [(Z,)], rtol=2e-8, atol=2e-8, call="f(z)") == "f: fine"
    with pytest.raises(CheckFailed):
        engine.values(near, np.abs, [(Z,)], rtol=2e-8, call="f(z)")
    with pytest.raises(CheckFailed):
        engine.values(near, np.abs, [(Z,)], rtol=5e-9, atol=2e-8, call="f(z)")


def test_values_close_but_different_values_show_their_distance():
    words = "and they differ by 1e-08"
    assert words in complaint(lambda z, beta: swish_grad(z, beta) + 1e-8, inputs=[(np.zeros(1), 1.0)])


def test_values_exceptions_are_told_with_the_call():
    def broken(z, beta):
        return z[0, 0, 0]

    assert complaint(broken).startswith("slope raised IndexError: too many indices")
    assert complaint(broken).endswith("for z = an array of shape (11,), beta = 1.5")


@pytest.mark.parametrize("error", [NotImplementedError, AnswerError("slope is not answered yet")])
def test_checks_let_the_unanswered_pass_through(error):
    def stub(*_):
        raise error

    stub.__name__ = "stub"
    kind = error if isinstance(error, type) else type(error)
    with pytest.raises(kind) as caught:
        check(stub)
    assert type(caught.value) is kind
    with pytest.raises(kind):
        engine.expression(stub, "z", symbols={"z": (-1, 1)})
    with pytest.raises(kind):
        engine.number(stub, 1.0, rtol=1e-9, call="stub()")


def formula(text):
    def slope():
        return text

    return slope


RIGHT = "sigma(z) + z*sigma(z)*(1 - sigma(z))"
MISTAKES = [("sigma(z)", "you returned sigma(z); the slope also has z sigma'(z)")]


def ask(text):
    return engine.expression(formula(text), RIGHT, symbols={"z": (-6, 6)}, mistakes=MISTAKES)


def test_expression_right_formula_is_fine():
    assert ask("sigma(z)*(1 + z*sigma(-z))") == "slope: fine"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1/(1 + exp(-z))", "slope: you returned sigma(z); the slope also has z sigma'(z)"),
        (None, "slope returned nothing: is a `return` missing?"),
        ("sigma(2z)", "slope: your formula cannot be read: a '*' is missing before 'z' at character 8"),
        (lambda: 0, "slope: your formula cannot be read: a formula is text in quotes, not function"),
    ],
)
def test_expression_says_what_is_wrong(text, words):
    with pytest.raises(CheckFailed) as caught:
        ask(text)
    assert str(caught.value) == words


def test_expression_differing_formula_shows_a_place():
    with pytest.raises(CheckFailed, match=r"slope: your formula differs at z = .*: yours is .*"):
        ask("sigma(z)*z")


def test_number_says_what_is_wrong():
    options = {"rtol": 1e-6, "call": "lowest()", "mistakes": [(-1.278, "this is where, not how low")]}
    assert engine.number(lambda: -0.2784645, -0.27846454, **options) == "lowest: fine"
    for result, words in [
        (-1.278, "lowest: this is where, not how low"),
        (0.5, "lowest is 0.5, the right value is -0.278465"),
        (None, "lowest returned nothing: is a `return` missing?"),
        ([1.0], "lowest returned an array of shape (1,), where a single number is expected"),
        (float("nan"), "lowest is nan, the right value is -0.278465"),
    ]:
        with pytest.raises(CheckFailed) as caught:
            engine.number(lambda result=result: result, -0.27846454, **options)
        assert str(caught.value) == words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.float64(0.1234567), "0.123457"),
        (np.float32(2), "2"),
        (1e-300, "1e-300"),
        (3, "3"),
        (np.int64(4), "4"),
        (10**40, "1e+40"),
        (10**400, "a huge integer"),
        (True, "True"),
        (np.bool_(False), "False"),
        (1 + 2j, "1+2j"),
        (np.array(2.5), "2.5"),
        (np.array([1.0, 2.5]), "[1, 2.5]"),
        (np.zeros((2, 3)), "an array of shape (2, 3)"),
        (np.zeros(7), "an array of shape (7,)"),
        ((1, [2.0, None]), "[1, [2, None]]"),
        ("text", "'text'"),
        ("x" * 100, "'" + "x" * 60 + "...'"),
        (object(), "a value of type object"),
    ],
)
def test_short_is_plain(value, text):
    assert short(value) == text


def test_short_torch_tensors():
    torch = pytest.importorskip("torch")
    assert short(torch.tensor([1.0, 2.0], requires_grad=True)) == "[1, 2]"
    assert short(torch.zeros(3, 4)) == "an array of shape (3, 4)"


def test_difference_complex_and_bool_and_integer_right_values():
    assert difference([1 + 1j], [1 + 1j], rtol=1e-12) == (None, None)
    assert difference([1 + 1j], [1 - 1j], rtol=1e-12)[1] == (0,)
    assert difference([True, False], [True, False], rtol=0) == (None, None)
    assert difference([True, True], [True, False], rtol=0) == ("is True, the right value is False", (1,))
    assert difference(3, 3, rtol=0) == (None, None)
    assert difference(3.0, 3, rtol=0) == (None, None)
    assert difference(10**400, 3, rtol=0)[0] == "returned a huge integer, where numbers are expected"


def test_difference_empty_arrays_agree():
    assert difference(np.zeros((0, 3)), np.zeros((0, 3)), rtol=0) == (None, None)
    assert "shape (0,)" in difference(np.zeros(0), np.zeros((0, 3)), rtol=0)[0]


def test_difference_without_shape_broadcasts():
    assert difference(2.0, np.full(3, 2.0), rtol=0, shape=False) == (None, None)
    assert "shape (2,)" in difference(np.ones(2), np.ones(3), rtol=0, shape=False)[0]


def test_difference_subclasses_that_compare_as_they_like_do_not_help():
    class Yes(np.ndarray):
        def __eq__(self, other):
            return np.ones(self.shape, bool)

        def astype(self, *_):
            return self

    assert difference(np.zeros(3).view(Yes), np.ones(3), rtol=1e-9)[1] == (0,)


def test_values_torch_answers():
    torch = pytest.importorskip("torch")
    z = torch.linspace(-2, 2, 5, dtype=torch.float64, requires_grad=True)

    def answer(z):
        return z * torch.sigmoid(z)

    right = lambda z: swish(z.detach().numpy())  # noqa: E731
    assert engine.values(answer, right, [(z,)], call="f(z)") == "f: fine"
    with pytest.raises(CheckFailed, match="f differs at z = "):
        engine.values(torch.sigmoid, right, [(z,)], call="f(z)")
