"""A reward for being right that depends on length along a cosine."""

from __future__ import annotations

import math

from turnwise.verifiers.base import Verifier
from turnwise.verifiers.compose.arithmetic import finite
from turnwise.verifiers.compose.core import Composition, Parts, decided_verdict
from turnwise.verifiers.compose.gate import reaches
from turnwise.verifiers.errors import InvalidInput
from turnwise.verifiers.length import Measure, checked_measure, length_of
from turnwise.verifiers.types import Sample, Verdict


class CosineLength(Composition):
    """Rewards short right answers above long ones, and long wrong ones above short ones: hard tasks get thought.

    A response of length L < `most` gets

        at_most + 1/2 * (at_zero - at_most) * (1 + cos(pi * L / most)),

    which falls (or rises) from its value at length 0 to its value at the limit: `correct` are these two values for
    responses that the verifier passes with score 1, `wrong` for the others. From the limit on, it is `exceeding`.
    Undecided where the verifier is.

    Source: Yeo et al., Demystifying Long Chain-of-Thought Reasoning in LLMs, arXiv 2502.03373 (the cosine reward). The
    paper's values are correct=(2, 1), wrong=(-10, 0), exceeding=-10; the defaults here stay in [-1, 1].

    Args:
        verifier: What decides whether a response is right.
        most: The limit, in the unit of the measure.
        correct: Rewards of right responses at length 0 and at the limit.
        wrong: Rewards of wrong responses at length 0 and at the limit.
        exceeding: The reward at the limit and beyond, right or wrong.
        measure: What counts as length; see `turnwise.verifiers.length`.
    """

    def __init__(
        self,
        verifier: Verifier,
        most: float,
        *,
        correct: tuple[float, float] = (1.0, 0.5),
        wrong: tuple[float, float] = (-1.0, -0.5),
        exceeding: float = -1.0,
        measure: Measure = "characters",
    ) -> None:
        super().__init__(verifier)
        if not 0 < most < math.inf:
            raise InvalidInput(f"most={most!r}: the limit is a finite number above 0")
        self.most = most
        self.correct = (finite(correct[0], "a reward"), finite(correct[1], "a reward"))
        self.wrong = (finite(wrong[0], "a reward"), finite(wrong[1], "a reward"))
        self.exceeding = finite(exceeding, "a reward")
        self.measure = checked_measure(measure)

    def _combine(self, parts: Parts, sample: Sample) -> Verdict:
        (part,) = parts.values()
        length, passes = length_of(sample, self.measure), reaches(part.score, 1.0)
        what = f"{'right' if passes else 'wrong'}, length {length:g} of {self.most:g}"
        if length >= self.most:
            return decided_verdict(self.exceeding, parts, what)
        at_zero, at_most = self.correct if passes else self.wrong
        score = at_most + 0.5 * (at_zero - at_most) * (1 + math.cos(math.pi * length / self.most))
        return decided_verdict(score, parts, what)
