"""Rounding errors of implementations."""

import itertools

import numpy as np

from selfgated import catalog
from selfgated.plotting.style import axes_or_new

__all__ = ["BINS", "error_plot", "steps"]

BINS = 500  # of an error plot: about one for two pixels


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
    x, ax = np.asarray(x, np.float64), axes_or_new(ax)
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
    x, ax = np.asarray(x, np.float64), axes_or_new(ax)
    for (label, y), marker in zip(values.items(), itertools.cycle("os^Dv")):
        y = np.asarray(y, np.float64)
        if y.shape != x.shape:
            raise ValueError(f"values of {label!r} have shape {y.shape}, x has {x.shape}")
        ax.plot(x, y, drawstyle="steps-mid", label=label, **_look(label, marker))
    ax.set(xlabel="input z", ylabel="value")
    ax.legend()
    return ax
