"""Gated reward accumulation (G-RA): the turns' rewards count only where the outcome is good enough."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from turnwise.agents.credit.base import Estimator
from turnwise.agents.credit.segments import Floats, standardize
from turnwise.agents.credit.table import TurnTable
from turnwise.agents.errors import InvalidInput


@dataclass(frozen=True)
class GatedReturn(Estimator):
    """A_t = (T_e - mu_g) / (sigma_g + 1e-6), with T_e = R_e + [R_e >= threshold] * sum_t r_t, the same for every turn.

    The outcome R_e is the high-level reward; the turns' rewards (tool calls that work, format, sub-goals) are the
    low-level ones, and they add up only once the outcome reaches the threshold, so that a policy cannot live on them.

    The outcome must be given apart (`TurnTable.from_episodes(..., outcome="success")`), and the turn rewards should not
    contain it: what they contain of it counts a second time once the gate is open.

    Source: Sun et al., "Stabilizing Long-term Multi-turn Reinforcement Learning with Gated Rewards", arXiv
    2508.10548. The paper says what accumulates; the accumulated reward is compared in the group as GRPO does it.

    Bias: it climbs E[T], not E[R]: among episodes that pass the gate those with more low-level reward are preferred.
    Dividing by sigma_g biases as in GRPO.
    """

    threshold: float = 1.0
    """The outcome that opens the gate."""
    name: Literal["gated_return"] = field(default="gated_return", kw_only=True)
    """The name in the registry; tells estimators apart in a configuration."""

    def __post_init__(self) -> None:
        if math.isnan(self.threshold):
            raise InvalidInput("threshold is NaN; give the outcome from which on the turns' rewards count")

    def _advantages(self, table: TurnTable) -> Floats:
        if not table.outcome_apart:
            raise InvalidInput(
                "GatedReturn needs an outcome apart from the turn rewards that it gates; give one (outcome='success')"
            )
        low = np.where(table.outcome >= self.threshold, table.per_episode(table.reward), 0.0)
        return table.per_turn(standardize(table.outcome + low, table.group))
