"""What a rollout is asked to do: jobs, alone or in groups that attempt the same task."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from turnwise.agents.errors import InvalidInput
from turnwise.agents.seeding import derive_seed


@dataclass(frozen=True, slots=True)
class Job:
    """One episode to be run.

    Attributes:
        seed: What `reset` is given: the task.
        group: Jobs with one group attempt one task; they share `seed` and `options`.
        repeat: Which attempt of the group this is; with the group it identifies the job.
        options: What `reset` is given as options, such as `difficulty` and `split`.
        tags: Kept with the episode; JSON-able.
    """

    seed: int
    group: str
    repeat: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """How messages call the job: `group#repeat`."""
        return f"{self.group}#{self.repeat}"


def group_jobs(
    seeds: Sequence[int],
    repeats: int,
    *,
    prefix: str = "",
    options: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
) -> list[Job]:
    """Returns `repeats` jobs for each task seed, a group per seed, in order.

    Args:
        seeds: The tasks' seeds.
        repeats: How many episodes attempt each task.
        prefix: Begins every group's name. A trainer puts its step here ("12/"), because sampling seeds follow from the
            group's name: the same name would draw the same samples again.
        options: Reset options of every job.
        tags: Tags of every job.

    Raises:
        InvalidInput: `repeats` is below 1.
    """
    if repeats < 1:
        raise InvalidInput(f"repeats={repeats!r}: a group has at least one episode")
    return [
        Job(seed, f"{prefix}{position}", repeat, dict(options or {}), dict(tags or {}))
        for position, seed in enumerate(seeds)
        for repeat in range(repeats)
    ]


def sampling_seed(run_seed: int, job: Job) -> int:
    """Returns the seed that a policy gets for an episode: `derive_seed(run_seed, "episode", group, seed, repeat)`.

    Sessions derive a seed per turn from it. The number of failed attempts is *not* part of it: a retry samples the same
    actions again, because drawing new ones until the environment survives would favour actions that do not crash it.
    """
    return derive_seed(run_seed, "episode", job.group, job.seed, job.repeat)


def checked(jobs: Sequence[Job]) -> list[Job]:
    """Returns the jobs with tags as JSON would return them.

    Raises:
        InvalidInput: Two jobs have one name, jobs of one group differ in their task, or tags are not JSON-able.
    """
    first: dict[str, Job] = {}
    names: set[tuple[str, int]] = set()
    result = []
    for job in jobs:
        leader = first.setdefault(job.group, job)
        if (job.seed, dict(job.options)) != (leader.seed, dict(leader.options)):
            raise InvalidInput(
                f"jobs {leader.name!r} and {job.name!r} of one group differ in seed or options "
                f"({leader.seed!r}, {dict(leader.options)!r}) and ({job.seed!r}, {dict(job.options)!r}); "
                "a group is one task"
            )
        if (job.group, job.repeat) in names:
            raise InvalidInput(
                f"two jobs are called {job.name!r} and would sample the same actions; number their repeats"
            )
        names.add((job.group, job.repeat))
        result.append(replace(job, tags=_plain_tags(job)))
    return result


def _plain_tags(job: Job) -> dict[str, Any]:
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(job.tags), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"tags of job {job.name!r} are not JSON-able: {job.tags!r}") from error
    return plain
