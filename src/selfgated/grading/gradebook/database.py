"""Opening the gradebook: made, checked, backed up and brought up to date."""

import os
import sqlite3
import sys
import tempfile
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory
from nbgrader import dbutil
from nbgrader.api import Base, Gradebook
from sqlalchemy import create_engine, event, text
from sqlalchemy.exc import DatabaseError, DBAPIError

from selfgated.grading.course import CourseError, write_whole

__all__ = ["Book", "open_book"]

TABLES = (
    """CREATE TABLE IF NOT EXISTS selfgated_verdict (
        assignment VARCHAR(128) NOT NULL, student VARCHAR(128) NOT NULL, stamp VARCHAR(64) NOT NULL,
        status VARCHAR(16) NOT NULL, reason TEXT NOT NULL,
        PRIMARY KEY (assignment, student))""",
    """CREATE TABLE IF NOT EXISTS selfgated_answer (
        assignment VARCHAR(128) NOT NULL, student VARCHAR(128) NOT NULL, cell VARCHAR(128) NOT NULL,
        answer VARCHAR(64) NOT NULL, marked VARCHAR(64), score FLOAT, comment TEXT,
        PRIMARY KEY (assignment, student, cell))""",
)


class Book:
    """An open gradebook.

    Parameters
    ----------
    path : Path
        The database.

    Attributes
    ----------
    db : sqlalchemy.orm.Session
        nbgrader's session. Write within `transaction` only.
    """

    def __init__(self, path):
        """Open, or make, the database at `path`."""
        self.path = path
        self._gradebook = Gradebook(f"sqlite:///{path}")
        self.db = self._gradebook.db
        # formgrader may write for a moment: wait for it instead of failing
        event.listen(
            self._gradebook.engine, "connect", lambda raw, _: raw.execute("PRAGMA busy_timeout = 60000")
        )
        self._gradebook.engine.dispose()
        with self.transaction():
            for table in TABLES:
                self.db.execute(text(table))

    @contextmanager
    def transaction(self):
        """All that is written inside is there afterwards, or nothing of it.

        Raises
        ------
        CourseError
            If the database refuses: it is locked by another program for a minute, or the disk is full.
        """
        try:
            yield self.db
            self.db.commit()
        except DBAPIError as error:
            self.db.rollback()
            raise CourseError(f"{self.path} cannot be written: {error.orig}; run the command again") from None
        except BaseException:
            self.db.rollback()
            raise

    def backup(self, why):
        """Copy the database into the folder ``backups`` beside it.

        Parameters
        ----------
        why : str
            A word for the file's name.

        Returns
        -------
        Path
            The copy.
        """
        return backup(self.path, why)

    def close(self):
        """Close the database."""
        self._gradebook.close()


@contextmanager
def open_book(course, *, create=False):
    """Open the gradebook of a course.

    Parameters
    ----------
    course : Course
    create : bool, default False
        Make it if there is none.

    Yields
    ------
    Book

    Raises
    ------
    CourseError
        If there is none, if the file is no gradebook, or if it comes from a newer nbgrader.

    Notes
    -----
    A gradebook of an older nbgrader is copied to ``backups/`` and then brought up to date.
    """
    path = course.gradebook.absolute()
    if path.exists():
        _check(path)
    elif not create:
        raise CourseError(f"no gradebook at {course.gradebook}; begin with `make release` or `make grade`")
    else:
        _make(path)
    try:
        book = Book(path)
    except DatabaseError as error:
        raise CourseError(f"{course.gradebook} cannot be opened: {error.orig}{_help(path)}") from None
    try:
        yield book
    finally:
        book.close()


def _make(path):
    """Make an empty gradebook: nbgrader's tables, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".draft-") as folder:
        draft = Path(folder) / path.name
        engine = create_engine(f"sqlite:///{draft}")
        Base.metadata.create_all(bind=engine)
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
            connection.execute(
                text("INSERT INTO alembic_version VALUES (:head)"), {"head": _scripts().get_current_head()}
            )
        engine.dispose()
        os.replace(draft, path)


def _scripts():
    """nbgrader's migrations."""
    script = Config()
    script.set_main_option("script_location", dbutil.ALEMBIC_DIR)
    return ScriptDirectory.from_config(script)


def _check(path):
    """Refuse what is no gradebook; bring an old one up to date."""
    uri = f"{path.as_uri()}?mode=rw"  # a killed writer leaves a journal, which opening it rolls back
    try:
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            tables = {
                name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            }
            found = (
                connection.execute("SELECT version_num FROM alembic_version").fetchone() if tables else None
            )
            fault = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        raise CourseError(f"{path} cannot be read as a gradebook: {error}{_help(path)}") from None
    if fault != "ok":
        raise CourseError(f"{path} is damaged: {fault}{_help(path)}")
    if not tables:
        raise CourseError(f"{path} is empty; remove it to begin anew{_help(path)}")
    scripts = _scripts()
    head = scripts.get_current_head()
    if found and found[0] == head:
        return
    if found is None or found[0] not in {revision.revision for revision in scripts.walk_revisions()}:
        raise CourseError(f"{path} has the schema {found and found[0]!r}, which this nbgrader does not know")
    copy = backup(path, "migration")
    try:
        with _programs_on_path():
            dbutil.upgrade(f"sqlite:///{path}")
    except Exception as error:
        write_whole(path, copy.read_bytes())
        raise CourseError(f"{path} could not be brought up to date and is as it was: {error}") from None


def _help(path):
    copies = sorted(path.parent.glob("backups/*.db"))
    return f"; the newest copy is {copies[-1]}" if copies else ""


def backup(path, why):
    """Copy a database with SQLite's own means, safe beside a writer; returns the path of the copy."""
    folder = path.parent / "backups"
    folder.mkdir(exist_ok=True)
    copy = folder / f"gradebook-{datetime.now():%Y%m%d-%H%M%S-%f}-{why}.db"
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    return copy


@contextmanager
def _programs_on_path():
    """nbgrader's migration calls ``alembic`` by name: let it find the one beside this Python."""
    before = os.environ.get("PATH", os.defpath)
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), before])
    try:
        yield
    finally:
        os.environ["PATH"] = before
