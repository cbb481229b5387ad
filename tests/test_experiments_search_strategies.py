"""Chapter 15's experiment: what it keeps of a search, and which table its rows belong to."""

import json

import numpy as np
import pytest

from selfgated import search
from selfgated.experiments import record as recording
from selfgated.experiments import search_strategies as experiment
from selfgated.search import History, Space


@pytest.fixture(scope="module")
def table():
    return experiment._planted()


def test_summary_is_what_loops_over_the_history_give(table):
    rng = np.random.default_rng(3)
    space = Space(1)
    choices = [space.choice(int(i)) for i in rng.integers(space.size, size=230)]
    choices[50:60] = choices[:10]
    history = History(choices, table.scores(choices, 1))
    checkpoints = (20, 100, len(set(choices)), 230)
    found = experiment.summary(history, table, checkpoints, repeat=1)
    reward = [table.accuracy[1, table.row(choice)] for choice in choices]
    truth = [np.mean([table.accuracy[r, table.row(choice)] for r in (0, 2)]) for choice in choices]
    for place, count in enumerate(checkpoints):
        best = max(range(count), key=lambda at: reward[at])
        assert found["best_reward"][place] == reward[best]
        assert found["best_truth"][place] == pytest.approx(truth[best], rel=1e-12)
        assert found["distinct"][place] == len(set(choices[:count]))
        assert found["functions"][place] == len({table.row(choice) for choice in choices[:count]})
        children = [at for at in range(230) if len(set(choices[: at + 1])) == count]
        best = max(range(children[0] + 1), key=lambda at: reward[at]) if children else None
        assert found["child_reward"][place] == (reward[best] if children else None)
        assert found["child_truth"][place] == (pytest.approx(truth[best], rel=1e-12) if children else None)
    assert [value is None for value in found["child_truth"]] == [False, False, False, True]
    assert found["functions"][3] < found["distinct"][3] < 230
    np.testing.assert_allclose(
        found["mean_reward"], [np.mean(reward[30:130]), np.mean(reward[130:])], rtol=1e-12
    )
    np.testing.assert_allclose(found["last_reward"], np.mean(reward[130:]), rtol=1e-12)
    np.testing.assert_allclose(found["last_truth"], np.mean(truth[130:]), rtol=1e-12)
    top = choices[int(np.argmax(reward))]
    assert search.parse(found["found"]).text == table.expressions[table.row(top)].text


@pytest.mark.parametrize("repeat", [0, 1])
def test_run_exhaustive_finds_the_best_of_the_repeat_that_it_sees(table, repeat):
    units = experiment.units("tiny")
    config, seeds = next(u for u in units if u[0]["strategy"] == "exhaustive" and u[0]["repeat"] == repeat)
    row = experiment.run(config, list(seeds), "cpu")[0]
    best = int(table.accuracy[repeat].argmax())
    assert row["best_reward"] == [table.accuracy[repeat, best]]
    others = np.delete(table.accuracy[:, best], repeat)
    assert row["best_truth"][0] == pytest.approx(others.mean(), rel=1e-12)
    assert (row["distinct"], row["functions"]) == ([6250], [len(table)])


def test_units_search_the_first_repeat_and_some_the_others():
    units = experiment.units("quick")
    first = {config["variant"]: seeds for config, seeds in units if config["repeat"] == 0}
    assert set(first) == {*experiment.VARIANTS, "exhaustive"}
    assert min(len(seeds) for name, seeds in first.items() if name != "exhaustive") >= 20
    again = {config["repeat"] for config, _ in units if config["variant"] == "random"}
    assert again == set(range(5))


def test_run_seeds_are_independent_of_each_other():
    config, _ = experiment.units("tiny")[0]
    together = experiment.run(config, [0, 1], "cpu")
    assert together == [experiment.run(config, [seed], "cpu")[0] for seed in (0, 1)]
    assert together[0] != together[1]


def test_digest_tells_tables_apart(table):
    rows = recorded(table)
    assert experiment.digest(rows[::-1]) == experiment.digest(rows)
    for name, other in [("accuracy", [0.5] * len(table)), ("index", list(range(len(table)))), ("seed", 9)]:
        assert experiment.digest([rows[0] | {name: other}, *rows[1:]]) != experiment.digest(rows)


def test_units_read_the_table_of_their_profile(tmp_path, monkeypatch, table):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(recording, "root", lambda: tmp_path)
    config, seeds = experiment.units("quick")[0]
    assert config["table"] is None
    with pytest.raises(FileNotFoundError, match="make results PROFILE=quick NAMES=activation_search"):
        experiment.run(config, [0], "cpu")
    (tmp_path / "results").mkdir()
    others = [row | {"gain": "own", "accuracy": [1 - v for v in row["accuracy"]]} for row in recorded(table)]
    data = {"meta": {"experiment": "activation_search"}, "rows": recorded(table) + others}
    (tmp_path / "results" / "activation_search_quick.json").write_text(json.dumps(data))
    config, seeds = experiment.units("quick")[0]
    assert config["table"] == experiment.digest(recorded(table))
    assert len(seeds) >= 20
    row = experiment.run(config, [0], "cpu")[0]
    choices = search.strategies.make("random", Space(1).sizes).propose(1000)
    np.testing.assert_allclose(row["best_reward"][-1], table.scores(choices).max(), rtol=1e-12)
    with pytest.raises(ValueError, match=r"the quick table is [0-9a-f]{16}, not 0000: it was recorded anew"):
        experiment.run(config | {"table": "0000"}, [0], "cpu")
    assert experiment.units("full")[0][0]["table"] is None


def recorded(table):
    """Rows of `activation_search` that make the table."""
    return [
        {
            "gain": "he",
            "block": 0,
            "seed": int(seed),
            "index": table.index.tolist(),
            "accuracy": accuracy.tolist(),
            "loss": [None] * len(table),
            "diverged_at": [-1] * len(table),
        }
        for seed, accuracy in zip(table.seeds, table.accuracy, strict=True)
    ]
