"""The yardstick itself: ULP errors, the polynomial reference, and the sweep over all float32 values."""

import csv
import importlib.util
import json
from pathlib import Path

import ml_dtypes
import mpmath
import numpy as np
import pytest

from selfgated import kernels, ulp
from selfgated.kernels import _constants


@pytest.fixture
def sweep():
    path = Path(__file__).parents[1] / "benchmarks/ulp_float32.py"
    spec = importlib.util.spec_from_file_location("ulp_float32", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ml_dtypes.bfloat16])
def test_spacing_is_the_distance_to_the_next_number(dtype):
    y = np.array([1.0, 1.5, 3.0, 0.1, 1e-3, 1e-7, 40_000.0]).astype(dtype)
    integer = {2: np.int16, 4: np.int32, 8: np.int64}[y.dtype.itemsize]
    after = (y.view(integer) + 1).view(dtype).astype(np.float64)
    np.testing.assert_array_equal(
        ulp.spacing(y.astype(np.float64), y.dtype.name), after - y.astype(np.float64)
    )


def test_spacing_below_the_normal_range_is_the_smallest_number():
    assert ulp.spacing(1e-42, "float32") == 2.0**-149
    assert ulp.spacing(0.0, "float16") == 2.0**-24


def test_error_counts_steps_of_the_type():
    one = np.float32([1.0])
    assert ulp.error(np.nextafter(one, np.float32(2)), [1.0]) == 1
    assert ulp.error(one, [1.0 + 2.0**-24]) == 0.5
    assert ulp.error(-one, [1.0]) == 2.0**24


def test_error_at_infinities_and_nan():
    got = np.float32([np.inf, np.inf, np.nan, np.nan, np.inf, -np.inf])
    exact = np.array([np.inf, 3.5e38, np.nan, 1.0, 1.0, np.inf])
    error = ulp.error(got, exact)
    assert list(error[:3]) == [0, 0, 0]  # 3.5e38 rounds to infinity
    assert error[3] == np.inf
    assert error[4] > 1e38
    assert error[5] == np.inf


def test_error_rejects_an_unknown_dtype():
    with pytest.raises(ValueError, match="no precision for dtype 'int32'; choose from"):
        ulp.error(np.array([1], np.int32), [1.0])


def test_error_exact_sees_less_than_a_thousandth_of_an_ulp():
    with mpmath.workdps(40):
        third = mpmath.mpf(1) / 3
        error = ulp.error_exact([1 / 3], [third])
        assert error == pytest.approx(float(abs(third - 1 / 3) * 2**54), rel=1e-12)


@pytest.mark.parametrize(("name", "order"), [("silu", 1), ("gelu", 1), ("gelu", 0), ("mish", 2), ("tanh", 1)])
def test_reference_agrees_with_mpmath(name, order):
    rng = np.random.default_rng(3)
    z = np.concatenate([rng.uniform(-13, 13, 300), -(2.0 ** rng.uniform(-120, 3, 100))])
    exact = ulp.exact(name, order, z)
    got = ulp.reference(name, order)(z)
    assert max(abs(float((y - float(g)) / y)) for y, g in zip(exact, got, strict=True)) < 1e-15


def test_reference_far_out_is_the_asymptote():
    reference = ulp.reference("silu", 0)
    np.testing.assert_array_equal(reference([1e30, -1e30, np.inf, -np.inf]), [1e30, 0, np.inf, 0])
    assert np.isnan(reference(np.nan))


def test_reference_rejects_kinks():
    with pytest.raises(ValueError, match="'relu' has kinks"):
        ulp.reference("relu", 0)


def test_sweep_blocks_cover_the_range_once(sweep):
    assert len(sweep.blocks(2.0**-30, 256.0)) * sweep.BLOCK == 637_534_208
    every = sweep.blocks(0.0, np.inf)
    assert sorted(every) == list(range(2**32 // sweep.BLOCK))
    values = sweep.block_values(sweep.blocks(1.0, 2.0)[0])
    assert values[0] == 1
    assert values[-1] == np.nextafter(np.float32(2), np.float32(1))


def near_the_zero(block):
    """65,536 adjacent values around the minimum of SiLU."""
    middle = np.float32(_constants.SWISH_ZERO_HI).view(np.int32)
    return -np.arange(middle - 32768, middle + 32768, dtype=np.int32).view(np.float32)


def test_sweep_sees_one_wrong_constant(sweep, monkeypatch):
    monkeypatch.setattr(sweep, "block_values", near_the_zero)
    assert sweep.measure("silu_grad", 0, "selfgated")["misrounded"] == 0
    monkeypatch.setattr(_constants, "SWISH_ZERO_LO", -_constants.SWISH_ZERO_LO)
    monkeypatch.setattr(_constants, "LAMBERT_W", _constants.LAMBERT_W * (1 + 1e-9))
    seen = sweep.measure("silu_grad", 0, "selfgated")
    assert seen["misrounded"] > 0
    assert seen["max_ulp"] > 0.5


def test_sweep_reports_what_torch_does(sweep, monkeypatch):
    monkeypatch.setattr(sweep, "block_values", near_the_zero)
    assert sweep.measure("silu_grad", 0, "torch")["max_ulp"] > 1000


def test_sweep_goes_on_where_it_stopped(sweep, monkeypatch, tmp_path):
    calls = []

    def measure(name, block, implementation):
        if len(calls) == 3:
            raise KeyboardInterrupt
        calls.append((name, block, implementation))
        zeros = dict.fromkeys(sweep.SUMS, 1)
        return {
            "function": name,
            "implementation": implementation,
            "block": block,
            "version": sweep.key(),
        } | (zeros | {"max_ulp": 0.5, "where": 1.0})

    monkeypatch.setattr(sweep, "measure", measure)
    out = tmp_path / "ulp.csv"
    arguments = ["--smallest", "2^0", "--largest", "4", "--functions", "gelu", "--out", str(out)]
    with pytest.raises(SystemExit, match="goes on from here"):
        sweep.main(arguments)
    with out.with_suffix(".progress").open("a") as file:
        file.write('{"function": "ge')  # torn by a crash
    first, calls[:] = list(calls), []
    with pytest.raises(SystemExit):
        sweep.main(arguments)
    assert not set(first) & set(calls)
    calls.clear()
    sweep.main(arguments)
    sweep.main(arguments)  # nothing left to do
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert [r["implementation"] for r in rows] == ["selfgated", "torch"]
    assert {r["values"] for r in rows} == {"4"}
    assert json.loads(out.with_suffix(".json").read_text())["range"] == [1.0, 4.0]


def test_sweep_counts_wrong_infinities_and_nans(sweep, monkeypatch):
    special = np.float32([np.inf, -np.inf, np.nan, 1.0])
    monkeypatch.setattr(sweep, "block_values", lambda block: special)
    assert sweep.measure("silu", 0, "selfgated")["wrong_special"] == 0
    assert sweep.measure("silu", 0, "torch")["wrong_special"] == 1  # NaN at -inf
    assert np.isfinite(sweep.measure("silu", 0, "torch")["max_ulp"])
    special = np.float32([-np.inf, np.nan])
    assert sweep.measure("silu", 0, "torch")["max_ulp"] == 0


@pytest.mark.parametrize("bad", ["3", "-2", "nan", "2^0.5", "one"])
def test_sweep_rejects_a_range_that_is_not_of_binades(sweep, bad, capsys):
    with pytest.raises(SystemExit):
        sweep.main([f"--smallest={bad}"])
    assert f"{bad!r}" in capsys.readouterr().err


def test_kernel_names_of_the_sweep_exist(sweep):
    assert set(sweep.FUNCTIONS) <= set(kernels.__all__)
