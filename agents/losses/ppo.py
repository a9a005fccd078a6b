"""PPO's clipped surrogate, per token."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from turnwise.agents.losses.base import ActionTokens, PolicyLoss, TokenLoss, check_clip, clipped_surrogate, log_ratio
from turnwise.agents.losses.weights import Aggregation


@dataclass(frozen=True)
class PPOClip(PolicyLoss):
    """-min(rho A, clip(rho, 1 - clip_low, 1 + clip_high) A) with rho = pi / pi_old of the token.

    Source: Schulman et al., "Proximal Policy Optimization Algorithms", arXiv 1707.06347, equation 7. With
    `aggregation="episode"` and a k3 penalty it is the loss of GRPO (DeepSeekMath, arXiv 2402.03300, equation 3).
    """

    clip_low: float = 0.2
    """How far below 1 the ratio may fall before a token with a negative advantage stops pushing."""
    clip_high: float = 0.2
    """How far above 1 the ratio may rise before a token with a positive advantage stops pushing."""
    aggregation: Aggregation = "token"
    """How tokens share the loss."""
    name: Literal["ppo"] = field(default="ppo", kw_only=True)
    """The name in the registry; tells losses apart in a configuration."""

    def __post_init__(self) -> None:
        check_clip("clip_low", self.clip_low, most=1.0)
        check_clip("clip_high", self.clip_high)

    def __call__(self, tokens: ActionTokens) -> TokenLoss:
        """Returns the loss of each token."""
        return clipped_surrogate(log_ratio(tokens).exp(), tokens.advantages, self.clip_low, self.clip_high)
