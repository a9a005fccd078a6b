"""Dr. GRPO: the outcome against the group's mean, nothing divided."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from turnwise.agents.credit.base import Estimator
from turnwise.agents.credit.segments import Floats, center
from turnwise.agents.credit.table import TurnTable


@dataclass(frozen=True)
class DrGRPO(Estimator):
    """A_t = R_e - mu_g, the same for every turn of the episode.

    Source: Liu et al., "Understanding R1-Zero-Like Training", arXiv 2503.20783. The other half of the
    method, dividing token sums by a constant instead of by the length, belongs to the loss.

    Bias: none in direction. The mean contains the episode itself, so that the expected gradient is exactly (n - 1) /
    n of the policy gradient for a group of n episodes.
    """

    name: Literal["dr_grpo"] = field(default="dr_grpo", kw_only=True)
    """The name in the registry; tells estimators apart in a configuration."""

    def _advantages(self, table: TurnTable) -> Floats:
        return table.per_turn(center(table.outcome, table.group))
