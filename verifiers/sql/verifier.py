"""Queries judged by what they return."""

from __future__ import annotations

from collections.abc import Sequence

from turnwise.verifiers.base import Verifier
from turnwise.verifiers.errors import Abstain, InvalidInput, VerifierError
from turnwise.verifiers.sql.database import Database, DatabaseSource, read_databases
from turnwise.verifiers.sql.guard import QueryFailed, Row, compiled, run_query
from turnwise.verifiers.sql.policy import SQLBudget, SQLPolicy
from turnwise.verifiers.sql.results import Orders, same_result
from turnwise.verifiers.sql.text import extract_sql, jaccard, ngrams, order_end, tokens
from turnwise.verifiers.text import quoted
from turnwise.verifiers.types import Sample, Verdict

NGRAM = 2
"""Tokens in a run that the similarity of two queries is measured by."""


class SQLVerifier(Verifier):
    """1 where a query returns what the reference query returns, on every instance of the database.

    Queries run on copies in memory on which SQLite's authoriser allows SELECT alone; see `SQLBudget` for the limits.
    Rows are compared in order where the outermost query of the reference has an ORDER BY (rows that tie in it may stand
    in any order), and as a bag otherwise: duplicates count. NULL, 0, the empty text and the empty blob differ; 5 and
    5.0 do not. Give at least two instances whose contents tell near misses apart.

    `parts`, after Reasoning-SQL (Pourreza et al. 2025, arXiv 2503.23157) without its judge:

    - `execution`: 1 if the results agree on every instance, else 0.
    - `syntax`: 1 if the query compiles.
    - `schema`: overlap |A & B| / |A | B| of the tables and columns that the two queries refer to, as SQLite itself
      resolves aliases, stars and subqueries; of a query that does not compile, the names of the schema in its text.
    - `ngrams`: the same overlap of the pairs of tokens next to each other.

    A wrong result scores `partial` times the mean of the last three; a query that is refused, too much work, or more
    than one statement, 0. A reference that fails is an error, never a 0.

    Args:
        database: A path, an SQL script that makes the database, or a list of several instances of one schema.
        policy: What counts as the same result.
        budget: How much work a query may be.
        partial: What a wrong result can score at most; at least 0 and below 1.

    Raises:
        InvalidInput: A database cannot be read, or `partial` is out of range. When judging: the reference is no text.
    """

    def __init__(
        self,
        database: DatabaseSource | Sequence[DatabaseSource],
        *,
        policy: SQLPolicy | None = None,
        budget: SQLBudget | None = None,
        partial: float = 0.5,
    ) -> None:
        if not 0 <= partial < 1:
            raise InvalidInput(f"partial={partial!r}: a wrong result must score at least 0 and less than 1")
        self.database = read_databases(database)
        self.policy = policy if policy is not None else SQLPolicy()
        self.budget = budget if budget is not None else SQLBudget()
        self.partial = partial

    def _verify(self, sample: Sample) -> Verdict:
        reference = reference_sql(sample.reference)
        sql = extract_sql(sample.text)
        expected = self._expected(reference)
        empty = sum(not orders[0] for orders in expected)
        metrics = {"instances": float(len(expected)), "empty_references": float(empty)}
        note = ""
        if empty == len(expected):
            if self.policy.empty == "abstain":
                raise Abstain("the reference returns no row on any instance: every query that returns none agrees")
            note = "; the reference returns no row on any instance"
        if len(sql.encode("utf-8", "surrogatepass")) > self.budget.sql_bytes:
            return self._refused(sql, f"it has more than {self.budget.sql_bytes} bytes", metrics)
        try:
            difference = self._difference(sql, expected, order_end(reference) is not None)
        except QueryFailed as failed:
            if failed.refused:
                return self._refused(sql, str(failed), metrics)
            difference = str(failed)
        parts = {"execution": Verdict(float(difference is None), evidence=(difference or "the results agree") + note)}
        parts |= self._parts(sql, reference)
        score = 1.0
        if difference is not None:
            score = self.partial * sum(parts[name].score for name in ("syntax", "schema", "ngrams")) / 3
        return Verdict(score, parts, parts["execution"].evidence, metrics=metrics)

    def _expected(self, reference: str) -> list[Orders]:
        """Returns the reference's result on each instance, in the orders that it leaves open.

        Raises:
            VerifierError: It fails.
        """
        results: list[Orders] = []
        for number, database in enumerate(self.database, start=1):
            try:
                rows = run_query(database, reference, self.budget, self.budget.rows)
                end = order_end(reference)
                if end is None:  # a LIMIT may take the rows from either end
                    results.append([rows, run_query(database, reference, self.budget, self.budget.rows, reverse=True)])
                else:
                    results.append([*self._ties(database, reference, end, rows), rows])
            except QueryFailed as failed:
                raise VerifierError(f"the reference query fails on instance {number}: {failed}") from failed
        return results

    def _ties(self, database: Database, reference: str, end: int, rows: list[Row]) -> list[list[Row]]:
        """Returns the reference's rows with its ties one way and the other, by ordering them by every column at last.

        Returns:
            Two results; none where the query does not take further terms.
        """
        results = []
        for direction in ("ASC", "DESC"):
            terms = "".join(f", {column} {direction}" for column in range(1, len(rows[0]) + 1)) if rows else ""
            try:
                sql = f"{reference[:end]}{terms}{reference[end:]}"
                results.append(run_query(database, sql, self.budget, self.budget.rows))
            except QueryFailed:
                return []
        return results

    def _difference(self, sql: str, expected: Sequence[Orders], ordered: bool) -> str | None:
        """Returns how a query's results differ from the expected ones, or None.

        Raises:
            QueryFailed: It does not run to its end.
        """
        for number, (database, orders) in enumerate(zip(self.database, expected, strict=True), start=1):
            where = f"on instance {number} " if len(expected) > 1 else ""
            try:
                rows = run_query(database, sql, self.budget, len(orders[0]))
            except QueryFailed as failed:
                raise QueryFailed(f"{where}{failed}", refused=failed.refused) from failed
            if not same_result(rows, orders, ordered, self.policy):
                return (
                    f"{where}{len(rows)} rows {shown(rows)} where {len(orders[0])} rows {shown(orders[0])} are expected"
                )
        return None

    def _refused(self, sql: str, reason: str, metrics: dict[str, float]) -> Verdict:
        evidence = f"refused: {reason}"
        parts = {name: Verdict(0.0, evidence=evidence) for name in ("execution", "syntax", "schema", "ngrams")}
        return Verdict(0.0, parts, f"{evidence}: {quoted(sql)}", metrics=metrics)

    def _parts(self, sql: str, reference: str) -> dict[str, Verdict]:
        database = self.database[0]
        wanted = compiled(database, reference, self.budget)
        try:
            used = compiled(database, sql, self.budget)
            syntax = Verdict(1.0, evidence="it compiles")
        except QueryFailed as failed:
            used = named_in(sql, database)
            wanted = named_in(reference, database)
            syntax = Verdict(0.0, evidence=str(failed))
        return {
            "syntax": syntax,
            "schema": Verdict(jaccard({*used}, {*wanted})),
            "ngrams": Verdict(jaccard({*ngrams(sql, NGRAM)}, {*ngrams(reference, NGRAM)})),
        }


def reference_sql(reference: object) -> str:
    """Returns the SQL of a reference.

    Raises:
        InvalidInput: It is no text, or there is none in it.
    """
    if not isinstance(reference, str) or not tokens(extract_sql(reference)):
        raise InvalidInput(f"reference={reference!r}: give the SQL as text")
    return extract_sql(reference)


def named_in(sql: str, database: Database) -> set[tuple[str, str]]:
    """Returns the names of tables and columns of the schema among the words of a text."""
    words = {text.strip('"`[]').lower() for kind, text in tokens(sql) if kind in ("word", "name")}
    connection = database.connect()
    try:
        query = (
            "SELECT m.name, p.name FROM sqlite_master m, pragma_table_info(m.name) p WHERE m.type IN ('table', 'view')"
        )
        names = {name.lower() for pair in connection.execute(query) for name in pair}
    finally:
        connection.close()
    return {("", word) for word in words & names}


def shown(rows: Sequence[Row]) -> str:
    """Returns the first rows for a person."""
    text = ", ".join(f"{row!r:.60}" for row in rows[:2])
    return f"[{text}{', ...' if len(rows) > 2 else ''}]"
