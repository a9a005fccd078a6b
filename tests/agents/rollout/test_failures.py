"""What a rollout makes of environments, policies and engines that fail."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
import time
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest

from turnwise.agents.errors import (
    ConfigError,
    EngineError,
    InvalidInput,
    MissingExtra,
    StalledError,
)
from turnwise.agents.rollout import Job, Rollout, RolloutConfig, group_jobs
from turnwise.agents.types import Status

CONFIG = RolloutConfig(
    concurrency=4, reset_timeout=30, step_timeout=30, close_timeout=10, stall_timeout=60, max_abandoned=50
)
IMPATIENT = replace(CONFIG, reset_timeout=0.5, step_timeout=0.5, close_timeout=0.2)
"""For environments that hang; the deadline leaves a busy machine time for those that do not."""


@pytest.fixture(autouse=True)
def _quiet(caplog):
    caplog.set_level(logging.ERROR, logger="turnwise")


@pytest.fixture
def release():
    """What hanging environments wait for; set at the end, so that their threads end."""
    event = threading.Event()
    yield event
    event.set()


def run(env, policy, jobs, config=CONFIG):
    with Rollout(env, policy, config) as rollout:
        return rollout.run_sync(jobs), rollout.stats


# Environments that raise.


def test_a_raising_step_costs_its_episode_and_no_other(kit, made):
    class Raising(kit.Sum):
        def step(self, action):
            if self.sum >= 2 and self.seed == 2:
                raise KeyError("lost")
            return super().step(action)

        def reset(self, *, seed=None, options=None):
            self.seed = seed
            return super().reset(seed=seed, options=options)

    episodes, stats = run(lambda: Raising(made), kit.Scripted("1"), group_jobs(seeds=range(5), repeats=1))
    assert [episode.status for episode in episodes].count(Status.FAILED) == 1
    failed = episodes[2]
    assert failed.status is Status.FAILED
    assert failed.error == "turn 2: environment.step raised KeyError: 'lost'"
    assert (len(failed.turns), failed.attempt, failed.success) == (2, 1, 0.0)
    assert (stats.failed, stats.retried) == (1, 1)
    assert all(env.closed == 1 for env in made)


def test_a_failed_environment_is_closed_and_never_used_again(kit, made):
    class Fragile(kit.Sum):
        broken = False

        def reset(self, *, seed=None, options=None):
            assert not self.broken, "used after it failed"
            if seed == 1 and len(made) == 1:
                self.broken = True
                raise OSError("connection lost")
            return super().reset(seed=seed, options=options)

    config = replace(CONFIG, concurrency=1)
    with Rollout(lambda: Fragile(made), kit.Draws(), config) as rollout:
        episodes = rollout.run_sync(group_jobs(seeds=range(4), repeats=1))
        assert [episode.status for episode in episodes] == [Status.TERMINATED] * 4
        assert [episode.attempt for episode in episodes] == [0, 1, 0, 0]
        assert len(made) == 2
    assert [env.closed for env in made] == [1, 1]


def test_a_retried_episode_samples_the_same_actions_again(kit, made):
    class Once(kit.Sum):
        def step(self, action):
            if len(made) == 1 and self.sum > 0:
                raise OSError("once")
            return super().step(action)

    policy = kit.Draws()
    (retried,), _ = run(lambda: Once(made), policy, [Job(0, "g")])
    (plain,), _ = run(lambda: kit.Sum([]), kit.Draws(), [Job(0, "g")])
    assert retried.attempt == 1
    assert policy.seeds[0] == policy.seeds[1]
    assert [turn.action for turn in retried.turns] == [turn.action for turn in plain.turns]


def test_an_environment_that_cannot_be_made_fails_its_episodes(kit):
    def broken():
        raise ConnectionError("no server")

    (first, second), _ = run(broken, kit.Draws(), group_jobs(seeds=[1, 2], repeats=1))
    assert (first.status, second.status) == (Status.FAILED, Status.FAILED)
    assert first.error == "environment.make raised ConnectionError: no server"
    assert first.turns == ()


def test_an_environment_that_asks_the_interpreter_to_exit_costs_its_episode_only(kit, made):
    class Exiting(kit.Sum):
        def step(self, action):
            raise SystemExit(3)

    (episode,), _ = run(lambda: Exiting(made), kit.Draws(), [Job(0, "g")])
    assert episode.error == "turn 0: environment.step raised SystemExit: 3"


def test_a_raising_close_keeps_no_other_environment_open(kit, made):
    class Rude(kit.Sum):
        def close(self):
            super().close()
            raise RuntimeError("no")

    run(lambda: Rude(made), kit.Draws(), group_jobs(seeds=range(6), repeats=1))
    assert [env.closed for env in made] == [1] * len(made)


def test_an_unknown_reset_option_is_the_callers_mistake_and_stops_the_run(kit, made):
    class Strict(kit.Sum):
        def reset(self, *, seed=None, options=None):
            if options:
                raise InvalidInput(f"unknown options {options!r}")
            return super().reset(seed=seed)

    with pytest.raises(InvalidInput, match="'dificulty'"):
        run(lambda: Strict(made), kit.Draws(), [Job(0, "a"), Job(0, "b", options={"dificulty": 2})])
    assert [env.closed for env in made] == [1] * len(made)


def test_a_missing_extra_stops_the_run(kit):
    def needs_browser():
        raise MissingExtra("playwright", "web")

    with pytest.raises(MissingExtra, match=r"turnwise\[web\]"):
        run(needs_browser, kit.Draws(), [Job(0, "g")])


# Environments that hang.


def test_a_hanging_step_costs_its_episode_and_the_others_finish(kit, made, release):
    class Hanging(kit.Sum):
        def reset(self, *, seed=None, options=None):
            self.hangs = seed in (0, 5)
            return super().reset(seed=seed, options=options)

        def step(self, action):
            if self.hangs:
                release.wait()
            return super().step(action)

    episodes, stats = run(lambda: Hanging(made), kit.Scripted("1"), group_jobs(seeds=range(12), repeats=1), IMPATIENT)
    assert [seed for seed, episode in enumerate(episodes) if episode.status is Status.FAILED] == [0, 5]
    assert episodes[5].error == "turn 0: environment.step did not answer within 0.5 s"
    assert (stats.failed, stats.retried, stats.terminated) == (2, 2, 10)
    assert all(env.closed == 1 for env in made)


def test_a_hanging_environment_is_closed_from_outside_once_its_time_is_over(kit, made):
    class Hanging(kit.Sum):
        def __init__(self, made):
            super().__init__(made)
            self.freed = threading.Event()

        def step(self, action):
            self.freed.wait()
            raise ConnectionError("closed")

        def close(self):
            super().close()
            self.freed.set()

    run(lambda: Hanging(made), kit.Draws(), [Job(0, "g")], replace(IMPATIENT, retries=0))
    assert [env.closed for env in made] == [1]


def test_a_hanging_environment_that_answers_late_is_closed_in_its_own_thread(kit, made, release):
    class Late(kit.Sum):
        def reset(self, *, seed=None, options=None):
            if seed == 0:
                release.wait()
            return super().reset(seed=seed, options=options)

    config = replace(IMPATIENT, retries=0, close_timeout=10, concurrency=1)
    with Rollout(lambda: Late(made), kit.Draws(), config) as rollout:
        late, fine = rollout.run_sync(group_jobs(seeds=[0, 1], repeats=1))
        assert (late.status, fine.status) == (Status.FAILED, Status.TERMINATED)
        assert late.error == "environment.reset did not answer within 0.5 s"
        assert made[0].closed == 0
        release.set()
    assert [env.closed for env in made] == [1, 1]
    assert len(made[0].threads) == 1


def test_an_environment_that_is_made_too_late_is_closed(kit, made, release):
    def slow():
        release.wait()
        return kit.Sum(made)

    config = replace(IMPATIENT, retries=0, close_timeout=10)
    with Rollout(slow, kit.Draws(), config) as rollout:
        (episode,) = rollout.run_sync([Job(0, "g")])
        assert episode.error == "environment.make did not answer within 0.5 s"
        release.set()
    assert [env.closed for env in made] == [1]


def test_an_environment_that_is_made_after_everything_was_closed_is_closed_too(kit, made, release):
    def slow():
        release.wait()
        return kit.Sum(made)

    config = replace(CONFIG, retries=0, reset_timeout=0.05, close_timeout=0.05)
    (episode,), _ = run(slow, kit.Draws(), [Job(0, "g")], config)
    assert episode.status is Status.FAILED
    release.set()
    deadline = time.monotonic() + 10
    while not (made and made[0].closed) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [env.closed for env in made] == [1]


def test_a_hanging_close_is_left_behind(kit, made, release):
    class Clinging(kit.Sum):
        def close(self):
            super().close()
            release.wait()

    began = time.monotonic()
    run(lambda: Clinging(made), kit.Draws(), group_jobs(seeds=range(4), repeats=1), IMPATIENT)
    assert [env.closed for env in made] == [1] * len(made)
    assert time.monotonic() - began < 10


def test_too_many_hanging_environments_stop_the_rollout(kit, made, release):
    class Hanging(kit.Sum):
        def step(self, action):
            release.wait()
            return super().step(action)

    config = replace(CONFIG, max_abandoned=2, concurrency=1, close_timeout=0.1, step_timeout=0.05)
    with pytest.raises(
        StalledError, match="3 environments hang in threads that cannot be ended, more than max_abandoned=2"
    ):
        run(lambda: Hanging(made), kit.Draws(), group_jobs(seeds=range(10), repeats=1), config)
    assert len(made) == 3
    assert [env.closed for env in made] == [1, 1, 1]


def test_environments_that_hung_and_came_back_do_not_count_as_abandoned(kit, made):
    class Slow(kit.Sum):
        def step(self, action):
            time.sleep(0.1)
            return super().step(action)

    config = replace(CONFIG, max_abandoned=2, concurrency=1, step_timeout=0.02, retries=0)
    with Rollout(lambda: Slow(made), kit.Draws(), config) as rollout:
        for seed in range(5):
            (episode,) = rollout.run_sync([Job(seed, "g")])
            assert episode.status is Status.FAILED
            while any(env.closed == 0 for env in made):
                time.sleep(0.01)
    assert [env.closed for env in made] == [1] * 5


def test_a_hanging_asynchronous_environment_costs_its_episode(kit, made):
    class Awaited(gym.Env):
        async def areset(self, *, seed=None, options=None):
            self.seed = seed
            return "hello", {}

        async def astep(self, action):
            if self.seed == 0:
                await asyncio.sleep(60)
            if self.seed == 1:
                raise ValueError("bad luck")
            return "bye", 0.0, True, False, {}

    hung, raised, fine = run(Awaited, kit.Scripted("x"), group_jobs(seeds=range(3), repeats=1), IMPATIENT)[0]
    assert hung.error == "turn 0: environment.step did not answer within 0.5 s"
    assert raised.error == "turn 0: environment.step raised ValueError: bad luck"
    assert fine.status is Status.TERMINATED


# Environments that break their contract.

STEP = ("text", 0.0, True, False, {})


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (None, "environment.step must return (observation, reward, terminated, truncated, info), not None (NoneType)"),
        (STEP[:4], "environment.step must return (observation, reward, terminated, truncated, info), not"),
        ((b"text", *STEP[1:]), "environment.step must return text as observation, not b'text' (bytes)"),
        (("text", float("nan"), True, False, {}), "environment.step must return a finite number as reward, not nan"),
        (("text", float("inf"), True, False, {}), "environment.step must return a finite number as reward, not inf"),
        (("text", "1.0", True, False, {}), "environment.step must return a finite number as reward, not '1.0' (str)"),
        (("text", None, True, False, {}), "environment.step must return a finite number as reward, not None"),
        (("text", 0.0, 1, False, {}), "environment.step must return a bool as terminated, not 1 (int)"),
        (("text", 0.0, True, None, {}), "environment.step must return a bool as truncated, not None (NoneType)"),
        ((*STEP[:4], None), "environment.step must return a mapping as info, not None (NoneType)"),
        ((*STEP[:4], {"success": 2.0}), "environment.step: info['success'] must be a number in [0, 1], not 2.0"),
        ((*STEP[:4], {"success": "yes"}), "environment.step: info['success'] must be a number in [0, 1], not 'yes'"),
        (
            (*STEP[:4], {"success": float("nan")}),
            "environment.step: info['success'] must be a number in [0, 1], not nan",
        ),
        ((*STEP[:4], {"progress": -0.1}), "environment.step: info['progress'] must be a number in [0, 1], not -0.1"),
        ((*STEP[:4], {"state_key": 7}), "environment.step: info['state_key'] must be text, not 7 (int)"),
        ((*STEP[:4], {"feedback": 7}), "environment.step: info['feedback'] must be text, not 7 (int)"),
        ((*STEP[:4], {"reward_parts": 7}), "environment.step: info['reward_parts'] must map names to numbers, not 7"),
        ((*STEP[:4], {"reward_parts": {"a": "b"}}), "environment.step: info['reward_parts'] must map names to numbers"),
        ((*STEP[:4], {"feedback": b"x" * 500}), "xxx... (bytes)"),
    ],
)
def test_a_broken_step_is_named_by_its_value(kit, made, result, message):
    class Broken(kit.Sum):
        def step(self, action):
            return result

    (episode,), _ = run(lambda: Broken(made), kit.Draws(), [Job(0, "g")], replace(CONFIG, retries=0))
    assert episode.status is Status.FAILED
    assert message in episode.error
    assert episode.error.startswith("turn 0: ")


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ("text", "environment.reset must return (observation, info), not 'text' (str)"),
        ((["text"], {}), "environment.reset must return text as observation, not ['text'] (list)"),
        (("text", 3), "environment.reset must return a mapping as info, not 3 (int)"),
        (("text", {"state_key": None}), "environment.reset: info['state_key'] must be text, not None (NoneType)"),
        (("text", {"task": {"x": {1}}}), "environment.reset: info['task'] must be JSON-able, not {'x': {1}} (dict)"),
        (("text", {"instructions": 5}), "environment.reset: info['instructions'] must be text, not 5 (int)"),
        (
            ("text", {"tools": {"a": 1}}),
            "environment.reset: info['tools'] must be a list of JSON schemas, not {'a': 1} (dict)",
        ),
        (
            ("text", {"tools": ["a"]}),
            "environment.reset: info['tools'] must be a list of JSON schemas, not ['a'] (list)",
        ),
        (("text", {"task": float("nan")}), "environment.reset: info['task'] must be JSON-able, not nan (float)"),
    ],
)
def test_a_broken_reset_is_named_by_its_value(kit, made, result, message):
    class Broken(kit.Sum):
        def reset(self, *, seed=None, options=None):
            return result

    (episode,), _ = run(lambda: Broken(made), kit.Draws(), [Job(0, "g")], replace(CONFIG, retries=0))
    assert (episode.status, episode.error) == (Status.FAILED, message)


def test_numbers_of_numpy_are_taken_and_become_pythons(kit, made):
    class Numpy(kit.Sum):
        def step(self, action):
            info = {"success": np.float32(1.0), "progress": np.int64(1), "reward_parts": {"a": np.float64(0.5)}}
            return "text", np.float64(0.5), np.bool_(True), np.bool_(False), info

    (episode,), _ = run(lambda: Numpy(made), kit.Draws(), [Job(0, "g")])
    (turn,) = episode.turns
    assert (turn.reward, turn.success, turn.progress, turn.reward_parts) == (0.5, 1.0, 1.0, {"a": 0.5})
    assert {type(turn.reward), type(turn.success), type(turn.progress), type(turn.reward_parts["a"])} == {float}


def test_an_environment_may_reuse_its_dictionaries(kit, made):
    class Reusing(kit.Sum):
        parts, task = {}, {}

        def reset(self, *, seed=None, options=None):
            self.task["seed"] = seed
            observation, _ = super().reset(seed=seed, options=options)
            return observation, {"task": self.task}

        def step(self, action):
            observation, reward, terminated, truncated, info = super().step(action)
            self.parts["sum"] = float(self.sum)
            return observation, reward, terminated, truncated, {**info, "reward_parts": self.parts}

    config = replace(CONFIG, concurrency=1)
    first, second = run(lambda: Reusing(made), kit.Scripted("1"), group_jobs([3, 4], repeats=1), config)[0]
    assert [turn.reward_parts["sum"] for turn in first.turns] == [float(i + 1) for i in range(len(first.turns))]
    assert (first.task, second.task) == ({"seed": 3}, {"seed": 4})


def test_a_group_whose_resets_differ_fails_whole_and_other_groups_do_not(kit, made):
    class Forgetful(kit.Sum):
        resets = 0

        def reset(self, *, seed=None, options=None):
            observation, info = super().reset(seed=seed, options=options)
            if seed == 1:
                Forgetful.resets += 1
                return f"{observation}; visit {Forgetful.resets}", info
            return observation, info

    config = replace(CONFIG, concurrency=1)
    episodes, stats = run(lambda: Forgetful(made), kit.Draws(), group_jobs([0, 1, 2], repeats=3), config)
    assert [episode.status is Status.FAILED for episode in episodes] == [False] * 3 + [True] * 3 + [False] * 3
    assert len({episode.error for episode in episodes[3:6]}) == 1
    assert "seed 1 gave episodes 1#0 and 1#1 of one group different values of observation" in episodes[3].error
    assert "visit 1' and " in episodes[3].error
    assert stats.failed == 3
    assert [episode.success for episode in episodes[3:6]] == [0.0] * 3


def test_a_group_with_equal_observations_and_different_tasks_fails_too(kit, made):
    resets = []

    class Switching(kit.Sum):
        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed, options=options)
            resets.append(seed)
            return "hello", {"task": {"secret": len(resets)}}

    episodes, _ = run(lambda: Switching(made), kit.Draws(), group_jobs([0], repeats=2))
    assert [episode.status for episode in episodes] == [Status.FAILED] * 2
    assert "different values of task" in episodes[0].error


# Policies and engines that fail.


def test_an_engine_that_fails_once_is_asked_again_in_the_same_environment(kit, made):
    class FailsFirst(kit.Scripted):
        def start(self, *, seed, env=None):
            self.lines = (EngineError("out of memory"),) if self.starts == 0 else ("100",)
            return super().start(seed=seed, env=env)

    policy = FailsFirst()
    (episode,), stats = run(lambda: kit.Sum(made), policy, [Job(0, "g")])
    assert (episode.status, episode.attempt, stats.retried) == (Status.TERMINATED, 1, 1)
    assert len(made) == 1


def test_an_engine_that_keeps_failing_fails_the_episode(kit, made):
    policy = kit.Scripted("1", EngineError("out of memory"))
    (episode,), _ = run(lambda: kit.Sum(made), policy, [Job(0, "g")], replace(CONFIG, retries=2))
    assert (episode.status, episode.attempt, policy.starts) == (Status.FAILED, 2, 3)
    assert episode.error == "engine: turn 1: EngineError: out of memory"
    assert len(episode.turns) == 1


def test_a_raising_policy_fails_the_episode_and_leaves_the_environment_in_use(kit, made):
    policy = kit.Scripted(ZeroDivisionError("division by zero"))
    episodes, _ = run(lambda: kit.Sum(made), policy, group_jobs(range(3), 1), replace(CONFIG, concurrency=1, retries=0))
    assert [episode.error for episode in episodes] == ["policy: turn 0: ZeroDivisionError: division by zero"] * 3
    assert len(made) == 1


def test_a_policy_that_cannot_start_fails_the_episode(kit, made):
    class Unstartable(kit.Scripted):
        def start(self, *, seed, env=None):
            raise OSError("no model")

    (episode,), _ = run(lambda: kit.Sum(made), Unstartable(), [Job(0, "g")])
    assert episode.error == "policy: start: OSError: no model"


def test_something_cancelled_that_a_policy_waited_for_fails_the_episode(kit, made):
    (episode,), _ = run(lambda: kit.Sum(made), kit.Scripted(asyncio.CancelledError()), [Job(0, "g")])
    assert episode.error == "policy: turn 0: something that it waited for was cancelled"


def test_a_policy_that_returns_no_action_is_the_callers_mistake(kit, made):
    with pytest.raises(InvalidInput, match=r"ScriptedSession\.act must return an Action, not 7"):
        run(lambda: kit.Sum(made), kit.Scripted(7), [Job(0, "g")])
    assert [env.closed for env in made] == [1]


# The ends of a run.


def test_a_stall_is_ended_and_names_stages_and_episodes(kit, made):
    class Never(kit.Draws):
        def start(self, *, seed, env=None):
            session = super().start(seed=seed, env=env)

            async def never(observation, info):
                await asyncio.Event().wait()

            session.act = never
            return session

    config = RolloutConfig(reset_timeout=0.5, step_timeout=0.5, stall_timeout=0.8, close_timeout=1, concurrency=2)
    policy = Never()
    with pytest.raises(StalledError, match=r"rollout: no episode moved for 0.8 s: 2 in policy.act \(0#0, 0#1\)"):
        run(lambda: kit.Sum(made), policy, group_jobs([0, 1], repeats=2), config)
    assert policy.expected == 0
    assert [env.closed for env in made] == [1, 1]


class Endless:
    """Mixed into an environment whose episodes never end."""

    def step(self, action):
        time.sleep(0.01)
        return super().step("0")


def test_a_cancelled_run_closes_its_environments_and_expects_nothing_more(kit, made):
    env = type("EndlessSum", (Endless, kit.Sum), {})
    policy = kit.Draws()

    async def main():
        task = asyncio.create_task(Rollout(lambda: env(made), policy, CONFIG).run(group_jobs(range(8), repeats=1)))
        while len(policy.seeds) < 4:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert [env.closed for env in made] == [1] * 4
    assert policy.expected == 0


def test_control_c_closes_the_environments(kit, made):
    env = type("EndlessSum", (Endless, kit.Sum), {})
    rollout = Rollout(lambda: env(made), kit.Draws(), CONFIG)
    timer = threading.Timer(0.3, signal.raise_signal, [signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        rollout.run_sync(group_jobs(range(4), repeats=1))
    timer.join()
    assert [env.closed for env in made] == [1] * len(made)


def test_a_failure_is_logged_once_with_the_first_error(kit, caplog):
    def broken():
        raise ConnectionError("no server")

    with caplog.at_level(logging.WARNING, logger="turnwise.agents.rollout.rollout"):
        run(broken, kit.Draws(), group_jobs(range(3), repeats=1))
    assert caplog.messages == ["3 of 3 episodes failed; the first: environment.make raised ConnectionError: no server"]


@pytest.mark.parametrize(
    ("jobs", "message"),
    [
        ([Job(0, "g"), Job(1, "g", 1)], r"'g#0' and 'g#1' of one group differ"),
        ([Job(0, "g"), Job(0, "g", 1, options={"x": 1})], r"'g#0' and 'g#1' of one group differ"),
        ([Job(0, "g"), Job(0, "g")], "two jobs are called 'g#0'"),
        ([Job(0, "g", tags={"x": {1}})], r"tags of job 'g#0' are not JSON-able: \{'x': \{1\}\}"),
    ],
)
def test_jobs_that_contradict_each_other_are_refused(kit, jobs, message):
    with pytest.raises(InvalidInput, match=message):
        run(lambda: kit.Sum([]), kit.Draws(), jobs)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"concurrency": 0}, "concurrency=0 must be at least 1"),
        ({"max_turns": 0}, "max_turns=0 must be at least 1"),
        ({"retries": -1}, "retries=-1 must not be negative"),
        ({"step_timeout": 0}, "step_timeout=0 must be a positive number of seconds"),
        ({"step_timeout": float("nan")}, "step_timeout=nan must be a positive number of seconds"),
        ({"stall_timeout": 5.0}, "stall_timeout=5.0 must exceed the deadlines"),
    ],
)
def test_a_configuration_out_of_range_is_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        RolloutConfig(**changes)
