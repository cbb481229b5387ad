"""`audit`: its numbers against theory, its words on models of the library and of others."""

import json
import math

import numpy as np
import pytest
import torch
from torch import nn

from selfgated import probes
from selfgated.init import init_
from selfgated.models import CNN, MLP
from selfgated.probes.decay import decay
from selfgated.probes.measure import measure
from selfgated.probes.prediction import obstacles, predict


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)
    torch.set_num_threads(1)


def normal_(model, gain):
    for module in model.modules():
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            nn.init.normal_(module.weight, std=gain / math.sqrt(module.weight[0].numel()))
            nn.init.zeros_(module.bias)
    return model


def topics(found, topic):
    return [sentence for name, sentence in found.findings if name == topic]


@pytest.mark.parametrize("seed", range(3))
def test_sigmoid_network_vanishes_as_predicted(seed):
    torch.manual_seed(seed)
    found = probes.audit(MLP(64, 10, width=128, depth=10, act_layer="sigmoid"), torch.randn(64, 64))
    assert 0.13 < found.decay.factor < 0.15
    assert found.predicted.factor == pytest.approx(0.1406, abs=0.002)
    assert found.decay.low < found.decay.factor < found.decay.high
    assert found.decay.ratio < 1e-7
    assert found.obstacles == ()
    (gradient,) = topics(found, "gradient")
    assert gradient.startswith("The gradient vanishes: going back it shrinks 7.")
    (advice,) = topics(found, "advice")
    assert "sigmoid keeps a variance of 1 at gain 1.85" in advice
    assert "does not mend it" in advice


@pytest.mark.parametrize(
    ("act", "gain", "factor"),
    [("sigmoid", 1.0, 0.236), ("tanh", 1.0, 0.961), ("relu", 1.0, 0.706), ("tanh", 3**-0.5, 0.572)],
)
def test_predicted_factor_is_that_of_the_theory(act, gain, factor):
    model = normal_(MLP(128, 128, width=128, depth=30, act_layer=act), gain).double()
    found = probes.audit(model, torch.randn(32, 128).double())
    assert found.predicted.factor == pytest.approx(factor, rel=0.01)
    assert found.decay.factor == pytest.approx(found.predicted.factor, rel=0.05)


def test_explosion_is_said():
    model = normal_(MLP(32, 10, width=256, depth=20, act_layer="relu"), 3.0)
    found = probes.audit(model, torch.randn(16, 32))
    assert found.decay.factor == pytest.approx(3 / math.sqrt(2), rel=0.1)
    assert topics(found, "gradient")[0].startswith("The gradient explodes: going back it grows 2.")
    (advice,) = topics(found, "advice")
    assert "The weights have gain 3; relu keeps a variance of 1 at gain 1.41" in advice
    assert "keeps its size" in advice


def test_advice_holds_when_it_is_followed():
    model, x = MLP(64, 10, width=256, depth=20, act_layer="tanh"), torch.randn(32, 64)
    before = probes.audit(model, x)
    init_(model, "tanh", generator=torch.Generator().manual_seed(0))
    after = probes.audit(model, x)
    assert topics(before, "advice")
    assert topics(after, "advice") == []
    own = before.own.delta_norm[0] / before.own.delta_norm[-1]
    assert before.decay.ratio < 1e-3 < 0.1 < own
    assert after.decay.ratio == pytest.approx(own, rel=1.0)


@pytest.mark.parametrize("act", ["sigmoid", "tanh"])
@pytest.mark.parametrize("padding_mode", ["zeros", "circular"])
def test_zero_padding_lowers_the_factor_by_its_eigenvalue(act, padding_mode):
    size, layers = 8, []
    for i in range(30):
        layers += [nn.Conv2d(3 if i == 0 else 16, 16, 3, padding=1, padding_mode=padding_mode)]
        layers += [nn.Sigmoid() if act == "sigmoid" else nn.Tanh()]
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(16 * size**2, 10)).double()
    measured = measure(model, torch.randn(8, 3, size, size).double())
    assert obstacles(measured) == []
    found = predict(measured)
    middle = slice(8, 22)  # away from both ends, where the profile over positions has settled
    ratio = np.log(found.delta_norm[middle] / found.unpadded[middle])
    lowered = math.exp(-np.polyfit(np.arange(14), ratio, 1)[0])
    eigenvalue = (1 + 2 * math.cos(math.pi / (size + 1))) / 3
    if padding_mode == "circular":
        np.testing.assert_allclose(found.delta_norm, found.unpadded, rtol=1e-9)
    else:
        assert lowered == pytest.approx(eigenvalue, rel=0.01)
    factors = [
        decay(measured.report.names, measured.report.depth, d)
        for d in (measured.report.delta_norm, found.delta_norm)
    ]
    assert factors[0].factor == pytest.approx(factors[1].factor, rel=0.04)


def test_prediction_is_exact_for_a_linear_convolution_averaged_over_weights():
    # E over weights of ||dL/dz||^2 for identity activations, by drawing many: no Gaussian theory is used.
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3, stride=2, padding=1),
        nn.Conv2d(4, 4, 3, padding=2, dilation=2),
        nn.Conv2d(4, 4, 3, padding=1),
    ).double()
    x, generator = torch.randn(2, 2, 7, 6).double(), torch.Generator().manual_seed(0)
    c = torch.randn(2, 4, 4, 3, generator=generator).double()
    ratios = []
    for _ in range(150):
        for conv in model:
            nn.init.normal_(conv.weight, std=0.3, generator=generator)
        measured = measure(model, x, lambda z: (z * c).sum())
        ratios.append(measured.report.delta_norm**2 / predict(measured).delta_norm ** 2)
    np.testing.assert_allclose(np.mean(ratios, 0), 1, atol=0.1)


def test_library_cnn_is_a_plain_chain_also_as_k_networks():
    for num_models in (1, 2):
        model = CNN(1, 5, image_size=16, width=16, depth=8, act_layer="gelu", num_models=num_models)
        found = probes.audit(model, torch.randn(8, 1, 16, 16))
        assert found.obstacles == ()
        assert found.decay.factor == pytest.approx(found.predicted.factor, rel=0.1)


class Add(nn.Module):
    def __init__(self, *inner):
        super().__init__()
        self.inner = nn.Sequential(*inner)

    def forward(self, x):
        return x + self.inner(x)


class Functional(nn.Module):
    def __init__(self, function, depth=6):
        super().__init__()
        self.linears, self.function = nn.ModuleList(nn.Linear(64, 64) for _ in range(depth)), function

    def forward(self, x):
        for linear in self.linears:
            x = self.function(linear(x))
        return x


class Sine(nn.Module):
    def forward(self, z):
        return torch.sin(z)


OBSTACLES = {
    "residual connections": lambda: nn.Sequential(
        nn.Linear(8, 8), Add(nn.Linear(8, 8), nn.ReLU()), nn.Linear(8, 8)
    ),
    "normalisation": lambda: nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 8)),
    "dropout that is switched on": lambda: nn.Sequential(
        nn.Linear(8, 8), nn.Dropout(), nn.ReLU(), nn.Linear(8, 8)
    ),
    "unknown activation Sine": lambda: nn.Sequential(nn.Linear(8, 8), Sine(), nn.Linear(8, 8)),
    "unknown activation PReLU": lambda: nn.Sequential(nn.Linear(8, 8), nn.PReLU(), nn.Linear(8, 8)),
    "several activations between two layers": lambda: nn.Sequential(
        nn.Linear(8, 8), nn.Tanh(), nn.SiLU(), nn.Linear(8, 8)
    ),
    "weights that are used several times (0)": lambda: nn.Sequential(*[nn.Linear(8, 8)] * 2),
    "attention": lambda: nn.Sequential(nn.Linear(8, 8), nn.Softmax(-1), nn.Linear(8, 8)),
    "layers of the class Bilinear": lambda: Twice(),
    "the operation Sin": lambda: nn.Sequential(nn.Linear(8, 8), Functional_(torch.sin), nn.Linear(8, 8)),
}


class Functional_(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function, self.keep = function, nn.Flatten()

    def forward(self, x):
        return self.function(x)


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Bilinear(8, 8, 4)

    def forward(self, x):
        return self.a(x, x)


@pytest.mark.parametrize("reason", OBSTACLES)
def test_audit_says_why_no_prediction_applies(reason):
    found = probes.audit(OBSTACLES[reason](), torch.randn(16, 8))
    assert reason in found.obstacles
    assert found.prediction is None
    assert reason in topics(found, "prediction")[0]
    assert topics(found, "advice") == []


@pytest.mark.parametrize(
    "function", [torch.relu, torch.tanh, nn.functional.gelu, nn.functional.silu, nn.functional.elu]
)
def test_functional_activations_are_named_and_predicted(function):
    found = probes.audit(Functional(function), torch.randn(64, 64))
    assert found.report.functional == (function.__name__,)
    assert f"called as functions: {function.__name__}" in found.text
    assert found.decay.factor == pytest.approx(found.predicted.factor, rel=0.1)


def test_eval_dropout_and_reshapes_stay_a_plain_chain():
    model = nn.Sequential(
        nn.Flatten(),
        nn.Linear(12, 64),
        nn.Dropout(),
        nn.Tanh(),
        nn.Identity(),
        nn.Linear(64, 64),
        nn.ReLU(inplace=True),
        nn.Linear(64, 3),
    ).eval()
    found = probes.audit(model, torch.randn(32, 3, 4))
    assert found.obstacles == ()
    assert found.prediction.acts == ("tanh", "relu")


def test_underflow_is_named_and_the_decay_measured_in_float64():
    found = probes.audit(MLP(16, 4, width=32, depth=60, act_layer="sigmoid"), torch.randn(8, 16))
    assert found.report.layers[0].delta_norm == 0
    assert found.exact.layers[0].delta_norm > 0
    assert found.decay.count == 61
    assert found.decay.factor == pytest.approx(0.141, rel=0.05)
    (zeros,) = topics(found, "zeros")
    assert "In float32 the gradient underflows: exactly 0 at" in zeros
    assert any("got a gradient of exactly 0" in s for s in topics(found, "parameters"))


def test_dead_layer_stops_the_gradient():
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    with torch.no_grad():
        model[2].bias.fill_(-100)
    found = probes.audit(model, torch.randn(16, 4))
    assert "8 of 8 in 3 (relu)" in found.text
    assert "All units of 3 are dead" in found.text
    assert topics(found, "zeros") == ["The gradient is exactly 0 at 0, 2."]
    assert found.decay is None


def test_some_dead_units_are_counted():
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    with torch.no_grad():
        model[0].bias[:3] = -100
        model[0].bias[3:] = 100
    assert topics(probes.audit(model, torch.randn(16, 4)), "activations") == [
        "3 dead units, of slope 0 on the whole batch (16 values each): 3 of 8 in 1 (relu)."
    ]


def test_saturation_is_said_with_what_is_usual():
    model = normal_(MLP(16, 4, width=32, depth=3, act_layer="tanh"), 30.0)
    (sentence,) = topics(probes.audit(model, torch.randn(32, 16)), "activations")
    assert sentence.startswith("Saturated: 3 activations, the most")
    assert "against 0% for pre-activations of variance 1" in sentence
    assert topics(probes.audit(MLP(16, 4, act_layer="relu"), torch.randn(32, 16)), "activations") != [
        sentence
    ]


def test_first_layer_with_nan_is_named():
    model = MLP(4, 2, width=8, depth=4, act_layer="tanh")
    labels = probes.probe(model, torch.ones(3, 4)).names
    weights = [m for m in model.modules() if isinstance(m, nn.Linear)]
    with torch.no_grad():
        weights[2].weight[0, 0] = math.inf
        weights[2].weight[0, 1] = -math.inf
    found = probes.audit(model, torch.rand(5, 4))
    said = " ".join(topics(found, "not finite"))
    assert "The loss is nan." in said
    assert f"the first is {labels[2]}." in said
    assert found.prediction is None
    json.loads(found.json())


def test_gradient_that_becomes_nan_on_the_way_back_is_named():
    class Root(nn.Module):
        def forward(self, z):
            return torch.sqrt(z * 0)  # finite, but its slope is not

    model = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4), Root(), nn.Linear(4, 2))
    found = probes.audit(model, torch.rand(5, 4))
    said = " ".join(topics(found, "not finite"))
    assert "on the way back it first occurs at 2." in said
    assert "in the output" not in said


def test_parameters_without_gradient_are_listed():
    model = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2))
    model.unused = nn.Linear(3, 3)
    model[0].weight.requires_grad_(False)
    model.forward = lambda x: model[2](model[1](model[0](x)))
    said = topics(probes.audit(model, torch.rand(5, 4)), "parameters")
    assert said[0].startswith(
        "2 parameter tensors got no gradient: the loss does not depend on them: unused.w"
    )
    assert said[1] == "1 parameter tensor is frozen: 0.weight."
    assert said[2] == "Never called: unused."


def test_models_without_depth():
    assert "no layers with weights" in probes.audit(nn.Tanh(), torch.rand(3, 2)).text
    assert "One layer with weights" in probes.audit(nn.Linear(2, 2), torch.rand(3, 2)).text


def test_decay_is_robust_to_one_odd_layer_of_four():
    norms = 0.5 ** np.arange(20.0)[::-1]
    norms[::4] *= 1e4
    found = decay([str(i) for i in range(20)], np.arange(20), norms)
    assert found.factor == pytest.approx(0.5, rel=0.05)
    assert found.low <= found.factor <= found.high


def test_decay_interval_covers_the_truth():
    generator, hits = np.random.default_rng(0), 0
    for _ in range(200):
        norms = np.exp(-0.3 * np.arange(15)[::-1] + 0.2 * generator.standard_normal(15))
        found = decay([str(i) for i in range(15)], np.arange(15), norms)
        hits += found.low <= math.exp(-0.3) <= found.high
    assert 180 <= hits <= 199


@pytest.fixture(scope="module")
def transformers():
    return pytest.importorskip("transformers")


def test_audit_of_bert(transformers):
    config = transformers.BertConfig(
        vocab_size=50,
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=32,
    )
    found = probes.audit(transformers.BertModel(config), {"input_ids": torch.randint(0, 50, (4, 9))})
    assert found.report.loss_text.startswith("a fixed random projection of output['last_hidden_state']")
    assert found.obstacles[:3] == ("attention", "residual connections", "normalisation")
    assert found.blocks["BertLayer"].count == 3
    assert 0.5 < found.blocks["BertLayer"].factor < 2
    assert {act.act for act in found.report.activations} == {"gelu", "tanh"}
    assert topics(found, "gradient")[0].startswith(
        "The gradient keeps its size within a factor of 10 over 3 BertLayer"
    )


def test_audit_of_gpt2(transformers):
    config = transformers.GPT2Config(
        vocab_size=50,
        n_embd=32,
        n_layer=3,
        n_head=4,
        n_positions=32,
        bos_token_id=0,
        eos_token_id=0,
        loss_type="ForCausalLM",
    )
    model, tokens = transformers.GPT2LMHeadModel(config), torch.randint(0, 50, (4, 9))
    found = probes.audit(model, {"input_ids": tokens})
    assert found.report.loss_text == "the squared norm of output['logits']"
    assert found.report.tied == (("transformer.wte.weight", "lm_head.weight"),)
    assert found.blocks["GPT2Block"].count == 3
    assert {act.act for act in found.report.activations} == {"gelu_tanh"}
    assert "attention" in found.obstacles
    own = probes.audit(model, {"input_ids": tokens, "labels": tokens})
    assert own.report.loss == pytest.approx(math.log(50), rel=0.1)


def test_audit_of_torch_transformer():
    model = nn.Transformer(16, 2, 3, 3, 32, batch_first=True)
    found = probes.audit(model, (torch.randn(4, 7, 16), torch.randn(4, 5, 16)))
    assert {name: line.count for name, line in found.blocks.items()} == {
        "TransformerEncoderLayer": 3,
        "TransformerDecoderLayer": 3,
    }
    assert found.report.functional == ("relu",)
    assert found.obstacles[0] == "attention"
    assert len(topics(found, "gradient")) == 3


def test_audit_of_torch_lstm():
    found = probes.audit(nn.LSTM(8, 16, 2, batch_first=True), torch.randn(4, 20, 8))
    assert found.obstacles == ("recurrent layers",)
    (time,) = topics(found, "time")
    assert time.startswith("In time, from the last output of LSTM")
    assert "per step" in time


def test_audit_dict_is_plain_json():
    found = probes.audit(MLP(4, 2, depth=3, act_layer="gelu"), torch.randn(5, 4))
    plain = json.loads(found.json())
    assert plain["decay"]["factor"] == found.decay.factor
    assert [layer["name"] for layer in plain["report"]["layers"]] == found.report.names
    assert found.text.splitlines() == [sentence for _, sentence in found.findings]


def test_audit_leaves_the_power_iteration_of_spectral_norm_as_it_was():
    torch.manual_seed(0)
    spectral = nn.utils.parametrizations.spectral_norm
    model = nn.Sequential(spectral(nn.Linear(8, 8)), nn.Tanh(), spectral(nn.Linear(8, 2)))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert probes.audit(model, torch.randn(5, 8)).prediction is not None
    torch.testing.assert_close(dict(model.state_dict()), before, rtol=0, atol=0)
