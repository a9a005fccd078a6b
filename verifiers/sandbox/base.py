"""The sandbox interface."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath
from types import TracebackType
from typing import Self

from turnwise.verifiers.errors import InvalidInput
from turnwise.verifiers.sandbox.types import Limits, Result


class Sandbox(ABC):
    """Runs programs that nobody vouches for. Threads may share one; close it, or use it as a context manager.

    Args:
        concurrency: How many programs run at the same time at most.
    """

    backend: str
    """The name of the backend: "docker" or "local"."""

    weaker: bool
    """Whether it holds hostile programs less well than a container does."""

    def __init__(self, concurrency: int) -> None:
        if isinstance(concurrency, bool) or not isinstance(concurrency, int) or concurrency < 1:
            raise InvalidInput(f"concurrency={concurrency!r}: give a whole number of at least 1")
        self.concurrency = concurrency
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix="turnwise-sandbox")

    def run(
        self,
        program: str | Sequence[str],
        *,
        files: Mapping[str, str | bytes] | None = None,
        stdin: str | bytes = b"",
        limits: Limits | None = None,
        private: bytes | None = None,
    ) -> Result:
        """Runs a program to its end, or to the first limit.

        Args:
            program: Python source as text, or the words of a command.
            files: Files to lay out in the work folder first, by their relative path.
            stdin: What the program reads from standard input.
            limits: What it may use.
            private: Bytes that it can read from descriptor 3; `Result.reply` is then what it wrote to descriptor 4.

        Raises:
            InvalidInput: A path leaves the work folder, or an argument is of the wrong kind.
            SandboxError: The sandbox failed, also on a second attempt in a fresh one.
        """
        if isinstance(program, bytes) or not program:
            raise InvalidInput(f"program={program!r}: give Python source as text, or a list of words")
        if not isinstance(program, str) and not all(isinstance(word, str) and "\0" not in word for word in program):
            raise InvalidInput(f"program={program!r}: the words of a command are text without NUL characters")
        laid_out = {
            checked_path(name): as_bytes(content, f"files[{name!r}]") for name, content in (files or {}).items()
        }
        return self._run(program, laid_out, as_bytes(stdin, "stdin"), limits or Limits(), private)

    async def arun(
        self,
        program: str | Sequence[str],
        *,
        files: Mapping[str, str | bytes] | None = None,
        stdin: str | bytes = b"",
        limits: Limits | None = None,
        private: bytes | None = None,
    ) -> Result:
        """Asynchronous `run`; runs beyond `concurrency` wait for their turn."""
        work = lambda: self.run(program, files=files, stdin=stdin, limits=limits, private=private)  # noqa: E731 - a name for the call
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    @abstractmethod
    def _run(
        self,
        program: str | Sequence[str],
        files: Mapping[str, bytes],
        stdin: bytes,
        limits: Limits,
        private: bytes | None,
    ) -> Result:
        """Runs a program whose arguments have been checked."""

    def close(self) -> None:
        """Ends everything that the sandbox has started. May be called twice."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def checked_path(name: str) -> str:
    """Returns a path inside the work folder.

    Raises:
        InvalidInput: It is absolute, empty, or has a component that leaves the folder.
    """
    path = PurePosixPath(name)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\0" in name:
        raise InvalidInput(f"file {name!r}: give a relative path below the work folder, without '..'")
    return str(path)


def as_bytes(content: str | bytes, name: str) -> bytes:
    """Returns text as UTF-8; lone surrogates, which a model can write and UTF-8 cannot hold, become question marks."""
    if isinstance(content, bytes):
        return content
    if not isinstance(content, str):
        raise InvalidInput(f"{name}={content!r}: give text or bytes")
    return content.encode("utf-8", "replace")
