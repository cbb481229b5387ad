"""Self-checks of assignment 15: each typical mistake gets its sentence, and the right answers are right."""

import contextlib
import io
import itertools
import math

import numpy as np
import pytest
import torch
from complaints import complaints_of
from scipy import integrate, optimize, stats

from selfgated import search
from selfgated.checks import activation_search as check
from selfgated.grading import mutation
from selfgated.grading.assignment import Assignment
from selfgated.search.noise import components
from selfgated.search.strategies import policy

ASSIGNMENT = Assignment.load("15_activation_search")
complaint = complaints_of(check)
ONE = "(B*U^2 - C*U*(U - 1)/2)"


@pytest.fixture(autouse=True)
def quiet():
    with np.errstate(all="ignore"):
        yield


@pytest.fixture(scope="module")
def reference():
    return mutation.namespace_of(ASSIGNMENT)


def number(text, **symbols):
    """The value of a right answer by hand."""
    names = {"log": math.log, "exp": math.exp, "sqrt": math.sqrt, "Phi": stats.norm.cdf}
    return eval(text.replace("^", "**"), names, symbols)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("one_core", "25*25*10", "every spelling"),
        ("one_core", "6*325 + 4*625", "if beta may be 1 - beta"),
        ("one_core", "5*325 + 5*625", "two symmetric functions are missing"),
        ("one_core", "4*325 + 6*625", "three symmetric functions are missing"),
        ("one_core", "8*325 + 2*625", "changes the sign"),
        ("one_core", "10*325", "not all ten"),
        ("one_core", "7*25*24/2 + 3*625", "the pairs (u, u) count too"),
        ("one_core", "7*625/2 + 3*625", "have no partner"),
        ("one_core", "7*325", "not symmetric count too"),
        ("one_core", "3*325 + 7*625", "that have fewer"),
        ("one_core", "4038", "differs"),
        ("two_cores", "U^2*B*(2*U)^2*B", "do not read the first unit"),
        ("two_cores", "3*U^4*B^2", "swaps in both units"),
        ("two_cores", f"{ONE}*(C*U*(2*U + 1) + (B - C)*4*U^2)", "need not read the first"),
        ("two_cores", f"{ONE}*3*B*U^2", "swaps in the second unit"),
        ("two_cores", f"{ONE}^2", "more than U choices"),
        ("two_cores", f"4*{ONE}^2", "exchanges the inputs as well"),
        ("two_cores", f"3*{ONE}^2", "2 U arms on each side"),
        ("two_cores", f"{ONE}*(C*U^2 + (B - C)*2*U^2)", "both inputs of the second unit"),
        ("two_cores", f"{ONE}*(C*3*U^2/2 + (B - C)*3*U^2)", "half of 3 U^2"),
        ("one_of_two", "1 - (1 - 2/N)^n", "with replacement"),
        ("one_of_two", "2*n/N", "counts twice"),
        ("one_of_two", "1 - (N - n)^2/N^2", "n of N - 1"),
        ("one_of_two", "1 - (N - n)*(N - n + 1)/N^2", "the sign"),
        ("one_of_two", "(N - n)*(N - n - 1)/(N*(N - 1))", "both are missed"),
        ("one_of_two", "n*(n - 1)/(N*(N - 1))", "one is enough"),
        ("one_of_two", "2*n*(N - n)/(N*(N - 1))", "exactly one"),
        ("one_of_two", "n/N", "there are two"),
        ("mean_rank", "N/n", "n + 1 gaps"),
        ("mean_rank", "(N - n)/(n + 1)", "its rank is one more"),
        ("mean_rank", "N/(n + 1)", "n = N has to give 1"),
        ("mean_rank", "(N + 1)/n", "before, between and after"),
        ("mean_rank", "(N + 1)/2", "of one draw"),
        ("mean_rank", "n*(N + 1)/(n + 1)", "the worst of them"),
        ("mean_rank", "(n + 1)/(N + 1)", "upside down"),
        ("lucky_children", "k", "drawn twice in one tournament"),
        ("lucky_children", "1 - (1 - 1/P)^k", "the chance of one cycle"),
        ("lucky_children", "(P - 1)*(1 - (1 - 1/P)^k)", "in one more tournament"),
        ("lucky_children", "(P + 1)*(1 - (1 - 1/P)^k)", "one cycle too many"),
        ("lucky_children", "P*(1 - 1/P)^k", "no child then"),
        ("lucky_children", "P*(1/P)^k", "need not be drawn k times"),
        ("lucky_children", "P", "in which it is drawn"),
        ("balanced_bonus", "d/log(k/(N - k))", "the sign"),
        ("balanced_bonus", "d*log(N/k - 1)", "d over its logarithm"),
        ("balanced_bonus", "log(N/k - 1)/d", "upside down"),
        ("balanced_bonus", "d/log(N/k)", "N - k are not"),
        ("balanced_bonus", "d/log(N - k)", "there are k"),
        ("balanced_bonus", "d/log(N)", "and N - k others"),
        ("balanced_bonus", "d", "more others than good ones"),
        ("balanced_bonus", "d/log(2)", "all k good ones"),
        ("balanced_bonus", "log(N/k - 1)", "where is d"),
        ("balanced_bonus", "d/lambda", "unknown symbol"),
        ("expected_truth", "m", "y says something too"),
        ("expected_truth", "(y + R*m)/(R + 1)", "the mean of all scores has luck"),
        ("expected_truth", "mu + (m - mu)*R*V/(R*V + W)", "does not know why you looked"),
        ("expected_truth", "mu + (y - mu)*V/(V + W)", "the R new scores count"),
        ("expected_truth", "mu + (y + m - 2*mu)*V/(2*V + W)", "R times as much as y"),
        ("expected_truth", "mu + ((y + R*m)/(R + 1) - mu)*V/(V + W)", "has the noise W/(R + 1)"),
        ("expected_truth", "mu + ((y + R*m)/(R + 1) - mu)*V/(V + W/R)", "together are R + 1 scores"),
        ("expected_truth", "(y + R*m)*V/((R + 1)*V + W)", "not towards 0"),
        ("expected_truth", "mu + ((y + R*m)/(R + 1) - mu)*W/(R*V + V + W)", "the share of the noise"),
        ("expected_truth", "mu + ((y + R*m)/(R + 1) - mu)*sqrt(V/(V + W/(R + 1)))", "no root"),
        ("better", "Phi(d/sqrt(2*W))", "equally likely"),
        ("better", "Phi(d/sqrt(2*V + 2*W))", "condition on it"),
        ("better", "Phi(d/sqrt(W))", "both scores have noise"),
        ("better", "Phi(d*V/(V + W)/sqrt(2*V))", "varies less than before"),
        ("better", "Phi(d/sqrt(2*V*W/(V + W)))", "smaller than d"),
        ("better", "Phi(d*sqrt(V/(W*(V + W))))", "two candidates"),
        ("better", "Phi(d*V/(2*W*(V + W)))", "not by the variance"),
        ("better", "1 - Phi(d*sqrt(V/(2*W*(V + W))))", "the other one is better"),
        ("better", "d*V/(V + W)", "expected true difference"),
        ("better", "V/(V + W)", "a larger d"),
        ("better", "P(d)", "unknown"),
    ],
)
def test_formula_mistake_gets_its_sentence(name, text, words):
    assert words in complaint(name, lambda: text)


def test_one_core_counts_the_symmetric_functions_of_the_space(reference):
    z = torch.linspace(-2, 2, 9, dtype=torch.float64)
    g, h = (list(search.UNARY).index(name) for name in ("cos(x)", "exp(x)"))
    symmetric = 0
    for b in range(len(search.BINARY)):
        first, swapped = (search.Space().expression(choice) for choice in ((g, h, b), (h, g, b)))
        candidates = [first.betas, *([0.3] * bool(first.betas), [0.7] * bool(first.betas))]
        families = [
            {tuple(np.round(search.evaluate(f, z, betas=tuple(betas)).numpy(), 9)) for betas in candidates}
            for f in (first, swapped)
        ]
        symmetric += families[0] == families[1]
    assert number(reference["one_core"]()) == symmetric * 25 * 26 / 2 + (10 - symmetric) * 25**2 == 4150


def test_two_cores_counts_trees(reference):
    for U, B, C in ((2, 3, 1), (3, 2, 2), (3, 3, 0)):

        def units(arms, C=C, B=B):
            """Pairs of arms under each binary, of which the first C forget the order."""
            for b, pair in itertools.product(range(B), itertools.product(arms, repeat=2)):
                yield b, (frozenset(pair) if b < C else pair), pair

        first = {unit[:2] for unit in units(range(U))}
        second = {
            unit[:2]
            for unit in units(list(itertools.product("xf", range(U))))
            if "f" in (unit[2][0][0], unit[2][1][0])
        }
        assert number(reference["two_cores"](), U=U, B=B, C=C) == len(first) * len(second)


def test_random_search_by_enumeration(reference):
    for N, n in ((7, 3), (6, 1), (8, 8), (9, 4)):
        best = np.array([min(drawn) for drawn in itertools.combinations(range(1, N + 1), n)])
        assert number(reference["mean_rank"](), N=N, n=n) == pytest.approx(best.mean(), rel=1e-12)
        assert number(reference["one_of_two"](), N=N, n=n) == pytest.approx((best <= 2).mean(), rel=1e-12)
    share = optimize.brentq(lambda q: number(reference["one_of_two"](), N=1e6, n=q * 1e6) - 0.95, 0, 1)
    assert f"you have to draw {100 * share:.0f} % of a large space" in ASSIGNMENT.by_id["p3"].source


def test_lucky_children_by_evolution(reference):
    """A score of 1 at one place, and a mutation that leads away from it for ever."""
    P, k, cycles, rng = 5, 3, 5, np.random.default_rng(3)
    table = np.zeros(40)
    table[0] = 1.0
    first = np.array([[1], [1], [1], [1], [0]])
    children = []
    for _ in range(3000):
        drawn = rng.integers(P, size=(cycles, k))
        steps = np.full(cycles, 7)
        joined = reference["evolve"](table, first, drawn, np.zeros(cycles, int), steps)
        children.append((joined[P:] == 7).sum())
    error = np.std(children) / math.sqrt(len(children))
    assert abs(np.mean(children) - number(reference["lucky_children"](), P=P, k=k)) < 4 * error
    published = number(reference["lucky_children"](), P=100, k=25)
    assert f"P = 100, k = 25: {published:.0f} children" in ASSIGNMENT.by_id["p3"].source


def test_balanced_bonus_makes_the_best_policy_good_every_second_time(reference):
    N, k, d = 7, 2, 0.3
    score = np.where(np.arange(N) < k, d, 0.0)
    bonus = number(reference["balanced_bonus"](), N=N, k=k, d=d)

    def loss(logits):
        logs = logits - np.logaddexp.reduce(logits)
        return -(np.exp(logs) * (score - bonus * logs)).sum()

    logits = optimize.minimize(loss, np.zeros(N), tol=1e-12).x
    assert np.exp(logits - np.logaddexp.reduce(logits))[:k].sum() == pytest.approx(0.5, abs=1e-5)
    text = ASSIGNMENT.by_id["p3"].source
    assert f"that is {number(reference['balanced_bonus'](), N=100, k=1, d=0.1):.3f}" in text
    shares = [1 / (1 + 99 * math.exp(-0.1 / weight)) for weight in (0.01, 0.05)]
    assert shares[0] > 0.99
    assert round(1 / shares[1]) == 14


def test_formulas_of_luck_agree_with_integrals(reference):
    mu, V, W, R, y, m, d = 0.4, 0.5, 0.3, 3, 1.6, 1.1, 0.8

    def weight(t):
        seen = stats.norm.pdf(y, t, math.sqrt(W)) * stats.norm.pdf(m, t, math.sqrt(W / R))
        return stats.norm.pdf(t, mu, math.sqrt(V)) * seen

    mean = integrate.quad(lambda t: t * weight(t), -9, 9)[0] / integrate.quad(weight, -9, 9)[0]
    expected = number(reference["expected_truth"](), mu=mu, V=V, W=W, R=R, y=y, m=m)
    assert expected == pytest.approx(mean, rel=1e-9)

    def gap(t):
        return stats.norm.pdf(t, 0, math.sqrt(2 * V)) * stats.norm.pdf(d, t, math.sqrt(2 * W))

    better = integrate.quad(gap, 0, 9)[0] / integrate.quad(gap, -9, 9)[0]
    assert number(reference["better"](), d=d, V=V, W=W) == pytest.approx(better, rel=1e-9)


def test_expected_truth_holds_for_the_winner_of_many(reference):
    rng, V, W, R = np.random.default_rng(7), 0.5, 0.8, 2
    left = []
    for _ in range(1500):
        truth = rng.normal(0.3, V**0.5, 200)
        first = truth + rng.normal(0, W**0.5, 200)
        won = first.argmax()
        again = truth[won] + rng.normal(0, (W / R) ** 0.5)
        given = {"mu": 0.3, "V": V, "W": W, "R": R, "y": first[won], "m": again}
        left.append(truth[won] - number(reference["expected_truth"](), **given))
    assert abs(np.mean(left)) < 4 * np.std(left) / math.sqrt(len(left))


def label(values, tol, mirrors=False, *, equal_nan=True, absolute=None, images=4, start=0, bounded=False):
    found, kept = [], []
    for row in np.where(np.isfinite(values), values, 0.0) if bounded else values:
        alike = [row, -row, row[::-1], -row[::-1]][: images if mirrors else 1]
        same = [
            k
            for k, old in enumerate(kept)
            if any(
                np.allclose(
                    image, old, rtol=0 if absolute else tol, atol=absolute or tol, equal_nan=equal_nan
                )
                for image in alike
            )
        ]
        if not same:
            kept.append(row)
        found.append((same or [len(kept) - 1])[0] + start)
    return np.array(found)


def rounded(values, tol, mirrors=False, *, decimals=6):
    numbers = {}
    rows = np.round(values, decimals) + 0.0
    return [numbers.setdefault(row.tobytes(), len(numbers)) for row in rows]


def spoilt(values, tol, mirrors=False):
    result = label(values, tol, mirrors)
    values[0] = 0
    return result


def infinite(values, tol, mirrors=False):
    """Takes every infinity for the same."""
    return label(np.where(np.isinf(values), np.inf, values), tol, mirrors)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda v, tol, mirrors=False: label(v, 0.0, mirrors), "differ by rounding only"),
        (lambda v, tol, mirrors=False: label(abs(v), tol, mirrors), "different values"),
        (lambda v, tol, mirrors=False: label(v[:, ::2], tol, mirrors), "all have to agree"),
        (lambda v, tol, mirrors=False: label(v, 1e-6, mirrors), "the tolerance is `tol`"),
        (lambda v, tol, mirrors=False: label(v, tol, mirrors, absolute=tol), "the tolerance is relative"),
        (lambda v, tol, mirrors=False: label(v / abs(v).max(1, keepdims=True), tol), "its own tolerance"),
        (rounded, "do not round"),
        (lambda v, tol, mirrors=False: label(v, tol, mirrors, equal_nan=False), "though nan == nan is False"),
        (lambda v, tol, mirrors=False: label(v, tol, mirrors, bounded=True), "nan is no number"),
        (infinite, "inf and -inf"),
        (lambda v, tol, mirrors=False: label(np.clip(v, -1e9, 1e9), tol, mirrors), "does not agree with 1e9"),
        (lambda v, tol, mirrors=False: label(v, tol), "with mirrors -f(x)"),
        (lambda v, tol, mirrors=False: label(v, tol, mirrors, images=2), "with mirrors f(-x)"),
        (lambda v, tol, mirrors=False: label(v, tol, mirrors, images=3), "with mirrors -f(-x)"),
        (lambda v, tol, mirrors=False: label(v, tol, True), "without mirrors"),
        (lambda v, tol, mirrors=False: label(abs(v) if mirrors else v, tol, mirrors), "not point by point"),
        (lambda v, tol, mirrors=False: label(v, tol, mirrors, start=1), "by first appearance"),
        (lambda v, tol, mirrors=False: max(label(v, tol, mirrors)) + 1, "numbers are expected"),
        (spoilt, "changed its input"),
        (lambda v, tol, mirrors=False: None, "returned nothing"),
    ],
)
def test_classes_mistake_gets_its_sentence(answer, words):
    assert words in complaint("classes", answer)


def test_classes_agree_with_the_library(reference):
    rng = np.random.default_rng(0)
    rows = rng.normal(0, 2, (12, 7))[rng.integers(12, size=60)] + 1e-13 * rng.normal(size=(60, 7))
    rows[rng.random(60) < 0.3, 2] = np.nan
    np.testing.assert_array_equal(reference["classes"](rows, 1e-9), search.classes(rows))


def parts(scores, *, common=True, freedom=None, less=None, ddof=1, floor=True, mean=False, order=(0, 1, 2)):
    repeats, n = scores.shape
    own = scores.mean(axis=0)
    left = scores - own
    if common:
        left = left - left.mean(axis=1, keepdims=True)
    W = (left**2).sum() / (freedom(repeats, n) if freedom else (repeats - 1) * (n - 1))
    V = own.var(ddof=ddof) - (W / repeats if less is None else less * W)
    V = max(V, 0) if floor else V
    found = V, W, V / (V + (W / repeats if mean else W))
    return tuple(found[k] for k in order)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            lambda s: parts(s, common=False, freedom=lambda r, n: (r - 1) * n),
            "W: what a repeat has in common",
        ),
        (lambda s: parts(s, freedom=lambda r, n: r * n), "not by all entries"),
        (lambda s: parts(s, freedom=lambda r, n: r * n - 1), "not one"),
        (lambda s: parts(s, freedom=lambda r, n: (r - 1) * n), "W: degrees of freedom"),
        (lambda s: parts(s, freedom=lambda r, n: r * (n - 1)), "W: degrees of freedom"),
        (lambda s: parts(s, order=(1, 0, 2)), "the order is V, W, reliability"),
        (lambda s: [math.sqrt(p) for p in parts(s)], "W is a variance"),
        (
            lambda s: (0, np.var(s - s.mean(1, keepdims=True), axis=1, ddof=1).mean(), 0),
            "take out their means",
        ),
        (lambda s: parts(s, less=0), "have noise in them"),
        (lambda s: parts(s, less=1), "the noise W/R, not W"),
        (lambda s: parts(s, ddof=0), "divide by n - 1"),
        (lambda s: (math.sqrt(parts(s)[0]), *parts(s)[1:]), "V is a variance"),
        (lambda s: parts(s, mean=True), "of the mean of R repeats"),
        (lambda s: (*parts(s)[:2], 1 - parts(s)[2]), "the share of the noise"),
        (lambda s: (*parts(s)[:2], parts(s)[0] / parts(s)[1]), "not by W"),
        (lambda s: (*parts(s)[:2], math.sqrt(parts(s)[2])), "without a root"),
        (lambda s: parts(s, floor=False), "would be negative"),
        (lambda s: parts(s)[:2], "the tuple (V, W, reliability)"),
        (lambda s: None, "returned nothing"),
    ],
)
def test_components_mistake_gets_its_sentence(answer, words):
    assert words in complaint("components", answer)


def test_components_agree_with_the_library(reference):
    rng = np.random.default_rng(6)
    for spread in (0.0, 0.5):
        scores = rng.normal(0, spread, 40) + rng.normal(0, 0.3, (3, 40)) + rng.normal(0, 1, (3, 1))
        V, W, share = reference["components"](scores)
        within, between = components(scores)
        assert pytest.approx((between, within), rel=1e-9) == (V**0.5, W**0.5)
        assert share == pytest.approx(between**2 / (between**2 + within**2), rel=1e-9)


def test_components_are_unbiased(reference):
    rng, V, W, sizes = np.random.default_rng(4), 0.3, 0.2, (4, 6)
    found = np.array(
        [
            reference["components"](
                rng.normal(0, V**0.5, 6) + rng.normal(0, W**0.5, sizes) + rng.normal(0, 2, (4, 1)) + 0.7
            )[:2]
            for _ in range(4000)
        ]
    )
    error = found.std(axis=0) / math.sqrt(len(found))
    # Where V comes out negative, 0 takes its place: that moves its mean a little.
    assert (np.abs(found.mean(axis=0) - [V, W]) < 4 * error + [1e-3, 0]).all()


def fall(
    scores, top, *, repeats=None, drop=True, sign=1, kind="stable", flip=False, join=np.mean, worst=False
):
    falls = []
    for r in range(len(scores))[:repeats]:
        key = scores[r] if worst else -scores[r]
        chosen = len(key) - 1 - np.argsort(key[::-1], kind=kind) if flip else np.argsort(key, kind=kind)
        others = np.delete(scores, r, axis=0) if drop else scores
        falls.append(sign * (scores[r, chosen[:top]].mean() - others[:, chosen[:top]].mean()))
    return join(falls)


def generous(scores, top):
    """Takes all whose score is at least that of the last chosen one."""
    masks = [row >= np.sort(row)[-top] for row in scores]
    return np.mean([scores[r, m].mean() - np.delete(scores, r, 0)[:, m].mean() for r, m in enumerate(masks)])


def by_mean(scores, top):
    chosen = np.argsort(-scores.mean(axis=0))[:top]
    return np.mean(
        [scores[r, chosen].mean() - np.delete(scores, r, 0)[:, chosen].mean() for r in range(len(scores))]
    )


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda s, top: fall(s, top, repeats=1), "not the first only"),
        (lambda s, top: fall(s, top, drop=False), "by the other repeats only"),
        (lambda s, top: fall(s, top, sign=-1), "seen minus others"),
        (lambda s, top: fall(s, top, join=np.sum), "not the sum"),
        (lambda s, top: fall(s, top, worst=True), "these are the worst"),
        (lambda s, top: top * fall(s, top), "not sums over the chosen"),
        (by_mean, "the falls cancel"),
        (lambda s, top: fall(s, top, flip=True), "the lower index is picked"),
        (generous, "exactly `top` are picked"),
        (lambda s, top: fall(s, top, join=np.array), "shape (3,)"),
    ],
)
def test_winners_curse_mistake_gets_its_sentence(answer, words):
    assert words in complaint("winners_curse", answer)


def clipped(log_prob, old, advantage, clip, *, pick=np.minimum, keep=None, slope=None, scale=1, sign=1):
    r = np.exp(log_prob - old)
    free, held = r * advantage, np.clip(r, 1 - clip, 1 + clip) * advantage
    keep = free <= held if keep is None else keep(r, advantage, clip, free, held)
    gradient = np.where(keep, free if slope is None else slope(r, advantage), 0) / len(r)
    return sign * scale * pick(free, held).mean(), sign * scale * gradient


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda *g: clipped(*g, pick=lambda free, held: free), "L: nothing is clipped"),
        (lambda *g: clipped(*g, pick=lambda free, held: held), "the clipped term alone"),
        (lambda *g: clipped(*g, pick=np.maximum), "not the larger"),
        (
            lambda *g: (np.mean(np.minimum(np.exp(g[0] - g[1]), 1 + g[3]).clip(max=1 + g[3]) * g[2]), None),
            "for a negative A the larger ratio",
        ),
        (lambda *g: clipped(*g, scale=len(g[0])), "L: the mean over the candidates"),
        (lambda *g: clipped(*g, sign=-1), "L is maximised"),
        (lambda a, b, *rest: clipped(b, a, *rest), "now to old"),
        (lambda a, b, *rest: clipped(np.log(a / b), 0 * b, *rest), "exp(log_prob - old)"),
        (lambda *g: clipped(*g, keep=lambda r, A, c, free, held: r > 0), "L is flat"),
        (lambda *g: clipped(*g, keep=lambda r, A, c, free, held: abs(r - 1) < c), "is not always 0"),
        (lambda *g: clipped(*g, slope=lambda r, A: A), "the derivative of r"),
        (lambda *g: (clipped(*g)[0], clipped(*g)[1] * len(g[0])), "the gradient: L is a mean"),
        (lambda *g: (clipped(*g)[0], -clipped(*g)[1]), "the gradient: the sign"),
        (lambda *g: clipped(*g, keep=lambda r, A, c, free, held: free > held), "the other way round"),
        (lambda *g: clipped(*g)[0], "the pair (L, gradient)"),
        (lambda *g: (clipped(*g)[0], clipped(*g)[1][:-1]), "shape (29,)"),
    ],
)
def test_ppo_mistake_gets_its_sentence(answer, words):
    assert words in complaint("ppo", answer)


def test_ppo_agrees_with_autograd(reference):
    rng = np.random.default_rng(5)
    log_prob, old, advantage = rng.normal(-3, 0.6, (3, 50))
    leaf = torch.tensor(log_prob, requires_grad=True)
    value = policy.clipped_objective(leaf, torch.tensor(old), torch.tensor(advantage), 0.2).mean()
    value.backward()
    L, gradient = reference["ppo"](log_prob, old, advantage, 0.2)
    assert value.item() == pytest.approx(L, rel=1e-12)
    np.testing.assert_allclose(gradient, leaf.grad.numpy(), rtol=1e-12, atol=1e-15)


def moving(scores, decay, *, start=None, late=False, take=np.mean):
    base, out = scores[0].mean() if start is None else start, np.empty_like(scores)
    for t, row in enumerate(scores):
        after = decay * base + (1 - decay) * take(row)
        out[t] = row - (after if late else base)
        base = after
    return out


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda s, d: moving(s, d, late=True), "before it changes it"),
        (lambda s, d: moving(s, d, start=0.0), "not 0"),
        (lambda s, d: moving(s, 1 - d), "what stays of the old baseline"),
        (lambda s, d: moving(s, d, take=np.max), "not its best"),
        (lambda s, d: s - s.mean(axis=1, keepdims=True), "remembers earlier ones"),
        (lambda s, d: s - s.mean(), "moves from batch to batch"),
        (lambda s, d: s - s[0].mean(), "does not move"),
        (lambda s, d: s - moving(s, d), "this is the baseline"),
        (lambda s, d: -moving(s, d), "score minus baseline"),
        (lambda s, d: moving(s, d).ravel(), "shape (20,)"),
    ],
)
def test_advantages_mistake_gets_its_sentence(answer, words):
    assert words in complaint("advantages", answer)


def bred(
    table, first, drawn, places, steps, *, die=None, pick=max, share=False, modulo=True, at=None, keep=True
):
    alive = [list(map(int, row)) for row in first]
    everyone = list(alive)
    for t, row in enumerate(drawn):
        group = [alive[i if at is None else at(i, t)] for i in row]
        parent = pick(group, key=lambda c: table[tuple(c)])
        child = parent if share else list(parent)
        child[places[t]] += int(steps[t])
        if modulo:
            child[places[t]] %= table.shape[places[t]]
        if die != "nobody":
            alive.remove(min(alive, key=lambda c: table[tuple(c)])) if die == "worst" else alive.pop(0)
        alive.append(child)
        everyone.append(child)
    return np.array(everyone if keep else everyone[len(first) :])


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda *g: bred(*g, die="worst"), "not the worst"),
        (lambda *g: bred(*g, die="nobody"), "still alive"),
        (lambda *g: bred(*g, pick=min), "the best of the tournament, not the worst"),
        (lambda *g: bred(*g, pick=lambda group, key: group[0]), "not the first"),
        (lambda *g: bred(g[0], g[1], [range(len(g[1]))] * len(g[2]), *g[3:]), "not of the whole population"),
        (lambda *g: bred(*g, at=lambda i, t: -1 - i), "not the youngest"),
        (lambda *g: bred(*g, share=True), "the child is a copy"),
        (lambda *g: bred(*g, keep=False), "the candidates of `first`"),
        (lambda *g: bred(*g, modulo=False), "modulo"),
        (lambda *g: bred(*g[:2], g[2][:, ::-1], *g[3:]), "comes first in the row"),
        (lambda *g: bred(*g[:4], g[4] + 1), "the child of cycle 0 is"),
        (lambda *g: np.vstack([g[1][::-1], bred(*g)[len(g[1]) :]]), "row 0 of `first` is"),
        (lambda *g: None, "returned nothing"),
    ],
)
def test_evolve_mistake_gets_its_sentence(answer, words):
    assert words in complaint("evolve", answer)


def test_model_answer_of_the_open_question_reads_the_table():
    space, printed = {}, io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(ASSIGNMENT.by_id["setup"].source, space)
        exec(ASSIGNMENT.by_id["p7-demo"].source, space)
    rows = {int(line.split()[0]): line.split()[1:] for line in printed.getvalue().splitlines()[1:]}
    text = ASSIGNMENT.by_id["p7"].source
    assert f"leads by {rows[30][0]} points on average" in text
    assert 45 <= int(rows[30][1].rstrip("%")) <= 55
    pair = 0.2 * math.sqrt(2)
    assert (
        f"by at most about {pair:.2f}; 20 pairs give a standard error of {pair / math.sqrt(20):.2f}" in text
    )
