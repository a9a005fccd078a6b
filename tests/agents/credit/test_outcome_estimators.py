"""Estimators that give every turn of an episode the same advantage, against hand-computed numbers."""

import math

import numpy as np
import pytest

from turnwise.agents.credit import (
    DRPO,
    GRPO,
    OPO,
    RLOO,
    DrGRPO,
    GatedReturn,
    MaxRL,
    PerReward,
    ReinforcePPBaseline,
    TreeGRPO,
)
from turnwise.agents.errors import InvalidInput

ONE_OF_FOUR = [[0.0, 1.0], [0.0], [0.0, 0.0, 0.0], [0.0]]
"""One success of two turns among four episodes: mean .25, sample deviation .5."""


def assert_advantages(advantages, expected):
    assert advantages.dtype == np.float64
    np.testing.assert_allclose(advantages, expected, rtol=0, atol=1e-8)


def test_grpo_divides_the_offset_by_the_sample_deviation(make_table):
    assert_advantages(GRPO()(make_table(ONE_OF_FOUR)), [1.499997] * 2 + [-0.499999] * 5)


def test_dr_grpo_subtracts_the_mean_alone(make_table):
    assert DrGRPO()(make_table(ONE_OF_FOUR)).tolist() == [0.75] * 2 + [-0.25] * 5


def test_rloo_compares_with_the_mean_of_the_others(make_table):
    assert_advantages(RLOO()(make_table(ONE_OF_FOUR)), [1.0] * 2 + [-1 / 3] * 5)


def test_rloo_equals_the_explicit_leave_one_out_mean(make_table):
    outcomes = [2.0, -1.0, 0.5]
    expected = [own - np.mean([other for j, other in enumerate(outcomes) if j != i]) for i, own in enumerate(outcomes)]
    assert_advantages(RLOO()(make_table([[outcome] for outcome in outcomes])), expected)


def test_groups_are_compared_within_themselves(make_table):
    table = make_table([[1.0], [10.0], [0.0], [30.0]], groups=[5, 7, 5, 7])
    assert DrGRPO()(table).tolist() == [0.5, -10.0, -0.5, 10.0]


def test_an_outcome_given_apart_takes_the_place_of_the_rewards(make_table):
    assert DrGRPO()(make_table([[9.0], [0.0]], outcome=[0.0, 1.0])).tolist() == [-0.5, 0.5]


def test_reinforce_pp_baseline_whitens_the_group_offsets_over_the_episodes(make_table):
    table = make_table([[0.0, 1.0], [0.0], [3.0], [1.0]], groups=[0, 0, 1, 1])
    # Offsets .5, -.5, 1, -1 with population deviation sqrt(.625).
    assert_advantages(ReinforcePPBaseline()(table), [0.63245553, 0.63245553, -0.63245553, 1.26491106, -1.26491106])


def test_max_rl_divides_by_the_mean(make_table):
    assert_advantages(MaxRL()(make_table(ONE_OF_FOUR)), [2.999988] * 2 + [-0.999996] * 5)


def test_max_rl_gives_a_group_without_success_nothing(make_table):
    assert MaxRL()(make_table([[0.0], [0.0]])).tolist() == [0.0, 0.0]


def test_max_rl_refuses_negative_outcomes(make_table):
    with pytest.raises(InvalidInput, match=r"MaxRL divides by the mean outcome, but one is -1\.0"):
        MaxRL()(make_table([[-1.0], [1.0]]))


def test_opo_weighs_the_baseline_by_sampled_tokens(make_table):
    table = make_table([[0.0, 1.0], [0.0]], tokens=[[1, 2], [9]])
    assert OPO()(table).tolist() == [0.75, 0.75, -0.25]


def test_opo_refuses_a_group_without_tokens(make_table):
    with pytest.raises(InvalidInput, match="action_tokens is 0 throughout a group"):
        OPO()(make_table([[1.0], [0.0]], tokens=[[0], [0]]))


def test_gated_return_counts_turn_rewards_only_behind_the_gate(make_table):
    table = make_table([[0.5, 0.0], [1.0, 1.0]], outcome=[1.0, 0.4])
    # Totals 1.5 and .4: the second episode's 2.0 of turn rewards stay out.
    assert_advantages(GatedReturn(threshold=0.5)(table), [0.70710587, 0.70710587, -0.70710587, -0.70710587])


def test_gated_return_opens_the_gate_at_the_threshold_itself(make_table):
    table = make_table([[0.5, 0.0], [1.0, 1.0]], outcome=[1.0, 0.4])
    # Totals 1.5 and 2.4.
    assert_advantages(GatedReturn(threshold=0.4)(table), [-0.70710567, -0.70710567, 0.70710567, 0.70710567])


def test_gated_return_refuses_an_outcome_made_of_the_rewards_it_gates(make_table):
    with pytest.raises(InvalidInput, match="GatedReturn needs an outcome apart"):
        GatedReturn()(make_table([[1.0], [0.0]]))


def test_gated_return_refuses_a_threshold_that_is_nan():
    with pytest.raises(InvalidInput, match="threshold is NaN"):
        GatedReturn(threshold=math.nan)


def test_per_reward_keeps_a_large_component_from_drowning_a_small_one(make_table):
    table = make_table(
        [[1.0, 0.0], [100.0], [0.0]],
        parts={"small": [[1.0, 0.0], [0.0], [0.0]], "large": [[0.0, 0.0], [100.0], [0.0]]},
    )
    # Each component is 2/3, -1/3, -1/3 of its own in units of its deviation, so that the first two episodes tie.
    np.testing.assert_allclose(PerReward()(table), [0.707107, 0.707107, 0.707107, -1.414214], atol=1e-5)


def test_per_reward_weighs_components_by_name(make_table):
    table = make_table([[1.0], [2.0]], parts={"a": [[1.0], [0.0]], "b": [[0.0], [2.0]]})
    assert_advantages(PerReward(weights={"b": 0.5})(table), [1.0, -1.0])
    assert_advantages(PerReward(weights={"b": 2.0})(table), [-1.0, 1.0])


def test_per_reward_names_the_components_that_there_are(make_table):
    table = make_table([[1.0], [2.0]], parts={"a": [[1.0], [0.0]]})
    with pytest.raises(InvalidInput, match="weights names 'c', but the components are: a"):
        PerReward(weights={"c": 1.0})(table)
    with pytest.raises(InvalidInput, match=r"table\.parts is empty"):
        PerReward()(make_table([[1.0], [2.0]]))
    with pytest.raises(InvalidInput, match=r"weights\['a'\] is -1.0"):
        PerReward(weights={"a": -1.0})


def test_tree_grpo_adds_the_advantage_inside_the_tree(make_table):
    table = make_table([[1.0], [0.0], [1.0], [1.0]], episode_columns={"tree": [0, 0, 1, 1]})
    # Over the prompt .25 / .500001 and -.75 / .500001; in the first tree +-.5 / .70710778; in the second a tie.
    assert_advantages(TreeGRPO()(table), [0.499999 + 0.70710578, -1.499997 - 0.70710578, 0.499999, 0.499999])


def test_trees_of_two_prompts_with_one_number_are_two_trees(make_table):
    table = make_table([[1.0], [0.0], [5.0], [6.0]], groups=[0, 0, 1, 1], episode_columns={"tree": [0, 0, 0, 0]})
    assert_advantages(TreeGRPO()(table), [1.41421156, -1.41421156, -1.41421156, 1.41421156])


DRPO_TABLE = {
    "rewards": [[1.0], [0.5, 0.5], [0.0], [0.0]],
    "tokens": [[1], [1, 2], [2], [4]],
    "columns": {"logprob": [[-1.0], [-1.0, -1.0], [-2.0], [-8.0]]},
}


def test_drpo_shares_credit_by_length_and_blame_by_likelihood(make_table):
    table = make_table(DRPO_TABLE["rewards"], tokens=DRPO_TABLE["tokens"], columns=DRPO_TABLE["columns"])
    advantages = DRPO(length_limit=4, length_temperature=1.0, tau=1.0)(table)
    # Softmax of .75 and .25, and of -1 and -2, times 4 episodes.
    assert_advantages(advantages, [2.48983732, 1.51016268, 1.51016268, -2.92423431, -1.07576569])


def test_drpo_is_the_derivative_of_its_objective(make_table):
    table = make_table(DRPO_TABLE["rewards"], tokens=DRPO_TABLE["tokens"], columns=DRPO_TABLE["columns"])
    tau, temperature, limit = 2.0, 0.7, 5.0
    length = np.array([1.0, 3.0, 2.0, 4.0])

    def objective(scores):
        weight = np.exp((1 - length[:2] / limit) / temperature)
        return weight @ scores[:2] / weight.sum() - tau * np.log(np.mean(np.exp(scores[2:] / tau)))

    scores = np.array([-1.0, -2.0 / 3.0, -1.0, -2.0])
    step = 1e-6 * np.eye(4)
    numeric = [(objective(scores + h) - objective(scores - h)) / 2e-6 for h in step]
    advantages = DRPO(length_limit=5, length_temperature=temperature, tau=tau)(table)
    np.testing.assert_allclose(advantages[[0, 1, 3, 4]], 4 * np.array(numeric), atol=1e-8)


@pytest.mark.parametrize("rewards", [[[1.0], [1.0]], [[0.0], [0.5]]], ids=["all correct", "all wrong"])
def test_drpo_gives_a_group_of_one_kind_nothing(make_table, rewards):
    table = make_table(rewards, tokens=[[1], [2]], columns={"logprob": [[-1.0], [-1.0]]})
    assert DRPO()(table).tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("hyper", "message"),
    [
        ({"length_limit": 0}, "length_limit is 0"),
        ({"tau": 0.0}, "tau is 0.0"),
        ({"length_temperature": -1.0}, "length_temperature is -1.0"),
    ],
)
def test_drpo_refuses_values_out_of_range(hyper, message):
    with pytest.raises(InvalidInput, match=message):
        DRPO(**hyper)
