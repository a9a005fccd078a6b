"""CISPO: clip the importance weight, keep every token's gradient."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from turnwise.agents.errors import InvalidInput
from turnwise.agents.losses.base import ActionTokens, PolicyLoss, TokenLoss, log_ratio
from turnwise.agents.losses.weights import Aggregation


@dataclass(frozen=True)
class CISPO(PolicyLoss):
    """-sg(clip(rho, lowest, highest)) A log pi: REINFORCE with a bounded importance weight.

    Unlike the clipped surrogate, a token outside the range still learns, with a bounded weight. Source: MiniMax,
    "MiniMax-M1", arXiv 2506.13585, equations 4-5, which sets no lower bound and does not publish the upper one; 5 is
    the value of "The Art of Scaling Reinforcement Learning Compute for LLMs" (arXiv 2510.13786).
    """

    lowest: float = 0.0
    """The lowest importance weight; 0 bounds nothing."""
    highest: float = 5.0
    """The highest importance weight."""
    aggregation: Aggregation = "token"
    """How tokens share the loss."""
    name: Literal["cispo"] = field(default="cispo", kw_only=True)
    """The name in the registry; tells losses apart in a configuration."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.lowest <= 1.0 <= self.highest:
            raise InvalidInput(
                f"lowest is {self.lowest!r} and highest {self.highest!r}; they must satisfy 0 <= lowest <= 1 <= highest"
            )

    def __call__(self, tokens: ActionTokens) -> TokenLoss:
        """Returns the loss of each token."""
        ratio = log_ratio(tokens).detach().exp()
        weight = ratio.clamp(self.lowest, self.highest)
        return TokenLoss(-weight * tokens.advantages * tokens.logprobs, ratio, weight != ratio)
