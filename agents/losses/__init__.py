"""Policy losses, one file each: pure functions of a flat batch of action tokens.

objective = Objective(make("dapo"), correction=ImportanceCorrection(level="sequence"), kl=KLPenalty(1e-3, "k2"))
metrics = learner.step(batch, objective)
"""

from __future__ import annotations

from turnwise.agents.errors import MissingExtra

try:
    import torch as _torch  # noqa: F401  (says which extra is missing before the modules below fail on it)
except ImportError as error:
    raise MissingExtra("torch", "train") from error

from turnwise.agents.losses.base import ActionTokens, PolicyLoss, TokenLoss
from turnwise.agents.losses.cispo import CISPO
from turnwise.agents.losses.correction import ImportanceCorrection
from turnwise.agents.losses.dapo import DAPO, informative_groups, overlong_penalty
from turnwise.agents.losses.dr_grpo import DrGRPO
from turnwise.agents.losses.entropy import EntropyBonus
from turnwise.agents.losses.gspo import GSPO
from turnwise.agents.losses.kl import KLPenalty, kl_estimate
from turnwise.agents.losses.metrics import effective_sample_size, summarise
from turnwise.agents.losses.objective import Objective, ObjectiveTerms
from turnwise.agents.losses.ppo import PPOClip
from turnwise.agents.losses.registry import LOSSES, make
from turnwise.agents.losses.weights import Aggregation, token_weights

__all__ = [
    "CISPO",
    "DAPO",
    "GSPO",
    "LOSSES",
    "ActionTokens",
    "Aggregation",
    "DrGRPO",
    "EntropyBonus",
    "ImportanceCorrection",
    "KLPenalty",
    "Objective",
    "ObjectiveTerms",
    "PPOClip",
    "PolicyLoss",
    "TokenLoss",
    "effective_sample_size",
    "informative_groups",
    "kl_estimate",
    "make",
    "overlong_penalty",
    "summarise",
    "token_weights",
]
