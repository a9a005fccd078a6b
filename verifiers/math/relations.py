"""Equality of equations and inequalities: up to a constant factor, moved terms, and order."""

from __future__ import annotations

from fractions import Fraction

from turnwise.verifiers.math.exact import PRIMES, Inexact, Residues, point, rational
from turnwise.verifiers.math.numeric import Evaluator, Undefined, context
from turnwise.verifiers.math.policy import MathPolicy, Work
from turnwise.verifiers.math.scalars import Outcome, equal_scalars, is_scalar
from turnwise.verifiers.math.tree import Node, neg, replace, symbols

_FLIPPED = {"<": ">", ">": "<", "≤": "≥", "≥": "≤"}
_ONE = Node("num", (), Fraction(1))
_DIFFERENT = Outcome(False, "different relations")


def equal_relations(a: Node, b: Node, policy: MathPolicy, work: Work) -> Outcome:
    """Decides whether two statements (relations, or lists of them in any order) say the same.

    Raises:
        OverBudget: It would cost too much to find out.
    """
    left, right = _statements(a), _statements(b)
    if len(left) != len(right):
        return Outcome(False, "different numbers of relations")
    names = _parameters(left), _parameters(right)
    if len(names[0]) == len(names[1]) == 1 and names[0] != names[1]:
        (old,), (new,) = names[1], names[0]
        right = [
            replace(item, lambda node: Node("sym", (), new) if node == Node("sym", (), old) else None) for item in right
        ]
    rest = list(right)
    for item in left:
        found = next((other for other in rest if _same(item, other, policy, work)), None)
        if found is None:
            return _DIFFERENT
        rest.remove(found)
    return Outcome(True, "relations up to a constant factor")


def _statements(node: Node) -> list[Node]:
    if node.op == "list":
        return [item for arg in node.args for item in _statements(arg)]
    if node.op == "rel" and len(node.value) > 1:
        return [
            Node("rel", (left, right), (operator,))
            for left, operator, right in zip(node.args, node.value, node.args[1:], strict=False)
        ]
    return [node]


def _parameters(statements: list[Node]) -> set[str]:
    """The names that stand for any integer: k in `2k, k in Z`."""
    return {
        item.args[0].value
        for item in statements
        if item.op == "rel" and item.value == ("∈",) and item.args[0].op == "sym" and item.args[1].op == "named"
    }


def _same(a: Node, b: Node, policy: MathPolicy, work: Work) -> bool:
    if a == b:
        return True
    if a.op != "rel" or b.op != "rel":
        return is_scalar(a) and is_scalar(b) and equal_scalars(a, b, policy, work).equal
    (operator,), (other,) = a.value, b.value
    if not all(is_scalar(arg) for arg in (*a.args, *b.args)):
        return operator == other and all(
            x == y or _values(x, y, policy, work) for x, y in zip(a.args, b.args, strict=True)
        )
    if operator in ("=", "≠", "<", ">", "≤", "≥"):
        if other not in (operator, _FLIPPED.get(operator)):
            return False
        factor = _factor(Node("add", (a.args[0], neg(a.args[1]))), Node("add", (b.args[0], neg(b.args[1]))), work)
        if factor is None:
            return operator == "=" and (_solves(a, b, policy, work) or _solves(b, a, policy, work))
        return operator in ("=", "≠") or (factor > 0) == (operator == other)
    return operator == other and all(
        equal_scalars(x, y, policy, work).equal for x, y in zip(a.args, b.args, strict=True)
    )


def _solves(definition: Node, equation: Node, policy: MathPolicy, work: Work) -> bool:
    """Whether `y = h(x)` is the only solution for y of another equation: it solves it, and that is linear in y."""
    name, value = definition.args
    if name.op != "sym" or name.value in symbols(value) or name.value not in symbols(equation):
        return False
    difference = Node("add", (equation.args[0], neg(equation.args[1])))

    def at(inserted: Node) -> Node:
        return replace(difference, lambda node: inserted if node == name else None)

    second = Node(
        "add",
        (
            at(Node("add", (name, Node("num", (), Fraction(2))))),
            neg(at(Node("add", (name, _ONE)))),
            neg(at(Node("add", (name, _ONE)))),
            difference,
        ),
    )
    zero = Node("num", (), Fraction(0))
    if equal_scalars(difference, zero, policy, work).equal:
        return False
    return all(equal_scalars(node, zero, policy, work).equal for node in (at(value), second))


def _values(x: Node, y: Node, policy: MathPolicy, work: Work) -> bool:
    return is_scalar(x) and is_scalar(y) and equal_scalars(x, y, policy, work).equal


def _factor(a: Node, b: Node, work: Work) -> Fraction | None:
    """Returns the sign (±1) of the constant factor between two expressions; None if there is none, or one is 0."""
    if not symbols(a) or not symbols(b):
        return None
    try:
        if not _proportional_residues(a, b, work):
            return None
    except Inexact:
        pass
    return _proportional_numbers(a, b, work)


def _proportional_residues(a: Node, b: Node, work: Work) -> bool:
    for prime in PRIMES:
        first = Residues(prime, work)
        moved = {name: (point(name, prime) * 7919 + 104729) % prime for name in symbols(a) | symbols(b)}
        second = Residues(prime, work, moved)
        p, q, r, s = first.value(a), first.value(b), second.value(a), second.value(b)
        if not p or not q or (p * s - q * r) % prime:
            return False
    return True


def _proportional_numbers(a: Node, b: Node, work: Work) -> Fraction | None:
    ctx = context(60)
    names = sorted(symbols(a) | symbols(b))
    ratio = None
    seen = 0
    for index in range(12):
        at: dict[str, object] = {}
        for name in names:
            value = Fraction(point(f"{name}/{index}", 1_000_003), 500_000)
            at[name] = (
                ctx.mpf(value.numerator) / value.denominator * (-1 if index % 2 and point(name, 7 + index) % 2 else 1)
            )
        try:
            values = [Evaluator(ctx, work, at, "e").value(side) for side in (a, b)]
        except (Undefined, Inexact):
            continue
        if any(isinstance(value, ctx.mpc) for value in values):
            continue
        if abs(values[1]) < ctx.mpf(10) ** -40 or abs(values[0]) < ctx.mpf(10) ** -40:
            return None
        found = values[0] / values[1]
        if ratio is not None and abs(found - ratio) > abs(ratio) * ctx.mpf(10) ** -40:
            return None
        ratio, seen = found, seen + 1
    if ratio is None or seen < 3:
        return None
    return Fraction(1 if ratio > 0 else -1)


__all__ = ["equal_relations", "rational"]
