"""Demonstrations by the environments' own experts, and rollouts of real environments."""

from __future__ import annotations

import asyncio
import copy
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest

from turnwise.agents.demonstrations import NoisyOracle, demonstrate, demonstration_sequences
from turnwise.agents.engines.base import Completion, Engine
from turnwise.agents.errors import InvalidInput
from turnwise.agents.evaluation import evaluate
from turnwise.agents.policies import EnginePolicy
from turnwise.agents.rollout import Rollout, RolloutConfig, episode_to_json, group_jobs
from turnwise.agents.tokens import merge
from turnwise.agents.tokens.tiny import END_OF_TURN, make_tokenizer
from turnwise.agents.types import Episode, Status, Turn
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


# Token sequences.

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
FORGETS_THINKING = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% if message.role == 'assistant' and not loop.last %}{{ message.content.split('</think>')[-1] }}"
    "{% else %}{{ message.content }}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(scope="module")
def tokenizer():
    pytest.importorskip("transformers")
    return make_tokenizer(["<guess>12</guess> is too low. It is between 1 and 16. 3 guesses left."] * 20, 400)


class Recites(Engine):
    """Samples the actions of one demonstrated episode after the other."""

    def __init__(self, tokenizer, episodes):
        self.tokenizer = tokenizer
        self.actions = [turn.action for episode in episodes for turn in episode.turns]

    @property
    def context_length(self):
        return 4096

    async def generate(self, prompt_ids, sampling, *, seed):
        text = self.actions.pop(0)
        ids = np.array(self.tokenizer.encode(text + END_OF_TURN, add_special_tokens=False), np.int64)
        return Completion(ids, np.full(len(ids), -1.0, np.float32), text, "stop")


@pytest.mark.parametrize("template", [None, CHATML, FORGETS_THINKING])
def test_demonstrations_have_the_token_contexts_of_a_rollout_with_the_same_actions(tokenizer, template):
    if template is not None:
        tokenizer = copy.deepcopy(tokenizer)
        tokenizer.chat_template = template
    jobs = group_jobs(range(6), 1)
    spoken = demonstrate(GUESS, jobs, 0.5)
    if template is FORGETS_THINKING:
        spoken = [with_thinking(episode) for episode in spoken]
    policy = EnginePolicy(Recites(tokenizer, spoken), tokenizer)
    with Rollout(GUESS, policy, RolloutConfig(concurrency=1)) as rollout:
        sampled = rollout.run_sync(jobs)
    expected = [sequence for index, episode in enumerate(sampled) for sequence in merge(episode, episode=index)]
    sequences = demonstration_sequences(spoken, tokenizer)
    assert len(sequences) == len(expected)
    assert len(sequences) > 6 if template is FORGETS_THINKING else len(sequences) == 6
    for ours, theirs in zip(sequences, expected, strict=True):
        assert ours.ids.tolist() == theirs.ids.tolist()
        assert ours.turn.tolist() == theirs.turn.tolist()
        assert ours.episode == theirs.episode
        assert not ours.logprobs.any()


def with_thinking(episode: Episode) -> Episode:
    turns = tuple(replace(turn, action=f"<think>hm</think>{turn.action}") for turn in episode.turns)
    return replace(episode, turns=turns)


def test_action_tokens_are_the_action_and_its_end_of_turn_and_the_rest_is_not_trained_on(tokenizer):
    turns = (Turn("Guess.", "<guess>8</guess>", 0.0), Turn("8 is too low.", "<guess>12</guess>", 1.0))
    episode = Episode("g", "e", 0, turns, Status.TERMINATED, instructions="Rules.")
    (sequence,) = demonstration_sequences([episode], tokenizer)
    end, start = END_OF_TURN, "<|im_start|>"

    def text(mask):
        return tokenizer.decode(sequence.ids[mask].tolist())

    assert text(sequence.turn == 0) == f"<guess>8</guess>{end}"
    assert text(sequence.turn == 1) == f"<guess>12</guess>{end}"
    assert text(sequence.turn == -1) == f"Rules.{end}Guess.{end}{start}8 is too low.{end}{start}"
    assert sequence.ids.dtype == np.int64


def test_failed_demonstrations_are_left_out_and_the_others_keep_their_positions(tokenizer):
    good = Episode("g", "e", 0, (Turn("o", "a", 0.0),), Status.TRUNCATED)
    failed = replace(good, status=Status.FAILED, error="x")
    empty = replace(good, turns=())
    assert [each.episode for each in demonstration_sequences([failed, good, empty, good], tokenizer)] == [1, 3]


def test_instructions_can_be_replaced_as_in_the_policy(tokenizer):
    episode = Episode("g", "e", 0, (Turn("o", "a", 0.0),), Status.TERMINATED, instructions="Rules.")
    (sequence,) = demonstration_sequences([episode], tokenizer, instructions="Other.")
    assert tokenizer.decode(sequence.ids.tolist()).startswith(f"Other.{END_OF_TURN}o")


def test_sequences_can_be_made_inside_an_event_loop(tokenizer):
    async def main():
        return demonstration_sequences([Episode("g", "e", 0, (Turn("o", "a", 0.0),), Status.TERMINATED)], tokenizer)

    assert len(asyncio.run(main())) == 1


def test_a_tokenizer_without_a_chat_template_or_an_end_of_turn_is_refused(tokenizer):
    bare = copy.deepcopy(tokenizer)
    bare.chat_template = None
    with pytest.raises(InvalidInput, match="no chat template"):
        demonstration_sequences([], bare)
    endless = copy.deepcopy(tokenizer)
    endless.chat_template = "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}"
    endless.eos_token = None
    with pytest.raises(InvalidInput, match="no token that ends a turn"):
        demonstration_sequences([], endless)
