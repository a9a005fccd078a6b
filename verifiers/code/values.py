"""Comparison of what a solution returned with what was expected, as trees (see `turnwise.verifiers.code.harness`)."""

from __future__ import annotations

import json
import math
from typing import Any

from turnwise.verifiers.code.harness import decode, encode
from turnwise.verifiers.errors import InvalidInput

SHOWN = 200
"""How many characters of a value stand in the evidence."""

UNORDERED = ("dict", "set", "frozenset")


def expected_tree(value: Any, name: str) -> Any:
    """Returns the tree of a value that a test states.

    Raises:
        InvalidInput: It holds something that is not plain data.
    """
    tree = encode(value)
    if '"other"' in json.dumps(tree):
        try:
            decode(tree)
        except (ValueError, TypeError) as error:
            raise InvalidInput(f"{name}={value!r}: tests state plain data (numbers, text, lists, ...)") from error
    return tree


def canonical(tree: Any) -> str:
    """Returns text that two trees share exactly when their values are equal and of the same types throughout."""
    return json.dumps(_sorted(tree), sort_keys=True)


def _sorted(tree: Any) -> Any:
    if not isinstance(tree, dict):
        return tree
    ((name, content),) = tree.items()
    if name == "float" and float.fromhex(content) == 0:
        return {"float": (0.0).hex()}
    if not isinstance(content, list):
        return tree
    items = [[_sorted(part) for part in item] if name == "dict" else _sorted(item) for item in content]
    return {name: sorted(items, key=json.dumps) if name in UNORDERED else items}


def without_tuples(tree: Any) -> Any:
    """Returns a tree in which every tuple is a list, for tests that come from JSON, which has no tuples."""
    if not isinstance(tree, dict):
        return tree
    ((name, content),) = tree.items()
    if name == "dict":
        return {"dict": [[without_tuples(key), without_tuples(item)] for key, item in content]}
    if isinstance(content, list) and name != "complex":
        return {"list" if name == "tuple" else name: [without_tuples(item) for item in content]}
    return tree


def equal(got: Any, expected: Any, tolerance: float | None = None, any_order: bool = False) -> bool:
    """Whether two trees are equal.

    Args:
        got: What the solution returned.
        expected: What it should have.
        tolerance: None, or how far numbers may lie apart, absolutely or relatively; integers and floats are then
            numbers alike, booleans never.
        any_order: Whether the order of a list or tuple does not count, at the top only.
    """
    if any_order:
        return _in_any_order(got) == _in_any_order(expected)
    if tolerance is None:
        return canonical(got) == canonical(expected)
    left, right = _number(got), _number(expected)
    if left is not None and right is not None:
        return _close(left, right, tolerance)
    if not (isinstance(got, dict) and isinstance(expected, dict) and got.keys() == expected.keys()):
        return canonical(got) == canonical(expected)
    ((name, content),) = got.items()
    (wanted,) = expected.values()
    if name in ("list", "tuple"):
        return len(content) == len(wanted) and all(map(lambda a, b: equal(a, b, tolerance), content, wanted))
    if name == "dict":
        mine, theirs = ({canonical(key): item for key, item in items} for items in (content, wanted))
        return mine.keys() == theirs.keys() and all(equal(mine[key], theirs[key], tolerance) for key in mine)
    return canonical(got) == canonical(expected)


def _in_any_order(tree: Any) -> tuple[str, list[str]]:
    if isinstance(tree, dict):
        ((name, content),) = tree.items()
        if name in ("list", "tuple"):
            return name, sorted(map(canonical, content))
    return "", [canonical(tree)]


def _number(tree: Any) -> float | int | None:
    if isinstance(tree, int) and not isinstance(tree, bool):
        return tree
    if isinstance(tree, dict) and (tree.keys() == {"float"} or tree.keys() == {"int"}):
        number: float | int = decode(tree)
        return number
    return None


def _close(left: float, right: float, tolerance: float) -> bool:
    if left == right or (left != left and right != right):
        return True
    try:
        return math.isclose(left, right, rel_tol=tolerance, abs_tol=tolerance)
    except OverflowError:  # integers beyond the floats, and not equal
        return False


def shown(tree: Any) -> str:
    """Returns a value as Python would write it, shortened."""
    if isinstance(tree, dict) and "other" in tree:
        return f"an object of type {str(tree['other'])[:SHOWN]}"
    try:
        text = repr(decode(tree))
    except (ValueError, TypeError, RecursionError):
        text = str(tree)
    return text if len(text) <= SHOWN else f"{text[: SHOWN // 2]}...{text[-SHOWN // 2 :]}"
