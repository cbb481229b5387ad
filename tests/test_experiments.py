import importlib.util
import json
import math
import subprocess
import sys
import time
import types
from pathlib import Path

import numpy as np
import pytest

from selfgated import experiments, sweep
from selfgated.experiments import __main__ as command
from selfgated.experiments import record as recording

ROOT = Path(__file__).resolve().parents[1]
SOURCE = """
import os, time
from pathlib import Path

BUDGET = {"tiny": 1, "quick": 2, "full": 3}
CIFAR = True


def units(profile):
    depths = {"tiny": [2], "quick": [2, 4], "full": [8]}[profile]
    return [({"depth": depth, "pair": (1, 2)}, range(2)) for depth in depths]


def run(config, seeds, device):
    with open(Path(__file__).parent / "log", "a") as file:
        file.write(f"{config['depth']}\\n")
    if (Path(__file__).parent / "raise").exists():
        raise ValueError("no rows")
    time.sleep(1.5 if (Path(__file__).parent / "slow").exists() else 0.02)
    values = [1 / 3, float("nan"), float("inf"), -float("inf"), 1e-9 / 3]
    source = os.environ.get("SELFGATED_CIFAR")
    return [{"third": 100 / 3 + seed, "on": device, "values": values, "source": source} for seed in seeds]
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A clone of its own, with one experiment that is called fake."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "fake_experiment.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(experiments, "NAMES", ("fake",))
    monkeypatch.setattr(experiments, "module", lambda name: importlib.import_module("fake_experiment"))
    monkeypatch.setattr(recording, "root", lambda: tmp_path)
    monkeypatch.delenv("SELFGATED_CIFAR", raising=False)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("fake_experiment", None)


def record(**options):
    options = {"profile": "quick", "device": "cpu", "workers": 0, "progress": False} | options
    return recording.record("fake", **options)


def log(here):
    return (here / "log").read_text().split() if (here / "log").exists() else []


def test_record_runs_on_the_device_that_it_names(here):
    path = record(device="auto")
    data = json.loads(path.read_text())
    assert f"--device {data['rows'][0]['on']}" in data["meta"]["command"]


def test_record_writes_rows_and_what_they_came_from(here):
    path = record()
    assert path == here / "results" / "fake_quick.json"
    data = json.loads(path.read_text())
    meta = data["meta"]
    assert meta["command"] == (
        "python -m selfgated.experiments fake --profile quick --device cpu --cifar cifar10"
    )
    assert (meta["experiment"], meta["profile"], meta["units"]) == ("fake", "quick", 2)
    assert meta["device"].startswith("CPU, ")
    assert set(meta["versions"]) == {"python", "selfgated", "torch", "numpy"}
    assert meta["versions"]["numpy"] == np.__version__
    assert meta["cifar"] == "CIFAR-10"
    assert meta["wall_seconds"] > 0.04
    assert [(row["depth"], row["seed"]) for row in data["rows"]] == [(2, 0), (2, 1), (4, 0), (4, 1)]
    assert data["rows"][1]["third"] == 34.3333
    assert data["rows"][0]["values"] == [0.333333, None, math.inf, -math.inf, 3.33333e-10]
    assert len(path.read_text().splitlines()) == len(json.dumps(meta, indent=1).splitlines()) + 1 + 4 + 1
    assert [child.name for child in path.parent.iterdir()] == ["fake_quick.json"]


def test_record_is_json_for_other_readers(here):
    text = record().read_text()
    json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))


def test_record_goes_on_where_it_stopped(here):
    (here / "slow").touch()
    with pytest.raises(sweep.Unfinished):
        record(max_seconds=1)
    (here / "slow").unlink()
    assert log(here) == ["2"]
    assert not (here / "results").exists()
    record()
    record()
    assert log(here) == ["2", "4"]


def test_record_does_not_mix_rows_of_another_source_or_data_set(here):
    said = []
    record(say=said.append)
    assert said == []
    record(cifar="folder:images", say=said.append)
    assert said == ["fake: 4 stored rows are of another source, device or data set, and are not used"]
    assert log(here) == ["2", "4"] * 2
    data = json.loads((here / "results/fake_quick.json").read_text())
    assert {row["source"] for row in data["rows"]} == {"folder:images"}
    assert data["meta"]["cifar"] == "CIFAR-10 (JPEG)"
    assert data["meta"]["command"].endswith(" --cifar folder:PATH")
    (here / "fake_experiment.py").write_text(SOURCE + "\n# changed\n")
    record(say=said.append)
    assert said[1:] == ["fake: 8 stored rows are of another source, device or data set, and are not used"]
    assert log(here) == ["2", "4"] * 3


def test_record_killed_while_it_writes_leaves_the_old_record(here, monkeypatch):
    path = record()
    before = path.read_bytes()
    (here / "fake_experiment.py").write_text(SOURCE + "\n# changed\n")

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(recording.os, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        record()
    assert path.read_bytes() == before
    assert [child.name for child in path.parent.iterdir()] == ["fake_quick.json"]


def test_record_bad_words_name_the_choices(here):
    with pytest.raises(ValueError, match=r"unknown profile 'big'; choose from \['tiny', 'quick', 'full'\]"):
        record(profile="big")
    empty = types.SimpleNamespace(units=lambda profile: [])
    with pytest.raises(ValueError, match="'fake' has no units in profile 'tiny'"):
        recording.units_of(empty, "fake", "tiny")
    with pytest.raises(ValueError, match="unknown CIFAR-10 images 'folder:'; choose cifar10 or folder:PATH"):
        record(cifar="folder:")
    with pytest.raises(ValueError, match="gpu"):
        record(device="gpu")


def test_record_that_is_too_large_is_said(here, monkeypatch):
    monkeypatch.setattr(recording, "MAX_BYTES", 100)
    said = []
    record(say=said.append)
    assert "bytes, above 100; record less in each row" in said[0]


def test_load_takes_full_before_quick_and_finds_results_from_the_notebooks(here, monkeypatch):
    record()
    monkeypatch.chdir(here / "notebooks")
    monkeypatch.setattr(recording, "root", lambda: Path("/nowhere"))
    assert recording.load("fake").meta["profile"] == "quick"
    quick = (here / "results/fake_quick.json").read_text()
    (here / "results/fake_full.json").write_text(quick.replace('"quick"', '"full"'))
    assert recording.load("fake").meta["profile"] == "full"
    assert recording.load("fake", "quick").meta["profile"] == "quick"
    assert recording.load("fake", folder=here / "results").meta["profile"] == "full"


def test_load_what_is_not_there_says_how_to_make_it(here):
    with pytest.raises(FileNotFoundError, match="make results PROFILE=quick NAMES=fake"):
        recording.load("fake")
    with pytest.raises(ValueError, match=r"unknown experiment 'deep_cnn'; choose from \['fake'\]"):
        recording.load("deep_cnn")
    with pytest.raises(ValueError, match="unknown profile 'big'"):
        recording.load("fake", "big")
    path = record()
    path.write_text(path.read_text()[:-10])
    with pytest.raises(ValueError, match=r"fake_quick\.json is not a record, or is damaged"):
        recording.load("fake")


def test_record_select_and_values(here):
    record()
    found = recording.load("fake")
    assert [row["seed"] for row in found.select(depth=4)] == [0, 1]
    assert len(found.select(depth=(2, 4), pair=(1, 2))) == 4
    assert found.values("third", seed=1).tolist() == [34.3333, 34.3333]
    values = found.values("values", depth=2, seed=0)
    assert values.shape == (1, 5)
    np.testing.assert_array_equal(values[0], [0.333333, np.nan, np.inf, -np.inf, 3.33333e-10])
    with pytest.raises(
        ValueError, match=r"no row of fake has {'depth': 3}; recorded are {'depth': \['2', '4'\]}"
    ):
        found.select(depth=3)
    with pytest.raises(ValueError, match=r"no column 'loss'; it has \['depth', "):
        found.values("loss")


def test_command_records_lists_and_stops_with_a_code_of_its_own(here, capsys):
    assert command.main(["--list"]) == 0
    listed = capsys.readouterr().out
    assert "full" in listed
    options = ["fake", "--device", "cpu", "--workers", "0"]
    assert command.main([*options, "--max-seconds", "0"]) == 75
    assert "0 of 2 units are stored" in (stopped := capsys.readouterr().err)
    assert "run it again to go on" in stopped
    (here / "raise").touch()
    assert command.main(options) == 1
    assert "selfgated: not recorded: fake" in capsys.readouterr().err
    (here / "raise").unlink()
    assert command.main(options) == 0
    assert "fake_quick.json" in capsys.readouterr().out
    assert command.main([*options, "--profile", "big"]) == 2


def test_command_after_ctrl_c_says_how_much_is_done(here, monkeypatch, capsys):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", stop)
    assert command.main(["fake", "--device", "cpu", "--workers", "0"]) == 130
    assert "stopped: 0 of 2 units are stored" in capsys.readouterr().err


def test_module_unknown_names_the_choices_and_import_is_lazy():
    with pytest.raises(ValueError, match=r"unknown experiment 'cnn'; choose from \['signal_propagation', "):
        experiments.module("cnn")
    code = "import sys, selfgated.experiments.record; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_make_results_passes_its_variables_on():
    words = ["PROFILE=full", "DEVICE=cuda", "NAMES=remedies", "WORKERS=1", "CIFAR=folder:x", "ARGS=--list"]
    command = ["make", "--no-print-directory", "-n", "results", *words]  # it may run within a make
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    shown = " ".join(done.stdout.replace("\\\n", " ").split())
    assert shown.endswith(
        "-m selfgated.experiments remedies --profile full --device cuda --workers 1 --cifar folder:x --list"
    )


@pytest.mark.parametrize("name", experiments.NAMES)
def test_experiment_has_units_for_every_profile_and_a_budget(name):
    module = experiments.module(name)
    assert isinstance(module, types.ModuleType)
    for profile in experiments.PROFILES:
        assert sweep.normalise(recording.units_of(module, name, profile))
        assert module.BUDGET[profile] > 0


def test_budgets_of_all_experiments_together():
    modules = [experiments.module(name) for name in experiments.NAMES]
    assert sum(module.BUDGET["tiny"] for module in modules) <= 120
    assert max(module.BUDGET["full"] for module in modules) < 8 * 60
    # A GPU may be had for half an hour at a time: once for the chapters on networks, once for the search.
    search = [module.BUDGET["full"] for module in modules if "search" in module.__name__]
    assert len(search) == 4
    assert sum(search) <= 25 * 60
    assert sum(module.BUDGET["full"] for module in modules) - sum(search) <= 25 * 60


@pytest.mark.parametrize("name", experiments.NAMES)
def test_tiny_profile_of_an_experiment_runs_within_its_budget(name, tmp_path):
    began = time.process_time()
    options = {"workers": 0, "store": tmp_path / "store.sqlite", "out": tmp_path, "progress": False}
    path = recording.record(name, profile="tiny", device="cpu", **options)
    assert time.process_time() - began < 3 * experiments.module(name).BUDGET["tiny"]
    found = recording.load(name, "tiny", folder=tmp_path)
    assert found.rows
    assert path.stat().st_size < recording.MAX_BYTES


@pytest.mark.parametrize("path", sorted((ROOT / "results").glob("*_*.json")), ids=lambda path: path.stem)
def test_committed_record_names_its_experiment_and_device(path):
    name, _, profile = path.stem.rpartition("_")
    if name not in experiments.NAMES or profile == "tiny":
        pytest.skip("not a record that a chapter plots")
    meta = recording.load(name, profile, folder=path.parent).meta
    assert (meta["experiment"], meta["profile"]) == (name, profile)
    assert profile in ("quick", "full")
    assert meta["device"]
