"""Figures of the search: what is drawn is what was given, and strategies differ without colour."""

import matplotlib as mpl
import numpy as np
import pytest

mpl.use("Agg")
import matplotlib.pyplot as plt

from selfgated import plotting, statistics


@pytest.fixture(autouse=True)
def style():
    with mpl.rc_context():
        plotting.use_style()
        yield
    plt.close("all")


Z = np.linspace(-4, 4, 401)
SILU = Z / (1 + np.exp(-Z))
CURVES = {
    "x*sigmoid(x)": (SILU, np.gradient(SILU, Z)),
    "max(x, 0)": (np.maximum(Z, 0), (Z > 0) * 1.0),
    "beta*sin(x) + (1 - beta)*min(x, 0)": (np.sin(Z), np.cos(Z)),
}


def lines(ax):
    return {line.get_label(): line for line in ax.lines}


def test_gallery_draws_each_function_solid_and_its_slope_dashed():
    axes = plotting.gallery(Z, CURVES, columns=2)
    assert len(axes) == 3
    for ax, (f, _) in zip(axes, CURVES.values(), strict=True):
        drawn = lines(ax)
        np.testing.assert_array_equal(drawn["f"].get_xydata(), np.column_stack([Z, f]))
        assert drawn["f"].get_linestyle() == "-"
        assert drawn["f′"].get_linestyle() == "--"
        assert ax.get_xlim() == (-4, 4)
        assert ax.get_ylim() == (-2.5, 2.5)


def test_gallery_has_a_gap_where_the_slope_jumps_and_only_there():
    drawn = lines(plotting.gallery(Z, CURVES)[1])
    assert not np.isnan(drawn["f"].get_ydata()).any()
    at, slope = drawn["f′"].get_data()
    assert np.isnan(slope).sum() == 1
    assert 0 < at[np.isnan(slope)][0] < 0.02
    np.testing.assert_array_equal(slope[~np.isnan(slope)], CURVES["max(x, 0)"][1])


def test_gallery_leaves_out_what_is_not_finite():
    with np.errstate(divide="ignore"):
        pole = 1 / np.abs(Z)
    y = lines(plotting.gallery(Z, {"1/x": (pole, pole)})[0])["f"].get_ydata()
    assert not np.isinf(y).any()
    assert np.isnan(y).any()


def test_gallery_titles_hold_text_and_score():
    scores = {"max(x, 0)": (0.8262, 0.8, 0.85)}
    titles = [ax.get_title() for ax in plotting.gallery(Z, CURVES, scores=scores)]
    assert titles[0] == "x*sigmoid(x)"
    assert titles[1] == "max(x, 0)\n0.826 [0.800, 0.850]"
    assert titles[2] == "beta*sin(x)\n+ (1 - beta)*min(x, 0)"  # folded, not cut


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"curves": {}}, "no functions"),
        ({"curves": {"x": (Z, Z[:3])}}, r"f′ of 'x' has shape \(3,\), z has \(401,\)"),
        ({"curves": {"x": (Z, Z)}, "scores": {"y": (1, 1, 1)}}, r"score of 'y'; choose from \['x'\]"),
        ({"curves": {"x": (Z, Z)}, "scores": {"x": (1, 2, 3)}}, "interval of 'x': 2 <= 1 <= 3"),
    ],
)
def test_gallery_bad_input_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        plotting.gallery(Z, **arguments)


STRATEGIES = ("random", "evolution", "ppo", "softmaxes", "exhaustive", "another")


@pytest.fixture
def runs():
    rng = np.random.default_rng(0)
    return {name: np.maximum.accumulate(rng.uniform(0.7, 0.9, (20, 30)), axis=1) for name in STRATEGIES}


def test_best_so_far_draws_means_and_students_intervals(runs):
    at = np.arange(10, 301, 10)
    ax = plotting.best_so_far(at, runs)
    drawn = lines(ax)
    for name, band in zip(STRATEGIES, ax.collections, strict=True):
        np.testing.assert_array_equal(drawn[name].get_xdata(), at)
        np.testing.assert_allclose(drawn[name].get_ydata(), runs[name].mean(axis=0), rtol=1e-14)
        interval = statistics.mean_interval(runs[name][:, 4])
        y = band.get_paths()[0].vertices
        y = y[y[:, 0] == at[4], 1]
        np.testing.assert_allclose([y.min(), y.max()], interval[1:3], rtol=1e-12)


def test_best_so_far_strategies_differ_without_colour(runs):
    drawn = lines(plotting.best_so_far(np.arange(1, 31), runs))
    looks = {(str(line._dash_pattern), line.get_marker()) for line in drawn.values()}
    assert len(looks) == len(STRATEGIES)


def test_best_so_far_ceiling_and_linear_axis(runs):
    ax = plotting.best_so_far(np.arange(30), runs, ceiling=0.95, log=False)
    assert set(lines(ax)["_ceiling"].get_ydata()) == {0.95}
    assert ax.get_xscale() == "linear"


@pytest.mark.parametrize(
    ("at", "scores", "message"),
    [
        ([1, 2], {}, "no runs"),
        ([2, 1], {"random": np.zeros((3, 2))}, "must be positive and increase"),
        ([0, 1], {"random": np.zeros((3, 2))}, "must be positive and increase"),
        ([1, 2], {"random": np.zeros((3, 3))}, r"shape \(3, 3\), which should be \(seeds, 2\)"),
        ([1, 2], {"random": np.zeros((1, 2))}, r"shape \(1, 2\)"),
    ],
)
def test_best_so_far_bad_input_is_named(at, scores, message):
    with pytest.raises(ValueError, match=message):
        plotting.best_so_far(at, scores)


def test_winners_curse_marks_the_best_and_the_regression():
    rng = np.random.default_rng(1)
    true = rng.normal(0.8, 0.03, 3000)
    first, second = true + rng.normal(0, 0.03, 3000), true + rng.normal(0, 0.01, 3000)
    drawn = lines(plotting.winners_curse(first, second, top=15))
    chosen = drawn["best 15 by that repeat"]
    order = np.argsort(-first)[:15]
    np.testing.assert_array_equal(chosen.get_xydata(), np.column_stack([first, second])[order])
    mean = drawn["their mean"].get_xydata()[0]
    np.testing.assert_allclose(mean, [first[order].mean(), second[order].mean()])
    fit = next(line for label, line in drawn.items() if label.startswith("fit, slope"))
    (x0, x1), (y0, y1) = fit.get_data()
    # Half of the variance of the first score is noise.
    assert (y1 - y0) / (x1 - x0) == pytest.approx(0.5, abs=0.05)
    assert fit.get_label() == f"fit, slope {(y1 - y0) / (x1 - x0):.2f}"
    equal = drawn["no noise"].get_xydata()
    np.testing.assert_array_equal(equal[:, 0], equal[:, 1])


def test_winners_curse_leaves_out_chance():
    first, second = np.array([0.5, 0.5, 0.7, 0.8, 0.9]), np.array([0.2, 0.3, 0.7, 0.8, 0.9])
    drawn = lines(plotting.winners_curse(first, second, top=1))
    assert drawn["functions"].get_xdata().tolist() == [0.7, 0.8, 0.9]
    assert "fit, slope 1.00" in drawn


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0.7] * 4, [0.7] * 3), r"chosen_by has shape \(4,\), others has \(3,\)"),
        (([0.7] * 4, [0.7] * 4), "top is 20, and 4 functions are above 0.6"),
    ],
)
def test_winners_curse_bad_input_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        plotting.winners_curse(*arguments)


def test_unary_pairs_shows_the_table_its_names_and_marks():
    names = [f"u{k}" for k in range(25)]
    table = np.random.default_rng(2).uniform(0.5, 0.9, (25, 25))
    table[3, 4] = np.nan
    table[1, 2], table[5, 6] = 0.5, 0.9
    ax = plotting.unary_pairs(table, names, mark=[(1, 2), (5, 6)], label="best score")
    shown = ax.images[0].get_array()
    np.testing.assert_array_equal(shown.filled(-1), np.nan_to_num(table, nan=-1))
    assert [label.get_text() for label in ax.get_yticklabels()] == names
    assert ax.get_ylabel() == "u1"
    circles = ax.collections[0]
    np.testing.assert_array_equal(circles.get_offsets(), [[2, 1], [6, 5]])
    dark, light = circles.get_edgecolors()[:, 0]
    assert (dark, light) == (1.0, 0.0)  # white on dark, black on light


@pytest.mark.parametrize(
    ("table", "mark", "message"),
    [
        (np.zeros((2, 3)), (), r"shape \(2, 3\), and there are 2 names"),
        (np.zeros((2, 2)), [(0, 2)], r"mark \(0, 2\) is outside a table of 2"),
    ],
)
def test_unary_pairs_bad_input_is_named(table, mark, message):
    with pytest.raises(ValueError, match=message):
        plotting.unary_pairs(table, ["a", "b"], mark=mark)
