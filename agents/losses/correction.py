"""Correction of the mismatch between the engine that samples and the learner that trains.

Different kernels and precisions make pi_engine differ from pi_old though their weights are equal, so that even the
first step is off-policy. Importance weights pi_old / pi_engine repair the expectation. A product over a sequence's
tokens shrinks or explodes with its length and silently removes long episodes, so the sequence weight here is the
*geometric mean* exp(mean(log pi_old - log pi_engine)).

Source of truncation: Yao et al., "Your Efficient RL Framework Secretly Brings You Off-Policy RL Training" (2025); of
masking: Liu et al., "When Speed Kills Stability" (2025).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from turnwise.agents.errors import InvalidInput
from turnwise.agents.losses.base import LOG_RATIO_LIMIT, ActionTokens, sequence_mean


@dataclass(frozen=True)
class ImportanceCorrection:
    """Multiplies each token's policy loss by a bounded pi_old / pi_engine."""

    level: Literal["token", "sequence"] = "token"
    """One weight per token, or one per sequence: the geometric mean of its tokens' weights."""
    how: Literal["truncate", "mask"] = "truncate"
    """Outside the bounds, `truncate` moves the weight to the bound, and `mask` drops the token or sequence."""
    lowest: float = 0.0
    """The lower bound; 0 bounds nothing."""
    highest: float = 2.0
    """The upper bound."""

    def __post_init__(self) -> None:
        for name, allowed in (("level", ("token", "sequence")), ("how", ("truncate", "mask"))):
            if getattr(self, name) not in allowed:
                raise InvalidInput(f"unknown {name} {getattr(self, name)!r}; choose one of {', '.join(allowed)}")
        if not 0.0 <= self.lowest <= 1.0 <= self.highest:
            raise InvalidInput(
                f"lowest is {self.lowest!r} and highest {self.highest!r}; they must satisfy 0 <= lowest <= 1 <= highest"
            )

    def __call__(self, tokens: ActionTokens) -> tuple[Tensor, Tensor]:
        """Weighs the tokens.

        Returns:
            The bounded weights, and the unbounded ones that they were made from; each [n], without gradient.

        Raises:
            InvalidInput: The engine's log-probabilities are missing or not finite.
        """
        raw = engine_ratio(tokens, self.level)
        bounded = raw.clamp(self.lowest, self.highest)
        if self.how == "mask":
            bounded = torch.where(bounded == raw, raw, torch.zeros_like(raw))
        return bounded, raw


def engine_ratio(tokens: ActionTokens, level: Literal["token", "sequence"]) -> Tensor:
    """pi_old / pi_engine of each token, or the geometric mean over its sequence; [n], without gradient.

    Raises:
        InvalidInput: The engine's log-probabilities are missing or not finite.
    """
    if tokens.engine_logprobs is None or not bool(torch.isfinite(tokens.engine_logprobs).all()):
        raise InvalidInput(
            "an importance correction needs a finite engine log-probability for every action token; "
            "use an engine that returns them, or train without the correction"
        )
    with torch.no_grad():
        difference = (tokens.old_logprobs - tokens.engine_logprobs).clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT)
        if level == "sequence":
            difference = sequence_mean(difference, tokens.sequence)
        return difference.exp()
