"""Chapter 15: the best functions of the table, and the known ones, in settings that the search did not see.

Each setting differs from the one before it in one thing:

- "child": the network and the task of the search, with other seeds and the test digits;
- "child, own gain": hidden weights have each function's own gain instead of He's;
- "pairs": the same task, and a CNN instead of the MLP;
- "digits": the same CNN tells the ten digits apart, which a linear network can do as well;
- "digits, BN": the CNN has BatchNorm;
- "CIFAR-10, BN": other images.

Functions share their seeds: the same split of the images, the same random weights, scaled by each function's
own gain, and the same batches. Every CNN is trained with each of `RATES`, and for each function the rate
counts that does best on validation images (see `setting`). In the quick profile every seed draws its own
training, validation and test images; in the full profile the seeds share all of CIFAR-10.
"""

from dataclasses import replace
from functools import cache
from typing import NamedTuple

import numpy as np
import torch

from selfgated import data, init, models, search, train
from selfgated.experiments import cifar_source
from selfgated.experiments.record import load
from selfgated.search import generalise
from selfgated.search.generalise import Setting, setting
from selfgated.search.table import Table, locate
from selfgated.stacked import per_network

__all__ = [
    "BUDGET",
    "CIFAR",
    "NAMED",
    "RATES",
    "SETTINGS",
    "Parts",
    "Setting",
    "candidates",
    "network",
    "parts",
    "run",
    "setting",
    "units",
]

CIFAR = True

BUDGET = {"tiny": 4, "quick": 900, "full": 300}
NAMED = {
    "swish": "x*sigmoid(x)",
    "swish, beta": "x*sigmoid(beta*x)",
    "gelu": "x*(1 + erf(x/sqrt(2)))/2",
    "mish": "x*tanh(softplus(x))",
    "relu": "max(x, 0)",
    "tanh": "tanh(x)",
    "identity": "x",
    "min(x, sin)": "min(x, sin(x))",
    "max(x, tanh)": "max(x, tanh(x))",
    "cos - x": "cos(x) - x",
}
TINY = ("swish", "relu", "identity")
GROUPS = {"quick": 10, "full": 50}  # functions of each group but the named
FIRST = 100  # seed: the table has the smaller ones
CHILD = {"child": "he", "child, own gain": "own"}  # how hidden weights are scaled
CNN = {"pairs": None, "digits": None, "digits, BN": "batch", "CIFAR-10, BN": "batch"}  # the norm
SETTINGS = {
    "tiny": (*CHILD, *CNN),
    "quick": (*CHILD, *CNN),
    "full": ("child", "CIFAR-10, BN"),
}
SEEDS = {"tiny": (2, 2), "quick": (10, 6), "full": (10, 5)}  # of the child network; of a CNN
RATES = (0.004, 0.01)
BLOCK = {"tiny": 2, "quick": 30, "full": 4}  # functions that are trained as one
SIZES = {
    "tiny": {"width": 3, "depth": 3, "steps": 3, "batch_size": 16},
    "quick": {"width": 8, "depth": 6, "steps": 200, "batch_size": 32},
    "full": {"width": 16, "depth": 6, "steps": 400, "batch_size": 128},
}
LONGER = {"pairs": 1.5}  # steps, times those of the other CNNs
DIGITS = {"pixels": 8, "n_train": 1197, "n_validation": 240, "n_test": 360}
IMAGES = {  # of CIFAR-10: pixels a side; images to train on, to validate and to test
    "quick": {"pixels": 16, "n_train": 10000, "n_validation": 2000, "n_test": 2000},
    "full": {"pixels": 32, "n_train": 45000, "n_validation": 5000, "n_test": 10000},
}
STEPS = {"tiny": 5, "quick": 250, "full": 250}  # of the child network, those of the table
HE = 2**0.5
VALIDATION = 2  # stream: `Dataset.subset` has 0 and 1


def candidates(profile):
    """Functions of a profile, each once, and the groups that it belongs to.

    Parameters
    ----------
    profile : {"tiny", "quick", "full"}

    Returns
    -------
    dict of str to list of str
        From the text of a function to its groups: "best" of the mean of all repeats of the table, "first":
        best of the first repeat alone; "random": the first different ones that a random search would draw;
        and "named". The tiny profile has named functions alone.

    Raises
    ------
    FileNotFoundError
        If there is no record of the table, but for the tiny profile.
    """
    if profile == "tiny":
        return {NAMED[name]: ["named"] for name in TINY}
    # A quick record must not depend on whether a full one is there.
    record = load("activation_search", "quick" if profile == "quick" else None)
    table = Table.from_rows(record.select(gain="he"))
    count = GROUPS[profile]
    chosen = {
        "best": generalise.top(table.expressions, table.accuracy.mean(axis=0), count),
        "first": generalise.top(table.expressions, table.accuracy[0], count),
        "random": _random(table, count),
    }
    known = {table.row(text): text for text in NAMED.values() if locate(text) is not None}
    found = {}
    for group, rows in chosen.items():
        for row in map(int, rows):
            found.setdefault(known.get(row, table.expressions[row].text), []).append(group)
    for text in NAMED.values():
        found.setdefault(text, []).append("named")
    return found


def _random(table, count):
    drawn = np.random.default_rng(FIRST).permutation(search.Space(1).size)
    rows = dict.fromkeys(table.row(int(member)) for member in drawn[: 3 * count])
    return list(rows)[:count]


def units(profile):
    """Return the list of (configuration, seeds) of a profile."""
    groups = candidates(profile)
    child, cnn = (tuple(range(FIRST, FIRST + count)) for count in SEEDS[profile])
    tested = [text for text, found in groups.items() if found != ["first"]]
    blocks = [tested[i : i + BLOCK[profile]] for i in range(0, len(tested), BLOCK[profile])]
    splits = [(0, cnn)] if profile == "full" else [(seed, (seed,)) for seed in cnn]
    out = []
    for name in SETTINGS[profile]:
        if name in CHILD:
            config = _described(name, groups) | {"steps": STEPS[profile]}
            out += [(config, (seed,)) for seed in child]
            continue
        sizes = dict(SIZES[profile])
        sizes["steps"] = round(sizes["steps"] * LONGER.get(name, 1))
        if name == "pairs":
            sizes["images"] = "pairs"
        elif profile == "tiny" or "CIFAR" not in name:
            sizes |= DIGITS | {"images": "digits"}
        else:
            sizes |= IMAGES[profile] | {"images": cifar_source()[1]}
        out += [
            (_described(name, {t: groups[t] for t in block}) | {"split": split, "lr": lr} | sizes, seeds)
            for split, seeds in splits
            for lr in RATES
            for block in blocks
        ]
    return out


def _described(name, groups):
    return {"setting": name, "functions": list(groups), "groups": list(groups.values())}


def run(config, seeds, device):
    """Train one network for each function and seed, as one; return a row for each seed.

    A row holds lists in the order of its functions: ``accuracy`` and ``loss`` on the test images,
    ``diverged_at``, where hidden weights have own gains ``gain`` (None for a function that has none and gets
    He's), and for a CNN ``validation``, the accuracy on the validation images. A network that diverged has
    the accuracy of chance.
    """
    texts = config["functions"]
    gains = [_gain(text) for text in texts]
    if config["setting"] in CHILD:
        gain = CHILD[config["setting"]]
        child = {"expressions": texts, "part": "test", "gain": gain, "steps": config["steps"]}
        rows = search.run(child, seeds, device)
        return [row | {"gain": gains} for row in rows] if gain == "own" else rows
    images = parts(config)
    model = network(config, seeds)
    fitted = train.fit(
        model,
        images.fitting,
        seeds=list(seeds) * len(texts),
        steps=config["steps"],
        lr=config["lr"],
        batch_size=config["batch_size"],
        optimizer="adam",
        schedule="cosine",
        device=device,
    )
    if fitted.interrupted:
        raise KeyboardInterrupt("the networks were not trained to the end")
    tested = train.evaluate(model, images.testing)
    dead = (fitted.diverged_at >= 0) | ~np.isfinite(tested.loss)
    chance = 1 / images.classes
    columns = {
        "accuracy": np.where(dead, chance, tested.accuracy),
        "validation": np.where(dead, chance, fitted.test_accuracy),
        "loss": np.where(dead, np.nan, tested.loss),
        "diverged_at": np.where(dead & (fitted.diverged_at < 0), fitted.steps, fitted.diverged_at),
    }
    columns = {name: values.reshape(len(texts), len(seeds)) for name, values in columns.items()}
    return [
        {name: v[:, k].tolist() for name, v in columns.items()} | {"gain": gains} for k in range(len(seeds))
    ]


def network(config, seeds):
    """Return the untrained CNNs of a unit: K = functions x seeds, the seeds of the first function first.

    With one seed all functions have the same random weights. Those of the first layer have gain 1 and those
    of the next ones the function's own, so that pre-activations begin with variance 1 (chapter 10); the head
    has gain 1.
    """
    expressions = [search.parse(text) for text in config["functions"]]
    everyone = [expression for expression in expressions for _ in seeds]
    images, count = parts(config), len(everyone)
    model = models.CNN(
        images.channels,
        images.classes,
        image_size=images.size,
        width=config["width"],
        depth=config["depth"],
        act_layer=lambda: search.Activations(everyone, num_channels=config["width"]),
        norm=CNN[config["setting"]],
        num_models=count,
    )
    init.scheme_(model, "xavier", seeds=list(seeds) * len(expressions), first=1.0)
    gains = torch.tensor([_gain(text) or HE for text in config["functions"] for _ in seeds])
    with torch.no_grad():
        for block in model.blocks[1:]:
            per_network(block.layer.weight, count).mul_(gains.view(-1, 1))
    return model


@cache
def _gain(text):
    return search.own_gain(search.parse(text))


class Parts(NamedTuple):
    """Images to train and validate on, as `train.fit` takes them, those to test on, and their kind."""

    fitting: data.Dataset | tuple
    testing: data.Dataset | tuple
    channels: int
    size: tuple
    classes: int


def parts(config):
    """Return the `Parts` of a configuration, whose split decides which images are in which part."""
    if config["images"] == "pairs":
        return _pairs(config["split"])
    keys = ("images", "pixels", "n_train", "n_validation", "n_test", "split")
    return _parts(*(config[key] for key in keys))


@cache
def _pairs(seed):
    """The pairs of the search, each as an image of two channels."""
    known, new = (search.parity_pairs(seed, part) for part in ("validation", "test"))
    side = (2, 8, 8)
    fitting = (known.x_train.unflatten(1, side), known.y_train, known.x_test.unflatten(1, side), known.y_test)
    return Parts(fitting, (new.x_test.unflatten(1, side), new.y_test), 2, (8, 8), 2)


@cache
def _parts(label, pixels, n_train, n_validation, n_test, split):
    whole = _images(label, pixels, split if label == "digits" else 0)
    whole = whole.subset(n_train + n_validation, n_test, seed=split)
    held = np.zeros(len(whole.y_train), dtype=bool)
    held[data.stratified(whole.y_train, n_validation, seed=(split, VALIDATION))] = True
    fitting = replace(
        whole,
        x_train=whole.x_train[~held],
        y_train=whole.y_train[~held],
        x_test=whole.x_train[held],
        y_test=whole.y_train[held],
    )
    testing = replace(fitting, x_test=whole.x_test, y_test=whole.y_test)
    return Parts(fitting, testing, whole.channels, whole.image_size, len(whole.classes))


@cache
def _images(label, pixels, split):
    """The data, images reduced to `pixels` a side by the mean of square blocks."""
    if label == "digits":
        return data.load("digits", split_seed=split)
    source, known = cifar_source()
    if known != label:
        raise ValueError(f"the images at hand are {known}, not {label}")
    images = data.load(source, label=label, progress=False)
    return replace(images, x_train=_reduce(images.x_train, pixels), x_test=_reduce(images.x_test, pixels))


def _reduce(x, pixels):
    n, channels, height, _ = x.shape
    factor = height // pixels
    if factor == 1:
        return x
    blocks = x.reshape(n, channels, pixels, factor, pixels, factor)
    return np.rint(blocks.mean(axis=(3, 5), dtype=np.float32)).astype(np.uint8)
