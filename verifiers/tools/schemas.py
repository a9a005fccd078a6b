"""Definitions of tools, read from the public formats, and what they say about a call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from turnwise.verifiers.errors import InvalidInput
from turnwise.verifiers.tools.calls import ToolCall

TYPE_NAMES = {
    "dict": "object",
    "float": "number",
    "tuple": "array",
    "int": "integer",
    "bool": "boolean",
    "str": "string",
}
"""The names that function-calling data sets (BFCL) use for JSON Schema's types."""


@dataclass(frozen=True)
class Tool:
    """One tool.

    Attributes:
        name: Its name.
        parameters: The JSON Schema of its arguments, an object's.
    """

    name: str
    parameters: Mapping[str, Any]

    @property
    def closed(self) -> bool:
        """Whether it takes no arguments beyond those that its schema lists."""
        loose = (
            "additionalProperties",
            "patternProperties",
            "unevaluatedProperties",
            "$ref",
            "allOf",
            "anyOf",
            "oneOf",
        )
        return not any(key in self.parameters for key in loose)

    @property
    def properties(self) -> Mapping[str, Any]:
        """The schemas of its arguments by name, in order."""
        properties = self.parameters.get("properties", {})
        return properties if isinstance(properties, Mapping) else {}

    def fault_of(self, call: ToolCall) -> str | None:
        """Returns how a call breaks the definition, or None.

        Raises:
            InvalidInput: The schema refers to one that it does not hold.
            VerifierTimeout: A pattern of the schema does not come to an end on an argument.
        """
        from turnwise.verifiers.schema_validation import first_violation  # loads jsonschema

        unknown = [name for name in call.arguments if name not in self.properties] if self.closed else []
        if unknown:
            return f"{self.name!r} has no argument {unknown[0][:60]!r}"
        violation = first_violation(dict(call.arguments), self.parameters)
        return None if violation is None else f"arguments of {self.name!r}: {violation}"


def read_tools(definitions: Iterable[Mapping[str, Any]]) -> dict[str, Tool]:
    """Returns tools by name.

    Args:
        definitions: OpenAI's `{"type": "function", "function": {...}}`, its inner object alone, or `input_schema` in
            place of `parameters`. The type names of Python that data sets use (`dict`, `float`) become JSON Schema's.

    Raises:
        InvalidInput: A definition has no name, stands twice, or its schema is malformed.
    """
    from turnwise.verifiers.schema_validation import first_violation

    tools: dict[str, Tool] = {}
    for definition in definitions:
        inner = definition.get("function", definition) if isinstance(definition, Mapping) else None
        name = inner.get("name") if isinstance(inner, Mapping) else None
        if not isinstance(inner, Mapping) or not isinstance(name, str) or not name:
            raise InvalidInput(f"tool {definition!r}: give an object with a name and the JSON Schema of its parameters")
        if name in tools:
            raise InvalidInput(f"the tool {name!r} is defined twice")
        parameters = inner.get("parameters", inner.get("input_schema"))
        schema = json_schema({"type": "object", "properties": {}} if parameters is None else parameters)
        if not isinstance(schema, dict):
            raise InvalidInput(f"the parameters of the tool {name!r} are not a JSON Schema: {parameters!r}")
        first_violation({}, schema)  # a malformed schema is found now, not at the first call
        tools[name] = Tool(name, schema)
    return tools


def json_schema(schema: Any) -> Any:
    """Returns a schema in which the type names of data sets are JSON Schema's; `any` is no restriction."""
    if not isinstance(schema, Mapping):
        return schema
    changed: dict[str, Any] = {}
    for key, value in schema.items():
        if key in ("properties", "$defs", "definitions") and isinstance(value, Mapping):
            changed[key] = {name: json_schema(item) for name, item in value.items()}
        elif key in ("items", "additionalProperties"):
            changed[key] = json_schema(value)
        elif key in ("anyOf", "oneOf", "allOf", "prefixItems") and isinstance(value, list):
            changed[key] = [json_schema(item) for item in value]
        elif key == "type" and isinstance(value, str):
            if value != "any":
                changed[key] = TYPE_NAMES.get(value, value)
        else:
            changed[key] = value
    return changed


def property_schema(schema: Any, name: str) -> Mapping[str, Any]:
    """Returns the schema of one property of an object, {} where there is none."""
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    found = properties.get(name) if isinstance(properties, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def item_schema(schema: Any) -> Mapping[str, Any]:
    """Returns the schema of an array's items, {} where there is none."""
    found = schema.get("items") if isinstance(schema, Mapping) else None
    return found if isinstance(found, Mapping) else {}
