import math

import numpy as np
import pytest
import torch

from selfgated import init, moments
from selfgated.experiments import signal_propagation as experiment


def by_hand(model, x, seed):
    """Pre-activations and dL/dz of one fully connected tanh network, by the chain rule in NumPy."""
    weights = [block.layer.weight.detach().numpy()[0] for block in model.blocks]
    biases = [block.layer.bias.detach().numpy()[0] for block in model.blocks]
    head = model.head.weight.detach().numpy()[0]
    a, z = x, []
    for w, b in zip(weights, biases, strict=True):
        z.append(a @ w.T + b)
        a = np.tanh(z[-1])
    back = (
        np.random.default_rng([seed, 2]).standard_normal((len(x), len(head))) @ head
    )  # dL/da of the last layer
    deltas = []
    for w, values in zip(reversed(weights), reversed(z), strict=True):
        deltas.insert(0, back / np.cosh(values) ** 2)
        back = deltas[0] @ w
    return z, deltas


def test_signals_against_the_chain_rule_by_hand():
    seeds = (3, 4)
    model, x = experiment.network("fc", "tanh", "default", 4, width=6, seeds=seeds)
    q, delta = experiment.signals(model, x, seeds=seeds)
    z, deltas = by_hand(model, x[0].numpy(), seeds[0])
    assert q[0] == pytest.approx([np.mean(values**2) for values in z], rel=1e-12)
    assert delta[0] == pytest.approx([np.mean(d**2) ** 0.5 for d in deltas], rel=1e-12)
    assert all(p.grad is None for p in model.parameters())
    assert not any(block.act._forward_pre_hooks for block in model.blocks)


@pytest.mark.parametrize("kind", experiment.KINDS)
def test_network_depends_on_its_own_seed_alone(kind):
    def of(seeds):
        model, x = experiment.network(kind, "silu", "own", 3, width=4, seeds=seeds, size=4)
        return experiment.signals(model, x, seeds=seeds)

    many, one = of((5, 6, 7)), of((6,))
    for group, alone in zip(many, one, strict=True):
        assert group[1] == pytest.approx(alone[0], rel=1e-12)
        assert group[0] != pytest.approx(alone[0], rel=1e-3)


def test_rate_is_geometric():
    delta = np.array([[8.0, 4.0, 2.0, 1.0], [1e-6, 7.0, 1e-5, 1e-3]])
    assert experiment.rate(delta) == pytest.approx([2.0, 0.1])


@pytest.mark.parametrize("size", [2, 4, 8, 13])
def test_averaging_largest_eigenvalue_is_lambda(size):
    values = np.linalg.eigvalsh(experiment.averaging(size))
    assert values[-1] == pytest.approx((1 + 2 * math.cos(math.pi / (size + 1))) / 3, rel=1e-14)
    if size > 2:
        assert experiment.averaging(size, padding="circular").sum(0) == pytest.approx(1)


@pytest.mark.parametrize("kind", ["fc", "circular"])
def test_expected_without_a_border_is_that_of_moments(kind):
    q, rate = experiment.expected(kind, "gelu", "he", 9, width=32)
    found = moments.propagate("gelu", 9, 2.0, q0=1.0)
    assert (q == found.q).all()
    assert rate == found.rate


@pytest.mark.parametrize("kind", ["circular", "zeros"])
@pytest.mark.parametrize("scheme", ["xavier", "default"])
def test_expected_is_the_mean_over_linear_networks(kind, scheme):
    # For the identity the prediction is exact at any width: average the squares of many small networks.
    seeds = range(400)
    model, x = experiment.network(kind, "identity", scheme, 4, width=6, seeds=seeds, size=4)
    q, delta = experiment.signals(model, x, seeds=seeds)
    expected_q, rate = experiment.expected(kind, "identity", scheme, 4, width=6, size=4)
    assert q.mean(0) == pytest.approx(expected_q, rel=0.1)
    measured = ((delta[:, 0] ** 2).mean() / (delta[:, -1] ** 2).mean()) ** (1 / 6)
    assert measured == pytest.approx(rate, rel=0.02)


def test_expected_zero_padding_tends_to_lambda():
    size = 5
    largest = (1 + 2 * math.cos(math.pi / (size + 1))) / 3
    _, short = experiment.expected("zeros", "relu", "he", 80, width=8, size=size)
    _, long = experiment.expected("zeros", "relu", "he", 81, width=8, size=size)
    assert long**80 / short**79 == pytest.approx(largest, rel=1e-9)


@pytest.mark.parametrize("name", ["sigmoid", "tanh"])
def test_measured_rate_is_near_the_expected_one(name):
    seeds = range(30, 34)
    for kind, width, size in (("fc", 96, 8), ("zeros", 12, 6)):
        model, x = experiment.network(kind, name, "xavier", 20, width=width, seeds=seeds, size=size)
        found = experiment.rate(experiment.signals(model, x, seeds=seeds)[1])
        _, expected = experiment.expected(kind, name, "xavier", 20, width=width, size=size)
        assert np.abs(found / expected - 1).max() < 0.08


def test_pair_gaps_follow_the_correlation_map():
    gaps = experiment.pair_gaps("relu", 2.0, 0.0, q=1.0, width=1024, depth=3, start=0.3, seeds=range(6))
    assert gaps.shape == (6, 3)
    assert gaps[:, 0] == pytest.approx(0.3, rel=1e-12)
    expected = moments.correlation_gap("relu", 0.3, 1.0, 2.0)
    assert gaps[:, 1].mean() == pytest.approx(expected, rel=0.05)
    assert gaps[:, 2].mean() == pytest.approx(moments.correlation_gap("relu", expected, 1.0, 2.0), rel=0.1)


def test_digits_28_are_enlarged():
    x = experiment.digits_28()
    assert x.shape == (1797, 784)
    assert (x.min(), x.max()) == (-1, 1)
    first = x[0].reshape(28, 28)
    assert (first[:, :3] == first[:, :1]).all()  # 28 / 8 = 3.5: columns 0 to 3 are the first pixel


def test_relu_states_against_a_loop():
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((40, 30)).astype(np.float32))
    found = experiment.relu_states(x, weights="he", biases=False, seed=1)
    model = torch.nn.Sequential(
        *(torch.nn.Linear(a, b) for a, b in zip((30, *experiment.WIDTHS), experiment.WIDTHS, strict=False))
    )
    init.scheme_(model, "he", seeds=[1])
    h = x
    for layer, dead, on in zip(model, found["dead"], found["on"], strict=True):
        z = layer(h)
        h = torch.relu(z)
        assert dead == sum(bool((column <= 0).all()) for column in z.T)
        assert on == sum(bool((column > 0).all()) for column in z.T)
    assert max(found["varying"]) <= 1


def test_relu_states_without_biases_do_not_see_the_scale():
    x = experiment.digits_28()[:200]
    options = {"weights": "default", "biases": False, "seed": 2}
    plain = experiment.relu_states(x, **options)
    assert experiment.relu_states(x, **options, scale=8.0)["dead"] == plain["dead"]
    biased = experiment.relu_states(x, weights="default", biases=True, seed=2)
    assert biased["dead"][-1] > 1.4 * plain["dead"][-1]
    assert biased["varying"][-1] < 1e-3 < plain["varying"][-1]


def test_units_cover_the_chapter():
    quick = experiment.units("quick")
    cells = {(c["act"], c["scheme"], c["depth"], c["kind"]) for c, _ in quick if c["part"] == "decay"}
    assert len(cells) == 15 * 4 * 3 * 3
    assert min(len(seeds) for _, seeds in quick) >= 5
    tiny = experiment.units("tiny")
    assert {c["part"] for c, _ in tiny} == {c["part"] for c, _ in quick} == {"decay", "pair", "dead"}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: experiment.units("huge"), "unknown profile 'huge'; choose from"),
        (lambda: experiment.sigma_w2("relu", "hee"), "unknown scheme 'hee'; choose from"),
        (
            lambda: experiment.network("cnn", "relu", "he", 2, width=4, seeds=[0]),
            "unknown kind 'cnn'; choose from",
        ),
        (
            lambda: experiment.relu_states(torch.zeros(2, 4), weights="hee", biases=True, seed=0),
            "unknown weights 'hee'; choose from",
        ),
    ],
)
def test_signal_propagation_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
