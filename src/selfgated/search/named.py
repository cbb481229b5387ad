"""Published functions, and where they are in the space of one core unit."""

from typing import NamedTuple

from selfgated.search.space import BINARY, UNARY

__all__ = ["PUBLISHED", "Published", "named"]


class Published(NamedTuple):
    """A function with a name.

    Attributes
    ----------
    name, text : str
        The text is as `selfgated.search.parse` reads it.
    decisions : tuple of str, or None
        u1, u2 and b of a spelling with one core unit; None if there is none.
    cifar10 : tuple of float, or None
        Published accuracies in percent (median of 5) on CIFAR-10 of ResNet-164, Wide ResNet 28-10 and
        DenseNet 100-12: Ramachandran, Zoph and Le, arXiv:1710.05941, Table 1; of swish with beta 1, softplus,
        elu and gelu from its Table 4.
    """

    name: str
    text: str
    decisions: tuple | None
    cifar10: tuple | None = None

    @property
    def choice(self):
        """Its decisions as a member of ``Space(1)``, or None."""
        if self.decisions is None:
            return None
        u1, u2, b = self.decisions
        unaries = list(UNARY)
        return unaries.index(u1), unaries.index(u2), list(BINARY).index(b)


def _alone(name, unary, cifar10=None):
    return Published(name, unary, (unary, unary, "max(x1, x2)"), cifar10)


PUBLISHED = (
    Published("swish", "x*sigmoid(x)", ("x", "sigmoid(x)", "x1*x2"), (94.7, 95.5, 94.8)),
    Published(
        "swish, beta", "x*sigmoid(beta*x)", ("beta*x", "x", "sigmoid(x1)*x2"), cifar10=(94.5, 95.5, 94.9)
    ),
    _alone("identity", "x"),
    _alone("relu", "max(x, 0)", cifar10=(93.8, 95.3, 94.8)),
    _alone("tanh", "tanh(x)"),
    _alone("sigmoid", "sigmoid(x)"),
    _alone("softplus", "log(1 + exp(x))", cifar10=(94.6, 94.9, 94.7)),
    Published("x*erf(x)", "x*erf(x)", ("x", "erf(x)", "x1*x2")),
    Published(
        "max(x, sigmoid(x))", "max(x, sigmoid(x))", ("x", "sigmoid(x)", "max(x1, x2)"), (94.3, 95.3, 94.8)
    ),
    Published("cos(x) - x", "cos(x) - x", ("cos(x)", "x", "x1 - x2"), (94.1, 94.8, 94.6)),
    Published("min(x, sin(x))", "min(x, sin(x))", ("x", "sin(x)", "min(x1, x2)"), (94.0, 95.1, 94.4)),
    Published("atan(x)^2 - x", "atan(x)^2 - x", None, (93.9, 94.7, 94.9)),
    Published("max(x, tanh(x))", "max(x, tanh(x))", ("x", "tanh(x)", "max(x1, x2)"), (93.9, 94.2, 94.5)),
    Published("sinc(x) + x", "sinc(x) + x", ("sinc(x)", "x", "x1 + x2"), (91.5, 92.1, 92.0)),
    Published("x*asinh(x)^2", "x*asinh(x)^2", None, (85.1, 92.1, 91.1)),
    Published("elu", "max(x, 0) + min(exp(x) - 1, 0)", None, (94.1, 94.1, 94.4)),
    Published("gelu", "x*(1 + erf(0.7071067811865476*x))/2", None),
    Published("mish", "x*tanh(log(1 + exp(x)))", None),
)


def named():
    """The published functions that one core unit can make.

    Returns
    -------
    dict of str to tuple of int
        Name to choice in ``Space(1)``.

    Examples
    --------
    >>> named()["swish"], "mish" in named()
    ((0, 20, 1), False)
    """
    return {published.name: published.choice for published in PUBLISHED if published.decisions}
