"""Plain data as JSON and back: the only thing that crosses the wall of the sandbox.

Arrays travel as base64 of their raw bytes, with a dtype from a fixed list and a shape. Nothing is evaluated
or unpickled. Both sides use this file; the judge trusts no byte that arrives.
"""

import base64
import binascii
import json
import math
import sys

FRAME = 16 * 2**20  # bytes of one message
NODES = 500_000  # lists, dicts and entries of one message
DEPTH = 20
DIGITS = 1000  # of one integer
DTYPES = frozenset(
    ["|b1", "|i1", "|u1"] + [f"<{kind}{size}" for kind in "iu" for size in (2, 4, 8)] + ["<f2", "<f4", "<f8"]
) | {"<c8", "<c16"}
TENSORS = frozenset(
    ["bool", "int8", "uint8", "int16", "int32", "int64", "bfloat16", "float16", "float32", "float64"]
) | {"complex64", "complex128"}


class CodecError(ValueError):
    """Data that is not plain, too large or too deep; the message is the end of a sentence."""


def encode(value, depth=0):
    """Return `value` as what `json.dumps` takes.

    Parameters
    ----------
    value : object
        None, bool, int, float, complex, str; list, tuple, dict; numpy arrays and scalars; torch tensors.
        Subclasses arrive as their plain base.

    Raises
    ------
    CodecError
        For anything else.

    Examples
    --------
    >>> encode((1, float("nan")))
    {'tuple': [1, {'float': 'nan'}]}
    """
    if depth > DEPTH:
        raise CodecError(f"data nested deeper than {DEPTH} levels")
    if value is None or isinstance(value, bool):
        return value
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if numpy is not None and isinstance(value, numpy.ndarray | numpy.generic):
        return _encode_numpy(numpy, value)
    if torch is not None and isinstance(value, torch.Tensor):
        return _encode_tensor(torch, value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        value = int.__int__(value)
        if value.bit_length() > 3 * DIGITS:
            raise CodecError(f"an integer of {value.bit_length()} bits")
        return value
    if isinstance(value, float):
        return _encode_float(float.__float__(value))
    if isinstance(value, complex):
        return {"complex": [_encode_float(value.real), _encode_float(value.imag)]}
    if isinstance(value, list):
        return [encode(entry, depth + 1) for entry in value]
    if isinstance(value, tuple):
        return {"tuple": [encode(entry, depth + 1) for entry in value]}
    if isinstance(value, dict):
        return {"dict": [[encode(key, depth + 1), encode(entry, depth + 1)] for key, entry in value.items()]}
    raise CodecError(f"an object of type {type(value).__name__}, which is no plain data")


def _encode_float(value):
    return value if math.isfinite(value) else {"float": repr(value)}


def _encode_numpy(numpy, value):
    if isinstance(value, numpy.str_):
        return str(value)
    array = numpy.asarray(value)
    array = array.astype(array.dtype.newbyteorder("<"), copy=False)
    if array.dtype.str not in DTYPES:
        raise CodecError(f"an array of dtype {array.dtype}, which is no plain number")
    if array.nbytes > FRAME:
        raise CodecError(f"an array of {array.nbytes} bytes, where {FRAME // 2} are allowed")
    text = base64.b64encode(array.tobytes()).decode("ascii")
    if isinstance(value, numpy.generic):
        return {"scalar": [array.dtype.str, text]}
    return {"array": [array.dtype.str, list(array.shape), text]}


def _encode_tensor(torch, value):
    value = value.detach().resolve_conj().resolve_neg().cpu().contiguous()
    name = str(value.dtype).removeprefix("torch.")
    if name not in TENSORS or value.is_sparse:
        raise CodecError(f"a tensor of dtype {name}, which is no plain number")
    raw = value.view(torch.int16) if name == "bfloat16" else value
    return {"tensor": [name, *_encode_numpy(sys.modules["numpy"], raw.numpy())["array"][1:]]}


def pack(message):
    """Return `message`, made of what `encode` gives, as a frame: four bytes of length, then JSON.

    Raises
    ------
    CodecError
        If it is longer than a frame may be.
    """
    body = json.dumps(message, allow_nan=False).encode("ascii")
    if len(body) > FRAME:
        raise CodecError(f"a message of {len(body)} bytes, where {FRAME} are allowed")
    return len(body).to_bytes(4, "big") + body


def _no_constant(name):
    raise CodecError(f"the constant {name}")


def _integer(text):
    if len(text) > DIGITS:
        raise CodecError(f"an integer of {len(text)} digits")
    return int(text)


def _number(text):
    value = float(text)
    if not math.isfinite(value):
        raise CodecError(f"the number {text[:20]}, which no float can hold")
    return value


def _unique(pairs):
    keys = dict(pairs)
    if len(keys) != len(pairs):
        raise CodecError("a key twice in one object")
    return keys


def parse(body):
    """Return the JSON in `body`, bytes that nobody vouches for, with limits on length, depth and entries.

    Raises
    ------
    CodecError
        For anything but strict JSON in UTF-8: NaN, infinities, duplicate keys, huge numbers, byte order
        marks.
    """
    if len(body) > FRAME:
        raise CodecError(f"a message of {len(body)} bytes, where {FRAME} are allowed")
    if body.count(b",") + body.count(b"[") + body.count(b"{") > NODES:
        raise CodecError(f"more than {NODES} entries")
    try:
        return json.loads(
            body.decode("utf-8"),
            parse_constant=_no_constant,
            parse_int=_integer,
            parse_float=_number,
            object_pairs_hook=_unique,
        )
    except CodecError:
        raise
    except UnicodeDecodeError as error:
        raise CodecError(f"a byte that is not UTF-8 at position {error.start}") from None
    except RecursionError:
        raise CodecError("lists or objects nested too deep") from None
    except ValueError as error:
        raise CodecError(f"no JSON ({error})") from None


def decode(node, *, tensors=False, depth=0):
    """Return the data that `encode` gave.

    Parameters
    ----------
    node : object
        Parsed JSON, of any content.
    tensors : bool
        Whether torch tensors are allowed; otherwise they raise.

    Raises
    ------
    CodecError
        If `node` is not what `encode` gives.

    Examples
    --------
    >>> decode({"tuple": [1, {"float": "-inf"}]})
    (1, -inf)
    """
    if depth > DEPTH:
        raise CodecError(f"data nested deeper than {DEPTH} levels")
    if isinstance(node, str):
        return node.encode("utf-8", "replace").decode("utf-8")  # half surrogate pairs become question marks
    if not isinstance(node, list | dict):
        return node
    if isinstance(node, list):
        return [decode(entry, tensors=tensors, depth=depth + 1) for entry in node]
    if len(node) != 1:
        raise CodecError("an object with other than one key")
    [(kind, content)] = node.items()
    if kind == "float" and content in ("nan", "inf", "-inf"):
        return float(content)
    if kind == "complex" and isinstance(content, list) and len(content) == 2:
        parts = [decode(entry) for entry in content]
        if all(type(part) in (int, float) for part in parts):
            return complex(*parts)
    if kind == "tuple" and isinstance(content, list):
        return tuple(decode(content, tensors=tensors, depth=depth + 1))
    if kind == "dict" and isinstance(content, list):
        return _decode_dict(content, tensors, depth)
    if kind == "scalar" and isinstance(content, list) and len(content) == 2:
        return _decode_array(content[0], [], content[1])[()]
    if kind == "array" and isinstance(content, list) and len(content) == 3:
        return _decode_array(*content)
    if kind == "tensor" and tensors and isinstance(content, list) and len(content) == 3:
        return _decode_tensor(*content)
    raise CodecError(f"no data of the kind {str(kind)[:20]!r}")


def _decode_dict(content, tensors, depth):
    if not all(isinstance(pair, list) and len(pair) == 2 for pair in content):
        raise CodecError("a dict that is no list of pairs")
    try:
        entries = {
            decode(key, tensors=tensors, depth=depth + 1): decode(entry, tensors=tensors, depth=depth + 1)
            for key, entry in content
        }
    except TypeError:
        raise CodecError("a dict with a key that cannot be one") from None
    if len(entries) != len(content):
        raise CodecError("a dict with a key twice")
    return entries


def _decode_array(dtype, shape, text):
    import numpy as np

    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise CodecError(f"an array of dtype {str(dtype)[:20]!r}")
    if not isinstance(shape, list) or len(shape) > 32:
        raise CodecError("an array whose shape is no list of at most 32 numbers")
    if not all(type(size) is int and 0 <= size < 2**31 for size in shape) or not isinstance(text, str):
        raise CodecError("an array whose shape holds no sizes")
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise CodecError("an array that is no base64") from None
    kind = np.dtype(dtype)
    if math.prod(shape) * kind.itemsize != len(raw):
        raise CodecError(f"an array of shape {tuple(shape)} with {len(raw)} bytes")
    try:
        if kind == np.bool_:
            return (np.frombuffer(raw, np.uint8) != 0).reshape(shape)
        return np.frombuffer(raw, kind).reshape(shape).copy()
    except ValueError:
        raise CodecError(f"an array of shape {tuple(shape)}") from None


def _decode_tensor(name, shape, text):
    import torch

    if not isinstance(name, str) or name not in TENSORS:
        raise CodecError(f"a tensor of dtype {str(name)[:20]!r}")
    kind = getattr(torch, "int16" if name == "bfloat16" else name)
    array = _decode_array(torch.empty(0, dtype=kind).numpy().dtype.str, shape, text)
    tensor = torch.from_numpy(array)
    return tensor.view(torch.bfloat16) if name == "bfloat16" else tensor
