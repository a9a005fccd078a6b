"""The engine interface: token ids in, sampled token ids with their log-probabilities out."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are chosen."""

    temperature: float = 1.0
    """Divides the logits; 0 means greedy. Log-probabilities are those of the tempered, *untruncated* distribution."""
    top_p: float = 1.0
    """Nucleus: sample from the smallest set of tokens whose probability reaches this."""
    top_k: int = 0
    """Sample from the k most probable tokens; 0 means all."""
    max_tokens: int = 256
    """The most tokens that one action may have."""
    stop: tuple[str, ...] = ()
    """Strings that end an action; the one that ended it is kept, so that text and tokens agree."""


@dataclass(frozen=True, slots=True, eq=False)
class Completion:
    """What an engine generated for one prompt.

    Attributes:
        ids: Sampled token ids, the end token included where it was sampled; int64 [tokens].
        logprobs: Log-probability of each; float32 [tokens].
        text: The decoded action, without special tokens.
        finish: "stop", or "length" when the token limit cut it.
        metrics: Anything worth logging.
    """

    ids: NDArray[np.int64]
    logprobs: NDArray[np.float32]
    text: str
    finish: Literal["stop", "length"]
    metrics: dict[str, float] = field(default_factory=dict)


class Engine(abc.ABC):
    """Generates tokens. Engines batch concurrent calls of `generate` themselves.

    An engine is used from one event loop. `active` is how a rollout tells it the number of episodes in flight: an engine
    that batches may then start as soon as all of them wait for it, which also makes the composition of batches, and so the
    sampled tokens, independent of timing.
    """

    @property
    @abc.abstractmethod
    def context_length(self) -> int:
        """The most tokens that prompt and action may have together."""

    @abc.abstractmethod
    async def generate(self, prompt_ids: Sequence[int], sampling: Sampling, *, seed: int) -> Completion:
        """Samples one completion of one prompt.

        Args:
            prompt_ids: The prompt; at least one token.
            sampling: How tokens are chosen.
            seed: Seeds this completion's draws: the same prompt, weights and seed give the same tokens, whatever else
                is generated beside it (up to floating-point differences between batch shapes).

        Raises:
            PromptTooLong: The prompt leaves no room for an action.
            EngineError: Generation failed.
        """

    def expect(self, change: int) -> None:
        """Adds `change` to the number of episodes in flight; engines that do not batch ignore it."""

    def update_weights(self, model: Any) -> None:
        """Takes the weights of the learner's model; engines that share its parameters have nothing to do."""

    async def aclose(self) -> None:
        """Frees what the engine holds; idempotent."""
