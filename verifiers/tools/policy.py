"""What counts as the same argument: conventions, stated instead of hidden."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import get_args

from turnwise.verifiers.errors import InvalidInput
from turnwise.verifiers.exact_match import Whitespace


@dataclass(frozen=True)
class ToolPolicy:
    """How calls and their arguments are compared. The default forgives only what JSON Schema itself does.

    Attributes:
        ordered: Whether the calls must stand in the order of the reference (they depend on each other) or may stand in
            any (parallel calls).
        ignore_case: Whether letters in string values are equal whatever their case. Names always count exactly.
        whitespace: `keep` it in string values, `strip` it at both ends, or `collapse` every run into one space as well.
        absolute: How far a number may be from the reference.
        relative: The same as a share of the reference; a number g equals r if |g - r| <= max(absolute, relative |r|).
        integral_floats: Whether 5.0 is the integer 5, as JSON Schema says. Otherwise a number with a fraction part
            written out is never equal to an integer.

    Raises:
        InvalidInput: A tolerance is negative or not finite, or `whitespace` is unknown.
    """

    ordered: bool = False
    ignore_case: bool = False
    whitespace: Whitespace = "keep"
    absolute: float = 0.0
    relative: float = 0.0
    integral_floats: bool = True

    def __post_init__(self) -> None:
        for label, tolerance in (("absolute", self.absolute), ("relative", self.relative)):
            if not 0 <= tolerance < math.inf:
                raise InvalidInput(f"{label}={tolerance!r}: a tolerance is a finite number of at least 0")
        if self.whitespace not in get_args(Whitespace):
            raise InvalidInput(f"whitespace={self.whitespace!r}: choose one of {', '.join(get_args(Whitespace))}")

    def same_text(self, given: str, reference: str) -> bool:
        """Whether two strings count as equal."""
        return given == reference or self._normalised(given) == self._normalised(reference)

    def same_number(self, given: int | float, reference: int | float) -> bool:
        """Whether two numbers (no booleans) count as equal."""
        if not self.integral_floats and isinstance(given, int) != isinstance(reference, int):
            return False
        if given == reference:
            return True
        if not self.absolute and not self.relative:
            return False
        try:
            return abs(given - reference) <= max(self.absolute, self.relative * abs(reference))
        except OverflowError:  # an integer beyond every double
            return False

    def _normalised(self, text: str) -> str:
        if self.ignore_case:
            text = text.casefold()
        if self.whitespace == "collapse":
            return " ".join(text.split())
        return text.strip() if self.whitespace == "strip" else text
