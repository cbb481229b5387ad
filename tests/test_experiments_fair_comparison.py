"""The design of chapter 10's fair comparison: what is paired, what is nested in what."""

import numpy as np
import pytest
import torch

from selfgated import moments
from selfgated.experiments import fair_comparison as experiment


@pytest.fixture
def started(monkeypatch):
    """Collects, instead of training, the models and data sets that `run` would train."""
    seen = []

    class Untrained:
        def rows(self):
            return []

    def fit(model, images, **options):
        seen.append((model, images, options))
        return Untrained()

    monkeypatch.setattr(experiment.train, "fit", fit)
    return seen


@pytest.mark.parametrize("profile", ["tiny", "quick", "full"])
def test_units_pair_activations_and_nest_seeds_in_splits(profile):
    units = experiment.units(profile)
    cells = {(c["norm"], c["act"], c["split"]): seeds for c, seeds in units}
    splits = {split for _, _, split in cells}
    assert len(cells) == len(units) == len(experiment.NORMS) * len(experiment.ACTS) * len(splits)
    by_split = {split: {seeds for (*_, s), seeds in cells.items() if s == split} for split in splits}
    assert all(len(found) == 1 for found in by_split.values())
    drawn = [seed for found in by_split.values() for seeds in found for seed in seeds]
    assert len(set(drawn)) == len(drawn)


def test_run_pairs_start_from_the_same_numbers(started):
    config, seeds = experiment.units("tiny")[0]
    for act in ("relu", "silu"):
        experiment.run(config | {"act": act}, seeds, "cpu")
    relu, silu = (model.blocks[2].layer.weight for model, *_ in started)
    ratio = moments.forward_gain("silu") / moments.forward_gain("relu")
    torch.testing.assert_close(silu, relu * ratio)
    assert started[0][2]["seeds"] == started[1][2]["seeds"] == seeds


def test_run_takes_the_split_and_the_norm_of_its_configuration(started):
    for split, norm in ((0, "batch"), (1, "none")):
        config = next(c for c, _ in experiment.units("tiny") if (c["split"], c["norm"]) == (split, norm))
        experiment.run(config, (0, 1), "cpu")
    (normed, first, _), (plain, second, _) = started
    assert normed.blocks[0].norm is not None
    assert plain.blocks[0].norm is None
    assert not np.array_equal(first.x_test, second.x_test)


def test_run_rows_one_for_each_seed():
    config, seeds = experiment.units("tiny")[0]
    rows = experiment.run(config, seeds, "cpu")
    assert [row["seed"] for row in rows] == list(seeds)
    assert all(0 <= row["test_accuracy"] <= 1 for row in rows)
