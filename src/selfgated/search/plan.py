"""How K expressions are computed at once: nodes of the same height and operation are one call.

Values live in *sources*, tensors whose first dimension counts nodes: the inputs, the betas, the numbers, and
the results of each call. A call takes its operands as rows of earlier sources. Each source is gathered once
for all who use it and split among them, because the backward pass of every single gather would fill a tensor
of the size of its source.
"""

import math
from collections import defaultdict
from itertools import groupby
from typing import NamedTuple

import torch

from selfgated.search.expression import EPS

__all__ = ["BINARY", "SINC_SERIES", "UNARY", "Plan"]

SINC_SERIES = 0.05  # below it sinc is its Taylor polynomial: the remainder is under float32's rounding
ROOM = 16.0  # what is left below the largest number, for factors such as an exponent
INPUT, BETA, NUMBER = range(3)


def _sqrt(z):
    # The slope of sqrt is infinite at 0, and 0 * inf is nan: what `where` drops must be safe by itself.
    below = z <= 0  # not so for nan, which stays nan
    return torch.where(below, 0.0, torch.where(below, 1.0, z).sqrt())


def _sinc(z):
    near = z.abs() < SINC_SERIES
    safe = torch.where(near, 1.0, z)
    square = torch.where(near, z, 0.0) ** 2
    series = 1 - square / 6 * (1 - square / 20 * (1 - square / 42 * (1 - square / 72)))
    return torch.where(near, series, safe.sin() / safe)


def _bounded(function, *, below=False):
    """A function that grows as exp does, constant from where its value nears the largest number of the type.

    Were it infinite there, its slope would be so too, and infinity times the slope 0 of what follows is nan:
    ``min(x, exp(x))`` is x at 100.
    """

    def bounded(z):
        reach = math.log(torch.finfo(z.dtype).max / ROOM)
        return function(z.clamp(-reach if below else None, reach))

    return bounded


def _power(z, exponent):
    reach = (torch.finfo(z.dtype).max / ROOM) ** (1 / exponent)
    return z.clamp(-reach, reach) ** exponent


UNARY = {
    "neg": torch.neg,
    "abs": torch.abs,
    "sqrt": _sqrt,
    "log": torch.log,
    "exp": _bounded(torch.exp),
    "sin": torch.sin,
    "cos": torch.cos,
    "sinh": _bounded(torch.sinh, below=True),
    "cosh": _bounded(torch.cosh, below=True),
    "tanh": torch.tanh,
    "asinh": torch.asinh,
    "atan": torch.atan,
    "sinc": _sinc,
    "sigmoid": torch.sigmoid,
    "softplus": lambda z: torch.logaddexp(z, z.new_zeros(())),
    "relu": torch.relu,
    "erf": torch.erf,
}
# Where both arguments of max or min are equal, each gets half of the gradient.
BINARY = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.div,
    "max": torch.maximum,
    "min": torch.minimum,
}


class Call(NamedTuple):
    """One call: its operation and exponent, the source that it makes, and its operands as pieces."""

    op: str
    exponent: int | None
    source: int
    operands: tuple


class Plan:
    """The calls that compute K expressions.

    Parameters
    ----------
    expressions : sequence of Expression, length K
    num_betas : int
        B, rows of each expression in the table of betas.
    """

    def __init__(self, expressions, num_betas):
        """Sort the nodes of all trees into calls."""
        self.numbers, self.calls = [], []
        self.pieces = defaultdict(list)  # of each source, what is gathered from it: lists of rows
        self._rows = {}
        self._index = {}
        places, of_x, known_numbers = {}, {}, {}
        levels = defaultdict(lambda: defaultdict(dict))

        def visit(k, node):
            """Height of a node; whatever it needs is put in its level."""
            key = (k, node)
            if node.op == "x":
                places[key], of_x[key] = (INPUT, k), True
                return 0
            if node.op == "beta":
                places[key], of_x[key] = (BETA, k * num_betas + node.value), False
                return 0
            if not node.children:
                value = EPS if node.op == "eps" else float(node.value)
                row = known_numbers.setdefault(value, len(known_numbers))
                places[key], of_x[key] = (NUMBER, row), False
                return 0
            if key in heights:
                return heights[key]
            heights[key] = 1 + max(visit(k, child) for child in node.children)
            kinds = tuple(of_x[k, child] for child in node.children)
            of_x[key] = any(kinds)
            levels[heights[key]][node.op, node.value, kinds][key] = None
            return heights[key]

        heights = {}
        for k, expression in enumerate(expressions):
            visit(k, expression.root)
        self.numbers = list(known_numbers)
        for height in sorted(levels):
            for (op, exponent, _), keys in levels[height].items():
                self._add(op, exponent, list(keys), places)
        roots = [(k, expression.root) for k, expression in enumerate(expressions)]
        order = sorted(range(len(roots)), key=lambda k: (not of_x[roots[k]], places[roots[k]]))
        self.outputs = [
            (of_x[roots[run[0]]], self._operand([places[roots[k]] for k in run]))
            for run in (list(g) for _, g in groupby(order, key=lambda k: of_x[roots[k]]))
        ]
        self.back = None if order == sorted(order) else sorted(range(len(order)), key=order.__getitem__)

    def _add(self, op, exponent, keys, places):
        """Append a call for the nodes `keys`, all of one operation."""
        keys.sort(key=lambda key: [places[key[0], child][0] for child in key[1].children])
        sides = zip(*([places[k, child] for child in node.children] for k, node in keys), strict=True)
        operands = tuple(self._operand(list(side)) for side in sides)
        source = NUMBER + 1 + len(self.calls)
        for row, key in enumerate(keys):
            places[key] = (source, row)
        self.calls.append(Call(op, exponent, source, operands))

    def _operand(self, found):
        """The pieces of an operand: (source, number of the piece) for each run of rows of one source."""
        pieces = []
        for source, run in groupby(found, key=lambda place: place[0]):
            self.pieces[source].append([row for _, row in run])
            pieces.append((source, len(self.pieces[source]) - 1))
        return tuple(pieces)

    def __call__(self, z, betas, shape):
        """Values of all expressions.

        Parameters
        ----------
        z : Tensor (K, ...)
        betas : Tensor (K B, *shape) or None
        shape : tuple of int
            That of a beta, to be broadcast with ``z[0]``.

        Returns
        -------
        Tensor, shape of z
        """
        numbers = None
        if self.numbers:
            numbers = z.new_tensor(self.numbers).reshape(-1, *[1] * len(shape)).expand(-1, *shape)
        ready = {}
        for source, values in ((INPUT, z), (BETA, betas), (NUMBER, numbers)):
            self._gather(source, values, ready)
        for op, exponent, source, operands in self.calls:
            arguments = [_joined([ready[piece] for piece in pieces]) for pieces in operands]
            if op == "pow":
                result = _power(arguments[0], exponent)
            else:
                result = (UNARY.get(op) or BINARY[op])(*arguments)
            self._gather(source, result, ready)
        parts = [_joined([ready[piece] for piece in pieces]) for _, pieces in self.outputs]
        parts = [part.expand(-1, *z.shape[1:]) for part in parts]
        values = _joined(parts)
        return (
            values if self.back is None else values.index_select(0, self._tensor("back", self.back, z.device))
        )

    def _gather(self, source, values, ready):
        """Put the pieces that are taken from a source where the calls find them."""
        lists = self.pieces.get(source)
        if not lists:
            return
        if source not in self._rows:
            rows = [row for piece in lists for row in piece]
            self._rows[source] = None if rows == list(range(len(values))) else rows
        rows = self._rows[source]
        if rows is not None:
            values = values.index_select(0, self._tensor(source, rows, values.device))
        parts = (values,) if len(lists) == 1 else values.split([len(piece) for piece in lists])
        ready.update(((source, number), part) for number, part in enumerate(parts))

    def _tensor(self, key, rows, device):
        if (key, device) not in self._index:
            self._index[key, device] = torch.tensor(rows, device=device)
        return self._index[key, device]


def _joined(tensors):
    return tensors[0] if len(tensors) == 1 else torch.cat(tensors)
