"""Engines: what generates tokens."""

from turnwise.agents.engines.base import Completion, Engine, Sampling

__all__ = ["Completion", "Engine", "Sampling"]
