"""Outputs that come from the sandbox, made safe to keep and to show."""

import contextlib

from selfgated.grading.feedback.png import checked
from selfgated.grading.feedback.text import plain


def cleaned(outputs, room):
    """Return outputs that came from the sandbox as nbformat outputs that are safe to keep.

    Parameters
    ----------
    outputs : object
        Of any content.
    room : list of int
        One number: how many characters may still be kept; it is lowered.

    Returns
    -------
    list of dict
        Streams, ``text/plain``, PNG pictures that were taken apart and put together again, errors.
    """
    entries = outputs[:200] if isinstance(outputs, list) else []
    kept = [_cleaned(output, room) for output in entries if isinstance(output, dict)]
    return [output for output in kept if output is not None]


def _cleaned(output, room):
    kind = output.get("output_type")
    if kind == "stream":
        name = "stderr" if output.get("name") == "stderr" else "stdout"
        text = _fit(output.get("text"), room)
        return {"output_type": kind, "name": name, "text": text} if text else None
    if kind == "error":
        trace = output.get("traceback")
        lines = [line for line in trace[:50] if isinstance(line, str)] if isinstance(trace, list) else []
        return {
            "output_type": kind,
            "ename": _fit(output.get("ename"), room)[:200],
            "evalue": _fit(output.get("evalue"), room)[:2000],
            "traceback": _fit("\n".join(lines), room).split("\n"),
        }
    if kind in ("display_data", "execute_result") and isinstance(output.get("data"), dict):
        data = _data(output["data"], room)
        return {"output_type": "display_data", "data": data, "metadata": {}} if data else None
    return None


def _data(data, room):
    kept = {}
    if text := _fit(data.get("text/plain"), room):
        kept["text/plain"] = text
    picture = data.get("image/png")
    if isinstance(picture, str) and len(picture) <= room[0]:
        with contextlib.suppress(ValueError):
            kept["image/png"] = checked(picture)[0]
            room[0] -= len(picture)
    return kept


def _fit(text, room):
    """Return the beginning of a text for which there is room, cleaned."""
    text = plain(text[: max(room[0], 0)]) if isinstance(text, str) else ""
    room[0] -= len(text)
    return text
