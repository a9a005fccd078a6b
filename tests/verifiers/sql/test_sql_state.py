"""Repairs: the database after, and nothing else."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from turnwise.verifiers import InvalidInput
from turnwise.verifiers.sql import SQLBudget, SQLPolicy, SQLState
from turnwise.verifiers.sql.text import statements

SHOP = """
CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT NOT NULL, price REAL);
INSERT INTO item VALUES (1, 'pen', 1.5), (2, 'ink', NULL), (3, 'cap', 4);
CREATE TABLE log (what TEXT);
CREATE TRIGGER watch AFTER DELETE ON item BEGIN INSERT INTO log VALUES (old.name); END;
"""
OTHER = SHOP + "INSERT INTO item VALUES (4, 'ink', 9);"
VERIFIER = SQLState([SHOP, OTHER])
REFERENCE = "UPDATE item SET price = 2 WHERE name = 'ink'"


@pytest.mark.parametrize(
    ("script", "reference"),
    [
        (REFERENCE, REFERENCE),
        ("```sql\nBEGIN; update item set price = 2.0 where name in ('ink'); COMMIT;\n```", REFERENCE),
        ("UPDATE item SET price = 3; UPDATE item SET price = 2", "UPDATE item SET price = 2"),
        ("CREATE TEMP TABLE x AS SELECT 1; " + REFERENCE, REFERENCE),
        ('ALTER TABLE item RENAME TO "thing"', "alter table item rename to thing -- now"),
        ("CREATE  INDEX byname ON item(name)", "create index byName on item ( name )"),
        (
            "INSERT INTO log VALUES ('a'), ('b')",
            "INSERT INTO log VALUES ('b'); INSERT INTO log VALUES ('a')",
        ),
        ("SELECT 1; " + REFERENCE + " RETURNING *", REFERENCE),
        ("SAVEPOINT a; DELETE FROM item; ROLLBACK TO a; RELEASE a; " + REFERENCE, REFERENCE),
    ],
)
def test_a_script_that_leaves_the_same_database_scores_1(script, reference):
    verdict = VERIFIER(script, reference)
    assert verdict.evidence == "the database is as expected"
    assert verdict.flat() == {"runs": 1.0, "schema": 1.0, "content": 1.0}
    assert verdict.score == 1.0


@pytest.mark.parametrize(
    ("script", "evidence", "parts"),
    [
        ("SELECT 1", "instance 1: the table 'item' holds other rows than expected", (1.0, 1.0, 0.0)),
        ("UPDATE item SET price = 2", "instance 1: the table 'item' holds other rows than expected", (1.0, 1.0, 0.0)),
        (
            "UPDATE item SET price = 2 WHERE id = 2",
            "instance 2: the table 'item' holds other rows than expected",
            (1.0, 1.0, 0.0),
        ),
        (
            REFERENCE + "; INSERT INTO log VALUES ('done')",
            "instance 1: the table 'log' holds other rows than expected",
            (1.0, 1.0, 0.0),
        ),
        (REFERENCE + "; CREATE TABLE x (y)", "instance 1: the table 'x' should not be there", (1.0, 0.0, 1.0)),
        (REFERENCE + "; DROP TRIGGER watch", "instance 1: the trigger 'watch' is missing", (1.0, 0.0, 1.0)),
        ("BEGIN; " + REFERENCE, "instance 1: the table 'item' holds other rows than expected", (1.0, 1.0, 0.0)),
        (REFERENCE + "; SELECT absent", "instance 1: no such column: absent", (0.0,)),
        ("ATTACH 'x.db' AS x", "instance 1: refused: it may not use ATTACH x.db", (0.0,)),
        ("PRAGMA writable_schema = 1", "instance 1: refused: it may not use PRAGMA writable_schema", (0.0,)),
        (
            "INSERT INTO log WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n",
            "instance 1: refused: it takes more than 1000000 instructions",
            (0.0,),
        ),
    ],
)
def test_a_script_that_leaves_anything_else_scores_0_and_says_what(script, evidence, parts):
    verdict = SQLState([SHOP, OTHER], budget=SQLBudget(steps=1_000_000))(script, REFERENCE)
    assert verdict.score == 0.0
    assert verdict.evidence == evidence
    assert tuple(part.score for part in verdict.parts.values()) == parts


def test_the_original_file_is_never_touched(tmp_path):
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(SHOP)
    before = path.read_bytes()
    assert SQLState(path)("DELETE FROM item", "DELETE FROM item").score == 1.0
    assert SQLState(path)("VACUUM INTO 'copy.db'", "DELETE FROM item").score == 0.0
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["shop.db"]


def test_a_reference_that_changes_nothing_is_flagged_or_abstained_from():
    verdict = VERIFIER("SELECT 1", "DELETE FROM item WHERE id = 99")
    assert verdict.score == 1.0
    assert verdict.metrics["unchanged_references"] == 2.0
    assert "the reference changes nothing on any instance" in verdict.evidence
    assert SQLState(SHOP, policy=SQLPolicy(empty="abstain"))("SELECT 1", "SELECT 1").status == "abstain"


def test_a_reference_that_fails_is_an_error_and_one_that_is_no_sql_a_mistake():
    verdict = VERIFIER(REFERENCE, "DELETE FROM absent")
    assert verdict.status == "error"
    assert verdict.error == "the reference script fails on instance 1: no such table: absent"
    with pytest.raises(InvalidInput, match="give the SQL as text"):
        VERIFIER(REFERENCE, None)


@pytest.mark.parametrize(
    "script",
    [";" * 90_000, "CREATE TRIGGER x AFTER DELETE ON item BEGIN " + "SELECT 1;" * 9_000, "x" * 200_000, "\x00", "'"],
    ids=lambda script: repr(script[:10]),
)
@pytest.mark.timeout(20)
def test_hostile_scripts_score_0(script):
    assert VERIFIER(script, REFERENCE).score == 0.0


def test_statements_are_told_apart_by_semicolons_that_are_tokens():
    script = "INSERT INTO a VALUES ('x;y'); -- one; two\n;" + SHOP[SHOP.index("CREATE TRIGGER") :] + "/* ; */ SELECT 1"
    assert list(statements(script)) == [
        "INSERT INTO a VALUES ('x;y');",
        "CREATE TRIGGER watch AFTER DELETE ON item BEGIN INSERT INTO log VALUES (old.name); END;",
        "/* ; */ SELECT 1",
    ]
