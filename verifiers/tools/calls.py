"""A tool call as data, and the reading of one from the mappings in which the public formats write it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from turnwise.verifiers.json_text import DEEPEST, NotJSON, read_json
from turnwise.verifiers.text import quoted

ARGUMENT_KEYS = ("arguments", "parameters", "input")
"""OpenAI, Hermes and Mistral; Llama 3; Anthropic."""

CALL_KEYS = frozenset({"name", "id", "call_id", "type", "index", *ARGUMENT_KEYS})
"""What a bare JSON object may hold and still be a call: the definition of a tool has further keys."""


class NotACall(ValueError):
    """Something written as a tool call is none; the message says why."""


@dataclass(frozen=True)
class ToolCall:
    """One call.

    Attributes:
        name: The tool.
        arguments: JSON values by name.
    """

    name: str
    arguments: Mapping[str, Any]

    def __str__(self) -> str:
        """Returns `name(a=1, b='x')`, each value cut short."""
        return f"{self.name[:60]}({', '.join(f'{key[:60]}={shown(value)}' for key, value in self.arguments.items())})"


@dataclass(frozen=True)
class MalformedCall:
    """What was meant as a call, and why it is none.

    Attributes:
        text: As it was written.
        reason: What is wrong with it.
    """

    text: str
    reason: str

    def __str__(self) -> str:
        """Returns the text, cut short, and the reason."""
        return f"{quoted(self.text)} is not a call: {self.reason}"


def shown(value: Any) -> str:
    """Returns a value for a person, cut short."""
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}..."


def call_of(value: Any) -> ToolCall | MalformedCall:
    """Returns the call that a mapping of any of the public formats describes.

    Read are `{"name", "arguments"}` with an object or its JSON as text, `parameters` or `input` in its place, and all
    of that inside `{"function": ...}`.
    """
    try:
        return strict_call(value)
    except NotACall as error:
        return MalformedCall(shown(value), str(error))


def strict_call(value: Any) -> ToolCall:
    """`call_of`, raising `NotACall`."""
    if isinstance(value, Mapping) and isinstance(value.get("function"), Mapping):
        value = value["function"]
    if not isinstance(value, Mapping):
        raise NotACall("a call is an object")
    name = value.get("name")
    if not isinstance(name, str) or not name:
        raise NotACall("it names no tool")
    written = [key for key in ARGUMENT_KEYS if key in value]
    if len(written) > 1:
        raise NotACall(f"it has both {written[0]!r} and {written[1]!r}")
    return ToolCall(name, arguments_of(value[written[0]]) if written else {})


def arguments_of(value: Any) -> dict[str, Any]:
    """Returns the arguments of a call: an object, its JSON as text, or None or empty text where there are none.

    Raises:
        NotACall: They are no object, or no JSON.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return {}
    if isinstance(value, str):
        try:
            value = read_json(value)
        except NotJSON as error:
            raise NotACall(f"its arguments: {error}") from error
    if not isinstance(value, Mapping):
        raise NotACall("its arguments are not an object")
    arguments: dict[str, Any] = json_value(value)
    return arguments


def json_value(value: Any, depth: int = 0) -> Any:
    """Returns a copy of a Python value as JSON has it: tuples are lists, and nothing is without meaning.

    Raises:
        NotACall: It is nested too deeply (or within itself), or holds NaN, an infinity or what JSON does not have.
    """
    if depth > DEEPEST:
        raise NotACall(f"it is nested more than {DEEPEST} levels deep")
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise NotACall("a key of an object is not text")
        return {key: json_value(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(item, depth + 1) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise NotACall(f"{value} is not a JSON number")
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise NotACall(f"{type(value).__name__} is not a type of JSON")
