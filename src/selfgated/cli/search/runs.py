"""A search of the recorded table, and one that trains: as plain data, and the lines that show it."""

import numpy as np

from selfgated import search
from selfgated.cli.search.scores import REFERENCES, interval, paired, recorded_table, shown
from selfgated.search import LiveEvaluator, strategies

__all__ = ["Stopped", "live", "live_lines", "replay", "replay_lines"]

MEMBERS = {"Swish": ("x", "sigmoid(x)", "x1*x2"), "ReLU": ("max(x, 0)", "max(x, 0)", "max(x1, x2)")}


class Stopped(KeyboardInterrupt):
    """Ctrl-C in a live search; the message says how to go on."""


def replay(strategy, *, seed, evaluations, batch, top):
    """A search of the recorded table; a dict."""
    recorded, steps = recorded_table()
    space = search.Space(1)
    made = strategies.make(strategy, space.sizes, seed=seed)
    history = search.search(made, recorded.scores, evaluations=evaluations, batch=batch)
    rows = recorded.rows(history.choices)
    order = np.argsort(-history.scores, kind="stable")
    best = list(dict.fromkeys(rows[order].tolist()))[:top]
    others = recorded.others(0) if recorded.repeats > 1 else np.full(len(recorded), np.nan)
    counted = others[~recorded.twin]
    ranks = {row: 1 + int((counted > others[row]).sum()) for row in best}
    return {
        "strategy": strategy,
        "seed": seed,
        "evaluations": len(history),
        "functions": len(set(rows.tolist())),
        "of": counted.size,
        "steps": steps,
        "repeats": recorded.repeats,
        "best": [
            {
                "expression": recorded.expressions[row].text,
                "found": float(recorded.accuracy[0, row]),
                "truth": float(others[row]) if np.isfinite(others[row]) else None,
                "rank": ranks[row] if np.isfinite(others[row]) else None,
            }
            for row in best
        ],
    }


def replay_lines(report):
    """Yield the lines of `replay`."""
    yield (
        f"{report['strategy']}, seed {report['seed']}: {report['evaluations']} evaluations of "
        f"{report['functions']} different functions, of the {report['of']} recorded"
    )
    yield "found: the score that the search saw; truth: the mean of the other repeats, and its rank"
    yield f"{'found':>6}  {'truth':>6}  {'rank':>5}  function"
    for row in report["best"]:
        truth = "-" if row["truth"] is None else f"{row['truth']:.4f}"
        yield f"{row['found']:.4f}  {truth:>6}  {row['rank'] or '-':>5}  {row['expression']}"
    drops = [row["found"] - row["truth"] for row in report["best"] if row["truth"] is not None]
    if drops:
        yield f"The best {len(drops)} were found with {np.mean(drops):+.4f} of luck, in the mean."


def live(strategy, *, cores, seed, evaluations, batch, top, seeds, retest, progress, settings, **options):
    """Search a space by training, and judge the best anew; a dict. `options` are of `LiveEvaluator`."""
    space = search.Space(cores)
    evaluator = LiveEvaluator(space, seeds=seeds, **options, **settings)
    made = strategies.make(strategy, space.sizes, seed=seed)
    evaluator.check()
    scored = 0

    def evaluate(choices):
        nonlocal scored
        scores = evaluator(choices)
        scored += len(choices)
        return scores

    stage = "search"
    try:
        history = search.search(made, evaluate, evaluations=evaluations, batch=batch, progress=progress)
        stage = "retest"
        order = np.argsort(-history.scores, kind="stable")
        best = list(dict.fromkeys(evaluator.representative(history.choices[at]) for at in order))[:top]
        one, names = search.Space(1), [_member(*parts) for parts in MEMBERS.values()]
        fresh = {"seeds": retest, "part": "test", **options, **settings}
        again = LiveEvaluator(space, progress=progress, **fresh).accuracies(best).T
        standard = LiveEvaluator(one, **fresh).accuracies(names).T
        found = LiveEvaluator(one, seeds=seeds, **options, **settings)(names)
    except KeyboardInterrupt:
        raise Stopped(
            f"stopped in the {stage}, with {scored} candidates scored of {evaluations}; every finished score "
            f"is kept in {options['store']}: the same command goes on from there"
        ) from None
    references = dict(zip(REFERENCES, standard, strict=True))
    return {
        "strategy": strategy,
        "cores": cores,
        "members": space.size,
        "seed": seed,
        "evaluations": len(history),
        "functions": evaluator.trained,
        "seeds": list(seeds),
        "retest_seeds": list(retest),
        **settings,
        "best_so_far": history.best_so_far().tolist(),
        "best": [
            {
                "expression": space.expression(choice).text,
                "choice": list(choice),
                "found": float(evaluator([choice])[0]),
                "retest": interval(values),
                "minus": {name: paired(values, other) for name, other in references.items()},
            }
            for choice, values in zip(best, again, strict=True)
        ],
        "references": {
            name: {"expression": text, "found": float(score), "retest": interval(references[name])}
            for (name, text), score in zip(REFERENCES.items(), found, strict=True)
        },
    }


def live_lines(report):
    """Yield the lines of `live`."""
    units = f"{report['cores']} core unit{'s' * (report['cores'] > 1)}"
    yield (
        f"{report['strategy']}, seed {report['seed']}: {report['evaluations']} evaluations of "
        f"{report['functions']} different functions, of {report['members']:,} members of {units}"
    )
    many = len(report["retest_seeds"])
    yield "found: the score that the search saw; retest: fresh seeds and the test digits" + (
        f", mean of {many} and 95 % interval" * (many > 1)
    )
    yield f"{'found':>6}  {'retest':<24}  {'minus Swish, paired':<27}  function"
    for row in report["best"]:
        minus = shown(row["minus"]["Swish"], "+")
        yield f"{row['found']:.4f}  {shown(row['retest']):<24}  {minus:<27}  {row['expression']}"
    for name, row in report["references"].items():
        yield f"{row['found']:.4f}  {shown(row['retest']):<24}  {'':<27}  {row['expression']}  ({name})"
    found, retest = (_lead(report, value) for value in (_found, _retested))
    yield (
        f"Against Swish the best {len(report['best'])} scored {found:+.4f} when they were found, and "
        f"{retest:+.4f} in the retest."
    )


def _found(row):
    return row["found"]


def _retested(row):
    return row["retest"]["mean"]


def _lead(report, value):
    """Mean advantage of the best over Swish, which was not chosen by its score."""
    return float(np.mean([value(row) for row in report["best"]])) - value(report["references"]["Swish"])


def _member(u1, u2, b):
    """The choice of a member of ``Space(1)`` by the names of its parts."""
    return list(search.UNARY).index(u1), list(search.UNARY).index(u2), list(search.BINARY).index(b)
