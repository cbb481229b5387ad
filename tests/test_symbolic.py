import doctest
import importlib
import random
import subprocess
import sys
from fractions import Fraction

import mpmath
import pytest
import sympy as sp
from mpmath import mp

from selfgated import symbolic
from selfgated.symbolic import (
    COTH_FIXED_POINT,
    NAMES,
    beta,
    definition,
    derivative,
    evaluate,
    extrema,
    gate,
    general_gelu,
    general_gelu_limit,
    identities,
    is_identity,
    kinks,
    limits,
    mu,
    parity,
    sigma,
    z,
)

SMOOTH = [name for name in NAMES if not kinks(name)]
MONOTONE = [
    name
    for name in NAMES
    if name not in ("silu", "swish", "hard_swish", "gelu", "gelu_tanh", "gelu_sigmoid", "mish")
]


def _logistic(x):
    return 1 / (1 + mpmath.exp(-x))


def _clip(x, low, high):
    return min(max(x, low), high)


# Written again, in mpmath only: what the SymPy definitions are compared with.
TEXTBOOK = {
    "identity": lambda x: x,
    "sigmoid": _logistic,
    "tanh": lambda x: (mpmath.exp(x) - mpmath.exp(-x)) / (mpmath.exp(x) + mpmath.exp(-x)),
    "softplus": lambda x: mpmath.log(1 + mpmath.exp(x)),
    "relu": lambda x: max(x, mp.zero),
    "relu6": lambda x: _clip(x, 0, 6),
    "leaky_relu": lambda x: x if x > 0 else x / 100,
    "elu": lambda x: x if x > 0 else mpmath.expm1(x),
    "silu": lambda x: x * _logistic(x),
    "swish": lambda x: x * _logistic(x),
    "hard_sigmoid": lambda x: _clip(x + 3, 0, 6) / mp.mpf(6),
    "hard_swish": lambda x: x * _clip(x + 3, 0, 6) / 6,
    "gelu": lambda x: x * mpmath.ncdf(x),
    "gelu_tanh": lambda x: (
        x / 2 * (1 + mpmath.tanh(mpmath.sqrt(2 / mp.pi) * (x + mp.mpf("0.044715") * x**3)))
    ),
    "gelu_sigmoid": lambda x: x * _logistic(mp.mpf("1.702") * x),
    "mish": lambda x: x * mpmath.tanh(mpmath.log(1 + mpmath.exp(x))),
}


def _points(name, count, seed=0):
    rng = random.Random(seed)
    points = [rng.gauss(0, 3) for _ in range(count)]
    assert min((abs(p - k) for p in points for k in kinks(name)), default=1) > 1e-4
    return points


def _close(got, want, digits=50):
    assert abs(got - want) <= mp.mpf(10) ** -digits * abs(want), (got, want)


@pytest.fixture(autouse=True)
def _guard_digits():
    with mp.workdps(120):
        yield


def test_names_are_in_the_order_of_the_book():
    assert tuple(TEXTBOOK) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_definition_is_the_textbook_function(name):
    for x in _points(name, 20):
        _close(evaluate(name, 0, x), TEXTBOOK[name](mp.mpf(x)))


@pytest.mark.parametrize("name", NAMES)
def test_gate_times_z_is_the_function(name):
    g = gate(name)
    if g is None:
        assert name in ("sigmoid", "tanh", "softplus", "relu6", "leaky_relu", "elu", "hard_sigmoid")
    else:
        assert is_identity(z * g, definition(name))


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("name", SMOOTH)
def test_derivative_is_the_derivative_of_the_definition_exactly(name, order):
    assert is_identity(derivative(name, order), sp.diff(definition(name), z, order))


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("name", NAMES)
def test_derivative_matches_sympy_diff_at_random_points(name, order):
    expr = sp.diff(definition(name, **({"beta": 1} if name == "swish" else {})), z, order)
    reference = sp.lambdify(z, expr, "mpmath")
    for x in _points(name, 40):
        _close(evaluate(name, order, x), reference(mp.mpf(x)))


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("name", NAMES)
def test_derivative_matches_numeric_differentiation(name, order):
    for x in _points(name, 8, seed=1):
        want = mpmath.diff(TEXTBOOK[name], mp.mpf(x), order, h=mp.mpf(10) ** -40)
        assert abs(evaluate(name, order, x) - want) < mp.mpf(10) ** -30


@pytest.mark.parametrize("value", [-2, 0, 0.1, 0.5, 1.702, 1000])
def test_swish_derivative_matches_numeric_differentiation_for_beta(value):
    b = mp.mpf(value)
    for x in (-2.5, -0.3, 0.0, 1.25):
        for order in (0, 1, 2):
            want = mpmath.diff(lambda t: t * _logistic(b * t), mp.mpf(x), order, h=mp.mpf(10) ** -45)
            assert abs(evaluate("swish", order, x, beta=value) - want) < mp.mpf(10) ** -30


# what torch returns (tests/test_functional.py compares with torch itself)
@pytest.mark.parametrize(
    ("name", "slopes"),
    [
        ("relu", {0: 0}),
        ("relu6", {0: 0, 6: 0}),
        ("leaky_relu", {0: sp.Rational(1, 100)}),
        ("elu", {0: 1}),
        ("hard_sigmoid", {-3: 0, 3: 0}),
        ("hard_swish", {-3: 0, 3: 1}),
    ],
)
def test_slope_at_kinks_is_the_convention(name, slopes):
    assert kinks(name) == tuple(slopes)
    for at, slope in slopes.items():
        assert derivative(name, 1).subs(z, at) == slope
        assert derivative(name, 2).subs(z, at) == 0
        assert evaluate(name, 2, at) == 0
    values = [evaluate(name, 2, at + side * 1e-9) for at in slopes for side in (-1, 1)]
    slopes_beside = [evaluate(name, 1, at + side * 1e-9) for at in slopes for side in (-1, 1)]
    assert len({mpmath.nstr(v, 5) for v in values}) > 1 or len({mpmath.nstr(v, 5) for v in slopes_beside}) > 1


@pytest.mark.parametrize("name", NAMES)
def test_derivatives_hold_no_distribution(name):
    for order in (1, 2):
        assert not derivative(name, order).has(sp.DiracDelta, sp.Heaviside, sp.Derivative, sp.sign)


def test_parameters_are_exact():
    assert derivative("elu", 1, alpha=0.1).subs(z, 0) == sp.Rational(0.1) != sp.Rational(1, 10)
    assert derivative("leaky_relu", 1, negative_slope="0.1").subs(z, -1) == sp.Rational(1, 10)
    assert definition("swish").free_symbols == {z, beta}


@pytest.mark.parametrize("name", NAMES)
def test_identities_are_proven_and_a_perturbed_one_is_not(name):
    found = identities(name)
    assert found
    for description, lhs, rhs in found:
        assert is_identity(lhs, rhs), description
        assert not is_identity(lhs, rhs + z / 1000), description


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *[(n, "f(z) - f(-z) = z") for n in ("softplus", "relu", "silu", "swish", "hard_swish", "gelu")],
        *[(n, "f(z) - f(-z) = z") for n in ("gelu_tanh", "gelu_sigmoid")],
        ("identity", "f(-z) = -f(z)"),
        ("tanh", "f(-z) = -f(z)"),
        ("sigmoid", "f(z) + f(-z) = 1"),
        ("hard_sigmoid", "f(z) + f(-z) = 1"),
        ("relu6", "f(z) + f(6 - z) = 6"),
        *[(n, "none") for n in ("leaky_relu", "elu", "mish")],
    ],
)
def test_parity(name, expected):
    assert parity(name) == expected


@pytest.mark.parametrize("name", ["mish", "elu", "leaky_relu"])
def test_without_parity_has_a_counterexample(name):
    difference = evaluate(name, 0, 1) - evaluate(name, 0, -1)
    assert abs(difference - 1) > 0.005


SWISH, SLOPE = definition("swish"), derivative("swish")
GATE = 1 / (1 + sp.exp(-beta * z))


@pytest.mark.parametrize(
    ("wrong", "holds_at_one"),
    [(SWISH * sp.diff(GATE, z), False), (SWISH + GATE * (beta - beta * SWISH), True)],
    ids=["f sigma'", "f + sigma (beta - beta f)"],
)
def test_wrong_published_slopes_of_swish_are_wrong(wrong, holds_at_one):
    assert is_identity(wrong.subs(beta, 1), SLOPE.subs(beta, 1)) == holds_at_one
    for value in (sp.Rational(1, 2), sp.Integer(2)):
        assert not is_identity(wrong.subs(beta, value), SLOPE.subs(beta, value))
        gap = (wrong - SLOPE).subs({beta: value, z: 2}).evalf(30)
        assert abs(gap) > 0.01


def test_mish_typo_in_the_denominator_is_wrong():
    (published,) = [(lhs, rhs) for text, lhs, rhs in identities("mish") if "w / d^2" in text]
    e = sp.exp(z)
    typo = published[1] * (2 * e + e**2 + 2) ** 2 / (2 * e + 2 * e**2 + 2) ** 2
    assert is_identity(*published)
    assert not is_identity(published[0], typo)


@pytest.mark.parametrize("name", NAMES)
def test_limits_match_values_far_out(name):
    ends = limits(name)
    for side, f_end, slope_end in ((-1, ends.f_left, ends.grad_left), (1, ends.f_right, ends.grad_right)):
        near, far = evaluate(name, 0, side * 1000), evaluate(name, 0, side * 2000)
        assert abs(evaluate(name, 1, side * 1000) - slope_end._to_mpmath(400)) < mp.mpf(10) ** -30
        if f_end.is_finite:
            assert abs(far - f_end._to_mpmath(400)) < mp.mpf(10) ** -30
        else:
            assert int(sp.sign(f_end)) == mp.sign(far) == mp.sign(far - near)
        _close(evaluate(name, 1, side * mp.inf), slope_end._to_mpmath(400))


@pytest.mark.parametrize(
    ("value", "ends"), [(-3, (-sp.oo, 0, 1, 0)), (0, (-sp.oo, sp.oo, 0.5, 0.5)), (0.1, (0, sp.oo, 0, 1))]
)
def test_swish_limits_depend_on_the_sign_of_beta(value, ends):
    got = limits("swish", beta=value)
    assert (got.f_left, got.f_right, float(got.grad_left), float(got.grad_right)) == ends


def test_general_gelu_limits_are_relu_and_half_of_z():
    relu = general_gelu_limit(0).subs(mu, 0)
    assert is_identity(relu, definition("relu"))
    assert general_gelu_limit(sp.oo) == z / 2
    with mp.workdps(30):
        for width, expr in ((1e-3, general_gelu_limit(0)), (1e9, general_gelu_limit(sp.oo))):
            for at in (-1.5, 0.2, 0.6, 2.0):
                value = general_gelu().subs({mu: 0.5, sigma: width, z: at}).evalf(20)
                assert float(value) == pytest.approx(float(expr.subs({mu: 0.5, z: at})), abs=1e-8)
    with pytest.raises(ValueError, match="0 or oo"):
        general_gelu_limit(1)


COUNTS = {
    "sigmoid": (0, 1, 2),
    "tanh": (0, 1, 2),
    "softplus": (0, 0, 1),
    "hard_swish": (1, 0, 0),
    **dict.fromkeys(("silu", "swish", "gelu", "gelu_tanh", "gelu_sigmoid", "mish"), (1, 2, 3)),
}


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("name", NAMES)
def test_extrema_are_where_the_textbook_function_turns(name, order):
    found = extrema(name, order)
    assert len(found) == COUNTS.get(name, (0, 0, 0))[order]
    assert [e.where_digits for e in found] == sorted(e.where_digits for e in found)
    for e in found:
        h = mp.mpf(10) ** -12
        function = TEXTBOOK[name]
        here, left, right = (
            mpmath.diff(function, e.where_digits + d, order, h=mp.mpf(10) ** -40)
            if order
            else function(e.where_digits + d)
            for d in (0, -h, h)
        )
        assert (here < min(left, right)) if e.kind == "minimum" else (here > max(left, right))
        assert abs(left - right) < mp.mpf(10) ** -30  # symmetric to third order: the place is right
        assert abs(here - e.value_digits) < mp.mpf(10) ** -30


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("name", NAMES)
def test_closed_forms_match_independent_root_finding(name, order):
    expr = sp.diff(definition(name, **({"beta": 1} if name == "swish" else {})), z, order + 1)
    slope, function = sp.lambdify(z, expr, "mpmath"), TEXTBOOK[name]
    for e in extrema(name, order):
        root = mpmath.findroot(slope, e.where_digits + mp.mpf("1e-3"), tol=mp.mpf(10) ** -120)
        assert abs(e.where_digits - root) < mp.mpf(10) ** -48
        if e.where is not None:
            assert abs(e.where._to_mpmath(300) - root) < mp.mpf(10) ** -55
            want = mpmath.diff(function, root, order, h=mp.mpf(10) ** -40) if order else function(root)
            assert abs(e.value._to_mpmath(300) - want) < mp.mpf(10) ** -30


@pytest.mark.parametrize("name", MONOTONE)
def test_monotone_functions_have_no_extremum(name):
    assert extrema(name) == []
    values = [evaluate(name, 0, k / 8, 20) for k in range(-80, 81)]
    assert values == sorted(values)


def test_swish_minimum_is_lambert_w():
    w = sp.LambertW(sp.exp(-1))
    (lowest,) = extrema("swish", beta=sp.Rational(1, 3))
    assert sp.simplify(lowest.where + 3 * (1 + w)) == 0
    assert sp.simplify(lowest.value + 3 * w) == 0


@pytest.mark.parametrize("value", [0.1, 1.702, 1000])
def test_swish_extrema_scale_with_beta(value):
    for order in (0, 1, 2):
        for base, scaled in zip(extrema("silu", order), extrema("swish", order, beta=value), strict=True):
            _close(scaled.where_digits * value, base.where_digits, 48)
            _close(scaled.value_digits, base.value_digits * mp.mpf(value) ** (order - 1), 48)


@pytest.mark.parametrize("order", range(3))
def test_swish_extrema_of_negative_beta_are_extrema(order):
    """Checked against values beside each place, not against the reflection that made them."""
    found = extrema("swish", order, beta=-2)
    assert [e.where_digits for e in found] == sorted(e.where_digits for e in found)
    assert len(found) == len(extrema("silu", order))
    for e in found:
        beside = [
            evaluate("swish", order, e.where_digits + h, beta=-2) for h in (-mp.mpf("0.01"), mp.mpf("0.01"))
        ]
        assert all(v > e.value_digits if e.kind == "minimum" else v < e.value_digits for v in beside)
        _close(evaluate("swish", order, e.where_digits, beta=-2), e.value_digits, 45)
        if e.where is not None:
            _close(sp.N(e.where, 60)._to_mpmath(200), e.where_digits, 45)


@pytest.mark.parametrize("value", [1e-300, 0.3, -1e300])
def test_swish_slope_changes_sign_at_its_extrema_for_any_beta(value):
    for order in range(3):
        for e in extrema("swish", order, beta=value):
            near = [e.where_digits * (1 + h) for h in (-(mp.mpf(10) ** -8), mp.mpf(10) ** -8)]
            near = near if e.where_digits else [-1e-3 / value, 1e-3 / value]
            left, right = (evaluate("swish", order, x, beta=value) for x in sorted(near))
            middle = evaluate("swish", order, e.where_digits, beta=value)
            assert (max if e.kind == "maximum" else min)(left, middle, right) == middle
            _close(middle, e.value_digits, 40)


def test_swish_without_beta_has_no_extrema():
    assert [extrema("swish", order, beta=0) for order in range(3)] == [[], [], []]


def test_coth_fixed_point_solves_its_equation_to_any_precision():
    for digits in (15, 50, 200):
        with mp.workdps(digits + 10):
            u = COTH_FIXED_POINT.evalf(digits + 5)._to_mpmath(mp.prec)
            assert abs(u - mpmath.coth(u)) < mp.mpf(10) ** -digits
    assert sp.Rational(1199, 1000) < COTH_FIXED_POINT < sp.Rational(6, 5)
    assert str(COTH_FIXED_POINT) == "u"
    assert float(extrema("silu", 1)[1].value) == pytest.approx(float(1 + COTH_FIXED_POINT) / 2, rel=1e-15)


def test_gelu_steepest_slope_is_closed():
    steepest = extrema("gelu", 1)[1]
    phi_of_root_two = (1 + sp.erf(1)) / 2
    assert steepest.where == sp.sqrt(2)
    assert sp.simplify(steepest.value - phi_of_root_two - sp.exp(-1) / sp.sqrt(sp.pi)) == 0


def test_gelu_minimum_is_at_minus_mills_ratio():
    x = extrema("gelu")[0].where_digits
    assert abs(x + mpmath.ncdf(x) / mpmath.npdf(x)) < mp.mpf(10) ** -48


def test_extrema_take_digits():
    a, b = extrema("mish", digits=20)[0], extrema("mish", digits=100)[0]
    assert 0 < abs(a.where_digits - b.where_digits) < mp.mpf(10) ** -19
    assert abs(extrema("mish", digits=110)[0].where_digits - b.where_digits) < mp.mpf(10) ** -99


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("x", [-700.0, -36.7, -9.5, 5e-324, -1e-200, 1e-9, 17.3, 88.9, 700.0])
def test_evaluate_matches_brute_force_precision(name, x):
    kwargs = {"beta": 1} if name == "swish" else {}
    for order in (0, 1, 2):
        reference = sp.lambdify(z, sp.diff(definition(name, **kwargs), z, order), "mpmath")
        got = evaluate(name, order, x)
        if name in ("gelu", "gelu_tanh") and abs(x) > 40:
            continue  # textbook erf at these precisions takes seconds; see the tail tests
        with mp.workdps(2500):  # gelu_tanh(-36.7) is 2e-1556
            want = mp.mpf(reference(mp.mpf(x)))
        _close(got, want)


@pytest.mark.parametrize("x", [-12.5, -37.6, -80.0, -100.0])
def test_evaluate_gelu_tail_matches_mills_expansion(x):
    # x Phi(x) for x < 0 by the continued fraction of Mills' ratio, a formula without erf
    t = -mp.mpf(x)
    fraction = mp.zero
    for k in range(4000, 0, -1):
        fraction = k / (t + fraction)
    tail = mpmath.npdf(t) / (t + fraction)
    _close(evaluate("gelu", 0, x), x * tail)
    _close(evaluate("gelu", 1, x), tail + x * mpmath.npdf(t))


@pytest.mark.parametrize("name", ["silu", "gelu", "gelu_tanh", "mish", "softplus", "tanh", "elu", "sigmoid"])
@pytest.mark.parametrize("side", [-1, 1])
def test_evaluate_is_continuous_where_the_asymptote_takes_over(name, side):
    scale = {"gelu": 109.54, "gelu_tanh": 43, "tanh": 3000}.get(name, 6000)
    for order in (0, 1, 2):
        inner, outer = (evaluate(name, order, side * scale * k) for k in (0.97, 1.03))
        step = side * scale * mp.mpf("0.06") * (evaluate(name, 1, side * mp.inf) if order == 0 else 0)
        assert abs(outer - inner - step) < mp.mpf(10) ** -12


@pytest.mark.parametrize("name", NAMES)
def test_evaluate_extreme_points(name):
    biggest = sys.float_info.max
    for order in (0, 1, 2):
        for x in (-biggest, biggest, -mp.inf, mp.inf):
            value = evaluate(name, order, x)
            assert mp.isfinite(value) or (order == 0 and mp.isinf(x))
        assert mp.isnan(evaluate(name, order, mp.nan))
    if limits(name).grad_right == 1:
        assert evaluate(name, 0, biggest) == biggest
    assert evaluate("swish", 0, biggest, beta=-biggest) == 0
    assert evaluate("swish", 0, -biggest, beta=-biggest) == -biggest


def test_evaluate_elu_asymptote_keeps_its_digits():
    _close(evaluate("elu", 0, -1e5, alpha="1/3"), -mp.one / 3)


def test_evaluate_next_to_a_zero_of_the_slope():
    x = float(extrema("silu")[0].where_digits)
    with mp.workdps(200):
        s = _logistic(mp.mpf(x))
        want = s * (1 + mp.mpf(x) * (1 - s))
    assert abs(want) < 1e-16
    _close(evaluate("silu", 1, x), want)


def test_evaluate_takes_every_kind_of_number():
    tenth = evaluate("mish", 0, "0.1")
    assert tenth == evaluate("mish", 0, sp.Rational(1, 10)) != evaluate("mish", 0, 0.1)
    assert evaluate("gelu", 1, 2) == evaluate("gelu", 1, 2.0) == evaluate("gelu", 1, mp.mpf(2))
    _close(evaluate("gelu", 1, sp.sqrt(2)), extrema("gelu", 1)[1].value_digits)
    assert evaluate("silu", 1, Fraction(1, 3)) == evaluate("silu", 1, "1/3") != evaluate("silu", 1, 1 / 3)
    _close(evaluate("silu", 0, 10**400), mp.mpf(10) ** 400)
    assert evaluate("swish", 0, 1.5) == evaluate("swish", 0, 1.5, beta=None) == evaluate("silu", 0, 1.5)


@pytest.mark.parametrize("digits", [1, 15, 50, 300])
def test_evaluate_digits(digits):
    with mp.workdps(digits + 100):
        x = mp.mpf(-3.7)
        _close(evaluate("silu", 0, -3.7, digits), x / (1 + mpmath.exp(-x)), digits)


def test_evaluate_leaves_the_global_precision_alone():
    before = mp.prec
    evaluate("mish", 2, -40.5)
    assert mp.prec == before


@pytest.mark.parametrize(
    "call",
    [
        definition,
        derivative,
        gate,
        kinks,
        limits,
        parity,
        identities,
        extrema,
        lambda name: evaluate(name, 0, 1.0),
    ],
)
@pytest.mark.parametrize("name", ["gleu", "", "GELU", None])
def test_unknown_name(call, name):
    with pytest.raises(
        ValueError, match=rf"unknown activation {name!r}; choose from \['identity', 'sigmoid'"
    ):
        call(name)


@pytest.mark.parametrize("order", [-1, 3, 0.5, "1", None])
def test_bad_order(order):
    for call in (
        lambda: derivative("gelu", order),
        lambda: extrema("gelu", order),
        lambda: evaluate("gelu", order, 1),
    ):
        with pytest.raises(ValueError, match=f"order must be 0, 1 or 2, got {order!r}"):
            call()


def test_wrong_parameter():
    for call in (definition, derivative, gate, limits, extrema):
        with pytest.raises(TypeError, match="gelu"):
            call("gelu", beta=2)
    with pytest.raises(TypeError, match="swish takes beta, not 'alpha'"):
        definition("swish", alpha=1)
    with pytest.raises(TypeError, match="gelu takes no parameter, not 'beta'"):
        evaluate("gelu", 0, 1.0, beta=1)


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), -float("inf"), "nan", "one", mpmath.inf, sp.oo, sp.I]
)
def test_bad_beta(value):
    for call in (definition, derivative, extrema, limits):
        with pytest.raises(ValueError, match="beta must be"):
            call("swish", beta=value)
    with pytest.raises(ValueError, match="beta must be"):
        evaluate("swish", 0, 1.0, beta=value)


def test_bad_types_and_values():
    with pytest.raises(TypeError, match=r"beta must be a real number, got \[1\]"):
        definition("swish", beta=[1])
    for digits in (0, -3, 1.5, "9"):
        with pytest.raises(ValueError, match=f"digits must be a positive integer, got {digits!r}"):
            evaluate("gelu", 0, 1.0, digits)
        with pytest.raises(ValueError, match=f"digits must be a positive integer, got {digits!r}"):
            extrema("gelu", 0, digits)
    with pytest.raises(ValueError, match="beta must be a number"):
        evaluate("swish", 0, 1.0, beta=beta)
    with pytest.raises(ValueError, match="at must be a number"):
        evaluate("gelu", 0, z)


@pytest.mark.parametrize("module", ["expressions", "evaluation", "properties", "analysis"])
def test_doctests(module):
    result = doctest.testmod(importlib.import_module(f"selfgated.symbolic.{module}"))
    assert result.attempted > 0
    assert result.failed == 0
    assert doctest.testmod(symbolic).failed == 0


def test_import_needs_sympy_only():
    code = (
        "import sys, selfgated.symbolic; sys.exit(any(m in sys.modules for m in ('torch', 'numpy', 'scipy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
