"""Making environments for commands."""

from __future__ import annotations

import difflib
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import load_env_creator

import turnwise.envs
from turnwise.agents.errors import InvalidInput
from turnwise.envs.registration import describe

gym.register_envs(turnwise.envs)


def find_spec(env_id: str) -> gym.envs.registration.EnvSpec:
    """Returns the spec of a registered environment; "module:id" imports the module first.

    Raises:
        InvalidInput: There is no such environment; the message names the nearest.
    """
    try:
        module, colon, name = env_id.rpartition(":")
        if colon:
            __import__(module)
        return gym.spec(name)
    except (gym.error.Error, ImportError) as error:
        nearest = _nearest(env_id)
        hint = f"did you mean {nearest}?" if nearest else "turnwise envs lists them"
        raise InvalidInput(f"no environment {env_id!r}; {hint}") from error


def _nearest(env_id: str) -> str | None:
    """Returns the id that was probably meant; the namespace and the version may be missing."""
    known = [entry.id for entry in turnwise.envs.list_envs()]
    plain = {_plain(name): name for name in known}
    close = difflib.get_close_matches(_plain(env_id), plain, 1, 0.6)
    return plain[close[0]] if close else None


def _plain(env_id: str) -> str:
    return env_id.rpartition("/")[2].rpartition("-v")[0].lower() or env_id.rpartition("/")[2].lower()


def level(text: str) -> int | str:
    """Reads a difficulty: a level's name, or its number from 1 on."""
    return int(text) if text.isdecimal() else text


def levels(env_id: str, wanted: list[str]) -> list[int | str]:
    """Returns the difficulty levels that were asked for; "all" stands for every level of the environment."""
    if wanted == ["all"]:
        return list(describe(find_spec(env_id)).levels)
    return [level(name) for name in wanted]


def make_env(env_id: str, *, difficulty: int | str | None = None, **options: Any) -> gym.Env[str, str]:
    """Makes an environment.

    Args:
        env_id: Its id.
        difficulty: The level; None for the environment's default.
        options: For its constructor.

    Raises:
        InvalidInput: There is no such environment, or it does not take an option or its value.
    """
    spec = find_spec(env_id)
    if difficulty is not None:
        options["difficulty"] = difficulty
    creator: Any = load_env_creator(spec.entry_point) if isinstance(spec.entry_point, str) else spec.entry_point
    if "ansi" in getattr(creator, "metadata", {}).get("render_modes", ()):
        options.setdefault("render_mode", "ansi")
    try:
        return gym.make(spec, disable_env_checker=True, **options)
    except TypeError as error:
        raise InvalidInput(f"{env_id}: {error}") from error
