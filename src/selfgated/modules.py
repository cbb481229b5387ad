"""Activations as torch modules, gated linear layers, and the exchange of activations in a finished model.

The modules hold no state, but for the beta of `Swish`: their state_dicts fit where ``nn.SiLU``, ``nn.GELU``
or ``nn.Mish`` stood, and theirs fit here. None takes torch's ``inplace``: a smooth activation that overwrites
its input destroys what its backward pass needs (chapter 07).
"""

from functools import partial

import torch
from torch import nn

from selfgated import catalog
from selfgated import functional as F
from selfgated.autograd import FLOATS
from selfgated.kernels._evaluate import finite

__all__ = [
    "ELU",
    "GELU",
    "GLU_VARIANTS",
    "GatedFeedForward",
    "GatedLinear",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "LeakyReLU",
    "Mish",
    "NativeSwish",
    "QuickGELU",
    "ReLU",
    "ReLU6",
    "SiLU",
    "Sigmoid",
    "Softplus",
    "Swish",
    "Tanh",
    "get_act_layer",
    "glu_hidden",
    "replace_act",
]


class Activation(nn.Module):
    """Base of the modules whose forward pass is one function of z.

    Attributes
    ----------
    act_fn : callable
        The function of `selfgated.functional`.
    """

    act_fn = None

    def forward(self, z):
        """f(z), elementwise: any shape in, the same shape and dtype out."""
        return type(self).act_fn(z)


class Identity(Activation):
    """f(z) = z."""

    act_fn = staticmethod(F.identity)


class Sigmoid(Activation):
    """f(z) = 1 / (1 + exp(-z))."""

    act_fn = staticmethod(F.sigmoid)


class Tanh(Activation):
    """f(z) = tanh(z)."""

    act_fn = staticmethod(F.tanh)


class Softplus(Activation):
    """f(z) = log(1 + exp(z))."""

    act_fn = staticmethod(F.softplus)


class ReLU(Activation):
    """f(z) = max(z, 0)."""

    act_fn = staticmethod(F.relu)


class ReLU6(Activation):
    """f(z) = min(max(z, 0), 6)."""

    act_fn = staticmethod(F.relu6)


class SiLU(Activation):
    """f(z) = z sigma(z)."""

    act_fn = staticmethod(F.silu)


class HardSigmoid(Activation):
    """f(z) = relu6(z + 3) / 6."""

    act_fn = staticmethod(F.hard_sigmoid)


class HardSwish(Activation):
    """f(z) = z relu6(z + 3) / 6."""

    act_fn = staticmethod(F.hard_swish)


class Mish(Activation):
    """f(z) = z tanh(softplus(z))."""

    act_fn = staticmethod(F.mish)


class LeakyReLU(nn.Module):
    """f(z) = z for z > 0, negative_slope z for z <= 0."""

    def __init__(self, negative_slope=0.01):
        """Any finite slope."""
        super().__init__()
        self.negative_slope = finite("negative_slope", negative_slope)

    def forward(self, z):
        """f(z), elementwise."""
        return F.leaky_relu(z, self.negative_slope)

    def extra_repr(self):
        """The parameter."""
        return f"negative_slope={self.negative_slope}"


class ELU(nn.Module):
    """f(z) = z for z > 0, alpha (exp(z) - 1) for z <= 0."""

    def __init__(self, alpha=1.0):
        """Any finite alpha."""
        super().__init__()
        self.alpha = finite("alpha", alpha)

    def forward(self, z):
        """f(z), elementwise."""
        return F.elu(z, self.alpha)

    def extra_repr(self):
        """The parameter."""
        return f"alpha={self.alpha}"


_APPROXIMATE = {"none": "gelu", "tanh": "gelu_tanh", "sigmoid": "gelu_sigmoid"}


class GELU(nn.Module):
    """f(z) = z Phi(z), or an approximation.

    Parameters
    ----------
    approximate : {"none", "tanh", "sigmoid"}
        As in ``nn.GELU``, and "sigmoid" for z sigma(1.702 z).
    """

    def __init__(self, approximate="none"):
        """Exact or approximate."""
        super().__init__()
        if approximate not in _APPROXIMATE:
            raise ValueError(f"unknown approximate {approximate!r}; choose from {list(_APPROXIMATE)}")
        self.approximate = approximate

    def forward(self, z):
        """f(z), elementwise."""
        return getattr(F, _APPROXIMATE[self.approximate])(z)

    def extra_repr(self):
        """Which form."""
        return f"approximate={self.approximate!r}"


class Swish(nn.Module):
    """f(z) = z sigma(beta z), with one beta or one a channel, learned or fixed.

    Parameters
    ----------
    beta : float
        The value at the start.
    num_parameters : int
        1, or the number of channels C: then dimension 1 of `z` must be C, as for ``nn.PReLU``.
    learnable : bool
        Whether beta is a Parameter or a buffer. The state_dict has the key "beta" either way.
    device, dtype : optional
        Of beta. Its dtype may differ from that of `z`: see `selfgated.functional.swish`.

    Raises
    ------
    TypeError, ValueError
        For a `beta` that is not a finite number of its dtype, a `num_parameters` that is not positive, and in
        the forward pass for a `z` whose dimension 1 is not `num_parameters`.

    Notes
    -----
    Leave beta out of weight decay: decay pulls it to 0, where Swish is the linear map z / 2.

    References
    ----------
    Ramachandran, Zoph and Le 2017. Chapters 02 and 13.
    """

    act_fn = staticmethod(F.swish)

    def __init__(self, beta=1.0, *, num_parameters=1, learnable=True, device=None, dtype=None):
        """One beta, or one a channel."""
        super().__init__()
        if isinstance(num_parameters, bool) or not isinstance(num_parameters, int) or num_parameters < 1:
            raise ValueError(f"num_parameters must be a positive integer, not {num_parameters!r}")
        dtype = torch.get_default_dtype() if dtype is None else dtype
        if dtype not in FLOATS:
            raise TypeError(f"Swish has no beta of dtype {dtype}; choose from {[str(d) for d in FLOATS]}")
        self.init = finite("beta", beta)
        if abs(self.init) > torch.finfo(dtype).max:
            raise ValueError(f"beta = {self.init!r} does not fit into {dtype}")
        self.num_parameters = num_parameters
        self.learnable = learnable
        value = torch.empty(num_parameters, device=device, dtype=dtype)
        if learnable:
            self.beta = nn.Parameter(value)
        else:
            self.register_buffer("beta", value)
        self.reset_parameters()

    def reset_parameters(self):
        """Set beta to its value at the start."""
        nn.init.constant_(self.beta, self.init)

    def forward(self, z):
        """f(z), elementwise: (N, C, ...) in and out, or any shape with one beta."""
        if self.num_parameters == 1:
            return type(self).act_fn(z, self.beta.reshape(()))
        if z.dim() < 2 or z.shape[1] != self.num_parameters:
            raise ValueError(
                f"Swish has num_parameters={self.num_parameters}, but z has shape {tuple(z.shape)}: "
                f"dimension 1 must be {self.num_parameters}"
            )
        return type(self).act_fn(z, self.beta.reshape(-1, *[1] * (z.dim() - 2)))  # (C, 1, ..., 1)

    def extra_repr(self):
        """The arguments; the value of beta now may live on another device."""
        return f"beta={self.init}, num_parameters={self.num_parameters}, learnable={self.learnable}"


class NativeSwish(Swish):
    """`Swish` composed from torch operations: z sigma(beta z) in the dtype of z.

    Faster in eager mode; it keeps z and the gate for the backward pass, and rounds after each step.
    """

    @staticmethod
    def act_fn(z, beta):
        """z sigma(beta z)."""
        beta = beta.to(z.dtype)
        return z * torch.sigmoid(beta * z)


class QuickGELU(nn.Module):
    """f(z) = z sigma(1.702 z) composed from torch operations: ``GELU("sigmoid")``, but faster."""

    def forward(self, z):
        """f(z), elementwise."""
        return torch.nn.functional.silu(1.702 * z) / 1.702


GLU_VARIANTS = {"glu": "sigmoid", "bilinear": "identity", "reglu": "relu", "geglu": "gelu", "swiglu": "silu"}


class GatedLinear(nn.Module):
    """f(x W) * (x V): a linear layer gated by another.

    Parameters
    ----------
    dim_in, dim_out : int
    act : str
        The f of the gate: any name that `get_act_layer` knows.
    bias : bool
        Whether both linear maps have one.
    device, dtype : optional
        Of the weights.

    Notes
    -----
    ``nn.GLU`` halves its input instead: it has no weights, and its f is the sigmoid of the second half.

    References
    ----------
    Dauphin et al. 2017; Shazeer 2020, equations 5 and 6. Chapter 14.
    """

    def __init__(self, dim_in, dim_out, *, act="silu", bias=True, device=None, dtype=None):
        """Gate and value are two linear maps of the same shape."""
        super().__init__()
        self.gate = nn.Linear(dim_in, dim_out, bias=bias, device=device, dtype=dtype)
        self.value = nn.Linear(dim_in, dim_out, bias=bias, device=device, dtype=dtype)
        self.act = get_act_layer(act)()

    def forward(self, x):
        """(..., dim_in) to (..., dim_out)."""
        return self.act(self.gate(x)) * self.value(x)


class GatedFeedForward(nn.Module):
    """(f(x W) * (x V)) U: the feed-forward block of a transformer, gated.

    Parameters
    ----------
    dim : int
        Width of input and output.
    dim_hidden : int, optional
        By default ``glu_hidden(4 * dim)``: as many weights as the plain block of width 4 dim.
    variant : {"glu", "bilinear", "reglu", "geglu", "swiglu"}
        Which f: see `GLU_VARIANTS`.
    bias : bool
        Whether the three linear maps have one.
    device, dtype : optional
        Of the weights.

    References
    ----------
    Shazeer 2020, equation 6. Chapter 14.
    """

    def __init__(self, dim, dim_hidden=None, *, variant="swiglu", bias=False, device=None, dtype=None):
        """Three linear maps."""
        super().__init__()
        if variant not in GLU_VARIANTS:
            raise ValueError(f"unknown GLU variant {variant!r}; choose from {list(GLU_VARIANTS)}")
        dim_hidden = glu_hidden(4 * dim) if dim_hidden is None else dim_hidden
        options = {"bias": bias, "device": device, "dtype": dtype}
        self.glu = GatedLinear(dim, dim_hidden, act=GLU_VARIANTS[variant], **options)
        self.out = nn.Linear(dim_hidden, dim, **options)

    def forward(self, x):
        """(..., dim) to (..., dim)."""
        return self.out(self.glu(x))


def glu_hidden(dim_hidden, multiple_of=1):
    """Hidden width at which three matrices hold the weights of two: 2/3 of `dim_hidden`, rounded up.

    Parameters
    ----------
    dim_hidden : int
        Width of the plain block, often four times that of the model.
    multiple_of : int
        Round up to a multiple of this.

    References
    ----------
    Shazeer 2020, section 2.

    Examples
    --------
    >>> glu_hidden(3072), glu_hidden(4 * 4096, multiple_of=256)
    (2048, 11008)
    """
    for name, value in (("dim_hidden", dim_hidden), ("multiple_of", multiple_of)):
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} must be a positive integer, not {value!r}")
    return -(-(2 * dim_hidden) // (3 * multiple_of)) * multiple_of


_LAYERS = {
    "identity": Identity,
    "sigmoid": Sigmoid,
    "tanh": Tanh,
    "softplus": Softplus,
    "relu": ReLU,
    "relu6": ReLU6,
    "leaky_relu": LeakyReLU,
    "elu": ELU,
    "silu": SiLU,
    "swish": Swish,
    "hard_sigmoid": HardSigmoid,
    "hard_swish": HardSwish,
    "gelu": GELU,
    "gelu_tanh": partial(GELU, "tanh"),
    "gelu_sigmoid": partial(GELU, "sigmoid"),
    "mish": Mish,
}
_NATIVE = {
    "identity": nn.Identity,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "softplus": nn.Softplus,
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "silu": nn.SiLU,
    "swish": NativeSwish,
    "hard_sigmoid": nn.Hardsigmoid,
    "hard_swish": nn.Hardswish,
    "gelu": nn.GELU,
    "gelu_tanh": partial(nn.GELU, "tanh"),
    "gelu_sigmoid": QuickGELU,
    "mish": nn.Mish,
}
_NAMES = {
    layer: name for table in (_LAYERS, _NATIVE) for name, layer in table.items() if isinstance(layer, type)
}


def get_act_layer(name, *, native=False, **kwargs):
    """A factory of activation modules: call it once for each place that needs one.

    Parameters
    ----------
    name : str
        A canonical name or an alias of `selfgated.catalog`.
    native : bool
        Whether to use torch's own kernels, or operations composed from them (`NativeSwish`, `QuickGELU`). In
        eager mode on a CPU they are several times faster; ours are more exact, because they compute in
        float64 (chapter 08).
    **kwargs
        Passed on to the module: ``get_act_layer("swish", num_parameters=64)``.

    Returns
    -------
    callable without arguments

    Raises
    ------
    ValueError
        If the name is unknown.
    TypeError
        If the module does not take one of the arguments.

    Examples
    --------
    >>> act_layer = get_act_layer("swish", beta=1.5)
    >>> nn.Sequential(nn.Linear(2, 8), act_layer(), nn.Linear(8, 1))[1]
    Swish(beta=1.5, num_parameters=1, learnable=True)
    """
    act_layer = partial((_NATIVE if native else _LAYERS)[catalog.get(name).name], **kwargs)
    act_layer()  # so that a wrong argument is reported here, not where a model is built
    return act_layer


def replace_act(model, old, new, **kwargs):
    """Replace every module of one activation by a new module of another.

    Parameters
    ----------
    model : nn.Module
        Changed in place. If it is itself an `old` activation, the new one is returned.
    old, new : str
        Names as in `get_act_layer`. `old` finds our modules and torch's, whatever their parameters;
        subclasses of them, and ``nn.Softplus`` with another beta, are left alone.
    **kwargs
        Passed on to the new modules.

    Returns
    -------
    nn.Module
        The model. A module that was used in several places is replaced by one that is. Training mode is kept.
        A new beta lies on the device of the model's first parameter or buffer, unless `device` is given.

    Raises
    ------
    ValueError
        If a name is unknown, or the model has no `old` module; the message lists what it has.

    Notes
    -----
    Only modules can be seen: a call of ``torch.relu`` or ``F.relu`` in a forward method stays as it is. Hooks
    on the old modules are lost. Give an optimizer the parameters of the model again after replacing by a
    learnable Swish.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1))
    >>> replace_act(model, "relu", "silu")[1]
    SiLU()
    """
    old = catalog.get(old).name
    act_layer = get_act_layer(new, **kwargs)
    places = [(path, module) for path, module in model.named_modules(remove_duplicate=False)]
    found = {act_name(module) for _, module in places} - {None}
    if old not in found:
        raise ValueError(f"no {old!r} module to replace; activations found: {sorted(found)}")
    device = next((t.device for t in [*model.parameters(), *model.buffers()]), None)
    replaced = {}
    for path, module in places:
        if act_name(module) != old:
            continue
        if module not in replaced:
            replaced[module] = act_layer().train(module.training)
            if device is not None and "device" not in kwargs:
                replaced[module].to(device)
        if not path:
            return replaced[module]
        model.set_submodule(path, replaced[module])
    for module in model.modules():
        if isinstance(module, nn.TransformerEncoderLayer) and module.activation in replaced.values():
            module.activation_relu_or_gelu = 0  # else its fused path goes on computing the old function
    return model


def act_name(module):
    """Canonical name of an activation module, ours or torch's; None for other modules.

    Examples
    --------
    >>> act_name(nn.GELU(approximate="tanh"))
    'gelu_tanh'
    """
    if type(module) in (GELU, nn.GELU):
        return _APPROXIMATE[module.approximate]
    if type(module) is nn.Softplus:
        return "softplus" if module.beta == 1 else None
    # A class of a module above this one names itself.
    return _NAMES.get(type(module), vars(type(module)).get("catalog_name"))
