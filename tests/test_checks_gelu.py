"""The self-checks of assignment 3 name the mistakes that students make, and let right answers through."""

import math

import numpy as np
import pytest
from scipy.special import erf, erfc, log_ndtr, ndtr

from selfgated import kernels, moments
from selfgated.checks import gelu as check
from selfgated.checks.engine import CheckFailed

T, V = "tanh(sqrt(2/pi)*(z + 0.044715*z**3))", "sqrt(2/pi)*(1 + 0.134145*z**2)"
U = "((z - m)/w)"


def says(text):
    """An answer by hand: a function that returns `text`."""

    def answer():
        return text

    return answer


def unfinished(*arguments):
    raise NotImplementedError


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"z/2*(1 + {T})", "h itself"),
        (f"(1 + {T})/2", "also has z times the gate's slope"),
        (f"z/2*(1 - {T}**2)*{V}", "also has the gate itself"),
        (f"(1 + {T})/2 + z/2*(1 - {T}**2)", "inner derivative is missing"),
        (f"(1 + {T})/2 + z/2*(1 - {T}**2)*sqrt(2/pi)", "lacks the factor 1"),
        (f"(1 + {T})/2 + z/2*(1 - {T}**2)*(1 + 0.134145*z**2)", "lacks the factor sqrt"),
        (f"(1 + {T})/2 + z/2*(1 - {T}**2)*sqrt(2/pi)*(1 + 0.044715*z**2)", "the 3 is missing"),
        (f"(1 + {T})/2 + z*(1 - {T}**2)*{V}", "lacks the 1/2"),
        (f"(1 + {T})/2 - z/2*(1 - {T}**2)*{V}", "wrong sign"),
        (f"(1 + {T})/2 + z/2*(1 - {T})*{V}", "the square is missing"),
        ("Phi(z)", "unknown function 'Phi'"),
        (f"(1 + {T})/2 + z/2*(1 - {T}**2)*0.79788456*(1 + 0.134145*z**2)", "differs at z"),
    ],
)
def test_tanh_slope_names_the_mistake(text, words):
    with pytest.raises(CheckFailed, match=words):
        check.tanh_slope(says(text))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"Phi{U}", "also has z times the gate's slope"),
        (f"z/w*phi{U}", "also has the gate itself"),
        (f"Phi{U} + z*phi{U}", "1/w is missing"),
        (f"Phi{U} + (z - m)/w*phi{U}", "m moves the gate"),
        ("Phi(z) + z*phi(z)", "m = 0 and w = 1"),
        (f"Phi{U} - z/w*phi{U}", "wrong sign"),
        (f"Phi{U} - z*(z - m)/w**2*phi{U}", "you used phi'"),
    ],
)
def test_centre_and_width_names_the_mistake_in_z(text, words):
    with pytest.raises(CheckFailed, match=words):
        check.centre_and_width(says(text), says("0"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"z*(z - m)/w**2*phi{U}", "the sign"),
        (f"-z/w**2*phi{U}", "factor z - m is missing"),
        (f"-(z - m)/w**2*phi{U}", "factor z in front"),
        (f"-z**2/w**2*phi{U}", "m = 0 only"),
        (f"-z*(z - m)/w*phi{U}", "not -1/w"),
        (f"z/w*phi{U}", "with respect to w, not z"),
        (f"Phi{U} - z*(z - m)/w**2*phi{U}", "no first term"),
        (f"-z*(z - m)/w**2*Phi{U}", "capital letter"),
    ],
)
def test_centre_and_width_names_the_mistake_in_w(text, words):
    with pytest.raises(CheckFailed, match=words):
        check.centre_and_width(says(f"Phi{U} + z/w*phi{U}"), says(text))


def naive(z):
    return (z * (1 + erf(z.astype(float) / math.sqrt(2))) / 2).astype(z.dtype)


def overwriting(z):
    z *= ndtr(z)
    return z


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (ndtr, "multiply it by z"),
        (lambda z: z * (1 + erf(z)) / 2, "erf takes z / sqrt 2"),
        (lambda z: z * (1 + erf(z / math.sqrt(2))), "1/2 is missing"),
        (lambda z: z * ndtr(-z), "opens on the wrong side"),
        (kernels.gelu_tanh, "tanh form"),
        (kernels.gelu_sigmoid, "sigmoid form"),
        (naive, "cancels there. Use math.erfc"),
        (lambda z: z * (1 - ndtr(-z)), "cancels there. Use math.erfc"),
        (lambda z: kernels.gelu(z.astype(float)), "dtype float64, where float32"),
        (lambda z: (z * erfc((-z / math.sqrt(2)).astype(z.dtype)) / 2).astype(z.dtype), "differs at z = -1"),
        (overwriting, "changed its input z"),
    ],
)
def test_forward_names_the_mistake_in_gelu(answer, words):
    with pytest.raises(CheckFailed, match=f"^gelu.*({words})"):
        check.forward(answer, unfinished)


def bell(z):
    return np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (ndtr, "also has z phi"),
        (lambda z: z * bell(z), "also has Phi"),
        (lambda z: ndtr(z) + bell(z), "lacks the factor z"),
        (lambda z: ndtr(z) - z * bell(z), "wrong sign"),
        (lambda z: ndtr(z) + z * np.exp(-(z**2) / 2), "density lacks"),
        (kernels.gelu, "not its slope"),
        (kernels.gelu_tanh_grad, "tanh form"),
        (lambda z: ndtr(z) + z * bell(z.astype(float)), "dtype float64, where float32"),
    ],
)
def test_forward_names_the_mistake_in_the_slope(answer, words):
    with pytest.raises(CheckFailed, match=f"^gelu_grad.*{words}"):
        check.forward(kernels.gelu, answer)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1/a + 1/a**3 + 3/a**5", "signs alternate"),
        ("1/a - 1/a**3", "two terms"),
        ("1/a - 1/a**3 + 1/a**5", "factor 3"),
        ("1/a - 1/a**3 + 2/a**5", "not 2"),
        ("1/a - 1/a**2 + 1/a**3", "1/t twice"),
        ("1/a - 1/a**2 + 3/a**3", "1/t twice"),
        ("1/a - 1/a**3 - 3/a**5", "third term has the wrong sign"),
        ("1/a - 1/a**3 + 3/a**5 - 15/a**7", "four terms"),
        ("1 - 1/a**2 + 3/a**4", "divide by a"),
    ],
)
def test_tail_names_the_mistake_in_the_series(text, words):
    with pytest.raises(CheckFailed, match=words):
        check.tail(says(text), unfinished)


def right(a):
    return np.log(a) + log_ndtr(-a)


def leading(a):
    return -(a**2) / 2 - 0.5 * math.log(2 * math.pi)


def beyond(far):
    """An answer that is right for a up to 30, and `far` beyond."""
    return lambda a: np.where(a <= 30, right(a), far(a))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda a: -right(a), "a small number is negative"),
        (lambda a: log_ndtr(-a), "factor a is missing"),
        (lambda a: right(a) / math.log(10), "base 10"),
        (lambda a: leading(a) + np.log(1 - 1 / a**2 + 3 / a**4), "series alone"),
        (leading, "first term alone"),
        (lambda a: np.log(-kernels.gelu(-a)), "not finite at a = 50"),
        (beyond(leading), "take the series further"),
        (beyond(lambda a: -(a**2) / 2), "exponent of phi alone"),
        (beyond(lambda a: right(a) + 0.5 * math.log(2 * math.pi)), "its logarithm is missing"),
        (lambda a: right(a)[0], "an array of shape"),
    ],
)
def test_tail_names_the_mistake_in_log_size(answer, words):
    with pytest.raises(CheckFailed, match=words):
        check.tail(says("1/a - 1/a**3 + 3/a**5"), answer)


def mean_square(beta, s, power=2):
    return moments.estimate(lambda z: kernels.swish(z, beta) - kernels.gelu(z), power, q=s * s).value


def rms(beta, s):
    return math.sqrt(mean_square(beta, s))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (mean_square, "take its root"),
        (lambda beta, s: rms(beta, 1.0), "s has no effect"),
        (lambda beta, s: rms(beta, math.sqrt(s)), "used it as the variance"),
        (lambda beta, s: mean_square(beta, s, 1), "square it first"),
        (lambda beta, s: rms(beta, s) * math.sqrt(s), "sum to s, not to 1"),
        (lambda beta, s: rms(beta, s) * (2 * math.pi) ** 0.25, "must sum to 1"),
        (lambda beta, s: 1.001 * rms(beta, s), "differs at beta = "),
    ],
)
def test_closest_names_the_mistake_in_rms_error(answer, words):
    with pytest.raises(CheckFailed, match=f"^rms_error.*{words}"):
        check.closest(answer, unfinished)


BEST = {0.5: 1.6534121, 1.0: 1.7119130, 4.0: 1.7729436}  # by a bounded minimisation, to all digits


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda s: 1.702, "the best beta for the gate"),
        (lambda s: BEST[1.0], "s has no effect"),
        (lambda s: 1.7734, "largest error"),
        (lambda s: 1.5957691, "very small s"),
        (lambda s: rms(BEST[s], s), "least error; return the beta"),
        (lambda s: round(BEST[s], 2), "differs at s = 0.5"),
    ],
)
def test_closest_names_the_mistake_in_best_beta(answer, words):
    with pytest.raises(CheckFailed, match=f"^best_beta.*{words}"):
        check.closest(rms, answer)


def test_model_answer_of_the_open_question_has_right_numbers():
    z = np.linspace(0, 6, 600_001)
    tanh_error = np.abs(kernels.gelu_tanh(z) - kernels.gelu(z))
    sigmoid_error = np.abs(kernels.gelu_sigmoid(z) - kernels.gelu(z))
    assert round(tanh_error.max(), 5) == 4.7e-4
    assert round(z[tanh_error.argmax()], 2) == 2.70
    assert 16 < 1 / 128 / tanh_error.max() < 17
    assert round(kernels.gelu(-2.70), 4) == -0.0094
    assert round(100 * tanh_error.max() / 0.0094) == 5
    assert 15 < tanh_error.max() / 2.0**-15 < 16  # half a spacing of bfloat16 at 0.0094
    assert round(sigmoid_error.max(), 3) == 0.020
    assert round(z[sigmoid_error.argmax()], 2) == 2.27
    assert round(sigmoid_error.max() / tanh_error.max()) == 43
    assert round(kernels.gelu(-2.27), 3) == -0.026
    assert round(kernels.gelu_sigmoid(-2.27), 3) == -0.047
    assert round(mean_square(1.702, 3.0, 1), 4) == -0.0057
    assert 4.5 < rms(1.702, 0.3) / rms(1.62, 0.3) < 5


@pytest.mark.parametrize(
    ("value", "rounding"), [(2.70, 0.0078), (2.27, 0.0078), (1.0, 0.0039), (0.026, 6e-5)]
)
def test_model_answer_of_the_open_question_has_right_roundings(value, rounding):
    half_a_spacing = 2.0 ** (math.floor(math.log2(value)) - 8)  # 8 significant bits
    assert half_a_spacing == pytest.approx(rounding, rel=0.02)
