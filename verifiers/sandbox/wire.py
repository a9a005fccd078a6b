"""The host's end of the connection to the agent inside a sandbox."""

from __future__ import annotations

import json
import socket
import struct
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from turnwise.verifiers.sandbox.errors import SandboxError
from turnwise.verifiers.sandbox.types import Limits, Result

LENGTH = struct.Struct(">I")
DOCKER_FRAME = struct.Struct(">BxxxI")
"""How Docker multiplexes a container's streams: the stream's number, and how many bytes of it follow."""

STDERR = 2
CHUNK = 1 << 16
DIAGNOSTICS = 2000
"""How much of what the agent wrote to standard error is kept: it is silent unless it breaks."""


class Wire:
    """Messages over a socket: JSON behind its length in four bytes.

    Args:
        connection: The socket.
        multiplexed: Whether what arrives is in Docker's frames.
        explain: What the other side said before it hung up; by default what came on Docker's error stream.
        owners: What holds the socket open as well, and is closed before it.
    """

    def __init__(
        self,
        connection: socket.socket,
        multiplexed: bool,
        explain: Callable[[], str] | None = None,
        owners: Sequence[Any] = (),
    ) -> None:
        self.connection = connection
        self.multiplexed = multiplexed
        self.diagnostics = b""
        self._explain = explain or (lambda: self.diagnostics.decode("utf-8", "replace").strip())
        self._owners = owners
        self._raw = bytearray()
        self._stream = bytearray()

    def ask(self, message: Mapping[str, Any], seconds: float, longest: int) -> dict[str, Any]:
        """Sends a request and returns the reply.

        Args:
            message: The request.
            seconds: How long the whole exchange may take.
            longest: How many bytes the reply may have.

        Raises:
            SandboxError: The connection broke, the time was up, or what came is no reply.
        """
        deadline = time.monotonic() + seconds
        body = json.dumps(message).encode("ascii")
        try:
            self.connection.settimeout(seconds)
            self.connection.sendall(LENGTH.pack(len(body)) + body)
            (size,) = LENGTH.unpack(self._read(LENGTH.size, deadline))
            if size > longest:
                raise SandboxError(f"the agent announced a reply of {size} bytes, above the {longest} that fit")
            reply = json.loads(self._read(size, deadline))
        except TimeoutError as error:
            raise SandboxError(f"the agent in the sandbox did not answer within {seconds:.1f} s") from error
        except (OSError, ValueError) as error:
            raise SandboxError(f"the connection to the sandbox broke ({error}): {self._explain()}") from error
        if not isinstance(reply, dict):
            raise SandboxError(f"the agent answered {reply!r:.100}, which is no object")
        return reply

    def close(self) -> None:
        """Hangs up, upon which the agent ends."""
        for owner in self._owners:
            owner.close()
        self.connection.close()

    def _read(self, size: int, deadline: float) -> bytes:
        while len(self._stream) < size:
            self._receive(deadline)
        taken = bytes(self._stream[:size])
        del self._stream[:size]
        return taken

    def _receive(self, deadline: float) -> None:
        self.connection.settimeout(max(deadline - time.monotonic(), 0.001))
        data = self.connection.recv(CHUNK)
        if not data:
            said = self._explain()
            raise SandboxError(f"the agent in the sandbox ended{': ' + said if said else ''}")
        if not self.multiplexed:
            self._stream += data
            return
        self._raw += data
        while len(self._raw) >= DOCKER_FRAME.size:
            stream, size = DOCKER_FRAME.unpack_from(self._raw)
            if len(self._raw) < DOCKER_FRAME.size + size:
                return
            payload = bytes(self._raw[DOCKER_FRAME.size : DOCKER_FRAME.size + size])
            del self._raw[: DOCKER_FRAME.size + size]
            if stream == STDERR:
                self.diagnostics = (self.diagnostics + payload)[-DIAGNOSTICS:]
            else:
                self._stream += payload


def request_to_run(
    program: str | Sequence[str], files: Mapping[str, bytes], stdin: bytes, limits: Limits, private: bytes | None
) -> dict[str, Any]:
    """Returns the request that makes the agent run a program."""
    return {
        "operation": "run",
        "program": program if isinstance(program, str) else None,
        "argv": None if isinstance(program, str) else list(program),
        "files": {name: b64encode(content).decode() for name, content in files.items()},
        "stdin": b64encode(stdin).decode(),
        "private": None if private is None else b64encode(private).decode(),
        "limits": asdict(limits),
    }


def result_of(reply: Mapping[str, Any], backend: str, weaker: bool) -> Result:
    """Returns the agent's reply to a request to run as a `Result`.

    Raises:
        SandboxError: It is not such a reply, or it says that the program could not be started.
    """
    if "broken" in reply:
        raise SandboxError(f"the program could not be started: {reply['broken']}")
    try:
        return Result(
            exit_code=reply["exit_code"],
            stdout=b64decode(reply["stdout"]),
            stderr=b64decode(reply["stderr"]),
            wall_seconds=reply["wall"],
            cpu_seconds=reply["cpu"],
            peak_bytes=reply["peak"],
            limit=reply["limit"],
            reply=b64decode(reply["reply"]),
            backend=backend,
            weaker=weaker,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise SandboxError(f"the agent's reply cannot be read: {error!r}") from error
