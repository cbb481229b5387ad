"""Self-checks of assignment 10: each typical mistake gets its sentence, right answers get none."""

import math

import numpy as np
import pytest
from complaints import complaints_of

from selfgated import moments, statistics
from selfgated.checks import deep_cnns as check
from selfgated.grading.assignment import Assignment

ASSIGNMENT = Assignment.load("10_deep_cnns")
complaint = complaints_of(check)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("corner_fan_in", "k^2*C", "the full window"),
        ("corner_fan_in", "C*((k - 1)/2)^2", "the pixel itself"),
        ("corner_fan_in", "C*k^2/4", "more than its half"),
        ("corner_fan_in", "C*(k + 1)/2", "in both dimensions: square"),
        ("corner_fan_in", "((k + 1)/2)^2", "C channels"),
        ("corner_fan_in", "C*k*(k + 1)/2", "this is an edge"),
        ("corner_fan_in", "C(k + 1)", "a '*' is missing"),
        ("mean_fan_in", "C*(k - (k^2 - 1)/(8*S))^2", "two ends"),
        ("mean_fan_in", "C*(k - (k - 1)/S)^2", "only the outermost place"),
        ("mean_fan_in", "C*(k - (k^2 - 1)/(4*S))", "rows and columns multiply"),
        ("mean_fan_in", "(k - (k^2 - 1)/(4*S))^2", "C channels"),
        ("mean_fan_in", "C*(k - (k^2 - 1)/4)^2", "the number of places"),
        ("mean_fan_in", "C*k^2*n", "unknown symbol 'n'"),
        ("weight_gradient_factor", "c", "the gradient gets smaller"),
        ("weight_gradient_factor", "1", "now matters less"),
        ("weight_gradient_factor", "c^(-2)", "one c less"),
        ("batchnorm_chi", "d/s", "the batch mean is subtracted"),
        ("batchnorm_chi", "d/(s + m^2)", "minus the square"),
        ("batchnorm_chi", "(s - m^2)/d", "upside down"),
        ("batchnorm_chi", "sqrt(d/(s - m^2))", "no root"),
        ("batchnorm_chi", "d/sqrt(s - m^2)", "not by its root"),
        ("batchnorm_chi", "d*(s - m^2)", "normalising divides"),
        ("batchnorm_chi", "d/(s - m)", "the mean is squared"),
        ("batchnorm_chi", "d", "Var f is left"),
        ("relu_batchnorm_chi", "1", "ReLU has a mean"),
        ("relu_batchnorm_chi", "(pi - 1)/pi", "upside down"),
        ("relu_batchnorm_chi", "pi/(pi + 1)", "minus the square"),
        ("relu_batchnorm_chi", "pi/(pi - 2)", "half of that of the absolute value"),
        ("relu_batchnorm_chi", "2*pi/(pi - 1)", "on one half of the line"),
        ("relu_batchnorm_chi", "1.467", "differs"),
        ("smallest_p", "2^(-n)", "two-sided"),
        ("smallest_p", "2/n^2", "not n^2"),
        ("smallest_p", "2^(n - 1)", "its reciprocal"),
        ("splits_needed", "log(20*m)/log(2)", "one split more"),
        ("splits_needed", "1 + log(20*m)", "2 is not e"),
        ("splits_needed", "1 + log(20)/log(2)", "multiplied by m"),
        ("splits_needed", "log(20*m)/log(2) - 1", "the sign of the 1"),
        ("splits_needed", "1 - log(20*m)/log(2)", "the sign of the logarithm"),
    ],
)
def test_formula_mistake_gets_its_sentence(name, text, words):
    assert words in complaint(name, lambda: text)


def average(size, taps):
    place = np.arange(size)
    return (abs(place[:, None] - place) <= taps // 2) / taps


def lines(size, taps, depth):
    return [np.linalg.matrix_power(average(size, taps), k) @ np.ones(size) for k in range(depth + 1)]


def power(size, taps):
    return np.linalg.eigvalsh(average(size, taps))[-1]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda n, t, d: np.array([v.mean() for v in lines(n, t, d)[1:]]), "the map's mean is a square"),
        (lambda n, t, d: np.array([v.mean() ** 2 for v in lines(n, t, d)[:-1]]), "layer 1 has lost"),
        (lambda n, t, d: np.array([v.mean() ** 2 for v in lines(n, t, d + 1)[2:]]), "left out layer 1"),
        (
            lambda n, t, d: average(n, t).mean(axis=0).sum() ** (2 * np.arange(1.0, d + 1)),
            "later the variance",
        ),
        (lambda n, t, d: np.array([v[n // 2] ** 2 for v in lines(n, t, d)[1:]]), "not the middle"),
        (lambda n, t, d: np.array([v.sum() ** 2 for v in lines(n, t, d)[1:]]), "not the sum"),
        (lambda n, t, d: np.array([v.mean() ** 2 for v in lines(n, 3, d)[1:]]), "not always 3"),
        (lambda n, t, d: np.ones(d), "circular"),
        (lambda n, t, d: power(n, t) ** (2 * np.arange(1.0, d + 1)), "the limit of many layers"),
        (lambda n, t, d: float(lines(n, t, d)[-1].mean() ** 2), "a single number"),
        (lambda n, t, d: None, "returned nothing"),
    ],
)
def test_kept_mistake_gets_its_sentence(answer, words):
    assert words in complaint("kept", answer)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda n, t: 2.0, "He's value"),
        (lambda n, t: 1 / power(n, t) ** 2, "a factor 2 is missing"),
        (lambda n, t: 2 * power(n, t) ** 2, "divide"),
        (lambda n, t: 2 / power(n, t), "rows and columns"),
        (lambda n, t: 2 / power(n, t) ** 4, "fourth power"),
        (lambda n, t: (2**0.5) / power(n, t), "not its root"),
    ],
)
def test_relu_weight_mistake_gets_its_sentence(answer, words):
    assert words in complaint("relu_weight", answer)


def reader(rows, *, keep=True, by="train_loss", mend=True, ordered=True, tie=1, kind=float):
    found = {}
    if ordered:
        rows = sorted(rows, key=lambda row: row["seed"])
    rows = [row for row in rows if keep or not row["diverged"]]
    for row in rows:
        if row["diverged"] and mend:
            row = row | {"train_loss": math.log(10), "accuracy": 0.1}
        found.setdefault(row["act"], {}).setdefault(row["lr"], []).append(row)
    sign = 1 if by == "train_loss" else -1
    best = {
        act: min(rates, key=lambda lr: (sign * np.mean([row[by] for row in rates[lr]]), tie * lr))
        for act, rates in found.items()
    }
    accuracies = {act: [row["accuracy"] for row in found[act][lr]] for act, lr in best.items()}
    return {act: (lr, np.array(accuracies[act], dtype=kind)) for act, lr in best.items()}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda rows: reader(rows, keep=False), "counts with the loss ln(10)"),
        (lambda rows: reader(rows, by="accuracy"), "the test accuracy must not"),
        (lambda rows: reader(rows, mend=False), "it counts as guessing, 0.1"),
        (lambda rows: reader(rows, ordered=False), "in the order of rising seeds"),
        (lambda rows: reader(rows, tie=-1), "the smaller rate"),
        (lambda rows: reader(rows, kind=np.float32), "the dtype float32"),
        (lambda rows: {act: lr for act, (lr, _) in reader(rows).items()}, "a pair (lr, accuracies)"),
        (lambda rows: {"relu": reader(rows)["relu"]}, "the activations are"),
        (lambda rows: list(reader(rows)), "a dict is expected"),
        (lambda rows: None, "returned nothing"),
        (lambda rows: (rows.sort(key=lambda row: row["seed"]), reader(rows))[1], "changed the rows"),
    ],
)
def test_read_record_mistake_gets_its_sentence(answer, words):
    assert words in complaint("read_record", answer)


def around(units, critical, *, ddof=1, n=None):
    half = critical * units.std(ddof=ddof) / math.sqrt(n or units.size)
    return units.mean(), units.mean() - half, units.mean() + half


def unpaired(a, b, critical):
    a, b = a.mean(axis=1), b.mean(axis=1)
    half = critical * math.sqrt((a.var(ddof=1) + b.var(ddof=1)) / a.size)
    return (a - b).mean(), (a - b).mean() - half, (a - b).mean() + half


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda a, b, t: around((b - a).mean(axis=1), t), "the sign"),
        (lambda a, b, t: around((a - b).ravel(), t), "splits are the units"),
        (lambda a, b, t: around((a - b).mean(axis=0), t), "average over axis 1"),
        (lambda a, b, t: around((a - b).mean(axis=1), t, ddof=0), "ddof=1"),
        (lambda a, b, t: around((a - b).mean(axis=1), t, n=1), "s / sqrt(n)"),
        (lambda a, b, t: around((a - b).mean(axis=1), 2.0), "use `critical`"),
        (unpaired, "take differences before the spread"),
        (lambda a, b, t: around((a - b).mean(axis=1), t)[1:], "shape (2,)"),
    ],
)
def test_interval_mistake_gets_its_sentence(answer, words):
    assert words in complaint("interval", answer)


def flips(d, *, take=abs, slack=1e-12):
    signs = 1 - 2 * (np.arange(2**d.size)[:, None] >> np.arange(d.size) & 1)
    return float(np.mean(take(signs @ d) >= take(d.sum()) - slack))


def flips_one_by_one(d):
    sums = [0.0]
    for value in d:
        sums = [old + sign * value for old in sums for sign in (1, -1)]
    return float(np.mean(np.abs(sums) >= abs(sum(d))))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda d: flips(d, take=lambda x: x), "two-sided"),
        (lambda d: flips(d, slack=-1e-9), "the observed choice counts too"),
        (lambda d: 1 - flips(d), "not of the others"),
        (lambda d: flips(d) * 2**d.size, "divide by 2^n"),
        (lambda d: flips(d) / 2, "the mirror image"),
        (lambda d: statistics.paired(d, np.zeros(d.size)).p, "this is the t test"),
        (lambda d: flips(np.sign(d)), "this is the sign test"),
        (flips_one_by_one, "equal but for rounding"),
    ],
)
def test_sign_flip_p_mistake_gets_its_sentence(answer, words):
    assert words in complaint("sign_flip_p", answer)


def stepwise(p, *, top=1.0, monotone=np.maximum.accumulate, factors=None, back=True):
    order = np.argsort(p)
    factors = np.arange(p.size, 0, -1) if factors is None else factors
    found = np.minimum(monotone(p[order] * factors), top)
    out = np.empty(p.size)
    out[order if back else slice(None)] = found
    return out


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda p: np.minimum(1, p * p.size), "Bonferroni"),
        (lambda p: stepwise(p, back=False), "in the order of p"),
        (lambda p: stepwise(p, monotone=lambda x: x), "running maxima"),
        (lambda p: stepwise(p, top=np.inf), "at most 1"),
        (lambda p: stepwise(p, monotone=lambda x: np.minimum.accumulate(x[::-1])[::-1]), "not minima"),
        (lambda p: stepwise(p, monotone=lambda x: x, factors=np.arange(1, p.size + 1)), "the largest by 1"),
        (lambda p: np.minimum(1, p * np.arange(p.size, 0, -1)), "not the place in p"),
        (lambda p: np.sort(p), "differs at p = "),
    ],
)
def test_holm_mistake_gets_its_sentence(answer, words):
    assert words in complaint("holm", answer)


def test_model_answer_smallest_p_values():
    text = ASSIGNMENT.by_id["p7"].source
    assert f"2 / 2^8 = {2 / 2**8:.4f}$, times 5 is {10 / 2**8:.3f}" in text
    assert f"4 / 2^8 = {4 / 2**8:.3f}$, corrected {20 / 2**8:.3f}" in text


def test_model_answer_batchnorm_factor_of_measured_relu_network():
    found = moments.gains("relu")
    chi = found.slope_second / found.variance
    assert f"{chi:.3f}^25 = {round(chi**25, -2):,.0f}" in ASSIGNMENT.by_id["p3"].source
    rng, layers = np.random.default_rng(0), []
    hat, width = rng.standard_normal((512, 512)), 512
    for _ in range(8):
        W = rng.standard_normal((width, width)) / math.sqrt(width)
        z = np.maximum(hat, 0) @ W
        layers.append((hat, W, z.std(axis=0)))
        hat = (z - z.mean(axis=0)) / z.std(axis=0)
    layers.append((hat, None, None))
    grad, squares = rng.standard_normal(hat.shape), []
    for (before, W, deviation), (after, *_) in zip(layers[-2::-1], layers[:0:-1], strict=True):
        squares.append((grad**2).mean())
        centred = grad - grad.mean(axis=0) - after * (grad * after).mean(axis=0)
        grad = (before > 0) * ((centred / deviation) @ W.T)
    ratio = (squares[-1] / squares[0]) ** (1 / (len(squares) - 1))
    assert abs(ratio / chi - 1) < 0.03
