from __future__ import annotations

import ast
import operator
from fractions import Fraction

import numpy as np
import pytest

from turnwise.envs import InvalidInput
from turnwise.envs.math.expression import (
    LARGEST,
    Tree,
    apply,
    canonical,
    evaluate,
    generate,
    leaves,
    reduced,
    reducible,
    size,
    write,
)

PYTHON = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}
DRAWN = [generate(np.random.default_rng(seed), 1 + seed % 25, 1 + seed % 4, "+-*/") for seed in range(150)]


def value_by_python(text: str) -> Fraction:
    """Evaluates an expression with Python's own parser and exact fractions: the slow reference."""

    def value(node: ast.expr) -> Fraction:
        if isinstance(node, ast.BinOp):
            return PYTHON[type(node.op)](value(node.left), value(node.right))
        if isinstance(node, ast.UnaryOp):
            return -value(node.operand)
        assert isinstance(node, ast.Constant)
        return Fraction(node.value)

    return value(ast.parse(text, mode="eval").body)


@pytest.mark.parametrize(
    ("tree", "text"),
    [
        (7, "7"),
        (("+", 1, ("*", 2, 3)), "1+2*3"),
        (("*", ("+", 1, 2), 3), "(1+2)*3"),
        (("-", ("-", 5, 3), 1), "5-3-1"),
        (("-", 5, ("-", 3, 1)), "5-(3-1)"),
        (("+", 5, ("+", 3, 1)), "5+(3+1)"),
        (("/", ("*", 6, 4), ("/", 8, 2)), "6*4/(8/2)"),
        (("*", -3, ("+", 2, -1)), "(-3)*(2+(-1))"),
        (-4, "-4"),
    ],
)
def test_expressions_are_written_with_the_parentheses_that_keep_the_tree(tree: Tree, text: str) -> None:
    assert write(tree) == text


def test_values_agree_with_pythons_parser() -> None:
    for tree in DRAWN:
        assert Fraction(evaluate(tree)) == value_by_python(write(tree))


def test_generated_expressions_have_the_asked_size_and_bounded_integer_values() -> None:
    def check(tree: Tree) -> int:
        if isinstance(tree, int):
            return tree
        value = apply(tree[0], check(tree[1]), check(tree[2]))
        assert value is not None
        assert abs(value) <= LARGEST
        return value

    for seed, tree in enumerate(DRAWN):
        assert size(tree) == 1 + seed % 25
        assert 0 <= min(leaves(tree)) <= max(leaves(tree)) < 10 ** (1 + seed % 4)
        check(tree)


def test_every_operator_occurs_and_only_those_asked_for() -> None:
    rng = np.random.default_rng(0)
    everything = "".join(write(generate(rng, 10, 2, "+-*/")) for _ in range(50))
    assert all(everything.count(symbol) > 30 for symbol in "+-*/")
    few = "".join(write(generate(rng, 10, 2, "+-")) for _ in range(50))
    assert not set(few) & set("*/")


def test_expressions_can_be_long() -> None:
    tree = generate(np.random.default_rng(0), 200, 9, "+-*/")
    assert size(tree) == 200
    assert Fraction(evaluate(tree)) == value_by_python(write(tree))


@pytest.mark.parametrize(
    ("operations", "digits", "operators", "message"),
    [(0, 1, "+-", "not 0"), (201, 1, "+-", "not 201"), (1, 10, "+-", "not 10"), (1, 1, "*/", r"'\*/'")],
)
def test_impossible_requests_are_named(operations: int, digits: int, operators: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        generate(np.random.default_rng(0), operations, digits, operators)


def test_division_by_zero_and_with_a_remainder_have_no_value() -> None:
    assert apply("/", 8, 2) == 4
    assert apply("/", 8, 3) is None
    assert apply("/", 8, 0) is None
    with pytest.raises(InvalidInput, match="7/2 has no integer value"):
        evaluate(("+", 1, ("/", 7, 2)))


def test_reducing_all_the_way_leads_to_the_value_in_as_many_steps_as_operations() -> None:
    for tree in DRAWN:
        left: Tree = tree
        for done in range(size(tree)):
            assert size(left) == size(tree) - done
            after = reduced(left, *next(reducible(left)))
            assert after is not None
            left = after
        assert left == evaluate(tree)


def test_only_operations_whose_operands_are_numbers_can_be_reduced() -> None:
    tree: Tree = ("+", 2, ("*", 3, 4))
    assert list(reducible(tree)) == [("*", 3, 4)]
    assert reduced(tree, "+", 2, 3) is None
    assert reduced(tree, "*", 4, 3) == ("+", 2, 12)
    assert reduced(("-", 5, 3), "-", 3, 5) is None
    assert reduced(("+", ("-", 5, 3), ("-", 5, 3)), "-", 5, 3) == ("+", 2, ("-", 5, 3))
    assert reduced(7, "+", 3, 4) is None


def test_the_canonical_form_ignores_the_order_of_sums_and_products_only() -> None:
    assert canonical(("+", ("*", 2, 3), 1)) == canonical(("+", 1, ("*", 3, 2)))
    assert canonical(("-", 2, 3)) != canonical(("-", 3, 2))
    assert canonical(("/", 6, 3)) != canonical(("/", 3, 6))
    assert canonical(("+", 1, ("+", 2, 3))) != canonical(("+", ("+", 1, 2), 4))
