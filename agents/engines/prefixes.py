"""Keys and values that are kept from one turn of a conversation to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from turnwise.agents.engines.kv import Buffers, Pool, buffers_of, view, zero

MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
"""Of the rolling hash: odd, so that its powers never vanish modulo 2**64."""


@dataclass(eq=False)
class Block:
    """The keys and values of some rows of a finished batch.

    Attributes:
        layers: Keys and values of each layer.
        filled: Which columns hold a token of the row, in order; bool [rows, columns].
        users: How many kept prefixes are in it.
    """

    layers: list[Buffers]
    filled: NDArray[np.bool_]
    users: int = 0

    @classmethod
    def of(cls, cache: Any, filled: NDArray[np.bool_], rows: torch.Tensor | None = None) -> Block:
        """Returns a block of a cache's rows, all of them or copies of some; int64 [rows]."""
        layers = buffers_of(cache)
        if rows is not None:
            columns = filled.shape[1]
            layers = [[buffer[:, :columns].index_select(0, rows) for buffer in pair] for pair in layers]
        return cls(layers, filled)


@dataclass(eq=False)
class Prefix:
    """Tokens whose keys and values are kept.

    Attributes:
        ids: The tokens; int64 [tokens].
        block: Where their keys and values are.
        row: In which row of the block.
        used: The clock of the store when a request last began with it.
        owners: How many requests ended in exactly these tokens and may go on.
    """

    ids: NDArray[np.int64]
    block: Block
    row: int
    used: int
    owners: int = 1


class PrefixStore:
    """Keeps the keys and values of conversations, so that their next turn computes only what is new.

    It holds nothing that is sure to be out of use: a conversation's older prefix goes when a longer one comes, and one
    that nobody came back to for a while goes too (`forget`).

    Args:
        pool: Gets the memory of what is dropped.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._prefixes: dict[int, Prefix] = {}  # by hash of their tokens
        self._clock = 0

    def __len__(self) -> int:
        return len(self._prefixes)

    def find(self, prompt: NDArray[np.int64]) -> Prefix | None:
        """Returns the longest kept prefix of a prompt that leaves at least one token to compute, or None."""
        self._clock += 1
        if not self._prefixes:
            return None
        hashes = rolling_hashes(prompt)
        for length in sorted({len(prefix.ids) for prefix in self._prefixes.values()}, reverse=True):
            if length >= len(prompt):
                continue
            found = self._prefixes.get(int(hashes[length - 1]))
            if found is not None and np.array_equal(found.ids, prompt[:length]):
                found.used = self._clock
                return found
        return None

    def add(self, ids: NDArray[np.int64], block: Block, row: int, *, instead_of: Prefix | None) -> None:
        """Keeps a row of a block.

        Args:
            ids: Its tokens; int64 [tokens].
            block: The block.
            row: The row.
            instead_of: The prefix that the request began with, which its conversation no longer needs.
        """
        block.users += 1  # first of all, since what is dropped below may be in the same block
        if instead_of is not None:
            instead_of.owners -= 1
            key = _key(instead_of.ids)
            if instead_of.owners <= 0 and self._prefixes.get(key) is instead_of:
                self._drop(key)
        key = _key(ids)
        owners = 1
        if key in self._prefixes:
            owners += self._prefixes[key].owners
            self._drop(key)
        self._prefixes[key] = Prefix(ids, block, row, self._clock, owners)

    def forget(self, requests: int) -> None:
        """Drops what none of the last `requests` requests began with."""
        for key in [key for key, prefix in self._prefixes.items() if self._clock - prefix.used >= requests]:
            self._drop(key)

    def clear(self) -> None:
        """Drops everything."""
        for key in list(self._prefixes):
            self._drop(key)

    def _drop(self, key: int) -> None:
        block = self._prefixes.pop(key).block
        block.users -= 1
        if not block.users:
            self._pool.give(block.layers)


def _key(ids: NDArray[np.int64]) -> int:
    return int(rolling_hashes(ids)[-1])


def rolling_hashes(ids: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Returns the hash of every prefix; uint64 [tokens]. Equal prefixes have equal hashes; the reverse is checked."""
    powers = np.cumprod(np.full(len(ids), MULTIPLIER, np.uint64))
    return np.cumsum((ids.astype(np.uint64) + np.uint64(1)) * powers, dtype=np.uint64)


def fill(layers: Sequence[Buffers], prefixes: Sequence[Prefix | None]) -> NDArray[np.bool_]:
    """Writes prefixes into the first columns of buffers, one a row, aligned at their last columns.

    Args:
        layers: Buffers of as many rows.
        prefixes: What each row begins with; None for nothing.

    Returns:
        Which columns are filled; bool [rows, columns].
    """
    lengths = np.array([0 if prefix is None else len(prefix.ids) for prefix in prefixes])
    columns = int(lengths.max())
    by_block: dict[int, list[int]] = {}
    for row, prefix in enumerate(prefixes):
        if prefix is not None:
            by_block.setdefault(id(prefix.block), []).append(row)
        else:
            zero(view(layers, slice(row, row + 1), slice(0, columns)))
    for rows in by_block.values():
        _copy([prefix for row in rows if (prefix := prefixes[row]) is not None], rows, layers, columns)
    return np.arange(columns) >= columns - lengths[:, None]


def _copy(prefixes: Sequence[Prefix], rows: Sequence[int], layers: Sequence[Buffers], columns: int) -> None:
    """Copies prefixes of one block into rows of buffers. Columns before a prefix get numbers that nobody looks at."""
    block, device = prefixes[0].block, layers[0][0].device
    place = np.zeros((len(rows), columns), np.int64)
    for index, prefix in enumerate(prefixes):
        place[index, columns - len(prefix.ids) :] = np.flatnonzero(block.filled[prefix.row])[: len(prefix.ids)]
    sources = np.array([prefix.row for prefix in prefixes])[:, None]
    flat = torch.as_tensor((sources * block.layers[0][0].shape[1] + place).reshape(-1), device=device)
    targets: Any = slice(None) if len(rows) == len(layers[0][0]) else torch.as_tensor(rows, device=device)
    for pair, kept in zip(layers, block.layers, strict=True):
        for into, states in zip(pair, kept, strict=True):
            into[targets, :columns] = states.flatten(0, 1).index_select(0, flat).unflatten(0, place.shape)
