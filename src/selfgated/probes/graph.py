"""How the layers of a traced model hang together: a plain chain, or what stands in the way of one."""

import re
from dataclasses import dataclass

__all__ = ["Structure", "normalised", "structure"]

PASS = re.compile(
    r"(View|Reshape|ReshapeAlias|UnsafeView|Squeeze|Unsqueeze|Transpose|T|Permute|Clone|ToCopy|Alias|Expand"
    r"|ChannelsLastGradient|Select|Slice|Split|SplitWithSizes|Unbind|Contiguous|Movedim|Identity|AsStrided|CopySlices|Unfold)Backward\d*"
    r"|CopySlices"
)
FUNCTIONS = {
    "Relu": "relu",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "Softplus": "softplus",
    "LeakyRelu": "leaky_relu",
    "Elu": "elu",
    "Silu": "silu",
    "Hardsigmoid": "hard_sigmoid",
    "Hardswish": "hard_swish",
    "Gelu": "gelu",
    "Mish": "mish",
    "Hardtanh": None,
}
REASONS = (
    (r"ScaledDotProduct|Softmax|Attention", "attention"),
    (r"Norm", "normalisation"),
    (r"Cat|Stack", "concatenation of branches"),
    (r"Pool|Mean|Amax|Max|Min", "pooling or a mean"),
    (r"Dropout", "dropout that is switched on"),
    (
        r"Bmm|Baddbmm|Addmm|Mm|Mv|Convolution|Einsum|Linear|Index|Embedding",
        "products outside of any layer module",
    ),
)
RESIDUAL, SUMS = "residual connections", "sums of branches"
MERGES = {
    "Add": RESIDUAL,
    "Sub": RESIDUAL,
    "Mul": "gating (a product of branches)",
    "Div": "gating (a product of branches)",
    "Lerp": "gating (a product of branches)",
}


@dataclass(frozen=True)
class Link:
    """What lies before one layer.

    Attributes
    ----------
    sources : tuple of int
        Layers whose output reaches this one without passing another.
    acts : tuple
        On the way: calls of activation modules, and (name, params) of functional activations.
    reasons : tuple of str
        What a plain chain would not have there.
    """

    sources: tuple
    acts: tuple
    reasons: tuple


@dataclass(frozen=True)
class Structure:
    """Links of all layers, that of the output last; `depth` of a layer counts layers from the input."""

    links: tuple
    depth: tuple

    @property
    def functional(self):
        """Names of the functional activations met, in order, each once."""
        names = (act[0] for link in self.links for act in link.acts if isinstance(act, tuple))
        return tuple(dict.fromkeys(names))


def normalised(trace, tensor):
    """Whether a tensor is the output of a normalisation, but for its shape."""
    norms, node, number = {call.key for call in trace.norms}, tensor.grad_fn, tensor.output_nr
    while node is not None:
        if (node, number) in norms or "Norm" in node.name():
            return True
        if not PASS.fullmatch(node.name()):
            return False
        node, number = node.next_functions[0]
    return False


def _functional(node):
    """(catalog name, params) of the activation that made a graph node; None for another node."""
    match = re.fullmatch(r"(\w+?)Backward\d*", node.name())
    kind = match and match.group(1)
    if kind not in FUNCTIONS:
        return None
    if kind == "Gelu":
        return ("gelu" if node._saved_approximate == "none" else "gelu_tanh"), {}
    if kind == "LeakyRelu":
        return "leaky_relu", {"negative_slope": float(node._saved_negative_slope)}
    if kind == "Elu":
        return "elu", {"alpha": float(node._saved_alpha)}
    if kind == "Softplus" and float(node._saved_beta) != 1:
        return None
    if kind == "Hardtanh":
        bounds = float(node._saved_min_val), float(node._saved_max_val)
        return ("relu6", {}) if bounds == (0, 6) else None
    return FUNCTIONS[kind], {}


def _reason(node, branches):
    """Why a graph node has no place in a plain chain; None if it has one."""
    name = node.name()
    if PASS.fullmatch(name):
        return None
    kind = re.sub(r"Backward\d*$", "", name)
    if branches > 1 and kind in MERGES:
        return MERGES[kind]
    for pattern, reason in REASONS:
        if re.search(pattern, kind):
            return reason
    return f"the operation {kind}"


def _follow(starts, layers, activations, shared):
    """Walk back from `starts` to the next layers: a Link. `shared`: layers that run several times."""
    sources, acts, reasons, seen = set(), [], {}, set()
    stack = list(starts)
    while stack:
        node, number = stack.pop()
        if (node, number) in seen:
            continue
        seen.add((node, number))
        if (node, number) in layers:
            sources.add(layers[node, number])
            continue
        if (node, number) in activations:
            call = activations[node, number]
            acts.append(call)
            stack += call.edges
            continue
        if node.name().endswith("AccumulateGrad"):
            continue
        before = [(n, i) for n, i in node.next_functions if n is not None]
        act = _functional(node)
        if act is not None:
            acts.append(act)
        else:
            branches = sum(not n.name().endswith("AccumulateGrad") for n, _ in before)
            reason = _reason(node, branches)
            if reason is not None:
                reasons[reason] = None
        stack += before
    if RESIDUAL in reasons and (len(sources) < 2 or sources & shared):
        reasons = dict.fromkeys(SUMS if reason == RESIDUAL else reason for reason in reasons)
    return Link(tuple(sorted(sources)), tuple(acts), tuple(reasons))


def structure(trace, outputs):
    """Links between the layers of a trace, and from the last to `outputs`, keys of the model's output."""
    layers = {call.key: i for i, call in enumerate(trace.layers) if call.key is not None}
    activations = {
        call.key: call for call in trace.activations if call.key is not None and call.key not in call.edges
    }
    repeated = {call.module for call in trace.layers if call.call > 1}
    shared = {i for i, call in enumerate(trace.layers) if call.module in repeated}
    links, depth = [], []
    for call in trace.layers:
        link = _follow(call.edges, layers, activations, shared)
        links.append(link)
        # A later call cannot be a source; a sum that closes over the call itself cannot either.
        depth.append(1 + max((depth[i] for i in link.sources if i < len(depth)), default=0))
    links.append(_follow(outputs, layers, activations, shared))
    return Structure(tuple(links), tuple(depth))
