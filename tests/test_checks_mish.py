import json
import math
from pathlib import Path

import mpmath
import numpy as np
import pytest
from complaints import complaints_of
from scipy import optimize, stats

from selfgated.checks import mish

LOG_2 = math.log(2)
GATE = "sigma(z + c*softplus(z - log(2)))"
INNER = "(1 + c*sigma(z - log(2)))"
RIGHT_SLOPE = f"{GATE} + z*{GATE}*(1 - {GATE})*{INNER}"
NOTEBOOK = Path(__file__).parents[1] / "solutions" / "04_mish" / "04_mish.ipynb"
complaint = complaints_of(mish)

FORMULAS = [  # check, answer, what the message must say
    ("family_slope", GATE, "you returned the gate"),
    ("family_slope", f"z*{GATE}*(1 - {GATE})*{INNER}", "the product rule also has the gate"),
    ("family_slope", f"{GATE} + z*{GATE}*(1 - {GATE})", "the chain rule"),
    ("family_slope", f"{GATE} + {GATE}*(1 - {GATE})*{INNER}", "must be multiplied by z"),
    ("family_slope", f"{GATE} - z*{GATE}*(1 - {GATE})*{INNER}", "the sign"),
    ("family_slope", RIGHT_SLOPE.replace("1 + c*sigma", "1 + sigma"), "the softplus is multiplied by c"),
    (
        "family_slope",
        RIGHT_SLOPE.replace("c*sigma(z - log(2))", "c*sigma(z)"),
        "softplus is taken at z - ln 2",
    ),
    ("family_slope", f"{GATE} + z*{GATE}*{INNER}", "the slope of sigma is sigma (1 - sigma)"),
    ("family_slope", f"z*{GATE}", "you returned f_c itself"),
    ("family_slope", "0*z", "your formula differs at z ="),
    ("family_slope", "beta*z", "unknown symbol 'beta'"),
    ("left_tail", "c/2*z*exp(2*z)", "that is the second term of the odds"),
    ("left_tail", "-z*exp(2*z)", "right for Swish"),
    ("left_tail", "-0.5*z*exp(z)^2", "right for Mish"),
    ("left_tail", "z*exp(2*z)*(1 - c/2)", "the sign"),
    ("left_tail", "(c - 1)*z*exp(2*z)", "begins with 1 + c u/2"),
    ("left_tail", "(c/2 - 1)*exp(2*z)", "this is a term of the gate"),
    ("left_tail", "z*exp(z)", "this is the first term"),
    ("left_tail", "z*exp(z) - z*exp(2*z)*(1 - c/2)", "return the second term alone"),
    ("right_tail", "z*exp(-z - c*z)", "a power of 2 is left"),
    ("right_tail", "2*z*exp(-z - c*z)", "the factor is another power of 2"),
    ("right_tail", "z*exp(-z - c*z)*2^(-c)", "the power of 2 comes up"),
    ("right_tail", "2^c*exp(-z - c*z)", "this is 1 - gate"),
    ("right_tail", "-2^c*z*exp(-z - c*z)", "the sign"),
    ("right_tail", "2^c*z*exp(-c*z)", "count the first u too"),
    ("right_tail", "2*z*exp(-z)^2", "right for Mish"),
    ("right_tail", "z/exp(z)", "right for Swish"),
    ("right_tail", f"z - z*{GATE}", "this is z - f_c itself"),
    ("right_tail", "z*exp(-z)*(1 + exp(z)/2)^(-c)", "a sum of many terms"),
    ("exaggeration", "phi(s - k)/(s*Phi(s - k))", "add 1"),
    ("exaggeration", "1 + phi(s - k)/s", "divide by the probability of the condition"),
    ("exaggeration", "s + phi(s - k)/Phi(s - k)", "this is the mean of D / tau"),
    ("exaggeration", "1 + phi(s - k)/(s*Phi(k - s))", "the probability that the study fails"),
    ("exaggeration", "1 + phi(k)/(s*(1 - Phi(k)))", "must exceed k - s"),
    ("exaggeration", "1 + phi(s - k)/Phi(s - k)", "divide by s"),
    ("exaggeration", "1 - phi(s - k)/(s*Phi(s - k))", "the sign"),
]
RIGHT_FORMULAS = [
    ("family_slope", RIGHT_SLOPE),
    ("family_slope", f"{GATE}*(1 + z*(1 - {GATE})*(1 + c/(1 + 2*exp(-z))))"),
    ("left_tail", "(c/2 - 1)*z*exp(2*z)"),
    ("left_tail", "z*exp(2*z)*c/2 - z*exp(z)^2"),
    ("right_tail", "2^c*z*exp(-(1 + c)*z)"),
    ("right_tail", "z*exp(-z)*(exp(z)/2)^(-c)"),
    ("exaggeration", "1 + phi(k - s)/(s*Phi(s - k))"),
    ("exaggeration", "(s*Phi(s - k) + phi(s - k))/(s*Phi(s - k))"),
]


def says(text, name="answer"):
    def answer():
        return text

    answer.__name__ = name
    return answer


@pytest.mark.parametrize(("check", "text", "words"), FORMULAS)
def test_formula_checks_say_what_is_wrong(check, text, words):
    assert words in complaint(check, lambda: text)


@pytest.mark.parametrize(("check", "text"), RIGHT_FORMULAS)
def test_formula_checks_accept_right_ones(check, text):
    assert getattr(mish, check)(says(text, check)) == f"{check}: fine"


def sigma(x):
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, small) / (1 + small)


def family_grad(z, c, *, sigma=sigma, log_2=LOG_2, chain=1, sign=1):
    logit = z + c * np.logaddexp(0, z - log_2)
    inner = 1 + chain * c * sigma(z - log_2)
    return sigma(logit) + sign * z * sigma(logit) * sigma(-logit) * inner


def test_family_grad_accepts_two_right_forms():
    def by_logarithms(z, c):
        t = z - z.dtype.type(np.log(2))
        logit = z + c * np.logaddexp(0, t)
        both = np.exp(-np.logaddexp(0, -logit)), np.exp(-np.logaddexp(0, logit))
        return both[0] * (1 + z * both[1] * (1 + c * np.exp(-np.logaddexp(0, -t))))

    assert mish.family_grad(family_grad) == "family_grad: fine"
    assert mish.family_grad(by_logarithms) == "family_grad: fine"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda z, c: sigma(z + c * np.logaddexp(0, z - np.log(2))), "you returned the gate"),
        (lambda z, c: family_grad(z, c, chain=0), "the chain rule"),
        (lambda z, c: family_grad(z, c, sign=-1), "the sign"),
        (lambda z, c: family_grad(z, 1.0), "this is the slope of Mish"),
        (lambda z, c: family_grad(z, 0.0), "this is the slope of Swish"),
        (lambda z, c: z * sigma(z + c * np.logaddexp(0, z - np.log(2))), "you returned f_c itself"),
        (lambda z, c: family_grad(z, c, sigma=lambda x: (1 + np.tanh(x / 2)) / 2), "no digit is right"),
        (lambda z, c: family_grad(z, c, sigma=lambda x: 1 / (1 + np.exp(-x))), "overflow"),
        (lambda z, c: family_grad(z, c, log_2=np.log(2)), "math.log(2) does not"),
        (lambda z, c: None, "returned nothing"),
        (lambda z, c: family_grad(z, c).ravel(), "returned an array of shape"),
        (lambda z, c: family_grad(np.negative(z, out=z), c), "changed its input z"),
    ],
)
def test_family_grad_says_what_is_wrong(answer, words):
    assert words in complaint("family_grad", answer)


@pytest.mark.parametrize("c", [0.0, 0.4, 1.0, 2.7])
def test_family_grad_right_values_agree_with_differences_of_mpmath(c):
    mp = mpmath.mp.clone()
    mp.dps = 40

    def f(z):
        return z / (1 + mp.exp(-z - c * mp.log(1 + mp.exp(z) / 2)))

    for z in (-40.0, -3.3, -1.19, 0.0, 0.8, 5.0, 60.0):
        slope = float(mp.diff(f, mp.mpf(z), h=mp.mpf(10) ** -12))
        assert mish._slope(z, c) == pytest.approx(slope, rel=1e-12, abs=1e-15)


def lowest(c):
    z0 = optimize.brentq(lambda z: float(family_grad(np.array(z), c)), -10, 0, xtol=1e-14, rtol=1e-14)
    return z0, float(z0 * sigma(z0 + c * np.logaddexp(0, z0 - np.log(2))))


def by_value(c):
    def f(z):
        return float(z * sigma(z + c * np.logaddexp(0, z - np.log(2))))

    found = optimize.minimize_scalar(f, bounds=(-3, 0), method="bounded", options={"xatol": 1e-12})
    return found.x, found.fun


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda c: lowest(c)[::-1], "return the place first"),
        (lambda c: lowest(1.0), "the minimum of Mish"),
        (lambda c: lowest(0.0), "the minimum of Swish"),
        (by_value, "Too few digits"),
        (lambda c: (lowest(c)[0], 0.0), "f0 is the slope there"),
        (lambda c: (lowest(c)[0], lowest(c)[0] * float(sigma(lowest(c)[0]))), "f0 is Swish there"),
        (lambda c: (lowest(c)[0], lowest(c)[1] / lowest(c)[0]), "f0 is the gate there"),
        (lambda c: lowest(c)[0], "return the pair (z0, f0)"),
        (lambda c: (-2.0, -0.3), "dip differs at c = 0"),
        (lambda c: None, "returned nothing"),
    ],
)
def test_dip_says_what_is_wrong(answer, words):
    assert words in complaint("dip", answer)


def test_dip_accepts_two_right_forms():
    assert mish.dip(lowest) == "dip: fine"
    assert mish.dip(lambda c: np.array(lowest(c)).tolist()) == "dip: fine"


@pytest.mark.parametrize("c", [0.0, 0.3, 1.0, 2.0, 5.0, 9.0, 14.0, 20.0])
def test_family_has_one_minimum_between_minus_10_and_0(c):
    z = np.linspace(-60, 60, 24_001)
    slopes = family_grad(z, c)
    changes = z[np.flatnonzero(np.diff(np.sign(slopes)))]
    assert len(changes) == 1
    assert -10 < changes[0] < 0


def welch(a, b, *, won=lambda p, gap: (p < 0.05) & (gap > 0), everyone=False, empty=np.nan, **options):
    options = {"equal_var": False} | options
    gap = a.mean(axis=1) - b.mean(axis=1)
    success = won(stats.ttest_ind(a, b, axis=1, **options).pvalue, gap)
    if not success.any():
        return 0.0, empty
    return success.mean(), (gap if everyone else gap[success]).mean()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda a, b: welch(a, b, equal_var=True), "the test with equal variances"),
        (lambda a, b: welch(a, b, alternative="greater"), "the one-sided test"),
        (lambda a, b: welch(a, b, won=lambda p, gap: p < 0.05), "b has the larger mean are counted too"),
        (lambda a, b: welch(a, b, everyone=True), "average over the successes only"),
        (lambda a, b: welch(a, b, won=lambda p, gap: (p < 0.025) & (gap > 0)), "not with half of it"),
        (lambda a, b: welch(a, b, empty=0.0), "so return nan, not 0"),
        (lambda a, b: welch(a, b)[0], "return the pair (share, gap)"),
        (lambda a, b: welch(b, a), "winners differs at"),
    ],
)
def test_winners_says_what_is_wrong(answer, words):
    assert words in complaint("winners", answer)


def test_winners_accepts_two_right_forms():
    def by_formula(a, b):
        of_a, of_b = a.var(axis=1, ddof=1) / a.shape[1], b.var(axis=1, ddof=1) / b.shape[1]
        df = (of_a + of_b) ** 2 / (of_a**2 / (a.shape[1] - 1) + of_b**2 / (b.shape[1] - 1))
        gap = a.mean(axis=1) - b.mean(axis=1)
        won = gap > stats.t.ppf(0.975, df) * np.sqrt(of_a + of_b)
        return won.mean(), gap[won].mean() if won.any() else np.nan

    assert mish.winners(welch) == "winners: fine"
    assert mish.winners(by_formula) == "winners: fine"


def test_exaggeration_agrees_with_a_simulation():
    s, k = 1.4, 1.96
    measured = s + np.random.default_rng(5).standard_normal(400_000)
    simulated = measured[measured > k].mean() / s
    formula = 1 + stats.norm.pdf(k - s) / (s * stats.norm.cdf(s - k))
    assert simulated == pytest.approx(formula, rel=4e-3)


def test_open_answer_has_the_right_numbers():
    def power(gap, n, sd=0.4):
        shift = gap / (sd * np.sqrt(2 / n))
        return stats.nct.sf(stats.t.ppf(0.975, 2 * n - 2), 2 * n - 2, shift)

    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    text = "".join(next(cell["source"] for cell in cells if cell["id"] == "p7"))
    for n in (3, 30):
        gap = optimize.brentq(lambda gap, n=n: power(gap, n) - 0.8, 0.01, 5)
        assert f"{gap:.2f} points" in text
