"""Rounding errors in units in the last place (ULP), against references that share no formula with the
kernels.

One ULP of an exact value y is the distance between the floating-point numbers around it: 2^(e - p + 1) for
2^e <= abs(y) < 2^(e + 1) in a type of p bits, and the smallest subnormal number below the normal range. A
result is correctly rounded if its error is at most 0.5 ULP.

Two references are offered. `exact` evaluates the textbook definition, differentiated by SymPy, with mpmath at
whatever precision its cancellations need: any type, some 10^4 values a second. `Reference` interpolates the
same definition by polynomials through mpmath values, good to a few parts in 10^16: enough for float32 and
narrower types, some 10^7 values a second. Chapter 06 uses both.
"""

from dataclasses import dataclass
from functools import cache

import mpmath
import numpy as np
import sympy

from selfgated import symbolic

# bits of the significand, exponents of the smallest normal number and of the first power of two too large
PRECISION = {
    "float16": (11, -14, 16),
    "bfloat16": (8, -126, 128),
    "float32": (24, -126, 128),
    "float64": (53, -1022, 1024),
}
DEGREE = 13
# Where the cells of Reference end, and their width: a polynomial of this degree then fits to 1e-19. Beyond,
# the distance to the asymptote is below 1e-45, less than any float32 but zero.
EXPONENTIAL_CELLS = (113.0, 1 / 4)
GAUSSIAN_CELLS = (16.0, 1 / 16)
GAUSSIAN = ("gelu", "gelu_tanh")


def spacing(exact, dtype="float32"):
    """Size of one ULP at each exact value.

    Parameters
    ----------
    exact : ndarray of float64, any shape
    dtype : str
        float16, bfloat16, float32 or float64.

    Returns
    -------
    ndarray of float64, the shape of `exact`; dimensionless.

    Examples
    --------
    >>> float(spacing(1.5, "float32")) == 2.0**-23
    True
    """
    if dtype not in PRECISION:
        raise ValueError(f"no precision for dtype {dtype!r}; choose from {list(PRECISION)}")
    bits, e_min, _ = PRECISION[dtype]
    exact = np.asarray(exact, np.float64)
    _, exponent = np.frexp(exact)
    exponent = np.where(exact == 0, e_min, np.maximum(exponent - 1, e_min))
    return np.ldexp(1.0, exponent - (bits - 1))


def error(got, exact, dtype=None):
    """Error of `got` in ULP of the exact value.

    Parameters
    ----------
    got : ndarray, any shape
        What a function returned, in the type under test.
    exact : ndarray of float64, the shape of `got`
        The exact values (rounded to float64: meant for types narrower than that).
    dtype : str, optional
        The type under test; by default that of `got`.

    Returns
    -------
    ndarray of float64: 0 where both are the same infinity or both NaN, inf where only one of them is.
    """
    got = np.asarray(got)
    dtype = got.dtype.name if dtype is None else dtype
    unit = spacing(exact, dtype)
    got, exact = got.astype(np.float64), np.asarray(exact, np.float64)
    with np.errstate(all="ignore"):
        top = np.ldexp(1.0, PRECISION[dtype][2])  # the number that an infinity stands for
        gap = np.abs(np.where(np.isinf(got), np.copysign(top, got), got) - exact) / unit
        overflow = np.isinf(got) & (got * exact > 0) & (np.abs(exact) >= top - spacing(top / 2, dtype) / 2)
    same = (got == exact) | (np.isnan(got) & np.isnan(exact)) | overflow
    return np.where(same, 0.0, np.where(np.isnan(gap), np.inf, gap))


def exact(name, order, z, **params):
    """Exact values of f, f' or f'' as mpmath numbers of 50 digits: see `selfgated.symbolic.evaluate`.

    Parameters
    ----------
    name : str
        Canonical name.
    order : int
        0 for f, 1 for f', 2 for f''.
    z : iterable of float

    Returns
    -------
    list of mpmath.mpf
    """
    return [symbolic.evaluate(name, order, float(at), **params) for at in z]


def error_exact(got, reference, dtype="float64"):
    """Errors in ULP of float64 (or narrower) results against mpmath numbers.

    Parameters
    ----------
    got : sequence of float, shape (n,)
    reference : sequence of mpmath.mpf, shape (n,)

    Returns
    -------
    ndarray of float64, shape (n,), rounded up: 0.5 or less is correctly rounded, by however little.
    """
    bits, e_min, _ = PRECISION[dtype]
    out = []
    with mpmath.workdps(50):
        for g, y in zip(got, reference, strict=True):
            unit = mpmath.ldexp(1, max(mpmath.frexp(y)[1] - 1, e_min) - (bits - 1))
            gap = abs(mpmath.mpf(float(g)) - y) / unit
            near = float(gap)
            out.append(near if near >= gap else np.nextafter(near, np.inf))
    return np.array(out)


@dataclass(frozen=True)
class Reference:
    """f, f' or f'' of a smooth activation as piecewise polynomials; build one with `reference`.

    Attributes
    ----------
    low, high, step : float
        The cells, of width `step`, cover [low, high]. Beyond, the value is `left` or `right`.
    centre, centre_lo : ndarray, shape (cells,)
        Where each cell expands; in a cell with a zero of the function, the zero, as a sum of two float64.
    coefficients : ndarray, shape (DEGREE + 2, cells)
        Lowest first; the first is 0 in a cell with a zero, so that relative accuracy is kept there.
    left, right : callable
        Asymptotes.
    """

    low: float
    high: float
    step: float
    centre: np.ndarray
    centre_lo: np.ndarray
    coefficients: np.ndarray
    left: object
    right: object

    def __call__(self, z, lo=0.0):
        """Values at z + lo, float64 of any shape, to a few parts in 10^16 of the value."""
        z = np.asarray(z, np.float64)
        with np.errstate(all="ignore"):
            cell = np.floor((np.clip(z, self.low, self.high) - self.low) / self.step)
        cell = np.where(np.isnan(cell), 0, np.minimum(cell, len(self.centre) - 1)).astype(np.intp)
        if cell.size and cell.min() == cell.max():
            cell = cell.flat[0]
        d = (z - self.centre[cell]) + (lo - self.centre_lo[cell])
        with np.errstate(all="ignore"):
            total = self.coefficients[-1][cell]
            for c in self.coefficients[-2::-1]:
                total = c[cell] + d * total
            return np.where(z < self.low, self.left(z), np.where(z > self.high, self.right(z), total))


@cache
def reference(name, order):
    """Build the `Reference` of an activation without kinks, of parameter-free names, in a second or two.

    Parameters
    ----------
    name : str
        One of the smooth canonical names: sigmoid, tanh, softplus, silu, gelu, gelu_tanh, gelu_sigmoid, mish.
    order : int
        0 for f, 1 for f', 2 for f''.

    Raises
    ------
    ValueError
        For a function with kinks.
    """
    if symbolic.kinks(name):
        raise ValueError(f"{name!r} has kinks; polynomials do not fit it")
    high, step = GAUSSIAN_CELLS if name in GAUSSIAN else EXPONENTIAL_CELLS
    high -= step / 2  # 0 lies inside a cell: it may be a zero
    z = symbolic.z
    fn = sympy.lambdify(z, symbolic.derivative(name, order) if order else symbolic.definition(name), "mpmath")
    with mpmath.workdps(200):  # the textbook forms lose up to 113 / log(10) digits a factor
        centres, lows, columns = [], [], []
        edge = fn(mpmath.mpf(-high))
        for k in range(round(2 * high / step)):
            a = mpmath.mpf(-high) + k * mpmath.mpf(step)
            here, edge = edge, fn(a + step)
            zero = mpmath.sign(here) * mpmath.sign(edge) < 0
            at = _zero(fn, a, a + step) if zero else a + mpmath.mpf(step) / 2
            centres.append(float(at))
            lows.append(float(at - mpmath.mpf(float(at))))
            columns.append(_interpolate(fn, a, at, zero, step))
    return Reference(
        -high,
        high,
        step,
        np.array(centres),
        np.array(lows),
        np.array(columns).T,
        *(_asymptote(name, order, side) for side in ("left", "right")),
    )


def _zero(fn, a, b):
    """The zero of fn in (a, b)."""
    if a < 0 < b and fn(mpmath.mpf(0)) == 0:
        return mpmath.mpf(0)
    return mpmath.findroot(fn, (a, b), solver="anderson", tol=mpmath.mpf(10) ** -120)


def _nodes(step):
    """Chebyshev nodes of a cell, as offsets in [0, step]."""
    n = DEGREE + 1
    return [step / 2 * (1 + mpmath.cos(mpmath.pi * (2 * i + 1) / (2 * n))) for i in range(n)]


def _interpolate(fn, a, at, zero, step):
    """Coefficients in d = z - at, lowest first, of the polynomial through fn; with a zero, of d times one."""
    d = [a + node - at for node in _nodes(step)]
    y = [fn(at + x) / x if zero else fn(at + x) for x in d]
    n = len(d)
    # Newton's divided differences, then expanded about d = 0.
    for level in range(1, n):
        for i in range(n - 1, level - 1, -1):
            y[i] = (y[i] - y[i - 1]) / (d[i] - d[i - level])
    poly = [mpmath.mpf(0)] * n
    for i in range(n - 1, -1, -1):
        poly = [y[i] - d[i] * poly[0], *(poly[j - 1] - d[i] * poly[j] for j in range(1, n))]
    return [0.0, *map(float, poly)] if zero else [*map(float, poly), 0.0]


def _asymptote(name, order, side):
    """What f, f' or f'' is, to 45 digits or more, beyond the cells."""
    ends = symbolic.limits(name)
    limit = getattr(ends, f"{('f', 'grad')[order]}_{side}") if order < 2 else sympy.Integer(0)
    if limit.is_infinite:
        return lambda z: z
    return lambda z, constant=float(limit): np.full_like(z, constant)
