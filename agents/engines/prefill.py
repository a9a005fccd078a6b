"""From prompts to the keys, values and logits that decoding begins with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from turnwise.agents.engines import kv
from turnwise.agents.engines.cached_model import CachedModel
from turnwise.agents.engines.prefixes import Prefix, fill

PASS_TOKENS = 16384
"""The most tokens, padding included, of one pass over prompts."""
LEAST_PADDING = 32
"""Prompts that differ by no more tokens than this are computed together, whatever the padding."""


@dataclass(slots=True, eq=False)
class Prompt:
    """A prompt that one or more requests of a batch share.

    Attributes:
        ids: Token ids; int64 [tokens].
        prefix: What is known of it from an earlier turn.
        requests: Which requests it belongs to.
    """

    ids: NDArray[np.int64]
    prefix: Prefix | None
    requests: list[int] = field(default_factory=list)

    @property
    def known(self) -> int:
        """How many of its tokens are known."""
        return 0 if self.prefix is None else len(self.prefix.ids)

    @property
    def fresh(self) -> int:
        """How many of its tokens are to be computed."""
        return len(self.ids) - self.known


def prefill(model: CachedModel, prompts: Sequence[Prompt], room: int) -> tuple[torch.Tensor, Any, NDArray[np.bool_]]:
    """Computes prompts, in groups that have about as much to compute, each in its rows of one cache.

    Args:
        model: The model.
        prompts: The prompts, those with most to compute first. Rows are in their order, one per request.
        room: How many columns the cache shall have room for behind them.

    Returns:
        Next-token logits, float [rows, vocabulary], the cache, and which of its columns are filled;
        bool [rows, columns].
    """
    if not model.buffered:
        return _pass(model, prompts, np.zeros((len(prompts), 0), bool), None)
    groups = _groups(prompts)
    columns = max(_columns(group) for group in groups)
    buffers = model.allocate(sum(len(prompt.requests) for prompt in prompts), columns + room)
    logits, masks, first = [], [], 0
    for group in groups:
        width = _columns(group)
        copies = [place for place, prompt in enumerate(group) for _ in prompt.requests]
        rows = slice(first, first + len(copies))
        mine = kv.view(buffers, rows, slice(columns - width, columns))
        kv.zero(kv.view(buffers, rows, slice(0, columns - width)))
        group_logits, mask = _prefill_group(model, group, copies, mine)
        logits.append(group_logits)
        masks.append(np.pad(mask, ((0, 0), (columns - width, 0))))
        first += len(copies)
    return torch.cat(logits), kv.cache_of(buffers, columns), np.concatenate(masks)


def _prefill_group(
    model: CachedModel, group: Sequence[Prompt], copies: list[int], buffers: list[kv.Buffers]
) -> tuple[torch.Tensor, NDArray[np.bool_]]:
    """Computes a group into its buffers: one row per request, the prompts that they share once."""
    shared = len(copies) > len(group)
    work = model.allocate(len(group), _columns(group)) if shared else buffers
    known = fill(work, [prompt.prefix for prompt in group])
    logits, _, mask = _pass(model, group, known, kv.cache_of(work, known.shape[1]))
    if shared:
        index = torch.tensor(copies, device=logits.device)
        logits = logits[index]
        kv.copy_rows(work, index, buffers)
        model.pool.give(work)
    return logits, mask[copies]


def _pass(
    model: CachedModel, prompts: Sequence[Prompt], known: NDArray[np.bool_], cache: Any
) -> tuple[torch.Tensor, Any, NDArray[np.bool_]]:
    """Computes what is not known of prompts yet, padded on the left to one length.

    Args:
        model: The model.
        prompts: The prompts.
        known: Which columns of the cache are filled; bool [prompts, columns].
        cache: Keys and values of these; None for a fresh cache.

    Returns:
        Next-token logits, float [prompts, vocabulary], the cache, and which of its columns are filled.
    """
    width = max(prompt.fresh for prompt in prompts)
    ids = np.zeros((len(prompts), width), np.int64)
    positions = np.zeros((len(prompts), width), np.int64)
    fresh = np.zeros((len(prompts), width), bool)
    for row, prompt in enumerate(prompts):
        ids[row, width - prompt.fresh :] = prompt.ids[prompt.known :]
        positions[row, width - prompt.fresh :] = np.arange(prompt.known, len(prompt.ids))
        fresh[row, width - prompt.fresh :] = True
    mask = np.concatenate((known, fresh), axis=1)
    logits, cache = model.forward(
        torch.as_tensor(ids, device=model.device),
        torch.as_tensor(mask.astype(np.int64), device=model.device),
        torch.as_tensor(positions, device=model.device),
        cache,
    )
    return logits, cache, mask


def _columns(prompts: Sequence[Prompt]) -> int:
    """How many columns prompts take: what is known of them and what is not, each padded to one length."""
    return max(prompt.known for prompt in prompts) + max(prompt.fresh for prompt in prompts)


def _groups(prompts: Sequence[Prompt]) -> list[list[Prompt]]:
    """Cuts prompts, those with most to compute first, where padding would double the work or a pass grow too large."""
    groups: list[list[Prompt]] = []
    for prompt in prompts:
        group = groups[-1] if groups else []
        widest = group[0].fresh if group else 0
        padding = widest - prompt.fresh
        if not group or padding > max(LEAST_PADDING, prompt.fresh) or (len(group) + 1) * widest > PASS_TOKENS:
            groups.append([])
        groups[-1].append(prompt)
    return groups
