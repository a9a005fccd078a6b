"""Exact evaluation: to rational numbers, and to residues modulo large primes (with i as a root of -1).

A difference modulo a prime proves inequality. Equality at all three fixed primes and points, each of 61 bits, is taken
as equality: by Schwartz-Zippel a false one has a probability near degree / 2^61 per prime.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from fractions import Fraction

from turnwise.verifiers.math.policy import OverBudget, Work
from turnwise.verifiers.math.tree import Node

# The largest primes below 2^61 that are 1 modulo 4, so that -1 has a square root.
PRIMES = (2305843009213693921, 2305843009213693693, 2305843009213693669)


class Inexact(Exception):
    """The expression has no value of this kind."""


def rational(node: Node, work: Work) -> Fraction:
    """Returns the value of a closed rational expression.

    Raises:
        Inexact: It has variables, is irrational, or too large to write out.
        OverBudget: The verdict has used up its steps.
    """
    work.spend()
    op = node.op
    if op == "num":
        return node.value  # type: ignore[no-any-return] # a num's value is a Fraction
    if op == "add":
        return _small(sum((rational(arg, work) for arg in node.args), Fraction(0)), work)
    if op == "mul":
        return _small(rational(node.args[0], work) * rational(node.args[1], work), work)
    if op == "neg":
        return -rational(node.args[0], work)
    if op == "div":
        top, bottom = rational(node.args[0], work), rational(node.args[1], work)
        if not bottom:
            raise Inexact("division by zero")
        return _small(top / bottom, work)
    if op == "pow":
        return _power(rational(node.args[0], work), rational(node.args[1], work), work)
    if op == "call":
        return _call(node, [rational(arg, work) for arg in node.args], work)
    raise Inexact(op)


def _small(value: Fraction, work: Work) -> Fraction:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > 4 * work.budget.digits:
        raise Inexact("too large to write out")
    return value


def _power(base: Fraction, exponent: Fraction, work: Work) -> Fraction:
    if exponent.denominator != 1:
        return root(base, exponent.denominator, work) ** exponent.numerator if abs(exponent.numerator) < 50 else _no()
    if base in (0, 1, -1):
        if not base and exponent <= 0:
            raise Inexact("0 to a power that is not positive")
        return base ** (exponent.numerator % 2) if base else base
    bits = max(base.numerator.bit_length(), base.denominator.bit_length())
    if abs(exponent) * (bits - 1 or 1) > 4 * work.budget.digits:
        raise Inexact("too large to write out")
    return base**exponent.numerator


def _no() -> Fraction:
    raise Inexact("irrational")


def root(value: Fraction, index: int, work: Work) -> Fraction:
    """Returns the real root of a rational if it is rational."""
    if index > 64 or value < 0:
        raise Inexact("a root that is not real and rational")
    work.spend(20)
    return Fraction(_integer_root(value.numerator, index), _integer_root(value.denominator, index))


def _integer_root(value: int, index: int) -> int:
    if index == 2:
        found = math.isqrt(value)
    elif value < 2:
        found = value
    else:
        found = 1 << -(-value.bit_length() // index)
        while True:
            better = ((index - 1) * found + value // found ** (index - 1)) // index
            if better >= found:
                break
            found = better
    if found**index != value:
        raise Inexact("irrational")
    return found


def _call(node: Node, values: list[Fraction], work: Work) -> Fraction:
    name = node.value
    first = values[0]
    integers = all(value.denominator == 1 for value in values)
    if name == "abs":
        return abs(first)
    if name == "floor":
        return Fraction(math.floor(first))
    if name == "ceil":
        return Fraction(math.ceil(first))
    if name == "sign":
        return Fraction((first > 0) - (first < 0))
    if name in ("re", "conj"):
        return first
    if name in ("max", "min"):
        return max(values) if name == "max" else min(values)
    if name == "root" and integers and values[1] > 1:
        if first < 0 and values[1] % 2:
            return -root(-first, values[1].numerator, work)
        return root(first, values[1].numerator, work)
    if name == "cbrt":
        return -root(-first, 3, work) if first < 0 else root(first, 3, work)
    if not integers:
        raise Inexact(name)
    whole = [value.numerator for value in values]
    if name in ("factorial", "factorial2") and 0 <= whole[0] <= 1000:
        work.spend(whole[0])
        return Fraction(math.factorial(whole[0]) if name == "factorial" else math.prod(range(whole[0], 0, -2)))
    if name == "gamma" and 1 <= whole[0] <= 1000:
        return Fraction(math.factorial(whole[0] - 1))
    if name == "binom" and 0 <= whole[0] <= 2000 and len(whole) == 2:
        work.spend(100)
        return Fraction(math.comb(whole[0], whole[1]) if whole[1] >= 0 else 0)
    if name == "gcd":
        return Fraction(math.gcd(*whole))
    if name == "lcm":
        return Fraction(math.lcm(*whole))
    raise Inexact(name)


def point(name: str, prime: int) -> int:
    """Returns the fixed residue that stands for a variable."""
    digest = hashlib.blake2b(f"{name}:{prime}".encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % prime


def _root_of_minus_one(prime: int) -> int:
    nonresidue = next(a for a in range(2, 99) if pow(a, (prime - 1) // 2, prime) != 1)
    return pow(nonresidue, (prime - 1) // 4, prime)


_UNIT_ROOTS = {prime: _root_of_minus_one(prime) for prime in PRIMES}


class Residues:
    """Evaluates rational functions (over the Gaussian rationals) modulo one prime."""

    def __init__(self, prime: int, work: Work, points: Mapping[str, int] | None = None) -> None:
        self.prime = prime
        self.work = work
        self.points = points or {}

    def value(self, node: Node) -> int:
        """Returns the residue of the expression.

        Raises:
            Inexact: It is no rational function.
            OverBudget: The verdict has used up its steps.
        """
        self.work.spend()
        op, args, prime = node.op, node.args, self.prime
        if op == "num":
            return self.quotient(node.value.numerator, node.value.denominator)
        if op == "sym":
            return self.points[node.value] if node.value in self.points else point(node.value, prime)
        if op == "add":
            return sum(self.value(arg) for arg in args) % prime
        if op == "mul":
            return self.value(args[0]) * self.value(args[1]) % prime
        if op == "neg":
            return -self.value(args[0]) % prime
        if op == "div":
            return self.quotient(self.value(args[0]), self.value(args[1]))
        if op == "pow":
            return self.power(self.value(args[0]), self.exponent(args[1]))
        if op == "const" and node.value == "i":
            return _UNIT_ROOTS[prime]
        if op == "call" and not _has_symbols(node):
            found = rational(node, self.work)
            return self.quotient(found.numerator, found.denominator)
        raise Inexact(op)

    def quotient(self, top: int, bottom: int) -> int:
        """Returns the residue of a quotient."""
        if bottom == 1:
            return top % self.prime
        if not bottom % self.prime:
            raise Inexact("division by zero")
        return top * pow(bottom, -1, self.prime) % self.prime

    def exponent(self, node: Node) -> int:
        """Returns the value of a whole exponent."""
        found = rational(node, self.work)
        if found.denominator != 1:
            raise Inexact("a root")
        return found.numerator

    def power(self, base: int, exponent: int) -> int:
        """Returns the residue of a power."""
        if not base and exponent <= 0:
            raise Inexact("0 to a power that is not positive")
        return pow(base, exponent % (self.prime - 1) if abs(exponent) > self.prime else exponent, self.prime)


def _has_symbols(node: Node) -> bool:
    return node.op in ("sym", "const") or any(_has_symbols(arg) for arg in node.args)


def same_residues(left: Node, right: Node, work: Work) -> bool:
    """Returns whether two rational functions are the same.

    Raises:
        Inexact: One of them is no rational function.
        OverBudget: The verdict has used up its steps.
    """
    for prime in PRIMES:
        residues = Residues(prime, work)
        if residues.value(left) != residues.value(right):
            return False
    return True


def magnitude(node: Node) -> tuple[int, float]:
    """Returns (n, x) such that the n-fold decimal logarithm of a positive tower of powers is about x.

    It tells apart numbers that are far too large to write out, such as 9^(9^(9^9)) and 7^(10^9).

    Raises:
        Inexact: The expression is no product or power of numbers from 1 up.
    """
    if node.op == "num" and node.value >= 1:
        return _logged(0, float(node.value)) if node.value < 10**300 else _logged(1, math.log10(node.value))
    if node.op == "pow":
        base, exponent = magnitude(node.args[0]), magnitude(node.args[1])
        if base[0] or base[1] <= 1:
            raise Inexact("a base too large")
        if exponent[0]:
            return exponent[0] + 1, exponent[1]
        return _logged(1, exponent[1] * math.log10(base[1]))
    if node.op == "call" and node.value == "factorial":
        inner = magnitude(node.args[0])
        size = inner[1] if inner[0] == 0 else 10 ** inner[1] if inner[0] == 1 and inner[1] < 15 else 0
        if size > 2:
            return _logged(1, math.lgamma(size + 1) / math.log(10))
    raise Inexact(node.op)


def _logged(level: int, value: float) -> tuple[int, float]:
    while value > 300:
        level, value = level + 1, math.log10(value)
    if level and value < math.log10(300):
        level, value = level - 1, 10**value
    return level, value


def different_magnitudes(left: Node, right: Node) -> bool:
    """Returns whether two numbers are certainly of different size; False where it cannot tell."""
    try:
        (level, value), (other_level, other) = magnitude(left), magnitude(right)
    except (Inexact, OverflowError):
        return False
    if level == other_level:
        return abs(value - other) > 1e-3 * max(1.0, abs(value))
    return max(level, other_level) >= 1


__all__ = [
    "PRIMES",
    "Inexact",
    "OverBudget",
    "Residues",
    "different_magnitudes",
    "magnitude",
    "point",
    "rational",
    "same_residues",
]
