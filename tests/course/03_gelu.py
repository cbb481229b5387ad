"""Submissions of assignment 03_gelu, wrong and right: one answer cell replaced, and the points it loses."""

from selfgated.grading.mutation import Variant

T = "tanh(sqrt(2/pi)*(z + 0.044715*z**3))"
IN_Z, IN_W = "Phi((z - m)/w) + z/w*phi((z - m)/w)", "-z*(z - m)/w**2*phi((z - m)/w)"


def formula(name, text):
    return f'def {name}():\n    return "{text}"\n'


def slopes(in_z=IN_Z, in_w=IN_W):
    return formula("slope_in_z", in_z) + "\n\n" + formula("slope_in_w", in_w)


TANH_SLOPE = [
    Variant("p1", title, {"p1-test": 3}, formula("gelu_tanh_slope", text))
    for title, text in (
        ("the gate only", f"(1 + {T})/2"),
        ("no inner derivative", f"(1 + {T})/2 + z/2*(1 - {T}**2)"),
        (
            "3 z^2 taken for z^2",
            f"(1 + {T})/2 + z/2*(1 - {T}**2)*sqrt(2/pi)*(1 + 0.044715*z**2)",
        ),
        (
            "sign of the second term",
            f"(1 + {T})/2 - z/2*(1 - {T}**2)*sqrt(2/pi)*(1 + 0.134145*z**2)",
        ),
        ("1/2 missing", f"(1 + {T})/2 + z*(1 - {T}**2)*sqrt(2/pi)*(1 + 0.134145*z**2)"),
        (
            "sqrt(2/pi) as a decimal",
            f"(1 + {T})/2 + z/2*(1 - {T}**2)*0.7978845608*(1 + 0.134145*z**2)",
        ),
        ("the slope of GELU", "Phi(z) + z*phi(z)"),
        ("no formula", "h' = (1 + T)/2 + z/2 T'"),
    )
] + [
    Variant(
        "p1",
        "right: one factor 1 + T taken out",
        {},
        f"""def gelu_tanh_slope():
    t = "{T}"
    return f"(1 + {{t}})/2*(1 + (1 - {{t}})*sqrt(2/pi)*(z + 3*0.044715*z^3))"
""",
    ),
    Variant(
        "p1",
        "right: sqrt(2)/sqrt(pi), everything multiplied out",
        {},
        f"""def gelu_tanh_slope():
    t = "{T.replace("sqrt(2/pi)", "sqrt(2)/sqrt(pi)")}"
    return f"0.5 + {{t}}/2 + sqrt(1/(2*pi))*(z + 0.134145*z**3)*(1 - {{t}}*{{t}})"
""",
    ),
]

CENTRE = [
    Variant("p2", "the gate only", {"p2-test": 2}, slopes(in_z="Phi((z - m)/w)")),
    Variant("p2", "1/w missing", {"p2-test": 2}, slopes(in_z="Phi((z - m)/w) + z*phi((z - m)/w)")),
    Variant("p2", "z - m for z", {"p2-test": 2}, slopes(in_z="Phi((z - m)/w) + (z - m)/w*phi((z - m)/w)")),
    Variant("p2", "centre and width ignored", {"p2-test": 4}, slopes("Phi(z) + z*phi(z)", "-z^2*phi(z)")),
    Variant("p2", "sign of the slope in w", {"p2-test": 2}, slopes(in_w=IN_W[1:])),
    Variant("p2", "right for m = 0 only", {"p2-test": 2}, slopes(in_w="-z**2/w**2*phi((z - m)/w)")),
    Variant("p2", "1/w for 1/w^2", {"p2-test": 2}, slopes(in_w="-z*(z - m)/w*phi((z - m)/w)")),
    Variant("p2", "unknown symbol mu", {"p2-test": 2}, slopes(in_z="Phi((z - mu)/w) + z/w*phi((z - mu)/w)")),
    Variant("p2", "the density spelled out with exp", {"p2-test": 2}, slopes(in_w="z*(m - z)/w**2*exp(-1)")),
    Variant(
        "p2",
        "right: the mirror of Phi",
        {},
        slopes(in_z="1 - Phi((m - z)/w) + z*phi((m - z)/w)/w", in_w="z*(m - z)*phi((m - z)/w)/w^2"),
    ),
    Variant(
        "p2",
        "right: a name for the argument",
        {},
        """def slope_in_z():
    u = "((z - m)/w)"
    return f"Phi{u} + z*phi{u}/w"


def slope_in_w():
    u = "((z - m)/w)"
    return f"-{u}*z/w*phi{u}"
""",
    ),
]

GELU = """def gelu(z):
    wide = z.astype(np.float64)
    return (wide * np.vectorize(math.erfc, otypes=[float])(-wide / math.sqrt(2)) / 2).astype(z.dtype)


"""
GRAD = """

def gelu_grad(z):
    wide = z.astype(np.float64)
    Phi = np.vectorize(math.erfc, otypes=[float])(-wide / math.sqrt(2)) / 2
    return (Phi + wide * np.exp(-wide * wide / 2) / math.sqrt(2 * math.pi)).astype(z.dtype)
"""
FORWARD = [
    Variant(
        "p3",
        "1 + erf: no digits on the left",
        {"p3-test": 2},
        """def gelu(z):
    wide = z.astype(np.float64)
    gate = (1 + np.vectorize(math.erf, otypes=[float])(wide / math.sqrt(2))) / 2
    return (wide * gate).astype(z.dtype)
"""
        + GRAD,
    ),
    Variant(
        "p3",
        "erf without sqrt 2",
        {"p3-test": 3},
        "def gelu(z):\n    return (z * np.vectorize(math.erfc)(-z) / 2).astype(z.dtype)\n" + GRAD,
    ),
    Variant(
        "p3",
        "sign: erfc(z / sqrt 2)",
        {"p3-test": 3},
        "def gelu(z):\n    return (z * np.vectorize(math.erfc)(z / math.sqrt(2)) / 2).astype(z.dtype)\n"
        + GRAD,
    ),
    Variant(
        "p3",
        "the tanh form",
        {"p3-test": 3},
        """def gelu(z):
    v = math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)
    return (z / 2 * (1 + np.tanh(v))).astype(z.dtype)
"""
        + GRAD,
    ),
    Variant(
        "p3",
        "float32 lost in both",
        {"p3-test": 2},
        (GELU.rstrip() + "\n" + GRAD).replace(".astype(z.dtype)", ""),
    ),
    Variant(
        "p3",
        "computed in float32, where erfc amplifies",
        {"p3-test": 1},
        """def gelu(z):
    small = (-z / z.dtype.type(math.sqrt(2))).astype(z.dtype)
    return (z * np.vectorize(math.erfc, otypes=[float])(small) / 2).astype(z.dtype)
"""
        + GRAD,
    ),
    Variant(
        "p3",
        "gelu changes z",
        {"p3-test": 1},
        """def gelu(z):
    gate = np.vectorize(math.erfc, otypes=[float])(-z.astype(np.float64) / math.sqrt(2)) / 2
    z[...] = z * gate
    return z
"""
        + GRAD,
    ),
    Variant(
        "p3",
        "a flat result",
        {"p3-test": 2},
        """def gelu(z):
    return np.array([at * math.erfc(-at / math.sqrt(2)) / 2 for at in z.ravel().tolist()], z.dtype)


def gelu_grad(z):
    return np.array(
        [
            math.erfc(-at / math.sqrt(2)) / 2 + at * math.exp(-at * at / 2) / math.sqrt(2 * math.pi)
            for at in z.ravel().tolist()
        ],
        z.dtype,
    )
""",
    ),
    Variant(
        "p3",
        "the slope without z phi",
        {"p3-test": 1},
        GELU
        + """def gelu_grad(z):
    wide = z.astype(np.float64)
    return (np.vectorize(math.erfc, otypes=[float])(-wide / math.sqrt(2)) / 2).astype(z.dtype)
""",
    ),
    Variant(
        "p3",
        "the slope with a density without sqrt(2 pi)",
        {"p3-test": 1},
        (GELU.rstrip() + "\n" + GRAD).replace(" / math.sqrt(2 * math.pi)", ""),
    ),
    Variant(
        "p3",
        "right: a loop over the elements",
        {},
        """def gelu(z):
    flat = [at * math.erfc(-at * math.sqrt(0.5)) / 2 for at in z.ravel().tolist()]
    return np.array(flat, z.dtype).reshape(z.shape)
"""
        + GRAD,
    ),
    Variant(
        "p3",
        "right: the mirror, f(z) = max(z, 0) - tail of |z|",
        {},
        """def tail(z):
    size = np.abs(z).astype(np.float64)
    return size, np.vectorize(math.erfc, otypes=[float])(size / math.sqrt(2)) / 2


def gelu(z):
    size, small = tail(z)
    return (np.maximum(z, 0) - size * small).astype(z.dtype)


def gelu_grad(z):
    size, small = tail(z)
    left = small - size * np.exp(-(size**2) / 2) / math.sqrt(2 * math.pi)
    return np.where(z > 0, 1 - left, left).astype(z.dtype)
""",
    ),
]

LOG = """

def log_size(a):
    a = np.asarray(a, float)
    erfc = np.vectorize(math.erfc, otypes=[float])
    near, far = np.minimum(a, 35), np.maximum(a, 35)
    series = 1 / far - 1 / far**3 + 3 / far**5
    phi = -(far**2) / 2 - math.log(2 * math.pi) / 2
    return np.where(a < 35, np.log(near * erfc(near / math.sqrt(2)) / 2), np.log(far * series) + phi)
"""
SERIES = formula("mills_series", "1/a - 1/a**3 + 3/a**5") + "\n\n"
TAIL = [
    Variant(
        "p4", "signs of the series", {"p4-test": 2}, formula("mills_series", "1/a + 1/a^3 + 3/a^5") + LOG
    ),
    Variant("p4", "two terms", {"p4-test": 2}, formula("mills_series", "1/a - 1/a^3") + LOG),
    Variant("p4", "factor 3 missing", {"p4-test": 2}, formula("mills_series", "1/a - 1/a^3 + 1/a^5") + LOG),
    Variant("p4", "powers 1, 2, 3", {"p4-test": 2}, formula("mills_series", "1/a - 1/a^2 + 3/a^3") + LOG),
    Variant(
        "p4",
        "the logarithm of erfc everywhere: -inf beyond 38",
        {"p4-test": 2},
        SERIES
        + """def log_size(a):
    with np.errstate(divide="ignore"):
        return np.log(a * np.vectorize(math.erfc, otypes=[float])(a / math.sqrt(2)) / 2)
""",
    ),
    Variant(
        "p4",
        "the series everywhere: wrong for small a",
        {"p4-test": 1},
        SERIES
        + """def log_size(a):
    return -(a**2) / 2 - math.log(2 * math.pi) / 2 + np.log(abs(1 - 1 / a**2 + 3 / a**4))
""",
    ),
    Variant("p4", "changed at 8: too early", {"p4-test": 1}, SERIES + LOG.lstrip().replace("35", "8")),
    Variant(
        "p4",
        "the first term alone beyond 35",
        {"p4-test": 2},
        SERIES + LOG.lstrip().replace(" - 1 / far**3 + 3 / far**5", ""),
    ),
    Variant(
        "p4", "the factor a missing for large a", {"p4-test": 2}, SERIES + LOG.lstrip().replace("far * ", "")
    ),
    Variant(
        "p4",
        "1 / sqrt(2 pi) missing for large a",
        {"p4-test": 2},
        SERIES + LOG.lstrip().replace(" - math.log(2 * math.pi) / 2", ""),
    ),
    Variant(
        "p4",
        "changes a",
        {"p4-test": 1},
        SERIES
        + """def log_size(a):
    erfc = np.vectorize(math.erfc, otypes=[float])
    near = np.log(np.minimum(a, 35) * erfc(np.minimum(a, 35) / math.sqrt(2)) / 2)
    chosen = a < 35
    a[chosen] = 35.0
    far = -(a**2) / 2 - math.log(2 * math.pi) / 2 + np.log1p(-1 / a**2 + 3 / a**4)
    return np.where(chosen, near, far)
""",
    ),
    Variant(
        "p4",
        "right: one fraction, changed at 33",
        {},
        formula("mills_series", "(a^4 - a^2 + 3)/a^5") + LOG.replace("35", "33"),
    ),
    Variant(
        "p4",
        "right: a continued fraction for large a",
        {},
        formula("mills_series", "(1 - (1 - 3/a^2)/a^2)/a")
        + """

def log_size(a):
    def one(at):
        if at < 4:
            return math.log(at * math.erfc(at / math.sqrt(2)) / 2)
        bottom = at
        for k in range(200, 0, -1):
            bottom = at + k / bottom
        return math.log(at / bottom) - at * at / 2 - math.log(2 * math.pi) / 2

    return np.array([one(at) for at in a.ravel().tolist()]).reshape(a.shape)
""",
    ),
]

RMS = """def rms_error(beta, s):
    x = np.linspace(-9, 9, 1801)
    weight = np.exp(-(x**2) / 2)
    weight /= weight.sum()
    z = s * np.abs(x)
    Phi = 0.5 * (1 + np.vectorize(math.erf)(z / math.sqrt(2)))
    error = z / (1 + np.exp(-beta * z)) - z * Phi
    return float(np.sqrt((weight * error**2).sum()))
"""
BEST = """

def best_beta(s):
    low, high = 1.5, 1.9
    for _ in range(7):
        grid = np.linspace(low, high, 9)
        k = min(max(int(np.argmin([rms_error(beta, s) for beta in grid])), 1), 7)
        low, high = grid[k - 1], grid[k + 1]
    return (low + high) / 2
"""
CLOSEST = [
    Variant(
        "p5",
        "the mean square: no root",
        {"p5-test": 2},
        RMS.replace("np.sqrt((weight * error**2).sum())", "(weight * error**2).sum()") + BEST,
    ),
    Variant("p5", "s ignored", {"p5-test": 5}, RMS.replace("s * np.abs(x)", "np.abs(x)") + BEST),
    Variant(
        "p5",
        "s taken for the variance",
        {"p5-test": 5},
        RMS.replace("s * np.abs(x)", "math.sqrt(s) * np.abs(x)") + BEST,
    ),
    Variant(
        "p5",
        "the mean of |error|",
        {"p5-test": 5},
        RMS.replace("np.sqrt((weight * error**2).sum())", "(weight * abs(error)).sum()") + BEST,
    ),
    Variant(
        "p5",
        "random numbers",
        {"p5-test": 5},
        """def rms_error(beta, s):
    z = s * np.abs(np.random.default_rng(0).normal(size=20_000))
    Phi = 0.5 * (1 + np.vectorize(math.erf)(z / math.sqrt(2)))
    return float(np.sqrt(((z / (1 + np.exp(-beta * z)) - z * Phi) ** 2).mean()))
"""
        + BEST,
    ),
    Variant(
        "p5",
        "a grid of z that ends at 3",
        {"p5-test": 5},
        RMS.replace("z = s", "z = np.minimum(3, s").replace("np.abs(x)\n", "np.abs(x))\n") + BEST,
    ),
    Variant("p5", "1.702 for every s", {"p5-test": 3}, RMS + "\n\ndef best_beta(s):\n    return 1.702\n"),
    Variant(
        "p5",
        "the best for s = 1, for every s",
        {"p5-test": 3},
        RMS + BEST.replace("rms_error(beta, s)", "rms_error(beta, 1.0)"),
    ),
    Variant("p5", "one grid, not refined", {"p5-test": 3}, RMS + BEST.replace("range(7)", "range(1)")),
    Variant(
        "p5",
        "the least error in place of its beta",
        {"p5-test": 3},
        RMS + BEST.replace("(low + high) / 2", "rms_error(low, s)"),
    ),
    Variant("p5", "right: a grid, refined", {}, RMS + BEST),
    Variant(
        "p5",
        "40 Gauss-Hermite nodes: too few where the error is narrow beside s",
        {"p5-test": 5},
        """def rms_error(beta, s):
    x, weight = np.polynomial.hermite_e.hermegauss(40)
    z = s * np.abs(x)
    Phi = 0.5 * (1 + np.vectorize(math.erf)(z / math.sqrt(2)))
    error = z / (1 + np.exp(-beta * z)) - z * Phi
    return float(np.sqrt((weight * error**2).sum() / weight.sum()))
"""
        + BEST,
    ),
    Variant(
        "p5",
        "right: the trapezoidal rule in z, and a parabola through three points",
        {},
        """def rms_error(beta, s):
    z = np.linspace(-10 * s, 10 * s, 3001)
    density = np.exp(-((z / s) ** 2) / 2) / (s * math.sqrt(2 * math.pi))
    Phi = 0.5 * np.vectorize(math.erfc)(-z / math.sqrt(2))
    gate = 0.5 * (1 + np.tanh(beta * z / 2))
    return np.sqrt(np.trapezoid(density * (z * (gate - Phi)) ** 2, z))


def best_beta(s):
    middle, step = 1.7, 0.1
    for _ in range(12):
        down, here, up = (rms_error(middle + k * step, s) ** 2 for k in (-1, 0, 1))
        move = 0.5 * step * (down - up) / (down - 2 * here + up)
        middle += max(-step, min(step, move))
        step = max(step / 2, 1e-3)
    return float(middle)
""",
    ),
]

VARIANTS = [*TANH_SLOPE, *CENTRE, *FORWARD, *TAIL, *CLOSEST]
