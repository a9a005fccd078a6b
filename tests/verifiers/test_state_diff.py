"""Changes of a state: expected, forbidden, and those nobody asked for."""

from __future__ import annotations

import math
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from turnwise.verifiers import InvalidInput
from turnwise.verifiers.state_diff import StateDiff, StateMark

BEFORE = {
    "user": {"name": "Ann", "email": "a@x", "tags": ["new"]},
    "orders": {"17": {"status": "open", "price": 5}, "18": {"status": "open", "price": 7}},
    "nan": math.nan,
}


def changed(**paths):
    """Returns the state after changes given by paths with double underscores."""
    state = {
        "user": {**BEFORE["user"], "tags": ["new"]},
        "orders": {key: dict(order) for key, order in BEFORE["orders"].items()},
        "nan": math.nan,
    }
    for path, value in paths.items():
        *steps, last = path.split("__")
        place = state
        for step in steps:
            place = place[step]
        if value is StateMark.REMOVED:
            del place[last]
        else:
            place[last] = value
    return state


def judge(verifier, after, before=BEFORE, **fields):
    return verifier("", state={"before": before, "after": after}, **fields)


@pytest.mark.parametrize(
    ("expected", "after"),
    [
        ({"user.email": "b@x"}, changed(user__email="b@x")),
        ({("user", "email"): "b@x"}, changed(user__email="b@x")),
        ({"orders.17.status": "paid", "orders.18": StateMark.REMOVED},
         changed(orders__17__status="paid", orders__18=StateMark.REMOVED)),
        ({"orders.*.status": "paid"}, changed(orders__17__status="paid", orders__18__status="paid")),
        ({"orders.*.status": "paid"}, changed(orders__17__status="paid")),
        ({"**.price": 9}, changed(orders__17__price=9.0)),
        ({"orders.19": {"status": "open", "price": 1}}, changed(orders__19={"price": 1, "status": "open"})),
        ({"orders.*": {"status": "x", "price": 5}}, changed(orders__17__status="x")),
        ({"user.tags": ["new", "vip"]}, changed(user__tags=["new", "vip"])),
        ({"user.tags.1": "vip"}, changed(user__tags=["new", "vip"])),
        ({"user.tags": []}, changed(user__tags=[])),
        ({"user": StateMark.CHANGED}, changed(user__name="Bob", user__email="c")),
        ({}, changed()),
        ({"user.tags.0": StateMark.REMOVED}, changed(user__tags=[])),
        ({"orders": {}}, changed(orders={})),
    ],
)  # fmt: skip
def test_the_expected_changes_and_no_others_score_1(expected, after):
    verdict = judge(StateDiff(expected), after)
    assert verdict.flat() == {"expected": 1.0, "forbidden": 1.0, "others": 1.0}
    assert (verdict.score, verdict.evidence) == (1.0, "changed as expected")


@pytest.mark.parametrize(
    ("expected", "after", "score", "evidence"),
    [
        ({"user.email": "b@x"}, changed(), 0.0, "not made: user.email"),
        ({"user.email": "b@x"}, changed(user__email="B@x"), 0.0, "not made: user.email"),
        ({"user.email": 1}, changed(user__email=True), 0.0, "not made: user.email"),
        ({"user.email": "1"}, changed(user__email=1), 0.0, "not made: user.email"),
        ({"user.email": None}, changed(user__email=StateMark.REMOVED), 0.0, "not made: user.email"),
        ({"user.email": StateMark.REMOVED}, changed(user__email=None), 0.0, "not made: user.email"),
        ({"user.tags": []}, changed(user__tags={}), 0.0, "not made: user.tags"),
        ({"user.email": "b", "user.name": "Bob"}, changed(user__email="b"), 0.5, "not made: user.name"),
        ({"orders.*.status": "paid"}, changed(orders__17__status="paid", orders__18__status="lost"), 0.0,
         "not made: orders.*.status"),
        ({"user.email": "b"}, changed(user__email="b", user__name="Bob"), 0.0, "unexpected: user.name"),
        ({"user.email": "b"}, changed(user__email="b", orders__17=StateMark.REMOVED), 0.0,
         "unexpected: orders.17.price, orders.17.status"),
        ({}, changed(user__extra={}), 0.0, "unexpected: user.extra"),
        ({"user.tags.0": StateMark.REMOVED}, changed(user__tags=None), 0.0, "unexpected: user.tags"),
        ({}, changed(user__name="Bob"), 0.0, "unexpected: user.name"),
        ({"user.*": StateMark.CHANGED}, changed(), 0.0, "not made: user.*"),
    ],
)  # fmt: skip
def test_what_is_missing_wrong_or_beside_it_costs_and_is_named(expected, after, score, evidence):
    verdict = judge(StateDiff(expected), after)
    assert (verdict.score, verdict.evidence) == (score, evidence)


def test_forbidden_changes_score_0_even_where_others_are_ignored():
    verifier = StateDiff({"user.email": "b"}, forbidden=["orders.*.price", "user.name"], others="ignore")
    assert judge(verifier, changed(user__email="b", orders__17__status="paid")).score == 1.0
    verdict = judge(verifier, changed(user__email="b", orders__18__price=0, user__name="X"))
    assert verdict.score == 0.0
    assert verdict.evidence == "forbidden: orders.18.price, user.name"
    assert judge(StateDiff({"user": StateMark.CHANGED}, forbidden=["user.name"]), changed(user__name="X")).score == 0.0


def test_each_sample_may_bring_its_expectations():
    assert judge(StateDiff(), changed(user__email="b"), reference={"user.email": "b"}).score == 1.0
    with pytest.raises(InvalidInput, match="give a mapping from paths"):
        judge(StateDiff(), changed())


def test_an_expected_change_that_is_none_is_an_error_since_doing_nothing_would_earn_it():
    verdict = judge(StateDiff({"user.email": "a@x"}), changed())
    assert verdict.status == "error"
    assert "'user.email' is as expected before anything was done" in verdict.error


def test_databases_are_compared_by_primary_key_in_every_form():
    script = "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b');"
    with closing(sqlite3.connect(":memory:")) as after:
        after.executescript(script + "DELETE FROM t WHERE id = 1; UPDATE t SET v = 'c' WHERE id = 2;")
        good = StateDiff({"t.1": StateMark.REMOVED, "t.2.v": "c"})
        assert judge(good, after, script).score == 1.0
        assert judge(StateDiff({"t.2.v": "c"}), after, script).evidence == "unexpected: t.1.id, t.1.v"
    assert judge(StateDiff({}), script, script).score == 1.0


def test_rows_without_a_primary_key_are_counted():
    before = "CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 'x'), (1, 'x'), (2, NULL);"
    after = before + "INSERT INTO t VALUES (1, 'x'); DELETE FROM t WHERE a = 2;"
    expected = {("t", "(1, 'x')"): 3, ("t", "(2, None)"): StateMark.REMOVED}
    assert judge(StateDiff(expected), after, before).score == 1.0
    both = "CREATE TABLE t (a, b, PRIMARY KEY (b, a)); INSERT INTO t VALUES (1, 'x');"
    assert judge(StateDiff({("t", "x,1", "a"): StateMark.REMOVED, ("t", "x,1", "b"): StateMark.REMOVED}),
                 both + "DELETE FROM t;", both).score == 1.0  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "path", "named"),
    [
        ("a.**.z", ("a", "z"), True),
        ("a.**.z", ("a", "b", "c", "z", "below"), True),
        ("a.**.z", ("a", "b"), False),
        ("**", ("a",), True),
        ("a.*", ("a",), False),
        ("*.*", ("a", "b", "c"), True),
        ("**.**.a", ("b", "c"), False),
    ],
)
def test_wildcards_stand_for_one_step_or_any_number(pattern, path, named):
    state = {"before": {}, "after": leaf_at(path)}
    verdict = StateDiff({}, forbidden=[pattern], others="ignore")("", state=state)
    assert (verdict.score == 0.0) is named


def leaf_at(path):
    value = 1
    for step in reversed(path):
        value = {step: value}
    return value


@pytest.mark.timeout(20)
def test_deep_cyclic_and_large_states_come_to_an_end():
    deep: dict[str, object] = {}
    deep["self"] = deep
    assert "nested more than 200 levels" in judge(StateDiff({}), deep).error
    wide = {str(number): number for number in range(20_000)}
    assert judge(StateDiff({"7": 8}), wide | {"7": 8}, wide).score == 1.0
    pattern = ".".join(["**", "*"] * 30 + ["x"])
    assert judge(StateDiff({}, forbidden=[pattern]), {}, leaf_at(["y"] * 150)).score == 0.0


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: StateDiff({"": 1}), "path=''"),
        (lambda: StateDiff({"a..b": 1}), "path='a..b'"),
        (lambda: StateDiff({(): 1}), "give steps"),
        (lambda: StateDiff(forbidden=[""]), "path=''"),
        (lambda: StateDiff(others="no"), "others='no'"),
        (lambda: StateDiff({})("x"), "give the states as"),
        (lambda: judge(StateDiff({}), 5), "give a mapping, a list or an SQLite database"),
    ],
)
def test_mistakes_of_the_caller_are_raised(make, words):
    with pytest.raises(InvalidInput, match=words):
        make()


def test_threads_that_share_a_verifier_get_the_same_verdicts():
    verifier = StateDiff({"user.email": "b"})
    cases = [changed(user__email="b"), changed(), changed(user__name="x")] * 30
    alone = [judge(verifier, after).to_json() for after in cases]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda after: judge(verifier, after).to_json(), cases)) == alone
