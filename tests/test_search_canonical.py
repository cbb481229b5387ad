from collections import defaultdict
from functools import cache, lru_cache
from itertools import permutations

import numpy as np
import pytest
from scipy import special

from selfgated.search import Space, algebraic, classes, distinct, fingerprint, orbits, parse
from selfgated.search.canonical import MIRRORS, bounded

SPACE = Space(1)
# Written anew, for values at other points: u1 and u2 with their betas, and b with its own.
UNARIES = [
    lambda z, b: z, lambda z, b: -z, lambda z, b: np.abs(z), lambda z, b: z**2, lambda z, b: z**3,
    lambda z, b: np.sqrt(np.maximum(z, 0)), lambda z, b: b * z, lambda z, b: z + b,
    lambda z, b: np.log(np.abs(z) + 1e-3), lambda z, b: np.exp(z), lambda z, b: np.sin(z),
    lambda z, b: np.cos(z), lambda z, b: np.sinh(z), lambda z, b: np.cosh(z), lambda z, b: np.tanh(z),
    lambda z, b: np.arcsinh(z), lambda z, b: np.arctan(z), lambda z, b: np.sinc(z / np.pi),
    lambda z, b: np.maximum(z, 0), lambda z, b: np.minimum(z, 0), lambda z, b: special.expit(z),
    lambda z, b: np.log1p(np.exp(z)), lambda z, b: np.exp(-(z**2)), lambda z, b: special.erf(z),
    lambda z, b: b + 0 * z,
]  # fmt: skip
BINARIES = [
    lambda p, q, b: p + q, lambda p, q, b: p * q, lambda p, q, b: p - q, lambda p, q, b: p / (q + 1e-3),
    lambda p, q, b: np.maximum(p, q), lambda p, q, b: np.minimum(p, q), lambda p, q, b: special.expit(p) * q,
    lambda p, q, b: np.exp(-b * (p - q) ** 2), lambda p, q, b: np.exp(-b * np.abs(p - q)),
    lambda p, q, b: b * p + (1 - b) * q,
]  # fmt: skip


@lru_cache(maxsize=4)
def other_values(mirror="f(x)"):
    """For each of the 6250 a key, the same for the same function: the smallest of its rows, in some sense.

    A row has the values at 30 points for 6 draws of the three betas that u1, u2 and b may have; its rows are
    those of all orders of the three.
    """
    generator = np.random.default_rng(7)
    z = np.concatenate([generator.uniform(-3, 3, 24), generator.uniform(-0.08, 0.08, 6)])
    z, sign = (-z if "(-x)" in mirror else z), (-1 if mirror.startswith("-") else 1)
    draws, weights, rows = generator.uniform(-3, 4, (6, 3)), generator.normal(size=180), []
    for order in permutations(range(3)):
        b1, b2, b3 = draws[:, order].T[..., None]
        left = np.stack([np.broadcast_to(u(z, b1), (6, 30)) for u in UNARIES])[:, None]
        right = np.stack([np.broadcast_to(u(z, b2), (6, 30)) for u in UNARIES])[None]
        with np.errstate(over="ignore"):
            values = np.stack([sign * (b(left, right, b3) + 0 * left) for b in BINARIES], axis=2)
        rows.append(np.arctan(values.reshape(6250, -1)))
    rows = np.stack(rows, axis=1)
    smallest = rows[np.arange(6250), (rows @ weights).argmin(axis=1)]
    return [row.tobytes() for row in np.round(smallest, 7) + 0.0]  # + 0.0: no negative zero


def groups_of(keys):
    found = defaultdict(set)
    for index, key in enumerate(keys):
        found[key].add(index)
    return list(found.values())


@cache
def text(index):
    return SPACE.expression(SPACE.choice(index)).text


def test_distinct_is_what_other_points_find():
    own = [frozenset(group) for group in distinct()]
    assert sorted(index for group in own for index in group) == list(range(6250))
    assert set(own) == {frozenset(group) for group in groups_of(other_values())}


def test_distinct_puts_the_shortest_text_first():
    for group in distinct():
        lengths = [len(text(index).replace("(-x)", "-x")) for index in group]
        assert lengths == sorted(lengths)
    first = [min(group) for group in distinct()]
    assert first[:-2] == sorted(first[:-2])  # in the order of first appearance
    assert [text(index) for index in first[-2:]] == ["min(x + beta1, x + beta2)", "min(beta1, beta2)"]


def test_distinct_joins_what_algebra_joins():
    home = {index: number for number, group in enumerate(distinct()) for index in group}
    sample = np.random.default_rng(0).permutation(6250)[:2500].tolist()
    forms = groups_of(algebraic(SPACE.expression(SPACE.choice(index))) for index in sample)
    assert all(len({home[sample[place]] for place in form}) == 1 for form in forms)
    assert len({home[index] for index in sample}) < len(forms) < 2300


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x*sigmoid(x)", "sigmoid(x)*x"),
        ("max(x, 0) + min(x, 0)", "x"),
        ("exp(x) - sinh(x)", "cosh(x)"),
        ("softplus(x) - softplus(-x)", "x"),
        ("tanh(x)", "2*sigmoid(2*x) - 1"),
        ("beta1*x + beta2", "beta1 + beta2*x"),
        ("beta1*sin(x) + beta2*cos(x)", "beta2*sin(x) + beta1*cos(x)"),
        ("max(sqrt(x), sin(x))", "max(erf(x), sqrt(x))"),
        ("beta1*(beta2 + beta3*(beta4 + x))", "(beta3 + (beta1 + x)*beta2)*beta4"),
    ],
)
def test_fingerprint_is_the_same_for_the_same_function(one, other):
    assert np.abs(bounded(fingerprint(parse(one))) - bounded(fingerprint(parse(other)))).max() < 1e-9


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("max(beta, cosh(x))", "cosh(x)"),
        ("max(beta, exp(-x^2))", "beta"),
        ("max(x, 0)", "x*sigmoid(40*x)"),
        ("beta1*x + beta2", "beta*x + beta"),
        ("log(abs(x) + eps)", "log(abs(x))"),
        ("x/(x + eps)", "1"),
        ("sqrt(x)", "sqrt(abs(x))"),
        ("x - beta", "beta - x"),
        ("gelu(x)", "gelu_tanh(x)"),
        ("max(beta1, beta2)", "beta"),
        ("min(beta1, beta2)", "beta"),
    ],
)
def test_fingerprint_tells_functions_apart(one, other):
    assert np.abs(bounded(fingerprint(parse(one))) - bounded(fingerprint(parse(other)))).max() > 1e-6


def test_fingerprint_of_many_betas_tries_every_order_up_to_six():
    names = [f"beta{k}" for k in range(1, 7)]
    one = " + ".join(f"sin({k + 1}*x)*{name}" for k, name in enumerate(names))
    other = " + ".join(f"sin({6 - k}*x)*{name}" for k, name in enumerate(names))
    np.testing.assert_allclose(fingerprint(parse(one)), fingerprint(parse(other)), atol=1e-12)
    nine = parse("+".join(f"beta{k}" for k in range(1, 10)))
    assert fingerprint(nine).shape == (160,)
    assert algebraic(nine)


@pytest.mark.parametrize(
    ("mirror", "image"),
    [
        ("f(x)", "exp(x) + beta"),
        ("-f(x)", "-exp(x) - beta"),
        ("f(-x)", "exp(-x) + beta"),
        ("-f(-x)", "-exp(-x) - beta"),
    ],
)
def test_fingerprint_of_a_mirror_image(mirror, image):
    for at_start in (False, True):
        got = fingerprint(parse("exp(x) + beta"), mirror=mirror, at_start=at_start)
        expected = fingerprint(parse(image), at_start=at_start)
        assert got.shape == ((40,) if at_start else (160,))
        np.testing.assert_allclose(got, expected, rtol=1e-13)


def test_fingerprint_at_the_start_is_that_of_the_starting_values():
    row = fingerprint(parse("beta1*x + (1 - beta1)*beta2"), at_start=True)
    np.testing.assert_allclose(row, fingerprint(parse("0.5*x + 0.5"))[:40], rtol=1e-14)


def test_fingerprint_knows_its_mirrors():
    with pytest.raises(ValueError, match="unknown mirror 'f'; choose from"):
        fingerprint(parse("x"), mirror="f")


def test_orbits_are_those_of_other_points():
    first = [group[0] for group in distinct()]
    keys = [other_values(mirror) for mirror in MIRRORS]
    numbers = {}
    images = [[numbers.setdefault(own[index], len(numbers)) for own in keys] for index in first]
    expected = groups_of(min(own) for own in images)
    assert sorted(index for orbit in orbits() for index in orbit) == sorted(first)
    assert {frozenset(orbit) for orbit in orbits()} == {
        frozenset(first[place] for place in g) for g in expected
    }
    assert {len(orbit) for orbit in orbits()} == {1, 2, 3, 4}  # a mirror image may need two core units


@pytest.mark.parametrize(
    ("texts", "count"),
    [
        (["x*sigmoid(x)", "-x*sigmoid(x)", "sigmoid(-x)*x", "sigmoid(-x)*(-x)"], 1),
        (["max(sin(x), x)", "min(sin(x), x)"], 1),
        (["cos(x) - x", "x - cos(x)", "cos(x) + x"], 1),
        (["sin(x) + x", "-x - sin(x)"], 1),
        (["sin(x) - x", "sin(x) + x"], 2),
    ],
)
def test_orbits_hold_the_mirror_images(texts, count):
    home = {index: number for number, group in enumerate(distinct()) for index in group}
    known = {text(index): index for index in range(6250)}
    orbit = {home[index]: number for number, own in enumerate(orbits()) for index in own}
    assert len({orbit[home[known[name]]] for name in texts}) == count


ODD = np.array(
    [
        [0.0, 1.0, np.nan],
        [-0.0, 1.0, np.nan],
        [0.0, 1.0, np.inf],
        [0.0, 1.0, -np.inf],
        [0.0, 1.0, 1e300],
        [0.0, np.nan, 1.0],
        [1e-10, 1.0, np.nan],
        [0.0, 1.0, np.tan(2.0 - np.pi)],
        [1e-6, 1.0, np.nan],
        [0.0, 1.0, 0.0],
    ]
)


def test_classes_of_odd_rows():
    # NaN is itself only; infinities are apart; 1e300 is infinity to 1e-9; no number is taken for NaN.
    assert classes(ODD).tolist() == [0, 0, 1, 2, 1, 3, 0, 4, 5, 6]


def test_classes_do_not_depend_on_the_order_of_the_rows():
    generator = np.random.default_rng(1)
    rows = ODD[generator.integers(len(ODD), size=60)]
    found, order = classes(rows), generator.permutation(60)
    again = classes(rows[order])
    same = found[order][:, None] == found[order][None]
    np.testing.assert_array_equal(same, again[:, None] == again[None])
    assert [np.flatnonzero(found == k)[0] for k in range(found.max() + 1)] == sorted(
        np.flatnonzero(found == k)[0] for k in range(found.max() + 1)
    )


def test_classes_agree_with_every_pair_compared():
    generator = np.random.default_rng(2)
    centres = generator.normal(size=(40, 12)) * 10.0 ** generator.integers(-4, 5, size=(40, 1))
    centres[:4] = np.round(centres[:4], 6)  # on the edges of a grid
    rows = centres[generator.integers(40, size=300)] + generator.uniform(-2e-10, 2e-10, size=(300, 12))
    rows[::7] = np.where(generator.random((43, 12)) < 0.2, np.nan, rows[::7])
    values = bounded(rows)
    near = np.abs(values[:, None] - values[None]).max(axis=2) <= 1e-9
    found = classes(rows)
    np.testing.assert_array_equal(near, found[:, None] == found[None])


def test_classes_of_a_chain_are_one():
    rows = np.outer(np.arange(20) * 6e-10, np.ones(5))
    assert classes(rows[::-1]).tolist() == [0] * 20
    assert classes(np.zeros((0, 3))).shape == (0,)


def test_algebraic_collects_and_names_betas_alike():
    assert algebraic(parse("x + x")) == algebraic(parse("2*x"))
    assert algebraic(parse("beta1*x + beta2")) == algebraic(parse("beta1 + beta2*x"))
    assert algebraic(parse("cos(-x)")) == algebraic(parse("cos(x)"))
    assert algebraic(parse("x - x")) == algebraic(parse("0"))
    assert algebraic(parse("beta*x")) != algebraic(parse("beta1*x + 0*beta2*x^2 + beta2"))
    with pytest.raises(ValueError, match="SymPy has no form"):
        algebraic(parse("1/0"))
