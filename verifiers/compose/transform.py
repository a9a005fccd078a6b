"""Transformations of unbounded rewards around a reference score."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

from turnwise.verifiers.base import Verifier
from turnwise.verifiers.compose.arithmetic import finite
from turnwise.verifiers.compose.core import Composition, Parts, decided_verdict
from turnwise.verifiers.errors import InvalidInput
from turnwise.verifiers.types import Sample, Verdict

Kind: TypeAlias = Literal["log_sigmoid", "centred_sigmoid"]

Reference: TypeAlias = float | Sequence[float] | Callable[[Sample], float | Sequence[float]]
"""Scores of reference answers: one, several, or a function that gives them for a sample's prompt."""


class Transform(Composition):
    """`Transform(a, "centred_sigmoid", reference=0.4)`: squashes a score around what a reference answer scores.

    - `log_sigmoid`: log sigmoid(r - r_ref), at most 0. Improving a bad answer pays more than improving a good one,
      and a sum of transformed rewards behaves as a conjunction: it is high only if every reward is. Wang et al.,
      Transforming and Combining Rewards for Aligning Large Language Models, arXiv 2402.00742 (there,
      r_ref is a quantile of the rewards that the initial policy gets for the prompt).
    - `centred_sigmoid`: the mean over reference answers m of sigmoid(r - r_ref^m), in (0, 1): the chance that the
      answer is preferred. Fu et al., Reward Shaping to Mitigate Reward Hacking in RLHF (PAR), arXiv 2502.18770.

    Undecided where the component is.

    Args:
        verifier: What is transformed, usually an unbounded reward model.
        kind: Which transformation.
        reference: The score of the reference answer, or of several (`centred_sigmoid` only), or a function of the
            sample that gives them. A function defined at the top level of a module keeps the composition picklable.

    Raises:
        InvalidInput: The kind is unknown, or there is no reference score, or too many, or one is not finite.
    """

    def __init__(self, verifier: Verifier, kind: Kind, reference: Reference = 0.0) -> None:
        super().__init__(verifier)
        if kind not in ("log_sigmoid", "centred_sigmoid"):
            raise InvalidInput(f"kind={kind!r}: a transformation is 'log_sigmoid' or 'centred_sigmoid'")
        self.kind: Kind = kind
        self.reference = reference
        if not callable(reference):
            self._checked(reference)

    def _combine(self, parts: Parts, sample: Sample) -> Verdict:
        (name, part), *_ = parts.items()
        references = self._checked(self.reference(sample) if callable(self.reference) else self.reference)
        written = ", ".join(f"{reference:g}" for reference in references)
        if self.kind == "log_sigmoid":
            score = log_sigmoid(part.score - references[0])
            return decided_verdict(score, parts, f"log sigmoid({name} ({part.score:g}) - {written}) = {score:g}")
        score = math.fsum(math.exp(log_sigmoid(part.score - reference)) for reference in references) / len(references)
        return decided_verdict(score, parts, f"{name} ({part.score:g}) is preferred to {written} with chance {score:g}")

    def _checked(self, reference: float | Sequence[float]) -> list[float]:
        references = list(reference) if isinstance(reference, Sequence) else [reference]
        if not references or (self.kind == "log_sigmoid" and len(references) > 1):
            wanted = "one reference score" if self.kind == "log_sigmoid" else "at least one reference score"
            raise InvalidInput(f"reference={reference!r}: {self.kind} takes {wanted}")
        return [finite(score, "a reference score") for score in references]


def log_sigmoid(x: float) -> float:
    """Returns log(1 / (1 + exp(-x))) without overflow."""
    return -math.log1p(math.exp(-x)) if x >= 0 else x - math.log1p(math.exp(x))
