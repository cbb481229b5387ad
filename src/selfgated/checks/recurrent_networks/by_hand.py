"""Formulas of assignment 12: a leaky cell, a hump, retention biases."""

from selfgated.checks import engine

FORMULA = ("exp", "log", "sqrt")


def _formula(answer, right, symbols, mistakes):
    return engine.expression(answer, right, symbols=symbols, functions=FORMULA, mistakes=mistakes)


def settled_variance(answer):
    """Check problem 1: where the variance settles."""
    mistakes = [
        ("s^2/(1 - rho^2*(1 + a^2))", "half of the z are positive, half negative: (1 + a^2)/2"),
        ("s^2/(1 - rho^2/2)", "this is ReLU: the negative half passes with slope a"),
        ("s^2/(1 - rho^2*(1 + a)/2)", "the slope a enters squared"),
        ("s/(1 - rho^2*(1 + a^2)/2)", "the input has the variance s^2"),
        ("s^2/(1 + rho^2*(1 + a^2)/2)", "a sign: bring rho^2 E f^2 to the left side"),
        ("s^2/(1 - rho*sqrt((1 + a^2)/2))", "variances add, so rho enters squared"),
    ]
    box = {"rho": (0.1, 0.9), "a": (0.05, 0.95), "s": (0.2, 3)}
    return _formula(answer, "2*s^2/(2 - rho^2*(1 + a^2))", box, mistakes)


def step_factor(answer):
    """Check problem 1: the factor per step on the gradient."""
    mistakes = [
        ("rho^2*(1 + a^2)/2", "this is chi, the factor on the squared length"),
        ("rho*(1 + a)/2", "this averages the slope; the root of its mean square is wanted"),
        ("rho/sqrt(2)", "this is ReLU: the negative half passes with slope a"),
        ("rho*sqrt(1 + a^2)", "half of the slopes are 1 and half are a"),
        ("rho", "the slopes f' enter as well"),
    ]
    return _formula(answer, "rho/sqrt(2)*sqrt(1 + a^2)", {"rho": (0.1, 2), "a": (0.05, 0.95)}, mistakes)


def memory_time(answer):
    """Check problem 1: the number of steps to 1/e."""
    mistakes = [
        ("-1/log(1 - 1/r)", "that is where the squared length is down to 1/e"),
        ("2/log(1 - 1/r)", "the sign: this logarithm is negative, a number of steps is not"),
        ("2*r", "this is the approximation for large r"),
        ("-2/log(1/r)", "chi is not s^2 / q*, but what is missing to 1"),
        ("-2/log(1 - r)", "upside down: chi = 1 - s^2 / q*"),
        ("-2*log(1 - 1/r)", "the exponent T is 1 over the logarithm"),
    ]
    return _formula(answer, "2/log(r/(r - 1))", {"r": (1.02, 40)}, mistakes)


def second_component(answer):
    """Check problem 2: the second component after t steps."""
    mistakes = [
        ("t*k*a^t", "of the t factors one is k, so t - 1 are a"),
        ("k*a^(t - 1)", "k can stand at any of t places"),
        ("(k*a)^t", "only one of the t factors is k"),
        ("t*k^(t - 1)*a", "one factor is k, the others are a"),
        ("0", "that is so with W; the gradient goes back with its transpose"),
        ("(t - 1)*k*a^(t - 1)", "count the places: after one step it is k"),
    ]
    box = {"a": (0.1, 0.95), "k": (0.2, 20), "t": (1, 30)}
    return _formula(answer, "t*a^t*k/a", box, mistakes)


def hump_time(answer):
    """Check problem 2: where the second component is largest."""
    mistakes = [
        ("1/log(a)", "the sign: log(a) is negative"),
        ("-log(a)", "upside down"),
        ("1/(1 - a)", "this is the approximation for a close to 1"),
        ("a/(1 - a)", "t is a real number here: set the derivative by t to 0"),
        ("1 - 1/log(a)", "t - 1 in the exponent is only a constant factor 1/a"),
    ]
    return _formula(answer, "1/(0 - log(a))", {"a": (0.1, 0.98)}, mistakes)


def hump_height(answer):
    """Check problem 2: the largest second component."""
    mistakes = [
        ("-k/(exp(1)*log(a))", "the exponent is t - 1: a factor 1/a is missing"),
        ("-k/(a*log(a))", "a^t is 1/e at this t, not 1"),
        ("k/(a*exp(1)*log(a))", "the sign: log(a) is negative"),
        ("-1/(a*exp(1)*log(a))", "k is missing"),
        ("-k*exp(1)/(a*log(a))", "a^t is 1/e there, not e"),
    ]
    right = "k/(exp(1)*a*log(1/a))"
    return _formula(answer, right, {"a": (0.1, 0.98), "k": (0.2, 20)}, mistakes)


def safe_coupling(answer):
    """Check problem 2: the largest k of the bound."""
    mistakes = [
        ("1 - a", "this bounds the singular value by a + k; it is smaller: (k + sqrt(k^2 + 4 a^2))/2"),
        ("sqrt(1 - a^2)", "the length of one row or column is at most the singular value, not equal to it"),
        ("(1 - a^2)^2", "this is k^2"),
        ("1 + a^2", "a sign: the singular values 1 and a^2 differ by k"),
        ("2*(1 - a^2)", "the singular values differ by k, not by k/2"),
    ]
    return _formula(answer, "(1 + a)*(1 - a)", {"a": (0.05, 0.95)}, mistakes)


def half_life_bias(answer):
    """Check problem 5: the bias of a half-life."""
    mistakes = [
        ("log(2^(1/D) - 1)", "the sign: a long life needs a large bias"),
        ("log(D)", "this is the chapter's optimum for a GRU"),
        ("log(D/log(2))", "this is the approximation for large D"),
        ("0.5^(1/D)", "this is F: b is its logit"),
        ("-log(2)/D", "this is log F: F is the sigmoid of b, not its exponential"),
        ("-log(2^D - 1)", "F^D = 1/2 makes F the D-th root of 1/2"),
    ]
    return _formula(answer, "-log(exp(log(2)/D) - 1)", {"D": (1, 60)}, mistakes)


def mean_age(answer):
    """Check problem 5: the mean age."""
    mistakes = [
        ("1 + exp(b)", "the newest content has the age k = 0, not 1"),
        ("exp(-b)", "upside down: 1 - Z belongs below"),
        ("1/(1 + exp(-b))", "this is Z: sum k (1 - Z) Z^k over all k"),
        ("b", "this is the logarithm of the mean age"),
        ("exp(b)*(1 + exp(b))", "the weights hold a factor 1 - Z"),
    ]
    return _formula(answer, "1/exp(-b)", {"b": (-4, 6)}, mistakes)


def best_bias(answer):
    """Check problem 5: the bias of the largest share."""
    root = "sqrt(D/(D + 1))"
    other = "((sqrt(1 + 4*D*(D + 2)) - 1)/(2*(D + 2)))"
    mistakes = [
        ("log(D)", "this maximises the weight; divide its square by the variance of h"),
        ("log(2*D)", "this is the approximation for large D"),
        (root, "this is Z: b is its logit"),
        (f"log({root})", "b is the logit of Z, log(Z / (1 - Z))"),
        ("log(sqrt(D))", "half of the logit of Z^2 is not the logit of Z"),
        (f"log({other}/(1 - {other}))", "the variance of h is (1 - Z)^2/(1 - Z^2): you left out (1 - Z)^2"),
        (f"-log({root}/(1 - {root}))", "the sign: b = log(Z / (1 - Z))"),
    ]
    return _formula(answer, f"log({root}/(1 - {root}))", {"D": (1, 60)}, mistakes)
