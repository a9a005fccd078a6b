"""Policy losses by name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import fields
from typing import Any, TypeAlias, get_args

from turnwise.agents.errors import ConfigError
from turnwise.agents.losses.base import PolicyLoss
from turnwise.agents.losses.cispo import CISPO
from turnwise.agents.losses.dapo import DAPO
from turnwise.agents.losses.dr_grpo import DrGRPO
from turnwise.agents.losses.gspo import GSPO
from turnwise.agents.losses.ppo import PPOClip

AnyLoss: TypeAlias = PPOClip | DAPO | DrGRPO | GSPO | CISPO
"""Any one of them: the type of a configuration's field, whose `name` chooses."""

LOSSES: dict[str, type[PolicyLoss]] = {loss.name: loss for loss in get_args(AnyLoss)}
"""Every policy loss by the name that a configuration gives it."""


def make(name: str, **hyper: Any) -> PolicyLoss:
    """Makes a policy loss by its name.

    Args:
        name: One of `LOSSES`.
        **hyper: Hyper-parameters that differ from the defaults.

    Raises:
        ConfigError: The name or a hyper-parameter is unknown; the message suggests the nearest one.
    """
    if name not in LOSSES:
        raise ConfigError(f"unknown loss {name!r}{_nearest(name, LOSSES)}")
    known = [field.name for field in fields(LOSSES[name]) if field.init]  # type: ignore[arg-type]  # all are dataclasses
    for key in hyper:
        if key not in known:
            raise ConfigError(f"loss {name!r} has no hyper-parameter {key!r}{_nearest(key, known)}")
    return LOSSES[name](**hyper)


def _nearest(name: str, known: Iterable[str]) -> str:
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
    suggestion = f"; did you mean {close[0]!r}?" if close else ";"
    return f"{suggestion} known: {', '.join(names)}"
