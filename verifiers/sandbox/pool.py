"""A bounded pool of warm workers, each a sandbox with an agent inside. What the backends share."""

from __future__ import annotations

import logging
import threading
import time
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from turnwise.verifiers.sandbox.base import Sandbox
from turnwise.verifiers.sandbox.errors import SandboxError
from turnwise.verifiers.sandbox.types import Limits, Result
from turnwise.verifiers.sandbox.wire import Wire, request_to_run, result_of

logger = logging.getLogger(__name__)

GRACE = 20.0
"""Seconds beyond a run's own deadline that the host waits for the agent, which ends runs itself."""

PING_SECONDS = 20.0
STALE = 30.0
"""Seconds after which a worker that nobody used is asked whether it still answers, before it is used."""

MARGIN = 1 << 16


@dataclass
class Worker:
    """A sandbox that waits for programs.

    Attributes:
        name: What the backend calls it.
        wire: The connection to its agent.
        stop: Ends it and whatever runs in it; never raises.
        used: When it last answered, on the monotonic clock.
    """

    name: str
    wire: Wire
    stop: Callable[[], None]
    used: float = field(default_factory=time.monotonic)


class PooledSandbox(Sandbox):
    """Keeps `concurrency` workers warm. A worker is used again only when its agent says that nothing is left of a run.

    A worker that breaks is replaced and the run repeated once in another; breaking two in a row is a `SandboxError`.
    """

    def __init__(self, concurrency: int) -> None:
        super().__init__(concurrency)
        self._changed = threading.Condition()
        self._idle: deque[Worker] = deque()
        self._alive = 0
        self._closed = False
        self._failure: SandboxError | None = None
        self._wanted = concurrency
        self._filler = threading.Thread(target=self._fill, name="turnwise-sandbox-pool", daemon=True)
        self._filler.start()

    @abstractmethod
    def _start(self) -> Worker:
        """Starts a worker whose agent is about to answer. Raises `SandboxError`."""

    def _run(
        self,
        program: str | Sequence[str],
        files: Mapping[str, bytes],
        stdin: bytes,
        limits: Limits,
        private: bytes | None,
    ) -> Result:
        request = request_to_run(program, files, stdin, limits, private)
        try:
            return self._attempt(request, limits)
        except SandboxError as error:
            logger.warning("a run is repeated in a fresh sandbox: %s", error)
            return self._attempt(request, limits)

    def _attempt(self, request: Mapping[str, object], limits: Limits) -> Result:
        worker = self._take()
        clean = False
        try:
            longest = 2 * limits.output_bytes + MARGIN  # base64 makes 4 bytes of 3
            reply = worker.wire.ask(request, limits.wall_seconds + GRACE, longest)
            result = result_of(reply, self.backend, self.weaker)
            clean = reply.get("clean") is True
            return result
        finally:
            self._give_back(worker, clean)

    def _take(self) -> Worker:
        while True:
            with self._changed:
                while not self._idle and not self._closed and self._failure is None:
                    self._changed.wait()
                if self._closed:
                    raise SandboxError("the sandbox is closed")
                if not self._idle:
                    failure, self._failure = self._failure, None
                    self._changed.notify_all()  # the next caller makes the pool try again
                    raise SandboxError(str(failure)) from failure
                worker = self._idle.popleft()
            if time.monotonic() - worker.used < STALE or self._answers(worker):
                return worker
            self._give_back(worker, clean=False)

    def _answers(self, worker: Worker) -> bool:
        try:
            worker.wire.ask({"operation": "ping"}, PING_SECONDS, MARGIN)
        except SandboxError as error:
            logger.warning("sandbox %s is replaced: %s", worker.name, error)
            return False
        worker.used = time.monotonic()
        return True

    def _give_back(self, worker: Worker, clean: bool) -> None:
        worker.used = time.monotonic()
        with self._changed:
            if clean and not self._closed:
                self._idle.append(worker)
                self._changed.notify()
                return
        stop(worker)
        with self._changed:
            self._alive -= 1
            self._changed.notify_all()

    def _fill(self) -> None:
        """Keeps the pool full; runs in a thread until the pool closes."""
        while True:
            with self._changed:
                while not self._closed and (self._alive >= self._wanted or self._failure is not None):
                    self._changed.wait()
                if self._closed:
                    return
                self._alive += 1
            worker = self._try_to_start()
            with self._changed:
                if worker is not None and not self._closed:
                    self._idle.append(worker)
                    worker = None
                elif worker is None:
                    self._alive -= 1
                self._changed.notify_all()
            if worker is not None:
                stop(worker)

    def _try_to_start(self) -> Worker | None:
        worker = None
        try:
            worker = self._start()
            worker.wire.ask({"operation": "ping"}, PING_SECONDS, MARGIN)
            return worker
        except Exception as error:  # noqa: BLE001 - whoever waits for a worker is told; this thread must go on
            if worker is not None:
                stop(worker)
            with self._changed:
                self._failure = error if isinstance(error, SandboxError) else SandboxError(repr(error))
            return None

    def close(self) -> None:
        """Stops every worker; runs in progress fail with `SandboxError`."""
        super().close()
        with self._changed:
            self._closed = True
            idle, self._idle = list(self._idle), deque()
            self._changed.notify_all()
        for worker in idle:
            stop(worker)
        if threading.current_thread() is not self._filler:
            self._filler.join()


def stop(worker: Worker) -> None:
    """Hangs up and ends a worker."""
    worker.wire.close()
    worker.stop()
