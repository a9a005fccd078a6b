"""The Clip mechanism for process rewards."""

from __future__ import annotations

from turnwise.verifiers.base import Verifier
from turnwise.verifiers.compose.arithmetic import finite
from turnwise.verifiers.compose.core import Composition, Parts, decided_verdict
from turnwise.verifiers.types import Sample, Verdict


class Clip(Composition):
    """`Clip(a, eta)`: min(r, eta) - eta, which is never positive, so that no number of further turns can earn anything.

    A turn whose score reaches `eta` gets 0, a worse one what it lacks. Summed over an episode, the reward is at most
    0 however often a good but useless step is repeated, which the plain sum of process rewards would pay for.

    It is applied to each score by itself: `verify` clips the score of the response, `verify_turns` that of every
    turn. The paper's combination is `Delta(Clip(process, eta))`. Undecided where the component is.

    Source: Gao et al., On Designing Effective RL Reward at Training Time for LLM Reasoning, arXiv 2410.15115
    (the Clip mechanism).

    Args:
        verifier: The process verifier.
        eta: The score from which a turn is good enough; the paper chooses it such that most turns get 0.
    """

    def __init__(self, verifier: Verifier, eta: float) -> None:
        super().__init__(verifier)
        self.eta = finite(eta, "eta")

    def _combine(self, parts: Parts, sample: Sample) -> Verdict:
        (name, part), *_ = parts.items()
        score = min(part.score, self.eta) - self.eta
        return decided_verdict(score, parts, f"min({name} ({part.score:g}), {self.eta:g}) - {self.eta:g} = {score:g}")
