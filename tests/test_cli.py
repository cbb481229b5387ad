import contextlib
import io
import json
import os
import re
import resource
import shlex
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfgated import __version__, catalog, cli, moments, symbolic
from selfgated.cli import doctor


def run(*argv):
    """(exit code, stdout, stderr) of the command."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = cli.main(list(argv))
        except SystemExit as done:
            code = done.code
    return code, out.getvalue(), err.getvalue()


@pytest.mark.parametrize("name", catalog.names())
def test_act_json_agrees_with_the_library(name):
    code, out, err = run("act", name, "--json")
    info = json.loads(out)
    record = catalog.get(name)
    assert (code, err) == (0, "")
    assert info["name"] == name
    assert info["definition"] == str(symbolic.definition(name))
    assert info["slope"] == str(symbolic.derivative(name, 1))
    assert (info["gate"] is None) == (symbolic.gate(name) is None)
    assert info["gains"]["forward"] == moments.gains(name).forward
    assert [(kink["where"], kink["slope"]) for kink in info["kinks"]] == list(record.kinks)
    for order, symbol in enumerate(("f", "f'")):
        exact = symbolic.extrema(name, order, digits=20)
        assert [found["kind"] for found in info["extrema"][symbol]] == [found.kind for found in exact]
        for shown, found in zip(info["extrema"][symbol], exact, strict=True):
            assert abs(float(shown["where"]) - found.where_digits) <= 1e-11 * abs(found.where_digits)
            assert abs(float(shown["value"]) - found.value_digits) <= 1e-11 * abs(found.value_digits)


@pytest.mark.parametrize("name", catalog.names())
def test_act_text_names_every_kink_and_the_source(name):
    code, out, _ = run("act", name)
    record = catalog.get(name)
    assert code == 0
    assert out.splitlines()[0].startswith(record.title)
    for kink in record.kinks:
        assert f"at z = {kink.where:g} the library returns f' = {kink.slope:g}, f'' = 0" in out
    assert record.source is None or f"[{record.source.key}]" in out


def test_act_beta_scales_the_extrema():
    one, two = (json.loads(run("act", "swish", "--beta", beta, "--json")[1]) for beta in ("1", "2"))
    low_one, low_two = one["extrema"]["f"][0], two["extrema"]["f"][0]
    assert float(low_two["where"]) == pytest.approx(float(low_one["where"]) / 2, rel=1e-11)
    assert float(low_two["value"]) == pytest.approx(float(low_one["value"]) / 2, rel=1e-11)
    assert two["parameters"] == {"beta": 2.0}


def test_act_alias_is_the_same_activation():
    assert run("act", "Swish-1")[1] == run("act", "silu")[1]
    assert run("act", "h-swish")[1] == run("act", "hard_swish")[1]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["gleu"], "unknown activation 'gleu'; choose from ['identity', "),
        (["gelu", "--beta", "1"], "gelu takes no parameter 'beta'"),
        (["swish", "--beta", "nan"], "beta must be finite, not nan"),
        (["swish", "--beta", "inf"], "beta must be finite, not inf"),
    ],
)
def test_act_bad_input_is_one_line_and_exit_code_2(argv, message):
    code, out, err = run("act", *argv)
    assert (code, out) == (2, "")
    assert err.startswith(f"selfgated: {message}")
    assert err.count("\n") == 1


@settings(deadline=None)
@given(st.text())
def test_act_any_text_gives_an_answer_or_exit_code_2(name):
    code, out, err = run("act", "--", name)
    if code == 0:
        assert catalog.get(name).title in out
    else:
        assert code == 2
        assert out == ""
        assert err.startswith(f"selfgated: unknown activation {name!r}; choose from [")


@settings(deadline=None, max_examples=50)
@given(
    st.lists(
        st.sampled_from(["act", "doctor", "--json", "--beta", "x", "gelu", "-q", "", "--", "train"]),
        max_size=4,
    )
)
def test_arguments_never_end_in_a_traceback(argv):
    if argv[:1] == ["doctor"]:
        argv = [*argv, "--unknown"]
    code, _, err = run(*argv)
    assert code in (0, 2)
    assert "Traceback" not in err


def test_help_lists_the_commands():
    code, out, _ = run("--help")
    listed = re.findall(r"^    (\w+) ", out, re.MULTILINE)
    assert code == 0
    assert listed == list(cli.COMMANDS)


def test_module_runs_as_the_command_and_prints_its_version():
    done = subprocess.run(
        [sys.executable, "-m", "selfgated", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"selfgated {__version__}\n"


def test_act_takes_less_than_two_seconds_of_processor_time():
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    subprocess.run(
        [sys.executable, "-m", "selfgated", "act", "gelu"], capture_output=True, check=True, env=environment
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2


def facts(out):
    return dict(re.split(r"\s{2,}", line, maxsplit=1) for line in out.splitlines())


def test_doctor_prints_versions_and_paths(monkeypatch, tmp_path):
    monkeypatch.setenv("SELFGATED_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SELFGATED_DEVICE", "cpu")
    monkeypatch.setattr(doctor, "_chromium", lambda: "none")
    code, out, err = run("doctor")
    shown = facts(out)
    assert (code, err) == (0, "")
    assert shown["python"] == sys.version.split()[0]
    assert shown["selfgated"] == __version__
    assert {"numpy", "scipy", "torch", "sympy", "device", "cpus", "chromium"} <= set(shown)
    assert shown["device"].startswith("cpu")
    assert shown["SELFGATED_DEVICE"] == "cpu"
    assert shown["cache"] == f"{tmp_path / 'cache'} (not there yet, writable)"
    assert not (tmp_path / "cache").exists()


def test_doctor_says_when_a_required_package_is_missing(monkeypatch):
    found = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda package: None if package == "scipy" else found(package))
    monkeypatch.setattr(doctor, "_chromium", lambda: "none")
    code, out, err = run("doctor")
    assert code == 1
    assert facts(out)["scipy"] == "not installed"
    assert err == "selfgated: scipy is required and missing\n"


def test_doctor_torch_missing_is_no_fault(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr(doctor, "_chromium", lambda: "none")
    monkeypatch.delenv("SELFGATED_DEVICE", raising=False)
    code, out, _ = run("doctor")
    assert code == 0
    assert "torch is not installed" in facts(out)["device"]


def test_doctor_unknown_device_is_named(monkeypatch):
    monkeypatch.setenv("SELFGATED_DEVICE", "tpu")
    monkeypatch.setattr(doctor, "_chromium", lambda: "none")
    code, _, err = run("doctor")
    assert code == 1
    assert err == "selfgated: SELFGATED_DEVICE='tpu' is not available; choose from ['auto', 'cpu', 'cuda']\n"


def test_doctor_notes_another_version_than_the_pin(monkeypatch):
    monkeypatch.setattr(doctor, "_requirements", lambda: ({"numpy": "1.0.0"}, {"numpy"}))
    monkeypatch.setattr(doctor, "_chromium", lambda: "none")
    assert facts(run("doctor")[1])["numpy"].endswith("(requirements.txt pins 1.0.0)")


def test_chromium_missing_says_how_to_install(monkeypatch):
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    assert "apt-get install chromium" in doctor._chromium()


def test_chromium_version_is_what_the_program_prints(monkeypatch, tmp_path):
    program = tmp_path / "chromium"
    program.write_text("#!/bin/sh\necho Chromium 1.2.3\n")
    program.chmod(0o755)
    monkeypatch.setattr(doctor.shutil, "which", lambda name: str(program) if name == "chromium" else None)
    assert doctor._chromium() == f"{program} (Chromium 1.2.3)"


def test_reader_that_closes_the_pipe_early_is_no_error():
    command = f"{shlex.quote(sys.executable)} -m selfgated act gelu --json; echo rc $? >&2"
    done = subprocess.run(f"({command}) | true", shell=True, capture_output=True, text=True, check=False)
    assert done.stderr == "rc 0\n"


def test_ascii_terminal_gets_all_lines():
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "selfgated", "act", "tanh"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert "M\\xfcller" in done.stdout
