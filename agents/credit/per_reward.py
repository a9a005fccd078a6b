"""GDPO: every component of the reward is normalised on its own before they are added."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from turnwise.agents.credit.base import Estimator, check_weight
from turnwise.agents.credit.segments import Floats, standardize, whiten
from turnwise.agents.credit.table import TurnTable
from turnwise.agents.errors import InvalidInput


@dataclass(frozen=True)
class PerReward(Estimator):
    """A_t = whiten(sum_i w_i * (R_{e,i} - mu_{g,i}) / (sigma_{g,i} + 1e-6)), R_{e,i} = sum over turns of component i.

    The components are `table.parts`. A large one no longer drowns a small one, and two episodes that differ in how
    they earned the same sum no longer tie. Whitening is over the episodes of the batch, so that the number of
    components does not set the size of the step.

    Source: Liu et al., "GDPO", arXiv 2601.05242, and its code; the need is MARBLE's.

    Bias: it climbs a sum of components each in units of its own spread, not the sum of the rewards; otherwise as GRPO.
    """

    weights: Mapping[str, float] = field(default_factory=dict)
    """Weight of each component by name; those not named weigh 1."""
    name: Literal["per_reward"] = field(default="per_reward", kw_only=True)
    """The name in the registry; tells estimators apart in a configuration."""

    def __post_init__(self) -> None:
        for part, weight in self.weights.items():
            check_weight(f"weights[{part!r}]", weight)

    def _advantages(self, table: TurnTable) -> Floats:
        if not table.parts:
            raise InvalidInput("PerReward needs the components of the reward: table.parts is empty")
        if unknown := sorted(set(self.weights) - set(table.parts)):
            raise InvalidInput(
                f"weights names {unknown[0]!r}, but the components are: {', '.join(sorted(table.parts))}"
            )
        total = np.zeros(table.episodes)
        for part, column in table.parts.items():
            total += self.weights.get(part, 1.0) * standardize(table.per_episode(column), table.group)
        return table.per_turn(whiten(total))
