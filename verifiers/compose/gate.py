"""Gates: a verifier counts only once the ones before it pass."""

from __future__ import annotations

from turnwise.verifiers.base import Verifier
from turnwise.verifiers.compose.arithmetic import finite
from turnwise.verifiers.compose.core import Composition, Parts, Plan, operand
from turnwise.verifiers.types import Sample, Verdict

SLACK = 1e-9
"""What a score may miss a threshold by: the rounding of a sum such as 0.1 + 0.2 + 0.7 must not close a gate."""


class Gate(Composition):
    """`a >> b >> c`: each stage counts only once the stage before it passes; the score is the last stage's.

    A stage passes if its score reaches the threshold. Where one does not, the score is 0 and the later stages are not
    asked: they cost nothing and are missing from `parts`, and the evidence says which stage stopped it. In a group,
    the later stages judge only the samples that came through.

    An undecided stage makes the gate undecided; one behind a closed gate cannot, since it is not asked.

    Args:
        components: The stages, first to last.
        threshold: The score that a stage (but the last) must reach to pass.
    """

    def __init__(self, *components: Verifier, threshold: float = 1.0) -> None:
        super().__init__(*components)
        self.threshold = finite(threshold, "the threshold of a gate")

    def _plan(self, sample: Sample) -> Plan:
        parts: Parts = {}
        *stages, last = self.components
        for name in stages:
            parts |= yield (name,)
            verdict = parts[name]
            if not verdict.decided:
                return passed_on(name, parts)
            if not reaches(verdict.score, self.threshold):
                because = f": {verdict.evidence}" if verdict.evidence else ""
                return Verdict(0.0, parts, f"stopped at {name}, {verdict.score:g} of {self.threshold:g}{because}")
        parts |= yield (last,)
        return passed_on(last, parts)

    def _expression(self) -> str | None:
        if self.threshold != 1.0 or len(self.components) == 1:
            return None
        return " >> ".join(operand(component) for component in self.components.values())


def reaches(score: float, threshold: float) -> bool:
    """Whether a score is at least the threshold, but for rounding."""
    return score >= threshold - SLACK


def passed_on(name: str, parts: Parts) -> Verdict:
    """Returns the verdict of one part, decided or not, as the verdict of its composition."""
    part = parts[name]
    if not part.decided:
        return Verdict(part.score, parts, error=f"{name}: {part.error}", status=part.status)
    return Verdict(part.score, parts, f"{name}: {part.evidence}" if part.evidence else f"{name} scored {part.score:g}")
