"""The leak gate: planted secrets are found in every disguise, and what is given away holds none."""

import base64
import gzip
import html
import io
import json
import re
import subprocess
import tarfile
import zipfile

import assignments
import kit
import leaks
import nbformat
import pytest
import text_views

import exercises

ROOT = assignments.ROOT
SOURCES = assignments.sources()
KINDS = {"p1": "solution", "p1-test": "hidden", "p2": "answer"}
HIDDEN = 'assert np.allclose(square(secret_inputs), [2.25, 1524155677489.0]), "wrong at large numbers"'


@pytest.fixture
def gate(demo, store_source, tmp_path):
    """The gate for the made-up assignment, with nothing public."""
    store_source(demo)
    return leaks.Gate(leaks.find_secrets(tmp_path))


def code_cell(notebook, name):
    """The cell of a notebook with this id."""
    (cell,) = (cell for cell in notebook.cells if cell.id == name)
    return cell


def kinds(findings):
    """The kinds that findings name."""
    return {re.match(r"(?:.*: )?(\w+) of ", finding)[1] for finding in findings}


def zipped(content):
    """Bytes of a zip of these files."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return packed.getvalue()


def tarred(data):
    """Bytes of a compressed tar with one file."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        member = tarfile.TarInfo("folder/file.txt")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return packed.getvalue()


def notebook_with(**parts):
    """Text of a notebook of one code cell with these parts replaced."""
    cell = nbformat.v4.new_code_cell("z = 1", id="one")
    cell.update(nbformat.from_dict(parts))
    return nbformat.writes(nbformat.v4.new_notebook(cells=[cell])).encode()


def highlighted(code):
    """HTML as a highlighter writes it: every word in a span of its own, what HTML reserves escaped."""
    spans = re.sub(r"\w+|[^\w\s]", lambda word: f'<span class="n">{html.escape(word[0])}</span>', code)
    return f'<div class="highlight"><pre><span></span>{spans}\n</pre></div>'


RESPACED = HIDDEN.replace(", ", " ,\n      ").replace("(", "( ").replace('"', "'")
REWRITTEN = (
    "if True:\n    # noted\n    assert (np.allclose(\n        (square(secret_inputs)),  # called\n"
    "        [2.25, 1524155677489.0,],\n    )), 'wrong at ' 'large numbers'\n"
)
OUTPUT = {"output_type": "stream", "name": "stdout", "text": [HIDDEN[:30], HIDDEN[30:]]}
ENCODED = base64.b64encode(HIDDEN.encode())
DISGUISES = {
    "text": HIDDEN.encode(),
    "whitespace and quotes": RESPACED.encode(),
    "utf-16": HIDDEN.encode("utf-16"),
    "another layout": REWRITTEN.encode(),
    "a block in a page of Markdown": f"Look:\n\n```python\n{REWRITTEN}```\n".encode(),
    "HTML": f"<p>{html.escape(HIDDEN)}</p>".encode(),
    "highlighted HTML": highlighted(HIDDEN).encode(),
    "highlighted HTML in another layout": f"<p>See here.</p>{highlighted(REWRITTEN)}".encode(),
    "smart quotes": f"<p>{HIDDEN.replace(chr(34), '”')}</p>".encode(),
    "JSON": json.dumps({"deep": [{"text": f"# test\n{HIDDEN}"}]}).encode(),
    "JavaScript": f"Search.setIndex({json.dumps([HIDDEN])})".encode(),
    "JavaScript in escapes": (
        "var x = '" + "".join(f"\\u{ord(char):04x}" for char in HIDDEN) + "';"
    ).encode(),
    "an address": ("data:text/plain," + "".join(f"%{byte:02x}" for byte in HIDDEN.encode())).encode(),
    "a notebook's source": notebook_with(source=HIDDEN),
    "a notebook's output": notebook_with(outputs=[OUTPUT]),
    "a notebook's metadata": notebook_with(metadata={"old": {"source": HIDDEN}}),
    "a notebook's attachment": notebook_with(metadata={"file": ENCODED.decode()}),
    "base64": b"blob = '" + ENCODED + b"'",
    "long base64": base64.b64encode(HIDDEN.encode() * 3),
    "wrapped base64": base64.encodebytes(HIDDEN.encode()),
    "base64 of gzip": base64.b64encode(gzip.compress(HIDDEN.encode())),
    "gzip": gzip.compress(HIDDEN.encode()),
    "tar": tarred(HIDDEN.encode()),
    "a wheel in a kit": zipped({"kit/x.whl": zipped({"x/checks.py": HIDDEN.encode()})}),
    "a notebook in a kit": zipped({"kit/x.ipynb": notebook_with(outputs=[OUTPUT])}),
    "a binary file": b"\x80\x81\xff" + HIDDEN.encode() + b"\xfe",
}


@pytest.mark.parametrize("disguise", DISGUISES)
def test_gate_finds_a_hidden_test_in_disguise(disguise, gate):
    assert kinds(gate.findings(DISGUISES[disguise])) == {"hidden"}


@pytest.mark.parametrize("disguise", DISGUISES)
def test_gate_is_silent_about_the_same_disguise_of_something_else(disguise, demo, tmp_path, store_source):
    other = nbformat.from_dict(demo)
    for cell in other.cells:
        cell.source = cell.source.replace("square", "cube").replace("secret_inputs", "other_inputs")
        cell.source = cell.source.replace("wrong at large numbers", "not right at large numbers")
    store_source(other)
    assert leaks.Gate(leaks.find_secrets(tmp_path)).findings(DISGUISES[disguise]) == []


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("return np.multiply(z, z) + 0.0 * np.zeros_like(z)", "solution"),
        ("return (np.multiply(z, z)  # product\n    + 0.0 * np.zeros_like(z))", "solution"),
        ("# the product of z with itself, with the sign of zero mended", "solution"),
        ("And: a product of two equal\n> signs is positive, and zero stays zero", None),
        (
            "A product of two equal\nsigns is positive, and zero stays zero, so no square is negative!",
            "answer",
        ),
        ("* 1: says that two equal signs give a positive product", "answer"),
        ("- 1: does not forget **the** case", None),
        ("def square(z):\n    # Your answer here.\n    raise NotImplementedError", None),
        ('assert square(2.0) == 4.0, "the square of 2 is 4"', None),
        ("import numpy as np", None),
    ],
)
def test_gate_tells_secrets_of_every_kind_from_the_rest(text, kind, gate):
    assert kinds(gate.findings(text)) == ({kind} if kind else set())


def test_gate_finds_a_short_answer_by_hand(demo, store_source, tmp_path):
    demo.cells[
        3
    ].source = 'def lowest():\n    ### BEGIN SOLUTION\n    return "z + 1/beta"\n    ### END SOLUTION\n'
    store_source(demo)
    gate = leaks.Gate(leaks.find_secrets(tmp_path))
    assert kinds(gate.findings("def lowest():\n    return 'z+1/beta'\n")) == {"solution"}
    assert gate.findings('return "2*z + 1/beta"') == []


def test_gate_finds_a_passage_whose_end_is_missing():
    source = "def f():\n    ### BEGIN SOLUTION\n    return 1\n### BEGIN HIDDEN TESTS\nassert f() == 1"
    assert leaks.regions(source) == [("solution", "    return 1\n"), ("hidden", "assert f() == 1")]
    assert leaks.visible(source) == "def f():\n"


def test_gate_lets_public_texts_pass(demo, store_source, tmp_path):
    store_source(demo)
    secrets = leaks.find_secrets(tmp_path)
    chapter = json.dumps({"cells": [{"source": [REWRITTEN]}]})
    assert leaks.Gate(secrets).findings(HIDDEN) != []
    assert leaks.Gate(secrets, [chapter]).findings(HIDDEN) == []


def test_gate_for_students_forgets_idioms_and_nothing_else(demo, store_source, tmp_path):
    idiom = "rng = np.random.default_rng(seed)"
    hidden = code_cell(demo, "p1-test")
    hidden.source = hidden.source.replace("import numpy as np", f"import numpy as np\n\n{idiom}")
    store_source(demo)
    assert kinds(leaks.student_gate(tmp_path).findings(idiom)) == {"hidden"}
    answer = "return np.multiply(z, z) + 0"
    demo.cells[1].source += f"\n# {idiom}\n# {answer}"
    demo.cells[3].source = f"def square(z):\n    ### BEGIN SOLUTION\n    {answer}\n    ### END SOLUTION"
    store_source(demo)
    gate = leaks.student_gate(tmp_path)
    assert gate.findings(idiom) == []  # a hidden test may use what its assignment shows
    assert kinds(gate.findings(answer)) == {"solution"}  # but no assignment may show its solution
    demo.cells[1].source = "import numpy as np"
    store_source(demo)
    other = nbformat.from_dict(demo)
    other.cells = [code_cell(other, "setup")]
    other.cells[0].source = f"{idiom}\n{HIDDEN}"
    store_source(other, "01_other")
    gate = leaks.student_gate(tmp_path)
    assert gate.findings(idiom) == []
    assert kinds(gate.findings(HIDDEN)) == {"hidden"}  # long: no idiom, but a leak into that assignment


def test_gate_for_readers_passes_solutions_and_stops_hidden_tests(demo, store_source, tmp_path):
    path = store_source(demo)
    gate = leaks.reader_gate(tmp_path)
    assert kinds(gate.findings(path.read_bytes())) == {"hidden"}
    answer = next(cell.source for cell in demo.cells if cell.id == "p1")
    assert gate.findings(answer) == []


def test_findings_below_names_the_files(gate, tmp_path):
    (tmp_path / "out" / "deep").mkdir(parents=True)
    for name in ("a.txt", "deep/b.txt"):
        (tmp_path / "out" / name).write_text(HIDDEN)
    (tmp_path / "out" / "c.txt").write_text("nothing")
    found = gate.findings_below(tmp_path / "out")
    assert [finding.split(": hidden of 00_demo, cell 'p1-test': ")[0] for finding in found] == [
        "a.txt",
        "deep/b.txt",
    ]


def test_release_of_the_made_up_assignment_is_clean_and_its_source_is_not(demo, store_source, tmp_path, gate):
    source = store_source(demo)
    assert {(item.cell, item.kind) for item in leaks.find_secrets(tmp_path)} == set(KINDS.items())
    assert kinds(gate.findings(source.read_bytes())) == set(KINDS.values())
    (notebook,) = exercises.release({"00_demo": source}).values()
    assert gate.findings(nbformat.writes(notebook)) == []


def test_kit_with_a_leak_is_not_written(demo, store_source, tmp_path, monkeypatch):
    source = store_source(demo)
    (notebook,) = exercises.release({"00_demo": source}).values()
    notebook.cells[-1].metadata["solution"] = demo.cells[3].source
    assignments.write(exercises.target(tmp_path, "00_demo"), nbformat.writes(notebook))
    for name in ("LICENSE", "requirements.txt"):
        (tmp_path / name).write_text("numpy==2.4.6\n")
    wheel = tmp_path / "selfgated-0-py3-none-any.whl"
    wheel.write_bytes(zipped({"selfgated/__init__.py": b""}))
    monkeypatch.setattr(kit, "build_wheel", lambda folder, root: wheel)
    with pytest.raises(SystemExit, match=r"kit of 00_demo[\s\S]*solution of 00_demo, cell 'p1'"):
        kit.make_kits(folder=tmp_path / "kits", root=tmp_path)
    assert list((tmp_path / "kits").glob("*")) == []


# The course


@pytest.fixture(scope="module")
def student_gate():
    """The gate for what students get."""
    return leaks.student_gate()


@pytest.fixture(scope="module")
def kits(tmp_path_factory):
    """A folder with every kit, unpacked."""
    folder = tmp_path_factory.mktemp("kits")
    try:
        packed_kits = kit.make_kits(folder=folder / "zips")
    except SystemExit as refused:
        pytest.fail(str(refused), pytrace=False)
    for packed in packed_kits:
        with zipfile.ZipFile(packed) as archive:
            archive.extractall(folder / "open")
    return folder / "open"


@pytest.mark.parametrize("name", SOURCES)
def test_gate_knows_every_secret_of(name, student_gate):
    secrets = [secret for secret in leaks.find_secrets() if secret.assignment == name]
    assert {secret.kind for secret in secrets} == {"hidden", "solution", "answer"}
    found = student_gate.findings(SOURCES[name].read_bytes())
    unseen = [
        secret
        for secret in secrets
        if not any(item.startswith(f"{secret.kind} of {name}, cell {secret.cell!r}") for item in found)
    ]
    assert unseen == []


def test_exercises_hold_no_secret(student_gate):
    assert {path.name for path in (ROOT / "exercises").iterdir()} == set(SOURCES)
    assert student_gate.findings_below(ROOT / "exercises") == []


def test_kits_hold_no_secret(student_gate, kits):
    assert {path.name for path in kits.iterdir()} == set(SOURCES)
    assert student_gate.findings_below(kits) == []


def test_kits_hold_no_grading_and_no_source(kits):
    for wheel in kits.glob("*/*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()
        assert "selfgated/checks/__init__.py" in names
        assert [name for name in names if "grading" in name or name.endswith((".ipynb", ".pyc"))] == []


def test_site_holds_no_hidden_test(site):
    gate = leaks.reader_gate()
    assert {secret.assignment for secret in gate.secret_of.values()} == set(SOURCES)
    assert gate.findings_below(site) == []


def test_site_holds_no_marker(site):
    found = [
        path.relative_to(site).as_posix()
        for path in site.rglob("*")
        if path.is_file()
        and any(marks(text) for text in text_views.views(path.read_bytes()))
        and path.stem != "instructors"
    ]
    assert found == []


def marks(text):
    """Whether a text holds a marker of a hidden test or of a solution."""
    return re.search(r"#\s*(?:BEGIN|END)\s+(?:HIDDEN|SOLUTION|MARK)", text) is not None


def test_search_index_knows_no_word_of_a_hidden_test(site):
    from sphinx.search.en import SearchEnglish

    language = SearchEnglish({})

    def stems(texts):
        words = {word.lower() for text in texts for word in re.findall(r"\w+", text)}
        return {language.stem(word) for word in words}

    index = (site / "searchindex.js").read_text(encoding="utf-8")
    terms = set(json.loads(index[index.index("{") : index.rindex("}") + 1])["terms"])
    assert {"swish", "sigmoid"} <= terms
    public = [text for data in leaks.public_texts() for text in text_views.views(data)]
    hidden = [secret.text for secret in leaks.find_secrets() if secret.kind == "hidden"]
    rare = stems(hidden) - stems([*public, *leaks.shown_to_readers()])
    assert len(rare) > len(SOURCES)
    assert terms & {word for word in rare if len(word) > 4 and not word.isdigit()} == set()


def test_every_exercise_in_git_has_a_source():
    assert exercises.strangers() == []


def test_markers_stand_where_they_belong_and_nowhere_else():
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    marker = re.compile(rb'^[\s"]*#+ ?BEGIN (?:HIDDEN|SOLUTION)', re.MULTILINE)
    paths = [ROOT / name for name in listed.split("\0") if name]
    found = {path.relative_to(ROOT) for path in paths if path.is_file() and marker.search(path.read_bytes())}
    tops = {path.parts[0] for path in found}
    assert "solutions" in tops
    assert tops <= {"solutions", "tests", "tools", "src"}
    assert [
        path for path in found if path.parts[:2] == ("src", "selfgated") and path.parts[2] != "grading"
    ] == []
