"""Verifiers as the reward functions of other trainers, and their reward functions as verifiers.

None of the trainers is imported: each of these is a function of the form that the trainer calls.

An undecided verdict is never a 0. Where a trainer can skip a sample (TRL, with None) it is skipped; where it wants a
number, `undecided` says which, and without it NaN is passed on for the trainer to see.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from turnwise.verifiers.base import FunctionVerifier, Verifier
from turnwise.verifiers.errors import InvalidInput
from turnwise.verifiers.types import Message, Sample, Verdict

Response = str | Sequence[Message]
"""What a model wrote: text, or chat messages."""


def as_reward_fn(verifier: Verifier, *, undecided: float = math.nan) -> Callable[..., float]:
    """Returns `reward(response, reference=None, **fields) -> float`, for loops of one's own.

    Args:
        verifier: What judges.
        undecided: The reward where the verifier cannot decide.
    """

    def reward(response: Response, reference: Any = None, **fields: Any) -> float:
        verdict = verifier(response, reference, **fields)
        return verdict.score if verdict.decided else undecided

    reward.__name__ = verifier.name
    return reward


def as_trl(verifier: Verifier, *, reference: str | None = "answer") -> Callable[..., list[float | None]]:
    """Returns a function for `reward_funcs` of TRL's `GRPOTrainer` and its relatives.

    Neighbouring completions of one prompt are judged as a group, so that relative verifiers work too. What cannot be
    decided is None, which TRL leaves out.

    Args:
        verifier: What judges.
        reference: The column of the data set that holds the reference; None for verifiers that need none.

    Raises:
        InvalidInput: When called, if the data set has no such column.
    """

    def reward(prompts: Sequence[Response], completions: Sequence[Response], **columns: Any) -> list[float | None]:
        if reference is not None and reference not in columns:
            raise InvalidInput(
                f"the data set has no column {reference!r} (there are {sorted(columns)}); name the column of the "
                "reference: as_trl(verifier, reference=...)"
            )
        references = [None] * len(prompts) if reference is None else columns[reference]
        samples = [
            Sample(completion, expected, prompt)
            for prompt, completion, expected in zip(prompts, completions, references, strict=True)
        ]
        return [verdict.score if verdict.decided else None for verdict in _in_groups(verifier, samples)]

    reward.__name__ = verifier.name
    return reward


def as_verl(verifier: Verifier, *, undecided: float = math.nan) -> Callable[..., dict[str, float]]:
    """Returns `compute_score(data_source, solution_str, ground_truth, extra_info=None)`, verl's custom reward function.

    It returns a dictionary with `score` and each component's score by its path, which verl logs.

    Args:
        verifier: What judges.
        undecided: The score where the verifier cannot decide.
    """

    def compute_score(
        data_source: str,
        solution_str: str,
        ground_truth: Any,
        extra_info: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> dict[str, float]:
        state = {"data_source": data_source, **(extra_info or {})}
        verdict = verifier.verify(Sample(solution_str, ground_truth, state=state))
        return {**verdict.flat(), "score": verdict.score if verdict.decided else undecided}

    return compute_score


def as_rubric_fn(verifier: Verifier, *, undecided: float = math.nan) -> Callable[..., Any]:
    """Returns an asynchronous reward function for a `Rubric` of Prime Intellect's `verifiers`.

    It takes `prompt`, `completion`, `answer` and `state`, which a rubric hands to functions by these names.

    Args:
        verifier: What judges.
        undecided: The reward where the verifier cannot decide.
    """

    async def reward(prompt: Response, completion: Response, answer: Any, state: Mapping[str, Any]) -> float:
        verdict = await verifier.averify(Sample(completion, answer, prompt, state))
        return verdict.score if verdict.decided else undecided

    reward.__name__ = verifier.name
    return reward


def from_trl(function: Callable[..., Sequence[float | None]], *, reference: str | None = "answer") -> Verifier:
    """Returns a verifier made of a TRL reward function; None and NaN are undecided.

    Args:
        function: Takes `prompts`, `completions` and the data set's columns as lists.
        reference: The column under which it expects the reference; None for none.
    """
    return _TrlVerifier(function, reference).named(getattr(function, "__name__", "trl"))


def from_verl(function: Callable[..., Any], *, data_source: str = "turnwise") -> Verifier:
    """Returns a verifier made of a `compute_score` function of verl; NaN is undecided.

    Args:
        function: Takes data_source, solution_str, ground_truth and extra_info; returns a number, or a dictionary with
            `score`, whose other numbers become parts.
        data_source: What it is told as data source.
    """

    def judge(sample: Sample) -> Verdict:
        found = function(data_source, sample.text, sample.reference, dict(sample.state))
        if not isinstance(found, Mapping):
            return _verdict(found)
        numbers = {name: value for name, value in found.items() if name != "score" and isinstance(value, int | float)}
        whole = _verdict(found["score"])
        parts = {name: _verdict(value) for name, value in numbers.items()}
        return Verdict(whole.score, parts) if whole.decided else Verdict.undecided(str(whole.error), "abstain", parts)

    return FunctionVerifier(judge).named(getattr(function, "__name__", "verl"))


class _TrlVerifier(Verifier):
    def __init__(self, function: Callable[..., Sequence[float | None]], reference: str | None) -> None:
        self.function = function
        self.reference = reference

    def _verify_group(self, samples: Sequence[Sample]) -> list[Verdict]:
        columns = {} if self.reference is None else {self.reference: [sample.reference for sample in samples]}
        scores = self.function(
            prompts=[sample.prompt for sample in samples],
            completions=[sample.response for sample in samples],
            **columns,
        )
        return [_verdict(score) for score in scores]


def _verdict(score: float | None) -> Verdict:
    if score is None or math.isnan(score):
        return Verdict.undecided(f"the reward function returned {score}", "abstain")
    return Verdict(float(score))


def _in_groups(verifier: Verifier, samples: Sequence[Sample]) -> Iterator[Verdict]:
    """Yields the verdicts on samples, those of neighbours with one prompt judged together."""
    for _, group in itertools.groupby(samples, key=lambda sample: sample.prompt):
        yield from verifier.verify_group(list(group))
