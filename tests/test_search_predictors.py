"""Cheap predictors: moments against closed forms and another quadrature; what a prediction can see."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from selfgated import moments
from selfgated.search import Space, evaluate, parse
from selfgated.search.gaussian import GaussianFeatures, gaussian_features, lookalikes, mirror_groups
from selfgated.search.predictors import _auc, _folds, _r2, _top, predict

pytestmark = pytest.mark.usefixtures("one_thread")

SPACE = Space(1)


def of(text):
    found = gaussian_features([parse(text)])
    return {name: getattr(found, name).item() for name in found.names()}


ROOT = math.sqrt(2 * math.pi)
NAN = math.nan
CLOSED = {
    # mean, second, slope_second, constant, linear, quadratic, cubic, curvature
    "x": (0, 1, 1, 0, 1, 0, 0, 0),
    "x^2": (1, 3, 4, 1 / 3, 0, 1, 0, 1),
    "x^3": (0, 15, 27, 0, 9 / 15, 0, 6 / 15, 1 - 9 / 27),
    "max(x, 0)": (1 / ROOT, 0.5, 0.5, 1 / math.pi, 0.25 / (0.5 - 1 / ROOT**2), 1 / (math.pi - 1) / 2, 0, 0.5),
    "sin(x)": (
        0,
        (1 - math.exp(-2)) / 2,
        (1 + math.exp(-2)) / 2,
        0,
        2 * math.exp(-1) / (1 - math.exp(-2)),
        0,
        2 * math.exp(-1) / 6 / (1 - math.exp(-2)),
        1 - 2 * math.exp(-1) / (1 + math.exp(-2)),
    ),
    "exp(x)": (
        math.exp(0.5),
        math.exp(2),
        math.exp(2),
        math.exp(-1),
        1 / (math.e - 1),
        1 / (math.e - 1) / 2,
        1 / (math.e - 1) / 6,
        1 - math.exp(-1),
    ),
}


@pytest.mark.parametrize("text", CLOSED)
def test_features_against_closed_forms_and_grad(text):
    found = of(text)
    names = ("mean", "second", "slope_second", "constant", "linear", "quadratic", "cubic", "curvature")
    for name, expected in zip(names, CLOSED[text], strict=True):
        # The slope of ReLU jumps at 0, in the middle between two points.
        assert found[name] == pytest.approx(expected, rel=1e-6, abs=1e-6), name
    assert found["chi_he"] == pytest.approx(2 * found["slope_second"], rel=1e-12)
    assert found["chi_own"] == pytest.approx(found["slope_second"] / found["second"], rel=1e-12)


@pytest.mark.parametrize("name", ["tanh", "silu", "gelu", "mish", "sigmoid", "hard_swish"])
def test_features_of_named_functions_against_the_catalog_and_grad(name):
    found, known = of(f"{name}(x)"), moments.gains(name)
    assert found["mean"] == pytest.approx(abs(known.mean), rel=1e-4, abs=1e-9)
    assert found["second"] == pytest.approx(known.second, rel=1e-4)
    assert found["slope_second"] == pytest.approx(known.slope_second, rel=1e-3)
    assert found["chi_he"] == pytest.approx(moments.chi(name, 1.0, 2.0), rel=1e-3)


def careful(function):
    try:
        return moments.estimate(function, tol=1e-4).value
    except (ArithmeticError, ValueError):
        return math.nan


def test_features_of_core_units_against_the_careful_quadrature_and_grad():
    expressions = [SPACE.expression(SPACE.choice(i)) for i in range(11, SPACE.size, 83)]
    found = gaussian_features(expressions)
    unlike = []
    for expression, second, slope_second in zip(expressions, found.second, found.slope_second, strict=True):

        def values(z, expression=expression):
            return evaluate(expression, torch.from_numpy(z)).numpy()

        def slope(z, expression=expression):
            z = torch.from_numpy(z).requires_grad_()
            y = evaluate(expression, z)
            if not y.requires_grad:
                return np.zeros(z.shape)
            return torch.autograd.grad(y.sum(), z, materialize_grads=True)[0].numpy()

        for name, value, true in (
            ("E f^2", second, careful(values)),
            ("E f'^2", slope_second, careful(slope)),
        ):
            if math.isnan(value) or math.isnan(true):
                if not (math.isnan(value) and math.isnan(true)):
                    unlike.append((expression.text, name, value, true))
            else:
                assert abs(value - true) <= 0.01 * true + 1e-4, (expression.text, name, value, true)
    # Of 152 integrals at most 2 are thought to exist by one rule and not by the other.
    assert len(unlike) <= 2, unlike


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("sqrt(x)", {"slope_second", "chi_he", "chi_own", "curvature"}),
        ("sqrt(abs(x)) - sinh(x)", {"slope_second", "chi_he", "chi_own", "curvature"}),
        ("1/(x + eps)", set(GaussianFeatures.names())),
        ("exp(x^2)", set(GaussianFeatures.names())),
        ("1 + 0*x", {"linear", "quadratic", "cubic", "curvature"}),
        ("x - x", {"constant", "chi_own", "linear", "quadratic", "cubic", "curvature"}),
        ("log(abs(x) + eps)", set()),
        ("1/(abs(x) + eps)", set()),
        ("max(beta, erf(x))", {"linear", "quadratic", "cubic", "curvature"}),
    ],
)
def test_what_does_not_exist_is_missing_and_grad(text, missing):
    found = of(text)
    assert {name for name, value in found.items() if math.isnan(value)} == missing
    assert gaussian_features([parse(text)]).finite.tolist() == [not missing]


def test_features_do_not_depend_on_their_company():
    texts = ["x*sigmoid(x)", "1/x", "x*sigmoid(beta*x)", "exp(x^2)", "beta1*beta2", "tanh(x)"]
    together = gaussian_features([parse(text) for text in texts])
    for k, text in enumerate(texts):
        np.testing.assert_allclose(together.matrix()[k], list(of(text).values()), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(together.matrix()[0], together.matrix()[2], rtol=1e-12)
    assert len(together[together.finite]) == 4 - 1  # beta1*beta2 is a constant
    assert together[1:3].mean.shape == (2,)
    assert together[0].mean.item() == together.mean[0]
    with pytest.raises(ValueError, match="at least one expression"):
        gaussian_features([])


def test_mirror_images_and_equal_starts_have_one_group():
    texts = ["x*sigmoid(x)", "-x*sigmoid(-x)", "-(x*sigmoid(x))", "x*sigmoid(beta*x)", "tanh(x)", "x*tanh(x)"]
    groups = mirror_groups([parse(text) for text in texts])
    assert groups.tolist() == [0, 0, 0, 0, 1, 2]
    twins = mirror_groups([parse("beta*x + (1 - beta)*sin(x)"), parse("beta*sin(x) + (1 - beta)*x")])
    assert twins.tolist() == [0, 0]


def test_mirror_images_have_the_same_features():
    for text in ("x*sigmoid(x)", "exp(x) - sin(x)", "max(x, cos(x))"):
        mirrored = text.replace("x", "(-x)").replace("e(-x)p", "exp").replace("ma(-x)", "max")
        found = gaussian_features([parse(t) for t in (text, f"-({text})", mirrored, f"-({mirrored})")])
        for row in found.matrix()[1:]:
            np.testing.assert_allclose(row, found.matrix()[0], rtol=1e-9, atol=1e-12)


def test_lookalikes_against_brute_force():
    texts = ["gelu(x)", "x*sigmoid(1.702*x)", "1 - 2*gelu(-x)", "x", "sinh(x/100)", "x^2", "cosh(x/100)"]
    texts += ["max(x, 0)", "exp(20*x)", "exp(-20*x)", "max(x, tanh(x))"]
    alone = ["2 + 0*x", "1/(x - x)", "x/(x - x)"]
    expressions = [parse(text) for text in texts + alone]
    groups = lookalikes(expressions)
    z = np.random.default_rng(0).normal(size=200_000)
    f, mirrored = (
        [evaluate(e, torch.from_numpy(side)).numpy() for e in expressions[: len(texts)]] for side in (z, -z)
    )
    alike = np.array(
        [
            [max(abs(np.corrcoef([a, b, c])[0, 1:])) > 0.999 for b, c in zip(f, mirrored, strict=True)]
            for a in f
        ]
    )
    found = groups[: len(texts), None] == groups[: len(texts)]
    np.testing.assert_array_equal(found, alike)
    assert alike.sum() > len(texts)
    assert len(set(groups[-3:]) - set(groups[:-3])) == len(set(groups[-3:]))
    for bad in (0, 1, -0.5, math.nan):
        with pytest.raises(ValueError, match=f"correlation must be between 0 and 1, not {bad}"):
            lookalikes(expressions, correlation=bad)


def test_folds_never_part_a_group():
    groups = np.repeat(np.arange(57), np.arange(57) % 5 + 1)
    fold = _folds(groups, 10, 0)
    for group in range(57):
        assert len(set(fold[groups == group])) == 1
    assert set(fold) == set(range(10))
    assert np.bincount(fold[np.unique(groups, return_index=True)[1]]).tolist() == [6] * 7 + [5] * 3
    assert (_folds(groups, 10, 1) != fold).any()
    for bad in (1, 58, 0):
        with pytest.raises(ValueError, match=f"folds must be from 2 to the 57 groups, not {bad}"):
            _folds(groups, bad, 0)


def simulated(n=400, seed=0):
    """Features of noise."""
    generator = np.random.default_rng(seed)
    return GaussianFeatures(*generator.normal(size=(len(GaussianFeatures.names()), n))), generator


def test_prediction_finds_what_is_there():
    features, generator = simulated()
    score = 0.6 + 0.1 * np.tanh(2 * features.linear) + 0.01 * generator.normal(size=400)
    found = predict(features, score, groups=np.arange(400), folds=5, resamples=50)
    assert found.r2["linear"].low > 0.85
    assert found.r2["trees"].low > 0.9
    assert found.rank["trees"].low > 0.9
    assert found.trains["trees"].low > 0.95
    assert found.top["linear"].mean > 0.5
    assert found.single["linear"].mean == pytest.approx(stats.spearmanr(features.linear, score)[0], abs=1e-12)
    assert found.single["linear"].low > 0.9
    for name in set(features.names()) - {"linear"}:
        assert found.single[name].low < 0.05
        assert found.single[name].high > -0.05
    assert found.single["mean"].n == 400
    again = predict(features, score, groups=np.arange(400), folds=5, resamples=50)
    assert again.r2 == found.r2


def test_prediction_finds_nothing_where_nothing_is_even_if_groups_repeat():
    features, generator = simulated(n=60)
    groups = np.repeat(np.arange(60), 6)
    repeated = features[groups]
    score = generator.uniform(0.5, 0.9, size=60)[groups]
    found = predict(repeated, score, groups=groups, folds=5, resamples=50)
    for model in ("linear", "trees"):
        assert found.r2[model].mean < 0.15
        assert found.rank[model].low < 0.1
    # With copies on both sides the trees know them by heart: what the groups are for.
    leaking = predict(repeated, score, groups=np.arange(360), folds=5, resamples=5)
    assert leaking.r2["trees"].mean > 0.8
    # Six copies are no six observations.
    assert found.single["mean"].high - found.single["mean"].low > 2.5 / math.sqrt(60)


def test_missing_features_are_used_as_such():
    features, generator = simulated()
    missing = generator.uniform(size=400) < 0.4
    features.slope_second[missing] = np.nan
    score = np.where(missing, 0.5, 0.9) + 0.01 * generator.normal(size=400)
    found = predict(features, score, groups=np.arange(400), folds=5, resamples=20)
    assert found.r2["linear"].mean > 0.9
    assert found.r2["trees"].mean > 0.9
    assert found.single["slope_second"].n == 400 - missing.sum()


def test_measures_against_brute_force():
    generator = np.random.default_rng(0)
    guess, target = generator.integers(0, 20, 40) / 20, generator.uniform(0.5, 0.7, 40)
    good, bad = guess[target > 0.6], guess[target <= 0.6]
    pairs = [(a > b) + 0.5 * (a == b) for a in good for b in bad]
    assert _auc(guess, target) == pytest.approx(np.mean(pairs), abs=1e-12)
    assert math.isnan(_auc(guess, target + 1))
    assert _r2(np.full(40, target.mean()), target) == pytest.approx(0, abs=1e-12)
    assert _r2(target, target) == 1
    assert _top(-target, target) == 0
    assert _top(target, target) == 1


def test_ceiling_is_what_the_noise_leaves():
    features, generator = simulated(n=3000)
    true, noise = generator.normal(0.7, 0.04, 3000), generator.normal(0, 0.06, (5, 3000))
    scores = true + noise + np.array([0.0, 0.1, 0.05, -0.1, 0])[:, None]
    kept = {"groups": np.arange(3000), "folds": 2, "resamples": 0}
    expected = 0.04**2 / (0.04**2 + 0.06**2 / 5)
    assert predict(features, scores, **kept).ceiling == pytest.approx(expected, abs=0.03)
    assert math.isnan(predict(features, scores[0], **kept).ceiling)


def test_bad_arguments_are_named():
    features, _ = simulated(n=20)
    good = np.linspace(0.5, 0.9, 20)
    for scores, groups in ((good[:-1], np.arange(20)), (good, np.arange(19)), (good[:, None], np.arange(20))):
        with pytest.raises(ValueError, match="20 functions need scores of shape"):
            predict(features, scores, groups=groups)
    with pytest.raises(ValueError, match="scores must be finite"):
        predict(features, np.where(good > 0.6, math.nan, good), groups=np.arange(20))
