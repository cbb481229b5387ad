"""Names that others chose: which may become a student's folder, and how any of them is shown."""

import re
import unicodedata

__all__ = ["LONGEST", "SLUG", "escaped", "refusal", "shown", "twin_key"]

LONGEST = 64
SLUG = re.compile(r"\d\d_[a-z0-9_]{1,40}")
PUNCTUATION = frozenset(" ._@+-'")
# Alphabets with letters that look like those of another one of the list.
ALIKE = frozenset({"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "COPTIC", "CHEROKEE", "LISU"})
# Files that systems leave in folders and archives; nobody handed them in.
LITTER = frozenset({"__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini", ".ipynb_checkpoints", "__pycache__"})


def escaped(text):
    r"""Text with every character escaped that could move a cursor, colour a terminal or reorder a line.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
        Control, format (bidirectional overrides among them), surrogate, private and unassigned characters and
        separators but for the space stand as ``\x1b``, ``\u202e`` and so on; everything else stays.

    Examples
    --------
    >>> print(escaped("Ada\x1b[31m"))
    Ada\x1b[31m
    """
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "backslashreplace").decode("ascii")
        for char in text
    )


def shown(text, *, longest=LONGEST):
    r"""A name as a report shows it: quoted, escaped, cut where it is long.

    Examples
    --------
    >>> print(shown("../etc"))
    '../etc'
    >>> print(shown("a" * 300, longest=8))
    'aaaaaaaa...' (300 characters)
    """
    tail = f"...' ({len(text)} characters)" if len(text) > longest else "'"
    return f"'{escaped(text[:longest])}{tail}"


def refusal(name):
    """Say why a name cannot be a student's.

    A name starts with a letter or a digit and goes on with letters and digits of any script, single spaces
    and ``._@+-'``; it is in the normal form NFKC, mixes no alphabets that look alike and has at most 64
    characters.

    Parameters
    ----------
    name : str

    Returns
    -------
    str
        The reason, as the end of a sentence; empty if the name is fine.

    Examples
    --------
    >>> refusal("ada.lovelace@example.org")
    ''
    >>> refusal("-rf")
    'a name starts with a letter or a digit'
    """
    if not name:
        return "the name is empty"
    if len(name) > LONGEST or len(name.encode("utf-8", "surrogateescape")) > 200:
        return f"a name has at most {LONGEST} characters"
    if not (name[0].isalnum()):
        return "a name starts with a letter or a digit"
    if wrong := sorted({char for char in name if not _allowed(char)}):
        return f"a name has no {' '.join(map(ascii, wrong[:5]))}"
    if name[-1] in " ." or "  " in name or ".." in name:
        return "a name has no double dot or space, and ends with neither"
    if unicodedata.normalize("NFKC", name) != name:
        return f"its letters are written in an unusual form: {name!a}"
    alphabets = {unicodedata.name(char, "?").split()[0] for char in name if char.isalpha()} & ALIKE
    if len(alphabets) > 1:
        return f"it mixes {' and '.join(sorted(alphabets))} letters: {name!a}"
    return ""


def _allowed(char):
    return char.isalnum() or char in PUNCTUATION or unicodedata.category(char) in ("Mn", "Mc")


def twin_key(name):
    """What two names share that differ only in case or in the form of their letters."""
    return unicodedata.normalize("NFKC", name).casefold()
