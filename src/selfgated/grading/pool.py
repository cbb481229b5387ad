"""Work in parallel processes that may die: each is replaced, its task tried once more, the rest goes on."""

import os
import resource
import signal
import threading
import time
import traceback
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import connection, get_context, parent_process

__all__ = ["Failure", "run"]

TRIES = 2
MEMORY = 4 * 2**30  # bytes of a worker: what a student's data lets it allocate fails there, as a MemoryError
# A fresh interpreter: no lock, file or connection of the parent is inherited.
CONTEXT = get_context("spawn")


@dataclass(frozen=True)
class Failure:
    """A task that gave no result, `TRIES` times: why, in a sentence, and the traceback if there is one."""

    reason: str
    details: str = ""


def run(tasks, work, *, workers, limit=None):
    """Do every task in one of some worker processes.

    Parameters
    ----------
    tasks : iterable
        Picklable.
    work : callable
        ``work(task, slot)`` with `slot` from 0 to ``workers - 1``: a function of a module, its result
        picklable.
    workers : int
        Processes at a time.
    limit : float, optional
        Seconds for one task; then its worker is killed, as if it had died.

    Yields
    ------
    (task, result)
        As they are done; the result is a `Failure` when the worker died or raised twice. At the end, or when
        the generator is closed, all workers and their children are dead.

    Notes
    -----
    Every worker leads a session of its own: Ctrl-C reaches the parent alone, which decides. A worker whose
    parent is gone, even by SIGKILL, kills itself and its children.
    """
    waiting = deque((task, 1) for task in tasks)
    crew = {}
    try:
        for slot in range(min(workers, len(waiting))):
            crew[slot] = _Worker(work, slot)
        while waiting or any(worker.busy for worker in crew.values()):
            for worker in crew.values():
                if waiting and not worker.busy:
                    worker.give(*waiting.popleft(), limit)
            for slot, worker in _news(crew):
                task, attempt, result = worker.take()
                if worker.dead:
                    worker.end()
                    crew[slot] = _Worker(work, slot)
                if isinstance(result, Failure) and attempt < TRIES:
                    waiting.append((task, attempt + 1))
                else:
                    yield task, result
    finally:
        for worker in crew.values():
            worker.end()


def _news(crew):
    """Slots and workers that have answered, died or run out of time."""
    busy = {slot: worker for slot, worker in crew.items() if worker.busy}
    watched = {
        source: slot for slot, worker in busy.items() for source in (worker.pipe, worker.process.sentinel)
    }
    left = min(worker.deadline for worker in busy.values()) - time.monotonic()
    ready = connection.wait(watched, timeout=None if left == float("inf") else max(0.0, left))
    slots = {watched[source] for source in ready}
    slots |= {slot for slot, worker in busy.items() if worker.deadline <= time.monotonic()}
    return [(slot, busy[slot]) for slot in sorted(slots)]


class _Worker:
    """One process and the task that it has."""

    def __init__(self, work, slot):
        self.pipe, theirs = CONTEXT.Pipe()
        self.process = CONTEXT.Process(target=_serve, args=(theirs, work, slot), daemon=True)
        self.process.start()
        theirs.close()
        self.busy = self.dead = False
        self.task, self.attempt, self.deadline, self.limit = None, 0, float("inf"), None

    def give(self, task, attempt, limit):
        """Hand over a task."""
        self.task, self.attempt, self.busy, self.limit = task, attempt, True, limit
        self.deadline = time.monotonic() + limit if limit else float("inf")
        with suppress(OSError):  # it has died meanwhile: its sentinel says so
            self.pipe.send(task)

    def take(self):
        """The task, its attempt, its result or `Failure`; a worker that gave no answer is dead then."""
        self.busy = False
        try:
            if self.pipe.poll():
                return self.task, self.attempt, self.pipe.recv()
        except (EOFError, OSError):
            pass
        self.dead = True
        if self.process.is_alive() and self.deadline <= time.monotonic():
            return self.task, self.attempt, Failure(f"it took longer than {self.limit:g} s")
        self.process.join(5)
        code = self.process.exitcode
        how = f"by {signal.Signals(-code).name}" if code and code < 0 else f"with exit code {code}"
        return self.task, self.attempt, Failure(f"the worker ended {how}")

    def end(self):
        """Kill the process and what it started."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)  # it leads its own group, see _serve
        self.process.kill()
        self.process.join()
        self.pipe.close()


def _serve(pipe, work, slot):
    """Life of a worker."""
    os.setsid()
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, resource.getrlimit(resource.RLIMIT_DATA)[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow_parent, daemon=True).start()
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        try:
            result = work(task, slot)
        except BaseException as error:  # a sandbox that fails is no Exception, so that no test can swallow it
            result = Failure(f"{type(error).__name__}: {error}", traceback.format_exc())
        pipe.send(result)


def _follow_parent():
    connection.wait([parent_process().sentinel])
    os.killpg(0, signal.SIGKILL)
