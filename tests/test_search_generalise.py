"""Whether a ranking survives: the numbers, and the experiment that makes them."""

import functools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from selfgated import experiments, init, models, moments, search, statistics
from selfgated.experiments import record as recording
from selfgated.experiments import search_generalisation as experiment
from selfgated.search import generalise, parse
from selfgated.stacked import per_network

ROOT = Path(__file__).resolve().parents[1]
GENERATOR = np.random.default_rng(0)


def expressions(*texts):
    return [parse(text) for text in texts]


def test_top_counts_multiples_and_mirror_images_once():
    swish = ("x*sigmoid(x)", "x*sigmoid(-x)", "-3*(x*sigmoid(beta*x))")
    found = expressions("sin(x)", *swish, "cos(x)", "-x*sigmoid(-x)", "cos(x)/(beta + eps)")
    assert generalise.top(found, [0.5, 0.9, 0.95, 0.8, 0.7, 0.9, 0.6], 3) == [2, 4, 0]
    assert generalise.top(found, [0.5, 0.9, 0.9, 0.8, 0.7, 0.9, 0.6], 1) == [1]
    with pytest.raises(ValueError, match=r"3 functions differ by more than .* image, fewer than 4"):
        generalise.top(found, np.zeros(7), 4)
    with pytest.raises(ValueError, match=r"7 expressions need as many scores, got shape \(2,\)"):
        generalise.top(found, [1, 2], 1)


def test_top_ranks_nan_last_and_takes_expressions_without_a_value():
    found = expressions("log(x)", "x", "x/(x - x)", "tanh(x)", "x - x")
    assert generalise.top(found, [np.nan, 0.1, 0.3, 0.2, 0], 5) == [2, 3, 1, 4, 0]


def test_ranks_and_spearman_agree_with_scipy():
    for ties in (False, True):
        a, b = GENERATOR.normal(size=(2, 40))
        if ties:
            a, b = a.round(), b.round()
        np.testing.assert_array_equal(generalise.ranks(a), stats.rankdata(-a))
        np.testing.assert_allclose(generalise.spearman(a, b), stats.spearmanr(a, b).statistic, rtol=1e-12)
    assert np.isnan(generalise.spearman([1, 1, 1], [1, 2, 3]))
    with pytest.raises(ValueError, match="a and b must be pairs, got shapes"):
        generalise.spearman([1, 2, 3], [1, 2])


def test_agreement_interval_covers_the_correlation_of_the_population():
    """Bivariate normal abilities with r = 0.6 have a rank correlation of 6 / pi asin(r / 2)."""
    r = 0.6
    true = 6 / np.pi * np.arcsin(r / 2)
    hits = 0
    for trial in range(200):
        a, other = np.random.default_rng(trial).normal(size=(2, 40))
        found = generalise.agreement(a, r * a + np.sqrt(1 - r * r) * other, seed=trial, resamples=300)
        assert found.low < found.rho < found.high
        hits += found.low < true < found.high
    assert 175 <= hits < 200  # of 200 trials at 0.95 fewer have probability 1e-4, and 200 hits 4e-5


def test_agreement_needs_the_same_functions():
    a, b = GENERATOR.normal(size=(2, 8))
    assert generalise.agreement(a, a, resamples=50) == pytest.approx((1, 1, 1, 8))
    assert generalise.agreement(a, b, resamples=50) == generalise.agreement(a, b, resamples=50)
    for m, n in ((7, 8), (3, 3)):
        with pytest.raises(ValueError, match=f"same functions, at least 4, got {m} and {n}"):
            generalise.agreement(a[:m], b[:n])
    with pytest.raises(ValueError, match="a must be finite, got nan"):
        generalise.agreement(np.full(8, np.nan), b)
    with pytest.raises(ValueError, match="a must have 1 dimension"):
        generalise.agreement(np.zeros((3, 8)), b)


def test_ceiling_is_what_a_repetition_gives():
    generator = np.random.default_rng(1)
    ability = generator.normal(size=300)
    for noise in (0.3, 1.5):
        first, second = ability + noise * generator.normal(size=(2, 8, 300))
        repeated = generalise.spearman(first.mean(axis=0), second.mean(axis=0))
        assert generalise.ceiling(first) == pytest.approx(repeated, abs=0.05)
    with pytest.raises(ValueError, match="at least 2 seeds, got 1"):
        generalise.ceiling(np.zeros((1, 5)))


def test_contrasts_are_paired_and_corrected():
    scores = GENERATOR.normal(size=(6, 4))
    scores[:, 2] = scores[:, 0] + 1 + 0.01 * GENERATOR.normal(size=6)
    found = generalise.contrasts(scores, ["a", "b", "c", "d"], "a")
    assert [one.name for one in found] == ["b", "c", "d"]
    pairs = [statistics.paired(scores[:, k], scores[:, 0]) for k in (1, 2, 3)]
    assert [one[1:5] for one in found] == [pair[:4] for pair in pairs]
    np.testing.assert_array_equal(
        [one.adjusted for one in found], statistics.holm([pair.p for pair in pairs])
    )
    assert found[1].adjusted < 1e-4 < found[0].adjusted
    with pytest.raises(ValueError, match="unknown reference 'relu'; choose from"):
        generalise.contrasts(scores, ["a", "b", "c", "d"], "relu")
    with pytest.raises(ValueError, match="4 functions need as many names, got 2"):
        generalise.contrasts(scores, ["a", "b"], "a")


def test_difference_interval_is_that_of_the_normal_approximation():
    first, second = GENERATOR.normal(1, 1, 200), GENERATOR.normal(0, 2, 300)
    found = generalise.difference(first, second)
    half = 1.96 * np.sqrt(first.var() / 200 + second.var() / 300)
    assert found.mean == pytest.approx(first.mean() - second.mean())
    np.testing.assert_allclose([found.mean - found.low, found.high - found.mean], half, rtol=0.1)


def test_best_rates_go_by_the_mean_over_seeds():
    validation = np.array([[[0.9, 0.1], [0.1, 0.2]], [[0.6, 0.1], [0.6, 0.2]]])
    assert generalise.best_rates(validation).tolist() == [1, 0]


@pytest.fixture
def table(tmp_path, monkeypatch):
    """A table of all functions whose scores are known: the named ones first, then by number."""
    index = [group[0] for group in search.distinct()]
    score = np.linspace(0.8, 0.5, len(index))
    accuracy = np.array([score, score[::-1]])
    accuracy[:, search.Table(index, accuracy).row("min(x, sin(x))")] = 1.0
    rows = [
        {"gain": "he", "block": 0, "seed": seed, "index": index, "accuracy": list(accuracy[seed])}
        | {"loss": [0.0] * len(index), "diverged_at": [-1] * len(index)}
        for seed in (0, 1)
    ]
    monkeypatch.setattr(experiment, "load", lambda *_: recording.Record({}, tuple(rows)))
    return search.Table.from_rows(rows)


def test_candidates_hold_every_group_and_each_function_once(table):
    found = experiment.candidates("quick")
    for group in ("best", "first", "random"):
        assert sum(group in groups for groups in found.values()) == 10
    assert sum("named" in groups for groups in found.values()) == len(experiment.NAMED)
    assert {"best", "first", "named"} <= set(found["min(x, sin(x))"])
    known = [table.row(text) for text in found if search.table.locate(text) is not None]
    assert len(set(known)) == len(known) >= len(found) - 2  # GELU and Mish take two core units
    first = [text for text, groups in found.items() if "first" in groups]
    expected = generalise.top(table.expressions, table.accuracy[0], 10)
    assert {table.row(text) for text in first} == set(expected)
    assert list(found) == [parse(text).text for text in found]


def test_units_pair_the_functions_and_leave_the_seeds_of_the_table(table, monkeypatch):
    monkeypatch.setattr(experiment, "candidates", functools.cache(experiment.candidates))
    for profile in experiments.PROFILES:
        groups = experiment.candidates(profile)
        seen = {}
        for config, seeds in experiment.units(profile):
            assert min(seeds) >= experiment.FIRST > max(table.seeds)
            if config["setting"] in experiment.CNN:
                assert [config["split"]] == ([0] if profile == "full" else list(seeds))
            assert len(seeds) == 1 or profile == "full"
            for text, found in zip(config["functions"], config["groups"], strict=True):
                assert groups[text] == found
                key = config["setting"], config.get("lr"), text
                seen.setdefault(key, []).extend((seed, config.get("split")) for seed in seeds)
        for name in experiment.SETTINGS[profile]:
            for lr in experiment.RATES if name in experiment.CNN else (None,):
                trained = {text: seen.pop((name, lr, text), None) for text in groups}
                only_first = {text for text, found in groups.items() if found == ["first"]}
                absent = {text for text, runs in trained.items() if runs is None}
                assert absent == (only_first if name in experiment.CNN else set())
                runs = [sorted(map(str, found)) for found in trained.values() if found]
                assert all(found == runs[0] for found in runs)
                assert len(set(runs[0])) == len(runs[0])
        assert not seen


def config(setting, *texts, **changes):
    found = next(c for c, _ in experiment.units("tiny") if c["setting"] == setting)
    return found | {"functions": list(texts), "groups": [["named"]] * len(texts)} | changes


def test_network_has_the_same_numbers_scaled_by_own_gains():
    # exp(x*x) has no second moment: it falls back to He's gain.
    texts = ("x*sigmoid(x)", "max(x, 0)", "exp(x*x)")
    model = experiment.network(config("digits", *texts), (7, 8))
    gains = [moments.forward_gain("silu"), moments.forward_gain("relu"), np.sqrt(2)]
    for block in model.blocks[1:]:
        weight = per_network(block.layer.weight, 6)
        for k, gain in enumerate(gains):
            for seed in (0, 1):
                expected = weight[seed] / gains[0] * gain
                torch.testing.assert_close(weight[2 * k + seed], expected, rtol=1e-4, atol=0)
    first = per_network(model.blocks[0].layer.weight, 6)
    torch.testing.assert_close(first[0::2], first[0].expand(3, -1), rtol=0, atol=0)
    assert not torch.equal(first[0], first[1])
    wide = experiment.network(config("digits", "x*sigmoid(x)", width=64, depth=2), (0,))
    assert wide.blocks[1].layer.weight.std().item() == pytest.approx(gains[0] / np.sqrt(64 * 9), rel=0.02)
    assert wide.blocks[0].layer.weight.std().item() == pytest.approx(1 / np.sqrt(9), rel=0.1)
    assert wide.head.weight.std().item() == pytest.approx(1 / np.sqrt(64 * 16), rel=0.05)


def test_own_gain_keeps_the_variance_of_preactivations():
    """A smooth function that no name of the catalog has, through 10 wide layers; He's gain loses it."""
    expression = parse("sin(x) + x^2/4")
    images = torch.randn(16, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    spread = {}
    for gain in ("own", "he"):
        model = models.CNN(
            3,
            10,
            image_size=8,
            width=128,
            depth=8,
            padding_mode="circular",
            act_layer=lambda: search.Activations([expression], num_channels=128),
        )
        factor = search.own_gain(expression) if gain == "own" else np.sqrt(2)
        init.scheme_(model, "xavier", seeds=[0], first=1.0)
        seen = spread[gain] = []
        with torch.no_grad():
            for block in model.blocks:
                block.act.register_forward_pre_hook(lambda _, z, seen=seen: seen.append(z[0].var().item()))
                if block is not model.blocks[0]:
                    block.layer.weight *= factor
            model(images)
    assert 0.7 < min(spread["own"]) < max(spread["own"]) < 1.4
    assert spread["he"][-1] > 2 or spread["he"][-1] < 0.5


def test_cnn_of_expressions_trains_and_its_betas_get_gradients():
    model = experiment.network(config("pairs", "x*sigmoid(beta*x)", "max(beta*x, sin(x))"), (0,))
    images = experiment.parts(config("pairs", "x"))
    x, y = images.fitting[0][:16], images.fitting[1][:16]
    output = model(x)
    assert output.shape == (2, 16, 2)
    loss = torch.nn.functional.cross_entropy(output.flatten(0, 1), y.repeat(2))
    assert torch.isfinite(loss)
    loss.backward()
    for block in model.blocks:
        assert (per_network(block.act.beta.grad, 2).abs().sum(1) > 0).all()


def test_run_learns_and_keeps_what_diverged():
    changes = {"width": 6, "steps": 60, "batch_size": 64, "lr": 0.01}
    texts = ("max(x, tanh(x))", "exp(x*x)", "x")
    (row, other) = experiment.run(config("digits", *texts, **changes), (100, 101), "cpu")
    assert set(row) == {"accuracy", "validation", "loss", "diverged_at", "gain"}
    json.dumps(row)
    assert row["accuracy"][0] > 0.5
    assert row["validation"][0] > 0.5
    assert row["accuracy"] != row["validation"]
    assert row["loss"][0] != other["loss"][0]
    assert row["diverged_at"][1] >= 0
    assert row["accuracy"][1] == row["validation"][1] == 0.1
    assert np.isnan(row["loss"][1])
    assert row["diverged_at"][0] == row["diverged_at"][2] == -1
    assert row["gain"][1] is None
    np.testing.assert_allclose(row["gain"][2], 1, rtol=1e-5)


def test_run_gives_a_function_the_same_numbers_in_any_company():
    texts = ("x*sigmoid(x)", "sin(x)")
    together = experiment.run(config("digits, BN", *texts), (100, 101), "cpu")
    alone = experiment.run(config("digits, BN", "sin(x)"), (101,), "cpu")[0]
    assert together[1]["loss"][1] == pytest.approx(alone["loss"][0], rel=1e-4)
    assert together[1]["accuracy"][1] == pytest.approx(alone["accuracy"][0], abs=0.01)


def test_parts_share_no_image_and_follow_the_split():
    found = [experiment.parts(config("digits", "x", split=split)) for split in (0, 1)]
    for images in found:
        sets = [{x.tobytes() for x in x} for x in (images.fitting.x_train, images.fitting.x_test)]
        sets.append({x.tobytes() for x in images.testing.x_test})
        assert [len(s) for s in sets] == [1197, 240, 360]
        assert len(set.union(*sets)) == 1797
        assert images.testing.mean == images.fitting.mean
    assert not np.array_equal(found[0].testing.x_test, found[1].testing.x_test)
    pairs = experiment.parts(config("pairs", "x", split=3))
    test = search.parity_pairs(3, "test")
    assert torch.equal(pairs.testing[0].flatten(1), test.x_test)
    assert torch.equal(pairs.fitting[2].flatten(1), search.parity_pairs(3).x_test)
    assert torch.equal(pairs.fitting[0].flatten(1), test.x_train)


def recorded(rows):
    return recording.Record({"experiment": "search_generalisation"}, tuple(rows))


def test_setting_takes_the_rate_of_the_validation_images():
    def row(lr, seed, functions, accuracy, validation, diverged_at=(-1, -1)):
        return {
            "setting": "digits", "lr": lr, "seed": seed,
            "functions": functions, "groups": [["best"], ["random"]],
            "accuracy": accuracy, "validation": validation, "diverged_at": list(diverged_at),
        }  # fmt: skip

    rows = [
        row(0.01, 1, ["a", "b"], [0.1, 0.2], [0.9, 0.2], (5, -1)),
        row(0.01, 0, ["a", "b"], [0.3, 0.4], [0.9, 0.2]),
        row(0.004, 0, ["a", "b"], [0.5, 0.6], [0.8, 0.3]),
        row(0.004, 1, ["a", "b"], [0.7, 0.8], [0.8, 0.3], (-1, 12)),
    ]
    found = experiment.setting(recorded(rows), "digits")
    np.testing.assert_array_equal(found.accuracy, [[0.3, 0.6], [0.1, 0.8]])
    np.testing.assert_array_equal(found.lr, [0.01, 0.004])
    np.testing.assert_array_equal(found.diverged, [[False, False], [True, True]])
    assert (found.functions, found.seeds) == (("a", "b"), (0, 1))
    assert found.members("random").tolist() == [1]
    np.testing.assert_array_equal(found.scores(["b", "a"]), [[0.6, 0.3], [0.8, 0.1]])
    with pytest.raises(
        ValueError, match=r"no function is in group 'named'; choose from \['best', 'random'\]"
    ):
        found.members("named")
    with pytest.raises(ValueError, match="'c' was not trained in setting 'digits'"):
        found.scores(["a", "c"])
    with pytest.raises(ValueError, match="must be finite"):
        experiment.setting(recorded(rows[:3]), "digits")


def test_recorded_functions_are_those_of_the_recorded_table():
    path = ROOT / "results" / "search_generalisation_quick.json"
    if not path.is_file():
        pytest.skip("not recorded")
    found = recording.load("search_generalisation", "quick", folder=path.parent)
    rows = found.select(setting="child")
    recorded_groups = dict(zip(rows[0]["functions"], rows[0]["groups"], strict=True))
    assert recorded_groups == experiment.candidates("quick")
    for name in experiment.SETTINGS["quick"]:
        setting = experiment.setting(found, name)
        assert setting.accuracy.shape == (len(setting.seeds), len(setting.functions))
        assert len(setting.members("best")) == 10
        identity = setting.scores([experiment.NAMED["identity"]]).mean()
        swish = setting.scores([experiment.NAMED["swish"]]).mean()
        assert swish > identity - 0.02
        if name in ("child", "child, own gain", "pairs"):
            assert 0.45 < identity < 0.55
