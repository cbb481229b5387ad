"""Chapter 15: every function of one core unit, scored: the table that the strategies search.

Each different function (`search.distinct`) trains one child per seed, from He's weights and, for fewer seeds,
from weights with the function's own gain. All children of one seed start from the same random numbers, see
the same pairs and the same batches: their scores are paired.
"""

from selfgated import search
from selfgated.sweep import grid

__all__ = ["BLOCK", "BUDGET", "run", "units"]

BUDGET = {"tiny": 8, "quick": 1800, "full": 400}
BLOCK = {"tiny": 8, "quick": 250, "full": 2000}  # candidates trained as one
BLOCKS = {"tiny": 2, "quick": None, "full": None}
SEEDS = {"tiny": {"he": 2, "own": 1}, "quick": {"he": 5, "own": 2}, "full": {"he": 10, "own": 5}}
STEPS = {"tiny": 10, "quick": 250, "full": 250}


def units(profile):
    """Return the list of (configuration, seeds) of a profile."""
    block = BLOCK[profile]
    blocks = BLOCKS[profile] or -(-len(search.distinct()) // block)
    # One seed after the other, so that a record that was broken off has whole tables.
    return [
        (config | {"gain": gain, "size": block, "steps": STEPS[profile]}, (seed,))
        for gain, seeds in SEEDS[profile].items()
        for seed in range(seeds)
        for config in grid(block=range(blocks))
    ]


def run(config, seeds, device):
    """Score one block of functions; a row holds its lists.

    ``index`` is the number of each function in ``search.Space(1)``: of the first of its equal expressions.
    """
    first = config["block"] * config["size"]
    index = [group[0] for group in search.distinct()[first : first + config["size"]]]
    space = search.Space(1)
    expressions = [space.expression(space.choice(i)) for i in index]
    settings = {name: config[name] for name in ("gain", "steps")}
    return [
        {"index": index, **search.score(expressions, seed=seed, device=device, **settings).row()}
        for seed in seeds
    ]
