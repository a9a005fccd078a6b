"""The mistakes seen in public code, each of them tested for every estimator that it could befall."""

from dataclasses import replace

import numpy as np
import pytest

from turnwise.agents.credit import ESTIMATORS, TurnTable, discounted_returns, make
from turnwise.agents.types import Episode, Status, TokenSequence, Turn

ALL = sorted(ESTIMATORS)
OUTCOME_ONLY = sorted(
    {
        "grpo",
        "dr_grpo",
        "rloo",
        "reinforce_pp_baseline",
        "max_rl",
        "opo",
        "gated_return",
        "per_reward",
        "tree_grpo",
        "drpo",
    }
)
"""Estimators that look at nothing of a turn but its episode: every turn gets the same advantage."""
COMPARING = sorted(name for name in ALL if ESTIMATORS[name].compares)
"""Estimators that judge an episode by the others of its group."""
OWN_REWARD_ONLY = {"truncated_step"}
"""Estimators that credit a turn with its own reward and nothing that follows, by definition."""


def advantages_of(name, batch):
    return make(name)(batch.table())


def recorded(prompt_tokens, action_tokens=(2, 3, 1)):
    """Two episodes of one group as a rollout returns them, with observations of a given length before each turn."""

    def turns(rewards):
        return tuple(
            Turn(
                observation="o",
                action="a",
                reward=reward,
                prompt_ids=np.zeros(prompt_tokens[t], np.int64),
                action_ids=np.ones(action_tokens[t], np.int64),
                logprobs=np.full(action_tokens[t], -0.1, np.float32),
                state_key=f"s{t}",
                next_state_key=f"s{t + 1}",
                reward_parts={"dense": reward, "format": float(t == 0)},
            )
            for t, reward in enumerate(rewards)
        )

    return [
        Episode("g", "e", 0, turns([0.0, 0.5, 1.0]), Status.TERMINATED, success=1.0),
        Episode("g", "e", 0, turns([0.25, 0.0]), Status.TRUNCATED),
    ]


def with_signals(table):
    """The table with the columns that a model would add."""
    rows, episodes = np.arange(table.turns, dtype=np.float64), np.arange(table.episodes, dtype=np.float64)
    signals = ("value", "process", "log_ratio", "answer_probability", "match", "node")
    columns = {**table.columns, **dict.fromkeys(signals, rows / 7), "fork": (table.turn == 0) - 1.0}
    return replace(
        table, columns=columns, episode_columns={"tree": episodes, "answer_probability_before": episodes / 3}
    )


# 1. Returns reset at every observation token.


@pytest.mark.parametrize("name", ALL)
def test_observations_of_any_length_leave_the_advantages_alone(name):
    short, long = (
        make(name)(with_signals(TurnTable.from_episodes(recorded(prompt), outcome="success")))
        for prompt in ((1, 1, 1), (50, 3, 700))
    )
    assert short.tolist() == long.tolist()


# 2. Turns without reward vanish.


@pytest.mark.parametrize("name", sorted(set(ALL) - OWN_REWARD_ONLY))
def test_a_turn_without_reward_gets_its_share_of_what_follows(name, make_table):
    """The first turn of the episode that succeeds is credited although it was paid nothing itself."""
    columns = {key: [[0.0, 0.0, 0.0]] * 2 for key in ("value", "process", "log_ratio", "answer_probability")}
    columns |= {"match": [[1.0] * 3] * 2, "node": [[0, 1, 2], [3, 4, 5]], "logprob": [[-1.0] * 3] * 2}
    table = make_table(
        [[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]],
        outcome=[1.0, 0.0],
        states=[["a", "b", "c"]] * 2,
        after=[["b", "c", "goal"], ["b", "c", "end"]],
        tokens=[[1, 1, 1]] * 2,
        parts={"all": [[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]},
        columns=columns,
        episode_columns={"tree": [0, 0], "answer_probability_before": [0.0, 0.0]},
    )
    advantages = make(name)(table)
    assert advantages.shape == (6,)
    assert advantages[0] > 1e-3
    assert advantages[0] > advantages[3]


# 3. The baseline counts steps and not episodes.


@pytest.mark.parametrize("name", sorted(set(OUTCOME_ONLY) - {"opo", "max_rl", "drpo"}))
def test_the_baseline_counts_a_long_episode_once(name, make_table):
    """A success of 3 turns and a failure of 50 are equally far from their mean, which is .5 and not 3/53."""
    lengths = (3, 50)
    table = make_table(
        [[0.0] * length for length in lengths],
        outcome=[1.0, 0.0],
        parts={"all": [[1.0, 0.0, 0.0], [0.0] * 50]},
        episode_columns={"tree": [0, 0]},
    )
    advantages = make(name)(table)
    assert advantages[0] > 0
    np.testing.assert_allclose(advantages[0], -advantages[-1], rtol=1e-12)


@pytest.mark.parametrize(("name", "half"), [("dr_grpo", 0.5), ("rloo", 1.0), ("gigpo", 0.5), ("graph_credit", 0.5)])
def test_the_mean_of_a_short_success_and_a_long_failure_is_one_half(name, half, make_table):
    states = [["goal side"] * 3, [f"elsewhere {t}" for t in range(50)]]
    table = make_table([[0.0] * 3, [0.0] * 50], outcome=[1.0, 0.0], states=states, after=states)
    advantages = make(name)(table)
    assert advantages.tolist() == [half] * 3 + [-half] * 50


def test_max_rl_divides_by_the_mean_over_episodes(make_table):
    advantages = make("max_rl")(make_table([[0.0] * 3, [0.0] * 50], outcome=[1.0, 0.0]))
    np.testing.assert_allclose(advantages[[0, -1]], [1.0, -1.0], atol=1e-5)


# 4. The outcome put on an observation token, which the mask removes.


def test_the_reward_credited_to_action_tokens_sums_to_the_return():
    episodes = recorded(prompt_tokens=(4, 9, 2))
    table = TurnTable.from_episodes(episodes)
    per_token = table.by_episode(table.reward / table.action_tokens)
    for index, episode in enumerate(episodes):
        marks = [
            mark
            for t, turn in enumerate(episode.turns)
            for mark in [-1] * len(turn.prompt_ids) + [t] * len(turn.action_ids)
        ]
        sequence = TokenSequence(
            ids=np.zeros(len(marks), np.int64),
            turn=np.array(marks, np.int32),
            logprobs=np.zeros(len(marks), np.float32),
            episode=index,
        )
        credited = np.where(sequence.mask, per_token[index][sequence.turn], 0.0)
        assert credited[sequence.mask].sum() == pytest.approx(episode.reward, abs=1e-12)
        assert credited[sequence.mask].sum() == pytest.approx(table.outcome[index], abs=1e-12)


def test_the_return_of_the_first_turn_is_the_outcome():
    table = TurnTable.from_episodes(recorded(prompt_tokens=(4, 9, 2)))
    returns = discounted_returns(table.reward, table.episode, 1.0)
    assert returns[table.turn == 0].tolist() == table.outcome.tolist() == [1.5, 0.25]


# 5. An episode alone in its group gets its raw outcome as the advantage.


@pytest.mark.parametrize("name", COMPARING)
def test_an_episode_alone_in_its_group_gets_nothing(name, make_batch):
    batch = make_batch(2, group_sizes=(1,))
    assert advantages_of(name, batch).tolist() == [0.0] * batch.table().turns


@pytest.mark.parametrize("name", COMPARING)
def test_a_group_of_one_does_not_move_the_others(name, make_batch):
    batch = make_batch(5, group_sizes=(3, 1, 2))
    table = batch.table()
    alone = table.turn_group == 1
    together = make(name)(table)
    assert (together[alone] == 0).all()
    assert together[~alone].tolist() == advantages_of(name, batch.of([0, 1, 2, 4, 5])).tolist()


@pytest.mark.parametrize("name", sorted(set(ALL) - set(COMPARING)))
def test_an_estimator_without_groups_credits_an_episode_that_is_alone(name, make_batch):
    assert np.abs(advantages_of(name, make_batch(4, group_sizes=(1, 1)))).max() > 0.1


# 6. Learned contributions overwritten by a leave-one-out outcome.


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("igpo", "answer_probability"),
        ("prime", "log_ratio"),
        ("dual_granularity", "process"),
        ("turn_gae", "value"),
    ],
)
def test_a_learned_signal_moves_the_credit_of_its_turn(name, column, batch):
    """More of the signal in one turn moves that turn against the others of its episode, whose outcome stays."""
    first, *others = batch.attempts
    opening, *later = first.steps
    louder = replace(opening, columns={**opening.columns, column: opening.columns[column] + 1.0})
    moved = type(batch)((replace(first, steps=(louder, *later)), *others))
    change = (advantages_of(name, moved) - advantages_of(name, batch))[: len(first.steps)]
    assert len(first.steps) > 1
    assert np.abs(change[0] - change[1:]).min() > 0.02


# 8. An infrastructure failure scored 0.


@pytest.mark.parametrize("name", ALL)
def test_a_failed_episode_gets_nothing_and_moves_nothing(name, make_batch):
    batch = make_batch(7, group_sizes=(3, 3))
    lost = [replace(attempt, failed=True, truncated=False) for attempt in make_batch(8, group_sizes=(2, 2)).attempts]
    broken = replace(
        lost[0],
        outcome=float("nan"),
        steps=tuple(replace(step, reward=float("nan")) for step in lost[0].steps),
    )
    mixed = type(batch)((broken, *batch.attempts[:2], lost[1], *batch.attempts[2:], lost[2], lost[3]))
    table = mixed.table()
    advantages = make(name)(table)
    rows = table.failed[table.episode]
    assert (advantages[rows] == 0).all()
    np.testing.assert_allclose(advantages[~rows], advantages_of(name, batch), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ALL)
def test_a_batch_of_failures_gets_nothing(name, make_batch):
    batch = make_batch(3).episodes(lambda attempt: replace(attempt, failed=True, truncated=False))
    assert not advantages_of(name, batch).any()


# 10. Splitting a turn.


def split_first_turns(batch):
    """Every first turn becomes two: a part that pays nothing, and the rest."""

    def split(attempt):
        first, *others = attempt.steps
        nothing = dict.fromkeys(first.columns, 0.0)
        opening = replace(first, reward=0.0, tokens=1, parts=(0.0, 0.0), columns=nothing)
        rest = replace(first, tokens=first.tokens - 1)
        return replace(attempt, steps=(opening, rest, *others))

    return batch.episodes(split)


@pytest.mark.parametrize("name", OUTCOME_ONLY)
def test_splitting_a_turn_leaves_outcome_estimators_alone(name, batch):
    whole, parted = batch.table(), split_first_turns(batch).table()
    assert parted.turns == whole.turns + whole.episodes
    before, after = make(name)(whole), make(name)(parted)
    first_rows = np.concatenate([[0], np.cumsum(whole.lengths)[:-1]])
    np.testing.assert_allclose(after, np.insert(before, first_rows, before[first_rows]), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", OUTCOME_ONLY)
def test_outcome_estimators_give_every_turn_of_an_episode_the_same(name, batch):
    for advantages in batch.table().by_episode(advantages_of(name, batch)):
        assert np.ptp(advantages) == 0.0


def test_splitting_a_turn_leaves_undiscounted_returns_alone(batch):
    whole, parted = batch.table(), split_first_turns(batch).table()
    before = discounted_returns(whole.reward, whole.episode, 1.0)
    after = discounted_returns(parted.reward, parted.episode, 1.0)
    np.testing.assert_allclose(after[parted.turn != 0], before, atol=1e-12)
    np.testing.assert_allclose(after[parted.turn == 0], before[whole.turn == 0], atol=1e-12)
