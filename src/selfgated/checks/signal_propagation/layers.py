"""Self-checks of the prediction for a deep sine network, by a loop over its layers."""

import math

import numpy as np

from selfgated.checks import engine
from selfgated.checks.answers import entry
from selfgated.checks.engine import CheckFailed


def _layers(depth, weight, bias, q1):
    """q and the logarithm of chi, one entry per layer."""
    q = [q1]
    while len(q) < depth:
        q.append(bias + weight * math.sinh(q[-1]) / math.exp(q[-1]))
    q = np.array(q)
    return q, np.log(weight * np.cosh(q) / np.exp(q))


def _sizes(depth, weight, bias, q1):
    chi = _layers(depth, weight, bias, q1)[1]
    return np.array([chi[layer:-1].sum() / 2 for layer in range(depth)])


def sine_layers(answer):
    """Check problem 3: variances and sizes of the gradient."""
    words = "(q, log_size)"
    inputs = [(6, 1.4, 0.3, 0.8), (9, 0.7, 0.0, 3.0), (2, 2.2, 0.1, 1.0)]
    mistakes = [
        (lambda n, s, b, q1: _layers(n + 1, s, b, q1)[0][1:], "the first entry is q1 itself"),
        (lambda n, s, b, q1: _layers(n, s, 0.0, q1)[0], "sigma_b2 is missing"),
        (
            lambda n, s, b, q1: _iterated(n, lambda q: s * (1 + math.exp(-2 * q)) / 2 + b, q1),
            "V has E sin^2, chi E cos^2",
        ),
        (lambda n, s, b, q1: _layers(n, s, b, q1)[0][::-1], "q stands in the order of the layers"),
    ]
    call = "q(depth, sigma_w2, sigma_b2, q1)"
    first, second = entry(answer, 0, words), entry(answer, 1, words)
    engine.values(first, lambda *given: _layers(*given)[0], inputs, mistakes=mistakes, rtol=1e-9, call=call)
    small = [(30, 1.0, 0.0, 1e-11), (30, 1.2, 1e-9, 1e-9)]
    lost = [
        (
            lambda n, s, b, q1: _iterated(n, lambda q: s * (1 - np.exp(-2 * q)) / 2 + b, q1),
            "1 - exp(-2q) loses its digits for small q: use np.expm1",
        )
    ]
    engine.values(first, lambda *given: _layers(*given)[0], small, mistakes=lost, rtol=1e-11, call=call)
    mistakes = [
        (
            lambda *given: 2 * _sizes(*given),
            "chi is the factor on the square of the size: halve the logarithm",
        ),
        (lambda *given: -_sizes(*given), "the sign: going back one layer multiplies by sqrt(chi)"),
        (
            lambda *given: _sizes(*given)[::-1],
            "log_size stands in the order of the layers; its last entry is 0",
        ),
        (_from_front, "the gradient comes from the last layer: its entry is 0, and layer 1 has most factors"),
        (_one_too_many, "layer l has chi_l to chi_(depth - 1): the last layer has no factor"),
        (_shifted, "the factor between layers l and l + 1 is chi_l, at the variance of layer l"),
        (lambda *given: np.exp(_sizes(*given)), "return the logarithm of the size"),
    ]
    call = "log_size(depth, sigma_w2, sigma_b2, q1)"
    engine.values(second, _sizes, inputs, mistakes=mistakes, rtol=1e-9, atol=1e-9, call=call)
    with np.errstate(all="ignore"):
        deep = [(6000, 0.5, 0.0, 1.0), (6000, 3.5, 0.0, 1.0)]
        try:
            engine.values(second, _sizes, deep, rtol=1e-9, atol=1e-9, call=call)
        except CheckFailed as error:
            raise CheckFailed(f"{error}. Add logarithms: a product of 6000 factors leaves float64") from None
    return "sine_layers: fine"


def _iterated(depth, step, q1):
    q = [q1]
    while len(q) < depth:
        q.append(step(q[-1]))
    return np.array(q)


def _from_front(*given):
    return np.append(0.0, np.cumsum(_layers(*given)[1][:-1]) / 2)


def _one_too_many(*given):
    chi = _layers(*given)[1]
    return np.array([chi[layer:].sum() / 2 for layer in range(chi.size)])


def _shifted(*given):
    chi = _layers(*given)[1]
    return np.array([chi[layer + 1 :].sum() / 2 for layer in range(chi.size)])


def _dies(weight, factor, *, power=0.5, more=0, frozen=False):
    """Least depth by a loop; `power` 1 takes chi for the size."""
    q, left, depth = 1.0, 0.0, 1
    while left > -math.log(factor):
        left += power * math.log(weight * (1 + math.exp(-2 * q)) / 2)
        q = q if frozen else weight * -math.expm1(-2 * q) / 2
        depth += 1
        if depth > 100_000:
            return -1
    return depth + more


def dies_after(answer):
    """Check problem 3: the least depth at which the gradient has lost a factor."""
    inputs = [(0.5, 1000.0), (0.8, 20.0), (1.0, 40.0)]
    mistakes = [
        (lambda s, k: _dies(s, k, more=-1), "one too few: depth L has L - 1 factors between layers 1 and L"),
        (lambda s, k: _dies(s, k, more=1), "one too many: stop at the first depth with at most 1/factor"),
        (lambda s, k: _dies(s, k, power=1), "the size has the factor sqrt(chi) per layer, not chi"),
        (lambda s, k: _dies(s, k, frozen=True), "q changes from layer to layer, and chi with it"),
    ]
    engine.values(answer, _dies, inputs, mistakes=mistakes, rtol=0.0, call="dies_after(sigma_w2, factor)")
    found = answer(2.0, 5.0)
    if found is not None:
        raise CheckFailed(f"dies_after(2, 5) is {engine.short(found)}; the gradient grows there: return None")
    found = answer(1.25, 1.15)
    if found is None or found != _dies(1.25, 1.15):
        words = "the first layers shrink the gradient, although the deep ones let it grow"
        raise CheckFailed(
            f"dies_after(1.25, 1.15) is {engine.short(found)}, not {_dies(1.25, 1.15)}: {words}"
        )
    return "dies_after: fine"
