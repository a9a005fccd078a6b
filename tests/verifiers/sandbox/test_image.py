from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from turnwise.verifiers.sandbox import SandboxError, build_image, image
from turnwise.verifiers.sandbox.image import run_tool


class Images:
    """A daemon whose registry cannot be reached."""

    def pull(self, repository: str, tag: str) -> Any:
        raise OSError("no route to the registry")


class Client:
    images = Images()


def test_a_tool_that_fails_is_an_error_with_its_last_words() -> None:
    with pytest.raises(SandboxError, match="status 3: no mirror"):
        run_tool([sys.executable, "-c", "import sys; print('no mirror', file=sys.stderr); sys.exit(3)"])
    with pytest.raises(SandboxError, match="no-such-tool failed"):
        run_tool(["no-such-tool"])


def test_an_image_that_cannot_be_made_either_way_tells_of_both(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("docker")
    monkeypatch.setattr(image, "docker_client", Client)
    monkeypatch.setattr(image.shutil, "which", lambda name: None)
    with pytest.raises(SandboxError, match=r"no route to the registry.*debootstrap is not installed"):
        build_image()


def test_without_a_registry_the_image_is_made_by_debootstrap_and_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("docker")
    ran: list[str] = []

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        ran.append(command[0])
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(image, "docker_client", Client)
    monkeypatch.setattr(image.shutil, "which", lambda name: f"/usr/sbin/{name}")
    monkeypatch.setattr(image.subprocess, "run", run)
    assert "made by debootstrap" in build_image("mine:1")
    assert ran == ["debootstrap", "tar", "docker"]
