"""Problems 1 and 2: formulas by hand."""

from selfgated.checks import engine

T = "tanh(beta*z/2)"


def slope(swish_slope):
    """Check Problem 1: the slope of Swish as text in `z` and `beta`, with tanh alone."""
    return engine.expression(
        swish_slope,
        "sigma(beta*z) + beta*z*sigma(beta*z)*(1 - sigma(beta*z))",
        symbols={"z": (-6, 6), "beta": (-2, 4)},
        functions=("tanh",),
        mistakes=(
            (f"z/2*(1 + {T})", "you returned f itself; differentiate it"),
            (
                f"1/2 + {T}/2",
                "you returned the gate sigma(beta z); the slope also has z times the gate's slope",
            ),
            (
                f"beta*z/4*(1 - {T}^2)",
                "you returned z times the gate's slope; the product rule also has the gate itself",
            ),
            (
                f"beta/4*(1 - {T}^2)",
                "you returned the slope of the gate; f is z times the gate, so use the product rule",
            ),
            (
                f"1/2 + {T}/2 + z/4*(1 - {T}^2)",
                "the inner derivative lacks beta: it is beta / 2. Yours is right at beta = 1 only",
            ),
            ("1/2 + tanh(z/2)/2 + z/4*(1 - tanh(z/2)^2)", "beta is missing: that is the slope at beta = 1"),
            (f"1/2 + {T}/2 + z/2*(1 - {T}^2)", "the inner derivative, beta / 2, is missing"),
            (f"1/2 + {T}/2 + beta*z/2*(1 - {T}^2)", "the inner derivative is beta / 2, not beta"),
            (f"1/2 + {T}/2 - beta*z/4*(1 - {T}^2)", "the second term has the wrong sign: tanh' = 1 - tanh^2"),
            (f"1/2 + {T}/2 + beta*z/4*(1 - {T})", "tanh' is 1 - tanh^2: the square is missing"),
            (f"1/2 + {T}/2 + beta*z/4*(1 + {T}^2)", "tanh' is 1 - tanh^2, not 1 + tanh^2"),
        ),
    )


def lowest(lowest_term, lowest_value):
    """Check Problem 2: the exponential in the equation of the lowest point, and the value there."""
    engine.expression(
        lowest_term,
        "exp(-c)*exp(beta*z)",
        symbols={"z": (-4, 1), "beta": (0.4, 3), "c": (-3, 3)},
        functions=("exp",),
        mistakes=(
            (
                "exp(beta*z)",
                "the threshold c is missing; 1 - sigma(t) = 1/(1 + e^t) holds with t = beta z - c",
            ),
            ("exp(beta*z + c)", "the threshold has the wrong sign: t = beta z - c"),
            ("exp(z - c)", "beta is missing in the exponent: t = beta z - c"),
            ("exp(c - beta*z)", "the exponent has the wrong sign: 1 - sigma(t) is 1/(1 + e^t), with a plus"),
            (
                "beta*exp(beta*z - c)",
                "there is a beta too many: divide f' by sigma(t), differentiate no further",
            ),
            ("-exp(beta*z - c)", "the sign is wrong: multiply 1 + beta z/(1 + e^t) = 0 by 1 + e^t"),
            ("1 + exp(beta*z - c)", "the 1 of your term is already in the equation: 1 + beta z + T = 0"),
        ),
    )
    engine.expression(
        lowest_value,
        "(beta*z + 1)/beta",
        symbols={"z": (-8, -0.2), "beta": (0.4, 3)},
        functions=(),
        mistakes=(
            ("1 + z", "that is right at beta = 1 only"),
            ("1 + beta*z", "that is beta f; divide by beta"),
            ("beta + z", "the two are not added like this: write f = z e^t/(1 + e^t) and replace e^t"),
            ("z - 1/beta", "the sign of the second term is wrong: e^t = -(1 + beta z)"),
            ("-z - 1/beta", "the sign is wrong: the lowest value is negative"),
            ("z*(1 + beta*z)", "divide by 1 + e^t too: it is -beta z"),
        ),
    )
    return "lowest_term, lowest_value: fine"
