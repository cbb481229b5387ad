"""Write ``exercises/`` from ``solutions/``: ``python tools/exercises.py [--check] [NN_slug ...]``.

nbgrader cuts the solutions and the hidden tests. Each notebook is then run as a student receives it: a cell
that reaches an unfinished answer raises NotImplementedError and is tagged so; any other exception is a fault.
"""

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
from pathlib import Path

import nbformat
from assignments import ROOT, chosen, read, sources, write
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbgrader.converters import GenerateAssignment
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import ClearMarkScheme, NbGraderPreprocessor, SaveCells
from nbgrader.utils import capture_log
from tqdm import tqdm

from notebooks import AT_ONCE, CELL_TIMEOUT, ENVIRONMENT, normalise, serialise

CODE_STUB = "# Your answer here.\nraise NotImplementedError"
TEXT_STUB = "Your answer here."
RAISES = "raises-exception"


class StripEnds(NbGraderPreprocessor):
    """Cut the empty lines that a removed region leaves at the end of a cell."""

    def preprocess_cell(self, cell, resources, cell_index):
        """Strip one cell."""
        cell.source = cell.source.rstrip()
        return cell, resources


def converter(course):
    """Nbgrader's GenerateAssignment for a course in the folder ``course``, without a gradebook."""
    folders = CourseDirectory(root=str(course), source_directory="solutions", release_directory="exercises")
    generate = GenerateAssignment(coursedir=folders, no_database=True)
    generate.config.ClearSolutions.code_stub = {"python": CODE_STUB}
    generate.config.ClearSolutions.text_stub = TEXT_STUB
    # The ends go before the checksums of what is released are taken.
    steps = [step for step in generate.preprocessors if step is not SaveCells]
    steps.insert(steps.index(ClearMarkScheme) + 1, StripEnds)
    generate.preprocessors = steps
    return generate


def release(paths):
    """What students get for each source in ``paths`` (a dict by name), untagged and in normal form.

    Raises SystemExit with nbgrader's log where nbgrader refuses a source.
    """
    released = {}
    with tempfile.TemporaryDirectory() as folder:
        course = Path(folder).resolve()
        for name, path in paths.items():
            (course / "solutions" / name).mkdir(parents=True)
            shutil.copy(path, course / "solutions" / name)
        for name in paths:
            generate = converter(course)
            generate.coursedir.assignment_id = name
            done = capture_log(generate)
            if not done["success"]:
                raise SystemExit(f"{name}: nbgrader made no release:\n{done['log']}")
            notebook = read(course / "exercises" / name / f"{name}.ipynb")
            set_raising(normalise(notebook), ())
            released[name] = notebook
    return released


def raising(notebook):
    """Ids of the cells that are tagged to raise."""
    return [cell.id for cell in notebook.cells if RAISES in cell.metadata.get("tags", [])]


def set_raising(notebook, ids):
    """Tag exactly the cells with these ids to raise."""
    for cell in notebook.cells:
        tags = [tag for tag in cell.metadata.get("tags", []) if tag != RAISES]
        tags += [RAISES] if cell.id in ids else []
        cell.metadata.pop("tags", None)
        if tags:
            cell.metadata["tags"] = sorted(tags)


async def run(name, notebook, turn, bar):
    """Run a released notebook in a fresh kernel; the ids of the cells that reached an unfinished answer.

    Raises ValueError, naming cell and error, where a cell raises anything but NotImplementedError.
    """
    copy = nbformat.from_dict(notebook)
    async with turn:
        with tempfile.TemporaryDirectory() as folder:
            client = NotebookClient(
                copy,
                allow_errors=True,
                kernel_name="python3",
                record_timing=False,
                resources={"metadata": {"path": folder}},
                timeout=CELL_TIMEOUT,
            )
            try:
                await client.async_execute()
            except (CellTimeoutError, DeadKernelError) as error:
                raise ValueError(f"{name}: {error}") from None
    bar.update()
    found = []
    for cell in copy.cells:
        errors = [output for output in cell.get("outputs", []) if output.output_type == "error"]
        for error in errors:
            if error.ename != "NotImplementedError":
                raise ValueError(f"{name}: cell {cell.id!r} raised {error.ename}: {error.evalue}")
        if errors:
            found.append(cell.id)
    return found


async def run_all(released):
    """Run all released notebooks, some at a time, and tag their cells; returns what went wrong."""
    turn = asyncio.Semaphore(AT_ONCE)
    with tqdm(total=len(released), unit="notebook") as bar:
        runs = [run(name, notebook, turn, bar) for name, notebook in released.items()]
        results = await asyncio.gather(*runs, return_exceptions=True)
    faults = []
    for notebook, result in zip(released.values(), results, strict=True):
        if isinstance(result, ValueError):
            faults.append(str(result))
        elif isinstance(result, BaseException):
            raise result
        else:
            set_raising(notebook, result)
    return faults


def target(root, name):
    """Where the release of an assignment is kept."""
    return root / "exercises" / name / f"{name}.ipynb"


def strangers(root=ROOT):
    """Files and folders below ``exercises/`` that no source stands for."""
    expected = {target(root, name) for name in sources(root)}
    found = []
    for folder in sorted((root / "exercises").glob("*")):
        if folder.name not in {path.parent.name for path in expected}:
            found.append(folder)
        else:
            found += [path for path in sorted(folder.rglob("*")) if path not in expected and ours(path)]
    return found


def ours(path):
    """Whether a path may be committed: what Jupyter leaves beside a notebook that was opened may not."""
    return not {".ipynb_checkpoints", "__pycache__"} & set(path.parts)


def differences(names=(), root=ROOT):
    """Sentences that say where ``exercises/`` is not what ``solutions/`` gives, apart from the tags.

    The tags are the committed ones; that they are right is found by running the cells.
    """
    found = [f"{path.relative_to(root).as_posix()} has no source in solutions/" for path in strangers(root)]
    for name, notebook in release(chosen(names, root)).items():
        path = target(root, name)
        place = path.relative_to(root).as_posix()
        if not path.is_file():
            found.append(f"{place} is missing")
            continue
        set_raising(notebook, raising(read(path)))
        if serialise(notebook).encode() != path.read_bytes():
            found.append(f"{place} differs from its source")
    return found


def generate(names=(), root=ROOT):
    """Write the exercises; returns what went wrong. A notebook with a fault is left as it was."""
    for path in strangers(root):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        print(f"{path.relative_to(root).as_posix()}: removed, it has no source")
    released = release(chosen(names, root))
    with tempfile.TemporaryDirectory() as profile:
        os.environ.update(ENVIRONMENT, IPYTHONDIR=profile, MPLBACKEND="Agg")
        faults = asyncio.run(run_all(released))
    for name, notebook in released.items():
        if not any(fault.startswith(f"{name}:") for fault in faults) and write(
            target(root, name), serialise(notebook)
        ):
            print(f"{target(root, name).relative_to(root).as_posix()}: written")
    return faults


def main(arguments=None, root=ROOT):
    """Write or check the exercises of the named assignments, or of all; exit 1 at a fault."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0].split(":")[0])
    parser.add_argument("assignments", nargs="*", metavar="NN_slug", help="all when none is named")
    parser.add_argument("--check", action="store_true", help="only say what differs; run nothing")
    options = parser.parse_args(arguments)
    faults = (differences if options.check else generate)(options.assignments, root)
    count = len(chosen(options.assignments, root))
    print("\n".join([*faults, f"{count} assignments, {len(faults)} faults"]))
    if faults and options.check:
        print("run: make exercises")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
