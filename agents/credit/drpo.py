"""DRPO: correct episodes share their credit by length among themselves, wrong ones by likelihood among themselves."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from turnwise.agents.credit.base import Estimator
from turnwise.agents.credit.segments import Floats, Ints, counts, sums
from turnwise.agents.credit.table import TurnTable
from turnwise.agents.errors import InvalidInput


@dataclass(frozen=True)
class DRPO(Estimator):
    """A_t = n * softmax of (1 - l_e / limit) / lambda over the correct episodes, -n * softmax of s_e / tau over others.

    n is the number of episodes of the group, l_e the tokens sampled in the episode and s_e its mean log-probability
    per token, from `columns["logprob"]` (the sum over each turn's tokens). A correct episode is never pushed down for
    being long, only less up than a short one; the likeliest mistakes are pushed down most. A group that is all
    correct or all wrong gets 0.

    Source: Li et al., "Decoupled Reward Policy Optimization", arXiv 2510.04474, and its code: these are n times the
    derivatives of its objective with respect to the s_e, on policy. Use it with a loss that averages the tokens of an
    episode.

    Bias: by design. It climbs a discriminative objective, not the expected outcome.
    """

    threshold: float = 1.0
    """The outcome from which on an episode is correct."""
    length_limit: int = 8192
    """The most tokens that an episode may sample: the length whose length reward is 0."""
    length_temperature: float = 0.1
    """lambda: the smaller, the more of the credit goes to the shortest correct episode; infinite shares it alike."""
    tau: float = 10.0
    """Temperature over the wrong episodes: the smaller, the more the likeliest mistake bears of the blame."""
    name: Literal["drpo"] = field(default="drpo", kw_only=True)
    """The name in the registry; tells estimators apart in a configuration."""

    def __post_init__(self) -> None:
        if self.length_limit < 1:
            raise InvalidInput(f"length_limit is {self.length_limit!r}; it must be at least 1")
        for name in ("length_temperature", "tau"):
            if math.isnan(getattr(self, name)) or getattr(self, name) <= 0:
                raise InvalidInput(f"{name} is {getattr(self, name)!r}; it must be greater than 0")

    def _advantages(self, table: TurnTable) -> Floats:
        length = table.per_episode(table.tokens(type(self).__name__).astype(np.float64))
        score = table.per_episode(table.column("logprob", type(self).__name__)) / np.maximum(length, 1.0)
        correct = table.outcome >= self.threshold
        logits = np.where(correct, (1.0 - length / self.length_limit) / self.length_temperature, score / self.tau)
        share = _softmax(logits, 2 * table.group + correct)
        right = sums(correct.astype(np.float64), table.group, table.groups)[table.group]
        size = counts(table.group)
        mixed = (right > 0) & (right < size)
        return table.per_turn(np.where(mixed, np.where(correct, size, -size) * share, 0.0))


def _softmax(logits: Floats, index: Ints) -> Floats:
    """Returns exp(logits) over their sum within each segment; float64 [n]."""
    top = np.full(int(index.max()) + 1, -np.inf)
    np.maximum.at(top, index, logits)
    weight = np.exp(logits - top[index])
    share: Floats = weight / np.bincount(index, weights=weight)[index]
    return share
