"""Self-checks of assignment 06: SiLU with its gate applied twice, f(z) = z sigma(z)^2.

Right values come from mpmath and from exact fractions.
"""

from fractions import Fraction

import mpmath
import numpy as np

from selfgated.checks import engine
from selfgated.checks.answers import is_pair
from selfgated.checks.engine import CheckFailed

FORMULA = ("exp", "log", "sqrt", "sigma", "abs")
CLOSE = "1 + 2z + exp(z) cancels there: write the bracket in d = (z - hi) - lo, with expm1"


def sigmoid_condition(answer):
    """Check problem 1: z sigma'(z) / sigma(z)."""
    mistakes = [
        ("z*sigma(z)", "the slope of sigma is sigma (1 - sigma); after division by sigma, 1 - sigma is left"),
        ("1 - sigma(z)", "you left out the factor z of z f'(z) / f(z)"),
        ("z*sigma(z)*(1 - sigma(z))", "that is z sigma'(z): divide by sigma(z)"),
        ("abs(z)*(1 - sigma(z))", "leave out the absolute value: left of 0 this one is negative"),
    ]
    return _formula(answer, "z/(1 + exp(z))", "z", (-6, 6), mistakes)


def twice_gated_condition(answer):
    """Check problem 1: z f'(z) / f(z) with f(z) = z sigma(z)^2."""
    mistakes = [
        ("1 + z*(1 - sigma(z))", "this belongs to SiLU: sigma^2 has the slope 2 sigma sigma'"),
        ("2*z*(1 - sigma(z))", "this belongs to sigma^2; the factor z of f adds a term of its own"),
        ("1 + 2*z*sigma(z)", "the slope of sigma is sigma (1 - sigma), and not sigma^2"),
        ("sigma(z)^2*(1 + 2*z/(1 + exp(z)))", "this is the slope f'(z): multiply by z and divide by f(z)"),
        (
            "abs(1 + 2*z*(1 - sigma(z)))",
            "leave out the absolute value: left of the minimum of f it is negative",
        ),
    ]
    return _formula(answer, "1 + 2*z/(1 + exp(z))", "z", (-6, 6), mistakes)


def sum_is_one(answer):
    """Check problem 2: where 1 + exp(-z) rounds to 1."""
    mistakes = [
        ("(p + 1)*log(2)", "above 1 the spacing is 2^(1 - p), twice that below 1"),
        ("(p - 1)*log(2)", "a sum rounds to 1 when exp(-z) is at most half the spacing above 1"),
        ("-p*log(2)", "the sign: z is positive, and exp(-z) is at most 2^-p"),
        ("p", "exp(-z) is at most 2^-p: 2 is not e, so take the logarithm of 2^p"),
    ]
    return _formula(answer, "p*log(2)", "p", (8, 64), mistakes)


def tanh_is_one(answer):
    """Check problem 2: where tanh(z) rounds to 1."""
    mistakes = [
        ("(p + 1)*log(2)/2", "below 1 the spacing is 2^-p, half of that above 1; half of 2^-p is 2^-(p + 1)"),
        (
            "p*log(2)/2",
            "two factors of 2 are missing: 2 exp(-2z) has one, half the spacing below 1 the other",
        ),
        ("(p + 2)*log(2)", "the exponent is -2z: divide by 2"),
        ("-(p + 2)*log(2)/2", "the sign: z is positive"),
    ]
    return _formula(answer, "log(2)*(p/2 + 1)", "p", (8, 64), mistakes)


def square_overflows(answer):
    """Check problem 2: where (1 + exp(-z))^2 overflows."""
    mistakes = [
        ("-m*log(2)", "there exp(-z) overflows; its square does so half-way"),
        ("m*log(2)/2", "the sign: exp(-z) is large where z is negative"),
        ("-m/2", "exp(-2z) is as large as 2^m: 2 is not e, so take the logarithm of 2^m"),
    ]
    return _formula(answer, "-m/2*log(2)", "m", (8, 1100), mistakes)


def _formula(answer, right, symbol, span, mistakes):
    return engine.expression(answer, right, symbols={symbol: span}, functions=FORMULA, mistakes=mistakes)


def twice_gated(answer):
    """Check problem 3: z sigma(z)^2, its dtype, its tails, its special values."""
    call = "twice_gated(z)"
    forms = [
        (lambda z: z * _sigma(z), "this is SiLU: square the gate"),
        (lambda z: z**2 * _sigma(z) ** 2, "you squared z as well: only the gate is squared"),
        (lambda z: _sigma(z) ** 2, "this is the gate: multiply by z"),
    ]
    middle = np.linspace(-4, 4, 12).reshape(3, 4)
    engine.values(answer, _twice_gated, [(middle,)], mistakes=forms, rtol=1e-6, call=call)
    for kind in (np.float64, np.float32, np.float16):
        limits = np.finfo(kind)
        end = -float(np.log(limits.max)) / 2
        z = np.array(
            [end * 1.005, end * 1.02, end * 0.9, -1.0, 3.0, -2.5 * end, float(limits.max)], dtype=kind
        )
        tails = [
            (lambda z: z / (1 + np.exp(-z)) ** 2, "(1 + exp(-z))^2 overflows on the left, and f becomes 0"),
            (
                lambda z: z * (np.exp(z) / (1 + np.exp(z))) ** 2,
                "exp(z) overflows on the right, and inf / inf is nan: use exp(-|z|) only",
            ),
            (_late_product, "far left exp(2z) loses its digits first: multiply z by E, then by E again"),
        ]
        accuracy = {"rtol": 8 * float(limits.eps), "atol": 4 * float(limits.smallest_subnormal)}
        engine.values(answer, _twice_gated, [(z,)], mistakes=tails, dtype=True, call=call, **accuracy)
        z = np.array([np.inf, -np.inf, np.nan], dtype=kind)
        ends = [
            (lambda z: np.where(z > 0, z, np.nan), "at -inf it gives nan: inf * 0 is nan, so bound z first"),
            (
                lambda z: np.where(z > 0, z, 0.0),
                "nan must stay nan: np.where with z < 0 and z >= 0 both false?",
            ),
        ]
        right = np.array([np.inf, 0.0, np.nan])
        engine.values(answer, lambda z, right=right: right, [(z,)], mistakes=ends, rtol=0.0, call=call)
    return f"{engine.name_of(call)}: fine"


def two_product(answer):
    """Check problem 4: the product as a sum of two numbers."""
    rng = np.random.default_rng(0)
    x, y = rng.uniform(-2, 2, (2, 50))
    hi = x * y
    lo = np.array([_left_over(*numbers) for numbers in zip(x, y, hi, strict=True)])
    got = _pair("two_product", answer(x.copy(), y.copy()))
    swapped = [(lambda x, y: lo, "you returned lo, hi; the order is hi, lo")]
    engine.values(lambda x, y: got[0], lambda x, y: hi, [(x, y)], mistakes=swapped, rtol=0.0, call="hi(x, y)")
    mistakes = [
        (lambda x, y: 0 * lo, "lo is 0: x * y - hi rounds the product again; multiply the halves"),
        (lambda x, y: -lo, "lo has the wrong sign: it is x y - hi, and hi + lo is the product"),
    ]
    try:
        engine.values(
            lambda x, y: got[1], lambda x, y: lo, [(x, y)], mistakes=mistakes, rtol=0.0, call="lo(x, y)"
        )
    except CheckFailed as error:
        if "differs" not in str(error):
            raise
        hint = "subtract hi from the product of the large halves first, then add the others by size"
        raise CheckFailed(f"{error}. Four products of halves of 26 bits are exact: {hint}") from None
    return "two_product: fine"


def exp_product(answer):
    """Check problem 4: exp(beta z) to 15 digits."""
    mistakes = [
        (lambda beta, z: np.exp(beta * z), "exp magnifies the rounding of beta * z: use hi and lo"),
        (lambda beta, z: np.exp(beta * z) * (1 - _rest(beta, z)), "lo has the wrong sign"),
        (lambda beta, z: np.exp(beta * z) + _rest(beta, z), "exp(hi + lo) is a product: exp(hi) (1 + lo)"),
        (lambda beta, z: np.exp(beta) ** z, "exp(beta) is rounded, and the power z magnifies that"),
    ]
    inputs = [(beta, np.linspace(-690, 690, 24) / abs(beta)) for beta in (0.1, -3.3)]
    call = "exp_product(beta, z)"
    return engine.values(answer, _exp_product, inputs, mistakes=mistakes, rtol=1e-15, dtype=True, call=call)


def lowest(answer):
    """Check problem 5: the place of the minimum as hi + lo."""
    hi, lo = _pair("lowest", answer())
    with mpmath.workdps(50):
        root = _root()
        nearest = float(root)
        rest = float(root - nearest)
    mistakes = [
        (-nearest, "the sign: left of 0 f is negative, and there it has its minimum"),
        (rest, "you returned lo, hi; the order is hi, lo"),
        (-1.2784645427610738, "this is the minimum of SiLU: the root of 1 + z + exp(z)"),
    ]
    engine.number(lambda: hi, nearest, rtol=0.0, mistakes=mistakes, call="hi")
    mistakes = [
        (0.0, "lo is 0: a root found in float64 has no second number in it, use decimal"),
        (-rest, "lo has the wrong sign: it is the root minus hi"),
    ]
    engine.number(lambda: lo, rest, rtol=0.0, atol=1e-31, mistakes=mistakes, call="lo")
    return "lowest: fine"


def twice_gated_grad(answer):
    """Check problem 6: the slope, next to its zero and in the tails."""
    call = "twice_gated_grad(z)"
    forms = [
        (lambda z: _sigma(z) ** 2, "the second term of the product rule is missing: z (sigma^2)'"),
        (
            lambda z: _sigma(z) ** 2 * (1 + z * (1 - _sigma(z))),
            "(sigma^2)' is 2 sigma sigma': the 2 is missing",
        ),
        (lambda z: _sigma(z) ** 2 * (1 - 2 * z * (1 - _sigma(z))), "a sign: both terms of f' have a plus"),
        (lambda z: _sigma(z) * (1 + z * (1 - _sigma(z))), "this is the slope of SiLU: the gate is squared"),
    ]
    middle = np.linspace(-6, 6, 24).reshape(2, 12)
    engine.values(answer, _slope, [(middle,)], mistakes=forms, rtol=1e-9, call=call)
    with mpmath.workdps(50):
        root = float(_root())
    near = root + np.spacing(root) * np.array([-7.0, -2.0, -1.0, 0.0, 1.0, 3.0, 1e3, 1e6, 1e9])
    _with_hint(answer, near, f"next to z0 {CLOSE}", call)
    tails = np.array([-340.0, -60.0, -20.0, 20.0, 60.0, 340.0, 800.0])
    _with_hint(answer, tails, "in the tails use exp(-|z|) only: exp(z) grows, and its cube sooner", call)
    far = np.array([-1.7e308, -1e4, -800.0, 1e4, 1.7e308])
    right = np.where(far < 0, 0.0, 1.0)
    nans = [
        (lambda z: np.where(z < -1000, np.nan, right), "far left it gives nan, inf * 0: bound z first"),
        (
            lambda z: np.where(abs(z) > 1e308, np.nan, right),
            "at 1.7e308 2z is inf, and inf * 0 is nan: bound z",
        ),
    ]
    engine.values(answer, lambda z: right, [(far,)], mistakes=nans, rtol=1e-14, atol=1e-300, call=call)
    return "twice_gated_grad: fine"


def _with_hint(answer, z, hint, call):
    try:
        engine.values(answer, _slope, [(z,)], rtol=1e-14, dtype=True, call=call)
    except CheckFailed as error:
        if "differs" not in str(error):
            raise
        raise CheckFailed(f"{error}. {hint[0].upper()}{hint[1:]}") from None


def _pair(name, got):
    if got is None:
        raise CheckFailed(f"{name} returned nothing: is a `return` missing?")
    if not is_pair(got):
        raise CheckFailed(f"{name} returned {engine.short(got)}, where two things are expected: hi, lo")
    return got


def _sigma(z):
    return 1 / (1 + np.exp(-z))


def _late_product(z):
    """f with the square of exp(-abs(z)) formed first, in the dtype of z."""
    small = np.exp(-np.abs(z))
    return z * np.where(z < 0, small * small, 1) / (1 + small) ** 2


def _mapped(function, z):
    """`function` of every entry, an mpf, at 50 digits, as float64."""
    with mpmath.workdps(50):
        values = [float(function(mpmath.mpf(float(entry)))) for entry in np.ravel(z)]
    return np.reshape(values, np.shape(z))


def _twice_gated(z):
    return _mapped(lambda v: v / (1 + mpmath.exp(-v)) ** 2, z)


def _slope(z):
    return _mapped(lambda v: (1 + 2 * v / (1 + mpmath.exp(v))) / (1 + mpmath.exp(-v)) ** 2, z)


def _root():
    """The zero of f', at the working precision of mpmath."""
    return mpmath.findroot(lambda z: 1 + 2 * z + mpmath.exp(z), -0.7)


def _exp_product(beta, z):
    return _mapped(lambda v: mpmath.exp(mpmath.mpf(beta) * v), z)


def _rest(beta, z):
    """The exact beta z minus its rounded value."""
    return np.array([_left_over(beta, entry, beta * entry) for entry in map(float, z)])


def _left_over(x, y, product):
    """The exact x y minus `product`, a float."""
    return float(Fraction(x) * Fraction(y) - Fraction(product))
