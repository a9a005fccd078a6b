"""Every dialect of tool calls, and what only looks like one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from turnwise.verifiers import InvalidInput
from turnwise.verifiers.tools import MalformedCall, ToolCall, parse_calls, read_tools

SEARCH = {
    "type": "function",
    "function": {
        "name": "search",
        "parameters": {
            "type": "dict",
            "properties": {"query": {"type": "string"}, "limit": {"type": "integer"}, "exact": {"type": "boolean"}},
        },
    },
}
TOOLS = read_tools([SEARCH, {"name": "close", "parameters": {"type": "object", "properties": {}}}])
ARGUMENTS = {"query": 'a "b" }', "limit": 5, "exact": True}
CALL = ToolCall("search", ARGUMENTS)
BODY = json.dumps({"name": "search", "arguments": ARGUMENTS})
LLAMA = json.dumps({"name": "search", "parameters": ARGUMENTS})
XML = (
    '<function=search>\n<parameter=query>\na "b" }\n</parameter>\n<parameter=limit>\n5\n</parameter>\n'
    "<parameter=exact>\nTrue\n</parameter>\n</function>"
)
PYTHON = "search(query='a \"b\" }', limit=5, exact=True)"


@pytest.mark.parametrize(
    "text",
    [
        f"<tool_call>\n{BODY}\n</tool_call>",
        f"<think>I could [close()] it.</think>Let me look.\n<tool_call>{BODY}</tool_call><|im_end|>",
        f"<tool_call>\n{XML}\n</tool_call>",
        XML,
        f"<function=search>{json.dumps(ARGUMENTS)}</function>",
        LLAMA,
        f"<|python_tag|>{LLAMA}<|eom_id|>",
        f"<|python_tag|>{PYTHON}",
        f"<|python_tag|>{PYTHON.replace('search(', 'search.call(')}",
        f"[TOOL_CALLS] [{BODY}]</s>",
        f"[TOOL_CALLS]search[ARGS]{json.dumps(ARGUMENTS)}",
        f"[TOOL_CALLS]search[CALL_ID]abc123[ARGS]{json.dumps(ARGUMENTS)}",
        f"[{PYTHON}]",
        PYTHON,
        "search('a \"b\" }', 5, True)",
        f"I will search.\n```json\n{BODY}\n```\nDone.",
        f"```python\n{PYTHON}\n```",
        f"```\n[{BODY}]\n```",
        json.dumps({"tool_calls": [{"type": "function", "function": {"name": "search", "arguments": ARGUMENTS}}]}),
        json.dumps({"name": "search", "arguments": json.dumps(ARGUMENTS)}),
    ],
)
def test_every_dialect_gives_the_same_call(text):
    assert parse_calls(text, TOOLS) == [CALL]


@pytest.mark.parametrize(
    "text",
    [
        f"<tool_call>{BODY}</tool_call>\n<tool_call>" + '{"name": "close"}</tool_call>',
        f"<tool_call>{XML}<function=close></function></tool_call>",
        f"[TOOL_CALLS][{BODY}, " + '{"name": "close", "arguments": {}}]',
        f"[TOOL_CALLS]search{json.dumps(ARGUMENTS)}[TOOL_CALLS]close" + "{}",
        f"<|python_tag|>{LLAMA}; " + '{"name": "close", "parameters": {}}',
        f"{LLAMA}\n" + '{"name": "close", "parameters": {}}',
        f"[{PYTHON}, close()]",
        f"{PYTHON}\nclose()",
        f"```json\n{BODY}\n```\n<tool_call>" + '{"name": "close", "arguments": null}</tool_call>',
    ],
)
def test_parallel_calls_keep_their_order_also_across_dialects(text):
    assert parse_calls(text, TOOLS) == [CALL, ToolCall("close", {})]


@pytest.mark.parametrize(
    "response",
    [
        [{"role": "user", "content": "[close()]"}, {"role": "assistant", "tool_calls": [
            {"id": "1", "type": "function", "function": {"name": "search", "arguments": json.dumps(ARGUMENTS)}}]}],
        {"role": "assistant", "content": f"<tool_call>{BODY}</tool_call>"},
        {"role": "assistant", "content": [{"type": "text", "text": "So."},
                                          {"type": "tool_use", "id": "1", "name": "search", "input": ARGUMENTS}]},
        [{"name": "search", "arguments": ARGUMENTS}],
        ({"function": {"name": "search", "arguments": ARGUMENTS}},),
    ],
)  # fmt: skip
def test_chat_messages_and_lists_hold_the_same_call(response):
    assert parse_calls(response, TOOLS) == [CALL]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The weather (in Paris) is fine [see 1].",
        "<think><tool_call>" + BODY + "</tool_call>",
        '```python\nprint("hello")\n```',
        'print("hello")',
        '{"name": "Ada", "age": 36}',
        json.dumps(SEARCH["function"] | {"description": "finds things"}),
        "Use `search(query=...)` for that.",
    ],
)
def test_what_only_looks_like_a_call_is_none(text):
    assert parse_calls(text, TOOLS) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<tool_call>" + BODY, "</tool_call> is missing"),
        ("<tool_call>search</tool_call>", "not JSON"),
        ('<tool_call>{"name": "search", "arguments": {"limit": NaN}}</tool_call>', "NaN is not JSON"),
        ('<tool_call>{"name": "search", "arguments": {"limit": 1, "limit": 2}}</tool_call>', "stands twice"),
        ('<tool_call>{"name": "search", "arguments": [1]}</tool_call>', "arguments are not an object"),
        ('<tool_call>{"name": "search", "arguments": {}, "parameters": {}}</tool_call>', "both"),
        ('<tool_call>{"arguments": {}}</tool_call>', "names no tool"),
        ("<tool_call>[1]</tool_call>", "a call is an object"),
        ('{"name": "search", "parameters": {"limit": 5', "not complete"),
        ('{"name": "search", "parameters": {"limit": 05}}', "not JSON"),
        ("[search(limit=__import__('os').getpid())]", "not a literal"),
        ("[search(limit=1+1)]", "not a literal"),
        ("[search(limit=1e999)]", "not a JSON number"),
        ("[search(**{'limit': 5})]", "unpacks"),
        ("[search('a', 1, True, 4)]", "no names"),
        ("[search('a', query='b')]", "given twice"),
        ("[search(limit=5), 7]", "not a call"),
        ("[TOOL_CALLS]nothing", "not JSON"),
        ("<function=search><parameter=limit>5</function>", "</parameter> is missing"),
        ("<function=search><parameter=limit>5</parameter>", "</function> is missing"),
        ("[search(limit=5)" + ")" * 3 + "]", "not Python"),
    ],
)
def test_a_broken_call_is_kept_with_its_reason(text, reason):
    broken = [call for call in parse_calls(text, TOOLS) if isinstance(call, MalformedCall)]
    assert len(broken) == 1
    assert reason in broken[0].reason


def test_xml_values_take_the_type_that_the_schema_says():
    tools = read_tools([{"name": "f", "parameters": {"properties": {
        "text": {"type": "string"}, "maybe": {"type": ["string", "null"]}, "list": {"type": "array"}}}}])  # fmt: skip
    text = (
        "<function=f><parameter=text>5</parameter><parameter=maybe>null</parameter>"
        "<parameter=list>[1, 2]</parameter><parameter=other>5</parameter></function>"
    )
    assert parse_calls(text, tools) == [ToolCall("f", {"text": "5", "maybe": None, "list": [1, 2], "other": "5"})]
    assert parse_calls("<function=f><parameter=x>5</parameter></function>") == [ToolCall("f", {"x": 5})]


def test_a_backslash_that_python_would_warn_of_is_kept():
    assert parse_calls(r"[f(pattern='\d+\\n')]") == [ToolCall("f", {"pattern": r"\d+\n"})]


@pytest.mark.parametrize(
    "text",
    [
        "{" * 1_000_000,
        "[" * 1_000_000,
        "(" * 1_000_000,
        " " * 1_000_000 + "x",
        "f(" * 300_000 + ")" * 300_000,
        "[f(a=" + "[" * 5000 + "]" * 5000 + ")]",
        "[f(a=" + "-" * 50_000 + "1)]",
        "<tool_call>" * 90_000,
        "<tool_call></tool_call>" * 40_000,
        '{"name": "f", "arguments": {}}' * 30_000,
        '<tool_call>{"name": "f", "arguments": ' + '{"a":' * 150_000 + "1" + "}" * 150_001 + "</tool_call>",
        "[TOOL_CALLS]" + " " * 1_000_000 + "x",
        "```\n" * 250_000,
        "</think>" * 120_000,
        "<|im_end|>" * 90_000,
        "\ud800<tool_call>\x00</tool_call>",
    ],
    ids=lambda text: repr(text[:12]),
)
@pytest.mark.timeout(20)
def test_hostile_text_is_read_to_its_end_and_gives_a_bounded_list(text):
    assert len(parse_calls(text, TOOLS)) <= 1001


@given(st.text(alphabet="{}[]()\"'<>/=|,:;\\\n abf01-.`_", max_size=80) | st.text(max_size=40))
@settings(deadline=None, max_examples=300)
def test_no_text_makes_the_parser_raise(text):
    for whole in (text, f"<tool_call>{text}</tool_call>", f"<function=f>{text}</function>", f"[f(a={text})]"):
        assert all(isinstance(call, ToolCall | MalformedCall) for call in parse_calls(whole, TOOLS))


@pytest.mark.parametrize("response", [None, 5, b"[f()]"])
def test_what_is_neither_text_nor_calls_is_the_callers_mistake(response):
    with pytest.raises(InvalidInput, match="give text, a list of calls"):
        parse_calls(response)
