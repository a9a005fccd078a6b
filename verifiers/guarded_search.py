"""Regular expressions on text that nobody has vetted: a search that backtracks without end is killed.

Python's `re` holds the interpreter's lock while it searches and cannot be interrupted: one response that drives a
pattern into catastrophic backtracking would freeze every thread, and a time-out by signal works in the main thread
only. So searches run in worker processes, which the kernel ends when a search has used its CPU time. CPU time, unlike
the wall clock, does not depend on what else the machine does: a verdict does not change with load.

A call costs about a tenth of a millisecond. Workers are kept for the next call; there are as many as threads searched
at once.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import selectors
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from turnwise.verifiers.errors import VerifierError, VerifierTimeout
from turnwise.verifiers.search_worker import read_message, write_message

Method: TypeAlias = Literal["search", "fullmatch"]

PATIENCE = 60.0
"""Wall-clock seconds after which a worker that uses no CPU time (a stopped process, a frozen machine) is given up."""


@dataclass(frozen=True)
class Found:
    """Where a pattern was found.

    Attributes:
        span: Index of the first character of the match, and index after its last.
        group: The text of the group that was asked for; None if none was, or if it took no part in the match.
    """

    span: tuple[int, int]
    group: str | None


def guarded_search(
    pattern: re.Pattern[str], text: str, method: Method = "search", group: int | str | None = None, seconds: float = 1.0
) -> Found | None:
    """Returns where a pattern is found in a text, or None.

    Args:
        pattern: The compiled pattern; it is compiled again in the worker.
        text: The text.
        method: Whether the pattern may match anywhere, or must match the whole text.
        group: The group whose text is wanted.
        seconds: CPU seconds that the search may take.

    Raises:
        VerifierTimeout: The search did not end within its CPU time.
        VerifierError: The worker could not be run.
    """
    request = {
        "pattern": pattern.pattern,
        "flags": pattern.flags,
        "text": text,
        "method": method,
        "group": group,
        "seconds": seconds,
    }
    worker = _pool.take()
    try:
        reply = worker.ask(request, seconds)
    except BaseException:
        worker.end()
        raise
    _pool.give_back(worker)
    return None if reply is None else Found(tuple(reply["span"]), reply["group"])


class SearchWorker:
    """One worker process."""

    def __init__(self) -> None:
        script = Path(__file__).with_name("search_worker.py")
        command = [sys.executable, "-I", "-S", str(script)]
        # In a session of its own, so that Ctrl-C at the terminal stops the caller and not, noisily, its workers; these
        # end when the caller's end of the pipe closes.
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)

    def ask(self, request: dict[str, Any], seconds: float) -> dict[str, Any] | None:
        """Returns the worker's reply; see `guarded_search` for what is raised. After an exception, `end` the worker."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            write_message(self.process.stdin, request)
            with selectors.DefaultSelector() as selector:
                selector.register(self.process.stdout, selectors.EVENT_READ)
                if not selector.select(seconds + PATIENCE):
                    raise VerifierTimeout(f"the search did not answer within {seconds + PATIENCE:g} s")
            reply: dict[str, Any] | None = read_message(self.process.stdout)
        except (EOFError, BrokenPipeError) as error:
            if self.process.wait() == -signal.SIGPROF:
                raise VerifierTimeout(f"the search took more than {seconds:g} s of CPU time: it backtracks") from error
            raise VerifierError(f"the search process ended with code {self.process.returncode}") from error
        return reply

    def end(self) -> None:
        """Ends the process."""
        self.process.kill()
        with contextlib.suppress(BrokenPipeError):  # what a dead process has not read
            self.process.communicate()


class WorkerPool:
    """The workers that wait for a call, the last used first. A forked process begins with an empty pool of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._idle: list[SearchWorker] = []
        self._inherited: list[SearchWorker] = []  # the parent's: kept unused, since collecting them would warn

    def take(self) -> SearchWorker:
        """Returns an idle worker, or a new one."""
        if self._process != os.getpid():
            inherited = self._idle
            self.__init__()  # type: ignore[misc]  # begins anew: even the lock may have been held when the process forked
            self._inherited = inherited
        with self._lock:
            if self._idle:
                return self._idle.pop()
        atexit.register(self.close)
        return SearchWorker()

    def give_back(self, worker: SearchWorker) -> None:
        """Keeps a worker for the next call."""
        with self._lock:
            self._idle.append(worker)

    def close(self) -> None:
        """Ends the idle workers of this process."""
        if self._process == os.getpid():
            while self._idle:
                self._idle.pop().end()


_pool = WorkerPool()
