"""Generalised advantage estimation over turns, from the values of a critic."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np

from turnwise.agents.credit.base import Estimator, check_discount
from turnwise.agents.credit.segments import Floats, discounted_returns, following, whiten
from turnwise.agents.credit.table import TurnTable


@dataclass(frozen=True)
class TurnGAE(Estimator):
    """A_t = sum_k (gamma lam)^k delta_{t+k}, delta_t = r_t + gamma V_{t+1} - V_t, where t counts *turns*.

    V_t is `columns["value"]`: the critic at the last prompt token of turn t, before the action. No value is taken at an
    observation's token. After the last turn of a terminated episode V is 0; a truncated one bootstraps from
    `episode_columns["final_value"]` where the table has it, and from 0 where the limit of turns is part of the task.

    Source: Schulman et al., "High-Dimensional Continuous Control Using Generalized Advantage Estimation", arXiv
    1506.02438, equation 16, over turns as in Agent-R1, arXiv 2511.14460, whose code also whitens over turns.

    Bias: none with exact values (any lam) or with lam = 1, whatever the values, as long as gamma = 1 and nothing is
    whitened or bootstrapped; otherwise the critic's error weighted by 1 - lam. Whitening biases as in REINFORCE++.
    """

    gamma: float = 1.0
    """Discount per turn."""
    lam: float = 0.95
    """lambda: 0 trusts the critic alone, 1 the returns alone."""
    whiten: bool = False
    """Whether the advantages are z-scored over the turns of the batch."""
    name: Literal["turn_gae"] = field(default="turn_gae", kw_only=True)
    """The name in the registry; tells estimators apart in a configuration."""
    compares: ClassVar[bool] = False
    """Episodes are judged without their group."""

    def __post_init__(self) -> None:
        check_discount("gamma", self.gamma)
        check_discount("lam", self.lam)

    def _advantages(self, table: TurnTable) -> Floats:
        value = table.column("value", type(self).__name__)
        end = np.where(table.truncated, table.episode_columns.get("final_value", np.zeros(table.episodes)), 0.0)
        after = following(value, table.episode, table.per_turn(end))
        delta = table.reward + self.gamma * after - value
        advantages = discounted_returns(delta, table.episode, self.gamma * self.lam)
        return whiten(advantages) if self.whiten else advantages
