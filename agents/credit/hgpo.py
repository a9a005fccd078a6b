"""HGPO: each turn against the turns taken in the same state after the same history, longer histories counting more."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from turnwise.agents.credit.base import Estimator, check_discount, check_weight
from turnwise.agents.credit.gigpo import Normalization, check_normalization, normalize
from turnwise.agents.credit.segments import Floats, Ints, counts, dense, discounted_returns, pair
from turnwise.agents.credit.table import TurnTable
from turnwise.agents.errors import InvalidInput


@dataclass(frozen=True)
class HGPO(Estimator):
    """A_t = sum_k (k + 1)^alpha A_k / sum_k (k + 1)^alpha over the levels k in which the turn is not alone.

    Level k = 1 .. history + 1 compares the step returns G_t = sum_j gamma^j r_{t+j} of the group's turns whose last k
    states agree (this one and the k - 1 before it). The longer the shared history, the more alike the contexts that
    the policy saw, and the larger the weight. A turn that is alone on every level gets 0. There is no episode-level
    term.

    Source: He et al., "Hierarchy-of-Groups Policy Optimization", arXiv 2602.22817, and its code (verl-agent): the
    deviation is the population's, as there. Its code also drops levels whose advantage happens to be exactly 0; here
    only singletons are dropped.

    Bias: that of GiGPO's step term; and the weights of a turn depend on which episodes share its history.
    """

    alpha: float = 1.0
    """Exponent of the level's weight; 0 weighs all levels alike."""
    history: int = 2
    """K: how many states before the present one a group may share; 0 leaves the present state only."""
    gamma: float = 0.95
    """Discount per turn of the step return."""
    normalization: Normalization = "mean_std"
    """"mean" subtracts the mean of a group; "mean_std" divides by its deviation as well."""
    name: Literal["hgpo"] = field(default="hgpo", kw_only=True)
    """The name in the registry; tells estimators apart in a configuration."""

    def __post_init__(self) -> None:
        check_weight("alpha", self.alpha)
        check_discount("gamma", self.gamma)
        check_normalization(self.normalization)
        if self.history < 0:
            raise InvalidInput(f"history is {self.history!r}; it must be 0 or more")

    def _advantages(self, table: TurnTable) -> Floats:
        returns = discounted_returns(table.reward, table.episode, self.gamma)
        total, weights = np.zeros(table.turns), np.zeros(table.turns)
        context = state = table.state_group(type(self).__name__)
        for level in range(1, self.history + 2):
            if level > 1:
                context = _longer(context, state, table.turn >= level - 1)
            weight = (level + 1.0) ** self.alpha * (counts(context) > 1)
            total += weight * normalize(returns, context, self.normalization, ddof=0)
            weights += weight
        return np.divide(total, weights, out=np.zeros(table.turns), where=weights > 0)


def _longer(context: Ints, state: Ints, has_previous: np.ndarray) -> Ints:
    """Returns the index of contexts one state longer; a turn without that many states before it gets one of its own."""
    before = np.concatenate([context[:1], context[:-1]])
    longer = pair(before, state)
    return dense(np.where(has_previous, longer, longer.max() + 1 + np.arange(len(longer))))
