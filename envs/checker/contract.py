"""Checks of the contract with Gymnasium and trainers: types, info, hostile actions, the turn limit, specs, close."""

from __future__ import annotations

import json
import time
import warnings
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env as gymnasium_check_env

from turnwise.envs.checker.report import Failed, Skipped
from turnwise.envs.checker.subject import MAX_STEPS, Subject, difference, is_finite_float, record, short
from turnwise.envs.core import TurnEnv
from turnwise.envs.vector import make_vec

REQUIRED_INFO = {"turn", "reward_parts", "success", "state_key", "feedback"}
REQUIRED_RESET_INFO = REQUIRED_INFO | {"tools", "instructions", "task"}

HOSTILE_SECONDS = 30.0
"""Longest time that all hostile actions together may take; a parser of quadratic cost needs many minutes."""

HOSTILE_ACTIONS = (
    "",
    " \n\t ",
    "\x00\x01\x1b[31m\x7f\xff",
    "\ud800 lone surrogate",
    "🙂 ﷽ \u202e right to left \u200b",
    "日本語のテキスト",
    "{" * 2000,
    "[" * 100_000,
    "<" * 100_000,
    "<answer>" * 20_000,
    "9" * 100_000,
    "1e999999999",
    '{"name": "x", "arguments": {"a": NaN}}',
    "%s %d {0} {x!r} $(id) `id` '; DROP TABLE x; --",
    "a" * 2**20,
    " " * 2**20,
    "(" * 2**19 + ")" * 2**19,
)


def check_gymnasium(subject: Subject) -> str:
    """Gymnasium's own checker passes, without a warning."""
    env = subject.make().unwrapped
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            gymnasium_check_env(env, skip_render_check=subject.spec is None)
        except Exception as error:
            raise Failed(f"gymnasium.utils.env_checker: {type(error).__name__}: {error}") from error
        finally:
            env.close()
    messages = [str(warning.message) for warning in caught]
    if messages:
        raise Failed(f"gymnasium.utils.env_checker warns: {messages[0]}")
    return "gymnasium.utils.env_checker finds nothing"


def check_types(subject: Subject) -> str:
    """Observations are texts of the space, rewards finite floats, terminated and truncated Python booleans."""
    env = subject.make()
    for seed in range(subject.episodes):
        episode = record(env, seed, mix=seed)
        for observation in episode.observations:
            if not isinstance(observation, str) or observation not in env.observation_space:
                raise Failed(f"seed {seed}: the observation {short(observation)} is no text of {env.observation_space}")
        for turn, (_, reward, terminated, truncated, _) in enumerate(episode.steps, start=1):
            where = f"seed {seed}, turn {turn}"
            if not is_finite_float(reward) or type(reward) is not float:
                raise Failed(f"{where}: the reward {reward!r} is {type(reward).__name__}, not a finite Python float")
            for name, value in (("terminated", terminated), ("truncated", truncated)):
                if type(value) is not bool:
                    raise Failed(f"{where}: {name} is {type(value).__name__}, not Python's bool")
    return "texts, finite floats and Python booleans"


def check_info(subject: Subject) -> str:
    """Info is safe for JSON (no NaN), has floats for numbers, and keeps its keys and types."""
    env = subject.make()
    kinds: dict[str, type] = {}
    for seed in range(subject.episodes):
        for moment, info in enumerate(record(env, seed, mix=seed).infos):
            where = f"seed {seed}, {'reset' if moment == 0 else f'turn {moment}'}"
            if isinstance(env.unwrapped, TurnEnv):
                missing = (REQUIRED_INFO if moment else REQUIRED_RESET_INFO) - info.keys()
                if missing:
                    raise Failed(f"{where}: info lacks {sorted(missing)}")
            try:
                json.dumps(info, allow_nan=False)
            except (TypeError, ValueError) as error:
                raise Failed(f"{where}: info is not safe for JSON: {error}") from error
            for path, value in batched_values(info, ""):
                known = kinds.setdefault(path, type(value))
                if type(value) is not known:
                    raise Failed(
                        f"{where}: info{path} was {known.__name__} and is {type(value).__name__}; vector environments "
                        f"take the type of the first one"
                    )
                if type(value) is int:
                    raise Failed(f"{where}: info{path} is the int {value}; emit floats, which no later float truncates")
    return "safe for JSON, floats for numbers, stable types"


def batched_values(info: dict[str, Any], path: str) -> list[tuple[str, Any]]:
    """Returns the values that a vector environment batches by key, with their paths: dictionaries are entered."""
    values = []
    for key, value in info.items():
        inside = f"{path}[{key!r}]"
        values += batched_values(value, inside) if isinstance(value, dict) else [(inside, value)]
    return values


def check_hostile(subject: Subject) -> str:
    """Empty, enormous, binary and malicious actions get a reply and raise nothing."""
    env = subject.make()
    allowed = [action for action in HOSTILE_ACTIONS if action in env.action_space]
    if not allowed:
        raise Skipped(f"none of the hostile actions belongs to the action space {env.action_space}")
    began = time.monotonic()
    env.reset(seed=0)
    for action in allowed:
        try:
            observation, _, terminated, truncated, _ = env.step(action)
        except Exception as error:
            raise Failed(f"the action {short(action)} raises {type(error).__name__}: {short(str(error))}") from error
        if not isinstance(observation, str) or not observation:
            raise Failed(f"the action {short(action)} gets {short(observation)}; explain to the agent what is wrong")
        if terminated or truncated:
            env.reset(seed=0)
        if time.monotonic() - began > HOSTILE_SECONDS:
            raise Failed(f"over {HOSTILE_SECONDS:.0f} s up to the action {short(action)}; read actions in linear time")
    return f"{len(allowed)} hostile actions are answered"


def check_limit(subject: Subject) -> str:
    """Nonsense never goes on for ever: the turn limit truncates (or ends a task of a single turn)."""
    env = subject.make()
    bare = env.unwrapped
    env.reset(seed=0)
    limit = bare.turn_limit if isinstance(bare, TurnEnv) else (env.spec.max_episode_steps if env.spec else None)
    if limit is None:
        raise Skipped("the environment states no turn limit")
    terminated = truncated = False
    turn = 0
    while not (terminated or truncated):
        if turn == limit:
            raise Failed(f"the episode goes on after its limit of {limit} turns")
        if turn == MAX_STEPS:
            raise Skipped(f"the turn limit {limit} is beyond {MAX_STEPS} steps")
        _, _, terminated, truncated, _ = env.step("?")
        turn += 1
    if turn == limit > 1 and not truncated:
        raise Failed(f"the limit of {limit} turns ends the episode as terminated; it has to truncate")
    if limit == 1 and truncated:
        raise Failed("a task of a single turn ends as truncated; it has to terminate")
    return f"an episode of nonsense ends at turn {turn} of {limit}"


def check_spec(subject: Subject) -> str:
    """The spec survives JSON and rebuilds the same environment."""
    if subject.spec is None:
        raise Skipped("the environment was not made from a registered spec")
    try:
        spec = EnvSpec.from_json(subject.spec.to_json())
    except (TypeError, ValueError) as error:
        raise Failed(f"the spec does not survive JSON: {error}") from error
    found = difference(record(subject.make(), 0).start, record(gym.make(spec), 0).start, "reset")
    if found is not None:
        raise Failed(f"an environment rebuilt from the spec's JSON differs at {found}")
    return "the spec survives JSON and rebuilds the environment"


def check_vector(subject: Subject) -> str:
    """Two of them run in a vector environment and give what single ones give."""
    if subject.spec is None:
        raise Skipped("the environment was not made from a registered spec")
    envs = make_vec(subject.spec, 2)
    try:
        singles = [record(subject.make(), seed, mix=seed) for seed in (3, 4)]
        observations, _ = envs.reset(seed=3)  # 3 and 4
        for turn in range(min(len(single.steps) for single in singles)):
            if list(observations) != [single.observations[turn] for single in singles]:
                raise Failed(f"turn {turn}: a vector environment gives {short(observations)}")
            observations, *_ = envs.step(tuple(single.actions[turn] for single in singles))
    finally:
        envs.close()
    return "a vector of two gives what single ones give"


def check_close(subject: Subject) -> str:
    """Closing twice, and before the first reset, is allowed."""
    for reset in (False, True):
        env = subject.make()
        if reset:
            env.reset(seed=0)
        try:
            env.close()
            env.close()
        except Exception as error:
            raise Failed(f"closing twice raises {type(error).__name__}: {error}") from error
    return "closing is idempotent"
