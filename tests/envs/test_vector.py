from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from turnwise.envs import InvalidInput, make_vec
from turnwise.envs.registration import ENVIRONMENTS

GUESS = "turnwise/GuessNumber-v0"


@pytest.fixture(params=["sync", "async"])
def vector(request: pytest.FixtureRequest) -> Any:
    envs = make_vec(GUESS, 2, request.param, difficulty="medium", max_turns=2, reward="dense")
    yield envs
    envs.close()


def test_observations_and_infos_are_those_of_the_single_environments(vector: Any) -> None:
    singles = [gym.make(GUESS, difficulty="medium", max_turns=2, reward="dense") for _ in range(2)]
    starts = [env.reset(seed=seed) for seed, env in zip((3, 4), singles, strict=True)]
    observations, infos = vector.reset(seed=[3, 4])
    assert observations == tuple(observation for observation, _ in starts)
    assert list(infos["task"]["id"]) == [info["task"]["id"] for _, info in starts]
    actions = ("<guess>32</guess>", "<guess>5</guess>")
    steps = [env.step(action) for env, action in zip(singles, actions, strict=True)]
    observations, rewards, terminated, truncated, infos = vector.step(actions)
    assert observations == tuple(step[0] for step in steps)
    assert rewards.tolist() == [step[1] for step in steps]
    assert not terminated.any()
    assert not truncated.any()
    assert infos["progress"].dtype == np.float64
    assert infos["turn"].dtype == np.float64
    assert list(infos["state_key"]) == [step[4]["state_key"] for step in steps]


def test_the_end_of_an_episode_is_kept_when_the_next_one_begins(vector: Any) -> None:
    vector.reset(seed=[3, 4])
    vector.step(("x", "x"))
    observations, _, _, truncated, infos = vector.step(("x", "x"))
    assert truncated.all()
    assert all("No guesses left" in text for text in infos["final_obs"])
    assert infos["final_info"]["turn"].tolist() == [2.0, 2.0]
    assert infos["turn"].tolist() == [0.0, 0.0]
    assert all(text.endswith("2 guesses left.") for text in observations)


@pytest.mark.parametrize("env_id", sorted(set(ENVIRONMENTS) - {GUESS}))
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_every_environment_works_in_a_vector(env_id: str, mode: Any) -> None:
    envs = make_vec(env_id, 2, mode, max_turns=2)
    try:
        first, _ = envs.reset(seed=0)
        assert first in envs.observation_space
        for _ in range(3):
            observations, rewards, *_ = envs.step(envs.action_space.sample())
            assert observations in envs.observation_space
            assert rewards.shape == (2,)
    finally:
        envs.close()


def test_shared_memory_cannot_hold_texts_and_says_so() -> None:
    with pytest.raises(ValueError, match="shared_memory=False"):
        gym.make_vec(GUESS, 2, "async")


def test_the_other_ways_of_following_episodes_can_be_chosen() -> None:
    envs = make_vec(GUESS, 1, autoreset="next_step", max_turns=1)
    envs.reset(seed=0)
    assert envs.step(("x",))[2].tolist() == [True]
    assert envs.step(("ignored",))[4]["turn"].tolist() == [0.0]
    envs.close()
    envs = make_vec(GUESS, 2, autoreset="disabled", max_turns=2)
    envs.reset(seed=0)
    _, infos = envs.reset(options={"reset_mask": np.array([True, False])})
    assert infos["_task"].tolist() == [True, False]
    envs.close()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"mode": "threads"}, "threads"), ({"autoreset": "never"}, "never"), ({"num_envs": 0}, "not 0")],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        make_vec(**({"id": GUESS, "num_envs": 1} | arguments))
