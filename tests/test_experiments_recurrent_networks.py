"""The parts of chapter 12's experiment: its data, its measure of a lag, its grids."""

import json

import numpy as np
import pytest
import torch

from selfgated import data, moments
from selfgated.experiments import recurrent_networks as experiment
from selfgated.models import RNN


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_delayed_digits_rows_then_noise():
    x, y, x_test, y_test = experiment.delayed_digits(25, steps=300)
    digits = data.load("digits")
    assert x.shape == (7 * 1437, 33, 8)  # 300 batches of 32 need 6.7 times the images
    assert x_test.shape == (360, 33, 8)
    rows = (digits.x_train[:, 0] - digits.x_train.mean()) / digits.x_train.std()
    np.testing.assert_allclose(x[:1437, :8].numpy(), rows, rtol=1e-6, atol=1e-6)
    assert torch.equal(x[:1437, :8], x[1437:2874, :8])
    assert torch.equal(y[:1437], y[1437:2874])
    assert torch.equal(y_test, torch.from_numpy(digits.y_test))
    assert abs(x[:, 8:].std().item() / experiment.NOISE - 1) < 0.01


def test_delayed_digits_noise_is_never_repeated():
    x = experiment.delayed_digits(3, steps=100)[0][:, 8:].reshape(-1, 24)
    assert len(torch.unique(x, dim=0)) == len(x)


def test_lag_gradients_of_linear_network_are_powers_of_rho():
    model = RNN(
        4, 32, 1, act_layer="identity", rho=0.9, num_models=2, generator=[generator(0), generator(1)]
    ).double()
    x = torch.randn(2, 3, 20, 4, generator=generator()).double()
    norms = experiment.lag_gradients(model, x, wrt="state", generator=generator())
    assert norms.shape == (2, 3, 20)
    torch.testing.assert_close(norms[..., :-1] / norms[..., 1:], torch.full((2, 3, 19), 0.9).double())
    torch.testing.assert_close(experiment.rate(norms), torch.full((2,), 0.9).double())


def test_lag_gradients_of_input_are_those_of_state_through_input_weights():
    model = RNN(4, 4, 1, act_layer="identity", rho=1.0, generator=generator()).double()
    with torch.no_grad():
        model.weight_ih.copy_(torch.eye(4))
    x = torch.randn(1, 3, 6, 4, generator=generator()).double()
    by_state, by_input = (
        experiment.lag_gradients(model, x, wrt=wrt, generator=generator()) for wrt in ("state", "input")
    )
    torch.testing.assert_close(by_state, by_input)


def test_lag_gradients_unknown_wrt():
    with pytest.raises(ValueError, match=r"unknown wrt 'weights'; choose from \['state', 'input'\]"):
        experiment.lag_gradients(RNN(1, 2, 1), torch.ones(1, 1, 2, 1), wrt="weights", generator=generator())


def test_lag_factor_is_that_of_mean_field_theory():
    config = {"act": "tanh", "init": "orthogonal", "rho": 1.1, "scale": 0.3}
    config |= {"width": 128, "inputs": 128, "lag": 40, "samples": 4}
    rows = experiment.lag(config, (100, 101), "cpu")
    theory = moments.chi("tanh", moments.q_star("tanh", 1.1**2, 0.3**2), 1.1**2) ** 0.5
    assert all(abs(row["factor"] / theory - 1) < 0.02 for row in rows)
    assert rows[0] != rows[1]
    assert experiment.lag(config, (101,), "cpu")[0]["factor"] == pytest.approx(rows[1]["factor"], rel=1e-6)


def test_run_retention_bias_raises_the_factor():
    config = {**experiment.PLAIN, **experiment.ADAM, "cell": "gru", "width": 16, "steps": 2, "delay": 10}
    factors = [experiment.run({**config, "bias": b}, (0, 1), "cpu")[0]["factor"] for b in (0.0, 3.0)]
    assert factors[0] < 0.85 < 0.93 < factors[1] < 1


@pytest.mark.parametrize("profile", experiment.BUDGET)
def test_units_differ_and_are_json(profile):
    units = experiment.units(profile)
    assert len({json.dumps(config, sort_keys=True) for config, _ in units}) == len(units)
    assert {config["part"] for config, _ in units} == {"lag", "delay", "clip"}


def test_units_unknown_profile():
    with pytest.raises(ValueError, match=r"unknown profile 'huge'; choose from \['tiny', 'quick', 'full'\]"):
        experiment.units("huge")
