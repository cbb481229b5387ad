"""K networks as one: each layer against K layers, and the way back."""

import pytest
import torch
from torch import nn

from selfgated import modules
from selfgated.models import MLP
from selfgated.stacked import StackedLinear, StackedSwish, extract, per_network, stack_act


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def randn(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("bias", [True, False])
def test_stacked_linear_equals_linear_layers_and_grad(bias):
    stacked = StackedLinear(3, 5, 2, bias=bias, dtype=torch.float64)
    x, upstream = randn(3, 7, 5), randn(3, 7, 2, seed=1)
    stacked(x).backward(upstream)
    for k in range(3):
        one = nn.Linear(5, 2, bias=bias, dtype=torch.float64)
        one.load_state_dict(extract(stacked.state_dict(), k, 3))
        y = one(x[k])
        y.backward(upstream[k])
        torch.testing.assert_close(stacked(x)[k], y, rtol=1e-13, atol=1e-14)
        torch.testing.assert_close(stacked.weight.grad[k], one.weight.grad, rtol=1e-13, atol=1e-14)
        if bias:
            torch.testing.assert_close(stacked.bias.grad[k], one.bias.grad, rtol=1e-13, atol=1e-14)


def test_stacked_linear_starts_as_linear_does():
    torch.manual_seed(0)
    layer = StackedLinear(50, 16, 40)
    for parameter in (layer.weight, layer.bias):
        # Uniform in [-1/4, 1/4]: the largest of n lies beyond 1/4 - t with probability 1 - (1 - 4t)^n.
        assert 0.249 < parameter.abs().max() <= 0.25
        n = parameter.numel()
        assert abs(parameter.mean()) < 5 * 0.25 / (3 * n) ** 0.5
        assert (parameter.detach().std(dim=tuple(range(1, parameter.dim()))) > 0.1).all()


def test_stacked_linear_keeps_nan_in_its_network():
    layer = StackedLinear(3, 4, 4)
    x = randn(3, 6, 4, dtype=torch.float32)
    x[1] = float("nan")
    y = layer(x)
    assert y[1].isnan().all()
    assert y[[0, 2]].isfinite().all()


def test_stacked_linear_takes_device_and_dtype():
    layer = StackedLinear(2, 3, 4, device="meta", dtype=torch.bfloat16)
    assert (layer.weight.device.type, layer.bias.dtype) == ("meta", torch.bfloat16)


@pytest.mark.parametrize("bad", [0, -1, 2.0, True, "3"])
def test_stacked_linear_rejects_bad_sizes(bad):
    for name, sizes in (("num_models", (bad, 2, 3)), ("dim_in", (2, bad, 3)), ("dim_out", (2, 3, bad))):
        with pytest.raises(ValueError, match=f"{name} must be a positive integer, not {bad!r}"):
            StackedLinear(*sizes)


@pytest.mark.parametrize("shape", [(7, 5), (2, 7, 5), (3, 7, 4), (3, 1, 7, 5)])
def test_stacked_linear_rejects_wrong_shapes(shape):
    with pytest.raises(ValueError, match=r"expected an input of shape \(3, N, 5\), got \("):
        StackedLinear(3, 5, 2)(torch.zeros(shape))


@pytest.mark.parametrize("layer", [modules.Swish, modules.NativeSwish])
@pytest.mark.parametrize("num_parameters", [1, 4])
def test_stacked_swish_equals_swish_of_each_network_and_grad(layer, num_parameters):
    stacked = stack_act(layer(num_parameters=num_parameters, dtype=torch.float64), 3)
    assert isinstance(stacked, StackedSwish)
    assert modules.act_name(stacked) == "swish"
    with torch.no_grad():
        stacked.beta.copy_(1 + randn(3 * num_parameters).abs())
    for rows in (True, False):
        z = randn(3, 6, 4) if rows else randn(3, 6, 4, 2, 2)
        stacked.beta.grad = None
        y = stacked(z) if rows else stacked(z.transpose(0, 1).flatten(1, 2))
        y.square().sum().backward()
        y = y if rows else y.unflatten(1, (3, 4)).transpose(0, 1)
        for k in range(3):
            one = layer(num_parameters=num_parameters, dtype=torch.float64)
            one.load_state_dict(extract(stacked.state_dict(), k, 3))
            alone = one(z[k])
            alone.square().sum().backward()
            torch.testing.assert_close(y[k], alone, rtol=1e-14, atol=1e-15)
            torch.testing.assert_close(
                per_network(stacked.beta.grad, 3)[k], one.beta.grad, rtol=1e-12, atol=0
            )


def test_stacked_swish_keeps_fixed_beta_a_buffer():
    stacked = stack_act(modules.NativeSwish(1.5, learnable=False), 4)
    assert not list(stacked.parameters())
    assert stacked.beta.tolist() == [1.5] * 4


@pytest.mark.parametrize("shape", [(2, 6, 4), (3, 6, 5), (6, 13, 2, 2), (12,)])
def test_stacked_swish_rejects_wrong_shapes(shape):
    with pytest.raises(ValueError, match=r"StackedSwish\(num_models=3, .* takes no z of shape"):
        StackedSwish(3, modules.Swish(num_parameters=4))(torch.zeros(shape))


def test_stack_act_leaves_what_has_no_state_and_rejects_other_parameters():
    act = nn.GELU()
    assert stack_act(act, 5) is act
    one = nn.PReLU()
    assert stack_act(one, 1) is one
    with pytest.raises(ValueError, match=r"num_models=5 needs .* or Swish; PReLU has \['weight'\]"):
        stack_act(one, 5)


class Scaled(nn.Module):
    """An activation that holds K networks by itself."""

    def __init__(self, num_models, parameter=True):
        super().__init__()
        self.num_models = num_models
        self.scale = nn.Parameter(torch.arange(1.0, num_models + 1)) if parameter else None

    def forward(self, z):
        if self.scale is None:
            return z.relu()
        return z.relu() * (self.scale if self.num_models == 1 else self.scale.reshape(-1, 1, 1))


@pytest.mark.parametrize("parameter", [True, False])
@pytest.mark.parametrize("num_models", [1, 3])
def test_stack_act_uses_what_holds_as_many_networks_as_it_is(num_models, parameter):
    act = Scaled(num_models, parameter)
    assert stack_act(act, num_models) is act
    other = 4 - num_models
    with pytest.raises(ValueError, match=f"num_models={other} cannot use Scaled of {num_models} networks"):
        stack_act(act, other)
    swish = StackedSwish(num_models, modules.Swish())
    assert stack_act(swish, num_models) is swish
    with pytest.raises(
        ValueError, match=f"num_models={other} cannot use StackedSwish of {num_models} networks"
    ):
        stack_act(swish, other)


def test_a_network_with_an_activation_that_holds_all_networks_and_grad():
    model = MLP(3, 2, width=4, depth=2, act_layer=lambda: Scaled(3), num_models=3).double()
    x = randn(6, 3)
    outputs = model(x)
    outputs[1].square().sum().backward()
    for k in range(3):
        one = MLP(3, 2, width=4, depth=2, act_layer=lambda: Scaled(1)).double()
        one.load_state_dict(extract(model.state_dict(), k, 3))
        torch.testing.assert_close(one(x), outputs[k], rtol=1e-13, atol=1e-14)
    touched = model.blocks[0].act.scale.grad != 0
    assert touched.tolist() == [False, True, False]
    with pytest.raises(ValueError, match="num_models=2 cannot use Scaled of 3 networks"):
        MLP(3, 2, depth=1, act_layer=lambda: Scaled(3), num_models=2)


def test_per_network_is_a_view():
    layer = StackedLinear(3, 5, 2)
    rows = per_network(layer.weight.data, 3)
    assert rows.shape == (3, 10)
    rows[1] = 7
    assert (layer.weight[1] == 7).all()
    assert (layer.weight[0] != 7).all()
    conv = nn.Conv2d(6, 12, 3, groups=3)
    assert torch.equal(per_network(conv.weight, 3)[2], conv.weight[8:].flatten())
    assert per_network(torch.zeros(0), 3).shape == (3, 0)


def test_per_network_rejects_what_it_cannot_divide():
    with pytest.raises(ValueError, match=r"shape \(4,\) has no 3 equal blocks"):
        per_network(torch.zeros(4), 3)
    with pytest.raises(ValueError, match=r"shape \(\) has no 3 equal blocks"):
        per_network(torch.zeros(()), 3)
    with pytest.raises(ValueError, match=r"strides \(1, 4\) is not contiguous"):
        per_network(torch.zeros(2, 4).T, 2)


def test_extract_copies_and_keeps_counters():
    norm = nn.BatchNorm2d(6)
    norm(torch.randn(4, 6, 2, 2))
    state = extract(norm.state_dict(), 1, 3)
    assert state["num_batches_tracked"] == 1
    assert torch.equal(state["running_mean"], norm.running_mean[2:4])
    state["running_mean"].zero_()
    assert norm.running_mean[2:4].abs().sum() > 0
    nn.BatchNorm2d(2).load_state_dict(state)


def test_extract_of_one_network_is_its_state():
    one = nn.Linear(3, 2)
    state = extract(one.state_dict(), 0, 1)
    assert torch.equal(state["weight"], one.weight)


def test_extract_names_what_does_not_fit():
    with pytest.raises(IndexError, match="no network 3 among 3"):
        extract({}, 3, 3)
    with pytest.raises(IndexError, match="no network -1 among 3"):
        extract({}, -1, 3)
    with pytest.raises(ValueError, match=r"'head.weight' has shape \(6, 4\): its first dimension is not 3"):
        extract({"head.weight": torch.zeros(6, 4)}, 0, 3)
    with pytest.raises(ValueError, match=r"'beta' has shape \(4,\): no 3 equal blocks"):
        extract({"beta": torch.zeros(4)}, 0, 3)
