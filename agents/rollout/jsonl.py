"""Episodes on disk: one JSON object a line, nothing lost.

The lines are strict JSON. Numbers that JSON does not have are the strings "NaN", "Infinity" and "-Infinity".
Log-probabilities are written with the fewest digits that give back the same float32.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from turnwise.agents.errors import InvalidInput
from turnwise.agents.types import Episode, Status, Turn

SCHEMA = 1
"""Version of the lines' layout."""


def episode_to_json(episode: Episode) -> dict[str, Any]:
    """Returns an episode as an object that `json.dumps(..., allow_nan=False)` accepts."""
    return {
        "schema": SCHEMA,
        "group": episode.group,
        "env_id": episode.env_id,
        "seed": episode.seed,
        "status": episode.status.value,
        "success": _number(episode.success),
        "error": episode.error,
        "note": episode.note,
        "attempt": episode.attempt,
        "task": dict(episode.task),
        "tags": dict(episode.tags),
        "instructions": episode.instructions,
        "tools": list(episode.tools),
        "turns": [_turn_to_json(turn) for turn in episode.turns],
        "final_observation": episode.final_observation,
    }


def episode_from_json(value: Mapping[str, Any]) -> Episode:
    """Returns the episode that `episode_to_json` was given.

    Raises:
        InvalidInput: It is of another schema, or a field is missing or of a wrong type.
    """
    schema = value.get("schema")
    if schema != SCHEMA:
        raise InvalidInput(f"an episode of schema {schema!r} cannot be read; this version reads schema {SCHEMA}")
    try:
        return Episode(
            group=value["group"],
            env_id=value["env_id"],
            seed=value["seed"],
            turns=tuple(_turn_from_json(turn) for turn in value["turns"]),
            status=Status(value["status"]),
            success=float(value["success"]),
            error=value["error"],
            final_observation=value["final_observation"],
            task=value["task"],
            attempt=value["attempt"],
            tags=value["tags"],
            note=value["note"],
            instructions=value["instructions"],
            tools=tuple(value["tools"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInput(f"not an episode: {type(error).__name__}: {error}") from error


def write_episodes(path: str | os.PathLike[str], episodes: Iterable[Episode]) -> int:
    """Writes episodes to a file, in place of what it held.

    Returns:
        How many.
    """
    Path(path).write_bytes(b"")
    return append_episodes(path, episodes)


def append_episodes(path: str | os.PathLike[str], episodes: Iterable[Episode]) -> int:
    """Adds episodes to a file, which is made where there is none; an unfinished last line (a killed run's) is removed.

    Returns:
        How many.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with open(path, "ab+") as file:
        file.truncate(_end_of_last_line(file))
        for episode in episodes:
            line = json.dumps(episode_to_json(episode), allow_nan=False, separators=(",", ":"))
            file.write(line.encode("ascii") + b"\n")
            count += 1
    return count


def read_episodes(path: str | os.PathLike[str]) -> Iterator[Episode]:
    """Reads episodes one by one; an unfinished last line (a killed run's) is left out.

    Raises:
        InvalidInput: A line is not an episode; the message names the line.
    """
    with open(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                yield episode_from_json(json.loads(line))
            except (InvalidInput, ValueError, AttributeError) as error:
                raise InvalidInput(f"{os.fspath(path)}, line {number}: {error}") from error


def _turn_to_json(turn: Turn) -> dict[str, Any]:
    return {
        "observation": turn.observation,
        "action": turn.action,
        "reward": _number(turn.reward),
        "prompt_ids": turn.prompt_ids.tolist(),
        "action_ids": turn.action_ids.tolist(),
        "logprobs": [_number(float(str(value))) for value in turn.logprobs],
        "finish": turn.finish,
        "state_key": turn.state_key,
        "next_state_key": turn.next_state_key,
        "progress": _number(turn.progress),
        "success": _number(turn.success),
        "reward_parts": {name: _number(value) for name, value in turn.reward_parts.items()},
        "feedback": turn.feedback,
        "seconds": {name: _number(value) for name, value in turn.seconds.items()},
    }


def _turn_from_json(value: Mapping[str, Any]) -> Turn:
    return Turn(
        observation=value["observation"],
        action=value["action"],
        reward=float(value["reward"]),
        prompt_ids=np.asarray(value["prompt_ids"], np.int64),
        action_ids=np.asarray(value["action_ids"], np.int64),
        logprobs=_float32(value["logprobs"]),
        finish=value["finish"],
        state_key=value["state_key"],
        next_state_key=value["next_state_key"],
        progress=float(value["progress"]),
        success=float(value["success"]),
        reward_parts={name: float(part) for name, part in value["reward_parts"].items()},
        feedback=value["feedback"],
        seconds={name: float(part) for name, part in value["seconds"].items()},
    )


def _float32(values: list[float | str]) -> NDArray[np.float32]:
    return np.asarray([float(value) for value in values], np.float32)


def _number(value: float) -> float | str:
    if math.isfinite(value):
        return float(value)
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _end_of_last_line(file: Any) -> int:
    """Returns the size that the file has without an unfinished last line."""
    position: int = file.seek(0, os.SEEK_END)
    while position > 0:
        begin = max(0, position - 65536)
        file.seek(begin)
        newline = file.read(position - begin).rfind(b"\n")
        if newline >= 0:
            return int(begin + newline + 1)
        position = begin
    return 0
