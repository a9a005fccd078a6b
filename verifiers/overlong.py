"""A penalty for responses that come close to a limit of length."""

from __future__ import annotations

from turnwise.verifiers.base import Verifier
from turnwise.verifiers.errors import InvalidInput
from turnwise.verifiers.length import Measure, checked_measure, length_of
from turnwise.verifiers.types import Sample, Verdict


class Overlong(Verifier):
    """DAPO's soft punishment, from 0 for a response of fair length down to -1 for one at the limit or beyond.

    For a length L, a limit `most` and a buffer before it:

        0                             where L <= most - buffer,
        (most - buffer - L) / buffer  where most - buffer < L <= most,
        -1                            where L > most.

    It is a penalty to be added, `answer + Overlong(4096, 512)`, and says nothing of what was written.

    Source: Yu et al., DAPO: An Open-Source LLM Reinforcement Learning System at Scale, arXiv 2503.14476, equation 13.

    Args:
        most: The limit, in the unit of the measure.
        buffer: How far before the limit the punishment begins.
        measure: What counts as length; see `turnwise.verifiers.length`.

    Raises:
        InvalidInput: The buffer is not positive, or larger than the limit.
    """

    def __init__(self, most: float, buffer: float, measure: Measure = "characters") -> None:
        if not 0 < buffer <= most:
            raise InvalidInput(f"most={most!r}, buffer={buffer!r}: the buffer is positive and at most the limit")
        self.most, self.buffer = most, buffer
        self.measure = checked_measure(measure)

    def _verify(self, sample: Sample) -> Verdict:
        length = length_of(sample, self.measure)
        score = max(-1.0, min(0.0, (self.most - self.buffer - length) / self.buffer))
        return Verdict(
            score, evidence=f"length {length:g}; punished from {self.most - self.buffer:g}, limit {self.most:g}"
        )
