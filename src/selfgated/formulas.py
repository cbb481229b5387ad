"""Formulas as text: the grammar that the course's checks and the search share.

::

    sum     = product {("+" | "-") product}
    product = signed {("*" | "/") signed}
    signed  = {"-" | "+"} power
    power   = atom [("**" | "^") signed]
    atom    = number | symbol | constant | function "(" sum {"," sum} ")" | "(" sum ")"

Text is read into a tree whose size and depth are bounded; it never reaches `eval` or `sympify`. What the tree
means is up to those who asked for it.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["FormulaError", "Grammar", "Node", "walk"]

MAX_DIGITS = 60
MAX_EXPONENT = 400
TOKEN = re.compile(
    r"(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z_0-9]*)"
    r"|(?P<operator>\*\*|[-+*/^(),])"
)
HINTS = {"−": "-", "–": "-", "·": "*", "×": "*", "⋅": "*", "÷": "/", "²": "**2", "√": "sqrt"}
ARGUMENTS = {1: "one argument", 2: "two arguments", None: "two or more arguments"}


class FormulaError(ValueError):
    """A text that is no formula of a grammar; the message names the place and the choices.

    Parameters
    ----------
    message : str
    position : int, optional
        Of the character at fault, from 1.

    Attributes
    ----------
    position : int or None
    """

    def __init__(self, message, position=None):
        """Keep the position."""
        super().__init__(message)
        self.position = position


@dataclass(frozen=True, slots=True)
class Node:
    """One node of the tree of a formula.

    Parameters
    ----------
    kind : {"number", "constant", "symbol", "call", "operation"}
    name : str
        The digits of a number; of an operation "negative" or the operator, ``**`` for a power.
    children : tuple of Node
    position : int
        Where it was read, from 1: an operation at its operator. It does not count when nodes are compared.
    """

    kind: str
    name: str
    children: tuple = ()
    position: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Grammar:
    """The words of a language of formulas, and its bounds.

    Parameters
    ----------
    functions : mapping of str to int or None
        Number of arguments of each function, None for two or more.
    symbols, constants : tuple of str
    aliases : mapping of str to str
        Other names of functions.
    hints : mapping of str to str
        What to write in place of a character that no formula has; added to those for operators.
    max_characters, max_depth, max_nodes : int
        Bounds on the text; on parentheses, calls, signs and exponents within each other; and on numbers,
        symbols, operations and calls together.
    error : type
        A `FormulaError`, which is raised.

    Examples
    --------
    >>> Grammar({"exp": 1}, symbols=("x",)).read("2x")
    Traceback (most recent call last):
    ...
    selfgated.formulas.FormulaError: a '*' is missing before 'x' at character 2
    """

    functions: Mapping
    symbols: tuple = ()
    constants: tuple = ()
    aliases: Mapping = field(default_factory=dict)
    hints: Mapping = field(default_factory=dict)
    max_characters: int = 2000
    max_depth: int = 60
    max_nodes: int = 200
    error: type = FormulaError

    def read(self, text):
        """Read a text.

        Parameters
        ----------
        text : str

        Returns
        -------
        Node
            The root of the tree.

        Raises
        ------
        FormulaError
            Or the class given as `error`, if the text is no formula.
        """
        if not isinstance(text, str):
            raise self.error(f"a formula is text in quotes, not {type(text).__name__}")
        if len(text) > self.max_characters:
            raise self.error(
                f"the formula has {len(text):,} characters, more than {self.max_characters:,}",
                self.max_characters + 1,
            )
        if not text.strip():
            raise self.error("the formula is empty", 1)
        reader = _Reader(text, self)
        root = reader.sum()
        reader.end()
        return root


def walk(root):
    """Yield every node of a tree, a parent before its children."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(reversed(node.children))


def _tokens(text, grammar):
    """List of (kind, text, position), positions counted from 1."""
    found, position = [], 0
    while position < len(text):
        if text[position] in " \t\n\r":
            position += 1
            continue
        match = TOKEN.match(text, position)
        if match is None:
            raise grammar.error(_strange(text, position, HINTS | dict(grammar.hints)), position + 1)
        if match.lastgroup == "number":
            _check_number(match[0], position + 1, grammar)
        found.append((match.lastgroup, match[0], position + 1))
        position = match.end()
    return found


def _strange(text, position, hints):
    character = text[position]
    name = unicodedata.name(character, "a control character")
    sentence = f"unexpected {character!r} "
    if ord(character) > 127:
        sentence += f"({name}) "
    sentence += f"at character {position + 1}"
    if character in hints:
        return f"{sentence}; write {hints[character]}"
    if character == "=":
        return f"{sentence}; give the right-hand side only"
    if character in "[]{}":
        return f"{sentence}; use round parentheses"
    return sentence


def _check_number(text, position, grammar):
    digits, _, exponent = text.lower().partition("e")
    if len(digits) > MAX_DIGITS:
        raise grammar.error(f"the number at character {position} has more than {MAX_DIGITS} digits", position)
    if exponent and (len(exponent) > 5 or abs(int(exponent)) > MAX_EXPONENT):
        raise grammar.error(
            f"the number {text[:20]} at character {position} is beyond 1e{MAX_EXPONENT}", position
        )


class _Reader:
    """Recursive descent over the tokens, bounded in depth and nodes."""

    def __init__(self, text, grammar):
        self.grammar = grammar
        self.tokens = [*_tokens(text, grammar), ("end", "", len(text) + 1)]
        self.place = self.nodes = self.depth = 0

    def fail(self, message, position):
        raise self.grammar.error(message, position)

    def peek(self):
        """The next token."""
        return self.tokens[self.place]

    def take(self, *operators):
        """The next token's text, if it is one of `operators`, and step over it; otherwise None."""
        kind, text, _ = self.peek()
        if kind == "operator" and text in operators:
            self.place += 1
            return text
        return None

    @property
    def taken(self):
        """Position of the token before the next."""
        return self.tokens[self.place - 1][2]

    def node(self, kind, name, position, *children):
        self.nodes += 1
        limit = self.grammar.max_nodes
        if self.nodes > limit:
            self.fail(f"the formula has more than {limit} parts; simplify it", position)
        return Node(kind, name, children, position)

    def deeper(self, rule):
        """Apply `rule` one level deeper."""
        self.depth += 1
        limit = self.grammar.max_depth
        if self.depth > limit:
            self.fail(f"the formula is nested more than {limit} levels deep", self.taken)
        node = rule()
        self.depth -= 1
        return node

    def sum(self):
        node = self.product()
        while operator := self.take("+", "-"):
            node = self.node("operation", operator, self.taken, node, self.product())
        return node

    def product(self):
        node = self.signed()
        while operator := self.take("*", "/"):
            node = self.node("operation", operator, self.taken, node, self.signed())
        return node

    def signed(self):
        if operator := self.take("-", "+"):
            position = self.taken
            node = self.deeper(self.signed)
            return self.node("operation", "negative", position, node) if operator == "-" else node
        return self.power()

    def power(self):
        node = self.atom()
        if self.take("**", "^"):
            position = self.taken
            node = self.node("operation", "**", position, node, self.deeper(self.signed))
        return node

    def atom(self):
        kind, text, position = self.peek()
        if kind == "end":
            self.fail("the formula ends too early", position)
        self.place += 1
        if kind == "number":
            return self.node("number", text, position)
        if kind == "name":
            return self.named(text, position)
        if text != "(":
            self.fail(f"unexpected {text!r} at character {position}", position)
        node = self.deeper(self.sum)
        self.close(position)
        return node

    def named(self, text, position):
        """The symbol, constant or call that begins with the name `text`."""
        grammar = self.grammar
        function = text if text in grammar.functions else grammar.aliases.get(text)
        if text in grammar.symbols:
            return self.node("symbol", text, position)
        if function in grammar.functions:
            return self.call(text, function, position)
        if text in grammar.constants:
            return self.node("constant", text, position)
        what = "function" if self.peek()[1] == "(" else "symbol"
        choices = grammar.functions if what == "function" else (*grammar.symbols, *grammar.constants)
        name = text if len(text) <= 20 else text[:20] + "..."
        hint = f"choose from {list(choices)}" if choices else "no function is needed here"
        return self.fail(f"unknown {what} {name!r} at character {position}; {hint}", position)

    def call(self, text, function, position):
        if not self.take("("):
            self.fail(f"{text} at character {position} needs its argument in parentheses", position)
        arguments = [self.deeper(self.sum)]
        while self.take(","):
            arguments.append(self.deeper(self.sum))
        self.close(position)
        wanted = self.grammar.functions[function]
        if (wanted is None and len(arguments) < 2) or (wanted is not None and len(arguments) != wanted):
            sentence = f"{text} at character {position} takes {ARGUMENTS[wanted]}, not {len(arguments)}"
            self.fail(sentence, position)
        return self.node("call", function, position, *arguments)

    def close(self, opened):
        if not self.take(")"):
            self.follow(f"the parenthesis opened at character {opened} is not closed", opened)

    def end(self):
        """Raise unless every token was read."""
        if self.peek()[0] != "end":
            self.follow()

    def follow(self, otherwise=None, opened=None):
        """Raise for a token that cannot stand where it stands."""
        kind, text, position = self.peek()
        if kind in ("number", "name") or text == "(":
            self.fail(f"a '*' is missing before {text[:20]!r} at character {position}", position)
        if otherwise is not None:
            self.fail(otherwise, opened)
        self.fail(f"unexpected {text!r} at character {position}", position)
