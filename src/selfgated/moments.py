"""Gaussian moments of an activation and its derivatives, and what mean-field theory makes of them.

With pre-activations z ~ N(0, q) all of these are integrals E f(z)^p. They are computed by Gauss-Legendre
quadrature on panels that end at the kinks, because a rule that straddles a kink converges slowly.
"""

import math
from dataclasses import dataclass
from functools import cache, lru_cache
from numbers import Integral

import numpy as np

from selfgated import catalog, kernels

__all__ = [
    "Gains",
    "backward_gain",
    "chi",
    "edge_of_chaos",
    "forward_gain",
    "gains",
    "moment",
    "variance_map",
]

REACH = 14.0  # standard deviations: the density beyond is below 1e-43
NODES = 20
SMALLEST = 2.0**-30  # of the panels that halve towards 0, in standard deviations
SUFFIX = ("", "_grad", "_grad2")


@dataclass(frozen=True)
class Gains:
    """Moments and gains of one activation at z ~ N(0, 1); all dimensionless.

    Attributes
    ----------
    mean, variance : float
        E f and Var f.
    second : float
        E f^2.
    slope_second : float
        E f'^2.
    forward, backward : float
        1 / sqrt(E f^2) and 1 / sqrt(E f'^2): see `forward_gain` and `backward_gain`.
    """

    mean: float
    variance: float
    second: float
    slope_second: float
    forward: float
    backward: float


@cache
def _rule():
    return np.polynomial.legendre.leggauss(NODES)


def _expect(f, q, breaks):
    """E f(sqrt(q) u) with u ~ N(0, 1): f smooth between `breaks`, its finest features there or at 0."""
    scale = math.sqrt(q)
    centres = [0.0, *(at / scale for at in breaks)]
    # Panels halve towards every centre, so that a feature of any width there is resolved by some of them.
    steps = np.concatenate([[0.0], np.geomspace(SMALLEST, 0.5, 30), np.arange(1.0, 2 * REACH + 1)])
    ends = np.concatenate(
        [centre + side * steps for centre in centres if abs(centre) < REACH for side in (-1, 1)]
    )
    ends = np.unique(np.clip(ends, -REACH, REACH))
    half, middle = np.diff(ends) / 2, (ends[1:] + ends[:-1]) / 2
    nodes, weights = _rule()
    u = middle[:, None] + half[:, None] * nodes  # (panels, NODES)
    density = np.exp(-u * u / 2) / math.sqrt(2 * math.pi)
    return float((half[:, None] * weights * density * f(scale * u)).sum())


def _positive(what, value, *, zero=False):
    """Return `value` as a float, or raise ValueError."""
    value = float(value)
    if not (math.isfinite(value) and (value > 0 or (zero and value == 0))):
        raise ValueError(f"{what} must be finite and {'at least 0' if zero else 'positive'}, got {value!r}")
    return value


def moment(act, power=2, *, order=0, q=1.0, breaks=(), **params):
    """Mean of a power of an activation, or of its derivative, over Gaussian pre-activations.

    E [f^(order)(z)]^power with z ~ N(0, q).

    Parameters
    ----------
    act : str or callable
        A name or alias, or a function of float64 arrays.
    power : int
        At least 1.
    order : {0, 1, 2}
        0 for f, 1 for f', 2 for f''. A callable stands for itself: order 0.
    q : float
        Variance of the pre-activation; 0 means z = 0.
    breaks : sequence of float
        For a callable: the points where it is not smooth, or changes fast. 0 need not be named.
    **params : float
        The parameter of swish, leaky_relu or elu.

    Returns
    -------
    float
        Dimensionless. The error is below 1e-12, relative, or absolute where the mean cancels.

    Raises
    ------
    ValueError
        For an unknown name, a bad `power`, `order` or `q`, and for order 2 where f' jumps: f'' then holds a
        point mass that no mean of its values sees.
    TypeError
        If the activation does not take a parameter.

    Notes
    -----
    Tested against mpmath.quad and closed forms in ``tests/test_moments.py``, which also shows how far a
    Gauss-Hermite rule, blind to kinks, is off.

    Examples
    --------
    >>> round(moment("relu"), 12)
    0.5
    >>> round(moment(lambda z: abs(z), power=1) ** 2 * math.pi / 2, 12)
    1.0
    """
    if not isinstance(power, Integral) or power < 1:
        raise ValueError(f"power must be an integer of at least 1, got {power!r}")
    if order not in (0, 1, 2):
        raise ValueError(f"order must be 0, 1 or 2, got {order!r}")
    q = _positive("q", q, zero=True)
    if callable(act):
        if order or params:
            raise ValueError(
                f"a callable has no derivative or parameter here: pass f' itself, not order={order!r}"
            )
        return _mean(lambda z: act(z) ** power, q, tuple(breaks))
    if len(breaks):
        raise ValueError(f"breaks are for callables; those of {act!r} are known")
    record = catalog.get(act)
    if order == 2 and record.jump == 1:
        raise ValueError(f"f'' of {record.name!r} has point masses at its kinks: its moments are not defined")
    pairs = tuple((key, float(value)) for key, value in record.parameters(params).items())
    return _moment(record.name, int(power), int(order), q, pairs)


@lru_cache(maxsize=4096)
def _moment(name, power, order, q, pairs):
    kernel = getattr(kernels, name + SUFFIX[order])
    params = dict(pairs)
    breaks = tuple(kink.where for kink in catalog.get(name).kinks)
    return _mean(lambda z: kernel(z, **params) ** power, q, breaks)


def _mean(f, q, breaks):
    if q == 0:
        return float(f(np.zeros(1))[0])
    return _expect(f, q, breaks)


def forward_gain(act, q=1.0, **params):
    """Gain that keeps the variance of the pre-activations: q = gain^2 E f(z)^2 with z ~ N(0, q).

    Weights of standard deviation gain / sqrt(fan_in), and no bias, map variance q to variance q.

    Parameters
    ----------
    act : str or callable
        As in `moment`.
    q : float
        Variance to keep, positive. Only for ReLU and its like the gain is the same for every q.

    Returns
    -------
    float
        sqrt(q / E f^2), dimensionless.

    Raises
    ------
    ValueError, TypeError
        As `moment`; ValueError if q is 0.

    Examples
    --------
    >>> round(forward_gain("relu") ** 2, 12)
    2.0
    """
    return math.sqrt(_positive("q", q) / moment(act, q=q, **params))


def backward_gain(act, q=1.0, **params):
    """Gain that keeps the variance of the gradient: gain^2 E f'(z)^2 = 1 with z ~ N(0, q).

    Parameters
    ----------
    act : str
        A name or alias.
    q : float
        Variance of the pre-activations, positive.

    Returns
    -------
    float
        1 / sqrt(E f'^2), dimensionless.

    Raises
    ------
    ValueError, TypeError
        As `moment`; ValueError if q is 0.

    Examples
    --------
    >>> round(backward_gain("gelu"), 6)
    1.481114
    """
    return 1 / math.sqrt(moment(act, order=1, q=_positive("q", q), **params))


def gains(act, **params):
    """Moments and gains of an activation at z ~ N(0, 1).

    Parameters
    ----------
    act : str
        A name or alias.

    Returns
    -------
    Gains

    Raises
    ------
    ValueError, TypeError
        As `moment`.

    Examples
    --------
    >>> round(gains("mish").forward, 6)
    1.486848
    """
    mean, second = moment(act, 1, **params), moment(act, 2, **params)
    return Gains(
        mean=mean,
        variance=second - mean * mean,
        second=second,
        slope_second=moment(act, 2, order=1, **params),
        forward=forward_gain(act, **params),
        backward=backward_gain(act, **params),
    )


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
    ValueError, TypeError
        As `moment`; ValueError for a negative variance.

    References
    ----------
    Poole et al., arXiv:1606.05340, equation 3. Chapter 09.
    """
    sigma_w2, sigma_b2 = (
        _positive("sigma_w2", sigma_w2, zero=True),
        _positive("sigma_b2", sigma_b2, zero=True),
    )
    return sigma_w2 * moment(act, q=q, **params) + sigma_b2


def chi(act, q, sigma_w2, **params):
    """Factor on the gradient's variance in one layer: sigma_w^2 E f'(z)^2 with z ~ N(0, q).

    Below 1 gradients vanish with depth, above 1 they explode.

    Parameters
    ----------
    act : str
        A name or alias.
    q, sigma_w2 : float
        As in `variance_map`.

    Returns
    -------
    float

    Raises
    ------
    ValueError, TypeError
        As `variance_map`.

    References
    ----------
    Schoenholz et al., arXiv:1611.01232. Chapter 09.
    """
    return _positive("sigma_w2", sigma_w2, zero=True) * moment(act, order=1, q=q, **params)


def edge_of_chaos(act, q, **params):
    """Weight and bias variances that keep both the variance q and the gradient: chi = 1 at a fixed point q.

    sigma_w^2 = 1 / E f'^2 and sigma_b^2 = q - E f^2 / E f'^2, with z ~ N(0, q).

    Parameters
    ----------
    act : str
        A name or alias.
    q : float
        Variance of the pre-activations, positive.

    Returns
    -------
    sigma_w2, sigma_b2 : float

    Raises
    ------
    ValueError
        If sigma_b^2 would be negative, or as `moment`.
    TypeError
        As `moment`.

    Notes
    -----
    The fixed point may be unstable: iterate `variance_map` to see.

    References
    ----------
    Hayou, Doucet and Rousseau, ICML 2019, arXiv:1902.06853. Chapter 09.

    Examples
    --------
    >>> [round(v, 6) for v in edge_of_chaos("gelu", 1.0)]
    [2.1937, 0.067192]
    """
    q = _positive("q", q)
    sigma_w2 = 1 / moment(act, order=1, q=q, **params)
    kept = sigma_w2 * moment(act, q=q, **params)
    if abs(q - kept) <= 1e-12 * q:  # ReLU and its like: exactly 0, but for rounding
        return sigma_w2, 0.0
    if kept > q:
        raise ValueError(f"{act!r} has no edge of chaos at q = {q:g}: sigma_b2 would be {q - kept:.6g}")
    return sigma_w2, q - kept
