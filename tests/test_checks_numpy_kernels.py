"""Self-checks of assignment 06: each typical mistake gets its sentence, right answers get none."""

import numpy as np
import pytest
from complaints import complaints_of

from selfgated.checks import numpy_kernels as check
from selfgated.grading.assignment import Assignment

ASSIGNMENT = Assignment.load("06_numpy_kernels")
complaint = complaints_of(check)


@pytest.fixture(autouse=True)
def quiet():
    with np.errstate(all="ignore"):
        yield


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("sigmoid_condition", "z*sigma(z)", "1 - sigma is left"),
        ("sigmoid_condition", "1/(1 + exp(z))", "left out the factor z"),
        ("sigmoid_condition", "z*sigma(z)*sigma(-z)", "divide by sigma"),
        ("sigmoid_condition", "abs(z)/(1 + exp(z))", "left of 0 this one is negative"),
        ("sigmoid_condition", "z*(1 - s)", "unknown symbol 's'"),
        ("sigmoid_condition", "z(1 - sigma(z))", "a '*' is missing"),
        ("twice_gated_condition", "1 + z*sigma(-z)", "belongs to SiLU"),
        ("twice_gated_condition", "2*z*sigma(-z)", "adds a term of its own"),
        ("twice_gated_condition", "1 + 2*z*sigma(z)", "and not sigma^2"),
        ("twice_gated_condition", "sigma(z)^2*(1 + 2*z*sigma(-z))", "this is the slope"),
        ("twice_gated_condition", "abs(1 + 2*z*sigma(-z))", "leave out the absolute value"),
        ("twice_gated_condition", "1 + 3*z*sigma(-z)", "differs at z = "),
        ("sum_is_one", "log(2)*(p + 1)", "twice that below 1"),
        ("sum_is_one", "log(2)*(p - 1)", "at most half the spacing"),
        ("sum_is_one", "-p*log(2)", "the sign"),
        ("sum_is_one", "p", "2 is not e"),
        ("tanh_is_one", "(p + 1)*log(2)/2", "half of that above 1"),
        ("tanh_is_one", "p*log(2)/2", "two factors of 2"),
        ("tanh_is_one", "(p + 2)*log(2)", "divide by 2"),
        ("tanh_is_one", "-(p + 2)*log(2)/2", "the sign"),
        ("square_overflows", "-m*log(2)", "its square does so half-way"),
        ("square_overflows", "m*log(2)/2", "the sign"),
        ("square_overflows", "-m/2", "2 is not e"),
    ],
)
def test_formula_mistake_gets_its_sentence(name, text, words):
    assert words in complaint(name, lambda: text)


def sigma(z):
    return 1 / (1 + np.exp(-z))


def by_E(z, *, low=-2000, power=2, early=False, kind=None):
    bounded = np.maximum(z, z.dtype.type(low)) if low else z
    e = np.exp(-np.abs(bounded))
    factor = np.where(z < 0, e, z.dtype.type(1))
    shared = bounded / (1 + e) ** power
    result = shared * (factor * factor) if early else (shared * factor) * factor
    return result.astype(kind or z.dtype)


def in_place(z):
    result = by_E(z)
    z *= 0
    return result


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda z: z * sigma(z), "square the gate"),
        (lambda z: (z * sigma(z)) ** 2, "only the gate is squared"),
        (lambda z: sigma(z) ** 2, "multiply by z"),
        (lambda z: z / (1 + np.exp(-z)) ** 2, "overflows on the left"),
        (lambda z: z * sigma(z) ** 2, "multiply z by E, then by E again"),
        (lambda z: z * np.exp(z) ** 2 / (1 + np.exp(z)) ** 2, "exp(-|z|) only"),
        (lambda z: by_E(z, early=True), "multiply z by E, then by E again"),
        (lambda z: by_E(z, low=None), "at -inf it gives nan"),
        (lambda z: np.where(np.isnan(z), 0, by_E(z)), "nan must stay nan"),
        (lambda z: by_E(z, kind=float), "dtype float64, where float32"),
        (in_place, "changed its input z"),
        (lambda z: by_E(z).ravel(), "shape (12,)"),
        (lambda z: None, "returned nothing"),
    ],
)
def test_twice_gated_mistake_gets_its_sentence(answer, words):
    assert words in complaint("twice_gated", answer)


def halves(x):
    c = (2.0**27 + 1) * x
    return c - (c - x), x - (c - (c - x))


def rest(x, y):
    (a, b), (c, d) = halves(x), halves(y)
    return ((a * c - x * y) + a * d + b * c) + b * d


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda x, y: (x * y, x * y - x * y), "lo is 0"),
        (lambda x, y: (x * y, -rest(x, y)), "wrong sign"),
        (lambda x, y: (rest(x, y), x * y), "the order is hi, lo"),
        (
            lambda x, y: (x * y, rest(x.astype(np.float32), y)),
            "subtract hi from the product of the large halves",
        ),
        (lambda x, y: x * y, "two things are expected"),
        (lambda x, y: None, "returned nothing"),
    ],
)
def test_two_product_mistake_gets_its_sentence(answer, words):
    assert words in complaint("two_product", answer)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda beta, z: np.exp(beta * z), "magnifies the rounding"),
        (lambda beta, z: np.exp(beta * z) * (1 - rest(beta + 0 * z, z)), "wrong sign"),
        (lambda beta, z: np.exp(beta * z) + rest(beta + 0 * z, z), "is a product"),
        (lambda beta, z: np.exp(beta) ** z, "the power z magnifies"),
        (lambda beta, z: np.exp(beta * z + rest(beta + 0 * z, z)), "magnifies the rounding"),
    ],
)
def test_exp_product_mistake_gets_its_sentence(answer, words):
    assert words in complaint("exp_product", answer)


HI, LO = -0.7388350311316078, -2.6732370274240148e-17


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        ((HI, 0.0), "lo is 0"),
        ((HI, -LO), "wrong sign"),
        ((-HI, -LO), "left of 0 f is negative"),
        ((LO, HI), "the order is hi, lo"),
        ((-1.2784645427610738, 0.0), "minimum of SiLU"),
        ((HI + 1e-9, 0.0), "differ by 1e-09"),
        (HI, "two things are expected"),
    ],
)
def test_lowest_mistake_gets_its_sentence(pair, words):
    assert words in complaint("lowest", lambda: pair)


def slope(z, *, lo=LO, bound=2000, expm1=np.expm1):
    z = np.clip(z, -bound, bound) if bound else z
    e = np.exp(-np.abs(z))
    d = (z - HI) - lo
    left = (2 * d - (1 + 2 * HI + 2 * LO) * expm1(np.minimum(d, 1))) * e * e
    return np.where(z < 0, left, 1 + e + 2 * z * e) / (1 + e) ** 3


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda z: sigma(z) ** 2, "second term of the product rule"),
        (lambda z: sigma(z) ** 2 * (1 + z * sigma(-z)), "the 2 is missing"),
        (lambda z: sigma(z) ** 2 * (1 - 2 * z * sigma(-z)), "both terms of f' have a plus"),
        (lambda z: sigma(z) * (1 + z * sigma(-z)), "slope of SiLU"),
        (lambda z: sigma(z) ** 2 * (1 + 2 * z * sigma(-z)), "write the bracket in d"),
        (lambda z: slope(z, lo=0.0), "write the bracket in d"),
        (lambda z: slope(z, expm1=lambda d: np.exp(d) - 1), "write the bracket in d"),
        (lambda z: np.where(z > 300, np.nan, slope(z)), "In the tails use exp(-|z|) only"),
        (lambda z: slope(z, bound=None), "2z is inf"),
        (lambda z: np.where(z < -1e3, np.nan, slope(z)), "far left it gives nan"),
    ],
)
def test_twice_gated_grad_mistake_gets_its_sentence(answer, words):
    assert words in complaint("twice_gated_grad", answer)


def test_model_answer_standard_error_of_two_accuracies():
    error = np.sqrt(2 * 0.91 * 0.09 / 10_000)
    assert f"{100 * error:.1f}" == "0.4"
    assert "0.4 points" in ASSIGNMENT.by_id["p7"].source
    assert round(0.003 * 10_000) == 30
