"""Chapter 10: is Swish better than ReLU, where nothing hinders either?

Digits, a CNN of depth 6 with the activation's own gain and Adam, with and without BatchNorm. Several splits
of the images into a training and a test part, and several seeds for each split: networks that share a split
share its test images, so their differences are not independent. The seeds of one split are those of no other.

Seeds are paired over the activations: the same random numbers, scaled by each activation's gain, and the same
batches in the same order.
"""

from functools import cache

from selfgated import data, init, models, train
from selfgated.sweep import grid

__all__ = ["ACTS", "BUDGET", "run", "units"]

BUDGET = {"tiny": 6, "quick": 300, "full": 90}
ACTS = ("relu", "tanh", "leaky_relu", "silu", "hard_swish", "gelu", "mish")
NORMS = ("batch", "none")
SPLITS = {"tiny": 2, "quick": 8, "full": 10}
SEEDS = {"tiny": 2, "quick": 3, "full": 5}  # of each split
SIZES = {
    "tiny": {"width": 4, "steps": 5},
    "quick": {"width": 16, "steps": 300},
    "full": {"width": 32, "steps": 400},
}


def units(profile):
    """Return the list of (configuration, seeds) of a profile."""
    count = SEEDS[profile]
    configs = grid(split=range(SPLITS[profile]), norm=NORMS, act=ACTS)
    return [
        (
            config | SIZES[profile] | {"depth": 6, "lr": 0.003},
            tuple(range(config["split"] * count, (config["split"] + 1) * count)),
        )
        for config in configs
    ]


def run(config, seeds, device):
    """Train one network per seed, all of them as one; return a row for each."""
    images = _digits(config["split"])
    model = models.CNN(
        images.channels,
        len(images.classes),
        image_size=images.image_size,
        width=config["width"],
        depth=config["depth"],
        act_layer=config["act"],
        norm="batch" if config["norm"] == "batch" else None,
        num_models=len(seeds),
    )
    init.scheme_(model, "own", config["act"], seeds=seeds)
    result = train.fit(
        model,
        images,
        seeds=seeds,
        steps=config["steps"],
        lr=config["lr"],
        optimizer="adam",
        schedule="cosine",
        device=device,
    )
    return result.rows()


@cache
def _digits(split):
    return data.load("digits", split_seed=split)
