"""Problem 1: slopes as formulas in the output."""

from selfgated.checks import engine


def softplus_slope(answer):
    """Check the slope of Softplus in its output."""
    mistakes = [
        ("exp(a)/(1 + exp(a))", "this is sigma of the output: replace 1 + e^z by e^a in sigma(z)"),
        ("exp(-a)", "this is 1 - f': e^-a is 1 / (1 + e^z)"),
        ("1 + exp(-a)", "a sign: the slope is below 1"),
        ("exp(a)", "this is 1 + e^z: divide e^z by it"),
    ]
    return _formula(answer, "-exp(-a) + 1", mistakes)


def squareplus_slope(answer):
    """Check the slope of Squareplus in its output."""
    mistakes = [
        ("(1 + a/sqrt(a^2 + 4))/2", "this is f' with the output in place of z: express z by a first"),
        ("1/(a^2 + 1)", "this is 1 - f': on the right, where a is large, the slope tends to 1"),
        ("(a^2 + 1)/a^2", "this is dz/da: the slope is its reciprocal"),
        ("a^2/(a^2 - 1)", "a sign: the slope is below 1 for every output a > 0"),
        ("a/(a + 1)", "a comes squared: solve for z, and differentiate it by a"),
    ]
    return _formula(answer, "a/(a + 1/a)", mistakes)


def squareplus_curvature(answer):
    """Check the second derivative of Squareplus in its output."""
    mistakes = [
        ("2*a/(a^2 + 1)^2", "this is df'/da: the chain rule adds the factor da/dz = f'"),
        ("-2*a^3/(a^2 + 1)^3", "a sign: the slope rises"),
        ("a^3/(a^2 + 1)^3", "the 2 is missing that a^2 leaves when you differentiate it"),
        ("2*a*a^2/(a^2 + 1)^2", "the quotient rule leaves a square in the denominator, f' a third factor"),
    ]
    return _formula(answer, "2/(a + 1/a)^3", mistakes)


def _formula(answer, right, mistakes):
    functions = ("exp", "log", "sqrt")
    return engine.expression(answer, right, symbols={"a": (0.05, 8)}, functions=functions, mistakes=mistakes)
