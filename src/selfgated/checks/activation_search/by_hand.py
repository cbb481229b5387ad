"""Self-checks of the formulas by hand: counts, chances and luck."""

from selfgated.checks import engine

FORMULA = ("exp", "log", "sqrt", "Phi")


def _formula(answer, right, mistakes, **symbols):
    return engine.expression(answer, right, symbols=symbols, functions=FORMULA, mistakes=mistakes)


SYMMETRIC = "{0}*325 + (10 - {0})*625"


def one_core(answer):
    """Check problem 1: functions of one core unit, swaps counted once."""
    mistakes = [
        ("6250", "this counts every spelling; with a symmetric b, b(g, h) and b(h, g) are the same"),
        (
            SYMMETRIC.format(6),
            "one symmetric function is missing: what happens to the mixture if beta may be 1 - beta?",
        ),
        (SYMMETRIC.format(4), "three symmetric functions are missing: look at those with a beta"),
        (SYMMETRIC.format(5), "two symmetric functions are missing: look at those with a beta"),
        (
            SYMMETRIC.format(8),
            "one too many: a swap in x1 - x2 changes the sign, and that is another function",
        ),
        (SYMMETRIC.format(10), "not all ten are symmetric"),
        ("7*300 + 3*625", "the pairs (u, u) count too: U(U + 1)/2 unordered pairs"),
        ("7*312.5 + 3*625", "half of U^2 is not right: the pairs (u, u) have no partner"),
        ("7*325", "the functions that are not symmetric count too, with all ordered pairs"),
        ("7*625 + 3*325", "it is the symmetric ones that have fewer"),
    ]
    return _formula(answer, "(7*26 + 6*25)*25/2", mistakes)


ONE = "(B*U^2 - C*U*(U - 1)/2)"


def two_cores(answer):
    """Check problem 1: functions of two core units."""
    span = {"U": (2, 30), "B": (6, 20), "C": (1, 6)}
    mistakes = [
        ("4*U^4*B^2", "this counts every spelling, and also those that do not read the first unit"),
        ("3*U^4*B^2", "this counts every spelling: swaps in both units count once"),
        (
            f"{ONE}*(C*U*(2*U + 1) + (B - C)*4*U^2)",
            "here the second unit need not read the first: take away the pairs of arms that read x only",
        ),
        (f"{ONE}*3*B*U^2", "swaps in the second unit count once as well"),
        (
            f"{ONE}*{ONE}",
            "each input of the second unit is x or the first unit: it has more than U choices for each side",
        ),
        (f"4*{ONE}*{ONE}", "two inputs of two kinds make four, but a swap exchanges the inputs as well"),
        (
            f"3*{ONE}*{ONE}",
            "a swap exchanges the inputs together with the unary functions: 2 U arms on each side",
        ),
        (
            f"{ONE}*(C*U^2 + (B - C)*2*U^2)",
            "both inputs of the second unit may be the output of the first",
        ),
        (
            f"{ONE}*(C*3*U^2/2 + (B - C)*3*U^2)",
            "the pairs of an arm with itself have no partner: half of 3 U^2 is not right",
        ),
    ]
    right = f"{ONE}*(3*B*U^2 - C*(3*U^2 - U)/2)"
    return _formula(answer, right, mistakes, **span)


def one_of_two(answer):
    """Check problem 3: chance of at least one of two good candidates."""
    mistakes = [
        ("1 - (1 - 2/N)^n", "this draws with replacement: each draw leaves one candidate less"),
        ("2*n/N", "this counts twice the cases in which both are drawn"),
        ("1 - (1 - n/N)^2", "if the first is not drawn, the n drawn ones are n of N - 1"),
        ("1 - (1 - n/N)*(1 - n/N + 1/N)", "the sign: of the N - 1 others N - n - 1 are not drawn"),
        ("(1 - n/N)*(1 - n/(N - 1))", "this is the probability that both are missed"),
        ("n/N*(n - 1)/(N - 1)", "this is the probability of both: one is enough"),
        ("2*n*(N - n)/N/(N - 1)", "this is the probability of exactly one: both are fine as well"),
        ("n/N", "there are two good candidates"),
    ]
    return _formula(answer, "1 - (1 - n/N)*(1 - n/(N - 1))", mistakes, N=(60, 900), n=(2, 50))


def mean_rank(answer):
    """Check problem 3: mean rank of the best of n."""
    mistakes = [
        ("N/n", "close for a large N, but n draws leave n + 1 gaps, and n = N has to give 1"),
        ("(N - n)/(n + 1)", "these are the candidates better than the best drawn one: its rank is one more"),
        ("N/(n + 1)", "n = N has to give 1: the best drawn one comes after a gap, and N - n are not drawn"),
        ("(N + 1)/n", "the n drawn ones leave n + 1 gaps: before, between and after them"),
        ("(N + 1)/2", "this is the mean rank of one draw"),
        ("n*(N + 1)/(n + 1)", "this is the worst of them: rank 1 is the best"),
        ("(n + 1)/(N + 1)", "upside down: this is a share, not a rank"),
    ]
    return _formula(answer, "1/((n + 1)/(N + 1))", mistakes, N=(60, 900), n=(1, 60))


def lucky_children(answer):
    """Check problem 3: children of a lucky candidate."""
    mistakes = [
        ("k", "close for a large P, but drawn twice in one tournament it still has one child"),
        ("1 - (1 - 1/P)^k", "this is the chance of one cycle: in how many tournaments can it be drawn?"),
        (
            "(P - 1)*(1 - (1 - 1/P)^k)",
            "when it is the oldest it is in one more tournament, and dies after it",
        ),
        ("(P + 1)*(1 - (1 - 1/P)^k)", "one cycle too many: after P cycles P younger ones have joined"),
        ("P*(1 - 1/P)^k", "this is the chance that it is not drawn: it has no child then"),
        ("P*(1/P)^k", "it need not be drawn k times: once is enough to win"),
        ("P*(1 - (1 - k/P))", "drawn with replacement: the chance to be missed is a power"),
        ("P", "it is a parent only in cycles in which it is drawn"),
    ]
    return _formula(answer, "P - P*(1 - 1/P)^k", mistakes, P=(3, 60), k=(1, 20))


def balanced_bonus(answer):
    """Check problem 3: the weight of the entropy that balances it with the score."""
    mistakes = [
        ("-d/log((N - k)/k)", "the sign: with a bonus below 0 it would prefer few candidates"),
        ("d*log((N - k)/k)", "exp(d/lambda) is the ratio, so lambda is d over its logarithm"),
        ("log((N - k)/k)/d", "upside down: exp(d/lambda) is the ratio"),
        ("d/log(N/k)", "k of the N are the good ones: N - k are not"),
        ("d/log(N - k)", "this is for a single good candidate: there are k"),
        ("d/log(N)", "this is for a single good candidate: there are k, and N - k others"),
        ("d", "there are more others than good ones, so a good one has to be more likely than by a factor e"),
        ("d/log(2)", "every second draw: compare all k good ones with all N - k others"),
        ("log(N/k - 1)", "where is d?"),
    ]
    return _formula(answer, "d/log(N/k - 1)", mistakes, N=(250, 900), k=(2, 100), d=(0.05, 0.5))


def expected_truth(answer):
    """Check problem 4: the expected true score."""
    mistakes = [
        ("m", "the new scores have luck in them as well, and y says something too"),
        ("(y + R*m)/(R + 1)", "the mean of all scores has luck in it: what stands out is partly noise"),
        (
            "mu + (m - mu)*V/(V + W/R)",
            "y counts too: the density of t given all scores does not know why you looked",
        ),
        ("mu + (y - mu)*V/(V + W)", "the R new scores count as well"),
        (
            "mu + ((y + m)/2 - mu)*V/(V + W/2)",
            "m stands for R scores: it weighs R times as much as y",
        ),
        (
            "mu + ((y + R*m)/(R + 1) - mu)*V/(V + W)",
            "the mean of R + 1 scores has the noise W/(R + 1)",
        ),
        (
            "mu + ((y + R*m)/(R + 1) - mu)*V/(V + W/R)",
            "y and m together are R + 1 scores, with the noise W/(R + 1)",
        ),
        ("(y + R*m)/(R + 1)*V/(V + W/(R + 1))", "it shrinks towards mu, not towards 0"),
        (
            "mu + ((y + R*m)/(R + 1) - mu)*W/((R + 1)*V + W)",
            "this is the share of the noise: with more noise it has to shrink more",
        ),
        (
            "mu + ((y + R*m)/(R + 1) - mu)*sqrt(V/(V + W/(R + 1)))",
            "c is a covariance over a variance: no root",
        ),
    ]
    span = {"mu": (-2, 2), "V": (0.2, 2), "W": (0.2, 2), "R": (1.5, 8), "y": (-2, 4), "m": (-3, 3)}
    return _formula(answer, "(mu/V + (y + R*m)/W)/(1/V + (R + 1)/W)", mistakes, **span)


def better(answer):
    """Check problem 4: probability that the better-looking candidate is better."""
    mistakes = [
        ("Phi(d/sqrt(2*W))", "this takes every true difference for equally likely: V counts too"),
        ("Phi(d/sqrt(2*V + 2*W))", "this is the spread of the observed difference: condition on it"),
        ("Phi(d/sqrt(W))", "both scores have noise, and V counts too"),
        ("Phi(d*V/(V + W)/sqrt(2*V))", "given d, the true difference varies less than before: by 2V - 2cV"),
        ("Phi(d/sqrt(2*V*W/(V + W)))", "the expected true difference is smaller than d: c = V/(V + W)"),
        (
            "Phi(d*sqrt(V/(W*(V + W))))",
            "there are two candidates: the difference has the variances 2V and 2W",
        ),
        ("Phi(d*V/(2*W*(V + W)))", "divide by the standard deviation, not by the variance"),
        ("Phi(-d*sqrt(V/(2*W*(V + W))))", "the sign: this is the probability that the other one is better"),
        ("d*V/(V + W)", "this is the expected true difference: now the probability that it is above 0"),
        ("V/(V + W)", "this is c; a larger d has to make it more probable"),
    ]
    right = "Phi(d/sqrt(2*(W + W^2/V)))"
    return _formula(answer, right, mistakes, d=(0.1, 2), V=(0.2, 2), W=(0.2, 2))
