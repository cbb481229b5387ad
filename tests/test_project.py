import ast
import doctest
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import constraints as tool
import pytest
from packaging.requirements import Requirement

import selfgated

ROOT = Path(__file__).resolve().parent.parent
HEAVY = {"torch", "scipy", "sympy", "matplotlib", "numpy"}
# Joined from parts, so that this file does not hold what it forbids.
FORBIDDEN = ["/" + "work/", "/" + "root/", "pypi" + ".org", "registry." + "npmjs", "deb." + "debian"]


def run_python(code):
    command = [sys.executable, "-c", code]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def project_files():
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def forbidden_words(content):
    return [word for word in FORBIDDEN if word.encode() in content]


def make(goal, *arguments, cwd):
    # The options of `make test`, under which this may run, are not for this make.
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", goal, *arguments], cwd=cwd, env=environment, capture_output=True, text=True
    )


@pytest.fixture
def bare_project(tmp_path):
    for name in ["Makefile", "requirements.txt", "constraints.txt", "pyproject.toml"]:
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def fake_python(folder, version):
    path = folder / "fakepython"
    path.write_text(f"#!/bin/sh\necho {version}\n")
    path.chmod(0o755)
    return path


def test_import_is_fast():
    code = "import time; start = time.perf_counter(); import selfgated; print(time.perf_counter() - start)"
    assert statistics.median(run_python(code) for _ in range(3)) < 0.3


def test_import_loads_nothing_heavy():
    loaded = run_python("import json, sys, selfgated; print(json.dumps(list(sys.modules)))")
    assert HEAVY & set(loaded) == set()


def test_version_is_the_one_of_the_package():
    with (ROOT / "pyproject.toml").open("rb") as file:
        assert selfgated.__version__ == tomllib.load(file)["project"]["version"]


@pytest.mark.parametrize("name", selfgated.__all__)
def test_all_is_importable(name):
    assert getattr(selfgated, name).__name__ == f"selfgated.{name}"


def test_unknown_attribute_names_the_choices():
    with pytest.raises(AttributeError, match=r"no attribute 'gleu'; choose from \['catalog'"):
        _ = selfgated.gleu


@pytest.mark.parametrize("version", ["2.7.18", "3.9.2", "3.10.13", "3.14.0", "3.110.1"])
def test_make_refuses_other_python(version, bare_project):
    python = fake_python(bare_project, version)
    refused = make("book", f"PYTHON={python}", cwd=bare_project)
    assert refused.returncode != 0
    assert refused.stdout == ""
    (line,) = refused.stderr.splitlines()
    message = f"Self-Gated needs Python 3.11 to 3.13; {python} is {version}."
    assert f"{message} Name another with make book PYTHON=python3.12" in line
    assert not (bare_project / ".venv").exists()


def test_make_refuses_missing_python(bare_project):
    refused = make("test", "PYTHON=python-that-is-missing", cwd=bare_project)
    assert refused.returncode != 0
    (line,) = refused.stderr.splitlines()
    assert "python-that-is-missing cannot be run. Name another with make test PYTHON=python3.12" in line
    assert not (bare_project / ".venv").exists()


@pytest.mark.parametrize("version", ["3.11.0", "3.12.12", "3.13.7"])
def test_make_accepts_supported_python(version, bare_project):
    python = fake_python(bare_project, version)
    planned = make("book", "-n", f"PYTHON={python}", "PIP_ARGS=--no-index", cwd=bare_project)
    assert planned.returncode == 0, planned.stderr
    assert f"{python} -m venv --clear .venv" in planned.stdout
    assert "-r requirements.txt -c constraints.txt --no-index" in planned.stdout


def test_make_repeats_interrupted_install(bare_project):
    def planned():
        return make("book", "-n", f"PYTHON={fake_python(bare_project, '3.12.1')}", cwd=bare_project).stdout

    assert "pip install" in planned()
    (bare_project / ".venv").mkdir()
    (bare_project / ".venv/.unfinished").touch()
    assert "pip install" in planned()
    (bare_project / ".venv/.installed").touch()
    assert "pip install" not in planned()
    assert "tools/build_book.py" in planned()


def test_make_help_lists_every_command(bare_project):
    text = (ROOT / "Makefile").read_text()
    commands = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)[1].split()
    listed = make("help", cwd=bare_project).stdout
    assert [line.split()[1] for line in listed.splitlines()] == commands


def test_files_are_below_a_megabyte():
    assert [path for path in project_files() if path.stat().st_size > 1_000_000] == []


def test_files_name_no_machine_path_and_no_registry():
    found = {str(path.relative_to(ROOT)): forbidden_words(path.read_bytes()) for path in project_files()}
    assert {name: words for name, words in found.items() if words} == {}


@pytest.mark.parametrize("word", FORBIDDEN)
def test_forbidden_words_are_seen(word):
    assert forbidden_words(f"see {word}main".encode()) == [word]


def test_requirements_are_pinned_exactly():
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert len(pins) > 20
    assert [line for line in pins if not re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][0-9a-z.]*", line)] == []


def imported_modules(source):
    """Top-level names of the modules that Python source imports, wherever it does so."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module.split(".")[0])
    return names


def imported_packages(files):
    """Names of the installed packages that the files import, without the standard library and our own."""
    modules = set().union(*(imported_modules(path.read_text(encoding="utf-8")) for path in files))
    owners = packages_distributions()
    return {tool.canonical(name) for module in modules for name in owners.get(module, [])} - {"selfgated"}


def test_imported_packages_are_found(tmp_path):
    path = tmp_path / "made_up.py"
    path.write_text(
        "import os, selfgated, notebooks\ndef f():\n    from yaml import load\n    import numpy.linalg\n"
    )
    assert imported_packages([path]) == {"pyyaml", "numpy"}


def test_requirements_pin_what_is_imported():
    required = tool.pinned_names((ROOT / "requirements.txt").read_text())
    sources = [path for path in project_files() if path.suffix == ".py"]
    assert imported_packages(sources) - required == set()


def installed_dependencies(names):
    """Names of the installed packages that ``names`` pull in on every platform."""
    seen, waiting = set(), [(tool.canonical(name), frozenset()) for name in names]
    while waiting:
        package = waiting.pop()
        if package in seen:
            continue
        seen.add(package)
        name, extras = package
        try:
            lines = requires(name) or []
        except PackageNotFoundError:
            continue
        for requirement in map(Requirement, lines):
            marker = requirement.marker
            if marker is None or any(str(marker) == f'extra == "{extra}"' for extra in extras):
                waiting.append((tool.canonical(requirement.name), frozenset(requirement.extras)))
    return {name for name, _ in seen}


def test_constraints_cover_what_requirements_pull():
    required = tool.pinned_names((ROOT / "requirements.txt").read_text())
    pulled = installed_dependencies(required)
    assert len(pulled) > 100
    assert pulled - required - tool.pinned_names((ROOT / "constraints.txt").read_text()) == set()


def test_constraints_pin_nothing_twice_and_no_build():
    text = (ROOT / "constraints.txt").read_text()
    required = tool.pinned_names((ROOT / "requirements.txt").read_text())
    assert required & tool.pinned_names(text) == set()
    assert "+" not in text


def test_constraints_from_freeze():
    pins = ["zipp==4.1", "pip==26.3", "Jinja2==3.1.6", "selfgated==0.1", "triton==3.9+cpu", "NumPy==2.4"]
    freeze = "\n".join(["# Editable install", "-e .", *pins])
    text = tool.constraints(freeze, "# Library\nnumpy==2.4\n")
    assert text == tool.HEADER + "Jinja2==3.1.6\ntriton==3.9\nzipp==4.1\n"
    with pytest.raises(ValueError, match=r"'odd @ https://example\.com/odd\.zip' was not installed"):
        tool.constraints("odd @ https://example.com/odd.zip\n", "")


def test_examples_of_the_readme_run():
    failed, tried = doctest.testfile(str(ROOT / "README.md"), module_relative=False)
    assert tried >= 4
    assert failed == 0
