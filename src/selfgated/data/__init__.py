"""Images to train on: digits, CIFAR-10, Fashion-MNIST, and any folder of images.

`load` gives arrays of integers, without torch. What is downloaded is checked and kept in a cache; so is what
was decoded, because every worker process of a sweep needs it.
"""

import hashlib
import re
from pathlib import Path

import numpy as np

from selfgated.data.archives import CIFAR10, FASHION_MNIST, Source, fetch, read_cifar10, read_fashion_mnist
from selfgated.data.cache import cache_folder, decoded
from selfgated.data.dataset import DataError, Dataset, stratified
from selfgated.data.folder import listing, read_folder

__all__ = ["NAMES", "DataError", "Dataset", "Source", "cache_folder", "load", "stratified"]

NAMES = ("digits", "cifar10", "fashion_mnist", "folder:PATH")
ARCHIVES = {"cifar10": (CIFAR10, read_cifar10), "fashion_mnist": (FASHION_MNIST, read_fashion_mnist)}
DIGITS_TEST = 360


def _digits(split_seed):
    """Return scikit-learn's digits: 1797 grey images of 8 x 8 pixels, values 0 to 16."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    x, y = bunch.images.astype(np.uint8)[:, None], bunch.target.astype(np.int64)
    test = stratified(y, DIGITS_TEST, seed=split_seed)
    train = np.setdiff1d(np.arange(len(y)), test)
    return {
        "classes": tuple(map(str, bunch.target_names)),
        "x_train": x[train],
        "y_train": y[train],
        "x_test": x[test],
        "y_test": y[test],
    }


def _archive(name, source, cache, base_url, progress):
    official, read = ARCHIVES[name]
    source = source or official
    folder = cache_folder(cache)

    def build(scratch):
        paths = [
            fetch(source, file, folder=folder / name, scratch=scratch, base_url=base_url, progress=progress)
            for file in source.files
        ]
        try:
            return read(paths, source) | {"classes": source.classes}
        except DataError:
            for path in paths:
                path.unlink()
            raise

    key = " ".join((*source.files.values(), str(source.n_train), str(source.n_test)))
    found, path = decoded(folder, name, key, build)
    return {"label": source.label, "path": path, **found}


def _folder(name, cache, progress):
    folder = Path(name.partition(":")[2]).expanduser().absolute()
    _, _, key = listing(folder)
    place = re.sub(r"[^\w.-]", "_", folder.name) + "-" + hashlib.sha256(str(folder).encode()).hexdigest()[:12]
    found, path = decoded(
        cache_folder(cache), place, key, lambda _: read_folder(folder, progress=progress), required=False
    )
    return {"label": folder.name, "path": path, **found}


def load(name, *, label=None, cache=None, progress=True, base_url=None, source=None, split_seed=0):
    """Load images and labels.

    Parameters
    ----------
    name : str
        ``"digits"`` (embedded in scikit-learn: 1437 + 360 grey images, 8 x 8, values 0 to 16), ``"cifar10"``
        (50,000 + 10,000 in colour, 32 x 32), ``"fashion_mnist"`` (60,000 + 10,000 grey, 28 x 28), both
        downloaded once; or ``"folder:PATH"``, your own images, ``PATH/train/CLASS/*.png`` (or ``.jpg``) and
        ``PATH/test/CLASS/*.png``, decoded once.
    label : str, optional
        What tables print. By default the usual name, or that of the folder.
    cache : str or Path, optional
        Cache folder; see `cache_folder`.
    progress : bool
        Whether downloads and decoding show a bar on stderr.
    base_url : str, optional
        Folder to download from instead of the official one. Also set by the environment variables
        ``SELFGATED_CIFAR10_URL`` and ``SELFGATED_FASHION_MNIST_URL``. The checksums stay the official ones.
    source : Source, optional
        Other files in the same format: names, checksums and counts.
    split_seed : int
        Which 360 digits are the test part: stratified, the same on every machine.

    Returns
    -------
    Dataset

    Raises
    ------
    DataError
        It names the file and says what to do. Nothing unfinished stays behind, and no damaged file is used.
    ImportError
        If scikit-learn (digits), pooch (downloads), Pillow (folders) or tqdm is not installed.

    Notes
    -----
    In a folder, grey files give one channel if all are grey; one file in colour makes all of them red,
    green, blue. Palettes and CMYK become red, green, blue; transparent pixels are laid on white; 16-bit grey
    is scaled to 8 bits; the orientation noted by a camera is applied. Images keep their size, and all must
    have the same. They come ordered by class.

    A stored copy is used as long as no name, size or time of change of a file in the folder differs.

    References
    ----------
    Krizhevsky, Learning Multiple Layers of Features from Tiny Images (2009). Xiao, Rasul, Vollgraf,
    Fashion-MNIST (2017), arXiv:1708.07747. Alpaydin, Kaynak, Optical Recognition of Handwritten Digits
    (1998).

    Examples
    --------
    >>> digits = load("digits")
    >>> digits.label, len(digits.classes), len(digits.y_train), int(digits.x_train.max())
    ('digits', 10, 1437, 16)
    """
    if name not in ARCHIVES and (base_url is not None or source is not None):
        raise DataError(f"{name!r} is not downloaded: base_url and source are for {sorted(ARCHIVES)}")
    if name == "digits":
        found = {"label": "digits", **_digits(split_seed)}
    elif name in ARCHIVES:
        found = _archive(name, source, cache, base_url, progress)
    elif isinstance(name, str) and name.startswith("folder:") and name != "folder:":
        found = _folder(name, cache, progress)
    else:
        raise DataError(f"unknown data set {name!r}; choose from {list(NAMES)}")
    return Dataset(name=name, **found | ({} if label is None else {"label": label}))
