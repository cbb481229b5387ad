"""Problem 6: the lowest point of a gate with a threshold."""

import numpy as np
from scipy.special import lambertw

from selfgated import kernels
from selfgated.checks import engine
from selfgated.checks.answers import entry, refusal
from selfgated.checks.engine import CheckFailed


def minimum(swish_minimum):
    """Check Problem 6: place and value of the lowest point of z sigma(beta z - c)."""
    call = "swish_minimum(beta, c)"
    cases = [(1.0, 0.0), (2.0, -1.5), (0.25, 2.0)]
    entries = [entry(swish_minimum, index, "(place, value)") for index in (0, 1)]
    engine.values(
        entries[0],
        lambda beta, c: -(1 + lambert(c)) / beta,
        cases,
        rtol=1e-10,
        call=f"the place from {call}",
        mistakes=(
            (lambda beta, c: -(1 + lambert(c)), "that is t = beta z; divide by beta"),
            (lambda beta, c: -(1 + lambert(c)) * beta, "you multiplied t = beta z by beta; divide"),
            (
                lambda beta, c: -(1 + lambert(0.0)) / beta,
                "c has no effect: that is the lowest point for c = 0",
            ),
            (
                lambda beta, c: -(1 + lambert(-c)) / beta,
                "c enters with the wrong sign: the gate is sigma(beta z - c)",
            ),
            (lambda beta, c: -lambert(c) / beta, "that is the value; return the place first"),
        ),
    )
    engine.values(
        entries[1],
        lambda beta, c: -lambert(c) / beta,
        cases,
        rtol=1e-10,
        call=f"the value from {call}",
        mistakes=(
            (lambda beta, c: -lambert(c), "that is beta f; divide by beta"),
            (lambda beta, c: lambert(c) / beta, "the value is negative"),
            (lambda beta, c: 1 - (1 + lambert(c)) / beta, "place + 1 is right at beta = 1 only"),
            (
                lambda beta, c: kernels.swish(-(1 + lambert(c)) / beta, beta),
                "you evaluated Swish without the threshold c",
            ),
        ),
    )
    far = [(1.0, 19.0), (1.0, -19.0)]
    engine.values(
        entries[0], lambda beta, c: -(1 + lambert(c)) / beta, far, rtol=1e-10, call=f"the place from {call}"
    )
    place, value = swish_minimum(1.0, 19.0)
    if abs(value + lambert(19.0)) > 1e-10 * lambert(19.0) and abs(value - (place + 1)) < 1e-15:
        raise CheckFailed(
            "the value from swish_minimum: at c = 19, place + 1/beta cancels; most digits are lost"
        )
    engine.values(
        entries[1], lambda beta, c: -lambert(c) / beta, far, rtol=1e-10, call=f"the value from {call}"
    )
    for beta in (-1.0, 0.0):
        refusal(swish_minimum, ValueError, beta, 0.5, call=f"swish_minimum({beta:g}, 0.5)")
    return "swish_minimum: fine"


def lambert(c):
    """W(e^(-1-c)): minus beta times the value at the lowest point."""
    return lambertw(np.exp(-1 - c)).real
