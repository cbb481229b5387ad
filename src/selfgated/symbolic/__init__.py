"""The exact side of the library: every activation as a SymPy expression.

Definitions, first and second derivatives, limits, identities and extrema are exact; :func:`evaluate` turns
any of the expressions into as many correct digits as you ask for. The float kernels are tested against this
package, so it shares no formula with them.

Examples
--------
>>> from selfgated import symbolic
>>> symbolic.definition("silu")
z/(1 + exp(-z))
>>> symbolic.extrema("silu")[0].where
-1 - LambertW(exp(-1))
"""

from .analysis import COTH_FIXED_POINT, Extremum, extrema
from .evaluation import evaluate
from .expressions import NAMES, beta, definition, derivative, gate, general_gelu, kinks, mu, sigma, z
from .properties import Limits, general_gelu_limit, identities, is_identity, limits, parity

__all__ = [
    "COTH_FIXED_POINT",
    "NAMES",
    "Extremum",
    "Limits",
    "beta",
    "definition",
    "derivative",
    "evaluate",
    "extrema",
    "gate",
    "general_gelu",
    "general_gelu_limit",
    "identities",
    "is_identity",
    "kinks",
    "limits",
    "mu",
    "parity",
    "sigma",
    "z",
]
