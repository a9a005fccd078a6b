"""UI-S1's semi-online credit: returns cut where the action leaves the recorded trajectory, compared turn by turn."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from turnwise.agents.credit.base import Estimator, check_discount, check_weight
from turnwise.agents.credit.gigpo import Normalization, check_normalization, normalize
from turnwise.agents.credit.segments import Floats, Ints, discounted_returns, pair, preceding
from turnwise.agents.credit.table import TurnTable


@dataclass(frozen=True)
class SemiOnline(Estimator):
    """A_t = episode_weight * A_episode + step_weight * A_step.

    A_episode = (R_e - mu_g) / F over the group's episodes; A_step = (G_t - mean) / F over the group's episodes that
    reach turn t; G_t = r_t + gamma * G_{t+1} as long as both turns follow the recorded trajectory
    (`columns["match"]`, 1 or 0), r_t
    otherwise: what comes after a patched action is not this action's doing.

    Source: Lu et al., "UI-S1: Semi-online Reinforcement Learning", arXiv 2509.11543, and its code.

    Bias: the step term is normalised per turn index over the episodes that reach it. Fewer do so the later the turn,
    and a mean over m episodes that contains the episode scales its gradient by (m - 1) / m: late turns learn less,
    how much less depends on when the policy stops. gamma < 1 and the cuts ignore what a turn does to later ones.
    Dividing by the deviations biases as in GRPO.
    """

    gamma: float = 0.5
    """Discount per turn."""
    episode_weight: float = 1.0
    """Weight of the episode-level advantage."""
    step_weight: float = 1.0
    """Weight of the step-level advantage."""
    normalization: Normalization = "mean_std"
    """"mean" subtracts the mean of a group; "mean_std" divides by its deviation as well."""
    name: Literal["semi_online"] = field(default="semi_online", kw_only=True)
    """The name in the registry; tells estimators apart in a configuration."""

    def __post_init__(self) -> None:
        check_discount("gamma", self.gamma)
        check_weight("episode_weight", self.episode_weight)
        check_weight("step_weight", self.step_weight)
        check_normalization(self.normalization)

    def _advantages(self, table: TurnTable) -> Floats:
        match = table.column("match", type(self).__name__)
        returns = discounted_returns(table.reward, followed_runs(match, table.episode), self.gamma)
        episode = normalize(table.outcome, table.group, self.normalization)
        step = normalize(returns, pair(table.turn_group, table.turn), self.normalization)
        return self.episode_weight * table.per_turn(episode) + self.step_weight * step


def followed_runs(match: Floats, episode: Ints) -> Ints:
    """Returns the index of the stretches of turns whose returns flow into each other; int64 [turns]."""
    linked = (match != 0) & (preceding(match, episode) != 0)
    return np.cumsum(~linked)
