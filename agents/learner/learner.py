"""The learner: optimizer steps on packed sequences."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import PreTrainedModel

from turnwise.agents.errors import ConfigError, InvalidInput
from turnwise.agents.learner.attention import packed_attention
from turnwise.agents.learner.batch import Column, TrainBatch
from turnwise.agents.learner.forward import (
    ForwardOptions,
    RowValues,
    check_model,
    output_head,
    recompute_activations,
    row_logprobs,
    sequence_logprobs,
    unpack,
)
from turnwise.agents.learner.optimizer import Optimizer, OptimizerConfig
from turnwise.agents.learner.packing import PackedRow, pack_sequences
from turnwise.agents.losses import ActionTokens, Objective, summarise
from turnwise.agents.types import TokenSequence

logger = logging.getLogger(__name__)

RowLoss = Callable[[PackedRow, Tensor, Tensor], Tensor]
"""From a row, its log-probabilities and its entropies to its part of the loss."""


@dataclass(frozen=True)
class LearnerConfig:
    """How the model is updated."""

    forward: ForwardOptions = field(default_factory=ForwardOptions)
    """How log-probabilities are computed."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    """How gradients become steps."""
    gradient_checkpointing: bool = False
    """Keep only the inputs of each layer and compute the rest again in the backward pass: less memory, more time."""


class Learner:
    """Trains a causal language model of transformers in place; an engine may share its parameters.

    The model's parameters are the master weights, in float32; with `precision` bfloat16, matrices are multiplied in
    bfloat16 under autocast. Dropout is switched off for good: ratios of a policy to itself must be 1. Between calls the
    model has the attention implementation and the mode (train or eval) that it came with.

    Args:
        model: The model, on its device.
        config: How to train it.

    Raises:
        ConfigError: The model cannot be trained correctly: unsupported features, half-precision or no trainable
            parameters.
    """

    def __init__(self, model: Any, config: LearnerConfig | None = None) -> None:
        if not isinstance(model, PreTrainedModel) or getattr(model, "_hf_peft_config_loaded", False):
            raise ConfigError(
                f"{type(model).__name__} is not a plain model of transformers; adapters are not supported: merge them "
                "into the weights (peft's merge_and_unload)"
            )
        self.model: Any = model
        self.config = config or LearnerConfig()
        for name, parameter in model.named_parameters():
            if parameter.requires_grad and parameter.dtype not in (torch.float32, torch.float64):
                raise ConfigError(
                    f"parameter {name!r} is {parameter.dtype}; small updates vanish in half precision: load the model "
                    "with dtype=torch.float32 (the learner computes in bfloat16 where it is told to)"
                )
        _switch_dropout_off(model)
        check_model(model)
        if self.config.gradient_checkpointing:
            recompute_activations(model)
        self.optimizer = Optimizer(model, self.config.optimizer)

    def logprobs(self, sequences: Sequence[TokenSequence]) -> list[NDArray[np.float32]]:
        """Log-probabilities under the current weights, without gradient; 0 where a token was not sampled.

        Returns:
            float32 [tokens] for each sequence.
        """
        return sequence_logprobs(self.model, sequences, self.config.forward)

    def step(self, batch: TrainBatch, objective: Objective) -> dict[str, float]:
        """One optimizer step on all sequences of a batch, in as many micro-batches as the token budget asks for.

        Args:
            batch: What to learn from. Without `old_logprobs` the policy is taken to be the one that acted.
            objective: What to minimise.

        Returns:
            The metrics of `summarise`, of `Optimizer.step`, and of the micro-batches.

        Raises:
            InvalidInput: No sequence has an action token, or the objective needs something that the batch lacks.
        """
        return self._step(batch, objective)[0]

    def update(
        self,
        batch: TrainBatch,
        objective: Objective,
        *,
        epochs: int = 1,
        minibatches: int = 1,
        rng: np.random.Generator | None = None,
    ) -> list[dict[str, float]]:
        """Several optimizer steps on one batch, all against the policy that it starts from.

        The old policy's log-probabilities are computed only where they are needed: never for one step, and otherwise
        not for the first minibatch, whose first pass yields them.

        Args:
            batch: What to learn from.
            objective: What to minimise.
            epochs: How often each sequence is used.
            minibatches: Optimizer steps per epoch; episodes are dealt anew in each.
            rng: Deals the episodes; needed with more than one minibatch.

        Returns:
            The metrics of each step.
        """
        if minibatches > 1 and rng is None:
            raise InvalidInput(f"minibatches is {minibatches!r}: give a random generator, which deals the episodes")
        everything = list(range(len(batch.sequences)))
        several = epochs * minibatches > 1
        history = []
        for _ in range(epochs):
            parts = [everything] if rng is None or minibatches == 1 else batch.minibatches(minibatches, rng)
            for part in parts:
                rest = sorted(set(everything) - set(part)) if several and batch.old_logprobs is None else []
                others = self.logprobs([batch.sequences[index] for index in rest])
                metrics, own = self._step(batch.select(part), objective)
                history.append(metrics)
                if several and batch.old_logprobs is None:
                    values = [batch.sequences[index] for index in part]
                    old = dict(zip(rest, others, strict=True))
                    old |= dict(zip(part, unpack(values, own), strict=True))
                    batch = batch.with_old_logprobs([old[index] for index in everything])
        return history

    def imitate(self, sequences: Sequence[TokenSequence]) -> dict[str, float]:
        """One optimizer step on the mean cross-entropy of all action tokens.

        Returns:
            loss: Mean cross-entropy before the step, in nats per token.
            entropy: Mean entropy of the predictions, in nats.
            And the metrics of `Optimizer.step` and of the micro-batches.

        Raises:
            InvalidInput: No sequence has an action token.
        """
        total = sum(int(sequence.mask.sum()) for sequence in sequences)
        entropies: list[Tensor] = []

        def loss(row: PackedRow, logprobs: Tensor, entropy: Tensor) -> Tensor:
            entropies.append(entropy.detach())
            return -logprobs.sum() / total

        metrics = self._minimise(sequences, loss)
        return metrics | {"entropy": float(torch.cat(entropies).double().mean())}

    def state_dict(self) -> dict[str, Any]:
        """The optimizer's state and the step counters; the model's weights are not in it."""
        return self.optimizer.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from a state."""
        self.optimizer.load_state_dict(state)

    def _step(self, batch: TrainBatch, objective: Objective) -> tuple[dict[str, float], list[RowValues]]:
        """One step, and the log-probabilities before it."""
        columns = _Columns(batch, objective, output_head(self.model).weight.device)
        parts: list[dict[str, Tensor]] = []
        before: list[RowValues] = []

        def loss(row: PackedRow, logprobs: Tensor, entropy: Tensor) -> Tensor:
            terms = objective(columns.tokens(row, logprobs, entropy))
            parts.append(terms.columns)
            before.append((row, logprobs.detach()))
            return terms.loss

        metrics = self._minimise(batch.sequences, loss)
        return metrics | summarise(parts), before

    def _minimise(self, sequences: Sequence[TokenSequence], row_loss: RowLoss) -> dict[str, float]:
        """One optimizer step on the sum of `row_loss` over all rows."""
        rows = pack_sequences(sequences, self.config.forward.max_tokens)
        if not rows:
            raise InvalidInput(
                f"none of {len(sequences)} sequences has an action token: there is nothing to learn from"
            )
        self.optimizer.zero_gradients()
        losses = []
        with packed_attention(self.model), self._mode():
            for row in rows:
                loss = row_loss(row, *row_logprobs(self.model, row, self.config.forward))
                loss.backward()
                losses.append(loss.detach())
        metrics = self.optimizer.step()
        if metrics["skipped"]:
            logger.warning(
                "step %d skipped: gradient norm %s, loss %s; %d of %d steps skipped so far",
                self.optimizer.steps - 1,
                metrics["gradient_norm"],
                float(torch.stack(losses).sum()),
                self.optimizer.skipped,
                self.optimizer.steps,
            )
        return metrics | {
            "loss": float(torch.stack(losses).double().sum()),
            "skipped_total": float(self.optimizer.skipped),
            "micro_batches": float(len(rows)),
            "tokens": float(sum(len(row.input_ids) for row in rows)),
            "action_tokens": float(sum(len(row.targets) for row in rows)),
        }

    @contextmanager
    def _mode(self) -> Iterator[None]:
        """Train mode where checkpointing needs it; without dropout the two modes compute the same."""
        training = self.model.training
        self.model.train(self.config.gradient_checkpointing)
        try:
            yield
        finally:
            self.model.train(training)


class _Columns:
    """A batch's columns over action tokens, with the weights of the whole step; rows take theirs to the device."""

    def __init__(self, batch: TrainBatch, objective: Objective, device: torch.device) -> None:
        self._device = device
        self._masks = [sequence.mask for sequence in batch.sequences]
        counts = np.array([int(mask.sum()) for mask in self._masks], dtype=np.int64)
        self._starts = [0, *np.cumsum(counts).tolist()]
        episodes = np.array([sequence.episode for sequence in batch.sequences], dtype=np.int64)
        self._weights = objective.policy.weights(
            torch.from_numpy(np.repeat(np.arange(len(counts)), counts)), torch.from_numpy(np.repeat(episodes, counts))
        )
        self._advantages = self._flat(batch.advantages)
        self._old = None if batch.old_logprobs is None else self._flat(batch.old_logprobs)
        self._reference = None if batch.reference_logprobs is None else self._flat(batch.reference_logprobs)
        engine = self._flat(tuple(sequence.logprobs for sequence in batch.sequences))
        # Engines without log-probabilities leave NaN; a column with holes would be measured in some rows only.
        self._engine = engine if bool(torch.isfinite(engine).all()) else None

    def tokens(self, row: PackedRow, logprobs: Tensor, entropy: Tensor) -> ActionTokens:
        """The action tokens of a row, in its order."""
        index = torch.cat([torch.arange(self._starts[i], self._starts[i + 1]) for i in row.sequences])

        def take(column: Tensor) -> Tensor:
            return column[index].to(device=self._device, dtype=logprobs.dtype)

        return ActionTokens(
            logprobs=logprobs,
            old_logprobs=logprobs.detach() if self._old is None else take(self._old),
            advantages=take(self._advantages),
            weights=take(self._weights),
            sequence=torch.repeat_interleave(torch.tensor(row.actions)).to(self._device),
            engine_logprobs=None if self._engine is None else take(self._engine),
            reference_logprobs=None if self._reference is None else take(self._reference),
            entropy=entropy,
        )

    def _flat(self, column: Column) -> Tensor:
        values = [array[mask] for array, mask in zip(column, self._masks, strict=True)]
        return torch.from_numpy(np.concatenate([np.zeros(0), *values]))


def _switch_dropout_off(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if isinstance(getattr(module, "attention_dropout", None), float):
            module.attention_dropout = 0.0  # type: ignore[assignment]  # a plain number of transformers' attention
