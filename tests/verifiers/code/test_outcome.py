from __future__ import annotations

import json
import struct
from typing import Any

import pytest

from turnwise.verifiers.code.cases import CallCase, StreamCase
from turnwise.verifiers.code.outcome import outcome_of_call, outcome_of_stream, same_text
from turnwise.verifiers.sandbox import Result

CASE = CallCase((1,), {}, 2)


def replied(reply: Any, **others: Any) -> Result:
    body = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
    return Result(0, b"", b"", 0.1, 0.1, 1, others.get("limit"), struct.pack(">I", len(body)) + body)


def status(result: Result) -> str:
    return outcome_of_call(CASE, result, "nonce").status


def test_an_answer_is_a_whole_reply_with_the_nonce() -> None:
    good = {"stage": "done", "value": 2, "nonce": "nonce"}
    assert status(replied(good)) == "pass"
    assert status(replied({**good, "value": 3})) == "fail"
    assert status(replied({**good, "nonce": "other"})) == "error"
    assert status(replied({**good, "stage": "passed"})) == "error"
    assert status(replied({**good, "stage": ["done"]})) == "error"
    assert status(replied([good])) == "error"


def test_an_answer_after_which_more_came_is_none() -> None:
    good = replied({"stage": "done", "value": 2, "nonce": "nonce"})
    assert status(Result(0, b"", b"", 0.1, 0.1, 1, None, good.reply + b"x")) == "error"
    assert status(Result(0, b"", b"", 0.1, 0.1, 1, None, good.reply[:-1])) == "error"
    assert status(Result(0, b"", b"", 0.1, 0.1, 1, None, good.reply * 2)) == "error"


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b"NaN", b"9" * 10_000])
def test_replies_that_are_no_json_are_none(body: bytes) -> None:
    assert status(replied(body)) == "error"


NO_TREES: list[Any] = [
    *({"int": 5}, {"int": "0x2", "other": 1}, {}, {"list": 3}, {"float": "x"}, {"dict": [1]}, {"dict": [[1]]}),
    *({"set": {"a": 1}}, {"tuple": None}, {"complex": []}, [1, {"int": []}]),
]


@pytest.mark.parametrize("value", NO_TREES)
def test_trees_that_no_value_has_never_pass_and_never_raise(value: Any) -> None:
    assert status(replied({"stage": "done", "value": value, "nonce": "nonce"})) in ("error", "fail")


def test_a_limit_overrides_an_answer() -> None:
    good = {"stage": "done", "value": 2, "nonce": "nonce"}
    assert status(replied(good, limit="wall_seconds")) == "timeout"
    assert status(replied(good, limit="cpu_seconds")) == "timeout"
    assert status(replied(good, limit="memory_bytes")) == "error"


def printed(text: bytes, code: int = 0, errors: bytes = b"") -> Result:
    return Result(code, text, errors, 0.1, 0.1, 1, None)


def test_a_program_is_judged_by_what_it_printed_unless_it_crashed() -> None:
    case = StreamCase("", "a\nb\n")
    assert outcome_of_stream(case, printed(b"a \nb\n\n")).status == "pass"
    assert outcome_of_stream(case, printed(b"a b\n")).status == "fail"
    assert outcome_of_stream(case, printed(b"a\nb\n", code=1)).status == "error"
    assert outcome_of_stream(case, printed(b"\xff\xfe")).status == "fail"


def test_a_syntax_error_is_told_from_one_that_the_program_raises() -> None:
    case = StreamCase("", "")
    own = b'  File "/work/main.py", line 1\n    x =\n       ^\nSyntaxError: invalid syntax\n'
    raised = b'Traceback (most recent call last):\n  File "/work/main.py", line 1, in <module>\nSyntaxError: x\n'
    assert outcome_of_stream(case, printed(b"", 1, own)).stage == "compile"
    assert outcome_of_stream(case, printed(b"", 1, raised)).stage == "call"


@pytest.mark.parametrize(
    ("got", "expected", "tolerance", "same"),
    [
        ("1.0001 m", "1 m", 0.001, True),
        ("1.1", "1", 0.001, False),
        ("1.0001", "1", None, False),
        ("a  b", "a b", 0.1, True),
        ("1 2", "1", 0.1, False),
        ("1\n2", "1", 0.1, False),
        ("nan", "1", 0.1, False),
        ("  a", "a", None, False),
        ("", "\n", None, True),
    ],
)
def test_text_is_compared_line_by_line(got: str, expected: str, tolerance: float | None, same: bool) -> None:
    assert same_text(got, expected, tolerance) is same
