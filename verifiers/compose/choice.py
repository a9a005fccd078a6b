"""Compositions that ask one verifier after another until one decides."""

from __future__ import annotations

from turnwise.verifiers.compose.core import Composition, Parts, Plan
from turnwise.verifiers.compose.gate import passed_on
from turnwise.verifiers.types import Sample, Verdict


class Fallback(Composition):
    """`Fallback(a, b, ...)`: the first verifier that decides; the next is asked after any error or abstention.

    For verifiers that may break: a judge behind a network, then a rule. Undecided only if all are. In a group, the next
    verifier judges only the samples that are still open.

    Args:
        components: The verifiers, in the order in which they are asked.
    """

    _goes_on_after: tuple[str, ...] = ("error", "timeout", "abstain")

    def _plan(self, sample: Sample) -> Plan:
        parts: Parts = {}
        for name in self.components:
            parts |= yield (name,)
            if parts[name].status not in self._goes_on_after:
                return after_refusals(name, parts)
        reasons = "; ".join(f"{name}: {part.error}" for name, part in parts.items())
        return Verdict(parts[name].score, parts, error=reasons, status=parts[name].status)


class Cascade(Fallback):
    """`Cascade(cheap, dear, ...)`: like `Fallback`, but the next verifier is asked only after an abstention.

    For verifiers that know what they cannot judge: rules, then algebra, then a judge. An error or a timeout is a
    fault to be seen, not a reason to pay for the dear verifier: it makes the cascade undecided.

    Args:
        components: The verifiers, cheapest first.
    """

    _goes_on_after = ("abstain",)


def after_refusals(name: str, parts: Parts) -> Verdict:
    """Returns the verdict of one part, saying in its evidence why the ones before it did not decide."""
    verdict = passed_on(name, parts)
    if not verdict.decided or len(parts) == 1:
        return verdict
    refusals = "; ".join(f"{other} did not decide ({part.error})" for other, part in parts.items() if other != name)
    return Verdict(verdict.score, parts, f"{verdict.evidence}; {refusals}")
