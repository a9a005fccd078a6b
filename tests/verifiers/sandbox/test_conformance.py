from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from turnwise.verifiers.sandbox import Limits, Result, Sandbox, SandboxError
from turnwise.verifiers.sandbox.conformance import examine, problem_with
from turnwise.verifiers.sandbox.hostile import HOSTILE, Hostile


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda hostile: hostile.name)
def test_the_sandbox_holds(sandbox: Sandbox, hostile: Hostile) -> None:
    assert problem_with(sandbox, hostile) is None


def test_there_are_at_least_forty_hostile_programs_of_different_names() -> None:
    assert len({hostile.name for hostile in HOSTILE}) == len(HOSTILE) >= 40


class Scripted(Sandbox):
    """Returns what it was told to, first for the hostile program, then for the probe."""

    backend = "scripted"
    weaker = True

    def __init__(self, *results: Result | SandboxError) -> None:
        super().__init__(1)
        self.results = list(results)

    def _run(
        self,
        program: str | Sequence[str],
        files: Mapping[str, bytes],
        stdin: bytes,
        limits: Limits,
        private: bytes | None,
    ) -> Result:
        result = self.results.pop(0)
        if isinstance(result, SandboxError):
            raise result
        return result


def printed(text: bytes, wall: float = 0.1, limit: str | None = None) -> Result:
    return Result(0, text, b"", wall, 0.1, 1, limit)  # type: ignore[arg-type]  # any name serves the test


CLEAN = printed(b"[]\n")


@pytest.mark.parametrize(
    ("results", "problem"),
    [
        ([printed(b"held"), CLEAN], None),
        ([printed(b"held ESCAPED"), CLEAN], "it got out"),
        ([printed(b""), CLEAN], "did not print"),
        ([printed(b"held", limit="wall_seconds"), CLEAN], "ended by wall_seconds"),
        ([printed(b"held", wall=60), CLEAN], "ran for 60.0 s"),
        ([printed(b"held" + b"x" * 1_000_000), CLEAN], "more output"),
        ([printed(b"held"), printed(b"['/tmp/x']\n")], "the next program found"),
        ([SandboxError("gone")], "the sandbox broke"),
    ],
)
def test_the_suite_notices(results: list[Result], problem: str | None) -> None:
    with Scripted(*results) as sandbox:
        found = problem_with(sandbox, Hostile("tries", "pass", says="held"))
    assert found is None if problem is None else problem in str(found)


def test_the_suite_reports_every_program() -> None:
    with Scripted(*(SandboxError("gone") for _ in HOSTILE)) as sandbox:
        findings = list(examine(sandbox))
    assert [finding.name for finding in findings] == [hostile.name for hostile in HOSTILE]
    assert all(finding.problem for finding in findings)
