"""Return batch normalisation (ReBN): the discounted return of each turn, z-scored over the transitions of the batch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from turnwise.agents.credit.base import Estimator, check_discount
from turnwise.agents.credit.segments import Floats, discounted_returns, whiten
from turnwise.agents.credit.table import TurnTable


@dataclass(frozen=True)
class TurnReturn(Estimator):
    """A_t = (G_t - mean) / std over all transitions of the batch, with G_t = sum_k gamma^k r_{t+k}.

    Source: Liu et al., "GEM: A Gym for Agentic LLMs", arXiv 2510.01051 (REINFORCE with return batch
    normalisation). Groups play no part: one attempt per task is enough. At the same gamma it equals `ReinforcePP`; it
    is the default discount that tells them apart.

    Bias: that of `ReinforcePP`, and gamma < 1: a discount per turn prefers short episodes.
    """

    gamma: float = 0.9
    """Discount per turn."""
    name: Literal["turn_return"] = field(default="turn_return", kw_only=True)
    """The name in the registry; tells estimators apart in a configuration."""
    compares: ClassVar[bool] = False
    """Episodes are judged without their group."""

    def __post_init__(self) -> None:
        check_discount("gamma", self.gamma)

    def _advantages(self, table: TurnTable) -> Floats:
        return whiten(discounted_returns(table.reward, table.episode, self.gamma))
