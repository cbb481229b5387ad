"""Self-checks of the formulas by hand: fan in, the factors of normalisation, the smallest p-value."""

from selfgated.checks import engine

FORMULA = ("exp", "log", "sqrt")


def _formula(answer, right, mistakes, **symbols):
    return engine.expression(answer, right, symbols=symbols, functions=FORMULA, mistakes=mistakes)


MAP = {"C": (1, 16), "k": (1, 7), "S": (7, 20)}


def corner_fan_in(answer):
    """Check problem 1: inputs that a corner sees."""
    mistakes = [
        ("C*k^2", "this is the full window; the corner's is partly over the padding"),
        ("C*(k - 1)^2/4", "the pixel itself is seen too: (k - 1)/2 neighbours and 1, in each dimension"),
        ("C*k^2/4", "k is odd: in each dimension the window keeps more than its half"),
        ("C*(k + 1)/2", "the window is cut in both dimensions: square"),
        ("(k + 1)^2/4", "each place has C channels"),
        ("C*k*(k + 1)/2", "this is an edge; a corner is cut in both dimensions"),
    ]
    return _formula(answer, "C*(0.5*k + 0.5)^2", mistakes, **MAP)


def mean_fan_in(answer):
    """Check problem 1: the mean number of inputs over the map."""
    mistakes = [
        ("C*(k - (k^2 - 1)/(8*S))^2", "the line has two ends: both lose taps"),
        ("C*(k - (k - 1)/S)^2", "only the outermost place misses (k - 1)/2 taps; sum over all near the end"),
        ("C*(k^2 - (k^2 - 1)/(4*S))", "the mean in one dimension is squared as a whole, not its first term"),
        ("C*(k - (k^2 - 1)/(4*S))", "this is one dimension: rows and columns multiply"),
        ("(k - (k^2 - 1)/(4*S))^2", "each place has C channels"),
        ("C*(k - (k^2 - 1)/4)^2", "divide the taps that are lost by the number of places, S"),
    ]
    return _formula(answer, "C*(k*(1 - (k - 1/k)/(4*S)))^2", mistakes, **MAP)


def weight_gradient_factor(answer):
    """Check problem 3: the gradient of weights that are multiplied by c."""
    mistakes = [
        ("c", "the gradient gets smaller: L(c W) = L(W) for all W, differentiate both sides"),
        ("1", "the loss is the same, but a step of the same length now matters less"),
        (
            "1/c^2",
            "this is the factor on the turn of W by one step; the gradient has one c less",
        ),
    ]
    return _formula(answer, "1/c", mistakes, c=(0.2, 6))


def batchnorm_chi(answer):
    """Check problem 3: the factor on the mean square of the gradient."""
    mistakes = [
        ("d/s", "the batch mean is subtracted: a unit's variance over the batch is that of f, not E f^2"),
        ("d/(s + m^2)", "the variance is E f^2 minus the square of the mean"),
        ("(s - m^2)/d", "upside down: the variance divides on the way back"),
        ("d/sqrt(s - m^2)", "the mean square of the gradient is divided by the variance, not by its root"),
        ("sqrt(d/(s - m^2))", "chi is the factor on the mean square: no root"),
        ("d*(s - m^2)", "normalising divides by the standard deviation, also on the way back"),
        ("d/(s - m)", "the mean is squared"),
        ("d", "the weights and the division by their unit's deviation do not cancel: Var f is left"),
    ]
    return _formula(answer, "1/((s - m*m)/d)", mistakes, m=(-0.8, 0.8), s=(1, 2), d=(0.2, 2))


def relu_batchnorm_chi(answer):
    """Check problem 3: the factor of ReLU."""
    mistakes = [
        ("1", "E f^2 is not the variance: ReLU has a mean, 1/sqrt(2 pi)"),
        ("1 - 1/pi", "upside down: E f'^2 is divided by the variance"),
        ("pi/(pi + 1)", "the variance is E f^2 minus the square of the mean"),
        ("pi/(pi - 2)", "the mean of ReLU is 1/sqrt(2 pi), half of that of the absolute value"),
        ("2*pi/(pi - 1)", "E f'^2 of ReLU is 1/2: the slope is 1 on one half of the line"),
        ("sqrt(pi/(pi - 1))", "chi is the factor on the mean square: no root"),
    ]
    return _formula(answer, "1/(1 - 1/pi)", mistakes)


def smallest_p(answer):
    """Check problem 6: the smallest p-value of the sign-flip test."""
    mistakes = [
        ("1/2^n", "the mirror image has the same size: the test is two-sided"),
        ("1/n", "each of the n differences has two signs: 2^n choices"),
        ("2/n^2", "n signs of two kinds make 2^n choices, not n^2"),
        ("2^(n - 1)", "this is the number of choices up to a mirror image; p is its reciprocal"),
    ]
    return _formula(answer, "1/2^(n - 1)", mistakes, n=(2, 20))


def splits_needed(answer):
    """Check problem 6: the number of splits for Holm's first hurdle."""
    mistakes = [
        ("log(20*m)/log(2)", "the two-sided test has 2 of 2^n choices: one split more"),
        ("1 + log(20*m)", "2 is not e: divide the logarithm by log(2)"),
        ("1 + log(20/m)/log(2)", "the hurdle is 0.05/m, so p has to be below 1/(20 m)"),
        ("1 + log(20)/log(2)", "the smallest of m p-values is multiplied by m"),
        ("-1 + log(20*m)/log(2)", "the sign of the 1: 2^(1 - n) = 1/(20 m)"),
        ("1 - log(20*m)/log(2)", "the sign of the logarithm: 2^(n - 1) = 20 m"),
    ]
    return _formula(answer, "log(m/0.025)/log(2)", mistakes, m=(1, 40))
