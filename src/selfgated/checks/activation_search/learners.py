"""Self-checks of PPO's objective, of the moving baseline and of regularised evolution."""

import numpy as np

from selfgated.checks import answers, engine
from selfgated.checks.engine import CheckFailed


def _draw(rng, n, spread, clip):
    old = rng.normal(-5, 1, n)
    return old + np.linspace(-spread, spread, n) + 0.003, old, rng.normal(0, 0.3, n), clip


def _ratio(given):
    return np.exp(given[0] - given[1])


def _objective(*given):
    *_, advantage, clip = given
    bounded = np.where(advantage > 0, _ratio(given).clip(max=1 + clip), _ratio(given).clip(min=1 - clip))
    return np.mean(bounded * advantage)


def _clipped(*given):
    return _ratio(given).clip(1 - given[3], 1 + given[3])


def _moves(log_prob, old, advantage, clip):
    """Where the objective is not flat."""
    move = log_prob - old
    return np.where(advantage > 0, move < np.log1p(clip), move > np.log1p(-clip))


def _slope(*given):
    return _unclipped(*given) * _moves(*given)


def _unclipped(*given):
    return given[2] * _ratio(given) / len(given[1])


OBJECTIVE = [
    (lambda *g: np.mean(_ratio(g) * g[2]), "nothing is clipped"),
    (
        lambda *g: np.mean(_clipped(*g) * g[2]),
        "this is the clipped term alone: take the smaller of both, candidate by candidate",
    ),
    (
        lambda *g: np.mean(np.maximum(_ratio(g) * g[2], _clipped(*g) * g[2])),
        "take the smaller of both terms, not the larger",
    ),
    (
        lambda *g: np.mean(np.minimum(_ratio(g), _clipped(*g)) * g[2]),
        "the minimum is that of the products with A: for a negative A the larger ratio gives it",
    ),
    (lambda *g: _objective(*g) * len(g[1]), "the mean over the candidates, not the sum"),
    (lambda *g: -_objective(*g), "L is maximised: no minus sign"),
    (lambda *g: _objective(g[1], g[0], *g[2:]), "the ratio is that of now to old"),
    (
        lambda log_prob, old, *rest: _objective(np.log(log_prob / old), 0 * old, *rest),
        "the ratio of the probabilities is exp(log_prob - old)",
    ),
]
GRADIENT = [
    (_unclipped, "where the clipped term is the smaller one L is flat: 0 there"),
    (
        lambda *g: _unclipped(*g) * (_clipped(*g) == _ratio(g)),
        "outside of 1 - eps to 1 + eps the gradient is not always 0: with A > 0 and r < 1 - eps, or A < 0 "
        "and r > 1 + eps, the first term is the smaller one",
    ),
    (
        lambda *g: g[2] * _moves(*g) / len(g[1]),
        "the derivative of r by the log-probability is r: that factor is missing",
    ),
    (lambda *g: _slope(*g) * len(g[1]), "L is a mean: divide by n"),
    (lambda *g: -_slope(*g), "the sign: L is maximised"),
    (
        lambda *g: _unclipped(*g) * ~_moves(*g),
        "the other way round: flat where A > 0 and r > 1 + eps, or A < 0 and r < 1 - eps",
    ),
]


def ppo(answer):
    """Check problem 6: the clipped objective and its gradient."""
    rng = np.random.default_rng(0)
    inputs = [_draw(rng, 30, 0.6, 0.2), _draw(rng, 9, 3.0, 0.3), _draw(rng, 14, 1.0, 0.1)]
    call, words = "ppo(log_prob, old, advantage, clip)", "(L, gradient)"
    for place, right, mistakes, name in (
        (0, _objective, OBJECTIVE, "L"),
        (1, _slope, GRADIENT, "the gradient"),
    ):
        one = answers.entry(answer, place, words)
        try:
            engine.values(one, right, inputs, mistakes=mistakes, rtol=1e-9, atol=1e-12, call=call)
        except CheckFailed as error:
            text = str(error)
            for old, new in (("ppo: ", f"ppo: {name}: "), ("ppo differs", f"ppo: {name} differs")):
                text = text.replace(old, new, 1) if text.startswith(old) else text
            raise CheckFailed(text) from None
    return "ppo: fine"


def _advantages(scores, decay, *, start=None, late=False, swapped=False, best=False):
    """Scores less the baseline; the options are mistakes."""
    found = np.empty_like(scores)
    baseline = scores[0].mean() if start is None else start
    for t, batch in enumerate(scores):
        new = batch.max() if best else batch.mean()
        after = baseline + (decay if swapped else 1 - decay) * (new - baseline)
        found[t] = batch - (after if late else baseline)
        baseline = after
    return found


BASELINE = [
    (lambda s, d: _advantages(s, d, late=True), "a batch is compared with the baseline before it changes it"),
    (
        lambda s, d: _advantages(s, d, start=0.0),
        "before the first batch the baseline is that batch's mean, not 0",
    ),
    (lambda s, d: _advantages(s, d, swapped=True), "`decay` is what stays of the old baseline"),
    (lambda s, d: _advantages(s, d, best=True), "the mean of the batch moves the baseline, not its best"),
    (
        lambda s, d: s - s.mean(axis=1, keepdims=True),
        "this is each batch's own mean; the baseline remembers earlier ones",
    ),
    (lambda s, d: s - s.mean(), "the baseline moves from batch to batch"),
    (lambda s, d: s - s[0].mean(), "the baseline does not move: update it after each batch"),
    (lambda s, d: s - _advantages(s, d), "this is the baseline: take it away from the scores"),
    (lambda s, d: -_advantages(s, d), "the sign: score minus baseline"),
]


def advantages(answer):
    """Check problem 6: scores less a moving baseline."""
    rng = np.random.default_rng(1)
    inputs = [(rng.uniform(0.4, 0.9, (5, 4)), 0.8), (rng.uniform(0.4, 0.9, (3, 6)), 0.6)]
    call = "advantages(scores, decay)"
    return engine.values(answer, _advantages, inputs, mistakes=BASELINE, rtol=1e-9, atol=1e-12, call=call)


def _evolve(table, first, drawn, places, steps, **options):
    """All candidates; the options are mistakes."""
    dies, wins = options.get("dies", "oldest"), options.get("wins", "best")
    alive = [list(map(int, row)) for row in first]
    everyone = list(alive)

    def score(candidate):
        return table[tuple(candidate)]

    for positions, place, step in zip(drawn, places, steps, strict=True):
        group = [alive[-1 - i if options.get("youngest") else i] for i in positions]
        winners = {"best": max(group, key=score), "worst": min(group, key=score), "first": group[0]}
        parent = max(alive, key=score) if wins == "population" else winners[wins]
        child = parent if options.get("shared") else list(parent)
        gone = {"oldest": 0, "worst": alive.index(min(alive, key=score)), "parent": alive.index(parent)}
        child[place] = int((child[place] + step) % table.shape[place])
        if dies in gone:
            del alive[gone[dies]]
        alive.append(child)
        everyone.append(child)
    return np.stack(everyone)


def _wrong(**options):
    return lambda *given: _evolve(*given, **options)


EVOLUTION = [
    (_wrong(dies="worst"), "the oldest member dies, not the worst"),
    (_wrong(dies="parent"), "the oldest member dies, not the parent"),
    (_wrong(dies="nobody"), "nobody dies: position 0 is the oldest member that is still alive"),
    (_wrong(wins="worst"), "the parent is the best of the tournament, not the worst"),
    (_wrong(wins="first"), "the parent is the best of the tournament, not the first"),
    (
        _wrong(wins="population"),
        "the parent is the best of the k that were drawn, not of the whole population",
    ),
    (_wrong(youngest=True), "position 0 is the oldest member, not the youngest"),
    (_wrong(shared=True), "the child is a copy: the parent was changed along with it"),
]


def _judge(answer, given, mistakes=()):
    """Compare all candidates; name the first that is wrong."""
    call = "evolve(table, first, drawn, places, steps)"
    members, (cycles, _), (_, decisions) = len(given[1]), given[2].shape, given[1].shape
    try:
        engine.values(answer, _evolve, [given], mistakes=mistakes, rtol=0.0, call=call)
    except CheckFailed as error:
        words = str(error)
        if "raised IndexError" in words:
            words = f"{words.partition(' for table')[0]}: a decision grows modulo its number of values"
        if f"shape {(cycles, decisions)}, where" in words:
            words += ": the candidates of `first` are part of the result"
        if "differs" in words:
            got, right = np.asarray(answer(*map(engine.copied, given))), _evolve(*given)
            row = int((got != right).any(axis=1).argmax())
            name = f"row {row} of `first`" if row < members else f"the child of cycle {row - members}"
            words = f"evolve: {name} is {engine.short(got[row])}, the right one is {engine.short(right[row])}"
        raise CheckFailed(words) from None


def evolve(answer):
    """Check problem 6: regularised evolution with given random numbers."""
    rng = np.random.default_rng(2)

    def case(table, members, k, cycles):
        sizes = np.array(table.shape)
        first, drawn = (
            rng.integers(sizes, size=(members, sizes.size)),
            rng.integers(members, size=(cycles, k)),
        )
        places = rng.integers(0, sizes.size, cycles)
        return table, first, drawn, places, rng.integers(1, sizes[places])

    _judge(answer, case(rng.random((6, 5, 4)), 7, 3, 30), EVOLUTION)
    _judge(answer, case(rng.random((8, 3)), 5, 2, 20))
    try:
        for _ in range(2):
            _judge(answer, case(np.round(rng.random((6, 5, 4))), 7, 4, 40))
    except CheckFailed as error:
        hint = "of equal scores the parent is the one that comes first in the row of `drawn`"
        raise CheckFailed(f"{error}: {hint}") from None
    return "evolve: fine"
