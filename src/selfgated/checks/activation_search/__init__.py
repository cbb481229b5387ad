"""Self-checks of assignment 15: equal functions, strategies by hand and in code, noise and luck."""

from selfgated.checks.activation_search.by_hand import (
    balanced_bonus,
    better,
    expected_truth,
    lucky_children,
    mean_rank,
    one_core,
    one_of_two,
    two_cores,
)
from selfgated.checks.activation_search.equality import classes
from selfgated.checks.activation_search.learners import advantages, evolve, ppo
from selfgated.checks.activation_search.noise import components, winners_curse

__all__ = [
    "advantages",
    "balanced_bonus",
    "better",
    "classes",
    "components",
    "evolve",
    "expected_truth",
    "lucky_children",
    "mean_rank",
    "one_core",
    "one_of_two",
    "ppo",
    "two_cores",
    "winners_curse",
]
