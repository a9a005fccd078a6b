"""`MathVerifier`: is this answer the reference answer? See docs/math-verifier.md for conventions and limits."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

from turnwise.verifiers.base import Verifier
from turnwise.verifiers.errors import Abstain, InvalidInput, VerifierTimeout
from turnwise.verifiers.math import numeric
from turnwise.verifiers.math.answers import Answer, clean, mathematics, read_answer
from turnwise.verifiers.math.characters import printable
from turnwise.verifiers.math.compare import Comparison
from turnwise.verifiers.math.extraction import Extraction, candidates, clauses, extract, last_number, last_sentences
from turnwise.verifiers.math.policy import MathPolicy, Work
from turnwise.verifiers.math.scalars import Outcome
from turnwise.verifiers.math.wording import HEDGES, plain
from turnwise.verifiers.types import Sample, Verdict

_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_SPLITTABLE = re.compile(r"\d,\d{3}(?!\d)")


class MathVerifier(Verifier):
    """Compares a mathematical answer with a reference answer.

    Response and reference may each be a bare answer (plain text, LaTeX, Unicode) or a full response from which the
    answer is extracted. The score is 1.0 or 0.0; what cannot be decided within the budget of work is undecided (NaN),
    with the reason in `error` and the status "abstain" or "timeout". Nothing in either text is executed. Verdicts are
    deterministic, and the same in any thread and under any load.

    Args:
        policy: The conventions and limits; `MathPolicy()` by default.
    """

    def __init__(self, policy: MathPolicy | None = None) -> None:
        self.policy = policy or MathPolicy()
        numeric.context(60)  # the first verdict should not pay for building mpmath's tables

    def _verify(self, sample: Sample) -> Verdict:
        if not isinstance(sample.reference, str | int | float):
            raise InvalidInput(
                f"reference={sample.reference!r}: MathVerifier needs the reference answer as text (or a number)"
            )
        reference = str(sample.reference)
        if not reference.strip():
            return Verdict.undecided("the reference is empty", "error")
        try:
            return self.judge(sample.text, reference)
        except RecursionError:  # the caller's stack is deep: the budget on nesting fits into a stack of our own
            with ThreadPoolExecutor(max_workers=1) as pool:
                return pool.submit(self.judge, sample.text, reference).result()

    def judge(self, response: str, reference: str) -> Verdict:
        """Returns the verdict on two texts."""
        found = extract(response)
        parts = {"extraction": _extraction_verdict(found)}
        if not found.text:
            return Verdict(0.0, parts, "the response holds no answer")
        if response.strip() == reference.strip():
            return Verdict(1.0, parts, f"{printable(found.text)} == {printable(reference)} (same text)")
        work = Work(self.policy.budget)
        try:
            wanted_extraction = extract(reference)
            wanted = self.read_reference(wanted_extraction)
            verdict = self.compare(found, wanted, wanted_extraction, work, parts)
        except VerifierTimeout as timeout:
            return Verdict.undecided(str(timeout), "timeout", parts)
        except Abstain as abstain:
            return Verdict.undecided(str(abstain), "abstain", parts, {"steps": work.steps})
        return verdict

    def read_reference(self, found: Extraction) -> Answer:
        """Returns the answer that the reference gives."""
        if found.method in ("boxed", "whole text", "hash marks"):
            return read_answer(found.text, self.policy)
        return self.readings(found)[0]

    def readings(self, found: Extraction) -> list[Answer]:
        """Returns the possible readings of what was extracted, the best first."""
        whole = None
        if found.method != "prose":
            whole = read_answer(found.text, self.policy)
            if whole.node.op != "text" or found.method in ("boxed", "hash marks", "answer tag, boxed"):
                return [whole]
        if found.method in ("phrase", "answer tag"):
            for clause in clauses(found.text):
                answer = read_answer(clause, self.policy)
                if answer.node.op != "text":
                    return [answer]
            found_inside = self.search(found.text) if self.policy.extraction == "lenient" else None
            return [found_inside] if found_inside else [whole] if whole else []
        if self.policy.extraction == "lenient" and (whole is None or _has_words(found.text)):
            searched = found.text if len(found.text) < 4_000 else found.text[-4_000:]
            answer_in_prose = self.search(searched)
            if answer_in_prose is not None:
                return [answer_in_prose]
        if whole is None:
            whole = read_answer(found.text[-400:], self.policy)
        return [whole]

    def search(self, text: str) -> Answer | None:
        """Returns the answer in prose: the first candidate that is mathematics, unless the prose offers several."""
        ends = last_sentences(text)
        for candidate in candidates(text):
            if len(candidate) > 400:
                continue
            answer = read_answer(candidate, self.policy)
            if answer.node.op in ("text", "choice"):
                continue
            if HEDGES.search(ends) and len(set(_NUMBER.findall(ends))) > len(set(_NUMBER.findall(candidate))):
                return None
            return answer
        number = last_number(text)
        return (
            None
            if number is None or (HEDGES.search(ends) and "perhaps" not in ends)
            else read_answer(number, self.policy)
        )

    def compare(
        self, found: Extraction, wanted: Answer, wanted_extraction: Extraction, work: Work, parts: dict[str, Verdict]
    ) -> Verdict:
        """Compares what was found with what is wanted."""
        comparison = Comparison(self.policy, work)
        readings = self.readings(found)
        outcome = Outcome(False, "no answer")
        given = found.text
        for answer in readings:
            given = answer.text
            outcome = comparison.answers(answer, wanted)
            if outcome.equal:
                break
        if not outcome.equal and wanted.node.op == "text" and plain(clean(found.text)) == wanted.plain:
            outcome = Outcome(True, "same text")
        if not outcome.equal and wanted.node.op in ("text", "word"):
            outcome = self.last_words(found, wanted, comparison) or outcome
        if not outcome.equal and found.together and wanted.node.op in ("list", "set"):
            together = comparison.answers(read_answer(found.together, self.policy), wanted)
            outcome, given = (together, found.together) if together.equal else (outcome, given)
        if not outcome.equal:
            outcome = self.split(given, wanted, comparison) or outcome
        if outcome.equal and found.hedged:
            outcome = Outcome(False, "hedged")
        sign = "==" if outcome.equal else "!="
        evidence = f"{printable(given)} {sign} {printable(wanted.text)} ({outcome.how})"
        return Verdict(float(outcome.equal), parts, evidence, metrics={"steps": work.steps})

    def last_words(self, found: Extraction, wanted: Answer, comparison: Comparison) -> Outcome | None:
        """Compares what prose ends with: "The number is even." against "even"."""
        match = re.search(r".*\b(?:is|are|was|be|be:|is:)\s+(\S.*)$", found.text[-300:].strip(), re.DOTALL)
        if match is None or self.policy.extraction == "strict" or found.method.startswith("boxed"):
            return None
        outcome = comparison.words(read_answer(match[1], self.policy), wanted)
        return outcome if outcome is not None and outcome.equal else None

    def split(self, given: str, wanted: Answer, comparison: Comparison) -> Outcome | None:
        """Tries "100,200" as two numbers where it is not one."""
        if not (_SPLITTABLE.search(given) or _SPLITTABLE.search(wanted.text)):
            return None
        nodes = []
        for text in (given, wanted.text):
            node = mathematics(clean(text), self.policy, split_commas=True)
            if node is None or re.search(r"\d,0\d", text):
                return None
            nodes.append(node)
        if nodes[0].op == nodes[1].op == "num":
            return None
        outcome = comparison.nodes(nodes[0], nodes[1])
        return outcome if outcome.equal else None


def _has_words(text: str) -> bool:
    return len(re.findall(r"(?<![\\A-Za-z])[A-Za-z]{2,}", text)) >= 1 or bool(re.search(r"[\u4e00-\u9fff]{2}", text))


def _extraction_verdict(found: Extraction) -> Verdict:
    if not found.text:
        return Verdict(0.0, evidence="no answer found")
    return Verdict(1.0, evidence=f"{found.method}: {printable(found.text)}")


__all__ = ["MathVerifier"]
