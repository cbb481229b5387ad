"""Expressions: the functions of the search, as immutable trees that print as text, LaTeX and SymPy.

A tree is made of x, numbers, the constant eps, trainable parameters beta, the operations
``+ - * / max min``, whole powers, and the functions of `FUNCTIONS`. Three conventions hold everywhere:

- sqrt(x) is 0 for negative x, as the published space needs a real number there and names none;
- sinc(x) is sin(x) / x, and 1 at 0;
- eps is 0.001: the published space has an eps in log(abs(x) + eps) and x1 / (x2 + eps), without its value.

Every beta is one trainable number for each channel. It starts at 1, or at 0.5 if the expression contains
``1 - beta``, where it mixes two functions.
"""

from functools import cached_property

import sympy

from selfgated.search import printing
from selfgated.search.tree import EPS, FUNCTIONS, OPERATIONS, Node, beta, call, fold, number, walk, x

__all__ = ["EPS", "FUNCTIONS", "OPERATIONS", "Expression", "Node", "beta", "call", "number", "walk", "x"]


class Expression:
    """An activation function as a tree, with its betas numbered in the order of their first appearance.

    Parameters
    ----------
    root : Node
        See `call`, `number`, `beta` and `x`; a text is read by `selfgated.search.parse`.

    Attributes
    ----------
    root : Node
        Two expressions are equal if their trees are.
    text : str
        As `selfgated.search.parse` reads it.
    betas : tuple of float
        The value at which each beta starts.

    Raises
    ------
    TypeError
        If `root` is no Node.

    Notes
    -----
    ``log(1 + exp(u))`` becomes ``softplus(u)``, which is the same function and does not overflow.

    Examples
    --------
    >>> swish = Expression(call("mul", x, call("sigmoid", x)))
    >>> swish, swish.sympy
    (Expression('x*sigmoid(x)'), x/(1 + exp(-x)))
    """

    __slots__ = ("__dict__", "root")

    def __init__(self, root):
        """Renumber the betas."""
        if not isinstance(root, Node):
            raise TypeError(f"an expression is made of a Node, not {root!r}; a text is read by search.parse")
        order = {}
        for node in walk(root):
            if node.op == "beta":
                order.setdefault(node.value, len(order))
        self.root = fold(root, lambda node, parts: _normal(node, parts, order))

    def __eq__(self, other):
        """Whether both are the same tree."""
        return isinstance(other, Expression) and self.root == other.root

    def __hash__(self):
        """Hash of the tree."""
        return hash(self.root)

    def __repr__(self):
        """The text."""
        return f"Expression({self.text!r})"

    def __str__(self):
        """The text."""
        return self.text

    @cached_property
    def betas(self):
        """The value at which each beta starts: 0.5 for one that appears as ``1 - beta``, else 1."""
        starts = {}
        for node in walk(self.root):
            if node.op == "beta":
                starts.setdefault(node.value, 1.0)
            if node.op == "sub" and node.children[0] == number(1) and node.children[1].op == "beta":
                starts[node.children[1].value] = 0.5
        return tuple(starts[index] for index in sorted(starts))

    def _names(self, one, many):
        count = len(self.betas)
        return [one] if count == 1 else [many.format(k + 1) for k in range(count)]

    @cached_property
    def text(self):
        """The text: with the betas named beta, or beta1, beta2, ... if there are several."""
        return printing.text(self.root, self._names("beta", "beta{}"))

    @cached_property
    def latex(self):
        """The text for LaTeX, with the tree as it is."""
        return printing.latex(self.root, self._names(r"\beta", r"\beta_{}"))

    @cached_property
    def sympy(self):
        """The expression in SymPy, of the symbols x and beta (or beta1, beta2, ...), all real.

        ValueError where SymPy has none, as for x/(x - x).
        """
        return printing.symbolic(self.root, self.symbols)

    @property
    def symbols(self):
        """SymPy's symbols of the betas, in their order."""
        return tuple(sympy.Symbol(name, real=True) for name in self._names("beta", "beta{}"))


def _normal(node, parts, order):
    """The node with other children: its betas in order, and softplus under its name."""
    if node.op == "beta":
        return node if node.value == order[node.value] else beta(order[node.value])
    if node.op == "log" and (inner := _softplus_of(parts[0])) is not None:
        return call("softplus", inner)
    if all(old is new for old, new in zip(node.children, parts, strict=True)):
        return node
    return call(node.op, *parts, value=node.value)


def _softplus_of(node):
    """u, where the node is 1 + exp(u) or exp(u) + 1; otherwise None."""
    if node.op == "add":
        for one, other in (node.children, node.children[::-1]):
            if one == number(1) and other.op == "exp":
                return other.children[0]
    return None
