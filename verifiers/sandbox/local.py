"""The local backend, for machines without Docker. Weaker: see `LocalSandbox`."""

from __future__ import annotations

import itertools
import logging
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

from turnwise.verifiers.sandbox.container import AGENT
from turnwise.verifiers.sandbox.errors import SandboxError, SandboxUnavailable
from turnwise.verifiers.sandbox.pool import PooledSandbox, Worker
from turnwise.verifiers.sandbox.types import MEBIBYTE
from turnwise.verifiers.sandbox.wire import Wire

logger = logging.getLogger(__name__)

SYSTEM_FOLDERS = ("/usr", "/bin", "/lib", "/lib64", "/sbin")
SYSTEM_FILES = ("/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime")
USERS = itertools.count(random.SystemRandom().randrange(100_000, 1_000_000_000))
STOP_SECONDS = 10


class LocalSandbox(PooledSandbox):
    """Runs programs in namespaces of their own through bubblewrap, with resource limits on each process.

    Weaker than a container: no seccomp profile stands between a program and the kernel, the limits on memory hold for
    each process and not for their sum, and the agent runs as the programs' own user (it is the first process of its
    namespace and not dumpable, so it cannot be killed or traced, but its priority can be changed). It says so when it
    starts and in each `Result`.

    Args:
        concurrency: How many programs run at the same time.
        disk_bytes: Size of the work folder, which is in memory; the other scratch folders have a quarter of it.

    Raises:
        SandboxUnavailable: bubblewrap is missing, or the kernel does not let this user make namespaces.
    """

    backend = "local"
    weaker = True

    def __init__(self, concurrency: int = 2, *, disk_bytes: int = 64 * MEBIBYTE) -> None:
        if sys.platform != "linux" or shutil.which("bwrap") is None:
            raise SandboxUnavailable("the local sandbox needs bubblewrap on Linux: install it (apt install bubblewrap)")
        self.disk_bytes = disk_bytes
        logger.warning(
            "programs run in the local sandbox, which holds hostile ones less well than Docker: no seccomp profile, "
            "and memory is limited for each process only"
        )
        super().__init__(concurrency)

    def _start(self) -> Worker:
        ours, theirs = socket.socketpair()
        complaints = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the worker
        root = os.geteuid() == 0
        try:
            # As root the programs would be root's own: they get a user whom nothing on this machine belongs to.
            user = next(USERS) if root else None
            process = subprocess.Popen(
                self._command(),
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=complaints,
                user=user,
                group=user,
                extra_groups=[] if root else None,
                start_new_session=True,
                env={"PATH": os.environ.get("PATH", os.defpath)},
                cwd="/",
            )
        except OSError as error:
            ours.close()
            complaints.close()
            raise SandboxError(f"bubblewrap cannot be started: {error}") from error
        finally:
            theirs.close()
        wire = Wire(ours, multiplexed=False, explain=lambda: last_words(complaints))
        return Worker(f"bwrap {process.pid}", wire, lambda: end(process, complaints))

    def _command(self) -> list[str]:
        command = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--as-pid-1", "--cap-drop", "ALL"]
        command += ["--uid", "65534", "--gid", "65534", "--hostname", "sandbox", "--clearenv"]
        for folder in SYSTEM_FOLDERS:
            if os.path.islink(folder):
                command += ["--symlink", os.readlink(folder), folder]
            elif os.path.isdir(folder):
                command += ["--ro-bind", folder, folder]
        for file in SYSTEM_FILES:
            command += ["--ro-bind-try", file, file]
        interpreter = shutil.which("python3", path="/usr/bin:/usr/local/bin")
        if interpreter is None:  # then this process's own, wherever that is
            base = Path(sys.base_prefix).resolve()
            interpreter = str(base / "bin" / f"python3.{sys.version_info.minor}")
            command += ["--ro-bind", str(base), str(base)]
        for folder, size in (("/work", self.disk_bytes), ("/tmp", self.disk_bytes // 4)):
            command += ["--size", str(size), "--perms", "1777", "--tmpfs", folder]
        command += ["--proc", "/proc", "--dev", "/dev", "--size", str(self.disk_bytes // 4), "--tmpfs", "/dev/shm"]
        command += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/"]
        command += [
            "--setenv",
            "PYTHONHASHSEED",
            "0",
            "--setenv",
            "LANG",
            "C.UTF-8",
            "--setenv",
            "PATH",
            "/usr/bin:/bin",
        ]
        return [*command, interpreter, "-u", "-s", "-X", "utf8", "-c", AGENT.read_text(encoding="utf-8")]


def last_words(complaints: IO[bytes]) -> str:
    """Returns the end of what bubblewrap and the agent wrote to standard error."""
    complaints.seek(0)
    return str(complaints.read()[-500:].decode("utf-8", "replace")).strip()


def end(process: subprocess.Popen[bytes], complaints: IO[bytes]) -> None:
    """Kills bubblewrap, and with it its namespace; the agent is told first by the closed connection."""
    try:
        process.wait(1)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(STOP_SECONDS)
    complaints.close()
