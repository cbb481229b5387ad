"""The parts of chapter 11's experiment: its measure of signal and gradient, its choice of a rate, grids."""

import json

import numpy as np
import pytest
import torch

from selfgated import data, init, models, train
from selfgated.experiments import remedies

SHAPE = {"depth": 4, "width": 4}


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


def test_signals_of_orthogonal_linear_network_are_kept(digits):
    model = models.MLP(64, 10, width=64, depth=5, act_layer="identity", num_models=3)
    for block in model.blocks:
        block.layer.bias.data.zero_()
        for k in range(3):
            torch.nn.init.orthogonal_(block.layer.weight.data[k], generator=torch.Generator().manual_seed(k))
    found = remedies.signals(model, digits)
    np.testing.assert_allclose(found["forward"], 1, rtol=1e-6)
    np.testing.assert_allclose(found["backward"], 1, rtol=1e-6)


@pytest.mark.parametrize("factor", [0.25, 3.0])
def test_signals_factors_are_those_of_the_weights(digits, factor):
    model = models.MLP(64, 10, width=64, depth=5, act_layer="identity", num_models=2)
    init.scheme_(model, "xavier", seeds=(0, 1))
    before = remedies.signals(model, digits)
    for block in model.blocks[1:]:
        block.layer.weight.data *= factor
    after = remedies.signals(model, digits)
    np.testing.assert_allclose(after["forward"], factor * before["forward"], rtol=1e-6)
    # Not exactly: another output weighs the images differently.
    np.testing.assert_allclose(after["backward"], factor * before["backward"], rtol=0.05)


@pytest.mark.parametrize("remedy", ["BN", "residual"])
def test_signals_network_of_several_is_that_of_one(digits, remedy):
    together = remedies.signals(remedies.network("gelu", remedy, seeds=(3, 4), **SHAPE), digits)
    alone = remedies.signals(remedies.network("gelu", remedy, seeds=(4,), **SHAPE), digits)
    for name in ("forward", "backward"):
        np.testing.assert_allclose(together[name][1], alone[name][0], rtol=1e-6)
    assert together["spread"].shape == together["delta"].shape == (4, 2)


def test_signals_gradient_norm_is_that_of_autograd(digits):
    model = remedies.network("tanh", "default", seeds=(0,), **SHAPE).double()
    x = (digits.x_train[:64] - digits.mean.reshape(-1, 1, 1)) / digits.std.reshape(-1, 1, 1)
    z = model.blocks[0].layer(torch.tensor(x)).detach().requires_grad_()
    h = model.blocks[0].act(z)
    for block in model.blocks[1:]:
        h = block(h)
    train.cross_entropy(model.head(h.flatten(1)), torch.tensor(digits.y_train[:64])).backward()
    expected = z.grad.norm().item()
    assert remedies.signals(model, digits)["delta"][0, 0] == pytest.approx(expected, rel=1e-9)


def test_signals_leaves_the_model(digits):
    model = remedies.network("relu", "BN", seeds=(0, 1), **SHAPE).eval()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    remedies.signals(model, digits)
    assert not model.training
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert all(not block.act._forward_pre_hooks for block in model.blocks)


def row(seed, **runs):
    return {"seed": seed, "runs": [{"lr": lr, "train_loss": loss} for lr, loss in runs.values()]}


def test_best_rate_is_that_of_the_smallest_training_loss():
    rows = [row(1, a=(0.1, 2.0), b=(0.3, 1.0)), row(0, a=(0.1, 1.0), b=(0.3, 1.5))]
    best = remedies.best_rate(rows)
    assert [(r["seed"], r["lr"], r["train_loss"]) for r in best] == [(0, 0.3, 1.5), (1, 0.3, 1.0)]


def test_best_rate_one_spike_decides_nothing():
    rows = [row(k, a=(0.1, loss), b=(0.3, 2.3)) for k, loss in enumerate((0.5, 40.0, 0.6))]
    assert {r["lr"] for r in remedies.best_rate(rows)} == {0.1}


def test_best_rate_prefers_networks_that_do_not_diverge():
    rows = [row(k, a=(0.1, 2.0), b=(0.3, loss)) for k, loss in enumerate((None, None, 0.1))]
    assert {r["lr"] for r in remedies.best_rate(rows)} == {0.1}
    assert remedies.best_rate([row(0, a=(0.1, None), b=(0.3, None))])[0]["lr"] == 0.1


def test_run_rates_and_seeds_are_not_mixed_up():
    config = {**SHAPE, "act": "tanh", "remedy": "own + clip", "steps": 4, "batch_size": 16}
    both = remedies.run({**config, "rates": [0.01, 0.3]}, (5, 6), "cpu")
    one = remedies.run({**config, "rates": [0.3]}, (6,), "cpu")
    assert [r["seed"] for r in both] == [5, 6]
    found, expected = both[1]["runs"][1], one[0]["runs"][0]
    assert found["lr"] == expected["lr"] == 0.3
    assert found["train_loss"] == pytest.approx(expected["train_loss"], rel=1e-5)
    assert found["moved"] == pytest.approx(expected["moved"], rel=1e-3)
    assert both[1]["forward"] == pytest.approx(one[0]["forward"], rel=1e-3)
    assert both[0]["forward"] != both[1]["forward"]


@pytest.mark.parametrize("profile", remedies.BUDGET)
def test_units_differ_and_are_json(profile):
    units = remedies.units(profile)
    assert len({json.dumps(config, sort_keys=True) for config, _ in units}) == len(units)
    assert {config["remedy"] for config, _ in units} == set(remedies.REMEDIES)


def test_units_unknown_profile():
    with pytest.raises(ValueError, match=r"unknown profile 'huge'; choose from \['tiny', 'quick', 'full'\]"):
        remedies.units("huge")


def test_choices_unknown_remedy():
    with pytest.raises(ValueError, match=r"unknown remedy 'prayer'; choose from \['default', "):
        remedies.choices("prayer")
