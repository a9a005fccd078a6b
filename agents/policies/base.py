"""The policy interface: what decides. A `Policy` is shared by all episodes; a `Session` belongs to one of them."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Action:
    """One decision of a policy.

    Attributes:
        text: What the environment receives.
        prompt_ids: Token ids that the engine was conditioned on; int64 [prompt]. Empty for policies without tokens.
        action_ids: Token ids that were sampled; int64 [action].
        logprobs: Log-probability of each sampled token under the engine; float32 [action].
        finish: "stop" (ended by itself) or "length" (cut by the token limit: unfinished).
        metrics: Anything worth logging.
    """

    text: str
    prompt_ids: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    action_ids: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    logprobs: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    finish: Literal["stop", "length"] = "stop"
    metrics: Mapping[str, float] = field(default_factory=dict)


class Session(abc.ABC):
    """One episode of a policy: everything that it remembers between the turns of that episode."""

    @abc.abstractmethod
    async def act(self, observation: str, info: Mapping[str, Any]) -> Action:
        """Decides what to do.

        Args:
            observation: What the environment said last.
            info: The info of `reset` (first call) or of the last `step` (later calls).

        Raises:
            EngineError: The engine behind the policy failed.
        """


class Policy(abc.ABC):
    """What decides. A policy keeps no state between calls of `start`, so that episodes can run side by side."""

    @abc.abstractmethod
    def start(self, *, seed: int, env: gym.Env[str, str] | None = None) -> Session:
        """Begins an episode.

        Args:
            seed: Seeds every draw of this episode's actions: the same seed gives the same actions to the same
                observations.
            env: The environment, for policies that may look into it (an oracle).
        """

    def expect(self, change: int) -> None:  # noqa: B027 - the identity, for policies without an engine
        """Adds `change` to the number of episodes in flight; a policy with an engine passes it on (`Engine.expect`)."""
