"""BatchNorm of assignment 11, forward and backward; derivatives are complex steps of the definition."""

import numpy as np

from selfgated.checks import engine
from selfgated.checks.engine import CheckFailed

NAMES = ("grad_u", "grad_scale", "grad_shift")


def _rest(u):
    return tuple(axis for axis in range(u.ndim) if axis != 1)


def _by_channel(values, u):
    return np.reshape(values, (1, -1, *[1] * (u.ndim - 2)))


def _centred(u, axes):
    return u - u.mean(axis=axes, keepdims=True)


def _normalised(u, eps, *, axes=None, ddof=0, outside=False):
    """`u` normalised in each channel; for complex `u` its analytic continuation."""
    axes = axes or _rest(u)
    u = _centred(u, axes)
    count = np.prod([u.shape[axis] for axis in axes]) - ddof
    variance = (u * u).sum(axis=axes, keepdims=True) / count
    return u / (np.sqrt(variance) + eps if outside else np.sqrt(variance + eps))


def _right(u, scale, shift, eps, **options):
    return _normalised(u, eps, **options) * _by_channel(scale, u) + _by_channel(shift, u)


def batch_norm(answer):
    """Check problem 3: BatchNorm forward."""
    call = "batch_norm(u, scale, shift, eps)"
    rng = np.random.default_rng(0)
    scale, shift = np.array([1.0, -2.0, 0.5]), np.array([0.0, 1.0, 3.0])
    inputs = [(rng.normal(1, 2, shape), scale, shift, 0.3) for shape in ((5, 3), (4, 3, 2, 3))]
    mistakes = [
        (lambda u, w, s, e: _right(u, w, 0 * s, e), "the shift is missing"),
        (lambda u, w, s, e: _right(u, 1 + 0 * w, s, e), "the scale is missing"),
        (lambda u, w, s, e: _right(u, w, s, 0.0), "eps is missing"),
        (
            lambda u, w, s, e: _right(u, w, s, e, outside=True),
            "eps stands under the root, beside the variance",
        ),
        (lambda u, w, s, e: _right(u, w, s, e, ddof=1), "the variance is a mean over N numbers, not N - 1"),
        (lambda u, w, s, e: _right(u, w, s, e, axes=(0,)), "average over the places of the map as well"),
    ]
    engine.values(answer, _right, inputs, mistakes=mistakes, rtol=1e-9, atol=1e-11, call=call)
    narrow = tuple(a if np.isscalar(a) else a.astype(np.float32) for a in inputs[1])
    engine.values(answer, _right, [narrow], rtol=0.0, atol=2e-5, dtype=True, call=call)
    far = rng.normal(0, 1, (30, 3)) + np.array([0, 1e6, -1e6])
    try:
        engine.values(answer, _right, [(far, scale, shift, 1e-5)], rtol=0.0, atol=2e-7, call=call)
    except CheckFailed as error:
        hint = "With a mean of a million, the mean of u^2 minus the square of the mean has lost its digits"
        raise CheckFailed(f"{error}. {hint}") from None
    return "batch_norm: fine"


def _slopes(grad_y, u, scale, eps):
    """Derivatives of the sum of grad_y * y by u, scale and shift."""

    def loss(u, scale, shift):
        return (grad_y * _right(u, scale, shift, eps)).sum()

    step, found = 1e-30, []
    point = [np.array(value, dtype=complex) for value in (u, scale, 0 * scale)]
    for value in point:
        slope = np.empty(value.shape)
        for place in np.ndindex(value.shape):
            value[place] += step * 1j
            slope[place] = loss(*point).imag / step
            value[place] = value[place].real
        found.append(slope)
    return found


def _frozen(grad_y, u, scale, eps, *, mean=False, along=False, scaled=True):
    """The gradient by `u` with only some of its terms."""
    axes = _rest(u)
    delta = grad_y * _by_channel(scale, u) if scaled else grad_y
    z = _normalised(u, eps)
    total = delta - mean * delta.mean(axis=axes, keepdims=True)
    total = total - along * z * (z * delta).mean(axis=axes, keepdims=True)
    return total * z / _centred(u, axes)


GRAD_U = [
    (_frozen, "you took mean and variance as constants: both depend on every u_b"),
    (lambda *a: _frozen(*a, mean=True), "the term of the variance is missing: - z mean(z delta)"),
    (lambda *a: _frozen(*a, along=True), "the term of the mean is missing: - mean(delta)"),
    (lambda *a: _frozen(*a, mean=True, along=True, scaled=False), "delta is grad_y times scale"),
]


def _grad_scale(z_of, mean=False):
    def wrong(grad_y, u, scale, eps):
        product = (z_of(u, eps) * grad_y).sum(axis=_rest(u))
        return product * u.shape[1] / u.size if mean else product

    return wrong


GRAD_SCALE = [
    (_grad_scale(lambda u, eps: u), "scale multiplies z, not u"),
    (_grad_scale(_normalised, mean=True), "sum over the batch; this is a mean"),
    (_grad_scale(lambda u, eps: 1.0), "this is the gradient by shift"),
]


def _mean(grad_y, u, scale, eps):
    return grad_y.mean(axis=_rest(u))


GRAD_SHIFT = [
    (_mean, "sum over the batch; this is a mean"),
    (_grad_scale(_normalised), "this is the gradient by scale: the order is grad_u, grad_scale, grad_shift"),
]


def _entry(answer, index):
    def entry(*given):
        got = answer(*given)
        if got is not None and not (isinstance(got, (tuple, list)) and len(got) == 3):
            raise CheckFailed(f"return the tuple ({', '.join(NAMES)}), not {engine.short(got)}")
        return got and got[index]

    return entry


def batch_norm_backward(answer):
    """Check problem 3: the three gradients of BatchNorm."""
    rng = np.random.default_rng(1)
    scale = np.array([1.0, -2.0, 0.5])
    inputs = [(*rng.normal(0.5, 2, (2, *shape)), scale, 0.2) for shape in ((5, 3), (3, 3, 2, 2))]
    for index, mistakes in enumerate((GRAD_U, GRAD_SCALE, GRAD_SHIFT)):
        engine.values(
            _entry(answer, index),
            lambda *given, index=index: _slopes(*given)[index],
            inputs,
            mistakes=mistakes,
            rtol=1e-9,
            atol=1e-11,
            call=f"{NAMES[index]}(grad_y, u, scale, eps)",
        )
    u = np.full((4, 3), 2.0)
    finite = np.isfinite(np.asarray(_entry(answer, 0)(inputs[0][0][:4], u, scale, 1e-5))).all()
    if not finite:
        raise CheckFailed("grad_u is not finite in a constant channel: divide by sqrt(v + eps) only")
    return "batch_norm_backward: fine"
