"""Weighted sums and products."""

from __future__ import annotations

import functools
import math
import operator

import numpy as np
import pytest

from turnwise.verifiers import InvalidInput, Product, Verdict, WeightedSum


def test_a_weighted_sum_adds_weight_times_score(fixed):
    verdict = (0.2 * fixed("form", 1.0) + 0.8 * fixed("answer", 0.5))("x")
    assert verdict.score == pytest.approx(0.6, abs=1e-15)
    assert verdict.parts["form"].score == 1.0
    assert verdict.parts["answer"].score == 0.5
    assert verdict.evidence == "0.2 * form (1) + 0.8 * answer (0.5) = 0.6"


@pytest.mark.parametrize(
    ("build", "score"),
    [
        (lambda a, b: a + b, 1.25),
        (lambda a, b: a - b, -0.75),
        (lambda a, b: 1 - a, 0.75),
        (lambda a, b: a - 1, -0.75),
        (lambda a, b: -a, -0.25),
        (lambda a, b: a / 2, 0.125),
        (lambda a, b: 2 + 3 * a - b + 1, 2.75),
        (lambda a, b: 2 * (a + b), 2.5),
        (lambda a, b: 2 * (a + 1), 2.5),
        (lambda a, b: (a + b) / 2 - 0.5, 0.125),
        (lambda a, b: sum([a, b]), 1.25),
        (lambda a, b: np.float32(0.5) * a, 0.125),
        (lambda a, b: a * np.int64(3), 0.75),
        (lambda a, b: a * b, 0.25),
        (lambda a, b: 2 * a * b, 0.5),
        (lambda a, b: a * (4 * b), 1.0),
        (lambda a, b: a * b * 0.5 + b, 1.125),
    ],
)
def test_the_operators_compute_what_they_say(fixed, build, score):
    assert build(fixed("a", 0.25), fixed("b", 1.0))("x").score == score


def test_sums_and_products_of_the_same_kind_become_one_flat_composition(fixed):
    a, b, c = fixed("a", 1.0), fixed("b", 1.0), fixed("c", 1.0)
    assert [list(s.components) for s in ((a + b) + c, a + (b + c))] == [["a", "b", "c"]] * 2
    assert [list(p.components) for p in ((a * b) * c, a * (b * c))] == [["a", "b", "c"]] * 2
    assert list((a - (b - c)).weights.values()) == [1.0, -1.0, 1.0]


def test_a_named_sum_stays_whole_inside_another(fixed):
    inner = (fixed("a", 1.0) + fixed("b", 1.0)).named("quality")
    verdict = (inner + fixed("c", 1.0))("x")
    assert verdict.flat() == {"quality": 2.0, "quality/a": 1.0, "quality/b": 1.0, "c": 1.0}


def test_a_scaled_verifier_keeps_its_name(fixed):
    assert (0.5 * fixed("answer", 1.0)).name == "answer"
    assert (fixed("a", 1.0) + fixed("b", 1.0)).name == "weighted_sum"
    assert (0.5 * fixed("answer", 1.0)).named("half").name == "half"


def test_equal_names_are_told_apart_by_suffixes_that_hit_no_other_name(fixed):
    total = fixed("a", 1.0) + fixed("a", 2.0) + fixed("a_2", 3.0) + fixed("a", 4.0)
    assert total("x").flat() == {"a": 1.0, "a_3": 2.0, "a_2": 3.0, "a_4": 4.0}


@pytest.mark.parametrize("status", ["error", "timeout", "abstain"])
@pytest.mark.parametrize("build", [lambda a, b: a + b, lambda a, b: a * b, lambda a, b: 0.5 * b])
def test_an_undecided_component_makes_sum_and_product_undecided(fixed, status, build):
    verdict = build(fixed("a", 0.0), fixed("b", status))("x")
    assert math.isnan(verdict.score)
    assert (verdict.status, verdict.error) == (status, f"b: {status} of b")
    assert verdict.parts["b"].status == status


def test_the_worst_of_several_errors_gives_the_status_and_all_are_named(fixed):
    verdict = (fixed("a", "abstain") + fixed("b", "timeout") + fixed("c", 1.0))("x")
    assert verdict.status == "timeout"
    assert verdict.error == "a: abstain of a; b: timeout of b"


def test_a_component_of_weight_zero_is_watched_but_not_counted(fixed):
    verdict = (fixed("a", 1.0) + 0 * fixed("b", "error"))("x")
    assert verdict.score == 1.0
    assert verdict.parts["b"].error == "error of b"


def test_a_sum_without_rounding_error_of_its_own_reaches_one(fixed):
    assert functools.reduce(operator.add, [0.1] * 10) != 1.0  # `sum` itself compensates since Python 3.12
    total = sum(0.1 * fixed(f"part_{number}", 1.0) for number in range(10))
    assert total("x").score == 1.0


def test_scores_that_combine_to_no_finite_number_are_an_error_and_not_a_reward(fixed):
    huge = fixed("a", 1e200)
    verdict = (huge * huge)("x")
    assert verdict.status == "error"
    assert "not a finite reward" in (verdict.error or "")
    infinite = fixed("b", math.inf)
    assert not (infinite - infinite)("x").decided


@pytest.mark.parametrize(
    "build",
    [
        lambda a: a + "text",
        lambda a: "text" + a,
        lambda a: a * None,
        lambda a: a + True,
        lambda a: a & 1,
        lambda a: a >> "b",
        lambda a: a | len,
        lambda a: math.nan * a,
        lambda a: math.inf + a,
        lambda a: a / 0,
        lambda a: WeightedSum([]),
        lambda a: Product("a"),
    ],
)
def test_operands_that_are_neither_verifiers_nor_finite_numbers_are_refused(fixed, build):
    with pytest.raises(InvalidInput):
        build(fixed("a", 1.0))


def test_and_or_not_of_python_are_refused_because_they_would_drop_an_operand(fixed):
    with pytest.raises(InvalidInput, match="a & b"):
        fixed("a", 1.0) and fixed("b", 1.0)


def test_a_verdict_of_a_sum_is_not_touched_by_later_ones(fixed):
    total = fixed("a", 1.0) + fixed("b", 0.5)
    first = total("x")
    assert total("y") == first == Verdict(1.5, first.parts, "a (1) + b (0.5) = 1.5")
