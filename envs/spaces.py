"""The space of texts.

Gymnasium's own `Text` space cannot hold what language models write: its default character set rejects the blank, and
one with all of Unicode takes seconds to build. `TextSpace` limits the length only, so that membership is decided in
constant time.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from gymnasium import Space
from gymnasium.spaces import Tuple
from gymnasium.vector.utils import batch_differing_spaces, create_empty_array

from turnwise.verifiers.errors import InvalidInput

MAX_LENGTH = 2**20
"""Characters of the longest text that environments read or write unless they say otherwise."""

_SAMPLED = string.ascii_letters + string.digits + " .,?!<>/"
_SAMPLED_LENGTH = 16


class TextSpace(Space[str]):
    """All texts of a bounded length.

    Args:
        max_length: The most characters a text may have.
        min_length: The fewest.
        seed: Seeds `sample`.

    Raises:
        InvalidInput: The bounds are not 0 <= min_length <= max_length.
    """

    def __init__(
        self, max_length: int = MAX_LENGTH, min_length: int = 0, seed: int | np.random.Generator | None = None
    ) -> None:
        if not 0 <= min_length <= max_length:
            raise InvalidInput(f"need 0 <= min_length <= max_length, not {min_length!r} and {max_length!r}")
        self.max_length = max_length
        self.min_length = min_length
        super().__init__(shape=(), dtype=str, seed=seed)

    @property
    def is_np_flattenable(self) -> bool:
        """False: texts have no fixed-size array form."""
        return False

    def contains(self, x: Any) -> bool:
        """Returns whether `x` is a text of allowed length; takes constant time."""
        return isinstance(x, str) and self.min_length <= len(x) <= self.max_length

    def sample(self, mask: Any = None, probability: Any = None) -> str:
        """Returns a short random text of ASCII letters, digits, blanks and punctuation.

        Raises:
            InvalidInput: A mask or probabilities were given; texts have none.
        """
        if mask is not None or probability is not None:
            raise InvalidInput("a TextSpace samples without mask and probability")
        longest = min(self.max_length, max(self.min_length, _SAMPLED_LENGTH))
        length = int(self.np_random.integers(self.min_length, longest + 1))
        picks = self.np_random.integers(len(_SAMPLED), size=length)
        return "".join(_SAMPLED[pick] for pick in picks)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, TextSpace) and self.max_length == other.max_length and self.min_length == other.min_length
        )

    def __hash__(self) -> int:
        return hash((TextSpace, self.min_length, self.max_length))

    def __repr__(self) -> str:
        return f"TextSpace(max_length={self.max_length}, min_length={self.min_length})"


# `batch_space` and `concatenate` already do the right thing for spaces that they do not know: a tuple of texts.


@create_empty_array.register(TextSpace)
def _empty_texts(space: TextSpace, n: int = 1, fn: Callable[..., Any] = np.zeros) -> tuple[str, ...]:
    return (" " * space.min_length,) * n


def _batch_differing_texts(spaces: Sequence[TextSpace]) -> Tuple[Any]:
    return Tuple([TextSpace(space.max_length, space.min_length) for space in spaces])


# Gymnasium looks this function up by the type of the sequence's first space, which its signature cannot say.
batch_differing_spaces.register(TextSpace, _batch_differing_texts)
