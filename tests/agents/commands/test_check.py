"""`turnwise check`."""

from __future__ import annotations

import json
from typing import Any

import pytest

import turnwise.envs
from turnwise.agents.cli import main
from turnwise.envs.checker import CheckReport, CheckResult

ENV = "turnwise/GuessNumber-v0"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Replaces the checker by one that fails at the level "hard"; returns what it is asked."""
    asked: list[dict[str, Any]] = []

    def check_env(spec: Any, **options: Any) -> CheckReport:
        asked.append({"id": spec.id, **options})
        leak = CheckResult("leak", "fail" if options.get("difficulty") == "hard" else "pass", "the answer leaks")
        return CheckReport(
            spec.id, (CheckResult("types", "pass", "texts"), leak, CheckResult("oracle", "skip", "none"))
        )

    monkeypatch.setattr(turnwise.envs, "check_env", check_env)
    return asked


def test_the_real_checker_passes_an_environment_of_ours(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["check", ENV, "--episodes", "2", "--skip", "vector", "--json"])
    (report,) = json.loads(capsys.readouterr().out)
    results = {result["name"]: result for result in report["results"]}
    assert results["vector"]["status"] == "skip"
    assert results["gymnasium"]["status"] == "pass"
    assert report["ok"] is (status == 0)


def test_each_check_is_a_line_and_a_pass_is_status_0(
    asked: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", ENV]) == 0
    assert capsys.readouterr().out == (
        f"{ENV}\n"
        "  pass  types   texts\n"
        "  pass  leak    the answer leaks\n"
        "  skip  oracle  none\n"
        "2 passed, 0 failed, 1 skipped\n\n"
    )
    assert asked == [{"id": ENV, "episodes": 16, "skip": []}]


def test_a_failed_check_at_any_level_is_status_1(
    asked: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", ENV, "--level", "1", "--level", "hard"]) == 1
    assert "  fail  leak    the answer leaks\n" in capsys.readouterr().out
    assert [options["difficulty"] for options in asked] == [1, "hard"]


def test_all_means_every_level(asked: list[dict[str, Any]]) -> None:
    main(["check", ENV, "--level", "all"])
    assert [options["difficulty"] for options in asked] == ["easy", "medium", "hard", "expert", "extreme"]


def test_json_holds_a_report_per_level(asked: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", ENV, "--level", "easy", "--level", "hard", "--json"]) == 1
    easy, hard = json.loads(capsys.readouterr().out)
    assert (easy["ok"], hard["ok"]) == (True, False)
    assert hard["results"][1] == {"name": "leak", "status": "fail", "detail": "the answer leaks"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["turnwise/Gess-v0"], "no environment 'turnwise/Gess-v0'"),
        ([ENV, "--skip", "nothing"], "no checks called ['nothing']"),
        ([ENV, "--episodes", "0"], "episodes must be positive, not 0"),
        ([ENV, "--level", "absurd"], "difficulty must be one of"),
    ],
)
def test_what_cannot_be_checked_is_one_clear_line(
    capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert main(["check", *words]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
