"""The gradebook: points, marks by hand, lateness, a killed writer, old and damaged files, nbgrader itself."""

import csv
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import nbformat
import pytest
from nbgrader.api import Gradebook
from nbgrader.plugins import CsvExportPlugin
from traitlets import TraitError

from selfgated.grading.course import ROOT, Course, CourseError
from selfgated.grading.gradebook import (
    answers,
    enter_assignment,
    enter_marks,
    enter_verdict,
    marks_of,
    note_error,
    open_book,
    set_penalties,
    stamp,
    stamps,
    totals,
)
from selfgated.grading.late import LateRule, days_late, load_rule, read_extensions
from selfgated.grading.marks import MarksError, read_marks, unentered, write_marks
from selfgated.grading.tables import read_table, write_table
from selfgated.grading.times import parse_moment
from selfgated.grading.verdict import Cell, Open, Score, Verdict

SLUG = "02_swish"
DUE = datetime(2027, 3, 1, 22, 59, tzinfo=UTC)
RULE = LateRule(percent_per_day=10, maximum_percent=50, grace_minutes=15)


def cell(name, source, **flags):
    make = nbformat.v4.new_markdown_cell if flags.pop("markdown", False) else nbformat.v4.new_code_cell
    facts = {"grade": False, "solution": False, "locked": not flags.get("solution"), "task": False}
    return make(
        source, id=name, metadata={"nbgrader": facts | flags | {"grade_id": name, "schema_version": 3}}
    )


def released(*, problems=2, open_points=4):
    cells = [cell("setup", "import numpy as np")]
    for number in range(1, problems + 1):
        cells.append(cell(f"p{number}", "def answer(): ...", solution=True))
        cells.append(cell(f"p{number}-test", "check()", grade=True, points=3))
    cells.append(
        cell("p9", "Your answer here.", markdown=True, grade=True, solution=True, points=open_points)
    )
    return nbformat.v4.new_notebook(cells=cells)


def verdict(student, scores=(3, 2), answer="Because it is smooth.", **changes):
    tests = tuple(Score(f"p{k}-test", 3, score) for k, score in enumerate(scores, start=1))
    cells = (Cell("p1", "ok", kind="answer", source="def answer(): return 1"),)
    facts = {
        "source": "a",
        "submission": "b",
        "tests": tests,
        "open": (Open("p9", 4, answer),),
        "cells": cells,
    }
    return Verdict(SLUG, student, **facts | changes)


def rejected(student):
    return verdict(student, status="rejected", reason="the file is empty", tests=(), open=(), cells=())


@pytest.fixture
def course(tmp_path, empty_gradebook):
    found = Course(tmp_path / "course")
    found.folder.mkdir()
    found.gradebook.write_bytes(empty_gradebook)
    return found


@pytest.fixture(scope="module")
def empty_gradebook(tmp_path_factory):
    """A new gradebook's bytes: making one starts a process of alembic, so one does for all tests."""
    found = Course(tmp_path_factory.mktemp("new"))
    with open_book(found, create=True) as book:
        enter_assignment(book, SLUG, released(), due=DUE)
    return found.gradebook.read_bytes()


def result(book, student, rule=RULE):
    return next(total for total in totals(book, rule) if total.student == student)


def test_enter_verdict_gives_the_points_of_the_verdict(course):
    with open_book(course) as book:
        enter_verdict(book, verdict("ada", (3, 1)), DUE)
        found = result(book, "ada")
        assert (found.auto, found.manual, found.maximum, found.status) == (4, 0, 10, "marks missing")
        enter_verdict(book, verdict("ada", (0, 2)), DUE)
        assert result(book, "ada").auto == 2


def test_enter_verdict_rejected_scores_nothing_and_waits_for_nobody(course):
    with open_book(course) as book:
        enter_verdict(book, verdict("ada"), DUE)
        enter_verdict(book, rejected("ada"), DUE)
        found = result(book, "ada")
        assert (found.total, found.status, found.reason) == (0, "rejected", "the file is empty")


def test_enter_verdict_refuses_a_fault_of_the_grader(course):
    fault = Verdict(SLUG, "ada", status="error", reason="the worker died")
    with open_book(course) as book:
        enter_verdict(book, verdict("ada", (3, 3)), DUE)
        with pytest.raises(ValueError, match="the worker died"):
            enter_verdict(book, fault, DUE)
        note_error(book, fault)
        found = result(book, "ada")
        assert (found.auto, found.status) == (6, "error")
        note_error(book, Verdict(SLUG, "bob", status="error", reason="the worker died"))
        assert result(book, "bob").status == "error"


def test_enter_verdict_needs_the_assignment(course):
    with open_book(course) as book, pytest.raises(CourseError, match="'03_gelu' is not in the gradebook"):
        enter_verdict(book, Verdict("03_gelu", "ada"), None)


def test_mark_stands_while_the_answer_stays(course):
    with open_book(course) as book:
        enter_verdict(book, verdict("ada"), DUE)
        enter_marks(book, SLUG, {("ada", "p9"): (3, "good")})
        enter_verdict(book, verdict("ada", (0, 0), "Because it is smooth.  \n"), DUE)
        found = result(book, "ada")
        assert (found.auto, found.manual, found.status) == (0, 3, "final")


def test_mark_waits_when_the_answer_changed_and_returns_with_it(course):
    with open_book(course) as book:
        enter_verdict(book, verdict("ada"), DUE)
        enter_marks(book, SLUG, {("ada", "p9"): (3, "good")})
        enter_verdict(book, verdict("ada", answer="Because I say so."), DUE)
        found = result(book, "ada")
        assert (found.manual, found.status) == (0, "marks missing")
        assert answers(book, SLUG)["ada", "p9"].before == 3
        assert "ada" not in marks_of(book, SLUG)
        enter_verdict(book, verdict("ada", answer="Yet another."), DUE)
        enter_verdict(book, verdict("ada"), DUE)
        found = result(book, "ada")
        assert (found.manual, found.status) == (3, "final")
        assert marks_of(book, SLUG)["ada"]["p9"] == {"score": 3, "extra": 0, "comment": "good"}


@pytest.mark.parametrize("answer", ["", "  \n", "Your answer here."])
def test_open_question_without_answer_is_zero_and_final(course, answer):
    with open_book(course) as book:
        enter_verdict(book, verdict("ada", answer=answer), DUE)
        found = result(book, "ada")
        assert (found.manual, found.status) == (0, "final")


def test_a_person_overrules_the_judge(course):
    with open_book(course) as book:
        enter_verdict(book, verdict("ada", (0, 2), ""), DUE)
        with book.transaction() as db:  # as formgrader does it
            grade = Gradebook.find_grade(book._gradebook, "p1-test", SLUG, SLUG, "ada")
            grade.manual_score = 2.5
            assert db is book.db
        enter_verdict(book, verdict("ada", (0, 3), ""), DUE)
        assert (result(book, "ada").auto, result(book, "ada").status) == (5.5, "final")
        enter_verdict(book, verdict("ada", (1, 3), ""), DUE)
        assert (result(book, "ada").auto, result(book, "ada").status) == (5.5, "marks missing")


def test_enter_assignment_keeps_marks_when_cells_change(course):
    with open_book(course) as book:
        enter_verdict(book, verdict("ada", (3, 3)), DUE)
        enter_marks(book, SLUG, {("ada", "p9"): (4, "")})
        assert enter_assignment(book, SLUG, released(problems=3)) is None
        found = result(book, "ada")
        assert (found.auto, found.manual, found.maximum, found.due) == (6, 4, 13, DUE)
        enter_verdict(book, verdict("ada", (3, 3, 1)), DUE)
        assert result(book, "ada").auto == 7
        copy = enter_assignment(book, SLUG, released(problems=1, open_points=2))
        assert copy.is_file()
        found = result(book, "ada")
        assert (found.auto, found.maximum, found.status) == (3, 5, "marks missing")


def test_stamps_tell_what_is_entered(course):
    with open_book(course) as book:
        enter_verdict(book, verdict("ada"), DUE)
        assert stamps(book, SLUG) == {"ada": stamp(verdict("ada"), DUE)}
        others = [verdict("ada", (3, 3)), verdict("ada", answer="x"), verdict("ada", submission="c")]
        assert len({stamp(other, DUE) for other in [*others, verdict("ada")]}) == 4
        assert stamp(verdict("ada"), DUE) != stamp(verdict("ada"), None)


def test_enter_verdict_is_fast_enough_not_to_dominate(course):
    with open_book(course) as book:
        spent = []
        for number in range(30):
            begin = time.process_time()
            enter_verdict(book, verdict(f"s{number}"), DUE)
            spent.append(time.process_time() - begin)
    assert sorted(spent)[len(spent) // 2] < 0.02


KILLED_WRITERS = """
import os, signal, sys, time
from datetime import UTC, datetime
from pathlib import Path
from selfgated.grading.course import Course
from selfgated.grading.gradebook import enter_verdict, open_book
from selfgated.grading.verdict import Open, Score, Verdict


def write(done):
    with open_book(Course(Path(sys.argv[1]))) as book:
        os.write(done, b"open")
        for number in range(10_000):
            tests = tuple(Score(f"p{k}-test", 3, number % 4) for k in (1, 2))
            found = Verdict("02_swish", f"s{number % 40}", tests=tests, open=(Open("p9", 4, str(number)),))
            enter_verdict(book, found, datetime(2027, 3, 1, tzinfo=UTC))


for delay in (0.05, 0.11, 0.17, 0.23):
    ready, done = os.pipe()
    writer = os.fork()
    if not writer:
        write(done)
        os._exit(1)
    os.read(ready, 4)
    time.sleep(delay)
    os.kill(writer, signal.SIGKILL)
    assert os.WTERMSIG(os.waitpid(writer, 0)[1]) == signal.SIGKILL
"""


def test_gradebook_is_whole_when_its_writer_is_killed(course):
    subprocess.run([sys.executable, "-c", KILLED_WRITERS, str(course.folder)], check=True)
    with closing(sqlite3.connect(course.gradebook)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        rows = database.execute(
            "SELECT student_id, count(*), min(auto_score) = max(auto_score) FROM grade "
            "JOIN submitted_notebook ON submitted_notebook.id = grade.notebook_id "
            "JOIN submitted_assignment ON submitted_assignment.id = submitted_notebook.assignment_id "
            "GROUP BY student_id"
        ).fetchall()
        known = database.execute("SELECT student FROM selfgated_verdict").fetchall()
    assert rows
    assert {row[1:] for row in rows} == {(3, 1)}  # three graded cells, both tests of one verdict
    assert sorted(known) == sorted((row[0],) for row in rows)
    with open_book(course) as book:
        enter_verdict(book, verdict("s0", (3, 3)), DUE)
        assert result(book, "s0").auto == 6


def test_backup_is_made_before_a_migration(course):
    with open_book(course) as book:
        book.backup("test")
    with closing(sqlite3.connect(course.gradebook)) as database:  # as nbgrader 0.6 kept it
        database.executescript(
            "PRAGMA foreign_keys = OFF; DROP TABLE assignment; DROP TABLE course; DELETE FROM notebook;"
            "CREATE TABLE assignment (id VARCHAR(32) PRIMARY KEY, name VARCHAR(128) NOT NULL UNIQUE,"
            "duedate DATETIME); INSERT INTO student (id) VALUES ('old');"
            "UPDATE alembic_version SET version_num = '282d30a0218e';"
        )
    with open_book(course) as book:
        enter_assignment(book, SLUG, released(), due=DUE)
        enter_verdict(book, verdict("ada"), DUE)
        assert {total.student for total in totals(book, RULE)} == {"ada", "old"}
    copies = list(course.folder.glob("backups/*migration.db"))
    assert len(copies) == 1
    with closing(sqlite3.connect(copies[0])) as database:
        assert database.execute("SELECT version_num FROM alembic_version").fetchall() == [("282d30a0218e",)]


def test_gradebook_of_an_unknown_schema_is_left_alone(course):
    with closing(sqlite3.connect(course.gradebook)) as database:
        database.execute("UPDATE alembic_version SET version_num = 'abc'")
        database.commit()
    before = course.gradebook.read_bytes()
    with pytest.raises(CourseError, match="schema 'abc'"), open_book(course):
        pass
    assert course.gradebook.read_bytes() == before


@pytest.mark.parametrize("content", [b"no database at all " * 60, b"SQLite format 3\x00" + bytes(4000)])
def test_gradebook_that_is_no_database_is_one_clear_line(course, content):
    course.gradebook.write_bytes(content)
    with pytest.raises(CourseError) as caught, open_book(course):
        pass
    assert "gradebook.db" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert course.gradebook.read_bytes() == content


def test_gradebook_that_is_missing_says_how_to_begin(tmp_path):
    with pytest.raises(CourseError, match="make release"), open_book(Course(tmp_path)):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("seconds", "days"), [(0, 0), (900, 0), (901, 1), (86400, 1), (86401, 2), (10 * 86400, 10)]
)
def test_days_late_counts_started_days_after_the_grace(seconds, days):
    assert days_late(seconds, 15) == days


def test_late_rule_takes_off_per_cent_up_to_the_maximum():
    day = 86400
    assert RULE.late_submission_penalty("ada", 20, 600) is None
    assert RULE.late_submission_penalty("ada", 20, 2 * day) == 4
    assert RULE.late_submission_penalty("ada", 20, 30 * day) == 10
    assert RULE.late_submission_penalty("ada", 0, day) is None
    assert LateRule(percent_per_day=0).words == "Late submissions lose nothing."


def test_late_rule_refuses_what_is_no_share():
    with pytest.raises(TraitError, match="percent_per_day is 110; choose a number from 0 to 100"):
        LateRule(percent_per_day=110)


def test_late_rule_is_the_one_of_the_configuration(tmp_path):
    (tmp_path / "nbgrader_config.py").write_text("c = get_config()\nc.LateRule.percent_per_day = 7\n")
    assert load_rule(tmp_path).percent_per_day == 7
    assert load_rule(ROOT).grace_minutes == 15


def test_penalty_follows_marks_and_extensions(course):
    with open_book(course) as book:
        enter_verdict(book, verdict("ada", (3, 3)), DUE + timedelta(hours=30))
        set_penalties(book, RULE)
        assert (result(book, "ada").penalty, result(book, "ada").late_days) == (1.2, 2)
        enter_marks(book, SLUG, {("ada", "p9"): (4, "")})
        set_penalties(book, RULE)
        assert result(book, "ada").total == 8
        set_penalties(book, RULE, {("ada", SLUG): DUE + timedelta(days=1)})
        found = result(book, "ada")
        assert (found.total, found.late_days, found.due) == (9, 1, DUE + timedelta(days=1))
        set_penalties(book, RULE)
        assert result(book, "ada").total == 8


def test_extensions_name_line_and_value(tmp_path):
    path = tmp_path / "extensions.csv"
    assert read_extensions(path, choices=[SLUG]) == {}
    path.write_text("student,assignment,due\nada,02_swish,2027-03-05 12:00 UTC\n")
    assert read_extensions(path, choices=[SLUG]) == {("ada", SLUG): datetime(2027, 3, 5, 12, tzinfo=UTC)}
    for line, message in (
        ("ada,02_swich,2027-03-05", "line 2: unknown assignment '02_swich'; choose from"),
        ("ada,02_swish,soon", "line 2: 'soon' is no date"),
        ("ada,02_swish,2027-03-05\nada,02_swish,2027-03-06", "line 3: a second line for 'ada'"),
    ):
        path.write_text(f"student,assignment,due\n{line}\n")
        with pytest.raises(CourseError, match=message):
            read_extensions(path, choices=[SLUG])


def test_totals_are_those_of_nbgrader_export(course, tmp_path):
    with open_book(course) as book:
        enter_verdict(book, verdict("ada", (3, 1)), DUE + timedelta(days=3))
        enter_verdict(book, verdict("bob", (2, 2), ""), DUE)
        enter_verdict(book, rejected("eve"), DUE)
        enter_marks(book, SLUG, {("ada", "p9"): (3.5, "")})
        enter_assignment(book, "03_gelu", released(problems=1))
        set_penalties(book, RULE)
        ours = {(row.student, row.assignment): (row.total, row.maximum) for row in totals(book, RULE)}
    target = tmp_path / "export.csv"
    with Gradebook(f"sqlite:///{course.gradebook}") as gradebook:
        plugin = CsvExportPlugin()
        plugin.to = str(target)
        plugin.export(gradebook)
    with target.open() as file:
        theirs = {
            (row["student_id"], row["assignment"]): (float(row["score"]), float(row["max_score"]))
            for row in csv.DictReader(file)
        }
    assert len(ours) == 6
    assert ours == theirs


def filled(course, book, **scores):
    """The table of marks with these scores, by student."""
    path = course.folder / f"marks_{SLUG}.csv"
    found = answers(book, SLUG)
    write_marks(path, found.values(), {("ada", "p9"): "=1+1 is what\nI think"})
    rows = [row for _, row in read_table(path, ("student", "cell", "points", "answer", "score", "version"))]
    for row in rows:
        row["score"] = scores.get(row["student"], row["score"])
    write_table(path, ("student", "cell", "points", "answer", "score", "comment", "version"), rows)
    return path, found


def test_marks_go_out_and_come_back(course):
    with open_book(course) as book:
        enter_verdict(book, verdict("ada"), DUE)
        enter_verdict(book, verdict("bob", answer=""), DUE)
        path, found = filled(course, book, ada="2,5")
        assert "'=1+1 is what I think" in path.read_text(encoding="utf-8-sig")
        assert unentered(path, found) == 1
        marks = read_marks(path, found)
        assert marks == {("ada", "p9"): (2.5, ""), ("bob", "p9"): (0, "")}
        enter_marks(book, SLUG, marks)
        assert result(book, "ada").manual == 2.5
        assert unentered(path, answers(book, SLUG)) == 0


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ada,p9,5,,{version}", "line 3: score '5' of 'ada'; give a number from 0 to 4"),
        ("ada,p9,-1,,{version}", "score '-1' of 'ada'"),
        ("ada,p9,nan,,{version}", "score 'nan' of 'ada'"),
        ("ada,p9,two,,{version}", "score 'two' of 'ada'"),
        ("ann,p9,2,,{version}", "unknown student 'ann'"),
        ("ada,p8,2,,{version}", "unknown cell 'p8'; choose from ['p9']"),
        ("bob,p9,2,,{version}", "line 3: 'bob', p9 stands in line 2 already"),
        ("ada,p9,2,,v123", "'ada' has another answer to p9 by now"),
    ],
)
def test_marks_are_refused_whole_with_line_value_and_range(course, line, message):
    with open_book(course) as book:
        for student in ("ada", "bob"):
            enter_verdict(book, verdict(student), DUE)
        found = answers(book, SLUG)
        version = f"v{found['ada', 'p9'].digest[:10]}"
        path = course.folder / "marks.csv"
        lines = f"bob,p9,4,,{version}\n{line.format(version=version)}\n"
        path.write_text(f"student,cell,score,comment,version\n{lines}")
        with pytest.raises(MarksError) as caught:
            read_marks(path, found)
    assert len(caught.value.lines) == 1
    assert message in str(caught.value)


@pytest.mark.parametrize("text", ["=cmd|'/c calc'!A1", "+1", "-2+3", "@SUM(A1)", "\t=1", " =1", "'=1", "＝1"])
def test_tables_hold_no_formula_and_read_back(tmp_path, text):
    path = tmp_path / "table.csv"
    write_table(path, ("a", "b"), [{"a": text, "b": -1.5}])
    with path.open(encoding="utf-8-sig", newline="") as file:
        ((cell, number),) = list(csv.reader(file))[1:]
    assert cell.startswith("'")
    assert number == "-1.5"
    ((_, row),) = read_table(path, ("a", "b"))
    assert row["a"] == text.replace("\t", " ")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"student,score\n", "no column 'cell'"),
        (b"student;cell\nada;p\xff\n", "not UTF-8"),
    ],
)
def test_read_table_names_what_is_wrong(tmp_path, content, message):
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    with pytest.raises(CourseError, match=message):
        read_table(path, ("student", "cell"))


def test_parse_moment_is_clear_about_the_zone(monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        assert parse_moment("2027-03-01 23:59").astimezone(UTC) == DUE
        assert parse_moment("2027-03-01").astimezone(UTC) == DUE
        assert parse_moment("2027-03-01 17:59 America/New_York").astimezone(UTC) == DUE
        assert parse_moment("2027-03-01T22:59Z") == DUE
        with pytest.raises(ValueError, match="change of the clocks"):
            parse_moment("2027-03-28 02:30")
        with pytest.raises(ValueError, match="'1 March' is no date and time"):
            parse_moment("1 March")
    finally:
        monkeypatch.undo()
        time.tzset()


def test_only_one_command_at_a_time(tmp_path):
    course = Course(tmp_path / "course")
    code = (
        "import sys; from pathlib import Path; from selfgated.grading.course import Course\n"
        "with Course(Path(sys.argv[1])).lock('marks'):\n    print('held', flush=True); sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code, str(course.folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        with pytest.raises(CourseError, match=f"in use: `marks` runs as process {other.pid}"):
            course.lock("grade").__enter__()
        other.kill()
    with course.lock("grade"):
        assert Path(course.folder / ".lock").read_text().startswith("`grade` runs")
