"""The search loop, its history, and strategies compared over runs."""

import math

import numpy as np
import pytest
from scipy import stats

from selfgated import statistics
from selfgated.search import History, differences, search, strategies

SIZES = (5, 4, 3)


def value(choice):
    """A score between 0 and 1 that differs between most candidates."""
    return math.modf(100 * math.sin(1 + sum((k + 2) * v for k, v in enumerate(choice))))[0] % 1


class Evaluator:
    """Scores by `value`, keeps them as a store does, and breaks off after a number of new ones."""

    def __init__(self, stop=math.inf):
        self.stored, self.calls, self.stop = {}, [], stop

    def __call__(self, choices):
        self.calls.append(list(choices))
        for choice in choices:
            if choice not in self.stored:
                if len(self.stored) >= self.stop:
                    raise KeyboardInterrupt
                self.stored[choice] = value(choice)
        return [self.stored[choice] for choice in choices]


@pytest.mark.parametrize("seed", range(5))
def test_history_is_what_a_loop_over_it_gives(seed):
    rng = np.random.default_rng(seed)
    choices = [(int(v),) for v in rng.integers(6, size=30)]
    scores = rng.integers(5, size=30) / 4  # with ties
    history = History(choices, scores)
    best, leader, leaders = -1.0, None, []
    for at, score in enumerate(scores):
        if score > best:
            best, leader = score, at
        leaders.append(leader)
    assert len(history) == 30
    assert history.leaders().tolist() == leaders
    assert history.best_so_far().tolist() == [scores[at] for at in leaders]
    assert history.best() == (choices[leaders[-1]], scores[leaders[-1]])
    assert history.distinct().tolist() == [len(set(choices[: at + 1])) for at in range(30)]


def test_history_of_nothing_has_no_best():
    empty = History([], np.zeros(0))
    assert [empty.best_so_far().size, empty.leaders().size, empty.distinct().size] == [0, 0, 0]
    with pytest.raises(ValueError, match="nothing was evaluated"):
        empty.best()


@pytest.mark.parametrize("name", strategies.NAMES)
def test_search_counts_evaluations_and_tells_what_was_proposed(name):
    told = []
    strategy = strategies.make(name, SIZES)
    tell = strategy.tell
    strategy.tell = lambda choices, scores: (told.append(list(choices)), tell(choices, scores))
    history = search(strategy, Evaluator(), evaluations=50, batch=8)
    assert len(history) == 50
    assert [len(part) for part in told] == [8] * 6 + [2]
    assert [choice for part in told for choice in part] == history.choices
    assert history.scores.tolist() == [value(choice) for choice in history.choices]


@pytest.mark.parametrize("name", ["exhaustive", "random"])
def test_search_ends_when_every_candidate_was_seen(name):
    history = search(strategies.make(name, SIZES), Evaluator(), evaluations=1000, batch=7)
    assert len(history) == 60 == len(set(history.choices))
    assert history.best()[1] == max(map(value, history.choices))


def test_search_evaluates_a_candidate_once_and_counts_it_every_time():
    class Stubborn(strategies.Strategy):
        def _propose(self, count):
            return [(1, 1, 1)] * (count - 1) + [(2, 1, 1)]

    evaluator = Evaluator()
    history = search(Stubborn(SIZES), evaluator, evaluations=12, batch=4)
    assert evaluator.calls == [[(1, 1, 1), (2, 1, 1)]]
    assert len(history) == 12
    assert history.distinct()[-1] == 2
    assert history.scores.tolist() == 3 * (3 * [value((1, 1, 1))] + [value((2, 1, 1))])


@pytest.mark.parametrize("name", strategies.NAMES)
def test_search_broken_off_and_started_again_goes_on_from_the_store(name):
    options = {"population": 10, "tournament": 3} if name == "evolution" else {}
    whole = search(strategies.make(name, SIZES, seed=5, **options), Evaluator(), evaluations=55, batch=6)
    evaluator = Evaluator(stop=17)
    with pytest.raises(KeyboardInterrupt):
        search(strategies.make(name, SIZES, seed=5, **options), evaluator, evaluations=55, batch=6)
    assert len(evaluator.stored) == 17
    evaluator.stop = math.inf
    again = search(strategies.make(name, SIZES, seed=5, **options), evaluator, evaluations=55, batch=6)
    assert again.choices == whole.choices
    assert again.scores.tolist() == whole.scores.tolist()
    assert len(evaluator.stored) == whole.distinct()[-1]


def test_search_with_the_same_strategy_goes_on():
    one = search(strategies.make("evolution", SIZES, population=5), value_of_all, evaluations=40, batch=4)
    strategy = strategies.make("evolution", SIZES, population=5)
    parts = [search(strategy, value_of_all, evaluations=20, batch=4) for _ in range(2)]
    assert parts[0].choices + parts[1].choices == one.choices


def value_of_all(choices):
    return [value(choice) for choice in choices]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_search_score_that_is_not_finite_names_the_candidate(bad):
    def evaluate(choices):
        return [bad if choice == (0, 2, 1) else 0.5 for choice in choices]

    with pytest.raises(ValueError, match=rf"the score of candidate \(0, 2, 1\) is {bad}; it must be finite"):
        search(strategies.make("exhaustive", SIZES), evaluate, evaluations=60)


def test_search_bad_input_is_named():
    strategy = strategies.make("random", SIZES)
    with pytest.raises(ValueError, match="evaluations must be an integer of at least 1, not 0"):
        search(strategy, value_of_all, evaluations=0)
    with pytest.raises(ValueError, match=r"batch must be an integer of at least 1, not 2\.5"):
        search(strategy, value_of_all, evaluations=5, batch=2.5)
    with pytest.raises(ValueError, match=r"5 candidates need as many scores, got an array of shape \(3,\)"):
        search(strategy, lambda choices: [0.1, 0.2, 0.3], evaluations=5)


def test_search_shows_a_bar_only_when_asked(capsys):
    for progress in (False, True):
        search(strategies.make("random", SIZES), value_of_all, evaluations=40, progress=progress)
        captured = capsys.readouterr()
        assert captured.out == ""
        assert ("0/40" in captured.err) == progress


def rows(**columns):
    return [
        {"variant": variant, "seed": seed, "checkpoints": [10, 20], "best": [score / 2, score], "last": score}
        for variant, scores in columns.items()
        for seed, score in enumerate(scores)
    ]


def test_differences_are_paired_tests_with_holm():
    rng = np.random.default_rng(0)
    scores = {name: rng.normal(mean, 0.1, size=12) for name, mean in [("random", 0), ("a", 0.1), ("b", 0.3)]}
    recorded = rows(**scores)
    shuffled = [recorded[k] for k in rng.permutation(len(recorded))]
    found = differences(shuffled, "best", at=20, names=["a", "b"])
    raw = [stats.ttest_rel(scores[name], scores["random"]) for name in "ab"]
    for one, test, name in zip(found, raw, "ab", strict=True):
        interval = test.confidence_interval(0.95)
        expected = [np.mean(scores[name] - scores["random"]), interval.low, interval.high, test.pvalue]
        np.testing.assert_allclose(one[1:5], expected, rtol=1e-10)
        assert (one.name, one.n) == (name, 12)
    np.testing.assert_allclose(
        [one.holm for one in found], statistics.holm([t.pvalue for t in raw]), rtol=1e-9
    )
    assert found[1].holm > found[1].p
    half = differences(recorded, "best", at=10)
    np.testing.assert_allclose([2 * one.mean for one in half], [one.mean for one in found], rtol=1e-12)
    assert differences(recorded, "last") == differences(recorded, "best", at=20)


def test_differences_leave_out_what_has_other_seeds_unless_named():
    recorded = rows(random=[0.1, 0.2, 0.4], a=[0.3, 0.2, 0.5], exhaustive=[0.9])
    assert [one.name for one in differences(recorded, "last")] == ["a"]
    with pytest.raises(
        ValueError, match=r"'exhaustive' has not the runs of 'random': \(seed, seed\) \[\(0, 0\)\] and \["
    ):
        differences(recorded, "last", names=["exhaustive"])
    with pytest.raises(ValueError, match=r"no rows of variant 'c'; choose from \['random', 'a', 'exhaus"):
        differences(recorded, "last", against="c")
    with pytest.raises(ValueError, match="no column 'first'; it has "):
        differences(recorded, "first")
    with pytest.raises(ValueError, match=r"no checkpoint at 30 evaluations; choose from \[10, 20\]"):
        differences(recorded, "best", at=30)
    recorded[4]["best"] = [0.1, None]
    with pytest.raises(ValueError, match="the run of 'a' with seed 1 has no 'best' at 20"):
        differences(recorded, "best", at=20)
    with pytest.raises(ValueError, match="no variant has the runs of 'exhaustive'"):
        differences(recorded, "last", against="exhaustive")


def test_differences_by_repeat_are_paired_tests_of_means():
    rng = np.random.default_rng(1)
    recorded, means = [], {"random": [], "a": []}
    for repeat, count in enumerate((6, 4, 5)):
        for name, shift in (("random", 0), ("a", 0.2)):
            scores = rng.normal(shift, 0.1, size=count)
            recorded += [row | {"repeat": repeat} for row in rows(**{name: scores})]
            means[name].append(np.mean(scores))
    found = differences(recorded[::-1], "last", by="repeat")
    test = stats.ttest_rel(means["a"], means["random"])
    assert (len(found), found[0].name, found[0].n) == (1, "a", 3)
    np.testing.assert_allclose(found[0].mean, np.mean(means["a"]) - np.mean(means["random"]), rtol=1e-12)
    np.testing.assert_allclose(found[0].p, test.pvalue, rtol=1e-10)
    with pytest.raises(
        ValueError, match="has seed 0 twice; select the rows of one repeat, or pair by repeat"
    ):
        differences(recorded, "last")
    with pytest.raises(ValueError, match="'a' has not the runs of 'random'"):
        differences(recorded[:-1], "last", by="repeat", names=["a"])
    with pytest.raises(ValueError, match=r"unknown pairs 'run'; choose from \['seed', 'repeat'\]"):
        differences(recorded, "last", by="run")
