"""The recorded table: which function is where, what a search sees, and what is left out."""

import numpy as np
import pytest
import torch

from selfgated import search
from selfgated.search import Space, Table, distinct, evaluate, locate, parse
from selfgated.search.named import PUBLISHED, named
from selfgated.search.space import BINARY, UNARY

SPACE = Space(1)
Z = torch.tensor([-2.3, -0.7, 0.4, 1.1, 2.9], dtype=torch.float64)


def recorded(repeats=3, size=250, scores=None):
    """Rows as the experiment writes them, and the accuracies in the order of `distinct`."""
    index = [group[0] for group in distinct()]
    if scores is None:
        scores = np.random.default_rng(7).uniform(0.4, 1, (repeats, len(index)))
    rows = []
    for seed in range(repeats):
        for block, first in enumerate(range(0, len(index), size)):
            part = scores[seed, first : first + size].tolist()
            rows.append(
                {
                    "block": block,
                    "size": size,
                    "seed": seed,
                    "index": index[first : first + size],
                    "accuracy": part,
                    "loss": [None if a < 0.5 else 1 - a for a in part],
                    "diverged_at": [17 if a < 0.5 else -1 for a in part],
                }
            )
    return rows, scores


@pytest.fixture(scope="module")
def table():
    return Table.from_rows(recorded()[0])


def test_from_rows_any_order_gives_all_columns(table):
    rows, scores = recorded()
    shuffled = [rows[i] for i in np.random.default_rng(0).permutation(len(rows))]
    again = Table.from_rows(shuffled)
    for one in (table, again):
        assert (len(one), one.repeats, one.seeds.tolist()) == (len(distinct()), 3, [0, 1, 2])
        np.testing.assert_array_equal(one.accuracy, scores)
        np.testing.assert_array_equal(one.diverged, scores < 0.5)
        np.testing.assert_array_equal(np.isnan(one.loss), scores < 0.5)
        np.testing.assert_array_equal(one.index, [group[0] for group in distinct()])


def test_from_rows_takes_one_gain():
    rows, _ = recorded(2)
    own = [row | {"gain": "own", "accuracy": [0.25] * len(row["index"])} for row in rows if row["seed"] == 0]
    both = [row | {"gain": "he"} for row in rows] + own
    assert Table.from_rows(both).repeats == 2
    assert Table.from_rows(both, gain="own").accuracy.tolist() == [[0.25] * len(distinct())]
    with pytest.raises(ValueError, match=r"no rows have gain 'xavier'; recorded are \['he', 'own'\]"):
        Table.from_rows(both, gain="xavier")


def test_from_rows_missing_block_names_seed_and_block():
    rows, _ = recorded()
    broken = [row for row in rows if (row["seed"], row["block"]) not in [(1, 3), (2, 0)]]
    with pytest.raises(ValueError, match=r"blocks are missing, by seed: \{1: \[3\], 2: \[0\]\}"):
        Table.from_rows(broken)


def test_from_rows_last_block_missing_everywhere_is_incomplete():
    rows, _ = recorded(size=1000)
    short = [row for row in rows if row["block"] < 4]
    missing = len(distinct()) - 4000
    with pytest.raises(ValueError, match=f"{missing} of {len(distinct())} functions are missing"):
        Table.from_rows(short)
    assert len(Table.from_rows(short, complete=False)) == 4000


def changed(**new):
    rows, _ = recorded()
    return [{**rows[0], **new}, *rows[1:]]


def without(name):
    rows, _ = recorded()
    return [{key: value for key, value in rows[0].items() if key != name}, *rows[1:]]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (lambda: [], r"no rows have gain 'he'; recorded are \[\]"),
        (lambda: recorded()[0] + recorded()[0][:1], "block 0 of seed 0 comes twice"),
        (lambda: without("accuracy"), "must have 'accuracy'"),
        (lambda: changed(accuracy=[0.5]), r"block 0 of seed 0 has lists of lengths .*'accuracy': 1"),
        (lambda: changed(index=recorded()[0][0]["index"][::-1]), "has other functions than seed 0"),
        (lambda: changed(accuracy=[1.2] + [0.5] * 249), r"from 0 to 1, got 1\.2"),
        (lambda: changed(accuracy=[None] + [0.5] * 249), "from 0 to 1, got nan"),
    ],
)
def test_from_rows_bad_rows_are_named(rows, message):
    with pytest.raises(ValueError, match=message):
        Table.from_rows(rows())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"index": [6, 201], "accuracy": [[0.5, 0.6]]}, r"twice in a table: sigmoid\(x\)\*x and x\*sigmoid"),
        ({"index": [6, 6250], "accuracy": [[0.5, 0.6]]}, "from 0 to 6249, got 6250"),
        ({"index": [6, 7], "accuracy": [0.5, 0.6]}, r"shape \(repeats, functions\), got \(2,\)"),
        ({"index": [6], "accuracy": [[0.5, 0.6]]}, r"index must be whole numbers of shape \(2,\)"),
        ({"index": [6.0, 7.0], "accuracy": [[0.5, 0.6]]}, "index must be whole numbers"),
        (
            {"index": [6], "accuracy": [[0.5], [0.6]], "seeds": [3, 3]},
            r"every seed must come once, got \[3, 3\]",
        ),
        ({"index": [6], "accuracy": [[0.5]], "diverged": [[0, 1]]}, "diverged has shape"),
    ],
)
def test_table_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        Table(**arguments)


def test_table_sorts_repeats_by_seed():
    table = Table([6], [[0.5], [0.6], [0.7]], seeds=[9, 2, 5])
    assert table.seeds.tolist() == [2, 5, 9]
    assert table.accuracy.ravel().tolist() == [0.6, 0.7, 0.5]


def test_scores_of_all_members_are_those_of_their_function(table):
    found = table.scores(list(SPACE), repeat=1)
    assert found.shape == (6250,)
    for number in range(0, len(distinct()), 37):
        members = list(distinct()[number])
        np.testing.assert_array_equal(found[members], table.accuracy[1, number])


def test_rows_function_has_the_values_of_the_member(table):
    choices = [SPACE.choice(int(i)) for i in np.random.default_rng(3).integers(6250, size=150)]
    for choice, row in zip(choices, table.rows(choices), strict=True):
        one, other = SPACE.expression(choice), table.expressions[row]
        # Equal betas: their order does not matter, nor that x is also beta*x + (1 - beta)*x.
        values = (evaluate(e, Z, betas=[1.3] * len(e.betas)).numpy() for e in (one, other))
        np.testing.assert_allclose(*values, rtol=1e-9, atol=1e-9, err_msg=f"{one} {other}")


def test_truth_leaves_out_what_the_search_saw(table):
    choices = [(0, 20, 1), (18, 18, 4)]
    rows = table.rows(choices)
    np.testing.assert_allclose(
        table.truth(choices, 1), table.accuracy[[0, 2]][:, rows].mean(axis=0), rtol=1e-15
    )
    np.testing.assert_allclose(table.truth(choices, None), table.accuracy[:, rows].mean(axis=0), rtol=1e-15)
    np.testing.assert_array_equal(table.scores(choices), table.accuracy[0, rows])


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ([(0, 25, 0)], r"decision 1 of \(0, 25, 0\) must be a whole number below 25"),
        ([(0, 2, -1)], r"decision 2 of \(0, 2, -1\)"),
        ([(0, 2)], r"shape \(m, 3\), got int64 of shape \(1, 2\)"),
        ([(0.0, 1.0, 2.0)], "got float64 of shape"),
    ],
)
def test_scores_bad_choices_are_named(table, choices, message):
    with pytest.raises(ValueError, match=message):
        table.scores(choices)


@pytest.mark.parametrize("repeat", [3, -1, True, 0.0])
def test_scores_unknown_repeat_is_named(table, repeat):
    with pytest.raises(ValueError, match=f"repeat must be from 0 to 2, not {repeat!r}"):
        table.scores([(0, 0, 0)], repeat)


def test_small_table_says_what_it_lacks():
    table = Table([6], [[0.9]])
    assert table.scores([(0, 20, 1)]).tolist() == [0.9]
    assert table.scores([]).shape == (0,)
    with pytest.raises(ValueError, match=r"\(0, 0, 0\) is not among the 1 functions"):
        table.scores([(0, 0, 0)])
    with pytest.raises(ValueError, match="is not among the 1 functions"):
        table.row("tanh(x)")
    with pytest.raises(ValueError, match="the only repeat is 0"):
        table.truth([(0, 20, 1)])


def test_row_by_number_choice_expression_and_text(table):
    rows = {table.row(w) for w in (201, (0, 20, 1), parse("sigmoid(x)*x"), "x*sigmoid(x)", "x/(1 + exp(-x))")}
    assert len(rows) == 1
    assert distinct()[rows.pop()][0] == 6


@pytest.mark.parametrize("text", ["atan(x)^2 - x", "x*tanh(log(1 + exp(x)))", "x*sigmoid(2*x)"])
def test_row_of_no_function_of_one_core_unit_is_an_error(table, text):
    assert locate(text) is None
    with pytest.raises(ValueError, match="is no function of one core unit"):
        table.row(text)


def test_locate_finds_every_function_by_its_value():
    for group in distinct()[::29]:
        for member in group[-2:]:
            assert locate(SPACE.expression(SPACE.choice(member))) == group[0]


def test_unary_functions_are_the_25_and_where_their_value_is(table):
    found = {table.expressions[row].text for row in np.flatnonzero(table.unary)}
    assert found == {parse(name).text for name in UNARY}
    for row in np.flatnonzero(table.unary):
        assert locate(table.expressions[row]) == table.index[row]


def test_twins_are_mixtures_with_beta_and_one_minus_beta_exchanged(table):
    twins = np.flatnonzero(table.twin)
    assert twins.size == 25 * 24 / 2
    mixture = list(BINARY).index("beta*x1 + (1 - beta)*x2")
    one_beta = [
        row
        for row, expression in enumerate(table.expressions)
        if len(expression.betas) == 1 and SPACE.choice(int(table.index[row]))[2] == mixture
    ]
    values = {
        weight: np.stack([evaluate(table.expressions[row], Z, betas=[weight]).numpy() for row in one_beta])
        for weight in (0.2, 0.8)
    }
    for place, row in enumerate(one_beta):
        equal = np.abs(values[0.8] - values[0.2][place]).max(axis=1) < 1e-9
        equal[place] = False
        assert table.twin[row] == equal[:place].any()


def test_best_counts_twins_once(table):
    one, other = table.row("beta*sin(x) + (1 - beta)*x"), table.row("beta*x + (1 - beta)*sin(x)")
    scores = np.full((2, len(table)), 0.5)
    scores[:, [one, other]] = 0.9
    planted = Table(table.index, scores)
    assert planted.best(1).tolist() == [min(one, other)]
    assert planted.best(2)[1] not in (one, other)
    assert planted.rank("beta*sin(x) + (1 - beta)*x").rank == 1
    assert planted.rank("beta*x + (1 - beta)*sin(x)").of == len(table) - 300


def test_grid_holds_the_mean_of_every_spelling(table):
    choices = [SPACE.choice(i) for i in range(0, 6250, 61)]
    np.testing.assert_array_equal(table.grid()[tuple(np.transpose(choices))], table.mean[table.rows(choices)])
    alone = Table([6], [[0.9], [0.7]]).grid(without=0)
    assert alone[0, 20, 1] == 0.7
    assert np.isnan(alone[0, 0, 0])


def test_mirrors_are_mirror_images(table):
    rows = next(group for group in table.mirrors if table.row("x*sigmoid(x)") in group)
    assert {table.expressions[row].text for row in rows} == {
        "sigmoid(x)*x",
        "-x*sigmoid(x)",
        "sigmoid(-x)*x",
        "sigmoid(-x)*(-x)",
    }
    assert not any(table.twin[list(group)].any() for group in table.mirrors)


def test_mirror_noise_is_that_of_the_table():
    rng = np.random.default_rng(0)
    rows, _ = recorded(4)
    table = Table.from_rows(rows)
    true = rng.uniform(0.65, 0.9, len(table))
    for group in table.mirrors:
        true[list(group)] = true[group[0]]
    seeds = np.array([0.02, -0.02, 0.0, 0.01])[:, None]
    noisy = Table(table.index, true + seeds + rng.normal(0, 0.016, table.accuracy.shape))
    found = noisy.mirror_noise()
    assert found.low < 0.016 < found.high
    assert found.high - found.low < 0.003


@pytest.mark.parametrize("published", PUBLISHED, ids=lambda published: published.name)
def test_published_function_is_where_its_decisions_say(published):
    index = locate(published.text)
    if published.decisions is None:
        assert index is None
        assert published.choice is None
        return
    assert index is not None
    group = next(group for group in distinct() if index in group)
    assert SPACE.index(published.choice) in group
    assert named()[published.name] == published.choice


def test_curve_has_the_slope_of_a_difference_quotient():
    z = np.linspace(-3, 3, 13)
    for text in ("x*sigmoid(beta*x)", "min(x, sin(x))", "sinc(x) + x"):
        f, slope = search.curve(parse(text), z)
        step = 1e-6
        up, down = (search.curve(parse(text), z + s)[0] for s in (step, -step))
        kink = np.abs(z) < 1e-9 if text.startswith("min") else np.zeros(13, bool)
        np.testing.assert_allclose(slope[~kink], ((up - down) / (2 * step))[~kink], atol=1e-8)
        np.testing.assert_array_equal(f, evaluate(parse(text), torch.from_numpy(z)).numpy())


def test_curve_of_a_constant_is_flat():
    f, slope = search.curve(parse("beta"), [0.0, 1.0], betas=[0.3])
    assert f.tolist() == [0.3, 0.3]
    assert slope.tolist() == [0, 0]
