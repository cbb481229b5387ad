"""IPython without a terminal: runs cells, and keeps what they show as text and PNG."""

import base64
import contextlib
import io
import sys

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from traitlets import Type
from traitlets.config import Config

from .imports import Guard

KEPT = 200_000  # bytes of output that a submission may show
PRINTED = 20_000_000  # characters that one request may print before it is stopped
FORMATS = ("text/plain", "image/png")


class TooMuchOutput(RuntimeError):
    """A cell printed without end."""


class Outputs:
    """Outputs of one cell, as in nbformat, cut at what is left of the limit."""

    def __init__(self, room):
        """Take as much as `room` bytes."""
        self.entries, self.room, self.cut = [], room, False

    def text(self, name, text):
        """Add to the stream `name`."""
        kept = self._fit(text)
        if not kept:
            return
        last = self.entries[-1] if self.entries else {}
        if last.get("name") == name:
            last["text"].append(kept)
        else:
            self.entries.append({"output_type": "stream", "name": name, "text": [kept]})

    def data(self, data, kind="display_data"):
        """Add a rich output."""
        kept = {form: self._fit(data[form]) for form in FORMATS if isinstance(data.get(form), str)}
        if kept := {
            form: text for form, text in kept.items() if text and (form != "image/png" or text == data[form])
        }:
            self.entries.append({"output_type": kind, "data": kept})

    def error(self, name, message, lines):
        """Add an exception."""
        self.entries.append(
            {
                "output_type": "error",
                "ename": name[:200],
                "evalue": message[:2000],
                "traceback": [self._fit("\n".join(lines))],
            }
        )

    def plain(self):
        """Return the outputs with their texts joined."""
        if self.cut:
            self.entries.append(
                {"output_type": "stream", "name": "stderr", "text": ["[the rest of the output was cut]\n"]}
            )
        return [
            entry | {"text": "".join(entry["text"])} if "text" in entry else entry for entry in self.entries
        ]

    def _fit(self, text):
        kept = text[: max(self.room, 0)]
        self.cut = self.cut or len(kept) < len(text)
        self.room -= len(kept)
        return kept


class Stream(io.TextIOBase):
    """`sys.stdout` or `sys.stderr` of a cell."""

    encoding, errors = "utf-8", "replace"

    def __init__(self, name, outputs):
        """Write to `outputs` under the name `stdout` or `stderr`."""
        self.stream, self.outputs, self.printed = name, outputs, 0

    def writable(self):
        """Yes."""
        return True

    def write(self, text):
        """Keep what fits; stop a cell that prints without end."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        self.outputs.text(self.stream, text)
        self.printed += len(text)
        if self.printed > PRINTED:
            raise TooMuchOutput(f"the cell printed more than {PRINTED // 10**6} million characters")
        return len(text)


class _Hook(DisplayHook):
    def write_output_prompt(self):
        """Write none."""

    def write_format_data(self, data, md_dict=None):
        """Keep the value of the last line."""
        self.shell.outputs.data(data, "execute_result")


class _Publisher(DisplayPublisher):
    def publish(self, data, *_args, **_kwargs):
        """Keep what a cell displays."""
        self.shell.outputs.data(data)

    def clear_output(self, wait=False):
        """Forget what the cell displayed."""
        self.shell.outputs.entries.clear()


class Shell(InteractiveShell):
    """An IPython shell that shows nothing and keeps nothing on disk."""

    displayhook_class = Type(_Hook)
    display_pub_class = Type(_Publisher)
    outputs = Outputs(0)

    def _showtraceback(self, etype, evalue, stb):
        self.outputs.error(etype.__name__, describe(evalue), self.InteractiveTB.stb2text(stb).split("\n"))

    def init_history(self):
        """Keep the history in memory, whatever the configuration says."""
        self.config.HistoryManager.enabled = False
        super().init_history()


def make(allowed, hidden):
    """Start the shell.

    Parameters
    ----------
    allowed, hidden : list of str
        See `imports.Guard`.
    """
    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    config.InteractiveShell.autocall = 0
    config.Completer.use_jedi = False
    shell = Shell.instance(config=config)
    shell.display_formatter.active_types = list(FORMATS)
    shell.ast_transformers.append(Guard(allowed, hidden))
    return shell


def describe(error):
    """Text of an exception, at most 500 characters, whatever its `__str__` does."""
    try:
        return str(error)[:500]
    except BaseException:
        return ""


@contextlib.contextmanager
def streams(outputs):
    """Send what is printed to `outputs`."""
    kept = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = Stream("stdout", outputs), Stream("stderr", outputs)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = kept


def run_cell(shell, code, room):
    """Run one cell.

    Returns
    -------
    (dict or None, list of dict)
        What it raised, as `failure` says it, and its outputs.
    """
    shell.outputs = outputs = Outputs(room)
    error = None
    with streams(outputs):
        try:
            result = shell.run_cell(code, store_history=True)
            error = result.error_before_exec or result.error_in_exec
            figures(outputs)
        except BaseException as raised:  # a cell that replaced parts of IPython
            error = raised
    return None if error is None else failure(error), outputs.plain()


def figures(outputs):
    """Show the figures that a cell left open, and close them."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is None:
        return
    for number in pyplot.get_fignums():
        buffer = io.BytesIO()
        pyplot.figure(number).savefig(buffer, format="png", dpi=72)
        outputs.data({"image/png": base64.b64encode(buffer.getvalue()).decode("ascii")})
    pyplot.close("all")


def failure(error):
    """An exception as plain data: its type, the names of its bases, its text, the line of the cell."""
    line, trace = None, error.__traceback__
    while trace is not None:
        if "ipykernel" in trace.tb_frame.f_code.co_filename or trace.tb_frame.f_code.co_filename.startswith(
            "<ipython"
        ):
            line = trace.tb_lineno
        trace = trace.tb_next
    kinds = [kind.__name__ for kind in type(error).__mro__ if kind is not object]
    return {"kind": type(error).__name__[:100], "kinds": kinds[:20], "message": describe(error), "line": line}
