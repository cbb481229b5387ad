import math
import random

import mpmath
import numpy as np
import pytest
import torch
from scipy import special

from selfgated.search import BINARY, UNARY, Expression, Space, evaluate, parse
from selfgated.search.expression import beta, x

# As published, in the paper's order; eps, which it does not give, is 0.001 here.
PUBLISHED_UNARY = {
    "x": lambda z, b: z,
    "-x": lambda z, b: -z,
    "abs(x)": lambda z, b: abs(z),
    "x^2": lambda z, b: z * z,
    "x^3": lambda z, b: z * z * z,
    "sqrt(x)": lambda z, b: mpmath.sqrt(z) if z > 0 else 0,
    "beta*x": lambda z, b: b * z,
    "x + beta": lambda z, b: b + z,
    "log(abs(x) + eps)": lambda z, b: mpmath.log(max(z, -z) + mpmath.mpf("0.001")),
    "exp(x)": lambda z, b: mpmath.e**z,
    "sin(x)": lambda z, b: mpmath.im(mpmath.expj(z)),
    "cos(x)": lambda z, b: mpmath.re(mpmath.expj(z)),
    "sinh(x)": lambda z, b: (mpmath.e**z - mpmath.e**-z) / 2,
    "cosh(x)": lambda z, b: (mpmath.e**z + mpmath.e**-z) / 2,
    "tanh(x)": lambda z, b: 1 - 2 / (mpmath.e ** (2 * z) + 1),
    "asinh(x)": lambda z, b: mpmath.log(z + mpmath.sqrt(z * z + 1)),
    "atan(x)": lambda z, b: mpmath.acot(1 / z) if z else 0,
    "sinc(x)": lambda z, b: mpmath.sin(z) / z if z else 1,
    "max(x, 0)": lambda z, b: z if z > 0 else 0,
    "min(x, 0)": lambda z, b: z if z < 0 else 0,
    "sigmoid(x)": lambda z, b: 1 / (1 + mpmath.e**-z),
    "log(1 + exp(x))": lambda z, b: mpmath.log(1 + mpmath.e**z),
    "exp(-x^2)": lambda z, b: mpmath.e ** (-z * z),
    "erf(x)": lambda z, b: 2 * mpmath.ncdf(z * mpmath.sqrt(2)) - 1,
    "beta": lambda z, b: b,
}
PUBLISHED_BINARY = {
    "x1 + x2": lambda p, q, b: p + q,
    "x1*x2": lambda p, q, b: p * q,
    "x1 - x2": lambda p, q, b: p - q,
    "x1/(x2 + eps)": lambda p, q, b: p / (q + mpmath.mpf("0.001")),
    "max(x1, x2)": lambda p, q, b: p if p > q else q,
    "min(x1, x2)": lambda p, q, b: p if p < q else q,
    "sigmoid(x1)*x2": lambda p, q, b: q / (1 + mpmath.e**-p),
    "exp(-beta*(x1 - x2)^2)": lambda p, q, b: mpmath.e ** (-b * (p - q) ** 2),
    "exp(-beta*abs(x1 - x2))": lambda p, q, b: mpmath.e ** (-b * abs(p - q)),
    "beta*x1 + (1 - beta)*x2": lambda p, q, b: b * p + (1 - b) * q,
}
Z = [-2.9, -1.3, -0.2, -1e-3, 0.0, 1e-6, 0.04, 0.06, 0.9, 2.6]
BETA = 0.7


def values(expression, betas):
    z = torch.tensor(Z, dtype=torch.float64)
    return evaluate(expression, z, betas=betas[: len(expression.betas)]).tolist()


def test_space_has_the_published_functions():
    assert list(UNARY) == list(PUBLISHED_UNARY)
    assert list(BINARY) == list(PUBLISHED_BINARY)
    assert (len(UNARY), len(BINARY)) == (25, 10)


@pytest.mark.parametrize("name", PUBLISHED_UNARY)
def test_unary_is_the_published_formula(name):
    expression = Expression(UNARY[name](x, beta()))
    with mpmath.workdps(40):
        expected = [float(PUBLISHED_UNARY[name](mpmath.mpf(z), mpmath.mpf(BETA))) for z in Z]
    np.testing.assert_allclose(values(expression, [BETA]), expected, rtol=4e-15, atol=1e-18)


@pytest.mark.parametrize("name", PUBLISHED_BINARY)
def test_binary_is_the_published_formula(name):
    # x1 = cos(x) and x2 = x^3 are told apart by every binary, and each is larger somewhere.
    first, second = UNARY["cos(x)"](x, None), UNARY["x^3"](x, None)
    expression = Expression(BINARY[name](first, second, beta()))
    with mpmath.workdps(40):
        points = [(mpmath.cos(z), mpmath.mpf(z) ** 3) for z in map(mpmath.mpf, Z)]
        expected = [float(PUBLISHED_BINARY[name](p, q, mpmath.mpf(BETA))) for p, q in points]
    # exp(-382) has 382 times the relative error of its argument
    np.testing.assert_allclose(values(expression, [BETA]), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", PUBLISHED_UNARY)
def test_unary_is_what_its_name_says(name):
    assert Expression(UNARY[name](x, beta())) == parse(name)


@pytest.mark.parametrize("name", PUBLISHED_BINARY)
def test_binary_is_what_its_name_says(name):
    first, second = "sin(x)", "cos(x)"
    expression = Expression(BINARY[name](parse(first).root, parse(second).root, beta()))
    assert expression == parse(name.replace("x1", first).replace("x2", second))


@pytest.mark.parametrize(
    ("cores", "sizes"),
    [
        (1, (25, 25, 10)),
        (2, (25, 25, 10, 2, 25, 2, 25, 10)),
        (3, (25, 25, 10, 2, 25, 2, 25, 10, 3, 25, 3, 25, 10)),
    ],
)
def test_space_sizes(cores, sizes):
    space = Space(cores)
    assert space.sizes == sizes
    assert space.size == len(space) == math.prod(sizes)


def test_space_size_is_the_published_order_of_magnitude():
    assert [Space(cores).size for cores in (1, 2, 3)] == [6250, 156_250_000, 8_789_062_500_000]


def test_space_numbers_its_members():
    space = Space()
    members = list(space)
    assert len(set(members)) == 6250
    assert members == sorted(members)
    assert [space.index(member) for member in members] == list(range(6250))
    assert [space.choice(index) for index in range(6250)] == members


@pytest.mark.parametrize("cores", [2, 3])
def test_index_is_the_inverse_of_choice(cores):
    space, chance = Space(cores), random.Random(cores)
    indices = [0, 1, space.size - 1, *(chance.randrange(space.size) for _ in range(500))]
    for index in indices:
        choice = space.choice(index)
        assert all(0 <= decision < size for decision, size in zip(choice, space.sizes, strict=True))
        assert space.index(choice) == index
    assert space.choice(space.size - 1) == tuple(size - 1 for size in space.sizes)


def test_space_takes_the_integers_of_numpy():
    space = Space(np.int64(2))
    assert space.choice(np.int64(201)) == space.choice(201)
    assert all(type(decision) is int for decision in space.choice(np.int64(201)))
    array = np.array(space.choice(98_765_432))
    assert space.index(array) == 98_765_432
    assert space.expression(array) == space.expression(tuple(array.tolist()))


UNARIES = [
    lambda z, b: z, lambda z, b: -z, lambda z, b: np.abs(z), lambda z, b: z**2, lambda z, b: z**3,
    lambda z, b: np.sqrt(np.maximum(z, 0)), lambda z, b: b * z, lambda z, b: z + b,
    lambda z, b: np.log(np.abs(z) + 1e-3), lambda z, b: np.exp(z), lambda z, b: np.sin(z),
    lambda z, b: np.cos(z), lambda z, b: np.sinh(z), lambda z, b: np.cosh(z), lambda z, b: np.tanh(z),
    lambda z, b: np.arcsinh(z), lambda z, b: np.arctan(z), lambda z, b: np.sinc(z / np.pi),
    lambda z, b: np.maximum(z, 0), lambda z, b: np.minimum(z, 0), lambda z, b: special.expit(z),
    lambda z, b: np.logaddexp(0, z), lambda z, b: np.exp(-(z**2)), lambda z, b: special.erf(z),
    lambda z, b: b + 0 * z,
]  # fmt: skip
BINARIES = [
    lambda p, q, b: p + q, lambda p, q, b: p * q, lambda p, q, b: p - q, lambda p, q, b: p / (q + 1e-3),
    lambda p, q, b: np.maximum(p, q), lambda p, q, b: np.minimum(p, q), lambda p, q, b: special.expit(p) * q,
    lambda p, q, b: np.exp(-b * (p - q) ** 2), lambda p, q, b: np.exp(-b * np.abs(p - q)),
    lambda p, q, b: b * p + (1 - b) * q,
]  # fmt: skip


def composed(choice, z, betas):
    """Values of a member, core unit by core unit: the k-th has the betas 3 k, 3 k + 1 and 3 k + 2."""
    u1, u2, b, *later = choice
    with np.errstate(all="ignore"):
        known = [z, BINARIES[b](UNARIES[u1](z, betas[0]), UNARIES[u2](z, betas[1]), betas[2])]
        for core in range(len(later) // 5):
            i, u1, j, u2, b = later[5 * core : 5 * core + 5]
            own = betas[3 * core + 3 :]
            known.append(BINARIES[b](UNARIES[u1](known[i], own[0]), UNARIES[u2](known[j], own[1]), own[2]))
    return known[-1]


@pytest.mark.parametrize(("cores", "count"), [(1, 200), (2, 200), (3, 100)])
def test_expression_composes_the_core_units(cores, count):
    space, generator = Space(cores), np.random.default_rng(cores)
    z, compared = np.linspace(-1.9, 2.1, 11), 0
    for _ in range(count):
        choice = tuple(generator.integers(space.sizes).tolist())
        expression = space.expression(choice)
        # One value for all betas: their order in the text is not that of the core units.
        got = evaluate(expression, torch.from_numpy(z), betas=[0.8] * len(expression.betas)).numpy()
        expected = composed(choice, z, [0.8] * 3 * cores)
        tame = np.isfinite(expected) & (np.abs(expected) < 1e6)
        compared += tame.sum()
        # What an x1/(x2 + eps) near its pole makes of rounding may be large.
        np.testing.assert_allclose(got[tame], expected[tame], rtol=1e-6, atol=1e-9, err_msg=expression.text)
    assert compared > 5 * count


def test_expression_gives_every_core_unit_its_own_betas():
    mix, scaled = list(BINARY).index("beta*x1 + (1 - beta)*x2"), list(UNARY).index("beta*x")
    member = (scaled, scaled, mix, 1, scaled, 0, scaled, mix)
    expression = Space(2).expression(member)
    assert len(expression.betas) == 6
    assert expression.betas.count(0.5) == 2
    assert len(Space(3).expression((*member, 2, scaled, 0, scaled, mix)).betas) == 9


def test_expression_used_twice_keeps_its_betas():
    scaled, plus = list(UNARY).index("beta*x"), list(BINARY).index("x1 + x2")
    assert Space(2).expression((scaled, 0, plus, 1, 0, 1, 0, plus)).text == "beta*x + x + (beta*x + x)"


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("x*sigmoid(x)", (0, 20, 1)),
        ("max(x, sigmoid(x))", (0, 20, 4)),
        ("cos(x) - x", (11, 0, 2)),
        ("min(x, sin(x))", (0, 10, 5)),
        ("max(x, tanh(x))", (0, 14, 4)),
        ("sinc(x) + x", (17, 0, 0)),
    ],
)
def test_space_holds_the_published_best_functions(text, choice):
    assert Space().expression(choice) == parse(text)


@pytest.mark.parametrize("cores", [0, 4, -1, 1.0, "1", None, True, math.nan])
def test_space_refuses_other_numbers_of_core_units(cores):
    with pytest.raises(ValueError, match="cores must be 1, 2 or 3, not"):
        Space(cores)


@pytest.mark.parametrize("index", [-1, 6250, 1.0, "3", None, True])
def test_choice_refuses_what_is_no_index(index):
    with pytest.raises(ValueError, match="index must be a whole number from 0 to 6249, not"):
        Space().choice(index)


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ((0, 0), "a choice has 3 decisions, not 2"),
        ((0, 0, 0, 0), "a choice has 3 decisions, not 4"),
        ((25, 0, 0), "decision 0 of (25, 0, 0) must be a whole number below 25"),
        ((0, -1, 0), "decision 1 of (0, -1, 0) must be a whole number below 25"),
        ((0, 0, 10), "decision 2 of (0, 0, 10) must be a whole number below 10"),
        ((0, 0, 1.0), "decision 2 of"),
        ((0, 0, True), "decision 2 of"),
    ],
)
def test_expression_refuses_what_is_no_choice(choice, words):
    for method in (Space().expression, Space().index):
        with pytest.raises(ValueError, match=words.replace("(", r"\(").replace(")", r"\)")):
            method(choice)


def test_expression_of_an_index_says_how_to_get_its_choice():
    with pytest.raises(TypeError, match=r"a choice is 3 decisions, not 201; choice\(201\) gives them"):
        Space().expression(201)
