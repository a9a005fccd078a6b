"""JSON Schema by `jsonschema`, without those keywords that hostile data could exhaust. Imported where it is used."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Hashable, Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator, SchemaError, ValidationError, validators
from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]  # publishes no types
from referencing.exceptions import Unresolvable

from turnwise.verifiers.errors import InvalidInput
from turnwise.verifiers.guarded_search import guarded_search

MESSAGE_LENGTH = 200
"""Characters of a validation message that are kept: messages quote the data, which may be long."""

SEARCH_SECONDS = 1.0
"""CPU seconds that one search for a pattern of a schema may take."""


def first_violation(value: Any, schema: Mapping[str, Any] | bool) -> str | None:
    """Returns where and how a JSON value first violates a schema, or None.

    The form is `$.items[0].price: 'x' is not of type 'number'`.

    Args:
        value: What `json.loads` returns.
        schema: A JSON Schema, of draft 2020-12 unless it names another draft by `$schema`.

    Raises:
        InvalidInput: The schema is malformed, or refers to a schema that it does not hold: nothing is fetched.
        VerifierTimeout: A `pattern` of the schema does not come to an end on this value.
    """
    try:
        text = json.dumps(schema, sort_keys=True)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"schema={schema!r} is not a JSON Schema: {error}") from error
    try:
        violation = next(iter(validator_of(text).iter_errors(value)), None)
    except Unresolvable as unresolvable:
        raise InvalidInput(f"the schema refers to {unresolvable.ref!r}, which it does not hold") from unresolvable
    if violation is None:
        return None
    message = f"{shortened(violation.json_path)}: {shortened(violation.message)}"
    return message.encode("utf-8", "backslashreplace").decode()  # lone surrogates could not be written to a log


def shortened(text: str) -> str:
    """Returns a text cut to `MESSAGE_LENGTH`."""
    return text if len(text) <= MESSAGE_LENGTH else f"{text[:MESSAGE_LENGTH]}..."


@functools.lru_cache(maxsize=256)
def validator_of(schema_text: str) -> Any:
    """Returns the validator of a schema, given as canonical JSON; see `first_violation` for what is raised."""
    schema = json.loads(schema_text)
    if not isinstance(schema, dict | bool):
        raise InvalidInput(f"schema={schema!r} is not a JSON Schema: give an object")
    name = schema.get("$schema") if isinstance(schema, dict) else None
    lookup: Any = validators.validator_for  # returns its default, here None, for a draft that it does not know
    draft = Draft202012Validator if name is None else lookup(schema, default=None)
    if draft is None:
        raise InvalidInput(f"the schema names a draft that is not known: {name!r}")
    try:
        draft.check_schema(schema)
    except SchemaError as error:
        raise InvalidInput(f"the schema is malformed at {error.json_path}: {shortened(error.message)}") from error
    replaced = {
        "pattern": pattern,
        "patternProperties": pattern_properties,
        "additionalProperties": additional_properties,
        "uniqueItems": unique_items,
    }
    extend: Any = validators.extend  # its type is not declared
    return extend(draft, replaced)(schema, registry=REGISTRY)  # the registry holds the meta-schemas and fetches nothing


def found(expression: str, text: str) -> bool:
    """Whether an expression of the schema is found in a text of the data."""
    return guarded_search(re.compile(expression), text, seconds=SEARCH_SECONDS) is not None


def pattern(validator: Any, expression: str, value: Any, schema: Any) -> Iterator[ValidationError]:
    """`pattern`, with a limit on the time that a search may take."""
    if isinstance(value, str) and not found(expression, value):
        yield ValidationError(f"{value!r} does not match {expression!r}")


def pattern_properties(
    validator: Any, subschemas: Mapping[str, Any], value: Any, schema: Any
) -> Iterator[ValidationError]:
    """`patternProperties`, with a limit on the time that a search may take."""
    if isinstance(value, dict):
        for expression, subschema in subschemas.items():
            for key, item in value.items():
                if found(expression, key):
                    yield from validator.descend(item, subschema, path=key, schema_path=expression)


def additional_properties(
    validator: Any, subschema: Any, value: Any, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    """`additionalProperties`, with a limit on the time that a search may take."""
    if isinstance(value, dict):
        known, expressions = schema.get("properties", {}), schema.get("patternProperties", {})
        for key, item in value.items():
            if key not in known and not any(found(expression, key) for expression in expressions):
                if subschema is False:
                    yield ValidationError(f"the property {key!r} is not allowed")
                else:
                    yield from validator.descend(item, subschema, path=key)


def unique_items(validator: Any, wanted: bool, value: Any, schema: Any) -> Iterator[ValidationError]:
    """`uniqueItems` in linear time."""
    if wanted and isinstance(value, list) and len({identity(item) for item in value}) < len(value):
        yield ValidationError(f"{value!r} has non-unique elements")


def identity(value: Any) -> Hashable:
    """Returns a key that two JSON values share if they are equal: 1 and 1.0 are, 1 and true are not."""
    if isinstance(value, dict):
        return "object", frozenset((key, identity(item)) for key, item in value.items())
    if isinstance(value, list):
        return "array", tuple(identity(item) for item in value)
    return (isinstance(value, bool), value)
