"""Keys and values of attention while a batch is decoded: buffers that grow, and the memory that they live in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer

LEAST_ROOM = 32
"""Columns that a full buffer grows by at least."""
WASTE = 4
"""How many times larger than needed a piece of memory may be."""

Buffers: TypeAlias = list[torch.Tensor]
"""Keys and values of one layer: two tensors, float [rows, columns, heads, head size]. With a token's numbers side by
side, tokens can be copied about in one piece."""


class BufferedLayer(DynamicLayer):
    """One layer's keys and values in buffers with room to grow.

    The layer of transformers allocates and copies everything at each token, which on a CPU takes several times as long
    as the model itself; here that happens once in a while. `keys` and `values` are views of what is filled,
    float [rows, heads, columns, head size].

    Args:
        buffers: Where keys and values are written.
        columns: How many columns are filled already.

    Attributes:
        buffers: Keys and values, the room behind them included.
    """

    buffers: Buffers

    def __init__(self, buffers: Buffers, columns: int = 0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # transformers leaves it without annotations
        self.dtype, self.device = buffers[0].dtype, buffers[0].device
        self.is_initialized = True
        self._take(buffers, columns)

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_args: Any, **_kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Appends columns and returns all of them."""
        filled = self._columns
        columns = filled + key_states.shape[2]
        if columns > self.buffers[0].shape[1]:
            self.buffers = [_grown(buffer, filled, columns) for buffer in self.buffers]
        for buffer, states in zip(self.buffers, (key_states, value_states), strict=True):
            buffer[:, filled:columns] = states.transpose(1, 2)
        return self._take(self.buffers, columns)

    def reorder_cache(self, beam_idx: torch.Tensor) -> None:
        """Keeps some rows, in a given order; int64 [rows]."""
        self._take([buffer.index_select(0, beam_idx) for buffer in self.buffers], self._columns)

    def _take(self, buffers: Buffers, columns: int) -> tuple[torch.Tensor, torch.Tensor]:
        self.buffers, self._columns = buffers, columns
        keys, values = (buffer[:, :columns].transpose(1, 2) for buffer in buffers)
        self.keys, self.values = keys, values
        return keys, values


def _grown(buffer: torch.Tensor, filled: int, columns: int) -> torch.Tensor:
    room = max(LEAST_ROOM, columns // 4)
    larger = buffer.new_empty((buffer.shape[0], columns + room, *buffer.shape[2:]))
    larger[:, :filled] = buffer[:, :filled]
    return larger


def only_full_attention(config: Any) -> bool:
    """Whether every layer of a model attends to everything before it, so that `BufferedLayer` fits all of them."""
    try:
        layers = DynamicCache(config=config).layers
    except (AttributeError, KeyError):  # a model that brings its own code, and says less of itself
        return False
    return all(type(layer) is DynamicLayer for layer in layers)


class Pool:
    """Memory of buffers that are out of use, for the next ones.

    On a CPU the first touch of fresh memory costs several times as much as what is written into it. CUDA's allocator
    keeps a pool of its own, so that nothing is kept here. At most twice the memory of the largest batch is kept.
    """

    def __init__(self) -> None:
        self._free: list[torch.Tensor] = []  # oldest first
        self._most = 0

    def take(self, like: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
        """Returns a tensor of a shape, with whatever stood in the memory."""
        size = math.prod(shape)
        fitting = [
            (flat.numel(), place)
            for place, flat in enumerate(self._free)
            if flat.dtype == like.dtype and size <= flat.numel() <= WASTE * size
        ]
        if not fitting:
            return like.new_empty(shape)
        return self._free.pop(min(fitting)[1])[:size].view(shape)

    def give(self, layers: Sequence[Buffers]) -> None:
        """Takes back the memory of buffers that nobody reads any more."""
        given = [buffer for pair in layers for buffer in pair if buffer.device.type == "cpu"]
        self._free += [buffer.new_empty(0).set_(buffer.untyped_storage()) for buffer in given]
        self._most = max(self._most, sum(buffer.untyped_storage().nbytes() for buffer in given))
        while sum(flat.nbytes for flat in self._free) > 2 * self._most:
            self._free.pop(0)

    def clear(self) -> None:
        """Frees the memory."""
        self._free.clear()


@dataclass(frozen=True)
class Shapes:
    """What a model's keys and values look like.

    Attributes:
        layers: Of each layer, an empty tensor like its keys and one like its values.
    """

    layers: list[Buffers]

    @classmethod
    def of(cls, cache: Any) -> Shapes:
        """Returns the shapes of a cache that has been used."""
        pairs = [(layer.keys, layer.values) for layer in cache.layers]
        return cls([[states.transpose(1, 2)[:0, :0] for states in pair] for pair in pairs])

    def allocate(self, rows: int, columns: int, pool: Pool) -> list[Buffers]:
        """Returns buffers for all layers, with whatever stood in the memory."""
        return [[pool.take(like, (rows, columns, *like.shape[2:])) for like in pair] for pair in self.layers]


def cache_of(layers: Sequence[Buffers], columns: int) -> Cache:
    """Returns a cache that lives in buffers, of which some columns are filled."""
    return Cache(layers=[BufferedLayer(pair, columns) for pair in layers])


def buffers_of(cache: Any) -> list[Buffers]:
    """Returns the buffers that a cache lives in."""
    return [layer.buffers for layer in cache.layers]


def view(layers: Sequence[Buffers], rows: slice, columns: slice) -> list[Buffers]:
    """Returns a part of buffers; what is written into it is written into them."""
    return [[buffer[rows, columns] for buffer in pair] for pair in layers]


def zero(layers: Sequence[Buffers]) -> None:
    """Fills buffers with zeros. Masked columns must hold numbers: attention weighs them with 0, and 0 * NaN is NaN."""
    for pair in layers:
        for buffer in pair:
            buffer.zero_()


def copy_rows(layers: Sequence[Buffers], rows: torch.Tensor, into: Sequence[Buffers]) -> None:
    """Copies rows (repeatedly perhaps) into buffers of that many rows; int64 [rows]."""
    for pair, targets in zip(layers, into, strict=True):
        for buffer, target in zip(pair, targets, strict=True):
            target.copy_(buffer.index_select(0, rows))
