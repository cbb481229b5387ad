"""The self-checks of assignment 2 name the mistakes that students make, and let right answers through."""

import numpy as np
import pytest
from scipy.special import lambertw
from scipy.stats import norm

from selfgated import kernels
from selfgated.checks import answers
from selfgated.checks import swish as check
from selfgated.checks.engine import AnswerError, CheckFailed
from selfgated.kernels import sigmoid

T, Q = "tanh(beta*z/2)", "(1 - tanh(beta*z/2)**2)"


def says(text):
    """An answer by hand: a function that returns `text`."""

    def swish_slope():
        return text

    return swish_slope


def bell(t):
    return sigmoid(t) * sigmoid(-t)


def unfinished(*arguments):
    raise NotImplementedError


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"z*(1 + {T})/2", "f itself"),
        (f"(1 + {T})/2", "also has z times the gate's slope"),
        (f"beta*z/4*{Q}", "also has the gate itself"),
        (f"beta/4*{Q}", "slope of the gate; f is z times"),
        (f"(1 + {T})/2 + z/4*{Q}", "right at beta = 1 only"),
        ("(1 + tanh(z/2))/2 + z/4*(1 - tanh(z/2)**2)", "slope at beta = 1"),
        (f"(1 + {T})/2 + z/2*{Q}", "beta / 2, is missing"),
        (f"(1 + {T})/2 + beta*z/2*{Q}", "beta / 2, not beta"),
        (f"(1 + {T})/2 - beta*z/4*{Q}", "wrong sign"),
        (f"(1 + {T})/2 + beta*z/4*(1 - {T})", "the square is missing"),
        (f"(1 + {T})/2 + beta*z/4*(1 + {T}**2)", "not 1 [+] tanh"),
        ("sigma(beta*z)", "unknown function 'sigma'"),
        ("1/2 + x", "unknown symbol 'x'"),
        (f"(1 + {T})/2 + beta*z/5*{Q}", "differs at z = "),
    ],
)
def test_slope_names_the_mistake(text, words):
    with pytest.raises(CheckFailed, match=f"swish_slope.*{words}"):
        check.slope(says(text))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("exp(beta*z)", "threshold c is missing"),
        ("exp(beta*z + c)", "threshold has the wrong sign"),
        ("exp(z - c)", "beta is missing"),
        ("exp(c - beta*z)", "exponent has the wrong sign"),
        ("beta*exp(beta*z - c)", "a beta too many"),
        ("-exp(beta*z - c)", "the sign is wrong"),
        ("1 + exp(beta*z - c)", "already in the equation"),
    ],
)
def test_lowest_names_the_mistake_in_the_term(text, words):
    with pytest.raises(CheckFailed, match=words):
        check.lowest(says(text), says("z + 1/beta"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1 + z", "beta = 1 only"),
        ("beta*z + 1", "divide by beta"),
        ("z + beta", "not added like this"),
        ("z - 1/beta", "sign of the second term"),
        ("-(z + 1/beta)", "lowest value is negative"),
        ("z + beta*z**2", "divide by 1 [+] e\\^t too"),
        ("z*exp(z)", "unknown function 'exp' at character 3; no function is needed"),
    ],
)
def test_lowest_names_the_mistake_in_the_value(text, words):
    with pytest.raises(CheckFailed, match=words):
        check.lowest(says("exp(beta*z - c)"), says(text))


def small(a):
    return np.exp(-np.abs(a))


def gate(a):
    return np.where(a >= 0, 1, small(a)) / (1 + small(a))


def typed(function):
    """The function with a beta that has the dtype of z."""
    return lambda z, beta: function(z, np.asarray(beta, z.dtype))


def overwriting(z, beta):
    z *= gate(beta * z)
    return z


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda z, beta: z * gate(z + 0 * beta), "beta is missing"),
        (lambda z, beta: gate(beta * z), "multiply it by z"),
        (lambda z, beta: beta * z * gate(beta * z), "beta is in the gate only"),
        (lambda z, beta: z * gate(-beta * z), "opens on the wrong side"),
        (lambda z, beta: z / (1 + small(beta * z)), "right for beta z >= 0 only"),
        (lambda z, beta: z / 2 * (1 + np.tanh(beta * z / 2)), "cancels there. Build on"),
        (lambda z, beta: z * (1 - gate(-beta * z)), "cancels there. Build on"),
        (lambda z, beta: z / (1 + np.exp(-beta * z)), "NumPy warns for .*overflow"),
        (lambda z, beta: z * gate(np.float64(1) * beta * z), "dtype float64, where float32"),
        (overwriting, "changed its input z"),
        (lambda z, beta: None, "returned nothing"),
        (lambda z, beta: (z * gate(beta * z)).sum(), "a single number"),
    ],
)
def test_forward_names_the_mistake(answer, words):
    with pytest.raises(CheckFailed, match=words):
        check.forward(answer)


@pytest.mark.parametrize("name", ["forward", "gradient"])
def test_result_may_be_larger_than_z(name):
    def in_the_shape_of_z(z, beta):
        result = np.empty_like(z)
        a = typed(np.multiply)(z, beta)
        result[...] = z * gate(a) if name == "forward" else gate(a) + a * bell(a)
        return result

    with pytest.raises(CheckFailed, match="could not broadcast"):
        getattr(check, name)(in_the_shape_of_z)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda z, beta: gate(beta * z), "also has beta z sigma'"),
        (lambda z, beta: beta * z * bell(beta * z), r"also has sigma\(beta z\)"),
        (lambda z, beta: gate(beta * z) + z * bell(beta * z), "lacks the inner derivative beta"),
        (lambda z, beta: gate(beta * z) - beta * z * bell(beta * z), "wrong sign"),
        (lambda z, beta: gate(z) + z * bell(z) + 0 * beta, "beta is missing"),
        (lambda z, beta: z * gate(beta * z), "f, not its slope"),
        (lambda z, beta: z * gate(beta * z) * bell(beta * z), "lacks a term"),
        (
            lambda z, beta: z * gate(beta * z) + gate(beta * z) * (beta - beta * z * gate(beta * z)),
            "a misprint from the chapter",
        ),
        (
            typed(lambda z, beta: (np.exp(-beta * z) * (1 + beta * z) + 1) / (1 + np.exp(-beta * z)) ** 2),
            "NumPy warns for .*overflow",
        ),
        (
            lambda z, beta: gate(np.float64(1) * beta * z) + beta * z * bell(beta * z),
            "dtype float64, where float32",
        ),
    ],
)
def test_gradient_names_the_mistake(answer, words):
    with pytest.raises(CheckFailed, match=words):
        check.gradient(answer)


def total(each, beta):
    return each.sum(axis=0) if np.ndim(beta) else each.sum()


def slope(z, beta):
    return gate(beta * z) + beta * z * bell(beta * z)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda z, beta, g: slope(z, beta), r"return the pair \(grad_z, grad_beta\)"),
        (lambda z, beta, g: (slope(z, beta), 0), "multiply it by grad_output"),
        (lambda z, beta, g: (g * z * gate(beta * z), 0), "take its slope"),
        (lambda z, beta, g: (g * gate(beta * z), 0), r"you took sigma\(beta z\) for the slope"),
        (lambda z, beta, g: (g * slope(z, beta), g * z**2 * bell(beta * z)), "its gradient is a sum"),
        (lambda z, beta, g: (g * slope(z, beta), (g * z).sum()), "sum over the rows only"),
        (lambda z, beta, g: (g * slope(z, beta), (g * z).sum(axis=1)), "sum over the rows only"),
        (
            lambda z, beta, g: (g * slope(z, beta), (g * z**2 * bell(beta * z)).sum(axis=0)),
            "a shared beta is used in every row and channel",
        ),
        (lambda z, beta, g: (g * slope(z, beta), total(z**2 * bell(beta * z), beta)), "without grad_output"),
        (
            lambda z, beta, g: (
                g * slope(z, beta),
                total(g * z**2 * bell(beta * z), beta) * np.size(beta) / 12,
            ),
            "you took the mean",
        ),
        (lambda z, beta, g: (g * slope(z, beta), total(g * z * bell(beta * z), beta)), "has z twice"),
        (
            lambda z, beta, g: (g * slope(z, beta), total(g * beta * z * bell(beta * z), beta)),
            "with respect to beta is z, not beta",
        ),
        (
            lambda z, beta, g: (g * slope(z, beta), total(g * slope(z, beta), beta)),
            "differentiate with respect",
        ),
    ],
)
def test_backward_names_the_mistake(answer, words):
    with pytest.raises(CheckFailed, match=words):
        check.backward(answer)


def w(c):
    return float(lambertw(np.exp(-1 - c)).real)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda beta, c: -(1 + w(c)) / beta, r"return the pair \(place, value\)"),
        (lambda beta, c: (-(1 + w(c)), -w(c)), "place.*divide by beta"),
        (lambda beta, c: (-(1 + w(c)) * beta, -w(c) * beta), "you multiplied"),
        (lambda beta, c: (-(1 + w(0)) / beta, -w(0) / beta), "c has no effect"),
        (lambda beta, c: (-(1 + w(-c)) / beta, -w(-c) / beta), "c enters with the wrong sign"),
        (lambda beta, c: (-w(c) / beta, -(1 + w(c)) / beta), "return the place first"),
        (lambda beta, c: (-(1 + w(c)) / beta, -w(c)), "value.*that is beta f"),
        (lambda beta, c: (-(1 + w(c)) / beta, w(c) / beta), "the value is negative"),
        (lambda beta, c: (-(1 + w(c)) / beta, 1 - (1 + w(c)) / beta), "right at beta = 1 only"),
        (
            lambda beta, c: (-(1 + w(c)) / beta, kernels.swish(-(1 + w(c)) / beta, beta)),
            "without the threshold c",
        ),
        (lambda beta, c: (-(1 + w(c)) / beta, -(1 + w(c)) / beta + 1 / beta), "cancels; most digits"),
        (lambda beta, c: (-(1 + w(c)) / (beta or 1), -w(c) / (beta or 1)), "it should raise a ValueError"),
    ],
)
def test_minimum_names_the_mistake(answer, words):
    with pytest.raises(CheckFailed, match=words):
        check.minimum(answer)


def test_minimum_rejects_another_exception_for_a_bad_beta():
    def answer(beta, c):
        if beta <= 0:
            raise KeyError(beta)
        return -(1 + w(c)) / beta, -w(c) / beta

    with pytest.raises(
        CheckFailed, match=r"swish_minimum\(-1, 0.5\) raised KeyError.*ValueError is expected"
    ):
        check.minimum(answer)


def test_strict_allows_underflow():
    assert answers.strict(lambda z: np.exp(z))(np.array([-1000.0])) == 0


def test_refusal_accepts_the_error_of_a_graded_answer():
    def graded(beta):
        raise AnswerError("f raised ValueError", kinds=["ValueError"])

    answers.refusal(graded, ValueError, -1.0, call="f(-1)")
    with pytest.raises(CheckFailed, match="KeyError is expected"):
        answers.refusal(graded, KeyError, -1.0, call="f(-1)")


def test_model_answer_of_the_open_question_has_right_numbers():
    assert 0.0445 < np.tanh(0.03 * 3 / 2) < 0.045  # A
    dip, place = w(0), 1 + w(0)
    assert round(dip / 25, 3) == 0.011  # B
    assert round(place / 25, 3) == 0.051
    assert round(100 * (1 - 2 * norm.sf(place / 25))) == 4
    assert 0.004 < kernels.swish_beta_grad(10.0) < 0.005  # C
    assert round(100 * 2 * norm.sf(10 / 60)) == 87
    x = np.linspace(-3, 3, 61)
    np.testing.assert_allclose(kernels.swish(60 * x), 60 * kernels.swish(x, 60.0), rtol=1e-12)


def test_entry_takes_rows_of_an_array_as_a_pair():
    assert answers.entry(lambda: np.array([1.0, 2.0]), 1, "(place, value)")() == 2.0
    for wrong in (np.array([1.0, 2.0, 3.0]), np.array(2.0), (1.0,), 5.0):
        with pytest.raises(CheckFailed, match="return the pair"):
            answers.entry(lambda wrong=wrong: wrong, 0, "(place, value)")()
