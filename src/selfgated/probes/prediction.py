"""The decay of a gradient from moments alone: mean-field theory along a plain chain of layers.

Convolutions are followed position by position: a zero beyond the border is an input that is missing, and
lowers the variance near it. Far from the first layer this is a factor (1 + 2 cos(pi/(S+1)))/3 a dimension,
for maps of S positions and kernel 3: the largest eigenvalue of the average over three neighbours.
"""

import math
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import nn

from selfgated import moments
from selfgated.probes.graph import RESIDUAL, SUMS
from selfgated.probes.measure import fan_in_of
from selfgated.probes.trace import CONVOLUTIONS, RECURRENT, ActivationCall

__all__ = ["Prediction", "obstacles", "predict"]

STEPS = 8  # points of a table of moments a decade of q
WEIGHTY = (
    "attention",
    "recurrent layers",
    RESIDUAL,
    SUMS,
    "normalisation",
    "gating (a product of branches)",
    "concatenation of branches",
    "pooling or a mean",
    "dropout that is switched on",
)
REPEATS = "weights that are used several times"
NEWS = ("unknown activation", "layers that run without", REPEATS, "products outside", "complex")
MINOR = ("concatenation", "pooling", "products outside")  # parts of attention
PAD_MODES = {"circular": "circular", "reflect": "reflect", "replicate": "replicate"}


@dataclass(frozen=True)
class Prediction:
    """What the moments say of a plain chain; arrays have an entry for each of the L layers.

    Attributes
    ----------
    acts : tuple of str
        The activation after each layer but the last, "identity" where there is none.
    second : (L,) ndarray
        E z^2.
    delta_norm : (L,) ndarray
        Norm of dL/dz per sample, from that measured at the last layer.
    unpadded : (L,) ndarray
        The same, were there no borders; equal to `delta_norm` without zero padding.
    """

    acts: tuple
    second: np.ndarray
    delta_norm: np.ndarray
    unpadded: np.ndarray


def _layer_obstacles(trace):
    repeated = {}
    for call in trace.layers:
        kind = type(call.module).__name__
        if isinstance(call.module, RECURRENT):
            yield "recurrent layers"
        elif isinstance(call.module, nn.MultiheadAttention):
            yield "attention"
        elif isinstance(call.module, nn.Embedding):
            yield "embeddings"
        elif fan_in_of(call.module) is None:
            yield f"layers of the class {kind}"
        if call.call > 1:
            repeated[call.name] = None
        if call.z.is_complex():
            yield "complex numbers"
        if call.no_grad:
            yield "layers that run without a graph"
    if repeated:
        yield f"{REPEATS} ({', '.join(repeated)})"


def _act_obstacle(act):
    if not isinstance(act, ActivationCall):
        return None
    if act.kind.act is None:
        return f"unknown activation {act.kind.type}"
    return None if act.kind.params is not None else f"{act.kind.type} with a parameter for each channel"


def obstacles(measured):
    """Why a model is no plain chain of linear or convolution layers and catalog activations: a list."""
    trace, shape = measured.trace, measured.structure
    reasons = list(_layer_obstacles(trace))
    reasons += ["normalisation"] * bool(trace.norms) + ["dropout that is switched on"] * bool(trace.dropouts)
    last = len(trace.layers) - 1
    for i, link in enumerate(shape.links):
        reasons += link.reasons if i <= last else [r for r in link.reasons if r == RESIDUAL]
        reasons += filter(None, map(_act_obstacle, link.acts if i <= last else ()))
        if i <= last and len(link.acts) > 1:
            reasons.append("several activations between two layers")
        if link.sources != ((i - 1,) if i else ()):
            reasons.append("branches: a layer that does not read the layer before it")
    reasons = list(dict.fromkeys(reasons))
    if any(r in WEIGHTY for r in reasons):  # the rest goes without saying
        if "attention" in reasons:
            reasons = [r for r in reasons if not r.startswith(MINOR)]
        reasons = [r for r in WEIGHTY if r in reasons] + [r for r in reasons if r.startswith(NEWS)]
    named = [r for r in reasons if not r.startswith("the operation")]
    return (named or reasons) if trace.layers else ["no layers with weights"]


def _name(act):
    """(catalog name, params) of a link's activation."""
    return (act.kind.act, act.kind.params) if isinstance(act, ActivationCall) else act


def _moment(act, params, order, q):
    """E f(z)^2 or E f'(z)^2, z ~ N(0, q), for every q of a float64 tensor; from a table where they differ."""
    values = q.flatten().numpy()
    mean = partial(moments.moment, act, 2, order=order, **params)
    if np.ptp(values) <= 1e-9 * values.max():
        return torch.full_like(q, mean(q=float(values[0])))
    positive = np.maximum(values, values.max() * 1e-30)
    low, high = (
        math.floor(STEPS * math.log10(positive.min())) - 2,
        math.ceil(STEPS * math.log10(positive.max())) + 2,
    )
    grid = np.arange(low, high + 1) / STEPS
    from scipy.interpolate import CubicSpline

    table = CubicSpline(grid, np.log([mean(q=10.0**g) for g in grid]))
    return torch.from_numpy(np.exp(table(np.log10(positive)))).reshape(q.shape)


def _average(module, second):
    """Mean of the inputs' E x^2 that each output position of a layer sees, missing inputs counted as 0."""
    if not isinstance(module, CONVOLUTIONS):
        return second.mean()
    spatial = len(module.kernel_size)
    x = second[None, None]
    if module.padding_mode == "zeros":
        padding = module.padding
    else:
        pads = module._reversed_padding_repeated_twice
        x, padding = nn.functional.pad(x, pads, mode=PAD_MODES[module.padding_mode]), 0
    kernel = torch.ones(1, 1, *module.kernel_size, dtype=x.dtype) / math.prod(module.kernel_size)
    convolve = (nn.functional.conv1d, nn.functional.conv2d, nn.functional.conv3d)[spatial - 1]
    return convolve(x, kernel, stride=module.stride, padding=padding, dilation=module.dilation)[0, 0]


def _positions(module, shape):
    """Spatial shape of what a layer reads; () for a linear layer."""
    return tuple(shape[-len(module.kernel_size) :]) if isinstance(module, CONVOLUTIONS) else ()


def predict(measured, *, sigma_w2=None):
    """Prediction for a plain chain (`obstacles` is empty); None where a variance overflows or is 0.

    With `sigma_w2` as if all layers had weights of this variance, and no biases.
    """
    calls, layers = measured.trace.layers, measured.report.layers
    if sigma_w2 is not None:
        layers = [replace(layer, sigma_w2=sigma_w2, sigma_b2=0.0) for layer in layers]
    acts = [_name(link.acts[0]) if link.acts else ("identity", {}) for link in measured.structure.links[:-1]]
    incoming, acts = acts[0], acts[1:]
    if incoming[0] != "identity":
        return None
    second, adjoint, slopes = calls[0].in_second.cpu(), [], []
    with torch.enable_grad():
        for i, (call, layer) in enumerate(zip(calls, layers, strict=True)):
            leaf = second.detach().clone()
            if _positions(call.module, call.in_shape) and leaf.dim() == 0:
                leaf = leaf.expand(_positions(call.module, call.in_shape)).clone()
            leaf.requires_grad_()
            seen = _average(call.module, leaf)
            q = layer.sigma_w2 * seen.detach() + layer.sigma_b2
            if not torch.isfinite(q).all() or not (q > 0).any():
                return None
            adjoint.append((leaf, seen, q))
            if i < len(acts):
                name, params = acts[i]
                second = _moment(name, params, 0, q)
                slopes.append(_moment(name, params, 1, q))
    padded = _backward(measured, layers, adjoint, slopes)
    return Prediction(
        acts=tuple(name for name, _ in acts),
        second=np.array([float(q.mean()) for _, _, q in adjoint]),
        delta_norm=padded,
        unpadded=_unpadded(layers, acts, adjoint) if _zero_padded(calls) else padded,
    )


def _zero_padded(calls):
    return any(
        isinstance(c.module, CONVOLUTIONS)
        and c.module.padding_mode == "zeros"
        and any(p != 0 for p in ([1] if c.module.padding == "same" else c.module.padding))
        for c in calls
    )


def _backward(measured, layers, adjoint, slopes):
    """Norms of dL/dz: D_l = E f'^2 sigma_w^2 A^T D_(l+1), where A is the average of the layer above."""
    delta = measured.deltas[-1]
    shape = adjoint[-1][1].shape
    square = delta.double().square().cpu() / measured.report.samples
    below = square.flatten(0, -len(shape) - 1).sum(0) if len(shape) else square.sum()
    norms = [float(below.sum())]
    for i in range(len(slopes) - 1, -1, -1):
        leaf, seen, _ = adjoint[i + 1]
        up = torch.autograd.grad(seen, leaf, below.reshape(seen.shape))[0]
        up = up * layers[i + 1].sigma_w2
        # A linear layer reads all positions alike: its one number is spread over them.
        below = (slopes[i] * up) if up.shape == slopes[i].shape else slopes[i] * up.sum() / slopes[i].numel()
        norms.append(float(below.sum()))
    return np.sqrt(norms[::-1])


def _unpadded(layers, acts, adjoint):
    """Norms of dL/dz with one variance for all positions: chi alone."""
    q, chis = None, []
    for i, layer in enumerate(layers):
        q = layer.sigma_w2 * float(adjoint[0][0].detach().mean()) + layer.sigma_b2 if i == 0 else q
        if i == len(layers) - 1:
            break
        name, params = acts[i]
        chis.append(moments.chi(name, q, layers[i + 1].sigma_w2, **params))
        q = moments.variance_map(name, q, layers[i + 1].sigma_w2, layers[i + 1].sigma_b2, **params)
    ratio = np.concatenate([np.cumprod(chis[::-1])[::-1], [1.0]])
    return layers[-1].delta_norm * np.sqrt(ratio)
