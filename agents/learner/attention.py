"""Attention inside the sequences of a packed row, registered with transformers as an attention implementation.

On CUDA in half precision it is one call of PyTorch's variable-length kernel (`torch.nn.attention.varlen`, where the
installed version has it). Everywhere else it is scaled-dot-product attention segment by segment, neighbours of equal
length as one batch. Neither ever builds a mask of row by row.

A call that carries no packing is ordinary SDPA with ordinary masks, so that a model keeps generating while it is set up
for training.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from turnwise.agents.errors import ConfigError

IMPLEMENTATION = "turnwise_packed"
"""The name under which transformers knows this implementation."""


class Packing:
    """Where the sequences of a row begin and end.

    Attributes:
        lengths: Tokens of each sequence.
        longest: The largest of them.
        boundaries: Start of each sequence, and the end of the last; int32 [sequences + 1], on the device.
        calls: How many attention layers have used it.
    """

    def __init__(self, lengths: tuple[int, ...], device: torch.device) -> None:
        self.lengths = lengths
        self.longest = max(lengths)
        ends = torch.tensor([0, *lengths]).cumsum(0)
        self.boundaries = ends.to(device=device, dtype=torch.int32)
        self.calls = 0

    def groups(self) -> Iterator[tuple[int, int, int]]:
        """Runs of adjacent sequences of equal length, as (start token, sequences, length)."""
        start = 0
        for length, run in itertools.groupby(self.lengths):
            count = len(list(run))
            yield start, count, length
            start += count * length


_packing: ContextVar[Packing | None] = ContextVar("turnwise_packing", default=None)
"""The packing of the forward pass in progress, for the mask function, which is told nothing else."""


@contextmanager
def packed_attention(model: Any) -> Iterator[None]:
    """Lets a model use packed attention inside the block, and its own implementation again after it.

    The block must include the backward pass where gradient checkpointing recomputes the forward pass.

    Args:
        model: A `transformers.PreTrainedModel`.

    Raises:
        ConfigError: The model's class does not use transformers' attention interface.
    """
    before = model.config._attn_implementation
    model.set_attn_implementation(IMPLEMENTATION)
    if model.config._attn_implementation != IMPLEMENTATION:
        raise ConfigError(
            f"{type(model).__name__} does not use transformers' attention interface, which packing needs; "
            "choose a model of the library, such as Qwen or Llama"
        )
    try:
        yield
    finally:
        model.set_attn_implementation(before)


@contextmanager
def packed_forward(packing: Packing) -> Iterator[dict[str, Packing]]:
    """Marks a forward pass as packed; what it yields are extra keyword arguments for the model's `forward`."""
    token = _packing.set(packing)
    try:
        yield {"turnwise_packing": packing}
    finally:
        _packing.reset(token)


def _mask(*args: Any, **kwargs: Any) -> Any:
    return None if _packing.get() is not None else sdpa_mask(*args, **kwargs)


def _attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    turnwise_packing: Packing | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Attention of transformers' interface: query [1, heads, tokens, channels] to [1, tokens, heads, channels]."""
    if turnwise_packing is None:
        if _packing.get() is not None:
            raise ConfigError(
                f"{type(module).__name__} was not told where the packed sequences begin: its model does not pass "
                "keyword arguments on to attention, so sequences would see each other"
            )
        out, _ = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **options
        )
        return out, None
    for name in ("softcap", "s_aux", "position_bias"):
        if options.get(name) is not None:
            raise ConfigError(f"{type(module).__name__} uses {name}, which packed attention does not support")
    if dropout:
        raise ConfigError(f"attention dropout is {dropout!r}; policy ratios need it to be 0")
    turnwise_packing.calls += 1
    query, key, value = _autocast(query, key, value)
    if use_varlen(query):
        return _kernel(query, key, value, scaling, sliding_window, turnwise_packing), None
    return _segments(query, key, value, scaling, sliding_window, turnwise_packing), None


def _autocast(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Casts as autocast would: it knows SDPA, and not the variable-length kernel."""
    kind = tensors[0].device.type
    if not torch.is_autocast_enabled(kind):
        return tensors
    return tuple(tensor.to(torch.get_autocast_dtype(kind)) for tensor in tensors)


@cache
def varlen_kernel() -> Callable[..., Any] | None:
    """PyTorch's variable-length attention with the options needed here, or None where this version lacks it."""
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return None
    kernel: Callable[..., Any] = varlen_attn
    needed = {"scale", "window_size", "enable_gqa"}
    return kernel if needed <= set(inspect.signature(kernel).parameters) else None


def use_varlen(query: Tensor) -> bool:
    """Whether the variable-length kernel takes these queries: flash attention's conditions."""
    return (
        query.is_cuda
        and query.dtype in (torch.float16, torch.bfloat16)
        and query.shape[-1] % 8 == 0
        and query.shape[-1] <= 256
        and torch.cuda.get_device_capability(query.device) >= (8, 0)
        and varlen_kernel() is not None
    )


def _kernel(
    query: Tensor, key: Tensor, value: Tensor, scaling: float | None, window: int | None, packing: Packing
) -> Tensor:
    kernel = varlen_kernel()
    assert kernel is not None
    out: Tensor = kernel(
        *(tensor[0].transpose(0, 1) for tensor in (query, key, value)),
        packing.boundaries,
        packing.boundaries,
        packing.longest,
        packing.longest,
        scale=scaling,
        # A window of w tokens includes the token itself, so w - 1 to its left.
        window_size=(-1 if window is None else window - 1, 0),
        enable_gqa=key.shape[1] != query.shape[1],
    )
    return out[None]


def _segments(
    query: Tensor, key: Tensor, value: Tensor, scaling: float | None, window: int | None, packing: Packing
) -> Tensor:
    grouped = key.shape[1] != query.shape[1]
    outs = []
    for start, count, length in packing.groups():
        span = slice(start, start + count * length)
        # [1, heads, count * length, channels] -> [count, heads, length, channels]
        q, k, v = (x[0, :, span].unflatten(1, (count, length)).transpose(0, 1) for x in (query, key, value))
        mask = _band(length, window, query.device) if window is not None and length > window else None
        out = scaled_dot_product_attention(
            q, k, v, attn_mask=mask, is_causal=mask is None, scale=scaling, enable_gqa=grouped
        )
        outs.append(out.transpose(1, 2).flatten(0, 1))
    return torch.cat(outs)[None]


def _band(length: int, window: int, device: torch.device) -> Tensor:
    """Causal sliding window within one sequence; bool [length, length]."""
    position = torch.arange(length, device=device)
    distance = position[:, None] - position[None, :]
    return (distance >= 0) & (distance < window)


AttentionInterface.register(IMPLEMENTATION, _attention)
AttentionMaskInterface.register(IMPLEMENTATION, _mask)
