"""Chapter 11: what initialisation, BatchNorm, skips, clipping and Adam each mend, alone and together.

Plain and residual CNNs on digits: remedy x activation x learning rate. Beside the accuracy each row tells
what the remedy did to the signal: how much of the difference between images arrives at the last layer, how
much of the gradient arrives at the first, both as a factor per layer, and how far these two layers moved.
"""

import copy

import numpy as np
import torch
from torch.nn import functional as nnf

from selfgated import data, init, models, train

__all__ = ["ACTS", "BUDGET", "REMEDIES", "best_rate", "choices", "network", "run", "signals", "units"]

BUDGET = {"tiny": 8, "quick": 600, "full": 200}
ACTS = ("sigmoid", "tanh", "relu", "silu", "gelu", "mish")
REMEDIES = {
    "default": {},
    "clip": {"clip": 1.0},
    "Adam": {"optimizer": "adam"},
    "he": {"init": "he"},
    "he + Adam": {"init": "he", "optimizer": "adam"},
    "own": {"init": "own"},
    "own + clip": {"init": "own", "clip": 1.0},
    "own + Adam": {"init": "own", "optimizer": "adam"},
    "BN": {"norm": "batch"},
    "own + BN": {"init": "own", "norm": "batch"},
    "residual": {"residual": True},
    "own + residual": {"init": "own", "residual": True},
    "BN + residual": {"norm": "batch", "residual": True},
    "all": {"init": "own", "norm": "batch", "residual": True, "clip": 1.0, "optimizer": "adam"},
}
NONE = {"init": "default", "norm": None, "residual": False, "clip": None, "optimizer": "sgd"}
RATES = {"sgd": (0.02, 0.1), "adam": (0.001, 0.004)}
SIZES = {
    "tiny": {"width": 4, "steps": 8, "batch_size": 32},
    "quick": {"width": 16, "steps": 120, "batch_size": 64},
    "full": {"width": 16, "steps": 200, "batch_size": 64},
}
DEPTHS = {"tiny": (4,), "quick": (16,), "full": (8, 16, 32)}
SEEDS = {"tiny": 2, "quick": 5, "full": 10}
PROBE = 64  # images that `signals` looks at
EVERY = 5  # steps between two records of the gradient


def units(profile):
    """Return the list of (configuration, seeds) of a profile.

    Parameters
    ----------
    profile : {"tiny", "quick", "full"}

    Returns
    -------
    list of (dict, tuple of int)

    Raises
    ------
    ValueError
        For an unknown profile.
    """
    if profile not in SIZES:
        raise ValueError(f"unknown profile {profile!r}; choose from {list(SIZES)}")
    acts = ("sigmoid", "mish") if profile == "tiny" else ACTS
    return [
        (
            {
                "depth": depth,
                "act": act,
                "remedy": remedy,
                "rates": list(RATES[choices(remedy)["optimizer"]]),
                **SIZES[profile],
            },
            tuple(range(SEEDS[profile])),
        )
        for depth in DEPTHS[profile]
        for remedy in REMEDIES
        for act in acts
    ]


def choices(remedy):
    """Return init, norm, residual, clip and optimizer of a remedy.

    Parameters
    ----------
    remedy : str
        A key of `REMEDIES`.

    Returns
    -------
    dict

    Raises
    ------
    ValueError
        For an unknown remedy.
    """
    if remedy not in REMEDIES:
        raise ValueError(f"unknown remedy {remedy!r}; choose from {list(REMEDIES)}")
    return {**NONE, **REMEDIES[remedy]}


def network(act, remedy, *, depth, width, seeds, images=None):
    """Return the untrained CNN of a cell: one network per seed, all of them as one.

    Parameters
    ----------
    act, remedy : str
    depth, width : int
    seeds : sequence of int
    images : data.Dataset, optional
        By default the digits.

    Returns
    -------
    models.CNN
    """
    chosen = choices(remedy)
    images = data.load("digits") if images is None else images
    model = models.CNN(
        images.channels,
        len(images.classes),
        image_size=images.image_size,
        width=width,
        depth=depth,
        act_layer=act,
        norm=chosen["norm"],
        residual=chosen["residual"],
        num_models=len(seeds),
    )
    init.scheme_(model, chosen["init"], act, seeds=seeds)
    return model


def run(config, seeds, device):
    """Train one network per seed and learning rate, all of them as one; return a row for each seed.

    Parameters
    ----------
    config : dict
        As `units` gives it.
    seeds : sequence of int
    device : str

    Returns
    -------
    list of dict
        ``forward``, ``backward``: factors per layer at the start, see `signals`; ``gradient``: norms of the
        gradient of the first and the last convolution and the head at step 0; ``runs``: for each learning
        rate ``lr`` what `train.Result.rows` holds, and

        - ``forward_end``, ``backward_end`` after training, None for a network that diverged;
        - ``moved``: relative change of the weights of the first and the last convolution;
        - ``largest``: largest norm of the gradient of all weights, of the recorded steps.
    """
    chosen, rates = choices(config["remedy"]), config["rates"]
    images = data.load("digits")
    everyone = [seed for _ in rates for seed in seeds]
    model = network(
        config["act"], config["remedy"], depth=config["depth"], width=config["width"], seeds=everyone
    ).to(train.resolve_device(device))
    start, before = signals(model, images), _weights(model)
    result = train.fit(
        model,
        images,
        seeds=everyone,
        steps=config["steps"],
        batch_size=config["batch_size"],
        lr=[lr for lr in rates for _ in seeds],
        optimizer=chosen["optimizer"],
        clip=chosen["clip"],
        record_every=EVERY,
        device=device,
    )
    end, after = signals(model, images), _weights(model)
    moved = [((b - a).norm(dim=1) / a.norm(dim=1)).tolist() for a, b in zip(before, after, strict=True)]
    total = np.sqrt((result.grad_norm**2).sum(axis=1))  # (R, K)
    runs = result.rows()
    for k, row in enumerate(runs):
        for name in ("forward", "backward"):
            row[f"{name}_end"] = _plain(end[name][k]) if row["diverged_at"] < 0 else None
        row["moved"] = [_plain(layer[k]) for layer in moved]
        row["largest"] = _plain(np.nanmax(total[:, k]))
        row["lr"] = rates[k // len(seeds)]
        del row["seed"], row["steps"]
    return [
        {
            "seed": seed,
            "forward": _plain(start["forward"][k]),
            "backward": _plain(start["backward"][k]),
            "gradient": [_plain(result.grad_norm[0, i, k]) for i in (0, -2, -1)],
            "runs": runs[k :: len(seeds)],
        }
        for k, seed in enumerate(seeds)
    ]


def signals(model, images, *, count=PROBE):
    """Measure what a layer does to the difference between images, and to the gradient.

    With z_l the pre-activations (after BatchNorm, if any) of block l = 1..L and L the loss: s_l is the
    standard deviation of z_l over the images, root mean square over the units; d_l the norm of dL/dz_l.

    Parameters
    ----------
    model : models.CNN or models.MLP
    images : data.Dataset
    count : int
        The first images of the training part are looked at, in training mode.

    Returns
    -------
    dict
        ``spread`` and ``delta``: s and d, (L, K); ``forward`` = (s_L / s_1)^(1/(L-1)) and ``backward`` =
        (d_1 / d_L)^(1/(L-1)), (K,). In float64, on a copy: the model stays as it is.
    """
    model = copy.deepcopy(model).double().train()
    device = next(model.parameters()).device
    mean, std = (np.reshape(m, (-1, 1, 1)) for m in (images.mean, images.std))
    x = torch.tensor((images.x_train[:count] - mean) / std, dtype=torch.float64, device=device)
    y = torch.tensor(images.y_train[:count], device=device)
    kept = []
    for block in model.blocks:
        block.act.register_forward_pre_hook(lambda _, args: kept.append(args[0]))
    output = model(x).reshape(model.num_models, len(x), -1)
    loss = nnf.cross_entropy(output.flatten(0, 1), y.repeat(model.num_models), reduction="sum") / len(x)
    deltas = torch.autograd.grad(loss, kept)
    spread = [_by_network(z.detach(), model.num_models).var(dim=1).mean(-1).sqrt() for z in kept]
    delta = [_by_network(d, model.num_models).flatten(1).norm(dim=1) for d in deltas]
    spread, delta = (torch.stack(part).cpu().numpy() for part in (spread, delta))  # (L, K)
    power = 1 / max(len(kept) - 1, 1)
    with np.errstate(all="ignore"):
        forward, backward = (spread[-1] / spread[0]) ** power, (delta[0] / delta[-1]) ** power
    return {"spread": spread, "delta": delta, "forward": forward, "backward": backward}


def best_rate(rows):
    """Pick one learning rate: that with the smallest median training loss, the smaller one of equals.

    The test images have no say. The loss of a network that diverged counts as infinite. A mean would be
    decided by single spikes of the loss.

    Parameters
    ----------
    rows : list of dict
        Of one cell, as `run` returns them.

    Returns
    -------
    list of dict
        A row for each seed, in their order: what the run at that rate found is at the top level.
    """
    losses = np.array([[run["train_loss"] for run in row["runs"]] for row in rows], np.float64)
    best = int(np.median(np.where(np.isnan(losses), np.inf, losses), axis=0).argmin())  # (seeds, rates)
    return sorted(({**row, **row["runs"][best]} for row in rows), key=lambda row: row["seed"])


def _by_network(t, num_models):
    """(N, K C, ...), (K, N, C) or (N, C) as (K, N, features)."""
    if num_models > 1 and t.dim() == 3:
        return t
    return t.reshape(len(t), num_models, -1).transpose(0, 1)


def _weights(model):
    """Weights of the first and last convolution, each (K, -1), copied."""
    ends = (model.blocks[0].layer.weight, model.blocks[-1].layer.weight)
    return [w.detach().reshape(model.num_models, -1).double().clone() for w in ends]


def _plain(value):
    """Four digits of a number, None if it is not finite."""
    return float(f"{value:.4g}") if np.isfinite(value) else None
