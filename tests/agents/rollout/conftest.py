"""Small environments and policies that rollouts are tested with."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from turnwise.agents.policies import Action, Policy, Session


class Sum(gym.Env[str, str]):
    """Adds the numbers that actions name; ends when the sum reaches a target that the seed decides."""

    def __init__(self, made: list[Any]) -> None:
        self.lock = threading.Lock()
        self.closed = 0
        self.threads: set[int] = set()
        made.append(self)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[str, dict[str, Any]]:
        super().reset(seed=seed)
        self.threads.add(threading.get_ident())
        self.sum = 0
        self.target = int(self.np_random.integers(3, 12)) * int((options or {}).get("scale", 1))
        return f"reach {self.target}", {"task": {"target": self.target}, "state_key": "s0"}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        self.threads.add(threading.get_ident())
        self.sum += int(action)
        done = self.sum >= self.target
        success = float(self.sum == self.target)
        info = {
            "success": success if done else 0.0,
            "state_key": f"s{self.sum}",
            "progress": min(1.0, self.sum / self.target),
            "reward_parts": {"exact": success},
            "feedback": f"sum is {self.sum}",
        }
        return f"sum {self.sum}", success if done else -0.25, done, False, info

    def close(self) -> None:
        self.threads.add(threading.get_ident())
        self.closed += 1


class Draws(Policy):
    """Adds 1, 2 or 3, drawn from the episode's seed; with token ids made of the draw."""

    def __init__(self) -> None:
        self.seeds: list[int] = []
        self.expected = 0
        self.history: list[int] = []

    def start(self, *, seed: int, env: Any = None) -> Session:
        self.seeds.append(seed)
        return DrawsSession(np.random.default_rng(seed))

    def expect(self, change: int) -> None:
        self.expected += change
        self.history.append(self.expected)


class DrawsSession(Session):
    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    async def act(self, observation: str, info: Any) -> Action:
        number = int(self.rng.integers(1, 4))
        return Action(
            str(number),
            prompt_ids=np.arange(len(observation), dtype=np.int64),
            action_ids=np.full(number, number, np.int64),
            logprobs=np.full(number, -0.1 * number, np.float32),
            finish="length" if number == 3 else "stop",
        )


class Scripted(Policy):
    """Says the same lines in every episode, the last one for ever; a line may be an exception to raise."""

    def __init__(self, *lines: Any) -> None:
        self.lines = lines
        self.starts = 0

    def start(self, *, seed: int, env: Any = None) -> Session:
        self.starts += 1
        return ScriptedSession(self.lines)


class ScriptedSession(Session):
    def __init__(self, lines: tuple[Any, ...]) -> None:
        self.lines = list(lines)

    async def act(self, observation: str, info: Any) -> Any:
        line = self.lines.pop(0) if len(self.lines) > 1 else self.lines[0]
        if isinstance(line, BaseException):
            raise line
        return Action(line) if isinstance(line, str) else line


@pytest.fixture
def kit() -> SimpleNamespace:
    """The classes above."""
    return SimpleNamespace(Sum=Sum, Draws=Draws, Scripted=Scripted)


@pytest.fixture
def made() -> list[Any]:
    """Collects every environment that a factory made."""
    return []
