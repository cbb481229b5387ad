"""A running sandbox: start it, ask it, stop it. Whatever it sends is untrusted, and it may stop answering."""

import contextlib
import os
import secrets
import select
import signal
import subprocess
import time

from selfgated.grading.inside import codec
from selfgated.grading.sandbox import command, seccomp
from selfgated.grading.sandbox.packages import visible
from selfgated.grading.sandbox.tree import Meter, Usage

TICK = 0.05  # seconds between two looks at the processes
STRAY = 20  # replies with a wrong id that are dropped before the sandbox is stopped
START = 120  # seconds: nothing of a student runs before the start has been answered


class Stopped(Exception):
    """The sandbox ended, or was ended, while a student's code ran.

    Attributes
    ----------
    status : str
        ``timeout`` or ``killed``.
    """

    def __init__(self, status, reason):
        """Keep the status and one sentence without subject: "used more than 10 s of CPU time"."""
        super().__init__(reason)
        self.status = status


class SandboxFailure(BaseException):
    """The sandbox itself failed: nobody's zero.

    Not an `Exception`, since the judge takes every exception in a test for a failure of the answer.
    """


class Sandbox:
    """One process tree in which student code runs.

    Parameters
    ----------
    kind : str
        ``"bubblewrap"``, or ``"none"`` for limits only.
    imports : iterable of str
        Packages that the assignment allows.
    limits : Limits
        See there.
    slot : int
        Number of the worker, where the search for a free user id begins.

    Notes
    -----
    Start it from a thread that lives as long as the sandbox: it dies with the thread that started it, and so
    with a grader that is killed.
    """

    def __init__(self, kind, imports, limits, *, slot=0):
        """Start the processes, and wait until they answer."""
        if kind not in ("bubblewrap", "none"):
            raise ValueError(f"unknown sandbox {kind!r}; choose from ['bubblewrap', 'none']")
        self.kind, self.imports, self.limits, self.slot = kind, tuple(imports), limits, slot
        self.usage, self.slept, self._closing = Usage(), 0.0, contextlib.ExitStack()
        self._start()

    def __enter__(self):
        """Return itself."""
        return self

    def __exit__(self, *_error):
        """Stop every process."""
        self.close()

    def _start(self):
        kept, given, self.scratch, scratch = [], {}, (), ()
        if self.kind == "bubblewrap":
            scratch = ("/tmp", command.HOME, "/dev/shm")
            program = seccomp.program()
            if program is not None:
                reader, writer = os.pipe()
                os.write(writer, program)
                os.close(writer)
                kept.append(reader)
            user, lock = command.claimed(self.slot)
            self._closing.callback(lock.close)
            line = command.bubblewrap(self.imports, self.limits, user, seccomp=kept[0] if kept else None)
            given = {"env": {"PATH": os.environ.get("PATH", os.defpath)}}
        else:
            folder = self._closing.enter_context(command.scratch_folder())
            line, environment, home = command.bare(self.imports, self.limits, folder)
            given = {"env": environment, "cwd": home, "start_new_session": True}
        pipe = subprocess.PIPE
        try:
            self.process = subprocess.Popen(
                line, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0, pass_fds=kept, **given
            )
        except OSError as error:
            raise SandboxFailure(f"the sandbox could not be started: {error}") from error
        finally:
            for number in kept:
                os.close(number)
        self.buffer, self.said, self.meter = bytearray(), b"", Meter(self.process.pid)
        for file in (self.process.stdin, self.process.stdout, self.process.stderr):
            os.set_blocking(file.fileno(), False)
        hidden = list(visible(self.imports)[1])
        try:
            self.ask({"do": "start", "allowed": list(self.imports), "hidden": hidden}, idle=START, cpu=START)
        except Stopped as error:
            said = self.said.decode("utf-8", "replace").strip()
            raise SandboxFailure(f"the sandbox could not be started: it {error}: {said}") from None
        self.scratch = scratch  # before that the processes may still see the machine's own folders

    @property
    def cpu(self):
        """CPU seconds of all processes so far."""
        return self.usage.cpu

    def ask(self, request, *, seed=0, cpu=None, idle=None):
        """Send a request and return the reply.

        Parameters
        ----------
        request : dict
            For the agent.
        seed : int
            Where the random generators start.
        cpu, idle : float, optional
            Limits of this request; default: those of the sandbox.

        Returns
        -------
        dict
            JSON of any content, with the id of the request.

        Raises
        ------
        Stopped
            If the processes ended, or broke a limit and were ended. The sandbox is closed then.
        """
        name = secrets.token_hex(8)
        frame = codec.pack({"id": name, "seed": seed} | request)
        watch = _Watch(self, cpu or self.limits.cpu, idle or self.limits.idle)
        try:
            return self._converse(frame, name, watch)
        except Stopped:
            self.close()
            raise

    def _converse(self, frame, name, watch):
        source, sink = self.process.stdout.fileno(), self.process.stdin.fileno()
        poll = select.poll()
        poll.register(source, select.POLLIN)
        poll.register(sink, select.POLLOUT)
        unsent, received, stray = memoryview(frame), len(self.buffer), 0
        while True:
            for number, _event in poll.poll(1000 * watch.pause()):
                if number == sink and unsent:
                    unsent = unsent[self._write(sink, unsent) :]
                    if not unsent:
                        poll.unregister(sink)
                if number == source:
                    received += self._read(source)
            if received > 2 * codec.FRAME:
                raise Stopped("killed", f"sent more than {2 * codec.FRAME >> 20} MB of answers")
            while (body := self._frame()) is not None:
                reply = self._parsed(body)
                if reply.get("id") == name:
                    return reply
                stray += 1
                if stray > STRAY:
                    raise Stopped("killed", "sent answers that nobody asked for")
            watch.look()

    def _write(self, sink, unsent):
        try:
            return os.write(sink, unsent[: 1 << 16])
        except BlockingIOError:
            return 0
        except BrokenPipeError:
            raise Stopped("killed", self._ending()) from None

    def _read(self, source):
        try:
            chunk = os.read(source, 1 << 20)
        except BlockingIOError:
            return 0
        if not chunk:
            raise Stopped("killed", self._ending())
        self.buffer += chunk
        return len(chunk)

    def _frame(self):
        """Return the body of the next whole frame, or None."""
        if len(self.buffer) < 4:
            return None
        size = int.from_bytes(self.buffer[:4], "big")
        if size > codec.FRAME:
            raise Stopped("killed", f"sent an answer of {size} bytes")
        if len(self.buffer) < 4 + size:
            return None
        body = bytes(self.buffer[4 : 4 + size])
        del self.buffer[: 4 + size]
        return body

    @staticmethod
    def _parsed(body):
        try:
            reply = codec.parse(body)
        except codec.CodecError as error:
            raise Stopped("killed", f"sent an answer that cannot be read: {error}") from None
        if not isinstance(reply, dict):
            raise Stopped("killed", "sent an answer that cannot be read: no object")
        return reply

    def _ending(self):
        """Say how the process ended, which closed its end of the pipe."""
        try:
            code = self.process.wait(2)
        except subprocess.TimeoutExpired:
            return "closed the pipe to the judge"
        number = -code if code < 0 else code - 128
        if number in (signal.SIGXCPU, signal.SIGXFSZ):
            return "broke a limit of the system and was ended"
        if 0 < number < signal.NSIG:
            with contextlib.suppress(ValueError):
                return f"ended its process by the signal {signal.Signals(number).name}"
        return f"ended its process with the exit code {code}"

    def close(self):
        """Stop every process of the sandbox, and wait until they are gone."""
        process = self.process
        if process.returncode is None and process.poll() is None:
            self.usage = self.meter.look()
            # The first process inside goes first: when bubblewrap sees it end, every other has ended.
            inside = (
                self.usage.processes[1:2] if self.kind == "bubblewrap" else reversed(self.usage.processes)
            )
            for number in inside:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(number, signal.SIGKILL)
            try:
                process.wait(2)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if not process.stderr.closed:
            self.said = process.stderr.read(4000) or b""
        for file in (process.stdin, process.stdout, process.stderr):
            file.close()
        self._closing.close()


class _Watch:
    """Looks at the processes while a request runs.

    Seconds count as idle only while no process wants a CPU, so that a loaded machine fails nobody.
    """

    def __init__(self, sandbox, cpu, idle):
        self.sandbox, self.cpu, self.idle = sandbox, cpu, idle
        self.begin = self.last = time.monotonic()
        self.slept = 0.0
        sandbox.usage = sandbox.meter.look()
        self.first = sandbox.usage.cpu

    def pause(self):
        """Seconds until the next look."""
        return max(0.0, self.last + TICK - time.monotonic())

    def look(self):
        """Take a sample, if it is time; stop what breaks a limit."""
        now = time.monotonic()
        if now - self.last < TICK:
            return
        limits, before = self.sandbox.limits, self.sandbox.usage
        sample = self.sandbox.meter.look(self.sandbox.scratch)
        passed, self.last = now - self.last, now
        if not sample.busy:
            slept = max(0.0, passed - max(0.0, sample.cpu - before.cpu))
            self.slept, self.sandbox.slept = self.slept + slept, self.sandbox.slept + slept
        self.sandbox.usage = sample
        if sample.memory > limits.memory:
            raise Stopped("killed", f"used more than {limits.memory >> 20} MB of memory")
        if sample.files > limits.files:
            raise Stopped("killed", f"wrote more than {limits.files} files")
        if len(sample.processes) > limits.processes + 3:
            raise Stopped("killed", f"started more than {limits.processes} processes")
        if sample.cpu - self.first > self.cpu:
            raise Stopped("timeout", f"used more than {self.cpu:g} s of CPU time")
        if self.slept > self.idle:
            raise Stopped("timeout", f"waited for more than {self.idle:g} s")
        if now - self.begin > limits.wall:
            raise Stopped("timeout", f"took more than {limits.wall:g} s")
