"""`selfgated audit`: words, JSON and a plot for a user's file, and errors that name its lines."""

import contextlib
import io
import json
import subprocess
import sys

import pytest

from selfgated import cli

GOOD = """
from dataclasses import dataclass
import torch
from torch import nn

@dataclass
class Options:
    depth: int = 8

def build():
    print("building")
    torch.manual_seed(0)
    layers = [nn.Linear(16, 32), nn.Sigmoid()]
    for _ in range(Options().depth):
        layers += [nn.Linear(32, 32), nn.Sigmoid()]
    return nn.Sequential(*layers, nn.Linear(32, 2)), torch.randn(20, 16)

def with_loss():
    model, x = build()
    return model, (x,), lambda output: output.mean()

def mapping():
    class Named(nn.Linear):
        def forward(self, x, scale):
            return super().forward(x) * scale
    return Named(3, 2), {"x": torch.ones(4, 3), "scale": 2.0}

def one():
    return nn.Linear(2, 2)

def fails():
    return 1 / 0

def leaves():
    raise SystemExit("leaving")

def wrong_shape():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(3, 2)
        def forward(self, x):
            return self.a(x)  # here
    return Net(), torch.ones(4, 5)

def misfit():
    return nn.Linear(3, 2), torch.ones(4, 5)

def bad_loss():
    return nn.Linear(3, 2), torch.ones(4, 3), lambda output: output
"""


def run(*argv):
    """(exit code, stdout, stderr) of the command."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = cli.main(["audit", *map(str, argv)])
        except SystemExit as done:
            code = done.code
    return code, out.getvalue(), err.getvalue()


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "my_model.py"
    path.write_text(GOOD)
    return path


def line_of(text):
    return 1 + next(i for i, line in enumerate(GOOD.splitlines()) if text in line)


def test_audit_prints_the_words(file):
    path, modules = list(sys.path), set(sys.modules)
    code, out, err = run(f"{file}:build")
    assert (code, err) == (0, "building\n")
    assert "The gradient vanishes" in out
    assert "Predicted from the moments of sigmoid" in out
    assert sys.path == path
    assert "_selfgated_audited" not in set(sys.modules) - modules


def test_audit_prints_json_alone(file):
    code, out, _ = run(f"{file}:build", "--json")
    found = json.loads(out)
    assert code == 0
    assert len(found["report"]["layers"]) == 10
    assert found["predicted"]["factor"] == pytest.approx(0.141, abs=0.01)


def test_audit_takes_a_loss_a_tuple_and_a_mapping(file):
    code, out, _ = run(f"{file}:with_loss")
    assert code == 0
    assert "Loss: what <lambda> returned" in out
    code, out, _ = run(f"{file}:mapping")
    assert code == 0
    assert "1 Named" in out


@pytest.mark.parametrize(("ending", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_audit_plots(file, tmp_path, ending, start):
    pytest.importorskip("matplotlib")
    target = tmp_path / f"out.{ending}"
    code, out, _ = run(f"{file}:build", "--plot", target)
    assert code == 0
    assert "vanishes" in out
    assert target.read_bytes().startswith(start)
    assert target.stat().st_size > 5000


@pytest.mark.parametrize(
    ("name", "where", "text"),
    [
        ("fails", "return 1 / 0", "in fails: ZeroDivisionError: division by zero"),
        ("leaves", "raise SystemExit", "in leaves: SystemExit: leaving"),
        ("wrong_shape", "# here", "in forward: RuntimeError: mat1 and mat2 shapes cannot be multiplied"),
    ],
)
def test_errors_of_the_users_code_name_file_and_line(file, name, where, text):
    code, out, err = run(f"{file}:{name}")
    assert (code, out) == (2, "")
    assert f"selfgated: {file}:{line_of(where)}: {text}" in err
    assert "Traceback" not in err


def test_syntax_errors_name_file_and_line(tmp_path):
    path = tmp_path / "broken.py"
    path.write_text("x = 1\ndef build(:\n")
    code, _, err = run(f"{path}:build")
    assert code == 2
    assert f"{path}:2: SyntaxError" in err


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("{file}", "give FILE.py:FUNCTION"),
        ("{file}:", "give FILE.py:FUNCTION"),
        ("{folder}/none.py:build", "no file"),
        ("{folder}:build", "no file"),
        ("{file}:bild", "no function 'bild' in"),
        (
            "{file}:one",
            "one() must return (model, batch) or (model, batch, loss_fn), not an object of Linear",
        ),
        ("{file}:bad_loss", "loss_fn must return one number"),
        ("{folder}/text.txt:build", "must end in .py"),
    ],
)
def test_bad_targets_are_explained(file, target, text):
    (file.parent / "text.txt").write_text("x")
    code, out, err = run(target.format(file=file, folder=file.parent))
    assert (code, out) == (2, "")
    assert text in err
    assert len(err.strip().splitlines()) <= 2


def test_bad_plot_is_refused_before_the_model_runs(file):
    code, out, err = run(f"{file}:build", "--plot", "out.docx")
    assert (code, out) == (2, "")
    assert "cannot plot to 'out.docx'" in err
    assert "building" not in err


def test_file_beside_the_model_is_importable_from_the_shell(tmp_path):
    (tmp_path / "parts_of_mine.py").write_text("from torch import nn\ndef net(): return nn.Linear(3, 2)\n")
    (tmp_path / "model.py").write_text(
        "import torch\nfrom parts_of_mine import net\ndef build(): return net(), torch.ones(2, 3)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "selfgated", "audit", "model.py:build"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "One layer with weights" in done.stdout


def test_audit_of_a_batch_that_does_not_fit_is_one_line(file):
    code, out, err = run(f"{file}:misfit")
    assert (code, out) == (2, "")
    assert err.startswith(
        "selfgated: the model cannot be run on this batch: RuntimeError: mat1 and mat2 shapes"
    )
    assert err.count("\n") == 1
