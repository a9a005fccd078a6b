"""Estimators by name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import fields
from typing import Any, TypeAlias, get_args

from turnwise.agents.credit.base import Estimator
from turnwise.agents.credit.dr_grpo import DrGRPO
from turnwise.agents.credit.drpo import DRPO
from turnwise.agents.credit.dual_granularity import DualGranularity
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
from turnwise.agents.credit.reinforce_pp import ReinforcePP
from turnwise.agents.credit.reinforce_pp_baseline import ReinforcePPBaseline
from turnwise.agents.credit.rloo import RLOO
from turnwise.agents.credit.semi_online import SemiOnline
from turnwise.agents.credit.spo_tree import SPOTree
from turnwise.agents.credit.tree_grpo import TreeGRPO
from turnwise.agents.credit.truncated_step import TruncatedStep
from turnwise.agents.credit.turn_gae import TurnGAE
from turnwise.agents.credit.turn_return import TurnReturn
from turnwise.agents.errors import ConfigError

AnyEstimator: TypeAlias = (
    GRPO
    | DrGRPO
    | RLOO
    | ReinforcePP
    | ReinforcePPBaseline
    | MaxRL
    | OPO
    | TurnReturn
    | MTGRPO
    | GiGPO
    | HGPO
    | GraphCredit
    | GatedReturn
    | TurnGAE
    | IGPO
    | PRIME
    | DualGranularity
    | SemiOnline
    | PerReward
    | DRPO
    | SPOTree
    | TreeGRPO
    | TruncatedStep
)
"""Any one of them: the type of a configuration's field, whose `name` chooses."""

ESTIMATORS: dict[str, type[Estimator]] = {estimator.name: estimator for estimator in get_args(AnyEstimator)}
"""Every estimator by the name that a configuration gives it."""


def make(name: str, **hyper: Any) -> Estimator:
    """Makes an estimator by its name.

    Args:
        name: One of `ESTIMATORS`, or the class's name; case and underscores do not matter.
        **hyper: Hyper-parameters that differ from the defaults.

    Raises:
        ConfigError: The name or a hyper-parameter is unknown; the message suggests the nearest one.
        InvalidInput: The value of a hyper-parameter is out of range.
    """
    spelled = {_plain(known): known for known in ESTIMATORS}
    if _plain(name) not in spelled:
        raise ConfigError(f"unknown estimator {name!r}{_nearest(name, ESTIMATORS)}")
    estimator = ESTIMATORS[spelled[_plain(name)]]
    known = [field.name for field in fields(estimator) if field.name != "name"]  # type: ignore[arg-type]  # all are dataclasses
    for key in hyper:
        if key not in known:
            raise ConfigError(f"estimator {estimator.name!r} has no hyper-parameter {key!r}{_nearest(key, known)}")
    return estimator(**hyper)


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


def _nearest(name: str, known: Iterable[str]) -> str:
    names = list(known)
    close = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.4)
    suggestion = f"; did you mean {close[0]!r}?" if close else ";"
    return f"{suggestion} known: {', '.join(names) or 'none'}"
