"""The backward passes themselves: twice, in every transform of torch, and what they keep in memory."""

import functools
import shutil

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import gradcheck, gradgradcheck

from selfgated import autograd, catalog, functional

NAMES = catalog.names()
# torch itself calls the deprecated torch.jit.script when forward mode is first used.
forward_mode = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")

# So does torch.compile, which also instantiates torch.autograd.Function.
compiles = pytest.mark.filterwarnings("ignore:.*(torch.jit|should not be instantiated):DeprecationWarning")


def act_fn(name):
    return getattr(functional, name)


def away_from_kinks(*shape):
    """float64 points at least 0.01 from the integers, where the kinks are."""
    generator = torch.Generator().manual_seed(0)
    whole = torch.randint(-5, 7, shape, generator=generator, dtype=torch.float64)
    return (whole + torch.empty_like(whole).uniform_(0.01, 0.99, generator=generator)).requires_grad_()


@forward_mode
@pytest.mark.parametrize("name", NAMES)
def test_gradcheck(name):
    z = away_from_kinks(3, 4)
    assert gradcheck(act_fn(name), z, check_forward_ad=True, check_batched_grad=True)
    assert gradgradcheck(act_fn(name), z, check_fwd_over_rev=True)


@forward_mode
@pytest.mark.parametrize("name", NAMES)
def test_gradcheck_of_the_slope(name):
    assert gradcheck(act_fn(name + "_grad"), away_from_kinks(3, 4), check_forward_ad=True)


@forward_mode
@pytest.mark.parametrize("shape", [(), (1,), (3, 1), (3, 4), (2, 1, 1)])
def test_gradcheck_swish_beta(shape):
    torch.manual_seed(0)
    z = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    beta = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    assert gradcheck(functional.swish, (z, beta), check_forward_ad=True, check_batched_grad=True)
    assert gradgradcheck(functional.swish, (z, beta), check_fwd_over_rev=True)
    for f in (functional.swish_grad, functional.swish_beta_grad):
        assert gradcheck(f, (z, beta))


@pytest.mark.parametrize("name", NAMES)
def test_grad_of_grad_is_the_second_derivative(name):
    z = away_from_kinks(50).detach().float().requires_grad_()
    (slope,) = torch.autograd.grad(act_fn(name)(z).sum(), z, create_graph=True)
    torch.testing.assert_close(slope, act_fn(name + "_grad")(z), rtol=0, atol=0)
    (curvature,) = torch.autograd.grad(slope.sum(), z)
    torch.testing.assert_close(curvature, act_fn(name + "_grad2")(z), rtol=0, atol=0)


@pytest.mark.parametrize("name", ["silu", "gelu", "mish", "swish"])
def test_third_grad_raises(name):
    z = away_from_kinks(3)
    (slope,) = torch.autograd.grad(act_fn(name)(z).sum(), z, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), z, create_graph=True)
    with pytest.raises(NotImplementedError, match=f"{name} can be differentiated twice, not 3 times"):
        torch.autograd.grad(curvature.sum(), z)
    with pytest.raises(NotImplementedError, match=name):
        act_fn(name + "_grad2")(z).sum().backward()


def saved(f, *inputs):
    """Tensors that the backward pass of f keeps."""
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x) or x, lambda x: x):
        f(*inputs)
    return kept


@pytest.mark.parametrize("name", NAMES)
def test_backward_keeps_only_z(name):
    z = torch.randn(100, requires_grad=True)
    (kept,) = saved(act_fn(name), z)
    assert kept.data_ptr() == z.data_ptr()


def test_backward_keeps_only_z_and_beta():
    z, beta = torch.randn(4, 5, requires_grad=True), torch.ones(4, 1, requires_grad=True)
    assert [x.data_ptr() for x in saved(functional.swish, z, beta)] == [z.data_ptr(), beta.data_ptr()]


def test_z_overwritten_after_forward_is_noticed_by_grad():
    z = torch.randn(5, requires_grad=True)
    x = z * 1
    y = functional.silu(x)
    x.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


@forward_mode
@pytest.mark.parametrize("name", ["silu", "gelu", "mish", "relu"])
def test_torch_func_grad(name):
    z = away_from_kinks(6).detach()
    f, slope, curvature = (act_fn(name + s) for s in ("", "_grad", "_grad2"))

    def total(z):
        return f(z).sum()

    close = functools.partial(torch.testing.assert_close, rtol=0, atol=0)
    close(torch.func.grad(total)(z), slope(z))
    close(torch.func.vmap(torch.func.grad(f))(z), slope(z))
    close(torch.func.hessian(total)(z), torch.diag(curvature(z)))
    close(torch.func.jacrev(torch.func.jacrev(total))(z), torch.diag(curvature(z)))
    close(torch.func.jvp(f, (z,), (torch.full_like(z, 3.0),))[1], 3 * slope(z))


@forward_mode
def test_torch_func_per_sample_grad_of_shared_beta():
    torch.manual_seed(0)
    z, beta = torch.randn(7, 3, 4, dtype=torch.float64), torch.randn(3, 1, dtype=torch.float64)
    per_sample = torch.func.vmap(
        torch.func.grad(lambda beta, z: functional.swish(z, beta).sum()), in_dims=(None, 0)
    )(beta, z)
    expected = torch.stack([functional.swish_beta_grad(x, beta).sum(1, keepdim=True) for x in z])
    torch.testing.assert_close(per_sample, expected)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_shapes_and_grad(name, device):
    for shape in [(), (0,), (3, 0, 2), (5,), (2, 3, 4)]:
        z = torch.ones(shape, device=device, requires_grad=True)
        y = act_fn(name)(z)
        (grad,) = torch.autograd.grad(y.sum(), z)
        assert (y.shape, y.device, grad.shape, grad.device) == (z.shape, z.device, z.shape, z.device)


def test_swish_beta_grad_on_meta():
    z = torch.ones(2, 3, 4, device="meta", dtype=torch.bfloat16, requires_grad=True)
    beta = torch.ones(3, 1, device="meta", requires_grad=True)
    functional.swish(z, beta).sum().backward()
    assert (beta.grad.shape, beta.grad.dtype, z.grad.dtype) == ((3, 1), torch.float32, torch.bfloat16)


LARGE = 20_011


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(autograd, "BLOCK", 1000)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)


def layouts():
    torch.manual_seed(0)
    image = torch.randn(4, 3, 40, 41)
    return {
        "contiguous": torch.randn(LARGE),
        "strided": torch.randn(2 * LARGE)[::2],
        "transposed": torch.randn(3, LARGE).T,
        "channels_last": image.contiguous(memory_format=torch.channels_last),
        "expanded": torch.randn(1, LARGE).expand(3, LARGE),
        "small_strided": torch.randn(4, 6)[:, ::3],
    }


@pytest.mark.parametrize("layout", layouts())
def test_blocks_equal_single_elements_and_grad(layout, small_blocks, monkeypatch):
    z = layouts()[layout].requires_grad_()
    beta = torch.rand(z.shape[1:]) if z.dim() > 1 else torch.tensor(0.7)
    upstream = torch.randn_like(z)

    def run():
        beta_leaf = beta.clone().requires_grad_()
        y = functional.swish(z, beta_leaf)
        return y, *torch.autograd.grad(y, (z, beta_leaf), upstream)

    assert (autograd._block_size([z]) == 1000) == (layout != "small_strided")
    in_blocks = run()
    monkeypatch.setattr(autograd, "BLOCK", 10**9)
    for got, want in zip(in_blocks, run(), strict=True):
        torch.testing.assert_close(got, want, rtol=2**-23, atol=1e-5 if got is in_blocks[2] else 0)
        assert got.stride() == want.stride()
    want = torch.stack(
        [functional.swish(x, b) for x, b in zip(z.flatten()[:50], beta.expand_as(z).flatten(), strict=False)]
    )
    torch.testing.assert_close(in_blocks[0].flatten()[:50], want, rtol=2**-23, atol=0)


def test_blocks_keep_memory_format(small_blocks):
    z = layouts()["channels_last"]
    assert functional.gelu(z).is_contiguous(memory_format=torch.channels_last)


def test_vmap_of_large_inputs(small_blocks):
    z = torch.randn(LARGE, 2)
    got = torch.func.vmap(functional.silu, in_dims=1, out_dims=1)(z)
    torch.testing.assert_close(got, functional.silu(z), rtol=2**-23, atol=0)


def test_fake_tensors_and_grad():
    with FakeTensorMode():
        z = torch.empty(LARGE, requires_grad=True)
        functional.gelu(z).sum().backward()
        assert z.grad.shape == (LARGE,)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_grad_keeps_the_type_that_comes_in(dtype):
    layer = torch.nn.Linear(4, 4)
    x = torch.randn(2, 4)
    with torch.autocast("cpu", dtype=dtype):
        z = layer(x)
        y = functional.silu(z)
        assert (z.dtype, y.dtype, functional.silu(x).dtype) == (dtype, dtype, torch.float32)
        torch.testing.assert_close(y, functional.silu(z.double()).to(dtype))
    y.sum().backward()
    assert layer.weight.grad.dtype == torch.float32


def many(z, beta):
    """Every shape of formula: a tensor beta, a number for beta, where of two numbers, z itself."""
    y = functional.swish(functional.gelu(z), beta) + functional.mish(z) + functional.gelu_sigmoid(z)
    return y + functional.elu(z, 0.5) + functional.hard_swish(z) + functional.identity(z)


def assert_compiled_equals_eager(backend, f, *inputs):
    results = []
    for g in (f, torch.compile(f, fullgraph=True, backend=backend)):
        leaves = [x.clone().requires_grad_() for x in inputs]
        y = g(*leaves)
        results.append((y, *torch.autograd.grad(y.sum(), leaves)))
    for got, want in zip(*results, strict=True):
        torch.testing.assert_close(got, want, rtol=2**-22, atol=1e-30)


@compiles
def test_compile_grad_aot_eager():
    torch.manual_seed(0)
    z = torch.cat([torch.randn(80), torch.tensor([-90.0, -5.5, 100.0, 0.0])])
    assert_compiled_equals_eager("aot_eager", many, z, torch.rand(3, 1))


@compiles
@pytest.mark.skipif(shutil.which("g++") is None, reason="inductor compiles C++, and there is no g++")
def test_compile_grad_inductor():
    z = torch.cat([torch.linspace(-100, 20, 1000), torch.tensor([-5.5, 0.0, -torch.inf, torch.inf])])
    assert_compiled_equals_eager("inductor", functional.silu, z)


def test_compute_rejects_integers():
    with pytest.raises(TypeError, match=r"dtype torch.int32; choose from \['torch.float16'"):
        autograd.compute(autograd.FORMULAS["gelu"][0, 0], torch.ones(3, dtype=torch.int32))


def test_where_of_two_numbers_is_float64():
    got = autograd.OPS.where(torch.tensor([True, False]), 2e-174, 1.0)
    assert got.dtype == torch.float64
    assert got[0] == 2e-174


def test_saved_tensors_are_unpacked_once():
    """Checkpointing without reentry, and hooks that move what is saved, rely on it."""
    z = torch.randn(5, dtype=torch.float64, requires_grad=True)
    beta = torch.tensor(1.3, dtype=torch.float64, requires_grad=True)
    unpacked = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: unpacked.append(t) or t):
        a = functional.swish(z, beta)
    a.sum().backward()
    assert len(unpacked) == 2
    again = torch.utils.checkpoint.checkpoint(functional.gelu, z, use_reentrant=False)
    (got,) = torch.autograd.grad(again.sum(), z)
    torch.testing.assert_close(got, functional.gelu_grad(z), rtol=0, atol=0)
