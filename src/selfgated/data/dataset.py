"""Images and labels in two parts, train and test, as arrays of integers."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

__all__ = ["DataError", "Dataset", "stratified"]

SLAB = 1000  # images counted at once: the histogram of a slab needs 8 bytes a pixel


class DataError(ValueError):
    """Data that cannot be had or used: which file, what is wrong with it, and what to do."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images and their classes, in a part to train on and a part to test on.

    Parameters
    ----------
    name : str
        What `load` was asked for, such as ``"cifar10"``.
    label : str
        What a table or a plot prints, such as ``"CIFAR-10"``.
    classes : tuple of str, length K
        Name of each class. Label k means ``classes[k]``.
    x_train, x_test : uint8 array (N, C, H, W)
        Images: raw values, not standardised.
    y_train, y_test : int64 array (N,)
        Labels, 0 to K - 1.
    path : Path, optional
        Decoded copy in the cache. None if there is none.

    Raises
    ------
    DataError
        If shapes, types or labels do not fit together, or if there are fewer than two classes.

    Examples
    --------
    >>> from selfgated import data
    >>> digits = data.load("digits")
    >>> digits.x_train.shape, digits.x_test.shape, digits.channels, digits.image_size
    ((1437, 1, 8, 8), (360, 1, 8, 8), 1, (8, 8))
    """

    name: str
    label: str
    classes: tuple
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    path: Path | None = None

    def __post_init__(self):
        """Check that the parts fit together."""
        if len(self.classes) < 2:
            raise DataError(f"{self.label} has {len(self.classes)} class; a classifier needs at least 2")
        for part, x, y in (("train", self.x_train, self.y_train), ("test", self.x_test, self.y_test)):
            if x.dtype != np.uint8 or x.ndim != 4 or y.dtype != np.int64 or y.shape != x.shape[:1]:
                raise DataError(
                    f"{self.label}, {part}: images must be uint8 (N, C, H, W) and labels int64 (N,), "
                    f"not {x.dtype} {x.shape} and {y.dtype} {y.shape}"
                )
            if not len(y):
                raise DataError(f"{self.label} has no {part} image")
            if y.min() < 0 or y.max() >= len(self.classes):
                raise DataError(
                    f"{self.label}, {part}: labels must lie in 0..{len(self.classes) - 1}, "
                    f"not {y.min()}..{y.max()}"
                )
        if self.x_train.shape[1:] != self.x_test.shape[1:]:
            raise DataError(
                f"{self.label}: train images have shape {self.x_train.shape[1:]}, "
                f"test images {self.x_test.shape[1:]}"
            )

    @property
    def image_size(self):
        """Height and width, pixels: (H, W)."""
        return self.x_train.shape[2:]

    @property
    def channels(self):
        """Number of channels C: 1 for grey, 3 for red, green, blue."""
        return self.x_train.shape[1]

    @cached_property
    def _moments(self):
        """Mean and standard deviation (C,), from exact integer counts of the 256 values."""
        values = np.arange(256)
        mean, std = np.empty(self.channels), np.empty(self.channels)
        for c in range(self.channels):
            counts = sum(
                np.bincount(self.x_train[start : start + SLAB, c].ravel(), minlength=256)
                for start in range(0, len(self.x_train), SLAB)
            )
            mean[c] = counts @ values / counts.sum()
            std[c] = np.sqrt(counts @ (values - mean[c]) ** 2 / counts.sum())
        mean.flags.writeable = std.flags.writeable = False
        return mean, std

    @property
    def mean(self):
        """Mean of each channel over `x_train`, float64 (C,), in the raw units of the images."""
        return self._moments[0]

    @property
    def std(self):
        """Standard deviation (of the population) of each channel over `x_train`, float64 (C,), raw units.

        It is 0 for a channel that never changes: guard the division.
        """
        return self._moments[1]

    def subset(self, n_train=None, n_test=None, seed=0):
        """Return fewer images, each class with its share.

        Parameters
        ----------
        n_train, n_test : int, optional
            How many images; all of them by default.
        seed : int
            Which images. The train part depends on `seed` and `n_train` alone, the test part on `seed` and
            `n_test`; with the same seed a smaller subset of equal class shares lies within a larger one.

        Returns
        -------
        Dataset
            In the order of the whole. Its `mean` and `std` are its own.

        Raises
        ------
        DataError
            If there are not that many.

        Examples
        --------
        >>> from selfgated import data
        >>> import numpy as np
        >>> few = data.load("digits").subset(100, 50, seed=1)
        >>> few.x_train.shape, np.bincount(few.y_test).tolist()
        ((100, 1, 8, 8), [5, 5, 5, 5, 5, 5, 5, 5, 5, 5])
        """
        kept = {}
        for part, (y, n) in enumerate(((self.y_train, n_train), (self.y_test, n_test))):
            name = ("train", "test")[part]
            if n is not None and not 1 <= n <= len(y):
                raise DataError(f"n_{name} must lie in 1..{len(y)} ({self.label}), not {n}")
            chosen = slice(None) if n is None else stratified(y, n, seed=(seed, part))
            kept |= {f"x_{name}": getattr(self, f"x_{name}")[chosen], f"y_{name}": y[chosen]}
        return replace(self, **kept)


def stratified(y, n, *, seed):
    """Choose `n` of the labels `y` so that each class keeps its share.

    A class of m among N labels gets n m / N, rounded down; the largest remainders get one more.

    Parameters
    ----------
    y : integer array (N,)
        Labels.
    n : int
        How many to choose, 0 to N.
    seed : int or tuple of int
        Which ones.

    Returns
    -------
    int64 array (n,)
        Their indices, ascending.

    Notes
    -----
    The order comes from the raw bits of PCG64: numpy promises that those never change, and does not promise
    it of `permutation`. A split must stay the same in every version.

    Examples
    --------
    >>> import numpy as np
    >>> y = np.array([0, 0, 0, 0, 1, 1])
    >>> y[stratified(y, 3, seed=0)].tolist()
    [0, 0, 1]
    """
    classes, counts = np.unique(y, return_counts=True)
    whole, rest = np.divmod(n * counts, len(y))
    take = whole.copy()
    take[np.argsort(-rest, kind="stable")[: n - whole.sum()]] += 1
    order = np.argsort(np.random.PCG64(seed).random_raw(len(y)), kind="stable")
    chosen = [order[y[order] == k][:m] for k, m in zip(classes, take, strict=True)]
    return np.sort(np.concatenate(chosen))
