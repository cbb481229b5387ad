"""Self-checks of assignment 04: the family z sigma(z + c softplus(z - ln 2)), and the winner's curse.

Right values come from the odds exp(z) (1 + exp(z)/2)^c of the gate, from SciPy's roots and its Welch test.
"""

import numpy as np
from scipy import optimize, stats

from selfgated import kernels
from selfgated.checks import engine
from selfgated.checks.answers import entry, strict
from selfgated.checks.engine import CheckFailed

FORMULA = ("exp", "log", "sqrt", "sigma", "tanh", "softplus")
BOX = {"z": (-6, 6), "c": (0, 3)}
ODDS = "(exp(z)*(1 + exp(z)/2)^c)"
GATE = f"({ODDS}/(1 + {ODDS}))"
BELL = f"({ODDS}/(1 + {ODDS})^2)"
INNER = "(1 + c*exp(z)/(2 + exp(z)))"
NO_CHAIN = "the chain rule: the logit z + c softplus(z - ln 2) has the slope 1 + c sigma(z - ln 2)"


def family_slope(answer):
    """Check problem 1: the slope of f_c as a formula."""
    mistakes = [
        (GATE, "you returned the gate; by the product rule the slope also has z times the slope of the gate"),
        (
            f"z*{BELL}*{INNER}",
            "you returned z times the slope of the gate; the product rule also has the gate",
        ),
        (f"{GATE} + z*{BELL}", NO_CHAIN),
        (f"{GATE} + {BELL}*{INNER}", "the slope of the gate must be multiplied by z"),
        (f"{GATE} - z*{BELL}*{INNER}", "the sign: the gate rises, so its slope is added"),
        (
            f"{GATE} + z*{BELL}*(1 + exp(z)/(2 + exp(z)))",
            "the softplus is multiplied by c, and so is its slope",
        ),
        (f"{GATE} + z*{BELL}*(1 + c*sigma(z))", "softplus is taken at z - ln 2: so is its slope"),
        (f"{GATE} + z*{GATE}*{INNER}", "the slope of sigma is sigma (1 - sigma)"),
        (f"z*{GATE}", "you returned f_c itself; its slope is asked for"),
    ]
    return engine.expression(
        answer, f"{GATE} + z*{BELL}*{INNER}", symbols=BOX, functions=FORMULA, mistakes=mistakes
    )


def left_tail(answer):
    """Check problem 2: the second term on the far left."""
    mistakes = [
        (
            "c*z*exp(2*z)/2",
            "that is the second term of the odds; the gate is odds/(1 + odds), and -odds^2 counts",
        ),
        ("-z*exp(2*z)", "right for Swish, c = 0; here (1 + u/2)^c = 1 + c u/2 + ... adds a term"),
        ("-z*exp(2*z)/2", "right for Mish, c = 1; keep c"),
        ("(1 - c/2)*z*exp(2*z)", "the sign: the gate is odds - odds^2 + ..."),
        ("(c - 1)*z*exp(2*z)", "(1 + u/2)^c begins with 1 + c u/2"),
        ("(c/2 - 1)*exp(2*z)", "this is a term of the gate; f_c is z times the gate"),
        ("z*exp(z)", "this is the first term; the second is asked for"),
        ("z*exp(z) + (c/2 - 1)*z*exp(2*z)", "return the second term alone"),
    ]
    return engine.expression(
        answer, "z*exp(2*z)*(c - 2)/2", symbols=BOX | {"z": (-6, -0.5)}, functions=FORMULA, mistakes=mistakes
    )


def right_tail(answer):
    """Check problem 2: the leading term of z - f_c on the far right."""
    mistakes = [
        ("z*exp(-(1 + c)*z)", "the odds are about u (u/2)^c: a power of 2 is left"),
        ("2*z*exp(-(1 + c)*z)", "right for Mish, c = 1; for other c the factor is another power of 2"),
        ("z*exp(-(1 + c)*z)/2^c", "1 - gate is about 1/odds: the power of 2 comes up"),
        ("2^c*exp(-(1 + c)*z)", "this is 1 - gate; z - f_c is z times that"),
        ("-2^c*z*exp(-(1 + c)*z)", "the sign: f_c comes from below, so z - f_c is positive"),
        ("2^c*z*exp(-c*z)", "the odds are u (1 + u/2)^c: count the first u too"),
        ("2*z*exp(-2*z)", "right for Mish, c = 1; keep c"),
        ("z*exp(-z)", "right for Swish, c = 0; keep c"),
        (
            f"z/(1 + {ODDS})",
            "this is z - f_c itself; for large u, 1 + u/2 is about u/2, and 1 + odds the odds",
        ),
        (f"z/{ODDS}", "this is z/odds, a sum of many terms: for large u, 1 + u/2 is about u/2"),
    ]
    return engine.expression(
        answer,
        "z*exp(c*log(2) - z - c*z)",
        symbols=BOX | {"z": (0.5, 6)},
        functions=FORMULA,
        mistakes=mistakes,
    )


def family_grad(answer):
    """Check problem 3: values, tails, overflow, dtype."""
    call, dials = "family_grad(z, c)", (0.5, 1.0, 2.0)
    mistakes = [
        (lambda z, c: _gate(z, c), "you returned the gate; the slope also has z times the slope of the gate"),
        (lambda z, c: _slope(z, c, chain=0.0), NO_CHAIN),
        (lambda z, c: 2 * _gate(z, c) - _slope(z, c), "the sign: the gate rises, so its slope is added"),
        (lambda z, c: kernels.mish_grad(z), "this is the slope of Mish: c is ignored"),
        (lambda z, c: kernels.silu_grad(z), "this is the slope of Swish: c is ignored"),
        (lambda z, c: z * _gate(z, c), "you returned f_c itself; its slope is asked for"),
    ]
    inputs = [(np.linspace(-5, 5, 21), c) for c in dials] + [(np.array(-0.75), 1.5)]
    engine.values(answer, _slope, inputs, mistakes=mistakes, rtol=0.0, atol=1e-13, call=call)
    tail = [(np.linspace(-600, -12, 50), c) for c in dials]
    sum_of_one = [
        (_slope_by_tanh, "in the left tail no digit is right: 1 + tanh(...) rounds to 0 there; use exp")
    ]
    engine.values(answer, _slope, tail, mistakes=sum_of_one, rtol=1e-10, call=call)
    far = [(np.array([-1000.0, -800.0, -100.0, 100.0, 800.0, 1000.0]), c) for c in dials]
    engine.values(strict(answer), _slope, far, rtol=0.0, atol=1e-13, call=call)
    single = [(np.linspace(-20, 20, 12, dtype=np.float32).reshape(3, 4), c) for c in dials]
    try:
        return engine.values(answer, _slope, single, rtol=0.0, atol=1e-5, dtype=True, call=call)
    except CheckFailed as failed:
        if "dtype" not in str(failed):
            raise
        raise CheckFailed(
            f"{failed}: np.log(2) is a float64 number and makes float32 arrays float64, math.log(2) does not"
        ) from None


def dip(answer):
    """Check problem 4: place and value of the minimum."""
    place, value = (entry(answer, i, "(z0, f0)") for i in (0, 1))
    inputs = [(c,) for c in (0.0, 1.0, 3.0, 12.5)]
    mistakes = [
        (lambda c: _minimum(c)[1], "z0 is what f0 should be: return the place first"),
        (lambda c: _minimum(1.0)[0], "this is the minimum of Mish: c is ignored"),
        (lambda c: _minimum(0.0)[0], "this is the minimum of Swish: c is ignored"),
    ]
    call = "dip(c)"
    engine.values(place, lambda c: _minimum(c)[0], inputs, mistakes=mistakes, rtol=0.0, atol=1e-4, call=call)
    try:
        engine.values(place, lambda c: _minimum(c)[0], inputs, rtol=0.0, atol=1e-10, call=call)
    except CheckFailed as failed:
        raise CheckFailed(
            f"{failed}. Too few digits: do not search for the least value, solve for slope 0"
        ) from None
    mistakes = [
        (lambda c: 0.0 * c, "z0 is right, and f0 is the slope there; the value of f_c is asked for"),
        (lambda c: float(kernels.silu(_minimum(c)[0])), "z0 is right, and f0 is Swish there; take f_c"),
        (lambda c: float(_gate(_minimum(c)[0], c)), "z0 is right, and f0 is the gate there: multiply by z0"),
    ]
    return engine.values(
        value, lambda c: _minimum(c)[1], inputs, mistakes=mistakes, rtol=0.0, atol=1e-12, call=call
    )


def exaggeration(answer):
    """Check problem 5: the mean of a published gap over the true one."""
    ratio = "exp(-(k - s)^2/2)/sqrt(2*pi)/(1 - Phi(k - s))"
    mistakes = [
        (
            "phi(k - s)/(s*Phi(s - k))",
            "this is the excess over the truth; the truth itself is missing, add 1",
        ),
        ("1 + phi(k - s)/s", "divide by the probability of the condition, Phi(s - k)"),
        ("s + phi(k - s)/Phi(s - k)", "this is the mean of D / tau: divide it by s"),
        ("1 + phi(k - s)/(s*Phi(k - s))", "Phi(k - s) is the probability that the study fails"),
        ("1 + phi(k)/(s*Phi(-k))", "X = (D - delta)/tau must exceed k - s, and not k"),
        ("1 + phi(k - s)/Phi(s - k)", "the excess in units of tau is relative to delta = s tau: divide by s"),
        ("1 - phi(k - s)/(s*Phi(s - k))", "the sign: what passes is larger than the truth on average"),
    ]
    return engine.expression(
        answer,
        f"(s + {ratio})/s",
        symbols={"s": (0.2, 4), "k": (1, 3)},
        functions=(*FORMULA, "phi", "Phi"),
        mistakes=mistakes,
    )


def winners(answer):
    """Check problem 6: share and mean gap of the studies that `a` wins."""
    rng = np.random.default_rng(6)
    few = (0.3 + 0.1 * rng.standard_normal((400, 3)), 0.6 * rng.standard_normal((400, 3)))
    uneven = (rng.standard_normal((300, 4)), 0.2 + 0.3 * rng.standard_normal((300, 12)))
    mistakes = [
        (_variant(equal_var=True), "this is the test with equal variances; Welch's has `equal_var=False`"),
        (
            _variant(alternative="greater"),
            "this is the one-sided test; a two-sided p below 0.05 is asked for",
        ),
        (_variant(signed=False), "studies with p < 0.05 in which b has the larger mean are counted too"),
        (_variant(everyone=True), "the gap is the mean over all studies; average over the successes only"),
        (_variant(level=0.025), "p is two-sided already: compare it with 0.05, not with half of it"),
    ]
    call = "winners(a, b)"
    both = entry(answer, slice(None), "(share, gap)")
    engine.values(both, _variant(), [few, uneven], mistakes=mistakes, call=call)
    lost = (few[0] - 5.0, few[1])
    no_winner = [
        (lambda a, b: (0.0, 0.0), "no study is won here: there is no gap to average, so return nan, not 0"),
    ]
    return engine.values(both, _variant(), [lost], mistakes=no_winner, call=call)


def _odds(z, c):
    """Odds of the gate and their inverse, each right where it is small; the other may be wrong or inf."""
    small = np.exp(-np.abs(np.asarray(z, dtype=np.float64)))
    return small * (1 + small / 2) ** c, small * (2 * small / (1 + 2 * small)) ** c


def _gate(z, c):
    odds, inverse = _odds(z, c)
    return np.where(np.asarray(z) < 0, odds / (1 + odds), 1 / (1 + inverse))


def _slope(z, c, chain=1.0):
    """Slope of f_c; with `chain` 0 the slope of the logit is 1."""
    z = np.asarray(z, dtype=np.float64)
    odds, inverse = _odds(z, c)
    small = np.exp(-np.abs(z))
    closed = np.where(z < 0, 1 / (1 + odds), inverse / (1 + inverse))
    inner = 1 + chain * c * np.where(z < 0, small / (2 + small), 1 / (1 + 2 * small))
    return _gate(z, c) * (1 + z * closed * inner)


def _slope_by_tanh(z, c):
    gate = (1 + np.tanh((z + c * np.log1p(np.exp(z) / 2)) / 2)) / 2
    return gate * (1 + z * (1 - gate) * (1 + c * np.exp(z) / (2 + np.exp(z))))


def _minimum(c):
    place = optimize.brentq(lambda z: _slope(z, c) / _gate(z, c), -10, 0, xtol=1e-15, rtol=1e-15)
    return place, float(place * _gate(place, c))


def _variant(*, equal_var=False, alternative="two-sided", signed=True, everyone=False, level=0.05):
    """The right `winners`, or one of its mistakes."""

    def winners(a, b):
        p = stats.ttest_ind(a, b, axis=1, equal_var=equal_var, alternative=alternative).pvalue
        gap = np.mean(a, axis=1) - np.mean(b, axis=1)
        won = (p < level) & ((gap > 0) | (not signed))
        chosen = gap if everyone else gap[won]
        return np.array([np.mean(won), np.mean(chosen) if chosen.size else np.nan])

    return winners
