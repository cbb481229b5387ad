"""Chapter 12: gradients against time lag, and what clipping and gates change.

Three parts. "lag" measures how much a gradient shrinks or grows per time step, before any training, in plain
recurrent networks fed by noise. "delay" and "clip" train on delayed digits: the network sees an 8 x 8 digit
row by row, then rows of noise, and must name the digit at the end.
"""

import numpy as np
import torch

from selfgated import data, train
from selfgated.models import RNN
from selfgated.sweep import grid

__all__ = ["BUDGET", "delayed_digits", "lag_gradients", "noise_fed", "rate", "run", "units"]

BUDGET = {"tiny": 10, "quick": 300, "full": 280}
WARM_UP = 50  # steps after which the variance of the state has forgotten that it began at 0
NOISE = 0.3  # standard deviation of a pixel while the network waits; that of the digits is 1


def delayed_digits(delay, *, steps, batch_size=32, noise=NOISE, seed=0):
    """The digits row by row, each followed by `delay` rows of noise.

    Parameters
    ----------
    delay : int
        Rows of noise after the 8 rows of the digit.
    steps, batch_size : int
        The training images are repeated, each time with new noise, until so many batches need none twice.
    noise : float
        Standard deviation of the noise, in units of that of the digits.
    seed : int
        Of the noise.

    Returns
    -------
    tuple of four torch.Tensor
        x_train (R 1437, 8 + delay, 8), y_train, x_test (360, 8 + delay, 8), y_test, for `train.fit`.

    Examples
    --------
    >>> delayed_digits(25, steps=300)[2].shape
    torch.Size([360, 33, 8])
    """
    digits = data.load("digits")
    rng = np.random.default_rng([seed, delay])
    repeats = -(-steps * batch_size // len(digits.x_train))
    parts = []
    for x, y, times in (
        (digits.x_train, digits.y_train, repeats),
        (digits.x_test, digits.y_test, 1),
    ):
        rows = np.tile((x[:, 0] - digits.x_train.mean()) / digits.x_train.std(), (times, 1, 1))  # (N, 8, 8)
        wait = noise * rng.standard_normal((len(rows), delay, 8))
        sequence = np.concatenate([rows, wait], axis=1).astype(np.float32)
        parts += [torch.from_numpy(sequence), torch.from_numpy(np.tile(y, times))]
    return tuple(parts)


def lag_gradients(model, x, *, wrt, generator):
    """Norms of the gradient that a random direction of the last state sends back to every step.

    Parameters
    ----------
    model : RNN
        K networks.
    x : (K, N, T, D) tensor
        Inputs, for each network its own.
    wrt : {"state", "input"}
        With respect to the state h_t, or to the input x_t. In a gated cell, where h_t is not all of the
        state, only the second tells how much a step is felt.
    generator : torch.Generator
        Draws a direction for each sample, the same for all networks.

    Returns
    -------
    (K, N, T) tensor
    """
    if wrt not in ("state", "input"):
        raise ValueError(f"unknown wrt {wrt!r}; choose from ['state', 'input']")
    x = x.detach().requires_grad_()
    states = model.unroll(x)
    direction = torch.randn(states[-1].shape[1:], generator=generator).to(states[-1])  # (N, H)
    target = states if wrt == "state" else [x]
    grads = torch.autograd.grad((states[-1] * direction).sum(), target)
    grads = torch.stack(grads, dim=2) if wrt == "state" else grads[0]  # (K, N, T, H or D)
    return grads.norm(dim=3)


def rate(norms):
    """Factor on the gradient per step back in time: the geometric mean over steps and samples.

    Parameters
    ----------
    norms : (K, N, T) tensor
        As `lag_gradients` returns them.

    Returns
    -------
    (K,) tensor
        (|g_1| / |g_T|)^(1 / (T - 1)), below 1 where the past is forgotten.
    """
    logs = norms.double().log().mean(dim=1)  # (K, T)
    return ((logs[:, 0] - logs[:, -1]) / (logs.shape[1] - 1)).exp()


def noise_fed(
    seeds, *, rho, scale, act="tanh", init="orthogonal", width=128, inputs=128, samples=8, steps=110
):
    """A plain RNN for each seed, in float64, and noise to feed it.

    Parameters
    ----------
    seeds : sequence of int
        Network k and its noise depend on ``seeds[k]`` alone.
    rho, act, init, width : float, str, str, int
        As `RNN` has them.
    scale : float
        Standard deviation of W_ih x_t: that of each of the `inputs` numbers of x_t.
    samples, steps : int
        N sequences of T steps for each network.

    Returns
    -------
    model : RNN
    x : (K, N, T, inputs) tensor
    """
    model = RNN(
        inputs,
        width,
        1,
        act_layer=act,
        recurrent_init=init,
        rho=rho,
        num_models=len(seeds),
        generator=[torch.Generator().manual_seed(seed) for seed in seeds],
    )
    noise = [np.random.default_rng([seed, 1]).standard_normal((samples, steps, inputs)) for seed in seeds]
    return model.double(), torch.from_numpy(scale * np.stack(noise))


def lag(config, seeds, device):
    """Factor per step of noise-fed plain RNNs at the start; see `lag_gradients`, `rate`."""
    options = {name: config[name] for name in ("rho", "scale", "act", "init", "width", "inputs", "samples")}
    model, x = noise_fed(seeds, steps=config["lag"] + WARM_UP, **options)
    device = train.resolve_device(device)
    model, x = model.to(device), x.to(device)
    norms = lag_gradients(model, x, wrt="state", generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        size = model.states(x)[:, :, -1].square().mean(dim=(1, 2)).sqrt()
    factors = rate(norms[:, :, WARM_UP:])
    return [{"factor": float(f), "state": float(s)} for f, s in zip(factors, size, strict=True)]


def delay(config, seeds, device):
    """Train on delayed digits; the factor per step of the wait is measured before."""
    model = RNN(
        8,
        config["width"],
        10,
        cell=config["cell"],
        act_layer=config["act"],
        recurrent_init=config["init"],
        rho=config["rho"],
        retention_bias=config["bias"],
        num_models=len(seeds),
        generator=[torch.Generator().manual_seed(seed) for seed in seeds],
    )
    digits = delayed_digits(config["delay"], steps=config["steps"])
    factors = [None] * len(seeds)
    if config["delay"] > 1:
        x = digits[2][:64].expand(len(seeds), -1, -1, -1)
        norms = lag_gradients(model, x, wrt="input", generator=torch.Generator().manual_seed(0))
        factors = rate(norms[:, :, 8:]).tolist()
    result = train.fit(
        model,
        digits,
        seeds=seeds,
        steps=config["steps"],
        batch_size=32,
        optimizer=config["optimizer"],
        lr=config["lr"],
        clip=config["clip"],
        device=device,
        record_every=1,
    )
    largest = np.sqrt(np.square(result.grad_norm).sum(axis=1)).max(axis=0)  # (K,)
    return [
        {
            "accuracy": float(result.test_accuracy[k]),
            "factor": factors[k],
            "largest_gradient": float(largest[k]),
            "diverged_at": int(result.diverged_at[k]),
        }
        for k in range(len(seeds))
    ]


def run(config, seeds, device):
    """One unit: a list of results, one per seed."""
    return (lag if config["part"] == "lag" else delay)(config, seeds, device)


PLAIN = {"part": "delay", "cell": "rnn", "act": "tanh", "init": "orthogonal", "rho": 1.0, "bias": 0.0}
ADAM = {"optimizer": "adam", "lr": 5e-3, "clip": 1.0}


def _delays(delays, width, steps):
    """Cells with and without gates, torch's defaults, and the retention bias."""
    cells = [{"init": "default"}, {}, {"init": "gaussian", "rho": 1.5}]
    for cell in ("lstm", "gru"):
        cells += [{"cell": cell, "init": "default"}, *({"cell": cell, "bias": b} for b in (0.0, 1.0, 3.0))]
    common = {**PLAIN, **ADAM, "width": width, "steps": steps}
    return [{**common, **cell, "delay": d} for cell in cells for d in delays]


def _patient(wait, width, steps):
    """Torch's defaults, given more time."""
    common = {**PLAIN, **ADAM, "init": "default", "width": width, "steps": steps, "delay": wait}
    return [{**common, "cell": cell} for cell in ("rnn", "lstm", "gru")]


def _biases(biases, wait, width, steps):
    """The retention bias in finer steps, at one delay."""
    common = {**PLAIN, **ADAM, "width": width, "steps": steps, "delay": wait}
    return [{**common, "cell": cell, "bias": b} for cell in ("lstm", "gru") for b in biases]


def _activations(acts, wait, width, steps):
    """Other activations in the place of tanh."""
    cells = [{}, {"rho": 1.4}, {"cell": "lstm", "bias": 3.0}, {"cell": "gru", "bias": 3.0}]
    common = {**PLAIN, **ADAM, "width": width, "steps": steps, "delay": wait}
    return [{**common, **cell, "act": act} for act in acts for cell in cells]


def _clips(rhos, wait, width, steps):
    """SGD with and without clipping."""
    common = {**PLAIN, "part": "clip", "init": "gaussian", "optimizer": "sgd", "lr": 0.03}
    common |= {"width": width, "steps": steps, "delay": wait}
    return [{**common, "rho": rho, "clip": clip} for rho in rhos for clip in (None, 1.0)]


def _lags(acts, inits, rhos, scales, **sizes):
    """Plain RNNs fed by noise."""
    return grid(
        part=["lag"], act=acts, init=inits, rho=rhos, scale=scales, **{k: [v] for k, v in sizes.items()}
    )


def units(profile):
    """The units of a profile: a list of (config, seeds).

    Parameters
    ----------
    profile : {"tiny", "quick", "full"}
        "tiny" shows that all runs; "quick" is the chapter on a laptop; "full" has wider networks, longer
        delays and more seeds.

    Raises
    ------
    ValueError
        For another profile.
    """
    rhos = [0.5, 0.7, 0.9, 1.0, 1.1, 1.3, 1.5, 1.7, 2.0]
    if profile == "tiny":
        size = {"width": 16, "inputs": 16, "lag": 10, "samples": 2}
        few = [c for c in _delays([4], 8, 10) if c["init"] == "orthogonal"]
        return [
            *((c, (0, 1)) for c in _lags(["tanh", "silu"], ["orthogonal"], [1.1], [0.3], **size)),
            *((c, (0, 1)) for c in [*few, *_activations(["silu"], 4, 8, 10), *_clips([1.5], 4, 8, 10)]),
        ]
    if profile == "quick":
        size = {"width": 128, "inputs": 128, "lag": 60, "samples": 8}
        five, ten = tuple(range(5)), tuple(range(10))
        trained = [
            *_delays([0, 25, 50], 32, 300),
            *_patient(25, 32, 1500),
            *_biases([2.0, 4.0, 5.0, 6.0], 25, 32, 300),
            *_activations(["relu", "silu", "gelu", "mish"], 25, 32, 300),
        ]
        return [
            *((c, five) for c in _lags(["tanh"], ["orthogonal", "gaussian"], rhos, [0.03, 0.3, 1.0], **size)),
            *((c, five) for c in _lags(["silu", "gelu"], ["orthogonal"], rhos, [0.3, 1.0], **size)),
            *((c, five) for c in trained),
            *((c, ten) for c in _clips([1.0, 1.5, 2.0, 3.0], 20, 32, 300)),
        ]
    if profile == "full":
        size = {"width": 512, "inputs": 512, "lag": 200, "samples": 8}
        ten, twenty = tuple(range(10)), tuple(range(20))
        acts = ["relu", "silu", "gelu", "mish"]
        return [
            *((c, ten) for c in _lags(["tanh"], ["orthogonal", "gaussian"], rhos, [0.03, 0.3, 1.0], **size)),
            *((c, ten) for c in _lags(["silu", "gelu"], ["orthogonal"], rhos, [0.3, 1.0], **size)),
            *((c, twenty) for c in _delays([0, 25, 50], 64, 300)),
            *((c, twenty) for c in _patient(25, 64, 900)),
            *((c, twenty) for c in _biases([2.0, 4.0, 5.0, 6.0], 25, 64, 300)),
            *((c, twenty) for c in _activations(acts, 25, 64, 300)),
            *((c, twenty) for c in _clips([1.0, 1.5, 2.0, 3.0], 20, 64, 300)),
        ]
    raise ValueError(f"unknown profile {profile!r}; choose from {list(BUDGET)}")
