"""From our tree to sympy objects, built node by node; text never reaches sympy. Runs in the worker process only."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from turnwise.verifiers.errors import VerifierTimeout
from turnwise.verifiers.math.policy import OverBudget
from turnwise.verifiers.math.tree import Node
from turnwise.verifiers.math.worker import WorkerFailed, shared_worker


def same_by_sympy(left: Node, right: Node, seconds: float) -> bool:
    """Returns whether sympy finds two expressions equal, in the worker process.

    Raises:
        VerifierTimeout: Not within `seconds` of execution.
        OverBudget: sympy can neither evaluate nor compare them.
    """
    try:
        found = shared_worker().ask({"seconds": seconds, "left": to_json(left), "right": to_json(right)}, seconds)
    except WorkerFailed as failed:
        raise OverBudget(f"sympy failed: {failed}") from failed
    except TimeoutError as error:
        raise VerifierTimeout(f"sympy took more than {seconds} s of processor time") from error
    if found is None:
        raise OverBudget("sympy cannot compare the two")
    return bool(found)


def to_json(node: Node) -> list[Any]:
    """Returns the tree as nested lists of plain values."""
    value = str(node.value) if isinstance(node.value, Fraction) else node.value
    return [node.op, value, [to_json(arg) for arg in node.args]]


def from_json(data: list[Any]) -> Node:
    """Returns the tree that `to_json` wrote."""
    op, value, args = data
    if op == "num":
        value = Fraction(value)
    elif isinstance(value, list):
        value = tuple(value)
    return Node(op, tuple(from_json(arg) for arg in args), value)


_FUNCTIONS = {
    "sin": "sin", "cos": "cos", "tan": "tan", "cot": "cot", "sec": "sec", "csc": "csc", "asin": "asin", "acos": "acos",
    "atan": "atan", "acot": "acot", "sinh": "sinh", "cosh": "cosh", "tanh": "tanh", "ln": "log",
    "exp": "exp", "abs": "Abs",
    "floor": "floor", "ceil": "ceiling", "factorial": "factorial", "binom": "binomial", "gamma": "gamma",
    "root": "root",
    "cbrt": "cbrt", "asinh": "asinh", "acosh": "acosh", "atanh": "atanh", "log": "log", "re": "re", "im": "im",
    "max": "Max", "min": "Min",
}  # fmt: skip


def to_sympy(node: Node) -> Any:
    """Returns the sympy expression of a scalar.

    Raises:
        ValueError: There is none.
    """
    import sympy

    op = node.op
    if op == "num":
        return sympy.Rational(node.value.numerator, node.value.denominator)
    if op == "sym":
        return sympy.Symbol(node.value, real=True)
    if op == "const":
        return {"pi": sympy.pi, "e": sympy.E, "i": sympy.I, "oo": sympy.oo}[node.value]
    if op == "big":
        return _big(node)
    args = [to_sympy(arg) for arg in node.args]
    if op == "add":
        return sympy.Add(*args)
    if op == "mul":
        return sympy.Mul(*args)
    if op == "neg":
        return -args[0]
    if op == "div":
        return args[0] / args[1]
    if op == "pow":
        return args[0] ** args[1]
    if op == "deg":
        return args[0] * sympy.pi / 180
    if op == "call" and node.value in _FUNCTIONS:
        return getattr(sympy, _FUNCTIONS[node.value])(*args)
    raise ValueError(f"no sympy form of {op} {node.value}")


def _big(node: Node) -> Any:
    import sympy

    kind, name = node.value
    variable = sympy.Symbol(name, integer=True) if kind in ("sum", "prod") else sympy.Symbol(name, real=True)
    bounds = [to_sympy(arg) for arg in node.args[1:]]
    body = to_sympy(node.args[0]).subs(sympy.Symbol(name, real=True), variable)
    if kind == "lim":
        return sympy.Limit(body, variable, bounds[0], "+-" if bounds[0].is_finite else "-")
    form = {"sum": sympy.Sum, "prod": sympy.Product, "int": sympy.Integral}[kind]
    return form(body, (variable, *bounds))


def compare(left: Node, right: Node) -> bool | None:
    """Returns whether sympy finds the two equal; None if it cannot tell."""
    import sympy

    first, second = to_sympy(left).doit(), to_sympy(right).doit()
    if first == second:
        return True
    difference = first - second
    if difference.free_symbols:
        difference = sympy.simplify(difference)
        return True if difference == 0 else None if difference.has(sympy.Integral, sympy.Sum, sympy.Limit) else False
    if first.has(sympy.oo, -sympy.oo, sympy.zoo, sympy.nan) or second.has(sympy.oo, -sympy.oo, sympy.zoo, sympy.nan):
        return False
    # Both are numbers: they are equal if they agree to 50 digits at a working precision that outlasts cancellation.
    a, b = (sympy.N(side, 60, maxn=400) for side in (first, second))
    if not (a.is_number and b.is_number) or a.has(sympy.Integral, sympy.Sum, sympy.Limit):
        return None
    scale = max(1, abs(a), abs(b))
    return bool(abs(a - b) < scale * sympy.Float(10) ** -45)
