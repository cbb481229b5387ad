"""The local engine: units in this process, or in worker processes that may die."""

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from contextlib import suppress

from selfgated.sweep.errors import SweepError
from selfgated.sweep.units import execute

__all__ = ["run_here", "run_local"]

# A script, a notebook or stdin can start workers: unlike multiprocessing, nothing imports __main__ again.
BOOTSTRAP = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop()); "
    "from selfgated.sweep.worker import main; main()"
)
STARTS = 3


def run_here(todo, *, function, device, deadline):
    """Run the units one after the other in this process; yields (unit, outcome) as each ends."""
    for unit in todo:
        if time.monotonic() >= deadline:
            return
        yield unit, execute(function, unit.config, unit.seeds, device)


def run_local(todo, *, function, device, deadline, workers, retries):
    """Run the units in worker processes, each with one thread.

    A unit whose worker died is given to a new one, `retries` times at most.

    Parameters
    ----------
    todo : sequence of Unit
        The units, begun in this order.
    function, device : str
        Passed on to each worker.
    deadline : float
        No unit is begun after this time (`time.monotonic`).
    workers, retries : int
        Processes at the same time; further tries of a unit whose worker died.

    Yields
    ------
    tuple of Unit and dict
        A unit and its outcome (see `units.execute`), in the order in which they end.

    Raises
    ------
    SweepError
        If workers die before they are ready.
    """
    waiting = deque((unit, 0) for unit in todo)
    crew, failed_starts = [], 0
    try:
        while True:
            starting = sum(worker.unit is None for worker in crew)
            while len(crew) < workers and starting < len(waiting) and time.monotonic() < deadline:
                crew.append(_Worker(function, device))
                starting += 1
            if not crew:
                return
            for worker, message in _messages(crew):
                unit, deaths = worker.unit, worker.deaths
                if message is None:
                    crew.remove(worker)
                    how = worker.post_mortem()
                    if unit is None:
                        failed_starts += 1
                        if failed_starts == STARTS:
                            raise SweepError(f"worker processes do not start: {how} before taking a unit")
                    elif deaths < retries:
                        waiting.appendleft((unit, deaths + 1))
                    else:
                        error = f"its worker process died {deaths + 1} times, at last {how}"
                        yield unit, {"error": error, "traceback": ""}
                    continue
                if waiting and time.monotonic() < deadline:
                    worker.take(*waiting.popleft())
                else:
                    crew.remove(worker)
                    worker.end()
                if unit is None:
                    failed_starts = 0
                else:
                    yield unit, message
    finally:
        for worker in crew:
            worker.end()


def _messages(crew):
    """Wait until workers have answered or died; list each with its message, None for the dead."""
    with selectors.DefaultSelector() as selector:
        for worker in crew:
            selector.register(worker.process.stdout, selectors.EVENT_READ, worker)
        while True:
            found = [(key.data, key.data.read()) for key, _ in selector.select(timeout=1.0)]
            if found:
                return found
            # A child that a dead worker has left behind can hold the pipe open.
            found = [(worker, None) for worker in crew if worker.process.poll() is not None]
            if found:
                return found


class _Worker:
    """One worker process and the unit that it has in hand."""

    def __init__(self, function, device):
        self.function, self.device = function, device
        self.unit, self.deaths = None, 0
        self.process = subprocess.Popen(
            [sys.executable, "-c", BOOTSTRAP, json.dumps(sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            start_new_session=True,  # Ctrl-C reaches the sweep alone, which then ends its workers
        )

    def take(self, unit, deaths):
        """Give the worker a unit, for which `deaths` workers have died.

        That this worker is dead is noticed when it is read.
        """
        self.unit, self.deaths = unit, deaths
        request = {"name": self.function, "config": unit.config, "seeds": unit.seeds, "device": self.device}
        with suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            self.process.stdin.flush()

    def read(self):
        """Return the next message, or None if the worker died, perhaps in the middle of one."""
        line = self.process.stdout.readline()
        return json.loads(line) if line.endswith(b"\n") else None

    def post_mortem(self):
        """Return in words how the process ended."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=5)
        code = self.process.poll()
        self.end()
        if code is None:
            return "it closed its output"
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"

    def end(self):
        """Kill the process, which holds nothing that is not stored, and close its pipes."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            with suppress(BrokenPipeError):
                pipe.close()
