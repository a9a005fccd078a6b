"""What a sandboxed program may use, `Limits`, and what came of running it, `Result`."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Literal, TypeAlias

from turnwise.verifiers.errors import InvalidInput

LimitName: TypeAlias = Literal[
    "wall_seconds", "cpu_seconds", "memory_bytes", "processes", "open_files", "file_bytes", "output_bytes"
]

MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Limits:
    """What one run may use. All are enforced by the kernel or by the sandbox, never by the program's own process.

    Attributes:
        wall_seconds: Time from the program's start to the death of all its processes.
        cpu_seconds: Processor time of each process; the kernel counts whole seconds, so fractions are rounded up.
        memory_bytes: Address space of each process. The whole container has a limit of its own; see the backend.
        processes: Processes and threads alive at one time.
        open_files: Descriptors of each process.
        file_bytes: Size of each file that it writes.
        output_bytes: Standard output, standard error and reply together; what comes after is dropped and the
            program ended.

    Raises:
        InvalidInput: A limit is not a positive finite number.
    """

    wall_seconds: float = 10.0
    cpu_seconds: float = 10.0
    memory_bytes: int = 512 * MEBIBYTE
    processes: int = 64
    open_files: int = 256
    file_bytes: int = 16 * MEBIBYTE
    output_bytes: int = MEBIBYTE

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            whole = not field.name.endswith("_seconds")
            if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
                raise InvalidInput(f"{field.name}={value!r}: give {'a whole' if whole else 'a'} number above 0")
            if not math.isfinite(value) or value <= 0:
                raise InvalidInput(f"{field.name}={value!r}: a limit must be finite and above 0")


@dataclass(frozen=True)
class Result:
    """What came of one run.

    Attributes:
        exit_code: The program's exit status; minus the signal's number when a signal ended it.
        stdout: What it printed, as bytes, cut at `Limits.output_bytes`.
        stderr: The same for standard error.
        wall_seconds: From its start until none of its processes was left.
        cpu_seconds: User and system time of all its processes.
        peak_bytes: Resident memory of its largest process.
        limit: The limit that ended it, or None. An allocation or a fork that merely failed, and that the program
            survived, is not an ending.
        reply: What the program wrote to the private channel, where the run had one.
        backend: Which sandbox ran it: "docker" or "local".
        weaker: Whether that sandbox is one that holds hostile programs less well than a container does.
    """

    exit_code: int
    stdout: bytes
    stderr: bytes
    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int
    limit: LimitName | None
    reply: bytes = b""
    backend: str = ""
    weaker: bool = False

    @property
    def ok(self) -> bool:
        """Whether the program ended by itself with status 0. No evidence that it did anything."""
        return self.exit_code == 0 and self.limit is None

    @property
    def text(self) -> str:
        """Standard output as text; bytes that are not UTF-8 become replacement characters."""
        return self.stdout.decode("utf-8", "replace")

    @property
    def errors(self) -> str:
        """Standard error as text; bytes that are not UTF-8 become replacement characters."""
        return self.stderr.decode("utf-8", "replace")
