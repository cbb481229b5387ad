"""`audit`: in words, how fast a gradient vanishes or explodes, where, and whether it had to."""

import dataclasses
import json
import math

import numpy as np
import torch

from selfgated import moments
from selfgated.probes import words
from selfgated.probes.decay import Decay, decay
from selfgated.probes.measure import measure
from selfgated.probes.prediction import Prediction, obstacles, predict
from selfgated.probes.report import Report
from selfgated.probes.state import untouched

__all__ = ["Audit", "audit"]

SMALL = 5_000_000  # parameters: a copy in float64 is made of such a model


@dataclasses.dataclass(frozen=True)
class Audit:
    """What `audit` found.

    Attributes
    ----------
    report : Report
        In the model's own dtype.
    exact : Report or None
        Of a copy in float64, where gradients underflow and the model is small.
    decay : Decay or None
        From layer to layer, in `exact` if there is one; None with fewer than two layers that have a gradient.
    blocks : dict of str to Decay
        From block to block, by class, for modules that stand in a row.
    prediction : Prediction or None
    predicted : Decay or None
        The decay of the prediction, fitted like the measured one.
    own : Prediction or None
        What is predicted if all layers had the gain that keeps variance 1, where there is one activation.
    obstacles : tuple of str
        Why there is no prediction; empty if there is one.
    findings : tuple of (str, str)
        Topic and sentence, in order.
    """

    report: Report
    exact: Report | None
    decay: Decay | None
    blocks: dict
    prediction: Prediction | None
    predicted: Decay | None
    own: Prediction | None
    obstacles: tuple
    findings: tuple

    @property
    def text(self):
        """All findings, one a line."""
        return "\n".join(sentence for _, sentence in self.findings)

    def as_dict(self):
        """Plain data for JSON: nan and infinity become None."""
        return _plain(dataclasses.asdict(self))

    def json(self):
        """`as_dict` as JSON text."""
        return json.dumps(self.as_dict(), indent=2, allow_nan=False)


def _plain(value):
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def audit(model, batch, loss_fn=None):
    """Say where and how fast the gradient of a model vanishes or explodes.

    Parameters
    ----------
    model, batch, loss_fn
        As in `probe`.

    Returns
    -------
    Audit
        `text` are the words.

    Raises
    ------
    TypeError, ValueError
        As `probe`.

    Notes
    -----
    The gradient is ||dL/dz|| per sample, z the outputs of layers with weights. Where each layer reads only
    the one before, through at most one activation of the catalog, the decay is also predicted: the mean
    square of the batch and the variances of the weights are measured, all else follows from Gaussian moments.
    The theory takes weights as independent and layers as wide: it fits at initialisation.
    Where gradients underflow, the decay is measured in a float64 copy, if the model has at most 5 million
    parameters.

    References
    ----------
    Schoenholz et al., arXiv:1611.01232. Chapters 01 and 09.

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> layers = [torch.nn.Linear(64, 64), torch.nn.Sigmoid()] * 1
    >>> for _ in range(9):
    ...     layers += [torch.nn.Linear(64, 64), torch.nn.Sigmoid()]
    >>> found = audit(torch.nn.Sequential(*layers), torch.randn(32, 64))
    >>> found.decay.ratio < 1e-6, abs(found.predicted.factor - 0.141) < 0.01
    (True, True)
    """
    measured = measure(model, batch, loss_fn)
    with untouched(model):  # to read a weight behind spectral_norm is a step of its power iteration
        return _audit(model, batch, loss_fn, measured)


def _audit(model, batch, loss_fn, measured):
    exact, notes = None, []
    if _underflows(measured.report):
        exact, why = _exact(model, batch, loss_fn)
        notes += [why] if why else []
    best = exact or measured
    report = best.report
    found = decay(report.names, report.depth, report.delta_norm)
    reasons = obstacles(best)
    prediction = predict(best) if not reasons and _usable(report) else None
    predicted = None
    if prediction is not None:
        predicted = decay(report.names, report.depth, prediction.delta_norm)
    elif not reasons and report.layers:
        reasons = ["the signal or the gradient is zero or not finite"]
    blocks = _blocks(report)
    result = Audit(
        report=measured.report,
        exact=exact and exact.report,
        decay=found,
        blocks=blocks,
        prediction=prediction,
        predicted=predicted,
        own=None if prediction is None else _own(best, prediction),
        obstacles=tuple(reasons),
        findings=(),
    )
    parameters = sum(math.prod(p.shape) for p in measured.report.parameters)
    return dataclasses.replace(result, findings=tuple(words.findings(result, parameters, notes)))


def _own(measured, prediction):
    """Prediction at the activation's own gain, for a chain of one activation with weights of another gain."""
    names = set(prediction.acts)
    links = [act for link in measured.structure.links[:-1] for act in link.acts]
    params = [act[1] if isinstance(act, tuple) else act.kind.params for act in links]
    if len(names) != 1 or names == {"identity"} or any(p != params[0] for p in params):
        return None
    return predict(measured, sigma_w2=moments.forward_gain(*names, **params[0]) ** 2)


def _usable(report):
    last = report.layers[-1]
    return all(layer.finite for layer in report.layers) and math.isfinite(last.delta_norm) and last.delta_norm


def _underflows(report):
    """Whether a gradient is 0, or so small that digits of it are lost."""
    dtypes = [getattr(torch, name) for name in report.dtype.split(", ") if name != "none"]
    floats = [d for d in dtypes if d.is_floating_point and d != torch.float64]
    if not floats:
        return False
    small = 1e3 * max(torch.finfo(d).tiny for d in floats)
    return any(layer.delta_rms < small for layer in report.layers)


def _exact(model, batch, loss_fn):
    """(measured in float64, None) or (None, why not)."""
    count = sum(p.numel() for p in model.parameters())
    if count > SMALL:
        return (
            None,
            f"Gradients underflow; the model has {count:,} parameters, so no float64 copy was made of it.",
        )
    try:
        return measure(model, batch, loss_fn, dtype=torch.float64), None
    except Exception as error:  # a model or loss that insists on its dtype
        return None, f"A copy in float64 could not be measured: {type(error).__name__}: {error}"


def _blocks(report):
    by_type = {}
    for block in report.blocks:
        by_type.setdefault(block.type, []).append(block)
    found = {}
    for name, row in by_type.items():
        if name == "Sequential" and len(by_type) > 1:
            continue
        line = decay([b.label for b in row], range(len(row)), [b.delta_norm for b in row])
        if line is not None:
            found[name] = line
    return found
