"""One forward pass with hooks: what each layer, activation and block put out, and where it sits in the graph.

Gradients are asked for at graph edges taken when a module returns: what later overwrites the output in place
does not matter, and no backward hook is needed (full backward hooks fail on in-place activations).
"""

import dataclasses
from collections.abc import Mapping

import torch
from torch import nn
from torch.autograd.graph import get_gradient_edge

from selfgated.modules import act_name
from selfgated.probes.activations import NOT_POINTWISE, activation_kind
from selfgated.probes.recurrent import sequence

__all__ = ["ActivationCall", "BlockCall", "LayerCall", "Trace", "tensors_in"]

RECURRENT = (nn.RNNBase, nn.RNNCellBase)
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
REPEATED = 2  # modules of one class in a list or Sequential that make them blocks


def tensors_in(value):
    """All tensors in nested tuples, lists, mappings and dataclasses, in order."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, Mapping):
        value = value.values()
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = [getattr(value, field.name) for field in dataclasses.fields(value)]
    elif not isinstance(value, (tuple, list)):
        return []
    return [tensor for item in value for tensor in tensors_in(item)]


def is_norm(module):
    """Whether a module normalises, by its class or the name of its class (RMSNorm has many authors)."""
    return "norm" in type(module).__name__.lower() and "parametriz" not in type(module).__name__.lower()


def own_parameters(module):
    """{name: parameter} of a module itself, those behind a parametrization (weight_norm) among them."""
    own = dict(module._parameters)
    for name, parametrization in getattr(module, "parametrizations", {}).items():
        own |= {f"{name}.{key}": value for key, value in parametrization.named_parameters()}
    return {name: parameter for name, parameter in own.items() if parameter is not None}


def weights_of(module):
    """Weights of a layer: its own parameters of two and more dimensions."""
    if is_norm(module):
        return []
    return [parameter for parameter in own_parameters(module).values() if parameter.dim() > 1]


@dataclasses.dataclass(eq=False)
class Call:
    """One call of a module: `edges` keys of its inputs, `edge` of its output, None without gradient."""

    name: str
    module: nn.Module
    edges: list
    edge: object = None
    call: int = 0

    @property
    def key(self):
        """(graph node, output number) of the output."""
        return None if self.edge is None else (self.edge.node, self.edge.output_nr)


@dataclasses.dataclass(eq=False)
class LayerCall(Call):
    """A layer with weights. `z` its output, detached and copied; `frozen` if none of its weights learns."""

    in_shape: tuple = ()
    in_second: torch.Tensor | None = None  # of the first layer: mean square of its input, by position
    z: torch.Tensor | None = None
    frozen: bool = False
    no_grad: bool = False
    sequence: tuple | None = None  # of a recurrent layer: see `recurrent`


@dataclasses.dataclass(eq=False)
class ActivationCall(Call):
    """An activation module. `z` its input, copied; `layer` the index of the layer before."""

    kind: object = None
    z: torch.Tensor | None = None
    layer: int = -1


@dataclasses.dataclass(eq=False)
class BlockCall(Call):
    """A module that stands in a row of modules of its class."""


def _edge(tensor):
    return get_gradient_edge(tensor) if tensor.requires_grad else None


def _first(output):
    return next((t for t in tensors_in(output) if t.is_floating_point() or t.is_complex()), None)


class Trace:
    """Hooks on a model; as a context manager it removes them, whatever happens.

    Attributes
    ----------
    layers, activations, blocks : list of calls
        In the order in which they ended.
    norms : list of calls
        Of modules that normalise.
    dropouts : list of str
        Classes of dropout that is switched on, that were called.
    called : set of nn.Module
        Among the modules that have weights.
    loose : list of str
        Weights of modules that only hold them beside their layers.
    """

    def __init__(self, model):
        """Choose the modules to watch; nothing is hooked yet."""
        self.layers, self.activations, self.blocks, self.norms, self.dropouts = [], [], [], [], []
        self.called, self.loose, self.recording = set(), [], True
        self._open, self._handles, self._kinds = [], [], {}
        self.watched = {}
        for name, module in model.named_modules():
            if "parametrizations" in name.split("."):
                continue
            role = self._role(module)
            if role is not None:
                self.watched[module] = (name or type(module).__name__, role)
        for container in model.modules():
            for module in _rows(container):
                self.watched.setdefault(module, (_path(model, module), "block"))

    def _role(self, module):
        if is_norm(module):
            return "norm"
        if isinstance(module, nn.modules.dropout._DropoutNd):
            return "dropout" if module.training and module.p else None
        if isinstance(module, RECURRENT) or weights_of(module):
            return "layer"
        return "activation" if _may_activate(module) else None

    def __enter__(self):
        """Set the hooks."""
        for module in self.watched:
            self._handles += [
                module.register_forward_pre_hook(self._before, with_kwargs=True),
                module.register_forward_hook(self._after, with_kwargs=True),
            ]
        return self

    def __exit__(self, *error):
        """Remove the hooks."""
        for handle in self._handles:
            handle.remove()

    def _before(self, module, args, kwargs):
        if not self.recording:
            return
        name, role = self.watched[module]
        inputs = [t for t in tensors_in((args, kwargs)) if t.is_floating_point() or t.is_complex()]
        edges = [(e.node, e.output_nr) for e in map(_edge, inputs) if e is not None]
        call = {"layer": LayerCall, "activation": ActivationCall, "block": BlockCall}.get(role, Call)(
            name, module, edges
        )
        if role == "layer" and inputs:
            call.in_shape = tuple(inputs[0].shape)
            if not self.layers and inputs[0].is_floating_point():
                call.in_second = _by_position(module, inputs[0].detach())
        floats = len(inputs) == 1 and inputs[0].is_floating_point()
        if role == "activation" and floats and self._kinds.get(module, True) is not None:
            call.z = inputs[0].detach().clone()
        self._open.append(call)

    def _after(self, module, args, kwargs, output):
        role, call = self.watched[module][1], None
        if self.recording:
            while (call := self._open.pop()).module is not module:
                pass  # a call that ended in an exception which the model caught
        return getattr(self, f"_{role}")(call, output, args, kwargs)

    def _norm(self, call, output, *given):
        tensor = _first(output)
        if call is not None and tensor is not None:
            call.edge = _edge(tensor)
            self.norms.append(call)

    def _dropout(self, call, output, *given):
        if call is not None:
            self.dropouts.append(type(call.module).__name__)

    def _block(self, call, output, *given):
        tensor = _first(output)
        if call is not None and tensor is not None:
            call.edge = _edge(tensor)
            self.blocks.append(call)

    def _layer(self, call, output, args, kwargs):
        tensor = _first(output)
        if tensor is None:
            return None
        lifted = None
        if not tensor.requires_grad and torch.is_grad_enabled():
            # Frozen so far: from here on the graph is kept, so that the gradient can be measured here too.
            if output is tensor:
                lifted = tensor = tensor.detach().requires_grad_().clone()
            elif type(output) is tuple and output[0] is tensor:
                tensor = tensor.detach().requires_grad_().clone()
                lifted = (tensor, *output[1:])
        if call is not None:
            self.called.add(call.module)
            call.edge = _edge(tensor)
            call.z = tensor.detach().clone()
            call.frozen = not any(p.requires_grad for p in own_parameters(call.module).values())
            call.no_grad = not torch.is_grad_enabled()
            call.sequence = sequence(call.module, args, kwargs)
            self.layers.append(call)
        return lifted

    def _activation(self, call, output, *given):
        if call is None or call.z is None or not isinstance(output, torch.Tensor):
            return
        module = call.module
        if module not in self._kinds:
            self._kinds[module] = activation_kind(module, call.z, output.detach())
        call.kind, call.edge = self._kinds[module], _edge(output)
        if call.kind is None or not call.z.numel():
            return
        call.layer = len(self.layers) - 1
        self.activations.append(call)

    def finish(self):
        """Drop containers that only hold a parameter beside their layers, and number repeated calls."""
        self.recording = False
        outer = {
            module
            for module in self.called
            if any(inner is not module and inner in self.called for inner in module.modules())
        }
        self.loose = [
            f"{self.watched[module][0]}.{name}"
            for module in self.watched
            if module in outer
            for name, parameter in own_parameters(module).items()
            if parameter.dim() > 1
        ]
        kept = [i for i, call in enumerate(self.layers) if call.module not in outer]
        new = {-1: -1} | {old: sum(k <= old for k in kept) - 1 for old in range(len(self.layers))}
        for activation in self.activations:
            activation.layer = new[activation.layer]
        self.layers = [self.layers[i] for i in kept]
        for calls in (self.layers, self.activations, self.blocks):
            seen = {}
            for call in calls:
                call.call = seen[call.module] = seen.get(call.module, 0) + 1

    def never_called(self):
        """Names of modules with weights that were not called (their weights may be used all the same)."""
        return [
            name
            for module, (name, role) in self.watched.items()
            if role == "layer" and module not in self.called and own_parameters(module)
        ]


def _may_activate(module):
    if isinstance(module, (nn.Identity, *NOT_POINTWISE)):
        return False
    if isinstance(module, nn.PReLU) or act_name(module) is not None:
        return True
    leaf = next(module.children(), None) is None
    return leaf and next(module.parameters(), None) is None and next(module.buffers(), None) is None


def _rows(container):
    """Modules of a list or Sequential that hold layers and have a sibling of their class."""
    if not isinstance(container, (nn.ModuleList, nn.Sequential)):
        return []
    inside = [
        m for m in container if not weights_of(m) and not is_norm(m) and any(True for _ in m.parameters())
    ]
    types = [type(m) for m in inside]
    return [m for m in inside if types.count(type(m)) >= REPEATED]


def _path(model, wanted):
    return next(name for name, module in model.named_modules() if module is wanted)


def _by_position(module, x):
    """Mean of x^2 over samples and channels: one number, or one a position for a convolution."""
    square = x.double().square()
    if not isinstance(module, CONVOLUTIONS):
        return square.mean()
    spatial = len(module.kernel_size)
    return square.flatten(0, -spatial - 1).mean(0)
