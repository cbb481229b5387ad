"""What training returns."""

from dataclasses import dataclass

import numpy as np

__all__ = ["Result"]


@dataclass(frozen=True)
class Result:
    """The outcome of `fit` for K networks, recorded R times, with L weight matrices each.

    Attributes
    ----------
    steps : int
        Updates done.
    seeds : tuple of int
    layers : tuple of str, length L
        Names of the weights whose gradients were measured, in the order of the model.
    step : ndarray, (R,), int
        Updates done when the row was recorded.
    loss : ndarray, (R, K)
        Loss of the batch of that step, before the update; nan once a network has diverged.
    grad_norm : ndarray, (R, L, K)
        Euclidean norm of the gradient of each weight, before clipping; nan likewise.
    train_loss : ndarray, (K,)
        Mean loss of the last 20 batches; nan for a network that diverged.
    test_accuracy, test_loss : ndarray, (K,)
        On the whole test set after the last step; nan if `evaluate` was False.
    diverged_at : ndarray, (K,), int
        The first step whose loss was not finite; `steps` if the last update alone made the weights or the
        test loss so; -1: none.
    interrupted : bool
        Whether Ctrl-C ended the training.
    """

    steps: int
    seeds: tuple
    layers: tuple
    step: np.ndarray
    loss: np.ndarray
    grad_norm: np.ndarray
    train_loss: np.ndarray
    test_accuracy: np.ndarray
    test_loss: np.ndarray
    diverged_at: np.ndarray
    interrupted: bool

    def rows(self, *, partial=False):
        """Return one dict per network of plain numbers, as JSON takes them (None for nan).

        Parameters
        ----------
        partial : bool
            Whether the rows of an interrupted training are wanted too.

        Raises
        ------
        KeyboardInterrupt
            If the training was interrupted, unless `partial`: no store may take it for a finished one.
        """
        if self.interrupted and not partial:
            raise KeyboardInterrupt(f"the training was interrupted after {self.steps} steps")
        names = ("test_accuracy", "test_loss", "train_loss")
        return [
            {
                "seed": seed,
                "steps": self.steps,
                **{name: _plain(getattr(self, name)[k]) for name in names},
                "diverged_at": int(self.diverged_at[k]),
            }
            for k, seed in enumerate(self.seeds)
        ]


def _plain(value):
    return float(value) if np.isfinite(value) else None
