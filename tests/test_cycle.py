"""The instructor's cycle from release to grades, by the commands, on made-up submissions in the sandbox."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import fake_submissions
import pytest
from nbgrader.apps.api import NbGraderAPI
from nbgrader.apps.baseapp import NbGrader

from selfgated.grading import batch
from selfgated.grading.assignment import Assignment
from selfgated.grading.commands import main, release
from selfgated.grading.course import ROOT, Course
from selfgated.grading.mutation import run
from selfgated.grading.sandbox import find_sandbox
from selfgated.grading.verdict import Verdict

pytestmark = pytest.mark.skipif(find_sandbox() != "bubblewrap", reason="needs bubblewrap")
SLUG = "02_swish"
DUE = datetime(2027, 3, 1, 22, 59, tzinfo=UTC)


def grading(folder, *arguments):
    """Exit code of a command."""
    return main(["--course", str(folder), *map(str, arguments)])


def made_up():
    """Six submissions, one of them late and one no notebook, and what the honest ones deserve."""
    made = fake_submissions.make(SLUG, 5, seed=3, due=DUE)
    made[1].moment = DUE + timedelta(hours=30)
    broken = fake_submissions.Submission("x.broken", SLUG, DUE, b"%PDF-1.7", None)
    return [*made, broken]


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """A course after release, collect and grade; its submissions by student."""
    folder = tmp_path_factory.mktemp("cycle")
    made = made_up()
    fake_submissions.write_moodle(made, folder / "lms.zip")
    course = folder / "course"
    assert grading(course, "release", SLUG, "--due", "2027-03-01 22:59 UTC", "--no-kit") == 0
    assert grading(course, "collect", folder / "lms.zip") == 0
    assert grading(course, "grade", "--workers", 2) == 0
    return course, {item.student.replace(".", " ").title().replace(" ", "_"): item for item in made}


@pytest.fixture
def course(graded, tmp_path):
    """A copy of the graded course."""
    return Course(shutil.copytree(graded[0], tmp_path / "course"))


@pytest.fixture
def students(graded):
    """Submissions by student."""
    return graded[1]


def verdict(course, student):
    return Verdict.load(course.verdict(student, SLUG))


def grades(course):
    """Rows of grades.csv by student."""
    assert grading(course.folder, "grades") == 0
    with (course.folder / "grades.csv").open(encoding="utf-8-sig", newline="") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


def expected(item):
    """Points by test cell, found in this process without a sandbox."""
    return {cell: score.earned for cell, score in run(Assignment.load(SLUG), item.replaced).items()}


def waiting(course):
    """Rows of the table of marks that wait."""
    assert grading(course.folder, "marks", "--assignment", SLUG, "--force") == 0
    path = course.folder / f"marks_{SLUG}.csv"
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    return path, rows


def mark(course, score):
    """Give all answers that wait the same score."""
    path, rows = waiting(course)
    for row in rows:
        row["score"] = row["score"] or score
        row["comment"] = row["comment"] or "Say why."
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, rows[0].keys())
        table.writeheader()
        table.writerows(rows)
    return path


def test_every_honest_submission_gets_what_it_deserves(course, students):
    for student, item in students.items():
        found = verdict(course, student)
        assert found.sandbox == "bubblewrap"
        if item.replaced is None:
            assert (found.status, found.tests) == ("rejected", ())
            continue
        assert {test.cell: test.score for test in found.tests} == expected(item)
        assert grades(course)[student]["auto"] == f"{sum(expected(item).values()):g}"


def test_the_late_one_loses_a_share_and_an_extension_gives_it_back(course, students, capsys):
    late = list(students)[1]
    row = grades(course)[late]
    assert (row["late_days"], float(row["penalty"])) == ("2", pytest.approx(0.2 * float(row["auto"])))
    assert {row["penalty"] for name, row in grades(course).items() if name != late} == {"0"}
    course.extensions.write_text(f"student,assignment,due\n{late},{SLUG},2027-03-03 12:00 UTC\n")
    assert grades(course)[late]["penalty"] == "0"
    assert "extensions.csv" not in capsys.readouterr().out
    course.extensions.write_text(f"student,assignment,due\n{late}x,{SLUG},2027-03-03 12:00 UTC\n")
    assert grades(course)[late]["penalty"] == row["penalty"]
    assert f"extensions.csv: '{late}x' has not handed in {SLUG}" in capsys.readouterr().out
    course.extensions.write_text(f"student,assignment,due\n{late},{SLUG},whenever\n")
    assert grading(course.folder, "grades") == 2


def test_marks_are_entered_and_change_status_total_and_penalty(course, students, capsys):
    late = list(students)[1]
    before = grades(course)
    assert "marks missing" in {row["status"] for row in before.values()}
    assert grading(course.folder, "marks", mark(course, "3")) == 0
    after = grades(course)
    assert {row["status"] for row in after.values()} == {"final", "rejected"}
    gained = {name for name in after if float(after[name]["manual"]) == 3}
    assert gained == {name for name, row in before.items() if row["status"] == "marks missing"}
    if late in gained:
        assert float(after[late]["penalty"]) > float(before[late]["penalty"])
    path = mark(course, "3")
    path.write_text(path.read_text().replace(",3,", ",30,"))
    capsys.readouterr()
    assert grading(course.folder, "marks", path) == 2
    assert "give a number from 0 to" in capsys.readouterr().err
    assert grades(course) == after


def test_a_second_submission_is_graded_and_the_mark_is_kept(course, students, tmp_path, capsys):
    assert grading(course.folder, "marks", mark(course, "3")) == 0
    student = next(name for name, row in grades(course).items() if row["manual"] == "3")
    others = {name: course.verdict(name, SLUG).stat().st_mtime_ns for name in students if name != student}
    assignment = Assignment.load(SLUG)
    old = json.loads(students[student].data)
    best = {name: fake_submissions.without_marks(source) for name, source in assignment.answers.items()}
    for cell in old["cells"]:
        cell["source"] = best.get(cell["id"], cell["source"])
    item = students[student]
    folder = tmp_path / "second"
    changes = {
        "student": student,
        "moment": item.moment + timedelta(minutes=5),
        "data": json.dumps(old).encode(),
    }
    again = fake_submissions.Submission(slug=SLUG, **changes)
    fake_submissions.write_folder([again], folder)
    assert grades(course)[student]["status"] == "final"
    assert grading(course.folder, "collect", folder) == 0
    assert grades(course)[student]["status"] == "not graded"
    capsys.readouterr()
    assert grading(course.folder, "grade") == 0
    assert "5 of them were graded before." in capsys.readouterr().out
    row = grades(course)[student]
    assert (row["auto"], row["manual"]) == (f"{sum(cell.points for cell in assignment.tests):g}", "3")
    assert row["status"] == "final"
    assert {name: course.verdict(name, SLUG).stat().st_mtime_ns for name in others} == others
    (aside,) = course.earlier(student, SLUG).iterdir()
    assert (aside / f"{SLUG}.ipynb").read_bytes() == item.data
    assert Verdict.load(aside / "verdict.json").student == student


def test_one_student_is_graded_again(course, students, capsys):
    student = next(iter(students))
    stamps = {name: course.verdict(name, SLUG).stat().st_mtime_ns for name in students}
    assert grading(course.folder, "grade", "--student", student) == 0
    assert "All were graded already" in capsys.readouterr().out
    assert grading(course.folder, "grade", "--student", student, "--again") == 0
    now = {name: course.verdict(name, SLUG).stat().st_mtime_ns for name in students}
    assert {name for name in students if now[name] != stamps[name]} == {student}


def test_a_lost_gradebook_comes_back_from_the_verdicts(course, students, capsys):
    before = grades(course)
    course.gradebook.unlink()
    assert grading(course.folder, "release", SLUG, "--due", "2027-03-01 22:59 UTC", "--no-kit") == 0
    capsys.readouterr()
    assert grading(course.folder, "grade") == 0
    assert "All were graded already" in capsys.readouterr().out
    assert grades(course) == before


def test_feedback_is_a_page_for_everyone_with_the_total_that_counts(course, students):
    assert grading(course.folder, "marks", mark(course, "3")) == 0
    assert grading(course.folder, "feedback") == 0
    rows = grades(course)
    for student in students:
        page = course.feedback(student, SLUG).read_text(encoding="utf-8")
        assert 'src="http' not in page
        assert f'<p class="total"><strong>{float(rows[student]["total"]):g}</strong>' in page
        less = f"less {float(rows[student]['penalty']):g} because it came late"
        assert (less in page) == (float(rows[student]["penalty"]) > 0)


def test_nbgrader_sees_the_same_course(course, students, monkeypatch, tmp_path):
    assert grading(course.folder, "marks", mark(course, "2.5")) == 0
    rows = grades(course)
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COURSE", str(course.folder))
    app = NbGrader()
    app.initialize([])
    api = NbGraderAPI(app.coursedir, config=app.config)
    found = {item["student"]: item for item in api.get_submissions(SLUG)}
    assert {name: item["score"] for name, item in found.items()} == {
        name: float(row["auto"]) + float(row["manual"]) for name, row in rows.items()
    }
    assert all(item["autograded"] for item in found.values())
    assert len(api.get_notebook_submissions(SLUG, SLUG)) == len(students)
    path = str(tmp_path / "export.csv")
    command = [sys.executable, "-m", "nbgrader", "export", "--to", path]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    with open(path, encoding="utf-8") as file:
        exported = {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}
    assert exported == {name: float(row["total"]) for name, row in rows.items()}
    refused = api.autograde(SLUG, next(iter(students)))
    assert not refused["success"]
    assert "make grade" in refused["error"]
    assert all(course.autograded(name, SLUG).is_dir() for name in students)


def test_wide_table_has_a_row_per_student(course, students):
    rows = grades(course)
    with (course.folder / "grades_wide.csv").open(encoding="utf-8-sig", newline="") as file:
        wide = {row["student"]: row for row in csv.DictReader(file)}
    assert set(wide) == set(students)
    for student, row in wide.items():
        assert row[SLUG] == row["sum"] == rows[student]["total"]


def test_an_interrupted_run_keeps_what_is_done_and_goes_on(course, students, tmp_path):
    batch.grader_version.cache_clear()
    shutil.rmtree(course.folder / "verdicts")
    base = [
        sys.executable,
        "-m",
        "selfgated.grading",
        "--course",
        str(course.folder),
        "grade",
        "--workers",
        "1",
    ]
    with subprocess.Popen(base, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not course.graded(SLUG):
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "The same command goes on from here." in out
    done = course.graded(SLUG)
    assert 0 < len(done) < len(students)
    stamps = {name: course.verdict(name, SLUG).stat().st_mtime_ns for name in done}
    assert grading(course.folder, "grade") == 0
    assert course.graded(SLUG) == sorted(students)
    assert {name: course.verdict(name, SLUG).stat().st_mtime_ns for name in done} == stamps


def test_release_makes_the_kit_and_says_when_it_is_due(tmp_path, monkeypatch, capsys):
    calls = []

    def called(command, **_):
        calls.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(release, "subprocess", SimpleNamespace(run=called))
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        assert grading(tmp_path, "release", SLUG, "--due", "2027-03-01 23:59") == 0
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()
    out = capsys.readouterr().out
    assert "Due Monday 1 March 2027, 23:59 CET (UTC+01:00), that is 22:59 UTC." in out
    assert "loses 10 % of its score per started day" in out
    assert calls[0][1:] == [str(ROOT / "tools" / "kit.py"), SLUG]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("release", "02_swich"), "unknown assignment '02_swich'; choose from ["),
        (("release",), "which assignment? choose from ["),
        (("release", SLUG, "--due", "soon"), "--due: 'soon' is no date and time; write 2027-03-01 23:59"),
        (("collect", "missing.zip"), "no folder or zip at missing.zip"),
        (("marks",), "no gradebook at"),
        (("feedback",), "no gradebook at"),
        (("grades",), "no gradebook at"),
    ],
)
def test_commands_say_in_one_line_what_is_wrong(tmp_path, capsys, arguments, message):
    assert grading(tmp_path / "course", *arguments) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_make_passes_on_what_it_is_given():
    def recipe(*arguments):
        command = ["make", "--no-print-directory", "--dry-run", "-o", ".venv/.installed", *arguments]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, env=os.environ)
        return " ".join(done.stdout.replace("\\\n", " ").split())

    base = '.venv/bin/python -m selfgated.grading --course "c d"'
    assert recipe("release", "COURSE=c d", f"ASSIGNMENT={SLUG}", "DUE=2027-03-01 23:59") == (
        f'{base} release {SLUG} --due "2027-03-01 23:59"'
    )
    assert recipe("grade", "COURSE=c d", "SUBMITTED=a b", "STUDENT=x", "ARGS=--again") == (
        f'{base} grade --submitted "a b" --student "x" --again'
    )
    assert recipe("marks", "COURSE=c d", "MARKS=m.csv") == f'{base} marks "m.csv"'
    assert recipe("collect", "COURSE=c d", "FROM=lms.zip") == f'{base} collect "lms.zip"'
