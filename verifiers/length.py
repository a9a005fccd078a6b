"""How long a response is, as the rewards that look at length measure it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, TypeAlias

from turnwise.verifiers.errors import InvalidInput
from turnwise.verifiers.types import Sample

Measure: TypeAlias = Literal["characters", "words"] | Callable[[Sample], float]
"""`characters`, `words` (between whitespace), or a function of the sample, such as one that counts tokens."""


def checked_measure(measure: Measure) -> Measure:
    """Returns a measure.

    Raises:
        InvalidInput: It is none.
    """
    if measure not in ("characters", "words") and not callable(measure):
        raise InvalidInput(f"measure={measure!r}: choose 'characters' or 'words', or give a function of the sample")
    return measure


def length_of(sample: Sample, measure: Measure) -> float:
    """Returns the length of a response.

    Raises:
        InvalidInput: The function that measures it returned something else than a finite number of at least 0.
    """
    if measure == "characters":
        return len(sample.text)
    if measure == "words":
        return len(sample.text.split())
    length = measure(sample)
    if not isinstance(length, int | float) or not 0 <= length < math.inf:
        raise InvalidInput(f"{measure!r} measured {length!r}: a length is a finite number of at least 0")
    return length
