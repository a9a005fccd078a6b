"""Episodes survive the way to disk and back."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from turnwise.agents.errors import InvalidInput
from turnwise.agents.rollout import (
    append_episodes,
    episode_from_json,
    episode_to_json,
    read_episodes,
    write_episodes,
)
from turnwise.agents.types import Episode, Status, Turn

TURN = Turn(
    observation="größer \u2028 \ud800 \U0001f600",
    action="<think>\n</think> 7",
    reward=0.1,
    prompt_ids=np.array([1, 2, 2**40], np.int64),
    action_ids=np.array([7, 8], np.int64),
    logprobs=np.array([-0.1, math.nan], np.float32),
    finish="length",
    state_key="a1",
    next_state_key="b2",
    progress=math.nan,
    success=0.5,
    reward_parts={"format": 1.0, "answer": math.nan, "penalty": -math.inf},
    feedback="close",
    seconds={"generate": 0.25, "step": 1e-6},
)
EPISODE = Episode(
    group="3/0",
    env_id="turnwise/GuessNumber-v0",
    seed=2**62,
    turns=(TURN, Turn("o", "a", 1.0)),
    status=Status.TRUNCATED,
    success=0.5,
    final_observation="the end",
    task={"numbers": [1, 2.5, None], "deep": {"NaN": "NaN"}},
    attempt=1,
    tags={"step": 3},
    note="environment: its own limit",
    instructions="Guess.",
    tools=({"name": "add", "parameters": {"type": "object"}},),
)


def assert_equal(a: Episode, b: Episode) -> None:
    names = [name for name in Episode.__slots__ if name != "turns"]
    assert [getattr(a, name) for name in names] == [getattr(b, name) for name in names]
    assert type(a.status) is type(b.status)
    assert len(a.turns) == len(b.turns)
    for x, y in zip(a.turns, b.turns, strict=True):
        for name in Turn.__slots__:
            p, q = getattr(x, name), getattr(y, name)
            if isinstance(p, np.ndarray):
                assert p.dtype == q.dtype
                np.testing.assert_array_equal(p, q)
            else:
                assert repr(p) == repr(q)


def test_an_episode_comes_back_from_disk_as_it_was(tmp_path):
    path = tmp_path / "deep" / "episodes.jsonl"
    failed = Episode("g", "e", 0, (), Status.FAILED, error="environment.make raised OSError: no")
    assert append_episodes(path, [EPISODE, failed]) == 2
    first, second = read_episodes(path)
    assert_equal(first, EPISODE)
    assert_equal(second, failed)


def test_lines_are_strict_json_with_a_schema_version(tmp_path):
    path = tmp_path / "episodes.jsonl"
    write_episodes(path, [EPISODE])

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    (line,) = path.read_text("ascii").splitlines()
    value = json.loads(line, parse_constant=refuse)
    assert value["schema"] == 1
    assert value["turns"][0]["logprobs"] == [-0.1, "NaN"]
    assert value["turns"][0]["reward_parts"]["penalty"] == "-Infinity"


@settings(deadline=None)
@given(st.lists(st.floats(width=32), max_size=8), st.floats(allow_nan=False, allow_infinity=False))
def test_every_float32_and_every_reward_comes_back_exactly(logprobs, reward):
    turn = Turn("o", "a", reward, logprobs=np.array(logprobs, np.float32))
    text = json.dumps(episode_to_json(Episode("g", "e", 0, (turn,), Status.TERMINATED)), allow_nan=False)
    assert_equal(episode_from_json(json.loads(text)), Episode("g", "e", 0, (turn,), Status.TERMINATED))


def test_writing_replaces_and_appending_adds(tmp_path):
    path = tmp_path / "episodes.jsonl"
    write_episodes(path, [EPISODE] * 3)
    write_episodes(path, [EPISODE])
    append_episodes(path, iter([EPISODE, EPISODE]))
    assert len(list(read_episodes(path))) == 3


@pytest.mark.parametrize("cut", [1, 2, 1000, 300_000])
def test_a_line_that_a_killed_run_left_unfinished_is_skipped_and_then_removed(tmp_path, cut):
    path = tmp_path / "episodes.jsonl"
    long = Episode("g", "e", 0, (Turn("o" * 300_000, "a", 1.0),), Status.TERMINATED)
    write_episodes(path, [EPISODE])
    whole = path.stat().st_size
    append_episodes(path, [long])
    with open(path, "ab") as file:
        file.truncate(max(whole, path.stat().st_size - cut))
    assert len(list(read_episodes(path))) == 1
    append_episodes(path, [EPISODE])
    assert [episode.group for episode in read_episodes(path)] == ["3/0", "3/0"]


def test_a_file_with_nothing_but_an_unfinished_line_is_begun_anew(tmp_path):
    path = tmp_path / "episodes.jsonl"
    path.write_text('{"schema": 1')
    append_episodes(path, [EPISODE])
    assert len(list(read_episodes(path))) == 1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{broken", "line 2: Expecting property name"),
        ("[]", "line 2: "),
        ('{"schema": 99}', "line 2: an episode of schema 99 cannot be read; this version reads schema 1"),
        ('{"schema": 1}', "line 2: not an episode: KeyError: 'group'"),
    ],
)
def test_a_line_that_is_no_episode_is_named(tmp_path, line, message):
    path = tmp_path / "episodes.jsonl"
    write_episodes(path, [EPISODE])
    with open(path, "a") as file:
        file.write(line + "\n")
    with pytest.raises(InvalidInput, match=message):
        list(read_episodes(path))
