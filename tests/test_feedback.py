"""Feedback pages: what they say, and that nothing in a submission can act in the browser that opens them."""

import base64
import itertools
import os
import re
import struct
import time
import tracemalloc
import zlib
from html.parser import HTMLParser

import pytest

from selfgated.grading.feedback import Page, Renderer, write, write_batch
from selfgated.grading.feedback import mathml as mathml_module
from selfgated.grading.feedback.markdown import Markdown
from selfgated.grading.feedback.mathml import Formulas
from selfgated.grading.feedback.page import HERE
from selfgated.grading.feedback.png import MAX_PIXELS, SIGNATURE, checked
from selfgated.grading.feedback.text import cut, plain
from selfgated.grading.verdict import Cell, Open, Part, Score, Verdict


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width=3, height=2, *, rows=None, before=b"", depth=8, colour=2, interlace=0):
    """Return base64 of a PNG of one colour, with any `rows` and extra chunks that a test needs."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    rows = zlib.compress((b"\0" + b"\x10\x20\x30" * width) * height) if rows is None else rows
    body = chunk(b"IHDR", header) + before + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return base64.b64encode(SIGNATURE + body).decode()


def text_cell(cell_id, source):
    return Cell(cell_id, "skipped", kind="md", cell_type="markdown", source=source)


def code_cell(cell_id, source, *, kind="answer", outputs=(), status="ok", message=""):
    return Cell(cell_id, status, message, list(outputs), kind, "code", source)


def open_cell(cell_id, source):
    return Cell(cell_id, "skipped", kind="open", cell_type="markdown", source=source)


INTRO = text_cell("intro", "# Assignment 2: `Swish`\n\nThe chapter: [Swish](../../notebooks/02_swish.ipynb).")
LINK = "../../notebooks/02_swish.ipynb#the-slope"
CELLS = (
    INTRO,
    code_cell("setup", "import numpy as np", kind="code"),
    text_cell("p1-text", f"## Problem 1: $f'$\n\nSee [the slope]({LINK}).\n\n$$\n\\frac{{1}}{{2}}\n$$"),
    code_cell("p1", "def f():\n    return 'sigma(z)'", outputs=[{"output_type": "stream", "text": "hi\n"}]),
    Cell("p1-test", "ok", kind="test", source="check.slope(f)", metadata={"nbgrader": {"points": 3}}),
    text_cell("p2-text", "## Problem 2: when?"),
    open_cell("p2", "Where $z<0$, **always**."),
    code_cell("extra-1", "print(1)", kind="extra", status="error", message="It raised NameError."),
)
PARTS = (
    Part("the expression", 2, 0, "at z = 1.5: yours 0.8, right 1.0"),
    Part("its value at 0", 1, 1),
)
CHECK = "you returned sigma(z); the slope also has z sigma'(z)"
MIXED = Verdict(
    "02_swish",
    "ada",
    notes=("The file was called swish.ipynb.",),
    tests=(Score("p1-test", 3, 1, CHECK, PARTS),),
    open=(Open("p2", 4, "Where"),),
    cells=CELLS,
)


class Document(HTMLParser):
    """Elements, text and headings of a page."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.text, self.headings = [], [], []
        self._inside = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self._inside.append(tag)
        if re.fullmatch(r"h\d", tag):
            self.headings.append([int(tag[1]), ""])

    def handle_endtag(self, tag):
        while self._inside and self._inside.pop() != tag:
            pass

    def handle_data(self, data):
        if "style" not in self._inside and "annotation" not in self._inside:
            self.text.append(data)
        if self.headings and any(re.fullmatch(r"h\d", tag) for tag in self._inside):
            self.headings[-1][1] += data

    @property
    def prose(self):
        return re.sub(r"\s+", " ", "".join(self.text))

    def of(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def renderer():
    with Renderer() as made:
        yield made


@pytest.fixture(scope="module")
def formulas():
    with Formulas() as made:
        made.render("1")
        yield made


# What a page says


def test_page_names_points_reasons_and_diagnosis(renderer):
    prose = Document(renderer.page(MIXED)).prose
    for expected in (
        "Assignment 2: Swish",
        "ada (02_swish)",
        "1 of 7 points so far",
        "0 of 1 judged problems are fully right. 1 answer waits for a mark by a person.",
        "The file was called swish.ipynb.",
        "✗lost: the expression 0/2at z = 1.5: yours 0.8, right 1.0",
        "✓right: its value at 0 1/1",
        f"Self-check: {CHECK}",
        "An open answer: not marked yet.",
        "It raised NameError.",
        "always.",
    ):
        assert expected in prose, expected


def test_page_takes_marks_and_comments_of_a_person(renderer):
    marks = {
        "p2": {"score": 3, "comment": "Good, but $z=0$ is *missing*."},
        "p1-test": {"score": 2, "extra": 0.5, "comment": None},
    }
    html = renderer.page(MIXED, marks=marks)
    prose = Document(html).prose
    assert "5.5 of 7 points" in prose
    assert "so far" not in prose
    assert "A person changed this score." in prose
    assert "<em>missing</em>" in html
    assert html.count('href="#p2-comment"') == html.count('id="p2-comment"') == 1


def test_page_keeps_the_judges_score_without_a_mark(renderer):
    prose = Document(renderer.page(MIXED, marks={"p1-test": {"score": None}, "p2": {"score": 0}})).prose
    assert "1 of 7 points" in prose
    assert "A person changed this score." not in prose


def test_page_shows_a_comment_on_an_answer_cell_and_adds_nothing(renderer):
    prose = Document(renderer.page(MIXED, marks={"p1": {"score": 9, "comment": "Nice name."}})).prose
    assert "1 of 7 points so far" in prose
    assert "Nice name." in prose


def test_page_takes_off_the_late_penalty_and_stops_at_zero(renderer):
    prose = Document(renderer.page(MIXED, late=0.25, marks={"p2": {"score": 4}})).prose
    assert "4.75 of 7 points" in prose
    assert "5 points, less 0.25 because it came late." in prose
    assert "0 of 7 points" in Document(renderer.page(MIXED, late=9, marks={"p2": {"score": 1}})).prose


def release():
    """Return the release version, as nbgrader writes it."""
    points = {"p1-test": 3, "p2": 4}
    cells = []
    for cell in CELLS[:-1]:
        answer = cell.kind in ("answer", "open")
        mark = {"grade_id": cell.id, "solution": answer, "grade": cell.id in points, "locked": not answer}
        mark |= {"points": points[cell.id]} if cell.id in points else {}
        source = "raise NotImplementedError" if answer else cell.source
        metadata = {"nbgrader": mark}
        cells.append({"cell_type": cell.cell_type, "id": cell.id, "metadata": metadata, "source": source})
    return {"cells": cells}


def test_page_of_a_rejected_submission_has_reason_and_points(renderer):
    rejected = Verdict("02_swish", "ada", status="rejected", reason="the file is not JSON")
    document = Document(renderer.page(rejected, release()))
    assert "Your submission could not be graded: the file is not JSON." in document.prose
    assert "0 of 7 points" in document.prose
    assert "so far" not in document.prose
    assert "Your notebook" not in document.prose
    assert [a for a in document.of("a") if a["href"].startswith("#")] == []
    assert "could not be graded" in Document(renderer.page(rejected)).prose


def test_page_of_a_failed_grading_gives_no_mark(renderer):
    failed = Verdict("02_swish", "ada", status="error", reason="the judge stopped")
    prose = Document(renderer.page(failed, release())).prose
    assert "no mark" in prose
    assert "not your fault" in prose
    assert "0 of 7" not in prose


def test_page_links_to_the_book_only_when_asked(renderer):
    links = [a["href"] for a in Document(renderer.page(MIXED)).of("a")]
    assert {link for link in links if not link.startswith("#")} == set()
    with Renderer(book="../../site/") as linked:
        links = [a["href"] for a in Document(linked.page(MIXED)).of("a")]
    assert "../../site/notebooks/02_swish.html#the-slope" in links
    assert "../../site/notebooks/02_swish.html" in links


def test_page_links_lead_to_its_own_anchors(renderer):
    document = Document(renderer.page(MIXED, marks={"p2": {"score": 4, "comment": "Yes."}}))
    ids = [a["id"] for _, a in document.elements if "id" in a]
    assert len(ids) == len(set(ids))
    assert {a["href"][1:] for a in document.of("a")} <= set(ids)


def test_page_headings_descend_one_level_at_a_time(renderer):
    wild = open_cell("p2", "##### deep\n\n# high\n\n### between")
    verdict = Verdict("02_swish", "ada", tests=MIXED.tests, open=MIXED.open, cells=(wild, *CELLS[:-2], wild))
    levels = [level for level, _ in Document(renderer.page(verdict)).headings]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert max(after - before for before, after in itertools.pairwise(levels)) == 1


def test_page_sets_formulas_as_mathml(renderer):
    html = renderer.page(MIXED)
    assert html.count("<math ") >= 3
    assert "<mfrac>" in html
    assert "\\frac" not in Document(html).prose


def test_page_gives_each_page_its_own_time_for_formulas(renderer, monkeypatch):
    monkeypatch.setattr(renderer._formulas, "_left", -1.0)
    assert "<msqrt>" in renderer.page(Verdict("02_swish", "ada", cells=(open_cell("p2", "$\\sqrt{17}$"),)))


def test_page_colours_code_and_lets_the_keyboard_reach_it(renderer):
    source = "```python\nreturn 1\n```\n\n```text\nreturn 2\n```\n\n    return 3"
    html = renderer.page(Verdict("02_swish", "ada", cells=(open_cell("p2", source), *CELLS)))
    assert '<span class="k">return</span> <span class="mi">1</span>' in html
    assert "<code>return 2</code>" in html
    assert "<code>return 3" in html
    assert {attributes.get("tabindex") for attributes in Document(html).of("pre")} == {"0"}


def test_page_holds_no_hidden_test(renderer):
    leaked = "check(f)\n### BEGIN HIDDEN TESTS\nassert f(3) == 9\n### END HIDDEN TESTS"
    cells = tuple(code_cell(c.id, leaked, kind="test") if c.kind == "test" else c for c in CELLS)
    html = renderer.page(Verdict("02_swish", "ada", tests=MIXED.tests, cells=cells))
    assert "check" in html
    assert "HIDDEN" not in html
    assert "== 9" not in Document(html).prose


def test_page_has_language_table_heads_and_alternative_texts(renderer):
    picture = {"output_type": "display_data", "data": {"image/png": png(), "text/plain": "<Figure>"}}
    cells = tuple(code_cell(c.id, c.source, outputs=[picture]) if c.id == "p1" else c for c in CELLS)
    document = Document(renderer.page(Verdict("02_swish", "ada", tests=MIXED.tests, cells=cells)))
    assert document.of("html") == [{"lang": "en"}]
    assert {a["scope"] for a in document.of("th")} == {"col", "row"}
    (image,) = document.of("img")
    assert image["alt"] == "Picture made by your code, problem 1, number 1"
    assert (image["width"], image["height"]) == ("3", "2")


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_style_contrast_meets_aa_in_light_dark_and_print():
    style = (HERE / "style.css").read_text()
    blocks = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    themes = [dict(re.findall(r"--([\w-]+): (#\w{6});", block)) for block in blocks]
    assert len(themes) == 3
    for theme in themes:
        pairs = [(ink, paper) for ink in ("text", "muted", "link") for paper in ("page", "panel")]
        pairs += [(state, f"{state}-panel") for state in ("right", "lost", "partly", "waits")]
        pairs += [("text", f"{state}-panel") for state in ("right", "lost", "partly", "waits")]
        pairs += [(state, "page") for state in ("right", "lost")]
        pairs += [(token, "panel") for token in ("keyword", "string", "comment", "number", "name")]
        low = {(a, b): contrast(theme[a], theme[b]) for a, b in pairs if contrast(theme[a], theme[b]) < 4.5}
        assert low == {}


# Text, pictures and formulas of strangers


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b]8;;http://e.example\x07click\x1b]8;;\x07", "click"),
        ("\x1b[2J\x1b[1;31mred\x1b[m", "red"),
        ("\x9b31mred", "red"),
        ("a\x00b\x08c\x7fd\x85e", "abcde"),
        ("one\r\ntwo", "one\ntwo"),
        ("\ud800 \udfff", "\ufffd \ufffd"),
        ("pay\u202eelif", "pay[U+202E]elif"),
        ("a\u200bb\u2066c\U000e0041d", "a[U+200B]b[U+2066]c[U+E0041]d"),
        ("a" + "\u0301" * 50, "a" + "\u0301" * 4),
        ("café \u2212 \u05d0 \u200d", "café \u2212 \u05d0 \u200d"),
        (None, "None"),
    ],
)
def test_plain_shows_what_is_there(raw, shown):
    assert plain(raw) == shown
    assert plain(shown) == shown
    plain(raw).encode("utf-8")


def test_cut_counts_what_is_left_off():
    assert cut("a\nb\nc\n", lines=2) == ("a\nb", "cut here: 2 more lines")
    assert cut("x" * 30_000) == ("x" * 20_000, "cut here: 10,000 more characters")
    assert cut("a\nb", lines=2) == ("a\nb", "")


def test_checked_keeps_the_picture_and_drops_the_rest():
    plain_picture = png()
    with_text = png(before=chunk(b"tEXt", b"Comment\0<script>") + chunk(b"iCCP", b"x"))
    assert with_text != plain_picture
    assert checked(with_text) == (plain_picture, 3, 2)
    assert checked([plain_picture[:10], plain_picture[10:] + "\n"])[0] == plain_picture


SVG = base64.b64encode(b"<svg onload='alert(1)'/>").decode()
TRAILING = base64.b64encode(base64.b64decode(png()) + b"<script>").decode()


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (SVG, "not a PNG"),
        ("!!", "not a PNG"),
        (None, "not a PNG"),
        ([1, 2], "not a PNG"),
        ("A" * 3_100_000, "larger than 2 MB"),
        (png(60_000, 60_000, rows=zlib.compress(b"\0" * 9)), "60000 x 60000"),
        (png(MAX_PIXELS, 1, rows=zlib.compress(b"\0" * 9)), "bytes of rows"),
        (png(rows=b"junk"), "cannot be unpacked"),
        (png(rows=zlib.compress(b"\0" * 9)), "9 of 20 bytes"),
        (png(interlace=1), "of a kind"),
        (png(depth=3), "of a kind"),
        (png(0, 2), "0 x 2"),
        (base64.b64encode(base64.b64decode(png())[:-12]).decode(), "without"),
        (base64.b64encode(base64.b64decode(png()).replace(b"\x02\x08", b"\x02\x10", 1)).decode(), "damaged"),
    ],
)
def test_checked_refuses(data, complaint):
    with pytest.raises(ValueError, match=complaint):
        checked(data)


def test_checked_drops_what_follows_the_end_and_unpacks_no_bomb():
    assert checked(TRAILING)[0] == png()
    bomb = png(3, 2, rows=zlib.compress(b"\0" * 50_000_000))
    tracemalloc.start()
    assert checked(bomb)[1:] == (3, 2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


@pytest.mark.parametrize("tex", ["\\frac{1}{", "\\def\\a{\\a\\a}\\a", "x" * 3000, "\\input{/etc/passwd}"])
def test_formulas_show_as_text_what_katex_rejects(formulas, tex):
    process = formulas._process
    html = formulas.render(tex)
    assert formulas._process is process  # rejected, not waited for
    assert html.startswith('<code class="tex"')
    assert "<math" not in html


@pytest.mark.parametrize(
    "tex",
    [
        "\\text{<script>alert(1)</script>}",
        "\\href{javascript:alert(1)}{x}",
        "\\includegraphics{http://e.example/a.png}",
        "\\htmlStyle{position:fixed}{x}",
        "\\htmlData{a=b}{x}",
        "\\url{javascript:alert(1)}",
        '\\textcolor{red" onclick="alert(1)}{x}',
    ],
)
def test_formulas_let_no_html_through(formulas, tex):
    document = Document(formulas.render(tex))
    known = {"span", "math", "semantics", "mrow", "mtext", "mi", "mo", "mstyle", "annotation", "code"}
    assert {tag for tag, _ in document.elements} <= known
    names = {name for _, attributes in document.elements for name in attributes}
    assert names <= {"class", "xmlns", "encoding", "mathcolor", "title"}


def test_formulas_that_take_too_long_become_text_and_the_next_is_set(tmp_path, monkeypatch):
    server = tmp_path / "server.js"
    server.write_text(
        'const lines = require("node:readline").createInterface({ input: process.stdin });\n'
        'lines.on("line", (line) => { if (line.includes("slow")) for (;;);\n'
        '  if (line.includes("die")) process.exit(1);\n'
        '  process.stdout.write(JSON.stringify({ html: "<math></math>" }) + "\\n"); });\n'
    )
    monkeypatch.setattr(mathml_module, "SERVER", server)
    with Formulas(seconds=0.3) as formulas:
        assert formulas.render("slow").startswith("<code")
        assert formulas.render("x") == "<math></math>"
        assert formulas.render("die").startswith("<code")
        assert formulas.render("y") == "<math></math>"
        monkeypatch.setattr(formulas, "_left", 0.0)
        assert formulas.render("z").startswith("<code")  # this page has used up its time
        assert formulas.render("y") == "<math></math>"
        formulas.new_page()
        assert formulas.render("z") == "<math></math>"


def test_markdown_shows_addresses_of_links(formulas):
    markdown = Markdown(formulas)
    html = markdown.render("[bank](https://e.example/x?a=1&b=2 'title'), <https://f.example>, [up](../x)")
    rel = 'rel="noopener noreferrer nofollow"'
    address = "https://e.example/x?a=1&amp;b=2"
    assert f'bank (<a href="{address}" {rel}>{address}</a>)' in html
    assert f'<a href="https://f.example" {rel}>https://f.example</a>' in html
    assert "up (../x)" in html


@pytest.mark.parametrize(
    "source",
    [
        "[a](javascript:alert(1))",
        "[a](javascript://e.example/%0aalert(1))",
        "[a](JaVaScRiPt:alert(1))",
        "[a](data:text/html,<script>alert(1)</script>)",
        "[a](vbscript:x)",
        "[a](file:///etc/passwd)",
        "<javascript:alert(1)>",
        "[a](//e.example/x)",
        "[a]\n\n[a]: javascript:alert(1)",
        "[a](&#106;avascript:alert(1))",
        '[a](https://e.example"onclick=alert(1))',
        "![a](https://e.example/a.png)",
        "[![a](https://e.example/a.png)](javascript:alert(1))",
        "<img src=https://e.example/a.png onerror=alert(1)>",
        "<a href='javascript:alert(1)'>x</a>",
    ],
)
def test_markdown_makes_no_active_element(formulas, source):
    document = Document(Markdown(formulas, book="site").render(source))
    assert {tag for tag, _ in document.elements} <= {"p", "a", "span"}
    for attributes in document.of("a"):
        assert attributes["href"].startswith("https://e.example")
        assert set(attributes) == {"href", "rel"}
    assert document.of("a") == [] or "onclick" in source


def test_markdown_links_to_chapters_only(formulas):
    markdown = Markdown(formulas, book="../site")
    assert 'href="../site/notebooks/02_swish.html"' in markdown.render("[a](../../notebooks/02_swish.ipynb)")
    for address in (
        "../notebooks/../../x.ipynb",
        "notebooks/02_a.ipynb?x",
        "notebooks/02_a.ipynb#a'b",
    ):
        assert "site" not in markdown.render(f"[a](<{address}>)")


PIECES = ["[", "![[]()", "$", "$$a", "\\begin{align}", "> ", "**a ", "|a", "`a``", "\\", " \n", "\x1b]"]


@pytest.mark.parametrize("piece", PIECES)
def test_markdown_reads_hostile_text_in_time(formulas, piece):
    formulas.new_page()
    start = time.process_time()
    Markdown(formulas).render(piece * 50_000)
    assert time.process_time() - start < 2.0


# A whole page against attacks

WORDS = [
    "<script>document.title = 'pwned'; alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<img src='https://e.example/pixel.png'>",
    "<svg onload=alert(1)><image href='https://e.example/a'/></svg>",
    "</style></title></head><script>alert(1)</script>",
    "<iframe src='https://e.example/'></iframe><object data='https://e.example/'></object>",
    "<link rel=stylesheet href='https://e.example/a.css'><base href='https://e.example/'>",
    "<meta http-equiv=refresh content='0;url=https://e.example/'>",
    "<style>@import 'https://e.example/a.css'; body { background: url(https://e.example/b) }</style>",
    "<form action='https://e.example/'><input autofocus onfocus=alert(1)></form>",
    "<details open ontoggle=alert(1)>x</details>",
    "{{ 7 * 191 }}{% raw %}",
    "<math><maction actiontype='toggle' xlink:href='javascript:alert(1)'>x</maction></math>",
    "\x1b]8;;https://e.example\x07\u202e\ud800",
    '\' onmouseover=\'alert(1)\' " onfocus="alert(1)" autofocus tabindex=1 x="',
]
LINKS = [
    "[a](javascript:alert(1)) <javascript:alert(1)>",
    "[a](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "![a](https://e.example/a.png) ![b](data:image/svg+xml;base64,PHN2Zy8+)",
    "$\\href{javascript:alert(1)}{x}$ $\\includegraphics{https://e.example/a.png}$",
    "$$\\text{</math><script>alert(1)</script>}$$",
    "\\begin{align}<script>alert(1)</script>\\end{align}",
    "```<script>alert(1)</script>\n<script>alert(1)</script>\n```",
]
ATTACK = "\n\n".join(WORDS + LINKS)


def hostile():
    """Return a verdict that is hostile wherever a student's text can reach."""
    data = {
        "text/html": ATTACK,
        "image/svg+xml": WORDS[3],
        "application/javascript": "alert(1)",
        "text/plain": ATTACK,
        "text/markdown": ATTACK,
        "text/latex": LINKS[3],
    }
    outputs = [
        {"output_type": "stream", "name": ATTACK, "text": ATTACK},
        {"output_type": "display_data", "data": data},
        {"output_type": "display_data", "data": {"text/html": ATTACK}},
        {"output_type": "execute_result", "data": {"image/png": SVG}},
        {"output_type": "execute_result", "data": {"image/png": f'{png()}" onload="alert(1)'}},
        {"output_type": "error", "ename": WORDS[0], "evalue": WORDS[1], "traceback": WORDS},
        {"output_type": "error", "ename": WORDS[0], "evalue": WORDS[1], "traceback": None},
        {"output_type": "update_display_data", "data": data},
        {"output_type": "display_data", "data": 3},
        {"output_type": "error", "traceback": 3},
        "stream",
    ]
    cells = [
        INTRO,
        text_cell("p1-text", f"## {WORDS[0]} {LINKS[0]}\n\n{ATTACK}"),
        code_cell("p1", ATTACK, outputs=outputs, status="error", message=ATTACK),
        code_cell("p1-test", ATTACK, kind="test", message=WORDS[1]),
        open_cell("p2", ATTACK),
    ]
    cells += [code_cell(word, word, kind="extra", outputs=outputs) for word in WORDS]
    cells += [Cell(word, "ok", cell_type="markdown", source=word) for word in WORDS]
    cells += [Cell("raw", WORDS[1], cell_type="raw", source=ATTACK, kind=f'"><{WORDS[0]}')]
    return Verdict(
        WORDS[4],
        WORDS[0],
        reason=ATTACK,
        notes=tuple(WORDS),
        tests=(Score("p1-test", 3, 1, ATTACK, (Part(WORDS[1], 3, 1, ATTACK),)),),
        open=(Open("p2", 4, ATTACK),),
        cells=tuple(cells),
    )


ELEMENTS = """
html head meta title style body header main h1 h2 h3 h4 h5 h6 p div span strong em s a ul ol li table thead
tbody
tr th td section details summary pre code img aside hr br blockquote
math semantics annotation mrow mtext mi mn mo mstyle mtable mtr mtd
"""
ATTRIBUTES = """
lang charset http-equiv content name class role scope href id tabindex aria-hidden rel src width height alt
title
xmlns encoding display displaystyle mathvariant stretchy scriptlevel mathcolor columnalign
columnspacing rowspacing
"""


def test_hostile_page_holds_only_known_elements(renderer):
    html = renderer.page(hostile(), marks={"p2": {"score": 1, "comment": ATTACK}})
    document = Document(html)
    assert {tag for tag, _ in document.elements} <= set(ELEMENTS.split())
    assert {name for _, attributes in document.elements for name in attributes} <= set(ATTRIBUTES.split())
    assert len(document.of("style")) == 1
    assert len(document.of("title")) == 1
    assert {a["src"].split(",")[0] for a in document.of("img")} <= {"data:image/png;base64"}
    assert [a["href"] for a in document.of("a") if not a["href"].startswith("#p")] == []
    assert "1337" not in html
    html.encode("utf-8")


def events(browser, path, *, width=1280):
    """Open a page and every part of it. Return its requests and dialogs, its title, and its width."""
    tab = browser.new_page(viewport={"width": width, "height": 900})
    found = []
    tab.on("request", lambda request: found.append(request.url))
    tab.on("dialog", lambda dialog: (found.append("dialog"), dialog.dismiss()))
    tab.on("pageerror", lambda error: found.append(f"error {error}"))
    tab.goto(path.as_uri(), wait_until="load")
    tab.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    tab.mouse.move(200, 300)
    tab.wait_for_timeout(300)
    title, wide = tab.title(), tab.evaluate("document.documentElement.scrollWidth")
    tab.close()
    own = (path.as_uri(), "data:image/png;base64,")
    return [event for event in found if not event.startswith(own)], title, wide


def test_hostile_page_in_the_browser_asks_and_runs_nothing(browser, tmp_path):
    path = write(hostile(), None, tmp_path / "page.html", marks={"p2": {"score": 1, "comment": ATTACK}})
    found, title, wide = events(browser, path, width=390)
    assert found == []
    assert title.startswith("Feedback")
    assert wide == 390


def test_each_lock_holds_without_the_other(browser, tmp_path):
    html = write(hostile(), None, tmp_path / "page.html").read_text(encoding="utf-8")
    policy = re.search(r'<meta http-equiv="Content-Security-Policy"[^>]*>', html)[0]
    unlocked = tmp_path / "escaped-only.html"
    unlocked.write_text(html.replace(policy, ""), encoding="utf-8")
    assert events(browser, unlocked)[0] == []

    raw = "\n".join(word for word in WORDS if "http-equiv=refresh" not in word).replace("\ud800", "")
    inside = tmp_path / "policy-only.html"
    inside.write_text(f"<!doctype html><head>{policy}</head><body>{raw}", encoding="utf-8")
    assert [event for event in events(browser, inside)[0] if event == "dialog"] == []
    open_page = tmp_path / "no-lock.html"
    open_page.write_text(f"<!doctype html><body>{raw}", encoding="utf-8")
    assert "dialog" in events(browser, open_page)[0]  # the attacks are real ones


# Files


def test_write_makes_folders_and_one_whole_file(tmp_path):
    path = write(MIXED, None, tmp_path / "ada" / "02_swish" / "02_swish.html")
    assert [p.name for p in path.parent.iterdir()] == ["02_swish.html"]
    html = path.read_text(encoding="utf-8")
    assert html.rstrip().endswith("</html>")
    assert not re.search(r"<(script|link|iframe)|@import|https?://(?!www\.w3\.org/1998/Math)", html)


def test_write_leaves_the_old_page_when_it_fails(tmp_path, monkeypatch):
    path = tmp_path / "page.html"
    path.write_text("old")

    def full(source, target):
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="no space"):
        write(MIXED, None, path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_write_batch_starts_node_once_and_is_fast(tmp_path, monkeypatch):
    started, popen = [], mathml_module.subprocess.Popen

    def counted(*arguments, **options):
        started.append(arguments)
        return popen(*arguments, **options)

    monkeypatch.setattr(mathml_module.subprocess, "Popen", counted)
    seen = []
    start = time.process_time()
    pages = (Page(MIXED, tmp_path / f"{n}.html", late=n) for n in range(30))
    written = write_batch(pages, progress=seen.append)
    assert time.process_time() - start < 30 * 0.15
    assert written == seen == [tmp_path / f"{n}.html" for n in range(30)]
    assert len(started) == 1
