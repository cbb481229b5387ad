"""Self-check of nodes and weights for means over a bell curve, by moments that have closed forms."""

import math

import numpy as np

from selfgated.checks import engine
from selfgated.checks.answers import is_pair
from selfgated.checks.engine import CheckFailed


def gaussian_rule(answer):
    """Check problem 2: moments of the bell curve, then kinks and jumps, then odd lists."""
    for q in (1.0, 0.04, 60.0):
        _smooth(*_nodes(answer, q, []), q)
    for q in (1.0, 0.04, 60.0):
        z, w = _nodes(answer, q, [-0.5, 1.5])
        density = math.exp(-0.125 / q) * math.sqrt(q / (2 * math.pi))
        upper = math.exp(-1.125 / q) * math.sqrt(q / (2 * math.pi))
        _mean(w * ((z > -0.5) & (z < 1.5)) * z, density - upper, f"kinks [-0.5, 1.5], q = {q:g}", _JUMP)
        folded = 2 * density - 0.5 * math.erf(0.5 / math.sqrt(2 * q))
        _mean(
            w * np.abs(z + 0.5), folded + math.erf(0.5 / math.sqrt(2 * q)), f"kink at -0.5, q = {q:g}", _JUMP
        )
    for kinks in ([1e4, -1e4], [0.7, -0.7], [0.7, 0.7], [1e200]):
        z, w = _nodes(answer, 1.0, kinks)
        if (w < 0).any():
            raise CheckFailed(f"gaussian_rule has negative weights for kinks {kinks}: sort the panel ends")
        with np.errstate(invalid="ignore", over="ignore"):
            _mean(w * z**2, 1.0, f"kinks {kinks}", "drop repeated kinks and those far outside")
    return "gaussian_rule: fine"


_JUMP = "is every kink an end of a panel, in units of z?"


def _nodes(answer, q, kinks):
    call = f"gaussian_rule({q:g}, {kinks})"
    pair = answer(q, list(kinks))
    if pair is None:
        raise CheckFailed("gaussian_rule returned nothing: is a `return` missing?")
    if not is_pair(pair):
        raise CheckFailed(f"gaussian_rule returned {engine.short(pair)}, where two things are expected: z, w")
    z, w = map(np.asarray, pair)
    if z.ndim != 1 or z.shape != w.shape:
        raise CheckFailed(f"{call}: z has the shape {z.shape}, w {w.shape}; both should be (n,)")
    if z.size > 20_000:
        raise CheckFailed(f"{call} has {z.size} nodes; at most 20,000 are allowed")
    if not (np.isfinite(z).all() and np.isfinite(w).all()):
        raise CheckFailed(f"{call} has nodes or weights that are not finite: drop kinks far outside")
    if np.isin(z, kinks).any():
        raise CheckFailed(
            f"{call}: a node lies on a kink, where f may jump. Gauss's nodes lie inside a panel"
        )
    return z, w


def _smooth(z, w, q):
    """Say which factor is wrong in a rule without kinks."""
    given = f"q = {q:g}"
    for total, words in (
        (math.sqrt(math.pi), "divide Gauss-Hermite weights by sqrt(pi)"),
        (math.sqrt(2 * math.pi * q), "divide the density by sqrt(2 pi q)"),
        (math.sqrt(q), "the density of N(0, q) has 1/sqrt(q) in front"),
        (2.0, "a panel of width b - a has the weights of [-1, 1] times (b - a)/2"),
    ):
        if abs(total - 1) > 1e-3 and abs(w.sum() / total - 1) < 1e-9:
            raise CheckFailed(f"gaussian_rule, {given}: the weights sum to {w.sum():.6g}, not to 1: {words}")
    _mean(w, 1.0, given, "the weights should sum to 1; do they reach 8 standard deviations far?")
    second = (w * z * z).sum()
    for wrong, words in (
        (q * q, "q is a variance: the standard deviation is sqrt(q)"),
        (1.0, "z should have the variance q"),
        (q / 2, "Gauss-Hermite nodes need a factor sqrt(2)"),
    ):
        if abs(wrong / q - 1) > 1e-3 and abs(second / wrong - 1) < 1e-9:
            raise CheckFailed(f"gaussian_rule, {given}: E z^2 is {second:.6g}, not q: {words}")
    _mean(w * z**4, 3 * q * q, f"{given}, f = z^4", "does the rule reach far enough into the tails?")
    _mean(w * np.cos(z) ** 2, 0.5 * (1 + math.exp(-2 * q)), f"{given}, f = cos(z)^2", "panels too wide?")


def _mean(terms, right, given, hint):
    found = float(terms.sum())
    if not abs(found - right) <= 1e-10 * np.abs(terms).sum():
        off = f"{found:.12g}, the right value is {right:.12g}"
        raise CheckFailed(f"gaussian_rule, {given}: a mean is {off}. Hint: {hint}")
