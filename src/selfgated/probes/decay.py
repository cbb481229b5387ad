"""How fast a gradient changes with depth: a robust line through log |dL/dz|."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import theilslopes

__all__ = ["Decay", "decay"]

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Decay:
    """Factor on the norm of dL/dz for one layer further back, with a 95 % interval.

    Attributes
    ----------
    factor, low, high : float
        Theil-Sen slope of log norm against depth, and its interval; nan with fewer than 3 depths.
    ratio : float
        Norm at the first place over that at the last.
    first, last : str
        Labels of these places.
    count : int
        Places on the line.
    """

    factor: float
    low: float
    high: float
    ratio: float
    first: str
    last: str
    count: int


def decay(labels, depth, norms):
    """Decay along `depth`, both (L,), by the places of finite, positive norm; None for fewer than 2.

    Notes
    -----
    The slope is the median over all pairs of places (Theil-Sen): one odd layer of four does not move it. The
    interval takes the scatter about the line as independent.

    Examples
    --------
    >>> found = decay("abcd", [1, 2, 3, 4], [1e-6, 1e-4, 1e-2, 1.0])
    >>> round(found.factor, 6), round(found.ratio, 9)
    (0.01, 1e-06)
    """
    depth, norms = np.asarray(depth, float), np.asarray(norms, float)
    good = np.flatnonzero(np.isfinite(norms) & (norms > 0))
    if len(good) < 2 or np.ptp(depth[good]) == 0:
        return None
    first, last = good[np.argmin(depth[good])], good[len(good) - 1 - np.argmax(depth[good][::-1])]
    factor = low = high = math.nan
    if len(set(depth[good])) > 2:
        slope, _, flat, steep = theilslopes(np.log(norms[good]), depth[good], alpha=CONFIDENCE)
        factor, low, high = math.exp(-slope), math.exp(-steep), math.exp(-flat)
    return Decay(factor, low, high, float(norms[first] / norms[last]), labels[first], labels[last], len(good))
