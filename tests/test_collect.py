"""Collecting: the layouts of three systems, the newest of each student, and what must not be taken."""

import io
import json
import os
import struct
import time
import zipfile
from datetime import UTC, datetime

import pytest

from selfgated.grading.collect import collect, compile_pattern, sources
from selfgated.grading.commands import main
from selfgated.grading.console import say, table
from selfgated.grading.course import Course, CourseError, read_regular
from selfgated.grading.names import escaped, refusal, shown

SLUGS = ["02_swish", "03_gelu"]
MOODLE = "Ada Lovelace_41001_assignsubmission_file_/02_swish.ipynb"


@pytest.fixture
def course(tmp_path):
    return Course(tmp_path / "course")


def zipped(path, files, *, moment=(2027, 3, 1, 12, 0, 0), **facts):
    """A zip of (name, data) pairs."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files:
            info = zipfile.ZipInfo("x", moment)
            info.filename = name  # ZipInfo would cut at a NUL
            info.compress_type = zipfile.ZIP_DEFLATED
            for key, value in facts.items():
                setattr(info, key, value)
            archive.writestr(info, data)
    return path


def placed(folder, files):
    """A folder with these files, bytes by path."""
    for place, data in files.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_bytes(data)
    return folder


def taken(course):
    """Bytes of every notebook in the course, by student and assignment."""
    return {
        path.relative_to(course.submitted).parts[:2]: path.read_bytes()
        for path in course.submitted.rglob("*.ipynb")
    }


def by_action(outcomes):
    found = {}
    for outcome in outcomes:
        found.setdefault(outcome.action, []).append(outcome.reason)
    return found


@pytest.mark.parametrize(
    ("place", "student"),
    [
        (MOODLE, "Ada_Lovelace"),
        ("CS1-swish/" + MOODLE, "Ada_Lovelace"),
        ("Ada Lovelace_41001_assignsubmission_file_02_swish.ipynb", "Ada_Lovelace"),
        ("José Núñez_7_assignsubmission_file/02_swish.ipynb", "José_Núñez"),
        ("lovelaceada_123_456_02_swish.ipynb", "lovelaceada_123"),
        ("lovelaceada_LATE_123_456_02_swish-2.ipynb", "lovelaceada_123"),
        ("ada/02_swish/02_swish.ipynb", "ada"),
        ("submitted/ada/02_swish/02_swish.ipynb", "ada"),
    ],
)
def test_collect_knows_the_layouts(course, tmp_path, place, student):
    source = zipped(tmp_path / "lms.zip", [(place, b"{}")])
    (outcome,) = collect(source, course, slugs=SLUGS)
    assert (outcome.action, outcome.student, outcome.slug) == ("taken", student, "02_swish")
    assert taken(course) == {(student, "02_swish"): b"{}"}
    assert course.timestamp(student, "02_swish") == datetime(2027, 3, 1, 12).astimezone(UTC)


def test_collect_takes_a_folder_as_well_as_its_zip(course, tmp_path):
    folder = placed(
        tmp_path / "lms", {MOODLE: b"{}", "__MACOSX/._x.ipynb": b"", "Ada Lovelace_41001_x/a.pdf": b""}
    )
    os.utime(folder / MOODLE, (1_800_000_000, 1_800_000_000))
    outcomes = collect(folder, course, slugs=SLUGS)
    assert by_action(outcomes) == {"taken": [""], "refused": ["is no notebook"]}
    assert course.timestamp("Ada_Lovelace", "02_swish") == datetime.fromtimestamp(1_800_000_000, UTC)


def test_collect_takes_the_time_beside_a_notebook_first(course, tmp_path):
    files = {"ada/02_swish/02_swish.ipynb": b"{}", "ada/02_swish/timestamp.txt": b"2027-02-01 08:00:00 UTC\n"}
    assert by_action(collect(placed(tmp_path / "a", files), course, slugs=SLUGS)) == {"taken": [""]}
    assert course.timestamp("ada", "02_swish") == datetime(2027, 2, 1, 8, tzinfo=UTC)


def test_collect_without_file_times_knows_no_time(course, tmp_path):
    files = {"ada/02_swish/02_swish.ipynb": b"{}"}
    collect(placed(tmp_path / "a", files), course, slugs=SLUGS, file_times=False)
    assert course.timestamp("ada", "02_swish") is None


def test_collect_flat_files_need_the_assignment(course, tmp_path):
    folder = placed(tmp_path / "flat", {"ada.ipynb": b"1", "bob.ipynb": b"2", "02_swish.ipynb": b"3"})
    reasons = by_action(collect(folder, course, slugs=SLUGS))["refused"]
    assert reasons.count("names no assignment; say which with --assignment") == 2
    outcomes = collect(folder, course, slugs=SLUGS, assignment="02_swish")
    assert taken(course) == {("ada", "02_swish"): b"1", ("bob", "02_swish"): b"2"}
    assert by_action(outcomes)["refused"] == ["names an assignment and no student"]


def test_collect_pattern_of_the_instructor(course, tmp_path):
    folder = placed(tmp_path / "own", {"2027-03-02-10-30-00/u17-03_gelu.ipynb": b"{}"})
    pattern = compile_pattern(r"(?P<timestamp>[\d-]+)/(?P<student>u\d+)-(?P<file>.+)")
    (outcome,) = collect(folder, course, slugs=SLUGS, pattern=pattern)
    assert (outcome.student, outcome.slug) == ("u17", "03_gelu")
    assert course.timestamp("u17", "03_gelu") == datetime(2027, 3, 2, 10, 30).astimezone(UTC)
    for text, message in (("(", "no regular expression"), ("(?P<who>.*)", "needs the group")):
        with pytest.raises(CourseError, match=message):
            compile_pattern(text)


def test_collect_second_submission_replaces_and_keeps_the_first(course, tmp_path):
    first = zipped(tmp_path / "1.zip", [(MOODLE, b"1")], moment=(2027, 3, 1, 12, 0, 0))
    second = zipped(tmp_path / "2.zip", [(MOODLE, b"2")], moment=(2027, 3, 2, 12, 0, 0))
    collect(first, course, slugs=SLUGS)
    course.verdict("Ada_Lovelace", "02_swish").parent.mkdir(parents=True)
    course.verdict("Ada_Lovelace", "02_swish").write_text("{}")
    (outcome,) = collect(second, course, slugs=SLUGS)
    assert "second submission" in outcome.reason
    assert taken(course) == {("Ada_Lovelace", "02_swish"): b"2"}
    (aside,) = course.earlier("Ada_Lovelace", "02_swish").iterdir()
    assert (aside / "02_swish.ipynb").read_bytes() == b"1"
    assert (aside / "verdict.json").is_file()
    assert by_action(collect(second, course, slugs=SLUGS)) == {"unchanged": ["handed in already"]}
    (outcome,) = collect(first, course, slugs=SLUGS)
    assert outcome.reason.startswith("older than the one of 2027-03-02")
    assert taken(course) == {("Ada_Lovelace", "02_swish"): b"2"}
    assert len(list(course.earlier("Ada_Lovelace", "02_swish").iterdir())) == 1


def test_collect_of_two_in_one_zip_takes_the_newest(course, tmp_path):
    path = tmp_path / "lms.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for day, name in (
            (3, "02_swish.ipynb"),
            (1, "02_swish.ipynb"),
            (9, "notes.ipynb"),
            (5, "02_swish-1.ipynb"),
        ):
            info = zipfile.ZipInfo(f"doeann_5_{day}_{name}", (2027, 3, day, 0, 0, 0))
            archive.writestr(info, str(day))
    outcomes = collect(path, course, slugs=SLUGS, assignment="02_swish")
    assert taken(course) == {("doeann_5", "02_swish"): b"5"}
    assert len(by_action(outcomes)["kept aside"]) == 3
    kept = sorted(path.read_bytes() for path in course.earlier("doeann_5", "02_swish").rglob("*.ipynb"))
    assert kept == [b"1", b"3", b"9"]


def test_collect_tells_two_people_of_one_name_apart(course, tmp_path):
    other = MOODLE.replace("41001", "41002")
    both = zipped(tmp_path / "both.zip", [(MOODLE, b"1"), (other, b"2")])
    assert "two people? use --pattern" in by_action(collect(both, course, slugs=SLUGS))["refused"][0]
    assert not course.submitted.exists()
    collect(zipped(tmp_path / "1.zip", [(MOODLE, b"1")]), course, slugs=SLUGS)
    (outcome,) = collect(zipped(tmp_path / "2.zip", [(other, b"2")]), course, slugs=SLUGS)
    assert outcome.action == "refused"
    assert "has handed in as number 41001, not 41002" in outcome.reason
    assert taken(course) == {("Ada_Lovelace", "02_swish"): b"1"}


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("../../ada/02_swish/02_swish.ipynb", "leads out of the zip"),
        ("/etc/ada/02_swish/02_swish.ipynb", "has an absolute path"),
        ("C:/ada/02_swish/02_swish.ipynb", "has an absolute path"),
        ("ada\\02_swish\\02_swish.ipynb", "has a name that no file here can have"),
        ("..\\02_swish.ipynb", "leads out of the zip"),
        ("-rf/02_swish/02_swish.ipynb", "names no student: a name starts with a letter or a digit"),
        ("a\nb/02_swish/02_swish.ipynb", "names no student: a name has no '\\n'"),
        ("ada\x1b[2J/02_swish/02_swish.ipynb", "names no student"),
        ("\u0430da/02_swish/02_swish.ipynb", "it mixes CYRILLIC and LATIN letters"),
        ("ad\u202ea/02_swish/02_swish.ipynb", "names no student"),
        (f"{'a' * 300}/02_swish/02_swish.ipynb", "at most 64 characters"),
        ("ada/04_mash/04_mash.ipynb", "unknown assignment '04_mash'"),
        ("ada/02_swish/../../x.ipynb", "leads out of the zip"),
    ],
)
def test_collect_refuses_hostile_names(course, tmp_path, place, reason):
    source = zipped(tmp_path / "lms.zip", [(place, b"{}"), ("bob/02_swish/02_swish.ipynb", b"ok")])
    before = set(tmp_path.rglob("*"))
    outcomes = collect(source, course, slugs=SLUGS)
    (bad,) = [outcome for outcome in outcomes if outcome.action == "refused"]
    assert reason in bad.reason
    assert taken(course) == {("bob", "02_swish"): b"ok"}
    new = {path for path in tmp_path.rglob("*") if path not in before}
    assert all(path.is_relative_to(course.folder) for path in new)


def test_collect_never_follows_links(course, tmp_path):
    secret = tmp_path / "secret.ipynb"
    secret.write_text("secret")
    folder = placed(tmp_path / "lms", {"bob/02_swish/02_swish.ipynb": b"ok"})
    (folder / "eve" / "02_swish").mkdir(parents=True)
    (folder / "eve" / "02_swish" / "02_swish.ipynb").symlink_to(secret)
    (folder / "mia").symlink_to(folder / "bob")
    (folder / "pip" / "02_swish").mkdir(parents=True)
    os.mkfifo(folder / "pip" / "02_swish" / "02_swish.ipynb")
    outcomes = {outcome.place: outcome for outcome in collect(folder, course, slugs=SLUGS)}
    assert taken(course) == {("bob", "02_swish"): b"ok"}
    assert outcomes["mia"].reason == "is a symbolic link"
    assert outcomes["pip/02_swish/02_swish.ipynb"].reason == "is no regular file"
    note = course.submission("eve", "02_swish") / "refused.txt"
    assert note.read_text() == "The file 'eve/02_swish/02_swish.ipynb' is a symbolic link.\n"


def test_collect_zip_with_a_link_writes_no_link(course, tmp_path):
    source = zipped(
        tmp_path / "a.zip", [("eve/02_swish/02_swish.ipynb", b"/etc/passwd")], external_attr=0o120777 << 16
    )
    (outcome,) = collect(source, course, slugs=SLUGS)
    assert (outcome.action, outcome.reason) == ("refused", "is a symbolic link")
    assert not any(path.is_symlink() for path in course.folder.rglob("*"))


def test_collect_zip_bomb_stops_at_the_limit(course, tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "LARGEST", 100_000)
    place = "eve/02_swish/02_swish.ipynb"
    honest = zipped(
        tmp_path / "honest.zip", [(place, bytes(5_000_000)), ("bob/02_swish/02_swish.ipynb", b"ok")]
    )
    lying = tmp_path / "lying.zip"
    data = honest.read_bytes()
    lying.write_bytes(data.replace(struct.pack("<I", 5_000_000), struct.pack("<I", 500)))  # both headers
    for path, reason in ((honest, "unpacks to 5 MB"), (lying, "cannot be unpacked")):
        bad = next(outcome for outcome in collect(path, course, slugs=SLUGS) if outcome.action == "refused")
        assert bad.place == place
        assert bad.reason.startswith(reason)
    assert taken(course) == {("bob", "02_swish"): b"ok"}


def test_collect_zip_bomb_of_many_files_has_a_budget(course, tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "TOTAL", 1000)
    files = [(f"s{number}/02_swish/02_swish.ipynb", bytes(600)) for number in range(5)]
    found = by_action(collect(zipped(tmp_path / "a.zip", files), course, slugs=SLUGS))
    assert len(found["taken"]) == 2
    assert len(found["refused"]) == 3
    monkeypatch.setattr(sources, "MOST", 3)
    with pytest.raises(CourseError, match="more than 3 files"):
        collect(tmp_path / "a.zip", course, slugs=SLUGS)


def test_collect_damaged_entry_leaves_the_others(course, tmp_path):
    place = "eve/02_swish/02_swish.ipynb"
    source = zipped(tmp_path / "a.zip", [(place, os.urandom(500)), ("bob/02_swish/02_swish.ipynb", b"ok")])
    data = bytearray(source.read_bytes())
    data[200] ^= 255
    source.write_bytes(data)
    found = by_action(collect(source, course, slugs=SLUGS))
    assert found["taken"] == [""]
    assert found["refused"][0].startswith("cannot be unpacked")


def test_collect_refused_later_leaves_the_earlier_submission(course, tmp_path):
    place = "eve/02_swish/02_swish.ipynb"
    collect(placed(tmp_path / "1", {place: b"good"}), course, slugs=SLUGS)
    second = tmp_path / "2" / "eve" / "02_swish"
    second.mkdir(parents=True)
    (second / "02_swish.ipynb").symlink_to("/etc/passwd")
    (outcome,) = collect(tmp_path / "2", course, slugs=SLUGS)
    assert outcome.reason == "is a symbolic link; the earlier submission stands"
    assert taken(course) == {("eve", "02_swish"): b"good"}


def test_collect_of_two_without_name_or_time_takes_none(course, tmp_path):
    files = {"eve/02_swish/a.ipynb": b"1", "eve/02_swish/b.ipynb": b"2", "bob/02_swish/c.ipynb": b"3"}
    folder = placed(tmp_path / "a", files)
    found = by_action(collect(folder, course, slugs=SLUGS, file_times=False))
    assert found["taken"] == [""]
    assert "neither a name nor a time says which to take: 'a.ipynb', 'b.ipynb'" in found["refused"][0]
    assert taken(course) == {("bob", "02_swish"): b"3"}
    assert "neither a name nor a time" in (course.submission("eve", "02_swish") / "refused.txt").read_text()


def test_collect_notes_who_handed_in_no_notebook(course, tmp_path):
    files = {
        "Ada Lovelace_41001_assignsubmission_file_/swish.pdf": b"",
        "eve/02_swish/answers.docx": b"",
        "bob/02_swish/02_swish.ipynb": b"ok",
        "bob/02_swish/answers.docx": b"",
        "README.txt": b"",
    }
    folder = placed(tmp_path / "a", files)
    (folder / "mia").mkdir()
    (folder / "mia" / "02_swish").symlink_to(folder / "bob" / "02_swish")
    outcomes = {
        outcome.place: outcome for outcome in collect(folder, course, slugs=SLUGS, assignment="02_swish")
    }
    assert taken(course) == {("bob", "02_swish"): b"ok"}
    notes = {path.parts[-3]: path.read_text() for path in course.submitted.rglob("refused.txt")}
    assert set(notes) == {"Ada_Lovelace", "eve", "mia"}
    assert "'mia/02_swish' is a symbolic link" in notes["mia"]
    assert "is no notebook" in notes["eve"]
    assert outcomes["README.txt"].student == ""


def test_collect_case_twins_stay_two_students(course, tmp_path):
    files = {f"{name}/02_swish/02_swish.ipynb": name.encode() for name in ("ann", "Ann", "ANN")}
    collect(placed(tmp_path / "a", files), course, slugs=SLUGS)
    assert taken(course) == {(name, "02_swish"): name.encode() for name in ("ann", "Ann", "ANN")}


def test_collect_of_nothing_says_so(course, tmp_path):
    with pytest.raises(CourseError, match="no folder or zip at"):
        collect(tmp_path / "missing", course, slugs=SLUGS)
    (tmp_path / "a.txt").write_text("hello")
    with pytest.raises(CourseError, match="neither a folder nor a zip"):
        collect(tmp_path / "a.txt", course, slugs=SLUGS)


def test_collect_command_shows_hostile_names_escaped(tmp_path, capsys):
    solutions = placed(tmp_path / "solutions", {"02_swish/02_swish.ipynb": b"{}"})
    source = zipped(
        tmp_path / "a.zip", [("\x1b[2Jx\n/02_swish/02_swish.ipynb", b""), ("bob/02_swish/a.ipynb", b"{}")]
    )
    arguments = ["--course", str(tmp_path / "course"), "--solutions", str(solutions), "collect", str(source)]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "'\\x1b[2Jx\\n/02_swish/02_swish.ipynb'" in out
    assert "1 refused, 1 taken" in out
    assert main([*arguments, "--assignment", "09_x"]) == 2
    assert "unknown assignment '09_x'; choose from ['02_swish']" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name",
    [
        "ada",
        "ada.lovelace@example.org",
        "O'Brien",
        "José Núñez",
        "王伟",
        "सीता",
        "u_1-2+x",
        "Ωμέγα",
    ],
)
def test_refusal_lets_names_of_people_through(name):
    assert refusal(name) == ""


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        ".ssh",
        "-x",
        "a/b",
        "a\\b",
        "a\0",
        "a b ",
        "a..b",
        "a  b",
        "a*",
        "a\tb",
        "ａｄａ",
        "Jose\u0301",
        "\udcff",
    ],
)
def test_refusal_names_a_reason(name):
    assert refusal(name)


def test_escaped_and_shown_leave_no_control_character():
    every = "".join(map(chr, [*range(0x300), 0x2028, 0x202E, 0x200B, 0xFEFF, 0xDCFF, 0xE000]))
    text = escaped(every)
    assert all(char.isprintable() for char in text)
    assert shown("a" * 100).endswith("' (100 characters)")
    out = io.StringIO()
    say("one\ntwo\x1b[31m", file=out)
    assert out.getvalue() == "one\ntwo\\x1b[31m\n"
    assert "\x1b" not in table([("\x1b[31m",)])


def test_read_regular_waits_for_no_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    begin = time.monotonic()
    with pytest.raises(ValueError, match="pipe is no file"):
        read_regular(tmp_path / "pipe", limit=10)
    assert time.monotonic() - begin < 5
    (tmp_path / "long").write_bytes(bytes(11))
    with pytest.raises(ValueError, match="longer than 10 bytes"):
        read_regular(tmp_path / "long", limit=10)


def test_origin_says_where_a_submission_came_from(course, tmp_path):
    collect(zipped(tmp_path / "a.zip", [(MOODLE, b"{}")]), course, slugs=SLUGS)
    origin = json.loads((course.submission("Ada_Lovelace", "02_swish") / "origin.json").read_text())
    assert (origin["place"], origin["number"]) == (MOODLE, "41001")
