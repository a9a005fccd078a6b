"""What the viewer's page is given: episodes as compact plain data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from turnwise.agents.errors import InvalidInput
from turnwise.agents.types import Episode, Turn


class Decoder(Protocol):
    """What turns token ids into text: any tokenizer of transformers."""

    def decode(self, ids: Sequence[int], /) -> str:
        """Returns the text of some tokens."""


def page_data(
    episodes: Sequence[Episode], advantages: Sequence[Sequence[float] | None], tokenizer: Decoder | None
) -> dict[str, Any]:
    """Returns everything that the page shows, as data that JSON can hold."""
    rows = [episode_data(episode, given) for episode, given in zip(episodes, advantages, strict=True)]
    return {"episodes": rows, "vocabulary": None if tokenizer is None else _vocabulary(episodes, tokenizer)}


def episode_data(episode: Episode, advantages: Sequence[float] | None) -> dict[str, Any]:
    """Returns one episode.

    Args:
        episode: The episode.
        advantages: One advantage per turn; by default those in the tag "advantages", if there are any.

    Raises:
        InvalidInput: There is not one advantage per turn.
    """
    tags = dict(episode.tags)
    tagged = tags.pop("advantages", None)
    credit = tagged if advantages is None else advantages
    if credit is not None and len(credit) != len(episode.turns):
        raise InvalidInput(
            f"episode {episode.group!r} has {len(episode.turns)} turns but {len(credit)} advantages: give one per turn"
        )
    turns = []
    context: NDArray[np.int64] = np.zeros(0, np.int64)
    for position, turn in enumerate(episode.turns):
        turns.append(_turn_data(turn, context) | {"advantage": None if credit is None else _number(credit[position])})
        if len(turn.action_ids):
            context = np.concatenate([turn.prompt_ids, turn.action_ids])
    return {
        "group": episode.group,
        "env": episode.env_id,
        "seed": str(episode.seed),  # may exceed what JavaScript's numbers hold exactly
        "status": episode.status.value,
        "success": _number(episode.success),
        "reward": _number(episode.reward),
        "tokens": episode.action_tokens,
        "error": episode.error,
        "note": episode.note,
        "attempt": episode.attempt,
        "tags": _plain(tags),
        "task": _plain(dict(episode.task)),
        "instructions": episode.instructions,
        "tools": _plain(episode.tools),
        "final": episode.final_observation,
        "turns": turns,
    }


def _turn_data(turn: Turn, context: NDArray[np.int64]) -> dict[str, Any]:
    return {
        "observation": turn.observation,
        "action": turn.action,
        "reward": _number(turn.reward),
        "parts": {name: _number(value) for name, value in turn.reward_parts.items()},
        "progress": _number(turn.progress),
        "success": _number(turn.success),
        "state": turn.state_key,
        "next": turn.next_state_key,
        "finish": turn.finish,
        "feedback": turn.feedback,
        "seconds": {name: _number(value) for name, value in turn.seconds.items()},
        "tokens": _token_data(turn, context),
    }


def _token_data(turn: Turn, context: NDArray[np.int64]) -> dict[str, Any] | None:
    """Returns a turn's tokens; of its prompt only those that the turns before have not shown.

    Args:
        turn: The turn.
        context: All tokens of the turn before it: its prompt and its action; int64 [tokens].
    """
    if not len(turn.action_ids):
        return None
    prompt = turn.prompt_ids
    shared = min(len(prompt), len(context))
    differing = np.flatnonzero(prompt[:shared] != context[:shared])
    kept = int(differing[0]) if len(differing) else shared
    return {
        "kept": kept,
        "dropped": len(context) - kept,
        "new": prompt[kept:].tolist(),
        "sampled": turn.action_ids.tolist(),
        "logprobs": [_number(round(float(value), 4)) for value in turn.logprobs],
    }


def _vocabulary(episodes: Sequence[Episode], tokenizer: Decoder) -> dict[str, str]:
    arrays = [ids for episode in episodes for turn in episode.turns for ids in (turn.prompt_ids, turn.action_ids)]
    used = np.unique(np.concatenate(arrays)) if arrays else np.zeros(0, np.int64)
    return {str(token): tokenizer.decode([int(token)]) for token in used}


def _number(value: float) -> float | str:
    """Returns a number, or the name of one that JSON does not have."""
    number = float(value)
    return number if math.isfinite(number) else str(number)


def _plain(value: Any) -> Any:
    """Returns a caller's data as what JSON can hold: what it cannot is shown as its `repr`."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float | np.floating):
        return _number(float(value))
    if value is None or isinstance(value, bool | int | str):
        return value
    return repr(value)
