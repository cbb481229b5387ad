"""What networks do: profiles over depth, training curves, intervals, tables, histograms.

A label that names an activation gets its title, colour and marker; other labels take the next ones of a
fixed series. What was measured is solid, what was predicted is dashed.
"""

import itertools
import math

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np

from selfgated import catalog
from selfgated.plotting.style import COLOURS, axes_or_new

__all__ = ["depth_profile", "heatmap", "histograms", "intervals", "training_curves"]

MARKERS = "os^Dv"
MAP = "cividis"  # its lightness grows steadily, and it looks alike to readers who are colour-blind


def _looks(labels):
    """Yield (label, title, {color, marker}) with a look of its own for each label."""
    others = itertools.cycle(zip(COLOURS, MARKERS, strict=True))
    for label in labels:
        try:
            record = catalog.get(label)
        except (TypeError, ValueError):
            colour, marker = next(others)
            yield label, str(label), {"color": colour, "marker": marker}
        else:
            yield label, record.title, {"color": record.colour, "marker": record.marker}


def _legend(ax):
    """A legend inside, or beside the axes if it is long."""
    shown = [line for line in ax.get_legend_handles_labels()[1] if not line.startswith("_")]
    if len(shown) > 4:
        ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), borderaxespad=0)
    elif len(shown) > 1:
        ax.legend()


def _check_labels(given, known, what):
    for label in given or {}:
        if label not in known:
            raise ValueError(f"{what} for {label!r}; choose from {list(known)}")


def depth_profile(
    values, *, x=None, predictions=None, xlabel="layer", ylabel="gradient norm", log=True, ax=None
):
    """Draw a quantity per layer, or per time lag.

    Parameters
    ----------
    values : dict of str to array_like, shape (L,) or (seeds, L)
        Label to measured values. Of several seeds the median is the line, from the smallest to the
        largest value goes the band.
    x : array_like, shape (L,), optional
        Positions; by default 1, 2, ..., L for each label.
    predictions : dict of str to array_like, shape (L,), optional
        By the labels of `values`: dashed, in a darker shade.
    xlabel, ylabel : str
    log : bool
        Logarithmic axis. A value of 0 has no place on it: it is a cross at the bottom.
    ax : Axes, optional
        By default that of a new figure.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If shapes differ, a value is NaN, a prediction has no values, or a value is negative and `log`.

    Examples
    --------
    >>> ax = depth_profile({"sigmoid": [1e-3, 1e-2, 1e-1]}, predictions={"sigmoid": [2e-3, 1e-2, 9e-2]})
    >>> ax.get_yscale()
    'log'
    >>> plt.close(ax.figure)
    """
    ax = axes_or_new(ax)
    predictions = predictions or {}
    _check_labels(predictions, values, "prediction")
    zeros = []
    for label, title, look in _looks(values):
        runs = np.atleast_2d(np.asarray(values[label], np.float64))
        at = np.arange(1, runs.shape[-1] + 1) if x is None else np.asarray(x, np.float64)
        _check_runs(label, runs, at, log=log)
        middle = np.median(runs, axis=0)
        shown = np.where(middle > 0, middle, np.nan) if log else middle
        every = max(1, math.ceil(len(at) / 15))
        ax.plot(at, shown, "-", label=title, markevery=every, **look)
        if log and (middle == 0).any():
            zeros.append((at[middle == 0], look["color"]))
        if len(runs) > 1:
            low = runs.min(axis=0)
            low = np.where(low > 0, low, np.nan) if log else low
            ax.fill_between(at, low, runs.max(axis=0), color=look["color"], alpha=0.2, linewidth=0)
        if label in predictions:
            predicted = np.asarray(predictions[label], np.float64)
            if predicted.shape != at.shape:
                raise ValueError(f"prediction for {label!r} has shape {predicted.shape}, x has {at.shape}")
            # Darker and on top: a good prediction lies on the measured line.
            dark = [0.45 * c for c in mpl.colors.to_rgb(look["color"])]
            ax.plot(at, predicted, "--", color=dark, linewidth=1.1, zorder=4, label=f"_predicted {label}")
    ax.set(xlabel=xlabel, ylabel=ylabel, yscale="log" if log else "linear")
    ax.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True, min_n_ticks=3, steps=[1, 2, 5, 10]))
    bottom = ax.get_ylim()[0]
    for at, colour in zeros:
        ax.plot(at, np.full(len(at), bottom), "x", color=colour, clip_on=False, label="_zero")
    if zeros:
        ax.plot([], [], "x", color="#555555", label="exactly 0")
        ax.set_ylim(bottom=bottom)
    if predictions:
        ax.plot([], [], "--", color="#333333", linewidth=1.1, label="predicted")
    _legend(ax)
    return ax


def _check_runs(label, runs, at, *, log=False):
    if runs.ndim != 2 or runs.shape[-1:] != at.shape or not runs.size:
        raise ValueError(f"values of {label!r} have shape {runs.shape}, x has {at.shape}")
    if np.isnan(runs).any():
        raise ValueError(f"values of {label!r} hold NaN")
    if log and (runs < 0).any():
        raise ValueError(f"values of {label!r} hold {runs[runs < 0][0]:g}, and the axis is logarithmic")


def training_curves(step, runs, *, xlabel="step", ylabel="training loss", log=False, ax=None):
    """Draw how a quantity goes during training: the mean over seeds, and a band from lowest to highest.

    Parameters
    ----------
    step : array_like, shape (R,)
        At which steps the records were made.
    runs : dict of str to array_like, shape (R,) or (R, K)
        Label to the records of K networks. NaN, after a divergence, is left out; a line ends where
        all networks have diverged.
    xlabel, ylabel : str
    log : bool
        Logarithmic axis.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If shapes differ.
    """
    step, ax = np.asarray(step, np.float64), axes_or_new(ax)
    for label, title, look in _looks(runs):
        records = np.asarray(runs[label], np.float64)
        if records.ndim not in (1, 2) or records.shape[:1] != step.shape or not records.size:
            raise ValueError(f"records of {label!r} have shape {records.shape}, step has {step.shape}")
        records = np.ma.masked_invalid(records.reshape(len(step), -1))
        mean = records.mean(axis=1).filled(np.nan)
        ax.plot(step, mean, "-", label=title, markevery=max(1, len(step) // 8), **look)
        if records.shape[1] > 1:
            low, high = records.min(axis=1).filled(np.nan), records.max(axis=1).filled(np.nan)
            ax.fill_between(step, low, high, color=look["color"], alpha=0.18, linewidth=0)
    ax.set(xlabel=xlabel, ylabel=ylabel, yscale="log" if log else "linear")
    _legend(ax)
    return ax


def intervals(rows, *, points=None, zero=None, xlabel="difference", ax=None):
    """Draw a dot and an interval for each row, from top to bottom.

    Parameters
    ----------
    rows : dict
        Label to (mean, low, high), or to any record with these attributes. Or group to such a dict: then a
        row is a group, and each label of it has its own colour and marker.
    points : dict, optional
        As `rows`, with the single values behind each interval: small dots.
    zero : float, optional
        Draw a vertical line here: what no effect would give.
    xlabel : str
    ax : Axes, optional
        By default that of a new figure, as high as the rows need.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If there are no rows, or an interval is not low <= mean <= high.
    """
    if not rows:
        raise ValueError("no rows")
    grouped = all(isinstance(row, dict) for row in rows.values())
    groups = rows if grouped else {label: {label: row} for label, row in rows.items()}
    points = points or {}
    _check_labels(points, groups, "points")
    labels = dict.fromkeys(itertools.chain(*groups.values()))
    looks = {label: (title, look) for label, title, look in _looks(labels)}
    if ax is None:
        dots = sum(len(group) for group in groups.values()) + 0.6 * len(groups) * grouped
        ax = plt.subplots(figsize=(5.6, 0.9 + 0.24 * max(dots, 3)))[1]
    y, ticks, named = 0.0, [], set()
    for name, group in groups.items():
        first = y
        for label, interval in group.items():
            mean, low, high = _triple(interval, label)
            title, look = looks[label]
            ax.plot([low, high], [y, y], "-", color=look["color"], linewidth=1.7, label="_interval")
            ax.plot([mean], [y], linestyle="", label="_again" if title in named else title, **look)
            cloud = points.get(name, ())
            cloud = np.ravel(cloud.get(label, ()) if isinstance(cloud, dict) else cloud)
            ax.plot(
                cloud,
                np.full(len(cloud), y + 0.28),
                ".",
                color=look["color"],
                alpha=0.5,
                ms=3,
                label="_points",
            )
            named.add(title)
            y += 1
        ticks.append((first + y - 1) / 2)
        if grouped and first:
            ax.axhline(first - 0.8, color="#e4e4e0", linewidth=0.8, label="_group")
        y += 0.6 * grouped
    if zero is not None:
        ax.axvline(zero, color="#666666", linewidth=0.8, label="_zero")
    names = [_title(name) if grouped else looks[name][0] for name in groups]
    ax.set(xlabel=xlabel, ylim=(y - 0.4 - 0.6 * grouped, -0.6))
    ax.set_yticks(ticks, names)
    ax.grid(visible=False, axis="y")
    if grouped and len(looks) > 1:
        ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), borderaxespad=0)
    return ax


def _triple(interval, label):
    try:
        mean, low, high = interval.mean, interval.low, interval.high
    except AttributeError:
        mean, low, high = interval
    if not low <= mean <= high:
        raise ValueError(f"interval of {label!r}: {low} <= {mean} <= {high} does not hold")
    return float(mean), float(low), float(high)


def heatmap(table, rows, columns, *, fmt="{:.2f}", texts=None, limits=None, label="", ax=None):
    """Draw a table of numbers as coloured cells with the numbers written in them.

    Parameters
    ----------
    table : array_like, shape (n, m)
        NaN is an empty cell with a dash.
    rows, columns : sequence of str, length n and m
        Names on the left and on top. A name of an activation is replaced by its title.
    fmt : str
        Format of a number.
    texts : array_like of str, shape (n, m), optional
        To write in the cells in place of the numbers.
    limits : (float, float), optional
        Values of the darkest and lightest colour; by default the smallest and largest.
    label : str
        What the colours mean, beside their scale.
    ax : Axes, optional
        By default that of a new figure, as high as the rows need.

    Returns
    -------
    Axes
        The map is sequential and safe for colour-blind readers; a text is black or white, whichever
        has more contrast.

    Raises
    ------
    ValueError
        If shapes differ, or the limits are not increasing.
    """
    table = np.asarray(table, np.float64)
    if table.ndim != 2 or table.shape != (len(rows), len(columns)):
        raise ValueError(f"table has shape {table.shape}, its names are {len(rows)} and {len(columns)}")
    texts = [[fmt.format(v) for v in line] for line in table] if texts is None else texts
    if np.shape(texts) != table.shape:
        raise ValueError(f"texts have shape {np.shape(texts)}, the table has {table.shape}")
    finite = table[np.isfinite(table)]
    low, high = limits if limits is not None else (finite.min(initial=np.inf), finite.max(initial=-np.inf))
    if limits is not None and not low < high:
        raise ValueError(f"limits must be increasing, got {limits!r}")
    if ax is None:
        ax = plt.subplots(figsize=(min(1.6 + 0.62 * len(columns), 7), 0.8 + 0.34 * len(rows)))[1]
    norm = mpl.colors.Normalize(low, high) if low < high else mpl.colors.Normalize(low - 1, low + 1)
    image = ax.imshow(np.ma.masked_invalid(table), cmap=MAP, norm=norm, aspect="auto")
    for (i, j), value in np.ndenumerate(table):
        empty = np.isnan(value)
        colour = "#222222" if empty else _readable(image.cmap(norm(value)))
        ax.text(j, i, "–" if empty else texts[i][j], ha="center", va="center", fontsize=9, color=colour)
    ax.set_xticks(range(len(columns)), [_title(name) for name in columns])
    ax.set_yticks(range(len(rows)), [_title(name) for name in rows])
    crowded = max(map(len, map(_title, columns)), default=0) > 8
    ax.tick_params(length=0, top=False, labeltop=True, labelbottom=False)
    if crowded:
        plt.setp(ax.get_xticklabels(), rotation=35, ha="left", rotation_mode="anchor")
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    if label:
        ax.figure.colorbar(image, ax=ax, label=label, pad=0.02)
    return ax


def _title(name):
    return next(_looks([name]))[1]


def _readable(rgba):
    """Black or white, whichever has more contrast (WCAG) on this colour."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgba[:3]]
    luminance = np.dot((0.2126, 0.7152, 0.0722), linear)
    return "#000000" if (luminance + 0.05) ** 2 > 0.05 * 1.05 else "#ffffff"


def histograms(samples, *, bins=60, xlim=None, curve=None, shade=None, columns=4, xlabel="pre-activation z"):
    """Draw a histogram for each sample, as small multiples with the same axes.

    Parameters
    ----------
    samples : dict of str to array_like
        Title to numbers of any shape.
    bins : int
    xlim : (float, float), optional
        Range; by default that of the central 99.8 % of all numbers. What lies outside is not drawn, and
        still counts in the density.
    curve : callable, optional
        A density to compare with: takes and returns an array. Dashed.
    shade : (float, float), optional
        A range to shade.
    columns : int
        How many panels side by side.
    xlabel : str

    Returns
    -------
    ndarray of Axes, shape (number of samples,)

    Raises
    ------
    ValueError
        If there is no sample, or one of them is empty or not finite.
    """
    if not samples:
        raise ValueError("no samples")
    samples = {title: np.ravel(np.asarray(values, np.float64)) for title, values in samples.items()}
    for title, values in samples.items():
        if not values.size or not np.isfinite(values).all():
            raise ValueError(f"sample {title!r} is empty or holds numbers that are not finite")
    if xlim is None:
        xlim = np.quantile(np.concatenate(list(samples.values())), [0.001, 0.999])
    edges = np.linspace(*xlim, bins + 1)
    columns = min(columns, len(samples))
    lines = math.ceil(len(samples) / columns)
    size = (min(1.7 * columns + 0.4, 7), 1.35 * lines + 0.5)
    figure, grid = plt.subplots(lines, columns, sharex=True, sharey=True, squeeze=False, figsize=size)
    axes = grid.ravel()[: len(samples)]
    for ax, (label, title, look) in zip(axes, _looks(samples), strict=True):
        counts, _ = np.histogram(samples[label], edges)
        density = counts / (samples[label].size * np.diff(edges))
        colour = look["color"] if title != str(label) else COLOURS[0]
        ax.stairs(density, edges, fill=True, color=colour, alpha=0.7)
        if curve is not None:
            middle = (edges[1:] + edges[:-1]) / 2
            ax.plot(middle, curve(middle), "--", color="#222222", linewidth=1)
        if shade is not None:
            ax.axvspan(*shade, color="#999999", alpha=0.25, linewidth=0, zorder=0)
        ax.set_title(title, fontsize=9)
    for ax in grid.ravel()[len(samples) :]:
        ax.set_axis_off()
    for ax in axes[-columns:]:
        ax.tick_params(labelbottom=True)
    figure.supxlabel(xlabel, fontsize=10)
    figure.supylabel("density", fontsize=10)
    return axes
