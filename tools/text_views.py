"""Every text that a file may hold, in one normal form: two writings of the same thing are the same text.

Whitespace, quotes, comments and line breaks do not count. Looked through are text, code, HTML, JSON,
notebooks, escapes, base64, compressed files and archives, inside one another.
"""

import ast
import base64
import binascii
import bz2
import gzip
import html
import io
import json
import lzma
import re
import tarfile
import textwrap
import unicodedata
import urllib.parse
import warnings
import zipfile

DEPTH = 8
QUOTES = str.maketrans(dict.fromkeys("'`“”‘’„", '"'))
TAG = re.compile(r"<[^<>]*>")
PRE = re.compile(r"<(pre|code)\b[^>]*>(.*?)</\1>", re.DOTALL)
FENCE = re.compile(r"^\s*(`{3,}|~{3,})[^\n]*\n(.*?)^\s*\1", re.DOTALL | re.MULTILINE)
BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{60,}\s+)+[A-Za-z0-9+/]+={0,2}|[A-Za-z0-9+/_-]{32,}={0,2}")
WHOLE_BASE64 = re.compile(r"(?:[A-Za-z0-9+/_-]{60,}\s+)*[A-Za-z0-9+/_-]{8,}={0,2}")
LONGEST_WORD = 200
URL_SAFE = str.maketrans("-_", "+/")
ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)
OPENERS = {b"\x1f\x8b": gzip.decompress, b"BZh": bz2.decompress, b"\xfd7zXZ": lzma.decompress}
ARCHIVES = (b"PK", *OPENERS)
PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"wOF2", b"GIF8")


def loose(text):
    """Text without whitespace and backslashes, and with one kind of quotes."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).translate(QUOTES)
    return "".join(text.split()).replace("\\", "").replace("'", '"').replace("`", '"')


def tight(text):
    """Text without whitespace, backslashes and quotes."""
    return loose(text).replace('"', "")


def parsed(text):
    """Python's own writing of code, one statement a line, without comments; empty where it is no Python."""
    if "\n" not in text and "(" not in text and "=" not in text:
        return ""  # a word or a sentence
    try:
        with warnings.catch_warnings(action="ignore"):
            return ast.unparse(ast.parse(textwrap.dedent(text)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""


def views(data, depth=DEPTH):
    """Every text that data may hold: its own, and those of the archives, strings and codes inside it."""
    if depth == 0:
        return
    if isinstance(data, bytes):
        yield from _opened(data, depth)
        return
    compact = data.strip()
    if WHOLE_BASE64.fullmatch(compact):
        yield from _decoded([compact], depth)
        if len(compact) > LONGEST_WORD:
            return
    yield data
    strings = _strings(compact, depth)
    if strings is not None:
        yield from strings
        return
    if "<" in data or "&" in data:
        yield html.unescape(TAG.sub("", data))
        for _, block in PRE.findall(data):
            yield html.unescape(TAG.sub("", block))
    for _, block in FENCE.findall(data):
        yield block
    if "\\" in data:
        yield ESCAPE.sub(_unescaped, data)
    if data.count("%") > 4 and (unquoted := urllib.parse.unquote(data)) != data:
        yield from views(unquoted, depth - 1)
    yield from _decoded(BASE64.findall(data), depth)


def _unescaped(match):
    if match[3]:
        return {"n": "\n", "t": "\t", "r": "\r"}.get(match[3], match[3])
    return chr(int(match[1] or match[2], 16))


def _decoded(runs, depth):
    """Views of what base64 stands for, where that is text or an archive."""
    for run in runs:
        run = re.sub(r"\s+", "", run).translate(URL_SAFE).rstrip("=")
        try:
            data = base64.b64decode(run + "=" * (-len(run) % 4))
        except binascii.Error:
            continue
        if data.startswith(ARCHIVES) or (not data.startswith(PICTURES) and _is_text(data)):
            yield from views(data, depth - 1)


def _is_text(data):
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return False
    return sum(char.isprintable() or char.isspace() for char in text) > 0.95 * len(text)


def _strings(text, depth):
    """Views of the strings of JSON; None where a text is none."""
    if text[:1] not in ("{", "["):
        return None
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return _leaves(value, depth)


def _leaves(value, depth):
    """Views of the strings of a JSON value; a list of strings is one text, as notebooks store sources."""
    if isinstance(value, str):
        yield from views(value, depth - 1)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _leaves(item, depth)
    elif isinstance(value, list):
        if value and all(isinstance(item, str) for item in value):
            yield from views("".join(value), depth - 1)
        else:
            for item in value:
                yield from _leaves(item, depth)


def _opened(data, depth):
    """Views of bytes: an archive's members, what a compressed file holds, else the bytes as text."""
    if data.startswith(PICTURES):
        return
    if data.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in archive.namelist():
                yield name
                yield from views(archive.read(name), depth - 1)
        return
    for magic, decompress in OPENERS.items():
        if data.startswith(magic):
            yield from views(decompress(data), depth - 1)
            return
    if data[257:262] == b"ustar":
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for member in filter(tarfile.TarInfo.isfile, archive.getmembers()):
                yield from views(archive.extractfile(member).read(), depth - 1)
        return
    try:
        yield from views(data.decode("utf-8-sig"), depth)
    except UnicodeDecodeError:
        yield data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "latin-1", errors="replace")


def normal_texts(data):
    """All views of the data in normal form, as written and as parsed: one loose and one tight text."""
    seen = set()
    for text in views(data):
        if text not in seen:
            seen |= {text, parsed(text)}
    text = "\0".join(map(loose, sorted(seen)))
    return text, text.replace('"', "")
