import json
import re
from pathlib import Path

import numpy as np
import pytest
from complaints import complaints_of
from scipy import integrate, optimize

from selfgated import kernels, moments
from selfgated.checks import expressions, hard_swish

NOTEBOOK = Path(__file__).parents[1] / "solutions" / "05_hard_swish" / "05_hard_swish.ipynb"
complaint = complaints_of(hard_swish)
INSIDE = "(Phi(v/s) - Phi(-w/s))"
MEAN = f"s^2*{INSIDE}/(v + w)"
CURVATURE = f"(2*{INSIDE} - w*phi(w/s)/s - v*phi(v/s)/s)/(v + w)"

FORMULAS = [  # check, answer, what the message must say
    ("slope_at_left_kink", "0", "from outside"),
    ("slope_at_left_kink", "w/(w + v)", "the sign"),
    ("slope_at_left_kink", "-0.5", "right for h-swish"),
    ("slope_at_left_kink", "1/(w + v)", "the slope of the gate"),
    ("slope_at_left_kink", "-v/(w + v)", "w and v are exchanged"),
    ("slope_at_left_kink", "-2*w/(w + v)", "you lost the w"),
    ("slope_at_left_kink", "exp(-w)", "function 'exp'"),
    ("slope_at_right_kink", "1", "from outside"),
    ("slope_at_right_kink", "1.5", "right for h-swish"),
    ("slope_at_right_kink", "v/(w + v)", "which is 1 there"),
    ("slope_at_right_kink", "1 + 1/(w + v)", "must be multiplied by z"),
    ("slope_at_right_kink", "2*v/(w + v)", "you lost the w"),
    ("slope_at_right_kink", "1 + w/(w + v)", "w and v are exchanged"),
    ("lowest_value", "-w/2", "this is where f is lowest"),
    ("lowest_value", "w*w/(4*(w + v))", "the sign"),
    ("lowest_value", "-w*w/(2*(w + v))", "w/2 in size"),
    ("lowest_value", "-3/8", "right for h-swish"),
    ("lowest_value", "-w*w/4", "divide by v + w"),
    ("lowest_value", "-v*v/(4*(w + v))", "w and v are exchanged"),
    ("mean_value", f"{INSIDE}/(v + w)", "has the factor s^2"),
    ("mean_value", f"s*{INSIDE}/(v + w)", "not s"),
    ("mean_value", MEAN.replace("/s", ""), "Phi takes v/s and w/s"),
    ("mean_value", "s^2*(Phi(v/s) - Phi(w/s))/(v + w)", "the ramp begins at -w"),
    ("mean_value", f"s^2*{INSIDE}", "with the slope 1/(v + w)"),
    ("mean_value", "s^2/(v + w)", "is missing"),
    ("mean_curvature", f"2*{INSIDE}/(v + w)", "the two jumps of f' are missing"),
    ("mean_curvature", CURVATURE.replace("- w*", "+ w*").replace("- v*", "+ v*"), "the sign"),
    ("mean_curvature", CURVATURE.replace(")/s ", ") ").replace(")/s)", "))"), "is phi(v/s)/s"),
    ("mean_curvature", CURVATURE.replace("2*(", "("), "has the curvature 2/(v + w)"),
    ("mean_curvature", f"2*{INSIDE}/(v + w) - (phi(w/s) + phi(v/s))/s/2", "those of h-swish"),
    (
        "mean_curvature",
        CURVATURE.replace("w*phi(w", "v*phi(w").replace("v*phi(v", "w*phi(v"),
        "are exchanged",
    ),
    ("mean_curvature", "-(w*phi(w/s) + v*phi(v/s))/s/(v + w)", "these are the jumps alone"),
]
RIGHT_FORMULAS = [
    ("slope_at_left_kink", "-w/(v + w)"),
    ("slope_at_left_kink", "v/(v + w) - 1"),
    ("slope_at_right_kink", "(2*v + w)/(v + w)"),
    ("slope_at_right_kink", "1 + v/(v + w)"),
    ("lowest_value", "-w^2/(4*(v + w))"),
    ("lowest_value", "-0.25*w*w/(v + w)"),
    ("mean_value", MEAN),
    ("mean_value", "s*s*(erf(v/(s*sqrt(2))) + erf(w/(s*sqrt(2))))/(2*v + 2*w)"),
    ("mean_curvature", CURVATURE),
    ("mean_curvature", f"2*{INSIDE}/(v + w) - w/(v + w)*phi(-w/s)/s - v/(v + w)*phi(v/s)/s"),
]


def says(text, name):
    def answer():
        return text

    answer.__name__ = name
    return answer


@pytest.mark.parametrize(("check", "text", "words"), FORMULAS)
def test_formula_checks_say_what_is_wrong(check, text, words):
    assert words in complaint(check, lambda: text)


@pytest.mark.parametrize(("check", "text"), RIGHT_FORMULAS)
def test_formula_checks_accept_right_ones(check, text):
    assert getattr(hard_swish, check)(says(text, check)) == f"{check}: fine"


@pytest.mark.parametrize(("w", "v", "s"), [(3.0, 3.0, 1.0), (1.0, 4.0, 2.0), (2.5, 0.5, 0.7)])
def test_formulas_agree_with_quadrature(w, v, s):
    def f(z):
        return z * np.clip((z + w) / (v + w), 0, 1)

    def value(text):
        symbols = dict.fromkeys("wvs", (0.1, 9))
        return float(expressions.parse(text, symbols=symbols).evaluate({"w": w, "v": v, "s": s}))

    mean = moments.moment(f, 1, q=s * s, kinks=(-w, v))
    weak = moments.moment(lambda z: (z * z / s**4 - 1 / s**2) * f(z), 1, q=s * s, kinks=(-w, v))
    assert value(MEAN) == pytest.approx(mean, rel=1e-9)
    assert value(CURVATURE) == pytest.approx(weak, rel=1e-9)
    rise, _ = integrate.quad(lambda z: hard_swish._ramp(np.array([z]), w, v)[0], -w, v)
    assert rise == pytest.approx(f(v) - f(-w), rel=1e-9)


def ramp_grad(z, w, v, *, at_kinks=(0.0, 1.0), refuse=True):
    least, most = -w / (v + w), 1 + v / (v + w)
    if refuse and not (least <= at_kinks[0] <= 0 and 1 <= at_kinks[1] <= most):
        raise ValueError("not between the one-sided slopes")
    slope = np.where(z < -w, 0.0, np.where(z > v, 1.0, (2 * z + w) / (v + w)))
    return np.where(z == v, at_kinks[1], np.where(z == -w, at_kinks[0], slope))


def gate(z, w, v, *, at_kinks=(0.0, 1.0)):
    return np.clip((z + w) / (v + w), 0, 1)


def fixed(z, w, v, *, at_kinks=(0.0, 1.0)):
    if not (-0.5 <= at_kinks[0] <= 0 and 1 <= at_kinks[1] <= 1.5):
        raise ValueError("outside")
    return ramp_grad(z, w, v, at_kinks=at_kinks, refuse=False)


def asserting(z, w, v, *, at_kinks=(0.0, 1.0)):
    try:
        return ramp_grad(z, w, v, at_kinks=at_kinks)
    except ValueError as error:
        raise KeyError("outside") from error


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (gate, "this is the gate"),
        (lambda z, w, v, **_: kernels.hard_swish_grad(z), "this is h-swish"),
        (lambda z, w, v, **_: ramp_grad(z, w, v), "at_kinks is ignored"),
        (
            lambda z, w, v, *, at_kinks=(1.0, 0.0): ramp_grad(z, w, v, at_kinks=at_kinks[::-1], refuse=False),
            "the two values of at_kinks are exchanged",
        ),
        (
            lambda z, w, v, *, at_kinks=None: ramp_grad(
                z, w, v, at_kinks=at_kinks or (-w / (v + w), 1 + v / (v + w)), refuse=False
            ),
            "the default at the kinks is (0, 1)",
        ),
        (
            lambda z, w, v, *, at_kinks=(0.0, 1.0): ramp_grad(z, w, v, at_kinks=at_kinks, refuse=False),
            "should raise a ValueError",
        ),
        (fixed, "ramp_grad(z, 2.0, 6.0, at_kinks=(-0.4, 1.0)) returned"),
        (asserting, "ValueError is expected"),
        (
            lambda z, w, v, *, at_kinks=(0.0, 1.0): np.nan_to_num(ramp_grad(z, w, v, at_kinks=at_kinks)),
            "a nan must stay visible",
        ),
        (
            lambda z, w, v, *, at_kinks=(0.0, 1.0): ramp_grad(z.astype(float), w, v, at_kinks=at_kinks),
            "the dtype float64, where float32 is expected",
        ),
        (
            lambda z, w, v, *, at_kinks=(0.0, 1.0): ramp_grad(np.negative(z, out=z), w, v, at_kinks=at_kinks),
            "changed its input z",
        ),
        (
            lambda z, w, v, *, at_kinks=(0.0, 1.0): ramp_grad(np.atleast_1d(z), w, v, at_kinks=at_kinks),
            "an array of shape (1,), where a single number",
        ),
    ],
)
def test_ramp_grad_says_what_is_wrong(answer, words):
    assert words in complaint("ramp_grad", answer)


def test_ramp_grad_accepts_two_right_forms():
    def on_a_copy(z, w, v, *, at_kinks=(0.0, 1.0)):
        slope = ramp_grad(z, w, v, at_kinks=at_kinks)
        slope[slope > 9] = 1
        return slope

    assert hard_swish.ramp_grad(ramp_grad) == "ramp_grad: fine"
    assert hard_swish.ramp_grad(on_a_copy) == "ramp_grad: fine"


def half_swish(z):
    return np.where(z == -np.inf, z.dtype.type(0), z) * (np.clip(z + np.float16(3), 0, 6) / np.float16(6))


def quietly(function):
    def quiet(z):
        with np.errstate(all="ignore"):
            return function(z)

    return quiet


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda z: z * np.clip(z + 3, 0, 6) / 6, "larger than 65504"),
        (lambda z: z / 6 * np.clip(z + 3, 0, 6), "1 of 63,488 times"),
        (lambda z: z * np.clip(z / 6 + np.float16(0.5), 0, 1), "Close to -3 the gate cancels"),
        (lambda z: z * (np.clip(z + 3, 0, 6) / 6), "so treat it apart"),
        (lambda z: half_swish(np.nan_to_num(z, nan=0.0, posinf=np.inf, neginf=-9.0)), "a nan must stay"),
        (lambda z: half_swish(z.astype(np.float32)), "the dtype float32, where float16 is expected"),
        (lambda z: np.clip(z + 3, 0, 6) / 6, "this is the gate"),
        (lambda z: (z / (1 + np.exp(-z.astype(float)))).astype(np.float16), "this is Swish"),
        (lambda z: z * ((z + 3) / 6), "must be cut at 0 and at 1"),
        (lambda z: np.where(z <= -3, np.float16(0), z * ((z + 3) / 6)), "must be cut at 1 too"),
        (lambda z: np.where(z <= -3, np.float16(-0.001), half_swish(z)), "-0.00100"),
        (lambda z: None, "returned nothing"),
    ],
)
def test_half_swish_says_what_is_wrong(answer, words):
    assert words in complaint("half_swish", quietly(answer))


def test_half_swish_accepts_two_right_forms():
    def wide(z):
        x = np.maximum(z.astype(np.float32), np.float32(-9))
        return (x * (np.clip(x + 3, 0, 6) / 6)).astype(np.float16)

    assert hard_swish.half_swish(half_swish) == "half_swish: fine"
    assert hard_swish.half_swish(wide) == "half_swish: fine"


def gap(z, target, w):
    return z * np.clip(z + w, 0, 2 * w) / (2 * w) - target


def best(z, target, *, high=20.0, halvings=60):
    low = 0.2
    for _ in range(halvings):
        w = (low + high) / 2
        d = gap(z, target, w)
        low, high = (w, high) if d.max() > -d.min() else (low, w)
    return high, np.abs(gap(z, target, high)).max()


def golden(z, target):
    ratio, low, high = (5**0.5 - 1) / 2, 0.2, 20.0
    for _ in range(70):
        a, b = high - ratio * (high - low), low + ratio * (high - low)
        closer = np.abs(gap(z, target, a)).max() < np.abs(gap(z, target, b)).max()
        low, high = (low, b) if closer else (a, high)
    return high, np.abs(gap(z, target, high)).max()


def mean(z, target, power):
    found = optimize.minimize_scalar(
        lambda w: np.mean(np.abs(gap(z, target, w)) ** power), bounds=(0.2, 20), method="bounded"
    )
    return found.x, found.fun


def narrow(z, target):
    return best(z, target, high=np.abs(z).max())


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda z, t: best(z, t)[::-1], "the pair is exchanged"),
        (lambda z, t: (3.146, 0.13), "you return 3.1460 for every target"),
        (lambda z, t: (25.0 + t[0], 0.1), "look between 0.2 and 20"),
        (lambda z, t: mean(z, t, 2), "best in the mean square"),
        (lambda z, t: mean(z, t, 1), "best in the mean distance"),
        (narrow, "may be wider than the grid"),
        (lambda z, t: best(z, t, halvings=11), "A scan is too coarse"),
        (lambda z, t: (3 * best(z, t)[0] / 2, 0.1), "with another w it is"),
        (lambda z, t: (best(z, t)[0],) * 2, "it stands twice"),
        (lambda z, t: (best(z, t)[0], -best(z, t)[1]), "take absolute values"),
        (lambda z, t: (best(z, t)[0], np.mean(gap(z, t, best(z, t)[0]) ** 2) ** 0.5), "and no mean"),
        (lambda z, t: best(z, t)[0], "return the pair (w, distance)"),
        (lambda z, t: None, "returned nothing"),
    ],
)
def test_best_half_width_says_what_is_wrong(answer, words):
    assert words in complaint("best_half_width", answer)


def test_best_half_width_accepts_two_right_forms():
    assert hard_swish.best_half_width(best) == "best_half_width: fine"
    assert hard_swish.best_half_width(golden) == "best_half_width: fine"


def test_best_half_width_of_swish_is_the_one_of_the_chapter():
    z = np.append(np.linspace(0, 12, 120_001), 3.145941945614892)
    w, distance = hard_swish._best(z, kernels.silu(z))
    assert w == pytest.approx(3.145941945614892, abs=1e-7)
    assert distance == pytest.approx(0.1297747453824647, abs=1e-9)


def test_open_answer_has_the_right_numbers():
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    text = "".join(next(cell["source"] for cell in cells if cell["id"] == "p6"))
    z, far = np.linspace(-2, 2, 4001), np.linspace(-20, 20, 40_001)
    swish = kernels.silu(z)
    w, distance = best(z, swish)
    numbers = {
        "half-width is {:.2f}": w,
        "a distance of {:.3f}": distance,
        "3.146 has {:.3f}": np.abs(gap(z, swish, 3.146)).max(),
        "off by up to {:.2f}": np.abs(gap(far, kernels.silu(far), w)).max(),
    }
    plain = re.sub(r"\s+", " ", text)
    assert [
        words.format(number) for words, number in numbers.items() if words.format(number) not in plain
    ] == []
