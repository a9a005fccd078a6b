"""The whole objective of an optimizer step: policy loss, correction, penalty and bonus."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from turnwise.agents.losses.base import ActionTokens, PolicyLoss, log_ratio
from turnwise.agents.losses.correction import ImportanceCorrection, engine_ratio
from turnwise.agents.losses.entropy import EntropyBonus
from turnwise.agents.losses.kl import KLPenalty
from turnwise.agents.losses.ppo import PPOClip


@dataclass(frozen=True, slots=True, eq=False)
class ObjectiveTerms:
    """What an objective says about some tokens.

    Attributes:
        loss: The weighted sum to minimise; scalar with gradient. Sums over micro-batches to the loss of the step.
        columns: Quantities per token, without gradient, that `summarise` turns into metrics; each [n].
    """

    loss: Tensor
    columns: dict[str, Tensor]


@dataclass(frozen=True)
class Objective:
    """sum_i w_i (c_i policy_i + a kl_i - b entropy_i), where c is the importance correction.

    The correction applies to the policy loss only.
    """

    policy: PolicyLoss = field(default_factory=PPOClip)
    """The policy loss; it also decides the token weights w."""
    correction: ImportanceCorrection | None = None
    """Engine/learner importance weights c; None is 1."""
    kl: KLPenalty | None = None
    """Penalty of the divergence from a reference policy."""
    entropy: EntropyBonus | None = None
    """Entropy bonus."""

    def __call__(self, tokens: ActionTokens) -> ObjectiveTerms:
        """Returns the loss of these tokens and what is worth measuring about them."""
        policy = self.policy(tokens)
        values = policy.values
        columns = _columns(tokens)
        columns |= {"ratio": policy.ratio, "clipped": policy.clipped}
        if self.correction is not None:
            weight, columns["importance"] = self.correction(tokens)
            columns["correction"] = weight
            values = weight * values
        columns["policy_loss"] = tokens.weights * values.detach()
        if self.kl is not None:
            divergence = self.kl(tokens)
            columns["kl"] = divergence.detach()
            values = values + self.kl.coefficient * divergence
        if self.entropy is not None:
            values = values - self.entropy.coefficient * self.entropy(tokens)
        return ObjectiveTerms((tokens.weights * values).sum(), columns)


@torch.no_grad()
def _columns(tokens: ActionTokens) -> dict[str, Tensor]:
    columns = {"log_ratio": log_ratio(tokens).detach()}
    if tokens.entropy is not None:
        columns["entropy"] = tokens.entropy.detach()
    if tokens.engine_logprobs is not None and bool(torch.isfinite(tokens.engine_logprobs).all()):
        columns["importance"] = engine_ratio(tokens, "token")
        columns["engine_log_ratio"] = (tokens.old_logprobs - tokens.engine_logprobs).detach()
    return columns
