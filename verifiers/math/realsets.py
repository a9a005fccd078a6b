"""Sets of real numbers as sorted, disjoint intervals, from interval notation, set-builders and inequalities."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from turnwise.verifiers.math.exact import Inexact, rational
from turnwise.verifiers.math.numeric import Evaluator, Undefined, context
from turnwise.verifiers.math.policy import MathPolicy, Work
from turnwise.verifiers.math.scalars import closed, is_scalar, value_of
from turnwise.verifiers.math.tree import INFINITY, ONE, Node, neg, replace, symbols, walk

_MOST_DEGREE = 8
_MOST_ABSOLUTES = 3


class Interval(NamedTuple):
    """An interval; each end is a Fraction, an mpf of 60 digits, or an infinite mpf (then open)."""

    low: Any
    low_open: bool
    high: Any
    high_open: bool


RealSet = list[Interval]


class NoRealSet(Exception):
    """The answer is no set of real numbers that can be written as intervals."""


def _float(value: Any) -> Any:
    ctx = context(60)
    return ctx.mpf(value.numerator) / value.denominator if isinstance(value, Fraction) else value


def same(a: Any, b: Any) -> bool:
    """Returns whether two ends are equal (up to 40 digits where they are irrational)."""
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        return a == b
    x, y = _float(a), _float(b)
    ctx = context(60)
    return bool(
        x == y or (ctx.isfinite(x) and ctx.isfinite(y) and abs(x - y) <= ctx.mpf(10) ** -40 * max(abs(x), abs(y), 1))
    )


def less(a: Any, b: Any) -> bool:
    """Returns whether one end lies clearly below the other."""
    return not same(a, b) and bool(_float(a) < _float(b))


class Reader:
    """Turns trees into real sets; see `real_set`."""

    def __init__(self, policy: MathPolicy, work: Work) -> None:
        self.policy = policy
        self.work = work
        self.infinity = context(60).inf

    def read(self, node: Node) -> RealSet:
        self.work.spend(5)
        op, args = node.op, node.args
        if op == "reals":
            return [Interval(-self.infinity, True, self.infinity, True)]
        if op in ("interval", "tuple", "brack") and len(args) == 2:
            left_open, right_open = node.value if op == "interval" else (op == "tuple", op == "tuple")
            return self.interval(args[0], left_open, args[1], right_open)
        if op == "set":
            return union([self.point(arg) for arg in args])
        if op == "union":
            return union([self.read(arg) for arg in args])
        if op == "inter":
            return intersection(self.read(args[0]), self.read(args[1]))
        if op == "minus":
            return intersection(self.read(args[0]), complement(self.read(args[1]), self.infinity))
        if op == "builder":
            return self.builder(args[0], args[1])
        if op == "rel":
            return self.relation(node)
        if op == "list" and all(arg.op == "rel" for arg in args):
            return self.statements(node)
        raise NoRealSet(op)

    def point(self, node: Node) -> RealSet:
        value = self.end(node)
        return [Interval(value, False, value, False)]

    def end(self, node: Node) -> Any:
        value = value_of(node, self.policy, self.work) if is_scalar(node) and closed(node) else None
        if value is None:
            raise NoRealSet("an end that is no number")
        return value

    def interval(self, low: Node, low_open: bool, high: Node, high_open: bool) -> RealSet:
        a, b = self.end(low), self.end(high)
        if less(b, a) or (same(a, b) and (low_open or high_open)):
            return []
        return [
            Interval(a, low_open or abs(_float(a)) == self.infinity, b, high_open or abs(_float(b)) == self.infinity)
        ]

    def builder(self, element: Node, condition: Node) -> RealSet:
        if element.op == "rel" and element.value == ("∈",) and element.args[0].op == "sym":
            return intersection(self.read(element.args[1]), self.read(condition))
        if element.op != "sym":
            raise NoRealSet("a set of expressions")
        return self.read(condition)

    def statements(self, node: Node) -> RealSet:
        names = {name for arg in node.args for name in symbols(arg)}
        if len(names) != 1:
            raise NoRealSet("several variables")
        sets = [self.read(arg) for arg in node.args]
        if node.value == "or":
            return union(sets)
        both = sets[0]
        for other in sets[1:]:
            both = intersection(both, other)
        # "x < 1, x > 3" cannot mean both at once.
        return union(sets) if not both and node.value == "," else both

    def relation(self, node: Node) -> RealSet:
        if node.value == ("∈",) and node.args[0].op == "sym":
            return self.read(node.args[1])
        if not set(node.value) <= {"<", ">", "≤", "≥", "=", "≠"}:
            raise NoRealSet("a relation of another kind")
        result = [Interval(-self.infinity, True, self.infinity, True)]
        for left, operator, right in zip(node.args, node.value, node.args[1:], strict=False):
            result = intersection(result, self.solve(left, operator, right))
        return result

    def solve(self, left: Node, operator: str, right: Node) -> RealSet:
        """Solves one relation in one variable."""
        if right.op == "sym" and closed(left):
            flipped = {"<": ">", ">": "<", "≤": "≥", "≥": "≤"}
            left, operator, right = right, flipped.get(operator, operator), left
        if left.op == "sym" and is_scalar(right) and closed(right):
            return self.half_line(operator, self.end(right))
        names = symbols(left) | symbols(right)
        if len(names) != 1 or not (is_scalar(left) and is_scalar(right)):
            raise NoRealSet("not one variable")
        return self.by_signs(Node("add", (left, neg(right))), next(iter(names)), operator)

    def half_line(self, operator: str, value: Any) -> RealSet:
        infinity = self.infinity
        below = [Interval(-infinity, True, value, operator != "≤")]
        above = [Interval(value, operator != "≥", infinity, True)]
        if abs(_float(value)) == infinity:
            whole = [Interval(-infinity, True, infinity, True)]
            return whole if (operator in "<≤") == (_float(value) > 0) else []
        cases = {"<": below, "≤": below, ">": above, "≥": above, "=": [Interval(value, False, value, False)]}
        return cases[operator] if operator in cases else union([below, above])

    def by_signs(self, difference: Node, name: str, operator: str) -> RealSet:
        """Finds where a rational function (with absolute values) has the wanted sign, between its zeros and poles."""
        zeros, poles = self.critical(difference, name)
        cuts: list[Any] = []
        for value in sorted([*zeros, *poles], key=_float):
            if not cuts or not same(cuts[-1], value):
                cuts.append(value)
        pieces: RealSet = []
        edges = [-self.infinity, *cuts, self.infinity]
        for low, high in itertools.pairwise(edges):
            sign = self.sign(difference, name, _between(low, high, self.infinity))
            if _holds(sign, operator):
                pieces.append(Interval(low, True, high, True))
        for cut in cuts:
            if any(same(cut, pole) for pole in poles):
                continue
            if _holds(self.sign(difference, name, cut), operator):
                pieces.append(Interval(cut, False, cut, False))
        return union([[piece] for piece in pieces])

    def sign(self, node: Node, name: str, at: Any) -> int:
        if isinstance(at, Fraction):
            found = rational(
                replace(node, lambda item: Node("num", (), at) if item == Node("sym", (), name) else None), self.work
            )
            return (found > 0) - (found < 0)
        evaluator = Evaluator(context(60), self.work, {name: at}, "e")
        try:
            value = evaluator.value(node)
        except Undefined:
            raise NoRealSet("no value at a cut") from None
        return 0 if abs(value) < evaluator.largest * context(60).mpf(10) ** -20 else int(context(60).sign(value))

    def critical(self, node: Node, name: str) -> tuple[list[Any], list[Any]]:
        absolutes = list(dict.fromkeys(item for item in walk(node) if item.op == "call" and item.value == "abs"))
        if len(absolutes) > _MOST_ABSOLUTES:
            raise NoRealSet("too many absolute values")
        zeros: list[Any] = []
        poles: list[Any] = []
        for signs in itertools.product((False, True), repeat=len(absolutes)):
            chosen = dict(zip(absolutes, signs, strict=True))

            def pick(item: Node, chosen: dict[Node, bool] = chosen) -> Node | None:
                if item.op == "call" and item.value == "abs":
                    return neg(item.args[0]) if chosen.get(item) else item.args[0]
                return None

            top, bottom = Quotient(name, self.work).of(replace(node, pick))
            zeros += roots(top, self.work)
            poles += roots(bottom, self.work)
        for item in absolutes:
            top, _ = Quotient(name, self.work).of(item.args[0])
            zeros += roots(top, self.work)
        return zeros, poles


def _holds(sign: int, operator: str) -> bool:
    return {"<": sign < 0, ">": sign > 0, "≤": sign <= 0, "≥": sign >= 0, "=": sign == 0, "≠": sign != 0}[operator]


def _between(low: Any, high: Any, infinity: Any) -> Fraction:
    """Returns a rational number strictly between two ends."""
    a, b = _float(low), _float(high)
    if a == -infinity and b == infinity:
        return Fraction(0)
    middle = b - 1 if a == -infinity else a + 1 if b == infinity else (a + b) / 2
    return Fraction(context(60).nstr(middle, 50, min_fixed=-(10**6), max_fixed=10**6))


Polynomial = list[Fraction]  # coefficients, the constant first


class Quotient:
    """Reads a rational function of one variable as numerator and denominator."""

    def __init__(self, name: str, work: Work) -> None:
        self.name = name
        self.work = work

    def of(self, node: Node) -> tuple[Polynomial, Polynomial]:
        self.work.spend(5)
        op = node.op
        if node == Node("sym", (), self.name):
            return [Fraction(0), Fraction(1)], [Fraction(1)]
        if not symbols(node):
            try:
                return [rational(node, self.work)], [Fraction(1)]
            except Inexact as inexact:
                raise NoRealSet("irrational coefficients") from inexact
        if op == "add":
            total: tuple[Polynomial, Polynomial] = ([Fraction(0)], [Fraction(1)])
            for arg in node.args:
                top, bottom = self.of(arg)
                total = (_plus(_times(total[0], bottom), _times(top, total[1])), _times(total[1], bottom))
            return total
        if op == "neg":
            top, bottom = self.of(node.args[0])
            return [-value for value in top], bottom
        if op in ("mul", "div"):
            (top, bottom), (other, under) = self.of(node.args[0]), self.of(node.args[1])
            if op == "div":
                other, under = under, other
            return _times(top, other), _times(bottom, under)
        if op == "pow" and node.args[1].op == "num" and node.args[1].value in range(1, _MOST_DEGREE + 1):
            top, bottom = self.of(node.args[0])
            power: tuple[Polynomial, Polynomial] = ([Fraction(1)], [Fraction(1)])
            for _ in range(int(node.args[1].value)):
                power = (_times(power[0], top), _times(power[1], bottom))
            return power
        raise NoRealSet("not a rational function")


def _times(a: Polynomial, b: Polynomial) -> Polynomial:
    if len(a) + len(b) > 2 * _MOST_DEGREE + 2:
        raise NoRealSet("a degree too high")
    product = [Fraction(0)] * (len(a) + len(b) - 1)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            product[i + j] += x * y
    return product


def _plus(a: Polynomial, b: Polynomial) -> Polynomial:
    return [x + y for x, y in itertools.zip_longest(a, b, fillvalue=Fraction(0))]


def roots(polynomial: Polynomial, work: Work) -> list[Any]:
    """Returns the real roots: exact where they are rational and the degree is at most 2."""
    while polynomial and not polynomial[-1]:
        polynomial = polynomial[:-1]
    degree = len(polynomial) - 1
    if degree < 1:
        return []
    if degree > _MOST_DEGREE:
        raise NoRealSet("a degree too high")
    if degree == 1:
        return [-polynomial[0] / polynomial[1]]
    ctx = context(60)
    if degree == 2:
        c, b, a = polynomial
        discriminant = b * b - 4 * a * c
        if discriminant < 0:
            return []
        try:
            root: Any = rational(Node("pow", (Node("num", (), discriminant), Node("num", (), Fraction(1, 2)))), work)
            return [(-b - root) / (2 * a), (-b + root) / (2 * a)]
        except Inexact:
            root = ctx.sqrt(_float(discriminant))
            return [(_float(-b) - root) / _float(2 * a), (_float(-b) + root) / _float(2 * a)]
    work.spend(2_000)
    found = ctx.polyroots([_float(value) for value in reversed(polynomial)], maxsteps=200, extraprec=200, error=False)
    real = [ctx.re(root) for root in found if abs(ctx.im(root)) < ctx.mpf(10) ** -25]
    return [_rounded(root, polynomial) for root in real]


def _rounded(root: Any, polynomial: Polynomial) -> Any:
    """Returns a root as a Fraction if a small one is exactly a root."""
    guess = Fraction(context(60).nstr(root, 40, min_fixed=-(10**6), max_fixed=10**6)).limit_denominator(10**6)
    total = Fraction(0)
    for value in reversed(polynomial):
        total = total * guess + value
    return guess if not total else root


def union(sets: Iterable[RealSet]) -> RealSet:
    """Returns the union, sorted, with touching intervals joined."""
    pieces = sorted(
        (piece for pieces in sets for piece in pieces), key=lambda piece: (_float(piece.low), piece.low_open)
    )
    joined: RealSet = []
    for piece in pieces:
        if joined:
            last = joined[-1]
            touching = same(last.high, piece.low) and not (last.high_open and piece.low_open)
            if touching or less(piece.low, last.high):
                if same(piece.high, last.high):
                    joined[-1] = last._replace(high_open=last.high_open and piece.high_open)
                elif less(last.high, piece.high):
                    joined[-1] = last._replace(high=piece.high, high_open=piece.high_open)
                if same(piece.low, last.low):
                    joined[-1] = joined[-1]._replace(low_open=last.low_open and piece.low_open)
                continue
        joined.append(piece)
    return joined


def intersection(first: RealSet, second: RealSet) -> RealSet:
    """Returns the intersection."""
    pieces = []
    for a in first:
        for b in second:
            low, low_open = (
                (a.low, a.low_open or (same(a.low, b.low) and b.low_open))
                if not less(a.low, b.low)
                else (b.low, b.low_open)
            )
            high, high_open = (
                (a.high, a.high_open or (same(a.high, b.high) and b.high_open))
                if not less(b.high, a.high)
                else (b.high, b.high_open)
            )
            if less(low, high) or (same(low, high) and not low_open and not high_open):
                pieces.append(Interval(low, low_open, high, high_open))
    return union([pieces])


def complement(pieces: RealSet, infinity: Any) -> RealSet:
    """Returns what is not in the set."""
    result = []
    low, low_open = -infinity, True
    for piece in pieces:
        if less(low, piece.low) or (same(low, piece.low) and not low_open and piece.low_open):
            result.append(Interval(low, low_open, piece.low, not piece.low_open))
        low, low_open = piece.high, not piece.high_open
    if _float(low) != infinity:
        result.append(Interval(low, low_open, infinity, True))
    return result


def same_set(first: Sequence[Interval], second: Sequence[Interval]) -> bool:
    """Returns whether two normal forms are the same set."""
    return len(first) == len(second) and all(
        same(a.low, b.low) and same(a.high, b.high) and a.low_open == b.low_open and a.high_open == b.high_open
        for a, b in zip(first, second, strict=True)
    )


def real_set(node: Node, policy: MathPolicy, work: Work) -> RealSet:
    """Returns an answer as a set of real numbers.

    Raises:
        NoRealSet: It is none, or not one that can be written as intervals here.
        OverBudget: It would cost too much.
    """
    try:
        return Reader(policy, work).read(node)
    except Inexact as inexact:
        raise NoRealSet(str(inexact)) from inexact


__all__ = ["INFINITY", "ONE", "Interval", "NoRealSet", "RealSet", "real_set", "same_set"]
