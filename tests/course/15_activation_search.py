"""Variants of the answers to assignment 15: honest mistakes, and right answers written differently."""

from selfgated.grading.mutation import Variant


def formulas(**texts):
    """Source of functions without arguments that return these texts."""
    return "\n\n".join(f'def {name}():\n    return "{text}"\n' for name, text in texts.items())


def counts(**changes):
    right = {
        "one_core": "7*25*26/2 + 3*25^2",
        "two_cores": "(C*U*(U + 1)/2 + (B - C)*U^2)*(C*U*(3*U + 1)/2 + (B - C)*3*U^2)",
    }
    return formulas(**right | changes)


def chances(**changes):
    right = {
        "one_of_two": "1 - (N - n)*(N - n - 1)/(N*(N - 1))",
        "mean_rank": "(N + 1)/(n + 1)",
        "lucky_children": "P*(1 - (1 - 1/P)^k)",
        "balanced_bonus": "d/log((N - k)/k)",
    }
    return formulas(**right | changes)


def luck(**changes):
    right = {
        "expected_truth": "mu + ((y + R*m)/(R + 1) - mu)*V/(V + W/(R + 1))",
        "better": "Phi(d*sqrt(V/(2*W*(V + W))))",
    }
    return formulas(**right | changes)


CLASSES = """
def classes(values, tol, mirrors=False):
    found, kept = [], []
    for row in values:
        images = [row, -row, row[::-1], -row[::-1]] if mirrors else [row]
        same = [
            k
            for k, old in enumerate(kept)
            for image in images
            if np.allclose(image, old, rtol=tol, atol=tol, equal_nan=True)
        ]
        if not same:
            kept.append(row)
        found.append(same[0] if same else len(kept) - 1)
    return np.array(found)
"""

ENTRY_BY_ENTRY = """
import math


def agree(a, b, tol):
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    if math.isinf(a) or math.isinf(b):
        return a == b
    return abs(a - b) <= tol * max(1, abs(a), abs(b))


def classes(values, tol, mirrors=False):
    rows = [list(map(float, row)) for row in values]
    numbers, count = [], 0
    for i, row in enumerate(rows):
        images = [row]
        if mirrors:
            images += [[-v for v in row], row[::-1], [-v for v in row[::-1]]]
        for j in range(i):
            if any(all(agree(a, b, tol) for a, b in zip(image, rows[j])) for image in images):
                numbers.append(numbers[j])
                break
        else:
            numbers.append(count)
            count += 1
    return numbers
"""

MATRIX = """
def classes(values, tol, mirrors=False):
    images = [values]
    if mirrors:
        images = [values, -values, values[:, ::-1], -values[:, ::-1]]
    equal = np.zeros((len(values), len(values)), dtype=bool)
    for image in images:
        for i, row in enumerate(image):
            with np.errstate(invalid="ignore"):
                scale = np.maximum(1, np.maximum(abs(row), abs(values)))
                near = np.isfinite(scale) & (abs(row - values) <= tol * scale)
            near |= (row == values) | (np.isnan(row) & np.isnan(values))
            equal[i] |= near.all(axis=1)
    first = equal.argmax(axis=1)
    return np.searchsorted(np.unique(first), first)
"""

ROUNDED = """
def classes(values, tol, mirrors=False):
    numbers, found = {}, []
    for row in values:
        images = [row, -row, row[::-1], -row[::-1]] if mirrors else [row]
        keys = [tuple(f"{v:.8g}" for v in image + 0.0) for image in images]
        found.append(numbers.setdefault(min(keys), len(numbers)))
    return np.array(found)
"""

COMPONENTS = """
def components(scores):
    repeats, n = scores.shape
    own = scores.mean(axis=0)
    left = scores - own - scores.mean(axis=1, keepdims=True) + scores.mean()
    W = (left**2).sum() / ((repeats - 1) * (n - 1))
    V = max(own.var(ddof=1) - W / repeats, 0.0)
    return float(V), float(W), float(V / (V + W))
"""

CURSE = """
def winners_curse(scores, top):
    falls = []
    for r, seen in enumerate(scores):
        chosen = np.argsort(-seen, kind="stable")[:top]
        others = np.delete(scores, r, axis=0)
        falls.append(seen[chosen].mean() - others[:, chosen].mean())
    return float(np.mean(falls))
"""

DIFFERENCES = """
def components(scores):
    repeats = len(scores)
    pairs = [(a, b) for a in range(repeats) for b in range(a)]
    W = np.mean([np.var(scores[a] - scores[b], ddof=1) / 2 for a, b in pairs])
    V = max(0, np.var(scores.mean(axis=0), ddof=1) - W / repeats)
    return [V, W, 1 / (1 + W / V) if V else 0]


def winners_curse(scores, top):
    total = 0
    for r in range(len(scores)):
        best = sorted(range(scores.shape[1]), key=lambda i: -scores[r][i])[:top]
        others = [scores[s] for s in range(len(scores)) if s != r]
        total += sum(scores[r][i] - sum(row[i] for row in others) / len(others) for i in best) / top
    return total / len(scores)
"""

COVARIANCES = """
def components(scores):
    R = scores.shape[0]
    C = np.cov(scores)
    V = C[~np.eye(R, dtype=bool)].mean()
    W = np.diag(C).mean() - V
    V = max(V, 0.0)
    return np.array([V, W, V / (V + W)])


def winners_curse(scores, top):
    n = scores.shape[1]
    order = np.lexsort((np.broadcast_to(np.arange(n), scores.shape), -scores), axis=1)[:, :top]
    mine = np.take_along_axis(scores, order, axis=1)
    total = scores.sum(axis=0)
    return ((mine - (total[order] - mine) / (len(scores) - 1)).mean(axis=1)).mean()
"""

PPO = """
def ppo(log_prob, old, advantage, clip):
    ratio = np.exp(log_prob - old)
    free, held = ratio * advantage, np.clip(ratio, 1 - clip, 1 + clip) * advantage
    gradient = np.where(free <= held, free, 0.0) / len(ratio)
    return float(np.minimum(free, held).mean()), gradient


def advantages(scores, decay):
    baseline, found = scores[0].mean(), []
    for batch in scores:
        found.append(batch - baseline)
        baseline = decay * baseline + (1 - decay) * batch.mean()
    return np.array(found)


def evolve(table, first, drawn, places, steps):
    joined = [tuple(candidate) for candidate in first]
    for t, positions in enumerate(drawn):
        parent = max((joined[t + position] for position in positions), key=lambda c: table[c])
        child = list(parent)
        child[places[t]] = (child[places[t]] + steps[t]) % table.shape[places[t]]
        joined.append(tuple(child))
    return np.array(joined)
"""

LOOPS = """
def ppo(log_prob, old, advantage, clip):
    n = len(old)
    J, gradient = 0.0, []
    for now, before, A in zip(log_prob, old, advantage):
        r = np.exp(now - before)
        if A > 0 and r > 1 + clip:
            J += (1 + clip) * A / n
            gradient.append(0.0)
        elif A < 0 and r < 1 - clip:
            J += (1 - clip) * A / n
            gradient.append(0.0)
        else:
            J += r * A / n
            gradient.append(r * A / n)
    return J, gradient


def advantages(scores, decay):
    result = scores.copy()
    base = scores[0].mean()
    for t in range(len(scores)):
        result[t] -= base
        base += (1 - decay) * (scores[t].mean() - base)
    return result


def evolve(table, first, drawn, places, steps):
    population = first.tolist()
    history = list(population)
    for t in range(len(drawn)):
        scores = [table[tuple(population[i])] for i in drawn[t]]
        child = list(population[drawn[t][int(np.argmax(scores))]])
        child[places[t]] += int(steps[t])
        child[places[t]] %= table.shape[places[t]]
        population = population[1:] + [child]
        history = history + [child]
    return history
"""

ARRAYS = """
def ppo(log_prob, old, advantage, clip):
    r = np.exp(log_prob - old)
    low, high = np.full(r.shape, -np.inf), np.full(r.shape, np.inf)
    high[advantage > 0] = 1 + clip
    low[advantage < 0] = 1 - clip
    bounded = np.clip(r, low, high)
    return (bounded * advantage).mean(), (bounded == r) * r * advantage / r.size


def advantages(scores, decay):
    means = scores.mean(axis=1)
    bases = [means[0]]
    for mean in means[:-1]:
        bases.append(decay * bases[-1] + (1 - decay) * mean)
    return scores - np.array(bases)[:, None]


def evolve(table, first, drawn, places, steps):
    P, D = first.shape
    everyone = np.zeros((P + len(drawn), D), dtype=int)
    everyone[:P] = first
    for t, row in enumerate(drawn):
        group = everyone[t : t + P][row]
        child = group[np.argmax(table[tuple(group.T)])].copy()
        child[places[t]] = (child[places[t]] + steps[t]) % table.shape[places[t]]
        everyone[t + P] = child
    return everyone
"""


def edited(source, *pairs):
    """`source` with each old text replaced by its new one; every old text must occur once."""
    for old, new in pairs:
        if source.count(old) != 1:
            raise ValueError(f"{old!r} occurs {source.count(old)} times")
        source = source.replace(old, new)
    return source


TABLE = COMPONENTS + "\n" + CURSE

VARIANTS = [
    Variant(
        "p1",
        "the mixture is not taken for symmetric",
        {"p1-test": 1},
        counts(one_core="6*325 + 4*625"),
    ),
    Variant(
        "p1",
        "the difference is taken for symmetric",
        {"p1-test": 1},
        counts(one_core="8*325 + 2*625"),
    ),
    Variant(
        "p1", "pairs of a function with itself left out", {"p1-test": 1}, counts(one_core="7*300 + 3*625")
    ),
    Variant("p1", "every spelling", {"p1-test": 2}, counts(one_core="6250", two_cores="4*U^4*B^2")),
    Variant(
        "p1",
        "the second unit need not read the first",
        {"p1-test": 1},
        counts(two_cores="(C*U*(U + 1)/2 + (B - C)*U^2)*(C*U*(2*U + 1) + (B - C)*4*U^2)"),
    ),
    Variant(
        "p1",
        "swaps in the first unit only",
        {"p1-test": 1},
        counts(two_cores="(C*U*(U + 1)/2 + (B - C)*U^2)*3*B*U^2"),
    ),
    Variant(
        "p1",
        "three times the pairs of one unit",
        {"p1-test": 1},
        counts(two_cores="3*(C*U*(U + 1)/2 + (B - C)*U^2)^2"),
    ),
    Variant("p1", "an unknown symbol", {"p1-test": 1}, counts(one_core="7*U*(U + 1)/2 + 3*U^2")),
    Variant("p1", "a text that is no formula", {"p1-test": 1}, counts(two_cores="(C*U*(U + 1)/2")),
    Variant(
        "p1",
        "right: a number, and what swaps save",
        {},
        counts(
            one_core="4150",
            two_cores="(B*U^2 - C*U*(U - 1)/2)*(3*B*U^2 - C*U*(3*U - 1)/2)",
        ),
    ),
    Variant(
        "p1",
        "right: pairs of all arms less those that read x only",
        {},
        counts(
            one_core="6250 - 7*300",
            two_cores="(C*U*(U+1)/2 + (B-C)*U^2)*(C*(U*(2*U+1) - U*(U+1)/2) + (B-C)*((2*U)^2 - U^2))",
        ),
    ),
    Variant("p2", "values rounded to eight digits and compared as text", {"p2-test": 3}, ROUNDED),
    Variant(
        "p2",
        "nan agrees with nothing",
        {"p2-test": 2},
        edited(CLASSES, (", equal_nan=True", "")),
    ),
    Variant(
        "p2",
        "nan and infinities become 0",
        {"p2-test": 1},
        edited(
            CLASSES, ("    for row in values:", "    for row in np.where(np.isfinite(values), values, 0.0):")
        ),
    ),
    Variant(
        "p2",
        "nan becomes 0 in the array that was given",
        {"p2-test": 1},
        edited(CLASSES, ("found, kept = [], []", "found, kept = [], []\n    values[np.isnan(values)] = 0")),
    ),
    Variant(
        "p2",
        "absolute tolerance only",
        {"p2-test": 3},
        edited(CLASSES, ("rtol=tol", "rtol=0")),
    ),
    Variant("p2", "the default tolerance", {"p2-test": 2}, edited(CLASSES, ("rtol=tol, atol=tol, ", ""))),
    Variant(
        "p2",
        "the largest difference relative to the row",
        {"p2-test": 2},
        edited(
            CLASSES,
            (
                "np.allclose(image, old, rtol=tol, atol=tol, equal_nan=True)",
                "np.allclose(image, old, rtol=0, atol=tol * (1 + np.nansum(abs(old))), equal_nan=True)",
            ),
        ),
    ),
    Variant(
        "p2",
        "mirrors forgotten",
        {"p2-test": 1},
        edited(CLASSES, (" if mirrors else [row]", " if False else [row]")),
    ),
    Variant("p2", "no image by both mirrors", {"p2-test": 1}, edited(CLASSES, (", -row[::-1]] if", "] if"))),
    Variant(
        "p2",
        "mirror images by absolute values",
        {"p2-test": 1},
        edited(CLASSES, ("    for row in values:", "    for row in abs(values) if mirrors else values:")),
    ),
    Variant(
        "p2",
        "mirror images even if not asked for",
        {"p2-test": 1},
        edited(CLASSES, (" if mirrors else [row]", "")),
    ),
    Variant(
        "p2",
        "numbered from 1",
        {"p2-test": 3},
        edited(CLASSES, ("np.array(found)", "np.array(found) + 1")),
    ),
    Variant(
        "p2",
        "the number of functions",
        {"p2-test": 3},
        edited(CLASSES, ("np.array(found)", "len(kept)")),
    ),
    Variant("p2", "right: entry by entry, as a list", {}, ENTRY_BY_ENTRY),
    Variant("p2", "right: all pairs as a matrix", {}, MATRIX),
    Variant("p3", "with replacement", {"p3-test": 1}, chances(one_of_two="1 - (1 - 2/N)^n")),
    Variant("p3", "chances added up", {"p3-test": 1}, chances(one_of_two="2*n/N")),
    Variant("p3", "the two as independent", {"p3-test": 1}, chances(one_of_two="1 - (1 - n/N)^2")),
    Variant("p3", "both of the two", {"p3-test": 1}, chances(one_of_two="n*(n - 1)/(N*(N - 1))")),
    Variant("p3", "n gaps", {"p3-test": 1}, chances(mean_rank="N/n")),
    Variant("p3", "those before the best, without it", {"p3-test": 1}, chances(mean_rank="(N - n)/(n + 1)")),
    Variant("p3", "the rank of the worst", {"p3-test": 1}, chances(mean_rank="n*(N + 1)/(n + 1)")),
    Variant("p3", "with replacement forgotten", {"p3-test": 1}, chances(lucky_children="k")),
    Variant(
        "p3", "one tournament too few", {"p3-test": 1}, chances(lucky_children="(P - 1)*(1 - (1 - 1/P)^k)")
    ),
    Variant("p3", "the chance of one cycle", {"p3-test": 1}, chances(lucky_children="1 - (1 - 1/P)^k")),
    Variant("p3", "the sign of the score", {"p3-test": 1}, chances(balanced_bonus="d/log(k/(N - k))")),
    Variant("p3", "one good candidate", {"p3-test": 1}, chances(balanced_bonus="d/log(N - k)")),
    Variant("p3", "the bonus upside down", {"p3-test": 1}, chances(balanced_bonus="log((N - k)/k)/d")),
    Variant("p3", "all candidates for the others", {"p3-test": 1}, chances(balanced_bonus="d/log(N/k)")),
    Variant("p3", "an unknown symbol", {"p3-test": 1}, chances(balanced_bonus="d/log((N - k)/n)")),
    Variant(
        "p3",
        "right: other forms",
        {},
        chances(
            one_of_two="n*(2*N - n - 1)/(N*(N - 1))",
            mean_rank="(N - n)/(n + 1) + 1",
            lucky_children="P - (P - 1)*(1 - 1/P)^(k - 1)",
            balanced_bonus="d/log(N/k - 1)",
        ),
    ),
    Variant(
        "p3",
        "right: logarithms and fractions",
        {},
        chances(
            one_of_two="n/N + (1 - n/N)*n/(N - 1)",
            mean_rank="1/(1/(N + 1) + n/(N + 1))",
            lucky_children="P*(1 - ((P - 1)/P)^k)",
            balanced_bonus="-d/log(k/(N - k))",
        ),
    ),
    Variant(
        "p4",
        "the new scores alone",
        {"p4-test": 1},
        luck(expected_truth="mu + (m - mu)*V/(V + W/R)"),
    ),
    Variant("p4", "no shrinking", {"p4-test": 1}, luck(expected_truth="(y + R*m)/(R + 1)")),
    Variant(
        "p4",
        "y weighs as much as the R new scores together",
        {"p4-test": 1},
        luck(expected_truth="mu + ((y + m)/2 - mu)*V/(V + W/2)"),
    ),
    Variant(
        "p4",
        "the noise of one score",
        {"p4-test": 1},
        luck(expected_truth="mu + ((y + R*m)/(R + 1) - mu)*V/(V + W)"),
    ),
    Variant("p4", "towards 0", {"p4-test": 1}, luck(expected_truth="(y + R*m)/(R + 1)*V/(V + W/(R + 1))")),
    Variant("p4", "noise alone, no prior", {"p4-test": 2}, luck(better="Phi(d/sqrt(2*W))")),
    Variant("p4", "the spread of what was observed", {"p4-test": 2}, luck(better="Phi(d/sqrt(2*V + 2*W))")),
    Variant(
        "p4",
        "the spread without the observation",
        {"p4-test": 2},
        luck(better="Phi(d*V/(V + W)/sqrt(2*V))"),
    ),
    Variant("p4", "one candidate for two", {"p4-test": 2}, luck(better="Phi(d*sqrt(V/(W*(V + W))))")),
    Variant("p4", "the sign", {"p4-test": 2}, luck(better="Phi(-d*sqrt(V/(2*W*(V + W))))")),
    Variant("p4", "a text that is no formula", {"p4-test": 2}, luck(better="P(t1 > t2)")),
    Variant(
        "p4",
        "right: precisions",
        {},
        luck(
            expected_truth="(mu/V + y/W + m*R/W)/(1/V + 1/W + R/W)",
            better="Phi(d*V/(V + W)/sqrt(2*V*W/(V + W)))",
        ),
    ),
    Variant(
        "p4",
        "right: not simplified",
        {},
        luck(
            expected_truth="mu + (y - mu + R*(m - mu))*V/(R*V + V + W)",
            better="1 - Phi(-(2*V/(2*V + 2*W)*d)/sqrt(2*V - (2*V)^2/(2*V + 2*W)))",
        ),
    ),
    Variant(
        "p5",
        "the variance over repeats, common parts included",
        {"p5-test": 2},
        edited(TABLE, ("(left**2).sum() / ((repeats - 1) * (n - 1))", "scores.var(axis=0, ddof=1).mean()")),
    ),
    Variant(
        "p5",
        "degrees of freedom of one mean",
        {"p5-test": 2},
        edited(TABLE, ("((repeats - 1) * (n - 1))", "(repeats * n - 1)")),
    ),
    Variant(
        "p5",
        "the repeats' means cost no degree of freedom",
        {"p5-test": 2},
        edited(TABLE, ("((repeats - 1) * (n - 1))", "((repeats - 1) * n)")),
    ),
    Variant(
        "p5",
        "the noise in the means stays in V",
        {"p5-test": 1},
        edited(TABLE, ("own.var(ddof=1) - W / repeats", "own.var(ddof=1)")),
    ),
    Variant("p5", "all noise taken from the means", {"p5-test": 1}, edited(TABLE, ("W / repeats", "W"))),
    Variant(
        "p5",
        "a negative variance",
        {"p5-test": 1},
        edited(TABLE, ("max(own.var(ddof=1) - W / repeats, 0.0)", "own.var(ddof=1) - W / repeats")),
    ),
    Variant("p5", "divided by n", {"p5-test": 1}, edited(TABLE, ("own.var(ddof=1)", "own.var()"))),
    Variant(
        "p5",
        "the reliability of the mean",
        {"p5-test": 1},
        edited(TABLE, ("float(V / (V + W))", "float(V / (V + W / repeats))")),
    ),
    Variant(
        "p5",
        "W before V",
        {"p5-test": 2},
        edited(TABLE, ("float(V), float(W)", "float(W), float(V)")),
    ),
    Variant(
        "p5",
        "centred in place",
        {"p5-test": 2},
        edited(
            TABLE, ("    own = scores", "    scores -= scores.mean(axis=1, keepdims=True)\n    own = scores")
        ),
    ),
    Variant(
        "p5",
        "chosen by the first repeat only",
        {"p5-test2": 2},
        edited(TABLE, ("enumerate(scores)", "enumerate(scores[:1])")),
    ),
    Variant(
        "p5",
        "judged by all repeats",
        {"p5-test2": 2},
        edited(TABLE, ("np.delete(scores, r, axis=0)", "scores")),
    ),
    Variant("p5", "the worst for the best", {"p5-test2": 2}, edited(TABLE, ("(-seen,", "(seen,"))),
    Variant(
        "p5",
        "others minus seen",
        {"p5-test2": 2},
        edited(TABLE, ("float(np.mean(falls))", "-float(np.mean(falls))")),
    ),
    Variant(
        "p5",
        "the best chosen anew in the others",
        {"p5-test2": 2},
        edited(TABLE, ("others[:, chosen].mean()", "np.sort(others, axis=1)[:, -top:].mean()")),
    ),
    Variant(
        "p5",
        "of equal scores the higher index",
        {"p5-test2": 1},
        edited(TABLE, ('np.argsort(-seen, kind="stable")[:top]', 'np.argsort(seen, kind="stable")[-top:]')),
    ),
    Variant(
        "p5",
        "more than were asked for where scores are equal",
        {"p5-test2": 1},
        edited(TABLE, ('np.argsort(-seen, kind="stable")[:top]', "seen >= np.sort(seen)[-top]")),
    ),
    Variant("p5", "right: differences of pairs of repeats", {}, DIFFERENCES),
    Variant("p5", "right: covariances of pairs of repeats", {}, COVARIANCES),
    Variant(
        "p6",
        "nothing clipped",
        {"p6-test": 2},
        edited(PPO, ("np.clip(ratio, 1 - clip, 1 + clip) * advantage", "ratio * advantage")),
    ),
    Variant(
        "p6",
        "the clipped term alone",
        {"p6-test": 2},
        edited(
            PPO,
            ("np.minimum(free, held)", "held"),
            ("np.where(free <= held, free, 0.0)", "np.where(free == held, free, 0.0)"),
        ),
    ),
    Variant(
        "p6",
        "the larger of both terms",
        {"p6-test": 2},
        edited(PPO, ("np.minimum(free", "np.maximum(free"), ("free <= held", "free >= held")),
    ),
    Variant(
        "p6",
        "flat wherever the ratio is outside",
        {"p6-test": 1},
        edited(PPO, ("free <= held", "abs(ratio - 1) < clip")),
    ),
    Variant("p6", "nowhere flat", {"p6-test": 1}, edited(PPO, ("np.where(free <= held, free, 0.0)", "free"))),
    Variant(
        "p6",
        "the factor of the ratio is missing",
        {"p6-test": 1},
        edited(PPO, ("np.where(free <= held, free, 0.0)", "np.where(free <= held, advantage, 0.0)")),
    ),
    Variant(
        "p6",
        "the sum for the mean",
        {"p6-test": 2},
        edited(PPO, (" / len(ratio)", ""), ("np.minimum(free, held).mean()", "np.minimum(free, held).sum()")),
    ),
    Variant(
        "p6", "the ratio of old to new", {"p6-test": 2}, edited(PPO, ("log_prob - old", "old - log_prob"))
    ),
    Variant(
        "p6",
        "a loss to be minimised",
        {"p6-test": 2},
        edited(PPO, ("float(np", "-float(np"), ("gradient = np", "gradient = -np")),
    ),
    Variant(
        "p6",
        "the baseline learns before it is used",
        {"p6-test2": 1},
        edited(
            PPO,
            ("        found.append(batch - baseline)\n", ""),
            (
                "    return np.array(found)",
                "        found.append(batch - baseline)\n    return np.array(found)",
            ),
        ),
    ),
    Variant("p6", "the baseline begins at 0", {"p6-test2": 1}, edited(PPO, ("scores[0].mean()", "0.0"))),
    Variant(
        "p6",
        "decay is what is new",
        {"p6-test2": 1},
        edited(
            PPO,
            (
                "decay * baseline + (1 - decay) * batch.mean()",
                "(1 - decay) * baseline + decay * batch.mean()",
            ),
        ),
    ),
    Variant(
        "p6",
        "each batch less its own mean",
        {"p6-test2": 1},
        edited(PPO, ("batch - baseline", "batch - batch.mean()")),
    ),
    Variant(
        "p6",
        "scores changed in place",
        {"p6-test2": 1},
        edited(
            PPO,
            (
                "found.append(batch - baseline)",
                "mean = batch.mean()\n        batch -= baseline\n        found.append(batch)",
            ),
            ("(1 - decay) * batch.mean()", "(1 - decay) * mean"),
        ),
    ),
    Variant(
        "p6",
        "the worst dies",
        {"p6-test3": 2},
        edited(
            PPO,
            ("    joined = [", "    alive = [tuple(c) for c in first]\n    joined = ["),
            ("joined[t + position]", "alive[position]"),
            (
                "        joined.append(tuple(child))",
                "        alive.remove(min(alive, key=lambda c: table[c]))\n"
                "        alive.append(tuple(child))\n        joined.append(tuple(child))",
            ),
        ),
    ),
    Variant("p6", "nobody dies", {"p6-test3": 2}, edited(PPO, ("joined[t + position]", "joined[position]"))),
    Variant(
        "p6",
        "positions counted from the youngest",
        {"p6-test3": 2},
        edited(PPO, ("joined[t + position]", "joined[-1 - position]")),
    ),
    Variant(
        "p6",
        "the parent is changed along with the child",
        {"p6-test3": 2},
        edited(
            PPO,
            ("    joined = [tuple(candidate)", "    joined = [list(candidate)"),
            ("table[c])", "table[tuple(c)])"),
            ("child = list(parent)", "child = parent"),
            ("joined.append(tuple(child))", "joined.append(child)"),
        ),
    ),
    Variant(
        "p6",
        "the last of equal scores",
        {"p6-test3": 1},
        edited(PPO, ("in positions)", "in positions[::-1])")),
    ),
    Variant(
        "p6",
        "the best of the whole population",
        {"p6-test3": 2},
        edited(PPO, ("in positions)", "in range(len(first)))")),
    ),
    Variant(
        "p6",
        "the first population left out",
        {"p6-test3": 2},
        edited(PPO, ("np.array(joined)", "np.array(joined)[len(first) :]")),
    ),
    Variant(
        "p6",
        "modulo forgotten",
        {"p6-test3": 2},
        edited(
            PPO, ("(child[places[t]] + steps[t]) % table.shape[places[t]]", "child[places[t]] + steps[t]")
        ),
    ),
    Variant("p6", "right: loops and cases", {}, LOOPS),
    Variant("p6", "right: arrays", {}, ARRAYS),
]
