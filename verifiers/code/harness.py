"""The program that calls a solution's function, inside the sandbox, and sends back what it returned.

It is handed to the sandbox as text and imports nothing of turnwise; the host imports it for `encode` and `decode`. It
is given the solution, the arguments and a nonce over a private descriptor, never what is expected. The solution shares
its process and can do to it what it likes: all that leaves is a value, written as JSON, which the host compares.

A value is a tree: None, bool, str and integers of machine size as they are, everything else an object with one key, the
name of its type. Types are compared by identity, so that a subclass with its own `__eq__` is a value of another type.
"""

from __future__ import annotations

import itertools
import json
import os
import struct
import sys
import types
from base64 import b64decode, b64encode
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterable
from typing import Any

LENGTH = struct.Struct(">I")
SMALL = 1 << 53
REQUEST, REPLY = 3, 4
LAZY: set[Any] = {
    *(types.GeneratorType, range, map, filter, zip, enumerate, reversed, deque),
    *(type({}.keys()), type({}.values()), type({}.items())),
    *map(type, map(iter, ([], (), {}, set(), "", range(0), b""))),
    *(type(reversed([])), type(iter({}.values())), type(iter({}.items()))),
    *(itertools.chain, itertools.islice, itertools.permutations, itertools.combinations, itertools.product),
    *(itertools.accumulate, itertools.takewhile, itertools.dropwhile, itertools.starmap, itertools.zip_longest),
}
"""Types whose values stand for the list of what they yield."""

MAPPINGS: set[type] = {dict, OrderedDict, defaultdict, Counter}


def encode(value: Any) -> Any:
    """Returns the tree of a value. A value of any other type becomes {"other": name}, which equals nothing expected."""
    kind = type(value)
    if value is None or kind is bool or kind is str or (kind is int and -SMALL < value < SMALL):
        return value
    if kind is int:
        return {"int": hex(value)}
    if kind is float:
        return {"float": value.hex()}
    if kind is complex:
        return {"complex": [value.real.hex(), value.imag.hex()]}
    if kind is bytes or kind is bytearray:
        return {kind.__name__: b64encode(value).decode()}
    if is_one_of(kind, MAPPINGS):
        return {"dict": [[encode(key), encode(item)] for key, item in value.items()]}
    if is_one_of(kind, (list, tuple, set, frozenset)):
        return {kind.__name__: [encode(item) for item in value]}
    if is_one_of(kind, LAZY):
        return {"list": [encode(item) for item in value]}
    return {"other": str(type.__dict__["__name__"].__get__(kind))}


def is_one_of(kind: type, kinds: Iterable[type]) -> bool:
    """Whether a type is one of these, by identity: `in` would ask the type's metaclass, which the solution may own."""
    return any(kind is known for known in kinds)


def decode(tree: Any) -> Any:
    """Returns the value of a tree; the opposite of `encode`.

    Raises:
        ValueError: It is no such tree.
    """
    if not isinstance(tree, dict):
        return tree
    ((name, content),) = tree.items()
    if name == "int":
        return int(content, 16)
    if name == "float":
        return float.fromhex(content)
    if name == "complex":
        return complex(*map(float.fromhex, content))
    if name in ("bytes", "bytearray"):
        return {"bytes": bytes, "bytearray": bytearray}[name](b64decode(content))
    if name == "dict":
        return {decode(key): decode(item) for key, item in content}
    if name in ("list", "tuple", "set", "frozenset"):
        return {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}[name](map(decode, content))
    raise ValueError(f"{name!r} is no type of value")


def find(module: types.ModuleType, path: str) -> Any:
    """Returns the function of that name, or the method of a class, which is instantiated; LeetCode's `Solution` too."""
    found: Any = module
    names = path.split(".")
    if len(names) == 1 and not hasattr(module, path) and hasattr(module, "Solution"):
        names = ["Solution", path]
    for name in names:
        found = getattr(found, name)
        if isinstance(found, type) and name != names[-1]:
            found = found()
    return found


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Returns how far the solution came, and what it returned or raised."""
    stage = "compile"
    try:
        code = compile(request["code"], "solution.py", "exec", dont_inherit=True)
        stage = "load"
        module = types.ModuleType("solution")
        sys.modules["solution"] = module
        exec(code, module.__dict__)
        stage = "call"
        function = find(module, request["entry_point"])
        arguments = [decode(tree) for tree in request["args"]]
        named = {name: decode(tree) for name, tree in request["kwargs"].items()}
        return {"stage": "done", "value": encode(function(*arguments, **named))}
    except BaseException as error:  # noqa: BLE001 - also SystemExit and KeyboardInterrupt are how a solution ended
        return {"stage": stage, "raised": type.__dict__["__name__"].__get__(type(error)), "said": words_of(error)}


def words_of(error: BaseException) -> str:
    """Returns an exception's message, which may itself raise."""
    try:
        return str(error)[:500]
    except BaseException:  # noqa: BLE001 - it is the solution's own `__str__`
        return ""


def main() -> None:
    """Reads the request, calls the solution, writes the reply and ends the process without further ado."""
    write, dumps, leave = os.write, json.dumps, os._exit
    request = bytearray()
    while chunk := os.read(REQUEST, 1 << 16):
        request += chunk
    asked = json.loads(request)
    nonce = asked.pop("nonce")
    body = dumps({**answer(asked), "nonce": nonce}).encode("ascii")
    view = LENGTH.pack(len(body)) + body
    while view:
        view = view[write(REPLY, view) :]
    leave(0)


if __name__ == "__main__":
    main()
