"""RLOO: the outcome against the mean of the *other* episodes of the group."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from turnwise.agents.credit.base import Estimator
from turnwise.agents.credit.segments import Floats, center, counts
from turnwise.agents.credit.table import TurnTable


@dataclass(frozen=True)
class RLOO(Estimator):
    """A_t = R_e - mean of R over the other episodes of the group = n / (n - 1) * (R_e - mu_g), the same for every turn.

    Source: Ahmadian et al., "Back to Basics", arXiv 2402.14740. An episode alone in its group has no
    others to be compared with and gets 0.

    Bias: none. The baseline does not depend on the episode, so the expected gradient is exactly the policy gradient.
    """

    name: Literal["rloo"] = field(default="rloo", kw_only=True)
    """The name in the registry; tells estimators apart in a configuration."""

    def _advantages(self, table: TurnTable) -> Floats:
        size = counts(table.group)
        return table.per_turn(center(table.outcome, table.group) * size / (size - 1))
