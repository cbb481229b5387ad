"""Chapter 09: how fast gradients shrink or grow with depth before any training, measured and predicted.

Three parts. "decay" measures the factor on the gradient per layer, in fully connected and in convolutional
networks, with `expected` beside it. "pair" follows the correlation of two inputs through the layers. "dead"
counts ReLU units that are off for every image, in networks that were never trained.
"""

import math
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from selfgated import catalog, data, init, kernels, moments
from selfgated.models import CNN, MLP
from selfgated.sweep import grid

__all__ = [
    "ACTS",
    "BUDGET",
    "averaging",
    "digits_28",
    "expected",
    "network",
    "pair_gaps",
    "rate",
    "relu_states",
    "run",
    "sigma_w2",
    "signals",
    "units",
]

BUDGET = {"tiny": 8, "quick": 240, "full": 200}
ACTS = tuple(name for name in catalog.names() if name != "swish")  # swish with beta = 1 is silu
KINDS = ("fc", "circular", "zeros")
WIDTHS = (256,) * 9 + (128,)  # of the network whose dead units are counted


def sigma_w2(act, scheme):
    """fan_in Var(w) of a scheme of `init.scheme_`.

    Parameters
    ----------
    act, scheme : str

    Returns
    -------
    float

    Raises
    ------
    ValueError
        For an unknown scheme.

    Examples
    --------
    >>> sigma_w2("tanh", "he")
    2.0
    """
    if scheme == "own":
        return moments.forward_gain(act) ** 2
    fixed = {"default": 1 / 3, "xavier": 1.0, "he": 2.0}
    if scheme not in fixed:
        raise ValueError(f"unknown scheme {scheme!r}; choose from {list(init.SCHEMES)}")
    return fixed[scheme]


def network(kind, act, scheme, depth, *, width, seeds, size=8):
    """K untrained networks in float64 with inputs N(0, 1) to feed them.

    Parameters
    ----------
    kind : {"fc", "circular", "zeros"}
        Fully connected, or 3x3 convolutions with this padding, on maps of `size` x `size` from the first on.
    act, scheme : str
        As `init.scheme_` has them.
    depth, width : int
        Layers with an activation; their units or channels, also those of the input.
    seeds : sequence of int
        Network k and its inputs depend on ``seeds[k]`` alone.

    Returns
    -------
    model : MLP or CNN
    x : tensor, (K, 8, width) or (K, 2, width, 2 size, 2 size)

    Raises
    ------
    ValueError
        For an unknown kind, or as `init.scheme_`.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown kind {kind!r}; choose from {list(KINDS)}")
    options = {"width": width, "depth": depth, "act_layer": act, "num_models": len(seeds)}
    if kind == "fc":
        model, shape = MLP(width, 10, **options), (8, width)
    else:
        model = CNN(width, 10, image_size=2 * size, padding_mode=kind, **options)
        shape = (2, width, 2 * size, 2 * size)
    model = model.double()
    init.scheme_(model, scheme, act, seeds=list(seeds))
    draws = [np.random.default_rng([seed, 1]).standard_normal(shape) for seed in seeds]
    return model, torch.from_numpy(np.stack(draws))


def signals(model, x, *, seeds):
    """Variance of the pre-activations and size of the gradient, layer by layer, for K networks as one.

    The gradient is that of a random combination of the outputs.

    Parameters
    ----------
    model : MLP or CNN
    x : tensor
        As `network` gives it.
    seeds : sequence of int
        Of the combinations.

    Returns
    -------
    q, delta : ndarray, shape (K, depth)
        Mean square of z_l, and root-mean-square of dL/dz_l, over samples and units.
    """
    found = []

    def keep(_, inputs):
        inputs[0].retain_grad()
        found.append(inputs[0])

    hooks = [block.act.register_forward_pre_hook(keep) for block in model.blocks]
    try:
        y = model(x)
        y = y if model.num_models > 1 or y.dim() == 3 else y.unsqueeze(0)
        draws = [np.random.default_rng([seed, 2]).standard_normal(y.shape[1:]) for seed in seeds]
        (y * torch.from_numpy(np.stack(draws)).to(y)).sum().backward()
    finally:
        for hook in hooks:
            hook.remove()
        model.zero_grad(set_to_none=True)

    def mean_square(t):  # (K, N, width), (N, width) or (N, K channels, H, W)
        t = t.detach().square()
        if t.dim() == 4:
            t = t.unflatten(1, (model.num_models, -1)).transpose(0, 1)
        return t.reshape(model.num_models, -1).mean(1)

    q = torch.stack([mean_square(z) for z in found], dim=1)
    delta = torch.stack([mean_square(z.grad) for z in found], dim=1).sqrt()
    return q.cpu().numpy(), delta.cpu().numpy()


def rate(delta):
    """Factor on the gradient per layer: (delta_1 / delta_depth)^(1 / (depth - 1)).

    Parameters
    ----------
    delta : ndarray, shape (..., depth)
        Sizes of dL/dz_l.

    Returns
    -------
    ndarray, shape (...)

    Examples
    --------
    >>> float(rate(np.array([0.25, 0.5, 1.0])))
    0.5
    """
    return (delta[..., 0] / delta[..., -1]) ** (1 / (delta.shape[-1] - 1))


def averaging(size, *, padding="zeros"):
    """What a 3-tap convolution does to a variance along one dimension: the mean of three neighbours.

    Parameters
    ----------
    size : int
    padding : {"zeros", "circular"}
        What is beyond the border: no variance, or the other end.

    Returns
    -------
    ndarray, shape (size, size)

    Examples
    --------
    >>> (3 * averaging(4)).astype(int).tolist()
    [[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 1], [0, 0, 1, 1]]
    """
    matrix = sum(np.eye(size, k=k) for k in (-1, 0, 1))
    if padding == "circular":
        matrix[0, -1] = matrix[-1, 0] = 1
    return matrix / 3


def expected(kind, act, scheme, depth, *, width, size=8):
    """Mean-field prediction for `network`: variances in each layer and the factor on the gradient per layer.

    Parameters
    ----------
    kind, act, scheme, depth, width, size
        As for `network`.

    Returns
    -------
    q : ndarray, shape (depth,)
        Variance of z_l; for zero padding, its mean over the map.
    rate : float

    Notes
    -----
    With zero padding the variance is a map: each layer averages it over 3 x 3 neighbours, those beyond the
    border being 0, and so does the gradient on its way back. `moments.propagate` does the same for a single
    number.
    """
    weight = sigma_w2(act, scheme)
    fan_in = width * (1 if kind == "fc" else 9)
    bias = 1 / (3 * fan_in) if scheme == "default" else 0.0
    if kind != "zeros":
        found = moments.propagate(act, depth, weight, q0=1.0, sigma_b2=bias)
        return found.q, found.rate
    mean = averaging(size)
    first = np.ones(size)
    first[0] = 2 / 3  # the first convolution has stride 2: its windows begin one pixel before the border
    maps = [weight * np.outer(first, first) + bias]
    for _ in range(depth - 1):
        maps.append(weight * mean @ _each(act, maps[-1], 0) @ mean.T + bias)
    # The head is linear in all features: dL/dz of the last layer has the variance of f'.
    gradient = _each(act, maps[-1], 1)
    last = gradient.mean()
    for q in reversed(maps[:-1]):
        gradient = weight * mean.T @ gradient @ mean * _each(act, q, 1)
    return np.array([q.mean() for q in maps]), float((gradient.mean() / last) ** (1 / (2 * (depth - 1))))


def _each(act, q, order):
    """E f^2 or E f'^2 at each variance of a map; equal ones are computed once."""
    rounded = [float(f"{value:.13g}") for value in q.ravel()]
    values, where = np.unique(rounded, return_inverse=True)
    return np.array([moments.moment(act, order=order, q=value) for value in values])[where].reshape(q.shape)


def pair_gaps(act, weight, bias, *, q, width, depth, start, seeds):
    """One minus the correlation of two inputs in each layer of wide networks.

    Parameters
    ----------
    act : str
    weight, bias : float
        sigma_w^2 and sigma_b^2.
    q : float
        Variance of the first pre-activations.
    width, depth : int
    start : float
        One minus the correlation in the first layer.
    seeds : sequence of int

    Returns
    -------
    ndarray, shape (len(seeds), depth)
        Averaged over 8 pairs.
    """
    f = getattr(kernels, act)
    rows = []
    for seed in seeds:
        rng = np.random.default_rng([seed, 3])
        first, other = rng.standard_normal((2, width, 8))
        other -= first * (first * other).sum(0) / (first * first).sum(0)
        first, other = (v * np.sqrt(width / (v * v).sum(0)) for v in (first, other))
        second = (1 - start) * first + math.sqrt(start * (2 - start)) * other
        z = math.sqrt(q) * np.hstack([first, second])  # (width, 16)
        gaps = []
        for layer in range(depth):
            if layer:
                w = rng.standard_normal((width, width)) * math.sqrt(weight / width)
                z = w @ f(z) + math.sqrt(bias) * rng.standard_normal((width, 1))
            unit = z / np.sqrt((z * z).sum(0))
            # |u - v|^2 = 2 (1 - c) keeps the digits of a small gap.
            gaps.append(float(((unit[:, :8] - unit[:, 8:]) ** 2).sum(0).mean() / 2))
        rows.append(gaps)
    return np.array(rows)


def digits_28():
    """The 1797 digits of scikit-learn, each pixel enlarged until the image has 28 x 28, scaled to [-1, 1].

    Returns
    -------
    tensor, shape (1797, 784), float32
    """
    digits = data.load("digits")
    images = np.concatenate([digits.x_train, digits.x_test])[:, 0] / 8.0 - 1  # values 0 to 16
    at = np.arange(28) * 8 // 28
    return torch.from_numpy(images[:, at][:, :, at].reshape(len(images), -1).astype(np.float32))


def relu_states(x, *, weights, biases, seed, scale=1.0):
    """Which ReLU units of an untrained network are off, or on, for every input.

    Linear layers of 256, ..., 256, 128 units: the network of a tutorial on dead units.

    Parameters
    ----------
    x : tensor, shape (N, 784)
    weights : {"default", "he"}
        Torch's own (uniform, sigma_w^2 = 1/3), or He's normal ones.
    biases : bool
        Torch's own, or 0.
    seed : int
    scale : float
        Multiplies all weights.

    Returns
    -------
    dict
        Lists over the ten layers: "dead" and "on" count units; "varying" is the share of the mean square of z
        that is variance between the inputs.
    """
    sizes = (x.shape[1], *WIDTHS)
    model = nn.Sequential(*(nn.Linear(a, b) for a, b in pairwise(sizes)))
    init.scheme_(model, "default", seeds=[seed])
    own = [layer.bias.detach().clone() for layer in model]
    if weights == "he":
        # Without an activation between them, scheme_ takes no layer for the last: all get He's gain.
        init.scheme_(model, "he", seeds=[seed])
    elif weights != "default":
        raise ValueError(f"unknown weights {weights!r}; choose from ['default', 'he']")
    dead, on, varying = [], [], []
    with torch.no_grad():
        for layer, bias in zip(model, own, strict=True):
            z = x @ (scale * layer.weight.T)
            z = z + bias if biases else z
            x = z.relu()
            dead.append(int((z <= 0).all(0).sum()))
            on.append(int((z > 0).all(0).sum()))
            varying.append(float(z.double().var(0, correction=0).sum() / z.double().square().mean(0).sum()))
    return {"dead": dead, "on": on, "varying": varying}


def _decay(config, seeds, device):
    options = {name: config[name] for name in ("kind", "act", "scheme", "depth", "width", "size")}
    model, x = network(**options, seeds=seeds)
    q, delta = signals(model.to(device), x.to(device), seeds=seeds)
    q_expected, rate_expected = expected(**options)
    return [
        {"rate": float(r), "expected": rate_expected, "q": float(last), "q_expected": float(q_expected[-1])}
        for r, last in zip(rate(delta), q[:, -1], strict=True)
    ]


def _pair(config, seeds, device):
    gaps = pair_gaps(
        config["act"],
        config["weight"],
        config["bias"],
        q=config["q"],
        width=config["width"],
        depth=config["depth"],
        start=config["start"],
        seeds=seeds,
    )
    expected_gaps = [config["start"]]
    for _ in range(config["depth"] - 1):
        after = moments.correlation_gap(config["act"], expected_gaps[-1], config["q"], config["weight"])
        expected_gaps.append(after)
    return [{"gap": row.tolist(), "expected": expected_gaps} for row in gaps]


def _dead(config, seeds, device):
    if config["images"] == "digits":
        x = digits_28()
    else:
        x = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (2000, 784)).astype(np.float32))
    return [relu_states(x, weights=config["weights"], biases=config["biases"], seed=seed) for seed in seeds]


def run(config, seeds, device):
    """One unit: a list of results, one per seed."""
    return {"decay": _decay, "pair": _pair, "dead": _dead}[config["part"]](config, seeds, device)


def _decays(acts, schemes, depths, kinds, *, width, size=8):
    return grid(
        part=["decay"], act=acts, scheme=schemes, depth=depths, kind=kinds, width=[width], size=[size]
    )


def _pairs(width, depth):
    cells = [("relu", 1.0), ("tanh", 0.5), ("gelu", 10.0), ("silu", 30.0)]
    common = {"part": "pair", "width": width, "depth": depth, "start": 0.5}
    found = []
    for act, q in cells:
        weight, bias = moments.edge_of_chaos(act, q)
        found.append({**common, "act": act, "q": q, "weight": weight, "bias": bias})
    return found


def _deads(images):
    return grid(part=["dead"], weights=["default", "he"], biases=[True, False], images=images)


def units(profile):
    """The units of a profile: a list of (config, seeds).

    Parameters
    ----------
    profile : {"tiny", "quick", "full"}
        "tiny" shows that all runs; "quick" is the chapter on a laptop; "full" has wider networks and more
        seeds.

    Raises
    ------
    ValueError
        For another profile.
    """
    depths = [10, 20, 50]
    if profile == "tiny":
        return [
            *(
                (c, (0, 1))
                for c in _decays(["sigmoid", "gelu"], ["default", "own"], [10], KINDS, width=8, size=4)
            ),
            *((c, (0, 1)) for c in _pairs(32, 5)),
            *((c, (0,)) for c in _deads(["digits"])[:1]),
        ]
    if profile == "quick":
        return [
            *((c, tuple(range(10))) for c in _decays(ACTS, init.SCHEMES, depths, ["fc"], width=128)),
            *((c, tuple(range(5))) for c in _decays(ACTS, init.SCHEMES, depths, KINDS[1:], width=16)),
            *((c, tuple(range(5))) for c in _pairs(512, 50)),
            *((c, tuple(range(10))) for c in _deads(["digits", "noise"])),
        ]
    if profile == "full":
        return [
            *((c, tuple(range(10))) for c in _decays(ACTS, init.SCHEMES, depths, ["fc"], width=256)),
            *((c, tuple(range(5))) for c in _decays(ACTS, init.SCHEMES, depths, KINDS[1:], width=64)),
            *((c, tuple(range(5))) for c in _pairs(1024, 100)),
            *((c, tuple(range(20))) for c in _deads(["digits", "noise"])),
        ]
    raise ValueError(f"unknown profile {profile!r}; choose from {list(BUDGET)}")
