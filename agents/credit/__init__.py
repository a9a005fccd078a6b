"""Credit assignment: estimators of one advantage per turn, from a table of turns. NumPy only.

table = TurnTable.from_episodes(episodes)
advantages = make("gigpo", gamma=0.95)(table)
"""

from turnwise.agents.credit.base import Estimator
from turnwise.agents.credit.diagnostics import diagnostics, effective_sample_size
from turnwise.agents.credit.dr_grpo import DrGRPO
from turnwise.agents.credit.drpo import DRPO
from turnwise.agents.credit.dual_granularity import DualGranularity
from turnwise.agents.credit.exact import Bias, Ladder, measure
from turnwise.agents.credit.gated_return import GatedReturn
from turnwise.agents.credit.gigpo import GiGPO
from turnwise.agents.credit.graph_credit import GraphCredit
from turnwise.agents.credit.grpo import GRPO
from turnwise.agents.credit.hgpo import HGPO
from turnwise.agents.credit.igpo import IGPO
from turnwise.agents.credit.max_rl import MaxRL
from turnwise.agents.credit.mt_grpo import MTGRPO
from turnwise.agents.credit.opo import OPO
from turnwise.agents.credit.per_reward import PerReward
from turnwise.agents.credit.prime import PRIME
from turnwise.agents.credit.registry import ESTIMATORS, AnyEstimator, make
from turnwise.agents.credit.reinforce_pp import ReinforcePP
from turnwise.agents.credit.reinforce_pp_baseline import ReinforcePPBaseline
from turnwise.agents.credit.rloo import RLOO
from turnwise.agents.credit.segments import discounted_returns
from turnwise.agents.credit.semi_online import SemiOnline
from turnwise.agents.credit.spo_tree import SPOTree
from turnwise.agents.credit.table import TurnTable
from turnwise.agents.credit.tree_grpo import TreeGRPO
from turnwise.agents.credit.truncated_step import TruncatedStep
from turnwise.agents.credit.turn_gae import TurnGAE
from turnwise.agents.credit.turn_return import TurnReturn

__all__ = [
    "DRPO",
    "ESTIMATORS",
    "GRPO",
    "HGPO",
    "IGPO",
    "MTGRPO",
    "OPO",
    "PRIME",
    "RLOO",
    "AnyEstimator",
    "Bias",
    "DrGRPO",
    "DualGranularity",
    "Estimator",
    "GatedReturn",
    "GiGPO",
    "GraphCredit",
    "Ladder",
    "MaxRL",
    "PerReward",
    "ReinforcePP",
    "ReinforcePPBaseline",
    "SPOTree",
    "SemiOnline",
    "TreeGRPO",
    "TruncatedStep",
    "TurnGAE",
    "TurnReturn",
    "TurnTable",
    "diagnostics",
    "discounted_returns",
    "effective_sample_size",
    "make",
    "measure",
]
