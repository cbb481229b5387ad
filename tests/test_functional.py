"""torch functions against the NumPy kernels (which mpmath checks) and against mpmath directly."""

import ml_dtypes
import mpmath
import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from selfgated import catalog, functional, kernels, symbolic, ulp

NAMES = catalog.names()
SUFFIXES = ("", "_grad", "_grad2")
EXTREMES = [0.0, -0.0, np.inf, -np.inf, np.nan, 3.4e38, -3.4e38, 1e-45, -1e-45, 1.2e-38, -1.2e-38]
BETAS = [0.0, 0.1, 1.702, 10.0, 1000.0, -0.5]


@pytest.fixture(scope="module")
def sample():
    """200,000 float32: the centre, every exponent, the tails, neighbours of zeros, kinks and the extremes."""
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**32, 60_000, dtype=np.uint32).view(np.float32)
    near = [
        -1.2784645,
        -0.7517915,
        -0.7524614,
        -1.1924312,
        2.3993573,
        1.4142135,
        1.4185040,
        -3.0,
        3.0,
        6.0,
        0.0,
    ]
    ulps = np.arange(-1000, 1001, dtype=np.int32)
    near = [np.float32(s * x).view(np.int32) + ulps for x in near if x for s in (1, -1)]
    parts = [
        bits,
        rng.standard_normal(40_000) * 2,
        rng.uniform(-120, 120, 60_000),
        np.concatenate(near).view(np.float32),
        EXTREMES,
    ]
    return np.concatenate([np.asarray(p, np.float32) for p in parts])


def ordered(x):
    """Consecutive integers for consecutive float32 or float64; both zeros are 0."""
    kind = {4: np.int32, 8: np.int64}[x.itemsize]
    bits = x.view(kind)
    return np.where(bits < 0, np.iinfo(kind).min - bits, bits)


def apart(got, want):
    """Floating-point numbers between got and want; NaN matches NaN only, an infinity itself only."""
    nan = np.isnan(want)
    np.testing.assert_array_equal(np.isnan(got), nan)
    return np.abs(ordered(got)[~nan] - ordered(want)[~nan]).max(initial=0)


def torch_grad(f, z, upstream=None):
    z = z.clone().requires_grad_()
    (grad,) = torch.autograd.grad(f(z), z, torch.ones_like(z) if upstream is None else upstream)
    return grad


def all_float16():
    return np.arange(2**16, dtype=np.uint16).view(np.float16)


def all_bfloat16():
    """As a torch tensor and as an ml_dtypes array."""
    bits = np.arange(2**16, dtype=np.uint16)
    return torch.from_numpy(bits.view(np.int16).copy()).view(torch.bfloat16), bits.view(ml_dtypes.bfloat16)


def assert_same_bits(got, want):
    """Equal bit for bit, signs of zeros included; any NaN equals any NaN."""
    nan = np.isnan(want)
    np.testing.assert_array_equal(np.isnan(got), nan)
    np.testing.assert_array_equal(got[~nan].view(np.uint16), want[~nan].view(np.uint16))


def as_bfloat16(x):
    return x.view(torch.int16).numpy().view(ml_dtypes.bfloat16)


def test_functional_has_every_kernel():
    assert set(functional.__all__) == set(kernels.__all__)


@pytest.mark.parametrize("name", NAMES)
def test_float16_all_values_equal_kernel(name):
    z = all_float16()
    for suffix in SUFFIXES:
        got = getattr(functional, name + suffix)(torch.from_numpy(z))
        assert got.dtype == torch.float16
        assert_same_bits(got.numpy(), getattr(kernels, name + suffix)(z))
    grad = torch_grad(getattr(functional, name), torch.from_numpy(z))
    assert_same_bits(grad.numpy(), getattr(kernels, name + "_grad")(z))


@pytest.mark.parametrize("name", NAMES)
def test_bfloat16_all_values_equal_kernel(name):
    z, z_numpy = all_bfloat16()
    for suffix in SUFFIXES:
        got = getattr(functional, name + suffix)(z)
        assert got.dtype == torch.bfloat16
        assert_same_bits(as_bfloat16(got), getattr(kernels, name + suffix)(z_numpy))
    grad = torch_grad(getattr(functional, name), z)
    assert_same_bits(as_bfloat16(grad), getattr(kernels, name + "_grad")(z_numpy))


@pytest.mark.parametrize("name", NAMES)
def test_float32_within_one_ulp_of_kernel(name, sample):
    z = torch.from_numpy(sample)
    for suffix in SUFFIXES:
        got = getattr(functional, name + suffix)(z)
        assert got.dtype == torch.float32
        assert apart(got.numpy(), getattr(kernels, name + suffix)(sample)) <= 1
    grad = torch_grad(getattr(functional, name), z).numpy()
    want = getattr(kernels, name + "_grad")(sample)
    assert apart(grad, want) <= 1
    assert np.isfinite(grad[~np.isnan(sample)]).all()


@pytest.mark.parametrize("name", NAMES)
def test_float64_against_mpmath(name):
    rng = np.random.default_rng(1)
    z = np.concatenate([rng.standard_normal(60) * 2, rng.uniform(-40, 40, 60), rng.uniform(-745, 0, 30)])
    for order, suffix in enumerate(SUFFIXES):
        got = getattr(functional, name + suffix)(torch.from_numpy(z)).numpy()
        reference = [symbolic.evaluate(name, order, float(x)) for x in z]
        assert ulp.error_exact(got, reference).max() <= (8, 8, 13)[order]


@pytest.mark.parametrize("name", ["silu", "gelu", "gelu_tanh", "mish"])
def test_float32_gradient_against_mpmath(name, sample):
    z = sample[np.abs(sample) < 1e4][::400]
    got = torch_grad(getattr(functional, name), torch.from_numpy(z))
    reference = [symbolic.evaluate(name, 1, float(x)) for x in z]
    assert ulp.error_exact(got.numpy(), reference, "float32").max() <= 0.51


@pytest.mark.parametrize("name", ["silu", "gelu", "mish"])
def test_gradient_times_upstream_is_rounded_once(name):
    z = torch.linspace(-14, 4, 4001, dtype=torch.float16)
    upstream = torch.full_like(z, 2.0**15)  # as a loss scale: the slope alone is subnormal in float16
    got = torch_grad(getattr(functional, name), z, upstream)
    exact = 2.0**15 * getattr(kernels, name + "_grad")(z.double().numpy())
    np.testing.assert_array_equal(got.numpy(), exact.astype(np.float16))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_extremes_gradient_is_finite_and_nan_stays_nan(name, dtype):
    limits = torch.finfo(dtype)
    ends = [limits.max, limits.tiny, limits.smallest_normal / 2, 0.0, 1e4, 500.0, 30.0]
    z = torch.tensor(ends + [-x for x in ends], dtype=dtype)
    f = getattr(functional, name)
    assert torch.isfinite(f(z)).all()
    assert torch.isfinite(torch_grad(f, z)).all()
    infinite = torch.tensor([torch.inf, -torch.inf], dtype=dtype)
    kernel = getattr(kernels, name + "_grad")(infinite.double().numpy())
    torch.testing.assert_close(torch_grad(f, infinite), torch.from_numpy(kernel).to(dtype), rtol=0, atol=0)
    nan = torch.tensor([torch.nan], dtype=dtype)
    assert f(nan).isnan().all()
    assert torch_grad(f, nan).isnan().all()


@pytest.mark.parametrize("name", ["leaky_relu", "elu"])
def test_parameter_is_passed_on(name, sample):
    for suffix in SUFFIXES:
        got = getattr(functional, name + suffix)(torch.from_numpy(sample), 0.3).numpy()
        assert apart(got, getattr(kernels, name + suffix)(sample, 0.3)) <= 1


@pytest.mark.parametrize("beta", BETAS)
def test_swish_beta_float_and_tensor_agree_with_kernel(beta, sample):
    z = torch.from_numpy(sample)
    for name in ("swish", "swish_grad", "swish_grad2", "swish_beta_grad"):
        want = getattr(kernels, name)(sample, beta)
        for b in (beta, torch.tensor(beta, dtype=torch.float64)):
            assert apart(getattr(functional, name)(z, b).numpy(), want) <= 1


@pytest.mark.parametrize("shape", [(), (1,), (4, 1), (3, 1, 1), (3, 4, 5), (2, 1, 1, 1)])
def test_swish_beta_grad_is_summed_to_its_shape(shape):
    torch.manual_seed(0)
    z = torch.randn(3, 4, 5)
    beta = torch.randn(shape, requires_grad=True)
    y = functional.swish(z, beta)
    upstream = torch.randn_like(y)
    (got,) = torch.autograd.grad(y, beta, upstream)
    full_z, full_beta = torch.broadcast_tensors(z.double(), beta.detach().double())
    slopes = np.vectorize(kernels.swish_beta_grad)(full_z.numpy(), full_beta.numpy())
    want = (upstream.double() * torch.from_numpy(slopes)).sum_to_size(shape).float()
    assert got.shape == shape
    # The sums cancel; float64 leaves one float32 rounding of the result.
    torch.testing.assert_close(got, want, rtol=2**-23, atol=1e-12)


def test_swish_beta_grad_of_half_precision_is_accumulated_wide():
    z = torch.full((100_000,), 1.0, dtype=torch.bfloat16)
    beta = torch.tensor(1.0, dtype=torch.bfloat16, requires_grad=True)
    functional.swish(z, beta).backward(torch.full_like(z, 2.0**-10))
    want = 100_000 * 2.0**-10 * kernels.swish_beta_grad(1.0)
    assert beta.grad.dtype == torch.bfloat16
    assert abs(beta.grad.item() - want) <= 2**-8 * want


def test_swish_beta_of_another_dtype():
    z = torch.randn(7, dtype=torch.bfloat16, requires_grad=True)
    beta = torch.tensor(1.3, requires_grad=True)
    y = functional.swish(z, beta)
    y.sum().backward()
    assert (y.dtype, z.grad.dtype, beta.grad.dtype) == (torch.bfloat16, torch.bfloat16, torch.float32)
    np.testing.assert_array_equal(
        as_bfloat16(y.detach()), kernels.swish(as_bfloat16(z.detach()), beta.detach().double().item())
    )


def second(z, beta, pair):
    """d2 swish / (pair) by double backward, at scalars."""
    z, beta = (torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in (z, beta))
    variables = {"z": z, "b": beta}
    (first,) = torch.autograd.grad(functional.swish(z, beta), variables[pair[0]], create_graph=True)
    return torch.autograd.grad(first, variables[pair[1]])[0].item()


@pytest.mark.parametrize(
    ("z", "beta"),
    [
        (0.7, 1.3),
        (-2.0, 0.5),
        (-0.9, -3.0),
        (30.0, 1.0),
        (-400.0, 1.0),
        (1e-3, 1e-3),
        (1e110, 1e-135),
        (2.4, 1.0),
    ],
)
def test_swish_second_derivatives_with_beta_against_mpmath(z, beta):
    with mpmath.workdps(60 + int(0.5 * abs(z * beta))):
        a, x = mpmath.mpf(z) * mpmath.mpf(beta), mpmath.mpf(z)
        s = 1 / (1 + mpmath.exp(-a))
        mixed = 2 * x * s * (1 - s) + x * a * s * (1 - s) * (1 - 2 * s)
        twice = x**3 * s * (1 - s) * (1 - 2 * s)
        for pair, want in (("zb", mixed), ("bz", mixed), ("bb", twice)):
            got = mpmath.mpf(second(z, beta, pair))
            assert abs(got - want) <= 20 * 2.0**-53 * abs(want)


def test_swish_second_derivatives_with_beta_follow_from_definition():
    sympy = pytest.importorskip("sympy")
    z, beta = sympy.symbols("z beta", real=True)
    a = beta * z
    sigma = 1 / (1 + sympy.exp(-a))
    f, slope = z * sigma, sigma * (1 - sigma)
    mixed = z * slope * (2 - a * (2 * sigma - 1))
    twice = -(z**3) * slope * (2 * sigma - 1)
    assert sympy.simplify(sympy.diff(f, z, beta) - mixed) == 0
    assert sympy.simplify(sympy.diff(f, beta, 2) - twice) == 0


@pytest.mark.parametrize("beta", [1.0, -0.5, 1e300, 1e-300, 0.0])
def test_swish_second_derivatives_with_beta_extremes_are_not_nan(beta):
    for z in (0.0, -0.0, 1e300, -1e300, 5e-324, np.inf, -np.inf):
        for pair in ("zb", "bz", "bb"):
            assert not np.isnan(second(z, beta, pair))
    assert np.isnan(second(np.nan, beta, "bb"))


class NoHostRead(TorchDispatchMode):
    """Forbids every way for a tensor's value to reach Python."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.overloadpacket in (torch.ops.aten._local_scalar_dense, torch.ops.aten.is_nonzero):
            raise AssertionError(f"{func} reads a value on the host")
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("shape", [(), (4, 1)])
def test_swish_beta_is_never_read_on_the_host(shape):
    z = torch.randn(3, 4, 5, requires_grad=True)
    beta = torch.ones(shape, requires_grad=True)
    with NoHostRead():
        with pytest.raises(AssertionError, match="reads a value"):
            beta.sum().item()
        y = functional.swish(z, beta)
        first = torch.autograd.grad(y.sum(), (z, beta), create_graph=True)
        torch.autograd.grad(first[0].sum() + first[1].sum(), (z, beta))


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.complex64, torch.float8_e4m3fn])
def test_other_dtypes_raise_type_error(dtype):
    with pytest.raises(TypeError, match=f"z has dtype {dtype}; choose from .*torch.float16"):
        functional.gelu(torch.zeros(3, dtype=dtype))
    with pytest.raises(TypeError, match=f"beta has dtype {dtype}"):
        functional.swish(torch.zeros(3), torch.zeros(3, dtype=dtype))


def test_bad_arguments_raise():
    with pytest.raises(TypeError, match=r"z must be a torch.Tensor, not list"):
        functional.silu([1.0])
    with pytest.raises(ValueError, match="beta must be finite, not nan"):
        functional.swish(torch.zeros(1), float("nan"))
    with pytest.raises(TypeError, match="alpha must be a real number"):
        functional.elu(torch.zeros(1), alpha="1")
