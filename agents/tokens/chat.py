"""Token in, token out: a conversation whose sampled tokens are never tokenised again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from turnwise.agents.errors import InvalidInput
from turnwise.agents.tokens.template import Template, common_prefix

REALIGN_TOKENS = 8
"""How many tokens the template's rendering of an action may differ from what was sampled."""


class How(StrEnum):
    """How a prompt came from the tokens before it."""

    START = "start"
    """The first prompt of a conversation."""
    CLEAN = "clean"
    """Its text extends the text that was sampled: the new text's tokens were appended."""
    REALIGN = "realign"
    """The template writes the action's edges differently (blanks stripped, another end of turn): the sampled tokens
    were kept, and what follows the action appended."""
    FORK = "fork"
    """The template writes earlier text differently (thinking removed): everything was tokenised afresh, and a new
    training sequence begins."""


@dataclass(frozen=True, slots=True, eq=False)
class Prompt:
    """What an engine is to be conditioned on.

    Attributes:
        ids: Token ids; int64 [tokens].
        how: How they came from the tokens before.
    """

    ids: NDArray[np.int64]
    how: How


class Chat:
    """A conversation in messages and in tokens at once.

        chat = Chat(tokenizer)
        chat.add("user", "Guess a number.")
        prompt = chat.prompt()
        completion = await engine.generate(prompt.ids, sampling, seed=0)
        chat.acted(completion.text, completion.ids)
        chat.add("user", "Too high.")

    Args:
        tokenizer: A Hugging Face tokenizer with a chat template.
        tools: JSON schemas of the tools that the model may call.
        options: Further variables of the template, such as `enable_thinking`.
        realign_tokens: How many tokens the template's rendering of an action may differ, at either edge, from what was
            sampled, before the conversation forks.

    Attributes:
        messages: The messages so far.

    Raises:
        InvalidInput: The tokenizer has no chat template.
    """

    def __init__(
        self,
        tokenizer: Any,
        *,
        tools: Sequence[Mapping[str, Any]] = (),
        options: Mapping[str, Any] | None = None,
        realign_tokens: int = REALIGN_TOKENS,
    ) -> None:
        self.template = Template(tokenizer, tools=tools, options=options)
        self.messages: list[dict[str, Any]] = []
        self._realign_tokens = realign_tokens
        self._rendered = ""  # the last prompt as the template wrote it
        self._action: str | None = None  # what was sampled after it, special tokens included
        self._ids = np.zeros(0, np.int64)  # what the model has seen and sampled so far

    def add(self, role: str, content: str, **fields: Any) -> None:
        """Appends a message that the model did not write.

        Where the template takes no system messages, their content is put before the next message's.

        Args:
            role: "system", "user" or "tool".
            content: What it says.
            **fields: Further fields of the message, such as a tool's `name`.
        """
        before = self.messages[-1] if self.messages else None
        if before is not None and before["role"] == "system" and not self.template.has_system:
            self.messages.pop()
            content = f"{before['content']}\n\n{content}"
        self.messages.append({"role": role, "content": content, **fields})

    def prompt(self) -> Prompt:
        """Returns the tokens that the next action is to be sampled from.

        Raises:
            InvalidInput: The template refuses the messages.
        """
        rendered = self.template.render(self.messages, generation_prompt=True)
        how, suffix = self._compare(rendered)
        if suffix is None:
            self._ids = self.template.encode(rendered)
        else:
            self._ids = np.concatenate((self._ids, self.template.encode_behind(suffix)))
        self._rendered, self._action = rendered, None
        return Prompt(self._ids, how)

    def acted(self, text: str, ids: Sequence[int] | NDArray[np.int64]) -> None:
        """Appends what the model sampled from the last prompt.

        Args:
            text: The action, without special tokens; becomes the content of an assistant's message.
            ids: The sampled tokens; int64 [tokens].

        Raises:
            InvalidInput: There is no prompt that it could have been sampled from.
        """
        if not self._rendered or self._action is not None:
            raise InvalidInput("an action follows a prompt: call prompt() before acted()")
        action = np.asarray(ids, np.int64)
        self.messages.append({"role": "assistant", "content": text})
        self._ids = np.concatenate((self._ids, action))
        self._action = self.template.tokenizer.decode(
            action.tolist(), skip_special_tokens=False, clean_up_tokenization_spaces=False
        )

    def _compare(self, rendered: str) -> tuple[How, str | None]:
        """Returns how a rendered prompt continues the tokens so far, and the text to append; None to begin anew."""
        if not self._rendered:
            return How.START, None
        if self._action is None or not rendered.startswith(self._rendered):
            return How.FORK, None
        rest = rendered[len(self._rendered) :]
        if rest.startswith(self._action):
            return How.CLEAN, rest[len(self._action) :]
        suffix = self._realigned(rest, self._action)
        return (How.FORK, None) if suffix is None else (How.REALIGN, suffix)

    def _realigned(self, rest: str, action: str) -> str | None:
        """Returns what follows an action that the template wrote slightly differently; None where it differs in more.

        Args:
            rest: What the template wrote after the last prompt.
            action: What was sampled there.
        """
        closing = self.template.closing
        if not closing:
            return None
        # Which part of the end of turn the model wrote itself.
        sampled = next((length for length in range(len(closing), 0, -1) if action.endswith(closing[:length])), 0)
        body = action[: len(action) - sampled]
        spoken, written = body.lstrip(), rest.lstrip()
        same = len(common_prefix(spoken, written))
        # Another end of turn may look the same for a few characters, so that the template's may begin before `same`.
        end = written.find(closing, max(0, same - len(closing) + 1))
        if end < 0:
            return None
        same = min(same, end)
        differing = (
            body[: len(body) - len(spoken)],
            rest[: len(rest) - len(written)],
            spoken[same:],
            written[same:end],
        )
        if same == 0 and any(text.strip() for text in differing):
            return None
        if any(len(self.template.encode(text)) > self._realign_tokens for text in differing):
            return None
        return written[end + sampled :]
