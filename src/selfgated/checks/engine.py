"""Comparisons behind the self-checks: they tell in words what is wrong with an answer."""

import re

import numpy as np

from selfgated.checks import expressions
from selfgated.checks.differences import as_array, difference, located, short


class CheckFailed(AssertionError):
    """An answer that is not right yet; the message says what was seen."""


class AnswerError(AssertionError):
    """An answer that raised or timed out while graded, or that returned what is no plain data.

    Parameters
    ----------
    message : str
        Sentence for the student, with the name of the answer.
    kinds : sequence of str
        Names of the type of the answer's own exception and of that type's bases.
    detail : str
        Text of the answer's own exception.
    """

    def __init__(self, message, *, kinds=(), detail=""):
        """Keep the sentence and where it comes from."""
        super().__init__(message)
        self.kinds, self.detail = tuple(kinds), detail


def name_of(call):
    """Name of the function in `call`: `swish_grad` in `swish_grad(z, beta)`."""
    return call.partition("(")[0].strip()


def copied(value):
    """Copy of one input, so that an answer that changes it does not change the next comparison."""
    if isinstance(value, np.ndarray):
        return value.copy()
    if hasattr(value, "detach"):
        return value.detach().clone().requires_grad_(value.requires_grad)
    if isinstance(value, (list, tuple)):
        return type(value)(copied(entry) for entry in value)
    if isinstance(value, dict):
        return {key: copied(entry) for key, entry in value.items()}
    return value


def unchanged(value, before):
    """Whether an input still is what it was."""
    if isinstance(value, (list, tuple)):
        return len(value) == len(before) and all(map(unchanged, value, before))
    if isinstance(value, dict):
        return value.keys() == before.keys() and all(unchanged(value[key], before[key]) for key in value)
    if isinstance(value, np.ndarray) or hasattr(value, "detach"):
        array, kept = as_array(value), as_array(before)
        return array.shape == kept.shape and array.tobytes() == kept.tobytes()
    return value is before or value == before


def _called(answer, call, inputs):
    try:
        return answer(*inputs)
    except (NotImplementedError, AnswerError, CheckFailed):
        raise
    except Exception as error:
        names = _names(call, len(inputs))
        places = ", ".join(f"{name} = {short(value)}" for name, value in zip(names, inputs, strict=False))
        where = f" for {places}" if places else ""
        raise CheckFailed(f"{name_of(call)} raised {type(error).__name__}: {error}{where}") from error


def _names(call, number):
    inside = re.search(r"\((.*)\)", call)
    names = [name.split("=")[0].strip(" *") for name in inside[1].split(",")] if inside else []
    names = [name for name in names if name]
    return names + [f"argument {i + 1}" for i in range(len(names), number)]


def values(answer, right, inputs, *, mistakes=(), rtol=1e-9, atol=0.0, dtype=False, call):
    """Compare a function with the right one on several inputs, and say in words what is wrong.

    Parameters
    ----------
    answer : callable
        The student's function.
    right : callable
        The right function of the same arguments; returns an array_like.
    inputs : list of tuple
        Arguments of each call. Arrays are copied first.
    mistakes : sequence of (callable, str)
        Wrong functions with the sentence for an answer that equals one of them on every input.
    rtol, atol : float
        Largest relative and absolute error; the allowed error is their sum.
    dtype : bool
        Whether the result must have the dtype of the first array among the arguments.
    call : str
        How the call is written, `"swish_grad(z, beta)"`: names for the messages.

    Returns
    -------
    str
        `"swish_grad: fine"`.

    Raises
    ------
    CheckFailed
        With the sentence.
    NotImplementedError
        Of the answer, as it is.
    """
    name = name_of(call)
    results = []
    for given in inputs:
        used = tuple(copied(value) for value in given)
        results.append(_kept(_called(answer, call, used)))
        for label, value, before in zip(_names(call, len(given)), used, given, strict=False):
            if not unchanged(value, before):
                raise CheckFailed(f"{name} changed its input {label}: do without `out=` and `+=`, or copy")
    for given, got in zip(inputs, results, strict=True):
        wanted = _wanted(given) if dtype else None
        expected = as_array(right(*map(copied, given)))
        sentence, place = difference(got, expected, rtol=rtol, atol=atol, dtype=wanted)
        if sentence is None:
            continue
        if place is None:
            raise CheckFailed(f"{name} {sentence}")
        for wrong, words in mistakes:
            if _equals(results, wrong, inputs, rtol, atol):
                raise CheckFailed(f"{name}: {words}")
        where = located(_names(call, len(given)), given, place, expected.shape)
        raise CheckFailed(f"{name} differs at {where}: it {sentence}")
    return f"{name}: fine"


def _kept(result):
    """A result as it is now: an answer may return the same buffer twice."""
    return copied(result) if isinstance(result, (np.ndarray, list, tuple)) else result


def _wanted(given):
    arrays = [value for value in given if isinstance(value, np.ndarray)]
    return arrays[0].dtype if arrays else None


def _equals(results, wrong, inputs, rtol, atol):
    with np.errstate(all="ignore"):
        for given, got in zip(inputs, results, strict=True):
            try:
                expected = as_array(wrong(*map(copied, given)))
            except (ArithmeticError, ValueError):
                return False
            if difference(got, expected, rtol=rtol, atol=atol)[0] is not None:
                return False
    return True


def expression(answer, right, *, symbols, functions=expressions.FUNCTIONS, mistakes=(), seed=0, seconds=5.0):
    """Compare the formula that `answer()` returns as text with the right one.

    Parameters
    ----------
    answer : callable
        The student's function without arguments; its name stands in the messages.
    right : str
        The right formula.
    symbols : dict of str to (low, high)
        Allowed symbols with the range in which each is tried.
    functions : iterable of str
        Allowed functions.
    mistakes : sequence of (str, str)
        Wrong formulas, each with the sentence for an answer that equals it.
    seed, seconds : int, float
        Seed of the points, time limit.

    Returns
    -------
    str
        `"swish_slope: fine"`.

    Raises
    ------
    CheckFailed
        With the sentence.
    NotImplementedError
        Of the answer, as it is.
    """
    name = answer.__name__
    text = _called(answer, name, ())
    if text is None:
        raise CheckFailed(f"{name} returned nothing: is a `return` missing?")
    options = {"symbols": symbols, "functions": functions, "seed": seed, "seconds": seconds}
    sentence = expressions.compare(text, right, **options)
    if sentence is None:
        return f"{name}: fine"
    if "differs" in sentence:
        for wrong, words in mistakes:
            if expressions.agree(text, wrong, **options):
                raise CheckFailed(f"{name}: {words}")
    raise CheckFailed(f"{name}: your formula {sentence}")


def number(answer, right, *, rtol, atol=0.0, mistakes=(), call):
    """Compare the number that `answer()` returns with the right one.

    Parameters
    ----------
    answer : callable
        The student's function without arguments.
    right : float
        The right number.
    rtol, atol : float
        Largest relative and absolute error; the allowed error is their sum.
    mistakes : sequence of (float, str)
        Wrong numbers, each with the sentence for an answer that equals it.
    call : str
        How the call is written, for the messages.

    Returns
    -------
    str
        `"lowest: fine"`.

    Raises
    ------
    CheckFailed
        With the sentence.
    NotImplementedError
        Of the answer, as it is.
    """
    name = name_of(call)
    got = _called(answer, call, ())
    sentence, place = difference(got, right, rtol=rtol, atol=atol)
    if sentence is None:
        return f"{name}: fine"
    if place is not None:
        for wrong, words in mistakes:
            if difference(got, wrong, rtol=rtol, atol=atol)[0] is None:
                raise CheckFailed(f"{name}: {words}")
    raise CheckFailed(f"{name} {sentence}")
