"""The turn table: how it is made, what it refuses, and what it knows."""

import subprocess
import sys

import numpy as np
import pytest

from turnwise.agents.credit import TurnTable
from turnwise.agents.errors import InvalidInput
from turnwise.agents.types import Episode, Status, Turn

PLAIN = {
    "episode": np.array([0, 0, 1]),
    "reward": np.array([0.0, 1.0, 2.0]),
    "group": np.array([0, 0]),
    "outcome": np.array([1.0, 2.0]),
    "outcome_apart": False,
    "terminated": np.array([True, False]),
    "truncated": np.array([False, True]),
    "failed": np.array([False, False]),
}


def turn(reward, *, tokens=3, prompt=4, state="", after="", **fields):
    return Turn(
        observation="o",
        action="a",
        reward=reward,
        prompt_ids=np.arange(prompt),
        action_ids=np.arange(tokens),
        logprobs=np.full(tokens, -0.5, np.float32),
        state_key=state,
        next_state_key=after,
        **fields,
    )


def episode(group, turns, status=Status.TERMINATED, success=0.0):
    return Episode(group=group, env_id="e", seed=0, turns=tuple(turns), status=status, success=success)


EPISODES = [
    episode(
        "task b", [turn(0.0, state="s0", after="s1", progress=0.5), turn(1.0, state="s1", after="s2")], success=1.0
    ),
    episode("task a", [turn(0.25, state="s0", after="s0", reward_parts={"format": 0.25})], Status.TRUNCATED),
    episode("task b", [turn(float("nan"), state="s0")], Status.FAILED),
    episode("task a", [], Status.FAILED),
]


def test_from_episodes_keeps_every_turn_in_order():
    table = TurnTable.from_episodes(EPISODES)
    assert table.episode.tolist() == [0, 0, 1, 2]
    assert table.turn.tolist() == [0, 1, 0, 0]
    assert table.last.tolist() == [False, True, True, True]
    assert table.lengths.tolist() == [2, 1, 1, 0]
    assert table.reward[:3].tolist() == [0.0, 1.0, 0.25]
    assert (table.turns, table.episodes, table.groups) == (4, 4, 2)
    assert table.group.tolist() == [0, 1, 0, 1]
    assert table.turn_group.tolist() == [0, 0, 1, 0]


def test_from_episodes_keeps_the_three_ways_to_end_apart():
    table = TurnTable.from_episodes(EPISODES)
    assert table.terminated.tolist() == [True, False, False, False]
    assert table.truncated.tolist() == [False, True, False, False]
    assert table.failed.tolist() == [False, False, True, True]


def test_the_outcome_is_the_sum_of_the_rewards_or_success():
    by_reward = TurnTable.from_episodes(EPISODES[:2])
    assert by_reward.outcome.tolist() == [1.0, 0.25]
    assert not by_reward.outcome_apart
    by_success = TurnTable.from_episodes(EPISODES[:2], outcome="success")
    assert by_success.outcome.tolist() == [1.0, 0.0]
    assert by_success.outcome_apart


def test_the_outcome_must_be_one_of_the_two():
    with pytest.raises(InvalidInput, match="outcome is 'return'; it must be 'reward' or 'success'"):
        TurnTable.from_episodes(EPISODES, outcome="return")


def test_state_keys_share_one_code_and_unknown_ones_are_minus_one():
    table = TurnTable.from_episodes(EPISODES)
    assert table.state_key.tolist() == [0, 1, 0, 0]
    assert table.next_state_key.tolist() == [1, 2, 0, -1]


def test_a_batch_without_any_state_has_no_state_column():
    assert TurnTable.from_episodes([episode("a", [turn(1.0)])]).state_key is None


def test_from_episodes_takes_over_tokens_logprobs_progress_and_parts():
    table = TurnTable.from_episodes(EPISODES)
    assert table.action_tokens.tolist() == [3, 3, 3, 3]
    assert table.columns["logprob"].tolist() == [-1.5, -1.5, -1.5, -1.5]
    np.testing.assert_array_equal(table.progress, [0.5, np.nan, np.nan, np.nan])
    assert table.parts["format"].tolist() == [0.0, 0.0, 0.25, 0.0]


def test_a_reward_that_is_nan_is_refused_unless_the_episode_failed():
    TurnTable.from_episodes(EPISODES)
    with pytest.raises(InvalidInput, match=r"reward is nan at turn 0; it must be finite"):
        TurnTable.from_episodes([episode("a", [turn(float("nan"))])])


def test_no_episodes_make_an_empty_table():
    table = TurnTable.from_episodes([])
    assert (table.turns, table.episodes, table.groups) == (0, 0, 0)
    assert table.by_episode(np.zeros(0)) == []


def test_columns_are_float64_and_int64_whatever_came_in():
    table = TurnTable.from_columns(
        episode=["x", "x"], group=[7, 7], reward=np.float32([1, 2]), action_tokens=np.int32([3, 4]), progress=[0, 1]
    )
    assert table.reward.dtype == table.outcome.dtype == table.progress.dtype == np.float64
    assert table.episode.dtype == table.group.dtype == table.action_tokens.dtype == np.int64


def test_from_columns_names_episodes_and_groups_by_any_id():
    table = TurnTable.from_columns(
        episode=["e9", "e9", "e1", (2, "z")],
        group=["g", "g", "g", None],
        reward=[1, 2, 3, 4],
        truncated=[True, False, False],
    )
    assert table.episode.tolist() == [0, 0, 1, 2]
    assert table.group.tolist() == [0, 0, 1]
    assert table.outcome.tolist() == [3.0, 3.0, 4.0]
    assert table.terminated.tolist() == [False, True, True]


def test_the_table_does_not_share_memory_with_what_it_was_made_of():
    reward = np.array([1.0, 2.0])
    table = TurnTable.from_columns(episode=[0, 0], group=[0, 0], reward=reward)
    reward[0] = 9.0
    assert table.reward.tolist() == [1.0, 2.0]


def test_turns_of_one_episode_must_stand_together():
    with pytest.raises(InvalidInput, match="the turns of episode 'a' do not stand together; sort the rows"):
        TurnTable.from_columns(episode=["a", "b", "a"], group=[0, 0, 0], reward=[0, 0, 0])


def test_an_episode_is_in_one_group():
    with pytest.raises(InvalidInput, match="episode 'b' is in two groups"):
        TurnTable.from_columns(episode=["a", "b", "b"], group=[0, 0, 1], reward=[0, 0, 0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"reward": np.zeros(2)}, r"episode has shape \(3,\); it needs one entry per turn: \(2,\)"),
        ({"outcome": np.zeros(3)}, r"outcome has shape \(3,\); it needs one entry per episode: \(2,\)"),
        ({"reward": ["a", "b", "c"]}, "reward must hold numbers"),
        ({"episode": np.array([0.0, 0.0, 1.0])}, "episode has dtype float64; it must hold integers"),
        ({"failed": np.array([0, 1])}, "failed has dtype int64; it must hold booleans"),
        ({"episode": np.array([1, 0, 0])}, "episode falls from 1 to 0 at turn 1; sort rows by episode"),
        ({"episode": np.array([0, 1, 2])}, "episode 2 does not exist: group has 2 entries"),
        ({"episode": np.array([-1, 0, 1])}, "episode -1 does not exist"),
        ({"reward": np.array([0.0, np.inf, 0.0])}, "reward is inf at turn 1"),
        ({"outcome": np.array([0.0, np.nan])}, "outcome is nan at episode 1"),
        ({"columns": {"value": np.array([0.0, np.nan, 0.0])}}, "value is nan at turn 1"),
        ({"episode_columns": {"tree": np.array([np.inf, 0.0])}}, "tree is inf at episode 0"),
        ({"parts": {"format": np.zeros(1)}}, r"parts\['format'\] has shape \(1,\)"),
        ({"truncated": np.array([True, True])}, "episode 0 is 2 of terminated, truncated and failed"),
        ({"terminated": np.array([False, False])}, "episode 0 is 0 of terminated, truncated and failed"),
        ({"action_tokens": np.array([1, -2, 3])}, "action_tokens holds -2"),
        ({"state_key": np.array(["a", "b", "c"])}, "state_key has dtype <U1; it must hold integers"),
    ],
)
def test_a_bad_column_is_named_with_its_remedy(change, message):
    TurnTable(**PLAIN)
    with pytest.raises(InvalidInput, match=message):
        TurnTable(**{**PLAIN, **change})


def test_what_a_failed_episode_left_behind_may_be_anything():
    table = TurnTable(
        **{
            **PLAIN,
            "reward": np.array([0.0, 1.0, np.nan]),
            "outcome": np.array([1.0, np.nan]),
            "truncated": np.array([False, False]),
            "failed": np.array([False, True]),
            "columns": {"value": np.array([0.0, 0.0, np.inf])},
        }
    )
    assert table.failed.tolist() == [False, True]


def test_selecting_episodes_keeps_their_rows_and_renumbers_them():
    table = TurnTable.from_episodes(EPISODES).select([False, True, True, True])
    assert table.episode.tolist() == [0, 1]
    assert table.lengths.tolist() == [1, 1, 0]
    assert table.group.tolist() == [1, 0, 1]
    assert table.reward[0] == 0.25
    assert table.parts["format"].tolist() == [0.25, 0.0]
    assert table.truncated.tolist() == [True, False, False]


def test_columns_move_between_turns_and_episodes():
    table = TurnTable(**PLAIN)
    assert table.per_turn(np.array([5.0, 7.0])).tolist() == [5.0, 5.0, 7.0]
    assert table.per_episode(np.array([5.0, 6.0, 7.0])).tolist() == [11.0, 7.0]
    assert [part.tolist() for part in table.by_episode(np.array([5.0, 6.0, 7.0]))] == [[5.0, 6.0], [7.0]]


def test_turns_in_unknown_states_are_in_no_state_together(make_table):
    table = make_table([[0.0, 0.0], [0.0, 0.0]], states=[["a", ""], ["a", None]])
    first, alone, same, other = table.state_group("test").tolist()
    assert first == same
    assert len({first, alone, other}) == 3


def test_the_same_state_of_another_task_is_another_state(make_table):
    table = make_table([[0.0], [0.0]], groups=[0, 1], states=[["a"], ["a"]])
    assert len(set(table.state_group("test").tolist())) == 2


def test_a_missing_column_is_asked_for_by_name():
    table = TurnTable(**PLAIN)
    with pytest.raises(InvalidInput, match=r"TurnGAE needs columns\['value'\] with one number per turn.*has: none"):
        table.column("value", "TurnGAE")
    with pytest.raises(InvalidInput, match=r"TreeGRPO needs episode_columns\['tree'\] with one number per episode"):
        table.episode_column("tree", "TreeGRPO")
    with pytest.raises(InvalidInput, match="GiGPO needs the column state_key"):
        table.state_group("GiGPO")
    with pytest.raises(InvalidInput, match="OPO needs the column action_tokens"):
        table.tokens("OPO")


def test_credit_needs_numpy_alone():
    unwanted = {"torch", "transformers", "gymnasium", "scipy"}
    code = f"import sys, turnwise.agents.credit; print(sorted({unwanted!r} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"
