"""One record per activation: names, formula, kinks, fixed colour and marker, source.

Names only: this module imports no NumPy, SymPy or torch. The implementations are found by the same canonical
name in `selfgated.symbolic`, `selfgated.kernels` and `selfgated.functional`.
"""

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import NamedTuple

__all__ = ["ACTIVATIONS", "Activation", "Kink", "Source", "get", "names"]


class Kink(NamedTuple):
    """A point where f is not twice differentiable, and the slope that the library returns there.

    The slope is the one that torch returns; f'' is 0 there.
    """

    where: float
    slope: float


class Source(NamedTuple):
    """A BibTeX key of ``book/references.bib`` and a short citation."""

    key: str
    citation: str


@dataclass(frozen=True, kw_only=True)
class Activation:
    """What is fixed about one activation function.

    Attributes
    ----------
    name : str
        Canonical name.
    title : str
        For headings and tables.
    formula : str
        f(z), LaTeX without dollars.
    source : Source or None
        Where it was proposed; None for the identity.
    colour : str
        Hexadecimal, the same in the whole book: contrast at least 3 on white and on near-black (#121212).
    marker : str
        A Matplotlib marker of its own, so that curves differ without colour.
    aliases : tuple of str
        Other names that `get` accepts.
    gate : str or None
        g in f(z) = z g(z), LaTeX; None where f is not written in that form.
    kinks : tuple of Kink
        At the default parameter, from left to right.
    jump : int or None
        The lowest derivative that jumps at the kinks: 1 or 2; None without kinks.
    parameter : str or None
        Keyword of the parameter.
    default : float or None
        Its default.
    """

    name: str
    title: str
    formula: str
    source: Source | None
    colour: str
    marker: str
    aliases: tuple[str, ...] = ()
    gate: str | None = None
    kinks: tuple[Kink, ...] = ()
    jump: int | None = None
    parameter: str | None = None
    default: float | None = None

    @property
    def smoothness(self):
        """How smooth f is, in words.

        Examples
        --------
        >>> get("relu6").smoothness
        "continuous; f' jumps at 0 and 6"
        """
        if not self.kinks:
            return "analytic"
        at = " and ".join(f"{kink.where:g}" for kink in self.kinks)
        if self.jump == 1:
            return f"continuous; f' jumps at {at}"
        return f"continuously differentiable for {self.parameter} = {self.default:g}; f'' jumps at {at}"

    def parameters(self, given):
        """Return the keyword arguments of the implementations: `given`, completed by the default.

        Parameters
        ----------
        given : dict

        Returns
        -------
        dict

        Raises
        ------
        TypeError
            If `given` holds a keyword that this activation does not take.
        """
        known = {} if self.parameter is None else {self.parameter: self.default}
        for keyword in given:
            if keyword not in known:
                choices = f"choose from {list(known)}" if known else "it takes none"
                raise TypeError(f"{self.name} takes no parameter {keyword!r}; {choices}")
        return known | given


_HENDRYCKS = Source("hendrycks2016", "Hendrycks and Gimpel, Gaussian Error Linear Units, arXiv:1606.08415")
_HOWARD = Source("howard2019", "Howard et al., Searching for MobileNetV3, ICCV 2019, arXiv:1905.02244")

# The colours maximise the smallest CIEDE2000 distance of relu, silu, gelu, mish, hard_swish, tanh, gelu_tanh
# and gelu_sigmoid under simulated protanopia and deuteranopia, within the two contrast limits;
# tests/test_catalog.py measures it.
ACTIVATIONS = (
    Activation(
        name="identity",
        title="Identity",
        formula=r"z",
        gate=r"1",
        source=None,
        colour="#a868b0",
        marker="_",
        aliases=("linear", "none"),
    ),
    Activation(
        name="sigmoid",
        title="Sigmoid",
        formula=r"\sigma(z) = \frac{1}{1 + e^{-z}}",
        source=Source("rumelhart1986", "Rumelhart, Hinton and Williams, Nature 323, 1986"),
        colour="#207038",
        marker="v",
        aliases=("logistic", "expit"),
    ),
    Activation(
        name="tanh",
        title="Tanh",
        formula=r"\tanh z",
        source=Source("lecun1998", "LeCun, Bottou, Orr and Müller, Efficient BackProp, 1998"),
        colour="#50a068",
        marker="^",
    ),
    Activation(
        name="softplus",
        title="Softplus",
        formula=r"\log(1 + e^{z})",
        source=Source("dugas2000", "Dugas et al., NIPS 2000"),
        colour="#589828",
        marker="h",
        aliases=("soft_plus",),
    ),
    Activation(
        name="relu",
        title="ReLU",
        formula=r"\max(0, z)",
        gate=r"1_{z > 0}",
        source=Source("nair2010", "Nair and Hinton, ICML 2010"),
        colour="#686860",
        marker="o",
        kinks=(Kink(0.0, 0.0),),
        jump=1,
    ),
    Activation(
        name="relu6",
        title="ReLU6",
        formula=r"\min(\max(0, z), 6)",
        source=Source("krizhevsky2010", "Krizhevsky, Convolutional Deep Belief Networks on CIFAR-10, 2010"),
        colour="#d00850",
        marker="8",
        aliases=("relu_6",),
        kinks=(Kink(0.0, 0.0), Kink(6.0, 0.0)),
        jump=1,
    ),
    Activation(
        name="leaky_relu",
        title="Leaky ReLU",
        formula=r"\max(0, z) + \lambda \min(0, z), \quad \lambda = 0.01",
        source=Source("maas2013", "Maas, Hannun and Ng, ICML Workshop 2013"),
        colour="#f01888",
        marker="<",
        aliases=("leakyrelu", "lrelu"),
        kinks=(Kink(0.0, 0.01),),
        jump=1,
        parameter="negative_slope",
        default=0.01,
    ),
    Activation(
        name="elu",
        title="ELU",
        formula=r"\max(0, z) + \alpha \, (e^{\min(0, z)} - 1), \quad \alpha = 1",
        source=Source("clevert2016", "Clevert, Unterthiner and Hochreiter, ICLR 2016, arXiv:1511.07289"),
        colour="#f85860",
        marker=">",
        kinks=(Kink(0.0, 1.0),),
        jump=2,
        parameter="alpha",
        default=1.0,
    ),
    Activation(
        name="silu",
        title="SiLU (Swish-1)",
        formula=r"z \, \sigma(z)",
        gate=r"\sigma(z)",
        source=Source(
            "elfwing2018",
            "Elfwing, Uchibe and Doya, Neural Networks 107, 2018; named by Hendrycks and Gimpel, 2016",
        ),
        colour="#5040f8",
        marker="s",
        aliases=("swish_1", "swish1", "sil"),
    ),
    Activation(
        name="swish",
        title="Swish",
        formula=r"z \, \sigma(\beta z)",
        gate=r"\sigma(\beta z)",
        source=Source("ramachandran2017", "Ramachandran, Zoph and Le, arXiv:1710.05941"),
        colour="#5870e8",
        marker="d",
        aliases=("swish_beta",),
        parameter="beta",
        default=1.0,
    ),
    Activation(
        name="hard_sigmoid",
        title="Hard sigmoid",
        formula=r"\min(\max(0, z + 3), 6) \, / \, 6",
        source=_HOWARD,
        colour="#6058b0",
        marker="p",
        aliases=("hardsigmoid", "hsigmoid", "h_sigmoid"),
        kinks=(Kink(-3.0, 0.0), Kink(3.0, 0.0)),
        jump=1,
    ),
    Activation(
        name="hard_swish",
        title="h-swish",
        formula=r"z \, \min(\max(0, z + 3), 6) \, / \, 6",
        gate=r"\min(\max(0, z + 3), 6) \, / \, 6",
        source=_HOWARD,
        colour="#5890f8",
        marker="P",
        aliases=("hardswish", "hswish", "h_swish"),
        kinks=(Kink(-3.0, 0.0), Kink(3.0, 1.0)),
        jump=1,
    ),
    Activation(
        name="gelu",
        title="GELU",
        formula=r"z \, \Phi(z)",
        gate=r"\Phi(z)",
        source=_HENDRYCKS,
        colour="#f05800",
        marker="D",
        aliases=("gelu_erf", "gelu_exact", "gelu_none"),
    ),
    Activation(
        name="gelu_tanh",
        title="GELU, tanh form",
        formula=r"\frac{z}{2} \, (1 + \tanh(\sqrt{2 / \pi} \, (z + 0.044715 z^3)))",
        gate=r"\frac{1}{2} \, (1 + \tanh(\sqrt{2 / \pi} \, (z + 0.044715 z^3)))",
        source=_HENDRYCKS,
        colour="#c80020",
        marker="X",
        aliases=("gelu_new", "gelu_pytorch_tanh", "gelu_fast"),
    ),
    Activation(
        name="gelu_sigmoid",
        title="GELU, sigmoid form",
        formula=r"z \, \sigma(1.702 z)",
        gate=r"\sigma(1.702 z)",
        source=_HENDRYCKS,
        colour="#d870a0",
        marker="*",
        aliases=("quick_gelu", "quickgelu"),
    ),
    Activation(
        name="mish",
        title="Mish",
        formula=r"z \, \tanh(\log(1 + e^{z}))",
        gate=r"\tanh(\log(1 + e^{z}))",
        source=Source("misra2020", "Misra, BMVC 2020, arXiv:1908.08681"),
        colour="#b80888",
        marker="H",
    ),
)


def _key(name):
    return re.sub(r"[\s-]+", "_", name.strip().lower())


_BY_KEY = {key: record for record in ACTIVATIONS for key in (record.name, *record.aliases)}


def names():
    """Return the canonical names, in the order of the book.

    Examples
    --------
    >>> names()[:3]
    ('identity', 'sigmoid', 'tanh')
    """
    return tuple(record.name for record in ACTIVATIONS)


def get(name):
    """Return the record of an activation.

    Parameters
    ----------
    name : str
        A canonical name or an alias; case is ignored, and spaces and hyphens count as underscores.

    Returns
    -------
    Activation

    Raises
    ------
    ValueError
        If no activation has this name; the closest one is suggested.
    TypeError
        If `name` is not a string.

    Examples
    --------
    >>> get("Swish-1").name
    'silu'
    """
    if not isinstance(name, str):
        raise TypeError(f"the name of an activation must be a string, not {name!r}")
    key = _key(name)
    if key in _BY_KEY:
        return _BY_KEY[key]
    close = get_close_matches(key, _BY_KEY, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise ValueError(f"unknown activation {name!r}; choose from {list(names())}{hint}")
