"""Outputs of a cell as HTML: text and checked pictures, nothing else."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from selfgated.grading.feedback.png import checked
from selfgated.grading.feedback.text import cut, plain

MOST_OUTPUTS = 30
MOST_CHARACTERS = 300_000
MOST_PICTURE_CHARACTERS = 8_000_000


class Budget:
    """What one page may hold of what a student sent; beyond it the page says that it is cut.

    Parameters
    ----------
    characters, pictures : int
        Characters of text, and characters of base64.
    """

    def __init__(self, *, characters=MOST_CHARACTERS, pictures=MOST_PICTURE_CHARACTERS):
        """Nothing is spent yet."""
        self._characters = characters
        self._pictures = pictures

    def text(self, text):
        """Return as much of a text as the page still takes, and a phrase that says what was left off."""
        kept, rest = cut(plain(text), limit=max(0, min(20_000, self._characters)))
        self._characters -= len(kept)
        return kept, rest

    def picture(self, encoded):
        """Return whether the page still takes a picture."""
        self._pictures -= len(encoded)
        return self._pictures >= 0


def rendered(outputs: Sequence[Mapping[str, Any]], *, budget: Budget, alt: str) -> str:
    """Return the HTML of a cell's outputs.

    Parameters
    ----------
    outputs : sequence of dict
        nbformat outputs of a stranger: of each only a stream's text, ``text/plain``, ``image/png`` and the
        traceback of an error are looked at.
    budget : Budget
        What the page may still hold.
    alt : str
        Alternative text of a picture, before its number.

    Returns
    -------
    str
        HTML.
    """
    html, pictures = [], 0
    for output in filter(_is_mapping, outputs[:MOST_OUTPUTS]):
        kind = output.get("output_type")
        if kind == "stream":
            css = "err" if output.get("name") == "stderr" else "out"
            html.append(_text(output.get("text", ""), budget, css))
        elif kind == "error":
            trace = output.get("traceback")
            trace = "\n".join(map(str, trace)) if isinstance(trace, list) else ""
            short = f"{output.get('ename', '')}: {output.get('evalue', '')}"
            html.append(_text(trace or short, budget, "err"))
        elif kind in ("display_data", "execute_result"):
            data = output.get("data")
            data = data if _is_mapping(data) else {}
            if "image/png" in data:
                pictures += 1
                html.append(_picture(data["image/png"], budget, f"{alt} {pictures}"))
            elif "text/plain" in data:
                html.append(_text(data["text/plain"], budget, "out"))
            else:
                html.append('<p class="cut">an output of a kind that is not shown here</p>')
    if len(outputs) > MOST_OUTPUTS:
        html.append(f'<p class="cut">cut here: {len(outputs) - MOST_OUTPUTS} more outputs</p>')
    return "\n".join(html)


def _is_mapping(value):
    return isinstance(value, Mapping)


def _text(value, budget, css):
    kept, rest = budget.text("".join(map(str, value)) if isinstance(value, list) else value)
    kept = kept.removesuffix("\n")
    shown = f'<pre class="{css}" tabindex="0">{escape(kept)}</pre>' if kept else ""
    return shown + (f'<p class="cut">{rest}</p>' if rest else "")


def _picture(value, budget, alt):
    try:
        encoded, width, height = checked(value)
    except ValueError as error:
        return f'<p class="cut">a picture that is not shown: {escape(str(error))}</p>'
    if not budget.picture(encoded):
        return '<p class="cut">cut here: this page has enough pictures</p>'
    source = f"data:image/png;base64,{encoded}"
    return f'<img src="{source}" width="{width}" height="{height}" alt="{escape(alt)}">'
