import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnwise.agents.errors import InvalidInput
from turnwise.agents.tokens.merge import merge
from turnwise.agents.types import Episode, Status, Turn

A, B, C, SPACE, END, NEXT = 1, 2, 3, 7, 8, 9


def turn(prompt, action, first=-1.0):
    logprobs = first - np.arange(len(action), dtype=np.float32)
    return Turn("", "", 0.0, prompt_ids=np.array(prompt), action_ids=np.array(action), logprobs=logprobs)


def test_a_clean_episode_is_one_sequence_of_its_last_prompt_and_action():
    first = turn([A, B], [C, END])
    second = turn([A, B, C, END, NEXT], [B, END], first=-5.0)
    (sequence,) = merge([first, second], episode=4)
    assert sequence.ids.tolist() == [A, B, C, END, NEXT, B, END]
    assert sequence.turn.tolist() == [-1, -1, 0, 0, -1, 1, 1]
    assert sequence.logprobs.tolist() == [0, 0, -1, -2, 0, -5, -6]
    assert sequence.mask.tolist() == [False, False, True, True, False, True, True]
    assert sequence.episode == 4
    assert (sequence.ids.dtype, sequence.turn.dtype, sequence.logprobs.dtype) == (np.int64, np.int32, np.float32)


def test_an_episode_is_taken_like_its_turns():
    turns = (turn([A], [B]), turn([A, B, C], [A]))
    episode = Episode("g", "env", 0, turns, Status.TERMINATED)
    assert merge(episode)[0].ids.tolist() == merge(turns)[0].ids.tolist() == [A, B, C, A]


def test_a_stripped_blank_is_realigned_and_stays_in_the_sequence():
    (sequence,) = merge([turn([A], [B, SPACE, END]), turn([A, B, END, NEXT], [C])])
    assert sequence.ids.tolist() == [A, B, SPACE, END, NEXT, C]
    assert sequence.turn.tolist() == [-1, 0, 0, 0, -1, 1]


def test_an_action_tokenised_again_is_realigned_at_its_end():
    (sequence,) = merge([turn([A], [B, C, END]), turn([A, 50, END, NEXT], [C])])
    assert sequence.ids.tolist() == [A, B, C, END, NEXT, C]


def test_a_blank_that_the_prompt_adds_is_left_out():
    (sequence,) = merge([turn([A], [B, END]), turn([A, B, SPACE, END, NEXT], [C])])
    assert sequence.ids.tolist() == [A, B, END, NEXT, C]
    assert sequence.turn.tolist() == [-1, 0, 0, -1, 1]


def test_the_longest_common_ending_decides_where_the_prompt_goes_on():
    # END stands earlier in the prompt too; two tokens must agree where they can.
    (sequence,) = merge([turn([A], [SPACE, C, END]), turn([A, B, END, C, END, NEXT], [C])])
    assert sequence.ids.tolist() == [A, SPACE, C, END, NEXT, C]


def test_too_many_differing_tokens_fork():
    turns = [turn([A], [B, SPACE, SPACE, SPACE, END]), turn([A, B, END, NEXT], [C])]
    assert len(merge(turns, realign_tokens=4)) == 1
    first, second = merge(turns, realign_tokens=3)
    assert first.ids.tolist() == [A, B, SPACE, SPACE, SPACE, END]
    assert second.ids.tolist() == [A, B, END, NEXT, C]
    assert second.turn.tolist() == [-1, -1, -1, -1, 1]


def test_a_difference_without_a_common_ending_forks():
    assert len(merge([turn([A], [B, SPACE]), turn([A, B, END, NEXT], [C])])) == 2


def test_removed_thinking_forks_and_the_fork_goes_on():
    thinking = [40, 41, 42, 43, 44, 45, 46, 47, 48]
    turns = [
        turn([A], [*thinking, C, END]),
        turn([A, C, END, NEXT], [B, END]),
        turn([A, C, END, NEXT, B, END, NEXT], [A]),
    ]
    first, second = merge(turns)
    assert first.ids.tolist() == [A, *thinking, C, END]
    assert second.ids.tolist() == [A, C, END, NEXT, B, END, NEXT, A]
    assert second.turn.tolist() == [-1, -1, -1, -1, 1, 1, -1, 2]


def test_a_turn_returns_to_an_earlier_sequence_that_it_extends():
    turns = [
        turn([A], [B, END]),
        turn([C, C, C], [END]),
        turn([A, B, END, NEXT], [C]),
        turn([C, C, C, END, NEXT], [A]),
    ]
    first, second = merge(turns)
    assert first.turn.tolist() == [-1, 0, 0, -1, 2]
    assert second.turn.tolist() == [-1, -1, -1, 1, -1, 3]


def test_a_second_try_at_the_same_prompt_is_a_sequence_of_its_own():
    first, second = merge([turn([A, B], [C, END]), turn([A, B], [NEXT, NEXT, END])], realign_tokens=0)
    assert first.ids.tolist() == [A, B, C, END]
    assert second.ids.tolist() == [A, B, NEXT, NEXT, END]


def test_turns_without_tokens_are_left_out_and_numbers_stay():
    (sequence,) = merge([Turn("", "", 0.0), turn([A], [B]), Turn("", "", 0.0), turn([A, B, C], [C])])
    assert sequence.turn.tolist() == [-1, 1, -1, 3]
    assert merge([Turn("", "", 0.0)]) == []


def test_tokens_that_cannot_be_trained_on_are_refused():
    with pytest.raises(InvalidInput, match="turn 0 sampled 1 tokens from an empty prompt"):
        merge([turn([], [B])])
    with pytest.raises(InvalidInput, match="1 sampled tokens and 0 log-probabilities"):
        merge([Turn("", "", 0.0, prompt_ids=np.array([A]), action_ids=np.array([B]))])
    with pytest.raises(InvalidInput, match="not numbers"):
        merge([turn([A], [B], first=float("nan"))])


short = st.lists(st.integers(0, 3), min_size=1, max_size=6)


@given(st.lists(st.tuples(short, short), min_size=1, max_size=6), st.integers(0, 4))
def test_every_sampled_token_stands_in_exactly_one_sequence_once(turns, realign_tokens):
    record = [turn(prompt, action, first=-10.0 * number) for number, (prompt, action) in enumerate(turns)]
    sequences = merge(record, realign_tokens=realign_tokens)
    for number, one in enumerate(record):
        (found,) = [sequence for sequence in sequences if (sequence.turn == number).any()]
        assert found.ids[found.turn == number].tolist() == one.action_ids.tolist()
        assert found.logprobs[found.turn == number].tolist() == one.logprobs.tolist()
    for sequence in sequences:
        assert (sequence.logprobs[sequence.turn == -1] == 0).all()
        sampled = sequence.turn[sequence.turn >= 0]
        assert (np.diff(sampled) >= 0).all()


@given(st.lists(st.tuples(short, short), min_size=1, max_size=5))
def test_turns_that_extend_each_other_are_one_sequence(turns):
    ids, record = [], []
    for given_ids, action in turns:
        ids = [*ids, *given_ids]
        record.append(turn(ids, action))
        ids = [*ids, *action]
    (sequence,) = merge(record)
    assert sequence.ids.tolist() == ids
