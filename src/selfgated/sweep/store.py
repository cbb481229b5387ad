"""The table of a sweep in one SQLite file, which a kill at any moment leaves whole."""

import json
import sqlite3
import time
import zlib
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from selfgated.sweep.errors import StoreError

__all__ = ["Spent", "Store"]

APPLICATION = 0x53474154  # "SGAT": tells a store from any other SQLite file
VERSION = 1
SCHEMA = """
CREATE TABLE rows (
    function TEXT, version TEXT, config_hash TEXT, seed INTEGER,
    config TEXT NOT NULL, result TEXT NOT NULL, checksum INTEGER NOT NULL,
    cpu_seconds REAL NOT NULL, finished TEXT NOT NULL,
    PRIMARY KEY (function, version, config_hash, seed)
) WITHOUT ROWID;
CREATE TABLE failures (
    function TEXT, version TEXT, config_hash TEXT, config TEXT NOT NULL, seeds TEXT NOT NULL,
    error TEXT NOT NULL, traceback TEXT NOT NULL, failed TEXT NOT NULL,
    PRIMARY KEY (function, version, config_hash)
) WITHOUT ROWID;
CREATE TABLE starts (
    id INTEGER PRIMARY KEY, function TEXT, version TEXT, began TEXT NOT NULL, wall_seconds REAL NOT NULL
);
"""


class Spent(NamedTuple):
    """Seconds that the stored rows of a sweep took: of processor time, and by the clock over all starts."""

    cpu_seconds: float
    wall_seconds: float
    starts: int


class Store:
    """Rows by unit function, version, configuration and seed; use it as a context manager.

    A second file, PATH.lock, is locked as long as the store is open: the operating system gives the lock
    back when the process ends, however it ends.

    Parameters
    ----------
    path : str or Path
        The file; it is made if it is not there, its folder is not.

    Raises
    ------
    StoreError
        If the file is damaged, is not a store, has another version, is in use by another sweep, or cannot be
        written. Nothing is changed then.
    """

    def __init__(self, path):
        """Lock and open the store."""
        self.path = Path(path)
        self._connection = self._lock = None
        if not self.path.parent.is_dir():
            raise StoreError(f"{self.path}: there is no folder {str(self.path.parent)!r}; make it first")
        if self.path.exists() and not self.path.is_file():
            raise StoreError(f"{self.path} is not a file; name a file for the store")
        try:
            self._hold()
            self._open()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        """Return the store itself."""
        return self

    def __exit__(self, *_):
        """Close the file and give the lock back."""
        self.close()

    def close(self):
        """Close the file and give the lock back; a second call does nothing."""
        for connection in (self._connection, self._lock):
            if connection is not None:
                connection.close()
        self._connection = self._lock = None

    def results(self, function, version, unit):
        """Stored results of a unit, as {seed: dict}; seeds without rows are left out."""
        query = (
            "SELECT seed, config, result, checksum FROM rows WHERE function=? AND version=? AND config_hash=?"
        )
        found = {}
        with self._explained("read"):
            for seed, config, result, checksum in self._connection.execute(
                query, (function, version, unit.key)
            ):
                if _checksum(config, result) != checksum or config != unit.text:
                    raise StoreError(
                        f"{self.path} is damaged: seed {seed} of {unit.text} has not the checksum it was "
                        "stored with. Nothing was changed; restore it from a copy, or name another store"
                    )
                if seed in unit.seeds:
                    found[seed] = json.loads(result)
        return found

    def begin(self, function, version):
        """Note that a start of this sweep begins to work; returns its number for `put` and `fail`."""
        with self._transaction():
            return self._connection.execute(
                "INSERT INTO starts (function, version, began, wall_seconds) VALUES (?, ?, ?, 0)",
                (function, version, _now()),
            ).lastrowid, time.monotonic()

    def put(self, function, version, unit, texts, *, cpu_seconds, start):
        """Store all rows of a unit in one transaction, and forget an earlier failure of it."""
        share = cpu_seconds / len(texts)
        with self._transaction():
            self._connection.executemany(
                "INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        function,
                        version,
                        unit.key,
                        seed,
                        unit.text,
                        text,
                        _checksum(unit.text, text),
                        share,
                        _now(),
                    )
                    for seed, text in zip(unit.seeds, texts, strict=True)
                ],
            )
            self._forget(function, version, unit)
            self._clock(start)

    def fail(self, function, version, failure, *, start):
        """Store why a unit gave no rows, in place of what was stored about it before."""
        unit = failure.unit
        with self._transaction():
            self._forget(function, version, unit)
            self._connection.execute(
                "INSERT INTO failures VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    function, version, unit.key, unit.text, json.dumps(unit.seeds),
                    failure.error, failure.traceback, _now(),
                ),
            )  # fmt: skip
            self._clock(start)

    def failures(self, function, version):
        """Stored failures as dicts: config, seeds, error, traceback, failed (when)."""
        query = (
            "SELECT config, seeds, error, traceback, failed FROM failures WHERE function=? AND version=? "
            "ORDER BY failed, config"
        )
        names = ("config", "seeds", "error", "traceback", "failed")
        with self._explained("read"):
            found = [
                dict(zip(names, row, strict=True))
                for row in self._connection.execute(query, (function, version))
            ]
        return [
            row | {"config": json.loads(row["config"]), "seeds": json.loads(row["seeds"])} for row in found
        ]

    def spent(self, function, version):
        """Seconds that the stored rows of this sweep took, over all starts."""
        key = (function, version)
        with self._explained("read"):
            (cpu,) = self._connection.execute(
                "SELECT total(cpu_seconds) FROM rows WHERE function=? AND version=?", key
            ).fetchone()
            wall, starts = self._connection.execute(
                "SELECT total(wall_seconds), count(*) FROM starts WHERE function=? AND version=?", key
            ).fetchone()
        return Spent(cpu, wall, starts)

    def ignored(self, function, version):
        """Count the rows of the same function that were stored under another version."""
        with self._explained("read"):
            return self._connection.execute(
                "SELECT count(*) FROM rows WHERE function=? AND version<>?", (function, version)
            ).fetchone()[0]

    def _forget(self, function, version, unit):
        self._connection.execute(
            "DELETE FROM failures WHERE function=? AND version=? AND config_hash=?",
            (function, version, unit.key),
        )

    def _clock(self, start):
        number, began = start
        self._connection.execute(
            "UPDATE starts SET wall_seconds=? WHERE id=?", (time.monotonic() - began, number)
        )

    def _hold(self):
        path = self.path.with_name(self.path.name + ".lock")
        try:
            self._lock = sqlite3.connect(path, timeout=0, isolation_level=None)
            self._lock.execute("PRAGMA journal_mode=MEMORY")  # leaves no second file beside the lock
            # EXCLUSIVE takes two locks in turn: of two at once each could hold one, and both give up.
            self._lock.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
                raise StoreError(
                    f"{self.path} is in use by another sweep; wait for it, or name another store"
                ) from None
            raise StoreError(f"{path} cannot be made and locked: {error}") from error

    def _open(self):
        with self._explained("open"):
            self._connection = sqlite3.connect(self.path, timeout=30, isolation_level=None)
            execute = self._connection.execute
            if not execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                if execute("PRAGMA page_count").fetchone()[0]:
                    raise StoreError(f"{self.path} is an SQLite file, but not the store of a sweep")
                return self._create()
            if execute("PRAGMA application_id").fetchone()[0] != APPLICATION:
                raise StoreError(f"{self.path} is an SQLite file, but not the store of a sweep")
            version = execute("PRAGMA user_version").fetchone()[0]
            if version != VERSION:
                raise StoreError(
                    f"{self.path} is a store of version {version}, and this library reads version {VERSION}; "
                    "name another store"
                )
            report = execute("PRAGMA quick_check(1)").fetchone()[0]
            if report != "ok":
                raise StoreError(
                    f"{self.path} is damaged ({report}); restore it from a copy, or name another store"
                )

    def _create(self):
        with self._transaction():
            for statement in SCHEMA.split(";"):
                self._connection.execute(statement)
            self._connection.execute(f"PRAGMA application_id={APPLICATION}")
            self._connection.execute(f"PRAGMA user_version={VERSION}")

    @contextmanager
    def _transaction(self):
        with self._explained("written"):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # SQLite has rolled back by itself when the disk is full
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _explained(self, doing):
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
            if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                text = (
                    f"{self.path} is damaged or not a store ({error}); nothing was changed. Restore it from "
                )
                raise StoreError(text + "a copy, or name another store") from error
            doing = {"open": "opened"}.get(doing, doing)
            raise StoreError(f"{self.path} cannot be {doing}: {error}") from error


def _checksum(config, result):
    return zlib.crc32(result.encode(), zlib.crc32(config.encode()))


def _now():
    return datetime.now().astimezone().isoformat(timespec="seconds")
