"""Comparison of results: against trying every order."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from turnwise.verifiers.sql import SQLPolicy
from turnwise.verifiers.sql.results import blocks, pairing_exists, same_bag, same_list, same_result

LOOSE = SQLPolicy(absolute=0.15, relative=0.0)
VALUES = st.sampled_from([None, 0, 1, 1.0, 1.1, 1.2, 1.3, "", "1", b"", b"1"])
ROWS = st.lists(st.tuples(VALUES, st.sampled_from([1.0, 1.1, 1.2])), max_size=4)


def slow_same_bag(given_rows, reference):
    return any(same_list(order, reference, LOOSE) for order in itertools.permutations(given_rows))


@given(ROWS, ROWS)
@settings(deadline=None, max_examples=300)
def test_bags_are_the_same_if_some_order_makes_the_lists_the_same(left, right):
    assert same_bag(left, right, LOOSE) == slow_same_bag(left, right)


@given(ROWS, st.randoms(use_true_random=False), st.sampled_from([0.0, 0.1]))
@settings(deadline=None, max_examples=200)
def test_a_shuffled_bag_with_noise_within_tolerance_stays_the_same(rows, random, noise):
    shuffled = [(first, second + noise) for first, second in rows]
    random.shuffle(shuffled)
    assert same_bag(shuffled, rows, LOOSE)


@given(ROWS, ROWS)
@settings(deadline=None, max_examples=200)
def test_columns_in_any_order_agree_if_some_order_of_them_makes_the_bags_the_same(left, right):
    policy = SQLPolicy(column_order=False, absolute=0.15, relative=0.0)
    swapped = [(second, first) for first, second in left]
    expected = same_bag(left, right, policy) or same_bag(swapped, right, policy)
    assert same_result(left, [right], ordered=False, policy=policy) == expected


def test_tolerance_is_paired_where_sorting_would_pair_the_wrong_rows():
    # by the first column the rows pair crosswise, but the second then differs
    given_rows, reference = [(1.0, 5.0), (1.1, 9.0)], [(1.05, 9.0), (1.06, 5.0)]
    assert same_bag(given_rows, reference, LOOSE)
    assert not same_bag(given_rows, [(1.05, 9.0), (1.06, 9.0)], LOOSE)


def test_a_row_that_is_exactly_equal_is_not_paired_where_another_needs_it():
    assert same_bag([(1.1,), (1.2,)], [(1.0,), (1.1,)], LOOSE)
    assert not same_bag([(1.1,), (1.3,)], [(1.0,), (1.1,)], LOOSE)


def test_long_results_are_compared_within_tolerance_too():
    rows = [(number, number / 7) for number in range(2000)]
    noisy = [(number, value + 0.1) for number, value in rows]
    assert same_bag(noisy[::-1], rows, LOOSE)
    assert not same_bag([*noisy[:-1], (1999, 0.0)], rows, LOOSE)
    assert not same_bag([*noisy[:-1], (1999, "x")], rows, LOOSE)


def test_blocks_are_the_shortest_runs_that_hold_the_same_rows():
    first = [(1,), (2,), (3,), (4,), (4,), (5,)]
    second = [(1,), (3,), (2,), (4,), (4,), (5,)]
    assert list(blocks(first, second)) == [(0, 1), (1, 3), (3, 4), (4, 5), (5, 6)]


@pytest.mark.parametrize(
    ("partners", "exists"),
    [([], True), ([[0]], True), ([[]], False), ([[0, 1], [0]], True), ([[0], [0]], False),
     ([[0, 1], [0, 2], [1, 2], [3], [3]], False), ([[0, 1, 2], [0, 1], [0]], True)],
)  # fmt: skip
def test_a_pairing_exists_if_everyone_can_have_a_partner_of_their_own(partners, exists):
    assert pairing_exists(partners) is exists
