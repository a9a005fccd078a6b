"""JSON that obeys a schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from turnwise.verifiers.base import Verifier
from turnwise.verifiers.errors import InvalidInput
from turnwise.verifiers.json_text import JSONPlace, NotJSON, json_source, read_json, size_of
from turnwise.verifiers.text import quoted
from turnwise.verifiers.types import Sample, Verdict


class JSONSchema(Verifier):
    """1 where the response holds JSON that obeys a JSON Schema, else 0.

    The evidence names the first violation by its path, `$.items[0].price`.

    The JSON is strict: duplicate keys, NaN and Infinity, numbers beyond a double and nesting beyond 64 levels are
    refused. `parts` tells JSON that could not be read (`json` is 0) from JSON that violates the schema (`json` is 1,
    `schema` is 0).

    A schema says what form the data has, not that the data are right; and `format` ("date", "email") is an annotation
    that is not checked, as in draft 2020-12. Searches for the schema's patterns are limited in time (see
    `guarded_search`); only those of `patternProperties` that stand beside `unevaluatedProperties` are searched once
    more without a limit. Patterns are Python's.

    Args:
        schema: The schema, of draft 2020-12 unless it names another by `$schema`; references to other documents are not
            fetched. None takes each sample's reference as its schema.
        place: Where the JSON stands: the `whole` response; the last `fenced` code block, marked `json` or unmarked;
            or the `last_object`, the last {...} of the response that is an object by itself.
        most_values: How many values (scalars, arrays, objects) the JSON may hold; more are refused unread.

    Raises:
        InvalidInput: The schema is malformed, or `place` is unknown. When judging: the schema refers to one that it
            does not hold.
    """

    def __init__(
        self,
        schema: Mapping[str, Any] | bool | None = None,
        *,
        place: JSONPlace = "whole",
        most_values: int = 10_000,
    ) -> None:
        if place not in get_args(JSONPlace):
            raise InvalidInput(f"place={place!r}: choose one of {', '.join(get_args(JSONPlace))}")
        if most_values < 1:
            raise InvalidInput(f"most_values={most_values!r}: allow at least one value")
        self.schema = schema
        self.place: JSONPlace = place
        self.most_values = most_values
        if schema is not None:
            from turnwise.verifiers.schema_validation import first_violation

            first_violation(None, schema)  # a malformed schema is found now, not at the first sample

    def _verify(self, sample: Sample) -> Verdict:
        from turnwise.verifiers.schema_validation import first_violation  # loads jsonschema

        schema = sample.reference if self.schema is None else self.schema
        if schema is None:
            raise InvalidInput("give a schema to JSONSchema(...), or one as the reference of each sample")
        try:
            value = read_json(json_source(sample.text, self.place))
            if size_of(value) > self.most_values:
                raise NotJSON(f"it holds more than {self.most_values} values")
        except NotJSON as error:
            evidence = f"{quoted(sample.text)}: {error}"
            return Verdict(0.0, {"json": Verdict(0.0, evidence=evidence)}, evidence)
        violation = first_violation(value, schema)
        parts = {"json": Verdict(1.0), "schema": Verdict(float(violation is None), evidence=violation or "obeyed")}
        return Verdict(float(violation is None), parts, violation or "the JSON obeys the schema")
