"""GRPO: the outcome against the group's, in units of the group's standard deviation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from turnwise.agents.credit.base import Estimator
from turnwise.agents.credit.segments import Floats, standardize
from turnwise.agents.credit.table import TurnTable


@dataclass(frozen=True)
class GRPO(Estimator):
    """A_t = (R_e - mu_g) / (sigma_g + 1e-6), the same for every turn of the episode.

    mu_g and sigma_g are mean and sample standard deviation over the group's *episodes*, however many turns each has.

    Source: Shao et al., "DeepSeekMath", arXiv 2402.03300, section 4.1.2 (outcome supervision); the deviation divides by
    n - 1, as the public trainers do.

    Bias: dividing by sigma_g weighs groups by how rare their majority outcome is, and within one group with more than
    two distinct outcomes it turns the gradient away from the policy gradient (docs/credit.md measures both). The mean
    contains the episode itself, which scales the gradient by (n - 1) / n before the division.
    """

    name: Literal["grpo"] = field(default="grpo", kw_only=True)
    """The name in the registry; tells estimators apart in a configuration."""

    def _advantages(self, table: TurnTable) -> Floats:
        return table.per_turn(standardize(table.outcome, table.group))
