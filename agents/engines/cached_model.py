"""A causal language model that is given tokens and keeps their keys and values."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator
from typing import Any

import torch

from turnwise.agents.engines import kv
from turnwise.agents.errors import InvalidInput


class CachedModel:
    """A causal language model of transformers, and where its keys and values go.

    Args:
        model: The model.
        autocast: Whether matrix products are computed in bfloat16, whatever the weights' precision.

    Attributes:
        vocabulary: How many tokens the model has.
        buffered: Whether the cache lives in buffers of ours; models with sliding windows or recurrent states use their
            own kind.
        pool: Memory for these buffers.

    Raises:
        InvalidInput: The model does not return keys and values.
    """

    def __init__(self, model: Any, *, autocast: bool = False) -> None:
        inner = model.get_base_model() if hasattr(model, "get_base_model") else model  # adapters hide the signature
        accepted = inspect.signature(inner.forward).parameters
        if "past_key_values" not in accepted:
            raise InvalidInput(
                f"{type(model).__name__} takes no past_key_values; the engine needs a cache to decode with"
            )
        self._model = model
        self._autocast = autocast
        self._takes_positions = "position_ids" in accepted
        self._takes_logits_to_keep = "logits_to_keep" in accepted
        self._shapes: dict[tuple[torch.dtype, torch.device], kv.Shapes] = {}
        head = model.get_output_embeddings()
        self.vocabulary = int(head.weight.shape[0] if head is not None else model.config.vocab_size)
        self.buffered = kv.only_full_attention(model.config)
        self.pool = kv.Pool()

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        device: torch.device = self._model.device
        return device

    @contextlib.contextmanager
    def computing(self) -> Iterator[None]:
        """Puts the model into eval mode, without gradients; afterwards each module is as it was.

        Some of the learner's modules may be frozen in eval mode on purpose, which `train()` would undo.
        """
        training = [module for module in self._model.modules() if module.training]
        self._model.eval()
        try:
            with torch.no_grad(), torch.autocast(self.device.type, torch.bfloat16, enabled=self._autocast):
                yield
        finally:
            for module in training:
                module.training = True

    def forward(
        self, ids: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor, cache: Any
    ) -> tuple[torch.Tensor, Any]:
        """Computes the next token's logits.

        Args:
            ids: New tokens; int64 [rows, tokens].
            mask: 1 where a column, the new ones included, holds a token; int64 [rows, columns].
            positions: Of the new tokens; int64 [rows, tokens].
            cache: Keys and values of the columns before; None for a fresh cache of the model's own kind.

        Returns:
            Logits, float [rows, vocabulary], and the cache with the new tokens.
        """
        options: dict[str, Any] = {"past_key_values": cache} if cache is not None else {}
        if self._takes_positions:
            options["position_ids"] = positions
        if self._takes_logits_to_keep:
            options["logits_to_keep"] = 1
        output = self._model(input_ids=ids, attention_mask=mask, use_cache=True, **options)
        return output.logits[:, -1], output.past_key_values

    def allocate(self, rows: int, columns: int) -> list[kv.Buffers]:
        """Returns buffers for keys and values, with whatever stood in the memory."""
        key = (self._model.dtype, self.device)
        if key not in self._shapes:
            one = torch.ones((1, 1), dtype=torch.int64, device=self.device)  # a single token tells the shapes
            self._shapes[key] = kv.Shapes.of(self.forward(one, one, one, None)[1])
        return self._shapes[key].allocate(rows, columns, self.pool)
