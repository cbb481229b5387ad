"""Features of functions, and the published trends: what is planted is found, and nothing else."""

import numpy as np
import pytest
import torch
from scipy import stats

from selfgated.search import (
    Space,
    Table,
    among_unaries,
    between_cores,
    by_binary,
    distinct,
    evaluate,
    features,
    named,
    trends,
)
from selfgated.search.effects import correlation, odds, shift
from selfgated.search.features import decisions, needs
from selfgated.search.space import BINARY, UNARY

SPACE = Space(1)
TESTS = [
    "simple",
    "simple, same binary",
    "b(x, g(x))",
    "b(linear in x, g(x))",
    "periodic",
    "periodic added to x",
    "division",
    "denominator",
    "monotone",
    "bounded",
]


@pytest.fixture(scope="module")
def table():
    index = [group[0] for group in distinct()]
    return Table(index, np.random.default_rng(0).uniform(0.5, 0.95, (3, len(index))))


@pytest.fixture(scope="module")
def found(table):
    return features(table)


def of(table, found, text):
    return found[np.array([table.row(text)])]


@pytest.mark.parametrize(
    ("text", "nodes", "expected"),
    [
        ("x*sigmoid(x)", 4, {"raw_x", "linear"}),
        ("x*sigmoid(beta*x)", 6, {"raw_x", "linear"}),
        ("-x*sigmoid(x)", 5, {"raw_x", "linear"}),  # sigmoid(x1)*x2 of x and -x
        ("-x*sigmoid(-x)", 6, {"linear"}),
        ("tanh(x)", 2, {"unary", "monotone", "bounded"}),
        ("cosh(x)", 2, {"unary"}),  # also max(x, cosh(x))
        ("sin(x)", 2, {"unary", "oscillating", "bounded"}),  # also x*sinc(x)
        ("x", 1, {"unary", "monotone"}),
        ("x - x", 1, {"unary", "monotone", "bounded"}),
        ("x + beta - x", 1, {"unary", "monotone", "bounded"}),
        ("max(x, 0)", 3, {"unary", "monotone"}),
        ("min(x, sin(x))", 4, {"raw_x", "linear", "oscillating"}),
        ("cos(x) - x", 4, {"raw_x", "linear", "oscillating", "added", "monotone"}),
        ("sinc(x) + x", 4, {"raw_x", "linear", "oscillating", "added", "monotone"}),
        ("-x - sinc(x)", 5, {"linear", "oscillating", "added", "monotone"}),
        ("cos(x) - sin(x)", 5, {"oscillating", "bounded"}),
        ("exp(-(beta*(sin(x) - sin(x))^2))", 1, {"unary", "monotone", "bounded"}),
        ("max(beta, tanh(x))", 4, {"monotone", "bounded"}),
        ("tanh(x)/(cosh(x) + eps)", 7, {"division", "bounded"}),
        ("x/(sin(x) + eps)", 6, {"raw_x", "linear", "division", "oscillating"}),
    ],
)
def test_features_of_known_functions(table, found, text, nodes, expected):
    one = of(table, found, text)
    names = ("unary", "raw_x", "linear", "oscillating", "added", "division", "monotone", "bounded")
    assert {name for name in names if getattr(one, name)[0]} == expected
    assert one.nodes[0] == nodes


@pytest.mark.parametrize(
    ("text", "smallest"),
    [
        ("tanh(x)/(cosh(x) + eps)", 1.001),
        ("sin(x)/(exp(x) + eps)", np.exp(-4) + 0.001),
        ("tanh(x)/(x^2 + eps)", 0.001),
        ("exp(x)/(x + eps)", 0.0),
        ("tanh(x)/(cos(x) + eps)", 0.0),
        ("tanh(x)", np.nan),
    ],
)
def test_features_smallest_denominator(table, found, text, smallest):
    np.testing.assert_allclose(of(table, found, text).denominator, smallest, rtol=1e-12)


def test_features_hold_for_every_spelling_or_for_one(table, found):
    names = list(UNARY)
    for row in range(0, len(table), 41):
        spellings = [SPACE.choice(i) for i in table.members[row]]
        uses = [{names[u1], names[u2]} for u1, u2, _ in spellings]
        waves = all(unaries & {"sin(x)", "cos(x)", "sinc(x)"} for unaries in uses)
        assert needs([table.members[row]], ["sin(x)", "cos(x)", "sinc(x)"])[0] == waves
        if not found.unary[row]:
            assert found.raw_x[row] == any("x" in unaries for unaries in uses)
            assert found.oscillating[row] == waves
            assert found.division[row] == all(b == 3 for *_, b in spellings)


def test_features_curves_against_a_random_sample(table, found):
    z = torch.from_numpy(np.sort(np.random.default_rng(4).uniform(-4, 4, 300)))
    for row in range(0, len(table), 31):
        f = evaluate(table.expressions[row], z).expand(z.shape).numpy()
        if found.monotone[row]:
            slack = 1e-9 * np.abs(f).max()
            assert (np.diff(f) >= -slack).all() or (np.diff(f) <= slack).all()
        if found.bounded[row]:
            assert np.abs(f).max() < 5.01


def test_needs_unknown_unary_is_named(table):
    with pytest.raises(ValueError, match=r"unknown unary 'sine'; choose from \['x', "):
        needs(table.members, ["sine"])


def test_decisions_are_the_spellings_in_order():
    choices, starts = decisions([(201, 6), (0,)])
    assert choices.tolist() == [[0, 20, 1], [0, 0, 6], [0, 0, 0]]
    assert starts.tolist() == [0, 2]


def test_odds_against_counts_and_fisher():
    feature = np.array([True] * 30 + [False] * 20 + [True] * 50 + [False] * 100)
    chosen = np.arange(200) < 50
    value, low, high, p = odds(feature, chosen)
    assert value == pytest.approx(30.5 * 100.5 / (20.5 * 50.5))
    assert low < 30 * 100 / (20 * 50) < high
    assert p == pytest.approx(stats.fisher_exact([[30, 20], [50, 100]]).pvalue)


def test_odds_interval_holds_the_true_ratio():
    rng, hits = np.random.default_rng(1), 0
    chosen = np.arange(1000) < 100
    for _ in range(200):
        feature = rng.random(1000) < np.where(chosen, 0.4, 0.2)
        _, low, high, _ = odds(feature, chosen)
        hits += low < (0.4 / 0.6) / (0.2 / 0.8) < high
    assert hits >= 180


def test_shift_interval_holds_the_true_difference():
    rng, hits = np.random.default_rng(2), 0
    for seed in range(100):
        one, other = 0.03 + rng.exponential(0.1, 120), rng.exponential(0.1, 300)
        _, low, high, _ = shift(one, other, resamples=100, seed=seed)
        hits += low < 0.03 < high
    assert hits >= 86


def test_shift_needs_two_scores():
    with pytest.raises(ValueError, match="at least 2 scores, got 1 and 3"):
        shift([0.5], [0.5, 0.6, 0.7])


def test_correlation_is_spearmans_with_a_fair_interval():
    rng, hits = np.random.default_rng(3), 0
    true = 6 / np.pi * np.arcsin(0.3 / 2)  # Spearman's of a normal pair with correlation 0.3
    for _ in range(200):
        a, b = rng.multivariate_normal([0, 0], [[1, 0.3], [0.3, 1]], 150).T
        a = np.round(a, 1)  # with ties
        value, low, high, p = correlation(a, b)
        expected = stats.spearmanr(a, b)
        assert value == pytest.approx(expected.statistic, abs=1e-12)
        assert p == pytest.approx(expected.pvalue, rel=1e-9)
        hits += low < true < high
    assert hits >= 182


def test_correlation_within_strata_sees_through_a_confounder():
    rng = np.random.default_rng(4)
    strata = np.repeat([0, 1, 2], 200)
    feature = strata * 10 + rng.normal(0, 1, 600)
    scores = strata * 10 - 0.5 * (feature - strata * 10) + rng.normal(0, 1, 600)
    assert correlation(feature, scores)[0] > 0.7
    value, _, high, p = correlation(feature, scores, strata)
    assert high < 0
    assert p < 1e-6
    assert value < -0.3


def test_correlation_needs_a_feature_that_varies():
    with pytest.raises(ValueError, match="a feature that varies"):
        correlation(np.ones(20), np.arange(20))


PLANTS = {
    "simple": lambda f: -0.03 * f.nodes,
    "b(x, g(x))": lambda f: 0.15 * f.raw_x,
    "b(linear in x, g(x))": lambda f: 0.1 * f.linear,
    "periodic": lambda f: 0.1 * f.oscillating,
    "periodic added to x": lambda f: 0.1 * f.oscillating + 0.2 * f.added,
    "division": lambda f: -0.1 * f.division,
    "denominator": lambda f: 0.15 * (f.denominator >= 0.01),
}


@pytest.mark.parametrize("name", PLANTS)
@pytest.mark.parametrize("sign", [1, -1])
def test_trends_find_what_is_planted_and_its_sign(found, name, sign):
    scores = np.random.default_rng(5).normal(0.7, 0.05, len(found)) + sign * PLANTS[name](found)
    if sign < 0 and name == "periodic added to x":
        scores += 0.2 * found.oscillating + 0.2 * found.added  # needs oscillating functions at the top
        scores -= 0.25 * found.added
        assert trends(found, scores)[name].verdict != "holds"
        return
    trend = trends(found, scores)[name]
    assert trend.verdict == ("holds" if sign > 0 else "contradicted"), trend
    assert trend.holm >= trend.p
    assert trend.low <= trend.value <= trend.high


def test_trends_same_binary_is_blind_to_what_the_binary_does(found):
    scores = np.random.default_rng(6).normal(0.7, 0.02, len(found)) - 0.2 * (found.binary >= 7)
    both = trends(found, scores)
    assert both["simple"].verdict == "holds"  # the last three binaries take many nodes
    assert both["simple, same binary"].p > 0.001


@pytest.fixture(scope="module")
def simulated(found):
    """p-values of 200 tables without any trend."""
    rng, rows = np.random.default_rng(7), np.flatnonzero(~found.twin)[::4]
    part = found[rows]
    return np.array(
        [
            [
                (t.p, t.holm)
                for t in trends(part, rng.uniform(0.5, 0.95, rows.size), top=80, resamples=2).values()
            ]
            for _ in range(200)
        ]
    )


def test_trends_absent_ones_are_found_at_the_nominal_rate(simulated):
    rates = (simulated[:, :, 0] < 0.05).mean(axis=0)
    # 200 tests at 5 %: 3 to 20 in 99.9 % of all cases; exact tests of counts reject less often.
    assert (rates <= 0.1).all(), rates
    assert rates[[TESTS.index(name) for name in ("simple", "division", "denominator")]].min() >= 0.015


def test_trends_any_false_one_is_rarer_than_five_percent(simulated):
    assert (simulated[:, :, 1] < 0.05).any(axis=1).mean() <= 0.095


def test_trends_names_and_parts(table, found):
    result = trends(found, table.mean, top=50)
    assert list(result) == TESTS
    kept = ~found.twin
    chosen = table.best(50)
    share = found.oscillating[chosen].mean()
    rest = found.oscillating[np.setdiff1d(np.flatnonzero(kept), chosen)].mean()
    assert result["periodic"].parts == pytest.approx((share, rest))
    assert result["periodic"].counts == (50, kept.sum() - 50)
    one = table.mean[found.division & kept].mean()
    assert result["division"].parts[0] == pytest.approx(one)


def test_trends_bad_input_is_named(found):
    with pytest.raises(ValueError, match=r"scores have shape \(3,\), the features are of 4040 functions"):
        trends(found, np.zeros(3))
    with pytest.raises(ValueError, match="top must be from 1 to 3740, got 4000"):
        trends(found, np.zeros(len(found)), top=4000)


def test_among_unaries_finds_a_planted_set_and_no_other(table):
    base = np.random.default_rng(8).normal(0.7, 0.02, len(table))
    planted = base + 0.1 * needs(table.members, ["sin(x)", "erf(x)"])
    result = among_unaries(table, ["erf(x)", "sin(x)"], scores=planted)
    assert (result.better, result.sets, result.p) == (0, 300, 1 / 300)
    assert result.share == 1.0
    need = needs(table.members, ["sin(x)", "erf(x)"])
    assert result.base == pytest.approx(need[~table.twin].mean())
    assert among_unaries(table, ["tanh(x)", "x^3"], scores=planted).p > 0.05


def test_among_unaries_ranks_a_set_among_equals(table):
    scores = np.random.default_rng(9).uniform(size=len(table))
    results = [among_unaries(table, [name], scores=scores) for name in UNARY]
    assert {r.sets for r in results} == {25}
    better = sorted(r.better for r in results)
    assert better[0] == 0
    assert max(r.p for r in results) == 1.0
    assert np.mean([r.p for r in results]) == pytest.approx(0.52, abs=0.05)


@pytest.mark.parametrize("unaries", [[], list(UNARY)[:12]])
def test_among_unaries_bad_sets_are_an_error(table, unaries):
    with pytest.raises(ValueError, match=f"cannot compare {len(unaries)} unaries"):
        among_unaries(table, unaries)


def test_by_binary_is_the_mean_over_functions(table):
    scores = np.random.default_rng(10).uniform(size=len(table))
    result = by_binary(table, scores=scores)
    assert set(result) == set(BINARY)
    means = [interval.mean for interval in result.values()]
    assert means == sorted(means, reverse=True)
    for number in (0, 3, 9):
        name = list(BINARY)[number]
        rows = [
            r for r, group in enumerate(table.members) if any(SPACE.choice(i)[2] == number for i in group)
        ]
        rows = [r for r in rows if not table.twin[r]]
        assert result[name].mean == pytest.approx(scores[rows].mean())
        assert result[name].n == len(rows)
    with pytest.raises(ValueError, match=r"scores have shape \(2,\), the table has 4040 functions"):
        by_binary(table, scores=[0.5, 0.6])


def test_between_cores_against_direct_counts():
    one, two = [0.5, 0.7, 0.9, 0.9], [0.5, 0.5, 0.8]
    result = between_cores(one, two, resamples=50)
    assert result.difference == pytest.approx(0.75 - 0.6)
    pairs = [(a > b) + 0.5 * (a == b) for a in one for b in two]
    assert result.above == pytest.approx(np.mean(pairs))
    assert [share for share, _, _ in result.useful] == pytest.approx([3 / 4, 1 / 3])


def test_between_cores_equal_spaces_differ_at_the_nominal_rate():
    rng = np.random.default_rng(11)
    p = [between_cores(*rng.uniform(0.5, 0.9, (2, 60)), resamples=2).p for _ in range(200)]
    assert 0.01 <= np.mean(np.array(p) < 0.05) <= 0.1


def test_named_functions_are_all_in_the_table(table):
    texts = {name: table.expressions[table.row(choice)].text for name, choice in named().items()}
    assert texts["relu"] == "max(x, 0)"
    assert texts["softplus"] == "softplus(x)"
    assert len(set(texts.values())) == len(texts)
