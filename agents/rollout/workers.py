"""An environment and the thread that it lives in.

Synchronous code that hangs cannot be ended from outside: all that one can do is stop waiting for it. So every
environment has a daemon thread of its own, in which it is made, reset, stepped and closed (sqlite and synchronous
Playwright insist on one thread), and a caller that waits for an answer no longer than a deadline. A hand-over costs
some 20 microseconds: fast environments can pay it too, and no environment can stop the event loop.

An environment whose outermost object has coroutine methods `areset` and `astep` (and, optionally, `aclose`) is run on
the event loop instead; only its making happens in the thread.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import logging
import threading
from collections.abc import Callable, Coroutine, Mapping
from queue import SimpleQueue
from time import perf_counter
from typing import Any, TypeAlias

import gymnasium as gym

from turnwise.agents.errors import EnvironmentFailure, EnvironmentTimeout, InvalidInput, MissingExtra
from turnwise.agents.rollout.contract import Start, Transition, check_reset, check_step

EnvFactory: TypeAlias = Callable[[], gym.Env[Any, Any]]
_Answer: TypeAlias = tuple[Any, BaseException | None]
_Request: TypeAlias = tuple[Callable[[], Any], asyncio.AbstractEventLoop, "asyncio.Future[_Answer]"]

log = logging.getLogger(__name__)
_numbers = itertools.count()


class EnvWorker:
    """One environment, made by `open`, and given up by `retire`; it serves one call at a time.

    Attributes:
        env: The environment once `open` made it.
        closed: Set when nothing of the environment is left to close.
        seconds: How long the last call took in the environment itself, without the wait for its turn.
    """

    def __init__(self, make_env: EnvFactory) -> None:
        self.env: gym.Env[Any, Any] | None = None
        self.closed = threading.Event()
        self.seconds = 0.0
        self._make_env = make_env
        self._requests: SimpleQueue[_Request | None] = SimpleQueue()
        self._idle = threading.Event()  # no call is in the thread
        self._idle.set()
        self._close_lock = threading.Lock()
        self._close_began = False
        self._loop: asyncio.AbstractEventLoop | None = None  # of asynchronous environments: they belong to one loop
        self._thread = threading.Thread(target=self._serve, name=f"turnwise-env-{next(_numbers)}", daemon=True)
        self._thread.start()

    @property
    def env_id(self) -> str:
        """The registered id of the environment, or the name of its class."""
        if self.env is None:
            return ""
        return self.env.spec.id if self.env.spec is not None else type(self.env.unwrapped).__name__

    @property
    def hanging(self) -> bool:
        """Whether the thread still lives."""
        return self._thread.is_alive()

    def usable_on(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether the environment can be called from this event loop."""
        return self._loop is None or self._loop is loop

    async def open(self, timeout: float) -> None:
        """Makes the environment.

        Raises:
            EnvironmentTimeout: It was not made before the deadline.
            EnvironmentFailure: Making it raised.
            InvalidInput: It was asked for with values that it does not take.
            MissingExtra: It needs something that is not installed.
        """
        await self._in_thread("make", self._make, timeout)
        if inspect.iscoroutinefunction(getattr(self.env, "areset", None)):
            self._loop = asyncio.get_running_loop()

    async def reset(self, seed: int, options: Mapping[str, Any], timeout: float) -> Start:
        """Begins an episode.

        Raises:
            EnvironmentTimeout: No answer came before the deadline.
            EnvironmentFailure: The environment raised or broke its contract.
            InvalidInput: The environment does not know an option.
        """
        env: Any = self.env
        if self._loop is not None:
            return check_reset(await self._on_loop("reset", env.areset(seed=seed, options=dict(options)), timeout))
        return check_reset(await self._in_thread("reset", lambda: env.reset(seed=seed, options=dict(options)), timeout))

    async def step(self, action: str, timeout: float) -> Transition:
        """Hands one action to the environment.

        Raises:
            EnvironmentTimeout: No answer came before the deadline.
            EnvironmentFailure: The environment raised or broke its contract.
        """
        env: Any = self.env
        if self._loop is not None:
            return check_step(await self._on_loop("step", env.astep(action), timeout))
        return check_step(await self._in_thread("step", lambda: env.step(action), timeout))

    def retire(self, patience: float) -> None:
        """Has the environment closed as soon as it answers, and the thread ended; returns at once. Call it once.

        Args:
            patience: Seconds after which an environment that hangs is closed from another thread, which may free what
                it hangs on.
        """
        if self._loop is not None and self._loop.is_running() and hasattr(self.env, "aclose"):
            asyncio.run_coroutine_threadsafe(self._aclose(), self._loop)
            return
        self._requests.put(None)
        if not self._idle.is_set():  # the thread begins now, because an interpreter that exits begins no more
            name = f"{self._thread.name}-close"
            threading.Thread(target=self._close_after, args=(patience,), name=name, daemon=True).start()

    def _close_after(self, patience: float) -> None:
        if not self._idle.wait(patience) and self.env is not None:
            self._close()

    def _make(self) -> None:
        self.env = self._make_env()  # set in the thread, so that one made too late is closed all the same

    def _serve(self) -> None:
        while (request := self._requests.get()) is not None:
            function, loop, future = request
            began = perf_counter()
            try:
                answer: _Answer = (function(), None)
            except BaseException as error:  # noqa: BLE001 - not even SystemExit may end the thread without an answer
                answer = (None, error)
            self.seconds = perf_counter() - began
            self._idle.set()
            try:
                loop.call_soon_threadsafe(_resolve, future, answer)
            except RuntimeError:
                log.debug("an environment answered after its event loop was closed")
            del function, future, answer, request  # an idle thread keeps nothing alive
        self._close()

    def _close(self) -> None:
        with self._close_lock:
            if self._close_began:
                return
            self._close_began = True
        try:
            if self.env is not None:
                self.env.close()
        except BaseException as error:  # noqa: BLE001 - whatever close raises must not keep others from being closed
            log.warning("closing %s raised %s: %s", self.env_id, type(error).__name__, error)
        finally:
            self.closed.set()

    async def _aclose(self) -> None:
        with self._close_lock:
            began, self._close_began = self._close_began, True
        try:
            if not began:
                env: Any = self.env
                await env.aclose()
        except Exception as error:  # noqa: BLE001 - as in `_close`
            log.warning("closing %s raised %s: %s", self.env_id, type(error).__name__, error)
        finally:
            self.closed.set()
            self._requests.put(None)

    async def _in_thread(self, stage: str, function: Callable[[], Any], timeout: float) -> Any:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_Answer] = loop.create_future()
        timer = loop.call_later(timeout, _expire, future, stage, timeout)
        self._idle.clear()
        self._requests.put((function, loop, future))
        try:
            value, error = await future
        finally:
            timer.cancel()
        return value if error is None else _raise(stage, error)

    async def _on_loop(self, stage: str, coroutine: Coroutine[Any, Any, Any], timeout: float) -> Any:
        began = perf_counter()
        task = asyncio.ensure_future(coroutine)
        try:
            await asyncio.wait({task}, timeout=None if timeout == float("inf") else timeout)
        finally:
            if not task.done():  # late, or we were cancelled; one that ignores its cancellation is left to itself
                task.add_done_callback(_retrieve)
                task.cancel()
        if not task.done():
            raise _late(stage, timeout)
        if task.cancelled():
            raise EnvironmentFailure(f"environment.{stage} was cancelled")
        self.seconds = perf_counter() - began
        error = task.exception()
        return task.result() if error is None else _raise(stage, error)


def _resolve(future: asyncio.Future[_Answer], answer: _Answer) -> None:
    if not future.done():
        future.set_result(answer)


def _expire(future: asyncio.Future[_Answer], stage: str, timeout: float) -> None:
    _resolve(future, (None, _late(stage, timeout)))


def _late(stage: str, timeout: float) -> EnvironmentTimeout:
    return EnvironmentTimeout(f"environment.{stage} did not answer within {timeout:g} s")


def _retrieve(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()  # nobody waits for it any more; asyncio would complain that it was never looked at


def _raise(stage: str, error: BaseException) -> Any:
    """Raises what an environment's exception is to the rollout."""
    if isinstance(error, EnvironmentTimeout):
        raise error
    if isinstance(error, InvalidInput | MissingExtra) and stage != "step":
        raise error  # the caller's mistake, which every other episode would repeat
    raise EnvironmentFailure(f"environment.{stage} raised {type(error).__name__}: {error}") from error
