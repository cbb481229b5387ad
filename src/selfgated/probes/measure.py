"""`probe`: one forward and one backward pass, measured, and nothing left behind."""

import copy
import dataclasses
import warnings

import numpy as np
import torch
from torch import nn

from selfgated.probes import report as records
from selfgated.probes.activations import slope
from selfgated.probes.graph import structure
from selfgated.probes.loss import loss_of
from selfgated.probes.recurrent import lag_norms
from selfgated.probes.running import call_model, copied, measurable, unwrap
from selfgated.probes.state import untouched
from selfgated.probes.trace import CONVOLUTIONS, Trace, tensors_in, weights_of

__all__ = ["Measured", "measure", "probe"]

SATURATED_BELOW = 1e-3


@dataclasses.dataclass(frozen=True)
class Measured:
    """A report, and what a prediction needs besides: the trace, its structure, dL/dz of the last layer."""

    report: records.Report
    trace: Trace
    structure: object
    deltas: list


def probe(model, batch, loss_fn=None, *, saturated_below=SATURATED_BELOW, histogram=None, dtype=None):
    """Measure how signal and gradient pass through the layers of a model.

    With z the output of a layer with weights and L the loss: mean and variance of z, the norm of dL/dz per
    sample and of dL/dW; for each activation module the share of saturated entries and the dead units.

    Parameters
    ----------
    model : nn.Module
        Runs once, in the mode (train or eval) that its modules are in.
    batch : Tensor, tuple or mapping
        Called as ``model(batch)``, ``model(*batch)`` or ``model(**batch)``. The model gets copies.
    loss_fn : callable, optional
        ``loss_fn(output)`` returns one number; targets are for it to know. By default the squared norm of the
        output: the sum of squares of its tensors at the top level. The model's own ``output["loss"]`` is
        taken where there is one, and a fixed random projection where the output is normalised, so that its
        norm is constant.
    saturated_below : float
        An entry is saturated where \\|f'(z)\\| is smaller than this.
    histogram : int or array_like, optional
        Bins, or their edges, of histograms of z.
    dtype : torch.dtype, optional
        Measure a copy of the model in this dtype: float64 shows gradients that underflow in float32.

    Returns
    -------
    Report

    Raises
    ------
    TypeError
        For a model that is no ``nn.Module``, or compiled by TorchScript: that runs no hooks inside.
    ValueError
        If there is nothing to differentiate, the loss is not one number, a lazy layer has no weights yet, or
        the model is on the meta device.

    Notes
    -----
    Afterwards, also after an exception, all is as before: ``grad`` and ``requires_grad`` of the parameters,
    buffers, modes, plain attributes, hooks, random states (torch, NumPy, Python).
    Frozen layers are measured too.
    A module compiled by ``torch.compile``, or wrapped in DataParallel, is measured as the module inside.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 1))
    >>> report = probe(model, torch.ones(7, 3))
    >>> report.names, report.delta_norm.shape, report.activations[0].act
    (['0', '2'], (2,), 'relu')
    """
    return measure(
        model, batch, loss_fn, saturated_below=saturated_below, histogram=histogram, dtype=dtype
    ).report


def measure(model, batch, loss_fn=None, *, saturated_below=SATURATED_BELOW, histogram=None, dtype=None):
    """As `probe`, for those who need the graph too: returns `Measured`."""
    model, notes = unwrap(model)
    if dtype is not None:
        model = copy.deepcopy(model).to(dtype)
    # The trace would be of inference tensors otherwise: those cannot be differentiated.
    with torch.inference_mode(False), torch.enable_grad(), untouched(model), measurable(model):
        batch = copied(batch, dtype)
        samples = next((t.shape[0] for t in tensors_in(batch) if t.dim()), 1)
        if samples == 0:
            raise ValueError("the batch is empty")
        with Trace(model) as trace:
            output = call_model(model, batch)
            trace.finish()
            if not trace.layers and next(model.parameters(), None) is None:
                notes.append("the model has no parameters: no gradient to follow")
                loss, text, outputs = None, "none", []
            else:
                loss, text, outputs = loss_of(loss_fn, output, tensors_in(batch), trace)
            return _measured(model, samples, trace, loss, text, outputs, saturated_below, histogram, notes)


def _norm(tensor):
    """Norm in float64: squares of small float32 numbers underflow."""
    tensor = tensor.coalesce().values() if tensor.is_sparse else tensor
    return float(torch.linalg.vector_norm(tensor.double() if not tensor.is_complex() else tensor))


def _gradients(loss, trace, parameters):
    """dL/dz for each call with a graph, dL/dp for each parameter that learns; None where there is none."""
    calls = [call for call in trace.layers + trace.blocks if call.edge is not None]
    learning = [p for p in parameters if p.requires_grad]
    wanted = [call.edge for call in calls] + learning
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*create_graph.*")
        got = torch.autograd.grad(loss, wanted, allow_unused=True) if wanted else []
    return dict(zip(calls, got, strict=False)), dict(zip(learning, got[len(calls) :], strict=True))


def _measured(model, samples, trace, loss, text, outputs, saturated_below, histogram, notes):
    named = list(model.named_parameters())
    if loss is None:
        deltas, grads = {}, {}
    else:
        deltas, grads = _gradients(loss, trace, [p for _, p in named])
    shape = structure(trace, [(t.grad_fn, t.output_nr) for t in outputs if t.grad_fn is not None])
    calls = {}
    for call in trace.layers + trace.activations + trace.blocks:
        calls[call.module] = call.call
    layers = tuple(
        _layer(call, calls, depth, deltas.get(call), grads, samples, histogram)
        for call, depth in zip(trace.layers, shape.depth, strict=True)
    )
    if trace.loose:
        notes.append(f"weights outside of any layer module, not followed: {', '.join(trace.loose)}")
    report = records.Report(
        model=type(model).__name__,
        loss=float("nan") if loss is None else float(loss.detach()),
        loss_text=text,
        samples=samples,
        dtype=", ".join(sorted({str(p.dtype).removeprefix("torch.") for _, p in named})) or "none",
        device=", ".join(sorted({str(p.device) for _, p in named})) or "none",
        parameters=tuple(_gradient(name, p, grads) for name, p in named),
        layers=layers,
        activations=tuple(
            _activation(c, calls, trace, saturated_below, histogram) for c in trace.activations
        ),
        blocks=tuple(_block(call, calls, deltas.get(call), samples) for call in trace.blocks),
        functional=shape.functional,
        never_called=tuple(trace.never_called()),
        tied=_tied(model),
        notes=tuple(notes),
    )
    return Measured(report, trace, shape, [deltas.get(call) for call in trace.layers])


def _tied(model):
    names = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(parameter, []).append(name)
    modules = {name for name, _ in model.named_modules()}
    return tuple(
        tuple(n) for n in names.values() if len({x for x in n if x.rpartition(".")[0] in modules}) > 1
    )


def _histogram(z, bins):
    if bins is None:
        return None
    values = z.double().flatten().cpu().numpy()
    return np.histogram(values[np.isfinite(values)], bins=bins)


def _moments(z):
    if not z.numel():
        return float("nan"), float("nan")
    z = z.abs().double() if z.is_complex() else z.double()
    return float(z.mean()), float(z.var(unbiased=False))


def _finite(tensor):
    return bool(torch.isfinite(tensor).all())


def _sigmas(module):
    """(sigma_w^2, sigma_b^2) as measured; nan for layers other than linear and convolution."""
    nan = float("nan")
    fan_in = fan_in_of(module)
    if fan_in is None:
        return nan, nan
    bias = module.bias
    with torch.no_grad():
        sigma_b2 = 0.0 if bias is None else float(bias.abs().double().square().mean())
        return fan_in * float(module.weight.abs().double().square().mean()), sigma_b2


def fan_in_of(module):
    """Inputs of one unit of a linear or convolution layer; None for other layers."""
    if isinstance(module, CONVOLUTIONS):
        return module.weight[0].numel()
    if isinstance(module, nn.Linear) or type(module).__name__ == "StackedLinear":
        return module.weight.shape[-1]
    return None


def _layer(call, calls, depth, delta, grads, samples, histogram):
    nan = float("nan")
    found = [grads[w] for w in weights_of(call.module) if grads.get(w) is not None]
    mean, variance = _moments(call.z)
    norm = nan if delta is None else _norm(delta)
    sigma_w2, sigma_b2 = _sigmas(call.module)
    status = "no_grad" if call.no_grad else "no gradient" if delta is None else "ok"
    return records.Layer(
        name=call.name,
        type=type(call.module).__name__,
        call=call.call,
        calls=calls[call.module],
        depth=depth,
        shape=tuple(call.z.shape),
        grad_norm=float(np.sqrt(sum(_norm(g) ** 2 for g in found))) if found else nan,
        delta_norm=norm / samples**0.5,
        delta_rms=nan if delta is None or not delta.numel() else norm / delta.numel() ** 0.5,
        delta_zero=nan if delta is None else float((delta == 0).double().mean()),
        mean=mean,
        variance=variance,
        finite=_finite(call.z),
        delta_finite=delta is None or _finite(delta),
        sigma_w2=sigma_w2,
        sigma_b2=sigma_b2,
        status="frozen" if status == "ok" and call.frozen else status,
        lag_norms=None if call.sequence is None else lag_norms(call.module, *call.sequence),
        histogram=_histogram(call.z, histogram),
    )


def _block(call, calls, delta, samples):
    norm = float("nan") if delta is None else _norm(delta) / samples**0.5
    return records.Block(call.name, type(call.module).__name__, call.call, calls[call.module], norm)


def _unit_dims(z, layer):
    """Dimensions of z that number its units: channels after a convolution, else features."""
    if layer is not None and isinstance(layer.module, CONVOLUTIONS) and z.dim() == layer.z.dim():
        return (z.dim() - len(layer.module.kernel_size) - 1,)
    if layer is not None and type(layer.module).__name__ == "StackedLinear" and z.dim() == 3:
        return (0, 2)  # (K, N, features): a unit of each network
    return (z.dim() - 1,) if z.dim() < 4 else (1,)


def _activation(call, calls, trace, saturated_below, histogram):
    units = _unit_dims(call.z, trace.layers[call.layer] if call.layer >= 0 else None)
    rest = [d for d in range(call.z.dim()) if d not in units]
    slopes = slope(call.module, call.z)
    flat = (slopes == 0).permute(*units, *rest).reshape(int(np.prod([call.z.shape[d] for d in units])), -1)
    mean, variance = _moments(call.z)
    return records.Activation(
        name=call.name,
        type=call.kind.type,
        call=call.call,
        calls=calls[call.module],
        act=call.kind.act,
        layer=call.layer,
        mean=mean,
        variance=variance,
        saturated=float((slopes.abs() < saturated_below).double().mean()),
        expected=_expected(call, saturated_below),
        dead=int(flat.all(1).sum()),
        units=flat.shape[0],
        seen=flat.shape[1],
        histogram=_histogram(call.z, histogram),
    )


def _expected(call, saturated_below):
    """Share of saturated entries if z were N(0, 1), by its quantiles; nan if the function is unknown."""
    if call.kind.act is None or call.kind.params is None:
        return float("nan")
    from scipy.special import ndtri

    from selfgated import kernels

    z = ndtri((np.arange(2000) + 0.5) / 2000)
    slopes = getattr(kernels, call.kind.act + "_grad")(z, **call.kind.params)
    return float((np.abs(slopes) < saturated_below).mean())


def _gradient(name, parameter, grads):
    grad, nan = grads.get(parameter), float("nan")
    if not parameter.requires_grad:
        norm, status = nan, "frozen"
    elif grad is None:
        norm, status = nan, "none"
    else:
        norm = _norm(grad)
        status = "zero" if norm == 0 else "ok" if np.isfinite(norm) else "not finite"
    return records.Gradient(name, tuple(parameter.shape), norm, status)
