"""Activations and their derivatives."""

import matplotlib as mpl
import numpy as np

from selfgated import catalog, kernels
from selfgated.plotting.style import axes_or_new

__all__ = ["curves", "difference", "mark", "swish_family"]

LINESTYLES = ("-", "--", ":")
SYMBOLS = ("f", "f′", "f″")
SUFFIX = ("", "_grad", "_grad2")
POINTS = 1201


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
    grid, ax = _grid(xlim), axes_or_new(ax)
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
    z, ax = _grid(xlim), axes_or_new(ax)
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
    ax = axes_or_new(ax)
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
