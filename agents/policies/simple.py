"""Policies without a model: a function, the environment's expert, a person."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import gymnasium as gym

from turnwise.agents.errors import InvalidInput
from turnwise.agents.policies.base import Action, Policy, Session


class ScriptedPolicy(Policy):
    """Acts as a function of the observation says.

    Args:
        choose: Takes the observation and returns the action, at once or awaited.
    """

    def __init__(self, choose: Callable[[str], str | Awaitable[str]]) -> None:
        self._choose = choose

    def start(self, *, seed: int, env: gym.Env[str, str] | None = None) -> Session:
        """Begins an episode; see `Policy.start`."""
        return _FunctionSession(self._choose)


class OraclePolicy(Policy):
    """Acts as the environment's own expert; an empty action where the expert knows none that could still help."""

    def start(self, *, seed: int, env: gym.Env[str, str] | None = None) -> Session:
        """Begins an episode; see `Policy.start`.

        Raises:
            InvalidInput: There is no environment, or it has no expert.
        """
        oracle = getattr(env.unwrapped, "oracle", None) if env is not None else None
        if oracle is None:
            name = "no environment" if env is None else type(env.unwrapped).__name__
            raise InvalidInput(f"the oracle policy needs an environment with a method oracle(), not {name}")
        return _FunctionSession(lambda observation: oracle() or "")


class HumanPolicy(Policy):
    """Asks a person at the terminal.

    Args:
        ask: Shows a text and returns what the person answers. It runs in a thread of its own, and what it raises
            (`EOFError` at the end of the input) passes through.
    """

    def __init__(self, ask: Callable[[str], str] = input) -> None:
        self._ask = ask

    def start(self, *, seed: int, env: gym.Env[str, str] | None = None) -> Session:
        """Begins an episode; see `Policy.start`."""
        return _HumanSession(self._ask)


class _FunctionSession(Session):
    def __init__(self, choose: Callable[[str], Any]) -> None:
        self._choose = choose

    async def act(self, observation: str, info: Mapping[str, Any]) -> Action:
        """Calls the function.

        Raises:
            InvalidInput: It returned no text.
        """
        text = self._choose(observation)
        if inspect.isawaitable(text):
            text = await text
        if not isinstance(text, str):
            raise InvalidInput(f"a scripted action must be text, not {text!r}")
        return Action(text)


class _HumanSession(Session):
    def __init__(self, ask: Callable[[str], str]) -> None:
        self._ask = ask

    async def act(self, observation: str, info: Mapping[str, Any]) -> Action:
        """Shows the observation, on the first turn after the instructions, and waits for an answer."""
        instructions = info.get("instructions", "")
        shown = f"{instructions}\n\n{observation}" if instructions else observation
        return Action(await asyncio.to_thread(self._ask, f"{shown}\n> "))
