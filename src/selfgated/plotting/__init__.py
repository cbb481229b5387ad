"""The figures of the book: arrays or names in, Matplotlib Axes out.

Every activation has its colour and marker from the catalog; f is solid, f' dashed, f'' dotted.
"""

from selfgated.plotting.curves import curves, difference, mark, swish_family
from selfgated.plotting.errors import BINS, error_plot, steps
from selfgated.plotting.networks import (
    depth_profile,
    heatmap,
    histograms,
    intervals,
    training_curves,
)
from selfgated.plotting.search import best_so_far, gallery, unary_pairs, winners_curse
from selfgated.plotting.style import save, use_style

__all__ = [
    "BINS",
    "best_so_far",
    "curves",
    "depth_profile",
    "difference",
    "error_plot",
    "gallery",
    "heatmap",
    "histograms",
    "intervals",
    "mark",
    "save",
    "steps",
    "swish_family",
    "training_curves",
    "unary_pairs",
    "use_style",
    "winners_curse",
]
