import math

import mpmath
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp

from selfgated import catalog, kernels, moments, symbolic

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
    breaks = [kink.where for kink in catalog.get(name).kinks]
    left = moments.moment(lambda z: z * kernel(z), 1, q=q, breaks=breaks)
    scale = moments.moment(lambda z: abs(z * kernel(z)), 1, q=q, breaks=breaks)
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


def test_moment_callable_needs_its_breaks():
    def step(z):
        return np.where(z > math.sqrt(2), 1.0, 0.0)

    exact = math.erfc(1) / 2
    assert moments.moment(step, 1, breaks=[math.sqrt(2)]) == pytest.approx(exact, rel=1e-13)
    assert abs(moments.moment(step, 1) / exact - 1) > 1e-6


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"power": 0}, "power must be an integer of at least 1, got 0"),
        ({"power": 0.5}, "power must be an integer of at least 1, got 0.5"),
        ({"order": 3}, "order must be 0, 1 or 2, got 3"),
        ({"q": -1.0}, "q must be finite and at least 0, got -1.0"),
        ({"q": math.nan}, "q must be finite and at least 0, got nan"),
        ({"q": math.inf}, "q must be finite and at least 0, got inf"),
        ({"breaks": [1.0]}, "breaks are for callables"),
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
    with pytest.raises(ValueError, match="f'' of 'hard_swish' has point masses"):
        moments.moment("h-swish", order=2)


def test_moment_alias_shares_the_cached_value():
    before = moments._moment.cache_info().misses
    assert moments.moment("silu", 3) == moments.moment("Swish-1", 3)
    assert moments._moment.cache_info().misses - before <= 1


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
