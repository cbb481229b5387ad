"""Chapter 14: which feed-forward block lets a small transformer learn a little language.

The language is sums, differences and comparisons in words, one a line. Every line is drawn on its own from a
finite list, so what any reader must pay per character can be computed exactly: `floor`. Two parts. "blocks":
nine feed-forward blocks of equal size, at one learning rate. "rates": one plain and one gated block at half
and at twice that rate, to see whether it favours either.

Seeds are paired over the blocks: they name the text that is read, and its order.
"""

import math
from collections import defaultdict
from functools import cache
from itertools import product

import numpy as np
import torch
from torch import nn

from selfgated import train
from selfgated.models import Transformer
from selfgated.sweep import grid

__all__ = [
    "ALPHABET",
    "BLOCKS",
    "BUDGET",
    "GATED",
    "HELD_OUT",
    "LENGTH",
    "PLAIN",
    "answers",
    "build",
    "costs",
    "decode",
    "encode",
    "floor",
    "language",
    "run",
    "starts",
    "texts",
    "units",
    "without_arithmetic",
]

BUDGET = {"tiny": 8, "quick": 500, "full": 220}
PLAIN = ("relu", "gelu", "silu", "relu_squared")
GATED = ("glu", "bilinear", "reglu", "geglu", "swiglu")
BLOCKS = PLAIN + GATED
LENGTH = 64  # characters that are predicted in each text
HELD_OUT = 10**6  # seed of the text that no network is trained on
ALPHABET = "\n abcdefghijklmnopqrstuvwxyz"
NUMBERS = (  # names of 0 to 18
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen"
)
SIZES = {
    "tiny": {"largest": 2, "dim": 12, "depth": 1, "steps": 8, "batch_size": 4, "n_test": 8},
    "quick": {"largest": 4, "dim": 64, "depth": 2, "steps": 400, "batch_size": 8, "n_test": 256},
    "full": {"largest": 9, "dim": 128, "depth": 3, "steps": 500, "batch_size": 64, "n_test": 2048},
}
RATES = {"tiny": 0.01, "quick": 0.01, "full": 0.004}
SEEDS = {"tiny": 2, "quick": 8, "full": 5}  # of the blocks
FEWER = {"tiny": 1, "quick": 5, "full": 3}  # of the rates


@cache
def language(largest=5):
    """All lines of the little language, and how probable each is.

    Half are sums of two of the numbers 0 to `largest`, a quarter differences, a quarter comparisons; within a
    kind all have the same probability.

    Parameters
    ----------
    largest : int
        1 to 9.

    Returns
    -------
    dict of tuple of str to float
        (first words, last words) to probability. The first words settle the last ones in sums and
        differences. A line is both, with a newline at its end. No line is the beginning of another.

    Raises
    ------
    ValueError
        If there are no words for such numbers.

    Examples
    --------
    >>> lines = language(9)
    >>> len(lines), lines["seven plus eight is", " fifteen"]
    (235, 0.005)
    """
    if not 1 <= largest <= 9:
        raise ValueError(f"largest must be from 1 to 9, not {largest!r}")
    words = NUMBERS.split()
    both = list(product(range(largest + 1), repeat=2))
    pairs = [(a, b) for a, b in both if a > b]
    sums = [(f"{words[a]} plus {words[b]} is", f" {words[a + b]}") for a, b in both]
    differences = [(f"{words[a]} minus {words[b]} is", f" {words[a - b]}") for a, b in pairs]
    more = [(f"{words[a]} is more than", f" {words[b]}") for a, b in pairs]
    less = [(f"{words[b]} is less than", f" {words[a]}") for a, b in pairs]
    shares = ((sums, 1 / 2), (differences, 1 / 4), (more + less, 1 / 4))
    return {line: share / len(lines) for lines, share in shares for line in lines}


def without_arithmetic(lines):
    """Return the language of one who knows the words and the grammar, and cannot calculate.

    The last word of a line is drawn with its overall frequency after the word that asks for it (plus, minus,
    more, less), whatever the numbers before.
    """
    first, last = defaultdict(float), defaultdict(lambda: defaultdict(float))
    for (begin, end), p in lines.items():
        first[begin] += p
        last[_kind(begin)][end] += p
    return {
        (begin, end): p * q / sum(last[_kind(begin)].values())
        for begin, p in first.items()
        for end, q in last[_kind(begin)].items()
    }


def _kind(begin):
    return next(word for word in ("plus", "minus", "more", "less") if word in begin)


def costs(lines, reader=None):
    """Expected nats that each character of a line costs a reader who knows a language.

    Parameters
    ----------
    lines : dict
        The language that is written: see `language`.
    reader : dict, optional
        The language that the reader believes in; by default the same, and the sum is the entropy of a line.

    Returns
    -------
    ndarray, shape (longest line,)
        Entry d: the mean over all lines of -log q(character d | those before), 0 after the end of a line.
    """
    true, believed = _prefixes(lines), _prefixes(reader or lines)
    expected = np.zeros(max(map(len, true)))
    for prefix, p in true.items():
        if prefix:
            expected[len(prefix) - 1] -= p * math.log(believed[prefix] / believed[prefix[:-1]])
    return expected


def _prefixes(lines):
    """Probability that a line begins with these characters, for all beginnings."""
    found = defaultdict(float)
    for (begin, end), p in lines.items():
        line = begin + end + "\n"
        for stop in range(len(line) + 1):
            found[line[:stop]] += p
    return found


def starts(lines, length):
    """Probability that a line begins at each of the first characters of a text: a renewal equation.

    r_0 = 1, and r_t = sum over L of P(a line has L characters) r_{t - L}.

    Returns
    -------
    ndarray, shape (length,)
    """
    sizes = np.zeros(length + 1)
    for (begin, end), p in lines.items():
        size = len(begin) + len(end) + 1
        if size <= length:
            sizes[size] += p
    r = np.zeros(length)
    r[0] = 1
    for t in range(1, length):
        r[t] = sizes[1 : t + 1] @ r[t - 1 :: -1]
    return r


def floor(lines, *, reader=None, length=LENGTH):
    """Least possible mean loss on a text of so many characters, in nats per character: exact.

    A text begins with a line. The expected cost of its character t is the sum over d of P(a line began at
    t - d) times the cost of character d of a line: a convolution of `starts` and `costs`.

    Parameters
    ----------
    lines, reader : dict
        As in `costs`. With another reader: what that one pays.
    length : int

    Returns
    -------
    float
        With the reader who knows it, the entropy of the text divided by its length.

    Examples
    --------
    >>> lines = language()
    >>> [round(floor(lines, reader=reader), 4) for reader in (lines, without_arithmetic(lines))]
    [0.2019, 0.2621]
    """
    return float(np.convolve(starts(lines, length), costs(lines, reader))[:length].mean())


def texts(lines, count, *, seed, length=LENGTH):
    """Draw texts, each of which begins with a line.

    Parameters
    ----------
    lines : dict
        See `language`.
    count, length : int
        Texts, and characters in each after the first, which is the newline before the first line.
    seed : int

    Returns
    -------
    codes : (count, length + 1) ndarray of int64
        Positions in `ALPHABET`.
    answers : (count, length + 1) ndarray of int64
        0, or for the characters of an answer (of a sum or difference, with the newline after it) the number
        of its line.
    cost : float
        Mean of -log p of a character after the first, given all before, under the language: on this very
        text, what the best reader pays.
    """
    names, p = list(lines), np.array(list(lines.values()))
    prefixes = _prefixes(lines)
    known = [_line(name, prefixes) for name in names]
    shortest = min(len(codes) for codes, _, _ in known)
    drawn = np.random.default_rng([seed, 14]).choice(
        len(names), (count, -(-length // shortest)), p=p / p.sum()
    )
    codes, answer = np.zeros((2, count, length + 1), np.int64)
    total = 0.0
    for row, picks in enumerate(drawn):
        parts = [known[k] for k in picks]
        codes[row, 1:] = np.concatenate([part[0] for part in parts])[:length]
        numbered = [part[1] * number for number, part in enumerate(parts, 1)]
        answer[row, 1:] = np.concatenate(numbered)[:length]
        total += np.concatenate([part[2] for part in parts])[:length].sum()
    return codes, answer, total / (count * length)


def _line(name, prefixes):
    """Codes of a line, whether each character belongs to an answer, and the nats that it costs."""
    begin, end = name
    line = begin + end + "\n"
    masses = np.array([prefixes[line[:stop]] for stop in range(len(line) + 1)])
    is_answer = np.zeros(len(line), np.int64)
    if _kind(begin) in ("plus", "minus"):
        is_answer[len(begin) + 1 :] = 1
    return encode(line), is_answer, np.log(masses[:-1] / masses[1:])


def encode(text):
    """Return the positions of the characters in `ALPHABET`."""
    return np.array([ALPHABET.index(character) for character in text])


def decode(codes):
    """Return the text of these codes."""
    return "".join(ALPHABET[code] for code in codes)


class SquaredReLU(nn.Module):
    """max(z, 0)^2."""

    def forward(self, z):
        """Elementwise."""
        return nn.functional.relu(z).square()


def build(block, *, seed, dim, depth, length=LENGTH):
    """A transformer with one of `BLOCKS`; its weights depend on the seed."""
    if block not in BLOCKS:
        raise ValueError(f"unknown block {block!r}; choose from {list(BLOCKS)}")
    squared = block == "relu_squared"
    model = Transformer(
        len(ALPHABET),
        dim=dim,
        depth=depth,
        max_length=length,
        feed_forward="relu" if squared else block,
        generator=torch.Generator().manual_seed(seed),
    )
    for part in model.blocks if squared else ():
        part.feed_forward.act = SquaredReLU()
    return model


def answers(model, codes, answer):
    """Share of the whole answers of which every character is the model's first choice.

    Parameters
    ----------
    model : Transformer
    codes, answer : ndarray, (N, T + 1)
        As `texts` returns them.

    Returns
    -------
    float
        In [0, 1]; an answer that the end of the text cuts is not counted.
    """
    device = next(model.parameters()).device
    right = total = 0
    for first in range(0, len(codes), 500):
        here, numbers = codes[first : first + 500], answer[first : first + 500, 1:]
        with torch.inference_mode():
            guess = model(torch.from_numpy(here[:, :-1]).to(device)).argmax(-1).cpu().numpy()
        hit, ends = guess == here[:, 1:], (here[:, 1:] == 0) & (numbers > 0)
        for row, column in zip(*ends.nonzero(), strict=True):
            right += hit[row, numbers[row] == numbers[row, column]].all()
            total += 1
    return float(right / total)


def units(profile):
    """Return the list of (configuration, seeds) of a profile."""
    rate = RATES[profile]
    blocks = grid(part=["blocks"], block=BLOCKS, lr=[rate])
    rates = grid(part=["rates"], block=["gelu", "swiglu"], lr=[rate / 2, rate * 2])
    parts = ((blocks, SEEDS[profile]), (rates, FEWER[profile]))
    return [
        (config | SIZES[profile], (seed,))
        for configs, count in parts
        for seed in range(count)
        for config in configs
    ]


def run(config, seeds, device):
    """Train one transformer per seed; return a row for each."""
    return [_train(config, seed, device) for seed in seeds]


def _train(config, seed, device):
    steps, size = config["steps"], config["batch_size"]
    lines = language(config["largest"])
    codes, _, _ = texts(lines, steps * size, seed=seed)
    held_out, answer, cost = texts(lines, config["n_test"], seed=HELD_OUT)
    x, y = (torch.from_numpy(part) for part in (codes, held_out))
    model = build(config["block"], seed=seed, dim=config["dim"], depth=config["depth"])
    result = train.fit(
        model,
        (x[:, :-1], x[:, 1:], y[:, :-1], y[:, 1:]),
        seeds=[seed],
        steps=steps,
        lr=config["lr"],
        batch_size=size,
        optimizer="adam",
        betas=(0.9, 0.98),
        weight_decay=0.01,
        schedule="cosine",
        warmup=steps // 10,
        clip=1.0,
        record_every=max(steps // 40, 1),
        device=device,
    )
    row = result.rows()[0]
    return row | {
        "weights": sum(p.numel() for p in model.parameters()),
        "excess": float(row["test_loss"] - cost),
        "answers": answers(model, held_out, answer),
        "loss": result.loss[:, 0].tolist(),
    }
