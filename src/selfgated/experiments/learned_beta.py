"""Chapter 13: where the betas of Swish go, one a channel, when they are learned.

Small CNNs whose betas start at several values, all else equal: with and without BatchNorm, Adam or SGD, a
larger learning rate of beta, weight decay on beta. Beside them the same networks with fixed betas, with ReLU,
and with a BatchNorm that has no scale to learn. All starts and seeds of a setting are trained as one.

Seeds are paired over starts and settings: the same random weights, scaled by the gain of each start, and the
same batches in the same order.
"""

from functools import cache, partial

import numpy as np
import torch

from selfgated import data, experiments, init, models, moments, train
from selfgated.experiments.record import Record
from selfgated.modules import get_act_layer
from selfgated.stacked import per_network

__all__ = [
    "BUDGET",
    "CIFAR",
    "EDGES",
    "SETTINGS",
    "fit",
    "network",
    "networks",
    "preactivations",
    "run",
    "units",
]

BUDGET = {"tiny": 6, "quick": 250, "full": 80}
CIFAR = True  # the full profile alone
PLAIN = {
    "act": "swish",
    "norm": "batch",
    "scale": True,
    "learned": True,
    "optimizer": "adam",
    "lr": 0.003,
    "factor": 1.0,
    "decay": 0.0,
    "longer": 1,
}
SETTINGS = {
    "BN, Adam": {},
    "BN, SGD": {"optimizer": "sgd", "lr": 0.05},
    "no BN, Adam": {"norm": None},
    "no BN, SGD": {"norm": None, "optimizer": "sgd", "lr": 0.05},
    "rate x10": {"factor": 10.0, "longer": 3},
    "decay": {"decay": 0.5},
    "fixed": {"learned": False},
    "no scale": {"scale": False},
    "fixed, no scale": {"learned": False, "scale": False},
    "ReLU": {"act": "relu"},
    "ReLU, no scale": {"act": "relu", "scale": False},
}
PAIRED = ("BN, Adam", "fixed", "no scale", "fixed, no scale", "ReLU", "ReLU, no scale")
STARTS = (0.0, 0.25, 1.0, 2.0)
SIZES = {
    "tiny": {"width": 4, "depth": 2, "steps": 6},
    "quick": {"width": 16, "depth": 4, "steps": 500},
    "full": {"width": 16, "depth": 6, "steps": 1000},
}
SEEDS = {"tiny": (2, 2), "quick": (10, 5), "full": (10, 5)}  # of the settings in PAIRED; of the others
RECORDS = 10  # of the betas in a run, and one before the first step
PROBE = 512  # images whose pre-activations are looked at
EDGES = np.linspace(-8, 8, 41)  # of the histograms of the networks that start at 1


def units(profile):
    """Return the list of (configuration, seeds) of a profile: a unit is a setting with all its starts."""
    out = []
    for setting, changes in SETTINGS.items():
        only_one = changes.get("act") == "relu" or not changes.get("scale", True)
        starts = [1.0] if only_one else [0.0, 1.0] if profile == "tiny" else list(STARTS)
        seeds = tuple(range(SEEDS[profile][setting not in PAIRED]))
        out.append(({"data": "digits", "setting": setting, "starts": starts, **SIZES[profile]}, seeds))
    if profile == "full":
        for setting in ("BN, Adam", "rate x10"):
            config = {"data": "cifar", "setting": setting, "starts": list(STARTS), **SIZES[profile]}
            out.append((config, tuple(range(5))))
    return out


def network(config, seeds):
    """Return the untrained CNNs of a setting: K = starts x seeds as one, the seeds of the first start first.

    Parameters
    ----------
    config : dict
        With data, setting, starts, width, depth.
    seeds : sequence of int

    Returns
    -------
    models.CNN
    """
    chosen, images = _choices(config["setting"]), _images(config["data"])
    act_layer = "relu"
    if chosen["act"] == "swish":
        options = {"num_parameters": config["width"], "learnable": chosen["learned"]}
        act_layer = get_act_layer("swish", native=True, **options)
    everyone = [seed for _ in config["starts"] for seed in seeds]
    model = models.CNN(
        images.channels,
        len(images.classes),
        image_size=images.image_size,
        width=config["width"],
        depth=config["depth"],
        act_layer=act_layer,
        norm=chosen["norm"],
        num_models=len(everyone),
    )
    init.scheme_(model, "own", "relu", seeds=everyone)
    starts = [start for start in config["starts"] for _ in seeds]
    with torch.no_grad():
        for block in model.blocks:
            if chosen["norm"] and not chosen["scale"]:
                block.norm.weight.requires_grad_(False)
            if chosen["act"] == "relu":
                continue
            for k, start in enumerate(starts):
                gain = moments.forward_gain("swish", beta=start) / moments.forward_gain("relu")
                per_network(block.layer.weight, len(everyone))[k] *= gain
                per_network(block.act.beta, len(everyone))[k] = start
    return model


def fit(model, config, seeds, device="auto", steps=None):
    """Train the networks of `network`, and watch their betas.

    Parameters
    ----------
    model, config, seeds
        As for `network`.
    device : str
    steps : int, optional
        By default those of the configuration.

    Returns
    -------
    result : train.Result
    step : list of int
        Steps done at each record.
    betas : ndarray (records, layers, K, width)
        None if none is learned.
    """
    chosen = _choices(config["setting"])
    steps = config["steps"] * chosen["longer"] if steps is None else steps
    at = sorted({round(steps * i / RECORDS) for i in range(RECORDS + 1)})
    seen, calls = [], []

    def look(*_):
        if model.training and len(calls) in at:
            seen.append(_betas(model))
        calls.append(1)

    handle = model.register_forward_pre_hook(look)
    try:
        result = train.fit(
            model,
            _images(config["data"]),
            seeds=[seed for _ in config["starts"] for seed in seeds],
            steps=steps,
            lr=chosen["lr"],
            optimizer=chosen["optimizer"],
            weight_decay=chosen["decay"],
            no_decay=("weight", "bias"),
            lr_factors={"beta": chosen["factor"]} if chosen["factor"] != 1 else None,
            device=device,
        )
    finally:
        handle.remove()
    seen = [*seen[: len(at) - 1], _betas(model)]
    return result, at, None if seen[0] is None else np.array(seen)


@torch.no_grad()
def preactivations(model, images, *, count=PROBE):
    """Return what each activation of a trained network receives, for the first training images.

    Parameters
    ----------
    model : models.CNN
        Looked at in evaluation mode.
    images : data.Dataset
    count : int

    Returns
    -------
    list of torch.Tensor (K, width, images x places)
        One for each layer.
    """
    device, kept = next(model.parameters()).device, []
    mean, std = (np.reshape(m, (-1, 1, 1)) for m in (images.mean, images.std))
    x = torch.tensor((images.x_train[:count] - mean) / std, dtype=torch.float32, device=device)
    handles = [
        block.act.register_forward_pre_hook(lambda _, args: kept.append(args[0])) for block in model.blocks
    ]
    was = model.training
    try:
        model.eval()(x)
    finally:
        model.train(was)
        for handle in handles:
            handle.remove()
    return [z.transpose(0, 1).flatten(1).unflatten(0, (model.num_models, -1)) for z in kept]


def run(config, seeds, device):
    """Train a network per start and seed, all of them as one; return a row for each seed.

    Parameters
    ----------
    config : dict
        As `units` gives it.
    seeds : sequence of int
    device : str

    Returns
    -------
    list of dict
        ``label`` of the data, ``step`` of the records, and ``runs``: for each start what `train.Result.rows`
        holds, and

        - ``trace``: deciles 1, 5 and 9 of beta over the channels, (records, layers, 3);
        - ``beta`` and ``spread``: after training, (layers, width); spread is the standard deviation of the
          pre-activations of a channel;
        - ``below``, ``bump``, ``small``: share of pre-activations below -5, in [-5, 0], in [-1, 0], of each
          layer;
        - ``density``: histograms over `EDGES`, (layers, 40), for the start 1 alone.
    """
    model, images = network(config, seeds), _images(config["data"])
    result, step, betas = fit(model, config, seeds, device)
    runs = result.rows()
    spread, shares, density = _looked_at(preactivations(model, images))
    for k, row in enumerate(runs):
        row["start"] = config["starts"][k // len(seeds)]
        row["spread"] = _digits(spread[:, k], 3)
        row |= {name: _digits(share[:, k]) for name, share in shares.items()}
        if betas is not None:
            row["beta"] = _digits(betas[-1, :, k])
            deciles = np.quantile(betas[:, :, k], (0.1, 0.5, 0.9), axis=-1)  # (3, records, layers)
            row["trace"] = _digits(np.moveaxis(deciles, 0, -1), 3)
        if row["start"] == 1:
            row["density"] = _digits(density[:, k], 3)
        del row["seed"], row["steps"]
    return [
        {"seed": seed, "label": images.label, "step": step, "runs": runs[i :: len(seeds)]}
        for i, seed in enumerate(seeds)
    ]


def networks(found):
    """Return a record with a row for each network, out of one with a row for each seed.

    Parameters
    ----------
    found : record.Record

    Returns
    -------
    record.Record
        Its rows have data, setting, label, start, seed, step and what `run` tells of each network.
    """
    keep = ("data", "setting", "label", "seed", "step")
    rows = [{name: row[name] for name in keep} | one for row in found.rows for one in row["runs"]]
    return Record(found.meta, tuple(rows))


def _choices(setting):
    if setting not in SETTINGS:
        raise ValueError(f"unknown setting {setting!r}; choose from {list(SETTINGS)}")
    return PLAIN | SETTINGS[setting]


@cache
def _images(name):
    return data.load("digits" if name == "digits" else experiments.cifar_source()[0])


def _betas(model):
    """(layers, K, width), or None."""
    K = model.num_models
    if not isinstance(getattr(model.blocks[0].act, "beta", None), torch.nn.Parameter):
        return None
    return torch.stack([per_network(b.act.beta.detach(), K) for b in model.blocks]).double().cpu().numpy()


def _looked_at(layers):
    """Spread (L, K, width), shares of each kind (L, K), histograms (L, K, bins)."""
    spread = torch.stack([z.std(dim=-1) for z in layers]).cpu().numpy()
    limits = {"below": (-np.inf, -5), "bump": (-5, 0), "small": (-1, 0)}
    shares = {
        name: torch.stack([((z >= a) & (z <= b)).double().mean((1, 2)) for z in layers]).cpu().numpy()
        for name, (a, b) in limits.items()
    }
    count = partial(np.histogram, bins=EDGES)
    density = [[count(z.flatten())[0] / (z.size * np.diff(EDGES)) for z in zs.cpu().numpy()] for zs in layers]
    return spread, shares, np.array(density)


def _digits(values, digits=4):
    """Nested lists of numbers with a few significant digits; None where not finite."""
    if np.ndim(values):
        return [_digits(value, digits) for value in values]
    return float(f"{values:.{digits}g}") if np.isfinite(values) else None
