"""Registers the environments with Gymnasium, ours and those of plug-ins, and lists them.

Gymnasium 1.x loads no plug-ins of its own. A package adds environments to turnwise through the entry-point group
`turnwise.envs`: each entry point names a function, called without arguments when `turnwise.envs` is imported, or a
module, imported then; either registers environments with `gymnasium.register`. In the package's `pyproject.toml`:

    [project.entry-points."turnwise.envs"]
    acme = "acme.envs:register"
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec, load_env_creator

from turnwise.envs.core import TurnEnv

PLUGIN_GROUP = "turnwise.envs"
"""The entry-point group through which other packages add environments."""

ENVIRONMENTS: Mapping[str, str] = {
    "turnwise/Arithmetic-v0": "turnwise.envs.math.arithmetic:Arithmetic",
    "turnwise/GuessNumber-v0": "turnwise.envs.text.guess_number:GuessNumber",
    "turnwise/Sokoban-v0": "turnwise.envs.text.sokoban.env:Sokoban",
}
"""Our environments: id -> entry point."""

_plugin_ids: set[str] = set()


class PluginWarning(UserWarning):
    """A plug-in's environments could not be registered."""


def register_all() -> None:
    """Registers our environments and those of every installed plug-in; registering again changes nothing."""
    for env_id, entry_point in ENVIRONMENTS.items():
        if env_id not in gym.registry:
            gym.register(env_id, entry_point)
    load_plugins(entry_points(group=PLUGIN_GROUP))


def load_plugins(plugins: Iterable[EntryPoint]) -> None:
    """Loads plug-ins; one that fails is named in a `PluginWarning` and leaves the others alone."""
    for plugin in plugins:
        before = set(gym.registry)
        try:
            loaded = plugin.load()
            if callable(loaded):
                loaded()
        except Exception as error:  # noqa: BLE001 - whatever a plug-in does wrong, importing turnwise.envs goes on
            warnings.warn(
                f"the plug-in {plugin.name!r} ({plugin.value}) of the group {PLUGIN_GROUP!r} could not be loaded: "
                f"{type(error).__name__}: {error}",
                PluginWarning,
                stacklevel=2,
            )
        _plugin_ids.update(set(gym.registry) - before)


@dataclass(frozen=True)
class EnvEntry:
    """One line of the list of environments.

    Attributes:
        id: What `gym.make` takes.
        summary: One sentence.
        levels: Level names, easiest first, with their turn limits.
        actions: What an action looks like.
        error: None, or why the environment cannot be loaded here.
    """

    id: str
    summary: str = ""
    levels: Mapping[str, int] = field(default_factory=dict)
    actions: str = ""
    error: str | None = None


def list_envs() -> list[EnvEntry]:
    """Returns our environments and those of plug-ins, sorted by id; one that cannot be loaded says why in `error`."""
    listed = {env_id for env_id in gym.registry if env_id in ENVIRONMENTS or env_id in _plugin_ids}
    return [describe(gym.spec(env_id)) for env_id in sorted(listed)]


def describe(spec: EnvSpec) -> EnvEntry:
    """Returns the entry of a registered environment, read from its class without making an instance."""
    try:
        creator: Any = load_env_creator(spec.entry_point) if isinstance(spec.entry_point, str) else spec.entry_point
    except Exception as error:  # noqa: BLE001 - the list shows what is broken instead of breaking
        return EnvEntry(spec.id, error=f"{type(error).__name__}: {error}")
    if isinstance(creator, type) and issubclass(creator, TurnEnv):
        levels = {name: level.max_turns for name, level in creator.levels.items()}
        return EnvEntry(spec.id, creator.summary, levels, creator.action_format)
    document = (getattr(creator, "__doc__", None) or "").strip()
    return EnvEntry(spec.id, document.split("\n", 1)[0])
