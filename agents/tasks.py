"""Which tasks a step attempts: a function of the run's seed and the step alone, so a resumed run draws the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from turnwise.agents.errors import ConfigError
from turnwise.agents.rollout.jobs import Job
from turnwise.agents.seeding import derive_seed


@dataclass(frozen=True)
class TaskConfig:
    """Where tasks come from."""

    env: str = "turnwise/GuessNumber-v0"
    """The id of a Gymnasium environment; "module:id" imports the module first."""
    kwargs: dict[str, Any] = field(default_factory=dict)
    """What `gym.make` gets besides the id."""
    difficulties: tuple[int | str, ...] = ()
    """Difficulty levels, taken in turn by the groups of a step; empty leaves the environment's own default."""
    reward: Literal["sparse", "dense"] = "dense"
    """Whether the environment pays every turn, or the outcome at the end."""
    groups: int = 16
    """Tasks per step."""
    group_size: int = 8
    """Attempts at each task: the group that a baseline is taken over."""

    def __post_init__(self) -> None:
        """Checks the counts.

        Raises:
            ConfigError: A count is out of its range.
        """
        if self.groups < 1:
            raise ConfigError(f"tasks.groups={self.groups!r} must be at least 1")
        if self.group_size < 2:
            raise ConfigError(f"tasks.group_size={self.group_size!r} must be at least 2: a baseline compares attempts")

    @property
    def env_kwargs(self) -> Mapping[str, Any]:
        """What `gym.make` gets: `kwargs` and the reward mode."""
        return {"reward": self.reward, **self.kwargs}


def training_jobs(config: TaskConfig, seed: int, step: int) -> list[Job]:
    """Returns the jobs of one training step: `groups` tasks of the training split, `group_size` attempts at each.

    Args:
        config: Where tasks come from.
        seed: The run's seed.
        step: The step, from 0.
    """
    jobs = []
    for group in range(config.groups):
        options = _options(config, group)
        task = derive_seed(seed, "train", step, group)
        tags = {"step": step, **options}
        jobs += [Job(task, f"{step}/{group}", attempt, options, tags) for attempt in range(config.group_size)]
    return jobs


def demonstration_jobs(config: TaskConfig, seed: int, count: int) -> list[Job]:
    """Returns the jobs of `count` demonstrations, each of another task of the training split.

    Args:
        config: Where tasks come from.
        seed: The run's seed.
        count: How many.
    """
    return [
        Job(derive_seed(seed, "demonstration", number), f"demonstration/{number}", 0, _options(config, number))
        for number in range(count)
    ]


def _options(config: TaskConfig, number: int) -> dict[str, Any]:
    """Returns the reset options of the task with this number: levels are taken in turn."""
    options: dict[str, Any] = {"split": "train"}
    if config.difficulties:
        options["difficulty"] = config.difficulties[number % len(config.difficulties)]
    return options
