"""Problems 3 and 4: GELU and its slope in NumPy, and the logarithm of its tail."""

import numpy as np
from scipy.special import erf, log_ndtr, ndtr

from selfgated import kernels
from selfgated.checks import engine
from selfgated.checks.engine import CheckFailed
from selfgated.checks.gelu.formulas import series

GRID = np.linspace(-3.0, 3.0, 14).reshape(2, 7)
TABLE = GRID.astype(np.float32)


def _bell(z):
    return np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)


def forward(gelu, gelu_grad):
    """Check Problem 3: GELU with all digits on the left, and its slope; float64 and float32."""
    call = "gelu(z)"
    engine.values(
        gelu,
        kernels.gelu,
        [(GRID,), (np.array([5.0, 40.0, 900.0]),)],
        rtol=1e-12,
        call=call,
        mistakes=(
            (ndtr, "you returned the gate Phi(z); multiply it by z"),
            (lambda z: z * (1 + erf(z)) / 2, "erf takes z / sqrt 2"),
            (lambda z: z * (1 + erf(z / np.sqrt(2))), "the factor 1/2 is missing"),
            (lambda z: z * ndtr(-z), "the gate opens on the wrong side: a sign in erfc"),
            (kernels.gelu_tanh, "that is the tanh form; use math.erfc"),
            (kernels.gelu_sigmoid, "that is the sigmoid form; use math.erfc"),
        ),
    )
    engine.values(
        gelu,
        kernels.gelu,
        [(np.array([at]),) for at in (-34.0, -20.0, -9.0)],
        rtol=1e-12,
        call=call,
        mistakes=(
            (
                lambda z: np.maximum(z, 0),
                "you return 0 at -9: 1 + erf, or 1 - Phi, cancels there. Use math.erfc",
            ),
        ),
    )
    engine.values(gelu, kernels.gelu, [(np.linspace(-8, -3, 11),)], rtol=1e-12, call=call)
    engine.values(gelu, kernels.gelu, [(np.array([-1000.0]),)], rtol=0, atol=1e-260, call=call)
    single = [(TABLE,), (np.linspace(-12, -3, 37).astype(np.float32),), (np.float32([900.0]),)]
    engine.values(gelu, kernels.gelu, single, rtol=1e-6, dtype=True, call=call)
    _gradient(gelu_grad)
    return "gelu, gelu_grad: fine"


def _gradient(gelu_grad):
    call = "gelu_grad(z)"
    engine.values(
        gelu_grad,
        kernels.gelu_grad,
        [(GRID,), (np.array([-900.0, -6.0, 6.0, 900.0]),)],
        rtol=0,
        atol=1e-12,
        call=call,
        mistakes=(
            (ndtr, "you returned Phi(z); the slope also has z phi(z)"),
            (lambda z: z * _bell(z), "you returned z phi(z); the product rule also has Phi(z)"),
            (lambda z: ndtr(z) + _bell(z), "the second term lacks the factor z"),
            (lambda z: ndtr(z) - z * _bell(z), "the second term has the wrong sign"),
            (lambda z: ndtr(z) + z * _bell(z) * np.sqrt(2 * np.pi), "the density lacks 1 / sqrt(2 pi)"),
            (kernels.gelu, "you returned GELU, not its slope"),
            (kernels.gelu_tanh_grad, "that is the slope of the tanh form"),
        ),
    )
    single = [(TABLE,), (np.float32([-900.0, 900.0]),)]
    engine.values(gelu_grad, kernels.gelu_grad, single, rtol=0, atol=1e-6, dtype=True, call=call)


def tail(mills_series, log_size):
    """Check Problem 4: three terms of the Mills ratio, and the logarithm of the tail of GELU."""
    series(mills_series)
    call = "log_size(a)"
    near, far = np.array([[0.2, 1.0], [5.0, 20.0]]), np.array([50.0, 2000.0, 5e5])

    def right(a):
        return np.log(a) + log_ndtr(-a)

    with np.errstate(divide="ignore"):
        engine.values(
            log_size,
            right,
            [(near,)],
            rtol=1e-10,
            call=call,
            mistakes=(
                (lambda a: -right(a), "the sign: the logarithm of a small number is negative"),
                (lambda a: log_ndtr(-a), "that is log Phi(-a); the factor a is missing"),
                (
                    lambda a: right(a) / np.log(10),
                    "that is the logarithm to base 10; the natural one is asked",
                ),
                (lambda a: _by_series(a, 3), "that is the series alone; for small a use math.erfc"),
                (
                    lambda a: _by_series(a, 1),
                    "that is the first term alone, M = 1/a; for small a use math.erfc",
                ),
            ),
        )
        got = log_size(far.copy())
        if np.shape(got) == far.shape and not np.isfinite(np.asarray(got, float)).all():
            raise CheckFailed(
                "log_size is not finite at a = 50: erfc is 0 there. Take the logarithms of a, phi and M"
            )
        engine.values(
            log_size,
            right,
            [(far,)],
            rtol=1e-10,
            call=call,
            mistakes=(
                (lambda a: _by_series(a, 1), "for large a you use M = 1/a; take the series further"),
                (lambda a: -(a**2) / 2, "that is the exponent of phi alone"),
                (
                    lambda a: right(a) + 0.5 * np.log(2 * np.pi),
                    "the density phi has the factor 1 / sqrt(2 pi): its logarithm is missing",
                ),
            ),
        )
    return "mills_series, log_size: fine"


def _by_series(a, terms):
    rest = sum(sign / a ** (2 * k) for k, sign in enumerate((1, -1, 3)[:terms]))
    return -(a**2) / 2 - 0.5 * np.log(2 * np.pi) + np.log(rest)
