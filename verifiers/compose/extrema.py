"""The least and the greatest of several verifiers."""

from __future__ import annotations

from turnwise.verifiers.compose.core import Composition, Parts, decided_verdict, operand, scored
from turnwise.verifiers.types import Sample, Verdict


class Minimum(Composition):
    """`a & b`: the least score. For scores of 0 and 1: all must pass.

    Undecided if any component is, even where another one scored 0: a reward is never guessed. Where the cheap check
    should spare the dear one, write `cheap >> dear`.
    """

    def _combine(self, parts: Parts, sample: Sample) -> Verdict:
        name = min(parts, key=lambda name: parts[name].score)
        return extremum(name, "least", parts)

    def _expression(self) -> str:
        return " & ".join(operand(component) for component in self.components.values())


class Maximum(Composition):
    """`a | b`: the greatest score. For scores of 0 and 1: one pass is enough.

    Undecided if any component is; where the second should only be asked when the first cannot decide, use `Fallback`.
    """

    def _combine(self, parts: Parts, sample: Sample) -> Verdict:
        name = max(parts, key=lambda name: parts[name].score)
        return extremum(name, "greatest", parts)

    def _expression(self) -> str:
        return " | ".join(operand(component) for component in self.components.values())


def extremum(name: str, which: str, parts: Parts) -> Verdict:
    """Returns the verdict that takes the score of one part, the first of that score."""
    others = ", ".join(scored(other, part) for other, part in parts.items())
    because = f": {parts[name].evidence}" if parts[name].evidence else ""
    return decided_verdict(parts[name].score, parts, f"{name} is the {which} of {others}{because}")
