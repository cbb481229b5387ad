"""Hostile submissions beside honest ones: each gets the points of its honest answers, and a reason."""

import contextlib
import fcntl
import os
import re
import subprocess
import sys
from pathlib import Path

import course_tables
import pytest

from selfgated.grading.sandbox import Limits, find_sandbox
from selfgated.grading.single import grade
from selfgated.grading.verdict import Verdict, notebook

pytestmark = pytest.mark.skipif(find_sandbox() == "none", reason="bubblewrap cannot run here")
SCRIPT = Path(__file__).with_name("attacks.py")
attacks = course_tables.load_attacks()


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """One batch of all attacks and the honest submissions, graded once for all test workers."""
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    root = base / "attacks"
    with (base / "attacks.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.exists():
            line = [sys.executable, str(SCRIPT), str(root)]
            done = subprocess.run(line, capture_output=True, text=True, timeout=400)
            assert done.returncode == 0, done.stderr
    return root


@pytest.fixture(scope="module")
def verdicts(course):
    return {path.stem: Verdict.load(path) for path in (course / "verdicts").glob("*.json")}


@pytest.mark.parametrize("attack", attacks.ATTACKS, ids=attacks.folder_name)
def test_attack_gets_the_points_of_its_honest_answers_and_a_reason(attack, verdicts):
    verdict = verdicts[attacks.folder_name(attack)]
    said = attacks.text_of(verdict)
    assert (verdict.status, verdict.score) == (attack.status, attack.score), said
    assert re.search(attack.says, said), said


@pytest.mark.parametrize("name", attacks.HONEST)
def test_honest_submission_beside_attacks_is_graded_as_alone(name, course, verdicts):
    submitted = course / "submitted"
    assignment = attacks.assignment_of(course)
    limits = Limits(**attacks.SMALL)
    alone = grade(submitted / name / attacks.SLUG, assignment, sandbox="bubblewrap", limits=limits, slot=7)
    assert verdicts[name].score == attacks.HONEST[name][1]
    assert (verdicts[name].tests, verdicts[name].cells) == (alone.tests, alone.cells)


def test_no_attack_shows_a_hidden_test_or_an_active_output(verdicts):
    for name, verdict in verdicts.items():
        text = verdict.to_json()
        assert attacks.SECRET not in text, name
        assert "default_rng" not in text, name
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]|\\u001b", text), name
        kinds = {kind for cell in verdict.cells for output in cell.outputs for kind in output.get("data", {})}
        assert kinds <= {"text/plain", "image/png"}, name


def test_autograded_notebooks_of_attacks_are_valid(verdicts):
    import nbformat

    for verdict in verdicts.values():
        if verdict.status == "graded":
            found = notebook(verdict)
            nbformat.validate(nbformat.from_dict(found))
            assert len(str(found["cells"])) < 400_000


def test_daemon_is_gone_after_the_batch(verdicts):
    left = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            left.append(path.read_bytes())
    assert verdicts["daemon"].score == attacks.POINTS
    assert b"sleep\x0031415926\x00" not in left


def test_table_has_a_row_for_every_attack(verdicts):
    rows = attacks.table(verdicts)
    assert len(rows) == len(attacks.ATTACKS) >= 25
    assert all(all(row) for row in rows)


def test_table_of_the_instructor_page_names_each_attack_and_its_points(verdicts):
    """What happened is not compared: an attack may break two limits, and which one first may differ."""
    stored = Path(__file__).parents[1].joinpath("book", "tables", "attacks.md").read_text(encoding="utf-8")
    fresh = course_tables.attacks_table(attacks.table(verdicts))
    stored, fresh = ([line.rsplit(" | ", 1)[0] for line in text.splitlines()] for text in (stored, fresh))
    assert stored == fresh, "run `python tools/course_tables.py`"
