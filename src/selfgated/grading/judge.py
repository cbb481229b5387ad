"""What hidden tests are written with, and how a test cell is judged.

The module knows nothing of where an answer runs. A student is anything with two methods:
`call(name, args, kwargs)`, which returns what the answer of that name returns, and `run(code, data)`, which
runs a snippet beside the answers and returns its `result`; see `grading.student`.
"""

import sys
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass, field

import numpy as np

from selfgated.checks import expressions
from selfgated.checks.differences import as_array, difference, located, short
from selfgated.checks.engine import AnswerError

_recorder = ContextVar("recorder", default=None)
_student = ContextVar("student", default=None)
LONGEST = 500  # characters of a message
SEED = 20_240_229  # of the points at which formulas are decided: not the self-checks'


@dataclass
class PartScore:
    """What one part of a test earned, and why not more."""

    title: str
    points: float
    earned: float = 0
    message: str = ""


@dataclass
class Score:
    """What one test cell earned.

    Attributes
    ----------
    cell : str
        Id of the test cell.
    check : str
        What the self-check that students see says; empty where it is content.
    parts : list of PartScore
        The parts of the hidden test, in order.
    """

    cell: str
    check: str = ""
    parts: list = field(default_factory=list)

    @property
    def points(self):
        """Points that could be earned."""
        return sum(part.points for part in self.parts)

    @property
    def earned(self):
        """Points earned."""
        return sum(part.earned for part in self.parts)


class part(AbstractContextManager):
    """One part of a hidden test: all of its points or none.

    Parameters
    ----------
    points : int
        Points of the part. The parts of a test cell sum to the points of the cell.
    title : str
        What is judged, for the student: `"values at 401 points"`.

    Notes
    -----
    While grading, an exception is recorded as the reason for no points, and the test goes on.
    In a notebook it propagates.
    """

    def __init__(self, points, title):
        """Name the part and its points."""
        self.points, self.title = points, title

    def __enter__(self):
        """Begin the part."""
        return self

    def __exit__(self, kind, error, traceback):
        """Record the part while grading; a failure ends here."""
        parts = _recorder.get()
        if parts is None or (kind is not None and not issubclass(kind, Exception)):
            return False
        message = "" if kind is None else reason(error)
        parts.append(PartScore(self.title, self.points, 0 if kind else self.points, message))
        return True


def reason(error):
    """Sentence for the student on the exception `error` of a hidden test, without a line of its source."""
    if isinstance(error, AssertionError):
        text = str(error) or "the result is not what it should be"
        return text if len(text) <= LONGEST else text[:LONGEST] + "..."
    return f"what the answer returned could not be used ({type(error).__name__})"


def close(got, right, *, rtol, atol=0.0, shape=True, dtype=None, at=None):
    """Assert that numbers are right.

    Parameters
    ----------
    got : object
        What the answer returned.
    right : array_like
        The right values.
    rtol, atol : float
        Largest errors, relative to the right value and absolute; the allowed error is their sum. A nan or inf
        of `right` must stand in the same place of `got`.
    shape : bool
        Whether the shape must be that of `right`.
    dtype : dtype, optional
        The dtype that the answer must have.
    at : dict of str to array_like, or array_like, optional
        Inputs, for the message: `at=z` or `at={"z": z, "beta": 1.5}`.

    Raises
    ------
    AssertionError
        With a sentence for the student, numbers with six digits.

    Examples
    --------
    >>> close([1.0, 2.5], [1.0, 2.0], rtol=1e-9, at=np.array([3.0, 4.0]))
    Traceback (most recent call last):
    ...
    AssertionError: at the input 4 it is 2.5, the right value is 2
    """
    __tracebackhide__ = True
    sentence, place = difference(got, right, rtol=rtol, atol=atol, shape=shape, dtype=dtype)
    if sentence is None:
        return
    if place is None:
        raise AssertionError(f"it {sentence}")
    size = as_array(right).shape
    if isinstance(at, dict):
        where = "at " + located(at.keys(), at.values(), place, size)
    elif at is not None:
        where = located(["the input"], [at if np.ndim(at) == 0 else np.asarray(at)], place, size)
        where = "at " + where.replace(" = ", " ")
    else:
        where = f"at the index {place[0] if len(place) == 1 else place}" if place else ""
    raise AssertionError(f"{where} it {sentence}".strip())


def expression(answer, right, *, symbols=expressions.SYMBOLS, functions=expressions.FUNCTIONS, seconds=5.0):
    """Assert that the formula that `answer()` returns as text is right, at 40 points and 50 digits.

    Parameters
    ----------
    answer : callable
        The answer, a function without arguments.
    right : str
        The right formula.
    symbols : dict of str to (low, high)
        Allowed symbols, with their ranges.
    functions : iterable of str
        Allowed functions.
    seconds : float
        Time limit for the formula.

    Raises
    ------
    AssertionError
        With a sentence for the student.
    """
    __tracebackhide__ = True
    sentence = expressions.compare(
        answer(), right, symbols=symbols, functions=functions, seed=SEED, seconds=seconds
    )
    if sentence is not None:
        raise AssertionError(f"the formula {sentence}")


def raises(kind, answer, *args, **kwargs):
    """Assert that `answer(*args, **kwargs)` raises an exception of the type `kind`.

    Parameters
    ----------
    kind : type
        A built-in exception type.
    answer : callable
        The answer.
    *args, **kwargs
        Its arguments.

    Returns
    -------
    str
        Text of the exception.

    Raises
    ------
    AssertionError
        If it returns, or raises something else.
    """
    __tracebackhide__ = True
    try:
        got = answer(*args, **kwargs)
    except AnswerError as error:
        if kind.__name__ in error.kinds and "NotImplementedError" not in error.kinds:
            return error.detail
        raise AssertionError(f"{error}, where {kind.__name__} is expected") from None
    except NotImplementedError:
        raise
    except kind as error:
        return str(error)
    except Exception as error:
        raised = f"it raised {type(error).__name__}"
        raise AssertionError(f"{raised}, where {kind.__name__} is expected") from None
    raise AssertionError(f"it returned {short(got)}, where {kind.__name__} is expected")


def run(code, **data):
    """Run a snippet in a copy of the answers' namespace.

    Parameters
    ----------
    code : str
        The snippet; what it assigns to `result` comes back as plain data. It holds no expected
        value, since it runs beside the answers.
    **data
        Plain data, by the names under which the snippet sees it.

    Returns
    -------
    object
        `result`.

    Raises
    ------
    AnswerError
        If the snippet raises, while grading.

    Examples
    --------
    >>> run("result = sum(numbers)", numbers=[1, 2])
    3
    """
    student = _student.get()
    if student is not None:
        return student.run(code, data)
    namespace = dict(sys._getframe(1).f_globals) | data
    exec(compile(code, "<snippet>", "exec"), namespace)
    return namespace["result"]


class Proxy:
    """Stands for an answer in a hidden test: a call of it goes to the student as data."""

    remote = True  # for self-checks: tensors come back without their graph, and functions cannot be sent

    def __init__(self, name, student):
        """Stand for the function `name` of `student`."""
        self.__name__ = name
        self._student = student

    def __call__(self, *args, **kwargs):
        """Call the answer; what it raised arrives as an `AnswerError`."""
        return self._student.call(self.__name__, args, kwargs)


def examine(cell, student, names, *, prelude=""):
    """Judge one test cell.

    Parameters
    ----------
    cell : Cell
        The test cell of the source notebook.
    student : LocalStudent or RemoteStudent
        Where the answers run.
    names : iterable of str
        The answers, `Assignment.names`.
    prelude : str
        Import statements for the self-check, `Assignment.prelude`.

    Returns
    -------
    Score
        With every part of the hidden test: those that it did not reach have no points and say why.
    """
    proxies = {name: Proxy(name, student) for name in names}
    score = Score(cell.id, check=_diagnosis(cell, proxies, prelude))
    recorder, place = _recorder.set(score.parts), _student.set(student)
    message = "the test ended before this part"
    try:
        exec(compile(cell.hidden, "<hidden test>", "exec"), dict(proxies))
    except Exception as error:
        message = reason(error)
    finally:
        _recorder.reset(recorder)
        _student.reset(place)
    reached = len(score.parts)
    if [(entry.points, entry.title) for entry in score.parts] != [
        (entry.points, entry.title) for entry in cell.parts[:reached]
    ]:
        raise ValueError(f"{cell.id}: the parts of the hidden test did not run in the order of its source")
    score.parts += [PartScore(entry.title, entry.points, 0, message) for entry in cell.parts[reached:]]
    return score


def _diagnosis(cell, proxies, prelude):
    """What the self-check of a test cell says about the answers; empty where it is content."""
    try:
        exec(compile(f"{prelude}\n{cell.visible}", "<self-check>", "exec"), dict(proxies))
    except Exception as error:
        return reason(error)
    return ""
