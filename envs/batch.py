"""Many environments side by side, stepped in any subset: what rollouts of ragged episodes need."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Self

import gymnasium as gym

from turnwise.envs.errors import InvalidInput


@dataclass(frozen=True)
class Moment:
    """Where one environment of a batch stands: what its last reset or step returned.

    Attributes:
        observation: The observation; after an error, the last one there was.
        reward: The reward of the step; 0 after a reset or an error.
        terminated: Whether the task came to its own end.
        truncated: Whether a limit ended the episode.
        info: The info; after an error, the last one there was.
        error: What the environment raised, or None. The episode has then failed; `reset` gets a fresh environment.
    """

    observation: Any
    reward: float
    terminated: bool
    truncated: bool
    info: Mapping[str, Any]
    error: Exception | None = None

    @property
    def running(self) -> bool:
        """Whether the episode goes on."""
        return not (self.terminated or self.truncated or self.error)


class Batch:
    """Environments in numbered slots, of which any subset can be reset or stepped at a time.

    Nothing resets by itself: the end of each episode stays in `moments` until its slot is reset. An environment that
    raises fails its own slot only. Use it as a context manager, or call `close`.

    Args:
        make: An environment's id, or a function that makes one.
        size: How many slots.
        threads: How many threads step environments at the same time. 0 (default) steps one after the other in the
            caller's thread, which is fastest for environments that compute, since threads share the interpreter;
            threads help those that wait (for a browser, a container, a network).
        options: Constructor arguments, where `make` is an id.

    Raises:
        InvalidInput: `size` is not positive, `threads` is negative, or options come with a function.
    """

    def __init__(
        self, make: str | Callable[[], gym.Env[Any, Any]], size: int, *, threads: int = 0, **options: Any
    ) -> None:
        if size < 1:
            raise InvalidInput(f"size must be positive, not {size!r}")
        if threads < 0:
            raise InvalidInput(f"threads must not be negative, not {threads!r}")
        if isinstance(make, str):
            env_id = make
            self._make: Callable[[], gym.Env[Any, Any]] = lambda: gym.make(env_id, **options)
        elif options:
            raise InvalidInput(f"options {sorted(options)} need an id, not a function")
        else:
            self._make = make
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="turnwise-batch") if threads else None
        self._envs: list[gym.Env[Any, Any]] = []
        self._moments: list[Moment | None] = [None] * size
        try:
            for _ in range(size):
                self._envs.append(self._make())
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        return len(self._moments)

    @property
    def envs(self) -> tuple[gym.Env[Any, Any], ...]:
        """The environments by slot."""
        return tuple(self._envs)

    @property
    def moments(self) -> tuple[Moment | None, ...]:
        """Where each slot stands; None before its first reset. The end of an episode stays until the slot's reset."""
        return tuple(self._moments)

    @property
    def running(self) -> tuple[int, ...]:
        """The slots whose episodes go on, in ascending order."""
        return tuple(slot for slot, moment in enumerate(self._moments) if moment is not None and moment.running)

    def reset(
        self,
        slots: Iterable[int] | None = None,
        *,
        seeds: Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> dict[int, Moment]:
        """Begins episodes.

        Args:
            slots: Which slots, by default all.
            seeds: A seed for each of them; the same seed twice is the same task twice, as a group needs it.
            options: Reset options, for all of them.

        Returns:
            The moment of each slot, in the order of `slots`.

        Raises:
            InvalidInput: No such slot, a slot twice, or another number of seeds than of slots.
        """
        chosen = self._check(range(len(self)) if slots is None else slots)
        if seeds is not None and len(seeds) != len(chosen):
            raise InvalidInput(f"{len(seeds)} seeds for {len(chosen)} slots; give one for each")
        seed_of = dict(zip(chosen, seeds, strict=True)) if seeds is not None else {}
        return self._each(chosen, lambda slot: self._reset(slot, seed_of.get(slot), options))

    def step(self, actions: Mapping[int, Any]) -> dict[int, Moment]:
        """Takes one turn in some of the running episodes.

        Args:
            actions: The action of each slot to step.

        Returns:
            The moment of each slot, in the order of `actions`.

        Raises:
            InvalidInput: No such slot, or its episode is not running. Then no environment was stepped.
        """
        chosen = self._check(actions)
        idle = [slot for slot in chosen if (moment := self._moments[slot]) is None or not moment.running]
        if idle:
            raise InvalidInput(f"no episode is running in slots {idle}: reset them first")
        return self._each(chosen, lambda slot: self._step(slot, actions[slot]))

    def close(self) -> None:
        """Closes every environment, whatever the others do; calling it again does nothing.

        Raises:
            ExceptionGroup: Some environments raised while closing; all have been tried.
        """
        envs, self._envs = self._envs, []
        if self._pool is not None:
            self._pool.shutdown()
        errors = [error for env in envs if (error := _closing_error(env)) is not None]
        if errors:
            raise ExceptionGroup("environments raised while closing", errors)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check(self, slots: Iterable[int]) -> list[int]:
        """Returns the slots as a list, once it is clear that each exists and comes once."""
        if not self._envs:
            raise InvalidInput("the batch is closed")
        chosen = list(slots)
        wrong = [slot for slot in chosen if not isinstance(slot, int) or not 0 <= slot < len(self)]
        if wrong:
            raise InvalidInput(f"there are no slots {wrong}: they are numbered from 0 to {len(self) - 1}")
        if len(set(chosen)) < len(chosen):
            raise InvalidInput(f"a slot can come only once: {chosen}")
        return chosen

    def _each(self, slots: list[int], move: Callable[[int], Moment]) -> dict[int, Moment]:
        """Moves slots on, side by side where there are threads, and keeps where they stand."""
        moments = list(map(move, slots) if self._pool is None else self._pool.map(move, slots))
        for slot, moment in zip(slots, moments, strict=True):
            self._moments[slot] = moment
        return dict(zip(slots, moments, strict=True))

    def _reset(self, slot: int, seed: int | None, options: dict[str, Any] | None) -> Moment:
        before = self._moments[slot]
        try:
            if before is not None and before.error is not None:
                _closing_error(self._envs[slot])  # a broken environment may not even close; it goes either way
                self._envs[slot] = self._make()
            observation, info = self._envs[slot].reset(seed=seed, options=options)
        except Exception as error:  # noqa: BLE001 - it fails this slot, as `Moment.error` says
            return self._failed(before, error)
        return Moment(observation, 0.0, False, False, info)

    def _step(self, slot: int, action: Any) -> Moment:
        try:
            observation, reward, terminated, truncated, info = self._envs[slot].step(action)
            return Moment(observation, float(reward), bool(terminated), bool(truncated), info)
        except Exception as error:  # noqa: BLE001 - it fails this slot, as `Moment.error` says
            return self._failed(self._moments[slot], error)

    @staticmethod
    def _failed(before: Moment | None, error: Exception) -> Moment:
        return Moment(before.observation if before else "", 0.0, False, False, before.info if before else {}, error)


def _closing_error(env: gym.Env[Any, Any]) -> Exception | None:
    """Closes an environment and returns what it raised."""
    try:
        env.close()
    except Exception as error:  # noqa: BLE001 - the caller decides what to do with it
        return error
    return None
