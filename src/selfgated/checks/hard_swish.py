"""Self-checks of assignment 05: ramps, their kinks and means, half precision, the best half-width.

Right values come from the kernels, from exact fractions of float16 and from a root of SciPy.
"""

import numpy as np
from scipy import optimize

from selfgated import kernels
from selfgated.checks import engine
from selfgated.checks.answers import entry, refusal
from selfgated.checks.engine import CheckFailed, as_array

NORMAL = ("phi", "Phi", "exp", "erf", "sqrt")
BOX = {"w": (0.5, 5), "v": (0.5, 5)}
GAUSS = BOX | {"s": (0.3, 3)}
BETWEEN = "(Phi(v/s) + Phi(w/s) - 1)"
JUMPS = "(v*phi(v/s) + w*phi(w/s))"
SCALES = (0.6, 1.0, 1.702)


def slope_at_left_kink(answer):
    """Check problem 1: the slope at -w from inside."""
    mistakes = [
        ("0", "this is the slope from outside; the ramp begins on the other side of the kink"),
        ("w/(v + w)", "the sign: right of -w the function goes down"),
        ("-1/2", "right for h-swish; for w and v in general it is not a number"),
        ("1/(v + w)", "this is the slope of the gate; f = z g also has the factor z"),
        ("-v/(v + w)", "w and v are exchanged: the left kink is at -w"),
        ("-2*w/(v + w)", "the slope of z (z + w) is 2 z + w; you lost the w"),
    ]
    return engine.expression(answer, "-1/(1 + v/w)", symbols=BOX, functions=(), mistakes=mistakes)


def slope_at_right_kink(answer):
    """Check problem 1: the slope at v from inside."""
    mistakes = [
        ("1", "this is the slope from outside; the ramp ends on the other side of the kink"),
        ("3/2", "right for h-swish, and for every w = v; otherwise not"),
        ("v/(v + w)", "this is z g' at v; by the product rule the slope also has the gate, which is 1 there"),
        ("1 + 1/(v + w)", "the slope of the gate must be multiplied by z, which is v"),
        ("2*v/(v + w)", "the slope of z (z + w) is 2 z + w; you lost the w"),
        ("1 + w/(v + w)", "w and v are exchanged: the right kink is at v"),
    ]
    return engine.expression(answer, "2 - 1/(1 + v/w)", symbols=BOX, functions=(), mistakes=mistakes)


def lowest_value(answer):
    """Check problem 1: the lowest value of f."""
    mistakes = [
        ("-w/2", "this is where f is lowest; its value there is asked for"),
        ("w^2/(4*(v + w))", "the sign: left of 0 the function is negative"),
        ("-w^2/(2*(v + w))", "at -w/2 both factors of z (z + w) are w/2 in size"),
        ("-3/8", "right for h-swish; for w and v in general it is not a number"),
        ("-w^2/4", "this is the least z (z + w); divide by v + w"),
        ("-v^2/(4*(v + w))", "w and v are exchanged: the dip lies between -w and 0"),
    ]
    return engine.expression(answer, "-(w/2)^2/(v + w)", symbols=BOX, functions=(), mistakes=mistakes)


def mean_value(answer):
    """Check problem 2: the mean of f."""
    mistakes = [
        (f"{BETWEEN}/(v + w)", "Stein's lemma has the factor s^2: E[z g(z)] = s^2 E[g'(z)]"),
        (f"s*{BETWEEN}/(v + w)", "Stein's lemma has the variance s^2 as its factor, not s"),
        ("s^2*(Phi(v) + Phi(w) - 1)/(v + w)", "z has the standard deviation s: Phi takes v/s and w/s"),
        ("s^2*(Phi(v/s) - Phi(w/s))/(v + w)", "the ramp begins at -w: P(z < -w) is Phi(-w/s)"),
        (f"s^2*{BETWEEN}", "the gate rises with the slope 1/(v + w)"),
        ("s^2/(v + w)", "the gate rises on the ramp only: the probability of -w < z < v is missing"),
    ]
    return engine.expression(
        answer, f"s^2*{BETWEEN}/(v + w)", symbols=GAUSS, functions=NORMAL, mistakes=mistakes
    )


def mean_curvature(answer):
    """Check problem 2: the mean of f'' with the spikes."""
    mistakes = [
        (f"2*{BETWEEN}/(v + w)", "this is the part that autograd sees; the two jumps of f' are missing"),
        (f"(2*{BETWEEN} + {JUMPS}/s)/(v + w)", "the sign: at both kinks the slope jumps down"),
        (f"(2*{BETWEEN} - {JUMPS})/(v + w)", "the density of N(0, s^2) at v is phi(v/s)/s"),
        (
            f"({BETWEEN} - {JUMPS}/s)/(v + w)",
            "inside the ramp f = z (z + w)/(v + w) has the curvature 2/(v + w)",
        ),
        (
            f"2*{BETWEEN}/(v + w) - (phi(v/s) + phi(w/s))/(2*s)",
            "jumps of 1/2 each are those of h-swish; take the jumps that follow from problem 1",
        ),
        (
            f"(2*{BETWEEN} - (w*phi(v/s) + v*phi(w/s))/s)/(v + w)",
            "the jumps are exchanged: the one at -w is -w/(v + w), the one at v is -v/(v + w)",
        ),
        (f"-{JUMPS}/(s*(v + w))", "these are the jumps alone; the curvature inside the ramp is missing"),
    ]
    right = f"(2*{BETWEEN} - {JUMPS}/s)/(v + w)"
    return engine.expression(answer, right, symbols=GAUSS, functions=NORMAL, mistakes=mistakes)


def ramp_grad(answer):
    """Check problem 3: slopes, convention, refusals, dtype."""
    z = np.array([[-7.0, -3.0, -2.0, -1.5], [-0.25, 0.0, 1.0, 2.0], [2.9, 3.0, 3.5, 11.0]])
    call = "ramp_grad(z, w, v)"
    mistakes = [
        (lambda z, w, v: np.clip((z + w) / (v + w), 0, 1), "this is the gate; the slope also has z g'"),
        (
            lambda z, w, v: kernels.hard_swish_grad(z),
            "this is h-swish: its slope on the ramp is (2 z + w)/(v + w)",
        ),
        (lambda z, w, v: _ramp(z, w, v, *_inner(w, v)), "the default at the kinks is (0, 1)"),
    ]
    engine.values(
        answer, _ramp, [(z, 3.0, 3.0), (z, 2.0, 1.0)], mistakes=mistakes, rtol=0.0, atol=1e-13, call=call
    )

    def chosen(z, w, v, left, right):
        return answer(z, w, v, at_kinks=(left, right))

    call = "ramp_grad(z, w, v, at_kinks=(left, right))"
    mistakes = [
        (lambda z, w, v, *kinks: _ramp(z, w, v), "at_kinks is ignored"),
        (
            lambda z, w, v, left, right: _ramp(z, w, v, right, left),
            "the two values of at_kinks are exchanged",
        ),
    ]
    inputs = [(z, 3.0, 3.0, -0.5, 1.5), (z, 2.0, 1.0, -0.5, 1.25), (z, 1.5, 3.5, -0.1, 1.0)]
    engine.values(chosen, _ramp, inputs, mistakes=mistakes, rtol=0.0, atol=1e-13, call=call)
    for w, v, *kinks in (
        (3.0, 3.0, -0.6, 1.0),
        (3.0, 3.0, 0.0, 1.7),
        (3.0, 3.0, 0.2, 1.0),
        (2.0, 6.0, -0.4, 1.0),
    ):
        written = f"ramp_grad(z, {w}, {v}, at_kinks={tuple(kinks)})"
        refusal(chosen, ValueError, z, w, v, *kinks, call=written)
    special = (np.array([np.inf, -np.inf, np.nan]), 2.0, 1.0)
    lost = [(lambda z, w, v: np.array([1.0, 0.0, 0.0]), "nan became 0: a nan must stay visible")]
    engine.values(answer, _ramp, [special], mistakes=lost, rtol=0.0, call="ramp_grad(z, w, v)")
    engine.values(
        answer, _ramp, [(np.array(1.5), 2.0, 1.0), (z[:0], 2.0, 1.0)], rtol=0.0, call="ramp_grad(z, w, v)"
    )
    single = [(np.linspace(-5, 5, 12, dtype=np.float32).reshape(2, 6), 2.0, 3.5)]
    return engine.values(answer, _ramp, single, rtol=0.0, atol=1e-6, dtype=True, call="ramp_grad(z, w, v)")


def half_swish(answer):
    """Check problem 4: every finite float16, and inf and nan."""
    every = np.arange(65536, dtype=np.uint16).view(np.float16)
    z = every[np.isfinite(every)]
    mistakes = [
        (lambda z: kernels.hard_sigmoid(z.astype(float)), "this is the gate: multiply by z"),
        (lambda z: kernels.silu(z.astype(float)), "this is Swish; its gate is a ramp here"),
        (lambda z: z.astype(float) * (z.astype(float) + 3) / 6, "the gate must be cut at 0 and at 1"),
        (_open_to_the_right, "the gate must be cut at 1 too: for z of 3 and more, h-swish is z"),
    ]
    few = [(np.linspace(-8, 8, 33, dtype=np.float16),)]
    call = "half_swish(z)"
    engine.values(answer, _half, few, mistakes=mistakes, rtol=1e-2, atol=2e-2, dtype=True, call=call)
    got = as_array(answer(z.copy())).astype(np.float64)
    right = _half(z)
    bad = ~(np.abs(got - right) <= 3 * _spacing(right))
    if bad.any():
        at = int(np.argmax(bad))
        hint = ""
        if not np.isfinite(got[bad]).any():
            hint = ". A product on the way is larger than 65504: make the gate first"
        elif np.all(np.abs(z[bad].astype(float) + 3) < 0.4):
            hint = ". Close to -3 the gate cancels: z + 3 is exact there, z/6 + 1/2 is not"
        raise CheckFailed(
            f"half_swish is off by more than 3 steps, {bad.sum():,} of {z.size:,} times: "
            f"{float(z[at]):.6g} gives {got[at]:.6g}, not {right[at]:.6g}{hint}"
        )
    for value, wanted, hint in (
        (np.inf, np.inf, ""),
        (-np.inf, 0.0, ": -inf times a closed gate is nan, so treat it apart"),
        (np.nan, np.nan, ": a nan must stay visible"),
    ):
        seen = float(as_array(answer(np.array([value], dtype=np.float16)))[0])
        if seen != wanted and not (np.isnan(seen) and np.isnan(wanted)):
            raise CheckFailed(f"half_swish of {value} is {seen}, the right value is {wanted}{hint}")
    return "half_swish: fine"


def best_half_width(answer):
    """Check problem 5: the least largest distance, and a half-width that has it."""
    z, uneven = np.linspace(-9, 9, 1801), np.tan(np.linspace(-1.4, 1.3, 41))
    cases = {f"z sigma({scale} z) from -9 to 9": (z, kernels.swish(z, scale)) for scale in SCALES}
    cases["GELU at 41 uneven points"] = (uneven, kernels.gelu(uneven))
    cases["Swish from -1.5 to 1.5"] = (z / 6, kernels.silu(z / 6))
    inputs, call = list(cases.values()), "best_half_width(z, target)"
    widths, distances = (entry(answer, i, "(w, distance)") for i in (0, 1))
    engine.values(widths, lambda z, t: 10.0, inputs, atol=1e3, call=call)  # is it a number?
    found = [float(widths(z.copy(), target.copy())) for z, target in inputs]
    best = [_best(*given) for given in inputs]
    excess = [_distance(*given, w) - least for given, w, (_, least) in zip(inputs, found, best, strict=True)]
    if max(excess) > 1e-8:
        worst = int(np.argmax(excess))
        raise CheckFailed(f"best_half_width: {_why(cases, found, best, worst, excess[worst])}")
    mistakes = [
        (
            lambda z, t: _best(z, t)[0],
            "the half-width is right, and it stands twice; return the distance second",
        ),
        (
            _mean_square_of_best,
            "the half-width is right; the distance is the largest difference, and no mean",
        ),
        (lambda z, t: -_best(z, t)[1], "a distance is positive: take absolute values"),
    ]
    return engine.values(
        distances, lambda z, t: _best(z, t)[1], inputs, mistakes=mistakes, rtol=0.0, atol=1e-8, call=call
    )


def _why(cases, found, best, worst, excess):
    """Say what a list of half-widths that are not the best ones may be."""
    if np.allclose(found, [distance for _, distance in best], rtol=0, atol=1e-6):
        return "the pair is exchanged: the half-width comes first"
    if max(found) - min(found) < 1e-3:
        return f"you return {found[0]:.4f} for every target; the best half-width depends on it"
    for w in found:
        if not 0.2 <= w <= 20:
            return f"a half-width is {w:.6g}; look between 0.2 and 20"
    for norm, words in (("mean square", "in the mean square"), ("mean", "in the mean distance")):
        others = [_least(*given, norm) for given in list(cases.values())[:3]]
        if np.allclose(found[:3], others, atol=0.02, rtol=0):
            return f"you found the half-width that is best {words}; the largest distance is to be least"
    words = (
        f"for {list(cases)[worst]} you found w = {found[worst]:.4f}, where the largest distance is "
        f"{best[worst][1] + excess:.5f}; with another w it is {best[worst][1]:.5f}"
    )
    reach = np.abs(list(cases.values())[worst][0]).max()
    if found[worst] <= reach * 1.001 < best[worst][0]:
        return f"{words}. The best ramp may be wider than the grid"
    if excess < 1e-2:
        return f"{words}. A scan is too coarse: find where two numbers are equal; every given point counts"
    return words


def _half(z):
    return kernels.hard_swish(z.astype(np.float64))


def _inner(w, v):
    return -w / (v + w), 1 + v / (v + w)


def _open_to_the_right(z):
    return np.where(z <= -3, 0.0, z.astype(float) * (z.astype(float) + 3) / 6)


def _ramp(z, w, v, left=0.0, right=1.0):
    z = np.asarray(z, dtype=np.float64)
    slope = np.piecewise(z, [z < -w, z > v], [0.0, 1.0, lambda z: 2 * z / (v + w) + w / (v + w)])
    slope[z == -w] = left
    slope[z == v] = right
    return slope


def _spacing(right):
    """Step of float16 at each value; `np.spacing` calls that of the largest infinite."""
    nearest = right.astype(np.float16).astype(np.float64)
    exponent = np.where(nearest == 0, -24, np.frexp(nearest)[1] - 11)
    return np.ldexp(1.0, np.maximum(exponent, -24))


def _distance(z, target, w, norm="largest"):
    gap = np.abs(z * kernels.hard_sigmoid(3 * z / w) - target)
    return float(
        {"largest": np.max, "mean square": lambda x: np.mean(x**2) ** 0.5, "mean": np.mean}[norm](gap)
    )


def _best(z, target):
    def lead(w):
        gap = z * kernels.hard_sigmoid(3 * z / w) - target
        return gap.max() + gap.min()

    w = optimize.brentq(lead, 0.2, 20, xtol=1e-13, rtol=1e-14)
    return w, _distance(z, target, w)


def _mean_square_of_best(z, target):
    return _distance(z, target, _best(z, target)[0], "mean square")


def _least(z, target, norm):
    return optimize.minimize_scalar(
        lambda w: _distance(z, target, w, norm), bounds=(0.2, 20), method="bounded", options={"xatol": 1e-6}
    ).x
