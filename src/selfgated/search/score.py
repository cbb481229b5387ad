"""The score of a candidate: the accuracy of a small child network on a task that needs a nonlinearity."""

import math
from typing import NamedTuple

import numpy as np
import torch

from selfgated import init, train
from selfgated.models import MLP
from selfgated.search.activations import Activations, evaluate
from selfgated.search.grammar import parse
from selfgated.search.task import parity_pairs
from selfgated.stacked import positive

__all__ = ["CHANCE", "GAINS", "Scores", "own_gain", "run", "score"]

CHANCE = 0.5
GAINS = ("he", "own")
HE = math.sqrt(2)


class Scores(NamedTuple):
    """Of K children, (K,) each.

    `accuracy` is 0.5, that of a coin, for a child that diverged, and `diverged_at` is the step where it did,
    or -1. `loss` is the cross-entropy on the same pairs in nats, nan for a child that diverged.
    """

    accuracy: np.ndarray
    loss: np.ndarray
    diverged_at: np.ndarray

    def row(self):
        """A dict of lists, as JSON takes them: None for nan."""
        return {
            "accuracy": self.accuracy.tolist(),
            "loss": [float(value) if math.isfinite(value) else None for value in self.loss],
            "diverged_at": self.diverged_at.tolist(),
        }


def score(
    expressions,
    *,
    seed,
    part="validation",
    gain="he",
    width=24,
    depth=3,
    steps=250,
    lr=0.005,
    batch_size=64,
    device="auto",
):
    """Train one child network for each candidate, all of them as one, and test it.

    A child is an MLP with `depth` hidden layers of `width` units, trained by Adam on `parity_pairs`. With one
    seed all children start from the same random numbers and see the same batches, so that their scores are
    paired; another seed draws other pairs, weights and batches.

    Parameters
    ----------
    expressions : sequence of Expression or str, length K
    seed : int
        From 0 on.
    part : {"validation", "test"}
        What the score is measured on, see `parity_pairs`.
    gain : {"he", "own"}
        Standard deviation of the hidden weights times sqrt(fan_in): He's sqrt(2), which is ReLU's own, for
        all; or each candidate's own, see `own_gain`.
    width, depth, steps, batch_size : int
    lr : float
    device : str
        See `train.resolve_device`.

    Returns
    -------
    Scores

    Raises
    ------
    ValueError
        For a bad argument, no expression, or a text that is none.
    TypeError
        For what is neither an Expression nor a text.
    KeyboardInterrupt
        At Ctrl-C, after the step that was under way.

    Notes
    -----
    All linear maps, the first and the head among them, start He-normal with gain sqrt(2); with "own" the
    first has gain 1, the other hidden ones each candidate's, and the head sqrt(2).

    A child is trained as if it were alone: on a CPU its accuracy is that of ``score([expression])``, and its
    loss the same to 1e-7 (``tests/test_search_score.py``).
    """
    if gain not in GAINS:
        raise ValueError(f"unknown gain {gain!r}; choose from {list(GAINS)}")
    if isinstance(expressions, str):
        raise ValueError(f"expected a list of expressions, such as [{expressions!r}], not {expressions!r}")
    expressions = [parse(e) if isinstance(e, str) else e for e in expressions]
    count = len(expressions)
    if not count:
        raise ValueError("at least one expression is needed")
    positive("steps", steps)
    pairs = parity_pairs(seed, part)
    model = MLP(
        128,
        2,
        width=width,
        depth=depth,
        act_layer=lambda: Activations(expressions, num_channels=width),
        num_models=count,
    )
    _initialise(model, expressions, gain, seed)
    result = train.fit(
        model,
        tuple(pairs),
        seeds=[seed] * count,
        steps=steps,
        lr=lr,
        batch_size=batch_size,
        optimizer="adam",
        device=device,
    )
    if result.interrupted:
        raise KeyboardInterrupt("the children were not trained to the end")
    dead = result.diverged_at >= 0
    return Scores(
        np.where(dead, CHANCE, result.test_accuracy),
        np.where(dead, np.nan, result.test_loss),
        result.diverged_at,
    )


def _initialise(model, expressions, gain, seed):
    """He-normal weights, or with each network's own gain in the hidden layers, and gain 1 in the first."""
    count = len(expressions)
    init.scheme_(model, "he", seeds=[seed] * count, first=1.0 if gain == "own" else None)
    if gain == "own":
        factors = torch.tensor([(own_gain(e) or HE) / HE for e in expressions])
        with torch.no_grad():
            for block in model.blocks[1:]:
                weight = block.layer.weight
                weight *= factors if count == 1 else factors.view(-1, 1, 1)


def own_gain(expression):
    """Gain that keeps the variance of pre-activations, 1 / sqrt(E f(z)^2) with z ~ N(0, 1), or None.

    There is none where f is 0, as ``x - x`` is, or where the mean does not exist, as for a function with a
    pole.

    Parameters
    ----------
    expression : Expression

    Returns
    -------
    float or None
    """
    from selfgated import moments

    try:
        second = moments.estimate(lambda z: evaluate(expression, torch.from_numpy(z)).numpy(), tol=1e-5).value
    except (ArithmeticError, ValueError):
        return None
    return 1 / math.sqrt(second) if second > 0 else None


def run(config, seeds, device):
    """Score a batch of candidates: a unit function of `selfgated.sweep`.

    Parameters
    ----------
    config : dict
        ``expressions``, a list of texts, and any of the settings of `score`.
    seeds : tuple of int
    device : str

    Returns
    -------
    list of dict
        For each seed ``accuracy``, ``loss`` and ``diverged_at``, lists in the order of the expressions.
    """
    settings = {name: value for name, value in config.items() if name != "expressions"}
    return [score(config["expressions"], seed=seed, device=device, **settings).row() for seed in seeds]
