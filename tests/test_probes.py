"""`probe`: the numbers against autograd by hand, and a model left as it was found."""

import copy
import dataclasses
import random

import numpy as np
import pytest
import torch
from torch import nn

from selfgated import modules, probes
from selfgated.models import CNN, MLP
from selfgated.stacked import StackedLinear


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)
    torch.set_num_threads(1)


def chain(act_layer=nn.Tanh, width=8, depth=3, dtype=torch.float64):
    layers = [nn.Linear(4, width), act_layer()]
    for _ in range(depth - 1):
        layers += [nn.Linear(width, width), act_layer()]
    return nn.Sequential(*layers, nn.Linear(width, 2)).to(dtype)


def by_hand(model, x):
    """dL/dz of each layer of a Sequential, L the squared norm of its output, with retain_grad."""
    zs, h = [], x
    for module in model:
        h = module(h)
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            h.retain_grad()
            zs.append(h)
    h.square().sum().backward()
    return zs


def test_probe_measures_what_autograd_gives_by_hand():
    model, x = chain(), torch.randn(6, 4, dtype=torch.float64)
    report = probes.probe(model, x)
    zs = by_hand(model, x)
    linears = [m for m in model if isinstance(m, nn.Linear)]
    assert report.names == ["0", "2", "4", "6"]
    np.testing.assert_allclose(
        report.delta_norm, [float(z.grad.square().sum(1).mean().sqrt()) for z in zs], rtol=1e-12
    )
    np.testing.assert_allclose(
        report.delta_rms, [float(z.grad.square().mean().sqrt()) for z in zs], rtol=1e-12
    )
    np.testing.assert_allclose(report.grad_norm, [float(m.weight.grad.norm()) for m in linears], rtol=1e-12)
    np.testing.assert_allclose(report.mean, [float(z.detach().mean()) for z in zs], rtol=1e-9)
    np.testing.assert_allclose(
        report.variance, [float(z.detach().var(unbiased=False)) for z in zs], rtol=1e-12
    )
    assert [p.norm for p in report.parameters] == pytest.approx(
        [float(p.grad.norm()) for p in model.parameters()]
    )
    assert report.depth.tolist() == [1, 2, 3, 4]
    assert report.loss == pytest.approx(float(zs[-1].detach().square().sum()))


def test_probe_takes_a_loss():
    model, x, y = chain(), torch.randn(6, 4, dtype=torch.float64), torch.tensor([0, 1, 0, 1, 1, 0])

    def cross_entropy(output):
        return nn.functional.cross_entropy(output, y)

    report = probes.probe(model, x, cross_entropy)
    cross_entropy(model(x)).backward()
    np.testing.assert_allclose(report.grad_norm[0], float(model[0].weight.grad.norm()), rtol=1e-12)
    assert report.loss_text == "what cross_entropy returned"


@pytest.mark.parametrize("name", ["relu", "sigmoid", "gelu", "hard_swish"])
def test_saturated_and_dead_are_those_of_known_pre_activations(name):
    linear = nn.Linear(3, 3, bias=False)
    linear.weight.data = torch.eye(3)
    z = torch.tensor([[-50.0, 0.5, 0.2], [-60.0, 0.7, 0.3]])
    report = probes.probe(nn.Sequential(linear, modules.get_act_layer(name)(), nn.Linear(3, 1)), z)
    (act,) = report.activations
    assert (act.act, act.units, act.seen, act.layer) == (name, 3, 2, 0)
    assert act.saturated == pytest.approx(1 / 3)
    assert act.dead == (1 if name != "sigmoid" else int(torch.sigmoid(torch.tensor(-50.0)) == 0))


def test_dead_units_of_a_convolution_are_channels():
    conv = nn.Conv2d(1, 4, 3, padding=1)
    conv.weight.data.abs_()
    conv.bias.data = torch.tensor([1.0, 1.0, -100.0, 1.0])
    report = probes.probe(
        nn.Sequential(conv, nn.ReLU(), nn.Flatten(), nn.Linear(64, 1)), torch.rand(5, 1, 4, 4)
    )
    act = report.activations[0]
    assert (act.dead, act.units, act.seen, act.saturated) == (1, 4, 80, 0.25)


def test_expected_share_is_that_of_standard_normal_pre_activations():
    report = probes.probe(chain(nn.ReLU), torch.randn(5, 4, dtype=torch.float64))
    assert report.activations[0].expected == 0.5
    assert probes.probe(chain(nn.SiLU), torch.randn(5, 4).double()).activations[0].expected < 0.01


def test_histograms_count_every_pre_activation():
    x = torch.randn(6, 4, dtype=torch.float64)
    report = probes.probe(chain(), x, histogram=np.linspace(-9, 9, 19))
    assert [layer.histogram[0].sum() for layer in report.layers] == [48, 48, 48, 12]
    np.testing.assert_array_equal(report.activations[0].histogram[0], report.layers[0].histogram[0])
    assert probes.probe(chain(), x).layers[0].histogram is None


class Restless(nn.Module):
    """Changes all that a forward pass can change; raises on demand."""

    def __init__(self):
        super().__init__()
        self.a, self.norm, self.b = nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 2)
        self.drop, self.calls, self.fail = nn.Dropout(0.5), 0, False
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        self.last = h = self.drop(torch.relu_(self.norm(self.a(x))))
        self.seen = self.seen + 1
        self.norm.eval()
        self.b.weight.requires_grad_(False)
        self.a.weight.grad = torch.ones(8, 4)
        random.random()
        np.random.rand()  # noqa: NPY002
        if self.fail:
            raise ArithmeticError("on demand")
        return self.b(h)


def state_of(model):
    return {
        "values": copy.deepcopy(model.state_dict()),
        "grads": [(p.grad, None if p.grad is None else p.grad.clone()) for p in model.parameters()],
        "objects": [id(t) for t in [*model.parameters(), *model.buffers()]],
        "modes": [m.training for m in model.modules()],
        "requires_grad": [p.requires_grad for p in model.parameters()],
        "hooks": [
            (len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks))
            for m in model.modules()
        ],
        "attributes": [sorted(vars(m)) for m in model.modules()],
        "random": (torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()),  # noqa: NPY002
    }


def assert_same(before, after):
    for key in ("objects", "modes", "requires_grad", "hooks", "attributes"):
        assert before[key] == after[key], key
    torch.testing.assert_close(after["values"], before["values"], rtol=0, atol=0)
    for (old, value), (new, _) in zip(before["grads"], after["grads"], strict=True):
        assert old is new
        assert old is None or torch.equal(new, value)
    torch.testing.assert_close(after["random"][0], before["random"][0])
    assert before["random"][1:] == after["random"][1:]


@pytest.mark.parametrize("where", ["nowhere", "forward", "loss"])
def test_probe_leaves_everything_as_it_was(where):
    model = Restless()
    model.norm.running_mean += 3
    model.a.weight.grad = torch.full((8, 4), 7.0)
    model.drop.eval()
    model.a.bias.requires_grad_(False)
    model.register_forward_hook(lambda *args: None)
    model.fail = where == "forward"
    before, calls = state_of(model), model.calls

    def loss_fn(output):
        torch.rand(3)
        return output.sum() if where != "loss" else 1 // 0

    if where == "nowhere":
        probes.probe(model, torch.randn(6, 4), loss_fn)
        probes.probe(model, torch.randn(6, 4), loss_fn)
        torch.set_rng_state(before["random"][0])
    else:
        with pytest.raises(ArithmeticError):
            probes.probe(model, torch.ones(6, 4), loss_fn)
    assert_same(before, state_of(model))
    assert model.calls == calls
    assert not hasattr(model, "last")


def test_probe_keeps_gradients_from_a_loss_that_calls_backward():
    model = chain()
    model[0].weight.grad = torch.full_like(model[0].weight, 7.0)
    before = state_of(model)

    def loss_fn(output):
        output.sum().backward(retain_graph=True)
        return output.sum()

    probes.probe(model, torch.ones(6, 4, dtype=torch.float64), loss_fn)
    assert_same(before, state_of(model))


def test_probe_does_not_change_the_batch():
    x = torch.randn(5, 4)
    kept = x.clone()
    probes.probe(nn.Sequential(nn.ReLU(inplace=True), nn.Linear(4, 2)), x)
    assert torch.equal(x, kept)


@pytest.mark.parametrize("act_layer", [nn.ReLU, nn.SiLU, nn.Mish, nn.Hardswish, nn.ELU, nn.ReLU6])
def test_inplace_activations_give_the_same_numbers(act_layer):
    model, x = chain(act_layer), torch.randn(6, 4, dtype=torch.float64)
    other = chain(lambda: act_layer(inplace=True))
    other.load_state_dict(model.state_dict())
    one, two = probes.probe(model, x), probes.probe(other, x)
    np.testing.assert_array_equal(one.delta_norm, two.delta_norm)
    np.testing.assert_array_equal(one.variance, two.variance)
    np.testing.assert_array_equal(one.saturated, two.saturated)


def test_shared_module_has_a_record_for_each_call():
    shared = nn.Linear(4, 4).double()
    model, x = nn.Sequential(shared, nn.Tanh(), shared, nn.Tanh(), shared), torch.randn(6, 4).double()
    report = probes.probe(model, x)
    assert report.names == ["0[1]", "0[2]", "0[3]"]
    assert report.depth.tolist() == [1, 2, 3]
    single = nn.Sequential(*(copy.deepcopy(m) for m in model))
    apart = probes.probe(single, x)
    np.testing.assert_allclose(report.delta_norm, apart.delta_norm, rtol=1e-12)
    model(x).square().sum().backward()
    np.testing.assert_allclose(report.grad_norm, float(shared.weight.grad.norm()), rtol=1e-12)


@pytest.mark.parametrize("frozen", [[0], [0, 2], [0, 2, 4, 6], [4]])
@pytest.mark.parametrize("inplace", [False, True])
def test_frozen_layers_are_measured_too(frozen, inplace):
    model, x = chain(lambda: nn.ReLU(inplace=inplace)), torch.randn(6, 4, dtype=torch.float64)
    free = probes.probe(model, x)
    for i in frozen:
        model[i].requires_grad_(False)
    report = probes.probe(model, x)
    np.testing.assert_allclose(report.delta_norm, free.delta_norm, rtol=1e-12)
    assert [layer.status for layer in report.layers] == [
        "frozen" if i in frozen else "ok" for i in (0, 2, 4, 6)
    ]
    assert {p.status for p in report.parameters if int(p.name[0]) in frozen} == {"frozen"}
    assert np.isnan(report.grad_norm[[i // 2 for i in frozen]]).all()


class Outputs(nn.Module):
    """A backbone, an unused layer, and outputs in the form that is asked for."""

    def __init__(self, form):
        super().__init__()
        self.body, self.head, self.spare = nn.Linear(4, 8), nn.Linear(8, 2), nn.Linear(3, 3)
        self.form = form

    def forward(self, x):
        logits = self.head(torch.tanh(self.body(x)))
        return self.form(logits)


@dataclasses.dataclass
class Answer:
    tokens: torch.Tensor
    logits: torch.Tensor


FORMS = {
    "tensor": (lambda t: t, "the squared norm of the output"),
    "tuple": (lambda t: (t, None), "the squared norm of output[0]"),
    "list": (lambda t: [t.argmax(1), t], "the squared norm of output[1]"),
    "nested": (lambda t: ((t,), 3), "the squared norm of output[0]"),
    "dict": (lambda t: {"logits": t, "ids": t.argmax(1)}, "the squared norm of output['logits']"),
    "dataclass": (lambda t: Answer(t.argmax(1), t), "the squared norm of output.logits"),
    "loss": (
        lambda t: {"loss": t.square().sum(), "logits": t},
        "output['loss'], which the model computes itself",
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_outputs_of_every_form(form):
    make, text = FORMS[form]
    report = probes.probe(Outputs(make), torch.ones(5, 4))
    assert report.loss_text == text
    assert report.names == ["body", "head"]
    assert (report.delta_norm > 0).all()
    assert report.never_called == ("spare",)
    assert report.functional == ("tanh",)
    assert [p.status for p in report.parameters] == ["ok"] * 4 + ["none"] * 2


@pytest.mark.parametrize(
    "form", [lambda t: t.argmax(1), lambda t: t.detach(), lambda t: "text", lambda t: {}]
)
def test_output_without_gradient_is_an_error(form):
    with pytest.raises(ValueError, match="the output holds no tensor with a gradient"):
        probes.probe(Outputs(form), torch.ones(5, 4))


def test_bad_losses_are_named():
    model, x = chain(), torch.randn(6, 4, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"one number as a tensor, not a tensor of shape \(6, 2\)"):
        probes.probe(model, x, lambda output: output)
    with pytest.raises(ValueError, match="not float"):
        probes.probe(model, x, lambda output: 1.0)
    with pytest.raises(ValueError, match="does not depend on the model"):
        probes.probe(model, x, lambda output: output.detach().sum())


def test_batches_of_every_form():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(4, 2)

        def forward(self, x, scale):
            return self.a(x) * scale

    model, x = Two(), torch.randn(5, 4)
    norms = [
        probes.probe(model, b).delta_norm for b in [(x, 2.0), [x, 2.0], {"x": x, "scale": torch.tensor(2.0)}]
    ]
    assert norms[0] == norms[1] == norms[2]


def test_models_without_layers_or_parameters():
    report = probes.probe(nn.Sequential(nn.Tanh(), nn.Flatten()), torch.randn(5, 4))
    assert (report.layers, report.loss_text) == ((), "none")
    assert report.activations[0].act == "tanh"
    assert report.notes == ("the model has no parameters: no gradient to follow",)
    assert report.table().startswith("layer")


def test_integer_tokens_and_tied_weights():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.inner, self.head = (
                nn.Embedding(9, 4),
                nn.Linear(4, 4),
                nn.Linear(4, 9, bias=False),
            )
            self.head.weight = self.embed.weight

        def forward(self, tokens):
            return self.head(torch.tanh(self.inner(self.embed(tokens))))

    report = probes.probe(Tied(), torch.tensor([[1, 2], [3, 4]]))
    assert report.names == ["embed", "inner", "head"]
    assert report.tied == (("embed.weight", "head.weight"),)
    assert report.grad_norm[0] == report.grad_norm[2]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, when its compiler is imported
def test_wrapped_and_compiled_models_are_measured_inside():
    model, x = chain(), torch.randn(6, 4, dtype=torch.float64)
    plain = probes.probe(model, x)
    compiled = torch.compile(model, backend="eager")
    for wrapped, word in ((nn.DataParallel(model), "DataParallel"), (compiled, "torch.compile")):
        report = probes.probe(wrapped, x)
        np.testing.assert_array_equal(report.delta_norm, plain.delta_norm)
        assert word in report.notes[0]
    inner = nn.Sequential(compiled, nn.Identity())
    inner.compile(backend="eager")
    inner(x)
    np.testing.assert_array_equal(probes.probe(inner, x).delta_norm, plain.delta_norm)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("inside", [False, True])
def test_script_modules_are_refused(inside):
    scripted = torch.jit.script(nn.Linear(4, 2))
    with pytest.raises(TypeError, match="ScriptModule, which runs no hooks"):
        probes.probe(nn.Sequential(scripted) if inside else scripted, torch.ones(5, 4))


def test_empty_batch_is_refused():
    with pytest.raises(ValueError, match="the batch is empty"):
        probes.probe(chain(), torch.zeros(0, 4, dtype=torch.float64))


def test_complex_layers_are_measured():
    report = probes.probe(nn.Linear(3, 2, dtype=torch.cfloat), torch.randn(4, 3, dtype=torch.cfloat))
    assert report.delta_norm[0] > 0


@pytest.mark.parametrize("learned", [True, False])
def test_swish_modules_of_either_make_are_activations(learned):
    for native in (True, False):
        act_layer = modules.get_act_layer("swish", native=native, beta=1.5, learnable=learned)
        report = probes.probe(chain(act_layer), torch.randn(6, 4, dtype=torch.float64))
        assert [act.act for act in report.activations] == ["swish"] * 3
        assert report.functional == ()


def test_what_is_no_model_or_has_no_weights_yet_is_refused():
    with pytest.raises(TypeError, match=r"must be an nn\.Module, not function"):
        probes.probe(lambda x: x, torch.ones(5, 4))
    lazy = nn.Sequential(nn.LazyLinear(3))
    with pytest.raises(ValueError, match=r"module '0' \(LazyLinear\) has no weights yet"):
        probes.probe(lazy, torch.ones(5, 4))

    meta = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2, device="meta"))
    with pytest.raises(ValueError, match=r"module '1' \(Linear\) is on the meta device"):
        probes.probe(meta, torch.ones(5, 4))


def test_float64_copy_shows_what_underflows():
    model, x = chain(nn.Sigmoid, depth=60, dtype=torch.float32), torch.randn(6, 4)
    single, double = probes.probe(model, x), probes.probe(model, x, dtype=torch.float64)
    assert single.delta_norm[0] == 0
    assert 0 < double.delta_norm[0] < 1e-40
    assert single.layers[0].delta_zero == 1
    assert next(model.parameters()).dtype == torch.float32


def test_probe_runs_under_no_grad_and_inference_mode():
    model, x = chain(), torch.randn(6, 4, dtype=torch.float64)
    expected = probes.probe(model, x).delta_norm
    for context in (torch.no_grad, torch.inference_mode):
        with context():
            np.testing.assert_array_equal(probes.probe(model, x * 1).delta_norm, expected)


def test_layers_under_no_grad_are_named():
    class Half(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x):
            with torch.no_grad():
                h = self.a(x)
            return self.b(h)

    report = probes.probe(Half(), torch.ones(5, 4))
    assert [layer.status for layer in report.layers] == ["no_grad", "ok"]
    assert np.isnan(report.delta_norm[0])


def test_checkpointed_layers_are_counted_once():
    class Checkpointed(nn.Sequential):
        def forward(self, x):
            for module in self:
                x = torch.utils.checkpoint.checkpoint(module, x, use_reentrant=False)
            return x

    model, x = chain(), torch.randn(6, 4, dtype=torch.float64)
    report = probes.probe(Checkpointed(*model), x)
    np.testing.assert_allclose(report.delta_norm, probes.probe(model, x).delta_norm, rtol=1e-12)


def test_parametrized_weights_belong_to_their_layer():
    model = chain()
    nn.utils.parametrizations.weight_norm(model[2])
    report = probes.probe(model, torch.randn(6, 4, dtype=torch.float64))
    assert report.names == ["0", "2", "4", "6"]
    assert report.grad_norm[1] > 0


def test_recurrent_layer_tells_its_gradient_in_time():
    rnn = nn.RNN(3, 5, batch_first=True).double()
    x = torch.randn(2, 7, 3, dtype=torch.float64, requires_grad=True)
    rnn(x)[0][:, -1].square().sum().backward()
    report = probes.probe(rnn, x.detach())
    np.testing.assert_allclose(report.layers[0].lag_norms, x.grad.square().sum((0, 2)).sqrt(), rtol=1e-12)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("frozen", [True, False])
def test_transformer_layers_run_module_by_module(training, frozen):
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).train(training).requires_grad_(not frozen)
    report = probes.probe(layer, torch.randn(3, 5, 8))
    assert report.names == ["self_attn", "linear1", "linear2"]
    assert (report.delta_norm > 0).all()
    assert report.functional == ("relu",)
    assert torch.backends.mha.get_fastpath_enabled()


def test_unknown_activation_is_known_by_its_values():
    class Erf(nn.Module):
        def forward(self, z):
            return z * 0.5 * (1 + torch.erf(z / 2**0.5))

    class Wave(nn.Module):
        def forward(self, z):
            return torch.sin(z)

    class Shuffle(nn.Module):
        def forward(self, z):
            return z.flip(-1)

    acts = nn.Sequential(
        nn.Linear(4, 4),
        Erf(),
        nn.Linear(4, 4),
        Wave(),
        nn.Linear(4, 4),
        Shuffle(),
        nn.Softmax(-1),
        nn.Linear(4, 1),
    )
    report = probes.probe(acts, torch.randn(9, 4))
    assert [(act.type, act.act) for act in report.activations] == [("Erf", "gelu"), ("Wave", None)]


@pytest.mark.parametrize("num_models", [1, 3])
def test_library_models_are_read(num_models):
    mlp = MLP(4, 2, width=8, depth=3, act_layer="gelu", num_models=num_models)
    report = probes.probe(mlp, torch.randn(6, 4))
    assert len(report.layers) == 4
    assert [act.act for act in report.activations] == ["gelu"] * 3
    assert [act.units for act in report.activations] == [8 * num_models] * 3
    assert isinstance(mlp, MLP)
    assert (StackedLinear.__name__ in {layer.type for layer in report.layers}) == (num_models > 1)
    cnn = CNN(1, 3, image_size=8, width=4, depth=3, act_layer="silu", norm="batch", num_models=num_models)
    report = probes.probe(cnn, torch.randn(6, 1, 8, 8))
    assert [act.units for act in report.activations] == [4 * num_models] * 3
    assert len(report.layers) == 4


def test_table_has_a_line_for_each_layer():
    lines = probes.probe(chain(nn.ReLU), torch.randn(6, 4).double()).table().splitlines()
    assert len(lines) == 5
    assert "relu" in lines[1]
    assert "/8" in lines[1]
