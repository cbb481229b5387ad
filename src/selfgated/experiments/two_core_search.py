"""Chapter 15: random functions of one, two and three core units, and live searches of two core units.

The draws tell whether complicated functions do worse than simple ones. The searches train every candidate
when it is asked for, as `selfgated search` does; fresh seeds on the test digits judge the best of each.
"""

import tempfile
from functools import lru_cache

import numpy as np

from selfgated import search
from selfgated.search import strategies
from selfgated.search.canonical import TOLERANCE, bounded
from selfgated.sweep import grid

__all__ = ["BUDGET", "EVOLUTION", "draw", "run", "units"]

BUDGET = {"tiny": 5, "quick": 600, "full": 300}
STEPS = {"tiny": 4, "quick": 250, "full": 250}
BLOCK = {"tiny": 4, "quick": 250, "full": 1000}  # functions drawn, and trained as one
BLOCKS = {"tiny": (1, 1, 1), "quick": (2, 2, 1), "full": (2, 2, 2)}  # of one, two and three core units
DRAW_SEEDS = {"tiny": 1, "quick": 1, "full": 3}
SEARCH = {
    "tiny": {"evaluations": 6, "batch": 3, "top": 2, "fresh": 2},
    "quick": {"evaluations": 240, "batch": 20, "top": 5, "fresh": 5},
    "full": {"evaluations": 1000, "batch": 50, "top": 10, "fresh": 10},
}
RUNS = {"tiny": 1, "quick": 3, "full": 5}
EVOLUTION = {"population": 40, "tournament": 10}  # small enough to have descendants within 240 evaluations
FRESH = 100  # the first seed of the retest
REFERENCES = ("x*sigmoid(x)", "max(x, 0)")


def units(profile):
    """Return the list of (configuration, seeds) of a profile."""
    steps = STEPS[profile]
    drawn = [
        {"kind": "draw", "cores": cores, "block": block, "size": BLOCK[profile], "steps": steps}
        for cores, blocks in enumerate(BLOCKS[profile], start=1)
        for block in range(blocks)
    ]
    found = grid(kind="search", cores=2, strategy=["random", "evolution"], steps=steps)
    return [
        *((config, range(DRAW_SEEDS[profile])) for config in drawn),
        # A search each, so that a record that was broken off repeats one search at most.
        *((config | SEARCH[profile], (seed,)) for config in found for seed in range(RUNS[profile])),
    ]


def run(config, seeds, device):
    """Score a draw with children of each seed, or search with strategies of each seed.

    A row of a draw has the lists ``index`` (numbers in the space of so many core units), ``accuracy``,
    ``loss`` and ``diverged_at``. A row of a search has ``scores`` of all evaluations by children of seed 0,
    and of the best ``index``, ``expression``, ``found`` and ``retest``, (functions, seeds); Swish and ReLU
    stand beside them as ``references`` and ``references_found``.
    """
    one = _draw if config["kind"] == "draw" else _search
    return [one(config, seed, device) for seed in seeds]


@lru_cache(maxsize=4)
def draw(cores, count):
    """Members of a space, drawn with equal chances; what equals an earlier one, by value, is left out.

    Parameters
    ----------
    cores, count : int

    Returns
    -------
    tuple of int, length `count`
        Numbers in ``Space(cores)``; a larger count begins with those of a smaller one.
    """
    space, random = search.Space(cores), np.random.default_rng(cores)
    chosen, values = [], []
    while len(chosen) < count:
        choice = tuple(int(random.integers(options)) for options in space.sizes)
        value = bounded(search.fingerprint(space.expression(choice)))
        if not chosen or np.abs(np.array(values) - value).max(axis=1).min() > TOLERANCE:
            chosen.append(space.index(choice))
            values.append(value)
    return tuple(chosen)


def _draw(config, seed, device):
    space, last = search.Space(config["cores"]), (config["block"] + 1) * config["size"]
    index = draw(config["cores"], last)[-config["size"] :]
    expressions = [space.expression(space.choice(number)) for number in index]
    found = search.score(expressions, seed=seed, steps=config["steps"], device=device)
    return {"index": index, **found.row()}


def _search(config, seed, device):
    space, settings = search.Space(config["cores"]), {"steps": config["steps"], "device": device}
    options = EVOLUTION if config["strategy"] == "evolution" else {}
    strategy = strategies.make(config["strategy"], space.sizes, seed=seed, **options)
    with tempfile.TemporaryDirectory() as folder:
        evaluate = search.LiveEvaluator(space, store=f"{folder}/search.sqlite", **settings)
        history = search.search(strategy, evaluate, evaluations=config["evaluations"], batch=config["batch"])
        order = np.argsort(-history.scores, kind="stable")
        first = dict.fromkeys(evaluate.representative(history.choices[at]) for at in order)
        best = list(first)[: config["top"]]
        found = evaluate(best)
    expressions = [space.expression(choice) for choice in best]
    seeds = range(FRESH, FRESH + config["fresh"])
    every = [*expressions, *REFERENCES]
    retest = np.stack([search.score(every, seed=s, part="test", **settings).accuracy for s in seeds], axis=1)
    return {
        "scores": history.scores,
        "trained": evaluate.trained,
        "index": [space.index(choice) for choice in best],
        "expression": [expression.text for expression in expressions],
        "found": found,
        "retest": retest[: len(best)],
        "references": retest[len(best) :],
        "references_found": search.score(REFERENCES, seed=0, **settings).accuracy,
    }
