"""Variants of the answers to assignment 12: honest mistakes, and right answers written differently."""

from selfgated.grading.mutation import Variant


def formulas(**texts):
    """Source of functions without arguments that return these texts."""
    return "\n\n".join(f'def {name}():\n    return "{text}"\n' for name, text in texts.items())


def leaky(**changes):
    right = {
        "settled_variance": "s^2/(1 - rho^2*(1 + a^2)/2)",
        "step_factor": "rho*sqrt((1 + a^2)/2)",
        "memory_time": "-2/log(1 - 1/r)",
    }
    return formulas(**right | changes)


def hump(**changes):
    right = {
        "second_component": "t*k*a^(t - 1)",
        "hump_time": "-1/log(a)",
        "hump_height": "-k/(a*exp(1)*log(a))",
        "safe_coupling": "1 - a^2",
    }
    return formulas(**right | changes)


def bias(**changes):
    right = {
        "half_life_bias": "-log(2^(1/D) - 1)",
        "mean_age": "exp(b)",
        "best_bias": "-log(sqrt((D + 1)/D) - 1)",
    }
    return formulas(**right | changes)


LAGS = """
import numpy as np


def log_norms(W, slopes, delta):
    found = np.full(len(slopes) + 1, -np.inf)
    total, direction = 0.0, np.array(delta)
    for k in range(len(slopes) + 1):
        if k:
            direction = W.T @ (slopes[-k] * direction)
        size = np.linalg.norm(direction)
        if size == 0:
            break
        total, direction = total + np.log(size), direction / size
        found[k] = total
    return found
"""

PLAIN = """
import numpy as np


def log_norms(W, slopes, delta):
    logs = [np.log(np.linalg.norm(delta))]
    for slope in slopes[::-1]:
        delta = W.T @ (slope * delta)
        logs.append(np.log(np.linalg.norm(delta)))
    return np.array(logs)
"""

POWERS = """
import math

import numpy as np


def log_norms(W, slopes, delta):
    logs, power, vector = [], 0, delta
    for k in range(len(slopes), -1, -1):
        top = math.frexp(max(map(abs, vector.tolist())))[1]
        vector, power = vector * 0.5**top, power + top
        length = math.sqrt(sum(v * v for v in vector.tolist()))
        logs.append(math.log(length) + power * math.log(2) if length else -math.inf)
        if k:
            vector = (slopes[k - 1] * vector) @ W
    return np.array(logs)
"""

MATRICES = """
import numpy as np


def log_norms(W, slopes, delta):
    with np.errstate(divide="ignore"):
        sizes, v = [np.sqrt(delta @ delta)], delta / (np.sqrt(delta @ delta) or 1.0)
        for J in (slopes[:, :, None] * W)[::-1]:
            v = J.T @ v
            sizes.append(np.sqrt(v @ v))
            v = v / (sizes[-1] or 1.0)
        return np.cumsum(np.log(sizes))
"""

CELL = """
import numpy as np


def lstm_step(x, h, c, A, B, b):
    def sigma(p):
        return 0.5 + 0.5 * np.tanh(p / 2)

    p_I, p_F, p_g, p_O = np.split(A @ x + B @ h + b, 4)
    new = sigma(p_F) * c + sigma(p_I) * np.tanh(p_g)
    return sigma(p_O) * np.tanh(new), new


def lstm_backward(grad_h, grad_c, x, h, c, A, B, b):
    q_I, q_F, q_g, q_O = np.split(A @ x + B @ h + b, 4)
    enter, keep, show = (0.5 + 0.5 * np.tanh(q / 2) for q in (q_I, q_F, q_O))
    g = np.tanh(q_g)
    out = np.tanh(keep * c + enter * g)
    full = grad_c + grad_h * show * (1 - out**2)
    by_q = [
        full * g * enter * (1 - enter),
        full * c * keep * (1 - keep),
        full * enter * (1 - g**2),
        grad_h * out * show * (1 - show),
    ]
    return B.T @ np.concatenate(by_q), full * keep
"""

COMPLEX = """
import numpy as np


def lstm_step(x, h, c, A, B, b):
    n = len(h)
    p = (A @ x + B @ h + b).reshape(4, n)
    e = np.exp(-abs(p))
    s = np.where(p < 0, e, 1) / (1 + e)
    new = s[1] * c + s[0] * np.tanh(p[2])
    return [s[3] * np.tanh(new), new]


def lstm_backward(grad_h, grad_c, x, h, c, A, B, b):
    def loss(h, c):
        p = np.split(A @ x + B @ h + b, 4)
        s = [1 / (1 + np.exp(-q)) for q in p]
        new = s[1] * c + s[0] * np.tanh(p[2])
        return (grad_h @ (s[3] * np.tanh(new)) + grad_c @ new).imag * 1e20

    unit = 1e-20j * np.eye(len(h))
    return np.array([loss(h + u, c) for u in unit]), np.array([loss(h, c + u) for u in unit])
"""

JACOBIANS = """
import numpy as np


def sigma(p):
    return np.where(p < 0, np.exp(np.minimum(p, 0)), 1) / (1 + np.exp(-abs(p)))


def lstm_step(x, h, c, A, B, b):
    n = len(h)
    pre = np.hstack([A, B]) @ np.concatenate([x, h]) + b
    new = sigma(pre[n : 2 * n]) * c + sigma(pre[:n]) * np.tanh(pre[2 * n : 3 * n])
    return sigma(pre[3 * n :]) * np.tanh(new), new


def lstm_backward(grad_h, grad_c, x, h, c, A, B, b):
    n = len(h)
    pre = A @ x + B @ h + b
    i, f, o = sigma(pre[:n]), sigma(pre[n : 2 * n]), sigma(pre[3 * n :])
    g = np.tanh(pre[2 * n : 3 * n])
    new = f * c + i * g
    total = grad_c + grad_h * o / np.cosh(new) ** 2
    back = (total * g * i * (1 - i)) @ B[:n] + (total * c * f * (1 - f)) @ B[n : 2 * n]
    back = back + (total * i * (1 - g * g)) @ B[2 * n : 3 * n]
    return back + (grad_h * np.tanh(new) * o * (1 - o)) @ B[3 * n :], total * f
"""


def edited(source, *pairs):
    """`source` with each old text replaced by its new one; every old text must occur once."""
    for old, new in pairs:
        if source.count(old) != 1:
            raise ValueError(f"{old!r} occurs {source.count(old)} times")
        source = source.replace(old, new)
    return source


SIGMA = "0.5 + 0.5 * np.tanh(p / 2)"
VARIANTS = [
    Variant("p1", "half of z forgotten", {"p1-test": 1}, leaky(settled_variance="s^2/(1 - rho^2*(1 + a^2))")),
    Variant("p1", "the slope not squared", {"p1-test": 1}, leaky(step_factor="rho*(1 + a)/2")),
    Variant("p1", "chi in place of its root", {"p1-test": 1}, leaky(step_factor="rho^2*(1 + a^2)/2")),
    Variant(
        "p1",
        "ReLU: the leak is missing",
        {"p1-test": 2},
        leaky(settled_variance="s^2/(1 - rho^2/2)", step_factor="rho/sqrt(2)"),
    ),
    Variant("p1", "the sign of the time", {"p1-test": 1}, leaky(memory_time="2/log(1 - 1/r)")),
    Variant("p1", "the approximation for large r", {"p1-test": 1}, leaky(memory_time="2*r")),
    Variant("p1", "an unknown symbol", {"p1-test": 1}, leaky(memory_time="-2/log(chi)")),
    Variant(
        "p1",
        "right: other fractions",
        {},
        leaky(
            settled_variance="2*s^2/(2 - rho^2*(1 + a^2))",
            step_factor="rho*sqrt(2 + 2*a^2)/2",
            memory_time="2/log(r/(r - 1))",
        ),
    ),
    Variant(
        "p1",
        "right: with logarithms",
        {},
        leaky(step_factor="exp(log(rho^2*(1 + a^2)/2)/2)", memory_time="2/(log(r) - log(r - 1))"),
    ),
    Variant("p2", "one power of a too many", {"p2-test": 1}, hump(second_component="t*k*a^t")),
    Variant("p2", "W in place of its transpose", {"p2-test": 1}, hump(second_component="0")),
    Variant(
        "p2",
        "the sign of the logarithm",
        {"p2-test": 2},
        hump(hump_time="1/log(a)", hump_height="k/(a*exp(1)*log(a))"),
    ),
    Variant("p2", "the hump at whole steps", {"p2-test": 1}, hump(hump_time="a/(1 - a)")),
    Variant("p2", "the factor 1/e is missing", {"p2-test": 1}, hump(hump_height="-k/(a*log(a))")),
    Variant("p2", "the singular value bounded by a + k", {"p2-test": 1}, hump(safe_coupling="1 - a")),
    Variant("p2", "no formula", {"p2-test": 1}, hump(safe_coupling="k = 1 - a^2")),
    Variant(
        "p2",
        "right: with exponentials",
        {},
        hump(
            second_component="k*t*exp((t - 1)*log(a))",
            hump_time="1/log(1/a)",
            hump_height="k/a/e/log(1/a)",
            safe_coupling="(1 + a)*(1 - a)",
        ),
    ),
    Variant(
        "p2",
        "right: divided by a",
        {},
        hump(
            second_component="t*k/a*a^t",
            hump_time="(-log(a))^(-1)",
            hump_height="exp(-1)*k/(a*log(1/a))",
            safe_coupling="(2 - 2*a^2)/2",
        ),
    ),
    Variant("p3", "no rescaling", {"p3-test": 1}, PLAIN),
    Variant(
        "p3", "the first row of slopes first", {"p3-test": 3}, edited(LAGS, ("slopes[-k]", "slopes[k - 1]"))
    ),
    Variant("p3", "W in place of its transpose", {"p3-test": 4}, edited(LAGS, ("W.T", "W"))),
    Variant(
        "p3",
        "the slopes after W",
        {"p3-test": 3},
        edited(LAGS, ("W.T @ (slopes[-k] * direction)", "slopes[-k] * (W.T @ direction)")),
    ),
    Variant("p3", "logarithms of base 10", {"p3-test": 4}, edited(LAGS, ("np.log(size)", "np.log10(size)"))),
    Variant(
        "p3",
        "nan after the end of the gradient",
        {"p3-test": 1},
        edited(LAGS, ("        if size == 0:\n            break\n", "")),
    ),
    Variant(
        "p3",
        "delta changed in place",
        {"p3-test": 1},
        edited(
            LAGS,
            ("np.array(delta)", "delta"),
            (
                "W.T @ (slopes[-k] * direction)",
                "W.T @ (slopes[-k] * direction)\n            delta[:] = direction",
            ),
        ),
    ),
    Variant("p3", "one entry too few", {"p3-test": 4}, edited(LAGS, ("return found", "return found[1:]"))),
    Variant(
        "p3",
        "rescaled in every 50th step only",
        {"p3-test": 1},
        edited(
            LAGS,
            ("total + np.log(size), direction / size", "total, direction"),
            (
                "found[k] = total",
                "found[k] = total + np.log(size)\n        if k % 50 == 0:\n"
                "            total, direction = found[k], direction / size",
            ),
        ),
    ),
    Variant(
        "p3",
        "delta_T of 0 not looked for",
        {"p3-test": 1},
        edited(
            LAGS,
            ("np.array(delta)", "delta / np.linalg.norm(delta)"),
            ("total, direction = 0.0", "total, direction = np.log(np.linalg.norm(delta))"),
        ),
    ),
    Variant("p3", "right: powers of two", {}, POWERS),
    Variant("p3", "right: a sum of logarithms at the end", {}, MATRICES),
    Variant(
        "p4",
        "blocks in another order",
        {"p4-test": 2},
        edited(CELL, ("p_I, p_F, p_g, p_O =", "p_I, p_F, p_O, p_g =")),
    ),
    Variant(
        "p4", "exp(p) / (1 + exp(p))", {"p4-test": 1}, edited(CELL, (SIGMA, "np.exp(p) / (1 + np.exp(p))"))
    ),
    Variant(
        "p4", "the old cell read out", {"p4-test": 2}, edited(CELL, ("np.tanh(new), new", "np.tanh(c), new"))
    ),
    Variant(
        "p4",
        "the cell changed in place",
        {"p4-test": 1},
        edited(
            CELL,
            ("return sigma(p_O) * np.tanh(new), new", "c[:] = new\n    return sigma(p_O) * np.tanh(c), new"),
        ),
    ),
    Variant(
        "p4",
        "backward: h' as a function of c' forgotten",
        {"p4-test2": 3},
        edited(CELL, ("grad_c + grad_h * show * (1 - out**2)", "grad_c")),
    ),
    Variant(
        "p4",
        "backward: the output gate held constant",
        {"p4-test2": 2},
        edited(CELL, ("grad_h * out * show * (1 - show)", "0 * g")),
    ),
    Variant(
        "p4",
        "backward: the gates held constant",
        {"p4-test2": 2},
        edited(CELL, ("full * c * keep * (1 - keep)", "0 * g"), ("full * g * enter * (1 - enter)", "0 * g")),
    ),
    Variant(
        "p4",
        "backward: the slope of tanh at the wrong place",
        {"p4-test2": 2},
        edited(CELL, ("(1 - g**2)", "(1 - np.tanh(g) ** 2)")),
    ),
    Variant(
        "p4",
        "backward: the forget gate forgotten",
        {"p4-test2": 1},
        edited(CELL, ("full * keep\n", "full\n")),
    ),
    Variant(
        "p4",
        "right: the rows of one array",
        {},
        edited(
            CELL,
            ("return sigma(p_O) * np.tanh(new), new", "return np.stack([sigma(p_O) * np.tanh(new), new])"),
            (
                "return B.T @ np.concatenate(by_q), full * keep",
                "return np.array([B.T @ np.concatenate(by_q), full * keep])",
            ),
        ),
    ),
    Variant("p4", "right: complex steps", {}, COMPLEX),
    Variant("p4", "right: block by block", {}, JACOBIANS),
    Variant("p5", "the sign of the bias", {"p5-test": 1}, bias(half_life_bias="log(2^(1/D) - 1)")),
    Variant("p5", "the gate in place of its bias", {"p5-test": 1}, bias(half_life_bias="0.5^(1/D)")),
    Variant("p5", "ages counted from 1", {"p5-test": 1}, bias(mean_age="1 + exp(b)")),
    Variant("p5", "the chapter's optimum", {"p5-test": 2}, bias(best_bias="log(D)")),
    Variant("p5", "the approximation for large D", {"p5-test": 2}, bias(best_bias="log(2*D)")),
    Variant("p5", "an unknown symbol", {"p5-test": 1}, bias(mean_age="Z/(1 - Z)")),
    Variant(
        "p5",
        "right: as logits",
        {},
        bias(
            half_life_bias="log(2^(-1/D)/(1 - 2^(-1/D)))",
            mean_age="1/exp(-b)",
            best_bias="log(sqrt(D/(D + 1))/(1 - sqrt(D/(D + 1))))",
        ),
    ),
    Variant(
        "p5",
        "right: denominators cleared",
        {},
        bias(
            half_life_bias="0 - log(exp(log(2)/D) - 1)",
            mean_age="e^b",
            best_bias="log(D + sqrt(D*(D + 1)))",
        ),
    ),
]
