"""Repairs judged by the database that they leave behind."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from turnwise.verifiers.base import Verifier
from turnwise.verifiers.errors import Abstain, VerifierError
from turnwise.verifiers.sql.database import Database, DatabaseSource, read_databases
from turnwise.verifiers.sql.guard import QueryFailed, Row, failure, guarded
from turnwise.verifiers.sql.policy import SQLBudget, SQLPolicy
from turnwise.verifiers.sql.results import same_bag
from turnwise.verifiers.sql.text import extract_sql, statements, tokens
from turnwise.verifiers.sql.verifier import reference_sql
from turnwise.verifiers.text import quoted
from turnwise.verifiers.types import Sample, Verdict


@dataclass(frozen=True)
class State:
    """A database's content.

    Attributes:
        schema: The tokens of each definition, by kind and name.
        rows: The rows of each table, by name.
    """

    schema: Mapping[tuple[str, str], Sequence[tuple[str, str]]]
    rows: Mapping[str, Sequence[Row]]


class SQLState(Verifier):
    """1 where a script leaves the database as the reference script does, and nothing else changed, on every instance.

    For tasks that repair or change data (as in BIRD-CRITIC, SWE-SQL, arXiv 2506.18951): several statements are allowed,
    on a copy in memory; attaching, pragmas, virtual tables and extensions are not. Compared are the definitions of all
    tables, indices, views and triggers, token by token without comments, case and needless quotes, and the rows of all
    tables as bags. What stands in a transaction that is never committed did not happen; temporary tables do not count.

    `parts`: `runs` (every statement does), `schema`, `content`; each 0 or 1. A reference that fails is an error.

    Args:
        database: A path, an SQL script that makes the database, or a list of several instances.
        policy: What counts as the same value (the order of columns is part of the schema); where the reference changes
            nothing on any instance, `empty` says whether this is flagged or abstained from.
        budget: How much work a script may be; `rows` and `result_bytes` limit the tables that are compared.

    Raises:
        InvalidInput: A database cannot be read. When judging: the reference is no text.
    """

    def __init__(
        self,
        database: DatabaseSource | Sequence[DatabaseSource],
        *,
        policy: SQLPolicy | None = None,
        budget: SQLBudget | None = None,
    ) -> None:
        self.database = read_databases(database)
        self.policy = policy if policy is not None else SQLPolicy()
        self.budget = budget if budget is not None else SQLBudget()

    def _verify(self, sample: Sample) -> Verdict:
        reference, script = reference_sql(sample.reference), extract_sql(sample.text)
        expected = []
        unchanged = 0
        for number, database in enumerate(self.database, start=1):
            try:
                expected.append(state_after(database, reference, self.budget))
                before = state_after(database, "", self.budget)
            except QueryFailed as failed:
                raise VerifierError(f"the reference script fails on instance {number}: {failed}") from failed
            unchanged += differences(before, expected[-1], self.policy) == ([], [])
        metrics = {"instances": float(len(expected)), "unchanged_references": float(unchanged)}
        note = ""
        if unchanged == len(expected):
            if self.policy.empty == "abstain":
                raise Abstain("the reference changes nothing on any instance: to do nothing agrees")
            note = "; the reference changes nothing on any instance"
        return self._judged(script, expected, metrics, note)

    def _judged(self, script: str, expected: Sequence[State], metrics: dict[str, float], note: str) -> Verdict:
        for number, (database, wanted) in enumerate(zip(self.database, expected, strict=True), start=1):
            where = f"instance {number}: " if len(expected) > 1 else ""
            try:
                state = state_after(database, script, self.budget)
            except QueryFailed as failed:
                evidence = f"{where}{'refused: ' if failed.refused else ''}{failed}{note}"
                return Verdict(0.0, {"runs": Verdict(0.0, evidence=evidence)}, evidence, metrics=metrics)
            schema, content = differences(state, wanted, self.policy)
            if schema or content:
                evidence = where + "; ".join([*schema[:3], *content[:3]]) + note
                parts = {
                    "runs": Verdict(1.0),
                    "schema": Verdict(float(not schema), evidence="; ".join(schema[:3])),
                    "content": Verdict(float(not content), evidence="; ".join(content[:3])),
                }
                return Verdict(0.0, parts, evidence, metrics=metrics)
        parts = {name: Verdict(1.0) for name in ("runs", "schema", "content")}
        return Verdict(1.0, parts, f"the database is as expected{note}", metrics=metrics)


def state_after(database: Database, script: str, budget: SQLBudget) -> State:
    """Returns what a copy of a database holds after a script.

    Raises:
        QueryFailed: A statement fails or is refused, or the whole is too much.
        VerifierTimeout: See `failure`.
    """
    if len(script.encode("utf-8", "surrogatepass")) > budget.sql_bytes:
        raise QueryFailed(f"it has more than {budget.sql_bytes} bytes", refused=True)
    with guarded(database, budget, writing=True) as (connection, usage):
        try:
            for statement in statements(script):
                for _ in connection.execute(statement):  # a SELECT, or RETURNING: what it returns does not matter
                    pass
            connection.set_authorizer(None)
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            return state_of(connection, budget)
        except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError) as error:
            raise failure(error, usage) from error


def state_of(connection: sqlite3.Connection, budget: SQLBudget) -> State:
    """Returns what a database holds.

    Raises:
        QueryFailed: It holds more than can be compared.
    """
    query = "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    schema, rows, size = {}, {}, 0
    for kind, name, sql in connection.execute(query).fetchall():
        schema[kind, name.lower()] = tokens(sql or "")
        if kind != "table":
            continue
        found: list[Row] = []
        quoted_name = name.replace('"', '""')
        for row in connection.execute(f'SELECT * FROM "{quoted_name}"'):
            size += sum(len(value) if isinstance(value, str | bytes) else 8 for value in row)
            found.append(row)
            if len(found) > budget.rows or size > budget.result_bytes:
                raise QueryFailed(f"the table {quoted(name)} is too large: {budget.rows} rows are compared")
        rows[name.lower()] = found
    return State(schema, rows)


def differences(state: State, wanted: State, policy: SQLPolicy) -> tuple[list[str], list[str]]:
    """Returns what is different in the schema, and in the rows."""
    schema = []
    for kind, name in sorted({*state.schema, *wanted.schema}):
        mine, theirs = state.schema.get((kind, name)), wanted.schema.get((kind, name))
        if mine != theirs:
            fault = (
                "is missing" if mine is None else "should not be there" if theirs is None else "is defined otherwise"
            )
            schema.append(f"the {kind} {quoted(name)} {fault}")
    content = []
    for name in sorted({*state.rows} & {*wanted.rows}):
        if not same_bag(state.rows[name], wanted.rows[name], policy):
            content.append(f"the table {quoted(name)} holds other rows than expected")
    return schema, content
