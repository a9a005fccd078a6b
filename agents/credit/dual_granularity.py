"""ProRAG's dual granularity: the outcome's advantage plus that of a process reward, each normalised apart."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from turnwise.agents.credit.base import Estimator, check_weight
from turnwise.agents.credit.segments import Floats, center, counts, standardize
from turnwise.agents.credit.table import TurnTable


@dataclass(frozen=True)
class DualGranularity(Estimator):
    """A_t = (R_e - mu_g) / (sigma_g + 1e-4) + beta * (q_t - mean q) / sqrt(var q + 1e-8), q over the group's turns.

    q_t is `columns["process"]`: what a process reward model thinks of the turn.

    Source: Wang et al., "ProRAG", arXiv 2601.21912, and its code, where the process scores of a group are
    normalised over tokens; here over turns.

    Bias: the process term climbs the process reward of the turn itself, and its baseline counts every turn once, so
    that long episodes move it more; dividing by the deviations biases as in GRPO.
    """

    beta: float = 0.5
    """Weight of the process advantage."""
    name: Literal["dual_granularity"] = field(default="dual_granularity", kw_only=True)
    """The name in the registry; tells estimators apart in a configuration."""

    def __post_init__(self) -> None:
        check_weight("beta", self.beta)

    def _advantages(self, table: TurnTable) -> Floats:
        process = center(table.column("process", type(self).__name__), table.turn_group)
        group = table.turn_group
        variance = np.bincount(group, weights=process**2)[group] / counts(group)
        outcome = table.per_turn(standardize(table.outcome, table.group, epsilon=1e-4))
        return outcome + self.beta * process / np.sqrt(variance + 1e-8)
