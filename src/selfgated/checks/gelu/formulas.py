"""Problems 1 and 2: formulas by hand; and the by-hand part of Problem 4."""

from selfgated.checks import engine

C, A = "sqrt(2/pi)", "0.044715"
T = f"tanh({C}*(z + {A}*z^3))"
GATE, REST = f"1/2 + {T}/2", f"(1 - {T}^2)"
U = "((z - m)/w)"


def tanh_slope(gelu_tanh_slope):
    """Check Problem 1: the slope of the tanh form."""
    return engine.expression(
        gelu_tanh_slope,
        f"sigma(2*{C}*(z + {A}*z^3)) + z*{C}*(1 + 3*{A}*z^2)/(2*cosh({C}*(z + {A}*z^3))^2)",
        symbols={"z": (-3, 3)},
        functions=("tanh", "sqrt"),
        mistakes=(
            (f"z/2*(1 + {T})", "you returned h itself; differentiate it"),
            (GATE, "you returned the gate; the slope also has z times the gate's slope"),
            (
                f"z/2*{REST}*{C}*(1 + 3*{A}*z^2)",
                "you returned z times the gate's slope; the product rule also has the gate itself",
            ),
            (
                f"{GATE} + z/2*{REST}",
                "the inner derivative is missing: that of sqrt(2/pi) (z + 0.044715 z^3)",
            ),
            (f"{GATE} + z/2*{REST}*{C}", "the inner derivative lacks the factor 1 + 3 * 0.044715 z^2"),
            (f"{GATE} + z/2*{REST}*(1 + 3*{A}*z^2)", "the inner derivative lacks the factor sqrt(2/pi)"),
            (f"{GATE} + z/2*{REST}*{C}*(1 + {A}*z^2)", "the derivative of z^3 is 3 z^2: the 3 is missing"),
            (f"{GATE} + z*{REST}*{C}*(1 + 3*{A}*z^2)", "the second term lacks the 1/2 in front of h"),
            (
                f"{GATE} - z/2*{REST}*{C}*(1 + 3*{A}*z^2)",
                "the second term has the wrong sign: tanh' = 1 - tanh^2",
            ),
            (f"{GATE} + z/2*(1 - {T})*{C}*(1 + 3*{A}*z^2)", "tanh' is 1 - tanh^2: the square is missing"),
            ("Phi(z) + z*phi(z)", "you returned the slope of GELU; here it is that of its tanh form"),
        ),
    )


def centre_and_width(slope_in_z, slope_in_w):
    """Check Problem 2: the slopes of z Phi((z - m) / w) in z and in w."""
    symbols = {"z": (-3, 3), "m": (-1.5, 1.5), "w": (0.4, 2.5)}
    engine.expression(
        slope_in_z,
        f"z*phi{U}/w + 1 - Phi((m - z)/w)",
        symbols=symbols,
        functions=("Phi", "phi"),
        mistakes=(
            (f"Phi{U}", "you returned the gate; the slope also has z times the gate's slope"),
            (
                f"z/w*phi{U}",
                "you returned z times the gate's slope; the product rule also has the gate itself",
            ),
            (f"Phi{U} + z*phi{U}", "the inner derivative 1/w is missing"),
            (f"Phi{U} + (z - m)/w*phi{U}", "in front of phi stands z/w: m moves the gate, not the factor z"),
            ("Phi(z) + z*phi(z)", "that is the slope for m = 0 and w = 1"),
            (f"Phi{U} - z/w*phi{U}", "the second term has the wrong sign: Phi' = phi"),
            (f"Phi{U} - z*(z - m)/w^2*phi{U}", "the gate's slope is Phi' = phi; you used phi' in its place"),
        ),
    )
    engine.expression(
        slope_in_w,
        f"z*phi{U}*(m - z)/w^2",
        symbols=symbols,
        functions=("Phi", "phi"),
        mistakes=(
            (f"z*(z - m)/w^2*phi{U}", "the sign: d/dw of 1/w is -1/w^2"),
            (f"-z/w^2*phi{U}", "the inner derivative is -(z - m)/w^2: the factor z - m is missing"),
            (f"-(z - m)/w^2*phi{U}", "the factor z in front of the gate is missing"),
            (f"-z^2/w^2*phi{U}", "that is right for m = 0 only"),
            (f"-z*(z - m)/w*phi{U}", "d/dw of 1/w is -1/w^2, not -1/w"),
            (f"z/w*phi{U}", "the inner derivative is with respect to w, not z"),
            (f"Phi{U} - z*(z - m)/w^2*phi{U}", "z does not depend on w: there is no first term here"),
            (f"-z*(z - m)/w^2*Phi{U}", "the slope of Phi is phi: a capital letter too many"),
        ),
    )
    return "slope_in_z, slope_in_w: fine"


def series(mills_series):
    """Check the by-hand part of Problem 4: three terms of the Mills ratio."""
    return engine.expression(
        mills_series,
        "(1 - 1/a^2 + 3/a^4)/a",
        symbols={"a": (1, 8)},
        functions=(),
        mistakes=(
            ("1/a + 1/a^3 + 3/a^5", "the signs alternate: each integration by parts brings a minus"),
            ("1/a - 1/a^3", "that is two terms; three are asked"),
            ("1/a - 1/a^3 + 1/a^5", "differentiating 1/t^3 brings a factor 3 into the third term"),
            ("1/a - 1/a^3 + 2/a^5", "differentiating 1/t^3 brings a factor 3 into the third term, not 2"),
            (
                "1/a - 1/a^2 + 1/a^3",
                "each step brings 1/t twice: once by t phi, once by the derivative of 1/t",
            ),
            (
                "1/a - 1/a^2 + 3/a^3",
                "each step brings 1/t twice: once by t phi, once by the derivative of 1/t",
            ),
            ("1/a - 1/a^3 - 3/a^5", "the third term has the wrong sign: minus times minus"),
            ("1/a - 1/a^3 + 3/a^5 - 15/a^7", "that is four terms; three are asked"),
            ("1 - 1/a^2 + 3/a^4", "that is a M(a); divide by a"),
        ),
    )
