"""The exceptions of `turnwise.envs`: branches of the tree in `turnwise.verifiers.errors`.

TurnwiseError
├── InvalidInput        a caller's value cannot be used (from `turnwise.verifiers`); also a ValueError
├── EpisodeOver         a step without a running episode: reset first
├── SplitExhausted      no task of the wanted split came up: the level's task space is too small for it
├── VerdictMissing      the environment's verifier could not decide an episode; the rollout has failed, not the agent
└── CheckFailed         `CheckReport.raise_for_failures` found failed checks; also an AssertionError
"""

from __future__ import annotations

from turnwise.verifiers.errors import InvalidInput, TurnwiseError

__all__ = ["CheckFailed", "EpisodeOver", "InvalidInput", "SplitExhausted", "TurnwiseError", "VerdictMissing"]


class EpisodeOver(TurnwiseError):
    """`step` was called without a running episode: before the first `reset`, or after the episode's end."""


class SplitExhausted(TurnwiseError):
    """Many draws in a row fell into the other split, so that this one is empty or nearly so."""


class VerdictMissing(TurnwiseError):
    """The environment's verifier could not decide; an undecided episode is an infrastructure failure, never a 0."""


class CheckFailed(TurnwiseError, AssertionError):
    """An environment failed checks; the message lists them."""
