"""How verdicts quote what was written, and what they do to it before they compare."""

from __future__ import annotations

import unicodedata
from typing import Literal, TypeAlias

UnicodeForm: TypeAlias = Literal["NFC", "NFKC"]

LONGEST_RUN = 30
"""Combining characters in a row that a normalised text may have: the limit of Unicode's stream-safe text format."""


def quoted(text: str, limit: int = 60) -> str:
    """Returns a text in quotation marks, cut to its first characters, with everything unprintable escaped.

    Args:
        text: The text.
        limit: How many characters are kept at most.
    """
    return repr(text) if len(text) <= limit else f"{text[:limit]!r}... ({len(text)} characters)"


def unicode_normalised(text: str, form: UnicodeForm) -> str:
    """Returns a text in a Unicode normalisation form; one with an absurd run of combining marks, as it is.

    Sorting such a run takes quadratic time: a megabyte of accents would keep `unicodedata.normalize` busy for an
    hour. No human text has more than a few in a row (Unicode Standard Annex #15 allows 30 in stream-safe text).
    """
    if text.isascii():
        return text
    run = 0
    for char in text:
        run = run + 1 if unicodedata.combining(char) else 0
        if run > LONGEST_RUN:
            return text
    return unicodedata.normalize(form, text)
