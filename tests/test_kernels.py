"""The NumPy kernels against mpmath, at every type, in every region where formulas break."""

import math
import runpy
from pathlib import Path

import ml_dtypes
import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfgated import kernels, symbolic, ulp

SUFFIX = ("", "_grad", "_grad2")
SMOOTH = ("sigmoid", "tanh", "softplus", "silu", "gelu", "gelu_tanh", "gelu_sigmoid", "mish")
KINKED = ("identity", "relu", "relu6", "leaky_relu", "elu", "hard_sigmoid", "hard_swish")
BETAS = (0.0, 0.1, 0.5, 1.0, 1.702, 10.0, 1000.0)
LIMIT64 = (8, 8, 13)
HALVES = (np.float16, ml_dtypes.bfloat16)
STRIDE = 509  # of the 2^32 bit patterns: 8.4 million values
MAX = np.finfo(np.float64).max


def kernel(name, order):
    return getattr(kernels, name + SUFFIX[order])


def zeros(name, order):
    """Where f' (order 1) or f'' (order 2) of a smooth function vanishes."""
    return [float(e.where_digits) for e in symbolic.extrema(name, order - 1)] if order else []


def neighbours(at, dtype, count):
    """The 2 count + 1 adjacent numbers of a type around a point; -0 and 0 count as one."""
    integer = {2: np.int16, 4: np.int32, 8: np.int64}[np.dtype(dtype).itemsize]
    at = np.asarray(at, dtype).reshape(1)
    place = np.copysign(1, at).astype(integer) * np.abs(at).view(integer)
    place = place + np.arange(-count, count + 1, dtype=integer)
    return np.copysign(np.abs(place).view(dtype), np.sign(place).astype(dtype))


def all_halves(dtype):
    z = np.arange(65536, dtype=np.uint16).view(dtype)
    with np.errstate(invalid="ignore"):  # signalling NaNs
        return z[~np.isnan(z.astype(np.float64))]


def float32_sample(zeros, stride=STRIDE):
    z = np.arange(0, 2**32, stride, dtype=np.uint64).astype(np.uint32).view(np.float32)
    edges = np.float32([0.0, -0.0, np.inf, -np.inf, np.finfo(np.float32).max, np.finfo(np.float32).min])
    near = [neighbours(at, np.float32, 1000) for at in zeros]
    tail = neighbours(-103.9, np.float32, 2000)
    return np.concatenate([z[~np.isnan(z)], edges, tail, -tail, *near])


def float64_sample(zeros, scale=1.0):
    """Values of scale z in every region, divided by scale, and neighbours of the zeros themselves."""
    rng = np.random.default_rng(0)
    parts = [
        rng.uniform(-40, 40, 300),
        rng.uniform(-3, 3, 200),
        rng.uniform(-760, -690, 100),
        rng.uniform(690, 760, 20),
        rng.uniform(-39, -36, 60),
        10.0 ** rng.uniform(-320, 308, 100) * rng.choice([-1, 1], 100),
        10.0 ** rng.uniform(-18, 2, 200) * rng.choice([-1, 1], 200),
        np.array([5e-324, -5e-324, MAX, -MAX, 1.0, -1.0]),
        *(at * (1 + 10.0 ** rng.uniform(-15, -1, 40) * rng.choice([-1, 1], 40)) for at in zeros),
    ]
    with np.errstate(over="ignore"):
        z = np.concatenate(
            [np.concatenate(parts) / scale, *(neighbours(at / scale, np.float64, 20) for at in zeros)]
        )
    return z[np.isfinite(z)]


def worst(got, approximate, name, order, z, limit=0.5, **params):
    """Largest error in ULP; what lies near the limit or above it is decided by mpmath."""
    error = ulp.error(got, approximate)
    close = np.flatnonzero((error > limit - 1e-6) & np.isfinite(z.astype(np.float64)))
    assert len(close) < 50_000
    exact = ulp.exact(name, order, z[close], **params)
    error[close] = ulp.error_exact(got[close], exact, got.dtype.name)
    return error.max()


def pieces(name, order, z):
    """Kinked functions in float64, by the textbook."""
    one, inside = np.ones_like(z), np.abs(z) < 3
    with np.errstate(all="ignore"):
        table = {
            "identity": (z, one, 0 * one),
            "relu": (np.maximum(z, 0), (z > 0) * one, 0 * one),
            "relu6": (np.clip(z, 0, 6), ((z > 0) & (z < 6)) * one, 0 * one),
            "leaky_relu": (np.where(z > 0, z, 0.01 * z), np.where(z > 0, 1, 0.01), 0 * one),
            "elu": (
                np.where(z > 0, z, np.tanh(np.minimum(z, 0) / 2) * (np.exp(np.minimum(z, 0)) + 1)),
                np.exp(np.minimum(z, 0)),
                np.where(z < 0, np.exp(z), 0),
            ),
            "hard_sigmoid": (np.clip(z / 6 + 0.5, 0, 1), inside / 6, 0 * one),
            "hard_swish": (
                np.where(inside, (z * z + 3 * z) / 6, np.maximum(z, 0)),
                np.where(inside, (z + 1.5) / 3, z >= 3),
                inside / 3,
            ),
        }
    return table[name][order]


@pytest.mark.parametrize("order", range(3))
@pytest.mark.parametrize("name", SMOOTH)
def test_smooth_kernel_correctly_rounded_in_float16_bfloat16_float32(name, order):
    fn, reference = kernel(name, order), ulp.reference(name, order)
    for dtype in HALVES:
        z = all_halves(dtype)
        assert worst(fn(z), reference(z.astype(np.float64)), name, order, z) <= 0.5
    z = float32_sample(zeros(name, order))
    assert len(z) > 8_000_000
    assert worst(fn(z), reference(z), name, order, z, 0.51) <= 0.51


@pytest.mark.parametrize("order", range(3))
@pytest.mark.parametrize("name", KINKED)
def test_kinked_kernel_correctly_rounded_in_float16_bfloat16_float32(name, order):
    fn = kernel(name, order)
    for dtype in HALVES:
        z = all_halves(dtype)
        got, near = fn(z), pieces(name, order, z.astype(np.float64))
        error = ulp.error(got, near)
        for i in np.flatnonzero(error > 0.5 - 1e-6):
            exact = symbolic.evaluate(name, order, float(z[i]), **leak(name))
            assert ulp.error_exact([got[i]], [exact], np.dtype(dtype).name) <= 0.5
    z = float32_sample([-3, -1.5, 0, 3, 6], STRIDE)
    got, near = fn(z), pieces(name, order, z.astype(np.float64))
    error = ulp.error(got, near)
    assert error[np.abs(z + 1.5) > 1e-3].max() <= 0.51
    assert worst(got, near, name, order, z, 0.51, **leak(name)) <= 0.51


def leak(name):
    """The kernels take the float 0.01; SymPy's default is 1/100."""
    return {"negative_slope": 0.01} if name == "leaky_relu" else {}


@pytest.mark.parametrize("order", range(3))
@pytest.mark.parametrize("name", SMOOTH + KINKED)
def test_kernel_float64_within_limit(name, order):
    z = float64_sample(zeros(name, order) if name in SMOOTH else [-3, -1.5, 3])
    error = ulp.error_exact(kernel(name, order)(z), ulp.exact(name, order, z, **leak(name)))
    assert error.max() <= LIMIT64[order], f"{error.max()} ULP at {z[error.argmax()]!r}"


def scaled(beta, z):
    """beta z as the sum of two float64, exactly, for float32 z."""
    high = float(np.float32(beta))
    low = beta - high
    with np.errstate(all="ignore"):
        p, q = z * high, z * low
        hi = p + q
        lo = np.where(np.isfinite(hi), q - (hi - p), 0.0)
    return np.clip(hi, -1e300, 1e300), lo


@pytest.mark.parametrize("order", range(3))
@pytest.mark.parametrize("beta", BETAS)
def test_swish_correctly_rounded_for_every_beta(beta, order):
    fn, reference = kernel("swish", order), ulp.reference("silu", order)
    at = [zero / beta for zero in zeros("silu", order)] if beta else []
    for dtype, limit in ((np.float16, 0.5), (ml_dtypes.bfloat16, 0.5), (np.float32, 0.51)):
        z = float32_sample(at, 4 * STRIDE) if dtype is np.float32 else all_halves(dtype)
        wide = z.astype(np.float64)
        with np.errstate(all="ignore"):
            if beta:
                exact = reference(*scaled(beta, wide)) * (1 / beta, 1, beta)[order]
                exact = np.where(beta * wide > 100, (wide, 1.0, exact)[order], exact)
            else:
                exact = (wide / 2, np.full_like(wide, 0.5), np.zeros_like(wide))[order]
        got = fn(z, beta)
        finite = np.isfinite(wide)
        assert worst(got[finite], exact[finite], "swish", order, z[finite], limit, beta=beta) <= limit


@pytest.mark.parametrize("beta", BETAS)
def test_swish_beta_grad_correctly_rounded(beta):
    reference = ulp.reference("sigmoid", 1)
    for dtype, limit in ((np.float16, 0.5), (ml_dtypes.bfloat16, 0.5), (np.float32, 0.51)):
        z = float32_sample([], 4 * STRIDE) if dtype is np.float32 else all_halves(dtype)
        wide = z.astype(np.float64)
        wide = wide[np.isfinite(wide)]
        with np.errstate(all="ignore"):
            slope = reference(*scaled(beta, wide))
            # Far out sigma'(a) is exp(-abs(a)), and z^2 lifts it into the range of the type again.
            slope = np.where(np.abs(beta * wide) > 100, np.exp(-np.abs(beta * wide)), slope)
            exact = slope * wide * wide
        z = z[np.isfinite(z.astype(np.float64))]
        got = kernels.swish_beta_grad(z, beta)
        error = ulp.error(got, exact)
        top = 65_519 if dtype is np.float16 else 3e38
        for i in np.flatnonzero((error > limit - 1e-6) & (exact < top)):
            error[i] = ulp.error_exact([got[i]], [beta_grad(wide[i], beta)], got.dtype.name)[0]
        assert error.max() <= limit


def beta_grad(z, beta):
    """z^2 sigma'(beta z), exactly."""
    with mpmath.workdps(60):
        z = mpmath.mpf(float(z))
        return z**2 * symbolic.evaluate("sigmoid", 1, mpmath.mpf(beta) * z, digits=55)


@pytest.mark.parametrize("order", range(3))
@pytest.mark.parametrize("beta", [*BETAS, -1.5, 1e-300, 5e-324, 1e300, MAX])
def test_swish_float64_within_limit(beta, order):
    at = zeros("silu", order)
    z = float64_sample(at, beta) if beta else float64_sample([])
    z = np.concatenate([z, -z, [0.3, -0.3, MAX, -MAX, 5e-324]])
    with np.errstate(over="ignore"):
        z = z[np.abs(beta * z) < 1e300]
    exact = ulp.exact("swish", order, z, beta=beta)
    keep = np.array([abs(e) < MAX for e in exact])
    error = ulp.error_exact(kernel("swish", order)(z, beta)[keep], [e for e in exact if abs(e) < MAX])
    assert error.max() <= LIMIT64[order], f"{error.max()} ULP at {z[keep][error.argmax()]!r}"


@pytest.mark.parametrize("beta", [0.5, 1.0, 1000.0, 1e-200])
def test_swish_beta_grad_float64_within_limit(beta):
    z = float64_sample([], beta)
    z = z[np.abs(beta * z) < 3000]
    exact = [beta_grad(t, beta) for t in z]
    keep = np.array([0 <= e < MAX for e in exact])
    error = ulp.error_exact(kernels.swish_beta_grad(z, beta)[keep], [e for e in exact if e < MAX])
    assert error.max() <= 8


def test_swish_zero_has_the_sign_of_its_input():
    z = np.array([1e4, np.inf, -1e4, -np.inf])
    assert list(np.signbit(kernels.swish(z[:2], -3.0))) == [False, False]
    assert list(np.signbit(kernels.swish(z[2:], 3.0))) == [True, True]


def test_leaky_relu_without_slope_is_relu():
    got = kernels.leaky_relu(np.array([-np.inf, -1.0, -0.0, 0.0, 2.0, np.nan]), 0.0)
    np.testing.assert_array_equal(got, [0, 0, 0, 0, 2, np.nan])
    assert list(np.signbit(got[:4])) == [True, True, True, False]


def test_parameter_beyond_float64_is_named():
    with pytest.raises(ValueError, match="beta must fit into a float64"):
        kernels.swish(1.0, 10**400)


def test_swish_negative_beta_mirrors():
    z = all_halves(np.float16).astype(np.float64)
    z = z[np.isfinite(z)]
    gap = np.abs(kernels.swish(z, -0.7) - (z - kernels.swish(z, 0.7)))
    assert (gap <= 1e-15 * np.abs(z)).all()
    np.testing.assert_array_equal(kernels.swish(z, 1.0), kernels.silu(z))


@pytest.mark.parametrize("order", range(2))
@pytest.mark.parametrize("name", SMOOTH)
def test_kernel_never_steps_against_monotone_direction(name, order):
    """Between two adjacent numbers the rounded function may stay, never turn back."""
    turns = sorted(float(e.where_digits) for e in symbolic.extrema(name, order))
    rng = np.random.default_rng(1)
    places = [*turns, -88.0, -13.0, -5.5, -0.01, 0.01, 5.0, 17.0]
    windows = [neighbours(t, np.float32, 200_000) for t in places]
    windows += [neighbours(t, np.float32, 20_000) for t in rng.uniform(-20, 20, 40)]
    windows.append(np.sort(all_halves(np.float16)))
    for z in windows:
        z = np.sort(z)
        step = np.diff(kernel(name, order)(z).astype(np.float64))
        middle = (z[:-1].astype(np.float64) + z[1:]) / 2
        rising = kernel(name, order + 1)(middle[np.isfinite(middle)]) > 0
        step = step[np.isfinite(middle)]
        turning = np.isin(np.searchsorted(turns, z[:-1]), np.searchsorted(turns, z[1:]))[np.isfinite(middle)]
        assert not (step[rising & turning] < 0).any()
        assert not (step[~rising & turning] > 0).any()


@pytest.mark.parametrize("order", range(2))
@pytest.mark.parametrize("name", SMOOTH)
def test_kernel_float64_has_no_wrong_step_above_the_limit(name, order):
    rng = np.random.default_rng(2)
    for t in [*zeros(name, order + 1), *rng.uniform(-30, 30, 30)]:
        z = np.sort(neighbours(t, np.float64, 300))
        y = kernel(name, order)(z)
        rising = kernel(name, order + 1)(z[:-1]) > 0
        wrong = np.where(rising, -1, 1) * np.diff(y) / ulp.spacing(y[:-1], "float64")
        assert wrong.max() <= LIMIT64[order]


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
@pytest.mark.parametrize("name", kernels.__all__)
def test_kernel_at_nan_infinities_and_zeros(name, dtype):
    fn = getattr(kernels, name)
    z = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0]).astype(dtype)
    with np.errstate(all="raise"):
        got = fn(z).astype(np.float64)
    assert got.dtype == np.float64
    assert math.isnan(got[0])
    if name == "swish_beta_grad":
        np.testing.assert_array_equal(got[1:], [0, 0, 0, 0])
        return
    order = 2 if name.endswith("_grad2") else int(name.endswith("_grad"))
    base = name.removesuffix(SUFFIX[order]) if order else name
    params = {"beta": 1} if base == "swish" else leak(base)
    ends = [float(symbolic.evaluate(base, order, at, **params)) for at in (math.inf, -math.inf, 0)]
    want = np.array(ends).astype(dtype).astype(np.float64)
    np.testing.assert_array_equal(got[1:3], want[:2])
    assert ulp.error(got[3], want[2], "float64") <= (2 if dtype is np.float64 else 0)
    np.testing.assert_array_equal(got[4], got[3])


SIGNED = ("identity", "tanh", "silu", "gelu", "gelu_tanh", "mish", "hard_swish", "leaky_relu", "elu")


@pytest.mark.parametrize("name", SIGNED)
def test_kernel_keeps_the_sign_of_zero(name):
    got = getattr(kernels, name)(np.array([0.0, -0.0]))
    assert list(np.signbit(got)) == [False, True]


@pytest.mark.parametrize("name", ["silu", "gelu", "gelu_tanh", "gelu_sigmoid", "mish"])
def test_kernel_zero_in_the_left_tail_is_negative(name):
    for order in range(3):
        assert np.signbit(kernel(name, order)(np.float32([-1e4, -np.inf]))).all()
    assert np.signbit(kernel(name, 2)(np.float32([1e4, np.inf]))).all()


@pytest.mark.parametrize("name", ["silu", "gelu", "gelu_tanh", "gelu_sigmoid", "hard_swish"])
def test_ties_of_tiny_inputs_are_decided_for_narrow_types_only(name):
    """z / 2 + a z^2: float64 keeps z / 2, its nearest number; a subnormal bfloat16 tie goes up."""
    z = np.array([1e-20, 2.0**-70, 3e-300, -3e-300])
    np.testing.assert_array_equal(kernel(name, 0)(z), z / 2)
    tie = np.arange(1, 128, 2, dtype=np.uint16).view(ml_dtypes.bfloat16)
    unit = 2.0**-133
    np.testing.assert_array_equal(
        kernel(name, 0)(tie).astype(np.float64), np.ceil(tie.astype(np.float64) / 2 / unit) * unit
    )
    np.testing.assert_array_equal(
        kernel(name, 0)(-tie).astype(np.float64), -np.floor(tie.astype(np.float64) / 2 / unit) * unit
    )


def test_odd_second_derivative_at_zero_has_the_sign_of_its_limit():
    for fn in (kernels.sigmoid_grad2, kernels.tanh_grad2):
        assert list(np.signbit(fn(np.array([0.0, -0.0])))) == [True, False]


@pytest.mark.parametrize("name", kernels.__all__)
def test_kernel_shapes_dtypes_and_out(name):
    fn = getattr(kernels, name)
    z = np.linspace(-5, 5, 24).reshape(2, 3, 4)
    want = np.array([fn(v) for v in z.flat]).reshape(z.shape)
    for view in (slice(None), np.s_[::-1, ::2], np.s_[:0], np.s_[:, 1:, ::3]):
        np.testing.assert_array_equal(fn(z[view]), want[view])
    np.testing.assert_array_equal(fn(z.T), want.T)
    np.testing.assert_array_equal(fn(np.asfortranarray(z)), want)
    frozen = z.copy()
    frozen.flags.writeable = False
    np.testing.assert_array_equal(fn(frozen), want)
    for dtype in (np.float16, np.float32, np.float64, ml_dtypes.bfloat16):
        assert fn(z.astype(dtype)).dtype == dtype
        assert fn(dtype(1)).dtype == dtype
        assert np.ndim(fn(dtype(1))) == 0
    np.testing.assert_array_equal(fn(np.arange(-3, 4)), fn(np.arange(-3.0, 4)))
    np.testing.assert_array_equal(fn([True, False]), fn([1.0, 0.0]))
    np.testing.assert_array_equal(fn(z.astype(">f8")), want)
    out = np.empty_like(z)
    assert fn(z, out=out) is out
    np.testing.assert_array_equal(out, want)
    same = z.copy()
    assert fn(same, out=same) is same
    np.testing.assert_array_equal(same, want)


def test_kernel_out_that_overlaps_its_input():
    base = np.linspace(-5, 5, 30_000)
    want = kernels.gelu(base[:-1])
    kernels.gelu(base[:-1], out=base[1:])
    np.testing.assert_array_equal(base[1:], want)


@pytest.mark.parametrize("name", ["silu", "gelu_grad", "relu_grad2", "swish_beta_grad"])
@pytest.mark.parametrize("bad", [1j, np.array([None]), "1.0", np.longdouble(1), np.array(["2020"], "M8[Y]")])
def test_kernel_rejects_types_that_are_not_real_floats(name, bad):
    with pytest.raises(TypeError, match=r"no kernel for dtype .*; choose from"):
        getattr(kernels, name)(bad)


def test_kernel_rejects_a_wrong_out():
    z = np.zeros(3, np.float32)
    frozen = np.zeros(3, np.float32)
    frozen.flags.writeable = False
    with pytest.raises(TypeError, match="out has dtype float64, the result has float32"):
        kernels.silu(z, out=np.zeros(3))
    with pytest.raises(TypeError, match="ndarray, not list"):
        kernels.silu(z, out=[0, 0, 0])
    with pytest.raises(ValueError, match=r"out has shape \(2,\), the result has \(3,\)"):
        kernels.silu(z, out=np.zeros(2, np.float32))
    with pytest.raises(ValueError, match="read-only"):
        kernels.silu(z, out=frozen)


@given(st.sampled_from([math.nan, math.inf, -math.inf]))
def test_parameter_that_is_not_finite_is_named(bad):
    for fn, word in ((kernels.swish, "beta"), (kernels.swish_beta_grad, "beta"), (kernels.elu, "alpha")):
        with pytest.raises(ValueError, match=f"{word} must be finite, not {bad!r}"):
            fn(1.0, bad)


@given(st.one_of(st.text(), st.none(), st.booleans(), st.complex_numbers(), st.lists(st.floats())))
def test_parameter_that_is_not_a_number_is_named(bad):
    with pytest.raises(TypeError, match="beta must be a real number, not"):
        kernels.swish(1.0, bad)


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False))
def test_swish_stays_between_its_bounds_for_any_beta(beta, z):
    """0 <= gate <= 1, so f lies between 0 and z."""
    f = float(kernels.swish(z, beta))
    assert min(0.0, z) <= f <= max(0.0, z)


def test_constants_are_what_the_tool_computes():
    tool = runpy.run_path(str(Path(__file__).parents[1] / "tools/kernel_constants.py"))
    assert tool["TARGET"].read_text() == tool["render"]()
