"""Clipping and Adam of assignment 11."""

import math

import numpy as np

from selfgated.checks import engine
from selfgated.checks.engine import CheckFailed

RESULTS = ("step", "m", "r")


def _norms(grads):
    """Length of each network's gradient; inf where an entry is not finite."""
    every = [[v for grad in grads for v in grad[i].ravel().tolist()] for i in range(len(grads[0]))]
    return np.array([math.hypot(*row) if np.isfinite(row).all() else math.inf for row in every])


def _clipped(grads, limit):
    factors = [min(1.0, limit / norm) if norm else 1.0 for norm in _norms(grads)]
    rows = [_flat(grad) for grad in grads]
    return np.concatenate([np.nan_to_num(row, posinf=0, neginf=0) for row in rows], axis=1) * _column(factors)


def _flat(grad):
    return np.reshape(grad, (len(grad), -1))


def _column(values):
    return np.reshape(values, (-1, 1))


def _one_norm(grads, limit):
    return np.full(len(grads[0]), math.hypot(*(v for grad in grads for v in grad.ravel().tolist())))


def _largest(grads, limit):
    return np.concatenate([abs(_flat(grad)) for grad in grads], axis=1).max(axis=1)


def _squares(grads, limit):
    return sum((_flat(grad) ** 2).sum(axis=1) for grad in grads)


NORMS = [
    (_one_norm, "one norm per network: do not sum over the first axis"),
    (lambda grads, limit: _squares(grads, limit), "this is the square of the norm: take the root"),
    (_largest, "this is the largest entry; the Euclidean length is asked for"),
    (lambda grads, limit: np.minimum(limit, _norms(grads)), "the norms before clipping are asked for"),
    (lambda grads, limit: np.sqrt(_squares(grads[:1], limit)), "sum over all arrays, not the first alone"),
]


def _each_array(grads, limit):
    """Every array clipped by its own norm."""
    return np.concatenate([_clipped([grad], limit) for grad in grads], axis=1)


def _always(grads, limit):
    return np.concatenate([_flat(grad) for grad in grads], axis=1) * _column(limit / _norms(grads))


CLIPPED = [
    (_each_array, "one number multiplies all arrays of a network: the norm runs over all of them"),
    (_always, "a gradient shorter than the limit stays as it is: min(1, limit / norm)"),
    (
        lambda grads, limit: np.clip(np.concatenate([_flat(g) for g in grads], axis=1), -limit, limit),
        "you clipped every entry: that turns the gradient",
    ),
    (
        lambda grads, limit: (
            np.concatenate([_flat(g) for g in grads], axis=1) * min(1, limit / _one_norm(grads, 0)[0])
        ),
        "one network's gradient must not change another's factor",
    ),
]


def _parts(answer, index):
    def part(grads, limit):
        got = answer(grads, limit)
        if got is None:
            return None
        if not isinstance(got, (tuple, list)) or len(got) != 2 or not isinstance(got[0], (tuple, list)):
            raise CheckFailed("return the tuple (clipped, norms), where clipped is a list of arrays")
        if index == 1:
            return got[1]
        for array, grad in zip(got[0], grads, strict=False):
            if np.shape(array) != grad.shape or np.asarray(array).dtype != grad.dtype:
                wanted = f"shape {grad.shape}, dtype {grad.dtype}"
                raise CheckFailed(f"clip_networks: a clipped array has not the {wanted} of its gradient")
        if len(got[0]) != len(grads):
            raise CheckFailed(f"clip_networks: {len(grads)} arrays came in, {len(got[0])} came out")
        return np.concatenate([_flat(array) for array in got[0]], axis=1)

    return part


def _draw(rng, sizes, kind=float):
    shapes = ((2, 3), (3,), ())
    return [
        (rng.normal(0, 1, (len(sizes), *shape)) * np.reshape(sizes, (-1, *[1] * len(shape)))).astype(kind)
        for shape in shapes
    ]


def clip_networks(answer):
    """Check problem 4: clipping, its range, and a bad network."""
    rng = np.random.default_rng(0)

    def judge(cases, rtol, hint=""):
        try:
            for index, right, mistakes, name in (
                (1, lambda grads, limit: _norms(grads), NORMS, "norms"),
                (0, _clipped, CLIPPED, "clipped"),
            ):
                call = f"{name}(grads, limit)"
                options = {"mistakes": () if hint else mistakes, "rtol": rtol, "call": call}
                engine.values(_parts(answer, index), right, cases, **options)
        except CheckFailed as error:
            if not hint or "differs" not in str(error):
                raise
            raise CheckFailed(f"{error}. {hint}") from None

    judge([(_draw(rng, [0.05, 1.0, 9.0]), 1.2), (_draw(rng, [2.0, 0.3]), 0.7)], 1e-12)
    judge([(_draw(rng, [0.1, 5.0], np.float32), 1.0)], 1e-5)
    judge([(_draw(rng, [0.0, 2.0]), 1.0)], 1e-12, "A gradient of 0 has the norm 0: 0 / 0 is nan")
    size = "Squares of 1e200 or 1e-200 are no numbers: divide by the largest entry first"
    judge([(_draw(rng, [1e200, 1.0, 1e-200]), 1.0)], 1e-12, size)
    for value in (np.inf, np.nan):
        grads = _draw(rng, [1.0, 3.0])
        grads[1][0, 1] = value
        judge([(grads, 1.0)], 1e-12, f"One entry of network 0 is {value}: norm inf, clipped gradient 0")
    return "clip_networks: fine"


def _adam(grad, m, r, t, eta, eps, *, above=True, below=True, root=True, inside=False, sign=-1):
    """Adam's step, m and r in float64; the options leave something out."""
    grad, m, r = (np.asarray(value, dtype=float) for value in (grad, m, r))
    m, v = 0.9 * m + 0.1 * grad, 0.999 * r**2 + 0.001 * grad**2
    up = m / (1 - 0.9**t) if above else m
    down = v / (1 - 0.999**t) if below else v
    down = np.sqrt(down + eps) if inside else (np.sqrt(down) if root else down) + eps
    return sign * eta * np.divide(up, down, out=np.zeros_like(up), where=down != 0), m, np.sqrt(v)


def _only(index, **options):
    return lambda *given: _adam(*given, **options)[index]


STEP = [
    (_only(0, sign=1), "the sign: the step goes against the gradient"),
    (_only(0, above=False, below=False), "the corrections 1 - 0.9^t and 1 - 0.999^t are missing"),
    (_only(0, above=False), "the correction of m is missing"),
    (_only(0, below=False), "the correction of r is missing"),
    (_only(0, root=False), "this divides by v: the root r stands below"),
    (_only(0, inside=True), "eps is added to the root, not to v under it"),
    (
        lambda grad, m, r, t, eta, eps: (
            -eta
            * _adam(grad, m, r, t, eta, eps)[1]
            / (1 - 0.9**t)
            / (_adam(grad, m, r, t, eta, eps)[2] / (1 - 0.999**t) + eps)
        ),
        "r is a root, and so is its correction: sqrt(1 - 0.999^t)",
    ),
]
MEAN = [
    (lambda grad, m, *rest: 0.1 * m + 0.9 * grad, "0.9 belongs to the old m, 0.1 to the gradient"),
    (lambda grad, m, r, t, *rest: (0.9 * m + 0.1 * grad) / (1 - 0.9**t), "return m without its correction"),
]
ROOT = [
    (lambda *given: _adam(*given)[2] ** 2, "this is v: return its root"),
    (lambda grad, m, r, *rest: 0.999 * r + 0.001 * abs(grad), "the squares are averaged, not the sizes"),
    (
        lambda grad, m, r, t, *rest: _adam(grad, m, r, t, *rest)[2] / (1 - 0.999**t) ** 0.5,
        "return r without its correction",
    ),
    (
        lambda grad, m, r, *rest: np.sqrt(0.999 * r + 0.001 * grad**2),
        "what comes in is r, the root: its square is v",
    ),
]


def _third(answer, index):
    def third(*given):
        got = answer(*given)
        if got is None:
            return None
        if not isinstance(got, (tuple, list, np.ndarray)) or np.ndim(got) == 0 or len(got) != 3:
            raise CheckFailed(f"return the tuple (step, m, r), not {engine.short(got)}")
        return got[index]

    return third


def adam_step(answer):
    """Check problem 6: one step of Adam that keeps the root of v."""
    rng = np.random.default_rng(0)

    def judge(cases, *, rtol, atol=0.0, hint=""):
        for index, mistakes in ((1, MEAN), (2, ROOT), (0, STEP)):
            call = f"{RESULTS[index]}(grad, m, r, t, eta, eps)"
            options = {"mistakes": () if hint else mistakes, "rtol": rtol, "atol": 0.0 if index else atol}
            try:
                engine.values(_third(answer, index), _only(index), cases, dtype=True, call=call, **options)
            except CheckFailed as error:
                if not hint or "differs" not in str(error):
                    raise
                raise CheckFailed(f"{error}. {hint}") from None

    grad, m = rng.normal(0, 1, (2, 2, 3))
    r = rng.uniform(0.1, 1, (2, 3))
    judge([(grad, m, r, 3, 0.01, 0.2), (m, grad, r, 1, 0.3, 1e-8)], rtol=1e-11)
    small = np.float32([1e-30, -1e-24, 1.0, -1e24])
    zero = np.zeros_like(small)
    hint = "The square of such a gradient is no float32: add squares with np.hypot"
    judge([(small, zero, zero, 1, 0.5, 1e-33)], rtol=1e-5, atol=5e-6, hint=hint)
    none = np.array([0.0, 2.0])
    hint = "With eps = 0 a coordinate without gradient has 0 / 0: its step is 0"
    judge([(none, 0 * none, 0 * none, 1, 0.5, 0.0)], rtol=1e-11, hint=hint)
    return "adam_step: fine"
