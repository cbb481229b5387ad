"""Slides: the rules that make a deck from a chapter, and what a browser shows of all of them."""

import base64
import json
import re
import shutil
import struct
import zlib
from html.parser import HTMLParser
from pathlib import Path

import pytest
import slide_deck
import slide_text
import slides
from docutils import nodes

ROOT = Path(__file__).resolve().parent.parent
# sphinx-external-toc looks at every object of the process, also at the deprecated ones of torch.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.distributed.reduce_op. is deprecated:FutureWarning")


# Sentences and heights


def paragraph(*parts):
    """Return a paragraph of text, with formulas between dollars."""
    made = nodes.paragraph()
    for part in parts:
        for number, piece in enumerate(part.split("$")):
            if piece:
                made += nodes.math(piece, piece) if number % 2 else nodes.Text(piece)
    return made


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("At 0.5 it is 1.2. tanh is odd.", ["At 0.5 it is 1.2.", "tanh is odd."]),
        (
            "See e.g. Fig. 3 of A. Author et al. here. End.",
            ["See e.g. Fig. 3 of A. Author et al. here.", "End."],
        ),
        ("So $f(z)$ is. $g$ is not. Done", ["So f(z) is.", "g is not.", "Done"]),
        ("It ends with $f$. $g$", ["It ends with f.", "g"]),
        ('He said "no." She left.', ['He said "no."', "She left."]),
        ("No end", ["No end"]),
        ("With a gate you have:", ["With a gate you have:"]),
    ],
)
def test_sentences_splits_at_full_stops(text, expected):
    found = slide_text.sentences(paragraph(text))
    assert [sentence.astext().strip() for sentence in found] == expected


def test_sentences_leaves_the_paragraph_as_it_was():
    original = paragraph("One $x$. Two.")
    slide_text.sentences(original)
    assert original.astext() == "One x. Two."


def test_lead_takes_what_fits_before_the_last_sentence():
    long = "This sentence says very little. " * 6
    long = long.replace(". T", ", t").strip()
    assert slide_text.lead(paragraph(f"{long} Turn it. Then:")).astext().strip() == "Turn it. Then:"
    assert slide_text.lead(paragraph(f"{long} {long}")).astext().strip() == long


def test_first_words_adds_to_a_very_short_sentence():
    both = "It does. And here is why."
    assert slide_text.first_words(paragraph(f"{both} No more.")).astext() == both
    first = "The network of this chapter is a stack of layers, no more."
    assert slide_text.first_words(paragraph(f"{first} Why?")).astext() == first


def test_visible_length_counts_symbols_not_tex():
    assert slide_text.visible_length(paragraph(r"a $\bigl(\sigma(\beta z)\bigr)$")) == 2 + len("(s(bz))")


WIDTHS = [(76, "narrow"), (77, "normal"), (94, "normal"), (95, "wide"), (500, "wide")]


@pytest.mark.parametrize(("columns", "name"), WIDTHS)
def test_code_width_by_the_longest_line(columns, name):
    text = f"x\n{'y' * columns}\nz"
    assert slide_text.code_width(nodes.literal_block(text, text))[0] == name


# A small chapter with everything in it


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


HEADER = struct.pack(">IIBBBBB", 600, 300, 8, 0, 0, 0, 0)
ROWS = chunk(b"IDAT", zlib.compress(b"\0" * 601 * 300))
PNG = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", HEADER) + ROWS + chunk(b"IEND", b"")
OPENING = r"""(ch-small)=
# A small chapter

**Is $\beta$ large?**

You will

- see everything once.

You need the [notation](../index.md)."""
FIRST = r"""## The first section

Prose that is only said. A sentence of some length stands in between, and it is about $z$ and no more.
A gate leads to:

$$
f(z) &= z \, \sigma(\beta z) \\
&= z
$$ (eq-small)

Then {eq}`eq-small` and {numref}`fig-small` say it, as {cite:t}`ramachandran2017` do in {ref}`all <ch-small>`.

:::{admonition} Predict
:class: predict
Is $f(-1)$ positive?
:::"""
READING = "You see **the figure**. It is read aloud here."
LISTS = """## Lists and tables

Three things:

- one
- two

| left | right |
|---|---:|
ROWS

:::{admonition} A warning
:class: warning
Mind the gap.
:::

### Below

Text of the subsection. More of it."""
END = """## Summary

- The answer is [no](https://e.example/x).
- It is $z$.

## What we did not show

Much. That is the way of small chapters.

## Exercises

:::{admonition} Exercise 7.1: the *first*
:class: exercise
Do it.
:::

## References

- {cite:t}`ramachandran2017`: not on any slide."""
LONG_CODE = "\n".join(f"line_{n} = {n}" for n in range(14))


def markdown(source):
    return {"cell_type": "markdown", "id": f"m{abs(hash(source)) % 10**9}", "metadata": {}, "source": source}


def code(source, *outputs, **metadata):
    return {
        "cell_type": "code",
        "id": f"c{abs(hash(source)) % 10**9}",
        "metadata": metadata,
        "source": source,
        "execution_count": 1,
        "outputs": list(outputs),
    }


def stream(text):
    return {"output_type": "stream", "name": "stdout", "text": text}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Return the decks of a small book: the page of its chapter, what `build` returned, and its folder."""
    root = tmp_path_factory.mktemp("book")
    (root / "notebooks").mkdir()
    for folder in ("_ext", "_static"):
        shutil.copytree(ROOT / "book" / folder, root / "book" / folder)
    for name in ("_config.yml", "book/references.bib"):
        shutil.copy(ROOT / name, root / name)
    (root / "book" / "references.md").write_text("# References\n\n```{bibliography}\n```\n")
    (root / "index.md").write_text("# Home\n")
    chapters = ["notebooks/07_small", "notebooks/08_other"]
    entries = "".join(f"- file: {chapter}\n" for chapter in [*chapters, "book/references"])
    (root / "_toc.yml").write_text(f"format: jb-book\nroot: index\nchapters:\n{entries}")
    data = {"image/png": base64.b64encode(PNG).decode()}
    picture = {"output_type": "display_data", "metadata": {}, "data": data}
    named = {"caption": "The caption of $f$.", "name": "fig-small"}
    figure = {"figure": named, "image": {"alt": "A grey box."}}
    hidden = {"tags": ["hide-input"]}
    table = "\n".join(f"| row {n} | {n} |" for n in range(20))
    spoken = {"output_type": "execute_result", "metadata": {}, "execution_count": 1}
    computed = "**A computed sentence.** Another that is longer than forty characters. All of it."
    spoken["data"] = {"text/markdown": computed, "text/plain": "x"}
    cells = [
        markdown(OPENING),
        code("import numpy as np"),
        markdown(FIRST),
        code("plot_hidden()", picture, mystnb=figure, **hidden),
        markdown(READING),
        code("quiet = 1"),
        code("print('short')", stream("printed\n")),
        code(LONG_CODE, stream("of long code\n")),
        code("hidden_code()", stream("of hidden code\n"), **hidden),
        code("say()", spoken, **hidden),
        markdown(LISTS.replace("ROWS", table)),
        code("print('x' * 40)", stream("".join(f"{n:4d} line\n" for n in range(40)))),
        code("wide = 1\nprint(wide)", stream("w" * 300 + "\n")),
        markdown("$$\n" + " + ".join(f"x_{{{n}}}" for n in range(60)) + "\n$$"),
        markdown("### Wide\n\n$$\n" + " + ".join(f"y_{{{n}}}" for n in range(20)) + "\n$$"),
        markdown(END),
    ]
    other = [markdown("# Other\n\nQuestion?\n\n## One\n\nWord.")]
    for name, content in (("07_small", cells), ("08_other", other)):
        notebook = {"nbformat": 4, "nbformat_minor": 5, "cells": content}
        notebook["metadata"] = {"language_info": {"name": "python"}}
        (root / "notebooks" / f"{name}.ipynb").write_text(json.dumps(notebook))
    out = root / "_build" / "slides"
    decks, complaints = slides.build(["notebooks/07_small"], root=root, out=out)
    page = (out / "07_small" / "index.html").read_text(encoding="utf-8")
    return {"page": page, "decks": decks, "complaints": complaints, "out": out, "root": root}


def split(page):
    """Return (classes, HTML without the notes, notes) of each slide."""
    found = []
    for classes, body in re.findall(r'<section class="([^"]+)">\n(.*?)\n</section>', page, re.DOTALL):
        seen, _, notes = body.partition('<aside class="notes">')
        found.append((classes.split(), seen, notes))
    return found


def words(html):
    html = re.sub(r'<span class="katex-mathml">.*?</math></span>', "", html)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_build_has_no_complaint_and_reports_its_deck(small):
    assert small["complaints"] == []
    assert "to download" not in small["page"]  # a chapter without an assignment has none to name
    (deck,) = small["decks"]
    assert (deck["name"], deck["title"], deck["label"]) == ("07_small", "A small chapter", "Chapter 7")
    assert deck["count"] == len(split(small["page"]))


def test_title_slide_has_question_and_aims(small):
    classes, seen, notes = split(small["page"])[0]
    assert classes == ["title"]
    assert "see everything once." in words(seen)
    assert "You need" not in seen
    assert "You need" in notes
    assert "import numpy" not in small["page"]


def test_prose_goes_to_the_notes_and_a_lead_stays(small):
    _, seen, notes = split(small["page"])[1]
    assert "A gate leads to:" in words(seen)
    assert "Then (7.1) and Figure 7.1 say it, as Ramachandran" in words(seen)
    assert "[ 2017 ]" in words(seen) or "[2017]" in words(seen)
    assert 'class="eqno">(7.1)' in seen
    assert "Prose that is only said." in notes
    assert "<math" in notes or "$" not in notes
    assert "katex-html" not in notes


def test_links_within_the_book_are_text_and_others_stay(small):
    links = re.findall(r'<a [^>]*href="([^"]*)"', small["page"])
    assert links == ["https://e.example/x"]
    assert "no" in words(small["page"])


def test_formula_keeps_its_full_stop(small):
    (summary,) = [s[1] for s in split(small["page"]) if "<h2>Summary" in s[1]]
    assert re.search(r'<span class="together">.*</span>\.</span>', summary)


def stack_of(*children):
    """Return the slides of a section with these nodes."""
    section = nodes.section("", nodes.title("", "Title"), *children)
    (stack,) = slide_deck.make_deck(nodes.section("", nodes.title("", "Chapter"), section)).stacks
    return stack


def cell_of(source, printed=""):
    """Return a cell as MyST-NB makes it."""
    made = nodes.container(nb_element="cell_code")
    block = nodes.literal_block(source, source, language="python")
    made += nodes.container("", block, nb_element="cell_code_source")
    if printed:
        block = nodes.literal_block(printed, printed, classes=["output"], language="none")
        made += nodes.container("", block, nb_element="cell_code_output")
    return made


def test_one_sentence_or_setup_alone_is_no_slide():
    high = "\n".join(f"print({n})" for n in range(8))
    stack = stack_of(paragraph("Only said."), cell_of(high, high), cell_of("a = 1"), cell_of(high, high))
    assert all(len(slide.items) == 2 for slide in stack)
    assert [len(stack), len(stack[0].notes), len(stack[1].notes)] == [2, 1, 1]


def test_definitions_have_a_slide():
    high = "\n".join(f"print({n})" for n in range(8))
    stack = stack_of(cell_of("def f():\n    return 1"), cell_of(high, high))
    assert [slide.items[0].astext()[:5] for slide in stack] == ["def f", "print"]


def test_what_has_no_rule_goes_to_the_notes():
    (slide,) = stack_of(
        paragraph("Shown."), nodes.topic("", nodes.paragraph("", "Kept.")), nodes.comment("", "gone")
    )
    assert [note.astext() for note in slide.notes] == ["Shown.", "Kept."]


def test_long_list_is_shared_out_evenly():
    items = [nodes.list_item("", paragraph("word " * 40)) for _ in range(4)]
    section = nodes.section("", nodes.title("", "Title"), nodes.enumerated_list("", *items))
    document = nodes.section("", nodes.title("", "Chapter"), section)
    (stack,) = slide_deck.make_deck(document).stacks
    assert [len(slide.items[0].children) for slide in stack] == [2, 2]  # not three and one
    assert [slide.items[0]["start"] for slide in stack] == [1, 3]


def test_predict_and_figure_have_a_slide_each(small):
    found = split(small["page"])
    (predict,) = [s for s in found if "slide-predict" in s[0]]
    assert "positive?" in words(predict[1])
    (figure,) = [s for s in found if "slide-figure" in s[0]]
    assert 'alt="A grey box."' in figure[1]
    assert 'width="600" height="300"' in figure[1]
    assert "Figure 7.1 The caption of" in words(figure[1])
    assert "You see" not in figure[1]
    assert "You see" in figure[2]
    assert "plot_hidden" in figure[2]
    assert (small["out"] / "07_small" / "picture-01.png").read_bytes() == PNG


def test_code_is_shown_if_short_and_its_output_always(small):
    seen = [s[1] for s in split(small["page"])]
    shown = re.sub(r"<[^>]+>", "", "\n".join(seen))
    assert "quiet" in shown  # it stands above the next cell
    for output in ("printed", "of long code", "of hidden code", "A computed sentence.", "All of it."):
        assert output in shown
    for text in ("line_3", "hidden_code", "say()"):
        assert text not in shown
        assert text in re.sub(r"<[^>]+>", "", small["page"])  # in the notes
    assert any("quiet" in s and "printed" in s for s in seen)


def test_long_table_is_split_with_its_head(small):
    tables = [s[1] for s in split(small["page"]) if "<table" in s[1]]
    assert len(tables) == 2
    assert all("<th" in table and "left" in table for table in tables)
    rows = re.findall(r"row (\d+)<", "".join(tables))
    assert rows == [str(n) for n in range(20)]


def test_sections_end_with_exercises_and_no_references(small):
    found = split(small["page"])
    assert "Exercise 7.1: the first" in words(found[-1][1])
    assert "Do it." in found[-1][2]
    assert "Mind the gap." in words(small["page"])
    headings = re.findall(r"<h2>(.*?)</h2>", small["page"])
    assert "Below" in headings
    assert "References" not in headings
    assert headings.index("Summary") < headings.index("What we did not show")
    assert "Much. That is the way of small chapters." in words(small["page"])


def test_build_keeps_the_decks_of_other_chapters_and_lists_all(small):
    slides.build(["notebooks/08_other"], root=small["root"], out=small["out"])
    assert (small["out"] / "07_small" / "index.html").read_text(encoding="utf-8") == small["page"]
    slides.write_index(small["out"])
    listing = (small["out"] / "index.html").read_text(encoding="utf-8")
    assert re.findall(r'href="(\w+/index.html)"', listing) == ["07_small/index.html", "08_other/index.html"]
    assert "Chapter 7: A small chapter" in listing
    assert f"{small['decks'][0]['count']} slides" in listing


# All decks


class Prose(HTMLParser):
    """Text of a page outside of code, formulas, scripts and styles; and addresses that it loads."""

    HIDDEN = frozenset({"pre", "code", "script", "style", "math"})
    VOID = frozenset({"br", "col", "hr", "img", "input", "link", "meta"})

    def __init__(self, html):
        super().__init__()
        self.text, self.loads, self.images, self._open = [], [], [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag not in self.VOID:
            self._open.append((tag, "katex" in (attributes.get("class") or "").split()))
        if tag == "img":
            self.images.append(attributes.get("alt") or "")
        if tag in ("img", "script", "link", "iframe"):
            self.loads.append(attributes.get("src") or attributes.get("href"))

    def handle_endtag(self, tag):
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data):
        if not any(tag in self.HIDDEN or formula for tag, formula in self._open):
            self.text.append(data)


RAW = re.compile(
    r"\{(?:ref|eq|numref|cite:?\w*|doc|term|glue:?\w*|download)\}|:{3,}|`{3}|\$\$|\\\w+\{|^\([\w-]+\)=|:class:|\*\*|\]\(",
    re.MULTILINE,
)


def raw_complaints(html):
    """Return what a page shows of MyST as it was written, images without text, and foreign addresses."""
    prose = Prose(html)
    text = " ".join(prose.text)
    found = [f"raw: {text[max(0, m.start() - 20) : m.end() + 20]}" for m in RAW.finditer(text)]
    found += ["image without alt text" for alt in prose.images if not alt.strip()]
    found += [f"loads {url}" for url in prose.loads if re.match(r"\w+:|//", url) and url != "data:,"]
    return found + ["katex-error" for _ in range(html.count("katex-error"))]


@pytest.mark.parametrize(
    "html",
    [
        "<p>see {ref}`x`</p>",
        "<p>by {cite:t}`x`</p>",
        "<p>:::{admonition} x</p>",
        "<p>$$x</p>",
        "<p>a \\frac{1}{2}</p>",
        "<p>(ch-x)=</p>",
        "<p>**bold</p>",
        "<p>[a](b)</p>",
        '<img src="a.png" alt="">',
        '<script src="https://e.example/a.js"></script>',
        '<link href="//e.example/a.css">',
        '<span class="katex-error">x</span>',
    ],
)
def test_raw_complaints_finds_each(html):
    assert len(raw_complaints(html)) == 1


def test_raw_complaints_accepts_code_and_formulas():
    good = '<pre>x ** 2 $$</pre><span class="katex">\\frac{1}</span>'
    good += '<img src="a.png" alt="a"><link href="data:,">'
    assert raw_complaints(good) == []


@pytest.fixture(scope="module")
def decks(tmp_path_factory):
    """Return the folder of the decks of all chapters, built anew."""
    out = tmp_path_factory.mktemp("slides")
    chapters = [f"notebooks/{path.stem}" for path in sorted((ROOT / "notebooks").glob("*.ipynb"))]
    written, _ = slides.build(chapters, out=out)  # test_site.py wants no complaint about the book
    assert len(written) == len(chapters)
    return out


def test_decks_show_nothing_raw(decks):
    pages = sorted(decks.glob("*/index.html"))
    found = {page.parent.name: raw_complaints(page.read_text(encoding="utf-8")) for page in pages}
    assert len(found) >= 14
    assert {name: complaints for name, complaints in found.items() if complaints} == {}


# Show every slide. Return those that are clipped, those that scroll, and pictures that are missing or tiny.
SHOW_ALL = """
async () => {
  const wait = () => new Promise((done) => setTimeout(done, 0));
  const clipped = [], scrolled = [], pictures = [];
  for (const slide of Reveal.getSlides()) {
    const { h, v } = Reveal.getIndices(slide);
    Reveal.slide(h, v);
    await document.fonts.ready;
    for (let turn = 0; turn < 500 && !slide.dataset.fitted; turn += 1) await wait();
    const name = `${Reveal.getSlidePastCount() + 1} ${slide.className}`;
    const high = slide.scrollHeight - slide.clientHeight, wide = slide.scrollWidth - slide.clientWidth;
    const scrolls = getComputedStyle(slide).overflowY === "auto";
    if ((high > 1 || wide > 1) && !scrolls) clipped.push(`${name}: ${wide} x ${high}`);
    const panes = [...slide.querySelectorAll("pre, .pane")];
    const over = (box) => box.scrollHeight > box.clientHeight + 1 || box.scrollWidth > box.clientWidth + 1;
    const long = panes.filter(over);
    if (scrolls || long.length) scrolled.push(name);
    const reachable = (box) => getComputedStyle(box).overflowX === "auto" && box.tabIndex === 0;
    if (!long.every(reachable)) clipped.push(`${name}: pane`);
    const box = slide.getBoundingClientRect();
    if (Math.abs(box.width - 1280) > 2 || Math.abs(box.height - 720) > 2) clipped.push(`${name}: size`);
    for (const image of slide.querySelectorAll("img")) {
      await image.decode().catch(() => null);
      if (!image.naturalWidth || image.clientHeight < 150) pictures.push(`${name}: ${image.clientHeight}`);
    }
  }
  return { clipped, scrolled, pictures, count: Reveal.getTotalSlides() };
}
"""


def shown(browser, page):
    """Open a deck and show all its slides. Return the report of SHOW_ALL, and requests that left the disk."""
    tab = browser.new_page(viewport={"width": 1280, "height": 720})
    away = []
    tab.on("request", lambda r: r.url.startswith(("file:", "data:")) or away.append(r.url))
    tab.on("requestfailed", lambda r: away.append(f"failed: {r.url}"))
    tab.on("pageerror", lambda error: away.append(f"error: {error}"))
    tab.on("console", lambda message: message.type == "error" and away.append(message.text))
    tab.goto(page.as_uri(), wait_until="load")
    tab.wait_for_function("window.Reveal && Reveal.isReady()")
    report = tab.evaluate(SHOW_ALL)
    tab.close()
    return report, away


def test_small_deck_scrolls_what_is_too_long_and_clips_nothing(browser, small):
    report, away = shown(browser, small["out"] / "07_small" / "index.html")
    assert away == []
    assert report["clipped"] == report["pictures"] == []
    assert report["scrolled"]  # forty lines of output
    assert report["count"] == small["decks"][0]["count"]


def test_wide_formula_gets_smaller_and_not_the_slide(browser, small):
    tab = browser.new_page(viewport={"width": 1280, "height": 720})
    tab.goto((small["out"] / "07_small" / "index.html").as_uri(), wait_until="load")
    tab.wait_for_function("window.Reveal && Reveal.isReady()")
    number = next(n for n, s in enumerate(split(small["page"])) if "<h2>Wide" in s[1])
    tab.evaluate(
        "(n) => { const { h, v } = Reveal.getIndices(Reveal.getSlides()[n]); Reveal.slide(h, v); }", number
    )
    tab.wait_for_function("Reveal.getCurrentSlide().dataset.fitted")
    classes = tab.evaluate("Reveal.getCurrentSlide().className")
    size = tab.evaluate("Reveal.getCurrentSlide().querySelector('div.math').style.fontSize")
    tab.close()
    assert "fit-" not in classes
    assert 0.6 < float(size.removesuffix("em")) < 1


def test_browser_check_finds_clipped_slides_and_foreign_requests(browser, small):
    deck = small["out"] / "broken"
    shutil.copytree(small["out"] / "07_small", deck)
    page = small["page"].replace("</h1>", '</h1><p style="height: 900px; flex: none">tall</p>', 1)
    page = page.replace("</body>", '<img src="http://127.0.0.1:9/x.png" alt="x"></body>')
    page = page.replace("../assets/slides.js", "own.js").replace("picture-01.png", "gone.png")
    script = (slides.ASSETS / "slides.js").read_text(encoding="utf-8")
    (deck / "own.js").write_text(
        script.replace('classList.add("scroll")', "classList.add()"), encoding="utf-8"
    )
    (deck / "index.html").write_text(page, encoding="utf-8")
    try:
        report, away = shown(browser, deck / "index.html")
    finally:
        shutil.rmtree(deck)
    assert any("title" in entry for entry in report["clipped"])
    assert report["pictures"]
    assert "http://127.0.0.1:9/x.png" in away


def test_decks_in_the_browser(browser, decks):
    found, scrolled, count = {}, 0, 0
    for page in sorted(decks.glob("*/index.html")):
        report, away = shown(browser, page)
        scrolled += len(report["scrolled"])
        count += report["count"]
        if complaints := away + report["clipped"] + report["pictures"]:
            found[page.parent.name] = complaints
    assert found == {}
    assert scrolled <= count / 50  # scrolling on a slide is the exception


def test_speaker_notes_open_from_the_disk(browser, small):
    context = browser.new_context()
    tab = context.new_page()
    away = []
    context.on("request", lambda r: r.url.startswith(("file:", "data:", "about:")) or away.append(r.url))
    tab.goto((small["out"] / "07_small" / "index.html").as_uri(), wait_until="load")
    tab.wait_for_function("window.Reveal && Reveal.isReady()")
    tab.evaluate("Reveal.slide(1, 0)")
    with context.expect_page() as opened:
        tab.keyboard.press("s")
    notes = opened.value.locator(".speaker-controls-notes")
    notes.get_by_text("Prose that is only said.").wait_for(timeout=10_000)
    context.close()
    assert away == []
