"""Weights that change while training goes on."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from turnwise.verifiers.base import Verifier
from turnwise.verifiers.compose.core import Composition, Parts, decided_verdict, scored
from turnwise.verifiers.errors import InvalidInput, VerifierError
from turnwise.verifiers.types import Sample, Verdict


class Schedule(Composition):
    """`Schedule(a, weight)`: the score of `a` times weight(step), for shaping that fades in or out.

    The training step is part of the sample, `sample.state["step"]`, so that a verdict depends on nothing but its
    sample: saved episodes score the same again, in any process and any order. `step` stands in for samples that carry
    none. Undecided where the component is, and where no step is known.

    Args:
        verifier: What is weighted.
        weight: The weight at a step, such as a `LinearRamp`; a function defined at the top level of a module, or an
            instance of a class, keeps the composition picklable.
        step: The step of samples whose state has none.
    """

    def __init__(self, verifier: Verifier, weight: Callable[[int], float], step: int | None = None) -> None:
        super().__init__(verifier)
        if not callable(weight):
            raise InvalidInput(f"weight={weight!r}: a schedule needs a function of the step; for a constant, multiply")
        self.weight = weight
        self.step = step

    def _combine(self, parts: Parts, sample: Sample) -> Verdict:
        (name, part), *_ = parts.items()
        step = sample.state.get("step", self.step)
        if step is None:
            raise VerifierError('the schedule does not know the step: put it into the sample, state={"step": 100}')
        weight = float(self.weight(step))
        score = weight * part.score
        return decided_verdict(score, parts, f"weight {weight:g} at step {step} * {scored(name, part)} = {score:g}")


@dataclass(frozen=True)
class LinearRamp:
    """A weight that goes from one value to another in equal steps and then stays.

    Args:
        first: The weight at step `begin` and before.
        last: The weight at step `end` and after.
        end: The step at which `last` is reached.
        begin: The step at which the ramp begins.

    Raises:
        InvalidInput: The end is not after the beginning, or a weight is not finite.
    """

    first: float
    last: float
    end: int
    begin: int = 0

    def __post_init__(self) -> None:
        if self.end <= self.begin:
            raise InvalidInput(f"a ramp must end after it begins, not at step {self.end} of {self.begin}")
        if not (math.isfinite(self.first) and math.isfinite(self.last)):
            raise InvalidInput(f"the weights of a ramp must be finite, not {self.first!r} and {self.last!r}")

    def __call__(self, step: int) -> float:
        """Returns the weight at a step."""
        share = min(max((step - self.begin) / (self.end - self.begin), 0.0), 1.0)
        return (1.0 - share) * self.first + share * self.last
