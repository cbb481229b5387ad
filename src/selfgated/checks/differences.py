"""What distinguishes an array from the right one, said in words."""

from numbers import Number

import numpy as np


def short(value):
    """`value` as short text: numbers with six significant digits, no NumPy types, long arrays by shape."""
    if value is None or isinstance(value, (bool, np.bool_)):
        return str(value)
    if isinstance(value, (complex, np.complexfloating)):
        return f"{complex(value):.6g}"
    if isinstance(value, (Number, np.number)):
        return f"{value:.6g}" if not isinstance(value, (int, np.integer)) else _integer(int(value))
    if isinstance(value, np.ndarray) or hasattr(value, "detach"):
        if isinstance(value, np.ndarray) and value.dtype.kind not in "biufc":
            return f"an array of dtype {value.dtype}"
        array = as_array(value)
        if array.ndim == 0:
            return short(array.item())
        if array.size <= 6 and array.ndim == 1:
            return "[" + ", ".join(short(entry) for entry in array.tolist()) + "]"
        return f"an array of shape {array.shape}"
    if isinstance(value, (list, tuple)) and len(value) <= 6:
        return "[" + ", ".join(short(entry) for entry in value) + "]"
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else value[:60] + "...")
    return f"a value of type {type(value).__name__}"


def _integer(value):
    return str(value) if abs(value) < 10**12 else f"{value:.6g}" if abs(value) < 10**300 else "a huge integer"


def as_array(value):
    """`value` as an array; tensors are detached. Raises TypeError for what holds no numbers."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    try:
        # In an array of texts each takes the room of the longest: a small list could fill the memory.
        array = np.asarray(None if _holds_text(value) else value)
    except ValueError:  # a ragged list
        array = np.asarray(None)
    if array.dtype.kind not in "biufc":
        raise TypeError(f"{type(value).__name__} is not numeric")
    return array


def _holds_text(value):
    if isinstance(value, (list, tuple)):
        return any(map(_holds_text, value))
    return isinstance(value, (str, bytes))


def difference(got, right, *, rtol, atol=0.0, shape=True, dtype=None):
    """What distinguishes the value `got` from `right`: a sentence without subject, and the place.

    Parameters
    ----------
    got : object
        What an answer returned.
    right : array_like
        The right values.
    rtol, atol : float
        Largest errors, relative to the right value and absolute; the allowed error is their sum.
    shape : bool
        Whether the shape must be that of `right`; otherwise it must be broadcast to it.
    dtype : dtype, optional
        The dtype that `got` must have.

    Returns
    -------
    tuple of (str or None, tuple or None)
        None where they agree; the index of the worst entry where values differ.
    """
    right = as_array(right)
    if got is None:
        return "returned nothing: is a `return` missing?", None
    try:
        array = as_array(got)
    except TypeError:
        return f"returned {short(got)}, where numbers are expected", None
    if array.dtype.kind == "b" and right.dtype.kind != "b":
        return "returned True or False, where numbers are expected", None
    if array.dtype.kind == "c" and right.dtype.kind != "c":
        return "returned complex numbers, where real ones are expected", None
    if shape and array.shape != right.shape:
        return f"returned {_shape(array.shape)}, where {_shape(right.shape)} is expected", None
    if dtype is not None and array.dtype != np.dtype(dtype):
        return f"returned the dtype {array.dtype}, where {np.dtype(dtype)} is expected", None
    try:
        array = np.broadcast_to(array, right.shape)
    except ValueError:
        return f"returned {_shape(array.shape)}, where {_shape(right.shape)} is expected", None
    return _values(array, right, rtol, atol)


def _shape(shape):
    return f"an array of shape {shape}" if shape else "a single number"


def _values(array, right, rtol, atol):
    if right.dtype.kind == "b":
        wrong = (array != right).astype(float)
        error = wrong
    else:
        wide = complex if right.dtype.kind == "c" else float
        array, right = array.astype(wide), right.astype(wide)
        same = (array == right) | (np.isnan(array) & np.isnan(right))
        with np.errstate(all="ignore"):
            error = np.where(same, 0.0, abs(array - right))
            allowed = np.where(np.isfinite(right), atol + rtol * abs(right), 0.0)
            wrong = ~(error <= allowed)
            error = np.where(np.isfinite(error), error / np.maximum(allowed, np.finfo(float).tiny), np.inf)
    if not wrong.any():
        return None, None
    place = np.unravel_index(int(np.argmax(np.where(wrong, error, -1.0))), error.shape)
    got, expected = array[place].item(), right[place].item()
    words = f"is {short(got)}, the right value is {short(expected)}"
    if short(got) == short(expected):
        words += f", and they differ by {abs(got - expected):.2g}"
    return words, tuple(int(i) for i in place)


def located(names, inputs, place, shape):
    """The inputs at one place as text, `z = 1.5, beta = 2`; arrays are broadcast to `shape`."""
    words = []
    for name, value in zip(names, inputs, strict=False):
        entry = value
        if isinstance(value, np.ndarray) or hasattr(value, "detach"):
            try:
                entry = np.broadcast_to(as_array(value), shape)[place]
            except (TypeError, ValueError):
                entry = value
        words.append(f"{name} = {short(entry)}")
    return ", ".join(words)
