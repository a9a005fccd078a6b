"""The numbers of a rollout that a trainer logs."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

from turnwise.agents.types import Episode, Status


@dataclass(frozen=True)
class RolloutStats:
    """What a rollout did. Means are over episodes that did not fail, and NaN where there are none."""

    episodes: int
    """Episodes, failed ones included."""
    terminated: int
    """Episodes that reached an end of their own."""
    truncated: int
    """Episodes that a limit ended."""
    failed: int
    """Episodes that were given up."""
    retried: int
    """Failed attempts that were followed by another."""
    turns: int
    """Turns, those of failed episodes included."""
    tokens: int
    """Sampled tokens."""
    unfinished: int
    """Actions that the token limit cut."""
    seconds: float
    """Wall-clock seconds of the rollout."""
    tokens_per_second: float
    """Sampled tokens per wall-clock second."""
    turns_per_second: float
    """Turns per wall-clock second."""
    generate_seconds: float
    """Seconds in the policy, summed over episodes side by side; waiting for a batch is part of it."""
    step_seconds: float
    """Seconds in the environments' `step`, summed over episodes side by side."""
    success: float
    """Mean success."""
    reward: float
    """Mean of the episodes' summed rewards."""
    turns_mean: float
    """Mean turns of an episode."""
    turns_max: int
    """Most turns of an episode."""
    action_tokens_mean: float
    """Mean sampled tokens of an action."""
    action_tokens_max: int
    """Most sampled tokens of an action."""

    def as_dict(self, prefix: str = "") -> dict[str, float]:
        """Returns the numbers by name."""
        return {f"{prefix}{field.name}": getattr(self, field.name) for field in dataclasses.fields(self)}


def summarise(episodes: Sequence[Episode], seconds: float) -> RolloutStats:
    """Returns the statistics of episodes that took `seconds` together."""
    kept = [episode for episode in episodes if episode.status is not Status.FAILED]
    turns = [turn for episode in episodes for turn in episode.turns]
    tokens = sum(len(turn.action_ids) for turn in turns)
    return RolloutStats(
        episodes=len(episodes),
        terminated=sum(episode.status is Status.TERMINATED for episode in episodes),
        truncated=sum(episode.status is Status.TRUNCATED for episode in episodes),
        failed=len(episodes) - len(kept),
        retried=sum(episode.attempt for episode in episodes),
        turns=len(turns),
        tokens=tokens,
        unfinished=sum(turn.finish == "length" for turn in turns),
        seconds=seconds,
        tokens_per_second=tokens / seconds if seconds > 0 else 0.0,
        turns_per_second=len(turns) / seconds if seconds > 0 else 0.0,
        generate_seconds=sum(turn.seconds.get("generate", 0.0) for turn in turns),
        step_seconds=sum(turn.seconds.get("step", 0.0) for turn in turns),
        success=_mean([episode.success for episode in kept]),
        reward=_mean([episode.reward for episode in kept]),
        turns_mean=_mean([len(episode.turns) for episode in kept]),
        turns_max=max((len(episode.turns) for episode in kept), default=0),
        action_tokens_mean=tokens / len(turns) if turns else math.nan,
        action_tokens_max=max((len(turn.action_ids) for turn in turns), default=0),
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan
