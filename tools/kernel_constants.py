"""Write src/selfgated/kernels/_constants.py: what the kernels need to more digits than a float64 holds.

A number that enters a cancellation is stored as an unevaluated sum HI + LO of two float64, and a function
that vanishes inside a window is stored as its Taylor coefficients about the zero. Everything is computed here
at 60 digits from the textbook definition; nothing is typed.
"""

import sys
from pathlib import Path

from mpmath import coth, e, erfc, exp, findroot, lambertw, mp, mpf, sqrt, tanh, taylor
from mpmath import pi as PI

TARGET = Path(__file__).parents[1] / "src/selfgated/kernels/_constants.py"
DIGITS = 60
SHIFT = 800  # as in selfgated.kernels._exact


def split(x):
    """Return (hi, lo), two float64 whose exact sum is `x` to about 106 bits."""
    hi = float(x)
    return hi, float(x - mpf(hi))


def gelu_slope(t):
    """Slope of GELU at -t, times 2 exp(t^2 / 2)."""
    return erfc(t / sqrt(2)) * exp(t * t / 2) - sqrt(2 / PI) * t


def tanh_argument(t):
    """v(t) of gelu_tanh(t) = t sigma(v(t)), with its first two derivatives."""
    c, a = 2 * sqrt(2 / PI), mpf(44715) / 10**6
    return c * (t + a * t**3), c * (1 + 3 * a * t**2), 6 * c * a * t


def gelu_tanh_slope(x):
    """Slope of gelu_tanh at x, times (1 + exp(v))^2 / exp(v)."""
    v, v1, _ = tanh_argument(x)
    return 1 + x * v1 + exp(v)


def gelu_tanh_curvature(t):
    """Curvature of gelu_tanh at t, divided by sigma'(v)."""
    v, v1, v2 = tanh_argument(t)
    return 2 * v1 + t * v2 - t * v1**2 * tanh(v / 2)


def mish_slope(x):
    """Slope of Mish at x, times (2 + 2 u + u^2)^2 / u with u = exp(x)."""
    return 4 * (x + 1) + 4 * exp(2 * x) + exp(3 * x) + exp(x) * (4 * x + 6)


def mish_curvature_left(x):
    """Curvature of Mish at x, times (2 + 2 u + u^2)^3 / (4 u) with u = exp(x)."""
    u = exp(x)
    return 2 * (2 + 4 * u + 3 * u**2 + u**3) + x * (2 + 2 * u - 3 * u**2 - 2 * u**3)


def mish_curvature_right(x):
    """Curvature of Mish at x, times (1 + 2 v + 2 v^2)^3 / (4 v^2) with v = exp(-x)."""
    v = exp(-x)
    return 2 * (1 + 3 * v + 4 * v**2 + 2 * v**3) + x * (-2 - 3 * v + 2 * v**2 + 2 * v**3)


def series(fn, at, degree):
    """Taylor coefficients of fn about its zero `at`, the constant one left out, as float64."""
    with mp.workdps(2 * DIGITS):
        return [float(c) for c in taylor(fn, at, degree)[1:]]


def constants():
    """Return {name: float or list of floats} in the order of the file."""
    with mp.workdps(DIGITS):
        w = lambertw(1 / e).real
        z0 = 2 * findroot(lambda u: u - coth(u), mpf("1.2"))
        gelu_zero = findroot(gelu_slope, mpf("0.75"))
        tanh_zero = findroot(gelu_tanh_slope, mpf("-0.75"))
        tanh_flat = findroot(gelu_tanh_curvature, mpf("1.42"))
        mish_zero = findroot(mish_slope, mpf("-1.19"))
        mish_flat_left = findroot(mish_curvature_left, mpf("-2.25"))
        mish_flat_right = findroot(mish_curvature_right, mpf("1.49"))
        pairs = {
            "SWISH_ZERO": 1 + w,
            "SWISH_FLAT": z0,
            "SQRT_2": sqrt(2),
            "GELU_ZERO": gelu_zero,
            "TANH_C": 2 * sqrt(2 / PI),
            "TANH_A": mpf(44715) / 10**6,
            "TANH_ZERO": -tanh_zero,
            "TANH_FLAT": tanh_flat,
            "MISH_ZERO": mish_zero,
            "MISH_FLAT_LEFT": mish_flat_left,
            "MISH_FLAT_RIGHT": mish_flat_right,
            "SIGMOID_BETA": mpf(1702) / 1000,
        }
        out = {}
        for name, value in pairs.items():
            out[f"{name}_HI"], out[f"{name}_LO"] = split(value)
            if name.startswith("SWISH"):  # beta z can come closer to these than HI + LO tells
                out[f"{name}_REST"] = float(value - mpf(out[f"{name}_HI"]) - mpf(out[f"{name}_LO"]))
        out["LAMBERT_W"] = float(w)
        out["SQRT_2_OVER_PI"] = float(sqrt(2 / PI))
        out["INV_SQRT_2PI"] = float(1 / sqrt(2 * PI))
        out["SQRT_HALF"] = float(sqrt(mpf(1) / 2))
        out["HALF_SHIFT_FACTOR"] = float(exp(-mpf(SHIFT) / 2))
        out["TANH_EXP_ZERO"] = float(exp(tanh_argument(tanh_zero)[0]))
        out["MISH_EXP_ZERO"] = float(exp(mish_zero))
        out["GELU_SLOPE_SERIES"] = series(gelu_slope, gelu_zero, 19)
        out["TANH_CURVATURE_SERIES"] = series(gelu_tanh_curvature, tanh_flat, 26)
        out["MISH_LEFT_SERIES"] = series(mish_curvature_left, mish_flat_left, 17)
        out["MISH_RIGHT_SERIES"] = series(mish_curvature_right, mish_flat_right, 19)
        return out


def render():
    """Return the text of the file."""
    lines = ['"""Constants of the kernels, written by tools/kernel_constants.py. Do not edit."""', ""]
    for name, value in constants().items():
        if isinstance(value, list):
            lines += [f"{name} = (", *(f"    {c!r}," for c in value), ")"]
        else:
            lines.append(f"{name} = {value!r}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    TARGET.write_text(render())
    sys.stdout.write(f"wrote {TARGET.name}\n")
