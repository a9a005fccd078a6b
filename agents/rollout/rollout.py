"""Rollouts: many episodes side by side, each at its own pace."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import gymnasium as gym

from turnwise.agents.errors import EnvironmentFailure, EnvironmentTimeout, InvalidInput
from turnwise.agents.policies.base import Policy
from turnwise.agents.rollout.attempt import Attempt, PolicyError
from turnwise.agents.rollout.config import RolloutConfig
from turnwise.agents.rollout.groups import Groups
from turnwise.agents.rollout.jobs import Job, checked
from turnwise.agents.rollout.pool import EnvPool
from turnwise.agents.rollout.progress import Board
from turnwise.agents.rollout.stats import RolloutStats, summarise
from turnwise.agents.rollout.workers import EnvFactory, EnvWorker
from turnwise.agents.types import Episode, Status

log = logging.getLogger(__name__)


class Rollout:
    """Runs a policy in environments.

    Environments are kept between runs; `close` (or leaving a `with` block) closes them. A run that ends by an exception
    closes all of them.

        with Rollout("turnwise/GuessNumber-v0", policy) as rollout:
            episodes = rollout.run_sync(group_jobs(seeds=range(8), repeats=4))

    Args:
        env: Makes an environment, or the id of a registered one.
        policy: What decides.
        config: How episodes are run.
        env_kwargs: What `gym.make` gets besides the id.

    Raises:
        InvalidInput: No environment is registered under the id, or `env_kwargs` come without one.
    """

    def __init__(
        self,
        env: str | Callable[[], gym.Env[Any, Any]],
        policy: Policy,
        config: RolloutConfig | None = None,
        *,
        env_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self.policy = policy
        self.config = config or RolloutConfig()
        self.stats: RolloutStats | None = None
        """The numbers of the last run."""
        self._pool = EnvPool(env_factory(env, env_kwargs), self.config)
        self._runner: asyncio.Runner | None = None
        self._running = False
        weakref.finalize(self, self._pool.close)  # for those who forget; also at the interpreter's exit

    async def run(self, jobs: Sequence[Job]) -> list[Episode]:
        """Runs the jobs, `concurrency` of them at a time.

        Args:
            jobs: What to run. Jobs are begun in this order.

        Returns:
            One episode per job, in the jobs' order. With environments and policy that follow from their seeds, the
            episodes do not depend on `concurrency` or timing (their `seconds` do).

        Raises:
            InvalidInput: The jobs contradict each other, or policy or environment refused the caller's values.
            StalledError: Nothing moved for `stall_timeout`, or more than `max_abandoned` environments hang.
        """
        if self._running:
            raise InvalidInput("this rollout is running already; give it all jobs at once, or make another rollout")
        jobs = checked(jobs)
        self._running = True
        began = time.perf_counter()
        try:
            episodes = await _Run(self._pool, self.policy, self.config, jobs).episodes()
        except BaseException:
            await self.aclose()
            raise
        finally:
            self._running = False
        self.stats = summarise(episodes, time.perf_counter() - began)
        _warn(episodes)
        return episodes

    def run_sync(self, jobs: Sequence[Job]) -> list[Episode]:
        """Runs the jobs from synchronous code, always on one event loop of this rollout; see `run`.

        Raises:
            InvalidInput: An event loop is running: `await rollout.run(jobs)` there.
        """
        return self._own_loop("run_sync", "await rollout.run(jobs)").run(self.run(jobs))

    async def aclose(self) -> None:
        """Closes all environments, within twice `close_timeout`. Idempotent; the rollout can be used again."""
        await self._pool.aclose()

    def close(self) -> None:
        """Closes all environments from synchronous code; see `aclose`.

        Raises:
            InvalidInput: An event loop is running: `await rollout.aclose()` there.
        """
        runner = self._own_loop("close", "await rollout.aclose()")
        runner.run(self.aclose())
        runner.close()
        self._runner = None

    def _own_loop(self, name: str, instead: str) -> asyncio.Runner:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            if self._runner is None:
                self._runner = asyncio.Runner()
                weakref.finalize(self, _close_quietly, self._runner)
            return self._runner
        raise InvalidInput(f"{name} was called inside a running event loop; use `{instead}`")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


class _Run:
    """One call of `Rollout.run`: slots that take the next job until there is none."""

    def __init__(self, pool: EnvPool, policy: Policy, config: RolloutConfig, jobs: Sequence[Job]) -> None:
        self.pool = pool
        self.policy = policy
        self.config = config
        self.jobs = jobs
        self.groups = Groups()
        self.board = Board()
        self.expected = 0
        self.results: list[Episode | None] = [None] * len(jobs)

    async def episodes(self) -> list[Episode]:
        queue = iter(enumerate(self.jobs))
        tasks = [asyncio.create_task(self._slot(queue)) for _ in range(min(self.config.concurrency, len(self.jobs)))]
        self._expect(len(tasks))
        watchdog = asyncio.create_task(self.board.watch(self.config.stall_timeout))
        try:
            await _all_or_first_error(tasks, watchdog)
        finally:
            await self._stop([watchdog, *tasks])
        return self.groups.settle([episode for episode in self.results if episode is not None])

    async def _slot(self, queue: Iterator[tuple[int, Job]]) -> None:
        """Runs jobs one after the other.

        The policy expects the slot, not the episode: between the end of one and the beginning of the next the number in
        flight must not dip, or an engine that waits for all would start a batch without the episode that is about
        to ask.
        """
        worker: EnvWorker | None = None
        for position, job in queue:
            self.results[position], worker = await self._job(job, worker)
        if worker is not None:
            self.pool.give_back(worker)
        self._expect(-1)

    async def _job(self, job: Job, worker: EnvWorker | None) -> tuple[Episode, EnvWorker | None]:
        """Runs one job, again where it fails; returns its episode, and the environment if it is still good.

        Whatever this raises, the environment that it was given has been discarded.
        """
        number = 0
        while True:
            attempt = Attempt(job, number)
            try:
                if worker is None:
                    self.board.enter(job.name, "environment.make")
                    worker = await self.pool.checkout()
                episode = await attempt.play(worker, self.policy, self.config, self.board, self.groups)
            except PolicyError as error:
                episode = attempt.episode(Status.FAILED, error=str(error))
            except EnvironmentFailure as error:
                if worker is not None:
                    self.pool.discard(worker, hung=isinstance(error, EnvironmentTimeout))
                worker = None
                episode = attempt.episode(Status.FAILED, error=_boundary(error, attempt))
            except BaseException:
                if worker is not None:
                    self.pool.discard(worker, hung=False)
                raise
            if episode.status is not Status.FAILED or number >= self.config.retries or self.groups.broken(job):
                self.board.leave(job.name)
                return episode, worker
            number += 1

    def _expect(self, change: int) -> None:
        self.expected += change
        self.policy.expect(change)

    async def _stop(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=self.config.close_timeout)  # a policy may ignore its cancellation
        for task in tasks:
            if task.done() and not task.cancelled():
                task.exception()  # looked at, so that asyncio does not report it once more
        if self.expected:
            self._expect(-self.expected)


async def _all_or_first_error(tasks: Sequence[asyncio.Task[None]], watchdog: asyncio.Task[None]) -> None:
    """Waits until all tasks are done, or any of them or the watchdog raises, which it raises too."""
    pending = set(tasks)
    while pending:
        done, pending = await asyncio.wait({*pending, watchdog}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        pending.discard(watchdog)


def env_factory(env: str | Callable[[], gym.Env[Any, Any]], kwargs: Mapping[str, Any] | None = None) -> EnvFactory:
    """Returns what makes environments.

    Args:
        env: An id of Gymnasium's registry ("module:id" imports the module first), or already a factory.
        kwargs: What `gym.make` gets besides the id.

    Raises:
        InvalidInput: The id is not registered, or there are `kwargs` for a factory.
    """
    if not isinstance(env, str):
        if kwargs:
            raise InvalidInput(f"env_kwargs={dict(kwargs)!r} need an id; give them to the factory {env!r} yourself")
        return env
    import turnwise.envs  # noqa: F401 - registers ours

    try:
        gym.spec(env)
    except (gym.error.Error, ModuleNotFoundError) as error:
        raise InvalidInput(f"no environment is registered as {env!r}: {error}") from error
    # Gymnasium's passive checker would check every step again, in warnings.
    return functools.partial(gym.make, env, disable_env_checker=True, **dict(kwargs or {}))


def _close_quietly(runner: asyncio.Runner) -> None:
    """Closes the event loop of a forgotten rollout, unless that happens to be collected inside another event loop."""
    with contextlib.suppress(RuntimeError):
        runner.close()


def _boundary(error: EnvironmentFailure, attempt: Attempt) -> str:
    text = str(error)
    return f"turn {len(attempt.turns)}: {text}" if text.startswith("environment.step") else text


def _warn(episodes: Sequence[Episode]) -> None:
    failed = [episode for episode in episodes if episode.status is Status.FAILED]
    if failed:
        log.warning("%d of %d episodes failed; the first: %s", len(failed), len(episodes), failed[0].error)
