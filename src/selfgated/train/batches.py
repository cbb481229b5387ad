"""Data that stays on the device, and the order in which each network sees it."""

import zlib

import numpy as np
import torch

__all__ = ["Resident", "mix", "orders"]

BATCHES, MODEL = 1, 2  # streams: what a seed is used for besides the initial weights


def mix(*words):
    """Return a seed of 64 bits that depends on every one of `words` (non-negative integers).

    Neighbouring seeds, epochs and streams must not give related generators: NumPy's SeedSequence mixes them.

    Examples
    --------
    >>> mix(0, 1) == mix(0, 1), mix(0, 1) == mix(1, 0)
    (True, False)
    """
    return int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0])


def orders(seeds, epoch, *, samples):
    """Return the order of the samples in one epoch, for each network.

    Row k is a function of ``(seeds[k], epoch, samples)`` alone: neither the other networks, nor the device,
    nor what was drawn before change it. So a run that goes on needs no generator's state.

    Parameters
    ----------
    seeds : sequence of int, length K
    epoch : int
    samples : int

    Returns
    -------
    torch.Tensor, (K, samples), int64
    """
    rows = []
    for seed in seeds:
        generator = torch.Generator().manual_seed(mix(seed, BATCHES, epoch))
        rows.append(torch.randperm(samples, generator=generator))
    return torch.stack(rows)


def _tensors(data):
    """Return ((x_train, y_train, x_test, y_test), mean and std or None) as tensors on the CPU."""
    if hasattr(data, "x_train"):
        arrays = tuple(torch.tensor(getattr(data, name)) for name in PARTS)
        return arrays, (data.mean, data.std)
    if not (isinstance(data, (tuple, list)) and len(data) == 4 and all(map(torch.is_tensor, data))):
        raise TypeError(
            f"data must be a Dataset or a tuple of four tensors {PARTS}, not {type(data).__name__}"
            + (f" of {len(data)}" if isinstance(data, (tuple, list)) else "")
        )
    return tuple(data), None


PARTS = ("x_train", "y_train", "x_test", "y_test")


class Resident:
    """A data set on the device, from which batches are taken by index.

    Images stay uint8, a quarter of float32, and are standardised batch by batch: (x - mean) / std, per
    channel. Tensors of a tuple are used as they are; floating ones are cast to `dtype`.

    Parameters
    ----------
    data : data.Dataset or tuple of four torch.Tensor
        x_train (N, ...), y_train (N, ...), x_test (M, ...), y_test (M, ...).
    device : torch.device
    dtype : torch.dtype
        What the model computes in.
    memory_format : torch.memory_format
        Layout of image batches (N, C, H, W).

    Raises
    ------
    TypeError
        If data is something else.
    ValueError
        If there are not as many inputs as targets, or none.
    """

    def __init__(self, data, *, device, dtype, memory_format=torch.contiguous_format):
        """Everything moves to the device at once."""
        tensors, moments = _tensors(data)
        for x, y, part in ((*tensors[:2], "train"), (*tensors[2:], "test")):
            if len(x) != len(y) or not len(x):
                raise ValueError(f"x_{part} holds {len(x)} samples and y_{part} {len(y)}: as many, and not 0")
        self.dtype, self.memory_format = dtype, memory_format
        tensors = [t.to(dtype) if t.is_floating_point() else t for t in tensors]
        self.x_train, self.y_train, self.x_test, self.y_test = (t.to(device) for t in tensors)
        self._scale = self._shift = self._fingerprint = None
        if moments is not None:
            mean, std = (torch.tensor(m, dtype=torch.float64).view(-1, 1, 1) for m in moments)
            std = torch.where(std > 0, std, 1.0)  # a channel that is constant
            self._scale = (1 / std).to(device, dtype)
            self._shift = (-mean / std).to(device, dtype)

    def _input(self, x):
        """Standardise a batch."""
        if self._scale is not None:
            x = torch.addcmul(self._shift, x.to(self.dtype), self._scale)
        return x.contiguous(memory_format=self.memory_format) if x.ndim == 4 else x

    def batch(self, index):
        """Return training inputs and targets.

        Parameters
        ----------
        index : torch.Tensor, (B,) or (K, B), int64

        Returns
        -------
        (torch.Tensor, torch.Tensor)
            (B, ...) or (K, B, ...), inputs standardised.
        """
        if index.ndim == 1:
            return self._input(self.x_train.index_select(0, index)), self.y_train.index_select(0, index)
        flat = index.reshape(-1)
        x, y = self.x_train.index_select(0, flat), self.y_train.index_select(0, flat)
        return self._input(x.unflatten(0, index.shape)), y.unflatten(0, index.shape)

    def fingerprint(self):
        """Return shapes and checksum of the training data: whether a checkpoint was written with the same."""
        if self._fingerprint is None:
            parts = [t.cpu().contiguous() for t in (self.x_train, self.y_train)]
            sums = [zlib.crc32(t.view(torch.uint8).numpy()) for t in parts]
            self._fingerprint = [[list(t.shape), s] for t, s in zip(parts, sums, strict=True)]
        return self._fingerprint

    def test_batches(self, size):
        """Yield (inputs, targets) of the test set, in order, `size` at a time."""
        for first in range(0, len(self.x_test), size):
            yield self._input(self.x_test[first : first + size]), self.y_test[first : first + size]
