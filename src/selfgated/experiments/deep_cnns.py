"""Chapter 10: which activation trains a plain CNN, how deep, from which weights; which is best when mended.

Two parts on CIFAR-10. "plain": depth x activation x initialisation x learning rate, no normalisation, no
skips, with the gradient norm of every layer through training. Initialisation "unit" is "own" with gain 1 in
the first layer, which is fed by data: pre-activations then begin near variance 1. "mended": the same network
with BatchNorm, "unit" and a falling learning rate, seeds paired over the activations.

The images are those of `selfgated.experiments.cifar_source`; the tiny profile has digits instead.
"""

from dataclasses import replace
from functools import cache

import numpy as np

from selfgated import data, init, models, train
from selfgated.experiments import cifar_source

__all__ = ["BUDGET", "CIFAR", "run", "units"]

CIFAR = True

BUDGET = {"tiny": 4, "quick": 2400, "full": 430}
PLAIN = ("sigmoid", "tanh", "relu", "silu", "gelu", "mish")
MENDED = ("tanh", "relu", "leaky_relu", "silu", "hard_swish", "gelu", "mish")
INITS = {  # name: scheme and gain of the first layer
    "default": ("default", None),
    "he": ("he", None),
    "own": ("own", None),
    "unit": ("own", 1.0),
}
SIZES = {
    "tiny": {"image_size": 8, "width": 4, "steps": 6, "batch_size": 16, "n_test": 50},
    "quick": {"image_size": 16, "width": 16, "steps": 250, "batch_size": 32, "n_test": 2000},
    "full": {"image_size": 32, "width": 32, "steps": 500, "batch_size": 128, "n_test": 10000},
}
DEPTHS = {"tiny": (4,), "quick": (8, 16, 32), "full": (8, 16, 32)}
RATES = {"tiny": (0.01,), "quick": (0.01, 0.03), "full": (0.003, 0.01, 0.03)}
SEEDS = {"tiny": 1, "quick": 5, "full": 5}  # of the plain part; the mended part has twice as many
RECORDS = 5  # rows of gradient norms of a training


def units(profile):
    """Return the list of (configuration, seeds) of a profile."""
    common = {**SIZES[profile], "images": "digits" if profile == "tiny" else cifar_source()[1]}
    plain = [
        {"part": "plain", "depth": depth, "act": act, "init": name, "lr": lr, **common}
        for depth in DEPTHS[profile]
        for act in PLAIN
        for name in INITS
        for lr in RATES[profile]
    ]
    longer = {**common, "steps": 3 * common["steps"]}
    mended = [
        {
            "part": "mended",
            "depth": min(8, *DEPTHS[profile]),
            "act": act,
            "init": "unit",
            "lr": 0.05,
            **longer,
        }
        for act in MENDED
    ]
    count = SEEDS[profile]
    return [(config, tuple(range(count))) for config in plain] + [
        (config, tuple(range(first, first + count))) for config in mended for first in (0, count)
    ]


def run(config, seeds, device):
    """Train one network per seed, all of them as one; return a row for each."""
    images = _images(config["images"], config["image_size"], config["n_test"])
    mended = config["part"] == "mended"
    model = models.CNN(
        images.channels,
        len(images.classes),
        image_size=images.image_size,
        width=config["width"],
        depth=config["depth"],
        act_layer=config["act"],
        norm="batch" if mended else None,
        num_models=len(seeds),
    )
    scheme, first = INITS[config["init"]]
    init.scheme_(model, scheme, config["act"], seeds=seeds, first=first)
    every = -(-config["steps"] // (RECORDS - 1)) - 1
    result = train.fit(
        model,
        images,
        seeds=seeds,
        steps=config["steps"],
        lr=config["lr"],
        batch_size=config["batch_size"],
        schedule="cosine" if mended else "constant",
        record_every=max(every, 1),
        device=device,
        precision="bfloat16" if str(device).startswith("cuda") else "float32",
    )
    rows = result.rows()
    if not mended:
        for k, row in enumerate(rows):
            row["step"] = result.step.tolist()
            row["grad_norm"] = [
                [float(f"{value:.3g}") if np.isfinite(value) else None for value in norms]
                for norms in result.grad_norm[:, :, k]
            ]
    return rows


@cache
def _images(label, size, n_test):
    """Return the data, images reduced to `size` pixels a side by the mean of square blocks."""
    source, known = ("digits", "digits") if label == "digits" else cifar_source()
    if known != label:
        raise ValueError(f"the images at hand are {known}, not {label}")
    images = data.load(source, label=label, progress=False)
    small = replace(images, x_train=_reduce(images.x_train, size), x_test=_reduce(images.x_test, size))
    return small if n_test >= len(small.y_test) else small.subset(n_test=n_test)


def _reduce(x, size):
    n, channels, height, width = x.shape
    if (height, width) == (size, size):
        return x
    factor = height // size
    if factor * size != height or height != width:
        raise ValueError(f"{height} x {width} images cannot be reduced to {size} x {size} by square blocks")
    blocks = x.reshape(n, channels, size, factor, size, factor)
    return np.rint(blocks.mean(axis=(3, 5), dtype=np.float32)).astype(np.uint8)
