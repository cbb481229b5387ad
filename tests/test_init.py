"""Initialisation: the distribution of the weights, the variances that it keeps, and what it leaves alone."""

import math
from functools import partial

import pytest
import torch
from scipy import stats
from torch import nn
from torch.nn import functional as TF

from selfgated import catalog, functional, init, modules, moments
from selfgated.models import CNN, MLP
from selfgated.stacked import StackedLinear, extract

ONE_IN_A_MILLION = 1e-6


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def assert_normal(weight, std):
    """Mean, variance and shape of the distribution, each with a false alarm in a million."""
    values = weight.detach().double().flatten().numpy() / std
    n = values.size
    low, high = stats.chi2.ppf([ONE_IN_A_MILLION / 2, 1 - ONE_IN_A_MILLION / 2], n)
    assert low < (values**2).sum() < high
    assert abs(values.mean()) < stats.norm.isf(ONE_IN_A_MILLION / 2) / math.sqrt(n)
    assert stats.kstest(values, "norm").pvalue > ONE_IN_A_MILLION


LAYERS = {
    "linear": (lambda: nn.Linear(80, 120), 80, 120),
    "conv1d": (lambda: nn.Conv1d(16, 40, 5), 16 * 5, 40 * 5),
    "conv2d": (lambda: nn.Conv2d(16, 24, (3, 5), stride=2), 16 * 15, 24 * 15),
    "conv3d": (lambda: nn.Conv3d(8, 12, 3), 8 * 27, 12 * 27),
    "grouped": (lambda: nn.Conv2d(32, 64, 3, groups=4), 8 * 9, 16 * 9),
    "stacked": (lambda: StackedLinear(4, 50, 70), 50, 70),
}


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("mode", ["fan_in", "fan_out"])
def test_init_weights_are_normal_with_the_gain_of_the_activation(layer, mode):
    build, fan_in, fan_out = LAYERS[layer]
    module = build()
    report = init.init_(module, "mish", mode=mode, generator=generator())
    gain, fan = (
        (moments.forward_gain("mish"), fan_in)
        if mode == "fan_in"
        else (moments.backward_gain("mish"), fan_out)
    )
    assert report == init.Report(gain, ("",), None, {})
    assert_normal(module.weight, gain / math.sqrt(fan))
    assert not module.bias.any()


@pytest.mark.parametrize("name", catalog.names())
def test_init_keeps_the_variance_of_pre_activations(name):
    networks, width, depth, rows = 128, 128, 5, 4
    model = MLP(width, 10, width=width, depth=depth, act_layer=name, num_models=networks)
    init.init_(model, name, generator=generator())
    seen = []
    for block in model.blocks:
        block.act.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    z = torch.randn(networks, rows, width, generator=generator(1))
    with torch.no_grad():
        model(getattr(functional, name)(z))
    # One layer of n units: q = gain^2 mean f^2 / n has relative spread gain^2 sd(f^2) / sqrt(n), at most as
    # large for the mean over rows. The variance map multiplies earlier deviations by its slope at q = 1.
    second, fourth = moments.moment(name, 2), moments.moment(name, 4)
    # The mean over networks and units of z^2 itself adds 2 / n for the Gaussian weights.
    variance = fourth / second**2 - 1 + 2
    slope = (moments.moment(name, q=1.01) - moments.moment(name, q=0.99)) / (0.02 * second)
    for layers, z in enumerate(seen, 1):
        spread = math.sqrt(sum(variance * slope ** (2 * j) for j in range(layers)) / (width * networks))
        assert abs(z.double().square().mean().item() - 1) < 5 * spread, layers
    assert len(seen) == depth


def test_init_refuses_what_mixes_numbers():
    for mode in init.MODES:
        with pytest.raises(ValueError, match="not elementwise: its value at a number depends on the others"):
            init.init_(nn.Sequential(nn.Linear(3, 3)), nn.Softmax(-1), mode=mode)


def test_init_takes_an_activation_that_works_in_place():
    for mode in init.MODES:
        gains = [init.init_(nn.Linear(3, 3), act, mode=mode).gain for act in (torch.celu, torch.celu_)]
        assert gains[0] == gains[1]


def test_scheme_refuses_seeds_that_are_no_integers():
    with pytest.raises(TypeError, match="float"):
        init.scheme_(nn.Linear(3, 3), "he", seeds=[0.5])


def test_init_gives_the_last_layer_gain_one():
    model = nn.Sequential(nn.Linear(60, 90), nn.SiLU(), nn.Linear(90, 80), nn.SiLU(), nn.Linear(80, 100))
    report = init.init_(model, "silu", generator=generator())
    assert (report.scaled, report.last) == (("0", "2", "4"), "4")
    assert_normal(model[2].weight, report.gain / math.sqrt(90))
    assert_normal(model[4].weight, 1 / math.sqrt(80))


@pytest.mark.parametrize(
    ("model", "last"),
    [
        (nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3), nn.Sigmoid()), None),
        (nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3)), None),
        (nn.Sequential(nn.Linear(3, 3), nn.CELU(), nn.Linear(3, 3), nn.Identity(), nn.Softmax(-1)), "2"),
        (nn.Sequential(nn.Linear(3, 3), nn.Identity(), nn.Linear(3, 3)), "2"),
        (nn.Sequential(nn.Conv2d(3, 3, 1), nn.PReLU(), nn.Flatten(), nn.Linear(3, 3), nn.Dropout()), "3"),
        (MLP(3, 3, depth=2), "head"),
        (CNN(1, 3, image_size=4, depth=2, num_models=3, act_layer="swish"), "head"),
    ],
)
def test_init_finds_the_layer_after_the_last_activation(model, last):
    assert init.init_(model, "relu").last == last


class Zoo(nn.Module):
    """Layers that are known, unknown, frozen, shared and tied."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))
        self.embedding = nn.Embedding(10, 8)
        self.attention = nn.MultiheadAttention(8, 2)
        self.norm = nn.LayerNorm(8)
        self.recurrent = nn.GRU(8, 8)
        self.first = nn.Linear(8, 8)
        self.frozen = nn.Linear(8, 8).requires_grad_(False)
        self.normed = nn.utils.parametrizations.weight_norm(nn.Linear(8, 8))
        self.lazy = nn.LazyLinear(3)
        self.up = nn.ConvTranspose2d(2, 2, 3)
        self.again = self.first
        self.act = nn.GELU()
        self.tied = nn.Linear(8, 10, bias=False)
        self.tied.weight = self.embedding.weight
        self.out = nn.Linear(8, 2)


def test_init_leaves_and_lists_what_it_does_not_know():
    model = Zoo()
    before = {name: p.clone() for name, p in model.named_parameters() if not name.startswith("lazy")}
    report = init.init_(model, "gelu", generator=generator())
    assert report.scaled == ("first", "out")
    assert report.last == "out"
    reasons = {
        "scale": "Zoo",
        "embedding.weight": "shared with Embedding",
        "frozen.weight": "frozen",
        "frozen.bias": "frozen",
        "lazy.weight": "no shape yet",
        "lazy.bias": "no shape yet",
    }
    for name, layer in (("attention", "MultiheadAttention"), ("recurrent", "GRU"), ("norm", "LayerNorm")):
        reasons |= {n: layer for n in before if n.startswith(name + ".")}
    reasons |= {n: "ConvTranspose2d" for n in before if n.startswith("up.")}
    reasons |= {n: "ParametrizationList" for n in before if "parametrizations" in n}
    assert report.left == reasons
    changed = {n for n, p in model.named_parameters() if n in before and not torch.equal(p, before[n])}
    assert changed == {"first.weight", "first.bias", "normed.bias", "out.weight", "out.bias"}


def test_init_draws_a_shared_layer_and_a_tied_weight_once():
    shared = nn.Linear(8, 8)
    model = nn.Sequential(shared, nn.ReLU(), shared, nn.Linear(8, 8))
    tied = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8), nn.Linear(8, 8))
    tied[2].weight = tied[0].weight
    alone = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8))
    for each in (model, tied, alone):
        init.init_(each, "relu", generator=generator())
    for each, head in ((model, 3), (tied, 3), (alone, 2)):
        assert torch.equal(each[0].weight, alone[0].weight)
        assert torch.equal(each[head].weight, alone[2].weight)


def test_init_handles_weight_norm_of_old():
    with pytest.warns(FutureWarning, match="weight_norm"):
        model = nn.utils.weight_norm(nn.Linear(8, 4))
    report = init.init_(model, "relu")
    assert report.left == {"weight_g": "weight_g of Linear", "weight_v": "weight_v of Linear"}


FORMS = [
    ("gelu", "gelu", {}),
    ("GELU", "gelu", {}),
    (nn.GELU(approximate="tanh"), "gelu_tanh", {}),
    (nn.ELU, "elu", {}),
    (modules.SiLU, "silu", {}),
    (partial(nn.LeakyReLU, 0.2), "leaky_relu", {"negative_slope": 0.2}),
    (modules.get_act_layer("swish", native=True, beta=1.5, num_parameters=4), "swish", {"beta": 1.5}),
    (torch.tanh, "tanh", {}),
    (TF.mish, "mish", {}),
    (functional.hard_swish, "hard_swish", {}),
    (partial(TF.elu, alpha=0.5), "elu", {"alpha": 0.5}),
    (lambda z: z.clamp(min=0), "relu", {}),
    (lambda z: torch.sigmoid(z.float()), "sigmoid", {}),
    (nn.PReLU(init=0.1), "leaky_relu", {"negative_slope": 0.1}),
]


@pytest.mark.parametrize(("act_fn", "name", "params"), FORMS)
@pytest.mark.parametrize("mode", ["fan_in", "fan_out"])
def test_init_takes_an_activation_in_any_form(act_fn, name, params, mode):
    gain = moments.forward_gain if mode == "fan_in" else moments.backward_gain
    report = init.init_(nn.Linear(3, 3), act_fn, mode=mode)
    assert report.gain == pytest.approx(gain(name, **params), rel=5e-6)


def test_init_leaves_an_activation_module_as_it_was():
    act = nn.PReLU().train()
    init.init_(nn.Linear(3, 3), act, mode="fan_out")
    assert (act.training, act.weight.dtype, act.weight.grad) == (True, torch.float32, None)


@pytest.mark.parametrize(
    ("act_fn", "error", "message"),
    [
        ("gleu", ValueError, "unknown activation 'gleu'; choose from"),
        (3, TypeError, "act_fn must be a name, a module or its class, or a function of tensors, not 3"),
        (torch.zeros_like, ValueError, "has no gain: it is 0 almost everywhere"),
        (lambda z: z.sum(), ValueError, r"not elementwise: it maps shape \(\d+,\) to \(\)"),
        (lambda z: z.numpy(), ValueError, r"not elementwise: it maps shape \(\d+,\) to ndarray"),
        (lambda z: z.log(), ValueError, "not finite"),
        (torch.rand_like, ValueError, "has no gain: .* error"),
        (dict, TypeError, "makes no module"),
        (lambda: 3, TypeError, "makes no module"),
    ],
)
def test_init_rejects_what_has_no_gain(act_fn, error, message):
    with pytest.raises(error, match=message):
        init.init_(nn.Linear(3, 3), act_fn)


def test_init_rejects_a_flat_function_for_fan_out():
    with pytest.raises(ValueError, match="it is flat almost everywhere"):
        init.init_(nn.Linear(3, 3), torch.sign, mode="fan_out")


def test_init_rejects_betas_that_differ():
    act = modules.Swish(num_parameters=2)
    nn.init.uniform_(act.beta)
    with pytest.raises(ValueError, match="act_fn has 2 different betas"):
        init.init_(nn.Linear(2, 2), act)


def test_init_rejects_unknown_mode_and_wrong_generators():
    with pytest.raises(ValueError, match=r"unknown mode 'fan_avg'; choose from \['fan_in', 'fan_out'\]"):
        init.init_(nn.Linear(2, 2), "relu", mode="fan_avg")
    with pytest.raises(ValueError, match=r"3 network\(s\) need as many generators, got 2"):
        init.init_(MLP(2, 2, num_models=3), "relu", generator=[generator(0), generator(1)])


def test_init_without_generator_follows_the_global_seed():
    drawn = []
    for _ in range(2):
        torch.manual_seed(3)
        layer = nn.Linear(4, 4)
        init.init_(layer, "relu")
        drawn.append(layer.weight.clone())
    assert torch.equal(*drawn)


def test_init_does_not_change_requires_grad_nor_make_a_graph():
    model = MLP(4, 2, depth=2)
    init.init_(model, "relu")
    assert all(p.requires_grad and p.is_leaf and p.grad is None for p in model.parameters())


def test_init_draws_alike_in_every_dtype_and_memory_format():
    states = []
    for change in (
        {"dtype": torch.float32},
        {"dtype": torch.float64},
        {"memory_format": torch.channels_last},
    ):
        model = CNN(3, 2, image_size=6, width=4, depth=2, num_models=2).to(**change)
        init.init_(model, "relu", generator=generator())
        states.append(model.state_dict())
    for key, value in states[0].items():
        assert torch.equal(states[1][key].float(), value)
        assert torch.equal(states[2][key], value)


MODELS = [
    lambda K: MLP(5, 3, width=7, depth=3, act_layer="silu", norm="batch", num_models=K),
    lambda K: CNN(2, 3, image_size=6, width=5, depth=3, act_layer="swish", num_models=K),
]


@pytest.mark.parametrize("build", MODELS)
@pytest.mark.parametrize("scheme", init.SCHEMES)
def test_scheme_draws_each_network_from_its_own_seed(build, scheme):
    many, others = build(3), build(2)
    init.scheme_(many, scheme, "silu", seeds=[5, 2**40, 5])
    init.scheme_(others, scheme, "silu", seeds=[1, 5])
    for k, seed in enumerate([5, 2**40, 5]):
        one = build(1)
        init.scheme_(one, scheme, "silu", seeds=[seed])
        state = extract(many.state_dict(), k, 3)
        assert all(torch.equal(state[key], value) for key, value in one.state_dict().items())
        second = extract(others.state_dict(), 1, 2)
        same = [torch.equal(second[key], state[key]) for key in state if key.endswith("layer.weight")]
        assert same == [seed == 5] * 3


@pytest.mark.parametrize(("scheme", "sigma_w2"), [("xavier", 1), ("he", 2), ("own", None)])
def test_scheme_sets_the_variance_of_the_weights(scheme, sigma_w2):
    model = CNN(3, 10, image_size=8, width=32, depth=3, act_layer="gelu")
    report = init.scheme_(model, scheme, "gelu", seeds=[0])
    sigma_w2 = 1 / moments.moment("gelu") if sigma_w2 is None else sigma_w2
    assert report.gain == pytest.approx(math.sqrt(sigma_w2), rel=1e-12)
    assert report.last == "head"
    for i, block in enumerate(model.blocks):
        assert_normal(block.layer.weight, math.sqrt(sigma_w2 / (9 * (32 if i else 3))))
        assert not block.layer.bias.any()
    assert_normal(model.head.weight, 1 / math.sqrt(32 * 16))


def test_scheme_default_has_the_distribution_of_torch():
    model = CNN(3, 10, image_size=8, width=32, depth=3)
    report = init.scheme_(model, "default", seeds=[0])
    theirs = CNN(3, 10, image_size=8, width=32, depth=3)
    assert report.gain**2 == pytest.approx(1 / 3)
    assert report.last is None
    for (name, ours), other in zip(model.named_parameters(), theirs.parameters(), strict=True):
        assert not torch.equal(ours, other)
        bound = 1 / math.sqrt(model.get_submodule(name.rpartition(".")[0]).weight[0].numel())
        for values in (ours, other):
            values = values.detach().flatten().double().numpy()
            assert stats.kstest(values, "uniform", (-bound, 2 * bound)).pvalue > ONE_IN_A_MILLION


def test_scheme_rejects_unknown_schemes_and_wrong_seeds():
    model = MLP(2, 2, depth=1, num_models=2)
    with pytest.raises(
        ValueError, match=r"unknown scheme 'kaiming'; choose from \['default', 'xavier', 'he'"
    ):
        init.scheme_(model, "kaiming", "relu", seeds=[0, 1])
    with pytest.raises(ValueError, match="scheme 'own' needs act_fn"):
        init.scheme_(model, "own", seeds=[0, 1])
    with pytest.raises(ValueError, match=r"2 network\(s\) need as many seeds, got 1"):
        init.scheme_(model, "he", seeds=[0])
    with pytest.raises(TypeError, match=r"seeds must be a sequence, one a network, such as \[3\], not 3"):
        init.scheme_(model, "he", seeds=3)


def test_init_first_changes_the_first_layer_alone():
    def weights(**kwargs):
        model = nn.Sequential(nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 8))
        init.init_(model, "silu", generator=torch.Generator().manual_seed(3), **kwargs)
        return [model[i].weight for i in (0, 2, 4)]

    own, unit = weights(), weights(first=1.0)
    torch.testing.assert_close(unit[0], own[0] / moments.forward_gain("silu"), rtol=1e-6, atol=0)
    assert torch.equal(unit[1], own[1])
    assert torch.equal(unit[2], own[2])


def test_scheme_first_gives_standardised_data_variance_one():
    model = MLP(400, 10, width=400, depth=1, act_layer="silu")
    init.scheme_(model, "own", "silu", seeds=[0], first=1.0)
    x = torch.randn(500, 400, generator=torch.Generator().manual_seed(1))
    second = float(model.blocks[0].layer(x).detach().square().mean())
    # The mean square of W x over 400 units and 500 samples, W and x normal: one term of the variance for W,
    # one for x, one for their product.
    variance = 2 / 400**2 + 2 / (500 * 400) + 2 / (400 * 500)
    assert abs(second - 1) < 5 * variance**0.5


@pytest.mark.parametrize("first", [0.0, -1.0, float("nan"), float("inf")])
def test_init_first_refuses_a_gain_that_is_not_positive(first):
    with pytest.raises(ValueError, match="first must be"):
        init.init_(nn.Linear(2, 2), "relu", first=first)


def test_scheme_default_takes_no_first():
    with pytest.raises(ValueError, match="default"):
        init.scheme_(nn.Linear(2, 2), "default", seeds=[0], first=1.0)
