"""Expressions of the search as text, read by the book's own small grammar (see `selfgated.formulas`)."""

import math
from functools import lru_cache

from selfgated import catalog
from selfgated.formulas import FormulaError, Grammar, walk
from selfgated.search.expression import Expression
from selfgated.search.tree import BETAS, EXPONENTS, FUNCTIONS, MAX_NODES, beta, call, fold, number, x

__all__ = ["ALIASES", "FORMS", "GrammarError", "parse"]

MAX_DEPTH, MAX_CHARACTERS = 64, 2000
NUMBERED = tuple(f"beta{index + 1}" for index in BETAS)
OPERATIONS = {"+": "add", "-": "sub", "*": "mul", "/": "div", "negative": "neg"}
FORMS = {
    "identity": "x",
    "relu6": "min(relu(x), 6)",
    "leaky_relu": "max(x, 0.01*x)",
    "elu": "relu(x) + exp(min(x, 0)) - 1",
    "silu": "x*sigmoid(x)",
    "swish": "x*sigmoid(beta*x)",
    "hard_sigmoid": "min(relu(x + 3), 6)/6",
    "hard_swish": "x*min(relu(x + 3), 6)/6",
    "gelu": "x*(1 + erf(x/sqrt(2)))/2",
    "gelu_tanh": "x*(1 + tanh(0.7978845608028654*(x + 0.044715*x^3)))/2",  # sqrt(2/pi)
    "gelu_sigmoid": "x*sigmoid(1.702*x)",
    "mish": "x*tanh(softplus(x))",
}
ALIASES = {alias: record.name for record in catalog.ACTIVATIONS for alias in record.aliases}
ALIASES |= {"sigma": "sigmoid", "arctan": "atan", "arcsinh": "asinh", "arsinh": "asinh", "ln": "log"}
HINTS = {"²": "^2", "³": "^3", "|": "abs(...)", "σ": "sigmoid", "β": "beta", "ε": "eps", "ϵ": "eps"}
HINTS |= dict.fromkeys("хχｘ𝑥", "x")


class GrammarError(FormulaError):
    """A text that is no expression of the search.

    Parameters
    ----------
    message : str
    position : int, optional

    Attributes
    ----------
    position : int or None
        Of the character at fault, from 1; the message has it too. None for what is no text.
    """

    def __init__(self, message, position=None):
        """Name the position, where the message does not."""
        if position is not None and f"character {position}" not in message:
            message = f"{message} (at character {position})"
        super().__init__(message, position)


GRAMMAR = Grammar(
    dict.fromkeys(FUNCTIONS, 1) | {"max": 2, "min": 2} | dict.fromkeys(FORMS, 1),
    symbols=("x", "beta", *NUMBERED),
    constants=("eps",),
    aliases=ALIASES,
    hints=HINTS,
    max_characters=MAX_CHARACTERS,
    max_depth=MAX_DEPTH,
    max_nodes=MAX_NODES,
    error=GrammarError,
)


def parse(text):
    """Read an expression.

    Parameters
    ----------
    text : str
        Made of x, numbers, eps, ``+ - * /``, whole powers ``^2`` to ``^9`` (or ``**2``), parentheses,
        ``max(a, b)``, ``min(a, b)``, the functions of `selfgated.search.expression.FUNCTIONS`, and the
        activations of the book, as ``gelu(x)``, which stand for their formulas (`FORMS`). A trainable
        parameter is called beta; several are called beta1 to beta9. All uses of a name are one parameter.
        ``-x^2`` is -(x^2), and ``-a*b`` is (-a)*b.

    Returns
    -------
    Expression

    Raises
    ------
    GrammarError
        For anything else, more than 2,000 characters or 200 parts, and nesting deeper than 64; the message
        names the place, counted from 1, and the choices.

    Examples
    --------
    >>> parse("x*sigma(beta*x)"), parse("mish(x)")
    (Expression('x*sigmoid(beta*x)'), Expression('x*tanh(softplus(x))'))
    >>> parse("x^0.5")
    Traceback (most recent call last):
    ...
    selfgated.search.grammar.GrammarError: the power at character 2 needs a whole exponent from 2 to 9
    """
    root = GRAMMAR.read(text)
    values, used = {}, {}
    for node in reversed(list(walk(root))):  # children before their parent
        values[id(node)] = _tree(node, [values[id(child)] for child in node.children], used)
    if "beta" in used and len(used) > 1:
        position = min(place for name, place in used.items() if name != "beta")
        both = f"beta at character {used['beta']} and a numbered one at character {position}"
        raise GrammarError(f"{both}: number all of them, as beta1", position)
    return Expression(values[id(root)])


def _tree(node, parts, used):
    """The node of the search for a node of a formula whose children were done before."""
    if node.kind == "number":
        return number(_value(node))
    if node.kind == "constant":
        return call(node.name)
    if node.kind == "symbol":
        return x if node.name == "x" else _beta(node.name, node.position, used)
    try:
        if node.name == "**":
            return call("pow", parts[0], value=_exponent(node))
        if node.name not in FORMS:
            return call(OPERATIONS.get(node.name, node.name), *parts)
        form = _form(node.name)
        if form.betas:
            _beta("beta", node.position, used)
        return fold(form.root, lambda own, new: parts[0] if own == x else call(own.op, *new, value=own.value))
    except GrammarError:
        raise
    except ValueError as error:
        raise GrammarError(f"{node.name}: {error}", node.position) from None


def _beta(name, position, used):
    used[name] = min(position, used.get(name, position))
    return beta(0 if name == "beta" else NUMBERED.index(name))


def _value(node):
    value = float(node.name)
    digits = node.name.lower().partition("e")[0]
    if math.isinf(value) or (value == 0 and digits.strip("0.")):
        name = f"the number {node.name[:20]} at character {node.position}"
        raise GrammarError(f"{name} is too {'small' if value == 0 else 'large'} for float64", node.position)
    return value


def _exponent(node):
    """The exponent of a power, which is no node of the search."""
    exponent = node.children[1]
    if exponent.kind != "number" or float(exponent.name) not in EXPONENTS:
        choices = f"{EXPONENTS[0]} to {EXPONENTS[-1]}"
        raise GrammarError(
            f"the power at character {node.position} needs a whole exponent from {choices}", node.position
        )
    return int(float(exponent.name))


@lru_cache(maxsize=len(FORMS))
def _form(name):
    return parse(FORMS[name])
