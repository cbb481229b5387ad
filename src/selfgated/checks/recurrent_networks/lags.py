"""Gradients over thousands of steps."""

import numpy as np

from selfgated.checks import engine
from selfgated.checks.engine import CheckFailed

CALL = "log_norms(W, slopes, delta)"


def _right(W, slopes, delta, *, forward=False, transpose=True, late=False):
    """Logarithms of the lengths; the options are mistakes in the recursion."""
    matrix = W.T if transpose else W
    vector, shift = np.array(delta, dtype=float), 0.0
    with np.errstate(divide="ignore"):
        logs = [np.log(np.hypot.reduce(vector))]
    for slope in slopes if forward else reversed(slopes):
        vector = (matrix @ vector) * slope if late else matrix @ (vector * slope)
        top = abs(vector).max()
        if top > 0:
            vector, shift = vector / top, shift + np.log(top)
        with np.errstate(divide="ignore"):
            logs.append(shift + np.log(np.hypot.reduce(vector)))
    return np.array(logs)


def _wrong(**options):
    return lambda *given: _right(*given, **options)


MISTAKES = [
    (_wrong(forward=True), "the first step back uses the last row of slopes"),
    (_wrong(transpose=False), "the gradient goes back with W^T"),
    (_wrong(late=True), "the slopes multiply the gradient before W^T does"),
    (lambda *given: np.exp(_right(*given)), "return the logarithms of the lengths"),
    (lambda *given: 2 * _right(*given), "these are the logarithms of the squared lengths"),
    (lambda *given: _right(*given) / np.log(10), "the natural logarithm is asked for"),
    (lambda *given: _right(*given)[::-1], "entry 0 belongs to delta_T itself: the other way round"),
    (lambda *given: _right(*given) - _right(*given)[0], "do not divide by the length of delta_T"),
]


def log_norms(answer):
    """Check problem 3: the logarithms of the lengths."""
    rng = np.random.default_rng(0)

    def case(n, steps, scale):
        return rng.normal(0, scale / n**0.5, (n, n)), rng.uniform(0.2, 1, (steps, n)), rng.normal(0, 2, n)

    def judge(given, hint):
        try:
            engine.values(answer, _right, [given], rtol=1e-12, atol=1e-9, call=CALL)
        except CheckFailed as error:
            if "differs" not in str(error):
                raise
            raise CheckFailed(f"log_norms: {hint}") from None

    usual = [case(4, 9, 1.2), case(2, 25, 0.8)]
    engine.values(answer, _right, usual, mistakes=MISTAKES, rtol=0.0, atol=1e-9, call=CALL)
    for scale in (1e-3, 1e4):
        judge(
            case(5, 700, scale), "lengths beyond float64 are lost: rescale delta in each step, add logarithms"
        )
    for first in (1.0, 0.0):
        chain = 2.0 * np.eye(4, k=1), np.ones((6, 4)), np.array([first, 0, 0, 0])
        hint = "where delta is 0 the entry is -inf, and so are all later ones: do not divide by a length of 0"
        judge(chain, hint)
    return "log_norms: fine"
