"""Equality of texts."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Any, Literal, TypeAlias, get_args

from turnwise.verifiers.base import Verifier
from turnwise.verifiers.errors import InvalidInput
from turnwise.verifiers.text import UnicodeForm, quoted, unicode_normalised
from turnwise.verifiers.types import Sample, Verdict

Whitespace: TypeAlias = Literal["keep", "strip", "collapse"]


class ExactMatch(Verifier):
    """1 where the response equals the reference, or one of several references, after normalisation; else 0.

    The reference is a text, or a list, tuple or set of accepted texts. Nothing is extracted: the whole response
    counts. To judge the answer inside a longer response, put it behind an extraction: `Within("answer", ExactMatch())`.

    Args:
        ignore_case: Whether letters count as equal whatever their case (Unicode case folding: "STRASSE" equals
            "straße").
        whitespace: `keep` it; `strip` it at both ends; or `collapse` every run of it inside into one space as well.
        unicode: `NFC` makes equal what looks equal (an accent that is a character of its own, or not). `NFKC` also
            drops distinctions of form: full-width letters, ligatures, and superscripts, so that "x²" equals "x2".
        ignore_punctuation: Whether punctuation (Unicode category P) is left out, so that "e-mail" equals "email" and
            "-5" equals "5".

    Raises:
        InvalidInput: An option is unknown. When judging: the reference is not text, or nothing of it remains after
            normalisation (an empty answer would match).
    """

    def __init__(
        self,
        *,
        ignore_case: bool = False,
        whitespace: Whitespace = "strip",
        unicode: UnicodeForm = "NFC",
        ignore_punctuation: bool = False,
    ) -> None:
        if whitespace not in get_args(Whitespace):
            raise InvalidInput(f"whitespace={whitespace!r}: choose one of {', '.join(get_args(Whitespace))}")
        if unicode not in get_args(UnicodeForm):
            raise InvalidInput(f"unicode={unicode!r}: choose one of {', '.join(get_args(UnicodeForm))}")
        self.ignore_case = ignore_case
        self.whitespace: Whitespace = whitespace
        self.unicode: UnicodeForm = unicode
        self.ignore_punctuation = ignore_punctuation

    def normalised(self, text: str) -> str:
        """Returns a text without the differences that do not count."""
        text = unicode_normalised(text, self.unicode)
        if self.ignore_case:
            text = unicode_normalised(text.casefold(), self.unicode)
        if self.ignore_punctuation:
            text = "".join(char for char in text if not unicodedata.category(char).startswith("P"))
        if self.whitespace == "collapse":
            return " ".join(text.split())
        return text.strip() if self.whitespace == "strip" else text

    def _verify(self, sample: Sample) -> Verdict:
        accepted = [(reference, self.normalised(reference)) for reference in text_references(sample.reference)]
        for reference, normalised in accepted:
            if not normalised:
                raise InvalidInput(
                    f"reference {reference!r} is empty after normalisation: an empty answer would match it"
                )
        given = self.normalised(sample.text)
        for reference, normalised in accepted:
            if given == normalised:
                return Verdict(1.0, evidence=f"{quoted(sample.text)} equals {quoted(reference)}")
        others = quoted(accepted[0][0]) if len(accepted) == 1 else f"any of {len(accepted)} references"
        return Verdict(0.0, evidence=f"{quoted(sample.text)} does not equal {others}")


def text_references(reference: Any) -> list[str]:
    """Returns the accepted answers: one text, or those of a list, tuple or set.

    Raises:
        InvalidInput: There is none, or one is not text.
    """
    accepted = list(reference) if isinstance(reference, Iterable) and not isinstance(reference, str) else [reference]
    if not accepted or not all(isinstance(text, str) for text in accepted):
        raise InvalidInput(f"reference={reference!r}: give the accepted answer as text, or a list of accepted texts")
    return accepted
