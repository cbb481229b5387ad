"""Grading in parallel: workers that die, what is kept, what is graded anew, which folders are looked at."""

import importlib
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import closing
from dataclasses import replace

import nbformat
import pytest
from nbconvert import HTMLExporter

from selfgated.grading import batch, pool
from selfgated.grading.assignment import SOLUTIONS, slugs
from selfgated.grading.commands import grade as command
from selfgated.grading.commands import main
from selfgated.grading.course import Course
from selfgated.grading.verdict import Cell, Score, Verdict

SLUG = "02_swish"
WORK = '''
import os, signal, subprocess, sys, time
from pathlib import Path


def work(task, slot):
    """Do what the task says; tasks are (name, how, folder)."""
    name, how, folder = task
    tries = Path(folder) / f"{name}.tries"
    tries.write_text(tries.read_text() + "x" if tries.exists() else "x")
    first = tries.read_text() == "x"
    if how == "exit":
        os._exit(7)
    if how == "kill" or (how == "kill once" and first):
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "raise":
        raise ValueError("no such thing")
    if how == "leave":
        raise SystemExit(3)
    if how == "hang":
        child = subprocess.Popen(["sleep", "1000"])
        (Path(folder) / f"{name}.child").write_text(f"{child.pid} {os.getpid()}")
        time.sleep(1000)
    return name, slot, len(tries.read_text()), os.getpid()


def judge(job, slot):
    """In place of the judge: a verdict from the name of the student, written as the real one."""
    from dataclasses import replace
    from selfgated.grading import batch
    from selfgated.grading.course import Course, write_whole
    from selfgated.grading.verdict import Score, Verdict
    if job.student == "crash":
        os._exit(1)
    found = Verdict(job.slug, job.student, source="s", submission="h", grader=job.grader,
                    tests=(Score("p1-test", 3, 2),))
    write_whole(Course(job.course).verdict(job.student, job.slug), found.to_json())
    return batch.Result(found)
'''


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A module that worker processes can import."""
    (tmp_path / "batch_work.py").write_text(WORK)
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("batch_work", None)
    yield importlib.import_module("batch_work")
    sys.modules.pop("batch_work", None)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as file:
        return file.read().split()[2] != "Z"


def gone(pids, seconds=10):
    pids = list(pids)
    end = time.monotonic() + seconds
    while time.monotonic() < end and any(map(alive, pids)):
        time.sleep(0.05)
    return not any(map(alive, pids))


def test_pool_replaces_workers_that_die_and_goes_on(work, tmp_path):
    kinds = ["fine", "exit", "kill once", "raise", "leave", "kill", "fine"]
    tasks = [(f"t{number}", how, str(tmp_path)) for number, how in enumerate(kinds)]
    found = {task[0]: result for task, result in pool.run(tasks, work.work, workers=2)}
    assert sorted(found) == [f"t{number}" for number in range(7)]
    assert found["t0"][2] == found["t6"][2] == 1
    assert found["t2"][2] == 2  # its second try
    reasons = {name: result.reason for name, result in found.items() if isinstance(result, pool.Failure)}
    assert reasons == {
        "t1": "the worker ended with exit code 7",
        "t3": "ValueError: no such thing",
        "t4": "SystemExit: 3",
        "t5": "the worker ended by SIGKILL",
    }
    assert "batch_work.py" in found["t3"].details
    assert (tmp_path / "t1.tries").read_text() == "xx"
    assert {result[1] for result in found.values() if isinstance(result, tuple)} <= {0, 1}
    assert gone({result[3] for result in found.values() if isinstance(result, tuple)})


def test_pool_ends_a_task_that_takes_too_long_with_its_children(work, tmp_path):
    tasks = [("slow", "hang", str(tmp_path)), ("quick", "fine", str(tmp_path))]
    found = {task[0]: result for task, result in pool.run(tasks, work.work, workers=1, limit=3)}
    assert found["slow"] == pool.Failure("it took longer than 3 s")
    assert found["quick"][0] == "quick"
    assert gone(map(int, (tmp_path / "slow.child").read_text().split()))


def test_pool_that_is_closed_leaves_no_process(work, tmp_path):
    tasks = [("quick", "fine", str(tmp_path)), ("slow", "hang", str(tmp_path))]
    with closing(pool.run(tasks, work.work, workers=2)) as results:
        next(results)
        while not (tmp_path / "slow.child").exists() or not (tmp_path / "slow.child").read_text():
            time.sleep(0.05)
    assert gone(map(int, (tmp_path / "slow.child").read_text().split()))


def test_pool_whose_parent_is_killed_ends(work, tmp_path):
    code = """
        import sys
        sys.path.insert(0, sys.argv[1])
        from selfgated.grading import pool
        import batch_work
        if __name__ == "__main__":
            list(pool.run([("slow", "hang", sys.argv[1])], batch_work.work, workers=1))
    """
    (tmp_path / "parent.py").write_text(textwrap.dedent(code))
    with subprocess.Popen([sys.executable, str(tmp_path / "parent.py"), str(tmp_path)]) as parent:
        while not (tmp_path / "slow.child").exists() or not (tmp_path / "slow.child").read_text():
            time.sleep(0.05)
        parent.send_signal(signal.SIGKILL)
    assert gone(map(int, (tmp_path / "slow.child").read_text().split()))


def job(tmp_path, student="ada", **changes):
    facts = {"course": tmp_path / "course", "solutions": SOLUTIONS, "sandbox": "bubblewrap", "grader": "g1"}
    return batch.Job(student, SLUG, **facts | changes)


def handed_in(course, student, data=b"{}", slug=SLUG, name=None):
    folder = course.submission(student, slug)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / (name or f"{slug}.ipynb")).write_bytes(data)
    return folder


def test_grade_marks_a_crash_as_an_error_and_never_a_zero(work, tmp_path):
    jobs = [job(tmp_path, student) for student in ("ada", "crash", "bob")]
    found = {job.student: result for job, result in batch.grade(jobs, workers=2, work=work.judge)}
    assert found["crash"].verdict.status == "error"
    assert found["crash"].verdict.reason == "The grader failed: the worker ended with exit code 1."
    assert found["crash"].verdict.tests == ()
    assert found["ada"].verdict.score == found["bob"].verdict.score == 2
    course = Course(tmp_path / "course")
    assert Verdict.load(course.verdict("crash", SLUG)).status == "error"
    assert course.graded(SLUG) == ["ada", "bob", "crash"]


def test_current_is_of_the_same_file_source_grader_and_sandbox(tmp_path):
    course, this = Course(tmp_path / "course"), job(tmp_path)
    handed_in(course, "ada")
    digest = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"  # of {}
    found = Verdict(SLUG, "ada", source="s", submission=digest, grader="g1")
    path = course.verdict("ada", SLUG)
    assert batch.current(this, source="s") is None
    batch.write_whole(path, found.to_json())
    assert batch.current(this, source="s") == found
    assert batch.current(this, source="t") is None
    assert batch.current(replace(this, grader="g2"), source="s") is None
    assert batch.current(replace(this, sandbox="none"), source="s") == found
    for changes in ({"sandbox": "none"}, {"status": "error"}, {"submission": ""}):
        batch.write_whole(path, replace(found, **changes).to_json())
        assert batch.current(this, source="s") is None
    batch.write_whole(path, found.to_json())
    handed_in(course, "ada", b"{ }")
    assert batch.current(this, source="s") is None
    path.write_text(found.to_json()[:100])
    assert batch.current(this, source="s") is None


def test_current_finds_a_renamed_notebook(tmp_path):
    course = Course(tmp_path / "course")
    handed_in(course, "ada", name="final.ipynb")
    digest = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    found = Verdict(SLUG, "ada", source="s", submission=digest, grader="g1")
    batch.write_whole(course.verdict("ada", SLUG), found.to_json())
    assert batch.current(job(tmp_path), source="s") == found


def test_grader_version_counts_every_module_that_can_change_points(tmp_path, monkeypatch):
    deciding = {"assignment.py", "inside", "judge.py", "sandbox", "single.py", "verdict.py"}
    names = {path.name for path in batch.HERE.iterdir()}
    assert names >= batch.AROUND | deciding
    assert not deciding & batch.AROUND
    (tmp_path / "judge.py").write_text("a = 1")
    (tmp_path / "feedback").mkdir()
    (tmp_path / "feedback" / "page.py").write_text("a = 1")
    monkeypatch.setattr(batch, "HERE", tmp_path)

    def version():
        batch.grader_version.cache_clear()
        return batch.grader_version()

    first = version()
    (tmp_path / "feedback" / "page.py").write_text("a = 2")
    assert version() == first
    (tmp_path / "judge.py").write_text("a = 2")
    assert version() != first
    batch.grader_version.cache_clear()


def test_discover_looks_at_names_of_students_only(tmp_path):
    course = Course(tmp_path / "course")
    for student in ("ada", "Ada", "José"):
        handed_in(course, student)
    handed_in(course, "ada", slug="03_gelu")
    for name in ("-rf", "a\nb", "x\x1b[2J", "\u0430da", "a" * 200, ".draft-1"):
        handed_in(course, name)
    handed_in(course, "bob", slug="02_swich")
    (course.submitted / "mia").symlink_to(course.submitted / "ada")
    (course.submitted / "notes.txt").write_text("")
    found, refused = batch.discover(course, slugs=[SLUG, "03_gelu"])
    assert found == [("Ada", SLUG), ("José", SLUG), ("ada", SLUG), ("ada", "03_gelu")]
    assert len(refused) == 8
    assert all(sentence.isprintable() for sentence in refused)
    assert any("'mia' is not graded: is a symbolic link" in sentence for sentence in refused)
    assert any("no assignment is called '02_swich'" in sentence for sentence in refused)
    assert batch.discover(course, slugs=[SLUG], student="ada")[0] == [("ada", SLUG)]


def test_grade_one_of_a_refused_file_is_rejected_with_its_reason(tmp_path):
    course = Course(tmp_path / "course")
    folder = handed_in(course, "eve", b"The file 'x.ipynb' is a symbolic link.\n", name="refused.txt")
    slug = slugs()[0]
    folder.rename(folder.with_name(slug))
    found = batch.grade_one(replace(job(tmp_path, "eve"), slug=slug), 0).verdict
    assert (found.status, found.reason) == ("rejected", "The file 'x.ipynb' is a symbolic link.")
    notebook = json.loads((course.autograded("eve", slug) / f"{slug}.ipynb").read_text())
    assert "is a symbolic link" in notebook["cells"][0]["source"]


def test_grade_one_of_a_failing_judge_raises(tmp_path, monkeypatch):
    fault = Verdict(slugs()[0], "ada", status="error", reason="bwrap failed", notes=("Traceback ...",))
    monkeypatch.setattr(batch.single, "grade", lambda *_, **__: fault)
    with pytest.raises(batch.GraderError, match="bwrap failed") as caught:
        batch.grade_one(replace(job(tmp_path), slug=slugs()[0]), 0)
    assert caught.value.__notes__ == ["Traceback ..."]
    assert not (tmp_path / "course").exists()


def test_autograded_notebook_has_the_time_of_the_submission(tmp_path):
    course = Course(tmp_path / "course")
    folder = handed_in(course, "ada")
    (folder / "timestamp.txt").write_text("2027-03-01 12:00:00 UTC\n")
    cells = (Cell("p1", "ok", kind="answer", source="def f(): return 1"),)
    found = Verdict(SLUG, "ada", cells=cells, tests=(Score("p1-test", 3, 2),))
    batch.write_autograded(course, found)
    target = course.autograded("ada", SLUG)
    assert (target / "timestamp.txt").read_text() == "2027-03-01 12:00:00 UTC\n"
    assert json.loads((target / f"{SLUG}.ipynb").read_text())["cells"][0]["source"] == "def f(): return 1"
    (folder / "timestamp.txt").unlink()
    batch.write_autograded(course, found)
    assert not (target / "timestamp.txt").exists()


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "```\n<script>alert(1)</script>\n```",
        "$$\n````\n$$ <img src=x onerror=alert(1)>",
        "[x](javascript:alert(1)) <!-- --> </pre><script>",
        "~~~\r\r<script>\u2028```",
    ],
)
@pytest.mark.parametrize("kind", ["open", "extra", "rejected"])
def test_autograded_notebook_holds_no_live_html_of_a_student(tmp_path, text, kind):
    cells = (Cell("p9", "skipped", kind=kind, cell_type="markdown", source=text),)
    found = Verdict(SLUG, "eve", cells=cells)
    if kind == "rejected":
        found = Verdict(SLUG, "eve", status="rejected", reason=text)
    batch.write_autograded(Course(tmp_path), found)
    notebook = nbformat.read(Course(tmp_path).autograded("eve", SLUG) / f"{SLUG}.ipynb", 4)
    html, _ = HTMLExporter(template_name="basic").from_notebook_node(notebook)
    assert "alert(1)" in html or "&lt;script&gt;" in html
    assert not re.search("<script|<img|<a |onerror=(?!.*&gt;)", html)


def call(tmp_path, *arguments):
    return main(["--course", str(tmp_path / "course"), "grade", *arguments])


def test_grade_refuses_loudly_without_a_sandbox(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "find_sandbox", lambda: "none")
    handed_in(Course(tmp_path / "course"), "ada")
    assert call(tmp_path) == 2
    err = capsys.readouterr().err
    assert "NO SANDBOX WAS FOUND: nothing is graded." in err
    assert "--sandbox none" in err
    assert not (tmp_path / "course" / "verdicts").exists()


def test_grade_without_a_sandbox_warns_in_red(tmp_path, monkeypatch, capsys):
    handed_in(Course(tmp_path / "course"), "ada", b"")
    monkeypatch.setattr(command, "find_sandbox", lambda: "none")
    monkeypatch.setattr(batch, "grade", lambda jobs, workers: (job for job in ()))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert call(tmp_path, "--sandbox", "none") == 0
    assert "\x1b[1;31mGRADING WITHOUT A SANDBOX" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--assignment", "02_swich"), "unknown assignment '02_swich'; choose from ["),
        (("--submitted", "missing"), "no folder at missing"),
        (("--student", "adam"), "no submission of 'adam' in"),
        (("--assignment", "03_gelu"), "no such submission in"),
        (("--workers", "0"), "argument --workers: invalid"),
    ],
)
def test_grade_says_in_one_line_what_is_wrong(tmp_path, capsys, monkeypatch, arguments, message):
    monkeypatch.setattr(command, "find_sandbox", lambda: "bubblewrap")
    handed_in(Course(tmp_path / "course"), "ada")
    try:
        code = call(tmp_path, *arguments)
    except SystemExit as caught:
        code = caught.code
    assert code == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_grade_of_an_empty_course_says_how_to_begin(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(command, "find_sandbox", lambda: "bubblewrap")
    assert call(tmp_path) == 2
    assert "make collect" in capsys.readouterr().err
