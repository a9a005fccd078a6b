"""Equality of scalar expressions, cheapest exact method first.

1. the same tree; 2. rational numbers; 3. rational functions modulo primes; 4. numerically at 60 and, where these agree,
at 160 digits, at fixed points on the real line (only where both sides are real, so that identities hold on the common
domain); 5. sympy in a worker process for what has no direct value (integrals, infinite sums, limits).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace as replace_field
from fractions import Fraction
from typing import Any, NamedTuple

from turnwise.verifiers.math import numeric
from turnwise.verifiers.math.exact import Inexact, different_magnitudes, point, rational, same_residues
from turnwise.verifiers.math.numeric import Evaluator, Undefined, context
from turnwise.verifiers.math.policy import Budget, MathPolicy, OverBudget, Work
from turnwise.verifiers.math.tree import Node, contains, replace, symbols, walk


class Outcome(NamedTuple):
    """Whether two answers are the same, and how that was found."""

    equal: bool
    how: str


_SCALARS = frozenset(["num", "sym", "const", "add", "mul", "neg", "div", "pow", "call", "deg", "cases", "big"])
_TRIAL_STEPS = 8_000
_INTEGER_POINTS = (2, 3, 5, 8)
_REAL_POINTS = 10
_NEEDED = 3


def is_scalar(node: Node) -> bool:
    """Returns whether the node is a number or an expression (not a list, set, relation, matrix or words)."""
    return node.op in _SCALARS


def closed(node: Node) -> bool:
    """Returns whether the node is an expression without variables."""
    return is_scalar(node) and not symbols(node)


def equal_scalars(left: Node, right: Node, policy: MathPolicy, work: Work) -> Outcome:
    """Decides whether two expressions are the same number or the same function.

    Raises:
        OverBudget: It would cost too much to find out.
    """
    if left == right:
        return Outcome(True, "identical")
    if "..." in symbols(left) | symbols(right):
        raise OverBudget("an expression with dots")
    infinite = _infinities(left), _infinities(right)
    if infinite != (None, None):
        return Outcome(infinite[0] == infinite[1], "infinity")
    if (contains(left, "big") and _needs_worker(left)) or (contains(right, "big") and _needs_worker(right)):
        return _by_worker(left, right, policy, work)
    try:
        return Outcome(rational(left, work) == rational(right, work), "exact rational")
    except Inexact:
        pass
    try:
        return Outcome(same_residues(left, right, work), "rational functions modulo primes")
    except Inexact:
        pass
    if different_magnitudes(left, right):
        return Outcome(False, "different orders of magnitude")
    if not symbols(left) and not symbols(right):
        return _numbers(left, right, policy, work)
    return _functions(left, right, policy, work)


def _infinities(node: Node) -> int | None:
    if node == Node("const", (), "oo"):
        return 1
    if node == Node("neg", (Node("const", (), "oo"),)):
        return -1
    return None


def _needs_worker(node: Node) -> bool:
    return any(
        item.op == "big" and (item.value[0] in ("int", "lim") or any(_far(arg) for arg in item.args[1:]))
        for item in walk(node)
    )


def _far(bound: Node) -> bool:
    """Whether a bound of a sum is too far away to add term by term."""
    if _infinities(bound):
        return True
    try:
        return abs(rational(bound, Work(Budget()))) > 1_000
    except Inexact:
        return not symbols(bound)


def _by_worker(left: Node, right: Node, policy: MathPolicy, work: Work) -> Outcome:
    from turnwise.verifiers.math.algebra import same_by_sympy

    settled = _by_extrapolation(left, right, work)
    if settled is not None:
        return Outcome(settled, "quadrature or extrapolation")

    return Outcome(same_by_sympy(left, right, policy.budget.seconds), "sympy")


def _by_extrapolation(left: Node, right: Node, work: Work) -> bool | None:
    """Compares closed expressions with integrals, series or limits to 15 digits; None where that is not certain.

    Quadrature knows its error, so that it can also tell apart; extrapolated series and limits can only agree.
    """
    if symbols(left) or symbols(right):
        return None
    ctx = context(32)
    trial = Work(replace_field(work.budget, steps=_TRIAL_STEPS))
    try:
        a, b = (Evaluator(ctx, trial, {}, "e").value(side) for side in (left, right))
    except (Inexact, Undefined, OverBudget):
        return None
    finally:
        work.spend(min(trial.steps, work.budget.steps - work.steps))
    if abs(a - b) < ctx.mpf(10) ** -15 * max(1, abs(a), abs(b)):
        return True
    only_integrals = all(item.value[0] == "int" for side in (left, right) for item in walk(side) if item.op == "big")
    return False if only_integrals and abs(a - b) > ctx.mpf(10) ** -9 * max(1, abs(a), abs(b)) else None


def _bases(left: Node, right: Node, policy: MathPolicy) -> tuple[str, ...]:
    """The meanings of a bare `log` to try."""
    bare = any(
        item.op == "call" and item.value == "log" and len(item.args) == 1
        for side in (left, right)
        for item in walk(side)
    )
    if not bare:
        return ("e",)
    return ("10", "e") if policy.log_base == "either" else (policy.log_base,)


def _numbers(left: Node, right: Node, policy: MathPolicy, work: Work) -> Outcome:
    for base in _bases(left, right, policy):
        try:
            if agree(left, right, {}, base, work):
                return Outcome(True, "numerically, 160 digits")
        except Undefined as undefined:
            return Outcome(False, f"no value: {undefined}")
        except Inexact as inexact:
            return Outcome(False, f"not comparable: {inexact}")
    return Outcome(False, "numerically, 60 digits")


def agree(
    left: Node, right: Node, at: dict[str, Fraction | int], log_base: str, work: Work, *, whole_plane: bool = False
) -> bool | None:
    """Returns whether two expressions have the same value at a point.

    Args:
        left: An expression.
        right: Another one.
        at: The value of each variable.
        log_base: What a bare `log` means.
        work: The verdict's step counter.
        whole_plane: Compares complex values too; otherwise only where the imaginary unit is written.

    Returns:
        None where one of the two is not real, and nothing can be said about a real identity.

    Raises:
        Undefined: One of the two has no value there.
        Inexact: One of the two cannot be evaluated.
        OverBudget: It would cost too much.
    """
    complex_wanted = whole_plane or any(item == Node("const", (), "i") for side in (left, right) for item in walk(side))
    for digits, agreed in ((60, 25), (160, 110)):
        ctx = context(digits)
        values = {name: ctx.mpf(Fraction(value).numerator) / Fraction(value).denominator for name, value in at.items()}
        first, second = Evaluator(ctx, work, values, log_base), Evaluator(ctx, work, values, log_base)
        a, b = first.value(left), second.value(right)
        scale = max(first.largest, second.largest)
        tiny = scale * ctx.mpf(10) ** -agreed
        imaginary = first.complex or _imaginary(a, tiny), second.complex or _imaginary(b, tiny)
        if at and (imaginary[0] != imaginary[1] or (imaginary[0] and not complex_wanted)):
            return None
        # Values far below the scale of the intermediate results count as they are where no cancellation made them.
        if abs(a - b) > tiny or (digits == 60 and _clearly_apart(a, b, left, right)):
            return False
    return True


def _imaginary(value: Any, tiny: Any) -> bool:
    return bool(abs(getattr(value, "imag", 0)) > tiny)


def _clearly_apart(a: Any, b: Any, left: Node, right: Node) -> bool:
    """Whether small values differ relatively, in expressions without sums (these lose no digits)."""
    if contains(left, "add", "call", "big", "cases") or contains(right, "add", "call", "big", "cases"):
        return False
    return bool(abs(a - b) > max(abs(a), abs(b)) * 1e-25)


def _functions(left: Node, right: Node, policy: MathPolicy, work: Work) -> Outcome:
    names = sorted(symbols(left) | symbols(right))
    try:
        left, right = _abstract_functions(left), _abstract_functions(right)
        names = sorted(symbols(left) | symbols(right))
        for base in _bases(left, right, policy):
            if _same_function(left, right, names, base, work):
                return Outcome(True, "numerically at fixed points")
    except Inexact as inexact:
        return Outcome(False, f"not comparable: {inexact}")
    return Outcome(False, "numerically at fixed points")


def _abstract_functions(node: Node) -> Node:
    """Replaces f(x) for undefined f by a variable named after it: equal only if written with equal trees."""

    def change(item: Node) -> Node | None:
        if item.op == "call" and item.value.startswith("user:"):
            return Node("sym", (), f"{item.value}{item.args!r}")
        return None

    return replace(node, change)


def _same_function(left: Node, right: Node, names: list[str], base: str, work: Work) -> bool:
    discrete = any(
        contains(side, "big") or any(item.op == "call" and item.value in _DISCRETE for item in walk(side))
        for side in (left, right)
    )
    seen = 0
    if not discrete:
        for at in _real_points(names):
            found = _at(left, right, at, base, work)
            if found is False:
                return False
            seen += found is True
            if seen >= 6:
                return True
    if seen >= _NEEDED:
        return True
    whole = 0
    for at in _whole_points(names):
        found = _at(left, right, at, base, work)
        if found is False:
            return False
        whole += found is True
    if seen + whole >= _NEEDED:
        return True
    plane = [_at(left, right, at, base, work, whole_plane=True) for at in _real_points(names)]
    if False in plane:
        return False
    if plane.count(True) < _NEEDED:
        raise Inexact("no points where both have values")
    return True


_DISCRETE = frozenset(["factorial", "factorial2", "binom", "gcd", "lcm"])


def _at(
    left: Node, right: Node, at: dict[str, Fraction | int], base: str, work: Work, *, whole_plane: bool = False
) -> bool | None:
    try:
        return agree(left, right, at, base, work, whole_plane=whole_plane)
    except (Undefined, OverBudget) as problem:
        if isinstance(problem, OverBudget) and work.steps > work.budget.steps:
            raise
        return None


def _real_points(names: list[str]) -> Iterable[dict[str, Fraction | int]]:
    """Yields points with values from -3 to 3 in many patterns of signs, some in (0, 1), where most are real."""
    for index in range(_REAL_POINTS):
        at: dict[str, Fraction | int] = {}
        for name in names:
            seed = point(f"{name}/{index}", 1_000_003)
            value = Fraction(seed, 1_000_003) * (Fraction(9, 10) if index % 3 == 0 else 3)
            at[name] = -value if index % 2 and (seed >> 3) % 4 else value
        yield at


def _whole_points(names: list[str]) -> Iterable[dict[str, Fraction | int]]:
    for index in range(len(_INTEGER_POINTS)):
        yield {
            name: _INTEGER_POINTS[(index + place) % len(_INTEGER_POINTS)] + 3 * place
            for place, name in enumerate(names)
        }


def value_of(node: Node, policy: MathPolicy, work: Work) -> Any:
    """Returns the value of a closed expression as an exact Fraction, else as a real mpf of 60 digits, or None."""
    if _infinities(node):
        return numeric.context(60).inf * (_infinities(node) or 1)
    try:
        return rational(node, work)
    except Inexact:
        pass
    try:
        found = Evaluator(context(60), work, {}, "10" if policy.log_base == "10" else "e").value(node)
    except (Inexact, Undefined):
        return None
    return None if isinstance(found, context(60).mpc) else found
