"""Ensembles: several verifiers of the same thing, combined with more or less caution."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

from turnwise.verifiers.base import Verifier
from turnwise.verifiers.compose.arithmetic import finite
from turnwise.verifiers.compose.core import Composition, Parts, decided_verdict, scored
from turnwise.verifiers.errors import InvalidInput
from turnwise.verifiers.types import Sample, Verdict

How: TypeAlias = Literal["mean", "worst", "uncertainty"]


class Ensemble(Composition):
    """`Ensemble(a, b, c, how="worst")`: k verifiers of the same thing, so that exploiting one of them pays less.

    - `mean`: mu = 1/k * sum_i r_i. Not cautious: one member that overrates raises it.
    - `worst`: min_i r_i ("worst-case optimisation").
    - `uncertainty`: mu - penalty * 1/k * sum_i (r_i - mu)^2: disagreement costs ("uncertainty-weighted optimisation").

    Undecided if any member is: the mean of those that answered would be another reward.

    Source: Coste et al., Reward Model Ensembles Help Mitigate Overoptimization, arXiv 2310.02743.

    Args:
        components: The members.
        how: How the members' scores are combined.
        penalty: The paper's lambda, what a unit of variance costs; used by `uncertainty` only.
    """

    def __init__(self, *components: Verifier, how: How = "mean", penalty: float = 1.0) -> None:
        super().__init__(*components)
        if how not in ("mean", "worst", "uncertainty"):
            raise InvalidInput(f"how={how!r}: an ensemble combines by 'mean', 'worst' or 'uncertainty'")
        if penalty < 0:
            raise InvalidInput(f"penalty={penalty!r}: disagreement cannot be rewarded; give a number of at least 0")
        self.how: How = how
        self.penalty = finite(penalty, "the penalty of an ensemble")

    def _combine(self, parts: Parts, sample: Sample) -> Verdict:
        scores = [part.score for part in parts.values()]
        if not all(map(math.isfinite, scores)):
            return decided_verdict(math.nan, parts, "")
        mean = math.fsum(scores) / len(scores)
        variance = math.fsum((score - mean) * (score - mean) for score in scores) / len(scores)
        members = ", ".join(scored(name, part) for name, part in parts.items())
        if self.how == "mean":
            return decided_verdict(mean, parts, f"mean of {members}")
        if self.how == "worst":
            return decided_verdict(min(scores), parts, f"worst of {members}")
        score = mean - self.penalty * variance
        return decided_verdict(score, parts, f"mean {mean:g} - {self.penalty:g} * variance {variance:g} of {members}")
