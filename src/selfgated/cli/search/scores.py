"""A score beside Swish and ReLU, and the recorded table: as plain data, and the lines that show it."""

import numpy as np

from selfgated import search, statistics
from selfgated.search.table import Table, locate

__all__ = [
    "REFERENCES",
    "interval",
    "paired",
    "recorded_table",
    "score",
    "score_lines",
    "shown",
    "table",
    "table_lines",
]

REFERENCES = {"Swish": "x*sigmoid(x)", "ReLU": "max(x, 0)"}
RECORD = "activation_search"


def score(expressions, *, seeds, steps, gain, device):
    """Train children of the expressions and of Swish and ReLU; a dict."""
    recorded, recorded_steps = recorded_table(missing_ok=True)  # a damaged one shows before the work
    references = {name: search.parse(text) for name, text in REFERENCES.items()}
    every = list(dict.fromkeys([*expressions, *references.values()]))
    found = [search.score(every, seed=seed, steps=steps, gain=gain, device=device) for seed in seeds]
    accuracy = dict(zip(every, np.stack([scores.accuracy for scores in found], axis=1), strict=True))
    died = dict(zip(every, np.stack([scores.diverged_at for scores in found], axis=1) >= 0, strict=True))
    comparable = recorded is not None and gain == "he" and steps == recorded_steps
    return {
        "seeds": list(seeds),
        "steps": steps,
        "gain": gain,
        "functions": [
            _function(expression)
            | {
                "accuracy": accuracy[expression].tolist(),
                "interval": interval(accuracy[expression]),
                "diverged": int(died[expression].sum()),
                "minus": {
                    name: paired(accuracy[expression], accuracy[other]) for name, other in references.items()
                },
                "recorded": _place(recorded, expression, accuracy[expression]) if comparable else None,
            }
            for expression in dict.fromkeys(expressions)
        ],
        "references": {
            name: {"expression": other.text, "interval": interval(accuracy[other])}
            for name, other in references.items()
        },
    }


def _function(expression):
    number = locate(expression)
    space = search.Space(1)
    return {
        "expression": expression.text,
        "simplified": _simplified(expression),
        "own_gain": search.own_gain(expression),
        "member": None if number is None else space.expression(space.choice(number)).text,
    }


def _simplified(expression):
    try:
        return str(expression.sympy)
    except ValueError:  # a power of powers too large to write down
        return None


def _place(recorded, expression, accuracy):
    """Its rank in the table, or where its score would stand there."""
    number = locate(expression)
    if number is not None:
        found, mean = recorded.rank(number), float(recorded.mean[recorded.row(number)])
        ranks = {"rank": found.rank, "interval": [found.low, found.high], "of": found.of}
        return ranks | {"accuracy": mean}
    counted = recorded.mean[~recorded.twin]
    place = 1 + int((counted > accuracy.mean()).sum())
    return {"rank": place, "interval": None, "of": counted.size, "accuracy": None}


def recorded_table(*, missing_ok=False):
    """The recorded table and its steps; (None, None) if it is not there and that is allowed."""
    from selfgated.experiments import record

    try:
        found = record.load(RECORD)
    except FileNotFoundError:
        if missing_ok:
            return None, None
        raise
    rows = found.select(gain="he")
    return Table.from_rows(rows), rows[0]["steps"]


def interval(values):
    """Mean and 95 % interval as a dict; of one value, no interval."""
    if len(values) < 2:
        return {"mean": float(np.mean(values)), "low": None, "high": None, "n": len(values)}
    return statistics.mean_interval(values)._asdict()


def paired(a, b):
    """Mean difference and 95 % interval as a dict; of one pair, no interval."""
    if len(a) < 2:
        return {"mean": float(np.mean(a - b)), "low": None, "high": None, "p": None, "n": len(a)}
    return statistics.paired(a, b)._asdict()


def shown(found, sign=""):
    """An interval as text: 0.9312 [0.9136, 0.9488]."""
    text = f"{found['mean']:{sign}.4f}"
    if found["low"] is None:
        return text
    return f"{text} [{found['low']:{sign}.4f}, {found['high']:{sign}.4f}]"


def score_lines(report):
    """Yield the lines of `score`."""
    count = len(report["seeds"])
    for found in report["functions"]:
        yield found["expression"]
        yield f"  accuracy     {shown(found['interval'])}, chance is 0.5"
        for name, difference in found["minus"].items():
            yield f"  minus {name:<6} {shown(difference, '+')}"
        if found["diverged"]:
            yield f"  diverged     {found['diverged']} of {count} networks, which count as 0.5"
        gain = found["own_gain"]
        yield f"  own gain     {'none: E f(z)^2 is 0 or not finite' if gain is None else f'{gain:.5g}'}"
        yield f"  simplified   {found['simplified'] or 'not here: its powers are too large'}"
        yield f"  one core     {found['member'] or 'no: one core unit cannot make it'}"
        place = found["recorded"]
        if place is not None:
            if place["accuracy"] is None:
                yield f"  in the table its score would be number {place['rank']} of {place['of']}"
            else:
                low, high = place["interval"]
                where = f"number {place['rank']} of {place['of']}, 95 % interval {low} to {high}"
                yield f"  in the table recorded with {place['accuracy']:.4f}: {where}"
        yield ""
    for name, reference in report["references"].items():
        yield f"{name}, {reference['expression']}: {shown(reference['interval'])}"
    seeds, steps = ", ".join(map(str, report["seeds"])), report["steps"]
    if count > 1:
        yield f"mean of {count} networks, 95 % interval, differences paired; {steps} steps; seeds {seeds}"
    else:
        yield f"one network; {steps} steps; seed {seeds}"


def table(*, top):
    """The best of the recorded table; a dict."""
    recorded, steps = recorded_table()
    shown = list(recorded.best(top))
    return {
        "functions": int((~recorded.twin).sum()),
        "steps": steps,
        "seeds": recorded.seeds.tolist(),
        "noise": recorded.noise().within.mean if recorded.repeats > 2 else None,
        "best": [_row(recorded, row) for row in shown],
        "references": {name: _row(recorded, recorded.row(text)) for name, text in REFERENCES.items()},
    }


def _row(recorded, row):
    row = int(row)
    place = recorded.rank(int(recorded.index[row]))
    return {
        "rank": place.rank,
        "rank_interval": [place.low, place.high],
        "expression": recorded.expressions[row].text,
        "interval": interval(recorded.accuracy[:, row]),
        "diverged": int(recorded.diverged[:, row].sum()),
    }


def table_lines(report):
    """Yield the lines of `table`."""
    repeats = len(report["seeds"])
    functions, steps = report["functions"], report["steps"]
    yield f"{functions} functions of one core unit, {repeats} networks each, {steps} steps"
    yield f"{'rank':>5}  {'95 % interval':<13}  {'accuracy, 95 % interval':<24}  diverged  function"
    rows = [(row, "") for row in report["best"]]
    rows += [(row, f"  ({name})") for name, row in report["references"].items()]
    for row, name in rows:
        diverged = f"{row['diverged']} of {repeats}"
        place = f"{row['rank']:>5}  {'{} to {}'.format(*row['rank_interval']):<13}"
        yield f"{place}  {shown(row['interval']):<24}  {diverged:<8}  {row['expression']}{name}"
    if report["noise"] is not None:
        yield f"standard deviation of one score, among functions above chance: {report['noise']:.4f}"
