"""Entropy bonus."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from turnwise.agents.errors import InvalidInput
from turnwise.agents.losses.base import ActionTokens


@dataclass(frozen=True)
class EntropyBonus:
    """coefficient * entropy, subtracted from the loss with the same token weights.

    The entropy is that of the whole next-token distribution, and its gradient is exact at each visited position.
    """

    coefficient: float = 1e-3
    """Multiplies the entropy; negative values make the policy sharper."""

    def __call__(self, tokens: ActionTokens) -> Tensor:
        """Returns the entropy of each token, in nats, without the coefficient; [n].

        Raises:
            InvalidInput: The tokens have no entropy.
        """
        if tokens.entropy is None:
            raise InvalidInput("an entropy bonus needs the entropy of each token: compute it beside the logprobs")
        return tokens.entropy
