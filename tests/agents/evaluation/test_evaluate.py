"""Evaluations of policies whose success is known."""

from __future__ import annotations

import asyncio
import json
import logging
import math

import gymnasium as gym
import numpy as np
import pytest

from turnwise.agents.errors import InvalidInput
from turnwise.agents.evaluation import Evaluation, compare, evaluate, evaluation_jobs, evaluation_of, wilson
from turnwise.agents.evaluation.evaluate import aevaluate
from turnwise.agents.policies import Action, Policy, Session
from turnwise.agents.rollout import RolloutConfig, read_episodes, write_episodes
from turnwise.agents.types import Episode, Status, Turn


class Coin(gym.Env):
    """Pays the action, a number, at difficulty 1; half of it at 2; a coin of the seed at 3; fails at "broken"."""

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.level = (options or {}).get("difficulty", 1)
        self.face = int(self.np_random.integers(2))
        if self.level == "broken":
            raise OSError("no coin")
        return f"coin {seed}", {"task": {"seed": seed, "split": (options or {}).get("split")}}

    def step(self, action):
        number = float(action)
        success = {1: number, 2: number / 2, 3: float(number > self.face)}[self.level]
        return "bye", success, True, False, {"success": success}


class Says(Policy):
    """Says a number, or draws 0 or 1 with the given chance of 1."""

    def __init__(self, number="1", chance=None):
        self.number, self.chance = number, chance

    def start(self, *, seed, env=None):
        if self.chance is None:
            return SaysSession(self.number)
        return SaysSession(str(int(np.random.default_rng(seed).random() < self.chance)))


class SaysSession(Session):
    def __init__(self, number):
        self.number = number

    async def act(self, observation, info):
        return Action(self.number)


QUIET = RolloutConfig(concurrency=8, retries=0)


def episode(group, success, status=Status.TERMINATED, difficulty="", **fields):
    turns = (Turn("o", "a", success),) * 2
    tags = {"difficulty": difficulty} if difficulty else {}
    return Episode(group, "env", int(group), turns, status, success=success, tags=tags, **fields)


def test_one_attempt_at_binary_success_gets_wilsons_interval():
    result = evaluate(Coin, Says(chance=0.5), n=40, rollout=QUIET)
    solved = sum(task.solved for task in result.tasks)
    assert 5 < solved < 35
    assert result.success == wilson(solved, 40)
    assert (result.overall.tasks, result.overall.episodes, result.samples) == (40, 40, 1)
    assert result.overall.turns == 1.0
    assert [episode.task["split"] for episode in result.episodes] == ["test"] * 40


def test_several_attempts_get_a_clustered_interval_which_is_wider_than_that_of_independent_ones():
    def coin(seed):  # all four attempts at a task agree: 40 tasks say as much as 40 episodes, not as 160
        return [episode(str(seed), float(seed % 2)) for _ in range(4)]

    result = evaluation_of([each for seed in range(40) for each in coin(seed)], split="test")
    independent = wilson(80, 160)
    assert result.success.value == 0.5
    assert result.success.high - result.success.low > 1.7 * (independent.high - independent.low)
    one = wilson(20, 40)
    assert (result.success.low, result.success.high) == pytest.approx((one.low, one.high), abs=0.025)


def test_graded_success_gets_a_bootstrap_interval():
    values = np.linspace(0, 1, 50)
    result = evaluation_of([episode(str(i), float(value)) for i, value in enumerate(values)], split="test")
    assert result.success.value == pytest.approx(0.5)
    half = 1.96 * values.std() / math.sqrt(50)
    assert (result.success.low, result.success.high) == pytest.approx((0.5 - half, 0.5 + half), abs=0.015)


def test_pass_at_k_is_the_mean_over_tasks_and_counts_only_whole_successes():
    episodes = [episode("0", value) for value in (1.0, 0.0, 0.0, 0.0)]
    episodes += [episode("1", value) for value in (1.0, 1.0, 0.9, 0.0)]
    pass_at = evaluation_of(episodes, split="test", k=[1, 2, 4]).overall.pass_at
    assert [pass_at[k].value for k in (1, 2, 4)] == pytest.approx([(1 / 4 + 2 / 4) / 2, (1 / 2 + 5 / 6) / 2, 1.0])
    assert pass_at[4].low == pytest.approx(wilson(2, 2).low)


def test_failures_are_counted_apart_and_are_no_losses():
    failed = {"status": Status.FAILED, "error": "environment.step raised OSError: gone"}
    episodes = [episode("0", 1.0), episode("1", 1.0), episode("2", 0.0, **failed)]
    result = evaluation_of(episodes, split="test", k=[1])
    assert result.success == wilson(2, 2)
    assert (result.overall.tasks, result.overall.judged, result.overall.episodes, result.overall.failed) == (3, 2, 2, 1)
    assert result.overall.pass_at[1].value == 1.0
    assert result.errors == {"environment.step raised OSError: gone": 1}
    assert "1 failed attempt, neither solved nor lost:" in str(result)


def test_a_task_whose_attempts_partly_failed_counts_as_much_as_the_others():
    failed = {"status": Status.FAILED, "error": "x"}
    episodes = [episode("0", 0.0), episode("0", 0.0), episode("1", 1.0), episode("1", 0.0, **failed)]
    result = evaluation_of(episodes, split="test", k=[1, 2])
    assert result.success.value == 0.5
    assert result.overall.pass_at[1].value == 0.5
    assert result.overall.pass_at[2].value == 0.0  # only the first task has two attempts
    assert result.tasks[1].failed == 1


def test_an_environment_that_always_fails_has_no_success(caplog):
    caplog.set_level(logging.ERROR, logger="turnwise")
    result = evaluate(Coin, Says(), n=4, difficulties=["broken"], rollout=QUIET)
    assert math.isnan(result.success.value)
    assert result.errors == {"environment.reset raised OSError: no coin": 4}
    assert json.loads(json.dumps(result.to_json(), allow_nan=False))["overall"]["success"]["value"] is None
    assert "broken          4        -       -      -          0       4" in str(result)


def test_tasks_are_dealt_out_to_the_difficulties_and_each_has_its_row():
    result = evaluate(Coin, Says("1"), n=7, difficulties=[1, 2], rollout=QUIET)
    assert [(row.name, row.tasks, row.success.value) for row in result.by_difficulty] == [("1", 4, 1.0), ("2", 3, 0.5)]
    assert result.success.value == pytest.approx((4 + 1.5) / 7)
    assert result.metrics("eval/")["eval/success/2"] == 0.5
    assert result.metrics()["success_low"] == result.success.low


def test_the_table_shows_every_difficulty_and_all():
    result = evaluate(Coin, Says("1"), n=8, difficulties=[1, 2], k=[2], seed=3, rollout=QUIET)
    lines = str(result).splitlines()
    assert lines[0] == "Coin, split test, seed 3: 8 tasks, 2 attempts each"
    assert lines[2].split() == ["difficulty", "tasks", "success", "pass@2", "reward", "turns", "truncated", "failed"]
    assert lines[3].split()[:3] == ["1", "4", "1.000"]
    assert lines[4].split()[:3] == ["2", "4", "0.500"]
    assert lines[5].split()[:3] == ["all", "8", "0.750"]
    assert len({len(line) for line in lines[2:6]}) == 1
    assert len(lines) == 8


def test_the_table_of_one_nameless_difficulty_is_one_row_and_tells_of_repeated_instances():
    episodes = [episode(str(i), 1.0, task={"content": "abc"}) for i in range(3)]
    lines = str(evaluation_of(episodes, split="train")).splitlines()
    assert lines[3].split()[:2] == ["all", "3"]
    assert lines[-1] == "The 3 tasks are 1 different instance."


def test_an_evaluation_comes_back_from_json():
    result = evaluate(Coin, Says(chance=0.4), n=6, difficulties=[1, 3], k=[1, 3], samples=4, rollout=QUIET)
    back = Evaluation.from_json(json.loads(json.dumps(result.to_json(), allow_nan=False)))
    assert back == result
    assert str(back) == str(result)
    assert back.episodes == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [({"schema": 7}, "schema 7"), ({"tasks": None}, "not an evaluation"), ({"overall": {}}, "KeyError: 'name'")],
)
def test_json_of_another_kind_is_refused(change, message):
    value = evaluate(Coin, Says(), n=1, rollout=QUIET).to_json()
    with pytest.raises(InvalidInput, match=message):
        Evaluation.from_json({**value, **change})


def test_stored_episodes_evaluate_as_they_did(tmp_path):
    result = evaluate(Coin, Says(chance=0.4), n=6, difficulties=[1, 3], k=[2], seed=5, rollout=QUIET)
    write_episodes(tmp_path / "e.jsonl", result.episodes)
    again = evaluation_of(list(read_episodes(tmp_path / "e.jsonl")), split="test", k=[2], seed=5)
    assert again.tasks == result.tasks
    assert again.overall == result.overall


def test_the_same_seed_evaluates_the_same_tasks_whatever_the_policy_and_another_seed_others():
    seeds = [
        [task.seed for task in evaluate(Coin, policy, n=5, seed=seed, rollout=QUIET).tasks]
        for policy, seed in ((Says("0"), 1), (Says("1"), 1), (Says("1"), 2))
    ]
    assert seeds[0] == seeds[1]
    assert not set(seeds[0]) & set(seeds[2])


def test_an_evaluation_inside_an_event_loop_is_awaited():
    async def main():
        with pytest.raises(InvalidInput, match="await aevaluate"):
            evaluate(Coin, Says(), n=1)
        return await aevaluate(Coin, Says(), n=3, split=None, rollout=QUIET)

    result = asyncio.run(main())
    assert (result.success.value, result.split) == (1.0, "all")
    assert [episode.task["split"] for episode in result.episodes] == [None] * 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 0}, "n=0 tasks"),
        ({"n": 1, "difficulties": [1, 2]}, "n=1 tasks cannot be dealt out to 2 difficulties"),
        ({"difficulties": []}, "0 difficulties"),
        ({"difficulties": [1, 1]}, "name one level twice"),
        ({"samples": 0}, "samples=0"),
        ({"samples": 2, "k": [4]}, r"k=\[4\]: each must lie between 1 and samples=2"),
        ({"k": [0]}, "samples=0"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused(arguments, message):
    with pytest.raises(InvalidInput, match=message):
        evaluate(Coin, Says(), **arguments)


def test_episodes_of_several_environments_are_no_evaluation():
    other = Episode("1", "other", 1, (), Status.TERMINATED)
    with pytest.raises(InvalidInput, match=r"\['env', 'other'\]"):
        evaluation_of([episode("0", 1.0), other], split="test")
    with pytest.raises(InvalidInput, match="one environment"):
        evaluation_of([], split="test")


def test_jobs_name_task_difficulty_and_attempt():
    jobs = evaluation_jobs(3, "test", ["easy", "hard"], 2, seed=0)
    assert [job.name for job in jobs] == ["easy/0#0", "easy/0#1", "hard/0#0", "hard/0#1", "easy/1#0", "easy/1#1"]
    assert jobs[2].options == {"difficulty": "hard", "split": "test"}
    assert jobs[2].tags == {"difficulty": "hard"}
    assert jobs[0].seed == jobs[2].seed != jobs[4].seed


# Comparisons.


def test_a_comparison_in_pairs_finds_what_the_separate_intervals_hide():
    before = evaluation_of([episode(str(i), float(i >= 60)) for i in range(120)], split="test")
    after = evaluation_of([episode(str(i), float(i >= 50)) for i in range(120)], split="test")
    assert before.success.high > after.success.low
    comparison = compare(before, after)
    assert comparison.success.value == pytest.approx(10 / 120)
    assert (comparison.pairs, comparison.better, comparison.worse, comparison.unpaired) == (120, 10, 0, 0)
    # 120 draws of a binomial(120, 1/12): standard deviation 3.03, so about 10 +- 6 tasks.
    assert comparison.success.low == pytest.approx(4 / 120, abs=1.5 / 120)
    assert comparison.success.high == pytest.approx(16 / 120, abs=1.5 / 120)
    assert comparison.reward.value == pytest.approx(2 * 10 / 120)


def test_a_comparison_reads_in_words():
    before = evaluation_of([episode(str(i), 0.0) for i in range(4)], split="test")
    after = evaluation_of([episode(str(i), float(i > 0)) for i in range(5)], split="test")
    lines = str(compare(before, after)).splitlines()
    assert lines[0].startswith("success +0.750 [+0.250, +1.000] over 4 tasks: 3 better, 0 worse, 1 the same")
    assert lines[1].startswith("reward  +1.500 [")
    assert lines[2] == "1 task could not be paired"


def test_a_comparison_of_equal_results_does_not_claim_certainty():
    same = evaluation_of([episode(str(i), 1.0) for i in range(10)], split="test")
    comparison = compare(same, same)
    assert comparison.success.value == 0.0
    assert comparison.success.low == pytest.approx(-0.2775, abs=1e-4)
    assert comparison.success.high == pytest.approx(0.2775, abs=1e-4)


def test_tasks_that_failed_in_one_evaluation_are_left_out_of_the_comparison():
    before = evaluation_of([episode("0", 0.0), episode("1", 0.0, status=Status.FAILED, error="x")], split="test")
    after = evaluation_of([episode("0", 1.0), episode("1", 1.0)], split="test")
    comparison = compare(before, after)
    assert (comparison.pairs, comparison.unpaired, comparison.success.value) == (1, 1, 1.0)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (evaluation_of([episode("0", 1.0)], split="train"), "are not of the same tasks"),
        (evaluation_of([episode("7", 1.0)], split="test"), "share no task"),
        (
            evaluation_of([episode("0", 1.0, task={"content": "other"})], split="test"),
            "seed 0 is not the same instance",
        ),
    ],
)
def test_evaluations_of_other_tasks_are_not_compared(other, message):
    with pytest.raises(InvalidInput, match=message):
        compare(evaluation_of([episode("0", 1.0)], split="test"), other)
