"""The assignment: against trying every one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from turnwise.verifiers.tools.assignment import best_alignment, best_assignment

WEIGHTS = st.integers(0, 5).flatmap(
    lambda rows: st.integers(0, 5).flatmap(
        lambda columns: st.lists(
            st.lists(st.integers(0, 6), min_size=columns, max_size=columns), min_size=rows, max_size=rows
        ).map(lambda values: np.array(values, dtype=float).reshape(rows, columns))
    )
)


def total(weights, pairs):
    return sum(weights[row, column] for row, column in pairs)


def every_assignment(weights):
    rows, columns = weights.shape
    size = min(rows, columns)
    for chosen in itertools.combinations(range(rows), size):
        for order in itertools.permutations(range(columns), size):
            yield list(zip(chosen, order, strict=True))


@given(WEIGHTS)
@settings(deadline=None, max_examples=150)
def test_no_assignment_is_better_than_the_one_returned(weights):
    pairs = best_assignment(weights)
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs) == min(weights.shape)
    assert total(weights, pairs) == max(total(weights, other) for other in every_assignment(weights))


@given(WEIGHTS)
@settings(deadline=None, max_examples=100)
def test_no_ascending_assignment_is_better_than_the_alignment(weights):
    pairs = best_alignment(weights)
    assert pairs == sorted(pairs)
    assert all(left[1] < right[1] for left, right in itertools.pairwise(pairs))
    ascending = [
        [pair for pair, kept in zip(other, mask, strict=True) if kept]
        for other in every_assignment(weights)
        for mask in itertools.product((0, 1), repeat=len(other))
        if (chosen := [pair[1] for pair, kept in zip(other, mask, strict=True) if kept]) == sorted(chosen)
    ]
    assert total(weights, pairs) == max(total(weights, other) for other in ascending)


def test_the_greedy_choice_is_not_taken_where_it_costs_more_later():
    weights = np.array([[3.0, 2.0], [3.0, 0.0]])
    assert best_assignment(weights) == [(0, 1), (1, 0)]


@pytest.mark.parametrize("shape", [(60, 60), (40, 90), (90, 40)])
def test_larger_assignments_are_no_worse_than_many_random_ones(shape):
    generator = np.random.default_rng(0)
    weights = generator.random(shape)
    best = total(weights, best_assignment(weights))
    size = min(shape)
    for _ in range(200):
        rows, columns = generator.permutation(shape[0])[:size], generator.permutation(shape[1])[:size]
        assert best >= weights[rows, columns].sum()
