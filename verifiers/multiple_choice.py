"""Multiple choice: which letter a response chooses."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

from turnwise.verifiers.base import Verifier
from turnwise.verifiers.errors import InvalidInput
from turnwise.verifiers.text import quoted
from turnwise.verifiers.types import Sample, Verdict

Reading: TypeAlias = Literal["whole", "stated"]

# Every repetition is possessive: a search takes time linear in the length of the text.
OPEN, CLOSE = r"[\s*_$({\[\"']*+", r"[\s*_$)}\]\"'.:]*+"
NAMED = r"(?:(?:the|my)\s++)?+(?:(?:final|correct|best|right)\s++)?+(?:answer|choice|option)"
BOXED = r"\\boxed\s*+\{\s*+(?:\\(?:text|mathrm|textbf)\s*+\{)?+"
ALONE = r"(?![A-Za-z0-9])"


class MultipleChoice(Verifier):
    r"""1 where the response chooses the reference's letter, else 0.

    With `reading="whole"` the response is the choice and nothing else: a letter in either case, dressed in any way that
    models dress it (`B`, `(b)`, `**B.**`, `\boxed{B}`, `Answer: B`), which may be followed by the text of that
    option. With `reading="stated"` the last statement of a longer response counts: `the answer is B`, `Answer: (B)`,
    `\boxed{B}`, or a last line that is a choice by itself. There, letters without brackets must be capitals, since
    "the answer is a triangle" chooses nothing, and a statement that names several letters ("A or B") is none.

    The options' texts, where there are any, come as `sample.state["choices"]`, in the order of the letters; the text of
    an option then counts as its letter, where it is the whole choice.

    Args:
        letters: The letters that may be chosen, in order.
        reading: Whether the `whole` response must be a choice, or the last one `stated` in it counts.

    Raises:
        InvalidInput: The letters are not different single letters, or the reading is unknown. When judging: the
            reference is none of the letters, or there are more choices than letters.
    """

    def __init__(self, letters: str = "ABCDEFGHIJ", reading: Reading = "whole") -> None:
        if not letters.isascii() or not letters.isalpha() or len(set(letters.upper())) < len(letters):
            raise InvalidInput(f"letters={letters!r}: give different letters, such as 'ABCD'")
        if reading not in get_args(Reading):
            raise InvalidInput(f"reading={reading!r}: choose one of {', '.join(get_args(Reading))}")
        self.letters = letters.upper()
        self.reading: Reading = reading
        letter = f"([{self.letters}])"
        named = rf"(?:{NAMED}\s*+(?:is\b)?+\s*+[:=]?+{OPEN})?+"
        whole = rf"{OPEN}{named}(?:{BOXED}{OPEN})?+{letter}{ALONE}{CLOSE}(.*)"
        self._whole = re.compile(whole, re.A | re.I | re.S)
        said = rf"{NAMED}\s*+(?:is\b\s*+:?+|[:=])\s*+(?:option|choice)?+({OPEN}){letter}{ALONE}({CLOSE})"
        boxed = rf"{BOXED}{OPEN}{letter}\s*+[.)]*+\s*+\}}"
        self._stated = re.compile(f"{said}|{boxed}", re.A | re.I)
        self._another = re.compile(rf"(?:,|/|&|\bor\b|\band\b){OPEN}{letter}{ALONE}", re.A | re.I)

    def _verify(self, sample: Sample) -> Verdict:
        wanted = str(sample.reference).strip().upper()
        choices = list(sample.state.get("choices", ()))
        if len(wanted) != 1 or wanted not in self.letters:
            raise InvalidInput(f"reference={sample.reference!r}: give one of the letters {self.letters}")
        if len(choices) > len(self.letters) or not all(isinstance(choice, str) for choice in choices):
            raise InvalidInput(f"choices={choices!r}: give at most {len(self.letters)} texts, one for each letter")
        chosen = self.chosen_in(sample.text, choices)
        if chosen is None:
            return Verdict(0.0, evidence=f"{quoted(sample.text)} chooses none of {self.letters}")
        verb = "is" if chosen == wanted else "is not"
        return Verdict(float(chosen == wanted), evidence=f"chose {chosen}, which {verb} the answer")

    def chosen_in(self, text: str, choices: Sequence[str] = ()) -> str | None:
        """Returns the letter that a response chooses, or None.

        Args:
            text: The response.
            choices: The texts of the options, in the order of the letters.
        """
        if self.reading == "whole":
            return self._whole_choice(text, choices)
        last_line = self._whole_choice(text.rstrip().rpartition("\n")[2], choices)
        if last_line is not None:
            return last_line
        statements = [self._statement(match, text) for match in self._stated.finditer(text)]
        return statements[-1] if statements else None

    def _whole_choice(self, text: str, choices: Sequence[str]) -> str | None:
        named = [letter for letter, choice in zip(self.letters, choices, strict=False) if same(text, choice)]
        if len(named) == 1:
            return named[0]
        match = self._whole.fullmatch(text)
        if match is None:
            return None
        letter, rest = match[1].upper(), match[2]
        index = self.letters.index(letter)
        return letter if not rest or (index < len(choices) and same(rest, choices[index])) else None

    def _statement(self, match: re.Match[str], text: str) -> str | None:
        """Returns the letter that a statement chooses; None for one that is ambiguous or only looks like a choice."""
        opening, letter, closing, boxed = match.groups()
        if boxed is not None:
            return boxed.upper()
        bare = not set(opening) & set("([{*$\"'")
        # "The answer is A triangle" and "The answer is I think 5" choose nothing.
        article = letter in "AI" and closing.isspace() and text[match.end() : match.end() + 1].isalpha()
        if self._another.match(text, match.end()) or (bare and (letter.islower() or article)):
            return None
        return letter.upper()


def same(given: str, choice: str) -> bool:
    """Whether a response is the text of an option, but for case, whitespace and a full stop."""
    return " ".join(given.split()).rstrip(".").casefold() == " ".join(choice.split()).rstrip(".").casefold()
