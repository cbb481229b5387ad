"""Variants of the answers to assignment 09: honest mistakes, and right answers written differently."""

from selfgated.grading.mutation import Variant

P1 = """
def sine_second():
    return "(1 - exp(-2*q))/2"


def sine_slope_second():
    return "(1 + exp(-2*q))/2"


def threshold_second():
    return "2*((1 + t^2)*(1 - Phi(t)) - t*phi(t))"
"""

RULE = """
def gaussian_rule(q, kinks):
    size = np.sqrt(q)
    end = 12 * size
    inside = [kink for kink in kinks if -end < kink < end]
    ends = np.unique(np.concatenate([np.linspace(-end, end, 25 + int(2 * end)), inside]))
    x, v = np.polynomial.legendre.leggauss(20)
    half = np.diff(ends)[:, None] / 2
    z = ((ends[:-1] + ends[1:])[:, None] / 2 + half * x).ravel()
    density = np.exp(-(z**2) / (2 * q)) / np.sqrt(2 * np.pi * q)
    return z, (half * v).ravel() * density
"""

HERMITE = """
def gaussian_rule(q, kinks):
    x, v = np.polynomial.hermite.hermgauss(150)
    return np.sqrt(2 * q) * x, v / np.sqrt(np.pi)
"""

SCALED = """
def gaussian_rule(q, kinks):
    s = q**0.5
    ends = sorted({-11.0, 11.0, *(k / s for k in kinks if abs(k) < 11 * s), *np.arange(-220, 221) / 20.0})
    x, v = np.polynomial.legendre.leggauss(30)
    u, w = [], []
    for a, b in zip(ends, ends[1:]):
        u.append((a + b + (b - a) * x) / 2)
        w.append((b - a) / 2 * v * np.exp(-(u[-1] ** 2) / 2))
    return s * np.concatenate(u), np.concatenate(w) / np.sqrt(2 * np.pi)
"""

CLIPPED = """
def gaussian_rule(q, kinks):
    end = 10 * np.sqrt(q)
    ends = np.sort(np.clip([*np.linspace(-end, end, 301), *kinks], -end, end))
    x, v = np.polynomial.legendre.leggauss(12)
    width = np.diff(ends)
    z = ends[:-1, None] + width[:, None] * (1 + x) / 2
    w = width[:, None] / 2 * v * np.exp(-z * z / q / 2)
    keep = width > 0
    z, w = z[keep].ravel(), w[keep].ravel()
    return [z, w / w.sum()]
"""

MIDPOINTS = """
def gaussian_rule(q, kinks):
    end = 9 * np.sqrt(q)
    step = 2 * end / 20000
    z = -end + step * (np.arange(20000) + 0.5)
    return z, step * np.exp(-z * z / (2 * q)) / np.sqrt(2 * np.pi * q)
"""

LAYERS = """
def sine_layers(depth, sigma_w2, sigma_b2, q1):
    q = np.empty(depth)
    q[0] = q1
    for index in range(1, depth):
        q[index] = -sigma_w2 * np.expm1(-2 * q[index - 1]) / 2 + sigma_b2
    log_chi = np.log(sigma_w2) + np.log1p(np.expm1(-2 * q[:-1]) / 2)
    return q, np.append(np.cumsum(log_chi[::-1])[::-1] / 2, 0.0)


"""

DIES = """
def dies_after(sigma_w2, factor):
    q, chi, depth = 1.0, 1.0, 1
    while chi > factor**-2.0:
        if depth == 100_000:
            return None
        chi *= sigma_w2 * (1 + math.exp(-2 * q)) / 2
        q = sigma_w2 * (1 - math.exp(-2 * q)) / 2
        depth += 1
    return depth
"""

RECURSIVE = """
def sine_layers(depth, sigma_w2, sigma_b2, q1):
    q = [q1]
    for _ in range(depth - 1):
        q.append(sigma_w2 * math.sinh(q[-1]) * math.exp(-q[-1]) + sigma_b2)
    sizes = [0.0]
    for value in q[-2::-1]:
        sizes.insert(0, sizes[0] + 0.5 * math.log(sigma_w2 * math.cosh(value) * math.exp(-value)))
    return [np.array(q), np.array(sizes)]


"""

PRODUCT = """
def sine_layers(depth, sigma_w2, sigma_b2, q1):
    q, size = np.full(depth, q1), np.ones(depth)
    for l in range(1, depth):
        q[l] = -sigma_w2 * np.expm1(-2 * q[l - 1]) / 2 + sigma_b2
    for l in range(depth - 2, -1, -1):
        size[l] = size[l + 1] * np.sqrt(sigma_w2 * (1 + np.exp(-2 * q[l])) / 2)
    return q, np.log(size)


"""

P4 = """
def edge_weight():
    return "2/(1 + exp(-2*q))"


def edge_bias():
    return "q - tanh(q)"


def edge_slope():
    return "1 - tanh(q)"


def edge_gap():
    return "2/(q*tanh(q))"
"""

P5 = """
def wave_second():
    return "q + 2*a*q*exp(-q/2) + a^2*(1 - exp(-2*q))/2"


def fixed_points(a, sigma_w2):
    def excess(q):
        waves = 2 * a * np.exp(-q / 2) - a**2 * np.expm1(-2 * q) / (2 * q)
        return sigma_w2 * (1 + waves) - 1

    grid = np.geomspace(0.005, 200.0, 4000)
    above = excess(grid) > 0
    found = []
    for i in np.flatnonzero(above[1:] != above[:-1]):
        low, high = grid[i], grid[i + 1]
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if (excess(middle) > 0) == above[i] else (low, middle)
        found.append((float(low), bool(above[i])))
    return found
"""

HALVING = """        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if (excess(middle) > 0) == above[i] else (low, middle)
"""

NEWTON = """        for _ in range(30):
            step = 1e-6 * low
            low -= 2 * step * excess(low) / (excess(low + step) - excess(low - step))
"""

BY_SLOPE = """
def wave_second():
    return "q*(1 + 2*a*exp(-q/2)) + a*a*exp(-q)*sinh(q)"


def V(q, a, s):
    return s * (q + 2 * a * q * math.exp(-q / 2) + a * a * (1 - math.exp(-2 * q)) / 2)


def fixed_points(a, sigma_w2):
    found, q = [], 0.008
    while q < 130:
        low, high = q, 1.004 * q
        sign = V(low, a, sigma_w2) > low
        if sign != (V(high, a, sigma_w2) > high):
            while high - low > 1e-13 * low:
                middle = math.sqrt(low * high)
                if (V(middle, a, sigma_w2) > middle) == sign:
                    low = middle
                else:
                    high = middle
                if middle in (low, high) and high - low < 4e-13 * low:
                    break
            slope = (V(1.0001 * low, a, sigma_w2) - V(0.9999 * low, a, sigma_w2)) / (2e-4 * low)
            found.append([low, abs(slope) < 1])
        q *= 1.004
    return found
"""

ITERATED = """
def wave_second():
    return "q + 2*a*q*exp(-q/2) + a^2*(1 - exp(-2*q))/2"


def fixed_points(a, sigma_w2):
    q = 1.0
    for _ in range(5000):
        q = sigma_w2 * (q + 2 * a * q * np.exp(-q / 2) + a**2 * (1 - np.exp(-2 * q)) / 2)
    return [(float(q), True)] if 1e-6 < q < 1e6 else []
"""


def edited(source, *pairs):
    """`source` with each old text replaced by its new one; every old text must occur once."""
    for old, new in pairs:
        if source.count(old) != 1:
            raise ValueError(f"{old!r} occurs {source.count(old)} times")
        source = source.replace(old, new)
    return source


BOTH = {"p3-test": 2, "p3-test2": 2}

VARIANTS = [
    Variant(
        "p1",
        "sine and cosine exchanged",
        {"p1-test": 2},
        edited(P1, ("1 - exp", "1 + exp")).replace(
            'slope_second():\n    return "(1 + exp', 'slope_second():\n    return "(1 - exp'
        ),
    ),
    Variant("p1", "the angle is not doubled", {"p1-test": 2}, P1.replace("exp(-2*q)", "exp(-q/2)")),
    Variant(
        "p1",
        "the factor 1/2 of sin squared is missing",
        {"p1-test": 1},
        edited(P1, ("(1 - exp(-2*q))/2", "1 - exp(-2*q)")),
    ),
    Variant(
        "p1", "the square of the mean slope", {"p1-test": 1}, edited(P1, ("(1 + exp(-2*q))/2", "exp(-q)"))
    ),
    Variant(
        "p1",
        "one side of the threshold",
        {"p1-test": 2},
        edited(P1, ('"2*((1 + t^2)*(1 - Phi(t)) - t*phi(t))"', '"(1 + t^2)*(1 - Phi(t)) - t*phi(t)"')),
    ),
    Variant("p1", "the sign of t phi(t)", {"p1-test": 2}, edited(P1, ("- t*phi(t)", "+ t*phi(t)"))),
    Variant("p1", "a text that is no formula", {"p1-test": 2}, edited(P1, ("2*((1 + t^2)", "2((1 + t^2)"))),
    Variant("p1", "an unknown symbol", {"p1-test": 1}, edited(P1, ("1 - exp(-2*q)", "1 - exp(-2*sigma_w)"))),
    Variant(
        "p1",
        "right: hyperbolic functions",
        {},
        edited(P1, ("(1 - exp(-2*q))/2", "sinh(q)/exp(q)"), ("(1 + exp(-2*q))/2", "cosh(q)/exp(q)")),
    ),
    Variant(
        "p1",
        "right: the left tail of Phi",
        {},
        edited(P1, ("(1 + t^2)*(1 - Phi(t)) - t*phi(t)", "Phi(-t) + t^2*Phi(-t) - t*exp(-t^2/2)/sqrt(2*pi)")),
    ),
    Variant("p2", "Gauss-Hermite, blind to kinks", {"p2-test": 4}, HERMITE),
    Variant("p2", "no panel ends at a kink", {"p2-test": 3}, edited(RULE, (", inside]", ", []]"))),
    Variant("p2", "midpoints, blind to kinks", {"p2-test": 3}, MIDPOINTS),
    Variant(
        "p2",
        "the variance taken for the standard deviation",
        {"p2-test": 4},
        edited(
            RULE,
            ("np.sqrt(q)\n", "q\n"),
            ("-(z**2) / (2 * q)", "-(z**2) / (2 * q * q)"),
            ("2 * np.pi * q)", "2 * np.pi) / q"),
        ),
    ),
    Variant(
        "p2", "tails cut at five standard deviations", {"p2-test": 4}, edited(RULE, ("12 * size", "5 * size"))
    ),
    Variant("p2", "kinks far out are kept", {"p2-test": 1}, edited(RULE, (" if -end < kink < end", ""))),
    Variant("p2", "panel ends are not sorted", {"p2-test": 3}, edited(RULE, ("np.unique(", "("))),
    Variant(
        "p2",
        "closed panels: nodes on the kinks",
        {"p2-test": 3},
        edited(
            RULE,
            (
                "leggauss(20)\n",
                "leggauss(20)\n    x = np.append(x, 1.0)\n    v = np.append(v, 0.0)\n",
            ),
        ),
    ),
    Variant("p2", "too many nodes", {"p2-test": 4}, edited(RULE, ("25 + int(2 * end)", "1500"))),
    Variant(
        "p2",
        "weights as a column",
        {"p2-test": 4},
        edited(RULE, (".ravel() * density", ".ravel()[:, None] * density[:, None]")),
    ),
    Variant("p2", "right: scaled by the standard deviation", {}, SCALED),
    Variant("p2", "right: kinks clipped to the ends, weights normalised", {}, CLIPPED),
    Variant(
        "p2",
        "right: the two rows of an array",
        {},
        edited(
            RULE,
            ("return z, (half * v).ravel() * density", "return np.stack([z, (half * v).ravel() * density])"),
        ),
    ),
    Variant(
        "p3",
        "begins with the variance of layer 2",
        {"p3-test": 2},
        edited(
            LAYERS, ("return q,", "return np.append(q[1:], -sigma_w2 * np.expm1(-2 * q[-1]) / 2 + sigma_b2),")
        )
        + DIES,
    ),
    Variant("p3", "no biases", {"p3-test": 3}, edited(LAYERS, (" + sigma_b2", "")) + DIES),
    Variant(
        "p3",
        "small signals lose their digits",
        {"p3-test": 1},
        edited(
            LAYERS,
            ("-sigma_w2 * np.expm1(-2 * q[index - 1]) / 2", "sigma_w2 * (1 - np.exp(-2 * q[index - 1])) / 2"),
        )
        + DIES,
    ),
    Variant("p3", "a product that underflows", {"p3-test": 1}, PRODUCT + DIES),
    Variant(
        "p3",
        "chi for its root",
        {"p3-test": 2, "p3-test2": 2},
        edited(LAYERS, ("[::-1] / 2", "[::-1]")) + edited(DIES, ("factor**-2.0", "1 / factor")),
    ),
    Variant(
        "p3",
        "the gradient runs from the front",
        {"p3-test": 2},
        edited(
            LAYERS,
            ("np.append(np.cumsum(log_chi[::-1])[::-1] / 2, 0.0)", "np.append(0.0, np.cumsum(log_chi) / 2)"),
        )
        + DIES,
    ),
    Variant(
        "p3",
        "the last layer has a factor too",
        {"p3-test": 2},
        edited(
            LAYERS,
            ("q[:-1]) / 2)", "q) / 2)"),
            ("np.append(np.cumsum(log_chi[::-1])[::-1] / 2, 0.0)", "np.cumsum(log_chi[::-1])[::-1] / 2"),
        )
        + DIES,
    ),
    Variant(
        "p3",
        "the size and not its logarithm",
        {"p3-test": 2},
        edited(
            LAYERS,
            (
                "np.append(np.cumsum(log_chi[::-1])[::-1] / 2, 0.0)",
                "np.exp(np.append(np.cumsum(log_chi[::-1])[::-1] / 2, 0.0))",
            ),
        )
        + DIES,
    ),
    Variant(
        "p3",
        "counts factors, not layers",
        {"p3-test2": 2},
        LAYERS + edited(DIES, ("return depth", "return depth - 1")),
    ),
    Variant(
        "p3",
        "chi of the first layer for all",
        {"p3-test2": 2},
        LAYERS + edited(DIES, ("        q = sigma_w2 * (1 - math.exp(-2 * q)) / 2\n", "")),
    ),
    Variant(
        "p3", "stops after a thousand layers", {"p3-test2": 1}, LAYERS + edited(DIES, ("100_000", "1000"))
    ),
    Variant("p3", "None is missing", {"p3-test2": 1}, LAYERS + edited(DIES, ("return None", "return depth"))),
    Variant("p3", "right: hyperbolic functions, lists", {}, RECURSIVE + DIES),
    Variant(
        "p3",
        "right: the two rows of an array",
        {},
        edited(
            LAYERS,
            (
                "return q, np.append(np.cumsum(log_chi[::-1])[::-1] / 2, 0.0)",
                "return np.array([q, np.append(np.cumsum(log_chi[::-1])[::-1] / 2, 0.0)])",
            ),
        )
        + DIES,
    ),
    Variant(
        "p3",
        "right: one pass with logarithms",
        {},
        edited(
            LAYERS,
            (
                "-sigma_w2 * np.expm1(-2 * q[index - 1]) / 2",
                "sigma_w2 * np.exp(-q[index - 1]) * np.sinh(q[index - 1])",
            ),
        )
        + edited(
            DIES,
            ("q, chi, depth = 1.0, 1.0, 1", "q, chi, depth = 1.0, 0.0, 1"),
            ("factor**-2.0", "-2 * math.log(factor)"),
            (
                "chi *= sigma_w2 * (1 + math.exp(-2 * q)) / 2",
                "chi += math.log(sigma_w2 / 2 * (1 + math.exp(-2 * q)))",
            ),
        ),
    ),
    Variant(
        "p4", "the forward gain for the backward one", {"p4-test": 1}, edited(P4, ("1 + exp", "1 - exp"))
    ),
    Variant(
        "p4",
        "the reciprocal of the weights' variance",
        {"p4-test": 1},
        edited(P4, ("2/(1 + exp(-2*q))", "(1 + exp(-2*q))/2")),
    ),
    Variant(
        "p4", "the sign of the biases' variance", {"p4-test": 1}, edited(P4, ("q - tanh(q)", "tanh(q) - q"))
    ),
    Variant("p4", "chi taken for the slope of the map", {"p4-test": 1}, edited(P4, ("1 - tanh(q)", "1"))),
    Variant(
        "p4",
        "the weights differentiated as well",
        {"p4-test": 1},
        edited(P4, ("1 - tanh(q)", "1 - tanh(q)^2")),
    ),
    Variant(
        "p4",
        "the growth of 1/gamma for gamma",
        {"p4-test": 1},
        edited(P4, ("2/(q*tanh(q))", "q*tanh(q)/2")),
    ),
    Variant(
        "p4", "the factor q is missing in C''", {"p4-test": 1}, edited(P4, ("2/(q*tanh(q))", "2/tanh(q)"))
    ),
    Variant("p4", "an unknown function", {"p4-test": 1}, edited(P4, ("2/(q*tanh(q))", "2*coth(q)/q"))),
    Variant(
        "p4",
        "right: exponentials",
        {},
        edited(
            P4,
            ("q - tanh(q)", "q - (exp(2*q) - 1)/(exp(2*q) + 1)"),
            ("1 - tanh(q)", "2/(1 + exp(2*q))"),
            ("2/(q*tanh(q))", "2/q*(1 + exp(-2*q))/(1 - exp(-2*q))"),
        ),
    ),
    Variant(
        "p4",
        "right: with tanh throughout",
        {},
        edited(P4, ("2/(1 + exp(-2*q))", "1 + tanh(q)"), ("2/(q*tanh(q))", "cosh(q)/sinh(q)*2/q")),
    ),
    Variant(
        "p5",
        "the mixed term is missing",
        {"p5-test": 1},
        edited(P5, ("q + 2*a*q*exp(-q/2) + a^2", "q + a^2")),
    ),
    Variant(
        "p5",
        "the factor q of the mixed term is missing",
        {"p5-test": 1},
        edited(P5, ("2*a*q*exp", "2*a*exp")),
    ),
    Variant(
        "p5",
        "a is not squared, in the formula and in code",
        {"p5-test": 4},
        edited(P5, ("a^2", "a"), ("a**2", "a")),
    ),
    Variant("p5", "the sign of a in code", {"p5-test": 3}, edited(P5, ("waves = 2 * a", "waves = -2 * a"))),
    Variant("p5", "only where an iteration from 1 ends", {"p5-test": 3}, ITERATED),
    Variant("p5", "a grid too coarse for neighbours", {"p5-test": 3}, edited(P5, ("4000", "9"))),
    Variant("p5", "the grid ends at 10", {"p5-test": 3}, edited(P5, ("200.0", "10.0"))),
    Variant("p5", "crossings are not refined", {"p5-test": 2}, edited(P5, ("range(60)", "range(3)"))),
    Variant(
        "p5",
        "zero is listed as well",
        {"p5-test": 3},
        edited(P5, ("found = []", "found = [(0.0, bool(sigma_w2 * (1 + a) ** 2 < 1))]")),
    ),
    Variant(
        "p5",
        "stable and unstable exchanged",
        {"p5-test": 1},
        edited(P5, ("bool(above[i])", "bool(not above[i])")),
    ),
    Variant("p5", "all are called stable", {"p5-test": 1}, edited(P5, ("bool(above[i])", "True"))),
    Variant("p5", "stable as 1 and 0", {"p5-test": 1}, edited(P5, ("bool(above[i])", "int(above[i])"))),
    Variant("p5", "right: bisection of V(q) = q, slope by differences", {}, BY_SLOPE),
    Variant(
        "p5",
        "right: Newton steps after the grid",
        {},
        edited(
            P5,
            (
                HALVING,
                NEWTON,
            ),
        ),
    ),
]
