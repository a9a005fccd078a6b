"""A tokenizer's chat template: what it makes of messages, and what it puts behind a turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from turnwise.agents.errors import InvalidInput

PROBE = "probe"
"""Content of messages that are rendered only to see what stands around them."""


class Template:
    """The chat template of a tokenizer.

    Args:
        tokenizer: A Hugging Face tokenizer with a chat template.
        tools: JSON schemas of the tools that the model may call.
        options: Further variables of the template, such as `enable_thinking`.

    Attributes:
        closing: What stands between the content of an assistant's message and the next message, such as
            "<|im_end|>" and a line break.
        end_id: The special token in `closing` that ends a turn; None where there is none.
        has_system: Whether the template takes system messages.

    Raises:
        InvalidInput: The tokenizer has no chat template, or the template fails.
    """

    def __init__(
        self, tokenizer: Any, *, tools: Sequence[Mapping[str, Any]] = (), options: Mapping[str, Any] | None = None
    ) -> None:
        if not getattr(tokenizer, "chat_template", None):
            raise InvalidInput(
                f"the tokenizer {getattr(tokenizer, 'name_or_path', '')!r} has no chat template; "
                "set tokenizer.chat_template, or take the instruct variant of the model"
            )
        self.tokenizer = tokenizer
        self._options = dict(options or {})
        self._tools = [dict(tool) for tool in tools] or None
        self.closing = self._closing()
        self.end_id = self._end_id()
        self.has_system = self._has_system()

    def render(self, messages: Sequence[Mapping[str, Any]], *, generation_prompt: bool) -> str:
        """Returns messages as text.

        Args:
            messages: Chat messages, oldest first.
            generation_prompt: Whether the beginning of the next assistant message is added.

        Raises:
            InvalidInput: The template refuses the messages.
        """
        from jinja2 import TemplateError

        try:
            text: str = self.tokenizer.apply_chat_template(
                list(messages),
                tools=self._tools,
                add_generation_prompt=generation_prompt,
                tokenize=False,
                **self._options,
            )
        except TemplateError as error:
            roles = [message.get("role") for message in messages]
            raise InvalidInput(f"the chat template refuses messages of the roles {roles!r}: {error}") from error
        return text

    def encode(self, text: str) -> NDArray[np.int64]:
        """Returns the tokens of rendered text, adding none that it does not spell out; int64 [tokens]."""
        return np.array(self.tokenizer.encode(text, add_special_tokens=False), np.int64)

    def encode_behind(self, text: str) -> NDArray[np.int64]:
        """Returns the tokens of text that stands in the middle of a conversation; int64 [tokens].

        Some tokenizers put a blank before the first word of a text; an end of turn before it keeps them from it.
        """
        if self.end_id is None:
            return self.encode(text)
        end: str = self.tokenizer.convert_ids_to_tokens(self.end_id)
        ids = self.encode(end + text)
        return ids[1:] if len(ids) and ids[0] == self.end_id else self.encode(text)

    def _closing(self) -> str:
        turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": PROBE}]
        last = self.render(turns, generation_prompt=False).rpartition(PROBE)[2]
        followed = self.render([*turns, {"role": "user", "content": "!"}], generation_prompt=False).rpartition(PROBE)[2]
        return common_prefix(last, followed)

    def _end_id(self) -> int | None:
        special = {token for token, added in self.tokenizer.added_tokens_decoder.items() if added.special}
        return next((int(token) for token in self.encode(self.closing) if int(token) in special), None)

    def _has_system(self) -> bool:
        messages = [{"role": "system", "content": PROBE}, {"role": "user", "content": "?"}]
        try:
            return PROBE in self.render(messages, generation_prompt=True)
        except InvalidInput:
            return False


def common_prefix(first: str, second: str) -> str:
    """Returns the longest text that two texts begin with."""
    different = (index for index, (a, b) in enumerate(zip(first, second, strict=False)) if a != b)
    return first[: next(different, min(len(first), len(second)))]


def end_of_turn_ids(tokenizer: Any) -> list[int]:
    """Returns the tokens that a tokenizer's chat template ends a turn with; none where it has no template."""
    try:
        end = Template(tokenizer).end_id
    except InvalidInput:
        return []
    return [] if end is None else [end]
