"""The task of the children: what a pair is, that nothing leaks, and that a linear model learns nothing."""

import math

import numpy as np
import pytest
import torch

from selfgated import data, train
from selfgated.models import MLP
from selfgated.search import parity_pairs, task

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


@pytest.fixture(scope="module")
def known(digits):
    """Label of every image, by its bytes, from the training and the test set."""
    return [
        {image.tobytes(): int(label) for image, label in zip(x.reshape(len(x), -1), y, strict=True)}
        for x, y in ((digits.x_train, digits.y_train), (digits.x_test, digits.y_test))
    ]


def images(x, digits):
    """The two grey images, 0 to 16, of every pair: (N, 2, 64)."""
    grey = x.double().numpy() * float(digits.std[0]) + float(digits.mean[0])
    assert np.abs(grey - grey.round()).max() < 1e-4
    return grey.round().astype(np.uint8).reshape(-1, 2, 64)


def used(x, digits):
    return {image.tobytes() for image in images(x, digits).reshape(-1, 64)}


@pytest.mark.parametrize("part", ["validation", "test"])
def test_labels_by_brute_force(part, digits, known):
    pairs = parity_pairs(3, part)
    label = known[0] | known[1]
    for x, y in ((pairs.x_train, pairs.y_train), (pairs.x_test, pairs.y_test)):
        assert (x.dtype, y.dtype, x.shape) == (torch.float32, torch.int64, (len(y), 128))
        found = [(label[a.tobytes()] + label[b.tobytes()]) % 2 for a, b in images(x, digits)]
        assert found == y.tolist()


@pytest.mark.parametrize("seed", [0, 1])
def test_what_is_tested_on_was_not_trained_on(seed, digits, known):
    validation, test = parity_pairs(seed), parity_pairs(seed, "test")
    training = used(validation.x_train, digits)
    held = used(validation.x_test, digits)
    assert training <= set(known[0])
    assert held <= set(known[0])
    assert not training & held
    assert len(held) == 360
    assert 1000 < len(training) <= 1437 - 360
    assert used(test.x_test, digits) <= set(known[1])
    assert not set(known[0]) & set(known[1])
    assert torch.equal(test.x_train, validation.x_train)
    assert torch.equal(test.y_train, validation.y_train)


def test_seeds_draw_other_pairs_and_hold_out_other_digits(digits):
    first, again, other = parity_pairs(0), parity_pairs(0), parity_pairs(1)
    for a, b in zip(first, again, strict=True):
        assert torch.equal(a, b)
    for part in ("x_train", "x_test"):
        assert not torch.equal(getattr(first, part), getattr(other, part))
    share = len(used(first.x_test, digits) & used(other.x_test, digits)) / 360
    assert share < 0.5  # two independent quarters of the digits have a quarter of theirs in common
    # The test digits are the same, the pairs of them are not.
    tests = parity_pairs(0, "test"), parity_pairs(1, "test")
    assert not torch.equal(tests[0].x_test, tests[1].x_test)


def test_seeds_draw_other_pairs_of_the_same_digits(monkeypatch):
    monkeypatch.setattr(data, "stratified", lambda y, n, *, seed: np.arange(n))
    found = [parity_pairs(seed, part) for part in ("validation", "test") for seed in (101, 102)]
    task._drawn.cache_clear()  # they hold out other digits than they should
    for one, other in (found[:2], found[2:]):
        for name in ("x_train", "x_test"):
            equal = (getattr(one, name) == getattr(other, name)).all(dim=1)
            assert equal.double().mean() < 0.01


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_pairs_are_standardised_and_balanced(seed):
    pairs = parity_pairs(seed)
    assert abs(pairs.x_train.mean()) < 0.02
    assert abs(pairs.x_train.std() - 1) < 0.02
    for y in (pairs.y_train, pairs.y_test):
        # 5 sd of a fair coin
        assert abs(y.double().mean() - 0.5) < 2.5 / math.sqrt(len(y))


@pytest.mark.parametrize("seed", [0, 1])
def test_a_linear_model_is_at_chance_and_a_relu_network_is_not(seed):
    from sklearn.linear_model import LogisticRegression

    pairs = parity_pairs(seed)
    x_train, y_train, x_test, y_test = (t.numpy() for t in pairs)
    linear = LogisticRegression(C=0.1, max_iter=200).fit(x_train, y_train)
    assert abs(linear.score(x_test, y_test) - 0.5) < 2.5 / math.sqrt(len(y_test))
    # A linear model does tell the parity of a single digit: it is the exclusive or that it cannot tell.
    model = MLP(128, 2, width=24, depth=3, act_layer="relu")
    torch.manual_seed(seed)
    result = train.fit(
        model, tuple(pairs), seeds=[seed], steps=300, lr=0.005, batch_size=64, optimizer="adam"
    )
    assert result.test_accuracy.item() > 0.7


def test_what_is_written_to_the_pairs_stays_outside():
    before = parity_pairs(7)
    copies = [t.clone() for t in before]
    for tensor in before:
        tensor.zero_()
    for a, b in zip(parity_pairs(7), copies, strict=True):
        assert torch.equal(a, b)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"unknown part 'train'; choose from \['validation', 'test'\]"):
        parity_pairs(0, "train")
    for bad in (-1, 1.5, "0", True, None):
        with pytest.raises(ValueError, match=f"seed must be a whole number from 0 on, not {bad!r}"):
            parity_pairs(bad)
