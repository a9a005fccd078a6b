"""The Docker backend."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import socket
import uuid
from pathlib import Path
from typing import Any

from turnwise.verifiers.errors import InvalidInput
from turnwise.verifiers.sandbox.errors import SandboxError, SandboxUnavailable
from turnwise.verifiers.sandbox.image import IMAGE, docker_client, has_image
from turnwise.verifiers.sandbox.pool import PooledSandbox, Worker
from turnwise.verifiers.sandbox.types import MEBIBYTE
from turnwise.verifiers.sandbox.wire import Wire

LABEL = "turnwise.sandbox"
OWNER = "turnwise.sandbox.owner"
AGENT = Path(__file__).with_name("agent.py")
USERS = itertools.count(random.SystemRandom().randrange(100_000, 1_000_000_000))
"""A user per container: the kernel counts processes per user, over all containers of the machine."""


class DockerSandbox(PooledSandbox):
    """Runs programs in containers that wait for them.

    A container has no network, a read-only root, memory without swap, and Docker's seccomp profile. Its agent is root
    with three capabilities left, those for becoming another user and for killing that user's processes; the programs
    run as that other user, with no capability and no way to gain one.

    Args:
        concurrency: How many containers are kept, and so how many programs run at the same time.
        image: The image; `turnwise sandbox build` makes the default one.
        memory_bytes: What a container may use, its files in memory included.
        processes: Processes and threads alive at one time in a container.
        cpus: Processors that a container may keep busy.
        disk_bytes: Size of the work folder, which is in memory; the other scratch folders have a quarter of it.

    Raises:
        MissingExtra: The Docker SDK is not installed.
        SandboxUnavailable: No daemon answers, or it does not hold the image.
    """

    backend = "docker"
    weaker = False

    def __init__(
        self,
        concurrency: int = 2,
        *,
        image: str = IMAGE,
        memory_bytes: int = 768 * MEBIBYTE,
        processes: int = 128,
        cpus: float = 1.0,
        disk_bytes: int = 64 * MEBIBYTE,
    ) -> None:
        for name, value in (("memory_bytes", memory_bytes), ("processes", processes), ("disk_bytes", disk_bytes)):
            if not isinstance(value, int) or value < 1:
                raise InvalidInput(f"{name}={value!r}: give a whole number above 0")
        if not cpus > 0:
            raise InvalidInput(f"cpus={cpus!r}: give a number above 0")
        self.image = image
        self.memory_bytes = memory_bytes
        self.processes = processes
        self.cpus = cpus
        self.disk_bytes = disk_bytes
        self._client = docker_client()
        if not has_image(self._client, image):
            self._client.close()
            raise SandboxUnavailable(f"the Docker daemon has no image {image!r}: make it with `turnwise sandbox build`")
        sweep(self._client)
        super().__init__(concurrency)

    def _start(self) -> Worker:
        from docker.errors import DockerException

        name = f"turnwise-{uuid.uuid4().hex[:12]}"
        api = self._client.api
        wire = None
        try:
            api.create_container(**self._configuration(name))
            stream = api.attach_socket(name, params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
            # For a Unix socket and for plain TCP the SDK wraps the socket in a reader; we want the socket.
            owners = [owner for owner in (getattr(stream, "_response", None), stream) if owner is not None]
            wire = Wire(getattr(stream, "_sock", stream), multiplexed=True, owners=owners)
            api.start(name)
        except (DockerException, OSError) as error:
            if wire is not None:
                wire.close()
            remove(self._client, name)
            raise SandboxError(f"a container cannot be started: {error}") from error
        return Worker(name, wire, lambda: remove(self._client, name))

    def _configuration(self, name: str) -> dict[str, Any]:
        scratch = self.disk_bytes // 4
        user = next(USERS)
        api = self._client.api
        return {
            "image": self.image,
            "name": name,
            "command": ["python3", "-u", "-s", "-X", "utf8", "-c", AGENT.read_text(encoding="utf-8")],
            "user": "0:0",
            "stdin_open": True,
            "tty": False,
            "hostname": "sandbox",
            "working_dir": "/",
            "environment": {"TURNWISE_USER": str(user), "PYTHONHASHSEED": "0", "LANG": "C.UTF-8"},
            "labels": {LABEL: "1", OWNER: owner()},
            "host_config": api.create_host_config(
                network_mode="none",
                read_only=True,
                tmpfs={
                    "/work": f"rw,nosuid,nodev,mode=1777,size={self.disk_bytes},nr_inodes=20000",
                    "/tmp": f"rw,nosuid,nodev,mode=1777,size={scratch},nr_inodes=5000",
                },
                shm_size=scratch,
                ipc_mode="private",
                cap_drop=["ALL"],
                cap_add=["SETUID", "SETGID", "KILL"],
                security_opt=["no-new-privileges:true"],
                mem_limit=self.memory_bytes,
                memswap_limit=self.memory_bytes,
                pids_limit=self.processes,
                nano_cpus=int(self.cpus * 1e9),
                auto_remove=True,
                log_config={"Type": "none", "Config": {}},
            ),
        }

    def close(self) -> None:
        """Removes the containers and closes the connection to the daemon."""
        super().close()
        self._client.close()


def owner() -> str:
    """Returns what tells this process from every other: host, number, and when it started."""
    return f"{socket.gethostname()}/{os.getpid()}/{started(os.getpid())}"


def started(pid: int) -> str:
    """Returns when a process started, in the kernel's ticks; "" when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def sweep(client: Any) -> int:
    """Removes containers whose process has died without closing its pool; returns how many there were."""
    swept = 0
    for container in client.api.containers(all=True, filters={"label": LABEL}):
        host, pid, ticks = [*container["Labels"].get(OWNER, "").split("/"), "", ""][:3]
        if host == socket.gethostname() and pid.isdecimal() and started(int(pid)) != ticks:
            remove(client, container["Id"])
            swept += 1
    return swept


def remove(client: Any, name: str) -> None:
    """Kills and removes a container; one that is gone already, or a daemon that is, is no error."""
    from docker.errors import DockerException

    with contextlib.suppress(DockerException, OSError):
        client.api.remove_container(name, force=True, v=True)
