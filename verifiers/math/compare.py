"""Whether two answers are the same, by kind: words, numbers, quantities, collections, sets, relations, matrices."""

from __future__ import annotations

import itertools
from fractions import Fraction

from turnwise.verifiers.math.answers import Answer, decimal_value
from turnwise.verifiers.math.exact import Inexact, rational
from turnwise.verifiers.math.policy import MathPolicy, OverBudget, Work
from turnwise.verifiers.math.realsets import NoRealSet, real_set, same_set
from turnwise.verifiers.math.relations import equal_relations
from turnwise.verifiers.math.scalars import Outcome, closed, equal_scalars, is_scalar, value_of
from turnwise.verifiers.math.shapes import Family, Labelled, expand_signs, family, fused, labelled, matrix_of, quantity
from turnwise.verifiers.math.tree import Node, call, contains, num, replace, sym, symbols
from turnwise.verifiers.math.units import DEGREE, Unit

_NO = Outcome(False, "different kinds of answer")
_SET_NOTATION = frozenset(["interval", "union", "inter", "minus", "reals", "builder"])
_COLLECTIONS = frozenset(["list", "tuple", "brack", "set"])
_MOST_UNORDERED = 60


class Comparison:
    """Compares two answers under one policy, counting work.

    Args:
        policy: The conventions.
        work: The verdict's step counter.
    """

    def __init__(self, policy: MathPolicy, work: Work) -> None:
        self.policy = policy
        self.work = work

    def answers(self, response: Answer, reference: Answer) -> Outcome:
        """Decides whether `response` says what `reference` says.

        Raises:
            OverBudget: It would cost too much to find out.
        """
        a, b = response.node, reference.node
        words = self.words(response, reference)
        if words is not None:
            return words
        a, b = self.without_choice(a, b)
        if a.op == "approx" or b.op == "approx":
            return self.approximate(response, reference)
        outcome = self.nodes(a, b)
        if not outcome.equal and self.policy.decimals == "reference":
            return self.rounded(a, reference, outcome)
        return outcome

    # Words, choices, roundings

    def words(self, response: Answer, reference: Answer) -> Outcome | None:
        """Compares where one side is words or a choice; None if both are mathematics."""
        a, b = response.node, reference.node
        if a.op == "word" or b.op == "word":
            if a.op == b.op:
                return Outcome(a.value == b.value, "known answer")
            other, word = (a, b.value) if b.op == "word" else (b, a.value)
            if word == "none":
                return Outcome(other.op == "set" and not other.args, "known answer")
            return Outcome(word == "infinite" and other == Node("const", (), "oo"), "known answer")
        if a.op == "choice" and b.op == "choice":
            return Outcome(a.value == b.value, "choice")
        if a.op == "text" or b.op == "text":
            if response.plain and response.plain == reference.plain:
                return Outcome(True, "same text")
            for node in (a, b):
                if node.op == "text" and not node.value[1]:
                    raise OverBudget("notation that the grammar does not know")
            return Outcome(False, "different text")
        return None

    def without_choice(self, a: Node, b: Node) -> tuple[Node, Node]:
        """Reads "C" as a choice where the other side is one, and "(C) 12" as 12 where it is not."""
        for _ in range(2):
            if a.op == "choice":
                if b.op == "sym" and len(b.value) == 1:
                    return sym(a.value), sym(b.value.upper()) if b.value == b.value.upper() else b
                a = a.args[0] if a.args else sym(a.value)
            a, b = b, a
        return a, b

    def approximate(self, response: Answer, reference: Answer) -> Outcome:
        """Compares with a value that is said to be rounded: to the places it shows."""
        a, b = (node.args[0] if node.op == "approx" else node for node in (response.node, reference.node))
        outcome = self.nodes(a, b)
        if outcome.equal or reference.node.op != "approx" or b.op != "num":
            return outcome
        return self.rounds_to(a, b.value, _places(b.value))

    def rounded(self, a: Node, reference: Answer, outcome: Outcome) -> Outcome:
        """Compares with a decimal reference to the places it shows (`decimals="reference"`)."""
        value = decimal_value(reference)
        if value is None or reference.decimals is None:
            return outcome
        return self.rounds_to(a, value, reference.decimals)

    def rounds_to(self, node: Node, value: Fraction, places: int) -> Outcome:
        """Whether a closed expression rounds to a decimal."""
        if not (is_scalar(node) and closed(node)):
            return _NO
        found = value_of(node, self.policy, self.work)
        if found is None:
            return _NO
        if not isinstance(found, Fraction):
            found = Fraction(str(found))
        return Outcome(abs(found - value) <= Fraction(1, 2 * 10**places), f"rounded to {places} places")

    # Trees

    def nodes(self, a: Node, b: Node) -> Outcome:
        """Decides whether two trees are the same answer."""
        if a == b:
            return Outcome(True, "identical")
        self.work.spend()
        a, b = expand_signs(a), expand_signs(b)
        if a.op == "time" or b.op == "time":
            return self.times(a, b)
        a, b = (
            labelled(node).node if node.op == "rel" and node.value == ("≡",) and other.op != "rel" else node
            for node, other in ((a, b), (b, a))
        )
        if a.op == "mod" or b.op == "mod":
            return self.residues(a, b)
        first, second = family(a), family(b)
        if (first.names and second.names) or ((first.names or second.names) and not (_as_set(a) or _as_set(b))):
            return self.families(first, second)
        if (a.op == "list") != (b.op == "list"):
            a, b = fused(a), fused(b)
        left, right = labelled(a), labelled(b)
        if left.false or right.false:
            return Outcome(False, "an equation that does not hold")
        if left.labels or right.labels:
            return self.labels(left, right, a, b)
        a, b = left.node, right.node
        if _is_relation(a) and _is_relation(b) and not (_as_set(a) and _as_set(b)):
            return equal_relations(a, b, self.policy, self.work)
        if self.real_sets_wanted(a, b):
            outcome = self.real_sets(a, b)
            if outcome is not None:
                return outcome
        if a.op == "rel" or b.op == "rel":
            return equal_relations(a, b, self.policy, self.work) if a.op == b.op else _NO
        return self.values(a, b)

    def families(self, a: Family, b: Family) -> Outcome:
        """Compares answers with a parameter, `2k pi, k in Z`: any name will do, and one side may leave its set out."""
        if a.names and b.names and (len(a.names) != len(b.names) or a.sets != b.sets):
            return Outcome(False, "different parameters")
        renamed = dict(zip(b.names, a.names, strict=True)) if a.names and b.names else {}
        other = replace(
            b.node, lambda node: sym(renamed[node.value]) if node.op == "sym" and node.value in renamed else None
        )
        return self.nodes(a.node, other)

    def labels(self, left: Labelled, right: Labelled, a: Node, b: Node) -> Outcome:
        """Compares answers of which at least one names what it gives: `x = 5`, `f(x) = x^2`, `(x, y) = (1, 2)`."""
        if left.labels and right.labels:
            if left.labels == right.labels or _same_function_label(left, right):
                outcome = self.nodes(left.node, right.node)
                if outcome.equal:
                    return outcome
            if a.op == "rel" and b.op == "rel":
                return equal_relations(a, b, self.policy, self.work)
            return Outcome(False, "different variables")
        named, other, bare = (left, right, b) if left.labels else (right, left, a)
        if bare.op == "rel" or _is_relation(bare):
            if bare.op == "rel" and bare.value == ("∈",):
                return self.nodes(named.node, bare.args[1])
            whole = a if left.labels else b
            return (
                equal_relations(whole, bare, self.policy, self.work) if whole.op == "rel" and bare.op == "rel" else _NO
            )
        return self.nodes(*((named.node, other.node) if left.labels else (other.node, named.node)))

    def times(self, a: Node, b: Node) -> Outcome:
        """Compares times of day."""
        if a.op == b.op == "time":
            (minutes, marker), (other, other_marker) = a.value, b.value
            if (marker and other_marker) or minutes == other:
                return Outcome(minutes == other, "time of day")
            return Outcome(
                self.policy.units == "optional" and (minutes - other) % 720 == 0, "time of day, a.m. or p.m. not said"
            )
        timed, other_node = (a, b) if a.op == "time" else (b, a)
        return self.nodes(timed.args[0], other_node) if timed.args and other_node.op != "time" else _NO

    def residues(self, a: Node, b: Node) -> Outcome:
        """Compares residue classes; a bare number is compared with the residue."""
        if a.op == b.op == "mod":
            modulus = self.nodes(a.args[1], b.args[1])
            if not modulus.equal:
                return Outcome(False, "different moduli")
            difference = Node("add", (a.args[0], Node("neg", (b.args[0],))))
            try:
                found = rational(difference, self.work) / rational(a.args[1], self.work)
            except (Inexact, ZeroDivisionError):
                return self.nodes(a.args[0], b.args[0])
            return Outcome(found.denominator == 1, "residue classes")
        class_, other = (a, b) if a.op == "mod" else (b, a)
        try:
            value, modulus_value = (rational(arg, self.work) for arg in class_.args)
            number = rational(labelled(other).node, self.work)
        except Inexact:
            return _NO
        return Outcome((modulus_value > 0 and number == value % modulus_value) or number == value, "residue")

    # Real sets

    def real_sets_wanted(self, a: Node, b: Node) -> bool:
        """Whether two answers should be compared as sets of real numbers."""
        kinds = {a.op, b.op}
        if kinds & _SET_NOTATION:
            return True
        return (_as_set(a) or _as_set(b)) and not (is_scalar(a) or is_scalar(b))

    def real_sets(self, a: Node, b: Node) -> Outcome | None:
        """Compares as sets of real numbers; None if one cannot be written as intervals."""
        names = [symbols(node) - {"?"} for node in (a, b) if _as_set(node)]
        if len(names) == 2 and names[0] and names[1] and names[0] != names[1]:
            return Outcome(False, "different variables")
        try:
            first, second = real_set(a, self.policy, self.work), real_set(b, self.policy, self.work)
        except NoRealSet:
            return None
        return Outcome(same_set(first, second), "real sets")

    # Values and collections

    def values(self, a: Node, b: Node) -> Outcome:
        """Compares answers without names or relations."""
        a, b = (matrix_of(_vector(node)) or _vector(node) for node in (a, b))
        for single, other in ((a, b), (b, a)):
            if single.op == "set" and len(single.args) == 1 and single.args[0].op == other.op == "tuple":
                return self.nodes(a.args[0] if single is a else a, b.args[0] if single is b else b)
        if a.op in ("list", "set") and len(a.args) == 1 and b.op not in _COLLECTIONS:
            return self.nodes(a.args[0], b)
        if b.op in ("list", "set") and len(b.args) == 1 and a.op not in _COLLECTIONS:
            return self.nodes(a, b.args[0])
        if a.op == "matrix" or b.op == "matrix":
            return self.matrices(a, b)
        if a.op in _COLLECTIONS and b.op in _COLLECTIONS:
            return self.collections(a, b)
        if a.op in ("union", "inter", "minus", "interval", "builder", "named") and a.op == b.op:
            return self.structures(a, b)
        if a.op == "ratio" or b.op == "ratio":
            return self.ratios(a, b)
        return self.quantities(a, b)

    def structures(self, a: Node, b: Node) -> Outcome:
        """Compares sets that are no intervals of numbers part by part (unions in any order, bound names renamed)."""
        if a.op == "builder" and _index(a) is not None and _index(b) is not None:
            old, new = _index(b), _index(a)
            b = replace(b, lambda node: new if node == old else None)
        if a.op == "builder" and a.args[0].op == b.args[0].op == "sym":
            b = replace(b, lambda node: a.args[0] if node == b.args[0] else None)
        if a.value != b.value or len(a.args) != len(b.args):
            return Outcome(False, "different sets")
        orders = [b.args, b.args[::-1]] if a.op in ("union", "inter") else [b.args]
        for order in orders:
            if all(self.nodes(x, y).equal for x, y in zip(a.args, order, strict=True)):
                return Outcome(True, "part by part")
        return Outcome(False, "different sets")

    def matrices(self, a: Node, b: Node) -> Outcome:
        """Compares matrices; a vector also with a tuple."""
        if a.op == b.op == "matrix":
            if a.value != b.value:
                return Outcome(False, "matrices of different shapes")
            return self.elementwise(a.args, b.args, "matrix")
        matrix, other = (a, b) if a.op == "matrix" else (b, a)
        if other.op == "tuple" and all(arg.op == "tuple" for arg in other.args):
            nested = _vector(Node("brack", tuple(Node("brack", arg.args) for arg in other.args)))
            return self.matrices(matrix, nested) if nested.op == "matrix" else _NO
        flat = 1 in matrix.value and other.op in ("tuple", "brack", "list") and self.policy.vectors == "any"
        if not flat:
            return self.nodes(matrix.args[0], other) if matrix.value == (1, 1) else _NO
        return self.elementwise(matrix.args, other.args, "vector")

    def elementwise(self, a: tuple[Node, ...], b: tuple[Node, ...], kind: str) -> Outcome:
        """Compares sequences in order."""
        if len(a) != len(b):
            return Outcome(False, f"{kind}s of different lengths")
        for x, y in zip(a, b, strict=True):
            if not self.nodes(x, y).equal:
                return Outcome(False, f"{kind}, element by element")
        return Outcome(True, f"{kind}, element by element")

    def collections(self, a: Node, b: Node) -> Outcome:
        """Compares tuples and lists in order, sets and bare lists in any."""
        kinds = {a.op, b.op}
        if kinds == {"set", "tuple"} or kinds == {"set", "brack"}:
            return _NO
        if kinds == {"tuple", "brack"} and len(a.args) == 2:
            return Outcome(False, "an open and a closed interval")
        ordered = bool(kinds & {"tuple", "brack"}) or (self.policy.lists == "ordered" and "set" not in kinds)
        if ordered:
            return self.elementwise(a.args, b.args, "tuple")
        return self.unordered(self.distinct(a.args), self.distinct(b.args))

    def distinct(self, items: tuple[Node, ...]) -> list[Node]:
        """Returns the elements without repetitions."""
        if len(items) > _MOST_UNORDERED and all(item.op == "num" for item in items):
            return list(dict.fromkeys(items))
        self.limit(len(items))
        kept: list[Node] = []
        for item in items:
            if not any(self.nodes(item, other).equal for other in kept):
                kept.append(item)
        return kept

    def limit(self, count: int) -> None:
        """Refuses what would be too large."""
        if count > _MOST_UNORDERED:
            raise OverBudget(f"an unordered collection of {count} expressions")

    def unordered(self, a: list[Node], b: list[Node]) -> Outcome:
        """Compares collections in any order."""
        if len(a) != len(b):
            return Outcome(False, f"{len(a)} against {len(b)} different elements")
        if all(item.op == "num" for item in (*a, *b)):
            return Outcome({item.value for item in a} == {item.value for item in b}, "set of numbers")
        self.limit(len(a))
        left = list(b)
        for item in a:
            found = next((other for other in left if self.nodes(item, other).equal), None)
            if found is None:
                return Outcome(False, "set, element by element")
            left.remove(found)
        return Outcome(True, "set, element by element")

    def ratios(self, a: Node, b: Node) -> Outcome:
        """Compares ratios; one of two parts also with a fraction."""
        if a.op == b.op == "ratio":
            if len(a.args) != len(b.args):
                return Outcome(False, "ratios of different lengths")
            products = itertools.pairwise(zip(a.args, b.args, strict=True))
            pairs = [(Node("mul", (p, s)), Node("mul", (r, q))) for (p, q), (r, s) in products]
            return Outcome(all(equal_scalars(x, y, self.policy, self.work).equal for x, y in pairs), "ratio")
        ratio, other = (a, b) if a.op == "ratio" else (b, a)
        if len(ratio.args) != 2 or self.policy.ratios == "distinct" or not is_scalar(other):
            return _NO
        return equal_scalars(Node("div", ratio.args), other, self.policy, self.work)

    # Numbers with units

    def quantities(self, a: Node, b: Node) -> Outcome:
        """Compares numbers with or without units."""
        (value, unit), (other, other_unit) = quantity(a), quantity(b)
        if value is None or other is None:
            return Outcome(False, "units that do not add")
        if unit is None and other_unit is None:
            return self.scalars(value, other)
        if unit is not None and other_unit is not None:
            return self.two_units(value, unit, other, other_unit)
        with_unit, known, bare = (value, unit, other) if unit is not None else (other, other_unit, value)
        assert known is not None
        return self.one_unit(with_unit, known, bare)

    def two_units(self, value: Node, unit: Unit, other: Node, other_unit: Unit) -> Outcome:
        """Compares two quantities: same dimension, same size."""
        if unit.dimension != other_unit.dimension:
            if _nouns_agree(unit, other_unit):
                return self.scalars(value, other)
            return Outcome(False, f"{unit.name} against {other_unit.name}")
        if unit.size == other_unit.size:
            return self.scalars(value, other)
        return self.scalars(Node("mul", (value, unit.size)), Node("mul", (other, other_unit.size)))

    def one_unit(self, value: Node, unit: Unit, bare: Node) -> Outcome:
        """Compares where only one side has a unit, as the policy says."""
        if unit.dimension == (("%", 1),):
            exact = self.scalars(Node("mul", (value, unit.size)), bare)
            return exact if exact.equal or self.policy.percent == "exact" else self.scalars(value, bare)
        if symbols(bare) and not symbols(value) and len(unit.name) <= 3:
            return self.scalars(Node("mul", (value, sym(unit.name))), bare)
        if unit.dimension == DEGREE.dimension and self.policy.angles == "convert":
            exact = self.scalars(Node("mul", (value, unit.size)), bare)
            if exact.equal:
                return exact
        if self.policy.units == "required":
            return Outcome(False, f"without the unit {unit.name}")
        return self.scalars(value, bare)

    def scalars(self, a: Node, b: Node) -> Outcome:
        """Compares two expressions."""
        if not (is_scalar(a) and is_scalar(b)):
            return _NO
        if self.policy.integration_constant == "optional":
            a, b = _without_constant(a), _without_constant(b)
        return equal_scalars(a, b, self.policy, self.work)


def _index(builder: Node) -> Node | None:
    """Returns the variable that runs through a number set in `{3k + 1 : k in Z}`."""
    condition = builder.args[1]
    named = condition.op == "rel" and condition.value == ("∈",) and condition.args[1].op == "named"
    return condition.args[0] if named and condition.args[0].op == "sym" else None


def _nouns_agree(a: Unit, b: Unit) -> bool:
    """Whether two counted nouns can be the same: `red apples` and `apples`."""
    names = [unit.dimension[0][0] for unit in (a, b) if unit.dimension]
    if len(names) != 2 or not all(name.startswith("noun:") for name in names):
        return False
    first, second = (set(name.removeprefix("noun:").split()) for name in names)
    return first <= second or second <= first


def _without_constant(node: Node) -> Node:
    if node.op == "add":
        kept = tuple(arg for arg in node.args if arg != sym("C"))
        return kept[0] if len(kept) == 1 else Node("add", kept)
    return node


def _places(value: Fraction) -> int:
    denominator, places = value.denominator, 0
    while denominator > 1 and places < 50:
        denominator, places = Fraction(denominator, 10).numerator if denominator % 10 == 0 else denominator, places + 1
        if (value * 10**places).denominator == 1:
            break
    return places


def _is_relation(node: Node) -> bool:
    return node.op == "rel" or (node.op == "list" and any(arg.op == "rel" for arg in node.args))


def _as_set(node: Node) -> bool:
    """Whether a node describes a set of reals by relations: x < 3, x in (0, 1), x < 1 or x > 3."""
    if node.op == "rel":
        return not set(node.value) <= {"="} and len(symbols(node)) <= 1
    return (
        node.op == "list"
        and bool(node.args)
        and all(_as_set(arg) or arg.op == "rel" for arg in node.args)
        and any(_as_set(arg) for arg in node.args)
    )


def _same_function_label(a: Labelled, b: Labelled) -> bool:
    """Whether one side calls y what the other calls f(x)."""
    names = sorted(label[0] for label in (a.labels, b.labels) if label and len(label) == 1)
    return len(names) == 2 and names[1] == "y" and names[0].startswith("f(")


def _vector(node: Node) -> Node:
    """Reads nested lists as a matrix."""
    if node.op not in ("brack", "tuple") or not node.args or any(arg.op != node.op for arg in node.args):
        return node
    width = len(node.args[0].args)
    if node.op == "tuple" or not width or any(len(arg.args) != width for arg in node.args):
        return node
    if contains(Node("tuple", tuple(entry for arg in node.args for entry in arg.args)), "brack"):
        return node
    return Node("matrix", tuple(entry for arg in node.args for entry in arg.args), (len(node.args), width))


__all__ = ["Comparison", "call", "num"]
