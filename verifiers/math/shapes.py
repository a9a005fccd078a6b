"""Rewrites that bring answers to comparable shapes: ± written out, names set apart from values, units from numbers."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple

from turnwise.verifiers.math.policy import OverBudget
from turnwise.verifiers.math.tree import Node, contains, neg, replace, symbols, walk
from turnwise.verifiers.math.units import Unit

_MOST_SIGNS = 5


def expand_signs(node: Node) -> Node:
    """Writes ± out as a list: `1 ± 2` -> `3 or -1`. Several ± vary freely, unless ∓ ties them all together."""
    if not contains(node, "pm", "mp"):
        return node
    if node.op in ("list", "set"):
        items: list[Node] = []
        for arg in node.args:
            expanded = expand_signs(arg)
            items += expanded.args if expanded.op == "list" else [expanded]
        return Node(node.op, tuple(items), node.value)
    if node.op == "rel" and node.value == ("=",) and not contains(node.args[0], "pm", "mp"):
        values = expand_signs(node.args[1])
        return Node("list", tuple(Node("rel", (node.args[0], value), ("=",)) for value in values.args), "or")
    if node.op == "rel" and node.value == ("≠",) and not contains(node.args[0], "pm", "mp"):
        values = expand_signs(node.args[1])
        return Node("list", tuple(Node("rel", (node.args[0], value), ("≠",)) for value in values.args), "and")
    places = sum(item.op in ("pm", "mp") for item in walk(node))
    if places > _MOST_SIGNS:
        raise OverBudget(f"{places} signs ±")
    tied = contains(node, "mp")
    choices = [(True,) * places, (False,) * places] if tied else list(itertools.product((True, False), repeat=places))
    return Node("list", tuple(_with_signs(node, list(choice)) for choice in choices), "or")


def _with_signs(node: Node, plus: list[bool]) -> Node:
    def change(item: Node) -> Node | None:
        if item.op not in ("pm", "mp"):
            return None
        positive = plus.pop() == (item.op == "pm")
        last = item.args[-1] if positive else neg(item.args[-1])
        return last if len(item.args) == 1 else Node("add", (item.args[0], last))

    return replace(node, change)


class Labelled(NamedTuple):
    """An answer with the names it gives its values.

    Attributes:
        labels: The names, sorted, or () if there are none.
        node: The value; a tuple in the order of `labels` if there are several names.
        false: Whether it states an equation between numbers that does not hold.
    """

    labels: tuple[str, ...]
    node: Node
    false: bool = False


def label_of(node: Node) -> str | None:
    """Returns the name that the left side of an equation is (`x`, `f(x)`, `AB`, `dy/dx`); None for an expression."""
    if node.op == "sym":
        return str(node.value)
    if node.op == "call" and node.value.startswith("user:"):
        return (
            f"{node.value[5:]}({', '.join(map(repr, node.args))})"
            if node.args != (Node("sym", (), "x"),)
            else f"{node.value[5:]}(x)"
        )
    if node.op == "call" and node.value == "abs" and node.args[0].op == "mul":
        return label_of(node.args[0])
    if node.op == "add" and all(arg.op == "sym" for arg in node.args) and not symbols(node) & {"x", "y", "z"}:
        return "+".join(sorted(symbols(node)))
    if node.op == "mul" and all(item.op in ("mul", "sym", "tuple") for item in walk(node)):
        return "".join(sorted(symbols(node))) if _product_is_name(node) else None
    if node.op == "div" and all(item.op in ("mul", "sym", "div") for item in walk(node)) and "d" in symbols(node):
        return repr(node)
    return None


def _product_is_name(node: Node) -> bool:
    """Whether a product of letters names something, as AB names a segment."""
    return all(item.value[0].isupper() for item in walk(node) if item.op == "sym")


def labelled(node: Node) -> Labelled:
    """Sets names apart from values: `x = 5` -> ("x",), 5; `x = 1, y = 2` -> ("x", "y"), (1, 2)."""
    if node.op == "rel" and node.value == ("≡",) and node.args[0].op == "sym" and node.args[1].op == "mod":
        return Labelled((node.args[0].value,), node.args[1])
    if node.op == "rel" and node.value == ("∈",) and node.args[0].op == "sym" and node.args[1].op == "set":
        return Labelled((node.args[0].value,), Node("list", node.args[1].args, "or"))
    if node.op == "rel" and set(node.value) <= {"=", "≈"}:
        return _equation(node)
    if node.op == "list" and node.args and node.args[0].op == "rel":
        return _equations(node)
    return Labelled((), node)


def _equation(node: Node) -> Labelled:
    exact = node.args[: node.value.index("≈") + 1] if "≈" in node.value else node.args
    if len(exact) == 1:
        exact = node.args
    first, last = exact[0], exact[-1]
    if first.op == "tuple" and last.op in ("tuple", "brack") and len(first.args) == len(last.args):
        names = [label_of(arg) for arg in first.args]
        if all(names):
            pairs = sorted(zip([str(name) for name in names], last.args, strict=True))
            return Labelled(tuple(name for name, _ in pairs), Node("tuple", tuple(value for _, value in pairs)))
    name = label_of(first)
    if name is not None and not (symbols(first) & symbols(last) and first.op == "sym"):
        return Labelled((name,), last)
    name = label_of(last) if last.op == "sym" else None
    if name is not None and name not in symbols(first):
        return Labelled((name,), first)
    if not symbols(node) and first.op not in ("tuple", "set", "matrix", "brack"):
        return Labelled((), last, _is_false(exact))
    return Labelled((), node)


def _is_false(parts: tuple[Node, ...]) -> bool:
    """Whether a chain of equal numbers is wrong (units and irrational values are not looked into)."""
    from turnwise.verifiers.math.exact import Inexact, rational
    from turnwise.verifiers.math.policy import Budget, Work

    try:
        values = [rational(part, Work(Budget())) for part in parts]
    except Inexact:
        return False
    return len(set(values)) > 1


def _equations(node: Node) -> Labelled:
    names: list[tuple[str, ...]] = []
    values: list[Node] = []
    for arg in node.args:
        if arg.op == "rel":
            found = labelled(arg)
            if not found.labels:
                return Labelled((), node)
            names.append(found.labels)
            values.append(found.node)
        else:
            names.append(names[-1])
            values.append(arg)
    different = set(names)
    if len(different) == 1:
        flat = [item for value in values for item in (value.args if value.op == "list" else (value,))]
        return Labelled(names[0], Node("list", tuple(flat), "or"))
    if any(len(name) != 1 for name in names):
        return Labelled((), node)
    width = len(different)
    order = sorted(name[0] for name in different)
    if len(names) % width:
        return Labelled((), node)
    groups = []
    for start in range(0, len(names), width):
        group = {
            name[0]: value
            for name, value in zip(names[start : start + width], values[start : start + width], strict=True)
        }
        if len(group) != width:
            return Labelled((), node)
        groups.append(Node("tuple", tuple(group[name] for name in order)))
    return Labelled(tuple(order), groups[0] if len(groups) == 1 else Node("list", tuple(groups), "or"))


class Family(NamedTuple):
    """An answer with parameters.

    Attributes:
        node: The answer without the statements about its parameters.
        names: The parameters.
        sets: The sets they run through.
    """

    node: Node
    names: tuple[str, ...] = ()
    sets: tuple[Node, ...] = ()


def family(node: Node) -> Family:
    """Sets the statements about parameters apart: `2k pi, k in Z`."""
    if node.op != "list":
        return Family(node)
    about = [
        arg
        for arg in node.args
        if arg.op == "rel" and arg.value == ("∈",) and arg.args[0].op == "sym" and arg.args[1].op == "named"
    ]
    rest = tuple(arg for arg in node.args if arg not in about)
    if not about or not rest:
        return Family(node)
    names = tuple(arg.args[0].value for arg in about)
    return Family(
        rest[0] if len(rest) == 1 else Node("list", rest, node.value), names, tuple(arg.args[1] for arg in about)
    )


def fused(node: Node) -> Node:
    """Reads `2 hours and 30 minutes` as one quantity."""
    if node.op != "list" or len(node.args) > 3 or any(arg.op != "qty" for arg in node.args):
        return node
    dimensions = {arg.value.dimension for arg in node.args}
    sizes = {arg.value.size for arg in node.args}
    return (
        Node("add", node.args) if len(dimensions) == 1 and len(sizes) == len(node.args) and node.value != "or" else node
    )


def matrix_of(node: Node) -> Node | None:
    """Returns the matrix that sums, products and transposes of matrices come to; None if the node is none."""
    if node.op == "matrix":
        return node
    if node.op == "neg":
        inner = matrix_of(node.args[0])
        return None if inner is None else _entrywise(inner, neg)
    if node.op == "pow" and node.args[1] in (Node("sym", (), "T"), Node("sym", (), "top")):
        inner = matrix_of(node.args[0])
        if inner is None:
            return None
        rows, columns = inner.value
        return Node(
            "matrix",
            tuple(inner.args[row * columns + column] for column in range(columns) for row in range(rows)),
            (columns, rows),
        )
    if node.op == "add":
        parts = [matrix_of(arg) for arg in node.args]
        shapes = {None if part is None else part.value for part in parts}
        if len(shapes) != 1 or None in shapes:
            return None
        entries = zip(*(part.args for part in parts if part is not None), strict=True)
        return Node("matrix", tuple(Node("add", tuple(entry)) for entry in entries), shapes.pop())
    if node.op in ("mul", "div") and contains(node, "matrix"):
        return _matrix_product(node)
    return None


def _entrywise(matrix: Node, change: Callable[[Node], Node]) -> Node:
    return Node("matrix", tuple(change(entry) for entry in matrix.args), matrix.value)


def _matrix_product(node: Node) -> Node | None:
    left, right = node.args
    first, second = matrix_of(left), matrix_of(right)
    if first is not None and second is None and not contains(right, "matrix"):
        return _entrywise(first, lambda entry: Node(node.op, (entry, right)))
    if node.op == "div" or second is None:
        return None
    if first is None:
        return None if contains(left, "matrix") else _entrywise(second, lambda entry: Node("mul", (left, entry)))
    (rows, inner), (height, columns) = first.value, second.value
    if inner != height or rows * columns * inner > 1_000:
        return None
    entries = [
        Node("add", tuple(Node("mul", (first.args[i * inner + k], second.args[k * columns + j])) for k in range(inner)))
        for i in range(rows)
        for j in range(columns)
    ]
    return Node("matrix", tuple(entries), (rows, columns))


def quantity(node: Node) -> tuple[Node | None, Unit | None]:
    """Sets a number apart from its unit: signs and sums of quantities of one dimension included.

    Returns:
        The number and the unit; (node, None) without a unit; (None, None) if the units do not add.
    """
    if node.op == "qty":
        inner, unit = quantity(node.args[0])
        return (inner, node.value) if unit is None else (None, None)
    if not contains(node, "qty"):
        return node, None
    if node.op == "neg":
        value, unit = quantity(node.args[0])
        return (None if value is None else neg(value)), unit
    if node.op == "deg":
        return node, None
    if node.op != "add":
        return None, None
    total: list[Node] = []
    unit = None
    for arg in node.args:
        value, found = quantity(arg)
        if value is None or found is None or (unit is not None and found.dimension != unit.dimension):
            return None, None
        unit = unit or found
        total.append(value if found.size == unit.size else Node("mul", (value, Node("div", (found.size, unit.size)))))
    return Node("add", tuple(total)), unit
