"""Write slides of each chapter from its notebook: ``python tools/slides.py [NOTEBOOK ...]``.

Sphinx reads the book as for the site, so that a reference, a citation, a figure's number and a formula on a
slide are what they are on the page. The rules of what becomes a slide are in ``slide_deck.py``; the deck is
reveal.js with a template of our own, in ``_build/slides``. nbconvert's slides are not used: they know nothing
of MyST (roles, directives and labels would stand there raw), need slide metadata in every cell, and ask a
third party for reveal.js, MathJax and fonts.
"""

import argparse
import re
import shutil
import struct
import sys
import tempfile
import time
from html import escape
from io import StringIO
from pathlib import Path

from assignment_pages import write_pages
from docutils import nodes
from jinja2 import Environment, StrictUndefined
from jupyter_book.config import get_final_config
from markupsafe import Markup
from pygments.formatters import HtmlFormatter
from slide_deck import make_deck
from slide_text import code_width
from sphinx.application import Sphinx
from sphinx.builders.html import StandaloneHTMLBuilder
from sphinx.util.docutils import docutils_namespace, patch_docutils

from notebooks import chosen_notebooks

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "_build" / "slides"
ASSETS = Path(__file__).with_suffix("")
CHAPTER = re.compile(r"\d\d_\w+|primer")
PUNCTUATION = re.compile(r"[.,;:!?)]+")
MATHML = re.compile(r"<math.*?</math>", re.DOTALL)
PICTURES = ("image/png", "image/jpeg", "text/markdown", "text/latex", "text/plain")


class SlidesBuilder(StandaloneHTMLBuilder):
    """A Sphinx builder that writes a deck for each chapter."""

    name = "slides"
    search = False
    allow_parallel = False

    def get_outdated_docs(self):
        """Every chapter that was asked for."""
        return self.config.slides_chapters

    def prepare_writing(self, docnames):
        """Read the templates; nothing of the site's theme is needed."""
        super().prepare_writing(set())
        environment = Environment(
            autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        self.template = environment.from_string((ASSETS / "deck.html").read_text(encoding="utf-8"))
        self.decks = []

    def write(self, build_docnames, updated_docnames, method="update"):
        """Write the chapters that were asked for, not all that was read."""
        super().write(self.config.slides_chapters, [], "specific")

    def write_doc(self, docname, doctree):
        """Write one deck."""
        if docname not in self.config.slides_chapters:  # Sphinx adds pages that list others
            return
        self.current_docname, doctree.settings = docname, self.docsettings
        self.fignumbers = self.env.toc_fignumbers.get(docname, {})
        self.secnumbers = {}
        folder = Path(self.outdir) / docname.rpartition("/")[2]
        folder.mkdir(parents=True)
        number = (self.env.titles[docname].get("secnumber") or ("",))[0]
        page = DeckPage(self, doctree, folder).render(
            label=f"Chapter {number}" if number else "Before you start"
        )
        (folder / "index.html").write_text(page.pop("html"), encoding="utf-8")
        self.decks.append({"name": folder.name, **page})

    def finish(self):
        """Sphinx's own pages, index and search are not written."""

    def copy_assets(self):
        """Nor are the theme's files copied."""

    def write_genindex(self):
        """There is no index."""


class DeckPage:
    """The HTML of one deck."""

    def __init__(self, builder, document, folder):
        self.builder = builder
        self.document = document
        self.folder = folder
        self.pictures = 0

    def render(self, *, label):
        """Return the page, its title and the number of its slides."""
        for reference in list(self.document.findall(nodes.reference)):
            if reference.get("internal") or "refuri" not in reference:
                reference.replace_self(reference.children)
        deck = make_deck(self.document)
        stacks = [[self._slide(slide) for slide in stack] for stack in deck.stacks]
        entries = list(deck.course.findall(nodes.list_item)) if deck.course else []
        course = entries[0].next_node(nodes.paragraph) if len(entries) > 1 else None
        title = deck.title.astext()
        html = self.builder.template.render(
            title=title,
            label=label,
            heading=self._inline(deck.title),
            opening=self._html(deck.opening),
            notes=self._notes(deck.notes),
            stacks=stacks,
            exercises=[self._inline(exercise.next_node(nodes.title)) for exercise in deck.exercises],
            exercise_notes=self._notes(deck.exercises),
            course=self._inline(course) if course else "",
        )
        count = sum(map(len, stacks)) + 2
        return {"html": html, "title": title, "label": label, "count": count}

    def _slide(self, slide):
        classes = [f"slide-{slide.kind}"]
        if slide.bare and len(slide.items) == 1:
            classes.append("statement")
        return {
            "classes": " ".join(classes),
            "heading": self._inline(slide.heading),
            "body": self._html(slide.items),
            "notes": self._notes(slide.notes),
        }

    def _inline(self, node):
        return Markup("".join(self._walk(child) for child in node.children))

    def _html(self, items):
        return Markup("\n".join(self._block(item) for item in items))

    def _notes(self, items):
        """Return notes; reveal.js shows them in a window without our styles, so formulas are MathML alone."""
        return Markup("\n".join(self._walk(item, mathml=True) for item in items))

    def _block(self, node):
        keep_together(node)
        for image in list(node.findall(nodes.image)):
            image.replace_self(nodes.raw("", self._picture(image), format="html"))
        html = self._walk(node)
        if isinstance(node, nodes.literal_block):
            classes = "printed" if "output" in node["classes"] else "code"
            return f'<div class="highlight {classes} {code_width(node)[0]}">{_pre(html)}</div>'
        if isinstance(node, nodes.table):
            return f'<div class="pane">{html}</div>'
        return html

    def _picture(self, image):
        """Copy a picture beside the deck and return its element."""
        source = (Path(self.builder.srcdir) / image["uri"]).resolve()
        self.pictures += 1
        name = f"picture-{self.pictures:02d}{source.suffix}"
        shutil.copyfile(source, self.folder / name)
        size = ""
        if source.suffix == ".png":
            width, height = struct.unpack(">II", source.read_bytes()[16:24])
            size = f' width="{width}" height="{height}"'
        return f'<img src="{name}" alt="{escape(image.get("alt", ""))}"{size}>'

    def _walk(self, node, *, mathml=False):
        translator = self.builder.create_translator(self.document, self.builder)
        if mathml:
            translator.visit_math = lambda inner: self._mathml(translator, inner, display=False)
            translator.visit_math_block = lambda inner: self._mathml(translator, inner, display=True)
        if node.parent is None:
            nodes.container("", node)  # translators look at the parent
        node.walkabout(translator)
        return "".join(translator.body)

    def _mathml(self, translator, node, *, display):
        html = self.builder.katex.render(node.astext(), display=display)
        translator.body.append(MATHML.search(html)[0])
        raise nodes.SkipNode


def keep_together(node):
    """Let no full stop or comma after a short formula begin a line."""
    for math in list(node.findall(nodes.math)):
        following = math.next_node(siblings=True, descend=False)
        mark = PUNCTUATION.match(following.astext()) if isinstance(following, nodes.Text) else None
        if mark and len(math.astext()) <= 60:
            math.parent.replace(following, nodes.Text(following.astext()[mark.end() :]))
            unit = nodes.inline(classes=["together"])
            math.replace_self(unit)
            unit += [math, nodes.Text(mark[0])]


def _pre(html):
    return html[html.index("<pre") : html.rindex("</pre>") + len("</pre>")]


def setup(app):
    """Make the builder known to Sphinx."""
    app.add_config_value("slides_chapters", [], "")
    app.add_builder(SlidesBuilder)


def build(chapters, *, root=ROOT, out=OUT):
    """Write decks.

    Parameters
    ----------
    chapters : list of str
        Names of Sphinx documents: ``notebooks/02_swish``.
    root : Path
        The book: ``_config.yml``, ``_toc.yml`` and all that they name.
    out : Path
        Folder of the decks. Decks of other chapters stay.

    Returns
    -------
    tuple of (list of dict, list of str)
        Name, title and number of slides of each deck; what Sphinx complained about.
    """
    write_pages(root)
    toc = str(root / "_toc.yml")
    settings = {"external_toc_path": toc, "latex_individualpages": False}
    config, _ = get_final_config(user_yaml=root / "_config.yml", sourcedir=root, cli_config=settings)
    config |= {
        "html_permalinks": False,
        "nb_mime_priority_overrides": [("slides", mime, rank) for rank, mime in enumerate(PICTURES)],
        "slides_chapters": chapters,
        "extensions": [*config["extensions"], "slides"],
    }
    complaints = StringIO()
    with tempfile.TemporaryDirectory() as scratch:
        with patch_docutils(None), docutils_namespace():
            decks, images = Path(scratch) / "decks", Path(scratch) / "doctrees"
            app = Sphinx(
                root, None, decks, images, "slides", confoverrides=config, status=None, warning=complaints
            )
            # Not app.build(): extensions would then copy scripts for a site into the folder.
            app.builder.build_update()
            if hasattr(app.builder, "katex"):  # started with the first formula
                app.builder.katex.close()
        copy_assets(decks)
        for folder in decks.iterdir():
            if (folder / "index.html").is_file() or folder.name == "assets":
                shutil.rmtree(out / folder.name, ignore_errors=True)
                shutil.copytree(folder, out / folder.name)
    return app.builder.decks, complaints.getvalue().splitlines()


def copy_assets(out):
    """Copy what all decks share: reveal.js, KaTeX's style and fonts, our own style and script."""
    katex = ROOT / "book" / "_static" / "katex"
    shutil.copytree(ASSETS / "reveal", out / "assets" / "reveal")
    shutil.copytree(katex, out / "assets" / "katex", ignore=shutil.ignore_patterns("*.js", "README.md"))
    for name in ("slides.css", "slides.js"):
        shutil.copyfile(ASSETS / name, out / "assets" / name)
    style = HtmlFormatter(style="a11y-high-contrast-light").get_style_defs(".highlight")
    (out / "assets" / "code.css").write_text(style, encoding="utf-8")


def write_index(out):
    """Write the list of all decks in `out`, from the decks themselves."""
    decks = []
    for page in sorted(out.glob("*/index.html")):
        html = page.read_text(encoding="utf-8")
        title = re.search(r"<title>(.*?): slides</title>", html)[1]
        label = re.search(r'<p class="chapter">(.*?)</p>', html)[1]
        count = len(re.findall(r"<h[12]>", html))
        decks.append({"name": page.parent.name, "title": Markup(title), "label": label, "count": count})
    decks.sort(key=lambda deck: (not deck["name"].startswith("primer"), deck["name"]))
    template = Environment(autoescape=True, undefined=StrictUndefined).from_string(
        (ASSETS / "index.html").read_text(encoding="utf-8")
    )
    (out / "index.html").write_text(template.render(decks=decks), encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "notebooks", nargs="*", metavar="NOTEBOOK", help="notebooks/02_swish.ipynb; default: all"
    )
    start = time.monotonic()
    paths = [path for path in chosen_notebooks(parser.parse_args().notebooks) if CHAPTER.fullmatch(path.stem)]
    chapters = [f"notebooks/{path.stem}" for path in paths if path.parent.name == "notebooks"]
    decks, complaints = build(chapters)
    write_index(OUT)
    for line in complaints:
        print(line, file=sys.stderr)
    slides = sum(deck["count"] for deck in decks)
    seconds = time.monotonic() - start
    print(f"{len(decks)} decks, {slides} slides in {seconds:.1f} s: {(OUT / 'index.html').relative_to(ROOT)}")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
