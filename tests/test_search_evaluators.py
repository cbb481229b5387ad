"""Live evaluation: what a search trains, stores, and does not train again."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid

import numpy as np
import pytest

from selfgated import search, sweep
from selfgated.search import evaluators, strategies
from selfgated.search.canonical import bounded
from selfgated.search.evaluators import LiveEvaluator
from selfgated.search.loop import search as run_search

SWISH, TURNED, ZERO, COSINE, FAST = (0, 20, 1), (20, 0, 1), (0, 0, 2), (0, 11, 0), (4, 13, 1)
CHEAP = {"steps": 12, "width": 8, "depth": 2, "device": "cpu"}
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def store(tmp_path):
    return tmp_path / "search.sqlite"


@pytest.fixture
def trained(monkeypatch):
    """(seed, texts) of every group of children that this process trains."""
    seen, score = [], evaluators.score

    def spy(expressions, **settings):
        seen.append((settings["seed"], [expression.text for expression in expressions]))
        return score(expressions, **settings)

    monkeypatch.setattr(evaluators, "score", spy)
    return seen


def members(count, cores, *, seed=0):
    """Different functions of a space."""
    space, random, found = search.Space(cores), np.random.default_rng(seed), {}
    while len(found) < count:
        choice = tuple(int(random.integers(size)) for size in space.sizes)
        found.setdefault(np.round(bounded(search.fingerprint(space.expression(choice))), 6).tobytes(), choice)
    return list(found.values())


def rows(store):
    """{(cores, seed of the child, number of the member): row}, as SQLite has them without the library."""
    with contextlib.closing(sqlite3.connect(store, timeout=30)) as connection:
        found = connection.execute("SELECT config, seed, result FROM rows").fetchall()
    configs = [(json.loads(config), number, json.loads(result)) for config, number, result in found]
    return {(c["cores"], c["child_seed"], number): result for c, number, result in configs}


def test_call_is_the_mean_score_over_the_seeds(store):
    evaluator = LiveEvaluator(search.Space(), store=store, seeds=(3, 5), **CHEAP)
    choices = [SWISH, COSINE, FAST]
    expressions = [search.Space().expression(choice) for choice in choices]
    alone = np.array([search.score(expressions, seed=seed, **CHEAP).accuracy for seed in (3, 5)])
    assert alone.std() > 0
    np.testing.assert_array_equal(evaluator.accuracies(choices), alone)
    np.testing.assert_array_equal(evaluator(choices), alone.mean(axis=0))


def test_score_does_not_depend_on_the_batch_and_stored_ones_serve_another(store, trained, tmp_path):
    choices = members(13, 1)
    together = LiveEvaluator(search.Space(), store=store, **CHEAP)(choices)
    assert [len(texts) for _, texts in trained] == [13]
    other = LiveEvaluator(search.Space(), store=tmp_path / "other.sqlite", **CHEAP)
    parts = [choices[:5], choices[5:8], *([choice] for choice in choices[8:])]
    np.testing.assert_array_equal(np.concatenate([other(part) for part in parts]), together)
    assert rows(tmp_path / "other.sqlite") == rows(store)  # their losses too
    trained.clear()
    again = LiveEvaluator(search.Space(), store=store, **CHEAP)
    new = members(15, 1)[13:]
    mixed = again([*new, *choices[::-1]])
    np.testing.assert_array_equal(mixed[2:], together[::-1])
    assert [len(texts) for _, texts in trained] == [2]


def test_equal_functions_are_trained_once(store, trained):
    evaluator = LiveEvaluator(search.Space(), store=store, **CHEAP)
    scores = evaluator([SWISH, COSINE, TURNED, SWISH])
    assert scores[0] == scores[2] == scores[3]
    assert trained == [(0, ["x*sigmoid(x)", "x + cos(x)"])]
    store.unlink()
    np.testing.assert_array_equal(evaluator([TURNED, COSINE]), scores[:2])
    assert not store.exists()
    assert evaluator.trained == 2
    assert evaluator.representative(TURNED) == SWISH


def test_betas_that_change_places_are_equal_and_betas_that_are_two_are_not_one(store, trained):
    space = search.Space()
    names, binary = list(search.UNARY), list(search.BINARY)
    scaled, shifted, b, plus = (names.index(n) for n in ("beta*x", "x + beta", "beta", "x"))
    add = binary.index("x1 + x2")
    evaluator = LiveEvaluator(space, store=store, **CHEAP)
    evaluator([(scaled, shifted, add), (shifted, scaled, add), (scaled, scaled, add), (scaled, plus, add)])
    assert evaluator.trained == 3
    assert evaluator.representative((b, scaled, add)) == (b, scaled, add)


def test_units_are_as_many_as_workers_and_none_is_larger_than_a_block(store, monkeypatch):
    given = []

    def run(function, units, **options):
        given.extend(sweep.normalise(units))
        return [{**u.config, "seed": seed, "accuracy": 0.5} for u in given for seed in u.seeds]

    monkeypatch.setattr(evaluators.sweep, "run", run)
    monkeypatch.setattr(evaluators, "BLOCK", 4)
    LiveEvaluator(search.Space(2), store=store, seeds=(0, 1), workers=2, **CHEAP)(members(7, 2))
    assert [len(unit.seeds) for unit in given] == [4, 3, 4, 3]
    given.clear()
    LiveEvaluator(search.Space(2), store=store, **CHEAP)(members(9, 2))
    assert [len(unit.seeds) for unit in given] == [3, 3, 3]
    given.clear()
    LiveEvaluator(search.Space(2), store=store, workers=4, **CHEAP)(members(2, 2))
    assert [len(unit.seeds) for unit in given] == [1, 1]


def test_child_that_diverges_counts_as_a_coin_and_is_stored(store):
    evaluator = LiveEvaluator(search.Space(), store=store, lr=1e30, steps=4, width=4, depth=1, device="cpu")
    assert evaluator([FAST])[0] == 0.5
    ((_, row),) = rows(store).items()
    assert row["diverged_at"] >= 0
    assert (row["accuracy"], row["loss"]) == (0.5, None)
    assert row["expression"] == search.Space().expression(FAST).text


def test_settings_part_and_space_are_kept_apart(store, trained):
    options = CHEAP | {"store": store}
    LiveEvaluator(search.Space(), **options)([SWISH])
    LiveEvaluator(search.Space(), **options, part="test")([SWISH])
    LiveEvaluator(search.Space(), **options | {"steps": 13})([SWISH])
    # the member of two core units that has the same number as Swish in the space of one
    LiveEvaluator(search.Space(2), **options)([search.Space(2).choice(search.Space().index(SWISH))])
    assert len(trained) == 4
    # what is a default today has its own value in the store
    LiveEvaluator(search.Space(), **options, lr=evaluators.SETTINGS["lr"])([SWISH])
    assert len(trained) == 4


def test_no_choices_are_no_scores(store):
    evaluator = LiveEvaluator(search.Space(), store=store, **CHEAP)
    assert evaluator([]).shape == (0,)
    assert not store.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stepps": 3}, r"unknown setting 'stepps'; choose from \['part', 'gain', 'width', "),
        ({"part": "train"}, r"unknown part 'train'; choose from \['validation', 'test'\]"),
        ({"gain": "xavier"}, r"unknown gain 'xavier'; choose from \['he', 'own'\]"),
        ({"engine": "slurm"}, r"unknown engine 'slurm'; choose from \['local', 'ray'\]"),
        ({"seeds": ()}, r"seeds must be at least one number, none twice, not \(\)"),
        ({"seeds": (1, 1)}, r"none twice, not \(1, 1\)"),
    ],
)
def test_bad_options_name_the_choices(store, options, message):
    with pytest.raises(ValueError, match=message):
        LiveEvaluator(search.Space(), store=store, **options)
    assert not store.exists()


def test_failure_of_a_unit_is_an_error_and_the_others_are_kept(store, monkeypatch):
    score = evaluators.score

    def fail(expressions, **settings):
        if any("cos" in expression.text for expression in expressions):
            raise MemoryError("no room for cos")
        return score(expressions, **settings)

    monkeypatch.setattr(evaluators, "score", fail)
    monkeypatch.setattr(evaluators, "BLOCK", 1)
    with pytest.raises(sweep.SweepError, match="1 unit failed; 1 of 2 units are stored") as failed:
        LiveEvaluator(search.Space(), store=store, **CHEAP)([SWISH, COSINE])
    assert "no room for cos" in str(failed.value)
    assert len(rows(store)) == 1


def longest(cores):
    """A longest function, up to a few characters: each core unit on the longest of the one before."""
    space = search.Space(cores)
    if cores == 1:
        return max(space, key=lambda choice: len(space.expression(choice).text))
    before = longest(cores - 1)
    last = [(cores - 1, u1, cores - 1, u2, b) for u1 in range(25) for u2 in range(25) for b in range(10)]
    random = np.random.default_rng(0)
    few = [last[int(at)] for at in random.choice(len(last), 300, replace=False)]
    few += [(cores - 1, u, cores - 1, u, b) for u in range(25) for b in range(10)]
    return before + max(few, key=lambda end: len(space.expression(before + end).text))


def depth(node):
    return 1 + max(map(depth, node.children), default=0)


def test_functions_of_three_core_units_are_within_the_limits_of_the_grammar():
    choice = longest(3)
    expression = search.Space(3).expression(choice)
    assert 300 < len(expression.text) < 2000
    assert search.parse(expression.text) == expression
    for choice in members(40, 3):
        expression = search.Space(3).expression(choice)
        assert search.parse(expression.text) == expression
        assert depth(expression.root) < 40


def test_function_of_nine_betas_takes_no_factorial_time(store):
    names, mix = list(search.UNARY), list(search.BINARY).index("beta*x1 + (1 - beta)*x2")
    u = names.index("beta*x")
    choice = (u, u, mix, 1, u, 1, u, mix, 2, u, 2, u, mix)
    space = search.Space(3)
    assert len(space.expression(choice).betas) == 9
    began = time.process_time()
    assert LiveEvaluator(space, store=store, **CHEAP).representative(choice) == choice
    assert time.process_time() - began < 1


SCRIPT = """
import json, sys, time
import torch
torch.set_num_threads(1)
from selfgated import search
from selfgated.search import evaluators, strategies
from selfgated.search.canonical import bounded
from selfgated.search.loop import search as run_search

store, log, pause = sys.argv[1], sys.argv[2], float(sys.argv[3])
score = evaluators.score

def slow(expressions, **settings):
    with open(log, "a") as file:
        file.write("".join(f"{settings['seed']} {expression.text}\\n" for expression in expressions))
    time.sleep(pause)
    return score(expressions, **settings)

evaluators.score = slow
space = search.Space(2)
cheap = {"steps": 12, "width": 8, "depth": 2, "device": "cpu"}
evaluate = evaluators.LiveEvaluator(space, store=store, seeds=(0, 1), **cheap)
strategy = strategies.make("evolution", space.sizes, seed=4, population=8, tournament=3)
found = run_search(strategy, evaluate, evaluations=30, batch=5)
print(json.dumps([found.choices, found.scores.tolist()]))
"""


def test_search_killed_in_the_middle_goes_on_and_ends_as_if_it_had_not_been(tmp_path, store):
    command = [sys.executable, "-c", SCRIPT, str(store), str(tmp_path / "log")]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen([*command, "0.5"], env=environment) as process:
        end = time.monotonic() + 120
        while time.monotonic() < end:
            with contextlib.suppress(sqlite3.Error):
                if store.exists() and len(rows(store)) >= 14:
                    break
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    done = rows(store)
    assert 14 <= len(done) < 60
    texts = [f"{seed} {row['expression']}" for (_, seed, _), row in done.items()]
    (tmp_path / "log").unlink()
    again = subprocess.run(
        [*command, "0"], env=environment, capture_output=True, text=True, check=True, timeout=300
    )
    repeated = (tmp_path / "log").read_text().splitlines()
    assert not set(texts) & set(repeated)
    assert len(set(repeated)) == len(repeated)
    space = search.Space(2)
    evaluate = LiveEvaluator(space, store=tmp_path / "whole.sqlite", seeds=(0, 1), **CHEAP)
    strategy = strategies.make("evolution", space.sizes, seed=4, population=8, tournament=3)
    whole = run_search(strategy, evaluate, evaluations=30, batch=5)
    assert json.loads(again.stdout) == [[list(c) for c in whole.choices], whole.scores.tolist()]
    assert rows(store) == rows(tmp_path / "whole.sqlite")


MARK = "SELFGATED_TEST_CLUSTER"
ON_RAY = """
import json, sys
import psutil, ray
from ray.cluster_utils import Cluster
from selfgated import search
from selfgated.search.evaluators import LiveEvaluator

NODE = {
    "num_cpus": 1, "node_ip_address": "127.0.0.1", "object_store_memory": 80 * 2**20,
    "include_dashboard": False, "include_log_monitor": False, "no_monitor": True,
}
choices = [tuple(choice) for choice in json.loads(sys.argv[1])]
cluster = Cluster(initialize_head=True, head_node_args=NODE)
try:
    cluster.add_node(**NODE)
    evaluate = LiveEvaluator(
        search.Space(2), store="ray.sqlite", seeds=(0, 1), engine="ray", address=cluster.address, workers=2,
        steps=12, width=8, depth=2, device="cpu",
    )
    evaluate(choices[:2])  # each batch is a connection of its own
    print(json.dumps(evaluate.accuracies(choices).tolist()))
finally:
    ray.shutdown()
    cluster.shutdown()
"""


@pytest.fixture
def cluster_environment():
    """Environment of a cluster on the loopback, none of whose processes outlives the test."""
    import psutil

    word = uuid.uuid4().hex
    with tempfile.TemporaryDirectory(prefix="sg", ignore_cleanup_errors=True) as folder:  # sockets: short
        yield os.environ | {
            MARK: word,
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_raylet_start_wait_time_s": "150",
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
            "RAY_TMPDIR": folder,
        }
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(MARK) == word:
                process.kill()


def test_scores_of_a_ray_cluster_are_those_of_this_machine(tmp_path, store, cluster_environment, monkeypatch):
    pytest.importorskip("ray", reason="the extra selfgated[ray] is not installed")
    choices = members(6, 2, seed=1)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ON_RAY, json.dumps(choices)],
        cwd=tmp_path,
        env=cluster_environment,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    here = LiveEvaluator(search.Space(2), store=store, seeds=(0, 1), **CHEAP)
    found = json.loads(done.stdout.splitlines()[-1])
    monkeypatch.setattr(evaluators, "BLOCK", 1)  # the same units as on two workers
    here(choices[:2])
    monkeypatch.setattr(evaluators, "BLOCK", 2)
    np.testing.assert_array_equal(found, here.accuracies(choices))
    assert rows(tmp_path / "ray.sqlite") == rows(store)
