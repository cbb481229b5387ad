"""Answers in the sandbox: cells are run there once, and again after a restart; calls go there as data."""

import json
import time
import zlib
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from selfgated.checks.engine import AnswerError
from selfgated.grading.feedback.text import plain
from selfgated.grading.inside import codec
from selfgated.grading.sandbox import Sandbox, Stopped
from selfgated.grading.student import failed, returned

STOPPED_CELLS = 3  # cells that a student added and that stop the sandbox, before all such cells are left out
STRIKES = 3  # calls of one function that stop the sandbox, before it is called no more
RESTARTS = 40
TEXT = 10_000  # texts and characters of them in one value: more, and an array of them could fill the memory
LONGEST = 1200  # seconds of wall time for one submission, however busy the machine is
TIME_IS_UP = "was not run: the submission has used up its time"


@dataclass
class Ran:
    """What running one cell gave: a status as in `verdict.Cell`, a sentence, outputs as they came."""

    status: str
    message: str = ""
    outputs: Any = field(default_factory=list)


class RemoteStudent:
    """A student's cells and answers in a sandbox.

    Parameters
    ----------
    cells : list of (str, str, bool)
        Id, code, and whether the student added the cell, in the order in which they run.
    kind : str
        ``"bubblewrap"`` or ``"none"``.
    imports : iterable of str
        Packages that the assignment allows.
    limits : Limits
        For cells and calls.
    slot : int
        See `Sandbox`.

    Notes
    -----
    A cell or a call that stops the sandbox costs itself only: the sandbox is started anew, and the other
    cells run again without it. What an answer raises, or returns that is no plain data, is an
    `AnswerError`; a failure of the sandbox itself is a `SandboxFailure`, which no test takes for the
    student's.
    """

    def __init__(self, cells, kind, imports, limits, *, slot=0):
        """Start nothing yet."""
        self._cells, self._limits = cells, limits
        self._make = lambda: Sandbox(kind, imports, limits, slot=slot)
        self._tensors = "torch" in imports
        self._sandbox, self._past, self._slept, self._starts = None, 0.0, 0.0, 0
        self._end = time.monotonic() + LONGEST
        self._strikes, self._left_out = Counter(), set()
        self.ran = {}

    def __enter__(self):
        """Return itself."""
        return self

    def __exit__(self, *_error):
        """Stop the sandbox."""
        self._stop()

    @property
    def cpu(self):
        """CPU seconds used so far, all sandboxes together."""
        return self._past + (self._sandbox.cpu if self._sandbox else 0.0)

    def run_cells(self):
        """Run every cell once, in order.

        Returns
        -------
        dict of str to Ran
            By cell id; also kept as `ran`.
        """
        for place, (name, _code, _added) in enumerate(self._cells):
            while name not in self.ran and self._ready(place):
                self._run(place)
            self.ran.setdefault(name, Ran("skipped", TIME_IS_UP))
        return self.ran

    def call(self, name, args, kwargs):
        """Call an answer in the sandbox; what it changed in place is changed here too.

        Raises
        ------
        AnswerError
            If there is no such function, or it raised, was stopped, or returned what is no plain data.
        """
        given = [*args, *kwargs.values()]
        request = {"do": "call", "name": name, "given": list(map(codec.encode, given)), "names": list(kwargs)}
        reply = self._request(name, name, request)
        for place, node in _pairs(reply.get("changed")):
            if place < len(given):
                returned(given[place], self._decoded(node, f"what {name} left in its arguments"), name)
        return self._value(name, reply)

    def run(self, code, data):
        """Run a snippet in a copy of the student's namespace with `data`, and return its `result`."""
        request = {
            "do": "run",
            "code": code,
            "data": {name: codec.encode(value) for name, value in data.items()},
        }
        return self._value("your code", self._request("your code", code, request))

    def _request(self, name, key, request):
        if self._strikes[key] >= STRIKES:
            raise AnswerError(f"{name} was not called again: it was stopped {STRIKES} times before")
        if not self._ready(len(self._cells)):
            raise AnswerError(f"{name} {TIME_IS_UP}")
        try:
            # The same call starts the random generators at the same place, for every student.
            return self._sandbox.ask(request, seed=zlib.crc32(json.dumps(request).encode()), **self._limit())
        except Stopped as error:
            self._strikes[key] += 1
            self._stop()
            raise AnswerError(f"{name} {error}") from None

    def _value(self, name, reply):
        if reply.get("ok") is True and "value" in reply:
            return self._decoded(reply["value"], f"what {name} returned")
        returned, error = reply.get("returned"), reply.get("error")
        if returned == "":
            raise AnswerError(f"there is no function {name}")
        if isinstance(returned, str):
            raise AnswerError(f"what {name} returned holds {plain(returned[:300])}")
        if not isinstance(error, dict):
            raise AnswerError(f"{name} sent no answer")
        kinds = error.get("kinds")
        kinds = [str(kind)[:80] for kind in kinds[:20]] if isinstance(kinds, list) else []
        kinds = [plain(kind) for kind in kinds if kind != "BaseException"] or ["an exception"]
        raise failed(name, kinds, plain(str(error.get("message", ""))[:300]))

    def _decoded(self, node, what):
        try:
            value = codec.decode(node, tensors=self._tensors)
        except codec.CodecError as error:
            raise AnswerError(f"{what} cannot be read: {error}") from None
        if _text(value) > TEXT:
            raise AnswerError(f"{what} holds too much text")
        return value

    def _ready(self, place):
        """Have a sandbox in which the cells before `place` have run; False if the time is up."""
        while self._sandbox is None:
            if self._starts > RESTARTS or self._is_up():
                return False
            self._starts += 1
            self._sandbox = self._make()
            for earlier in range(place):
                if self._sandbox is not None and self._cells[earlier][0] not in self._left_out:
                    self._run(earlier)
        if self._is_up():
            self._stop()
            return False
        return True

    def _is_up(self):
        """Whether the submission has used up its time: CPU seconds, seconds asleep, or all patience."""
        slept = self._slept + (self._sandbox.slept if self._sandbox else 0.0)
        return self.cpu >= self._limits.total or slept >= self._limits.slept or time.monotonic() > self._end

    def _run(self, place):
        name, code, added = self._cells[place]
        try:
            reply = self._sandbox.ask({"do": "cell", "code": code}, seed=place, **self._limit())
            self.ran.setdefault(name, _ran(reply))
        except Stopped as error:
            self.ran[name] = Ran(error.status, f"the cell {error}")
            self._left_out.add(name)
            self._stop()
            if added:
                self._leave_out_added()

    def _leave_out_added(self):
        """Leave out every cell that the student added, once too many of them have stopped the sandbox."""
        added = [name for name, _code, extra in self._cells if extra]
        if sum(name in self._left_out for name in added) >= STOPPED_CELLS:
            for name in added:
                self._left_out.add(name)
                self.ran.setdefault(name, Ran("skipped", "not run: too many added cells had to be stopped"))

    def _limit(self):
        return {"cpu": max(0.1, min(self._limits.cpu, self._limits.total - self.cpu))}

    def _stop(self):
        if self._sandbox is not None:
            self._sandbox.close()
            self._past += self._sandbox.cpu
            self._slept += self._sandbox.slept
            self._sandbox = None


def _ran(reply):
    error = reply.get("error")
    if reply.get("ok") is True:
        return Ran("ok", "", reply.get("outputs"))
    error = error if isinstance(error, dict) else {}
    kind, message = (
        plain(str(error.get("kind", "an exception"))[:80]),
        plain(str(error.get("message", ""))[:500]),
    )
    return Ran("error", f"the cell raised {kind}" + (f": {message}" if message else ""), reply.get("outputs"))


def _text(value):
    """Number of texts in plain data, and of their characters."""
    if isinstance(value, str):
        return 1 + len(value)
    if isinstance(value, dict):
        return sum(map(_text, value)) + sum(map(_text, value.values()))
    return sum(map(_text, value)) if isinstance(value, list | tuple) else 0


def _pairs(changed):
    """Return (place, node) for every well-formed entry."""
    entries = changed if isinstance(changed, list) else []
    return [
        (entry[0], entry[1])
        for entry in entries
        if isinstance(entry, list) and len(entry) == 2 and type(entry[0]) is int and entry[0] >= 0
    ]
