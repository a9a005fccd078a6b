"""What a rollout takes from an environment, checked: an environment that breaks its contract is told so by value."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from turnwise.agents.errors import EnvironmentFailure

SHOWN = 120
"""How many characters of an offending value a message shows."""
REAL = (int, float, np.floating, np.integer, np.bool_)


@dataclass(frozen=True, slots=True)
class Start:
    """What `reset` returned."""

    observation: str
    info: Mapping[str, Any]
    state_key: str
    task: Mapping[str, Any]
    instructions: str
    tools: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Transition:
    """What `step` returned, and what its info says."""

    observation: str
    reward: float
    terminated: bool
    truncated: bool
    info: Mapping[str, Any]
    state_key: str
    progress: float
    success: float
    reward_parts: dict[str, float]
    feedback: str


def check_reset(result: Any) -> Start:
    """Returns what `reset` gave, checked.

    Raises:
        EnvironmentFailure: It is not `(str, mapping)`, or what the info says of `state_key`, `task`, `instructions` or
            `tools` has a wrong type. All of these may be missing.
    """
    if not isinstance(result, tuple) or len(result) != 2:
        raise _broken("environment.reset must return (observation, info)", result)
    observation, info = result
    if not isinstance(observation, str):
        raise _broken("environment.reset must return text as observation", observation)
    if not isinstance(info, Mapping):
        raise _broken("environment.reset must return a mapping as info", info)
    return Start(
        observation,
        info,
        state_key=_text("reset", info, "state_key"),
        task=_task(info.get("task")),
        instructions=_text("reset", info, "instructions"),
        tools=_tools(info.get("tools")),
    )


def check_step(result: Any) -> Transition:
    """Returns what `step` gave, checked and copied, so that an environment may reuse its dictionaries.

    Raises:
        EnvironmentFailure: It is not `(str, finite number, bool, bool, mapping)`, or what the info says of `state_key`,
            `progress`, `success`, `reward_parts` or `feedback` has a wrong type or range. All of these may be missing.
    """
    if not isinstance(result, tuple) or len(result) != 5:
        raise _broken("environment.step must return (observation, reward, terminated, truncated, info)", result)
    observation, reward, terminated, truncated, info = result
    if not isinstance(observation, str):
        raise _broken("environment.step must return text as observation", observation)
    if not isinstance(reward, REAL) or not math.isfinite(reward):
        raise _broken("environment.step must return a finite number as reward", reward)
    if not isinstance(terminated, bool | np.bool_):
        raise _broken("environment.step must return a bool as terminated", terminated)
    if not isinstance(truncated, bool | np.bool_):
        raise _broken("environment.step must return a bool as truncated", truncated)
    if not isinstance(info, Mapping):
        raise _broken("environment.step must return a mapping as info", info)
    return Transition(
        observation=observation,
        reward=float(reward),
        terminated=bool(terminated),
        truncated=bool(truncated),
        info=info,
        state_key=_text("step", info, "state_key"),
        progress=_fraction(info, "progress", missing=math.nan),
        success=_fraction(info, "success", missing=0.0),
        reward_parts=_parts(info.get("reward_parts")),
        feedback=_text("step", info, "feedback"),
    )


def _text(call: str, info: Mapping[str, Any], key: str) -> str:
    value = info.get(key, "")
    if not isinstance(value, str):
        raise _broken(f"environment.{call}: info[{key!r}] must be text", value)
    return value


def _fraction(info: Mapping[str, Any], key: str, missing: float) -> float:
    value = info.get(key)
    if value is None:
        return missing
    if not isinstance(value, REAL):
        raise _broken(f"environment.step: info[{key!r}] must be a number in [0, 1]", value)
    number = float(value)
    if not 0.0 <= number <= 1.0 and not (math.isnan(number) and math.isnan(missing)):
        raise _broken(f"environment.step: info[{key!r}] must be a number in [0, 1]", value)
    return number


def _parts(parts: Any) -> dict[str, float]:
    if parts is None:
        return {}
    if not isinstance(parts, Mapping):
        raise _broken("environment.step: info['reward_parts'] must map names to numbers", parts)
    for name, value in parts.items():
        if not isinstance(name, str) or not isinstance(value, REAL):
            raise _broken("environment.step: info['reward_parts'] must map names to numbers", parts)
    return {name: float(value) for name, value in parts.items()}


def _task(task: Any) -> Mapping[str, Any]:
    if task is None:
        return {}
    plain = _plain("task", task)
    return plain if isinstance(plain, dict) else {"task": plain}


def _tools(tools: Any) -> tuple[Mapping[str, Any], ...]:
    plain = _plain("tools", tools or [])
    if not isinstance(plain, list) or not all(isinstance(tool, dict) for tool in plain):
        raise _broken("environment.reset: info['tools'] must be a list of JSON schemas", tools)
    return tuple(plain)


def _plain(key: str, value: Any) -> Any:
    """Returns a value as JSON would return it: a copy, which neither the environment nor persistence can change."""
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise _broken(f"environment.reset: info[{key!r}] must be JSON-able", value) from error


def _broken(rule: str, value: Any) -> EnvironmentFailure:
    shown = repr(value)
    if len(shown) > SHOWN:
        shown = f"{shown[:SHOWN]}..."
    return EnvironmentFailure(f"{rule}, not {shown} ({type(value).__name__})")
