"""`selfgated search`: a score, the recorded table, a live search, and the errors of each."""

import contextlib
import io
import json
import os
import re

import numpy as np
import pytest

from selfgated import cli, search, statistics
from selfgated.experiments import record
from selfgated.search import evaluators, strategies
from selfgated.search.evaluators import LiveEvaluator
from selfgated.search.table import Table

pytestmark = pytest.mark.usefixtures("one_thread", "elsewhere")
LIVE = ["--steps", "6", "--device", "cpu", "--quiet", "--batch", "4", "--retest", "100:102"]


def run(*argv):
    """(exit code, stdout, stderr) of the command."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = cli.main(["search", *map(str, argv)])
        except SystemExit as done:
            code = done.code
    return code, out.getvalue(), err.getvalue()


def found(*argv):
    """The report of a call that succeeds."""
    code, out, err = run(*argv, "--json")
    assert (code, err) == (0, "")
    return json.loads(out)


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A folder without records."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(record, "root", lambda: tmp_path)


@pytest.fixture(scope="module")
def rows():
    """Made-up scores of all functions of one core unit, 4 repeats of 7 steps, in two blocks."""
    random = np.random.default_rng(0)
    index = np.array([group[0] for group in search.distinct()])
    quality = random.uniform(0.5, 0.9, len(index))
    made = []
    for seed in range(4):
        scores = quality + random.normal(0, 0.02, len(index))
        for block, part in enumerate(np.array_split(np.arange(len(index)), 2)):
            made.append(
                {"block": block, "size": 2019, "gain": "he", "steps": 7, "seed": seed}
                | {"index": index[part].tolist(), "accuracy": scores[part].tolist()}
                | {"loss": [0.1] * len(part), "diverged_at": [-1] * len(part)}
            )
    return made


@pytest.fixture
def recorded(rows, elsewhere, tmp_path):
    """The table of `rows`, stored where the command finds it."""
    (tmp_path / "results").mkdir()
    path = tmp_path / "results" / "activation_search_full.json"
    path.write_text(json.dumps({"meta": {"experiment": "activation_search"}, "rows": rows}))
    return Table.from_rows(rows)


def test_score_is_that_of_the_library_beside_swish_and_relu():
    texts = ["cos(x) - x", "x*sigma(beta*x)"]
    report = found("--score", *texts, "--seeds", "0,2,5", "--steps", 9, "--device", "cpu")
    every = [search.parse(text) for text in (*texts, "x*sigmoid(x)", "max(x, 0)")]
    accuracy = np.array([search.score(every, seed=s, steps=9, device="cpu").accuracy for s in (0, 2, 5)]).T
    assert (report["seeds"], report["steps"], report["gain"]) == ([0, 2, 5], 9, "he")
    assert [row["expression"] for row in report["functions"]] == ["cos(x) - x", "x*sigmoid(beta*x)"]
    for row, own in zip(report["functions"], accuracy, strict=False):
        assert row["accuracy"] == own.tolist()
        assert row["interval"] == statistics.mean_interval(own)._asdict()
        assert row["minus"]["Swish"] == statistics.paired(own, accuracy[2])._asdict()
        assert row["minus"]["ReLU"] == statistics.paired(own, accuracy[3])._asdict()
        assert row["own_gain"] == search.own_gain(search.parse(row["expression"]))
        assert row["recorded"] is None
    assert report["references"]["ReLU"]["interval"] == statistics.mean_interval(accuracy[3])._asdict()


def test_score_says_what_a_function_is():
    calls = ["--score", "sigmoid(x)*x", "--score", "-x*atan(x)+0*x", "atan(x)^2 - x", "x - x"]
    report = found(*calls, "--seeds", "0", "--steps", 1, "--device", "cpu")
    product, even, two, zero = report["functions"]
    assert (product["simplified"], product["member"]) == ("x/(1 + exp(-x))", "sigmoid(x)*x")
    assert (even["simplified"], even["expression"]) == ("-x*atan(x)", "-x*atan(x) + 0*x")
    assert even["member"] in ("-x*atan(x)", "atan(x)*-x", "-(x*atan(x))", "atan(x)*(-x)", "(-x)*atan(x)")
    assert two["member"] is None
    assert zero["own_gain"] is None
    code, out, _ = run(*calls, "--seeds", "0", "--steps", "1", "--device", "cpu")
    assert code == 0
    assert "  simplified   x/(1 + exp(-x))\n  one core     sigmoid(x)*x\n" in out
    assert "  one core     no: one core unit cannot make it\n" in out
    assert "  own gain     none: E f(z)^2 is 0 or not finite\n" in out
    assert out.endswith("\none network; 1 steps; seed 0\n")


def test_score_has_its_place_in_the_table(recorded):
    options = ["--seeds", "0:3", "--steps", 7, "--device", "cpu"]
    one, other = found("--score", "sigmoid(x)*x", "atan(x)^2 - x", *options)["functions"]
    every = recorded.accuracy.mean(axis=0)
    counted, own = every[~recorded.twin], every[recorded.row("x*sigmoid(x)")]
    assert len(counted) < 4040
    place = {"rank": 1 + int((counted > own).sum()), "of": len(counted)}
    rank = recorded.rank("x*sigmoid(x)")
    assert rank.low < rank.rank < rank.high
    assert one["recorded"] == place | {"accuracy": own, "interval": [rank.low, rank.high]}
    place = {"rank": 1 + int((counted > np.mean(other["accuracy"])).sum()), "of": len(counted)}
    assert other["recorded"] == place | {"accuracy": None, "interval": None}
    _, out, _ = run("--score", "atan(x)^2 - x", *options)
    assert f"  in the table its score would be number {place['rank']} of {len(counted)}\n" in out
    for change in (["--steps", "8"], ["--gain", "own"]):
        assert found("--score", "x", *options, *change)["functions"][0]["recorded"] is None


def test_score_counts_networks_that_diverge():
    code, out, _ = run("--score", "exp(exp(x^3))", "--seeds", "0:2", "--steps", "5", "--device", "cpu")
    assert code == 0
    assert "  diverged     2 of 2 networks, which count as 0.5\n" in out
    assert "  accuracy     0.5000 [0.5000, 0.5000], chance is 0.5\n" in out


HOSTILE = [
    ("__import__('os').system('touch run')", "unexpected"),
    ("(" * 80 + "x" + ")" * 80, "64"),
    ("sin(" * 200 + "x" + ")" * 200, "64"),
    ("x + " * 749 + "x + x", "2,000"),
    ("x.__class__", "'.'"),
    ("х*sigmoid(x)", "CYRILLIC"),
    ("x*sigmod(x)", "unknown function 'sigmod' at character 3; choose from ['abs', "),
    ("y*sigmoid(x)", "unknown symbol 'y' at character 1; choose from ['x', "),
    ("max(x)", "max at character 1 takes two arguments, not 1"),
    ("sigmoid(x, x)", "sigmoid at character 1 takes one argument, not 2"),
    ("silu(" * 40 + "x" + ")" * 40, "200"),
    ("x^1000", "from 2 to 9"),
    ("x\n+", "too early"),
    ("", "empty"),
]


@pytest.mark.parametrize(("text", "reason"), HOSTILE, ids=[text[:20] for text, _ in HOSTILE])
def test_hostile_expression_is_one_line_with_its_position_and_runs_nothing(
    text, reason, monkeypatch, tmp_path
):
    def never(*_, **__):
        raise AssertionError("it was run")

    monkeypatch.setattr(os, "system", never)
    monkeypatch.setattr(search, "score", never)
    code, out, err = run("--score", "x", text)
    assert (code, out) == (2, "")
    assert err.startswith("selfgated: ")
    assert err.count("\n") == 1
    assert re.search(r"at character \d+", err)
    assert reason in err
    assert list(tmp_path.iterdir()) == []


def test_power_too_large_for_sympy_is_scored_all_the_same():
    report = found("--score", "((((9^9)^9)^9)^9)^9*x", "--seeds", "0", "--steps", "2", "--device", "cpu")
    assert report["functions"][0]["simplified"] is None
    assert report["functions"][0]["accuracy"] == [0.5]


def live(tmp_path, *options, strategy="evolution", cores=2):
    store = ["--store", tmp_path / "found.sqlite"]
    return [
        "--strategy",
        strategy,
        "--cores",
        cores,
        "--evaluations",
        14,
        "--top",
        3,
        *store,
        *LIVE,
        *options,
    ]


def test_live_search_finds_and_retests_what_the_library_does(tmp_path):
    report = found(*live(tmp_path, "--seeds", "1,2", "--seed", 5))
    space = search.Space(2)
    cheap = {"steps": 6, "device": "cpu"}
    evaluate = LiveEvaluator(space, store=tmp_path / "other.sqlite", seeds=(1, 2), **cheap)
    strategy = strategies.make("evolution", space.sizes, seed=5)
    history = search.search(strategy, evaluate, evaluations=14, batch=4)
    assert report["best_so_far"] == history.best_so_far().tolist()
    assert report["evaluations"] == 14
    assert report["functions"] == evaluate.trained
    assert len(report["best"]) == 3
    assert [row["found"] for row in report["best"]] == sorted(set(history.scores), reverse=True)[:3]
    swish = search.parse("x*sigmoid(x)")
    for row in report["best"]:
        expression = space.expression(row["choice"])
        assert row["expression"] == expression.text
        fresh = [
            search.score([expression, swish], seed=seed, part="test", **cheap).accuracy for seed in (100, 101)
        ]
        own, other = np.array(fresh).T
        assert row["retest"] == statistics.mean_interval(own)._asdict()
        assert row["minus"]["Swish"] == statistics.paired(own, other)._asdict()
    seen = [search.score([swish], seed=seed, **cheap).accuracy[0] for seed in (1, 2)]
    assert report["references"]["Swish"]["found"] == np.mean(seen)


def test_live_search_is_shown_and_a_second_start_trains_nothing(tmp_path, monkeypatch):
    code, first, _ = run(*live(tmp_path))
    monkeypatch.setattr(evaluators, "score", None)
    assert run(*live(tmp_path)) == (0, first, "")
    assert code == 0
    lines = first.splitlines()
    assert re.fullmatch(
        r"evolution, seed 0: 14 evaluations of \d+ different functions, "
        r"of 156,250,000 members of 2 core units",
        lines[0],
    )
    assert lines[2].split() == ["found", "retest", "minus", "Swish,", "paired", "function"]
    assert lines[6].endswith("x*sigmoid(x)  (Swish)")
    assert lines[7].endswith("max(x, 0)  (ReLU)")
    assert re.fullmatch(r"Against Swish the best 3 scored [+-].* when they were found, .*", lines[8])
    assert len(lines) == 9


def test_live_search_after_ctrl_c_says_how_to_go_on_and_loses_nothing(tmp_path, monkeypatch):
    score, calls = evaluators.score, []

    def interrupted(expressions, **settings):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append({expression.text for expression in expressions})
        return score(expressions, **settings)

    with monkeypatch.context() as patch:
        patch.setattr(evaluators, "score", interrupted)
        code, out, err = run(*live(tmp_path, strategy="random"))
    assert (code, out) == (130, "")
    assert err == (
        "selfgated: stopped in the search, with 8 candidates scored of 14; every finished score is kept in "
        f"{tmp_path / 'found.sqlite'}: the same command goes on from there\n"
    )
    new = []

    def spy(expressions, **settings):
        new.extend(expression.text for expression in expressions if settings["part"] == "validation")
        return score(expressions, **settings)

    monkeypatch.setattr(evaluators, "score", spy)
    whole = found(*live(tmp_path, strategy="random"))
    assert whole["evaluations"] == 14
    assert not (calls[0] | calls[1]) & set(new)


@pytest.mark.parametrize("strategy", strategies.NAMES)
def test_every_strategy_searches_live(tmp_path, strategy):
    report = found(*live(tmp_path, strategy=strategy, cores=1))
    assert (report["strategy"], report["evaluations"]) == (strategy, 14)


def test_live_search_of_three_core_units(tmp_path):
    report = found(*live(tmp_path, strategy="random", cores=3))
    assert report["members"] == search.Space(3).size
    for row in report["best"]:
        assert search.parse(row["expression"]).text == row["expression"]


def test_table_shows_the_best_and_where_swish_and_relu_are(recorded):
    report = found("--table", "--top", 4)
    mean = np.where(recorded.twin, 0, recorded.accuracy.mean(axis=0))
    order = np.argsort(-mean, kind="stable")
    assert report["functions"] == (mean > 0).sum()
    assert (report["steps"], report["seeds"]) == (7, [0, 1, 2, 3])
    assert [row["expression"] for row in report["best"]] == [recorded.expressions[i].text for i in order[:4]]
    assert [row["rank"] for row in report["best"]] == [1, 2, 3, 4]
    assert report["best"][1]["interval"] == statistics.mean_interval(recorded.accuracy[:, order[1]])._asdict()
    swish = recorded.row("x*sigmoid(x)")
    assert report["references"]["Swish"]["rank"] == 1 + int((mean > mean[swish]).sum())
    rank = recorded.rank("x*sigmoid(x)")
    assert report["references"]["Swish"]["rank_interval"] == [rank.low, rank.high]
    assert report["noise"] == pytest.approx(0.02, rel=0.05)
    code, out, _ = run("--table", "--top", 2)
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == f"{(mean > 0).sum()} functions of one core unit, 4 networks each, 7 steps"
    assert [line.split()[0] for line in lines[2:4]] == ["1", "2"]
    assert [line.rpartition("  ")[2] for line in lines[4:6]] == ["(Swish)", "(ReLU)"]


@pytest.mark.parametrize("strategy", strategies.NAMES)
def test_table_search_sees_one_repeat_and_is_judged_by_the_others(recorded, strategy):
    report = found("--table", "--strategy", strategy, "--evaluations", 60, "--seed", 3, "--top", 5)
    made = strategies.make(strategy, search.Space(1).sizes, seed=3)
    history = search.search(made, recorded.scores, evaluations=60, batch=20)
    assert report["best"][0]["found"] == history.best()[1]
    others = recorded.accuracy[1:].mean(axis=0)
    counted = others[~recorded.twin]
    for row in report["best"]:
        at = recorded.row(row["expression"])
        assert row["found"] == recorded.accuracy[0, at]
        assert row["truth"] == pytest.approx(others[at], rel=1e-12)
        assert row["rank"] == 1 + int((counted > others[at]).sum())
    code, out, _ = run("--table", "--strategy", strategy, "--evaluations", 60, "--seed", 3)
    assert code == 0
    assert out.startswith(f"{strategy}, seed 3: 60 evaluations of ")


def test_table_that_is_not_there_says_how_to_make_it():
    for options in ([], ["--strategy", "random"]):
        code, out, err = run("--table", *options)
        assert (code, out) == (2, "")
        assert "make results PROFILE=quick NAMES=activation_search" in err
        assert err.count("\n") == 1


def test_table_that_is_damaged_is_one_line_before_anything_is_trained(recorded, tmp_path, monkeypatch):
    path = tmp_path / "results" / "activation_search_full.json"
    path.write_text(path.read_text()[:-50])
    monkeypatch.setattr(search, "score", None)
    for options in (["--table"], ["--score", "x"]):
        code, out, err = run(*options)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert "activation_search_full.json is not a record, or is damaged" in err


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "nothing to do: give --score EXPR, --table or --strategy NAME"),
        (["--score"], "argument --score: expected at least one argument"),
        (["--score", "x", "--table"], "--score stands alone, without --table"),
        (["--score", "x", "--strategy", "ppo"], "--score stands alone, without --strategy"),
        (["--score", "x", "--cores", "2"], "--cores has no meaning with --score, which takes --seeds, "),
        (["--table", "--steps", "9"], "--steps has no meaning with --table, which takes --top"),
        (["--table", "--strategy", "ppo", "--cores", "2"], "--cores has no meaning with --table --strategy"),
        (["--strategy", "anneal", "--store", "s"], "unknown strategy 'anneal'; choose from ['exhaustive', "),
        (["--table", "--strategy", "anneal"], "unknown strategy 'anneal'; choose from ['exhaustive', "),
        (["--strategy", "ppo"], "a search needs --store FILE, which keeps every score"),
        (["--strategy", "ppo", "--store", "s", "--cores", "4"], "argument --cores: invalid choice: 4"),
        (
            ["--strategy", "ppo", "--store", "s", "--evaluations", "0"],
            "--evaluations must be 1 or more, not 0",
        ),
        (["--strategy", "ppo", "--store", "s", "--seeds", "five"], "bad seeds 'five'"),
        (["--strategy", "ppo", "--store", "s", "--retest", "0:3"], "--retest must have other seeds than"),
        (["--strategy", "ppo", "--store", "s", "--engine", "slurm"], "unknown engine 'slurm'; choose from ["),
        (["--strategy", "ppo", "--store", "s", "--device", "tpu"], "tpu"),
        (["--strategy", "ppo", "--store", "s", "--workers", "-1"], "workers is a whole number, 0 or more"),
        (["--strategy", "ppo", "--store", "no/s"], "there is no folder 'no'"),
        (["--strategy", "ppo", "--store", "s", "--address", "x:1"], "address='x:1' is for engine='ray'"),
        (["--strategy", "ppo", "--store", "s", "--seed", "-2"], "seed must be"),
        (["--score", "x", "--gain", "xavier"], "argument --gain: invalid choice: 'xavier'"),
        (["--table", "--top", "0"], "--top must be 1 or more, not 0"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(argv, message, tmp_path):
    code, out, err = run(*argv)
    assert (code, out) == (2, "")
    assert message in err
    assert err.startswith("selfgated: ")
    assert err.count("\n") == 1
    assert not (tmp_path / "s").exists()


def test_damaged_store_is_one_line_and_left_alone(tmp_path):
    (tmp_path / "found.sqlite").write_text("not a store" * 100)
    code, _, err = run(*live(tmp_path))
    assert (code, err.count("\n")) == (2, 1)
    assert "found.sqlite is damaged or not a store" in err
    assert (tmp_path / "found.sqlite").read_text() == "not a store" * 100


def test_help_names_every_strategy_and_shows_examples_that_parse():
    code, out, _ = run("--help")
    assert code == 0
    text = " ".join(out.split())
    named = re.search(r"--strategy NAME search: ([\w, ]+);", text)[1]
    assert sorted(re.findall(r"\w+", named.replace(" or ", " "))) == sorted(strategies.NAMES)
    assert out.count("  selfgated search --") == 4


def test_score_names_the_expression_that_is_wrong_among_several():
    code, out, err = run("--score", "x*sigmoid(x)", "x.y", "max(x, 0)")
    assert (code, out) == (2, "")
    assert err == "selfgated: in 'x.y': unexpected '.' at character 2\n"
    code, _, err = run("--score", "x", "y" * 3000)
    assert (code, err.count("\n")) == (2, 1)
    assert "'" + "y" * 37 + "...'" in err
    assert "3,000 characters" in err
