"""Self-checks of assignment 12: each typical mistake gets its sentence, right answers get none."""

import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from complaints import complaints_of

from selfgated.checks import recurrent_networks as check
from selfgated.grading.assignment import Assignment

ASSIGNMENT = Assignment.load("12_recurrent_networks")
complaint = complaints_of(check)


@pytest.fixture(autouse=True)
def quiet():
    with np.errstate(all="ignore"):
        yield


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("settled_variance", "s^2/(1 - rho^2*(1 + a^2))", "half of the z are positive"),
        ("settled_variance", "s^2/(1 - rho^2/2)", "this is ReLU"),
        ("settled_variance", "s^2/(1 - rho^2*(1 + a)/2)", "enters squared"),
        ("settled_variance", "s/(1 - rho^2*(1 + a^2)/2)", "the variance s^2"),
        ("settled_variance", "s^2/(1 + rho^2*(1 + a^2)/2)", "to the left side"),
        ("settled_variance", "s^2/(1 - rho*sqrt((1 + a^2)/2))", "variances add"),
        ("settled_variance", "s^2", "differs at rho = "),
        ("step_factor", "rho^2*(1 + a^2)/2", "this is chi"),
        ("step_factor", "rho*(1 + a)/2", "averages the slope"),
        ("step_factor", "sqrt(rho^2/2)", "this is ReLU"),
        ("step_factor", "rho*sqrt(1 + a^2)", "half are a"),
        ("step_factor", "rho", "f' enter as well"),
        ("memory_time", "-1/log(1 - 1/r)", "squared length"),
        ("memory_time", "2/log(1 - 1/r)", "the sign"),
        ("memory_time", "2*r", "for large r"),
        ("memory_time", "2/log(r)", "what is missing to 1"),
        ("memory_time", "-2*log(1 - 1/r)", "1 over the logarithm"),
        ("second_component", "t*k*a^t", "t - 1 are a"),
        ("second_component", "k*a^(t - 1)", "any of t places"),
        ("second_component", "(k*a)^t", "only one of the t factors"),
        ("second_component", "t*k^(t - 1)*a", "the others are a"),
        ("second_component", "0", "its transpose"),
        ("second_component", "(t - 1)*k*a^(t - 1)", "after one step it is k"),
        ("hump_time", "1/log(a)", "the sign"),
        ("hump_time", "-log(a)", "upside down"),
        ("hump_time", "1/(1 - a)", "a close to 1"),
        ("hump_time", "a/(1 - a)", "t is a real number"),
        ("hump_time", "1 - 1/log(a)", "a constant factor"),
        ("hump_height", "-k/(exp(1)*log(a))", "a factor 1/a is missing"),
        ("hump_height", "-k/(a*log(a))", "not 1"),
        ("hump_height", "k/(a*exp(1)*log(a))", "the sign"),
        ("hump_height", "-1/(a*exp(1)*log(a))", "k is missing"),
        ("hump_height", "-k*exp(1)/(a*log(a))", "not e"),
        ("safe_coupling", "1 - a", "it is smaller"),
        ("safe_coupling", "sqrt(1 - a^2)", "one row or column"),
        ("safe_coupling", "(1 - a^2)^2", "this is k^2"),
        ("safe_coupling", "1 + a^2", "a sign"),
        ("safe_coupling", "2*(1 - a^2)", "not by k/2"),
        ("half_life_bias", "log(2^(1/D) - 1)", "a large bias"),
        ("half_life_bias", "log(D)", "the chapter's optimum"),
        ("half_life_bias", "log(D/log(2))", "for large D"),
        ("half_life_bias", "0.5^(1/D)", "b is its logit"),
        ("half_life_bias", "-log(2)/D", "not its exponential"),
        ("half_life_bias", "-log(2^D - 1)", "the D-th root"),
        ("mean_age", "1 + exp(b)", "the age k = 0"),
        ("mean_age", "exp(-b)", "upside down"),
        ("mean_age", "1/(1 + exp(-b))", "this is Z"),
        ("mean_age", "b", "the logarithm of the mean age"),
        ("mean_age", "exp(b)*(1 + exp(b))", "a factor 1 - Z"),
        ("best_bias", "log(D)", "this maximises the weight"),
        ("best_bias", "log(2*D)", "for large D"),
        ("best_bias", "sqrt(D/(D + 1))", "this is Z"),
        ("best_bias", "log(D/(D + 1))/2", "b is the logit of Z"),
        ("best_bias", "log(D)/2", "is not the logit of Z"),
        ("best_bias", "log(sqrt((D + 1)/D) - 1)", "the sign"),
    ],
)
def test_formula_mistake_gets_its_sentence(name, text, words):
    assert words in complaint(name, lambda: text)


def test_best_bias_without_the_writing_weight_gets_its_sentence():
    D, Z = 7.0, np.linspace(0.5, 1, 2_000_001)[:-1]
    top = Z[np.argmax(2 * np.log1p(-Z) + 2 * D * np.log(Z) + np.log1p(-(Z**2)))]
    root = (np.sqrt(1 + 4 * D * (D + 2)) - 1) / (2 * (D + 2))
    assert abs(top - root) < 1e-6
    text = "(sqrt(1 + 4*D*(D + 2)) - 1)/(2*(D + 2))"
    assert "you left out (1 - Z)^2" in complaint("best_bias", lambda: f"-log(1/({text}) - 1)")


def test_right_formulas_maximise_what_they_should():
    Z = np.linspace(0, 1, 1_000_001)[1:-1]
    for D in (3.0, 25.0):
        share = (1 - Z) ** 2 * Z ** (2 * D) / ((1 - Z) ** 2 / (1 - Z**2))
        best = Z[share.argmax()]
        assert abs(np.log(best / (1 - best)) + np.log(np.sqrt((D + 1) / D) - 1)) < 1e-3
    for a, k in ((0.9, 2.0), (0.5, 0.3)):
        W = np.array([[a, k], [0, a]])
        second = [(np.linalg.matrix_power(W.T, t) @ [1.0, 0.0])[1] for t in range(1, 30)]
        t = np.arange(1, 30)
        assert np.allclose(second, t * k * a ** (t - 1), rtol=1e-12, atol=0)
        assert max(second) <= -k / (a * np.e * np.log(a))
        W[0, 1] = 1 - a**2
        assert abs(np.linalg.norm(W, 2) - 1) < 1e-12


def lags(W, slopes, delta, *, rows=-1, transpose=True, late=False, rescale=True, stop=True):
    W = W.T if transpose else W
    logs, total = [], 0.0
    for k in range(len(slopes) + 1):
        if k:
            slope = slopes[::rows][k - 1]
            delta = slope * (W @ delta) if late else W @ (slope * delta)
        size = np.linalg.norm(delta)
        logs.append(total + np.log(size))
        if rescale and (size > 0 or not stop):
            total, delta = logs[-1], delta / size
    return np.array(logs)


def spoilt(W, slopes, delta):
    result = lags(W, slopes, delta)
    slopes *= 2
    return result


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda *given: lags(*given, rows=1), "the last row of slopes"),
        (lambda *given: lags(*given, transpose=False), "goes back with W^T"),
        (lambda *given: lags(*given, late=True), "before W^T does"),
        (lambda *given: np.exp(lags(*given)), "return the logarithms"),
        (lambda *given: 2 * lags(*given), "squared lengths"),
        (lambda *given: lags(*given) / np.log(10), "natural logarithm"),
        (lambda *given: lags(*given)[::-1], "the other way round"),
        (lambda *given: lags(*given) - lags(*given)[0], "do not divide by the length of delta_T"),
        (lambda *given: lags(*given)[1:], "shape (9,)"),
        (lambda *given: lags(*given, rescale=False), "rescale delta in each step"),
        (lambda *given: lags(*given, stop=False), "do not divide by a length of 0"),
        (spoilt, "changed its input slopes"),
        (lambda *given: None, "returned nothing"),
    ],
)
def test_log_norms_mistake_gets_its_sentence(answer, words):
    assert words in complaint("log_norms", answer)


def test_log_norms_of_a_zero_delta_gets_its_sentence():
    def answer(W, slopes, delta):
        if not delta.any():
            return np.full(len(slopes) + 1, np.nan)
        return lags(W, slopes, delta)

    assert "the entry is -inf" in complaint("log_norms", answer)


def sigma(p):
    return 0.5 + 0.5 * np.tanh(p / 2)


def naive(p):
    return np.exp(p) / (1 + np.exp(p))


def step(x, h, c, A, B, b, *, order=(0, 1, 2, 3), gate=sigma, value=np.tanh, read=np.tanh, old=False):
    p = (A @ x + B @ h + b).reshape(4, -1)[list(order)]
    new = gate(p[1]) * c + gate(p[0]) * value(p[2])
    return gate(p[3]) * read(c if old else new), new


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda *given: step(*given, order=(0, 1, 3, 2)), "in the order I, F, g, O"),
        (lambda *given: step(*given, order=(1, 0, 2, 3)), "I comes first"),
        (lambda *given: step(*given, old=True), "not the old one"),
        (lambda *given: step(*given, read=np.positive), "the tanh is missing"),
        (lambda *given: step(*given, value=np.positive), "not p_g"),
        (lambda *given: step(*given)[::-1], "the order is (h', c')"),
        (lambda *given: step(*given, gate=naive), "inf / inf gives nan"),
        (lambda *given: step(*given)[0], "return the tuple (h', c')"),
        (lambda *given: (step(*given)[0][None], step(*given)[1]), "not that of h"),
        (lambda *given: None, "returned nothing"),
    ],
)
def test_lstm_step_mistake_gets_its_sentence(answer, words):
    assert words in complaint("lstm_step", answer)


def backward(grad_h, grad_c, x, h, c, A, B, b, *, through=1, use=(1, 1), parts=(1, 1, 1, 1)):
    p = (A @ x + B @ h + b).reshape(4, -1)
    s, g = sigma(p), np.tanh(p[2])
    out = np.tanh(s[1] * c + s[0] * g)
    grad_h, grad_c = use[0] * grad_h, use[1] * grad_c
    full = grad_c + through * grad_h * s[3] * (1 - out**2)
    rows = [full * g, full * c, full * s[0] * (1 - g**2), grad_h * out]
    rows = [row * (1 if k == 2 else s[k] * (1 - s[k])) * parts[k] for k, row in enumerate(rows)]
    return B.T @ np.concatenate(rows), full * s[1]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"through": 0}, "h' depends on c'"),
        ({"use": (1, 0)}, "grad_c is not used"),
        ({"use": (0, 1)}, "grad_h is not used"),
        ({"parts": (1, 1, 1, 0)}, "the output gate depends on h"),
        ({"parts": (0, 0, 1, 0)}, "the gates depend on h as well"),
        ({"parts": (1, -1, 1, 1)}, "differs at"),
    ],
)
def test_lstm_backward_mistake_gets_its_sentence(options, words):
    assert words in complaint("lstm_backward", lambda *given: backward(*given, **options))


def test_lstm_backward_other_order_gets_its_sentence():
    assert "the order is" in complaint("lstm_backward", lambda *given: backward(*given)[::-1])
    assert check.lstm_backward(backward) == "lstm_backward: fine"


def test_numbers_of_the_open_question_are_as_the_model_answer_says():
    space, printed = {}, io.StringIO()
    for cell in ("setup", "p6-demo"):
        with contextlib.redirect_stdout(printed):
            exec(ASSIGNMENT.by_id[cell].source, space)
    weight, share = (
        [np.interp(k, space["b"], curve) / curve.max() for k in (1, 6)] for curve in space["curves"]
    )
    assert weight[0] < 1e-2
    assert share[0] < 1e-4
    assert max(weight[1], share[1]) < 0.5
    assert [f"{value:.1f}" for value in space["best"]] == ["3.2", "3.9"]
    for D in (10, 25, 100):
        assert abs(-np.log(np.sqrt((D + 1) / D) - 1) - np.log(D) - np.log(2)) < 0.03


def test_plateau_of_the_open_question_is_in_the_record():
    path = Path(__file__).parents[1] / "results" / "recurrent_networks_quick.json"
    where = {"part": "delay", "cell": "gru", "init": "orthogonal", "act": "tanh", "delay": 25, "steps": 300}
    rows = [row for row in json.loads(path.read_text())["rows"] if where.items() <= row.items()]
    accuracy = {b: np.mean([row["accuracy"] for row in rows if row["bias"] == b]) for b in range(7)}
    assert max(row["accuracy"] for row in rows if row["bias"] == 0) < 0.2
    assert accuracy[1] > 0.8
    assert max(accuracy.values()) - accuracy[1] < 0.1
    assert [round(accuracy[b], 1) for b in range(2, 7)] == [0.9] * 5
