"""Noise on purpose, for studies of how much of it a training run survives."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Sequence

from turnwise.verifiers.base import Verifier, as_response
from turnwise.verifiers.compose.arithmetic import finite
from turnwise.verifiers.compose.core import Composition, Parts, decided_verdict
from turnwise.verifiers.errors import InvalidInput, VerifierError
from turnwise.verifiers.types import Message, Sample, Verdict, message_text


class Noise(Composition):
    """`Noise(a, false_positive=0.4, false_negative=0.4)`: a verifier that is wrong at known rates.

    With the given chance a score r in [0, 1] is flipped to 1 - r: by `false_positive` where it is below 0.5, by
    `false_negative` elsewhere. Then Gaussian noise of standard deviation `std` is added, which may leave [0, 1].

    The draw depends on `seed` and on what was judged (prompt, response and earlier turns) and on nothing else: the
    same sample always gets the same verdict, in any order, thread or process, as from a verifier that is wrong rather
    than fickle. Equal answers to one prompt therefore share their noise. Undecided where the component is, and where
    a score outside [0, 1] would have to be flipped.

    Source: Lv et al., The Climb Carves Wisdom Deeper Than the Summit, arXiv 2505.22653 (training
    with flipped rewards).

    Args:
        verifier: The verifier to spoil.
        false_positive: Chance that a low score is flipped.
        false_negative: Chance that a high score is flipped.
        std: Standard deviation of the Gaussian noise.
        seed: Tells independent noises apart.

    Raises:
        InvalidInput: A chance outside [0, 1] or a negative standard deviation.
    """

    def __init__(
        self,
        verifier: Verifier,
        *,
        false_positive: float = 0.0,
        false_negative: float = 0.0,
        std: float = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__(verifier)
        for label, chance in (("false_positive", false_positive), ("false_negative", false_negative)):
            if not 0.0 <= chance <= 1.0:
                raise InvalidInput(f"{label}={chance!r}: a chance lies in [0, 1]")
        if std < 0:
            raise InvalidInput(f"std={std!r}: a standard deviation is at least 0")
        self.false_positive, self.false_negative = false_positive, false_negative
        self.std = finite(std, "the standard deviation of noise")
        self.seed = seed

    def _combine(self, parts: Parts, sample: Sample) -> Verdict:
        (name, part), *_ = parts.items()
        draw = random.Random(content_hash(sample, self.seed))
        chance = self.false_positive if part.score < 0.5 else self.false_negative
        flipped = draw.random() < chance
        if flipped and not 0.0 <= part.score <= 1.0:
            raise VerifierError(f"the score of {name}, {part.score:g}, cannot be flipped: it is outside [0, 1]")
        score = 1.0 - part.score if flipped else part.score
        if self.std:
            score += draw.gauss(0.0, self.std)
        how = "flipped" if flipped else "kept"
        return decided_verdict(score, parts, f"{name} ({part.score:g}) {how}{f', then {score:g}' if self.std else ''}")


def content_hash(sample: Sample, seed: int) -> int:
    """Returns a number that depends on the texts of a sample and the seed, and is the same in every process."""
    prompt = [] if sample.prompt is None else texts_of(sample.prompt)
    texts = [prompt, texts_of(sample.response), *(texts_of(as_response(turn)) for turn in sample.turns)]
    content = json.dumps([seed, texts])  # escapes lone surrogates, which UTF-8 cannot encode
    return int.from_bytes(hashlib.sha256(content.encode()).digest()[:8], "big")


def texts_of(text: str | Sequence[Message]) -> list[str]:
    """Returns a text, or the texts of chat messages with their roles."""
    if isinstance(text, str):
        return [text]
    return [f"{message.get('role', '')}: {message_text(message)}" for message in text]
