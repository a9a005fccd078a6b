"""OPO: the outcome against the group's mean weighted by length."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from turnwise.agents.credit.base import Estimator
from turnwise.agents.credit.segments import Floats, center, sums
from turnwise.agents.credit.table import TurnTable
from turnwise.agents.errors import InvalidInput


@dataclass(frozen=True)
class OPO(Estimator):
    """A_t = R_e - sum(l_e R_e) / sum(l_e) over the group, l_e the tokens that the policy sampled in the episode.

    The variance-optimal baseline is the mean weighted by the squared norm of each episode's score, for which the
    number of sampled tokens stands in.

    Source: Hao et al., "On-Policy RL with Optimal Reward Baseline", arXiv 2505.23585, as in verl.

    Bias: the baseline contains the episode itself with a weight that grows with its length, so that where length and
    outcome are correlated the gradient turns, and long episodes learn less from their own outcome (docs/credit.md
    measures it).
    """

    name: Literal["opo"] = field(default="opo", kw_only=True)
    """The name in the registry; tells estimators apart in a configuration."""

    def _advantages(self, table: TurnTable) -> Floats:
        length = table.per_episode(table.tokens(type(self).__name__).astype(np.float64))
        if (sums(length, table.group, table.groups) == 0).any():
            raise InvalidInput("OPO weighs episodes by their sampled tokens, but action_tokens is 0 throughout a group")
        return table.per_turn(center(table.outcome, table.group, length))
