"""The engine interface: token ids in, sampled token ids with their log-probabilities out."""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from turnwise.agents.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are chosen.

    Log-probabilities are those of the tempered, *untruncated* distribution; under greedy choice those of temperature 1.

    Raises:
        InvalidInput: A value is out of its range.
    """

    temperature: float = 1.0
    """Divides the logits; 0 means greedy."""
    top_p: float = 1.0
    """Nucleus: sample from the smallest set of tokens whose probability reaches this."""
    top_k: int = 0
    """Sample from the k most probable tokens; 0 means all. Applied before `top_p`."""
    max_tokens: int = 256
    """The most tokens that one action may have."""
    stop: tuple[str, ...] = ()
    """Strings that end an action; the one that ended it is kept, so that text and tokens agree."""

    def __post_init__(self) -> None:
        """Checks the values."""
        if not (self.temperature >= 0 and math.isfinite(self.temperature)):
            raise InvalidInput(f"temperature={self.temperature!r} must be 0 (greedy) or a positive number")
        if not 0 < self.top_p <= 1:
            raise InvalidInput(f"top_p={self.top_p!r} must lie in (0, 1]; 1 means all tokens")
        if self.top_k < 0:
            raise InvalidInput(f"top_k={self.top_k!r} must be 0 (all tokens) or positive")
        if self.max_tokens < 1:
            raise InvalidInput(f"max_tokens={self.max_tokens!r} must be at least 1")
        if isinstance(self.stop, str) or not all(isinstance(stop, str) and stop for stop in self.stop):
            raise InvalidInput(f"stop={self.stop!r} must be a tuple of texts, none of them empty")


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

    An engine is used from one event loop at a time. `expect` is how a rollout tells it the number of episodes in
    flight: an engine that batches may then start as soon as all of them wait for it, which also makes the composition
    of batches, and so the sampled tokens, independent of timing.
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
            InvalidInput: The prompt is empty or not made of the model's tokens, or the seed is negative.
            PromptTooLong: The prompt leaves no room for an action.
            EngineError: Generation failed.
        """

    def expect(self, change: int) -> None:  # noqa: B027 - the identity, for engines that do not batch
        """Adds `change` to the number of episodes in flight."""

    def update_weights(self, model: Any) -> None:  # noqa: B027 - the identity, for engines without weights
        """Takes the weights of the learner's model; to be called whenever they have changed.

        Engines that share the learner's parameters have nothing to take, but forget what they computed with the old
        ones.

        Raises:
            EngineError: The weights do not fit, or something is being generated.
        """

    def metrics(self) -> dict[str, float]:
        """Returns counters since the engine was made: tokens, seconds, batches; the names depend on the engine."""
        return {}

    async def aclose(self) -> None:  # noqa: B027 - the identity, for engines that hold nothing
        """Frees what the engine holds; idempotent."""
