"""REINFORCE++: the return of each turn, whitened over the batch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from turnwise.agents.credit.base import Estimator, check_discount
from turnwise.agents.credit.segments import Floats, discounted_returns, whiten
from turnwise.agents.credit.table import TurnTable


@dataclass(frozen=True)
class ReinforcePP(Estimator):
    """A_t = (G_t - mean) / std over all turns of the batch, with G_t = r_t + gamma * G_{t+1} over *turns*.

    Source: Hu et al., "REINFORCE++", arXiv 2501.03262. The published form runs over tokens of one response, its
    per-token KL penalty inside the reward; here the step of the return is a turn and a KL penalty is the loss's. It
    needs no groups.

    Bias: the mean and the deviation count every turn once, so that an episode moves the baseline by as many terms as
    it has turns. Where the policy chooses when to stop, that pays or costs length and turns the gradient away
    (docs/credit.md measures it). gamma < 1 is a further bias, wanted for its lower variance.
    """

    gamma: float = 1.0
    """Discount per turn."""
    name: Literal["reinforce_pp"] = field(default="reinforce_pp", kw_only=True)
    """The name in the registry; tells estimators apart in a configuration."""
    compares: ClassVar[bool] = False
    """Episodes are judged without their group."""

    def __post_init__(self) -> None:
        check_discount("gamma", self.gamma)

    def _advantages(self, table: TurnTable) -> Floats:
        return whiten(discounted_returns(table.reward, table.episode, self.gamma))
