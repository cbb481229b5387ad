"""Formulas of students: read by the book's grammar of formulas, with the symbols and functions allowed."""

from dataclasses import dataclass

from selfgated.checks.expressions.errors import ExpressionError
from selfgated.checks.expressions.evaluation import ALIASES, CONSTANTS, FUNCTIONS, Evaluator, arity
from selfgated.formulas import Grammar, Node, walk

HINTS = {"σ": "sigma", "β": "beta", "π": "pi", "Φ": "Phi", "φ": "phi"}


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
    unknown = [name for name in functions if name not in FUNCTIONS]
    if unknown:
        raise ValueError(f"unknown function {unknown[0]!r}; choose from {sorted(FUNCTIONS)}")
    grammar = Grammar(
        {name: arity(name) for name in functions},
        symbols=tuple(symbols),
        constants=CONSTANTS,
        aliases=ALIASES,
        hints=HINTS,
        max_nodes=max_nodes,
        error=ExpressionError,
    )
    tree = grammar.read(text)
    return Expression(text, tree, tuple(sorted({node.name for node in walk(tree) if node.kind == "symbol"})))
