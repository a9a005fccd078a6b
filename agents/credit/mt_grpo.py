"""MT-GRPO: the outcome's advantage plus the advantage of the turn's own reward."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from turnwise.agents.credit.base import Estimator, check_weight
from turnwise.agents.credit.segments import EPSILON, Floats, Ints, counts, pair, standardize
from turnwise.agents.credit.table import TurnTable


@dataclass(frozen=True)
class MTGRPO(Estimator):
    """A_t = A_outcome + weight * A_turn, both in the group: (R_e - mu_g) / sigma_g and (r_t - mu_{g,t}) / sigma_{g,t}.

    mu_{g,t} and sigma_{g,t} are over *all* n episodes of the group; one that ended before turn t was paid 0 there.
    The published form has two turns in every episode; with equal lengths the two agree for any number of turns.
    Counting only the episodes that reach turn t would let the number of baseline terms depend on when the policy
    stops, and would shrink the gradient of late turns by it.

    Source: Zeng et al., "Reinforcing Multi-Turn Reasoning in LLM Agents via Turn-Level Credit Assignment", arXiv
    2505.11821; the weight stands on the turn's term, as in its code.

    Bias: the turn's term credits a turn with its own reward only, nothing that follows from it: by design it pulls
    towards the greedy gradient. Where the outcome is the sum of the turn rewards they count twice; give success as
    the outcome to keep the two apart. Dividing by the deviations biases as in GRPO.
    """

    weight: float = 1.0
    """lambda: weight of the turn's own advantage."""
    name: Literal["mt_grpo"] = field(default="mt_grpo", kw_only=True)
    """The name in the registry; tells estimators apart in a configuration."""

    def __post_init__(self) -> None:
        check_weight("weight", self.weight)

    def _advantages(self, table: TurnTable) -> Floats:
        outcome = table.per_turn(standardize(table.outcome, table.group))
        return outcome + self.weight * turn_advantages(table)


def turn_advantages(table: TurnTable) -> Floats:
    """Returns (r_t - mean) / (std + 1e-6) over the group's episodes, 0 for those that ended before turn t; [turns]."""
    cell = pair(table.turn_group, table.turn)
    size, reached = counts(table.group)[table.episode], counts(cell)
    offset = table.reward - size_mean(table.reward, cell, size, reached)
    mean = table.reward - offset
    # The episodes that ended earlier are as far from the mean as 0 is.
    squares = np.bincount(cell, weights=offset**2)[cell] + (size - reached) * mean**2
    return offset / (np.sqrt(squares / (size - 1)) + EPSILON)


def size_mean(values: Floats, cell: Ints, size: Ints, reached: Ints) -> Floats:
    """Returns the mean of each cell, missing entries counting as 0; of equal values without gaps exactly that value."""
    reference = np.zeros(int(cell.max()) + 1)
    reference[cell] = values
    offsets = np.bincount(cell, weights=values - reference[cell])[cell]
    return reference[cell] * (reached / size) + offsets / size
