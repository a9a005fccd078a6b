"""From packed rows to log-probabilities: the model's body, then the chunked head on action tokens only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from turnwise.agents.errors import ConfigError, InvalidInput
from turnwise.agents.learner.attention import Packing, packed_attention, packed_forward
from turnwise.agents.learner.head import token_logprobs
from turnwise.agents.learner.packing import PackedRow, pack_sequences
from turnwise.agents.types import TokenSequence

Precision = Literal["auto", "float32", "bfloat16"]
"""What matrices are multiplied in; `auto` is bfloat16 on CUDA and float32 elsewhere."""

RowValues = tuple[PackedRow, Tensor]
"""A row, and one number for each of its action tokens."""

# What these configuration fields do to the logits after the head, `token_logprobs` does not do.
LOGIT_CHANGES = ("final_logit_softcapping", "logit_scale", "logits_scaling", "lm_head_multiplier")
# Rotary embeddings that depend on the longest sequence beside a token: packing would couple sequences through them.
COUPLED_ROTARIES = ("dynamic", "longrope")


@dataclass(frozen=True)
class ForwardOptions:
    """How log-probabilities are computed; the same for old, reference and trained policies."""

    max_tokens: int = 8192
    """The most tokens in a micro-batch; a longer sequence gets one of its own. Sets memory, not results."""
    temperature: float = 1.0
    """Divides the logits; what the engine sampled with, so that both speak of the same policy."""
    precision: Precision = "auto"
    """What matrices are multiplied in; auto is bfloat16 on CUDA and float32 elsewhere."""
    chunk_elements: int | None = None
    """The most logits (tokens times vocabulary) that the head holds at once, four bytes each; null: by device."""


@torch.no_grad()
def sequence_logprobs(
    model: Any, sequences: Sequence[TokenSequence], options: ForwardOptions
) -> list[NDArray[np.float32]]:
    """Log-probabilities of all action tokens, without gradient: the pass for old and reference policies.

    Args:
        model: A causal language model of transformers, in any precision.
        sequences: The sequences.
        options: How they are computed.

    Returns:
        One array for each sequence, like `TokenSequence.logprobs`: 0 where the token was not sampled; float32 [tokens].

    Raises:
        ConfigError: The model does not support packing.
        InvalidInput: A sequence cannot be used.
    """
    rows = pack_sequences(sequences, options.max_tokens)
    training = model.training
    model.eval()
    try:
        with packed_attention(model):
            return unpack(sequences, [(row, row_logprobs(model, row, options)[0]) for row in rows])
    finally:
        model.train(training)


def unpack(sequences: Sequence[TokenSequence], values: Iterable[RowValues]) -> list[NDArray[np.float32]]:
    """Puts values of action tokens back into the shape of the sequences that were packed; 0 elsewhere.

    Args:
        sequences: What was packed.
        values: Rows with one number per action token.

    Returns:
        float32 [tokens] for each sequence.
    """
    outs = [np.zeros(len(sequence.ids), np.float32) for sequence in sequences]
    for row, numbers in values:
        parts = np.split(numbers.float().cpu().numpy(), np.cumsum(row.actions)[:-1])
        for index, part in zip(row.sequences, parts, strict=True):
            outs[index][sequences[index].mask] = part
    return outs


def row_logprobs(model: Any, row: PackedRow, options: ForwardOptions) -> tuple[Tensor, Tensor]:
    """Log-probability and entropy of each action token of a row; inside `packed_attention`.

    Args:
        model: A causal language model of transformers.
        row: The micro-batch.
        options: How they are computed.

    Returns:
        Log-probabilities and entropies in nats; each [actions], in the order of the row.

    Raises:
        ConfigError: The model does not support packing.
        InvalidInput: A token is not in the model's vocabulary.
    """
    head = output_head(model)
    device = head.weight.device
    largest = max(int(row.input_ids.max()), int(row.targets.max()))
    if largest >= head.out_features:
        raise InvalidInput(
            f"token id {largest} is outside the model's vocabulary of {head.out_features}: the sequences were made "
            "with another tokenizer"
        )
    packing = Packing(row.lengths, device)
    with packed_forward(packing) as extra, _autocast(device, options.precision):
        out = model.base_model(
            input_ids=torch.from_numpy(row.input_ids)[None].to(device),
            position_ids=torch.from_numpy(row.positions)[None].to(device),
            use_cache=False,
            **extra,
        )
    if packing.calls != model.config.get_text_config().num_hidden_layers:
        raise ConfigError(
            f"{type(model).__name__} has layers without packed attention ({packing.calls} of "
            f"{model.config.get_text_config().num_hidden_layers} used it), in which sequences would see each other"
        )
    hidden = out.last_hidden_state[0, torch.from_numpy(row.predictors).to(device)]
    narrow = resolve_precision(options.precision, device) == "bfloat16"
    return token_logprobs(
        hidden,
        head.weight,
        torch.from_numpy(row.targets).to(device),
        bias=head.bias,
        temperature=options.temperature,
        chunk_elements=options.chunk_elements,
        compute_dtype=torch.bfloat16 if narrow else None,
    )


def output_head(model: Any) -> nn.Linear:
    """The language-model head.

    Raises:
        ConfigError: The model has none, or one that is not a plain linear layer.
    """
    head = model.get_output_embeddings()
    if not isinstance(head, nn.Linear):
        raise ConfigError(
            f"the head of {type(model).__name__} is {type(head).__name__}; only a linear one can be computed in chunks"
        )
    return head


def check_model(model: Any) -> None:
    """Refuses a model whose log-probabilities would come out wrong.

    Named features first; then two short sequences packed together are compared with the model's own forward pass.

    Raises:
        ConfigError: The model changes its logits after the head, couples packed sequences, or otherwise differs.
    """
    config = model.config.get_text_config()
    for name in LOGIT_CHANGES:
        if getattr(config, name, None) not in (None, 1, 1.0):
            raise ConfigError(
                f"{type(model).__name__} has {name}={getattr(config, name)!r}, which changes the logits after the "
                "head; the chunked head does not support it, choose a model without"
            )
    rotary = (getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}).get("rope_type")
    if rotary in COUPLED_ROTARIES:
        raise ConfigError(
            f"{type(model).__name__} has rotary embeddings of type {rotary!r}, which depend on the longest sequence "
            "in a row; choose a fixed type such as 'yarn'"
        )
    gap = _probe(model, min(5, config.vocab_size))
    if not gap < 1e-2:
        raise ConfigError(
            f"packed log-probabilities of {type(model).__name__} differ from its own forward pass by {gap:.3g}: "
            "it does something to its logits or its attention that the learner does not know"
        )


@torch.no_grad()
def _probe(model: Any, vocabulary: int) -> float:
    """Largest difference between packed log-probabilities and the model's own, on two short sequences."""
    sequences = []
    for length in (4, 7):
        ids = np.arange(length, dtype=np.int64)[::-1] % vocabulary
        turn = np.where(np.arange(length) > 0, 0, -1).astype(np.int32)
        sequences.append(TokenSequence(ids.copy(), turn, np.zeros(length, np.float32), 0))
    packed = sequence_logprobs(model, sequences, ForwardOptions(precision="float32"))
    gap = 0.0
    for sequence, ours in zip(sequences, packed, strict=True):
        tokens = torch.from_numpy(sequence.ids).to(output_head(model).weight.device)
        theirs = model(input_ids=tokens[None], use_cache=False).logits[0, :-1].float().log_softmax(-1)
        picked = theirs.gather(1, tokens[1:, None])[:, 0]
        gap = max(gap, float((picked.cpu() - torch.from_numpy(ours[1:])).abs().max()))
    return gap


def recompute_activations(model: Any) -> None:
    """Turns on gradient checkpointing, which acts in train mode; the method's name differs between versions."""
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    enable({"use_reentrant": False})


def resolve_precision(precision: Precision, device: torch.device) -> Literal["float32", "bfloat16"]:
    """Says what `auto` means on a device."""
    if precision == "auto":
        return "bfloat16" if device.type == "cuda" else "float32"
    return precision


def _autocast(device: torch.device, precision: Precision) -> AbstractContextManager[Any]:
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=resolve_precision(precision, device) == "bfloat16")
