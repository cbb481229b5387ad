import ast
import math
import pickle
import random
import re

import pytest

from selfgated.formulas import FormulaError, Grammar, Node, walk

WORDS = Grammar(
    {"f": 1, "g": 2, "most": None},
    symbols=("x", "y"),
    constants=("eps",),
    aliases={"ef": "f"},
    hints={"²": "^2", "|": "f(...)"},
)
OPERATORS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**"}


def ours(node):
    """A tree as nested tuples, numbers by value."""
    if node.kind == "number":
        return float(node.name)
    if not node.children:
        return node.name
    return (node.name, *map(ours, node.children))


def pythons(text):
    """The same, as Python's own parser reads the text; None if it does not."""
    try:
        return tree_of(ast.parse(text, mode="eval").body)
    except SyntaxError:
        return None


def tree_of(node):
    if isinstance(node, ast.Constant):
        return float(node.value)
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.UnaryOp):
        inner = tree_of(node.operand)
        return inner if isinstance(node.op, ast.UAdd) else ("negative", inner)
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        return (OPERATORS[type(node.op)], tree_of(node.left), tree_of(node.right))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        return (node.func.id, *map(tree_of, node.args))
    raise SyntaxError(ast.dump(node))


def grown(chance, depth):
    """A random formula as text, with needless parentheses, signs and blanks."""
    if depth == 0:
        return chance.choice(["x", "y", "eps", "2", "0.5", ".5", "3.", "1e-3", "7E2"])
    parts = [grown(chance, chance.randrange(depth)) for _ in range(3)]
    forms = [
        "{0} + {1}", "{0}-{1}", "{0}*{1}", "{0} /{1}", "{0}**{1}", "-{0}", "+ {0}", "({0})", "({0})",
        "f({0})", "g({0},{1})", "most({0}, {1}, {2})", "{0}*-{1}", "({0})**({1})", "-({0})**{1}",
    ]  # fmt: skip
    return chance.choice(forms).format(*parts)


@pytest.mark.parametrize("seed", range(4))
def test_read_builds_the_tree_that_python_builds(seed):
    chance = random.Random(seed)
    for _ in range(400):
        text = grown(chance, 5)
        assert ours(WORDS.read(text)) == pythons(text), text


def test_read_accepts_what_python_accepts_of_random_tokens():
    chance = random.Random(0)
    tokens = ["x", "y", "2", "0.5", "+", "-", "*", "/", "**", "(", ")", ",", " ", "f(", "g("]
    accepted = refused = 0
    for _ in range(20_000):
        text = "".join(chance.choice(tokens) for _ in range(chance.randrange(1, 9))).strip()
        # Python reads a comma before a closing parenthesis as if it were not there.
        expected = None if re.search(r",\s*\)", text) else arity_right(pythons(text))
        if expected is None:
            with pytest.raises(FormulaError) as caught:
                WORDS.read(text)
            assert 1 <= caught.value.position <= len(text) + 1
            refused += 1
        else:
            assert ours(WORDS.read(text)) == expected, text
            accepted += 1
    assert min(accepted, refused) > 1000


def arity_right(tree):
    """The tree, unless a function has another number of arguments, or what is called or named is unknown."""
    if isinstance(tree, tuple):
        lengths = dict.fromkeys(OPERATORS.values(), 3) | {"negative": 2, "f": 2, "g": 3}
        right = lengths.get(tree[0]) == len(tree)
        return tree if right and all(arity_right(part) is not None for part in tree[1:]) else None
    return tree if isinstance(tree, float) or tree in ("x", "y") else None


def test_read_says_where_each_node_stands():
    root = WORDS.read("x + f( -y )^2 ")
    found = {(node.kind, node.name): node.position for node in walk(root)}
    assert found == {
        ("operation", "+"): 3,
        ("symbol", "x"): 1,
        ("operation", "**"): 12,
        ("call", "f"): 5,
        ("operation", "negative"): 8,
        ("symbol", "y"): 9,
        ("number", "2"): 13,
    }
    assert WORDS.read("x+f(-y)^2") == root  # where a node stands does not count


def test_walk_yields_parents_first_from_left_to_right():
    assert [node.name for node in walk(WORDS.read("g(x, y*2) - 1"))] == ["-", "g", "x", "*", "y", "2", "1"]


def test_read_takes_aliases_constants_and_any_number_of_arguments():
    assert WORDS.read("ef(eps)") == Node("call", "f", (Node("constant", "eps"),))
    assert len(WORDS.read("most(1, 2, 3, 4)").children) == 4


@pytest.mark.parametrize(
    ("text", "words", "position"),
    [
        ("", "the formula is empty", 1),
        (" \n", "the formula is empty", 1),
        ("x +", "ends too early", 4),
        ("x + + ", "ends too early", 7),
        ("x y", "a '*' is missing before 'y' at character 3", 3),
        ("2x", "a '*' is missing before 'x' at character 2", 2),
        ("(x", "the parenthesis opened at character 1 is not closed", 1),
        ("f((x, y)", "the parenthesis opened at character 3 is not closed", 3),
        ("x)", "unexpected ')' at character 2", 2),
        ("*x", "unexpected '*' at character 1", 1),
        ("f", "f at character 1 needs its argument in parentheses", 1),
        ("x + g(x)", "g at character 5 takes two arguments, not 1", 5),
        ("f(x, y)", "f at character 1 takes one argument, not 2", 1),
        ("most(x)", "most at character 1 takes two or more arguments, not 1", 1),
        ("1 + h(x)", "unknown function 'h' at character 5; choose from ['f', 'g', 'most']", 5),
        ("1 + z", "unknown symbol 'z' at character 5; choose from ['x', 'y', 'eps']", 5),
        ("x²", "unexpected '²' (SUPERSCRIPT TWO) at character 2; write ^2", 2),
        ("x × y", "(MULTIPLICATION SIGN) at character 3; write *", 3),
        ("y = x", "unexpected '=' at character 3; give the right-hand side only", 3),
        ("[x]", "unexpected '[' at character 1; use round parentheses", 1),
        ("|x|", "unexpected '|' at character 1; write f(...)", 1),
        ("x + 1e401", "the number 1e401 at character 5 is beyond 1e400", 5),
        ("1" * 61, "the number at character 1 has more than 60 digits", 1),
        ("x" * 2001, "2,001 characters, more than 2,000", 2001),
        ("(" * 61 + "x" + ")" * 61, "nested more than 60 levels deep", 61),
        ("-" * 61 + "x", "nested more than 60 levels deep", 61),
        ("+".join("x" * 101), "more than 200 parts", 200),
    ],
)
def test_read_says_what_is_wrong_and_where(text, words, position):
    with pytest.raises(FormulaError) as caught:
        WORDS.read(text)
    assert words in str(caught.value)
    assert caught.value.position == position


def test_read_bounds_are_reached_but_not_passed():
    assert WORDS.read("(" * 60 + "x" + ")" * 60) == Node("symbol", "x")
    assert len(list(walk(WORDS.read("+".join("x" * 100))))) == 199
    assert WORDS.read("x" + " " * 1999) == Node("symbol", "x")
    small = Grammar({}, symbols=("x",), max_characters=5, max_depth=1, max_nodes=3)
    assert math.prod(len(node.children) or 1 for node in walk(small.read("(x*x)"))) == 2
    for text, words in [
        ("x + x ", "more than 5"),
        ("((x))", "more than 1 level"),
        ("x+x+x", "more than 3 parts"),
    ]:
        with pytest.raises(FormulaError, match=words):
            small.read(text)


@pytest.mark.parametrize("thing", [None, 3, ["x"], b"x"])
def test_read_takes_text_only(thing):
    with pytest.raises(FormulaError, match="a formula is text in quotes, not") as caught:
        WORDS.read(thing)
    assert caught.value.position is None


def test_read_raises_the_error_it_was_given():
    class OwnError(FormulaError):
        pass

    with pytest.raises(OwnError):
        Grammar({}, error=OwnError).read("x")


def test_formula_error_keeps_its_position_when_pickled():
    error = pickle.loads(pickle.dumps(FormulaError("no", 7)))
    assert (str(error), error.position) == ("no", 7)
