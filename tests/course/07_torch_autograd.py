"""Variants of the answers to assignment 07: honest mistakes, and right answers written differently."""

from selfgated.grading.mutation import Variant

P1 = """
def softplus_slope():
    return "1 - exp(-a)"


def squareplus_slope():
    return "a^2/(a^2 + 1)"


def squareplus_curvature():
    return "2*a^3/(a^2 + 1)^3"
"""

P2 = """
def kept_bytes():
    return [8, 12, 4]
"""

P3 = """
class Squareplus(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z):
        far = z.abs() + torch.sqrt(z * z + 4)
        a = torch.where(z < 0, 2 / far, far / 2)
        ctx.save_for_backward(a)
        return a

    @staticmethod
    def backward(ctx, grad_output):
        (a,) = ctx.saved_tensors
        square = a * a
        return grad_output * square / (square + 1)


def squareplus(z):
    return Squareplus.apply(z)
"""

P4 = """
def ramp(z):
    near = z.abs() < 1e-2
    right = z > 0
    small = torch.where(near, z, 0.0)
    t = torch.where(near, 1.0, torch.where(right, z, -z))
    series = 1 + small / 2 + small**2 / 12 - small**4 / 720
    outside = t / -torch.expm1(-t) * torch.where(right, 1.0, torch.exp(-t))
    return torch.where(near, series, outside)
"""

P5 = """
def diagnose(f):
    z = torch.linspace(-6, 6, 97, dtype=torch.float64).requires_grad_()
    u, v = torch.randn(2, 97, dtype=torch.float64)
    u.requires_grad_()

    def slope(f):
        return grad(f(z), z, u, create_graph=True)

    def curvature(f):
        return grad(slope(f), (z, u), v)

    def silu(z):
        return z * torch.sigmoid(z)

    for word, compute in (("value", lambda f: [f(z)]), ("slope", slope), ("curvature", curvature)):
        try:
            pairs = zip(compute(f), compute(silu), strict=True)
            good = all(torch.allclose(a, b, rtol=0.0, atol=1e-7) for a, b in pairs)
        except Exception:
            good = False
        if not good:
            return word
    return "fine"
"""

NAIVE = "def squareplus(z):\n    return (z + torch.sqrt(z * z + 4)) / 2\n"
KEEP_INPUT = """
class Squareplus(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z):
        far = z.abs() + torch.sqrt(z * z + 4)
        ctx.save_for_backward(z)
        return torch.where(z < 0, 2 / far, far / 2)

    @staticmethod
    def backward(ctx, grad_output):
        (z,) = ctx.saved_tensors
        far = z.abs() + torch.sqrt(z * z + 4)
        square = torch.where(z < 0, 2 / far, far / 2) ** 2
        return grad_output * square / (square + 1)


def squareplus(z):
    return Squareplus.apply(z)
"""
ONE_OVER = """
class Squareplus(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z):
        root = z.square().add(4).sqrt()
        value = torch.empty_like(z)
        value[z >= 0] = (z[z >= 0] + root[z >= 0]) / 2
        value[z < 0] = 2 / (root[z < 0] - z[z < 0])
        ctx.save_for_backward(value)
        return value

    @staticmethod
    def backward(ctx, upstream):
        return upstream / (1 + ctx.saved_tensors[0] ** -2)


def squareplus(z):
    return Squareplus.apply(z)
"""
SETUP_CONTEXT = """
class Slope(torch.autograd.Function):
    @staticmethod
    def forward(ctx, upstream, a):
        ctx.save_for_backward(upstream, a)
        return upstream * a * a / (a * a + 1)

    @staticmethod
    def backward(ctx, outer):
        upstream, a = ctx.saved_tensors
        s = a * a + 1
        return outer * a * a / s, outer * upstream * 2 * a / s**2


class Squareplus(torch.autograd.Function):
    @staticmethod
    def forward(z):
        far = torch.hypot(z, torch.full_like(z, 2)) + z.abs()
        return torch.where(z < 0, 2 / far, far / 2)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx, upstream):
        return Slope.apply(upstream, *ctx.saved_tensors)


def squareplus(z):
    return Squareplus.apply(z)
"""
WHERE = """
def ramp(z):
    return torch.where(z == 0, 1.0, z / (1 - torch.exp(-z)))
"""
WHERE_EXPM1 = """
def ramp(z):
    return torch.where(z == 0, 1 + z / 2, z / -torch.expm1(-z))
"""
TWO_WHERES = """
def ramp(z):
    other = torch.where(z == 0, 1.0, z)
    t = other.abs()
    outside = t / -torch.expm1(-t) * torch.where(z > 0, 1.0, torch.exp(-t))
    return torch.where(z == 0, 1 + z / 2 + z**2 / 12, outside)
"""
FUNCTION = """
def powers(z):
    return 1 + z / 2 + z**2 / 12 - z**4 / 720, 0.5 + z / 6 - z**3 / 180, 1 / 6 - z**2 / 60


class Slope(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z):
        ctx.save_for_backward(z)
        t = z.abs().clamp(0.02, 600)
        odd = (torch.sinh(t) - t) / (4 * torch.sinh(t / 2) ** 2)
        return torch.where(z.abs() < 0.02, powers(z)[1], 0.5 + torch.sign(z) * odd)

    @staticmethod
    def backward(ctx, u):
        (z,) = ctx.saved_tensors
        t = z.abs().clamp(0.02, 600)
        even = (t / torch.tanh(t / 2) - 2) / (4 * torch.sinh(t / 2) ** 2)
        return u * torch.where(z.abs() < 0.02, powers(z)[2], even)


class Ramp(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z):
        ctx.save_for_backward(z)
        return torch.where(z.abs() < 0.02, powers(z)[0] + z**6 / 30240, -z / torch.expm1(-z))

    @staticmethod
    def backward(ctx, u):
        return u * Slope.apply(*ctx.saved_tensors)


def ramp(z):
    return Ramp.apply(z)
"""
MASKS = """
def ramp(z):
    flat = z.reshape(-1)
    result = torch.ones_like(flat)
    near = flat.abs() < 0.01
    right, left = ~near & (flat > 0), ~near & (flat < 0)
    s = flat[near]
    result[near] = 1 + s / 2 + s * s / 12 - s**4 / 720
    r = flat[right]
    result[right] = r / (1 - torch.exp(-r))
    g = flat[left]
    result[left] = g * torch.exp(g) / (torch.exp(g) - 1)
    return result.reshape(z.shape)
"""
GRADCHECK = """
def diagnose(f):
    z = torch.linspace(-6, 6, 41, dtype=torch.float64).requires_grad_()
    if not torch.allclose(f(z), F.silu(z), rtol=0.0, atol=1e-6):
        return "value"
    for word, test in (("slope", torch.autograd.gradcheck), ("curvature", torch.autograd.gradgradcheck)):
        try:
            good = test(f, z, atol=1e-4, raise_exception=False)
        except Exception:
            good = False
        if not good:
            return word
    return "fine"
"""
FORMULAS = """
def diagnose(f):
    def differ(a, b):
        return (a - b).abs().max().item() > 1e-6

    z = torch.arange(-6, 6.05, 0.1, dtype=torch.float64).requires_grad_()
    s = torch.sigmoid(z).detach()
    slope = s + z.detach() * s * (1 - s)
    curvature = s * (1 - s) * (2 + z.detach() * (1 - 2 * s))
    if differ(f(z), z * s):
        return "value"
    for k in range(3):
        u = (torch.sin(3 * z + k) * 2).detach()
        try:
            (got,) = torch.autograd.grad(f(z), z, u)
        except Exception:
            return "slope"
        if differ(got, u * slope):
            return "slope"
    u.requires_grad_()
    try:
        (got,) = torch.autograd.grad(f(z), z, u, create_graph=True)
        in_z, in_u = torch.autograd.grad(got.sum(), (z, u))
    except Exception:
        return "curvature"
    if differ(in_z, u.detach() * curvature) or differ(in_u, slope):
        return "curvature"
    return "fine"
"""
HESSIAN = """
def diagnose(f):
    z = torch.linspace(-6, 6, 61, dtype=torch.float64).requires_grad_()
    u = torch.cos(torch.arange(61.0, dtype=torch.float64)).requires_grad_()
    stages = {"value": [], "slope": [], "curvature": []}
    for g in (f, F.silu):
        for word in stages:
            stages[word].append(None)
        try:
            y = g(z)
            stages["value"][-1] = y
            (d,) = grad(y, z, u, create_graph=True)
            stages["slope"][-1] = d
            stages["curvature"][-1] = torch.cat(grad((d * d).sum(), (z, u)))
        except Exception:
            pass
    for word, (mine, right) in stages.items():
        if mine is None or (mine - right).abs().max() > 1e-6:
            return word
    return "fine"
"""


def edited(source, *pairs):
    """`source` with each old text replaced by its new one; every old text must occur once."""
    for old, new in pairs:
        if source.count(old) != 1:
            raise ValueError(f"{old!r} occurs {source.count(old)} times")
        source = source.replace(old, new)
    return source


VARIANTS = [
    Variant("p1", "sigma of the output", {"p1-test": 1}, edited(P1, ("1 - exp(-a)", "exp(a)/(1 + exp(a))"))),
    Variant("p1", "the sign in the denominator", {"p1-test": 3}, P1.replace("a^2 + 1", "a^2 - 1")),
    Variant(
        "p1",
        "the slope of the inverse function",
        {"p1-test": 2},
        edited(P1, ("a^2/(a^2 + 1)", "(a^2 + 1)/a^2")),
    ),
    Variant(
        "p1",
        "df'/da: the chain rule is missing",
        {"p1-test": 1},
        edited(P1, ("2*a^3/(a^2 + 1)^3", "2*a/(a^2 + 1)^2")),
    ),
    Variant(
        "p1",
        "formulas in z",
        {"p1-test": 3},
        edited(P1, ("1 - exp(-a)", "exp(z)/(1 + exp(z))"), ("a^2/(a^2 + 1)", "(1 + z/sqrt(z^2 + 4))/2")),
    ),
    Variant("p1", "a text that is no formula", {"p1-test": 1}, edited(P1, ("2*a^3", "2a^3"))),
    Variant(
        "p1",
        "right: quotients and roots",
        {},
        edited(
            P1,
            ("1 - exp(-a)", "(exp(a) - 1)/exp(a)"),
            ("a^2/(a^2 + 1)", "(1 + (a - 1/a)/sqrt((a - 1/a)^2 + 4))/2"),
        ),
    ),
    Variant(
        "p1",
        "right: as powers of a + 1/a",
        {},
        edited(P1, ("a^2/(a^2 + 1)", "a*(a + 1/a)^(-1)"), ("2*a^3/(a^2 + 1)^3", "2/(a + 1/a)**3")),
    ),
    Variant("p2", "blocks, not bytes", {"p2-test": 3}, edited(P2, ("[8, 12, 4]", "[2, 3, 1]"))),
    Variant("p2", "shared blocks counted twice", {"p2-test": 2}, edited(P2, ("[8, 12, 4]", "[8, 16, 8]"))),
    Variant("p2", "z counted always", {"p2-test": 2}, edited(P2, ("[8, 12, 4]", "[12, 12, 8]"))),
    Variant("p2", "output counted always", {"p2-test": 3}, edited(P2, ("[8, 12, 4]", "[12, 16, 8]"))),
    Variant("p2", "one number", {"p2-test": 3}, edited(P2, ("[8, 12, 4]", "24"))),
    Variant("p2", "right: a tuple", {}, edited(P2, ("[8, 12, 4]", "8, 12, 4"))),
    Variant(
        "p2",
        "right: measured by the hooks",
        {},
        """
def kept_bytes():
    def count(f):
        z, found = torch.randn(100, requires_grad=True), []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: found.append(t) or t, lambda t: t):
            out = f(z)
        return len({t.untyped_storage().data_ptr() for t in found}) * out.element_size()

    def second(z):
        return z * torch.sigmoid(z) ** 2

    return [count(lambda z: torch.log(1 + torch.exp(z))), count(second), count(lambda z: F.relu(z) ** 2)]
""",
    ),
    Variant("p3", "torch's operations: keeps 8 bytes, cancels on the left", {"p3-test": 4}, NAIVE),
    Variant("p3", "keeps its input", {"p3-test": 2}, KEEP_INPUT),
    Variant(
        "p3",
        "keeps input and output",
        {"p3-test": 2},
        edited(P3, ("ctx.save_for_backward(a)", "ctx.save_for_backward(a, z)"), ("(a,) = ", "a, _ = ")),
    ),
    Variant(
        "p3",
        "hides the output on ctx",
        {"p3-test": 3},
        edited(
            P3, ("ctx.save_for_backward(a)", "ctx.a = a.clone()"), ("(a,) = ctx.saved_tensors", "a = ctx.a")
        ),
    ),
    Variant("p3", "forgets grad_output", {"p3-test": 4}, edited(P3, ("grad_output * square", "square"))),
    Variant(
        "p3",
        "the slope at the output",
        {"p3-test": 4},
        edited(P3, ("square = a * a", "square = ((a + torch.sqrt(a * a + 4)) / 2) ** 2")),
    ),
    Variant(
        "p3",
        "the sum on the left cancels",
        {"p3-test": 2},
        edited(P3, ("torch.where(z < 0, 2 / far, far / 2)", "(z + torch.sqrt(z * z + 4)) / 2")),
    ),
    Variant(
        "p3",
        "a constant slope: no second derivative",
        {"p3-test": 1},
        edited(P3, ("square = a * a", "square = (a * a).detach()")),
    ),
    Variant(
        "p3",
        "float64 for float32",
        {"p3-test": 3},
        edited(P3, ("ctx.save_for_backward(a)", "a = a.double()\n        ctx.save_for_backward(a)")),
    ),
    Variant("p3", "right: masks, and a reciprocal power", {}, ONE_OVER),
    Variant("p3", "right: hypot, setup_context, and a second Function", {}, SETUP_CONTEXT),
    Variant("p4", "where with the quotient as it stands", {"p4-test": 4}, WHERE),
    Variant("p4", "where with expm1: the dead branch", {"p4-test": 3}, WHERE_EXPM1),
    Variant("p4", "guarded at 0 only: noise near 0", {"p4-test": 3}, TWO_WHERES),
    Variant("p4", "the series for too large z", {"p4-test": 4}, edited(P4, ("< 1e-2", "< 0.5"))),
    Variant(
        "p4",
        "a constant near 0: no slope",
        {"p4-test": 4},
        edited(P4, ("1 + small / 2 + small**2 / 12 - small**4 / 720", "torch.ones_like(z)")),
    ),
    Variant(
        "p4",
        "a line near 0: no second derivative",
        {"p4-test": 1},
        edited(P4, (" + small**2 / 12 - small**4 / 720", ""), ("< 1e-2", "< 1e-6")),
    ),
    Variant("p4", "the sign of z", {"p4-test": 4}, edited(P4, ("right = z > 0", "right = z < 0"))),
    Variant("p4", "right: by masks", {}, MASKS),
    Variant("p4", "right: a Function with hand-written slopes", {}, FUNCTION),
    Variant("p5", "always fine", {"p5-test": 5}, 'def diagnose(f):\n    return "fine"\n'),
    Variant(
        "p5", "values only", {"p5-test": 3}, edited(P5, (', ("slope", slope), ("curvature", curvature)', ","))
    ),
    Variant("p5", "gradcheck and gradgradcheck alone", {"p5-test": 2}, GRADCHECK),
    Variant(
        "p5",
        "upstream gradient 1 only",
        {"p5-test": 2},
        edited(
            P5,
            (
                "u, v = torch.randn(2, 97, dtype=torch.float64)",
                "u, v = torch.ones(2, 97, dtype=torch.float64)",
            ),
        ),
    ),
    Variant("p5", "whole numbers only", {"p5-test": 2}, P5.replace("97", "13")),
    Variant("p5", "between -1 and 1 only", {"p5-test": 5}, P5.replace("(-6, 6, ", "(-1, 1, ")),
    Variant("p5", "positive z only", {"p5-test": 4}, edited(P5, ("linspace(-6", "linspace(0.1"))),
    Variant(
        "p5",
        "exceptions are not caught",
        {"p5-test": 3},
        P5.replace("except Exception", "except ZeroDivisionError"),
    ),
    Variant("p5", "the second derivative in z only", {"p5-test": 1}, edited(P5, ("(z, u), v", "z, v"))),
    Variant("p5", "tolerances below rounding", {"p5-test": 5}, edited(P5, ("atol=1e-7", "atol=0.0"))),
    Variant("p5", "right: with formulas for slope and curvature", {}, FORMULAS),
    Variant("p5", "right: the gradient of the squared gradient", {}, HESSIAN),
]
