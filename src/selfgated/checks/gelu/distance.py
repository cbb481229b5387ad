"""Problem 5: the distance of Swish from GELU for normal pre-activations, and the closest Swish."""

from functools import cache

import numpy as np
from scipy.optimize import minimize_scalar

from selfgated import kernels, moments
from selfgated.checks import engine

PAIRS = [(1.702, 1.0), (1.0, 0.5), (2.5, 4.0)]


def closest(rms_error, best_beta):
    """Check Problem 5: the root mean square error, and the beta where it is least."""
    engine.values(
        rms_error,
        _rms,
        PAIRS,
        rtol=1e-6,
        call="rms_error(beta, s)",
        mistakes=(
            (lambda beta, s: _rms(beta, s) ** 2, "that is the mean square; take its root"),
            (lambda beta, s: _rms(beta, 1.0), "s has no effect: that is the error for s = 1"),
            (
                lambda beta, s: _rms(beta, np.sqrt(s)),
                "s is the standard deviation; you used it as the variance",
            ),
            (_mean, "that is the mean of the error; square it first"),
            (
                lambda beta, s: _rms(beta, s) * np.sqrt(s),
                "your weights sum to s, not to 1: the density of z has a factor 1/s",
            ),
            (
                lambda beta, s: _rms(beta, s) * (2 * np.pi) ** 0.25,
                "the density lacks 1 / sqrt(2 pi): the weights must sum to 1",
            ),
        ),
    )
    engine.values(
        best_beta,
        _best,
        [(0.5,), (1.0,), (4.0,)],
        rtol=0,
        atol=1e-4,
        call="best_beta(s)",
        mistakes=(
            (
                lambda s: 1.702,
                "you returned 1.702, the best beta for the gate; the best for GELU depends on s",
            ),
            (lambda s: _best(1.0), "s has no effect: that is the best beta for s = 1"),
            (lambda s: 1.7734, "that is the best beta for the largest error, for every s"),
            (lambda s: 2 * np.sqrt(2 / np.pi), "that is the best beta for very small s only"),
            (lambda s: _rms(_best(s), s), "that is the least error; return the beta where it is reached"),
        ),
    )
    return "rms_error, best_beta: fine"


def _error(beta):
    return lambda z: kernels.swish(z, beta) - kernels.gelu(z)


@cache
def _rms(beta, s):
    return float(np.sqrt(moments.estimate(_error(beta), q=s**2).value))


def _mean(beta, s):
    return moments.estimate(_error(beta), 1, q=s**2).value


@cache
def _best(s):
    return float(minimize_scalar(_rms, bounds=(1.5, 1.9), args=(s,), method="bounded").x)
