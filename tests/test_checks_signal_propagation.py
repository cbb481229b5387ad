"""Self-checks of assignment 09: each typical mistake gets its sentence, right answers get none."""

import math

import numpy as np
import pytest
from complaints import complaints_of

from selfgated.checks import signal_propagation as check
from selfgated.grading.assignment import Assignment

ASSIGNMENT = Assignment.load("09_signal_propagation")
complaint = complaints_of(check)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("sine_second", "(1 + exp(-2*q))/2", "has a minus"),
        ("sine_second", "(1 - exp(-q/2))/2", "so k = 2"),
        ("sine_second", "1 - exp(-2*q)", "the 1/2 is missing"),
        ("sine_second", "q", "a line for small q only"),
        ("sine_second", "2q", "a '*' is missing"),
        ("sine_slope_second", "(1 - exp(-2*q))/2", "the cosine"),
        ("sine_slope_second", "exp(-q)", "square first"),
        ("sine_slope_second", "exp(-q/2)", "squared before the mean"),
        ("threshold_second", "(1 + t^2)*(1 - Phi(t)) - t*phi(t)", "the left side gives as much"),
        ("threshold_second", "2*((1 + t^2)*Phi(t) - t*phi(t))", "is 1 - Phi(t)"),
        ("threshold_second", "2*(t*phi(t) + Phi(-t))", "hard threshold"),
        ("threshold_second", "2*((1 + t^2)*(1 - Phi(t)) + t*phi(t))", "the sign of t phi(t)"),
        ("threshold_second", "2*((1 + t^2)*(1 - Phi(t)) - 2*t*phi(t))", "boundary term"),
        ("threshold_second", "2*(1 - Phi(t)) - 2*t*phi(t)", "the term t^2"),
        ("threshold_second", "2*(1 - Phi(t))", "mean squared slope"),
        ("threshold_second", "t*q", "unknown symbol 'q'"),
        ("edge_weight", "(1 + exp(-2*q))/2", "take the reciprocal"),
        ("edge_weight", "q*exp(q)/sinh(q)", "without biases"),
        ("edge_weight", "exp(q)/sinh(q)", "the cosine"),
        ("edge_bias", "tanh(q)", "what is missing to q"),
        ("edge_bias", "tanh(q) - q", "the sign"),
        ("edge_bias", "q - exp(-q)*sinh(q)", "multiply E sin^2 by sigma_w^2"),
        ("edge_slope", "1", "chi = 1 is not V' = 1"),
        ("edge_slope", "exp(-2*q)", "V' has the factor sigma_w^2"),
        ("edge_slope", "1 - tanh(q)^2", "held fixed"),
        ("edge_slope", "2 - 2*tanh(q)", "-2 exp(-2q)"),
        ("edge_gap", "q*tanh(q)/2", "A is its reciprocal"),
        ("edge_gap", "1/(q*tanh(q))", "the 1/2 of the Taylor series"),
        ("edge_gap", "2/tanh(q)", "the factor q is missing"),
        ("edge_gap", "2/q", "f'' of the sine"),
        ("edge_gap", "2/(q*exp(-q)*sinh(q))", "sigma_w^2 is missing"),
        ("wave_second", "q + a^2*exp(-q)*sinh(q)", "the mixed term"),
        ("wave_second", "q + a*q*exp(-q/2) + a^2*exp(-q)*sinh(q)", "a factor 2"),
        ("wave_second", "q + 2*a*exp(-q/2) + a^2*exp(-q)*sinh(q)", "the q is missing"),
        ("wave_second", "q + 2*a*q*exp(-q/2) + a*exp(-q)*sinh(q)", "a squared"),
        ("wave_second", "q + 2*a*q*exp(-q/2) + a^2*exp(-q)*cosh(q)", "with a minus"),
    ],
)
def test_formula_mistake_gets_its_sentence(name, text, words):
    assert words in complaint(name, lambda: text)


def panels(q, ends, *, nodes=20):
    x, v = np.polynomial.legendre.leggauss(nodes)
    ends = np.asarray(ends, dtype=float)
    half = np.diff(ends)[:, None] / 2
    z = ends[:-1, None] + half * (1 + x)
    return z.ravel(), (half * v * np.exp(-z * z / (2 * q))).ravel() / math.sqrt(2 * math.pi * q)


def rule(q, kinks, *, reach=12.0, change=lambda ends: ends):
    end = reach * math.sqrt(q)
    inside = [kink for kink in kinks if abs(kink) < end]
    return panels(q, change(sorted({*np.linspace(-end, end, 30 + int(2 * end)), *inside})))


def hermite(q, kinks, *, scale=2**0.5, norm=math.pi**0.5):
    x, v = np.polynomial.hermite.hermgauss(120)
    return scale * math.sqrt(q) * x, v / norm


def scaled(q, factor):
    z, w = rule(q, [])
    return z, w * factor


def unsorted(q, kinks):
    end = 12 * math.sqrt(q)
    return panels(q, [*np.linspace(-end, end, 400), *kinks, end])


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda q, kinks: hermite(q, kinks, norm=1.0), "divide Gauss-Hermite weights by sqrt(pi)"),
        (lambda q, kinks: hermite(q, kinks, scale=1.0), "nodes need a factor sqrt(2)"),
        (
            lambda q, kinks: scaled(q, math.sqrt(2 * math.pi * q)),
            "divide the density",
        ),
        (lambda q, kinks: scaled(q, math.sqrt(q)), "1/sqrt(q) in front"),
        (lambda q, kinks: scaled(q, 2), "(b - a)/2"),
        (lambda q, kinks: rule(q * q, kinks), "the standard deviation is sqrt(q)"),
        (lambda q, kinks: rule(1.0, kinks), "z should have the variance q"),
        (lambda q, kinks: rule(q, kinks, reach=5.0), "8 standard deviations far"),
        (lambda q, kinks: rule(q, kinks, reach=6.6), "far enough into the tails"),
        (lambda q, kinks: rule(q, []), "is every kink an end of a panel"),
        (hermite, "Hint: "),
        (unsorted, "is every kink an end of a panel"),
        (lambda q, kinks: np.stack(rule(q, kinks)).T, "two things are expected"),
        (lambda q, kinks: np.stack(rule(q, kinks))[:, :, None], "both should be (n,)"),
        (lambda q, kinks: (rule(q, kinks)[0], rule(q, kinks)[1][:, None]), "both should be (n,)"),
        (lambda q, kinks: (np.zeros(20_001), np.zeros(20_001)), "at most 20,000"),
        (lambda q, kinks: (np.array([*kinks, 0.0]), np.ones(len(kinks) + 1)), "the right value is"),
        (lambda q, kinks: None, "returned nothing"),
    ],
)
def test_gaussian_rule_mistake_gets_its_sentence(answer, words):
    assert words in complaint("gaussian_rule", answer)


def test_gaussian_rule_node_on_a_kink_is_named():
    def answer(q, kinks):
        z, w = rule(q, kinks)
        return np.append(z, kinks), np.append(w, np.zeros(len(kinks)))

    assert "a node lies on a kink" in complaint("gaussian_rule", answer)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (lambda kinks: sorted(kinks) != kinks, "negative weights"),
        (lambda kinks: max(kinks) > 1e100, "far outside"),
    ],
)
def test_gaussian_rule_odd_list_gets_its_sentence(bad, words):
    def answer(q, kinks):
        z, w = rule(q, kinks)
        if kinks and bad(kinks):
            return np.append(z, [9.9, 2e200]), np.append(w, [-1e-30 * (len(kinks) > 1), 0.0])
        return z, w

    assert words in complaint("gaussian_rule", answer)


def layers(depth, s, b, q1, *, second=np.expm1):
    q = [q1]
    for _ in range(depth - 1):
        q.append(-s * second(-2 * q[-1]) / 2 + b)
    q = np.array(q)
    return q, np.log(s * (1 + np.exp(-2 * q)) / 2)


def sized(chi):
    return np.append(np.cumsum(chi[-2::-1])[::-1] / 2, 0.0)


def by_product(*given):
    q, chi = layers(*given)
    with np.errstate(all="ignore"):
        return q, np.log(np.append(np.cumprod(np.exp(chi[-2::-1] / 2))[::-1], 1.0))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda n, s, b, q1: (layers(n + 1, s, b, q1)[0][1:], np.zeros(n)), "the first entry is q1"),
        (lambda n, s, b, q1: (layers(n, s, 0.0, q1)[0], np.zeros(n)), "sigma_b2 is missing"),
        (
            lambda n, s, b, q1: (layers(n, s, b, q1, second=lambda t: -1 - np.exp(t))[0], np.zeros(n)),
            "V has E sin^2",
        ),
        (lambda *given: (layers(*given)[0][::-1], np.zeros(given[0])), "order of the layers"),
        (
            lambda n, s, b, q1: (layers(n, s, b, q1, second=lambda t: np.exp(t) - 1)[0], np.zeros(n)),
            "use np.expm1",
        ),
        (lambda *given: (layers(*given)[0], 2 * sized(layers(*given)[1])), "halve the logarithm"),
        (lambda *given: (layers(*given)[0], -sized(layers(*given)[1])), "the sign"),
        (lambda *given: (layers(*given)[0], sized(layers(*given)[1])[::-1]), "its last entry is 0"),
        (
            lambda *given: (layers(*given)[0], np.append(0, np.cumsum(layers(*given)[1][:-1]) / 2)),
            "comes from the last layer",
        ),
        (
            lambda *given: (layers(*given)[0], np.cumsum(layers(*given)[1][::-1])[::-1] / 2),
            "the last layer has no factor",
        ),
        (
            lambda *given: (layers(*given)[0], np.append(np.cumsum(layers(*given)[1][:0:-1])[::-1], 0) / 2),
            "at the variance of layer l",
        ),
        (lambda *given: (layers(*given)[0], np.exp(sized(layers(*given)[1]))), "return the logarithm"),
        (by_product, "Add logarithms"),
        (lambda *given: layers(*given)[0], "return the pair (q, log_size)"),
    ],
)
def test_sine_layers_mistake_gets_its_sentence(answer, words):
    assert words in complaint("sine_layers", answer)


def dies(s, factor, *, more=0, power=0.5, fixed=False, none=None, early=True):
    q, left = 1.0, 0.0
    for depth in range(2, 100_001):
        left += power * math.log(s * (1 + math.exp(-2 * q)) / 2)
        if left <= -math.log(factor) and (early or s < 1.1):
            return depth + more
        q = q if fixed else s * (1 - math.exp(-2 * q)) / 2
    return none


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"more": -1}, "one too few"),
        ({"more": 1}, "one too many"),
        ({"power": 1}, "not chi"),
        ({"fixed": True}, "q changes from layer to layer"),
        ({"none": 100_000}, "return None"),
        ({"early": False}, "the first layers shrink the gradient"),
    ],
)
def test_dies_after_mistake_gets_its_sentence(options, words):
    assert words in complaint("dies_after", lambda s, factor: dies(s, factor, **options))


def points(a, s, *, high=200.0, steps=4000, halvings=60, flag=lambda above: bool(above)):
    def excess(q):
        return s * (1 + 2 * a * np.exp(-q / 2) - a * a * np.expm1(-2 * q) / (2 * q)) - 1

    grid = np.geomspace(0.005, high, steps)
    found = []
    for i in np.flatnonzero(np.diff(np.sign(excess(grid)))):
        low, top = grid[i], grid[i + 1]
        for _ in range(halvings):
            middle = (low + top) / 2
            low, top = (middle, top) if (excess(middle) > 0) == (excess(grid[i]) > 0) else (low, middle)
        found.append((float(low), flag(excess(grid[i]) > 0)))
    return found


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda a, s: points(a, s, high=10.0), "look at every step of a fine grid"),
        (lambda a, s: points(a, s)[::-1], "in rising order"),
        (lambda a, s: points(a, s, halvings=3), "refine the crossings"),
        (lambda a, s: [(0.0, True), *points(a, s)], "only positive fixed points"),
        (lambda a, s: points(a, s, flag=lambda above: bool(not above)), "are exchanged"),
        (lambda a, s: points(a, s, flag=lambda above: True), "compare V'(q) with 1"),
        (lambda a, s: points(a, s, flag=int), "True or False, not 1"),
        (lambda a, s: [q for q, _ in points(a, s)], "a pair (q, stable)"),
        (lambda a, s: points(a, s) or [(1.0, True)], "there are 0"),
        (lambda a, s: 1.0, "a list of pairs is expected"),
        (lambda a, s: None, "returned nothing"),
    ],
)
def test_fixed_points_mistake_gets_its_sentence(answer, words):
    assert words in complaint("fixed_points", answer)


def test_model_answer_gap_constants_and_width():
    text = ASSIGNMENT.by_id["p6"].source
    assert f"{2 / (0.1 * math.tanh(0.1)):.0f} for $q = 0.1$" in text
    assert f"{2 / math.tanh(1.0):.1f} for $q = 1$" in text
    assert f"= {128 * 200 // 50}$" in text
