"""`turnwise sandbox`, with the sandboxes replaced: the suite itself is tested with the sandboxes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Self

import pytest

from turnwise.agents.cli import main
from turnwise.verifiers import sandbox as sandboxes
from turnwise.verifiers.sandbox import SandboxError, SandboxUnavailable, conformance
from turnwise.verifiers.sandbox.conformance import Finding


class Opened:
    """A sandbox that runs nothing."""

    def __init__(self, concurrency: int) -> None:
        self.concurrency = concurrency

    def run(self, program: str) -> None:
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *reason: object) -> None:
        return None


def missing(concurrency: int) -> Opened:
    raise SandboxUnavailable("there is no daemon")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Says which sandboxes the machine has, and what is found wrong with them."""

    def describe(docker: Any, local: Any, *findings: Finding) -> None:
        def examine(sandbox: object) -> Iterator[Finding]:
            yield from findings

        monkeypatch.setattr(sandboxes, "DockerSandbox", docker)
        monkeypatch.setattr(sandboxes, "LocalSandbox", local)
        monkeypatch.setattr(conformance, "examine", examine)

    return describe


def test_doctor_is_content_when_every_sandbox_held(machine: Any, capsys: pytest.CaptureFixture[str]) -> None:
    machine(Opened, Opened, Finding("a fork bomb", None), Finding("a memory bomb", None))
    assert main(["sandbox", "doctor"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("held 2 hostile programs, failed 0") == 2
    assert "weaker than Docker" in printed


def test_doctor_fails_when_a_program_got_out_and_names_it(machine: Any, capsys: pytest.CaptureFixture[str]) -> None:
    machine(Opened, missing, Finding("a fork bomb", "it got out"), Finding("a memory bomb", None))
    assert main(["sandbox", "doctor"]) == 1
    assert "failed  a fork bomb: it got out" in capsys.readouterr().out


def test_doctor_fails_when_there_is_no_sandbox_at_all(machine: Any, capsys: pytest.CaptureFixture[str]) -> None:
    machine(missing, missing)
    assert main(["sandbox", "doctor"]) == 1
    assert capsys.readouterr().out.count("there is no daemon") == 2


def test_doctor_prints_json(machine: Any, capsys: pytest.CaptureFixture[str]) -> None:
    machine(missing, Opened, Finding("a fork bomb", None))
    assert main(["sandbox", "doctor", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "docker": {"missing": "there is no daemon", "weaker": False, "held": 0, "problems": {}},
        "local": {"missing": None, "weaker": True, "held": 1, "problems": {}},
    }


def test_build_says_what_the_image_was_made_of(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sandboxes, "build_image", lambda: "made of Debian")
    assert main(["sandbox", "build"]) == 0
    assert capsys.readouterr().out == "made of Debian\n"


def test_a_build_that_fails_says_why(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> str:
        raise SandboxError("no mirror answers")

    monkeypatch.setattr(sandboxes, "build_image", fail)
    assert main(["sandbox", "build"]) == 1
    assert "no mirror answers" in capsys.readouterr().err
