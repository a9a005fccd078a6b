"""What an evaluation found, per task, per difficulty and over all."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from turnwise.agents.errors import InvalidInput
from turnwise.agents.evaluation.statistics import UNKNOWN, Estimate, bootstrap_mean, pass_at_k, wilson
from turnwise.agents.seeding import derive_seed
from turnwise.agents.types import Episode, Status

SCHEMA = 1
"""Version of the JSON layout."""
ALL = "all"
"""The name of the row over all difficulties."""


@dataclass(frozen=True)
class TaskResult:
    """The attempts at one task. Failed ones (the infrastructure's fault) are counted and otherwise left out.

    Attributes:
        difficulty: The level that was asked for; "" for the environment's own.
        seed: What `reset` was given.
        instance: Hash of the task's content, equal for equal instances.
        success: Success of each attempt.
        reward: Summed rewards of each attempt.
        turns: Turns of each attempt.
        truncated: How many attempts a limit ended.
        failed: How many attempts failed.
    """

    difficulty: str
    seed: int
    instance: str
    success: tuple[float, ...]
    reward: tuple[float, ...]
    turns: tuple[int, ...]
    truncated: int = 0
    failed: int = 0

    @property
    def solved(self) -> int:
        """How many attempts solved the task wholly."""
        return sum(value >= 1.0 for value in self.success)


@dataclass(frozen=True)
class Summary:
    """What a set of tasks came to. Every task counts the same, however many of its attempts failed.

    Attributes:
        name: The difficulty, or "all".
        tasks: Tasks that were attempted.
        judged: Tasks of which at least one attempt did not fail: those that the estimates are made of.
        instances: Different instances among them; fewer than `tasks` where the environment has few.
        episodes: Attempts that did not fail.
        failed: Attempts that failed.
        truncated: Attempts that a limit ended.
        success: Mean success.
        reward: Mean of the summed rewards.
        turns: Mean turns; NaN without episodes.
        pass_at: The chance that one of k attempts solves a task, by k; over the tasks with k judged attempts.
    """

    name: str
    tasks: int
    judged: int
    instances: int
    episodes: int
    failed: int
    truncated: int
    success: Estimate
    reward: Estimate
    turns: float
    pass_at: Mapping[int, Estimate]


@dataclass(frozen=True)
class Evaluation:
    """A policy's results on tasks of one environment.

    Attributes:
        env_id: The environment.
        split: The split that the tasks are from.
        seed: The evaluation's seed, from which the tasks follow.
        samples: Attempts at each task.
        overall: All tasks.
        by_difficulty: The tasks of each difficulty, in the order they were asked for.
        tasks: Each task.
        errors: How often attempts failed for which reason.
        seconds: How long it took.
        episodes: The attempts themselves; not part of the JSON.
    """

    env_id: str
    split: str
    seed: int
    samples: int
    overall: Summary
    by_difficulty: tuple[Summary, ...]
    tasks: tuple[TaskResult, ...]
    errors: Mapping[str, int]
    seconds: float
    episodes: tuple[Episode, ...] = field(default=(), repr=False, compare=False)

    @property
    def success(self) -> Estimate:
        """Mean success over all tasks."""
        return self.overall.success

    def metrics(self, prefix: str = "") -> dict[str, float]:
        """Returns the overall numbers by name, as a log takes them."""
        row = self.overall
        numbers = {
            "success": row.success.value,
            "success_low": row.success.low,
            "success_high": row.success.high,
            "reward": row.reward.value,
            "turns": row.turns,
            "failed": float(row.failed),
            **{f"pass@{k}": estimate.value for k, estimate in row.pass_at.items()},
            **{f"success/{level.name}": level.success.value for level in self.by_difficulty if level.name},
        }
        return {f"{prefix}{name}": value for name, value in numbers.items()}

    def to_json(self) -> dict[str, Any]:
        """Returns everything but the episodes as an object for `json.dumps`; NaN becomes null."""
        value = {name: getattr(self, name) for name in ("env_id", "split", "seed", "samples", "seconds")}
        value |= {"overall": asdict(self.overall), "by_difficulty": [asdict(row) for row in self.by_difficulty]}
        value |= {"tasks": [asdict(task) for task in self.tasks], "errors": dict(self.errors)}
        plain: dict[str, Any] = _without_nan({"schema": SCHEMA, **value})
        return plain

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Evaluation:
        """Returns the evaluation that `to_json` was called on, without its episodes.

        Raises:
            InvalidInput: It is of another schema, or a field is missing or of a wrong type.
        """
        if value.get("schema") != SCHEMA:
            raise InvalidInput(f"an evaluation of schema {value.get('schema')!r} cannot be read, only {SCHEMA}")
        try:
            return cls(
                **{name: value[name] for name in ("env_id", "split", "seed", "samples", "seconds")},
                overall=_summary_from_json(value["overall"]),
                by_difficulty=tuple(_summary_from_json(row) for row in value["by_difficulty"]),
                tasks=tuple(_task_from_json(task) for task in value["tasks"]),
                errors=dict(value["errors"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInput(f"not an evaluation: {type(error).__name__}: {error}") from error

    def __str__(self) -> str:
        from turnwise.agents.evaluation.tables import evaluation_table

        return evaluation_table(self)


def task_results(episodes: Sequence[Episode]) -> list[TaskResult]:
    """Returns the results of each group of episodes, in the order in which groups first come."""
    groups: dict[str, list[Episode]] = {}
    for episode in episodes:
        groups.setdefault(episode.group, []).append(episode)
    return [_task_result(group) for group in groups.values()]


def summarise_tasks(name: str, tasks: Sequence[TaskResult], ks: Sequence[int], seed: int) -> Summary:
    """Returns what a set of tasks came to.

    The interval of success is Wilson's where every judged task has one attempt that either succeeded or did not, and a
    bootstrap over tasks where success is graded, or tasks have several attempts, which depend on each other.

    Args:
        name: The summary's name.
        tasks: The tasks.
        ks: The k of pass@k.
        seed: Seeds the bootstrap.
    """
    judged = [task for task in tasks if task.success]
    turns = [_mean(task.turns) for task in judged]
    return Summary(
        name=name,
        tasks=len(tasks),
        judged=len(judged),
        instances=len({(task.difficulty, task.instance) for task in judged}),
        episodes=sum(len(task.success) for task in judged),
        failed=sum(task.failed for task in tasks),
        truncated=sum(task.truncated for task in tasks),
        success=_success(judged, derive_seed(seed, name, "success")),
        reward=bootstrap_mean([_mean(task.reward) for task in judged], seed=derive_seed(seed, name, "reward")),
        turns=_mean(turns) if turns else math.nan,
        pass_at={k: _pass_at(judged, k, derive_seed(seed, name, "pass", k)) for k in ks},
    )


def count_errors(episodes: Sequence[Episode]) -> dict[str, int]:
    """Returns how often episodes failed for which reason, the most frequent first."""
    return dict(Counter(episode.error or "" for episode in episodes if episode.status is Status.FAILED).most_common())


def _task_result(episodes: Sequence[Episode]) -> TaskResult:
    first = episodes[0]
    kept = [episode for episode in episodes if episode.status is not Status.FAILED]
    return TaskResult(
        difficulty=str(first.tags.get("difficulty", "")),
        seed=first.seed,
        instance=_instance(kept[0]) if kept else "",
        success=tuple(episode.success for episode in kept),
        reward=tuple(episode.reward for episode in kept),
        turns=tuple(len(episode.turns) for episode in kept),
        truncated=sum(episode.status is Status.TRUNCATED for episode in kept),
        failed=len(episodes) - len(kept),
    )


def _instance(episode: Episode) -> str:
    """Returns the task's content hash, or a hash of what can be seen of the task where there is none."""
    content = episode.task.get("content")
    if isinstance(content, str):
        return content
    seen = [episode.task, episode.turns[0].observation if episode.turns else episode.final_observation]
    return hashlib.blake2b(json.dumps(seen, sort_keys=True).encode("ascii"), digest_size=16).hexdigest()


def _success(judged: Sequence[TaskResult], seed: int) -> Estimate:
    if all(len(task.success) == 1 and task.success[0] in (0.0, 1.0) for task in judged):
        return wilson(sum(task.success[0] for task in judged), len(judged))
    return bootstrap_mean([_mean(task.success) for task in judged], bounds=(0.0, 1.0), seed=seed)


def _pass_at(judged: Sequence[TaskResult], k: int, seed: int) -> Estimate:
    values = [pass_at_k(len(task.success), task.solved, k) for task in judged if len(task.success) >= k]
    return bootstrap_mean(values, bounds=(0.0, 1.0), seed=seed)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _without_nan(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return value


def _estimate_from_json(value: Mapping[str, Any]) -> Estimate:
    if value["value"] is None:
        return UNKNOWN
    return Estimate(float(value["value"]), float(value["low"]), float(value["high"]))


def _summary_from_json(value: Mapping[str, Any]) -> Summary:
    counts = ("name", "tasks", "judged", "instances", "episodes", "failed", "truncated")
    return Summary(
        **{name: value[name] for name in counts},
        success=_estimate_from_json(value["success"]),
        reward=_estimate_from_json(value["reward"]),
        turns=math.nan if value["turns"] is None else value["turns"],
        pass_at={int(k): _estimate_from_json(estimate) for k, estimate in value["pass_at"].items()},
    )


def _task_from_json(value: Mapping[str, Any]) -> TaskResult:
    return TaskResult(
        **{
            **value,
            "success": tuple(value["success"]),
            "reward": tuple(value["reward"]),
            "turns": tuple(value["turns"]),
        }
    )
