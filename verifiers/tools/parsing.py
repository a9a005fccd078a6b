"""The tool calls in what a model wrote, whatever its dialect.

Marked calls are read wherever they stand, each by its marker; between them, fenced code and JSON objects of the shape
of a call are read too, and Python calls where nothing else stands or the tools are known. Several dialects may stand in
one text: all count, so that no call can hide another. What is said inside `<think>...</think>` is not done.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from turnwise.verifiers.errors import InvalidInput
from turnwise.verifiers.json_text import NotJSON, braced_spans, read_json
from turnwise.verifiers.tools.calls import ARGUMENT_KEYS, CALL_KEYS, MalformedCall, ToolCall, call_of, shown
from turnwise.verifiers.tools.python_calls import Found, looks_like_calls, python_calls
from turnwise.verifiers.tools.schemas import Tool
from turnwise.verifiers.tools.xml_calls import CLOSE, OPEN, xml_call
from turnwise.verifiers.types import message_text

MOST_CALLS = 1000
"""Calls of one response that are read; the rest counts as one malformed call."""

Tools = Mapping[str, Tool] | None

MARKER = re.compile(r"<tool_call>|<function=|<\|python_tag\|>|\[TOOL_CALLS\]")
STOPS = ("<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|end_of_text|>", "<|endoftext|>", "</s>")
LOOKS_MEANT = re.compile(r"""[\[\s]{0,20}\{\s*["']name["']\s*:""")
MISTRAL_NAME = re.compile(r"([\w.\-/]+)(?:\[CALL_ID\]\w*)?(?:\[ARGS\])?\s*(?=\{)")

# The expressions are tried at one place each, or cannot match empty runs twice: all of this is linear in the text.


def parse_calls(response: Any, tools: Tools = None) -> Found:
    """Returns the calls of a response in the order in which they stand.

    Args:
        response: Text; a list of calls as mappings; a chat message, or a list of chat messages of which the last
            assistant message counts (its `tool_calls`, `tool_use` blocks and text).
        tools: The tools by name where they are known: they give types to XML, names to positional arguments, and tell
            a Python call in a code block from an example.

    Raises:
        InvalidInput: It is none of these.
    """
    if isinstance(response, str):
        return limited(text_calls(response, tools))
    if isinstance(response, Mapping):
        return message_calls(response, tools) if is_message(response) else [call_of(response)]
    if not isinstance(response, Sequence) or isinstance(response, bytes | bytearray):
        raise InvalidInput(f"calls={shown(response)}: give text, a list of calls, or chat messages")
    if any(is_message(item) for item in response):
        own = [item for item in response if is_message(item) and item.get("role", "assistant") == "assistant"]
        return message_calls(own[-1], tools) if own else []
    return limited([call_of(item) for item in response])


def limited(calls: Found) -> Found:
    """Returns at most `MOST_CALLS` calls, and one malformed call for those beyond."""
    if len(calls) <= MOST_CALLS:
        return calls
    return [*calls[:MOST_CALLS], MalformedCall("", f"there are more than {MOST_CALLS} calls")]


def is_message(value: Any) -> bool:
    """Whether a mapping is a chat message rather than a call."""
    return isinstance(value, Mapping) and any(key in value for key in ("role", "content", "tool_calls"))


def message_calls(message: Mapping[str, Any], tools: Tools) -> Found:
    """Returns the calls of a chat message: those of its text, its `tool_use` blocks, and its `tool_calls`."""
    content = message.get("content")
    blocks = content if isinstance(content, list | tuple) else []
    texts = [block for block in blocks if isinstance(block, Mapping) and isinstance(block.get("text", ""), str)]
    text = content if isinstance(content, str) else message_text({"content": texts})
    found = text_calls(text, tools)
    found += [call_of(block) for block in blocks if isinstance(block, Mapping) and block.get("type") == "tool_use"]
    written = message.get("tool_calls") or []
    return limited(found + [call_of(item) for item in (written if isinstance(written, list | tuple) else [written])])


def text_calls(text: str, tools: Tools) -> Found:
    """Returns the calls of a text."""
    text = without_stops(without_reasoning(text))
    found: Found = []
    position = 0
    while len(found) <= MOST_CALLS:
        marker = MARKER.search(text, position)
        found += unmarked_calls(text[position : marker.start() if marker else len(text)], tools)
        if marker is None:
            break
        calls, position = marked_calls(text, marker, tools)
        found += calls
    return found


def without_reasoning(text: str) -> str:
    """Returns a text without its reasoning: what precedes the last `</think>`, or follows a `<think>` left open."""
    text = text.rpartition("</think>")[2]
    return text.partition("<think>")[0]


def without_stops(text: str) -> str:
    """Returns a text without the stop tokens and the white space at its end."""
    end = len(text)
    while end:
        if text[end - 1].isspace():
            end -= 1
        elif stop := next((token for token in STOPS if text.endswith(token, 0, end)), None):
            end -= len(stop)
        else:
            break
    return text[:end]


def marked_calls(text: str, marker: re.Match[str], tools: Tools) -> tuple[Found, int]:
    """Returns the calls that a marker announces, and where the text goes on behind them."""
    kind, start = marker.group(), marker.end()
    if kind == "<tool_call>":
        end = text.find("</tool_call>", start)
        if end < 0:
            return [MalformedCall(text[marker.start() :], "</tool_call> is missing")], len(text)
        return tagged_calls(text[start:end].strip(), tools), end + len("</tool_call>")
    if kind == OPEN:
        end = text.find(CLOSE, start)
        end = len(text) if end < 0 else end + len(CLOSE)
        return [xml_call(text[marker.start() : end], tools)], end
    following = MARKER.search(text, start)
    end = following.start() if following else len(text)
    if kind == "[TOOL_CALLS]":
        return mistral_calls(text[start:end]), end
    body = text[start:end].strip()
    if body.startswith(("{", "[{")):
        return json_calls(body) or [MalformedCall(body, "it holds no JSON object")], end
    calls = python_calls(body, tools)
    return [without_call_suffix(call) for call in calls], end


def without_call_suffix(call: ToolCall | MalformedCall) -> ToolCall | MalformedCall:
    """Returns Llama's `brave_search.call(query=...)` as a call of `brave_search`."""
    if isinstance(call, ToolCall) and call.name.endswith(".call"):
        return ToolCall(call.name.removesuffix(".call"), call.arguments)
    return call


def tagged_calls(body: str, tools: Tools) -> Found:
    """Returns the calls between `<tool_call>` and `</tool_call>`: JSON, or Qwen's XML."""
    if body.startswith(OPEN):
        return [xml_call(f"{piece}{CLOSE}", tools) for piece in body.removesuffix(CLOSE).split(CLOSE)]
    try:
        value = read_json(body)
    except NotJSON as error:
        return [MalformedCall(body, str(error))]
    return [call_of(item) for item in (value if isinstance(value, list) else [value])]


def mistral_calls(body: str) -> Found:
    """Returns the calls after `[TOOL_CALLS]`: a JSON array, or later a name and its JSON arguments."""
    body = body.strip()
    named = MISTRAL_NAME.match(body)
    if named is None:
        try:
            value = read_json(body)
        except NotJSON as error:
            return [MalformedCall(body, str(error))]
        return [call_of(item) for item in (value if isinstance(value, list) else [value])]
    return [call_of({"name": named.group(1), "arguments": body[named.end() :]})]


def json_calls(body: str) -> Found:
    """Returns the calls of a text in which every JSON object is meant as one."""
    calls: Found = []
    for start, end in braced_spans(body):
        try:
            calls.append(call_of(read_json(body[start:end])))
        except NotJSON as error:
            calls.append(MalformedCall(body[start:end], str(error)))
    return calls


def unmarked_calls(text: str, tools: Tools) -> Found:
    """Returns the calls of text without markers: all of it as Python, or the calls among its words."""
    if not text.strip():
        return []
    if looks_like_calls(text) and (calls := meant_python(text, tools)):
        return calls
    spans = braced_spans(text)
    found = [(start, shaped_calls(text[start:end])) for start, end in spans]
    found += [(start, meant_python(block, tools)) for start, block in fenced_blocks(text) if looks_like_calls(block)]
    calls = [call for _, each in sorted(found, key=lambda pair: pair[0]) for call in each]
    if "{" in text and (not spans or spans[0][0] > text.index("{")):  # the first brace is never closed
        return [*calls, MalformedCall(text, "its JSON is not complete")] if LOOKS_MEANT.match(text.lstrip()) else calls
    return calls


def meant_python(text: str, tools: Tools) -> Found:
    """Returns the calls of a text of Python, unless it is rather an example: no list, and no tool that is known."""
    calls = python_calls(text, tools)
    known = tools is not None and any(isinstance(call, ToolCall) and call.name in tools for call in calls)
    return calls if known or text.lstrip().startswith("[") else []


def fenced_blocks(text: str) -> list[tuple[int, str]]:
    """Returns position and content of the Markdown code blocks."""
    return [(block.start(), block.group(1)) for block in re.finditer(r"```\w*[ \t]*\n([^`]*)```", text)]


def shaped_calls(text: str) -> Found:
    """Returns the calls that a JSON object among words is: none, unless it has the shape of one."""
    if '"name"' not in text:
        return []
    try:
        value = read_json(text)
    except NotJSON as error:
        meant = LOOKS_MEANT.match(text) is not None and any(f'"{key}"' in text for key in ARGUMENT_KEYS)
        return [MalformedCall(text, str(error))] if meant else []
    if isinstance(value.get("tool_calls"), list):
        return [call_of(item) for item in value["tool_calls"]]
    if isinstance(value.get("function"), dict):
        value = value["function"]
    shaped = isinstance(value.get("name"), str) and any(key in value for key in ARGUMENT_KEYS)
    return [call_of(value)] if shaped and set(value) <= CALL_KEYS else []
