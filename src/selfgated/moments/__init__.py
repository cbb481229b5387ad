"""Gaussian moments of an activation and its derivatives, and what mean-field theory makes of them.

With pre-activations z ~ N(0, q) all of these are integrals E f(z)^p: `quadrature` computes them,
`expectation` names them, and `mean_field` follows variances, gradients and correlations through the layers.
"""

from selfgated.moments.expectation import Gains, backward_gain, forward_gain, gains, moment
from selfgated.moments.mean_field import (
    FixedPoint,
    Propagation,
    chi,
    correlation_gap,
    edge_of_chaos,
    fixed_points,
    propagate,
    q_star,
    variance_map,
)
from selfgated.moments.quadrature import Estimate, estimate

__all__ = [
    "Estimate",
    "FixedPoint",
    "Gains",
    "Propagation",
    "backward_gain",
    "chi",
    "correlation_gap",
    "edge_of_chaos",
    "estimate",
    "fixed_points",
    "forward_gain",
    "gains",
    "moment",
    "propagate",
    "q_star",
    "variance_map",
]
