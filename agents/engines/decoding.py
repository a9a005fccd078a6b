"""Batched decoding with a transformers model: prompts in, sampled tokens with their log-probabilities out."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from turnwise.agents.engines.base import Sampling
from turnwise.agents.engines.cached_model import CachedModel
from turnwise.agents.engines.kv import buffers_of
from turnwise.agents.engines.prefill import Prompt, prefill
from turnwise.agents.engines.prefixes import Block, PrefixStore
from turnwise.agents.engines.sampling import RowSettings, Uniforms, draw
from turnwise.agents.engines.stopping import StopStrings
from turnwise.agents.errors import EngineError

ROOM = 64
"""The most tokens that a cache has room for before it grows."""
COMPACT_AFTER = 4
"""Rows that have finished are dropped once they cost this many steps of the whole batch, about what dropping costs."""


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """One prompt to be continued.

    Attributes:
        prompt: Token ids; int64 [tokens].
        sampling: How tokens are chosen.
        seed: Seeds this request's draws.
        budget: The most tokens to be sampled, at least 1: `max_tokens`, or what the context window leaves.
    """

    prompt: NDArray[np.int64]
    sampling: Sampling
    seed: int
    budget: int


@dataclass(slots=True, eq=False)
class Generated:
    """What was sampled for one request.

    Attributes:
        ids: Sampled tokens; int64 [tokens].
        logprobs: Their log-probabilities; float32 [tokens].
        finish: "stop" or "length".
        reused: How many tokens of the prompt were known from an earlier turn.
    """

    ids: NDArray[np.int64]
    logprobs: NDArray[np.float32]
    finish: Literal["stop", "length"]
    reused: int


@dataclass(slots=True, eq=False)
class _Rows:
    """The rows of a batch that are being decoded; they shrink as requests finish.

    Attributes:
        requests: Which request each row belongs to; int64 [rows].
        cache: Keys and values.
        mask: 1 where a column of the cache holds a token, with room for more; int64 [rows, >= columns].
        columns: How many columns are in use.
        position: Each row's next position; int64 [rows].
        logits: Of the next token; float [rows, vocabulary].
        settings: How each row chooses.
        alive: Which rows have not finished; bool [rows].
    """

    requests: NDArray[np.int64]
    cache: Any
    mask: torch.Tensor
    columns: int
    position: torch.Tensor
    logits: torch.Tensor
    settings: RowSettings
    alive: NDArray[np.bool_]


class Decoder:
    """Decodes batches with one model.

    Args:
        model: The model.
        end_tokens: Tokens that end an action.
        reuse: Whether keys and values are kept for a conversation's next turn.

    Attributes:
        model: The model.
        ends: Which tokens end an action; bool [vocabulary].
        store: What is kept for next turns; None where nothing is.
    """

    def __init__(self, model: CachedModel, end_tokens: Sequence[int], *, reuse: bool = True) -> None:
        self.model = model
        self.ends = np.isin(np.arange(model.vocabulary), list(end_tokens))
        self.store = PrefixStore(model.pool) if reuse and model.buffered else None

    def run(
        self, requests: Sequence[Request], stops: Sequence[StopStrings | None], stopped: threading.Event
    ) -> list[Generated]:
        """Decodes a batch.

        Args:
            requests: What to continue; at least one.
            stops: The stop strings of each request.
            stopped: Ends the decoding with an error when it is set.

        Raises:
            EngineError: `stopped` was set, or the model's logits are not finite numbers.
        """
        with self.model.computing():
            return _Decoding(self, requests, stops).run(stopped)

    def clear(self) -> None:
        """Forgets what is kept for next turns, and frees the memory."""
        if self.store is not None:
            self.store.clear()
        self.model.pool.clear()


class _Decoding:
    """One batch on its way from its prompts to its last token."""

    def __init__(self, decoder: Decoder, requests: Sequence[Request], stops: Sequence[StopStrings | None]) -> None:
        self.decoder = decoder
        self.requests = requests
        self.prompts = _prompts(decoder, requests)
        self.prefixes = {index: prompt.prefix for prompt in self.prompts for index in prompt.requests}
        self.uniforms = Uniforms([request.seed for request in requests])
        self.budgets = np.array([request.budget for request in requests])
        self.ids = np.zeros((len(requests), int(self.budgets.max())), np.int64)
        self.logprobs = np.zeros(self.ids.shape, np.float32)
        self.counts = np.zeros(len(requests), np.int64)
        self.ended = np.zeros(len(requests), bool)
        # Each set of stop strings, with the requests that it is of.
        self.stops = [(stop, np.array([other is stop for other in stops])) for stop in set(stops) if stop is not None]
        self.rows = self._begin()

    def _begin(self) -> _Rows:
        """Computes the prompts."""
        model, longest = self.decoder.model, int(self.budgets.max())
        order = [index for prompt in self.prompts for index in prompt.requests]
        logits, cache, filled = prefill(model, self.prompts, room=min(longest, ROOM))
        columns = filled.shape[1]
        mask = torch.zeros((len(order), columns + longest), dtype=torch.int64, device=model.device)
        mask[:, :columns] = torch.as_tensor(filled, device=model.device)
        requests = [self.requests[index] for index in order]
        return _Rows(
            requests=np.array(order),
            cache=cache,
            mask=mask,
            columns=columns,
            position=torch.tensor([len(request.prompt) for request in requests], device=model.device),
            logits=logits,
            settings=RowSettings.of([request.sampling for request in requests], model.vocabulary, model.device),
            alive=np.ones(len(order), bool),
        )

    def run(self, stopped: threading.Event) -> list[Generated]:
        """Samples token after token until every request has finished."""
        step = wasted = 0
        while True:
            if stopped.is_set():
                raise EngineError("the engine was closed while it generated")
            tokens = self._sample(step)
            step += 1
            if not self.rows.alive.any():
                break
            wasted += len(self.rows.alive) - self.rows.alive.sum()
            if wasted >= COMPACT_AFTER * len(self.rows.alive):
                tokens, wasted = tokens[self._drop_finished()], 0
            self._advance(tokens)
        generated = [self._generated(index) for index in range(len(self.requests))]
        if self.decoder.store is not None:
            self._keep(Block.of(self.rows.cache, self._filled()), self.rows.requests)
        elif self.decoder.model.buffered:
            self.decoder.model.pool.give(buffers_of(self.rows.cache))
        return generated

    def _sample(self, step: int) -> torch.Tensor:
        """Draws a token per row and records those of living rows; returns all, int64 [rows]."""
        rows = self.rows
        tokens, logprobs = draw(rows.logits, rows.settings, self.uniforms.at(step, rows.requests))
        drawn, living = tokens.cpu().numpy(), rows.requests[rows.alive]
        self.ids[living, step] = drawn[rows.alive]
        self.logprobs[living, step] = logprobs.cpu().numpy()[rows.alive]
        self.counts[living] = step + 1
        ended = self.decoder.ends[drawn]
        for stop, mine in self.stops:
            for row in np.flatnonzero(rows.alive & ~ended & mine[rows.requests] & stop.candidates[drawn]):
                ended[row] = stop.ended(self.ids[rows.requests[row], : step + 1])
        self.ended[rows.requests[rows.alive & ended]] = True
        rows.alive &= ~ended & (self.budgets[rows.requests] > step + 1)
        return tokens

    def _advance(self, tokens: torch.Tensor) -> None:
        """Computes the logits of the next token. Rows that have finished go along, masked, until they are dropped."""
        rows = self.rows
        alive = torch.as_tensor(rows.alive, device=tokens.device)
        rows.mask[:, rows.columns] = alive
        rows.columns += 1
        rows.logits, rows.cache = self.decoder.model.forward(
            tokens[:, None], rows.mask[:, : rows.columns], rows.position[:, None], rows.cache
        )
        rows.position += alive

    def _drop_finished(self) -> torch.Tensor:
        """Drops finished rows, so that long ones do not pay for short ones; returns the kept, int64 [rows]."""
        rows, device = self.rows, self.rows.mask.device
        if self.decoder.store is not None:
            gone = torch.as_tensor(np.flatnonzero(~rows.alive), device=device)
            self._keep(Block.of(rows.cache, self._filled()[~rows.alive], gone), rows.requests[~rows.alive])
        kept = torch.as_tensor(np.flatnonzero(rows.alive), device=device)
        rows.cache.reorder_cache(kept)
        rows.requests = rows.requests[rows.alive]
        rows.mask, rows.position = rows.mask[kept], rows.position[kept]
        rows.settings = rows.settings.select(kept)
        rows.alive = rows.alive[rows.alive]
        return kept

    def _filled(self) -> NDArray[np.bool_]:
        """Which columns of the cache hold a token of their row; bool [rows, columns]."""
        filled: NDArray[np.bool_] = self.rows.mask[:, : self.rows.columns].cpu().numpy().astype(bool)
        return filled

    def _keep(self, block: Block, requests: NDArray[np.int64]) -> None:
        """Keeps finished rows' keys and values for the next turns of their conversations."""
        store = self.decoder.store
        assert store is not None
        for row, index in enumerate(requests):
            # The last token was sampled, but never fed to the model.
            ids = np.concatenate((self.requests[index].prompt, self.ids[index, : self.counts[index] - 1]))
            store.add(ids, block, row, instead_of=self.prefixes[index])

    def _generated(self, index: int) -> Generated:
        count = self.counts[index]
        logprobs = self.logprobs[index, :count].copy()
        if not np.isfinite(logprobs).all():
            raise EngineError(
                "the model's logits are not finite numbers: its weights have diverged, or its precision overflows"
            )
        prefix = self.prefixes[index]
        return Generated(
            ids=self.ids[index, :count].copy(),
            logprobs=logprobs,
            finish="stop" if self.ended[index] else "length",
            reused=0 if prefix is None else len(prefix.ids),
        )


def _prompts(decoder: Decoder, requests: Sequence[Request]) -> list[Prompt]:
    """Returns the different prompts of a batch, each with what is known of it, those with most to compute first."""
    prompts: dict[bytes | int, Prompt] = {}
    for index, request in enumerate(requests):
        key = request.prompt.tobytes() if decoder.model.buffered else index
        if key not in prompts:
            prefix = decoder.store.find(request.prompt) if decoder.store is not None else None
            prompts[key] = Prompt(request.prompt, prefix)
        prompts[key].requests.append(index)
    return sorted(prompts.values(), key=lambda prompt: -prompt.fresh)
