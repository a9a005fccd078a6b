"""SLATE's truncated steps: several next turns after one prefix, compared among themselves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from turnwise.agents.credit.base import Estimator
from turnwise.agents.credit.gigpo import Normalization, check_normalization, normalize
from turnwise.agents.credit.segments import Floats, Ints, pair
from turnwise.agents.credit.spo_tree import dense_ids
from turnwise.agents.credit.table import TurnTable


@dataclass(frozen=True)
class TruncatedStep(Estimator):
    """A_t = (r_t - mean) / (std + 1e-6) over the turns sampled after one prefix, which differ in nothing but that turn.

    Turns with the same `columns["fork"]` (0 or more) are the k continuations of one prefix; -1 marks turns that were
    replayed and not sampled, which get 0. Every continuation is one sampled turn with its own step reward, and is not
    rolled out further, so that nothing but the turn itself makes the rewards differ: that is where the variance
    falls.

    Source: Samarinas et al., "SLATE", arXiv 2602.23440.

    Bias: it climbs the turn's own reward at that prefix, nothing that follows. In "mean" form the expected gradient
    is exactly (k - 1) / k of that; dividing by the deviation biases as in GRPO.
    """

    normalization: Normalization = "mean_std"
    """"mean" subtracts the mean of the continuations; "mean_std" divides by their deviation as well."""
    name: Literal["truncated_step"] = field(default="truncated_step", kw_only=True)
    """The name in the registry; tells estimators apart in a configuration."""

    def __post_init__(self) -> None:
        check_normalization(self.normalization)

    def _advantages(self, table: TurnTable) -> Floats:
        fork = table.column("fork", type(self).__name__)
        sampled = fork >= 0
        advantages = np.zeros(table.turns)
        advantages[sampled] = normalize(
            table.reward[sampled], _forks(table.turn_group[sampled], fork[sampled]), self.normalization
        )
        return advantages


def _forks(group: Ints, fork: Floats) -> Ints:
    return pair(group, dense_ids(fork))
