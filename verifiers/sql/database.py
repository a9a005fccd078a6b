"""A database as bytes: read once, never written, and copied into memory for every query."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeAlias

from turnwise.verifiers.errors import InvalidInput
from turnwise.verifiers.text import quoted

DatabaseSource: TypeAlias = "str | Path | Database"
"""A path of an SQLite file, an SQL script that makes the database, or a `Database`."""

FORMATS = slice(18, 20)
"""Bytes of the header that say how the file is written: 1 without, 2 with a write-ahead log."""


class Database:
    """One SQLite database, held in memory.

    Args:
        source: A path of an SQLite file, or an SQL script (text that names no file). The file is copied before it is
            opened, with its write-ahead log if there is one: not even a lock is left on it. The script is trusted.

    Raises:
        InvalidInput: There is no such file, it is no database, or the script fails.
    """

    def __init__(self, source: str | Path) -> None:
        path = Path(source) if isinstance(source, Path) or looks_like_path(source) else None
        try:
            image = read_script(str(source)) if path is None else read_file(path)
        except (sqlite3.Error, sqlite3.Warning, OSError) as error:
            raise InvalidInput(f"database {quoted(str(source))}: {error}") from error
        self.image = image[: FORMATS.start] + b"\x01\x01" + image[FORMATS.stop :] if image else image
        self.source = source

    def __repr__(self) -> str:
        """Returns the call that makes it, its source cut short."""
        return f"Database({quoted(str(self.source))})"

    def connect(self) -> sqlite3.Connection:
        """Returns a connection to a fresh copy in memory, in which every statement commits by itself."""
        connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        if self.image:
            connection.deserialize(self.image)
        return connection


def looks_like_path(source: str) -> bool:
    """Whether a text is a path: of something that exists, or it is no SQL since it has no white space or semicolon."""
    if not source.strip():
        return False
    try:
        if len(source) < 4096 and "\0" not in source and Path(source).exists():
            return True
    except OSError:  # too long for the file system
        return False
    return ";" not in source and len(source.split()) == 1


def read_script(script: str) -> bytes:
    """Returns the image of the database that a script makes."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(script)
        connection.commit()
        return image_of(connection)


def read_file(path: Path) -> bytes:
    """Returns the image of a database file, without opening the file itself as a database."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.db"
        shutil.copyfile(path, copy)
        log = path.with_name(f"{path.name}-wal")
        if log.exists():
            shutil.copyfile(log, f"{copy}-wal")
        with closing(sqlite3.connect(copy)) as connection, closing(sqlite3.connect(":memory:")) as memory:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            connection.backup(memory)
            return image_of(memory)


def image_of(connection: sqlite3.Connection) -> bytes:
    """Returns the bytes of a database; none where it has never held anything."""
    return connection.serialize() if connection.execute("PRAGMA page_count").fetchone()[0] else b""


def read_databases(database: DatabaseSource | Sequence[DatabaseSource]) -> list[Database]:
    """Returns the instances of a database.

    Raises:
        InvalidInput: There is none, or one cannot be read.
    """
    sources = [database] if isinstance(database, str | Path | Database) else list(database)
    if not sources:
        raise InvalidInput("database=[]: give at least one database")
    return [source if isinstance(source, Database) else Database(source) for source in sources]
