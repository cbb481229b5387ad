"""Self-checks of the formulas by hand: averages of sines and thresholds, the edge of chaos, the wave."""

from selfgated.checks import engine

FORMULA = ("exp", "log", "sqrt", "tanh", "sinh", "cosh", "phi", "Phi")


def _formula(answer, right, mistakes, **symbols):
    return engine.expression(answer, right, symbols=symbols, functions=FORMULA, mistakes=mistakes)


def sine_second(answer):
    """Check problem 1: E sin(z)^2."""
    mistakes = [
        ("1/2 + exp(-2*q)/2", "this is E cos(z)^2: sin^2 = (1 - cos(2z))/2 has a minus"),
        ("1/2 - exp(-q)/2", "k = 2 in cos(2z), and k^2 q / 2 = 2q"),
        ("1/2 - exp(-q/2)/2", "the angle doubles: sin^2 = (1 - cos(2z))/2, so k = 2"),
        ("1 - exp(-2*q)", "sin^2 = (1 - cos(2z))/2: the 1/2 is missing"),
        ("q", "that is E z^2: the sine is a line for small q only"),
    ]
    return _formula(answer, "1/2 - exp(-2*q)/2", mistakes, q=(0.1, 6))


def sine_slope_second(answer):
    """Check problem 1: E cos(z)^2."""
    mistakes = [
        ("1/2 - exp(-2*q)/2", "this is E sin(z)^2: the slope of the sine is the cosine"),
        ("exp(-q)", "this is (E cos z)^2: square first, then take the mean"),
        ("exp(-q/2)", "this is E cos z: the slope is squared before the mean is taken"),
        ("1/2 + exp(-q)/2", "k = 2 in cos(2z), and k^2 q / 2 = 2q"),
        ("1 + exp(-2*q)", "cos^2 = (1 + cos(2z))/2: the 1/2 is missing"),
    ]
    return _formula(answer, "1/2 + exp(-2*q)/2", mistakes, q=(0.1, 6))


def threshold_second(answer):
    """Check problem 1: E s(z)^2 of the soft threshold."""
    mistakes = [
        ("(1 + t^2)*Phi(-t) - t*phi(t)", "this is the right side, z > t, alone: the left side gives as much"),
        ("2*t*phi(t) + 2*Phi(-t)", "this is E z^2 over |z| > t (a hard threshold): the soft one subtracts t"),
        (
            "2*Phi(t)*(1 + t*t) - 2*phi(t)*t",
            "the probability of z > t is 1 - Phi(t), not Phi(t)",
        ),
        ("2*(1 + t^2)*Phi(-t) + 2*t*phi(t)", "the sign of t phi(t): E z^2 gives +1 of it, -2t E z gives -2"),
        ("2*(1 + t^2)*Phi(-t) - 4*t*phi(t)", "E z^2 over z > t has a boundary term, t phi(t)"),
        ("2*Phi(-t) - 2*t*phi(t)", "the square of z - t has the term t^2"),
        ("2*Phi(-t)", "this is the mean squared slope of s"),
    ]
    return _formula(answer, "2*Phi(-t)*(1 + t*t) - 2*phi(t)*t", mistakes, t=(0.1, 3))


def edge_weight(answer):
    """Check problem 4: sigma_w^2 at the edge."""
    mistakes = [
        ("1/2 + exp(-2*q)/2", "chi = sigma_w^2 E f'^2 = 1: take the reciprocal"),
        ("2*q/(1 - exp(-2*q))", "this keeps q without biases: chi = 1 needs 1/E f'^2"),
        ("2/(1 - exp(-2*q))", "chi has the mean squared slope: the cosine"),
        ("exp(q/2)", "E f'^2 is the mean of cos^2, not E cos z"),
    ]
    return _formula(answer, "1/(1/2 + exp(-2*q)/2)", mistakes, q=(0.1, 5))


def edge_bias(answer):
    """Check problem 4: sigma_b^2 at the edge."""
    mistakes = [
        ("tanh(q)", "this is sigma_w^2 E f^2: sigma_b^2 is what is missing to q"),
        ("tanh(q) - q", "the sign: q = sigma_w^2 E f^2 + sigma_b^2, and tanh(q) < q"),
        ("q - (1 - exp(-2*q))/2", "multiply E sin^2 by sigma_w^2"),
        ("0", "without biases q is no fixed point where chi = 1"),
    ]
    return _formula(answer, "q - 1 + 2/(1 + exp(2*q))", mistakes, q=(0.1, 5))


def edge_slope(answer):
    """Check problem 4: V'(q) at the edge."""
    mistakes = [
        ("exp(-2*q)", "V' has the factor sigma_w^2"),
        ("1", "chi = 1 is not V' = 1: V' is the derivative of sigma_w^2 E sin^2 in q"),
        ("2*(1 - tanh(q))", "the derivative of exp(-2q) is -2 exp(-2q), and the 1/2 of E sin^2 takes the 2"),
        ("(1 - tanh(q))/2", "the derivative of exp(-2q) is -2 exp(-2q)"),
        ("1 - tanh(q)^2", "sigma_w^2 is a number here: differentiate V with sigma_w^2 held fixed"),
        ("tanh(q)^2", "hold sigma_w^2 and sigma_b^2 fixed while you differentiate"),
    ]
    return _formula(answer, "2/(exp(2*q) + 1)", mistakes, q=(0.1, 5))


def edge_gap(answer):
    """Check problem 4: the constant of the law gamma = A / l."""
    mistakes = [
        ("q*tanh(q)/2", "this is the growth of 1/gamma per layer: A is its reciprocal"),
        ("1/(q*tanh(q))", "gamma falls by C''(1)/2 gamma^2: the 1/2 of the Taylor series is missing"),
        ("2/tanh(q)", "C''(1) = sigma_w^2 q E f''^2: the factor q is missing"),
        ("2/q", "this has E f'^2 for E f''^2: f'' of the sine is -sin z"),
        ("4/(q*(1 - exp(-2*q)))", "sigma_w^2 is missing in C''(1)"),
    ]
    return _formula(answer, "2/q/tanh(q)", mistakes, q=(0.1, 5))


def wave_second(answer):
    """Check problem 5: E f^2 with f(z) = z + a sin z."""
    mistakes = [
        ("q + a^2*(1 - exp(-2*q))/2", "the mixed term 2a E z sin z is not 0: z and sin z have the same sign"),
        ("q + a*q*exp(-q/2) + a^2*(1 - exp(-2*q))/2", "the mixed term of a square has a factor 2"),
        ("q + 2*a*exp(-q/2) + a^2*(1 - exp(-2*q))/2", "E z sin z = q E cos z: the q is missing"),
        ("q + 2*a*q*exp(-q/2) + a*(1 - exp(-2*q))/2", "the last term has a squared"),
        ("q + 2*a*q*exp(-q/2) + a^2*(1 + exp(-2*q))/2", "the last term is a^2 E sin^2, with a minus"),
    ]
    return _formula(answer, "q + 2*a*q/exp(q/2) + a*a/2*(1 - exp(-2*q))", mistakes, q=(0.1, 6), a=(-3, 3))
