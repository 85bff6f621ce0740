"""Which pieces of a run are done: a small database beside the results.

That a file exists does not tell: a tile of zeros leaves none, and one that is being
written may exist already. So a piece counts as done once it is marked here, after its
results lie on the disk. One process has the ledger open at a time; when it ends, in
whatever way, the system gives the file free. Marks survive a process that is killed,
not always a failure of the power: results are not forced to the disk before.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Self

import numpy as np

from napari_unetpp.errors import OutputBusyError, OutputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import numpy.typing as npt

_TABLES = """
CREATE TABLE IF NOT EXISTS pieces (
    stage TEXT NOT NULL, piece INTEGER NOT NULL, record BLOB NOT NULL,
    PRIMARY KEY (stage, piece)
);
CREATE TABLE IF NOT EXISTS notes (
    number INTEGER PRIMARY KEY, kind TEXT NOT NULL, text TEXT NOT NULL,
    UNIQUE (kind, text)
);
"""
_MARK = "INSERT OR REPLACE INTO pieces VALUES (?, ?, ?)"
_GLANCE = 1.0
"""Seconds in which somebody who only looks into a ledger has closed it again."""
_PAGE = 256
"""Records that are read at once; marks may be made between two pages."""
_ROWS = 65_536
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_ERROR_BITS = 0xFF  # SQLite keeps the reason of an error above its kind


class Ledger:
    """What is done of each stage of a run, and what each piece left behind.

    Made by `open`, `in_memory` or `read_only`; threads of one process may share it.
    """

    def __init__(
        self, connection: sqlite3.Connection, name: str, *, owned: bool = False
    ) -> None:
        self._connection = connection
        self._owned = owned
        self._name = name
        self._lock = threading.Lock()

    @classmethod
    def open(cls, path: Path) -> Self:
        """Return the ledger at `path`, made if it is missing.

        Raises
        ------
        OutputBusyError
            If another run has it open.
        OutputError
            If it cannot be made or written to, or is damaged.
        """
        with _errors(str(path)):
            connection = sqlite3.connect(
                path, timeout=_GLANCE, isolation_level=None, check_same_thread=False
            )
            try:
                # In this order the log needs no memory shared between processes, so
                # that it works on network disks too; and it is held until the end.
                connection.execute("PRAGMA locking_mode = EXCLUSIVE")
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = NORMAL")
                connection.executescript(f"BEGIN IMMEDIATE;{_TABLES}COMMIT;")
            except sqlite3.Error:
                connection.close()
                raise
        return cls(connection, str(path), owned=True)

    @classmethod
    def in_memory(cls) -> Self:
        """Return a ledger that goes with the process."""
        connection = sqlite3.connect(
            ":memory:", isolation_level=None, check_same_thread=False
        )
        connection.executescript(_TABLES)
        return cls(connection, "ledger in memory")

    @classmethod
    def read_only(cls, path: Path) -> Self:
        """Return the ledger of a run that has ended, to look into.

        Raises
        ------
        OutputBusyError
            If a run still has it open.
        OutputError
            If it is missing or damaged.
        """
        with _errors(str(path)):
            connection = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode=ro",
                uri=True,
                timeout=0,
                isolation_level=None,
                check_same_thread=False,
            )
            try:
                query = "SELECT count(*) FROM sqlite_master WHERE name = 'notes'"
                (n_tables,) = connection.execute(query).fetchone()
            except sqlite3.Error:
                connection.close()
                raise
        if n_tables:
            return cls(connection, str(path))
        connection.close()  # whoever made it was killed at once: nothing is done
        return cls.in_memory()

    def mark(self, stage: str, index: int, record: bytes = b"") -> None:
        """Mark a piece as done.

        Parameters
        ----------
        stage : str
            What was done.
        index : int
            Which piece of it; marking it again replaces its record.
        record : bytes
            What later stages want to know of the piece.

        Raises
        ------
        OutputError
            If the disk is full or cannot be written; the piece is not marked then.
        """
        with self._lock, _errors(self._name):
            self._connection.execute(_MARK, (stage, index, record))

    def mark_many(self, stage: str, items: Iterable[tuple[int, bytes]]) -> None:
        """Mark pieces, given as index and record, all or none.

        Raises
        ------
        OutputError
            As `mark` does.
        """
        rows = ((stage, index, record) for index, record in items)
        with self._lock, _errors(self._name), self._transaction():
            self._connection.executemany(_MARK, rows)

    def done(self, stage: str, n: int) -> npt.NDArray[np.bool_]:
        """Return (n,) which of the pieces 0...n - 1 of a stage are done."""
        done = np.zeros(n, bool)
        query = "SELECT piece FROM pieces WHERE stage = ? AND piece BETWEEN 0 AND ?"
        with self._lock, _errors(self._name):
            rows = self._connection.execute(query, (stage, n - 1))
            while page := rows.fetchmany(_ROWS):
                done[np.fromiter((piece for (piece,) in page), np.int64)] = True
        return done

    def records(self, stage: str) -> Iterator[tuple[int, bytes]]:
        """Yield index and record of the pieces of a stage that are done, in order."""
        query = (
            "SELECT piece, record FROM pieces WHERE stage = ? AND piece > ?"
            f" ORDER BY piece LIMIT {_PAGE}"
        )
        last = -1
        while True:
            with self._lock, _errors(self._name):
                page = self._connection.execute(query, (stage, last)).fetchall()
            if not page:
                return
            yield from page
            last = page[-1][0]

    def note(self, kind: str, text: str) -> None:
        """Keep a line of text for the end of the run; the same line is kept once.

        Raises
        ------
        OutputError
            If the disk is full or cannot be written.
        """
        with self._lock, _errors(self._name):
            self._connection.execute(
                "INSERT OR IGNORE INTO notes (kind, text) VALUES (?, ?)", (kind, text)
            )

    def notes(self, kind: str) -> list[str]:
        """Return the lines of a kind, in the order in which they were noted."""
        query = "SELECT text FROM notes WHERE kind = ? ORDER BY number"
        with self._lock, _errors(self._name):
            return [text for (text,) in self._connection.execute(query, (kind,))]

    def close(self) -> None:
        """Give the file free; nothing else may be called afterwards."""
        with self._lock:
            if (
                self._owned
            ):  # without a log others need no shared memory to look into it
                with suppress(sqlite3.Error):
                    self._connection.execute("PRAGMA journal_mode = DELETE")
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Commit what is done inside, or undo it."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")


@contextmanager
def _errors(name: str) -> Iterator[None]:
    """Turn what SQLite says about the ledger `name` into errors of ours."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        kind = (getattr(error, "sqlite_errorcode", None) or 0) & _ERROR_BITS
        if kind in _BUSY:
            raise OutputBusyError(
                f"{name} is in use: another run writes these results at the moment;"
                " wait for it to end, or choose another folder"
            ) from error
        if kind in _DAMAGED:
            cure = "remove the folder it is in, and start the run anew"
            raise OutputError(f"{name} is damaged ({error}); {cure}") from error
        cure = "make room there, or see that you may write to it, and start again"
        raise OutputError(f"{name} cannot be written ({error}); {cure}") from error
