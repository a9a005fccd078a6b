"""A score turned into pass or fail."""

from __future__ import annotations

from turnwise.verifiers.base import Verifier
from turnwise.verifiers.compose.arithmetic import finite
from turnwise.verifiers.compose.core import Composition, Parts
from turnwise.verifiers.compose.gate import reaches
from turnwise.verifiers.types import Sample, Verdict


class Threshold(Composition):
    """`Threshold(a, 0.5)`: 1 where the score of `a` reaches the threshold, else 0. Undecided where `a` is.

    Args:
        verifier: What is judged by.
        threshold: The least score that passes.
    """

    def __init__(self, verifier: Verifier, threshold: float) -> None:
        super().__init__(verifier)
        self.threshold = finite(threshold, "a threshold")

    def _combine(self, parts: Parts, sample: Sample) -> Verdict:
        (name, part), *_ = parts.items()
        passes = reaches(part.score, self.threshold)
        because = f": {part.evidence}" if part.evidence else ""
        verb = "reaches" if passes else "misses"
        return Verdict(float(passes), parts, f"{name} ({part.score:g}) {verb} {self.threshold:g}{because}")
