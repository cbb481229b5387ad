"""Files in a folder or a zip from strangers: listed without following or believing anything."""

import os
import stat
import zipfile
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from selfgated.grading.course import CourseError, read_regular
from selfgated.grading.names import LITTER

__all__ = ["LARGEST", "MOST", "Entry", "entries"]

LARGEST = 20_000_000  # bytes of one notebook: ours have 20 kB
MOST = 20_000  # files in one source
TOTAL = 4_000_000_000  # bytes that are unpacked from one zip
DEEPEST = 6


@dataclass(frozen=True)
class Entry:
    """One file.

    Parameters
    ----------
    place : str
        Path within the source, parts joined by ``/``.
    moment : datetime or None
        When it was last changed, aware.
    problem : str
        Why it cannot be taken; empty if it can.
    read : callable
        Returns its bytes; raises ValueError with a reason.
    """

    place: str
    moment: datetime | None
    problem: str
    read: Callable[[], bytes]


@contextmanager
def entries(path):
    """Every file of a source.

    Parameters
    ----------
    path : Path
        A folder or a zip.

    Yields
    ------
    dict of str to list of Entry
        By place; a zip may name a place twice. They can be read while the context lasts.

    Raises
    ------
    CourseError
        If there is no such source, it is no zip, or holds more than `MOST` files.
    """
    if path.is_dir():
        yield _by_place(_folder(path))
        return
    if not path.exists():
        raise CourseError(f"no folder or zip at {path}")
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as error:
        raise CourseError(f"{path} is neither a folder nor a zip: {error}") from None
    with archive:
        yield _by_place(_archive(path, archive))


def _by_place(found):
    by_place = {}
    for entry in found:
        by_place.setdefault(entry.place, []).append(entry)
    return by_place


def _litter(place):
    parts = PurePosixPath(place).parts
    return any(part in LITTER or part.startswith("._") for part in parts)


def _folder(root):
    """Files below a folder. Links are reported and not followed."""
    waiting, count = [("", 0)], 0
    while waiting:
        place, depth = waiting.pop()
        for item in sorted(os.scandir(root / place), key=lambda item: item.name):
            below = f"{place}/{item.name}" if place else item.name
            if _litter(below):
                continue
            count += 1
            if count > MOST:
                raise CourseError(f"{root} holds more than {MOST} files")
            if item.is_dir(follow_symlinks=False):
                if depth < DEEPEST:
                    waiting.append((below, depth + 1))
                continue
            yield _file(root / below, below, item.stat(follow_symlinks=False))


def _file(path, place, about):
    if stat.S_ISLNK(about.st_mode):
        problem = "is a symbolic link"
    elif not stat.S_ISREG(about.st_mode):
        problem = "is no regular file"
    elif about.st_size > LARGEST:
        problem = f"has {about.st_size / 1e6:.0f} MB, more than {LARGEST // 1_000_000}"
    else:
        problem = ""
    moment = datetime.fromtimestamp(about.st_mtime, UTC)
    return Entry(place, moment, problem, lambda: read_regular(path, limit=LARGEST))


def _archive(path, archive):
    """Files of a zip. What an entry claims about its size is not believed: reading stops at the limit."""
    infos = [info for info in archive.infolist() if not info.is_dir() and not _litter(info.filename)]
    if len(infos) > MOST:
        raise CourseError(f"{path} holds more than {MOST} files")
    budget = [TOTAL]
    for info in infos:
        problem = _problem_of_name(info.orig_filename)
        if stat.S_ISLNK(info.external_attr >> 16):
            problem = "is a symbolic link"
        elif info.flag_bits & 1:
            problem = "is encrypted"
        elif info.file_size > LARGEST:
            problem = f"unpacks to {info.file_size / 1e6:.0f} MB, more than {LARGEST // 1_000_000}"
        yield Entry(info.filename, _moment(info), problem, lambda info=info: _unpack(archive, info, budget))


def _problem_of_name(name):
    parts = name.replace("\\", "/").split("/")
    if name.startswith(("/", "\\")) or (len(parts[0]) == 2 and parts[0][1] == ":"):
        return "has an absolute path"
    if ".." in parts:
        return "leads out of the zip"
    if "\\" in name or "\0" in name:
        return "has a name that no file here can have"
    return ""


def _moment(info):
    """Time of a zip entry: local, as the format has no zone; None for 1980, which means unknown."""
    try:
        moment = datetime(*info.date_time)
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.year > 1980 else None


def _unpack(archive, info, budget):
    if budget[0] <= 0:
        raise ValueError(f"the zip unpacks to more than {TOTAL // 1_000_000_000} GB")
    try:
        with archive.open(info) as file:
            data = file.read(LARGEST + 1)
    except Exception as error:  # BadZipFile, zlib.error, LZMAError: each compression has its own
        raise ValueError(f"cannot be unpacked: {error}") from None
    budget[0] -= len(data)
    if len(data) > LARGEST:
        raise ValueError(f"unpacks to more than {LARGEST // 1_000_000} MB")
    return data


def text_beside(by_place, place, name):
    """Text of the small file `name` in the same folder as `place`; None without one that can be read."""
    beside = by_place.get(str(Path(place).parent / name) if "/" in place else name, [])
    for entry in beside:
        if not entry.problem:
            try:
                return entry.read()[:200].decode("utf-8").strip()
            except ValueError:
                return None
    return None
