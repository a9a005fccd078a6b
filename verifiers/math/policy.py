"""What is convention, and how much work a verdict may cost. Both are frozen, so that verifiers can share them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from turnwise.verifiers.errors import Abstain, InvalidInput


@dataclass(frozen=True)
class Budget:
    """Limits on work, counted and not timed: the verdict on an input never depends on the load of the machine."""

    characters: int = 10_000
    """Longest answer (after extraction) that is parsed."""
    tokens: int = 2_000
    """Most tokens of one answer."""
    depth: int = 60
    """Deepest nesting of one answer (redundant parentheses are not counted)."""
    digits: int = 4_000
    """Longest number, as written or as an exact intermediate result."""
    items: int = 400
    """Most elements of one collection."""
    steps: int = 40_000
    """Evaluation steps of one verdict (one step: one node at one point)."""
    seconds: float = 0.3
    """Processor time of one sympy call in the worker process (not wall-clock: load does not change verdicts)."""


@dataclass(frozen=True)
class MathPolicy:
    """Which answers count as the same where mathematics alone does not say; docs/math-verifier.md has the table."""

    extraction: Literal["strict", "lenient"] = "lenient"
    """strict: only marked answers (boxes, tags, phrases) or bare ones; lenient: also the end of prose."""
    units: Literal["optional", "required"] = "optional"
    """optional: a unit that only one side states is ignored (5 cm = 5); two stated units are always compared."""
    percent: Literal["either", "exact"] = "either"
    """either: 50% equals both 0.5 and 50; exact: 50% equals 0.5 only."""
    angles: Literal["convert", "distinct"] = "convert"
    """convert: 30 degrees equals pi/6; distinct: it does not."""
    lists: Literal["unordered", "ordered"] = "unordered"
    """Whether the order of a list without brackets counts ("1, 2" against "2, 1"); that of tuples always does."""
    vectors: Literal["any", "exact"] = "any"
    """any: a column or row vector equals the tuple of its entries; exact: it does not."""
    decimals: Literal["exact", "reference"] = "exact"
    """exact: 0.333 is not 1/3; reference: a decimal reference accepts every value that rounds to it."""
    log_base: Literal["either", "10", "e"] = "either"
    """The base of `log` without one; either: 10 or e, whichever makes the answers equal."""
    number_words: bool = True
    """Whether "five" equals 5."""
    integration_constant: Literal["required", "optional"] = "required"
    """optional: "+ C" at the end of one side is ignored."""
    ratios: Literal["fraction", "distinct"] = "fraction"
    """fraction: 3:4 equals 3/4; distinct: it only equals ratios."""
    budget: Budget = field(default_factory=Budget)
    """Limits on work."""

    def __post_init__(self) -> None:
        allowed = {
            "extraction": ("strict", "lenient"),
            "units": ("optional", "required"),
            "percent": ("either", "exact"),
            "angles": ("convert", "distinct"),
            "lists": ("unordered", "ordered"),
            "vectors": ("any", "exact"),
            "decimals": ("exact", "reference"),
            "log_base": ("either", "10", "e"),
            "integration_constant": ("required", "optional"),
            "ratios": ("fraction", "distinct"),
        }
        for name, values in allowed.items():
            if getattr(self, name) not in values:
                raise InvalidInput(f"{name}={getattr(self, name)!r} is not one of {', '.join(map(repr, values))}")


class OverBudget(Abstain):
    """An input would cost more work than the budget allows."""


class Unparsed(Exception):
    """The text is not mathematics in this grammar."""


class Work:
    """Counts evaluation steps of one verdict; never shared between verdicts."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.steps = 0

    def spend(self, steps: int = 1) -> None:
        """Counts steps.

        Raises:
            OverBudget: The verdict has cost more than `Budget.steps`.
        """
        self.steps += steps
        if self.steps > self.budget.steps:
            raise OverBudget(f"over the budget of {self.budget.steps} evaluation steps")
