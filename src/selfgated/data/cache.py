"""The cache: one process writes at a time, whole files appear at once, damaged ones are rebuilt."""

import json
import math
import os
import shutil
import tempfile
import warnings
import zlib
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from selfgated.data.dataset import DataError

try:
    import fcntl
except ImportError:  # Windows has no flock; there, files still appear at once, and leftovers stay
    fcntl = None

__all__ = ["cache_folder", "decoded", "exclusive"]

ARRAYS = ("x_train", "y_train", "x_test", "y_test")
PARTIAL = "partial-"
CHECKSUM = 9  # bytes: eight hexadecimal digits and the end of the line


def cache_folder(cache=None):
    """Return the folder in which downloads and decoded images are kept.

    Parameters
    ----------
    cache : str or Path, optional
        The folder. By default the environment variable ``SELFGATED_CACHE``, else ``~/.cache/selfgated``.

    Returns
    -------
    Path
        It need not exist: nothing is created here.

    Raises
    ------
    RuntimeError
        If there is a ``~`` and no home folder.
    """
    folder = cache or os.environ.get("SELFGATED_CACHE")
    return Path(folder).expanduser().absolute() if folder else Path.home() / ".cache" / "selfgated"


def _lock(folder):
    """Return a descriptor that holds `folder` until it is closed, or None where locks do not work."""
    if fcntl is None:
        return None
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError:  # a network file system without locks
        os.close(handle)
        return None
    except BaseException:
        os.close(handle)
        raise
    return handle


@contextmanager
def exclusive(folder):
    """Hold the cache `folder` for this process alone, with a scratch folder for unfinished files.

    Parameters
    ----------
    folder : Path
        Created if it is not there. Another process that asks for it waits.

    Yields
    ------
    Path
        An empty folder inside `folder`, on the same file system, so that `os.replace` out of it is atomic.
        It is removed at the end. What a killed process left behind is removed at the start: the lock of a
        dead process is free, so whatever lies there belongs to nobody.

    Raises
    ------
    DataError
        If nothing can be written there.
    """
    handle = scratch = None
    try:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            handle = _lock(folder)
            if handle is not None:
                for leftover in folder.glob(f"{PARTIAL}*"):
                    shutil.rmtree(leftover, ignore_errors=True)
            scratch = Path(tempfile.mkdtemp(prefix=PARTIAL, dir=folder))
        except OSError as error:
            raise DataError(
                f"the cache folder {folder} cannot be written to ({error}); "
                "choose another with cache=, --cache or SELFGATED_CACHE"
            ) from error
        yield scratch
    finally:
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)
        if handle is not None:
            os.close(handle)


def _read(path, key):
    """Return {array name: array, "classes": tuple}, or None if there is no file with this key, undamaged."""
    if not path.is_file():
        return None
    try:
        # Copy on write: processes that load the same file share its memory.
        content = np.asarray(np.memmap(path, np.uint8, mode="c"))
        checksum, start = bytes(content[:CHECKSUM]), CHECKSUM
        if checksum != _checksum(content[start:]):
            raise ValueError("its checksum is wrong")
        end = start + int(np.argmax(content[start:] == ord("\n"))) + 1
        header = json.loads(bytes(content[start:end]))
        if header["key"] != key:
            return None
        found = {"classes": tuple(header["classes"])}
        for name, (kind, shape) in header["arrays"].items():
            start, end = end, end + np.dtype(kind).itemsize * math.prod(shape)
            values = content[start:end]
            # labels are few, and a view of them would not be aligned
            found[name] = (values if kind == "|u1" else values.copy().view(kind)).reshape(shape)
    except (OSError, ValueError, KeyError, TypeError) as error:
        warnings.warn(f"{path} is damaged ({error}) and is built again", stacklevel=4)
        return None
    return found


def _checksum(*parts):
    value = 0
    for part in parts:
        value = zlib.crc32(part, value)
    return b"%08x\n" % value


def _write(path, key, found, scratch):
    """Store what `_read` returns, all or nothing: CRC-32 of the rest, a line of JSON, the arrays.

    Not .npz: its headers are evaluated as Python, before the checksum that follows them can tell of damage.
    """
    arrays = {name: np.ascontiguousarray(found[name]) for name in ARRAYS}
    kinds = {name: (array.dtype.str, array.shape) for name, array in arrays.items()}
    header = json.dumps({"key": key, "classes": found["classes"], "arrays": kinds}).encode() + b"\n"
    parts = (header, *(array.reshape(-1).view(np.uint8) for array in arrays.values()))
    unfinished = scratch / path.name
    try:
        with unfinished.open("wb") as file:
            for part in (_checksum(*parts), *parts):
                file.write(part)
        path.parent.mkdir(exist_ok=True)
        os.replace(unfinished, path)
    except OSError as error:
        warnings.warn(
            f"{path} cannot be written ({error}): the images are decoded again next time", stacklevel=4
        )
        return None
    return path


def decoded(folder, name, key, build, *, required=True):
    """Return decoded images from the cache, or build and keep them.

    Parameters
    ----------
    folder : Path
        Cache folder.
    name : str
        Folder of this data set in it; the images are in ``decoded.bin`` there.
    key : str
        What the images depend on. A stored file with another key is replaced.
    build : callable
        ``build(scratch)`` returns a dict of `x_train`, `y_train`, `x_test`, `y_test`, `classes`. `scratch` is
        a folder for unfinished files, or None where nothing can be written.
    required : bool
        Whether the cache must be writable. If not, a warning tells that nothing is kept.

    Returns
    -------
    tuple
        (the dict, path of the stored file or None).

    Raises
    ------
    DataError
        If the cache cannot be written to and is required; whatever `build` raises.
    """
    path = folder / name / "decoded.bin"
    found = _read(path, key)
    if found is not None:
        return found, path
    with ExitStack() as stack:
        try:
            scratch = stack.enter_context(exclusive(folder))
        except DataError as error:
            if required:
                raise
            warnings.warn(f"{error}: the images are decoded again next time", stacklevel=3)
            return build(None), None
        found = _read(path, key)  # another process may have built it while this one waited
        if found is not None:
            return found, path
        found = build(scratch)
        return found, _write(path, key, found, scratch)
