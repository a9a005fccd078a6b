"""What a rollout returns when nothing goes wrong."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import math
import random
import threading
import time

import gymnasium as gym
import numpy as np
import pytest

from turnwise.agents.errors import InvalidInput, PromptTooLong
from turnwise.agents.policies import Action, Policy, Session
from turnwise.agents.rollout import Job, Rollout, RolloutConfig, env_factory, episode_to_json, group_jobs
from turnwise.agents.types import Status


def comparable(episodes):
    """Episodes as plain objects, without what a clock says."""
    plain = [episode_to_json(episode) for episode in episodes]
    for episode in plain:
        for turn in episode["turns"]:
            del turn["seconds"]
    return plain


def test_a_turn_holds_what_the_environment_said_before_and_after_the_action(kit, made):
    with Rollout(lambda: kit.Sum(made), kit.Scripted("2", "4")) as rollout:
        (episode,) = rollout.run_sync([Job(seed=0, group="g", tags={"step": 3})])
    target = episode.task["target"]
    assert episode.turns[0].observation == f"reach {target}"
    assert [turn.action for turn in episode.turns[:2]] == ["2", "4"]
    assert [turn.observation for turn in episode.turns[1:3]] == ["sum 2", "sum 6"]
    assert [turn.state_key for turn in episode.turns[:3]] == ["s0", "s2", "s6"]
    assert [turn.next_state_key for turn in episode.turns[:2]] == ["s2", "s6"]
    assert episode.turns[0].progress == 2 / target
    assert episode.turns[0].reward == -0.25
    assert episode.turns[0].reward_parts == {"exact": 0.0}
    assert episode.turns[1].feedback == "sum is 6"
    assert set(episode.turns[0].seconds) == {"generate", "step"}
    assert episode.final_observation == episode.turns[-1].feedback.replace(" is", "")
    assert episode.success == episode.turns[-1].success
    assert (episode.env_id, episode.seed, episode.group, episode.tags) == ("Sum", 0, "g", {"step": 3})
    assert (episode.status, episode.error, episode.note, episode.attempt) == (Status.TERMINATED, None, "", 0)


def test_tokens_reach_the_turn_as_they_were_sampled(kit, made):
    with Rollout(lambda: kit.Sum(made), kit.Draws()) as rollout:
        (episode,) = rollout.run_sync([Job(seed=1, group="g")])
    for turn in episode.turns:
        number = int(turn.action)
        assert turn.prompt_ids.tolist() == list(range(len(turn.observation)))
        assert turn.action_ids.tolist() == [number] * number
        np.testing.assert_array_equal(turn.logprobs, np.full(number, -0.1 * number, np.float32))
        assert turn.finish == ("length" if number == 3 else "stop")


def test_an_episode_keeps_the_instructions_and_tools_that_it_was_given(kit, made):
    class Instructed(kit.Sum):
        def reset(self, *, seed=None, options=None):
            observation, info = super().reset(seed=seed, options=options)
            return observation, {**info, "instructions": "Add up.", "tools": [{"name": "add"}]}

    with Rollout(lambda: Instructed(made), kit.Draws()) as rollout:
        (episode,) = rollout.run_sync([Job(0, "g")])
    assert (episode.instructions, episode.tools) == ("Add up.", ({"name": "add"},))


def test_reset_gets_the_jobs_seed_and_options(kit, made):
    jobs = [Job(0, "a"), Job(0, "b", options={"scale": 10})]
    with Rollout(lambda: kit.Sum(made), kit.Scripted("200")) as rollout:
        small, large = rollout.run_sync(jobs)
    assert large.task["target"] == 10 * small.task["target"]


def test_episodes_come_in_the_order_of_the_jobs_and_groups_share_their_task(kit, made):
    jobs = group_jobs(seeds=[5, 6, 7], repeats=4, prefix="3/")
    with Rollout(lambda: kit.Sum(made), kit.Draws(), RolloutConfig(concurrency=5)) as rollout:
        episodes = rollout.run_sync(jobs)
    assert [(episode.group, episode.seed) for episode in episodes] == [(job.group, job.seed) for job in jobs]
    assert [job.name for job in jobs[:5]] == ["3/0#0", "3/0#1", "3/0#2", "3/0#3", "3/1#0"]
    for begin in (0, 4, 8):
        assert len({episode.turns[0].observation for episode in episodes[begin : begin + 4]}) == 1
    assert len({tuple(turn.action for turn in episode.turns) for episode in episodes[:4]}) > 1


def test_episodes_do_not_depend_on_concurrency_or_on_which_environment_was_free(kit):
    class Jittery(kit.Sum):
        def step(self, action):
            time.sleep(random.random() * 0.002)
            return super().step(action)

    jobs = group_jobs(seeds=range(6), repeats=3)
    runs = []
    for concurrency, env in ((1, kit.Sum), (4, Jittery), (18, Jittery), (18, Jittery)):
        with Rollout(lambda env=env: env([]), kit.Draws(), RolloutConfig(seed=7, concurrency=concurrency)) as rollout:
            runs.append(comparable(rollout.run_sync(jobs)))
    for run in runs:
        for episode in run:
            episode["env_id"] = "Sum"
    assert runs[0] == runs[1] == runs[2] == runs[3]


def test_another_run_seed_samples_other_actions_on_the_same_tasks(kit):
    runs = []
    for seed in (0, 1):
        with Rollout(lambda: kit.Sum([]), kit.Draws(), RolloutConfig(seed=seed)) as rollout:
            runs.append(rollout.run_sync(group_jobs(seeds=range(4), repeats=1)))
    assert [episode.task for episode in runs[0]] == [episode.task for episode in runs[1]]
    assert comparable(runs[0]) != comparable(runs[1])


def test_no_more_environments_are_made_than_episodes_may_be_in_flight_and_later_runs_use_them_again(kit, made):
    rollout = Rollout(lambda: kit.Sum(made), kit.Draws(), RolloutConfig(concurrency=3))
    rollout.run_sync(group_jobs(seeds=range(10), repeats=1))
    assert len(made) == 3
    rollout.run_sync(group_jobs(seeds=range(10), repeats=1))
    assert len(made) == 3
    assert [env.closed for env in made] == [0, 0, 0]
    rollout.close()
    assert [env.closed for env in made] == [1, 1, 1]
    rollout.close()
    assert [env.closed for env in made] == [1, 1, 1]


def test_an_environment_is_made_used_and_closed_in_one_thread_which_is_not_the_callers(kit, made):
    class Local(kit.Sum):
        def __init__(self, made):
            super().__init__(made)
            self.threads.add(threading.get_ident())

    with Rollout(lambda: Local(made), kit.Draws(), RolloutConfig(concurrency=4)) as rollout:
        rollout.run_sync(group_jobs(seeds=range(8), repeats=1))
    for env in made:
        assert len(env.threads) == 1
        assert env.threads != {threading.get_ident()}


def test_a_forgotten_rollout_closes_its_environments_when_it_is_collected(kit, made):
    rollout = Rollout(lambda: kit.Sum(made), kit.Draws())
    asyncio.run(rollout.run([Job(0, "g")]))
    del rollout
    gc.collect()
    assert [env.closed for env in made] == [1]


def test_an_async_with_block_closes_the_environments(kit, made):
    async def main():
        async with Rollout(lambda: kit.Sum(made), kit.Draws()) as rollout:
            await rollout.run([Job(0, "g")])
            with pytest.raises(InvalidInput, match=r"await rollout\.run"):
                rollout.run_sync([Job(0, "g")])
            with pytest.raises(InvalidInput, match=r"await rollout\.aclose"):
                rollout.close()

    asyncio.run(main())
    assert [env.closed for env in made] == [1]


def test_no_jobs_give_no_episodes(kit, made):
    with Rollout(lambda: kit.Sum(made), kit.Draws()) as rollout:
        assert rollout.run_sync([]) == []
    assert made == []
    assert rollout.stats.episodes == 0
    assert math.isnan(rollout.stats.success)


def test_the_rollouts_turn_limit_truncates_and_says_so(kit, made):
    with Rollout(lambda: kit.Sum(made), kit.Scripted("0"), RolloutConfig(max_turns=3)) as rollout:
        (episode,) = rollout.run_sync([Job(0, "g")])
    assert (episode.status, len(episode.turns), episode.note) == (Status.TRUNCATED, 3, "rollout: max_turns=3")


def test_the_environments_turn_limit_truncates_and_a_registered_id_is_made_by_gymnasium(kit, made):
    gym.register("test/Sum-v0", entry_point=lambda **kwargs: kit.Sum(made, **kwargs), max_episode_steps=2)
    try:
        with Rollout("test/Sum-v0", kit.Scripted("0")) as rollout:
            (episode,) = rollout.run_sync([Job(0, "g")])
    finally:
        del gym.registry["test/Sum-v0"]
    assert (episode.status, len(episode.turns), episode.note) == (Status.TRUNCATED, 2, "environment: its own limit")
    assert episode.env_id == "test/Sum-v0"


def test_an_episode_that_terminates_at_its_limit_is_terminated(kit, made):
    with Rollout(lambda: kit.Sum(made), kit.Scripted("100"), RolloutConfig(max_turns=1)) as rollout:
        (episode,) = rollout.run_sync([Job(0, "g")])
    assert episode.status is Status.TERMINATED


def test_a_conversation_that_outgrows_the_context_is_truncated_after_the_turns_that_fitted(kit, made):
    policy = kit.Scripted("1", PromptTooLong("4100 tokens, 4096 fit"))
    with Rollout(lambda: kit.Sum(made), policy) as rollout:
        (episode,) = rollout.run_sync([Job(0, "g")])
        assert rollout.stats.failed == 0
    assert (episode.status, len(episode.turns)) == (Status.TRUNCATED, 1)
    assert episode.note == "context: 4100 tokens, 4096 fit"
    assert episode.final_observation == "sum 1"
    assert policy.starts == 1


def test_the_policy_expects_every_slot_until_its_last_episode_is_over(kit, made):
    policy = kit.Draws()
    with Rollout(lambda: kit.Sum(made), policy, RolloutConfig(concurrency=3)) as rollout:
        rollout.run_sync(group_jobs(seeds=range(7), repeats=1))
    assert policy.history == [3, 2, 1, 0]


class Batching(Policy):
    """A policy that decides for all episodes in flight at once, as soon as all of them wait."""

    def __init__(self):
        self.expected, self.waiting, self.batches = 0, {}, []

    def start(self, *, seed, env=None):
        return BatchingSession(self, seed)

    def expect(self, change):
        self.expected += change
        self.flush()

    def flush(self):
        if self.waiting and len(self.waiting) == self.expected:
            self.batches.append(sorted(self.waiting))
            waiting, self.waiting = self.waiting, {}
            for future in waiting.values():
                future.set_result(None)


class BatchingSession(Session):
    def __init__(self, policy, seed):
        self.policy, self.seed, self.turn = policy, seed, 0

    async def act(self, observation, info):
        future = asyncio.get_running_loop().create_future()
        self.policy.waiting[(self.seed, self.turn)] = future
        self.turn += 1
        self.policy.flush()
        await future
        return Action(str(1 + self.seed % 3))


def test_batches_of_an_engine_that_waits_for_all_are_the_same_whatever_the_timing(kit):
    class Jittery(kit.Sum):
        def reset(self, **kwargs):
            time.sleep(random.random() * 0.003)
            return super().reset(**kwargs)

        def step(self, action):
            time.sleep(random.random() * 0.003)
            return super().step(action)

    compositions = []
    for _ in range(4):
        policy = Batching()
        with Rollout(lambda: Jittery([]), policy, RolloutConfig(concurrency=4, step_timeout=5)) as rollout:
            rollout.run_sync(group_jobs(seeds=range(9), repeats=1))
        compositions.append(policy.batches)
    assert all(len(batch) == 4 for batch in compositions[0][:3])
    assert compositions[0] == compositions[1] == compositions[2] == compositions[3]


def test_slow_episodes_do_not_hold_up_the_others(kit):
    release = threading.Event()
    finished = []

    class Slow(kit.Sum):
        def step(self, action):
            if self.slow:
                release.wait(30)
            result = super().step(action)
            if result[2]:
                finished.append(self.slow)
                if len(finished) == 5:
                    release.set()
            return result

        def reset(self, *, seed=None, options=None):
            self.slow = seed == 0
            return super().reset(seed=seed, options=options)

    with Rollout(lambda: Slow([]), kit.Draws(), RolloutConfig(concurrency=2)) as rollout:
        episodes = rollout.run_sync(group_jobs(seeds=range(6), repeats=1))
    assert finished == [False] * 5 + [True]
    assert [episode.status for episode in episodes] == [Status.TERMINATED] * 6


class Awaited(gym.Env):
    """An environment with asynchronous methods."""

    def __init__(self, made):
        made.append(self)
        self.closed = 0

    async def areset(self, *, seed=None, options=None):
        await asyncio.sleep(0)
        self.thread = threading.get_ident()
        return f"seed {seed}", {}

    async def astep(self, action):
        await asyncio.sleep(0)
        return action, 1.0, True, False, {"success": 1.0}

    async def aclose(self):
        await asyncio.sleep(0)
        self.closed += 1


def test_an_asynchronous_environment_runs_on_the_event_loop(kit, made):
    with Rollout(lambda: Awaited(made), kit.Scripted("hello"), RolloutConfig(concurrency=2)) as rollout:
        episodes = rollout.run_sync(group_jobs(seeds=range(5), repeats=1))
    assert [episode.turns[0].observation for episode in episodes] == [f"seed {seed}" for seed in range(5)]
    assert [episode.success for episode in episodes] == [1.0] * 5
    assert {env.thread for env in made} == {threading.get_ident()}
    assert [env.closed for env in made] == [1, 1]


def test_an_asynchronous_environment_is_not_taken_to_another_event_loop(kit, made):
    rollout = Rollout(lambda: Awaited(made), kit.Scripted("hello"), RolloutConfig(concurrency=1))
    asyncio.run(rollout.run([Job(0, "g")]))
    asyncio.run(rollout.run([Job(0, "g")]))
    assert len(made) == 2
    rollout.close()


def test_the_statistics_count_what_happened(kit, made):
    with Rollout(lambda: kit.Sum(made), kit.Draws(), RolloutConfig(concurrency=2)) as rollout:
        episodes = rollout.run_sync(group_jobs(seeds=range(5), repeats=2))
        stats = rollout.stats
    turns = [turn for episode in episodes for turn in episode.turns]
    assert (stats.episodes, stats.terminated, stats.truncated, stats.failed, stats.retried) == (10, 10, 0, 0, 0)
    assert stats.turns == len(turns)
    assert stats.tokens == sum(int(turn.action) for turn in turns)
    assert stats.unfinished == sum(turn.action == "3" for turn in turns)
    assert stats.success == pytest.approx(np.mean([episode.success for episode in episodes]))
    assert stats.reward == pytest.approx(np.mean([episode.reward for episode in episodes]))
    assert stats.turns_mean == pytest.approx(np.mean([len(episode.turns) for episode in episodes]))
    assert stats.turns_max == max(len(episode.turns) for episode in episodes)
    assert stats.action_tokens_max == 3
    assert stats.tokens_per_second == pytest.approx(stats.tokens / stats.seconds)
    assert stats.generate_seconds > 0
    assert stats.step_seconds > 0
    assert set(stats.as_dict("rollout/")) == {f"rollout/{field.name}" for field in dataclasses.fields(stats)}


def test_an_unknown_id_is_refused_before_anything_runs(kit):
    with pytest.raises(InvalidInput, match="NoSuchThing-v0"):
        Rollout("turnwise/NoSuchThing-v0", kit.Draws())
    with pytest.raises(InvalidInput, match="no_such_module:thing"):
        env_factory("no_such_module:thing")


def test_arguments_for_a_factory_are_refused(kit):
    with pytest.raises(InvalidInput, match=r"\{'size': 3\}"):
        Rollout(lambda: kit.Sum([]), kit.Draws(), env_kwargs={"size": 3})


def test_a_rollout_runs_one_batch_of_jobs_at_a_time(kit):
    async def main():
        async with Rollout(lambda: kit.Sum([]), kit.Draws()) as rollout:
            first = asyncio.create_task(rollout.run([Job(0, "g")]))
            await asyncio.sleep(0)
            with pytest.raises(InvalidInput, match="running already"):
                await rollout.run([Job(0, "g")])
            assert len(await first) == 1

    asyncio.run(main())
