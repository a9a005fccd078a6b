"""The expression tree that answers are parsed to, and small functions to build and walk it.

`op` is one of

- scalars: `num` (value: Fraction), `sym` (value: name), `const` (value: "pi", "e", "i", "oo"), `add`, `mul`, `neg`,
  `div`, `pow`, `call` (value: function name), `pm` and `mp` (one or two arguments: ± and ∓), `deg` (angle in degrees),
  `big` (value: (kind, index); sums, products, integrals, limits);
- collections: `list` (value: the connective ",", "and" or "or"), `tuple`, `brack`, `set`, `interval` (value: whether
  each end is open), `matrix` (value: (rows, columns); rows one after the other),
  `cases` (pairs of value and condition);
- sets: `union`, `inter`, `minus`, `reals`, `named` (value: "Z", "N", ...), `builder` (element, condition);
- statements: `rel` (value: the operators between consecutive arguments), `mod` (residue, modulus), `ratio`,
  `qty` (value: Unit), `approx` (value said to be rounded);
- answers in words: `word` (value: a known answer such as "none"), `choice` (value: letter; the content as argument),
  `text` (value: normalised text), `time` (value: (minutes, marker)).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any, NamedTuple


class Node(NamedTuple):
    """One node; see the module's docstring for the operators."""

    op: str
    args: tuple[Node, ...] = ()
    value: Any = None


def num(value: int | Fraction) -> Node:
    """Returns a rational number."""
    return Node("num", (), Fraction(value))


def sym(name: str) -> Node:
    """Returns a variable."""
    return Node("sym", (), name)


def const(name: str) -> Node:
    """Returns "pi", "e", "i" or "oo" (infinity)."""
    return Node("const", (), name)


def call(name: str, *args: Node) -> Node:
    """Returns a function applied to arguments."""
    return Node("call", args, name)


def neg(node: Node) -> Node:
    """Returns the negative; of a number at once, so that -5 is a number."""
    return num(-node.value) if node.op == "num" else Node("neg", (node,))


PI, INFINITY = const("pi"), const("oo")
ONE, HALF = num(1), num(Fraction(1, 2))


def walk(node: Node) -> Iterator[Node]:
    """Yields every node of the tree, without recursion."""
    pending = [node]
    while pending:
        current = pending.pop()
        yield current
        pending.extend(current.args)


def depth(node: Node) -> int:
    """Returns the number of levels of the tree, without recursion."""
    levels, row = 0, [node]
    while row:
        levels, row = levels + 1, [arg for item in row for arg in item.args]
    return levels


def symbols(node: Node) -> frozenset[str]:
    """Returns the names of the free variables."""
    bound = {item.value[1] for item in walk(node) if item.op == "big"}
    return frozenset(item.value for item in walk(node) if item.op == "sym") - bound


def contains(node: Node, *ops: str) -> bool:
    """Returns whether a node of one of these operators is in the tree."""
    return any(item.op in ops for item in walk(node))


def replace(node: Node, change: Callable[[Node], Node | None]) -> Node:
    """Returns the tree with `change` applied from the leaves up; `change` returns None to leave a node as it is."""
    if node.args:
        node = Node(node.op, tuple(replace(arg, change) for arg in node.args), node.value)
    changed = change(node)
    return node if changed is None else changed


def word_list(text: str) -> list[str]:
    """Returns the words of a text: long tables of names read better so than as lists of quoted strings."""
    return text.split()
