"""A recurrent network that writes candidates, trained by PPO: the published strategy."""

from functools import partial

import torch
from torch import nn

from selfgated.search.strategies.policy import Policy, PolicySearch
from selfgated.train.settings import integer

__all__ = ["Controller", "RecurrentPolicy"]

SPREAD = 0.08


class RecurrentPolicy(Policy):
    """An LSTM that makes one decision after the other, each one being its next input.

    At decision d its input is the embedding of decision d - 1 (for the first, a learned vector), and a linear
    head of its own turns the state into the softmax over ``sizes[d]`` values.

    Parameters
    ----------
    sizes : sequence of int
    hidden : int
        Width of the state and of the embeddings.
    generator : torch.Generator
        Draws the weights, uniform within 0.08 as in Zoph and Le: at first nearly all candidates are equally
        likely.
    """

    def __init__(self, sizes, *, hidden, generator):
        """Make the layers."""
        super().__init__(sizes)
        with torch.random.fork_rng([]):  # torch's own initial values would move its global generator
            self.embeddings = nn.ModuleList(nn.Embedding(size, hidden) for size in (1, *self.sizes[:-1]))
            self.cell = nn.LSTMCell(hidden, hidden)
            self.heads = nn.ModuleList(nn.Linear(hidden, size) for size in self.sizes)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.uniform_(-SPREAD, SPREAD, generator=generator)

    def step(self, place, previous, state):
        """Log-probabilities of one decision, see `Policy.step`; the state is the LSTM's."""
        state = self.cell(self.embeddings[place](previous), state)
        return self.heads[place](state[0]).log_softmax(1), state


class Controller(PolicySearch):
    """An LSTM trained by PPO.

    The published search used one for spaces of two and more core units. Its sizes and rates are not
    published; these are ours.

    Parameters
    ----------
    sizes, seed
        See `Strategy`.
    hidden : int
        Width of the LSTM: 32, more than the 25 values of the largest decision.
    lr : float
        0.003. With 0.01 and 0.03 it learns faster at first; what it proposes and finds within 1000
        evaluations is no better (chapter 15 compares the three).
    epochs : int
        5 steps for each batch of 20: the children cost far more than the controller, so a batch is used as
        often as clipping allows.
    clip : float
        0.2, as in the paper on PPO.
    entropy : float
        0.01 for each nat. A policy that is certain of one candidate gives up ``log(6250) = 8.7`` nats, 0.087
        of reward: less than what a good candidate gains over an average one here, and more than the noise.
        Without the bonus it narrows sooner, to better candidates on average; the best found is no better.
    decay : float
        0.9: the baseline is an average over about the last 10 batches.

    References
    ----------
    Zoph and Le, Neural Architecture Search with Reinforcement Learning, ICLR 2017, arXiv:1611.01578;
    Ramachandran, Zoph and Le, arXiv:1710.05941, section 2.
    """

    def __init__(self, sizes, *, seed=0, hidden=32, lr=0.003, epochs=5, clip=0.2, entropy=0.01, decay=0.9):
        """Check, and make the network."""
        integer("hidden", hidden, low=1)
        super().__init__(
            sizes,
            partial(RecurrentPolicy, hidden=int(hidden)),
            seed=seed,
            lr=lr,
            epochs=epochs,
            clip=clip,
            entropy=entropy,
            decay=decay,
        )
