"""Variants of the answers to assignment 04: honest mistakes, and right answers written differently."""

from selfgated.grading.mutation import Variant

GATE = "sigma(z + c*softplus(z - log(2)))"
INNER = "(1 + c*sigma(z - log(2)))"


def formula(name, text):
    return f'def {name}():\n    return "{text}"\n'


def tails(left="(c/2 - 1)*z*exp(2*z)", right="2^c*z*exp(-(1 + c)*z)"):
    return formula("left_tail", left) + "\n\n" + formula("right_tail", right)


PROBLEM_1 = [
    Variant("p1", "the gate alone", {"p1-test": 3}, formula("family_slope", GATE)),
    Variant(
        "p1",
        "no chain rule for the logit",
        {"p1-test": 3},
        formula("family_slope", f"{GATE} + z*{GATE}*(1 - {GATE})"),
    ),
    Variant(
        "p1",
        "minus in the product rule",
        {"p1-test": 3},
        formula("family_slope", f"{GATE} - z*{GATE}*(1 - {GATE})*{INNER}"),
    ),
    Variant(
        "p1",
        "the slope of the softplus without c",
        {"p1-test": 3},
        formula("family_slope", f"{GATE} + z*{GATE}*(1 - {GATE})*(1 + sigma(z - log(2)))"),
    ),
    Variant("p1", "an unknown symbol", {"p1-test": 3}, formula("family_slope", "g + z*g*(1 - g)*(1 + c*h)")),
    Variant("p1", "an implicit product", {"p1-test": 3}, formula("family_slope", f"{GATE} + z {GATE}")),
    Variant(
        "p1",
        "the slope of Mish, c forgotten",
        {"p1-test": 3},
        formula("family_slope", "tanh(softplus(z)) + z*sigma(z)*(1 - tanh(softplus(z))^2)"),
    ),
    Variant(
        "p1",
        "by the odds",
        {},
        """def family_slope():
    odds = "(exp(z)*(1 + exp(z)/2)^c)"
    return f"{odds}/(1 + {odds}) + z*{odds}/(1 + {odds})**2*(1 + c*exp(z)/(exp(z) + 2))"
""",
    ),
    Variant(
        "p1",
        "tanh in place of sigma",
        {},
        """def family_slope():
    L = "(z + c*log(1 + exp(z)/2))"
    return f"0.5 + 0.5*tanh({L}/2) + z/4*(1 - tanh({L}/2)^2)*(1 + c - c/(1 + exp(z)/2))"
""",
    ),
]

PROBLEM_2 = [
    Variant("p2", "the odds taken for the gate", {"p2-test": 2}, tails(left="c/2*z*exp(2*z)")),
    Variant("p2", "sign of the left tail", {"p2-test": 2}, tails(left="(1 - c/2)*z*exp(2*z)")),
    Variant("p2", "no power of 2 on the right", {"p2-test": 2}, tails(right="z*exp(-(1 + c)*z)")),
    Variant(
        "p2",
        "1 - gate, and the odds",
        {"p2-test": 4},
        tails("c*exp(2*z)/2", "2^c*exp(-(1 + c)*z)"),
    ),
    Variant(
        "p2",
        "the tails of the chapter: Mish only",
        {"p2-test": 4},
        tails("-z*exp(2*z)/2", "2*z*exp(-2*z)"),
    ),
    Variant("p2", "not one term but the exact tail", {"p2-test": 2}, tails(right=f"z - z*{GATE}")),
    Variant("p2", "the wrong power of 2", {"p2-test": 2}, tails(right="z*exp(-(1 + c)*z)/2^c")),
    Variant("p2", "sum of two terms", {}, tails("z*exp(2*z)*c/2 - z*exp(z)^2", "z*exp(-z)*(2*exp(-z))**c")),
    Variant("p2", "by exp and log", {}, tails("-(2 - c)/2*z*exp(z + z)", "z/exp(z + c*(z - log(2)))")),
]

SIGMA = """    def sigma(x):
        small = np.exp(-np.abs(x))
        return np.where(x >= 0, 1, small) / (1 + small)

"""


def slope(*lines, sigma=SIGMA):
    return "def family_grad(z, c):\n" + sigma + "".join(f"    {line}\n" for line in lines)


LOGIT = "L, t = z + c * np.logaddexp(0, z - 0.6931471805599453), z - 0.6931471805599453"
WHOLE = "return sigma(L) + z * sigma(L) * sigma(-L) * (1 + c * sigma(t))"
PROBLEM_3 = [
    Variant("p3", "the gate alone", {"p3-test": 4}, slope(LOGIT, "return sigma(L)")),
    Variant(
        "p3", "no chain rule", {"p3-test": 4}, slope(LOGIT, "return sigma(L) + z * sigma(L) * sigma(-L)")
    ),
    Variant("p3", "c is ignored", {"p3-test": 4}, slope("c = 1.0", LOGIT, WHOLE)),
    Variant(
        "p3",
        "np.log(2) loses float32",
        {"p3-test": 1},
        slope("t = z - np.log(2)", "L = z + c * np.logaddexp(0, t)", WHOLE),
    ),
    Variant(
        "p3",
        "overflow at 1000: exp(L)/(1 + exp(L))",
        {"p3-test": 2},
        slope(LOGIT, WHOLE, sigma="    def sigma(x):\n        return np.exp(x) / (1 + np.exp(x))\n\n"),
    ),
    Variant(
        "p3",
        "a warning at -1000: 1/(1 + exp(-L))",
        {"p3-test": 1},
        slope(LOGIT, WHOLE, sigma="    def sigma(x):\n        return 1 / (1 + np.exp(-x))\n\n"),
    ),
    Variant(
        "p3",
        "digits of the left tail lost: 1 + tanh",
        {"p3-test": 1},
        slope(LOGIT, WHOLE, sigma="    def sigma(x):\n        return (1 + np.tanh(x / 2)) / 2\n\n"),
    ),
    Variant(
        "p3", "changes its input", {"p3-test": 1}, slope(LOGIT, "s = " + WHOLE[7:], "z *= 0", "return s")
    ),
    Variant(
        "p3",
        "flattens its input",
        {"p3-test": 1},
        slope("z = np.ravel(z)", LOGIT, WHOLE),
    ),
    Variant(
        "p3",
        "a single float32 number becomes a float64 number",
        {"p3-test": 1},
        slope(LOGIT, "s = " + WHOLE[7:], "return s if z.ndim else float(s)"),
    ),
    Variant(
        "p3",
        "expit of SciPy",
        {},
        """from scipy.special import expit


def family_grad(z, c):
    t = z - 0.6931471805599453
    L = z + c * np.logaddexp(0, t)
    return expit(L) * (1 + z * expit(-L) * (1 + c * expit(t)))
""",
    ),
    Variant(
        "p3",
        "central difference",
        {"p3-test": 4},
        slope(
            "def f(z):",
            "    return z * sigma(z + c * np.logaddexp(0, z - 0.6931471805599453))",
            "",
            "return (f(z + 1e-5) - f(z - 1e-5)) / 2e-5",
        ),
    ),
    Variant(
        "p3",
        "by the odds, in two halves",
        {},
        """def family_grad(z, c):
    w = np.exp(-np.abs(z))
    left, right = w * (1 + w / 2) ** c, w * (2 * w / (1 + 2 * w)) ** c
    gate = np.where(z < 0, left / (1 + left), 1 / (1 + right))
    shut = np.where(z < 0, 1 / (1 + left), right / (1 + right))
    inner = 1 + c * np.where(z < 0, w / (2 + w), 1 / (1 + 2 * w))
    return gate * (1 + z * shut * inner)
""",
    ),
    Variant(
        "p3",
        "by logarithms of the gate",
        {},
        """def family_grad(z, c):
    shifted = z - z.dtype.type(np.log(2))
    logit = z + c * np.logaddexp(0, shifted)
    gate = np.exp(-np.logaddexp(0, -logit))
    closed = np.exp(-np.logaddexp(0, logit))
    return gate * (1 + z * closed * (1 + c * np.exp(-np.logaddexp(0, -shifted))))
""",
    ),
]

HALVING = """
    low, high = -10.0, 0.0
    for _ in range(80):
        middle = (low + high) / 2
        if s(middle) < 0:
            low = middle
        else:
            high = middle
"""
TOOLS = """    def f(z):
        return z / (1 + np.exp(-z) * (1 + np.exp(z) / 2) ** -c)

    def s(z):
        return float(family_grad(np.array(z), c))
"""


def lowest(body, end="return high, float(f(high))"):
    return f"def dip(c):\n{TOOLS}{body}    {end}\n"


PROBLEM_4 = [
    Variant(
        "p4",
        "a scan of f",
        {"p4-test": 4},
        lowest("    z = np.linspace(-10, 0, 20001)\n", "return z[f(z).argmin()], f(z).min()"),
    ),
    Variant(
        "p4",
        "least value by minimize_scalar: 8 digits",
        {"p4-test": 2},
        lowest(
            "    from scipy.optimize import minimize_scalar\n\n"
            "    found = minimize_scalar(f, bounds=(-3, 0), method='bounded', options={'xatol': 1e-12})\n",
            "return float(found.x), float(found.fun)",
        ),
    ),
    Variant("p4", "the pair exchanged", {"p4-test": 4}, lowest(HALVING, "return float(f(high)), high")),
    Variant("p4", "the place alone", {"p4-test": 4}, lowest(HALVING, "return high")),
    Variant("p4", "the slope in place of the value", {"p4-test": 2}, lowest(HALVING, "return high, s(high)")),
    Variant("p4", "c is ignored", {"p4-test": 4}, lowest("    c = 1.0\n" + HALVING)),
    Variant(
        "p4",
        "the minima of Swish and Mish, hard-coded",
        {"p4-test": 4},
        "def dip(c):\n"
        "    known = {0.0: (-1.2784645427610738, -0.2784645427610738),"
        " 1.0: (-1.1924312145154952, -0.3088434130172504)}\n"
        "    return known[min(known, key=lambda k: abs(k - c))]\n",
    ),
    Variant(
        "p4",
        "24 halvings",
        {"p4-test": 2},
        lowest(HALVING.replace("80", "24")),
    ),
    Variant("p4", "bisection of family_grad", {}, lowest(HALVING)),
    Variant(
        "p4",
        "brentq of SciPy",
        {},
        lowest(
            "    from scipy.optimize import brentq\n\n    high = brentq(s, -10, 0, xtol=1e-14, rtol=1e-14)\n"
        ),
    ),
]

PROBLEM_5 = [
    Variant(
        "p5",
        "the excess without the truth",
        {"p5-test": 3},
        formula("exaggeration", "phi(k - s)/(s*Phi(s - k))"),
    ),
    Variant("p5", "not conditional", {"p5-test": 3}, formula("exaggeration", "1 + phi(k - s)/s")),
    Variant("p5", "in units of tau", {"p5-test": 3}, formula("exaggeration", "s + phi(k - s)/Phi(s - k)")),
    Variant("p5", "the wrong tail", {"p5-test": 3}, formula("exaggeration", "1 + phi(k - s)/(s*Phi(k - s))")),
    Variant("p5", "sign", {"p5-test": 3}, formula("exaggeration", "1 - phi(k - s)/(s*Phi(s - k))")),
    Variant(
        "p5",
        "k = 1.96 put in",
        {"p5-test": 3},
        formula("exaggeration", "1 + phi(1.96 - s)/(s*Phi(s - 1.96))"),
    ),
    Variant("p5", "the symbols of the text", {"p5-test": 3}, formula("exaggeration", "1 + tau/delta")),
    Variant("p5", "no formula", {"p5-test": 3}, "def exaggeration():\n    return 1.88\n"),
    Variant(
        "p5",
        "by the exponential",
        {},
        formula("exaggeration", "1 + exp(-(k - s)^2/2)/(s*sqrt(2*pi)*(1 - Phi(k - s)))"),
    ),
    Variant("p5", "one fraction", {}, formula("exaggeration", "(s*Phi(s - k) + phi(s - k))/(s*Phi(s - k))")),
]


def study(test, won="(p < 0.05) & (gap > 0)", end="float(won.mean()), float(gap[won].mean())", first=""):
    return f"""def winners(a, b):
    {first or "pass"}
    gap = a.mean(axis=1) - b.mean(axis=1)
    p = {test}
    won = {won}
    if not won.any():
        return 0.0, float("nan")
    return {end}
"""


WELCH = "stats.ttest_ind(a, b, axis=1, equal_var=False).pvalue"
PROBLEM_6 = [
    Variant("p6", "equal variances assumed", {"p6-test": 2}, study("stats.ttest_ind(a, b, axis=1).pvalue")),
    Variant(
        "p6",
        "one-sided test",
        {"p6-test": 2},
        study("stats.ttest_ind(a, b, axis=1, equal_var=False, alternative='greater').pvalue"),
    ),
    Variant("p6", "losses counted too", {"p6-test": 2}, study(WELCH, won="p < 0.05")),
    Variant(
        "p6",
        "gap of all studies",
        {"p6-test": 2},
        study(WELCH, end="float(won.mean()), float(gap.mean())"),
    ),
    Variant(
        "p6",
        "0 where there is no study",
        {"p6-test": 1},
        study(WELCH).replace('float("nan")', "0.0"),
    ),
    Variant("p6", "nobody ever wins", {"p6-test": 3}, "def winners(a, b):\n    return 0.0, np.nan\n"),
    Variant(
        "p6",
        "nan as the mean of no gap, with a warning",
        {},
        """def winners(a, b):
    found = stats.ttest_ind(a, b, axis=1, equal_var=False)
    won = (found.pvalue < 0.05) & (found.statistic > 0)
    return np.mean(won), (a.mean(axis=1) - b.mean(axis=1))[won].mean()
""",
    ),
    Variant(
        "p6",
        "a pairing that needs n = m",
        {"p6-test": 2},
        study("stats.ttest_rel(a, b, axis=1).pvalue"),
    ),
    Variant(
        "p6",
        "right only for n = m: pooled standard error",
        {"p6-test": 2},
        study(
            "2 * stats.t.sf(abs(gap) / np.sqrt((a.var(1, ddof=1) + b.var(1, ddof=1)) / a.shape[1]), "
            "2 * a.shape[1] - 2)"
        ),
    ),
    Variant(
        "p6",
        "a loop over the studies",
        {},
        """def winners(a, b):
    found = []
    for x, y in zip(a, b):
        vx, vy = x.var(ddof=1) / len(x), y.var(ddof=1) / len(y)
        df = (vx + vy) ** 2 / (vx**2 / (len(x) - 1) + vy**2 / (len(y) - 1))
        t = (x.mean() - y.mean()) / (vx + vy) ** 0.5
        if t > 0 and 2 * stats.t.sf(t, df) < 0.05:
            found.append(x.mean() - y.mean())
    return len(found) / len(a), sum(found) / len(found) if found else np.nan
""",
    ),
    Variant(
        "p6",
        "the formula of Welch and Satterthwaite",
        {},
        """def winners(a, b):
    n, m = a.shape[1], b.shape[1]
    va, vb = a.var(axis=1, ddof=1) / n, b.var(axis=1, ddof=1) / m
    gap = a.mean(axis=1) - b.mean(axis=1)
    df = (va + vb) ** 2 / (va**2 / (n - 1) + vb**2 / (m - 1))
    won = gap > stats.t.ppf(0.975, df) * np.sqrt(va + vb)
    return won.mean(), gap[won].mean() if won.any() else np.nan
""",
    ),
]

VARIANTS = PROBLEM_1 + PROBLEM_2 + PROBLEM_3 + PROBLEM_4 + PROBLEM_5 + PROBLEM_6
