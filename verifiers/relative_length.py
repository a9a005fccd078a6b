"""Rewards that prefer the shorter ones among the right answers to a prompt."""

from __future__ import annotations

import math
from collections.abc import Sequence

from turnwise.verifiers.base import Verifier
from turnwise.verifiers.compose.core import decided_verdict, undecided_verdict, unique_names
from turnwise.verifiers.compose.gate import reaches
from turnwise.verifiers.errors import InvalidInput
from turnwise.verifiers.length import Measure, checked_measure, length_of
from turnwise.verifiers.types import Sample, Verdict


class RightLengthReward(Verifier):
    """Rewards of a group that depend on which responses are right and how long those are. A subclass states `_weigh`.

    Right is what the verifier gives a score of 1; any other score stays as it is. An undecided response stays undecided
    and does not count among the group.

    Args:
        verifier: What decides whether a response is right.
        measure: What counts as length; see `turnwise.verifiers.length`.
    """

    def __init__(self, verifier: Verifier, measure: Measure) -> None:
        self.components = unique_names([verifier], type(self).__name__)
        self.measure = checked_measure(measure)

    @property
    def verifier(self) -> Verifier:
        """What decides whether a response is right."""
        return next(iter(self.components.values()))

    def _weigh(self, lengths: Sequence[float], accuracy: float) -> list[float]:
        """Returns the rewards of the right responses of a group; there is at least one.

        Args:
            lengths: Their lengths.
            accuracy: Their share of the decided responses of the group.
        """
        raise NotImplementedError(f"{type(self).__name__} must override _weigh")

    def _verify_group(self, samples: Sequence[Sample]) -> list[Verdict]:
        return self._rewarded(samples, self.verifier.verify_group(samples))

    async def _averify_group(self, samples: Sequence[Sample]) -> list[Verdict]:
        return self._rewarded(samples, await self.verifier.averify_group(samples))

    def _rewarded(self, samples: Sequence[Sample], verdicts: Sequence[Verdict]) -> list[Verdict]:
        (name,) = self.components
        right = {
            index: length_of(sample, self.measure)
            for index, (sample, verdict) in enumerate(zip(samples, verdicts, strict=True))
            if verdict.decided and reaches(verdict.score, 1.0)
        }
        decided = sum(verdict.decided for verdict in verdicts)
        rewards = self._weigh(list(right.values()), len(right) / decided) if right else []
        rewarded = [
            undecided_verdict({name: verdict}) or Verdict(verdict.score, {name: verdict}, verdict.evidence)
            for verdict in verdicts
        ]
        for (index, length), reward in zip(right.items(), rewards, strict=True):
            evidence = f"right, with length {length:g}; {len(right)} of {decided} are right"
            rewarded[index] = decided_verdict(reward, {name: verdicts[index]}, evidence)
        return rewarded


class LengthPenalty(RightLengthReward):
    """Right answers pay for being longer than the other right answers to the prompt, as long as most answers are right.

    A right response of length L gets 1 - strength * sigmoid((L - mean) / std), with mean and standard deviation over
    the right responses of its group; where all are equally long, 1 - strength / 2. Where less than `least_accuracy`
    of the group is right, length does not count and right responses keep their score: pressing a model for brevity
    while it still struggles is what makes its accuracy collapse.

    Judge groups with it. A response by itself has nothing to be compared with and is as long as the mean.

    Sources: Arora and Zanette, Training Language Models to Reason Efficiently, arXiv 2502.04463 (the penalty); Dai et
    al., Stable Reinforcement Learning for Efficient Reasoning (GRPO-lambda), arXiv 2505.18086 (switching by the
    group's correctness ratio; the paper penalises the share lambda of a batch's groups with the highest ratio, while
    a verifier sees one group, so that here a fixed ratio decides).

    Args:
        verifier: What decides whether a response is right.
        strength: The most that length can cost, below 1 so that a right response stays above a wrong one.
        least_accuracy: The share of right responses from which length counts.
        measure: What counts as length; see `turnwise.verifiers.length`.

    Raises:
        InvalidInput: `strength` is not in [0, 1), or `least_accuracy` not in [0, 1].
    """

    def __init__(
        self,
        verifier: Verifier,
        strength: float = 0.2,
        *,
        least_accuracy: float = 0.5,
        measure: Measure = "characters",
    ) -> None:
        super().__init__(verifier, measure)
        if not 0 <= strength < 1:
            raise InvalidInput(f"strength={strength!r}: give a number from 0 to below 1")
        if not 0 <= least_accuracy <= 1:
            raise InvalidInput(f"least_accuracy={least_accuracy!r}: a share lies in [0, 1]")
        self.strength, self.least_accuracy = strength, least_accuracy

    def _weigh(self, lengths: Sequence[float], accuracy: float) -> list[float]:
        if accuracy < self.least_accuracy:
            return [1.0] * len(lengths)
        mean = math.fsum(lengths) / len(lengths)
        std = math.sqrt(math.fsum((length - mean) * (length - mean) for length in lengths) / len(lengths))
        scaled = [(length - mean) / std if std > 0 else 0.0 for length in lengths]
        return [1.0 - self.strength / (1.0 + math.exp(-z)) for z in scaled]


class DecoupledLength(RightLengthReward):
    """Right answers share their rewards by length among themselves; wrong ones do not enter.

    A right response of length L gets its weight w = exp((1 - L / most) / temperature) divided by the mean weight of
    the right responses of its group: 1 on average, more for the shorter ones, and never negative, so that a long
    right answer is not taught to be wrong, as it is when a length penalty pushes it below the mean of a whole group.

    Judge groups with it; a response by itself keeps its score.

    Source: Li et al., DRPO: Efficient Reasoning via Decoupled Reward Policy Optimization, arXiv 2510.04474 (the
    weights of the right responses; the paper's discriminative objective is a matter of the estimator and the loss,
    not of the reward).

    Args:
        verifier: What decides whether a response is right.
        most: The length at which the length reward 1 - L / most is 0, such as the limit of generation.
        temperature: The paper's lambda: the smaller, the more the shortest take; the larger, the less length counts.
        measure: What counts as length; see `turnwise.verifiers.length`.

    Raises:
        InvalidInput: `most` or `temperature` is not a finite number above 0.
    """

    def __init__(
        self, verifier: Verifier, most: float, temperature: float = 1.0, *, measure: Measure = "characters"
    ) -> None:
        super().__init__(verifier, measure)
        for label, value in (("most", most), ("temperature", temperature)):
            if not 0 < value < math.inf:
                raise InvalidInput(f"{label}={value!r}: give a finite number above 0")
        self.most, self.temperature = most, temperature

    def _weigh(self, lengths: Sequence[float], accuracy: float) -> list[float]:
        shortest = min(lengths)  # a common factor cancels; this one keeps the exponents from overflowing
        weights = [math.exp((shortest - length) / (self.most * self.temperature)) for length in lengths]
        mean = math.fsum(weights) / len(weights)
        return [weight / mean for weight in weights]
