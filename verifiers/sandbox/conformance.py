"""The conformance suite: every hostile program against a sandbox, as `turnwise sandbox doctor` and the tests run it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from turnwise.verifiers.sandbox.base import Sandbox
from turnwise.verifiers.sandbox.errors import SandboxError
from turnwise.verifiers.sandbox.hostile import HOSTILE, LIMITS, MARK, PROBE, Hostile
from turnwise.verifiers.sandbox.types import Limits

SLACK = 5.0
"""Seconds beyond the deadline that ending a program may take on a busy machine."""


@dataclass(frozen=True)
class Finding:
    """How a sandbox stood one hostile program.

    Attributes:
        name: What the program tried.
        problem: What went wrong, or None.
    """

    name: str
    problem: str | None


def examine(sandbox: Sandbox) -> Iterator[Finding]:
    """Yields how a sandbox stands each hostile program, and whether it serves as before afterwards."""
    for hostile in HOSTILE:
        yield Finding(hostile.name, problem_with(sandbox, hostile))


def problem_with(sandbox: Sandbox, hostile: Hostile) -> str | None:
    """Runs one hostile program and says what is wrong with how it ended or with what it left, if anything."""
    try:
        result = sandbox.run(hostile.program, limits=LIMITS)
        if result.limit not in hostile.ends:
            return f"ended by {result.limit}, not by {' or '.join(map(str, hostile.ends))}; {result}"
        if b"ESCAPED" in result.stdout:
            return f"it got out: {result}"
        if hostile.says not in result.text:
            return f"it did not print {hostile.says!r}: {result}"
        if len(result.stdout) + len(result.stderr) > LIMITS.output_bytes:
            return "more output came back than the limit allows"
        if result.wall_seconds > LIMITS.wall_seconds + SLACK:
            return f"it ran for {result.wall_seconds:.1f} s"
        after = sandbox.run(PROBE, limits=Limits(wall_seconds=30))
        if after.text != "[]\n":
            return f"the next program found {after.text.strip() or after.errors}"
    except SandboxError as error:
        return f"the sandbox broke: {error}"
    if left := processes_of_hosts():
        return f"processes run on: {left}"
    return None


def processes_of_hosts() -> list[str]:
    """Returns the marked processes that this machine runs; other processes' arguments are none of our business."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if words[:2] == [b"sleep", MARK.encode()]:
            found.append(path.parent.name)
    return found
