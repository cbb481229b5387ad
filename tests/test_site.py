"""The built site: complete, self-contained, and without a broken link, picture or formula.

Every check is a function that returns complaints. Each is shown broken pages (`*_finds_*`), then the book.
"""

import functools
import http.server
import json
import re
import shutil
import threading
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import build_book
import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
# The text inside these is not prose: a `$$` there is meant.
NOT_PROSE = {"script", "style", "code", "pre", "math", "svg", "template"}
RAW_FORMULA = re.compile(r"\$\$|\\\(|\\\[|\\begin\{|\\(?:frac|sigma|Phi|beta)\b")


class Page(HTMLParser):
    """What the checks need of one HTML page."""

    def __init__(self, html):
        super().__init__()
        self.ids, self.links, self.resources, self.images, self.errors = set(), [], [], [], []
        self.formulas = []  # one [text, is rendered] for each element of class "math"
        self.prose = []
        self._open = []  # (tag, classes, index in self.formulas or None)
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        classes = set((attributes.get("class") or "").split())
        self.ids.update(value for key in ("id", "name") if (value := attributes.get(key)))
        if tag == "a" and "href" in attributes:
            self.links.append(attributes["href"])
        if tag == "img":
            self.images.append((attributes.get("src") or "", attributes.get("alt") or ""))
        loads = {"img": "src", "script": "src", "iframe": "src", "source": "src", "link": "href"}
        if value := attributes.get(loads.get(tag)):
            self.resources.append(value)
        if "katex-error" in classes:
            self.errors.append(attributes.get("title") or "katex-error")
        formula = None
        if "math" in classes:
            formula = len(self.formulas)
            self.formulas.append(["", False])
        if "katex" in classes:
            for *_, outer in self._open:
                if outer is not None:
                    self.formulas[outer][1] = True
        if tag not in VOID:
            self._open.append((tag, classes, formula))

    def handle_endtag(self, tag):
        tags = [name for name, *_ in self._open]
        if tag in tags:
            del self._open[len(tags) - 1 - tags[::-1].index(tag) :]

    def handle_data(self, data):
        for *_, formula in self._open:
            if formula is not None:
                self.formulas[formula][0] += data
        if not any(tag in NOT_PROSE or "katex" in classes for tag, classes, _ in self._open):
            self.prose.append(data)


def image_complaints(page):
    """Images without alternative text."""
    return [f"image without alt text: {source}" for source, alt in page.images if not alt.strip()]


def formula_complaints(page):
    """Formulas that KaTeX did not render, or that were never seen as formulas."""
    found = [f"KaTeX error: {error}" for error in page.errors]
    found += [f"unrendered formula: {text.strip()[:80]}" for text, rendered in page.formulas if not rendered]
    prose = " ".join(page.prose)
    found += [
        f"raw formula in the text: ...{prose[max(0, match.start() - 30) : match.end() + 30]}..."
        for match in RAW_FORMULA.finditer(prose)
    ]
    return found


def third_party_complaints(page):
    """Scripts, styles, images and frames from elsewhere. Links that a reader may click are not among them."""
    return [f"loads {url}" for url in page.resources if urlsplit(url).netloc]


def link_complaints(name, pages, files):
    """Internal links and resources of the page `name` that lead nowhere, in a site of `pages` and `files`."""
    found = []
    for url in pages[name].links + pages[name].resources:
        parts = urlsplit(url)
        if parts.scheme or parts.netloc:
            continue
        target = unquote(urlsplit(urljoin(f"/{name}", parts.path)).path).lstrip("/") if parts.path else name
        if target in ("", *(f"{folder}/" for folder in {str(Path(file).parent) for file in files})):
            target += "index.html"
        fragment = unquote(parts.fragment)
        if target not in files:
            found.append(f"broken link: {url}")
        elif fragment and target in pages and fragment not in pages[target].ids:
            found.append(f"missing anchor: {url}")
    return found


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serve a folder and say nothing."""

    def log_message(self, *args):
        pass


def serve(folder):
    """Serve `folder` on a free port of the loopback. Return the server; its `url` ends in a slash."""
    handler = functools.partial(QuietHandler, directory=folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.url = f"http://127.0.0.1:{server.server_port}/"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def stop(server):
    """Stop a server and free its port."""
    server.shutdown()
    server.server_close()


EMPTY_IMAGES = """
async () => {
  await Promise.all([...document.images].map((image) => image.decode().catch(() => null)));
  return [...document.images].filter((image) => image.naturalWidth === 0).map((image) => image.src);
}
"""
BARE_FORMULAS = """
() => [...document.querySelectorAll(".math")]
  .filter((formula) => !formula.querySelector(".katex"))
  .map((formula) => formula.textContent)
"""


def browser_complaints(tab, base, name):
    """Open one page. Return foreign requests, failures, script errors, empty images and bare formulas."""
    found = []

    def on_request(request):
        if not request.url.startswith((base, "data:", "blob:")):
            found.append(f"third-party request: {request.url}")

    def on_response(response):
        if response.status >= 400:
            found.append(f"status {response.status}: {response.url}")

    def on_console(message):
        if message.type == "error":
            found.append(f"console error: {message.text}")

    handlers = {
        "request": on_request,
        "response": on_response,
        "console": on_console,
        "requestfailed": lambda request: found.append(f"request failed: {request.url}"),
        "pageerror": lambda error: found.append(f"page error: {error}"),
    }
    for event, handler in handlers.items():
        tab.on(event, handler)
    tab.goto(urljoin(base, name), wait_until="networkidle")
    found += [f"empty image: {source}" for source in tab.evaluate(EMPTY_IMAGES)]
    found += [f"unrendered formula: {text[:80]}" for text in tab.evaluate(BARE_FORMULAS)]
    for event, handler in handlers.items():
        tab.remove_listener(event, handler)
    return found


@pytest.fixture(scope="session")
def pages(site):
    """Return every page of the site, parsed, by its path."""
    parsed = {
        path.relative_to(site).as_posix(): Page(path.read_text(encoding="utf-8"))
        for path in sorted(site.rglob("*.html"))
        if "_static" not in path.relative_to(site).parts
    }
    assert "index.html" in parsed
    return parsed


@pytest.fixture(scope="session")
def files(site):
    """Return the paths of all files of the site."""
    return {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def base(site):
    """Return the address at which the site is served."""
    server = serve(site)
    yield server.url
    stop(server)


def of_all(check, pages):
    """Return the complaints of `check` about all pages, with the page's path."""
    return [f"{name}: {complaint}" for name, page in pages.items() for complaint in check(page)]


# The checks on broken pages


@pytest.mark.parametrize("tag", ['<img src="a.png">', '<img src="a.png" alt>', '<img src="a.png" alt=" ">'])
def test_image_complaints_finds_missing_alt(tag):
    assert image_complaints(Page(tag)) == ["image without alt text: a.png"]
    assert image_complaints(Page('<img src="a.png" alt="a curve">')) == []


RENDERED = (
    '<span class="math"><span class="katex"><math><annotation>\\sigma</annotation></math></span></span>'
)


@pytest.mark.parametrize(
    ("html", "complaint"),
    [
        ('<p><span class="math notranslate">\\(z\\)</span></p>', "unrendered formula: \\(z\\)"),
        ('<div class="math"><span class="katex-error" title="bad">z</span></div>', "KaTeX error: bad"),
        (f'{RENDERED}<div class="math">x_1</div>', "unrendered formula: x_1"),
        ("<p>so $$z$$ is</p>", "raw formula in the text"),
        ("<p>so \\(z\\) is</p>", "raw formula in the text"),
        ("<td>\\frac{1}{2}</td>", "raw formula in the text"),
        ("<p>\\begin{align}x\\end{align}</p>", "raw formula in the text"),
    ],
)
def test_formula_complaints_finds_unrendered(html, complaint):
    assert any(found.startswith(complaint) for found in formula_complaints(Page(html)))


@pytest.mark.parametrize(
    "html", [RENDERED, "<p><code>$$z$$</code></p>", "<pre>r'\\frac'</pre>", "<p>$5 or $6</p>", "<p>sigma</p>"]
)
def test_formula_complaints_accepts_rendered_and_code(html):
    assert formula_complaints(Page(html)) == []


@pytest.mark.parametrize(
    "html",
    [
        '<script src="https://cdn.example/x.js"></script>',
        '<link rel="stylesheet" href="//fonts.example/x.css">',
        '<img src="http://example.org/a.png" alt="a">',
        '<iframe src="https://example.org/"></iframe>',
    ],
)
def test_third_party_complaints_finds_loads(html):
    assert len(third_party_complaints(Page(html))) == 1
    assert (
        third_party_complaints(Page('<a href="https://example.org">a</a><script src="x.js"></script>')) == []
    )


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("../missing.html", "broken link: ../missing.html"),
        ("b.html#nowhere", "missing anchor: b.html#nowhere"),
        ("#nowhere", "missing anchor: #nowhere"),
        ("index.html", "broken link: index.html"),
    ],
)
def test_link_complaints_finds_broken(url, complaint):
    pages = {
        "sub/a.html": Page(f'<p id="here"></p><a href="{url}">x</a>'),
        "sub/b.html": Page("<p id='there'></p>"),
    }
    assert link_complaints("sub/a.html", pages, {*pages, "index.html"}) == [complaint]


@pytest.mark.parametrize(
    "url", ["b.html#there", "#here", "#", "../index.html", "../", "https://example.org/x", "mailto:a@b.c"]
)
def test_link_complaints_accepts_good(url):
    pages = {
        "sub/a.html": Page(f'<p id="here"></p><a href="{url}">x</a>'),
        "sub/b.html": Page("<p id='there'></p>"),
    }
    assert link_complaints("sub/a.html", pages, {*pages, "index.html"}) == []


def test_browser_complaints_finds_each_failure(tab, tmp_path):
    other = serve(tmp_path)  # another origin, as a third party would be
    (tmp_path / "x.js").write_text("")
    (tmp_path / "broken.html").write_text(
        '<!doctype html><link rel="icon" href="data:,"><img src="gone.png" alt="a"><div class="math">z</div>'
        f'<script src="{other.url}x.js"></script>'
        '<script>console.error("loud"); throw new Error("thrown")</script>'
    )
    (tmp_path / "sound.html").write_text('<!doctype html><link rel="icon" href="data:,"><p>z</p>')
    server = serve(tmp_path)
    try:
        found = browser_complaints(tab, server.url, "broken.html")
        sound = browser_complaints(tab, server.url, "sound.html")
    finally:
        stop(server)
        stop(other)
    expected = [
        f"third-party request: {other.url}x.js",
        f"status 404: {server.url}gone.png",
        "console error: loud",
        "page error: thrown",
        f"empty image: {server.url}gone.png",
        "unrendered formula: z",
    ]
    assert [wanted for wanted in expected if wanted not in found] == []
    assert sound == []


@pytest.fixture
def small_book(tmp_path):
    """Return a folder with the book's configuration and extensions, and no page."""
    (tmp_path / "notebooks").mkdir()
    for folder in ("_ext", "_static"):
        shutil.copytree(ROOT / "book" / folder, tmp_path / "book" / folder)
    for name in ("_config.yml", "book/references.bib"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: index\n")
    return tmp_path


def test_build_fails_on_broken_sources_each_time(small_book):
    text = "# Broken\n\nA formula $\\frac{1}{$ and {ref}`nothing` and {cite:t}`nobody1900`.\n"
    (small_book / "index.md").write_text(text)
    for _ in range(2):  # the second build finds the cached pages of the first
        status, output = build_book.build(small_book)
        assert status != 0
        found = "\n".join(build_book.complaints(output))
        assert r"\frac{1}{" in found
        assert "nothing" in found
        assert "nobody1900" in found


def test_build_numbers_a_chapter_by_its_file_name(small_book):
    dot = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    lines = [
        "# Title",
        "## Section",
        "### Below",
        "$$\nx &= \\E[y] \\\\\n&= z\n$$ (eq-x)",
        "See {eq}`eq-x` and {numref}`fig-x`.",
    ]
    figure = {"figure": {"caption": "The caption.", "name": "fig-x"}, "image": {"alt": "A dot."}}
    output = {"output_type": "display_data", "metadata": {}, "data": {"image/png": dot}}
    cells = [
        {"cell_type": "markdown", "id": "a", "metadata": {}, "source": "\n\n".join(lines)},
        {
            "cell_type": "code",
            "id": "b",
            "execution_count": 1,
            "metadata": {"mystnb": figure},
            "source": "dot",
            "outputs": [output],
        },
    ]
    notebook = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"language_info": {"name": "python"}},
        "cells": cells,
    }
    (small_book / "notebooks" / "07_title.ipynb").write_text(json.dumps(notebook))
    (small_book / "_toc.yml").write_text(
        "format: jb-book\nroot: index\nchapters:\n- file: notebooks/07_title\n"
    )
    (small_book / "index.md").write_text("# Home\n")
    status, output = build_book.build(small_book)
    assert status == 0, output[-2000:]
    page = Page((small_book / "_build" / "html" / "notebooks" / "07_title.html").read_text(encoding="utf-8"))
    prose = re.sub(r"\s+", " ", "".join(page.prose))
    for expected in (
        "7 Title#",
        "7.1 Section# Below#",
        "See (7.1) and Figure 7.1.",
        "Figure 7.1 The caption.",
    ):
        assert expected in prose
    assert [rendered for _, rendered in page.formulas] == [True]
    assert "A dot." in [alt for _, alt in page.images]


# The book


def test_toc_lists_every_chapter():
    listed = set(re.findall(r"^ *- file: (\S+)", (ROOT / "_toc.yml").read_text(), flags=re.MULTILINE))
    assert {f"notebooks/{path.stem}" for path in ROOT.glob("notebooks/*.ipynb")} <= listed


def test_site_has_a_page_for_each_entry(pages):
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    entries = [toc["root"], *(chapter["file"] for part in toc["parts"] for chapter in part["chapters"])]
    assert [entry for entry in entries if f"{entry}.html" not in pages] == []


def test_site_images_have_alt_text(pages):
    assert of_all(image_complaints, pages) == []


def test_site_formulas_are_rendered(pages):
    assert sum(len(page.formulas) for page in pages.values()) > 0
    assert of_all(formula_complaints, pages) == []


def test_site_loads_nothing_from_third_parties(pages):
    assert of_all(third_party_complaints, pages) == []


def test_site_links_lead_somewhere(pages, files):
    found = [f"{name}: {complaint}" for name in pages for complaint in link_complaints(name, pages, files)]
    assert found == []


def test_site_in_the_browser(tab, base, pages):
    found = [f"{name}: {complaint}" for name in pages for complaint in browser_complaints(tab, base, name)]
    assert found == []


def test_search_finds_a_page(tab, base):
    tab.goto(base + "search.html?q=gate", wait_until="networkidle")
    link = tab.locator("#search-results ul.search li a").first
    link.wait_for(timeout=5000)
    assert link.get_attribute("href")


def test_theme_switch_changes_the_page(tab, base):
    tab.goto(base + "index.html")
    seen = set()
    for _ in range(3):
        seen.add(tab.evaluate("document.documentElement.dataset.theme"))
        tab.locator(".theme-switch-button").locator("visible=true").first.click()
    assert seen == {"light", "dark"}
