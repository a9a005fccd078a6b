from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from turnwise.verifiers import InvalidInput, Sample
from turnwise.verifiers.code import CodeRL, UnitTests
from turnwise.verifiers.sandbox import Limits, Result, Sandbox, SandboxError, SandboxUnavailable, shared

ADD = [{"args": [1, 2], "expected": 3}, {"args": [2, 2], "expected": 4}]
RIGHT = "def add(a, b): return a + b"


def test_a_hack_scores_nothing(sandbox: Sandbox, hack: str) -> None:
    verdict = UnitTests("add", sandbox=sandbox, seconds=1)(hack, ADD)
    assert verdict.decided
    assert verdict.score == 0


def test_an_honest_program_passes(sandbox: Sandbox, honest: tuple[str, tuple[str | None, Any]]) -> None:
    code, (entry_point, tests) = honest
    verdict = UnitTests(entry_point, sandbox=sandbox)(code, tests)
    assert verdict.score == 1, verdict


def test_parts_tell_how_far_a_program_came(sandbox: Sandbox) -> None:
    def parts(code: str) -> dict[str, float]:
        return UnitTests("add", sandbox=sandbox)(code, ADD).flat()

    assert parts(RIGHT) == {"passed": 1, "compiles": 1, "runs": 1}
    assert parts("def add(a, b): return 3") == {"passed": 0.5, "compiles": 1, "runs": 1}
    assert parts("def add(a, b): return 3 if a == 1 else 1 / 0") == {"passed": 0.5, "compiles": 1, "runs": 0.5}
    assert parts("raise ValueError") == {"passed": 0, "compiles": 1, "runs": 0}
    assert parts("def add(a, b) return 3") == {"passed": 0, "compiles": 0, "runs": 0}


def test_coderl_grades_the_four_outcomes(sandbox: Sandbox) -> None:
    programs = ["def add(a, b) return 3", "def add(a, b): return 1 / 0", "def add(a, b): return 3", RIGHT]
    grades = [CodeRL("add", sandbox=sandbox)(program, ADD).score for program in programs]
    assert grades == [-1.0, -0.6, -0.3, 1.0]


def test_evidence_shows_input_expected_and_got(sandbox: Sandbox) -> None:
    verdict = UnitTests("add", sandbox=sandbox)("def add(a, b): return [a] * 1000", ADD)
    assert verdict.evidence.startswith("0 of 2 tests passed; test 0 (fail): (1, 2) returned [1, 1, 1, ")
    assert "expected 3" in verdict.evidence
    assert len(verdict.evidence) < 1000


def test_a_time_out_is_told_from_a_crash_and_a_wrong_answer(sandbox: Sandbox) -> None:
    code = "def add(a, b):\n    if a == 1: return 0\n    if a == 2: raise KeyError(b)\n    while True: pass"
    tests = [*ADD, {"args": [3, 3], "expected": 6}]
    evidence = UnitTests("add", sandbox=sandbox, seconds=1)(code, tests).evidence
    assert "test 0 (fail): (1, 2) returned 0, expected 3" in evidence
    assert "test 1 (error): (2, 2) raised KeyError: 2" in evidence
    assert "test 2 (timeout): (3, 3) exceeded the limit of cpu_seconds" in evidence


def test_livecodebench_and_apps_forms_are_run(sandbox: Sandbox) -> None:
    functional = [{"input": '[1, 2]\n"x"', "output": '[1, 2, "x"]', "testtype": "functional"}]
    code = "class Solution:\n    def join(self, items, last): return (*items, last)"
    assert UnitTests("join", sandbox=sandbox)(code, functional).score == 1
    stream = [{"input": "2\n", "output": "4\n", "testtype": "stdin"}]
    assert UnitTests(sandbox=sandbox)("print(int(input()) ** 2)", stream).score == 1
    apps = '{"inputs": ["2\\n", "3\\n"], "outputs": ["4\\n", "9\\n"]}'
    assert UnitTests(sandbox=sandbox)("print(int(input()) ** 2)", apps).score == 1
    named = {"fn_name": "square", "inputs": [[2], [3]], "outputs": [[4], [9]]}
    assert UnitTests(sandbox=sandbox)("def square(x): return x * x", named).score == 1
    assert UnitTests(sandbox=sandbox)("def square(x): return x", named).score == 0


def test_verdicts_can_be_awaited(sandbox: Sandbox) -> None:
    verifier = UnitTests("add", sandbox=sandbox)
    assert asyncio.run(verifier.averify(Sample(RIGHT, ADD))).score == 1


class Fake(Sandbox):
    """Answers every run with what it was given."""

    backend = "fake"
    weaker = True

    def __init__(self, result: Result | Exception) -> None:
        super().__init__(1)
        self.result = result
        self.seen: list[bytes] = []

    def _run(
        self,
        program: str | Sequence[str],
        files: Mapping[str, bytes],
        stdin: bytes,
        limits: Limits,
        private: bytes | None,
    ) -> Result:
        self.seen += [str(program).encode(), *files.values(), stdin, private or b""]
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


def test_a_broken_sandbox_is_undecided_and_never_nought() -> None:
    with Fake(SandboxError("the container died")) as sandbox:
        verdict = UnitTests("add", sandbox=sandbox)(RIGHT, ADD)
    assert (verdict.status, verdict.error) == ("error", "the container died")
    assert math.isnan(verdict.score)


def test_what_is_expected_never_enters_the_sandbox() -> None:
    with Fake(Result(0, b"", b"", 0.1, 0.1, 1, None)) as sandbox:
        UnitTests("add", sandbox=sandbox)(RIGHT, [{"args": ["given"], "expected": "a-secret-answer"}])
        UnitTests(sandbox=sandbox)(RIGHT, [{"stdin": "given", "stdout": "a-secret-answer"}])
        seen = b"".join(sandbox.seen)
    assert b"given" in seen
    assert b"a-secret-answer" not in seen


def test_a_good_exit_status_is_no_evidence() -> None:
    with Fake(Result(0, b"", b"", 0.1, 0.1, 1, None)) as sandbox:
        verdict = UnitTests("add", sandbox=sandbox)(RIGHT, ADD)
    assert verdict.score == 0
    assert "ended without an answer" in verdict.evidence


@pytest.mark.parametrize("tests", [[], None, "not json", [{"args": [1]}], [{"stdin": ""}], [3],
                                   {"inputs": [1], "outputs": []},
                                   [{"args": 1, "expected": 2}], [{"args": [], "expected": object()}],
                                   [{"args": [], "expected": 1, "tolerance": -1}],
                                   [{"args": [], "expected": [1], "tolerance": 1, "any_order": True}],
                                   [{"input": "", "output": "", "testtype": "other"}]])  # fmt: skip
def test_tests_that_cannot_be_understood_are_the_callers_mistake(tests: Any) -> None:
    with Fake(SandboxError("must not be reached")) as sandbox, pytest.raises(InvalidInput):
        UnitTests("add", sandbox=sandbox)(RIGHT, tests)


def test_a_call_without_a_name_is_the_callers_mistake() -> None:
    with Fake(SandboxError("must not be reached")) as sandbox, pytest.raises(InvalidInput, match="entry_point"):
        UnitTests(sandbox=sandbox)(RIGHT, ADD)


@pytest.mark.parametrize("options", [{"entry_point": "a b"}, {"sandbox": "none"}, {"seconds": 0}])
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        UnitTests(**options)


def test_without_a_daemon_the_verdict_is_undecided_and_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def unavailable(concurrency: int) -> Sandbox:
        raise SandboxUnavailable("start dockerd")

    monkeypatch.setattr(shared, "DockerSandbox", unavailable)
    monkeypatch.setattr(shared, "_shared", {})
    verdict = UnitTests("add")(RIGHT, ADD)
    assert (verdict.status, verdict.error) == ("error", "start dockerd")


def test_verifiers_share_one_sandbox_of_each_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = [Fake(SandboxError("the first")), Fake(SandboxError("the second"))]
    monkeypatch.setattr(shared, "LocalSandbox", lambda concurrency: opened.pop(0))
    monkeypatch.setattr(shared, "_shared", {})
    errors = [UnitTests("add", sandbox="local")(RIGHT, ADD).error for _ in range(2)]
    assert errors == ["the first", "the first"]
