import json
import os
import re
import subprocess
import sys

import check_notebooks
import kernel_start
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import notebooks as nb

NOTEBOOKS = nb.find_notebooks()
NAMES = [path.relative_to(nb.ROOT).as_posix() for path in NOTEBOOKS]


def run_nbval(*arguments, cwd=nb.ROOT):
    options = [*check_notebooks.NBVAL, "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *options, *arguments]
    environment = os.environ | {"PYTHONPATH": str(nb.ROOT / "tools")}  # where the plugin is
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


def finished_notebook():
    shown = new_output("stream", name="stdout", text="0.100000\n")
    metadata = {"kernelspec": nb.KERNELSPEC, "language_info": nb.LANGUAGE}
    code = new_code_cell("print('0.100000')", execution_count=1, outputs=[shown])
    return new_notebook(cells=[new_markdown_cell("# Title"), code], metadata=metadata)


def save(notebook, folder, name="made_up.ipynb"):
    path = folder / name
    path.write_text(json.dumps(notebook), encoding="utf-8")
    return path


def remove_count(notebook):
    notebook.cells[1].execution_count = None


def add_error(notebook):
    notebook.cells[1].outputs = [new_output("error", ename="ValueError", evalue="no", traceback=[])]


def add_stderr(notebook):
    notebook.cells[1].outputs.append(new_output("stream", name="stderr", text="a warning"))


def add_megabyte(notebook):
    notebook.cells[0].source = "x" * 1_000_000


def repeat_id(notebook):
    notebook.cells[1].id = notebook.cells[0].id


def remove_id(notebook):
    del notebook.cells[1]["id"]


def rename_kernel(notebook):
    notebook.metadata.kernelspec = {"display_name": "Other", "name": "conda-base"}


def break_schema(notebook):
    notebook.cells[1].outputs[0].output_type = "steam"


def remove_code(notebook):
    del notebook.cells[1]


BREAKS = {
    remove_count: "cell 1 was not executed",
    add_error: "cell 1 raised ValueError: no",
    add_stderr: "cell 1 wrote to stderr: a warning",
    add_megabyte: "above 1000000",
    repeat_id: "without an id, or with the same id",
    remove_id: "without an id, or with the same id",
    rename_kernel: "names the kernel 'conda-base'",
    break_schema: "is not a valid notebook",
    remove_code: "has no code cell",
}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_notebook_is_finished(path):
    assert nb.find_problems(path) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_notebook_is_normalised(path):
    normal = nb.serialise(nb.normalise(nb.read_notebook(path))) == path.read_text(encoding="utf-8")
    assert normal, f"run: make notebooks NB={path.relative_to(nb.ROOT)}"


def test_notebooks_are_all_collected():
    assert NAMES
    paths = nb.find_notebooks(folders=check_notebooks.FOLDERS)
    names = [path.relative_to(nb.ROOT).as_posix() for path in paths]
    listed = run_nbval("--collect-only", "-q", "-n0", *names)
    assert listed.returncode == 0, listed.stdout + listed.stderr
    collected = {line.split("::")[0] for line in listed.stdout.splitlines() if "::" in line}
    folders = ("notebooks", "solutions", "exercises")
    found = [path for folder in folders for path in nb.ROOT.glob(f"{folder}/**/*.ipynb")]
    on_disk = {path.relative_to(nb.ROOT).as_posix() for path in found}
    assert collected == {name for name in on_disk if ".ipynb_checkpoints" not in name}


def test_find_problems_accepts_finished_notebook(tmp_path):
    assert nb.find_problems(save(finished_notebook(), tmp_path)) == []


@pytest.mark.parametrize("damage", BREAKS, ids=lambda damage: damage.__name__)
def test_find_problems_names_each_fault(damage, tmp_path):
    notebook = finished_notebook()
    damage(notebook)
    (problem,) = nb.find_problems(save(notebook, tmp_path))
    assert BREAKS[damage] in problem


def test_nbval_fails_on_changed_number_only(tmp_path):
    same, changed = finished_notebook(), finished_notebook()
    changed.cells[1].outputs[0].text = "0.100001\n"
    result = new_output("execute_result", {"text/plain": "<object at 0x...>"}, execution_count=2)
    same.cells.append(new_code_cell("object()", execution_count=2, outputs=[result]))
    bits = new_output("stream", name="stdout", text="0x3f800001\n")
    changed.cells.append(new_code_cell("print('0x3f800000')", execution_count=2, outputs=[bits]))
    paths = [save(same, tmp_path, "same.ipynb"), save(changed, tmp_path, "changed.ipynb")]
    checked = run_nbval(f"--rootdir={tmp_path}", "-n0", "-rA", *paths, cwd=tmp_path)
    assert checked.returncode == pytest.ExitCode.TESTS_FAILED, checked.stdout + checked.stderr
    verdicts = re.findall(r"^(PASSED|FAILED) (\w+)\.ipynb::Cell (\d)", checked.stdout, re.MULTILINE)
    assert sorted(verdicts) == [
        ("FAILED", "changed", "0"),
        ("FAILED", "changed", "1"),
        ("PASSED", "same", "0"),
        ("PASSED", "same", "1"),
    ]


def test_nbval_runs_an_exercise_without_outputs(tmp_path):
    exercise = finished_notebook()
    raising = new_code_cell("raise NotImplementedError", metadata={"tags": ["raises-exception"]})
    exercise.cells += [raising, new_code_cell("print('not compared')")]
    broken = nbformat.from_dict(exercise)
    broken.cells.append(new_code_cell("raise NotImplementedError"))
    paths = [save(exercise, tmp_path, "exercise.ipynb"), save(broken, tmp_path, "broken.ipynb")]
    checked = run_nbval(f"--rootdir={tmp_path}", "-n0", "-rA", *paths, cwd=tmp_path)
    verdicts = re.findall(r"^(PASSED|FAILED) (\w+)\.ipynb::Cell (\d)", checked.stdout, re.MULTILINE)
    failed = [place for verdict, *place in verdicts if verdict == "FAILED"]
    assert (len(verdicts), failed) == (7, [["broken", "3"]])


@pytest.mark.parametrize(
    ("errors", "tries", "ends"),
    [
        (["Kernel died before replying to kernel_info"] * 2, 3, "ready"),
        (["Kernel died before replying to kernel_info"] * 3, 3, "Kernel died"),
        (["Kernel didn't respond in 60 seconds"], 1, "Kernel didn't"),
    ],
)
def test_patient_starts_a_kernel_that_died_again(errors, tries, ends):
    left, calls = list(errors), []

    def start():
        calls.append(1)
        if left:
            raise RuntimeError(left.pop())
        return "ready"

    if ends == "ready":
        assert kernel_start.patient(start)() == "ready"
    else:
        with pytest.raises(RuntimeError, match=ends):
            kernel_start.patient(start)()
    assert len(calls) == tries


def test_find_faults_names_missing_and_slow_notebooks():
    seconds = check_notebooks.Times().seconds
    seconds.update({"fast.ipynb": 59.0, "slow.ipynb": 61.0})
    names = ["fast.ipynb", "slow.ipynb", "missing.ipynb"]
    assert check_notebooks.find_faults(names[:1], seconds, limit=60) == []
    assert check_notebooks.find_faults(names, seconds) == ["missing.ipynb was not run"]
    assert check_notebooks.find_faults(names, seconds, limit=60) == [
        "missing.ipynb was not run",
        "slow.ipynb took 61.0 s, above 60 s",
    ]


def test_find_notebooks_follows_git(tmp_path):
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    (tmp_path / ".gitignore").write_text(".ipynb_checkpoints/\n")
    for name in ["notebooks/.ipynb_checkpoints", "solutions/02_swish", "exercises"]:
        (tmp_path / name).mkdir(parents=True)
        save(finished_notebook(), tmp_path / name)
    save(finished_notebook(), tmp_path / "notebooks", "02_swish.ipynb")
    subprocess.run(["git", "add", "notebooks/02_swish.ipynb"], cwd=tmp_path, check=True)
    expected = [tmp_path / "notebooks/02_swish.ipynb", tmp_path / "solutions/02_swish/made_up.ipynb"]
    assert nb.find_notebooks(tmp_path) == expected
    given = [tmp_path / "exercises/made_up.ipynb", *expected]
    assert nb.find_notebooks(tmp_path, check_notebooks.FOLDERS) == given
    (tmp_path / ".git").rename(tmp_path / "no_git")
    assert nb.find_notebooks(tmp_path) == expected
    assert nb.find_notebooks(tmp_path, check_notebooks.FOLDERS) == given


def test_read_notebook_gives_missing_ids_that_stay(tmp_path):
    notebook = finished_notebook()
    notebook.cells[0].id = "kept"
    notebook.cells.append(dict(notebook.cells[1], id="kept"))
    notebook.cells[1].id = "not valid"
    path = save(notebook, tmp_path)
    ids = [cell.id for cell in nb.read_notebook(path).cells]
    assert ids[0] == "kept"
    assert len(set(ids)) == 3
    assert ids == [cell.id for cell in nb.read_notebook(path).cells]


def test_normalise_is_idempotent_and_strips_what_changes(tmp_path):
    notebook = finished_notebook()
    notebook.metadata["widgets"] = {}
    notebook.cells[1].execution_count = 7
    notebook.cells[1].metadata = nbformat.from_dict(
        {"execution": {"iopub.execute_input": "now"}, "tags": ["x"]}
    )
    data = {"text/plain": "<f at 0x7f00deadbeef> 0x3f800000", "image/png": "at 0x7f00deadbeef"}
    notebook.cells[1].outputs.append(new_output("execute_result", data, execution_count=7))
    once = nb.normalise(notebook)
    text = nb.serialise(once)
    assert once.cells[1].execution_count == once.cells[1].outputs[1].execution_count == 1
    assert once.cells[1].outputs[1].data == data | {"text/plain": "<f at 0x...> 0x3f800000"}
    assert once.cells[1].metadata == {"tags": ["x"]}
    assert set(once.metadata) == {"kernelspec", "language_info"}
    path = tmp_path / "once.ipynb"
    path.write_text(text, encoding="utf-8")
    assert nb.serialise(nb.normalise(nb.read_notebook(path))) == text


def test_chosen_notebooks_rejects_unknown_name():
    with pytest.raises(SystemExit, match=r"unknown notebook 'notebooks/99_gleu\.ipynb'; choose from \["):
        nb.chosen_notebooks(["notebooks/99_gleu.ipynb"])
