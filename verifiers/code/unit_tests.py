"""Judges programs by running them against tests."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from turnwise.verifiers.base import Verifier
from turnwise.verifiers.code import harness
from turnwise.verifiers.code.cases import CallCase, StreamCase, cases_of
from turnwise.verifiers.code.outcome import Outcome, outcome_of_call, outcome_of_stream
from turnwise.verifiers.errors import InvalidInput
from turnwise.verifiers.sandbox import Limits, Sandbox
from turnwise.verifiers.sandbox.shared import shared_sandbox
from turnwise.verifiers.types import Sample, Verdict

SandboxChoice: TypeAlias = Sandbox | Literal["docker", "local"]

HARNESS = Path(harness.__file__).read_text(encoding="utf-8")
FENCE = re.compile(r"^[ \t]*```[ \t]*(?:python3?|py)?[ \t]*\n(.*?)^[ \t]*```[ \t]*$", re.MULTILINE | re.DOTALL | re.I)
EXPLAINED = 3
"""How many failed tests the evidence tells of."""


class UnitTests(Verifier):
    """1 where a Python program passes every test, else 0; the fraction passed is `parts["passed"].score`.

    The response is Python code, or text with fenced code blocks, of which the last counts. The reference states the
    tests: see `cases_of` for their forms. Each test runs in a process of its own in a sandbox. What is expected, and
    the comparison, stay outside: a value must come back on a private channel, with a nonce, and be equal by exact type
    (2 is not 2.0, a tuple is not a list) unless a test allows a tolerance or any order. Generators, ranges and other
    lazy values count as lists. How a process exits is no evidence.

    `parts`: `passed`, the fraction of tests passed; `compiles`; `runs`, the fraction of tests that came to an answer,
    right or wrong. A broken sandbox, or none, makes the verdict undecided.

    Args:
        entry_point: The function that tests call: its name, or "Class.method", whose class takes no arguments.
            A method of LeetCode's `Solution` is found by its own name. None where all tests use standard input.
        seconds: Processor time that each test may take.
        sandbox: Where to run: a sandbox, or the name of a kind of which this process keeps one. The local one is
            weaker, and is used only where it is asked for.
        memory_bytes: Memory that each test may take.

    Raises:
        InvalidInput: An option is of the wrong kind. When judging: the reference states no tests, or a call of a
            function that has no name.
    """

    def __init__(
        self,
        entry_point: str | None = None,
        *,
        seconds: float = 5.0,
        sandbox: SandboxChoice = "docker",
        memory_bytes: int = 512 << 20,
    ) -> None:
        if entry_point is not None and not all(name.isidentifier() for name in entry_point.split(".")):
            raise InvalidInput(f"entry_point={entry_point!r}: give the name of a function, or 'Class.method'")
        if not isinstance(sandbox, Sandbox) and sandbox not in ("docker", "local"):
            raise InvalidInput(f"sandbox={sandbox!r}: give a sandbox, 'docker' or 'local'")
        self.entry_point = entry_point
        self.seconds = seconds
        self.sandbox = sandbox
        self.memory_bytes = memory_bytes
        # A process that waits its turn on a busy machine uses no processor time: that limit, not the clock, decides.
        self._limits = Limits(wall_seconds=3 * seconds + 5, cpu_seconds=seconds, memory_bytes=memory_bytes)

    async def _averify(self, sample: Sample) -> Verdict:
        cases = cases_of(sample.reference)
        for number, case in enumerate(cases):
            if isinstance(case, CallCase) and case.entry_point is None and self.entry_point is None:
                raise InvalidInput(f"test {number} calls a function: name it with UnitTests(entry_point=...)")
        chosen = self.sandbox
        sandbox = chosen if isinstance(chosen, Sandbox) else await asyncio.to_thread(shared_sandbox, chosen)
        code = code_of(sample.text)
        return verdict_on(await asyncio.gather(*(self._outcome(sandbox, code, case) for case in cases)))

    async def _outcome(self, sandbox: Sandbox, code: str, case: CallCase | StreamCase) -> Outcome:
        if isinstance(case, StreamCase):
            program = code or "\n"
            return outcome_of_stream(case, await sandbox.arun(program, stdin=case.stdin, limits=self._limits))
        nonce = secrets.token_hex(16)
        request = {
            "nonce": nonce,
            "code": code,
            "entry_point": case.entry_point or self.entry_point,
            "args": case.args,
            "kwargs": dict(case.kwargs),
        }
        private = json.dumps(request).encode("ascii")
        return outcome_of_call(case, await sandbox.arun(HARNESS, limits=self._limits, private=private), nonce)


def code_of(text: str) -> str:
    """Returns the code in a response: its last fenced block of Python or of no language, else the whole text."""
    blocks = FENCE.findall(text)
    return str(blocks[-1]) if blocks else text


def verdict_on(outcomes: Sequence[Outcome]) -> Verdict:
    """Returns the verdict on a program, given how each test went."""
    total = len(outcomes)
    passed = sum(outcome.status == "pass" for outcome in outcomes)
    answered = sum(outcome.status in ("pass", "fail") for outcome in outcomes)
    compiles = not any(outcome.stage == "compile" for outcome in outcomes)
    failed = [f"test {number} ({outcome.status}): {outcome.said}" for number, outcome in enumerate(outcomes)
              if outcome.status != "pass"]  # fmt: skip
    evidence = "; ".join([f"{passed} of {total} tests passed", *failed[:EXPLAINED]])
    return Verdict(
        float(passed == total),
        {
            "passed": Verdict(passed / total, evidence=f"{passed} of {total} tests passed"),
            "compiles": Verdict(float(compiles), evidence="it compiles" if compiles else "it does not compile"),
            "runs": Verdict(answered / total, evidence=f"{answered} of {total} tests came to an answer"),
        },
        evidence,
        metrics={"tests": total, "cpu_seconds": sum(outcome.seconds for outcome in outcomes)},
    )
