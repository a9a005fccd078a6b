"""Queries of strangers: what they may do, how much of it, and what they returned."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from turnwise.verifiers.errors import VerifierTimeout
from turnwise.verifiers.sql.database import Database
from turnwise.verifiers.sql.policy import SQLBudget

Value: TypeAlias = "int | float | str | bytes | None"
Row: TypeAlias = tuple[Value, ...]

INTERVAL = 100
"""Instructions between two looks at the budget: some take long, so they are few."""

READING = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE})

WRITING = READING | {
    sqlite3.SQLITE_INSERT,
    sqlite3.SQLITE_UPDATE,
    sqlite3.SQLITE_DELETE,
    sqlite3.SQLITE_CREATE_TABLE,
    sqlite3.SQLITE_CREATE_INDEX,
    sqlite3.SQLITE_CREATE_VIEW,
    sqlite3.SQLITE_CREATE_TRIGGER,
    sqlite3.SQLITE_CREATE_TEMP_TABLE,
    sqlite3.SQLITE_CREATE_TEMP_INDEX,
    sqlite3.SQLITE_CREATE_TEMP_VIEW,
    sqlite3.SQLITE_CREATE_TEMP_TRIGGER,
    sqlite3.SQLITE_DROP_TABLE,
    sqlite3.SQLITE_DROP_INDEX,
    sqlite3.SQLITE_DROP_VIEW,
    sqlite3.SQLITE_DROP_TRIGGER,
    sqlite3.SQLITE_DROP_TEMP_TABLE,
    sqlite3.SQLITE_DROP_TEMP_INDEX,
    sqlite3.SQLITE_DROP_TEMP_VIEW,
    sqlite3.SQLITE_DROP_TEMP_TRIGGER,
    sqlite3.SQLITE_ALTER_TABLE,
    sqlite3.SQLITE_REINDEX,
    sqlite3.SQLITE_ANALYZE,
    sqlite3.SQLITE_TRANSACTION,
    sqlite3.SQLITE_SAVEPOINT,
}

ACTION_NAMES = {
    getattr(sqlite3, f"SQLITE_{name}"): name.replace("_", " ")
    for name in (
        *("ATTACH", "DETACH", "PRAGMA", "INSERT", "UPDATE", "DELETE", "TRANSACTION", "SAVEPOINT", "REINDEX", "ANALYZE"),
        *("CREATE_TABLE", "CREATE_INDEX", "CREATE_VIEW", "CREATE_TRIGGER", "CREATE_VTABLE", "CREATE_TEMP_TABLE"),
        *("DROP_TABLE", "DROP_INDEX", "DROP_VIEW", "DROP_TRIGGER", "DROP_VTABLE", "ALTER_TABLE"),
        *("CREATE_TEMP_VIEW", "CREATE_TEMP_INDEX", "CREATE_TEMP_TRIGGER"),
    )
}

REFUSED_FUNCTIONS = frozenset(
    {"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer", "random", "randomblob", "zeroblob"}
)
"""Functions that reach outside, return something else each time, or make much of nothing."""


class QueryFailed(Exception):
    """A query did not run to its end.

    Args:
        reason: Why.
        refused: Whether it tried what it may not do, rather than being wrong.
    """

    def __init__(self, reason: str, *, refused: bool = False) -> None:
        super().__init__(reason)
        self.refused = refused


@dataclass
class Usage:
    """What one connection did.

    Attributes:
        steps: Instructions spent, in multiples of `INTERVAL`.
        refused: What it tried and may not do, or None.
        exhausted: Which limit it ran into, or None.
        read: Tables, as (table, ""), and columns, as (table, column), that the statement refers to; lower case.
    """

    steps: int = 0
    refused: str | None = None
    exhausted: str | None = None
    read: set[tuple[str, str]] = field(default_factory=set)


@contextmanager
def guarded(
    database: Database, budget: SQLBudget, *, writing: bool = False, reverse: bool = False
) -> Iterator[tuple[sqlite3.Connection, Usage]]:
    """Opens a copy of a database on which only reading is possible, or only reading and writing of its own tables.

    Args:
        database: What is copied.
        budget: How much work all statements together may be.
        writing: Whether tables may be changed; attaching, pragmas, virtual tables and extensions never may be used.
        reverse: Whether rows whose order no ORDER BY says come the other way round where SQLite can do that.
    """
    usage = Usage()
    with closing(database.connect()) as connection:
        connection.text_factory = decoded
        if reverse:
            connection.execute("PRAGMA reverse_unordered_selects = ON")
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, budget.value_bytes)
        connection.setlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH, budget.sql_bytes)
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1000)
        connection.set_authorizer(authoriser(usage, WRITING if writing else READING))
        connection.set_progress_handler(meter(usage, budget), INTERVAL)
        yield connection, usage


def decoded(raw: bytes) -> str:
    """Returns text of the database; bytes that are no UTF-8 stay distinguishable."""
    return raw.decode("utf-8", "surrogateescape")


def authoriser(usage: Usage, allowed: frozenset[int]) -> Any:
    """Returns the callback that SQLite asks about everything that a statement means to do."""

    def authorise(action: int, first: str | None, second: str | None, schema: str | None, inner: str | None) -> int:
        if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in REFUSED_FUNCTIONS:
            usage.refused = f"the function {second}"
            return sqlite3.SQLITE_DENY
        if action not in allowed:
            schema_change = (first or "").lower() in ("sqlite_master", "sqlite_temp_master")  # what is asked for first
            usage.refused = (
                "a change of the schema" if schema_change else f"{action_name(action)} {first or ''}".strip()
            )
            return sqlite3.SQLITE_DENY
        if action == sqlite3.SQLITE_READ and first:
            usage.read |= {(first.lower(), ""), (first.lower(), (second or "").lower())}
        return sqlite3.SQLITE_OK

    return authorise


def action_name(action: int) -> str:
    """Returns the words for an action code: `DROP TABLE`."""
    return ACTION_NAMES.get(action, f"action {action}")


def meter(usage: Usage, budget: SQLBudget) -> Any:
    """Returns the callback that SQLite makes every `INTERVAL` instructions; true stops the statement."""
    end = time.thread_time() + budget.seconds

    def spent() -> bool:
        usage.steps += INTERVAL
        if usage.steps > budget.steps:
            usage.exhausted = f"more than {budget.steps} instructions"
        elif time.thread_time() > end:
            usage.exhausted = "seconds"
        return usage.exhausted is not None

    return spent


def failure(error: Exception, usage: Usage) -> Exception:
    """Returns what the failure of a statement means.

    Returns:
        A `VerifierTimeout` where the backstop in seconds struck, else a `QueryFailed`.
    """
    if usage.exhausted == "seconds":
        return VerifierTimeout("a query ran out of CPU seconds before it ran out of instructions")
    if usage.exhausted:
        return QueryFailed(f"it takes {usage.exhausted}", refused=True)
    if usage.refused:
        return QueryFailed(f"it may not use {usage.refused}", refused=True)
    several = "one statement at a time" in str(error)
    return QueryFailed("it is more than one statement" if several else str(error), refused=several)


def compiled(database: Database, sql: str, budget: SQLBudget) -> set[tuple[str, str]]:
    """Returns the tables and columns that a query refers to, as SQLite resolves it, without running it.

    Raises:
        QueryFailed: It does not compile, or may not do what it says.
        VerifierTimeout: See `failure`.
    """
    with guarded(database, budget) as (connection, usage):
        try:
            connection.execute(f"EXPLAIN {sql}").close()
        except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError) as error:
            raise failure(error, usage) from error
        return {pair for pair in usage.read if not pair[0].startswith("sqlite_")}


def run_query(database: Database, sql: str, budget: SQLBudget, most_rows: int, *, reverse: bool = False) -> list[Row]:
    """Returns the rows that a query selects from a copy of a database.

    Args:
        database: What is queried.
        sql: One SELECT, VALUES or WITH statement.
        budget: How much work it may be.
        most_rows: Rows after which it fails.
        reverse: See `guarded`.

    Raises:
        QueryFailed: It is wrong, forbidden, or too much.
        VerifierTimeout: See `failure`.
    """
    with guarded(database, budget, reverse=reverse) as (connection, usage):
        rows: list[Row] = []
        size = 0
        try:
            cursor = connection.execute(sql)
            if cursor.description is None:
                raise QueryFailed("it is no query")
            for row in cursor:
                size += sum(len(value) if isinstance(value, str | bytes) else 8 for value in row)
                rows.append(row)
                if len(rows) > most_rows:
                    raise QueryFailed(f"it returns more than {most_rows} rows")
                if size > budget.result_bytes:
                    raise QueryFailed(f"it returns more than {budget.result_bytes} bytes")
        except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError) as error:
            raise failure(error, usage) from error
        return rows
