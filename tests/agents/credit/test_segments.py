"""The vectorised arithmetic against loops, and against literal numbers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from turnwise.agents.credit.segments import (
    center,
    codes,
    counts,
    discounted_returns,
    following,
    pair,
    preceding,
    standardize,
    whiten,
)


def looped_returns(values, run, gamma):
    """Returns by the definition, from the last turn to the first."""
    returns = [0.0] * len(values)
    for t in reversed(range(len(values))):
        inside = t + 1 < len(values) and run[t + 1] == run[t]
        returns[t] = values[t] + (gamma * returns[t + 1] if inside else 0.0)
    return returns


def test_returns_discount_what_follows_in_the_same_episode():
    returns = discounted_returns(np.array([1.0, 0.0, 2.0, 5.0, 0.0, 4.0]), np.array([0, 0, 0, 1, 2, 2]), 0.5)
    assert returns.tolist() == [1.5, 1.0, 2.0, 5.0, 2.0, 4.0]


@settings(deadline=None, max_examples=60)
@given(
    lengths=st.lists(st.integers(1, 40), max_size=8),
    gamma=st.sampled_from([0.0, 0.3, 0.95, 1.0]),
    seed=st.integers(0, 2**16),
)
def test_returns_equal_the_loop_for_any_lengths(lengths, gamma, seed):
    run = np.repeat(np.arange(len(lengths)), lengths) if lengths else np.zeros(0, np.int64)
    values = np.random.default_rng(seed).normal(size=len(run))
    np.testing.assert_allclose(
        discounted_returns(values, run, gamma), looped_returns(values, run, gamma), rtol=0, atol=1e-12
    )


def test_returns_leave_their_input_as_it_was():
    values = np.array([1.0, 2.0])
    discounted_returns(values, np.array([0, 0]), 1.0)
    assert values.tolist() == [1.0, 2.0]


def test_centering_takes_the_mean_of_each_segment():
    assert center(np.array([1.0, 10.0, 3.0, 20.0]), np.array([0, 1, 0, 1])).tolist() == [-1.0, -5.0, 1.0, 5.0]


def test_centering_can_weigh_the_entries():
    offsets = center(np.array([0.0, 4.0]), np.array([0, 0]), weights=np.array([3.0, 1.0]))
    assert offsets.tolist() == [-1.0, 3.0]


@pytest.mark.parametrize("value", [0.1, 1e9, -3.7])
def test_equal_values_are_centred_to_exactly_zero(value):
    values = np.full(3, value)
    assert center(values, np.zeros(3, np.int64)).tolist() == [0.0, 0.0, 0.0]
    assert standardize(values, np.zeros(3, np.int64)).tolist() == [0.0, 0.0, 0.0]


def test_the_standard_deviation_is_that_of_the_sample_unless_told_otherwise():
    values, index = np.array([1.0, 3.0]), np.array([0, 0])
    np.testing.assert_allclose(standardize(values, index, epsilon=0.0), [-(0.5**0.5), 0.5**0.5], rtol=1e-15)
    np.testing.assert_allclose(standardize(values, index, ddof=0, epsilon=0.0), [-1.0, 1.0], rtol=1e-15)


def test_a_segment_of_one_is_standardised_to_zero():
    assert standardize(np.array([7.0, 1.0, 3.0]), np.array([0, 1, 1]), epsilon=0.5)[0] == 0.0


def test_whitening_gives_mean_zero_and_deviation_one():
    values = whiten(np.array([1.0, 2.0, 3.0, 4.0]))
    np.testing.assert_allclose(values, np.array([-1.5, -0.5, 0.5, 1.5]) / 1.25**0.5, rtol=1e-8)


def test_large_offsets_cost_no_precision():
    offsets = center(np.array([1e12, 1e12 + 1.0]), np.array([0, 0]))
    assert offsets.tolist() == [-0.5, 0.5]


def test_codes_are_shared_between_columns_and_follow_first_appearance():
    first, second = codes(["b", "a", "b"], ["c", "a"])
    assert first.tolist() == [0, 1, 0]
    assert second.tolist() == [2, 1]
    assert first.dtype == second.dtype == np.int64


def test_pairs_are_equal_exactly_where_both_are():
    assert pair(np.array([0, 0, 1, 1, 0]), np.array([0, 1, 0, 1, 0])).tolist() == [0, 1, 2, 3, 0]


def test_counts_say_how_many_share_the_segment():
    assert counts(np.array([0, 2, 2])).tolist() == [1, 2, 2]


def test_neighbours_stay_inside_the_episode():
    values, run = np.array([1.0, 2.0, 3.0]), np.array([0, 0, 1])
    assert following(values, run).tolist() == [2.0, 0.0, 0.0]
    assert following(values, run, np.array([9.0, 8.0, 7.0])).tolist() == [2.0, 8.0, 7.0]
    assert preceding(values, run, -1.0).tolist() == [-1.0, 1.0, -1.0]


def test_empty_columns_stay_empty():
    empty, index = np.zeros(0), np.zeros(0, np.int64)
    for result in (center(empty, index), standardize(empty, index), whiten(empty), discounted_returns(empty, index, 1)):
        assert result.shape == (0,)
        assert result.dtype == np.float64
