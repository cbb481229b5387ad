"""The process inside the sandbox: takes requests from one pipe, runs the student's code, answers on another.

It is started as ``python -S -m inside.agent PACKAGES`` and knows no expected value. The student's code
shares its process and may forge any answer: so nothing that it says is more than data.
"""

import os
import random
import sys

from . import codec, standin


class Agent:
    """Answers requests.

    Parameters
    ----------
    requests, replies : int
        File descriptors of the two pipes.
    """

    def __init__(self, requests, replies):
        """Serve two pipes."""
        self.requests, self.replies = os.fdopen(requests, "rb"), replies
        self.shell, self.room, self.process = None, 0, os.getpid()

    def serve(self):
        """Answer until the other side closes the pipe."""
        while header := self.requests.read(4):
            request = codec.parse(self.requests.read(int.from_bytes(header, "big")))
            seed(request["seed"])
            reply = getattr(self, "do_" + request["do"])(request)
            if os.getpid() != self.process:  # a child that the cell forked and that came back from it
                os._exit(0)
            self.send({"id": request["id"]} | reply)

    def send(self, reply):
        """Write one frame."""
        try:
            frame = codec.pack(reply)
        except codec.CodecError as error:
            frame = codec.pack({"id": reply["id"], "ok": False, "returned": str(error), "outputs": []})
        while frame:
            frame = frame[os.write(self.replies, frame) :]

    def do_start(self, request):
        """Start IPython."""
        from . import shell

        if "numpy" in request["allowed"]:
            import numpy  # noqa: F401  (its generator is seeded before the first cell)
        self.room = shell.KEPT
        standin.install()
        self.shell = shell.make(request["allowed"], request["hidden"])
        self.module = shell
        return {"ok": True}

    def do_cell(self, request):
        """Run a cell."""
        error, outputs = self.module.run_cell(self.shell, request["code"], self.room)
        self.room -= len(str(outputs))
        return {"ok": error is None, "error": error, "outputs": outputs}

    def do_call(self, request):
        """Call a function of the student; arguments that it changed in place come back too."""
        name, names = request["name"], request["names"]
        given = [codec.decode(value, tensors=True) for value in request["given"]]

        def work():
            answer = self.shell.user_ns.get(name)
            if not callable(answer):
                return {"ok": False, "returned": ""}
            split = len(given) - len(names)
            value = answer(*given[:split], **dict(zip(names, given[split:], strict=True)))
            changed = [
                [place, new]
                for place, (old, new) in enumerate(zip(request["given"], map(encoded, given), strict=True))
                if new not in (old, None)
            ]
            return self._value(value) | {"changed": changed}

        return self._quietly(work)

    def do_run(self, request):
        """Run a snippet in a copy of the student's namespace."""
        data = {name: codec.decode(value, tensors=True) for name, value in request["data"].items()}

        def work():
            namespace = dict(self.shell.user_ns) | data
            exec(compile(request["code"], "<snippet>", "exec"), namespace)
            return self._value(namespace["result"])

        return self._quietly(work)

    def _quietly(self, work):
        outputs = self.module.Outputs(0)
        self.shell.outputs = outputs
        with self.module.streams(outputs):
            try:
                return work()
            except BaseException as error:
                return {"ok": False, "error": self.module.failure(error)}

    def _value(self, value):
        try:
            return {"ok": True, "value": codec.encode(value)}
        except codec.CodecError as error:
            return {"ok": False, "returned": str(error)}


def encoded(value):
    """The code of `value`, or None if it has become something that is no plain data."""
    try:
        return codec.encode(value)
    except codec.CodecError:
        return None


def seed(number):
    """Start every random generator that is loaded at `number`, the same for all students."""
    random.seed(number)
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed(number)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(number)


def main():
    """Move the pipes away from where student code writes, and serve."""
    sys.path += sys.argv[1:]
    requests, replies = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    Agent(requests, replies).serve()
    os._exit(0)


if __name__ == "__main__":
    main()
