"""JSON in what a model wrote: where it stands, and a strict reading of it that no input can exhaust."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any, Literal, NoReturn, TypeAlias

JSONPlace: TypeAlias = Literal["whole", "fenced", "last_object"]

DEEPEST = 64
"""Levels of nesting beyond which JSON is not read: parsers and validators recurse, and Python's stack is finite."""


class NotJSON(ValueError):
    """A text is not strict JSON; the message says why."""


def json_source(text: str, place: JSONPlace) -> str:
    """Returns the part of a text that is meant to be JSON.

    - `whole`: the text.
    - `fenced`: the content of the last Markdown code block that is marked `json` or not marked at all.
    - `last_object`: the last {...} in the text that is a JSON object and stands in no other {...}. Braces in the prose
      around it can hide it: one that is opened and never closed swallows what follows.

    Raises:
        NotJSON: There is no such part.
    """
    if place == "whole":
        return text
    if place == "fenced":
        return last_fenced(text)
    reason = "there is no {...} in it"
    for start, end in reversed(braced_spans(text)):
        try:
            read_json(text[start:end])
        except NotJSON as error:
            reason = f"the first {{...}} in it: {error}"
        else:
            return text[start:end]
    raise NotJSON(reason)


def last_fenced(text: str) -> str:
    """Returns the content of the last code block marked `json` or unmarked; see `json_source`."""
    found: str | None = None
    lines: list[str] | None = None  # of the block that is open
    counts = False
    for line in text.split("\n"):  # not splitlines: JSON strings may hold other line separators
        bare = line.strip()
        if lines is None and bare.startswith("```"):
            lines, counts = [], bare[3:].strip().lower() in ("", "json")
        elif lines is not None and bare == "```":
            found, lines = ("\n".join(lines) if counts else found), None
        elif lines is not None:
            lines.append(line)
    if found is None:
        raise NotJSON("there is no closed code block of JSON in it")
    return found


def braced_spans(text: str) -> list[tuple[int, int]]:
    """Returns start and end of every outermost {...}, minding JSON strings inside; in one pass over the text."""
    spans: list[tuple[int, int]] = []
    opened: list[int] = []
    quoted = escaped = False
    for position, char in enumerate(text):
        if quoted:
            if escaped or char == "\\":
                escaped = not escaped
            elif char == '"':
                quoted = False
        elif char == '"':
            quoted = bool(opened)  # quotation marks in the prose around objects mean nothing
        elif char == "{":
            opened.append(position)
        elif char == "}" and opened:
            start = opened.pop()
            while spans and spans[-1][0] > start:
                spans.pop()
            spans.append((start, position + 1))
    return spans


def read_json(text: str) -> Any:
    """Returns the value of strict JSON.

    Refused are duplicate keys, NaN and Infinity, numbers beyond a double, and nesting beyond `DEEPEST`.

    Raises:
        NotJSON: It is not strict JSON.
    """
    if depth_of(text) > DEEPEST:
        raise NotJSON(f"it is nested more than {DEEPEST} levels deep")
    try:
        return json.loads(
            text, object_pairs_hook=without_duplicates, parse_constant=refuse_constant, parse_float=finite_float
        )
    except NotJSON:
        raise
    except ValueError as error:  # also an integer of too many digits for Python's conversion
        raise NotJSON(f"it is not JSON: {error}") from error


def depth_of(text: str) -> int:
    """Returns how deep brackets nest outside of strings."""
    depth = deepest = 0
    for char in outside_strings(text):
        if char in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif char in "]}":
            depth -= 1
    return deepest


def outside_strings(text: str) -> Iterator[str]:
    """Yields the characters of JSON that stand in no string."""
    pieces = text.split('"')
    inside = False
    for piece in pieces:
        if not inside:
            yield from piece
            inside = True
        else:
            inside = (len(piece) - len(piece.rstrip("\\"))) % 2 == 1  # an escaped quotation mark does not end a string


def without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Returns an object, refusing duplicate keys: parsers disagree on which of them counts."""
    value: dict[str, Any] = {}
    for key, item in pairs:
        if key in value:
            raise NotJSON(f"the key {key[:60]!r} stands twice in one object")
        value[key] = item
    return value


def refuse_constant(name: str) -> NoReturn:
    """Refuses NaN and the infinities, which Python's parser reads though JSON has none."""
    raise NotJSON(f"{name} is not JSON")


def finite_float(text: str) -> float:
    """Returns a number, refusing those that a double can only hold as infinity."""
    value = float(text)
    if math.isinf(value):
        raise NotJSON(f"{text[:60]} is too large a number")
    return value


def size_of(value: Any) -> int:
    """Returns how many values a JSON value consists of, itself included."""
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(size_of(item) for item in items)
