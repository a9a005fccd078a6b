from __future__ import annotations

import itertools
import json
import random
import time
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec

from turnwise.envs import (
    CheckFailed,
    InvalidInput,
    Reply,
    Task,
    TextSpace,
    check_env,
    list_envs,
)
from turnwise.envs.checker import CHECKS
from turnwise.envs.math.arithmetic import Arithmetic, read_answer
from turnwise.envs.text.guess_number import GuessNumber
from turnwise.verifiers import verifier

# One deliberately broken environment (or more) for each check. Each differs from a good one in one respect.


class SharedInfo(GuessNumber):
    """Returns one and the same dictionary from every call."""

    shared: ClassVar[dict[str, Any]] = {}

    def _info(self, *arguments: Any) -> dict[str, Any]:
        self.shared.update(super()._info(*arguments))
        return self.shared


class NumpyBool(GuessNumber):
    def step(self, action: str) -> Any:
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, reward, terminated, np.bool_(truncated), info


class NumpyReward(GuessNumber):
    def step(self, action: str) -> Any:
        observation, reward, *rest = super().step(action)
        return observation, np.float32(reward), *rest


class WithInfo(GuessNumber):
    def extra(self) -> Any:
        raise NotImplementedError

    def _info(self, *arguments: Any) -> dict[str, Any]:
        return super()._info(*arguments) | {"extra": self.extra()}


class NotANumberInInfo(WithInfo):
    def extra(self) -> float:
        return float("nan")


class IntegerInInfo(WithInfo):
    def extra(self) -> int:
        return self.turn


class ChangingTypeInInfo(WithInfo):
    def extra(self) -> Any:
        return None if self.turn == 0 else "late"


class ObjectInInfo(WithInfo):
    def extra(self) -> object:
        return {1, 2}


class LackingInfo(GuessNumber):
    def _info(self, *arguments: Any) -> dict[str, Any]:
        info = super()._info(*arguments)
        del info["state_key"]
        return info


class UnseededDraw(GuessNumber):
    def start(self, task: Task) -> str:
        return f"{super().start(task)} Lucky number: {random.random()}"


class WallClock(WithInfo):
    def extra(self) -> str:
        return str(time.perf_counter_ns())


class OneForAll(GuessNumber):
    def new_task(self, rng: np.random.Generator, difficulty: Any) -> Task:
        return Task("I think of a number.", 1, content="1 of 16", start=16)


class GloballySeeded(GuessNumber):
    """Repeats when alone, since it seeds the global generator; not beside others."""

    def start(self, task: Task) -> str:
        random.seed(self.np_random_seed)
        return super().start(task)

    def respond(self, action: str) -> Reply:
        reply = super().respond(action)
        return Reply(f"{reply.observation} {random.random()}", reply.done)


class KeepsHistory(GuessNumber):
    """Shows all that it ever heard, as a wrapper that is not reset would."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.heard = 0

    def respond(self, action: str) -> Reply:
        reply = super().respond(action)
        self.heard += 1
        return Reply(f"{reply.observation} I heard {self.heard} guesses.", reply.done)


class Holder:
    """State that copies share."""

    def __init__(self) -> None:
        self.count = 0

    def __deepcopy__(self, memo: Any) -> Holder:
        return self


class StateElsewhere(GuessNumber):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.holder = Holder()

    def start(self, task: Task) -> str:
        self.holder.count = 0
        return super().start(task)

    def respond(self, action: str) -> Reply:
        reply = super().respond(action)
        self.holder.count += 1
        return Reply(f"{reply.observation} {self.holder.count}", reply.done)


class ConstantState(GuessNumber):
    def state(self) -> str:
        return "always the same"


class TerminatesAtLimit(GuessNumber):
    def step(self, action: str) -> Any:
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, reward, terminated or truncated, False, info


class NoLimit(GuessNumber):
    def respond(self, action: str) -> Reply:
        self.turn_limit = 10**6
        return super().respond(action)


class Fragile(GuessNumber):
    def respond(self, action: str) -> Reply:
        action.encode("utf-8")  # raises for a lone surrogate
        return super().respond(action)


class Silent(GuessNumber):
    def respond(self, action: str) -> Reply:
        reply = super().respond(action)
        return Reply("", reply.done) if reply.feedback else reply


class WrongOracle(GuessNumber):
    def oracle(self) -> str:
        return "<guess>1</guess>"


class WrongMaximum(GuessNumber):
    def best_return(self) -> float:
        return 3.0


@verifier
def anything(response: str) -> bool:
    return True


@verifier
def nearly(response: str, reference: int) -> bool:
    answer = read_answer(response)
    return answer is not None and abs(answer - reference) <= 1


class AcceptsAnything(Arithmetic):
    verifier = anything


class AcceptsNearly(Arithmetic):
    verifier = nearly


class PaysTwice(GuessNumber):
    def respond(self, action: str) -> Reply:
        before = self.progress()
        reply = super().respond(action)
        return Reply(reply.observation, reply.done, {"progress": 2 * (self.progress() - before)})


class ProgressBeyondOne(GuessNumber):
    def progress(self) -> float:
        return 1.5 * super().progress()


class TellsTheAnswer(Arithmetic):
    def start(self, task: Task) -> str:
        return f"{super().start(task)} (solution: {task.reference})"


class IgnoresSplit(Arithmetic):
    levels: ClassVar[Any] = {"tiny": Arithmetic.levels["easy"]}

    def new_task(self, rng: np.random.Generator, difficulty: Any) -> Task:
        task = super().new_task(np.random.default_rng(int(rng.integers(30))), difficulty)
        return Task(task.prompt, task.reference, content=f"{rng.random()}", start=task.start)


class OverlappingSeeds(GuessNumber):
    def _begin_stream(self, difficulty: str, split: Any) -> str:
        identity = super()._begin_stream(difficulty, split)
        self._np_random = np.random.Generator(np.random.PCG64(self.np_random_seed + self._index))
        return identity


class DifferentSpaces(GuessNumber):
    counter = itertools.count(1000)

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.observation_space = TextSpace(max_length=next(self.counter))


class ClosesOnce(GuessNumber):
    closed = False

    def close(self) -> None:
        if self.closed:
            raise RuntimeError("already closed")
        self.closed = True


BROKEN = [
    ("gymnasium", SharedInfo, "share an object"),
    ("types", NumpyBool, "truncated is bool_?, not Python's bool|truncated is bool, not"),
    ("types", NumpyReward, "float32"),
    ("info", NotANumberInInfo, "not safe for JSON"),
    ("info", IntegerInInfo, r"info\['extra'\] is the int 0; emit floats"),
    ("info", ChangingTypeInInfo, "was NoneType and is str"),
    ("info", ObjectInInfo, "set is not JSON serializable"),
    ("info", LackingInfo, r"lacks \['state_key'\]"),
    ("seeds", UnseededDraw, r"draw only from self\.np_random"),
    ("seeds", WallClock, r"info|\['extra'\]"),
    ("seeds", OneForAll, "one and the same episode"),
    ("threads", GloballySeeded, "stepped in turns with others"),
    ("history", KeepsHistory, "after a finished episode"),
    ("snapshot", StateElsewhere, "differs after turn"),
    ("state_key", ConstantState, "the same all along"),
    ("limit", TerminatesAtLimit, "has to truncate"),
    ("limit", NoLimit, "goes on after its limit of 5"),
    ("hostile", Fragile, "UnicodeEncodeError"),
    ("hostile", Silent, "explain to the agent"),
    ("oracle", WrongOracle, r"ends with success 0\.0"),
    ("oracle", WrongMaximum, r"best_return\(\) states 3\.0"),
    ("random", AcceptsAnything, "empty actions succeed in 100%"),
    ("near_misses", AcceptsNearly, "as much as the right"),
    ("dense", PaysTwice, r"dense_total\(\) states"),
    ("dense", ProgressBeyondOne, r"progress is .* outside of \[0, 1\]"),
    ("leak", TellsTheAnswer, "100% of the first texts hold their own answer"),
    ("splits", IgnoresSplit, "in both splits"),
    ("splits", OneForAll, "no task of the (train|test) split: SplitExhausted"),
    ("streams", OverlappingSeeds, "the same, shifted by -1"),
    ("close", ClosesOnce, "closing twice raises RuntimeError"),
]


@pytest.mark.parametrize(("check", "broken", "message"), BROKEN)
def test_each_check_catches_an_environment_broken_in_its_respect(check: str, broken: Any, message: str) -> None:
    result = check_env(broken, skip=set(CHECKS) - {check})[check]
    assert result.status == "fail", result
    with pytest.raises(CheckFailed, match=message):
        check_env(broken, skip=set(CHECKS) - {check}).raise_for_failures()


def test_the_vector_check_catches_spaces_that_differ_between_instances() -> None:
    spec = EnvSpec("broken/Spaces-v0", entry_point=DifferentSpaces)
    result = check_env(spec, skip=set(CHECKS) - {"vector"})["vector"]
    assert result.status == "fail"
    assert "observation" in result.detail


def test_the_spec_check_catches_specs_that_json_cannot_hold() -> None:
    spec = EnvSpec("broken/Callable-v0", entry_point=GuessNumber)
    result = check_env(spec, skip=set(CHECKS) - {"spec"})["spec"]
    assert result.status == "fail"
    assert "does not survive JSON" in result.detail


def test_every_check_is_proven_by_a_broken_environment() -> None:
    assert {check for check, _, _ in BROKEN} | {"vector", "spec"} == set(CHECKS)


@pytest.mark.parametrize(("env_id", "level"), [(entry.id, level) for entry in list_envs() for level in entry.levels])
def test_every_environment_passes_at_every_level(env_id: str, level: str) -> None:
    report = check_env(env_id, difficulty=level, episodes=3).raise_for_failures()
    skipped = {result.name for result in report.results if result.status == "skip"}
    assert skipped <= ({"leak"} if "Sokoban" in env_id else set())


@pytest.mark.parametrize(
    ("env_id", "options"),
    [
        ("turnwise/GuessNumber-v0", {"show_range": False, "reward": "dense", "split": "test"}),
        ("turnwise/Arithmetic-v0", {"show_left": False, "operations": 6, "digits": 1}),
        ("turnwise/Sokoban-v0", {"moves_per_turn": 3, "reward": "dense"}),
        ("turnwise/Arithmetic-v0", {"max_turns": 40, "render_mode": "ansi"}),
    ],
)
def test_every_option_of_the_environments_passes(env_id: str, options: dict[str, Any]) -> None:
    check_env(env_id, episodes=4, **options).raise_for_failures()


class Echo(gym.Env[str, str]):
    """A plain Gymnasium environment of somebody else: no snapshots, no oracle, one turn."""

    metadata: ClassVar[dict[str, Any]] = {"render_modes": []}  # type: ignore[misc] # declared on instances by gymnasium
    action_space = TextSpace()
    observation_space = TextSpace()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        super().reset(seed=seed)
        self.word = "".join(self.np_random.choice(list("abcdef"), 5))
        return f"Say {self.word}.", {}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        return "Thanks.", float(action == self.word), True, False, {}


def test_plain_gymnasium_environments_are_checked_as_far_as_their_interface_goes() -> None:
    report = check_env(Echo).raise_for_failures()
    passed = {result.name for result in report.results if result.status == "pass"}
    assert passed == {"gymnasium", "types", "info", "seeds", "threads", "history", "hostile", "close"}
    assert "Echo is no TurnEnv" in report["snapshot"].detail
    assert "not made from a registered spec" in report["spec"].detail
    registered = check_env(EnvSpec("other/Echo-v0", entry_point=Echo, max_episode_steps=3))
    assert registered["limit"].status == "pass"
    assert registered["vector"].status == "pass"


def test_actions_outside_of_a_narrow_action_space_are_not_sent() -> None:
    class Narrow(Echo):
        action_space = gym.spaces.Text(5, charset="abc", min_length=5)

    report = check_env(Narrow)
    assert report["hostile"].status == "skip"
    assert report.ok, str(report)


def test_instances_and_specs_are_accepted_too() -> None:
    instance = gym.make("turnwise/GuessNumber-v0", difficulty="hard")
    only = set(CHECKS) - {"spec", "oracle"}
    assert [check_env(env, skip=only).ok for env in (instance, instance.spec, GuessNumber(difficulty=2))] == [True] * 3


def test_the_report_prints_a_line_a_check_and_goes_into_json() -> None:
    report = check_env("turnwise/GuessNumber-v0", episodes=2, skip=["threads"], difficulty=2)
    lines = str(report).splitlines()
    assert lines[0] == "turnwise/GuessNumber-v0(difficulty=2)"
    assert lines[-1] == f"{len(CHECKS) - 1} passed, 0 failed, 1 skipped"
    assert len(lines) == len(CHECKS) + 2
    assert "skip  threads      by the caller's wish" in lines
    data = json.loads(json.dumps(report.to_json()))
    assert data["ok"] is True
    assert [result["name"] for result in data["results"]] == list(CHECKS)
    with pytest.raises(KeyError):
        report["nothing"]


def test_mistakes_of_the_caller_are_named() -> None:
    with pytest.raises(InvalidInput, match=r"\['speed'\]"):
        check_env(GuessNumber, skip=["speed"])
    with pytest.raises(InvalidInput, match="not 0"):
        check_env(GuessNumber, episodes=0)
    with pytest.raises(InvalidInput, match=r"options \['difficulty'\] need an id"):
        check_env(GuessNumber, difficulty=1)
    with pytest.raises(InvalidInput, match="not 3"):
        check_env(3)  # type: ignore[arg-type] # the mistake under test


def test_an_environment_that_raises_fails_the_check_and_not_the_checker() -> None:
    class Raises(GuessNumber):
        def new_task(self, rng: np.random.Generator, difficulty: Any) -> Task:
            raise OSError("disk full")

    report = check_env(Raises)
    assert report["oracle"].detail == "raised OSError: disk full"
    assert report["close"].status == "fail"
