"""RewardFlow: values spread backwards over the group's graph of states; a turn is credited with the value it gained."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from turnwise.agents.credit.base import Estimator, check_discount, check_weight
from turnwise.agents.credit.columns import present
from turnwise.agents.credit.gigpo import Normalization, check_normalization, normalize
from turnwise.agents.credit.segments import Floats, Ints, dense, pair
from turnwise.agents.credit.table import TurnTable
from turnwise.agents.errors import InvalidInput

TOLERANCE = 1e-12
"""Values that change by no more than this in a sweep have settled."""
MOST_SWEEPS = 1000
"""Values are not carried over more edges than this, as in RewardFlow's code."""


@dataclass(frozen=True)
class GraphCredit(Estimator):
    """A_t = A_episode + weight * A_step, A_step being V(s_{t+1}) - V(s_t) against the turns taken in the same state.

    The states that the group's episodes visited are the nodes of a graph and their turns its edges; V(s) = max(r(s),
    gamma * max over successors V(s')), r(s) the best reward that the group was paid on entering s, 0 for a state that
    was never entered. A_episode is GiGPO's.

    Source: RewardFlow, "Topology-Aware Reward Propagation on State Graphs", arXiv 2603.18859. Its code has no state
    after the last turn and credits that turn with its raw reward; here the state after it is known and V(s') - V(s)
    holds for it too.

    Bias: V is the best that *somebody in the group* reached from a state, not what the policy expects from it, and what
    the way there costs does not enter it: only the episode's term charges for length. The step baselines are GiGPO's.
    """

    weight: float = 1.0
    """Weight of the step-level advantage."""
    gamma: float = 0.95
    """Discount per edge of the graph."""
    normalization: Normalization = "mean"
    """"mean" subtracts the mean of a group; "mean_std" divides by its deviation as well."""
    name: Literal["graph_credit"] = field(default="graph_credit", kw_only=True)
    """The name in the registry; tells estimators apart in a configuration."""

    def __post_init__(self) -> None:
        check_weight("weight", self.weight)
        check_discount("gamma", self.gamma)
        check_normalization(self.normalization)

    def _advantages(self, table: TurnTable) -> Floats:
        user = type(self).__name__
        state = present(table.state_key, "state_key", user)
        after = present(table.next_state_key, "next_state_key", user)
        if (state < 0).any() or (after < 0).any():
            raise InvalidInput(f"{user} needs the state before and after every turn, but some are unknown")
        gained = value_gained(state, after, table.turn_group, table.reward, self.gamma)
        episode = normalize(table.outcome, table.group, self.normalization)
        step = normalize(gained, table.state_group(user), self.normalization)
        return table.per_turn(episode) + self.weight * step


def value_gained(state: Ints, after: Ints, group: Ints, reward: Floats, gamma: float) -> Floats:
    """Returns V(s') - V(s) of each turn on its group's graph; float64 [turns]."""
    node = dense(pair(np.concatenate([group, group]), np.concatenate([state, after])))
    source, target = node[: len(state)], node[len(state) :]
    entry = np.full(int(node.max()) + 1, -np.inf)
    np.maximum.at(entry, target, reward)
    value = np.where(np.isneginf(entry), 0.0, entry)
    # Each sweep carries values one edge further, so that as many are needed as the longest path has edges. Where all
    # values of a cycle are negative they creep towards 0 instead, by a factor gamma per sweep.
    for _ in range(MOST_SWEEPS):
        spread = value.copy()
        np.maximum.at(spread, source, gamma * value[target])
        settled = (spread - value).max() <= TOLERANCE
        value = spread
        if settled:
            break
    return value[target] - value[source]
