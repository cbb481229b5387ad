"""From a formula in float64 to a function of arrays of any floating type.

A *formula* is a function ``formula(ops, z, *params)`` of float64 values, accurate to a few ULP, without
branches: ``ops`` holds the elementary functions, so that NumPy (here) and torch (`selfgated.autograd`) run
the same lines. Narrower types are computed in float64 and rounded once, which is why they are correctly
rounded.
"""

import math
from numbers import Real
from types import SimpleNamespace

import numpy as np
from scipy import special

OPS = SimpleNamespace(
    abs=np.abs,
    clip=np.clip,
    copysign=np.copysign,
    erfc=special.erfc,
    erfcx=special.erfcx,
    exp=np.exp,
    expm1=np.expm1,
    log1p=np.log1p,
    narrow=False,  # whether the result will be rounded to fewer bits than float64 has
    tanh=np.tanh,
    where=np.where,
)
NARROW_OPS = SimpleNamespace(**vars(OPS) | {"narrow": True})
FLOATS = ("float16", "bfloat16", "float32", "float64")
BLOCK = 8192  # float64 elements: a block and its temporaries stay in the L2 cache


def evaluate(formula, z, out, *params):
    """Apply a float64 formula to an array, in blocks.

    Parameters
    ----------
    formula : callable
        ``formula(ops, z, *params)``, elementwise on float64 arrays of shape ``(n,)``.
    z : array_like, any shape
        float16, bfloat16 (from ml_dtypes), float32 or float64; integers and booleans count as float64.
    out : ndarray or None
        Where to write: the shape of `z` and the dtype of the result. It may be `z` itself.
    *params : float
        Passed on to the formula.

    Returns
    -------
    ndarray or scalar
        The dtype of `z` (float64 for integers), rounded once from the float64 value; `out` if that was given.

    Raises
    ------
    TypeError
        If `z` is complex, an object array or another type that is not real, or `out` has the wrong dtype.
    ValueError
        If `out` has the wrong shape or cannot be written.
    """
    z = np.asarray(z)
    dtype = np.dtype(np.float64) if z.dtype.kind in "iub" else z.dtype
    if dtype.name not in FLOATS:
        raise TypeError(
            f"no kernel for dtype {z.dtype.name!r}; choose from {list(FLOATS)} or an integer type"
        )
    result = np.empty_like(z, dtype) if out is None else _checked(out, z.shape, dtype)
    ops = OPS if dtype.name == "float64" else NARROW_OPS
    target = np.empty_like(z, np.float64) if dtype.name == "bfloat16" else result
    with (
        np.errstate(all="ignore"),
        np.nditer(
            [z, target],
            flags=["external_loop", "buffered", "zerosize_ok", "copy_if_overlap"],
            op_flags=[["readonly"], ["writeonly"]],
            op_dtypes=[np.float64, np.float64],
            casting="unsafe",
            buffersize=BLOCK,
        ) as blocks,
    ):
        for z_block, target_block in blocks:
            target_block[...] = formula(ops, z_block, *params)
    if target is not result:
        with np.errstate(all="ignore"):
            result[...] = _round_to_odd(target).astype(dtype)
    return result if out is not None else result[()]


def _checked(out, shape, dtype):
    """Return `out` if a result of this shape and dtype can be written to it."""
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be an ndarray, not {type(out).__name__}")
    if out.dtype != dtype:
        raise TypeError(f"out has dtype {out.dtype.name}, the result has {dtype.name}")
    if out.shape != shape:
        raise ValueError(f"out has shape {out.shape}, the result has {shape}")
    if not out.flags.writeable:
        raise ValueError("out is read-only")
    return out


def _round_to_odd(wide):
    """float64 to float32 so that a further rounding to bfloat16 equals a single one.

    Casts from float64 to bfloat16 pass through float32 and would round twice. If the float32 is inexact, its
    last bit is made 1: it can then be neither a bfloat16 nor half-way between two.
    """
    narrow = wide.astype(np.float32)
    inexact_even = (narrow != wide) & (narrow.view(np.uint32) & 1 == 0) & np.isfinite(narrow)
    away = np.copysign(np.float32(np.inf), wide).astype(np.float32)
    toward = np.where(np.abs(narrow) < np.abs(wide), away, np.float32(0))
    return np.where(inexact_even, np.nextafter(narrow, toward), narrow)


def finite(name, value):
    """Return `value` as a float, or raise an error that names the parameter and its value.

    Raises
    ------
    TypeError
        If `value` is not a real number.
    ValueError
        If it is NaN or infinite.
    """
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if not isinstance(value, (Real, np.floating)) or isinstance(value, bool):
        raise TypeError(f"{name} must be a real number, not {value!r}")
    try:
        value = float(value)
    except OverflowError:
        raise ValueError(
            f"{name} must fit into a float64; the integer part of this one has more digits"
        ) from None
    if not math.isfinite(value):
        raise ValueError(f"{name} must be finite, not {value!r}")
    return value
