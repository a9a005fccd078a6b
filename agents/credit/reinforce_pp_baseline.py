"""REINFORCE++ with baseline: the outcome minus the group's mean, whitened over the batch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from turnwise.agents.credit.base import Estimator
from turnwise.agents.credit.segments import Floats, center, whiten
from turnwise.agents.credit.table import TurnTable


@dataclass(frozen=True)
class ReinforcePPBaseline(Estimator):
    """A_t = (B_e - mean B) / std B over the episodes of the batch, with B_e = R_e - mu_g; the same for every turn.

    Source: Hu et al., "REINFORCE++", arXiv 2501.03262 (the variant with a group baseline). The batch statistics weigh
    every episode once: in the single-turn setting of the paper that is the same thing, and over turns it is what
    keeps a long episode from counting more.

    Bias: the scale depends on the batch. Within one batch of one group it is GRPO with the population deviation; over
    many groups the deviation is nearly a constant, and the direction nearly that of Dr. GRPO.
    """

    name: Literal["reinforce_pp_baseline"] = field(default="reinforce_pp_baseline", kw_only=True)
    """The name in the registry; tells estimators apart in a configuration."""

    def _advantages(self, table: TurnTable) -> Floats:
        return table.per_turn(whiten(center(table.outcome, table.group)))
