import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from selfgated import cli, init, models, train
from selfgated.data import load
from selfgated.statistics import mean_interval
from selfgated.train.run import Run

SMALL = ["--depth", "2", "--width", "4", "--steps", "20", "--seeds", "0:3", "--device", "cpu"]


pytestmark = pytest.mark.usefixtures("one_thread")


def run(*argv):
    """(exit code, stdout, stderr) of `selfgated train`."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = cli.main(["train", *argv])
        except SystemExit as done:
            code = done.code
    return code, out.getvalue(), err.getvalue()


def test_train_json_agrees_with_the_library():
    options = ["--model", "mlp", "--act", "GELU", "--init", "he", "--norm", "batch", "--residual"]
    options += [
        "--optimizer",
        "adam",
        "--lr",
        "0.01",
        "--clip",
        "2",
        "--seeds",
        "4,1",
        "--schedule",
        "linear",
    ]
    code, out, err = run(*SMALL, *options, "--quiet", "--json")
    assert (code, err) == (0, "")
    report = json.loads(out)
    model = models.MLP(64, 10, width=4, depth=2, act_layer="gelu", norm="batch", residual=True, num_models=2)
    init.scheme_(model, "he", "gelu", seeds=(4, 1))
    result = train.fit(
        model,
        load("digits"),
        seeds=(4, 1),
        steps=20,
        lr=0.01,
        clip=2,
        optimizer="adam",
        schedule="linear",
        device="cpu",
    )
    assert report["rows"] == result.rows()
    assert report["test_accuracy"]["mean"] == pytest.approx(result.test_accuracy.mean())
    assert report["data"] == "digits"
    assert report["settings"]["act"] == "GELU"


def test_train_prints_a_row_per_seed_and_the_mean():
    code, out, err = run(*SMALL)
    lines = out.splitlines()
    assert code == 0
    assert "20/20" in err or "%|" in err
    assert lines[0] == "digits, 20 steps"
    assert [line.split()[0] for line in lines[2:]] == ["0", "1", "2", "mean"]
    accuracies = [float(line.split()[1]) for line in lines[2:5]]
    found = mean_interval(accuracies)
    mean, low, high = (float(word.strip("[],")) for word in np.array(lines[5].split())[[1, 5, 6]])
    np.testing.assert_allclose([mean, low, high], found[:3], atol=3e-4)
    assert lines[5].endswith("over 3 seeds")


def test_train_says_which_network_diverged():
    code, out, _ = run(*SMALL, "--lr", "1e30", "--quiet")
    assert code == 0
    assert all("at step" in line for line in out.splitlines()[2:5])
    assert "mean" not in out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--act", "gleu"], "unknown activation 'gleu'; choose from ['identity', "),
        (["--model", "cnx"], "invalid choice: 'cnx' (choose from"),
        (["--init", "kaiming"], "unknown init 'kaiming'; choose from ['default', 'xavier', 'he', 'own']"),
        (["--norm", "layer"], "invalid choice: 'layer' (choose from"),
        (["--optimizer", "lion"], "invalid choice: 'lion' (choose from"),
        (["--schedule", "step"], "unknown schedule 'step'; choose from ['constant', 'cosine', 'linear']"),
        (["--precision", "half"], "unknown precision 'half'; choose from ['float32', 'bfloat16']"),
        (["--device", "tpu"], "unknown device 'tpu'; choose from ['auto', 'cpu', 'cuda'"),
        (["--data", "mnist"], "'mnist'"),
        (["--seeds", "5:2"], "bad seeds '5:2'; choose a range such as 0:5"),
        (["--seeds", "1,1"], "bad seeds '1,1'"),
        (["--seeds", "a"], "bad seeds 'a'"),
        (["--seeds", str(2**63)], f"bad seeds '{2**63}'"),
        (["--seeds", "0:99999999999999"], "at most 100000"),
        (["--lr", "fast"], "argument --lr: invalid float value: 'fast'"),
        (["--lr", "-1"], "lr must be a number of at least 0, not -1.0"),
        (["--depth", "0"], "depth must be a positive integer, not 0"),
        (["--steps", "-3"], "steps must be an integer of at least 0, not -3"),
        (["--resume"], "need checkpoint"),
        (["--checkpoint", "no/such/folder/run.pt"], "there is no folder"),
    ],
)
def test_train_bad_input_is_one_line_and_exit_code_2(argv, message):
    code, out, err = run(*SMALL, "--quiet", *argv)
    assert (code, out) == (2, "")
    assert message in err
    assert err.startswith("selfgated: ")
    assert err.count("\n") == 1


def test_train_refuses_a_foreign_checkpoint(tmp_path):
    path = tmp_path / "thesis.tex"
    path.write_text("years of work")
    for more in ([], ["--resume"]):
        code, _, err = run(*SMALL, "--quiet", "--checkpoint", str(path), *more)
        assert code == 2
        assert f"{path} is not a checkpoint of selfgated.train, or it is damaged" in err
    assert path.read_text() == "years of work"


def test_train_ctrl_c_keeps_what_was_done_and_resume_goes_on(tmp_path, monkeypatch):
    path = tmp_path / "run.pt"
    argv = ["--depth", "4", "--width", "8", "--seeds", "0:2", "--device", "cpu", "--steps", "600", "--json"]
    argv += ["--schedule", "cosine", "--checkpoint", str(path)]
    process = subprocess.Popen(
        [sys.executable, "-m", "selfgated", "train", *argv, "--checkpoint-every", "5"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        # A shell that starts its jobs in the background makes them ignore Ctrl-C, and a child inherits that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        deadline = time.monotonic() + 60
        while not path.exists() and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    report = json.loads(out)
    done = report["rows"][0]["steps"]
    assert process.returncode == 130, err
    assert report["interrupted"] is True
    assert 5 <= done < 600
    line = f"selfgated: interrupted after {done} of 600 steps, kept in {path}: the same command with --resume"
    assert err.splitlines()[-1].endswith(f"{line} goes on")
    steps, advance = [], Run.advance
    monkeypatch.setattr(Run, "advance", lambda self: (steps.append(self.step), advance(self)))
    code, out, err = run(*argv, "--resume", "--quiet")
    assert (code, err) == (0, "")
    assert steps == list(range(done, 600))
    code, whole, _ = run(*argv[:-2], "--quiet")
    assert json.loads(out)["rows"] == json.loads(whole)["rows"]


def test_train_resume_without_a_checkpoint_says_that_it_starts(tmp_path):
    path = tmp_path / "run.pt"
    code, _, err = run(*SMALL, "--quiet", "--checkpoint", str(path), "--resume")
    assert code == 0
    assert err == f"selfgated: there is no checkpoint {path} yet: starting at step 0\n"
    assert path.exists()
