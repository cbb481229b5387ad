"""Pictures of strangers: a PNG is taken apart and put together again from what a browser needs to draw it."""

import base64
import binascii
import struct
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_BYTES = 2_000_000
MAX_PIXELS = 12_000_000
# Nothing here holds text, a profile, an address or a second picture.
_KEPT = {b"IHDR", b"PLTE", b"tRNS", b"gAMA", b"sRGB", b"pHYs", b"IDAT", b"IEND"}
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_DEPTHS = {0: {1, 2, 4, 8, 16}, 2: {8, 16}, 3: {1, 2, 4, 8}, 4: {8, 16}, 6: {8, 16}}


def checked(data):
    """Return a picture that is safe to embed.

    Parameters
    ----------
    data : object
        Base64 text as it stands in a notebook (a string, or a list of strings).

    Returns
    -------
    tuple of (str, int, int)
        Base64 of the same picture without its needless chunks; width and height in pixels.

    Raises
    ------
    ValueError
        The picture is no PNG, is damaged, or is too large; the message says what.

    Notes
    -----
    Sizes are bounded before anything is unpacked: a few kilobytes of deflated zeros can hold a picture of
    gigabytes. The rows are unpacked once, up to the size that the header states, to see that they are there.
    Interlaced pictures are refused: matplotlib writes none.
    """
    raw = _decoded(data)
    if not raw.startswith(SIGNATURE):
        raise ValueError("not a PNG")
    kept, packed, header = [SIGNATURE], [], None
    for kind, body in _chunks(raw):
        if kind == b"IHDR":
            header = _header(body)
        if kind == b"IDAT":
            packed.append(body)
        if kind in _KEPT:
            kept.append(_chunk(kind, body))
    if header is None or not packed or not kept[-1].endswith(_chunk(b"IEND", b"")):
        raise ValueError("a PNG without its header, its rows or its end")
    width, height, bits = header
    expected = height * (1 + (width * bits + 7) // 8)
    try:
        rows = zlib.decompressobj().decompress(b"".join(packed), expected)
    except zlib.error:
        raise ValueError("a PNG whose rows cannot be unpacked") from None
    if len(rows) < expected:
        raise ValueError(f"a PNG with {len(rows)} of {expected} bytes of rows")
    return base64.b64encode(b"".join(kept)).decode("ascii"), width, height


def _decoded(data):
    text = "".join(data) if isinstance(data, list) and all(isinstance(part, str) for part in data) else data
    if not isinstance(text, str):
        raise ValueError("not a PNG")
    if len(text) > MAX_BYTES * 3 // 2:
        raise ValueError(f"a picture larger than {MAX_BYTES // 1_000_000} MB")
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("not a PNG") from None


def _chunks(raw):
    """Yield (kind, body) of every chunk up to the end mark, each with its checksum compared."""
    at = len(SIGNATURE)
    while at + 12 <= len(raw):
        length, kind = struct.unpack_from(">I4s", raw, at)
        body = raw[at + 8 : at + 8 + length]
        if len(body) < length or raw[at + 8 + length : at + 12 + length] != _checksum(kind, body):
            raise ValueError("a damaged PNG")
        yield kind, body
        if kind == b"IEND":
            return
        at += 12 + length


def _header(body):
    """Return width, height and bits per pixel."""
    if len(body) != 13:
        raise ValueError("a damaged PNG")
    width, height, depth, colour, compression, filtering, interlace = struct.unpack(">IIBBBBB", body)
    if depth not in _DEPTHS.get(colour, ()) or compression or filtering or interlace:
        raise ValueError("a PNG of a kind that is not shown here")
    if not 0 < width * height <= MAX_PIXELS:
        raise ValueError(f"a picture of {width} x {height} pixels")
    return width, height, depth * _CHANNELS[colour]


def _chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + _checksum(kind, body)


def _checksum(kind, body):
    return struct.pack(">I", zlib.crc32(kind + body))
