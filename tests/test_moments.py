import math
from itertools import pairwise

import mpmath
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp
from scipy import optimize, special

from selfgated import catalog, kernels, moments, symbolic
from selfgated.moments import quadrature

PI = math.pi
SMOOTH = [record.name for record in catalog.ACTIVATIONS if record.jump != 1]


def mp_moment(name, power, order, q=1, **params):
    """E f^(order)(z)^power by mpmath's tanh-sinh rule on the symbolic expression, 20 digits."""
    pairs = {"beta": 1} if name == "swish" and not params else params
    expr = symbolic.derivative(name, order, **pairs) if order else symbolic.definition(name, **pairs)
    expr = expr.subs(symbolic.beta, 1)
    f = sp.lambdify(symbolic.z, expr, "mpmath")
    with mp.workdps(20):
        scale = mp.sqrt(q)
        ends = {-12, -6, -3, -1, 0, 1, 3, 6, 12} | {mp.mpf(int(k)) / scale for k in symbolic.kinks(name)}
        return mpmath.quad(lambda u: mpmath.npdf(u) * f(scale * u) ** power, sorted(ends))


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("name", catalog.names())
def test_moment_second_against_mpmath(name, order):
    exact = mp_moment(name, 2, order)
    assert abs(moments.moment(name, order=order) - exact) <= 1e-12 * exact


@pytest.mark.parametrize("q", [1e-3, 40])
@pytest.mark.parametrize("name", ["gelu_tanh", "mish", "hard_swish", "elu"])
def test_moment_against_mpmath_small_and_large_variance(name, q):
    exact = mp_moment(name, 2, 0, q)
    assert abs(moments.moment(name, q=q) - exact) <= 1e-12 * exact


@pytest.mark.parametrize("beta", [0.1, 1.702, 10])
def test_moment_swish_against_mpmath_over_beta(beta):
    for order in (0, 1):
        exact = mp_moment("swish", 2, order, beta=beta)
        assert abs(moments.moment("swish", order=order, beta=beta) - exact) <= 1e-12 * exact


def test_moment_gelu_closed_forms():
    assert moments.moment("gelu", 1) == pytest.approx(1 / (2 * math.sqrt(PI)), rel=1e-13)
    assert moments.moment("gelu", 2) == pytest.approx(1 / 3 + 1 / (2 * PI * math.sqrt(3)), rel=1e-13)
    assert moments.moment("gelu", 2, order=1) == pytest.approx(1 / 3 + 2 / (3 * PI * math.sqrt(3)), rel=1e-13)


@pytest.mark.parametrize("q", [1e-6, 0.3, 2.0, 1e4])
def test_moment_gelu_closed_forms_any_variance(q):
    # E Phi(z)^2 from Sheppard's angle; E z^2 g = q E g + 2 q^2 d/dq E g; E z Phi phi by Stein's identity.
    gate = 1 / 4 + math.asin(q / (1 + q)) / (2 * PI)
    assert moments.moment(special.ndtr, q=q) == pytest.approx(gate, rel=1e-13)
    second = q * gate + q * q / (PI * (1 + q) * math.sqrt(1 + 2 * q))
    assert moments.moment("gelu", q=q) == pytest.approx(second, rel=2e-13)
    density = 1 / (2 * PI * math.sqrt(1 + 2 * q))
    slope = gate + 2 * q * density / (1 + q) + q * density / (1 + 2 * q)
    assert moments.moment("gelu", order=1, q=q) == pytest.approx(slope, rel=2e-13)


@pytest.mark.parametrize("q", [0.01, 1.0, 50.0])
def test_moment_erf_closed_form(q):
    # Williams 1998: E erf(z)^2 = (2 / pi) arcsin(2 q / (1 + 2 q))
    exact = 2 / PI * math.asin(2 * q / (1 + 2 * q))
    assert moments.moment(special.erf, q=q) == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize("q", [1e-8, 1.0, 7.5, 1e8])
def test_moment_relu_closed_forms(q):
    assert moments.moment("relu", 1, q=q) == pytest.approx(math.sqrt(q / (2 * PI)), rel=1e-13)
    assert moments.moment("relu", 2, q=q) == pytest.approx(q / 2, rel=1e-13)
    assert moments.moment("relu", 4, q=q) == pytest.approx(1.5 * q * q, rel=1e-13)
    assert moments.moment("relu", 2, order=1, q=q) == pytest.approx(0.5, rel=1e-13)
    assert moments.moment("leaky_relu", q=q, negative_slope=0.3) == pytest.approx(0.545 * q, rel=1e-13)


def test_moment_sees_the_kinks_that_gauss_hermite_misses():
    u, weights = np.polynomial.hermite_e.hermegauss(200)
    exact = mp_moment("hard_swish", 2, 1)
    rule = weights @ kernels.hard_swish_grad(u) ** 2 / math.sqrt(2 * PI)
    assert abs(rule - exact) > 1e-6
    assert abs(moments.moment("hard_swish", order=1) - exact) < 1e-13


def test_moment_symmetric_means():
    assert moments.moment("tanh", 1) == pytest.approx(0, abs=1e-15)
    assert moments.moment("sigmoid", 1, q=3.0) == pytest.approx(0.5, rel=1e-14)


@pytest.mark.parametrize("q", [1e-4, 0.3, 1.0, 25.0, 1e4])
@pytest.mark.parametrize("name", catalog.names())
def test_moment_stein_identity(name, q):
    # E z f(z) = q E f'(z): integration by parts ties f to f' without a second quadrature of either.
    kernel = getattr(kernels, name)
    kinks = [kink.where for kink in catalog.get(name).kinks]
    left = moments.moment(lambda z: z * kernel(z), 1, q=q, kinks=kinks)
    scale = moments.moment(lambda z: abs(z * kernel(z)), 1, q=q, kinks=kinks)
    assert left == pytest.approx(q * moments.moment(name, 1, order=1, q=q), abs=1e-12 * scale)


@pytest.mark.parametrize("name", SMOOTH)
def test_moment_stein_identity_second_derivative(name):
    grad = getattr(kernels, name + "_grad")
    left = moments.moment(lambda z: z * grad(z), 1)
    assert left == pytest.approx(moments.moment(name, 1, order=2), abs=1e-12)


@settings(deadline=None, max_examples=40)
@given(beta=st.floats(1e-3, 1e3), q=st.floats(1e-3, 1e3))
def test_moment_swish_scaling_law(beta, q):
    # f(z; beta) = f(beta z; 1) / beta
    scaled = moments.moment("silu", q=q * beta * beta) / beta**2
    assert moments.moment("swish", q=q, beta=beta) == pytest.approx(scaled, rel=2e-12)


def test_moment_of_narrow_feature_at_zero():
    assert moments.moment("swish", beta=1e6) == pytest.approx(0.5, rel=1e-9)
    assert moments.moment("swish", order=1, beta=1e6, q=4.0) == pytest.approx(0.5, abs=1e-5)


def test_moment_zero_variance_is_the_value_at_zero():
    assert moments.moment("sigmoid", 2, q=0) == 0.25
    assert moments.moment("gelu", 1, order=1, q=0) == 0.5


def test_moment_callable_finds_a_jump_that_is_not_named():
    def step(z):
        return np.where(z > math.sqrt(2), 1.0, 0.0)

    exact = math.erfc(1) / 2
    assert moments.moment(step, 1, kinks=[math.sqrt(2)]) == pytest.approx(exact, rel=1e-13)
    assert moments.moment(step, 1) == pytest.approx(exact, rel=1e-10)
    assert abs(quadrature.expect(step, 1.0) / exact - 1) > 1e-6  # the fixed rule does not find it


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"power": 0}, "power must be an integer of at least 1, got 0"),
        ({"power": 0.5}, "power must be an integer of at least 1, got 0.5"),
        ({"order": 3}, "order must be 0, 1 or 2, got 3"),
        ({"q": -1.0}, "q must be finite and at least 0, got -1.0"),
        ({"q": math.nan}, "q must be finite and at least 0, got nan"),
        ({"q": math.inf}, "q must be finite and at least 0, got inf"),
        ({"kinks": [1.0]}, "kinks are for callables"),
    ],
)
def test_moment_bad_input_is_named(given, message):
    with pytest.raises(ValueError, match=message):
        moments.moment("gelu", **given)


def test_moment_other_bad_input():
    with pytest.raises(ValueError, match="unknown activation 'gleu'"):
        moments.moment("gleu")
    with pytest.raises(TypeError, match="gelu takes no parameter 'beta'"):
        moments.moment("gelu", beta=1.0)
    with pytest.raises(ValueError, match="beta must be finite"):
        moments.moment("swish", beta=math.nan)
    with pytest.raises(ValueError, match="pass f' itself"):
        moments.moment(np.tanh, order=1)
    with pytest.raises(ValueError, match="pass f' itself, not beta="):
        moments.moment(np.tanh, beta=1.0)
    with pytest.raises(ValueError, match="f'' of 'hard_swish' has point masses"):
        moments.moment("h-swish", order=2)


def test_moment_alias_shares_the_cached_value():
    before = moments.expectation._moment.cache_info().misses
    assert moments.moment("silu", 3) == moments.moment("Swish-1", 3)
    assert moments.expectation._moment.cache_info().misses - before <= 1


@pytest.mark.parametrize("q", [0.5, 1.0, 9.0])
@pytest.mark.parametrize("name", catalog.names())
def test_forward_gain_keeps_the_variance(name, q):
    gain = moments.forward_gain(name, q)
    assert moments.variance_map(name, q, gain**2) == pytest.approx(q, rel=1e-14)


@pytest.mark.parametrize("name", catalog.names())
def test_backward_gain_keeps_the_gradient(name):
    assert moments.chi(name, 2.0, moments.backward_gain(name, 2.0) ** 2) == pytest.approx(1, rel=1e-14)


def test_gains_agree_with_simulation():
    z = np.random.default_rng(0).standard_normal(400_000)
    found = moments.gains("mish")
    f, slope = kernels.mish(z), kernels.mish_grad(z)
    for value, sample in ((found.mean, f), (found.second, f**2), (found.slope_second, slope**2)):
        assert abs(value - sample.mean()) < 5 * sample.std() / math.sqrt(z.size)
    assert found.variance == pytest.approx(f.var(), rel=0.01)
    assert found.forward == moments.forward_gain("mish")
    assert found.backward == moments.backward_gain("mish")


@pytest.mark.parametrize("name", ["silu", "gelu", "gelu_tanh", "mish", "tanh"])
@pytest.mark.parametrize("q", [0.1, 1.0, 10.0])
def test_edge_of_chaos_is_a_fixed_point_with_chi_one(name, q):
    sigma_w2, sigma_b2 = moments.edge_of_chaos(name, q)
    assert sigma_b2 > 0
    assert moments.variance_map(name, q, sigma_w2, sigma_b2) == pytest.approx(q, rel=1e-14)
    assert moments.chi(name, q, sigma_w2) == pytest.approx(1, rel=1e-14)


@pytest.mark.parametrize("q", [0.01, 1.0, 300.0])
def test_edge_of_chaos_relu_is_two_and_zero(q):
    sigma_w2, sigma_b2 = moments.edge_of_chaos("relu", q)
    assert sigma_w2 == pytest.approx(2, rel=1e-13)
    assert sigma_b2 == 0


def test_edge_of_chaos_gelu_closed_form():
    sigma_w2, sigma_b2 = moments.edge_of_chaos("gelu", 1.0)
    assert sigma_w2 == pytest.approx(1 / (1 / 3 + 2 / (3 * PI * math.sqrt(3))), rel=1e-13)
    assert sigma_b2 == pytest.approx(1 - sigma_w2 * (1 / 3 + 1 / (2 * PI * math.sqrt(3))), rel=1e-11)


def test_edge_of_chaos_absent_raises():
    with pytest.raises(ValueError, match="'softplus' has no edge of chaos at q = 1: sigma_b2 would be -"):
        moments.edge_of_chaos("softplus", 1.0)
    with pytest.raises(ValueError, match="'sigmoid' has no edge of chaos at q = 40"):
        moments.edge_of_chaos("sigmoid", 40.0)
    assert moments.edge_of_chaos("sigmoid", 50.0)[1] > 0


@pytest.mark.parametrize("call", [moments.forward_gain, moments.backward_gain, moments.edge_of_chaos])
@pytest.mark.parametrize("q", [0.0, -1.0, math.inf])
def test_gains_bad_variance_is_named(call, q):
    with pytest.raises(ValueError, match=f"q must be finite and positive, got {q!r}"):
        call("gelu", q)


def test_variance_map_bad_variance_is_named():
    with pytest.raises(ValueError, match=r"sigma_b2 must be finite and at least 0, got -0\.5"):
        moments.variance_map("gelu", 1.0, 2.0, -0.5)
    with pytest.raises(ValueError, match=r"sigma_w2 must be finite and at least 0, got -2\.0"):
        moments.chi("gelu", 1.0, -2.0)


def bound_holds(found, exact):
    return abs(found.value - exact) <= found.error


@pytest.mark.parametrize("seed", range(4))
def test_estimate_error_covers_jumps_anywhere(seed):
    rng = np.random.default_rng(seed)
    for i in range(60):
        at = rng.normal() * 1.5
        if i % 3 == 0:  # next to the end of a panel
            at = round(at * 64) / 64 + rng.choice([0, 1e-13, -1e-9, 1e-5])
        tol = 10 ** rng.uniform(-12, -4)
        found = moments.estimate(lambda z, at=at: z > at, 1, tol=tol)
        exact = math.erfc(at / math.sqrt(2)) / 2
        assert bound_holds(found, exact), (at, tol, found)
        assert found.error <= tol * found.value


@pytest.mark.parametrize("seed", range(4))
def test_estimate_error_covers_kinks_and_narrow_features(seed):
    rng = np.random.default_rng(seed)
    for at, width in zip(rng.normal(size=20), 10 ** rng.uniform(-2.5, 0, size=20), strict=True):
        found = moments.estimate(lambda z, at=at: np.abs(z - at), 1)
        exact = 2 * math.exp(-at * at / 2) / math.sqrt(2 * PI) + at * math.erf(at / math.sqrt(2))
        assert bound_holds(found, exact), at
        bump = moments.estimate(lambda z, at=at, w=width: np.exp(-(((z - at) / w) ** 2) / 2), 1)
        wide = 1 + width * width
        exact = width / math.sqrt(wide) * math.exp(-at * at / (2 * wide))
        assert bound_holds(bump, exact), (at, width)
        box = moments.estimate(lambda z, at=at, w=width: (z > at) & (z < at + w), 1)
        assert bound_holds(box, special.ndtr(at + width) - special.ndtr(at)), (at, width)


@pytest.mark.parametrize("q", [1e-4, 1.0, 1e4])
def test_estimate_against_mpmath(q):
    def soft(z):  # kinks at +-0.7 that are not named
        return np.sign(z) * np.maximum(np.abs(z) - 0.7, 0) + np.arctan(3 * z)

    with mp.workdps(20):
        scale = mp.sqrt(q)
        ends = sorted({0, 1, 3, 8, 14, *(mp.mpf("0.7") / scale * k for k in (0.1, 1, 3) if q > 0.1)})

        def term(u):
            z = scale * u
            return 2 * mpmath.npdf(u) * (mp.sign(z) * max(abs(z) - mp.mpf("0.7"), 0) + mp.atan(3 * z)) ** 2

        exact = mpmath.quad(term, ends)
        found = moments.estimate(soft, q=q)
        assert abs(found.value - exact) <= found.error <= 1e-10 * exact


@pytest.mark.parametrize("name", catalog.names())
def test_estimate_agrees_with_moment_of_names(name):
    kernel = getattr(kernels, name)
    for q in (0.1, 30.0):
        found = moments.estimate(kernel, q=q)
        assert bound_holds(found, moments.moment(name, q=q))
        assert found.error <= 1e-10 * found.value


def test_estimate_special_cases():
    assert moments.estimate(lambda z: 3.0, 1).value == pytest.approx(3, rel=1e-14)
    assert moments.estimate(np.cos, 3, q=0).value == pytest.approx(1, rel=1e-15)
    assert moments.estimate(lambda z: 0 * z) == (0.0, 0.0)
    odd = moments.estimate(np.tanh, 1)
    assert abs(odd.value) <= odd.error < 1e-12


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (lambda z: np.random.default_rng(0).normal(size=z.shape), "the error is only known to be below"),
        (
            lambda z: np.tanh(z).astype(np.float32),
            r"above tol = 1e-10, after \d+ evaluations; name the kinks",
        ),
        (lambda z: np.sin(1 / (z - 0.01)), "the error is only known to be below"),
        (lambda z: np.exp(z * z / 3), r"E f\(z\)\^2 at q = 1: the integrand has not died out at 14 standard"),
    ],
)
def test_estimate_fails_loudly(f, message):
    with pytest.raises(ArithmeticError, match=message):
        moments.estimate(f)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: moments.estimate(np.tanh, 0), "power must be an integer of at least 1, got 0"),
        (lambda: moments.estimate(np.tanh, tol=1e-15), "tol must be at least 1e-13 and below 1, got 1e-15"),
        (lambda: moments.estimate(np.tanh, q=-1), r"q must be finite and at least 0, got -1\.0"),
        (
            lambda: moments.estimate(lambda z: np.where(z > 1, np.inf, z)),
            "f is not finite at z = 1.*, got inf",
        ),
        (lambda: moments.estimate(lambda z: np.exp(50 * z)), r"E f\(z\)\^2 at q = 1 overflows at z = 7"),
        (lambda: moments.chi(np.tanh, 1.0, 1.0), "a callable needs its slope here: pass slope="),
        (
            lambda: moments.chi("tanh", 1.0, 1.0, slope=np.cosh),
            "slope= is for callables; that of 'tanh' is known",
        ),
        (lambda: moments.estimate(lambda z: z + 1j), r"to real numbers of its shape .*, not to complex128"),
        (lambda: moments.estimate(lambda z: z[:3]), r"real numbers of its shape .* float64 of shape \(3,\)"),
        (lambda: moments.estimate(np.tanh, kinks=[math.nan]), "kinks must be finite, got"),
        (lambda: moments.forward_gain(lambda z: 0 * z), r"E f\^2 must be finite and positive, got 0\.0"),
    ],
)
def test_moments_other_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_callable_with_its_slope_equals_the_name():
    def f(z):
        return np.clip(z, 0, 6)

    def slope(z):
        return (z > 0) & (z < 6)

    pair = {"slope": slope, "kinks": (0, 6)}
    assert moments.backward_gain(f, 2.0, **pair) == pytest.approx(
        moments.backward_gain("relu6", 2.0), rel=1e-13
    )
    assert moments.chi(f, 20.0, 1.5, slope=slope) == pytest.approx(moments.chi("relu6", 20.0, 1.5), rel=1e-10)
    found, known = moments.gains(f, **pair), moments.gains("relu6")
    assert found.forward == pytest.approx(known.forward, rel=1e-13)
    assert found.slope_second == pytest.approx(known.slope_second, rel=1e-13)
    ours = moments.propagate(f, 5, 2.0, q0=9.0, **pair)
    assert ours.chi == pytest.approx(moments.propagate("relu6", 5, 2.0, q0=9.0).chi, rel=1e-12)


@pytest.mark.parametrize("name", [n for n in catalog.names() if n not in ("identity", "relu", "leaky_relu")])
def test_fixed_points_own_gain_keeps_one_and_slope_is_that_of_the_map(name):
    sigma_w2 = moments.forward_gain(name) ** 2
    point = next(p for p in moments.fixed_points(name, sigma_w2) if abs(p.q - 1) < 1e-6)
    # E z f f' / q is the slope of E f^2 in q: an independent integral.
    kernel, grad = getattr(kernels, name), getattr(kernels, name + "_grad")
    kinks = [kink.where for kink in catalog.get(name).kinks]
    weak = moments.moment(lambda z: z * kernel(z) * grad(z), 1, kinks=kinks)
    assert point.slope == pytest.approx(sigma_w2 * weak, rel=1e-7)
    assert point.stable == (sigma_w2 * weak < 1)


@pytest.mark.parametrize("name", ["silu", "gelu", "mish", "hard_swish"])
def test_fixed_points_unstable_ones_repel_and_stable_ones_attract(name):
    sigma_w2 = moments.forward_gain(name) ** 2
    zero, one = moments.fixed_points(name, sigma_w2)
    assert (zero.q, zero.stable, one.stable) == (0.0, True, False)
    for start, way in ((0.99, -1), (1.01, 1)):
        q = moments.propagate(name, 30, sigma_w2, q0=start / sigma_w2).q
        assert (way * np.diff(q) > 0).all()
    assert moments.q_star(name, sigma_w2) == 0


def test_fixed_points_with_bias_side_by_side():
    sigma_w2, sigma_b2 = moments.edge_of_chaos("silu", 1.0)
    low, one = moments.fixed_points("silu", sigma_w2, sigma_b2)
    assert (low.stable, one.stable) == (True, False)
    assert one.q == pytest.approx(1, rel=1e-12)
    assert moments.variance_map("silu", low.q, sigma_w2, sigma_b2) == pytest.approx(low.q, rel=1e-13)
    for start in (1e-6, 0.9):
        q = moments.propagate("silu", 400, sigma_w2, sigma_b2=sigma_b2, q0=start / 3).q
        assert q[-1] == pytest.approx(low.q, rel=1e-9)


def test_fixed_points_nearly_touching_pair_is_found():
    # sigma_b2 just below the largest that leaves silu a fixed point: the two differ by less than a grid step.
    sigma_w2 = 2.7
    most = -optimize.minimize_scalar(
        lambda q: moments.variance_map("silu", q, sigma_w2) - q, bounds=(0.05, 3), method="bounded"
    ).fun
    low, high = moments.fixed_points("silu", sigma_w2, most * (1 - 1e-5))
    assert (low.stable, high.stable) == (True, False)
    assert high.q / low.q < 1.03
    assert moments.fixed_points("silu", sigma_w2, most * (1 + 1e-5)) == ()


def test_fixed_points_marginal_zero_is_judged_where_the_map_leaves_it():
    # 2 E relu6^2 < q at every q, but to double precision only from about 0.5 on.
    (zero,) = moments.fixed_points("relu6", 2.0)
    assert zero.slope == pytest.approx(1, abs=1e-12)
    assert zero.stable
    assert moments.q_star("relu6", 2.0) == 0


def test_fixed_points_of_relu_are_all_or_one():
    with pytest.raises(ValueError, match="every q is a fixed point of 'relu' at sigma_w2 = 2, sigma_b2 = 0"):
        moments.fixed_points("relu", 2.0)
    (point,) = moments.fixed_points("relu", 1.0, 0.1)
    assert point.q == pytest.approx(0.2, rel=1e-12)
    assert point.slope == pytest.approx(0.5, rel=1e-8)


def test_q_star_none_or_several_is_an_error():
    with pytest.raises(ValueError, match=r"has 0 stable fixed points \(unstable ones 0\)"):
        moments.q_star("relu", 2.5)
    with pytest.raises(ValueError, match=r"has 0 stable fixed points \(unstable ones none\)"):
        moments.q_star("softplus", 2.0)
    assert moments.q_star("tanh", 1.0) == 0  # marginal: deviations die, but slower than geometrically


def test_propagate_follows_the_maps():
    found = moments.propagate("mish", 7, 1.9, q0=0.7, sigma_b2=0.05)
    assert found.q[0] == 1.9 * 0.7 + 0.05
    for here, after in pairwise(found.q):
        assert after == moments.variance_map("mish", here, 1.9, 0.05)
    assert found.rate**12 == pytest.approx(
        math.prod(moments.chi("mish", q, 1.9) for q in found.q[:6]), rel=1e-12
    )


def test_propagate_relu_rate_is_exact_and_dead_signal_is_zero():
    assert moments.propagate("relu", 50, 2.0, q0=3.0).rate == pytest.approx(1, rel=1e-13)
    assert moments.propagate("relu6", 4, 0.0, q0=1.0).rate == 0
    assert math.isnan(moments.propagate("relu", 1, 2.0, q0=3.0).rate)
    with pytest.raises(ValueError, match="depth must be an integer of at least 1, got 0"):
        moments.propagate("relu", 0, 2.0, q0=3.0)


@pytest.mark.parametrize("gap", [2.0, 1.5, 0.5, 1e-2, 1e-4])
def test_correlation_gap_relu_is_the_arc_cosine_kernel(gap):
    # Cho and Saul 2009, degree 1, in 40 digits because 1 - c cancels.
    with mp.workdps(40):
        angle = mp.acos(1 - mp.mpf(gap))
        exact = 1 - (mp.sin(angle) + (mp.pi - angle) * mp.cos(angle)) / mp.pi
    assert moments.correlation_gap("relu", gap, 3.0, 2.0) == pytest.approx(float(exact), rel=1e-10)


@pytest.mark.parametrize("gap", [2.0, 0.7, 1e-3, 1e-9])
def test_correlation_gap_erf_is_the_arcsine_kernel(gap):
    with mp.workdps(40):
        top = mp.mpf(2) / 3
        exact = 2 / mp.pi * (mp.asin(top) - mp.asin(top * (1 - mp.mpf(gap))))
    assert moments.correlation_gap(special.erf, gap, 1.0, 1.0) == pytest.approx(float(exact), rel=1e-8)


@pytest.mark.parametrize("name", ["silu", "gelu", "tanh", "hard_swish", "relu6"])
def test_correlation_gap_starts_with_slope_chi(name):
    q, gap = 1.3, 1e-10
    expected = moments.chi(name, q, 1.7) * gap
    assert moments.correlation_gap(name, gap, q, 1.7) == pytest.approx(expected, rel=1e-4)


def test_correlation_gap_bad_input_is_named():
    with pytest.raises(ValueError, match=r"gap must be at most 2, got 2\.5"):
        moments.correlation_gap("relu", 2.5, 1.0, 2.0)
    assert moments.correlation_gap("relu", 0.0, 1.0, 2.0) == 0
