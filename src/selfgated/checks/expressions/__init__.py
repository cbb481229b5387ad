"""Formulas as students type them: parsed by our own small grammar, decided by numbers at 50 digits.

Text of a student never reaches `eval` or `sympify`: it is read into a tree of known symbols, functions and
operations, whose size is bounded, and only that tree is evaluated.
"""

from selfgated.checks.expressions.comparison import SYMBOLS, agree, compare
from selfgated.checks.expressions.errors import EvaluationError, ExpressionError
from selfgated.checks.expressions.evaluation import FUNCTIONS
from selfgated.checks.expressions.parser import Expression, parse

__all__ = [
    "FUNCTIONS",
    "SYMBOLS",
    "EvaluationError",
    "Expression",
    "ExpressionError",
    "agree",
    "compare",
    "parse",
]
