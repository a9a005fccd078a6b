"""Batches: every action token gets its turn's advantage, and malformed ones are refused."""

import numpy as np
import pytest

from turnwise.agents.errors import InvalidInput
from turnwise.agents.learner import TrainBatch
from turnwise.agents.types import TokenSequence


def sequence(turn, episode=0):
    length = len(turn)
    return TokenSequence(np.arange(length), np.array(turn, np.int32), np.zeros(length, np.float32), episode)


def test_every_action_token_gets_the_advantage_of_its_turn():
    batch = TrainBatch.from_turns(
        [sequence([-1, 0, 0, -1, 1, -1]), sequence([-1, -1, 2], episode=1), sequence([-1, 1], episode=1)],
        [np.array([0.5, -2.0]), np.array([1.0, 2.0, 3.0])],
    )
    assert [values.tolist() for values in batch.advantages] == [[0, 0.5, 0.5, 0, -2, 0], [0, 0, 3], [0, 2]]


def test_observations_inserted_anywhere_do_not_change_the_credit_of_actions():
    plain = TrainBatch.from_turns([sequence([-1, 0, 1, 1])], [np.array([0.3, 0.7])])
    spread = TrainBatch.from_turns([sequence([-1, -1, 0, -1, -1, 1, -1, 1, -1])], [np.array([0.3, 0.7])])
    credits = [batch.advantages[0][batch.sequences[0].mask].tolist() for batch in (plain, spread)]
    assert credits[0] == credits[1] == [0.3, 0.7, 0.7]


@pytest.mark.parametrize(
    ("turn", "episode", "message"),
    [([-1, 0], 1, "belongs to episode 1, but 1 episodes have advantages"), ([-1, 0, 2], 0, "has 3 turns")],
)
def test_turns_without_an_advantage_are_refused(turn, episode, message):
    with pytest.raises(InvalidInput, match=message):
        TrainBatch.from_turns([sequence(turn, episode)], [np.zeros(2)])


@pytest.mark.parametrize(
    ("advantages", "message"),
    [
        ((), "advantages has 0 arrays for 1 sequences"),
        ((np.zeros(2),), "give one number per token"),
        ((np.array([0.0, np.nan, 0.0]),), "leave failed episodes out"),
    ],
)
def test_malformed_columns_are_refused(advantages, message):
    with pytest.raises(InvalidInput, match=message):
        TrainBatch((sequence([-1, 0, 0]),), advantages)


def test_values_on_observations_are_ignored():
    TrainBatch((sequence([-1, 0, -1]),), (np.array([np.nan, 1.0, np.inf]),))


def test_minibatches_partition_the_sequences_and_keep_forks_together():
    sequences = [sequence([-1, 0], episode) for episode in (0, 0, 1, 2, 2, 2, 3, 4)]
    batch = TrainBatch.from_turns(sequences, [np.zeros(1)] * 5)
    parts = batch.minibatches(2, np.random.default_rng(0))
    assert sorted(index for part in parts for index in part) == list(range(8))
    episodes = [{sequences[index].episode for index in part} for part in parts]
    assert not episodes[0] & episodes[1]
    assert sorted(map(len, episodes)) == [2, 3]


def test_minibatches_are_dealt_by_the_generator():
    batch = TrainBatch.from_turns([sequence([-1, 0], k) for k in range(12)], [np.zeros(1)] * 12)
    deals = [batch.minibatches(3, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert deals[0] == deals[1] != deals[2]


def test_more_minibatches_than_episodes_are_refused():
    batch = TrainBatch.from_turns([sequence([-1, 0])], [np.zeros(1)])
    with pytest.raises(InvalidInput, match="2 minibatches of 1 episodes"):
        batch.minibatches(2, np.random.default_rng(0))


def test_select_takes_every_column_along():
    batch = TrainBatch(
        (sequence([-1, 0]), sequence([-1, 0, 0], 1)), (np.ones(2), np.full(3, 2.0)), (np.zeros(2), np.full(3, -1.0))
    )
    chosen = batch.select([1])
    assert chosen.sequences == (batch.sequences[1],)
    assert chosen.advantages[0].tolist() == [2.0, 2.0, 2.0]
    assert chosen.old_logprobs[0].tolist() == [-1.0, -1.0, -1.0]
    assert chosen.reference_logprobs is None
