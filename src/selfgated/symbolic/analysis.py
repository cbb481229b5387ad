"""Extrema of f, f' and f'': found by sign changes, closed forms where they exist."""

import numbers
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import mpmath
import sympy as sp
from mpmath import mp

from .evaluation import value_at
from .expressions import check_name, check_order, derivative, exact, substitution, z


class CothFixedPoint(sp.NumberSymbol):
    """The positive solution u = 1.1996... of u = coth(u), an exact number without an elementary closed form.

    SymPy can calculate with it and evaluate it to any precision. u^2 - 1 is the square of the Laplace limit
    of celestial mechanics.
    """

    is_real = True
    is_positive = True
    is_negative = False
    is_irrational = True
    is_number = True
    __slots__ = ()

    def _as_mpf_val(self, prec):
        with mp.workprec(prec + 20):
            root = mpmath.findroot(lambda u: u * mpmath.tanh(u) - 1, (1, 2), solver="anderson")
        return mpmath.libmp.mpf_pos(root._mpf_, prec, "n")

    def approximation_interval(self, number_cls):
        """Return two rational numbers with u between them, if `number_cls` is Rational."""
        return (
            (sp.Rational(6, 5) - sp.Rational(1, 1000), sp.Rational(6, 5))
            if number_cls is sp.Rational
            else None
        )

    def _sympystr(self, printer):
        return "u"

    def _latex(self, printer):
        return "u"


COTH_FIXED_POINT = CothFixedPoint()


@dataclass(frozen=True)
class Extremum:
    """An interior extremum of f, f' or f''.

    Attributes
    ----------
    kind : {"minimum", "maximum"}
    where, value : sympy.Expr or None
        Exact place and exact value, None where no closed form is known.
    where_digits, value_digits : mpmath.mpf
        The same to the digits that you asked for.
    """

    kind: str
    where: sp.Expr | None
    value: sp.Expr | None
    where_digits: mpmath.mpf
    value_digits: mpmath.mpf


_W = sp.LambertW(sp.exp(-1))
_U = COTH_FIXED_POINT
_ROOT2 = sp.sqrt(2)
_SIGMOID_BEND = sp.log(2 + sp.sqrt(3))

# (name, order): exact places, and values where substitution does not simplify. The sigmoid family is stated
# for slope k = 1 and scaled: f(z; k) = f(kz; 1) / k.
_SILU_PLACES = {0: ((-1 - _W, -_W),), 1: ((-2 * _U, (1 - _U) / 2), (2 * _U, (1 + _U) / 2)), 2: ((0, None),)}
_PLACES = {
    ("sigmoid", 1): ((0, None),),
    ("sigmoid", 2): ((-_SIGMOID_BEND, None), (_SIGMOID_BEND, None)),
    ("softplus", 2): ((0, None),),
    ("tanh", 1): ((0, None),),
    ("tanh", 2): ((-sp.atanh(1 / sp.sqrt(3)), None), (sp.atanh(1 / sp.sqrt(3)), None)),
    ("hard_swish", 0): ((-sp.Rational(3, 2), None),),
    ("gelu", 1): ((-_ROOT2, None), (_ROOT2, None)),
    ("gelu", 2): ((-2, None), (0, None), (2, None)),
    ("gelu_tanh", 2): ((0, None),),
}


def _closed_forms(name, order, pairs):
    """Return the known exact (place, value) pairs."""
    slope = {"silu": sp.Integer(1), "gelu_sigmoid": sp.Rational(1702, 1000)}.get(name)
    if slope is not None:
        scale = slope ** (order - 1)
        known = [(place / slope, None if v is None else v * scale) for place, v in _SILU_PLACES[order]]
    else:
        known = _PLACES.get((name, order), ())
    given = {str(symbol): v for symbol, v in pairs}
    for place, value in known:
        if value is None:
            value = sp.simplify(derivative(name, order, **given).subs(z, place))
        yield sp.sympify(place), sp.sympify(value)


def extrema(name, order=0, digits=50, **params):
    """Return the interior extrema of f (order 0), f' (order 1) or f'' (order 2), from left to right.

    Parameters
    ----------
    name : str
        A canonical name.
    order : {0, 1, 2}
        Which function to search.
    digits : int, default 50
        Significant digits of the numeric fields.
    beta : number, optional
        For swish only; 1 by default. The line z / 2 of beta = 0 has none.

    Returns
    -------
    list of Extremum
        Empty for a monotone function. One-sided suprema at a kink are not listed: the slope of hard_swish
        comes as close to 3/2 as you like, and reaches it nowhere.

    Raises
    ------
    ValueError
        If `name`, `order` or `digits` is not valid, or beta is not finite.
    TypeError
        If a parameter other than the beta of swish is given.

    Notes
    -----
    The next derivative is scanned over 12 units (12 / beta for swish) on each side of 0; each sign change is
    refined by a bracketing root finder with 15 guard digits, and checked by the signs beside the root.
    Further out every slope of these functions is an exponential tail times a polynomial of one sign. The
    closed forms are tested against these numeric roots.

    References
    ----------
    Swish: -(1 + W) / beta with W = LambertW(1/e), and 2u / beta with u = coth(u). Chapters 02 to 05.

    Examples
    --------
    >>> lowest = extrema("hard_swish")[0]
    >>> lowest.kind, lowest.where, lowest.value
    ('minimum', -3/2, -3/8)
    >>> extrema("silu", order=1)[1].value
    1/2 + u/2
    """
    check_order(order)
    if not isinstance(digits, numbers.Integral) or digits < 1:
        raise ValueError(f"digits must be a positive integer, got {digits!r}")
    if check_name(name) != "swish" and params:
        raise TypeError(f"extrema of {name} take no parameter, not {next(iter(params))!r}")
    if name == "swish":
        beta_ = exact(params.pop("beta", 1), "beta")
        if params:
            substitution(name, params)  # names a keyword that swish does not take
        return _scaled(extrema("silu", order, digits), order, digits, beta_)
    return list(_extrema(name, int(order), int(digits), substitution(name, params)))


def _scaled(found, order, digits, k):
    """Extrema of SiLU moved to Swish: f(z; k) = f(k z; 1) / k, and f(z; -k) = -f(-z; k)."""
    if k.is_zero:
        return []
    scale = k ** (order - 1)  # negative for k < 0 where the order is even
    swapped = {"minimum": "maximum", "maximum": "minimum"}
    with mp.workdps(digits + 15):
        by, height = _number(k, digits), _number(scale, digits)
        moved = [
            Extremum(
                e.kind if scale.is_positive else swapped[e.kind],
                None if e.where is None else e.where / k,
                None if e.value is None else e.value * scale,
                e.where_digits / by,
                e.value_digits * height,
            )
            for e in found
        ]
    return moved if k.is_positive else moved[::-1]


@lru_cache(maxsize=256)
def _extrema(name, order, digits, pairs):
    def slope(x):
        return value_at(name, order + 1, x, digits + 15, pairs)

    found, closed = [], list(_closed_forms(name, order, pairs))
    with mp.workdps(digits + 15):
        # the offset keeps 0 and the other exact places off the grid
        grid = [mp.mpf(k) / 16 + mp.mpf("0.01") for k in range(-193, 193)]
        signs = [mp.sign(value_at(name, order + 1, x, 5, pairs)) for x in grid]
        for (left, s_left), (right, s_right) in pairwise(zip(grid, signs, strict=True)):
            if s_left * s_right >= 0:
                continue
            root = mpmath.findroot(
                slope, (left, right), solver="anderson", tol=mp.mpf(10) ** (-2 * digits), maxsteps=200
            )
            width = mp.mpf(10) ** (-digits) * max(abs(root), mp.mpf(10) ** (-3))
            if mp.sign(slope(root - width)) != s_left or mp.sign(slope(root + width)) != s_right:
                raise ArithmeticError(f"no sign change of derivative {order + 1} of {name} at {root}")
            match = [pair for pair in closed if abs(_number(pair[0], digits) - root) <= width]
            where, value = match[0] if match else (None, None)
            if where is not None:
                root = _number(where, digits)
            height = value_at(name, order, root, digits + 5, pairs)
            found.append(Extremum("minimum" if s_left < 0 else "maximum", where, value, root, height))
    if sum(e.where is not None for e in found) != len(closed):
        raise ArithmeticError(f"a closed form of {name}, order {order}, is not an extremum")
    return tuple(found)


def _number(expr, digits):
    return expr._to_mpmath(round(3.33 * (digits + 15)))
