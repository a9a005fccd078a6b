"""Dr.GRPO: the clipped surrogate divided by a constant length."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from turnwise.agents.errors import InvalidInput
from turnwise.agents.losses.base import ActionTokens, PolicyLoss, TokenLoss, check_clip, clipped_surrogate, log_ratio
from turnwise.agents.losses.weights import Aggregation, token_weights


@dataclass(frozen=True)
class DrGRPO(PolicyLoss):
    """The clipped surrogate, summed over an episode's tokens and divided by a constant.

    Dividing by an episode's own length makes long failures cheap; a constant removes that bias. Source: Liu et al.,
    "Understanding R1-Zero-Like Training", arXiv 2503.20783, section 3.2.
    """

    length: float = 1024.0
    """The constant: usually the most tokens an episode may sample. It scales the gradient, nothing else."""
    clip_low: float = 0.2
    """How far below 1 the ratio may fall before a token with a negative advantage stops pushing."""
    clip_high: float = 0.2
    """How far above 1 the ratio may rise before a token with a positive advantage stops pushing."""
    aggregation: Aggregation = field(default="constant", init=False)
    """Not an option: it is what defines this loss."""
    name: Literal["dr_grpo"] = field(default="dr_grpo", kw_only=True)
    """The name in the registry; tells losses apart in a configuration."""

    def __post_init__(self) -> None:
        check_clip("clip_low", self.clip_low, most=1.0)
        check_clip("clip_high", self.clip_high)
        if not self.length > 0:
            raise InvalidInput(f"length is {self.length!r}; it must be positive")

    def __call__(self, tokens: ActionTokens) -> TokenLoss:
        """Returns the loss of each token."""
        return clipped_surrogate(log_ratio(tokens).exp(), tokens.advantages, self.clip_low, self.clip_high)

    def weights(self, sequence: Tensor, episode: Tensor) -> Tensor:
        """1 / (episodes * length) for every token; float64 [n]."""
        return token_weights(self.aggregation, sequence, episode, length=self.length)
