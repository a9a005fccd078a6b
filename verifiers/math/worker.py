"""A process of its own for sympy, killable, shared by all threads.

It starts with the first question, in a fresh interpreter (never a fork of a process with threads and devices), and is
used again after that. The deadline is processor time of the worker, from when it began with the question,
so that a loaded
machine does not turn into time-outs. The worker stops itself where Python code runs; if it is stuck in C code it is
killed after a multiple of the deadline on the wall clock, and the next question starts another.
"""

from __future__ import annotations

import atexit
import json
import os
import queue
import subprocess
import sys
import threading
from typing import Any

_START_SECONDS = 60.0
_PATIENCE = 20  # a worker that gets a twentieth of a processor still finishes in time


class WorkerFailed(Exception):
    """The worker could not answer: sympy raised, or the process died."""


class Worker:
    """One worker process, asked by one thread at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[str] = queue.Queue()
        self._owner = 0

    def ask(self, question: dict[str, Any], seconds: float) -> Any:
        """Returns the worker's answer.

        Raises:
            TimeoutError: It took more than `seconds` of processor time.
            WorkerFailed: It could not answer.
        """
        with self._lock:
            process = self._running()
            assert process.stdin is not None
            try:
                process.stdin.write(json.dumps(question) + "\n")
                process.stdin.flush()
            except OSError as error:
                self._kill()
                raise WorkerFailed("the worker died") from error
            self._expect_start()
            try:
                line = self._lines.get(timeout=seconds * _PATIENCE)
            except queue.Empty:
                self._kill()
                raise TimeoutError from None
            if not line:
                self._kill()
                raise WorkerFailed("the worker died")
        reply = json.loads(line)
        if "timeout" in reply:
            raise TimeoutError
        if "error" in reply:
            raise WorkerFailed(reply["error"])
        return reply["answer"]

    def _expect_start(self) -> None:
        try:
            line = self._lines.get(timeout=_START_SECONDS)
        except queue.Empty:
            line = ""
        if line.strip() != '"begun"':
            self._kill()
            raise WorkerFailed("the worker did not start")

    def _running(self) -> subprocess.Popen[str]:
        process = self._process
        if process is not None and self._owner == os.getpid() and process.poll() is None:
            return process
        self._kill()
        # After a fork the pipe belongs to the parent: the child starts a worker of its own.
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
        process = subprocess.Popen(
            [sys.executable, "-m", "turnwise.verifiers.math.worker_main"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment,
            encoding="utf-8", errors="backslashreplace",
        )  # fmt: skip
        self._process, self._owner, self._lines = process, os.getpid(), queue.Queue()
        threading.Thread(target=_pump, args=(process, self._lines), daemon=True, name="math-worker-reader").start()
        return process

    def _kill(self) -> None:
        process, self._process = self._process, None
        if process is not None and self._owner == os.getpid():
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()

    def close(self) -> None:
        """Ends the process, if there is one."""
        with self._lock:
            self._kill()


def _pump(process: subprocess.Popen[str], lines: queue.Queue[str]) -> None:
    assert process.stdout is not None
    try:
        for line in process.stdout:
            lines.put(line)
    except ValueError:
        pass  # closed by _kill
    lines.put("")


_SHARED: Worker | None = None
_SHARED_LOCK = threading.Lock()


def shared_worker() -> Worker:
    """Returns the worker of this process."""
    global _SHARED
    with _SHARED_LOCK:
        if _SHARED is None:
            _SHARED = Worker()
            atexit.register(_SHARED.close)
        return _SHARED


def _forget_after_fork() -> None:
    global _SHARED, _SHARED_LOCK
    _SHARED, _SHARED_LOCK = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)
