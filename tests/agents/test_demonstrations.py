"""Demonstrations by the environments' own experts, and rollouts of real environments."""

from __future__ import annotations

import asyncio

import gymnasium as gym
import pytest

from turnwise.agents.demonstrations import NoisyOracle, demonstrate
from turnwise.agents.errors import InvalidInput
from turnwise.agents.evaluation import evaluate
from turnwise.agents.rollout import RolloutConfig, episode_to_json, group_jobs
from turnwise.agents.types import Status
from turnwise.envs.core import TurnEnv

GUESS = "turnwise/GuessNumber-v0"


def actions(episodes):
    return [[turn.action for turn in episode.turns] for episode in episodes]


def test_the_oracle_without_noise_solves_every_task():
    episodes = demonstrate(GUESS, group_jobs(range(20), 1, options={"difficulty": "hard", "split": "train"}))
    assert [episode.success for episode in episodes] == [1.0] * 20
    assert [episode.status for episode in episodes] == [Status.TERMINATED] * 20
    first = episodes[0]
    assert first.env_id == GUESS
    assert first.instructions.startswith("Find my secret")
    assert first.task["difficulty"] == "hard"
    assert first.turns[0].action == "<guess>128</guess>"
    assert first.turns[0].progress == pytest.approx(first.turns[0].reward_parts["progress"])
    assert first.turns[1].state_key == first.turns[0].next_state_key
    assert len(first.turns[0].action_ids) == 0


def test_noise_lowers_success_and_is_the_same_for_the_same_jobs():
    jobs = group_jobs(range(40), 1, options={"difficulty": "hard"})
    noisy, again, noisier = (demonstrate(GUESS, jobs, noise) for noise in (0.3, 0.3, 1.0))
    assert actions(noisy) == actions(again)
    means = [sum(episode.success for episode in episodes) / 40 for episodes in (noisy, noisier)]
    assert 1.0 > means[0] > means[1]


def test_about_the_given_share_of_actions_is_random():
    class Constant(TurnEnv):
        def reset(self, *, seed=None, options=None):
            return "go", {}

        def step(self, action):
            return "on", 0.0, False, False, {}

        def oracle(self):
            return "expert"

        def random_action(self, rng):
            return "random"

    config = RolloutConfig(max_turns=100)
    episodes = demonstrate(Constant, group_jobs(range(20), 1), 0.25, config=config)
    random = [action == "random" for episode in actions(episodes) for action in episode]
    assert 0.22 < sum(random) / len(random) < 0.28


def test_where_the_oracle_knows_no_way_the_action_is_random():
    class Lost(TurnEnv):
        def reset(self, *, seed=None, options=None):
            return "go", {}

        def step(self, action):
            return "over", 0.0, True, False, {}

        def oracle(self):
            return None

        def random_action(self, rng):
            return "random"

    assert actions(demonstrate(Lost, group_jobs([0], 1))) == [["random"]]


def test_an_environment_without_an_oracle_is_refused():
    class Silent(TurnEnv):
        def reset(self, *, seed=None, options=None):
            return "go", {}

    with pytest.raises(InvalidInput, match="Silent has no oracle"):
        demonstrate(Silent, group_jobs([0], 1))

    class Plain(gym.Env):
        def reset(self, *, seed=None, options=None):
            return "go", {}

    with pytest.raises(InvalidInput, match=r"has no oracle\(\)"):
        demonstrate(Plain, group_jobs([0], 1))
    with pytest.raises(InvalidInput, match="None has no oracle"):
        NoisyOracle().start(seed=0)


def test_noise_that_is_no_probability_is_refused():
    with pytest.raises(InvalidInput, match=r"noise=1\.5"):
        NoisyOracle(1.5)


@pytest.mark.parametrize("env", [GUESS, "turnwise/Sokoban-v0", "turnwise/Arithmetic-v0"])
def test_the_oracle_evaluates_to_one_on_held_out_tasks(env):
    result = evaluate(env, NoisyOracle(), n=8, rollout=RolloutConfig(concurrency=4))
    assert result.success.value == 1.0
    assert result.overall.failed == 0
    assert {episode.task["split"] for episode in result.episodes} == {"test"}


def test_a_real_environment_gives_the_same_episodes_whatever_the_concurrency():
    def plain(concurrency):
        config = RolloutConfig(concurrency=concurrency)
        episodes = demonstrate(GUESS, group_jobs(range(12), 3), 0.5, config=config, env_kwargs={"reward": "dense"})
        values = [episode_to_json(episode) for episode in episodes]
        for value in values:
            for turn in value["turns"]:
                del turn["seconds"]
        return values

    assert plain(1) == plain(5) == plain(36)


def test_an_option_that_the_environment_does_not_know_is_the_callers_mistake():
    with pytest.raises(InvalidInput, match="dificulty"):
        demonstrate(GUESS, group_jobs([0], 1, options={"dificulty": "easy"}))
    with pytest.raises(InvalidInput, match="impossible"):
        evaluate(GUESS, NoisyOracle(), n=2, difficulties=["impossible"])


def test_demonstrations_are_not_played_inside_an_event_loop():
    async def main():
        with pytest.raises(InvalidInput, match="event loop"):
            demonstrate(GUESS, group_jobs([0], 1))

    asyncio.run(main())
