"""Numbers as people write them, read into exact fractions without evaluating anything."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Literal, TypeAlias

Percent: TypeAlias = Literal["fraction", "number"]

MOST_DIGITS = 1000
"""Digits, and powers of ten, beyond which a number is not read: exact arithmetic on it would cost too much."""

MINUS = "\u2212\ufe63\uff0d-"  # minus sign, small and full-width hyphen-minus; "-" last, for use inside brackets
SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹"
THIN_SPACES = "\u00a0\u2009\u202f"
# What makes a number part of something else when it stands beside it: letters, digits, other numerals, a root, pi.
NEIGHBOUR = r"[A-Za-z_\d⁰¹²³⁴-⁹₀-₉¼-¾⅐-⅞√π]"


@dataclass(frozen=True)
class Number:
    """A number found in a text.

    Attributes:
        text: How it is written.
        groups: What the groups of `number_pattern` caught.
        decimal_comma: Whether a comma separates its decimal places.
        percent: What a percent sign means.
    """

    text: str
    groups: tuple[str | None, ...]
    decimal_comma: bool
    percent: Percent

    @property
    def value(self) -> Fraction | None:
        """The exact value; None if the number has too many digits, or divides by 0."""
        sign, mantissa, e_power, caret_power, raised_power, denominator, percent_sign = self.groups
        power = exponent_of(e_power or caret_power or raised_power or "0")
        value = decimal_of(mantissa or "", self.decimal_comma)
        divisor = decimal_of(denominator or "1", self.decimal_comma)
        if value is None or divisor is None or power is None or divisor == 0:
            return None
        value = value * Fraction(10) ** power / divisor
        if percent_sign and self.percent == "fraction":
            value /= 100
        return -value if sign and sign in MINUS else value


@lru_cache(maxsize=2)
def number_pattern(decimal_comma: bool) -> re.Pattern[str]:
    """Returns the pattern of a number.

    Every repetition in it is possessive, so that a search takes time linear in the length of the text.
    """
    point, comma = (",", r"\.") if decimal_comma else (r"\.", ",")
    grouped = rf"\d{{1,3}}(?:[{comma}{THIN_SPACES}]\d{{3}})++"
    decimal = rf"(?>(?:{grouped}|\d++)(?:{point}\d*+)?+|{point}\d++)"
    power = rf"(?:\^|\*\*)\s*+\{{?+([+{MINUS}]?+\d++)\}}?+|([⁺⁻]?+[{SUPERSCRIPTS}]++)"
    exponent = rf"(?>[eE]([+{MINUS}]?+\d++)|\s*+(?:[x×*·⋅]|\\times)\s*+10\s*+(?:{power}))?+"
    return re.compile(
        rf"(?:(?<!{NEIGHBOUR})(?<![)\]}}])([+{MINUS}]))?+(?<!{NEIGHBOUR})(?<!\^)"
        rf"({decimal}){exponent}(?>\s*+[/\u2044]\s*+({decimal}))?+(\s*+%)?+(?!{NEIGHBOUR}|\s*+(?:\^|\*\*))"
    )


def picked_number(
    text: str, which: Literal["first", "last"], decimal_comma: bool = False, percent: Percent = "fraction"
) -> tuple[Number | None, int]:
    """Returns the first or last number in a text, and how many there are: all for the last, up to two for the first.

    Numbers are integers, decimals, `1,234.5`, `1.5e-3`, `1.5 x 10^3`, `3/4`, `12%`.

    Args:
        text: Any text, however long or strange.
        which: The number that is wanted.
        decimal_comma: Whether `1.234,5` is meant where others write `1,234.5`.
        percent: Whether `50%` is the `fraction` 1/2 or the `number` 50.
    """
    taken: re.Match[str] | None = None
    count = 0
    for match in number_pattern(decimal_comma).finditer(text):
        count += 1
        if which == "last" or taken is None:
            taken = match
        elif count == 2:
            break
    return None if taken is None else Number(taken.group(), taken.groups(), decimal_comma, percent), count


def whole_number(text: str, decimal_comma: bool = False, percent: Percent = "fraction") -> Number | None:
    """Returns the number that a text consists of, spaces around it aside, or None; see `picked_number`."""
    match = number_pattern(decimal_comma).fullmatch(text.strip())
    return None if match is None else Number(match.group(), match.groups(), decimal_comma, percent)


def decimal_of(text: str, decimal_comma: bool) -> Fraction | None:
    """Returns the value of a decimal number without sign or exponent, or None if it has too many digits."""
    if len(text) > 2 * MOST_DIGITS:
        return None
    point = "," if decimal_comma else "."
    whole, _, places = text.partition(point)
    digits = "".join(str(unicodedata.decimal(char)) for char in whole + places if char.isdecimal())
    if len(digits) > MOST_DIGITS:
        return None
    return Fraction(int(digits), 10 ** sum(char.isdecimal() for char in places))


def exponent_of(text: str) -> int | None:
    """Returns the value of a power of ten, also one in superscripts, or None if it is too large."""
    plain = unicodedata.normalize("NFKC", text) if len(text) <= MOST_DIGITS else ""
    for minus in MINUS:
        plain = plain.replace(minus, "-")
    digits = plain.lstrip("+-").lstrip("0") or "0"
    if not plain or len(digits) > 4 or int(digits) > MOST_DIGITS:
        return None
    return -int(digits) if plain.startswith("-") else int(digits)
