"""Mean-field theory of wide networks: what one layer does to a variance, a gradient and a correlation."""

import math
from numbers import Integral
from typing import NamedTuple

import numpy as np
from scipy import optimize

from selfgated import catalog, kernels
from selfgated.moments.expectation import moment, slope_moment
from selfgated.moments.quadrature import panel_ends, positive, rule

__all__ = [
    "FixedPoint",
    "Propagation",
    "chi",
    "correlation_gap",
    "edge_of_chaos",
    "fixed_points",
    "propagate",
    "q_star",
    "variance_map",
]

SEARCHED = (-10, 10)  # decades of q
PER_DECADE = 8
SMALL = 1e-16  # a variance at which a smooth f is linear to double precision


class FixedPoint(NamedTuple):
    """A variance that the variance map keeps.

    Attributes
    ----------
    q : float
        The variance.
    slope : float
        Of the variance map there: a small deviation from `q` is multiplied by it in every layer.
    stable : bool
        Whether deviations die out.
    """

    q: float
    slope: float
    stable: bool


class Propagation(NamedTuple):
    """Variances and gradient factors in the layers of a deep network.

    Attributes
    ----------
    q : ndarray, shape (depth,)
        Variance of the pre-activations of layer 1, 2, ...
    chi : ndarray, shape (depth,)
        sigma_w^2 E f'(z)^2 at these variances: the factor on the gradient's variance in this layer.
    """

    q: np.ndarray
    chi: np.ndarray

    @property
    def rate(self):
        """Root-mean-square factor on the gradient per layer, from the last pre-activation to the first.

        The geometric mean of sqrt(chi) over layers 1 to depth - 1; nan for a single layer.
        """
        if self.chi.size < 2:
            return math.nan
        with np.errstate(divide="ignore"):
            return float(np.exp(np.log(self.chi[:-1]).mean() / 2))


def variance_map(act, q, sigma_w2, sigma_b2=0.0, **params):
    """Variance of the next layer's pre-activations: sigma_w^2 E f(z)^2 + sigma_b^2 with z ~ N(0, q).

    Parameters
    ----------
    act : str or callable
        As in `moment`.
    q : float
        Variance of this layer's pre-activations.
    sigma_w2, sigma_b2 : float
        fan_in times the variance of the weights, and the variance of the biases.

    Returns
    -------
    float

    Raises
    ------
    ValueError, TypeError, ArithmeticError
        As `moment`; ValueError for a negative variance.

    References
    ----------
    Poole et al., arXiv:1606.05340, equation 3. Chapter 09.
    """
    sigma_w2 = positive("sigma_w2", sigma_w2, zero=True)
    return sigma_w2 * moment(act, q=q, **params) + positive("sigma_b2", sigma_b2, zero=True)


def chi(act, q, sigma_w2, *, slope=None, **params):
    """Factor on the gradient's variance in one layer: sigma_w^2 E f'(z)^2 with z ~ N(0, q).

    Below 1 gradients vanish with depth, above 1 they explode.

    Parameters
    ----------
    act : str or callable
        As in `moment`.
    q, sigma_w2 : float
        As in `variance_map`.
    slope : callable, optional
        f', for a callable `act`.

    Returns
    -------
    float

    Raises
    ------
    ValueError, TypeError, ArithmeticError
        As `variance_map`; ValueError for a callable without its slope.

    References
    ----------
    Schoenholz et al., arXiv:1611.01232. Chapter 09.

    Examples
    --------
    >>> round(chi(np.tanh, 1.0, 1.0, slope=lambda z: 1 - np.tanh(z) ** 2) / chi("tanh", 1.0, 1.0), 9)
    1.0
    """
    return positive("sigma_w2", sigma_w2, zero=True) * slope_moment(act, q, slope, **params)


def edge_of_chaos(act, q, *, slope=None, **params):
    """Weight and bias variances that keep both the variance q and the gradient: chi = 1 at a fixed point q.

    sigma_w^2 = 1 / E f'^2 and sigma_b^2 = q - E f^2 / E f'^2, with z ~ N(0, q).

    Parameters
    ----------
    act : str or callable
        As in `moment`.
    q : float
        Variance of the pre-activations, positive.
    slope : callable, optional
        f', for a callable `act`.

    Returns
    -------
    sigma_w2, sigma_b2 : float

    Raises
    ------
    ValueError
        If sigma_b^2 would be negative, or as `chi`.
    TypeError, ArithmeticError
        As `moment`.

    Notes
    -----
    The fixed point may be unstable: see `fixed_points`.

    References
    ----------
    Hayou, Doucet and Rousseau, ICML 2019, arXiv:1902.06853. Chapter 09.

    Examples
    --------
    >>> [round(v, 6) for v in edge_of_chaos("gelu", 1.0)]
    [2.1937, 0.067192]
    """
    q = positive("q", q)
    sigma_w2 = 1 / positive("E f'^2", slope_moment(act, q, slope, **params))
    kept = sigma_w2 * moment(act, q=q, **params)
    if abs(q - kept) <= 1e-12 * q:  # ReLU and its like: exactly 0, but for rounding
        return sigma_w2, 0.0
    if kept > q:
        raise ValueError(f"{act!r} has no edge of chaos at q = {q:g}: sigma_b2 would be {q - kept:.6g}")
    return sigma_w2, q - kept


def fixed_points(act, sigma_w2, sigma_b2=0.0, **params):
    """All variances that a layer keeps: q = sigma_w^2 E f(z)^2 + sigma_b^2 with z ~ N(0, q).

    Parameters
    ----------
    act : str or callable
        As in `moment`.
    sigma_w2, sigma_b2 : float
        As in `variance_map`.

    Returns
    -------
    tuple of FixedPoint
        By increasing q: 0 if the map keeps it, and those between 1e-10 and 1e10.

    Raises
    ------
    ValueError
        If every q is a fixed point, as for ReLU with sigma_w^2 = 2 and no bias; or as `variance_map`.
    TypeError, ArithmeticError
        As `variance_map`.

    Notes
    -----
    V(q) / q - 1 is sampled at 8 points per decade, its sign changes are refined by Brent's method, and
    turning points near 0 are searched for two fixed points side by side. The slope is sigma_w^2 E z f(z)
    f'(z) / q, here taken from central differences. Whether it is stable is seen from the map itself, on both
    sides.

    Examples
    --------
    >>> [(round(p.q, 6), p.stable) for p in fixed_points("tanh", 2.0)]
    [(0.0, False), (0.617965, True)]
    """

    def excess(log_q):
        q = math.exp(log_q)
        return variance_map(act, q, sigma_w2, sigma_b2, **params) / q - 1

    low, high = SEARCHED
    # The shift keeps round variances, which are likely roots, off the grid.
    grid = np.linspace(low * math.log(10), high * math.log(10), (high - low) * PER_DECADE + 1) + 0.0123
    values = np.array([excess(at) for at in grid])
    if (np.abs(values) < 1e-9).all():
        raise ValueError(
            f"every q is a fixed point of {act!r} at sigma_w2 = {sigma_w2:g}, sigma_b2 = {sigma_b2:g}"
        )
    found = []
    if variance_map(act, 0.0, sigma_w2, sigma_b2, **params) == 0:
        slope = variance_map(act, SMALL, sigma_w2, **params) / SMALL
        marginal = abs(slope - 1) < 1e-9
        away = values[np.abs(values) > 1e-9]  # the first tells: ReLU6 keeps small variances to the last bit
        found.append(FixedPoint(0.0, slope, bool(away[0] < 0 if marginal else slope < 1)))
    for a, b in _brackets(excess, grid, values):
        root = optimize.brentq(excess, a, b, xtol=1e-14, rtol=1e-14)
        found.append(_classified(excess, root))
    return tuple(found)


def _brackets(excess, grid, values):
    """Neighbours between which `excess` changes sign, also where it dips through 0 and back between three."""
    points, signs = list(grid), list(np.where(values < 0, -1.0, 1.0))
    for i in range(1, grid.size - 1):
        left, here, right = values[i - 1 : i + 2]
        if (
            here * left > 0
            and here * right > 0
            and abs(here) < min(abs(left), abs(right))
            and abs(here) < 0.5
        ):
            side = math.copysign(1.0, here)
            turn = optimize.minimize_scalar(
                lambda at, side=side: side * excess(at),
                bounds=(grid[i - 1], grid[i + 1]),
                method="bounded",
                options={"xatol": 1e-9},
            )
            points.append(turn.x)
            signs.append(side * math.copysign(1.0, turn.fun))
    order = np.argsort(points)
    points, signs = np.array(points)[order], np.array(signs)[order]
    # Within rounding of 0 the sign means nothing: q near 0 of an f with f'(0)^2 sigma_w^2 = 1.
    changes = np.flatnonzero(signs[1:] * signs[:-1] < 0)
    sure = [i for i in changes if max(abs(excess(points[i])), abs(excess(points[i + 1]))) > 1e-11]
    return [(points[i], points[i + 1]) for i in sure]


def _classified(excess, root):
    q, step = math.exp(root), 1e-4
    above, below = excess(root + step), excess(root - step)
    slope = 1 + (above - below) / (2 * step)  # d log V / d log q, which is V' at a fixed point
    return FixedPoint(q, slope, bool(above < 0 < below and slope > -1))


def q_star(act, sigma_w2, sigma_b2=0.0, **params):
    """Variance that deep layers settle at: the stable fixed point of `variance_map`.

    Parameters
    ----------
    act, sigma_w2, sigma_b2
        As in `fixed_points`.

    Returns
    -------
    float
        0.0 where the signal dies.

    Raises
    ------
    ValueError
        If no fixed point is stable, or several are; and as `fixed_points`.
    TypeError, ArithmeticError
        As `fixed_points`.

    Examples
    --------
    >>> round(q_star("tanh", 2.0), 6)
    0.617965
    """
    points = fixed_points(act, sigma_w2, sigma_b2, **params)
    stable = [point.q for point in points if point.stable]
    if len(stable) == 1:
        return stable[0]
    shown = ", ".join(f"{q:.6g}" for q in (stable or [point.q for point in points])) or "none"
    which = f"stable ones {shown}: see fixed_points" if stable else f"unstable ones {shown}"
    raise ValueError(
        f"{act!r} at sigma_w2 = {sigma_w2:g}, sigma_b2 = {sigma_b2:g} has {len(stable)} stable fixed points"
        f" ({which})"
    )


def propagate(act, depth, sigma_w2, *, q0, sigma_b2=0.0, slope=None, **params):
    """Variance and gradient factor of every layer, predicted without a network.

    q_1 = sigma_w^2 q_0 + sigma_b^2, then q_(l+1) = sigma_w^2 E f(z_l)^2 + sigma_b^2 with z_l ~ N(0, q_l);
    chi_l = sigma_w^2 E f'(z_l)^2.

    Parameters
    ----------
    act : str or callable
        As in `moment`.
    depth : int
        Layers, each with an activation; at least 1.
    sigma_w2, sigma_b2 : float
        As in `variance_map`, the same in all layers.
    q0 : float
        Mean square of the network's inputs.
    slope : callable, optional
        f', for a callable `act`.

    Returns
    -------
    Propagation

    Raises
    ------
    ValueError
        For a bad argument, or where the variance overflows.
    TypeError, ArithmeticError
        As `chi`.

    Examples
    --------
    >>> round(propagate("sigmoid", 10, 1 / 3, q0=1.0).rate, 4)
    0.1407
    """
    if not isinstance(depth, Integral) or depth < 1:
        raise ValueError(f"depth must be an integer of at least 1, got {depth!r}")
    sigma_w2, sigma_b2 = positive("sigma_w2", sigma_w2, zero=True), positive("sigma_b2", sigma_b2, zero=True)
    q = np.empty(depth)
    factors = np.empty(depth)
    q[0] = sigma_w2 * positive("q0", q0, zero=True) + sigma_b2
    for layer in range(depth):
        if layer:
            q[layer] = variance_map(act, q[layer - 1], sigma_w2, sigma_b2, **params)
        factors[layer] = chi(act, q[layer], sigma_w2, slope=slope, **params)
    return Propagation(q, factors)


def correlation_gap(act, gap, q, sigma_w2, *, kinks=(), **params):
    """One minus the correlation of two inputs after a layer, from one minus it before the layer.

    sigma_w^2 E (f(z_1) - f(z_2))^2 / (2 q), where z_1 and z_2 are N(0, q) with correlation 1 - gap, and q is
    a fixed point of `variance_map`. Computed from the difference, so that a tiny gap keeps its digits.

    Parameters
    ----------
    act : str or callable
        As in `moment`.
    gap : float
        One minus the correlation, between 0 and 2.
    q : float
        Variance of the pre-activations, positive.
    sigma_w2 : float
        As in `variance_map`.
    kinks : sequence of float
        For a callable: the points where it is not smooth.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        For a bad argument.
    TypeError
        If the activation does not take a parameter.

    References
    ----------
    Poole et al., arXiv:1606.05340; Hayou, Doucet and Rousseau, ICML 2019, arXiv:1902.06853. Chapter 09.

    Examples
    --------
    >>> round(correlation_gap("identity", 0.25, 1.0, 1.0), 12)
    0.25
    """
    q, gap = positive("q", q), positive("gap", gap, zero=True)
    if gap > 2:
        raise ValueError(f"gap must be at most 2, got {gap!r}")
    f = act
    if not callable(act):
        record = catalog.get(act)
        given, kernel = record.parameters(params), getattr(kernels, record.name)
        f, kinks = (lambda z: kernel(z, **given)), [kink.where for kink in record.kinks]
    scale, apart = math.sqrt(q), math.sqrt(gap * (2 - gap))
    nodes, weights = rule()
    ends = panel_ends([at / scale for at in kinks])
    half, middle = np.diff(ends) / 2, (ends[1:] + ends[:-1]) / 2
    u = (middle[:, None] + half[:, None] * nodes).ravel()
    outer = (half[:, None] * weights).ravel() * np.exp(-u * u / 2)
    # Given z_1 = scale u, z_2 is scale ((1 - gap) u + apart v): its panels in v end at its own kinks.
    steps = np.arange(-10.0, 11.0)
    bends = [(at / scale - (1 - gap) * u) / max(apart, 1e-300) for at in (*kinks, 0.0)]
    inner = np.column_stack([*np.broadcast_to(steps[:, None], (21, u.size)), *bends])
    inner = np.sort(np.clip(inner, -10, 10), axis=1)
    half, middle = np.diff(inner) / 2, (inner[:, 1:] + inner[:, :-1]) / 2
    v = middle[..., None] + half[..., None] * nodes  # (nodes of u, panels of v, nodes)
    second = f(scale * ((1 - gap) * u[:, None, None] + apart * v))
    square = (second - f(scale * u)[:, None, None]) ** 2
    mean = outer @ ((half[..., None] * weights * np.exp(-v * v / 2)) * square).sum(axis=(1, 2))
    return positive("sigma_w2", sigma_w2, zero=True) * float(mean) / (2 * math.pi) / (2 * q)
