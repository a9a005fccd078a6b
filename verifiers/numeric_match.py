"""Equality of numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from numbers import Integral, Rational, Real
from typing import Any, Literal, TypeAlias, get_args

from turnwise.verifiers.base import Verifier
from turnwise.verifiers.errors import InvalidInput
from turnwise.verifiers.numbers import Number, Percent, picked_number, whole_number
from turnwise.verifiers.text import quoted
from turnwise.verifiers.types import Sample, Verdict

Take: TypeAlias = Literal["whole", "first", "last"]


class NumericMatch(Verifier):
    """1 where the response's number equals the reference within a tolerance, else 0.

    A number g equals the reference r if |g - r| <= max(absolute, relative * |r|); without tolerances, if they are
    exactly equal, as fractions: 0.50, 1/2, 5e-1 and 50% are the same number, and 0.333 is not 1/3. Read are integers,
    decimals, thousands separated by commas or thin spaces, `1.5e-3`, `1.5 x 10^3`, `3/4`, percents, and Unicode's
    minus and digits; nothing is evaluated. A response without a number scores 0, and so does one whose number has
    more than 1000 digits, divides by 0, or is infinite or NaN.

    Units are not understood: "5 km" is not one number, and with `take="last"` it is 5, whatever the reference was
    meant in. Use `MathVerifier` where answers carry units or formulas.

    The reference is a number, text that is one number, or a list, tuple or set of accepted ones.

    Args:
        absolute: How far the number may be from the reference.
        relative: The same as a share of the reference.
        take: Whether the `whole` response must be one number, or its `first` or `last` number counts. The `last` number
            of "I am 90% sure that it is 7, not 8" is 8: better have the answer marked, and judge `Within` the mark.
        percent: Whether `50%` is the `fraction` 1/2 or the `number` 50, in the response and in the reference.
        decimal_comma: Whether `1.234,5` is meant where others write `1,234.5`.

    Raises:
        InvalidInput: A tolerance is negative or not finite, or an option is unknown. When judging: the reference is
            not a finite number.
    """

    def __init__(
        self,
        *,
        absolute: float = 0.0,
        relative: float = 0.0,
        take: Take = "whole",
        percent: Percent = "fraction",
        decimal_comma: bool = False,
    ) -> None:
        for label, tolerance in (("absolute", absolute), ("relative", relative)):
            if not 0 <= tolerance < math.inf:
                raise InvalidInput(f"{label}={tolerance!r}: a tolerance is a finite number of at least 0")
        for label, value, choices in (("take", take, get_args(Take)), ("percent", percent, get_args(Percent))):
            if value not in choices:
                raise InvalidInput(f"{label}={value!r}: choose one of {', '.join(choices)}")
        self.absolute, self.relative = absolute, relative
        self.take: Take = take
        self.percent: Percent = percent
        self.decimal_comma = decimal_comma

    def _verify(self, sample: Sample) -> Verdict:
        accepted = self._references(sample.reference)
        number, how = self._taken(sample.text)
        if number is None:
            return Verdict(0.0, evidence=f"{quoted(sample.text)} {how}")
        value = number.value
        if value is None:
            return Verdict(0.0, evidence=f"{quoted(number.text)} has too many digits, or divides by 0")
        for text, reference in accepted:
            if self._equal(value, reference):
                closely = "" if value == reference else " within tolerance"
                return Verdict(1.0, evidence=f"{how}{quoted(number.text)} equals {text}{closely}")
        others = accepted[0][0] if len(accepted) == 1 else f"any of {len(accepted)} references"
        return Verdict(0.0, evidence=f"{how}{quoted(number.text)} does not equal {others}")

    def _equal(self, given: Fraction, reference: Fraction) -> bool:
        return abs(given - reference) <= max(Fraction(self.absolute), Fraction(self.relative) * abs(reference))

    def _taken(self, text: str) -> tuple[Number | None, str]:
        """Returns the number that counts, and how it was found or why there is none."""
        if self.take == "whole":
            number = whole_number(text, self.decimal_comma, self.percent)
            return number, "is not one number" if number is None else ""
        number, count = picked_number(text, self.take, self.decimal_comma, self.percent)
        if number is None:
            return None, "holds no number"
        several = "the first number, " if self.take == "first" else f"the last of {count} numbers, "
        return number, several if count > 1 else ""

    def _references(self, reference: Any) -> list[tuple[str, Fraction]]:
        several = isinstance(reference, Iterable) and not isinstance(reference, str)
        accepted = [(quoted(str(value)), self._reference(value)) for value in (reference if several else [reference])]
        if not accepted:
            raise InvalidInput(f"reference={reference!r}: give at least one accepted number")
        return accepted

    def _reference(self, value: Any) -> Fraction:
        exact: Fraction | None = None
        if isinstance(value, str):
            number = whole_number(value, self.decimal_comma, self.percent)
            exact = None if number is None else number.value
        elif isinstance(value, Integral) and not isinstance(value, bool):
            exact = Fraction(int(value))
        elif isinstance(value, Rational) and not isinstance(value, bool):
            exact = Fraction(int(value.numerator), int(value.denominator))
        elif isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value):
            exact = Fraction(repr(float(value)))  # 0.1 means one tenth, not the binary fraction next to it
        if exact is None:
            raise InvalidInput(f"reference={value!r}: give a finite number, or text that is one number")
        return exact
