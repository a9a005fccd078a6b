"""Reading actions: tags in model text, in linear time whatever the text."""

from __future__ import annotations

import re

MALFORMED = "malformed action"
"""The feedback on a turn whose action could not be read."""


_NUMBER = re.compile(r"-?\d+")


def changed_numbers(text: str) -> list[str]:
    """Returns the text with its last number made slightly wrong in several ways; none if it has no number."""
    numbers = list(_NUMBER.finditer(text))
    if not numbers:
        return []
    last = numbers[-1]
    value = int(last.group())
    wrong = {value + 1, value - 1, -value, value * 10, int(str(abs(value))[::-1])} - {value}
    return [f"{text[: last.start()]}{number}{text[last.end() :]}" for number in sorted(wrong)]


def last_tag(text: str, *names: str) -> tuple[str, str] | None:
    """Returns name and content of the last complete tag `<name>content</name>` in `text`, or None.

    A tag is complete when its end follows its beginning; the innermost beginning counts. Several tags in one message
    are ambiguous, and the last one is what a model that corrects itself means.

    Args:
        text: What the agent wrote.
        names: The names of the tags to look for.
    """
    found: tuple[int, str, str] | None = None
    for name in names:
        end = text.rfind(f"</{name}>")
        begin = text.rfind(f"<{name}>", 0, end) if end >= 0 else -1
        if begin >= 0 and (found is None or end > found[0]):
            found = (end, name, text[begin + len(name) + 2 : end])
    return None if found is None else found[1:]
