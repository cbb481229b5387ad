import itertools
import math

import numpy as np
import pytest
import torch

from selfgated.experiments import gated_transformers as gated
from selfgated.sweep import grid

SMALL = {"part": "blocks", "lr": 0.01, "largest": 1, "dim": 8, "depth": 1}
SMALL |= {"steps": 4, "batch_size": 4, "n_test": 8}


def listed(lines, length, *, reader=None):
    """Cross-entropy per character of all texts of a length, from the list of them."""
    chance, believed = {}, {}
    for found, language in ((chance, lines), (believed, reader or lines)):
        for many in itertools.product(language.items(), repeat=length // 15 + 1):
            text = "".join(begin + end + "\n" for (begin, end), _ in many)[:length]
            assert len(text) == length
            found[text] = found.get(text, 0) + math.prod(p for _, p in many)
    return -sum(p * math.log(believed[text]) for text, p in chance.items()) / length


@pytest.mark.parametrize("length", [1, 7, 25, 40])
def test_floor_is_the_entropy_of_the_list_of_all_texts(length):
    lines = gated.language(1)
    assert gated.floor(lines, length=length) == pytest.approx(listed(lines, length), rel=1e-12)


def test_floor_of_another_reader_is_the_cross_entropy_of_the_lists():
    lines = gated.language(2)
    reader = gated.without_arithmetic(lines)
    found = gated.floor(lines, reader=reader, length=25)
    assert found == pytest.approx(listed(lines, 25, reader=reader), rel=1e-12)
    assert found > gated.floor(lines, length=25)


@pytest.mark.parametrize("largest", [1, 4, 9])
def test_language_is_a_distribution_of_lines_that_calculate_right(largest):
    lines = gated.language(largest)
    words = gated.NUMBERS.split()
    assert sum(lines.values()) == pytest.approx(1, abs=1e-12)
    shares = {"plus": 0.0, "minus": 0.0, "than": 0.0}
    for (begin, end), p in lines.items():
        first, kind, *_ = begin.replace("is more", "than").replace("is less", "than").split()
        shares[kind] += p
        a, answer = words.index(first), words.index(end.strip())
        if kind == "than":
            assert (a > answer) == ("more" in begin)
            assert a != answer
        else:
            b = words.index(begin.split()[2])
            assert answer == (a + b if kind == "plus" else a - b)
    assert shares == pytest.approx({"plus": 0.5, "minus": 0.25, "than": 0.25})


@pytest.mark.parametrize("largest", [0, 10])
def test_language_names_a_bad_number(largest):
    with pytest.raises(ValueError, match=f"from 1 to 9, not {largest}"):
        gated.language(largest)


def test_reader_without_arithmetic_has_the_frequencies_of_the_language():
    lines = gated.language(3)
    reader = gated.without_arithmetic(lines)
    assert sum(reader.values()) == pytest.approx(1, abs=1e-12)
    for of in (0, 1):
        for word in {line[of] for line in lines}:
            there = [
                sum(p for line, p in language.items() if line[of] == word) for language in (lines, reader)
            ]
            assert there[0] == pytest.approx(there[1], rel=1e-12)
    assert reader["three plus three is", " two"] > 0


def test_costs_sum_to_the_entropy_of_a_line():
    lines = gated.language(4)
    entropy = -sum(p * math.log(p) for p in lines.values())
    assert gated.costs(lines).sum() == pytest.approx(entropy, rel=1e-12)


def test_starts_tends_to_one_over_the_mean_length():
    lines = gated.language(4)
    mean = sum(p * len("".join(words) + "\n") for words, p in lines.items())
    r = gated.starts(lines, 3000)
    assert r[0] == 1
    assert not r[1:20].any()
    assert r[-1] == pytest.approx(1 / mean, rel=1e-3)


def test_texts_cost_what_the_floor_says():
    lines = gated.language(4)
    drawn = np.array([gated.texts(lines, 100, seed=seed)[2] for seed in range(40)])
    error = drawn.std(ddof=1) / math.sqrt(len(drawn))
    assert abs(drawn.mean() - gated.floor(lines)) < 4 * error < 0.002


def test_texts_depend_on_the_seed_and_are_lines():
    lines = gated.language(4)
    codes, answer, _ = gated.texts(lines, 20, seed=3)
    assert (codes == gated.texts(lines, 20, seed=3)[0]).all()
    assert (codes != gated.texts(lines, 20, seed=4)[0]).any()
    assert codes.shape == answer.shape == (20, gated.LENGTH + 1)
    known = {begin + end for begin, end in lines}
    for row, numbers in zip(codes, answer, strict=True):
        first, *whole, _ = gated.decode(row).split("\n")
        assert first == ""
        assert known.issuperset(whole)
        marked = gated.decode(row[numbers == 1])
        assert marked == ("" if " than " in whole[0] else whole[0].rsplit(" ", 1)[1] + "\n")


def test_encode_is_the_inverse_of_decode():
    assert gated.decode(gated.encode("one is less than six\n")) == "one is less than six\n"


def test_answers_counts_whole_answers():
    lines = gated.language(4)
    codes, answer, _ = gated.texts(lines, 50, seed=0)

    class Oracle(torch.nn.Module):
        """Knows the text, but for one character."""

        def __init__(self, wrong):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))
            self.wrong = gated.ALPHABET.index(wrong)

        def forward(self, tokens):
            after = torch.from_numpy(codes[:, 1:]).clone()
            after[after == self.wrong] = gated.ALPHABET.index("z")
            return torch.nn.functional.one_hot(after, len(gated.ALPHABET)).float()

    assert gated.answers(Oracle("q"), codes, answer) == 1
    words = [word for row, marks in zip(codes, answer, strict=True) for word in _answered(row, marks)]
    expected = np.mean(["v" not in word for word in words])
    assert 0 < expected < 1
    assert gated.answers(Oracle("v"), codes, answer) == pytest.approx(expected)


def _answered(row, marks):
    text = "".join(gated.decode([code]) if mark else "#" for code, mark in zip(row, marks, strict=True))
    return [part for part in text.replace("\n", "\n#").split("#") if part.endswith("\n")]


def test_build_gives_all_blocks_the_same_number_of_weights():
    sizes = {
        b: sum(p.numel() for p in gated.build(b, seed=0, dim=12, depth=2).parameters()) for b in gated.BLOCKS
    }
    assert len(set(sizes.values())) == 1


def test_build_squares_the_relu():
    plain, squared = (gated.build(block, seed=1, dim=12, depth=1) for block in ("relu", "relu_squared"))
    x = torch.randn(3, 12, generator=torch.Generator().manual_seed(0))
    part = squared.blocks[0].feed_forward
    assert torch.equal(part.inner.weight, plain.blocks[0].feed_forward.inner.weight)
    assert torch.allclose(part(x), part.out(part.inner(x).clamp(min=0) ** 2))


def test_build_names_an_unknown_block():
    with pytest.raises(ValueError, match=r"unknown block 'swish9'; choose from \['relu'"):
        gated.build("swish9", seed=0, dim=12, depth=1)


@pytest.mark.parametrize("block", gated.BLOCKS)
def test_run_gives_a_row_for_each_seed(block):
    rows = gated.run(SMALL | {"block": block}, (0, 5), "cpu")
    assert [row["seed"] for row in rows] == [0, 5]
    cost = gated.texts(gated.language(1), 8, seed=gated.HELD_OUT)[2]
    for row in rows:
        assert row["excess"] == pytest.approx(row["test_loss"] - cost)
        assert row["excess"] > 0
        assert 0 <= row["answers"] <= 1
        assert len(row["loss"]) == 4


def test_run_of_a_seed_does_not_depend_on_the_others():
    config = SMALL | {"block": "swiglu"}
    assert gated.run(config, (3, 4), "cpu")[1] == gated.run(config, (4,), "cpu")[0]


@pytest.mark.parametrize("profile", ["tiny", "quick", "full"])
def test_units_pair_all_blocks_over_the_seeds(profile):
    units = gated.units(profile)
    seeds = {block: [] for block in gated.BLOCKS}
    for config, unit_seeds in units:
        if config["part"] == "blocks":
            seeds[config["block"]] += unit_seeds
    assert all(found == list(range(gated.SEEDS[profile])) for found in seeds.values())
    rates = {(c["block"], c["lr"]) for c, _ in units if c["part"] == "rates"}
    assert len(rates) == len(grid(block=["gelu", "swiglu"], times=[0.5, 2]))
    assert gated.RATES[profile] not in {lr for _, lr in rates}


def test_run_draws_weights_from_the_seed(monkeypatch):
    """All texts in one batch, the same for both seeds: only the weights can differ."""
    texts = gated.texts
    monkeypatch.setattr(gated, "texts", lambda lines, count, *, seed: texts(lines, count, seed=0))
    first, second = gated.run(SMALL | {"block": "gelu", "steps": 1}, (0, 1), "cpu")
    assert abs(first["loss"][0] - second["loss"][0]) > 1e-3
