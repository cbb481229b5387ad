"""Proximal policy optimisation for a distribution over candidates: what the controllers share."""

import torch
from torch import nn

from selfgated.search.strategies.base import Strategy, number
from selfgated.train.settings import integer

__all__ = ["Policy", "PolicySearch", "clipped_objective"]


class Policy(nn.Module):
    """A distribution over tuples of decisions, one decision after the other.

    The probability of a tuple is the product over its decisions of the probability of each, given those
    before it. Subclasses write `step`.

    Parameters
    ----------
    sizes : sequence of int
    """

    def __init__(self, sizes):
        """Keep the sizes."""
        super().__init__()
        self.sizes = tuple(sizes)

    def step(self, place, previous, state):
        """Log-probabilities of one decision.

        Parameters
        ----------
        place : int
            Which decision.
        previous : Tensor, shape (n,), int64
            The decision before it; zeros for the first.
        state : object
            What the step before returned; None for the first.

        Returns
        -------
        log_probs : Tensor, shape (n, sizes[place])
        state : object
        """
        raise NotImplementedError

    def forward(self, choices):
        """Log-probability of candidates, and the entropy of the decisions on the way to them.

        Parameters
        ----------
        choices : Tensor, shape (n, len(sizes)), int64

        Returns
        -------
        log_prob : Tensor, shape (n,)
        entropy : Tensor, shape (n,)
            In nats: of each decision given those before it, added up. Its mean over candidates that the
            policy draws is the entropy of the policy.
        """
        log_prob, entropy, state = 0, 0, None
        previous = torch.zeros(len(choices), dtype=torch.int64)
        for place in range(len(self.sizes)):
            log_probs, state = self.step(place, previous, state)
            previous = choices[:, place]
            log_prob = log_prob + log_probs.gather(1, previous[:, None])[:, 0]
            entropy = entropy - (log_probs.exp() * log_probs).sum(1)
        return log_prob, entropy

    @torch.no_grad()
    def sample(self, count, generator):
        """Draw candidates.

        Parameters
        ----------
        count : int
        generator : torch.Generator

        Returns
        -------
        Tensor, shape (count, len(sizes)), int64
        """
        previous, state, drawn = torch.zeros(count, dtype=torch.int64), None, []
        for place in range(len(self.sizes)):
            log_probs, state = self.step(place, previous, state)
            previous = torch.multinomial(log_probs.exp(), 1, generator=generator)[:, 0]
            drawn.append(previous)
        return torch.stack(drawn, dim=1)


def clipped_objective(log_prob, old_log_prob, advantage, clip):
    """The objective of PPO for each candidate, to be maximised: min(r A, clip(r, 1 - c, 1 + c) A).

    r = exp(log_prob - old_log_prob) is how much likelier the candidate became since it was drawn. Where it
    was better than expected (A > 0) there is nothing to win beyond r = 1 + c, and where it was worse nothing
    below 1 - c: a few scores cannot move the policy far. At r = 1 the gradient is A times that of log_prob,
    which is REINFORCE.

    Parameters
    ----------
    log_prob, old_log_prob, advantage : Tensor, shape (n,)
        The advantage A is in the unit of the reward.
    clip : float
        c, between 0 and 1.

    Returns
    -------
    Tensor, shape (n,)

    References
    ----------
    Schulman, Wolski, Dhariwal, Radford and Klimov, Proximal Policy Optimization Algorithms, 2017,
    arXiv:1707.06347, equation 7.

    Examples
    --------
    >>> r, advantage = torch.tensor([1.5, 0.5, 1.5, 0.5]), torch.tensor([1.0, 1.0, -1.0, -1.0])
    >>> [round(v, 4) for v in clipped_objective(r.log(), torch.zeros(4), advantage, 0.2).tolist()]
    [1.2, 0.5, -1.5, -0.8]
    """
    ratio = (log_prob - old_log_prob).exp()
    return torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage)


class PolicySearch(Strategy):
    """Draw candidates from a policy, and make those likelier that score more than expected.

    After each batch Adam maximises, `epochs` times over the whole batch, the mean of `clipped_objective` plus
    `entropy` times the entropy of the policy. The advantage is the score minus a moving average of the scores
    of earlier batches.

    Parameters
    ----------
    sizes, seed
        See `Strategy`.
    make_policy : callable
        ``make_policy(sizes, generator=torch.Generator)`` returns the `Policy`.
    lr : float
        Learning rate of Adam.
    epochs : int
        Steps for each batch. With 1 the ratio is 1 throughout, nothing is clipped, and this is REINFORCE.
    clip : float
        How far the probability of a candidate may move in a batch and still gain, see `clipped_objective`.
    entropy : float
        Weight of the entropy, in units of the reward for each nat.
    decay : float
        How much of the baseline stays at each batch: b <- decay b + (1 - decay) mean(scores). It begins as
        the mean of the first batch.

    Attributes
    ----------
    policy : Policy
    baseline : float or None
        None before the first batch.

    Notes
    -----
    A candidate is one action: r is the ratio of the probabilities of all its decisions together, because the
    reward belongs to all of them. Advantages are not divided by their standard deviation; Adam forgets the
    scale of a gradient anyway, but the weight of the entropy is relative to the rewards.

    `tell` takes the policy as it is then for the one that drew the candidates: tell each batch before you
    propose the next.
    """

    def __init__(self, sizes, make_policy, *, seed=0, lr, epochs, clip, entropy, decay):
        """Check, and make the policy."""
        super().__init__(sizes, seed=seed)
        number("lr", lr, above=True)
        integer("epochs", epochs, low=1)
        self.epochs = int(epochs)
        self.clip = number("clip", clip, high=1, above=True)
        self.entropy = number("entropy", entropy)
        self.decay = number("decay", decay, high=1)
        self.baseline = None
        self._generator = torch.Generator().manual_seed(self.seed)  # first the weights, then the draws
        self.policy = make_policy(self.sizes, generator=self._generator)
        self._optimizer = torch.optim.Adam(self.policy.parameters(), lr=lr)

    def _propose(self, count):
        return [tuple(row) for row in self.policy.sample(count, self._generator).tolist()]

    def _learn(self, choices, scores):
        mean = float(scores.mean())
        if self.baseline is None:
            self.baseline = mean
        choices = torch.tensor(choices)
        advantage = torch.tensor(scores - self.baseline, dtype=torch.float32)
        old = None
        for _ in range(self.epochs):
            log_prob, entropy = self.policy(choices)
            old = log_prob.detach() if old is None else old
            gain = clipped_objective(log_prob, old, advantage, self.clip) + self.entropy * entropy
            self._optimizer.zero_grad()
            (-gain.mean()).backward()
            self._optimizer.step()
        self.baseline = self.decay * self.baseline + (1 - self.decay) * mean
