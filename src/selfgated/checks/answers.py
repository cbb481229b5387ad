"""An answer, seen in a special way: one of its two results, without NumPy's warnings, or its refusal."""

import numpy as np

from selfgated.checks import engine
from selfgated.checks.engine import AnswerError, CheckFailed


def strict(answer):
    """The answer, which fails where NumPy would warn.

    Parameters
    ----------
    answer : callable
        The student's function.

    Returns
    -------
    callable
        The same function, which raises CheckFailed where NumPy would warn of an overflow, an invalid value or
        a division by zero. A result that underflows to 0 is no failure.
    """

    def strict(*given):
        try:
            with np.errstate(over="raise", invalid="raise", divide="raise"):
                return answer(*given)
        except FloatingPointError as error:
            seen = engine.short(given[0])
            raise CheckFailed(f"NumPy warns for {seen}: {error}. Let only exp(-|...|) be computed") from error

    return strict


def entry(answer, index, words):
    """One entry of the pair that the answer returns.

    Parameters
    ----------
    answer : callable
        The student's function.
    index : int
        0 or 1.
    words : str
        The pair as it should be: `"(grad_z, grad_beta)"`.

    Returns
    -------
    callable
        A function of the same arguments, which raises CheckFailed if there is no pair.
    """

    def entry(*given):
        pair = answer(*given)
        if pair is not None and not is_pair(pair):
            raise CheckFailed(f"return the pair {words}, not {engine.short(pair)}")
        return None if pair is None else pair[index]

    return entry


def is_pair(value):
    """Whether `value` can be unpacked into two: a tuple, a list or the rows of an array."""
    if isinstance(value, np.ndarray):
        return value.shape[:1] == (2,)
    return isinstance(value, (tuple, list)) and len(value) == 2


def refusal(answer, kind, *given, call):
    """Check that the answer raises an exception.

    Parameters
    ----------
    answer : callable
        The student's function.
    kind : type
        Type of the exception, such as ValueError.
    *given
        Arguments.
    call : str
        The call in words: `"swish_minimum(-1, 0)"`.

    Raises
    ------
    CheckFailed
        If it returns, or raises something else.
    NotImplementedError
        Of the answer, as it is.
    """
    try:
        got = answer(*given)
    except kind:
        return
    except NotImplementedError:
        raise
    except Exception as error:
        if isinstance(error, AnswerError) and kind.__name__ in error.kinds:
            return
        raised = f"{call} raised {type(error).__name__}: {error}"
        raise CheckFailed(f"{raised}; {kind.__name__} is expected") from error
    raise CheckFailed(f"{call} returned {engine.short(got)}; it should raise a {kind.__name__}")
