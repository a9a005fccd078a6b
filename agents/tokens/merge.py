"""From the prompts and actions of an episode's turns to the fewest sequences that hold them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from turnwise.agents.errors import InvalidInput
from turnwise.agents.tokens.chat import REALIGN_TOKENS
from turnwise.agents.types import Episode, TokenSequence, Turn


@dataclass(eq=False)
class _Running:
    """A sequence that grows."""

    ids: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    turn: list[NDArray[np.int32]] = field(default_factory=list)
    logprobs: list[NDArray[np.float32]] = field(default_factory=list)

    def append(self, given: NDArray[np.int64], number: int, turn: Turn) -> None:
        """Appends tokens that were given to the model, and those that it sampled after them."""
        self.ids = np.concatenate((self.ids, given, turn.action_ids))
        self.turn.append(np.full(len(given), -1, np.int32))
        self.turn.append(np.full(len(turn.action_ids), number, np.int32))
        self.logprobs.append(np.zeros(len(given), np.float32))
        self.logprobs.append(turn.logprobs)


def merge(
    turns: Episode | Sequence[Turn], *, episode: int = 0, realign_tokens: int = REALIGN_TOKENS
) -> list[TokenSequence]:
    """Merges the turns of an episode into token sequences to train on.

    Each turn is decided on ids. CLEAN: its prompt begins with a sequence so far, which it extends. REALIGN: it does but
    for a few last tokens (the prompt was tokenised again, and blanks or the end of the turn came out differently): the
    sequence keeps the tokens that were sampled, and goes on where prompt and sequence meet again. FORK: neither; a new
    sequence begins with the whole prompt. Every sampled token stands in exactly one sequence, once.

    Args:
        turns: An episode, or its turns, oldest first. Turns without tokens (of a policy that has none) are left out.
        episode: What becomes `TokenSequence.episode`.
        realign_tokens: How many last tokens of a sequence may differ from a prompt that still extends it.

    Raises:
        InvalidInput: A turn has tokens without prompt, or log-probabilities that do not fit or are not numbers.
    """
    turns = turns.turns if isinstance(turns, Episode) else turns
    sequences: list[_Running] = []
    for number, turn in enumerate(turns):
        if not len(turn.action_ids):
            continue
        _check(number, turn)
        running, given = _place(sequences, turn.prompt_ids, realign_tokens)
        running.append(given, number, turn)
    return [
        TokenSequence(
            ids=sequence.ids,
            turn=np.concatenate(sequence.turn),
            logprobs=np.concatenate(sequence.logprobs),
            episode=episode,
        )
        for sequence in sequences
    ]


def _place(
    sequences: list[_Running], prompt: NDArray[np.int64], realign_tokens: int
) -> tuple[_Running, NDArray[np.int64]]:
    """Returns the sequence that a prompt extends, a new one if need be, and the prompt's part that is new to it."""
    clean = [sequence for sequence in sequences if _starts_with(prompt, sequence.ids)]
    if clean:
        longest = max(clean, key=lambda sequence: len(sequence.ids))
        return longest, prompt[len(longest.ids) :]
    for sequence in reversed(sequences):
        given = realigned(sequence.ids, prompt, realign_tokens)
        if given is not None:
            return sequence, given
    sequences.append(_Running())
    return sequences[-1], prompt


def realigned(sequence: NDArray[np.int64], prompt: NDArray[np.int64], realign_tokens: int) -> NDArray[np.int64] | None:
    """Returns the part of a prompt behind a sequence that it repeats but for a few last tokens, or None.

    They must agree again at the sequence's end: some of its last tokens (its end of turn, usually) stand in the prompt
    at most `realign_tokens` after the first difference. Without that nobody could tell, from ids, what of the prompt
    the sequence holds already.

    Args:
        sequence: Token ids so far; int64 [tokens].
        prompt: A prompt that does not begin with them; int64 [tokens].
        realign_tokens: How many last tokens of the sequence may differ.
    """
    shared = min(len(sequence), len(prompt))
    same = int(np.argmin(np.append(sequence[:shared] == prompt[:shared], False)))
    tail = sequence[same:]
    if not 0 < len(tail) <= realign_tokens:
        return None
    for length in range(len(tail), 0, -1):
        end = tail[-length:]
        for start in range(same, min(same + realign_tokens, len(prompt) - length) + 1):
            if np.array_equal(prompt[start : start + length], end):
                return prompt[start + length :]
    return None


def _starts_with(prompt: NDArray[np.int64], ids: NDArray[np.int64]) -> bool:
    return len(prompt) >= len(ids) and np.array_equal(prompt[: len(ids)], ids)


def _check(number: int, turn: Turn) -> None:
    if not len(turn.prompt_ids):
        raise InvalidInput(f"turn {number} sampled {len(turn.action_ids)} tokens from an empty prompt")
    if len(turn.logprobs) != len(turn.action_ids):
        raise InvalidInput(
            f"turn {number} has {len(turn.action_ids)} sampled tokens and {len(turn.logprobs)} log-probabilities"
        )
    if np.isnan(turn.logprobs).any():
        raise InvalidInput(
            f"turn {number} has log-probabilities that are not numbers: its engine does not know those of the "
            "distribution that it sampled from, so that its episodes cannot be trained on"
        )
