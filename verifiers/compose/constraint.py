"""Constraints on a component's mean score, enforced by a Lagrange multiplier."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from turnwise.verifiers.base import Verifier
from turnwise.verifiers.compose.arithmetic import finite
from turnwise.verifiers.compose.core import Composition, Parts, decided_verdict
from turnwise.verifiers.errors import InvalidInput
from turnwise.verifiers.types import Sample, Verdict


class Constraint(Composition):
    """`main + Constraint(a, at_least=0.8)`: keeps the mean score of `a` within a bound while `main` is maximised.

    The score is the Lagrangian's term, multiplier * (r - at_least) or multiplier * (at_most - r). After each training
    step the trainer calls `update` with the component's scores of that step; by dual ascent the multiplier grows
    while the constraint is violated and shrinks, never below 0, while it holds:

        multiplier <- max(0, multiplier - rate * (mean(r) - at_least)).

    So a component that is useful up to a point stops paying beyond it, and one that must not suffer gains weight
    until it no longer does. Undecided where the component is; undecided scores do not enter the update.

    The one composition with a state that changes: the multiplier. `update` belongs into one thread, between the
    steps; judging only reads. A copy, in another process for instance, has a multiplier of its own: send it
    `state_dict()`.

    Source: Moskovitz et al., Confronting Reward Model Overoptimization with Constrained RLHF, arXiv 2310.04373 (the
    inequality constraints of mu-PPO). The paper further squashes multipliers by a sigmoid and searches the bounds;
    this does neither.

    Args:
        verifier: The component whose mean is constrained.
        at_least: The mean that must be reached; give this or `at_most`.
        at_most: The mean that must not be exceeded.
        multiplier: The multiplier to begin with.
        rate: The step size of the dual ascent.

    Raises:
        InvalidInput: Not exactly one bound, a negative multiplier, or a rate that is not positive.
    """

    def __init__(
        self,
        verifier: Verifier,
        *,
        at_least: float | None = None,
        at_most: float | None = None,
        multiplier: float = 0.0,
        rate: float = 0.01,
    ) -> None:
        super().__init__(verifier)
        if (at_least is None) == (at_most is None):
            raise InvalidInput(
                f"at_least={at_least!r}, at_most={at_most!r}: a constraint has exactly one of the two bounds"
            )
        if rate <= 0:
            raise InvalidInput(f"rate={rate!r}: the dual ascent needs a positive step size")
        self.at_least = None if at_least is None else finite(at_least, "a bound")
        self.at_most = None if at_most is None else finite(at_most, "a bound")
        self.rate = finite(rate, "the rate of a constraint")
        self.multiplier = 0.0
        self.load_state_dict({"multiplier": multiplier})

    def slack(self, score: float) -> float:
        """Returns how far a score is on the right side of the bound; negative where it violates it."""
        return score - self.at_least if self.at_least is not None else (self.at_most or 0.0) - score

    def update(self, scores: Iterable[float]) -> float:
        """Takes one step of dual ascent and returns the new multiplier.

        Args:
            scores: The component's scores in the last training step, as in its verdicts; NaN (undecided) is left out,
                and the multiplier stays where nothing remains.
        """
        decided = [score for score in scores if not math.isnan(score)]
        if decided:
            self.multiplier = max(0.0, self.multiplier - self.rate * self.slack(math.fsum(decided) / len(decided)))
        return self.multiplier

    def state_dict(self) -> dict[str, float]:
        """Returns what a checkpoint must keep."""
        return {"multiplier": self.multiplier}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Restores what `state_dict` returned.

        Raises:
            InvalidInput: The multiplier is negative or not finite.
        """
        multiplier = finite(state["multiplier"], "the multiplier of a constraint")
        if multiplier < 0:
            raise InvalidInput(f"multiplier={multiplier!r}: a multiplier is at least 0")
        self.multiplier = multiplier

    def _combine(self, parts: Parts, sample: Sample) -> Verdict:
        (name, part), *_ = parts.items()
        score = self.multiplier * self.slack(part.score)
        bound = f"at least {self.at_least:g}" if self.at_least is not None else f"at most {self.at_most:g}"
        return decided_verdict(
            score, parts, f"{self.multiplier:g} * slack of {name} ({part.score:g}, {bound}) = {score:g}"
        )
