"""How little a response repeats itself."""

from __future__ import annotations

from collections import Counter
from typing import Literal, TypeAlias, get_args

from turnwise.verifiers.base import Verifier
from turnwise.verifiers.errors import InvalidInput
from turnwise.verifiers.text import quoted
from turnwise.verifiers.types import Sample, Verdict

Unit: TypeAlias = Literal["word", "character"]


class Repetition(Verifier):
    """The share of the response's n-grams that are distinct: 1 where nothing repeats, towards 0 for a loop.

    As a penalty, `answer + 0.1 * (Repetition() - 1)`; as a condition, `Threshold(Repetition(), 0.5) >> answer`. A
    response shorter than n units repeats nothing and scores 1. Distinct words say nothing of their sense, and long
    texts repeat some n-grams by necessity: choose n large (20 in the paper's experiments with tokens) where responses
    are long.

    Sources: the distinct-n of Li et al., A Diversity-Promoting Objective Function for Neural Conversation Models,
    arXiv 1510.03055; as a penalty against length hacking in Yeo et al., arXiv 2502.03373.

    Args:
        n: How many units in a row are compared.
        unit: Words between whitespace, in lower case; or characters, for writing without spaces.

    Raises:
        InvalidInput: `n` is below 1, or the unit is unknown.
    """

    def __init__(self, n: int = 4, unit: Unit = "word") -> None:
        if n < 1:
            raise InvalidInput(f"n={n!r}: compare at least one unit")
        if unit not in get_args(Unit):
            raise InvalidInput(f"unit={unit!r}: choose one of {', '.join(get_args(Unit))}")
        self.n = n
        self.unit: Unit = unit

    def _verify(self, sample: Sample) -> Verdict:
        units = sample.text.lower().split() if self.unit == "word" else list(sample.text.lower())
        grams = Counter(zip(*(units[start:] for start in range(self.n)), strict=False))
        total = grams.total()
        if total == 0:
            return Verdict(1.0, evidence=f"too short to repeat {self.n} {self.unit}s")
        (most, times), *_ = grams.most_common(1)
        repeated = quoted((" " if self.unit == "word" else "").join(most))
        example = f", {repeated} {times} times" if times > 1 else ""
        return Verdict(len(grams) / total, evidence=f"{len(grams)} of {total} {self.n}-grams are distinct{example}")
