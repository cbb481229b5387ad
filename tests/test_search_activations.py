"""Expressions as torch modules: values and slopes against mpmath and SymPy, K functions against each one."""

import copy
import gc
import math
import pickle
import weakref

import mpmath as mp
import numpy as np
import pytest
import sympy
import torch
from torch import nn

from selfgated.models import CNN, MLP
from selfgated.search import Activations, Expression, Space, evaluate, parse
from selfgated.search.expression import EPS, FUNCTIONS, OPERATIONS, call, number, x
from selfgated.stacked import extract

pytestmark = pytest.mark.usefixtures("one_thread")

EPS64 = np.finfo(np.float64).eps
EPS32 = np.finfo(np.float32).eps
SMALLEST = float(np.finfo(np.float64).smallest_subnormal)
SPACE = Space(1)
# What each function of the language is, without torch or SymPy: at 30 digits.
ORACLE = {
    "neg": lambda a: -a,
    "abs": abs,
    "sqrt": lambda a: mp.sqrt(a) if a > 0 else mp.mpf(0),
    "log": mp.log,
    "exp": mp.exp,
    "sin": mp.sin,
    "cos": mp.cos,
    "sinh": mp.sinh,
    "cosh": mp.cosh,
    "tanh": mp.tanh,
    "asinh": mp.asinh,
    "atan": mp.atan,
    "sinc": lambda a: mp.sin(a) / a if a else mp.mpf(1),
    "sigmoid": lambda a: 1 / (1 + mp.exp(-a)),
    "softplus": lambda a: mp.log1p(mp.exp(a)),
    "relu": lambda a: max(a, mp.mpf(0)),
    "erf": mp.erf,
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "max": max,
    "min": min,
}
MAGNITUDES = (0.0, 1e-300, 1e-8, 1e-3, 0.0499, 0.05, 0.0501, 0.3, 1.0, 2.7, 8.0, 30.0)
POINTS = (*MAGNITUDES, *(-m for m in MAGNITUDES))


@pytest.fixture(autouse=True)
def digits():
    with mp.workdps(30):
        yield


def members(every, start=0):
    """Every so-manieth function of one core unit."""
    return [SPACE.expression(SPACE.choice(i)) for i in range(start, SPACE.size, every)]


def randn(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def slope(function, z):
    """Values and slopes of an elementwise function of float64."""
    z = torch.as_tensor(z, dtype=torch.float64).requires_grad_()
    y = function(z)
    (grad,) = torch.autograd.grad(y.sum(), z, materialize_grads=True)
    return y.detach(), grad


def with_error(node, z, betas, ulps, known=None):
    """Value of a tree at 30 digits, and a bound on the error of float64.

    Every call is off by `ulps` units in the last place, and hands on what its operands are off by: the
    largest change of its value at the ends of their intervals.
    """
    known = {} if known is None else known
    if node in known:
        return known[node]
    if node.op == "x":
        found = mp.mpf(z), mp.mpf(0)
    elif node.op == "beta":
        found = mp.mpf(betas[node.value]), mp.mpf(0)
    elif node.op in ("number", "eps"):
        found = mp.mpf(EPS if node.op == "eps" else node.value), mp.mpf(0)
    else:
        function = ORACLE[node.op] if node.op != "pow" else lambda a: a**node.value
        parts = [with_error(child, z, betas, ulps, known) for child in node.children]
        value = function(*(v for v, _ in parts))
        error = ulps * EPS64 * abs(value) + SMALLEST
        for place, (v, e) in enumerate(parts):
            for moved in (v - e, v + e) if e else ():
                moved = function(*(moved if i == place else w for i, (w, _) in enumerate(parts)))
                error += abs(moved - value)
        found = value, error
    known[node] = found
    return found


def assert_right(expression, points, values, ulps=4):
    """The values agree with 30 digits, within the error that rounding explains."""
    for z, value in zip(points, values, strict=True):
        true, error = with_error(expression.root, z, expression.betas, ulps)
        assert abs(value - true) <= error, f"{expression} at {z!r}: {value!r}, not {mp.nstr(true, 17)}"


@pytest.mark.parametrize("op", ["neg", *FUNCTIONS])
def test_function_values_against_mpmath(op):
    points = [z for z in POINTS if op != "log" or z > 0]
    values = evaluate(Expression(call(op, x)), torch.tensor(points, dtype=torch.float64))
    assert_right(Expression(call(op, x)), points, values.tolist())


@pytest.mark.parametrize("op", OPERATIONS)
def test_operation_values_against_mpmath(op):
    points = [z for z in POINTS if z]
    expression = Expression(call(op, call("sin", x), call("add", x, number(0.25))))
    assert_right(expression, points, evaluate(expression, torch.tensor(points, dtype=torch.float64)).tolist())


def test_core_unit_values_against_mpmath():
    expressions = members(11)
    for points in ([-1.9, -0.3], [0.7, 2.3]):
        z = torch.tensor(points, dtype=torch.float64).repeat(len(expressions), 1).unsqueeze(2)
        values = Activations(expressions).double()(z).squeeze(2).tolist()
        for expression, row in zip(expressions, values, strict=True):
            assert_right(expression, points, row)


SLOPES = (1e-8, 0.0499, 0.0501, 0.3, 1.0, 2.7, 8.0, 30.0)


def true_slope(expression, z):
    """SymPy's derivative at 30 digits."""
    (symbol,) = expression.sympy.free_symbols
    derivative = sympy.diff(expression.sympy, symbol)
    return mp.mpf(derivative.subs(symbol, sympy.Rational(z)).evalf(30))


@pytest.mark.parametrize("op", ["neg", *FUNCTIONS])
def test_function_slopes_against_sympy_grad(op):
    expression = Expression(call(op, x))
    points = [z for z in (*SLOPES, *(-z for z in SLOPES)) if z > 0 or op not in ("log", "sqrt")]
    for z, found in zip(points, slope(lambda t: evaluate(expression, t), points)[1].tolist(), strict=True):
        true = true_slope(expression, z)
        # 1 - tanh^2 and its like cancel; sinc's cos(z)/z - sin(z)/z^2 does so from terms of 1/z.
        size = 1 / abs(z) if op == "sinc" and abs(z) >= 0.05 else 1
        assert abs(found - true) <= 8 * EPS64 * (abs(true) + size), (op, z, found, true)


SPECIAL = [
    # text, z, value, slope; at a kink where both arguments are equal, the slope is the mean of both sides
    ("sqrt(x)", 0.0, 0.0, 0.0),
    ("sqrt(x)", -1.0, 0.0, 0.0),
    ("sqrt(x)", 1e-12, 1e-6, 5e5),
    ("sqrt(abs(x))*x", 0.0, 0.0, 0.0),
    ("abs(x)", 0.0, 0.0, 0.0),
    ("max(x, 0)", 0.0, 0.0, 0.5),
    ("max(x, 0)", -0.0, 0.0, 0.5),
    ("max(x, 0)", 1e-300, 1e-300, 1.0),
    ("min(x, 0)", 0.0, 0.0, 0.5),
    ("relu(x)", 0.0, 0.0, 0.0),
    ("max(x, -x)", 0.0, 0.0, 0.0),
    ("max(x, tanh(x))", 0.0, 0.0, 1.0),
    ("min(x, sin(x))", 0.0, 0.0, 1.0),
    ("log(abs(x) + eps)", 0.0, math.log(EPS), 0.0),
    ("log(abs(x) + eps)", 1e-9, math.log(1e-9 + EPS), 1 / (1e-9 + EPS)),
    ("log(abs(x) + eps)", -1e-9, math.log(1e-9 + EPS), -1 / (1e-9 + EPS)),
    ("sinc(x)", 0.0, 1.0, 0.0),
    ("sinc(x)", 1e-300, 1.0, -1e-300 / 3),
    ("x/(x + eps)", 0.0, 0.0, 1 / EPS),
    ("x/(x + eps)", -EPS + 2**-30, (-EPS + 2**-30) / 2**-30, EPS * 2**60),
    ("softplus(x)", 1000.0, 1000.0, 1.0),
    ("softplus(x)", -1000.0, 0.0, 0.0),
    ("sigmoid(x)", 1000.0, 1.0, 0.0),
    ("sigmoid(x)", -1000.0, 0.0, 0.0),
    ("x^2", 0.0, 0.0, 0.0),
    ("exp(-(abs(x - x)))", 0.7, 1.0, 0.0),
    ("exp(-x^2)", 40.0, 0.0, 0.0),
    ("x - x", 0.7, 0.0, 0.0),
]


@pytest.mark.parametrize(("text", "z", "value", "expected"), SPECIAL)
def test_special_points_values_and_grad(text, z, value, expected):
    found, grad = slope(lambda t: evaluate(parse(text), t), [z])
    np.testing.assert_allclose(found.item(), value, rtol=1e-6 if "eps" in text else 4 * EPS64, atol=0)
    np.testing.assert_allclose(grad.item(), expected, rtol=1e-6 if "eps" in text else 4 * EPS64, atol=0)


@pytest.mark.parametrize(("dtype", "eps"), [(torch.float32, EPS32), (torch.float64, EPS64)])
def test_sinc_is_smooth_where_the_series_ends_grad(dtype, eps):
    near = np.concatenate([np.geomspace(1e-6, 0.2, 400), 0.05 + 1e-7 * np.arange(-5, 6)])
    z = torch.tensor(np.concatenate([near, -near]), dtype=dtype, requires_grad=True)
    y = evaluate(parse("sinc(x)"), z)
    (grad,) = torch.autograd.grad(y.sum(), z)
    for at, value, found in zip(z.tolist(), y.tolist(), grad.tolist(), strict=True):
        at = mp.mpf(at)
        true, true_slope = mp.sin(at) / at, mp.cos(at) / at - mp.sin(at) / at**2
        assert abs(value - true) <= 2 * eps
        # Beyond the series two terms of 1/z cancel.
        assert abs(found - true_slope) <= 4 * eps * (1 / abs(at) if abs(at) > 0.0499 else abs(true_slope))


def test_core_unit_slopes_against_differences_grad():
    expressions = members(4, start=3)
    acts = Activations(expressions).double()
    step = 1e-4
    for at in (-1.9, -0.31, 0.69, 2.3):
        z = at + step * torch.tensor([0.0, -2, -1, 1, 2], dtype=torch.float64)
        values, slopes = slope(acts, z.repeat(len(expressions), 1).unsqueeze(2))
        weights = torch.tensor([0.0, 1, -8, 8, -1], dtype=torch.float64) / (12 * step)
        difference = (values.squeeze(2) * weights).sum(1)
        size = values.abs().amax(dim=(1, 2)) + slopes.abs().amax(dim=(1, 2))
        off = (difference - slopes[:, 0, 0]).abs() / (1 + size)
        # Rounding of the values over the step gives 1e-12; the fifth derivatives, times step^4, up to 1e-9.
        assert off.max() < 1e-8, expressions[off.argmax()]


BETAS = ["x*sigmoid(beta*x)", "beta1*sin(x) + (1 - beta1)*tanh(x + beta2)", "max(x, 0)", "x + 0.5"]
LAYOUTS = {"rows": (4, 3, 2), "images": (3, 4 * 2, 2, 1)}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_gradcheck_of_inputs_and_betas_grad(layout):
    acts = Activations([parse(text) for text in BETAS], num_channels=2).double()
    beta = acts.beta.detach() + 0.1 * randn(*acts.beta.shape, seed=3)

    def run(z, beta):
        return torch.func.functional_call(acts, {"beta": beta}, (z,))

    inputs = randn(*LAYOUTS[layout]).requires_grad_(), beta.requires_grad_()
    assert torch.autograd.gradcheck(run, inputs)


@pytest.mark.parametrize("channels", [1, 2])
def test_layouts_agree_and_each_channel_has_its_betas_grad(channels):
    acts = Activations([parse(text) for text in BETAS], num_channels=channels).double()
    with torch.no_grad():
        acts.beta += randn(*acts.beta.shape, seed=3)
    z, upstream = randn(4, 6, 2), randn(4, 6, 2, seed=1)
    acts(z).backward(upstream)
    rows, acts.beta.grad = acts.beta.grad, None
    as_images = z.reshape(4, 3, 2, 1, 2).permute(1, 0, 4, 2, 3).flatten(1, 2)  # (N, K C, H, W)
    y = acts(as_images)
    expected = acts(z).reshape(4, 3, 2, 1, 2).permute(1, 0, 4, 2, 3).flatten(1, 2)
    torch.testing.assert_close(y, expected, rtol=4 * EPS64, atol=4 * EPS64)
    y.backward(upstream.reshape(4, 3, 2, 1, 2).permute(1, 0, 4, 2, 3).flatten(1, 2))
    torch.testing.assert_close(acts.beta.grad, rows, rtol=1e-13, atol=1e-14)
    # What an expression does not have stays out of the game.
    unused = rows.reshape(4, 2, channels)[[0, 2, 3, 2, 3], [1, 0, 0, 1, 1]]
    assert not unused.any()
    # Each channel by hand.
    beta = acts.beta.detach().reshape(4, 2, channels)
    for c in range(2):
        own = beta[0, 0, c % channels]
        torch.testing.assert_close(acts(z)[0, :, c], z[0, :, c] * torch.sigmoid(own * z[0, :, c]))


def test_one_network_takes_rows_stacked_rows_and_images():
    acts = Activations([parse(BETAS[1])], num_channels=3).double()
    z = randn(5, 3)
    expected = evaluate(parse(BETAS[1]), z)
    for shaped in (z, z.unsqueeze(0), z[:, :, None, None]):
        torch.testing.assert_close(acts(shaped), expected.reshape(shaped.shape), rtol=4 * EPS64, atol=EPS64)


def test_betas_start_where_the_expression_says():
    acts = Activations([parse(text) for text in BETAS], num_channels=3)
    start = acts.beta.detach().reshape(4, 2, 3)
    assert (start[0, 0] == 1).all()
    assert start[1, :, 0].tolist() == [0.5, 1.0]
    assert Activations([parse("x"), parse("max(x, 0)")]).beta is None
    fixed = Activations([parse(BETAS[0])], trainable=False)
    assert not list(fixed.parameters())
    assert fixed.beta.numel() == 1
    z = randn(4)
    torch.testing.assert_close(evaluate(parse(BETAS[0]), z, betas=[2.5]), z * torch.sigmoid(2.5 * z))


MODERATE = [0.0, 1e-45, 1e-20, 1e-3, EPS * (1 - 1e-7), 0.05, 0.5, 1, 2, 5, 10, 20, 40]
LARGE = [50, 80, 88, 89.5, 100, 710, 1e3, 1e4, 1e10, 1e20, 1e30]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("points", [MODERATE, LARGE], ids=["moderate", "large"])
def test_no_slope_is_nan_where_the_value_is_finite_grad(points, dtype):
    points = torch.tensor([*points, *(-z for z in points)], dtype=dtype)
    chosen = members(2, start=int(dtype == torch.float64))
    for start in range(0, len(chosen), 625):
        expressions = chosen[start : start + 625]
        acts = Activations(expressions).to(dtype)
        z = points.repeat(len(expressions), 1).unsqueeze(2).requires_grad_()
        y = acts(z)
        # Where f is near the largest number, a slope may really lie above it.
        fine = y.abs() < torch.finfo(dtype).max / 1e6
        z_grad, beta_grad = torch.autograd.grad(y, (z, acts.beta), fine.to(dtype))
        bad = (fine & z_grad.isnan()).flatten(1).any(1)
        bad |= fine.flatten(1).all(1) & beta_grad.reshape(len(expressions), -1).isnan().any(1)
        assert not bad.any(), [expressions[k].text for k in bad.nonzero().flatten().tolist()]


def mixed(cores, count, seed=0):
    """Random members, all binaries among them, in random order."""
    generator = np.random.default_rng(seed)
    space = Space(cores)
    choices = [tuple(generator.integers(space.sizes)) for _ in range(count)]
    choices = [(*choice[:-1], k % 10) for k, choice in enumerate(choices)]
    return [space.expression(choices[k]) for k in generator.permutation(count)]


def both_ways(acts, z, upstream):
    """Values, and gradients of z and of the betas (K, ...)."""
    z = z.clone().requires_grad_()
    y = acts(z)
    inputs = (z,) if acts.beta is None else (z, acts.beta)
    grads = torch.autograd.grad(y, inputs, upstream, materialize_grads=True)
    return y.detach(), grads[0], None if acts.beta is None else grads[1].reshape(len(acts.expressions), -1)


def same(a, b):
    return torch.equal(a.nan_to_num(0.5), b.nan_to_num(0.5))


@pytest.mark.parametrize("cores", [1, 2, 3])
def test_each_expression_is_as_it_is_alone_grad(cores):
    expressions = mixed(cores, 120)
    z, upstream = randn(120, 16, 8, dtype=torch.float32), randn(120, 16, 8, seed=1, dtype=torch.float32)
    y, z_grad, beta_grad = both_ways(Activations(expressions, num_channels=8), z, upstream)
    for k, expression in enumerate(expressions):
        one = both_ways(Activations([expression], num_channels=8), z[k : k + 1], upstream[k : k + 1])
        # To the bit: the 128 numbers of a network fill whole vector registers, here as there.
        assert same(y[k], one[0][0]), expression
        if cores == 1:
            assert same(z_grad[k], one[1][0]), expression
            if one[2] is not None:
                assert same(beta_grad[k, : one[2].numel()], one[2][0]), expression
                assert not beta_grad[k, one[2].numel() :].any()
        else:  # slopes of the parts of a sum may be added in another order
            finite = one[1][0].isfinite()
            size = one[1][0][finite].abs().sum()
            assert (z_grad[k][finite] - one[1][0][finite]).abs().sum() <= 1e-4 * size, expression


def test_any_order_gives_the_same_grad():
    expressions = mixed(2, 200, seed=5)
    z, upstream = randn(200, 5, 3), randn(200, 5, 3, seed=1)
    found = both_ways(Activations(expressions, num_channels=3).double(), z, upstream)
    order = np.random.default_rng(1).permutation(200)
    acts = Activations([expressions[k] for k in order], num_channels=3).double()
    moved = both_ways(acts, z[order], upstream[order])
    for a, b in zip(found, moved, strict=True):
        torch.testing.assert_close(a[order], b, rtol=1e-9, atol=1e-9, equal_nan=True)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_stays_in_its_network_grad(bad):
    expressions = mixed(2, 60, seed=2)
    acts = Activations(expressions, num_channels=4)
    z, upstream = randn(60, 8, 4, dtype=torch.float32), randn(60, 8, 4, seed=1, dtype=torch.float32)
    before = both_ways(acts, z, upstream)
    others = [k for k in range(60) if k != 17]
    z[17], upstream[17] = bad, bad
    for a, b in zip(before, both_ways(acts, z, upstream), strict=True):
        assert same(a[others], b[others])


def test_nan_is_not_swallowed():
    z = torch.full((2,), math.nan)
    for op in ("neg", *FUNCTIONS):
        assert evaluate(Expression(call(op, x)), z).isnan().all(), op
    for op in ("max", "min"):
        assert evaluate(Expression(call(op, x, number(0))), z).isnan().all(), op


def test_copies_are_independent_and_equal_grad():
    acts = Activations([parse(text) for text in BETAS], num_channels=2)
    z = randn(4, 3, 2, dtype=torch.float32)
    acts(z).sum().backward()  # whatever a forward pass leaves behind is copied too
    twin = copy.deepcopy(acts)
    assert torch.equal(twin(z), acts(z))
    with torch.no_grad():
        twin.beta += 1
    assert not torch.equal(twin(z), acts(z))
    acts.load_state_dict(twin.state_dict())
    assert torch.equal(twin(z), acts(z))
    assert acts.plan.calls == twin.plan.calls


@pytest.mark.parametrize("trainable", [True, False])
def test_one_network_is_extracted_with_the_betas_it_has(trainable):
    expressions = [parse(text) for text in BETAS]

    def layer(chosen):
        return lambda: Activations(chosen, num_channels=5, trainable=trainable)

    for make, shape in (
        (lambda chosen, K: MLP(3, 2, width=5, depth=2, act_layer=layer(chosen), num_models=K), (7, 3)),
        (lambda chosen, K: CNN(1, 2, image_size=4, width=5, depth=2, act_layer=layer(chosen), num_models=K),
         (7, 1, 4, 4)),
    ):  # fmt: skip
        model = make(expressions, 4).double()
        with torch.no_grad():
            for block in model.blocks:
                beta = block.act.beta.view(4, 2, 5)
                beta[0, 0] += randn(5)  # an optimiser moves the betas that an expression has, and no other
                beta[1] += randn(2, 5, seed=1)
        inputs = randn(*shape)
        outputs = model(inputs)
        for k, expression in enumerate(expressions):
            one = make([expression], 1).double()
            one.load_state_dict(extract(model.state_dict(), k, 4))
            torch.testing.assert_close(one(inputs), outputs[k], rtol=1e-12, atol=1e-12)


def test_a_state_of_other_betas_is_refused():
    two, none = Activations([parse(BETAS[1])]), Activations([parse("max(x, 0)")])
    with torch.no_grad():
        two.beta += 0.25
    with pytest.raises(RuntimeError, match="beta"):
        Activations([parse(BETAS[0])]).load_state_dict(two.state_dict())
    with pytest.raises(RuntimeError, match="beta"):
        none.load_state_dict(two.state_dict())


def test_betas_belong_to_their_network_as_the_stack_has_it():
    acts = Activations([parse(text) for text in BETAS], num_channels=3)
    # A parameter of 2 or 3 dimensions is the weight of a linear layer: see selfgated.stacked.
    assert acts.beta.shape == (4 * 2 * 3,)


def test_a_plan_holds_numbers_of_rows_alone():
    expressions = mixed(3, 100)
    acts = Activations(expressions, num_channels=8)
    z = randn(100, 64, 8, dtype=torch.float32).requires_grad_()
    y = acts(z)
    y.sum().backward()
    nodes = sum(len(set(_walk(expression.root))) for expression in expressions)
    assert len(pickle.dumps(acts.plan)) < 64 * nodes < z.nbytes
    alive = weakref.ref(z), weakref.ref(y)
    del z, y
    gc.collect()
    assert [ref() for ref in alive] == [None, None]


def _walk(node):
    yield node
    for child in node.children:
        yield from _walk(child)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_lower_precision_keeps_its_type_and_is_near_grad(dtype):
    expressions = [parse(text) for text in (*BETAS, "sqrt(x)", "sinc(x)", "log(abs(x) + eps)", "exp(-x^2)")]
    acts = Activations(expressions, num_channels=2).to(dtype)
    z = randn(8, 6, 2, dtype=dtype).requires_grad_()
    y = acts(z)
    (grad,) = torch.autograd.grad(y.sum(), z)
    assert (y.dtype, grad.dtype, acts.beta.dtype) == (dtype,) * 3
    wide = z.detach().double().requires_grad_()
    expected = Activations(expressions, num_channels=2).double()(wide)
    (expected_grad,) = torch.autograd.grad(expected.sum(), wide)
    eps = torch.finfo(dtype).eps
    assert ((y - expected).abs() <= 16 * eps * (1 + expected.abs())).all()
    assert ((grad - expected_grad).abs() <= 32 * eps * (1 + expected_grad.abs())).all()


def test_autocast_keeps_the_type_of_the_input():
    acts = Activations([parse(BETAS[0]), parse("max(x, 0)")], num_channels=4)
    linear = nn.Linear(4, 4)
    with torch.autocast("cpu", torch.bfloat16):
        y = acts(linear(randn(2, 3, 4, dtype=torch.float32)))
    assert y.dtype == torch.bfloat16
    assert y.isfinite().all()


@pytest.mark.parametrize(
    "shape", [(3, 6, 4), (4, 6, 5), (6, 9, 2, 2), (6, 4, 2, 2), (6, 12), (12,), (), (2, 4, 6, 4, 1)]
)
def test_wrong_shapes_are_named(shape):
    acts = Activations([parse(text) for text in BETAS], num_channels=4)
    with pytest.raises(ValueError, match=r"4 activations of 4 channels take no z of shape \("):
        acts(torch.zeros(shape))


def test_other_bad_arguments_are_named():
    with pytest.raises(ValueError, match="at least one expression"):
        Activations([])
    with pytest.raises(ValueError, match="num_channels must be a positive integer, not 0"):
        Activations([parse("x")], num_channels=0)
    with pytest.raises(TypeError, match=r"expected an Expression, .* not 'x\*sigmoid\(x\)'"):
        Activations(["x*sigmoid(x)"])
    with pytest.raises(TypeError, match="expected an Expression"):
        evaluate("x", torch.zeros(2))
    with pytest.raises(ValueError, match=r"x\*sigmoid\(beta\*x\) has 1 betas, got 2 values"):
        evaluate(parse(BETAS[0]), torch.zeros(2), betas=[1, 2])
    with pytest.raises(TypeError, match="int64"):
        evaluate(parse("sqrt(x)"), torch.arange(3))


def test_the_text_of_the_module_names_three():
    shown = repr(Activations([parse(text) for text in (*BETAS, "x")], num_channels=2))
    assert shown.startswith("Activations(x*sigmoid(beta*x), ")
    assert shown.endswith("max(x, 0), and 2 more; num_channels=2)")
