"""Submissions of assignment 02_swish, wrong and right: one answer cell replaced, and the points it loses."""

from selfgated.grading.mutation import Variant


def formula(name, text):
    return f'def {name}():\n    return "{text}"\n'


def lowest(term="exp(beta*z - c)", value="z + 1/beta"):
    return formula("lowest_term", term) + "\n\n" + formula("lowest_value", value)


SLOPE = [
    Variant("p1", title, {"p1-test": 3}, formula("swish_slope", text))
    for title, text in (
        ("the gate only: no z times its slope", "(1 + tanh(beta*z/2))/2"),
        ("z times the gate's slope only", "beta*z/4*(1 - tanh(beta*z/2)**2)"),
        ("beta missing in the inner derivative", "(1 + tanh(beta*z/2))/2 + z/4*(1 - tanh(beta*z/2)**2)"),
        ("inner derivative beta, not beta/2", "(1 + tanh(beta*z/2))/2 + beta*z/2*(1 - tanh(beta*z/2)**2)"),
        ("sign of the second term", "(1 + tanh(beta*z/2))/2 - beta*z/4*(1 - tanh(beta*z/2)**2)"),
        ("beta missing everywhere", "(1 + tanh(z/2))/2 + z/4*(1 - tanh(z/2)**2)"),
        ("the form of the chapter, with sigma", "sigma(beta*z)*(1 + beta*z*sigma(-beta*z))"),
        ("no formula", "one half plus tanh"),
        ("unknown symbol", "(1 + tanh(b*z/2))/2 + b*z/4*(1 - tanh(b*z/2)**2)"),
    )
] + [
    Variant(
        "p1",
        "right: the odd part collected",
        {},
        formula("swish_slope", "1/2 + (tanh(beta*z/2) + beta*z/2 - beta*z/2*tanh(beta*z/2)^2)/2"),
    ),
    Variant(
        "p1",
        "right: 1 - tanh^2 as a product, intermediate names",
        {},
        """def swish_slope():
    t = "tanh(z*beta/2)"
    return f"0.5*(1 + {t})*(1 + 0.5*beta*z*(1 - {t}))"
""",
    ),
]

LOWEST = [
    Variant("p2", "threshold missing", {"p2-test": 2}, lowest(term="exp(beta*z)")),
    Variant("p2", "sign of the threshold", {"p2-test": 2}, lowest(term="exp(beta*z + c)")),
    Variant("p2", "sign of the exponent", {"p2-test": 2}, lowest(term="exp(c - beta*z)")),
    Variant("p2", "beta missing in the exponent", {"p2-test": 2}, lowest(term="exp(z - c)")),
    Variant("p2", "T = -1 - beta z, true and empty", {"p2-test": 2}, lowest(term="-1 - beta*z")),
    Variant("p2", "value right at beta = 1 only", {"p2-test": 1}, lowest(value="z + 1")),
    Variant("p2", "value not divided by beta", {"p2-test": 1}, lowest(value="1 + beta*z")),
    Variant("p2", "value still with an exponential", {"p2-test": 1}, lowest(value="z/(1 + exp(c - beta*z))")),
    Variant("p2", "right: the exponential split", {}, lowest(term="exp(beta*z)*exp(-c)")),
    Variant("p2", "right: the value over beta", {}, lowest(value="(1 + beta*z)/beta")),
]

FORWARD = [
    Variant(
        "p3",
        "beta missing",
        {"p3-test": 3},
        """def swish(z, beta):
    small = np.exp(-np.abs(z))
    return z * np.where(z >= 0, 1, small) / (1 + small)
""",
    ),
    Variant(
        "p3",
        "overflow: z exp(a) / (1 + exp(a)), float32 kept",
        {"p3-test": 1},
        """def swish(z, beta):
    grown = np.exp(np.asarray(beta, z.dtype) * z)
    return z * grown / (1 + grown)
""",
    ),
    Variant(
        "p3",
        "warns of an overflow: z / (1 + exp(-a)), float32 kept",
        {"p3-test": 1},
        """def swish(z, beta):
    return z / (1 + np.exp(-np.asarray(beta, z.dtype) * z))
""",
    ),
    Variant(
        "p3",
        "the tail lost: the tanh form of Problem 1",
        {"p3-test": 1},
        """def swish(z, beta):
    return (z / 2 * (1 + np.tanh(np.asarray(beta, z.dtype) * z / 2))).astype(z.dtype)
""",
    ),
    Variant(
        "p3",
        "float32 lost to a float64 beta",
        {"p3-test": 1},
        """def swish(z, beta):
    a = np.float64(1) * beta * z
    small = np.exp(-np.abs(a))
    return z * np.where(a >= 0, 1, small) / (1 + small)
""",
    ),
    Variant(
        "p3",
        "always float32",
        {"p3-test": 2},
        """def swish(z, beta):
    a = (beta * z).astype(np.float32)
    small = np.exp(-np.abs(a))
    return np.float32(z) * np.where(a >= 0, 1, small) / (1 + small)
""",
    ),
    Variant(
        "p3",
        "sign of the exponent",
        {"p3-test": 3},
        """def swish(z, beta):
    a = -np.asarray(beta, z.dtype) * z
    small = np.exp(-np.abs(a))
    return z * np.where(a >= 0, 1, small) / (1 + small)
""",
    ),
    Variant(
        "p3",
        "changes z",
        {"p3-test": 1},
        """def swish(z, beta):
    a = np.asarray(beta, z.dtype) * z
    small = np.exp(-np.abs(a))
    z *= np.where(a >= 0, 1, small) / (1 + small)
    return z
""",
    ),
    Variant(
        "p3",
        "the shape is lost: a flat result",
        {"p3-test": 1},
        """def swish(z, beta):
    a = np.asarray(beta, z.dtype) * z
    small = np.exp(-np.abs(a))
    return (z * np.where(a >= 0, 1, small) / (1 + small)).ravel()
""",
    ),
    Variant(
        "p3",
        "the shape of z, where that of z * beta is larger",
        {"p3-test": 1},
        """def swish(z, beta):
    result = np.empty_like(z)
    a = (beta * z).astype(z.dtype)
    small = np.exp(-np.abs(a))
    result[...] = z * np.where(a >= 0, 1, small) / (1 + small)
    return result
""",
    ),
    Variant(
        "p3",
        "right: the exponent clipped where the result may be 0",
        {},
        """def swish(z, beta):
    a = (beta * z).astype(z.dtype)
    return z / (1 + np.exp(-np.maximum(a, -600 if z.dtype == np.float64 else -80)))
""",
    ),
    Variant(
        "p3",
        "the points of the self-check by heart",
        {"p3-test": 3},
        """def swish(z, beta):
    table = {-4.0: -0.00134140, 0.0: 0.0, 4.0: 3.99865860}
    return np.array([table.get(float(entry), 0.0) for entry in z.ravel()], z.dtype).reshape(z.shape)
""",
    ),
    Variant(
        "p3",
        "right: masks, each side with its own exponential",
        {},
        """def swish(z, beta):
    z, beta = np.broadcast_arrays(z, beta)
    a = (beta * z).astype(z.dtype)
    result = np.empty(z.shape, z.dtype)
    left = a < 0
    grown = np.exp(a[left])
    result[left] = z[left] * grown / (1 + grown)
    result[~left] = z[~left] / (1 + np.exp(-a[~left]))
    return result
""",
    ),
    Variant(
        "p3",
        "right: z exp(-log(1 + e^-a)) by logaddexp, in float64",
        {},
        """def swish(z, beta):
    wide = z.astype(np.float64)
    return (wide * np.exp(-np.logaddexp(0, -beta * wide))).astype(z.dtype)
""",
    ),
]

# Problem 5 uses swish_grad in the reference: a wrong slope is lost there too.
GRADIENT = [
    Variant(
        "p4",
        "the gate only",
        {"p4-test": 3, "p5-test": 1},
        """def swish_grad(z, beta):
    return (1 + np.tanh(np.asarray(beta, z.dtype) * z / 2)) / 2
""",
    ),
    Variant(
        "p4",
        "beta missing in the second term",
        {"p4-test": 3, "p5-test": 1},
        """def swish_grad(z, beta):
    a = np.asarray(beta, z.dtype) * z
    gate = (1 + np.tanh(a / 2)) / 2
    return gate + z * gate * (1 - gate)
""",
    ),
    Variant(
        "p4",
        "sign of the second term",
        {"p4-test": 3, "p5-test": 1},
        """def swish_grad(z, beta):
    a = np.asarray(beta, z.dtype) * z
    gate = (1 + np.tanh(a / 2)) / 2
    return gate - a * gate * (1 - gate)
""",
    ),
    Variant(
        "p4",
        "overflow: (e^-a (1 + a) + 1) / (1 + e^-a)^2",
        {"p4-test": 1},
        """def swish_grad(z, beta):
    a = np.asarray(beta, z.dtype) * z
    return (np.exp(-a) * (1 + a) + 1) / (1 + np.exp(-a)) ** 2
""",
    ),
    Variant(
        "p4",
        "float32 lost to a float64 beta",
        {"p4-test": 1},
        """def swish_grad(z, beta):
    a = np.float64(1) * beta * z
    gate = (1 + np.tanh(a / 2)) / 2
    return gate + a * gate * (1 - gate)
""",
    ),
    Variant(
        "p4",
        "the shape of z, where that of z * beta is larger",
        {"p4-test": 1},
        """def swish_grad(z, beta):
    half = np.asarray(beta, z.dtype) * z / 2
    t = np.tanh(half)
    result = np.zeros_like(z)
    result += (1 + t + half * (1 - t * t)) / 2
    return result
""",
    ),
    Variant(
        "p4",
        "a central difference",
        {"p4-test": 3, "p5-test": 1},
        """def swish_grad(z, beta):
    return (swish(z + z.dtype.type(1e-3), beta) - swish(z - z.dtype.type(1e-3), beta)) / z.dtype.type(2e-3)
""",
    ),
    Variant(
        "p4",
        "changes z",
        {"p4-test": 1, "p5-test": 1},
        """def swish_grad(z, beta):
    z *= np.asarray(beta, z.dtype)
    gate = (1 + np.tanh(z / 2)) / 2
    return gate + z * gate * (1 - gate)
""",
    ),
    Variant(
        "p4",
        "right: the tanh form of Problem 1",
        {},
        """def swish_grad(z, beta):
    half = np.asarray(beta, z.dtype) * z / 2
    t = np.tanh(half)
    return (1 + t + half * (1 - t * t)) / 2
""",
    ),
    Variant(
        "p4",
        "right: the mirror, f'(z) = 1 - f'(-z)",
        {},
        """def swish_grad(z, beta):
    a = (beta * z).astype(z.dtype)
    size = np.abs(a)
    small = np.exp(-size)
    left = small * (1 + small - size) / (1 + small) ** 2
    return np.where(a < 0, left, 1 - left)
""",
    ),
]

HEAD = """def swish_backward(z, beta, grad_output):
    gate = (1 + np.tanh(beta * z / 2)) / 2
    bell = gate * (1 - gate)
    each = grad_output * z**2 * bell
    grad_z = grad_output * (gate + beta * z * bell)
"""
BACKWARD = [
    Variant(
        "p5",
        "grad_beta not summed: the shape of z",
        {"p5-test": 3},
        HEAD + "    return grad_z, each\n",
    ),
    Variant(
        "p5",
        "one sum even for one beta per channel",
        {"p5-test": 2},
        HEAD + "    return grad_z, each.sum()\n",
    ),
    Variant(
        "p5",
        "one sum per channel even for a shared beta",
        {"p5-test": 1},
        HEAD + "    return grad_z, each.sum(axis=0)\n",
    ),
    Variant(
        "p5",
        "sums kept as a row, shape (1, C)",
        {"p5-test": 2},
        HEAD + "    return grad_z, each.sum(axis=0, keepdims=True) if np.ndim(beta) else each.sum()\n",
    ),
    Variant(
        "p5",
        "the mean in place of the sum",
        {"p5-test": 3},
        HEAD + "    return grad_z, each.mean(axis=0) if np.ndim(beta) else each.mean()\n",
    ),
    Variant(
        "p5",
        "z in place of z^2",
        {"p5-test": 3},
        HEAD.replace("z**2", "z") + "    return grad_z, each.sum(axis=0) if np.ndim(beta) else each.sum()\n",
    ),
    Variant(
        "p5",
        "grad_output forgotten in both",
        {"p5-test": 4},
        HEAD.replace("grad_output *", "1 *")
        + "    return grad_z, each.sum(axis=0) if np.ndim(beta) else each.sum()\n",
    ),
    Variant(
        "p5",
        "changes grad_output",
        {"p5-test": 1},
        """def swish_backward(z, beta, grad_output):
    gate = (1 + np.tanh(beta * z / 2)) / 2
    grad_beta = (grad_output * z**2 * gate * (1 - gate)).sum(axis=0 if np.ndim(beta) else None)
    grad_output *= gate + beta * z * gate * (1 - gate)
    return grad_output, grad_beta
""",
    ),
    Variant(
        "p5",
        "the two gradients in the wrong order",
        {"p5-test": 4},
        HEAD + "    return each.sum(axis=0) if np.ndim(beta) else each.sum(), grad_z\n",
    ),
    Variant(
        "p5",
        "right: einsum, and a list",
        {},
        HEAD
        + '    return [grad_z, np.einsum("nc->c", each) if np.ndim(beta) else np.einsum("nc->", each)]\n',
    ),
    Variant(
        "p5",
        "right: a loop over the channels",
        {},
        HEAD
        + """    if np.ndim(beta) == 0:
        return grad_z, float(each.sum())
    return grad_z, np.array([sum(each[:, k]) for k in range(z.shape[1])])
""",
    ),
]

MINIMUM = [
    Variant(
        "p6",
        "place + 1/beta: digits lost for a large c",
        {"p6-test": 1},
        """def swish_minimum(beta, c):
    if beta <= 0:
        raise ValueError("beta must be positive")
    low, high = -1 - np.exp(-1 - c), -1.0
    for _ in range(200):
        t = (low + high) / 2
        low, high = (t, high) if 1 + t + np.exp(t - c) < 0 else (low, t)
    return t / beta, t / beta + 1 / beta
""",
    ),
    Variant(
        "p6",
        "not divided by beta",
        {"p6-test": 3},
        """def swish_minimum(beta, c):
    if beta <= 0:
        raise ValueError("beta must be positive")
    low, high = -1 - np.exp(-1 - c), -1.0
    for _ in range(200):
        t = (low + high) / 2
        low, high = (t, high) if 1 + t + np.exp(t - c) < 0 else (low, t)
    return t, -np.exp(t - c)
""",
    ),
    Variant(
        "p6",
        "threshold ignored",
        {"p6-test": 3},
        """def swish_minimum(beta, c):
    if beta <= 0:
        raise ValueError("beta must be positive")
    return -1.2784645427610738 / beta, -0.2784645427610738 / beta
""",
    ),
    Variant(
        "p6",
        "interval too short: [-2, -1] only",
        {"p6-test": 2},
        """def swish_minimum(beta, c):
    if beta <= 0:
        raise ValueError("beta must be positive")
    low, high = -2.0, -1.0
    for _ in range(200):
        t = (low + high) / 2
        low, high = (t, high) if 1 + t + np.exp(t - c) < 0 else (low, t)
    return t / beta, -np.exp(t - c) / beta
""",
    ),
    Variant(
        "p6",
        "twenty steps: six digits",
        {"p6-test": 2},
        """def swish_minimum(beta, c):
    if beta <= 0:
        raise ValueError("beta must be positive")
    low, high = -1 - np.exp(-1 - c), -1.0
    for _ in range(20):
        t = (low + high) / 2
        low, high = (t, high) if 1 + t + np.exp(t - c) < 0 else (low, t)
    return t / beta, -np.exp(t - c) / beta
""",
    ),
    Variant(
        "p6",
        "an answer even for beta <= 0",
        {"p6-test": 1},
        """def swish_minimum(beta, c):
    t = -1.0
    for _ in range(200):
        e = np.exp(t - c)
        t -= (1 + t + e) / (1 + e)
    return (t / beta, -np.exp(t - c) / beta) if beta else (0.0, 0.0)
""",
    ),
    Variant(
        "p6",
        "a grid of 10,000 points",
        {"p6-test": 3},
        """def swish_minimum(beta, c):
    if beta <= 0:
        raise ValueError("beta must be positive")
    z = np.linspace(-40 / beta, 0, 10_001)
    f = z / (1 + np.exp(c - beta * z))
    return z[f.argmin()], f.min()
""",
    ),
    Variant(
        "p6",
        "right: Newton's method",
        {},
        """def swish_minimum(beta, c):
    if not beta > 0:
        raise ValueError(f"beta = {beta}")
    t = -1.0
    for _ in range(200):
        e = np.exp(t - c)
        t -= (1 + t + e) / (1 + e)
    return float(t / beta), float(t / beta / (1 + np.exp(c - t)))
""",
    ),
    Variant(
        "p6",
        "right: bisection for w e^w = e^(-1-c), with math",
        {},
        """import math


def swish_minimum(beta, c):
    if beta <= 0:
        raise ValueError("no lowest point")
    low, high = -60.0, 60.0  # of log w: log w + w grows
    while True:
        middle = (low + high) / 2
        if middle in (low, high):
            w = math.exp(middle)
            return -(1 + w) / beta, -w / beta
        if middle + math.exp(middle) < -1 - c:
            low = middle
        else:
            high = middle
""",
    ),
]

VARIANTS = [*SLOPE, *LOWEST, *FORWARD, *GRADIENT, *BACKWARD, *MINIMUM]
