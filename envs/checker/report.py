"""What a check found, and the report of all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Self, TypeAlias

from turnwise.envs.errors import CheckFailed

Status: TypeAlias = Literal["pass", "fail", "skip"]


@dataclass(frozen=True)
class CheckResult:
    """The result of one check.

    Attributes:
        name: The check.
        status: "pass", "fail" or "skip".
        detail: What was seen, what is wrong and how to mend it, or why the check was skipped.
    """

    name: str
    status: Status
    detail: str


@dataclass(frozen=True)
class CheckReport:
    """The results of all checks of one environment. `print` shows it as a table.

    Attributes:
        subject: The environment's id or name, with its options.
        results: One result a check, in the order in which they ran.
    """

    subject: str
    results: tuple[CheckResult, ...]

    @property
    def ok(self) -> bool:
        """Whether no check failed."""
        return not self.failures

    @property
    def failures(self) -> tuple[CheckResult, ...]:
        """The failed checks."""
        return tuple(result for result in self.results if result.status == "fail")

    def __getitem__(self, name: str) -> CheckResult:
        for result in self.results:
            if result.name == name:
                return result
        raise KeyError(name)

    def __str__(self) -> str:
        width = max((len(result.name) for result in self.results), default=0)
        lines = [f"{result.status}  {result.name:<{width}}  {result.detail}" for result in self.results]
        statuses = [result.status for result in self.results]
        total = f"{statuses.count('pass')} passed, {statuses.count('fail')} failed, {statuses.count('skip')} skipped"
        return "\n".join([self.subject, *lines, total])

    def raise_for_failures(self) -> Self:
        """Returns the report, for use in tests.

        Raises:
            CheckFailed: A check failed; the message is the list of failures.
        """
        if self.failures:
            lines = [f"{result.name}: {result.detail}" for result in self.failures]
            raise CheckFailed(f"{self.subject} fails {len(lines)} of {len(self.results)} checks\n" + "\n".join(lines))
        return self

    def to_json(self) -> dict[str, Any]:
        """Returns the report as what `json.dumps` takes."""
        results = [{"name": r.name, "status": r.status, "detail": r.detail} for r in self.results]
        return {"subject": self.subject, "ok": self.ok, "results": results}


class Failed(Exception):
    """Inside a check: it failed, for this reason."""


class Skipped(Exception):
    """Inside a check: it does not apply, for this reason."""
