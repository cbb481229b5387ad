"""Self-checks of assignment 12: gradients through time and through an LSTM cell, and the retention bias."""

from selfgated.checks.recurrent_networks.by_hand import (
    best_bias,
    half_life_bias,
    hump_height,
    hump_time,
    mean_age,
    memory_time,
    safe_coupling,
    second_component,
    settled_variance,
    step_factor,
)
from selfgated.checks.recurrent_networks.cells import lstm_backward, lstm_step
from selfgated.checks.recurrent_networks.lags import log_norms

__all__ = [
    "best_bias",
    "half_life_bias",
    "hump_height",
    "hump_time",
    "log_norms",
    "lstm_backward",
    "lstm_step",
    "mean_age",
    "memory_time",
    "safe_coupling",
    "second_component",
    "settled_variance",
    "step_factor",
]
