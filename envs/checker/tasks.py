"""Checks of tasks and rewards: the oracle, random actions, near misses, dense rewards, leaks, splits, streams."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable

import numpy as np

from turnwise.envs.checker.report import Failed, Skipped
from turnwise.envs.checker.subject import MAX_STEPS, Subject, mixed_actions, play_oracle, short
from turnwise.envs.core import TurnEnv
from turnwise.envs.types import RewardMode, Split

_SEED = 11
_MODES: tuple[RewardMode, ...] = ("sparse", "dense")
_SPLITS: tuple[Split, ...] = ("train", "test")
_LEAK_SHARE = 0.3
"""How much more often an observation may hold its own answer than another task's."""


def with_oracle(subject: Subject) -> TurnEnv:
    """Returns a fresh instance that has an oracle.

    Raises:
        Skipped: It has none.
    """
    env = subject.turn_env("oracle()")
    env.reset(seed=0)
    try:
        env.oracle()
    except NotImplementedError:
        raise Skipped(f"{type(env).__name__} has no oracle; write one, to prove that its tasks can be solved") from None
    return env


def check_oracle(subject: Subject) -> str:
    """The oracle solves every task and earns the stated maximum, sparse and dense."""
    env = with_oracle(subject)
    turns = []
    for mode in _MODES:
        env.reward = mode
        for index in range(subject.episodes):
            episode = play_oracle(env, _SEED, index)
            where = f"index {index} of seed {_SEED}, {mode}"
            success = episode.infos[-1]["success"]
            if success != 1.0:
                raise Failed(f"{where}: the oracle ends with success {success} after {len(episode.steps)} turns")
            total = math.fsum(step[1] for step in episode.steps)
            if not math.isclose(total, env.best_return(), abs_tol=1e-9):
                raise Failed(f"{where}: the oracle earns {total}, and best_return() states {env.best_return()}")
            turns.append(len(episode.steps))
    return f"solves {subject.episodes} of {subject.episodes} tasks in {np.mean(turns):.1f} turns on average"


def check_random(subject: Subject) -> str:
    """Random actions mostly fail, and empty ones always."""
    env = subject.turn_env("random_action()")
    rng = np.random.default_rng(0)
    policies: list[tuple[str, Callable[[], str], float]] = [
        ("empty", lambda: "", 0.0),
        ("blank", lambda: " \n", 0.0),
        ("random", lambda: env.random_action(rng), subject.random_success),
    ]
    rates = {}
    for name, policy, allowed in policies:
        rates[name] = np.mean([final_success(env, index, policy) for index in range(subject.episodes)])
        if rates[name] > allowed:
            raise Failed(f"{name} actions succeed in {rates[name]:.0%} of {subject.episodes} tasks, over {allowed:.0%}")
    return f"random actions succeed in {rates['random']:.0%} of {subject.episodes} tasks, empty ones never"


def final_success(env: TurnEnv, index: int, policy: Callable[[], str]) -> float:
    """Plays a policy on one task and returns the success at its end."""
    env.reset(seed=_SEED, options={"index": index})
    for _ in range(MAX_STEPS):
        _, _, terminated, truncated, info = env.step(policy())
        if terminated or truncated:
            return float(info["success"])
    raise Failed(f"index {index} of seed {_SEED}: the episode did not end in {MAX_STEPS} turns")


def check_near_misses(subject: Subject) -> str:
    """Actions that are nearly the oracle's last one score less than it."""
    env = with_oracle(subject)
    tried = 0
    for index in range(subject.episodes):
        episode = play_oracle(env, _SEED, index)
        env.reset(seed=_SEED, options={"index": index})
        for action in episode.actions[:-1]:
            env.step(action)
        before = env.snapshot()
        for action in env.near_misses():
            env.restore(before)
            _, _, _, _, info = env.step(action)
            tried += 1
            if info["success"] >= episode.infos[-1]["success"]:
                raise Failed(
                    f"index {index} of seed {_SEED}: {short(action)} scores {info['success']}, as much as the right "
                    f"{short(episode.actions[-1])}"
                )
    if not tried:
        raise Skipped("the oracle's last actions hold no number to change, and near_misses() names no others")
    return f"{tried} near misses score less"


def check_dense(subject: Subject) -> str:
    """Sparse rewards are the outcome, dense ones the sum of the parts, and the parts sum to what is documented."""
    env = subject.turn_env("reward_parts")
    for index in range(subject.episodes):
        for mode in _MODES:
            env.reward = mode
            env.reset(seed=_SEED, options={"index": index})
            where = f"index {index} of seed {_SEED}, {mode}"
            dense, stated = sum_of_dense_parts(env, mode, where), env.dense_total()
            if stated is not None and not math.isclose(dense, stated, abs_tol=1e-9):
                raise Failed(f"{where}: the dense parts sum to {dense}, and dense_total() states {stated}")
    return "sparse is the outcome, dense the sum of the parts, and these sum to what is stated"


def sum_of_dense_parts(env: TurnEnv, mode: RewardMode, where: str) -> float:
    """Plays the current episode to its end, checks every turn, and returns what its parts but the outcome sum to."""
    total = 0.0
    for turn, action in enumerate(mixed_actions(env, 0), start=1):
        _, reward, terminated, truncated, info = env.step(action)
        over = terminated or truncated
        check_turn(f"{where}, turn {turn}", mode, reward, info, over)
        total += math.fsum(value for name, value in info["reward_parts"].items() if name != "outcome")
        if over or turn == MAX_STEPS:
            break
    return total


def check_turn(where: str, mode: RewardMode, reward: float, info: dict[str, object], over: bool) -> None:
    """Raises `Failed` unless the reward of a turn follows from its parts, and success and progress are in bounds."""
    parts = info["reward_parts"]
    assert isinstance(parts, dict)
    expected = math.fsum(parts.values()) if mode == "dense" else parts["outcome"]
    if not math.isclose(reward, expected, abs_tol=1e-9):
        raise Failed(f"{where}: the reward {reward} is not what its parts {parts} make")
    if parts["outcome"] != (info["success"] if over else 0.0):
        raise Failed(f"{where}: the outcome is {parts['outcome']} and the success {info['success']}")
    for name in ("success", "progress"):
        value = info.get(name, 0.0)
        if not isinstance(value, float) or not -1e-9 <= value <= 1.0 + 1e-9:
            raise Failed(f"{where}: {name} is {value!r}, outside of [0, 1]")


def check_leak(subject: Subject) -> str:
    """The first observation, the instructions and the tools do not give the answer away.

    By chance a text may hold its answer (a short number, say). So the share of tasks whose text holds its own answer is
    compared with the share that holds another task's.
    """
    env = subject.turn_env("info['task']")
    texts, answers = [], []
    for index in range(max(24, subject.episodes)):
        observation, info = env.reset(seed=_SEED, options={"index": index})
        texts.append("\n".join([observation, info["instructions"], json.dumps(info["tools"])]))
        answers.append(env.task.reference_text)
    if not any(answers):
        raise Skipped("the tasks have no reference: their state decides")
    patterns = [re.compile(rf"(?<!\w){re.escape(answer)}(?!\w)") if answer else None for answer in answers]
    own = np.mean([bool(p and p.search(text)) for p, text in zip(patterns, texts, strict=True)])
    others = np.mean(
        [bool(p and p.search(text)) for i, p in enumerate(patterns) for j, text in enumerate(texts) if i != j]
    )
    if own - others > _LEAK_SHARE:
        raise Failed(f"{own:.0%} of the first texts hold their own answer, but only {others:.0%} another task's")
    return f"{own:.0%} of the first texts hold their own answer by chance, {others:.0%} another task's"


def check_state_key(subject: Subject) -> str:
    """The state's key is a text, changes along a solution, and is the same on the same way."""
    env = with_oracle(subject)
    keys = [info["state_key"] for info in play_oracle(env, _SEED, 0).infos]
    if not all(isinstance(key, str) and key for key in keys):
        raise Failed(f"a state key has to be a text that is not empty: {short(keys)}")
    if len(set(keys)) == 1:
        raise Failed("the state key is the same all along the oracle's solution; put what changes into state()")
    again = [info["state_key"] for info in play_oracle(env, _SEED, 0).infos]
    if keys != again:
        raise Failed("the same way through the same task gives different state keys; make state() canonical")
    return f"{len(set(keys))} states along a solution of {len(keys) - 1} turns"


def check_splits(subject: Subject) -> str:
    """Both splits hold tasks, and no instance is in both, whatever the seeds."""
    env = subject.turn_env("splits")
    contents: dict[str, set[str]] = {split: set() for split in _SPLITS}
    visible: dict[str, set[str]] = {split: set() for split in _SPLITS}
    for split in _SPLITS:
        for index in range(4 * subject.episodes):
            try:
                observation, info = env.reset(seed=index % 4, options={"split": split, "index": index})
            except Exception as error:
                raise Failed(f"no task of the {split} split: {type(error).__name__}: {error}") from error
            contents[split].add(info["task"]["content"])
            if env.task.reference_text:  # then question and answer show the instance, whatever Task.content says
                visible[split].add(f"{observation}\n{env.task.reference_text}")
    shared = contents["train"] & contents["test"] or visible["train"] & visible["test"]
    if shared:
        raise Failed(
            f"{len(shared)} instances are in both splits; the split follows from Task.content, make it canonical"
        )
    return f"{len(contents['train'])} train and {len(contents['test'])} test instances seen, none in both"


def check_streams(subject: Subject) -> str:
    """Neighbouring seeds do not give the same tasks, in the same places or shifted by one."""
    env = subject.turn_env("the stream of tasks")
    length = max(12, subject.episodes)
    streams = [stream(env, seed, length) for seed in (20, 21)]
    if len(set(streams[0])) < 4:
        raise Skipped(f"the level has hardly more than {len(set(streams[0]))} tasks")
    for shift in (-1, 0, 1):
        pairs = [
            (streams[0][index], streams[1][index + shift]) for index in range(length) if 0 <= index + shift < length
        ]
        share = np.mean([one == other for one, other in pairs])
        if share > 0.5:
            raise Failed(f"{share:.0%} of the tasks of seeds 20 and 21 are the same, shifted by {shift}")
    return "neighbouring seeds give different streams"


def stream(env: TurnEnv, seed: int, length: int) -> list[str]:
    """Returns the contents of the first tasks of a seed."""
    first = env.reset(seed=seed)[1]["task"]["content"]
    return [first, *(env.reset()[1]["task"]["content"] for _ in range(length - 1))]
