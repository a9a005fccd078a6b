"""The promise that a group attempts one task, checked at every reset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from turnwise.agents.errors import EnvironmentFailure
from turnwise.agents.rollout.contract import Start
from turnwise.agents.rollout.jobs import Job
from turnwise.agents.types import Episode, Status

SHOWN = 80
"""How many characters a message shows, from a little before the first difference on."""


@dataclass(frozen=True, slots=True)
class _Beginning:
    name: str
    start: Start


class Groups:
    """Compares how the episodes of a group begin.

    A relative advantage compares attempts at one task. If `reset` gives one seed two tasks, the comparison means
    nothing, so none of the group's episodes may be learned from: all of them fail.
    """

    def __init__(self) -> None:
        self._beginnings: dict[str, _Beginning] = {}
        self._broken: dict[str, str] = {}

    def enter(self, job: Job, start: Start) -> None:
        """Takes note of how an episode begins.

        Raises:
            EnvironmentFailure: Another episode of the group began differently.
        """
        first = self._beginnings.setdefault(job.group, _Beginning(job.name, start))
        for what in ("observation", "state_key", "task"):
            here, there = getattr(start, what), getattr(first.start, what)
            if here != there:
                self._broken.setdefault(
                    job.group,
                    f"environment.reset: seed {job.seed} gave episodes {first.name} and {job.name} of one group "
                    f"different values of {what}, {_differing(there, here)}; the same seed and options "
                    "must begin the same episode",
                )
        self.check(job)

    def broken(self, job: Job) -> bool:
        """Whether the job's group is known to be broken."""
        return job.group in self._broken

    def check(self, job: Job) -> None:
        """Stops an episode whose group is broken.

        Raises:
            EnvironmentFailure: It is.
        """
        if self.broken(job):
            raise EnvironmentFailure(self._broken[job.group])

    def settle(self, episodes: Sequence[Episode]) -> list[Episode]:
        """Returns the episodes, those of broken groups as failed."""
        return [
            replace(episode, status=Status.FAILED, success=0.0, error=self._broken[episode.group])
            if episode.group in self._broken
            else episode
            for episode in episodes
        ]


def _differing(there: object, here: object) -> str:
    a, b = str(there), str(here)
    same = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    begin = max(0, same - 20)
    return f"{a[begin : begin + SHOWN]!r} and {b[begin : begin + SHOWN]!r}"
