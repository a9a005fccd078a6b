"""The exceptions of `turnwise.agents`: branches of the tree in `turnwise.verifiers.errors`.

TurnwiseError
├── ConfigError             a configuration cannot be used; also a ValueError
├── EngineError             an engine could not generate
│   └── PromptTooLong       a prompt does not fit the context window
├── EnvironmentFailure      an environment raised, hung, or broke its contract
│   └── EnvironmentTimeout  its deadline passed
├── CheckpointError         a checkpoint cannot be read or does not fit
└── StalledError            a stage made no progress before its deadline; names the stage
"""

from __future__ import annotations

from turnwise.verifiers.errors import InvalidInput, MissingExtra, TurnwiseError

__all__ = [
    "CheckpointError",
    "ConfigError",
    "EngineError",
    "EnvironmentFailure",
    "EnvironmentTimeout",
    "InvalidInput",
    "MissingExtra",
    "PromptTooLong",
    "StalledError",
    "TurnwiseError",
]


class ConfigError(TurnwiseError, ValueError):
    """A configuration cannot be used; the message names the key, its value and the remedy."""


class EngineError(TurnwiseError):
    """An engine could not generate; the cause is chained."""


class PromptTooLong(EngineError):
    """A prompt leaves no room for an action in the engine's context window."""


class EnvironmentFailure(TurnwiseError):
    """An environment raised, hung or broke its contract; the episode is recorded as failed."""


class EnvironmentTimeout(EnvironmentFailure):
    """An environment did not answer before its deadline."""


class CheckpointError(TurnwiseError):
    """A checkpoint cannot be read, or does not fit the run that wants to resume from it."""


class StalledError(TurnwiseError):
    """A stage made no progress before its deadline; the message names the stage."""
