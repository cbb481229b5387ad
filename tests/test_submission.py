"""Submitted files: which are read, which are refused and why, and how they are merged with the release."""

import copy
import importlib.util
import json
import os
import sys
from pathlib import Path

import pytest

from selfgated.grading import single, submission
from selfgated.grading.assignment import Assignment
from selfgated.grading.cleaning import cleaned
from selfgated.grading.merge import merge, open_text
from selfgated.grading.sandbox import Limits, SandboxFailure, find_sandbox
from selfgated.grading.submission import Refused, checked, read
from selfgated.grading.verdict import Verdict, notebook

SPEC = importlib.util.spec_from_file_location("attacks_of_submission", Path(__file__).with_name("attacks.py"))
toy = importlib.util.module_from_spec(SPEC)
sys.modules["attacks_of_submission"] = toy
SPEC.loader.exec_module(toy)
NAME = f"{toy.SLUG}.ipynb"


@pytest.fixture(scope="module")
def assignment(tmp_path_factory):
    root = tmp_path_factory.mktemp("solutions")
    toy.write_source(root)
    return Assignment.load(toy.SLUG, root=root)


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "submitted" / "ada" / toy.SLUG
    made.mkdir(parents=True)
    return made


def merged_of(assignment, content):
    cells, notes = merge(assignment, checked(json.dumps(content).encode()))
    return {cell.id: cell for cell in cells}, notes


def test_read_returns_notebook_and_hash(folder, tmp_path):
    (folder / NAME).write_text(json.dumps(toy.notebook()), encoding="utf-8")
    found = read(folder, NAME, root=tmp_path)
    again = read(folder / NAME, NAME, root=tmp_path)
    assert found == again
    assert len(found.notebook["cells"]) == len(toy.notebook()["cells"])
    assert found.notes == ()
    assert len(found.sha256) == 64


def test_read_outside_its_root_is_the_callers_mistake(folder, tmp_path):
    with pytest.raises(ValueError, match="is not in the subpath"):
        read(folder.parents[1], NAME, root=folder)


def test_read_leaves_no_file_open(folder, tmp_path):
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    for build in (toy._link, toy._pipe, toy.written("x"), toy._two):
        build(folder)
        with pytest.raises(Refused):
            submission.read(folder, NAME, root=tmp_path)
        for entry in folder.iterdir():
            entry.unlink()
    assert before == 0 or len(os.listdir("/proc/self/fd")) == before


def test_read_follows_no_link_on_the_way(folder, tmp_path):
    (folder / NAME).write_text(json.dumps(toy.notebook()), encoding="utf-8")
    (tmp_path / "submitted" / "eve").symlink_to("ada")
    with pytest.raises(Refused, match="'eve' is a symbolic link"):
        read(tmp_path / "submitted" / "eve" / toy.SLUG, NAME, root=tmp_path)
    (folder / "more").symlink_to("/")
    with pytest.raises(Refused, match="'more' is a symbolic link"):
        read(folder / "more" / "etc" / "passwd", NAME, root=tmp_path)


def test_read_of_a_missing_folder_says_so(tmp_path):
    with pytest.raises(Refused, match="there is no 'bob'"):
        read(tmp_path / "bob" / toy.SLUG, NAME, root=tmp_path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"\xff\xfe{\x00}\x00", "not UTF-8: byte 0"),
        (b"{'cells': []}", "is no JSON"),
        (b"null", "no notebook"),
        (b"{}", "no notebook of format 4"),
        (b'{"nbformat": 5, "cells": []}', "no notebook of format 4"),
        (b'{"nbformat": 4}', "no list of cells"),
        (b'{"nbformat": 4, "cells": {"0": {}}}', "no list of cells"),
        (b'{"nbformat": 4, "cells": ["code"]}', "no list of cells"),
        (b'{"nbformat": 4, "cells": [{"cell_type": "code"}]}', "cell 1 has no text"),
        (b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": [1]}]}', "cell 1 has no text"),
        (b'{"nbformat": 4, "cells": [{"cell_type": "\\u202e", "source": ""}]}', r"unknown type '\\u202e'"),
        (b'{"nbformat": 4, "nbformat": 4, "cells": []}', "twice"),
        (b'{"nbformat": ' + b"4" * 2000 + b"}", "a number of 2,000 digits"),
        (b'{"nbformat": 4, "cells": [], "metadata": {"language_info": {"name": "R"}}}', "written for 'R'"),
        (b'{"nbformat": 4, "cells": [' + b"[" * 5000 + b"]" * 5000 + b"]}", "too deep|no list of cells"),
    ],
)
def test_checked_says_why_a_file_is_refused(content, reason):
    with pytest.raises(Refused, match=reason):
        checked(content)


def test_checked_reads_what_honest_tools_write():
    content = toy.notebook()
    content["nbformat_minor"] = 2
    for cell in content["cells"]:
        del cell["id"]
        cell["source"] = cell["source"].splitlines(keepends=True)
    content["cells"][1]["outputs"] = [{"output_type": "display_data", "data": {"x": float("nan")}}]
    data = b"\xef\xbb\xbf" + json.dumps(content, indent=1).replace("\n", "\r\n").encode()
    assert [cell["source"] for cell in checked(data)["cells"]] == [
        cell["source"] for cell in checked(json.dumps(toy.notebook()).encode())["cells"]
    ]


def test_merge_puts_locked_cells_back_and_keeps_answers(assignment):
    content = toy.notebook({"p1": "mine"})
    for cell in content["cells"]:
        if cell["id"] in ("setup", "intro", "p1-text") or cell["id"].endswith("-test"):
            cell["source"] = "assert True  # edited"
            cell["metadata"]["nbgrader"]["points"] = 99
    content["cells"].reverse()
    cells, notes = merged_of(assignment, content)
    release = assignment.release()["cells"]
    assert list(cells) == [cell["id"] for cell in release]
    assert cells["p1"].source == "mine"
    for raw in release:
        assert cells[raw["id"]].metadata == raw["metadata"]
        if raw["id"] not in ("p1", "p2", "p3", "p4"):
            assert cells[raw["id"]].source == raw["source"]
    assert notes == []


def test_merge_keeps_added_cells_behind_the_cell_that_they_followed(assignment):
    content = toy.notebook(extra="helper = 1", after="p2-text")
    content["cells"].insert(0, {"cell_type": "raw", "metadata": {}, "source": "on top"})
    cells, _ = merged_of(assignment, content)
    order = list(cells)
    assert order[0] == "extra-1"
    assert cells["extra-1"].cell_type == "markdown"
    assert order[order.index("p2-text") + 1] == "extra-2"
    assert cells["extra-2"].source == "helper = 1"
    assert cells["extra-2"].metadata == {}


def test_merge_runs_both_halves_of_a_split_answer(assignment):
    content = toy.notebook({"p1": "def silu(z):\n    return helper(z)"})
    place = next(k for k, cell in enumerate(content["cells"]) if cell["id"] == "p1")
    half = copy.deepcopy(content["cells"][place]) | {"id": "new", "source": "def helper(z): return z"}
    content["cells"].insert(place + 1, half)
    cells, notes = merged_of(assignment, content)
    assert cells["extra-1"].source == "def helper(z): return z"
    assert list(cells).index("extra-1") == list(cells).index("p1") + 1
    assert notes == ["p1 is there more than once; every cell of it was run, in the order of the notebook"]


def test_merge_finds_answers_by_cell_id_where_metadata_was_dropped(assignment):
    content = toy.notebook({"p1": "mine"})
    for cell in content["cells"]:
        cell["metadata"] = {}
    cells, notes = merged_of(assignment, content)
    assert cells["p1"].source == "mine"
    assert notes == []


def test_merge_says_what_is_missing_or_of_another_type(assignment):
    content = toy.notebook()
    content["cells"] = [cell for cell in content["cells"] if cell["id"] != "p3"]
    for cell in content["cells"]:
        if cell["id"] == "p1":
            cell["cell_type"] = "markdown"
        if cell["id"] == "p4":
            cell["attachments"] = {"a.png": {"image/png": "AAAA"}}
    cells, notes = merged_of(assignment, content)
    assert cells["p3"].missing
    assert "NotImplementedError" in cells["p3"].source
    assert cells["p1"].cell_type == "code"
    assert notes == [
        "p1 was a markdown cell; it was taken as a code cell",
        "p3: the cell for the answer is missing",
        "p4 holds pictures, which are not kept: look at the submitted file",
    ]


def test_merge_refuses_the_notebook_of_another_assignment(assignment):
    content = toy._notebook([toy._cell("q1", "code", "x = 1", solution=True)])
    with pytest.raises(Refused, match="no answer cell of 90_toy"):
        merged_of(assignment, content)


def test_open_text_of_a_long_answer_is_cut(assignment):
    content = toy.notebook()
    content["cells"][-1]["source"] = "word " * 30_000
    cells, _ = merged_of(assignment, content)
    text = open_text(cells["p4"])
    assert len(text) < 51_000
    assert text.endswith("[the rest was cut]")


def test_cleaned_keeps_text_and_pictures_only():
    outputs = [
        {"output_type": "stream", "name": "weird", "text": "\x1b[31mred\x07"},
        {"output_type": "execute_result", "data": {"text/html": "<script>", "text/plain": "7"}},
        {"output_type": "display_data", "data": {"image/png": "AAAA", "image/svg+xml": "<svg/>"}},
        {"output_type": "error", "ename": 3, "evalue": None, "traceback": ["a", 7, "b"]},
        *(7, None, {}, {"output_type": "update_display_data"}, {"output_type": "stream", "text": ["x"]}),
    ]
    found = cleaned(outputs, [1000])
    assert found[0] == {"output_type": "stream", "name": "stdout", "text": "red"}
    assert found[1] == {"output_type": "display_data", "data": {"text/plain": "7"}, "metadata": {}}
    assert found[2] == {"output_type": "error", "ename": "", "evalue": "", "traceback": ["a", "b"]}
    assert len(found) == 3
    for nonsense in (None, "text", {"a": 1}, 7):
        assert cleaned(nonsense, [1000]) == []


def test_cleaned_stops_at_the_limit():
    outputs = [{"output_type": "stream", "name": "stdout", "text": "x" * 600}] * 5
    room = [1000]
    assert sum(len(output["text"]) for output in cleaned(outputs, room)) == 1000
    assert room == [0]


def test_grade_without_a_sandbox_must_be_asked_for_by_name(assignment, folder):
    with pytest.raises(ValueError, match=r"unknown sandbox ''; choose from \['bubblewrap', 'none'\]"):
        single.grade(folder, assignment, sandbox="")


def test_grade_that_fails_itself_is_an_error_and_no_zero(assignment, folder, monkeypatch):
    (folder / NAME).write_text(json.dumps(toy.notebook()), encoding="utf-8")

    def fail(*_args, **_options):
        raise SandboxFailure("no bubblewrap today")

    monkeypatch.setattr(single.RemoteStudent, "run_cells", fail)
    verdict = single.grade(folder, assignment, sandbox="none")
    assert verdict.status == "error"
    assert verdict.reason == (
        "grading failed, which is not the student's fault: SandboxFailure: no bubblewrap today"
    )
    assert verdict.tests == ()


def test_failure_of_the_sandbox_in_a_test_is_no_zero(assignment, folder, monkeypatch):
    (folder / NAME).write_text(json.dumps(toy.notebook()), encoding="utf-8")

    def fail(*_args, **_options):
        raise SandboxFailure("gone")

    monkeypatch.setattr(single.RemoteStudent, "run_cells", lambda _self: {})
    monkeypatch.setattr(single.RemoteStudent, "call", fail)
    assert single.grade(folder, assignment, sandbox="none").status == "error"


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(
            "bubblewrap",
            marks=pytest.mark.skipif(find_sandbox() == "none", reason="bubblewrap cannot run here"),
        ),
        "none",
    ],
)
def test_grade_of_an_honest_submission(assignment, folder, kind):
    content = toy.notebook({"p2": "def slope():\n    return 'sigma(z)'"}, extra="print('mine')\n1/0")
    (folder / NAME).write_text(json.dumps(content), encoding="utf-8")
    verdict = single.grade(folder, assignment, sandbox=kind, limits=Limits(cpu=2.0, idle=5.0))
    assert (verdict.status, verdict.student, verdict.sandbox) == ("graded", "ada", kind)
    assert {score.cell: score.score for score in verdict.tests} == {"p1-test": 3, "p2-test": 0, "p3-test": 3}
    assert sum(score.points for score in verdict.tests) == toy.POINTS
    assert "z" in verdict.tests[1].parts[0].message
    assert [(item.cell, item.points, item.text) for item in verdict.open] == [("p4", 2, "My answer.")]
    extra = next(cell for cell in verdict.cells if cell.kind == "extra")
    assert (extra.status, extra.message) == ("error", "the cell raised ZeroDivisionError: division by zero")
    assert extra.outputs[0]["text"] == "mine\n"
    assert Verdict.from_json(verdict.to_json()) == verdict
    shown = notebook(verdict)
    assert toy.SECRET not in json.dumps(shown)
    test = next(cell for cell in shown["cells"] if cell["id"] == "p1-test")
    assert test["outputs"][0]["text"].startswith("3 of 3 points\n[2/2] values at 200 points")


def test_verdict_refuses_what_it_does_not_know():
    with pytest.raises(ValueError, match=r"unknown status 'fine'; choose from \['graded'"):
        Verdict("90_toy", "ada", status="fine")
    with pytest.raises(ValueError, match="not a verdict"):
        Verdict.from_json('{"assignment": "90_toy", "student": "ada", "mark": 3}')
    with pytest.raises(ValueError, match="not a verdict"):
        Verdict.from_json("[]")
