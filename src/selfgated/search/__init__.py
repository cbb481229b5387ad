"""Search for activation functions: the published space, scores of small networks, strategies.

The functions of the space are expression trees (`Expression`, `parse`, `Space`); `Activations` runs hundreds
of them in as many networks at once; `score` trains one small network for each.
"""

from selfgated.search import strategies
from selfgated.search.activations import Activations, evaluate
from selfgated.search.canonical import algebraic, classes, distinct, fingerprint, orbits
from selfgated.search.comparison import Difference, differences
from selfgated.search.curves import curve
from selfgated.search.evaluators import LiveEvaluator
from selfgated.search.expression import Expression
from selfgated.search.features import features
from selfgated.search.gaussian import GaussianFeatures, gaussian_features, lookalikes, mirror_groups
from selfgated.search.grammar import GrammarError, parse
from selfgated.search.loop import History, search
from selfgated.search.named import PUBLISHED, named
from selfgated.search.noise import repeats_needed
from selfgated.search.predictors import Prediction, predict
from selfgated.search.score import Scores, own_gain, run, score
from selfgated.search.space import BINARY, UNARY, Space
from selfgated.search.table import Table, locate
from selfgated.search.task import parity_pairs
from selfgated.search.trends import among_unaries, between_cores, by_binary, trends

__all__ = [
    "BINARY",
    "PUBLISHED",
    "UNARY",
    "Activations",
    "Difference",
    "Expression",
    "GaussianFeatures",
    "GrammarError",
    "History",
    "LiveEvaluator",
    "Prediction",
    "Scores",
    "Space",
    "Table",
    "algebraic",
    "among_unaries",
    "between_cores",
    "by_binary",
    "classes",
    "curve",
    "differences",
    "distinct",
    "evaluate",
    "features",
    "fingerprint",
    "gaussian_features",
    "locate",
    "lookalikes",
    "mirror_groups",
    "named",
    "orbits",
    "own_gain",
    "parity_pairs",
    "parse",
    "predict",
    "repeats_needed",
    "run",
    "score",
    "search",
    "strategies",
    "trends",
]
