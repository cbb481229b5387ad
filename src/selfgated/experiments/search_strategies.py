"""Chapter 15: the strategies on the recorded table: what does learning find that chance does not?

Every run sees the scores of one repeat of the table (the reward), and is judged by the mean of the other
repeats (the truth), which no strategy has seen. With equal seeds evolution begins with the draws of random
search; the others share nothing.
"""

import hashlib
import json
from functools import lru_cache

import numpy as np

from selfgated import search
from selfgated.experiments.record import load
from selfgated.search import strategies

__all__ = ["BATCH", "BUDGET", "CHECKPOINTS", "VARIANTS", "digest", "run", "summary", "units"]

BUDGET = {"tiny": 15, "quick": 300, "full": 250}
SEEDS = {"tiny": 2, "quick": 50, "full": 50}
CHECKPOINTS = dict.fromkeys(("quick", "full"), (20, 50, 100, 200, 500, 1000)) | {"tiny": (20, 40)}
BATCH, WINDOW = 20, 100
# Every variant searches the first repeat, and some the others too: was it the luck of the first?
AGAIN = ("random", "evolution", "PPO, 0.003", "softmaxes")
REPEATS = {"tiny": 2, "quick": 5, "full": 5}
SEEDS_AGAIN = {"tiny": 2, "quick": 20, "full": 20}
VARIANTS = {
    "random": ("random", {}),
    "evolution": ("evolution", {}),
    "evolution, 20 of 5": ("evolution", {"population": 20, "tournament": 5}),
    "PPO, 0.003": ("ppo", {"lr": 0.003}),
    "PPO, 0.01": ("ppo", {"lr": 0.01}),
    "PPO, 0.03": ("ppo", {"lr": 0.03}),
    "PPO, no entropy bonus": ("ppo", {"lr": 0.003, "entropy": 0.0}),
    "REINFORCE": ("ppo", {"lr": 0.03, "epochs": 1}),  # the same network, one step a batch
    "softmaxes": ("softmaxes", {"lr": 0.1}),
}
TINY = ("random", "evolution", "softmaxes")


def units(profile):
    """Return the list of (configuration, seeds) of a profile.

    The table is named by a digest of its numbers, so another table makes other rows. Where it is not recorded
    yet the digest is None, and `run` says how to record it.
    """
    try:
        name = "planted" if profile == "tiny" else digest(_rows(profile))
    except FileNotFoundError:
        name = None
    common = {"batch": BATCH, "source": profile, "table": name}
    found = []
    for repeat in range(REPEATS[profile]):
        for variant in TINY if profile == "tiny" else AGAIN if repeat else VARIANTS:
            strategy, options = VARIANTS[variant]
            config = {"variant": variant, "strategy": strategy, "options": options, "repeat": repeat} | common
            seeds = range((SEEDS_AGAIN if repeat else SEEDS)[profile])
            found.append((config | {"checkpoints": CHECKPOINTS[profile]}, seeds))
        everything = {"variant": "exhaustive", "strategy": "exhaustive", "options": {}, "repeat": repeat}
        found.append((everything | common | {"checkpoints": (search.Space(1).size,)}, (0,)))
    return found


def run(config, seeds, device):
    """Search once for each seed; return a row for each, see `summary`. The device is not used."""
    table = _table(config["source"], config["table"])
    rows = []
    for seed in seeds:
        history = search.search(
            strategies.make(config["strategy"], search.Space(1).sizes, seed=seed, **config["options"]),
            lambda choices: table.scores(choices, config["repeat"]),
            evaluations=config["checkpoints"][-1],
            batch=config["batch"],
        )
        rows.append(summary(history, table, config["checkpoints"], repeat=config["repeat"]))
    return rows


def summary(history, table, checkpoints, *, repeat=0):
    """What is kept of a search.

    Parameters
    ----------
    history : History
    table : Table
    checkpoints : sequence of m ints
        Numbers of evaluations.
    repeat : int
        The repeat that the search saw.

    Returns
    -------
    dict
        Lists with a value for each checkpoint: ``best_reward``, the largest score so far; ``best_truth``, the
        mean of the other repeats of the candidate that had it; ``distinct`` candidates so far, and distinct
        ``functions``; ``child_reward`` and ``child_truth``, as the first two, but where so many distinct
        candidates had been evaluated, and None where the search ended with fewer. ``mean_reward`` of what was
        proposed, for each 100 evaluations (or fewer, where there are not as many); ``last_reward`` and
        ``last_truth``, of the last 100. ``found``, the text of the best candidate.
    """
    at = np.array(checkpoints) - 1
    truth = table.truth(history.choices, repeat)
    first = np.zeros(len(history), int)
    first[np.unique(table.rows(history.choices), return_index=True)[1]] = 1
    window = min(WINDOW, len(history))
    whole = len(history) // window * window
    best, leaders, distinct = history.best_so_far(), history.leaders(), history.distinct()
    reached = [int(np.searchsorted(distinct, count)) for count in checkpoints]  # len(history) if never
    return {
        "best_reward": best[at].tolist(),
        "best_truth": truth[leaders[at]].tolist(),
        "distinct": distinct[at].tolist(),
        "functions": np.cumsum(first)[at].tolist(),
        "child_reward": [float(best[k]) if k < len(history) else None for k in reached],
        "child_truth": [float(truth[leaders[k]]) if k < len(history) else None for k in reached],
        "mean_reward": history.scores[-whole:].reshape(-1, window).mean(axis=1).tolist(),
        "last_reward": float(history.scores[-window:].mean()),
        "last_truth": float(truth[-window:].mean()),
        "found": table.expressions[table.row(history.best()[0])].text,
    }


def digest(rows):
    """Sixteen hexadecimal digits that tell recorded tables apart: by functions, seeds and accuracies."""
    parts = sorted([row["seed"], row["block"], row["index"], row["accuracy"]] for row in rows)
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _rows(source):
    return [row for row in load("activation_search", source).rows if row["gain"] == "he"]


@lru_cache(maxsize=1)
def _table(source, name):
    """The table that a profile records, if its digest is `name`; for the tiny one a planted table."""
    if source == "tiny":
        return _planted()
    rows = _rows(source)
    if name not in (None, digest(rows)):
        raise ValueError(f"the {source} table is {digest(rows)}, not {name}: it was recorded anew")
    return search.Table.from_rows(rows)


def _planted(seed=0):
    """Each decision adds or takes some accuracy, and each of three repeats has noise; none is clipped."""
    generator = np.random.default_rng(seed)
    space = search.Space(1)
    index = [group[0] for group in search.distinct()]
    choices = np.array([space.choice(i) for i in index])
    worth = sum(
        generator.normal(size=size)[column] for size, column in zip(space.sizes, choices.T, strict=True)
    )
    noise = generator.normal(0, 0.015, size=(3, len(index)))
    return search.Table(index, np.clip(0.7 + 0.03 * worth + noise, 0, 1))
