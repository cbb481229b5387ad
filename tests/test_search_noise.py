"""Variance components, ranks and the winner's curse, on scores whose truth is known."""

import math

import numpy as np
import pytest
from scipy import stats

from selfgated.search import noise  # the module


def planted(seed, *, repeats=5, n=600, sd=0.016, common=0.01, low=0.65, high=0.93):
    """True scores and a table of repeats."""
    rng = np.random.default_rng(seed)
    true = rng.uniform(low, high, n)
    return true, true + rng.normal(0, common, (repeats, 1)) + rng.normal(0, sd, (repeats, n))


def test_components_are_those_of_the_analysis_of_variance():
    _, scores = planted(0, repeats=3, n=7)
    frame = scores - scores.mean(axis=1, keepdims=True)
    residual = sum((frame[r, i] - frame[:, i].mean()) ** 2 for r in range(3) for i in range(7)) / (2 * 6)
    function = 3 * np.var(scores.mean(axis=0), ddof=1)
    within, between = noise.components(scores)
    assert within == pytest.approx(math.sqrt(residual), rel=1e-12)
    assert between == pytest.approx(math.sqrt((function - residual) / 3), rel=1e-12)


def test_components_of_equal_functions_are_noise_alone():
    found = [noise.components(np.random.default_rng(s).normal(0, 1, (4, 50)))[1] for s in range(60)]
    assert min(found) == 0.0
    assert np.median(found) < 0.3


@pytest.mark.parametrize("shape", [(1, 9), (9, 1)])
def test_components_need_two_of_each(shape):
    with pytest.raises(ValueError, match="2 repeats of 2 functions"):
        noise.components(np.zeros(shape))


def test_noise_intervals_hold_the_planted_values():
    hits = np.zeros(3)
    for seed in range(30):
        true, scores = planted(seed, n=300)
        found = noise.noise(scores, resamples=60)
        spread = np.std(true, ddof=1)
        wanted = (0.016, 0.016, spread)
        hits += [i.low <= w <= i.high for i, w in zip(found[:3], wanted, strict=True)]
        assert found.functions == pytest.approx(300, abs=2)
    assert (hits >= 26).all(), hits  # 28.5 expected


def test_noise_reliability_and_spearman_agree_with_a_simulation():
    true, scores = planted(1, n=4000, low=0.85, high=0.9)
    found = noise.noise(scores, resamples=30)
    variance = np.var(true)
    assert found.reliability.mean == pytest.approx(variance / (variance + 0.016**2), abs=0.02)
    rng = np.random.default_rng(2)
    twice = [true + rng.normal(0, 0.016, true.size) for _ in range(2)]
    assert found.spearman.mean == pytest.approx(stats.spearmanr(*twice).statistic, abs=0.03)
    assert found.spearman.low < found.spearman.mean < found.spearman.high


def test_noise_of_the_best_is_not_made_small_by_choosing_them():
    rng = np.random.default_rng(3)
    scores = 0.9 + rng.normal(0, 0.02, (5, 2000))  # all equally good: a rank by the mean is noise
    found = noise.noise(scores, top=50, resamples=60)
    assert found.within.low < 0.02 < found.within.high
    assert found.between.mean < 0.005
    assert abs(found.spearman.mean) < 0.1
    # Choosing by the mean would make the repeats disagree: what is high in one must be low in another.
    chosen = scores[:, noise.best(scores.mean(axis=0), 50)]
    pairs = [stats.spearmanr(chosen[a], chosen[b]).statistic for a in range(5) for b in range(a)]
    assert np.mean(pairs) < -0.15


def test_noise_typical_is_not_moved_by_rare_failures():
    _, scores = planted(4, n=1000)
    failed = scores.copy()
    failed[np.random.default_rng(5).random(scores.shape) < 0.01] -= 0.3
    clean, found = (noise.noise(s, above=-1, resamples=10) for s in (scores, failed))
    assert found.within.mean > 1.5 * clean.within.mean
    assert found.typical.mean == pytest.approx(clean.typical.mean, rel=0.1)


@pytest.mark.parametrize(
    ("repeats", "options", "message"),
    [
        (2, {}, "at least 3 repeats, one to choose by and two to compare, got 2"),
        (3, {"top": 19}, "top must be from 20 to 30, got 19"),
        (3, {"top": 31}, "top must be from 20 to 30, got 31"),
        (3, {"above": 0.99}, "repeat 0 has 0 functions above 0.99"),
    ],
)
def test_noise_bad_input_is_named(repeats, options, message):
    with pytest.raises(ValueError, match=message):
        noise.noise(np.full((repeats, 30), 0.7), **options)


def test_without_common_keeps_means_and_takes_out_shifts():
    _, scores = planted(6, common=0)
    shifts = np.array([0.05, -0.02, 0.0, 0.01, -0.04])[:, None]
    np.testing.assert_allclose(
        noise.without_common(scores + shifts), noise.without_common(scores), rtol=0, atol=1e-15
    )
    np.testing.assert_allclose(noise.without_common(scores).mean(axis=0), scores.mean(axis=0), atol=1e-15)


def test_within_groups_is_the_noise_of_equally_good_functions():
    rng = np.random.default_rng(8)
    true = np.repeat(rng.uniform(0.6, 0.9, 150), 2)
    hits = 0
    for _ in range(40):
        # That a function does better in some repeats is common to its images, and no noise here.
        shared = np.repeat(rng.normal(0, 0.03, (3, 150)), 2, axis=1)
        scores = true + shared + rng.normal(0, 0.02, (3, 300))
        found = noise.within_groups(scores, [(2 * i, 2 * i + 1) for i in range(150)])
        hits += found.low <= 0.02 <= found.high
    assert hits >= 34


def test_within_groups_needs_groups():
    with pytest.raises(ValueError, match=r"2 groups of 2 functions are needed, got \[2, 1\]"):
        noise.within_groups(np.zeros((3, 4)), [(0, 1), (2,)])


def test_best_ties_are_in_order():
    assert noise.best([0.5, 0.9, 0.7, 0.9, 0.9], 4).tolist() == [1, 3, 4, 2]
    with pytest.raises(ValueError, match="top must be from 1 to 2, got 3"):
        noise.best([0.5, 0.9], 3)


@pytest.mark.parametrize("difference", [0.01, 0.02, 0.04])
def test_repeats_needed_give_the_power(difference):
    repeats = int(noise.repeats_needed(difference, 0.016))
    rng = np.random.default_rng(9)
    pairs = rng.normal(0, 0.016, (2, 4000, repeats))
    z = (difference + (pairs[1] - pairs[0]).mean(axis=1)) / (0.016 * math.sqrt(2 / repeats))
    power = (z > stats.norm.ppf(0.975)).mean()
    assert 0.78 < power < 0.95
    if repeats > 10:
        assert power < 0.83


def test_repeats_needed_ends_and_bad_input():
    assert noise.repeats_needed(0.0, 0.01) == math.inf
    assert noise.repeats_needed(1.0, 0.01) == 2
    assert noise.repeats_needed(-0.01, 0.016) == noise.repeats_needed(0.01, 0.016)
    with pytest.raises(ValueError, match="noise must be a standard deviation, got -1"):
        noise.repeats_needed(0.1, -1)
    with pytest.raises(ValueError, match=r"power must be between 0 and 1, got 1\.0"):
        noise.repeats_needed(0.1, 0.1, power=1.0)


@pytest.mark.parametrize("place", [9, 99, 400])
def test_rank_interval_holds_the_true_rank(place):
    hits, widths = 0, []
    for seed in range(60):
        true, scores = planted(seed, n=1000, low=0.8, high=0.93)
        row = int(np.argsort(-true)[place])
        found = noise.rank(scores, row)
        hits += found.low <= place + 1 <= found.high
        widths.append(found.high - found.low)
        assert found.low <= found.rank <= found.high
    assert hits >= 51  # 57 expected; 60 would be an interval that says nothing
    assert np.mean(widths) < 500


def test_rank_without_noise_is_exact():
    scores = np.tile([0.7, 0.9, 0.8, 0.6], (3, 1)) + np.array([[0.0], [0.05], [-0.03]])
    assert noise.rank(scores, 2) == (2, 2, 2, 4, (2, 2, 2))


def test_curse_is_what_the_noise_alone_predicts():
    rng = np.random.default_rng(10)
    scores = 0.8 + rng.normal(0, 0.02, (5, 2000))
    found = noise.curse(scores, 20)
    # The mean of the best 1 % of a normal distribution lies phi(q) / 0.01 standard deviations up.
    predicted = 0.02 * stats.norm.pdf(stats.norm.ppf(0.99)) / 0.01
    assert found.drop.mean == pytest.approx(predicted, rel=0.05)
    assert found.drop.low > 0


def test_curse_of_exact_scores_is_zero_whatever_the_repeats_add():
    true = np.linspace(0.65, 0.9, 100)
    found = noise.curse(true + np.array([[0.0], [0.04], [-0.02]]), 10, repeat=1)
    np.testing.assert_allclose(found.drops, 0, atol=1e-12)
    assert found.chosen == pytest.approx(found.others)
    assert found.chosen == pytest.approx(true[-10:].mean() + 0.02 / 3)


def test_curse_single_choices_are_those_of_a_loop():
    _, scores = planted(11, common=0)
    found = noise.curse(scores, 5, repeat=2)
    scores = noise.without_common(scores)
    order = sorted(range(600), key=lambda i: -scores[2, i])[:5]
    others = [scores[r, i] for r in (0, 1, 3, 4) for i in order]
    assert found.chosen == pytest.approx(np.mean([scores[2, i] for i in order]))
    assert found.others == pytest.approx(np.mean(others))
    assert found.drops[2] == pytest.approx(found.chosen - found.others)


def test_curse_bad_input_is_named():
    with pytest.raises(ValueError, match="at least 2 repeats, got 1"):
        noise.curse(np.zeros((1, 30)))
    with pytest.raises(ValueError, match="repeat must be from 0 to 1, not 2"):
        noise.curse(np.zeros((2, 30)), 5, 2)
    with pytest.raises(ValueError, match="top must be from 1 to 30, got 31"):
        noise.curse(np.zeros((2, 30)), 31)
