"""Variants of the answers to assignment 10: honest mistakes, and right answers written differently."""

from selfgated.grading.mutation import Variant

P1 = """
def corner_fan_in():
    return "C*((k + 1)/2)^2"


def mean_fan_in():
    return "C*(k - (k^2 - 1)/(4*S))^2"
"""

P2 = """
def kept(size, taps, depth):
    place = np.arange(size)
    average = (abs(place[:, None] - place) <= taps // 2) / taps
    line, means = np.ones(size), []
    for _ in range(depth):
        line = average @ line
        means.append(line.mean() ** 2)
    return np.array(means)


def relu_weight(size, taps):
    place = np.arange(size)
    average = (abs(place[:, None] - place) <= taps // 2) / taps
    return float(2 / np.linalg.eigvalsh(average)[-1] ** 2)
"""

CONVOLVED = """
def line_after(line, taps):
    padded = np.concatenate([np.zeros(taps // 2), line, np.zeros(taps // 2)])
    return np.convolve(padded, np.ones(taps) / taps, mode="valid")


def kept(size, taps, depth):
    line, out = np.ones(size), np.empty(depth)
    for layer in range(depth):
        line = line_after(line, taps)
        out[layer] = np.outer(line, line).mean()
    return out


def relu_weight(size, taps):
    line = np.ones(size)
    for _ in range(6000):
        line = line_after(line, taps)
        factor = line.sum()
        line = line / factor
    return 2 / factor**2
"""

EIGEN = """
def matrix(size, taps):
    return sum(np.eye(size, k=k) for k in range(-(taps // 2), taps // 2 + 1)) / taps


def kept(size, taps, depth):
    values, vectors = np.linalg.eigh(matrix(size, taps))
    weights = vectors.sum(axis=0) ** 2 / size
    return np.array([(weights * values**layer).sum() ** 2 for layer in range(1, depth + 1)])


def relu_weight(size, taps):
    return 2 / max(np.linalg.eigvals(matrix(size, taps)).real) ** 2
"""

ONE_LAYER = """
def kept(size, taps, depth):
    share = 1 - (taps**2 - 1) / (4 * size * taps)
    return share ** (2.0 * np.arange(1, depth + 1))


def relu_weight(size, taps):
    return 2 / (1 - (taps**2 - 1) / (4 * size * taps)) ** 2
"""

P3 = """
def weight_gradient_factor():
    return "1/c"


def batchnorm_chi():
    return "d/(s - m^2)"


def relu_batchnorm_chi():
    return "pi/(pi - 1)"
"""

P4 = """
def read_record(rows):
    cells = {}
    for row in sorted(rows, key=lambda row: row["seed"]):
        lost = row["diverged"]
        loss = math.log(10) if lost else row["train_loss"]
        accuracy = 0.1 if lost else row["accuracy"]
        cells.setdefault(row["act"], {}).setdefault(row["lr"], []).append((loss, accuracy))
    found = {}
    for act, rates in cells.items():
        lr = min(rates, key=lambda lr: (np.mean([loss for loss, _ in rates[lr]]), lr))
        found[act] = lr, np.array([accuracy for _, accuracy in rates[lr]])
    return found
"""

LOOPS = """
def read_record(rows):
    found = {}
    for act in {row["act"] for row in rows}:
        best = math.inf
        for lr in sorted({row["lr"] for row in rows if row["act"] == act}):
            runs = {row["seed"]: row for row in rows if (row["act"], row["lr"]) == (act, lr)}
            losses, accuracies = [], []
            for seed in sorted(runs):
                gone = runs[seed]["diverged"]
                losses.append(math.log(10) if gone else runs[seed]["train_loss"])
                accuracies.append(0.1 if gone else runs[seed]["accuracy"])
            if sum(losses) < best:
                best = sum(losses)
                found[act] = [lr, np.array(accuracies)]
    return found
"""

MENDED = """
def read_record(rows):
    fixed = []
    for row in rows:
        if row["diverged"]:
            row = {**row, "train_loss": math.log(10), "accuracy": 0.1}
        fixed.append(row)
    fixed.sort(key=lambda row: (row["act"], row["lr"], row["seed"]))
    losses = {}
    for row in fixed:
        losses.setdefault((row["act"], row["lr"]), []).append(row["train_loss"])
    means = {key: sum(values) / len(values) for key, values in losses.items()}
    out = {}
    for act, lr in means:
        if act not in out or means[act, lr] < means[act, out[act]]:
            out[act] = lr
    return {
        act: (lr, np.array([r["accuracy"] for r in fixed if r["act"] == act and r["lr"] == lr]))
        for act, lr in out.items()
    }
"""

P5 = """
def interval(a, b, critical):
    by_split = (a - b).mean(axis=1)
    mean = by_split.mean()
    half = critical * by_split.std(ddof=1) / np.sqrt(by_split.size)
    return float(mean), float(mean - half), float(mean + half)


def sign_flip_p(d):
    sums = np.zeros(1)
    for value in d:
        sums = np.concatenate([sums + value, sums - value])
    slack = 1e-12 * np.abs(d).sum()
    return float(np.mean(np.abs(sums) >= abs(np.sum(d)) - slack))


def holm(p):
    order = np.argsort(p)
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    return corrected
"""

PLAIN = """
def interval(a, b, critical):
    units = a.mean(1) - b.mean(1)
    n = len(units)
    mean = sum(units) / n
    error = math.sqrt(sum((u - mean) ** 2 for u in units) / (n * (n - 1)))
    return [mean, mean - critical * error, mean + critical * error]


def sign_flip_p(d):
    from itertools import product

    total, hits = abs(sum(d)), 0
    for signs in product((-1, 1), repeat=len(d)):
        hits += abs(np.dot(signs, d)) >= total - 1e-12 * sum(abs(d))
    return hits / 2 ** len(d)


def holm(p):
    m, running, out = len(p), 0.0, [0.0] * len(p)
    for k, i in enumerate(sorted(range(m), key=lambda i: p[i])):
        running = max(running, (m - k) * p[i])
        out[i] = float(min(1.0, running))
    return np.array(out)
"""

BITS = """
def interval(a, b, critical):
    d = np.mean(a - b, axis=-1)
    half = critical * np.sqrt(np.var(d, ddof=1) / d.shape[0])
    return np.mean(d), np.mean(d) - half, np.mean(d) + half


def sign_flip_p(d):
    n = d.size
    signs = 1.0 - 2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)) % 2)
    least = abs(d.mean()) - 1e-12 * np.abs(d).sum() / n
    return np.mean(np.abs((signs * d).mean(axis=1)) >= least)


def holm(p):
    return np.array(
        [min(1.0, max(q * (p.size - np.sum(p < q)) for q in p[p <= value])) for value in p]
    )
"""

P6 = """
def smallest_p():
    return "2/2^n"


def splits_needed():
    return "1 + log(20*m)/log(2)"
"""


def edited(source, *pairs):
    """`source` with each old text replaced by its new one; every old text must occur once."""
    for old, new in pairs:
        if source.count(old) != 1:
            raise ValueError(f"{old!r} occurs {source.count(old)} times")
        source = source.replace(old, new)
    return source


CORNER, MEAN = '"C*((k + 1)/2)^2"', '"C*(k - (k^2 - 1)/(4*S))^2"'

VARIANTS = [
    Variant("p1", "the full window in the corner", {"p1-test": 1}, edited(P1, (CORNER, '"C*k^2"'))),
    Variant(
        "p1", "half of the window, without the pixel itself", {"p1-test": 1}, edited(P1, ("k + 1", "k - 1"))
    ),
    Variant("p1", "one end of the line only", {"p1-test": 2}, edited(P1, ("4*S", "8*S"))),
    Variant("p1", "one dimension only", {"p1-test": 2}, edited(P1, ("/(4*S))^2", "/(4*S))"))),
    Variant("p1", "the channels forgotten", {"p1-test": 3}, P1.replace("C*", "")),
    Variant("p1", "an unknown symbol", {"p1-test": 2}, edited(P1, ("4*S", "4*H"))),
    Variant("p1", "a text that is no formula", {"p1-test": 1}, edited(P1, ("C*((k", "C((k"))),
    Variant(
        "p1",
        "right: multiplied out",
        {},
        edited(
            P1,
            (CORNER, '"C*(k^2 + 2*k + 1)*0.25"'),
            (MEAN, '"C*k^2 - C*k*(k^2 - 1)/(2*S) + C*(k^2 - 1)^2/(16*S^2)"'),
        ),
    ),
    Variant(
        "p1",
        "right: as a share of the window",
        {},
        edited(P1, (CORNER, '"C*k^2*(1/2 + 1/(2*k))^2"'), (MEAN, '"C*((4*k*S + (1 - k)*(1 + k))/(4*S))^2"')),
    ),
    Variant(
        "p2",
        "one dimension only",
        {"p2-test": 3},
        edited(P2, ("line.mean() ** 2", "line.mean()"), ("[-1] ** 2", "[-1]")),
    ),
    Variant("p2", "powers of the share of one layer", {"p2-test": 3}, ONE_LAYER),
    Variant(
        "p2",
        "begins before layer 1",
        {"p2-test": 2},
        edited(
            P2,
            (
                "        line = average @ line\n        means.append(line.mean() ** 2)",
                "        means.append(line.mean() ** 2)\n        line = average @ line",
            ),
        ),
    ),
    Variant(
        "p2",
        "circular padding",
        {"p2-test": 3},
        P2.replace(
            "abs(place[:, None] - place) <= taps // 2",
            "np.minimum((place[:, None] - place) % size, (place - place[:, None]) % size) <= taps // 2",
        ),
    ),
    Variant(
        "p2", "windows of 3 for all", {"p2-test": 2}, P2.replace("taps // 2", "1").replace("/ taps", "/ 3")
    ),
    Variant(
        "p2",
        "divides by what the window sees",
        {"p2-test": 3},
        P2.replace(") / taps", ") / taps\n    average = average / average.sum(axis=1, keepdims=True)"),
    ),
    Variant("p2", "the half of ReLU forgotten", {"p2-test": 1}, edited(P2, ("float(2 /", "float(1 /"))),
    Variant(
        "p2", "multiplied where it should be divided", {"p2-test": 1}, edited(P2, ("float(2 /", "float(2 *"))
    ),
    Variant("p2", "right: convolutions and a power iteration", {}, CONVOLVED),
    Variant("p2", "right: eigenvectors", {}, EIGEN),
    Variant("p3", "the gradient grows with the weights", {"p3-test": 1}, edited(P3, ("1/c", "c"))),
    Variant("p3", "the gradient does not change", {"p3-test": 1}, edited(P3, ("1/c", "1"))),
    Variant(
        "p3",
        "E f squared for the variance, in both",
        {"p3-test": 3},
        edited(P3, ("d/(s - m^2)", "d/s"), ("pi/(pi - 1)", "1")),
    ),
    Variant(
        "p3",
        "the sign of the squared mean",
        {"p3-test": 3},
        edited(P3, ("s - m^2", "s + m^2"), ("pi/(pi - 1)", "pi/(pi + 1)")),
    ),
    Variant(
        "p3",
        "the root of the factor",
        {"p3-test": 3},
        edited(P3, ("d/(s - m^2)", "sqrt(d/(s - m^2))"), ("pi/(pi - 1)", "sqrt(pi/(pi - 1))")),
    ),
    Variant("p3", "upside down", {"p3-test": 2}, edited(P3, ("pi/(pi - 1)", "(pi - 1)/pi"))),
    Variant("p3", "a rounded number", {"p3-test": 2}, edited(P3, ("pi/(pi - 1)", "1.466942"))),
    Variant("p3", "an unknown symbol", {"p3-test": 1}, edited(P3, ("d/(s - m^2)", "w*d/(w*s - w*m^2)"))),
    Variant(
        "p3",
        "right: reciprocals",
        {},
        edited(P3, ("d/(s - m^2)", "1/(s/d - m*m/d)"), ("pi/(pi - 1)", "1/(1 - 1/pi)"), ("1/c", "c^(-1)")),
    ),
    Variant(
        "p3",
        "right: not simplified",
        {},
        edited(P3, ("1/c", "c/c^2"), ("pi/(pi - 1)", "(1/2)/(1/2 - (1/sqrt(2*pi))^2)")),
    ),
    Variant(
        "p4",
        "chosen by test accuracy",
        {"p4-test": 3},
        edited(P4, ("min(rates", "max(rates"), ("[loss for loss, _ in", "[accuracy for _, accuracy in")),
    ),
    Variant(
        "p4",
        "networks that diverged are left out",
        {"p4-test": 2},
        edited(
            P4,
            (
                'key=lambda row: row["seed"]):\n',
                'key=lambda row: row["seed"]):\n        if row["diverged"]:\n            continue\n',
            ),
        ),
    ),
    Variant(
        "p4",
        "networks that diverged count as they are",
        {"p4-test": 2},
        edited(P4, ('row["diverged"]', "False")),
    ),
    Variant(
        "p4",
        "the loss of guessing, but their own accuracy",
        {"p4-test": 2},
        edited(P4, ("0.1 if lost else ", "")),
    ),
    Variant(
        "p4",
        "the order of the rows",
        {"p4-test": 3},
        edited(P4, ('sorted(rows, key=lambda row: row["seed"])', "rows")),
    ),
    Variant(
        "p4",
        "the larger of equal rates",
        {"p4-test": 1},
        edited(P4, ("in rates[lr]]), lr)", "in rates[lr]]), -lr)")),
    ),
    Variant(
        "p4",
        "the mean in place of the accuracies",
        {"p4-test": 3},
        edited(
            P4,
            (
                "np.array([accuracy for _, accuracy in rates[lr]])",
                "np.mean([accuracy for _, accuracy in rates[lr]])",
            ),
        ),
    ),
    Variant(
        "p4",
        "float32",
        {"p4-test": 3},
        edited(P4, ("for _, accuracy in rates[lr]])", "for _, accuracy in rates[lr]], dtype=np.float32)")),
    ),
    Variant(
        "p4",
        "the rows are mended in place",
        {"p4-test": 1},
        edited(
            P4,
            (
                '        lost = row["diverged"]',
                '        lost = row["diverged"]\n        if lost:\n            row["accuracy"] = 0.1',
            ),
        ),
    ),
    Variant(
        "p4",
        "the rows are sorted in place",
        {"p4-test": 1},
        edited(
            P4,
            (
                '    for row in sorted(rows, key=lambda row: row["seed"]):',
                '    rows.sort(key=lambda row: row["seed"])\n    for row in rows:',
            ),
        ),
    ),
    Variant("p4", "right: loops over activations and rates", {}, LOOPS),
    Variant("p4", "right: rows mended first", {}, MENDED),
    Variant("p5", "every network a unit", {"p5-test": 2}, edited(P5, (".mean(axis=1)", ".ravel()"))),
    Variant("p5", "the sign of the difference", {"p5-test": 2}, edited(P5, ("(a - b)", "(b - a)"))),
    Variant("p5", "the spread divided by n", {"p5-test": 2}, edited(P5, ("ddof=1", "ddof=0"))),
    Variant(
        "p5",
        "the spread and not the standard error",
        {"p5-test": 2},
        edited(P5, (" / np.sqrt(by_split.size)", "")),
    ),
    Variant(
        "p5",
        "one-sided",
        {"p5-test2": 2},
        edited(P5, ("np.abs(sums) >= abs(np.sum(d))", "sums >= np.sum(d)")),
    ),
    Variant("p5", "ties are lost to rounding", {"p5-test2": 1}, edited(P5, (" - slack", ""))),
    Variant(
        "p5",
        "only what is more extreme",
        {"p5-test2": 2},
        edited(P5, (">= abs(np.sum(d)) - slack", "> abs(np.sum(d)) + slack")),
    ),
    Variant(
        "p5",
        "a random choice of signs",
        {"p5-test2": 2},
        edited(
            P5,
            (
                "    for value in d:\n        sums = np.concatenate([sums + value, sums - value])\n",
                "    sums = np.random.default_rng(0).choice([-1, 1], (5000, len(d))) @ d\n",
            ),
        ),
    ),
    Variant(
        "p5",
        "Bonferroni's rule",
        {"p5-test3": 2},
        edited(P5, ("np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))", "p[order] * len(p)")),
    ),
    Variant(
        "p5",
        "a corrected value falls below a smaller one",
        {"p5-test3": 2},
        edited(
            P5,
            (
                "np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))",
                "p[order] * np.arange(len(p), 0, -1)",
            ),
        ),
    ),
    Variant(
        "p5", "in the order of size", {"p5-test3": 2}, edited(P5, ("corrected[order] =", "corrected[:] ="))
    ),
    Variant(
        "p5",
        "above 1",
        {"p5-test3": 2},
        edited(
            P5,
            (
                "np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)",
                "np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))",
            ),
        ),
    ),
    Variant(
        "p5",
        "sorts the input in place",
        {"p5-test3": 2},
        edited(P5, ("    return corrected", "    p.sort()\n    return corrected")),
    ),
    Variant("p5", "right: plain Python", {}, PLAIN),
    Variant(
        "p5",
        "right: corrected values as a list, some of them the integer 1",
        {},
        edited(
            PLAIN, ("float(min(1.0, running))", "min(1, running)"), ("return np.array(out)", "return out")
        ),
    ),
    Variant("p5", "right: bits as signs", {}, BITS),
    Variant("p6", "one-sided", {"p6-test": 2}, edited(P6, ("2/2^n", "1/2^n"), ("1 + log", "log"))),
    Variant("p6", "n squared choices", {"p6-test": 1}, edited(P6, ("2/2^n", "2/n^2"))),
    Variant("p6", "the reciprocal", {"p6-test": 1}, edited(P6, ("2/2^n", "2^(n - 1)"))),
    Variant("p6", "natural logarithm", {"p6-test": 1}, edited(P6, ("/log(2)", ""))),
    Variant("p6", "the number of tests forgotten", {"p6-test": 1}, edited(P6, ("20*m", "20"))),
    Variant(
        "p6", "rounded up", {"p6-test": 1}, edited(P6, ("1 + log(20*m)/log(2)", "ceil(1 + log(20*m)/log(2))"))
    ),
    Variant(
        "p6",
        "right: as powers and one logarithm",
        {},
        edited(P6, ("2/2^n", "2^(1 - n)"), ("1 + log(20*m)/log(2)", "log(40*m)/log(2)")),
    ),
    Variant(
        "p6",
        "right: halves",
        {},
        edited(P6, ("2/2^n", "(1/2)^n*2"), ("1 + log(20*m)/log(2)", "1 - log(0.05/m)/log(2)")),
    ),
]
