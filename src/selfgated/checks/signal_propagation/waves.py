"""Self-check of the fixed points of a wave on a line, by Newton's method in log q."""

import math

import numpy as np

from selfgated.checks import engine
from selfgated.checks.engine import CheckFailed

WAVES = {  # (a, sigma_w2): log q of a start near each crossing, None where there is none
    (-3.0, 0.88): (0.15, 1.05, 3.5),
    (1.0, 0.5): (0.67,),
    (-2.0, 1.3): (-1.8, 1.1),
    (1.0, 2.0): (),
    (1.0, 0.2): (),
}


def fixed_points(answer):
    """Check problem 5: places and stability of the fixed points."""
    for (a, weight), starts in WAVES.items():
        call = f"fixed_points({a:g}, {weight:g})"
        right = [_crossing(a, weight, start) for start in starts]
        _pairs(call, answer(a, weight), right)
    return "fixed_points: fine"


def _pairs(call, found, right):
    if found is None:
        raise CheckFailed("fixed_points returned nothing: is a `return` missing?")
    if not isinstance(found, (list, tuple)):
        raise CheckFailed(f"{call} returned {engine.short(found)}, where a list of pairs is expected")
    if any(not isinstance(point, (list, tuple)) or len(point) != 2 for point in found):
        raise CheckFailed(f"{call}: every entry of the list should be a pair (q, stable)")
    places, stable = [point[0] for point in found], [point[1] for point in found]
    if len(places) == len(right) + 1 and abs(places[0]) < 1e-3:
        raise CheckFailed(
            f"{call} lists q = {engine.short(places[0])}: only positive fixed points are asked for"
        )
    if len(places) != len(right):
        where = "; V(q)/q may cross 1 several times, so look at every step of a fine grid" if right else ""
        raise CheckFailed(f"{call} finds {len(places)} fixed points; there are {len(right)}{where}")
    if places != sorted(places):
        raise CheckFailed(f"{call}: list the fixed points in rising order")
    for place, (q, _) in zip(places, right, strict=True):
        if not abs(place / q - 1) <= 1e-9:
            hint = ": refine the crossings of the grid" if abs(place / q - 1) < 0.05 else ""
            raise CheckFailed(f"{call} has q = {place:.12g}, the right value is {q:.12g}{hint}")
    if not all(isinstance(flag, (bool, np.bool_)) for flag in stable):
        raise CheckFailed(f"{call}: stable should be True or False, not {engine.short(stable[0])}")
    if right and stable == [not flag for _, flag in right]:
        raise CheckFailed(f"{call}: stable and unstable are exchanged; stable is where V(q)/q falls")
    if stable != [flag for _, flag in right]:
        raise CheckFailed(f"{call}: `stable` is {stable}; compare V'(q) with 1 at every fixed point")


def _log_ratio(a, weight, u):
    """log(V(q)/q) and its derivative in u = log q."""
    q = math.exp(u)
    bell, turn = math.exp(-q / 2), -math.expm1(-2 * q)
    ratio = 1 + 2 * a * bell + a * a * turn / (2 * q)
    slope = -a * q * bell + a * a * (math.exp(-2 * q) - turn / (2 * q))
    return math.log(weight * ratio), slope / ratio


def _crossing(a, weight, u):
    """The fixed point near exp(u) by Newton's method, and whether it is stable."""
    for _ in range(50):
        value, slope = _log_ratio(a, weight, u)
        u -= value / slope
    return math.exp(u), slope < 0
