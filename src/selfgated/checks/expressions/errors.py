"""Errors of formulas."""

from selfgated.formulas import FormulaError


class ExpressionError(FormulaError):
    """A text that is no formula of the grammar; the message names the place and the choices."""


class EvaluationError(ArithmeticError):
    """A formula without a real value at a point, or whose value cannot be computed within the bounds."""
