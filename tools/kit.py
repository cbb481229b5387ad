"""Make the zips for students, one per assignment: ``python tools/kit.py [NN_slug ...]`` writes _build/kits/.

A kit holds the exercise, a README, pinned requirements, the licence and the library without its grading part.
The same sources give the same bytes.
"""

import argparse
import ast
import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

from assignments import ROOT, chosen, facts, read
from leaks import student_gate

KITS = ROOT / "_build" / "kits"
PACKAGE = "selfgated"
WITHHELD = "grading"  # what decides the points stays with the instructor
ALWAYS = ("jupyterlab", "ipykernel", "numpy", "scipy")  # the library asks for the last two
EPOCH = 1_767_225_600  # every file in a kit bears the first second of 2026
TIME = (2026, 1, 1, 0, 0, 0)
WIDTH = 79
README = """\
{title}
{line}

{facts}

SET UP

You need Python 3.11, 3.12 or 3.13. Unpack the zip, open a terminal in the
folder {name}, and type

  on macOS and Linux
    python3 -m venv .venv
    .venv/bin/python -m pip install -r requirements.txt

  on Windows
    py -m venv .venv
    .venv\\Scripts\\python -m pip install -r requirements.txt

{takes}

WORK

  on macOS and Linux
    .venv/bin/python -m jupyterlab {name}.ipynb

  on Windows
    .venv\\Scripts\\python -m jupyterlab {name}.ipynb

opens the notebook in your browser. Write each answer where the notebook says
"Your answer here." The cell below it checks the answer and says what is wrong.
Add cells of your own wherever you like. Do not delete cells. Cells that are
locked cannot be changed: when your work is graded, the originals stand there.

HAND IN

Choose Kernel > Restart Kernel and Run All Cells, look at the whole once more,
save, and hand in the one file {name}.ipynb under this name.
Each answer is judged by itself: one that is not finished, or breaks, costs its
own points only. Answers run without a network and without your files, and one
that takes very long counts as wrong.

IF IT DOES NOT WORK

- "python3 --version" (Windows: "py --version") must print 3.11, 3.12 or 3.13.
  Where several are installed, name one: python3.12 (Windows: py -3.12).
- "No module named selfgated": JupyterLab was started by another Python. Start
  it by the command above.
"""


def pins(root=ROOT):
    """Pinned line of each package in requirements.txt, by its canonical name."""
    lines = (root / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return {canonical(line.split("==")[0]): line for line in lines if "==" in line}


def canonical(name):
    """Name of a distribution in the form in which two names are compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


def imported(tree):
    """Dotted names of the modules that parsed code imports; ``from a import b`` may mean ``a`` or ``a.b``."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def module_file(name, root=ROOT):
    """File of a module of the library, or None."""
    place = root.joinpath("src", *name.split("."))
    return next((path for path in (place / "__init__.py", place.with_suffix(".py")) if path.is_file()), None)


def needed(notebook, root=ROOT):
    """Names of the pinned packages that an exercise needs, by its own imports and by the library's."""
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    waiting = set().union(*(imported(ast.parse(source)) for source in sources))
    waiting |= set(facts(notebook)["imports"])
    seen, outside = set(), set(ALWAYS)
    while waiting:
        name = waiting.pop()
        top = name.split(".")[0]
        if top != PACKAGE:
            outside.add(top)
        elif name not in seen and (path := module_file(name, root)):
            seen.add(name)
            waiting |= imported(ast.parse(path.read_text(encoding="utf-8")))
            waiting |= {name.rpartition(".")[0]} - {""}  # a package is imported before its module
    owners = packages_distributions()
    return {canonical(owner) for top in outside for owner in owners.get(top, [])} & set(pins(root))


def requirements(notebook, wheel, root=ROOT):
    """Text of the kit's requirements.txt."""
    required = needed(notebook, root)
    lines = [line for name, line in sorted(pins(root).items()) if name in required]
    return "\n".join([*lines, f"./{wheel}", ""])


def readme(name, notebook, required):
    """Text of the kit's README."""
    about = facts(notebook)
    *most, last = [*about["imports"], "the standard library"]
    imports = f"{', '.join(most)} and {last}" if most else last
    points = f"{about['points']} points. Allow about {about['minutes']} minutes."
    size = "a minute or two, and about 500 MB"
    if "torch==" in required:
        size = "some minutes, and 1 GB (several GB on Linux, where PyTorch comes with its CUDA libraries)"
    return README.format(
        name=name,
        title=about["title"],
        line="=" * len(about["title"]),
        facts=textwrap.fill(f"{points} In your answers you may import {imports}.", WIDTH),
        takes=textwrap.fill(f"This takes {size}. It installs into the folder .venv and nowhere else.", WIDTH),
    )


def build_wheel(folder, root=ROOT):
    """Build the wheel for students into ``folder``; its path. Nothing is fetched; ``root`` stays clean."""
    with tempfile.TemporaryDirectory() as scratch:
        project = Path(scratch, "project")
        project.mkdir()
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copyfile(root / name, project / name)
        ignore = shutil.ignore_patterns("__pycache__", "*.egg-info", WITHHELD)
        shutil.copytree(root / "src", project / "src", ignore=ignore, copy_function=shutil.copyfile)
        options = [
            "--no-deps",
            "--no-build-isolation",
            "--no-index",
            "--disable-pip-version-check",
            "--quiet",
        ]
        built = subprocess.run(
            [sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", scratch, project],
            env=os.environ | {"SOURCE_DATE_EPOCH": str(EPOCH)},
            capture_output=True,
            text=True,
        )
        if built.returncode:
            raise SystemExit(f"the wheel was not built:\n{built.stdout}{built.stderr}")
        (wheel,) = Path(scratch).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            content = {name: archive.read(name) for name in archive.namelist()}
        withheld = [name for name in content if f"{PACKAGE}/{WITHHELD}" in name]
        if withheld:
            raise SystemExit(f"the wheel for students holds {withheld}")
        folder.mkdir(parents=True, exist_ok=True)
        store(folder / wheel.name, content)
        return folder / wheel.name


def store(path, content):
    """Write a zip with the same bytes for the same content: sorted names, one time, one mode."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(content):
            entry = zipfile.ZipInfo(name, TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, content[name])
    os.replace(draft, path)


def make_kit(name, wheel, folder, root=ROOT):
    """Write the kit of one assignment into ``folder``; its path."""
    path = root / "exercises" / name / f"{name}.ipynb"
    if not path.is_file():
        raise SystemExit(f"{path.relative_to(root).as_posix()} is missing; run: make exercises")
    notebook = read(path)
    required = requirements(notebook, wheel.name, root)
    content = {
        f"{name}.ipynb": path.read_bytes(),
        "README.txt": readme(name, notebook, required).replace("\n", "\r\n").encode(),
        "requirements.txt": required.encode(),
        "LICENSE": (root / "LICENSE").read_bytes(),
        wheel.name: wheel.read_bytes(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    store(folder / f"{name}.zip", {f"{name}/{file}": data for file, data in content.items()})
    return folder / f"{name}.zip"


def make_kits(names=(), folder=KITS, root=ROOT):
    """Write the kits of the named assignments, or of all, and remove those of assignments that are gone.

    Raises SystemExit, and writes no kit, where one would hold a hidden test, a solution or a model answer.
    """
    selected = chosen(names, root)
    gate = student_gate(root)
    with tempfile.TemporaryDirectory() as scratch:
        wheel = build_wheel(Path(scratch), root)
        if found := gate.findings(wheel.read_bytes()):
            raise SystemExit("\n".join(["the wheel of the kits would give away:", *found]))
        drafts = [make_kit(name, wheel, Path(scratch, "kits"), root) for name in selected]
        for name, draft in zip(selected, drafts, strict=True):
            with zipfile.ZipFile(draft) as archive:
                files = {item: archive.read(item) for item in archive.namelist() if not item.endswith(".whl")}
            found = [f"{item}: {finding}" for item, data in files.items() for finding in gate.findings(data)]
            if found:
                raise SystemExit("\n".join([f"the kit of {name} would give away:", *found]))
        folder.mkdir(parents=True, exist_ok=True)
        kits = [Path(shutil.copy(draft, folder / draft.name)) for draft in drafts]
    for stale in set(folder.glob("*.zip")) - {folder / f"{name}.zip" for name in chosen((), root)}:
        stale.unlink()
    return kits


def main():
    """Write the kits and say where they are."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0].split(":")[0])
    parser.add_argument("assignments", nargs="*", metavar="NN_slug", help="all when none is named")
    for kit in make_kits(parser.parse_args().assignments):
        print(f"{kit.relative_to(ROOT).as_posix()}  {kit.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
