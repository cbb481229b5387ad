"""Self-checks of assignment 09: networks of sines, and a wave on a line."""

from selfgated.checks.signal_propagation.formulas import (
    edge_bias,
    edge_gap,
    edge_slope,
    edge_weight,
    sine_second,
    sine_slope_second,
    threshold_second,
    wave_second,
)
from selfgated.checks.signal_propagation.layers import dies_after, sine_layers
from selfgated.checks.signal_propagation.rule import gaussian_rule
from selfgated.checks.signal_propagation.waves import fixed_points

__all__ = [
    "dies_after",
    "edge_bias",
    "edge_gap",
    "edge_slope",
    "edge_weight",
    "fixed_points",
    "gaussian_rule",
    "sine_layers",
    "sine_second",
    "sine_slope_second",
    "threshold_second",
    "wave_second",
]
