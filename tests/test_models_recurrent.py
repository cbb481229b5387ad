"""Recurrent cells: equal to torch's own with the same weights, and free where torch's are not."""

import pytest
import torch
from torch import nn

from selfgated.models import RNN
from selfgated.stacked import extract

TORCH = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
LAYER = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed))


def twins(cell, dtype=torch.float32):
    """Our layer and torch's with the same weights; biases are not 0."""
    ours = RNN(5, 16, 3, cell=cell, generator=generator()).to(dtype)
    torchs = TORCH[cell](5, 16, batch_first=True, dtype=dtype)
    with torch.no_grad():
        ours.bias_ih.copy_(noise(ours.bias_ih.numel(), seed=1))
        ours.bias_hh.copy_(noise(ours.bias_hh.numel(), seed=2))
        for name in LAYER:
            getattr(torchs, f"{name}_l0").copy_(getattr(ours, name))
    return ours, torchs


@pytest.mark.parametrize("cell", TORCH)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-14)])
def test_rnn_equals_torch_forward_and_backward(cell, dtype, tolerance):
    ours, torchs = twins(cell, dtype)
    x, upstream = noise(4, 20, 5).to(dtype), noise(4, 20, 16, seed=3).to(dtype)
    inputs = [x.clone().requires_grad_() for _ in range(2)]
    outputs = [ours.states(inputs[0]), torchs(inputs[1])[0]]
    torch.testing.assert_close(*outputs, rtol=0, atol=tolerance)
    for output in outputs:
        (output * upstream).sum(-1).mean().backward()
    pairs = [(x.grad for x in inputs)] + [
        (getattr(ours, name).grad, getattr(torchs, f"{name}_l0").grad) for name in LAYER
    ]
    for one, two in pairs:
        assert one.abs().max() > 1e-3
        torch.testing.assert_close(one, two, rtol=0, atol=tolerance)


@pytest.mark.parametrize("cell", TORCH)
def test_rnn_default_draws_torch_weights_from_same_seed(cell):
    torch.manual_seed(7)
    layer, head = TORCH[cell](5, 16), nn.Linear(16, 3)
    ours = RNN(5, 16, 3, cell=cell, recurrent_init="default", generator=generator(7))
    for name in LAYER:
        assert torch.equal(getattr(ours, name), getattr(layer, f"{name}_l0")), name
    torch.testing.assert_close(ours.head.weight, head.weight)
    torch.testing.assert_close(ours.head.bias, head.bias)


@pytest.mark.parametrize("cell", TORCH)
@pytest.mark.parametrize("act_layer", ["silu", "gelu", nn.Mish])
def test_rnn_gradcheck_with_other_activations(cell, act_layer):
    model = RNN(2, 3, 2, cell=cell, act_layer=act_layer, generator=generator()).double()
    x = noise(2, 4, 2).double().requires_grad_()
    assert torch.autograd.gradcheck(model, x)


@pytest.mark.parametrize("cell", TORCH)
@pytest.mark.parametrize(("act_layer", "f"), [("silu", nn.functional.silu), (nn.GELU, nn.functional.gelu)])
def test_rnn_first_step_by_hand_with_other_activations(cell, act_layer, f):
    model = RNN(5, 16, 3, cell=cell, act_layer=act_layer, generator=generator()).double()
    x = noise(4, 1, 5).double()
    blocks = (x[:, 0] @ model.weight_ih.T).split(16, dim=1)
    if cell == "rnn":
        h = f(blocks[0])
    elif cell == "lstm":
        h = blocks[3].sigmoid() * f(blocks[0].sigmoid() * f(blocks[2]))
    else:
        h = (1 - blocks[1].sigmoid()) * f(blocks[2])
    torch.testing.assert_close(model.states(x)[:, 0], h, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("cell", TORCH)
@pytest.mark.parametrize("shared", [True, False])
def test_rnn_network_among_many_is_the_single_one(cell, shared):
    options = {"cell": cell, "recurrent_init": "gaussian", "rho": 1.2}
    many = RNN(5, 16, 3, num_models=3, generator=[generator(s) for s in (4, 5, 6)], **options)
    x = noise(7, 10, 5) if shared else noise(3, 7, 10, 5)
    output, states = many(x), many.states(x)
    assert output.shape == (3, 7, 3)
    assert states.shape == (3, 7, 10, 16)
    output.square().sum().backward()
    for k in range(3):
        one = RNN(5, 16, 3, generator=generator(4 + k), **options)
        for name, tensor in extract(many.state_dict(), k, 3).items():
            assert torch.equal(tensor, one.state_dict()[name]), name
        own = x if shared else x[k]
        torch.testing.assert_close(one(own), output[k], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(one.states(own), states[k], rtol=1e-5, atol=1e-6)
        one(own).square().sum().backward()
        torch.testing.assert_close(one.weight_hh.grad, many.weight_hh.grad[k], rtol=1e-4, atol=1e-5)


def test_rnn_networks_do_not_mix():
    many = RNN(5, 16, 3, cell="gru", num_models=3, act_layer="swish")
    x = noise(3, 7, 10, 5).requires_grad_()
    many(x)[1].sum().backward()
    for name, parameter in many.named_parameters():
        grad = parameter.grad.reshape(3, -1)
        assert grad[1].abs().max() > 0, name
        assert grad[[0, 2]].abs().max() == 0, name
    assert x.grad[[0, 2]].abs().max() == 0


def test_rnn_orthogonal_blocks():
    weight = RNN(5, 32, 3, cell="gru", rho=1.5, generator=generator()).weight_hh.double()
    for block in weight.split(32):
        torch.testing.assert_close(block @ block.T, 2.25 * torch.eye(32).double(), rtol=0, atol=1e-5)


def test_rnn_gaussian_spectral_radius_is_rho():
    radius = [
        torch.linalg.eigvals(
            RNN(1, 256, 1, recurrent_init="gaussian", rho=1.5, generator=generator(s)).weight_hh
        )
        .abs()
        .max()
        .item()
        for s in range(4)
    ]
    assert max(abs(r / 1.5 - 1) for r in radius) < 0.1


@pytest.mark.parametrize("bias", [0.0, 3.0])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_rnn_state_decays_as_sigmoid_of_retention_bias(cell, bias):
    x = torch.cat([noise(8, 5, 5), torch.zeros(8, 11, 5)], dim=1).double()
    model = RNN(5, 16, 3, cell=cell, rho=0.0, retention_bias=bias, generator=generator()).double()
    states = model.states(x)
    # without input and recurrent weights a GRU multiplies h by sigma(bias), an LSTM c, with h = tanh(c) / 2
    held = torch.atanh(2 * states) if cell == "lstm" else states
    kept = torch.sigmoid(torch.tensor(bias).double())
    torch.testing.assert_close(held[:, 15], kept**10 * held[:, 5], rtol=1e-9, atol=0)


@pytest.mark.parametrize("cell", TORCH)
def test_rnn_unroll_gives_nodes_of_the_graph(cell):
    model = RNN(5, 16, 3, cell=cell)
    states = model.unroll(noise(4, 10, 5))
    grads = torch.autograd.grad(states[-1].sum(), states)
    assert len(states) == 10
    assert all(grad.shape == (1, 4, 16) and grad.abs().max() > 0 for grad in grads)


@pytest.mark.parametrize("models", [1, 3])
def test_rnn_shapes_with_a_batch_each(models):
    model = RNN(5, 16, 3, num_models=models)
    assert model(noise(models, 4, 10, 5)).shape == (models, 4, 3)
    assert model.states(noise(models, 4, 10, 5)).shape == (models, 4, 10, 16)
    for shape in ((4, 10, 6), (2, 4, 10, 5), (4, 5), (4, 0, 5)):
        with pytest.raises(ValueError, match=rf"the input has shape \({shape[0]}, "):
            model(torch.zeros(shape))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cell": "ltsm"}, r"unknown cell 'ltsm'; choose from \['rnn', 'lstm', 'gru'\]"),
        ({"recurrent_init": "he"}, r"unknown recurrent_init 'he'; choose from \['orthogonal'"),
        ({"act_layer": "gleu"}, "unknown activation 'gleu'"),
        ({"rho": float("nan")}, "rho must be finite and at least 0, not nan"),
        ({"rho": 1.5, "recurrent_init": "default"}, "takes no rho, not 1.5"),
        ({"retention_bias": 3.0}, "cell='rnn' has no gate for a retention_bias of 3.0"),
        ({"num_models": 0}, "num_models must be a positive integer, not 0"),
        ({"num_models": 2, "generator": [generator()]}, "1 generators for num_models = 2"),
    ],
)
def test_rnn_bad_option(options, message):
    with pytest.raises(ValueError, match=message):
        RNN(5, 16, 3, **options)
