"""Dates."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple, TypeAlias

from turnwise.verifiers.base import Verifier
from turnwise.verifiers.errors import Abstain, InvalidInput
from turnwise.verifiers.text import quoted
from turnwise.verifiers.types import Sample, Verdict

NumericOrder: TypeAlias = Literal["day_first", "month_first"]

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
MONTH = (
    r"(?P<name>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\.?"
)
WEEKDAY = r"(?:(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?\.?,?\s+)?"
DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
YEAR = r"(?P<year>\d{4})"
FORMS = [
    re.compile(rf"{WEEKDAY}{form}", re.IGNORECASE | re.ASCII)
    for form in (
        rf"{YEAR}",
        rf"{YEAR}[-/.](?P<month>\d{{1,2}})",
        rf"{YEAR}(?P<mark>[-/.])(?P<month>\d{{1,2}})(?P=mark)(?P<day>\d{{1,2}})",
        rf"{YEAR}\s?年\s?(?P<month>\d{{1,2}})\s?月(?:\s?(?P<day>\d{{1,2}})\s?[日号])?",
        rf"(?:the )?{DAY}(?: of)?[\s-]{MONTH},?[\s-]{YEAR}",
        rf"{MONTH}\s(?:the )?{DAY},?\s{YEAR}",
        rf"{MONTH},?\s{YEAR}",
        rf"(?P<first>\d{{1,2}})(?P<mark>[-/.])(?P<second>\d{{1,2}})(?P=mark){YEAR}",
    )
]


class PartialDate(NamedTuple):
    """A day, a month or a year."""

    year: int
    month: int | None = None
    day: int | None = None


class DateMatch(Verifier):
    """1 where the response is a date that agrees with the reference as far as the reference goes; else 0.

    The whole response must be the date, apart from "on" before it, a weekday (which is not checked) and a full stop.
    Read are `2024-03-05` (also with / or .), `5 March 2024`, `March 5th, 2024`, `2024年3月5日`, `March 2024`, `2024`,
    and `5/3/2024`. Years have four digits; times are not read. The reference `2024-03` accepts the month alone and
    every day in it.

    `5/3/2024` is the fifth of March or the third of May: without `numeric_order` the verifier abstains where both are
    possible.

    The reference is a `datetime.date`, text that is a date, or a list, tuple or set of accepted ones.

    Args:
        numeric_order: What comes first in a date of three numbers that ends with the year.

    Raises:
        InvalidInput: The order is unknown. When judging: the reference is not a date, or ambiguous.
    """

    def __init__(self, numeric_order: NumericOrder | None = None) -> None:
        if numeric_order not in (None, "day_first", "month_first"):
            raise InvalidInput(f"numeric_order={numeric_order!r}: choose 'day_first', 'month_first' or None")
        self.numeric_order: NumericOrder | None = numeric_order

    def _verify(self, sample: Sample) -> Verdict:
        several = isinstance(sample.reference, Iterable) and not isinstance(sample.reference, str)
        accepted = [self._reference(value) for value in (sample.reference if several else [sample.reference])]
        if not accepted:
            raise InvalidInput(f"reference={sample.reference!r}: give at least one accepted date")
        given = self.read(sample.text)
        if given is None:
            return Verdict(0.0, evidence=f"{quoted(sample.text)} is not a date")
        for reference in accepted:
            if all(wanted is None or wanted == part for part, wanted in zip(given, reference, strict=True)):
                return Verdict(1.0, evidence=f"{written(given)} agrees with {written(reference)}")
        others = written(accepted[0]) if len(accepted) == 1 else f"any of {len(accepted)} references"
        return Verdict(0.0, evidence=f"{written(given)} does not agree with {others}")

    def read(self, text: str) -> PartialDate | None:
        """Returns the date that a text is, or None.

        Raises:
            Abstain: It may be two different dates.
        """
        bare = " ".join(text[:100].split()).removeprefix("on ").removesuffix(".") if len(text) <= 100 else ""
        for form in FORMS:
            match = form.fullmatch(bare)
            if match is not None:
                return self._date_of(match.groupdict(), bare)
        return None

    def _date_of(self, fields: dict[str, str | None], text: str) -> PartialDate | None:
        year = int(fields["year"] or 0)
        first, second = fields.get("first"), fields.get("second")
        if first is not None and second is not None:
            return self._numeric(year, int(first), int(second), text)
        name, month, day = fields.get("name"), fields.get("month"), fields.get("day")
        number = MONTHS.index(name[:3].lower()) + 1 if name else int(month) if month else None
        return existing(PartialDate(year, number, int(day) if day else None))

    def _numeric(self, year: int, first: int, second: int, text: str) -> PartialDate | None:
        day_first, month_first = existing(PartialDate(year, second, first)), existing(PartialDate(year, first, second))
        if self.numeric_order is not None:
            return day_first if self.numeric_order == "day_first" else month_first
        if day_first is not None and month_first is not None and day_first != month_first:
            raise Abstain(f"{text!r} may be {written(day_first)} or {written(month_first)}")
        return day_first or month_first

    def _reference(self, value: Any) -> PartialDate:
        if isinstance(value, datetime.date):
            return PartialDate(value.year, value.month, value.day)
        try:
            date = self.read(value) if isinstance(value, str) else None
        except Abstain as error:
            raise InvalidInput(f"reference={value!r} is ambiguous: write it as 2024-03-05") from error
        if date is None:
            raise InvalidInput(f"reference={value!r}: give a datetime.date, or text that is a date")
        return date


def existing(date: PartialDate) -> PartialDate | None:
    """Returns a date if the calendar has it, else None."""
    try:
        datetime.date(date.year, date.month or 1, date.day or 1)
    except ValueError:
        return None
    return date


def written(date: PartialDate) -> str:
    """Returns a date as ISO 8601 writes it."""
    return "-".join(f"{part:02}" for part in date if part is not None)
