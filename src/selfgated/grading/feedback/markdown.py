"""Markdown of strangers as HTML: no raw HTML, no picture, no link whose text hides where it leads."""

import re
from html import escape

from markdown_it import MarkdownIt
from mdit_py_plugins.amsmath import amsmath_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from selfgated.grading.feedback.text import cut, plain

CHAPTER = re.compile(r"(?:\./|\.\./)*(?:notebooks/)?(\d\d_\w+)\.(?:ipynb|html)(#[\w-]+)?")
_WEB = re.compile(r"https?://[\w.-]+(?:[:/?#][!-~]*)?")
_PYTHON = PythonLexer(stripnl=False, ensurenl=False)
_SPANS = HtmlFormatter(nowrap=True)
DEEPEST_HEADING = 6


def highlighted(source):
    """Return Python source as HTML, with a span for each token that has a colour.

    Examples
    --------
    >>> highlighted("x < 1")
    '<span class="n">x</span> <span class="o">&lt;</span> <span class="mi">1</span>'
    """
    return highlight(source, _PYTHON, _SPANS).removesuffix("\n")


class Markdown:
    """Turn the Markdown of a notebook into HTML that can do nothing but be read.

    Raw HTML is shown as text, and a picture as its description and address. A link is its text followed by
    the address, which alone can be clicked, and only for http and https. Formulas are MathML.

    Parameters
    ----------
    formulas : Formulas
        The process that sets formulas.
    book : str or None
        Address of the book's site, absolute or relative to the page. Links to chapters lead there; without it
        they are plain text.
    """

    def __init__(self, formulas, *, book=None):
        """Set up the parser and its rules."""
        self._book = book

        def math(tex, options):
            return formulas.render(tex, display=options["display_mode"])

        parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
        dollars = {"allow_labels": False, "double_inline": True, "allow_digits": False}
        parser.use(dollarmath_plugin, **dollars, renderer=math)
        parser.use(amsmath_plugin, renderer=lambda tex: formulas.render(tex, display=True))
        parser.validateLink = lambda address: True  # none becomes a link but through _link_open
        parser.renderer.rules |= {
            "heading_open": self._heading_open,
            "heading_close": self._heading_close,
            "link_open": self._link_open,
            "link_close": self._link_close,
            "image": self._image,
            "fence": self._fence,
            "code_block": self._code_block,
        }
        self._parser = parser

    def render(self, source, *, level=3):
        """Return HTML for Markdown.

        Parameters
        ----------
        source : str
            Markdown of a stranger.
        level : int
            The level of the first heading; later ones keep their distance, and none skips a level.

        Returns
        -------
        str
            HTML.
        """
        text, rest = cut(plain(source))
        try:
            html = self._parser.render(text, {"level": level})
        except (IndexError, RecursionError, ValueError):  # slips of the parser on odd input
            html = f"<pre>{escape(text)}</pre>"
        return html + (f'<p class="cut">{rest}</p>' if rest else "")

    def _heading_open(self, tokens, index, options, env):
        level = int(tokens[index].tag[1])
        base = env.setdefault("base", level)
        env["depth"] = max(0, min(level - base, env.get("depth", -1) + 1))
        return f"<h{min(env['level'] + env['depth'], DEEPEST_HEADING)}>"

    def _heading_close(self, tokens, index, options, env):
        return f"</h{min(env['level'] + env['depth'], DEEPEST_HEADING)}>\n"

    def _link_open(self, tokens, index, options, env):
        href = tokens[index].attrGet("href") or ""
        opened, closed = "", ""
        if chapter := CHAPTER.fullmatch(href):
            if self._book:
                opened = f'<a href="{escape(chapter_address(self._book, *chapter.groups()))}">'
                closed = "</a>"
        elif tokens[index].info != "auto":
            closed = f" ({_address(href)})"
        elif _WEB.fullmatch(href):  # its text is the address itself
            opened, closed = f'<a href="{escape(href)}" rel="{REL}">', "</a>"
        env.setdefault("links", []).append(closed)
        return opened

    def _link_close(self, tokens, index, options, env):
        return env["links"].pop()

    def _image(self, tokens, index, options, env):
        text = f"[picture, not shown: {tokens[index].content} ({tokens[index].attrGet('src')})]"
        return f'<span class="notshown">{escape(text)}</span>'

    def _fence(self, tokens, index, options, env):
        language = tokens[index].info.strip().split(" ")[0].lower()
        content = tokens[index].content.removesuffix("\n")
        shown = highlighted(content) if language in ("python", "py") else escape(content)
        return f'<pre tabindex="0"><code>{shown}</code></pre>\n'

    def _code_block(self, tokens, index, options, env):
        return f'<pre tabindex="0"><code>{escape(tokens[index].content)}</code></pre>\n'


REL = "noopener noreferrer nofollow"


def chapter_address(book, slug, fragment=None):
    """Return the address of a chapter's page in the site at `book`.

    Examples
    --------
    >>> chapter_address("../site/", "02_swish", "#the-slope")
    '../site/notebooks/02_swish.html#the-slope'
    """
    return f"{book.rstrip('/')}/notebooks/{slug}.html{fragment or ''}"


def _address(href):
    shown = escape(href)
    return f'<a href="{shown}" rel="{REL}">{shown}</a>' if _WEB.fullmatch(href) else shown
