"""A policy behind a chat interface: models that are evaluated, not trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import gymnasium as gym

from turnwise.agents.engines.base import Completion, Sampling
from turnwise.agents.policies.base import Action, Policy, Session
from turnwise.agents.seeding import derive_seed


class ChatEngine(Protocol):
    """What answers messages with text: `turnwise.agents.engines.ServerEngine`, or anything with the same method."""

    async def chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        sampling: Sampling,
        *,
        tools: Sequence[Mapping[str, Any]] = (),
        seed: int | None = None,
    ) -> Completion:
        """Returns the next assistant message."""


class ChatPolicy(Policy):
    """Lets a model act through messages; its actions have no token ids.

    Args:
        engine: What answers messages.
        sampling: How tokens are chosen.
        instructions: The system message in place of the environment's; "" for none.
    """

    def __init__(
        self, engine: ChatEngine, sampling: Sampling | None = None, *, instructions: str | None = None
    ) -> None:
        self.engine = engine
        self.sampling = sampling or Sampling()
        self.instructions = instructions

    def start(self, *, seed: int, env: gym.Env[str, str] | None = None) -> Session:
        """Begins an episode; see `Policy.start`."""
        return _ChatSession(self, seed)


class _ChatSession(Session):
    def __init__(self, policy: ChatPolicy, seed: int) -> None:
        self._policy = policy
        self._seed = seed
        self._messages: list[dict[str, str]] = []
        self._tools: Sequence[Mapping[str, Any]] = ()
        self._turn = 0

    async def act(self, observation: str, info: Mapping[str, Any]) -> Action:
        """Asks for the next message.

        Raises:
            EngineError: The engine failed.
        """
        policy = self._policy
        if not self._messages:
            self._tools = info.get("tools") or ()
            instructions = info.get("instructions", "") if policy.instructions is None else policy.instructions
            if instructions:
                self._messages.append({"role": "system", "content": instructions})
        self._messages.append({"role": "user", "content": observation})
        seed = derive_seed(self._seed, "turn", self._turn)
        reply = await policy.engine.chat(self._messages, policy.sampling, tools=self._tools, seed=seed)
        self._messages.append({"role": "assistant", "content": reply.text})
        self._turn += 1
        return Action(reply.text, finish=reply.finish, metrics=reply.metrics)
