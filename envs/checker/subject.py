"""The environment under check: fresh instances of it, recorded episodes, and comparisons between them."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec

from turnwise.envs.checker.report import Failed, Skipped
from turnwise.envs.core import TurnEnv
from turnwise.envs.errors import InvalidInput

Env: TypeAlias = gym.Env[Any, Any]

MAX_STEPS = 1000
"""Steps after which a recording stops, in case that an environment never ends."""


@dataclass(frozen=True)
class Subject:
    """What is checked.

    Attributes:
        name: For the report.
        make: Returns a fresh instance, wrapped as users get it.
        spec: How the environment is registered, if it is.
        episodes: How many tasks each check looks at.
        random_success: The highest success rate that random actions may have.
    """

    name: str
    make: Callable[[], Env]
    spec: EnvSpec | None
    episodes: int
    random_success: float

    def turn_env(self, why: str) -> TurnEnv:
        """Returns a fresh bare instance.

        Raises:
            Skipped: The environment is no `TurnEnv` and has not what the check needs.
        """
        env = self.make().unwrapped
        if not isinstance(env, TurnEnv):
            raise Skipped(f"{why} is part of TurnEnv's interface, and {type(env).__name__} is no TurnEnv")
        return env


def subject_of(
    env: str | EnvSpec | Env | Callable[[], Env], episodes: int, random_success: float, options: dict[str, Any]
) -> Subject:
    """Returns the subject for what a caller may name: an id, a spec, an instance, or a function that makes one.

    Raises:
        InvalidInput: Something else, or constructor options for what is already constructed.
    """
    if isinstance(env, str | EnvSpec):
        spec = gym.spec(env) if isinstance(env, str) and ":" not in env else None
        made = gym.make(env, **options)
        spec = made.spec or spec
        made.close()
        text = ", ".join(f"{name}={value!r}" for name, value in options.items())
        name = env if isinstance(env, str) else env.id
        return Subject(f"{name}({text})", lambda: gym.make(env, **options), spec, episodes, random_success)
    if options:
        raise InvalidInput(f"options {sorted(options)} need an id or a spec, not an instance or a function")
    if isinstance(env, gym.Env):
        name = type(env.unwrapped).__name__
        spec = env.spec
        if spec is not None:
            return Subject(name, spec.make, spec, episodes, random_success)
        return Subject(name, lambda: copy.deepcopy(env), None, episodes, random_success)
    if callable(env):
        made = env()
        made.close()
        return Subject(type(made.unwrapped).__name__, env, made.spec, episodes, random_success)
    raise InvalidInput(f"need an environment's id, spec, instance or a function that makes one, not {env!r}")


@dataclass(frozen=True)
class Recording:
    """One episode: what was done and what came back.

    Attributes:
        start: Observation and info of the reset.
        actions: The actions.
        steps: Observation, reward, terminated, truncated and info of each step.
    """

    start: tuple[Any, dict[str, Any]]
    actions: tuple[Any, ...]
    steps: tuple[tuple[Any, Any, Any, Any, dict[str, Any]], ...]

    @property
    def infos(self) -> list[dict[str, Any]]:
        """All infos, that of the reset first."""
        return [self.start[1], *(step[4] for step in self.steps)]

    @property
    def observations(self) -> list[Any]:
        """All observations, that of the reset first."""
        return [self.start[0], *(step[0] for step in self.steps)]


def mixed_actions(env: Env, seed: int) -> Iterator[Any]:
    """Yields actions of every kind: an expert's, random ones, and nonsense; for other environments, samples."""
    rng = np.random.default_rng(seed)
    bare = env.unwrapped
    env.action_space.seed(seed)
    while True:
        choice = rng.random()
        if not isinstance(bare, TurnEnv) or choice < 0.1:
            yield env.action_space.sample()
        elif choice < 0.5:
            yield expert_action(bare) or bare.random_action(rng)
        else:
            yield bare.random_action(rng)


def expert_action(env: TurnEnv) -> str | None:
    """Returns the oracle's action, or None if there is no oracle or it has none."""
    try:
        return env.oracle()
    except NotImplementedError:
        return None


def record(env: Env, seed: int | None, actions: Sequence[Any] | None = None, mix: int = 0) -> Recording:
    """Plays an episode to its end, or as long as the given actions last.

    Args:
        env: The environment.
        seed: For the reset.
        actions: What to do; by default `mixed_actions`.
        mix: The seed of the default actions.
    """
    observation, info = env.reset(seed=seed)
    start = (observation, copy.deepcopy(info))
    done: list[Any] = []
    steps = []
    for action in mixed_actions(env, mix) if actions is None else actions:
        observation, reward, terminated, truncated, info = env.step(action)
        done.append(action)
        steps.append((observation, reward, terminated, truncated, copy.deepcopy(info)))
        if terminated or truncated or len(steps) == MAX_STEPS:
            break
    return Recording(start, tuple(done), tuple(steps))


def play_oracle(env: TurnEnv, seed: int, index: int) -> Recording:
    """Plays the oracle on one task.

    Raises:
        Failed: The oracle gave up, or never comes to an end.
    """
    start = env.reset(seed=seed, options={"index": index})
    actions: list[str] = []
    steps: list[tuple[Any, Any, Any, Any, dict[str, Any]]] = []
    while not steps or not (steps[-1][2] or steps[-1][3]):
        action = env.oracle()
        if action is None:
            raise Failed(f"seed {seed}, index {index}: the oracle has no action at turn {len(steps)}")
        actions.append(action)
        steps.append(env.step(action))
        if len(steps) == MAX_STEPS:
            raise Failed(f"seed {seed}, index {index}: the oracle did not end the episode in {MAX_STEPS} turns")
    return Recording(start, tuple(actions), tuple(steps))


def difference(first: Any, second: Any, path: str) -> str | None:
    """Returns where and how two values first differ, type by type, or None if they are the same."""
    if type(first) is not type(second):
        return f"{path}: {type(first).__name__} against {type(second).__name__}"
    if isinstance(first, dict):
        if first.keys() != second.keys():
            return f"{path}: keys {sorted(map(str, first))} against {sorted(map(str, second))}"
        pairs = [(first[key], second[key], f"{path}[{key!r}]") for key in first]
    elif isinstance(first, list | tuple):
        if len(first) != len(second):
            return f"{path}: {len(first)} against {len(second)} elements"
        pairs = [(a, b, f"{path}[{index}]") for index, (a, b) in enumerate(zip(first, second, strict=True))]
    elif isinstance(first, np.ndarray):
        return None if np.array_equal(first, second) else f"{path}: arrays differ"
    else:
        return None if first == second else f"{path}: {short(first)} against {short(second)}"
    return next((found for pair in pairs if (found := difference(*pair)) is not None), None)


def compare(first: Recording, second: Recording) -> str | None:
    """Returns where two episodes first differ, or None."""
    found = difference(first.start, second.start, "reset")
    if found is not None:
        return found
    for index, (one, other) in enumerate(zip(first.steps, second.steps, strict=False)):
        found = difference(one, other, f"step {index + 1}")
        if found is not None:
            return found
    if len(first.steps) != len(second.steps):
        return f"{len(first.steps)} against {len(second.steps)} steps"
    return None


def short(value: Any, limit: int = 80) -> str:
    """Returns a value's text, cut to a limit."""
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}..."


def is_finite_float(value: Any) -> bool:
    """Returns whether a value is a Python float (or a subclass) and neither infinite nor NaN."""
    return isinstance(value, float) and math.isfinite(value)
