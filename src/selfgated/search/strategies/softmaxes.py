"""One softmax for each decision, independent of the others, trained as the controller is."""

import torch
from torch import nn

from selfgated.search.strategies.policy import Policy, PolicySearch

__all__ = ["IndependentPolicy", "Softmaxes"]


class IndependentPolicy(Policy):
    """Decisions that do not depend on each other: a vector of logits for each, all 0 at first.

    Parameters
    ----------
    sizes : sequence of int
    generator : torch.Generator, optional
        Not used: nothing is drawn.
    """

    def __init__(self, sizes, *, generator=None):
        """Make the logits."""
        super().__init__(sizes)
        self.logits = nn.ParameterList(torch.zeros(size) for size in self.sizes)

    def step(self, place, previous, state):
        """Log-probabilities of one decision, see `Policy.step`; there is no state."""
        return self.logits[place].log_softmax(0).expand(len(previous), -1), None


class Softmaxes(PolicySearch):
    """Independent softmaxes, one for each decision, trained by PPO.

    What does the recurrent network add? This leaves it out, and keeps the objective, the baseline and the
    entropy. For one core unit it has 60 parameters, where the LSTM of `Controller` has 12,060. It cannot say
    "division, but only by cosh".

    Parameters
    ----------
    sizes, seed
        See `Strategy`.
    lr : float
        0.1: a step of Adam moves a logit by about `lr`, so a probability can double in some seven steps. In
        the LSTM a thousand weights move together, and the rate is smaller.
    epochs, clip, entropy, decay
        As in `Controller`.
    """

    def __init__(self, sizes, *, seed=0, lr=0.1, epochs=5, clip=0.2, entropy=0.01, decay=0.9):
        """Check, and make the logits."""
        super().__init__(
            sizes,
            IndependentPolicy,
            seed=seed,
            lr=lr,
            epochs=epochs,
            clip=clip,
            entropy=entropy,
            decay=decay,
        )
