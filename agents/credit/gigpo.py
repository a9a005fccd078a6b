"""GiGPO: the episode against its group, and each turn against the turns taken in the same state."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from turnwise.agents.credit.base import Estimator, check_discount, check_weight
from turnwise.agents.credit.segments import Floats, Ints, center, discounted_returns, standardize
from turnwise.agents.credit.table import TurnTable
from turnwise.agents.errors import InvalidInput

Normalization = Literal["mean", "mean_std"]
"""Whether a group's values lose their mean only, or are divided by the standard deviation as well."""


@dataclass(frozen=True)
class GiGPO(Estimator):
    """A_t = A_episode + weight * A_step.

    A_episode = (R_e - mu_g) / F over the group's episodes; A_step = (G_t - mean) / F over all turns of the group that
    were taken in the same state, G_t = sum_k gamma^k r_{t+k}; F = 1, or the sample standard deviation plus 1e-6. A
    state that was visited once in the group has nothing to be compared with: its A_step is 0.

    Source: Feng et al., "Group-in-Group Policy Optimization", arXiv 2505.10978, equations 3 to 8. Its code averages
    A_episode's baseline over *steps* unless told otherwise, so that a long episode counts more; here every episode
    counts once, as in the paper.

    Bias: how many turns share a state depends on what the policy did before and after, visits of one episode
    included, so that the step baseline is not independent of the action; and gamma < 1. With normalization
    "mean_std", that of GRPO too.
    """

    weight: float = 1.0
    """omega: weight of the step-level advantage."""
    gamma: float = 0.95
    """Discount per turn of the step return."""
    normalization: Normalization = "mean"
    """"mean" subtracts the mean of a group; "mean_std" divides by its deviation as well."""
    name: Literal["gigpo"] = field(default="gigpo", kw_only=True)
    """The name in the registry; tells estimators apart in a configuration."""

    def __post_init__(self) -> None:
        check_weight("weight", self.weight)
        check_discount("gamma", self.gamma)
        check_normalization(self.normalization)

    def _advantages(self, table: TurnTable) -> Floats:
        state = table.state_group(type(self).__name__)
        returns = discounted_returns(table.reward, table.episode, self.gamma)
        episode = normalize(table.outcome, table.group, self.normalization)
        return table.per_turn(episode) + self.weight * normalize(returns, state, self.normalization)


def normalize(values: Floats, index: Ints, how: Normalization, *, ddof: int = 1) -> Floats:
    """Returns values minus their segment's mean, over its deviation where `how` says so; 0 in segments of one; [n]."""
    return center(values, index) if how == "mean" else standardize(values, index, ddof=ddof)


def check_normalization(how: str) -> None:
    """Raises `InvalidInput` unless `how` is one of the two ways."""
    if how not in ("mean", "mean_std"):
        raise InvalidInput(f"normalization is {how!r}; it must be 'mean' or 'mean_std'")
