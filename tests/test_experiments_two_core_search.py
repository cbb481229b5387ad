"""Random functions of one to three core units, and live searches of two: the experiment and its record."""

import numpy as np
import pytest

from selfgated import search
from selfgated.experiments import record, two_core_search
from selfgated.search import strategies
from selfgated.search.canonical import bounded

pytestmark = pytest.mark.usefixtures("one_thread")
SEARCH = {"kind": "search", "cores": 2, "steps": 6, "evaluations": 50, "batch": 10, "top": 3, "fresh": 2}


@pytest.fixture(scope="module")
def recorded():
    try:
        return record.load("two_core_search", "quick")
    except FileNotFoundError:
        pytest.skip("not recorded")


def test_draw_holds_different_functions_and_a_larger_one_begins_with_a_smaller():
    for cores in (1, 2, 3):
        drawn = two_core_search.draw(cores, 60)
        space = search.Space(cores)
        values = np.stack([bounded(search.fingerprint(space.expression(space.choice(i)))) for i in drawn])
        far = np.abs(values[:, None] - values).max(axis=2) + np.eye(60)
        assert far.min() > 1e-9
        assert two_core_search.draw(cores, 7) == drawn[:7]


def test_draw_of_one_core_unit_leaves_out_what_is_equal():
    random, space = np.random.default_rng(1), search.Space()
    plain = [space.index(tuple(int(random.integers(size)) for size in space.sizes)) for _ in range(80)]
    first = {}
    for number in plain:
        first.setdefault(search.locate(space.expression(space.choice(number))), number)
    assert two_core_search.draw(1, 60) == tuple(first.values())[:60]
    assert list(first.values())[:60] != plain[:60]


def test_blocks_of_a_draw_are_its_parts_and_rows_are_scores():
    config = {"kind": "draw", "cores": 2, "size": 3, "steps": 6}
    rows = [two_core_search.run(config | {"block": block}, (4,), "cpu")[0] for block in (0, 1)]
    assert tuple(rows[0]["index"] + rows[1]["index"]) == two_core_search.draw(2, 6)
    space = search.Space(2)
    texts = [space.expression(space.choice(number)).text for number in rows[1]["index"]]
    expected = search.score(texts, seed=4, steps=6, device="cpu")
    np.testing.assert_array_equal(rows[1]["accuracy"], expected.accuracy)


@pytest.mark.parametrize("strategy", ["random", "evolution"])
def test_search_row_is_that_of_the_strategy_and_its_best_are_retested(strategy):
    (row,) = two_core_search.run(SEARCH | {"strategy": strategy}, (2,), "cpu")
    space = search.Space(2)
    options = two_core_search.EVOLUTION if strategy == "evolution" else {}

    def evaluate(choices):
        return search.score([space.expression(c) for c in choices], seed=0, steps=6, device="cpu").accuracy

    made = strategies.make(strategy, space.sizes, seed=2, **options)
    history = search.search(made, evaluate, evaluations=50, batch=10)
    np.testing.assert_allclose(row["scores"], history.scores, atol=0.02)  # equal functions round differently
    assert row["found"][0] == row["scores"].max()
    assert sorted(row["found"], reverse=True) == list(row["found"])
    every = [*row["expression"], *two_core_search.REFERENCES]
    again = [search.score(every, seed=s, steps=6, part="test", device="cpu").accuracy for s in (100, 101)]
    np.testing.assert_array_equal(np.transpose(again), np.concatenate([row["retest"], row["references"]]))
    assert [space.expression(space.choice(i)).text for i in row["index"]] == row["expression"]


def test_record_is_of_the_draws_that_the_source_makes(recorded):
    for cores in (1, 2, 3):
        rows = recorded.select(kind="draw", cores=cores)
        index = [number for row in rows for number in row["index"]]
        assert tuple(index) == two_core_search.draw(cores, len(index))


def test_record_agrees_with_the_table_of_one_core_unit(recorded):
    try:
        table = search.Table.from_rows(record.load("activation_search", "quick").select(gain="he"))
    except FileNotFoundError:
        pytest.skip("no table is recorded")
    space, rows = search.Space(), recorded.select(kind="draw", cores=1, seed=0)
    index = [number for row in rows for number in row["index"]]
    accuracy = np.concatenate([row["accuracy"] for row in rows])
    known = table.scores([space.choice(number) for number in index])
    assert np.mean(np.abs(accuracy - known)) < 0.002
    swish = recorded.select(kind="search")[0]["references_found"][0]
    assert swish == pytest.approx(table.scores([(0, 20, 1)])[0], abs=0.01)


def test_record_best_of_each_search_is_the_largest_of_its_scores(recorded):
    for row in recorded.select(kind="search"):
        assert row["found"][0] == max(row["scores"])
        assert len(row["scores"]) == 240
        assert np.shape(row["retest"]) == (5, 5)
        assert row["trained"] <= 240
