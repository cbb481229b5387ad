"""Re-execute the notebooks and store them in one normal form: ``python tools/notebooks.py [NOTEBOOK ...]``.

A notebook whose outputs did not change keeps its bytes, so a second run leaves no diff.
"""

import argparse
import asyncio
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from tqdm import tqdm

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("notebooks", "solutions")
AT_ONCE = 2
CELL_TIMEOUT = 300
MAX_BYTES = 1_000_000
# One thread per notebook: two run at a time, and a sum's rounding may depend on how it is split.
ENVIRONMENT = {
    "JUPYTER_PREFER_ENV_PATH": "1",
    "OMP_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "SELFGATED_DEVICE": "cpu",
}
KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
LANGUAGE = {"name": "python", "pygments_lexer": "ipython3"}
KEPT_METADATA = {"html_meta", "mystnb", "selfgated", "substitutions"}
DROPPED_CELL_METADATA = {
    "ExecuteTime",
    "collapsed",
    "execution",
    "jupyter",
    "pycharm",
    "scrolled",
    "trusted",
    "vscode",
}
ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]{6,16}\b")
CELL_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def find_notebooks(root=ROOT, folders=SOURCES):
    """Notebooks below these folders, the sources if none is named: tracked by git, or new and not ignored."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--"]
    patterns = [f"{folder}/*.ipynb" for folder in folders]
    try:
        listed = subprocess.run(
            [*command, *patterns], cwd=root, check=True, capture_output=True, text=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):  # a downloaded archive has no repository
        found = {path for folder in folders for path in (root / folder).rglob("*.ipynb")}
        return sorted(path for path in found if ".ipynb_checkpoints" not in path.parts)
    return sorted({root / name for name in listed.split("\0") if name and (root / name).exists()})


def chosen_notebooks(names, folders=SOURCES):
    """Paths of the named notebooks, or of all; a name that is not a notebook here raises SystemExit."""
    notebooks = find_notebooks(folders=folders)
    if not names:
        return notebooks
    chosen = [Path(name).resolve() for name in names]
    for name, path in zip(names, chosen, strict=True):
        if path not in notebooks:
            choices = [str(notebook.relative_to(ROOT)) for notebook in notebooks]
            raise SystemExit(f"unknown notebook {name!r}; choose from {choices}")
    return chosen


def read_notebook(path):
    """Notebook at ``path``; a cell id that is missing, invalid or repeated is made from its source."""
    data = json.loads(path.read_text(encoding="utf-8"))
    taken = set()
    for cell in data["cells"]:
        name = cell.get("id", "")
        if not CELL_ID.fullmatch(name) or name in taken:
            seed = cell["cell_type"] + "".join(cell["source"])
            name = hashlib.sha256(seed.encode()).hexdigest()[:8]
            while name in taken:
                name = hashlib.sha256(name.encode()).hexdigest()[:8]
        cell["id"] = name
        taken.add(name)
    data["nbformat_minor"] = max(data["nbformat_minor"], 5)
    return nbformat.reads(json.dumps(data), as_version=4)


def strip_addresses(value):
    """Copy of an output's data with every object address replaced by ``0x...``."""
    if isinstance(value, str):
        return ADDRESS.sub("at 0x...", value)
    if isinstance(value, dict):
        return {
            key: item if key.startswith("image/") else strip_addresses(item) for key, item in value.items()
        }
    if isinstance(value, list):
        return [strip_addresses(item) for item in value]
    return value


def normalise(notebook):
    """Bring the notebook into the form in which it is stored: counts 1..n, little metadata, no addresses."""
    kept = {key: value for key, value in notebook.metadata.items() if key in KEPT_METADATA}
    notebook.metadata = nbformat.from_dict(kept | {"kernelspec": KERNELSPEC, "language_info": LANGUAGE})
    count = 0
    for cell in notebook.cells:
        for key in DROPPED_CELL_METADATA & cell.metadata.keys():
            del cell.metadata[key]
        if cell.cell_type != "code" or cell.execution_count is None:
            continue
        count += 1
        cell.execution_count = count
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = count
            for key in {"data", "text"} & output.keys():
                output[key] = nbformat.from_dict(strip_addresses(output[key]))
    nbformat.validate(notebook)
    return notebook


def serialise(notebook):
    """Text of the notebook file: sorted keys, indent 1, a newline at the end."""
    return nbformat.writes(notebook).rstrip("\n") + "\n"


def find_problems(path):
    """What keeps the notebook at ``path`` from being a finished one, as a list of sentences."""
    problems = []
    if path.stat().st_size > MAX_BYTES:
        problems.append(f"is {path.stat().st_size} bytes long, above {MAX_BYTES}")
    data = json.loads(path.read_text(encoding="utf-8"))
    kernel = data.get("metadata", {}).get("kernelspec", {}).get("name")
    if kernel != "python3":
        problems.append(f"names the kernel {kernel!r}, not 'python3'")
    ids = [cell.get("id") for cell in data.get("cells", [])]
    if None in ids or len(set(ids)) < len(ids):  # nbformat would mend them and go on
        return [*problems, "has cells without an id, or with the same id"]
    try:
        nbformat.validate(data)
    except nbformat.ValidationError as error:
        return [*problems, f"is not a valid notebook: {error.message}"]
    code = [(index, cell) for index, cell in enumerate(data["cells"]) if cell["cell_type"] == "code"]
    if not code:
        problems.append("has no code cell")
    for index, cell in code:
        if cell["execution_count"] is None:
            problems.append(f"cell {index} was not executed")
        for output in cell["outputs"]:
            if output["output_type"] == "error":
                problems.append(f"cell {index} raised {output['ename']}: {output['evalue']}")
            elif output.get("name") == "stderr":
                problems.append(f"cell {index} wrote to stderr: {''.join(output['text']).strip()}")
    return problems


async def execute(path, turn, bar):
    """Run the notebook in a fresh kernel and store it if it changed; returns what went wrong."""
    async with turn:
        notebook = read_notebook(path)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.execution_count, cell.outputs = None, []
        client = NotebookClient(
            notebook,
            coalesce_streams=True,
            kernel_name="python3",
            on_cell_complete=lambda **_: bar.update(),
            record_timing=False,
            resources={"metadata": {"path": str(path.parent)}},
            timeout=CELL_TIMEOUT,
        )
        try:
            await client.async_execute()
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            return [str(error)]
    text = serialise(normalise(notebook))
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder, path.name)
        draft.write_text(text, encoding="utf-8", newline="\n")
        problems = find_problems(draft)
    if not problems and text.encode() != path.read_bytes():
        path.write_text(text, encoding="utf-8", newline="\n")
        bar.write(f"{path.name}: stored anew")
    return problems


async def execute_all(paths):
    """Run the notebooks, some at a time; returns the problems of each."""
    turn = asyncio.Semaphore(AT_ONCE)
    cells = [cell for path in paths for cell in read_notebook(path).cells]
    with tqdm(total=sum(cell.cell_type == "code" for cell in cells), unit="cell") as bar:
        return await asyncio.gather(*(execute(path, turn, bar) for path in paths))


def main():
    """Re-execute the named notebooks, or all; exit 1 and leave a notebook as it was when it has a problem."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0].split(":")[0])
    parser.add_argument("notebooks", nargs="*", metavar="NOTEBOOK", help="all when none is named")
    paths = chosen_notebooks(parser.parse_args().notebooks)
    with tempfile.TemporaryDirectory() as profile:  # a reader's own start-up files must not change outputs
        os.environ.update(ENVIRONMENT, IPYTHONDIR=profile)
        results = asyncio.run(execute_all(paths))
    failed = [
        f"{path.relative_to(ROOT)}: {problem}"
        for path, found in zip(paths, results, strict=True)
        for problem in found
    ]
    print("\n".join([*failed, f"{len(paths)} notebooks, {sum(map(bool, results))} failed"]))
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
