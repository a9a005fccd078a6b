"""Calls in Qwen's XML, `<function=name><parameter=x>value</parameter></function>`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from turnwise.verifiers.json_text import NotJSON, read_json
from turnwise.verifiers.tools.calls import MalformedCall, NotACall, ToolCall, arguments_of
from turnwise.verifiers.tools.schemas import Tool

OPEN, CLOSE = "<function=", "</function>"
PARAMETER, PARAMETER_END = "<parameter=", "</parameter>"


def xml_call(text: str, tools: Mapping[str, Tool] | None) -> ToolCall | MalformedCall:
    """Returns the call of a text from `<function=` to `</function>`; JSON between the tags is Llama's form of it."""
    try:
        return strict_xml_call(text, tools)
    except NotACall as error:
        return MalformedCall(text, str(error))


def strict_xml_call(text: str, tools: Mapping[str, Tool] | None) -> ToolCall:
    """`xml_call`, raising `NotACall`."""
    text = text.strip()
    if not text.endswith(CLOSE):
        raise NotACall(f"{CLOSE} is missing")
    name, closed, body = text[len(OPEN) : -len(CLOSE)].partition(">")
    name = name.strip().strip("\"'")
    if not closed or not name:
        raise NotACall("it names no tool")
    if body.lstrip().startswith("{"):
        return ToolCall(name, arguments_of(body))
    tool = (tools or {}).get(name)
    arguments: dict[str, Any] = {}
    for piece in parameters_of(body):
        key, closed, value = piece.partition(">")
        key = key.strip().strip("\"'")
        if not closed or not key or key in arguments:
            raise NotACall("a parameter has no name" if key not in arguments else f"{key[:60]!r} is given twice")
        arguments[key] = typed(value, None if tool is None else tool.properties.get(key, {"type": "string"}))
    return ToolCall(name, arguments)


def parameters_of(body: str) -> list[str]:
    """Returns what stands between `<parameter=` and `</parameter>`, name included, for each parameter.

    Raises:
        NotACall: A parameter is not closed, or other text stands around them.
    """
    pieces, position = [], 0
    while (start := body.find(PARAMETER, position)) >= 0:
        end = body.find(PARAMETER_END, start)
        if end < 0 or body[position:start].strip():
            raise NotACall(f"{PARAMETER_END} is missing" if end < 0 else "text stands between its parameters")
        pieces.append(body[start + len(PARAMETER) : end])
        position = end + len(PARAMETER_END)
    if body[position:].strip():
        raise NotACall("text stands after its parameters")
    return pieces


def typed(text: str, schema: Any) -> Any:
    """Returns the value of a parameter, which XML writes without its type: the schema's says what it is.

    One newline at each end belongs to the layout. Strings are taken as they are; other types are JSON, or Python's
    names of true, false and null. Without a schema the text is JSON if it can be, else a string.
    """
    text = text.removeprefix("\n").removesuffix("\n")
    kinds = schema.get("type", ()) if isinstance(schema, Mapping) else ()
    kinds = [kinds] if isinstance(kinds, str) else list(kinds)
    if "string" in kinds and (len(kinds) == 1 or text.strip() not in ("null", "None")):
        return text
    bare = text.strip()
    try:
        return read_json({"True": "true", "False": "false", "None": "null"}.get(bare, bare))
    except NotJSON:
        return text
