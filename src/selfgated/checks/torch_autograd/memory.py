"""Problem 2: bytes per element that three lines of code keep."""

import numpy as np
import torch
from torch.nn import functional as F

from selfgated.checks import engine
from selfgated.checks.engine import CheckFailed
from selfgated.checks.torch_autograd.graph import kept

LINES = {  # line of code: (function, what wrong counts come from)
    "torch.log(1 + torch.exp(z))": (
        lambda z: torch.log(1 + torch.exp(z)),
        {
            12: "neither exp nor log needs z, and nobody needs the output",
            4: "exp and log keep different things",
        },
    ),
    "z * torch.sigmoid(z) ** 2": (
        lambda z: z * torch.sigmoid(z) ** 2,
        {8: "the square keeps its argument too", 16: "what two nodes keep together counts once"},
    ),
    "F.relu(z) ** 2": (
        lambda z: F.relu(z) ** 2,
        {8: "two nodes keep the result of relu, which counts once", 12: "neither z nor the output is needed"},
    ),
}
SIZE = 4


def kept_bytes(answer):
    """Check the bytes per element of the three lines."""
    got = answer()
    if not isinstance(got, (list, tuple, np.ndarray)) or len(got) != len(LINES):
        raise CheckFailed(
            f"kept_bytes returned {engine.short(got)}, where a list of three numbers is expected"
        )
    for number, (line, (f, notes)) in zip(got, LINES.items(), strict=True):
        right = kept(f, torch.linspace(-3, 3, 1000))[0]
        if number == right:
            continue
        words = notes.get(number, "ask of each node which tensors its derivative needs")
        if SIZE * number == right:
            words = f"count bytes, not blocks: a float32 has {SIZE}"
        raise CheckFailed(
            f"kept_bytes: {line} does not keep {engine.short(number)} bytes per element; {words}"
        )
    return "kept_bytes: fine"
