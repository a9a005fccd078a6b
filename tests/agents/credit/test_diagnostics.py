"""What a run logs of its credit, against hand-counted batches."""

import math

import numpy as np
import pytest

from turnwise.agents.credit import diagnostics, effective_sample_size
from turnwise.agents.errors import InvalidInput


def test_turns_without_advantage_are_counted(make_table):
    found = diagnostics(make_table([[0.0, 0.0], [0.0, 1.0]]), np.array([0.0, 1e-12, -0.5, 0.5]))
    assert found["zero_advantage_turns"] == 0.5


def test_groups_that_tie_are_counted_single_ones_among_them(make_table):
    table = make_table([[1.0], [1.0], [1.0], [0.0], [5.0]], groups=[0, 0, 1, 1, 2])
    found = diagnostics(table, np.zeros(5))
    assert found["zero_variance_groups"] == pytest.approx(2 / 3)
    assert found["single_episode_groups"] == pytest.approx(1 / 3)


def test_step_groups_are_sized_inside_each_prompt_group(make_table):
    table = make_table([[0.0, 0.0], [0.0], [0.0]], groups=[0, 0, 1], states=[["a", "b"], ["a"], ["a"]])
    found = diagnostics(table, np.zeros(4))
    assert found["step_group_mean"] == pytest.approx(4 / 3)
    assert found["step_group_max"] == 2.0
    assert found["step_group_singletons"] == 0.5


def test_credit_on_turns_without_progress_is_stray(make_table):
    table = make_table([[0.0, 0.0, 0.0, 1.0]], progress=[[0.2, 0.2, 0.6, 0.5]])
    # The first turn's start is unknown; turns 1 and 3 stand still or fall back; negative credit is no credit.
    found = diagnostics(table, np.array([9.0, 1.0, 3.0, -2.0]))
    assert found["stray_credit"] == 0.25
    assert found["stray_turns"] == pytest.approx(2 / 3)


def test_unknown_progress_is_left_out(make_table):
    nan = math.nan
    table = make_table([[0.0, 0.0, 0.0]], progress=[[0.1, nan, 0.2]])
    assert "stray_credit" not in diagnostics(table, np.ones(3))
    assert "stray_credit" not in diagnostics(make_table([[0.0, 0.0]]), np.ones(2))


def test_explained_variance_is_that_of_the_returns(make_table):
    returns = [[3.0, 2.0], [0.0, 0.0]]
    perfect = make_table([[1.0, 2.0], [0.0, 0.0]], columns={"value": returns})
    constant = make_table([[1.0, 2.0], [0.0, 0.0]], columns={"value": [[1.0, 1.0], [1.0, 1.0]]})
    half = make_table([[1.0, 2.0], [0.0, 0.0]], columns={"value": [[1.5, 1.0], [0.0, 0.0]]})
    assert diagnostics(perfect, np.zeros(4))["explained_variance"] == 1.0
    assert diagnostics(constant, np.zeros(4))["explained_variance"] == pytest.approx(0.0, abs=1e-12)
    assert diagnostics(half, np.zeros(4))["explained_variance"] == pytest.approx(0.75)


def test_explained_variance_is_left_out_where_all_returns_are_equal(make_table):
    table = make_table([[1.0], [1.0]], columns={"value": [[0.0], [0.5]]})
    assert "explained_variance" not in diagnostics(table, np.zeros(2))


def test_failed_episodes_are_counted_and_left_out(make_table):
    table = make_table([[1.0], [0.0], [0.0], [7.0]], failed=[False, False, True, True])
    found = diagnostics(table, np.array([0.5, -0.5, 0.0, 0.0]))
    assert found["failed_episodes"] == 0.5
    assert found["zero_advantage_turns"] == 0.0
    assert found["zero_variance_groups"] == 0.0


def test_a_batch_without_turns_says_what_failed_and_nothing_else(make_table):
    assert diagnostics(make_table([]), np.zeros(0)) == {"failed_episodes": 0.0}
    assert diagnostics(make_table([[1.0]], failed=[True]), np.zeros(1)) == {"failed_episodes": 1.0}


def test_every_number_is_a_finite_float(batch):
    found = diagnostics(batch.table(), np.linspace(-1, 1, batch.table().turns))
    assert all(type(value) is float and math.isfinite(value) for value in found.values())


def test_advantages_of_another_batch_are_refused(make_table):
    with pytest.raises(InvalidInput, match=r"advantages has shape \(3,\); it needs one entry per turn: \(1,\)"):
        diagnostics(make_table([[1.0]]), np.zeros(3))


def test_the_effective_sample_size_is_one_on_policy_and_falls_to_one_sample():
    assert effective_sample_size(np.zeros(4)) == 1.0
    assert effective_sample_size(np.full(4, 3.0)) == pytest.approx(1.0)
    assert effective_sample_size(np.log([1.0, 3.0])) == pytest.approx(16 / 20)
    assert effective_sample_size(np.array([0.0, 2000.0, 0.0, 0.0])) == pytest.approx(1 / 4)


@pytest.mark.parametrize("ratios", [[], [0.0, math.nan], [math.inf]])
def test_ratios_that_are_no_numbers_are_refused(ratios):
    with pytest.raises(InvalidInput, match="log_ratios must hold at least one number"):
        effective_sample_size(np.array(ratios))
