import math
import random
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from selfgated import catalog, kernels
from selfgated.search import GrammarError, Space, evaluate, grammar, parse
from selfgated.search.grammar import FORMS

Z = np.concatenate([np.linspace(-7, 7, 57), [-0.003, 0.004]])
PYTHON = {  # what the words mean, for Python's own reading of a text
    **{name: getattr(np, name) for name in ("abs", "log", "exp", "sin", "cos", "sinh", "cosh", "tanh")},
    "asinh": np.arcsinh,
    "atan": np.arctan,
    "sqrt": lambda z: np.sqrt(np.maximum(z, 0)),
    "sinc": lambda z: np.sinc(z / math.pi),
    "sigmoid": special.expit,
    "softplus": lambda z: np.logaddexp(0, z),
    "relu": lambda z: np.maximum(z, 0),
    "erf": special.erf,
    "max": np.maximum,
    "min": np.minimum,
    "eps": 0.001,
}


def by_python(text, **values):
    with np.errstate(all="ignore"):
        return eval(text.replace("^", "**"), {"__builtins__": {}}, PYTHON | values) + 0 * values["x"]


def by_us(text, **betas):
    expression = parse(text)
    z = torch.from_numpy(Z)
    return evaluate(expression, z, betas=[*betas.values()]).numpy()


def words_of(text):
    with pytest.raises(GrammarError) as caught:
        parse(text)
    assert len(str(caught.value)) < 500
    return str(caught.value), caught.value.position


@pytest.mark.parametrize(
    "text",
    [
        "-x^2",
        "2^3*x",
        "x - 1 - 2*x",
        "8/x/2",
        "x/(2/x)",
        "-2*x + 3",
        "x*-x",
        "--x",
        "1e-3*x + 2.5E1",
        ".5*x - 3.",
        "max(x, min(0.5, x^2))",
        "log(1 + exp(x))",
        "log(exp(2*x) + 1)",
        "exp(-(x - 1)^2)",
        "x/(abs(x) + eps)",
        "sqrt(x)*sinc(x) + erf(x)",
        "(x**2)**3/100",
    ],
)
def test_parse_follows_the_precedence_of_arithmetic(text):
    np.testing.assert_allclose(by_us(text), by_python(text, x=Z), rtol=1e-13, atol=1e-15)


def test_parse_random_texts_agree_with_python():
    chance = random.Random(11)
    functions = ["sin({})", "tanh({})", "sigmoid({})", "softplus({})", "abs({})", "max({}, {})", "sinc({})"]
    forms = [
        "{} + {}",
        "{} - {}",
        "{}*{}",
        "{}/(({})^2 + 1)",
        "-{}",
        "({})",
        "({})^2",
        "({})*({})",
        *functions,
    ]

    def text(depth):
        if depth == 0:
            return chance.choice(["x", "0.7", "eps", "beta1", "beta2", "2"])
        form = chance.choice(forms)
        return form.format(*(text(chance.randrange(depth)) for _ in range(form.count("{}"))))

    values = {"beta1": 0.4, "beta2": -1.3}
    for _ in range(300):
        formula = "beta1*0 + beta2*0 + " + text(5)  # so that the betas are numbered in this order
        got = by_us(formula, **values)
        np.testing.assert_allclose(got, by_python(formula, x=Z, **values), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("cores", [1, 2, 3])
def test_parse_reads_back_the_texts_of_the_space(cores):
    space, chance = Space(cores), random.Random(cores)
    members = space if cores == 1 else (tuple(map(chance.randrange, space.sizes)) for _ in range(1500))
    for member in members:
        expression = space.expression(member)
        assert parse(expression.text) == expression


@pytest.mark.parametrize("name", sorted(FORMS))
def test_parse_forms_are_the_activations_of_the_book(name):
    expected = getattr(kernels, name)(Z)
    got = by_us(f"{name}(x)", **({"beta": 1.0} if name == "swish" else {}))
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-15)


def test_parse_knows_every_activation_of_the_book_and_its_aliases():
    for record in catalog.ACTIVATIONS:
        for name in (record.name, *record.aliases):
            assert parse(f"{name}(x)") == parse(f"{record.name}(x)")


def test_parse_of_a_form_takes_any_argument():
    assert parse("gelu(2*x)").text == "2*x*(1 + erf(2*x/sqrt(2)))/2"
    assert parse("swish(-x) + beta").text == "-x*sigmoid(beta*(-x)) + beta"
    assert len(parse("swish(swish(x))").betas) == 1


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("arctan(x) + arcsinh(x) + arsinh(x)", "atan(x) + asinh(x) + asinh(x)"),
        ("sigma(x)*ln(x)", "sigmoid(x)*log(x)"),
        ("log(1 + exp(-x))", "softplus(-x)"),
        ("log(exp(x) + 1.0)", "softplus(x)"),
        ("log(2 + exp(x))", "log(2 + exp(x))"),
        ("x**2 + x ^ 3", "x^2 + x^3"),
        ("x^2.0", "x^2"),
        ("+x - -x", "x - (-x)"),
        ("x*-x", "x*(-x)"),
        ("exp(-beta*(x - x)^2)", "exp(-beta*(x - x)^2)"),
        ("exp(-(beta*x))", "exp(-(beta*x))"),
        ("((x))*(((2)))", "x*2"),
        ("1e3*x + 1e-5 + 1e22", "1000*x + 1e-05 + 1e+22"),
    ],
)
def test_parse_prints_in_one_way(text, shown):
    assert parse(text).text == shown


def test_parse_numbers_the_betas_in_their_order():
    assert parse("beta3*x + beta1*beta3").text == "beta1*x + beta2*beta1"
    assert parse("beta7*x").text == "beta*x"
    assert parse("x*beta") == parse("x*beta1")
    assert len(parse("+".join(f"beta{k}" for k in range(1, 10))).betas) == 9


@pytest.mark.parametrize("exponent", [2, 3, 9])
def test_parse_takes_whole_exponents(exponent):
    np.testing.assert_allclose(by_us(f"x^{exponent}"), Z**exponent, rtol=1e-14)


@pytest.mark.parametrize("exponent", ["0", "1", "10", "0.5", "2.5", "-2", "x", "(1 + 1)", "1e300", "beta"])
def test_parse_refuses_other_exponents(exponent):
    words, position = words_of(f"1 + x^{exponent}")
    assert words == "the power at character 6 needs a whole exponent from 2 to 9"
    assert position == 6


@pytest.mark.parametrize(
    ("text", "words", "position"),
    [
        ("", "is empty", 1),
        ("  \t\n", "is empty", 1),
        ("x*sigmod(x)", "unknown function 'sigmod' at character 3; choose from ['abs', 'sqrt', ", 3),
        ("x + y", "unknown symbol 'y' at character 5; choose from ['x', 'beta', 'beta1', ", 5),
        ("x1*sigmoid(x2)", "unknown symbol 'x1'", 1),
        ("beta10*x", "unknown symbol 'beta10'", 1),
        ("pi*x", "unknown symbol 'pi'", 1),
        ("beta(x)", "a '*' is missing before '(' at character 5", 5),
        ("max(x)", "max at character 1 takes two arguments, not 1", 1),
        ("min(x, x, x)", "min at character 1 takes two arguments, not 3", 1),
        ("x + sin(x, 1)", "sin at character 5 takes one argument, not 2", 5),
        ("mish(x, 1)", "mish at character 1 takes one argument, not 2", 1),
        ("gelu", "gelu at character 1 needs its argument in parentheses", 1),
        ("2x", "a '*' is missing before 'x' at character 2", 2),
        ("x(x)", "a '*' is missing before '('", 2),
        ("sin()", "unexpected ')' at character 5", 5),
        ("x +", "ends too early (at character 4)", 4),
        ("(x", "the parenthesis opened at character 1 is not closed", 1),
        ("x))", "unexpected ')' at character 2", 2),
        ("beta*x + beta1", "beta at character 1 and a numbered one at character 10: number all of them", 10),
        ("beta2*x + swish(x)", "beta at character 11 and a numbered one at character 1", 1),
        ("x + 1e309", "the number 1e309 at character 5 is too large for float64", 5),
        ("x + 2e-324", "the number 2e-324 at character 5 is too small for float64", 5),
        ("1e401", "is beyond 1e400", 1),
        ("σ(x)", "(GREEK SMALL LETTER SIGMA) at character 1; write sigmoid", 1),
        ("β*x", "write beta", 1),
        ("x·x", "(MIDDLE DOT) at character 2; write *", 2),
        ("x × x", "write *", 3),
        ("x²", "(SUPERSCRIPT TWO) at character 2; write ^2", 2),
        ("x³", "write ^3", 2),
        ("−x", "(MINUS SIGN) at character 1; write -", 1),
        ("х + 1", "(CYRILLIC SMALL LETTER HA) at character 1; write x", 1),
        ("ｘ", "write x", 1),
        ("√(x)", "write sqrt", 1),
        ("|x|", "unexpected '|' at character 1; write abs(...)", 1),
        ("f(x) = x", "unexpected '=' at character 6; give the right-hand side only", 6),
        ("x = x", "unexpected '='", 3),
        ("x if x else 0", "a '*' is missing before 'if' at character 3", 3),
        ("x\x00", "unexpected '\\x00' at character 2", 2),
        ("__import__('os')", 'unexpected "\'" at character 12', 12),
        ("x.__class__", "unexpected '.' at character 2", 2),
        ("lambda: x", "unexpected ':'", 7),
        ("(" * 65 + "x" + ")" * 65, "more than 64 levels deep (at character 65)", 65),
        ("sin(" * 65 + "x" + ")" * 65, "more than 64 levels deep", 260),
        ("-" * 65 + "x", "more than 64 levels deep", 65),
        ("x^" * 65 + "x", "more than 64 levels deep", 130),
        ("(" * 1_000_000, "1,000,000 characters, more than 2,000 (at character 2001)", 2001),
        ("x+" * 999 + "x", "more than 200 parts; simplify it (at character 200)", 200),
        ("gelu(" * 20 + "x" + ")" * 20, "gelu: the tree has more than 200 nodes (at character ", 76),
        ("q" * 1999, "unknown symbol 'qqqqqqqqqqqqqqqqqqqq...'", 1),
    ],
)
def test_parse_says_what_is_wrong_and_where(text, words, position):
    message, place = words_of(text)
    assert words in message
    assert place == position
    assert re.search(r"character", message)


@pytest.mark.parametrize("thing", [None, 3, 1.5, ["x"], b"x", parse])
def test_parse_takes_text_only(thing):
    with pytest.raises(GrammarError, match="a formula is text in quotes, not") as caught:
        parse(thing)
    assert caught.value.position is None
    assert isinstance(caught.value, ValueError)


def test_parse_reaches_its_bounds():
    assert parse("(" * 64 + "x" + ")" * 64).text == "x"
    assert parse("x" + " " * 1999).text == "x"
    deep = parse("sin(" * 64 + "x" + ")" * 64)
    assert deep.text == "sin(" * 64 + "x" + ")" * 64
    chain = parse(" + ".join("x" * 100))
    assert chain.root.size == 199
    np.testing.assert_allclose(by_us(chain.text), 100 * Z, rtol=1e-13)


TOKENS = "x beta beta2 eps 2 0.5 1e9 + - * / ^ ** ( ) , max( min( sin( log( exp( 1 gelu( swish( ²"
RANDOM = st.lists(st.sampled_from(TOKENS.split(" ")), max_size=14).map(
    lambda tokens: " ".join(tokens) + ")" * sum(token.endswith("(") for token in tokens)
)


def parsed(text):
    try:
        return parse(text), None
    except GrammarError as error:
        return None, error


@settings(max_examples=500, deadline=None)
@given(st.one_of(st.text(max_size=40), RANDOM, RANDOM))
def test_parse_of_any_text_ends_in_an_expression_or_in_its_own_error(text):
    expression, error = parsed(text)
    if error:
        assert 1 <= error.position <= len(text) + 1
        assert f"character {error.position}" in str(error)
    else:
        assert parse(expression.text) == expression
        assert evaluate(expression, torch.zeros(3)).shape == (3,)


def test_module_evaluates_no_text():
    source = Path(grammar.__file__).read_text(encoding="utf-8")
    assert not re.search(r"\b(eval|exec|compile|sympify|parse_expr)\(", source)
