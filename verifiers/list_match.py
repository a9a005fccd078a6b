"""Lists and sets of answers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from turnwise.verifiers.base import Verifier
from turnwise.verifiers.compose.gate import reaches
from turnwise.verifiers.errors import InvalidInput
from turnwise.verifiers.exact_match import ExactMatch
from turnwise.verifiers.json_text import NotJSON, read_json
from turnwise.verifiers.text import quoted
from turnwise.verifiers.types import Sample, Verdict

SEPARATORS = re.compile(r"[,;\n]\s*+(?:and\s++)?+|\s++and\s++")
BULLET = re.compile(r"(?:[-*\u2022]|\d{1,3}[.)])\s++")
MOST_ITEMS = 200
"""Items of a response beyond which it is not compared: every item may have to be judged against every reference."""


class ListMatch(Verifier):
    """1 where the items of the response are those of the reference, each matched once; else 0, or their F1 score.

    The response is a JSON array, or items between commas, semicolons, line breaks or the word "and" (or one separator
    that you name), in brackets or not, with bullets or numbers before them or not. Each item is judged by `item`
    against each of the reference's; the matching is the largest one, so that an item near two references never takes
    the wrong one. With `ordered`, matches must come in the reference's order. Items that match nothing, duplicates
    included, cost precision: to list more than was asked for never pays.

    `parts` holds `precision` and `recall`. The reference is a list, tuple or set, or text that is read like a response.
    Items that hold commas or the word "and" need another separator. More than 200 items are not compared and score 0.
    Where the verifier of the items cannot decide about a pair, the verdict is undecided.

    Args:
        item: What judges one item; a score of 1 is a match.
        ordered: Whether order counts.
        partial: Whether the score is the F1 of the items (within the order, where it counts) instead of 1 or 0.
        separator: The text between items; None for the ones above.

    Raises:
        InvalidInput: The separator is empty. When judging: the reference has no items, or more than 200.
    """

    def __init__(
        self,
        item: Verifier | None = None,
        *,
        ordered: bool = False,
        partial: bool = False,
        separator: str | None = None,
    ) -> None:
        if separator == "":
            raise InvalidInput("separator='': give the text that stands between items")
        self.item = ExactMatch(ignore_case=True, whitespace="collapse") if item is None else item
        self.ordered, self.partial, self.separator = ordered, partial, separator

    def items_of(self, text: str) -> list[str]:
        """Returns the items of a text."""
        text = text.strip()
        if self.separator is None and text.startswith("["):
            try:
                value = read_json(text)
            except NotJSON:
                value = None
            if isinstance(value, list):
                return [item if isinstance(item, str) else str(item) for item in value]
        if text[:1] + text[-1:] in ("[]", "()", "{}"):
            text = text[1:-1]
        pieces = SEPARATORS.split(text) if self.separator is None else text.split(self.separator)
        items = (piece.strip() for piece in pieces)
        return [BULLET.sub("", item, count=1) if BULLET.match(item) else item for item in items if item]

    def _verify(self, sample: Sample) -> Verdict:
        wanted = self._references(sample.reference)
        given = self.items_of(sample.text)
        if len(given) > MOST_ITEMS:
            return Verdict(0.0, evidence=f"more than {MOST_ITEMS} items: {quoted(sample.text)}")
        matches: list[list[bool]] = []
        for item in given:
            verdicts = [self.item.verify(replace(sample, response=item, reference=reference)) for reference in wanted]
            undecided = next((verdict for verdict in verdicts if not verdict.decided), None)
            if undecided is not None:
                return replace(undecided, error=f"item {quoted(item)}: {undecided.error}")
            matches.append([reaches(verdict.score, 1.0) for verdict in verdicts])
        found = longest_common(matches) if self.ordered else largest_matching(matches)
        return self._verdict(found, len(given), len(wanted))

    def _verdict(self, found: int, given: int, wanted: int) -> Verdict:
        precision, recall = found / given if given else 0.0, found / wanted
        f1 = 2 * found / (given + wanted)
        parts = {"precision": Verdict(precision), "recall": Verdict(recall)}
        order = " in order" if self.ordered else ""
        evidence = f"{found} of {wanted} items found{order} among {given}"
        return Verdict(f1 if self.partial else float(found == given == wanted), parts, evidence)

    def _references(self, reference: Any) -> list[Any]:
        if isinstance(reference, str):
            wanted: list[Any] = list(self.items_of(reference))
        else:
            wanted = list(reference) if isinstance(reference, Iterable) else []
        if not 0 < len(wanted) <= MOST_ITEMS:
            raise InvalidInput(f"reference={reference!r}: give a list of 1 to {MOST_ITEMS} items")
        return wanted


def largest_matching(matches: list[list[bool]]) -> int:
    """Returns the size of a largest matching of rows to columns, by augmenting paths (Kuhn's algorithm)."""
    row_of: dict[int, int] = {}

    def place(row: int, tried: set[int]) -> bool:
        for column, fits in enumerate(matches[row]):
            if fits and column not in tried:
                tried.add(column)
                if column not in row_of or place(row_of[column], tried):
                    row_of[column] = row
                    return True
        return False

    return sum(place(row, set()) for row in range(len(matches)))


def longest_common(matches: list[list[bool]]) -> int:
    """Returns the length of the longest common subsequence of rows and columns."""
    width = len(matches[0]) if matches else 0
    best = [0] * (width + 1)
    for row in matches:
        above, best = best, [0] * (width + 1)
        for column, fits in enumerate(row, start=1):
            best[column] = above[column - 1] + 1 if fits else max(above[column], best[column - 1])
    return best[width]
