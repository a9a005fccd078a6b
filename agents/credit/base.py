"""What an estimator of turn-level advantages is."""

from __future__ import annotations

import abc
import math
from typing import ClassVar

import numpy as np

from turnwise.agents.credit.segments import Floats
from turnwise.agents.credit.table import TurnTable
from turnwise.agents.errors import InvalidInput


class Estimator(abc.ABC):
    """Turns a table of turns into one advantage per turn: pure, a frozen dataclass of its hyper-parameters.

    A subclass states `_advantages` only. It never sees a failed episode: those are taken out of the table before it
    is called, so that they can enter no baseline, and their turns get advantage 0. Where `compares` says that
    episodes are judged by others of their group, an episode that is alone in it has nothing to be judged by: it is
    taken out too.
    """

    name: str
    """The name in the registry."""
    compares: ClassVar[bool] = True
    """Whether an episode needs others in its group."""

    def __call__(self, table: TurnTable) -> Floats:
        """Returns the advantage of every turn of the table.

        Args:
            table: The turns of a batch of episodes.

        Returns:
            float64 [turns]; 0 for the turns of failed episodes, and of those with nothing to be compared with.

        Raises:
            InvalidInput: The table lacks a column that this estimator needs.
        """
        advantages = np.zeros(table.turns)
        keep = ~table.failed
        if self.compares:
            keep &= np.bincount(table.group[keep], minlength=table.groups)[table.group] > 1
        kept = table if keep.all() else table.select(keep)
        if kept.turns:
            advantages[keep[table.episode]] = self._advantages(kept)
        return advantages

    @abc.abstractmethod
    def _advantages(self, table: TurnTable) -> Floats:
        """Returns the advantages of a table that has turns, and no failed or incomparable episodes; float64 [turns]."""


def check_discount(name: str, value: float) -> None:
    """Raises `InvalidInput` unless 0 <= value <= 1."""
    if not 0.0 <= value <= 1.0:
        raise InvalidInput(f"{name} is {value!r}; it must lie in [0, 1]")


def check_weight(name: str, value: float) -> None:
    """Raises `InvalidInput` unless a weight is finite and not negative."""
    if not (math.isfinite(value) and value >= 0.0):
        raise InvalidInput(f"{name} is {value!r}; it must be a finite number, 0 or more")
