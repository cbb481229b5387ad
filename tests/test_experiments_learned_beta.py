"""Chapter 13's experiment: its networks, what it watches, its grid."""

import json

import numpy as np
import pytest
import torch

from selfgated import data, moments
from selfgated.experiments import learned_beta as experiment
from selfgated.experiments.record import Record
from selfgated.stacked import extract, per_network

CONFIG = {
    "data": "digits",
    "setting": "BN, Adam",
    "starts": [0.0, 1.0, 2.0],
    "width": 4,
    "depth": 2,
    "steps": 7,
}


pytestmark = pytest.mark.usefixtures("one_thread")


def test_network_starts_have_their_betas_and_gains_and_the_weights_of_the_seed():
    model = experiment.network(CONFIG, (5, 6))
    betas = per_network(model.blocks[1].act.beta.detach(), 6)
    assert betas.tolist() == [[b] * 4 for b in (0.0, 0.0, 1.0, 1.0, 2.0, 2.0)]
    weights = per_network(model.blocks[1].layer.weight.detach(), 6)
    ratio = moments.forward_gain("swish", beta=2.0) / moments.forward_gain("swish", beta=0.0)
    for seed in (0, 1):
        assert torch.allclose(weights[4 + seed], ratio * weights[seed], rtol=1e-6)
    assert not torch.allclose(weights[0], weights[1])
    assert abs(weights[0].std().item() - 2 / 6) < 0.08  # the gain of z / 2 is 2, fan_in is 36


def test_fit_watches_the_betas_and_a_start_among_others_is_the_start_alone():
    model = experiment.network(CONFIG, (5, 6))
    _, step, betas = experiment.fit(model, CONFIG, (5, 6), "cpu")
    assert step == [0, 1, 2, 3, 4, 5, 6, 7]  # 10 records of 7 steps
    assert betas.shape == (8, 2, 6, 4)
    assert (betas[0] == np.repeat([0.0, 1.0, 2.0], 2)[None, :, None]).all()
    assert (abs(betas[1] - betas[0])[abs(betas[1] - betas[0]) > 1e-4] < 0.0031).all()  # Adam's first step
    assert (betas[-1] != betas[-2]).any()
    np.testing.assert_array_equal(
        betas[-1, 0], per_network(model.blocks[0].act.beta.detach().double(), 6).numpy()
    )
    alone = CONFIG | {"starts": [2.0]}
    single = experiment.network(alone, (6,))
    _, _, one = experiment.fit(single, alone, (6,), "cpu")
    np.testing.assert_allclose(betas[:, :, 5], one[:, :, 0], atol=1e-4)
    assert not model._forward_pre_hooks


@pytest.mark.parametrize("setting", ["decay", "rate x10", "no scale", "fixed", "no BN, Adam"])
def test_fit_settings_do_what_they_say(setting):
    config = CONFIG | {"setting": setting, "starts": [2.0], "steps": 4}
    model, plain = experiment.network(config, (0,)), experiment.network(CONFIG | {"starts": [2.0]}, (0,))
    _, _, betas = experiment.fit(model, config, (0,), "cpu", steps=4)
    _, _, reference = experiment.fit(plain, CONFIG | {"starts": [2.0]}, (0,), "cpu", steps=4)
    if setting == "decay":
        shrunk = 2 * (1 - 0.003 * 0.5) ** 4
        np.testing.assert_allclose(betas[-1] - reference[-1], shrunk - 2, rtol=0.2)
    elif setting == "rate x10":
        first = abs(betas[1] - 2)
        assert 0.0299 < first.max() < 0.0301
    elif setting == "no scale":
        assert all((block.norm.weight == 1).all() for block in model.blocks)
        assert any((block.norm.weight != 1).any() for block in plain.blocks)
    elif setting == "fixed":
        assert betas is None
        assert (model.blocks[0].act.beta == 2).all()
    else:
        assert model.blocks[0].norm is None


def test_preactivations_are_those_of_each_network_alone():
    config = CONFIG | {"setting": "no BN, Adam"}
    model, images = experiment.network(config, (5, 6)).train(), data.load("digits")
    layers = experiment.preactivations(model, images, count=30)
    assert model.training
    assert [tuple(z.shape) for z in layers] == [(6, 4, 30 * 16)] * 2
    alone = experiment.network(config | {"starts": [2.0]}, (6,))
    alone.load_state_dict(extract(model.state_dict(), 5, 6))
    x = torch.tensor((images.x_train[:30] - images.mean.item()) / images.std.item()).float()
    z = alone.blocks[0].layer(x)
    assert torch.allclose(layers[0][5], z.transpose(0, 1).flatten(1), atol=1e-5)
    z = alone.blocks[1].layer(alone.blocks[0].act(z))
    assert torch.allclose(layers[1][5], z.transpose(0, 1).flatten(1), atol=1e-5)


def test_run_rows_are_plain_and_networks_makes_a_row_of_each():
    rows = experiment.run(CONFIG, (5, 6), "cpu")
    rows = [CONFIG | row for row in json.loads(json.dumps(rows))]
    found = experiment.networks(Record({"experiment": "learned_beta"}, tuple(rows)))
    assert [(row["seed"], row["start"]) for row in found.rows] == [(s, b) for s in (5, 6) for b in (0, 1, 2)]
    one = found.select(start=1.0, seed=6)[0]
    assert np.shape(one["trace"]) == (8, 2, 3)
    assert np.shape(one["beta"]) == np.shape(one["spread"]) == (2, 4)
    np.testing.assert_allclose(
        np.quantile(one["beta"], 0.5, axis=1), np.array(one["trace"])[-1, :, 1], rtol=6e-3
    )
    total = (np.array(one["density"]) * np.diff(experiment.EDGES)).sum(axis=1)
    np.testing.assert_allclose(total, 1, atol=2e-3)
    assert all(
        small <= bump <= 1 - below
        for small, bump, below in zip(one["small"], one["bump"], one["below"], strict=True)
    )
    assert "density" not in found.select(start=2.0)[0]


def test_unknown_setting_names_the_choices():
    with pytest.raises(ValueError, match=r"unknown setting 'BN'; choose from \['BN, Adam', "):
        experiment.network(CONFIG | {"setting": "BN"}, (0,))
