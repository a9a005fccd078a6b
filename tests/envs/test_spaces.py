from __future__ import annotations

import copy
import pickle

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector.utils import batch_differing_spaces, batch_space, concatenate, create_empty_array, iterate

from turnwise.envs import InvalidInput, TextSpace


def test_a_text_belongs_when_its_length_is_within_bounds_whatever_its_characters() -> None:
    space = TextSpace(max_length=3, min_length=1)
    assert "a" in space
    assert "\x00\ud800😀" in space
    assert "" not in space
    assert "abcd" not in space
    assert 3 not in space
    assert b"abc" not in space


def test_samples_belong_to_the_space_and_repeat_with_the_seed() -> None:
    for space in (
        TextSpace(),
        TextSpace(max_length=3),
        TextSpace(max_length=40, min_length=30),
        TextSpace(max_length=0),
    ):
        space.seed(7)
        first = [space.sample() for _ in range(50)]
        space.seed(7)
        assert first == [space.sample() for _ in range(50)]
        assert all(text in space for text in first)
    assert len(set(first)) == 1
    with pytest.raises(InvalidInput, match="without mask"):
        TextSpace().sample(mask=np.ones(3))


def test_spaces_are_equal_when_their_bounds_are_and_survive_copying() -> None:
    space = TextSpace(max_length=9, min_length=2, seed=1)
    assert space == TextSpace(9, 2)
    assert hash(space) == hash(TextSpace(9, 2))
    assert space != TextSpace(9)
    assert space != gym.spaces.Text(9)
    assert repr(space) == "TextSpace(max_length=9, min_length=2)"
    assert copy.deepcopy(space) == space == pickle.loads(pickle.dumps(space))
    assert not space.is_np_flattenable


def test_impossible_bounds_are_refused() -> None:
    with pytest.raises(InvalidInput, match="min_length <= max_length, not 5 and 3"):
        TextSpace(max_length=3, min_length=5)


def test_vector_utilities_treat_texts_as_tuples() -> None:
    space = TextSpace(max_length=5)
    batched = batch_space(space, 3)
    assert batched == gym.spaces.Tuple([space, space, space])
    batched.seed(5)
    assert len(set(batched.sample())) == 3
    empty = create_empty_array(space, 3)
    assert empty == ("", "", "")
    assert empty in batched
    assert concatenate(space, ["a", "b", "c"], empty) == ("a", "b", "c")
    assert list(iterate(batched, ("a", "b", "c"))) == ["a", "b", "c"]
    different = batch_differing_spaces([TextSpace(5), TextSpace(6)])
    assert different == gym.spaces.Tuple([TextSpace(5), TextSpace(6)])


def test_values_survive_the_json_form_of_the_space() -> None:
    space = TextSpace()
    assert space.from_jsonable(space.to_jsonable(["a", "ü"])) == ["a", "ü"]
