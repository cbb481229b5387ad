"""The kits: complete, the same bytes each time, and enough to work with where nothing else of ours is."""

import contextlib
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import PackageNotFoundError, packages_distributions, requires

import assignments
import kit
import nbformat
import pytest
from packaging.requirements import Requirement

ROOT = assignments.ROOT
SOURCES = assignments.sources()


@pytest.fixture(scope="module")
def kits(tmp_path_factory):
    """The folder with the kits of the course."""
    folder = tmp_path_factory.mktemp("kits")
    try:
        kit.make_kits(folder=folder)
    except SystemExit as refused:
        pytest.fail(str(refused), pytrace=False)
    return folder


@pytest.fixture(scope="module")
def opened(kits, tmp_path_factory):
    """The kits, unpacked, and the wheel installed into ``site`` beside them."""
    folder = tmp_path_factory.mktemp("opened")
    for path in kits.glob("*.zip"):
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder)
    wheel = next(folder.glob("*/*.whl"))
    options = ["--no-deps", "--no-index", "--disable-pip-version-check", "--target", folder / "site"]
    done = subprocess.run([sys.executable, "-m", "pip", "install", *options, wheel], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return folder


def notebook_importing(*lines):
    """A notebook whose first cell imports something; its answers may import NumPy."""
    cells = [nbformat.v4.new_markdown_cell("# Title"), nbformat.v4.new_code_cell("\n".join(lines))]
    about = {"assignment": "00_demo", "minutes": 10, "imports": ["numpy"]}
    return nbformat.v4.new_notebook(cells=cells, metadata={"selfgated": about})


def test_store_gives_the_same_bytes_for_the_same_content(tmp_path):
    content = {"b.txt": b"two", "a/c.txt": b"one" * 1000}
    kit.store(tmp_path / "one.zip", content)
    kit.store(tmp_path / "two.zip", dict(reversed(content.items())))
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert [(item.filename, item.date_time) for item in archive.infolist()] == [
            ("a/c.txt", kit.TIME),
            ("b.txt", kit.TIME),
        ]
        assert {name: archive.read(name) for name in archive.namelist()} == content


def test_kits_have_the_same_bytes_each_time(kits, tmp_path):
    name = min(SOURCES)
    (again,) = kit.make_kits([name], folder=tmp_path)
    assert again.read_bytes() == (kits / f"{name}.zip").read_bytes()


def test_kits_replace_and_remove_old_ones(tmp_path, monkeypatch, kits):
    (tmp_path / "99_gone.zip").touch()
    wheel = tmp_path / "selfgated-0-py3-none-any.whl"
    wheel.write_bytes(b"")
    monkeypatch.setattr(kit, "build_wheel", lambda folder, root: wheel)
    kit.make_kits([min(SOURCES)], folder=tmp_path)
    assert [path.name for path in tmp_path.glob("*.zip")] == [f"{min(SOURCES)}.zip"]


@pytest.mark.parametrize("name", SOURCES)
def test_kit_is_complete(name, kits):
    with zipfile.ZipFile(kits / f"{name}.zip") as archive:
        (wheel,) = (item for item in archive.namelist() if item.endswith(".whl"))
        files = {f"{name}/{file}" for file in (f"{name}.ipynb", "README.txt", "requirements.txt", "LICENSE")}
        assert set(archive.namelist()) == files | {wheel}
        exercise = ROOT / "exercises" / name / f"{name}.ipynb"
        assert archive.read(f"{name}/{name}.ipynb") == exercise.read_bytes()
        lines = archive.read(f"{name}/requirements.txt").decode().splitlines()
        readme = archive.read(f"{name}/README.txt").decode()
    assert lines[-1] == f"./{wheel.rpartition('/')[2]}"
    pinned = (ROOT / "requirements.txt").read_text().splitlines()
    assert set(lines[:-1]) <= set(pinned)
    facts = assignments.facts(assignments.read(SOURCES[name]))
    assert f"{facts['points']} points. Allow about {facts['minutes']} minutes." in readme
    assert all(module in readme for module in facts["imports"])
    assert f"jupyterlab {name}.ipynb" in readme
    assert [line for line in readme.splitlines() if len(line) > 79] == []


def test_readme_sets_up_in_two_commands(opened):
    name = min(SOURCES)
    readme = (opened / name / "README.txt").read_text()
    unix = re.search(r"on macOS and Linux\n((?:    .+\n)+)", readme)[1].split("\n")[:-1]
    windows = re.search(r"on Windows\n((?:    .+\n)+)", readme)[1].split("\n")[:-1]
    assert [line.strip() for line in unix] == [
        "python3 -m venv .venv",
        ".venv/bin/python -m pip install -r requirements.txt",
    ]
    assert [line.strip() for line in windows] == [
        "py -m venv .venv",
        ".venv\\Scripts\\python -m pip install -r requirements.txt",
    ]


@pytest.mark.parametrize(
    ("line", "more"),
    [
        ("import numpy as np", set()),
        ("from matplotlib import pyplot as plt", {"matplotlib"}),
        ("from selfgated.checks import engine", {"mpmath"}),
        ("from selfgated import functional", {"torch"}),
        ("import os, json", set()),
    ],
)
def test_needed_follows_imports_through_the_library(line, more):
    assert kit.needed(notebook_importing(line)) == set(kit.ALWAYS) | more


def test_wheel_leaves_out_grading_by_the_project_too():
    from setuptools import find_packages

    with (ROOT / "pyproject.toml").open("rb") as file:
        options = tomllib.load(file)["tool"]["setuptools"]["packages"]["find"]
    packages = find_packages(ROOT / "src", exclude=options["exclude"])
    assert "selfgated.checks" in packages
    assert [name for name in packages if "grading" in name] == []


def test_wheel_asks_for_what_the_kit_installs(opened):
    (metadata,) = opened.glob("site/*.dist-info/METADATA")
    asked = [
        Requirement(line.partition(": ")[2])
        for line in metadata.read_text().splitlines()
        if line.startswith("Requires-Dist: ") and "extra ==" not in line
    ]
    for name in SOURCES:
        lines = (opened / name / "requirements.txt").read_text().splitlines()
        pins = dict(line.split("==") for line in lines if "==" in line)
        assert [item for item in asked if not item.specifier.contains(pins[item.name])] == []


RUN = """
import json, sys

sys.path[:0] = [{site!r}]
required = set({required!r})
ours = set({ours!r})


class Only:
    def find_spec(self, name, path=None, target=None):
        top = name.split(".")[0]
        if top in ours and top not in required:
            raise ModuleNotFoundError(f"the kit does not install {{top}}", name=top)


sys.meta_path.insert(0, Only())
import selfgated

assert selfgated.__file__.startswith({site!r}), selfgated.__file__
space = {{"__name__": "__main__"}}
for cell in json.load(open({notebook!r}))["cells"]:
    if cell["cell_type"] == "code":
        try:
            exec(compile("".join(cell["source"]), cell["id"], "exec"), space)
        except NotImplementedError:
            assert "raises-exception" in cell["metadata"]["tags"], cell["id"]
try:
    import selfgated.grading
except ModuleNotFoundError:
    print("ran to the end, without grading")
"""


def pulled(packages):
    """Names of the packages that pip installs with these."""
    seen, waiting = set(), set(packages)
    while waiting:
        name = waiting.pop()
        seen.add(name)
        with contextlib.suppress(PackageNotFoundError):
            asked = [Requirement(line) for line in requires(name) or []]
            here = [item for item in asked if not item.marker or item.marker.evaluate({"extra": ""})]
            waiting |= {kit.canonical(item.name) for item in here} - seen
    return seen


def modules(packages):
    """Top-level modules that these packages install."""
    owners = packages_distributions().items()
    return [top for top, names in owners if {kit.canonical(name) for name in names} & set(packages)]


@pytest.mark.parametrize("name", SOURCES)
def test_kit_runs_on_its_own_library_and_requirements(name, opened):
    """Of the packages that this project pins, only those that the kit installs can be imported."""
    lines = (opened / name / "requirements.txt").read_text().splitlines()
    installed = pulled(kit.canonical(line.split("==")[0]) for line in lines if "==" in line)
    code = RUN.format(
        site=str(opened / "site"),
        required=modules(installed),
        ours=modules(kit.pins()),
        notebook=str(opened / name / f"{name}.ipynb"),
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=opened / name, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("ran to the end, without grading\n")
