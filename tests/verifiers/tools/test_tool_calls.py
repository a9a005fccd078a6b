"""Scores of tool calls: the parts, the types, and that no call too many ever pays."""

from __future__ import annotations

import json
import math
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from turnwise.verifiers import InvalidInput
from turnwise.verifiers.tools import ToolCalls, ToolPolicy

WEATHER = {
    "name": "get_weather",
    "parameters": {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "days": {"type": "integer"},
            "unit": {"type": "string", "enum": ["C", "F"], "default": "C"},
            "where": {"type": "object", "properties": {"zoom": {"type": "number", "default": 1}}},
        },
        "required": ["city"],
    },
}
NEWS = {"type": "function", "function": {"name": "news", "parameters": {"properties": {"topic": {"type": "string"}}}}}
VERIFIER = ToolCalls([WEATHER, NEWS])


def call(name="get_weather", **arguments):
    return {"name": name, "arguments": arguments}


PARIS = call(city="Paris", days=5)
ROME = call(city="Rome", days=5)


def untyped(value, reference, **policy):
    return ToolCalls(policy=ToolPolicy(**policy))([call("f", x=value)], [call("f", x=reference)]).score


@pytest.mark.parametrize(
    ("calls", "score", "parts"),
    [
        # S = 1 + 1 + 2 = 4; (format + 6 R / S) / 7
        ([PARIS], 1.0, (1, 1, 1, 1, 1)),
        ([call(city="Paris")], (1 + 6 * 2.5 / 4) / 7, (1, 1, 0.5, 0.5, 1)),
        ([call(city="paris", days=5)], (1 + 6 * 3 / 4) / 7, (1, 1, 1, 0.5, 1)),
        ([call(city="Paris", days="5")], (0 + 6 * 3 / 4) / 7, (0, 1, 1, 0.5, 1)),
        ([call(city="Paris", days=5, unit="F")], (1 + 6 * (2 / 3 + 3) / 4) / 7, (1, 1, 2 / 3, 1, 1)),
        ([call(city="Paris", days=5, size=1)], (0 + 6 * (2 / 3 + 3) / 4) / 7, (0, 1, 2 / 3, 1, 1)),
        ([call("news", topic="Paris")], 1 / 7, (1, 0, 0, 0, 1)),
        ([call("weather", city="Paris", days=5)], 0.0, (0, 0, 0, 0, 1)),
        ([PARIS, PARIS], 1 / 7, (1, 1, 1, 1, 0)),
        ([PARIS, call("news", topic="x")], 1 / 7, (1, 1, 1, 1, 0)),
    ],
)
def test_the_parts_of_one_call_add_up_to_the_score(calls, score, parts):
    verdict = VERIFIER(calls, [PARIS])
    assert verdict.score == pytest.approx(score)
    assert list(verdict.parts) == ["format", "names", "parameters", "values", "surplus"]
    assert [part.score for part in verdict.parts.values()] == pytest.approx(parts)


@pytest.mark.parametrize(
    ("value", "reference"),
    [
        (5.0, 5), (5, 5.0), ("x", "x"), (None, None), ([1, [2, {"a": 3}]], [1, [2, {"a": 3.0}]]),
        ({"a": {"b": {"c": [1]}}}, {"a": {"b": {"c": [1]}}}), ((1, 2), [1, 2]), (10**400, 10**400),
    ],
)  # fmt: skip
def test_values_equal_by_type_match(value, reference):
    assert untyped(value, reference) == 1.0


@pytest.mark.parametrize(
    ("value", "reference"),
    [
        (True, 1), (1, True), (False, 0), (0, False), ("5", 5), (5, "5"), ("true", True), (None, ""), ("", None),
        (None, 0), (-5, 5), ("-5", "5"), ("/tmp/ab", "/tmp/a.b"), ("a b", "ab"), ("A", "a"), ("a ", "a"),
        ([1, 2], [2, 1]),
        ([1], 1), ([], None), ({}, None), ([], {}), ({"a": {"b": {"c": 1}}}, {"a": {"b": {"c": 2}}}),
        ({"a": 1, "b": 2}, {"a": 1}), ({"a": 1}, {"a": 1, "b": 2}), (5.000001, 5), (10**400, 10**400 + 1), (1e-300, 0),
        ({"a": None}, {}),
    ],
)  # fmt: skip
def test_values_that_differ_in_type_or_content_do_not_match(value, reference):
    assert untyped(value, reference) < 1.0


def test_swapped_true_and_1_do_not_pass():
    assert VERIFIER([call(city="x", days=True)], [call(city="x", days=1)]).score < 0.7
    assert ToolCalls()([call("f", a=True, b=1)], [call("f", a=1, b=True)]).parts["values"].score == 0.0


def test_the_policy_says_what_is_forgiven():
    assert untyped("Paris ", "paris", ignore_case=True, whitespace="strip") == 1.0
    assert untyped("new  york", "new york", whitespace="collapse") == 1.0
    assert untyped("new  york", "new york", whitespace="strip") < 1.0
    assert untyped(3.15, 3.14, absolute=0.02) == untyped(101, 100, relative=0.01) == 1.0
    assert untyped(3.17, 3.14, absolute=0.02) < 1.0
    assert untyped(True, 1, absolute=1.0) < 1.0
    assert untyped(10**400, 1, absolute=1.0) < 1.0
    assert untyped(5.0, 5, integral_floats=False) < 1.0


def test_arguments_left_out_take_the_default_of_the_schema_at_any_depth():
    assert VERIFIER([call(city="Paris", unit="C")], [call(city="Paris")]).score == 1.0
    assert VERIFIER([call(city="Paris")], [call(city="Paris", unit="C")]).score == 1.0
    assert VERIFIER([call(city="Paris")], [call(city="Paris", unit="F")]).score < 1.0
    assert VERIFIER([call(city="x", where={})], [call(city="x", where={"zoom": 1.0})]).score == 1.0
    assert VERIFIER([call(city="x", where={"zoom": 2})], [call(city="x", where={})]).score < 1.0


def test_parallel_calls_match_in_any_order_unless_the_order_matters():
    assert VERIFIER([ROME, PARIS], [PARIS, ROME]).score == 1.0
    ordered = ToolCalls([WEATHER, NEWS], policy=ToolPolicy(ordered=True))
    assert ordered([PARIS, ROME], [PARIS, ROME]).score == 1.0
    assert ordered([ROME, PARIS], [PARIS, ROME]).score < 1.0


def test_possible_answers_are_assigned_optimally_where_greedy_matching_fails():
    reference = [{"get_weather": {"city": ["Rome", "Paris"]}}, {"get_weather": {"city": ["Rome"]}}]
    assert VERIFIER([call(city="Rome"), call(city="Paris")], reference).score == 1.0
    assert VERIFIER([call(city="Paris"), call(city="Paris")], reference).score < 1.0


@pytest.mark.parametrize(
    ("arguments", "right"),
    [
        ({"city": "Paris"}, True),
        ({"city": "paris", "days": 5.0}, True),
        ({"city": "Paris", "unit": "C"}, True),
        ({"city": "Paris", "unit": "F"}, True),
        ({"city": "Paris", "days": 4}, False),
        ({"city": "PARIS"}, False),
        ({"days": 5}, False),
        ({"city": ""}, False),
        ({"city": "Paris", "days": ""}, False),
    ],
)
def test_possible_answers_list_what_is_accepted_and_what_may_be_left_out(arguments, right):
    reference = [{"get_weather": {"city": ["Paris", "paris"], "days": [5, ""], "unit": ["F", ""]}}]
    assert (VERIFIER([call(**arguments)], reference).score == 1.0) is right


def test_possible_answers_hold_possible_answers_inside_objects_two_levels_deep():
    reference = [{"f": {"x": [{"a": [1, 2], "b": [{"c": ["y", "z"], "d": [0, ""]}]}], "list": [[{"k": [1, 2]}]]}}]
    verifier = ToolCalls()
    assert verifier([call("f", x={"a": 2, "b": {"c": "z"}}, list=[{"k": 2}])], reference).score == 1.0
    assert verifier([call("f", x={"a": 2, "b": {"c": "z", "d": 0}}, list=[{"k": 1}])], reference).score == 1.0
    assert verifier([call("f", x={"a": 3, "b": {"c": "z"}}, list=[{"k": 2}])], reference).score < 1.0
    assert verifier([call("f", x={"a": 2, "b": {"c": "w"}}, list=[{"k": 2}])], reference).score < 1.0
    assert verifier([call("f", x={"a": 2, "b": {"c": "z", "e": 0}}, list=[{"k": 2}])], reference).score < 1.0


@pytest.mark.parametrize("reference", [[], "I can help with that myself."])
def test_where_no_call_is_right_only_a_text_without_calls_scores(reference):
    assert VERIFIER("It is sunny.", reference).score == VERIFIER([], reference).score == 1.0
    assert VERIFIER([PARIS], reference).score == VERIFIER("<tool_call>{</tool_call>", reference).score == 0.0


def test_no_call_scores_0_where_one_is_expected():
    verdict = VERIFIER("It is sunny.", [PARIS])
    assert verdict.score == 0.0
    assert verdict.evidence == "no call was made; 'get_weather' was expected"


@pytest.mark.parametrize(
    ("calls", "words"),
    [
        ([call("wether", city="Paris")], "there is no tool 'wether'"),
        ([call(city="Paris", days=5, town="x")], "has no argument 'town'"),
        ([call(city="Paris", days="5")], "$.days: '5' is not of type 'integer'"),
        ([call(city="Paris", days=6)], "days=6 where [5] is accepted"),
        ([call(city="Paris")], "without 'days'"),
        ([{"name": "get_weather", "arguments": {"days": math.nan}}], "nan is not a JSON number"),
        ([1], "a call is an object"),
        ("<tool_call>{oops}</tool_call>", "not JSON"),
    ],
)
def test_the_evidence_names_what_is_wrong(calls, words):
    verdict = VERIFIER(calls, [PARIS])
    assert verdict.decided
    assert verdict.score < 1.0
    assert words in verdict.evidence


def test_a_call_that_is_expected_is_well_formed_whatever_the_schema_says():
    odd = [call("get_weather", city=7)]
    assert VERIFIER(odd, odd).score == 1.0


NAMES = st.sampled_from(["get_weather", "news", "other"])
VALUES = st.sampled_from(["Paris", "Rome", 5, 5.0, True, None, [1]])
CALLS = st.builds(
    lambda name, arguments: {"name": name, "arguments": arguments},
    NAMES,
    st.dictionaries(st.sampled_from(["city", "days", "topic"]), VALUES, max_size=3),
) | st.sampled_from([PARIS, ROME, {"name": ""}, 3])
EXPECTED = st.lists(CALLS.filter(lambda each: isinstance(each, dict) and each["name"]), min_size=1, max_size=3)


@pytest.mark.parametrize("ordered", [False, True])
@given(st.lists(CALLS, max_size=5), EXPECTED, CALLS, st.integers(0, 5))
@settings(deadline=None, max_examples=300)
def test_with_as_many_calls_as_expected_no_further_call_raises_the_score(ordered, calls, reference, added, place):
    calls = (calls * 3)[: max(len(calls), len(reference))]  # repeated where there are too few
    if len(calls) < len(reference):
        return
    verifier = ToolCalls([WEATHER, NEWS], policy=ToolPolicy(ordered=ordered))
    more = [*calls[:place], added, *calls[place:]]
    assert verifier(more, reference).score <= verifier(calls, reference).score + 1e-12


@given(EXPECTED, CALLS, st.integers(0, 3))
@settings(deadline=None, max_examples=200)
def test_a_call_added_to_the_right_ones_always_costs(reference, added, place):
    assert VERIFIER(reference, reference).score == 1.0
    assert VERIFIER([*reference[:place], added, *reference[place:]], reference).score < 1.0


@given(st.lists(CALLS, min_size=1, max_size=4, unique_by=lambda each: json.dumps(each, sort_keys=True)), EXPECTED)
@settings(deadline=None, max_examples=200)
def test_saying_a_call_again_never_raises_the_score(calls, reference):
    if len({json.dumps(each, sort_keys=True) for each in reference}) < len(reference):
        return
    assert VERIFIER([*calls, calls[0]], reference).score <= VERIFIER(calls, reference).score + 1e-12


@given(EXPECTED, st.lists(CALLS, max_size=4))
@settings(deadline=None, max_examples=200)
def test_the_score_stays_between_0_and_1_and_is_1_only_for_a_full_match(reference, calls):
    verdict = VERIFIER(calls, reference)
    assert 0.0 <= verdict.score <= 1.0
    assert all(0.0 <= part.score <= 1.0 for part in verdict.parts.values())
    if len(calls) != len(reference):
        assert verdict.score < 1.0


def test_the_right_call_does_not_make_up_for_one_said_twice():
    assert VERIFIER([PARIS, PARIS], [PARIS, ROME]).score == VERIFIER([PARIS, PARIS, ROME], [PARIS, ROME]).score == 1 / 7


def test_a_thousand_guesses_earn_no_more_than_the_form():
    guesses = [call(city=f"city {number}", days=5) for number in range(1000)]
    assert VERIFIER([*guesses, PARIS], [PARIS]).score <= 1 / 7


def test_nesting_and_cycles_of_python_values_are_malformed_calls():
    deep: dict[str, object] = {}
    deep["self"] = deep
    assert "nested more than 64 levels" in VERIFIER([{"name": "news", "arguments": deep}], [PARIS]).evidence


def test_a_megabyte_of_text_in_an_argument_is_compared_as_it_is():
    text = "a" * 1_000_000
    assert ToolCalls()([call("f", x=text)], [call("f", x=text)]).score == 1.0
    verdict = ToolCalls()([call("f", x=text + "b")], [call("f", x=text)])
    assert verdict.score < 1.0
    assert len(verdict.evidence) < 1000


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        (None, "give the expected calls"),
        ([1], "a call is an object"),
        ([{"f": {"x": 1}}], "list of at least one value"),
        ([{"f": {"x": []}}], "list of at least one value"),
        ("<tool_call>{</tool_call>", "not JSON"),
        ([{"name": "f", "arguments": {"x": math.inf}}], "inf is not a JSON number"),
        ([call("f")] * 201, "at most 200"),
    ],
)
def test_a_reference_that_is_no_list_of_calls_is_the_callers_mistake(reference, words):
    with pytest.raises(InvalidInput, match=words):
        VERIFIER([PARIS], reference)


@pytest.mark.parametrize(
    ("tools", "words"),
    [
        ([{}], "give an object with a name"),
        ([WEATHER, WEATHER], "defined twice"),
        ([{"name": "f", "parameters": {"type": "nonsense"}}], "schema is malformed"),
        ([{"name": "f", "parameters": 5}], "not a JSON Schema"),
    ],
)
def test_a_malformed_definition_of_a_tool_is_refused_at_once(tools, words):
    with pytest.raises(InvalidInput, match=words):
        ToolCalls(tools)


def test_a_policy_refuses_what_is_no_tolerance():
    with pytest.raises(InvalidInput, match="absolute=-1"):
        ToolPolicy(absolute=-1)
    with pytest.raises(InvalidInput, match="whitespace='no'"):
        ToolPolicy(whitespace="no")


def test_threads_that_share_a_verifier_get_the_same_verdicts():
    cases = [[PARIS], [ROME], [PARIS, ROME], [], [call("x")]] * 40
    alone = [VERIFIER(calls, [PARIS, ROME]).to_json() for calls in cases]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda calls: VERIFIER(calls, [PARIS, ROME]).to_json(), cases))
    assert together == alone
