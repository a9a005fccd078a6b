"""IGPO: a turn is paid the probability of the right answer that it gained."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from turnwise.agents.credit.base import Estimator, check_discount
from turnwise.agents.credit.segments import Floats, discounted_returns, preceding, standardize
from turnwise.agents.credit.table import TurnTable


@dataclass(frozen=True)
class IGPO(Estimator):
    """A_t = sum_k gamma^k (u_{t+k} - mean u) / (std u + 1e-6), with u_t = p_t - p_{t-1} and u_T = R_e.

    Mean and deviation of u are over all turns of the group. p_t is `columns["answer_probability"]`, exp(mean log
    pi(gold answer)) after turn t; p before the first turn is `episode_columns["answer_probability_before"]`. The
    final turn, which answers, keeps the outcome.

    Source: Wang et al., "Information Gain-based Policy Optimization", arXiv 2510.14967.

    Bias: gains and outcomes are normalised over *turns* and then summed over the turns that remain, so that each
    further turn adds one more centred term: length is paid or charged for as the group's mean has it (where every
    turn costs the same, it even pays). The information gain is itself a function of the policy, whose gradient
    through p is left out.
    """

    gamma: float = 1.0
    """Discount per turn."""
    name: Literal["igpo"] = field(default="igpo", kw_only=True)
    """The name in the registry; tells estimators apart in a configuration."""

    def __post_init__(self) -> None:
        check_discount("gamma", self.gamma)

    def _advantages(self, table: TurnTable) -> Floats:
        user = type(self).__name__
        probability = table.column("answer_probability", user)
        before = preceding(
            probability, table.episode, table.per_turn(table.episode_column("answer_probability_before", user))
        )
        gain = np.where(table.last, table.per_turn(table.outcome), probability - before)
        return discounted_returns(standardize(gain, table.turn_group), table.episode, self.gamma)
