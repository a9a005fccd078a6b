"""Finds stop strings in what is being generated, without decoding it all again at every token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

UNDECODED = "\ufffd"
"""What stands for bytes that are no whole character yet."""


class StopStrings:
    """Stop strings of one tokenizer.

    A stop string can be complete only with a token that holds its last character. `candidates` tells these tokens, once
    for the whole vocabulary; only for them the last few tokens are decoded and searched.

    Args:
        tokenizer: Decodes tokens.
        strings: The stop strings; at least one.
        vocabulary: How many tokens the model has.
    """

    def __init__(self, tokenizer: Any, strings: Sequence[str], vocabulary: int) -> None:
        self._tokenizer = tokenizer
        self._strings = tuple(strings)
        # A token has at least one byte, so that this many tokens reach before the beginning of any stop string; the
        # first token decoded may lose a leading blank or the start of a character, hence the margin.
        self._window = max(len(string.encode()) for string in strings) + 4
        self.candidates = self._candidates(vocabulary)
        """Which tokens can complete a stop string; bool [vocabulary]."""

    def ended(self, ids: Sequence[int] | NDArray[np.int64]) -> bool:
        """Whether a stop string stands in the last tokens of an action.

        Args:
            ids: The action's tokens so far.
        """
        tail = decode(self._tokenizer, ids[-self._window :], special=True)
        return any(string in tail for string in self._strings)

    def _candidates(self, vocabulary: int) -> NDArray[np.bool_]:
        last = {string[-1] for string in self._strings}
        if any(character.isspace() for character in last):
            # Tokenizers of the SentencePiece kind drop blanks from tokens decoded alone.
            return np.ones(vocabulary, bool)
        known = min(vocabulary, len(self._tokenizer))
        texts = (decode(self._tokenizer, [token], special=True) for token in range(known))
        found = [bool(last & set(text)) or UNDECODED in text for text in texts]
        return np.array(found + [False] * (vocabulary - known))


def decode(tokenizer: Any, ids: Sequence[int] | NDArray[np.int64], *, special: bool) -> str:
    """Returns the text of tokens, exactly: without the tidying of blanks that some tokenizers do by default.

    Args:
        tokenizer: A Hugging Face tokenizer.
        ids: Token ids.
        special: Whether special tokens are kept.
    """
    text: str = tokenizer.decode(
        [int(token) for token in ids], skip_special_tokens=not special, clean_up_tokenization_spaces=False
    )
    return text
