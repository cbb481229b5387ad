import hashlib

import matplotlib as mpl
import numpy as np
import pytest

mpl.use("Agg")
import matplotlib.pyplot as plt

from selfgated import catalog, kernels, plotting


@pytest.fixture(autouse=True)
def style():
    with mpl.rc_context():
        plotting.use_style()
        yield
    plt.close("all")


def lines(ax):
    return {line.get_label(): line for line in ax.lines}


def test_use_style_sets_ground_and_resolution():
    assert mpl.rcParams["axes.facecolor"] == mpl.rcParams["savefig.facecolor"] == "#fdfdfc"
    assert mpl.rcParams["figure.dpi"] == 144


@pytest.mark.parametrize("name", catalog.names())
def test_curves_show_the_kernels_in_the_catalog_look(name):
    record = catalog.get(name)
    drawn = lines(plotting.curves(name, orders=(0, 1, 2)))
    for order, (suffix, symbol) in enumerate(zip(("", "_grad", "_grad2"), ["f", "f′", "f″"], strict=True)):
        line = drawn[f"{record.title} {symbol}"]
        z, y = line.get_data()
        shown = ~np.isnan(y)
        np.testing.assert_array_equal(y[shown], getattr(kernels, name + suffix)(z)[shown])
        assert (z[0], z[-1]) == (-6, 6)
        assert line.get_color() == record.colour
        assert line.get_marker() == record.marker
        assert line.get_linestyle() == ("-", "--", ":")[order]


def test_curves_leave_a_gap_and_a_dot_where_the_slope_jumps():
    ax = plotting.curves("h-swish", orders=(0, 1))
    drawn = lines(ax)
    assert not np.isnan(drawn["h-swish f"].get_ydata()).any()
    z, slope = drawn["h-swish f′"].get_data()
    assert list(z[np.isnan(slope)]) == [-3, 3]
    np.testing.assert_array_equal(drawn["_kinks"].get_xydata(), [[-3, 0], [3, 1]])


def test_curves_gap_of_elu_only_in_the_second_derivative():
    drawn = lines(plotting.curves("elu", orders=(1, 2)))
    assert not np.isnan(drawn["ELU f′"].get_ydata()).any()
    assert np.isnan(drawn["ELU f″"].get_ydata()).sum() == 1


def test_curves_beta_reaches_swish_alone():
    drawn = lines(plotting.curves(["swish", "gelu"], orders=(0,), beta=3.0))
    z, y = drawn["Swish"].get_data()
    np.testing.assert_array_equal(y, kernels.swish(z, 3.0))
    np.testing.assert_array_equal(drawn["GELU"].get_ydata(), kernels.gelu(z))


def test_curves_draw_on_the_axes_given_with_lowercase_labels():
    ax = plt.subplots()[1]
    assert plotting.curves("mish", ax=ax) is ax
    assert ax.get_xlabel() == "pre-activation z"
    assert ax.get_ylabel() == "f(z), f′(z)"


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"names": "gleu"}, ValueError, "unknown activation 'gleu'"),
        ({"names": "gelu", "orders": (3,)}, ValueError, "order must be 0, 1 or 2, got 3"),
        ({"names": "gelu", "xlim": (1, 1)}, ValueError, r"xlim must be .* got \(1, 1\)"),
        ({"names": "gelu", "xlim": (0, np.inf)}, ValueError, "xlim must be two finite numbers"),
        ({"names": "gelu", "beta": 2.0}, TypeError, r"beta=2.0 given, but none of \['gelu'\] takes it"),
        ({"names": "swish", "beta": np.nan}, ValueError, "beta must be finite"),
    ],
)
def test_curves_bad_input_is_named(given, error, message):
    with pytest.raises(error, match=message):
        plotting.curves(**given)


@pytest.mark.parametrize("order", [0, 1])
def test_swish_family_one_line_for_each_beta(order):
    betas = (0, 0.5, 1, 1.702, 10)
    drawn = lines(plotting.swish_family(betas, order=order))
    assert list(drawn) == ["β = 0", "β = 0.5", "β = 1", "β = 1.702", "β = 10"]
    for line, beta in zip(drawn.values(), betas, strict=True):
        kernel = kernels.swish_grad if order else kernels.swish
        np.testing.assert_array_equal(line.get_ydata(), kernel(line.get_xdata(), beta))
    assert len({line.get_marker() for line in drawn.values()}) == len(betas)
    assert len({mpl.colors.to_hex(line.get_color()) for line in drawn.values()}) == len(betas)


def test_mark_puts_dot_and_text():
    ax = plotting.mark(plotting.curves("mish"), -1.19, -0.31, "lowest")
    np.testing.assert_array_equal(lines(ax)["_mark"].get_xydata(), [[-1.19, -0.31]])
    assert [(note.get_text(), note.xy) for note in ax.texts] == [("lowest", (-1.19, -0.31))]


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize(
    ("name", "reference"),
    [("hard_swish", "silu"), ("silu", "hard_swish"), ("relu6", "hard_swish"), ("gelu", "mish")],
)
def test_difference_of_kernels(name, reference, order):
    line = plotting.difference(name, reference, order=order, xlim=(-5, 7)).lines[0]
    z, y = line.get_data()
    suffix = ("", "_grad", "_grad2")[order]
    exact = getattr(kernels, name + suffix)(z) - getattr(kernels, reference + suffix)(z)
    shown = ~np.isnan(y)
    np.testing.assert_array_equal(y[shown], exact[shown])
    kinks = {k.where for r in map(catalog.get, (name, reference)) for k in r.kinks if r.jump <= order}
    assert set(z[~shown]) == kinks
    assert line.get_color() == catalog.get(name).colour


def test_error_plot_keeps_the_worst_and_draws_the_guide():
    x = np.linspace(-5, 5, 20_000)
    errors = np.full(x.size, 0.2)
    errors[1234] = 77.0
    ax = plotting.error_plot(x, {"gelu": errors, "naive": errors * 2})
    drawn = lines(ax)
    assert ax.get_yscale() == "log"
    assert drawn["gelu"].get_color() == catalog.get("gelu").colour
    assert drawn["naive"].get_ydata().max() == 154
    at, shown = drawn["gelu"].get_data()
    assert shown.size <= plotting.BINS
    assert at[np.argmax(shown)] == x[1234]
    assert set(drawn["0.5 ULP"].get_ydata()) == {0.5}


def test_error_plot_shows_zero_at_the_floor_and_infinity_on_top():
    drawn = lines(plotting.error_plot([1.0, 2.0, 3.0], {"naive": [0.0, 4.0, np.inf]}))
    np.testing.assert_array_equal(drawn["naive"].get_xydata(), [[1, 1e-3], [2, 4]])
    np.testing.assert_array_equal(drawn["naive: no number"].get_xydata(), [[3, 40]])


@pytest.mark.parametrize(
    ("errors", "message"),
    [
        ([1.0], r"errors of 'naive' have shape \(1,\), x has \(2,\)"),
        ([1.0, np.nan], "errors of 'naive' hold nan"),
        ([1.0, -2.0], "errors of 'naive' hold -2.0"),
    ],
)
def test_error_plot_bad_input_is_named(errors, message):
    with pytest.raises(ValueError, match=message):
        plotting.error_plot([1.0, 2.0], {"naive": errors})


def test_steps_draws_stairs():
    z = np.float32(-0.75) + np.arange(5, dtype=np.float32) * np.float32(2**-24)
    drawn = lines(plotting.steps(z, {"gelu": kernels.gelu(z), "torch": kernels.gelu(z) * 2}))
    np.testing.assert_array_equal(drawn["gelu"].get_xdata(), z)
    np.testing.assert_array_equal(drawn["gelu"].get_ydata(), kernels.gelu(z))
    assert drawn["torch"].get_drawstyle() == "steps-mid"
    with pytest.raises(ValueError, match="values of 'ours' have shape"):
        plotting.steps(z, {"ours": [1.0]})


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_save_is_deterministic_and_small(tmp_path, ending):
    sums = set()
    for i in range(2):
        path = tmp_path / f"{i}.{ending}"
        plotting.save(plotting.curves(["silu", "gelu", "mish", "hard_swish"]), path)
        sums.add(hashlib.sha256(path.read_bytes()).hexdigest())
        assert ending == "svg" or path.stat().st_size < 60_000
    assert len(sums) == 1


def test_save_other_ending_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"cannot save as 'pdf'; choose from \['png', 'svg'\]"):
        plotting.save(plotting.curves("mish"), tmp_path / "figure.pdf")


def test_depth_profile_draws_measured_solid_and_predicted_dashed():
    values, predicted = [1e-6, 1e-3, 1.0], [2e-6, 1e-3, 0.5]
    ax = plotting.depth_profile({"sigmoid": values, "vp": values}, predictions={"sigmoid": predicted})
    drawn, record = lines(ax), catalog.get("sigmoid")
    np.testing.assert_array_equal(drawn["Sigmoid"].get_xydata(), np.column_stack([[1, 2, 3], values]))
    assert (drawn["Sigmoid"].get_color(), drawn["Sigmoid"].get_marker()) == (record.colour, record.marker)
    assert drawn["Sigmoid"].get_linestyle() == "-"
    np.testing.assert_array_equal(drawn["_predicted sigmoid"].get_ydata(), predicted)
    assert drawn["_predicted sigmoid"].get_linestyle() == "--"
    assert drawn["vp"].get_color() not in {r.colour for r in catalog.ACTIVATIONS}
    assert ax.get_yscale() == "log"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("layer", "gradient norm")


def test_depth_profile_of_seeds_is_their_median_and_their_range():
    runs = np.array([[1.0, 4.0], [2.0, 5.0], [9.0, 6.0]])
    ax = plotting.depth_profile({"tanh": runs}, x=[10, 20], log=False)
    np.testing.assert_array_equal(lines(ax)["Tanh"].get_xydata(), [[10, 2], [20, 5]])
    corners = ax.collections[0].get_paths()[0].vertices
    assert {tuple(c) for c in corners} == {(10, 1), (20, 4), (20, 6), (10, 9)}


def test_depth_profile_zero_is_a_cross_at_the_bottom():
    ax = plotting.depth_profile({"sigmoid": [0.0, 1e-30, 1e-10]})
    assert list(np.isnan(lines(ax)["Sigmoid"].get_ydata())) == [True, False, False]
    assert lines(ax)["_zero"].get_xdata() == [1]
    assert lines(ax)["_zero"].get_ydata() == [ax.get_ylim()[0]]
    assert "exactly 0" in [text.get_text() for text in ax.get_legend().get_texts()]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"values": {"a": [1.0, 2.0]}, "x": [1]}, r"values of 'a' have shape \(1, 2\), x has \(1,\)"),
        ({"values": {"a": [1.0, np.nan]}}, "values of 'a' hold NaN"),
        ({"values": {"a": [1.0, -2.0]}}, "values of 'a' hold -2"),
        ({"values": {"a": [1.0]}, "predictions": {"b": [1.0]}}, r"prediction for 'b'; choose from \['a'\]"),
        ({"values": {"a": [1.0]}, "predictions": {"a": [1.0, 2.0]}}, r"prediction for 'a' has shape \(2,\)"),
    ],
)
def test_depth_profile_bad_input_is_named(given, message):
    with pytest.raises(ValueError, match=message):
        plotting.depth_profile(**given)


def test_training_curves_mean_and_band_leave_diverged_networks_out():
    runs = np.array([[1.0, 3.0], [1.0, np.nan], [np.nan, np.nan]])
    ax = plotting.training_curves([0, 10, 20], {"relu": runs})
    np.testing.assert_array_equal(lines(ax)["ReLU"].get_ydata(), [2, 1, np.nan])
    assert ax.collections[0].get_paths()[0].get_extents().ymax == 3
    with pytest.raises(ValueError, match=r"records of 'relu' have shape \(3, 2\), step has \(2,\)"):
        plotting.training_curves([0, 1], {"relu": runs})


def test_intervals_one_row_each_from_the_top():
    rows = {"silu": (0.5, 0.3, 0.7), "gelu": (0.1, -0.1, 0.3)}
    ax = plotting.intervals(rows, zero=0, points={"gelu": [0.0, 0.2]})
    bars = [line for line in ax.lines if line.get_label() == "_interval"]
    np.testing.assert_array_equal([bar.get_xdata() for bar in bars], [[0.3, 0.7], [-0.1, 0.3]])
    assert [text.get_text() for text in ax.get_yticklabels()] == ["SiLU (Swish-1)", "GELU"]
    assert ax.yaxis_inverted()
    assert lines(ax)["GELU"].get_color() == catalog.get("gelu").colour
    assert list(lines(ax)["_zero"].get_xdata()) == [0, 0]
    np.testing.assert_array_equal(lines(ax)["_points"].get_xdata(), [0, 0.2])


def test_intervals_in_groups_share_looks_by_label():
    one = {"default": (1, 0, 2), "own": (3, 2, 4)}
    ax = plotting.intervals({"relu": one, "mish": one})
    assert [text.get_text() for text in ax.get_yticklabels()] == ["ReLU", "Mish"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["default", "own"]
    dots = [line for line in ax.lines if line.get_marker() in ("o", "s")]
    colours = [line.get_color() for line in dots]
    assert colours[0] == colours[2] != colours[1] == colours[3]
    heights = [line.get_ydata()[0] for line in dots]
    assert sorted(set(heights)) == heights


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"rows": {}}, "no rows"),
        ({"rows": {"a": (1, 2, 3)}}, "interval of 'a': 2 <= 1 <= 3 does not hold"),
        ({"rows": {"a": (np.nan, 2, 3)}}, "interval of 'a'"),
        ({"rows": {"a": (1, 0, 3)}, "points": {"b": [1]}}, r"points for 'b'; choose from \['a'\]"),
    ],
)
def test_intervals_bad_input_is_named(given, message):
    with pytest.raises(ValueError, match=message):
        plotting.intervals(**given)


def test_heatmap_writes_readable_numbers():
    table = np.array([[0.0, 0.5, 1.0], [np.nan, 0.25, 0.75]])
    ax = plotting.heatmap(table, ["silu", "other"], ["a", "b", "c"], limits=(0, 1))
    assert [text.get_text() for text in ax.texts] == ["0.00", "0.50", "1.00", "–", "0.25", "0.75"]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["SiLU (Swish-1)", "other"]
    image = ax.images[0]
    for text, value in zip(ax.texts, table.ravel(), strict=True):
        if np.isfinite(value):
            pair = [text.get_color(), mpl.colors.to_hex(image.cmap(image.norm(value)))]
            assert contrast(*pair) > 4.5, pair


def contrast(one, other):
    def luminance(colour):
        c = np.array(mpl.colors.to_rgb(colour))
        return (0.2126, 0.7152, 0.0722) @ np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)

    dark, light = sorted([luminance(one), luminance(other)])
    return (light + 0.05) / (dark + 0.05)


def test_heatmap_of_equal_numbers_and_own_texts():
    ax = plotting.heatmap([[0.1, 0.1]], ["x"], ["a", "b"], texts=[["no", "yes"]])
    assert [text.get_text() for text in ax.texts] == ["no", "yes"]
    assert ax.images[0].norm(0.1) == 0.5


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"table": [[1.0]], "rows": ["a", "b"], "columns": ["c"]}, r"table has shape \(1, 1\), .* 2 and 1"),
        ({"table": [[1.0]], "rows": ["a"], "columns": ["c"], "texts": ["x"]}, "texts have shape"),
        ({"table": [[1.0]], "rows": ["a"], "columns": ["c"], "limits": (1, 0)}, r"limits .* got \(1, 0\)"),
    ],
)
def test_heatmap_bad_input_is_named(given, message):
    with pytest.raises(ValueError, match=message):
        plotting.heatmap(**given)


def test_histograms_are_densities_on_shared_axes():
    samples = {"layer 1": np.arange(8) + 0.5, "layer 2": np.arange(4) + 0.5}
    axes = plotting.histograms(samples, bins=4, xlim=(0, 4), curve=lambda z: 0 * z + 0.5, shade=(-5, 0))
    densities = [ax.patches[0].get_data().values for ax in axes]
    np.testing.assert_array_equal(densities, [[1 / 8] * 4, [1 / 4] * 4])
    assert [ax.get_title() for ax in axes] == ["layer 1", "layer 2"]
    assert set(axes[1].lines[0].get_ydata()) == {0.5}
    plain = plotting.histograms(samples, bins=4, xlim=(0, 4))
    assert plain[0].get_ylim() == plain[1].get_ylim()
    with pytest.raises(ValueError, match="sample 'a' is empty or holds numbers that are not finite"):
        plotting.histograms({"a": [np.inf]})
    with pytest.raises(ValueError, match="no samples"):
        plotting.histograms({})
