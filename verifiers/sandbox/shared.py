"""One sandbox of each kind for the whole process, made when it is first needed and closed when the process ends."""

from __future__ import annotations

import atexit
import os
import threading
from typing import Literal

from turnwise.verifiers.sandbox.base import Sandbox
from turnwise.verifiers.sandbox.container import DockerSandbox
from turnwise.verifiers.sandbox.local import LocalSandbox

MOST = 8
"""How many programs a shared sandbox runs at the same time at most, on machines with more processors than that."""

_lock = threading.Lock()
_shared: dict[tuple[str, int], Sandbox] = {}


def shared_sandbox(kind: Literal["docker", "local"]) -> Sandbox:
    """Returns this process's sandbox of a kind. A forked process gets its own.

    Raises:
        MissingExtra: The Docker SDK is not installed.
        SandboxUnavailable: This machine has no such sandbox.
    """
    key = (kind, os.getpid())
    with _lock:
        if key not in _shared:
            concurrency = min(os.cpu_count() or 1, MOST)
            sandbox = DockerSandbox(concurrency) if kind == "docker" else LocalSandbox(concurrency)
            atexit.register(sandbox.close)
            _shared[key] = sandbox
        return _shared[key]
