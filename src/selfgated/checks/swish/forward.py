"""Problems 3 and 4: Swish and its slope in NumPy."""

import numpy as np

from selfgated import kernels
from selfgated.checks import engine
from selfgated.checks.answers import strict
from selfgated.kernels import sigmoid

GRID = np.linspace(-4.0, 4.0, 17)
TABLE = (np.linspace(-3.0, 3.0, 15).reshape(5, 3), np.array([0.5, 1.0, -2.0]))
COLUMN = (np.linspace(-3.0, 3.0, 5).reshape(5, 1), np.array([0.5, 1.0, -2.0]))


def forward(swish):
    """Check Problem 3: Swish in NumPy, on a grid, far out and in float32."""
    call = "swish(z, beta)"
    right = by_beta(kernels.swish)
    engine.values(
        swish,
        right,
        [(GRID, 2.0), (GRID, -0.5), TABLE],
        rtol=1e-12,
        call=call,
        mistakes=(
            (lambda z, beta: z * sigmoid(z), "you returned z sigma(z): beta is missing"),
            (lambda z, beta: sigmoid(beta * z), "you returned the gate; multiply it by z"),
            (
                lambda z, beta: beta * z * sigmoid(beta * z),
                "you returned beta z sigma(beta z): beta is in the gate only",
            ),
            (
                lambda z, beta: z * sigmoid(-beta * z),
                "the gate opens on the wrong side: a sign in the exponent",
            ),
            (
                lambda z, beta: z * sigmoid(np.abs(beta * z)),
                "exp(-|beta z|) alone is right for beta z >= 0 only",
            ),
        ),
    )
    engine.values(swish, right, [COLUMN], rtol=1e-12, call=call)
    engine.values(
        strict(swish),
        right,
        [(np.array([at]), 2.0) for at in (-20.0, -250.0, -500.0, 500.0)],
        rtol=1e-12,
        atol=1e-250,
        call=call,
        mistakes=(
            (
                lambda z, beta: np.maximum(z, 0),
                "you return 0 far left: 1 + tanh, or 1 - sigma, cancels there. Build on exp(-|beta z|)",
            ),
        ),
    )
    single = GRID.astype(np.float32)
    inputs = [(single, 2.0), (single, np.array(2.0)), (np.float32([-500, 500]), 2.0)]
    return engine.values(strict(swish), right, inputs, rtol=2e-5, atol=1e-20, dtype=True, call=call)


def gradient(swish_grad):
    """Check Problem 4: the slope of Swish in NumPy, on a grid, far out and in float32."""
    call = "swish_grad(z, beta)"
    right = by_beta(kernels.swish_grad)
    engine.values(
        swish_grad,
        right,
        [(GRID, 2.0), (GRID, -0.5), TABLE],
        rtol=0,
        atol=1e-12,
        call=call,
        mistakes=(
            (
                lambda z, beta: sigmoid(beta * z),
                "you returned sigma(beta z); the slope also has beta z sigma'(beta z)",
            ),
            (
                lambda z, beta: beta * z * bell(beta * z),
                "you returned beta z sigma'(beta z); the product rule also has sigma(beta z)",
            ),
            (
                lambda z, beta: sigmoid(beta * z) + z * bell(beta * z),
                "the second term lacks the inner derivative beta: yours is right at beta = 1 only",
            ),
            (
                lambda z, beta: sigmoid(beta * z) - beta * z * bell(beta * z),
                "the second term has the wrong sign",
            ),
            (
                lambda z, beta: sigmoid(z) + z * bell(z),
                "beta is missing: you returned the slope of z sigma(z)",
            ),
            (lambda z, beta: z * sigmoid(beta * z), "you returned f, not its slope"),
            (
                lambda z, beta: z * sigmoid(beta * z) * bell(beta * z),
                "you returned f sigma'(beta z), a misprint that the chapter shows: it lacks a term",
            ),
            (
                lambda z, beta: (
                    z * sigmoid(beta * z) + beta * sigmoid(beta * z) * (1 - z * sigmoid(beta * z))
                ),
                "f + sigma (beta - beta f) is a misprint from the chapter: right at beta = 1 only",
            ),
        ),
    )
    engine.values(swish_grad, right, [COLUMN], rtol=0, atol=1e-12, call=call)
    far = [(np.array([at]), 2.0) for at in (-500.0, -20.0, 500.0)]
    engine.values(strict(swish_grad), right, far, rtol=0, atol=1e-12, call=call)
    single = GRID.astype(np.float32)
    inputs = [(single, 2.0), (single, np.array(2.0)), (np.float32([-500, 500]), 2.0)]
    return engine.values(strict(swish_grad), right, inputs, rtol=0, atol=1e-5, dtype=True, call=call)


def bell(t):
    """Slope of the sigmoid."""
    return sigmoid(t) * sigmoid(-t)


def by_beta(kernel):
    """A kernel that takes one beta as a function of z and an array of betas that broadcasts against it."""

    def right(z, beta):
        z, beta = np.broadcast_arrays(z, beta)
        result = np.empty(z.shape, z.dtype)
        for one in np.unique(beta):
            result[beta == one] = kernel(z[beta == one], float(one))
        return result

    return right
