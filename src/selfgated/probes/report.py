"""What a probe returns: records of layers, activations, blocks, parameters; arrays and text of them."""

import math
from dataclasses import dataclass, field

import numpy as np

__all__ = ["Activation", "Block", "Gradient", "Layer", "Report"]


@dataclass(frozen=True)
class Layer:
    """One call of a layer with weights. Its output is the pre-activation z; L is the loss.

    Attributes
    ----------
    name, type : str
        Path in the model, class.
    call, calls : int
        This is call number `call` of `calls` of the module.
    depth : int
        Layers on the longest way from the input to here, this one among them.
    shape : tuple of int
        Of z.
    grad_norm : float
        Norm of dL/dW over the weights of the layer, biases left out; nan without gradient. A module that is
        called several times has one gradient, the sum.
    delta_norm : float
        Root of the mean over samples of ||dL/dz||^2; nan if the loss does not depend on z.
    delta_rms : float
        Root of the mean of (dL/dz)^2 over all entries.
    delta_zero : float
        Share of the entries of dL/dz that are exactly 0.
    mean, variance : float
        Of z, over all entries.
    finite, delta_finite : bool
        Whether z and dL/dz hold no nan and no infinity.
    sigma_w2, sigma_b2 : float
        fan_in times the mean square of the weights, and the mean square of the biases; nan for layers other
        than linear and convolution.
    status : str
        "ok", "frozen" (no parameter of it learns), "no gradient" (z does not reach the loss), or "no_grad"
        (the model runs it without a graph).
    lag_norms : (T,) ndarray, optional
        Of an RNN, LSTM or GRU in one direction: norm of the gradient of the squared last output with respect
        to the input at each time step.
    histogram : tuple of (ndarray, ndarray), optional
        Counts and edges of z.
    """

    name: str
    type: str
    call: int
    calls: int
    depth: int
    shape: tuple
    grad_norm: float
    delta_norm: float
    delta_rms: float
    delta_zero: float
    mean: float
    variance: float
    finite: bool
    delta_finite: bool
    sigma_w2: float
    sigma_b2: float
    status: str
    lag_norms: np.ndarray | None = field(default=None, repr=False)
    histogram: tuple | None = field(default=None, repr=False)

    @property
    def label(self):
        """The name, with the number of the call where there are several."""
        return self.name if self.calls == 1 else f"{self.name}[{self.call}]"


@dataclass(frozen=True)
class Activation:
    """One call of an activation module at pre-activations z.

    Attributes
    ----------
    name, type, call, calls
        As for `Layer`.
    act : str or None
        Name in the catalog, by class or by its values on a grid; None for others.
    layer : int
        Index in `Report.layers` of the layer that ran before it, -1 if none did.
    mean, variance : float
        Of z.
    saturated : float
        Share of the entries of z with \\|f'(z)\\| below the threshold.
    expected : float
        That share for z ~ N(0, 1): for ReLU one half.
    dead, units : int
        Units (channels after a convolution, features after other layers) with f' = 0 at every sample and
        position; units in all.
    seen : int
        Values of each unit: samples times positions.
    histogram
        As for `Layer`.
    """

    name: str
    type: str
    call: int
    calls: int
    act: str | None
    layer: int
    mean: float
    variance: float
    saturated: float
    expected: float
    dead: int
    units: int
    seen: int
    histogram: tuple | None = field(default=None, repr=False)

    label = Layer.label


@dataclass(frozen=True)
class Block:
    """Output of a module that stands in a row of modules of its class: `delta_norm` as for `Layer`."""

    name: str
    type: str
    call: int
    calls: int
    delta_norm: float

    label = Layer.label


@dataclass(frozen=True)
class Gradient:
    """Gradient of a parameter: its norm (nan without); "ok", "zero", "none", "frozen" or "not finite"."""

    name: str
    shape: tuple
    norm: float
    status: str


def _number(value):
    return "-" if math.isnan(value) else f"{value:.3g}"


@dataclass(frozen=True)
class Report:
    """What `probe` measured.

    Attributes
    ----------
    model : str
        Class.
    loss : float
    loss_text : str
        What the loss is.
    samples : int
        Size of the batch.
    dtype, device : str
        Of the parameters.
    parameters : tuple of Gradient
        All of the model, in the order of ``named_parameters``.
    layers : tuple of Layer
    activations : tuple of Activation
    blocks : tuple of Block
        Each in order of execution.
    functional : tuple of str
        Activations called as functions: no module to look into, so neither slopes nor dead units of theirs.
    never_called : tuple of str
        Modules with weights that did not run.
    tied : tuple of tuple of str
        Names of one and the same parameter.
    notes : tuple of str
        What else limits the measurement.
    """

    model: str
    loss: float
    loss_text: str
    samples: int
    dtype: str
    device: str
    parameters: tuple
    layers: tuple
    activations: tuple
    blocks: tuple
    functional: tuple
    never_called: tuple
    tied: tuple
    notes: tuple

    @property
    def names(self):
        """Labels of the layers, a list of str."""
        return [layer.label for layer in self.layers]

    def _array(self, name):
        return np.array([getattr(layer, name) for layer in self.layers], dtype=float)

    @property
    def depth(self):
        """(L,) depth of each layer."""
        return self._array("depth")

    @property
    def grad_norm(self):
        """(L,) norm of dL/dW."""
        return self._array("grad_norm")

    @property
    def delta_norm(self):
        """(L,) norm of dL/dz per sample."""
        return self._array("delta_norm")

    @property
    def delta_rms(self):
        """(L,) root mean square of dL/dz."""
        return self._array("delta_rms")

    @property
    def mean(self):
        """(L,) mean of z."""
        return self._array("mean")

    @property
    def variance(self):
        """(L,) variance of z."""
        return self._array("variance")

    @property
    def saturated(self):
        """(A,) share of saturated entries, by activation module."""
        return np.array([act.saturated for act in self.activations], dtype=float)

    @property
    def dead(self):
        """(A,) dead units, by activation module."""
        return np.array([act.dead for act in self.activations], dtype=int)

    def table(self):
        """Text: a line for each layer, with the activation module that follows it."""
        after = {}
        for act in self.activations:
            after.setdefault(act.layer, act)
        rows = [("layer", "type", "mean z", "var z", "|dL/dz|", "|dL/dW|", "activation", "saturated", "dead")]
        for i, layer in enumerate(self.layers):
            act = after.get(i)
            rows.append(
                (
                    layer.label,
                    layer.type,
                    *map(_number, (layer.mean, layer.variance, layer.delta_norm, layer.grad_norm)),
                    *(
                        ("", "", "")
                        if act is None
                        else (act.act or act.type, f"{act.saturated:.0%}", f"{act.dead}/{act.units}")
                    ),
                )
            )
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            "  ".join(
                cell.ljust(width) if i in (0, 1, 6) else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        )
