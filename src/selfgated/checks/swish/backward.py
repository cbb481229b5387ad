"""Problem 5: the backward pass."""

import numpy as np

from selfgated import kernels
from selfgated.checks import engine
from selfgated.checks.answers import entry
from selfgated.checks.engine import CheckFailed
from selfgated.checks.swish.forward import bell, by_beta
from selfgated.kernels import sigmoid


def backward(swish_backward):
    """Check Problem 5: the gradients in z and in beta, one shared beta or one per channel."""
    call = "swish_backward(z, beta, grad_output)"
    z, betas = np.linspace(-3.0, 4.5, 12).reshape(4, 3), np.array([0.5, 1.0, 3.0])
    upstream = np.cos(np.arange(12.0)).reshape(4, 3)
    inputs = [(z, betas, upstream), (z, 1.5, upstream)]
    in_z, in_beta = by_beta(kernels.swish_grad), by_beta(kernels.swish_beta_grad)
    engine.values(
        entry(swish_backward, 0, "(grad_z, grad_beta)"),
        lambda z, beta, upstream: upstream * in_z(z, beta),
        inputs,
        rtol=1e-10,
        atol=1e-10,
        call=f"grad_z of {call}",
        mistakes=(
            (lambda z, beta, upstream: in_z(z, beta), "the slope of f alone; multiply it by grad_output"),
            (
                lambda z, beta, upstream: upstream * z * sigmoid(beta * z),
                "that is f times grad_output; take its slope",
            ),
            (
                lambda z, beta, upstream: upstream * sigmoid(beta * z),
                "you took sigma(beta z) for the slope; it also has beta z sigma'(beta z)",
            ),
        ),
    )
    for given in inputs:
        _shape_of_grad_beta(np.shape(swish_backward(*map(engine.copied, given))[1]), np.shape(given[1]))

    def summed(each):
        return lambda z, beta, upstream: each(z, beta, upstream).sum(axis=0 if np.ndim(beta) else None)

    engine.values(
        entry(swish_backward, 1, "(grad_z, grad_beta)"),
        summed(lambda z, beta, upstream: upstream * in_beta(z, beta)),
        inputs,
        rtol=1e-10,
        atol=1e-10,
        call=f"grad_beta of {call}",
        mistakes=(
            (summed(lambda z, beta, upstream: in_beta(z, beta)), "df/dbeta is summed without grad_output"),
            (
                lambda z, beta, upstream: (upstream * in_beta(z, beta)).mean(
                    axis=0 if np.ndim(beta) else None
                ),
                "you took the mean; gradients add up: every use of a beta contributes",
            ),
            (
                summed(lambda z, beta, upstream: upstream * z * bell(beta * z)),
                "df/dbeta has z twice: once before the gate, and once as the inner derivative of beta z",
            ),
            (
                summed(lambda z, beta, upstream: upstream * beta * z * bell(beta * z)),
                "the inner derivative of beta z with respect to beta is z, not beta",
            ),
            (
                summed(lambda z, beta, upstream: upstream * in_z(z, beta)),
                "that is the slope in z, summed; differentiate with respect to beta",
            ),
        ),
    )
    return "swish_backward: fine"


def _shape_of_grad_beta(got, wanted):
    if got == wanted:
        return
    words = f"grad_beta has the shape {got}, beta has {wanted}"
    if got == (4, 3):
        words += ": a beta is used in every row; its gradient is a sum"
    elif wanted and got in ((), (4,)):
        words += ": each channel has its own beta; sum over the rows only"
    elif not wanted:
        words += ": a shared beta is used in every row and channel; sum over both"
    raise CheckFailed(words)
