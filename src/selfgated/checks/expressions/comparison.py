"""Do two formulas agree? Decided by their values at points spread over the domain."""

import time
from functools import lru_cache

import mpmath
import numpy as np

from selfgated.checks.expressions.errors import EvaluationError, ExpressionError
from selfgated.checks.expressions.evaluation import FUNCTIONS, Evaluator, shown
from selfgated.checks.expressions.parser import parse

SYMBOLS = {"z": (-6, 6), "beta": (0.2, 4)}
PRECISIONS = (50, 100, 200, 400, 800, 1600)
# Digits of the arithmetic, and how many of them may be lost by formulas that are the same function.
EXACT = ((1600, 50), (12_800, 600))
EXACT_POINTS = 3


def points_of(symbols, points, seed):
    """Points spread over the box `symbols`: each symbol's range is cut in `points` strata, all of them hit.

    Parameters
    ----------
    symbols : dict of str to (low, high)
        Range of each symbol.
    points : int
        How many points; a formula without symbols has one.
    seed : int
        Seed of the places within the strata and of their pairing.

    Returns
    -------
    list of dict of str to float
        The points.
    """
    generator = np.random.default_rng(seed)
    if not symbols:
        return [{}]
    columns = {}
    for name, (low, high) in symbols.items():
        strata = (generator.permutation(points) + generator.uniform(0.02, 0.98, points)) / points
        columns[name] = low + (high - low) * strata
    return [{name: float(column[i]) for name, column in columns.items()} for i in range(points)]


def settled(expression, point, *, digits, deadline):
    """Value of `expression` at `point` with `digits` right digits, however much cancels on the way.

    Evaluated at 50 and 100 digits, and on up to 1600 while two precisions disagree or while the largest term
    of a sum leaves the value fewer digits than that. What has no stable digit then cancels wholly: it is 0.
    """
    before, stable = None, False
    for precision in PRECISIONS:
        evaluator = Evaluator(point, precision, deadline)
        value = evaluator.value(expression.tree)
        tiny = mpmath.mpf(10) ** -(digits + 5) * abs(value)
        if before is not None:
            stable = abs(value - before[0]) <= tiny
            if stable and before[1] <= tiny:
                return value
        before = value, evaluator.largest * mpmath.mpf(10) ** -precision
    if stable:
        return value
    if abs(value) <= before[1] * mpmath.mpf(10) ** 50:
        return mpmath.mpf(0)
    raise EvaluationError("its terms cancel so much that no digit can be trusted")


def agree(text, right, *, symbols=SYMBOLS, functions=FUNCTIONS, points=40, digits=30, seed=0, seconds=5.0):
    """Whether `compare` finds nothing, sooner: it stops at the first point where the formulas differ."""
    deadline = time.monotonic() + seconds
    other = parse(right, symbols=symbols)
    try:
        answer = parse(text, symbols=symbols, functions=functions)
        return all(
            _equal(
                settled(answer, point, digits=digits, deadline=deadline),
                settled(other, point, digits=digits, deadline=deadline),
                digits,
            )
            for point in points_of(symbols, points, seed)
        )
    except (ExpressionError, EvaluationError):
        return False


def _equal(value, expected, digits):
    return abs(value - expected) <= mpmath.mpf(10) ** -digits * abs(expected)


def compare(text, right, *, symbols=SYMBOLS, functions=FUNCTIONS, points=40, digits=30, seed=0, seconds=5.0):
    """Say in a sentence how the formula `text` differs from the formula `right`.

    Parameters
    ----------
    text : str
        The formula to judge; anything else gets a sentence too.
    right : str
        The right formula, which may use every function.
    symbols : dict of str to (low, high)
        Allowed symbols with the range in which each is tried. Empty for a number.
    functions : iterable of str
        Functions allowed in `text`.
    points : int
        Number of points, spread over the whole ranges.
    digits : int
        Decimal digits to which the values must agree, relative to the right one.
    seed : int
        Seed of the points.
    seconds : float
        Time limit of the whole comparison.

    Returns
    -------
    str or None
        None where they agree at every point, otherwise what is wrong.

    Raises
    ------
    ExpressionError, EvaluationError
        If `right` itself is no formula or has no value.

    Examples
    --------
    >>> compare("1 - sigma(-z)", "sigma(z)", symbols={"z": (-6, 6)})
    >>> compare("sqrt(z - 10)", "z", symbols={"z": (5, 5)})
    'has no value at z = 5: sqrt of -5'
    """
    ranges = tuple((name, *ends) for name, ends in symbols.items())
    reference = _reference(right, ranges, points, seed, digits)
    try:
        answer = parse(text, symbols=symbols, functions=functions)
    except ExpressionError as error:
        return f"cannot be read: {error}"
    deadline = time.monotonic() + seconds
    found = []
    for point, expected in reference:
        try:
            value = settled(answer, point, digits=digits, deadline=deadline)
        except EvaluationError as error:
            return f"has no value{_where(point)}: {error}"
        if not _equal(value, expected, digits):
            error = abs(value - expected) / max(abs(expected), abs(value))
            found.append((error, point, value, expected))
    if not found:
        return _approximation(answer, right, ranges, points, seed, deadline)
    _, point, value, expected = max(found, key=lambda entry: entry[0])
    equal = len(reference) - len(found)
    part = f"agrees at {equal} of {len(reference)} points, but " if equal else ""
    return f"{part}differs{_where(point)}: yours is {_apart(value, expected)}"


def _approximation(answer, right, ranges, points, seed, deadline):
    """Say that a formula agrees to many digits but not to all, as a difference quotient does; else None.

    A quotient with the step 1e-40 is right to 80 digits, but not to nearly as many as the arithmetic has: the
    smaller the step, the more of them cancel. To pass it would take differences of the twentieth order.
    """
    agreed = 0
    for precision, slack in EXACT:
        for point, expected in _exact(right, ranges, points, seed, precision):
            try:
                value = Evaluator(point, precision, deadline).value(answer.tree)
            except EvaluationError as error:
                return f"has no value{_where(point)}: {error}"
            if _equal(value, expected, precision - slack):
                return None
            apart = abs(value - expected) / max(abs(value), abs(expected))
            agreed = max(agreed, -int(mpmath.log10(apart)))
    return f"agrees to {agreed} digits only: it is an approximation, not the formula itself"


@lru_cache(maxsize=64)
def _exact(right, symbols, points, seed, precision):
    """The first points with the value of the formula `right` at a high precision."""
    ranges = {name: (low, high) for name, low, high in symbols}
    expression, places = parse(right, symbols=ranges), points_of(ranges, points, seed)[:EXACT_POINTS]
    return [(point, Evaluator(point, precision).value(expression.tree)) for point in places]


@lru_cache(maxsize=64)
def _reference(right, symbols, points, seed, digits):
    """The points with the value of the formula `right` there: kept, as many answers are held against it."""
    ranges = {name: (low, high) for name, low, high in symbols}
    expression, places = parse(right, symbols=ranges), points_of(ranges, points, seed)
    return [(point, settled(expression, point, digits=digits, deadline=None)) for point in places]


def _where(point):
    places = ", ".join(f"{name} = {shown(value)}" for name, value in point.items())
    return f" at {places}" if places else ""


def _apart(value, expected):
    """The two values, with a word on their distance where six digits do not show it."""
    words = f"{shown(value)}, the right value is {shown(expected)}"
    if shown(value) == shown(expected):
        words += f", and they differ by {mpmath.nstr(abs(value - expected), 2)}"
    return words
