"""CIFAR-10 and Fashion-MNIST from their official archives: fetched, checked, read by member name."""

import gzip
import hashlib
import os
import struct
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from selfgated.data.dataset import DataError

__all__ = ["CIFAR10", "FASHION_MNIST", "Source", "fetch", "read_cifar10", "read_fashion_mnist"]

TIMEOUT = 30  # seconds without an answer, or without a further byte
CIFAR_FOLDER = "cifar-10-batches-bin"
CIFAR_IMAGE = (3, 32, 32)
FASHION_IMAGE = (1, 28, 28)
SLACK = 2**20  # bytes in a CIFAR-10 archive that belong to no image: tar headers, a readme, class names
DAMAGE = (EOFError, OSError, zlib.error, tarfile.TarError)


@dataclass(frozen=True)
class Source:
    """Where a data set is downloaded, and what must arrive.

    Parameters
    ----------
    name, label : str
        Name for `load`, and name for people.
    url : str
        Folder of the files.
    files : mapping of str to str
        File name to SHA-256 (hexadecimal digits).
    n_train, n_test : int
        Number of images.
    classes : tuple of str
        Names of the labels 0, 1, ...
    """

    name: str
    label: str
    url: str
    files: Mapping
    n_train: int
    n_test: int
    classes: tuple

    @property
    def variable(self):
        """Environment variable that names another folder to download from, such as a mirror."""
        return f"SELFGATED_{self.name.upper()}_URL"


# The MD5 sums on the official pages belong to the same files: c32a1d4ab5d03f1284b67883e8d87530 for CIFAR-10,
# 8d4fb7e6c68d591d4c3dfef9ec88bf0d, 25c81989df183df01b3e8a0aad5dffbe, bef4ecab320f06d8554ea6380940ec79 and
# bb300cfdad3c16e7a12a480ee83cd310 for Fashion-MNIST, in the order below. MD5 no longer proves anything.
CIFAR10 = Source(
    name="cifar10",
    label="CIFAR-10",
    url="https://www.cs.toronto.edu/~kriz/",
    files={"cifar-10-binary.tar.gz": "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"},
    n_train=50_000,
    n_test=10_000,
    classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
)
FASHION_MNIST = Source(
    name="fashion_mnist",
    label="Fashion-MNIST",
    url="https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    files={
        "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    },
    n_train=60_000,
    n_test=10_000,
    classes=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
)


def _sha256(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(source, file, *, folder, scratch, base_url=None, progress=True):
    """Return the path of one archive file in the cache, downloaded if it is not there or not right.

    Parameters
    ----------
    source : Source
        What to fetch.
    file : str
        Name of the file, a key of ``source.files``.
    folder : Path
        Where it is kept.
    scratch : Path
        Where it lies until it is complete and its checksum is right.
    base_url : str, optional
        Folder to download from; by default the environment variable ``source.variable``, else ``source.url``.
    progress : bool
        Whether to show a progress bar on stderr.

    Returns
    -------
    Path

    Raises
    ------
    DataError
        No network, no such file, wrong checksum, no room.
    """
    path, expected = folder / file, source.files[file]
    if path.is_file() and _sha256(path) == expected:
        return path
    import pooch
    from requests.exceptions import RequestException
    from tqdm import tqdm

    url = (base_url or os.environ.get(source.variable) or source.url).rstrip("/") + "/" + file
    remedy = f"set {source.variable} to a mirror, or put the file at {path} yourself (SHA-256 {expected})"
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel("WARNING")  # the bar says what pooch would announce
    bar = tqdm(total=1, desc=file, unit="B", unit_scale=True, disable=not progress)  # pooch sets the total
    # identity: a server that also compresses would change the bytes that the checksum is of
    download = pooch.HTTPDownloader(
        progressbar=bar, timeout=TIMEOUT, headers={"Accept-Encoding": "identity"}, chunk_size=2**16
    )
    try:
        pooch.retrieve(url, f"sha256:{expected}", fname=file, path=scratch, downloader=download)
        folder.mkdir(exist_ok=True)
        os.replace(scratch / file, path)
    except RequestException as error:  # it is an OSError too, and sometimes a ValueError
        raise DataError(f"{url} could not be downloaded ({error}); check the network, {remedy}") from error
    except ValueError as error:
        raise DataError(
            f"{url} is not the official {file}: its SHA-256 is wrong, nothing was kept; try again, {remedy}"
        ) from error
    except OSError as error:
        raise DataError(
            f"{path} could not be written ({error}); make room or choose another cache"
        ) from error
    finally:
        bar.close()
        logger.setLevel(level)
    return path


class _Bounded:
    """A stream that ends in an error after `limit` bytes: a small file can unpack to terabytes."""

    def __init__(self, stream, limit):
        self.stream, self.left = stream, limit

    def read(self, size):
        data = self.stream.read(size)
        self.left -= len(data)
        if self.left < 0:
            raise tarfile.ReadError("it unpacks to more than CIFAR-10 can hold")
        return data


def _check_labels(y, source, where):
    last = len(source.classes) - 1
    wrong = np.flatnonzero(y > last)
    if len(wrong):
        raise DataError(f"{where}: image {wrong[0]} has label {y[wrong[0]]}; labels go from 0 to {last}")


def read_cifar10(paths, source=CIFAR10):
    """Read the binary version of CIFAR-10 from its archive.

    A record is one byte of label and 3 x 32 x 32 bytes of image: red, green, blue, each row by row. Five
    members hold the training records, one the test records. Members are looked up by name, must be plain
    files of exactly the right length, and are read in memory: nothing is ever extracted.

    Parameters
    ----------
    paths : sequence with one Path
        The archive.
    source : Source
        Number of records and classes that must be there.

    Returns
    -------
    dict
        `x_train` uint8 (n_train, 3, 32, 32), `y_train` int64 (n_train,), `x_test`, `y_test`.

    Raises
    ------
    DataError
        Truncated archive, missing member, wrong length, label out of range.
    """
    (path,) = paths
    n_batch, record = source.n_train // 5, 1 + int(np.prod(CIFAR_IMAGE))
    wanted = {f"{CIFAR_FOLDER}/data_batch_{i + 1}.bin": ("train", i * n_batch, n_batch) for i in range(5)}
    wanted[f"{CIFAR_FOLDER}/test_batch.bin"] = ("test", 0, source.n_test)
    found = {}
    for part, n in (("train", source.n_train), ("test", source.n_test)):
        found |= {f"x_{part}": np.empty((n, *CIFAR_IMAGE), np.uint8), f"y_{part}": np.empty(n, np.int64)}
    limit = (source.n_train + source.n_test) * record + SLACK
    try:
        with gzip.open(path) as raw, tarfile.open(fileobj=_Bounded(raw, limit), mode="r|") as archive:
            for member in archive:
                if member.name not in wanted:
                    continue
                part, start, n = wanted.pop(member.name)
                if not member.isreg() or member.size != n * record:
                    raise DataError(
                        f"{path}: {member.name} is not a plain file of {n * record} bytes "
                        f"({n} records of {record}), but has {member.size}"
                    )
                records = np.frombuffer(archive.extractfile(member).read(), np.uint8).reshape(n, record)
                _check_labels(records[:, 0], source, f"{path}: {member.name}")
                found[f"y_{part}"][start : start + n] = records[:, 0]
                found[f"x_{part}"][start : start + n] = records[:, 1:].reshape(n, *CIFAR_IMAGE)
                if not wanted:
                    return found
    except DAMAGE as error:
        raise DataError(f"{path} is truncated or damaged ({error})") from error
    raise DataError(
        f"{path} has no member {min(wanted)!r}: it is truncated, or not the binary version of CIFAR-10"
    )


def _read_idx(path, shape):
    """Return the uint8 array of this shape in a gzipped IDX file: two zeros, type 8, rank, sizes, data."""
    header = struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape)
    expected = len(header) + int(np.prod(shape))
    try:
        with gzip.open(path) as file:
            content = file.read(expected + 1)  # one byte more: too long is wrong too, and gzip checks its sum
    except DAMAGE as error:
        raise DataError(f"{path} is truncated or damaged ({error})") from error
    if content[: len(header)] != header:
        raise DataError(
            f"{path} is not an IDX file of {' x '.join(map(str, shape))} bytes: "
            f"it starts with {content[: len(header)].hex()}, not with {header.hex()}"
        )
    if len(content) != expected:
        extra = "more than that" if len(content) > expected else f"{len(content)}"
        raise DataError(f"{path} should unpack to {expected} bytes, but has {extra}")
    return np.frombuffer(content, np.uint8, offset=len(header)).reshape(shape)


def read_fashion_mnist(paths, source=FASHION_MNIST):
    """Read Fashion-MNIST from its four gzipped IDX files.

    Parameters
    ----------
    paths : sequence of four Path
        Images and labels to train on, images and labels to test on.
    source : Source
        Number of images and classes that must be there.

    Returns
    -------
    dict
        `x_train` uint8 (n_train, 1, 28, 28), `y_train` int64 (n_train,), `x_test`, `y_test`.

    Raises
    ------
    DataError
        Truncated file, wrong count, label out of range.
    """
    found = {}
    for part, n, images, labels in (
        ("train", source.n_train, *paths[:2]),
        ("test", source.n_test, *paths[2:]),
    ):
        y = _read_idx(labels, (n,))
        _check_labels(y, source, labels)
        found[f"x_{part}"] = _read_idx(images, (n, *FASHION_IMAGE[1:])).reshape(n, *FASHION_IMAGE)
        found[f"y_{part}"] = y.astype(np.int64)
    return found
