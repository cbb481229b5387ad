"""Weights at the start that suit the activation, and the schemes that chapters 09 to 11 compare.

A layer W f(z) with z ~ N(0, 1) has pre-activations of variance fan_in Var(w) E f(z)^2. It is 1 again if
fan_in Var(w) = 1 / E f(z)^2, the square of the activation's forward gain. ``torch.nn.init.calculate_gain``
knows none of SiLU, GELU and Mish.
"""

import copy
import inspect
import math
from dataclasses import dataclass
from operator import index

import torch
from torch import nn

from selfgated import catalog, modules, moments
from selfgated.stacked import StackedLinear, StackedSwish

__all__ = ["SCHEMES", "Report", "init_", "scheme_"]

MODES = ("fan_in", "fan_out")
SCHEMES = ("default", "xavier", "he", "own")
SAMPLE = 64
_KNOWN = (nn.Linear, StackedLinear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NO_ACTIVATIONS = (nn.MultiheadAttention, nn.Softmax, nn.Softmax2d, nn.LogSoftmax, nn.Softmin)


@dataclass(frozen=True)
class Report:
    """What `init_` or `scheme_` did.

    Attributes
    ----------
    gain : float
        Of the layers but the last: standard deviation of a weight times sqrt(fan).
    scaled : tuple of str
        Names of the layers whose weights were drawn, the last among them.
    last : str or None
        The layer after the last activation, whose gain is 1; None if none was found.
    left : dict of str to str
        Names of the parameters that were left as they are, each with the reason.
    """

    gain: float
    scaled: tuple[str, ...]
    last: str | None
    left: dict[str, str]


def init_(module, act_fn, *, mode="fan_in", first=None, generator=None):
    """Initialise linear and convolution layers so that signals keep their size through an activation.

    Weights are normal with standard deviation gain / sqrt(fan), biases are 0. The layer after the last
    activation has gain 1.

    Parameters
    ----------
    module : nn.Module
        Any model; changed in place. A model of K networks (`selfgated.models`) is known by ``num_models``.
    act_fn : str, nn.Module, factory or callable
        The activation between the layers: a name of `selfgated.catalog`, a module, its class or a
        zero-argument factory of it, or any elementwise function of tensors.
    mode : {"fan_in", "fan_out"}
        "fan_in" keeps the variance of the pre-activations, with gain 1 / sqrt(E f^2) at z ~ N(0, 1);
        "fan_out" that of the gradients, with gain 1 / sqrt(E f'^2).
    first : float, optional
        Gain of the first layer, by default that of the others. With 1 standardised data give pre-activations
        of variance 1, where the gain of the others was computed: what SiLU, GELU and Mish need, see Notes.
    generator : torch.Generator or sequence of them, optional
        One, or one a network. By default torch's global one.

    Returns
    -------
    Report

    Raises
    ------
    ValueError
        For an unknown name or mode, an `act_fn` that has no finite positive gain, or a wrong number of
        generators.
    TypeError
        If `act_fn` is none of what it may be.

    Notes
    -----
    ``nn.Linear``, ``nn.Conv1d`` to ``3d`` and `selfgated.stacked.StackedLinear` are known. All other
    parameters, those of embeddings, attention, normalisation and recurrent layers among them, are left and
    listed; so are frozen ones, and weights that a known layer shares with an unknown one. A layer that is
    used in several places is drawn once.

    Without `first` all known layers but the last get the same gain, also the one that is fed by data. Data of
    variance 1 then give pre-activations of variance gain^2, not 1. ReLU does not mind, but for SiLU, GELU and
    Mish the variance 1 is an unstable fixed point, and a deep network drifts away from it (chapter 10).

    No batch is seen here, so layers are taken in the order in which the model registers them: the layer after
    the last activation is the last known layer, if an activation module stands somewhere before it and none
    after it. Calls of ``torch.relu`` in a forward method cannot be seen. Look at ``last`` in the report.

    Numbers are drawn in float64 on the generator's device and then rounded: float32 and float64 models, on
    any device, start alike.

    References
    ----------
    He et al., arXiv:1502.01852, for ReLU. Chapter 09.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 10))
    >>> report = init_(model, "silu", generator=torch.Generator().manual_seed(0))
    >>> round(report.gain, 3), report.scaled, report.last, report.left
    (1.677, ('0', '2'), '2', {})
    """
    if mode not in MODES:
        raise ValueError(f"unknown mode {mode!r}; choose from {list(MODES)}")
    gain = _gain(act_fn, order=MODES.index(mode))
    return _draw(module, gain, _generators(module, generator), mode=mode, first=first)


def scheme_(model, scheme, act_fn=None, *, seeds, first=None):
    """Initialise K networks by one of the schemes that the chapters compare, each from its own seed.

    ========  ==========================  ========================================
    scheme    fan_in Var(w)
    ========  ==========================  ========================================
    default   1/3                         torch's: uniform, biases too
    xavier    1                           normal, biases 0
    he        2                           normal, biases 0
    own       1 / E f(z)^2, z ~ N(0, 1)   normal, biases 0: the activation's own
    ========  ==========================  ========================================

    In all but "default" the layer after the last activation has gain 1.

    Parameters
    ----------
    model : nn.Module
        Changed in place; K is its ``num_models``, or 1.
    scheme : {"default", "xavier", "he", "own"}
    act_fn : optional
        As in `init_`; needed by "own" alone.
    seeds : sequence of int
        One a network. The numbers of network k depend on ``seeds[k]`` alone, not on K nor on the other seeds.
    first : float, optional
        As in `init_`; not for "default".

    Returns
    -------
    Report

    Raises
    ------
    ValueError, TypeError
        As `init_`; ValueError for an unknown scheme or a wrong number of seeds.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 10))
    >>> scheme_(model, "he", seeds=[0]).gain ** 2
    2.0000000000000004
    """
    if scheme not in SCHEMES:
        raise ValueError(f"unknown scheme {scheme!r}; choose from {list(SCHEMES)}")
    if scheme == "own" and act_fn is None:
        raise ValueError("scheme 'own' needs act_fn")
    if isinstance(seeds, int):
        raise TypeError(f"seeds must be a sequence, one a network, such as [{seeds}], not {seeds}")
    generators = _generators(
        model, [torch.Generator().manual_seed(index(seed)) for seed in seeds], what="seed"
    )
    if scheme == "default":
        if first is not None:
            raise ValueError(
                f"scheme 'default' has no gain to replace in the first layer, got first={first!r}"
            )
        return _draw(model, math.sqrt(1 / 3), generators, uniform=True)
    gain = _gain(act_fn) if scheme == "own" else {"xavier": 1.0, "he": math.sqrt(2)}[scheme]
    return _draw(model, gain, generators, first=first)


@torch.no_grad()
def _draw(model, gain, generators, *, mode="fan_in", first=None, uniform=False):
    """Fill the known layers; the report of it."""
    if first is not None and not (math.isfinite(first) and first > 0):
        raise ValueError(f"first must be a finite positive gain, got {first!r}")
    last = None if uniform else _last(model)
    owners = _owners(model)
    scaled, left, seen = [], {}, set()
    for name, layer in model.named_modules():
        for key, parameter in layer.named_parameters(name, recurse=False):
            if parameter in seen:
                continue
            seen.add(parameter)
            kind = key.rpartition(".")[2]
            reason = _reason(parameter, owners[parameter], kind)
            if reason:
                left[key] = reason
            elif kind == "bias" and not uniform:
                parameter.zero_()
            elif uniform:
                bound = 1 / math.sqrt(_fan(layer, "fan_in"))
                _fill(parameter, generators, torch.rand, lambda u, bound=bound: (2 * u - 1) * bound)
            else:
                factor = 1.0 if name == last else first if first and not scaled else gain
                std = factor / math.sqrt(_fan(layer, mode))
                _fill(parameter, generators, torch.randn, lambda u, std=std: u * std)
            if kind == "weight" and not reason:
                scaled.append(name)
    return Report(gain, tuple(scaled), last if last in scaled else None, left)


def _fill(parameter, generators, draw, scale):
    # Not `per_network`: these views exist in every memory format, and the numbers keep their places.
    blocks = parameter.unflatten(0, (len(generators), -1))
    for block, generator in zip(blocks, generators, strict=True):
        device = "cpu" if generator is None else generator.device
        numbers = draw(block.shape, generator=generator, dtype=torch.float64, device=device)
        block.copy_(scale(numbers))


def _owners(model):
    """For every parameter the modules that hold it; within attention, the attention."""
    owners = {}

    def visit(module, outer):
        if outer is None and isinstance(module, nn.MultiheadAttention):
            outer = module
        for parameter in module._parameters.values():
            if parameter is not None:
                owners.setdefault(parameter, []).append(outer or module)
        for child in module.children():
            visit(child, outer)

    visit(model, None)
    return owners


def _reason(parameter, owners, kind):
    """Why a parameter is left, or None."""
    unknown = [type(owner).__name__ for owner in owners if not isinstance(owner, _KNOWN)]
    if unknown:
        return unknown[0] if len(unknown) == len(owners) else f"shared with {unknown[0]}"
    if kind not in ("weight", "bias"):
        return f"{kind} of {type(owners[0]).__name__}"
    if isinstance(parameter, nn.UninitializedParameter):
        return "no shape yet"
    return None if parameter.requires_grad else "frozen"


def _fan(layer, mode):
    """Inputs that one output sums over, or outputs that one input reaches."""
    shape = layer.weight.shape
    if isinstance(layer, nn.Linear | StackedLinear):
        return shape[-1 if mode == "fan_in" else -2]
    return (shape[1] if mode == "fan_in" else shape[0] // layer.groups) * math.prod(layer.kernel_size)


def _is_activation(module):
    if modules.act_name(module) is not None:
        return True
    return type(module).__module__ == "torch.nn.modules.activation" and not isinstance(
        module, _NO_ACTIVATIONS
    )


def _last(model):
    """Name of the layer after the last activation, in the order of registration."""
    acts = [module for module in model.modules() if _is_activation(module)]
    # An identity among other activations is the placeholder of a layer that was left out.
    real = {module for module in acts if modules.act_name(module) != "identity"} or set(acts)
    after, last = False, None
    for name, module in model.named_modules():
        if module in real:
            after, last = True, None
        elif isinstance(module, _KNOWN) and after:
            last = name
    return last


def _generators(module, generator, what="generator"):
    num_models = getattr(module, "num_models", 1)
    if generator is None or isinstance(generator, torch.Generator):
        return [generator] * num_models
    generators = list(generator)
    if len(generators) != num_models:
        raise ValueError(f"{num_models} network(s) need as many {what}s, got {len(generators)}")
    return generators


def _gain(act_fn, order=0):
    """Forward gain of an activation in any form, or its backward gain for order 1."""
    name, params, f = _resolve(act_fn)
    if name is not None:
        return (moments.backward_gain if order else moments.forward_gain)(name, **params)
    try:
        # A gain needs no more digits, and functions that compute in float32 inside have few more.
        second = moments.estimate(_values(f, order), tol=1e-5).value
    except ArithmeticError as error:
        raise ValueError(f"{act_fn!r} has no gain: {error}") from error
    if second == 0:
        raise ValueError(f"{act_fn!r} has no gain: it is {'flat' if order else '0'} almost everywhere")
    return 1 / math.sqrt(second)


def _values(f, order):
    """f of tensors, or its slope, as a function of arrays."""

    def values(z):
        z = torch.from_numpy(z)
        with torch.enable_grad():
            z.requires_grad_(order == 1)
            y = f(z.clone())  # f may work in place
            if not isinstance(y, torch.Tensor) or y.shape != z.shape:
                got = tuple(y.shape) if isinstance(y, torch.Tensor) else type(y).__name__
                raise ValueError(f"act_fn is not elementwise: it maps shape {tuple(z.shape)} to {got}")
            some = slice(None, None, max(1, len(z) // SAMPLE))
            alone, again = (f(z.detach()[some].clone()).detach() for _ in range(2))
            same = torch.allclose(alone, y.detach()[some], rtol=1e-4, equal_nan=True)
            if not same and torch.equal(alone, again):  # else it is noise
                raise ValueError("act_fn is not elementwise: its value at a number depends on the others")
            if order:
                (y,) = torch.autograd.grad(y.sum(), z)
        return y.detach().double().numpy()

    return values


def _resolve(act_fn):
    """(name, params, None) for the catalog's activations, (None, None, f) for others."""
    if isinstance(act_fn, str):
        return catalog.get(act_fn).name, {}, None
    if not callable(act_fn):
        raise TypeError(
            f"act_fn must be a name, a module or its class, or a function of tensors, not {act_fn!r}"
        )
    module = act_fn if isinstance(act_fn, nn.Module) else _made(act_fn)
    if module is None:
        return None, None, act_fn
    name = modules.act_name(module)
    if isinstance(module, modules.Swish | StackedSwish):
        betas = module.beta.detach().double().unique().tolist()
        if len(betas) > 1:
            raise ValueError(f"act_fn has {len(betas)} different betas, and each its own gain: give one")
        return name, {"beta": betas[0]}, None
    keyword = catalog.get(name).parameter if name else None
    if name:
        return name, {keyword: getattr(module, keyword)} if keyword else {}, None
    return None, None, copy.deepcopy(module).cpu().double().eval()


def _made(act_fn):
    """The module that a class or factory makes, or None for a function of tensors."""
    if not isinstance(act_fn, type):
        try:
            signature = inspect.signature(act_fn)
        except ValueError:  # builtins such as torch.tanh
            return None
        required = [
            p
            for p in signature.parameters.values()
            if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        ]
        if required:
            return None
    made = act_fn()
    if not isinstance(made, nn.Module):
        raise TypeError(f"{act_fn!r} takes no argument and makes no module: it is no activation")
    return made
