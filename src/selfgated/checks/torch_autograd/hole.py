"""Problem 4: z / (1 - exp(-z)) with its hole at 0."""

import numpy as np
import torch
from torch.autograd import grad

from selfgated.checks import engine
from selfgated.checks.engine import CheckFailed
from selfgated.checks.torch_autograd.graph import REST, is_remote

MIDDLE = torch.tensor([-5.0, -1.0, -0.3, 0.2, 1.0, 4.0], dtype=torch.float64)
EDGES = torch.tensor([-1000.0, -400.0, 0.0, 500.0, 1000.0], dtype=torch.float64)
NEAR = torch.tensor([-1e-3, -1e-6, 1e-9, 1e-12, 1e-200], dtype=torch.float64)
DEAD = "the branch that `where` does not take meets 0 / 0 or infinity: feed it something harmless"
SERIES = "If it is near 0: terms as large as 1/z cancel there, use the series up to its square or further"


def ramp(answer):
    """Check values and two derivatives, at 0, near 0 and far away."""
    forms = [
        (lambda z: z / (torch.exp(z) - 1), "this is f(-z): the exponential has -z"),
        (lambda z: z / (torch.exp(-z) - 1), "a sign: the denominator is 1 - e^-z"),
        (lambda z: 1 / (1 - torch.exp(-z)), "the factor z is missing"),
    ]
    engine.values(answer, values, [(MIDDLE,)], mistakes=forms, rtol=1e-7, call="ramp(z)")
    holes = [(lambda z: z / (1 - torch.exp(-z)), "at 0 it is 0 / 0: give it the value 1 there")]
    engine.values(answer, values, [(EDGES,)], mistakes=holes, rtol=1e-12, atol=1e-300, call="ramp(z)")
    cancels = [(_with_where, "next to 0 the difference 1 - e^-z cancels: use expm1, or the series")]
    engine.values(answer, values, [(NEAR,)], mistakes=cancels, rtol=1e-12, call="ramp(z)")
    engine.values(answer, values, [(MIDDLE,)], rtol=1e-12, call="ramp(z)")
    if is_remote(answer):
        return f"ramp: the values are fine; {REST}"
    z = torch.cat([MIDDLE, EDGES, NEAR])
    _derivative(answer, z, 1, slopes, "slope", 1e-7)
    _derivative(answer, z, 2, curvatures, "second derivative", 1e-5)
    return "ramp: fine"


def _with_where(z):
    return torch.where(z == 0, 1.0, z / (1 - torch.exp(-z)))


def _derivative(answer, z, order, right, name, atol):
    def derivative(z):
        z.requires_grad_()
        y = answer(z)
        for _ in range(order):
            if not y.requires_grad:
                return None
            (y,) = grad(y.sum(), z, create_graph=True)
        return y

    got = derivative(z.clone())
    if got is None:
        raise CheckFailed(f"torch cannot compute the {name}: the graph ends before z")
    if got.isnan().any():
        raise CheckFailed(f"the {name} is nan at z = {z[got.isnan()][0].item():g}: {DEAD}")
    try:
        engine.values(derivative, right, [(z,)], rtol=0.0, atol=atol, call=f"{name}(z)")
    except CheckFailed as error:
        raise CheckFailed(f"{error}. {SERIES}") from None


def values(z):
    """The function in float64, by expm1 of -abs(z)."""
    z = np.asarray(z, dtype=np.float64)
    t = np.where(z == 0, 1.0, np.abs(z))
    return np.where(z == 0, 1.0, np.where(z < 0, np.exp(-t), 1.0) * t / -np.expm1(-t))


def slopes(z):
    """Slope: 1/2 + (sinh z - z) / (4 sinh(z/2)^2), and its series below 0.01."""
    z = np.asarray(z, dtype=np.float64)
    t = np.clip(np.abs(z), 0.01, 700)
    odd = (np.sinh(t) - t) / (4 * np.sinh(t / 2) ** 2)
    return 0.5 + np.where(np.abs(z) < 0.01, z / 6 - z**3 / 180, np.sign(z) * odd)


def curvatures(z):
    """Second derivative: (z coth(z/2) - 2) / (4 sinh(z/2)^2), which is even, and its series below 0.01."""
    z = np.asarray(z, dtype=np.float64)
    t = np.clip(np.abs(z), 0.01, 700)
    far = (t / np.tanh(t / 2) - 2) / (4 * np.sinh(t / 2) ** 2)
    return np.where(np.abs(z) < 0.01, 1 / 6 - z**2 / 60, far)
