"""The search: the functions found, progress of strategies, the winner's curse, pairs of unaries."""

import itertools
import math

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np

from selfgated.plotting.networks import MAP, _legend, _looks, _triple
from selfgated.plotting.style import COLOURS, axes_or_new
from selfgated.statistics import mean_interval

__all__ = ["best_so_far", "gallery", "unary_pairs", "winners_curse"]

F, SLOPE = COLOURS[0], COLOURS[3]
STEEPEST = 15.0  # a step from one point to the next that is steeper than this is a jump
LINESTYLES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)))


def gallery(z, curves, *, scores=None, columns=4, ylim=(-2.5, 2.5)):
    """Draw functions as small multiples with the same axes: f solid, f' dashed.

    Parameters
    ----------
    z : array_like, shape (m,)
        Increasing.
    curves : dict of str to (array_like, array_like), shape (m,) each
        Text of a function to its values and its slopes, as `selfgated.search.curve` gives them. A line has a
        gap where it is steeper than 15: there it jumps, or has a pole.
    scores : dict of str to (float, float, float), optional
        By the same texts mean, low and high end of an interval: written below the text.
    columns : int
        How many panels side by side.
    ylim : (float, float)
        What lies outside is not drawn.

    Returns
    -------
    ndarray of Axes, shape (number of functions,)

    Raises
    ------
    ValueError
        If there are no functions, shapes differ, or a score has no function.
    """
    z = np.asarray(z, dtype=float)
    if not curves:
        raise ValueError("no functions")
    for text in scores or {}:
        if text not in curves:
            raise ValueError(f"score of {text!r}; choose from {list(curves)}")
    columns = min(columns, len(curves))
    lines = math.ceil(len(curves) / columns)
    size = (min(1.85 * columns + 0.3, 7.4), 1.75 * lines + 0.4)
    figure, grid = plt.subplots(lines, columns, sharex=True, sharey=True, squeeze=False, figsize=size)
    axes = grid.ravel()[: len(curves)]
    for ax, (text, pair) in zip(axes, curves.items(), strict=True):
        for y, colour, style, label in zip(pair, (F, SLOPE), ("-", "--"), ("f", "f′"), strict=True):
            y = np.asarray(y, dtype=float)
            if y.shape != z.shape:
                raise ValueError(f"{label} of {text!r} has shape {y.shape}, z has {z.shape}")
            ax.plot(*_broken(z, y), style, color=colour, linewidth=1.4, label=label)
        ax.axhline(0, color="#999999", linewidth=0.6, zorder=1, label="_zero")
        title = text if len(text) <= 24 else _folded(text)
        if scores and text in scores:
            mean, low, high = _triple(scores[text], text)
            title += f"\n{mean:.3f} [{low:.3f}, {high:.3f}]"
        ax.set_title(title, fontsize=7)
        ax.tick_params(labelsize=8)
    axes[0].set(xlim=(z[0], z[-1]), ylim=ylim)
    for ax in grid.ravel()[len(curves) :]:
        ax.set_axis_off()
    for ax in axes[-columns:]:
        ax.tick_params(labelbottom=True)
    figure.supxlabel("pre-activation z", fontsize=10)
    handles = axes[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper right", ncols=2, fontsize=9)
    return axes


def _broken(z, y):
    """z and y with a gap where y is steeper than `STEEPEST` between two points, or not finite."""
    y = np.where(np.isfinite(y), y, np.nan)
    at = np.flatnonzero(np.abs(np.diff(y)) > STEEPEST * np.diff(z)) + 1
    return np.insert(z, at, (z[at - 1] + z[at]) / 2), np.insert(y, at, np.nan)


def _folded(text):
    """The text in two lines, broken near the middle and, if possible, outside parentheses."""
    depths = list(itertools.accumulate((char == "(") - (char == ")") for char in text))
    inside = range(1, len(text) - 1)
    places = [i for i in inside if text[i] in "*/" or text[i : i + 3] in (" + ", " - ") or text[i - 1] == ","]
    if not places:
        return text
    at = min(places, key=lambda i: (depths[i] > 0, abs(i - len(text) / 2)))
    return text[:at].rstrip() + "\n" + text[at:].lstrip()


def best_so_far(
    evaluations,
    runs,
    *,
    ceiling=None,
    log=True,
    xlabel="evaluations",
    ylabel="score of the best so far",
    ax=None,
):
    """Draw how the best function of a search improves: the mean over seeds, and an interval for that mean.

    Parameters
    ----------
    evaluations : array_like, shape (m,)
        Numbers of evaluations, increasing.
    runs : dict of str to array_like, shape (seeds, m)
        Strategy to scores, at least 2 seeds each. The band is Student's 95 % interval.
    ceiling : float, optional
        A horizontal line: what the whole space would give.
    log : bool
        Logarithmic number of evaluations.
    xlabel, ylabel : str
    ax : Axes, optional

    Returns
    -------
    Axes
        Each strategy has its own colour, marker and kind of line.

    Raises
    ------
    ValueError
        If there are no runs, shapes differ, or the numbers of evaluations do not increase.
    """
    at, ax = np.asarray(evaluations, dtype=float), axes_or_new(ax)
    if at.ndim != 1 or (np.diff(at) <= 0).any() or (log and (at <= 0).any()):
        raise ValueError(f"evaluations must be positive and increase, got {evaluations!r}")
    if not runs:
        raise ValueError("no runs")
    styles = itertools.cycle(LINESTYLES)
    for place, ((label, title, look), style) in enumerate(zip(_looks(runs), styles, strict=False)):
        scores = np.asarray(runs[label], dtype=float)
        if scores.ndim != 2 or scores.shape[1:] != at.shape or len(scores) < 2:
            raise ValueError(
                f"runs of {label!r} have shape {scores.shape}, which should be (seeds, {at.size})"
            )
        mean, low, high = np.array([mean_interval(column)[:3] for column in scores.T]).T
        every = max(1, at.size // 7)
        # Markers at places of their own, so that lines that lie on each other still show theirs.
        mark = (place * every // len(runs), every)
        ax.plot(at, mean, linestyle=style, markevery=mark, label=title, **look)
        ax.fill_between(at, low, high, color=look["color"], alpha=0.18, linewidth=0)
    if ceiling is not None:
        ax.axhline(ceiling, color="#666666", linewidth=0.8, label="_ceiling")
    ax.set(xlabel=xlabel, ylabel=ylabel, xscale="log" if log else "linear")
    if log:
        ax.xaxis.set_major_formatter(mpl.ticker.StrMethodFormatter("{x:g}"))
    _legend(ax)
    return ax


def winners_curse(
    chosen_by,
    others,
    *,
    top=20,
    above=0.6,
    xlabel="score by one repeat",
    ylabel="mean of the others",
    ax=None,
):
    """Draw each function's score by the repeat that chooses against its mean on the others.

    Parameters
    ----------
    chosen_by, others : array_like, shape (n,)
        Scores of the same functions.
    top : int
        How many are chosen: filled dots, and a cross at their mean.
    above : float
        The fit, and the axes, take the functions with a higher `chosen_by`.
    xlabel, ylabel : str
    ax : Axes, optional

    Returns
    -------
    Axes
        Solid: no noise, both scores equal. Dashed: least squares; its slope below 1 is the regression to the
        mean.

    Raises
    ------
    ValueError
        For shapes that differ, or fewer than `top` functions above.
    """
    first, second = np.asarray(chosen_by, dtype=float), np.asarray(others, dtype=float)
    if first.ndim != 1 or first.shape != second.shape:
        raise ValueError(f"chosen_by has shape {first.shape}, others has {second.shape}")
    shown = first > above
    if not 1 <= top <= shown.sum() or shown.sum() < 3:
        raise ValueError(f"top is {top!r}, and {shown.sum()} functions are above {above}")
    ax = plt.subplots(figsize=(4.6, 4.2))[1] if ax is None else ax
    best = np.argsort(-first, kind="stable")[:top]
    ax.plot(first[shown], second[shown], ".", color="#555555", alpha=0.25, ms=3, label="functions")
    ax.plot(first[best], second[best], "o", color=COLOURS[0], ms=4, label=f"best {top} by that repeat")
    ax.plot(
        first[best].mean(),
        second[best].mean(),
        "x",
        color=COLOURS[3],
        ms=12,
        mew=3,
        zorder=5,
        label="their mean",
    )
    ends = np.array([above, first.max()])
    slope, start = np.polyfit(first[shown], second[shown], 1)
    ax.plot(ends, ends, "-", color="#333333", linewidth=1, label="no noise")
    ax.plot(
        ends, start + slope * ends, "--", color=COLOURS[2], linewidth=1.7, label=f"fit, slope {slope:.2f}"
    )
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), borderaxespad=0)
    return ax


def unary_pairs(table, names, *, mark=(), limits=None, label="mean score", ax=None):
    """Draw a score for each pair of unaries as a map.

    Parameters
    ----------
    table : array_like, shape (n, n)
        By u1 and u2: the mean over the binaries, or the best. NaN is left white.
    names : sequence of str, length n
    mark : sequence of (int, int)
        Cells with an open circle.
    limits : (float, float), optional
        Values of the darkest and the lightest colour.
    label : str
        What the colours mean.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If the table is not square with a name for each row, or a mark is outside.
    """
    table = np.asarray(table, dtype=float)
    n = len(names)
    if table.shape != (n, n):
        raise ValueError(f"table has shape {table.shape}, and there are {n} names")
    for cell in mark:
        if not all(0 <= place < n for place in cell):
            raise ValueError(f"mark {cell!r} is outside a table of {n} rows and columns")
    ax = plt.subplots(figsize=(7, 6.2))[1] if ax is None else ax
    low, high = limits if limits is not None else (None, None)
    image = ax.imshow(np.ma.masked_invalid(table), cmap=MAP, vmin=low, vmax=high)
    if mark:
        rows, columns = np.transpose(mark)
        # White on the dark half of the map, black on the light one.
        shade = np.asarray(image.norm(table[rows, columns]), dtype=float)
        edges = np.where(np.nan_to_num(shade, nan=1.0) > 0.5, "#000000", "#ffffff")
        ax.scatter(columns, rows, s=34, facecolors="none", edgecolors=edges, linewidths=1.4)
    ax.set_xticks(range(n), names, rotation=90, fontsize=7)
    ax.set_yticks(range(n), names, fontsize=7)
    ax.set(xlabel="u2", ylabel="u1")
    ax.tick_params(length=0)
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    ax.figure.colorbar(image, ax=ax, label=label, pad=0.02)
    return ax
