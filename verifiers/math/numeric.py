"""Numerical evaluation to any precision with mpmath, one private context per thread (mpmath's global one is shared).

The size of every operand is checked before the operation, so that no single step is expensive.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import mpmath

from turnwise.verifiers.math.exact import Inexact, rational
from turnwise.verifiers.math.policy import OverBudget, Work
from turnwise.verifiers.math.tree import Node

_LOCAL = threading.local()
_LARGEST = 20_000  # binary order of magnitude of intermediate values
_MOST_TERMS = 2_000


def context(digits: int) -> Any:
    """Returns this thread's mpmath context, set to a precision in decimal digits."""
    found = getattr(_LOCAL, "context", None)
    if found is None:
        found = _LOCAL.context = mpmath.MPContext()
    found.dps = digits
    return found


class Undefined(Exception):
    """The expression has no finite value here: a pole, the logarithm of 0, ..."""


class Evaluator:
    """Evaluates expressions at one point.

    Args:
        ctx: The mpmath context.
        work: The verdict's step counter.
        point: The value of each variable.
        log_base: What `log` without a base means: "10" or "e".
    """

    def __init__(self, ctx: Any, work: Work, point: Mapping[str, Any], log_base: str) -> None:
        self.ctx = ctx
        self.work = work
        self.point = dict(point)
        self.log_base = log_base
        self.extrapolating = False  # then what is too small to matter is 0
        self.complex = False  # whether any intermediate value was not real
        self.largest: Any = ctx.mpf(1)  # the largest intermediate value, the scale of rounding errors

    def value(self, node: Node) -> Any:
        """Returns the value as mpf or mpc.

        Raises:
            Undefined: It has none here.
            Inexact: Something in it cannot be evaluated numerically.
            OverBudget: It is too large, or the verdict has used up its steps.
        """
        self.work.spend(1 + self.ctx.dps // 50)
        rule = _RULES.get(node.op)
        if rule is None:
            raise Inexact(node.op)
        try:
            found = rule(self, node)
        except (ZeroDivisionError, ValueError, mpmath.libmp.ComplexResult) as error:
            raise Undefined(str(error)) from error
        except (mpmath.libmp.NoConvergence, NotImplementedError, OverflowError) as error:
            raise OverBudget(f"no numerical value: {error}") from error
        return self.checked(found)

    def checked(self, found: Any) -> Any:
        """Returns a value after checking its size; a complex number with imaginary part 0 becomes real."""
        ctx = self.ctx
        if not ctx.isfinite(found):
            raise Undefined("not finite")
        if isinstance(found, ctx.mpc) and found.imag == 0:
            found = found.real
        elif isinstance(found, ctx.mpc) and abs(found.imag) > self.largest * ctx.mpf(10) ** (12 - ctx.dps):
            self.complex = True
        if found:
            if self.extrapolating and int(ctx.mag(found)) < -_LARGEST:
                return ctx.mpf(0)
            if abs(int(ctx.mag(found))) > _LARGEST:
                raise OverBudget("a value too large or too small to evaluate")
            size = abs(found)
            if size > self.largest:
                self.largest = size
        return found

    def _num(self, node: Node) -> Any:
        return self.ctx.mpf(node.value.numerator) / node.value.denominator

    def _sym(self, node: Node) -> Any:
        if node.value not in self.point:
            raise Inexact(f"the variable {node.value}")
        return self.point[node.value]

    def _const(self, node: Node) -> Any:
        ctx = self.ctx
        constants = {"pi": ctx.pi, "e": ctx.e}
        if node.value == "oo":
            raise Undefined("infinity")
        return ctx.mpc(0, 1) if node.value == "i" else +constants[node.value]

    def _add(self, node: Node) -> Any:
        total = self.ctx.mpf(0)
        for arg in node.args:
            total = total + self.value(arg)
        return total

    def _mul(self, node: Node) -> Any:
        return self.value(node.args[0]) * self.value(node.args[1])

    def _neg(self, node: Node) -> Any:
        return -self.value(node.args[0])

    def _div(self, node: Node) -> Any:
        top, bottom = self.value(node.args[0]), self.value(node.args[1])
        if self.vanishes(bottom):
            raise Undefined("division by zero")
        return top / bottom

    def vanishes(self, value: Any) -> bool:
        """Whether a value is zero up to rounding."""
        return bool(abs(value) <= self.largest * self.ctx.mpf(10) ** (12 - self.ctx.dps))

    def _deg(self, node: Node) -> Any:
        return self.value(node.args[0]) * self.ctx.pi / 180

    def _pow(self, node: Node) -> Any:
        ctx = self.ctx
        exponent_node = node.args[1]
        if node.args[0] == Node("const", (), "e"):
            power = self.value(exponent_node)
            if self.extrapolating and ctx.re(power) < -8_000:
                return ctx.mpf(0)
            self.limit(power, 13)
            self.work.spend(8)
            return ctx.exp(power)
        base = self.value(node.args[0])
        try:
            exact = rational(exponent_node, self.work)
        except Inexact:
            exact = None
        if base == 0:
            if exact is not None and exact > 0:
                return ctx.mpf(0)
            raise Undefined("0 to a power")
        size = abs(int(ctx.mag(base))) + 1
        if exact is not None:
            if abs(exact) * size > _LARGEST * 50:
                raise OverBudget("a power too large to evaluate")
            if exact.denominator == 1:
                return base**exact.numerator
            odd = self.odd_root(base, exact)
            return odd if odd is not None else base ** (ctx.mpf(exact.numerator) / exact.denominator)
        exponent = self.value(exponent_node)
        if abs(exponent) * size > _LARGEST * 50:
            raise OverBudget("a power too large to evaluate")
        self.work.spend(8)
        return base**exponent

    def odd_root(self, base: Any, exponent: Fraction) -> Any:
        """Returns the real power of a negative number where the exponent's denominator is odd, as school has it."""
        if isinstance(base, self.ctx.mpc) or base > 0 or exponent.denominator % 2 == 0:
            return None
        magnitude = (-base) ** (self.ctx.mpf(exponent.numerator) / exponent.denominator)
        return -magnitude if exponent.numerator % 2 else magnitude

    def limit(self, value: Any, bits: int) -> None:
        """Refuses what would be too large."""
        if value and int(self.ctx.mag(value)) > bits:
            raise OverBudget("an argument too large to evaluate")

    def _call(self, node: Node) -> Any:
        name = node.value
        if name == "det":
            return self.determinant(node.args[0])
        values = [self.value(arg) for arg in node.args]
        if name.startswith("user:"):
            raise Inexact("a function without a definition")
        if name == "log":
            return self.logarithm(values)
        if name in _REAL and any(isinstance(value, self.ctx.mpc) for value in values):
            raise Undefined(f"{name} of a complex number")
        if name in ("factorial", "factorial2", "gamma", "binom"):
            for value in values:
                self.limit(value, 12)
        else:
            for value in values:
                self.limit(value, 13 if name in _EXPONENTIAL else 1000)
        function = _FUNCTIONS.get(name)
        if function is None:
            raise Inexact(name)
        self.work.spend(8)
        return function(self.ctx, *values)

    def logarithm(self, values: list[Any]) -> Any:
        """Returns the logarithm to the written base, or to what `log` means."""
        ctx = self.ctx
        if any(value == 0 for value in values):
            raise Undefined("the logarithm of 0")
        if len(values) == 1:
            return ctx.log10(values[0]) if self.log_base == "10" else ctx.ln(values[0])
        return ctx.ln(values[0]) / ctx.ln(values[1])

    def determinant(self, matrix: Node) -> Any:
        """Returns the determinant of a matrix of numbers."""
        if matrix.op != "matrix" or matrix.value[0] != matrix.value[1] or matrix.value[0] > 8:
            raise Inexact("a determinant")
        size = matrix.value[0]
        rows = [[self.value(entry) for entry in matrix.args[row * size : (row + 1) * size]] for row in range(size)]
        return _determinant(rows)

    def _cases(self, node: Node) -> Any:
        for value, condition in zip(node.args[::2], node.args[1::2], strict=True):
            if self.holds(condition):
                return self.value(value)
        raise Undefined("outside every case")

    def holds(self, condition: Node) -> bool:
        """Whether a relation between real values holds."""
        if condition.op == "list":
            decide = any if condition.value == "or" else all
            return decide(self.holds(item) for item in condition.args)
        if condition.op != "rel" or not set(condition.value) <= set(_COMPARISONS):
            raise Inexact("a condition")
        values = [self.signed_infinity(arg) for arg in condition.args]
        if any(isinstance(value, self.ctx.mpc) for value in values):
            raise Undefined("an order of complex numbers")
        pairs = zip(values, condition.value, values[1:], strict=False)
        return all(_COMPARISONS[operator](left, right, self) for left, operator, right in pairs)

    def signed_infinity(self, node: Node) -> Any:
        """Returns a bound, which may be infinite."""
        if node == Node("const", (), "oo"):
            return self.ctx.inf
        if node == Node("neg", (Node("const", (), "oo"),)):
            return -self.ctx.inf
        return self.value(node)

    def _big(self, node: Node) -> Any:
        kind, index = node.value
        bounds = [self.signed_infinity(arg) for arg in node.args[1:]]
        if kind in ("int", "lim") or any(self.ctx.isinf(bound) for bound in bounds):
            return self.extrapolated(kind, node.args[0], index, bounds)
        low, high = bounds
        if not (self.ctx.isint(low) and self.ctx.isint(high)):
            raise Undefined("a sum between bounds that are no integers")
        if high - low > _MOST_TERMS:
            raise OverBudget("a sum of too many terms")
        total = self.ctx.mpf(0 if kind == "sum" else 1)
        saved = self.point.get(index)
        for k in range(int(low), int(high) + 1):
            self.point[index] = self.ctx.mpf(k)
            term = self.value(node.args[0])
            total = total + term if kind == "sum" else total * term
        if saved is not None:
            self.point[index] = saved
        return total

    def extrapolated(self, kind: str, body: Node, name: str, bounds: list[Any]) -> Any:
        """Integrates by quadrature, sums infinite series, takes limits: good to about 20 digits, or refused."""
        ctx, saved = self.ctx, dict(self.point)

        def inner(x: Any) -> Any:
            self.point[name] = x
            return self.value(body)

        self.extrapolating = True
        try:
            if kind == "int":
                found, error = ctx.quad(inner, bounds, error=True, maxdegree=8)
            elif kind == "sum":
                found, error = ctx.nsum(inner, bounds, maxterms=_MOST_TERMS), 0
            elif kind == "lim":
                found = ctx.limit(inner, bounds[0])
                error = 0 if ctx.isinf(bounds[0]) else abs(ctx.limit(inner, bounds[0], direction=-1) - found)
            else:
                raise Inexact(kind)
        finally:
            self.point, self.extrapolating = saved, False
        if error > ctx.mpf(10) ** -18 * max(1, abs(found)):
            raise Inexact(f"{kind}: no numerical value")
        return found


def _determinant(rows: list[list[Any]]) -> Any:
    """Laplace expansion with every minor of the lower rows computed once: exact arithmetic would not need pivots."""
    size = len(rows)
    minors: dict[frozenset[int], Any] = {frozenset(): 1}
    for row in reversed(rows):
        longer: dict[frozenset[int], Any] = {}
        for columns, minor in minors.items():
            for column in range(size):
                if column not in columns:
                    sign = -1 if sum(other < column for other in columns) % 2 else 1
                    key = columns | {column}
                    longer[key] = longer.get(key, 0) + sign * row[column] * minor
        minors = longer
    return minors[frozenset(range(size))]


_RULES: dict[str, Callable[[Evaluator, Node], Any]] = {
    "num": Evaluator._num,
    "sym": Evaluator._sym,
    "const": Evaluator._const,
    "add": Evaluator._add,
    "mul": Evaluator._mul,
    "neg": Evaluator._neg,
    "div": Evaluator._div,
    "pow": Evaluator._pow,
    "deg": Evaluator._deg,
    "call": Evaluator._call,
    "cases": Evaluator._cases,
    "big": Evaluator._big,
}
_COMPARISONS: dict[str, Callable[[Any, Any, Evaluator], bool]] = {
    "<": lambda a, b, at: bool(a < b),
    ">": lambda a, b, at: bool(a > b),
    "≤": lambda a, b, at: bool(a <= b),
    "≥": lambda a, b, at: bool(a >= b),
    "=": lambda a, b, at: a == b or at.vanishes(a - b),
    "≠": lambda a, b, at: not (a == b or at.vanishes(a - b)),
}
_EXPONENTIAL = frozenset(["exp", "sinh", "cosh", "tanh", "coth", "cis"])
_REAL = frozenset(["floor", "ceil", "max", "min", "sign", "gcd", "lcm"])


def _whole(ctx: Any, values: tuple[Any, ...]) -> list[int]:
    if not all(ctx.isint(value) for value in values):
        raise Undefined("not integers")
    return [int(value) for value in values]


def _gcd(ctx: Any, *values: Any) -> Any:
    import math

    return ctx.mpf(math.gcd(*_whole(ctx, values)))


def _lcm(ctx: Any, *values: Any) -> Any:
    import math

    return ctx.mpf(math.lcm(*_whole(ctx, values)))


def _root(ctx: Any, value: Any, index: Any) -> Any:
    if not isinstance(value, ctx.mpc) and value < 0 and ctx.isint(index) and int(index) % 2:
        return -((-value) ** (1 / index))
    return value ** (1 / index)


def _arccot(ctx: Any, value: Any) -> Any:
    return ctx.pi / 2 - ctx.atan(value)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: (lambda ctx, x, name=name: getattr(ctx, name)(x)) for name in
       ("sin", "cos", "tan", "cot", "sec", "csc", "asin", "acos", "atan", "asec", "acsc", "sinh", "cosh",
       "tanh", "coth",
        "asinh", "acosh", "atanh", "ln", "exp", "floor", "ceil", "re", "im", "arg", "conj", "sign", "gamma", "log10")},
    "acot": _arccot,
    "abs": lambda ctx, x: abs(x),
    "root": _root,
    "cbrt": lambda ctx, x: _root(ctx, x, ctx.mpf(3)),
    "max": lambda ctx, *values: max(values),
    "min": lambda ctx, *values: min(values),
    "gcd": _gcd,
    "lcm": _lcm,
    "factorial": lambda ctx, x: ctx.factorial(x),
    "factorial2": lambda ctx, x: ctx.fac2(x),
    "binom": lambda ctx, n, k: ctx.binomial(n, k),
    "cis": lambda ctx, x: ctx.expj(x),
}  # fmt: skip
