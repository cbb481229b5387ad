import copy
import dataclasses
import math
import pickle

import matplotlib.mathtext
import numpy as np
import pytest
import sympy
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from selfgated.search import Expression, Space, evaluate, parse
from selfgated.search.expression import EPS, FUNCTIONS, OPERATIONS, Node, beta, call, number, walk, x
from selfgated.search.tree import MAX_NODES, fold

Z = torch.tensor([-2.3, -0.7, -0.01, 0.3, 1.1, 2.9], dtype=torch.float64)
LEAVES = st.one_of(
    st.just(x),
    st.just(call("eps")),
    st.integers(0, 8).map(beta),
    st.floats(0, 1e300, allow_subnormal=False).map(number),
    st.sampled_from([0, 1, 2, 0.1, 1e-7, 1e16, 123456789.123456789]).map(number),
)
TREES = st.recursive(
    LEAVES,
    lambda trees: st.one_of(
        st.builds(lambda op, a: call(op, a), st.sampled_from(("neg", *FUNCTIONS)), trees),
        st.builds(lambda op, a, b: call(op, a, b), st.sampled_from(OPERATIONS), trees, trees),
        st.builds(lambda a, k: call("pow", a, value=k), trees, st.integers(2, 9)),
    ),
    max_leaves=12,
)
SIN = call("sin", x)


def plus(a, b):
    return call("add", a, b)


@settings(max_examples=600, deadline=None)
@given(TREES)
def test_text_is_read_back_as_the_same_tree(tree):
    expression = Expression(tree)
    assert parse(expression.text) == expression


@pytest.mark.parametrize(
    ("tree", "text", "latex"),
    [
        (call("sub", x, call("sub", x, SIN)), "x - (x - sin(x))", r"x - \left(x - \sin\left(x\right)\right)"),
        (call("sub", call("sub", x, x), SIN), "x - x - sin(x)", r"x - x - \sin\left(x\right)"),
        (call("div", x, call("div", x, SIN)), "x/(x/sin(x))", r"\frac{x}{\frac{x}{\sin\left(x\right)}}"),
        (call("sub", x, call("neg", x)), "x - (-x)", r"x - \left(-x\right)"),
        (call("mul", call("neg", x), x), "-x*x", r"-x \, x"),
        (call("neg", call("mul", x, x)), "-(x*x)", r"-\left(x \, x\right)"),
        (call("mul", x, call("neg", x)), "x*(-x)", r"x \, \left(-x\right)"),
        (call("neg", call("neg", x)), "-(-x)", r"-\left(-x\right)"),
        (plus(x, call("mul", call("neg", x), x)), "x + (-x*x)", r"x + \left(-x \, x\right)"),
        (call("pow", call("neg", x), value=2), "(-x)^2", r"\left(-x\right)^{2}"),
        (call("neg", call("pow", x, value=2)), "-x^2", "-x^{2}"),
        (call("pow", call("pow", x, value=2), value=3), "(x^2)^3", r"\left(x^{2}\right)^{3}"),
        (call("pow", call("exp", x), value=2), "exp(x)^2", r"\left(e^{x}\right)^{2}"),
        (call("exp", call("neg", x)), "exp(-x)", "e^{-x}"),
        (call("mul", number(2), number(3)), "2*3", r"2 \cdot 3"),
        (call("mul", x, number(1e-5)), "x*1e-05", r"x \, \left(1 \cdot 10^{-5}\right)"),
        (call("max", x, number(0.5)), "max(x, 0.5)", r"\max\left(x, 0.5\right)"),
        (plus(call("abs", x), call("eps")), "abs(x) + eps", r"\left|x\right| + \varepsilon"),
        (plus(beta(3), call("sqrt", x)), "beta + sqrt(x)", r"\beta + \sqrt{x}"),
        (plus(beta(3), beta(0)), "beta1 + beta2", r"\beta_1 + \beta_2"),
        (call("sigmoid", call("asinh", x)), "sigmoid(asinh(x))",
         r"\sigma\left(\operatorname{arsinh}\left(x\right)\right)"),
    ],
)  # fmt: skip
def test_text_and_latex_have_the_parentheses_that_are_needed(tree, text, latex):
    expression = Expression(tree)
    assert (expression.text, expression.latex) == (text, latex)


def test_latex_is_mathematics_to_matplotlib():
    parser, space = matplotlib.mathtext.MathTextParser("path"), Space(1)
    latex = {space.expression(space.choice(index)).latex for index in range(0, space.size, 61)}
    latex |= {Expression(call(op, x)).latex for op in FUNCTIONS}
    for formula in sorted(latex | {parse("1e-5*x/(x^2 - 1e22)").latex}):
        assert parser.parse(f"${formula}$").width > 0, formula
    assert len(latex) > 100


def members(cores, count, seed=0):
    space, generator = Space(cores), np.random.default_rng(seed)
    return [space.expression(generator.integers(space.sizes)) for _ in range(count)]


@pytest.mark.parametrize("expressions", [members(1, 250), members(2, 60)], ids=["one core", "two cores"])
def test_sympy_has_the_values_of_evaluate(expressions):
    for expression in expressions:
        betas = [0.3 + 0.17 * k for k in range(len(expression.betas))]
        function = sympy.lambdify(
            (sympy.Symbol("x", real=True), *expression.symbols), expression.sympy, ["scipy", "numpy"]
        )
        with np.errstate(all="ignore"):
            expected = function(Z.numpy(), *betas) + 0 * Z.numpy()
        got = evaluate(expression, Z, betas=betas).numpy()
        # SymPy collects terms: what cancels there leaves rounding here.
        np.testing.assert_allclose(got, expected, rtol=1e-7, atol=1e-9, err_msg=expression.text)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("x - x", "0"),
        ("x*beta", "beta*x"),
        ("sqrt(x)", "sqrt(Max(0, x))"),
        ("relu(x)", "Max(0, x)"),
        ("0.1*x + eps", "x/10 + 1/1000"),
        ("sigmoid(x)", "1/(1 + exp(-x))"),
        ("softplus(x)", "log(exp(x) + 1)"),
        ("beta2*x + beta1 + abs(-x)", "beta1*x + beta2 + Abs(x)"),
    ],
)
def test_sympy_is_exact(text, form):
    assert str(parse(text).sympy) == form


def test_symbols_are_those_of_the_form():
    expression = parse("beta1*x + beta2")
    assert expression.sympy.free_symbols == {sympy.Symbol("x", real=True), *expression.symbols}


@pytest.mark.parametrize(
    "text",
    [
        "1/0",
        "x/(x - x)",
        "log(x - x)",
        "max(log(-1), x)",
        "max(exp(exp(exp(exp(9)))), x)",
        "(" * 9 + "x" + "^9)" * 9,
    ],
)
def test_sympy_says_where_it_has_no_form(text):
    expression = parse(text)
    with pytest.raises(ValueError, match="SymPy"):
        _ = expression.sympy
    assert evaluate(expression, Z).shape == Z.shape


@pytest.mark.parametrize(
    ("text", "betas"),
    [
        ("x", ()),
        ("beta*x", (1,)),
        ("beta1*x + (1 - beta1)*beta2", (0.5, 1)),
        ("beta1*x + (1 - beta2)*x", (1, 0.5)),
        ("2 - beta", (1,)),
        ("beta - 1", (1,)),
    ],
)
def test_betas_start_at_one_or_where_they_mix_at_a_half(text, betas):
    assert parse(text).betas == betas


def test_betas_are_numbered_in_their_order():
    expression = Expression(plus(call("mul", beta(5), x), plus(beta(2), beta(5))))
    assert expression.text == "beta1*x + (beta2 + beta1)"
    assert [node.value for node in walk(expression.root) if node.op == "beta"] == [0, 1, 0]
    assert Expression(beta(4)) == Expression(beta(0))


def test_softplus_gets_its_name():
    one, inner = number(1), call("neg", x)
    for sum_ in (plus(one, call("exp", inner)), plus(call("exp", inner), one)):
        assert Expression(call("log", sum_)).root == call("softplus", inner)
    nested = Expression(call("log", plus(one, call("exp", call("log", plus(one, call("exp", x)))))))
    assert nested.text == "softplus(softplus(x))"
    other = Expression(call("log", plus(number(2), call("exp", x))))
    assert other.text == "log(2 + exp(x))"


def test_expressions_are_equal_if_their_trees_are():
    one, same, other = parse("x + 1"), parse("(x)+1.0"), parse("1 + x")
    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    assert one != "x + 1"
    assert len({one, same, other}) == 2
    assert (str(one), repr(one)) == ("x + 1", "Expression('x + 1')")


def test_expressions_survive_pickling_and_copying():
    expression = parse("beta*x + max(x, 0.5)")
    assert str(expression.sympy) == "beta*x + Max(1/2, x)"  # what is cached travels too
    for other in (pickle.loads(pickle.dumps(expression)), copy.deepcopy(expression), copy.copy(expression)):
        assert (other, other.text, hash(other)) == (expression, expression.text, hash(expression))
        assert other.root.size == expression.root.size


def test_nodes_do_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        x.op = "eps"


def chain(length):
    root = x
    for _ in range(length):
        root = call("sin", root)
    return root


def test_expression_of_the_deepest_tree_does_not_exhaust_the_stack():
    expression = Expression(chain(MAX_NODES - 1))
    assert expression.root.size == MAX_NODES
    assert expression.text == "sin(" * (MAX_NODES - 1) + "x" + ")" * (MAX_NODES - 1)
    assert expression.latex.count("sin") == MAX_NODES - 1
    assert expression.sympy.func is sympy.sin
    expected = 1.0
    for _ in range(MAX_NODES - 1):
        expected = math.sin(expected)
    assert evaluate(expression, torch.ones(1, dtype=torch.float64)).item() == pytest.approx(
        expected, rel=1e-12
    )
    assert copy.deepcopy(expression) == pickle.loads(pickle.dumps(expression)) == expression
    assert hash(expression) == hash(Expression(chain(MAX_NODES - 1)))


def test_node_refuses_more_nodes_than_the_limit_however_they_are_shared():
    with pytest.raises(ValueError, match="more than 200 nodes"):
        chain(MAX_NODES)
    root = x
    for _ in range(6):
        root = call("mul", root, root)  # 2, 4, ..., 64 leaves
    with pytest.raises(ValueError, match="more than 200 nodes"):
        call("mul", root, root)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: call("gleu", x), "unknown operation 'gleu'; choose from"),
        (lambda: call("sin"), "sin takes 1 nodes, not"),
        (lambda: call("sin", x, x), "sin takes 1 nodes"),
        (lambda: call("add", x), "add takes 2 nodes"),
        (lambda: call("add", x, 1.0), "add takes 2 nodes"),
        (lambda: call("x", x), "x takes 0 nodes"),
        (lambda: call("sin", x, value=2), "sin takes no value 2"),
        (lambda: call("pow", x), "pow takes no value None"),
        (lambda: call("pow", x, value=1), "pow takes no value 1"),
        (lambda: call("pow", x, value=2.0), "pow takes no value 2.0"),
        (lambda: call("pow", x, value=10), "pow takes no value 10"),
        (lambda: beta(9), "beta takes no value 9"),
        (lambda: beta(-1), "beta takes no value -1"),
        (lambda: beta(True), "beta takes no value True"),
        (lambda: number(math.nan), "number takes no value nan"),
        (lambda: number(-math.inf), "number takes no value inf"),
        (lambda: Node("number", (), -1.0), "number takes no value -1.0"),
        (lambda: Node("number", (), -0.0), "number takes no value -0.0"),
    ],
)
def test_node_refuses_what_it_cannot_be(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_number_of_a_negative_value_has_a_sign():
    assert number(-2) == call("neg", number(2))
    assert Expression(number(np.float64(0.1))).text == "0.1"
    assert Expression(number(np.float32(-3))).text == "-3"


@pytest.mark.parametrize("thing", ["x", None, 1.0, parse("x")])
def test_expression_takes_a_node_only(thing):
    with pytest.raises(TypeError, match="an expression is made of a Node, not"):
        Expression(thing)


def test_walk_and_fold_visit_children_first():
    root = plus(call("mul", number(2), x), SIN)
    assert [node.op for node in walk(root)] == ["number", "x", "mul", "x", "sin", "add"]
    assert fold(root, lambda node, parts: [node.op, *parts]) == [
        "add",
        ["mul", ["number"], ["x"]],
        ["sin", ["x"]],
    ]


def test_eps_is_a_thousandth():
    assert evaluate(parse("eps"), torch.zeros(1, dtype=torch.float64)).item() == EPS == 1e-3
