"""Overlap of words with a reference answer, as reading-comprehension benchmarks measure it."""

from __future__ import annotations

import re
import string
from collections import Counter

from turnwise.verifiers.base import Verifier
from turnwise.verifiers.errors import InvalidInput
from turnwise.verifiers.exact_match import text_references
from turnwise.verifiers.text import quoted
from turnwise.verifiers.types import Sample, Verdict

PUNCTUATION = str.maketrans("", "", string.punctuation)
ARTICLES = re.compile(r"\b(a|an|the)\b")


class TokenF1(Verifier):
    """The F1 score of the response's words against the reference's: SQuAD's measure; the best of several references.

    Words are compared in lower case, without ASCII punctuation and without the articles a, an, the, as a bag: order
    does not count. `parts` holds `exact` (1 where the words are the same in the same order: SQuAD's exact match),
    `precision` and `recall` for the best reference.

    For short answers. In a long response the words of the reference drown, and word order and negation are invisible:
    "the dog bit the man" scores 1 against "the man bit the dog". Text without spaces between words is one word.

    Source: Rajpurkar et al., SQuAD: 100,000+ Questions for Machine Comprehension of Text, arXiv 1606.05250, and its
    evaluation script.

    Raises:
        InvalidInput: When judging: the reference is not text or a list of texts, or no word of it remains (an empty
            response would match).
    """

    def _verify(self, sample: Sample) -> Verdict:
        given = squad_words(sample.text)
        accepted = [(reference, squad_words(reference)) for reference in text_references(sample.reference)]
        for reference, words in accepted:
            if not words:
                raise InvalidInput(f"reference {reference!r} has no words: an empty response would match it")
        f1, precision, recall, index = max(
            (*overlap(given, words), -index) for index, (_, words) in enumerate(accepted)
        )
        exact = any(given == words for _, words in accepted)
        parts = {"exact": Verdict(float(exact)), "precision": Verdict(precision), "recall": Verdict(recall)}
        evidence = (
            f"{quoted(sample.text)} against {quoted(accepted[-index][0])}: precision {precision:g}, recall {recall:g}"
        )
        return Verdict(f1, parts, evidence)


def squad_words(text: str) -> list[str]:
    """Returns the words of a text as SQuAD's evaluation script normalises them."""
    return ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split()


def overlap(given: list[str], wanted: list[str]) -> tuple[float, float, float]:
    """Returns F1, precision and recall of two bags of words."""
    common = (Counter(given) & Counter(wanted)).total()
    if common == 0:
        return 0.0, 0.0, 0.0
    precision, recall = common / len(given), common / len(wanted)
    return 2 * precision * recall / (precision + recall), precision, recall
