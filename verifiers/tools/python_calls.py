"""Calls in Python's syntax, `[f(a=1), g("x")]`: parsed, never evaluated."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any

from turnwise.verifiers.json_text import DEEPEST, depth_of
from turnwise.verifiers.tools.calls import MalformedCall, NotACall, ToolCall, json_value, shown
from turnwise.verifiers.tools.schemas import Tool

LONGEST = 100_000
"""Characters of Python that are parsed: the parser is the interpreter's own, made for programs that one trusts."""

START = re.compile(r"\s*(\[\s*)?[A-Za-z_][\w.]*\s*\(")

LOOSE_ESCAPE = re.compile(r"""\\([^\n\\'"abfnrtv0-7xNuU]|\\)""")
"""Backslashes that Python keeps as they are, with a warning; and pairs of them, which must be passed over."""

Found = list[ToolCall | MalformedCall]


def looks_like_calls(text: str) -> bool:
    """Whether a whole text has the shape of one call, or of a list of calls."""
    return START.match(text) is not None and text.rstrip().endswith("]" if text.lstrip().startswith("[") else ")")


def python_calls(text: str, tools: Mapping[str, Tool] | None) -> Found:
    """Returns the calls of a text that is one call, several on lines of their own, or a list of calls.

    Values must be literals. Positional arguments take the names that the tool's schema gives, in order.
    """
    try:
        nodes = call_nodes(text)
    except NotACall as error:
        return [MalformedCall(text, str(error))]
    return [call_of_node(node, text, tools) for node in nodes]


def call_nodes(text: str) -> list[ast.expr]:
    """Returns the expressions that are meant as calls.

    Raises:
        NotACall: The text is not Python, or too long or too deep for its parser.
    """
    text = text.strip()
    if len(text) > LONGEST:
        raise NotACall(f"it has more than {LONGEST} characters")
    if depth_of(re.sub(r"[()]", lambda bracket: "[]"["()".index(bracket[0])], text)) > DEEPEST:
        raise NotACall(f"it is nested more than {DEEPEST} levels deep")
    if "r'" not in text.lower() and 'r"' not in text.lower():
        text = LOOSE_ESCAPE.sub(lambda found: found[0] if found[1] == "\\" else "\\" + found[0], text)
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise NotACall(f"it is not Python: {type(error).__name__}") from error
    nodes = [statement.value for statement in body if isinstance(statement, ast.Expr)]
    if len(nodes) < len(body):
        raise NotACall("it is more than calls")
    if len(nodes) == 1 and isinstance(nodes[0], ast.List | ast.Tuple):
        return list(nodes[0].elts)
    return nodes


def call_of_node(node: ast.expr, text: str, tools: Mapping[str, Tool] | None) -> ToolCall | MalformedCall:
    """Returns the call that an expression is."""
    try:
        if not isinstance(node, ast.Call):
            raise NotACall("it is not a call")
        name = dotted_name(node.func)
        arguments: dict[str, Any] = {}
        for key, value in [*positional(node, name, tools), *keywords(node)]:
            if key in arguments:
                raise NotACall(f"the argument {key!r} is given twice")
            arguments[key] = json_value(literal(value))
    except NotACall as error:
        segment = ast.get_source_segment(text, node) if len(text) < 1000 else None
        return MalformedCall(segment or shown(text), str(error))
    return ToolCall(name, arguments)


def dotted_name(node: ast.expr) -> str:
    """Returns `a.b.c`."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        raise NotACall("what is called is not a name")
    return ".".join([node.id, *reversed(parts)])


def positional(node: ast.Call, name: str, tools: Mapping[str, Tool] | None) -> list[tuple[str, ast.expr]]:
    """Returns the positional arguments with the names of the schema."""
    if not node.args:
        return []
    tool = (tools or {}).get(name)
    names = list(tool.properties) if tool is not None else []
    if len(names) < len(node.args):
        raise NotACall("it has positional arguments that the schema gives no names")
    return list(zip(names, node.args, strict=False))


def keywords(node: ast.Call) -> list[tuple[str, ast.expr]]:
    """Returns the arguments given by name."""
    pairs = []
    for keyword in node.keywords:
        if keyword.arg is None:
            raise NotACall("it unpacks a mapping")
        pairs.append((keyword.arg, keyword.value))
    return pairs


def literal(node: ast.expr) -> Any:
    """Returns the value of a literal of JSON's types."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.List | ast.Tuple):
        return [literal(item) for item in node.elts]
    if isinstance(node, ast.Dict):
        value: dict[Any, Any] = {}
        for key, item in zip(node.keys, node.values, strict=True):
            name = literal(key) if key is not None else None
            if not isinstance(name, str) or name in value:
                raise NotACall("a key of an object is no text, or stands twice")
            value[name] = literal(item)
        return value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        number = node.operand.value if isinstance(node.operand, ast.Constant) else None
        if isinstance(number, int | float) and not isinstance(number, bool):
            return -number if isinstance(node.op, ast.USub) else number
    raise NotACall("an argument is not a literal")
