"""Moments of the activations of the catalog and of any callable, and the gains that follow from them."""

import math
from dataclasses import dataclass
from functools import lru_cache
from numbers import Integral

from selfgated import catalog, kernels
from selfgated.moments.quadrature import estimate, expect, positive

__all__ = ["Gains", "backward_gain", "forward_gain", "gains", "moment", "slope_moment"]

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


def moment(act, power=2, *, order=0, q=1.0, kinks=(), **params):
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
    kinks : sequence of float
        For a callable: the points where it is not smooth, as in `estimate`.
    **params : float
        The parameter of swish, leaky_relu or elu.

    Returns
    -------
    float
        Dimensionless. For a name the error is below 1e-12, relative, or absolute where the mean cancels; for
        a callable it is that of `estimate`, at most 1e-10 E abs(f)^power.

    Raises
    ------
    ValueError
        For an unknown name, a bad `power`, `order` or `q`, and for order 2 where f' jumps: f'' then holds a
        point mass that no mean of its values sees.
    TypeError
        If the activation does not take a parameter.
    ArithmeticError
        As `estimate`, for a callable.

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
    q = positive("q", q, zero=True)
    if callable(act):
        if order or params:
            given = f"order={order!r}" if order else f"{next(iter(params))}="
            raise ValueError(f"a callable has no derivative or parameter here: pass f' itself, not {given}")
        return estimate(act, power, q=q, kinks=kinks).value
    if len(kinks):
        raise ValueError(f"kinks are for callables; those of {act!r} are known")
    record = catalog.get(act)
    if order == 2 and record.jump == 1:
        raise ValueError(f"f'' of {record.name!r} has point masses at its kinks: its moments are not defined")
    pairs = tuple((key, float(value)) for key, value in record.parameters(params).items())
    return _moment(record.name, int(power), int(order), q, pairs)


@lru_cache(maxsize=16384)
def _moment(name, power, order, q, pairs):
    kernel = getattr(kernels, name + SUFFIX[order])
    params = dict(pairs)
    kinks = tuple(kink.where for kink in catalog.get(name).kinks)
    return expect(lambda z: kernel(z, **params) ** power, q, kinks)


def slope_moment(act, q, slope=None, **params):
    """E f'(z)^2 with z ~ N(0, q).

    Parameters
    ----------
    act : str or callable
        As in `moment`.
    q : float
        Variance of the pre-activation.
    slope : callable, optional
        f', for a callable `act`.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        For a callable without its slope, and a name with one.
    """
    if not callable(act):
        if slope is not None:
            raise ValueError(f"slope= is for callables; that of {act!r} is known")
        return moment(act, order=1, q=q, **params)
    if slope is None:
        raise ValueError("a callable needs its slope here: pass slope=, the function f'")
    return moment(slope, q=q, **params)


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
    ValueError, TypeError, ArithmeticError
        As `moment`; ValueError if q or E f^2 is 0.

    Examples
    --------
    >>> round(forward_gain("relu") ** 2, 12)
    2.0
    """
    return math.sqrt(positive("q", q) / positive("E f^2", moment(act, q=q, **params)))


def backward_gain(act, q=1.0, *, slope=None, **params):
    """Gain that keeps the variance of the gradient: gain^2 E f'(z)^2 = 1 with z ~ N(0, q).

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
    float
        1 / sqrt(E f'^2), dimensionless.

    Raises
    ------
    ValueError, TypeError, ArithmeticError
        As `moment`; ValueError if q or E f'^2 is 0, and for a callable without its slope.

    Examples
    --------
    >>> round(backward_gain("gelu"), 6)
    1.481114
    """
    q = positive("q", q)
    return 1 / math.sqrt(positive("E f'^2", slope_moment(act, q, slope, **params)))


def gains(act, *, slope=None, **params):
    """Moments and gains of an activation at z ~ N(0, 1).

    Parameters
    ----------
    act : str or callable
        As in `moment`.
    slope : callable, optional
        f', for a callable `act`.

    Returns
    -------
    Gains

    Raises
    ------
    ValueError, TypeError, ArithmeticError
        As `backward_gain`.

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
        slope_second=slope_moment(act, 1.0, slope, **params),
        forward=forward_gain(act, **params),
        backward=backward_gain(act, slope=slope, **params),
    )
