"""Engines by name, ours and those that other packages bring."""

from __future__ import annotations

import difflib
import importlib
from importlib.metadata import entry_points

from turnwise.agents.engines.base import Engine
from turnwise.agents.errors import ConfigError, MissingExtra

GROUP = "turnwise.engines"
"""The group of entry points in which a package names its engines: `name = "module:Class"`."""

BUILT_IN = {
    "transformers": ("turnwise.agents.engines.transformers_engine:TransformersEngine", "train"),
    "server": ("turnwise.agents.engines.server:ServerEngine", "server"),
}
"""Where our engines are, and the extra that brings what they need."""


def engine_names() -> list[str]:
    """Returns the names of all engines, installed plug-ins included."""
    return sorted({*BUILT_IN, *(point.name for point in entry_points(group=GROUP))})


def engine_class(name: str) -> type[Engine]:
    """Returns the class of an engine.

    Args:
        name: One of `engine_names()`.

    Raises:
        ConfigError: There is none of that name, or what a plug-in names is no engine.
        MissingExtra: What the engine needs is not installed.
    """
    if name in BUILT_IN:
        place, extra = BUILT_IN[name]
        module, _, attribute = place.partition(":")
        try:
            found = getattr(importlib.import_module(module), attribute)
        except ImportError as error:
            if isinstance(error, MissingExtra) or (error.name or "").startswith("turnwise"):
                raise
            raise MissingExtra(error.name or module, extra) from error
    else:
        points = [point for point in entry_points(group=GROUP) if point.name == name]
        if not points:
            close = difflib.get_close_matches(name, engine_names(), n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise ConfigError(f"there is no engine {name!r}; {hint}known: {', '.join(engine_names())}")
        found = points[0].load()
    if not (isinstance(found, type) and issubclass(found, Engine)):
        raise ConfigError(f"the engine {name!r} is {found!r}, which is no subclass of turnwise.agents.engines.Engine")
    return found
