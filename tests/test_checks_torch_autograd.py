"""Self-checks of assignment 07: each typical mistake gets its sentence, right answers get none."""

import numpy as np
import pytest
import torch
from complaints import complaints_of
from torch.nn import functional as F

from selfgated.checks import torch_autograd as check
from selfgated.checks.torch_autograd.graph import kept
from selfgated.grading import mutation
from selfgated.grading.assignment import Assignment

SLUG = "07_torch_autograd"
ASSIGNMENT = Assignment.load(SLUG)
NAMES = ASSIGNMENT.names
complaint = complaints_of(check)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("softplus_slope", "1/(1 + exp(-a))", "sigma of the output"),
        ("softplus_slope", "1/exp(a)", "this is 1 - f'"),
        ("softplus_slope", "1 + exp(-a)", "a sign"),
        ("softplus_slope", "exp(a)", "divide e^z by it"),
        ("softplus_slope", "exp(z)/(1 + exp(z))", "unknown symbol 'z'"),
        ("squareplus_slope", "1/2 + a/(2*sqrt(a^2 + 4))", "the output in place of z"),
        ("squareplus_slope", "1/(a^2 + 1)", "this is 1 - f'"),
        ("squareplus_slope", "1 + 1/a^2", "its reciprocal"),
        ("squareplus_slope", "a^2/(a^2 - 1)", "a sign"),
        ("squareplus_slope", "a/(1 + a)", "a comes squared"),
        ("squareplus_curvature", "2*a/(a^2 + 1)^2", "the chain rule"),
        ("squareplus_curvature", "-2*a^3/(a^2 + 1)^3", "the slope rises"),
        ("squareplus_curvature", "a^3/(a^2 + 1)^3", "the 2 is missing"),
        ("squareplus_curvature", "2*a^3/(a^2 + 1)^2", "quotient rule"),
        ("squareplus_curvature", "3*a^3/(a^2 + 1)^3", "differs at a = "),
    ],
)
def test_formula_mistake_gets_its_sentence(name, text, words):
    assert words in complaint(name, lambda: text)


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ([2, 3, 1], "count bytes, not blocks"),
        ([12, 12, 4], "neither exp nor log needs z"),
        ([4, 12, 4], "exp and log keep different things"),
        ([8, 8, 4], "the square keeps its argument"),
        ([8, 16, 4], "counts once"),
        ([8, 12, 8], "two nodes keep the result of relu"),
        ([8, 12, 12], "neither z nor the output"),
        ([8, 12, 5], "does not keep 5 bytes per element; ask of each node"),
        ([8, 12], "a list of three numbers"),
        (24, "a list of three numbers"),
        (None, "a list of three numbers"),
    ],
)
def test_kept_bytes_mistake_gets_its_sentence(numbers, words):
    message = complaint("kept_bytes", lambda: numbers)
    assert words in message
    assert "right value" not in message


def function(forward, backward):
    """A Function of `forward(ctx, z)` and `backward(ctx, u)`."""
    parts = {"forward": staticmethod(forward), "backward": staticmethod(backward)}
    return type("Given", (torch.autograd.Function,), parts).apply


def value(z):
    far = z.abs() + torch.sqrt(z * z + 4)
    return torch.where(z < 0, 2 / far, far / 2)


def save(ctx, z):
    a = value(z)
    ctx.save_for_backward(a)
    return a


def save_input(ctx, z):
    ctx.save_for_backward(z)
    return value(z)


def save_both(ctx, z):
    a = value(z)
    ctx.save_for_backward(a, a * a)
    return a


def save_copy(ctx, z):
    a = value(z)
    ctx.save_for_backward(a.clone())
    return a


def stash(ctx, z):
    ctx.a = value(z)
    return ctx.a * 1


def secret(ctx, z):
    ctx.more = [z]
    return save(ctx, z)


def right(ctx, u):
    a = ctx.saved_tensors[0]
    return u * a * a / (a * a + 1)


def detached(ctx, u):
    a = ctx.saved_tensors[0].detach()
    return u * a * a / (a * a + 1)


def from_input(ctx, u):
    a = value(ctx.saved_tensors[0])
    return u * a * a / (a * a + 1)


def by_secret(ctx, u):
    a = value(ctx.more[0])
    return u * a * a / (a * a + 1)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda z: 2 * value(z), "factor 1/2"),
        (lambda z: (z + torch.sqrt(z * z + 1)) / 2, "z^2 + 4, not z^2 + 1"),
        (lambda z: (z - torch.sqrt(z * z + 4)) / 2, "the root is added"),
        (F.softplus, "Softplus, not Squareplus"),
        (lambda z: (z + torch.sqrt(z * z + 4)) / 2, "multiply and divide"),
        (lambda z: value(z.double()), "torch.float64 for an input of torch.float32"),
        (lambda z: value(z.detach()), "has no graph"),
        (function(save, lambda ctx, u: right(ctx, 1 + 0 * u)), "forgets grad_output"),
        (function(save, lambda ctx, u: -right(ctx, u)), "the slope is positive"),
        (function(save, lambda ctx, u: u - right(ctx, u)), "this is 1 - f'"),
        (
            function(save, lambda ctx, u: u * slope_at(ctx.saved_tensors[0])),
            "at the output",
        ),
        (function(save_input, from_input), "keeps its input"),
        (value, "keeps its input"),
        (function(save_both, right), "8 bytes per element in float32"),
        (function(save_copy, right), "its output is not among them"),
        (function(stash, lambda ctx, u: u / (1 + ctx.a**-2)), "hides the tensor ctx.a"),
        (function(secret, by_secret), "something still uses z"),
        (function(save, detached), "no numpy, detach or no_grad"),
        (lambda z: None, "returned nothing"),
    ],
)
def test_squareplus_mistake_gets_its_sentence(answer, words):
    def squareplus(z):
        return answer(z)

    assert words in complaint("squareplus", squareplus)


def slope_at(v):
    return (1 + v / torch.sqrt(v * v + 4)) / 2


def by_pieces(z, *, radius=0.01, terms=4):
    near, positive = z.abs() < radius, z > 0
    small = torch.where(near, z, 0.0)
    t = torch.where(near, 1.0, z.abs())
    series = sum((1, small / 2, small**2 / 12, -(small**4) / 720)[:terms])
    outside = t / -torch.expm1(-t) * torch.where(positive, 1.0, torch.exp(-t))
    return torch.where(near, series + 0 * z, outside)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda z: z / (torch.exp(z) - 1), "this is f(-z)"),
        (lambda z: z / (torch.exp(-z) - 1), "a sign"),
        (lambda z: 1 / (1 - torch.exp(-z)), "the factor z is missing"),
        (lambda z: z / (1 - torch.exp(-z)), "give it the value 1 there"),
        (lambda z: torch.where(z == 0, 1.0, z / (1 - torch.exp(-z))), "use expm1, or the series"),
        (lambda z: torch.where(z == 0, 1.0, -z / torch.expm1(-z)), "slope is nan at z = -1000"),
        (lambda z: torch.where(z == 0, 1.0, by_pieces(z, radius=0.0)), "slope is nan at z = 0"),
        (lambda z: by_pieces(z, radius=1e-290), "terms as large as 1/z cancel there"),
        (lambda z: by_pieces(z, terms=1), "ramp differs at z = -0.001"),
        (lambda z: by_pieces(z, radius=2e-7, terms=2), "second derivative differs at z = "),
        (lambda z: by_pieces(z).detach(), "cannot compute the slope"),
        (lambda z: None, "returned nothing"),
    ],
)
def test_ramp_mistake_gets_its_sentence(answer, words):
    assert words in complaint("ramp", answer)


def stage(f, z, u):
    (slope,) = torch.autograd.grad(f(z), z, u, create_graph=True)
    return slope


def diagnosis(f, *, upstream=(-1.5, 2.0), last=2, tolerance=1e-7):
    z = torch.linspace(-6, 6, 41, dtype=torch.float64).requires_grad_()
    u = torch.linspace(*upstream, 41, dtype=torch.float64).requires_grad_()
    words = ("value", "slope", "curvature")[: last + 1]
    for order, word in enumerate(words):
        try:
            pair = []
            for g in (f, F.silu):
                y = g(z) if order == 0 else stage(g, z, u)
                pair.append(torch.cat(torch.autograd.grad(y.sum(), (z, u))) if order == 2 else y)
            good = torch.allclose(*pair, rtol=0.0, atol=tolerance)
        except RuntimeError:
            good = False
        if not good:
            return word
    return "fine"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda f: "fine", "'fine' of z sigma(1.1 z); that is 'value'"),
        (lambda f: diagnosis(f, last=0), "Compare gradients"),
        (lambda f: diagnosis(f, last=1), "expect an exception"),
        (lambda f: diagnosis(f, upstream=(1.0, 1.0)), "other than 1, of both signs"),
        (lambda f: diagnosis(f, tolerance=0.0), "tolerance below the rounding"),
        (lambda f: "curvature" if diagnosis(f) == "curvature" else "slope", "'slope' of a composed SiLU"),
        (lambda f: "ok", "choose from ['value', 'slope', 'curvature', 'fine']"),
        (lambda f: None, "returned nothing"),
    ],
)
def test_diagnose_mistake_gets_its_sentence(answer, words):
    assert words in complaint("diagnose", answer)


def test_diagnose_right_answer_is_fine():
    assert check.diagnose(diagnosis) == "diagnose: fine"


def test_remote_answer_is_checked_by_values_alone():
    def remote(f):
        answer = lambda z: f(z.detach()).detach()  # noqa: E731
        answer.remote = True
        return answer

    assert "hidden tests" in check.squareplus(remote(value))
    assert "hidden tests" in check.ramp(remote(by_pieces))
    assert "hidden tests" in check.diagnose(remote(value))
    assert "Softplus" in complaint("squareplus", remote(F.softplus))


def test_kept_counts_blocks_once():
    z = torch.linspace(-3, 3, 1000)
    assert kept(lambda z: F.relu(z) ** 2, z) == (4, False, False)
    assert kept(F.relu, z) == (4, True, False)
    assert kept(lambda z: z * z, z) == (4, False, True)


@pytest.mark.parametrize(
    "variant", [v for v in mutation.variants(SLUG) if not v.lost], ids=lambda v: f"{v.cell}-{v.title}"
)
def test_right_variant_is_fine_in_a_notebook(variant):
    """While it is graded, the self-checks see its values alone; here they see its graph too."""
    before = dict(ASSIGNMENT.stubs)
    names = [name for name in NAMES if f"def {name}(" in before[variant.cell]]
    answers = mutation.namespace_of(ASSIGNMENT, {variant.cell: variant.code})
    for name in names:
        assert getattr(check, name)(answers[name]) == f"{name}: fine"


def rounded_silu():
    """The Function of the demonstration of Problem 6, which no answer uses."""
    namespace = mutation.namespace_of(ASSIGNMENT)
    exec(ASSIGNMENT.by_id["p6-demo"].source, namespace)
    return namespace["RoundedSiLU"]


def test_model_answer_gradcheck_on_bfloat16_numbers_sees_faults_only():
    given = rounded_silu()
    z = torch.linspace(-3, 3, 25).to(torch.bfloat16).double().requires_grad_()
    assert torch.autograd.gradcheck(given.apply, z)

    class Faulty(given):
        @staticmethod
        def backward(ctx, grad_output):
            return 1.02 * given.backward(ctx, grad_output)

    assert not torch.autograd.gradcheck(Faulty.apply, z, raise_exception=False)


def test_model_answer_error_is_a_thousandth_of_the_spread_of_slopes():
    given = rounded_silu()
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(200_000, dtype=torch.float64, generator=generator).requires_grad_()
    (rounded,) = torch.autograd.grad(given.apply(z).sum(), z)
    (right,) = torch.autograd.grad(F.silu(z).sum(), z)
    error, spread = (rounded - right).square().mean().sqrt().item(), right.std().item()
    assert round(spread, 2) == 0.36
    assert spread / error == pytest.approx(1000, rel=0.05)


def test_model_answer_error_is_within_its_bound():
    z = torch.linspace(-8, 8, 4001, dtype=torch.float64).requires_grad_()
    (slope,) = torch.autograd.grad(F.silu(z).sum(), z, create_graph=True)
    (second,) = torch.autograd.grad(slope.sum(), z)
    bound = 2.0**-8 * (z * second).abs().max().item()
    with torch.no_grad():
        rounded = z.to(torch.bfloat16).double()
    at = rounded.clone().requires_grad_()
    (other,) = torch.autograd.grad(F.silu(at).sum(), at)
    error = (other - slope).abs().max().item()
    assert bound / 2 < error < 1.05 * bound
    assert "2^{-8} \\max" in ASSIGNMENT.by_id["p6"].source
    assert np.sqrt(200_000) == pytest.approx(450, rel=0.01)
