"""Batched decoding with a transformers model: prompts in, sampled tokens with their log-probabilities out."""

from __future__ import annotations

import contextlib
import inspect
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from turnwise.agents.engines import kv
from turnwise.agents.engines.base import Sampling
from turnwise.agents.engines.prefixes import Block, Prefix, PrefixStore, fill
from turnwise.agents.engines.sampling import RowSettings, Uniforms, draw
from turnwise.agents.engines.stopping import StopStrings
from turnwise.agents.errors import EngineError, InvalidInput

PREFILL_TOKENS = 16384
"""The most tokens, padding included, of one forward pass over prompts."""
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
class _Prompt:
    """A prompt that one or more requests of a batch share."""

    ids: NDArray[np.int64]
    prefix: Prefix | None
    requests: list[int] = field(default_factory=list)

    @property
    def known(self) -> int:
        return 0 if self.prefix is None else len(self.prefix.ids)

    @property
    def fresh(self) -> int:
        return len(self.ids) - self.known


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
        model: A causal language model of transformers.
        end_tokens: Tokens that end an action.
        autocast: Whether matrix products are computed in bfloat16, whatever the weights' precision.
        reuse: Whether keys and values are kept for a conversation's next turn.

    Raises:
        InvalidInput: The model does not return keys and values.
    """

    def __init__(self, model: Any, end_tokens: Sequence[int], *, autocast: bool = False, reuse: bool = True) -> None:
        self.model = model
        head = model.get_output_embeddings()
        self.vocabulary = int(head.weight.shape[0] if head is not None else model.config.vocab_size)
        """How many tokens the model has."""
        self._ends = np.isin(np.arange(self.vocabulary), list(end_tokens))
        self._autocast = autocast
        inner = model.get_base_model() if hasattr(model, "get_base_model") else model  # adapters hide the signature
        accepted = inspect.signature(inner.forward).parameters
        if "past_key_values" not in accepted:
            raise InvalidInput(
                f"{type(model).__name__} takes no past_key_values; the engine needs a cache to decode with"
            )
        self._takes_positions = "position_ids" in accepted
        self._takes_logits_to_keep = "logits_to_keep" in accepted
        self.buffered = kv.only_full_attention(model.config)
        """Whether the cache lives in buffers of ours."""
        self._shapes: dict[tuple[torch.dtype, torch.device], kv.Shapes] = {}
        self.pool = kv.Pool()
        """Memory for keys and values."""
        self.store = PrefixStore(self.pool) if reuse and self.buffered else None
        """What is kept for the next turns; None where nothing is."""

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
        device = self.model.device
        with (
            _evaluating(self.model),
            torch.no_grad(),
            torch.autocast(device.type, torch.bfloat16, enabled=self._autocast),
        ):
            prompts = self._prompts(requests)
            rows = self._prefill(requests, prompts)
            return _Decoding(self, requests, stops, prompts, rows).run(stopped)

    def clear(self) -> None:
        """Forgets what is kept for next turns, and frees the memory."""
        if self.store is not None:
            self.store.clear()
        self.pool.clear()

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
        output = self.model(input_ids=ids, attention_mask=mask, use_cache=True, **options)
        return output.logits[:, -1], output.past_key_values

    def _prompts(self, requests: Sequence[Request]) -> list[_Prompt]:
        """Returns the different prompts of a batch, each with what is known of it, those with most to compute first."""
        prompts: dict[bytes | int, _Prompt] = {}
        for index, request in enumerate(requests):
            key = request.prompt.tobytes() if self.buffered else index
            if key not in prompts:
                prefix = self.store.find(request.prompt) if self.store is not None else None
                prompts[key] = _Prompt(request.prompt, prefix)
            prompts[key].requests.append(index)
        return sorted(prompts.values(), key=lambda prompt: -prompt.fresh)

    def _prefill(self, requests: Sequence[Request], prompts: Sequence[_Prompt]) -> _Rows:
        """Computes the prompts, in groups that have about as much to compute, each in its rows of one cache."""
        order = [index for prompt in prompts for index in prompt.requests]
        longest = max(request.budget for request in requests)
        device = self.model.device
        if self.buffered:
            groups = _groups(prompts)
            columns = max(_columns(group) for group in groups)
            buffers = self._model_shapes().allocate(len(order), columns + min(longest, ROOM), self.pool)
            logits, masks = self._prefill_groups(groups, buffers, columns)
            cache = kv.cache_of(buffers, columns)
        else:
            columns = _columns(prompts)
            logits, cache, masks = self._forward_prompts(prompts, np.zeros((len(prompts), 0), bool), None)
        mask = torch.zeros((len(order), columns + longest), dtype=torch.int64, device=device)
        mask[:, :columns] = torch.as_tensor(masks, device=device)
        return _Rows(
            requests=np.array(order),
            cache=cache,
            mask=mask,
            columns=columns,
            position=torch.tensor([len(requests[index].prompt) for index in order], device=device),
            logits=logits,
            settings=RowSettings.of([requests[index].sampling for index in order], self.vocabulary, device),
            alive=np.ones(len(order), bool),
        )

    def _prefill_groups(
        self, groups: Sequence[Sequence[_Prompt]], buffers: list[kv.Buffers], columns: int
    ) -> tuple[torch.Tensor, NDArray[np.bool_]]:
        """Computes groups of prompts into their rows of the buffers, aligned at column `columns`.

        Returns:
            Next-token logits, float [rows, vocabulary], and which columns are filled; bool [rows, columns].
        """
        logits, masks, first = [], [], 0
        for group in groups:
            width = _columns(group)
            copies = [place for place, prompt in enumerate(group) for _ in prompt.requests]
            rows = slice(first, first + len(copies))
            mine = kv.view(buffers, rows, slice(columns - width, columns))
            shared = len(copies) > len(group)
            work = self._model_shapes().allocate(len(group), width, self.pool) if shared else mine
            known = fill(work, [prompt.prefix for prompt in group])
            group_logits, _, mask = self._forward_prompts(group, known, kv.cache_of(work, known.shape[1]))
            if shared:
                index = torch.tensor(copies, device=group_logits.device)
                group_logits = group_logits[index]
                kv.copy_rows(work, index, mine)
                self.pool.give(work)
            kv.zero(kv.view(buffers, rows, slice(0, columns - width)))
            logits.append(group_logits)
            masks.append(np.pad(mask[copies], ((0, 0), (columns - width, 0))))
            first += len(copies)
        return torch.cat(logits), np.concatenate(masks)

    def _forward_prompts(
        self, prompts: Sequence[_Prompt], known: NDArray[np.bool_], cache: Any
    ) -> tuple[torch.Tensor, Any, NDArray[np.bool_]]:
        """Computes what is not known of prompts yet, padded on the left to one length.

        Args:
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
        device = self.model.device
        logits, cache = self.forward(
            torch.as_tensor(ids, device=device),
            torch.as_tensor(mask.astype(np.int64), device=device),
            torch.as_tensor(positions, device=device),
            cache,
        )
        return logits, cache, mask

    def _model_shapes(self) -> kv.Shapes:
        """Returns the shapes of the model's keys and values, which a single token tells."""
        key = (self.model.dtype, self.model.device)
        if key not in self._shapes:
            one = torch.zeros((1, 1), dtype=torch.int64, device=self.model.device)
            self._shapes[key] = kv.Shapes.of(self.forward(one, one + 1, one, None)[1])
        return self._shapes[key]


class _Decoding:
    """One batch on its way from its prompts to its last token."""

    def __init__(
        self,
        decoder: Decoder,
        requests: Sequence[Request],
        stops: Sequence[StopStrings | None],
        prompts: Sequence[_Prompt],
        rows: _Rows,
    ) -> None:
        self.decoder = decoder
        self.requests = requests
        self.stops = stops
        self.rows = rows
        self.uniforms = Uniforms([request.seed for request in requests])
        self.budgets = np.array([request.budget for request in requests])
        self.prefixes: list[Prefix | None] = [None] * len(requests)
        for prompt in prompts:
            for index in prompt.requests:
                self.prefixes[index] = prompt.prefix
        self.ids = np.zeros((len(requests), int(self.budgets.max())), np.int64)
        self.logprobs = np.zeros(self.ids.shape, np.float32)
        self.counts = np.zeros(len(requests), np.int64)
        self.ended = np.zeros(len(requests), bool)
        self.by_stops: dict[int, tuple[StopStrings, NDArray[np.bool_]]] = {}
        for stop in stops:
            if stop is not None and id(stop) not in self.by_stops:
                self.by_stops[id(stop)] = (stop, np.array([other is stop for other in stops]))

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
        if self.decoder.store is not None:
            self._keep(Block.of(self.rows.cache, self._filled()), self.rows.requests)
        elif self.decoder.buffered:
            self.decoder.pool.give(kv.buffers_of(self.rows.cache))
        return [self._generated(index) for index in range(len(self.requests))]

    def _sample(self, step: int) -> torch.Tensor:
        """Draws a token per row and records those of living rows; returns all, int64 [rows]."""
        rows = self.rows
        tokens, logprobs = draw(rows.logits, rows.settings, self.uniforms.at(step, rows.requests))
        drawn, living = tokens.cpu().numpy(), rows.requests[rows.alive]
        self.ids[living, step] = drawn[rows.alive]
        self.logprobs[living, step] = logprobs.cpu().numpy()[rows.alive]
        self.counts[living] = step + 1
        ended = self.decoder._ends[drawn]
        for stop, mine in self.by_stops.values():
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
        rows.logits, rows.cache = self.decoder.forward(
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


def _columns(prompts: Sequence[_Prompt]) -> int:
    """How many columns prompts take: what is known of them and what is not, each padded to one length."""
    return max(prompt.known for prompt in prompts) + max(prompt.fresh for prompt in prompts)


def _groups(prompts: Sequence[_Prompt]) -> list[list[_Prompt]]:
    """Cuts prompts, those with most to compute first, where padding would double the work or a pass grow too large."""
    groups: list[list[_Prompt]] = []
    for prompt in prompts:
        group = groups[-1] if groups else []
        widest = group[0].fresh if group else 0
        if not group or 2 * prompt.fresh < widest or (len(group) + 1) * widest > PREFILL_TOKENS:
            groups.append([])
        groups[-1].append(prompt)
    return groups


@contextlib.contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    """Puts a model into eval mode, and each of its modules back as it was: some may be frozen on purpose."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
