"""Integer expressions as trees: making, writing, reducing and evaluating them.

A tree is an integer (a leaf) or a tuple `(operator, left, right)`. Trees are immutable, so that states can share them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np

from turnwise.envs.errors import InvalidInput

Tree: TypeAlias = int | tuple[str, "Tree", "Tree"]

OPERATORS = "+-*/"
LARGEST = 10**9
"""No value inside a generated expression is larger in magnitude."""
MAX_OPERATIONS = 200
MAX_DIGITS = 9

_PRECEDENCE = {"+": 1, "-": 1, "*": 2, "/": 2}
_DIVISORS = range(2, 13)


def apply(operator: str, left: int, right: int) -> int | None:
    """Returns the value of one operation, or None where it is no integer: inexact division, or division by zero."""
    if operator == "+":
        return left + right
    if operator == "-":
        return left - right
    if operator == "*":
        return left * right
    if right == 0 or left % right:
        return None
    return left // right


def evaluate(tree: Tree) -> int:
    """Returns the value of a tree.

    Raises:
        InvalidInput: The tree divides inexactly or by zero.
    """
    if isinstance(tree, int):
        return tree
    value = apply(tree[0], evaluate(tree[1]), evaluate(tree[2]))
    if value is None:
        raise InvalidInput(f"{write(tree)} has no integer value")
    return value


def size(tree: Tree) -> int:
    """Returns how many operations a tree has."""
    return 0 if isinstance(tree, int) else 1 + size(tree[1]) + size(tree[2])


def leaves(tree: Tree) -> list[int]:
    """Returns the numbers of a tree from left to right."""
    return [tree] if isinstance(tree, int) else leaves(tree[1]) + leaves(tree[2])


def write(tree: Tree) -> str:
    """Returns the expression with as few parentheses as keep the tree: operators of one rank bind from the left."""
    if isinstance(tree, int):
        return str(tree)
    operator, left, right = tree
    rank = _PRECEDENCE[operator]
    return f"{_operand(left, rank)}{operator}{_operand(right, rank + 1)}"


def _operand(tree: Tree, rank: int) -> str:
    bare = tree >= 0 if isinstance(tree, int) else _PRECEDENCE[tree[0]] >= rank
    return write(tree) if bare else f"({write(tree)})"


def canonical(tree: Tree) -> str:
    """Returns a text that is equal for trees that differ only in the order of the operands of `+` and `*`."""
    if isinstance(tree, int):
        return str(tree)
    operands = [canonical(tree[1]), canonical(tree[2])]
    if tree[0] in "+*":
        operands.sort()
    return f"({operands[0]}{tree[0]}{operands[1]})"


def reducible(tree: Tree) -> Iterator[tuple[str, int, int]]:
    """Yields the operations whose operands are both numbers, from left to right."""
    if isinstance(tree, int):
        return
    operator, left, right = tree
    if isinstance(left, int) and isinstance(right, int):
        yield operator, left, right
    else:
        yield from reducible(left)
        yield from reducible(right)


def reduced(tree: Tree, operator: str, left: int, right: int) -> Tree | None:
    """Returns the tree with its leftmost reducible operation `left operator right` replaced by the value.

    The operands of `+` and `*` may come in either order. None if the tree has no such operation.
    """
    if isinstance(tree, int):
        return None
    own, first, second = tree
    if own == operator and isinstance(first, int) and isinstance(second, int):
        same = (first, second) == (left, right) or (operator in "+*" and (second, first) == (left, right))
        return apply(own, first, second) if same else None
    before = reduced(first, operator, left, right)
    if before is not None:
        return (own, before, second)
    after = reduced(second, operator, left, right)
    return None if after is None else (own, first, after)


def generate(rng: np.random.Generator, operations: int, digits: int, operators: str) -> Tree:
    """Draws an expression; its shape, operators and numbers are random, its values integers of bounded size.

    Division is exact by construction. Where an operator would break the bounds, the next of a random order takes its
    place; one of `+` and `-` always fits, since one of |a + b| and |a - b| is at most max(|a|, |b|).

    Args:
        rng: The source of randomness.
        operations: How many operators the expression has.
        digits: Numbers have at most this many digits.
        operators: Which operators may occur; `+` and `-` have to be among them.

    Raises:
        InvalidInput: An argument is out of bounds.
    """
    check_request(operations, digits, operators)
    return _grow(rng, operations, 10**digits, operators)[0]


def check_request(operations: int, digits: int, operators: str) -> None:
    """Raises `InvalidInput` if `generate` cannot make such expressions."""
    if not 1 <= operations <= MAX_OPERATIONS:
        raise InvalidInput(f"operations must be between 1 and {MAX_OPERATIONS}, not {operations!r}")
    if not 1 <= digits <= MAX_DIGITS:
        raise InvalidInput(f"digits must be between 1 and {MAX_DIGITS}, not {digits!r}")
    if not {"+", "-"} <= set(operators) <= set(OPERATORS):
        raise InvalidInput(f"operators must be some of {OPERATORS!r} with '+' and '-' among them, not {operators!r}")


def _grow(rng: np.random.Generator, operations: int, bound: int, operators: str) -> tuple[Tree, int]:
    """Returns a random tree with that many operations, and its value."""
    if operations == 0:
        leaf = int(rng.integers(bound))
        return leaf, leaf
    on_the_left = int(rng.integers(operations))
    left, a = _grow(rng, on_the_left, bound, operators)
    right, b = _grow(rng, operations - 1 - on_the_left, bound, operators)
    for position in rng.permutation(len(operators)):
        operator = operators[position]
        if operator == "/" and isinstance(right, int):
            divisors = [divisor for divisor in _DIVISORS if divisor < bound and a % divisor == 0]
            if not divisors:
                continue
            right = b = divisors[int(rng.integers(len(divisors)))]
        value = apply(operator, a, b)
        if value is not None and abs(value) <= LARGEST:
            return (operator, left, right), value
    raise AssertionError("one of + and - always fits")  # pragma: no cover - see `generate`
