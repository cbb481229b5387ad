"""Where answers run: in this process, for tests of the assignments. `grading.remote` has the sandboxed twin.

Both have `call(name, args, kwargs)` and `run(code, data)`, both exchange plain data only, so that a hidden
test that passes with one passes with the other.
"""

import builtins
import contextlib
import io
import sys

import numpy as np

from selfgated.checks.engine import AnswerError

SCALARS = (type(None), bool, int, float, complex, str)


def plain(value, what):
    """Copy of plain data: scalars, text, lists, tuples, dicts, NumPy arrays and scalars, torch tensors.

    Raises
    ------
    TypeError
        For anything else, with `what` as the subject of the message.
    """
    if type(value) in SCALARS:
        return value
    if type(value) in (list, tuple):
        return type(value)(plain(entry, what) for entry in value)
    if type(value) is dict:
        return {plain(key, what): plain(entry, what) for key, entry in value.items()}
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "biufc":
        return np.array(value)[()] if isinstance(value, np.generic) else np.array(value, subok=False)
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return value.detach().cpu().clone()
    raise TypeError(f"{what} holds a {type(value).__name__}, which is no plain data")


def returned(before, after, name):
    """Write what the answer `name` did to a copy of an argument back into the caller's.

    Parameters
    ----------
    before : list, dict, array or tensor
        The caller's argument; anything else cannot be changed in place and is left.
    after : any
        The copy after the call. It may come from a process that lies.

    Raises
    ------
    AnswerError
        If it changed the kind, the shape or the dtype.
    """
    kind = next((kind for kind in (list, dict, np.ndarray) if isinstance(before, kind)), None)
    tensor = hasattr(before, "copy_")
    if kind is None and not tensor:
        return
    if not (hasattr(after, "copy_") if tensor else isinstance(after, kind)):
        raise AnswerError(f"{name} changed the kind of its input")
    if kind is list:
        before[:] = after
        return
    if kind is dict:
        before.clear()
        before.update(after)
        return
    if before.shape != after.shape or before.dtype != after.dtype:
        raise AnswerError(f"{name} changed the shape or the dtype of its input")
    if tensor:
        before.data.copy_(after)
    else:
        before[...] = after


def failure(name, error):
    """The `AnswerError` for an exception that the answer `name` raised."""
    kinds = [kind.__name__ for kind in type(error).__mro__ if kind not in (object, BaseException)]
    return failed(name, kinds, str(error))


def failed(name, kinds, detail):
    """The `AnswerError` for an exception known by the names of its types and its text."""
    if "NotImplementedError" in kinds:
        sentence = f"{name} is not answered yet"
    else:
        sentence = f"{name} raised {kinds[0]}" + (f": {detail[:300]}" if detail else "")
    return AnswerError(sentence, kinds=kinds, detail=detail)


class LocalStudent:
    """Answers in a namespace of this process: for trusted code only.

    Parameters
    ----------
    namespace : dict
        What the setup and answer cells left.
    """

    def __init__(self, namespace):
        """Answer from `namespace`."""
        self.namespace = namespace

    def call(self, name, args, kwargs):
        """Call the answer `name` with copies of the arguments, whose changes in place are copied back.

        Raises
        ------
        AnswerError
            If there is no such function, if it raised, or if its result is no plain data.
        TypeError
            If an argument is no plain data: a mistake of the test.
        """
        names, values = list(kwargs), [*args, *kwargs.values()]
        given = [plain(value, f"an argument of {name}") for value in values]
        answer = self.namespace.get(name)
        if not callable(answer):
            raise AnswerError(f"there is no function {name}")
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                result = answer(*given[: len(args)], **dict(zip(names, given[len(args) :], strict=True)))
        except Exception as error:
            raise failure(name, error) from None
        for before, after in zip(values, given, strict=True):
            returned(before, after, name)
        try:
            return plain(result, f"what {name} returned")
        except TypeError as error:
            raise AnswerError(str(error)) from None

    def run(self, code, data):
        """Run a snippet in a copy of the namespace with `data`, and return its `result`."""
        namespace = self.namespace | {name: plain(value, name) for name, value in data.items()}
        namespace["__builtins__"] = builtins
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(code, "<snippet>", "exec"), namespace)
            return plain(namespace["result"], "the result")
        except Exception as error:
            raise failure("your code", error) from None
