"""Self-checks of assignment 10: borders, the price of normalisation, and honest comparisons."""

from selfgated.checks.deep_cnns.comparison import holm, interval, sign_flip_p
from selfgated.checks.deep_cnns.formulas import (
    batchnorm_chi,
    corner_fan_in,
    mean_fan_in,
    relu_batchnorm_chi,
    smallest_p,
    splits_needed,
    weight_gradient_factor,
)
from selfgated.checks.deep_cnns.padding import kept, relu_weight
from selfgated.checks.deep_cnns.record import read_record

__all__ = [
    "batchnorm_chi",
    "corner_fan_in",
    "holm",
    "interval",
    "kept",
    "mean_fan_in",
    "read_record",
    "relu_batchnorm_chi",
    "relu_weight",
    "sign_flip_p",
    "smallest_p",
    "splits_needed",
    "weight_gradient_factor",
]
