"""What rollouts produce and everything after them consumes: turns, episodes and their status. NumPy only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Status(StrEnum):
    """How an episode ended."""

    TERMINATED = "terminated"
    """The environment reached an end of its own."""
    TRUNCATED = "truncated"
    """A limit of turns or context ended it."""
    FAILED = "failed"
    """The infrastructure's fault: excluded from baseline and loss, never scored."""


@dataclass(frozen=True, slots=True, eq=False)
class Turn:
    """One decision: what the policy was given, the tokens that it sampled, and what the environment paid.

    Attributes:
        observation: What the environment said before this action.
        action: What the policy wrote, as the environment received it.
        reward: The environment's reward for this action.
        prompt_ids: Token ids the engine was conditioned on; int64 [prompt]. Empty for policies without tokens.
        action_ids: Token ids that were sampled, the end-of-turn token included where it was sampled; int64 [action].
        logprobs: Log-probability of each sampled token under the engine; float32 [action].
        finish: "stop" (ended by itself) or "length" (cut by the token limit: unfinished).
        state_key: Canonical hash of the environment's state *in which the action was chosen*.
        next_state_key: The same after the action.
        progress: The environment's progress in [0, 1] after the action; NaN where it does not know.
        success: The environment's success in [0, 1] after the action.
        reward_parts: The environment's reward by component.
        feedback: Evidence of the environment's verifier, for people.
        seconds: Wall-clock seconds of {"generate", "step"}.
    """

    observation: str
    action: str
    reward: float
    prompt_ids: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    action_ids: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    logprobs: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    finish: str = "stop"
    state_key: str = ""
    next_state_key: str = ""
    progress: float = float("nan")
    success: float = 0.0
    reward_parts: Mapping[str, float] = field(default_factory=dict)
    feedback: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Episode:
    """One attempt at one task.

    Attributes:
        group: Episodes with the same group attempted the same task (same environment, same seed): a GRPO group.
        env_id: The environment's id.
        seed: The seed that `reset` was given.
        turns: The turns, oldest first.
        status: How it ended.
        success: The environment's success in [0, 1] at the end.
        error: Why it failed, with the boundary that the failure came from; None unless `status` is FAILED.
        final_observation: The last observation, to which no action followed.
        task: The environment's `info["task"]`, JSON-able.
        attempt: How many failed attempts came before this one.
        tags: Whatever the caller wants to keep with the episode (difficulty, split, step), JSON-able.
        note: What truncated it, with the boundary that the limit belongs to; empty unless `status` is TRUNCATED.
        instructions: The environment's `info["instructions"]`: the system prompt.
        tools: The environment's `info["tools"]`: JSON schemas.
    """

    group: str
    env_id: str
    seed: int
    turns: tuple[Turn, ...]
    status: Status
    success: float = 0.0
    error: str | None = None
    final_observation: str = ""
    task: Mapping[str, Any] = field(default_factory=dict)
    attempt: int = 0
    tags: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    instructions: str = ""
    tools: tuple[Mapping[str, Any], ...] = ()

    @property
    def reward(self) -> float:
        """The sum of the turns' rewards: the undiscounted return."""
        return float(sum(turn.reward for turn in self.turns))

    @property
    def action_tokens(self) -> int:
        """How many tokens the policy sampled."""
        return sum(len(turn.action_ids) for turn in self.turns)


@dataclass(frozen=True, slots=True, eq=False)
class TokenSequence:
    """A run of tokens to train on: one per episode, or several where a prompt could not extend the one before it.

    Attributes:
        ids: Token ids; int64 [tokens].
        turn: The index (within its episode) of the turn that sampled the token, -1 for tokens that the model did not
            sample; int32 [tokens]. The mask of action tokens is `turn >= 0`.
        logprobs: Log-probability under the engine that sampled the token, 0 where `turn` is -1; float32 [tokens].
        episode: Index of the episode in its batch.
    """

    ids: NDArray[np.int64]
    turn: NDArray[np.int32]
    logprobs: NDArray[np.float32]
    episode: int

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Which tokens the model sampled; bool [tokens]."""
        return self.turn >= 0
