"""A search: a strategy proposes, an evaluator scores, the strategy is told, again and again."""

from dataclasses import dataclass

import numpy as np

from selfgated.search.strategies.base import refuse
from selfgated.train.settings import integer

__all__ = ["History", "search"]


@dataclass(frozen=True)
class History:
    """What a search evaluated, in order.

    Parameters
    ----------
    choices : list of n tuples of int
    scores : ndarray, shape (n,)
    """

    choices: list
    scores: np.ndarray

    def __len__(self):
        """Number of evaluations."""
        return len(self.choices)

    def best_so_far(self):
        """Largest score up to each evaluation.

        Returns
        -------
        ndarray, shape (n,)

        Examples
        --------
        >>> History([(0,), (1,), (2,)], np.array([0.6, 0.5, 0.7])).best_so_far().tolist()
        [0.6, 0.6, 0.7]
        """
        return np.maximum.accumulate(self.scores)

    def leaders(self):
        """Which evaluation had the largest score up to each evaluation; of equal ones the first.

        Returns
        -------
        ndarray, shape (n,), int
            Positions in `choices`.
        """
        ahead = np.r_[True, self.scores[1:] > self.best_so_far()[:-1]] if len(self) else np.zeros(0, bool)
        return np.maximum.accumulate(np.where(ahead, np.arange(len(self)), 0))

    def distinct(self):
        """Number of different candidates up to each evaluation: how many children had to be trained.

        Returns
        -------
        ndarray, shape (n,), int
        """
        first, seen = np.zeros(len(self), int), set()
        for at, choice in enumerate(self.choices):
            first[at] = choice not in seen
            seen.add(choice)
        return np.cumsum(first)

    def best(self):
        """The candidate with the largest score and that score; of equal ones the first found.

        Returns
        -------
        choice : tuple of int
        score : float

        Raises
        ------
        ValueError
            If nothing was evaluated.
        """
        if not self.choices:
            raise ValueError("nothing was evaluated, so there is no best candidate")
        at = int(np.argmax(self.scores))
        return self.choices[at], float(self.scores[at])


def search(strategy, evaluate, *, evaluations, batch=20, progress=False):
    """Let a strategy search.

    A candidate that is proposed again gets the score that it had, without another call of `evaluate`: with
    the seed of its child fixed it would have the same. It counts as an evaluation all the same, as it does
    where evaluations are published; `History.distinct` counts the children that were trained. Compare
    strategies in both.

    Nothing is stored here. A search that was broken off is started again, with the strategy made anew from
    the same seed: it proposes what it proposed, and an evaluator that keeps its scores gives them at once.

    Parameters
    ----------
    strategy : Strategy
    evaluate : callable
        Takes a list of m different candidates, returns m scores, finite, the larger the better.
    evaluations : int
        How many candidates are proposed in all; fewer if the strategy runs out of them.
    batch : int
        How many are proposed at once; the last batch may be smaller. The strategy learns once for each batch,
        so another batch is another search.
    progress : bool
        Whether to show a bar.

    Returns
    -------
    History

    Raises
    ------
    ValueError
        For a bad number, or a score that is missing or not finite; the message names the candidate.

    Examples
    --------
    >>> from selfgated.search import strategies
    >>> every = strategies.make("exhaustive", (4, 4))
    >>> search(every, lambda choices: [a * (3 - b) for a, b in choices], evaluations=100).best()
    ((3, 0), 9.0)
    """
    from tqdm import tqdm

    integer("evaluations", evaluations, low=1)
    integer("batch", batch, low=1)
    known, choices, scores = {}, [], []
    with tqdm(total=evaluations, unit="candidate", leave=False, disable=not progress) as bar:
        while len(choices) < evaluations:
            proposed = strategy.propose(min(batch, evaluations - len(choices)))
            if not proposed:
                break
            new = [choice for choice in dict.fromkeys(proposed) if choice not in known]
            if new:
                known.update(zip(new, refuse(new, evaluate(new)).tolist(), strict=True))
            found = [known[choice] for choice in proposed]
            strategy.tell(proposed, found)
            choices += proposed
            scores += found
            if progress:
                bar.set_postfix(best=f"{max(scores):.4g}", refresh=False)
            bar.update(len(proposed))
    return History(choices, np.array(scores, dtype=np.float64))
