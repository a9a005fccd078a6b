"""Tree-GRPO: the outcome against all trees of the prompt, plus the outcome against the leaves of its own tree."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from turnwise.agents.credit.base import Estimator
from turnwise.agents.credit.segments import Floats, pair, standardize
from turnwise.agents.credit.spo_tree import dense_ids
from turnwise.agents.credit.table import TurnTable


@dataclass(frozen=True)
class TreeGRPO(Estimator):
    """A_t = A_inter + A_intra: (R_e - mean) / (std + 1e-6) over the prompt's episodes, plus the same over its tree's.

    `episode_columns["tree"]` numbers the rollout trees of a prompt; the leaves of one tree share a prefix of turns.

    Source: Ji et al., "Tree Search for LLM Agent Reinforcement Learning", arXiv 2509.21240, and its code. A tree with
    one leaf has A_intra = 0 here (in its code mean 0 and deviation 1, so that the raw outcome became the advantage).

    Bias: that of GRPO, twice; and the leaves of a tree are not independent, so that shared turns count once per leaf.
    """

    name: Literal["tree_grpo"] = field(default="tree_grpo", kw_only=True)
    """The name in the registry; tells estimators apart in a configuration."""

    def _advantages(self, table: TurnTable) -> Floats:
        tree = pair(table.group, dense_ids(table.episode_column("tree", type(self).__name__)))
        return table.per_turn(standardize(table.outcome, table.group) + standardize(table.outcome, tree))
