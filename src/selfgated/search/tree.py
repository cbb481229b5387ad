"""Immutable trees of operations: what an expression is made of."""

import math
from dataclasses import dataclass, field

__all__ = [
    "BETAS", "EPS", "EXPONENTS", "FUNCTIONS", "LEAVES", "MAX_NODES", "OPERATIONS", "Node",
    "beta", "call", "fold", "number", "walk", "x",
]  # fmt: skip

EPS = 1e-3
FUNCTIONS = (
    "abs", "sqrt", "log", "exp", "sin", "cos", "sinh", "cosh", "tanh", "asinh", "atan", "sinc", "sigmoid",
    "softplus", "relu", "erf",
)  # fmt: skip
OPERATIONS = ("add", "sub", "mul", "div", "max", "min")
LEAVES = ("x", "eps", "number", "beta")
ARITY = dict.fromkeys(LEAVES, 0) | dict.fromkeys(("neg", "pow", *FUNCTIONS), 1) | dict.fromkeys(OPERATIONS, 2)
BETAS, EXPONENTS = range(9), range(2, 10)
MAX_NODES = 200


@dataclass(frozen=True, slots=True)
class Node:
    """One node of a tree.

    Parameters
    ----------
    op : str
        A leaf ("x", "eps", "number", "beta"), "neg", "pow", one of `OPERATIONS` or of `FUNCTIONS`.
    children : tuple of Node
        None, one or two.
    value : int or float, optional
        Of a number, a finite float that is not negative; the exponent of "pow", 2 to 9; the index of a beta,
        0 to 8.

    Attributes
    ----------
    size : int
        Number of nodes of the tree below, itself included; at most 200.

    Raises
    ------
    ValueError
        For anything else.
    """

    op: str
    children: tuple = ()
    value: int | float | None = None
    size: int = field(init=False, compare=False, repr=False)

    def __post_init__(self):
        """Check and count."""
        if self.op not in ARITY:
            raise ValueError(f"unknown operation {self.op!r}; choose from {list(ARITY)}")
        if len(self.children) != ARITY[self.op] or not all(isinstance(c, Node) for c in self.children):
            raise ValueError(f"{self.op} takes {ARITY[self.op]} nodes, not {self.children!r:.60}")
        if not _fits(self.op, self.value):
            raise ValueError(f"{self.op} takes no value {self.value!r}")
        size = 1 + sum(child.size for child in self.children)
        if size > MAX_NODES:
            raise ValueError(f"the tree has more than {MAX_NODES} nodes")
        object.__setattr__(self, "size", size)

    def __deepcopy__(self, memo):
        """Return the node itself: it never changes, and a copy of a deep tree would exhaust the stack."""
        return self


def _fits(op, value):
    if op == "number":
        # A sign is an operation: -2 is read as one, and so is -0.
        return type(value) is float and math.isfinite(value) and math.copysign(1, value) > 0
    if op in ("beta", "pow"):
        return type(value) is int and value in (BETAS if op == "beta" else EXPONENTS)
    return value is None


x = Node("x")


def number(value):
    """A finite number: its leaf, or for a negative one "neg" of the leaf of its size.

    Parameters
    ----------
    value : float

    Returns
    -------
    Node
    """
    leaf = Node("number", (), abs(float(value)))
    return Node("neg", (leaf,)) if value < 0 else leaf


def beta(index=0):
    """The leaf of the trainable parameter with this index, 0 to 8."""
    return Node("beta", (), index)


def call(op, *children, value=None):
    """The node of an operation and its children, with the value that "pow" needs."""
    return Node(op, children, value)


def walk(root):
    """Yield every node, the children before their parent, from left to right."""
    waiting = [(root, False)]
    while waiting:
        node, ready = waiting.pop()
        if ready or not node.children:
            yield node
        else:
            waiting.append((node, True))
            waiting.extend((child, False) for child in reversed(node.children))


def fold(root, rule):
    """What a rule makes of a tree, from the leaves up; no recursion, so no depth is too large.

    Parameters
    ----------
    root : Node
    rule : callable
        ``rule(node, parts)``, where ``parts`` lists what it made of the node's children.

    Returns
    -------
    object
        What it makes of the root.
    """
    parts = []
    for node in walk(root):
        count = len(node.children)
        own = parts[len(parts) - count :]
        del parts[len(parts) - count :]
        parts.append(rule(node, own))
    return parts[0]
