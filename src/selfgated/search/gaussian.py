"""Gaussian moments of many functions at once, and which functions are alike.

With pre-activations z ~ N(0, 1) a moment is an integral. The Hermite polynomials split f into orthogonal
parts, f(z) = a0 + a1 z + a2 (z^2 - 1) / sqrt(2) + a3 (z^3 - 3 z) / sqrt(6) + ..., and E f^2 is the sum of the
squares of a0, a1, ...
"""

import math
from dataclasses import dataclass, fields

import numpy as np
import torch
from scipy import sparse, stats
from scipy.sparse import csgraph

from selfgated.search.canonical import MIRRORS, _fingerprints, classes
from selfgated.search.plan import Plan

__all__ = ["GaussianFeatures", "gaussian_features", "lookalikes", "mirror_groups"]

REACH, CENTRE, STEP = 14.0, 1e-6, 1 / 300
AGREEMENT, SMALL, NEGLIGIBLE = 0.03, 1e-4, 1e-5
CHUNK, POINTS = 200, 400


@dataclass(frozen=True)
class GaussianFeatures:
    """What z ~ N(0, 1) makes of n functions at their starting betas: arrays of shape (n,), dimensionless.

    nan is what does not exist, as the mean of 1/x^2, or overflows, or what the rule cannot resolve.

    Attributes
    ----------
    mean, second, slope_second : ndarray
        abs(E f), E f^2 and E f'^2. A network learns as well with -f as with f, so the sign tells nothing.
    chi_he : ndarray
        2 E f'^2, the factor on the gradient's variance in a layer with He's gain.
    chi_own : ndarray
        E f'^2 / E f^2, the same with the gain that keeps the variance of the signal.
    constant : ndarray
        a0^2 / E f^2, the share of the signal that is the same for every input.
    linear, quadratic, cubic : ndarray
        a1^2, a2^2 and a3^2, as shares of the variance of f.
    curvature : ndarray
        Var f' / E f'^2: 0 for a straight line, 1 where the slopes cancel, 1/2 for ReLU.
    """

    mean: np.ndarray
    second: np.ndarray
    slope_second: np.ndarray
    chi_he: np.ndarray
    chi_own: np.ndarray
    constant: np.ndarray
    linear: np.ndarray
    quadratic: np.ndarray
    cubic: np.ndarray
    curvature: np.ndarray

    @property
    def finite(self):
        """Whether every feature of a function exists, shape (n,)."""
        return np.isfinite(self.matrix()).all(axis=1)

    @classmethod
    def names(cls):
        """Names of the features, in the order of the columns of `matrix`."""
        return tuple(field.name for field in fields(cls))

    def matrix(self):
        """All features, shape (n, 10)."""
        return np.stack([getattr(self, name) for name in self.names()], axis=1)

    def __len__(self):
        """Number of functions."""
        return self.mean.size

    def __getitem__(self, chosen):
        """The features of some functions: an index, a mask or a slice."""
        chosen = np.atleast_1d(np.arange(len(self))[chosen])
        return GaussianFeatures(*(getattr(self, name)[chosen] for name in self.names()))


def gaussian_features(expressions):
    """Gaussian moments of many functions, at once.

    Parameters
    ----------
    expressions : sequence of Expression, length n

    Returns
    -------
    GaussianFeatures

    Raises
    ------
    ValueError
        For no expression.

    Notes
    -----
    The trapezoidal rule in t, z = c sinh(t) with c = 1e-6, on 10,000 points up to 14 standard deviations: as
    dense around 0, where functions with eps have features of width 0.001, as it must be, and exact to
    rounding where f is smooth. An integral is taken not to exist if a third of the points gives another
    value, by more than 3 % and 1e-4, or if z times the integrand is not negligible next to 0, as for sqrt(x)
    with f'^2 = 1 / (4 z), or at the ends. A pole that is too narrow for the points, as that of
    sinc(x) / (sinc(x) + eps), is not seen. ``tests/test_search_predictors.py`` compares with
    `moments.estimate`.
    """
    expressions = list(expressions)
    z, weight = _rule()
    chunks = [expressions[start : start + CHUNK] for start in range(0, len(expressions), CHUNK)]
    if not chunks:
        raise ValueError("at least one expression is needed")
    return _features(np.concatenate([_moments(chunk, z, weight) for chunk in chunks], axis=1))


def _rule():
    """Nodes and weights. Every third node, with three times the weight, is a rule too."""
    count = 3 * math.ceil(math.asinh(REACH / CENTRE) / STEP / 3)
    t = (np.arange(-count, count) + 0.5) * STEP
    z = CENTRE * np.sinh(t)
    density = np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return torch.from_numpy(z), torch.from_numpy(CENTRE * np.cosh(t) * STEP * density)


def _moments(expressions, z, weight):
    """E f, E z f, E (z^2 - 1) f, E (z^3 - 3 z) f, E f^2, E f', E f'^2, shape (7, n), nan where in doubt."""
    inputs = z.repeat(len(expressions), 1).requires_grad_()
    f = _planned(expressions, inputs)
    slope = torch.zeros_like(inputs)
    if f.requires_grad:
        (slope,) = torch.autograd.grad(f.sum(), inputs, materialize_grads=True)
    f = f.detach()
    middle, density = z.numel() // 2, weight / (CENTRE**2 + z * z).sqrt() / STEP
    terms = (f, z * f, (z * z - 1) * f, (z**3 - 3 * z) * f, f * f, slope, slope * slope)
    found = []
    for term in terms:
        weighted = term * weight
        value, coarse = weighted.sum(1), 3 * weighted[:, 1::3].sum(1)
        size = (term.abs() * weight).sum(1)
        bad = ~((value - coarse).abs() <= AGREEMENT * size + SMALL)
        # z times an integrable function goes to 0 at 0, and at the ends.
        edges = (term * z * density)[:, [0, middle - 1, middle, -1]].abs().amax(1)
        bad |= edges > NEGLIGIBLE * size
        found.append(torch.where(bad, math.nan, value))
    return torch.stack(found).numpy()


def _planned(expressions, z):
    """Values of n expressions at their starting betas, (n, m), at the points of z (n, m)."""
    betas = max(len(expression.betas) for expression in expressions)
    table = torch.ones(len(expressions), betas, dtype=z.dtype)
    for row, expression in zip(table, expressions, strict=True):
        row[: len(expression.betas)] = torch.tensor(expression.betas, dtype=z.dtype)
    return Plan(expressions, betas)(z, table.reshape(-1, 1) if betas else None, (1,))


def _features(rows):
    a0, a1, a2, a3, second, slope, slope_second = rows
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = second - a0 * a0
        variance = np.where(variance > 1e-12 * second, variance, np.nan)
        steep = np.where(slope_second > 1e-12 * second, slope_second, np.nan)
        size = np.where(second > 0, second, np.nan)
        return GaussianFeatures(
            mean=np.abs(a0),
            second=second,
            slope_second=slope_second,
            chi_he=2 * slope_second,
            chi_own=slope_second / size,
            constant=a0 * a0 / size,
            linear=a1 * a1 / variance,
            quadratic=a2 * a2 / 2 / variance,
            cubic=a3 * a3 / 6 / variance,
            curvature=1 - slope * slope / steep,
        )


def mirror_groups(expressions):
    """Number the functions such that mirror images have one number: f(x), -f(x), f(-x), -f(-x), at the start.

    Features are the same for all of them, or change their sign; scores are nearly so. A predictor that has
    seen one of them must not be tested on another.

    Parameters
    ----------
    expressions : sequence of Expression, length n

    Returns
    -------
    ndarray, shape (n,), int

    Examples
    --------
    >>> from selfgated.search import parse
    >>> texts = "max(x, 0)", "tanh(x)", "min(beta*x, 0)", "-tanh(x)"
    >>> mirror_groups([parse(text) for text in texts]).tolist()
    [0, 1, 0, 1]
    """
    expressions = list(expressions)
    images = [_fingerprints(expressions, at_start=True, mirror=mirror) for mirror in MIRRORS]
    found = classes(np.concatenate(images)).reshape(len(MIRRORS), -1).min(axis=0)
    return np.unique(found, return_inverse=True)[1]


def lookalikes(expressions, *, correlation=0.999):
    """Number the functions such that those that are nearly a multiple of each other have one number.

    A stricter `mirror_groups`: f and g are alike if f(z) and g(z), or f(z) and g(-z), have a larger
    correlation over z ~ N(0, 1), of either sign; what is like a third is in its group too.

    Parameters
    ----------
    expressions : sequence of Expression, length n
    correlation : float
        Between 0 and 1.

    Returns
    -------
    ndarray, shape (n,), int

    Raises
    ------
    ValueError
        For a `correlation` that is not between 0 and 1.

    Examples
    --------
    >>> from selfgated.search import parse
    >>> texts = "gelu(x)", "x*sigmoid(1.702*x)", "1 - 2*gelu(-x)", "x"
    >>> lookalikes([parse(text) for text in texts]).tolist()
    [0, 0, 0, 1]
    """
    if not 0 < correlation < 1:
        raise ValueError(f"correlation must be between 0 and 1, not {correlation!r}")
    expressions = list(expressions)
    z = torch.from_numpy(stats.norm.ppf((np.arange(POINTS) + 0.5) / POINTS))
    chunks = [expressions[start : start + CHUNK] for start in range(0, len(expressions), CHUNK)]
    values = np.concatenate([_planned(chunk, z.repeat(len(chunk), 1)).numpy() for chunk in chunks])
    usable = np.isfinite(values).all(axis=1)
    values = np.where(usable[:, None], values, 0.0) / np.maximum(
        np.abs(values).max(axis=1, keepdims=True), 1e-300
    )
    values = np.where(usable[:, None], values - values.mean(axis=1, keepdims=True), 0.0)
    size = np.linalg.norm(values, axis=1, keepdims=True)
    values = np.where(size > 1e-12, values / np.maximum(size, 1e-12), 0.0)
    known = mirror_groups(expressions)
    links = [np.stack([np.arange(known.size), np.unique(known, return_index=True)[1][known]])]
    for start in range(0, len(values), CHUNK):
        part = values[start : start + CHUNK]
        close = (np.abs(part @ values.T) > correlation) | (np.abs(part @ values[:, ::-1].T) > correlation)
        row, column = np.nonzero(close)
        links.append(np.stack([row + start, column]))
    pairs = np.concatenate(links, axis=1)
    graph = sparse.coo_matrix((np.ones(pairs.shape[1]), pairs), shape=(known.size,) * 2)
    return csgraph.connected_components(graph, directed=False)[1]
