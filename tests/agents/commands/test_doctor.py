"""`turnwise doctor`."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from turnwise.agents.cli import main
from turnwise.agents.commands import _probes


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Puts fake programs where only they are found."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path / "browsers"))

    def put(name: str, script: str) -> None:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    return put


@pytest.fixture
def no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps tests from importing torch in a process of its own, which takes seconds."""
    monkeypatch.setattr(_probes, "probe_torch", lambda: [_probes.Finding("torch", True, "2.6")])


@pytest.mark.usefixtures("no_torch")
def test_the_report_names_every_section_and_what_is_missing(
    programs: Callable[[str, str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert [line for line in out.splitlines() if line and not line.startswith(" ")] == [
        "turnwise",
        "extras",
        "beside Python",
    ]
    assert "  --  docker    no client\n" in out
    assert "unlocks  the sandbox for code that models write\n" in out
    assert "get it   https://docs.docker.com/engine/install\n" in out
    assert "get it   pip install playwright && playwright install chromium\n" in out


@pytest.mark.usefixtures("no_torch")
def test_json_holds_the_same(programs: Callable[[str, str], None], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert set(report) == {"turnwise", "extras", "beside Python"}
    assert {"name": "turnwise", "ok": True, "detail": "0.1.0", "unlocks": "", "remedy": ""} in report["turnwise"]
    docker = next(finding for finding in report["beside Python"] if finding["name"] == "docker")
    assert docker["ok"] is False


def test_an_extra_is_complete_only_when_each_package_is_new_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = {"torch": "2.10.0+cpu", "rich": "9.1"}

    def version(name: str) -> str:
        if name not in installed:
            raise PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(_probes, "version", version)
    requirements = ["torch>=2.6; extra == 'train'", "rich>=13 ; extra == 'train'", "openai>=1; extra == 'server'"]
    monkeypatch.setattr(_probes, "requires", lambda name: requirements)
    assert _probes._requirements("train") == ["torch>=2.6", "rich>=13"]
    assert _probes._requirements(None) == []
    found = {finding.name: finding for finding in map(_probes._package, ["torch>=2.6", "rich>=13", "openai[x]>=1"])}
    assert found["torch"].ok
    assert (found["rich"].ok, found["rich"].detail) == (False, "9.1 is too old, 13 is needed")
    assert (found["openai"].ok, found["openai"].detail) == (False, "missing")


def test_a_running_docker_tells_both_versions(programs: Callable[[str, str], None]) -> None:
    programs("docker", "echo 27.0 26.1")
    assert _probes.probe_docker() == [_probes.Finding("docker", True, "client 27.0, daemon 26.1")]


def test_a_docker_without_its_daemon_says_what_docker_says(programs: Callable[[str, str], None]) -> None:
    programs("docker", "echo warning >&2; echo Cannot connect to the daemon >&2; exit 1")
    (finding,) = _probes.probe_docker()
    assert (finding.ok, finding.detail) == (False, "client only: Cannot connect to the daemon")
    assert finding.remedy == "sudo systemctl start docker"


def test_a_probe_that_hangs_is_given_up_with_all_its_children(
    programs: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(_probes, "DEADLINE", 0.5)
    programs("docker", f"/bin/sleep 600 & echo $! > {tmp_path}/child; wait")
    (finding,) = _probes.probe_docker()
    assert finding.detail == "client only: no answer within 0.5 s"
    child = int((tmp_path / "child").read_text())
    status = Path(f"/proc/{child}/status")
    assert not status.exists() or "State:\tZ" in status.read_text()


def test_chromium_is_found_on_the_path_or_among_playwrights(
    programs: Callable[[str, str], None], tmp_path: Path
) -> None:
    assert not _probes.probe_chromium()[0].ok
    programs("browsers/chromium-1/chrome-linux/chrome", "echo Chromium 1.2")
    path = tmp_path / "browsers/chromium-1/chrome-linux/chrome"
    assert _probes.probe_chromium() == [_probes.Finding("chromium", True, f"Chromium 1.2 ({path})")]
    programs("chromium", "echo Chromium 3.4")
    assert _probes.probe_chromium()[0].detail == f"Chromium 3.4 ({tmp_path}/chromium)"


def test_torch_is_asked_in_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_probes, "_run", lambda command: (0, 'noise\n{"version": "2.9", "devices": [], "threads": 4}'))
    torch, accelerator = _probes.probe_torch()
    assert (torch.ok, torch.detail) == (True, "2.9, 4 CPU threads")
    assert not accelerator.ok
    monkeypatch.setattr(_probes, "_run", lambda command: (1, "no answer within 30 s"))
    (torch,) = _probes.probe_torch()
    assert (torch.ok, torch.detail) == (False, "installed, but cannot be imported: no answer within 30 s")


def test_the_real_torch_is_found() -> None:
    pytest.importorskip("torch")
    findings = _probes.probe_torch()
    assert [finding.name for finding in findings] == ["torch", "accelerator"]
    assert findings[0].ok, findings
