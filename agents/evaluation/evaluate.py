"""Evaluates a policy on tasks that follow from a seed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gymnasium as gym

from turnwise.agents.errors import InvalidInput
from turnwise.agents.evaluation.results import ALL, Evaluation, count_errors, summarise_tasks, task_results
from turnwise.agents.policies.base import Policy
from turnwise.agents.rollout import Job, Rollout, RolloutConfig
from turnwise.agents.seeding import derive_seed
from turnwise.agents.types import Episode


async def aevaluate(
    env: str | Callable[[], gym.Env[Any, Any]],
    policy: Policy,
    *,
    n: int = 256,
    split: str | None = "test",
    difficulties: Sequence[int | str] | None = None,
    k: Sequence[int] = (),
    samples: int | None = None,
    seed: int = 0,
    rollout: RolloutConfig | None = None,
    env_kwargs: Mapping[str, Any] | None = None,
) -> Evaluation:
    """Evaluates a policy.

    The tasks follow from `seed`, `split` and `difficulties` alone, so that two policies evaluated with the same ones
    meet the same tasks and can be compared in pairs (`compare`).

    Args:
        env: Makes an environment, or the id of a registered one.
        policy: What is evaluated.
        n: Tasks, dealt out to the difficulties in turn.
        split: Given to `reset` as an option; None for environments that know no splits.
        difficulties: Given to `reset` as an option; None leaves the environment's own.
        k: For which k to estimate pass@k.
        samples: Attempts at each task; by default the greatest k, or 1. More than k make pass@k more precise.
        seed: Decides the tasks and the sampling of actions (together with the rollout's seed).
        rollout: How episodes are run.
        env_kwargs: What `gym.make` gets besides the id.

    Returns:
        The results. Failed episodes are counted apart and are no losses.

    Raises:
        InvalidInput: An argument cannot be used.
        StalledError: Nothing moved any more; see `RolloutConfig`.
    """
    samples = max(k, default=1) if samples is None else samples
    jobs = evaluation_jobs(n, split, difficulties, samples, seed)
    if any(not 1 <= each <= samples for each in k):
        raise InvalidInput(f"k={list(k)!r}: each must lie between 1 and samples={samples!r}")
    began = time.perf_counter()
    async with Rollout(env, policy, rollout, env_kwargs=env_kwargs) as runner:
        episodes = await runner.run(jobs)
    return evaluation_of(episodes, split=split or ALL, k=k, seed=seed, seconds=time.perf_counter() - began)


def evaluate(
    env: str | Callable[[], gym.Env[Any, Any]],
    policy: Policy,
    *,
    n: int = 256,
    split: str | None = "test",
    difficulties: Sequence[int | str] | None = None,
    k: Sequence[int] = (),
    samples: int | None = None,
    seed: int = 0,
    rollout: RolloutConfig | None = None,
    env_kwargs: Mapping[str, Any] | None = None,
) -> Evaluation:
    """Evaluates a policy from synchronous code; see `aevaluate`.

    Raises:
        InvalidInput: An argument cannot be used, or an event loop is running: `await aevaluate(...)` there.
        StalledError: Nothing moved any more; see `RolloutConfig`.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(
            aevaluate(
                env,
                policy,
                n=n,
                split=split,
                difficulties=difficulties,
                k=k,
                samples=samples,
                seed=seed,
                rollout=rollout,
                env_kwargs=env_kwargs,
            )
        )
    raise InvalidInput("evaluate was called inside a running event loop; use `await aevaluate(...)`")


def evaluation_jobs(
    n: int, split: str | None, difficulties: Sequence[int | str] | None, samples: int, seed: int
) -> list[Job]:
    """Returns the jobs of an evaluation: `samples` of each of `n` tasks; see `aevaluate`.

    Raises:
        InvalidInput: There is no task or no sample, or fewer tasks than difficulties, or a difficulty twice.
    """
    levels: list[int | str | None] = [None] if difficulties is None else list(difficulties)
    if n < len(levels) or n < 1 or not levels:
        raise InvalidInput(
            f"n={n!r} tasks cannot be dealt out to {len(levels)} difficulties; give at least one to each"
        )
    if samples < 1:
        raise InvalidInput(f"samples={samples!r} must be at least 1")
    if len({str(level) for level in levels}) < len(levels):
        raise InvalidInput(f"difficulties={levels!r} name one level twice")
    jobs = []
    for position in range(n):
        level = levels[position % len(levels)]
        number = position // len(levels)
        tags = {} if level is None else {"difficulty": level}
        options = tags if split is None else {**tags, "split": split}
        task = derive_seed(seed, "evaluation", number)
        jobs += [Job(task, f"{'' if level is None else level}/{number}", i, options, tags) for i in range(samples)]
    return jobs


def evaluation_of(
    episodes: Sequence[Episode], *, split: str, k: Sequence[int] = (), seed: int = 0, seconds: float = 0.0
) -> Evaluation:
    """Returns the evaluation that episodes amount to, which may come from a file.

    Episodes of one group are attempts at one task; the tag `difficulty` says which row of the table they belong to.

    Raises:
        InvalidInput: There are no episodes, or they come from several environments.
    """
    env_ids = {episode.env_id for episode in episodes if episode.env_id}
    if not episodes or len(env_ids) > 1:
        raise InvalidInput(f"an evaluation is of episodes of one environment, not of {sorted(env_ids)!r}")
    tasks = task_results(episodes)
    levels = dict.fromkeys(task.difficulty for task in tasks)
    return Evaluation(
        env_id=env_ids.pop() if env_ids else "",
        split=split,
        seed=seed,
        samples=max(len(task.success) + task.failed for task in tasks),
        overall=summarise_tasks(ALL, tasks, k, seed),
        by_difficulty=tuple(
            summarise_tasks(level, [task for task in tasks if task.difficulty == level], k, seed) for level in levels
        ),
        tasks=tuple(tasks),
        errors=count_errors(episodes),
        seconds=seconds,
        episodes=tuple(episodes),
    )
