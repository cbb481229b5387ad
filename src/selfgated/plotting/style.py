"""The look of the figures, and how they are written to files."""

import sys

import matplotlib as mpl
import matplotlib.pyplot as plt

__all__ = ["save", "use_style"]

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


def axes_or_new(ax):
    return plt.subplots()[1] if ax is None else ax
