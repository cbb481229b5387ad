import contextlib
import io
import json

import pytest

from selfgated import cli
from selfgated.statistics import mean_interval

GRID = """
depth = [2, 3]
act = ["relu", "Swish-1"]
width = 4
steps = 6
seeds = "0:3"
"""


def run(*argv):
    """(exit code, stdout, stderr) of the command."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = cli.main(list(map(str, argv)))
        except SystemExit as done:
            code = done.code
    return code, out.getvalue(), err.getvalue()


@pytest.fixture
def sweep(tmp_path):
    """Run the command on the text of a grid."""

    def sweep(text, *options):
        (tmp_path / "grid.toml").write_text(text)
        store = ["--store", tmp_path / "store.sqlite", "--workers", "0", "--device", "cpu", "--quiet"]
        return run("sweep", tmp_path / "grid.toml", *store, *options)

    return sweep


def test_sweep_rows_are_those_of_train_and_the_table_is_theirs(sweep):
    code, out, err = sweep(GRID, "--json")
    assert (code, err) == (0, "")
    report = json.loads(out)
    rows = report["rows"]
    assert [(row["depth"], row["act"], row["seed"]) for row in rows] == [
        (depth, act, seed) for depth in (2, 3) for act in ("relu", "silu") for seed in range(3)
    ]
    options = ["--depth", "3", "--act", "silu", "--width", "4", "--steps", "6", "--seeds", "0:3"]
    alone = json.loads(run("train", *options, "--device", "cpu", "--quiet", "--json")[1])["rows"]
    for row, expected in zip(rows[-3:], alone, strict=True):
        assert {name: row[name] for name in expected} == expected
    cell = report["configurations"][-1]
    found = mean_interval([row["test_accuracy"] for row in alone])
    assert cell == {
        "depth": 3,
        "act": "silu",
        "networks": 3,
        "diverged": 0,
        "test_accuracy": found.mean,
        "interval": [found.low, found.high],
    }


def test_sweep_second_start_runs_only_what_is_new(sweep, monkeypatch):
    first = sweep(GRID, "--json")
    seen = []
    train_unit = cli.sweep.train_unit
    monkeypatch.setattr(cli.sweep, "train_unit", lambda *unit: seen.append(unit) or train_unit(*unit))
    assert sweep(GRID, "--json") == first
    assert seen == []
    code, out, _ = sweep(GRID.replace('"Swish-1"', '"silu", "gelu"'))
    assert code == 0
    assert [(config["depth"], config["act"]) for config, *_ in seen] == [(2, "gelu"), (3, "gelu")]
    lines = out.splitlines()
    assert lines[0].startswith("digits, 6 steps; mean test accuracy")
    assert lines[1].split() == ["depth", "act", "networks", "diverged", "test_accuracy"]
    assert [line.split()[:3] for line in lines[2:4]] == [["2", "relu", "3"], ["2", "silu", "3"]]
    assert len(lines) == 2 + 6


def test_sweep_counts_what_diverged(sweep):
    code, out, _ = sweep('depth = 2\nwidth = 4\nsteps = 8\nlr = [0.02, 1e30]\nseeds = "0:2"\n', "--json")
    small, large = json.loads(out)["configurations"]
    assert code == 0
    assert (small["lr"], small["diverged"]) == (0.02, 0)
    assert (large["lr"], large["diverged"]) == (1e30, 2)
    assert (large["test_accuracy"], large["interval"]) == (None, None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("depth = [2,", "grid.toml is not TOML: "),
        ("deepness = 2", "grid.toml: unknown setting 'deepness'; choose from ['data', 'model', 'depth', "),
        ("depth = []", "grid.toml: depth=[] leaves no configuration"),
        ('depth = "two"', "grid.toml: argument --depth: invalid int value: 'two'"),
        ('model = "rnn"', "grid.toml: argument --model: invalid choice: 'rnn'"),
        ("residual = 1", "grid.toml: residual is true or false, not 1"),
        ("depth = true", "grid.toml: depth is a number or a text, not True"),
        ('act = "gleu"', "grid.toml: unknown activation 'gleu'; choose from ["),
        ('init = "lecun"', "grid.toml: unknown init 'lecun'; choose from ["),
        ('seeds = "five"', "grid.toml: bad seeds 'five'"),
    ],
)
def test_sweep_bad_file_is_one_line_and_exit_code_2(sweep, text, message):
    code, out, err = sweep(text)
    assert (code, out) == (2, "")
    assert message in err
    assert err.startswith("selfgated: ")
    assert err.count("\n") == 1


def test_sweep_missing_file_and_wrong_option_are_exit_code_2(sweep, tmp_path):
    code, _, err = run("sweep", tmp_path / "no.toml", "--store", tmp_path / "s.sqlite")
    assert (code, "no.toml" in err, err.count("\n")) == (2, True, 1)
    assert run("sweep", "grid.toml")[0] == 2
    code, _, err = sweep("steps = 1", "--engine", "slurm")
    assert (code, err) == (2, "selfgated: unknown engine 'slurm'; choose from ['local', 'ray']\n")


def test_sweep_units_that_fail_are_named_with_exit_code_1(sweep):
    code, _, err = sweep(
        'model = "cnn"\ndata = ["digits", "folder:nowhere"]\nsteps = 1\ndepth = 2\nwidth = 2'
    )
    assert code == 1
    assert err.startswith("selfgated: 1 unit failed; 1 of 2 units are stored")
    assert "folder:nowhere" in err


def test_sweep_damaged_store_is_one_line(sweep, tmp_path):
    (tmp_path / "store.sqlite").write_text("not a store" * 100)
    code, _, err = sweep("steps = 1")
    assert (code, err.count("\n")) == (2, 1)
    assert "store.sqlite is damaged or not a store" in err
