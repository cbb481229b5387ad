"""Any activation or derivative, at any point, to as many digits as you ask for."""

import math
import numbers
from functools import cache, lru_cache

import mpmath
import sympy as sp
from mpmath import mp

from .expressions import check_order, exact, nth_derivative, substitution, z
from .properties import limits

# Beyond exp(-6000) < 1e-2600 the distance to the asymptote is below 1e-2000 even times two numbers of 1e300.
_ASYMPTOTE_NATS = 6000
_BITS_OF_ZERO = 6700  # 1e-2000 = 2**-6644
_MAX_BITS = 1 << 18
_TRANSCENDENTAL = (sp.exp, sp.tanh, sp.erf, sp.log)

# How fast f approaches its asymptote: the remainder is near exp(-nats).
_NATS = {
    "sigmoid": abs,
    "tanh": lambda x: 2 * abs(x),
    "softplus": abs,
    "elu": lambda x: -x if x <= 0 else math.inf,
    "silu": abs,
    "gelu": lambda x: x * x / 2,
    "gelu_tanh": lambda x: 1.5957691216 * abs(x) * (1 + 0.044715 * x * x),
    "gelu_sigmoid": lambda x: 1.702 * abs(x),
    "mish": abs,
}
_lower_tail = sp.Function("lower_tail", real=True)


@lru_cache(maxsize=1024)
def _compiled(name, order, pairs):
    """Return (mpmath function of z, whether it has no transcendental part)."""
    expr = nth_derivative(name, order).subs(pairs)
    is_exact = not expr.has(*_TRANSCENDENTAL)
    # erf(u) = erfc(-u) - 1: the same function, but 1 + erf(u) needs 10000 bits at z = -90, and seconds
    expr = sp.expand(expr.replace(sp.erf, lambda u: _lower_tail(u) - 1)) if expr.has(sp.erf) else expr
    modules = [{"lower_tail": lambda u: mpmath.erfc(-u)}, "mpmath"]
    return sp.lambdify(z, expr, modules, cse=True), is_exact


def _asymptote(name, order, point, digits, pairs):
    """Return the asymptote (f = c or f = slope * z), its slope, or 0."""
    if order >= 2:
        return mp.zero
    prec = 4 * digits + 64
    x = point(prec)
    # the ends of swish depend on the sign of beta only
    known = {str(k): sp.sign(v) if name == "swish" else v for k, v in pairs}
    ends = limits(name, **known)
    end, slope = (ends.f_right, ends.grad_right) if x > 0 else (ends.f_left, ends.grad_left)
    if order == 1:
        return slope._to_mpmath(prec)
    with mp.workprec(prec):
        return end._to_mpmath(prec) if end.is_finite else slope._to_mpmath(prec) * x


def _point(at):
    """Return a function of the precision in bits that gives `at` as an mpf, exactly where it is binary."""
    if isinstance(at, mpmath.mpf):
        return lambda prec: at
    if isinstance(at, numbers.Integral):
        fixed = mp.make_mpf(mpmath.libmp.from_int(int(at)))
        return lambda prec: fixed
    if isinstance(at, numbers.Real) and not isinstance(at, numbers.Rational):
        fixed = mp.make_mpf(mpmath.libmp.from_float(float(at)))
        return lambda prec: fixed
    number = exact(at, "at")
    if number.free_symbols:
        raise ValueError(f"at must be a number, got {at!r}")
    return number._to_mpmath


def evaluate(name, order, at, digits=50, **params):
    """Return f, f' or f'' at a point, correct to `digits` significant digits.

    Parameters
    ----------
    name : str
        A canonical name.
    order : {0, 1, 2}
        0 for f, 1 for f', 2 for f''.
    at : float, int, str, mpmath.mpf or sympy.Expr
        The point. A float is taken at its exact binary value, the string "0.1" is one tenth. Infinities give
        the limits, NaN gives NaN.
    digits : int, default 50
        Correct significant decimal digits.
    beta, negative_slope, alpha : number, optional
        As in `definition`, but beta is 1 by default.

    Returns
    -------
    mpmath.mpf

    Raises
    ------
    ValueError
        If `name`, `order`, `digits` or a parameter is not valid.
    TypeError
        If `name` does not take the parameter.
    ArithmeticError
        If no precision up to 2**18 bits gives two agreeing results.

    Notes
    -----
    The expression is evaluated at p bits and at 2p bits, and p doubles until the two agree to `digits`. p
    starts above the number of bits that the formula can cancel. Where the distance to the asymptote is below
    exp(-6000) (|beta z| > 6000 for swish, |z| > 109 for gelu), the result is the asymptote itself, by choice:
    0 or z or a constant. A result below 1e-2000 may be returned as 0.

    Examples
    --------
    >>> import mpmath
    >>> mpmath.nstr(evaluate("silu", 2, 700.0), 20)
    '-6.882054227544320058e-302'
    >>> float(evaluate("gelu", 0, -1e300)), float(evaluate("gelu", 1, 1e300))
    (0.0, 1.0)
    """
    check_order(order)
    pairs = _numeric(name, params) if params else _defaults(name)
    return value_at(name, order, at, digits, pairs)


def _numeric(name, params):
    pairs = substitution(name, params)
    if name == "swish" and params.get("beta") is None:
        return ((pairs[0][0], sp.Integer(1)),)
    for symbol, value in pairs:
        if value.free_symbols:
            raise ValueError(f"{symbol} must be a number, got {value!r}")
    return pairs


@cache
def _defaults(name):
    return _numeric(name, {})


def value_at(name, order, at, digits, pairs):
    """Return what `evaluate` returns, for any order and parameters that are already exact."""
    if not isinstance(digits, numbers.Integral) or digits < 1:
        raise ValueError(f"digits must be a positive integer, got {digits!r}")
    point = _point(at)
    x = point(64)
    if not mp.isfinite(x):
        return x if mp.isnan(x) else _asymptote(name, order, point, digits, pairs)
    function, is_exact = _compiled(name, order, pairs)
    size = rough = float(x)
    nats = 0.0
    if name in _NATS:
        nats = _NATS[name](rough)
    elif name == "swish":
        size = rough * float(pairs[0][1])
        nats = abs(size)
    if nats > _ASYMPTOTE_NATS:
        return _asymptote(name, order, point, digits, pairs)
    # Bits lost: to the tail, and to differences like exp(z) - 1 near z = 0.
    lost = (0 if name == "gelu" else int(1.4427 * nats)) + max(0, -math.frexp(rough)[1], -math.frexp(size)[1])
    bits = math.ceil(3.3220 * digits) + 40 + lost
    accept_zero = is_exact or not x
    tolerance = -math.ceil(3.3220 * digits)
    before = mp.prec
    try:
        mp.prec = bits
        value = mp.mpf(function(point(bits)))
        while bits <= _MAX_BITS:
            bits *= 2
            mp.prec = bits
            coarse, value = value, mp.mpf(function(point(bits)))
            if value:
                if abs(value - coarse) <= mp.ldexp(abs(value), tolerance):
                    return value
            elif not coarse and (accept_zero or bits > 2 * _BITS_OF_ZERO):
                return value
    finally:
        mp.prec = before
    raise ArithmeticError(
        f"{name}, order {order}, at {at!r}: no agreement to {digits} digits at {_MAX_BITS} bits"
    )
