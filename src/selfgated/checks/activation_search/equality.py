"""Self-check of the classes of equal functions, one trap after the other."""

import numpy as np

from selfgated.checks import engine
from selfgated.checks.engine import CheckFailed

TOL = 1e-6
POINTS = np.linspace(-2, 2, 9)


def _judge(answer, rows, right, hint, mirrors=(), tol=TOL):
    rows, right = np.array(rows, dtype=float), list(right)
    kept = rows.copy()
    got = answer(rows, tol, *mirrors)
    if got is None:
        raise CheckFailed("classes returned nothing: is a `return` missing?")
    try:
        numbers = np.asarray(got)
    except ValueError:  # a ragged list
        numbers = np.empty(0)
    if numbers.dtype.kind not in "iuf" or numbers.shape != (len(rows),):
        raise CheckFailed(f"classes returned {engine.short(got)}, where {len(rows)} numbers are expected")
    if not np.array_equal(rows, kept, equal_nan=True):
        raise CheckFailed("classes changed its input values")
    if numbers.tolist() == right:
        return
    words = f"classes: {hint}. It is {engine.short(numbers.tolist())}, the right one is {engine.short(right)}"
    firsts = list(dict.fromkeys(numbers.tolist()))
    if [firsts.index(number) for number in numbers.tolist()] == right:
        words = f"classes: the groups are right, but number them by first appearance: {right}"
    raise CheckFailed(words)


def classes(answer):
    """Check problem 2: which candidates are the same function."""
    x, noise = POINTS, 1e-9 * np.cos(40 * POINTS)
    _judge(
        answer, [np.tanh(x), np.sin(x), np.tanh(x) + noise], [0, 1, 0], "rows 0 and 2 differ by rounding only"
    )
    _judge(answer, [x, x + 0 * noise, np.abs(x), x], [0, 0, 1, 0], "-1 and 1 are different values")
    one = np.where(x == x[3], 1e-3, 0)
    _judge(
        answer, [np.cos(x), np.cos(x) + one], [0, 1], "rows 0 and 1 differ at one point: all have to agree"
    )
    _judge(answer, [np.exp(x), np.cosh(x), x, np.exp(x)], [0, 1, 2, 0], "row 3 is equal to row 0")
    hint = "without mirrors the images f(x), -f(x), f(-x) and -f(-x) are different"
    _judge(answer, [np.exp(x), -np.exp(x), np.exp(-x), -np.exp(-x)], range(4), hint)
    hint = "the tolerance is `tol`, here 1e-9: rows 0 and 1 differ by 1e-6"
    _judge(answer, [np.cos(x), np.cos(x) + 1e-3 * one], [0, 1], hint, tol=1e-9)
    wide = np.where(x > 0, 1e9, x)
    hint = "each entry has its own tolerance: the large ones of a row do not excuse the small ones"
    _judge(answer, [wide, wide + one], [0, 1], hint)
    for decimals in (5, 6, 7):
        near = np.full(9, 0.25 + 0.5 * 10.0**-decimals)
        hint = "numbers next to each other may round apart: compare differences, do not round"
        _judge(answer, [near - 1e-10, near + 1e-10], [0, 0], hint)
    steps = np.full(9, 0.7)
    _judge(answer, [steps - 1e-10, steps + 1e-10], [0, 0], "the edge of a grid must not part equal numbers")
    large = 1e9 * (3 + np.sin(x))
    hint = "for large values the tolerance is relative: rows 0 and 1 differ by 1e-9 of their size"
    _judge(answer, [large, large * (1 + noise)], [0, 0], hint)
    small = 1e-9 * x
    _judge(
        answer, [small, 2 * small], [0, 0], "below 1 the tolerance is absolute: rows 0 and 1 differ by 4e-9"
    )
    with np.errstate(all="ignore"):
        root, pole = np.sqrt(x), 1 / np.where(np.abs(x) < 1e-12, 0.0, x)
    _judge(answer, [root, root.copy()], [0, 0], "two nan agree, though nan == nan is False")
    _judge(answer, [root, np.where(x < 0, 0, root)], [0, 1], "nan is no number: it agrees with nan only")
    _judge(answer, [pole, pole.copy()], [0, 0], "an infinity agrees with itself; inf - inf is nan")
    _judge(answer, [pole, np.where(x == x[4], -np.inf, pole)], [0, 1], "inf and -inf do not agree")
    _judge(answer, [pole, np.where(x == x[4], 1e9, pole)], [0, 1], "an infinity does not agree with 1e9")
    _judge(answer, [pole, np.where(x == x[4], np.nan, pole)], [0, 1], "an infinity does not agree with nan")
    images = [np.exp(x), -np.exp(x), np.exp(-x), -np.exp(-x)]
    for row, name in zip(images[1:], ("-f(x)", "f(-x)", "-f(-x)"), strict=True):
        _judge(answer, [images[0], row], [0, 0], f"with mirrors {name} is the same as f(x)", (True,))
    _judge(
        answer,
        [*images, x, np.tanh(x), -x],
        [0] * 4 + [1, 2, 1],
        "with mirrors=True groups are wrong",
        (True,),
    )
    mixed = [np.exp(x), np.where(x < 0, -1, 1) * np.exp(x)]
    _judge(answer, mixed, [0, 1], "the sign changes for the whole row, not point by point", (True,))
    return "classes: fine"
