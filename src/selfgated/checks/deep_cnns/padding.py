"""Self-checks of what zero padding takes, by sums over shifted maps."""

import numpy as np

from selfgated.checks import engine


def _spread(q, taps):
    """Each value of the map divided among the window around it, what leaves the map is lost."""
    size, reach = q.shape[0], taps // 2
    out = np.zeros((size + 2 * reach, size + 2 * reach))
    for row in range(taps):
        for column in range(taps):
            out[row : row + size, column : column + size] += q / taps**2
    return out[reach : reach + size, reach : reach + size]


def _kept(size, taps, depth, *, mean=np.mean, start=0):
    q, found = np.ones((size, size)), []
    for layer in range(depth + start):
        q = _spread(q, taps)
        if layer >= start:
            found.append(mean(q))
    return np.array(found)


def _middle(q):
    return q[q.shape[0] // 2, q.shape[0] // 2]


def _share(size, taps):
    """Mean share of a window that lies on the map, in one dimension."""
    return 1 - (taps**2 - 1) / (4 * size * taps)


def kept(answer):
    """Check problem 2: the mean variance in each layer."""
    inputs = [(6, 3, 5), (9, 5, 4), (2, 5, 3), (1, 3, 2), (7, 1, 2)]
    mistakes = [
        (lambda *given: np.sqrt(_kept(*given)), "this is one dimension: the map's mean is a square"),
        (lambda n, t, d: np.append(1.0, _kept(n, t, d))[:-1], "layer 1 has lost its border already"),
        (lambda n, t, d: _kept(n, t, d, start=1), "you left out layer 1"),
        (
            lambda n, t, d: _share(n, t) ** (2.0 * np.arange(1, d + 1)),
            "the share of problem 1 is right for layer 1; later the variance is not the same at every place",
        ),
        (lambda n, t, d: _kept(n, t, d, mean=_middle), "average over the map, not the middle"),
        (lambda n, t, d: _kept(n, t, d, mean=np.sum), "the mean over the map, not the sum"),
        (lambda n, t, d: _kept(n, 3, d), "the windows have `taps` places on a side, not always 3"),
        (lambda n, t, d: np.ones(d), "this is circular padding: beyond the border are zeros"),
        (lambda n, t, d: np.full(d, 1.0) * _kept(n, t, d)[-1], "one value per layer, not the last for all"),
        (
            lambda n, t, d: np.array([(_factor(n, t)) ** layer for layer in range(1, d + 1)]),
            "powers of the eigenvalue are the limit of many layers: the first layers lose less",
        ),
    ]
    call = "kept(size, taps, depth)"
    return engine.values(answer, _kept, inputs, mistakes=mistakes, rtol=1e-10, call=call)


def _factor(size, taps):
    """Factor per layer on the variance of a linear network, many layers in."""
    q = np.ones((size, size))
    for _ in range(600):
        q = _spread(q, taps)
        last = q.mean()
        q /= last
    return last


def relu_weight(answer):
    """Check problem 2: the weights that keep the signal of a deep ReLU network."""
    mistakes = [
        (lambda n, t: 2.0, "this is He's value: the border takes a part in every layer"),
        (lambda n, t: 1 / _factor(n, t), "ReLU keeps half of the mean square: a factor 2 is missing"),
        (lambda n, t: 2 * _factor(n, t), "the weights make up for what the border takes: divide"),
        (lambda n, t: 2 / _factor(n, t) ** 0.5, "rows and columns both take a part: the eigenvalue squared"),
        (lambda n, t: 2 / _factor(n, t) ** 2, "this has the eigenvalue to the fourth power"),
        (
            lambda n, t: 2 / _share(n, t) ** 2,
            "the mean of problem 1 is right for one layer only",
        ),
        (lambda n, t: (2 / _factor(n, t)) ** 0.5, "return the variance sigma_w^2, not its root"),
    ]
    inputs = [(6, 3), (8, 5), (2, 5), (1, 3)]
    call = "relu_weight(size, taps)"
    return engine.values(answer, _relu_weight, inputs, mistakes=mistakes, rtol=1e-9, call=call)


def _relu_weight(size, taps):
    return 2 / _factor(size, taps)
