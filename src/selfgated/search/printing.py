"""Trees as text, as LaTeX and as SymPy."""

from functools import lru_cache

import sympy

from selfgated.search.tree import EPS, fold

__all__ = ["latex", "symbolic", "text"]

SUM, PRODUCT, SIGN, POWER, ATOM = range(5)  # how strongly the parts of a text hold together
SIGNS = {"add": (" + ", SUM), "sub": (" - ", SUM), "mul": ("*", PRODUCT), "div": ("/", PRODUCT)}


def text(root, names):
    """Text of a tree, as `selfgated.search.parse` reads it.

    Parameters
    ----------
    root : Node
    names : sequence of str
        Of the betas.

    Returns
    -------
    str
        With the fewest parentheses that keep the tree, and with those that part a sign from an operator.
    """
    return fold(root, lambda node, parts: _text(node, parts, names))[0]


def _text(node, parts, names):
    """(text, how strongly it holds together)."""
    if not parts:
        return _leaf(node, names), ATOM
    if node.op == "neg":
        return f"-{_within(parts[0], POWER)}", SIGN
    if node.op == "pow":
        return f"{_within(parts[0], ATOM)}^{node.value}", POWER
    if node.op in SIGNS:
        sign, level = SIGNS[node.op]
        # The grammar reads from the left: a - (b - c) and a/(b/c) keep their parentheses.
        return f"{_within(parts[0], level)}{sign}{_within(parts[1], level + 1, sign=False)}", level
    return f"{node.op}({', '.join(part for part, _ in parts)})", ATOM


def _leaf(node, names):
    if node.op == "number":
        return (
            str(int(node.value)) if node.value < 1e16 and node.value == int(node.value) else repr(node.value)
        )
    return names[node.value] if node.op == "beta" else node.op


def _within(part, level, *, sign=True):
    own = part[1]
    return part[0] if own >= level and (sign or not part[0].startswith("-")) else f"({part[0]})"


def latex(root, names):
    """Mathematics of a tree for LaTeX, KaTeX, or matplotlib's own: no macro is needed.

    Parameters
    ----------
    root : Node
    names : sequence of str
        Of the betas, as LaTeX.

    Returns
    -------
    str
    """
    return fold(root, lambda node, parts: _latex(node, parts, names))[0]


LATEX = {
    "abs": r"\left|{}\right|",
    "sqrt": r"\sqrt{{{}}}",
    "asinh": r"\operatorname{{arsinh}}\left({}\right)",
    "atan": r"\arctan\left({}\right)",
    "relu": r"\operatorname{{ReLU}}\left({}\right)",
    "sigmoid": r"\sigma\left({}\right)",
} | {name: rf"\operatorname{{{{{name}}}}}\left({{}}\right)" for name in ("erf", "sinc", "softplus")}


def _latex(node, parts, names):
    """(mathematics, how strongly it holds together)."""
    if not parts:
        digits, _, exponent = _leaf(node, names).partition("e") if node.op == "number" else ("", "", "")
        if exponent:
            return rf"{digits} \cdot 10^{{{int(exponent)}}}", PRODUCT
        return r"\varepsilon" if node.op == "eps" else _leaf(node, names), ATOM
    inner = [part for part, _ in parts]
    if node.op == "neg":
        return f"-{_bracketed(parts[0], POWER)}", SIGN
    if node.op == "pow":
        return f"{_bracketed(parts[0], ATOM)}^{{{node.value}}}", POWER
    if node.op == "exp":
        return f"e^{{{inner[0]}}}", POWER
    if node.op == "div":
        return rf"\frac{{{inner[0]}}}{{{inner[1]}}}", POWER
    if node.op in SIGNS:
        level = SIGNS[node.op][1]
        right = _bracketed(parts[1], level + 1, sign=False)
        signs = {"add": " + ", "sub": " - ", "mul": r" \cdot " if right[0].isdigit() else r" \, "}
        return f"{_bracketed(parts[0], level)}{signs[node.op]}{right}", level
    return LATEX.get(node.op, rf"\{node.op}\left({{}}\right)").format(", ".join(inner)), ATOM


def _bracketed(part, level, *, sign=True):
    inner = _within(part, level, sign=sign)
    return inner if inner == part[0] else rf"\left({part[0]}\right)"


X = sympy.Symbol("x", real=True)
MAX_DEGREE = 1000
RULES = {
    "neg": lambda a: -a,
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "max": sympy.Max,
    "min": sympy.Min,
    "abs": sympy.Abs,
    "sqrt": lambda a: sympy.sqrt(sympy.Max(a, 0)),
    "sigmoid": lambda a: 1 / (1 + sympy.exp(-a)),
    "softplus": lambda a: sympy.log(1 + sympy.exp(a)),
    "relu": lambda a: sympy.Max(a, 0),
}


def symbolic(root, symbols):
    """A tree in SymPy, of the real symbol x and those of the betas.

    Parameters
    ----------
    root : Node
    symbols : tuple of sympy.Symbol
        Of the betas.

    Returns
    -------
    sympy.Expr
        As SymPy's automatic rules leave it: sums and products are sorted and collected.

    Raises
    ------
    ValueError
        If there is none: for a quotient by 0, a maximum of what cannot be compared, or powers of powers
        beyond 1000, whose exact coefficients would fill the memory.
    """
    degree = fold(root, lambda node, parts: max(parts, default=1) * (node.value if node.op == "pow" else 1))
    if degree > MAX_DEGREE:
        raise ValueError(f"SymPy gets no powers of powers beyond {MAX_DEGREE}, here {degree}")
    try:
        form = fold(root, lambda node, parts: _symbolic(node.op, node.value, tuple(parts), symbols))
    except (ArithmeticError, ValueError) as error:
        raise ValueError(f"SymPy has no form of it: {error}") from error
    if form.has(sympy.zoo, sympy.nan):
        raise ValueError(f"SymPy has no form of it: it finds {form}")
    return form


@lru_cache(maxsize=4096)
def _symbolic(op, value, parts, symbols):
    if op == "x":
        return X
    if op == "eps":
        return sympy.Rational(str(EPS))
    if op == "number":
        return sympy.Rational(str(value))
    if op == "beta":
        return symbols[value]
    if op == "pow":
        return parts[0] ** value
    return RULES.get(op, getattr(sympy, op, None))(*parts)
