"""The LSTM cell, forward and back; derivatives are complex steps of the definition."""

import numpy as np

from selfgated.checks import answers, engine
from selfgated.checks.engine import CheckFailed


def _sigma(p):
    return (1 + np.tanh(p / 2)) / 2


def _step(x, h, c, A, B, b, *, order="IFgO", old=False, bare=False, linear=False):
    """Both results, stacked; the options are mistakes in the cell."""
    blocks = dict(zip(order, np.reshape(A @ x + B @ h + b, (4, -1)), strict=True))
    enter, keep, out = (_sigma(blocks[name]) for name in "IFO")
    value = blocks["g"] if linear else np.tanh(blocks["g"])
    new = c * keep + value * enter
    seen = c if old else new
    return np.stack([out * (seen if bare else np.tanh(seen)), new])


def _wrong(**options):
    return lambda *given: _step(*given, **options)


STEP = [
    (_wrong(order="IFOg"), "the blocks stand in the order I, F, g, O"),
    (_wrong(order="FIgO"), "the blocks stand in the order I, F, g, O: I comes first"),
    (_wrong(old=True), "h' reads the new cell c', not the old one"),
    (_wrong(bare=True), "h' is sigma(p_O) tanh(c'): the tanh is missing"),
    (_wrong(linear=True), "the new value is tanh(p_g), not p_g"),
    (lambda *given: _step(*given)[::-1], "the order is (h', c')"),
]


def _draw(rng, n, m, bias=1.0):
    x, (h, c) = rng.normal(0, 1, m), rng.normal(0, 1, (2, n))
    return (
        x,
        h,
        c,
        rng.normal(0, 0.5, (4 * n, m)),
        rng.normal(0, 0.5, (4 * n, n)),
        rng.uniform(-bias, bias, 4 * n),
    )


def _pair(answer, words):
    def pair(*given):
        got = answer(*given)
        if got is None:
            return None
        if not answers.is_pair(got):
            raise CheckFailed(f"return the tuple {words}, not {engine.short(got)}")
        shapes = [np.shape(entry) for entry in got]
        if shapes != [np.shape(given[-5])] * 2:
            raise CheckFailed(f"{words} have the shapes {shapes[0]} and {shapes[1]}, not that of h")
        return np.stack([np.asarray(entry) for entry in got])

    return pair


def lstm_step(answer):
    """Check problem 4: the cell forward."""
    rng = np.random.default_rng(0)
    call = "lstm_step(x, h, c, A, B, b)"
    pair = _pair(answer, "(h', c')")
    inputs = [_draw(rng, 3, 2), _draw(rng, 2, 4)]
    engine.values(pair, _step, inputs, mistakes=STEP, rtol=1e-9, atol=1e-12, call=call)
    large = _draw(rng, 6, 2, bias=9000.0)
    got = pair(*map(np.copy, large))
    if not np.isfinite(got).all():
        raise CheckFailed(
            "lstm_step: with large pre-activations inf / inf gives nan; see chapter 2 for sigma"
        )
    engine.values(pair, _step, [large], rtol=1e-9, atol=1e-12, call=call)
    return "lstm_step: fine"


def _gradients(grad_h, grad_c, x, h, c, A, B, b):
    """Gradients by the old state and the old cell, stacked."""
    grads, step = np.empty((2, len(h))), 1e-30
    for which in (0, 1):
        for place in range(len(h)):
            point = [np.array(h, complex), np.array(c, complex)]
            point[which][place] += step * 1j
            results = _step(x, *point, A, B, b)
            grads[which, place] = (grad_h @ results[0] + grad_c @ results[1]).imag / step
    return grads


def _without_out(grad_h, grad_c, x, h, c, A, B, b):
    """What is left if the output gate is taken as constant."""
    constant = np.concatenate([B[: -len(h)], np.zeros((len(h), len(h)))])
    return _gradients(grad_h, grad_c, x, h, c, A, constant, b + (B - constant) @ h)


def _without_gates(grad_h, grad_c, x, h, c, A, B, b):
    """What is left if all three gates are taken as constant."""
    n = len(h)
    value = np.zeros_like(B)
    value[2 * n : 3 * n] = B[2 * n : 3 * n]
    return _gradients(grad_h, grad_c, x, h, c, A, value, b + (B - value) @ h)


def _direct(grad_h, grad_c, *rest):
    """What is left if h' is not seen as a function of c'."""
    x, h, _, A, B, b = rest
    seen = _step(*rest)[1]
    grads = _gradients(0 * grad_h, grad_c, *rest)
    out = _sigma(np.reshape(A @ x + B @ h + b, (4, -1))[3])
    grads[0] += B[-len(h) :].T @ (grad_h * np.tanh(seen) * out * (1 - out))
    return grads


BACKWARD = [
    (_direct, "h' depends on c': add grad_h O (1 - tanh(c')^2) to grad_c first"),
    (lambda gh, gc, *rest: _gradients(gh, 0 * gc, *rest), "grad_c is not used"),
    (lambda gh, gc, *rest: _gradients(0 * gh, gc, *rest), "grad_h is not used"),
    (_without_out, "the output gate depends on h as well"),
    (_without_gates, "the gates depend on h as well, not the new value alone"),
    (lambda *given: _gradients(*given)[::-1], "the order is gradient by h, gradient by c"),
]


def lstm_backward(answer):
    """Check problem 4: the cell backward."""
    rng = np.random.default_rng(1)
    inputs = [(*rng.normal(0, 1, (2, n)), *_draw(rng, n, m)) for n, m in ((3, 2), (4, 1))]
    call = "lstm_backward(grad_h, grad_c, x, h, c, A, B, b)"
    pair = _pair(answer, "(gradient by h, gradient by c)")
    return engine.values(pair, _gradients, inputs, mistakes=BACKWARD, rtol=1e-9, atol=1e-11, call=call)
