"""The bias of every estimator, by enumeration: unbiased ones to rounding, biased ones at their known bias."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from turnwise.agents.credit import ESTIMATORS, MTGRPO, GiGPO, Ladder, TruncatedStep, TurnGAE, make, measure
from turnwise.agents.credit.exact import (
    SUBMIT,
    as_table,
    expected_gradient,
    groups,
    outcome_of,
    policy_gradient,
    trajectories,
)
from turnwise.agents.credit.segments import counts, discounted_returns, pair
from turnwise.agents.errors import TurnwiseError

LADDER = Ladder()


def assert_unbiased(bias, scale=1.0):
    assert bias.cosine == pytest.approx(1.0, abs=1e-10)
    assert bias.scale == pytest.approx(scale, abs=1e-10)
    assert bias.deviation == pytest.approx(0.0, abs=1e-10)


# The task itself, and what it is measured with.


def test_every_episode_is_enumerated():
    paths = trajectories(LADDER)
    assert len(paths) == 14
    assert sum(path.probability for path in paths) == pytest.approx(1.0, abs=1e-12)
    assert len({(path.rungs, path.actions) for path in paths}) == 14


def test_the_task_has_what_sets_estimators_apart():
    paths = trajectories(LADDER)
    assert {len(path.actions) for path in paths} == {1, 2, 3}
    assert {path.terminated for path in paths} == {True, False}
    assert any(len(set(path.rungs[:-1])) < len(path.actions) for path in paths), "a state recurs within an episode"
    assert len({round(float(path.rewards.sum()), 9) for path in paths}) > 5, "outcomes have many values"
    assert all((path.actions[-1] == SUBMIT) == path.terminated for path in paths)


def test_the_table_keeps_terminated_and_truncated_apart():
    paths = trajectories(LADDER)
    table = as_table(LADDER, paths)
    assert table.terminated.tolist() == [path.terminated for path in paths]
    assert table.truncated.tolist() == [not path.terminated for path in paths]
    np.testing.assert_allclose(table.outcome, [outcome_of(path, "reward") for path in paths], atol=1e-15)


def test_the_exact_gradient_is_the_derivative_of_the_expected_return():
    """By finite differences of a value that is computed by recursion over states, without any trajectory."""
    step = 1e-6
    numeric = []
    for index in range(6):
        values = []
        for sign in (1, -1):
            logits = np.array(LADDER.logits).ravel()
            logits[index] += sign * step
            moved = replace(LADDER, logits=tuple(map(tuple, logits.reshape(3, 2).tolist())))
            values.append(moved.value(0, 0))
        numeric.append((values[0] - values[1]) / (2 * step))
    np.testing.assert_allclose(policy_gradient(LADDER), numeric, rtol=0, atol=1e-9)


def test_every_group_is_enumerated_with_its_probability():
    assert sum(chance for chance, _, _ in groups(LADDER, 3)) == pytest.approx(1.0, abs=1e-12)
    assert len(groups(LADDER, 3)) == math.comb(14 + 2, 3)


@pytest.mark.parametrize("name", ["grpo", "turn_return", "gigpo"])
def test_multisets_of_episodes_give_what_ordered_groups_give(name):
    estimator, paths = make(name), trajectories(LADDER)
    ordered = np.zeros(6)
    for pair_of in itertools.product(paths, repeat=2):
        advantages = estimator(as_table(LADDER, list(pair_of)))
        scores = np.concatenate([path.scores for path in pair_of])
        ordered += math.prod(path.probability for path in pair_of) * (advantages @ scores) / 2
    np.testing.assert_allclose(expected_gradient(estimator, LADDER, 2), ordered, rtol=0, atol=1e-12)


# Unbiased estimators.


@pytest.mark.parametrize(("size", "outcome"), [(2, "reward"), (3, "reward"), (4, "reward"), (3, "success")])
def test_rloo_is_exactly_the_policy_gradient(size, outcome):
    assert_unbiased(measure(make("rloo"), group_size=size, outcome=outcome))


@pytest.mark.parametrize(("size", "outcome"), [(2, "reward"), (3, "reward"), (4, "reward"), (3, "success")])
def test_dr_grpo_is_the_policy_gradient_but_for_the_factor_of_its_mean(size, outcome):
    assert_unbiased(measure(make("dr_grpo"), group_size=size, outcome=outcome), scale=(size - 1) / size)


@pytest.mark.parametrize("lam", [0.0, 0.5, 0.95, 1.0])
def test_turn_gae_is_exactly_the_policy_gradient_where_the_values_are(lam):
    assert_unbiased(measure(TurnGAE(lam=lam)))


def with_values(estimator, change):
    return lambda table: estimator(replace(table, columns={**table.columns, "value": change(table.columns["value"])}))


def test_turn_gae_with_lambda_one_forgives_a_wrong_critic():
    wrong = with_values(TurnGAE(lam=1.0), lambda value: -3.0 * value + 0.7)
    assert_unbiased(measure(wrong))


def test_turn_gae_with_a_smaller_lambda_does_not():
    wrong = with_values(TurnGAE(lam=0.5), lambda value: -3.0 * value + 0.7)
    assert measure(wrong).cosine < 0.9


@pytest.mark.parametrize("size", [2, 3])
def test_max_rl_climbs_the_truncated_log_likelihood_of_a_binary_outcome(size):
    success = sum(path.probability * path.success for path in trajectories(LADDER))
    bias = measure(make("max_rl"), group_size=size, outcome="success")
    assert bias.cosine == pytest.approx(1.0, abs=1e-10)
    assert bias.scale == pytest.approx(sum((1 - success) ** k for k in range(size - 1)), abs=1e-5)


def test_max_rl_turns_away_where_outcomes_are_graded():
    """The returns are shifted to be positive, which leaves the policy gradient as it was."""

    def shifted(table):
        return make("max_rl")(replace(table, outcome=table.outcome + 0.5))

    bias = measure(shifted)
    assert (bias.cosine, bias.scale) == (pytest.approx(0.993077, abs=2e-6), pytest.approx(0.793031, abs=2e-6))


@pytest.mark.parametrize("name", ["grpo", "reinforce_pp_baseline"])
def test_dividing_by_the_deviation_keeps_the_direction_of_a_binary_outcome(name):
    assert measure(make(name), outcome="success").cosine == pytest.approx(1.0, abs=1e-10)


def test_gigpo_without_its_step_term_is_dr_grpo():
    assert_unbiased(measure(GiGPO(weight=0.0)), scale=2 / 3)


@pytest.mark.parametrize("size", [2, 4])
def test_truncated_steps_climb_the_reward_of_the_step(size):
    """One turn after the prompt: the gradient of its own reward, but for the factor of a mean over k."""
    bias = measure(TruncatedStep(normalization="mean"), Ladder(horizon=1), group_size=size)
    assert_unbiased(bias, scale=(size - 1) / size)


def immediate_gradient(task):
    """The exact gradient of sum_t E[r_t] that credits each reward to its own turn only."""
    return sum(path.probability * (path.rewards @ path.scores) for path in trajectories(task))


def test_the_turn_term_of_mt_grpo_counts_ended_episodes_so_that_its_mean_is_unbiased():
    """Without the division: (n - 1) / n of the gradient of each turn's own reward, whenever the policy stops."""

    def mean_only(table):
        cell, size = pair(table.turn_group, table.turn), counts(table.group)[table.episode]
        return table.reward - np.bincount(cell, weights=table.reward)[cell] / size

    np.testing.assert_allclose(
        expected_gradient(mean_only, LADDER, 3), 2 / 3 * immediate_gradient(LADDER), rtol=0, atol=1e-12
    )


# Noise.


def test_noise_is_the_deviation_of_one_groups_gradient_in_units_of_its_signal():
    """Against all ordered pairs of episodes, whose second moment is summed by hand."""
    estimator, paths, exact = make("rloo"), trajectories(LADDER), policy_gradient(LADDER)
    square = 0.0
    for pair_of in itertools.product(paths, repeat=2):
        gradient = estimator(as_table(LADDER, list(pair_of))) @ np.concatenate([path.scores for path in pair_of]) / 2
        square += math.prod(path.probability for path in pair_of) * float((gradient - exact) @ (gradient - exact))
    bias = measure(estimator, group_size=2)
    assert bias.noise == pytest.approx(math.sqrt(square) / np.linalg.norm(exact), rel=1e-9)


def test_noise_does_not_depend_on_the_scale():
    assert measure(make("dr_grpo")).noise == pytest.approx(measure(make("rloo")).noise, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "noise"),
    [("rloo", 2.100951), ("gigpo", 1.909458), ("graph_credit", 1.561979), ("turn_gae", 1.575163), ("grpo", 3.430340)],
)
def test_finer_credit_is_less_noisy_and_small_deviations_more(name, noise):
    assert measure(make(name)).noise == pytest.approx(noise, abs=2e-6)


# Estimators that are biased by design, at their known bias: groups of three.

PINNED = [
    ("grpo", "reward", 0.959175, 1.330804, 0.294850),
    ("reinforce_pp", "reward", 0.939531, 1.357982, 0.364504),
    ("reinforce_pp_baseline", "reward", 0.959175, 1.629895, 0.294851),
    ("opo", "reward", 0.998098, 0.609445, 0.061763),
    ("turn_return", "reward", 0.877438, 1.214316, 0.546694),
    ("mt_grpo", "reward", 0.900728, 2.375080, 0.482258),
    ("gigpo", "reward", 0.992028, 1.251341, 0.127027),
    ("hgpo", "reward", 0.941833, 1.108396, 0.356837),
    ("graph_credit", "reward", 0.984332, 1.438883, 0.179134),
    ("gated_return", "success", 0.999619, 1.137208, 0.027594),
    ("igpo", "reward", 0.967092, 2.785576, 0.263083),
    ("prime", "reward", 0.973243, 1.837342, 0.236094),
    ("dual_granularity", "reward", 0.958296, 3.024816, 0.298214),
    ("semi_online", "reward", 0.967969, 2.363498, 0.259377),
    ("per_reward", "reward", 0.962439, 1.588126, 0.282093),
    ("drpo", "success", 0.999999, 3.006268, 0.001498),
]
EXACT = {"rloo", "dr_grpo", "turn_gae", "max_rl"}
ON_TREES = {"spo_tree", "tree_grpo", "truncated_step"}


def test_every_estimator_has_its_bias_pinned():
    assert sorted({name for name, *_ in PINNED} | EXACT | ON_TREES) == sorted(ESTIMATORS)


@pytest.mark.parametrize(("name", "outcome", "cosine", "scale", "deviation"), PINNED)
def test_a_biased_estimator_has_its_known_bias(name, outcome, cosine, scale, deviation):
    bias = measure(make(name), outcome=outcome)
    assert bias.cosine == pytest.approx(cosine, abs=2e-6)
    assert bias.scale == pytest.approx(scale, abs=2e-6)
    assert bias.deviation == pytest.approx(deviation, abs=2e-6)


@pytest.mark.parametrize(
    ("estimator", "cosine", "scale"),
    [
        (GiGPO(normalization="mean_std"), 0.951309, 2.213648),
        (GiGPO(gamma=1.0), 0.991028, 1.296267),
        (make("turn_return", gamma=1.0), 0.939531, 1.357982),
        (make("hgpo", normalization="mean", gamma=1.0), 0.963625, 0.631954),
        (make("semi_online", normalization="mean", gamma=1.0, episode_weight=0.0), 0.975057, 0.600984),
        (MTGRPO(weight=0.0), 0.959175, 1.330804),
    ],
    ids=str,
)
def test_hyper_parameters_change_the_bias_as_known(estimator, cosine, scale):
    bias = measure(estimator)
    assert (bias.cosine, bias.scale) == (pytest.approx(cosine, abs=2e-6), pytest.approx(scale, abs=2e-6))


# The mistakes of public code, measured: what the tests above would find if an estimator made them.


def over_steps(table):
    """The baseline averaged over steps: a long episode counts more."""
    outcome = table.per_turn(table.outcome)
    return outcome - outcome.mean()


def reset_at_observations(table):
    """The return reset after every turn: nothing flows back."""
    return table.reward - table.reward.mean()


def rewarded_turns_only(table):
    """Turn ends found by `reward != 0`: the other turns vanish."""
    returns = discounted_returns(table.reward, table.episode, 1.0)
    return np.where(table.reward != 0, returns - table.per_episode(table.reward).mean(), 0.0)


def per_turn_index(table):
    """Rewards normalised over the episodes that reach the turn, then summed over the turns that remain."""
    index = table.turn
    mean = np.bincount(index, weights=table.reward)[index] / counts(index)
    return discounted_returns(table.reward - mean, table.episode, 1.0)


@pytest.mark.parametrize(
    ("mistake", "cosine"), [(over_steps, 0.998098), (reset_at_observations, 0.101264), (rewarded_turns_only, 0.985278)]
)
def test_a_mistake_shows_as_bias(mistake, cosine):
    bias = measure(mistake)
    assert bias.cosine == pytest.approx(cosine, abs=2e-6)
    assert bias.deviation > 0.02


def test_normalising_each_turn_index_hides_the_cost_of_length():
    """Every turn costs the same whatever it does, so that stopping early is all there is to learn: it is not learnt."""
    costly = Ladder(logits=((0.0, 0.0),), scores=(-0.1,), turn_cost=0.1)
    exact = policy_gradient(costly)
    assert exact[SUBMIT] > 0.01
    np.testing.assert_allclose(expected_gradient(per_turn_index, costly, 3), 0.0, atol=1e-15)
    np.testing.assert_allclose(expected_gradient(make("rloo"), costly, 3), exact, atol=1e-15)
    for name in ("grpo", "gigpo", "turn_return", "semi_online"):
        assert expected_gradient(make(name), costly, 3)[SUBMIT] > 0.01, name


@pytest.mark.parametrize(("name", "pull"), [("graph_credit", -0.001790), ("igpo", -0.024361)])
def test_two_published_forms_do_not_learn_to_stop_where_every_turn_costs(name, pull):
    """Known and documented: RewardFlow's values leave costs out, and IGPO adds a centred term for each further turn."""
    costly = Ladder(logits=((0.0, 0.0),), scores=(-0.1,), turn_cost=0.1)
    assert expected_gradient(make(name), costly, 3)[SUBMIT] == pytest.approx(pull, abs=2e-6)


def test_an_estimator_that_ignores_the_outcome_is_seen_through():
    assert abs(measure(lambda table: np.cos(np.arange(table.turns) * 1.7)).cosine) < 0.99
    with pytest.raises(TurnwiseError):
        measure(make("gated_return"))
