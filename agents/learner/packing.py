"""Sequences laid end to end in rows of at most a budget of tokens: no padding, every sequence whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from turnwise.agents.errors import InvalidInput
from turnwise.agents.types import TokenSequence


@dataclass(frozen=True, slots=True, eq=False)
class PackedRow:
    """One micro-batch.

    A token is predicted by the hidden state before it, so nothing from a sequence's last action token on is fed to the
    model: the lengths here are those of the inputs.

    Attributes:
        sequences: Index of each sequence in the list that was packed; equal lengths are adjacent.
        lengths: Input tokens of each.
        actions: Action tokens of each.
        input_ids: The inputs of all sequences, end to end; int64 [tokens].
        positions: Position within its sequence of each input; int64 [tokens].
        predictors: Where in the row each action token is predicted; int64 [actions], ascending.
        targets: The action tokens; int64 [actions].
    """

    sequences: tuple[int, ...]
    lengths: tuple[int, ...]
    actions: tuple[int, ...]
    input_ids: NDArray[np.int64]
    positions: NDArray[np.int64]
    predictors: NDArray[np.int64]
    targets: NDArray[np.int64]


def pack(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """First-fit decreasing: the longest first, each into the first row that has room.

    Deterministic. Uses at most 11/9 of the fewest possible rows, plus one. A length above the budget gets a row of its
    own.

    Args:
        lengths: Length of each item; positive.
        budget: The most that a row may hold.

    Returns:
        Rows of item indices, each by falling length.

    Raises:
        InvalidInput: `budget` is not positive.
    """
    if budget < 1:
        raise InvalidInput(f"the token budget is {budget!r}; it must be positive")
    rows: list[list[int]] = []
    room: list[int] = []
    for item in sorted(range(len(lengths)), key=lambda index: (-lengths[index], index)):
        fits = (row for row, free in enumerate(room) if free >= lengths[item])
        row = next(fits, len(rows))
        if row == len(rows):
            rows.append([])
            room.append(budget)
        rows[row].append(item)
        room[row] -= lengths[item]
    return rows


def pack_sequences(sequences: Sequence[TokenSequence], max_tokens: int) -> list[PackedRow]:
    """Packs sequences into rows. Sequences without action tokens have nothing to compute and are left out.

    Args:
        sequences: What to pack.
        max_tokens: The most input tokens that a row may hold; a longer sequence gets a row of its own.

    Raises:
        InvalidInput: A sequence's arrays differ in length, its first token is an action (nothing predicts it), or the
            budget is not positive.
    """
    lengths = [_input_length(index, sequence) for index, sequence in enumerate(sequences)]
    kept = [index for index, length in enumerate(lengths) if length]
    rows = pack([lengths[index] for index in kept], max_tokens)
    return [_row(sequences, [kept[item] for item in row], lengths) for row in rows]


def _input_length(index: int, sequence: TokenSequence) -> int:
    """Tokens to feed to the model: all before the last action token; 0 without action tokens."""
    if not len(sequence.ids) == len(sequence.turn) == len(sequence.logprobs):
        raise InvalidInput(
            f"sequence {index} has {len(sequence.ids)} ids, {len(sequence.turn)} turn indices and "
            f"{len(sequence.logprobs)} logprobs: each token needs all three"
        )
    actions = np.flatnonzero(sequence.mask)
    if len(actions) == 0:
        return 0
    if actions[0] == 0:
        raise InvalidInput(
            f"sequence {index} begins with an action token, which nothing predicts: put the prompt before it"
        )
    return int(actions[-1])


def _row(sequences: Sequence[TokenSequence], members: list[int], lengths: list[int]) -> PackedRow:
    starts = np.cumsum([0, *(lengths[index] for index in members)])
    actions = [np.flatnonzero(sequences[index].mask) for index in members]
    return PackedRow(
        sequences=tuple(members),
        lengths=tuple(lengths[index] for index in members),
        actions=tuple(len(positions) for positions in actions),
        input_ids=np.concatenate([sequences[index].ids[: lengths[index]] for index in members]),
        positions=np.concatenate([np.arange(lengths[index], dtype=np.int64) for index in members]),
        predictors=np.concatenate([start + at - 1 for start, at in zip(starts, actions, strict=False)]),
        targets=np.concatenate([sequences[index].ids[at] for index, at in zip(members, actions, strict=True)]),
    )
