"""How a test went: decided on the host from what came out of the sandbox."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from turnwise.verifiers.code.cases import CallCase, StreamCase
from turnwise.verifiers.code.values import equal, shown, without_tuples
from turnwise.verifiers.sandbox.types import Result

LENGTH = struct.Struct(">I")
SHOWN = 200

OutcomeStatus: TypeAlias = Literal["pass", "fail", "error", "timeout"]
"""`pass`; `fail`: a wrong answer; `error`: no answer; `timeout`: none in time. A broken sandbox is none of these."""


@dataclass(frozen=True)
class Outcome:
    """How one test went.

    Attributes:
        status: What became of it.
        stage: How far the solution came: "compile", "load", "call" or "done".
        said: What to tell a person: input, expected and got, shortened.
        seconds: Processor time that it took.
    """

    status: OutcomeStatus
    stage: str
    said: str
    seconds: float


def outcome_of_call(case: CallCase, result: Result, nonce: str) -> Outcome:
    """Returns how a call went. Only a whole reply with the nonce is an answer; the exit status says nothing."""
    given = ", ".join([*map(shown, case.args), *(f"{name}={shown(tree)}" for name, tree in case.kwargs.items())])
    reply = reply_of(result.reply, nonce)
    if result.limit is not None:
        return _ended_by_limit(result, f"({given})", "call" if reply is None else str(reply["stage"]))
    if reply is None:
        return Outcome("error", "call", f"({given}) ended without an answer", result.cpu_seconds)
    if reply["stage"] != "done":
        raised = f"{reply.get('raised')}: {reply.get('said')}"[:SHOWN]
        return Outcome("error", str(reply["stage"]), f"({given}) raised {raised}", result.cpu_seconds)
    got, expected, others = reply.get("value"), case.expected, case.alternatives
    try:
        if case.tuples_as_lists:
            got, expected = without_tuples(got), without_tuples(expected)
        right = any(equal(got, wanted, case.tolerance, case.any_order) for wanted in (expected, *others))
        said = f"({given}) returned {shown(got)}, expected {shown(expected)}"
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError, OverflowError):
        return Outcome("error", "call", f"({given}) sent an answer that is no value", result.cpu_seconds)
    return Outcome("pass" if right else "fail", "done", said, result.cpu_seconds)


def reply_of(data: bytes, nonce: str) -> Mapping[str, Any] | None:
    """Returns the harness' reply, or None where what came is not exactly one reply to this request."""
    if len(data) < LENGTH.size or len(data) != LENGTH.size + LENGTH.unpack_from(data)[0]:
        return None
    try:
        reply = json.loads(data[LENGTH.size :])
    except (ValueError, RecursionError):
        return None
    known = isinstance(reply, dict) and reply.get("nonce") == nonce and reply.get("stage") in STAGES
    return reply if known else None


STAGES = ("compile", "load", "call", "done")


def outcome_of_stream(case: StreamCase, result: Result) -> Outcome:
    """Returns how a run with standard input went: what it printed counts, however it ended, unless a limit ended it."""
    given = shown(case.stdin)
    stage = "done"
    if result.exit_code != 0:
        stage = "compile" if is_syntax_error(result) else "call"
    if result.limit is not None:
        return _ended_by_limit(result, f"on {given} it", stage)
    if result.exit_code != 0:
        last = result.errors.strip().rpartition("\n")[2][:SHOWN]
        return Outcome(
            "error", stage, f"on {given} it ended with status {result.exit_code}: {last}", result.cpu_seconds
        )
    right = same_text(result.text, case.stdout, case.tolerance)
    said = f"on {given} it printed {shown(result.text)}, expected {shown(case.stdout)}"
    return Outcome("pass" if right else "fail", "done", said, result.cpu_seconds)


def is_syntax_error(result: Result) -> bool:
    """Whether a program ended because it is not Python: its last words name a syntax error, outside any frame."""
    lines = result.errors.strip().splitlines()
    syntax = bool(lines) and lines[-1].startswith(("SyntaxError:", "IndentationError:", "TabError:"))
    return syntax and not any(line.startswith("Traceback") for line in lines)


def same_text(got: str, expected: str, tolerance: float | None) -> bool:
    """Whether two outputs agree line by line, up to white space at the end of lines and of the text.

    Args:
        got: What was printed.
        expected: What should have been.
        tolerance: None, or how far words that are both numbers may lie apart.
    """
    mine, theirs = ([line.rstrip() for line in text.rstrip().split("\n")] for text in (got, expected))
    if tolerance is None or len(mine) != len(theirs):
        return mine == theirs
    return all(_same_words(left.split(), right.split(), tolerance) for left, right in zip(mine, theirs, strict=True))


def _same_words(left: list[str], right: list[str], tolerance: float) -> bool:
    return len(left) == len(right) and all(map(lambda a, b: a == b or _near(a, b, tolerance), left, right))


def _near(left: str, right: str, tolerance: float) -> bool:
    try:
        return math.isclose(float(left), float(right), rel_tol=tolerance, abs_tol=tolerance)
    except ValueError:
        return False


def _ended_by_limit(result: Result, what: str, stage: str) -> Outcome:
    timed_out = result.limit in ("wall_seconds", "cpu_seconds")
    status: OutcomeStatus = "timeout" if timed_out else "error"
    return Outcome(status, stage, f"{what} exceeded the limit of {result.limit}", result.cpu_seconds)
