"""The leak gate: what students and readers must not see, and a search for it in whatever they are given.

The secrets are read from ``solutions/`` by this file's own rules, not by the code that cuts them. What a file
may hold, and in which disguise, is in ``text_views.py``.
"""

import ast
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from assignments import ROOT, read, sources
from text_views import loose, normal_texts, parsed, tight

LINE = 25  # shorter lines are no evidence by themselves
IDIOM = 40  # a line shorter than this that an assignment shows as well is how one writes such things
SHORT = 12  # but a whole answer, or a text in quotes, is from here on
BITS = 22
BEGIN = re.compile(r"#+\s*BEGIN\s+(HIDDEN TESTS|SOLUTION)\b")
END = re.compile(r"#+\s*END\s+(?:HIDDEN TESTS|SOLUTION)\b")
IMPORT = re.compile(r"\s*(?:import\s+\w|from\s+[\w.]+\s+import\b)")


@dataclass(frozen=True)
class Secret:
    """A passage that one kind of audience must not see: ``hidden``, ``solution`` or ``answer``."""

    kind: str
    assignment: str
    cell: str
    text: str


def find_secrets(root=ROOT):
    """Every hidden test, solution body and model answer with its rubric below ``solutions/``."""
    found = []
    for name, path in sources(root).items():
        for cell in read(path).cells:
            mark = cell.metadata.get("nbgrader", {})
            if cell.cell_type == "markdown":
                passages = [("answer", cell.source)] if mark.get("solution") else []
            else:
                passages = regions(cell.source)
            found += [Secret(kind, name, cell.id, text) for kind, text in passages]
    return found


def regions(source):
    """Kind and text of each marked region of a cell; one without an end reaches to the cell's end."""
    found = []
    for line in source.splitlines(keepends=True):
        if begin := BEGIN.search(line):
            found.append(["hidden" if "HIDDEN" in begin[1] else "solution", "", True])
        elif END.search(line):
            if found:
                found[-1][2] = False
        elif found and found[-1][2]:
            found[-1][1] += line
    return [(kind, text) for kind, text, _ in found]


def visible(source):
    """Source of a cell without its marked regions."""
    kept, inside = [], False
    for line in source.splitlines(keepends=True):
        inside = (inside or bool(BEGIN.search(line))) and not END.search(line)
        if not inside and not END.search(line):
            kept.append(line)
    return "".join(kept)


def fingerprints(secret):
    """Traces of a secret, each a pair of its normal form and whether quotes count; imports are none."""
    code = secret.kind != "answer"
    body = parsed(secret.text) if code else ""
    lines = [*secret.text.splitlines(), *body.splitlines()]
    if not code:
        lines += [sentence.strip(" \n.:;!?*") for sentence in re.split(r"(?<=[.:;!?])\s", secret.text)]
    lines += re.split(r"\n\s*\n", secret.text)
    lines = [re.sub(r"^\s*(?:[-*#>]|\d+\.)+\s", "", line) for line in lines if not IMPORT.match(line)]
    found = {(key, False) for key in map(tight, lines) if len(key) >= LINE}
    if secret.kind == "solution" and len(loose(body)) >= SHORT:
        found.add((loose(body), True))
    if code and body:
        texts = [node.value for node in ast.walk(ast.parse(body)) if isinstance(node, ast.Constant)]
        quoted = [f'"{loose(text)}"' for text in texts if isinstance(text, str)]
        found |= {(key, True) for key in quoted if len(key) >= SHORT + 2}
    return found


class Traces:
    """An index of traces, to find all of them in a text in one pass over it."""

    def __init__(self, traces):
        self._by_start = {}
        for key, quoted in traces:
            self._by_start.setdefault((key[:SHORT], quoted), []).append((key, quoted))
        self._marked = {}
        for quoted in (True, False):
            marked = np.zeros(1 << BITS, dtype=bool)
            for start, flag in self._by_start:
                if flag is quoted:
                    marked[_hashes(start)] = True
            self._marked[quoted] = marked

    def inside(self, data):
        """Traces that occur in the data, which are bytes or text."""
        found = set()
        for quoted, text in zip((True, False), normal_texts(data), strict=True):
            for place in np.flatnonzero(self._marked[quoted][_hashes(text)]).tolist():
                for trace in self._by_start.get((text[place : place + SHORT], quoted), ()):
                    if text.startswith(trace[0], place):
                        found.add(trace)
        return found


def _hashes(text):
    """A hash of BITS bits of each window of SHORT characters: equal windows have equal hashes."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    count = max(0, len(codes) - SHORT + 1)
    result = np.zeros(count, dtype=np.uint64)
    for offset in range(SHORT):
        result *= np.uint64(0x9E3779B97F4A7C15)
        result += codes[offset : offset + count]
    result *= np.uint64(0x9E3779B97F4A7C15)
    return result >> np.uint64(64 - BITS)


class Gate:
    """The search for secrets in what is given away.

    Parameters
    ----------
    secrets : list of Secret
    public : iterable of str or bytes
        What is public anyway: a trace that occurs there betrays nothing.
    """

    def __init__(self, secrets, public=()):
        self.secret_of = {}
        for secret in secrets:
            for trace in fingerprints(secret):
                self.secret_of.setdefault(trace, secret)
        everything = Traces(self.secret_of)
        for text in public:
            for known in everything.inside(text):
                self.secret_of.pop(known, None)
        self.traces = Traces(self.secret_of)

    def findings(self, data):
        """Sentences that name each secret of which ``data``, bytes or text, holds a trace."""
        found = {}
        for trace in sorted(self.traces.inside(data)):
            secret = self.secret_of[trace]
            found.setdefault(f"{secret.kind} of {secret.assignment}, cell {secret.cell!r}", trace[0])
        return [f"{place}: {text[:90]}" for place, text in sorted(found.items())]

    def findings_below(self, folder):
        """The findings of every file below a folder, each with the file's path."""
        known, found = {}, []
        for path in sorted(path for path in Path(folder).rglob("*") if path.is_file()):
            data = path.read_bytes()
            if data not in known:
                known[data] = self.findings(data)
            found += [f"{path.relative_to(folder).as_posix()}: {finding}" for finding in known[data]]
        return found


def public_texts(root=ROOT):
    """What everyone may read without the course: chapters, pages of the book, the library but the checks."""
    yield from (path.read_bytes() for path in sorted(root.glob("notebooks/*.ipynb")))
    yield from (path.read_bytes() for path in sorted(root.glob("book/*.md")))
    for path in sorted((root / "src").rglob("*.py")):
        if not {"checks", "grading"} & set(path.parts):
            yield path.read_bytes()


def shown_to_readers(root=ROOT):
    """What the pages of the assignments show on purpose: all of the sources but the hidden tests."""
    for path in sources(root).values():
        for cell in read(path).cells:
            yield visible(cell.source)
            if cell.cell_type == "code":
                yield from (text for kind, text in regions(cell.source) if kind == "solution")


def drop_idioms(gate, root=ROOT):
    """Forget short lines that an assignment shows on purpose: ``rng = default_rng(seed)``, a grid of inputs.

    A solution or a model answer in the visible part of its own assignment stays a finding.
    """
    for name, path in sources(root).items():
        shown = "\n\n".join(visible(cell.source) for cell in read(path).cells)
        for trace in gate.traces.inside(shown):
            secret = gate.secret_of[trace]
            if len(trace[0]) < IDIOM and (secret.assignment != name or secret.kind == "hidden"):
                del gate.secret_of[trace]
        gate.traces = Traces(gate.secret_of)
    return gate


def student_gate(root=ROOT):
    """The gate for what students get: no hidden test, no solution, no model answer."""
    return drop_idioms(Gate(find_secrets(root), public_texts(root)), root)


def reader_gate(root=ROOT):
    """The gate for the site: no hidden test."""
    secrets = [secret for secret in find_secrets(root) if secret.kind == "hidden"]
    return Gate(secrets, [*public_texts(root), *shown_to_readers(root)])
