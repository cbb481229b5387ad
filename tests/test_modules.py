"""Modules: shapes, parameters, state_dicts, gated layers, and the exchange of activations."""

import copy

import pytest
import torch
from torch import nn

from selfgated import catalog, functional, modules

NAMES = catalog.names()
TORCH = {
    "identity": nn.Identity,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "softplus": nn.Softplus,
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "silu": nn.SiLU,
    "hard_sigmoid": nn.Hardsigmoid,
    "hard_swish": nn.Hardswish,
    "gelu": nn.GELU,
    "gelu_tanh": lambda: nn.GELU(approximate="tanh"),
    "mish": nn.Mish,
}


@pytest.mark.parametrize("name", NAMES)
def test_get_act_layer_gives_a_module_of_the_function(name):
    act_layer = modules.get_act_layer(name)
    z = torch.randn(2, 3, 5)
    act = act_layer()
    assert act is not act_layer()
    assert modules.act_name(act) == name
    torch.testing.assert_close(act(z), getattr(functional, name)(z), rtol=0, atol=0)


@pytest.mark.parametrize("name", TORCH)
def test_module_is_close_to_torch(name):
    torch.manual_seed(0)
    z = torch.randn(1000, dtype=torch.float64)
    # torch's tanh cancels: an absolute tolerance for it. 1e-12 is far below any wrong formula.
    torch.testing.assert_close(modules.get_act_layer(name)()(z), TORCH[name]()(z), rtol=1e-12, atol=1e-12)


def test_get_act_layer_takes_aliases_and_arguments():
    assert isinstance(modules.get_act_layer("SiLU")(), modules.SiLU)
    assert modules.get_act_layer("elu", alpha=0.5)().alpha == 0.5
    assert modules.get_act_layer("swish", num_parameters=3)().beta.shape == (3,)


def test_get_act_layer_rejects_unknown_names_and_arguments():
    with pytest.raises(ValueError, match=r"unknown activation 'gleu'; choose from .*gelu"):
        modules.get_act_layer("gleu")
    with pytest.raises(TypeError, match="beta"):
        modules.get_act_layer("silu", beta=2.0)
    with pytest.raises(TypeError, match="inplace"):
        modules.get_act_layer("relu", inplace=True)


def test_gelu_rejects_unknown_approximation():
    with pytest.raises(
        ValueError, match=r"unknown approximate 'tan'; choose from \['none', 'tanh', 'sigmoid'\]"
    ):
        modules.GELU("tan")


def test_repr_shows_parameters():
    assert repr(modules.GELU("tanh")) == "GELU(approximate='tanh')"
    assert repr(modules.LeakyReLU(0.2)) == "LeakyReLU(negative_slope=0.2)"
    assert repr(modules.ELU(2.0)) == "ELU(alpha=2.0)"
    assert repr(modules.Swish(1.5, num_parameters=2)) == "Swish(beta=1.5, num_parameters=2, learnable=True)"


@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 5), (2, 3, 4, 5), (1, 3, 2, 2, 2)])
def test_swish_per_channel_grad(shape):
    torch.manual_seed(0)
    act = modules.Swish(num_parameters=3)
    with torch.no_grad():
        act.beta.copy_(torch.tensor([0.5, 1.0, 2.0]))
    z = torch.randn(shape)
    y = act(z)
    y.sum().backward()
    for channel, beta in enumerate([0.5, 1.0, 2.0]):
        expected = functional.swish(z.select(1, channel), beta)
        torch.testing.assert_close(y.select(1, channel), expected, rtol=0, atol=0)
        grad = functional.swish_beta_grad(z.select(1, channel).double(), beta).sum().float()
        torch.testing.assert_close(act.beta.grad[channel], grad)


@pytest.mark.parametrize("shape", [(), (5,), (2, 7), (0, 4)])
def test_swish_one_beta_takes_any_shape_and_grad(shape):
    act = modules.Swish(0.5)
    z = torch.randn(shape)
    act(z).sum().backward()
    assert act.beta.grad.shape == (1,)
    torch.testing.assert_close(act(z), functional.swish(z, 0.5), rtol=0, atol=0)


def test_swish_rejects_wrong_channels():
    act = modules.Swish(num_parameters=4)
    with pytest.raises(
        ValueError, match=r"num_parameters=4, but z has shape \(2, 3, 5\): dimension 1 must be 4"
    ):
        act(torch.randn(2, 3, 5))
    with pytest.raises(ValueError, match="num_parameters=4"):
        act(torch.randn(4))


def test_swish_rejects_bad_arguments():
    for bad in (0, -1, 2.0, True):
        with pytest.raises(ValueError, match="num_parameters must be a positive integer"):
            modules.Swish(num_parameters=bad)
    with pytest.raises(ValueError, match="beta must be finite, not inf"):
        modules.Swish(float("inf"))


def test_swish_learns_beta_by_grad_and_fixed_beta_stays():
    torch.manual_seed(0)
    z = torch.randn(500)
    target = functional.swish(z, 1.8)
    act = modules.Swish()
    optimizer = torch.optim.Adam(act.parameters(), lr=0.05)
    for _ in range(200):
        optimizer.zero_grad()
        (act(z) - target).square().mean().backward()
        optimizer.step()
    assert abs(act.beta.item() - 1.8) < 1e-3
    assert not list(modules.Swish(learnable=False).parameters())


def test_swish_state_dict_moves_between_learnable_and_fixed():
    learned, fixed = modules.Swish(2.5, num_parameters=3), modules.Swish(num_parameters=3, learnable=False)
    fixed.load_state_dict(learned.state_dict())
    assert fixed.beta.tolist() == [2.5, 2.5, 2.5]
    learned.load_state_dict(fixed.state_dict())


def test_swish_device_and_dtype():
    act = modules.Swish(num_parameters=3, device="meta", dtype=torch.float64)
    assert (act.beta.device.type, act.beta.dtype) == ("meta", torch.float64)
    assert act(torch.empty(2, 3, 4, device="meta", dtype=torch.bfloat16)).dtype == torch.bfloat16
    act.to_empty(device="cpu")
    act.reset_parameters()
    assert act.beta.tolist() == [1.0, 1.0, 1.0]


def network(act_layer):
    return nn.Sequential(
        nn.Linear(4, 8), act_layer(), nn.Sequential(nn.LayerNorm(8), act_layer()), nn.Linear(8, 2)
    )


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(modules.SiLU, nn.SiLU), (modules.GELU, nn.GELU), (modules.Mish, nn.Mish), (modules.ReLU, nn.ReLU)],
)
def test_state_dict_fits_torch_both_ways(ours, theirs):
    a, b = network(ours), network(theirs)
    assert list(a.state_dict()) == list(b.state_dict())
    x = torch.randn(5, 4)
    b.load_state_dict(a.state_dict(), strict=True)
    torch.testing.assert_close(a(x), b(x))
    a = network(ours)
    a.load_state_dict(b.state_dict(), strict=True)
    torch.testing.assert_close(a(x), b(x))


@pytest.mark.parametrize("variant", modules.GLU_VARIANTS)
def test_gated_feed_forward_is_the_published_formula_and_grad(variant):
    torch.manual_seed(0)
    block = modules.GatedFeedForward(6, variant=variant, dtype=torch.float64)
    x = torch.randn(2, 5, 6, dtype=torch.float64)
    gate, value, out = block.glu.gate.weight, block.glu.value.weight, block.out.weight
    act_fn = getattr(functional, modules.GLU_VARIANTS[variant])
    y = block(x)
    torch.testing.assert_close(y, (act_fn(x @ gate.T) * (x @ value.T)) @ out.T)
    y.sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in block.parameters())


def test_gated_feed_forward_has_the_weights_of_a_plain_block():
    dim = 48
    plain = nn.Sequential(nn.Linear(dim, 4 * dim, bias=False), nn.GELU(), nn.Linear(4 * dim, dim, bias=False))
    gated = modules.GatedFeedForward(dim)
    assert sum(p.numel() for p in gated.parameters()) == sum(p.numel() for p in plain.parameters())


def test_gated_layers_take_options_and_reject_unknown_ones():
    assert modules.GatedLinear(3, 5, act="mish")(torch.randn(2, 3)).shape == (2, 5)
    assert sum(p.numel() for p in modules.GatedLinear(3, 5).parameters()) == 2 * (15 + 5)
    assert modules.GatedFeedForward(4, 7, bias=True, device="meta").out.bias.device.type == "meta"
    with pytest.raises(ValueError, match="unknown GLU variant 'swigelu'; choose from"):
        modules.GatedFeedForward(4, variant="swigelu")
    with pytest.raises(ValueError, match="unknown activation"):
        modules.GatedLinear(3, 5, act="sile")


def test_glu_hidden_rounds_up():
    assert [modules.glu_hidden(n) for n in (1, 3, 4, 3072)] == [1, 2, 3, 2048]
    assert modules.glu_hidden(16384, multiple_of=256) == 11008  # the width of LLaMA 7B
    with pytest.raises(ValueError, match="multiple_of must be a positive integer, not 0"):
        modules.glu_hidden(8, multiple_of=0)


@pytest.mark.parametrize("old", [*TORCH, "ours"])
def test_replace_act_finds_torch_modules_and_ours(old):
    layer = modules.SiLU if old == "ours" else TORCH[old]
    model = modules.replace_act(network(layer), "silu" if old == "ours" else old, "mish")
    found = [m for m in model.modules() if isinstance(m, modules.Mish)]
    assert len(found) == 2
    assert not any(type(m) is type(layer()) for m in model.modules())


def test_replace_act_leaves_other_activations():
    model = nn.Sequential(nn.ReLU(), nn.GELU(), nn.GELU("tanh"), nn.Softplus(beta=2))
    modules.replace_act(model, "gelu", "silu")
    assert [type(m) for m in model] == [nn.ReLU, modules.SiLU, nn.GELU, nn.Softplus]
    with pytest.raises(
        ValueError, match=r"no 'softplus' module to replace; .*\['gelu_tanh', 'relu', 'silu'\]"
    ):
        modules.replace_act(model, "softplus", "relu")


def test_replace_act_keeps_sharing():
    shared = nn.ReLU()
    inner = nn.Sequential(nn.Linear(3, 3), shared)
    model = nn.ModuleDict({"a": shared, "b": shared, "c": inner, "d": inner, "e": nn.ReLU()})
    modules.replace_act(model, "relu", "swish", beta=2.0)
    assert model["a"] is model["b"] is model["c"][1] is model["d"][1]
    assert model["e"] is not model["a"]
    assert len([p for n, p in model.named_parameters() if n.endswith("beta")]) == 2


def test_replace_act_of_a_bare_activation_returns_the_new_one():
    assert isinstance(modules.replace_act(nn.ReLU(), "relu", "silu"), modules.SiLU)


def test_replace_act_keeps_mode_device_and_old_parameters():
    model = network(nn.ReLU).eval()
    before = copy.deepcopy(model.state_dict())
    modules.replace_act(model, "relu", "swish")
    assert not any(m.training for m in model.modules())
    assert all(torch.equal(model.state_dict()[k], v) for k, v in before.items())
    on_meta = modules.replace_act(network(nn.ReLU).to("meta"), "relu", "swish", num_parameters=8)
    assert all(p.device.type == "meta" for p in on_meta.parameters())


def test_replace_act_grad_reaches_every_parameter():
    model = modules.replace_act(network(nn.ReLU), "relu", "swish", num_parameters=8)
    model(torch.randn(16, 4)).sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


def test_replace_act_rejects_unknown_names():
    with pytest.raises(ValueError, match="unknown activation 'rleu'"):
        modules.replace_act(nn.Sequential(nn.ReLU()), "rleu", "silu")
    with pytest.raises(ValueError, match="unknown activation 'sliu'"):
        modules.replace_act(nn.Sequential(nn.ReLU()), "relu", "sliu")


@pytest.mark.parametrize(("old", "layer"), [("relu", nn.ReLU), ("gelu", nn.GELU)])
def test_replace_act_reaches_the_fused_path_of_a_transformer_layer(old, layer):
    torch.manual_seed(0)
    encoder = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, activation=layer(), batch_first=True)
    modules.replace_act(encoder, old, "silu")
    encoder.eval()
    x = torch.randn(2, 3, 8)
    with torch.no_grad():
        fused = encoder(x)
    torch.testing.assert_close(fused, encoder(x))


def test_swish_beta_must_fit_its_dtype():
    with pytest.raises(ValueError, match=r"beta = 70000.0 does not fit into torch.float16"):
        modules.Swish(70_000.0, dtype=torch.float16)
    with pytest.raises(TypeError, match=r"no beta of dtype torch.int32; choose from \['torch.float16'"):
        modules.Swish(dtype=torch.int32)


@pytest.mark.parametrize("name", NAMES)
def test_get_act_layer_native_is_the_function_and_grad(name):
    act = modules.get_act_layer(name, native=True)()
    assert modules.act_name(act) == name
    assert not isinstance(act, modules.Activation)
    torch.manual_seed(0)
    z = (3 * torch.randn(1000, dtype=torch.float64)).requires_grad_()
    y, expected = act(z), getattr(functional, name)(z)
    # torch's softplus is z from 20 on, exp(-20) = 2e-9 too low; its hard_sigmoid has float32(1 / 6) as slope.
    close = {"rtol": 1e-12, "atol": {"softplus": 3e-9, "hard_sigmoid": 6e-9}.get(name, 1e-12)}
    torch.testing.assert_close(y, expected, **close)
    torch.testing.assert_close(
        torch.autograd.grad(y.sum(), z)[0], torch.autograd.grad(expected.sum(), z)[0], **close
    )
    assert act(z.bfloat16()).dtype == torch.bfloat16


def test_get_act_layer_native_takes_arguments_and_rejects_unknown_ones():
    assert modules.get_act_layer("leaky_relu", native=True, negative_slope=0.2)().negative_slope == 0.2
    with pytest.raises(ValueError, match="unknown activation 'gleu'"):
        modules.get_act_layer("gleu", native=True)
    with pytest.raises(TypeError, match="beta"):
        modules.get_act_layer("silu", native=True, beta=2.0)


@pytest.mark.parametrize("options", [{}, {"num_parameters": 3}, {"num_parameters": 3, "learnable": False}])
def test_native_swish_is_swish_and_grad(options):
    ours = modules.get_act_layer("swish", beta=1.5, dtype=torch.float64, **options)()
    native = modules.get_act_layer("swish", native=True, beta=0.0, dtype=torch.float64, **options)()
    native.load_state_dict(ours.state_dict())
    assert modules.act_name(native) == "swish"
    assert native(torch.zeros(2, 3, dtype=torch.bfloat16)).dtype == torch.bfloat16
    z = torch.linspace(-30, 30, 90, dtype=torch.float64).reshape(6, 3, 5).requires_grad_()
    grads = []
    for act in (ours, native):
        y = act(z)
        wanted = [z, *act.parameters()]
        grads.append([y, *torch.autograd.grad(y.square().sum(), wanted)])
    for a, b in zip(*grads, strict=True):
        # The gradient of beta is a sum over z whose terms cancel to a hundredth.
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_replace_act_finds_native_modules():
    model = network(modules.get_act_layer("gelu_sigmoid", native=True))
    modules.replace_act(model, "gelu_sigmoid", "swish")
    assert sum(isinstance(m, modules.Swish) for m in model.modules()) == 2
