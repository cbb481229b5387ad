"""Limits, parity and identities of the activations, proven rather than listed."""

from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise

import sympy as sp

from .expressions import (
    beta,
    check_name,
    definition,
    derivative,
    general_gelu,
    kinks,
    mu,
    sigma,
    substitution,
    z,
)


@dataclass(frozen=True)
class Limits:
    """Limits of f and f' at both ends, as exact SymPy numbers (``oo`` where f grows)."""

    f_left: sp.Expr
    f_right: sp.Expr
    grad_left: sp.Expr
    grad_right: sp.Expr


def _branch(expr, point):
    """Replace every Piecewise by the branch that holds at `point`."""
    pieces = expr.atoms(sp.Piecewise)
    chosen = {p: next(e for e, condition in p.args if condition.subs(z, point) == True) for p in pieces}  # noqa: E712
    return expr.xreplace(chosen)


def limits(name, **params):
    """Return the limits of f and f' at -oo and +oo.

    Parameters
    ----------
    name : str
        A canonical name.
    beta, negative_slope, alpha : number, optional
        As in `definition`, but beta is 1 by default. A beta of either sign, or zero, is accepted.

    Returns
    -------
    Limits

    Raises
    ------
    ValueError, TypeError
        As `definition`.

    Notes
    -----
    The limits of swish depend on the sign of beta only. The tests check each limit far out, because
    ``sympy.limit`` (1.14) returns 0 for z s (1 - s) + s, s = sigmoid(z), at +oo, where the limit is 1.

    Examples
    --------
    >>> limits("silu")
    Limits(f_left=0, f_right=oo, grad_left=0, grad_right=1)
    """
    pairs = dict(substitution(name, params))
    if name == "swish":
        pairs[beta] = sp.sign(pairs[beta]) if pairs[beta] != beta else sp.Integer(1)
        if pairs[beta].free_symbols:
            raise ValueError(f"beta must be a number, got {params['beta']!r}")
    return _limits(name, tuple(pairs.items()))


@lru_cache(maxsize=256)
def _limits(name, pairs):
    given = {str(symbol): value for symbol, value in pairs}
    ends = []
    for order in (0, 1):
        expr = derivative(name, order, **given)
        expr = expr.rewrite(sp.exp) if expr.has(sp.tanh) else expr  # halves the time
        outside = max([0, *map(abs, kinks(name))]) + 1
        ends += [sp.limit(_branch(expr, side * outside), z, side * sp.oo) for side in (-1, 1)]
    return Limits(*ends)


def general_gelu_limit(sigma_to):
    """Return the limit of z Phi((z - mu) / sigma) as sigma goes to 0 or to oo.

    Parameters
    ----------
    sigma_to : {0, sympy.oo}
        Where sigma goes.

    Returns
    -------
    sympy.Expr
        At 0 z where z > mu and 0 where z < mu (ReLU for mu = 0), at oo z / 2.

    Raises
    ------
    ValueError
        If `sigma_to` is neither.

    Examples
    --------
    >>> general_gelu_limit(0)
    Piecewise((z, mu < z), (z/2, Eq(mu, z)), (0, True))
    >>> general_gelu_limit(sp.oo)
    z/2
    """
    if sigma_to not in (0, sp.oo):
        raise ValueError(f"sigma goes to 0 or oo, got {sigma_to!r}")
    gap = sp.Symbol("gap", positive=True)
    above, at, below = (
        sp.limit(general_gelu().subs(mu, z - side * gap), sigma, sigma_to, "+" if sigma_to == 0 else "-")
        for side in (1, 0, -1)
    )
    return sp.piecewise_fold(sp.Piecewise((above, z > mu), (at, sp.Eq(mu, z)), (below, True)))


def _is_zero(expr):
    """Return whether a branchless expression is proven to be 0."""
    expr = expr.rewrite(sp.exp)
    if expr.has(sp.log):  # for real a, a = 0 if and only if exp(a) = 1
        expr = sp.exp(sp.expand(expr)) - 1
    # e^z as a symbol makes it a rational function, which cancel decides in a tenth of the time
    expr = expr.subs(sp.exp(z), sp.Symbol("e_z", positive=True))
    for attempt in (sp.cancel, sp.expand, sp.simplify):
        expr = attempt(expr)
        if expr == 0:
            return True
    return False


def is_identity(lhs, rhs):
    """Return whether lhs = rhs is proven for every real z (False: not proven).

    Parameters
    ----------
    lhs, rhs : sympy.Expr
        Expressions in ``z``, possibly Piecewise with numeric break points.

    Returns
    -------
    bool

    Notes
    -----
    A Piecewise is proven on each open interval between its break points, and at each break point.

    Examples
    --------
    >>> silu = definition("silu")
    >>> is_identity(silu - silu.subs(z, -z), z)
    True
    """
    difference = sp.sympify(lhs) - sp.sympify(rhs)
    pieces = difference.atoms(sp.Piecewise)
    if not pieces:
        return _is_zero(difference)
    conditions = [condition for p in pieces for _, condition in p.args]
    breaks = set()
    for relation in {r for c in conditions for r in c.atoms(sp.core.relational.Relational)}:
        breaks |= set(sp.solve(sp.Eq(relation.lhs, relation.rhs), z))
    ordered = sorted(breaks)
    inside = [(a + b) / 2 for a, b in pairwise(ordered)]
    regions = all(_is_zero(_branch(difference, p)) for p in [ordered[0] - 1, *inside, ordered[-1] + 1])
    return regions and all(_is_zero(_branch(difference, p).subs(z, p)) for p in ordered)


_SYMMETRIES = (
    ("f(-z) = -f(z)", lambda f: (f(-z), -f(z))),
    ("f(z) + f(-z) = 1", lambda f: (f(z) + f(-z), sp.Integer(1))),
    ("f(z) - f(-z) = z", lambda f: (f(z) - f(-z), z)),
    ("f(z) + f(6 - z) = 6", lambda f: (f(z) + f(6 - z), sp.Integer(6))),
)


@cache
def parity(name):
    """Return the symmetry of an activation, found by proof.

    Returns
    -------
    str
        The first of "f(-z) = -f(z)", "f(z) + f(-z) = 1", "f(z) - f(-z) = z", "f(z) + f(6 - z) = 6" that is
        proven, or "none".

    Raises
    ------
    ValueError
        If `name` is unknown.

    Notes
    -----
    "f(z) - f(-z) = z" says that f(z) - z/2 is even. Then f'(z) + f'(-z) = 1, so the largest slope exceeds 1
    by as much as the smallest one is below 0.

    Examples
    --------
    >>> parity("gelu"), parity("mish")
    ('f(z) - f(-z) = z', 'none')
    """
    expr = definition(name)
    for description, sides in _SYMMETRIES:
        if is_identity(*sides(lambda at: expr.subs(z, at))):
            return description
    return "none"


def _swish_identities():
    f, d = definition("swish"), derivative("swish")
    s = 1 / (1 + sp.exp(-beta * z))
    slope_of_gate = beta * sp.exp(-beta * z) / (1 + sp.exp(-beta * z)) ** 2
    return [
        ("f(z; beta) = f(beta z; 1) / beta", beta * f, definition("silu").subs(z, beta * z)),
        ("f(z; -beta) = z - f(z; beta)", f.subs(beta, -beta), z - f),
        ("f' = beta f + sigma(beta z) (1 - beta f)", d, beta * f + s * (1 - beta * f)),
        ("f' = sigma(beta z) (1 + beta z (1 - sigma(beta z)))", d, s * (1 + beta * z * (1 - s))),
        ("f' = sigma(beta z) + z d/dz sigma(beta z)", d, s + z * slope_of_gate),
    ]


def _mish_identities():
    f, d, e = definition("mish"), derivative("mish"), sp.exp(z)
    w = 4 * (z + 1) + 4 * e**2 + e**3 + e * (4 * z + 6)
    softplus = definition("softplus")
    return [
        ("f = z tanh(softplus(z))", f, z * sp.tanh(softplus)),
        ("f = z n / (n + 2), n = e^z (e^z + 2)", f, z * e * (e + 2) / (e * (e + 2) + 2)),
        ("f' = e^z w / d^2", d, e * w / (2 * e + e**2 + 2) ** 2),
        ("z f' = z sech(softplus)^2 swish + f", z * d, z * definition("silu") * sp.sech(softplus) ** 2 + f),
    ]


def _other_identities(name):
    f, d, s = definition(name), derivative(name), definition("sigmoid")
    table = {
        "sigmoid": [
            ("f' = f (1 - f)", d, f * (1 - f)),
            ("f = (1 + tanh(z/2)) / 2", f, (1 + sp.tanh(z / 2)) / 2),
        ],
        "tanh": [("f' = 1 - f^2", d, 1 - f**2), ("f = 2 sigma(2z) - 1", f, 2 * s.subs(z, 2 * z) - 1)],
        "softplus": [("f' = sigma(z)", d, s)],
        "leaky_relu": [
            ("f(z) - f(-z) = (1 + negative_slope) z", f - f.subs(z, -z), sp.Rational(101, 100) * z)
        ],
        "elu": [("f' = exp(min(z, 0))", d, sp.exp(sp.Piecewise((z, z < 0), (0, True))))],
        "silu": [("f = swish(z; 1)", f, definition("swish", beta=1))],
        "hard_swish": [("f = z hard_sigmoid(z)", f, z * definition("hard_sigmoid"))],
        "hard_sigmoid": [("f = relu6(z + 3) / 6", f, definition("relu6").subs(z, z + 3) / 6)],
        "gelu_sigmoid": [("f = swish(z; 1.702)", f, definition("swish", beta="1.702"))],
    }
    return table.get(name, [])


def identities(name):
    """Return identities of an activation that hold for every real z.

    Parameters
    ----------
    name : str
        A canonical name; the parameters have their defaults (swish keeps beta).

    Returns
    -------
    list of (str, sympy.Expr, sympy.Expr)
        A description, and the two sides. ``is_identity(lhs, rhs)`` proves each.

    Raises
    ------
    ValueError
        If `name` is unknown.

    References
    ----------
    Ramachandran, Zoph and Le, Searching for Activation Functions, arXiv:1710.05941; Misra, Mish,
    arXiv:1908.08681.

    Examples
    --------
    >>> [description for description, lhs, rhs in identities("softplus")]
    ['f(z) - f(-z) = z', "f'(z) + f'(-z) = 1", "f' = sigma(z)"]
    """
    symmetry, f, found = parity(check_name(name)), definition(name), []
    for description, sides in _SYMMETRIES:
        if description == symmetry:
            found.append((description, *sides(lambda at: f.subs(z, at))))
    # at a kink the one-sided convention for f' breaks the symmetry
    if symmetry == "f(z) - f(-z) = z" and not kinks(name):
        d = derivative(name)
        found.append(("f'(z) + f'(-z) = 1", d + d.subs(z, -z), sp.Integer(1)))
    special = {"swish": _swish_identities, "mish": _mish_identities}
    return found + (special[name]() if name in special else _other_identities(name))
