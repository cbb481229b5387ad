"""Formulas of assignment 11: a small branch, BatchNorm's epsilon, Adam's first steps."""

from selfgated.checks import engine

FORMULA = ("exp", "log", "sqrt")
BETAS = {"b1": (0.1, 0.95), "b2": (0.3, 0.99)}


def _formula(answer, right, symbols, mistakes):
    return engine.expression(answer, right, symbols=symbols, functions=FORMULA, mistakes=mistakes)


def gradient_growth(answer):
    """Check problem 1: growth of the gradient over L blocks."""
    mistakes = [
        ("(1 + alpha^2*chi)^L", "this is the square of the length: take the root"),
        ("sqrt(1 + alpha^2*chi)", "this is one block; there are L of them"),
        ("(1 + alpha*chi)^(L/2)", "the slopes of the branch are alpha f', and they enter squared"),
        ("1 + L*alpha^2*chi/2", "factors of blocks multiply; you added them"),
        ("(alpha^2*chi)^(L/2)", "the skip adds 1 to each block's factor"),
    ]
    box = {"alpha": (0.1, 1.2), "chi": (0.2, 2), "L": (1, 40)}
    return _formula(answer, "sqrt(1 + chi*alpha^2)^L", box, mistakes)


def largest_branch(answer):
    """Check problem 1: the largest alpha."""
    mistakes = [
        ("sqrt(2/(L*chi))", "this is the approximation for deep networks; solve for alpha exactly"),
        ("(exp(2/L) - 1)/chi", "this is alpha^2: take the root"),
        ("sqrt((exp(1/L) - 1)/chi)", "here the square of the length grows by e; its root is the length"),
        ("sqrt(exp(2/L) - 1)", "chi is missing"),
        ("sqrt((exp(2/L) + 1)/chi)", "a sign: bring the 1 of the skip to the other side"),
    ]
    return _formula(answer, "sqrt(exp(2/L)/chi - 1/chi)", {"chi": (0.2, 2), "L": (1, 40)}, mistakes)


def limit_growth(answer):
    """Check problem 1: the limit for alpha = 1 / sqrt(L)."""
    mistakes = [
        ("exp(chi)", "this is the limit of the square of the length"),
        ("1 + chi/2", "(1 + chi/L)^(L/2) keeps all its terms as L grows: it is an exponential"),
        ("1", "each block's factor tends to 1, but there are more and more blocks"),
    ]
    return _formula(answer, "exp(chi)^(1/2)", {"chi": (0.2, 4)}, mistakes)


def mean_square(answer):
    """Check problem 2: the mean of z squared."""
    mistakes = [
        ("1", "that is so without eps only"),
        ("v/(v + eps)^2", "z has a root in its denominator; its square does not square v + eps"),
        ("sqrt(v/(v + eps))", "this is the root mean square: without the root"),
        ("v/sqrt(v + eps)", "square the denominator too"),
        ("eps/(v + eps)", "this is what is missing to 1"),
    ]
    return _formula(answer, "1/(1 + eps/v)", {"v": (0.02, 3), "eps": (0.01, 2)}, mistakes)


def scale_slope(answer):
    """Check problem 2: the slope of the loss by a common factor of the batch."""
    mistakes = [
        ("0", "that is so without eps only"),
        ("1", "v grows with c as well: as c^2"),
        ("v/(v + eps)", "this is the part that the denominator takes away from 1"),
        ("-eps/(v + eps)", "the sign: with eps, a larger batch gives a larger z"),
        ("1 - v/(2*(v + eps))", "v grows as c^2, whose slope at 1 is 2; it cancels the 1/2 of the root"),
    ]
    return _formula(answer, "1/(1 + v/eps)", {"v": (0.02, 3), "eps": (0.01, 2)}, mistakes)


def pair_gradient(answer):
    """Check problem 2: the gradient by the first of two numbers."""
    mistakes = [
        ("G*eps/(d^2 + eps)^(3/2)", "d is half of u1 - u2: that gives a factor 1/2"),
        ("G/(2*sqrt(d^2 + eps))", "the variance d^2 depends on u1 as well"),
        ("G/sqrt(d^2 + eps)", "neither the mean nor the variance is constant: both depend on u1"),
        ("0", "that is so for eps = 0 only"),
        ("-G*eps/(2*(d^2 + eps)^(3/2))", "the sign: z_1 grows with u_1"),
        ("G*d^2/(2*(d^2 + eps)^(3/2))", "of 1 - d^2/(d^2 + eps) the other part is left"),
        ("G*eps/(2*sqrt(d^2 + eps))", "one more power of d^2 + eps stands below"),
    ]
    box = {"d": (-3, 3), "eps": (0.01, 2), "G": (-2, 2)}
    return _formula(answer, "G/2*(d^2 + eps)^(-1/2)*(1 - d^2/(d^2 + eps))", box, mistakes)


def uncorrected_step(answer):
    """Check problem 5: the first step without corrections."""
    mistakes = [
        ("1", "that is the step with the corrections"),
        ("(1 - b1)/(1 - b2)", "the root of v_1 stands below"),
        ("sqrt(1 - b2)/(1 - b1)", "upside down: m is above"),
        ("b1/sqrt(b2)", "m_0 = 0: m_1 is (1 - b1) g"),
        ("-(1 - b1)/sqrt(1 - b2)", "the length of the step is asked for: no sign"),
    ]
    return _formula(answer, "sqrt((1 - b1)^2/(1 - b2))", BETAS, mistakes)


def hidden_gradient(answer):
    """Check problem 5: the gradient whose steps are p eta."""
    mistakes = [
        ("p*eps", "solve g/(g + eps) = p: eps and g stand below together"),
        ("eps*(1 - p)/p", "upside down: a larger p needs a larger gradient"),
        ("eps/(1 - p)", "this is g + eps"),
        ("p/(1 - p)", "eps is missing"),
        ("p*eps/(1 + p)", "a sign: g (1 - p) = p eps"),
    ]
    return _formula(answer, "eps/(1 - p) - eps", {"p": (0.02, 0.98), "eps": (0.01, 2)}, mistakes)


def echo(answer):
    """Check problem 5: step t after a single gradient."""
    plain = "b1^(t - 1)*(1 - b1)/sqrt(b2^(t - 1)*(1 - b2))"
    mistakes = [
        (plain, "the corrections are missing"),
        (f"{plain}*sqrt(1 - b2^t)", "the correction of m is missing"),
        (f"{plain}/(1 - b1^t)", "the correction of v is missing"),
        (
            f"{plain}*b1/sqrt(b2)*sqrt(1 - b2^t)/(1 - b1^t)",
            "g_1 has been multiplied t - 1 times, not t times",
        ),
        (f"{plain}*sqrt(1 - b2)/(1 - b1)", "the corrections of step 1 do not serve at step t"),
        (f"{plain}/(1 - b1^t)*(1 - b2^t)", "v, with its correction, stands under a root"),
        ("1", "m and v forget the gradient at different rates, so the step changes with t"),
    ]
    right = f"{plain}/(1 - b1^t)*sqrt(1 - b2^t)"
    return _formula(answer, right, BETAS | {"t": (1, 20)}, mistakes)
