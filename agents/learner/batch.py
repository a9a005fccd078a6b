"""What an optimizer step learns from: sequences with an advantage on every action token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from turnwise.agents.errors import InvalidInput
from turnwise.agents.types import TokenSequence

Column = tuple[NDArray[np.floating[Any]], ...]
"""One array per sequence, each with one number per token."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainBatch:
    """Sequences and what is known about their tokens. Values on tokens that were not sampled are ignored.

    Attributes:
        sequences: What to learn from.
        advantages: The advantage of each token; [tokens] per sequence.
        old_logprobs: log pi_old, the policy that ratios are taken against, [tokens] per sequence; None where the
            policy has not changed since (its own log-probabilities are then used, without a second pass).
        reference_logprobs: Log-probabilities under the reference policy, [tokens] per sequence; None without one.
    """

    sequences: tuple[TokenSequence, ...]
    advantages: Column
    old_logprobs: Column | None = None
    reference_logprobs: Column | None = None

    def __post_init__(self) -> None:
        for name in ("advantages", "old_logprobs", "reference_logprobs"):
            column = getattr(self, name)
            if column is not None:
                _check(name, column, self.sequences)

    @classmethod
    def from_turns(
        cls,
        sequences: Sequence[TokenSequence],
        turn_advantages: Sequence[NDArray[np.floating[Any]]],
        **columns: Column | None,
    ) -> TrainBatch:
        """Gives every action token the advantage of its turn.

        Args:
            sequences: The sequences; each names its episode and the turn of each token.
            turn_advantages: The advantages of each episode's turns, by `TokenSequence.episode`; [turns] each.
            **columns: `old_logprobs`, `reference_logprobs`.

        Raises:
            InvalidInput: A sequence refers to an episode or a turn that has no advantage.
        """
        advantages = []
        for index, sequence in enumerate(sequences):
            turns = int(sequence.turn.max(initial=-1)) + 1
            if not 0 <= sequence.episode < len(turn_advantages):
                raise InvalidInput(
                    f"sequence {index} belongs to episode {sequence.episode}, but {len(turn_advantages)} episodes "
                    "have advantages"
                )
            known = np.asarray(turn_advantages[sequence.episode], dtype=np.float64)
            if known.ndim != 1 or len(known) < turns:
                raise InvalidInput(
                    f"sequence {index} has {turns} turns, but the advantages of its episode have shape {known.shape}"
                )
            advantages.append(np.where(sequence.mask, np.append(known, 0.0)[sequence.turn], 0.0))
        return cls(tuple(sequences), tuple(advantages), **columns)

    def select(self, indices: Sequence[int]) -> TrainBatch:
        """The batch of some sequences, in the order given."""

        def pick(column: Column | None) -> Column | None:
            return None if column is None else tuple(column[index] for index in indices)

        return TrainBatch(
            tuple(self.sequences[index] for index in indices),
            tuple(self.advantages[index] for index in indices),
            pick(self.old_logprobs),
            pick(self.reference_logprobs),
        )

    def with_old_logprobs(self, old_logprobs: Sequence[NDArray[np.floating[Any]]]) -> TrainBatch:
        """The same batch with log-probabilities of the policy that ratios are taken against."""
        return replace(self, old_logprobs=tuple(old_logprobs))

    def minibatches(self, count: int, rng: np.random.Generator) -> list[list[int]]:
        """Deals the episodes at random into `count` parts of nearly equal size; forks of an episode stay together.

        Args:
            count: How many parts; no more than there are episodes.
            rng: Decides the deal.

        Returns:
            Indices of the sequences of each part, ascending.

        Raises:
            InvalidInput: There are fewer episodes than parts.
        """
        episodes = sorted({sequence.episode for sequence in self.sequences})
        if not 1 <= count <= len(episodes):
            raise InvalidInput(f"{count!r} minibatches of {len(episodes)} episodes: each needs at least one episode")
        parts = np.array_split(rng.permutation(episodes), count)
        return [[index for index, sequence in enumerate(self.sequences) if sequence.episode in part] for part in parts]


def _check(name: str, column: Column, sequences: tuple[TokenSequence, ...]) -> None:
    if len(column) != len(sequences):
        raise InvalidInput(f"{name} has {len(column)} arrays for {len(sequences)} sequences: give one each")
    for index, (values, sequence) in enumerate(zip(column, sequences, strict=True)):
        if values.shape != sequence.ids.shape:
            raise InvalidInput(
                f"{name} of sequence {index} has shape {values.shape}, its tokens {sequence.ids.shape}: give one "
                "number per token"
            )
        if not np.isfinite(values[sequence.mask]).all():
            raise InvalidInput(
                f"{name} of sequence {index} is not finite on some action token; leave failed episodes out of a batch"
            )
