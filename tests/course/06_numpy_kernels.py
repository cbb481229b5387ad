"""Variants of the answers to assignment 06: honest mistakes, and right answers written differently."""

from selfgated.grading.mutation import Variant

P1 = """
def sigmoid_condition():
    return "z*(1 - sigma(z))"


def twice_gated_condition():
    return "1 + 2*z*(1 - sigma(z))"
"""

P2 = """
def sum_is_one():
    return "p*log(2)"


def tanh_is_one():
    return "(p + 2)*log(2)/2"


def square_overflows():
    return "-m*log(2)/2"
"""

KERNEL = """
def twice_gated(z):
    bounded = np.maximum(z, z.dtype.type(-2000))
    E = np.exp(-np.abs(bounded))
    factor = np.where(z < 0, E, z.dtype.type(1))
    return (bounded / (1 + E) ** 2 * factor) * factor
"""

PRODUCT = """
def two_product(x, y):
    def halves(number):
        c = (2.0**27 + 1) * number
        large = c - (c - number)
        return large, number - large

    hi = x * y
    x1, x2 = halves(x)
    y1, y2 = halves(y)
    return hi, ((x1 * y1 - hi) + x1 * y2 + x2 * y1) + x2 * y2


def exp_product(beta, z):
    hi, lo = two_product(np.full_like(z, beta), z)
    e = np.exp(hi)
    return e + e * lo
"""

LOWEST = """
def lowest():
    from decimal import Decimal, localcontext

    with localcontext() as context:
        context.prec = 60
        z = Decimal("-0.7")
        for _ in range(10):
            z -= (1 + 2 * z + z.exp()) / (2 + z.exp())
        hi = float(z)
        return hi, float(z - Decimal(hi))
"""

SLOPE = """
def twice_gated_grad(z):
    hi, lo = lowest()
    bounded = np.clip(z, -2000, 2000)
    E = np.exp(-np.abs(bounded))
    d = (bounded - hi) - lo
    w = -(1 + 2 * hi) - 2 * lo
    left = (2 * d + w * np.expm1(np.minimum(d, 1.0))) * E * E
    right = 1 + E + 2 * bounded * E
    return np.where(z < 0, left, right) / (1 + E) ** 3
"""

CHUNKS = """
def two_product(x, y):
    def halves(number):
        m, e = np.frexp(number)
        large = np.ldexp(np.rint(np.ldexp(m, 26)), e - 26)
        return large, number - large

    hi = x * y
    (a, b), (c, d) = halves(x), halves(y)
    return [hi, b * d - (((hi - a * c) - b * c) - a * d)]


def exp_product(beta, z):
    hi, lo = two_product(beta * np.ones(z.shape), z)
    return np.exp(hi) * np.exp(lo)
"""

FRACTIONS = """
def two_product(x, y):
    from fractions import Fraction

    hi = x * y
    lo = [float(Fraction(a) * Fraction(b) - Fraction(h)) for a, b, h in zip(x, y, hi)]
    return hi, np.array(lo)


def exp_product(beta, z):
    lo = two_product(np.full(len(z), float(beta)), z)[1]
    return np.exp(beta * z) * (1 + lo)
"""


def edited(source, *pairs):
    """`source` with each old text replaced by its new one; every old text must occur once."""
    for old, new in pairs:
        if source.count(old) != 1:
            raise ValueError(f"{old!r} occurs {source.count(old)} times")
        source = source.replace(old, new)
    return source


VARIANTS = [
    Variant(
        "p1",
        "sigma in place of 1 - sigma",
        {"p1-test": 3},
        edited(P1, ('"z*(1', '"z*(0*1 +'), ("2*z*(1 - sigma(z))", "2*z*sigma(z)")).replace("+ -", "+"),
    ),
    Variant("p1", "one gate only", {"p1-test": 2}, edited(P1, ("2*z", "z"))),
    Variant("p1", "the term of the factor z is missing", {"p1-test": 2}, edited(P1, ("1 + 2", "2"))),
    Variant(
        "p1", "absolute values", {"p1-test": 1}, edited(P1, ('"z*(1 - sigma(z))"', '"abs(z)*(1 - sigma(z))"'))
    ),
    Variant("p1", "a text that is no formula", {"p1-test": 1}, edited(P1, ('"z*(1', '"z(1'))),
    Variant("p1", "an unknown symbol", {"p1-test": 2}, edited(P1, ("2*z", "2*x"))),
    Variant(
        "p1",
        "right: written with exponentials",
        {},
        edited(
            P1,
            ('z*(1 - sigma(z))"\n\n\ndef', 'z/(1 + exp(z))"\n\n\ndef'),
            ("2*z*(1 - sigma(z))", "2*z/(exp(z) + 1)"),
        ),
    ),
    Variant(
        "p1",
        "right: as sigma(-z)",
        {},
        edited(
            P1,
            ('z*(1 - sigma(z))"\n\n\ndef', 'z*sigma(-z)"\n\n\ndef'),
            ("2*z*(1 - sigma(z))", "z*sigma(-z)*2"),
        ),
    ),
    Variant("p2", "the spacing below 1 for the sum", {"p2-test": 1}, edited(P2, ('"p*', '"(p + 1)*'))),
    Variant("p2", "the spacing above 1 for tanh", {"p2-test": 1}, edited(P2, ("(p + 2)", "(p + 1)"))),
    Variant("p2", "the square forgotten", {"p2-test": 1}, edited(P2, ("-m*log(2)/2", "-m*log(2)"))),
    Variant("p2", "the sign", {"p2-test": 1}, edited(P2, ("-m*log(2)/2", "m*log(2)/2"))),
    Variant(
        "p2",
        "numbers of float32",
        {"p2-test": 3},
        P2.replace("p*", "24*").replace("(p", "(24").replace("m*", "128*"),
    ),
    Variant(
        "p2",
        "right: as logarithms of powers",
        {},
        edited(P2, ("p*log(2)", "log(2^p)"), ("(p + 2)*log(2)/2", "log(2^(p/2 + 1))")),
    ),
    Variant(
        "p2",
        "right: with roots",
        {},
        edited(P2, ("-m*log(2)/2", "-m*log(sqrt(2))"), ("(p + 2)*log(2)/2", "(p + 2)*log(sqrt(2))")),
    ),
    Variant(
        "p3", "the plain form", {"p3-test": 4}, "def twice_gated(z):\n    return z / (1 + np.exp(-z)) ** 2\n"
    ),
    Variant(
        "p3",
        "exp(z) only",
        {"p3-test": 4},
        "def twice_gated(z):\n    e = np.exp(z)\n    return z * e * e / (1 + e) ** 2\n",
    ),
    Variant(
        "p3", "SiLU: the gate once", {"p3-test": 4}, edited(KERNEL, ("** 2 * factor) * factor", ") * factor"))
    ),
    Variant("p3", "the sign", {"p3-test": 4}, edited(KERNEL, ("return (", "return (-"))),
    Variant(
        "p3",
        "no bound: nan at minus infinity",
        {"p3-test": 1},
        edited(KERNEL, ("np.maximum(z, z.dtype.type(-2000))", "z")),
    ),
    Variant(
        "p3",
        "E squared before the product: digits lost far left",
        {"p3-test": 3},
        edited(KERNEL, ("* factor) * factor", "* (factor * factor))")),
    ),
    Variant(
        "p3",
        "float64 returned",
        {"p3-test": 2},
        edited(KERNEL, ("np.maximum(z, z.dtype.type(-2000))", "np.maximum(z, -2000.0).astype(float)")),
    ),
    Variant(
        "p3",
        "computed in float32",
        {"p3-test": 2},
        edited(
            KERNEL,
            ("return (", "z, k = z.astype(np.float32), z.dtype\n    return ("),
            ("* factor) * factor", "* factor).astype(np.float32).astype(k) * factor"),
        ),
    ),
    Variant(
        "p3",
        "changes its input",
        {"p3-test": 1},
        edited(KERNEL, ("z.dtype.type(-2000))", "z.dtype.type(-2000), out=z)")),
    ),
    Variant(
        "p3",
        "a flat result",
        {"p3-test": 4},
        edited(KERNEL, ("return (", "return np.ravel("), ("* factor) * factor", "* factor * factor)")),
    ),
    Variant(
        "p3",
        "right: computed in float64 and rounded once",
        {},
        """
def twice_gated(z):
    wide = np.clip(np.asarray(z, dtype=np.float64), -800, None)
    gate = np.exp(-np.logaddexp(0, -wide))
    left = wide * gate * gate
    return np.where(np.isneginf(z), 0, left).astype(z.dtype)
""",
    ),
    Variant(
        "p3",
        "right: with masks",
        {},
        """
def twice_gated(z):
    result = z.copy()
    left = z < 0
    e = np.exp(z[left])
    t = np.where(e == 0, 0, z[left])
    result[left] = t / (1 + e) / (1 + e) * e * e
    e = np.exp(-z[~left])
    result[~left] = z[~left] / (1 + e) / (1 + e)
    return result
""",
    ),
    Variant(
        "p4",
        "lo is 0: x * y - hi",
        {"p4-test": 2, "p4-test2": 3},
        edited(PRODUCT, ("((x1 * y1 - hi) + x1 * y2 + x2 * y1) + x2 * y2", "x * y - hi")),
    ),
    Variant(
        "p4",
        "the sign of lo",
        {"p4-test": 2, "p4-test2": 3},
        edited(PRODUCT, ("return hi, (", "return hi, -(")),
    ),
    Variant(
        "p4",
        "split at 24 bits by float32",
        {"p4-test": 2},
        edited(
            PRODUCT,
            ("c = (2.0**27 + 1) * number", "pass"),
            ("c - (c - number)", "number.astype(np.float32).astype(float)"),
        ),
    ),
    Variant(
        "p4",
        "the product of the small halves is missing",
        {"p4-test": 2, "p4-test2": 3},
        edited(PRODUCT, (" + x2 * y2", "")),
    ),
    Variant(
        "p4",
        "the sum from the wrong end",
        {"p4-test": 2, "p4-test2": 3},
        edited(
            PRODUCT,
            (
                "((x1 * y1 - hi) + x1 * y2 + x2 * y1) + x2 * y2",
                "(x2 * y2 + x1 * y2 + x2 * y1 + x1 * y1) - hi",
            ),
        ),
    ),
    Variant(
        "p4",
        "exp of the rounded product",
        {"p4-test2": 3},
        edited(PRODUCT, ("return e + e * lo", "return e")),
    ),
    Variant("p4", "lo added to the exponential", {"p4-test2": 3}, edited(PRODUCT, ("e + e * lo", "e + lo"))),
    Variant(
        "p4",
        "exp(beta) to the power z",
        {"p4-test2": 3},
        edited(PRODUCT, ("return e + e * lo", "return np.exp(beta) ** z")),
    ),
    Variant("p4", "right: split by frexp, and two exponentials", {}, CHUNKS),
    Variant("p4", "right: with exact fractions", {}, FRACTIONS),
    Variant(
        "p4",
        "right: hi and lo as rows of one array",
        {},
        edited(PRODUCT, ("return hi, (", "return np.stack((hi, ("), ("+ x2 * y2", "+ x2 * y2))")),
    ),
    Variant(
        "p4",
        "split at 2^24, not 2^27",
        {"p4-test": 2, "p4-test2": 3},
        edited(PRODUCT, ("2.0**27 + 1", "2.0**24 + 1")),
    ),
    Variant(
        "p5",
        "one float64: lo is 0",
        {"p5-test": 2, "p6-test": 3},
        edited(LOWEST, ("float(z - Decimal(hi))", "0.0")),
    ),
    Variant(
        "p5",
        "the minimum of SiLU",
        {"p5-test": 2, "p6-test": 3},
        LOWEST.replace("2 * z", "z").replace("(2 +", "(1 +"),
    ),
    Variant(
        "p5",
        "the sign of lo",
        {"p5-test": 2, "p6-test": 3},
        edited(LOWEST, ("z - Decimal(hi)", "Decimal(hi) - z")),
    ),
    Variant(
        "p5",
        "28 digits: decimal's default, and Newton stopped early",
        {"p5-test": 2, "p6-test": 3},
        edited(LOWEST, ("range(10)", "range(4)"), ("prec = 60", "prec = 28")),
    ),
    Variant(
        "p5",
        "one number",
        {"p5-test": 2, "p6-test": 4},
        edited(LOWEST, ("return hi, float(z - Decimal(hi))", "return hi")),
    ),
    Variant(
        "p5",
        "right: bisection",
        {},
        """
def lowest():
    import decimal

    decimal.getcontext().prec = 50
    a, b = decimal.Decimal(-1), decimal.Decimal(0)
    for _ in range(150):
        middle = (a + b) / 2
        if 1 + 2 * middle + middle.exp() > 0:
            b = middle
        else:
            a = middle
    return float(a), float(a - decimal.Decimal(float(a)))
""",
    ),
    Variant(
        "p5",
        "right: fractions and a series",
        {},
        """
def lowest():
    from fractions import Fraction

    def exp(z):
        term = total = Fraction(1)
        for k in range(1, 40):
            term = Fraction(round(term * z / k * 10**50), 10**50)
            total += term
        return total

    z = Fraction(-7388350311316078, 10**16)
    for _ in range(3):
        z -= Fraction(round((1 + 2 * z + exp(z)) / (2 + exp(z)) * 10**50), 10**50)
    return (float(z), float(z - Fraction(float(z))))
""",
    ),
    Variant(
        "p6",
        "the bracket as it stands",
        {"p6-test": 3},
        edited(SLOPE, ("(2 * d + w * np.expm1(np.minimum(d, 1.0)))", "(1 + 2 * bounded + E)")),
    ),
    Variant("p6", "d without lo", {"p6-test": 3}, edited(SLOPE, ("(bounded - hi) - lo", "bounded - hi"))),
    Variant(
        "p6",
        "exp(d) - 1 in place of expm1",
        {"p6-test": 3},
        edited(SLOPE, ("np.expm1(np.minimum(d, 1.0))", "(np.exp(np.minimum(d, 1.0)) - 1)")),
    ),
    Variant("p6", "the 2 of d is missing", {"p6-test": 3}, edited(SLOPE, ("(2 * d +", "(d +"))),
    Variant("p6", "the sign of w", {"p6-test": 3}, edited(SLOPE, ("w = -(1", "w = (1"))),
    Variant(
        "p6",
        "exp(-z) for all z: overflow",
        {"p6-test": 4},
        """
def twice_gated_grad(z):
    E = np.exp(-z)
    return (1 + E + 2 * z * E) / (1 + E) ** 3
""",
    ),
    Variant(
        "p6",
        "changes its input",
        {"p6-test": 1},
        edited(SLOPE, ("bounded = np.clip(z, -2000, 2000)", "bounded = np.clip(z, -2000, 2000, out=z)")),
    ),
    Variant(
        "p6",
        "right: with masks and the square of the gate",
        {},
        """
def twice_gated_grad(z):
    hi, lo = lowest()
    slope = np.ones_like(z)
    left = z < 0
    t = z[left]
    d = t - hi - lo
    e = np.exp(t)
    w = np.exp(hi)
    slope[left] = np.where(e > 0, 2 * d + w * np.expm1(d), 0) * (e / (1 + e)) ** 2 / (1 + e)
    e = np.exp(-z[~left])
    slope[~left] = (1 + 2 * np.where(e > 0, z[~left], 0) * e / (1 + e)) / (1 + e) ** 2
    return slope
""",
    ),
    Variant(
        "p6",
        "right: a Taylor series close to the zero",
        {},
        """
def twice_gated_grad(z):
    hi, lo = lowest()
    s = np.exp(-np.logaddexp(0, -z))
    other = np.exp(-np.logaddexp(0, z))
    d = (z - hi) - lo
    w = np.exp(hi)
    rest = np.zeros_like(d)
    for k in range(14, 1, -1):
        rest = d / k * (1 + rest)
    series = d * (2 + w * (1 + rest))
    bracket = np.where(abs(d) < 0.3, series * other, 1 + 2 * np.clip(z, -1e4, 1e4) * other)
    return bracket * s * s
""",
    ),
]
