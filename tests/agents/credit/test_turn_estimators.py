"""Estimators that tell the turns of an episode apart, against hand-computed numbers."""

import numpy as np
import pytest

from turnwise.agents.credit import (
    HGPO,
    IGPO,
    MTGRPO,
    PRIME,
    DualGranularity,
    GiGPO,
    GraphCredit,
    ReinforcePP,
    SemiOnline,
    SPOTree,
    TruncatedStep,
    TurnGAE,
    TurnReturn,
)
from turnwise.agents.errors import InvalidInput


def assert_advantages(advantages, expected):
    assert advantages.dtype == np.float64
    np.testing.assert_allclose(advantages, expected, rtol=0, atol=1e-8)


def test_reinforce_pp_whitens_undiscounted_returns_over_turns(make_table):
    # Returns 1, 1, 0: mean 2/3, population deviation sqrt(2) / 3.
    assert_advantages(ReinforcePP()(make_table([[0.0, 1.0], [0.0]])), [0.70710678, 0.70710678, -1.41421356])


def test_turn_return_z_scores_discounted_returns_over_the_batch(make_table):
    # Returns .9, 1, 0: mean .6333, population deviation .44969125. Groups play no part.
    table = make_table([[0.0, 1.0], [0.0]], groups=[0, 1])
    assert_advantages(TurnReturn(gamma=0.9)(table), [0.59299945, 0.81537425, -1.40837370])


def test_mt_grpo_adds_the_advantage_of_the_turns_own_reward(make_table):
    table = make_table([[1.0, 0.0], [0.0, 0.0]], outcome=[1.0, 0.0])
    assert_advantages(MTGRPO(weight=2.0)(table), [3 * 0.70710578, 0.70710578, -3 * 0.70710578, -0.70710578])


def test_mt_grpo_counts_an_episode_that_ended_as_paid_nothing(make_table):
    table = make_table([[0.0, 2.0], [0.0]], outcome=[1.0, 0.0])
    # Turn 1 is compared with 2 and 0: mean 1, sample deviation sqrt(2).
    assert_advantages(MTGRPO()(table), [0.70710578, 0.70710578 + 0.70710628, -0.70710578])


GIGPO = {"rewards": [[0.0, 1.0], [0.0, 0.0]], "states": [["a", "b"], ["a", "c"]]}


def test_gigpo_compares_step_returns_inside_the_state(make_table):
    table = make_table(**GIGPO)
    # Episodes +-.5; in state a the returns .5 and 0, +-.25; b and c are visited once.
    assert GiGPO(weight=2.0, gamma=0.5)(table).tolist() == [1.0, 0.5, -1.0, -0.5]


def test_gigpo_divides_by_the_deviations_when_asked(make_table):
    table = make_table(**GIGPO)
    advantages = GiGPO(gamma=0.5, normalization="mean_std")(table)
    assert_advantages(advantages, [0.70710578 + 0.70710478, 0.70710578, -0.70710578 - 0.70710478, -0.70710578])


def test_gigpo_compares_visits_of_one_episode_with_each_other_too(make_table):
    table = make_table([[0.0, 1.0], [0.0]], states=[["a", "a"], ["b"]])
    # Returns .5 and 1 in state a.
    assert GiGPO(gamma=0.5)(table).tolist() == [0.25, 0.75, -0.5]


def test_gigpo_takes_an_unknown_state_for_no_state(make_table):
    table = make_table([[1.0], [0.0]], states=[[""], ["a"]])
    assert GiGPO(weight=5.0)(table).tolist() == [0.5, -0.5]


def test_hgpo_weighs_longer_shared_histories_more(make_table):
    table = make_table([[0.0, 1.0], [0.0, 0.0], [0.0, 0.8]], states=[["a", "b"], ["a", "b"], ["c", "b"]])
    advantages = HGPO(history=1, gamma=1.0, normalization="mean")(table)
    # Level 1 in b: 1, 0, .8 with mean .6; level 2 in (a, b): 1, 0 with mean .5; weights 2 and 3.
    expected = [0.5, (2 * 0.4 + 3 * 0.5) / 5, -0.5, (2 * -0.6 + 3 * -0.5) / 5, 0.0, 0.2]
    assert_advantages(advantages, expected)


def test_hgpo_without_history_is_the_step_term_of_gigpo(make_batch):
    table = make_batch(3).table()
    step = GiGPO(weight=1.0)(table) - GiGPO(weight=0.0)(table)
    np.testing.assert_allclose(HGPO(history=0, normalization="mean")(table), step, atol=1e-12)


def test_hgpo_with_alpha_zero_weighs_all_levels_alike(make_table):
    table = make_table([[0.0, 1.0], [0.0, 0.0], [0.0, 0.8]], states=[["a", "b"], ["a", "b"], ["c", "b"]])
    advantages = HGPO(history=1, alpha=0.0, gamma=1.0, normalization="mean")(table)
    assert_advantages(advantages, [0.5, 0.45, -0.5, -0.55, 0.0, 0.2])


def looped_hgpo(table, history, alpha, gamma):
    """HGPO by its definition, with dictionaries of histories."""
    returns, running = {}, 0.0
    for row in reversed(range(table.turns)):
        running = table.reward[row] + (0.0 if table.last[row] else gamma * running)
        returns[row] = running
    levels: dict[tuple, list[int]] = {}
    for row in range(table.turns):
        for level in range(1, min(history + 1, table.turn[row] + 1) + 1):
            key = (level, table.turn_group[row], tuple(table.state_key[row - level + 1 : row + 1]))
            levels.setdefault(key, []).append(row)
    found = [[] for _ in range(table.turns)]
    for (level, *_), rows in levels.items():
        values = np.array([returns[row] for row in rows])
        if len(rows) > 1:
            for row, value in zip(rows, (values - values.mean()) / (values.std() + 1e-6), strict=True):
                found[row].append(((level + 1) ** alpha, value))
    return [sum(w * a for w, a in items) / sum(w for w, _ in items) if items else 0.0 for items in found]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("history", [0, 1, 2, 4])
def test_hgpo_equals_the_loop_over_histories(make_batch, seed, history):
    table = make_batch(seed, group_sizes=(5, 4), longest=7).table()
    advantages = HGPO(history=history, alpha=1.5, gamma=0.9)(table)
    np.testing.assert_allclose(advantages, looped_hgpo(table, history, 1.5, 0.9), atol=1e-9)


def test_graph_credit_pays_a_turn_the_value_it_gained(make_table):
    table = make_table(
        [[0.0, 1.0], [0.0]], states=[["start", "middle"], ["start"]], after=[["middle", "goal"], ["dead end"]]
    )
    # V: goal 1, middle .5, start .25, dead end 0; from start the gains are .25 and -.25, from middle there is one.
    assert GraphCredit(gamma=0.5)(table).tolist() == [0.75, 0.5, -0.75]


def test_graph_credit_carries_value_around_a_cycle(make_table):
    table = make_table(
        [[0.0, 0.0, 1.0], [0.0, 0.0]],
        states=[["a", "b", "a"], ["b", "a"]],
        after=[["b", "a", "goal"], ["a", "b"]],
    )
    # V: goal 1, a .5, b .25. Gains from a: -.25, .5, -.25; from b: .25, .25. Outcomes 1 and 0.
    assert GraphCredit(gamma=0.5)(table).tolist() == [0.25, 0.5, 1.0, -0.5, -0.75]


def test_graph_credit_keeps_groups_apart(make_table):
    rewards, states, after = [[1.0], [0.0]], [["a"], ["a"]], [["goal"], ["goal"]]
    alone = GraphCredit()(make_table(rewards, states=states, after=after))
    both = GraphCredit()(make_table([*rewards, [9.0], [0.0]], groups=[0, 0, 1, 1], states=states * 2, after=after * 2))
    assert both[:2].tolist() == alone.tolist()


def test_graph_credit_settles_where_every_value_of_a_cycle_is_negative(make_table):
    table = make_table([[-1.0, -1.0], [-1.0]], states=[["a", "b"], ["a"]], after=[["b", "a"], ["b"]])
    advantages = GraphCredit(gamma=0.9999)(table)
    assert np.isfinite(advantages).all()


def test_graph_credit_needs_every_state(make_table):
    with pytest.raises(InvalidInput, match="GraphCredit needs the column next_state_key"):
        GraphCredit()(make_table([[1.0], [0.0]], states=[["a"], ["a"]]))
    with pytest.raises(InvalidInput, match="some are unknown"):
        GraphCredit()(make_table([[1.0], [0.0]], states=[["a"], ["a"]], after=[["b"], [""]]))


def test_turn_gae_bootstraps_from_the_next_turn_and_stops_at_the_end(make_table):
    table = make_table([[0.0, 1.0]], columns={"value": [[0.5, 0.6]]})
    # delta_1 = 1 - .6, delta_0 = .9 * .6 - .5; A_0 = .04 + .45 * .4.
    assert_advantages(TurnGAE(gamma=0.9, lam=0.5)(table), [0.22, 0.4])


def test_turn_gae_bootstraps_a_truncated_episode_only(make_table):
    table = make_table(
        [[0.0], [0.0]],
        columns={"value": [[0.2], [0.2]]},
        truncated=[True, False],
        episode_columns={"final_value": [0.8, 0.8]},
    )
    assert_advantages(TurnGAE(gamma=0.9)(table), [0.52, -0.2])


def test_turn_gae_without_a_final_value_ends_a_truncated_episode_at_zero(make_table):
    table = make_table([[0.0], [0.0]], columns={"value": [[0.2], [0.2]]}, truncated=[True, False])
    assert_advantages(TurnGAE()(table), [-0.2, -0.2])


def test_turn_gae_with_lambda_one_is_return_minus_value(make_table):
    table = make_table([[1.0, 2.0, 4.0]], columns={"value": [[0.5, 1.5, -1.0]]})
    assert_advantages(TurnGAE(lam=1.0)(table), [6.5, 4.5, 5.0])


def test_turn_gae_whitens_over_turns_when_asked(make_table):
    table = make_table([[1.0], [3.0]], columns={"value": [[0.0], [0.0]]})
    assert_advantages(TurnGAE(whiten=True)(table), [-1.0, 1.0])


def test_igpo_pays_information_gain_and_keeps_the_outcome_at_the_end(make_table):
    table = make_table(
        [[0.0, 1.0], [0.0]],
        columns={"answer_probability": [[0.3, 0.3], [0.9]]},
        episode_columns={"answer_probability_before": [0.1, 0.1]},
    )
    # u = .2, 1 and 0: mean .4, sample deviation sqrt(.28); then summed from the end.
    assert_advantages(IGPO()(table), [-0.37796376 + 1.13389128, 1.13389128, -0.75592752])


def test_prime_keeps_the_process_rewards_beside_the_outcome(make_table):
    table = make_table([[0.0, 1.0], [0.0]], columns={"log_ratio": [[1.0, 0.0], [0.5]]})
    # Process: 2q - (.5 + .5) = 1, -1 and 0, summed from the end 0, -1 and 0. Outcome: 2 - 1 and -1. Sum 1, 0, -1.
    assert_advantages(PRIME(beta=1.0)(table), [1.22474487, 0.0, -1.22474487])


def test_prime_tells_turns_apart_where_the_outcomes_tie(make_table):
    table = make_table([[0.0, 1.0], [1.0]], columns={"log_ratio": [[2.0, 0.0], [1.0]]})
    # Process: 2q - 2 = 2, -2 and 0, summed from the end 0, -2 and 0; outcomes cancel. Mean -2/3, deviation .94280904.
    assert_advantages(PRIME(beta=1.0)(table), [0.70710678, -1.41421356, 0.70710678])


def test_dual_granularity_normalises_outcome_and_process_apart(make_table):
    table = make_table([[0.0, 1.0], [0.0]], columns={"process": [[1.0, 0.0], [0.5]]})
    # Outcome +-.5 / .70720678; process +-.5 / sqrt(1/6 + 1e-8), halved.
    assert_advantages(
        DualGranularity(beta=0.5)(table),
        [0.70700679 + 0.61237242, 0.70700679 - 0.61237242, -0.70700679],
    )


def test_semi_online_cuts_returns_where_the_action_left_the_record(make_table):
    table = make_table([[1.0, 1.0, 1.0], [0.0, 0.0]], columns={"match": [[1.0, 0.0, 1.0], [1.0, 1.0]]})
    # Returns 1, 1, 1 against 0, 0; outcomes 3 and 0; nobody else reaches turn 2.
    assert SemiOnline(normalization="mean")(table).tolist() == [2.0, 2.0, 1.5, -2.0, -2.0]


def test_semi_online_discounts_along_the_record(make_table):
    table = make_table([[1.0, 1.0, 1.0], [0.0, 0.0]], columns={"match": [[1.0, 1.0, 1.0], [1.0, 1.0]]})
    advantages = SemiOnline(normalization="mean", episode_weight=0.0, step_weight=2.0)(table)
    # Returns 1.75, 1.5, 1 against 0, 0.
    assert advantages.tolist() == [1.75, 1.5, 0.0, -1.75, -1.5]


TREE = {"rewards": [[0.0, 1.0], [0.0, 0.0], [0.0]], "columns": {"node": [[0, 1], [0, 2], [3]]}}


def test_spo_tree_compares_a_branch_with_where_it_branched_off(make_table):
    # V: shared first turn .5, the other 0, root .25: the mean of the children, not of the leaves.
    assert SPOTree()(make_table(**TREE)).tolist() == [0.25, 0.5, 0.25, -0.5, -0.25]


def test_spo_tree_divides_by_the_deviation_of_the_siblings(make_table):
    advantages = SPOTree(normalize=True)(make_table(**TREE))
    assert_advantages(advantages, [0.999996, 0.999998, 0.999996, -0.999998, -0.999996])


def test_spo_tree_refuses_a_shared_turn_with_different_pasts(make_table):
    with pytest.raises(InvalidInput, match="shares its node with a turn that came after another one"):
        SPOTree()(make_table([[0.0, 1.0], [0.0, 0.0]], columns={"node": [[0, 1], [2, 1]]}))


def test_spo_tree_refuses_an_end_that_goes_on(make_table):
    with pytest.raises(InvalidInput, match="is the last turn of one episode and is followed by a turn of another"):
        SPOTree()(make_table([[0.0, 1.0], [0.0]], columns={"node": [[0, 1], [0]]}))


def test_truncated_step_compares_the_continuations_of_one_prefix(make_table):
    table = make_table([[9.0, 1.0], [2.0, 0.0], [5.0]], columns={"fork": [[-1, 0], [-1, 0], [7]]})
    assert TruncatedStep(normalization="mean")(table).tolist() == [0.0, 0.5, 0.0, -0.5, 0.0]
    assert_advantages(TruncatedStep()(table), [0.0, 0.70710578, 0.0, -0.70710578, 0.0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TurnReturn(gamma=1.5), r"gamma is 1.5; it must lie in \[0, 1\]"),
        (lambda: ReinforcePP(gamma=float("nan")), "gamma is nan"),
        (lambda: TurnGAE(lam=-0.1), "lam is -0.1"),
        (lambda: MTGRPO(weight=-1.0), "weight is -1.0; it must be a finite number, 0 or more"),
        (lambda: GiGPO(weight=float("inf")), "weight is inf"),
        (lambda: GiGPO(normalization="std"), "normalization is 'std'; it must be 'mean' or 'mean_std'"),
        (lambda: HGPO(history=-1), "history is -1"),
    ],
)
def test_hyper_parameters_out_of_range_are_refused(make, message):
    with pytest.raises(InvalidInput, match=message):
        make()
