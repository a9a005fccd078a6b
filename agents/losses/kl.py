"""Estimators of the divergence from a reference policy, and the penalty made of them.

With x = log pi - log pi_ref of a token sampled from pi (Schulman, "Approximating KL Divergence", 2020):

    k1 = x                  unbiased, high variance, can be negative
    k2 = x^2 / 2            biased, low variance
    k3 = exp(-x) - 1 + x    unbiased, low variance, never negative

An unbiased *value* is not an unbiased *gradient*. Differentiating the estimate of a sampled token leaves out that the
policy also decides which tokens are sampled, so as a term of the loss, on-policy and in expectation,

    k1 has gradient zero: it does nothing but add noise. Use it inside the reward, never here.
    k2 has the gradient of KL(pi || pi_ref), which is what a penalty is meant to be.
    k3 has the gradient of KL(pi_ref || pi), the other direction; close to k2's only while the policies are close.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from turnwise.agents.errors import InvalidInput
from turnwise.agents.losses.base import LOG_RATIO_LIMIT, ActionTokens

KLEstimator = Literal["k1", "k2", "k3"]


def kl_estimate(estimator: KLEstimator, logprobs: Tensor, reference_logprobs: Tensor) -> Tensor:
    """Per-token estimate of KL(pi || pi_ref), in nats.

    Args:
        estimator: Which one.
        logprobs: log pi of the sampled tokens; [n].
        reference_logprobs: log pi_ref of the same tokens; [n].

    Returns:
        [n], with gradient where `logprobs` has one.
    """
    difference = logprobs - reference_logprobs
    if estimator == "k1":
        return difference
    if estimator == "k2":
        return difference.square() / 2
    if estimator == "k3":
        bounded = difference.clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT)
        return torch.expm1(-bounded) + bounded
    raise InvalidInput(f"unknown estimator {estimator!r}; choose one of {', '.join(get_args(KLEstimator))}")


@dataclass(frozen=True)
class KLPenalty:
    """coefficient * KL(pi || pi_ref), added to the loss with the same token weights."""

    coefficient: float = 1e-3
    """Multiplies the estimate."""
    estimator: KLEstimator = "k2"
    """k2 has the gradient of KL(pi || pi_ref); k3 that of KL(pi_ref || pi) (GRPO's choice); k1 has none."""

    def __post_init__(self) -> None:
        if self.estimator not in get_args(KLEstimator):
            raise InvalidInput(
                f"unknown estimator {self.estimator!r}; choose one of {', '.join(get_args(KLEstimator))}"
            )
        if not self.coefficient >= 0:
            raise InvalidInput(f"coefficient is {self.coefficient!r}; it must be at least 0")

    def __call__(self, tokens: ActionTokens) -> Tensor:
        """Returns the estimate of each token, without the coefficient; [n].

        Raises:
            InvalidInput: The tokens have no reference log-probabilities.
        """
        if tokens.reference_logprobs is None:
            raise InvalidInput("a KL penalty needs reference_logprobs; compute them with the reference model")
        return kl_estimate(self.estimator, tokens.logprobs, tokens.reference_logprobs)
