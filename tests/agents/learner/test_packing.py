"""Packing: every sequence whole, rows within the budget, nothing fed that predicts nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnwise.agents.errors import InvalidInput
from turnwise.agents.learner import pack, pack_sequences
from turnwise.agents.types import TokenSequence


def sequence(ids, turn):
    return TokenSequence(np.array(ids), np.array(turn, np.int32), np.zeros(len(ids), np.float32), 0)


def test_longest_first_into_the_first_row_that_has_room():
    assert pack([3, 7, 2, 5, 3], 10) == [[1, 0], [3, 4, 2]]


def test_a_sequence_longer_than_the_budget_gets_a_row_of_its_own():
    assert pack([4, 25, 6], 10) == [[1], [2, 0]]


def test_ties_are_broken_by_index():
    assert pack([5, 5, 5, 5], 10) == [[0, 1], [2, 3]]


def test_nothing_packs_into_no_rows():
    assert pack([], 10) == []


@given(st.lists(st.integers(1, 60), max_size=40), st.integers(1, 50))
def test_every_item_is_in_exactly_one_row_within_the_budget(lengths, budget):
    rows = pack(lengths, budget)
    assert sorted(item for row in rows for item in row) == list(range(len(lengths)))
    assert all(len(row) == 1 or sum(lengths[item] for item in row) <= budget for row in rows)
    assert all([lengths[i] for i in row] == sorted([lengths[i] for i in row], reverse=True) for row in rows)


@given(st.lists(st.integers(1, 60), max_size=40), st.integers(60, 90))
def test_at_most_one_row_is_at_most_half_full(lengths, budget):
    # First-fit leaves no two rows that would fit together.
    loads = sorted(sum(lengths[item] for item in row) for row in pack(lengths, budget))
    assert len(loads) < 2 or loads[0] + loads[1] > budget


def test_budget_must_be_positive():
    with pytest.raises(InvalidInput, match="token budget is 0"):
        pack([1], 0)


def test_a_row_holds_inputs_positions_predictors_and_targets():
    first = sequence([10, 11, 12, 13, 14], [-1, -1, 0, -1, 1])  # the last action is the last token: 4 inputs
    second = sequence([20, 21, 22, 23], [-1, 0, 0, -1])  # the trailing observation is not fed: 2 inputs
    (row,) = pack_sequences([second, first], 100)
    assert row.sequences == (1, 0)
    assert row.lengths == (4, 2)
    assert row.actions == (2, 2)
    assert row.input_ids.tolist() == [10, 11, 12, 13, 20, 21]
    assert row.positions.tolist() == [0, 1, 2, 3, 0, 1]
    assert row.predictors.tolist() == [1, 3, 4, 5]
    assert row.targets.tolist() == [12, 14, 21, 22]


def test_sequences_without_actions_are_left_out():
    rows = pack_sequences([sequence([1, 2], [-1, -1]), sequence([3, 4], [-1, 0]), sequence([], [])], 100)
    assert [row.sequences for row in rows] == [(1,)]


def test_an_action_that_nothing_predicts_is_refused():
    with pytest.raises(InvalidInput, match="sequence 1 begins with an action token"):
        pack_sequences([sequence([1, 2], [-1, 0]), sequence([1, 2], [0, 0])], 100)


def test_arrays_of_unequal_length_are_refused():
    with pytest.raises(InvalidInput, match="sequence 0 has 3 ids, 2 turn indices and 3 logprobs"):
        pack_sequences([TokenSequence(np.arange(3), np.zeros(2, np.int32), np.zeros(3, np.float32), 0)], 100)
