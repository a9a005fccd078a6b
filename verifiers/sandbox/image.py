"""The container image: a Debian or Python base with nothing of turnwise in it, since the agent is sent at start."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from turnwise.verifiers.errors import MissingExtra
from turnwise.verifiers.sandbox.errors import SandboxError, SandboxUnavailable

IMAGE = "turnwise-sandbox:1"
REGISTRY_IMAGE = "python:3.11-slim"
DEBIAN_RELEASE = "bookworm"
BUILD_SECONDS = 900


def docker_client() -> Any:
    """Returns a client of the Docker daemon.

    Raises:
        MissingExtra: The Docker SDK is not installed.
        SandboxUnavailable: No daemon answers.
    """
    try:
        import docker
        from docker.errors import DockerException
    except ImportError as error:
        raise MissingExtra("docker", "docker") from error
    try:
        client = docker.from_env(timeout=60)
        client.ping()
    except DockerException as error:
        raise SandboxUnavailable(
            "the Docker daemon does not answer: start dockerd (or Docker Desktop) and see that this user may use it, "
            "or ask for the weaker local sandbox explicitly: LocalSandbox(), or UnitTests(..., sandbox='local')"
        ) from error
    return client


def has_image(client: Any, image: str = IMAGE) -> bool:
    """Whether the daemon holds the image."""
    from docker.errors import ImageNotFound

    try:
        client.images.get(image)
    except ImageNotFound:
        return False
    return True


def build_image(image: str = IMAGE) -> str:
    """Makes the image from a registry's Python image where one is reachable, else from a Debian mirror.

    Args:
        image: The name to give it.

    Returns:
        A sentence that says what it was made of.

    Raises:
        SandboxError: Neither source can be used; the message says why.
        SandboxUnavailable: No Docker daemon answers.
    """
    client = docker_client()
    try:
        return _from_registry(client, image)
    except SandboxError as registry:
        try:
            return _from_debian(image)
        except SandboxError as debian:
            raise SandboxError(f"the image cannot be made. {registry} {debian}") from debian


def _from_registry(client: Any, image: str) -> str:
    from docker.errors import DockerException

    repository, _, tag = REGISTRY_IMAGE.partition(":")
    name, _, version = image.partition(":")
    try:
        client.images.pull(repository, tag=tag).tag(name, version or "latest")
    except (DockerException, OSError) as error:
        raise SandboxError(f"{REGISTRY_IMAGE} cannot be pulled: {error}.") from error
    return f"{image} is {REGISTRY_IMAGE}"


def _from_debian(image: str) -> str:
    if shutil.which("debootstrap") is None:
        raise SandboxError("debootstrap is not installed, which could make it from a Debian mirror.")
    with tempfile.TemporaryDirectory(prefix="turnwise-image-") as folder:
        root = Path(folder) / "root"
        run_tool(["debootstrap", "--variant=minbase", "--include=python3", DEBIAN_RELEASE, str(root)])
        archive = Path(folder) / "root.tar"
        run_tool(["tar", "-C", str(root), "--exclude=./var/cache/apt/archives/*.deb", "-cf", str(archive), "."])
        run_tool(["docker", "import", str(archive), image])
    return f"{image} is Debian {DEBIAN_RELEASE} with python3, made by debootstrap"


def run_tool(command: list[str]) -> None:
    """Runs a command to its end.

    Raises:
        SandboxError: It failed; the message has its last words.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=BUILD_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SandboxError(f"{command[0]} failed: {error}.") from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()[-300:]
        raise SandboxError(f"{command[0]} failed with status {done.returncode}: {said}.")
