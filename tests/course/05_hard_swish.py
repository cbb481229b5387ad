"""Variants of the answers to assignment 05: honest mistakes, and right answers written differently."""

from selfgated.grading.mutation import Variant


def formulas(**texts):
    return "\n\n".join(f'def {name}():\n    return "{text}"\n' for name, text in texts.items())


def kinks(left="-w/(v + w)", right="(2*v + w)/(v + w)", low="-w^2/(4*(v + w))"):
    return formulas(slope_at_left_kink=left, slope_at_right_kink=right, lowest_value=low)


INSIDE = "(Phi(v/s) - Phi(-w/s))"


def means(value=f"s^2*{INSIDE}/(v + w)", curvature=f"(2*{INSIDE} - w*phi(w/s)/s - v*phi(v/s)/s)/(v + w)"):
    return formulas(mean_value=value, mean_curvature=curvature)


PROBLEM_1 = [
    Variant("p1", "the slopes from outside", {"p1-test": 2}, kinks("0", "1")),
    Variant("p1", "sign at the left kink", {"p1-test": 1}, kinks(left="w/(v + w)")),
    Variant("p1", "product rule without the gate", {"p1-test": 1}, kinks(right="v/(v + w)")),
    Variant("p1", "the numbers of h-swish", {"p1-test": 3}, kinks("-1/2", "3/2", "-3/8")),
    Variant("p1", "the place, not the value", {"p1-test": 1}, kinks(low="-w/2")),
    Variant(
        "p1", "w and v exchanged", {"p1-test": 3}, kinks("-v/(v + w)", "1 + w/(v + w)", "-v^2/(4*(v + w))")
    ),
    Variant("p1", "an unknown symbol", {"p1-test": 1}, kinks(low="-a^2/(4*(a + b))")),
    Variant(
        "p1", "a number, no text", {"p1-test": 3}, kinks().replace('"', "").replace("return", "return 0 #")
    ),
    Variant("p1", "one fraction more", {}, kinks("v/(v + w) - 1", "1 + v/(v + w)", "-w*w/(4*v + 4*w)")),
    Variant(
        "p1", "over the other variable", {}, kinks("-1/(v/w + 1)", "2 - w/(w + v)", "-0.25*w**2/(w + v)")
    ),
]

PROBLEM_2 = [
    Variant("p2", "no s^2 in Stein's lemma", {"p2-test": 2}, means(value=f"{INSIDE}/(v + w)")),
    Variant("p2", "Phi(w/s) for Phi(-w/s)", {"p2-test": 2}, means(value="s^2*(Phi(v/s) - Phi(w/s))/(v + w)")),
    Variant(
        "p2",
        "right for s = 1 only",
        {"p2-test": 4},
        means(
            *(
                text.replace("/s", "").replace("s^2*", "")
                for text in (f"s^2*{INSIDE}/(v + w)", f"(2*{INSIDE} - w*phi(w/s)/s - v*phi(v/s)/s)/(v + w)")
            )
        ),
    ),
    Variant("p2", "no spikes", {"p2-test": 2}, means(curvature=f"2*{INSIDE}/(v + w)")),
    Variant(
        "p2",
        "spikes with the wrong sign",
        {"p2-test": 2},
        means(curvature=f"(2*{INSIDE} + w*phi(w/s)/s + v*phi(v/s)/s)/(v + w)"),
    ),
    Variant(
        "p2",
        "density without 1/s",
        {"p2-test": 2},
        means(curvature=f"(2*{INSIDE} - w*phi(w/s) - v*phi(v/s))/(v + w)"),
    ),
    Variant(
        "p2",
        "spikes of h-swish",
        {"p2-test": 2},
        means(curvature=f"2*{INSIDE}/(v + w) - (phi(w/s) + phi(v/s))/(2*s)"),
    ),
    Variant(
        "p2",
        "h-swish in place of the ramp",
        {"p2-test": 4},
        means("s^2*(2*Phi(3/s) - 1)/6", "(2*Phi(3/s) - 1)/3 - phi(3/s)/s"),
    ),
    Variant(
        "p2",
        "by erf",
        {},
        means(
            "s^2*(erf(v/(s*sqrt(2))) + erf(w/(s*sqrt(2))))/(2*(v + w))",
            "(erf(v/(s*sqrt(2))) + erf(w/(s*sqrt(2))) - (w*exp(-w^2/(2*s^2)) + v*exp(-v^2/(2*s^2)))"
            "/(s*sqrt(2*pi)))/(v + w)",
        ),
    ),
    Variant(
        "p2",
        "other tails",
        {},
        means(
            "s^2*(1 - Phi(-v/s) - Phi(-w/s))/(v + w)",
            "2*(1 - Phi(-v/s) - Phi(-w/s))/(v + w) - w/(v + w)*phi(-w/s)/s - v/(v + w)*phi(v/s)/s",
        ),
    ),
]

REFUSAL = """    if not (-w / (v + w) <= at_kinks[0] <= 0 and 1 <= at_kinks[1] <= 1 + v / (v + w)):
        raise ValueError("not between the one-sided slopes")
"""
PIECES = """    slope = (2 * z + w) / (v + w)
    slope = np.where(z < -w, 0.0, np.where(z > v, 1.0, slope))
"""
SET = """    slope = np.where(z == -w, at_kinks[0], slope)
    return np.where(z == v, at_kinks[1], slope)
"""


def grad(*bodies):
    return "def ramp_grad(z, w, v, *, at_kinks=(0.0, 1.0)):\n" + "".join(bodies)


PROBLEM_3 = [
    Variant(
        "p3",
        "at_kinks is ignored",
        {"p3-test": 3},
        grad(REFUSAL, PIECES.replace("<", "<=").replace(">", ">="), "    return slope\n"),
    ),
    Variant("p3", "no refusal", {"p3-test": 1}, grad(PIECES, SET)),
    Variant(
        "p3",
        "the intervals of h-swish for every ramp",
        {"p3-test": 1},
        grad(REFUSAL.replace("-w / (v + w)", "-0.5").replace("1 + v / (v + w)", "1.5"), PIECES, SET),
    ),
    Variant(
        "p3",
        "the slope of h-swish on the ramp",
        {"p3-test": 4},
        grad(REFUSAL, PIECES.replace("(2 * z + w) / (v + w)", "z / 3 + 0.5"), SET),
    ),
    Variant(
        "p3",
        "float32 lost",
        {"p3-test": 1},
        grad(REFUSAL, "    z = np.asarray(z, dtype=float)\n", PIECES, SET),
    ),
    Variant(
        "p3",
        "nan becomes 0",
        {"p3-test": 2},
        grad(
            REFUSAL,
            "    choices = [z == -w, z == v, (z > -w) & (z < v), z > v]\n"
            "    slope = z.dtype.type(1) * (2 * z + w) / (v + w)\n"
            "    values = [at_kinks[0], at_kinks[1], slope, 1.0]\n"
            "    return np.select(choices, values, 0.0)\n",
        ),
    ),
    Variant(
        "p3",
        "open intervals: the ends are refused",
        {"p3-test": 4},
        grad(REFUSAL.replace("<=", "<"), PIECES, SET),
    ),
    Variant(
        "p3",
        "returns None in place of raising",
        {"p3-test": 1},
        grad(
            REFUSAL.replace('raise ValueError("not between the one-sided slopes")', "return None"),
            PIECES,
            SET,
        ),
    ),
    Variant(
        "p3",
        "writes into its input",
        {"p3-test": 1},
        grad(
            REFUSAL,
            "    low, high, inside = z < -w, z > v, (z > -w) & (z < v)\n"
            "    left, right = z == -w, z == v\n"
            "    z[inside] = (2 * z[inside] + w) / (v + w)\n"
            "    z[low], z[high], z[left], z[right] = 0, 1, at_kinks[0], at_kinks[1]\n"
            "    return z\n",
        ),
    ),
    Variant(
        "p3", "the gate", {"p3-test": 4}, grad(REFUSAL, "    slope = np.clip((z + w) / (v + w), 0, 1)\n", SET)
    ),
    Variant(
        "p3",
        "masks on a copy",
        {},
        grad(
            REFUSAL,
            "    slope = np.array(z)\n"
            "    inside = (z > -w) & (z < v)\n"
            "    slope[inside] = (2 * slope[inside] + w) / (v + w)\n"
            "    slope[z < -w], slope[z > v] = 0, 1\n"
            "    slope[z == -w], slope[z == v] = at_kinks\n"
            "    return slope\n",
        ),
    ),
    Variant(
        "p3",
        "gate plus z times its slope",
        {},
        grad(
            REFUSAL,
            "    one = z.dtype.type(1)\n"
            "    inside = (z > -w) & (z < v)\n"
            "    slope = np.clip((z + w) / (v + w), 0, 1) + np.where(inside, z, 0 * one) / (v + w)\n",
            SET,
        ),
    ),
]


def half(*lines):
    return "def half_swish(z):\n" + "".join(f"    {line}\n" for line in lines)


PROBLEM_4 = [
    Variant(
        "p4",
        "product before the division: overflow",
        {"p4-test": 3},
        half("return z * np.clip(z + 3, 0, 6) / 6"),
    ),
    Variant(
        "p4", "divided first by 6: one overflow", {"p4-test": 3}, half("return z / 6 * np.clip(z + 3, 0, 6)")
    ),
    Variant(
        "p4",
        "z/6 + 1/2 cancels near -3",
        {"p4-test": 2},
        half(
            "gate = np.clip(z / 6 + np.float16(0.5), 0, 1)",
            "return np.where(z == -np.inf, np.float16(0), z) * gate",
        ),
    ),
    Variant("p4", "-inf times 0", {"p4-test": 1}, half("return z * (np.clip(z + 3, 0, 6) / 6)")),
    Variant(
        "p4",
        "float32 comes back",
        {"p4-test": 1},
        half(
            "z = z.astype(np.float32)", "return np.where(z == -np.inf, 0, z) * np.clip(z + 3, 0, 6) / 6"
        ).replace("0, z) *", "np.float32(0), z) *"),
    ),
    Variant(
        "p4",
        "nan becomes 0",
        {"p4-test": 1},
        half(
            "z = np.nan_to_num(z, nan=0.0, posinf=np.inf, neginf=-9.0)",
            "return z * (np.clip(z + 3, 0, 6) / 6)",
        ),
    ),
    Variant(
        "p4",
        "no cut on the right",
        {"p4-test": 2},
        half("return np.where(z <= -3, np.float16(0), z * ((z + 3) / 6))"),
    ),
    Variant(
        "p4",
        "Swish",
        {"p4-test": 3},
        half(
            "x = z.astype(np.float64)",
            "safe = np.where(x < -50, 0.0, x)",
            "return (safe / (1 + np.exp(-safe))).astype(np.float16)",
        ),
    ),
    Variant(
        "p4",
        "a thousandth left of -3 in place of 0",
        {"p4-test": 2},
        half(
            "inside = np.clip(z, -3, 3)",
            "slow = inside * ((inside + np.float16(3)) / np.float16(6))",
            "return np.where(z >= 3, z, np.where((z <= -3) & np.isfinite(z), np.float16(-0.001), slow))",
        ),
    ),
    Variant(
        "p4",
        "writes into its input",
        {"p4-test": 1},
        half(
            "z[z < -3] = -3",
            "return z * (np.clip(z + np.float16(3), 0, 6) / np.float16(6))",
        ),
    ),
    Variant(
        "p4",
        "in float32",
        {},
        half(
            "x = np.maximum(z.astype(np.float32), np.float32(-9))",
            "return (x * (np.clip(x + 3, 0, 6) / 6)).astype(np.float16)",
        ),
    ),
    Variant(
        "p4",
        "three pieces",
        {},
        half(
            "inside = np.clip(z, -3, 3)",
            "return np.where(z >= 3, z, inside * ((inside + np.float16(3)) / np.float16(6)))",
        ),
    ),
]

GAP = """    def gap(w):
        return z * np.clip((z + w) / (2 * w), 0, 1) - target

"""


def width(*lines, gap=GAP):
    return "def best_half_width(z, target):\n" + gap + "".join(f"    {line}\n" for line in lines)


def halving(test="d.max() + d.min() > 0", times=60):
    return (
        "low, high = 0.2, 20.0",
        f"for _ in range({times}):",
        "    w = (low + high) / 2",
        "    d = gap(w)",
        f"    if {test}:",
        "        low = w",
        "    else:",
        "        high = w",
    )


END = "return high, np.abs(gap(high)).max()"
PROBLEM_5 = [
    Variant(
        "p5",
        "a scan of 1,000 half-widths",
        {"p5-test": 4},
        width(
            "widths = np.linspace(0.2, 20, 1000)",
            "found = [np.abs(gap(w)).max() for w in widths]",
            "return widths[np.argmin(found)], min(found)",
        ),
    ),
    Variant(
        "p5",
        "always the half-width of Swish",
        {"p5-test": 4},
        width("return 3.145941945614892, np.abs(gap(3.145941945614892)).max()"),
    ),
    Variant(
        "p5",
        "mean square",
        {"p5-test": 4},
        width(
            "widths = np.linspace(0.2, 20, 2000)",
            "w = widths[np.argmin([(gap(w) ** 2).mean() for w in widths])]",
            "return w, np.sqrt((gap(w) ** 2).mean())",
        ),
    ),
    Variant(
        "p5", "the pair exchanged", {"p5-test": 4}, width(*halving(), "return np.abs(gap(high)).max(), high")
    ),
    Variant(
        "p5",
        "distance without absolute values",
        {"p5-test": 4},
        width(*halving(), "return high, gap(high).min()"),
    ),
    Variant(
        "p5",
        "looks within the grid only",
        {"p5-test": 1},
        width(*(line.replace("20.0", "min(20.0, np.abs(z).max())") for line in halving()), END),
    ),
    Variant(
        "p5",
        "assumes a target that is mirrored, right half only",
        {"p5-test": 3},
        width("z, target = z[z > 0], target[z > 0]", *halving(), END),
    ),
    Variant(
        "p5",
        "looks between 1 and 10 only",
        {"p5-test": 2},
        width(*halving(), END).replace("0.2, 20.0", "1.0, 10.0"),
    ),
    Variant("p5", "12 halvings", {"p5-test": 4}, width(*halving(times=12), END)),
    Variant(
        "p5",
        "divides by w, not by 2 w",
        {"p5-test": 4},
        width(*halving(), END, gap=GAP.replace("(z + w) / (2 * w)", "(z + w) / w")),
    ),
    Variant("p5", "changes its target", {"p5-test": 4}, width(*halving(), "target -= target.mean()", END)),
    Variant(
        "p5",
        "golden section",
        {},
        width(
            "ratio, low, high = (5**0.5 - 1) / 2, 0.2, 20.0",
            "for _ in range(70):",
            "    a, b = high - ratio * (high - low), low + ratio * (high - low)",
            "    if np.abs(gap(a)).max() < np.abs(gap(b)).max():",
            "        high = b",
            "    else:",
            "        low = a",
            END,
        ),
    ),
    Variant(
        "p5",
        "false position between the two errors",
        {},
        width(
            "def lead(w):",
            "    return gap(w).max() + gap(w).min()",
            "",
            "low, high = 0.2, 20.0",
            "for k in range(200):",
            "    a, b = lead(low), lead(high)",
            "    w = (low + high) / 2 if k % 2 or a == b else (low * b - high * a) / (b - a)",
            "    low, high = (w, high) if lead(w) > 0 else (low, w)",
            END,
        ),
    ),
]

VARIANTS = PROBLEM_1 + PROBLEM_2 + PROBLEM_3 + PROBLEM_4 + PROBLEM_5
