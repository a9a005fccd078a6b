"""Token weights: literal tables, and sums that do not depend on how a step is cut."""

import pytest
import torch

from turnwise.agents.errors import InvalidInput
from turnwise.agents.losses import DrGRPO, token_weights

# Three sequences of 1, 3 and 2 tokens; the last two belong to one episode that was forked.
SEQUENCE = torch.tensor([0, 1, 1, 1, 2, 2])
EPISODE = torch.tensor([4, 7, 7, 7, 7, 7])


def test_token_mean_gives_every_token_the_same_weight():
    assert token_weights("token", SEQUENCE, EPISODE).tolist() == pytest.approx([1 / 6] * 6)


def test_sequence_mean_gives_every_sequence_a_third():
    expected = [1 / 3, 1 / 9, 1 / 9, 1 / 9, 1 / 6, 1 / 6]
    assert token_weights("sequence", SEQUENCE, EPISODE).tolist() == pytest.approx(expected)


def test_episode_mean_joins_the_sequences_of_a_forked_episode():
    assert token_weights("episode", SEQUENCE, EPISODE).tolist() == pytest.approx([1 / 2] + [1 / 10] * 5)


def test_constant_divides_by_episodes_times_length():
    assert token_weights("constant", SEQUENCE, EPISODE, length=10).tolist() == pytest.approx([1 / 20] * 6)
    assert DrGRPO(length=10).weights(SEQUENCE, EPISODE).tolist() == pytest.approx([1 / 20] * 6)


@pytest.mark.parametrize("how", ["token", "sequence", "episode"])
def test_mean_weights_sum_to_one(how):
    assert token_weights(how, SEQUENCE, EPISODE).sum().item() == pytest.approx(1)


@pytest.mark.parametrize("how", ["token", "sequence", "episode"])
def test_no_tokens_have_no_weights(how):
    empty = torch.zeros(0, dtype=torch.int64)
    assert token_weights(how, empty, empty).shape == (0,)


def test_unknown_aggregation_names_the_choices():
    with pytest.raises(InvalidInput, match=r"unknown aggregation 'mean'; choose one of token, sequence"):
        token_weights("mean", SEQUENCE, EPISODE)


@pytest.mark.parametrize(("how", "length"), [("constant", None), ("constant", 0.0), ("token", 5.0)])
def test_constant_length_is_required_positive_and_only_for_constant(how, length):
    with pytest.raises(InvalidInput, match="'constant' needs a positive one"):
        token_weights(how, SEQUENCE, EPISODE, length=length)
