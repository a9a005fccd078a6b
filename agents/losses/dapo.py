"""DAPO: decoupled clipping and a token mean, with the two helpers that act before the loss.

Source: Yu et al., "DAPO: An Open-Source LLM Reinforcement Learning System at Scale", arXiv 2503.14476.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from turnwise.agents.errors import InvalidInput
from turnwise.agents.losses.base import ActionTokens, PolicyLoss, TokenLoss, check_clip, clipped_surrogate, log_ratio
from turnwise.agents.losses.weights import Aggregation


@dataclass(frozen=True)
class DAPO(PolicyLoss):
    """The clipped surrogate with a higher ceiling, averaged over tokens (arXiv 2503.14476, equation 8).

    The higher ceiling lets unlikely tokens grow ("clip-higher", section 3.1); the token mean gives long answers their
    full weight (section 3.3). Dropping groups without signal and the length penalty happen before the loss: see
    `informative_groups` and `overlong_penalty`.
    """

    clip_low: float = 0.2
    """How far below 1 the ratio may fall before a token with a negative advantage stops pushing."""
    clip_high: float = 0.28
    """How far above 1 the ratio may rise before a token with a positive advantage stops pushing."""
    aggregation: Aggregation = "token"
    """How tokens share the loss."""
    name: Literal["dapo"] = field(default="dapo", kw_only=True)
    """The name in the registry; tells losses apart in a configuration."""

    def __post_init__(self) -> None:
        check_clip("clip_low", self.clip_low, most=1.0)
        check_clip("clip_high", self.clip_high)

    def __call__(self, tokens: ActionTokens) -> TokenLoss:
        """Returns the loss of each token."""
        return clipped_surrogate(log_ratio(tokens).exp(), tokens.advantages, self.clip_low, self.clip_high)


def overlong_penalty(length: int, longest: int, buffer: int) -> float:
    """The soft penalty for answers that approach the length limit (arXiv 2503.14476, equation 13).

    Args:
        length: Tokens sampled.
        longest: The limit of tokens.
        buffer: How many tokens before the limit the penalty begins.

    Returns:
        0 up to `longest - buffer`, then linearly down to -1 at `longest`, and -1 beyond.

    Raises:
        InvalidInput: `buffer` is not in 1..longest.
    """
    if not 0 < buffer <= longest:
        raise InvalidInput(f"buffer is {buffer!r}; it must be between 1 and longest, which is {longest!r}")
    return -min(1.0, max(0.0, (length - (longest - buffer)) / buffer))


def informative_groups(outcomes: Sequence[float] | NDArray[np.floating], groups: Sequence[str]) -> NDArray[np.bool_]:
    """Which episodes belong to a group whose outcomes differ (dynamic sampling, arXiv 2503.14476, section 3.2).

    A group with equal outcomes has zero advantage everywhere; a singleton is such a group.

    Args:
        outcomes: Outcome of each episode; [episodes].
        groups: Group of each episode; [episodes].

    Returns:
        bool [episodes]; True is worth keeping.

    Raises:
        InvalidInput: The lengths differ.
    """
    values = np.asarray(outcomes, dtype=np.float64)
    if len(values) != len(groups):
        raise InvalidInput(f"{len(values)} outcomes but {len(groups)} groups: each episode needs both")
    lowest: dict[str, float] = {}
    highest: dict[str, float] = {}
    for value, group in zip(values.tolist(), groups, strict=True):
        lowest[group] = min(value, lowest.get(group, value))
        highest[group] = max(value, highest.get(group, value))
    return np.array([highest[group] > lowest[group] for group in groups], dtype=np.bool_)
