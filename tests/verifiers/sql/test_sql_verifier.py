"""Queries: what agrees, what does not, and what a stranger's query may not do."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from turnwise.verifiers import InvalidInput
from turnwise.verifiers.sql import Database, SQLBudget, SQLPolicy, SQLVerifier

FIRST = """
CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT, age INTEGER, city TEXT, score REAL, photo BLOB);
INSERT INTO person VALUES (1, 'Ann', 30, 'Rome', 0.1, x'00'), (2, 'Bob', 25, 'Rome', 0.2, x''),
    (3, 'Cid', 30, 'Oslo', 0.3, NULL), (4, 'Dee', 41, NULL, 0.7, x'ff');
CREATE TABLE pet (owner INTEGER, name TEXT);
INSERT INTO pet VALUES (1, 'Rex'), (1, 'Rex'), (3, '');
CREATE VIEW old AS SELECT name FROM person WHERE age > 29;
"""
SECOND = FIRST + "INSERT INTO person VALUES (5, 'Eve', 29, 'Rome', 5.5, NULL); INSERT INTO pet VALUES (5, 'Tom');"
VERIFIER = SQLVerifier([FIRST, SECOND])


def execution(sql, reference, verifier=VERIFIER):
    verdict = verifier(sql, reference)
    assert verdict.decided, verdict.error
    return verdict.parts["execution"].score


@pytest.mark.parametrize(
    ("sql", "reference"),
    [
        ("select NAME from PERSON where age>=30;", "SELECT name FROM person WHERE age >= 30"),
        ("SELECT p.name AS x FROM person p WHERE p.age IN (30, 41)", "SELECT name FROM person WHERE age > 29"),
        ("SELECT name FROM person ORDER BY age", "SELECT name FROM person"),
        ("SELECT name FROM old", "SELECT name FROM person WHERE age > 29"),
        ("WITH q AS (SELECT count(*) n FROM pet) SELECT n FROM q", "SELECT count(*) FROM pet"),
        ("SELECT name FROM person ORDER BY -age, name DESC", "SELECT name FROM person ORDER BY age DESC"),
        ("SELECT sum(score) / count(*) FROM person", "SELECT avg(score) FROM person"),
        ("SELECT 2.0", "SELECT 2"),
        ("VALUES (1), (2)", "SELECT 2 UNION ALL SELECT 1"),
        ("SELECT id, id FROM person", "SELECT id, id AS id FROM person"),
        ("SELECT name FROM person -- ; a comment\n;", "/* ORDER BY */ SELECT name FROM person"),
        ("Here:\n```sql\nSELECT 1\n```\nor rather\n```sql\nSELECT 2\n```\n```python\nx\n```", "SELECT 2"),
        ("<think>```sql\nSELECT 1\n```</think><answer>SELECT 2</answer>", "SELECT 2"),
        ("SELECT photo FROM person", "SELECT photo FROM person"),
    ],
)
def test_queries_that_return_the_same_agree(sql, reference):
    verdict = VERIFIER(sql, reference)
    assert verdict.score == verdict.parts["execution"].score == 1.0


@pytest.mark.parametrize(
    ("sql", "reference"),
    [
        ("SELECT name FROM person WHERE age > 30", "SELECT name FROM person WHERE age >= 30"),
        ("SELECT DISTINCT city FROM person", "SELECT city FROM person"),
        ("SELECT city FROM person", "SELECT DISTINCT city FROM person"),
        ("SELECT DISTINCT name FROM pet", "SELECT name FROM pet"),
        ("SELECT name FROM person ORDER BY age DESC", "SELECT name FROM person ORDER BY age"),
        ("SELECT name FROM person", "SELECT name FROM person ORDER BY name DESC"),
        ("SELECT age, name FROM person", "SELECT name, age FROM person"),
        ("SELECT name, name FROM person", "SELECT name FROM person"),
        ("SELECT name FROM person LIMIT 3", "SELECT name FROM person"),
        ("SELECT NULL", "SELECT ''"),
        ("SELECT NULL", "SELECT 0"),
        ("SELECT ''", "SELECT x''"),
        ("SELECT '5'", "SELECT 5"),
        ("SELECT 'a'", "SELECT x'61'"),
        ("SELECT 'A'", "SELECT 'a'"),
        ("SELECT 9007199254740993", "SELECT 9007199254740992"),
        ("SELECT 0.30001", "SELECT 0.3"),
        ("SELECT 1e999", "SELECT 5.0"),
        ("SELECT 5.0", "SELECT 1e999"),
        ("SELECT 1 WHERE 0", "SELECT 1"),
        ("SELECT count(name) FROM pet", "SELECT count(DISTINCT name) FROM pet"),
        ("SELECT nothing FROM person", "SELECT name FROM person"),
        ("", "SELECT 1"),
        ("I do not know.", "SELECT 1"),
    ],
)
def test_near_misses_do_not_agree(sql, reference):
    assert execution(sql, reference) == 0.0
    assert VERIFIER(sql, reference).score <= 0.5


def test_a_second_instance_tells_apart_what_agrees_on_the_first_by_chance():
    wrong, right = "SELECT name FROM person WHERE age <> 25", "SELECT name FROM person WHERE age >= 30"
    assert execution(wrong, right, SQLVerifier(FIRST)) == 1.0
    verdict = VERIFIER(wrong, right)
    assert verdict.parts["execution"].score == 0.0
    assert verdict.evidence.startswith("on instance 2 it returns more than 3 rows")
    assert verdict.metrics == {"instances": 2.0, "empty_references": 0.0}


def test_a_tie_of_the_reference_may_stand_in_any_order_but_only_a_tie():
    reference = "SELECT name FROM person ORDER BY age"  # Ann and Cid are both 30
    for tied in ("'Ann', 'Cid'", "'Cid', 'Ann'"):
        values = ", ".join(f"({name})" for name in ["'Bob'", *tied.split(", "), "'Dee'"])
        assert execution(f"VALUES {values}", reference, SQLVerifier(FIRST)) == 1.0
    assert execution("VALUES ('Ann'), ('Bob'), ('Cid'), ('Dee')", reference, SQLVerifier(FIRST)) == 0.0


def test_a_limit_that_cuts_through_a_tie_accepts_the_orders_that_the_reference_allows():
    reference = "SELECT name FROM person ORDER BY age LIMIT 2"
    assert execution("VALUES ('Bob'), ('Ann')", reference, SQLVerifier(FIRST)) == 1.0
    assert execution("VALUES ('Bob'), ('Cid')", reference, SQLVerifier(FIRST)) == 1.0
    assert execution("VALUES ('Bob'), ('Dee')", reference, SQLVerifier(FIRST)) == 0.0
    assert execution("VALUES ('Cid'), ('Bob')", reference, SQLVerifier(FIRST)) == 0.0


@pytest.mark.parametrize(
    "reference",
    [
        "SELECT name FROM person UNION SELECT name FROM pet ORDER BY name; -- all",
        "SELECT DISTINCT city FROM person ORDER BY city COLLATE NOCASE DESC NULLS LAST LIMIT 2 OFFSET 1",
        "SELECT age, count(*) FROM person GROUP BY age HAVING count(*) > 0 ORDER BY count(*) /* ) */ ",
        'SELECT name AS "order by" FROM person ORDER BY "order by"',
        "SELECT 1 WHERE 0 ORDER BY 1",
    ],
)
def test_an_ordered_reference_agrees_with_itself(reference):
    assert execution(reference, reference) == 1.0


def test_only_the_outermost_order_by_of_the_reference_counts():
    inner = "SELECT name FROM (SELECT name, age FROM person ORDER BY age LIMIT 9)"
    assert execution("SELECT name FROM person ORDER BY name DESC", inner) == 1.0
    window = "SELECT name, row_number() OVER (ORDER BY id) FROM person"
    assert execution("SELECT name, id FROM person ORDER BY id DESC", window) == 1.0
    assert execution("SELECT 'ORDER BY', id FROM person ORDER BY id DESC", "SELECT 'ORDER BY', id FROM person") == 1.0


def test_the_policy_allows_other_column_orders_and_tolerances():
    loose = SQLVerifier([FIRST, SECOND], policy=SQLPolicy(column_order=False, absolute=0.01))
    assert execution("SELECT age, name FROM person", "SELECT name, age FROM person", loose) == 1.0
    assert execution("SELECT age, id, id FROM person", "SELECT id, age, id FROM person", loose) == 1.0
    assert execution("SELECT age, age, id FROM person", "SELECT id, age, id FROM person", loose) == 0.0
    assert execution("SELECT -id, name FROM person", "SELECT name, age FROM person", loose) == 0.0
    assert execution("SELECT score + 0.009 FROM person", "SELECT score FROM person", loose) == 1.0
    assert execution("SELECT score + 0.011 FROM person", "SELECT score FROM person", loose) == 0.0
    assert execution("SELECT id + 1 FROM person", "SELECT id FROM person", SQLVerifier(FIRST)) == 0.0


def test_columns_that_fit_one_by_one_but_not_row_by_row_do_not_agree():
    loose = SQLVerifier("", policy=SQLPolicy(column_order=False))
    assert execution("VALUES (1, 2), (2, 1)", "VALUES (1, 1), (2, 2)", loose) == 0.0
    many = ", ".join(["1"] * 60)
    assert execution(f"SELECT {many}", f"SELECT {many}", loose) == 1.0
    assert execution(f"VALUES ({many}, 2), ({many}, 1)", f"VALUES ({many}, 1), ({many}, 2)", loose) == 1.0


def test_the_parts_measure_how_near_a_wrong_query_is():
    # tokens: select name from person (3 pairs) against select name from person where age > 29 (7 pairs)
    verdict = VERIFIER("SELECT name FROM person", "SELECT name FROM person WHERE age > 29")
    assert {name: part.score for name, part in verdict.parts.items()} == pytest.approx(
        {"execution": 0.0, "syntax": 1.0, "schema": 2 / 3, "ngrams": 3 / 7}
    )
    assert verdict.score == pytest.approx(0.5 * (1 + 2 / 3 + 3 / 7) / 3)
    assert SQLVerifier(FIRST, partial=0.0)("SELECT name FROM person", "SELECT age FROM person").score == 0.0


def test_the_schema_part_sees_through_aliases_stars_and_views():
    part = VERIFIER("SELECT q.* FROM (SELECT p.name AS age FROM pet p) q", "SELECT name FROM pet").parts["schema"]
    assert part.score == 1.0
    broken = VERIFIER("SELECT name FRM person", "SELECT name FROM person")
    assert broken.parts["syntax"].score == 0.0
    assert broken.parts["schema"].score == 1.0
    assert "syntax error" in broken.evidence


ATTACKS = [
    "DROP TABLE person",
    "DELETE FROM person",
    "UPDATE person SET age = 0",
    "INSERT INTO pet VALUES (1, 'x')",
    "CREATE TABLE x (y)",
    "CREATE TEMP TABLE x AS SELECT 1",
    "CREATE VIRTUAL TABLE x USING fts5(y)",
    "PRAGMA writable_schema = 1",
    "PRAGMA table_info(person)",
    "SELECT * FROM pragma_table_info('person')",
    "VACUUM",
    "VACUUM INTO '{path}'",
    "ATTACH '{path}' AS other",
    "BEGIN",
    "SELECT load_extension('x')",
    "SELECT random()",
    "SELECT zeroblob(1000000)",
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP TABLE person",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n WHERE i < 0",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
    "SELECT count(*) FROM person a, person b, person c, person d, person e, person f, person g, person h, person i,"
    " person j, person k, person l",
    "SELECT " + "1 + " * 40_000 + "1",
]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda sql: sql[:30])
def test_what_is_no_harmless_query_is_refused_with_0_and_touches_nothing(attack, tmp_path):
    path, stray = tmp_path / "data.db", tmp_path / "stray.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(FIRST)
    before = path.read_bytes()
    verifier = SQLVerifier(path, budget=SQLBudget(steps=300_000))
    verdict = verifier(attack.replace("{path}", str(stray)), "SELECT 1 WHERE 0")
    assert verdict.decided
    assert verdict.score == verdict.parts["execution"].score == 0.0
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["data.db"]
    assert verifier("SELECT count(*) FROM person", "SELECT 4").score == 1.0


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("DROP TABLE person", "refused: it may not use a change of the schema"),
        ("ATTACH ':memory:' AS x", "refused: it may not use ATTACH :memory:"),
        ("SELECT random()", "refused: it may not use the function random"),
        ("SELECT 1; SELECT 2", "refused: it is more than one statement"),
        (ATTACKS[-4], "refused: it takes more than 300000 instructions"),
        ("SELECT '" + "x" * 100_000 + "'", "refused: it has more than 100000 bytes"),
    ],
)
def test_a_refusal_says_why(sql, reason):
    verdict = SQLVerifier(FIRST, budget=SQLBudget(steps=300_000))(sql, "SELECT 1")
    assert verdict.evidence.startswith(reason)


def test_the_work_that_stops_a_query_is_counted_not_timed():
    counting = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT {}) SELECT max(i) FROM n"
    verifier = SQLVerifier("", budget=SQLBudget(steps=100_000))
    verdicts = [verifier(counting.format(rows), "SELECT 1000").evidence for rows in (1000, 100_000) for _ in range(3)]
    assert verdicts == ["the results agree"] * 3 + [verdicts[3]] * 3
    assert "instructions" in verdicts[3]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT group_concat(name, hex(name)) FROM (WITH RECURSIVE n(i, name) AS (SELECT 1, 'x' UNION ALL "
        "SELECT i + 1, name || name FROM n LIMIT 40) SELECT name FROM n)",
        "SELECT '" + "a" * 50_000 + "' LIKE '" + "%a" * 400 + "b'",
        "(" * 90_000,
        "[" * 90_000,
        "'" * 90_001,
        "SELECT " + "(" * 5000 + "1" + ")" * 5000,
        "```sql" + "a" * 1_000_000,
        "SELECT \x00 1",
        "SELECT '\ud800'",
        "-- " * 30_000,
    ],
    ids=lambda sql: repr(sql[:16]),
)
@pytest.mark.timeout(30)
def test_hostile_text_scores_0(sql):
    verdict = VERIFIER(sql, "SELECT 1")
    assert verdict.score < 0.5
    assert verdict.parts["execution"].score == 0.0


def test_an_empty_reference_result_is_flagged_or_abstained_from():
    verdict = VERIFIER("SELECT name FROM person WHERE age > 1000", "SELECT name FROM person WHERE age > 999")
    assert verdict.score == 1.0
    assert verdict.metrics["empty_references"] == 2.0
    assert verdict.evidence.endswith("the reference returns no row on any instance")
    careful = SQLVerifier([FIRST, SECOND], policy=SQLPolicy(empty="abstain"))
    assert careful("SELECT 1", "SELECT 1 WHERE 0").status == "abstain"
    assert careful("SELECT 1", "SELECT name FROM person WHERE id = 5").score < 1.0  # one instance has a row


@pytest.mark.parametrize(
    "reference",
    ["SELECT nothing FROM person", "DELETE FROM person", "SELECT random()", "SELECT 1; SELECT 2", ATTACKS[-4]],
)
def test_a_reference_that_fails_is_an_error_and_never_0(reference):
    verdict = SQLVerifier(FIRST, budget=SQLBudget(steps=300_000))("SELECT 1", reference)
    assert verdict.status == "error"
    assert "the reference query fails on instance 1" in verdict.error


def test_limits_on_rows_and_values_hold():
    small = SQLVerifier(FIRST, budget=SQLBudget(rows=3, value_bytes=2000))
    assert small("SELECT 1", "SELECT id FROM person").status == "error"
    assert "returns more than 2 rows" in small("SELECT id FROM person", "VALUES (1), (2)").evidence
    assert small("SELECT printf('%5000d', 1)", "SELECT 1").parts["execution"].score == 0.0


@pytest.mark.parametrize("reference", [None, "", 5, "-- nothing"])
def test_a_reference_that_is_no_sql_is_the_callers_mistake(reference):
    with pytest.raises(InvalidInput, match="give the SQL as text"):
        VERIFIER("SELECT 1", reference)


def test_a_database_may_be_a_path_a_script_or_loaded_already(tmp_path):
    path = tmp_path / "data.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(FIRST)
        names = sorted(entry.name for entry in tmp_path.iterdir())
        assert "data.db-wal" in names
        for source in (path, str(path), FIRST, Database(path), [Database(FIRST), str(path)]):
            assert SQLVerifier(source)("SELECT count(*) FROM person", "SELECT 4").score == 1.0
        assert sorted(entry.name for entry in tmp_path.iterdir()) == names


def test_what_is_no_database_is_refused(tmp_path):
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"no database" * 100)
    for source in ("missing.db", tmp_path / "missing.db", broken, "SELECT FROM nothing;", []):
        with pytest.raises(InvalidInput, match="database"):
            SQLVerifier(source)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: SQLPolicy(relative=float("nan")), "relative=nan"),
        (lambda: SQLPolicy(empty="no"), "empty='no'"),
        (lambda: SQLBudget(steps=0), "steps=0"),
        (lambda: SQLVerifier("", partial=1.0), "partial=1.0"),
    ],
)
def test_options_out_of_range_are_refused(make, words):
    with pytest.raises(InvalidInput, match=words):
        make()


def test_text_that_is_no_utf8_is_compared_byte_by_byte():
    assert execution("SELECT CAST(x'ff' AS TEXT)", "SELECT CAST(x'ff' AS TEXT)") == 1.0
    assert execution("SELECT CAST(x'ff' AS TEXT)", "SELECT CAST(x'fe' AS TEXT)") == 0.0


def test_threads_that_share_a_verifier_get_the_same_verdicts():
    cases = ["SELECT name FROM person", "SELECT age FROM person", "DROP TABLE person", "SELECT", ATTACKS[-2]] * 8
    verifier = SQLVerifier(FIRST, budget=SQLBudget(steps=100_000))
    alone = [verifier(sql, "SELECT name FROM person").to_json() for sql in cases]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda sql: verifier(sql, "SELECT name FROM person").to_json(), cases))
    assert together == alone
