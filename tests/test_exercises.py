"""The exercises: exactly what the sources give, and run as a student receives them."""

import contextlib
import json
import sys
import types
import warnings

import assignments
import matplotlib.pyplot as plt
import pytest

import exercises
import notebooks as nb

SOURCES = assignments.sources()


def outcomes(notebook):
    """What each code cell raises when the cells run one after another here: an exception or None, by id.

    Cheaper than a kernel, and as strict: the cells hold no IPython syntax.
    """
    module = types.ModuleType("exercise_under_test")
    sys.modules[module.__name__] = module  # dataclasses look their module up
    found = {}
    try:
        for cell in notebook.cells:
            if cell.cell_type != "code":
                continue
            found[cell.id] = None
            try:
                with contextlib.redirect_stdout(None), warnings.catch_warnings():
                    warnings.filterwarnings("ignore", "FigureCanvasAgg is non-interactive")
                    exec(compile(cell.source, cell.id, "exec"), vars(module))
            except Exception as error:
                found[cell.id] = error
    finally:
        del sys.modules[module.__name__]
        plt.close("all")
    return found


def tag_complaints(notebook):
    """Cells whose tag does not say what happens: tagged and silent, untagged and raising, another error."""
    tagged = exercises.raising(notebook)
    found = []
    for name, error in outcomes(notebook).items():
        if error is not None and type(error) is not NotImplementedError:
            found.append(f"{name} raised {type(error).__name__}: {error}")
        elif error is None and name in tagged:
            found.append(f"{name} is tagged and did not raise")
        elif error is not None and name not in tagged:
            found.append(f"{name} raised and is not tagged")
    return found


def code(notebook, name):
    """The cell of a notebook with this id."""
    (cell,) = (cell for cell in notebook.cells if cell.id == name)
    return cell


def released(path):
    """What a student gets for one source."""
    (notebook,) = exercises.release({path.stem: path}).values()
    return notebook


def run_main(*arguments, root):
    with pytest.raises(SystemExit) as ended:
        exercises.main(list(arguments), root)
    return ended.value.code


# The tool, on a made-up assignment


def test_release_cuts_answers_and_hidden_tests(demo, store_source):
    notebook = released(store_source(demo))
    stub = "    # Your answer here.\n    raise NotImplementedError"
    assert code(notebook, "p1").source == f'def square(z):\n    """Square of `z`."""\n{stub}'
    assert code(notebook, "p1-test").source == 'assert square(2.0) == 4.0, "the square of 2 is 4"'
    assert code(notebook, "p2").source == "Your answer here."
    for kept in ("intro", "setup", "p1-text", "p1-show", "p2-text"):
        assert code(notebook, kept).source == code(demo, kept).source


def test_release_keeps_what_nbgrader_needs(demo, store_source):
    from nbgrader.utils import compute_checksum

    notebook = released(store_source(demo))
    for cell, source in zip(notebook.cells, demo.cells, strict=True):
        assert cell.id == source.id == cell.metadata.nbgrader.grade_id
        assert cell.metadata.nbgrader.items() >= source.metadata.nbgrader.items()
        assert cell.metadata.nbgrader.checksum == compute_checksum(cell)
        assert cell.metadata.get("editable", True) is not source.metadata.nbgrader.locked
    assert set(notebook.metadata) == {"kernelspec", "language_info", "selfgated"}


def test_release_has_no_outputs_and_the_same_bytes_each_time(demo, store_source):
    from nbformat.v4 import new_output

    code(demo, "p1-show").outputs = [new_output("stream", name="stdout", text="9.0\n")]
    code(demo, "p1-show").execution_count = 3
    path = store_source(demo)
    first, second = (exercises.serialise(released(path)) for _ in range(2))
    assert first == second
    cells = [cell for cell in json.loads(first)["cells"] if cell["cell_type"] == "code"]
    assert [cell["outputs"] for cell in cells] == [[]] * len(cells)
    assert {cell["execution_count"] for cell in cells} == {None}


def test_release_names_the_source_that_nbgrader_refuses(demo, store_source):
    cell = code(demo, "p1-test")
    cell.source = cell.source.replace("### END HIDDEN TESTS", "")
    with pytest.raises(SystemExit, match=r"00_demo: nbgrader made no release:[\s\S]*No end hidden tests"):
        released(store_source(demo))


def test_generate_tags_the_cells_that_reach_an_unfinished_answer(demo, store_source, tmp_path, capsys):
    store_source(demo)
    assert run_main(root=tmp_path) == 0
    path = tmp_path / "exercises" / "00_demo" / "00_demo.ipynb"
    assert exercises.raising(assignments.read(path)) == ["p1-show", "p1-test"]
    assert "exercises/00_demo/00_demo.ipynb: written" in capsys.readouterr().out
    before = path.stat()
    assert run_main(root=tmp_path) == 0  # the same bytes: the file is left alone
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    assert run_main("--check", root=tmp_path) == 0


def test_generate_names_cell_and_error_and_leaves_the_file(demo, store_source, tmp_path, capsys):
    code(demo, "p1-show").source = "print(cube(3.0))"
    store_source(demo)
    path = exercises.target(tmp_path, "00_demo")
    path.parent.mkdir(parents=True)
    path.write_text("as it was")
    assert run_main(root=tmp_path) == 1
    assert "00_demo: cell 'p1-show' raised NameError: name 'cube' is not defined" in capsys.readouterr().out
    assert path.read_text() == "as it was"
    assert [file.name for file in path.parent.iterdir()] == ["00_demo.ipynb"]


def test_generate_removes_what_has_no_source(demo, store_source, tmp_path, monkeypatch):
    store_source(demo)

    async def nothing_raises(released):
        return []

    monkeypatch.setattr(exercises, "run_all", nothing_raises)
    for stale in ("exercises/01_gone/01_gone.ipynb", "exercises/00_demo/answers.txt"):
        (tmp_path / stale).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / stale).write_text("old")
    assert len(exercises.strangers(tmp_path)) == 2
    assert run_main(root=tmp_path) == 0
    left = [path.relative_to(tmp_path).as_posix() for path in (tmp_path / "exercises").rglob("*")]
    assert sorted(left) == ["exercises/00_demo", "exercises/00_demo/00_demo.ipynb"]


def test_check_names_missing_edited_and_stale_files(demo, store_source, tmp_path, capsys):
    source = store_source(demo)
    path = exercises.target(tmp_path, "00_demo")
    assert exercises.differences(root=tmp_path) == ["exercises/00_demo/00_demo.ipynb is missing"]
    notebook = released(source)
    exercises.set_raising(notebook, ["p1-test"])  # whether the tags are right is not this question
    assignments.write(path, exercises.serialise(notebook))
    assert exercises.differences(root=tmp_path) == []
    code(notebook, "p1").source += "\n    return z * z"
    assignments.write(path, exercises.serialise(notebook))
    (tmp_path / "exercises" / "01_gone").mkdir()
    assert run_main("--check", root=tmp_path) == 1
    shown = capsys.readouterr().out
    assert "exercises/00_demo/00_demo.ipynb differs from its source" in shown
    assert "exercises/01_gone has no source in solutions/" in shown


def test_names_are_checked(demo, store_source, tmp_path):
    store_source(demo)
    with pytest.raises(SystemExit, match=r"unknown assignment '03_gleu'; choose from \['00_demo'\]"):
        exercises.main(["03_gleu"], tmp_path)
    store_source(demo, "01_lost").unlink()
    (tmp_path / "solutions" / "01_lost" / "notes.txt").touch()
    with pytest.raises(SystemExit, match=r"no notebook at solutions/01_lost/01_lost\.ipynb"):
        assignments.sources(tmp_path)


def test_facts_of_source_and_release_agree(demo, store_source):
    facts = assignments.facts(demo)
    assert facts == {"title": "Assignment: a demonstration", "points": 5, "minutes": 10, "imports": ["numpy"]}
    assert assignments.facts(released(store_source(demo))) == facts


def test_tag_complaints_finds_both_directions(demo, store_source):
    notebook = released(store_source(demo))
    assert tag_complaints(notebook) == [
        "p1-show raised and is not tagged",
        "p1-test raised and is not tagged",
    ]
    exercises.set_raising(notebook, ["p1-show", "p1-test"])
    assert tag_complaints(notebook) == []
    exercises.set_raising(notebook, ["setup", "p1-show", "p1-test"])
    assert tag_complaints(notebook) == ["setup is tagged and did not raise"]
    code(notebook, "p1-test").source = "raise ValueError('no')"
    code(notebook, "p1-show").source = "class Mine(NotImplementedError): pass\nraise Mine('yes')"
    exercises.set_raising(notebook, ["p1-show", "p1-test"])
    assert tag_complaints(notebook) == ["p1-show raised Mine: yes", "p1-test raised ValueError: no"]


# The exercises of the course


def test_exercises_are_what_their_sources_give():
    assert exercises.differences() == [], "run: make exercises"


@pytest.mark.parametrize("name", SOURCES)
def test_exercise_raises_where_it_is_tagged_and_nowhere_else(name):
    notebook = assignments.read(exercises.target(exercises.ROOT, name))
    assert exercises.raising(notebook)
    assert tag_complaints(notebook) == []


@pytest.mark.parametrize("name", SOURCES)
def test_exercise_is_in_normal_form_without_outputs(name):
    path = exercises.target(exercises.ROOT, name)
    notebook = nb.read_notebook(path)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [(cell.outputs, cell.execution_count) for cell in code] == [([], None)] * len(code)
    assert nb.serialise(nb.normalise(notebook)) == path.read_text(encoding="utf-8")
