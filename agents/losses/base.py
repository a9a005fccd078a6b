"""What every policy loss is given and what it gives back."""

from __future__ import annotations

import abc
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from turnwise.agents.errors import InvalidInput
from turnwise.agents.losses.weights import Aggregation, token_weights


@dataclass(frozen=True, slots=True, eq=False)
class ActionTokens:
    """A flat batch of the tokens that a policy sampled; observation tokens are not in it.

    Every sequence's tokens are adjacent, and a sequence is whole: it is never split over two batches.

    Attributes:
        logprobs: log pi of each token under the policy being trained, with gradient; [n].
        old_logprobs: log pi_old: the policy that the ratio is taken against, without gradient; [n].
        advantages: The advantage of each token, its turn's; [n].
        weights: Each token's weight in the loss, from `token_weights` over the *whole* optimizer step; [n].
        sequence: Which sequence a token belongs to, from 0 and non-decreasing; int64 [n].
        engine_logprobs: Log-probability under the engine that sampled the token; [n], or None.
        reference_logprobs: Log-probability under the reference policy; [n], or None.
        entropy: Entropy of the distribution that the token was drawn from, with or without gradient; [n], or None.
    """

    logprobs: Tensor
    old_logprobs: Tensor
    advantages: Tensor
    weights: Tensor
    sequence: Tensor
    engine_logprobs: Tensor | None = None
    reference_logprobs: Tensor | None = None
    entropy: Tensor | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and value.shape != self.logprobs.shape:
                raise InvalidInput(
                    f"{field.name} has shape {tuple(value.shape)}, but logprobs has {tuple(self.logprobs.shape)}: "
                    "every column needs one entry per action token"
                )


@dataclass(frozen=True, slots=True, eq=False)
class TokenLoss:
    """A policy loss before aggregation.

    Attributes:
        values: The loss of each token, with gradient; [n].
        ratio: The importance ratio that the loss used, without gradient; [n].
        clipped: Where clipping removed or bounded the gradient; bool [n].
    """

    values: Tensor
    ratio: Tensor
    clipped: Tensor


class PolicyLoss(abc.ABC):
    """A policy-gradient loss: pure, a frozen dataclass of its hyper-parameters, called on `ActionTokens`."""

    name: str
    """The name in the registry."""
    aggregation: Aggregation
    """How tokens are weighted when their losses are summed."""

    @abc.abstractmethod
    def __call__(self, tokens: ActionTokens) -> TokenLoss:
        """Returns the loss of each token."""

    def weights(self, sequence: Tensor, episode: Tensor) -> Tensor:
        """Weights of all tokens of one optimizer step; the step's loss is their sum of weight times token loss.

        Args:
            sequence: Sequence of each token; int64 [n].
            episode: Episode of each token; int64 [n].

        Returns:
            float64 [n].
        """
        return token_weights(self.aggregation, sequence, episode)


LOG_RATIO_LIMIT = 20.0
"""Log-ratios are clamped to this magnitude before `exp`, which would overflow in float32 beyond 88."""


def log_ratio(tokens: ActionTokens) -> Tensor:
    """Returns log (pi / pi_old) per token, clamped to +-20; beyond that a token has no gradient. [n]."""
    return (tokens.logprobs - tokens.old_logprobs).clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT)


def clipped_surrogate(ratio: Tensor, advantages: Tensor, low: float, high: float) -> TokenLoss:
    """The pessimistic surrogate -min(rho A, clip(rho, 1 - low, 1 + high) A) (PPO, arXiv 1707.06347, equation 7).

    Args:
        ratio: rho, with gradient; [n].
        advantages: A; [n].
        low: How far below 1 the ratio may go.
        high: How far above 1 the ratio may go.
    """
    bounded = ratio.clamp(1.0 - low, 1.0 + high)
    values = -torch.minimum(ratio * advantages, bounded * advantages)
    with torch.no_grad():
        clipped = ((ratio > 1.0 + high) & (advantages > 0)) | ((ratio < 1.0 - low) & (advantages < 0))
    return TokenLoss(values, ratio.detach(), clipped)


def sequence_mean(values: Tensor, sequence: Tensor) -> Tensor:
    """Replaces each token's value by the mean over its sequence; differentiable, deterministic on a CPU.

    Args:
        values: [n].
        sequence: Sequence of each token, non-decreasing; int64 [n].

    Returns:
        [n].
    """
    _, position, counts = torch.unique_consecutive(sequence, return_inverse=True, return_counts=True)
    sums = values.new_zeros(len(counts)).index_add(0, position, values)
    means: Tensor = sums / counts
    return means[position]


def check_clip(name: str, value: float, *, most: float = float("inf")) -> None:
    """Raises `InvalidInput` unless 0 <= value <= most."""
    if not 0.0 <= value <= most:
        bound = "" if most == float("inf") else f" and at most {most:g}"
        raise InvalidInput(f"{name} is {value!r}; it must be at least 0{bound}")
