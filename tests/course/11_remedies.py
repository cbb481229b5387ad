"""Variants of the answers to assignment 11: honest mistakes, and right answers written differently."""

from selfgated.grading.mutation import Variant


def formulas(**texts):
    """Source of functions without arguments that return these texts."""
    return "\n\n".join(f'def {name}():\n    return "{text}"\n' for name, text in texts.items())


def branch(**changes):
    right = {
        "gradient_growth": "(1 + alpha^2*chi)^(L/2)",
        "largest_branch": "sqrt((exp(2/L) - 1)/chi)",
        "limit_growth": "exp(chi/2)",
    }
    return formulas(**right | changes)


def epsilon(**changes):
    right = {
        "mean_square": "v/(v + eps)",
        "scale_slope": "eps/(v + eps)",
        "pair_gradient": "G*eps/(2*(d^2 + eps)^(3/2))",
    }
    return formulas(**right | changes)


def adam(**changes):
    right = {
        "uncorrected_step": "(1 - b1)/sqrt(1 - b2)",
        "hidden_gradient": "p*eps/(1 - p)",
        "echo": "(1 - b1)*b1^(t - 1)/(1 - b1^t)*sqrt((1 - b2^t)/((1 - b2)*b2^(t - 1)))",
    }
    return formulas(**right | changes)


NORM = """
import numpy as np


def batch_norm(u, scale, shift, eps):
    axes = (0, *range(2, u.ndim))
    shape = (1, -1) + (1,) * (u.ndim - 2)
    centred = u - u.mean(axis=axes, keepdims=True)
    z = centred / np.sqrt((centred**2).mean(axis=axes, keepdims=True) + eps)
    return scale.reshape(shape) * z + shift.reshape(shape)


def batch_norm_backward(grad_y, u, scale, eps):
    axes = (0, *range(2, u.ndim))
    middle = u - u.mean(axis=axes, keepdims=True)
    s = np.sqrt((middle**2).mean(axis=axes, keepdims=True) + eps)
    x = middle / s
    delta = grad_y * scale.reshape((1, -1) + (1,) * (u.ndim - 2))
    along = (x * delta).mean(axis=axes, keepdims=True)
    grad_u = (delta - delta.mean(axis=axes, keepdims=True) - x * along) / s
    return grad_u, (x * grad_y).sum(axis=axes), grad_y.sum(axis=axes)
"""

ROWS = """
import numpy as np


def rows(u):
    return np.moveaxis(u, 1, 0).reshape(u.shape[1], -1)


def back(flat, like):
    moved = np.moveaxis(like, 1, 0).shape
    return np.moveaxis(flat.reshape(moved), 0, 1)


def batch_norm(u, scale, shift, eps):
    flat = rows(u)
    flat = (flat - flat.mean(1, keepdims=True)) / np.sqrt(flat.var(1, keepdims=True) + u.dtype.type(eps))
    return back(flat * scale[:, None] + shift[:, None], u)


def batch_norm_backward(grad_y, u, scale, eps):
    g, flat = rows(grad_y), rows(u)
    number = flat.shape[1]
    flat = flat - flat.mean(1, keepdims=True)
    v = (flat**2).mean(1, keepdims=True) + eps
    grad_z = g * scale[:, None]
    grad_v = -(grad_z * flat).sum(1, keepdims=True) * v**-1.5 / 2
    centred = grad_z / np.sqrt(v) + grad_v * 2 * flat / number
    grad_u = centred - centred.mean(1, keepdims=True)
    return [back(grad_u, u), (g * flat / np.sqrt(v)).sum(1), g.sum(1)]
"""

EINSUM = """
import numpy as np


def batch_norm(u, scale, shift, eps):
    y = np.empty_like(u)
    for k in range(u.shape[1]):
        w = u[:, k] - u[:, k].mean()
        y[:, k] = w * (scale[k] / np.sqrt(np.mean(w * w) + eps)) + shift[k]
    return y


def batch_norm_backward(grad_y, u, scale, eps):
    grad_u, grad_scale = np.empty_like(u), np.empty_like(scale)
    for k in range(u.shape[1]):
        g, w = grad_y[:, k], u[:, k] - u[:, k].mean()
        s2 = np.mean(w * w) + eps
        grad_scale[k] = np.sum(g * w) / np.sqrt(s2)
        grad_u[:, k] = scale[k] * (g - g.mean() - w * np.mean(w * g) / s2) / np.sqrt(s2)
    return grad_u, grad_scale, np.moveaxis(grad_y, 1, -1).reshape(-1, u.shape[1]).sum(axis=0)
"""

CLIP = """
import numpy as np


def clip_networks(grads, limit):
    number = len(grads[0])
    flat = np.concatenate([grad.reshape(number, -1) for grad in grads], axis=1)
    finite = np.isfinite(flat).all(axis=1)
    flat[~finite] = 0
    largest = np.abs(flat).max(axis=1)
    largest[largest == 0] = 1
    norms = largest * np.sqrt(((flat / largest[:, None]) ** 2).sum(axis=1))
    factor = np.ones_like(norms)
    factor[norms > limit] = limit / norms[norms > limit]
    clipped = []
    for grad in grads:
        shape = (number,) + (1,) * (grad.ndim - 1)
        kept = np.where(finite.reshape(shape), grad, grad.dtype.type(0))
        clipped.append(kept * factor.reshape(shape))
    norms[~finite] = np.inf
    return clipped, norms
"""

TEXTBOOK = """
import numpy as np


def clip_networks(grads, limit):
    norms = np.sqrt(sum((g**2).reshape(len(g), -1).sum(1) for g in grads))
    factor = np.minimum(1, limit / norms)
    return [(g.T * factor.astype(g.dtype)).T for g in grads], norms
"""

HYPOT = """
import math

import numpy as np


def clip_networks(grads, limit):
    norms, clipped = [], [np.zeros_like(g) for g in grads]
    for i in range(len(grads[0])):
        entries = np.concatenate([np.ravel(g[i]) for g in grads])
        norm = math.hypot(*entries.tolist()) if np.isfinite(entries).all() else math.inf
        norms.append(norm)
        for new, old in zip(clipped, grads):
            if norm <= limit:
                new[i] = old[i]
            elif norm < math.inf:
                new[i] = old[i] * (limit / norm)
    return clipped, np.array(norms)
"""

POWERS = """
import numpy as np


def clip_networks(grads, limit):
    flat = np.concatenate([g.reshape(len(g), -1) for g in grads], axis=1).astype(np.float64)
    norms = np.full(len(flat), np.inf)
    for i, row in enumerate(flat):
        if np.isfinite(row).all():
            power = 2.0 ** int(np.frexp(abs(row).max())[1])
            norms[i] = np.linalg.norm(row / power) * power
    factor = limit / np.maximum(norms, limit)
    clipped = []
    for g in grads:
        wide = g.reshape(len(g), -1).astype(np.float64)
        wide[np.isinf(norms)] = 0
        clipped.append((wide * factor[:, None]).reshape(g.shape).astype(g.dtype))
    return tuple(clipped), norms.astype(grads[0].dtype)
"""

STEP = """
import numpy as np


def adam_step(grad, m, r, t, eta, eps):
    m = 0.9 * m + 0.1 * grad
    r = np.hypot(0.999**0.5 * r, 0.001**0.5 * grad)
    below = r / (1 - 0.999**t) ** 0.5 + eps
    step = -eta * (m / (1 - 0.9**t) / np.where(below == 0, below.dtype.type(1), below))
    return step, m, r
"""

WIDE = """
import numpy as np


def adam_step(grad, m, r, t, eta, eps):
    g, m, r = (a.astype(np.float64) for a in (grad, m, r))
    m = m + 0.1 * (g - m)
    v = r**2 * 0.999 + g**2 * 0.001
    above, below = m / (1 - 0.9**t), np.sqrt(v / (1 - 0.999**t)) + eps
    step = np.zeros_like(g)
    moving = below > 0
    step[moving] = -eta * above[moving] / below[moving]
    return tuple(a.astype(grad.dtype) for a in (step, m, np.sqrt(v)))
"""

SCALED = """
import numpy as np


def adam_step(grad, m, r, t, eta, eps):
    size = np.maximum(np.abs(grad), r)
    size = np.where(size > 0, size, np.ones_like(size))
    root = size * np.sqrt(0.999 * (r / size) ** 2 + 0.001 * (grad / size) ** 2)
    mean = grad + 0.9 * (m - grad)
    below = np.sqrt(1 / (1 - 0.999**t)) * root + eps
    step = np.divide(mean, below, out=np.zeros_like(mean), where=below > 0)
    return [step * (-eta / (1 - 0.9**t)), mean, root]
"""


def edited(source, *pairs):
    """`source` with each old text replaced by its new one; every old text must occur once."""
    for old, new in pairs:
        if source.count(old) != 1:
            raise ValueError(f"{old!r} occurs {source.count(old)} times")
        source = source.replace(old, new)
    return source


VARIANTS = [
    Variant("p1", "the square of the length", {"p1-test": 1}, branch(gradient_growth="(1 + alpha^2*chi)^L")),
    Variant("p1", "alpha not squared", {"p1-test": 1}, branch(gradient_growth="(1 + alpha*chi)^(L/2)")),
    Variant("p1", "the approximation for large L", {"p1-test": 1}, branch(largest_branch="sqrt(2/(L*chi))")),
    Variant("p1", "the root forgotten", {"p1-test": 1}, branch(largest_branch="(exp(2/L) - 1)/chi")),
    Variant("p1", "first term of the limit only", {"p1-test": 1}, branch(limit_growth="1 + chi/2")),
    Variant("p1", "an unknown symbol", {"p1-test": 1}, branch(limit_growth="exp(x/2)")),
    Variant("p1", "no formula", {"p1-test": 1}, branch(limit_growth="e to the chi/2")),
    Variant(
        "p1",
        "right: roots and logarithms",
        {},
        branch(gradient_growth="sqrt((1 + chi*alpha^2)^L)", limit_growth="sqrt(exp(chi))"),
    ),
    Variant(
        "p1",
        "right: powers",
        {},
        branch(
            gradient_growth="exp(log(1 + alpha*alpha*chi)*L/2)",
            largest_branch="((exp(1/L)^2 - 1)/chi)^0.5",
            limit_growth="exp(0.5*chi)",
        ),
    ),
    Variant(
        "p2", "without eps", {"p2-test": 4}, epsilon(mean_square="1", scale_slope="0", pair_gradient="0")
    ),
    Variant("p2", "the other share", {"p2-test": 1}, epsilon(scale_slope="v/(v + eps)")),
    Variant("p2", "the sign", {"p2-test": 1}, epsilon(scale_slope="-eps/(v + eps)")),
    Variant(
        "p2", "the factor 1/2 is missing", {"p2-test": 2}, epsilon(pair_gradient="G*eps/(d^2 + eps)^(3/2)")
    ),
    Variant("p2", "variance held constant", {"p2-test": 2}, epsilon(pair_gradient="G/(2*sqrt(d^2 + eps))")),
    Variant("p2", "the root of the mean square", {"p2-test": 1}, epsilon(mean_square="sqrt(v/(v + eps))")),
    Variant("p2", "an unknown symbol", {"p2-test": 1}, epsilon(mean_square="sigma^2/(sigma^2 + eps)")),
    Variant(
        "p2",
        "right: as differences",
        {},
        epsilon(
            mean_square="(v + eps - eps)/(eps + v)",
            scale_slope="(1 - v/(v + eps))",
            pair_gradient="G/2*(1/sqrt(d^2 + eps) - d^2/(d^2 + eps)^1.5)",
        ),
    ),
    Variant(
        "p2",
        "right: as reciprocals",
        {},
        epsilon(
            mean_square="1/(1 + eps/v)",
            scale_slope="1/(v/eps + 1)",
            pair_gradient="0.5*G*eps/sqrt(eps + d*d)^3",
        ),
    ),
    Variant(
        "p3",
        "the sample variance",
        {"p3-test": 2},
        edited(
            NORM, ("(centred**2).mean(axis=axes, keepdims=True)", "u.var(axis=axes, keepdims=True, ddof=1)")
        ),
    ),
    Variant(
        "p3",
        "mean of squares minus square of the mean",
        {"p3-test": 1},
        edited(
            NORM,
            (
                "(centred**2).mean(axis=axes, keepdims=True)",
                "abs((u**2).mean(axis=axes, keepdims=True) - u.mean(axis=axes, keepdims=True) ** 2)",
            ),
        ),
    ),
    Variant(
        "p3",
        "float32 lost",
        {"p3-test": 1},
        edited(NORM, ("centred = u - u.mean", "centred = u.astype(float) - u.mean")),
    ),
    Variant(
        "p3",
        "the input centred in place",
        {"p3-test": 1},
        edited(
            NORM,
            (
                "centred = u - u.mean(axis=axes, keepdims=True)",
                "u -= u.mean(axis=axes, keepdims=True)\n    centred = u",
            ),
        ),
    ),
    Variant(
        "p3",
        "normalised over the images alone",
        {"p3-test": 2, "p3-test2": 3},
        NORM.replace("(0, *range(2, u.ndim))", "(0,)"),
    ),
    Variant(
        "p3",
        "backward: mean and variance constant",
        {"p3-test2": 2},
        edited(NORM, ("(delta - delta.mean(axis=axes, keepdims=True) - x * along)", "delta")),
    ),
    Variant(
        "p3",
        "backward: the term of the mean is missing",
        {"p3-test2": 2},
        edited(NORM, (" - delta.mean(axis=axes, keepdims=True)", "")),
    ),
    Variant(
        "p3",
        "backward: the sign of the term of the variance",
        {"p3-test2": 2},
        edited(NORM, ("- x * along", "+ x * along")),
    ),
    Variant(
        "p3",
        "backward: scale forgotten",
        {"p3-test2": 2},
        edited(NORM, ("delta = grad_y * scale.reshape((1, -1) + (1,) * (u.ndim - 2))", "delta = grad_y")),
    ),
    Variant(
        "p3",
        "backward: means in place of sums",
        {"p3-test2": 1},
        edited(
            NORM, ("(x * grad_y).sum(axis=axes), grad_y.sum", "(x * grad_y).mean(axis=axes), grad_y.mean")
        ),
    ),
    Variant(
        "p3",
        "backward: gradients kept in shape (1, C)",
        {"p3-test2": 1},
        edited(
            NORM,
            (
                "(x * grad_y).sum(axis=axes), grad_y.sum(axis=axes)",
                "(x * grad_y).sum(axis=axes)[None], grad_y.sum(axis=axes)[None]",
            ),
        ),
    ),
    Variant("p3", "right: channels as rows", {}, ROWS),
    Variant("p3", "right: channel by channel", {}, EINSUM),
    Variant("p4", "the textbook's line", {"p4-test": 2}, TEXTBOOK),
    Variant(
        "p4",
        "squares of unscaled entries",
        {"p4-test": 1},
        edited(CLIP, ("largest * np.sqrt(((flat / largest[:, None]) ** 2)", "np.sqrt((flat**2)")),
    ),
    Variant(
        "p4",
        "one norm for all networks",
        {"p4-test": 3},
        edited(CLIP, ("** 2).sum(axis=1))", "** 2).sum(axis=1)) * len(flat)")),
    ),
    Variant("p4", "always scaled to the limit", {"p4-test": 3}, CLIP.replace("norms > limit", "norms > 0")),
    Variant(
        "p4",
        "bad network not looked for",
        {"p4-test": 1},
        edited(CLIP, ("np.isfinite(flat).all(axis=1)", "np.ones(number, bool)")),
    ),
    Variant(
        "p4",
        "one bad network stops all",
        {"p4-test": 1},
        edited(CLIP, ("np.isfinite(flat).all(axis=1)", "np.full(number, np.isfinite(flat).all())")),
    ),
    Variant(
        "p4",
        "clipped in place",
        {"p4-test": 1},
        edited(
            CLIP,
            (
                "clipped.append(kept * factor.reshape(shape))",
                "grad[...] = kept * factor.reshape(shape)\n        clipped.append(grad)",
            ),
        ),
    ),
    Variant(
        "p4",
        "float32 lost",
        {"p4-test": 1},
        edited(CLIP, ("clipped.append(kept", "clipped.append(kept.astype(float)")),
    ),
    Variant("p4", "right: math.hypot", {}, HYPOT),
    Variant("p4", "right: divided by a power of two", {}, POWERS),
    Variant("p5", "upside down", {"p5-test": 1}, adam(uncorrected_step="sqrt(1 - b2)/(1 - b1)")),
    Variant("p5", "the root forgotten", {"p5-test": 1}, adam(uncorrected_step="(1 - b1)/(1 - b2)")),
    Variant("p5", "the corrected step", {"p5-test": 1}, adam(uncorrected_step="1")),
    Variant("p5", "eps alone", {"p5-test": 1}, adam(hidden_gradient="p*eps")),
    Variant("p5", "a sign", {"p5-test": 1}, adam(hidden_gradient="p*eps/(1 + p)")),
    Variant(
        "p5",
        "no corrections in the echo",
        {"p5-test": 1},
        adam(echo="b1^(t - 1)*(1 - b1)/sqrt(b2^(t - 1)*(1 - b2))"),
    ),
    Variant("p5", "numbers in place of b1 and b2", {"p5-test": 1}, adam(uncorrected_step="0.1/sqrt(0.001)")),
    Variant(
        "p5",
        "right: powers in place of roots",
        {},
        adam(
            uncorrected_step="(1 - b1)*(1 - b2)^(-0.5)",
            hidden_gradient="eps*p/(1 - p)",
            echo="(1 - b1)/b1*b1^t/(1 - b1^t)*((b2/(1 - b2))*(1 - b2^t)/b2^t)^0.5",
        ),
    ),
    Variant(
        "p5",
        "right: as differences and reciprocals",
        {},
        adam(
            uncorrected_step="1/sqrt(1 - b2) - b1/sqrt(1 - b2)",
            hidden_gradient="eps/(1 - p) - eps",
            echo="(1/b1 - 1)/(1/b1^t - 1)*sqrt((1/b2^t - 1)/(1/b2 - 1))",
        ),
    ),
    Variant("p6", "the sign of the step", {"p6-test": 3}, edited(STEP, ("-eta", "eta"))),
    Variant(
        "p6",
        "corrections forgotten",
        {"p6-test": 3},
        edited(STEP, (" / (1 - 0.999**t) ** 0.5", ""), (" / (1 - 0.9**t)", "")),
    ),
    Variant(
        "p6",
        "the root of the correction forgotten",
        {"p6-test": 3},
        edited(STEP, (" ** 0.5 + eps", " + eps")),
    ),
    Variant(
        "p6",
        "squares in float32",
        {"p6-test": 1},
        edited(
            STEP, ("np.hypot(0.999**0.5 * r, 0.001**0.5 * grad)", "np.sqrt(0.999 * r**2 + 0.001 * grad**2)")
        ),
    ),
    Variant(
        "p6",
        "0 / 0 where there is no gradient",
        {"p6-test": 1},
        edited(STEP, ("np.where(below == 0, below.dtype.type(1), below)", "below")),
    ),
    Variant(
        "p6",
        "a floor in place of the zero",
        {"p6-test": 1},
        edited(STEP, ("np.where(below == 0, below.dtype.type(1), below)", "np.maximum(below, 1e-12)")),
    ),
    Variant(
        "p6",
        "m in place",
        {"p6-test": 1},
        edited(STEP, ("m = 0.9 * m + 0.1 * grad", "m *= 0.9\n    m += 0.1 * grad")),
    ),
    Variant(
        "p6",
        "corrected m returned",
        {"p6-test": 3},
        edited(STEP, ("return step, m, r", "return step, m / (1 - 0.9**t), r")),
    ),
    Variant(
        "p6",
        "right: the rows of one array",
        {},
        edited(STEP, ("return step, m, r", "return np.stack([step, m, r])")),
    ),
    Variant("p6", "right: in float64", {}, WIDE),
    Variant("p6", "right: divided by the larger size", {}, SCALED),
]
