"""Rollouts of a small model through its engine."""

from __future__ import annotations

import logging
import threading

import gymnasium as gym
import numpy as np
import pytest

import turnwise.envs  # noqa: F401 - registers the environments
from turnwise.agents.engines.base import Sampling
from turnwise.agents.policies import EnginePolicy
from turnwise.agents.rollout import Rollout, RolloutConfig, group_jobs
from turnwise.agents.tokens import merge
from turnwise.agents.types import Status

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

GUESS = "turnwise/GuessNumber-v0"


@pytest.fixture(scope="module")
def model():
    from turnwise.agents.tokens.tiny import make_model, make_tokenizer

    tokenizer = make_tokenizer(["<guess>12</guess> is too low. It is between 1 and 16. 3 guesses left."] * 20, 300)
    return make_model(tokenizer, layers=1, width=32, heads=2, context_length=1024), tokenizer


def policy(model, **options):
    from turnwise.agents.engines.transformers_engine import TransformersEngine

    return EnginePolicy(TransformersEngine(*model, **options), model[1], Sampling(max_tokens=8))


def tokens(episodes):
    return [[turn.action_ids.tolist() for turn in episode.turns] for episode in episodes]


def test_the_same_seeds_sample_the_same_tokens_on_every_run_and_repeats_differ(model):
    runs = []
    for _ in range(2):
        with Rollout(GUESS, policy(model), RolloutConfig(concurrency=6)) as rollout:
            runs.append(rollout.run_sync(group_jobs(range(4), repeats=3)))
    assert tokens(runs[0]) == tokens(runs[1])
    assert len({str(actions) for actions in tokens(runs[0])}) == 12
    for one, other in zip(*runs, strict=True):
        for a, b in zip(one.turns, other.turns, strict=True):
            np.testing.assert_array_equal(a.logprobs, b.logprobs)


def test_every_sampled_token_reaches_the_sequences_with_its_logprob(model):
    with Rollout(GUESS, policy(model), RolloutConfig(concurrency=4)) as rollout:
        episodes = rollout.run_sync(group_jobs(range(2), repeats=2))
        assert rollout.stats.tokens == sum(episode.action_tokens for episode in episodes) > 0
    for episode in episodes:
        assert (episode.status, len(episode.turns)) == (Status.TRUNCATED, 5)
        sequences = merge(episode)
        sampled = np.concatenate([sequence.logprobs[sequence.mask] for sequence in sequences])
        assert np.array_equal(sampled, np.concatenate([turn.logprobs for turn in episode.turns]))
        assert np.all(sampled < 0)


def test_an_engine_that_waits_for_all_goes_on_without_an_episode_that_hangs(model, caplog):
    caplog.set_level(logging.ERROR, logger="turnwise")
    release = threading.Event()

    class Hanging(gym.Wrapper):
        def step(self, action):
            if self.unwrapped.np_random_seed == 1:
                release.wait()
            return super().step(action)

    config = RolloutConfig(concurrency=3, retries=0, step_timeout=1.0, close_timeout=0.1)
    with Rollout(lambda: Hanging(gym.make(GUESS)), policy(model), config) as rollout:
        episodes = rollout.run_sync(group_jobs(range(3), repeats=1))
    release.set()
    assert [episode.status for episode in episodes] == [Status.TRUNCATED, Status.FAILED, Status.TRUNCATED]


def test_a_conversation_that_fills_the_engines_context_is_truncated_there(model):
    with Rollout(GUESS, policy(model), RolloutConfig(concurrency=2)) as rollout:
        whole = rollout.run_sync(group_jobs([0], repeats=1))[0]
    room = len(whole.turns[2].prompt_ids) + 1
    with Rollout(GUESS, policy(model, context_length=room), RolloutConfig(concurrency=2)) as rollout:
        (episode,) = rollout.run_sync(group_jobs([0], repeats=1))
    assert (episode.status, len(episode.turns)) == (Status.TRUNCATED, 3)
    assert episode.note.startswith("context: the prompt has ")
