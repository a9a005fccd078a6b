"""What the operators of `Verifier` build. Sums, products, gates and extrema of the same kind are flattened.

`a + b + c` is one sum of three terms, whether written `(a + b) + c` or `a + (b + c)`; a composition that was `named`
stays whole, because its name is a key that somebody wants to see in `Verdict.parts`.

Every function raises `InvalidInput` for an operand that it cannot take.
"""

from __future__ import annotations

from numbers import Real
from typing import Any, TypeAlias

from turnwise.verifiers.base import Verifier
from turnwise.verifiers.compose.arithmetic import Product, WeightedSum
from turnwise.verifiers.compose.core import Composition
from turnwise.verifiers.compose.extrema import Maximum, Minimum
from turnwise.verifiers.compose.gate import Gate
from turnwise.verifiers.errors import InvalidInput

Operand: TypeAlias = Verifier | float


def add(left: Operand, right: Operand) -> Verifier:
    """`left + right`: a sum; one of the two may be a number."""
    (terms, constant), (more, shift) = sum_of(left), sum_of(right)
    return WeightedSum(terms + more, constant + shift)


def subtract(left: Operand, right: Operand) -> Verifier:
    """`left - right`: a sum; one of the two may be a number."""
    (terms, constant), (more, shift) = sum_of(left), sum_of(right)
    return WeightedSum(terms + [(-weight, term) for weight, term in more], constant - shift)


def multiply(left: Operand, right: Operand) -> Verifier:
    """`left * right`: a product; by a number, a weight, which a sum distributes over its terms.

    A weight inside a factor moves out: `2 * a * b` is `2 * (a * b)`.
    """
    if not isinstance(left, Verifier) or not isinstance(right, Verifier):
        weight, verifier = (right, left) if isinstance(left, Verifier) else (left, right)
        terms, constant = sum_of(verifier)
        weight = number(weight)
        return WeightedSum([(weight * own, term) for own, term in terms], weight * constant)
    (weight, first), (factor, second) = weight_of(left), weight_of(right)
    product = Product(*flattened(Product, first), *flattened(Product, second))
    return product if weight * factor == 1.0 else WeightedSum([(weight * factor, product)])


def divide(verifier: Verifier, divisor: float) -> Verifier:
    """`verifier / number`."""
    if number(divisor) == 0:
        raise InvalidInput(f"{verifier!r} cannot be divided by 0")
    return multiply(verifier, 1.0 / number(divisor))


def gate(left: Verifier, right: Any) -> Verifier:
    """`left >> right`: a gate."""
    return Gate(*stages(left), *stages(right))


def minimum(left: Verifier, right: Any) -> Verifier:
    """`left & right`: the least score."""
    return Minimum(*flattened(Minimum, left), *flattened(Minimum, right))


def maximum(left: Verifier, right: Any) -> Verifier:
    """`left | right`: the greatest score."""
    return Maximum(*flattened(Maximum, left), *flattened(Maximum, right))


def flattened(kind: type[Composition], verifier: Any) -> list[Verifier]:
    """Returns the components of an unnamed composition of that kind; else the verifier itself."""
    inside = type(verifier) is kind and verifier._name is None
    return list(verifier.components.values()) if inside else [verifier]


def stages(verifier: Any) -> list[Verifier]:
    """Returns the stages of a gate that the operator made; a gate with a threshold of its own stays whole."""
    whole = isinstance(verifier, Gate) and verifier.threshold != 1.0
    return [verifier] if whole else flattened(Gate, verifier)


def sum_of(operand: Operand) -> tuple[list[tuple[float, Verifier]], float]:
    """Returns terms and constant of an operand of a sum: a sum, another verifier, or a number."""
    if not isinstance(operand, Verifier):
        return [], number(operand)
    if isinstance(operand, WeightedSum) and operand._name is None:
        return operand.terms, operand.constant
    return [(1.0, operand)], 0.0


def weight_of(verifier: Verifier) -> tuple[float, Verifier]:
    """Returns weight and verifier of a factor: those of the only term, for a verifier that is merely scaled."""
    terms, constant = sum_of(verifier)
    return terms[0] if len(terms) == 1 and not constant else (1.0, verifier)


def number(value: Any) -> float:
    """Returns a weight or a constant: a real number, NumPy's scalars included, but not a bool.

    Raises:
        InvalidInput: It is something else.
    """
    if not isinstance(value, Real) or isinstance(value, bool):
        raise InvalidInput(
            f"{value!r} cannot be combined with a verifier; make a verifier of a function with @verifier"
        )
    return float(value)
