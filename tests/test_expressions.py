import random
import time

import mpmath
import numpy as np
import pytest

from selfgated.checks.expressions import FUNCTIONS, EvaluationError, ExpressionError, agree, compare, parse
from selfgated.checks.expressions.comparison import points_of, settled

Z = {"z": (-6, 6)}
BOTH = {"z": (-6, 6), "beta": (0.2, 4)}
SLOPE = "sigma(beta*z) + beta*z*sigma(beta*z)*(1 - sigma(beta*z))"
ORACLES = {  # by other formulas than the module's, or by mpmath's own function of that name
    "exp": mpmath.exp,
    "log": mpmath.log,
    "sqrt": mpmath.sqrt,
    "sigma": lambda x: (1 + mpmath.tanh(x / 2)) / 2,
    "tanh": mpmath.tanh,
    "Phi": mpmath.ncdf,
    "phi": mpmath.npdf,
    "erf": mpmath.erf,
    "softplus": lambda x: mpmath.log(1 + mpmath.exp(x)),
    "sin": mpmath.sin,
    "cos": mpmath.cos,
    "sinh": mpmath.sinh,
    "cosh": mpmath.cosh,
    "abs": abs,
}


def value(text, **point):
    return parse(text, symbols=point).evaluate(point)


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("1 + 2*3", 7),
        ("-2**2", -4),
        ("2**-1", 0.5),
        ("2^3^2", 512),
        ("2**3**2", 512),
        ("8/4/2", 1),
        ("8 - 4 - 2", 2),
        ("--3", 3),
        ("+-3", -3),
        ("2*-3", -6),
        ("-(1 + 2)*3", -9),
        ("(-2)**3", -8),
        (".5 + 1.", 1.5),
        ("1e-3*1E3", 1),
        ("0**0", 1),
        ("1e300**0", 1),
        ("min(3, 1, 2) + max(4, 9)", 10),
        ("abs(-2.5)", 2.5),
        ("sigmoid(0)", 0.5),
        ("Phi(0)", 0.5),
        ("  ( ( 7 ) )\n", 7),
    ],
)
def test_parse_follows_the_precedence_of_arithmetic(text, right):
    assert value(text) == right


@pytest.mark.parametrize("name", sorted(ORACLES))
def test_evaluate_functions_agree_with_mpmath_at_fifty_digits(name):
    with mpmath.workdps(500):  # so that the oracles' own cancellation at 400 does no harm
        for text in ["1e-30", "0.3", "2.75", "37", "400"]:
            for x in [mpmath.mpf(text), -mpmath.mpf(text)]:
                if x <= 0 and name in ("log", "sqrt"):
                    continue
                got = value(f"{name}({'-' if x < 0 else ''}{text})")
                condition = max(1, x * x)  # of the tails of Phi and phi
                bound = condition * mpmath.mpf(10) ** -49
                assert abs(got - ORACLES[name](x)) <= bound * abs(ORACLES[name](x))


def test_functions_all_have_an_oracle_here():
    assert {*ORACLES, "min", "max"} == set(FUNCTIONS)


def test_evaluate_carries_fifty_digits():
    assert mpmath.nstr(value("pi"), 50).startswith("3.14159265358979323846264338327950288419716939")
    assert mpmath.nstr(value("e"), 50).startswith("2.71828182845904523536028747135266249775724709")
    with mpmath.workdps(60):
        assert abs(value("z/10", z=1) - mpmath.mpf(1) / 10) < mpmath.mpf(10) ** -50


def test_expression_symbols_are_those_that_occur():
    assert parse("z*beta + pi", symbols=["z", "beta", "alpha"]).symbols == ("beta", "z")


@pytest.mark.parametrize("seed", range(30))
def test_parse_random_trees_agree_with_the_same_tree_in_python(seed):
    chance = random.Random(seed)

    def tree(depth):
        kind = chance.choice(["leaf", "+", "-", "*", "/", "call", "negative"]) if depth else "leaf"
        if kind == "leaf":
            number = chance.choice(["2", "0.7", "z", "beta"])
            point = {"z": mpmath.mpf(1.25), "beta": mpmath.mpf(0.75)}
            return number, point.get(number) or mpmath.mpf(number)
        left, x = tree(depth - 1)
        if kind == "negative":
            return f"(-({left}))", -x
        if kind == "call":
            name = chance.choice(["sigma", "tanh", "erf", "sin"])
            return f"{name}({left})", ORACLES[name](x)
        right, y = tree(depth - 1)
        if kind == "/":
            return f"({left})/(3 + ({right})**2)", x / (3 + y**2)
        return f"({left}){kind}({right})", {"+": x + y, "-": x - y, "*": x * y}[kind]

    with mpmath.workdps(60):
        text, right = tree(4)
        formula = parse(text, symbols=["z", "beta"], max_nodes=1000)
        got = formula.evaluate({"z": 1.25, "beta": 0.75}, digits=60)
        assert abs(got - right) <= mpmath.mpf(10) ** -50 * max(1, abs(right))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("   ", "is empty"),
        ("2z", "a '*' is missing before 'z' at character 2"),
        ("z z", "a '*' is missing before 'z' at character 3"),
        ("2(z)", "a '*' is missing before '(' at character 2"),
        ("(z)(z)", "a '*' is missing before '(' at character 4"),
        ("z(1)", "a '*' is missing before '(' at character 2"),
        ("z 2", "a '*' is missing before '2' at character 3"),
        ("sigma(2z)", "a '*' is missing before 'z' at character 8"),
        ("x + 1", "unknown symbol 'x' at character 1; choose from ['z', 'pi', 'e']"),
        ("z + gelu(z)", "unknown function 'gelu' at character 5; choose from ['exp', 'sigma']"),
        ("tanh(z)", "unknown function 'tanh'"),
        ("sigma", "sigma at character 1 needs its argument in parentheses"),
        ("sigma z", "needs its argument in parentheses"),
        ("sigma()", "unexpected ')' at character 7"),
        ("sigma(z, z)", "sigma at character 1 takes one argument, not 2"),
        ("(z", "the parenthesis opened at character 1 is not closed"),
        ("z)", "unexpected ')' at character 2"),
        ("z +", "ends too early"),
        ("*z", "unexpected '*' at character 1"),
        ("z ** ** 2", "unexpected '**'"),
        ("z = 3", "unexpected '=' at character 3; give the right-hand side only"),
        ("[z]", "use round parentheses"),
        ("σ(z)", "GREEK SMALL LETTER SIGMA) at character 1; write sigma"),
        ("z − 1", "MINUS SIGN) at character 3; write -"),
        ("ѕigma(z)", "CYRILLIC SMALL LETTER DZE"),
        ("z\u200b", "ZERO WIDTH SPACE"),
        ("ｚ", "FULLWIDTH LATIN SMALL LETTER Z"),
        ("٣*z", "ARABIC-INDIC DIGIT THREE"),
        ("z²", "write **2"),
        ("z\x07", "unexpected '\\x07' at character 2"),
        ("__import__('os')", 'unexpected "\'"'),
        ("__import__(z)", "unknown function '__import__'"),
        ("z.__class__", "unexpected '.'"),
        ("lambda: z", "unexpected ':'"),
        ("z if z else z", "a '*' is missing before 'if'"),
        ("1" * 61, "more than 60 digits"),
        ("1" * 4300, "more than 2,000"),
        ("1e999", "beyond 1e400"),
        ("1e99999999", "beyond 1e400"),
        ("(" * 10**6, "1,000,000 characters, more than 2,000"),
        ("(" * 900 + "z" + ")" * 900, "nested more than 60 levels deep"),
        ("-" * 1900 + "z", "nested more than 60 levels deep"),
        ("z**" * 600 + "z", "nested more than 60 levels deep"),
        ("+".join("z" * 150), "more than 200 parts"),
        ("a" * 1500, "unknown symbol 'aaaaaaaaaaaaaaaaaaaa...'"),
    ],
)
def test_parse_says_what_is_wrong_and_where(text, words):
    with pytest.raises(ExpressionError) as caught:
        parse(text, symbols=["z"], functions=["exp", "sigma"])
    assert words in str(caught.value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("thing", [None, 3, 1.5, ["z"], b"z", np.str_])
def test_parse_takes_text_only(thing):
    with pytest.raises(ExpressionError, match="a formula is text in quotes, not"):
        parse(thing, symbols=["z"])


def test_parse_knows_its_functions():
    with pytest.raises(ValueError, match="unknown function 'erfc'; choose from"):
        parse("z", symbols=["z"], functions=["erfc"])


def test_parse_of_random_tokens_ends_in_a_value_or_in_its_own_errors():
    chance = random.Random(1)
    tokens = ["z", "1", "0", "9", "1e300", "**", "^", "*", "/", "+", "-", "(", ")", ",", "e", "pi", " "]
    tokens += [f"{name}(" for name in FUNCTIONS]
    values = 0
    started = time.process_time()
    for _ in range(4000):
        text = "".join(chance.choice(tokens) for _ in range(chance.randrange(1, 12)))
        text += ")" * max(0, text.count("(") - text.count(")"))
        try:
            got = parse(text, symbols=["z"]).evaluate({"z": 0.5})
        except (ExpressionError, EvaluationError):
            continue
        assert mpmath.isfinite(got)
        assert isinstance(got, mpmath.ctx_mp_python._mpf)
        values += 1
    assert values > 100
    assert time.process_time() - started < 20


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("9**9**9**9", "a power too large to compute"),
        ("exp(exp(exp(1000)))", "exp of 1.97007e+434, beyond 1,000,000"),
        ("sin(cosh(1e6))", "sin of"),
        ("1/(z - z)", "a division by zero"),
        ("0**-1", "a division by zero"),
        ("0*log(0)", "log of 0"),
        ("log(-1)", "log of -1"),
        ("sqrt(-2)", "sqrt of -2"),
        ("(-8)**(1/3)", "a power of -8 with the exponent 0.333333"),
        ("2**(2**30)", "a power too large"),
        ("(1e-300)**1e300", "a power too large"),
        ("Phi(-exp(20))", "Phi of"),
    ],
)
def test_evaluate_refuses_what_has_no_value_or_no_end(text, words):
    with pytest.raises(EvaluationError) as caught:
        value(text, z=1.5)
    assert words in str(caught.value)


def test_evaluate_large_but_bounded_values_are_computed():
    assert mpmath.nstr(value("exp(1e6)"), 10) == "3.033215397e+434294"
    assert value("sigma(-1e6)") > 0
    assert value("1/exp(1e6)**2*exp(1e6)*exp(1e6)") == pytest.approx(1)


@pytest.mark.parametrize(
    "text",
    [
        SLOPE,
        "sigma(beta*z)*(1 + beta*z*sigma(-beta*z))",
        "(1 + tanh(beta*z/2))/2 + beta*z/(4*cosh(beta*z/2)^2)",
        "(1 + exp(-beta*z) + beta*z*exp(-beta*z)) / (1 + exp(-beta*z))**2",
        "(exp(beta*z)*(1 + beta*z) + exp(2*beta*z)) / (1 + exp(beta*z))**2",
    ],
)
def test_compare_accepts_every_form_of_the_slope_of_swish(text):
    assert compare(text, SLOPE, symbols=BOTH) is None


@pytest.mark.parametrize(
    "text",
    [
        "sigma(beta*z)",
        "sigma(beta*z) - beta*z*sigma(beta*z)*(1 - sigma(beta*z))",
        "sigma(beta*z) + z*sigma(beta*z)*(1 - sigma(beta*z))",
        f"{SLOPE} + 1e-12",
        f"({SLOPE})*(1 + 1e-29)",
        f"{SLOPE} + 1e-40/(sigma(beta*z)*(1 - sigma(beta*z)))",
    ],
)
def test_compare_rejects_other_formulas(text):
    assert "differs at z = " in compare(text, SLOPE, symbols=BOTH)


def test_compare_shows_both_values_and_the_distance_of_close_ones():
    assert compare("z + 1e-12", "z", symbols={"z": (2, 2)}) == (
        "differs at z = 2: yours is 2, the right value is 2, and they differ by 1.0e-12"
    )


def test_compare_rejects_a_formula_that_agrees_on_half_of_the_domain():
    sentence = compare("z", "abs(z)", symbols=Z)
    assert sentence.startswith("agrees at 20 of 40 points, but differs at z = -")


@pytest.mark.parametrize("edge", [-5.6, 5.6])
def test_compare_finds_a_formula_that_fails_at_one_end_of_the_domain(edge):
    wrong = "max(z, 5.6)" if edge > 0 else "min(z, -5.6)"
    other = f"z + {wrong} - {edge}"  # equal to z but beyond the edge
    assert "differs" in compare(other, "z", symbols=Z)


def test_compare_sees_each_stratum_of_each_symbol():
    points = points_of(BOTH, 40, seed=3)
    for name, (low, high) in BOTH.items():
        strata = sorted(int((point[name] - low) / (high - low) * 40) for point in points)
        assert strata == list(range(40))


def test_compare_other_seeds_have_other_points():
    first = {point["z"] for point in points_of(Z, 40, seed=0)}
    assert first.isdisjoint(point["z"] for point in points_of(Z, 40, seed=1))


@pytest.mark.parametrize(
    "text",
    [
        "z + 1e40 - 1e40",
        "z + 1e300 - 1e300",
        "log(exp(z + 400) + 0) - 400",
        "((1e30 + z)**2 - 1e60 - z**2)/2e30",
        "(exp(1000) + z) - exp(1000)",
        "(exp(1000) + z)*exp(-1000)*exp(1000) - exp(1000)",
        "((1 + z*1e-60) - 1)*1e60",
    ],
)
def test_compare_raises_the_precision_where_terms_cancel(text):
    assert compare(text, "z", symbols=Z) is None


def test_compare_cancelling_but_wrong_formula_is_rejected():
    assert "differs" in compare("z + 1e300 - 1e300 + 1e-12", "z", symbols=Z)
    assert "differs" in compare("((1 + z*1e-60) - 1)*1.000000001e60", "z", symbols=Z)


def test_compare_total_cancellation_is_zero():
    assert compare("sigma(z) + sigma(-z) - 1", "0", symbols=Z) is None
    assert compare("z - z", "0", symbols=Z) is None
    assert compare("0", "sinh(z)**2 - cosh(z)**2 + 1", symbols=Z) is None
    assert "differs" in compare("sigma(z) + sigma(-z) - 1 + 1e-60", "0", symbols=Z)
    assert "differs" in compare("0", "1e-60", symbols={})


def test_compare_relative_to_tiny_values():
    assert "differs" in compare("phi(z) + 1e-60", "phi(z)", symbols={"z": (10, 12)})
    assert "differs" in compare("phi(z)*1.0000001", "phi(z)", symbols={"z": (30, 38)})
    assert compare("exp(-z**2/2)/sqrt(2*pi)", "phi(z)", symbols={"z": (30, 38)}) is None


def test_compare_numbers_without_symbols():
    assert compare("1/2 - 1/pi", "(pi - 2)/(2*pi)", symbols={}) is None
    assert compare("0.1816901138", "1/2 - 1/pi", symbols={}).startswith("differs: yours is 0.18169,")
    assert "unknown symbol 'z'" in compare("z", "1", symbols={})


def test_compare_says_where_a_formula_has_no_value():
    assert compare("z**0.5 + 1", "z", symbols={"z": (-4, -4)}) == (
        "has no value at z = -4: a power of -4 with the exponent 0.5"
    )


def test_compare_only_the_allowed_functions_count_but_the_right_formula_has_all():
    assert "unknown function 'tanh'" in compare("tanh(z)", "tanh(z)", symbols=Z, functions=["exp"])
    assert compare("(exp(2*z) - 1)/(exp(2*z) + 1)", "tanh(z)", symbols=Z, functions=["exp"]) is None


@pytest.mark.parametrize("thing", [None, 0.5, ["z"], {}])
def test_compare_answers_that_are_no_text_get_a_sentence(thing):
    assert compare(thing, "z", symbols=Z).startswith("cannot be read: a formula is text in quotes")


def test_compare_holds_its_time_limit():
    slow = "+".join(["Phi(z - 38)"] * 38)
    started = time.monotonic()
    sentence = compare(f"1e300 - 1e300 + {slow}", "z", symbols={"z": (1, 2)}, seconds=0.3)
    assert time.monotonic() - started < 2
    assert "it takes too long to evaluate" in sentence


def test_compare_a_wrong_right_formula_is_the_authors_error():
    with pytest.raises(ExpressionError, match="unknown symbol 'x'"):
        compare("z", "x", symbols=Z)
    with pytest.raises(EvaluationError, match="log of"):
        compare("z", "log(z)", symbols=Z)


def test_compare_leaves_mpmath_as_it_was():
    before = mpmath.mp.prec
    compare(SLOPE, SLOPE, symbols=BOTH)
    assert mpmath.mp.prec == before == 53


def test_settled_digits_are_right_against_a_series():
    cancelling = parse("(exp(z) - 1 - z - z**2/2)/z**3", symbols=["z"])
    z = 1e-20
    with mpmath.workdps(80):
        x = mpmath.mpf(z)
        right = sum(x**k / mpmath.factorial(k + 3) for k in range(6))
        assert abs(settled(cancelling, {"z": z}, digits=30, deadline=None) - right) < mpmath.mpf(10) ** -34


@pytest.mark.parametrize(
    "text", [SLOPE, "sigma(beta*z)", "2z", "log(z)", f"{SLOPE} + max(z, 5.9) - 5.9", None]
)
def test_agree_is_compare_without_words(text):
    assert agree(text, SLOPE, symbols=BOTH) == (compare(text, SLOPE, symbols=BOTH) is None)


@pytest.mark.parametrize("step", ["1e-16", "1e-40", "1e-300", "10**-700"])
def test_compare_refuses_a_difference_quotient(step):
    quotient = f"((z + {step})*sigma(z + {step}) - (z - {step})*sigma(z - {step}))/(2*{step})"
    sentence = compare(quotient, "sigma(z)*(1 + z*sigma(-z))", symbols=Z)
    assert "it is an approximation" in sentence


def test_compare_refuses_a_long_decimal_in_place_of_a_number():
    assert compare("log(2)/log(e)", "log(2)", symbols={}) is None
    text = "0.693147180559945309417232121458176568075500134360255254"
    assert compare(text, "log(2)", symbols={}).startswith("agrees to 5")
