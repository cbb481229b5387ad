"""Text of strangers made safe to show: no terminal codes, no invisible characters, no endless lines."""

import re

CUT_HERE = "cut here"
SHOWN_LIMIT = 20_000
LINE_LIMIT = 300
# Colours and cursor moves (CSI), titles and links (OSC), other escapes; also in their one-byte forms.
_ANSI = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[PX^_][^\x1b]*\x1b\\|\x1b[ -/]*[0-~]"
    r"|\x9b[0-?]*[ -/]*[@-~]"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
# They reorder or hide what stands next to them, so that code reads differently from what it does.
_INVISIBLE = re.compile(
    r"[\u00ad\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\u3164\ufeff"
    r"\uffa0\U000e0000-\U000e007f]"
)
_STACKED = re.compile(
    r"([\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{4})"
    r"[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+"
)
_HIDDEN_TESTS = re.compile(
    r"^[^\n]*BEGIN HIDDEN TESTS.*?(?:END HIDDEN TESTS[^\n]*|\Z)", re.DOTALL | re.MULTILINE
)


def plain(text):
    r"""Return text in which every character is seen as what it is.

    Terminal escapes and control characters go, a line that a carriage return overwrites shows its last
    state, characters that reorder or hide others are written as ``[U+202E]``, half of a surrogate pair as
    ``\ufffd``.

    Parameters
    ----------
    text : object
        A string; anything else is shown by its ``str``.

    Returns
    -------
    str
        Text that UTF-8 can encode. HTML is not escaped here.

    Examples
    --------
    >>> plain("\x1b[31mred\x1b[0m")
    'red'
    >>> plain("if admin\u202e: # student")
    'if admin[U+202E]: # student'
    >>> plain(" 10 %\r 99 %\r100 %")
    '100 %'
    """
    text = text if isinstance(text, str) else str(text)
    text = _ANSI.sub("", text).replace("\r\n", "\n").replace("\u2028", "\n").replace("\u2029", "\n")
    if "\r" in text:
        lines = (line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
        text = "\n".join(lines)
    text = _SURROGATE.sub("\ufffd", _CONTROL.sub("", text))
    text = _INVISIBLE.sub(lambda match: f"[U+{ord(match[0]):04X}]", text)
    return _STACKED.sub(r"\1", text)


def without_hidden_tests(source):
    """Return the source of a cell without what stands between the marks of hidden tests.

    A feedback page is made from the release version of an assignment, which has none: a second lock.

    Examples
    --------
    >>> without_hidden_tests("check()\\n### BEGIN HIDDEN TESTS\\nassert f(3) == 9\\n### END HIDDEN TESTS")
    'check()\\n'
    """
    return _HIDDEN_TESTS.sub("", source)


def cut(text, *, limit=SHOWN_LIMIT, lines=LINE_LIMIT):
    """Return the beginning of a text, and how much of it was left off.

    Parameters
    ----------
    text : str
        Any text.
    limit, lines : int
        Characters and lines to keep.

    Returns
    -------
    tuple of (str, str)
        The text kept, and a phrase such as ``"cut here: 12 more lines"``, empty when nothing was left off.

    Examples
    --------
    >>> cut("abc", limit=2)
    ('ab', 'cut here: 1 more character')
    >>> cut("a\\nb\\nc", lines=1)
    ('a', 'cut here: 2 more lines')
    >>> cut("abc")
    ('abc', '')
    """
    kept = "\n".join(text.split("\n", lines)[:lines]) if text.count("\n") >= lines else text
    if len(kept) <= limit and len(kept) == len(text):
        return text, ""
    if len(kept) > limit:
        return kept[:limit], f"{CUT_HERE}: {_count(len(text) - limit, 'more character')}"
    return kept, f"{CUT_HERE}: {_count(text.count(chr(10), len(kept)), 'more line')}"


def _count(number, noun):
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
