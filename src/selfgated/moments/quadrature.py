"""Means over a Gaussian: a fixed rule for functions whose kinks are known, an adaptive one for all others."""

import math
from functools import cache
from numbers import Integral
from typing import NamedTuple

import numpy as np

__all__ = ["REACH", "Estimate", "estimate", "expect", "panel_ends", "positive", "rule"]

REACH = 14.0  # standard deviations: the density beyond is below 1e-43
NODES = 20
SMALLEST = 2.0**-30  # of the panels that halve towards 0, in standard deviations
WIDTH = 1 / 64  # of the panels that the adaptive rule starts with
DEGREE = 16  # of its Clenshaw-Curtis rule, compared with rules on every 2nd and 4th node
MOST = 2_000_000  # evaluations before it gives up
TINY = 1e-200  # stands in for 0 in a denominator
DOUBT = 1e-3  # a panel whose rules differ by this share of its variation counts as not resolved


class Estimate(NamedTuple):
    """A mean, and a bound on its error.

    Attributes
    ----------
    value : float
    error : float
        Absolute: the true mean lies within `value` plus or minus `error`.
    """

    value: float
    error: float


def positive(what, value, *, zero=False):
    """Return `value` as a float that is finite and positive, or also 0.

    Parameters
    ----------
    what : str
        Its name, for the message.
    value : float
    zero : bool
        Whether 0 is allowed.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        For any other value.
    """
    value = float(value)
    if not (math.isfinite(value) and (value > 0 or (zero and value == 0))):
        raise ValueError(f"{what} must be finite and {'at least 0' if zero else 'positive'}, got {value!r}")
    return value


@cache
def rule():
    """Return nodes and weights of the Gauss-Legendre rule on [-1, 1] that a panel uses.

    Returns
    -------
    nodes, weights : ndarray, shape (20,)
    """
    return np.polynomial.legendre.leggauss(NODES)


def panel_ends(kinks=(), width=1.0):
    """Ends of panels that cover [-14, 14] and halve towards 0 and towards every kink.

    A feature of any width there is so resolved by some of them.

    Parameters
    ----------
    kinks : sequence of float
        In standard deviations.
    width : float
        Of the widest panels.

    Returns
    -------
    ndarray, shape (n,)
        Increasing.
    """
    steps = np.concatenate(
        [[0.0], np.geomspace(SMALLEST, width / 2, 30), np.arange(width, 2 * REACH + 1, width)]
    )
    centres = [0.0, *(at for at in kinks if abs(at) < REACH)]
    ends = np.concatenate([centre + side * steps for centre in centres for side in (-1, 1)])
    return np.unique(np.clip(ends, -REACH, REACH))


def _density(u):
    return np.exp(-u * u / 2) / math.sqrt(2 * math.pi)


def expect(f, q, kinks=()):
    """E f(z) with z ~ N(0, q), by 20 Gauss-Legendre nodes on each of the panels of `panel_ends`.

    Parameters
    ----------
    f : callable
        From a float64 array to an array of its shape; smooth between the kinks, its finest features there or
        at 0.
    q : float
        Variance, positive or 0.
    kinks : sequence of float
        Where f is not smooth.

    Returns
    -------
    float
        A panel that straddles a kink converges slowly, and nothing here tells: see `estimate`.
    """
    if q == 0:
        return float(f(np.zeros(1))[0])
    scale = math.sqrt(q)
    ends = panel_ends([at / scale for at in kinks])
    half, middle = np.diff(ends) / 2, (ends[1:] + ends[:-1]) / 2
    nodes, weights = rule()
    u = middle[:, None] + half[:, None] * nodes  # (panels, NODES)
    return float((half[:, None] * weights * _density(u) * f(scale * u)).sum())


@cache
def _clenshaw_curtis(degree):
    """Nodes and weights of the rule on [-1, 1] whose nodes include both ends; degree even."""
    k = np.arange(degree + 1)
    even = np.arange(0, degree + 1, 2)
    terms = 2.0 / (1 - even**2)
    terms[[0, -1]] /= 2
    weights = 2 / degree * np.cos(np.pi * np.outer(k, even) / degree) @ terms
    weights[[0, -1]] /= 2
    return np.cos(np.pi * k / degree), weights


class _Panels:
    """Panels [a, b] of the adaptive rule, with the integral and the error of each.

    The error is honest for functions that are monotone between neighbouring nodes: where the rules differ
    visibly, it is a bound (the variation of each gap times its width), elsewhere it falls faster than their
    difference.
    """

    def __init__(self, sample, a, b, named):
        nodes, fine = _clenshaw_curtis(DEGREE)
        (_, coarse), (_, coarsest) = _clenshaw_curtis(DEGREE // 2), _clenshaw_curtis(DEGREE // 4)
        half = (b - a) / 2
        # Next to a named kink the end node moves inwards by a hair: f at the point of a jump has no weight.
        hair = np.minimum(1e-3, 1e-12 / half)
        x = np.tile(nodes, (a.size, 1))
        x[:, 0] -= hair * np.isin(b, named)
        x[:, -1] += hair * np.isin(a, named)
        y = sample((a + b)[:, None] / 2 + half[:, None] * x)  # (panels, DEGREE + 1)
        gaps = -np.diff(nodes) / 2
        trapezoid = half * ((y[:, 1:] + y[:, :-1]) @ gaps)
        self.a, self.b = a, b
        self.value = half * (y @ fine)
        self.size = half * (np.abs(y) @ fine)
        bound = half * (np.abs(np.diff(y)) @ gaps) + np.abs(self.value - trapezoid)
        # At a kink two rules may agree by chance; a third, about 16 times less exact there, then tells.
        difference = np.maximum(
            np.abs(self.value - half * (y[:, ::2] @ coarse)),
            np.abs(self.value - half * (y[:, ::4] @ coarsest)) / 16,
        )
        share = np.minimum(difference, DOUBT * bound) / np.maximum(DOUBT * bound, TINY)
        self.error = np.maximum(bound * share**1.5, difference)

    def take(self, chosen):
        """Keep the chosen panels only."""
        for key, values in vars(self).items():
            setattr(self, key, values[chosen])

    def append(self, other):
        """Add the panels of `other`."""
        for key, values in vars(self).items():
            setattr(self, key, np.concatenate([values, getattr(other, key)]))


def _sampler(f, power, scale, told):
    def sample(u):
        z = (scale * u).ravel()
        values = np.asarray(f(z))
        if np.iscomplexobj(values) or values.shape not in ((), (1,), z.shape):
            raise ValueError(
                f"{told}: f must map an array to real numbers of its shape {z.shape}, or to one, "
                f"not to {values.dtype} of shape {values.shape}"
            )
        values = np.broadcast_to(values.astype(np.float64), z.shape)
        bad = ~np.isfinite(values)
        if bad.any():
            at = z[bad.argmax()]
            raise ValueError(f"{told}: f is not finite at z = {at:.6g}, got {values[bad.argmax()].item()!r}")
        with np.errstate(over="ignore"):
            raised = values**power
        if not np.isfinite(raised).all():
            raise ValueError(f"{told} overflows at z = {z[(~np.isfinite(raised)).argmax()]:.6g}")
        return _density(u) * raised.reshape(u.shape)

    return sample


def estimate(f, power=2, *, q=1.0, kinks=(), tol=1e-10):
    """Mean of a power of any function over Gaussian arguments, with a bound on its error.

    E f(z)^power with z ~ N(0, q).

    Parameters
    ----------
    f : callable
        From a float64 array of shape (n,) to an array of that shape, or to one number.
    power : int
        At least 1.
    q : float
        Variance; 0 means z = 0.
    kinks : sequence of float
        Points where f is not smooth or changes fast. They need not be named, it only saves work; a feature
        narrower than about sqrt(q) / 500 away from 0 must be named, or it may be missed.
    tol : float
        Error that is allowed, relative to E abs(f(z))^power; from 1e-13 up.

    Returns
    -------
    Estimate
        The value and an absolute bound on its error, at most tol E abs(f)^power.

    Raises
    ------
    ValueError
        For a bad argument, or where f is not finite or overflows.
    ArithmeticError
        If the tolerance is not met within 2 million evaluations (f jumps everywhere, is noisy, or has
        rounding errors above the tolerance), or if the integrand has not died out at 14 standard deviations.

    Notes
    -----
    Clenshaw-Curtis rules of degree 16, 8 and 4 on panels of 1/64 standard deviation; those with the largest
    errors are halved. A panel where the rules differ is charged the variation of f between its nodes,
    times their distance: a bound for every f that is monotone between them, jumps included. Halves are also
    charged what they differ from their parent. ``tests/test_moments.py`` compares the bound with
    exact errors for hundreds of jumps and kinks.

    Examples
    --------
    >>> half = estimate(lambda z: z > 0.3, power=1)
    >>> bool(abs(half.value - math.erfc(0.3 / math.sqrt(2)) / 2) < half.error < 1e-10)
    True
    """
    if not isinstance(power, Integral) or power < 1:
        raise ValueError(f"power must be an integer of at least 1, got {power!r}")
    q, tol = positive("q", q, zero=True), positive("tol", tol)
    if not 1e-13 <= tol < 1:
        raise ValueError(f"tol must be at least 1e-13 and below 1, got {tol!r}")
    told, scale = f"E f(z)^{power} at q = {q:g}", math.sqrt(q)
    sample = _sampler(f, int(power), scale, told)
    if q == 0:
        value = float(sample(np.zeros(1))[0] * math.sqrt(2 * math.pi))
        return Estimate(value, 4 * np.finfo(float).eps * abs(value))
    named = [float(at) / scale for at in kinks]
    if not np.isfinite(named).all():
        raise ValueError(f"kinks must be finite, got {list(kinks)}")
    ends = panel_ends(named, WIDTH)
    panels = _Panels(sample, ends[:-1], ends[1:], named)
    tail = float(np.abs(sample(np.array([-REACH, REACH]))).sum())
    used = panels.a.size
    while True:
        size = float(panels.size.sum())
        rounding = 16 * np.finfo(float).eps * size
        error = float(panels.error.sum()) + tail + rounding
        if error <= tol * size or size == 0:
            return Estimate(math.fsum(panels.value), float(error))
        if tail > tol * size:
            raise ArithmeticError(f"{told}: the integrand has not died out at {REACH:g} standard deviations")
        worst = panels.error >= panels.error.max() / 8
        worst &= panels.b - panels.a > 1e-14  # thinner panels hold no more float64 numbers
        used += 2 * int(worst.sum())
        if not worst.any() or used * (DEGREE + 1) > MOST:
            raise ArithmeticError(
                f"{told}: the error is only known to be below {error / size:.2g} of E|f|^{power}, above"
                f" tol = {tol:g}, after {used * (DEGREE + 1)} evaluations; name the kinks, or raise tol"
            )
        _halve(panels, worst, sample, named)


def _halve(panels, worst, sample, named):
    a, b, parent = panels.a[worst], panels.b[worst], panels.value[worst]
    middle = (a + b) / 2
    halves = _Panels(sample, np.concatenate([a, middle]), np.concatenate([middle, b]), named)
    n = a.size
    off = np.abs(parent - halves.value[:n] - halves.value[n:])
    halves.error = np.maximum(halves.error, np.concatenate([off, off]))
    panels.take(~worst)
    panels.append(halves)
