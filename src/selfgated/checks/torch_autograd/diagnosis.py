"""Problem 5: is this SiLU? Functions with a known fault."""

import torch
from torch.nn import functional as F

from selfgated.checks import engine
from selfgated.checks.engine import CheckFailed
from selfgated.checks.torch_autograd.graph import REST, is_remote

WORDS = ("value", "slope", "curvature", "fine")


def diagnose(answer):
    """Check what the answer says of functions whose fault is known."""
    if is_remote(answer):
        return f"diagnose: {REST}"
    for words, f, right, hint in _given():
        said = answer(f)
        if said is None:
            raise CheckFailed("diagnose returned nothing: is a `return` missing?")
        if said not in WORDS:
            raise CheckFailed(f"diagnose returned {engine.short(said)}; choose from {list(WORDS)}")
        if said != right:
            raise CheckFailed(f"diagnose says {said!r} of {words}; that is {right!r}. {hint}")
    return "diagnose: fine"


def _given():
    """Functions to diagnose: description, function, the right word, a hint."""
    tight = "Is your tolerance below the rounding, or are your points not float64?"
    return (
        ("a composed SiLU", lambda z: z / (1 + torch.exp(-z)), "fine", tight),
        ("a SiLU with a right backward pass", _by_hand(lambda u, z: u * _slope(z)), "fine", tight),
        ("z sigma(1.1 z)", lambda z: F.silu(1.1 * z) / 1.1, "value", "Look at the values first"),
        (
            "a SiLU whose slope is 2 % too large",
            _by_hand(lambda u, z: 1.02 * u * _slope(z)),
            "slope",
            "Compare gradients as exactly as values",
        ),
        (
            "a SiLU whose backward pass takes |grad_output|",
            _by_hand(lambda u, z: u.abs() * _slope(z)),
            "slope",
            "Try upstream gradients other than 1, of both signs",
        ),
        (
            "a SiLU whose backward pass leaves no graph",
            _by_hand(lambda u, z: (u * _slope(z)).detach()),
            "curvature",
            "Differentiate the gradient once more, and expect an exception",
        ),
        (
            "a SiLU whose slope is a constant to torch",
            _by_hand(lambda u, z: u * _slope(z).detach()),
            "curvature",
            "The gradient of the gradient lacks a term: compare it with the right one",
        ),
    )


def _slope(z):
    gate = torch.sigmoid(z)
    return gate + F.silu(z) * (1 - gate)


def _by_hand(back):
    """SiLU with `back(grad_output, z)` as its backward pass."""

    class ByHand(torch.autograd.Function):
        """SiLU that keeps its input."""

        @staticmethod
        def forward(ctx, inputs):
            """Return inputs times their sigmoid."""
            ctx.save_for_backward(inputs)
            return F.silu(inputs)

        @staticmethod
        def backward(ctx, grad_output):
            """Return what `back` makes of the upstream gradient."""
            return back(grad_output, *ctx.saved_tensors)

    return ByHand.apply
