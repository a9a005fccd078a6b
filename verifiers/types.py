"""What a verifier is given, a `Sample`, and what it returns, a `Verdict`. Both are frozen: records, not buffers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from turnwise.verifiers.errors import InvalidInput

Message: TypeAlias = Mapping[str, Any]
"""A chat message: at least `role` and `content`."""

Status: TypeAlias = Literal["ok", "error", "timeout", "abstain"]
"""`ok`: decided. The others: not decided, for the reason in `Verdict.error`; the score is then NaN."""


@dataclass(frozen=True)
class Sample:
    """One thing to be judged.

    Attributes:
        response: What the agent wrote: text, or a list of chat messages of which the last assistant message is judged.
        reference: What the verifier compares with (an answer, a schema, tests); its type depends on the verifier.
        prompt: The task as the agent saw it.
        state: What the environment knows and the agent may not: database rows, a page, files.
        turns: The episode's turns, oldest first, for verifiers that judge a process. Text or chat messages.
    """

    response: str | Sequence[Message] = ""
    reference: Any = None
    prompt: str | Sequence[Message] | None = None
    state: Mapping[str, Any] = field(default_factory=dict)
    turns: Sequence[Any] = ()

    @property
    def text(self) -> str:
        """The judged text: `response` itself, or the content of its last assistant message ("" when there is none).

        Raises:
            InvalidInput: `response` is neither text nor a sequence of messages.
        """
        if isinstance(self.response, str):
            return self.response
        messages: Any = self.response
        if not isinstance(messages, Sequence) or not all(isinstance(message, Mapping) for message in messages):
            raise InvalidInput(f"response must be text or a list of chat messages, not {messages!r}")
        for message in reversed(messages):
            if message.get("role", "assistant") == "assistant":
                return message_text(message)
        return ""


def message_text(message: Message) -> str:
    """Returns the text of a chat message, joining the text parts when its content is a list."""
    content = message.get("content")
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content if isinstance(part, Mapping))


@dataclass(frozen=True)
class Verdict:
    """What a verifier decided.

    Attributes:
        score: The reward. Outcome verifiers stay in [0, 1]. NaN exactly when `error` is set.
        parts: The verdict of each component by name: the whole tree, so that a trainer can log and credit each one.
        evidence: One sentence for a person: why this score.
        error: None, or why the verifier could not decide. An undecided sample is skipped, never scored 0.
        status: "ok", or the kind of `error`.
        metrics: Further numbers worth logging (seconds, tokens, cost in dollars, ...).
    """

    score: float
    parts: Mapping[str, Verdict] = field(default_factory=dict)
    evidence: str = ""
    error: str | None = None
    status: Status = "ok"
    metrics: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "score", float(self.score))
        if self.error is None and self.status != "ok":
            raise InvalidInput(f"a verdict with status {self.status!r} needs an error that says why")
        if self.error is not None:
            if self.status == "ok":
                object.__setattr__(self, "status", "error")
            object.__setattr__(self, "score", math.nan)
        elif math.isnan(self.score):
            raise InvalidInput("a verdict with a NaN score needs an error that says why the verifier could not decide")

    @property
    def decided(self) -> bool:
        """Whether the verifier reached a decision (`error` is None)."""
        return self.error is None

    @classmethod
    def undecided(
        cls,
        error: str,
        status: Literal["error", "timeout", "abstain"] = "error",
        parts: Mapping[str, Verdict] | None = None,
        metrics: Mapping[str, float] | None = None,
    ) -> Verdict:
        """Returns a verdict that says why there is none; its score is NaN."""
        return cls(math.nan, parts or {}, "", error, status, metrics or {})

    def flat(self, prefix: str = "") -> dict[str, float]:
        """Returns the score of every component by its slash-separated path, depth first."""
        scores: dict[str, float] = {}
        for name, part in self.parts.items():
            path = f"{prefix}{name}"
            scores[path] = part.score
            scores |= part.flat(f"{path}/")
        return scores

    def to_json(self) -> dict[str, Any]:
        """Returns a dictionary that `json.dumps` accepts; an undecided score is None, since JSON has no NaN."""
        return {
            "score": self.score if self.decided else None,
            "evidence": self.evidence,
            "error": self.error,
            "status": self.status,
            "metrics": dict(self.metrics),
            "parts": {name: part.to_json() for name, part in self.parts.items()},
        }
