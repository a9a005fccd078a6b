"""Rollouts: episodes side by side, asynchronous, with every failure recorded and bounded."""

from turnwise.agents.rollout.config import RolloutConfig
from turnwise.agents.rollout.jobs import Job, group_jobs, sampling_seed
from turnwise.agents.rollout.jsonl import (
    append_episodes,
    episode_from_json,
    episode_to_json,
    read_episodes,
    write_episodes,
)
from turnwise.agents.rollout.rollout import Rollout, env_factory
from turnwise.agents.rollout.stats import RolloutStats, summarise

__all__ = [
    "Job",
    "Rollout",
    "RolloutConfig",
    "RolloutStats",
    "append_episodes",
    "env_factory",
    "episode_from_json",
    "episode_to_json",
    "group_jobs",
    "read_episodes",
    "sampling_seed",
    "summarise",
    "write_episodes",
]
