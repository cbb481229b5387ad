import copy
import functools
import json
import os
import pickle
import signal

import numpy as np
import pytest
import torch
from torch import nn

from selfgated import init, models, train
from selfgated.data import load
from selfgated.modules import Swish
from selfgated.stacked import extract
from selfgated.train import batches, optimisers
from selfgated.train import checkpoint as checkpoints
from selfgated.train.interrupt import Deferred

DIGITS = load("digits")
OPTIONS = {"device": "cpu", "evaluate": False}


pytestmark = pytest.mark.usefixtures("one_thread")


def build(kind="mlp", seeds=(0,), *, norm=None, act="silu", width=8, depth=3):
    options = {"width": width, "depth": depth, "act_layer": act, "norm": norm, "num_models": len(seeds)}
    made = {"mlp": (models.MLP, (64, 10), {}), "cnn": (models.CNN, (1, 10), {"image_size": 8})}
    layer, sizes, more = made[kind]
    model = layer(*sizes, **more, **options)
    init.scheme_(model, "own", act, seeds=seeds)
    return model


def state(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def assert_same_state(first, second):
    assert first.keys() == second.keys()
    for name in first:
        assert torch.equal(first[name], second[name]), name


class Bomb(pickle.Unpickler):
    """Its pickle would create a file when loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


# K networks as one


@pytest.mark.parametrize(
    ("optimizer", "norm", "dtype"),
    [
        ("sgd", None, torch.float32),
        ("sgd", "batch", torch.float32),
        ("adam", None, torch.float32),
        ("adam", "batch", torch.float32),
        ("adam", "batch", torch.float64),
    ],
)
@pytest.mark.parametrize("kind", ["mlp", "cnn"])
def test_fit_network_among_k_equals_the_network_alone(kind, norm, optimizer, dtype):
    seeds, rates = (3, 1, 4), (0.01, 0.02, 0.005)
    scale = 1.0 if optimizer == "sgd" else 0.1
    options = OPTIONS | {"steps": 20, "optimizer": optimizer, "clip": 0.5, "schedule": "cosine", "warmup": 3}
    options |= {"record_every": 7, "evaluate": True}
    together = build(kind, seeds, norm=norm).to(dtype)
    start = state(together)
    result = train.fit(together, DIGITS, seeds=seeds, lr=[scale * r for r in rates], **options)
    # BatchNorm takes out what a pixel adds that is the same in the whole batch: its gradient is 0 but for
    # rounding, of which Adam makes full steps in float32. These weights wander without effect, but for the
    # running mean, which follows them late. Convolutions have no such weights.
    wander = kind == "mlp" and norm == "batch" and optimizer == "adam" and dtype == torch.float32
    for k in (0, 2):
        seed = seeds[k]
        alone = build(kind, (seed,), norm=norm).to(dtype)
        single = train.fit(alone, DIGITS, seeds=seed, lr=scale * rates[k], **options)
        among, before = extract(together.state_dict(), k, 3), extract(start, k, 3)
        for name, value in alone.state_dict().items():
            if not (wander and name in ("blocks.0.layer.weight", "blocks.0.norm.running_mean")):
                assert torch.allclose(among[name].double(), value.double(), rtol=0, atol=1e-5), name
        assert (among["head.weight"] - before["head.weight"]).abs().max() > 1e-3
        for name in ("loss", "train_loss", *(() if wander else ("test_loss",))):
            np.testing.assert_allclose(
                getattr(result, name)[..., k], getattr(single, name)[..., 0], rtol=0, atol=1e-5, err_msg=name
            )
        np.testing.assert_allclose(result.grad_norm[:, :, k], single.grad_norm[:, :, 0], rtol=1e-4)
        assert result.layers == single.layers


def test_orders_depend_on_the_seed_and_the_epoch_alone():
    many, one = batches.orders((5, 2, 9), 4, samples=100), batches.orders((2,), 4, samples=100)
    assert torch.equal(many[1], one[0])
    assert not torch.equal(many[0], many[1])
    assert not torch.equal(one, batches.orders((2,), 5, samples=100))
    assert torch.equal(one.sort().values, torch.arange(100)[None])


def test_fit_batches_visit_every_sample_once_an_epoch():
    x = torch.arange(40.0)[:, None]
    seen = []

    def loss_fn(output, target):
        seen.append(target.flatten())
        return output.pow(2).mean()

    train.fit(
        nn.Linear(1, 1),
        (x, torch.arange(40), x, x),
        seeds=0,
        steps=20,
        lr=0,
        batch_size=4,
        loss_fn=loss_fn,
        **OPTIONS,
    )
    first, second = torch.cat(seen[:10]), torch.cat(seen[10:])
    assert torch.equal(first.sort().values, torch.arange(40))
    assert torch.equal(second.sort().values, torch.arange(40))
    assert not torch.equal(first, second)


def test_resident_images_are_standardised_uint8():
    resident = batches.Resident(DIGITS, device=torch.device("cpu"), dtype=torch.float64)
    assert resident.x_train.dtype == torch.uint8
    index = torch.tensor([[3, 1], [0, 7]])
    x, y = resident.batch(index)
    expected = (DIGITS.x_train[index.numpy()] - DIGITS.mean[:, None, None]) / DIGITS.std[:, None, None]
    np.testing.assert_allclose(x.numpy(), expected, rtol=1e-13, atol=1e-13)
    assert torch.equal(y, torch.tensor(DIGITS.y_train)[index])


# optimisers


@pytest.mark.parametrize(
    ("name", "options", "reference"),
    [
        ("sgd", {"momentum": 0.0}, lambda p: torch.optim.SGD(p, lr=0.1)),
        ("sgd", {"momentum": 0.9}, lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9)),
        (
            "sgd",
            {"momentum": 0.5, "weight_decay": 0.1},
            lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.5, weight_decay=0.1),
        ),
        ("adam", {"betas": (0.8, 0.9)}, lambda p: torch.optim.Adam(p, lr=0.1, betas=(0.8, 0.9))),
        ("adam", {"weight_decay": 0.1}, lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.1)),
    ],
)
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_optimizer_equals_torch(name, options, reference, memory_format):
    torch.manual_seed(0)
    mine = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4, 2)).double()
    mine = mine.to(memory_format=memory_format)
    theirs = copy.deepcopy(mine)
    rows = optimisers.Rows(mine.named_parameters(), 1)
    optimizer, other = optimisers.OPTIMIZERS[name](rows, **options), reference(theirs.parameters())
    for step in range(20):
        x = torch.randn(5, 3, 3, 3, dtype=torch.float64)
        grads = torch.autograd.grad(mine(x).pow(2).mean(), rows.params)
        with torch.no_grad():
            rows.subtract(0.1 * optimizer.update(rows.gather(grads), step))
        other.zero_grad()
        theirs(x).pow(2).mean().backward()
        other.step()
    for p, q in zip(mine.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(p, q, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("optimizer", "reference"),
    [("sgd", lambda p: torch.optim.SGD(p, momentum=0.9)), ("adam", torch.optim.AdamW)],
)
@pytest.mark.parametrize("no_decay", [("beta",), "beta", ()])
def test_fit_lr_factors_and_no_decay_equal_parameter_groups(optimizer, reference, no_decay):
    torch.manual_seed(0)
    x, y = torch.randn(8, 6, dtype=torch.float64), torch.arange(8) % 3
    act = Swish(num_parameters=5, beta=0.5, dtype=torch.float64)
    mine = nn.Sequential(nn.Linear(6, 5).double(), act, nn.Linear(5, 3).double())
    theirs = copy.deepcopy(mine)
    options = {"lr": 0.05, "weight_decay": 0.2, "optimizer": optimizer, "batch_size": 8}
    options |= {"no_decay": no_decay, "lr_factors": {"beta": 10.0, "bias": 0.0}}
    train.fit(mine, (x, y, x, y), seeds=0, steps=15, **options, **OPTIONS)
    settings = {
        "weight": {"lr": 0.05, "weight_decay": 0.2},
        "bias": {"lr": 0.0, "weight_decay": 0.2},
        "beta": {"lr": 0.5, "weight_decay": 0.0 if no_decay else 0.2},
    }
    groups = [{"params": [p], **settings[n.rpartition(".")[2]]} for n, p in theirs.named_parameters()]
    other = reference(groups)
    for _ in range(15):
        other.zero_grad()
        nn.functional.cross_entropy(theirs(x), y).backward()
        other.step()
    for (name, p), q in zip(mine.named_parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(p, q, rtol=1e-10, atol=1e-12), name
    assert (mine[1].beta - 0.5).abs().max() > 0.01


def test_fit_lr_factors_and_no_decay_act_on_every_network():
    act_layer = functools.partial(Swish, num_parameters=8)
    model = build("cnn", (0, 1), act=act_layer)
    before = state(model)
    options = OPTIONS | {"seeds": (0, 1), "steps": 3, "lr": 0.1, "momentum": 0.0, "weight_decay": 0.5}
    train.fit(model, DIGITS, **options, loss_fn=lambda output, target: output.sum((1, 2)) * 0)
    for name, value in model.state_dict().items():
        factor = 1 if name.endswith(".beta") else (1 - 0.1 * 0.5) ** 3
        assert torch.allclose(value, factor * before[name], rtol=1e-6), name
    train.fit(model, DIGITS, **options, lr_factors={"beta": 0.0, "weight": 0.0, "bias": 0.0})
    for name, value in model.state_dict().items():
        factor = 1 if name.endswith(".beta") else (1 - 0.1 * 0.5) ** 3
        assert torch.allclose(value, factor * before[name], rtol=1e-6), name


def test_rows_scatter_inverts_gather():
    model = nn.Conv2d(4, 6, 3, groups=2).to(memory_format=torch.channels_last)
    rows = optimisers.Rows(model.named_parameters(), 2)
    parts = [torch.randn_like(p) for p in rows.params]
    matrix = rows.gather(parts)
    assert matrix.shape == (2, model.weight.numel() // 2 + 3)
    assert all(torch.equal(a, b) for a, b in zip(rows.scatter(matrix), parts, strict=True))
    expected = torch.stack([parts[0][:3].norm(), parts[0][3:].norm()])
    assert torch.allclose(matrix[:, : rows.sizes[0]].norm(dim=1), expected)


@pytest.mark.parametrize("clip", [0.1, 100.0])
def test_fit_clips_like_torch(clip):
    x, y = torch.randn(8, 6, dtype=torch.float64), torch.arange(8) % 3
    mine = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3)).double()
    theirs = copy.deepcopy(mine)
    result = train.fit(
        mine, (x, y, x, y), seeds=0, steps=1, lr=0.5, batch_size=8, clip=clip, record_every=1, **OPTIONS
    )
    nn.functional.cross_entropy(theirs(x), y).backward()
    norms = [theirs[i].weight.grad.norm() for i in (0, 2)]
    np.testing.assert_allclose(result.grad_norm[0, :, 0], norms, rtol=1e-12)
    assert result.layers == ("0", "2")
    nn.utils.clip_grad_norm_(theirs.parameters(), clip)
    torch.optim.SGD(theirs.parameters(), lr=0.5).step()
    for p, q in zip(mine.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(p, q, rtol=1e-12, atol=1e-14)


def test_schedule_factor_warms_up_and_ends_at_zero():
    factors = {
        name: [train.schedule_factor(s, steps=12, schedule=name, warmup=2) for s in range(13)]
        for name in optimisers.SCHEDULES
    }
    for values in factors.values():
        assert values[:3] == [0.5, 1.0, 1.0]
    assert set(factors["constant"][2:]) == {1.0}
    assert factors["linear"][7] == 0.5
    assert factors["linear"][12] == factors["cosine"][12] == 0
    assert factors["cosine"][7] == pytest.approx(0.5)
    assert factors["cosine"][4] == pytest.approx((1 + np.cos(np.pi / 5)) / 2)


# determinism


def test_fit_numpy_seeds_are_plain_in_rows_and_checkpoints(tmp_path):
    path = tmp_path / "run.pt"
    result = train.fit(build(), DIGITS, seeds=np.arange(1), steps=1, lr=0.1, checkpoint=path, **OPTIONS)
    assert json.loads(json.dumps(result.rows()))[0]["seed"] == 0
    assert train.load_checkpoint(path)["settings"]["seeds"] == [0]


def test_fit_gives_the_same_bits_and_leaves_the_generators():
    runs = []
    for noise in (1, 2):
        torch.manual_seed(noise)
        model = build("cnn", (0, 1))
        model.blocks.append(nn.Dropout2d(0.3))
        before = torch.get_rng_state()
        train.fit(model, DIGITS, seeds=(0, 1), steps=5, lr=0.02, **OPTIONS)
        assert torch.equal(torch.get_rng_state(), before)
        runs.append(state(model))
    assert_same_state(*runs)


def test_fit_trains_digits():
    seeds = (0, 1)
    result = train.fit(build("cnn", seeds), DIGITS, seeds=seeds, steps=100, lr=0.02, device="cpu")
    assert result.test_accuracy.min() > 0.85
    assert result.train_loss.max() < 0.5
    assert [row["seed"] for row in result.rows()] == [0, 1]
    assert result.rows()[1]["test_accuracy"] == result.test_accuracy[1]


def test_fit_bfloat16_on_a_cpu_rounds_and_keeps_float32_weights():
    states = {}
    for precision in ("float32", "bfloat16"):
        model = build("cnn")
        train.fit(model, DIGITS, seeds=0, steps=5, lr=0.02, precision=precision, **OPTIONS)
        states[precision] = state(model)
    distance = max(float((v - states["float32"][n]).abs().max()) for n, v in states["bfloat16"].items())
    assert {v.dtype for v in states["bfloat16"].values()} == {torch.float32}
    assert 1e-7 < distance < 2e-2


def test_fit_takes_tokens():
    tokens = torch.randint(0, 5, (40, 7), generator=torch.Generator().manual_seed(0))
    tokens[:, 1::2] = tokens[:, :1]
    data = (tokens[:, :-1], tokens[:, 1:], tokens[:, :-1], tokens[:, 1:])
    model = models.Transformer(5, dim=16, depth=1, heads=2, max_length=6)
    before = train.evaluate(model, data)
    result = train.fit(model, data, seeds=0, steps=60, lr=0.01, optimizer="adam", batch_size=20, device="cpu")
    assert result.test_loss[0] < before.loss[0]
    assert result.test_accuracy[0] > 0.5


# divergence


@pytest.mark.parametrize("kind", ["mlp", "cnn"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_fit_divergence_of_one_leaves_the_others_to_the_bit(kind, optimizer):
    seeds, options = (0, 1, 2), OPTIONS | {"steps": 12, "record_every": 1, "optimizer": optimizer}
    healthy, sick = build(kind, seeds, norm="batch"), build(kind, seeds, norm="batch")
    with torch.no_grad():
        first = next(sick.parameters())
        first[first.shape[0] // 3] = float("inf")  # the first weights of network 1
    calm = train.fit(healthy, DIGITS, seeds=seeds, lr=0.01, **options)
    result = train.fit(sick, DIGITS, seeds=seeds, lr=0.01, **options)
    assert result.diverged_at.tolist() == [-1, 0, -1]
    assert np.isnan(result.loss[1:, 1]).all()
    for k in (0, 2):
        assert_same_state(extract(sick.state_dict(), k, 3), extract(healthy.state_dict(), k, 3))
        np.testing.assert_array_equal(result.loss[:, k], calm.loss[:, k])


def test_fit_divergence_by_learning_rate_ends_that_network():
    model = build("cnn", (0, 1))
    result = train.fit(model, DIGITS, seeds=(0, 1), steps=40, lr=[0.02, 1e20], device="cpu")
    assert result.diverged_at[0] == -1
    assert 1 <= result.diverged_at[1] < 40
    assert result.test_accuracy[0] > 0.3
    assert result.test_accuracy[1] == 0
    assert result.rows()[1]["train_loss"] is None


def test_fit_diverged_network_keeps_its_weights():
    model, kept, calls = build("mlp", (0, 1)), [], []

    def loss_fn(output, target):
        calls.append(1)
        if len(calls) == 4:
            kept.append(extract(state(model), 0, 2))
        bad = torch.tensor([float("nan"), 0.0]) if len(calls) == 4 else torch.zeros(2)
        return train.cross_entropy(output, target, 2) + bad

    options = OPTIONS | {"steps": 9, "lr": 0.02, "loss_fn": loss_fn, "record_every": 2}
    result = train.fit(model, DIGITS, seeds=(0, 1), **options)
    assert result.diverged_at.tolist() == [3, -1]
    assert np.isfinite(result.loss).T.tolist() == [[True] * 2 + [False] * 3, [True] * 5]
    np.testing.assert_array_equal(np.isfinite(result.grad_norm).all(1), np.isfinite(result.loss))
    assert np.isfinite(result.train_loss).tolist() == [False, True]
    assert_same_state(extract(model.state_dict(), 0, 2), kept[0])


def test_fit_ends_early_when_all_diverged():
    calls = []

    def loss_fn(output, target):
        calls.append(1)
        return train.cross_entropy(output, target) * (float("inf") if len(calls) == 3 else 1)

    result = train.fit(
        build(), DIGITS, seeds=0, steps=50, lr=0.02, loss_fn=loss_fn, record_every=10, **OPTIONS
    )
    assert len(calls) == 3
    assert result.diverged_at.tolist() == [2]
    assert (result.steps, result.interrupted) == (50, False)
    assert result.step.tolist() == [0, 10, 20, 30, 40]
    assert np.isfinite(result.loss[:, 0]).tolist() == [True, False, False, False, False]


# evaluation


def test_accuracy_equals_a_count_by_hand_and_restores_the_mode():
    model = build("cnn", (0, 1), norm="batch")
    model.blocks[1].norm.eval()
    flags, before = [m.training for m in model.modules()], state(model)
    x = torch.tensor((DIGITS.x_test - DIGITS.mean[0]) / DIGITS.std[0]).float()
    found = train.accuracy(model, DIGITS)
    assert [m.training for m in model.modules()] == flags
    assert_same_state(model.state_dict(), before)
    np.testing.assert_allclose(train.accuracy(model, DIGITS, batch_size=7), found, rtol=1e-12)
    model.eval()
    right = (model(x).argmax(-1).numpy() == DIGITS.y_test).mean(1)
    np.testing.assert_allclose(found, right, rtol=1e-12)
    y = torch.tensor(DIGITS.y_test)
    np.testing.assert_array_equal(train.accuracy(model, (x, y)), found)
    loss = train.evaluate(model, (x, y), batch_size=100).loss
    single = [nn.functional.cross_entropy(model(x)[k], y).item() for k in (0, 1)]
    np.testing.assert_allclose(loss, single, rtol=1e-5)


def test_evaluate_restores_the_mode_after_an_exception():
    model = build("mlp", norm="batch")
    with pytest.raises(ValueError, match="expected a shape"):
        train.accuracy(model, (torch.zeros(3, 5), torch.zeros(3, dtype=torch.int64)))
    assert all(m.training for m in model.modules())


def test_accuracy_counts_an_output_that_is_not_finite_as_wrong():
    model = nn.Linear(1, 2, bias=False)
    nn.init.constant_(model.weight, float("nan"))
    assert train.accuracy(model, (torch.ones(3, 1), torch.zeros(3, dtype=torch.int64))).tolist() == [0.0]


def test_evaluate_has_no_accuracy_for_targets_that_are_not_labels():
    found = train.evaluate(
        nn.Linear(1, 1), (torch.ones(4, 1), torch.ones(4, 1)), loss_fn=nn.functional.mse_loss, batch_size=3
    )
    assert np.isnan(found.accuracy).all()
    assert np.isfinite(found.loss).all()


# checkpoints


def press_at(step):
    """A loss_fn of two networks that presses Ctrl-C within the given step."""
    calls = []

    def loss_fn(output, target):
        if len(calls) == step:
            signal.raise_signal(signal.SIGINT)
        calls.append(1)
        return train.cross_entropy(output, target, 2)

    return loss_fn


@pytest.mark.parametrize(
    ("optimizer", "precision"), [("sgd", "float32"), ("adam", "float32"), ("adam", "bfloat16")]
)
def test_fit_resumed_after_ctrl_c_equals_a_run_without_a_break(tmp_path, optimizer, precision):
    path = tmp_path / "run.pt"
    options = {
        "steps": 60,
        "lr": [0.01, 0.02],
        "optimizer": optimizer,
        "schedule": "cosine",
        "precision": precision,
    }
    options |= {"seeds": (0, 1), "record_every": 5, "device": "cpu", "loss_fn": press_at(-1)}

    def fresh():
        model = build("cnn", (0, 1), norm="batch")
        model.blocks.append(nn.Dropout2d(0.3))
        return model

    whole = fresh()
    expected = train.fit(whole, DIGITS, **options)
    first = train.fit(fresh(), DIGITS, checkpoint=path, **options | {"loss_fn": press_at(25)})
    assert (first.interrupted, first.steps) == (True, 26)
    assert first.step.tolist() == [0, 5, 10, 15, 20, 25]
    with pytest.raises(KeyboardInterrupt):
        first.rows()
    second = fresh()
    result = train.fit(second, DIGITS, checkpoint=path, resume=True, **options)
    assert_same_state(second.state_dict(), whole.state_dict())
    assert not result.interrupted
    for name in ("loss", "grad_norm", "train_loss", "test_accuracy", "test_loss", "diverged_at", "step"):
        np.testing.assert_array_equal(getattr(result, name), getattr(expected, name), err_msg=name)
    again = train.fit(fresh(), DIGITS, checkpoint=path, resume=True, **options)
    np.testing.assert_array_equal(again.test_loss, expected.test_loss)


def test_fit_resumed_for_more_steps_equals_one_long_run(tmp_path):
    path, options = tmp_path / "run.pt", OPTIONS | {"seeds": 3, "lr": 0.02}
    long, parts = build(), build()
    train.fit(long, DIGITS, steps=40, **options)
    train.fit(parts, DIGITS, steps=15, checkpoint=path, resume=True, **options)
    parts = build()
    train.fit(parts, DIGITS, steps=40, checkpoint=path, resume=True, **options)
    assert_same_state(parts.state_dict(), long.state_dict())


def test_deferred_second_ctrl_c_raises_and_the_handler_is_restored():
    with Deferred() as ctrl_c:
        signal.raise_signal(signal.SIGINT)
        assert ctrl_c.pressed
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_deferred_leaves_a_handler_that_is_not_pythons_own():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Deferred() as ctrl_c:
            signal.raise_signal(signal.SIGINT)
        assert not ctrl_c.pressed
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def damage(kind, good, path):
    content = bytearray(good.read_bytes())
    if kind == "truncated":
        content = content[: len(content) // 2]
    elif kind == "flipped":
        content[content.index(b"data/0") + 100] ^= 1
    elif kind == "text":
        content = b"my thesis"
    elif kind == "empty":
        content = b""
    elif kind == "model":
        torch.save(nn.Linear(2, 2).state_dict(), path)
        return
    elif kind == "code":
        torch.save({"format": checkpoints.FORMAT, "model": Bomb(path.with_name("pwned"))}, path)
        return
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("resume", [True, False])
@pytest.mark.parametrize("kind", ["truncated", "flipped", "text", "empty", "model", "code"])
def test_fit_refuses_a_damaged_or_foreign_checkpoint_and_changes_nothing(tmp_path, kind, resume):
    good, bad = tmp_path / "good.pt", tmp_path / "bad.pt"
    options = OPTIONS | {"seeds": 0, "steps": 3, "lr": 0.02}
    train.fit(build(), DIGITS, checkpoint=good, **options)
    damage(kind, good, bad)
    model, content, files = build(), bad.read_bytes(), sorted(tmp_path.iterdir())
    before, generator = state(model), torch.get_rng_state()
    with pytest.raises(
        ValueError, match=r"bad\.pt is not a checkpoint of selfgated\.train, or it is damaged"
    ):
        train.fit(model, DIGITS, checkpoint=bad, resume=resume, **options)
    assert_same_state(model.state_dict(), before)
    assert torch.equal(torch.get_rng_state(), generator)
    assert bad.read_bytes() == content
    assert sorted(tmp_path.iterdir()) == files


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lr": 0.03}, r"written with lr=\[0.02\], not \[0.03\]"),
        ({"seeds": 1}, r"written with seeds=\[0\], not \[1\]"),
        ({"steps": 2}, "written with steps=3, not 2"),
        ({"model": {"act": "gelu"}}, r"another model: .*SiLU\(\) there, .*GELU.* here"),
        ({"model": {"width": 9}}, "another model: .*out_features=8"),
        ({"data": DIGITS.subset(500, 100, 0)}, "other training data"),
    ],
)
def test_fit_refuses_the_checkpoint_of_another_run(tmp_path, change, message):
    path, options = tmp_path / "run.pt", OPTIONS | {"seeds": 0, "steps": 3, "lr": 0.02}
    train.fit(build(), DIGITS, checkpoint=path, **options)
    model, content = build(**change.pop("model", {})), path.read_bytes()
    data, before = change.pop("data", DIGITS), state(model)
    with pytest.raises(ValueError, match=message):
        train.fit(model, data, checkpoint=path, resume=True, **options | change)
    assert_same_state(model.state_dict(), before)
    assert path.read_bytes() == content


def test_save_checkpoint_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "run.pt"
    train.save_checkpoint(path, {"step": 1})

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        train.save_checkpoint(path, {"step": 2})
    assert train.load_checkpoint(path)["step"] == 1
    assert list(tmp_path.iterdir()) == [path]


def test_fit_writes_checkpoints_on_the_way(tmp_path, monkeypatch):
    path, steps = tmp_path / "run.pt", []
    real = checkpoints.save_checkpoint
    monkeypatch.setattr(
        "selfgated.train.loop.save_checkpoint", lambda p, c: (steps.append(c["step"]), real(p, c))
    )
    train.fit(build(), DIGITS, seeds=0, steps=10, lr=0.02, checkpoint=path, checkpoint_every=4, **OPTIONS)
    assert steps == [4, 8, 10]
    assert train.load_checkpoint(path)["step"] == 10


# devices and bad input


def test_resolve_device_reads_the_environment(monkeypatch):
    monkeypatch.setenv("SELFGATED_DEVICE", "cpu")
    assert train.resolve_device() == torch.device("cpu")
    monkeypatch.setenv("SELFGATED_DEVICE", "gpu")
    with pytest.raises(
        ValueError, match=r"unknown device 'gpu' \(from SELFGATED_DEVICE\); choose from \['auto'"
    ):
        train.resolve_device("auto")
    monkeypatch.delenv("SELFGATED_DEVICE")
    assert train.resolve_device().type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_resolve_device_without_cuda_says_so(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="'cuda' is not there: torch sees no CUDA device"):
        train.resolve_device("cuda")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"optimizer": "lion"}, r"unknown optimizer 'lion'; choose from \['sgd', 'adam'\]"),
        ({"schedule": "step"}, "unknown schedule 'step'; choose from"),
        ({"precision": "float8"}, "unknown precision 'float8'; choose from"),
        ({"device": "tpu"}, "unknown device 'tpu'; choose from"),
        ({"seeds": (0, 1)}, r"2 seeds for 1 networks: \[0, 1\]"),
        ({"seeds": -1}, "a seed must be an integer of at least 0, not -1"),
        ({"lr": (0.1, 0.2)}, "2 learning rates for 1 networks"),
        ({"lr": float("nan")}, "lr must be a number of at least 0, not nan"),
        ({"steps": 1.5}, "steps must be an integer of at least 0, not 1.5"),
        ({"batch_size": 2000}, "batch_size 2000 is more than the 1437 training samples"),
        ({"clip": 0}, "clip must be a number of more than 0, not 0"),
        ({"momentum": 1}, "momentum must be a number of at least 0 and less than 1, not 1"),
        ({"lr_factors": {"beta": 2}}, r"lr_factors: no parameter 'beta'; choose from \['bias', 'weight'\]"),
        ({"lr_factors": {"bias": -1}}, "the factor of bias must be a number of at least 0, not -1"),
        ({"lr_factors": {"head.bias": 1}}, "the last part of a name, not 'head.bias'"),
        ({"no_decay": ("",)}, "the last part of a name, not ''"),
        ({"resume": True}, "need checkpoint"),
        ({"checkpoint": "no/such/folder/run.pt"}, "there is no folder .*no/such/folder for the checkpoint"),
        (
            {"loss_fn": lambda output, target: output},
            r"loss_fn must return a tensor of shape \(1,\), not \(64, 10\)",
        ),
    ],
)
def test_fit_bad_argument_names_the_value_and_the_choices(change, message):
    with pytest.raises(ValueError, match=message):
        train.fit(build(), DIGITS, **OPTIONS | {"seeds": 0, "steps": 3, "lr": 0.02} | change)


def test_fit_other_data_is_refused():
    with pytest.raises(TypeError, match=r"a Dataset or a tuple of four tensors .*, not tuple of 2"):
        train.fit(build(), (torch.ones(2), torch.ones(2)), seeds=0, steps=1, lr=0.1, **OPTIONS)
    data = (torch.ones(3, 2), torch.ones(2), torch.ones(2), torch.ones(2))
    with pytest.raises(ValueError, match="x_train holds 3 samples and y_train 2"):
        train.fit(build(), data, seeds=0, steps=1, lr=0.1, **OPTIONS)


def test_fit_parameters_that_do_not_split_are_refused():
    model = nn.Linear(2, 3)
    model.num_models = 2
    x = torch.ones(4, 2)
    with pytest.raises(ValueError, match=r"parameter weight of shape .* a multiple of num_models=2"):
        train.fit(model, (x, x, x, x), seeds=(0, 1), steps=1, lr=0.1, batch_size=2, **OPTIONS)


def test_fit_counts_a_network_that_the_last_update_breaks_as_diverged():
    model = build("mlp", (0, 1))
    result = train.fit(model, DIGITS, seeds=(0, 1), steps=1, lr=[0.01, 1e30], evaluate=True)
    assert result.diverged_at.tolist() == [-1, 1]


def test_fit_resume_compares_the_tag_and_changes_nothing(tmp_path):
    path = tmp_path / "state.pt"
    options = OPTIONS | {"steps": 2, "seeds": (0,), "lr": 0.01, "checkpoint": path}
    train.fit(build("mlp", (0,)), DIGITS, tag={"init": "own"}, **options)
    model = build("mlp", (0,))
    before = state(model)
    with pytest.raises(ValueError, match="written with init='own', not 'he'"):
        train.fit(model, DIGITS, tag={"init": "he"}, resume=True, **options)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"lr": None}, "lr must be a number or a sequence"),
        ({"lr": "0.1"}, "lr must be a number or a sequence"),
        ({"betas": (0.9,)}, "betas must be two numbers"),
        ({"seeds": None}, "seeds must be a number or a sequence"),
        ({"checkpoint": "x.pt", "checkpoint_every": 2.5}, "checkpoint_every must be an integer"),
    ],
)
def test_fit_names_a_bad_argument(given, message):
    options = OPTIONS | {"steps": 1, "seeds": (0,), "lr": 0.01}
    with pytest.raises(ValueError, match=message):
        train.fit(build("mlp", (0,)), DIGITS, **options | given)


@pytest.mark.parametrize(
    ("label", "message"), [(-100, "from 0 on, not -100"), (1.0, "int64, not torch.float")]
)
def test_fit_refuses_labels_that_are_no_classes(label, message):
    x, y = torch.zeros(8, 4), torch.full((8,), label)
    with pytest.raises(ValueError, match=message):
        train.fit(nn.Linear(4, 3), (x, y, x, y), seeds=0, steps=1, lr=0.1, batch_size=4)
