"""Problem 3: a Function that keeps its output only."""

import numpy as np
import torch
from torch.autograd import grad
from torch.nn import functional as F

from selfgated.checks import engine
from selfgated.checks.engine import CheckFailed
from selfgated.checks.torch_autograd.graph import REST, is_remote, kept

CANCELS = "left of 0 the sum z + sqrt(z^2 + 4) cancels: multiply and divide by sqrt(z^2 + 4) - z"
OPERATIONS = "backward must consist of torch's operations on the saved output: no numpy, detach or no_grad"


def squareplus(answer):
    """Check values, gradient, what is kept, and the second derivative."""
    wide = torch.linspace(-4, 4, 24, dtype=torch.float64).reshape(4, 6)
    _check_values(answer, wide)
    if is_remote(answer):
        return f"squareplus: the values are fine; {REST}"
    _check_gradient(answer, wide)
    _check_memory(answer)
    _check_second(answer, wide)
    return "squareplus: fine"


def values(z):
    """Squareplus in float64, with nothing that cancels."""
    z = np.asarray(z, dtype=np.float64)
    large = (np.abs(z) + np.hypot(z, 2.0)) / 2
    return np.where(z < 0, 1 / large, large)


def slopes(z):
    """Slope of Squareplus, (1 + z / sqrt(z^2 + 4)) / 2, by the output."""
    return 1 / (1 + values(z) ** -2.0)


def _check_values(answer, wide):
    call = "squareplus(z)"
    forms = [
        (lambda z: z + torch.sqrt(z * z + 4), "the factor 1/2 is missing"),
        (lambda z: (z + torch.sqrt(z * z + 1)) / 2, "under the root stands z^2 + 4, not z^2 + 1"),
        (lambda z: (z - torch.sqrt(z * z + 4)) / 2, "a sign: the root is added"),
        (F.softplus, "this is Softplus, not Squareplus"),
    ]
    engine.values(answer, values, [(wide,)], mistakes=forms, rtol=1e-6, call=call)
    cancels = [(lambda z: (z + torch.sqrt(z * z + 4)) / 2, CANCELS)]
    for kind, rtol in ((torch.float64, 1e-14), (torch.float32, 1e-6)):
        z = torch.tensor([-9000.0, -300.0, -7.0, 2.0, 8000.0], dtype=kind)
        engine.values(answer, values, [(z,)], mistakes=cancels, rtol=rtol, call=call)
        got = answer(z).dtype
        if got != kind:
            raise CheckFailed(f"squareplus returned {got} for an input of {kind}")


def _check_gradient(answer, z):
    def gradient(z, upstream):
        z.requires_grad_()
        out = answer(z)
        return grad(out, z, upstream)[0] if out.requires_grad else None

    upstream = torch.linspace(-2, 3, 24, dtype=torch.float64).reshape(4, 6)
    if gradient(z.clone(), upstream) is None:
        raise CheckFailed("the result of squareplus has no graph: return Squareplus.apply(z)")
    mistakes = [
        (lambda z, u: slopes(z), "backward forgets grad_output: multiply by it"),
        (
            lambda z, u: u.numpy() * slopes(values(z)),
            "backward takes the slope at the output, where z belongs",
        ),
        (lambda z, u: u.numpy() * (1 - slopes(z)), "this is 1 - f': on the right the slope tends to 1"),
        (lambda z, u: -u.numpy() * slopes(z), "a sign: the slope is positive"),
    ]
    call = "gradient(z, grad_output)"
    engine.values(
        gradient,
        lambda z, u: u.numpy() * slopes(z),
        [(z, upstream)],
        mistakes=mistakes,
        rtol=1e-12,
        call=call,
    )


def _check_memory(answer):
    z = torch.linspace(-4, 4, 1000)
    number, output, source = kept(answer, z)
    leaf = z.clone().requires_grad_()
    out = answer(leaf)
    attributes = getattr(out.grad_fn, "__dict__", {})
    hidden = [name for name, value in attributes.items() if isinstance(value, torch.Tensor)]
    if hidden:
        raise CheckFailed(f"squareplus hides the tensor ctx.{hidden[0]}: use ctx.save_for_backward")
    if source:
        raise CheckFailed(
            f"squareplus keeps its input, {number} bytes per element in all: save the output only"
        )
    if not output:
        raise CheckFailed(f"squareplus keeps {number} bytes per element, and its output is not among them")
    if number != 4:
        raise CheckFailed(f"squareplus keeps {number} bytes per element in float32; its output alone has 4")
    leaf.data.zero_()
    if not np.allclose(grad(out.sum(), leaf)[0].numpy(), slopes(z), rtol=1e-4):
        raise CheckFailed("after somebody overwrote z the gradient is wrong: something still uses z")


def _check_second(answer, z):
    def second(z):
        z.requires_grad_()
        (slope,) = grad(answer(z).sum(), z, create_graph=True)
        return grad(slope.sum(), z)[0] if slope.requires_grad else None

    try:
        right = engine.values(
            second, lambda z: 2 / (values(z) + 1 / values(z)) ** 3, [(z,)], call="second(z)"
        )
    except CheckFailed as error:
        raise CheckFailed(f"the second derivative is not right ({error}): {OPERATIONS}") from None
    return right
