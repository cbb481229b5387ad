"""The sentences of an audit. Nothing is said that was not measured or computed."""

import math
from collections import Counter

from selfgated import moments
from selfgated.probes.decay import decay

__all__ = ["findings"]

SHOWN = 4
KEEPS, CHANGES = 10.0, 1e3
MARGIN = 0.25
FEW = 8


def findings(audit, parameters, notes):
    """Yield (topic, sentence)."""
    report = audit.report
    yield "model", _model(report, parameters)
    if not report.layers:
        yield "model", "It has no layers with weights: there is no depth to follow."
    yield "loss", f"Loss: {report.loss_text}{_default(report)}, {report.loss:.4g}."
    for sentence in _not_finite(report):
        yield "not finite", sentence
    for sentence in _gradient(audit):
        yield "gradient", sentence
    for sentence in _zeros(audit):
        yield "zeros", sentence
    for sentence in _lags(report):
        yield "time", sentence
    for sentence in _prediction(audit):
        yield "prediction", sentence
    for sentence in (*_dead(report), *_saturated(report)):
        yield "activations", sentence
    for sentence in _parameters(report):
        yield "parameters", sentence
    for sentence in (*notes, *map(_sentence, report.notes)):
        yield "notes", sentence
    for sentence in _advice(audit):
        yield "advice", sentence


def _sentence(text):
    return text[0].upper() + text[1:] + "."


def _default(report):
    return " (no loss was given)" if report.loss_text.startswith("the squared norm") else ""


def _some(names):
    names = list(names)
    shown = ", ".join(map(str, names[:SHOWN]))
    return shown if len(names) <= SHOWN else f"{shown} and {len(names) - SHOWN} more"


def _plural(count, noun):
    return f"{count:,} {noun}{'s' * (count != 1)}"


def _model(report, parameters):
    acts = Counter(act.act or act.type for act in report.activations)
    listed = ", ".join(f"{count} {name}" for name, count in acts.items())
    kinds = Counter(layer.type for layer in report.layers)
    layers = ", ".join(f"{count} {name}" for name, count in kinds.items())
    functional = f"; called as functions: {', '.join(report.functional)}" if report.functional else ""
    return (
        f"{report.model}: {_plural(len(report.layers), 'layer')} with weights ({layers or 'none'}), "
        f"activation modules: {listed or 'none'}{functional}; {_plural(parameters, 'parameter')}, "
        f"{report.dtype} on {report.device}; batch of {report.samples}."
    )


def _line(line, step):
    """How a gradient changes along a line of layers or blocks, going back."""
    ends = f"{step} {line.first} gets {line.ratio:.2g} of what {step} {line.last} gets"
    if math.isnan(line.factor):
        return f"{ends}."
    times = line.factor if line.factor > 1 else 1 / line.factor
    way = "grows" if line.factor > 1 else "shrinks"
    interval = f"factor {line.factor:.3g}, 95 % interval {line.low:.3g} to {line.high:.3g}"
    if line.low <= 1 <= line.high:
        return f"no trend per {step} ({interval}); {ends}."
    return f"going back it {way} {times:.3g}x per {step} ({interval}); {ends}."


def _verdict(ratio):
    if not ratio:
        return "The gradient vanishes"
    if _keeps(ratio):
        return "The gradient keeps its size within a factor of 10"
    if ratio < 1:
        return "The gradient vanishes" if ratio < 1 / CHANGES else "The gradient shrinks"
    return "The gradient explodes" if ratio > CHANGES else "The gradient grows"


def _gradient(audit):
    """From block to block where a model is built so, else from layer to layer."""
    where = " (measured in a float64 copy)" if audit.exact else ""
    if audit.obstacles and audit.blocks:
        for kind, line in audit.blocks.items():
            yield f"{_verdict(line.ratio)} over {line.count} {kind}{where}: {_line(line, 'block')}"
        yield from _range(audit.exact or audit.report)
    elif audit.decay is not None:
        yield f"{_verdict(audit.decay.ratio)}{where}: {_line(audit.decay, 'layer')}"
    elif len(audit.report.layers) == 1:
        yield "One layer with weights: there is no decay with depth to measure."


def _range(report):
    """The layers with the smallest and the largest gradient: in a block they differ in kind."""
    layers = [layer for layer in report.layers if 0 < layer.delta_norm < math.inf]
    if len(layers) > 1:
        low, high = (f(layers, key=lambda layer: layer.delta_norm) for f in (min, max))
        yield (
            f"Of all layers {low.label} has the smallest gradient, {low.delta_norm:.2g}, "
            f"and {high.label} the largest, {high.delta_norm:.2g}."
        )


def _not_finite(report):
    if not math.isfinite(report.loss) and report.layers:
        yield f"The loss is {report.loss}."
    forward = [layer.label for layer in report.layers if not layer.finite]
    if forward:
        yield (
            f"nan or infinity in the output of {_plural(len(forward), 'layer')}; the first is {forward[0]}."
        )
    backward = [layer.label for layer in report.layers if not layer.delta_finite]
    if backward:
        yield (
            f"nan or infinity in the gradient of {_plural(len(backward), 'layer')}; on the way back it first "
            f"occurs at {backward[-1]}."
        )


def _zeros(audit):
    zero = [layer.label for layer in audit.report.layers if layer.delta_norm == 0]
    if zero and audit.exact:
        left = [layer.label for layer in audit.exact.layers if layer.delta_norm == 0]
        lost = [label for label in zero if label not in left]
        if lost:
            yield (
                f"In {audit.report.dtype} the gradient underflows: "
                f"exactly 0 at {_some(lost)}, not 0 in float64."
            )
        zero = left
    elif audit.exact:
        yield (
            f"In {audit.report.dtype} the smallest gradients are subnormal numbers: they have lost digits."
        )
    if zero:
        yield f"The gradient is exactly 0 at {_some(zero)}."


def _lags(report):
    """How the gradient falls with time in recurrent layers that are one module."""
    for layer in report.layers:
        if layer.lag_norms is None:
            continue
        steps = [str(t + 1) for t in range(len(layer.lag_norms))]
        line = decay(steps, range(len(steps)), layer.lag_norms)
        if line is not None:
            yield (
                f"In time, from the last output of {layer.label} ({layer.type}) back to its inputs: "
                f"{_verdict(line.ratio).lower()}: {_line(line, 'step')}"
            )


def _prediction(audit):
    if audit.prediction is None:
        if audit.obstacles and audit.report.layers:
            yield f"No prediction from the moments applies: {'; '.join(audit.obstacles)}."
        return
    acts = ", ".join(dict.fromkeys(audit.prediction.acts))
    predicted, line = audit.predicted, audit.decay
    if predicted is None or line is None or math.isnan(line.factor) or math.isnan(predicted.factor):
        if predicted is not None:
            yield (
                f"Predicted from the moments of {acts}: layer {predicted.first} gets {predicted.ratio:.2g} "
                f"of what layer {predicted.last} gets."
            )
        return
    yield (
        f"Predicted from the moments of {acts} and the variances of weights and batch: factor "
        f"{predicted.factor:.3g} per layer, layer {predicted.first} gets {predicted.ratio:.2g}; "
        f"measured factor / predicted factor = {line.factor / predicted.factor:.3f}."
    )
    loss = _border(audit)
    if loss is not None:
        yield f"Zero padding is part of that: without borders the factor would be {loss:.3g}."


def _border(audit):
    """Predicted factor without borders, if it differs by more than 1 %."""
    best = audit.exact or audit.report
    line = decay(best.names, best.depth, audit.prediction.unpadded)
    if line is None or abs(line.factor / audit.predicted.factor - 1) < 0.01:
        return None
    return line.factor


def _dead(report):
    found = [a for a in report.activations if a.dead and (a.seen >= FEW or a.dead == a.units)]
    if not found:
        return
    found.sort(key=lambda a: -a.dead / a.units)
    listed = [f"{a.dead} of {a.units} in {a.label} ({a.act or a.type})" for a in found]
    total = sum(a.dead for a in found)
    yield (
        f"{_plural(total, 'dead unit')}, of slope 0 on the whole batch ({_values(found)}): {_some(listed)}."
    )
    shut = [a.label for a in found if a.dead == a.units]
    if shut:
        yield f"All units of {_some(shut)} are dead: nothing before can learn through it."


def _values(found):
    seen = sorted({a.seen for a in found})
    return f"{seen[0]} values each" if len(seen) == 1 else f"{seen[0]} to {seen[-1]} values each"


def _saturated(report):
    found = [
        a
        for a in report.activations
        if a.saturated - a.dead / a.units > (0.5 if math.isnan(a.expected) else a.expected) + MARGIN
    ]
    if found:
        worst = max(found, key=lambda a: a.saturated)
        usual = (
            ""
            if math.isnan(worst.expected)
            else f", against {worst.expected:.0%} for pre-activations of variance 1"
        )
        yield (
            f"Saturated: {_plural(len(found), 'activation')}, "
            f"the most {worst.label} ({worst.act or worst.type}), {worst.saturated:.0%} of its values"
            f"{usual}; its pre-activations have mean {worst.mean:.3g} and variance {worst.variance:.3g}."
        )


def _parameters(report):
    by = {}
    for parameter in report.parameters:
        by.setdefault(parameter.status, []).append(parameter.name)
    said = {
        "none": "got no gradient: the loss does not depend on them",
        "zero": "got a gradient of exactly 0",
        "not finite": "got a gradient with nan or infinity",
        "frozen": "are frozen",
    }
    for status, text in said.items():
        if status in by:
            count = len(by[status])
            text = text if count > 1 else text.replace("are", "is").replace("them", "it")
            yield f"{_plural(count, 'parameter tensor')} {text}: {_some(by[status])}."
    unused = [name for name in report.never_called if not _has_gradient(report, name)]
    if unused:
        yield f"Never called: {_some(unused)}."
    for names in report.tied:
        yield f"One parameter, its gradient the sum over its uses: {' = '.join(names)}."
    off = [layer.label for layer in report.layers if layer.status == "no_grad"]
    if off:
        yield f"The model runs {_some(off)} under no_grad: no gradient passes there."
    shared = dict.fromkeys(layer.name for layer in report.layers if layer.calls > 1)
    if shared:
        counts = {layer.name: layer.calls for layer in report.layers}
        yield f"Called more than once: {_some(f'{name} ({counts[name]} times)' for name in shared)}."


def _has_gradient(report, name):
    return any(p.status in ("ok", "zero") and p.name.startswith(name + ".") for p in report.parameters)


def _advice(audit):
    """What another gain would change, for a chain of one activation whose gradient does not keep its size."""
    if audit.own is None or audit.decay is None or _keeps(audit.decay.ratio):
        return
    best, (act,) = audit.exact or audit.report, set(audit.prediction.acts)
    inner = [layer for layer in best.layers[1:] if layer.sigma_w2 > 0]
    gain = math.exp(sum(math.log(layer.sigma_w2) for layer in inner) / (2 * len(inner)))
    own = moments.forward_gain(act)
    line = decay(best.names, best.depth, audit.own.delta_norm)
    if line is None or abs(gain / own - 1) < 0.05:
        return
    if _keeps(line.ratio):
        outcome = "the gradient then keeps its size within a factor of 10"
    elif (line.ratio < 1) == (audit.decay.ratio < 1):
        outcome = "that alone does not mend it"
    else:
        outcome = "that errs to the other side"
    yield (
        f"The weights have gain {gain:.3g}; {act} keeps a variance of 1 at gain {own:.3g} (selfgated.init). "
        f"Predicted with that gain in all layers: layer {line.first} gets {line.ratio:.2g} of what "
        f"layer {line.last} gets; {outcome}."
    )


def _keeps(ratio):
    return 1 / KEEPS <= ratio <= KEEPS
