"""Definitions, gates and exact derivatives of the activations, as SymPy expressions in ``z``.

Each smooth function is written as F(z, s) with one inner function s(z) whose slope is known in terms of z
and s, for example ds/dz = s (1 - s) for the sigmoid. Differentiation is then dF/dz = F_z + F_s ds/dz, and s
never has to be expanded. That keeps the results as short as the published ones.
"""

import math
import numbers
from fractions import Fraction
from functools import cache
from types import MappingProxyType

import mpmath
import sympy as sp

z = sp.Symbol("z", real=True)
beta = sp.Symbol("beta", real=True)
mu = sp.Symbol("mu", real=True)
sigma = sp.Symbol("sigma", positive=True)
_slope = sp.Symbol("negative_slope", real=True)
_alpha = sp.Symbol("alpha", real=True)
_s, _t = sp.symbols("s t", real=True)

_SLOPE_1702 = sp.Rational(1702, 1000)
_GELU_TANH_ARGUMENT = sp.sqrt(2 / sp.pi) * (z + sp.Rational(44715, 10**6) * z**3)
_HARD_SIGMOID = sp.Piecewise((0, z <= -3), (1, z >= 3), ((z + 3) / 6, True))


def _sigmoid(k=1):
    return 1 / (1 + sp.exp(-k * z))


_DEFINITIONS = MappingProxyType(
    {
        "identity": z,
        "sigmoid": _sigmoid(),
        "tanh": sp.tanh(z),
        "softplus": sp.log(1 + sp.exp(z)),
        "relu": sp.Piecewise((z, z > 0), (0, True)),
        "relu6": sp.Piecewise((0, z <= 0), (6, z >= 6), (z, True)),
        "leaky_relu": sp.Piecewise((z, z > 0), (_slope * z, True)),
        "elu": sp.Piecewise((z, z > 0), (_alpha * (sp.exp(z) - 1), True)),
        "silu": z * _sigmoid(),
        "swish": z * _sigmoid(beta),
        "hard_sigmoid": _HARD_SIGMOID,
        "hard_swish": sp.Piecewise((0, z <= -3), (z, z >= 3), (z * (z + 3) / 6, True)),
        "gelu": z * (1 + sp.erf(z / sp.sqrt(2))) / 2,
        "gelu_tanh": z * (1 + sp.tanh(_GELU_TANH_ARGUMENT)) / 2,
        "gelu_sigmoid": z * _sigmoid(_SLOPE_1702),
        "mish": z * sp.tanh(sp.log(1 + sp.exp(z))),
    }
)
NAMES = tuple(_DEFINITIONS)

# name: (F(z, s), ds/dz, s(z))
_INNER = MappingProxyType(
    {
        "sigmoid": (_s, _s * (1 - _s), _sigmoid()),
        "tanh": (_s, 1 - _s**2, sp.tanh(z)),
        "softplus": (-sp.log(1 - _s), _s * (1 - _s), _sigmoid()),
        "silu": (z * _s, _s * (1 - _s), _sigmoid()),
        "swish": (z * _s, beta * _s * (1 - _s), _sigmoid(beta)),
        "gelu": (z * (1 + _s) / 2, sp.sqrt(2 / sp.pi) * sp.exp(-(z**2) / 2), sp.erf(z / sp.sqrt(2))),
        "gelu_tanh": (
            z * (1 + _s) / 2,
            (1 - _s**2) * _GELU_TANH_ARGUMENT.diff(z),
            sp.tanh(_GELU_TANH_ARGUMENT),
        ),
        "gelu_sigmoid": (z * _s, _SLOPE_1702 * _s * (1 - _s), _sigmoid(_SLOPE_1702)),
        "mish": (z * ((1 + _s) ** 2 - 1) / ((1 + _s) ** 2 + 1), _s, sp.exp(z)),
    }
)
_SIGMOID_SLOPES = MappingProxyType(
    {"sigmoid": 1, "softplus": 1, "silu": 1, "swish": beta, "gelu_sigmoid": _SLOPE_1702}
)
_GATES = MappingProxyType(
    {
        "identity": sp.Integer(1),
        "relu": sp.Piecewise((1, z > 0), (0, True)),
        "silu": _sigmoid(),
        "swish": _sigmoid(beta),
        "hard_swish": _HARD_SIGMOID,
        "gelu": (1 + sp.erf(z / sp.sqrt(2))) / 2,
        "gelu_tanh": (1 + sp.tanh(_GELU_TANH_ARGUMENT)) / 2,
        "gelu_sigmoid": _sigmoid(_SLOPE_1702),
        "mish": sp.tanh(sp.log(1 + sp.exp(z))),
    }
)
_KINKS = MappingProxyType(
    {
        "relu": (0,),
        "relu6": (0, 6),
        "leaky_relu": (0,),
        "elu": (0,),
        "hard_sigmoid": (-3, 3),
        "hard_swish": (-3, 3),
    }
)
# name: (keyword, symbol, default); Swish keeps its symbol until you give a value
_PARAMETERS = MappingProxyType(
    {
        "swish": ("beta", beta, beta),
        "leaky_relu": ("negative_slope", _slope, sp.Rational(1, 100)),
        "elu": ("alpha", _alpha, sp.Integer(1)),
    }
)


def check_name(name):
    """Return `name` if it is canonical, else raise ValueError with the choices."""
    if name not in NAMES:
        raise ValueError(f"unknown activation {name!r}; choose from {list(NAMES)}")
    return name


def check_order(order):
    """Return `order` if it is 0, 1 or 2, else raise ValueError naming it."""
    if order not in (0, 1, 2):
        raise ValueError(f"order must be 0, 1 or 2, got {order!r}")
    return int(order)


def exact(value, what="value"):
    """Return `value` as an exact SymPy number; a float is taken at its binary value.

    Parameters
    ----------
    value : int, float, Fraction, str, mpmath.mpf or sympy.Expr
        A finite real number, or an expression (a symbol stays a symbol).
    what : str
        The name to use in an error.

    Raises
    ------
    ValueError
        If `value` is NaN, infinite or not a number.
    TypeError
        If `value` is of another type.
    """
    if isinstance(value, sp.Expr):
        number = sp.Rational(value) if value.is_Float else value
    elif isinstance(value, numbers.Integral):
        return sp.Integer(int(value))
    elif isinstance(value, Fraction):
        return sp.Rational(value.numerator, value.denominator)
    elif isinstance(value, mpmath.mpf):
        finite = mpmath.isfinite(value)
        number = sp.Rational(*mpmath.libmp.to_rational(value._mpf_)) if finite else sp.nan
    elif isinstance(value, str):
        try:
            number = sp.Rational(value)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{what} must be a number, got {value!r}") from error
    elif isinstance(value, numbers.Real):
        # sympy turns Rational(float("nan")) into 0
        number = sp.Rational(float(value)) if math.isfinite(value) else sp.nan
    else:
        raise TypeError(f"{what} must be a real number, got {value!r} of type {type(value).__name__}")
    if number is sp.nan or number.is_finite is False or number.is_extended_real is False:
        raise ValueError(f"{what} must be real and finite, got {value!r}")
    return number


def substitution(name, params):
    """Return the exact value of the parameter of `name` as a tuple of (symbol, value) pairs.

    Raises
    ------
    TypeError
        If `params` holds a keyword that `name` does not take.
    """
    keyword, symbol, default = _PARAMETERS.get(check_name(name), (None, None, None))
    for given in params:
        if given != keyword:
            raise TypeError(f"{name} takes {keyword or 'no parameter'}, not {given!r}")
    if keyword is None:
        return ()
    value = params.get(keyword)
    return ((symbol, default if value is None else exact(value, keyword)),)


def definition(name, **params):
    """Return the textbook definition of an activation, an expression in ``z``.

    Parameters
    ----------
    name : str
        A canonical name, one of ``NAMES``.
    beta, negative_slope, alpha : number or sympy.Expr, optional
        The parameter of swish, leaky_relu, elu. A float is taken at its exact binary value. Without it swish
        stays an expression in ``beta``, leaky_relu uses 1/100 and elu uses 1.

    Returns
    -------
    sympy.Expr

    Raises
    ------
    ValueError
        If `name` is unknown or a parameter is not finite.
    TypeError
        If `name` does not take the parameter.

    Examples
    --------
    >>> definition("gelu")
    z*(erf(sqrt(2)*z/2) + 1)/2
    >>> definition("swish", beta=0)
    z/2
    """
    return _DEFINITIONS[check_name(name)].subs(substitution(name, params))


def gate(name, **params):
    """Return g with f(z) = z g(z), or None where the function is not self-gated.

    Examples
    --------
    >>> gate("mish")
    tanh(log(exp(z) + 1))
    >>> gate("tanh") is None
    True
    """
    pairs = substitution(name, params)
    return _GATES[name].subs(pairs) if name in _GATES else None


def general_gelu():
    """Return GELU's general form z Phi((z - mu) / sigma), Phi the standard normal distribution function.

    Notes
    -----
    mu = 0 and sigma = 1 give GELU. `general_gelu_limit` gives sigma -> 0 (ReLU) and sigma -> oo (z / 2).

    References
    ----------
    Hendrycks and Gimpel, Gaussian Error Linear Units, arXiv:1606.08415, section 2.

    Examples
    --------
    >>> general_gelu().subs({mu: 0, sigma: 1}) == definition("gelu")
    True
    """
    return z * (1 + sp.erf((z - mu) / (sigma * sp.sqrt(2)))) / 2


def kinks(name):
    """Return the points where the activation is not twice differentiable, in increasing order.

    Notes
    -----
    With alpha = 1 the slope of elu is continuous at its kink; only f'' jumps.

    Examples
    --------
    >>> kinks("relu6")
    (0, 6)
    """
    return tuple(map(sp.Integer, _KINKS.get(check_name(name), ())))


def derivative(name, order=1, **params):
    """Return the exact derivative of an activation.

    f = z g gives f' = g + z g' and f'' = 2 g' + z g''.

    Parameters
    ----------
    name : str
        A canonical name.
    order : {0, 1, 2}
        How often to differentiate.
    beta, negative_slope, alpha : number or sympy.Expr, optional
        As in `definition`.

    Returns
    -------
    sympy.Expr
        Free of DiracDelta and Heaviside.

    Raises
    ------
    ValueError
        If `name` is unknown, `order` is not 0, 1 or 2, or a parameter is not finite.
    TypeError
        If `name` does not take the parameter.

    Notes
    -----
    Calculus leaves f' open at a kink. Here it is what torch returns: relu 0 at 0, relu6 0 at 0 and 6,
    leaky_relu its negative_slope and elu its alpha at 0, hard_sigmoid 0 at -3 and 3, hard_swish 0 at -3 and 1
    at 3. f'' is 0 at every kink.

    Examples
    --------
    >>> derivative("relu")
    Piecewise((1, z > 0), (0, True))
    >>> derivative("gelu", 2)
    -sqrt(2)*(z**2 - 2)*exp(-z**2/2)/(2*sqrt(pi))
    """
    return nth_derivative(check_name(name), check_order(order)).subs(substitution(name, params))


@cache
def nth_derivative(name, order):
    """Return the derivative of any order, with the parameter still a symbol."""
    if order == 0 or name not in _INNER:
        expr = _DEFINITIONS[name].diff(z, order) if order else _DEFINITIONS[name]
        # by its branches f'' of elu would be alpha at the kink
        return sp.Piecewise((_alpha * sp.exp(z), z < 0), (0, True)) if name == "elu" and order > 1 else expr
    expr, inner_slope, inner = _INNER[name]
    for _ in range(order):
        expr = expr.diff(z) + expr.diff(_s) * inner_slope
        if name in ("softplus", "mish") or (order > 1 and name not in ("tanh", "gelu_tanh")):
            expr = sp.factor(expr)
    if name in _SIGMOID_SLOPES:
        # 1 - sigma(kz) = sigma(-kz): shorter to read, and sp.limit is wrong on the left form
        mirrored = _sigmoid(-_SIGMOID_SLOPES[name])
        expr = expr.xreplace({_s - 1: -_t, 1 - _s: _t}).subs(_t, mirrored)
    return expr.subs(_s, inner)
