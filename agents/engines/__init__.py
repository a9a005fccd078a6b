"""Engines: what generates tokens.

The classes of engines are loaded when they are first asked for, so that one engine's dependencies are not another's.
"""

from typing import TYPE_CHECKING, Any

from turnwise.agents.engines.base import Completion, Engine, Sampling
from turnwise.agents.engines.registry import engine_class, engine_names

if TYPE_CHECKING:
    from turnwise.agents.engines.server import ServerEngine
    from turnwise.agents.engines.transformers_engine import TransformersEngine

__all__ = [
    "Completion",
    "Engine",
    "Sampling",
    "ServerEngine",
    "TransformersEngine",
    "engine_class",
    "engine_names",
]

_LAZY = {"ServerEngine": "server", "TransformersEngine": "transformers"}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return engine_class(_LAZY[name])
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
