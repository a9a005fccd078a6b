"""What holds for every estimator, whatever it computes: order, units, types, degenerate batches."""

from dataclasses import replace

import numpy as np
import pytest

from turnwise.agents.credit import ESTIMATORS, TurnTable, make
from turnwise.agents.errors import InvalidInput

ALL = sorted(ESTIMATORS)
LINEAR = ["dr_grpo", "rloo", "opo", "gigpo", "graph_credit", "turn_gae", "spo_tree"]
"""Twice the rewards give twice the advantages."""
UNITLESS = [
    "grpo",
    "reinforce_pp",
    "reinforce_pp_baseline",
    "turn_return",
    "max_rl",
    "mt_grpo",
    "hgpo",
    "semi_online",
    "per_reward",
    "tree_grpo",
    "truncated_step",
]
"""Twice the rewards give the same advantages, up to the small number in the denominators."""
SHIFTED = [
    "grpo",
    "dr_grpo",
    "rloo",
    "reinforce_pp_baseline",
    "opo",
    "mt_grpo",
    "gigpo",
    "graph_credit",
    "dual_granularity",
    "semi_online",
    "tree_grpo",
    "prime",
]
"""A constant added to every outcome of a group changes nothing."""
ABSOLUTE = {"gated_return", "drpo", "igpo", "prime", "dual_granularity"}
"""A threshold, a probability or a learned score sets the unit."""


def test_the_table_of_units_names_every_estimator():
    assert sorted({*LINEAR, *UNITLESS, *ABSOLUTE}) == ALL


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_the_episodes_does_not_matter(name, seed, make_batch):
    batch = make_batch(seed)
    order = np.random.default_rng(seed).permutation(len(batch.attempts))
    straight = batch.table().by_episode(make(name)(batch.table()))
    shuffled = batch.of(order).table()
    for place, advantages in zip(order, shuffled.by_episode(make(name)(shuffled)), strict=True):
        np.testing.assert_allclose(advantages, straight[place], rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", ALL)
def test_advantages_are_finite_float64_one_per_turn(name, batch):
    advantages = make(name)(batch.table())
    assert advantages.dtype == np.float64
    assert advantages.shape == (batch.table().turns,)
    assert np.isfinite(advantages).all()
    assert np.abs(advantages).max() > 0.01


@pytest.mark.parametrize("name", ALL)
def test_the_table_is_left_as_it_was(name, batch):
    table, untouched = batch.table(), batch.table()
    make(name)(table)
    assert table.reward.tolist() == untouched.reward.tolist()
    assert table.outcome.tolist() == untouched.outcome.tolist()
    for column in table.columns:
        assert table.columns[column].tolist() == untouched.columns[column].tolist()


@pytest.mark.parametrize("name", ALL)
def test_the_same_table_gives_the_same_advantages(name, batch):
    assert make(name)(batch.table()).tolist() == make(name)(batch.table()).tolist()


def scaled(batch, factor):
    def of_step(step):
        columns = {**step.columns, "value": factor * step.columns["value"]}
        parts = (factor * step.parts[0], factor * step.parts[1])
        return replace(step, reward=factor * step.reward, parts=parts, columns=columns)

    def of_episode(attempt):
        columns = {**attempt.columns, "final_value": factor * attempt.columns["final_value"]}
        return replace(attempt, outcome=factor * attempt.outcome, columns=columns)

    return batch.steps(of_step).episodes(of_episode)


@pytest.mark.parametrize("name", LINEAR)
def test_twice_the_rewards_give_twice_the_advantages(name, batch):
    np.testing.assert_allclose(make(name)(scaled(batch, 4.0).table()), 4.0 * make(name)(batch.table()), atol=1e-9)


@pytest.mark.parametrize("name", UNITLESS)
def test_the_unit_of_the_rewards_does_not_matter(name, batch):
    np.testing.assert_allclose(make(name)(scaled(batch, 4.0).table()), make(name)(batch.table()), rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", SHIFTED)
def test_a_constant_added_to_the_outcomes_of_a_group_changes_nothing(name, batch):
    moved = batch.episodes(lambda attempt: replace(attempt, outcome=attempt.outcome + 3.0 * (attempt.group + 1)))
    np.testing.assert_allclose(make(name)(moved.table()), make(name)(batch.table()), rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("value", [0.0, 0.1, 1.0])
def test_a_batch_without_any_variance_is_finite(name, value, batch):
    """Every reward, outcome and signal is the same; the episodes differ in length only."""
    flat = batch.steps(
        lambda step: replace(
            step,
            reward=value,
            parts=(value, value),
            columns=dict.fromkeys(step.columns, value) | {"node": step.columns["node"]},
        )
    ).episodes(lambda attempt: replace(attempt, outcome=value))
    assert np.isfinite(make(name)(flat.table())).all()


@pytest.mark.parametrize(
    "name", ["grpo", "dr_grpo", "rloo", "reinforce_pp_baseline", "max_rl", "opo", "tree_grpo", "per_reward", "drpo"]
)
@pytest.mark.parametrize("value", [0.0, 0.1, 0.7])
def test_a_group_whose_outcomes_tie_gets_exactly_nothing(name, value, make_table):
    table = make_table(
        [[value], [0.0, value], [value]],
        outcome=[value] * 3,
        tokens=[[3], [1, 7], [2]],
        parts={"all": [[value], [0.0, value], [value]]},
        columns={"logprob": [[-1.0], [-1.0, -2.0], [-4.0]]},
        episode_columns={"tree": [0, 0, 1]},
    )
    assert make(name)(table).tolist() == [0.0] * 4


@pytest.mark.parametrize("name", ALL)
def test_an_empty_table_gives_no_advantages(name):
    advantages = make(name)(TurnTable.from_episodes([]))
    assert advantages.shape == (0,)
    assert advantages.dtype == np.float64


@pytest.mark.parametrize("name", ALL)
def test_one_episode_of_one_turn_is_finite(name, make_batch):
    assert np.isfinite(make(name)(make_batch(0, group_sizes=(1,), longest=1).table())).all()


@pytest.mark.parametrize(
    ("name", "needs"),
    [
        ("gigpo", "state_key"),
        ("hgpo", "state_key"),
        ("graph_credit", "state_key"),
        ("opo", "action_tokens"),
        ("turn_gae", "value"),
        ("igpo", "answer_probability"),
        ("prime", "log_ratio"),
        ("dual_granularity", "process"),
        ("semi_online", "match"),
        ("spo_tree", "node"),
        ("truncated_step", "fork"),
        ("tree_grpo", "tree"),
        ("drpo", "action_tokens"),
        ("per_reward", "parts"),
    ],
)
def test_what_an_estimator_needs_it_asks_for_by_name(name, needs, make_table):
    with pytest.raises(InvalidInput, match=needs):
        make(name)(make_table([[1.0], [0.0]]))


@pytest.mark.parametrize("name", ALL)
def test_every_estimator_says_its_equation_its_source_and_its_bias(name):
    text = ESTIMATORS[name].__doc__
    assert text.startswith("A_t = ")
    assert "Source: " in text
    assert "Bias: " in text
