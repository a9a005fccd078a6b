"""An engine behind an OpenAI-compatible endpoint: vLLM and its like with token ids, API models with text alone."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from turnwise.agents.engines.answers import error_text, read_completion, read_message
from turnwise.agents.engines.base import Completion, Engine, Sampling
from turnwise.agents.engines.retrying import Backoff, TransientError, retry_after
from turnwise.agents.errors import EngineError, InvalidInput, MissingExtra, PromptTooLong

TRANSIENT = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
"""HTTP statuses that may be different next time."""
TOO_LONG = ("context length", "context_length", "too long", "maximum model length")
"""Words of servers' messages about prompts that do not fit."""
NEWER_LIMIT = "max_completion_tokens"
"""What newer models of OpenAI call `max_tokens`; their error message says so."""
SHOWN = 300
"""How many characters of a server's answer a message shows."""


class ServerEngine(Engine):
    """Generates with an OpenAI-compatible endpoint.

    `generate` sends token ids to `/completions` and needs a server that returns those that it sampled: vLLM from 0.10.2
    on (`return_token_ids`), or any with `return_tokens_as_token_ids`. `chat` sends messages to `/chat/completions` and
    works with every server; its completions have no token ids, and can be evaluated but not trained on.

    What the server returns are the log-probabilities of temperature 1. Sampled at temperature 0 or 1 these are the
    ones that `Sampling` promises; at another temperature nobody knows those, and they are NaN, which training refuses.

    Args:
        base_url: The endpoint, such as "http://localhost:8000/v1".
        model: The model's name there.
        tokenizer: Decodes actions; without it the server's text is taken.
        api_key: The server's key. By default OPENAI_API_KEY where `base_url` is OpenAI's own, and otherwise none.
        context_length: The most tokens of prompt and action together, if they are to be counted here.
        max_concurrency: The most requests under way.
        timeout: Seconds that one try may take.
        retries: How often a request is tried again after 429, 5xx, a time-out or a broken connection.
        backoff: Seconds before the first retry; doubled for each further one.

    Raises:
        InvalidInput: An argument cannot be used.
        MissingExtra: The openai client is not installed.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        tokenizer: Any = None,
        api_key: str | None = None,
        context_length: int | None = None,
        max_concurrency: int = 64,
        timeout: float = 600.0,
        retries: int = 5,
        backoff: float = 1.0,
    ) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InvalidInput(f"base_url={_shown_url(base_url)!r} must be like 'http://localhost:8000/v1'")
        for name, value, least in (("max_concurrency", max_concurrency, 1), ("retries", retries, 0)):
            if value < least:
                raise InvalidInput(f"{name}={value!r} must be at least {least}")
        if timeout <= 0 or backoff < 0:
            raise InvalidInput(f"timeout={timeout!r} must be positive and backoff={backoff!r} not negative")
        try:
            import openai
        except ImportError as error:
            raise MissingExtra("openai", "server") from error
        self._openai = openai
        self.base_url = _shown_url(base_url)
        self.model = model
        self.tokenizer = tokenizer
        # A key of the environment goes to the server that it is of, and to no other.
        own = os.environ.get("OPENAI_API_KEY", "") if parts.hostname == "api.openai.com" else ""
        self._key = own if api_key is None else api_key
        self._timeout = timeout
        self._options: dict[str, Any] = {
            "base_url": base_url,
            "api_key": self._key or "none",
            "timeout": timeout,
            "max_retries": 0,  # ours know what the server says, and are counted
        }
        self._context_length = context_length
        self._max_concurrency = max_concurrency
        self._backoff = Backoff(retries, backoff)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._client: Any = None
        self._slots = asyncio.Semaphore(max_concurrency)
        self._running: set[asyncio.Task[Any]] = set()
        self._closed = False
        self._limit_name = "max_tokens"
        self._counts = dict.fromkeys(("requests", "retries", "prompt_tokens", "tokens", "seconds"), 0.0)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base_url!r}, {self.model!r})"

    @property
    def context_length(self) -> int:
        """The most tokens that prompt and action may have together.

        Raises:
            EngineError: It was not given, and the server does not say.
        """
        if self._context_length is None:
            raise EngineError(f"the context length of {self!r} is unknown: give context_length")
        return self._context_length

    async def generate(self, prompt_ids: Sequence[int], sampling: Sampling, *, seed: int) -> Completion:
        """Samples one completion of one prompt; see `Engine.generate`.

        Raises:
            InvalidInput: The prompt is empty, or the seed is negative.
            PromptTooLong: The prompt leaves no room for an action.
            EngineError: The server failed, or returns no token ids.
        """
        if not len(prompt_ids):
            raise InvalidInput("a prompt must have at least one token id")
        if seed < 0:
            raise InvalidInput(f"seed={seed!r} must not be negative")
        limit = sampling.max_tokens
        if self._context_length is not None:
            limit = min(limit, self._context_length - len(prompt_ids))
            if limit < 1:
                raise PromptTooLong(
                    f"the prompt has {len(prompt_ids)} tokens and leaves no room for an action in a context of "
                    f"{self._context_length}"
                )
        body = {
            "model": self.model,
            "prompt": [int(token) for token in prompt_ids],
            "max_tokens": limit,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": seed % 2**63,
            "logprobs": 1,
            "stop": list(sampling.stop) or None,
            "extra_body": {
                # Said even where they change nothing: servers take what is not said from the model's generation config.
                "top_k": sampling.top_k or -1,
                "min_p": 0.0,
                "repetition_penalty": 1.0,
                "include_stop_str_in_output": True,
                "return_token_ids": True,
                "return_tokens_as_token_ids": True,
            },
        }
        return await self._request(
            lambda: self._client.completions.create(**body),
            lambda answer: read_completion(answer, sampling, self.tokenizer),
        )

    async def chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        sampling: Sampling,
        *,
        tools: Sequence[Mapping[str, Any]] = (),
        seed: int | None = None,
    ) -> Completion:
        """Returns the next assistant message; its completion has text, but no token ids.

        A tool call that the server returns as an object is written behind the text, as models write it themselves:
        `<tool_call>{"name": ..., "arguments": {...}}</tool_call>`. Settings that have their neutral value are not sent,
        because some models refuse them.

        Args:
            messages: Chat messages, oldest first.
            sampling: How tokens are chosen.
            tools: JSON schemas of the tools that the model may call.
            seed: Seeds the draws, where the server can.

        Raises:
            PromptTooLong: The messages leave no room for an answer.
            EngineError: The server failed.
        """
        body: dict[str, Any] = {"model": self.model, "messages": [dict(message) for message in messages]}
        if sampling.temperature != 1:
            body["temperature"] = sampling.temperature
        if sampling.top_p != 1:
            body["top_p"] = sampling.top_p
        if sampling.top_k:
            body["extra_body"] = {"top_k": sampling.top_k}
        if sampling.stop:
            body["stop"] = list(sampling.stop)
        if tools:
            body["tools"] = [dict(tool) for tool in tools]
        if seed is not None:
            body["seed"] = seed % 2**63
        limit = sampling.max_tokens
        return await self._request(
            lambda: self._client.chat.completions.create(**body, **{self._limit_name: limit}), read_message
        )

    def update_weights(self, model: Any) -> None:
        """Raises an error: a server keeps the weights that it was started with."""
        raise EngineError(
            f"{self!r} has weights of its own, which cannot be updated from here: evaluate with it, and train with an "
            "engine in this process"
        )

    def metrics(self) -> dict[str, float]:
        """Returns counters: `requests` answered, `retries`, `prompt_tokens`, sampled `tokens`, their `seconds`."""
        return dict(self._counts)

    async def aclose(self) -> None:
        """Ends requests under way with an error and closes the connections; idempotent."""
        self._closed = True
        for task in list(self._running):
            task.cancel()
        client, self._client = self._client, None
        if client is not None and self._loop is asyncio.get_running_loop():
            await client.close()

    async def _request(
        self, create: Callable[[], Awaitable[Any]], read: Callable[[dict[str, Any]], Completion]
    ) -> Completion:
        """Sends a request until it is answered, within the limits of concurrency."""
        if self._closed:
            raise EngineError(f"{self!r} is closed")
        self._enter_loop()
        task = asyncio.current_task()
        assert task is not None
        began = time.perf_counter()
        attempts = asyncio.ensure_future(self._backoff.run(lambda: self._attempt(create, read), self._count_retry))
        self._running.add(attempts)
        try:
            completion = await attempts
        except asyncio.CancelledError:
            if self._closed and not task.cancelling():
                raise EngineError(f"{self!r} was closed while a request was under way") from None
            attempts.cancel()
            raise
        finally:
            self._running.discard(attempts)
        self._counts["requests"] += 1
        self._counts["seconds"] += time.perf_counter() - began
        return completion

    async def _attempt(
        self,
        create: Callable[[], Awaitable[Any]],
        read: Callable[[dict[str, Any]], Completion],
        *,
        renamed: bool = False,
    ) -> Completion:
        """Sends a request once; twice where the server knows the limit of tokens by its newer name only."""
        openai = self._openai
        async with self._slots:
            try:
                # The client's own limit is on each part of an answer, so that a server that trickles would never end.
                async with asyncio.timeout(self._timeout):
                    answer = await create()
            except (TimeoutError, openai.APITimeoutError) as error:
                raise TransientError(f"{self!r} did not answer within {self._timeout:g} s") from error
            except openai.APIStatusError as error:
                failure = self._refused(error)
            except (openai.APIConnectionError, openai.APIResponseValidationError, ValueError) as error:
                # The cause of a broken connection says more than the client's own message.
                reason = error.__cause__ or error
                raise TransientError(f"the connection to {self!r} failed: {self._safe(repr(reason))}") from error
            else:
                return self._read(answer, read)
        # Outside the handler: what the server said may repeat the key, so that the client's error is not chained.
        if renamed or NEWER_LIMIT not in str(failure):
            raise failure
        self._limit_name = NEWER_LIMIT
        return await self._attempt(create, read, renamed=True)

    def _read(self, answer: Any, read: Callable[[dict[str, Any]], Completion]) -> Completion:
        try:
            fields = answer.to_dict(warnings=False)
            completion = read(fields)
        except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
            shown = self._safe(str(answer))
            raise TransientError(f"{self!r} answered with something that is no completion: {shown}") from error
        usage = fields.get("usage") or {}
        self._counts["prompt_tokens"] += usage.get("prompt_tokens") or 0
        self._counts["tokens"] += len(completion.ids) or usage.get("completion_tokens") or 0
        return completion

    def _refused(self, error: Any) -> Exception:
        """Returns what an HTTP status means to the caller."""
        status, said = int(error.status_code), self._safe(error_text(error))
        if status == 400 and any(words in said.lower() for words in TOO_LONG):
            return PromptTooLong(f"{self!r}: {said}")
        if status in (401, 403):
            return EngineError(f"{self!r} refuses the API key ({status}): give a valid api_key: {said}")
        if status == 404:
            return EngineError(
                f"{self!r} knows no such model or address (404): compare the model's name with {self.base_url}/models, "
                f"and see that base_url ends in /v1: {said}"
            )
        if status == 429 and "insufficient_quota" in said:
            return EngineError(f"{self!r}: the account has no quota left: {said}")
        if status in TRANSIENT:
            return TransientError(f"{self!r} answered {status}: {said}", retry_after(error.response.headers))
        return EngineError(f"{self!r} refused the request ({status}): {said}")

    def _enter_loop(self) -> None:
        """Makes a client for the running event loop: connections of another one cannot be used."""
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            self._loop = loop
            self._client = self._openai.AsyncOpenAI(**self._options)
            self._slots = asyncio.Semaphore(self._max_concurrency)

    def _count_retry(self) -> None:
        self._counts["retries"] += 1

    def _safe(self, text: str) -> str:
        """Returns a server's text, shortened, without the key."""
        if self._key:
            text = text.replace(self._key, "***")
        return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _shown_url(url: str) -> str:
    """Returns an address without user, password and query."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))
