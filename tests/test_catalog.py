import math
import re
import subprocess
import sys
from dataclasses import FrozenInstanceError
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import sympy as sp
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.mathtext import MathTextParser

from selfgated import catalog, kernels, symbolic

ORDER = [
    "identity",
    "sigmoid",
    "tanh",
    "softplus",
    "relu",
    "relu6",
    "leaky_relu",
    "elu",
    "silu",
    "swish",
    "hard_sigmoid",
    "hard_swish",
    "gelu",
    "gelu_tanh",
    "gelu_sigmoid",
    "mish",
]
MAIN = ("relu", "silu", "gelu", "mish", "hard_swish", "tanh", "gelu_tanh", "gelu_sigmoid")
KINKED = [(record, kink) for record in catalog.ACTIVATIONS for kink in record.kinks]
TORCH = {
    "relu": F.relu,
    "relu6": F.relu6,
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
    "hard_sigmoid": F.hardsigmoid,
    "hard_swish": F.hardswish,
}


def test_names_are_canonical_and_in_order():
    assert list(catalog.names()) == ORDER
    assert catalog.names() == symbolic.NAMES


def test_names_have_three_kernels_each():
    wanted = {name + suffix for name in catalog.names() for suffix in ("", "_grad", "_grad2")}
    assert wanted <= set(kernels.__all__)


def test_aliases_are_unique_and_normalised():
    keys = [key for record in catalog.ACTIVATIONS for key in (record.name, *record.aliases)]
    assert len(keys) == len(set(keys))
    assert all(key == key.lower() and not set(key) & set("- ") for key in keys)


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("Swish-1", "silu"),
        ("swish1", "silu"),
        ("SiL", "silu"),
        ("h-swish", "hard_swish"),
        ("HardSwish", "hard_swish"),
        ("hswish", "hard_swish"),
        ("hardsigmoid", "hard_sigmoid"),
        ("gelu-tanh", "gelu_tanh"),
        ("gelu_new", "gelu_tanh"),
        ("gelu_pytorch_tanh", "gelu_tanh"),
        ("quick_gelu", "gelu_sigmoid"),
        (" Leaky ReLU ", "leaky_relu"),
    ],
)
def test_get_resolves_alias(alias, name):
    assert catalog.get(alias) is catalog.get(name)
    assert catalog.get(name).name == name


@pytest.mark.parametrize(
    "name", [*ORDER, *[alias for record in catalog.ACTIVATIONS for alias in record.aliases]]
)
def test_get_ignores_case_and_separator(name):
    assert catalog.get(name) is catalog.get(name.upper().replace("_", "-"))


def test_get_unknown_names_value_choices_and_closest():
    with pytest.raises(
        ValueError, match=r"^unknown activation 'gleu'; choose from \[.*'mish'\]; did you mean 'gelu'\?$"
    ):
        catalog.get("gleu")


@given(st.text())
def test_get_text_is_found_or_named_in_the_error(text):
    try:
        record = catalog.get(text)
    except ValueError as error:
        message = str(error)
        assert message.startswith(f"unknown activation {text!r}; choose from {ORDER}")
    else:
        assert text.strip().lower().replace("-", "_").replace(" ", "_") in (record.name, *record.aliases)


@given(st.none() | st.integers() | st.floats() | st.binary() | st.lists(st.text()))
def test_get_other_types_raise_type_error(value):
    with pytest.raises(TypeError, match="must be a string"):
        catalog.get(value)


def test_records_are_frozen():
    with pytest.raises(FrozenInstanceError):
        catalog.get("gelu").name = "other"


@pytest.mark.parametrize("name", ORDER)
def test_kinks_where_symbolic_has_them(name):
    assert [kink.where for kink in catalog.get(name).kinks] == [float(k) for k in symbolic.kinks(name)]


@pytest.mark.parametrize(("record", "kink"), KINKED)
def test_kinks_slope_of_kernel_and_torch_grad(record, kink):
    z = torch.tensor(kink.where, dtype=torch.float64, requires_grad=True)
    TORCH[record.name](z).backward()
    assert z.grad.item() == kink.slope
    assert getattr(kernels, record.name + "_grad")(np.float64(kink.where)) == kink.slope
    assert getattr(kernels, record.name + "_grad2")(np.float64(kink.where)) == 0


@pytest.mark.parametrize(("record", "kink"), KINKED)
def test_kinks_jump_is_the_first_derivative_that_jumps(record, kink):
    def gap(order):
        branch = symbolic.derivative(record.name, order) if order else symbolic.definition(record.name)
        step = sp.Rational(1, 10**12)
        left, right = (branch.subs(symbolic.z, sp.Rational(kink.where) + s * step) for s in (-1, 1))
        return float(abs(right - left))

    assert all(gap(order) < 1e-10 for order in range(record.jump))
    assert gap(record.jump) > 0.1


@pytest.mark.parametrize("record", catalog.ACTIVATIONS, ids=lambda r: r.name)
def test_smoothness_agrees_with_kinks(record):
    assert (record.smoothness == "analytic") == (record.kinks == ()) == (record.jump is None)
    for kink in record.kinks:
        assert f"{kink.where:g}" in record.smoothness


@pytest.mark.parametrize("record", catalog.ACTIVATIONS, ids=lambda r: r.name)
def test_gate_present_where_symbolic_has_one(record):
    assert (record.gate is None) == (symbolic.gate(record.name) is None)


def test_formula_is_valid_mathtext():
    parser = MathTextParser("agg")
    for record in catalog.ACTIVATIONS:
        for text in filter(None, (record.formula, record.gate)):
            parser.parse(f"${text}$")


@pytest.mark.parametrize("record", catalog.ACTIVATIONS, ids=lambda r: r.name)
def test_default_is_that_of_the_kernel(record):
    z = np.linspace(-4, 4, 9)
    kernel = getattr(kernels, record.name)
    given = {} if record.parameter is None else {record.parameter: record.default}
    np.testing.assert_array_equal(kernel(z), kernel(z, **given))
    assert record.parameters({}) == given


def test_parameters_reject_unknown_keyword():
    assert catalog.get("swish").parameters({"beta": 2.0}) == {"beta": 2.0}
    with pytest.raises(TypeError, match=r"gelu takes no parameter 'beta'; it takes none"):
        catalog.get("gelu").parameters({"beta": 2.0})


def test_import_needs_no_numpy_sympy_or_torch():
    code = (
        "import sys, selfgated.catalog; print([m for m in ('numpy', 'sympy', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# Colours. Linear sRGB; dichromacy by Machado, Oliveira and Fernandes (2009), severity 1.
VISION = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
}
XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def linear(colour):
    c = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def contrast(one, other):
    low, high = sorted(XYZ[1] @ linear(c) for c in (one, other))
    return (high + 0.05) / (low + 0.05)


def lab(colour, vision):
    seen = np.clip(np.array(VISION[vision]) @ linear(colour), 0, 1)
    t = XYZ @ seen / XYZ.sum(axis=1)
    x, y, z = np.where(t > (6 / 29) ** 3, np.cbrt(t), t * 841 / 108 + 4 / 29)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def ciede2000(one, other):
    (l1, a1, b1), (l2, a2, b2) = one, other
    chroma = (math.hypot(a1, b1) + math.hypot(a2, b2)) / 2
    stretch = 1.5 - 0.5 * math.sqrt(chroma**7 / (chroma**7 + 25**7))
    c1, c2 = math.hypot(stretch * a1, b1), math.hypot(stretch * a2, b2)
    h1, h2 = math.atan2(b1, stretch * a1), math.atan2(b2, stretch * a2)
    turn = math.remainder(h2 - h1, math.tau) if c1 * c2 else 0.0
    hue = (h1 + turn / 2) % math.tau
    mean_l, mean_c = (l1 + l2) / 2, (c1 + c2) / 2
    t = 1 + sum(
        k * math.cos(n * hue + math.radians(shift))
        for k, n, shift in ((-0.17, 1, -30), (0.24, 2, 0), (0.32, 3, 6), (-0.20, 4, -63))
    )
    dl = (l2 - l1) / (1 + 0.015 * (mean_l - 50) ** 2 / math.sqrt(20 + (mean_l - 50) ** 2))
    dc = (c2 - c1) / (1 + 0.045 * mean_c)
    dh = 2 * math.sqrt(c1 * c2) * math.sin(turn / 2) / (1 + 0.015 * mean_c * t)
    cone = math.radians(60 * math.exp(-(((math.degrees(hue) - 275) / 25) ** 2)))
    twist = -2 * math.sqrt(mean_c**7 / (mean_c**7 + 25**7)) * math.sin(cone)
    return math.sqrt(dl**2 + dc**2 + dh**2 + twist * dc * dh)


def closest(names, vision):
    seen = {name: lab(catalog.get(name).colour, vision) for name in names}
    return min((ciede2000(seen[a], seen[b]), a, b) for a, b in combinations(names, 2))


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, 2.5, 0), (73, 25, -18), 27.1492),
        ((50, 2.5, 0), (50, 0, -2.5), 4.3065),
    ],
)
def test_ciede2000_published_pairs(one, other, distance):
    assert ciede2000(one, other) == pytest.approx(distance, abs=5e-5)


@pytest.mark.parametrize("vision", VISION)
def test_colours_of_main_activations_differ_for_every_vision(vision):
    assert closest(MAIN, vision)[0] > (20 if vision == "normal" else 15)


@pytest.mark.parametrize("vision", VISION)
def test_colours_of_all_activations_differ(vision):
    assert closest(ORDER, vision)[0] > 7


@pytest.mark.parametrize("record", catalog.ACTIVATIONS, ids=lambda r: r.name)
def test_colours_contrast_on_white_and_near_black(record):
    assert contrast(record.colour, "#ffffff") >= 3
    assert contrast(record.colour, "#121212") >= 3


def test_markers_differ():
    assert len({record.marker for record in catalog.ACTIVATIONS}) == len(ORDER)


def test_every_source_is_in_the_bibliography():
    bibliography = Path(__file__).parents[1] / "book/references.bib"
    keys = re.findall(r"^@\w+\{(\w+),", bibliography.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert {record.source.key for record in catalog.ACTIVATIONS if record.source} <= set(keys)
