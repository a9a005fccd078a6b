"""Verifiers whose verdicts are known, and which record what they were asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from turnwise.verifiers import Sample, Verdict, Verifier


class Fixed(Verifier):
    """Gives every sample the same verdict and records the texts that it was asked about."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        self.asked: list[str] = []

    def _verify(self, sample: Sample) -> Verdict:
        self.asked.append(sample.text)
        return self.verdict


class ByText(Verifier):
    """Scores a response by a table; what is missing from it is abstained from."""

    def __init__(self, scores: dict[str, float]) -> None:
        self.scores = scores
        self.asked: list[str] = []

    def _verify(self, sample: Sample) -> Verdict:
        self.asked.append(sample.text)
        if sample.text not in self.scores:
            return Verdict.undecided(f"unknown {sample.text!r}", "abstain")
        return Verdict(self.scores[sample.text])


class Share(Verifier):
    """A relative verifier: each sample of a group gets 1 / (size of the group)."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []

    def _verify_group(self, samples: Sequence[Sample]) -> list[Verdict]:
        self.groups.append([sample.text for sample in samples])
        return [Verdict(1 / len(samples)) for _ in samples]


class Process(Verifier):
    """A process verifier with a given score per turn; None is undecided."""

    def __init__(self, *scores: float | None) -> None:
        self.scores = scores

    def _verify_turns(self, sample: Sample) -> list[Verdict]:
        return [Verdict.undecided("no label", "abstain") if s is None else Verdict(s) for s in self.scores]


@pytest.fixture(scope="session")
def fixed() -> Callable[..., Fixed]:
    """Makes a verifier of a name and a score, or of a name and the status of an error."""

    def make(name: str, outcome: float | str, evidence: str = "") -> Fixed:
        if isinstance(outcome, str):
            return Fixed(Verdict.undecided(f"{outcome} of {name}", outcome)).named(name)  # type: ignore[arg-type]  # a status
        return Fixed(Verdict(outcome, evidence=evidence)).named(name)

    return make


@pytest.fixture(scope="session")
def by_text() -> type[ByText]:
    return ByText


@pytest.fixture(scope="session")
def share() -> type[Share]:
    return Share


@pytest.fixture(scope="session")
def process() -> type[Process]:
    return Process
