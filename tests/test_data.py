import gzip
import hashlib
import http.server
import io
import os
import signal
import struct
import subprocess
import sys
import tarfile
import threading
import time
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from selfgated import data
from selfgated.data import archives, cache, folder

JPEGS = Path(__file__).resolve().parents[2] / "shared" / "data" / "cifar10-jpeg.npz"
RNG = np.random.default_rng(0)
FASHION = tuple(archives.FASHION_MNIST.files)
CIFAR = "cifar-10-binary.tar.gz"


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files, counts requests; stalls in the middle of a file while `stall` is set."""

    def do_GET(self):
        self.served[Path(self.path).name] += 1
        super().do_GET()

    def copyfile(self, source, outputfile):
        content = source.read()
        outputfile.write(content[: len(content) // 2])
        outputfile.flush()
        self.sent.set()
        while self.stall.is_set():
            time.sleep(0.02)
        outputfile.write(content[len(content) // 2 :])

    def log_message(self, *args):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A folder, and the address on the loopback that serves it."""
    root = tmp_path / "served"
    root.mkdir()
    handler = type(
        "Fresh", (Handler,), {"served": Counter(), "stall": threading.Event(), "sent": threading.Event()}
    )
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=root)) as running:
        running.daemon_threads = True
        running.block_on_close = False
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        running.root, running.handler = root, handler
        running.url = f"http://127.0.0.1:{running.server_port}/"
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.setenv(name, "127.0.0.1")
        yield running
        handler.stall.clear()
        running.shutdown()
        thread.join()


def cifar_batches(n=4, n_test=6, label=None):
    """{member name: bytes}: n records in each training batch."""
    counts = [(f"data_batch_{i}.bin", n) for i in range(1, 6)] + [("test_batch.bin", n_test)]
    found = {}
    for name, count in counts:
        records = RNG.integers(0, 256, (count, 3073), np.uint8)
        records[:, 0] = np.arange(count) % 10 if label is None else label
        found[f"cifar-10-batches-bin/{name}"] = records.tobytes()
    return found


def tar(members):
    """Gzipped tar of {name: bytes, or the target of a symbolic link}."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname, info.size = tarfile.SYMTYPE, content, 4 * 3073
                archive.addfile(info)
            else:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def source_of(official, root, contents, n_train, n_test):
    """Write the files to serve, and say what they are."""
    for name, content in contents.items():
        (root / name).write_bytes(content)
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    return replace(official, files=sums, n_train=n_train, n_test=n_test)


def idx(array):
    return gzip.compress(
        struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()
    )


def fashion_files(n=12, n_test=5):
    """{file name: bytes} and the arrays in them."""
    arrays = [
        RNG.integers(0, 256, (n, 28, 28), np.uint8),
        np.arange(n, dtype=np.uint8) % 10,
        RNG.integers(0, 256, (n_test, 28, 28), np.uint8),
        np.arange(n_test, dtype=np.uint8) % 10,
    ]
    return dict(zip(FASHION, map(idx, arrays), strict=True)), arrays


def files_in(path):
    return sorted(str(found.relative_to(path)) for found in path.rglob("*")) if path.exists() else []


def get(name, server, source, tmp_path, **kwargs):
    given = {"cache": tmp_path / "cache", "base_url": server.url, "source": source, "progress": False}
    return data.load(name, **given | kwargs)


# digits, Dataset


def test_load_digits_has_every_image_once_and_equal_shares():
    from sklearn.datasets import load_digits

    digits = data.load("digits")
    bunch = load_digits()
    assert digits.x_train.shape == (1437, 1, 8, 8)
    assert digits.x_test.shape == (360, 1, 8, 8)
    assert (digits.x_train.dtype, digits.y_train.dtype) == (np.uint8, np.int64)
    rows = np.concatenate([digits.x_train, digits.x_test]).reshape(1797, 64)
    labels = np.concatenate([digits.y_train, digits.y_test])
    ours = Counter((row.tobytes(), label) for row, label in zip(rows, labels.tolist(), strict=True))
    theirs = bunch.images.reshape(1797, 64).astype(np.uint8)
    assert ours == Counter((row.tobytes(), y) for row, y in zip(theirs, bunch.target.tolist(), strict=True))
    share = np.bincount(digits.y_test) / np.bincount(labels)
    assert np.all(np.abs(np.bincount(digits.y_test) - 360 * np.bincount(labels) / 1797) < 1), share


def test_load_digits_split_is_the_same_on_every_machine():
    digest = hashlib.sha256(data.load("digits").x_test.tobytes()).hexdigest()
    assert digest[:16] == "c4a6437d004c678f"
    assert digest != hashlib.sha256(data.load("digits", split_seed=1).x_test.tobytes()).hexdigest()


def test_dataset_mean_and_std_are_those_of_numpy_float64():
    x = RNG.integers(0, 256, (2300, 3, 4, 5), np.uint8)
    y = np.arange(2300) % 2
    found = data.Dataset("n", "n", ("a", "b"), x, y, x[:2], y[:2])
    np.testing.assert_allclose(found.mean, x.mean(axis=(0, 2, 3), dtype=np.float64), rtol=1e-13)
    np.testing.assert_allclose(found.std, x.std(axis=(0, 2, 3), dtype=np.float64), rtol=1e-12)
    assert (found.channels, found.image_size) == (3, (4, 5))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": ("a",)}, "has 1 class; a classifier needs at least 2"),
        ({"y_test": np.array([0, 2])}, r"test: labels must lie in 0..1, not 0..2"),
        ({"y_test": np.array([-1, 1])}, r"test: labels must lie in 0..1, not -1..1"),
        ({"y_test": np.array([0, 1], np.int32)}, "labels int64"),
        ({"x_test": np.zeros((2, 1, 3, 4), np.uint8)}, "train images have shape"),
        ({"x_test": np.zeros((2, 1, 3, 3))}, "images must be uint8"),
        ({"x_test": np.zeros((0, 1, 3, 3), np.uint8), "y_test": np.zeros(0, np.int64)}, "no test image"),
    ],
)
def test_dataset_that_does_not_fit_together_is_an_error(change, message):
    x, y = np.zeros((2, 1, 3, 3), np.uint8), np.array([0, 1])
    good = {"classes": ("a", "b"), "x_train": x, "y_train": y, "x_test": x, "y_test": y}
    data.Dataset("n", "n", **good)
    with pytest.raises(data.DataError, match=message):
        data.Dataset("n", "n", **good | change)


def test_subset_keeps_shares_and_pairs_and_depends_on_its_seed():
    digits = data.load("digits")
    few = digits.subset(200, 50, seed=3)
    assert (len(few.y_train), len(few.y_test)) == (200, 50)
    for part, whole, n in ((few.y_train, digits.y_train, 200), (few.y_test, digits.y_test, 50)):
        assert np.all(np.abs(np.bincount(part) - n * np.bincount(whole) / len(whole)) < 1)
    pairs = {(x.tobytes(), y) for x, y in zip(digits.x_train, digits.y_train.tolist(), strict=True)}
    assert pairs.issuperset((x.tobytes(), y) for x, y in zip(few.x_train, few.y_train.tolist(), strict=True))
    np.testing.assert_array_equal(few.x_train, digits.subset(200, 9, seed=3).x_train)
    assert not np.array_equal(few.x_train, digits.subset(200, 50, seed=4).x_train)
    np.testing.assert_allclose(few.mean, few.x_train.mean())
    with pytest.raises(data.DataError, match=r"n_test must lie in 1..360 \(digits\), not 361"):
        digits.subset(10, 361)


def test_subset_smaller_one_lies_within_a_larger_one():
    y = np.repeat(np.arange(4), 25)
    x = np.arange(100, dtype=np.uint8).reshape(100, 1, 1, 1)
    whole = data.Dataset("n", "n", tuple("abcd"), x, y, x, y)
    few, more = (set(whole.subset(n, n, seed=5).x_train.ravel().tolist()) for n in (20, 40))
    assert few < more
    assert few != set(whole.subset(20, 20, seed=5).x_test.ravel().tolist())


def test_stratified_chooses_each_index_once_for_every_n():
    y = np.array([0] * 7 + [1] * 2 + [2] * 4)
    for n in range(len(y) + 1):
        chosen = data.stratified(y, n, seed=n)
        assert len(set(chosen.tolist())) == n
        assert np.all(np.abs(np.bincount(y[chosen], minlength=3) - n * np.bincount(y) / len(y)) < 1)


def test_load_unknown_name_lists_the_choices():
    with pytest.raises(data.DataError, match=r"unknown data set 'cifar'; choose from \['digits', "):
        data.load("cifar")
    with pytest.raises(data.DataError, match="'digits' is not downloaded"):
        data.load("digits", base_url="http://127.0.0.1/")


# archives


def test_load_cifar10_reads_every_record_and_downloads_once(server, tmp_path):
    batches = cifar_batches()
    source = source_of(archives.CIFAR10, server.root, {CIFAR: tar(batches)}, 20, 6)
    found = get("cifar10", server, source, tmp_path)
    assert (found.label, found.classes[3], found.channels) == ("CIFAR-10", "cat", 3)
    raw = np.frombuffer(b"".join(list(batches.values())[:5]), np.uint8).reshape(20, 3073)
    np.testing.assert_array_equal(found.y_train, raw[:, 0])
    np.testing.assert_array_equal(found.x_train[7, 2, 5, 6], raw[7, 1 + 2 * 1024 + 5 * 32 + 6])
    np.testing.assert_array_equal(found.x_train.reshape(20, -1), raw[:, 1:])
    np.testing.assert_array_equal(found.x_test.tobytes()[:3072], list(batches.values())[5][1:3073])
    again = get("cifar10", server, source, tmp_path)
    np.testing.assert_array_equal(again.x_train, found.x_train)
    assert server.handler.served == {CIFAR: 1}
    assert files_in(tmp_path / "cache") == ["cifar10", f"cifar10/{CIFAR}", "cifar10/decoded.bin"]


def test_load_fashion_mnist_reads_idx_and_takes_its_address_from_the_environment(
    server, tmp_path, monkeypatch
):
    files, arrays = fashion_files()
    source = source_of(archives.FASHION_MNIST, server.root, files, 12, 5)
    monkeypatch.setenv("SELFGATED_FASHION_MNIST_URL", server.url)
    found = data.load("fashion_mnist", cache=tmp_path, source=source, progress=False)
    np.testing.assert_array_equal(found.x_train[:, 0], arrays[0])
    np.testing.assert_array_equal(found.y_test, arrays[3])
    assert found.classes[9] == "Ankle boot"


def test_load_shows_progress_on_stderr_only(server, tmp_path, capfd):
    source = source_of(archives.CIFAR10, server.root, {CIFAR: tar(cifar_batches())}, 20, 6)
    get("cifar10", server, source, tmp_path, progress=True)
    shown = capfd.readouterr()
    assert shown.out == ""
    assert f"{CIFAR}: 100%" in shown.err


def test_load_without_network_says_what_to_do_and_leaves_nothing(server, tmp_path):
    source = source_of(archives.CIFAR10, server.root, {CIFAR: tar(cifar_batches())}, 20, 6)
    with pytest.raises(data.DataError, match=r"127.0.0.1:9/cifar-10-binary.*SELFGATED_CIFAR10_URL.*put the"):
        get("cifar10", server, source, tmp_path, base_url="http://127.0.0.1:9/")
    with pytest.raises(data.DataError, match="could not be downloaded"):
        get("cifar10", server, source, tmp_path, base_url="nothing")
    (server.root / CIFAR).unlink()
    with pytest.raises(data.DataError, match=r"could not be downloaded \(404"):
        get("cifar10", server, source, tmp_path)
    assert files_in(tmp_path / "cache") == []


def test_load_wrong_checksum_is_refused_and_leaves_nothing(server, tmp_path):
    source = source_of(archives.CIFAR10, server.root, {CIFAR: tar(cifar_batches())}, 20, 6)
    (server.root / CIFAR).write_bytes(tar(cifar_batches()))
    with pytest.raises(
        data.DataError, match=r"is not the official cifar-10-binary.tar.gz: its SHA-256 is wrong"
    ):
        get("cifar10", server, source, tmp_path)
    assert files_in(tmp_path / "cache") == []


def test_load_repairs_an_archive_that_was_damaged_in_the_cache(server, tmp_path):
    source = source_of(archives.CIFAR10, server.root, {CIFAR: tar(cifar_batches())}, 20, 6)
    kept = tmp_path / "cache" / "cifar10" / CIFAR
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"half a download")
    get("cifar10", server, source, tmp_path)
    assert kept.read_bytes() == (server.root / CIFAR).read_bytes()


def cut(content):
    return gzip.compress(gzip.decompress(content)[:-5000])


GOOD = cifar_batches()
FIRST = "cifar-10-batches-bin/data_batch_1.bin"
POISON = {
    "gzip cut": (tar(GOOD)[:-3000], "is truncated or damaged"),
    "tar cut": (gzip.compress(gzip.decompress(tar(GOOD))[:45000]), "is truncated or damaged"),
    "no gzip": (b"<html>sign in</html>", "is truncated or damaged"),
    "no member": (tar({k: v for k, v in GOOD.items() if "batch_3" not in k}), "has no member .*data_batch_3"),
    "empty": (tar({}), "has no member"),
    "record missing": (
        tar(GOOD | {FIRST: GOOD[FIRST][3073:]}),
        "data_batch_1.bin is not a plain file of 12292",
    ),
    "byte missing": (tar(GOOD | {FIRST: GOOD[FIRST][1:]}), "has 12291"),
    "huge member": (tar(GOOD | {FIRST: bytes(10**7)}), "has 10000000"),
    "huge stranger": (tar({"bomb": bytes(10**7)} | GOOD), "unpacks to more than"),
    "symlink": (tar(GOOD | {FIRST: "/etc/passwd"}), "data_batch_1.bin is not a plain file"),
    "label": (tar(GOOD | cifar_batches(label=11)), "has label 11; labels go from 0 to 9"),
}


@pytest.mark.parametrize("kind", POISON)
def test_load_poisoned_archive_is_an_error_and_is_not_kept(kind, server, tmp_path):
    content, message = POISON[kind]
    source = source_of(archives.CIFAR10, server.root, {CIFAR: content}, 20, 6)
    with pytest.raises(data.DataError, match=message) as caught:
        get("cifar10", server, source, tmp_path)
    assert CIFAR in str(caught.value)
    assert files_in(tmp_path / "cache") == ["cifar10"]


def test_load_archive_writes_nothing_outside_the_cache(server, tmp_path):
    strangers = {"../../escaped": b"x", str(tmp_path / "absolute"): b"x", "cifar-10-batches-bin/../up": b"x"}
    strangers["cifar-10-batches-bin/link"] = "/etc/passwd"
    source = source_of(archives.CIFAR10, server.root, {CIFAR: tar(strangers | GOOD)}, 20, 6)
    found = get("cifar10", server, source, tmp_path)
    assert len(found.y_train) == 20
    assert files_in(tmp_path) == [
        "cache",
        "cache/cifar10",
        f"cache/cifar10/{CIFAR}",
        "cache/cifar10/decoded.bin",
        "served",
        f"served/{CIFAR}",
    ]


@pytest.mark.parametrize(
    ("which", "content", "message"),
    [
        (0, idx(np.zeros((11, 28, 28))), "is not an IDX file of 12 x 28 x 28 bytes"),
        (0, cut(fashion_files()[0][FASHION[0]]), "should unpack to 9424 bytes, but has 4424"),
        (0, fashion_files()[0][FASHION[0]][:-900], "is truncated or damaged"),
        (1, idx(np.full(12, 10)), "image 0 has label 10; labels go from 0 to 9"),
        (3, gzip.compress(gzip.decompress(idx(np.zeros(5))) + b"?"), "but has more than that"),
        (2, b"", "is not an IDX file"),
    ],
    ids=["count", "cut", "gzip cut", "label", "too long", "empty"],
)
def test_load_poisoned_idx_names_the_file(which, content, message, server, tmp_path):
    files = fashion_files()[0] | {FASHION[which]: content}
    source = source_of(archives.FASHION_MNIST, server.root, files, 12, 5)
    with pytest.raises(data.DataError, match=message) as caught:
        get("fashion_mnist", server, source, tmp_path)
    assert FASHION[which] in str(caught.value)
    assert files_in(tmp_path / "cache") == ["fashion_mnist"]


FETCH = """
import sys
from selfgated import data
data.load("cifar10", cache=sys.argv[1], base_url=sys.argv[2])
"""


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_load_interrupted_download_is_never_taken_for_the_file(how, server, tmp_path):
    (server.root / CIFAR).write_bytes(bytes(300_000))
    server.handler.stall.set()
    kept = tmp_path / "cache"
    process = subprocess.Popen([sys.executable, "-c", FETCH, kept, server.url], stderr=subprocess.DEVNULL)
    assert server.handler.sent.wait(20)
    deadline = time.monotonic() + 20
    while not any(path.is_file() and path.stat().st_size for path in kept.rglob("*")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(how)
    assert process.wait(20) != 0
    server.handler.stall.clear()
    left = files_in(kept)
    assert left == [] if how == signal.SIGINT else all(name.startswith("partial-") for name in left)
    source = source_of(archives.CIFAR10, server.root, {CIFAR: tar(GOOD)}, 20, 6)
    get("cifar10", server, source, tmp_path)
    assert files_in(kept) == ["cifar10", f"cifar10/{CIFAR}", "cifar10/decoded.bin"]


TOGETHER = """
import sys
from dataclasses import replace
from selfgated import data
from selfgated.data.archives import CIFAR10
source = replace(CIFAR10, files={"cifar-10-binary.tar.gz": sys.argv[3]}, n_train=20, n_test=6)
print(len(data.load("cifar10", cache=sys.argv[1], base_url=sys.argv[2], source=source).y_train))
"""


def test_load_by_several_processes_at_once_downloads_once(server, tmp_path):
    source = source_of(archives.CIFAR10, server.root, {CIFAR: tar(GOOD)}, 20, 6)
    command = [sys.executable, "-c", TOGETHER, tmp_path / "cache", server.url, source.files[CIFAR]]
    server.handler.stall.set()
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) for _ in range(3)]
    assert server.handler.sent.wait(20)
    time.sleep(1)
    server.handler.stall.clear()
    assert [process.communicate(timeout=30)[0] for process in running] == [b"20\n"] * 3
    assert server.handler.served == {CIFAR: 1}


def test_load_archive_on_a_full_disk_is_an_error_and_leaves_nothing(server, tmp_path, monkeypatch):
    def full(old, new):
        raise OSError(28, "No space left on device")

    source = source_of(archives.CIFAR10, server.root, {CIFAR: tar(GOOD)}, 20, 6)
    monkeypatch.setattr(archives.os, "replace", full)
    with pytest.raises(data.DataError, match=r"tar.gz could not be written \(.*No space left .*make room"):
        get("cifar10", server, source, tmp_path)
    assert files_in(tmp_path / "cache") == ["cifar10"]


# folder


def paint(path, image=None, size=(6, 5), mode="RGB", **kwargs):
    path.parent.mkdir(parents=True, exist_ok=True)
    if image is None:
        array = RNG.integers(0, 256, (size[1], size[0], 3), np.uint8)
        image = Image.fromarray(array).convert(mode)
    image.save(path, **kwargs)
    return path


@pytest.fixture
def images(tmp_path):
    """A small folder of PNG images in colour: train 2 x 3, test 2 x 2."""
    root = tmp_path / "images"
    for part, n in (("train", 3), ("test", 2)):
        for name in ("dog", "cat"):
            for index in range(n):
                paint(root / part / name / f"{index}.png")
    return root


def load_folder(root, **kwargs):
    return data.load(f"folder:{root}", progress=False, **{"cache": root.parent / "cache", **kwargs})


def test_load_folder_reads_every_image_in_order(images):
    (images / "train" / "cat" / ".DS_Store").write_text("")
    (images / "train" / ".ipynb_checkpoints").mkdir()
    (images / "readme.txt").write_text("")
    found = load_folder(images, label="Pets")
    assert (found.label, found.classes) == ("Pets", ("cat", "dog"))
    assert found.y_train.tolist() == [0, 0, 0, 1, 1, 1]
    paths = [images / "train" / name / f"{index}.png" for name in ("cat", "dog") for index in range(3)]
    for x, path in zip(found.x_train, paths, strict=True):
        np.testing.assert_array_equal(x, np.asarray(Image.open(path)).transpose(2, 0, 1))
    assert load_folder(images).label == "images"


def test_load_folder_second_time_opens_no_image(images, monkeypatch):
    first = load_folder(images)
    monkeypatch.setattr(folder, "_decode", None)
    second = load_folder(images)
    assert second.path == first.path
    for name in ("x_train", "y_train", "x_test", "y_test"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


@pytest.mark.parametrize("change", ["touch", "add", "remove", "rename"])
def test_load_folder_that_changed_is_decoded_again(change, images):
    load_folder(images)
    victim = images / "train" / "dog" / "2.png"
    if change == "touch":
        size, stamp = victim.stat().st_size, victim.stat().st_mtime_ns
        paint(victim, Image.new("RGB", (6, 5), "red"))
        victim.write_bytes(victim.read_bytes().ljust(size, b"\0"))
        os.utime(victim, ns=(stamp, stamp + 1))
        assert np.all(load_folder(images).x_train[5, 0] == 255)
    elif change == "add":
        paint(victim.with_name("3.png"))
        assert len(load_folder(images).y_train) == 7
    elif change == "remove":
        victim.unlink()
        assert len(load_folder(images).y_train) == 5
    else:
        (images / "train" / "dog").rename(images / "train" / "ape")
        (images / "test" / "dog").rename(images / "test" / "ape")
        assert load_folder(images).classes == ("ape", "cat")
    assert len(list((images.parent / "cache").iterdir())) == 1


def test_load_folder_damaged_cache_is_noticed_and_built_again(images):
    first = load_folder(images)
    good = first.path.read_bytes()
    bad = [good[:at] + bytes([good[at] ^ 0x41]) + good[at + 1 :] for at in range(0, len(good), 29)]
    bad += [good[: len(good) // 2], good[:5], b"", good + b"x"]
    for content in bad:
        first.path.write_bytes(content)
        with pytest.warns(UserWarning, match=r"decoded.bin is damaged .* and is built again"):
            again = load_folder(images)
        np.testing.assert_array_equal(again.x_train, first.x_train)
        assert first.path.read_bytes() == good


def test_load_folder_into_a_cache_that_cannot_be_written_still_works(images, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.warns(UserWarning, match=r"cannot be written to .* the images are decoded again next time"):
        found = load_folder(images, cache=tmp_path / "file" / "cache")
    assert found.path is None
    assert len(found.y_train) == 6


def test_load_folder_on_a_full_disk_still_works(images, monkeypatch):
    def full(old, new):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache.os, "replace", full)
    with pytest.warns(UserWarning, match=r"decoded.bin cannot be written \(.*No space left"):
        found = load_folder(images)
    assert found.path is None
    assert not any(path.is_file() for path in (images.parent / "cache").rglob("*"))


def test_load_folder_interrupted_leaves_nothing(images, monkeypatch):
    def interrupted(path):
        raise KeyboardInterrupt

    monkeypatch.setattr(folder, "_decode", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load_folder(images)
    assert files_in(images.parent / "cache") == []


def test_load_archive_into_a_cache_that_cannot_be_written_is_an_error(server, tmp_path):
    (tmp_path / "cache").write_text("")
    with pytest.raises(data.DataError, match=r"cache folder .* cannot be written to .* SELFGATED_CACHE"):
        get("cifar10", server, None, tmp_path)


def test_load_folder_grey_files_have_one_channel_until_one_has_colour(tmp_path):
    root = tmp_path / "grey"
    for part in ("train", "test"):
        for name in ("a", "b"):
            paint(root / part / name / "0.png", mode="L")
            paint(root / part / name / "1.jpg", mode="L")
    assert load_folder(root).x_train.shape == (4, 1, 5, 6)
    grey, grey_test = load_folder(root).x_train, load_folder(root).x_test
    paint(root / "test" / "b" / "2.png")
    found = load_folder(root)
    assert found.x_train.shape == (4, 3, 5, 6)
    assert found.x_test.shape == (5, 3, 5, 6)
    np.testing.assert_array_equal(found.x_train, np.repeat(grey, 3, axis=1))
    np.testing.assert_array_equal(found.x_test[:4], np.repeat(grey_test, 3, axis=1))


def test_decode_converts_each_kind_of_file(tmp_path):
    def decode(image, **kwargs):
        path = tmp_path / kwargs.pop("name", "image.png")
        image.save(path, **kwargs)
        return folder._decode(path)

    red = (255, 0, 0)
    paint_it = partial(Image.new, size=(3, 2))
    colour = np.broadcast_to(np.array(red, np.uint8)[:, None, None], (3, 2, 3))
    np.testing.assert_array_equal(decode(paint_it("RGB", color=red)), colour)
    np.testing.assert_array_equal(decode(paint_it("RGB", color=red).convert("P")), colour)
    np.testing.assert_array_equal(decode(paint_it("RGBA", color=(*red, 255))), colour)
    assert np.all(decode(paint_it("RGBA", color=(*red, 0))) == 255)
    half = decode(paint_it("RGBA", color=(0, 0, 0, 128)))
    assert np.all(np.abs(half.astype(int) - 127) <= 1)
    clear = paint_it("P", color=0)
    clear.putpalette([255, 0, 0] + [0, 0, 255] * 255)
    assert np.all(decode(clear, transparency=0) == 255)
    assert decode(paint_it("LA", color=(9, 255))).tolist() == [[[9] * 3] * 2]
    assert decode(paint_it("1", color=1)).tolist() == [[[255] * 3] * 2]
    deep = Image.fromarray(np.array([[0, 257, 65535], [128, 129, 51400]], np.uint16))
    assert decode(deep).tolist() == [[[0, 1, 255], [0, 1, 200]]]
    cmyk = decode(paint_it("CMYK", color=(0, 255, 255, 0)), name="image.jpg")
    assert cmyk.shape == (3, 2, 3)
    assert cmyk[0].min() > 200 > 60 > cmyk[1:].max()


def test_decode_turns_a_photograph_as_its_camera_says(tmp_path):
    image = Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise
    image.save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(
        folder._decode(tmp_path / "turned.png")[0], np.rot90(np.arange(6).reshape(2, 3), -1)
    )


def spoil(root, kind):
    first = root / "train" / "cat" / "0.png"
    if kind == "missing folder":
        root.rename(root.with_name("elsewhere"))
    elif kind in ("missing test", "no class"):
        (root / "test").rename(root / "validation")
        if kind == "no class":
            paint(root / "test" / "0.png")
    elif kind == "one class":
        for part in ("train", "test"):
            (root / part / "dog").rename(root / f"{part}-dog")
    elif kind == "other classes":
        (root / "test" / "dog").rename(root / "test" / "wolf")
    elif kind == "empty class":
        (root / "test" / "ape").mkdir()
        (root / "train" / "ape").mkdir()
    elif kind == "text":
        first.write_text("not an image")
    elif kind == "truncated":
        (root / "test" / "cat" / "1.png").write_bytes(first.read_bytes()[:-30])
    elif kind == "empty file":
        (root / "test" / "cat" / "1.png").write_bytes(b"")
    elif kind == "mixed sizes":
        paint(root / "test" / "dog" / "1.png", size=(5, 6))
    elif kind == "dangling link":
        (root / "test" / "dog" / "9.png").symlink_to(root / "nowhere")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing folder", r"images/train cannot be read \(No such file or directory\); expected PATH/train"),
        ("missing test", r"images/test cannot be read \(No such file"),
        ("no class", r"images/test has no class folders; .* put each image into a folder of its class"),
        ("one class", r"images/train has 1 class folder; a classifier needs at least 2"),
        ("other classes", r"class 'dog' is in .*train, but not in .*test; both need the same"),
        ("empty class", r"train/ape has no image; add some \(.png, .jpg, .jpeg\) or remove the folder"),
        ("text", r"train/cat/0.png cannot be read as an image .* replace or remove it"),
        ("truncated", r"test/cat/1.png cannot be read as an image"),
        ("empty file", r"test/cat/1.png cannot be read as an image"),
        ("mixed sizes", r"dog/1.png has 5 x 6 pixels, .*cat/0.png has 6 x 5; bring all images to one size"),
        ("dangling link", r"dog/9.png cannot be read .* remove it"),
    ],
)
def test_load_folder_that_cannot_be_used_says_why(kind, message, images):
    spoil(images, kind)
    with pytest.raises(data.DataError, match=message):
        load_folder(images)
    assert files_in(images.parent / "cache") == []


def test_load_folder_that_changes_meanwhile_is_an_error(images, monkeypatch):
    decode = folder._decode

    def slow(path):
        if path.name == "1.png":
            paint(images / "train" / "dog" / "late.png")
        return decode(path)

    monkeypatch.setattr(folder, "_decode", slow)
    with pytest.raises(data.DataError, match="changed while they were read"):
        load_folder(images)
    assert files_in(images.parent / "cache") == []


def test_load_folder_of_real_jpegs_is_what_pillow_decodes(tmp_path):
    if not JPEGS.is_file():
        pytest.skip(f"{JPEGS.name} is not beside this checkout")
    root = tmp_path / "cifar"
    kept = {}
    with np.load(JPEGS, allow_pickle=False) as store:
        classes = store["classes"].tolist()
        for part in ("train", "test"):
            sizes, stream = store[f"{part}_nbytes"].astype(int), store[f"{part}_jpeg"]
            ends, labels = np.cumsum(sizes), store[f"{part}_labels"]
            for index in range(0, len(sizes), len(sizes) // 60):
                name = classes[labels[index]]
                path = root / part / name / f"{index:05d}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(stream[ends[index] - sizes[index] : ends[index]].tobytes())
                kept[part, index] = path
    found = load_folder(root, label="CIFAR-10 (JPEG)")
    assert found.x_train.shape == found.x_test.shape == (len(kept) // 2, 3, 32, 32)
    paths = sorted(path for (part, _), path in kept.items() if part == "train")
    for x, y, path in zip(found.x_train, found.y_train, paths, strict=True):
        np.testing.assert_array_equal(x.transpose(1, 2, 0), np.asarray(Image.open(path)))
        assert found.classes[y] == path.parent.name


# cache


def test_cache_folder_is_the_argument_then_the_variable_then_home(tmp_path, monkeypatch):
    monkeypatch.setenv("SELFGATED_CACHE", str(tmp_path / "variable"))
    assert data.cache_folder(tmp_path / "argument") == tmp_path / "argument"
    assert data.cache_folder() == tmp_path / "variable"
    monkeypatch.delenv("SELFGATED_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert data.cache_folder() == tmp_path / ".cache" / "selfgated"
    assert files_in(tmp_path) == []


def test_exclusive_is_held_by_one_at_a_time(tmp_path):
    fcntl = pytest.importorskip("fcntl")
    with cache.exclusive(tmp_path):
        handle = os.open(tmp_path, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(handle)
    assert files_in(tmp_path) == []
