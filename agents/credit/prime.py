"""PRIME: implicit process rewards and the outcome, each against the group's other episodes, summed and whitened."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from turnwise.agents.credit.base import Estimator, check_discount, check_weight
from turnwise.agents.credit.segments import Floats, counts, discounted_returns, sums, whiten
from turnwise.agents.credit.table import TurnTable


@dataclass(frozen=True)
class PRIME(Estimator):
    """A_t = whiten(sum_{k>=t} gamma^(k-t) b_k + c_e) over the turns of the batch, with leave-one-out in each source.

    b_t = n/(n-1) * q_t - sum_j mean(q of episode j) / (n-1), q_t = beta * (log pi_prm - log pi_ref) of the turn,
    c_e = n/(n-1) * R_e - sum_j R_j / (n-1).

    log pi_prm - log pi_ref, summed over the turn's tokens, is `columns["log_ratio"]`.

    Source: Cui et al., "Process Reinforcement through Implicit Rewards", arXiv 2502.01456, and its code,
    with a turn as the step.

    Bias: the process baseline is subtracted once for each turn that remains, so that the length of what follows
    enters the advantage; the process reward is an estimate; whitening counts every turn once.
    """

    beta: float = 0.05
    """Scale of the implicit process reward."""
    gamma: float = 1.0
    """Discount per turn of the process rewards."""
    name: Literal["prime"] = field(default="prime", kw_only=True)
    """The name in the registry; tells estimators apart in a configuration."""

    def __post_init__(self) -> None:
        check_weight("beta", self.beta)
        check_discount("gamma", self.gamma)

    def _advantages(self, table: TurnTable) -> Floats:
        process = self.beta * table.column("log_ratio", type(self).__name__)
        mean = table.per_episode(process) / np.maximum(table.lengths, 1)
        size = counts(table.group)
        scale = size / (size - 1)

        def baseline(values: Floats) -> Floats:
            return sums(values, table.group, table.groups)[table.group] / (size - 1)

        step = table.per_turn(scale) * process - table.per_turn(baseline(mean))
        outcome = scale * table.outcome - baseline(table.outcome)
        return whiten(discounted_returns(step, table.episode, self.gamma) + table.per_turn(outcome))
