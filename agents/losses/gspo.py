"""GSPO: one importance ratio per sequence."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from turnwise.agents.losses.base import (
    ActionTokens,
    PolicyLoss,
    TokenLoss,
    check_clip,
    clipped_surrogate,
    log_ratio,
    sequence_mean,
)
from turnwise.agents.losses.weights import Aggregation


@dataclass(frozen=True)
class GSPO(PolicyLoss):
    """The clipped surrogate of the sequence ratio s = exp(mean log rho), in its token form.

    Source: Zheng et al., "Group Sequence Policy Optimization", arXiv 2507.18071, equations 5-7 and, for the token form
    s_t = sg(s) pi_t / sg(pi_t) used here, equations 13-14. Where all tokens of a sequence share one advantage the two
    have the same value and gradient; where turns differ, the sequence form would average their advantages away and the
    token form keeps each turn's credit. The default clip range is the paper's (section 5.1).
    """

    clip_low: float = 3e-4
    """How far below 1 the sequence ratio may fall before negative advantages stop pushing."""
    clip_high: float = 4e-4
    """How far above 1 the sequence ratio may rise before positive advantages stop pushing."""
    aggregation: Aggregation = "sequence"
    """How tokens share the loss."""
    name: Literal["gspo"] = field(default="gspo", kw_only=True)
    """The name in the registry; tells losses apart in a configuration."""

    def __post_init__(self) -> None:
        check_clip("clip_low", self.clip_low, most=1.0)
        check_clip("clip_high", self.clip_high)

    def __call__(self, tokens: ActionTokens) -> TokenLoss:
        """Returns the loss of each token."""
        mean = sequence_mean(log_ratio(tokens).detach(), tokens.sequence)
        # exp(0) in value, the gradient of log pi_t in backward: sg(s) * pi_t / sg(pi_t).
        ratio = mean.exp() * (tokens.logprobs - tokens.logprobs.detach()).exp()
        return clipped_surrogate(ratio, tokens.advantages, self.clip_low, self.clip_high)
