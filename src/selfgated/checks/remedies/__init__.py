"""Self-checks of assignment 11: skips, BatchNorm, clipping and Adam, as formulas and as code."""

from selfgated.checks.remedies.by_hand import (
    echo,
    gradient_growth,
    hidden_gradient,
    largest_branch,
    limit_growth,
    mean_square,
    pair_gradient,
    scale_slope,
    uncorrected_step,
)
from selfgated.checks.remedies.normalisation import batch_norm, batch_norm_backward
from selfgated.checks.remedies.steps import adam_step, clip_networks

__all__ = [
    "adam_step",
    "batch_norm",
    "batch_norm_backward",
    "clip_networks",
    "echo",
    "gradient_growth",
    "hidden_gradient",
    "largest_branch",
    "limit_growth",
    "mean_square",
    "pair_gradient",
    "scale_slope",
    "uncorrected_step",
]
