"""The grammar of formulas.

::

    sum     = product {("+" | "-") product}
    product = signed {("*" | "/") signed}
    signed  = {"-" | "+"} power
    power   = atom [("**" | "^") signed]
    atom    = number | symbol | pi | e | function "(" sum {"," sum} ")" | "(" sum ")"
"""

import re
import unicodedata
from dataclasses import dataclass

from selfgated.checks.expressions.errors import ExpressionError
from selfgated.checks.expressions.evaluation import ALIASES, CONSTANTS, FUNCTIONS, Evaluator, arity

MAX_CHARACTERS = 2000
MAX_DEPTH = 60
MAX_DIGITS = 60
MAX_EXPONENT = 400
TOKEN = re.compile(
    r"(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z_0-9]*)"
    r"|(?P<operator>\*\*|[-+*/^(),])"
)
HINTS = {"−": "-", "–": "-", "·": "*", "×": "*", "⋅": "*", "÷": "/", "²": "**2", "√": "sqrt"}
HINTS |= {"σ": "sigma", "β": "beta", "π": "pi", "Φ": "Phi", "φ": "phi"}


@dataclass(frozen=True, slots=True)
class Node:
    """One node of a tree: its kind (number, constant, symbol, call, operation), name and children."""

    kind: str
    name: str
    children: tuple = ()


@dataclass(frozen=True)
class Expression:
    """A parsed formula.

    Attributes
    ----------
    text : str
        What was parsed.
    tree : Node
        The root of its tree.
    symbols : tuple of str
        The symbols that occur, sorted.
    """

    text: str
    tree: Node
    symbols: tuple

    def evaluate(self, point, *, digits=50, deadline=None):
        """Value at `point`, every step carried with `digits` digits.

        Parameters
        ----------
        point : dict of str to number
            Value of every symbol.
        digits : int
            Decimal digits of the arithmetic. Cancellation is not made up for: `expressions.agree` does.
        deadline : float, optional
            Reading of `time.monotonic` after which evaluation stops.

        Returns
        -------
        mpf
            The value.

        Raises
        ------
        EvaluationError
            Where the formula is not defined, is too large to compute, or takes too long.

        Examples
        --------
        >>> parse("2*z**2 + 1", symbols=["z"]).evaluate({"z": 3})
        mpf('19.0')
        """
        return Evaluator(point, digits, deadline).value(self.tree)


def parse(text, *, symbols, functions=FUNCTIONS, max_nodes=200):
    """Read a formula.

    Parameters
    ----------
    text : str
        The formula: numbers, `+ - * / ** ^`, parentheses, pi, e, symbols and functions. `-z**2` is -(z**2).
    symbols : iterable of str
        Names of the allowed symbols.
    functions : iterable of str
        Names of the allowed functions, from `FUNCTIONS`.
    max_nodes : int
        Largest number of numbers, symbols, operations and calls together.

    Returns
    -------
    Expression
        The tree.

    Raises
    ------
    ExpressionError
        For anything else; the message names the place (counted from 1) and the choices.

    Examples
    --------
    >>> parse("2z", symbols=["z"])
    Traceback (most recent call last):
    ...
    selfgated.checks.expressions.errors.ExpressionError: a '*' is missing before 'z' at character 2
    """
    if not isinstance(text, str):
        raise ExpressionError(f"a formula is text in quotes, not {type(text).__name__}")
    unknown = [name for name in functions if name not in FUNCTIONS]
    if unknown:
        raise ValueError(f"unknown function {unknown[0]!r}; choose from {sorted(FUNCTIONS)}")
    if len(text) > MAX_CHARACTERS:
        raise ExpressionError(f"the formula has {len(text):,} characters, more than {MAX_CHARACTERS:,}")
    if not text.strip():
        raise ExpressionError("the formula is empty")
    reader = _Reader(text, tuple(symbols), tuple(functions), max_nodes)
    tree = reader.sum()
    reader.end()
    return Expression(text, tree, tuple(sorted(reader.used)))


def _tokens(text):
    """List of (kind, text, position), positions counted from 1."""
    found, position = [], 0
    while position < len(text):
        if text[position] in " \t\n\r":
            position += 1
            continue
        match = TOKEN.match(text, position)
        if match is None:
            raise ExpressionError(_strange(text, position))
        if match.lastgroup == "number":
            _check_number(match[0], position + 1)
        found.append((match.lastgroup, match[0], position + 1))
        position = match.end()
    return found


def _strange(text, position):
    character = text[position]
    name = unicodedata.name(character, "a control character")
    sentence = f"unexpected {character!r} "
    if ord(character) > 127:
        sentence += f"({name}) "
    sentence += f"at character {position + 1}"
    if character in HINTS:
        return f"{sentence}; write {HINTS[character]}"
    if character == "=":
        return f"{sentence}; give the right-hand side only"
    if character in "[]{}":
        return f"{sentence}; use round parentheses"
    return sentence


def _check_number(text, position):
    digits, _, exponent = text.lower().partition("e")
    if len(digits) > MAX_DIGITS:
        raise ExpressionError(f"the number at character {position} has more than {MAX_DIGITS} digits")
    if exponent and (len(exponent) > 5 or abs(int(exponent)) > MAX_EXPONENT):
        raise ExpressionError(f"the number {text[:20]} at character {position} is beyond 1e{MAX_EXPONENT}")


class _Reader:
    """Recursive descent over the tokens, bounded in depth and nodes."""

    def __init__(self, text, symbols, functions, max_nodes):
        self.tokens = _tokens(text)
        self.symbols, self.functions, self.max_nodes = symbols, functions, max_nodes
        self.place = self.nodes = self.depth = 0
        self.used = set()

    def peek(self):
        """The next token, or ("end", "", position)."""
        return self.tokens[self.place] if self.place < len(self.tokens) else ("end", "", 0)

    def take(self, *operators):
        """Text of the next token if it is one of `operators`, and step over it; otherwise None."""
        kind, text, _ = self.peek()
        if kind == "operator" and text in operators:
            self.place += 1
            return text
        return None

    def node(self, kind, name, *children):
        self.nodes += 1
        if self.nodes > self.max_nodes:
            raise ExpressionError(f"the formula has more than {self.max_nodes} parts; simplify it")
        return Node(kind, name, children)

    def deeper(self, rule):
        """Apply `rule` one level deeper."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ExpressionError(f"the formula is nested more than {MAX_DEPTH} levels deep")
        node = rule()
        self.depth -= 1
        return node

    def sum(self):
        node = self.product()
        while operator := self.take("+", "-"):
            node = self.node("operation", operator, node, self.product())
        return node

    def product(self):
        node = self.signed()
        while operator := self.take("*", "/"):
            node = self.node("operation", operator, node, self.signed())
        return node

    def signed(self):
        if operator := self.take("-", "+"):
            node = self.deeper(self.signed)
            return self.node("operation", "negative", node) if operator == "-" else node
        return self.power()

    def power(self):
        node = self.atom()
        if self.take("**", "^"):
            node = self.node("operation", "**", node, self.deeper(self.signed))
        return node

    def atom(self):
        kind, text, position = self.peek()
        if kind == "end":
            raise ExpressionError("the formula ends too early")
        self.place += 1
        if kind == "number":
            return self.node("number", text)
        if kind == "name":
            return self.named(text, position)
        if text != "(":
            raise ExpressionError(f"unexpected {text!r} at character {position}")
        node = self.deeper(self.sum)
        self.close(position)
        return node

    def named(self, text, position):
        """The symbol, constant or call that begins with the name `text`."""
        function = text if text in self.functions else ALIASES.get(text)
        if text in self.symbols:
            self.used.add(text)
            return self.node("symbol", text)
        if function in self.functions:
            return self.call(text, function, position)
        if text in CONSTANTS:
            return self.node("constant", text)
        what = "function" if self.peek()[1] == "(" else "symbol"
        choices = self.functions if what == "function" else (*self.symbols, *CONSTANTS)
        name = text if len(text) <= 20 else text[:20] + "..."
        hint = f"choose from {list(choices)}" if choices else "no function is needed here"
        raise ExpressionError(f"unknown {what} {name!r} at character {position}; {hint}")

    def call(self, text, function, position):
        if not self.take("("):
            raise ExpressionError(f"{text} at character {position} needs its argument in parentheses")
        arguments = [self.deeper(self.sum)]
        while self.take(","):
            arguments.append(self.deeper(self.sum))
        self.close(position)
        wanted = arity(function)
        if (wanted is None and len(arguments) < 2) or (wanted is not None and len(arguments) != wanted):
            number = "two or more arguments" if wanted is None else "one argument"
            raise ExpressionError(f"{text} at character {position} takes {number}, not {len(arguments)}")
        return self.node("call", function, *arguments)

    def close(self, opened):
        if not self.take(")"):
            self.follow(f"the parenthesis opened at character {opened} is not closed")

    def end(self):
        """Raise unless every token was read."""
        if self.peek()[0] != "end":
            self.follow("")

    def follow(self, otherwise):
        """Raise for a token that cannot stand where it stands."""
        kind, text, position = self.peek()
        if kind in ("number", "name") or text == "(":
            raise ExpressionError(f"a '*' is missing before {text[:20]!r} at character {position}")
        raise ExpressionError(otherwise or f"unexpected {text!r} at character {position}")
