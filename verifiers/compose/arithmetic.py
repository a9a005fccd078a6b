"""Weighted sums and products of verifiers."""

from __future__ import annotations

import math
from collections.abc import Sequence

from turnwise.verifiers.base import Verifier
from turnwise.verifiers.compose.core import (
    Composition,
    Parts,
    Plan,
    decided_verdict,
    operand,
    scored,
    undecided_verdict,
)
from turnwise.verifiers.errors import InvalidInput
from turnwise.verifiers.types import Sample, Verdict


class WeightedSum(Composition):
    """`0.2 * a + 0.8 * b + 1`: the score is the sum of weight times score, plus a constant.

    `parts` holds the components' own scores, before weighting. A component of weight 0 is watched, not counted: its
    verdict stands in `parts`, and the sum is decided even where it is not.

    Args:
        terms: Weight and verifier of each term.
        constant: What is added to the sum.

    Raises:
        InvalidInput: There is no term, or a weight or the constant is not a finite number.
    """

    def __init__(self, terms: Sequence[tuple[float, Verifier]], constant: float = 0.0) -> None:
        super().__init__(*(verifier for _, verifier in terms))
        self.weights = {
            name: finite(weight, "a weight") for name, (weight, _) in zip(self.components, terms, strict=True)
        }
        self.constant = finite(constant, "the constant of a sum")

    @property
    def name(self) -> str:
        """The name of the only component, for a component that is merely scaled; else `weighted_sum` unless `named`."""
        return self.verifier.name if self._name is None and len(self.components) == 1 else super().name

    @property
    def terms(self) -> list[tuple[float, Verifier]]:
        """Weight and verifier of each term."""
        return list(zip(self.weights.values(), self.components.values(), strict=True))

    def _plan(self, sample: Sample) -> Plan:
        parts = yield tuple(self.components)
        watched = [name for name, weight in self.weights.items() if weight == 0.0]
        undecided = undecided_verdict(parts, unheeded=watched)
        if undecided is not None:
            return undecided
        products = [self.weights[name] * part.score for name, part in parts.items() if name not in watched]
        score = math.fsum([*products, self.constant]) if all(map(math.isfinite, products)) else math.nan
        return decided_verdict(score, parts, f"{self._with_scores(parts)} = {score:g}")

    def _with_scores(self, parts: Parts) -> str:
        written = [(weight, scored(name, parts[name])) for name, weight in self.weights.items()]
        return sum_text(written, self.constant)

    def _expression(self) -> str:
        return sum_text(
            [
                (weight, repr(verifier) if weight == 1 and isinstance(verifier, Product) else operand(verifier))
                for weight, verifier in self.terms
            ],
            self.constant,
        )


class Product(Composition):
    """`a * b`: the score is the product of the scores, so that a penalty in [0, 1] acts as a factor.

    A factor of 0 does not hide an undecided factor: the product is then undecided.
    """

    def _combine(self, parts: Parts, sample: Sample) -> Verdict:
        score = math.prod(part.score for part in parts.values())
        written = " * ".join(scored(name, part) for name, part in parts.items())
        return decided_verdict(score, parts, f"{written} = {score:g}")

    def _expression(self) -> str:
        return " * ".join(operand(component) for component in self.components.values())


def finite(value: float, what: str) -> float:
    """Returns the value as a float.

    Raises:
        InvalidInput: It is NaN or infinite.
    """
    if not math.isfinite(value):
        raise InvalidInput(f"{what} must be a finite number, not {value!r}")
    return float(value)


def number_text(value: float) -> str:
    """Returns a number as one writes it in an expression: `2`, not `2.0`."""
    return repr(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def sum_text(terms: Sequence[tuple[float, str]], constant: float) -> str:
    """Returns a weighted sum as it is written, `0.2 * a - b + 1`; the constant first if the first weight is below 0."""
    text = number_text(constant) if constant and terms[0][0] < 0 else ""
    for weight, name in terms:
        size = name if abs(weight) == 1 else f"{number_text(abs(weight))} * {name}"
        if text:
            text += f" - {size}" if weight < 0 else f" + {size}"
        else:
            text = size if weight >= 0 else f"-{size}"
    if constant and terms[0][0] >= 0:
        text += f" {'-' if constant < 0 else '+'} {number_text(abs(constant))}"
    return text
