"""Self-check of the reader of a record, on a few rows that hold each trap."""

import math

import numpy as np

from selfgated.checks import engine
from selfgated.checks.engine import CheckFailed

COLUMNS = ("act", "lr", "seed", "train_loss", "accuracy", "diverged")
NAN = math.nan
ROWS = [  # relu: the rate 0.1 only looks best without its diverged run; silu: best on test images is 0.5
    ("relu", 0.1, 2, 0.4, 0.85, False),
    ("relu", 0.01, 0, 1.2, 0.61, False),
    ("silu", 0.5, 1, 1.6, 0.82, False),
    ("relu", 0.1, 0, NAN, 0.12, True),
    ("silu", 0.2, 2, 1.1, 0.55, False),
    ("relu", 0.01, 2, 1.1, 0.63, False),
    ("silu", 0.5, 0, 1.7, 0.81, False),
    ("relu", 0.1, 1, 2.0, 0.40, True),
    ("silu", 0.2, 0, 1.3, 0.52, False),
    ("relu", 0.01, 1, 1.3, 0.59, False),
    ("silu", 0.5, 2, 1.5, 0.83, False),
    ("silu", 0.2, 1, 1.2, 0.57, False),
    ("tanh", 0.3, 1, 0.5, 0.33, True),
    ("tanh", 0.3, 0, 0.9, 0.72, False),
    ("tanh", 0.3, 2, 0.8, 0.71, False),
]
RIGHT = {
    "relu": (0.01, [0.61, 0.59, 0.63]),
    "silu": (0.2, [0.52, 0.57, 0.55]),
    "tanh": (0.3, [0.72, 0.1, 0.71]),
}


def read_record(answer):
    """Check problem 4: the learning rate and the accuracies of each activation."""
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in ROWS]
    kept = repr(rows)
    found = answer(rows)
    if found is None:
        raise CheckFailed("read_record returned nothing: is a `return` missing?")
    if not isinstance(found, dict):
        raise CheckFailed(f"read_record returned {engine.short(found)}, where a dict is expected")
    if set(found) != set(RIGHT):
        raise CheckFailed(f"read_record has the keys {list(found)}; the activations are {list(RIGHT)}")
    for act, (lr, accuracies) in RIGHT.items():
        pair = found[act]
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise CheckFailed(f"read_record: {act} should have a pair (lr, accuracies)")
        if pair[0] != lr:
            reasons = {
                "relu": "a diverged network counts with the loss ln(10), and not by its row or not at all",
                "silu": "the lowest mean training loss chooses; the test accuracy must not",
                "tanh": "it has one rate only",
            }
            raise CheckFailed(
                f"read_record: for {act} lr is {engine.short(pair[0])}, not {lr}: {reasons[act]}"
            )
        _accuracies(act, np.asarray(pair[1]), np.array(accuracies))
    if repr(rows) != kept:
        raise CheckFailed("read_record changed the rows: sort and mend a copy")
    tied = [("mish", lr, seed, 1.25, 0.3 + lr, False) for lr in (0.4, 0.1, 0.2) for seed in (0, 1)]
    lr = answer([dict(zip(COLUMNS, row, strict=True)) for row in tied])["mish"][0]
    if lr != 0.1:
        raise CheckFailed(
            f"read_record: of equal losses the smaller rate counts, 0.1, not {engine.short(lr)}"
        )
    return "read_record: fine"


def _accuracies(act, got, right):
    name = f"read_record: the accuracies of {act}"
    if got.shape != right.shape:
        lost = act == "tanh" and got.shape == (2,)
        hint = ": a diverged network stays, as guessing" if lost else ""
        raise CheckFailed(f"{name} have the shape {got.shape}, where {right.shape} is expected{hint}")
    if got.dtype != np.float64:
        raise CheckFailed(f"{name} have the dtype {got.dtype}, where float64 is expected")
    if np.abs(got - right).max() <= 1e-12:
        return
    if np.abs(np.sort(got) - np.sort(right)).max() <= 1e-12:
        raise CheckFailed(f"{name} are not in the order of rising seeds")
    if act == "tanh" and 0.33 in got:
        raise CheckFailed(f"{name} hold 0.33 of a network that diverged: it counts as guessing, 0.1")
    raise CheckFailed(f"{name} are {engine.short(got)}, the right ones {engine.short(right)}")
