"""A worker process: reads units as JSON lines on stdin, answers each with one JSON line on stdout."""

import json
import os
import queue
import sys
import threading

from selfgated.sweep.units import execute

__all__ = ["main"]


def main():
    """Serve units until stdin ends, which is also how a worker learns that its sweep was killed."""
    # What a unit function prints must not mix with the answers: it goes to stderr.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", closefd=True)
    os.dup2(2, 1)
    requests = queue.SimpleQueue()
    threading.Thread(target=_read, args=(requests,), daemon=True).start()
    _answer(answers, {"ready": True})  # units come only now, so one message at a time is under way
    while True:
        _answer(answers, execute(**requests.get()))


def _answer(answers, message):
    answers.write(json.dumps(message) + "\n")
    answers.flush()


def _read(requests):
    for line in sys.stdin.buffer:
        requests.put(json.loads(line))
    os._exit(0)  # also in the middle of a unit: nobody waits for its rows any more
