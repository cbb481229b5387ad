"""The folder of a course: where everything is, written whole or not at all, by one command at a time."""

import fcntl
import json
import os
import stat
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from selfgated.grading.names import escaped

__all__ = ["ROOT", "Course", "CourseError", "read_regular", "write_whole"]

ROOT = Path(__file__).resolve().parents[3]
TIME_FORMAT = "%Y-%m-%d %H:%M:%S UTC"  # as nbgrader writes timestamp.txt


class CourseError(ValueError):
    """A command cannot do what was asked; the message is one line that says why and names the choices."""


@dataclass(frozen=True)
class Course:
    """Paths of one course.

    Parameters
    ----------
    folder : Path
        The folder, ``course`` by default. It is made by the first command that writes.
    """

    folder: Path

    @property
    def gradebook(self):
        """nbgrader's database."""
        return self.folder / "gradebook.db"

    @property
    def extensions(self):
        """Table of extended due dates, written by the instructor."""
        return self.folder / "extensions.csv"

    @property
    def submitted(self):
        """What students handed in, in nbgrader's layout."""
        return self.folder / "submitted"

    def submission(self, student, slug):
        """Folder of one submission."""
        return self.submitted / student / slug

    def earlier(self, student, slug):
        """Folder of the submissions that a newer one has replaced."""
        return self.folder / "earlier" / student / slug

    def verdict(self, student, slug):
        """File of one verdict."""
        return self.folder / "verdicts" / slug / f"{student}.json"

    def autograded(self, student, slug):
        """Folder of one autograded notebook, as nbgrader's formgrader looks for it."""
        return self.folder / "autograded" / student / slug

    def feedback(self, student, slug):
        """Page of feedback on one submission."""
        return self.folder / "feedback" / student / slug / f"{slug}.html"

    def graded(self, slug):
        """Students with a verdict on an assignment, sorted."""
        return sorted(path.stem for path in (self.folder / "verdicts" / slug).glob("*.json"))

    def timestamp(self, student, slug):
        """When a submission was handed in.

        Returns
        -------
        datetime or None
            Aware, in UTC; None if nothing is known.

        Raises
        ------
        CourseError
            If ``timestamp.txt`` is there and is no time.
        """
        return read_timestamp(self.submission(student, slug) / "timestamp.txt")

    @contextmanager
    def lock(self, command):
        """Hold the course for one command; the lock ends with the process, however it ends.

        Raises
        ------
        CourseError
            If another command holds it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / ".lock"
        with path.open("a+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.seek(0)
                raise CourseError(f"{self.folder} is in use: {file.read() or 'by another command'}") from None
            file.truncate(0)
            file.write(f"`{command}` runs as process {os.getpid()} since {datetime.now():%Y-%m-%d %H:%M:%S}")
            file.flush()
            try:
                yield
            finally:
                file.truncate(0)


def read_timestamp(path):
    """Time in a ``timestamp.txt``, aware, in UTC; None if the file is missing."""
    from nbgrader.utils import parse_utc

    try:
        text = read_regular(path, limit=200).decode("utf-8").strip()
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise CourseError(f"timestamp.txt cannot be read: {error}") from None
    if not text:
        return None
    try:
        return parse_utc(text).replace(tzinfo=UTC)
    except (ValueError, OverflowError, TypeError, AttributeError):
        raise CourseError(f"timestamp.txt holds no time: {escaped(text[:60])!r}") from None


def format_timestamp(moment):
    """Text of a ``timestamp.txt``."""
    return moment.astimezone(UTC).strftime(TIME_FORMAT) + "\n"


def read_regular(path, *, limit):
    """Bytes of a regular file; links are not followed, devices and pipes not waited for.

    Parameters
    ----------
    path : Path
    limit : int
        Most bytes that are read.

    Raises
    ------
    FileNotFoundError
        If there is nothing.
    ValueError
        If it is no regular file, or longer than `limit`.
    """
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        raise
    except OSError as error:
        kind = "a symbolic link" if os.path.islink(path) else error.strerror
        raise ValueError(f"{escaped(Path(path).name)} is {kind}") from None
    with os.fdopen(number, "rb") as file:
        about = os.fstat(number)
        if not stat.S_ISREG(about.st_mode):
            raise ValueError(f"{escaped(Path(path).name)} is no file")
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"{escaped(Path(path).name)} is longer than {limit} bytes")
    return data


def write_whole(path, data):
    """Write a file so that a reader, or the next run after a kill, finds the old or the new one whole.

    Parameters
    ----------
    path : Path
    data : str or bytes
    """
    data = data.encode("utf-8", "backslashreplace") if isinstance(data, str) else data
    path.parent.mkdir(parents=True, exist_ok=True)
    number, draft = tempfile.mkstemp(dir=path.parent, prefix=".draft-")
    try:
        with os.fdopen(number, "wb") as file:
            file.write(data)
        os.chmod(draft, 0o644)
        os.replace(draft, path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def write_json(path, data):
    """Write plain data as JSON, see `write_whole`."""
    write_whole(path, json.dumps(data, indent=1, ensure_ascii=False) + "\n")
