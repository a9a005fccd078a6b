"""What the reference says a call must be, and how far a call is it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from turnwise.verifiers.errors import InvalidInput
from turnwise.verifiers.tools.calls import NotACall, ToolCall, json_value
from turnwise.verifiers.tools.policy import ToolPolicy
from turnwise.verifiers.tools.schemas import item_schema, property_schema

LEFT_OUT = ""
"""Among the accepted values of BFCL's form: the argument may be left out."""

MISSING: Any = object()


@dataclass(frozen=True)
class Expected:
    """One call of the reference.

    Attributes:
        name: The tool.
        arguments: The accepted values of each argument.
        schema: The JSON Schema of the tool's parameters, {} when unknown; defaults are taken from it.
        choices: Whether objects inside the values hold accepted values in their turn (BFCL's possible answers).
    """

    name: str
    arguments: Mapping[str, Sequence[Any]]
    schema: Mapping[str, Any]
    choices: bool

    def optional(self, name: str) -> bool:
        """Whether an argument may be left out."""
        return self.choices and LEFT_OUT in self.arguments[name]

    def matched(self, call: ToolCall, policy: ToolPolicy) -> Match:
        """Returns how far a call of the same name is this one."""
        absent = {name for name in self.arguments if name not in call.arguments}
        free = {name for name in absent if self.optional(name)}
        extra = [name for name, value in call.arguments.items() if not self._superfluous(name, value, policy)]
        defaults = {name: property_schema(self.schema, name).get("default", MISSING) for name in absent - free}
        given = set(self.arguments) - absent | free | {name for name, value in defaults.items() if value is not MISSING}
        right = len(free)
        for name in given - free:
            value = call.arguments.get(name, defaults.get(name, MISSING))
            right += self._accepts(name, value, policy)
        return Match(len(given), len(self.arguments) + len(extra), right, len(self.arguments), tuple(extra))

    def wrong(self, call: ToolCall, policy: ToolPolicy) -> list[str]:
        """Returns the arguments given whose value is not accepted."""
        shared = [name for name in self.arguments if name in call.arguments]
        return [name for name in shared if not self._accepts(name, call.arguments[name], policy)]

    def missing(self, call: ToolCall, policy: ToolPolicy) -> list[str]:
        """Returns the arguments left out that may not be, and whose default is not accepted."""
        absent = [name for name in self.arguments if name not in call.arguments and not self.optional(name)]
        defaults = {name: property_schema(self.schema, name).get("default", MISSING) for name in absent}
        return [name for name, value in defaults.items() if value is MISSING or not self._accepts(name, value, policy)]

    def _superfluous(self, name: str, value: Any, policy: ToolPolicy) -> bool:
        """Whether giving this argument says nothing: the reference has it, or it is the schema's default."""
        if name in self.arguments:
            return True
        default = property_schema(self.schema, name).get("default", MISSING)
        return default is not MISSING and same(default, value, policy)

    def _accepts(self, name: str, value: Any, policy: ToolPolicy) -> bool:
        return accepted(self.arguments[name], value, property_schema(self.schema, name), policy, self.choices)


@dataclass(frozen=True)
class Match:
    """How far a call is the expected one: ToolRL's counts of parameters for one pair (arXiv 2504.13958, section 3.3).

    Attributes:
        shared: Names of parameters that both have.
        union: Names of parameters that either has.
        right: Parameters of the reference whose value is right.
        wanted: Parameters of the reference.
        extra: Parameters that the reference does not have.
    """

    shared: int
    union: int
    right: int
    wanted: int
    extra: tuple[str, ...]

    @property
    def names(self) -> float:
        """Overlap of the parameter names, |shared| / |union|; 1 where there are none."""
        return self.shared / self.union if self.union else 1.0

    @property
    def full(self) -> bool:
        """Whether nothing is missing, wrong or too much."""
        return self.shared == self.union and self.right == self.wanted


def accepted(values: Sequence[Any], value: Any, schema: Mapping[str, Any], policy: ToolPolicy, choices: bool) -> bool:
    """Whether a value is one of the accepted ones."""
    if not choices:
        return any(matches(pattern, value, schema, policy, choices) for pattern in values)
    if LEFT_OUT in values:
        default = schema.get("default", MISSING)
        if default is not MISSING and same(default, value, policy):
            return True  # to write the default out is to leave it out
        others = [pattern for pattern in values if pattern != LEFT_OUT] or list(values)
        return any(matches(pattern, value, schema, policy, choices) for pattern in others)
    return any(matches(pattern, value, schema, policy, choices) for pattern in values)


def matches(pattern: Any, value: Any, schema: Mapping[str, Any], policy: ToolPolicy, choices: bool) -> bool:
    """Whether a value is what the reference says, by type; objects compare with the defaults of their schema."""
    if isinstance(pattern, dict):
        return isinstance(value, dict) and same_object(pattern, value, schema, policy, choices)
    if isinstance(pattern, list):
        inner = item_schema(schema)
        return (
            isinstance(value, list)
            and len(pattern) == len(value)
            and all(matches(*pair, inner, policy, choices) for pair in zip(pattern, value, strict=True))
        )
    if isinstance(pattern, str):
        return isinstance(value, str) and policy.same_text(value, pattern)
    if pattern is None or isinstance(pattern, bool):
        return value is pattern
    return isinstance(value, int | float) and not isinstance(value, bool) and policy.same_number(value, pattern)


def same(pattern: Any, value: Any, policy: ToolPolicy) -> bool:
    """Whether two values are equal under a policy."""
    return matches(pattern, value, {}, policy, choices=False)


def same_object(
    pattern: dict[str, Any], value: dict[str, Any], schema: Mapping[str, Any], policy: ToolPolicy, choices: bool
) -> bool:
    """Whether an object is what the reference says; see `matches`."""
    lists_of_choices = choices and holds_choices(pattern, schema)
    for name in {*pattern, *value}:
        inner = property_schema(schema, name)
        given = value.get(name, inner.get("default", MISSING))
        if name not in pattern:
            default = inner.get("default", MISSING)
            if default is MISSING or not same(default, given, policy):
                return False
        elif lists_of_choices:
            if name not in value and LEFT_OUT in pattern[name]:
                continue
            if given is MISSING or not accepted(pattern[name], given, inner, policy, choices):
                return False
        elif given is MISSING or not matches(pattern[name], given, inner, policy, choices):
            return False
    return True


def holds_choices(pattern: dict[str, Any], schema: Mapping[str, Any]) -> bool:
    """Whether the values of an object are lists of accepted values rather than the values.

    All are lists; and where the schema wants an array, the list is one of lists.
    """
    for name, values in pattern.items():
        if not isinstance(values, list):
            return False
        array = property_schema(schema, name).get("type") == "array"
        if array and not all(isinstance(value, list) or value == LEFT_OUT for value in values):
            return False
    return True


def possible_answer(item: Mapping[str, Any], schemas: Mapping[str, Mapping[str, Any]]) -> Expected:
    """Returns the expected call of BFCL's form, `{name: {argument: [accepted values]}}`.

    Raises:
        InvalidInput: It is not of that form.
    """
    name, arguments = next(iter(item.items()))
    try:
        values = json_value(arguments)
    except NotACall as error:
        raise InvalidInput(f"reference call {item!r}: {error}") from error
    if not isinstance(values, dict) or not all(isinstance(each, list) and each for each in values.values()):
        raise InvalidInput(
            f"reference call {item!r}: give {{'name': ..., 'arguments': {{...}}}}, or {{name: {{argument: [accepted "
            "values]}}, in which every argument has a list of at least one value"
        )
    return Expected(name, values, schemas.get(name, {}), choices=True)
