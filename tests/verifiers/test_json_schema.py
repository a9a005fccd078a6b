"""JSON: where it stands, how strictly it is read, and what its schema demands."""

from __future__ import annotations

import json
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnwise.verifiers import InvalidInput, JSONSchema
from turnwise.verifiers.json_text import NotJSON, json_source, read_json, size_of
from turnwise.verifiers.schema_validation import identity

ORDER = {
    "type": "object",
    "properties": {
        "items": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"name": {"type": "string", "pattern": "^[a-z]+$"}, "price": {"type": "number"}},
                "required": ["name"],
                "additionalProperties": False,
            },
            "uniqueItems": True,
        }
    },
    "required": ["items"],
}


@pytest.mark.parametrize(
    ("response", "evidence"),
    [
        ('{"items": [{"name": "pen", "price": 1.5}]}', "the JSON obeys the schema"),
        ('{"items": []}', "the JSON obeys the schema"),
        ('{"items": [{"name": "pen", "price": "x"}]}', "$.items[0].price: 'x' is not of type 'number'"),
        ('{"items": [{"name": "pen", "price": true}]}', "$.items[0].price: True is not of type 'number'"),
        ('{"items": [{"price": 1}]}', "$.items[0]: 'name' is a required property"),
        ('{"items": [{"name": "pen", "size": 1}]}', "$.items[0]: the property 'size' is not allowed"),
        ('{"items": [{"name": "Pen"}]}', "$.items[0].name: 'Pen' does not match '^[a-z]+$'"),
        (
            '{"items": [{"name": "a"}, {"name": "a"}]}',
            "$.items: [{'name': 'a'}, {'name': 'a'}] has non-unique elements",
        ),
        ("[]", "$: [] is not of type 'object'"),
        ("{}", "$: 'items' is a required property"),
    ],
)
def test_the_evidence_is_the_path_of_the_first_violation(response, evidence):
    verdict = JSONSchema(ORDER)(response)
    assert verdict.evidence == evidence
    assert verdict.score == float("obeys" in evidence)
    assert verdict.flat() == {"json": 1.0, "schema": verdict.score}


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        ("", "Expecting value"),
        ("not json", "Expecting value"),
        ('{"a": 1} trailing', "Extra data"),
        ('{"a": 1, "a": 2}', "the key 'a' stands twice"),
        ('[{"b": {"a": 1, "a": 1}}]', "the key 'a' stands twice"),
        ("NaN", "NaN is not JSON"),
        ("[1, -Infinity]", "-Infinity is not JSON"),
        ("1e999", "too large a number"),
        ("1" * 5000, "it is not JSON"),
        ("[" * 65 + "]" * 65, "nested more than 64 levels"),
        ("[" * 100_000, "nested more than 64 levels"),
        ('"\x00"', "control character"),
        ("{'a': 1}", "Expecting property name"),
        ('{"a": 1,}', "not JSON"),
        ("[" + "1," * 10_000 + "1]", "more than 10000 values"),
    ],
)
def test_json_that_is_not_strict_is_refused_with_the_reason(response, reason):
    verdict = JSONSchema(True)(response)
    assert verdict.score == 0.0
    assert reason in verdict.evidence
    assert verdict.flat() == {"json": 0.0}


@pytest.mark.parametrize(
    "response", ["[" * 64 + "]" * 64, '"[[["', '"\\ud800"', '{"": null}', "1" * 4000, '["\\"[", "]"]']
)
def test_unusual_but_strict_json_is_read(response):
    assert JSONSchema(True)(response).score == 1.0


@pytest.mark.parametrize(
    ("place", "response", "score"),
    [
        ("whole", ' {"a": 1}\n', 1.0),
        ("whole", 'so: {"a": 1}', 0.0),
        ("fenced", 'so:\n```json\n{"a": 1}\n```\nok', 1.0),
        ("fenced", 'so:\n```\n{"a": 1}\n```', 1.0),
        ("fenced", '```python\n{"a": 1}\n```', 0.0),
        ("fenced", '```json\n{"a": 0}\n```\n```json\n{"a": 1}\n```', 1.0),
        ("fenced", '```json\n{"a": 1}\n```\n```json\n{"a": 0}\n```', 0.0),
        ("fenced", '```json\n{"a": 1}', 0.0),
        ("fenced", '{"a": 1}', 0.0),
        ("fenced", '```JSON\r\n{"a": 1}\r\n```', 1.0),
        ("last_object", 'so {"a": 1} it is, {not json}', 1.0),
        ("last_object", 'first {"a": 0}, no: {"a": 1}', 1.0),
        ("last_object", 'first {"a": 1}, no: {"a": 0}', 0.0),
        ("last_object", '{"b": {"a": 1}, "a": 0}', 0.0),
        ("last_object", 'he said "{" and {"a": 1, "s": "}{\\""}', 0.0),  # the stray brace swallows it, as documented
        ("last_object", 'he said "x" and {"a": 1, "s": "}{\\""}', 1.0),
        ("last_object", "[1]", 0.0),
        ("last_object", '{not json {"a": 1}}', 0.0),
    ],
)
def test_the_json_is_taken_from_the_chosen_place(place, response, score):
    schema = {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"]}
    assert JSONSchema(schema, place=place)(response).score == score


def test_without_a_schema_of_its_own_the_reference_is_the_schema():
    judge = JSONSchema()
    assert judge("1", {"type": "integer"}).score == 1.0
    assert judge("1", {"type": "string"}).score == 0.0
    with pytest.raises(InvalidInput, match="give a schema"):
        judge("1")
    assert JSONSchema({"type": "integer"})("1", {"type": "string"}).score == 1.0


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nope"},
        {"pattern": "("},
        {"required": "a"},
        {"$schema": "urn:unknown"},
        {"$ref": "#/$defs/missing"},
        {"const": {1, 2}},
        "string",
    ],
)
def test_a_malformed_schema_is_found_before_the_first_sample(schema):
    with pytest.raises(InvalidInput, match="schema"):
        JSONSchema(schema)


def test_references_to_other_documents_are_not_fetched(monkeypatch):
    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    judge = JSONSchema({"properties": {"a": {"$ref": "http://localhost:9/schema.json"}}})
    with pytest.raises(InvalidInput, match="which it does not hold"):
        judge('{"a": 1}')


def test_references_inside_the_schema_and_to_the_meta_schema_work():
    tree = JSONSchema({"$defs": {"t": {"type": "array", "items": {"$ref": "#/$defs/t"}}}, "$ref": "#/$defs/t"})
    assert tree("[[], [[]]]").score == 1.0
    assert tree("[[], [1]]").evidence == "$[1][0]: 1 is not of type 'array'"
    assert tree("[" * 64 + "]" * 64).score == 1.0
    assert JSONSchema({"$ref": "https://json-schema.org/draft/2020-12/schema"})('{"type": "nope"}').score == 0.0


def test_the_draft_that_a_schema_names_is_the_one_that_it_is_read_by():
    items = {"items": [{"type": "integer"}]}  # draft 7: the first element; 2020-12: not allowed
    assert JSONSchema({"$schema": "http://json-schema.org/draft-07/schema#", **items})('["x"]').score == 0.0
    with pytest.raises(InvalidInput, match="malformed"):
        JSONSchema(items)


@pytest.mark.parametrize(
    "schema",
    [
        {"pattern": "^(a+)+$"},
        {"patternProperties": {"^(a+)+$": {}}},
        {"patternProperties": {"^(a+)+$": {}}, "additionalProperties": False},
        {"additionalProperties": False, "patternProperties": {"^(a+)+$": {}}},
    ],
)
def test_a_pattern_that_never_ends_is_a_timeout_and_not_a_hang(schema, monkeypatch):
    monkeypatch.setattr("turnwise.verifiers.schema_validation.SEARCH_SECONDS", 0.1)
    bomb = "a" * 60 + "!"
    assert JSONSchema(schema)(json.dumps(bomb if "pattern" in schema else {bomb: 1})).status == "timeout"


@pytest.mark.parametrize(
    ("response", "score"),
    [
        ('{"ax": 1, "b": 2}', 1.0),
        ('{"ax": "s"}', 0.0),
        ('{"c": 1}', 0.0),
    ],
)
def test_pattern_properties_and_additional_properties_go_together(response, score):
    schema = {"properties": {"b": {}}, "patternProperties": {"^a": {"type": "integer"}}, "additionalProperties": False}
    assert JSONSchema(schema)(response).score == score
    typed = {"additionalProperties": {"type": "integer"}}
    assert JSONSchema(typed)('{"c": "s"}').evidence == "$.c: 's' is not of type 'integer'"


def test_many_different_objects_are_told_apart_in_linear_time():
    objects = "[" + ",".join(f'{{"a": {n}}}' for n in range(20_000)) + "]"
    assert JSONSchema({"uniqueItems": True}, most_values=100_000)(objects).score == 1.0


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [
        ("1", "1.0", True),
        ("1", "true", False),
        ("0", "false", False),
        ("null", "false", False),
        ('"1"', "1", False),
        ('{"a": 1, "b": 2}', '{"b": 2.0, "a": 1}', True),
        ("[1, 2]", "[2, 1]", False),
        ("[]", "{}", False),
        ("[[]]", "[{}]", False),
        ('["object", []]', "{}", False),
    ],
)
def test_unique_means_different_as_json(a, b, equal):
    assert JSONSchema({"uniqueItems": True})(f"[{a}, {b}]").score == float(not equal)


def test_a_long_violation_is_cut():
    verdict = JSONSchema({"type": "integer"})(json.dumps("x" * 1000))
    assert len(verdict.evidence) < 300
    assert JSONSchema({"additionalProperties": False})('{"\\ud800": 1}').evidence.isascii()


@pytest.mark.parametrize("options", [{"place": "anywhere"}, {"most_values": 0}])
def test_unusable_options_are_refused(options):
    with pytest.raises(InvalidInput):
        JSONSchema(True, **options)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_every_json_value_is_read_back_from_every_place(value):
    text = json.dumps(value)
    assert read_json(text) == value
    assert read_json(json_source(f"so:\n```json\n{text}\n```\n", "fenced")) == value
    wrapped = json.dumps({"value": value})
    assert read_json(json_source(f'I say "{{}}" and {wrapped}, done', "last_object")) == {"value": value}
    assert size_of({"value": value}) == 1 + size_of(value)
    assert identity(value) == identity(json.loads(text))


@given(st.text(alphabet='{}[]",:\\ 1aN`j\n', max_size=40))
def test_any_text_is_json_or_said_not_to_be(text):
    for place in ("whole", "fenced", "last_object"):
        try:
            value = read_json(json_source(text, place))
        except NotJSON:
            continue
        assert json.loads(json.dumps(value)) == value


@pytest.mark.parametrize("place", ["whole", "fenced", "last_object"])
def test_hostile_text_comes_to_a_verdict(hostile, place):
    verdict = JSONSchema({"type": "object"}, place=place)(hostile)
    assert verdict.score == 0.0
    verdict.evidence.encode("utf-8")
