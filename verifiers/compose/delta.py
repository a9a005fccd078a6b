"""The Delta mechanism for process rewards."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from turnwise.verifiers.compose.process import TurnReward


class Delta(TurnReward):
    """`Delta(a)`: differences of neighbouring turns' scores, so that their sum does not grow with the number of turns.

    For K turns with scores r_1, ..., r_K the rewards are

        r_k - r_{k+1}   for k < K - 1,
        r_{K-1}         for k = K - 1,
        0               for k = K,

    which telescope: the rewards from turn k on sum to r_k, and the whole episode's to r_1 (to 0 for a single turn).
    The last turn gets nothing because the outcome, which belongs to another verifier, judges it. Padding an episode
    with repeated good turns therefore earns nothing.

    The paper's combination is `Delta(Clip(process, eta))`.

    Source: Gao et al., On Designing Effective RL Reward at Training Time for LLM Reasoning, arXiv 2410.15115
    (the Delta mechanism).

    Args:
        verifier: The process verifier whose scores are differenced.
    """

    def _reshape(self, scores: Sequence[float]) -> list[tuple[float, str]]:
        *steps, _ = scores
        rewards = [(now - later, f"{now:g} at this turn - {later:g} at the next") for now, later in pairwise(steps)]
        if steps:
            rewards.append((steps[-1], f"{steps[-1]:g}: the last turn but one keeps its score"))
        return [*rewards, (0.0, "the last turn is left to the outcome")]
