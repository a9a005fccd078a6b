"""Who is doing what, and the watchdog that ends a rollout in which nobody gets anywhere."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from turnwise.agents.errors import StalledError

SHOWN = 5
"""How many episodes of a stage a message names."""


class Board:
    """The stage that each episode in flight is in."""

    def __init__(self) -> None:
        self._stages: dict[str, str] = {}
        self._moved = asyncio.get_running_loop().time()

    def enter(self, episode: str, stage: str) -> None:
        """Notes that an episode has come to a stage."""
        self._stages[episode] = stage
        self._moved = asyncio.get_running_loop().time()

    def leave(self, episode: str) -> None:
        """Notes that an episode is over."""
        self._stages.pop(episode, None)
        self._moved = asyncio.get_running_loop().time()

    async def watch(self, timeout: float) -> None:
        """Returns never; raises once no episode has moved for `timeout` seconds.

        Raises:
            StalledError: Names the stages, and the episodes in them.
        """
        loop = asyncio.get_running_loop()
        while (left := self._moved + timeout - loop.time()) > 0:
            await asyncio.sleep(left)
        raise StalledError(f"rollout: no episode moved for {timeout:g} s: {self.describe()}")

    def describe(self) -> str:
        """Returns which episodes are in which stage: "2 in policy.act (0#0, 0#1), 1 in environment.step (3#1)"."""
        stages = defaultdict(list)
        for episode, stage in self._stages.items():
            stages[stage].append(episode)
        return ", ".join(
            f"{len(names)} in {stage} ({', '.join(names[:SHOWN])}{', ...' if len(names) > SHOWN else ''})"
            for stage, names in sorted(stages.items())
        )
