"""Supervised warm start: imitation of demonstrations with the learner's own packing and log-probabilities."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from turnwise.agents.errors import CheckpointError, ConfigError, InvalidInput
from turnwise.agents.learner.learner import Learner
from turnwise.agents.types import TokenSequence


@dataclass(frozen=True)
class SupervisedConfig:
    """How demonstrations are imitated."""

    epochs: int = 1
    """How often each demonstration is used."""
    batch_size: int = 32
    """Sequences per optimizer step; the last step of an epoch takes what is left."""
    seed: int = 0
    """Shuffles the demonstrations; each epoch has an order of its own."""

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1:
            raise ConfigError(f"epochs is {self.epochs!r} and batch_size {self.batch_size!r}; both must be at least 1")


class SupervisedTrainer:
    """Minimises the cross-entropy of the demonstrations' action tokens (`turn >= 0`).

    The order of an epoch depends on seed and epoch only, so that the number of steps done is all there is to resume.

    Args:
        learner: What to train.
        sequences: The demonstrations.
        config: How to imitate them.

    Raises:
        InvalidInput: There are no demonstrations, or one of them has no action token.
    """

    def __init__(
        self, learner: Learner, sequences: Sequence[TokenSequence], config: SupervisedConfig | None = None
    ) -> None:
        self.learner = learner
        self.config = config or SupervisedConfig()
        self.steps_done = 0
        self._sequences = tuple(sequences)
        empty = [index for index, sequence in enumerate(sequences) if not sequence.mask.any()]
        if not self._sequences or empty:
            raise InvalidInput(
                f"demonstrations without action tokens: {empty[:5]} of {len(self._sequences)}; leave them out"
                if self._sequences
                else "there are no demonstrations to imitate"
            )

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps in an epoch."""
        return -(-len(self._sequences) // self.config.batch_size)

    @property
    def total_steps(self) -> int:
        """Optimizer steps in all epochs."""
        return self.config.epochs * self.steps_per_epoch

    def run(self) -> Iterator[dict[str, float]]:
        """Does the remaining steps, yielding the metrics of each; stop iterating to pause.

        Yields:
            The metrics of `Learner.imitate`, and `epoch`: how much of the data has been used, in epochs.
        """
        while self.steps_done < self.total_steps:
            epoch, position = divmod(self.steps_done, self.steps_per_epoch)
            order = np.random.default_rng([self.config.seed, epoch]).permutation(len(self._sequences))
            part = order[position * self.config.batch_size :][: self.config.batch_size]
            metrics = self.learner.imitate([self._sequences[index] for index in part])
            self.steps_done += 1
            yield metrics | {"epoch": self.steps_done / self.steps_per_epoch}

    def state_dict(self) -> dict[str, Any]:
        """How far it got, and with which demonstrations; the learner's state is saved apart."""
        return {"steps_done": self.steps_done, "demonstrations": self._digest()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues where a state left off.

        Raises:
            CheckpointError: The state belongs to other demonstrations, batch size or seed.
        """
        if state["demonstrations"] != self._digest():
            raise CheckpointError(
                "the saved warm start used other demonstrations, another batch size or another seed: give it the same "
                "ones, or start it again"
            )
        self.steps_done = int(state["steps_done"])

    def _digest(self) -> str:
        digest = hashlib.sha256(f"{self.config.batch_size} {self.config.seed}".encode())
        for sequence in self._sequences:
            digest.update(sequence.ids.tobytes() + sequence.turn.tobytes())
        return digest.hexdigest()


def cross_entropy(learner: Learner, sequences: Sequence[TokenSequence]) -> float:
    """Mean cross-entropy of the action tokens under the current weights, without learning.

    Returns:
        Nats per action token.

    Raises:
        InvalidInput: No sequence has an action token.
    """
    total = sum(int(sequence.mask.sum()) for sequence in sequences)
    if total == 0:
        raise InvalidInput(f"none of {len(sequences)} sequences has an action token: there is nothing to measure")
    return -sum(float(values.sum(dtype=np.float64)) for values in learner.logprobs(sequences)) / total
