"""MaxRL: the outcome's excess relative to the group's mean, which weighs hard tasks more."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from turnwise.agents.credit.base import Estimator
from turnwise.agents.credit.segments import EPSILON, Floats, center
from turnwise.agents.credit.table import TurnTable
from turnwise.agents.errors import InvalidInput


@dataclass(frozen=True)
class MaxRL(Estimator):
    """A_t = (R_e - mu_g) / (mu_g + 1e-6), the same for every turn; outcomes must not be negative.

    Source: Tajwar et al., "Maximum Likelihood Reinforcement Learning", 2026 (its code, and the ports in SkyRL and
    prime-rl).

    Bias: none in direction for a binary outcome, and a wanted scale: with success probability p the expected gradient
    is sum_{k=0}^{n-2} (1 - p)^k times that of p, a truncated expansion of grad log p (up to the 1e-6). For graded
    outcomes dividing by the mean turns the direction (docs/credit.md measures it).
    """

    name: Literal["max_rl"] = field(default="max_rl", kw_only=True)
    """The name in the registry; tells estimators apart in a configuration."""

    def _advantages(self, table: TurnTable) -> Floats:
        if (table.outcome < 0).any():
            raise InvalidInput(
                f"MaxRL divides by the mean outcome, but one is {table.outcome.min()}; shift them to 0 or more"
            )
        offset = center(table.outcome, table.group)
        return table.per_turn(offset / (np.maximum(table.outcome - offset, 0.0) + EPSILON))
