"""Anyone's own images: ``PATH/train/CLASS/*.png`` and ``PATH/test/CLASS/*.png``, or ``.jpg``."""

import hashlib
import json
import os
from pathlib import Path

import numpy as np

from selfgated.data.dataset import DataError

__all__ = ["listing", "read_folder"]

SUFFIXES = (".png", ".jpg", ".jpeg")
PARTS = ("train", "test")
GREY = ("1", "L", "I", "I;16", "I;16B", "I;16L")
CLEAR = ("LA", "PA", "La", "RGBA", "RGBa")


def _entries(folder):
    """Return the visible entries of a folder by name: dot files are the system's."""
    try:
        with os.scandir(folder) as entries:
            return sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: e.name)
    except OSError as error:
        raise DataError(
            f"{folder} cannot be read ({error.strerror}); "
            "expected PATH/train/CLASS/*.png (or .jpg) and PATH/test/CLASS/*.png"
        ) from error


def listing(folder):
    """List the images of a folder, without opening any.

    Parameters
    ----------
    folder : Path
        Folder with ``train`` and ``test``, a folder for each class in both.

    Returns
    -------
    tuple
        (classes in order of their names, {part: list of (path, label)} sorted by class and name, key). The
        key, a string, changes when a name, a size or a time of change does.

    Raises
    ------
    DataError
        A folder is missing, a class has no image, there are fewer than two classes, or not the same in both.
    """
    classes, files, stamps = {}, {}, []
    for part in PARTS:
        entries = _entries(folder / part)
        found = classes[part] = [entry.name for entry in entries if entry.is_dir()]
        if len(found) < 2:
            count = "1 class folder" if found else "no class folders"
            raise DataError(
                f"{folder / part} has {count}; a classifier needs at least 2: "
                "put each image into a folder of its class"
            )
        files[part] = []
        for label, name in enumerate(found):
            images = [e for e in _entries(folder / part / name) if e.name.lower().endswith(SUFFIXES)]
            if not images:
                raise DataError(
                    f"{folder / part / name} has no image; add some ({', '.join(SUFFIXES)}) "
                    "or remove the folder"
                )
            for image in images:
                try:
                    status = image.stat()
                except OSError as error:
                    raise DataError(f"{image.path} cannot be read ({error.strerror}); remove it") from error
                files[part].append((Path(image.path), label))
                stamps.append((part, name, image.name, status.st_size, status.st_mtime_ns))
    for part, other in (PARTS, PARTS[::-1]):
        lacking = [name for name in classes[part] if name not in classes[other]]
        if lacking:
            raise DataError(
                f"class {lacking[0]!r} is in {folder / part}, but not in {folder / other}; both need the same"
            )
    key = hashlib.sha256(json.dumps([str(folder), stamps]).encode("utf-8", "surrogateescape")).hexdigest()
    return tuple(classes["train"]), files, key


def _decode(path):
    """Return one image as uint8 (C, H, W): C = 1 where the file is grey, else 3."""
    from PIL import Image, ImageOps

    with Image.open(path) as image:
        image.load()
        if "exif" in image.info:
            image = ImageOps.exif_transpose(image)  # a photograph as its viewer turns it
        if image.mode in CLEAR or "transparency" in image.info:
            grey = image.mode in GREY or image.mode in ("LA", "La")
            clear = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear)
            image = image.convert("L" if grey else "RGB")
        if image.mode.startswith("I"):  # 16 bits: 65535 becomes 255
            deep = np.asarray(image).astype(np.float64)
            return np.clip(np.rint(deep / 257), 0, 255).astype(np.uint8)[None]
        pixels = np.asarray(image.convert("L" if image.mode in GREY else "RGB"))
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _pixels(path):
    try:
        return _decode(path)
    except Exception as error:  # a damaged file raises almost anything in Pillow
        raise DataError(f"{path} cannot be read as an image ({error}); replace or remove it") from error


def _read_part(files, first, shape, bar):
    """Return uint8 (N, C, H, W) of these files; all must have the `shape` (H, W) of the file `first`."""
    try:
        x = np.empty((len(files), 1, *shape), np.uint8)
    except MemoryError as error:
        raise DataError(
            f"{len(files)} images of {shape[1]} x {shape[0]} pixels do not fit into memory; make them smaller"
        ) from error
    for index, (path, _) in enumerate(files):
        pixels = _pixels(path)
        if pixels.shape[1:] != shape:
            raise DataError(
                f"{path} has {pixels.shape[2]} x {pixels.shape[1]} pixels, "
                f"{first} has {shape[1]} x {shape[0]}; bring all images to one size"
            )
        if len(pixels) > x.shape[1]:  # the first image in colour among grey ones
            x = np.repeat(x, 3, axis=1)
        x[index] = pixels  # a grey image fills all three channels
        bar.update()
    return x


def read_folder(folder, *, progress=True):
    """Decode all images of a folder.

    Grey files give one channel if all files are grey; one file in colour makes all of them red, green, blue.
    Palettes and CMYK become red, green, blue; transparent pixels are laid on white; 16-bit grey is scaled to
    8 bits; the orientation that a camera noted is applied. Sizes are not changed: all must be the same.

    Parameters
    ----------
    folder : Path
        See `listing`.
    progress : bool
        Whether to show a progress bar on stderr.

    Returns
    -------
    dict
        `classes`, `x_train` uint8 (N, C, H, W), `y_train` int64 (N,), `x_test`, `y_test`, ordered by class.

    Raises
    ------
    DataError
        As `listing`; an image that cannot be read, sizes that differ, files that change meanwhile.
    """
    from tqdm import tqdm

    classes, files, key = listing(folder)
    first = files["train"][0][0]
    found = {"classes": classes}
    with tqdm(total=sum(map(len, files.values())), desc="decode", unit="image", disable=not progress) as bar:
        shape = _pixels(first).shape[1:]
        for part in PARTS:
            found[f"x_{part}"] = _read_part(files[part], first, shape, bar)
            found[f"y_{part}"] = np.array([label for _, label in files[part]], np.int64)
    channels = max(found[f"x_{part}"].shape[1] for part in PARTS)
    for part in PARTS:
        if found[f"x_{part}"].shape[1] < channels:
            found[f"x_{part}"] = np.repeat(found[f"x_{part}"], channels, axis=1)
    if listing(folder)[2] != key:
        raise DataError(f"files in {folder} changed while they were read; load it again")
    return found
