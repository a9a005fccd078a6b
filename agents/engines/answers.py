"""What OpenAI-compatible servers answer, read into completions."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from turnwise.agents.engines.base import Completion, Sampling
from turnwise.agents.engines.stopping import decode
from turnwise.agents.errors import EngineError


def read_completion(answer: Mapping[str, Any], sampling: Sampling, tokenizer: Any) -> Completion:
    """Reads an answer of `/completions`.

    Args:
        answer: The answer's JSON.
        sampling: How the tokens were chosen.
        tokenizer: Decodes them; None takes the server's text.

    Raises:
        EngineError: There are no token ids, or the action ended for no reason that is an end.
        LookupError, TypeError, ValueError: It is no such answer.
    """
    choice = answer["choices"][0]
    given = choice.get("logprobs") or {}
    ids = _token_ids(choice.get("token_ids"), given.get("tokens"))
    if ids is None:
        raise EngineError(
            "the server returns no token ids, without which a policy cannot be trained: serve the model with vLLM "
            "0.10.2 or later, or, to evaluate only, use a ChatPolicy"
        )
    logprobs = np.array(given["token_logprobs"], np.float32)
    if len(logprobs) != len(ids) or not len(ids):
        raise ValueError(f"{len(ids)} token ids and {len(logprobs)} log-probabilities")
    if sampling.temperature not in (0, 1):
        logprobs = np.full(len(ids), np.nan, np.float32)
    text = choice["text"] if tokenizer is None else decode(tokenizer, ids, special=False)
    return Completion(ids, logprobs, text, _finish(choice["finish_reason"]))


def read_message(answer: Mapping[str, Any]) -> Completion:
    """Reads an answer of `/chat/completions`; its completion has no token ids.

    Raises:
        EngineError: The action ended for no reason that is an end.
        LookupError, TypeError, ValueError: It is no such answer.
    """
    choice = answer["choices"][0]
    message = choice["message"]
    calls = [_call_text(call) for call in message.get("tool_calls") or ()]
    text = "\n".join([message.get("content") or "", *calls]).strip("\n") if calls else message["content"] or ""
    reason = choice["finish_reason"]
    finish = "stop" if reason in ("tool_calls", "function_call") else reason
    return Completion(np.zeros(0, np.int64), np.zeros(0, np.float32), text, _finish(finish))


def error_text(error: Any) -> str:
    """Returns what a server said about an error of the openai client, from the usual places of the answer's body."""
    body = error.body
    if isinstance(body, dict):
        inner = body.get("error", body)
        if isinstance(inner, dict) and inner.get("message"):
            return " ".join(str(inner[name]) for name in ("code", "message") if inner.get(name))
    return str(body if body else error.message)


def _token_ids(ids: Any, tokens: Any) -> NDArray[np.int64] | None:
    """Returns sampled ids from either form in which servers return them, or None."""
    if ids is not None:
        return np.array(ids, np.int64)
    if tokens and all(str(token).startswith("token_id:") for token in tokens):
        return np.array([int(token.partition(":")[2]) for token in tokens], np.int64)
    return None


def _finish(reason: str) -> Literal["stop", "length"]:
    if reason == "stop":
        return "stop"
    if reason == "length":
        return "length"
    raise EngineError(f"the server ended an action for a reason that is no end: {reason!r}")


def _call_text(call: Mapping[str, Any]) -> str:
    function = call["function"]
    arguments = function["arguments"]
    with contextlib.suppress(ValueError):  # malformed arguments are the model's doing, for the environment to answer
        arguments = json.loads(arguments)
    return f"<tool_call>\n{json.dumps({'name': function['name'], 'arguments': arguments})}\n</tool_call>"
