"""The figures of the book: arrays or names in, Matplotlib Axes out.

Every activation has its colour and marker from the catalog; f is solid, f' dashed, f'' dotted.
"""

import itertools
import sys

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np

from selfgated import catalog, kernels

__all__ = ["curves", "difference", "error_plot", "mark", "save", "steps", "swish_family", "use_style"]

LINESTYLES = ("-", "--", ":")
SYMBOLS = ("f", "f′", "f″")
SUFFIX = ("", "_grad", "_grad2")
POINTS = 1201
BINS = 500  # of an error plot: about one for two pixels
METADATA = {"png": {"Software": None}, "svg": {"Date": None}}

# For lines that are not activations: implementations, formulas (after Okabe and Ito, without the light ones).
COLOURS = ("#0072b2", "#007a5a", "#a0527d", "#d55e00", "#555555")
CYCLE = mpl.cycler(color=COLOURS) + mpl.cycler(linestyle=["-", "--", "-.", ":", (0, (5, 1))])
STYLE = {
    "figure.figsize": (5.6, 3.2),
    "figure.dpi": 144,
    "savefig.dpi": "figure",
    "savefig.bbox": "tight",
    "figure.facecolor": "#fdfdfc",
    "axes.facecolor": "#fdfdfc",
    "savefig.facecolor": "#fdfdfc",
    "figure.constrained_layout.use": True,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#666666",
    "axes.prop_cycle": CYCLE,
    "grid.color": "#e4e4e0",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "font.size": 10,
    "font.family": "DejaVu Sans",
    "lines.linewidth": 1.7,
    "lines.markersize": 4.5,
    "svg.hashsalt": "selfgated",
}


def use_style():
    """Set Matplotlib to the style of the book; in a notebook, make its PNG outputs reproducible too.

    Notes
    -----
    144 dots per inch are sharp on dense screens and keep a figure of curves below 60 kB. The near-white
    ground stays when a page turns dark, so that every colour keeps its contrast.
    """
    mpl.rcParams.update(STYLE)
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is not None and mpl.get_backend().lower().endswith("inline"):
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        set_matplotlib_formats("png", metadata=METADATA["png"])


def save(ax, path):
    """Write the figure of `ax` as a PNG or SVG file, the same bytes for the same figure.

    Parameters
    ----------
    ax : Axes
    path : path-like
        Ends in .png or .svg.

    Raises
    ------
    ValueError
        For another ending.
    """
    ending = str(path).rpartition(".")[2].lower()
    if ending not in METADATA:
        raise ValueError(f"cannot save as {ending!r}; choose from {list(METADATA)}")
    ax.figure.savefig(path, metadata=METADATA[ending])


def _axes(ax):
    return plt.subplots()[1] if ax is None else ax


def _check_order(order):
    if order not in (0, 1, 2):
        raise ValueError(f"order must be 0, 1 or 2, got {order!r}")
    return order


def _grid(xlim):
    low, high = map(float, xlim)
    if not (np.isfinite([low, high]).all() and low < high):
        raise ValueError(f"xlim must be two finite numbers in increasing order, got {tuple(xlim)!r}")
    return np.linspace(low, high, POINTS)


def _sampled(record, order, z, params):
    """(z, f) with a gap at each kink where this derivative jumps."""
    jumps = [k.where for k in record.kinks if record.jump <= order and z[0] < k.where < z[-1]]
    sides = [at for k in jumps for at in (np.nextafter(k, -np.inf), k, np.nextafter(k, np.inf))]
    z = np.unique(np.concatenate([z, sides]))
    return z, np.where(np.isin(z, jumps), np.nan, getattr(kernels, record.name + SUFFIX[order])(z, **params))


def curves(names, orders=(0, 1), *, xlim=(-6, 6), beta=None, ax=None):
    """Draw activations and their derivatives.

    Parameters
    ----------
    names : str or sequence of str
        Names or aliases.
    orders : sequence of {0, 1, 2}
        Which derivatives: f solid, f' dashed, f'' dotted.
    xlim : (float, float)
        Range of z.
    beta : float, optional
        Of swish, if that is among the names.
    ax : Axes, optional
        By default that of a new figure.

    Returns
    -------
    Axes
        Lines carry the colour and marker of the catalog. Where a derivative jumps the line has a gap, and a
        dot shows the value that the library returns.

    Raises
    ------
    ValueError
        For an unknown name, a bad order, range or beta.
    TypeError
        If `beta` is given without swish.
    """
    records = [catalog.get(name) for name in ([names] if isinstance(names, str) else names)]
    orders = [_check_order(order) for order in orders]
    if beta is not None and not any(record.parameter == "beta" for record in records):
        raise TypeError(f"beta={beta!r} given, but none of {[record.name for record in records]} takes it")
    grid, ax = _grid(xlim), _axes(ax)
    for i, record in enumerate(records):
        params = {"beta": beta} if beta is not None and record.parameter == "beta" else {}
        for order in orders:
            z, f = _sampled(record, order, grid, params)
            ax.plot(
                z,
                f,
                color=record.colour,
                linestyle=LINESTYLES[order],
                marker=record.marker,
                markevery=(60 + 150 * i // len(records), 150),
                label=record.title if orders == [0] else f"{record.title} {SYMBOLS[order]}",
            )
            if np.isnan(f).any():
                at = z[np.isnan(f)]
                value = getattr(kernels, record.name + SUFFIX[order])(at, **params)
                ax.plot(
                    at, value, linestyle="", marker=".", markersize=8, color=record.colour, label="_kinks"
                )
    ax.set(xlim=xlim, xlabel="pre-activation z", ylabel=", ".join(f"{SYMBOLS[order]}(z)" for order in orders))
    ax.legend()
    return ax


def swish_family(betas, *, order=0, xlim=(-6, 6), ax=None):
    """Draw Swish, or a derivative of it, for several beta: the larger beta, the lighter the line.

    Parameters
    ----------
    betas : sequence of float
        Finite.
    order : {0, 1, 2}
    xlim, ax
        As in `curves`.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        For a bad order, range or beta.
    """
    z, ax = _grid(xlim), _axes(ax)
    kernel = getattr(kernels, "swish" + SUFFIX[_check_order(order)])
    markers = [record.marker for record in catalog.ACTIVATIONS]
    # Beyond 0.65 plasma is too light for a white ground.
    colours = mpl.colormaps["plasma"](np.linspace(0, 0.65, len(betas)))
    for i, (beta, colour) in enumerate(zip(betas, colours, strict=True)):
        ax.plot(
            z,
            kernel(z, beta),
            color=colour,
            linestyle=LINESTYLES[order],
            marker=markers[(i + 1) % len(markers)],
            markevery=(40 + 150 * i // len(betas), 150),
            label=f"β = {beta:g}",
        )
    ax.set(xlim=xlim, xlabel="pre-activation z", ylabel=f"{SYMBOLS[order]}(z; β)")
    ax.legend()
    return ax


def mark(ax, x, y, text, *, offset=(14, 14)):
    """Mark a point, an extremum for instance, and write beside it.

    Parameters
    ----------
    ax : Axes
    x, y : float
        Where, in data units.
    text : str
    offset : (float, float)
        From the point to the text, in typographic points.

    Returns
    -------
    Axes
    """
    ax.plot([float(x)], [float(y)], linestyle="", marker="o", color="#222222", label="_mark", zorder=5)
    ax.annotate(
        text,
        (float(x), float(y)),
        xytext=offset,
        textcoords="offset points",
        fontsize=9,
        color="#222222",
        arrowprops={"arrowstyle": "-", "color": "#888888", "linewidth": 0.8},
    )
    return ax


def difference(name, reference, *, order=0, xlim=(-6, 6), ax=None):
    """Draw how far one activation is from another: f - g, or a derivative of it.

    Parameters
    ----------
    name, reference : str
        Names or aliases of f and g.
    order : {0, 1, 2}
    xlim, ax
        As in `curves`.

    Returns
    -------
    Axes
        One line in the colour of `name`.

    Raises
    ------
    ValueError
        For an unknown name, a bad order or range.
    """
    one, other = catalog.get(name), catalog.get(reference)
    ax = _axes(ax)
    z, _ = _sampled(one, _check_order(order), _grid(xlim), {})
    z, g = _sampled(other, order, z, {})
    z, f = _sampled(one, order, z, {})  # once more, now with the kinks of both
    ax.plot(
        z,
        f - g,
        color=one.colour,
        linestyle=LINESTYLES[order],
        marker=one.marker,
        markevery=(60, 150),
        label=f"{one.title} − {other.title}",
    )
    ax.axhline(0, color="#666666", linewidth=0.8, label="_zero")
    prime = SYMBOLS[order][1:]
    ax.set(xlim=xlim, xlabel="pre-activation z", ylabel=f"difference of f{prime}(z)")
    ax.legend()
    return ax


def _worst(x, y):
    """The largest y in each of BINS bins of x: (x there, y there), by increasing x."""
    by_x = np.argsort(x, kind="stable")
    groups = np.array_split(by_x, min(BINS, len(x)))
    index = np.array([group[np.argmax(y[group])] for group in groups], dtype=int)
    return x[index], y[index]


def error_plot(x, errors, *, ax=None, guide=0.5, floor=1e-3):
    """Draw errors in ULP on a logarithmic scale, with a line at correct rounding.

    Parameters
    ----------
    x : array_like, shape (n,)
        Inputs.
    errors : dict of str to array_like, shape (n,)
        Label to errors in ULP, not negative. A label that names an activation gets its colour.
    ax : Axes, optional
    guide : float
        Where to draw the line: 0.5 ULP is correct rounding.
    floor : float
        Smaller errors, 0 among them, are drawn here.

    Returns
    -------
    Axes
        Of more than 500 points the largest error of each of 500 groups of neighbours is drawn. Infinite
        errors, a NaN or an infinity where a number should be, are crosses along the top.

    Raises
    ------
    ValueError
        If the shapes differ, or an error is NaN or negative.
    """
    x, ax = np.asarray(x, np.float64), _axes(ax)
    errors = {label: np.asarray(values, np.float64) for label, values in errors.items()}
    for label, values in errors.items():
        if values.shape != x.shape or x.ndim != 1 or not x.size:
            raise ValueError(f"errors of {label!r} have shape {values.shape}, x has {x.shape}")
        if not (values >= 0).all():
            raise ValueError(f"errors of {label!r} hold {values[~(values >= 0)][0]}; an error is at least 0")
    finite = [values[np.isfinite(values)].max(initial=guide) for values in errors.values()]
    top = 10 * max(finite, default=guide)
    for (label, values), marker in zip(errors.items(), itertools.cycle("os^Dv")):
        at, worst = _worst(x, values)
        lost = np.isinf(worst)
        (line,) = ax.plot(
            at[~lost], np.maximum(worst[~lost], floor), linestyle="", label=label, **_look(label, marker)
        )
        if lost.any():
            ax.plot(
                at[lost], np.full(lost.sum(), top), "x", color=line.get_color(), label=f"{label}: no number"
            )
    ax.axhline(guide, color="#222222", linewidth=1, linestyle="--", label=f"{guide:g} ULP")
    ax.set(yscale="log", xlabel="input z", ylabel="error in ULP")
    ax.legend(markerscale=2)
    return ax


def _look(label, marker):
    try:
        record = catalog.get(label)
    except ValueError:
        return {"markersize": 2.5, "marker": marker}
    return {"markersize": 2.5, "color": record.colour, "marker": record.marker}


def steps(x, values, *, ax=None):
    """Draw values at neighbouring floating-point numbers as stairs.

    Parameters
    ----------
    x : array_like, shape (n,)
        Adjacent numbers of one type, or their indices, increasing.
    values : dict of str to array_like, shape (n,)
        Label to what a function returned there.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    x, ax = np.asarray(x, np.float64), _axes(ax)
    for (label, y), marker in zip(values.items(), itertools.cycle("os^Dv")):
        y = np.asarray(y, np.float64)
        if y.shape != x.shape:
            raise ValueError(f"values of {label!r} have shape {y.shape}, x has {x.shape}")
        ax.plot(x, y, drawstyle="steps-mid", label=label, **_look(label, marker))
    ax.set(xlabel="input z", ylabel="value")
    ax.legend()
    return ax
