import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from selfgated import statistics


@pytest.mark.parametrize("n", [2, 3, 10, 200])
def test_mean_interval_against_scipy(n):
    values = np.random.default_rng(n).gamma(2.0, size=n)
    found = statistics.mean_interval(values, confidence=0.9)
    exact = stats.t.interval(0.9, n - 1, loc=values.mean(), scale=stats.sem(values))
    assert found[:3] == pytest.approx((values.mean(), *exact), rel=1e-12)
    assert found.n == n


def test_mean_interval_covers_the_true_mean():
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(2000):
        found = statistics.mean_interval(rng.normal(3.0, 2.0, size=5))
        covered.append(found.low < 3.0 < found.high)
    low, high = statistics.wilson(sum(covered), 2000, confidence=0.999)
    assert low < 0.95 < high


def test_mean_interval_normal_quantile_would_not_cover():
    # 1.96 s / sqrt(5) covers 88 %: the mistake that the t quantile avoids.
    rng = np.random.default_rng(1)
    draws = rng.normal(size=(4000, 5))
    naive = np.abs(draws.mean(1)) < 1.96 * draws.std(1, ddof=1) / math.sqrt(5)
    assert naive.mean() < 0.9


@pytest.mark.parametrize("seed", range(5))
def test_paired_against_scipy(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, 7)) + rng.normal(size=7)
    found, exact = statistics.paired(a, b), stats.ttest_rel(a, b)
    interval = exact.confidence_interval(0.95)
    assert found.p == pytest.approx(exact.pvalue, rel=1e-11)
    assert found[:3] == pytest.approx(((a - b).mean(), interval.low, interval.high), rel=1e-11)


def test_paired_agrees_with_a_permutation_of_signs():
    rng = np.random.default_rng(4)
    difference = rng.normal(0.5, 1, size=12)
    signs = np.array(np.meshgrid(*[[-1, 1]] * 12)).reshape(12, -1)
    exact = (np.abs(difference @ signs) >= abs(difference.sum()) - 1e-12).mean()
    assert statistics.paired(difference, np.zeros(12)).p == pytest.approx(exact, abs=0.02)


def test_paired_equal_differences():
    assert statistics.paired([0.1, 0.2, 0.9], [0.1, 0.2, 0.9]).p == 1
    assert statistics.paired([0.3, 0.5, 0.7], [0.1, 0.3, 0.5]).p == 0


def test_paired_swapped_arguments_change_the_sign():
    a, b = [1.0, 2.0, 4.0], [0.0, 3.0, 1.0]
    there, back = statistics.paired(a, b), statistics.paired(b, a)
    assert (there.mean, there.low, there.high) == (-back.mean, -back.high, -back.low)
    assert there.p == back.p


def test_holm_by_hand():
    # m = 4, sorted 0.005 0.01 0.03 0.04: times 4 3 2 1 is 0.02 0.03 0.06 0.04, and the last is raised to
    # 0.06.
    assert statistics.holm([0.03, 0.005, 0.04, 0.01]).tolist() == pytest.approx([0.06, 0.02, 0.06, 0.03])
    assert statistics.holm([0.7, 0.6]).tolist() == [1.0, 1.0]
    assert statistics.holm([0.2]).tolist() == [0.2]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.floats(0.001, 0.5))
def test_holm_rejects_what_the_stepwise_rule_rejects(p, level):
    rejected = set()
    for at in sorted(range(len(p)), key=p.__getitem__):  # smallest first, stop at the first that is kept
        if p[at] * (len(p) - len(rejected)) > level:
            break
        rejected.add(at)
    assert {i for i, value in enumerate(statistics.holm(p)) if value <= level} == rejected


def test_holm_controls_the_family_where_plain_tests_do_not():
    draws = np.random.default_rng(2).random((2000, 10))
    assert (draws.min(1) < 0.05).mean() > 0.35
    assert np.mean([statistics.holm(row).min() < 0.05 for row in draws]) < 0.07


@pytest.mark.parametrize(("k", "n"), [(0, 10), (10, 10), (3, 10), (1, 1), (400, 1000)])
def test_wilson_against_scipy(k, n):
    exact = stats.binomtest(k, n).proportion_ci(0.95, method="wilson")
    assert statistics.wilson(k, n) == pytest.approx((exact.low, exact.high), rel=1e-9, abs=1e-15)


def test_wilson_ends_are_the_proportions_that_just_reject():
    low, high = statistics.wilson(3, 17)

    def score(p):
        return (3 / 17 - p) / math.sqrt(p * (1 - p) / 17)

    for end, sign in ((low, 1), (high, -1)):
        root = optimize.brentq(lambda p, sign=sign: score(p) - sign * stats.norm.ppf(0.975), 1e-6, 1 - 1e-6)
        assert end == pytest.approx(root, rel=1e-10)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: statistics.mean_interval([1.0]),
            r"values must be a sequence of at least 2 numbers, got shape \(1,\)",
        ),
        (lambda: statistics.mean_interval([1.0, math.nan]), "values must be finite, got nan at position 1"),
        (
            lambda: statistics.mean_interval([1.0, 2.0], confidence=95),
            r"confidence must be between 0 and 1, got 95\.0",
        ),
        (lambda: statistics.paired([1.0, 2.0], [1.0, 2.0, 3.0]), "a and b must be pairs, got 2 and 3 values"),
        (lambda: statistics.holm([]), "p_values must be a sequence of at least 1 number"),
        (lambda: statistics.holm([0.5, 1.5]), r"p_values must be between 0 and 1, got 1\.5"),
        (lambda: statistics.wilson(4, 3), "got k=4, n=3"),
        (lambda: statistics.wilson(0.5, 3), r"got k=0\.5, n=3"),
        (lambda: statistics.wilson(0, 0), "got k=0, n=0"),
    ],
)
def test_statistics_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
