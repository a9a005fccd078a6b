"""Environments kept for the next episode, and the end of those that failed."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator

from turnwise.agents.errors import EnvironmentTimeout, StalledError
from turnwise.agents.rollout.config import RolloutConfig
from turnwise.agents.rollout.workers import EnvFactory, EnvWorker

POLL_SECONDS = 0.002

log = logging.getLogger(__name__)


class EnvPool:
    """Lends environments to episodes. A healthy one comes back and is lent again; a failed or hung one never is.

    An environment that is given up is closed in its own thread, in the background. If that has not happened within
    `close_timeout`, its `close` is called from another thread, which may free what it hangs on.
    """

    def __init__(self, make_env: EnvFactory, config: RolloutConfig) -> None:
        self._make_env = make_env
        self._config = config
        self._idle: list[EnvWorker] = []
        self._lent: set[EnvWorker] = set()
        self._retired: dict[EnvWorker, float] = {}  # not closed yet, with the time when it should be
        self._hung: set[EnvWorker] = set()
        self.made = 0
        """How many environments were asked for so far."""

    @property
    def abandoned(self) -> int:
        """How many threads hang: a call in them passed its deadline and has not returned yet."""
        self._hung = {worker for worker in self._hung if worker.hanging}
        return len(self._hung)

    async def checkout(self) -> EnvWorker:
        """Lends an environment, an idle one if there is one.

        Raises:
            EnvironmentFailure: A new one could not be made.
            StalledError: More environments hang than `max_abandoned` allows.
        """
        self.reap()
        loop = asyncio.get_running_loop()
        while self._idle:
            worker = self._idle.pop()
            if worker.usable_on(loop):
                self._lent.add(worker)
                return worker
            self._retire(worker)
        if self.abandoned > self._config.max_abandoned:
            raise StalledError(
                f"environment: {self.abandoned} environments hang in threads that cannot be ended, more than "
                f"max_abandoned={self._config.max_abandoned}"
            )
        worker = EnvWorker(self._make_env)
        self.made += 1
        self._lent.add(worker)
        try:
            await worker.open(self._config.reset_timeout)
        except BaseException as error:
            self.discard(worker, hung=isinstance(error, EnvironmentTimeout))
            raise
        return worker

    def give_back(self, worker: EnvWorker) -> None:
        """Takes a healthy environment back."""
        self._lent.discard(worker)
        self._idle.append(worker)

    def discard(self, worker: EnvWorker, *, hung: bool) -> None:
        """Takes an environment back that must not be lent again.

        Args:
            worker: The environment.
            hung: Whether a call in it passed its deadline.
        """
        if hung:
            self._hung.add(worker)
        self._retire(worker)

    def reap(self) -> None:
        """Forgets environments that were closed; those whose time for it is over count as hanging."""
        now = time.monotonic()
        for worker, deadline in list(self._retired.items()):
            if worker.closed.is_set():
                del self._retired[worker]
            elif now > deadline:
                self._hung.add(worker)

    async def aclose(self) -> None:
        """Closes every environment that was made, lent ones too, and waits for it twice `close_timeout` at most."""
        for pause in self._closing():
            await asyncio.sleep(pause)

    def close(self) -> None:
        """Does the same without an event loop."""
        for pause in self._closing():
            time.sleep(pause)

    def _closing(self) -> Iterator[float]:
        """Closes everything; yields how long to wait before going on."""
        for worker in [*self._lent, *self._idle]:
            self._retire(worker)
        self._idle.clear()
        ends = time.monotonic() + 2 * self._config.close_timeout
        while self._retired and time.monotonic() < ends:
            yield POLL_SECONDS
            self.reap()
        if self._retired:  # their `close` was called and hangs, or they are still being made
            log.warning("%d environments did not close in time", len(self._retired))
        self._retired.clear()

    def _retire(self, worker: EnvWorker) -> None:
        self._lent.discard(worker)
        self._retired[worker] = time.monotonic() + self._config.close_timeout
        worker.retire(self._config.close_timeout)
