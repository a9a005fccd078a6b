"""The engine that needs nothing but torch and transformers; it can share its model with the learner."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch

from turnwise.agents.engines.base import Completion, Engine, Sampling
from turnwise.agents.engines.batching import Batcher
from turnwise.agents.engines.cached_model import CachedModel
from turnwise.agents.engines.decoding import Decoder, Generated, Request
from turnwise.agents.engines.stopping import StopStrings, decode
from turnwise.agents.errors import EngineError, InvalidInput, PromptTooLong
from turnwise.agents.tokens.template import end_of_turn_ids

ROUNDS_KEPT = 2
"""After how many rounds of all episodes in flight the keys and values of a silent conversation are dropped."""


class TransformersEngine(Engine):
    """Generates with any causal language model of transformers, in batches.

    The model may be the learner's own object: then it always has the learner's weights, and `update_weights` only
    forgets what was computed with the old ones. Computation runs in a worker thread; the model must not be trained
    while something is generated.

    Prompts that repeat within a batch are computed once, and a prompt that continues an earlier prompt and its action
    begins with the keys and values of these. Both change nothing but the time it takes.

    Args:
        model: The model; its modules are in eval mode while it generates, and as they were afterwards.
        tokenizer: Its tokenizer.
        max_batch_size: The most rows that are decoded together.
        max_batch_tokens: The most tokens, prompts and budgets of all rows together padded to one length, that are
            decoded together; None leaves it to `max_batch_size`. A batch that does not fit the device's memory halves
            it.
        max_wait: None: a batch starts when all episodes in flight wait for it, and what is batched does not depend on
            timing. A number of seconds: it also starts when `max_batch_size` requests are there or the oldest has
            waited that long.
        context_length: The most tokens of prompt and action together; the model's own limit by default.
        autocast: Whether matrix products are computed in bfloat16, whatever the precision of the weights.
        reuse: Whether a conversation's next turn reuses the keys and values of its earlier ones; costs their memory
            between turns. Models with sliding windows or recurrent states never do.
        device: Where the model is moved to; where it is by default.

    Raises:
        InvalidInput: A limit is not positive, or the context length is unknown or beyond the model's.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        max_batch_size: int = 256,
        max_batch_tokens: int | None = None,
        max_wait: float | None = None,
        context_length: int | None = None,
        autocast: bool = False,
        reuse: bool = True,
        device: str | torch.device | None = None,
    ) -> None:
        for name, value in (("max_batch_size", max_batch_size), ("max_batch_tokens", max_batch_tokens)):
            if value is not None and value < 1:
                raise InvalidInput(f"{name}={value!r} must be at least 1")
        if max_wait is not None and max_wait < 0:
            raise InvalidInput(f"max_wait={max_wait!r} must be None or a number of seconds")
        self.model = model if device is None else model.to(device)
        self.tokenizer = tokenizer
        self.max_batch_size = max_batch_size
        self.max_batch_tokens = max_batch_tokens
        self._context_length = _context_length(model, tokenizer, context_length)
        cached = CachedModel(self.model, autocast=autocast)
        self._decoder = Decoder(cached, end_tokens(self.model, tokenizer), reuse=reuse)
        self._batcher: Batcher[Request, Completion] = Batcher(
            self._plan, self._compute, full=max_batch_size, max_wait=max_wait
        )
        self._stops: dict[tuple[str, ...], StopStrings] = {}
        self._computing = threading.Lock()  # guards the model's weights and what is kept for next turns
        self._stale = False
        self._most_active = 0
        self._counts = dict.fromkeys(
            ("batches", "requests", "prompt_tokens", "reused_tokens", "tokens", "seconds", "out_of_memory"), 0.0
        )

    @classmethod
    def from_pretrained(
        cls,
        path: str,
        *,
        dtype: str | torch.dtype = "auto",
        device: str | torch.device | None = None,
        trust_remote_code: bool = False,
        **options: Any,
    ) -> Self:
        """Loads model and tokenizer.

        Args:
            path: A name on the Hugging Face hub, or a local folder.
            dtype: Precision of the weights, such as "bfloat16"; "auto" takes the checkpoint's.
            device: Where the model goes; CUDA where there is one, else the CPU, by default.
            trust_remote_code: Whether code that comes with the model may run.
            **options: What the constructor takes.

        Raises:
            EngineError: Nothing can be loaded from `path`.
        """
        from transformers import AutoModelForCausalLM, AutoTokenizer

        try:
            tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=trust_remote_code)
            model = AutoModelForCausalLM.from_pretrained(path, dtype=dtype, trust_remote_code=trust_remote_code)
        except (OSError, ValueError) as error:
            raise EngineError(f"no model can be loaded from {path!r}: {error}") from error
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        return cls(model.eval(), tokenizer, device=device, **options)

    @property
    def context_length(self) -> int:
        """The most tokens that prompt and action may have together."""
        return self._context_length

    async def generate(self, prompt_ids: Sequence[int], sampling: Sampling, *, seed: int) -> Completion:
        """Samples one completion of one prompt, together with others that wait; see `Engine.generate`."""
        return await self._batcher.submit(self._request(prompt_ids, sampling, seed))

    def expect(self, change: int) -> None:
        """Adds `change` to the number of episodes in flight; at zero, nothing is kept for their next turns."""
        self._batcher.expect(change)
        self._most_active = max(self._most_active, self._batcher.active)
        if self._batcher.active == 0:
            self._most_active = 0
            self._forget()

    def update_weights(self, model: Any) -> None:
        """Takes the weights of the learner's model; see `Engine.update_weights`."""
        if self._batcher.serving:
            raise EngineError("the weights cannot be updated while something is generated; wait for the rollout's end")
        with self._computing:  # a batch whose callers were cancelled may still be on its last token
            if model is not self.model:
                try:
                    self.model.load_state_dict(model.state_dict())
                except RuntimeError as error:
                    raise EngineError(f"the learner's weights do not fit the engine's model: {error}") from error
            self._clear()

    def metrics(self) -> dict[str, float]:
        """Returns counters since the engine was made.

        `batches`, `requests`, `prompt_tokens`, of them `reused_tokens`, sampled `tokens`, `seconds` of computing,
        `tokens_per_second`, and `out_of_memory`: how many batches did not fit and were cut.
        """
        seconds = self._counts["seconds"]
        return self._counts | {"tokens_per_second": self._counts["tokens"] / seconds if seconds else 0.0}

    async def aclose(self) -> None:
        """Fails what waits, ends what is being generated, frees the worker thread; idempotent. The model stays."""
        await self._batcher.aclose()
        self._forget()

    def _request(self, prompt_ids: Sequence[int], sampling: Sampling, seed: int) -> Request:
        prompt = np.array(prompt_ids, dtype=np.int64)
        if prompt.ndim != 1 or not len(prompt):
            raise InvalidInput("a prompt must be a flat sequence of at least one token id")
        # An unknown id would be an error deep inside the model, and on CUDA one that ends the process.
        if prompt.min() < 0 or prompt.max() >= self._decoder.model.vocabulary:
            unknown = prompt[(prompt < 0) | (prompt >= self._decoder.model.vocabulary)][0]
            raise InvalidInput(f"token id {int(unknown)} is not among the model's {self._decoder.model.vocabulary}")
        if seed < 0:
            raise InvalidInput(f"seed={seed!r} must not be negative")
        room = self.context_length - len(prompt)
        if room < 1:
            raise PromptTooLong(
                f"the prompt has {len(prompt)} tokens and leaves no room for an action in a context of "
                f"{self.context_length}"
            )
        return Request(prompt, sampling, seed, min(sampling.max_tokens, room))

    def _plan(self, requests: Sequence[Request]) -> list[list[Request]]:
        """Cuts a wave into batches: of similar length, and in an order that does not depend on arrival."""
        batches: list[list[Request]] = []
        for request in sorted(requests, key=lambda request: (_length(request), request.seed)):
            batch = batches[-1] if batches else []
            tokens = (len(batch) + 1) * _length(request)  # the longest so far
            fits = self.max_batch_tokens is None or tokens <= self.max_batch_tokens
            if not batch or len(batch) >= self.max_batch_size or not fits:
                batches.append([])
            batches[-1].append(request)
        return batches

    def _compute(self, requests: Sequence[Request], stopped: threading.Event) -> list[Completion]:
        """Generates for a batch; runs in the worker thread."""
        began = time.perf_counter()
        with self._computing:
            if self._stale:
                self._clear()
            generated = self._generate(requests, stopped)
            if self._decoder.store is not None:
                self._decoder.store.forget(ROUNDS_KEPT * max(self._most_active, len(requests)))
        self._counts["seconds"] += time.perf_counter() - began
        self._counts["batches"] += 1
        self._counts["requests"] += len(requests)
        for request, result in zip(requests, generated, strict=True):
            self._counts["prompt_tokens"] += len(request.prompt)
            self._counts["reused_tokens"] += result.reused
            self._counts["tokens"] += len(result.ids)
        return [self._completion(result, len(requests)) for result in generated]

    def _generate(self, requests: Sequence[Request], stopped: threading.Event) -> list[Generated]:
        """Generates for a batch, in smaller ones if the device has not enough memory."""
        stops = [self._stop_strings(request.sampling.stop) for request in requests]
        try:
            return self._decoder.run(requests, stops, stopped)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            reason = str(error)
        # Outside the handler, so that the traceback no longer holds the batch's tensors.
        self._counts["out_of_memory"] += 1
        kept = self._decoder.store is not None and len(self._decoder.store) > 0
        self._clear()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if kept:
            return self._generate(requests, stopped)
        if len(requests) == 1:
            raise EngineError(
                f"a single request of {_length(requests[0])} tokens does not fit the device's memory; lower max_tokens "
                f"or context_length: {reason}"
            )
        half = (len(requests) + 1) // 2
        self.max_batch_tokens = half * max(_length(request) for request in requests)
        return self._generate(requests[:half], stopped) + self._generate(requests[half:], stopped)

    def _stop_strings(self, stop: tuple[str, ...]) -> StopStrings | None:
        if not stop:
            return None
        if stop not in self._stops:
            self._stops[stop] = StopStrings(self.tokenizer, stop, self._decoder.model.vocabulary)
        return self._stops[stop]

    def _completion(self, generated: Generated, batch_size: int) -> Completion:
        return Completion(
            ids=generated.ids,
            logprobs=generated.logprobs,
            text=decode(self.tokenizer, generated.ids, special=False),
            finish=generated.finish,
            metrics={"batch_size": float(batch_size), "reused_tokens": float(generated.reused)},
        )

    def _forget(self) -> None:
        """Drops what is kept for next turns: now, or before the next batch if one is being computed."""
        self._stale = True
        if self._computing.acquire(blocking=False):
            try:
                self._clear()
            finally:
                self._computing.release()

    def _clear(self) -> None:
        self._stale = False
        self._decoder.clear()


def end_tokens(model: Any, tokenizer: Any) -> list[int]:
    """Returns the tokens that end an action.

    The end-of-sequence tokens of the model's generation config and of the tokenizer, and the one that the chat template
    ends a turn with: base models often name only the first, and would then never end a turn.
    """
    config = getattr(model, "generation_config", None)
    named = getattr(config, "eos_token_id", None)
    ends = set(named if isinstance(named, list | tuple) else [named])
    ends |= {tokenizer.eos_token_id, *end_of_turn_ids(tokenizer)}
    return sorted(ends - {None})


def out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that a device, or the host, has no memory left."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def _length(request: Request) -> int:
    """The most tokens that a request can come to."""
    return len(request.prompt) + request.budget


def _context_length(model: Any, tokenizer: Any, asked: int | None) -> int:
    """Returns the context length: what was asked for, within what the model can do."""
    config = model.config.get_text_config()
    names = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length")
    limit = next((value for name in names if isinstance(value := getattr(config, name, None), int)), None)
    if asked is not None:
        if asked < 2 or (limit is not None and asked > limit):
            raise InvalidInput(f"context_length={asked!r} must lie between 2 and the model's own limit, {limit!r}")
        return asked
    if limit is not None:
        return limit
    if tokenizer.model_max_length < 10**9:  # transformers' way of saying that nobody knows
        return int(tokenizer.model_max_length)
    raise InvalidInput(f"{type(model).__name__} does not say how long a context it can read; give context_length")
